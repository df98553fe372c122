"""Sizes of delta and dC/dW per layer: norms, the logarithmic axis, zeros, what is not finite."""

from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import plot
from chainrule.plot.layers import norm

pytest.importorskip("matplotlib")


@pytest.fixture
def draw(tmp_path):
    return lambda trace: plot.magnitudes(trace, tmp_path / "magnitudes.png").axes[0]


def data(n_inputs=4):
    X = np.random.default_rng(0).normal(size=(20, n_inputs))
    return X, X[:, :1]


def test_norms_over_the_layers(draw):
    net = cr.Network([cr.Dense(6, "sigmoid")] * 7 + [cr.Dense(1)], n_inputs=4, dtype="float64")
    trace = net.trace(*data())
    axes = draw(trace)
    delta, dW = axes.lines
    np.testing.assert_array_equal(delta.get_xdata(), range(1, 9))
    np.testing.assert_allclose(delta.get_ydata(), [np.linalg.norm(d) for d in trace.delta])
    np.testing.assert_allclose(dW.get_ydata(), [np.linalg.norm(d) for d in trace.dW])
    assert axes.get_yscale() == "log"
    assert delta.get_ydata()[0] < 1e-3 * delta.get_ydata()[-1]  # they vanish backwards
    low, high = axes.get_ylim()
    assert low < min(*delta.get_ydata(), *dW.get_ydata())
    assert high > max(*delta.get_ydata(), *dW.get_ydata())
    assert "layer $l$" in axes.get_xlabel()
    texts = [t.get_text() for t in axes.get_legend().get_texts()]
    assert r"\delta^l" in texts[0]
    assert "in layer 8" in texts[0]
    assert "0" not in [t.get_text() for t in axes.get_yticklabels()]


def test_zeros_have_a_line_of_their_own(draw):
    net = cr.Network([cr.Dense(3, "relu"), cr.Dense(3, "relu"), cr.Dense(1)], n_inputs=4)
    net.b[2][:] = -100.0
    axes = draw(net.trace(*data()))
    ticks = {
        t.get_text(): y for t, y in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
    }
    assert axes.get_ylim()[0] < ticks["0"] < min(y for text, y in ticks.items() if text != "0")
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata().tolist() for line in hollow] == [[1, 2], [1, 2, 3]]
    assert {y for line in hollow for y in line.get_ydata()} == {ticks["0"]}


def test_everything_zero(draw):
    net = cr.Network([cr.Dense(1)], n_inputs=1)
    net.W[1] = [[0.0]]
    axes = draw(net.trace([[1.0]], [[0.0]]))
    assert "0" in [t.get_text() for t in axes.get_yticklabels()]


def test_numbers_that_are_not_finite_are_named(draw):
    net = cr.Network([cr.Dense(3, "tanh"), cr.Dense(2), cr.Dense(1)], n_inputs=4)
    trace = net.trace(*data())
    trace.delta[2][0, 0] = np.inf
    trace.dW[1][0, 0] = np.nan
    axes = draw(trace)
    assert [t.get_text() for t in axes.texts] == ["not finite in layers 1, 2"]
    assert np.isfinite(axes.get_ylim()).all()


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1.0, 1e200])
def test_the_norm_neither_underflows_nor_overflows(scale):
    assert norm(scale * np.array([[3.0, -4.0]])) == pytest.approx(5 * scale, rel=1e-14)
    assert norm(np.zeros((2, 2))) == 0
    assert np.isnan(norm(np.array([1.0, np.nan])))
    assert norm(np.full(3, 5e-324)) == pytest.approx(5e-324)


def test_a_thousand_layers(draw):
    net = cr.Network([cr.Dense(2, "tanh")] * 1000, n_inputs=4)
    axes = draw(net.trace(data()[0], np.ones((20, 2))))
    lines = [line for line in axes.lines if line.get_gid() != "zero"]
    assert len(lines[0].get_xdata()) == 1000


@pytest.mark.parametrize("value", [3, None, SimpleNamespace(delta=1)])
def test_refusals(value):
    with pytest.raises(TypeError, match=r"trace must be a Trace, from net\.trace"):
        plot.magnitudes(value)
