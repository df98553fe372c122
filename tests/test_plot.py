"""The cost plot, and what all pictures share: files, refusals, no need of a display."""

import math
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import chainrule as cr
from chainrule import plot

pytest.importorskip("matplotlib")


def history(cost, val_cost=()):
    return SimpleNamespace(cost=list(cost), val_cost=list(val_cost))


@pytest.fixture
def draw(tmp_path):
    """Draw without pyplot, as the command line does, and return the axes."""
    return lambda *costs: plot.cost(history(*costs), tmp_path / "cost.png").axes[0]


def test_curves_and_labels(draw):
    axes = draw([3.0, 2.0, 1.0], [4.0, 3.0, 2.5])
    training, validation = axes.lines
    assert training.get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]]
    assert validation.get_xydata().tolist() == [[1, 4], [2, 3], [3, 2.5]]
    assert axes.get_xlabel() == "epoch"
    assert "cost" in axes.get_ylabel()
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["training: 1 at the end", "validation: 2.5 at the end"]
    assert training.get_color() != validation.get_color()
    assert training.get_linestyle() != validation.get_linestyle()


def test_no_validation(draw):
    assert len(draw([3.0, 2.0]).lines) == 1


@pytest.mark.parametrize(
    ("cost", "val_cost", "scale"),
    [
        ([1.0, 0.11], [], "linear"),
        ([1.0, 0.05], [], "log"),
        ([1.0, 0.2], [0.9, 0.01], "log"),
        ([1.0, 0.0], [], "linear"),
        ([1.0, 0.01, math.nan], [math.inf, 1.0], "log"),
        ([math.nan], [], "linear"),
        ([0.5], [], "linear"),
        ([1e30, 1e-30], [], "log"),
    ],
)
def test_scale_of_the_cost(draw, cost, val_cost, scale):
    axes = draw(cost, val_cost)
    assert axes.get_yscale() == scale
    if scale == "log":
        low, high = axes.get_ylim()
        labels = axes.yaxis.get_majorticklabels()
        shown = [t.get_text() for t in labels if low <= t.get_position()[1] <= high]
        assert len([text for text in shown if text]) >= 2
        assert not any("$" in text for text in shown)


def test_whole_epochs_on_the_axis(draw):
    for epochs in (1, 2, 5, 60):
        axes = draw([1.0] * epochs)
        assert all(tick == int(tick) for tick in axes.get_xticks())


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_file(tmp_path, suffix, start):
    path = tmp_path / f"cost.{suffix}"
    plot.cost(history([3.0, 2.0], [3.0, 2.0]), path)
    content = path.read_bytes()
    assert content.startswith(start)
    assert plot.SIGNATURE.encode() in content


def test_picture_has_both_colours(tmp_path):
    from matplotlib import image  # noqa: PLC0415

    path = tmp_path / "cost.png"
    plot.cost(history([3.0, 2.0, 1.0], [3.5, 3.0, 2.5]), path)
    pixels = (image.imread(path)[:, :, :3] * 255).round().astype(int)
    assert pixels.shape[0] > 500
    assert pixels.shape[1] > 900
    for colour in ("#0b5fa5", "#d9600a"):
        rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
        assert (abs(pixels - rgb).sum(axis=2) < 12).sum() > 200


def test_refusals(tmp_path):
    with pytest.raises(TypeError, match="history must be a History, got NoneType"):
        plot.cost(None)
    with pytest.raises(TypeError, match="path must be the name of a file or None, got list"):
        plot.cost(history([1.0]), [1.0])
    with pytest.raises(ValueError, match="0 epochs"):
        plot.cost(history([]))
    with pytest.raises(ValueError, match="xyz"):
        plot.cost(history([1.0]), tmp_path / "cost.xyz")


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "chainrule\[plot\]"'):
        plot.cost(history([1.0]))


def test_history_plot_without_display():
    """`h.plot()` gives a figure that can be saved, whatever backend is asked for."""
    program = """
import io
import chainrule as cr
net = cr.Network([cr.Dense(1)], n_inputs=1)
h = net.fit([[0.0], [1.0]], [[0.0], [1.0]], epochs=3)
figure = h.plot()
target = io.BytesIO()
figure.savefig(target)
assert target.getvalue().startswith(b"\\x89PNG")
assert len(figure.axes[0].lines[0].get_xdata()) == 3
"""
    for backend in ("", "TkAgg"):
        environment = {k: v for k, v in os.environ.items() if k not in {"DISPLAY", "MPLBACKEND"}}
        environment.pop("WAYLAND_DISPLAY", None)
        if backend:
            environment["MPLBACKEND"] = backend
        subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_importing_the_package_does_not_import_matplotlib():
    program = """
import sys
import chainrule as cr
cr.plot.network, cr.plot.plane, cr.plot.magnitudes, cr.plot.v_curve, cr.plot.weights, cr.plot.cost
assert "matplotlib" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_picture_in_a_file_opens_no_window(tmp_path):
    program = f"""
