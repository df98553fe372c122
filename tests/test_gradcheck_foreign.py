"""The gradient check of foreign code: functions, PyTorch modules, scikit-learn estimators.

The right gradients are written down by hand next to each cost; each mistake is planted in one of
them, and the places that it changes are the places that the check has to name.
"""

import copy
import math
import pickle
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest

import chainrule as cr

RNG = np.random.default_rng(7)
X, Y = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 2))
THETA = {
    "W1": RNG.normal(size=(4, 3)),
    "b1": RNG.normal(size=4),
    "W2": RNG.normal(size=(2, 4)),
    "b2": RNG.normal(size=2),
}


def backprop(theta, mistake=""):
    """A network with one tanh layer as a student writes it; `mistake` is what went wrong."""
    m = len(X)
    a1 = np.tanh(X @ theta["W1"].T + theta["b1"])
    a2 = a1 @ theta["W2"].T + theta["b2"]
    delta2 = 2 * (a2 - Y) / Y.size
    slope = {"no slope": 1.0, "slope without square": 1 - a1}.get(mistake, 1 - a1**2)
    delta1 = (delta2 @ theta["W2"]) * slope
    below = np.roll(a1, 1, axis=0) if mistake == "stale activation" else a1
    gradient = {
        "W1": delta1.T @ X,
        "b1": delta1.sum(axis=0),
        "W2": delta2.T @ below,
        "b2": delta2.sum(axis=0),
    }
    factor = {
        "wrong sign": -1.0,
        "twice": 2.0,
        "half": 0.5,
        "sum over samples": float(m),
        "sum over outputs": 2.0,
        "all zero": 0.0,
    }.get(mistake, 1.0)
    gradient = {name: factor * g for name, g in gradient.items()}
    if mistake == "no bias":
        gradient["b1"][:] = 0
    if mistake == "mean of the bias":
        gradient["b2"] /= m
    if mistake == "last row":
        gradient["W1"][-1] = 0
    if mistake == "one entry":
        gradient["W2"][1, 3] *= 1.001
    if mistake == "columns shifted":
        gradient["W1"] = np.roll(gradient["W1"], 1, axis=1)
    if mistake == "weight decay":
        gradient["W2"] += 1e-3 * theta["W2"]
    if mistake == "nan":
        gradient["b1"][2] = math.nan
    return np.mean((a2 - Y) ** 2), gradient


MISTAKES = {
    "wrong sign": ("W1", "b1", "W2", "b2"),
    "twice": ("W1", "b1", "W2", "b2"),
    "half": ("W1", "b1", "W2", "b2"),
    "sum over samples": ("W1", "b1", "W2", "b2"),
    "sum over outputs": ("W1", "b1", "W2", "b2"),
    "all zero": ("W1", "b1", "W2", "b2"),
    "no slope": ("W1", "b1"),
    "slope without square": ("W1", "b1"),
    "stale activation": ("W2",),
    "no bias": ("b1",),
    "mean of the bias": ("b2",),
    "last row": ("W1",),
    "one entry": ("W2",),
    "columns shifted": ("W1",),
    "weight decay": ("W2",),
    "nan": ("b1",),
}


def failed(report):
    return tuple(block.name for block in report.blocks if not block.passed)


# Functions


def test_right_function_passes():
    report = cr.gradcheck(backprop, THETA)
    assert report.passed, str(report)
    assert report.diagnosis == ""
    assert [b.name for b in report.blocks] == ["W1", "b1", "W2", "b2"]
    assert report.n_checked == report.n_parameters == 26
    assert {name: e.shape for name, e in report.errors.items()} == {
        name: a.shape for name, a in THETA.items()
    }
    assert 0 < report.max_error < 1e-7
    assert "backprop" in str(report)
    assert all(len(line) <= 80 for line in str(report).splitlines())


