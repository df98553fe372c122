"""Losses: each reduction of the squared error in the core, the reference, training and checks."""

import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.losses import LOSSES, REDUCTIONS, checked_loss

# Up to 5 MB of parameters a network goes through whole, a wider one layer by layer.
SMALL = ([5, 7, 3], ["tanh", "identity"])
WIDE = ([40, 1500, 1200, 3], ["relu", "sigmoid", "identity"])
EACH = pytest.mark.parametrize("reduction", REDUCTIONS)
BOTH = pytest.mark.parametrize("shape", [SMALL, WIDE], ids=["small", "wide"])


def setting(shape, m=12, dtype="float64", seed=0):
    sizes, names = shape
    layers = [cr.Dense(u, f) for u, f in zip(sizes[1:], names, strict=True)]
    net = cr.Network(layers, n_inputs=sizes[0], dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(m, sizes[0])), rng.normal(size=(m, sizes[-1]))
    return net, X.astype(dtype), Y.astype(dtype)


def parameters(net):
    W = [None, *(np.array(w, np.float64) for w in net.W)]
    b = [None, *(np.array(v, np.float64) for v in net.b)]
    return W, b, [layer.activation for layer in net.layers]


def test_the_wide_network_is_wide():
    net, *_ = setting(WIDE)
    assert net.theta.nbytes > 5 << 20 > setting(SMALL)[0].theta.nbytes


# What a reduction means


@EACH
def test_divisor_and_formula(reduction):
    loss = cr.MSE(reduction)
    assert loss.divisor(4, 3) == {"mean": 12, "sum": 1, "half_mean": 24, "mean_rows": 4}[reduction]
    assert "(a^L - y)^2" in loss.formula
    assert reference.divisor(np.zeros((4, 3)), reduction) == loss.divisor(4, 3)
    assert pickle.loads(pickle.dumps(loss)) == loss


@EACH
def test_the_cost_by_hand(reduction):
    net = cr.Network([cr.Dense(2)], n_inputs=1, dtype="float64")
    net.W[1], net.b[1] = [[1.0], [2.0]], [0.5, -1.0]
    X, Y = [[1.0], [2.0]], [[0.0, 0.0], [1.0, 1.0]]  # residuals 1.5, 1; 1.5, 2
    whole = 1.5**2 + 1 + 1.5**2 + 4
    D = {"mean": 4, "sum": 1, "half_mean": 8, "mean_rows": 2}[reduction]
    assert net.cost(X, Y, cr.MSE(reduction)) == whole / D
    t = net.trace(X, Y, cr.MSE(reduction))
    assert t.cost == whole / D
    np.testing.assert_array_equal(t.delta[1], np.array([[1.5, 1], [1.5, 2]]) * 2 / D)


@EACH
@BOTH
@pytest.mark.parametrize("m", [1, 12, 150])
def test_against_the_reference(reduction, shape, m):
    net, X, Y = setting(shape, m)
    loss = cr.MSE(reduction)
    C, dW, db = reference.gradient(*parameters(net), X, Y, reduction)
    g, t = net.gradient(X, Y, loss), net.trace(X, Y, loss)
    assert g.cost == t.cost == net.cost(X, Y, loss)
    assert g.cost == pytest.approx(C, rel=1e-13)
    np.testing.assert_array_equal(
        np.concatenate([np.ravel(p) for p in (*g.dW, *g.db)]),
        np.concatenate([np.ravel(p) for p in (*t.dW, *t.db)]),
    )
    for l in range(1, net.L + 1):
        for got, expected in ((g.dW[l], dW[l]), (g.db[l], db[l])):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13 * scale)


@EACH
def test_the_reference_against_complex_steps(reduction):
    net, X, Y = setting(SMALL, 4)
    _, dW, db = reference.gradient(*parameters(net), X, Y, reduction)
    dW_c, db_c = reference.complex_step_gradient(*parameters(net), X, Y, reduction=reduction)
    for got, expected in zip([*dW[1:], *db[1:]], [*dW_c[1:], *db_c[1:]], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


@BOTH
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_against_pytorch(reduction, shape):
    torch = pytest.importorskip("torch")
    net, X, Y = setting(shape)
    functions = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}
    a, tensors = torch.tensor(X), []
    for l in range(1, net.L + 1):
        W = torch.tensor(np.array(net.W[l]), requires_grad=True)
        b = torch.tensor(np.array(net.b[l]), requires_grad=True)
        tensors.append((W, b))
        a = functions.get(net.layers[l - 1].activation, lambda z: z)(a @ W.T + b)
    cost = torch.nn.MSELoss(reduction=reduction)(a, torch.tensor(Y))
    cost.backward()
    g = net.gradient(X, Y, cr.MSE(reduction))
    assert g.cost == pytest.approx(cost.item(), rel=1e-13)
    for l, (W, b) in enumerate(tensors, 1):
        for got, tensor in ((g.dW[l], W), (g.db[l], b)):
            expected = tensor.grad.numpy()
            scale = np.abs(expected).max()
            np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13 * scale)


