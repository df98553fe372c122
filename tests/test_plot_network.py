"""The graph of a network and the heat map of a weight matrix: edges, labels, dead units, sizes."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import plot
from chainrule.plot.graphs import dead_units
from chainrule.plot.matrices import _blocks

pytest.importorskip("matplotlib")

FILE = Path(__file__).parent / "data" / "lecture_cases.json"
CASES = {c["id"]: c for c in json.loads(FILE.read_text())["networks"]}


def build(case):
    layers = [cr.Dense(n, a) for n, a in zip(case["sizes"][1:], case["activations"], strict=True)]
    net = cr.Network(layers, n_inputs=case["sizes"][0], dtype="float64")
    for l in range(1, net.L + 1):
        net.W[l], net.b[l] = case["W"][l - 1], case["b"][l - 1]
    return net, np.array(case["X"]), np.array(case["Y"])


@pytest.fixture
def draw(tmp_path):
    def function(net, X=None, Y=None, **options):
        return plot.network(net, X, Y, tmp_path / "network.png", **options).axes[0]

    return function


def edges(axes):
    (lines,) = [c for c in axes.collections if c.get_gid() == "edges"]
    return lines


def texts(axes):
    return [t.get_text().replace("\N{MINUS SIGN}", "-") for t in axes.texts]


def units(axes):
    return {p.get_gid(): p for p in axes.patches if (p.get_gid() or "").startswith("unit")}


def crosses(axes):
    return {line.get_gid() for line in axes.lines if (line.get_gid() or "").startswith("dead")}


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("colour", ["value", "derivative"])
def test_lecture_cases(draw, name, colour):
    net, X, Y = build(CASES[name])
    axes = draw(net, X, Y, colour=colour)
    n = net.n
    if max(n) <= 8:
        assert len(edges(axes).get_segments()) == sum(n[l] * n[l - 1] for l in range(1, len(n)))
        assert len(units(axes)) == sum(n)
    dead = {tuple(unit) for unit in CASES[name]["dead_units"]}
    assert crosses(axes) == {f"dead {l},{j}" for l, j in dead}
    assert dead_units(net, net.trace(X, Y)) == dead


def test_edges_go_from_k_to_j_and_say_the_weight(draw):
    net, _, _ = build(CASES["N02_index_encoding_weights"])
    axes = draw(net)
    labels = [t for t in texts(axes) if "=" in t and "w" in t]
    assert len(labels) == 6
    assert "$w^{1}_{2,3}$ = 2.375" in labels  # the edge 3 -> 2
    assert "$w^{1}_{1,2}$ = 1.25" in labels
    placed = {t.get_text(): np.array(t.get_position()) for t in axes.texts}
    unit = {g: np.array(p.center) for g, p in units(axes).items()}
    for j in (1, 2):
        for k in (1, 2, 3):
            tail, tip = unit[f"unit 0,{k}"], unit[f"unit 1,{j}"]
            assert any(
                np.array_equal(segment, [tail, tip]) for segment in edges(axes).get_segments()
            )
            at = placed[f"$w^{{1}}_{{{j},{k}}}$ = {j + k / 8:g}"] - tail
            along = (tip - tail) / np.hypot(*(tip - tail))
            assert abs(at[0] * along[1] - at[1] * along[0]) < 1e-12  # the label is on its edge
            assert 0 < at @ along < np.hypot(*(tip - tail))


def test_labels_of_a_3_4_2_network_stay_apart(draw):
    net = cr.Network([cr.Dense(4, "tanh"), cr.Dense(2)], n_inputs=3, seed=1)
    axes = draw(net)
    labels = [t for t in axes.texts if t.get_text().startswith("$w^")]
    assert len(labels) == 20
    middles = np.array([t.get_position() for t in labels])
    distance = np.hypot(*(middles[:, None] - middles).transpose(2, 0, 1)) + 9 * np.eye(20)
    assert distance.min() > 0.2  # a label is 0.15 high where units are 1 apart


def test_colour_width_and_style_follow_the_number(draw):
    net = cr.Network([cr.Dense(2)], n_inputs=2, dtype="float64")
    net.W[1], net.b[1] = [[2.0, -2.0], [0.5, 0.0]], [0.0, -1.0]
    lines = edges(draw(net))
    width, colour = lines.get_linewidths(), lines.get_colors()
    assert width[0] == width[1] > width[2] > width[3]
    blue, orange, pale = colour[0], colour[1], colour[2]
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]
    assert pale[:3].sum() > blue[:3].sum()
    dashes = [style[1] for style in lines.get_linestyle()]
    assert dashes[1] is not None  # negative: told apart in grey too
    assert [dashes[i] for i in (0, 2, 3)] == [None] * 3


def test_derivatives_on_the_edges(draw):
    net, X, Y = build(CASES["N05_xor_2_2_1"])
    axes = draw(net, X, Y, colour="derivative")
    g = net.gradient(X, Y)
    labels = texts(axes)
    for l, j, k in ((1, 1, 2), (1, 2, 1), (2, 1, 2)):
        value = plot.canvas.number(g.dW[l][j - 1, k - 1]).replace("\N{MINUS SIGN}", "-")
        assert f"$w^{{{l}}}_{{{j},{k}}}$ : {value}" in labels
    assert "derivatives" in axes.get_title()
    doubled = draw(net, X, Y, colour="derivative", loss=cr.MSE("half_mean"))
    assert texts(doubled) != labels


def test_dead_units_without_targets(draw):
    net = cr.Network([cr.Dense(3, "relu"), cr.Dense(2, "leaky_relu")], n_inputs=2)
    net.b[1][1], net.b[2][0] = -100.0, -100.0
    X = [[1.0, 2.0], [-1.0, 0.5]]
    assert crosses(draw(net, X)) == {"dead 1,2"}  # a leaky unit never is
    assert crosses(draw(net)) == set()
    assert crosses(draw(net, [[0.0, 0.0]])) == {"dead 1,1", "dead 1,2", "dead 1,3"}  # z = 0
    assert "no unit dead" not in draw(net, X).get_title()
    one = draw(net, [1.0, 2.0])
    assert crosses(one) == crosses(draw(net, [[1.0, 2.0]])) >= {"dead 1,2"}
    assert crosses(draw(net, [1.0, 2.0], [0.0, 1.0], colour="derivative")) == crosses(one)
    net.b[1][1] = 100.0
    net.W[1] = [[1, 1], [1, 1], [1, 1]]
    assert "no unit dead" in draw(net, X).get_title()


def test_wide_layers_and_deep_networks_are_shortened(draw):
    axes = draw(cr.Network([cr.Dense(50, "relu"), cr.Dense(10)], n_inputs=784))
    found = set(units(axes))
    assert {"unit 0,1", "unit 0,6", "unit 0,784", "unit 1,50", "unit 2,10"} <= found
    assert "unit 0,7" not in found
    assert len(edges(axes).get_segments()) == 2 * 7 * 7
    assert texts(axes).count("⋮") == 3
    assert "39 700 weights in all" in axes.get_title()
    assert any("$n_0$ = 784" in text for text in texts(axes))
    deep = draw(cr.Network([cr.Dense(2, "tanh")] * 40, n_inputs=2))
    assert "…" in texts(deep)
    assert {gid.split(",")[0] for gid in units(deep)} == {f"unit {l}" for l in (*range(7), 40)}


@pytest.mark.parametrize("widths", [(1000, 1000, 10), (1,) * 300, (1_000_000,)])
def test_large_networks_are_drawn_quickly(draw, tmp_path, widths):
    net = cr.Network([cr.Dense(n, "relu") for n in widths], n_inputs=1000 if len(widths) > 1 else 1)
    X = np.ones((4, net.n[0]))
    start = time.process_time()
    draw(net, X, np.ones((4, net.n[-1])), colour="derivative")
    plot.weights(net, 1, path=tmp_path / "weights.png")
    assert time.process_time() - start < 10


def heat_map(net, l, tmp_path, **options):
    figure = plot.weights(net, l, path=tmp_path / "weights.png", **options)
    return figure.axes[0]


def test_heat_map_of_a_small_matrix(tmp_path):
    net, _, _ = build(CASES["N02_index_encoding_weights"])
    axes = heat_map(net, 1, tmp_path)
    np.testing.assert_array_equal(axes.images[0].get_array(), net.W[1])
    assert list(axes.images[0].get_extent()) == [
        0.5,
        3.5,
        2.5,
        0.5,
    ]  # row 1 on top, numbered from 1
    numbers = {t.get_position(): t.get_text() for t in axes.texts}
    assert numbers[3, 2] == "2.375"  # column 3, row 2
    assert len(numbers) == 6
    assert "from input $k$" in axes.get_xlabel()
    assert "to unit $j$ of layer 1" in axes.get_ylabel()
    assert list(axes.get_xticks()) == [1, 2, 3]
    low, high = axes.images[0].get_clim()
    assert (low, high) == (-2.375, 2.375)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1e-12])
@pytest.mark.parametrize("shape", [(1, 1), (8, 6), (12, 12), (1, 12), (12, 1)])
def test_numbers_stay_in_their_cells(tmp_path, shape, scale):
    net = cr.Network([cr.Dense(shape[0])], n_inputs=shape[1], seed=2)
    net.W[1][...] *= scale
    axes = heat_map(net, 1, tmp_path)
    axes.figure.draw_without_rendering()
    renderer = axes.figure.canvas.get_renderer()
    cell = axes.bbox.width / shape[1], axes.bbox.height / shape[0]
    for text in axes.texts:
        box = text.get_window_extent(renderer)
        assert box.width < cell[0], text
        assert box.height < cell[1], text


def test_heat_map_of_derivatives(tmp_path):
    net, X, Y = build(CASES["N05_xor_2_2_1"])
    axes = heat_map(net, 2, tmp_path, X=X, Y=Y, colour="derivative")
    np.testing.assert_array_equal(axes.images[0].get_array(), net.gradient(X, Y).dW[2])
    assert r"\partial C/\partial W^{2}" in axes.get_title()


def test_heat_map_marks_negative_entries(tmp_path):
    net = cr.Network([cr.Dense(20)], n_inputs=30)
    axes = heat_map(net, 1, tmp_path)
    (dashes,) = axes.lines
    found = {(int(j) - 1, int(k) - 1) for k, j in dashes.get_xydata()}
    assert found == set(map(tuple, np.argwhere(net.W[1] < 0).tolist()))


def test_blocks_keep_the_largest_entries():
    W = np.zeros((1201, 7))
    W[600, 3], W[1200, 6], W[1199, 6] = -5.0, 2.0, 1.0
    cells = _blocks(W)
    assert cells.shape == (401, 7)
    assert cells[200, 3] == -5
    assert cells[400, 6] == 2
    assert np.count_nonzero(cells) == 3


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"net": "net"}, TypeError, "net must be a Network, got 'net'"),
        ({"colour": "red"}, ValueError, "colour must be one of value, derivative; got 'red'"),
        ({"colour": "derivative", "Y": None}, ValueError, "needs X and Y, Y not given"),
        ({"colour": "derivative", "X": None, "Y": None}, ValueError, "X and Y not given"),
        ({"X": None}, ValueError, "Y was given without X"),
        ({"X": [[1.0, np.nan]]}, ValueError, "X must be finite"),
        ({"X": [[1.0, 2.0, 3.0]]}, ValueError, "X has 3 features"),
        ({"X": 3.0, "Y": None}, ValueError, r"X: expected 2-D, got shape \(\)"),
        ({"loss": "hinge"}, ValueError, "loss must be one of mse"),
        ({"path": 3}, TypeError, "path must be the name of a file"),
    ],
)
def test_refusals(change, error, words):
    net = cr.Network([cr.Dense(2), cr.Dense(1)], n_inputs=2)
    arguments = {"net": net, "X": [[1.0, 2.0]], "Y": [[1.0]]} | change
    with pytest.raises(error, match=words):
        plot.network(**arguments)
    with pytest.raises(error, match=words):
        plot.weights(l=1, **arguments)


def test_numbers_that_are_not_finite_are_named():
    net = cr.Network([cr.Dense(3), cr.Dense(1)], n_inputs=2)
    net.W[1][2, 0] = np.inf
    for function in (plot.network, lambda net: plot.weights(net, 1)):
        with pytest.raises(ValueError, match=r"w\^1_3,1 is inf: only finite numbers"):
            function(net)
    net.W[1][2, 0], net.b[1][1] = 0.0, np.nan
    with pytest.raises(ValueError, match=r"b\^1_2 is nan"):
        plot.network(net)


@pytest.mark.parametrize(("l", "error"), [(0, ValueError), (3, ValueError), (1.0, TypeError)])
def test_layers_of_the_heat_map(l, error):
    with pytest.raises(error, match=r"^l must be"):
        plot.weights(cr.Network([cr.Dense(3), cr.Dense(1)], n_inputs=2), l)
