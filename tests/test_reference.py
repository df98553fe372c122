"""The NumPy reference against numbers from outside: the lecture's cases, mpmath, complex steps."""

import ast
import importlib.util
import json
import math
from itertools import pairwise
from pathlib import Path

import mpmath
import numpy as np
import pytest

from chainrule import reference

CASES = json.loads((Path(__file__).parent / "data" / "lecture_cases.json").read_text())
U = 2.0**-53

SMOOTH = ["identity", "sigmoid", "tanh", "softplus", "gelu", "silu"]
NAMES = [*SMOOTH, "relu", "leaky_relu"]


def ids(kind):
    return [pytest.param(case, id=case["id"]) for case in CASES[kind]]


def numbered(arrays, dtype=np.float64):
    return [None, *(np.array(array, dtype) for array in arrays)]


def build(case, dtype=np.float64):
    W, b = numbered(case["W"], dtype), numbered(case["b"], dtype)
    return W, b, case["activations"], np.array(case["X"], dtype), np.array(case["Y"], dtype)


def random_network(activations, m, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    n = [3, 5, 4, 3][: len(activations)]
    n.append(2)
    W = [None, *(rng.normal(size=(out, into)) for into, out in pairwise(n))]
    b = [None, *(rng.normal(size=out) for out in n[1:])]
    X, Y = rng.normal(size=(m, n[0])), rng.normal(size=(m, n[-1]))
    cast = [[None, *(p.astype(dtype) for p in layers[1:])] for layers in (W, b)]
    return *cast, activations, X.astype(dtype), Y.astype(dtype)


def same(got, expected, exact, rtol=1e-12, atol=1e-15):
    expected = np.array(expected, dtype=np.float64)
    assert got.shape == expected.shape
    if exact:
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)


# The lecture's cases


@pytest.mark.parametrize("case", ids("networks"))
def test_network_cases(case):
    W, b, names, X, Y = build(case)
    z, a = reference.forward(W, b, names, X)
    delta, dW, db = reference.backward(W, names, z, a, Y)
    exact = case["exact_bits"] is not None
    same(reference.cost(a[-1], Y), case["cost"], exact)
    assert a[0] is X
    assert z[0] is delta[0] is dW[0] is db[0] is None
    assert len(z) == len(a) == len(delta) == len(dW) == len(db) == len(W)
    for l in range(1, len(W)):
        for name, got in {"z": z, "a": a, "delta": delta, "dW": dW, "db": db}.items():
            same(got[l], case[name][l - 1], exact)


