"""The gradient check of foreign code: functions, PyTorch modules, scikit-learn estimators.

The right gradients are written down by hand next to each cost; each mistake is planted in one of
them, and the places that it changes are the places that the check has to name.
"""

import math
import pickle
import subprocess
import sys
import warnings
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


def test_one_huge_derivative_does_not_hide_the_others():
    def fn(t):
        return (t**2).sum(), 2 * t * [1e9, 1.01, 1.0]

    assert cr.gradcheck(fn, np.ones(3)).diagnosis.startswith("2 of 3 derivatives disagree")


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
    """sin(theta) at 1e6 bends within the usual step, which is relative to theta."""
    theta = 1e6 * np.random.default_rng(3).normal(size=5)
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
    far = cr.gradcheck(lambda t: (np.abs(t).sum(), np.sign(t) + np.eye(3)[0] * 3), theta)
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
            wrong = cr.gradcheck(
                lambda t, f=factor: (in_float32(t)[0], f * in_float32(t)[1]), theta
            )
            assert not wrong
            assert factor == 1.05 or f"{factor} times" in wrong.diagnosis


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
    assert report.n_parameters == 304
    assert report.n_checked <= 50
    assert report.blocks[0].direction_error < 1e-6


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


# PyTorch modules


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="torch is not here: its modules were not checked")


