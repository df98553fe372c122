"""Dual numbers: every rule against complex steps, differences and mpmath; nothing gets lost."""

from __future__ import annotations

import copy
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from chainrule import calculus
from chainrule.calculus.dual_functions import FUNCTIONS, METHODS
from chainrule.calculus.dual_rules import BINARY, FIRST_WINS, UNARY

RNG = np.random.default_rng(7)
A = RNG.uniform(0.2, 0.9, (3, 4))
B = RNG.uniform(0.2, 0.9, (4, 2))
M = RNG.uniform(-1, 1, (3, 3)) + 3 * np.eye(3)
T = RNG.uniform(0.2, 0.9, (2, 3, 4))


def differences(fn, x):
    """The Jacobian by central differences of fourth order: right to about 1e-11."""
    x = np.asarray(x, float)
    columns = []
    for i in range(x.size):
        parts = []
        for step in (-2, -1, 1, 2):
            moved = x.copy()
            moved.reshape(-1)[i] += step * 1e-3
            parts.append(np.asarray(fn(moved), float).reshape(-1))
        a, b, c, d = parts
        columns.append((a - 8 * b + 8 * c - d) / 12e-3)
    return np.stack(columns, axis=1)


def complex_step(fn, x):
    x = np.asarray(x, complex)
    columns = []
    for i in range(x.size):
        moved = x.copy()
        moved.reshape(-1)[i] += 1e-200j
        columns.append(np.asarray(fn(moved)).imag.reshape(-1) / 1e-200)
    return np.stack(columns, axis=1)


# Elementwise rules

POINTS = {"arccosh": 1.7, "arccos": 0.3, "logaddexp": 0.4}
ORACLES = {
    "positive": lambda x: x,
    "negative": lambda x: -x,
    "conjugate": lambda x: x,
    "absolute": abs,
    "fabs": abs,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "exp2": lambda x: 2**x,
    "log2": lambda x: mpmath.log(x, 2),
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "arcsinh": mpmath.asinh,
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "deg2rad": mpmath.radians,
    "radians": mpmath.radians,
    "rad2deg": mpmath.degrees,
    "degrees": mpmath.degrees,
    "expit": lambda x: 1 / (1 + mpmath.exp(-x)),
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "float_power": lambda a, b: a**b,
    "arctan2": mpmath.atan2,
    "logaddexp": lambda a, b: mpmath.log(mpmath.exp(a) + mpmath.exp(b)),
    "maximum": max,
    "fmax": max,
    "minimum": min,
    "fmin": min,
}


def ufunc_and_oracle(name):
    return getattr(np, name, None) or getattr(special, name), ORACLES.get(
        name, getattr(mpmath, name, None)
    )


@pytest.mark.parametrize("name", UNARY)
def test_every_unary_rule_against_mpmath(name):
    ufunc, oracle = ufunc_and_oracle(name)
    for x in (0.3, 0.7, 1.7) if name == "arccosh" else (-0.6, 0.3, 0.7):
        if (name == "arccosh" and x < 1) or (x < 0 and name in {"log", "log2", "log10", "sqrt"}):
            continue
        if name == "cbrt" and x < 0:
            continue
        with mpmath.workdps(40):
            want = float(mpmath.diff(oracle, mpmath.mpf(x)))
        np.testing.assert_allclose(calculus.gradient(ufunc, x), want, rtol=1e-15, atol=1e-30)


@pytest.mark.parametrize("name", [*BINARY, *FIRST_WINS])
def test_every_binary_rule_against_mpmath(name):
    ufunc, oracle = ufunc_and_oracle(name)
    a, b = 0.7, -0.4 if name not in {"power", "float_power"} else 1.3
    with mpmath.workdps(40):
        want = [
            float(mpmath.diff(oracle, (mpmath.mpf(a), mpmath.mpf(b)), n)) for n in [(1, 0), (0, 1)]
        ]
    got = calculus.gradient(lambda x: ufunc(x[0], x[1]), [a, b])
    np.testing.assert_allclose(got, want, rtol=1e-15, atol=1e-30)
    # The same with a constant on either side.
    assert calculus.gradient(lambda x: ufunc(x, b), a) == got[0]
    assert calculus.gradient(lambda x: ufunc(a, x), b) == got[1]
    assert calculus.gradient(lambda x: ufunc(np.float64(a), x), b) == got[1]


