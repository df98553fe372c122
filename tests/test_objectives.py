"""The losses of the core: against PyTorch, sample weights, targets, and one of one's own."""

import math
import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core
from chainrule.losses import LOSSES, checked_loss

M, N_L = 60, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(M, 3))
REAL = 2 * RNG.normal(size=(M, N_L))
COUNTS = RNG.poisson(2.0, (M, N_L)).astype(float)
BITS = RNG.integers(0, 2, (M, N_L)).astype(float)
CLASSES = RNG.integers(0, N_L, M)
SOFT = RNG.dirichlet(np.ones(N_L), M)
PAIRS = RNG.normal(size=(M, N_L // 2))

# name: (our loss, its targets, PyTorch's loss of (z, y) with `reduction`)
CASES = {
    "mse": ("mse", REAL, lambda F, z, y, r: F.mse_loss(z, y, reduction=r)),
    "mae": ("mae", REAL, lambda F, z, y, r: F.l1_loss(z, y, reduction=r)),
    "huber": (cr.Huber(0.7), REAL, lambda F, z, y, r: F.huber_loss(z, y, delta=0.7, reduction=r)),
    "poisson": (
        "poisson",
        COUNTS,
        lambda F, z, y, r: F.poisson_nll_loss(z, y, log_input=True, full=False, reduction=r),
    ),
    "binary": (
        "binary_cross_entropy",
        BITS,
        lambda F, z, y, r: F.binary_cross_entropy_with_logits(z, y, reduction=r),
    ),
    "classes": (
        "cross_entropy",
        CLASSES,
        lambda F, z, y, r: F.cross_entropy(z, y.long(), reduction=r),
    ),
    "soft classes": (
        "cross_entropy",
        SOFT,
        lambda F, z, y, r: F.cross_entropy(z, y, reduction=r),
    ),
    "gaussian": (
        cr.GaussianNLL(1e-3),
        PAIRS,
        lambda F, z, y, r: F.gaussian_nll_loss(z[:, :2], y, z[:, 2:].exp() + 1e-3, reduction=r),
    ),
    "log_cosh": (
        "log_cosh",
        REAL,
        lambda F, z, y, r: getattr((z - y).cosh().log(), r)(),
    ),
    "quantile": (
        cr.Quantile((0.1, 0.5, 0.9, 0.3)),
        REAL,
        lambda F, z, y, r: getattr(
            ((y - z).relu() * z.new_tensor([0.1, 0.5, 0.9, 0.3]))
            + ((z - y).relu() * z.new_tensor([0.9, 0.5, 0.1, 0.7])),
            r,
        )(),
    ),
}


def network(dtype="float64", hidden=6, n_L=N_L):
    net = cr.Network([cr.Dense(hidden, "tanh"), cr.Dense(n_L)], 3, dtype=dtype, seed=2)
    net.b[2] = np.linspace(-1, 1, n_L)
    return net


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("hidden", [6, 2000])
def test_against_pytorch(case, reduction, hidden, isa):
    torch = pytest.importorskip("torch")
    spec, Y, theirs = CASES[case]
    loss = checked_loss(spec)
    loss = loss if reduction == "mean" else pickle.loads(pickle.dumps(loss))
    object.__setattr__(loss, "reduction", reduction)
    try:
        net = network(hidden=hidden)
        W = [torch.tensor(np.array(w), requires_grad=True) for w in net.W]
        b = [torch.tensor(np.array(v), requires_grad=True) for v in net.b]
        z = torch.tanh(torch.tensor(X) @ W[0].T + b[0]) @ W[1].T + b[1]
        C = theirs(torch.nn.functional, z, torch.tensor(Y), reduction)
        C.backward()
        g = net.gradient(X, Y, loss=loss)
    finally:
        object.__setattr__(loss, "reduction", "mean")
    assert g.cost == pytest.approx(C.item(), rel=1e-13)
    for l in (1, 2):
        for got, right in ((g.dW[l], W[l - 1]), (g.db[l], b[l - 1])):
            g_right = right.grad.numpy()
            np.testing.assert_allclose(got, g_right, rtol=0, atol=1e-13 * abs(g_right).max())


@pytest.mark.parametrize("case", CASES)
def test_float32_is_near_float64(case):
    spec, Y, _ = CASES[case]
    net = network()
    g, g32 = net.gradient(X, Y, spec), net.copy("float32").gradient(X, Y, spec)
    assert g32.cost == pytest.approx(g.cost, rel=1e-5)
    np.testing.assert_allclose(g32.theta, g.theta, rtol=0, atol=1e-5 * np.abs(g.theta).max())


@pytest.mark.parametrize("case", CASES)
def test_a_weight_is_so_many_rows(case):
    spec, Y, _ = CASES[case]
    net = network()
    weight = RNG.integers(0, 4, M)
    g = net.gradient(X, Y, spec, sample_weight=weight)
    repeated = np.repeat(np.arange(M), weight)
    right = net.gradient(X[repeated], Y[repeated], spec)
    assert g.cost == pytest.approx(right.cost, rel=1e-13)
    assert net.cost(X, Y, spec, sample_weight=weight) == g.cost
    assert net.trace(X, Y, spec, sample_weight=weight).cost == g.cost
    np.testing.assert_allclose(g.theta, right.theta, rtol=0, atol=1e-13)
    # Their scale has no say.
    np.testing.assert_allclose(net.gradient(X, Y, spec, 0.1 * weight).theta, g.theta, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_training_falls_and_equals_steps(case):
    spec, Y, _ = CASES[case]
    net, twin = network(), network()
    weight = RNG.uniform(0.5, 2, M)
    history = net.fit(
        X,
        Y,
        epochs=3,
        batch_size=20,
        loss=spec,
        shuffle=False,
        sample_weight=weight,
        optimizer=cr.Adam(0.01),
        validation_data=(X, Y, weight),
    )
    trainer = cr.Trainer(twin, cr.Adam(0.01), loss=spec)
    for epoch in range(3):
        costs = [
            trainer.step(X[i : i + 20], Y[i : i + 20], sample_weight=weight[i : i + 20])
            for i in range(0, M, 20)
        ]
        sums = [weight[i : i + 20].sum() for i in range(0, M, 20)]
        assert history.cost[epoch] == pytest.approx(np.average(costs, weights=sums), rel=1e-12)
    np.testing.assert_array_equal(net.theta, twin.theta)
    assert history.val_cost[-1] == net.cost(X, Y, spec, weight)
    assert history.val_cost[2] < history.val_cost[0] < network().cost(X, Y, spec, weight)


@pytest.mark.parametrize("widths", [(6,), (900, 900)])  # blocks through all layers; layer by layer
def test_weights_go_with_their_rows_when_the_order_is_new(widths):
    def made():
        layers = [*(cr.Dense(n, "tanh") for n in widths), cr.Dense(N_L)]
        return cr.Network(layers, 3, dtype="float64", seed=2)

    net, twin = made(), made()
    weight = RNG.uniform(0, 3, M)
    net.fit(X, REAL, epochs=2, batch_size=25, seed=5, sample_weight=weight)
    trainer = cr.Trainer(twin)
    for epoch in range(2):
        order = _core.permutation(5, epoch, M)
        for i in range(0, M, 25):
            rows = order[i : i + 25]
            trainer.step(X[rows], REAL[rows], sample_weight=weight[rows])
    np.testing.assert_array_equal(net.theta, twin.theta)


# In the network's last layer z = a: far out every loss is stable.
FAR = {
    "mae": lambda a, y: abs(a - y),
    "huber": lambda a, y: abs(a - y) - 0.5,
    "log_cosh": lambda a, y: abs(a - y) - math.log(2),
    "quantile": lambda a, y: 0.5 * abs(a - y),
    "binary_cross_entropy": lambda a, y: max(a, 0) - a * y,
    "cross_entropy": lambda a, y: max(a, 0) - a * y,
}


@pytest.mark.parametrize("name", FAR)
@pytest.mark.parametrize("far", [1e4, -1e4])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_far_out(name, far, y, dtype, isa):
    classes = name == "cross_entropy"
    net = cr.Network([cr.Dense(2 if classes else 1)], n_inputs=1, dtype=dtype)
    net.theta = np.zeros(net.theta.size)
    net.b[1] = [0.0, far] if classes else [far]
    target = [int(y)] if classes else [y]
    g = net.gradient([[1.0]], target, loss=name)
    right = FAR[name](far, y)
    assert g.cost == pytest.approx(right, rel=1e-6 if dtype == "float32" else 1e-15, abs=1e-40)
    assert np.isfinite(g.theta).all()
    slope = g.db[1][-1]
    h = 8.0  # straight out there
    assert slope == pytest.approx((FAR[name](far + h, y) - FAR[name](far - h, y)) / 16, abs=1e-6)


def test_poisson_and_gaussian_far_out():
    net = cr.Network([cr.Dense(1)], n_inputs=1, dtype="float64")
    net.theta = [0, -1e4]
    assert net.cost([[1.0]], [3.0], loss="poisson") == 3e4
    net.theta = [0, 1e4]
    with pytest.raises(cr.DivergedError):
        net.cost([[1.0]], [3.0], loss="poisson")
    pair = cr.Network([cr.Dense(2)], n_inputs=1, dtype="float64")
    for s, right in ((1e4, 5e3), (-1e4, (math.log(1e-6) + 1e6) / 2)):
        pair.theta = [0, 0, 1, s]
        assert pair.cost([[1.0]], [0.0], loss="gaussian_nll") == pytest.approx(right, rel=1e-13)
        assert np.isfinite(pair.gradient([[1.0]], [0.0], loss="gaussian_nll").theta).all()


def test_gaussian_without_a_least_variance():
    pair = cr.Network([cr.Dense(2)], n_inputs=1, dtype="float64")
    pair.theta = [0, 0, 0, -1e4]
    g = pair.gradient([[1.0]], [0.0], loss=cr.GaussianNLL(0))
    assert g.cost == -5e3
    np.testing.assert_array_equal(g.db[1], [0, 0.5])


def test_small_differences_keep_their_digits():
    """Where a naive formula cancels: log cosh near 0, entropies of what is known already."""
    net = cr.Network([cr.Dense(1)], n_inputs=1, dtype="float64")
    net.theta = [0, 1e-6]
    assert net.cost([[1.0]], [0.0], loss="log_cosh") == pytest.approx(5e-13, rel=1e-10)
    net.theta = [0, 40.0]
    g = net.gradient([[1.0]], [1.0], loss="binary_cross_entropy")
    assert g.cost == pytest.approx(math.exp(-40), rel=1e-14)
    assert g.db[1][0] == pytest.approx(-math.exp(-40), rel=1e-14)
    two = cr.Network([cr.Dense(2)], n_inputs=1, dtype="float64")
    two.theta = [0, 0, 40.0, 0]
    g = two.gradient([[1.0]], [0], loss="cross_entropy")
    assert g.cost == pytest.approx(math.exp(-40), rel=1e-14)
    np.testing.assert_allclose(g.db[1], [-math.exp(-40), math.exp(-40)], rtol=1e-14)


def test_targets_of_classes():
    net = network()
    right = net.gradient(X, np.eye(N_L)[CLASSES], "cross_entropy")
    for Y in (
        CLASSES,
        CLASSES.astype(float),
        CLASSES[:, None],
        list(CLASSES),
        CLASSES.astype("u1"),
    ):
        g = net.gradient(X, Y, "cross_entropy")
        assert g.cost == right.cost
        np.testing.assert_array_equal(g.theta, right.theta)
    p = cr.CrossEntropy().predictions(net(X))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    picked = -np.log(p[np.arange(M), CLASSES]).mean()
    assert right.cost == pytest.approx(picked, rel=1e-13)


def test_quantiles_of_one_column():
    net = network(n_L=3)
    loss = cr.Quantile((0.1, 0.5, 0.9))
    y = REAL[:, 0]
    wide = net.gradient(X, np.repeat(y[:, None], 3, axis=1), loss)
    for Y in (y, y[:, None]):
        np.testing.assert_array_equal(net.gradient(X, Y, loss).theta, wide.theta)
    # A constant network learns the quantiles themselves.
    constant = cr.Network([cr.Dense(3)], n_inputs=1, dtype="float64")
    y = np.random.default_rng(4).gamma(2.0, size=2000)
    constant.fit(
        np.zeros((2000, 1)), y, epochs=3000, batch_size=2000, loss=loss, optimizer=cr.Adam(0.01)
    )
    np.testing.assert_allclose(constant.b[1], np.quantile(y, loss.q), atol=0.02)


WRONG = [
    ("cross_entropy", CLASSES + 1, ValueError, "class numbers 0 to 3 .*got 4"),
    ("cross_entropy", CLASSES - 0.5, ValueError, "class numbers 0 to 3"),
    ("cross_entropy", 2 * SOFT, ValueError, "in \\[0, 1\\]|add up to 1"),
    ("cross_entropy", BITS * 0.2, ValueError, "add up to 1"),
    ("cross_entropy", SOFT[:, :3], ValueError, "columns"),
    ("binary_cross_entropy", REAL, ValueError, r"Y must be in \[0, 1\] for binary_cross_entropy"),
    ("poisson", REAL, ValueError, "Y must be at least 0 for poisson"),
    ("gaussian_nll", REAL, ValueError, "columns"),
    (cr.Quantile((0.1, 0.9)), REAL, ValueError, "2 parameters, but the network has 4 outputs"),
]


@pytest.mark.parametrize(("loss", "Y", "kind", "words"), WRONG)
def test_wrong_targets(loss, Y, kind, words, unchanged):
    net = network()
    for call in (net.cost, net.gradient, net.trace, lambda x, y, loss: net.fit(x, y, loss=loss)):
        with unchanged(net), pytest.raises(kind, match=words):
            call(X, Y, loss=loss)


def test_wrong_outputs():
    odd, one = network(n_L=3), network(n_L=1)
    for call in (
        lambda: odd.cost(X, X, "gaussian_nll"),
        lambda: cr.Trainer(odd, loss="gaussian_nll"),
    ):
        with pytest.raises(ValueError, match="two outputs for each column of Y"):
            call()
    with pytest.raises(ValueError, match="at least 2, got 1; for yes or no"):
        cr.Trainer(one, loss="cross_entropy")


@pytest.mark.parametrize(
    ("weight", "kind", "words"),
    [
        (-np.ones(M), ValueError, "sample_weight must be at least 0, got -1"),
        (np.zeros(M), ValueError, "sample_weight must not be 0 everywhere"),
        (np.ones(M - 1), ValueError, "sample_weight"),
        (np.full(M, np.nan), ValueError, "sample_weight"),
        (["a"] * M, TypeError, "sample_weight"),
    ],
)
def test_wrong_weights(weight, kind, words, unchanged):
    net = network()
    for call in (net.cost, net.gradient, net.trace, net.fit, cr.Trainer(net).step):
        with unchanged(net), pytest.raises(kind, match=words):
            call(X, REAL, sample_weight=weight)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: cr.Huber(0), ValueError, "delta must be above 0"),
        (lambda: cr.Huber("1"), TypeError, "delta must be a real number"),
        (lambda: cr.Quantile(1), ValueError, r"q must be in \(0, 1\)"),
        (lambda: cr.Quantile((0.5, 1.5)), ValueError, r"q\[1\] must be in \(0, 1\)"),
        (lambda: cr.Quantile(()), ValueError, "at least one quantile"),
        (lambda: cr.GaussianNLL(-1), ValueError, "eps must be at least 0"),
        (lambda: cr.MAE("half_mean"), ValueError, "reduction must be one of"),
        (lambda: checked_loss(cr.Huber), TypeError, r"write Huber\(\)"),
    ],
)
def test_wrong_parameters(make, kind, words):
    with pytest.raises(kind, match=words):
        make()