@BOTH
@pytest.mark.parametrize("m", [16, 12])
def test_the_factors_between_them(shape, m, dtype):
    sizes, names = shape
    net, X, Y = setting(([*sizes[:-1], 4], names), m, dtype)
    mean, whole, half = (net.gradient(X, Y, cr.MSE(name)) for name in ("mean", "sum", "half_mean"))
    assert LOSSES["mse"] == cr.MSE() == cr.MSE("mean")
    np.testing.assert_array_equal(net.gradient(X, Y).theta, mean.theta)
    # Half of it is exact always, 1/(m n_L) where that is a power of two.
    assert half.cost == mean.cost / 2
    np.testing.assert_array_equal(half.theta, mean.theta / 2)
    if m == 16:
        assert whole.cost == 64 * mean.cost
        np.testing.assert_array_equal(whole.theta, 64 * mean.theta)
    else:
        rtol = 1e-13 if dtype == "float64" else 1e-5
        assert whole.cost == pytest.approx(48 * mean.cost, rel=rtol)
        # Each term is rounded on its own: what counts is the size of the largest.
        scale = np.abs(whole.theta).max()
        np.testing.assert_allclose(whole.theta, 48 * mean.theta, rtol=rtol, atol=rtol * scale)


@EACH
def test_the_same_bits_for_any_number_of_threads(reduction):
    net, X, Y = setting(WIDE, 150)
    before = cr.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            cr.set_num_threads(threads)
            g = net.gradient(X, Y, cr.MSE(reduction))
            found.append((g.cost, g.theta.tobytes()))
    finally:
        cr.set_num_threads(before)
    assert len(set(found)) == 1


# Training


@EACH
@BOTH
def test_fit_against_the_reference(reduction, shape):
    net, X, Y = setting(shape, 20)
    W, b, names = parameters(net)
    rate = 0.02 if reduction != "sum" else 0.02 / 60
    history = net.fit(
        X,
        Y,
        epochs=3,
        batch_size=8,
        optimizer=cr.SGD(rate, momentum=0.5),
        loss=cr.MSE(reduction),
        shuffle=False,
    )
    costs = reference.fit(W, b, names, X, Y, 3, 8, rate, momentum=0.5, reduction=reduction)
    np.testing.assert_allclose(history.cost, costs, rtol=1e-10)
    for l in range(1, net.L + 1):
        np.testing.assert_allclose(net.W[l], W[l], rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(net.b[l], b[l], rtol=1e-9, atol=1e-11)


@BOTH
@pytest.mark.parametrize("momentum", [0.0, 0.75])
def test_a_reduction_only_rescales_the_learning_rate(shape, momentum, dtype):
    sizes, names = shape
    factors = {
        "mean": 1,
        "sum": 64,
        "half_mean": 0.5,
        "mean_rows": 4,
    }  # 16 samples of 4 outputs: powers of two
    ends, steps, costs = {}, {}, {}
    for name, factor in factors.items():
        net, X, Y = setting(([*sizes[:-1], 4], names), 16, dtype)
        rate, loss = cr.SGD(2.0**-7 / factor, momentum=momentum), cr.MSE(name)
        other = net.copy()
        trainer = cr.Trainer(other, rate, loss)
        steps[name] = [trainer.step(X, Y) / factor for _ in range(4)]
        history = net.fit(X, Y, epochs=4, batch_size=16, optimizer=rate, loss=loss, shuffle=False)
        np.testing.assert_array_equal(other.theta, net.theta)
        ends[name], costs[name] = net.theta.tobytes(), [c / factor for c in history.cost]
    assert len(set(ends.values())) == 1
    for name in factors:
        assert steps[name] == costs[name] == steps["mean"]


@BOTH
def test_a_reduction_rescales_the_rate_where_m_n_L_is_no_power_of_two(shape):
    net, X, Y = setting(shape, 12)  # m n_L = 36
    other = net.copy()
    mean = cr.Trainer(net, cr.SGD(0.001 * 36), cr.MSE("mean"))
    whole = cr.Trainer(other, cr.SGD(0.001), cr.MSE("sum"))
    for _ in range(5):
        assert whole.step(X, Y) == pytest.approx(36 * mean.step(X, Y), rel=1e-10)
    np.testing.assert_allclose(other.theta, net.theta, rtol=1e-9, atol=1e-12)


@EACH
@BOTH
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_cost_of_an_epoch_is_that_of_all_its_rows(reduction, shape, shuffle):
    net, X, Y = setting(shape, 13)  # batches of 5, 5 and 3 rows
    loss = cr.MSE(reduction)
    rate = cr.SGD(learning_rate=1e-300)  # too small to move a parameter
    X_val, Y_val = X[:7], Y[:7] + 1
    history = net.fit(
        X,
        Y,
        epochs=2,
        batch_size=5,
        optimizer=rate,
        loss=loss,
        shuffle=shuffle,
        validation_data=(X_val, Y_val),
    )
    assert history.cost == pytest.approx([net.cost(X, Y, loss)] * 2, rel=1e-13)
    assert history.val_cost == [net.cost(X_val, Y_val, loss)] * 2
    errors = (net(X) - Y) ** 2
    by_hand = {"mean": errors.mean(), "sum": errors.sum(), "half_mean": errors.mean() / 2}
    by_hand["mean_rows"] = errors.sum() / len(X)
    assert history.cost[0] == pytest.approx(by_hand[reduction], rel=1e-13)


@EACH
def test_gradcheck_passes_with_each(reduction, dtype):
    net, X, Y = setting(SMALL, 9, dtype)
    report = cr.gradcheck(net, X, Y, loss=cr.MSE(reduction))
    assert report.passed, report
    assert report.n_checked == net.n_parameters


@EACH
def test_a_neuron_with_each(reduction):
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(6, 3)), rng.normal(size=6)
    neuron, loss = cr.Neuron([0.5, -1.0, 0.25], 0.5, "tanh"), cr.MSE(reduction)
    g = neuron.gradient(X, y, loss)
    C, dW, db = reference.gradient(*parameters(neuron.to_network()), X, y[:, None], reduction)
    assert g.cost == neuron.cost(X, y, loss) == pytest.approx(C, rel=1e-13)
    np.testing.assert_allclose(g.dw, dW[1][0], rtol=1e-12)
    assert g.db == pytest.approx(db[1][0], rel=1e-12)
    together = np.sum if reduction == "sum" else np.mean
    np.testing.assert_allclose(together(g.dw_per_sample, axis=0), g.dw, rtol=1e-12)
    assert together(g.db_per_sample) == pytest.approx(g.db, rel=1e-12)


