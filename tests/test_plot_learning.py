"""Learning curves: panels, best epoch, several histories, and what is refused."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import plot

pytest.importorskip("matplotlib")


def history(cost, val_cost=(), **metrics):
    return SimpleNamespace(cost=list(cost), val_cost=list(val_cost), metrics=metrics)


def lines(axes, ring=False):
    """Points of the curves of a panel, or of its rings."""
    return [line.get_xydata().tolist() for line in axes.lines if (line.get_gid() == "best") == ring]


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.fixture
def draw(tmp_path):
    return lambda h: plot.learning_curves(h, tmp_path / "curves.png").axes


def test_costs_metrics_and_the_best_epoch(draw):
    h = history([3, 2, 1], [3, 1.5, 2], rmse=[2.0, 1.0, 1.5], r2=[0.1, 0.8, 0.7])
    cost, rmse, r2 = draw(h)
    assert lines(cost) == [[[1, 3], [2, 2], [3, 1]], [[1, 3], [2, 1.5], [3, 2]]]
    assert [line.get_linestyle() for line in cost.lines[:2]] == ["-", "--"]
    assert lines(cost, ring=True) == [[[2, 1.5]]]
    assert legend(cost)[-1] == "best epoch, 2: 1.5"
    for axes, values in ((rmse, [2, 1, 1.5]), (r2, [0.1, 0.8, 0.7])):
        assert lines(axes) == [[[1, values[0]], [2, values[1]], [3, values[2]]]]
        assert lines(axes, ring=True) == [[[2, values[1]]]]
        assert axes.lines[0].get_linestyle() == "--"
        assert legend(axes)[0] == f"validation: {values[2]:g} at the end"
    assert [axes.get_title() for axes in (cost, rmse, r2)] == [
        "Cost over the epochs", "rmse", "r2",
    ]  # fmt: skip
    assert all(axes.get_xlabel() == "epoch" for axes in (cost, rmse, r2))


def test_without_validation_all_is_training(draw):
    cost, rmse = draw(history([3, 1, 2], rmse=[3, 1, 2]))
    assert lines(cost, ring=True) == [[[2, 1]]]
    assert legend(rmse)[0] == "training: 2 at the end"
    assert rmse.lines[0].get_linestyle() == "-"
    assert rmse.lines[0].get_color() == cost.lines[0].get_color()


def test_the_best_epoch_is_that_of_the_history():
    h = cr.History(cost=[3.0, 1.0, 2.0], val_cost=[5.0, 4.0, 3.0])
    axes = h.plot().axes[0]
    assert lines(axes, ring=True) == [[[h.best_epoch, 3.0]]]
    spoilt = history([1, 2, 3], [math.nan, 2, math.inf])
    assert plot.learning.best_epoch(spoilt) == 2
    assert plot.learning.best_epoch(history([math.nan])) is None


@pytest.mark.parametrize(
    ("name", "values", "scale"),
    [
        ("rmse", [100, 50, 2], "log"),
        ("rmse", [100, 50, 20], "linear"),
        ("accuracy", [0.05, 0.5, 0.98], "linear"),
        ("rmse", [100, 2, 0], "linear"),
    ],
)
def test_scale_of_a_metric(draw, name, values, scale):
    axes = draw(history([3, 2, 1], **{name: values}))[1]
    assert axes.get_yscale() == scale
    if values[-1] == 20:
        assert axes.get_ylim()[0] > 10  # what falls a little is not flattened by a 0 below


def test_r2_far_below_zero_does_not_flatten_the_rest(draw):
    axes = draw(history([3, 2, 1], r2=[-500, 0.5, 0.9]))[1]
    assert axes.get_ylim() == (-1, 1)
    assert "not shown" in axes.texts[0].get_text()
    assert draw(history([3, 2, 1], r2=[-500, -50, -3]))[1].get_ylim()[0] < -500
    assert not draw(history([3, 2, 1], r2=[-0.5, 0.5, 0.9]))[1].texts


def test_a_metric_that_is_nowhere_defined_says_so(draw):
    axes = draw(history([3, 2], auc=[math.nan, math.nan]))[1]
    assert axes.texts[0].get_text() == "not defined in any epoch"
    assert legend(axes) == ["training: not defined at the end"]


@pytest.mark.parametrize("count", range(9))
def test_no_panel_is_empty_and_none_lies_on_another(tmp_path, count):
    h = history([2, 1], **{f"metric {k}": [1, 2] for k in range(count)})
    figure = plot.learning_curves(h, tmp_path / "curves.png")
    assert len(figure.axes) == 1 + count
    assert all(axes.lines for axes in figure.axes)
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
    wide = figure.axes[0].bbox.width > 0.7 * figure.bbox.width
    assert wide == (count % 2 == 0)
    # all of the height is used: nothing below the last panel but its label
    assert min(box.y0 for box in boxes) < 0.06 * figure.bbox.height


def test_several_histories_by_name(tmp_path):
    first = history([3, 2], [3, 2.5], rmse=[2, 1])
    second = history([5, 4, 3], rmse=[4, 3, 2], r2=[0.1, 0.2, 0.3])
    figure = plot.learning_curves({"SGD": first, "$Adam_{": second}, tmp_path / "curves.png")
    cost, rmse, r2 = figure.axes
    assert lines(cost) == [[[1, 3], [2, 2]], [[1, 3], [2, 2.5]], [[1, 5], [2, 4], [3, 3]]]
    assert lines(cost, ring=True) == [[[2, 2.5]], [[3, 3]]]
    assert lines(rmse) == [[[1, 2], [2, 1]], [[1, 4], [2, 3], [3, 2]]]
    assert lines(r2) == [[[1, 0.1], [2, 0.2], [3, 0.3]]]
    assert [line.get_linestyle() for line in rmse.lines if line.get_gid() is None] == ["--", "-"]
    a, b, c = (line for line in cost.lines if line.get_gid() is None)
    assert a.get_color() == b.get_color() != c.get_color()
    assert r2.lines[0].get_color() == c.get_color()
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert keys == ["SGD", r"\$Adam_{", "training", "validation", "best epoch"]


@pytest.mark.parametrize("count", [2, 14, 50])
def test_the_legend_of_many_stays_inside(tmp_path, count):
    runs = {f"a run with a long name, number {k} of many": history([2, 1]) for k in range(count)}
    figure = plot.learning_curves(runs, tmp_path / "curves.png")
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert box.y0 >= 0
    assert box.y1 <= min(axes.get_tightbbox().y0 for axes in figure.axes)
    assert all(axes.bbox.height > 100 for axes in figure.axes)
    colours = {str(line.get_color()) for line in figure.axes[0].lines if line.get_gid() is None}
    assert len(colours) == count


def test_a_real_history_with_early_stopping(tmp_path):
    g = np.random.default_rng(0)
    X = g.normal(size=(40, 3))
    net = cr.Network([cr.Dense(8, "tanh"), cr.Dense(1)], n_inputs=3, seed=0)
    h = net.fit(X, X[:, :1] + g.normal(size=(40, 1)), epochs=50, validation_split=0.3,
                optimizer=cr.Adam(0.05), early_stopping=cr.EarlyStopping(5))  # fmt: skip
    axes = plot.learning_curves(h, tmp_path / "curves.svg").axes[0]
    assert lines(axes, ring=True) == [[[h.best_epoch, min(h.val_cost)]]]
    assert plot.SIGNATURE.encode() in (tmp_path / "curves.svg").read_bytes()


def test_names_as_plain_text():
    plain = plot.canvas.plain
    assert plain("a\nb\x00c $x$") == r"a b c \$x\$"
    assert plain("x" * 50, 9) == "xxxx\N{HORIZONTAL ELLIPSIS}xxxx"
    assert plain("beginning and end", 9) == "begi\N{HORIZONTAL ELLIPSIS} end"
    assert plain(3) == "3"


def test_names_that_a_cut_makes_equal_have_their_number():
    names = [f"a long name, number {k}, and an end" for k in range(3)]
    assert plot.canvas.apart(["b", *names], 16) == [
        "b", *(f"{k}: {plot.canvas.plain(names[0], 12)}" for k in (1, 2, 3)),
    ]  # fmt: skip
    assert plot.canvas.apart(names) == names


def test_refusals():
    for given, error, words in (
        (None, TypeError, "history must be a History, or a dict of name to History, got NoneType"),
        ({"a": 3}, TypeError, "history['a'] must be a History, got int"),
        (history([]), ValueError, "history: 0 epochs"),
        ({"a": history([])}, ValueError, "history['a']: 0 epochs"),
        ({}, ValueError, "1 to 50 histories, got 0"),
        (dict.fromkeys(range(51)), ValueError, "1 to 50 histories, got 51"),
    ):
        with pytest.raises(error, match=re.escape(words)):
            plot.learning_curves(given)