def test_losses_are_plain_data():
    for loss in (*LOSSES.values(), cr.Huber(2.0), cr.Quantile((0.1, 0.9)), cr.GaussianNLL(0)):
        assert pickle.loads(pickle.dumps(loss)) == loss
        assert eval(repr(loss), vars(cr)) == loss
        assert loss.formula.startswith("C = 1/")
    assert cr.Huber(2.0) != cr.Huber(1.0)


# --------------------------------------------------------------------------- one of one's own


def squares(a, Y):
    return float(np.mean((a - Y) ** 2)), 2 * (a - Y) / a.size


def test_a_loss_of_ones_own(dtype):
    net, twin = network(dtype), network(dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    ours, core = net.gradient(X, REAL, squares), net.gradient(X, REAL)
    assert ours.cost == pytest.approx(core.cost, rel=tolerance)
    np.testing.assert_allclose(ours.theta, core.theta, rtol=0, atol=tolerance)
    assert net.cost(X, REAL, loss=squares) == ours.cost
    trace = net.trace(X, REAL, squares)
    assert trace.cost == ours.cost
    np.testing.assert_array_equal(trace.dW[1], ours.dW[1])
    kwargs = {
        "epochs": 4,
        "batch_size": 16,
        "optimizer": cr.SGD(cr.Cosine(0.1, 20), momentum=0.9),
        "validation_data": (X, REAL),
        "early_stopping": cr.EarlyStopping(patience=2),
        "seed": 3,
    }
    first = net.fit(X, REAL, loss=squares, **kwargs)
    second = twin.fit(X, REAL, **kwargs)
    np.testing.assert_allclose(first.cost, second.cost, rtol=100 * tolerance)
    np.testing.assert_allclose(first.val_cost, second.val_cost, rtol=100 * tolerance)
    np.testing.assert_allclose(net.theta, twin.theta, rtol=0, atol=100 * tolerance)
    assert repr(cr.CustomLoss(squares)) == "CustomLoss(squares)"


@pytest.mark.parametrize(
    ("loss", "kind", "words"),
    [
        (lambda a, Y: 3.0, TypeError, r"must return \(cost, dC/da\), got 3.0"),
        (lambda a, Y: (a, a), TypeError, "the cost of loss <lambda> must be a real number"),
        (
            lambda a, Y: (1.0, a[:1]),
            ValueError,
            r"must have the shape of a, \(\d+, 4\), got \(1, 4\)",
        ),
        (lambda a, Y: 1 / 0, ZeroDivisionError, "division"),
    ],
)
def test_a_loss_of_ones_own_that_is_wrong(loss, kind, words, unchanged):
    net = network()
    for call in (net.cost, net.gradient, lambda x, y, loss: net.fit(x, y, loss=loss)):
        with unchanged(net), pytest.raises(kind, match=words):
            call(X, REAL, loss=loss)


def test_a_loss_of_ones_own_that_diverges():
    calls = []

    def bad(a, Y):
        calls.append(1)
        return (math.nan if len(calls) > 6 else squares(a, Y)[0]), squares(a, Y)[1]

    net, twin = network(), network()
    with pytest.raises(cr.DivergedError, match="diverged in epoch 2"):
        net.fit(X, REAL, epochs=5, batch_size=16, loss=bad)
    twin.fit(X, REAL, epochs=1, batch_size=16, loss=squares)
    np.testing.assert_array_equal(net.theta, twin.theta)


def test_a_loss_of_ones_own_holds_the_network():
    net = network()
    refused = []

    def inner(net, history):
        with pytest.raises(RuntimeError, match="is being trained"):
            net.fit(X, REAL, epochs=1)
        refused.append(True)

    net.fit(X, REAL, epochs=2, loss=squares, callbacks=[inner])
    assert refused == [True, True]
    net.fit(X, REAL, epochs=1)  # it lets go

    def stop(net, history):
        raise KeyError("stop")

    with pytest.raises(KeyError):
        net.fit(X, REAL, epochs=2, loss=squares, callbacks=[stop])
    net.fit(X, REAL, epochs=1)


def test_a_loss_of_ones_own_sees_Y_as_it_is():
    seen = []

    def look(a, Y):
        seen.append(Y)
        return squares(a, Y)

    network().fit(X, BITS, epochs=1, loss=look, scale="auto", shuffle=False, batch_size=M)
    np.testing.assert_array_equal(seen[-1], BITS)


def test_an_error_of_a_function_is_its_own():
    calls = []

    def spoilt(a, Y):
        calls.append(1)
        return (1 / (len(calls) < 9)) * squares(a, Y)[0], squares(a, Y)[1]

    with pytest.raises(ZeroDivisionError):
        network().fit(X, REAL, epochs=9, batch_size=20, loss=spoilt)
    with pytest.raises(ZeroDivisionError):
        cr.Trainer(network(), loss=spoilt).step(X, REAL)


def test_slopes_beyond_float32_are_a_divergence_and_no_warning():
    net = network("float32")
    with pytest.raises(cr.DivergedError):
        net.fit(X, REAL, loss=lambda a, Y: (1.0, np.full(a.shape, 1e300)))


def test_weights_and_a_loss_of_ones_own_do_not_go_together():
    with pytest.raises(
        TypeError, match="sample_weight cannot be combined with a loss of one's own"
    ):
        network().cost(X, REAL, loss=squares, sample_weight=np.ones(M))


def test_scaling_and_targets_that_have_no_other_units():
    net = network()
    net.scaling = cr.Scaling.fit(X, REAL)
    with pytest.raises(ValueError, match=r"which poisson does not allow: use Scaling.fit\(X, outp"):
        net.cost(X, COUNTS, loss="poisson")
    net.scaling = cr.Scaling.fit(X, outputs=N_L)
    assert math.isfinite(net.cost(10 * X, COUNTS, loss="poisson"))
