"""The V-curve of a difference: its slopes, its best step, the complex step, kinks, refusals."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import plot, reference
from chainrule.plot.differences import STEPS, _error, _errors, _line

pytest.importorskip("matplotlib")

X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.random.default_rng(1).normal(size=(12, 2))


def network(*activations, dtype="float64", seed=2):
    layers = [cr.Dense(4, name) for name in activations] + [cr.Dense(2)]
    return cr.Network(layers, n_inputs=3, dtype=dtype, seed=seed)


@pytest.fixture
def draw(tmp_path):
    return lambda *args, **options: plot.v_curve(*args, path=tmp_path / "v.png", **options).axes[0]


def slope(errors, low, high):
    there = (low <= STEPS) & (high >= STEPS)
    return np.polyfit(np.log10(STEPS[there]), np.log10(errors[there]), 1)[0]


@pytest.mark.parametrize("place", [(1, 2, 3), (1, 4, None), (2, 1, 4), (2, 3, None)])
def test_truncation_falls_with_h_and_rounding_grows_with_1_over_h(place):
    line = _line(network("tanh", "sigmoid"), X, Y, *place, "mse")
    central, forward, kink = _errors(line)
    assert slope(central, 1e-3, 1e-1) == pytest.approx(2, abs=0.1)
    assert slope(forward, 1e-6, 1e-2) == pytest.approx(1, abs=0.1)
    for errors in (central, forward):
        assert slope(errors + 1e-300, 1e-14, 1e-10) == pytest.approx(-1, abs=0.35)
    best = STEPS[np.argmin(central)]
    assert 1e-7 < best < 1e-3  # about the cube root of eps
    assert central.min() < 1e-8
    assert central.min() < forward.min()
    assert not kink.any()


@pytest.mark.parametrize("reduction", ["mean", "sum", "half_mean"])
def test_the_derivative_and_the_cost_are_those_of_the_reference(reduction):
    net = network("softplus", "gelu")
    W, b = [None, *net.W], [None, *net.b]
    names = [layer.activation for layer in net.layers]
    C, dW, db = reference.gradient(W, b, names, X, Y, reduction)
    complex_dW, _ = reference.complex_step_gradient(W, b, names, X, Y, reduction=reduction)
    for l, j, k in ((1, 2, 3), (2, 4, 1), (3, 1, 2), (2, 2, None)):
        line = _line(net, X, Y, l, j, k, cr.MSE(reduction))
        expected = db[l][j - 1] if k is None else dW[l][j - 1, k - 1]
        assert line.derivative == pytest.approx(expected, rel=1e-12)
        assert line.at(float(line.here))[0] == pytest.approx(C, rel=1e-14)
        if k is not None:
            step = line.at(complex(line.here, 1e-30))[0].imag / 1e-30
            assert step == pytest.approx(complex_dW[l][j - 1, k - 1], rel=1e-13)


def test_the_picture_of_a_smooth_network(draw, unchanged):
    net = network("tanh")
    with unchanged(net):
        axes = draw(net, X, Y, 1, 2, 3)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    forward, central, flat, star = axes.lines
    np.testing.assert_array_equal(central.get_xdata(), STEPS)
    assert len(set(flat.get_ydata())) == 1
    assert flat.get_ydata()[0] < 1e-14
    assert star.get_marker() == "*"
    i = int(np.argmin(central.get_ydata()))
    assert star.get_xydata()[0].tolist() == central.get_xydata()[i].tolist()
    texts = [t.get_text() for t in axes.get_legend().get_texts()]
    assert any("forward" in text for text in texts)
    assert any("complex step" in text for text in texts)
    assert any("best step $h$" in text for text in texts)
    assert r"\partial w^{1}_{2,3}" in axes.get_title()
    assert axes.get_ylabel() == "relative error"
    assert min(forward.get_ydata()) > min(central.get_ydata())
    assert r"\partial b^{2}_{1}" in draw(net, X, Y, 2, 1).get_title()


def test_a_kink_is_shaded_and_there_is_no_complex_step(draw):
    net = cr.Network([cr.Dense(1, "relu")], n_inputs=1, dtype="float64")
    net.W[1], net.b[1] = [[1.0]], [0.01]  # z = 1.01 and 0.0101: a kink at h = 0.01
    data, target = [[1.0], [1e-4], [0.5]], [0.0, 2.0, 0.0]
    _, _, kink = _errors(_line(net, data, target, 1, 1, None, "mse"))
    np.testing.assert_array_equal(kink, STEPS > 0.0101)
    axes = draw(net, data, target, 1, 1)
    texts = [t.get_text() for t in axes.get_legend().get_texts()]
    assert "a kink lies within the step" in texts
    assert not any("complex" in text for text in texts)
    assert len(axes.patches) == 1


def test_at_a_kink_the_difference_is_wrong_for_every_step():
    net = cr.Network([cr.Dense(1, "relu")], n_inputs=1, dtype="float64")
    net.W[1], net.b[1] = [[1.0]], [0.0]
    line = _line(net, [[0.0]], [[1.0]], 1, 1, None, "mse")
    central, _, kink = _errors(line)
    assert line.derivative == 0  # relu'(0) = 0
    assert kink.all()
    np.testing.assert_allclose(central, 1, rtol=0.2)  # half of the slope -2 on the right


def test_a_parabola_has_no_truncation_error(draw):
    net = cr.Network([cr.Dense(1)], n_inputs=1, dtype="float64")
    axes = draw(net, [[1.0], [2.0]], [0.5, 1.0], 1, 1, 1)
    assert any("parabola" in text.get_text() for text in axes.texts)
    central = [line for line in axes.lines if line.get_gid() != "zero"][1]
    assert min(central.get_ydata()[:4]) < 1e-13


def test_a_derivative_of_zero(draw):
    net = network("relu")
    net.b[1][0] = -100.0
    axes = draw(net, X, Y, 1, 1, 1)
    assert axes.get_ylabel() == "error (the derivative is 0)"
    ticks = {
        t.get_text(): y for t, y in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
    }
    assert set(axes.lines[1].get_ydata()) <= {ticks["0"]}  # zeros are shown as such


def test_float32_networks_and_scaled_ones(draw):
    net = network("tanh", dtype="float32")
    net.scaling = cr.Scaling.fit(X, Y)
    line = _line(net, X, Y, 1, 2, 3, "mse")
    g = net.copy(dtype="float64").gradient(X, Y)
    assert line.derivative == g.dW[1][1, 2]
    assert _errors(line)[0].min() < 1e-8
    assert len(draw(net, X, Y, 1, 2, 3).lines) == 4


def test_relative_errors():
    assert _error(1.5, 1.0) == 0.5
    assert _error(-0.25, 0.0) == 0.25


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"net": 3}, TypeError, "net must be a Network, got 3"),
        ({"l": 0}, ValueError, "l must be at least 1, got 0"),
        ({"l": 3}, ValueError, "l must be at most 2, got 3"),
        ({"j": 5}, ValueError, "j must be at most 4, got 5"),
        ({"k": 4}, ValueError, "k must be at most 3, got 4"),
        ({"k": 1.0}, TypeError, "k must be a whole number"),
        ({"X": X[:, :2]}, ValueError, "X has 2 features"),
        ({"Y": Y[:3]}, ValueError, "Y has 3 rows"),
        ({"X": X * np.nan}, ValueError, "X must be finite"),
        ({"Y": Y * 1e200}, cr.DivergedError, "the cost is not finite"),
        ({"loss": "hinge"}, ValueError, "loss must be one of mse"),
        ({"path": ["v.png"]}, TypeError, "path must be the name of a file"),
    ],
)
def test_refusals(change, error, words):
    arguments = {"net": network("tanh"), "X": X, "Y": Y, "l": 1, "j": 1, "k": 1} | change
    with pytest.raises(error, match=words):
        plot.v_curve(**arguments)


def test_large_networks_need_fewer_rows():
    net = cr.Network([cr.Dense(1000, "tanh"), cr.Dense(1000), cr.Dense(1)], n_inputs=1000)
    rows = np.ones((2000, 1000))
    with pytest.raises(ValueError, match=r"X has 2000 rows: .* give at most 998 rows"):
        plot.v_curve(net, rows, np.ones(2000), 1, 1, 1)
