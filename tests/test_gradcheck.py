"""The gradient check: no right network may fail it, and no planted mistake may pass it."""

import dataclasses
import importlib
import math
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.objective import Objective

differences = importlib.import_module("chainrule.gradcheck.differences")
rounding_room = importlib.import_module("chainrule.gradcheck.rounding")
parameters_room = importlib.import_module("chainrule.gradcheck.parameters")
report_room = importlib.import_module("chainrule.gradcheck.report")
network_check = importlib.import_module("chainrule.gradcheck.network_check")
ACTIVATIONS = list(reference.ACTIVATIONS)


def data(n_in, n_out, m=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, n_in)), rng.normal(size=(m, n_out))


def network(activations=("tanh", "sigmoid", "identity"), units=(4, 4, 2), n_in=3, **options):
    options = {"dtype": "float64", "seed": 1} | options
    net = cr.Network(
        [cr.Dense(n, f) for n, f in zip(units, activations, strict=True)], n_in, **options
    )
    rng = np.random.default_rng(5)
    for l in range(1, net.L + 1):
        net.b[l] = 0.5 * rng.normal(size=net.n[l])
    return net


def failed_layers(report):
    return sorted({b.layer for b in report.blocks if not b.passed})


def spot(place):
    return place.layer, place.kind, place.j, place.k


class Planted:
    """A network with a mistake in its gradient (or in its cost): `mistake(net, X, Y, dW, db)`."""

    def __init__(self, net, mistake, dtypes=("float32", "float64"), cost=None):
        self.net, self.mistake, self.dtypes, self.wrong_cost = net, mistake, dtypes, cost

    def __getattr__(self, name):
        return getattr(self.net, name)

    def copy(self, dtype=None):
        return Planted(self.net.copy(dtype), self.mistake, self.dtypes, self.wrong_cost)

    def cost(self, X, Y, loss="mse"):
        C = self.net.cost(X, Y, loss)
        return self.wrong_cost(C) if self.wrong_cost else C

    def gradient(self, X, Y, loss="mse"):
        g = self.net.gradient(X, Y, loss)
        dW = [None, *(np.array(part) for part in g.dW)]
        db = [None, *(np.array(part) for part in g.db)]
        if self.net.dtype in self.dtypes:
            self.mistake(self.net, X, Y, dW, db)
        return SimpleNamespace(cost=g.cost, dW=dW, db=db)


def changed(planted, X, Y):
    """The places whose derivative the mistake really changes: {(layer, name, j, k)}."""
    right, wrong = planted.net.gradient(X, Y), planted.gradient(X, Y)
    places = set()
    for l in range(1, planted.net.L + 1):
        for name, old, new in (("W", right.dW, wrong.dW), ("b", right.db, wrong.db)):
            for place in np.argwhere(~np.isclose(new[l], old[l], rtol=1e-9, atol=0)):
                j, k = (*(int(i) + 1 for i in place), None)[:2]
                places.add((l, name, j, k))
    return places


# Right networks pass


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 2, 17])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_right_networks_pass(name, m, dtype):
    net = network((name, name, "identity"), (5, 4, 2), dtype=dtype)
    X, Y = data(3, 2, m)
    report = cr.gradcheck(net, X, Y)
    assert report.passed, str(report)
    assert report.diagnosis == ""
    assert report.max_error <= 1e-6
    assert (report.n_parameters, report.n_checked, report.kinks) == (54, 54, 0)
    assert report.samples == m
    assert [c.name for c in report.blocks] == ["W^1", "b^1", "W^2", "b^2", "W^3", "b^3"]
    assert [c.n_parameters for c in report.blocks] == [15, 5, 20, 4, 8, 2]
    assert all(c.passed and c.reference_error < 1e-13 for c in report.blocks)
    for c in report.blocks:
        if dtype == "float32":
            assert 0 < c.float32_error < 1e-4
        else:
            assert c.float32_error is None


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_pass(seed):
    rng = np.random.default_rng(seed)
    L = int(rng.integers(1, 6))
    units, names = rng.choice([1, 2, 7, 16], L), rng.choice(ACTIVATIONS, L)
    n_in, m = int(rng.choice([1, 5, 13])), int(rng.choice([1, 2, 33]))
    dtype = ["float32", "float64"][seed % 2]
    net = network(names.tolist(), units.tolist(), n_in, seed=seed, dtype=dtype)
    X, Y = data(n_in, int(units[-1]), m, seed)
    X, Y = [(X, Y), (100 * X + 50, Y), (X, 1e3 * Y + 1e4), (np.round(2 * X), Y)][seed % 4]
    report = cr.gradcheck(net, X, Y)
    # A single relu output may be dead, and then there is nothing to check.
    assert report.passed or report.diagnosis.startswith("Every derivative is exactly 0"), str(
        report
    )