def activation(torch, forward, backward):
    """A module with a derivative of its own: `backward(z, a, g)`."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            a = forward(z)
            ctx.save_for_backward(z, a)
            return a

        @staticmethod
        def backward(ctx, g):
            return backward(*ctx.saved_tensors, g)

    class Activation(torch.nn.Module):
        def forward(self, z):
            return Function.apply(z)

    return Activation()


def sequential(torch, middle=None, dtype="float32"):
    nn = torch.nn
    torch.manual_seed(1)
    layers = [nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), middle or nn.Sigmoid(), nn.Linear(4, 2)]
    return nn.Sequential(*layers).to(getattr(torch, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("loss", ["mse", cr.MSE("sum"), cr.MSE("half_mean"), "callable"])
def test_right_module_passes(torch, dtype, loss):
    net = sequential(torch, dtype=dtype)
    loss = torch.nn.functional.l1_loss if loss == "callable" else loss
    for x, y in ((X, Y), (torch.tensor(X, dtype=getattr(torch, dtype)), torch.tensor(Y))):
        report = cr.gradcheck(net, x, y, loss=loss)
        assert report.passed, str(report)
        assert [b.name for b in report.blocks] == [name for name, _ in net.named_parameters()]
        assert (report.n_parameters, report.samples) == (46, 9)
        assert "eval mode" in " ".join(report.notes)


def test_costs_of_the_squared_error_are_those_of_the_package(torch):
    room = pytest.importorskip("chainrule.gradcheck.torch_module")
    for reduction in ("mean", "sum", "half_mean"):
        mse = cr.MSE(reduction)
        C = room._squared(torch, mse)(torch.tensor(X[:, :2]), torch.tensor(Y))
        expected = cr.reference.cost(X[:, :2], Y, reduction)
        assert float(C) == pytest.approx(expected, rel=1e-14)


def test_module_stays_bit_for_bit_as_it_is(torch):
    nn = torch.nn
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    net(torch.randn(9, 3)).sum().backward()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    grads = [p.grad.clone() for p in net.parameters()]
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    with torch.no_grad():
        report = cr.gradcheck(net, X, Y)
    assert report.passed, str(report)
    assert not cr.gradcheck(net, X, Y, loss=lambda output, y: (output.detach() ** 2).mean())
    dropout = torch.nn.functional.dropout
    assert cr.gradcheck(net, X, Y, loss=lambda output, y: dropout(output, 0.1).pow(2).mean())
    assert cr.gradcheck(net, X[:1], Y[:1])  # in training, BatchNorm refuses a single row
    assert torch.equal(random, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert all(module.training for module in net.modules())
    after = net.state_dict()
    assert all(
        torch.equal(after[name], t) and after[name].dtype == t.dtype for name, t in before.items()
    )
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), grads, strict=True))


TORCH_MISTAKES = {
    "no slope": lambda z, a, g: g,
    "slope without square": lambda z, a, g: g * (1 - a),
    "slope of a": lambda z, a, g: g / torch_cosh(a) ** 2,
    "wrong sign": lambda z, a, g: -g * (1 - a**2),
    "twice": lambda z, a, g: 2 * g * (1 - a**2),
    "sum over samples": lambda z, a, g: len(g) * g * (1 - a**2),
    "last samples": lambda z, a, g: (g * (1 - a**2)).triu(-3),
    "rows shifted": lambda z, a, g: (g * (1 - a**2)).roll(1, 0),
    "zero": lambda z, a, g: 0 * g,
}


def torch_cosh(a):
    return (a.exp() + (-a).exp()) / 2


@pytest.mark.parametrize("mistake", TORCH_MISTAKES)
def test_planted_mistake_in_an_autograd_function_is_found_and_placed(torch, mistake):
    def tanh(z):
        return torch.tanh(z)

    right = sequential(torch, activation(torch, tanh, lambda z, a, g: g * (1 - a**2)))
    assert cr.gradcheck(right, X, Y).passed
    report = cr.gradcheck(sequential(torch, activation(torch, tanh, TORCH_MISTAKES[mistake])), X, Y)
    assert not report
    below = ("0.weight", "0.bias", "2.weight", "2.bias")
    assert failed(report) == (below[:3] if mistake == "rows shifted" else below)
    twin = sequential(torch, torch.nn.Tanh()).double()  # the same weights: the seed is
    ((twin(torch.tensor(X)) - torch.tensor(Y)) ** 2).mean().backward()
    grads = {name: p.grad.numpy() for name, p in twin.named_parameters()}
    worst = report.worst
    assert worst.numeric == pytest.approx(grads[worst.name][worst.index], rel=1e-6, abs=1e-8)
    assert worst.name in report.diagnosis
    assert "autograd gives" in report.diagnosis


def test_cut_graph_is_found_and_named(torch):
    class Cut(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(3, 4)
            self.last = torch.nn.Linear(4, 2)
            self.idle = torch.nn.Parameter(torch.ones(3))
            self.last.bias.requires_grad_(False)

        def forward(self, x):
            return self.last(torch.tanh(self.first(x)).detach())

    report = cr.gradcheck(Cut(), X, Y)
    assert failed(report) == ("first.weight", "first.bias")
    assert "detach()" in report.diagnosis
    notes = " ".join(report.notes)
    assert "not checked: last.bias" in notes
    assert "taken for 0: idle, first.weight, first.bias" in notes
    assert "does not depend on idle" in notes


def test_other_modules(torch):
    nn = torch.nn
    functional = nn.functional
    torch.manual_seed(0)
    images = RNG.normal(size=(4, 1, 6, 6))
    conv = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    assert cr.gradcheck(conv, images, [0, 1, 1, 0], loss=functional.cross_entropy)
    words = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 1))
    assert cr.gradcheck(words, [[0, 1], [3, 4]], [0.5, 1])
    assert cr.gradcheck(nn.Bilinear(3, 2, 2), (X, Y), Y)
    lstm = nn.LSTM(3, 2)
    assert cr.gradcheck(lstm, X, Y, loss=lambda output, y: ((output[0] - y) ** 2).mean())
    # random numbers of its own, and a shape that only the squared error has to match
    noisy = nn.Sequential(nn.Linear(3, 1))
    assert cr.gradcheck(
        noisy, X, Y[:, 0], loss=lambda a, y: (functional.dropout(a, 0.5)[:, 0] - y).pow(2).mean()
    )


def test_float32_inside_a_module_is_no_alarm(torch):
    class Single(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 2)

        def forward(self, x):
            return torch.tanh(self.layer(x)).float()

    for seed in range(15):
        torch.manual_seed(seed)
        report = cr.gradcheck(Single(), X, Y)
        assert report.passed, str(report)
    assert not cr.gradcheck(Single(), X, Y, loss=Half.of(torch))


class Half:
    """The squared error with a gradient that is half of it."""

    @staticmethod
    def of(torch):
        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx, a, y):
                ctx.save_for_backward(a, y)
                return ((a - y) ** 2).mean()

            @staticmethod
            def backward(ctx, g):
                a, y = ctx.saved_tensors
                return g * (a - y).to(a.dtype) / a.numel(), None

        return Function.apply


def test_wrong_loss_is_found_by_its_factor(torch):
    report = cr.gradcheck(sequential(torch), X, Y, loss=Half.of(torch))
    assert not report
    assert len(failed(report)) == 6
    assert "0.5 times" in report.diagnosis


def test_what_is_wrong_with_a_module_is_said(torch):
    nn = torch.nn
    net = sequential(torch)
    cases = [
        ((net, X), {}, TypeError, "Y is missing"),
        ((net, X, Y[:, :1]), {}, ValueError, r"shape of the output, \(9, 2\), got shape \(9, 1\)"),
        ((net, X[:, :2], Y), {}, RuntimeError, "the forward pass of Sequential raised"),
        ((net, X, Y), {"loss": "mae"}, ValueError, "mse"),
        ((net, X, Y), {"loss": 3}, TypeError, r"callable loss\(output, Y\)"),
        ((net, X, Y), {"loss": lambda a, y: a}, TypeError, r"got shape \(9, 2\)"),
        ((net, X, Y), {"loss": lambda a, y: 3.0}, TypeError, "got float"),
        ((net, X, Y), {"loss": lambda a, y: 1 / 0}, RuntimeError, "raised ZeroDivisionError"),
        ((net, X, Y), {"loss": lambda a, y: a.sum() * math.nan}, ValueError, "must be finite"),
        ((net, X * math.nan, Y), {}, ValueError, "X must be finite"),
        ((net, [["a"]], Y), {}, TypeError, "X must hold numbers"),
        ((nn.ReLU(), X, Y), {}, ValueError, "no parameter"),
        ((nn.LazyLinear(2), X, Y), {}, ValueError, "no shape yet"),
        ((nn.Linear(3, 2, dtype=torch.complex64), X, Y), {}, TypeError, "complex"),
        ((net, X, Y), {"max_parameters": 0}, ValueError, "max_parameters"),
    ]
    for args, options, error, words in cases:
        with pytest.raises(error, match=words):
            cr.gradcheck(*args, **options)


# scikit-learn estimators


@pytest.fixture(scope="module")
def mlp():
    return pytest.importorskip(
        "sklearn.neural_network", reason="scikit-learn is not here: its MLPs were not checked"
    )


def quick(estimator, *data):
    """Fitted for a few steps, without the warning that these are too few."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(*data)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("name", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("fitted", [False, True])