def test_tails_keep_their_digits():
    assert calculus.gradient(special.expit, 40.0) == pytest.approx(4.248354255291589e-18, rel=1e-15)
    want = float(mpmath.diff(mpmath.tanh, 20))
    assert calculus.gradient(np.tanh, 20.0) == pytest.approx(want, rel=1e-14)
    assert calculus.gradient(np.tanh, 1000.0) == 0
    assert calculus.gradient(np.expm1, 1e-20) == 1
    assert calculus.gradient(lambda x: np.log1p(np.exp(-abs(x))), 700.0) != 0


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.1, 3))
def test_any_point_of_a_long_formula_against_the_complex_step(x, y, z):
    def f(v):
        x, y, z = v[0], v[1], v[2]
        return np.sin(x * y) * np.exp(x) / (1 + y**2) ** z - np.log(z + x**2) + z**1.5 * np.sinh(y)

    got = calculus.jacobian(f, [x, y, z])
    np.testing.assert_allclose(got, complex_step(f, [x, y, z]), rtol=1e-12, atol=1e-12)


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_formulas_and_functions_agree(x, y):
    f = calculus.function("exp(sin(x*y))/(1 + x^2) + tanh(y - x)*max(0, x + y)", "x y")

    def g(v):
        x, y = v
        bent = np.maximum(0, x + y)
        return np.exp(np.sin(x * y)) / (1 + x**2) + np.tanh(y - x) * bent

    # The sum x + y is rounded in g and exact in f, so the kink itself may lie elsewhere.
    if abs(x + y) > 1e-9:
        np.testing.assert_allclose(
            calculus.gradient(g, [x, y]), f.gradient(at=(x, y)), rtol=1e-12, atol=1e-14
        )


# Functions of arrays