import sys
from types import SimpleNamespace
from chainrule import plot
plot.cost(SimpleNamespace(cost=[1.0], val_cost=[]), {str(tmp_path / "cost.png")!r})
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_real_history(tmp_path):
    net = cr.Network([cr.Dense(4, "tanh"), cr.Dense(1)], n_inputs=1)
    X = [[k / 10] for k in range(10)]
    h = net.fit(X, X, epochs=5, validation_data=(X, X))
    axes = plot.cost(h, tmp_path / "cost.png").axes[0]
    assert axes.lines[0].get_ydata().tolist() == h.cost
    assert axes.lines[1].get_ydata().tolist() == h.val_cost


PICTURES = {
    "cost": lambda net, X, Y, path: plot.cost(history([2.0, 1.0]), path),
    "plane": lambda net, X, Y, path: plot.plane(
        cr.Network([cr.Dense(1, "tanh")], n_inputs=2), X, Y, path
    ),
    "network": plot.network,
    "weights": lambda net, X, Y, path: plot.weights(net, 1, X, Y, path),
    "magnitudes": lambda net, X, Y, path: plot.magnitudes(net.trace(X, Y), path),
    "v_curve": lambda net, X, Y, path: plot.v_curve(net, X, Y, 1, 2, 1, path),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_returns_a_figure_and_is_saved(tmp_path, unchanged, name):
    from matplotlib.figure import Figure  # noqa: PLC0415

    net = cr.Network([cr.Dense(3, "sigmoid"), cr.Dense(1)], n_inputs=2, dtype="float64")
    X, Y = [[1.0, 2.0], [0.5, -1.0], [0.0, 1.0]], [1.0, 0.0, 2.0]
    signatures = set()
    for suffix in ("png", "svg", "pdf"):
        path = tmp_path / f"{name}.{suffix}"
        with unchanged(net):
            figure = PICTURES[name](net, X, Y, path)
        assert isinstance(figure, Figure)
        assert figure.axes[0].get_title()
        content = path.read_bytes()
        assert b"chainrule: " in content
        signatures.add(plot.SIGNATURE.encode() in content)
    assert signatures == {name == "cost"}  # the command line tells its own pictures by that


@pytest.mark.parametrize("name", PICTURES)
def test_texts_of_a_picture_do_not_overlap(tmp_path, name):
    net = cr.Network([cr.Dense(3, "sigmoid"), cr.Dense(1)], n_inputs=2, dtype="float64")
    X, Y = [[1.0, 2.0], [0.5, -1.0], [0.0, 1.0]], [1.0, 0.0, 2.0]
    figure = PICTURES[name](net, X, Y, tmp_path / "picture.png")
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    inside = figure.bbox.padded(2)
    boxes = []
    for axes in figure.axes:
        texts = [axes.title, axes.xaxis.label, axes.yaxis.label]
        texts += [t for t in axes.texts if t.get_rotation() == 0]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            texts += [t for at, t in ticks if low <= at <= high and axes.axison]
        boxes += [
            (t.get_text(), t.get_window_extent(renderer))
            for t in texts
            if t.get_text() and t.get_visible() and (axes.axison or t not in texts[1:3])
        ]
    for i, (text, box) in enumerate(boxes):
        assert inside.x0 <= box.x0 <= box.x1 <= inside.x1, text
        assert inside.y0 <= box.y0 <= box.y1 <= inside.y1, text
        for other, other_box in boxes[:i]:
            assert not box.padded(-1).overlaps(other_box.padded(-1)), (text, other)


def test_numbers_on_pictures():
    number = plot.canvas.number
    minus = "\N{MINUS SIGN}"
    assert [number(v) for v in (0.0, -0.0, 2.375, -1.5, 1e-9, 123456.0)] == [
        "0", "0", "2.375", f"{minus}1.5", f"1e{minus}9", "1.235e5",
    ]  # fmt: skip
    assert number(-1.28125, 6) == f"{minus}1.28125"