def test_deep_float32_network_passes():
    net = network(("relu",) * 8 + ("identity",), (32,) * 8 + (1,), 4, dtype="float32")
    assert cr.gradcheck(net, *data(4, 1, 50), max_parameters=300).passed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_network_is_bit_for_bit_unchanged(dtype):
    net = network(("relu", "gelu", "identity"), dtype=dtype)
    X, Y = data(3, 2)
    net.scaling = cr.Scaling.fit(X, Y)
    net.metadata = {"made": "here"}
    kept, before, x, y = net.scaling, net.theta.tobytes(), X.copy(), Y.copy()
    assert cr.gradcheck(net, X, Y)
    assert not cr.gradcheck(Planted(net, double), X, Y)
    assert net.theta.tobytes() == before
    assert (net.scaling, net.metadata, net.dtype) == (kept, {"made": "here"}, dtype)
    np.testing.assert_array_equal(X, x)
    np.testing.assert_array_equal(Y, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scaling(dtype):
    net = network(dtype=dtype)
    X, Y = data(3, 2)
    X, Y = 1e3 * X + 1e4, 1e-3 * Y - 7
    net.scaling = cr.Scaling.fit(X, Y)
    assert cr.gradcheck(net, X, Y).passed

    def in_the_units_of_the_user(net, X, Y, dW, db):
        times(net.scaling.y_scale[0] ** 2, dW, db)

    assert not cr.gradcheck(Planted(net, in_the_units_of_the_user), X, Y).passed


def test_lists_and_one_column_of_targets():
    net = network(("tanh", "identity"), (3, 1), 2)
    report = cr.gradcheck(net, [[1, 2], [0.5, -1], [3, 0]], [1, 0, 2])
    assert report.passed
    assert (report.samples, report.n_parameters) == (3, 13)


# Planted mistakes


def times(factor, dW, db):
    for g in [*dW[1:], *db[1:]]:
        g[...] = factor * g


def wrong_sign(net, X, Y, dW, db):
    times(-1, dW, db)


def double(net, X, Y, dW, db):
    times(2, dW, db)


def half(net, X, Y, dW, db):
    times(0.5, dW, db)


def no_mean_over_samples(net, X, Y, dW, db):
    times(len(X), dW, db)


def mean_of_samples_summed_over_outputs(net, X, Y, dW, db):
    times(net.n[-1], dW, db)


def all_zero(net, X, Y, dW, db):
    times(0, dW, db)


def in_float32(net, X, Y, dW, db):
    for g in [*dW[1:], *db[1:]]:
        g[...] = g.astype(np.float32)


def weight_decay(net, X, Y, dW, db):
    for l in range(1, net.L + 1):
        dW[l] += 1e-4 * net.W[l]


def steps(delta, l, t, dW, db):
    """Use another delta^l in (BP3) and (BP4)."""
    db[l][...] = delta.sum(axis=0)
    dW[l][...] = delta.T @ t.a[l - 1]


def slope(net, t, l):
    return reference.ACTIVATIONS[net.layers[l - 1].activation][1](t.z[l])


def no_slope_in_layer_1(net, X, Y, dW, db):
    t = net.trace(X, Y)
    steps(t.delta[2] @ net.W[2], 1, t, dW, db)


def no_slope_in_layer_2(net, X, Y, dW, db):
    t = net.trace(X, Y)
    delta = t.delta[3] @ net.W[3]
    steps(delta, 2, t, dW, db)
    steps((delta @ net.W[2]) * slope(net, t, 1), 1, t, dW, db)


def slope_of_a_instead_of_z(net, X, Y, dW, db):
    t = net.trace(X, Y)
    df = reference.d_sigmoid(t.a[2])
    steps((t.delta[3] @ net.W[3]) * df, 2, t, dW, db)


def tanh_slope_without_square(net, X, Y, dW, db):
    t = net.trace(X, Y)
    steps((t.delta[2] @ net.W[2]) * (1 - t.a[1]), 1, t, dW, db)


def transposed_weights_on_the_way_back(net, X, Y, dW, db):
    t = net.trace(X, Y)
    steps((t.delta[2] @ net.W[2].T) * slope(net, t, 1), 1, t, dW, db)


def transposed_square(net, X, Y, dW, db):
    dW[2][...] = dW[2].T.copy()


def no_bias_gradient(net, X, Y, dW, db):
    db[2][...] = 0


def no_bias_gradient_anywhere(net, X, Y, dW, db):
    for l in range(1, net.L + 1):
        db[l][...] = 0


def mean_of_the_bias(net, X, Y, dW, db):
    db[1] /= len(X)


def stale_activation(net, X, Y, dW, db):
    t = net.trace(X, Y)
    dW[3][...] = t.delta[3].T @ np.roll(t.a[2], 1, axis=0)


def z_instead_of_a(net, X, Y, dW, db):
    t = net.trace(X, Y)
    dW[2][...] = t.delta[2].T @ t.z[1]


def last_column(net, X, Y, dW, db):
    dW[1][:, -1] = 0


def last_row(net, X, Y, dW, db):
    dW[3][-1] = dW[3][0]


def columns_shifted(net, X, Y, dW, db):
    dW[1][...] = np.roll(dW[1], 1, axis=1)


def last_sample_left_out(net, X, Y, dW, db):
    t = net.trace(X, Y)
    for l in range(1, net.L + 1):
        dW[l] -= t.delta[l][-1:].T @ t.a[l - 1][-1:]
        db[l] -= t.delta[l][-1]


def first_sample_twice_in_the_bias(net, X, Y, dW, db):
    t = net.trace(X, Y)
    db[2] += t.delta[2][0]


def units_swapped(net, X, Y, dW, db):
    db[1][[0, 1]] = db[1][[1, 0]]


def one_entry(net, X, Y, dW, db):
    dW[2][1, 3] *= 1.01


def one_bias(net, X, Y, dW, db):
    db[3][1] += 0.01


def not_a_number(net, X, Y, dW, db):
    dW[1][2, 1] = math.nan


def infinite(net, X, Y, dW, db):
    db[2][0] = math.inf


def clipped(net, X, Y, dW, db):
    np.clip(dW[3], -1e-2, 1e-2, out=dW[3])


MISTAKES = [
    wrong_sign,
    double,
    half,
    no_mean_over_samples,
    mean_of_samples_summed_over_outputs,
    all_zero,
    weight_decay,
    no_slope_in_layer_1,
    no_slope_in_layer_2,
    slope_of_a_instead_of_z,
    tanh_slope_without_square,
    transposed_weights_on_the_way_back,
    transposed_square,
    no_bias_gradient,
    no_bias_gradient_anywhere,
    mean_of_the_bias,
    stale_activation,
    z_instead_of_a,
    last_column,
    last_row,
    columns_shifted,
    last_sample_left_out,
    first_sample_twice_in_the_bias,
    units_swapped,
    one_entry,
    one_bias,
    not_a_number,
    infinite,
    clipped,
]


def assert_found(report, expected):
    assert not report.passed
    assert not report
    assert expected, "the mistake changes nothing"
    worst = report.worst
    assert spot(worst) in expected
    assert worst.analytic != worst.numeric
    assert str(worst) in report.diagnosis
    assert failed_layers(report) == sorted({p[0] for p in expected})
    assert str(report).splitlines()[-1] == f"gradient check: FAILED at {worst}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda f: f.__name__)
def test_planted_mistake_is_found_and_located(mistake, dtype):
    X, Y = data(3, 2)
    planted = Planted(network(dtype=dtype), mistake)
    report = cr.gradcheck(planted, X, Y)
    assert_found(report, changed(planted.copy("float64"), X, Y))
    assert "differences of the cost" in report.diagnosis
    assert not report.max_error <= 1e-6
    assert report.errors[report.worst.name][report.worst.index] == report.max_error or math.isnan(
        report.worst.analytic
    )


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda f: f.__name__)
def test_mistake_of_the_float32_code_alone_is_found(mistake):
    X, Y = (part.astype(np.float32) for part in data(3, 2))
    planted = Planted(network(dtype="float32"), mistake, dtypes=("float32",))
    report = cr.gradcheck(planted, X, Y)
    assert_found(report, changed(planted, X, Y))
    assert "float32" in report.diagnosis
    assert report.max_error <= 1e-6  # the float64 twin is right


def test_small_error_is_found_by_the_reference():
    X, Y = data(3, 2)
    planted = Planted(network(), in_float32)  # 6e-8: too small for differences
    report = cr.gradcheck(planted, X, Y)
    assert_found(report, changed(planted, X, Y))
    assert "the reference" in report.diagnosis
    assert report.max_error <= 1e-6


def test_error_outside_the_sample_is_found_by_the_reference():
    net = network(("tanh", "identity"), (20, 1), 10)
    X, Y = data(10, 1)

    left_out = np.argwhere(np.isnan(cr.gradcheck(net, X, Y, max_parameters=30).errors["W^1"]))
    j, k = left_out[-1]

    def mistake(net, X, Y, dW, db):
        dW[1][j, k] *= 1.001

    report = cr.gradcheck(Planted(net, mistake), X, Y, max_parameters=30)
    assert_found(report, {(1, "W", j + 1, k + 1)})
    assert "the reference" in report.diagnosis


def test_mistake_of_network_and_reference_is_found_by_differences(monkeypatch):
    f, _ = reference.ACTIVATIONS["tanh"]
    monkeypatch.setitem(reference.ACTIVATIONS, "tanh", (f, lambda z: 1 - f(z)))
    X, Y = data(3, 2)
    planted = Planted(network(), tanh_slope_without_square)
    report = cr.gradcheck(planted, X, Y)
    assert_found(report, changed(planted, X, Y))
    assert max(c.reference_error for c in report.blocks) < 1e-13
    assert report.max_error > 1e-3