@pytest.mark.parametrize("case", [c for c in ids("networks") if c.values[0]["bf16_inputs"]])
def test_network_cases_in_float32(case):
    C, dW, db = reference.gradient(*build(case, np.float32))
    assert C.dtype == np.float32
    exact = case["exact_bits"] is not None and case["exact_bits"] <= 24
    same(C, case["cost"], exact, rtol=2e-5, atol=2e-5)
    for l in range(1, len(dW)):
        assert dW[l].dtype == db[l].dtype == np.float32
        same(dW[l], case["dW"][l - 1], exact, rtol=2e-5, atol=2e-5)
        same(db[l], case["db"][l - 1], exact, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("case", ids("neurons"))
def test_neuron_cases(case):
    W, b = [None, np.array([case["w"]])], [None, np.array([case["b"]])]
    X, y = np.array(case["X"]), np.array(case["y"])[:, None]
    names = [case["activation"]]
    z, a = reference.forward(W, b, names, X)
    delta, dW, db = reference.backward(W, names, z, a, y)
    _, df = reference.ACTIVATIONS[case["activation"]]
    exact = case["exact_bits"] is not None
    same(z[1][:, 0], case["z"], exact)
    same(a[1][:, 0], case["a"], exact)
    same((a[1] - y)[:, 0], case["e"], exact)
    same(df(z[1])[:, 0], case["act_prime"], exact)
    same(reference.cost(a[1], y), case["cost"], exact)
    same(len(X) * delta[1] * X, case["dw_per_sample"], exact)
    same(len(X) * delta[1][:, 0], case["db_per_sample"], exact)
    same(dW[1][0], case["dw"], exact)
    same(db[1][0], case["db"], exact)


@pytest.mark.parametrize("name", ["N19_saturated", "U13_sigmoid_saturated"])
def test_saturated_cases_to_the_last_digit(name):
    # Forms like a (1 - a) or 1 - a^2 are 0 here: they pass only with an absolute tolerance.
    case = next(c for kind in ("networks", "neurons") for c in CASES[kind] if c["id"] == name)
    if "w" in case:
        W, b = [None, np.array([case["w"]])], [None, np.array([case["b"]])]
        names, X, Y = [case["activation"]], np.array(case["X"]), np.array(case["y"])[:, None]
        expected = [[case["dw"]]], [[case["db"]]]
    else:
        W, b, names, X, Y = build(case)
        expected = case["dW"], case["db"]
    _, dW, db = reference.gradient(W, b, names, X, Y)
    for l in range(1, len(W)):
        same(dW[l], expected[0][l - 1], exact=False, atol=0)
        same(db[l], expected[1][l - 1], exact=False, atol=0)


@pytest.mark.parametrize("case", ids("descent"))
def test_descent_cases(case):
    W, b, names, X, Y = build(case)
    exact = case["exact_bits"] is not None
    m, rate = len(X), case["lr"]

    def row():
        return np.concatenate([p.ravel() for l in range(1, len(W)) for p in (W[l], b[l])])

    same(row(), case["path"][0], exact=True)
    for step in range(case["steps"]):
        _, dW, db = reference.gradient(W, b, names, X, Y)
        norm = math.sqrt(sum(float((g**2).sum()) for g in [*dW[1:], *db[1:]]))
        np.testing.assert_allclose(norm, case["grad_norm"][step], rtol=1e-12, atol=1e-15)
        costs = reference.fit(W, b, names, X, Y, 1, m, rate)
        same(np.array(costs), case["cost"][step : step + 1], exact)
        same(row(), case["path"][step + 1], exact)
    same(reference.cost(reference.forward(W, b, names, X)[1][-1], Y), case["cost"][-1], exact)

    W, b, names, X, Y = build(case)  # all steps in one call
    costs = reference.fit(W, b, names, X, Y, case["steps"], m, rate)
    same(np.array(costs), case["cost"][:-1], exact)
    for l in range(1, len(W)):
        same(W[l], case["final_W"][l - 1], exact)
        same(b[l], case["final_b"][l - 1], exact)


# Activations against mpmath


def _mp(name):
    mp = mpmath.mp
    return {
        "identity": lambda z: z,
        "relu": lambda z: z if z > 0 else mp.mpf(0),
        "leaky_relu": lambda z: z if z > 0 else z * mp.mpf(0.01),
        "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
        "tanh": mp.tanh,
        "softplus": lambda z: mp.log1p(mp.exp(z)),
        "gelu": lambda z: z * mp.erfc(-z / mp.sqrt(2)) / 2,
        "silu": lambda z: z / (1 + mp.exp(-z)),
    }[name]


POINTS = [s * p for p in (0.5, 1e-9, 1.25, 3.0, 8.0, 16.5, 40.0, 700.0) for s in (1.0, -1.0)]


def _sharp(name, z):
    """Units in the last place allowed at z: exp(-z^2 / 2) magnifies the rounding of z^2."""
    return 6 + (2 * z * z if name == "gelu" else 0)


@pytest.mark.parametrize("name", NAMES)
def test_activation_against_mpmath(name):
    f, df = reference.ACTIVATIONS[name]
    for z in POINTS:
        with mpmath.workdps(60 + int(abs(z))):  # 1 - f(700) has 304 zeros behind the point
            value = float(_mp(name)(mpmath.mpf(z)))
            slope = float(mpmath.diff(_mp(name), mpmath.mpf(z), method="step"))
        limit = _sharp(name, z) * 2 * U
        array = np.array([[z]])
        assert f(array).shape == df(array).shape == (1, 1)
        assert abs(f(array)[0, 0] - value) <= limit * abs(value) + 1e-320, z
        # silu' and gelu' are sums of two terms, f(z) / z and the rest, which cancel near z = -1
        first = value / z if name in ("silu", "gelu") else 0.0
        size = abs(first) + abs(slope - first)
        assert abs(df(array)[0, 0] - slope) <= limit * size + 1e-320, z


@pytest.mark.parametrize(
    ("name", "at_0", "slope_at_0", "at_minus_inf", "slope_at_minus_inf", "slope_at_inf"),
    [
        ("identity", 0, 1, -math.inf, 1, 1),
        ("relu", 0, 0, 0, 0, 1),
        ("leaky_relu", 0, 0.01, -math.inf, 0.01, 1),
        ("sigmoid", 0.5, 0.25, 0, 0, 0),
        ("tanh", 0, 1, -1, 0, 0),
        ("softplus", math.log(2), 0.5, 0, 0, 1),
        ("gelu", 0, 0.5, 0, 0, 1),
        ("silu", 0, 0.5, 0, 0, 1),
    ],
)
def test_activation_at_zero_and_at_infinity(
    name, at_0, slope_at_0, at_minus_inf, slope_at_minus_inf, slope_at_inf
):
    f, df = reference.ACTIVATIONS[name]
    z = np.array([0.0, -0.0, -math.inf, math.inf])
    at_inf = {"sigmoid": 1, "tanh": 1}.get(name, math.inf)
    np.testing.assert_allclose(f(z), [at_0, at_0, at_minus_inf, at_inf], rtol=2 * U)
    np.testing.assert_array_equal(df(z), [slope_at_0] * 2 + [slope_at_minus_inf, slope_at_inf])
    assert np.isnan(f(np.array([math.nan]))).all()
    if name in SMOOTH[1:]:
        assert np.isnan(df(np.array([math.nan]))).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_activation_keeps_the_type(name, dtype):
    z = np.linspace(-3, 3, 7).astype(dtype)
    for part in reference.ACTIVATIONS[name]:
        assert part(z).dtype == dtype
        np.testing.assert_allclose(part(z).real, part(z.real.astype(np.float64)), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_activation_of_huge_numbers(name):
    # filterwarnings = error: an overflow on the way would be an exception
    f, df = reference.ACTIVATIONS[name]
    for z in (np.array([1e300, -1e300]), np.array([1e37, -1e37], np.float32)):
        assert not np.isnan(f(z)).any()
        assert np.isfinite(df(z)).all()


@pytest.mark.parametrize("name", SMOOTH)
def test_activation_complex_step(name):
    f, df = reference.ACTIVATIONS[name]
    z = np.array([p for p in [*POINTS, 0.0] if abs(p) < 100])
    slope = f(z + 1e-30j).imag / 1e-30
    size = 1 + np.abs(z)
    np.testing.assert_array_less(np.abs(slope - df(z)), 16 * U * size * np.maximum(1, z**2))
    assert np.abs(f(z + 1e-30j).real - f(z)).max() <= 2 * U * np.abs(f(z)).max()


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "silu"])
def test_activation_of_complex_numbers(name):
    f, _ = reference.ACTIVATIONS[name]
    for z in (0.75 + 0.5j, -0.5 + 1.25j, -3 - 0.25j, 2 + 1e-3j):
        np.testing.assert_allclose(f(np.array([z])), complex(_mp(name)(mpmath.mpc(z))), rtol=8 * U)


