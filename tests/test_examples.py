"""examples/: each runs, and what it prints is so by another computation."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("matplotlib", reason="matplotlib is not here")

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))
NEEDS = {"grid_search": ("sklearn", "pandas")}


def load(name):
    """The script as a module."""
    for module in NEEDS.get(name, ()):
        pytest.importorskip(module, reason=f"{module} is not here")
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """ran(name, seed): the module, what its main returned, what it printed; each run once."""
    done = {}

    def run(name, seed, capsys):
        if (name, seed) not in done:
            picture = tmp_path_factory.mktemp("pictures") / f"{name}.png"
            module = load(name)
            capsys.readouterr()
            result = module.main(["--seed", str(seed), "--plot", str(picture)])
            done[name, seed] = module, result, capsys.readouterr(), picture
        return done[name, seed]

    return run


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_prints_plain_lines_and_draws_where_it_is_told(name, ran, capsys):
    _, _, out, picture = ran(name, 0, capsys)
    assert out.err == ""
    assert out.out.isascii()
    lines = out.out.splitlines()
    assert len(lines) >= 3
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_is_a_program_that_says_what_it_does(name):
    load(name)
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first = (EXAMPLES / f"{name}.py").read_text().splitlines()[0].removeprefix('"""')
    assert " ".join(first.split()) in " ".join(done.stdout.split())
    assert "--plot" in done.stdout
    assert done.stderr == ""


def test_the_list_of_examples_says_what_they_print(ran, capsys):
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\w+)\.py\]\(\1\.py\) \| .+ \| (.+) \|$", text, re.MULTILINE)
    assert sorted(name for name, _ in rows) == SCRIPTS
    number = r"(\d+(?:\.\d+)?)"
    for name, said in rows:
        printed = " ".join(ran(name, 0, capsys)[2].out.split())
        quoted = re.findall(r"`(.+?)`", said)
        assert quoted, name
        for line in quoted:
            # the last bits of NumPy's sine depend on the machine, and so a little do the results
            found = re.search(re.sub(r"\d+(\\\.\d+)?", lambda _: number, re.escape(line)), printed)
            assert found, (name, line)
            numbers = [float(text) for text in re.findall(number, line)]
            assert list(map(float, found.groups())) == pytest.approx(numbers, rel=0.5, abs=0.1)


# Regression


def r2(y, p):
    return 1 - np.sum((y - p) ** 2) / np.sum((y - np.mean(y)) ** 2)


@pytest.fixture(scope="module")
def diabetes():
    table = cr.tables.read("diabetes")
    return table.values[:, :-1], table.values[:, -1]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_network_is_level_with_least_squares(seed, ran, capsys, diabetes):
    _, (network, line), out, _ = ran("regression_diabetes", seed, capsys)
    X, y = diabetes
    A = np.column_stack([np.ones(len(y)), X])
    parts = np.array_split(np.random.default_rng(seed).permutation(len(y)), 5)
    for held in parts:
        train = np.isin(np.arange(len(y)), held, invert=True)
        w = np.linalg.solve(A[train].T @ A[train], A[train].T @ y[train])  # normal equations
        np.testing.assert_allclose(line[held], A[held] @ w, rtol=1e-6)
    for name, p in (("network", network), ("least squares", line)):
        found = re.search(rf"^{name} +([\d.]+) +([\d.]+)$", out.out, re.MULTILINE)
        assert float(found[1]) == pytest.approx(r2(y, p), abs=5.1e-4)
        assert float(found[2]) == pytest.approx(np.sqrt(np.mean((y - p) ** 2)), abs=0.051)
    assert r2(y, line) == pytest.approx(0.49, abs=0.02)
    assert r2(y, network) > r2(y, line) - 0.025


def test_no_held_out_row_is_learnt_from(ran, capsys, diabetes, monkeypatch):
    module, (network, _), _, _ = ran("regression_diabetes", 0, capsys)
    held = np.array_split(np.random.default_rng(0).permutation(len(diabetes[1])), 5)[2]
    table = module.tables.read("diabetes")
    table.values[held, -1] = 0.0
    monkeypatch.setattr(module.tables, "read", lambda name: table)
    other = module.main([])[0]
    assert (other[held] == network[held]).all()
    assert (np.delete(other, held) != np.delete(network, held)).all()


