"""Gradient checks of every loss: right networks pass, wrong ones do not and are called by name."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.losses import LOSSES, CustomLoss
from chainrule.objective import Objective

mistakes = importlib.import_module("chainrule.gradcheck.mistakes")
slips = importlib.import_module("chainrule.gradcheck.slips_of_loss")
parameters_room = importlib.import_module("chainrule.gradcheck.parameters")

NAMES = list(LOSSES)
SPECS = [
    *NAMES,
    cr.Huber(0.4, reduction="sum"),
    cr.Quantile((0.1, 0.5, 0.6, 0.9)),
    cr.GaussianNLL(eps=0.1),
    cr.CrossEntropy("sum"),
]
EACH = pytest.mark.parametrize("loss", SPECS, ids=str)
NAMED = pytest.mark.parametrize("name", NAMES)


def setting(loss, m=9, dtype="float64", seed=0, hidden="tanh", scale=1.0):
    """A network with four outputs, and data that the loss takes."""
    name = loss if isinstance(loss, str) else loss.name
    rng = np.random.default_rng(seed)
    net = cr.Network([cr.Dense(5, hidden), cr.Dense(4)], 3, dtype=dtype, seed=seed)
    net.theta[...] *= scale
    for l in (1, 2):
        net.b[l] = rng.uniform(-0.5, 0.5, net.n[l])
    X = rng.normal(size=(m, 3))
    if name == "cross_entropy":
        Y = rng.integers(0, 4, m)
    elif name == "gaussian_nll":
        Y = rng.normal(size=(m, 2))
    elif name == "binary_cross_entropy":
        Y = rng.integers(0, 2, (m, 4)).astype(float)
    elif name == "poisson":
        Y = rng.poisson(2.0, (m, 4)).astype(float)
    else:
        Y = rng.normal(size=(m, 4))
    return net, X, Y


class Planted:
    """A network whose gradient goes through `wrong`."""

    def __init__(self, net, wrong, dtypes=("float32", "float64")):
        self.net, self.wrong, self.dtypes = net, wrong, dtypes

    def __getattr__(self, name):
        return getattr(self.net, name)

    def copy(self, dtype=None):
        return Planted(self.net.copy(dtype), self.wrong, self.dtypes)

    def gradient(self, X, Y, loss="mse", sample_weight=None):
        g = self.net.gradient(X, Y, loss, sample_weight)
        dW, db = ([None, *(np.array(part) for part in parts)] for parts in (g.dW, g.db))
        if self.net.dtype in self.dtypes:
            self.wrong(dW, db)
        return SimpleNamespace(cost=g.cost, dW=dW, db=db)


# Right networks


@EACH
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_every_loss_passes(loss, weighted, scale, dtype):
    for seed, (m, hidden) in enumerate([(1, "silu"), (4, "tanh"), (9, "relu")]):
        net, X, Y = setting(loss, m, dtype, seed, hidden, scale)
        w = np.linspace(0.5, 3, m) if weighted else None
        before = net.theta.copy()
        report = cr.gradcheck(net, X, Y, loss=loss, sample_weight=w)
        assert report.passed, report
        assert report.n_checked + report.kinks == net.n_parameters
        assert all(b.complex_error is not None for b in report.blocks)
        assert report.max_ulp < 100
        np.testing.assert_array_equal(net.theta, before)
        if dtype == "float32":
            assert 0 < report.float32.max_error < report.float32.allowed / 4


@pytest.mark.parametrize("loss", ["huber", "cross_entropy", "quantile"])
def test_a_trainer_and_one_with_another_loss(loss):
    net, X, Y = setting(loss)
    trainer = cr.Trainer(net, loss=loss)
    w = np.linspace(0.5, 3, len(X))
    assert cr.gradcheck(trainer, X, Y, sample_weight=w).passed
    assert cr.gradcheck(trainer, X, Y, loss=LOSSES[loss]).passed
    with pytest.raises(ValueError, match="loss must be that of the trainer"):
        cr.gradcheck(trainer, X, Y, loss="mae")


@EACH
def test_a_large_network_goes_along_directions(loss):
    net, X, Y = setting(loss)
    w = np.linspace(0.5, 3, len(X))
    report = cr.gradcheck(net, X, Y, loss=loss, sample_weight=w, max_parameters=8)
    assert report.passed, report
    assert all(b.direction_error is not None for b in report.blocks)

    def double(dW, db):
        dW[1] *= 1.001

    report = cr.gradcheck(Planted(net, double), X, Y, loss=loss, max_parameters=8)
    assert not report.passed


# Wrong ones


@EACH
@pytest.mark.parametrize("weighted", [False, True])
def test_a_small_mistake_is_found(loss, weighted):
    net, X, Y = setting(loss)
    w = np.linspace(0.5, 3, len(X)) if weighted else None

    def shift(dW, db):
        dW[1][2, 1] += 1e-9 * np.abs(dW[1]).max()

    report = cr.gradcheck(Planted(net, shift), X, Y, loss=loss, sample_weight=w)
    assert not report.passed
    assert str(report.worst) == "dC/dw^1_3,2"


@EACH
def test_a_small_mistake_in_float32_is_found(loss):
    net, X, Y = setting(loss, dtype="float32")

    def shift(dW, db):
        dW[1][2, 1] += 2e-4 * np.abs(dW[1]).max()

    report = cr.gradcheck(Planted(net, shift, ("float32",)), X, Y, loss=loss)
    assert not report.passed
    assert not report.float32.passed


@EACH
def test_missing_weights_are_named(loss):
    net, X, Y = setting(loss)
    w = np.linspace(0.5, 3, len(X))
    right = net.gradient(X, Y, loss)

    def unweighted(dW, db):
        for l in (1, 2):
            dW[l], db[l] = np.array(right.dW[l]), np.array(right.db[l])

    report = cr.gradcheck(Planted(net, unweighted), X, Y, loss=loss, sample_weight=w)
    assert not report.passed
    assert "The weights of the samples are left out (BP1)" in report.diagnosis


@EACH
@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (9.0, "9 is m"),
        (4.0, "4 is n_L"),
        (36.0, "m n_L"),
        (2.0, "2 times"),
        (-1.0, "the sign"),
    ],
)
def test_a_factor_is_named_after_the_loss_in_use(loss, factor, said):
    net, X, Y = setting(loss)

    def times(dW, db):
        for l in (1, 2):
            dW[l], db[l] = factor * dW[l], factor * db[l]

    report = cr.gradcheck(Planted(net, times), X, Y, loss=loss)
    assert not report.passed
    assert said in report.diagnosis
    name = loss if isinstance(loss, str) else loss.name
    assert ("square" in report.diagnosis) == (name == "mse" and factor == 2)
    if factor == 2 and name == "gaussian_nll":
        assert "The 1/2 of gaussian_nll is missing" in report.diagnosis


def own_slips(name):
    return [row for row in slips.RESIDUALS if name in row[0].split()]


@pytest.mark.parametrize(
    ("name", "slip"), [(name, row[1]) for name in NAMES for row in own_slips(name)]
)
def test_the_slips_of_each_loss_are_planted_and_named(name, slip):
    net, X, Y = setting(name, m=7)
    loss = cr.Huber(0.7) if name == "huber" else cr.Quantile(0.3) if name == "quantile" else name
    W, b = ([None, *(np.array(p) for p in parts)] for parts in (net.W, net.b))
    _, y = net._prepare(X, Y, LOSSES[name])
    anatomy = mistakes.Anatomy(W, b, ["tanh", "identity"], X, y, loss)
    wrong = dict(mistakes.Simulation(anatomy).gradients())[f"{slip} (BP1)"]
    W_1, b_1, W_2, b_2 = np.split(wrong, np.cumsum([15, 5, 20]))

    def plant(dW, db):
        dW[1:], db[1:] = [W_1.reshape(5, 3), W_2.reshape(4, 5)], [b_1, b_2]

    report = cr.gradcheck(Planted(net, plant), X, Y, loss=loss)
    assert not report.passed
    assert slip.lower() in report.diagnosis.lower(), report.diagnosis


# Kinks


@pytest.mark.parametrize("loss", ["mae", cr.Quantile(0.9)], ids=str)
def test_an_error_at_its_kink_is_left_out_and_counted(loss):
    net, X, Y = setting(loss)
    Y[2, 1] = net(X)[2, 1] - 1e-13  # within every step
    report = cr.gradcheck(net, X, Y, loss=loss)
    assert report.passed, report
    # b^2_2, the weights of unit 2 of layer 2, and all below, which reach it
    assert report.kinks == 1 + 5 + 20
    assert {b.name: b.kinks for b in report.blocks} == {"W^1": 15, "b^1": 5, "W^2": 5, "b^2": 1}
    assert "left out" in str(report)
    clear, X, Y = setting(loss)
    assert cr.gradcheck(clear, X, Y, loss=loss).kinks == 0


def test_the_edge_of_huber_is_no_kink():
    loss = cr.Huber(0.25)
    net, X, Y = setting(loss)
    for edge in (0.25, -0.25):
        Y[2, 1] = net(X)[2, 1] - edge - 1e-13
        report = cr.gradcheck(net, X, Y, loss=loss)
        assert report.passed, report


def test_an_error_near_its_kink_takes_a_smaller_step():
    net, X, Y = setting("mae")
    Y[2, 1] = net(X)[2, 1] - 3e-6
    report = cr.gradcheck(net, X, Y, loss="mae")
    assert report.passed
    assert report.kinks == 0


@pytest.mark.parametrize("loss", ["mae", cr.Quantile(0.9)], ids=str)
def test_an_error_of_exactly_0_has_no_complex_step(loss):
    net, X, Y = setting(loss)
    Y[2, 1] = net(X)[2, 1]
    report = cr.gradcheck(net, X, Y, loss=loss)
    assert report.passed, report
    blocks = {b.name: b for b in report.blocks}
    assert blocks["W^1"].complex_error is None
    assert blocks["W^2"].complex_error is not None


@pytest.mark.parametrize("loss", ["mae", cr.Quantile(0.9)], ids=str)
def test_float32_may_round_to_the_other_side_of_a_kink(loss):
    net, X, Y = setting(loss, dtype="float32")
    Y = net(X) + np.spacing(net(X)) * np.array([0, 1, -1, 0], np.float32)
    report = cr.gradcheck(net, X, Y, loss=loss)
    assert report.float32.passed, report


# A loss of one's own


def squares(a, Y):
    return float(np.mean((a - Y) ** 2)), 2 * (a - Y) / a.size


def half_of_it(a, Y):
    return float(np.mean((a - Y) ** 2)), (a - Y) / a.size


def wrong_at_one(a, Y):
    cost, slope = squares(a, Y)
    slope[3, 2] += 0.25
    return cost, slope


def test_a_loss_of_ones_own(dtype):
    net, X, Y = setting("mse", dtype=dtype)
    for loss in (squares, CustomLoss(squares)):
        report = cr.gradcheck(net, X, Y, loss=loss)
        assert report.passed, report
        assert report.n_checked == net.n_parameters
        assert not any("complex" in line for line in report.oracles)
        assert all(block.complex_error is None for block in report.blocks)
        assert (report.float32 is not None) == (dtype == "float32")
    right = cr.gradcheck(net, X, Y)
    assert report.max_error == pytest.approx(right.max_error, rel=1)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (half_of_it, "All derivatives are 0.5 times what they should be"),
        (wrong_at_one, "dC/d a^L[3, 2]"),
    ],
)
@pytest.mark.parametrize("max_parameters", [20_000, 8])
def test_a_wrong_slope_of_a_loss_of_ones_own_is_told_from_a_wrong_network(
    loss, said, max_parameters
):
    net, X, Y = setting("mse")
    report = cr.gradcheck(net, X, Y, loss=loss, max_parameters=max_parameters)
    assert not report.passed
    assert "The loss itself is wrong" in report.diagnosis
    assert "the loss gives" in report.diagnosis
    assert said in report.diagnosis


def test_a_wrong_network_with_a_right_loss_of_ones_own():
    net, X, Y = setting("mse")

    def double(dW, db):
        dW[1] *= 2

    report = cr.gradcheck(Planted(net, double), X, Y, loss=squares)
    assert not report.passed
    assert "The loss itself" not in report.diagnosis
    assert "dW^1 is 2 times what it should be" in report.diagnosis


def test_a_wrong_slope_where_the_network_does_not_look():
    # Dead units: no derivative depends on the wrong slope, and the check still says so.
    _, X, Y = setting("mse")
    dead = cr.Network([cr.Dense(5, "tanh"), cr.Dense(4, "relu")], 3, dtype="float64")
    dead.b[2] = [1.0, 1.0, -50.0, 1.0]
    report = cr.gradcheck(dead, X, Y, loss=wrong_at_one)
    assert not report.passed
    assert "The loss itself is wrong at these outputs" in report.diagnosis


# PyTorch's losses


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("mse", "MSELoss", {}),
        ("mae", "L1Loss", {}),
        ("huber", "HuberLoss", {"delta": 0.5}),
        ("poisson", "PoissonNLLLoss", {}),
        ("binary_cross_entropy", "BCEWithLogitsLoss", {}),
        ("cross_entropy", "CrossEntropyLoss", {}),
    ],
)
def test_a_module_with_a_loss_of_pytorch_is_diagnosed_with_it(name, kind, options, reduction):
    torch = pytest.importorskip("torch")

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            a = torch.tanh(z)
            ctx.save_for_backward(a)
            return a

        @staticmethod
        def backward(ctx, g):
            return g * (1 - ctx.saved_tensors[0])

    class WrongTanh(torch.nn.Module):
        def forward(self, z):
            return Function.apply(z)

    _, X, Y = setting(name)
    torch.manual_seed(0)
    for middle, wrong in ((torch.nn.Tanh(), False), (WrongTanh(), True)):
        net = torch.nn.Sequential(torch.nn.Linear(3, 5), middle, torch.nn.Linear(5, 4))
        loss = getattr(torch.nn, kind)(reduction=reduction, **options)
        report = cr.gradcheck(net, X, Y, loss=loss)
        assert report.passed != wrong, report
        if wrong:
            assert "1 - a stands for f'(z) in layer 1" in report.diagnosis


def test_a_weighted_loss_of_pytorch_is_checked_without_the_network():
    torch = pytest.importorskip("torch")
    _, X, Y = setting("cross_entropy")
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4))
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    report = cr.gradcheck(net, X, Y, loss=torch.nn.CrossEntropyLoss(weight=weight))
    assert report.passed, report
    assert not any("W^1 is" in note for note in report.notes)


# The room


@NAMED
def test_variance_is_what_noise_does(name):
    rng = np.random.default_rng(1)
    _, _, Y = setting(name)
    Y = np.eye(4)[Y] if name == "cross_entropy" else Y
    objective = Objective(name, Y, np.linspace(0.5, 2, len(Y)))
    a = rng.normal(size=(len(Y), 4))
    V_a = rng.uniform(0.5, 2, a.shape) * 1e-12
    noise = rng.normal(size=(4000, *a.shape)) * np.sqrt(V_a)
    here = objective.slope(a)
    seen = np.mean([(objective.slope(a + e) - here) ** 2 for e in noise], axis=0)
    told = objective.variance(a, V_a, 1.0)
    np.testing.assert_allclose(told, seen, rtol=0.2, atol=1e-18)


@NAMED
def test_values_and_slopes_round_within_their_sizes(name):
    rng = np.random.default_rng(2)
    _, _, Y = setting(name, m=50)
    Y = np.eye(4)[Y] if name == "cross_entropy" else Y.astype(np.float32).astype(float)
    for scale in (0.1, 1.0, 10.0):
        a = (scale * rng.normal(size=(len(Y), 4))).astype(np.float32)
        objective = Objective(name, Y)
        _, slopes = objective.sizes(a.astype(float))
        in_float32 = reference.dC_da(a, Y.astype(np.float32), name)
        far = np.abs(in_float32 - objective.slope(a.astype(float)))
        bound = 4 * 2.0**-24 * (slopes + objective.terms(a.astype(float)))
        assert (far <= bound + 1e-30).all()


def test_a_row_of_the_objective():
    _, _, Y = setting("huber")
    objective, a = Objective("huber", Y), np.ones((9, 4))
    other = a.copy()
    other[3] = 2.0
    assert objective.with_row(a, 3, other[3]) == reference.cost(other, Y, "huber")
    assert (a == 1).all()
