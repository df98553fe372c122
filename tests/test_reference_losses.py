"""The reference's losses against mpmath, PyTorch and the complex step, and far out."""

import functools
import itertools
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest

from chainrule import reference

U = 2.0**-53
NAMES = list(reference.LOSSES)
MATH = Path(__file__).resolve().parent.parent / "docs" / "math.md"

VARIANTS = [
    *NAMES,
    reference.Loss("huber", (0.3,)),
    reference.Loss("huber", (40.0,)),
    reference.Loss("quantile", (0.9,)),
    reference.Loss("gaussian_nll", (0.25,)),
    reference.Loss("gaussian_nll", (0.0,)),
]


def named(loss):
    loss = reference.checked_loss(loss)
    return "-".join([loss.name, *map(str, loss.parameters)])


EACH = pytest.mark.parametrize("loss", VARIANTS, ids=named)

# One row, two outputs, in 50 digits. The sizes of the terms of each value and slope come with it:
# where a formula subtracts, its terms are what rounding is measured in.


def exact(loss, a, y):
    """The value of a row, its size, the slopes, their sizes; a (2,), y (2,) or (1,)."""
    name, p, _ = reference.checked_loss(loss)
    mp = mpmath.mp
    a, y = [mp.mpf(float(x)) for x in a], [mp.mpf(float(x)) for x in y]
    p = [mp.mpf(float(x)) for x in p]
    if name == "cross_entropy":
        total = sum(mp.exp(x) for x in a)
        log_p = [x - mp.log(total) for x in a]
        S = sum(y)
        # the largest logit's slope has 1 - p_j, of another size than p_j
        other = [sum(mp.exp(x) for k, x in enumerate(a) if k != j) / total for j in range(2)]
        value = -sum(q * x for q, x in zip(y, log_p, strict=True))
        apart = abs(a[0] - a[1])  # a_j - max is rounded before it goes through exp
        wide = 1 + apart / 12 if apart < 800 else 1
        slope = [S * mp.exp(x) - q for x, q in zip(log_p, y, strict=True)]
        sizes = [abs((S - q) * mp.exp(x)) + q * r for x, q, r in zip(log_p, y, other, strict=True)]
        return value, wide * abs(value), slope, [wide * size for size in sizes]
    if name == "gaussian_nll":
        s, e = a[1], a[0] - y[0]
        v = mp.exp(s) + p[0]
        value, size = (mp.log(v) + e**2 / v) / 2, (abs(mp.log(v)) + e**2 / v) / 2
        d = mp.exp(s) / v / 2
        return value, size, [e / v, (1 - e**2 / v) * d], [abs(e / v), (1 + e**2 / v) * d]
    rows = [one(name, x, z, *p) for x, z in zip(a, y, strict=True)]
    value, size, slope, sizes = zip(*rows, strict=True)
    return sum(value), sum(size), list(slope), list(sizes)


@functools.cache
def one(name, a, y, p=None):
    mp, e = mpmath.mp, a - y
    sign = mp.sign(e)
    if name == "mse":
        return e**2, e**2, 2 * e, 2 * abs(e)
    if name == "mae":
        return abs(e), abs(e), sign, 1
    if name == "huber":
        value = e**2 / 2 if abs(e) <= p else p * (abs(e) - p / 2)
        return value, value, e if abs(e) <= p else p * sign, min(abs(e), p)
    if name == "log_cosh":
        value = mp.log(mp.cosh(e))
        return value, value, mp.tanh(e), abs(mp.tanh(e))
    if name == "quantile":
        value = max(-p * e, (1 - p) * e)
        return value, value, (1 - p) if e > 0 else -p if e < 0 else mp.mpf(0), 1
    if name == "poisson":
        return mp.exp(a) - y * a, mp.exp(a) + abs(y * a), mp.exp(a) - y, mp.exp(a) + y
    if name == "binary_cross_entropy":
        value = mp.log1p(mp.exp(a)) - y * a
        up, down = 1 / (1 + mp.exp(-a)), 1 / (1 + mp.exp(a))
        return value, value, up - y, (1 - y) * up + y * down
    raise AssertionError(name)