def as_the_reference(net, X, Y, dW, db):
    """Whatever mistake the reference makes on its way back."""
    W, b, names = [None, *net.W], [None, *net.b], [layer.activation for layer in net.layers]
    _, wrong_dW, wrong_db = reference.gradient(W, b, names, X, Y)
    for l in range(1, net.L + 1):
        dW[l][...], db[l][...] = wrong_dW[l], wrong_db[l]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_mistake_of_network_and_reference_is_found_by_the_complex_step(monkeypatch, name):
    """Too small for differences, and nothing else is left: the reference makes it too."""
    net = network((name, "sigmoid", "identity"))
    times = [layer.activation for layer in net.layers].count(name)
    f, df = reference.ACTIVATIONS[name]
    monkeypatch.setitem(reference.ACTIVATIONS, name, (f, lambda z: (1 + 1e-10) * df(z)))
    X, Y = data(3, 2)
    planted = Planted(net, as_the_reference)
    report = cr.gradcheck(planted, X, Y)
    assert not report
    assert "disagree with the complex step" in report.diagnosis
    assert "the reference in" not in report.diagnosis
    assert max(c.reference_error for c in report.blocks) == 0
    assert report.max_error <= 1e-6
    assert set(failed_layers(report)) >= {1}
    errors = {c.name: c.complex_error for c in report.blocks}
    assert errors["W^1"] == pytest.approx(times * 1e-10, rel=0.01)
    assert errors["b^3"] < 1e-14 or name == "identity"
    assert report.worst.analytic == pytest.approx(report.worst.numeric, rel=3e-10)


def test_mistake_of_the_cost_of_the_reference_is_not_of_the_network(monkeypatch):
    """The complex step is independent of the core: a wrong reference alone is seen as well."""
    f, df = reference.ACTIVATIONS["tanh"]
    monkeypatch.setitem(reference.ACTIVATIONS, "tanh", (lambda z: f(z) * (1 + 1e-9), df))
    report = cr.gradcheck(network(), *data(3, 2))
    assert not report
    assert all(c.complex_error > 1e-12 for c in report.blocks if c.layer == 1)


@pytest.mark.parametrize("reduction", ["mean", "half_mean", "sum"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_complex_steps_are_those_of_the_reference(name, reduction):
    room = importlib.import_module("chainrule.gradcheck.complex_step")
    net = network((name, name, "identity"), (5, 4, 2))
    X, Y = data(3, 2, 7)
    theta = parameters_room.NetworkParameters(net, cr.MSE(reduction))
    W, b = [None, *net.W], [None, *net.b]
    names = [layer.activation for layer in net.layers]
    dW, db = reference.complex_step_gradient(W, b, names, X, Y, reduction=reduction)
    right = theta.row(dW, db)
    found = room.complex_step(theta, X, Objective(theta.loss, Y), np.arange(theta.size))
    np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-15 * np.abs(right).max())
    some = np.array([0, 3, 17, 40, theta.size - 1])
    found = room.complex_step(theta, X, Objective(theta.loss, Y), some)
    assert np.flatnonzero(~np.isnan(found)).tolist() == some.tolist()
    np.testing.assert_allclose(found[some], right[some], rtol=1e-12)


@pytest.mark.parametrize("name", ["silu", "gelu", "tanh", "softplus"])
def test_no_complex_step_is_taken_where_h_squared_switches_a_unit(name):
    """A row of zeros, biases 0: the relu units above have z = 0 exactly, and (ih)^2 is not 0."""
    for seed in range(20):
        net = cr.Network(
            [cr.Dense(4, name), cr.Dense(3, "relu"), cr.Dense(2)], 3, dtype="float64", seed=seed
        )
        X, Y = data(3, 2)
        X[1] = 0
        report = cr.gradcheck(net, X, Y)
        assert report.passed, str(report)
        assert report.max_ulp < 100
        assert (report.kinks > 0) is (name != "softplus")


def test_complex_steps_at_all_parameters_or_a_sample(monkeypatch):
    net = network(("tanh", "identity"), (16, 1), 26)  # 449 parameters
    X, Y = data(26, 1)
    assert "Complex step at" not in str(cr.gradcheck(net, X, Y))
    monkeypatch.setattr(network_check, "COMPLEX_ALL", 448)
    assert "Complex step at a random sample of 200 of the" in str(cr.gradcheck(net, X, Y))
    monkeypatch.setattr(network_check, "COMPLEX_WORK", 20 * 6 * 16)
    assert "Complex step at a random sample of 20 of the" in str(cr.gradcheck(net, X, Y))


def test_wrong_cost_is_found():
    report = cr.gradcheck(Planted(network(), lambda *_: None, cost=lambda C: C / 2), *data(3, 2))
    assert not report
    assert "2 times" in report.diagnosis
    report = cr.gradcheck(Planted(network(), lambda *_: None, cost=lambda _: math.nan), *data(3, 2))
    assert not report


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (wrong_sign, "All derivatives are -1 times"),
        (double, "All derivatives are 2 times"),
        (half, "All derivatives are 0.5 times"),
        (no_mean_over_samples, "All derivatives are 6 times what they should be. 6 is m: the sum"),
        (mean_of_samples_summed_over_outputs, "2 is n_L: the sum over the outputs"),
        (all_zero, "All are 0."),
        (weight_decay, "All dW have weight decay added, 0.0001 times the parameter"),
        (no_slope_in_layer_1, "f' is missing in layer 1 (BP2)"),
        (no_slope_in_layer_2, "f' is missing in layer 2 (BP2)"),
        (slope_of_a_instead_of_z, "f'(a) stands for f'(z) in db^2 and dW^2 alone (BP2)"),
        (tanh_slope_without_square, "1 - a stands for f'(z) in layer 1 (BP2)"),
        (transposed_weights_on_the_way_back, "W^2 is transposed on the way back to layer 1 (BP2)"),
        (transposed_square, "dW^2 is transposed (BP4)"),
        (no_bias_gradient, "db^2 is 0 (BP3)"),
        (no_bias_gradient_anywhere, "All db are 0 (BP3)"),
        (mean_of_the_bias, "db^1 is 0.1667 times what it should be (BP3). 1/6 is 1/m"),
        (stale_activation, "a^2 is of other samples than delta^3: shifted down by one row (BP4)"),
        (z_instead_of_a, "z^1 stands for a^1 (BP4)"),
        (last_column, "dW^1 is 0 in its last of 3 columns (BP4)"),
        (last_row, "only dW^3 in its last of 2 rows"),
        (columns_shifted, "dW^1 has its columns shifted right by 1 (BP4)"),
        (last_sample_left_out, "The last sample is left out (BP3) and (BP4)"),
        (first_sample_twice_in_the_bias, "The first sample counts twice in db^2 (BP3)"),
        (units_swapped, "db^1 has entries 1 and 2 swapped (BP3)"),
        (one_entry, "Wrong is only dC/dw^2_2,4."),
        (one_bias, "Wrong is only dC/db^3_2."),
        (not_a_number, "1 of 46 is not a number (NaN), in dW^1"),
        (infinite, "1 of 46 is infinite, in db^2"),
        (clipped, "dW^3 is clipped to [-0.01, 0.01] (BP4)"),
    ],
)
def test_hint_names_the_kind_of_mistake(mistake, words, dtype):
    X, Y = (part.astype(np.float32) for part in data(3, 2))
    planted = Planted(network(dtype=dtype), mistake, dtypes=(dtype,))
    assert words in cr.gradcheck(planted, X, Y).diagnosis


