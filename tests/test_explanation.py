"""One derivative explained: the lecture's cases, differences, path sums, and what is printed."""

import itertools
import json
import math
import re
import time
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import evidence, reference

CASES = {
    case["id"].split("_")[0]: case
    for case in json.loads(
        (Path(__file__).parent / "data" / "lecture_cases.json").read_text(encoding="utf-8")
    )["networks"]
}


def network(case, dtype="float64"):
    layers = [cr.Dense(n, f) for n, f in zip(case["sizes"][1:], case["activations"], strict=True)]
    net = cr.Network(layers, case["sizes"][0], dtype=dtype)
    for l in range(1, net.L + 1):
        net.W[l], net.b[l] = case["W"][l - 1], case["b"][l - 1]
    return net


def traced(name, dtype="float64", loss="mse"):
    case = CASES[name]
    return network(case, dtype).trace(case["X"], case["Y"], loss)


def random_net(activations, units, n_in, seed=0, dtype="float64"):
    net = cr.Network([cr.Dense(n, f) for n, f in zip(units, activations, strict=True)], n_in, dtype)
    net.theta = np.random.default_rng(seed).normal(size=net.n_parameters)
    return net


def parameters(t):
    """(l, j, k) of every weight, (l, j, None) of every bias."""
    for l in range(1, t.L + 1):
        for j in range(1, t.n[l] + 1):
            for k in (None, *range(1, t.n[l - 1] + 1)):
                yield l, j, k


def derivative(t, l, j, k):
    return t.db[l][j - 1] if k is None else t.dW[l][j - 1, k - 1]


# ----------------------------------------------------------------------------- the lecture's cases


@pytest.mark.parametrize("name", CASES)
def test_every_derivative_of_the_lecture_is_explained(name):
    case, t = CASES[name], traced(name)
    for l, j, k in parameters(t):
        e = t.explain(l, j, k)
        right = case["db"][l - 1][j - 1] if k is None else case["dW"][l - 1][j - 1][k - 1]
        assert math.isclose(e.value, right, rel_tol=1e-12, abs_tol=1e-15)
        assert e.value.hex() == float(derivative(t, l, j, k)).hex()
        assert e.name == (f"dC/db^{l}_{j}" if k is None else f"dC/dw^{l}_{j},{k}")
        assert (e.l, e.j, e.k) == (l, j, k)
        assert e.kink or (e.agrees and e.check_error <= 1e-6)
        assert e.n_paths == len(e.paths) == t.m * math.prod(t.n[l + 1 :])
        terms = [path.value for path in e.paths]
        assert e.path_sum == math.fsum(terms)
        if case["exact_bits"] is None:
            # Where terms cancel, the largest says what rounding may do.
            assert abs(e.path_sum - e.value) <= 1e-12 * max(map(abs, terms))
        else:
            assert e.path_sum == e.value == right
        assert e.steps[-1].value == e.value
        assert str(e) == e.text


def test_the_path_sum_of_the_lecture():
    e = traced("N05").explain(1, 1, 1)
    values = [0, 0, 0.012709704138535392, -0.0179837151795531]
    assert [path.value for path in e.paths] == pytest.approx(values, rel=1e-14)
    assert e.path_sum == pytest.approx(-0.005274011041017708, rel=1e-14)
    assert [path.sample for path in e.paths] == [1, 2, 3, 4]
    exact = traced("N10")
    assert 0.1806640625 in {exact.explain(*p).path_sum for p in parameters(exact)}
    assert all(traced("N14").explain(*p).n_paths == 1 for p in parameters(traced("N14")))


def test_a_path_names_its_units_and_factors():
    t = traced("N13")
    e = t.explain(2, 3, 1)
    routes = [(path.sample, *path.units) for path in e.paths]
    assert routes == list(itertools.product(range(1, 6), [3], range(1, 5), [1]))
    for path in e.paths:
        names, values = zip(*path.factors, strict=True)
        i, (j, q, r) = path.sample - 1, path.units
        assert names == (
            *("a^1_1", f"f'(z^2_{j})", f"w^3_{q},{j}", f"f'(z^3_{q})", f"w^4_{r},{q}"),
            *(f"f'(z^4_{r})", f"dC/da^4_{r}"),
        )
        assert values[0] == t.a[1][i, 0]
        assert values[2] == t.W[3][q - 1, j - 1]
        assert values[6] == pytest.approx(2 / 5 * (t.a[4][i, r - 1] - t.Y[i, r - 1]), rel=1e-15)
        assert path.value == math.prod(values)
    bias = t.explain(2, 3)
    assert bias.paths[0].factors == e.paths[0].factors[1:]


