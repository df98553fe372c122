"""Standardisation: columns against scikit-learn, and what scale="auto" keeps with the network."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr


def problem(dtype="float64", m=40, n_out=2, last="identity"):
    rng = np.random.default_rng(2)
    net = cr.Network([cr.Dense(6, "tanh"), cr.Dense(n_out, last)], 3, dtype=dtype, seed=3)
    X = np.array([1e6, -3.0, 0.0]) + np.array([1e3, 1.0, 1e-4]) * rng.normal(size=(m, 3))
    Y = 50 + rng.normal(size=(m, n_out)) * (1 + np.arange(n_out))
    return net, X, Y


def assert_like_theirs(mean, scale, columns, weights=None):
    theirs = pytest.importorskip("sklearn.preprocessing").StandardScaler()
    theirs.fit(columns, sample_weight=weights)
    np.testing.assert_allclose(mean, theirs.mean_, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(scale, theirs.scale_, rtol=1e-9)


# ------------------------------------------------------------------------------------ Scaling.fit


def test_columns_like_scikit_learns():
    _, X, Y = problem()
    scaling = cr.Scaling.fit(X, Y)
    assert_like_theirs(scaling.x_mean, scaling.x_scale, X)
    assert_like_theirs(scaling.y_mean, scaling.y_scale, Y)


def test_weighted_columns_like_scikit_learns_and_like_repeated_rows():
    _, X, Y = problem()
    weights = np.random.default_rng(1).integers(0, 4, len(X))
    weights[:2] = 0, 3
    scaling = cr.Scaling.fit(X, Y, sample_weight=weights)
    assert_like_theirs(scaling.x_mean, scaling.x_scale, X, weights)
    assert_like_theirs(scaling.y_mean, scaling.y_scale, Y, weights)
    repeated = cr.Scaling.fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights, axis=0))
    for name in ("x_mean", "x_scale", "y_mean", "y_scale"):
        ours, theirs = getattr(scaling, name), getattr(repeated, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("factor", [1e-300, 1.0, 1.5e308])
def test_weights_are_relative_and_a_row_of_weight_0_is_not_there(factor):
    X = np.array([[1.0, 5.0], [5.0, 5.0], [1e300, -7.0]])
    scaling = cr.Scaling.fit(X, outputs=1, sample_weight=np.array([1.0, 1.0, 0.0]) * factor)
    np.testing.assert_array_equal(scaling.x_mean, [3, 5])
    np.testing.assert_array_equal(scaling.x_scale, [2, 1])  # the second column is constant


def test_inputs_alone():
    _, X, Y = problem()
    scaling = cr.Scaling.fit(X, outputs=4)
    assert scaling == cr.Scaling(*_inputs(cr.Scaling.fit(X, Y)), np.zeros(4), np.ones(4))


def _inputs(scaling):
    return scaling.x_mean, scaling.x_scale


def test_log_variances_by_hand():
    """v in the user's units is scale^2 times v in standardised ones."""
    scaling = cr.Scaling([0.0], [1.0], [10.0, -1.0], [4.0, 0.5]).with_log_variances()
    a = np.array([[0.5, -2.0, math.log(0.25), math.log(9.0)]])
    restored = scaling.restore_y(a)
    expected = [[10 + 2.0, -1 - 1.0, math.log(0.25 * 16), math.log(9.0 * 0.25)]]
    np.testing.assert_allclose(restored, expected, rtol=1e-14)
    Y = np.array([[14.0, -2.0]])
    np.testing.assert_allclose(scaling.standardise_y(Y), [[1.0, -2.0]], rtol=1e-15)

    # The density of Y is the standardised one divided by the scales, so the NLL moves by log scale.
    def nll(mean, s, y):
        return ((s + (y - mean) ** 2 / np.exp(s)) / 2).sum()

    inside = nll(a[0, :2], a[0, 2:], scaling.standardise_y(Y)[0])
    outside = nll(restored[0, :2], restored[0, 2:], Y[0])
    assert outside == pytest.approx(inside + math.log(4.0) + math.log(0.5), rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"outputs": 0}, "outputs must be at least 1, got 0"),
        ({"outputs": 1, "sample_weight": [1.0]}, r"sample_weight must have shape \(2,\), got"),
        ({"outputs": 1, "sample_weight": [[1.0, 2.0]]}, "sample_weight: expected 1-D"),
        ({"outputs": 1, "sample_weight": [1.0, -1.0]}, "sample_weight must be at least 0, and"),
        ({"outputs": 1, "sample_weight": [0.0, 0.0]}, "above 0 somewhere"),
        ({"outputs": 1, "sample_weight": [0.0, math.nan]}, "sample_weight must be finite"),
    ],
)
def test_wrong_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        cr.Scaling.fit([[1.0], [2.0]], **arguments)