def test_known_fault_of_mlp_regressor(mlp, solver, name, fitted):
    """With k outputs its gradient is k times that of its loss; with one output it is right."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    for k in (1, 2, 3):
        estimator = mlp.MLPRegressor(
            hidden_layer_sizes=(5, 4),
            activation=name,
            solver=solver,
            max_iter=10,
            alpha=0.3,
            random_state=1,
        )
        target = y[:, :k] if k > 1 else y[:, 0]
        if fitted:
            quick(estimator, x, target)
        report = cr.gradcheck(estimator, x, target)
        assert report.passed is (k == 1), str(report)
        assert bool(report.diagnosis) is (k > 1)
        if k > 1:
            assert f"{k} times what it should be: the number of outputs" in report.diagnosis
            assert not any(block.passed for block in report.blocks)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_right_estimators_pass(mlp, solver):
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
    options = {"hidden_layer_sizes": (5,), "solver": solver, "max_iter": 10, "random_state": 0}
    for labels in (c, c > 0, np.array(list("abc"))[c], np.eye(3, dtype=int)[c]):
        classifier = mlp.MLPClassifier(**options)
        assert cr.gradcheck(classifier, x, labels).passed
        assert cr.gradcheck(quick(classifier, x, labels), x, labels).passed
        first = np.flatnonzero(c < 2)[:5] if labels is c else slice(None)
        assert cr.gradcheck(classifier, x[first], labels[first]).passed
    if "loss" in mlp.MLPRegressor().get_params():
        poisson = mlp.MLPRegressor(loss="poisson", **options)
        assert cr.gradcheck(poisson, x, rng.poisson(2, size=(30, 2))).passed


def test_loss_and_weights_are_those_of_the_fitted_estimator(mlp):
    """Where the gradient is small the fit had stopped: it is the gradient at these weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = x @ [1.0, -2.0] + 0.5
    estimator = mlp.MLPRegressor(
        hidden_layer_sizes=(2,),
        activation="identity",
        solver="lbfgs",
        alpha=0.1,
        tol=1e-9,
        max_iter=5000,
        random_state=0,
    )
    before = cr.gradcheck(estimator, x, y)
    after = cr.gradcheck(quick(estimator, x, y), x, y)
    assert abs(before.worst.analytic) > 1e-3
    assert abs(after.worst.analytic) < 1e-5