def test_one_wrong_entry_is_the_only_one():
    report = cr.gradcheck(Planted(network(), one_entry), *data(3, 2))
    assert spot(report.worst) == (2, "W", 2, 4)
    assert report.worst.analytic == pytest.approx(1.01 * report.worst.numeric, rel=1e-6)
    large = [part > 1e-6 for part in report.errors.values()]
    assert sum(int(part.sum()) for part in large) == 1
    assert "1 of 46 derivatives" in report.diagnosis
    assert "times" not in report.diagnosis


def test_no_layer_is_above_the_last():
    assert "Layers above" not in cr.gradcheck(Planted(network(), clipped), *data(3, 2)).diagnosis


# The tolerances


def with_large_derivatives(factor):
    """Inputs times `factor`, and their weights divided by it; the largest derivative."""
    net = network()
    X, Y = data(3, 2)
    X, net.W[1] = factor * X, net.W[1] / factor
    g = net.gradient(X, Y)
    return X, Y, net, max(np.abs(part).max() for part in [*g.dW, *g.db])


def test_errors_are_relative_to_the_derivative_and_to_a_hundredth_of_the_largest():
    for factor in (1.0, 100.0):
        X, Y, net, largest = with_large_derivatives(factor)
        assert bool(largest > 1) is (factor > 1)
        report = cr.gradcheck(net, X, Y)
        worst = report.worst
        size = abs(worst.analytic) + 0.01 * max(1, largest)
        assert report.max_error == pytest.approx(abs(worst.analytic - worst.numeric) / size)


@pytest.mark.parametrize("factor", [1.0, 100.0])
@pytest.mark.parametrize("place", [(0, 1), (3, 2)])
def test_tolerance_of_differences(place, factor):
    X, Y, net, largest = with_large_derivatives(factor)
    allowed = 1e-6 * abs(net.gradient(X, Y).dW[1][place]) + 1e-8 * max(1, largest)

    def mistake(size):
        def add(net, X, Y, dW, db):
            dW[1][place] += size * allowed

        return cr.gradcheck(Planted(net, add), X, Y)

    assert "the reference" in mistake(0.8).diagnosis
    assert "the differences of the cost" in mistake(1.2).diagnosis


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tolerance_of_the_reference(dtype):
    net = network(dtype=dtype)
    X, Y = (part.astype(dtype) for part in data(3, 2))
    u = {"float32": 2.0**-24, "float64": 2.0**-53}[dtype]
    W, b, _ = rounding(net.copy("float64"), X.astype(float), Y.astype(float), u)

    def mistake(size):
        def add_to_weight(net, X, Y, dW, db):
            dW[2][1, 2] += size * W[2][1, 2]

        def add_to_bias(net, X, Y, dW, db):
            db[1][3] += size * b[1][3]

        return [
            cr.gradcheck(Planted(net, add, dtypes=(dtype,)), X, Y).passed
            for add in (add_to_weight, add_to_bias)
        ]

    assert mistake(0.85) == mistake(-0.85) == [True, True]
    assert mistake(1.15) == mistake(-1.15) == [False, False]


def test_parameters_move_one_at_a_time_up_and_down_and_costs_are_few():
    net = network(("tanh", "identity"), (40, 1), 3)
    theta, seen = net.theta.copy(), []

    class Watched(Planted):
        def copy(self, dtype=None):
            return Watched(self.net.copy(dtype), self.mistake)

        def cost(self, X, Y, loss="mse"):
            moved = np.flatnonzero(self.net.theta != theta)
            assert len(moved) <= 1
            seen.extend((int(p), float(self.net.theta[p] - theta[p])) for p in moved)
            return self.net.cost(X, Y, loss)

    report = cr.gradcheck(Watched(net, lambda *_: None), *data(3, 1))
    assert report.passed
    assert {p for p, _ in seen} == set(np.flatnonzero(net.gradient(*data(3, 1)).theta))
    for (p, up), (q, down) in zip(seen[::2], seen[1::2], strict=True):
        assert p == q
        assert up == pytest.approx(-down, abs=1e-15)
        assert up > 0
    # Two for each, and the scan: at most four curves of some ten steps a block, twice.
    assert 2 * 201 <= len(seen) <= 2 * 201 + 4 * 2 * 4 * 2 * 12
    steps = [h for block in report.blocks for h in [block.step]]
    assert all(any(h == pytest.approx(up, rel=1e-6) for _, up in seen) for h in steps)


def rounding(net, X, Y, u=2.0**-53):
    """The bounds of rounding, per parameter, and the deviation of the cost."""
    theta = parameters_room.NetworkParameters(net, cr.MSE())
    objective = Objective(theta.loss, Y)
    _, _, _, bound, deviation = rounding_room.reference_gradient(theta, X, objective, u)
    parts = {"W": [None], "b": [None]}
    for block in theta.blocks:
        parts[block.kind].append(theta.part(bound, block))
    return parts["W"], parts["b"], deviation


DEEP = [*([name] * 2 for name in ACTIVATIONS), ["gelu", "sigmoid", "relu", "tanh"]]


@pytest.mark.parametrize("names", DEEP, ids="-".join)
def test_bound_of_rounding_is_above_the_errors_of_float32_and_not_far(names):
    """Errors of the reference run in float32, in units of the bound: 1 is 22 deviations."""
    ratios, cost_ratios = [], []
    for seed in range(20):
        net = network((*names, "identity"), (6,) * len(names) + (2,), 4, seed=seed, dtype="float32")
        X, Y = (part.astype(np.float32) for part in data(4, 2, 20, seed))
        twin = net.copy("float64")
        W, b, deviation = rounding(twin, X.astype(float), Y.astype(float), 2.0**-24)
        chosen = [layer.activation for layer in net.layers]
        C, dW, db = reference.gradient([None, *net.W], [None, *net.b], chosen, X, Y)
        exact_C, exact_dW, exact_db = reference.gradient(
            [None, *twin.W], [None, *twin.b], chosen, X.astype(float), Y.astype(float)
        )
        cost_ratios.append((C - exact_C) / deviation)
        for l in range(1, net.L + 1):
            ratios.append(((dW[l] - exact_dW[l])[W[l] > 0] / W[l][W[l] > 0]).ravel())
            ratios.append(((db[l] - exact_db[l])[b[l] > 0] / b[l][b[l] > 0]).ravel())
            assert (W[l] <= 1e-4 * np.abs(exact_dW[l]).max()).all()
    ratios = np.concatenate(ratios)
    assert np.abs(ratios).max() < 0.2
    assert 0.003 < np.sqrt(np.mean(ratios**2)) < 0.03
    assert np.abs(cost_ratios).max() < 4
    assert 0.05 < np.sqrt(np.mean(np.square(cost_ratios))) < 1