def test_the_steps_are_the_equations():
    t = traced("N08")
    e = t.explain(1, 2, 3)
    i = int(np.argmax(abs(t.delta[1][:, 1] * t.a[0][:, 2])))
    tags = [re.findall(r"\((?:MSE|BP\d|Z)\)", step.formula) for step in e.steps]
    assert tags == [["(MSE)"], ["(BP1)"], ["(BP2)"], ["(Z)"], ["(BP4)"]]
    values = [step.value for step in e.steps]
    D = t.Y.size
    assert values[0] == pytest.approx(2 / D * (t.a[2][i, 1] - t.Y[i, 1]))
    assert values[1:4] == [t.delta[2][i, 1], t.delta[1][i, 1], t.a[0][i, 2]]
    assert "(BP3)" in t.explain(1, 2).text
    assert "(BP4)" not in t.explain(1, 2).text
    assert "(BP2)" not in t.explain(2, 1).text


def numbers_hold(line):
    """Whether the last `left = right` of a line holds to the digits shown; None: no arithmetic."""
    line = re.sub(r"^sample \d+: ", "", line.split("  ")[0])
    left, equals, right = line.rpartition(" = ")
    left = left.rpartition(" = ")[2]
    if not equals or not re.fullmatch(r"[-+*/^().\de ]|[-+*/^().\de exp]+", left):
        return None
    python = left.replace("^", "**").replace("exp", "math.exp")
    python = re.sub(r"(?<=[\d)]) \(", " * (", python)  # 2/4 (x - y), a (1 - a)
    found, shown = eval(python, {"math": math}), float(right)
    cancels = 2e-6 if "1 - " in left else 0.0  # six digits of a are few of 1 - a
    return math.isclose(found, shown, rel_tol=2e-4, abs_tol=cancels)


@pytest.mark.parametrize("name", [n for n in CASES if n != "N19"])
def test_the_printed_numbers_can_be_calculated(name):
    t, seen = traced(name), 0
    for l, j, k in parameters(t):
        for step in t.explain(l, j, k).steps:
            for line in step.numbers.splitlines():
                holds = numbers_hold(line)
                assert holds is not False, (l, j, k, line)
                seen += holds is True
    assert seen >= 2 * t.L


def test_a_wrong_number_would_be_seen():
    assert numbers_hold("delta^2_1 = 0.5 * (-0.25) = -0.125")
    assert numbers_hold("dC/da^2_1 = 2/4 (0.5 - 1) = 0.25") is False
    assert numbers_hold("f'(z^2_1) = 1 - exp(-0.444861) = 0.359086")
    assert numbers_hold("f'(z^1_1) = 0  since z^1_1 = -1 <= 0") is None


# ---------------------------------------------------------------------------------------- the check


@pytest.mark.parametrize("loss", [cr.MSE(r) for r in ("mean", "sum", "half_mean")], ids=str)
@pytest.mark.parametrize("f", reference.ACTIVATIONS)
def test_checks_and_paths_for_every_activation_and_loss(f, loss, dtype):
    net = random_net((f, "tanh", f), (3, 2, 2), 2, dtype=dtype)
    rng = np.random.default_rng(1)
    t = net.trace(rng.normal(size=(4, 2)), rng.normal(size=(4, 2)), loss)
    tolerance = 1e-6 if dtype == "float64" else 2e-3
    rounding = 1e-12 if dtype == "float64" else 1e-5
    for p in parameters(t):
        e = t.explain(*p)
        assert not e.kink
        assert e.agrees
        assert e.check_error < tolerance
        assert abs(e.path_sum - e.value) <= rounding * max(abs(path.value) for path in e.paths)