ARRAY_FUNCTIONS = {
    "sum": lambda x: np.sum(x, axis=0),
    "sum-all": np.sum,
    "sum-keep": lambda x: x.sum(axis=(0, 1), keepdims=True),
    "sum-builtin": sum,
    "add.reduce": np.add.reduce,
    "mean": lambda x: np.mean(x, axis=-1),
    "mean-method": lambda x: x.mean(),
    "average": lambda x: np.average(x, axis=0, weights=A),
    "var": lambda x: np.var(x, axis=1, ddof=1),
    "std": lambda x: x.std(axis=0),
    "prod": lambda x: np.prod(x, axis=1),
    "prod-all": lambda x: x.prod(),
    "prod-keep": lambda x: np.prod(x, axis=0, keepdims=True),
    "cumsum": np.cumsum,
    "cumsum-1": lambda x: np.cumsum(x, axis=1),
    "cumprod": lambda x: np.cumprod(x, axis=0),
    "cumprod-flat": np.cumprod,
    "accumulate": np.add.accumulate,
    "max": lambda x: np.max(x, axis=0),
    "min-keep": lambda x: np.min(x, axis=1, keepdims=True),
    "max-all": lambda x: x.max(),
    "max-all-keep": lambda x: np.max(x, keepdims=True),
    "amin": np.amin,
    "sort": lambda x: np.sort(x, axis=0),
    "diff": lambda x: np.diff(x, axis=0) ** 2,
    "where": lambda x: np.where(x > 0.5, x**2, np.sin(x)),
    "clip": lambda x: np.clip(x, 0.3, 0.7) * x,
    "matmul": lambda x: x @ B,
    "rmatmul": lambda x: A.T @ x,
    "matmul-both": lambda x: x.T @ x,
    "matmul-vector": lambda x: x @ B[:, 0],
    "vector-matmul": lambda x: A[:, 0] @ x,
    "vector-vector": lambda x: x[0] @ x[1],
    "matmul-batch": lambda x: T[:, :, :3] @ x,
    "matmul-batch-vector": lambda x: np.matmul(T, x[0]),
    "vector-batch": lambda x: x[:, 0] @ T,
    "dual-vector-batch": lambda x: x[0] @ np.swapaxes(T, 1, 2),
    "dot": lambda x: np.dot(x, B),
    "dot-scalar": lambda x: np.dot(x[0, 0], x),
    "dot-3": lambda x: np.dot(T, x.T),
    "method-dot": lambda x: x.dot(B),
    "vdot": lambda x: np.vdot(x, A),
    "inner": lambda x: np.inner(x, x),
    "outer": lambda x: np.outer(x[0], x[:, 1]),
    "tensordot": lambda x: np.tensordot(x, T, axes=([0], [1])),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "kron": lambda x: np.kron(x[0], B),
    "convolve": lambda x: np.convolve(x[0], x[1]),
    "trace": lambda x: np.trace(x[:, :3]),
    "transpose": lambda x: x.T * A.T,
    "transpose-axes": lambda x: np.transpose(x, (1, 0)),
    "reshape": lambda x: np.reshape(x, (2, 6)) ** 2,
    "reshape-method": lambda x: x.reshape(4, -1),
    "ravel": np.ravel,
    "flatten": lambda x: x.flatten(),
    "squeeze": lambda x: np.squeeze(x[:1]),
    "expand_dims": lambda x: np.expand_dims(x, (0, 2)),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x[None] * T, 0, 2),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 4)),
    "concatenate": lambda x: np.concatenate([x, A, 2 * x], axis=0),
    "stack": lambda x: np.stack([x[0], x[1] * 2, A[2]], axis=1),
    "stack-numbers": lambda x: np.stack([x[0, 0], 1.0, x[0, 1] ** 2]),
    "hstack": lambda x: np.hstack([x, x**2]),
    "vstack": lambda x: np.vstack([x[0], A]),
    "column_stack": lambda x: np.column_stack([x[:, 0], x]),
    "flip": lambda x: np.flip(x, axis=1),
    "roll": lambda x: np.roll(x, 1, axis=0),
    "tile": lambda x: np.tile(x, 2),
    "repeat": lambda x: x.repeat(2, axis=0),
    "take": lambda x: np.take(x, [2, 0], axis=1),
    "diag": lambda x: np.diag(x[0]),
    "tril": np.tril,
    "triu": lambda x: np.triu(x, 1),
    "pad": lambda x: np.pad(x, 1),
    "split": lambda x: np.split(x, 2, axis=1)[1],
    "norm": np.linalg.norm,
    "norm-axis": lambda x: np.linalg.norm(x, axis=0),
    "norm-keep": lambda x: np.linalg.norm(x, axis=1, keepdims=True),
    "norm-1": lambda x: np.linalg.norm(x[0], 1),
    "norm-inf": lambda x: np.linalg.norm(x[0], np.inf),
    "inv": lambda x: np.linalg.inv(M + x[:, :3]),
    "solve": lambda x: np.linalg.solve(M + x[:, :3], x),
    "solve-vector": lambda x: np.linalg.solve(M, x[:, 0]),
    "det": lambda x: np.linalg.det(M + x[:, 1:]),
    "index": lambda x: x[1] * x[2, ::-1],
    "negative": lambda x: -x[..., -1, None],
    "mask": lambda x: x[x > 0.5],
    "fancy": lambda x: x[[0, 2, 0], [1, 3, 1]],
    "fancy-split": lambda x: x[None][0, :, [1, 2]],
    "fancy-apart": lambda x: np.stack([x, x])[[0, 1], :, [1, 2]],
    "rsub": lambda x: 1 - x,
    "rdiv": lambda x: 2.0 / x,
    "rpow": lambda x: 2.0**x,
    "ipow": lambda x: x**3 + x**-1 + x**0,
    "abs": lambda x: abs(x - 0.5),
    "broadcast": lambda x: x[:, :1] * x[:1] + A,
    "full_like": lambda x: np.full_like(x, 2.0) * x,
    "ones_like": lambda x: np.ones_like(x, shape=(4,)) * x,
    "copy": lambda x: copy.deepcopy(x) + copy.copy(x) + x.copy() + np.copy(x),
    "atleast_2d": lambda x: np.atleast_2d(x[0]),
    "list": lambda x: [x[0] * 2, x[1] ** 2],
    "tuple": lambda x: (x[0, 0], 1.0, x[1, 1] * x[0, 1]),
    "method-clip": lambda x: x.clip(0.3, 0.7),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
    "logaddexp.reduce-by-hand": lambda x: np.log(np.sum(np.exp(x))),
}


@pytest.mark.parametrize("name", ARRAY_FUNCTIONS)
def test_functions_of_arrays_against_differences(name):
    fn = ARRAY_FUNCTIONS[name]
    got = calculus.jacobian(fn, A)
    want = differences(fn, A)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9)
    assert np.abs(got).max() > 0


