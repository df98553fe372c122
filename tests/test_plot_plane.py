"""The plane of w_1 and w_2: contours, arrows, minimum, the way of descent; wrong arguments."""

from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import plot, reference
from chainrule.plot.bowl import Bowl

pytest.importorskip("matplotlib")

# The lecture's plane: at b = 0 its minimum is (5/72, 13/18), the gradient at (1, -1) is
# (7.125, -1.28125).
X = np.array([[2, 0.5], [2, -0.5], [-2, 0.5], [-1, 0.25]])
Y = np.array([0.5, -0.25, 0.25, 0.0])
G = np.array([7.125, -1.28125])
MINIMUM = np.array([5 / 72, 13 / 18])


def neuron(w=(1.0, -1.0), b=0.0, activation="identity"):
    return SimpleNamespace(w=np.array(w), b=b, activation=activation)


@pytest.fixture
def draw(tmp_path):
    return lambda *args, **options: plot.plane(*args, tmp_path / "plane.png", **options).axes[0]


def arrows(axes):
    """name -> (tail, tip), from the annotations that carry an arrow."""
    found = {}
    for text in axes.texts:
        if getattr(text, "arrow_patch", None) is not None and text.get_gid():
            found[text.get_gid()] = (np.array(text.xyann), np.array(text.xy))
    return found


def legend(axes):
    return "\n".join(t.get_text() for t in axes.get_legend().get_texts()).replace(
        "\N{MINUS SIGN}", "-"
    )


@pytest.fixture
def contour_at_start(monkeypatch):
    """Its level and its vertices, in pieces: the one set of contours that has a single level."""
    from matplotlib.axes import Axes  # noqa: PLC0415

    sets, contour = [], Axes.contour
    monkeypatch.setattr(
        Axes, "contour", lambda *args, **kwargs: sets.append(contour(*args, **kwargs)) or sets[-1]
    )

    def found():
        (one,) = [s for s in sets if len(s.levels) == 1]
        return one.levels[0], [p for p in one.allsegs[0] if len(p)]

    return found


def test_the_lectures_plane(draw):
    axes = draw(neuron(), X, Y)
    text = legend(axes)
    assert "(1, -1)" in text
    assert "(7.125, -1.28125)" in text
    assert "minimum of the plane\n(0.0694444, 0.722222)" in text
    assert "uphill" in text
    assert "steepest descent" in text
    assert axes.get_aspect() == 1.0
    assert "$b$ = 0 fixed" in axes.get_title()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$w_1$", "$w_2$")
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    np.testing.assert_allclose(stars[0].get_xydata()[0], MINIMUM, rtol=1e-12)


def test_arrows_have_the_directions_and_the_ratio_of_the_numbers(draw):
    found = arrows(draw(neuron(), X, Y))
    assert set(found) == {"gradient", "descent", "dC/dw_1", "dC/dw_2"}
    vectors = {name: tip - tail for name, (tail, tip) in found.items()}
    for name in ("gradient", "descent", "dC/dw_1"):
        np.testing.assert_array_equal(found[name][0], [1, -1])
    scale = vectors["gradient"][0] / G[0]
    assert scale > 0
    np.testing.assert_allclose(vectors["gradient"], scale * G, rtol=1e-12)
    np.testing.assert_allclose(vectors["descent"], -scale * G, rtol=1e-12)
    np.testing.assert_allclose(vectors["dC/dw_1"], [scale * G[0], 0], atol=1e-15)
    np.testing.assert_allclose(vectors["dC/dw_2"], [0, scale * G[1]], atol=1e-15)
    np.testing.assert_allclose(found["dC/dw_2"][1], found["gradient"][1])
    to_minimum = MINIMUM - [1, -1]
    cosine = vectors["descent"] @ to_minimum / np.hypot(*vectors["descent"])
    angle = np.degrees(np.arccos(cosine / np.hypot(*to_minimum)))
    assert round(angle, 2) == 51.42  # descent does not point at the minimum


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "softplus"])
def test_the_gradient_is_at_right_angles_to_the_contour(draw, contour_at_start, activation):
    axes = draw(neuron(activation=activation), X, Y)
    tail, tip = arrows(axes)["gradient"]
    level, pieces = contour_at_start()
    a = reference.ACTIVATIONS[activation][0](X @ [1.0, -1.0])
    assert level == pytest.approx(np.mean((a - Y) ** 2), rel=1e-12)
    width = axes.get_xlim()[1] - axes.get_xlim()[0]
    away = np.concatenate(pieces) - tail
    away = away[np.hypot(*away.T) < 0.04 * width]
    assert len(away) > 4
    assert np.hypot(*away.T).min() < 0.01 * width
    along = np.linalg.svd(away - away.mean(axis=0))[2][0]  # the tangent there
    cosine = along @ (tip - tail) / np.hypot(*(tip - tail))
    assert abs(cosine) < 0.03