def test_the_check_is_the_difference_of_the_reference():
    t = traced("N07")
    W, b = ([None, *(np.array(p) for p in part)] for part in (t.W, t.b))
    dW, db = reference.numerical_gradient(W, b, t.activations, t.a[0], t.Y)
    for l, j, k in parameters(t):
        right = db[l][j - 1] if k is None else dW[l][j - 1, k - 1]
        assert t.explain(l, j, k).check == pytest.approx(right, rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("factor", [0.5, -1, 1.001])
def test_a_wrong_derivative_does_not_agree(factor):
    t = traced("N07")
    for part in (*t.dW, *t.db):
        part[...] *= factor
    for p in parameters(t):
        e = t.explain(*p)
        assert not e.agrees
        assert e.check_error > 1e-5
        assert "THEY DO NOT AGREE" in e.text
        assert abs(e.path_sum - e.value) > 1e-4 * abs(e.value)  # and the paths do not, too


def test_a_wrong_float32_derivative_does_not_agree():
    t = traced("N07", "float32")
    for part in (*t.dW, *t.db):
        part[...] *= np.float32(1.01)
    assert not any(t.explain(*p).agrees for p in parameters(t))


def test_a_wrong_equation_is_seen(monkeypatch):
    monkeypatch.setitem(reference.ACTIVATIONS, "tanh", (reference.sigmoid, reference.d_tanh))
    t = traced("N07")
    assert not any(t.explain(1, j, k).agrees for j in range(1, 5) for k in range(1, 4))


def test_the_kink_is_flagged_where_a_unit_sits_on_it():
    t = traced("N20")
    on_kink = {(1, 1, None), (1, 1, 1), (1, 1, 2)}
    for p in parameters(t):
        e = t.explain(*p)
        assert e.kink == (p in on_kink), p
        assert ("no derivative" in e.text) == e.kink
        assert e.agrees != e.kink


def test_a_kink_above_the_parameter_is_flagged_and_one_out_of_reach_is_not():
    net = cr.Network([cr.Dense(1), cr.Dense(2, "relu"), cr.Dense(1)], 1, dtype="float64")
    net.W[1], net.W[2], net.W[3] = [[1.0]], [[1.0], [1.0]], [[1.0, 1.0]]
    net.b[2] = [-1.0, 0.0]
    t = net.trace([1.0], 0.0)
    flags = {p: t.explain(*p).kink for p in parameters(t)}
    expected = {p: p[0] == 1 or p[:2] == (2, 1) for p in flags}
    assert flags == expected
    net.b[2] = [-0.9999, 0.0]  # near, but the step is smaller
    assert not any(net.trace([1.0], 0.0).explain(*p).kink for p in parameters(t))


def test_a_kink_that_the_parameter_cannot_move_is_not_flagged():
    net = cr.Network([cr.Dense(1, "relu")], 1, dtype="float64")
    net.W[1], net.b[1] = [[1.0]], [0.0]
    t = net.trace([[1.0], [0.0]], [0.0, 0.0])  # z = 0 for the second sample, whose input is 0
    assert not t.explain(1, 1, 1).kink
    assert t.explain(1, 1).kink


def test_a_derivative_too_small_for_a_difference_agrees():
    e = traced("N19").explain(1, 2, 1)
    assert 0 < e.value < 1e-17
    assert e.agrees
    assert e.check_error < 1e-6
    assert "as far as a difference can tell" in e.text


@pytest.mark.parametrize("size", [1e-6, 1e3, 1e6])
def test_inputs_of_any_size(size):
    net = random_net(("tanh", "identity"), (3, 1), 2)
    net.W[1] = net.W[1] / size
    rng = np.random.default_rng(2)
    t = net.trace(size * rng.normal(size=(5, 2)), rng.normal(size=5))
    assert all(t.explain(*p).agrees for p in parameters(t))


# ------------------------------------------------------------------------------- the trace itself


def test_a_trace_has_what_its_derivatives_are_made_of():
    case = CASES["N07"]
    net = network(case)
    t = net.trace(case["X"], case["Y"], cr.MSE("sum"))
    assert (t.m, t.n, t.L) == (5, (3, 4, 2), 2)
    assert t.activations == ("tanh", "identity")
    assert t.loss == cr.MSE("sum")
    assert t.scaling is None
    assert np.array_equal(t.Y, case["Y"])
    assert np.array_equal(t.W[1], case["W"][0])
    assert np.array_equal(t.b[2], case["b"][1])
    before = t.explain(1, 1, 1).text
    net.theta[...] = 0
    assert np.array_equal(t.W[1], case["W"][0])
    assert t.explain(1, 1, 1).text == before


def test_targets_are_copied():
    net = random_net(("tanh",), (2,), 2)
    X, Y = np.ones((3, 2)), np.zeros((3, 2))
    t = net.trace(X, Y)
    Y[:] = 7
    X[:] = 7
    assert not t.Y.any()
    assert t.explain(1, 1, 1).agrees


@pytest.mark.parametrize("Y", [0.5, [0.5], [[0.5]]], ids=repr)
def test_one_sample(Y):
    net = random_net(("tanh", "sigmoid"), (3, 1), 2)
    one, many = net.trace([1.0, 2.0], Y), net.trace([[1.0, 2.0]], [0.5])
    assert one.z[1].shape == (1, 3)
    for name in ("z", "a", "delta", "dW", "db"):
        for p, q in zip(getattr(one, name), getattr(many, name), strict=True):
            assert p.tobytes() == q.tobytes()
    assert one.explain(1, 1, 1).text == many.explain(1, 1, 1).text
    assert "sample 1" not in one.explain(1, 1, 1).text


@pytest.mark.parametrize(
    ("X", "Y", "words"),
    [
        ([1, 2, 3], [1, 2], r"X: expected 2-D, got shape \(3,\)"),
        ([1, 2], [1], "Y has 1 columns, but Network is expecting 2"),
        ([1, 2], 3, "Y has 1 columns, but Network is expecting 2"),
        ([1, 2], [[1, 2], [3, 4]], "Y has 2 rows, but X has 1"),
        ([[1, 2]], [1, 2], "Y: expected 2-D"),
        ([np.nan, 1], [1, 2], "X must be finite"),
    ],
)
def test_bad_samples(X, Y, words, unchanged):
    net = random_net(("tanh",), (2,), 2)
    with unchanged(net), pytest.raises(ValueError, match=words):
        net.trace(X, Y)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((0, 1, 1), "l must be from 1 to 2: the layers of this network.*got 0"),
        ((3, 1), "l must be from 1 to 2.*got 3"),
        ((-1, 1), "l must be from 1 to 2.*got -1"),
        ((1, 5, 1), "j must be from 1 to 4: the units of layer 1 are.*got 5"),
        ((1, 0), "j must be from 1 to 4.*got 0"),
        ((1, 1, 4), "k must be from 1 to 3: the inputs are numbered 1 to 3; got 4"),
        ((2, 1, 0), "k must be from 1 to 4: the units of layer 1.*got 0"),
    ],
)
def test_places_out_of_range(place, words):
    with pytest.raises(ValueError, match=words):
        traced("N07").explain(*place)