POINTS = [0.0, 1e-9, -1e-9, 0.3, -0.7, 1.0, 2.5, -6.0, 40.0, -40.0, 600.0, 1e4, -1e4]


def cases(loss):
    """Rows (a, y) over the grid, +-1e4 and 0 among them."""
    name = reference.checked_loss(loss).name
    if name == "cross_entropy":
        targets = [(1.0, 0.0), (0.0, 1.0), (0.25, 0.75), (0.0, 0.0), (2.0, 1.0)]
    elif name == "gaussian_nll":
        targets = [(0.0,), (1e-9,), (0.75,), (-1e4,)]
    elif name == "binary_cross_entropy":
        targets = [(0.0, 1.0), (1.0, 0.0), (0.25, 0.75), (1e-9, 1 - 1e-9)]
    elif name == "poisson":
        targets = [(0.0, 3.0), (17.0, 0.25), (1e4, 1e-9)]
    else:
        targets = [(0.0, 0.3), (1.0, -2.5), (1e4, -1e4), (1e-9, 1e4)]
    first = POINTS[::3] if name in ("gaussian_nll", "cross_entropy") else POINTS
    return list(itertools.product(itertools.product(first, POINTS), targets))


@EACH
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_slopes_against_mpmath(loss, dtype):
    unit, largest = float(np.finfo(dtype).eps) / 2, float(np.finfo(dtype).max)
    loss = reference.checked_loss(loss)
    rows = cases(loss) if dtype == np.float64 else cases(loss)[::5]
    A = np.array([a for a, _ in rows], dtype)
    Y = np.array([y for _, y in rows], dtype)
    v, d = reference.values(A, Y, loss), reference.slopes(A, Y, loss)
    assert v.dtype == d.dtype == dtype
    v = v.sum(axis=1, dtype=np.float64)
    checked = 0
    for i in range(len(rows)):
        digits = 60 + int(np.abs(A[i]).max() / 2.3)  # 1 + exp(-1e4) has 4343 zeros
        with mpmath.workdps(digits):
            value, size, slope, sizes = exact(loss, tuple(A[i]), tuple(Y[i]))
            pairs = [(v[i], value, size), *zip(d[i], slope, sizes, strict=True)]
            for got, expected, terms in pairs:
                if terms > largest / 8:  # exp(a) itself is infinite, and so is what it is part of
                    assert abs(got) > largest / 16, (A[i], Y[i], got)
                    continue
                limit = 12 * unit * float(terms) + float(np.finfo(dtype).tiny)
                assert abs(got - float(expected)) <= limit, (A[i], Y[i], got, expected)
                checked += 1
    assert checked > len(rows)


# Against PyTorch and the complex step


