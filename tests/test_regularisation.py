"""Penalties on the weights, and dropout: by hand, step by step, and the same bits everywhere."""

from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core

RATE = 0.05


def data(m=50, n_0=4, n_L=2, seed=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, n_0))
    return X, np.tanh(X @ rng.normal(size=(n_0, n_L)))


def network(dropout=(0.0, 0.0), widths=(9, 7), dtype="float64", activation="tanh"):
    layers = [
        cr.Dense(n, f, dropout=p)
        for n, f, p in zip(widths, (activation, "sigmoid"), dropout, strict=True)
    ]
    return cr.Network([*layers, cr.Dense(2)], n_inputs=4, dtype=dtype, seed=1)


def kept(key, l, m, n, rate):
    """The mask of layer l, element by element, from the words of dropout.inl."""
    own = (key + l * 0x9E3779B97F4A7C15) % 2**64
    i, j = np.meshgrid(np.arange(m, dtype=np.uint64), np.arange(n, dtype=np.uint64), indexing="ij")
    x = (i * 0x9E3779B1 + j * 0x85EBCA6B) % 2**32
    for half in (own % 2**32, own >> 32):
        x = x ^ np.uint64(half)
        x ^= x >> np.uint64(16)
        x = (x * 0x7FEB352D) % 2**32
        x ^= x >> np.uint64(15)
        x = (x * 0x846CA68B) % 2**32
        x ^= x >> np.uint64(16)
    bound = round(rate * 2**24)
    return (x >> np.uint64(8) >= bound) / (1 - bound / 2**24)


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
    return x ^ (x >> 31)


def key_of(seed, step):
    golden, stream = 0x9E3779B97F4A7C15, 0xD0
    own = seed ^ mix(stream)
    key = mix((own + golden) % 2**64) ^ mix((stream * golden + 1) % 2**64)
    return mix((key + (step + 1) * golden) % 2**64)


def step_by_hand(net, X, Y, masks, rate=RATE):
    """Theta after one step of gradient descent on the squared error, with masks on a^1, a^2."""
    f, df = zip(*(cr.reference.ACTIVATIONS[layer.activation] for layer in net.layers), strict=True)
    L = net.L
    a, z, on = [X], [None], [X]
    for l in range(1, L + 1):
        z.append(on[l - 1] @ net.W[l].T + net.b[l])
        a.append(f[l - 1](z[l]))
        on.append(a[l] * masks[l] if l < L else a[l])
    delta = 2 / Y.size * (a[L] - Y) * df[L - 1](z[L])
    twin = net.copy()
    for l in range(L, 0, -1):
        twin.W[l] = net.W[l] - rate * delta.T @ on[l - 1]
        twin.b[l] = net.b[l] - rate * delta.sum(axis=0)
        if l > 1:
            delta = (delta @ net.W[l]) * masks[l - 1] * df[l - 2](z[l - 1])
    return twin.theta, ((a[L] - Y) ** 2).mean()


@pytest.mark.parametrize("widths", [(9, 7), (900, 800)])  # either way
@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("seed", [0, 5, 2**63 - 1])
def test_a_step_with_dropout_by_hand(widths, activation, seed):
    X, Y = data()
    net = network((0.5, 0.25), widths, activation=activation)
    trainer = cr.Trainer(net, cr.SGD(RATE), seed=seed)
    for step in range(3):
        key = key_of(seed, step)
        masks = [None, kept(key, 1, 50, widths[0], 0.5), kept(key, 2, 50, widths[1], 0.25)]
        theta, cost = step_by_hand(net, X, Y, masks)
        assert trainer.step(X, Y) == pytest.approx(cost, rel=1e-13)
        np.testing.assert_allclose(net.theta, theta, rtol=0, atol=1e-14)


def test_what_is_dropped_is_fair():
    for rate in (0.1, 0.5, 0.9):
        mask = kept(key_of(1, 7), 2, 400, 300, rate)
        assert (mask == 0).mean() == pytest.approx(
            rate, abs=4 * np.sqrt(rate * (1 - rate) / 120000)
        )
        assert mask.mean() == pytest.approx(1, abs=0.02)
        dropped = mask == 0
        # Neighbours know nothing of each other.
        for pair in ((dropped[1:], dropped[:-1]), (dropped[:, 1:], dropped[:, :-1])):
            together = (pair[0] & pair[1]).mean()
            assert together == pytest.approx(rate**2, abs=0.01)
        assert not np.array_equal(mask, kept(key_of(1, 8), 2, 400, 300, rate))
        assert not np.array_equal(mask, kept(key_of(1, 7), 1, 400, 300, rate))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("widths", [(40, 30), (1100, 1300)])  # either way