@pytest.mark.parametrize("mistake", MISTAKES)
def test_planted_mistake_in_a_function_is_found_and_placed(mistake):
    report = cr.gradcheck(lambda theta: backprop(theta, mistake), THETA)
    assert not report
    assert failed(report) == MISTAKES[mistake]
    right, got = backprop(THETA)[1], backprop(THETA, mistake)[1]
    worst = report.worst
    assert worst.name in MISTAKES[mistake]
    assert worst.analytic == pytest.approx(got[worst.name][worst.index], rel=1e-12, nan_ok=True)
    assert worst.numeric == pytest.approx(right[worst.name][worst.index], rel=1e-6, abs=1e-8)
    for name, errors in report.errors.items():
        differ = ~np.isclose(got[name], right[name], rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(errors > 1e-6, differ)


def test_factor_is_named():
    assert "0.5 times" in cr.gradcheck(lambda theta: backprop(theta, "half"), THETA).diagnosis


@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1e-3, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_scales_of_theta_and_of_the_cost(scale, size):
    theta = scale * np.random.default_rng(3).normal(size=6)

    def fn(theta, factor=1.0):
        t = theta / scale
        return size * np.sum(np.sin(t) + t**2), factor * size * (np.cos(t) + 2 * t) / scale

    assert cr.gradcheck(fn, theta).passed
    assert not cr.gradcheck(lambda theta: fn(theta, 1.0001), theta)

    def one(theta):
        C, g = fn(theta)
        g[4] *= 1.001
        return C, g

    report = cr.gradcheck(one, theta)
    assert not report
    assert report.worst.index == (4,)


def test_curvature_far_beyond_the_parameter_is_no_alarm():
    """sin(theta) at 1e8 bends within the usual step, which is relative to theta."""
    theta = 1e8 * np.random.default_rng(3).normal(size=5)
    assert cr.gradcheck(lambda t: (np.sin(t).sum(), np.cos(t)), theta).passed
    assert not cr.gradcheck(lambda t: (np.sin(t).sum(), 1.01 * np.cos(t)), theta)


@pytest.mark.parametrize("where", [0.0, 1e-9, 1e-7, -2e-6, 3e-6])
def test_kinks_are_no_alarm_and_hide_no_mistake(where):
    theta = np.array([where, 1.0, -2.0])
    for slope in (np.sign, lambda t: np.where(t > 0, 1.0, -1.0)):
        report = cr.gradcheck(lambda t, f=slope: (np.abs(t).sum(), f(t)), theta)
        assert report.passed, str(report)
        assert report.kinks <= 1
    report = cr.gradcheck(lambda t: (np.abs(t).sum(), 1.5 * np.sign(t)), theta)
    assert not report
    if where:
        assert report.n_checked + report.kinks == 3
    far = cr.gradcheck(lambda t: (np.abs(t).sum(), np.sign(t) + [3, 0, 0]), theta)
    assert not far
    assert far.worst.index == (0,)


def test_kinks_of_a_relu_are_counted():
    def fn(theta):
        return np.maximum(theta, 0).sum(), (theta > 0) * 1.0

    report = cr.gradcheck(fn, np.array([0.0, 1.0, -1.0, 0.0]))
    assert report.passed
    assert (report.n_checked, report.kinks) == (2, 2)


@pytest.mark.parametrize("C", [0.0, 3.0, -1e-300])
def test_vacuous_function_is_refused(C):
    report = cr.gradcheck(lambda theta: (C, 0 * theta), np.ones((2, 3)))
    assert not report.passed
    assert "nothing was checked" in report.diagnosis


def test_zero_gradient_of_a_tiny_cost_is_found():
    report = cr.gradcheck(lambda theta: (1e-12 * theta.sum(), 0 * theta), np.ones(3))
    assert not report
    assert report.worst.numeric == pytest.approx(1e-12)


def test_derivatives_lost_in_rounding_are_refused():
    report = cr.gradcheck(lambda t: (1e12 + 1e-8 * t.sum(), 1e-8 + 0 * t), np.ones(3))
    assert not report
    assert "nothing was checked" in report.diagnosis


def in_float32(theta):
    x = theta.astype(np.float32)
    a = np.tanh(x)
    return np.mean(a**2), 2 * a * (1 - a**2) / np.float32(a.size)


def test_float32_inside_is_said_and_no_alarm():
    for seed in range(20):
        theta = np.random.default_rng(seed).normal(size=15)
        report = cr.gradcheck(in_float32, theta)
        assert report.passed, str(report)
        assert "float32" in " ".join(report.notes)
        assert "float32" in str(report)
        for factor in (2, 0.5, -1, 1.05):
            wrong = cr.gradcheck(lambda t, f=factor: (in_float32(t)[0], f * in_float32(t)[1]), theta)
            assert not wrong


def test_float64_is_not_taken_for_float32():
    assert not any("float32" in note for note in cr.gradcheck(backprop, THETA).notes)


def test_structures():
    Layer = namedtuple("Layer", "W b")
    W, b = np.ones((2, 3)), np.arange(2.0)

    def tuples(theta):
        (layer,) = theta
        assert isinstance(layer, Layer)
        z = layer.W.sum(axis=1) + layer.b
        return (z**2).sum(), [(2 * z[:, None] + 0 * layer.W, 2 * z)]

    report = cr.gradcheck(tuples, [Layer(W, b)])
    assert report.passed
    assert [block.name for block in report.blocks] == ["theta[0][0]", "theta[0][1]"]
    assert cr.gradcheck(lambda t: (t[0] ** 2, 2 * t), [3]).passed  # a list of numbers is an array
    assert cr.gradcheck(lambda t: (t**2, 2 * t), 3.0).passed
    assert cr.gradcheck(lambda t: ((t**2).sum(), 2 * t), np.ones((2, 3, 1), np.float32)).passed
    nested = cr.gradcheck(
        lambda t: ((t["a"]["w"] ** 2).sum(), {"a": {"w": t["a"]["w"]}}), {"a": {"w": b + 1}}
    )
    assert str(nested.worst) == "dC/d a.w[1]"


def test_theta_is_not_changed_and_its_change_is_said():
    theta = np.array([1.0, 2.0])
    before = theta.copy()

    def spoils(t):
        C, g = (t**2).sum(), 2 * t
        t -= 0.1 * g
        return C, g

    report = cr.gradcheck(spoils, theta)
    assert report.passed
    np.testing.assert_array_equal(theta, before)
    assert "writes into" in " ".join(report.notes)
    buffer = np.empty(2)

    def same_buffer(t):
        np.multiply(t, 2, out=buffer)
        return (t**2).sum(), buffer

    assert cr.gradcheck(same_buffer, theta).passed


def test_random_function_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="not deterministic"):
        cr.gradcheck(lambda t: ((t**2).sum() * rng.random(), 2 * t), np.ones(3))
    with pytest.raises(ValueError, match="differ in the gradient"):
        cr.gradcheck(lambda t: ((t**2).sum(), 2 * t * rng.random()), np.ones(3))