# Wrong names


@pytest.mark.parametrize("name", ["max", "", "Mean", "none", "mse"])
def test_an_unknown_reduction(name):
    with pytest.raises(
        ValueError, match="reduction must be one of mean, sum, half_mean, mean_rows; got"
    ):
        cr.MSE(name)


@pytest.mark.parametrize("value", [None, 2, b"mean", ["mean"]])
def test_a_reduction_that_is_no_name(value):
    with pytest.raises(
        TypeError, match="reduction must be a str, one of mean, sum, half_mean, mean_rows"
    ):
        cr.MSE(value)


WRONG = [
    ("sum", ValueError, "loss must be one of mse, mae, .*; got 'sum'"),
    ("hinge", ValueError, "loss must be one of mse, mae, .*; got 'hinge'"),
    (None, TypeError, "loss must be a str, a loss such as MSE"),
    (cr.MSE, TypeError, "loss must be a str, a loss such as MSE"),
    (3, TypeError, "loss must be a str, a loss such as MSE"),
]


@pytest.mark.parametrize(("loss", "error", "message"), WRONG)
def test_a_wrong_loss_is_refused_everywhere_and_changes_nothing(loss, error, message, unchanged):
    net, X, Y = setting(SMALL)
    neuron = cr.Neuron([1.0, 2.0])
    calls = [
        lambda: checked_loss(loss),
        lambda: net.cost(X, Y, loss=loss),
        lambda: net.gradient(X, Y, loss=loss),
        lambda: net.trace(X, Y, loss=loss),
        lambda: net.fit(X, Y, loss=loss),
        lambda: cr.Trainer(net, loss=loss),
        lambda: cr.gradcheck(net, X, Y, loss=loss),
        lambda: neuron.cost([1.0, 2.0], 0.0, loss=loss),
        lambda: neuron.gradient([1.0, 2.0], 0.0, loss=loss),
        lambda: neuron.step([1.0, 2.0], 0.0, 0.1, loss=loss),
        lambda: neuron.fit([1.0, 2.0], 0.0, 0.1, loss=loss),
        lambda: neuron.explain([1.0, 2.0], 0.0, loss=loss),
        lambda: neuron.latex(loss=loss),
        lambda: neuron.learning_rate_limit([1.0, 2.0], loss=loss),
    ]
    for call in calls:
        with unchanged(net), pytest.raises(error, match=message):
            call()
    assert neuron.w.tolist() == [1.0, 2.0]


def test_a_trainer_shows_its_loss():
    net, *_ = setting(SMALL)
    assert "loss=MSE(reduction='sum')" in repr(cr.Trainer(net, loss=cr.MSE("sum")))
