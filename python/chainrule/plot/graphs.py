"""The network as a graph, and one weight matrix as a heat map beside it.

Edges are coloured by the weights or by dC/dw; units that are dead on the given samples are marked.
Wide layers and deep networks are shortened with an ellipsis, so any size can be drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..errors import one_of, shown, whole_number
from ..losses import Loss
from . import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_UNITS, MOST_LAYERS = 8, 9  # columns and units in a column that are drawn
MOST_LABELS = 24  # edges with a label
MOST_CELLS, MOST_NUMBERS = 500, 12  # rows and columns of a heat map; with numbers in the cells
COLOURS = ("value", "derivative")


def network(
    net: Any,
    X: Any = None,
    Y: Any = None,
    path: canvas.Path | None = None,
    *,
    colour: str = "value",
    loss: Loss = "mse",
) -> Figure:
    """Draw the units and the weights between them.

    Parameters
    ----------
    net : Network
    X : array_like, shape (m, n_0), optional
        With X, units that are dead on these samples are marked: relu units with z <= 0 for all.
    Y : array_like, shape (m, n_L), optional
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
    _is_network(net)
    one_of(colour, "colour", COLOURS)
    trace = _trace(net, X, Y, colour, loss)
    dead = set() if X is None else dead_units(net, trace)
    edges, biases = (trace.dW, trace.db) if colour == "derivative" else (net.W, net.b)
    layout = _Layout(net.n)
    drawn = list(_edges(layout, edges, colour))
    rings = {
        (l, j): _finite(biases[l][j - 1], l, j, None, colour) for l, j in layout.units() if l > 0
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


def weights(
    net: Any,
    l: int,
    X: Any = None,
    Y: Any = None,
    path: canvas.Path | None = None,
    *,
    colour: str = "value",
    loss: Loss = "mse",
) -> Figure:
    """Draw W^l as a heat map: row j is the unit it goes into, column k the one it comes from.

    Parameters
    ----------
    net : Network
    l : int
        The layer, 1 to L.
    X, Y : array_like, shapes (m, n_0) and (m, n_L), optional
        Needed for the derivatives.
    path : path, optional
        Where to save the picture, as for `cost`.
    colour : {"value", "derivative"}
        w^l_j,k or dC/dw^l_j,k.
    loss : {"mse"} or MSE
        The cost of the derivatives.

    Returns
    -------
    matplotlib.figure.Figure
        Small matrices have the numbers in the cells, and negative cells of middling ones a dash.
        Above 500 rows or columns a cell stands for a block, with the largest size in it.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        An argument is not as above, or an entry is not finite.
    """
    _is_network(net)
    l = whole_number(l, "l", most=net.L)
    one_of(colour, "colour", COLOURS)
    trace = _trace(net, X, Y, colour, loss)
    W = np.asarray(trace.dW[l] if colour == "derivative" else net.W[l], np.float64)
    if not np.isfinite(W).all():
        j, k = np.unravel_index(int(np.argmin(np.isfinite(W))), W.shape)
        _finite(W[j, k], l, int(j) + 1, int(k) + 1, colour)
    cells = _blocks(W)
    rows, columns = cells.shape
    largest = float(np.abs(cells).max()) or 1.0

    ratio = min(3.0, max(1 / 3, W.shape[1] / W.shape[0]))
    width = min(8.0, max(4.6, 4.2 * ratio + 1.6))
    figure = canvas.figure(path, (width, min(7.0, max(3.0, (width - 1.8) / ratio + 1.2))))
    axes: Any = figure.subplots()
    aspect = "equal" if 1 / 3 <= W.shape[1] / W.shape[0] <= 3 else "auto"
    image = axes.imshow(
        cells,
        cmap=canvas.signed_colours(),
        vmin=-largest,
        vmax=largest,
        aspect=aspect,
        extent=(0.5, W.shape[1] + 0.5, W.shape[0] + 0.5, 0.5),
    )
    if max(rows, columns) <= MOST_NUMBERS:
        for (j, k), w in np.ndenumerate(cells):
            pale = abs(w) < 0.6 * largest
            axes.text(k + 1, j + 1, canvas.number(w, 4 if columns <= 6 else 3),
                      ha="center", va="center", color=canvas.BLACK if pale else "white",
                      fontsize=9 if columns <= 6 else 7)  # fmt: skip
    elif max(rows, columns) <= 64:
        rows_below, columns_below = np.nonzero(cells < 0)
        axes.plot(columns_below + 1, rows_below + 1, linestyle="", marker="_", markersize=3, color=canvas.BLACK,
                  markeredgewidth=0.6)  # fmt: skip
    ticker = canvas.matplotlib("ticker")
    for axis, n in ((axes.xaxis, W.shape[1]), (axes.yaxis, W.shape[0])):
        axis.set_major_locator(
            ticker.FixedLocator(np.arange(1, n + 1))
            if n <= MOST_NUMBERS
            else ticker.MaxNLocator(8, integer=True)
        )
    below = "input" if l == 1 else f"unit of layer {l - 1}"
    axes.set_xlabel(f"column $k$: from {below} $k$")
    axes.set_ylabel(f"row $j$: to unit $j$ of layer {l}")
    symbol = _symbol(colour, f"{l}", "j,k")
    what = f"$W^{{{l}}}$" if colour == "value" else rf"$\partial C/\partial W^{{{l}}}$"
    axes.set_title(f"{what}, {W.shape[0]} by {W.shape[1]}")
    bar = figure.colorbar(image, ax=axes, shrink=0.85)
    bar.set_label(symbol if cells.size == W.size else f"{symbol}, the largest of each block")
    return canvas.save(figure, path, "chainrule: a weight matrix")


def dead_units(net: Any, trace: Any) -> set[tuple[int, int]]:
    """The relu units (l, j), from 1, with z <= 0 for all samples of the trace."""
    return {
        (l, int(j) + 1)
        for l, layer in enumerate(net.layers, 1)
        if layer.activation == "relu"
        for j in np.flatnonzero((trace.z[l] <= 0).all(axis=0))
    }


def _is_network(net: Any) -> None:
    if not all(hasattr(net, name) for name in ("W", "b", "n", "layers", "trace")):
        raise TypeError(f"net must be a Network, got {shown(net)} ({type(net).__name__})")


def _trace(net: Any, X: Any, Y: Any, colour: str, loss: Loss) -> Any:
    """The trace where one is needed; without Y only its z is used."""
    if colour == "derivative" and (X is None or Y is None):
        missing = " and ".join(n for n, v in (("X", X), ("Y", Y)) if v is None)
        raise ValueError(f'colour="derivative" needs X and Y, {missing} not given')
    if X is None:
        if Y is not None:
            raise ValueError("Y was given without X")
        return None
    if Y is None:
        Y = np.zeros((len(X), net.n[-1]))
    return net.trace(X, Y, loss=loss)


def _finite(value: Any, l: int, j: int, k: int | None, colour: str) -> float:
    number = float(value)
    if not np.isfinite(number):
        name = f"b^{l}_{j}" if k is None else f"w^{l}_{j},{k}"
        name = f"dC/d{name}" if colour == "derivative" else name
        raise ValueError(f"{name} is {number}: only finite numbers can be drawn")
    return number


def _symbol(colour: str, l: str, index: str) -> str:
    w = f"w^{{{l}}}_{{{index}}}"
    return f"${w}$" if colour == "value" else rf"$\partial C/\partial {w}$"


def _blocks(W: Array) -> Array:
    """W, or when it is large the entry of largest size of each block."""
    for axis in (0, 1):
        step = -(-W.shape[axis] // MOST_CELLS)
        if step > 1:
            starts = np.arange(0, W.shape[axis], step)
            high = np.maximum.reduceat(W, starts, axis=axis)
            low = np.minimum.reduceat(W, starts, axis=axis)
            W = np.where(high >= -low, high, low)
    return W


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
                    yield _Edge(l, j, k, _finite(W[l][j - 1, k - 1], l, j, k, colour))


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
        name = _symbol("value", str(e.l), f"{e.j},{e.k}")
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
    w, b = _symbol(colour, "l", "j,k"), _symbol(colour, "l", "j").replace("w", "b")
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
    figure.legend(handles=marks, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)


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