@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_kink_is_decided_on_the_real_part(name):
    f, df = reference.ACTIVATIONS[name]
    z = np.array([-1.0, 0.0, -0.0, 2.0])
    for step in (1e-30j, -1e-30j):
        np.testing.assert_allclose(f(z + step).imag / step.imag, df(z), rtol=4 * U)


# The gradient against complex steps and differences


def gauge(W, b, names, X, Y):
    """Both passes on absolute values: how large the terms are that add up to a derivative."""
    z, a = reference.forward(W, b, names, X)
    L = len(W) - 1
    slope = [None, *(abs(reference.ACTIVATIONS[names[l - 1]][1](z[l])) for l in range(1, L + 1))]
    A = [abs(X)]
    for l in range(1, L + 1):
        A.append(abs(a[l]) + slope[l] * (A[l - 1] @ abs(W[l]).T + abs(b[l])))
    GW, Gb = [None] * (L + 1), [None] * (L + 1)
    p = 2 / Y.size * (A[L] + abs(Y))
    for l in range(L, 0, -1):
        d = p * slope[l]
        GW[l], Gb[l] = d.T @ A[l - 1], d.sum(axis=0)
        p = d @ abs(W[l])
    return GW, Gb


NETWORKS = [
    *([name, name, "identity"] for name in NAMES),
    ["tanh", "relu", "sigmoid"],
    ["gelu", "silu", "softplus", "leaky_relu"],
    ["sigmoid"],
]