def test_assignment_and_in_place_operations():
    def fn(x):
        y = np.zeros_like(x)
        y[0] = x[1] * 2
        y[1, 1:3] = x[0, 0]
        y[2] += x[2] ** 2
        y[y > 0.9] = 0.25
        y *= x
        z = x.copy()
        z[[0, 1]] = z[[1, 0]]
        z -= 1.5
        z[1:] = z[:-1]
        row = z[0]  # a view, as in NumPy
        row += x[2, 0]
        column = z.reshape(-1)
        column[3] = x[0, 1] * x[0, 2]
        return y + z

    np.testing.assert_allclose(calculus.jacobian(fn, A), differences(fn, A), rtol=1e-8, atol=1e-9)
    before = A.copy()
    calculus.gradient(lambda x: np.sum(np.multiply(x, x, out=x)), A)
    assert (before == A).all()


def test_control_flow_goes_by_value():
    def newton(a):
        x = a
        while abs(x * x - a) > 1e-14:
            x = (x + a / x) / 2
        return x

    assert calculus.gradient(newton, 2.0) == pytest.approx(0.5 / math.sqrt(2), rel=1e-14)
    assert calculus.gradient(lambda x: x**2 if x > 0 and x != 3 else -x, 2.0) == 4
    assert calculus.gradient(lambda x: x**2 if x > 0 or not x else -x, -2.0) == -1
    assert calculus.gradient(lambda x: x[np.argmax(x)] ** 2, [1.0, 3.0]).tolist() == [0, 6]
    assert calculus.gradient(lambda x: max(x[0], x[1]), [1.0, 3.0]).tolist() == [0, 1]
    assert calculus.gradient(lambda x: x * 2 if np.isfinite(x) else x, 2.0) == 2


def test_kinks_have_the_derivative_of_the_lecture():
    assert calculus.gradient(lambda x: np.maximum(0, x), 0.0) == 0
    assert calculus.gradient(lambda x: np.maximum(x, 0), 0.0) == 0
    assert calculus.gradient(lambda x: np.minimum(x, 0), 0.0) == 0
    assert calculus.gradient(lambda x: np.minimum(0, x), -0.0) == 0
    assert calculus.gradient(np.abs, 0.0) == 0
    assert calculus.gradient(lambda x: np.maximum(x[0], x[1]), [2.0, 2.0]).tolist() == [1, 0]
    assert calculus.gradient(lambda x: np.fmin(x[0], x[1]), [2.0, 2.0]).tolist() == [1, 0]
    assert calculus.gradient(np.max, [2.0, 2.0]).tolist() == [1, 0]
    assert calculus.gradient(lambda x: np.clip(x, 0, 1), 1.0) == 0


def test_powers_at_zero():
    assert calculus.gradient(lambda x: x**2, 0.0) == 0
    assert calculus.gradient(lambda x: x**1, 0.0) == 1
    assert calculus.gradient(lambda x: x**0, 0.0) == 0
    assert calculus.gradient(lambda x: x**3, -2.0) == 12
    assert calculus.gradient(lambda x: x[0] ** x[1], [0.0, 2.0]).tolist() == [0, 0]
    assert calculus.gradient(np.prod, [0.0, 2.0, 3.0]).tolist() == [6, 0, 0]
    assert calculus.gradient(np.prod, [0.0, 0.0, 3.0]).tolist() == [0, 0, 0]


def test_shapes_of_the_results():
    slope = calculus.gradient(np.sin, 0.5)
    assert isinstance(slope, np.float64)
    assert calculus.gradient(np.sin, np.array(0.5)).shape == ()
    assert calculus.gradient(np.sum, A).shape == A.shape
    assert calculus.gradient(np.sum, np.ones((2, 0))).shape == (2, 0)
    assert calculus.jacobian(np.sin, 0.5).shape == (1, 1)
    assert calculus.jacobian(lambda x: x, T).shape == (24, 24)
    assert calculus.jacobian(lambda x: x[:0], A).shape == (0, 12)
    assert calculus.gradient(np.sum, np.ones(3, np.float32)).dtype == np.float64
    assert calculus.gradient(lambda x: x * x, 3) == 6
    assert calculus.gradient(lambda x: 3.0, 1.0) == 0
    assert calculus.gradient(lambda x: 3, [1.0, 2.0]).tolist() == [0, 0]


def test_many_inputs_go_in_blocks():
    x = np.linspace(0, 1, 5000)
    calls = []

    def fn(x):
        calls.append(len(x.tangent))
        return np.sum(np.sin(x) * x)

    got = calculus.gradient(fn, x)
    np.testing.assert_allclose(got, np.sin(x) + x * np.cos(x), rtol=1e-14)
    assert len(calls) > 1
    assert sum(calls) == 5000