def test_without_dropout_penalty_and_early_stopping_it_is_worse(diabetes):
    X, y = diabetes
    p = np.empty(len(y))
    for held in np.array_split(np.random.default_rng(0).permutation(len(y)), 5):
        train = np.setdiff1d(np.arange(len(y)), held)
        net = cr.Network([cr.Dense(64, "tanh"), cr.Dense(1)], 10)
        net.fit(X[train], y[train], epochs=500, optimizer=cr.Adam(0.003), scale="auto")
        p[held] = net.predict(X[held])[:, 0]
    assert r2(y, p) < 0.4


# Classification


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_97_of_100_digits_are_right(seed, ran, capsys):
    _, said, out, _ = ran("classification_digits", seed, capsys)
    y = cr.tables.read("digits").values[:, -1]
    right = sum(a == b for a, b in zip(said, y, strict=True)) / len(y)
    assert right >= 0.975
    assert f"all parts: {100 * right:.2f}% of 1797 right" in out.out
    parts = np.array_split(np.random.default_rng(seed).permutation(len(y)), 5)
    for k, held in enumerate(parts, start=1):
        hits = np.count_nonzero(said[held] == y[held])
        text = f"part {k}: {100 * hits / len(held):.1f}% of {len(held)} held-out images right"
        assert text in out.out
    pairs = {}
    for digit, taken in zip(y, said, strict=True):
        if digit != taken:
            pairs[digit, taken] = pairs.get((digit, taken), 0) + 1
    most = sorted(pairs.values(), reverse=True)[:3]
    found = re.findall(r"a (\d) taken for a (\d): (\d+) of (\d+)", out.out)
    assert [int(count) for _, _, count, _ in found] == most
    for digit, taken, count, rows in found:
        assert pairs[int(digit), int(taken)] == int(count)
        assert np.count_nonzero(y == int(digit)) == int(rows)


def test_no_held_out_image_is_learnt_from(capsys, monkeypatch):
    module = load("classification_digits")
    module.EPOCHS = 2
    first = module.main([])
    table = module.tables.read("digits")
    held = np.array_split(np.random.default_rng(0).permutation(len(first)), 5)[2]
    table.values[held, -1] = 0
    monkeypatch.setattr(module.tables, "read", lambda name: table)
    other = module.main([])
    assert (other[held] == first[held]).all()
    assert np.count_nonzero(np.delete(other == 0, held)) > 1.2 * np.count_nonzero(
        np.delete(first == 0, held)
    )


# A surrogate


def swing(length, angle, damping):
    """The same by SciPy's integrator, to 1e-10."""
    from scipy.integrate import solve_ivp  # noqa: PLC0415

    def slopes(_, s):
        return [s[1], -9.81 / length * np.sin(s[0]) - 2 * damping * s[1]]

    def standstill(_, s):
        return s[1]

    standstill.direction = -1
    start, end = [np.radians(angle), 0.0], 6 * np.pi * np.sqrt(length / 9.81)
    how = {"events": standstill, "rtol": 1e-10, "atol": 1e-12, "method": "DOP853"}
    times = solve_ivp(slopes, (0, end), start, **how).t_events[0]
    return times[times > 1e-3][0]  # it stands still at 0 too


def test_the_simulation_is_right():
    special = pytest.importorskip("scipy.special", reason="SciPy is not here")
    module = load("surrogate")
    length, angle = np.array([0.2, 1.0, 2.0]), np.array([5.0, 90.0, 150.0])
    exact = 4 * np.sqrt(length / 9.81) * special.ellipk(np.sin(np.radians(angle) / 2) ** 2)
    np.testing.assert_allclose(module.period(length, angle, np.zeros(3)), exact, rtol=1e-6)
    X = np.random.default_rng(5).uniform(module.LOW, module.HIGH, (20, 3))
    np.testing.assert_allclose(module.period(*X.T), [swing(*row) for row in X], rtol=1e-5)


def test_the_surrogate_is_right_and_l_bfgs_made_it_better(ran, capsys):
    pytest.importorskip("scipy", reason="SciPy is not here")
    module, net, out, _ = ran("surrogate", 0, capsys)
    found = re.findall(r"epochs of (\S+) +([\d.]+) % +([\d.]+) %", out.out)
    assert [name for name, _, _ in found] == ["Adam", "L-BFGS"]
    (adam, _), (mean, largest) = [(float(a), float(b)) for _, a, b in found]
    assert mean < adam / 2
    assert mean < 0.1
    assert largest < 3.0
    X = np.random.default_rng(6).uniform(module.LOW, module.HIGH, (50, 3))
    error = 100 * np.abs(net.predict(X)[:, 0] / [swing(*row) for row in X] - 1)
    assert error.mean() == pytest.approx(mean, rel=0.6)
    assert error.max() < 2 * largest
    times = re.findall(r"([\d.]+) us by|: (\d+) times", out.out)
    simulated, predicted, ratio = times[0][0], times[1][0], times[2][1]
    assert int(ratio) == pytest.approx(float(simulated) / float(predicted), rel=0.02)
    assert int(ratio) > 10