def random_rows(loss, m=7, outputs=4, seed=0):
    name = reference.checked_loss(loss).name
    rng = np.random.default_rng(seed)
    a = 2 * rng.normal(size=(m, outputs))
    if name == "cross_entropy":
        return a, rng.dirichlet(np.ones(outputs), m)
    if name == "gaussian_nll":
        return a, rng.normal(size=(m, outputs // 2))
    if name == "binary_cross_entropy":
        return a, rng.uniform(size=(m, outputs))
    if name == "poisson":
        return a, rng.poisson(2.0, size=(m, outputs)).astype(float)
    return a, rng.normal(size=(m, outputs))


def of_torch(torch, loss):
    """PyTorch's loss with the same meaning."""
    F, loss = torch.nn.functional, reference.checked_loss(loss)
    p = loss.parameters

    def nll(a, y, reduction):
        mean, s = a.chunk(2, dim=1)
        return F.gaussian_nll_loss(mean, y, s.exp() + p[0], eps=1e-300, reduction=reduction)

    def log_cosh(a, y, reduction):
        v = torch.log(torch.cosh(a - y))
        return v.sum() if reduction == "sum" else v.mean()

    def pinball(a, y, reduction):
        v = torch.maximum(p[0] * (y - a), (p[0] - 1) * (y - a))
        return v.sum() if reduction == "sum" else v.mean()

    return {
        "mse": F.mse_loss,
        "mae": F.l1_loss,
        "huber": lambda a, y, reduction: F.huber_loss(a, y, reduction, *p),
        "log_cosh": log_cosh,
        "quantile": pinball,
        "poisson": lambda a, y, reduction: F.poisson_nll_loss(a, y, reduction=reduction),
        "binary_cross_entropy": F.binary_cross_entropy_with_logits,
        "cross_entropy": F.cross_entropy,
        "gaussian_nll": nll,
    }[loss.name]


@EACH
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_against_pytorch(loss, reduction):
    torch = pytest.importorskip("torch")
    a, Y = random_rows(loss)
    loss = reference.checked_loss(loss, reduction)
    tensor = torch.tensor(a, requires_grad=True)
    C = of_torch(torch, loss)(tensor, torch.tensor(Y), reduction=reduction)
    C.backward()
    assert reference.cost(a, Y, loss) == pytest.approx(C.item(), rel=1e-13)
    np.testing.assert_allclose(
        reference.dC_da(a, Y, loss), tensor.grad.numpy(), rtol=1e-12, atol=1e-14
    )


def test_cross_entropy_of_class_indices_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    a, _ = random_rows("cross_entropy")
    classes = np.arange(len(a)) % a.shape[1]
    C = torch.nn.functional.cross_entropy(torch.tensor(a), torch.tensor(classes))
    one_hot = np.eye(a.shape[1])[classes]
    assert reference.cost(a, one_hot, "cross_entropy") == pytest.approx(C.item(), rel=1e-13)


@EACH
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "half_mean", "sum"])
def test_slopes_against_complex_steps(loss, weighted, reduction):
    for scale in (1.0, 30.0):
        a, Y = random_rows(loss, seed=3)
        a *= scale
        if scale == 1 and reference.checked_loss(loss).name not in ("mae", "quantile"):
            a[0] = 0
            a[1] = Y[1, 0]  # of errors, one is 0
        w = np.linspace(0.5, 3, len(a)) if weighted else None
        slope = reference.dC_da(a, Y, loss, w, reduction=reduction)
        C = reference.cost(a, Y, loss, w, reduction=reduction)
        for i, j in np.ndindex(a.shape):
            moved = a.astype(complex)
            moved[i, j] += 1e-30j
            stepped = reference.cost(moved, Y, loss, w, reduction=reduction)
            assert stepped.imag / 1e-30 == pytest.approx(slope[i, j], rel=1e-12, abs=1e-14)
            assert stepped.real == pytest.approx(C, rel=1e-13)


@pytest.mark.parametrize("name", ["mae", "huber", "log_cosh", "quantile"])
def test_slopes_at_the_kink_and_at_the_edge(name):
    a, Y = np.array([[1.0, 2.0, 0.0]]), np.array([[1.0, 1.0, 1.0]])
    slope = reference.slopes(a, Y, name)[0]
    assert slope[0] == 0
    edge = {"mae": 1, "huber": 1, "log_cosh": np.tanh(1), "quantile": 0.5}[name]
    assert slope.tolist() == pytest.approx([0, edge, -edge], rel=1e-15)


def test_quantiles_with_one_number_for_each_output():
    a, Y = np.array([[1.0, 1.0, 1.0]]), np.array([[2.0, 2.0, 0.0]])
    loss = reference.Loss("quantile", (0.1, 0.5, 0.9), "sum")
    assert reference.values(a, Y, loss)[0].tolist() == pytest.approx([0.1, 0.5, 0.1])
    assert reference.slopes(a, Y, loss)[0].tolist() == pytest.approx([-0.1, -0.5, 0.1])


# Weights


@EACH
@pytest.mark.parametrize("reduction", ["mean", "half_mean", "sum"])
def test_a_weight_of_2_is_the_row_twice(loss, reduction):
    a, Y = random_rows(loss, m=3)
    w, twice = np.array([1.0, 2.0, 1.0]), [0, 1, 1, 2]
    weighted = reference.cost(a, Y, loss, w, reduction=reduction)
    repeated = reference.cost(a[twice], Y[twice], loss, reduction=reduction)
    assert weighted == pytest.approx(repeated, rel=1e-14)
    once = reference.dC_da(a, Y, loss, w, reduction=reduction)
    both = reference.dC_da(a[twice], Y[twice], loss, reduction=reduction)
    both = np.array([both[0], both[1] + both[2], both[3]])
    np.testing.assert_allclose(once, both, rtol=1e-13, atol=1e-16)