def fails(theta):
    raise ZeroDivisionError("by nothing")


def needs_data(theta, X, Y):
    return 0.0, theta


@pytest.mark.parametrize(
    ("fn", "theta", "error", "words"),
    [
        (fails, np.ones(2), RuntimeError, r"fails\(theta\) raised ZeroDivisionError: by nothing"),
        (needs_data, np.ones(2), RuntimeError, "lambda theta"),
        (lambda t: 3.0, np.ones(2), TypeError, r"must return \(cost, gradient\), got 3.0"),
        (lambda t: None, np.ones(2), TypeError, "got None"),
        (lambda t: (2 * t, (t**2).sum()), np.ones(2), TypeError, r"\(gradient, cost\)\?"),
        (lambda t: (1j, t), np.ones(2), TypeError, "real number as its cost"),
        (lambda t: (math.nan, t), np.ones(2), ValueError, "finite cost, got nan"),
        (lambda t: (math.inf, t), np.ones(2), ValueError, "finite cost, got inf"),
        (lambda t: ("1", t), np.ones(2), TypeError, "real number as its cost"),
        (lambda t: (1.0, t[:, None]), np.ones(2), ValueError, r"shape \(2,\).*got shape \(2, 1\)"),
        (lambda t: (1.0, t.astype(complex)), np.ones(2), ValueError, "gradient of fn"),
        (lambda t: (1.0, t.astype(np.float16)), np.ones(2), TypeError, "float16"),
        (lambda t: (1.0, None), np.ones(2), TypeError, "gradient of fn is None"),
        (lambda t: (1.0, t["a"]), {"a": np.ones(2)}, TypeError, "a dict like theta"),
        (lambda t: (1.0, {"b": t["a"]}), {"a": np.ones(2)}, ValueError, r"lacks \['a'\]"),
        (lambda t: (1.0, t[:1]), [np.ones(2), np.ones(1)], ValueError, "2 parts like theta"),
        (lambda t: (1.0, t), [], ValueError, "nothing to check"),
        (lambda t: (1.0, t), ["a"], TypeError, "theta must hold numbers"),
        (lambda t: (1.0, t), np.array([1.0, math.nan]), ValueError, "theta must be finite"),
        (lambda t: (1.0, t), np.array([1j]), ValueError, "theta"),
        (lambda t: (1.0, t), None, TypeError, "theta"),
    ],
)
def test_what_is_wrong_with_a_function_is_said(fn, theta, error, words):
    with pytest.raises(error, match=words):
        cr.gradcheck(fn, theta)