@pytest.mark.parametrize("names", DEEP, ids="-".join)
def test_bound_of_rounding_scales_as_the_terms_do(names):
    n = len(names)
    net = network((*names, "identity"), (6,) * n + (2,), 4)
    X, Y = data(4, 2, 20)
    W, b, deviation = rounding(net, X, Y)

    def expect(other, W_factors, b_factors, cost_factor, rtol=1e-13):
        for l in range(1, n + 2):
            np.testing.assert_allclose(other[0][l], W_factors(l) * W[l], rtol=rtol)
            np.testing.assert_allclose(other[1][l], b_factors(l) * b[l], rtol=rtol)
        np.testing.assert_allclose(other[2], cost_factor * deviation, rtol=rtol)

    # Proportional to the unit roundoff.
    twice = rounding(net, X, Y, 2.0**-52)
    expect(twice, lambda l: 2, lambda l: 2, 2, rtol=1e-6)
    # The same when inputs, or outputs and targets, change their signs.
    other = net.copy()
    other.W[1] = -other.W[1]
    expect(rounding(other, -X, Y), lambda l: 1, lambda l: 1, 1)
    other = net.copy()
    other.W[n + 1], other.b[n + 1] = -other.W[n + 1], -other.b[n + 1]
    expect(rounding(other, X, -Y), lambda l: 1, lambda l: 1, 1)
    # Inputs twice as large and their weights half: dC/dw^1 is twice as large.
    other = net.copy()
    other.W[1] = other.W[1] / 2
    expect(rounding(other, 2 * X, Y), lambda l: 2 if l == 1 else 1, lambda l: 1, 1)
    # Outputs and targets twice as large: the cost is 4 times as large, dC/dtheta^L twice.
    other = net.copy()
    other.W[n + 1], other.b[n + 1] = 2 * other.W[n + 1], 2 * other.b[n + 1]
    factors = [4] * (n + 1) + [2]
    expect(rounding(other, X, 2 * Y), lambda l: factors[l], lambda l: factors[l], 4)
    # Every sample twice: sums are twice as long, their terms half as large.
    doubled = rounding(net, np.repeat(X, 2, axis=0), np.repeat(Y, 2, axis=0))
    for l in range(1, n + 2):
        ratio = doubled[0][l][W[l] > 0] / W[l][W[l] > 0]
        assert ((ratio > 0.5) & (ratio < 1.5)).all()
    # A hidden tanh unit with all its signs changed is the same unit.
    for l in (l for l, name in enumerate(names, 1) if name == "tanh"):
        other = net.copy()
        other.W[l][2], other.b[l][2] = -other.W[l][2], -other.b[l][2]
        other.W[l + 1][:, 2] = -other.W[l + 1][:, 2]
        expect(rounding(other, X, Y), lambda _: 1, lambda _: 1, 1)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_small_error_is_found_in_every_layer(name):
    X, Y = data(3, 2, 30)
    planted = Planted(network((name, name, "identity"), (5, 4, 2)), in_float32)
    report = cr.gradcheck(planted, X, Y)
    assert failed_layers(report) == [1, 2, 3]


def test_curvature_and_jump_are_those_of_the_activations():
    z = np.linspace(-6, 6, 120_001)
    for name, (_, df) in reference.ACTIVATIONS.items():
        slope = df(z)
        jump = np.abs(np.diff(slope)).max()
        assert parameters_room.JUMP.get(name, 0) == pytest.approx(
            jump if jump > 0.1 else 0, abs=1e-12
        )
        curvature = np.abs(np.gradient(slope, z)).max() if jump < 0.1 else 0
        assert rounding_room.CURVATURE.get(name, 0) == pytest.approx(curvature, abs=1e-6)


def test_derivatives_too_small_for_float32():
    net = cr.Network([cr.Dense(1), cr.Dense(1)], 1, dtype="float32")
    net.W[1], net.b[1], net.W[2], net.b[2] = [[1e-3]], [0.0], [[1e-21]], [0.0]
    # delta^1 = 2e-42 has ten bits left, and is multiplied by x = 1000
    report = cr.gradcheck(net, [[1e3]], [[0.0]])
    assert report.passed
    assert 1e-6 < report.blocks[0].float32_error < 1e-3


def test_worst_error_in_ulp_and_its_place():
    net = network()
    X, Y = data(3, 2)
    t = net.trace(X, Y)
    # (BP1), (BP2), (BP4) on absolute values, with a for sigmoid' = a (1 - a)
    assert t.activations == ("tanh", "sigmoid", "identity")
    size = (2 / Y.size * (np.abs(t.a[3]) + np.abs(Y))) @ np.abs(t.W[3]) * t.a[2]
    unit = np.spacing((size.T @ np.abs(t.a[1])).max())

    def mistake(net, X, Y, dW, db):
        dW[2][3, 1] += 4 * unit  # rounding, for all that the check can tell

    report = cr.gradcheck(Planted(net, mistake), X, Y)
    assert report.passed
    assert spot(report.worst_ulp) == (2, "W", 4, 2)
    assert 3.5 <= report.max_ulp <= 4.5
    assert report.max_ulp == max(block.ulp for block in report.blocks)
    assert report.blocks[2].ulp == report.max_ulp
    assert report.worst_ulp.analytic - report.worst_ulp.numeric == report.max_ulp * unit
    text = str(report)
    assert f"Worst error against the exact oracles: {report.max_ulp:.2g} ulp at dC/dw^2_4,2" in text
    right = cr.gradcheck(net, X, Y)
    assert right.max_ulp < 3
    assert all(block.ulp is not None for block in right.blocks)


def test_the_worst_error_at_a_minimum_is_small_beside_what_cancels():
    # Y is the answer but for a rounding, or the mean of targets on both sides of it.
    net = network()
    X, _ = data(3, 2)
    a = net(X)
    beside = np.vstack([X, X]), np.vstack([a + 1, a - 1])
    for X_m, Y_m in ((X, a * (1 + 2.0**-52)), beside):
        report = cr.gradcheck(net, X_m, Y_m)
        assert report.passed, report
        assert 0 < report.max_ulp < 30
        assert max(max(b.complex_error, b.reference_error) for b in report.blocks) < 1e-8


