"""The picture of a gradient check: what its points, lines and words say is what was found."""

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule import plot

pytest.importorskip("matplotlib")
network_check = importlib.import_module("chainrule.gradcheck.network_check")

X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.random.default_rng(1).normal(size=(12, 2))


def network(name="tanh", dtype="float64"):
    return cr.Network([cr.Dense(4, name), cr.Dense(2)], n_inputs=3, dtype=dtype, seed=3)


@pytest.fixture
def mistake(monkeypatch):
    """Break the gradient that the check sees: row[p] = change(row[p])."""

    def plant(p, change):
        right = network_check.compare

        def wrong(*args):
            found = right(*args)
            found.got[p] = change(found.got[p])
            return found

        monkeypatch.setattr(network_check, "compare", wrong)

    return plant


def drawn(report, path):
    figure = report.plot(path)
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    bars = {bars.get_label(): bars for bars in axes.collections}
    figure.canvas.draw()
    return figure, axes, lines, bars


def test_every_derivative_is_a_point_in_its_block(tmp_path):
    report = cr.gradcheck(network(), X, Y)
    _, axes, lines, _ = drawn(report, tmp_path / "check.png")
    x, y = lines["a derivative against its difference"].get_data()
    assert len(x) == report.n_parameters
    for i, block in enumerate(report.blocks):
        np.testing.assert_array_equal(y[(i < x) & (x < i + 1)], report.errors[block.name].ravel())
    assert "the same in a block with a mistake" not in lines
    assert set(lines["allowed against differences: 1e\N{MINUS SIGN}6"].get_ydata()) == {1e-6}
    assert axes.get_ylim()[0] < min(y)
    assert axes.get_ylim()[1] > 1e-6
    assert [t.get_text() for t in axes.get_xticklabels()] == [
        f"${kind}^{{{l}}}$" for l in (1, 2) for kind in "Wb"
    ]
    assert axes.get_title(loc="left") == "Gradient check PASSED: 26 derivatives against differences"
    assert (tmp_path / "check.png").stat().st_size > 10_000


def test_the_worst_place_has_a_ring_and_a_name(tmp_path):
    report = cr.gradcheck(network(), X, Y)
    _, _, lines, _ = drawn(report, tmp_path / "check.png")
    points = lines["a derivative against its difference"].get_xydata()
    (ring,) = [line for label, line in lines.items() if label.startswith("worst")]
    assert ring.get_xydata()[0].tolist() == points[np.argmax(points[:, 1])].tolist()
    assert ring.get_ydata()[0] == report.max_error
    worst = report.worst
    assert f"^{{{worst.layer}}}_{{{worst.j}" in ring.get_label()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_lines_are_the_exact_oracles(tmp_path, dtype):
    report = cr.gradcheck(network(dtype=dtype), X, Y)
    figure, _, _, bars = drawn(report, tmp_path / "check.png")
    fields = {
        "worst against the reference": "reference_error",
        "worst against the complex step": "complex_error",
        "worst in float32 against the reference": "float32_error",
    }
    assert len(bars) == (3 if dtype == "float32" else 2)
    for label, line in bars.items():
        errors = [getattr(block, fields[label]) for block in report.blocks]
        heights = [segment[0, 1] for segment in line.get_segments()]
        for i, (error, height, segment) in enumerate(
            zip(errors, heights, line.get_segments(), strict=True)
        ):
            assert error in (height, 0)
            assert i < segment[0, 0] < segment[1, 0] < i + 1
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert set(bars) <= texts


def test_a_mistake_is_orange_above_the_line_and_in_the_title(tmp_path, mistake):
    mistake(14, lambda g: 2 * g)  # b^1_3
    report = cr.gradcheck(network(), X, Y)
    assert str(report.worst) == "dC/db^1_3"
    _, axes, lines, _ = drawn(report, tmp_path / "check.png")
    x, y = lines["the same in a block with a mistake"].get_data()
    assert ((x > 1) & (x < 2)).all()
    assert (y > 1e-6).tolist() == [False, False, True, False]
    assert lines["the same in a block with a mistake"].get_color() == plot.canvas.ORANGE
    assert len(lines["a derivative against its difference"].get_xdata()) == 22
    assert axes.get_title(loc="left").startswith(r"Gradient check FAILED at $\partial C/\partial b")
    assert r"b^{1}_{3}" in axes.get_title(loc="left")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_errors_that_are_not_finite_are_at_the_top(tmp_path, mistake, value):
    mistake(4, lambda _: value)
    report = cr.gradcheck(network(), X, Y)
    _, axes, lines, _ = drawn(report, tmp_path / "check.png")
    y = lines["the same in a block with a mistake"].get_ydata()
    assert len(y) == 12
    assert y[4] == axes.get_ylim()[1] == max(y)
    assert axes.get_yticklabels()[-1].get_text() == "not finite"


def test_kinks_are_counted_below_their_block(tmp_path):
    net = cr.Network([cr.Dense(2, "relu"), cr.Dense(1)], 2, dtype="float64")
    net.W[1], net.b[1] = [[1.0, -0.5], [0.25, 1.0]], [-0.5, 0.125]
    net.W[2], net.b[2] = [[1.5, -2.0]], [0.25]
    report = cr.gradcheck(net, [[1.0, 1.0], [2.0, 0.5]], [[1.0], [3.0]])
    assert report.kinks == 3
    _, axes, lines, _ = drawn(report, tmp_path / "check.png")
    names = [t.get_text() for t in axes.get_xticklabels()]
    assert names == ["$W^{1}$\n2 kinks", "$b^{1}$\n1 kink", "$W^{2}$", "$b^{2}$"]
    assert len(lines["a derivative against its difference"].get_xdata()) == 6


def test_names_of_foreign_blocks(tmp_path):
    report = cr.gradcheck(network(), X, Y)
    names = ["embedding.layers.0.weight", "fc1.bias", "head.weight", "head.bias"]
    foreign = replace(
        report,
        blocks=tuple(
            replace(block, name=name, layer=None, kind="", reference_error=None, complex_error=None)
            for block, name in zip(report.blocks, names, strict=True)
        ),
        errors=dict(zip(names, report.errors.values(), strict=True)),
        worst=replace(report.worst, name="head.weight", index=(1, 2), layer=None, kind=""),
    )
    _, axes, lines, bars = drawn(foreign, tmp_path / "check.png")
    labels = [t.get_text() for t in axes.get_xticklabels()]
    assert labels == ["...g.layers.0.weight", *names[1:]]
    assert not bars
    (ring,) = [label for label in lines if label.startswith("worst")]
    assert "dC/d head.weight[1, 2]" in ring


def test_nothing_to_draw(tmp_path):
    net = cr.Network([cr.Dense(2, "relu")], 1, dtype="float64")
    net.b[1] = [-100.0, -100.0]
    report = cr.gradcheck(net, X[:, :1], Y)
    assert not report.passed
    _, axes, _, _ = drawn(report, tmp_path / "check.png")
    assert "FAILED" in axes.get_title(loc="left")


def test_only_reports_are_drawn(tmp_path):
    with pytest.raises(TypeError, match="GradientCheck"):
        plot.errors(3)
    with pytest.raises(TypeError, match="path"):
        cr.gradcheck(network(), X, Y).plot(3)
    report = cr.gradcheck(network(), X, Y)
    report.plot(tmp_path / "check.svg")
    assert b"a gradient check" in (tmp_path / "check.svg").read_bytes()
