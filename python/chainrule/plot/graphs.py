"""The network as a graph.

Edges are coloured by the weights or by dC/dw; units that are dead on the given samples are marked.
Wide layers and deep networks are shortened with an ellipsis, so any size can be drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..errors import one_of
from ..losses import LossLike
from . import canvas
from .parameters import COLOURS, check_network, finite, symbol, trace_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_UNITS, MOST_LAYERS = 8, 9  # columns and units in a column that are drawn
MOST_LABELS = 24  # edges with a label


def network(
    net: Any,
    X: Any = None,
    Y: Any = None,
    path: canvas.Path | None = None,
    *,
    colour: str = "value",
    loss: LossLike = "mse",
) -> Figure:
    """Draw the units and the weights between them.

    Parameters
    ----------
    net : Network
    X : array_like, shape (m, n_0), or (n_0,) for one sample, optional
        With X, units that are dead on these samples are marked: relu units with z <= 0 for all.
    Y : array_like, shape (m, n_L), or (n_L,), optional
        Needed for the derivatives.
    path : path, optional
        Where to save the picture, as for `cost`.
    colour : {"value", "derivative"}
        What colours the edges and the rings of the units: w^l_j,k and b^l_j, or dC/dw^l_j,k and
        dC/db^l_j. Blue, full lines are positive; orange, dashed lines are negative; the thicker
        the larger.
    loss : {"mse"} or MSE
        The cost of the derivatives.

    Returns
    -------
    matplotlib.figure.Figure
        One edge per weight, n_1 n_0 + ... + n_L n_{L-1}, with its number as long as there are few.
        Layers of more than 8 units and networks of more than 8 layers are shortened.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        An argument is not as above, or a number to be drawn is not finite.

    Examples
    --------
    >>> figure = network(net)                                      # doctest: +SKIP
    >>> figure = network(net, X, Y, colour="derivative")           # doctest: +SKIP
    """
    check_network(net)
    one_of(colour, "colour", COLOURS)
    trace = trace_of(net, X, Y, colour, loss)
    dead = set() if X is None else dead_units(net, trace)
    edges, biases = (trace.dW, trace.db) if colour == "derivative" else (net.W, net.b)
    layout = _Layout(net.n)
    drawn = list(_edges(layout, edges, colour))
    rings = {
        (l, j): finite(biases[l][j - 1], l, j, None, colour) for l, j in layout.units() if l > 0
    }
    largest = max((abs(e.value) for e in drawn), default=0.0)
    beyond = max(map(abs, rings.values())) > largest  # a large bias must not make all edges pale

    figure = canvas.figure(path, layout.size)
    axes: Any = figure.subplots()
    axes.set_aspect("equal")
    axes.set_axis_off()
    norm = canvas.matplotlib("colors").Normalize(-(largest or 1.0), largest or 1.0)
    colours = canvas.signed_colours()
    _draw_edges(axes, layout, drawn, largest, colours, norm)
    if sum(a * b for a, b in zip(net.n[1:], net.n[:-1], strict=True)) <= MOST_LABELS:
        _label_edges(axes, layout, drawn, colour)
    _draw_units(axes, layout, rings, dead, largest, colours, norm)
    _name_layers(axes, layout, net, dead)
    _explain(figure, axes, colours, norm, colour, bool(dead), beyond)
    axes.set_title(_title(net, colour, dead, X is not None, layout))
    return canvas.save(figure, path, "chainrule: the network")


def dead_units(net: Any, trace: Any) -> set[tuple[int, int]]:
    """The relu units (l, j), from 1, with z <= 0 for all samples of the trace."""
    return {
        (l, int(j) + 1)
        for l, layer in enumerate(net.layers, 1)
        if layer.activation == "relu"
        for j in np.flatnonzero((trace.z[l] <= 0).all(axis=0))
    }


def _chosen(first: int, last: int, most: int) -> list[int | None]:
    """first..last, or when they are too many the first ones, None for the rest, and the last."""
    if last - first + 1 <= most:
        return list(range(first, last + 1))
    return [*range(first, first + most - 2), None, last]


class _Layout:
    """Where the units stand: a column per layer, all columns centred."""

    def __init__(self, n: tuple[int, ...]) -> None:
        self.n = n
        self.layers = _chosen(0, len(n) - 1, MOST_LAYERS)
        self.columns = {l: _chosen(1, n[l], MOST_UNITS) for l in self.layers if l is not None}
        self.tallest = max(map(len, self.columns.values()))
        self.gap = 3.6 if len(self.layers) <= 4 else 2.4  # between columns; units are 1 apart
        self.radius = 0.3
        self.top = (self.tallest - 1) / 2 + self.radius + 0.15
        self.right = self.gap * (len(self.layers) - 1)
        inch = min(0.85, 10.0 / (self.right + 2))
        self.foot = -self.top - 0.05
        self.bottom = self.foot - 0.55 / inch  # three lines of text
        width, height = self.right + 1.8, self.top - self.bottom
        self.size = (max(5.0, inch * width + 1.3), inch * height + (0.95 if self.whole else 1.2))

    def x(self, l: int) -> float:
        return self.gap * self.layers.index(l)

    def y(self, l: int, place: int) -> float:
        return (len(self.columns[l]) - 1) / 2 - place

    def at(self, l: int, j: int) -> tuple[float, float]:
        return self.x(l), self.y(l, self.columns[l].index(j))

    def units(self) -> Iterator[tuple[int, int]]:
        for l, column in self.columns.items():
            for j in column:
                if j is not None:
                    yield l, j

    @property
    def whole(self) -> bool:
        """Nothing is left out."""
        return None not in self.layers and all(None not in c for c in self.columns.values())


@dataclass(frozen=True)
class _Edge:
    l: int
    j: int
    k: int
    value: float


def _edges(layout: _Layout, W: Any, colour: str) -> Iterator[_Edge]:
    for l, column in layout.columns.items():
        if l == 0 or l - 1 not in layout.columns:
            continue
        for j in column:
            for k in layout.columns[l - 1]:
                if j is not None and k is not None:
                    yield _Edge(l, j, k, finite(W[l][j - 1, k - 1], l, j, k, colour))


def _width(value: float, largest: float) -> float:
    return 0.6 + 2.6 * min(abs(value) / largest, 1.0) if largest else 0.6


def _draw_edges(
    axes: Any, layout: _Layout, drawn: list[_Edge], largest: float, colours: Any, norm: Any
) -> None:
    """Full lines for positive numbers and 0, dashed ones for negative: told apart in grey too."""
    lines = canvas.matplotlib("collections").LineCollection(
        [[layout.at(e.l - 1, e.k), layout.at(e.l, e.j)] for e in drawn],
        colors=[colours(norm(e.value)) if e.value else "#cccccc" for e in drawn],
        linewidths=[_width(e.value, largest) for e in drawn],
        linestyles=[(0, (4, 1.6)) if e.value < 0 else "solid" for e in drawn],
        zorder=1,
    )
    lines.set_gid("edges")
    axes.add_collection(lines)


def _label_edges(axes: Any, layout: _Layout, drawn: list[_Edge], colour: str) -> None:
    """A label on each edge, where it is farthest from the labels and edges already there."""
    edges = np.array([[layout.at(e.l - 1, e.k), layout.at(e.l, e.j)] for e in drawn])
    tail, along = edges[:, 0], edges[:, 1] - edges[:, 0]
    crossings = tail[:, None] + np.linspace(0, 1, 41)[:, None] * along[:, None]
    taken = np.empty((0, 2))
    for i, e in enumerate(drawn):
        length = float(np.hypot(*along[i]))
        half = 0.52 / length  # of the label, as a share of the edge
        room = (layout.radius + 0.08) / length + half
        where = np.linspace(room, 1 - room, 25) if room < 0.5 else np.array([0.5])
        rest = np.delete(crossings, i, axis=0).reshape(-1, 2)
        best = max(where, key=lambda t: _clearance(tail[i], along[i], t, half, taken, rest))
        spots = tail[i] + (best + np.linspace(-half, half, 7))[:, None] * along[i]
        taken = np.concatenate([taken, spots])
        sign = "=" if colour == "value" else ":"  # the title says that it is the derivative
        name = symbol("value", str(e.l), f"{e.j},{e.k}")
        x, y = tail[i] + best * along[i]
        axes.text(
            x, y, f"{name} {sign} {canvas.number(e.value)}",
            rotation=np.degrees(np.arctan2(along[i][1], along[i][0])),
            rotation_mode="anchor", transform_rotates_text=True, ha="center", va="center",
            fontsize=7.5, color=canvas.BLACK, zorder=4,
            bbox={"boxstyle": "square,pad=0.06", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip


def _clearance(
    tail: Array, along: Array, t: float, half: float, labels: Array, edges: Array
) -> float:
    """How free a label around `t` stands: other labels count more than other edges."""
    spots = tail + (t + np.linspace(-half, half, 7))[:, None] * along

    def nearest(others: Array) -> float:
        if not len(others):
            return 1.0
        return float(np.sqrt(((spots[:, None] - others) ** 2).sum(axis=2)).min())

    return 3 * min(nearest(labels), 0.3) + min(nearest(edges), 0.2) - 0.02 * abs(t - 0.5)


def _draw_units(
    axes: Any,
    layout: _Layout,
    rings: dict[tuple[int, int], float],
    dead: set[tuple[int, int]],
    largest: float,
    colours: Any,
    norm: Any,
) -> None:
    circle = canvas.matplotlib("patches").Circle
    for l, j in layout.units():
        x, y = layout.at(l, j)
        bias = rings.get((l, j), 0.0)
        is_dead = (l, j) in dead
        unit = circle(
            (x, y),
            layout.radius,
            facecolor="#d5d5d5" if is_dead else "white",
            edgecolor=colours(norm(bias)) if bias else canvas.GREY,
            linewidth=max(1.0, _width(bias, largest)),
            linestyle=(0, (3, 1.2)) if bias < 0 else "solid",
            zorder=2,
        )
        unit.set_gid(f"unit {l},{j}")
        axes.add_patch(unit)
        if is_dead:
            r = 0.62 * layout.radius
            for sign in (1, -1):
                axes.plot([x - r, x + r], [y - sign * r, y + sign * r], color=canvas.BLACK,
                          linewidth=1.3, zorder=3, gid=f"dead {l},{j}")  # fmt: skip
        else:
            name = f"$x_{{{j}}}$" if l == 0 else f"$a^{{{l}}}_{{{j}}}$"
            axes.text(x, y, name, ha="center", va="center", fontsize=9, zorder=3)
    for l, column in layout.columns.items():
        if None in column:
            axes.text(layout.x(l), layout.y(l, column.index(None)), "⋮", ha="center",
                      va="center", fontsize=16, color=canvas.GREY)  # fmt: skip
    if None in layout.layers:
        axes.text(layout.gap * layout.layers.index(None), 0, "…", ha="center", va="center",
                  fontsize=20, color=canvas.GREY)  # fmt: skip


def _name_layers(axes: Any, layout: _Layout, net: Any, dead: set[tuple[int, int]]) -> None:
    for l in layout.columns:
        if l == 0:
            text = f"inputs $a^0 = x$\n$n_0$ = {net.n[0]}"
        else:
            text = f"layer {l}, {net.layers[l - 1].activation}\n$n_{{{l}}}$ = {net.n[l]}"
            count = sum(1 for layer, _ in dead if layer == l)
            text += f"\n{count} dead" if count else ""
        axes.text(layout.x(l), layout.foot, text, ha="center", va="top", fontsize=8.5)
    axes.set_xlim(-0.9, layout.right + 0.9)
    axes.set_ylim(layout.bottom, layout.top)


def _explain(
    figure: Any, axes: Any, colours: Any, norm: Any, colour: str, dead: bool, beyond: bool
) -> None:
    """The colour bar, and what lines and crosses mean."""
    bar = figure.colorbar(
        canvas.matplotlib("cm").ScalarMappable(norm=norm, cmap=colours),
        ax=axes, shrink=0.8, pad=0.02, aspect=24, extend="both" if beyond else "neither",
    )  # fmt: skip
    w, b = symbol(colour, "l", "j,k"), symbol(colour, "l", "j").replace("w", "b")
    bar.set_label(f"{w} (edges), {b} (rings)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    line = canvas.matplotlib("lines").Line2D
    marks = [
        line([], [], color=colours(0.95), linewidth=2, label="positive"),
        line([], [], color=colours(0.05), linewidth=2, linestyle=(0, (4, 1.6)), label="negative"),
    ]
    if dead:
        marks.append(
            line([], [], marker="X", linestyle="", color=canvas.BLACK, markersize=7,
                 label="dead: $z \\leq 0$ for every sample")
        )  # fmt: skip
    axes.legend(
        handles=marks,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.02),
        ncols=3,
        frameon=False,
        fontsize=8.5,
    )


def _title(net: Any, colour: str, dead: set[Any], looked: bool, layout: _Layout) -> str:
    what = "weights" if colour == "value" else "derivatives of the cost"
    n = net.n if len(net.n) <= 8 else [*net.n[:4], "…", *net.n[-2:]]
    title = f"Network {'-'.join(map(str, n))}: {what}"
    if looked and not dead and any(layer.activation == "relu" for layer in net.layers):
        title += ", no unit dead"
    if not layout.whole:
        edges = sum(a * b for a, b in zip(net.n[1:], net.n[:-1], strict=True))
        title += f"\n(shortened: {edges:,} weights in all)".replace(",", " ")
    return title