def test_dropout_has_the_same_bits_everywhere(dtype, widths):
    X, Y = data(m=300)
    thetas = {}
    before, threads_before = cr.info()["isa"], cr.get_num_threads()
    fused = [name for name in _core.build_info()["isas_detected"] if name != "baseline"]
    if not fused:
        pytest.skip("no instruction set with fused multiply-adds")
    for isa in fused:
        cr.set_isa(isa)
        for threads in (1, 2, 3):
            cr.set_num_threads(threads)
            net = network((0.4, 0.2), widths, dtype)
            net.fit(X, Y, epochs=2, batch_size=130, seed=9, l1=1e-4, l2=1e-3)
            thetas[isa, threads] = net.theta.tobytes()
    cr.set_isa(before)
    cr.set_num_threads(threads_before)
    assert len(set(thetas.values())) == 1


def test_dropout_is_for_training_alone():
    X, Y = data()
    net, plain = network((0.5, 0.5)), network()
    np.testing.assert_array_equal(net(X), plain(X))
    assert net.cost(X, Y) == plain.cost(X, Y)
    np.testing.assert_array_equal(net.gradient(X, Y).theta, plain.gradient(X, Y).theta)
    assert net.layers[0] == cr.Dense(9, "tanh", dropout=0.5)
    assert net.copy().layers == net.layers
    assert repr(net.layers[0]) == "Dense(units=9, activation='tanh', dropout=0.5)"


def test_dropout_goes_on_where_it_was():
    X, Y = data()
    whole, parts = network((0.5, 0.1)), network((0.5, 0.1))
    cr.Trainer(whole, cr.Adam()).fit(X, Y, epochs=6, batch_size=16)
    trainer = cr.Trainer(parts, cr.Adam())
    for _ in range(3):
        trainer.fit(X, Y, epochs=2, batch_size=16)
    np.testing.assert_array_equal(parts.theta, whole.theta)
    other = network((0.5, 0.1))
    other.fit(X, Y, epochs=6, batch_size=16, optimizer=cr.Adam(), seed=1)
    assert not np.array_equal(other.theta, whole.theta)


def test_dropout_is_saved(tmp_path):
    net = network((0.5, 0.0))
    net.save(tmp_path / "net.safetensors")
    assert cr.load(tmp_path / "net.safetensors").layers == net.layers


def test_a_loss_of_ones_own_sees_dropout():
    X, Y = data()
    seen = []

    def squares(a, y):
        seen.append(a)
        return float(((a - y) ** 2).mean()), 2 * (a - y) / a.size

    own, core = network((0.5, 0.2)), network((0.5, 0.2))
    first = cr.Trainer(own, cr.SGD(RATE), loss=squares, l2=0.1)
    second = cr.Trainer(core, cr.SGD(RATE), l2=0.1)
    for _ in range(3):
        assert first.step(X, Y) == pytest.approx(second.step(X, Y), rel=1e-13)
    np.testing.assert_allclose(own.theta, core.theta, rtol=0, atol=1e-14)
    history = own.fit(X, Y, epochs=3, batch_size=20, loss=squares, seed=4, l1=0.01)
    twin = core.fit(X, Y, epochs=3, batch_size=20, seed=4, l1=0.01)
    np.testing.assert_allclose(history.cost, twin.cost, rtol=1e-12)
    np.testing.assert_allclose(own.theta, core.theta, rtol=0, atol=1e-13)


@pytest.mark.parametrize("value", [-0.1, 1.0, 2, np.nan])
def test_dropout_out_of_range(value):
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\)"):
        cr.Dense(3, dropout=value)
    with pytest.raises(TypeError, match="dropout must be a real number"):
        cr.Dense(3, dropout="half")
    with pytest.raises(ValueError, match=r"layers\[1\]: the last layer's outputs are the pred"):
        cr.Network([cr.Dense(3), cr.Dense(1, dropout=0.5)], n_inputs=2)


# ----------------------------------------------------------------------------------- penalties


def penalised(net, X, Y, l1, l2, rows=None):
    """The objective and its gradient in NumPy."""
    g = net.gradient(X, Y)
    share = 1 if rows is None else 1 / rows
    cost = g.cost + share * sum(l1 * np.abs(W).sum() + l2 / 2 * (W**2).sum() for W in net.W)
    theta = g.theta.copy()
    for (W, b), (n_in, n_out) in zip(net._offsets, pairwise(net.n), strict=True):
        w = net.theta[W:b]
        assert len(w) == n_in * n_out
        theta[W:b] += share * (l1 * np.sign(w) + l2 * w)
    return cost, theta