def test_estimator_and_random_numbers_stay_as_they_are(mlp):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    for estimator in (
        mlp.MLPRegressor(hidden_layer_sizes=(3,)),
        mlp.MLPRegressor(hidden_layer_sizes=(3,), random_state=np.random.RandomState(3)),
        quick(mlp.MLPRegressor(hidden_layer_sizes=(3,), max_iter=3), x, y),
        quick(mlp.MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=3), x, y),
    ):
        before, state = pickle.dumps(estimator), np.random.get_state()[1].tobytes()  # noqa: NPY002
        report = cr.gradcheck(estimator, x, y)
        assert report.passed, str(report)
        assert pickle.dumps(estimator) == before
        assert np.random.get_state()[1].tobytes() == state  # noqa: NPY002


SKLEARN_MISTAKES = {
    "no bias": lambda dW, db: db[0].fill(0),
    "wrong sign": lambda dW, db: [np.negative(g, out=g) for g in (*dW, *db)],
    "half": lambda dW, db: [np.multiply(g, 0.5, out=g) for g in (*dW, *db)],
    "penalty of the other layer": lambda dW, db: np.add(dW[1], 0.01, out=dW[1]),
    "last column": lambda dW, db: dW[0][:, -1].fill(0),
    "one entry": lambda dW, db: np.multiply(dW[1][2], 1.01, out=dW[1][2]),
    "first layer": lambda dW, db: [np.multiply(g, 3, out=g) for g in (dW[0], db[0])],
}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("mistake", SKLEARN_MISTAKES)
def test_planted_mistake_in_an_estimator_is_found_and_placed(mlp, mistake, solver):
    class Planted(mlp.MLPRegressor):
        def _backprop(self, *args):
            C, dW, db = super()._backprop(*args)
            right.append({f"coefs_[{i}]": g.copy() for i, g in enumerate(dW)})
            right[-1] |= {f"intercepts_[{i}]": g.copy() for i, g in enumerate(db)}
            SKLEARN_MISTAKES[mistake](dW, db)
            got.append({f"coefs_[{i}]": g.copy() for i, g in enumerate(dW)})
            got[-1] |= {f"intercepts_[{i}]": g.copy() for i, g in enumerate(db)}
            return C, dW, db

    right, got = [], []
    estimator = Planted(hidden_layer_sizes=(4,), activation="tanh", solver=solver, random_state=0)
    report = cr.gradcheck(estimator, X, Y[:, 0])
    changed = {name for name, g in right[0].items() if not np.array_equal(g, got[0][name])}
    assert changed
    assert set(failed(report)) == changed
    worst = report.worst
    assert worst.analytic == got[0][worst.name][worst.index]
    assert worst.numeric == pytest.approx(right[0][worst.name][worst.index], rel=1e-6, abs=1e-8)