# ----------------------------------------------------------------------------------- scale="auto"


def test_auto_is_the_scaling_set_by_hand(dtype):
    net, X, Y = problem(dtype)
    twin = net.copy()
    history = net.fit(X, Y, epochs=5, scale="auto")
    twin.scaling = cr.Scaling.fit(X, Y)
    assert twin.fit(X, Y, epochs=5).cost == history.cost
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert net.scaling == twin.scaling
    assert_like_theirs(*_inputs(net.scaling), X)
    np.testing.assert_array_equal(net.predict(X), twin.predict(X))


@pytest.mark.parametrize("held", ["split", "data"])
def test_auto_looks_at_the_training_rows_only(held, dtype):
    net, X, Y = problem(dtype)
    out = np.sort(np.random.default_rng([9, 1]).permutation(40)[:10])
    rest = np.setdiff1d(np.arange(40), out)
    X[out] += 1e8
    Y[out] -= 1e5
    if held == "split":
        history = net.fit(X, Y, epochs=3, validation_split=0.25, seed=9, scale="auto")
    else:
        history = net.fit(
            X[rest], Y[rest], epochs=3, validation_data=(X[out], Y[out]), seed=9, scale="auto"
        )
    assert_like_theirs(net.scaling.x_mean, net.scaling.x_scale, X[rest])
    assert_like_theirs(net.scaling.y_mean, net.scaling.y_scale, Y[rest])
    assert history.val_cost[-1] == pytest.approx(net.cost(X[out], Y[out]), rel=1e-6)


def test_none_leaves_all_as_it_is(dtype):
    net, X, Y = problem(dtype)
    net.fit(X / 1e6, Y, epochs=1, scale=None)
    assert net.scaling is None


def test_a_second_fit_and_a_scaling_of_ones_own_are_kept():
    net, X, Y = problem()
    net.fit(X, Y, epochs=1, scale="auto")
    first = net.scaling
    net.fit(X * 3, Y * 3, epochs=1, scale="auto")
    assert net.scaling is first
    net, X, Y = problem()
    net.scaling = own = cr.Scaling([0] * 3, [1e6, 1, 1], [0] * 2, [50] * 2)
    cr.Trainer(net).fit(X, Y, epochs=1, scale="auto")
    assert net.scaling is own


@pytest.mark.parametrize(
    ("loss", "make"),
    [
        ("cross_entropy", lambda Y: (Y[:, 0] > 50).astype(int)),
        ("cross_entropy", lambda Y: np.eye(2)[(Y[:, 0] > 50).astype(int)]),
        ("binary_cross_entropy", lambda Y: Y > 50),
    ],
)
def test_classes_stay_as_they_are(loss, make, dtype):
    net, X, Y = problem(dtype)
    twin = net.copy()
    history = net.fit(X, make(Y), epochs=3, loss=loss, scale="auto")
    assert_like_theirs(*_inputs(net.scaling), X)
    assert not net.scaling.scales_targets
    twin.scaling = cr.Scaling.fit(X, outputs=2)
    assert twin.fit(X, make(Y), epochs=3, loss=loss).cost == history.cost


@pytest.mark.parametrize("loss", ["mae", "huber", "log_cosh", "quantile", cr.Quantile((0.1, 0.9))])
def test_losses_in_the_units_of_y_standardise_it(loss):
    net, X, Y = problem()
    net.fit(X, Y, epochs=1, loss=loss, scale="auto")
    assert_like_theirs(net.scaling.y_mean, net.scaling.y_scale, Y)