@pytest.mark.parametrize(("l1", "l2"), [(0.1, 0.0), (0.0, 0.3), (0.02, 0.05)])
@pytest.mark.parametrize("clip", [np.inf, 0.5])
@pytest.mark.parametrize("per_row", [False, True])
def test_steps_with_penalties_by_hand(l1, l2, clip, per_row):
    X, Y = data()
    net = network()
    net.W[1][0, 0] = 0
    net.b[1] = np.linspace(-1, 1, 9)
    trainer = cr.Trainer(
        net, cr.SGD(RATE, clip_norm=None if np.isinf(clip) else clip), l1=l1, l2=l2, per_row=per_row
    )
    for _ in range(4):
        cost, g = penalised(net, X, Y, l1, l2, 50 if per_row else None)
        length = np.linalg.norm(g)
        right = net.theta - RATE * g * min(1, clip / length)
        assert trainer.step(X, Y) == pytest.approx(cost, rel=1e-13)
        np.testing.assert_allclose(net.theta, right, rtol=0, atol=1e-14)


def test_penalties_may_change_between_steps():
    X, Y = data()
    net, twin = network(), network()
    trainer = cr.Trainer(net, cr.SGD(RATE), l2=0.5)
    assert trainer.penalties == (0, 0.5)
    trainer.penalties = (0.1, 0)
    trainer.step(X, Y)
    cr.Trainer(twin, cr.SGD(RATE), l1=0.1).step(X, Y)
    np.testing.assert_array_equal(net.theta, twin.theta)
    with pytest.raises(ValueError, match="l1 must be at least 0"):
        trainer.penalties = (-1, 0)


def test_a_batch_without_weight_has_no_penalty():
    X, Y = data()
    for optimizer in (cr.SGD(RATE), cr.SGD(RATE, clip_norm=1.0), cr.Rprop()):
        net = network()
        trainer = cr.Trainer(net, optimizer, l1=0.1, l2=0.3, per_row=True)
        trainer.step(X, Y)
        before = net.theta.copy()
        weight = np.zeros(50)
        weight[:40] = 1
        net.fit(X, Y, epochs=2, batch_size=40, shuffle=False, sample_weight=weight, l2=1.0)
        net.theta = before
        history = cr.Trainer(net, optimizer, l2=1e-3, per_row=True).fit(
            X, Y, epochs=2, batch_size=40, shuffle=False, sample_weight=weight
        )
        assert max(history.cost) < 10
        assert np.abs(net.theta).max() < 10


def test_penalties_of_lbfgs_may_change_too():
    X, Y = data()
    net = network()
    trainer = cr.Trainer(net, cr.LBFGS(), l2=1.0)
    trainer.penalties = (0, 1e-6)
    trainer.fit(X, Y, epochs=30)
    assert net.cost(X, Y) < 0.01
    wide = {"widths": (700, 900)}  # many blocks of weights to add up
    other, twin = network(**wide), network(**wide)
    late = cr.Trainer(other, cr.LBFGS())  # made without any
    late.penalties = (0, 0.3)
    late.fit(X, Y, epochs=5)
    cr.Trainer(twin, cr.LBFGS(), l2=0.3).fit(X, Y, epochs=5)
    np.testing.assert_array_equal(other.theta, twin.theta)
    with pytest.raises(ValueError, match="l1 must be 0 with LBFGS"):
        trainer.penalties = (0.1, 0)


def test_a_penalty_of_nothing_changes_no_bit():
    X, Y = data()
    net, twin = network(), network()
    net.fit(X, Y, epochs=3)
    twin.fit(X, Y, epochs=3, l1=0.0, l2=0.0)
    np.testing.assert_array_equal(net.theta, twin.theta)


def test_history_is_with_penalties_and_validation_without():
    X, Y = data()
    net = network()
    cost = net.cost(X, Y) + 0.25 * sum((W**2).sum() for W in net.W)
    history = net.fit(X, Y, epochs=1, batch_size=50, l2=0.5, validation_data=(X, Y))
    assert history.cost[0] == pytest.approx(cost, rel=1e-13)
    assert history.val_cost[0] == net.cost(X, Y)


def test_l1_makes_weights_small():
    X, Y = data(m=200)
    X = np.hstack([X[:, :2], np.random.default_rng(0).normal(size=(200, 2))])
    sizes = []
    for l1 in (0, 0.01):
        net = network()
        net.fit(X, Y, epochs=300, optimizer=cr.Adam(0.01), l1=l1)
        sizes.append(np.abs(net.W[1][:, 2:]).mean())
    assert sizes[1] < sizes[0] / 5


@pytest.mark.parametrize("name", ["l1", "l2"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(-1, ValueError), (np.inf, ValueError), (np.nan, ValueError), ("a", TypeError)],
)
def test_bad_penalties(name, value, kind):
    X, Y = data()
    net = network()
    before = net.theta.copy()
    with pytest.raises(kind, match=f"{name} must be"):
        net.fit(X, Y, **{name: value})
    np.testing.assert_array_equal(net.theta, before)


def test_the_core_refuses_other_numbers_of_rates():
    with pytest.raises(ValueError, match="dropout: one for each layer"):
        _core.Network64([2, 1], ["identity"]).dropout = [0.0]