# Nothing gets lost


def into_plain(x):
    out = np.zeros(3)
    out[0] = x[0]
    return out[0]


def plain_plus(x):
    out = np.zeros(3)
    out += x
    return np.sum(out)


@pytest.mark.parametrize(
    ("fn", "text"),
    [
        (lambda x: float(x[0]), "plain number would lose the derivative"),
        (lambda x: int(x[0]), "plain number would lose"),
        (lambda x: complex(x[0]), "plain number would lose"),
        (lambda x: round(x[0]), "plain number would lose"),
        (lambda x: math.sin(x[0]), "use numpy.sin(x) instead of math.sin(x)"),
        (lambda x: math.floor(x[0]), "plain number would lose"),
        (lambda x: math.pow(x[0], 2), "plain number would lose"),
        (lambda x: np.float64(x[0]), "would lose the derivative"),
        (lambda x: np.array([x[0], x[1]]), "numpy.stack instead of numpy.array"),
        (np.array, "would lose the derivative"),
        (lambda x: np.asarray(x, float), "would lose the derivative"),
        (into_plain, "numpy.zeros_like(x)"),
        (plain_plus, "a = a + x instead of a += x"),
        (lambda x: np.add(x, 1, out=np.zeros(3)), "write into a plain array"),
        (lambda x: x.astype(int), "astype(int64) would lose"),
        (lambda x: x.astype("float32"), "astype(float32) would lose"),
        (lambda x: np.zeros_like(x, dtype=int), "dtype=int64 would lose"),
        (lambda x: np.sum(x, dtype=int), "dtype=int64 would lose"),
        (lambda x: np.add(x, 1, dtype=np.float32), "would lose the derivative"),
        (np.floor, "floor has no rule"),
        (np.rint, "rint has no rule"),
        (lambda x: x // 2, "floor_divide has no rule"),
        (lambda x: x % 2, "remainder has no rule"),
        (lambda x: x.astype(complex), "would lose"),
        (lambda x: x * 1j, "real numbers are needed beside a Dual"),
        (lambda x: x * "2", "real numbers are needed"),
        (lambda x: x & 1, "bitwise_and has no rule"),
        (special.gamma, "gamma has no rule for derivatives"),
        (np.frompyfunc(abs, 1, 1), "has no rule for derivatives"),
        (np.fft.fft, "numpy.fft.fft has no rule"),
        (np.median, "numpy.median has no rule"),
        (lambda x: np.linalg.norm(x, 3), "norm with ord=3 has no rule"),
        (lambda x: np.add.reduceat(x, [0]), "add.reduceat has no rule"),
        (np.subtract.reduce, "subtract.reduce has no rule"),
        (lambda x: np.add.at(x, [0], 1), "add.at has no rule"),
        (lambda x: np.exp(x, where=[True, False, True]), "where= has no rule"),
        (lambda x: np.sum(x, where=[True, False, True]), "unexpected keyword argument 'where'"),
        (lambda x: np.sum(x, out=np.zeros(())), "unexpected keyword argument 'out'"),
        (lambda x: np.concatenate([x, x], out=np.zeros(6)), "out="),
        (lambda x: np.ones(3)[x[0]], ""),
        (lambda x: x[x[0]], "an index must be whole numbers"),
        (lambda x: list(x[0]), "cannot be iterated"),
        (lambda x: x > 0, "truth values and whole numbers carry no derivative"),
        (np.argmax, "truth values and whole numbers carry no derivative"),
        (lambda x: None, "is a return missing?"),
        (lambda x: "3", "real numbers are needed"),
        (lambda x: {x[0]: 1}, "unhashable"),
        (lambda x: calculus.gradient(np.sin, x[0]), "a derivative inside of a derivative"),
        (lambda x: calculus.gradient(lambda y: y * x[0], 1.0), "a derivative inside"),
        (lambda x: calculus.function("x^2", "x")(x[0]), "must be a number, got Dual"),
        (lambda x: np.take([1.0, 2.0], x[0]), ""),
        (lambda x: np.full_like(np.ones(3), x[0]), "numpy.copyto has no rule"),
        (np.vectorize(math.sin), "would lose the derivative"),
    ],
)
def test_what_would_lose_a_derivative_is_an_error(fn, text):
    with pytest.raises(TypeError) as caught:
        calculus.jacobian(fn, [0.5, 1.5, 2.5])
    assert text in str(caught.value)


@pytest.mark.parametrize("name", ["item", "tolist", "view", "real", "data", "fill", "sort"])
def test_attributes_of_an_array_that_a_dual_lacks(name):
    with pytest.raises(AttributeError, match=f"a Dual has no '{name}'"):
        calculus.gradient(lambda x: getattr(x, name), 1.0)


@pytest.mark.parametrize(
    ("fn", "x", "text"),
    [
        (np.log, 0.0, r"see log\(0.0\)"),
        (np.log, -1.0, r"see log\(-1.0\)"),
        (np.sqrt, 0.0, r"see sqrt\(0.0\)"),
        (lambda x: np.sqrt(x**2), 0.0, r"see sqrt\(0.0\)"),
        (lambda x: 1 / x, 0.0, r"see divide\(1.0, 0.0\)"),
        (lambda x: x / x, 0.0, r"see divide\(0.0, 0.0\)"),
        (lambda x: x**0.5, 0.0, r"see power\(0.0, 0.5\)"),
        (lambda x: x**0.5, -1.0, r"see power\(-1.0, 0.5\)"),
        (np.arcsin, 1.0, r"see arcsin\(1.0\)"),
        (np.exp, 1000.0, r"see exp\(1000.0\)"),
        (lambda x: np.sum(np.log(x)), [1.0, 0.0], r"log\(0.0\), element \(1,\)"),
        (np.linalg.norm, [0.0, 0.0], "norm of a vector of zeros"),
        (lambda x: np.log(x) * 0, -1.0, r"see log\(-1.0\)"),
    ],
)
def test_singular_points_are_errors_that_name_them(fn, x, text):
    with pytest.raises(ValueError, match=text):
        calculus.gradient(fn, x)


def test_a_branch_that_is_not_chosen_may_be_singular():
    def fn(x):
        return np.sum(np.where(x > 0, np.log(x), 2 * x))

    assert calculus.gradient(fn, [-1.0, 0.0, 4.0]).tolist() == [2, 2, 0.25]


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        (("x^2", 1.0), TypeError, "calculus.function"),
        ((3, 1.0), TypeError, "fn must be a function, got int"),
        ((np.sin, "1"), TypeError, "x must be real numbers, got str"),
        ((np.sin, 1j), TypeError, "x must be real numbers"),
        ((np.sin, None), TypeError, "x must be real numbers, got NoneType"),
        ((np.sin, np.nan), ValueError, "x must be finite"),
        ((np.sin, [1.0, np.inf]), ValueError, "x must be finite"),
        ((np.sin, [True]), TypeError, "x must be real numbers"),
        ((np.sin, [1.0, 2.0]), ValueError, "must return one number, got an array of shape (2,)"),
        ((lambda x: [], 1.0), ValueError, "empty list"),
        ((lambda x: [x, [x, x]], 1.0), ValueError, "different shapes: (), (2,)"),
    ],
)
def test_arguments_are_checked(args, error, text):
    with pytest.raises(error) as caught:
        calculus.gradient(*args)
    assert text in str(caught.value)


def test_errors_of_the_function_come_through():
    with pytest.raises(ValueError, match="my own"):
        calculus.gradient(lambda x: (_ for _ in ()).throw(ValueError("my own")), 1.0)
    with pytest.raises(ValueError, match="operands could not be broadcast"):
        calculus.gradient(lambda x: x + np.ones(3), [1.0, 2.0])
    with pytest.raises(IndexError):
        calculus.gradient(lambda x: x[5], [1.0, 2.0])
    with pytest.raises(np.linalg.LinAlgError):
        calculus.gradient(lambda x: np.sum(np.linalg.inv(x)), np.zeros((2, 2)))


def test_a_dual_prints_short():
    seen = []
    calculus.gradient(lambda x: seen.append(f"{x!r} {x}") or np.sum(x), np.arange(100_000.0)[:500])
    assert len(seen[0]) < 300
    seen.clear()
    calculus.gradient(lambda x: seen.append(repr(x)) or x, 1.5)
    assert seen == ["Dual(1.5)"]


def test_every_function_of_the_table_is_of_numpy():
    assert all(callable(f) for f in (*FUNCTIONS, *METHODS.values()))
    assert len(FUNCTIONS) > 80