def test_second_verdict_for_float32():
    X, Y = (part.astype(np.float32) for part in data(3, 2))
    assert cr.gradcheck(network(), X, Y).float32 is None
    assert "float32 path" not in str(cr.gradcheck(network(), X, Y))

    net = network(dtype="float32")
    second = cr.gradcheck(net, X, Y).float32
    assert second.passed
    assert second.n_wrong == 0
    assert 0 < second.max_error < second.allowed < 1e-4
    exact = net.copy(dtype="float64").gradient(X, Y)
    place = second.worst
    largest = np.abs({"W": exact.dW, "b": exact.db}[place.kind][place.layer]).max()
    assert second.max_error == pytest.approx(abs(place.analytic - place.numeric) / largest)
    lines = str(cr.gradcheck(net, X, Y)).splitlines()
    assert lines[-2] == (
        f"float32 path: PASSED, worst error {second.max_error:.1e} (allowed {second.allowed:.1e})"
        f" at {place}"
    )
    assert lines[-1].startswith("gradient check: PASSED")

    wrong = cr.gradcheck(Planted(net, last_column, dtypes=("float32",)), X, Y)
    assert not wrong.passed
    assert not wrong.float32.passed
    assert wrong.float32.n_wrong == 4
    assert spot(wrong.float32.worst) == spot(wrong.worst)
    assert "float32 path: FAILED, 4 derivatives wrong, worst error" in str(wrong)
    # In float64 alone:
    wrong = cr.gradcheck(Planted(net, last_column, dtypes=("float64",)), X, Y)
    assert not wrong.passed
    assert wrong.float32.passed


def test_reference_error_is_relative_to_the_largest_of_the_layer():
    report = cr.gradcheck(Planted(network(dtype="float32"), double), *data(3, 2))
    for c in report.blocks:
        assert c.reference_error == pytest.approx(1)
        assert c.float32_error == pytest.approx(1, rel=1e-5)


# Kinks


def kink_network(dtype="float64"):
    """Case N20: for sample 1 the first relu unit has z = 0 exactly."""
    net = cr.Network([cr.Dense(2, "relu"), cr.Dense(1)], 2, dtype=dtype)
    net.W[1], net.b[1] = [[1.0, -0.5], [0.25, 1.0]], [-0.5, 0.125]
    net.W[2], net.b[2] = [[1.5, -2.0]], [0.25]
    return net, [[1.0, 1.0], [2.0, 0.5]], [[1.0], [3.0]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameter_at_a_kink_is_left_out_and_counted(dtype):
    report = cr.gradcheck(*kink_network(dtype))
    assert report.passed, str(report)
    assert (report.kinks, report.n_checked, report.n_parameters) == (3, 6, 9)
    np.testing.assert_array_equal(np.isnan(report.errors["W^1"]), [[True, True], [False, False]])
    np.testing.assert_array_equal(np.isnan(report.errors["b^1"]), [True, False])
    assert not np.isnan(report.errors["W^2"]).any()
    assert [c.kinks for c in report.blocks] == [2, 1, 0, 0]
    assert "3 derivatives left out" in str(report)


def test_mistake_beside_a_kink_is_found():
    net, X, Y = kink_network()

    def mistake(net, X, Y, dW, db):
        dW[1][1, 0] *= 1.001

    assert_found(cr.gradcheck(Planted(net, mistake), X, Y), {(1, "W", 2, 1)})


def test_gross_mistake_at_a_kink_is_found_by_the_reference():
    net, X, Y = kink_network()

    def mistake(net, X, Y, dW, db):
        db[1][0] += 100.0

    assert_found(cr.gradcheck(Planted(net, mistake), X, Y), {(1, "b", 1, None)})


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_unit_within_rounding_of_its_kink_may_be_on_or_off(sign):
    # The second layer's first unit has z = -8e-16 for sample 1, a sum of terms of size 1.
    net = network(("silu", "relu", "identity"), (2, 2, 1), 1)
    X, Y = [[1.0], [-0.5]], [[3.0 * sign], [1.0]]
    net.W[1], net.b[1] = [[-2.0], [1.0]], [0.0, 0.5]  # silu'(-2) < 0
    net.W[2], net.b[2] = [[1.0, -1.5], [0.5, 1.0]], [0.0, 0.25]
    net.W[3] = [[sign, -0.5]]
    net.b[2] = net.b[2] - [net.trace(X, Y).z[2][0, 0] + 8e-16, 0.0]
    t = net.trace(X, Y)
    assert -2e-15 < t.z[2][0, 0] < 0

    def switch(share):
        """As if the unit were on by `share` for sample 1, and its share of all layers below."""

        def mistake(net, X, Y, dW, db):
            on = np.zeros((2, 2))
            on[0, 0] = share * (t.delta[3] @ net.W[3])[0, 0]
            below = (on @ net.W[2]) * slope(net, t, 1)
            dW[2] += on.T @ t.a[1]
            db[2] += on.sum(axis=0)
            dW[1] += below.T @ t.a[0]
            db[1] += below.sum(axis=0)

        return cr.gradcheck(Planted(net, mistake), X, Y)

    assert switch(0).passed
    assert switch(1).passed
    for share in (1.1, -1.1):
        report = switch(share)
        assert not report.passed
        assert failed_layers(report) == [1, 2]
        # Each of these derivatives alone is above its bound.
        assert "7 of 13 derivatives" in report.diagnosis


def test_relu_slope_at_zero_is_zero():
    # One sample of zeros and no bias: z = 0 without any rounding, so relu'(0) can be told.
    net = network(("relu", "identity"), (3, 1), 2)
    net.b[1] = np.zeros(3)
    X, Y = [[0.0, 0.0], [1.0, 2.0], [-1.0, 3.0]], [[1.0], [2.0], [3.0]]
    assert cr.gradcheck(net, X, Y).passed

    def slope_one_at_zero(net, X, Y, dW, db):
        t = net.trace(X, Y)
        db[1] += (t.delta[2] @ net.W[2])[0]

    report = cr.gradcheck(Planted(net, slope_one_at_zero), X, Y)
    assert not report
    assert report.worst.name == "b^1"


def test_kink_within_the_step_is_checked_with_a_smaller_one(monkeypatch):
    net = cr.Network([cr.Dense(1, "relu"), cr.Dense(1)], 1, dtype="float64")
    net.W[1], net.b[1], net.W[2], net.b[2] = [[1.0]], [1e-6], [[2.0]], [0.5]
    X, Y = [[0.0], [1.0]], [[5.0], [1.0]]  # z = 1e-6 for the first sample
    report = cr.gradcheck(net, X, Y)
    assert report.passed
    assert report.kinks == 0
    assert report.blocks[1].step < 1e-6
    # With one step for all, larger than that:
    monkeypatch.setattr(differences, "scan", lambda block, *_: np.full(block.array.size, 6e-6))
    report = cr.gradcheck(net, X, Y)
    assert report.passed
    assert report.kinks == 0
    assert report.blocks[1].step == 6e-6 / 16
    monkeypatch.setattr(differences, "SHRINK", (1,))
    report = cr.gradcheck(net, X, Y)
    assert report.passed
    assert report.kinks == 1
    assert math.isnan(report.errors["b^1"][0])


def test_only_kinks_do_not_pass():
    net = cr.Network([cr.Dense(1, "leaky_relu")], 1, dtype="float64")
    net.W[1], net.b[1] = [[1.0]], [-1.0]
    report = cr.gradcheck(net, [[1.0]], [[2.0]])
    assert not report
    assert (report.kinks, report.n_checked) == (2, 0)
    assert report.diagnosis.startswith("No derivative could be held against a difference")


# Nothing to check, nothing to see


def test_dead_network_does_not_pass():
    net = cr.Network([cr.Dense(2, "relu")], 1, dtype="float64")
    net.b[1] = [-100.0, -100.0]
    report = cr.gradcheck(net, *data(1, 2))
    assert not report
    assert report.diagnosis.startswith("Every derivative is exactly 0")
    assert str(report).splitlines()[-1] == "gradient check: FAILED"


def test_cost_zero_does_not_pass():
    net = network()
    X, _ = data(3, 2)
    assert cr.gradcheck(net, X, net(X)).diagnosis.startswith("Every derivative is exactly 0")


def test_one_dead_layer_passes():
    net = network(("relu", "identity"), (2, 1), 2)
    net.b[1] = [-100.0, -100.0]
    report = cr.gradcheck(net, *data(2, 1))
    assert report.passed  # dC/db^2 is not 0
    assert [note[:16] for note in report.notes] == ["Layer 1 is dead:"]
    assert "Layer 1 is dead: all its derivatives are exactly 0" in str(report)
    net.b[1] = [-100.0, 100.0]
    assert not cr.gradcheck(net, *data(2, 1)).notes
    # What should not be 0 is not called dead.
    net = network(("tanh", "identity"), (2, 1), 2)

    def forgotten(net, X, Y, dW, db):
        dW[1][...], db[1][...] = 0, 0

    report = cr.gradcheck(Planted(net, forgotten), *data(2, 1))
    assert not report.passed
    assert not report.notes


# Differences that cannot know better


def fixed_step_error(net, X, Y, dW):
    """Of differences with the customary step 6e-6 max(1, |theta|), as `max_error` is measured."""
    W, b, names = [None, *net.W], [None, *net.b], [layer.activation for layer in net.layers]
    numeric, _ = reference.numerical_gradient(W, b, names, X, Y)
    floor = 0.01 * max(1, *(np.abs(part).max() for part in dW))
    return max(
        (np.abs(a - n) / (np.abs(a) + floor)).max() for a, n in zip(dW, numeric[1:], strict=True)
    )


@pytest.mark.parametrize("shrink", [(1,), (1, 16, 256)])
def test_strongly_bent_cost_is_checked_with_smaller_steps(monkeypatch, shrink):
    net = network(("tanh", "identity"), (4, 1), 2)
    X, Y = data(2, 1)
    X = 400 * X
    net.W[1] = 0.01 * net.W[1]
    monkeypatch.setattr(differences, "SHRINK", shrink)
    report = cr.gradcheck(net, X, Y)
    assert report.passed
    assert report.blocks[0].step < 1e-6
    assert fixed_step_error(net, X, Y, list(net.gradient(X, Y).dW)) > 1e-6


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1e-3, 1.0, 1e4, 1e7])
@pytest.mark.parametrize("names", [("tanh", "identity"), ("gelu", "sigmoid"), ("relu", "softplus")])
def test_steps_go_with_the_size_of_the_weights(size, names):
    """Inputs 1 / size times weights of that size: a fixed step is too large, or too small."""
    net = network(names, (5, 2), 3)
    X, Y = data(3, 2)
    X, net.W[1] = X / size, size * net.W[1]
    report = cr.gradcheck(net, X, Y)
    assert report.passed, str(report)
    assert report.kinks == 0
    assert report.n_checked == report.n_parameters
    W, b = [None, *net.W], [None, *net.b]
    exact, _ = reference.complex_step_gradient(W, b, list(names), X, Y)
    floor = 0.01 * max(1.0, np.abs(exact[1]).max())
    g = net.gradient(X, Y).dW[1]
    np.testing.assert_allclose(g, exact[1], rtol=1e-11, atol=1e-13 * np.abs(exact[1]).max())
    # The difference itself: its error tells how far it is from the exact derivative.
    error = report.errors["W^1"] * (np.abs(g) + floor)
    assert (error <= 1e-7 * (np.abs(exact[1]) + floor)).all()
    # The step moves z by about as much for every size.
    assert 1e-9 < report.blocks[0].step / size < 1e-2

    def mistake(net, X, Y, dW, db):
        dW[1][2, 1] += 3e-6 * (abs(dW[1][2, 1]) + floor)

    report = cr.gradcheck(Planted(net, mistake), X, Y)
    assert_found(report, {(1, "W", 3, 2)})
    assert "differences" in report.diagnosis