def test_pipelines_and_searches_are_unwrapped(mlp):
    pipeline = pytest.importorskip("sklearn.pipeline")
    scaler = pytest.importorskip("sklearn.preprocessing").StandardScaler()
    search = pytest.importorskip("sklearn.model_selection")
    regressor = mlp.MLPRegressor(hidden_layer_sizes=(3,), max_iter=3, random_state=0)
    x, y = 100 * X + 50, Y[:, 0]
    pipe = pipeline.make_pipeline(scaler, regressor)
    assert cr.gradcheck(pipe, x, y).passed
    assert not hasattr(scaler, "mean_")
    grid = search.GridSearchCV(pipe, {"mlpregressor__alpha": [0.1]}, cv=2)
    report = cr.gradcheck(grid, x, y)
    assert report.passed
    assert "before the search" in " ".join(report.notes)
    report = cr.gradcheck(quick(grid, x, y), x, y)
    assert report.passed
    assert "best_estimator_" in " ".join(report.notes)
    assert not cr.gradcheck(quick(pipe, x, Y), x, Y).passed


def test_what_is_wrong_with_an_estimator_is_said(mlp):
    linear = pytest.importorskip("sklearn.linear_model")
    regressor = mlp.MLPRegressor(hidden_layer_sizes=(3,), max_iter=3)
    fitted = quick(mlp.MLPRegressor(hidden_layer_sizes=(3,), max_iter=3), X, Y)
    with pytest.raises(TypeError, match=r"MLPRegressor or MLPClassifier.*LinearRegression"):
        cr.gradcheck(linear.LinearRegression(), X, Y)
    with pytest.raises(TypeError, match="y is missing"):
        cr.gradcheck(regressor, X)
    with pytest.raises(TypeError, match="loss must be left out"):
        cr.gradcheck(regressor, X, Y, cr.MSE("sum"))
    with pytest.raises(ValueError, match="1 output, but MLPRegressor was fitted with 2"):
        cr.gradcheck(fitted, X, Y[:, 0])
    with pytest.raises(ValueError, match="2 features"):
        cr.gradcheck(fitted, X[:, :2], Y)
    with pytest.raises(ValueError, match="NaN"):
        cr.gradcheck(regressor, X * math.nan, Y)
    with pytest.raises(ValueError, match="activation"):
        cr.gradcheck(mlp.MLPRegressor(activation="gelu"), X, Y)


# Many parameters: random directions


def wide(mistake=None):
    """A cost of 60 000 parameters in three blocks, quadratic and bent."""
    rng = np.random.default_rng(1)
    goal = {"a": rng.normal(size=(200, 200)), "b": rng.normal(size=19_000), "c": np.ones(1000)}

    def fn(theta):
        cost, gradient = 0.0, {}
        for name, part in theta.items():
            e = part - goal[name]
            cost += float(np.sum(e**2) + np.sum(np.cos(part)))
            gradient[name] = 2 * e - np.sin(part)
        if mistake is not None:
            mistake(gradient)
        return cost, gradient

    return fn, {name: rng.normal(size=part.shape) for name, part in goal.items()}


def test_many_parameters_are_held_along_directions():
    fn, theta = wide()
    report = cr.gradcheck(fn, theta)
    assert report.passed, str(report)
    assert report.n_checked < 100
    assert "random directions per block" in str(report)
    assert all(block.direction_error < 1e-6 for block in report.blocks)


def spoilt_entry(gradient):
    gradient["b"][1234] += 3.0


def spoilt_sign(gradient):
    gradient["c"] *= -1


def spoilt_tail(gradient):
    gradient["a"][:, -1] = 0


@pytest.mark.parametrize(
    ("mistake", "block"), [(spoilt_entry, "b"), (spoilt_sign, "c"), (spoilt_tail, "a")]
)
def test_a_mistake_among_many_parameters_is_found_in_its_block(mistake, block):
    fn, theta = wide(mistake)
    report = cr.gradcheck(fn, theta)
    assert not report.passed
    assert [b.name for b in report.blocks if not b.passed] == [block]
    assert report.worst.name == block
    if mistake is spoilt_entry:
        assert report.worst.index == (1234,)
    if mistake is spoilt_tail:
        assert report.worst.index[1] == 199