def test_means_and_log_variances_in_the_users_units():
    """A network that says mean and variance of known noise: in the user's units, both come out."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(4000, 1))
    spread = np.array([20.0, 0.03])
    Y = np.array([1000.0, -5.0]) + X * [300.0, 0.5] + spread * rng.normal(size=(4000, 2))
    net = cr.Network([cr.Dense(4)], 1, dtype="float64")
    history = net.fit(
        X,
        Y,
        epochs=60,
        optimizer=cr.Adam(cr.Cosine(0.03, epochs=60)),
        loss="gaussian_nll",
        scale="auto",
        metrics="mae",
    )
    assert_like_theirs(net.scaling.y_mean[:2], net.scaling.y_scale[:2], Y)
    a = net.predict([[0.5]])[0]
    np.testing.assert_allclose(a[:2], [1150.0, -4.75], rtol=2e-3)
    np.testing.assert_allclose(np.exp(a[2:] / 2), spread, rtol=0.05)
    # For normal noise the mean absolute error is sqrt(2 / pi) of the spread.
    expected = np.sqrt(2 / np.pi) * spread.mean()
    assert history.metrics["mae"][-1] == pytest.approx(expected, rel=0.05)


def test_weighted_rows_give_weighted_means(dtype):
    net, X, Y = problem(dtype)
    weights = np.arange(40) % 3
    out = np.sort(np.random.default_rng([9, 1]).permutation(40)[:10])
    rest = np.setdiff1d(np.arange(40), out)
    X[weights == 0] += 1e8
    net.fit(X, Y, epochs=1, sample_weight=weights, validation_split=0.25, seed=9, scale="auto")
    assert_like_theirs(*_inputs(net.scaling), X[rest], weights[rest])
    assert_like_theirs(net.scaling.y_mean, net.scaling.y_scale, Y[rest], weights[rest])


@pytest.mark.parametrize("last", ["sigmoid", "tanh", "relu", "softplus"])
def test_outputs_that_cannot_be_any_number_leave_the_targets_alone(last):
    net, X, Y = problem(last=last)
    net.fit(X, (Y > 50).astype(float), epochs=1, scale="auto")
    assert_like_theirs(*_inputs(net.scaling), X)
    np.testing.assert_array_equal(net.scaling.y_mean, 0)
    np.testing.assert_array_equal(net.scaling.y_scale, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"validation_data": (np.ones((2, 2)), np.ones((2, 2)))},
        {"validation_split": 0.001},
        {"validation_split": 0.5, "validation_data": (1, 2)},
        {"callbacks": 3},
        {"metrics": "speed"},
        {"early_stopping": cr.EarlyStopping(monitor="r2")},
        {"batch_size": 0},
        {"sample_weight": np.zeros(40)},
        {"sample_weight": np.r_[1.0, np.zeros(39)], "validation_split": 0.5},
        {"loss": "cross_entropy"},
        {"loss": "poisson", "Y": np.full((40, 2), -1.0)},
        {"Y": np.ones((3, 2))},
        {"Y": np.full((40, 2), np.nan)},
        {"X": np.full((40, 3), np.inf)},
    ],
    ids=repr,
)
def test_a_failing_fit_leaves_no_scaling(arguments, dtype, unchanged):
    net, X, Y = problem(dtype)
    with unchanged(net), pytest.raises((TypeError, ValueError)):
        net.fit(**{"X": X, "Y": Y, "epochs": 1, "scale": "auto"} | arguments)


def test_the_scaling_of_a_training_that_diverges(unchanged):
    net, X, Y = problem()
    with unchanged(net), pytest.raises(cr.DivergedError, match="in epoch 1"):
        net.fit(X, Y, epochs=3, optimizer=cr.SGD(1e200), scale="auto")
    assert net.scaling is None
    # Later than the first epoch there are parameters that need it.
    net = cr.Network([cr.Dense(6, "relu"), cr.Dense(2)], 3, dtype="float64", seed=3)
    with pytest.raises(cr.DivergedError) as caught:
        net.fit(X, Y, epochs=5000, batch_size=4, optimizer=cr.SGD(0.6, momentum=0.9), scale="auto")
    assert caught.value.epoch > 1
    assert net.scaling == cr.Scaling.fit(X, Y)


def test_a_callback_that_raises_leaves_the_scaling():
    net, X, Y = problem()
    with pytest.raises(KeyError):
        net.fit(X, Y, scale="auto", callbacks=[lambda *_: {}[0]])
    assert net.scaling == cr.Scaling.fit(X, Y)


@pytest.mark.parametrize("scale", ["standard", True, 1, ["auto"], np.ones(2)])
def test_wrong_scales(scale, unchanged):
    net, X, Y = problem()
    with unchanged(net), pytest.raises(ValueError, match='scale must be None or "auto", got'):
        net.fit(X, Y, scale=scale)


def test_numbers_that_float32_cannot_hold_are_scaled_first():
    net, X, Y = problem("float32")
    history = net.fit(X * 1e60, Y * 1e-60, epochs=2, scale="auto", metrics="r2")
    assert all(map(math.isfinite, history.cost + history.metrics["r2"]))