def test_a_fixed_step_is_wrong_for_tiny_weights():
    net = network(("tanh", "identity"), (5, 2), 3)
    X, Y = data(3, 2)
    X, net.W[1] = X / 1e-6, 1e-6 * net.W[1]
    assert fixed_step_error(net, X, Y, list(net.gradient(X, Y).dW)) > 1e-2


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
def test_weights_of_all_sizes_in_one_block(name):
    net = network((name, "identity"), (6, 1), 4)
    X, Y = data(4, 1, 9)
    sizes = np.array([1e-6, 1e-2, 1.0, 1e4])
    X, net.W[1] = X / sizes, net.W[1] * sizes
    net.W[1][2] = [0.0, 0.0, 0.3, 0.0]
    report = cr.gradcheck(net, X, Y)
    assert report.passed, str(report)
    assert report.n_checked + report.kinks == report.n_parameters

    def mistake(net, X, Y, dW, db):
        dW[1][3, 3] += 1e-5 * np.abs(dW[1]).max()

    assert_found(cr.gradcheck(Planted(net, mistake), X, Y), {(1, "W", 4, 4)})


def test_large_cost_at_its_minimum(monkeypatch):
    # The gradient is small, the cost is not: its rounding divided by h is above the tolerance.
    net = network(("identity",), (1,), 2)

    def passed(seed):
        X, Y = data(2, 1, 40, seed)
        Y = 1e8 * Y
        best = np.linalg.lstsq(np.c_[X, np.ones(40)], Y, rcond=None)[0]
        net.W[1], net.b[1] = best[:2].T, best[2]
        return cr.gradcheck(net, X, Y).passed

    assert all(passed(seed) for seed in range(20))
    monkeypatch.setattr(network_check, "DEVIATIONS", 1e-3)
    # A difference may be right by luck, but not in every one of them.
    assert sum(not passed(seed) for seed in range(20)) >= 3


# The sample


def test_sample_of_the_parameters():
    net = network(("tanh", "identity"), (50, 1), 20)
    X, Y = data(20, 1)
    report = cr.gradcheck(net, X, Y, max_parameters=100)
    assert report.passed
    assert (report.n_checked, report.n_parameters) == (32, 1101)  # and directions
    assert "random sample of 32 of the parameters" in str(report)
    for part in report.errors.values():
        assert (~np.isnan(part)).sum() >= min(8, part.size)
    again = cr.gradcheck(net, X, Y, max_parameters=100)
    other = cr.gradcheck(net, X, Y, max_parameters=100, seed=1)
    np.testing.assert_array_equal(report.errors["W^1"], again.errors["W^1"])
    assert (np.isnan(report.errors["W^1"]) != np.isnan(other.errors["W^1"])).any()
    assert cr.gradcheck(net, X, Y, max_parameters=1).n_checked == 1
    assert cr.gradcheck(net, X, Y, max_parameters=1101).n_checked == 1101
    text = str(cr.gradcheck(net, X, Y, max_parameters=1101))
    assert "Differences at a random sample of" not in text
    assert "Complex step at a random sample of 200 of the parameters." in text


# The report


