"""Every loss printed, explained and checked: the numbers of each line hold, paths add up."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.loss_wording import LOSSES as ROWS
from chainrule.loss_wording import Written
from chainrule.losses import LOSSES
from chainrule.trace import Numbered
from chainrule.walkthrough import walk

SPECS = [
    *LOSSES,
    cr.Huber(0.4, reduction="sum"),
    cr.Quantile((0.1, 0.5, 0.6, 0.9)),
    cr.GaussianNLL(eps=0.1),
    cr.MSE("half_mean"),
    cr.MAE("sum"),
]
EACH = pytest.mark.parametrize("loss", SPECS, ids=str)
WEIGHTS = pytest.mark.parametrize("w", [None, [1.0, 2.5, 0.5]], ids=["plain", "weighted"])


def setting(loss, dtype="float64", last="identity"):
    name = loss if isinstance(loss, str) else loss.name
    rng = np.random.default_rng(3)
    net = cr.Network([cr.Dense(3, "tanh"), cr.Dense(4, last)], 2, dtype=dtype, seed=1)
    for l in (1, 2):
        net.b[l] = rng.uniform(-0.5, 0.5, net.n[l])
    X = rng.normal(size=(3, 2))
    Y = {
        "cross_entropy": np.array([2, 0, 3]),
        "gaussian_nll": rng.normal(size=(3, 2)),
        "binary_cross_entropy": rng.integers(0, 2, (3, 4)).astype(float),
        "poisson": rng.poisson(2.0, (3, 4)).astype(float),
    }.get(name, rng.normal(size=(3, 4)))
    return net, X, Y


NAMES = {
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "logcosh": lambda e: math.log(math.cosh(e)),
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
    "sign": lambda e: (e > 0) - (e < 0),
    "cut": lambda e, low, high: min(max(e, low), high),
    "abs": abs,
}


def evaluated(text):
    """The number that a line of plain text is."""
    python = text.replace("log cosh(", "logcosh(").replace("^", "**")
    python = re.sub(r"\|([^|]*)\|", r"abs(\1)", python)
    python = re.sub(r"\blog (\d[\d.e+-]*)", r"log(\1)", python)
    python = re.sub(r"(?<=[\d)]) (?=[(a-z])", " * ", python)  # 1/4 (x - y), 2/7 tanh(x)
    return eval(python, {"__builtins__": {}, **NAMES})


def holds(left, right):
    return math.isclose(evaluated(left), float(right), rel_tol=5e-4, abs_tol=5e-6)


@EACH
@WEIGHTS
def test_every_derivative_of_every_loss_is_explained(loss, w):
    net, X, Y = setting(loss)
    t = net.trace(X, Y, loss, w)
    g = net.gradient(X, Y, loss, w)
    arithmetic = 0
    for l in (1, 2):
        for j in range(1, net.n[l] + 1):
            for k in (None, *range(1, net.n[l - 1] + 1)):
                e = t.explain(l, j, k)
                right = g.db[l][j - 1] if k is None else g.dW[l][j - 1, k - 1]
                assert e.value == right
                assert e.agrees, e.text
                assert e.path_sum == pytest.approx(right, rel=1e-11, abs=1e-14)
                assert max(map(len, e.text.splitlines())) <= 100
                for line in e.steps[0].numbers.splitlines():
                    _, *numbers = line.split(" = ")
                    if len(numbers) == 2:
                        assert holds(*numbers), line
                        arithmetic += 1
    assert arithmetic > 40


@EACH
def test_the_first_step_says_which_loss(loss):
    net, X, Y = setting(loss)
    e = net.trace(X, Y, loss).explain(1, 1, 1)
    name = loss if isinstance(loss, str) else loss.name
    assert f"({ROWS[name].tag})" in e.steps[0].formula
    if name != "mse":
        assert "(MSE)" not in e.text
    assert str(LOSSES[name].share) in e.text or name in ("mse", "gaussian_nll")
    assert r"\frac" in e.steps[0].latex
    assert "/D" not in e.steps[0].latex
    for text in re.findall(r"\\text\{([^}]*)\}", e.latex):
        assert not set("^_$\\") & set(text)


@EACH
@WEIGHTS
def test_a_small_network_by_hand(loss, w, unchanged):
    net, X, Y = setting(loss)
    with unchanged(net):
        text = walk(net, X, Y, 0.1, loss, w)
    name = loss if isinstance(loss, str) else loss.name
    assert re.fullmatch(r"All \d+ checks agree\.", text.splitlines()[-1])
    assert f"({ROWS[name].tag})" in text
    assert max(len(line) for line in text.splitlines() if line.startswith("   C = ")) <= 100
    # the cost before, and the errors of the last layer, hold as they are written
    lines = [line.strip() for line in text.splitlines()]
    shown = 0
    for i, line in enumerate(lines):
        if not re.match(r"(C|delta\^2_\d) = ", line) or line.endswith(f"({ROWS[name].tag})"):
            continue
        _, numbers = line.split(" = ", 1)
        if " = " in numbers:
            left, right = numbers.rsplit(" = ", 1)
        else:  # a long formula stands alone
            left, right = numbers, lines[i + 1].removeprefix("= ")
        if "..." not in left:
            assert holds(left.strip(), right.split()[0]), line
            shown += 1
    assert shown >= 4


@EACH
@WEIGHTS
def test_every_share_and_every_slope_holds_as_it_is_written(loss, w):
    net, X, Y = setting(loss)
    written = Written(net.trace(X, Y, loss, w))
    for (i, j), share in np.ndenumerate(written.values()):
        assert holds(written.share_number(i, j), share), (i, j)
    for (i, j), slope in np.ndenumerate(written.objective.slope(written.a)):
        assert holds(written.slope_number(i, j), slope), (i, j)


@EACH
def test_in_float32_the_checks_agree_too(loss):
    net, X, Y = setting(loss, "float32", "silu" if loss == "mae" else "identity")
    t = net.trace(X, Y, loss, [1.0, 2.0, 0.5])
    assert all(t.explain(l, 1, 1).agrees for l in (1, 2))
    assert walk(net, X, Y, 0.1, loss).splitlines()[-1].endswith("checks agree.")


def wrong_trace(t, factor):
    """A trace whose derivatives are wrong."""
    return replace(t, dW=Numbered("dW", [factor * part for part in t.dW]))


@EACH
def test_a_wrong_derivative_does_not_agree(loss):
    net, X, Y = setting(loss)
    t = wrong_trace(net.trace(X, Y, loss), 1.0 + 1e-2)
    assert not t.explain(1, 1, 1).agrees
    assert "THEY DO NOT AGREE" in t.explain(2, 1, 1).text


@pytest.mark.parametrize("loss", ["mae", cr.Quantile(0.9)], ids=str)
def test_a_kink_of_the_loss_is_said(loss):
    net, X, Y = setting(loss)
    Y[1, 2] = net(X)[1, 2] - 1e-13
    e = net.trace(X, Y, loss).explain(2, 3, 1)
    assert e.kink
    assert "at a kink there is" in e.text
    assert "kink of the loss" in walk(net, X[1:2], Y[1:2], 0.1, loss)
    assert not net.trace(X, Y, loss).explain(2, 2, 1).kink


def test_a_loss_of_ones_own_is_explained():
    def cubes(a, Y):
        return float(np.sum(np.abs(a - Y) ** 3)), 3 * (a - Y) * np.abs(a - Y)

    net, X, Y = setting("mse")
    t = net.trace(X, Y, cubes)
    e = t.explain(1, 2, 1)
    assert e.agrees
    assert e.path_sum == pytest.approx(e.value, rel=1e-12)
    assert "C = cubes(a^L, y)" in e.text
    assert "as the loss gives it" in e.text
    assert walk(net, X, Y, 0.01, cubes).splitlines()[-1].endswith("checks agree.")
    assert "cubes" in str(t)


def test_a_printed_trace_says_which_loss_and_whether_samples_have_weights():
    net, X, Y = setting("huber")
    plain, weighted = net.trace(X, Y, "huber"), net.trace(X, Y, "huber", [1.0, 2.0, 3.0])
    assert "sum huber(a^L - y)" in str(plain)
    assert "weighted" not in str(plain)
    assert "samples weighted" in str(weighted)


def test_the_divisor_is_written_out():
    net, X, Y = setting("huber")
    first = net.trace(X, Y, "huber").explain(1, 1, 1).steps[0].formula
    assert "D = m n_L = 3 * 4 = 12" in first
    weighted = net.trace(X, Y, "huber", [1.0, 2.0, 0.5]).explain(1, 1, 1).steps[0].formula
    assert "w/D" in weighted
    assert "D = sum_i w_i n_L = 3.5 * 4 = 14" in weighted
    net, X, Y = setting("cross_entropy")
    assert "D = m = 3" in net.trace(X, Y, "cross_entropy").explain(1, 1, 1).steps[0].formula
    net, X, Y = setting("gaussian_nll")
    formula = net.trace(X, Y, "gaussian_nll").explain(1, 1, 1).steps[0].formula
    assert "D = m n_L/2 = 3 * 4/2 = 6" in formula


def test_the_probabilities_of_the_first_step_are_the_softmax():
    net, X, Y = setting("cross_entropy")
    t = net.trace(X, Y, "cross_entropy")
    e = t.explain(1, 1, 1)
    i = next(s.sample for s in sorted(e.paths, key=lambda p: -abs(p.value)))
    assert i in (1, 2, 3)
    p = np.exp(t.a[2]) / np.exp(t.a[2]).sum(axis=1, keepdims=True)
    shown = [float(x) for x in re.findall(r"1/3 \(([\d.e-]+) - ", e.steps[0].numbers)]
    assert any(np.allclose(shown, row, rtol=1e-5) for row in p)


def test_every_loss_of_the_reference_has_its_words():
    assert set(ROWS) == {*reference.LOSSES, ""}