@pytest.mark.parametrize("place", [(1.0, 1), (True, 1), ("1", 1), (1, None), (1, 1, 1.5)])
def test_places_that_are_not_whole_numbers(place):
    with pytest.raises(TypeError, match="must be a whole number"):
        traced("N07").explain(*place)


# -------------------------------------------------------------------------------- what it prints


def test_a_small_trace_prints_its_matrices_and_a_large_one_does_not():
    small = str(traced("N05"))
    assert "delta[1] = [[" in small
    assert "sigmoid" in small
    assert "cost C = 0.253866" in small
    large = str(traced("N13"))
    assert "[[" not in large
    assert len(large.splitlines()) == 11
    assert repr(traced("N13")).count("\n") == 0


def test_the_norms_of_the_table():
    t = traced("N13")
    row = str(t).splitlines()[5].split()
    assert row[:2] == ["1", "relu"]
    parts = (t.z, t.a, t.delta, t.dW, t.db)
    assert row[-5:] == [f"{np.linalg.norm(part[1]):.6g}" for part in parts]


def test_norms_of_numbers_whose_squares_overflow():
    net = random_net(("identity",), (1,), 1)
    t = net.trace([[1e200]], [[0.0]])
    assert "1e+200" in str(t)


def test_a_network_of_a_million_parameters(dtype):
    layers = [cr.Dense(1000, "relu"), cr.Dense(900, "tanh"), cr.Dense(10)]
    net = cr.Network(layers, 100, dtype)
    rng = np.random.default_rng(0)
    t = net.trace(rng.normal(size=(32, 100)), rng.normal(size=(32, 10)))
    start = time.perf_counter()
    e = t.explain(1, 3, 2)
    shown = str(t) + repr(t)
    assert time.perf_counter() - start < 5  # some 0.1 s; a busy machine takes longer
    assert len(shown) < 1000
    assert len(e.text) < 8000
    assert len(e.latex) < 8000
    assert (e.paths, e.path_sum, e.n_paths) == ((), None, 32 * 900 * 10)
    assert "288,000 paths" in e.text
    assert e.agrees or e.kink


def test_a_deep_network_is_short_too():
    net = random_net(("tanh",) * 200, (3,) * 200, 2)
    e = net.trace([1.0, 2.0], [0.0, 0.0, 0.0]).explain(1, 1, 1)
    assert len(e.text) < 8000
    assert e.n_paths == 3**199
    assert "about 10^94 paths" in e.text
    assert len(str(net.trace([1.0, 2.0], [0.0, 0.0, 0.0])).splitlines()) < 25


def test_many_samples_and_many_terms_are_added_up():
    net = random_net(("tanh", "identity"), (2, 20), 2)
    rng = np.random.default_rng(4)
    t = net.trace(rng.normal(size=(1000, 2)), rng.normal(size=(1000, 20)))
    e = t.explain(1, 1, 1)
    shares = t.delta[1][:, 0] * t.a[0][:, 0]
    assert f"... and 992 more, together {shares[8:].sum():.6g}" in e.text
    assert "... and 12 more, together" in e.text
    assert "sample 8:" in e.text
    assert "sample 9:" not in e.text