@pytest.mark.parametrize("activation", sorted(reference.ACTIVATIONS))
@pytest.mark.parametrize("reduction", ["mean", "sum", "half_mean"])
def test_cost_and_gradient_are_those_of_the_core(activation, reduction):
    loss = cr.MSE(reduction)
    net = cr.Network([cr.Dense(1, activation)], n_inputs=2, dtype="float64", seed=5)
    net.b[1] = [0.25]
    bowl = Bowl(0.25, activation, X, Y, loss)
    g = net.gradient(X, Y, loss)
    np.testing.assert_allclose(bowl.cost(net.W[1])[0], g.cost, rtol=1e-13)
    np.testing.assert_allclose(bowl.gradient(net.W[1][0]), g.dW[1][0], rtol=1e-12)


def test_the_grid_is_the_cost_at_its_points():
    bowl = Bowl(0.5, "tanh", X, Y, "mse")
    w1, w2, C = bowl.grid((-1.0, 2.0, 0.0, 0.5))
    assert C.shape == (len(w2), len(w1))
    for i, j in ((0, 0), (3, 50), (100, 7), (-1, -1)):
        a = np.tanh(X @ [w1[j], w2[i]] + 0.5)
        assert C[i, j] == pytest.approx(np.mean((a - Y) ** 2), rel=1e-12)


def test_the_lowest_point_of_a_neuron_that_is_not_linear(draw):
    target = np.tanh(X @ [0.3, -0.4] + 0.1)
    axes = draw(neuron((0.5, -0.5), 0.1, "tanh"), X, target)
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    np.testing.assert_allclose(star.get_xydata()[0], [0.3, -0.4], atol=1e-5)
    assert "lowest point here" in legend(axes)


def test_no_minimum_is_marked_where_there_is_none(draw):
    for data, target, options in (
        (X * [1, 0], Y, {}),  # a valley
        (X, Y, {"window": (2, 3, 2, 3)}),  # elsewhere
    ):
        axes = draw(neuron(), data, target, **options)
        assert not [line for line in axes.lines if line.get_marker() == "*"]
        assert "minimum" not in legend(axes)


def test_a_dead_neuron_is_flat_and_has_no_arrow(draw):
    axes = draw(neuron(b=-100.0, activation="relu"), X, Y)
    assert arrows(axes) == {}
    assert "gradient = (0, 0): no arrow" in legend(axes)
    assert any("flat" in text.get_text() for text in axes.texts)


def test_the_way_of_descent(draw):
    bowl, way = Bowl(0.0, "identity", X, Y, "mse"), [np.array([1.0, -1.0])]
    for _ in range(20):
        way.append(way[-1] - 0.2 * bowl.gradient(way[-1]))
    end = neuron(way[-1])
    for descent in (way, SimpleNamespace(w=np.array(way), b=np.zeros(21))):
        axes = draw(end, X, Y, descent=descent)
        (line,) = [line for line in axes.lines if len(line.get_xdata()) == 21]
        np.testing.assert_array_equal(line.get_xydata(), way)
        np.testing.assert_array_equal(arrows(axes)["descent"][0], [1, -1])  # where it began
        (low1, high1), (low2, high2) = axes.get_xlim(), axes.get_ylim()
        assert all(low1 < w1 < high1 and low2 < w2 < high2 for w1, w2 in way)
        assert "descent, 20 steps" in legend(axes)
        assert "moved" not in legend(axes)
    moving = SimpleNamespace(w=np.array(way), b=np.linspace(0, 1, 21))
    axes = draw(neuron(way[-1], b=1.0), X, Y, descent=moving)
    assert "$b$ = 0 fixed" in axes.get_title()  # as it was where the arrows start
    assert "(7.125, -1.28125)" in legend(axes)
    C = np.mean((X @ way[-1] + 1.0 - Y) ** 2)
    assert f"$b$ moved too, to 1\n$C$ = {C:.4g}" in legend(axes)
    np.testing.assert_array_equal(arrows(draw(end, X, Y, at=(0, 0)))["gradient"][0], [0, 0])


