"""Counts of any size with the Poisson loss, against SciPy's maximum likelihood."""

from __future__ import annotations

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli import main
from chainrule.report import page

MEANS = (0.01, 1.0, 200.0, 1e5)
SLOPES = np.array([0.3, -0.2, 0.1])


def counts(mean, m=2000, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, 3))
    return X, rng.poisson(mean * np.exp(X @ SLOPES)).astype(float)


def best_rates(X, y, w):
    """The rates of greatest likelihood of the model log(rate) = w . x + b, by Newton's method."""
    optimize = pytest.importorskip("scipy.optimize")
    design = np.column_stack([X, np.ones(len(X))])
    unit = y.mean()  # SciPy's tolerances are absolute

    def cost(beta):
        eta = design @ beta
        return w @ (np.exp(eta) - y / unit * eta) / w.sum()

    def slope(beta):
        return design.T @ (w * (np.exp(design @ beta) - y / unit)) / w.sum()

    def curvature(beta):
        return design.T @ (design * (w * np.exp(design @ beta))[:, None]) / w.sum()

    found = optimize.minimize(
        cost, np.zeros(4), jac=slope, hess=curvature, method="trust-exact", options={"gtol": 1e-12}
    )
    assert np.abs(slope(found.x)).max() < 1e-9
    return unit * np.exp(design @ found.x)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_linear_model_reaches_the_greatest_likelihood(mean, weighted):
    X, y = counts(mean)
    w = np.random.default_rng(1).integers(0, 4, len(X)).astype(float) if weighted else None
    expected = best_rates(X, y, np.ones(len(X)) if w is None else w)
    net = cr.Network([cr.Dense(1)], 3, dtype="float64", seed=0)
    net.fit(X, y, 200, optimizer=cr.LBFGS(tolerance_grad=1e-10, tolerance_change=0.0),
            loss="poisson", sample_weight=w, scale="auto")  # fmt: skip
    np.testing.assert_allclose(np.exp(net.predict(X))[:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("optimizer", [cr.SGD(), cr.SGD(0.01, momentum=0.9), cr.Adam(), cr.Rprop()])
def test_every_optimiser_comes_near_it_by_its_defaults(mean, optimizer):
    X, y = counts(mean)
    expected = best_rates(X, y, np.ones(len(X)))
    net = cr.Network([cr.Dense(1)], 3, seed=0)
    net.fit(X, y, 60, optimizer=optimizer, loss="poisson", scale="auto")
    rates = np.exp(net.predict(X).astype(float))[:, 0]
    loss = [
        np.mean(r - y * np.log(r)) / y.mean() for r in (rates, expected, np.full(2000, y.mean()))
    ]
    # Of rare counts plain steps learn the slopes slowly; the mean is right from the start.
    most = loss[1] + 0.1 * (loss[2] - loss[1]) if mean >= 1 else 1.01 * loss[2]
    assert loss[1] <= loss[0] < most


@pytest.mark.parametrize("mean", MEANS)
def test_deep_networks_train_by_the_defaults_of_fit(mean):
    X, y = counts(mean)
    net = cr.Network([cr.Dense(32, "relu"), cr.Dense(32, "relu"), cr.Dense(1)], 3, seed=0)
    history = net.fit(X, y, 30, loss="poisson", scale="auto")
    assert history.cost[-1] < history.cost[0] < 2.0
    assert np.exp(net.predict(X)).mean() == pytest.approx(y.mean(), rel=0.1)


@pytest.mark.parametrize("mean", MEANS)
def test_the_command_trains_by_its_defaults(tmp_path, capsys, mean):
    X, y = counts(mean)
    table, model = tmp_path / "t.csv", tmp_path / "m.safetensors"
    rows = "".join(
        f"{','.join(map(repr, row))},{int(n)}\n" for row, n in zip(X.tolist(), y, strict=True)
    )
    table.write_text("a,b,c,n\n" + rows)
    arguments = ["train", str(table), "--target", "n", "--loss", "poisson", "--json", "--quiet"]
    assert main([*arguments, "--output", str(model)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["history"]["cost"][-1] < told["history"]["cost"][0] < 2.0
    if mean >= 200:
        assert told["metrics"]["r2"] > 0.9
    assert main(["predict", str(model), str(table), "--json"]) == 0
    (rates,) = json.loads(capsys.readouterr().out)["columns"].values()
    assert np.mean(rates) == pytest.approx(y.mean(), rel=0.25)


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.filterwarnings("ignore:.*iterations|.*max_iter")
def test_the_estimator_with_scale_auto(mean, solver):
    pytest.importorskip("sklearn")
    from chainrule.sklearn import MLPRegressor  # noqa: PLC0415

    X, y = counts(mean)
    steps = {"max_iter": 400, "n_iter_no_change": 400, "tol": 0}
    model = MLPRegressor(
        loss="poisson",
        hidden_layer_sizes=8,
        solver=solver,
        alpha=0.01,
        scale="auto",
        random_state=0,
    )
    model.set_params(**steps)
    model.fit(X, y)
    assert model.predict(X).mean() == pytest.approx(y.mean(), rel=0.1)
    if mean >= 200:
        assert model.score(X, y) > 0.9


def test_the_scaling_that_is_kept(dtype):
    X, y = counts(200.0)
    Y = np.column_stack([y, np.zeros_like(y), 1e-3 * y])
    w = np.arange(len(X)) % 3.0
    net = cr.Network([cr.Dense(4, "tanh"), cr.Dense(3)], 3, dtype=dtype, seed=1)
    history = net.fit(X, Y, 2, loss="poisson", sample_weight=w, scale="auto")
    mean = w @ y / w.sum()
    np.testing.assert_allclose(net.scaling.y_mean, [np.log(mean), 0.0, 0.0])
    np.testing.assert_array_equal(net.scaling.y_scale, 1)
    np.testing.assert_allclose(net.scaling.x_mean, w @ X / w.sum())
    assert np.isfinite(history.cost).all()
    assert np.isfinite(net.predict(X)).all()


@pytest.mark.parametrize("mean", MEANS)
def test_an_untrained_network_starts_at_the_mean(mean):
    X, y = counts(mean)
    net = cr.Network([cr.Dense(1)], 3, dtype="float64", seed=0)
    net.W[1][...] = 0.0
    w = 1.0 + np.arange(len(X)) % 3
    start = net.copy()
    net.fit(X, y, 1, optimizer=cr.SGD(1e-12), loss="poisson", sample_weight=w, scale="auto")
    np.testing.assert_allclose(np.exp(net.predict(X)), w @ y / w.sum(), rtol=1e-6)
    with pytest.raises(cr.DivergedError):
        start.fit(X, y, optimizer=cr.SGD(1e300), loss="poisson", scale="auto")
    assert start.scaling is None
    assert not start.theta.any()


def test_columns_of_zeros_and_of_small_counts_side_by_side():
    X, y = counts(200.0)
    Y = np.column_stack([y, 0.001 * y, 0 * y])
    net = cr.Network([cr.Dense(3)], 3, dtype="float64", seed=0)
    net.W[1][...] = 0.0
    net.fit(X, Y, 1, optimizer=cr.SGD(1e-12), loss="poisson", scale="auto")
    np.testing.assert_allclose(
        np.exp(net.predict(X[:1]))[0], [y.mean(), 0.001 * y.mean(), 1.0], rtol=1e-6
    )


def test_costs_are_those_of_counts_in_units_of_their_mean():
    X, y = counts(200.0, m=50)
    net = cr.Network([cr.Dense(4, "tanh"), cr.Dense(1)], 3, dtype="float64", seed=1)
    net.scaling = cr.Scaling.fit(X, outputs=1).with_log_means(y)
    inner = net.copy()
    inner.scaling = None
    x = (X - X.mean(axis=0)) / X.std(axis=0)
    a, unit = inner.predict(x)[:, 0], y.mean()
    assert net.cost(X, y, "poisson") == pytest.approx(np.mean(np.exp(a) - y / unit * a), rel=1e-12)
    rates = np.exp(net.predict(X)[:, 0])
    np.testing.assert_allclose(rates, unit * np.exp(a), rtol=1e-12)
    # The cost in the user's units is the same but for a factor and a constant.
    expected = np.mean(rates - y * np.log(rates)) / unit + np.log(unit)
    assert net.cost(X, y, "poisson") == pytest.approx(expected, rel=1e-10)
    assert cr.gradcheck(net, X, y, loss="poisson").passed


def test_targets_below_zero_are_told_before_a_scaling_is_made():
    X, y = counts(1.0, m=20)
    y[7] = -1.0
    net = cr.Network([cr.Dense(1)], 3, seed=0)
    with pytest.raises(ValueError, match=r"Y must be at least 0 for poisson, got -1 at \(7, 0\)"):
        net.fit(X, y, loss="poisson", scale="auto")
    with pytest.raises(ValueError, match=r"Y must be at least 0 for poisson, got -1 at \(0, 0\)"):
        net.fit(X, -np.ones(20), loss="poisson", scale="auto")
    assert net.scaling is None
    with pytest.raises(ValueError, match="Y must be at least 0 on average, got -1 in a column"):
        cr.Scaling.fit(X, outputs=1).with_log_means(-np.ones(20))


def test_huge_tiny_and_no_counts_and_other_last_layers():
    X, y = counts(1.0, m=30)
    for unit in (0.0, 1e-300, 1e300):
        net = cr.Network([cr.Dense(1)], 3, dtype="float64", seed=0)
        history = net.fit(X, unit * y, 3, loss="poisson", scale="auto")
        assert np.isfinite(history.cost).all()
        assert np.isfinite(net.predict(X)).all()
    assert np.log(1e299) < net.scaling.y_mean[0] < np.log(1e301)
    net = cr.Network([cr.Dense(1, "softplus")], 3, seed=0)
    net.fit(X, y, 1, loss="poisson", scale="auto")
    assert not net.scaling.scales_targets


def test_the_page_says_how_counts_are_scaled():
    X, y = counts(200.0, m=4)
    net = cr.Network([cr.Dense(2, "tanh"), cr.Dense(1)], 3, seed=0)
    net.fit(X, y, 1, loss="poisson", scale="auto")
    assert "divided by the mean" in page(net, X, y[:, None], loss="poisson")