def test_more_than_a_thousand_paths_are_not_listed():
    net = random_net(("tanh", "identity"), (2, 4), 2)
    X, Y = np.ones((250, 2)), np.ones((250, 4))
    assert len(net.trace(X, Y).explain(1, 1, 1).paths) == 1000 == evidence.MOST_PATHS
    X, Y = np.ones((251, 2)), np.ones((251, 4))
    e = net.trace(X, Y).explain(1, 1, 1)
    assert (e.paths, e.path_sum, e.n_paths) == ((), None, 1004)


def test_standardised_units_are_said():
    net = random_net(("tanh",), (1,), 2)
    X, Y = np.array([[1.0, 200.0], [3.0, 100.0]]), [10.0, 30.0]
    assert "standardised" not in net.trace(X, Y).explain(1, 1, 1).text
    net.scaling = cr.Scaling.fit(X, Y)
    t = net.trace(X, Y)
    assert t.Y.tolist() == [[-1], [1]]
    assert "standardised units" in t.explain(1, 1, 1).text
    assert "standardised units" in str(t)
    assert t.explain(1, 1, 1).agrees


def test_numbers_that_are_not_finite(dtype):
    net = random_net(("relu", "identity"), (3, 2), 2, dtype=dtype)
    net.W[1][...] = net.W[2][...] = 0.9 * np.finfo(dtype).max
    t = net.trace([10.0, 20.0], [1.0, 2.0])
    assert np.isnan(t.dW[1]).all()
    e = t.explain(1, 1, 1)
    assert math.isnan(e.value)
    assert math.isnan(e.check)
    assert not e.agrees
    assert "look at t.z[1] first" in e.text
    assert "nothing can be checked" in e.text
    assert r"\infty" in e.latex
    assert "inf" in str(t)


def test_no_line_is_long():
    for name in CASES:
        t = traced(name)
        for p in parameters(t):
            assert max(map(len, t.explain(*p).text.splitlines())) <= 100


# -------------------------------------------------------------------------------------------- LaTeX


def rows_of(latex):
    lines = latex.splitlines()
    assert (lines[0], lines[-1]) == (r"\begin{aligned}", r"\end{aligned}")
    return [line.removesuffix(r" \\") for line in lines[1:-1]]


@pytest.mark.parametrize("name", CASES)
def test_latex_is_well_formed(name):
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser, seen = mathtext.MathTextParser("path"), set()
    t = traced(name)
    for p in parameters(t):
        e = t.explain(*p)
        for latex in (e.latex, *(step.latex for step in e.steps)):
            for row in rows_of(latex):
                assert row.count("&") == 1
                plain = re.sub(r"\\text\{([^}]*)\}", r"\\mathrm{\1}", row.replace("&", ""))
                assert re.search(r"\^\d\d|_\d\d|_\d,", plain) is None, plain
                form = re.sub(r"\d+(\.\d+)?", "7", plain)  # rows of other numbers are alike
                if form not in seen:
                    parser.parse(f"${plain}$")
                seen.add(form)


def test_the_latex_of_one_weight():
    rows = rows_of(traced("N05").explain(1, 1, 2).latex)
    assert rows[0] == (
        r"\frac{\partial C}{\partial a^{2}_{j}} &= \frac{2}{D} (a^{2}_{j} - y_{j})"
        r" \quad \text{(MSE)}"
    )
    assert (
        r"\frac{\partial C}{\partial w^{1}_{1,2}} &="
        r" \sum_{i} \delta^{1}_{1}(i) a^{0}_{2}(i) \quad \text{(BP4)}"
    ) in rows
    assert rows[-1].startswith(r"\frac{\partial C}{\partial w^{1}_{1,2}} &= -0.00603887")
    tiny = traced("N19").explain(1, 2, 1).latex
    assert r"4.24835 \times 10^{-18}" in tiny


def test_explanation_is_public():
    e = traced("N05").explain(1, 1)
    assert isinstance(e, cr.Explanation)
    assert repr(e) == f"<dC/db^1_1 = {e.value!r}; print it for the explanation>"


def test_a_cost_that_is_nan_is_nan():
    net = cr.Network([cr.Dense(2, "tanh"), cr.Dense(1)], n_inputs=2, dtype="float64")
    net.W[1][0, 0] = np.nan
    assert np.isnan(net.trace([1.0, 2.0], 1.0).cost)