def test_a_network_of_one_unit_is_the_same_picture(draw):
    net = cr.Network([cr.Dense(1)], n_inputs=2, dtype="float32")
    net.W[1], net.b[1] = [[1.0, -1.0]], [0.0]
    one, other = draw(net, X, Y), draw(neuron(), X, Y)
    assert legend(one) == legend(other)
    assert one.get_xlim() == other.get_xlim()


def test_a_network_with_a_scaling_is_drawn_in_its_own_units(draw):
    net = cr.Network([cr.Dense(1)], n_inputs=2, dtype="float64")
    net.scaling = cr.Scaling.fit(X, Y.reshape(-1, 1))
    tail, tip = arrows(draw(net, X, Y))["gradient"]
    g = net.gradient(X, Y).dW[1][0]
    along = (tip - tail) / np.hypot(*(tip - tail))
    np.testing.assert_allclose(along, g / np.hypot(*g), rtol=1e-9)


def test_one_sample_as_a_neuron_takes_it(draw):
    assert "(-8, -16)" in legend(draw(neuron(), [1.0, 2.0], 3.0))


@pytest.mark.parametrize(
    ("args", "options", "error", "words"),
    [
        ((neuron((1, 2, 3)), X, Y), {}, ValueError, r"2 inputs.*got shape \(3,\)"),
        ((neuron(), np.ones((4, 3)), Y), {}, ValueError, "X has 3"),
        ((neuron(), X, Y[:3]), {}, ValueError, "y has 3 rows, but X has 4"),
        ((neuron((np.nan, 1)), X, Y), {}, ValueError, r"neuron\.w must be finite, got nan"),
        ((neuron(), X * np.nan, Y), {}, ValueError, "X must be finite"),
        ((neuron(activation="max"), X, Y), {}, ValueError, r"activation must be one of identity"),
        ((3, X, Y), {}, TypeError, "neuron must be a Neuron"),
        ((neuron(), X * 1e200, Y), {}, ValueError, "scale X and y"),
        ((neuron(), X, Y), {"loss": "hinge"}, ValueError, "loss must be one of mse"),
        ((neuron(), X, Y), {"path": [[1, 2]]}, TypeError, "is the argument descent"),
        ((neuron(), X, Y), {"descent": [[1, 2, 3]]}, ValueError, r"descent must have shape"),
        ((neuron(), X, Y), {"descent": []}, ValueError, r"descent must have shape"),
        ((neuron(), X, Y), {"descent": [[1, np.inf]]}, ValueError, r"descent must be finite"),
        (
            (neuron(), X, Y),
            {"descent": SimpleNamespace(w=np.ones((3, 2)), b=np.ones(2))},
            ValueError,
            r"descent\.b must have shape \(3,\)",
        ),
        ((neuron(), X, Y), {"at": (1, 2, 3)}, ValueError, r"at must have shape \(2,\)"),
        ((neuron(), X, Y), {"window": (1, 0, 0, 1)}, ValueError, "low clearly below its high"),
        ((neuron(), X, Y), {"window": (0, 1)}, ValueError, r"window must have shape \(4,\)"),
        ((neuron(), np.ones((100_001, 2)), np.ones(100_001)), {}, ValueError, r"X\[::2\]"),
    ],
)
def test_refusals(args, options, error, words):
    with pytest.raises(error, match=words):
        plot.plane(*args, **options)


def test_a_network_that_is_not_one_unit():
    deep = cr.Network([cr.Dense(2), cr.Dense(1)], n_inputs=2)
    with pytest.raises(ValueError, match="must be one unit, got a network 2-2-1"):
        plot.plane(deep, X, Y)
    wide = cr.Network([cr.Dense(1)], n_inputs=3)
    with pytest.raises(ValueError, match=r"2 inputs.*got shape \(3,\)"):
        plot.plane(wide, np.ones((4, 3)), Y)