@EACH
@pytest.mark.parametrize("w", [None, np.array([1.0, 2.0, 3.0])])
def test_what_the_sum_is_divided_by(loss, w):
    a, Y = random_rows(loss, m=3)
    v = reference.values(a, Y, loss)
    rows, w_i = (3, 1) if w is None else (6, w[:, None])
    mean = (w_i * v).sum() / (rows * v.shape[1])
    by_hand = {"mean": mean, "half_mean": mean / 2, "sum": (w_i * v).sum()}
    for reduction, C in by_hand.items():
        assert reference.cost(a, Y, loss, w, reduction=reduction) == pytest.approx(C, rel=1e-14)


@EACH
def test_backward_numbers_and_fit_take_loss_and_weight(loss):
    rng = np.random.default_rng(1)
    W = [None, rng.normal(size=(5, 3)), rng.normal(size=(4, 5))]
    b = [None, rng.normal(size=5), rng.normal(size=4)]
    names, X = ["tanh", "identity"], rng.normal(size=(7, 3))
    _, Y = random_rows(loss)
    w = np.linspace(0.5, 2, 7)
    C, dW, db = reference.gradient(W, b, names, X, Y, loss, w)
    _, a = reference.forward(W, b, names, X)
    assert reference.cost(a[-1], Y, loss, w) == C
    stepped = reference.complex_step_gradient(W, b, names, X, Y, loss=loss, weight=w)
    rough = reference.numerical_gradient(W, b, names, X, Y, loss=loss, weight=w)
    for l in (1, 2):
        for found, close, far in ((dW, stepped[0], rough[0]), (db, stepped[1], rough[1])):
            np.testing.assert_allclose(found[l], close[l], rtol=1e-11, atol=1e-13)
            np.testing.assert_allclose(found[l], far[l], rtol=1e-5, atol=1e-7)
    before = [p.copy() for p in (*W[1:], *b[1:])]
    costs = reference.fit(W, b, names, X, Y, 1, 7, 0.125, loss=loss, weight=w)
    assert costs == pytest.approx([C], rel=1e-13)
    for p, old, g in zip((*W[1:], *b[1:]), before, (*dW[1:], *db[1:]), strict=True):
        np.testing.assert_allclose(p, old - 0.125 * g, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_cost_of_an_epoch_is_weighted_like_the_batches(reduction):
    X, Y = np.ones((5, 1)), np.arange(5.0)[:, None]
    w, loss = np.array([1.0, 2.0, 3.0, 0.5, 0.25]), reference.Loss("mae", (), reduction)
    W, b = [None, np.ones((1, 1))], [None, np.ones(1)]
    costs = reference.fit(W, b, ["identity"], X, Y, 1, 2, 1e-300, loss=loss, weight=w)
    assert costs == pytest.approx([reference.cost(2 * X, Y, loss, w)], rel=1e-14)


# Names


def test_a_name_a_record_and_a_reduction():
    Loss = reference.Loss
    assert reference.checked_loss("huber") == Loss("huber", (1.0,), "mean")
    assert reference.checked_loss("half_mean") == Loss("mse", (), "half_mean")
    assert reference.checked_loss(Loss("mae"), "sum") == Loss("mae", (), "sum")
    with pytest.raises(ValueError, match=r"loss must be one of mse, mae, .*; got 'hubert'"):
        reference.cost(np.ones((1, 1)), np.ones((1, 1)), "hubert")


def test_each_loss_has_a_tag_in_code_and_in_the_page():
    code, page = Path(reference.__file__).read_text(), MATH.read_text()
    rows = dict(re.findall(r"^\| \((\w+)\) \| (\w+) \|", page, re.MULTILINE))
    assert list(rows.values()) == NAMES
    core = (MATH.parent.parent / "cpp" / "kernels" / "loss.inl").read_text()
    for tag in rows:
        assert code.count(f"# ({tag}) c = ") == 1
        assert core.count(f"// ({tag}) c = ") == 1