def test_report():
    net = network(("relu", "sigmoid", "identity"), (12, 4, 2), 11, dtype="float32")
    X, Y = data(11, 2)
    report = cr.gradcheck(net, X, Y)
    assert isinstance(report, cr.GradientCheck)
    assert bool(report) is report.passed is True
    assert 0 < report.seconds < 60
    assert report.subject == str(net)
    shapes = [(12, 11), (12,), (4, 12), (4,), (2, 4), (2,)]
    assert [c.shape for c in report.blocks] == shapes
    assert [part.shape for part in report.errors.values()] == shapes
    assert list(report.errors) == [c.name for c in report.blocks]
    largest = max(np.nanmax(part) for part in report.errors.values())
    assert report.max_error == largest == max(c.max_error for c in report.blocks)
    worst = report.worst
    assert report.errors[worst.name][worst.index] == largest
    g = net.copy(dtype="float64").gradient(X, Y)
    derivative = {"W": g.dW, "b": g.db}[worst.kind][worst.layer]
    assert derivative[worst.index] == worst.analytic
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.passed = False
    with pytest.raises(ValueError, match="read-only"):
        report.errors["W^1"][0, 0] = 0


def test_places_are_named_as_everywhere():
    def written(layer, kind, *index):
        return str(report_room.Place(f"{kind}^{layer}", index, 0.0, 0.0, layer, kind))

    assert written(1, "W", 1, 0) == "dC/dw^1_2,1"
    assert written(3, "W", 3, 9) == "dC/dw^3_4,10"
    assert written(3, "b", 11) == "dC/db^3_12"
    assert str(report_room.Place("fc1.weight", (3, 0), 0.0, 0.0)) == "dC/d fc1.weight[3, 0]"


def test_table():
    net = network(("leaky_relu",) * 3, (120, 33, 10), 100, dtype="float32")
    X, Y = data(100, 10)
    for report in (
        cr.gradcheck(net, X, Y, max_parameters=200),
        cr.gradcheck(Planted(net, transposed_weights_at_the_end), X, Y, max_parameters=200),
        cr.gradcheck(*kink_network()),
    ):
        text = str(report)
        assert text.isascii()
        assert max(map(len, text.splitlines())) <= 80
        for c in report.blocks:
            row = next(line for line in text.splitlines() if line.startswith(f"{c.name} "))
            assert f"{c.max_error:.1e}" in row
            assert row.endswith("<-") is not c.passed
        assert ("float32" in text) is (report.blocks[0].float32_error is not None)
        assert "(C(theta + h) - C(theta - h)) / 2h" in text
        words = "PASSED" if report.passed else "FAILED"
        assert text.splitlines()[-1].startswith(f"gradient check: {words}")
        assert text.splitlines()[-1].endswith(f" at {report.worst}")
    passed = cr.gradcheck(network(("tanh", "identity"), (90, 1), 9), *data(9, 1))
    assert "gradient check: PASSED, 991 derivatives, worst" in str(passed)
    assert f" {passed.max_error:.1e} at dC/d" in str(passed)
    assert report_room.count(4929, "derivative") == "4 929 derivatives"
    assert "on 1 sample is" in str(cr.gradcheck(network(), *data(3, 2, 1)))
    assert "sample of 7 of" in str(cr.gradcheck(*kink_network(), max_parameters=7))


@pytest.mark.parametrize("factor", [1, 1e9])
def test_table_with_all_columns_is_at_most_80_wide(factor):
    place = report_room.Place("W^10", (99, 99), 1.0, factor, 10, "W")
    blocks = tuple(
        report_room.BlockCheck(
            name, 10, name[0], (1000, 999), 999_000, 12345, 1e-7 * factor,
            ulp=1.25 * factor, complex_error=1e-16, reference_error=1e-16, float32_error=1e-7,
            passed=factor == 1, step=1e-12,
        )
        for name in ("W^10", "b^10")
    )  # fmt: skip
    report = report_room.GradientCheck(
        passed=factor == 1, diagnosis="", max_error=1.0, max_ulp=1.25 * factor, worst=place,
        blocks=blocks, errors={}, n_parameters=2_000_000, n_checked=999_000, kinks=24690,
        seconds=1.0, subject="Network", samples=3, worst_ulp=place,
        float32=report_room.Float32Check(factor == 1, 1000, 1e-7, 1e-7, place),
    )  # fmt: skip
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= 80
    head, *rows = [line for line in lines if "checked " in line or "^10 " in line[:5]][:3]
    names = ["checked", "kinks", "step h", "differences", "complex", "reference", "ulp", "float32"]
    assert head.replace("step h", "step_h").split() == [n.replace(" ", "_") for n in names]
    for row in rows:
        cells = row.replace("999 000", "999_000").removesuffix(" <-").split()
        assert len(cells) == 1 + len(names)
        for name in names:  # right-aligned below their heads
            end = head.index(name) + len(name)
            assert row[end - 1] != " "
            assert row[end : end + 1] in ("", " ")


def test_long_names_of_foreign_blocks_are_cut():
    place = report_room.Place("a", (0,), 1.0, 1.0)
    name = "transformer.encoder.layers.11.mlp.fc1.weight"
    block = report_room.BlockCheck(name, None, "", (3,), 3, 1, 1e-9, step=1e-5)
    report = report_room.GradientCheck(
        passed=True, diagnosis="", max_error=1e-9, max_ulp=None, worst=place, blocks=(block,),
        errors={}, n_parameters=4, n_checked=3, kinks=1, seconds=0.0, subject="f", samples=None,
    )  # fmt: skip
    text = str(report)
    assert "transformer.encoder.layers.11...  " in text
    assert "1 derivative left out: the cost has a kink within +-h." in text
    assert max(map(len, text.splitlines())) <= 80


def transposed_weights_at_the_end(net, X, Y, dW, db):
    dW[2] *= 3


# Arguments


def test_wrong_arguments():
    net = network()
    X, Y = data(3, 2)
    with pytest.raises(ValueError, match="mse"):
        cr.gradcheck(net, X, Y, loss="hinge")
    for target in (lambda theta: (0.0, theta), cr.Neuron([1.0, 2.0, 3.0])):
        with pytest.raises(TypeError, match="sample_weight is for networks"):
            cr.gradcheck(target, X, Y[:, 0], sample_weight=np.ones(6))
    with pytest.raises(ValueError, match="sample_weight"):
        cr.gradcheck(net, X, Y, sample_weight=-np.ones(6))
    with pytest.raises(ValueError, match="max_parameters"):
        cr.gradcheck(net, X, Y, max_parameters=0)
    with pytest.raises(TypeError, match="max_parameters"):
        cr.gradcheck(net, X, Y, max_parameters=2.5)
    with pytest.raises(ValueError, match="seed"):
        cr.gradcheck(net, X, Y, seed=-1)
    with pytest.raises(ValueError, match=r"0 sample"):
        cr.gradcheck(net, X[:0], Y[:0])
    with pytest.raises(ValueError, match="X"):
        cr.gradcheck(net, X[:, :2], Y)
    X[1, 2] = math.nan
    with pytest.raises(ValueError, match="X"):
        cr.gradcheck(net, X, Y)