@pytest.mark.parametrize("names", NETWORKS, ids="-".join)
@pytest.mark.parametrize("m", [1, 2, 17])
def test_gradient_against_complex_step(names, m):
    network = random_network(names, m, seed=m)
    _, dW, db = reference.gradient(*network)
    other_dW, other_db = reference.complex_step_gradient(*network)
    GW, Gb = gauge(*network)
    for l in range(1, len(dW)):
        assert other_dW[l].dtype == np.float64
        assert (abs(dW[l] - other_dW[l]) <= 64 * U * GW[l]).all()
        assert (abs(db[l] - other_db[l]) <= 64 * U * Gb[l]).all()
    assert db[-1].any()


@pytest.mark.parametrize("names", NETWORKS, ids="-".join)
def test_gradient_against_differences(names):
    network = random_network(names, 4)
    before = [p.copy() for part in network[:2] for p in part[1:]]
    _, dW, db = reference.gradient(*network)
    other_dW, other_db = reference.numerical_gradient(*network)
    largest = max(abs(g).max() for g in [*dW[1:], *db[1:]])
    for l in range(1, len(dW)):
        for g, other in ((dW[l], other_dW[l]), (db[l], other_db[l])):
            np.testing.assert_allclose(g, other, rtol=1e-6, atol=1e-8 * max(1, largest))
    for p, q in zip(before, [p for part in network[:2] for p in part[1:]], strict=True):
        np.testing.assert_array_equal(p, q)


def test_difference_error_falls_with_the_square_of_the_step():
    network = random_network(["tanh", "sigmoid"], 4)
    _, dW, _ = reference.gradient(*network)

    def error(h):
        return np.abs(reference.numerical_gradient(*network, h=h)[0][1] - dW[1]).max()

    assert error(2e-2) / error(1e-2) == pytest.approx(4, rel=0.05)


def test_difference_step_grows_with_the_parameter():
    # With a step of 6e-6 at w = -1e6 the rounding of the cost would be all there is to see.
    W, b = [None, np.array([[-1e6]])], [None, np.zeros(1)]
    X, Y = np.full((1, 1), 1e-6), np.ones((1, 1))
    dW, _ = reference.numerical_gradient(W, b, ["identity"], X, Y)
    np.testing.assert_allclose(dW[1], [[-4e-6]], rtol=1e-9)