# Bands


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_quantiles_are_those_of_the_noise(seed, ran, capsys):
    module, found, out, _ = ran("quantile_bands", seed, capsys)
    x = np.linspace(-1.9, 1.9, 500)
    width = 0.05 + 0.1 * (x + 2)

    def inverse(q):  # of the exponential distribution, less its mean
        return np.sin(2 * x) + width * (-np.log1p(-q) - 1)

    def part_below(y):
        return -np.expm1(-np.maximum((y - np.sin(2 * x)) / width + 1, 0)).mean()

    bands = {name: band(x[:, None]).T for name, band in found.items()}
    for q, said in zip((0.05, 0.5, 0.95), bands["quantiles"], strict=True):
        assert np.abs((said - inverse(q)) / width).mean() < (0.1 if q < 0.9 else 0.3)
        assert part_below(said) == pytest.approx(q, abs=0.025)
    lower, mean, upper = bands["normal"]
    assert np.abs((mean - np.sin(2 * x)) / width).mean() < 0.15
    assert np.median((upper - lower) / (2 * 1.645 * width)) == pytest.approx(1, abs=0.1)
    assert part_below(lower) < 0.01
    assert 0.05 < 1 - part_below(upper) < 0.1

    rng = np.random.default_rng(seed)
    module.sample(4000, rng)
    X, y = module.sample(4000, rng)
    for name, band in found.items():
        low, _, high = band(X).T
        parts = np.mean(y < low), np.mean((y >= low) & (y <= high)), np.mean(y > high)
        assert " ".join([name, *(f"{100 * part:.1f}%" for part in parts)]) in " ".join(
            out.out.split()
        )


# A grid search


def test_the_grid_search_is_what_a_loop_finds(ran, capsys):
    module, search, out, _ = ran("grid_search", 0, capsys)
    table, rent = module.flats(1500, np.random.default_rng(0))
    X, X_new, y, y_new = module.train_test_split(table, rent, random_state=0)

    def rmse(y, p):
        return float(np.sqrt(np.mean((np.asarray(y) - p) ** 2)))

    best = search.best_estimator_[-1]
    errors = []
    for held in np.array_split(np.arange(len(X)), 3):
        train = np.setdiff1d(np.arange(len(X)), held)
        model = module.MLPRegressor(**best.get_params(deep=False))
        model = module.pipeline(model).fit(X.iloc[train], y.iloc[train])
        errors.append(rmse(y.iloc[held], model.predict(X.iloc[held])))
    layers, activation = best.hidden_layer_sizes, best.activation
    printed = re.findall(r"^(\(.*?\)) +(\w+) +([\d.]+)(| <- best)$", out.out, re.MULTILINE)
    assert len(printed) == 6
    assert (f"{layers!s}", activation, f"{np.mean(errors):.1f}", " <- best") in printed
    assert min(float(error) for _, _, error, _ in printed) == round(np.mean(errors), 1)

    A, A_new = (
        np.column_stack([np.ones(len(t)), module.pd.get_dummies(t).to_numpy(float)])
        for t in (X, X_new)
    )
    line = A_new @ np.linalg.lstsq(A, y, rcond=None)[0]
    network = rmse(y_new, search.predict(X_new))
    assert re.search(rf"^best network +{network:.1f}$", out.out, re.MULTILINE)
    assert re.search(rf"^linear regression +{rmse(y_new, line):.1f}$", out.out, re.MULTILINE)
    assert 0.9 * module.NOISE < network < 1.4 * module.NOISE
    assert rmse(y_new, line) > 1.6 * network


def test_the_rents_have_the_noise_that_is_said():
    module = load("grid_search")
    rng = np.random.default_rng(0)
    table, rent = module.flats(4000, rng)
    same = np.random.default_rng(0)
    module.NOISE = 0.0
    again, truth = module.flats(4000, same)
    assert again.equals(table)
    assert np.std(rent - truth) == pytest.approx(60.0, rel=0.05)