def test_exception_beside_theta_is_named():
    def fn(t):
        if t[1] != 1:
            raise ValueError("moved")
        return t.sum(), np.ones(2)

    with pytest.raises(RuntimeError, match=r"fn\(theta \+- h\) raised ValueError: moved"):
        cr.gradcheck(fn, np.ones(2))


def test_sample_of_many_parameters():
    theta = {"a": np.arange(1.0, 301), "b": np.ones(4)}

    def fn(t):
        return (t["a"] ** 2).sum() + t["b"].sum(), {"a": 2 * t["a"], "b": 1.0 + 0 * t["b"]}

    report = cr.gradcheck(fn, theta, max_parameters=50)
    assert report.passed
    assert (report.n_checked, report.n_parameters) == (50, 304)
    assert report.blocks[1].n_checked == 4


def test_parameters_without_effect_are_named():
    def fn(t):
        return (t["a"] ** 2).sum(), {"a": 2 * t["a"], "idle": 0 * t["idle"]}

    report = cr.gradcheck(fn, {"a": np.ones(2), "idle": np.ones(3)})
    assert report.passed
    assert any("does not depend on idle" in note for note in report.notes)


# Dispatch


@pytest.mark.parametrize("target", [None, 3, "net.safetensors", [1], cr.Network, object()])
def test_other_targets_are_refused_and_what_is_taken_is_said(target):
    with pytest.raises(TypeError) as error:
        cr.gradcheck(target, X, Y)
    for kind in ("network", "module", "estimator", "fn(theta) -> (cost, gradient)"):
        assert kind in str(error.value)


def test_function_takes_neither_targets_nor_loss():
    with pytest.raises(TypeError, match="without Y and loss"):
        cr.gradcheck(backprop, THETA, Y)
    with pytest.raises(TypeError, match="without Y and loss"):
        cr.gradcheck(backprop, THETA, loss=cr.MSE())


def test_neuron_and_trainer():
    neuron = cr.Neuron([0.5, -1.0, 2.0], 0.3, "tanh")
    report = cr.gradcheck(neuron, X, Y[:, 0])
    assert report.passed
    assert [b.name for b in report.blocks] == ["w", "b"]
    with pytest.raises(ValueError, match="X"):
        cr.gradcheck(neuron, X[:, :2], Y[:, 0])
    net = cr.Network([cr.Dense(2, "tanh")], n_inputs=3, seed=0)
    assert cr.gradcheck(cr.Trainer(net, loss=cr.MSE("sum")), X, Y).passed
    with pytest.raises(ValueError, match="that of the trainer"):
        cr.gradcheck(cr.Trainer(net, loss=cr.MSE("sum")), X, Y, cr.MSE("half_mean"))


def test_neither_torch_nor_sklearn_is_imported():
    code = (
        "import sys, chainrule as cr\n"
        "assert cr.gradcheck(lambda t: ((t**2).sum(), 2 * t), [1.0, 2.0])\n"
        "assert not {'torch', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