def test_float32_gradient():
    network = random_network(["tanh", "gelu", "identity"], 8, dtype=np.float32)
    C, dW, db = reference.gradient(*network)
    double = [
        [None, *(p.astype(np.float64) for p in part[1:])] if isinstance(part, list) else part
        for part in network[:2]
    ]
    X, Y = (part.astype(np.float64) for part in network[3:])
    exact_C, exact_dW, exact_db = reference.gradient(*double, network[2], X, Y)
    assert C.dtype == np.float32
    np.testing.assert_allclose(C, exact_C, rtol=1e-6)
    for l in (1, 2, 3):
        assert dW[l].dtype == db[l].dtype == np.float32
        np.testing.assert_allclose(dW[l], exact_dW[l], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(db[l], exact_db[l], rtol=1e-4, atol=1e-6)
    rough, _ = reference.numerical_gradient(*network)  # with a step that fits float32
    np.testing.assert_allclose(rough[1], exact_dW[1], rtol=0.02, atol=0.02)


def test_batch_is_the_mean_of_its_samples():
    W, b, names, X, Y = random_network(["tanh", "sigmoid", "identity"], 6)
    _, dW, db = reference.gradient(W, b, names, X, Y)
    single = [reference.gradient(W, b, names, X[i : i + 1], Y[i : i + 1]) for i in range(6)]
    for l in (1, 2, 3):
        np.testing.assert_allclose(np.mean([g[1][l] for g in single], axis=0), dW[l], rtol=1e-13)
        np.testing.assert_allclose(np.mean([g[2][l] for g in single], axis=0), db[l], rtol=1e-13)


# Gradient descent by hand


def test_one_step_by_hand():
    theta, g = np.array([1.0, -2.0]), np.array([4.0, 0.5])
    np.testing.assert_array_equal(reference.sgd(theta, g, 0.25), [0.0, -2.125])
    theta, v = reference.momentum(theta, np.array([2.0, -1.0]), g, 0.25, 0.5)
    np.testing.assert_array_equal(v, [5.0, 0.0])  # 0.5 * [2, -1] + [4, 0.5]
    np.testing.assert_array_equal(theta, [-0.25, -2.0])


def test_momentum_0_is_sgd():
    theta, g = np.array([1.0, -2.0, 0.3]), np.array([4.0, 0.5, -0.1])
    moved, v = reference.momentum(theta, np.array([7.0, 8.0, 9.0]), g, 0.1, 0.0)
    np.testing.assert_array_equal(moved, reference.sgd(theta, g, 0.1))
    np.testing.assert_array_equal(v, g)


def test_fit_with_momentum_by_hand():
    # C = (w + b - 2)^2, dC/dw = dC/db = 2 (w + b - 2); both move alike: r = w + b - 2
    W, b = [None, np.array([[1.0]])], [None, np.array([0.0])]
    costs = reference.fit(
        W, b, ["identity"], np.ones((1, 1)), np.full((1, 1), 2.0), 3, 1, 0.125, momentum=0.5
    )
    # r:  -1,       v = -2,    w = 1.25,   b = 0.25
    # r:  -0.5,     v = -2,    w = 1.5,    b = 0.5
    # r:  0,        v = -1,    w = 1.625,  b = 0.625
    assert costs == [1.0, 0.25, 0.0]
    assert W[1].tolist() == [[1.625]]
    assert b[1].tolist() == [0.625]


def test_fit_takes_batches_in_the_given_order():
    # identity neuron without use of b's start: rows 0, 1, 2 with x = 1, y = 0, 1, 2
    seen = []

    def order(epoch):
        seen.append(epoch)
        return np.array([2, 0, 1]) if epoch == 0 else np.array([1, 2, 0])

    W, b = [None, np.zeros((1, 1))], [None, np.zeros(1)]
    X, Y = np.ones((3, 1)), np.array([[0.0], [1.0], [2.0]])
    costs = reference.fit(W, b, ["identity"], X, Y, 2, 2, 0.25, order=order)
    assert seen == [0, 1]
    # s = w + b moves by -lr * 2 * 2 mean(s - y) = -mean(s - y): it jumps to the batch's mean y.
    # epoch 0: rows 2, 0: cost (4 + 0) / 2 = 2, s = 1; row 1: cost 0, s = 1
    # epoch 1: rows 1, 2: cost (0 + 1) / 2, s = 1.5; row 0: cost 2.25, s = 0
    assert costs == [(2 * 2 + 0) / 3, (2 * 0.5 + 2.25) / 3]
    assert W[1].item() + b[1].item() == 0.0


def test_fit_without_an_order_takes_rows_as_they_come():
    W, b = [None, np.zeros((1, 1))], [None, np.zeros(1)]
    X, Y = np.ones((3, 1)), np.array([[0.0], [1.0], [2.0]])
    # s: 0 -> 0 -> 1 -> 2, costs 0, 1, 1
    assert reference.fit(W, b, ["identity"], X, Y, 1, 1, 0.25) == [2 / 3]
    assert W[1].item() + b[1].item() == 2.0


# The room


def test_imports_numpy_and_the_standard_library_only():
    tree = ast.parse(Path(reference.__file__).read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import: reference uses nothing of the package"
            found.add(node.module.split(".")[0])
    assert found <= {"__future__", "collections", "math", "numpy", "typing"}
    assert "numpy" in found


def test_runs_alone():
    spec = importlib.util.spec_from_file_location("reference_alone", reference.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    W, b = [None, np.array([[0.5]])], [None, np.array([0.25])]
    C, dW, db = module.gradient(W, b, ["identity"], np.array([[2.0]]), np.array([[1.0]]))
    assert (C, dW[1].item(), db[1].item()) == (0.0625, 1.0, 0.5)  # case N01


def test_every_equation_has_its_tag():
    text = Path(reference.__file__).read_text()
    for tag in ("Z", "A", "MSE", "BP1", "BP2", "BP3", "BP4", "GD"):
        assert f"# ({tag})" in text
