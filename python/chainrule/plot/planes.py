"""The plane of w_1 and w_2: the cost of a neuron over its two weights, the bias held fixed.

The gradient stands at right angles to the contour and points uphill; descent is minus the gradient.
Any object with `w`, `b` and `activation` will do, and a network of one unit.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import reference
from ..arrays import Array, as_array, as_matrix, as_ndarray
from ..errors import one_of, shown
from ..losses import LossLike
from . import canvas
from .bowl import Bowl

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plane(
    neuron: Any,
    X: Any,
    y: Any,
    path: canvas.Path | None = None,
    *,
    descent: Any = None,
    at: Any = None,
    window: Any = None,
    loss: LossLike = "mse",
) -> Figure:
    """Draw the cost over the plane of w_1 and w_2, with the gradient and a way of descent.

    Parameters
    ----------
    neuron : Neuron or Network
        With two inputs: anything that has `w` (2,), `b` and `activation`, or a network of one unit.
        Its b is held fixed in the whole picture; see `descent`.
    X : array_like, shape (m, 2)
    y : array_like, shape (m,)
        For a network with a scaling both in the user's units; the plane is that of its parameters.
    path : path, optional
        Where to save the picture, as for `cost`.
    descent : optional
        A way of descent: w after each step, shape (steps + 1, 2), or what `Neuron.fit` returns.
        In the latter case the fixed b is the one at the start of the way.
    at : array_like, shape (2,), optional
        Where the arrows start; without it the first point of `descent`, or the neuron's w.
    window : tuple (w_1 low, w_1 high, w_2 low, w_2 high), optional
        The part of the plane that is drawn; without it, all that is marked, with some space.
    loss : {"mse"} or MSE

    Returns
    -------
    matplotlib.figure.Figure
        Both axes have the same scale, so the right angle between contour and gradient is seen. The
        arrows of the gradient, of its two components and of its opposite are drawn at one scale,
        which the legend says.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        An argument is not as above; the neuron has another number of inputs than 2; the cost or
        the gradient is not finite.

    Examples
    --------
    >>> figure = plane(neuron, X, y, "plane.png")        # doctest: +SKIP
    >>> figure = plane(neuron, X, y, descent=way)        # doctest: +SKIP
    """
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"path must be the name of a file or None, got {type(path).__name__}; "
            "the way of a descent is the argument descent"
        )
    w, b, activation, X, y = _checked(neuron, X, y)
    way, b_way = _way(descent)
    b = b if b_way is None else float(b_way[0])
    bowl = Bowl(b, activation, X, y, loss)
    start = way[0] if len(way) else w
    if at is not None:
        start = as_array(at, "at", np.float64, (2,))
    if window is not None:
        window = _window(window)
    with np.errstate(over="ignore", invalid="ignore"):
        C_start, g = float(bowl.cost(start[None])[0]), bowl.gradient(start)
        if not (math.isfinite(C_start) and np.isfinite(g).all()):
            raise ValueError(
                f"the cost at w = ({start[0]:g}, {start[1]:g}) is {C_start:g} and the gradient is "
                f"({g[0]:g}, {g[1]:g}): they must be finite; scale X and y"
            )
        best = bowl.minimum()
        if window is None:
            window = _fitting(start, g, C_start, way, best)
        half = min(window[1] - window[0], window[3] - window[2]) / 2
        arrow = _nice(0.6 * half / float(np.hypot(*g))) if g.any() else 0.0
        w1, w2, C = bowl.grid(window)
        if best is None:
            best = bowl.lowest(w1, w2, C)
        C_best = None if best is None else float(bowl.cost(best[None])[0])
    C = np.ma.masked_invalid(C)
    if C.count() == 0:
        raise ValueError("the cost is finite nowhere in the window; scale X and y")

    if best is not None and not _inside(best, window):
        best = C_best = None
    figure = canvas.figure(path, (8.6, 5.4))
    axes: Any = figure.subplots()
    drawn = _contours(axes, w1, w2, C, C_start, C_best)
    _draw_way(axes, way)
    if g.any():
        _arrows(axes, start, g, arrow)
    axes.plot(*start, "o", color=canvas.BLACK, markersize=6, zorder=6)
    if best is not None:
        axes.plot(*best, "*", color=canvas.BLACK, markersize=13, zorder=5)
    axes.set_xlim(window[0], window[1])
    axes.set_ylim(window[2], window[3])
    axes.set_aspect("equal")
    axes.set_xlabel("$w_1$")
    axes.set_ylabel("$w_2$")
    name = activation if activation != "identity" else "linear"
    axes.set_title(f"Cost $C(w_1, w_2)$ of a {name} neuron, $b$ = {canvas.number(b)} fixed")
    marks = _legend(start, g, arrow, C_start, best, C_best, bowl, drawn)
    if len(way):
        marks.append(_way_mark(way, b_way, bowl))
    if not _inside(start, window):
        marks[0] = (marks[0][0], f"{marks[0][1]}\n(outside the window)")
    axes.legend(
        *zip(*marks, strict=True),
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        frameon=False,
        labelspacing=0.9,
        fontsize=9,
    )
    return canvas.save(figure, path, "chainrule: the plane of two weights")


def _checked(neuron: Any, X: Any, y: Any) -> tuple[Array, float, str, Array, Array]:
    """w (2,), b, the activation, X (m, 2) and y (m,), all float64."""
    if hasattr(neuron, "layers"):  # a Network
        if neuron.L != 1 or neuron.n[1] != 1:
            widths = "-".join(map(str, neuron.n))
            raise ValueError(f"neuron must be one unit, got a network {widths}; use a 2-1 network")
        if neuron.n[0] == 2:
            X, y = neuron._prepare(X, y, names=("X", "y"))
        w, b, activation = neuron.W[1][0], neuron.b[1][0], neuron.layers[0].activation
    elif all(hasattr(neuron, name) for name in ("w", "b", "activation")):
        w, b, activation = neuron.w, neuron.b, neuron.activation
    else:
        raise TypeError(
            "neuron must be a Neuron (it has w, b and activation) or a Network of one unit; "
            f"got {shown(neuron)} ({type(neuron).__name__})"
        )
    w = as_ndarray(w, "neuron.w")
    if w.shape != (2,):
        raise ValueError(
            f"a plane needs a neuron with 2 inputs, w of shape (2,); got shape {w.shape}"
        )
    w = as_array(w, "neuron.w", np.float64, (2,))
    b = float(as_array(b, "neuron.b", np.float64, ()))
    one_of(activation, "neuron.activation", tuple(reference.ACTIVATIONS))
    X = as_ndarray(X, "X")
    if X.shape == (2,):  # one sample, as Neuron takes it
        X, y = X.reshape(1, 2), as_ndarray(y, "y").reshape(1, -1)
    X = as_matrix(X, "X", np.float64, 2)
    y = as_matrix(y, "y", np.float64, 1, len(X), unit="columns", column=True)
    return w, b, activation, X, y[:, 0]


def _way(descent: Any) -> tuple[Array, Array | None]:
    """The points (steps + 1, 2) of a way of descent, and b along it where that is known."""
    if descent is None:
        return np.empty((0, 2)), None
    b = None
    if hasattr(descent, "w"):
        descent, b = descent.w, getattr(descent, "b", None)
    way = as_ndarray(descent, "descent")
    if way.ndim != 2 or way.shape[1] != 2 or len(way) == 0:
        raise ValueError(
            f"descent must have shape (steps + 1, 2), one w after each step; got {way.shape}"
        )
    way = as_array(way, "descent", np.float64, way.shape)
    return way, None if b is None else as_array(b, "descent.b", np.float64, way.shape[:1])


def _window(window: Any) -> tuple[float, float, float, float]:
    low1, high1, low2, high2 = as_array(window, "window", np.float64, (4,)).tolist()
    least = 1e-9 * max(abs(low1), abs(high1), abs(low2), abs(high2))
    if not (high1 - low1 > least and high2 - low2 > least):
        raise ValueError(
            "window must be (w_1 low, w_1 high, w_2 low, w_2 high), each low clearly below its "
            "high; "
            f"got {shown(window)}"
        )
    return low1, high1, low2, high2


def _fitting(
    start: Array, g: Array, C: float, way: Array, best: Array | None
) -> tuple[float, float, float, float]:
    """A square around everything that is marked, with room for the arrows."""
    marked = [start, *way] + ([] if best is None else [best])
    points = np.asarray(marked)
    low, high = points.min(axis=0), points.max(axis=0)
    reach = float((high - low).max())
    size = max(1.0, float(np.abs(start).max()))
    norm = float(np.hypot(*g))
    if reach <= 1e-9 * size:  # a single point: as far as the slope alone would take C to 0
        reach = min(max(2 * C / norm, 0.2 * size), 10 * size) if norm > 0 else size
        reach *= 1.5
    if norm > 0:  # the arrows, both ways
        tips = np.array([start + 0.4 * reach * g / norm, start - 0.4 * reach * g / norm])
        low, high = np.minimum(low, tips.min(axis=0)), np.maximum(high, tips.max(axis=0))
    middle, half = (low + high) / 2, 0.5 * max(float((high - low).max()), reach) * 1.25
    return (
        float(middle[0] - half),
        float(middle[0] + half),
        float(middle[1] - half),
        float(middle[1] + half),
    )


def _nice(scale: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `scale`."""
    power = 10.0 ** math.floor(math.log10(scale))
    return max(step * power for step in (1, 2, 5) if step * power <= scale * (1 + 1e-12))


def _inside(point: Array, window: tuple[float, float, float, float]) -> bool:
    return bool(window[0] <= point[0] <= window[1] and window[2] <= point[1] <= window[3])


def _contours(
    axes: Any, w1: Array, w2: Array, C: Any, C_start: float, C_best: float | None
) -> bool:
    """Contours, closer where it is flat, and the one through the start; whether there are any."""
    low = float(C.min()) if C_best is None else min(float(C.min()), C_best)
    high = float(C.max())
    if not high - low > 1e-12 * max(abs(high), 1e-300):
        axes.text(0.5, 0.02, f"flat: $C$ = {canvas.number(high)} everywhere here",
                  transform=axes.transAxes, ha="center", color=canvas.GREY)  # fmt: skip
        return False
    levels = low + (high - low) * np.linspace(0, 1, 14) ** 2
    blues = canvas.matplotlib("colors").LinearSegmentedColormap.from_list(
        "chainrule_cost", ["#f7fbff", "#c3d9ee", "#7fa8d1"]
    )
    shades = canvas.matplotlib("colors").PowerNorm(0.5, vmin=low, vmax=high)
    axes.contourf(w1, w2, C, levels, cmap=blues, norm=shades)
    apart = np.abs(levels - C_start) > 0.3 * np.gradient(levels)  # from the contour at the start
    inner = levels[1:-1][apart[1:-1]]
    if inner.size:
        lines = axes.contour(w1, w2, C, inner, colors="#47688c", linewidths=0.7)
        axes.clabel(lines, inner[1::2], fmt=lambda C: canvas.number(C, 3), fontsize=7)
    if low < C_start < high:
        axes.contour(w1, w2, C, [C_start], colors=canvas.BLACK, linewidths=1.4, linestyles="--")
        return True
    return False


def _draw_way(axes: Any, way: Array) -> None:
    if len(way):
        marker = "o" if len(way) <= 60 else ""
        axes.plot(*way.T, "-", color=canvas.BLACK, marker=marker, markersize=3, linewidth=1.2,
                  zorder=4)  # fmt: skip


def _arrows(axes: Any, start: Array, g: Array, scale: float) -> None:
    """The gradient, minus the gradient, and the two components of the gradient."""
    uphill, right = start + scale * g, start + scale * np.array([g[0], 0.0])

    def arrow(name: str, tail: Array, tip: Array, colour: str, style: str, width: float) -> None:
        if (tail == tip).all():
            return
        drawn = axes.annotate(
            "",
            xy=tip,
            xytext=tail,
            zorder=5,
            arrowprops={
                "arrowstyle": "-|>",
                "color": colour,
                "linestyle": style,
                "linewidth": width,
                "mutation_scale": 9 + 3 * width,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
        drawn.set_gid(name)

    arrow("dC/dw_1", start, right, canvas.ORANGE, "-", 1.0)
    arrow("dC/dw_2", right, uphill, canvas.ORANGE, "-", 1.0)
    arrow("gradient", start, uphill, canvas.ORANGE, "-", 2.2)
    arrow("descent", start, start - scale * g, canvas.BLUE, "-", 2.2)
    halo = canvas.matplotlib("patheffects").withStroke(linewidth=3, foreground="white")
    for name, tip, colour in (
        (r"$\nabla C$", uphill, canvas.ORANGE),
        (r"$-\nabla C$", start - scale * g, canvas.BLUE),
    ):
        along = (tip - start) / float(np.hypot(*(tip - start)))
        axes.annotate(
            name,
            xy=tip,
            xytext=tuple(12 * along),
            textcoords="offset points",
            ha="right" if along[0] < -0.3 else "left" if along[0] > 0.3 else "center",
            va="top" if along[1] < -0.3 else "bottom" if along[1] > 0.3 else "center",
            color=colour,
            fontsize=11,
            path_effects=[halo],
            zorder=7,
        )


def _legend(
    start: Array,
    g: Array,
    scale: float,
    C_start: float,
    best: Array | None,
    C_best: float | None,
    bowl: Bowl,
    contour: bool,
) -> list[tuple[Any, str]]:
    """The marks and what they mean, with their numbers."""
    line = canvas.matplotlib("lines").Line2D
    n = canvas.number

    def point(v: Array) -> str:
        return f"({n(v[0], 6)}, {n(v[1], 6)})"

    marks = [(line([], [], color=canvas.BLACK, marker="o", linestyle=""),
              f"$w$ = {point(start)}\n$C$ = {n(C_start, 6)}")]  # fmt: skip
    if contour:
        marks.append(
            (
                line([], [], color=canvas.BLACK, linestyle="--"),
                "contour of this cost:\n$C$ is equal along it",
            )
        )
    if g.any():
        marks += [
            (
                line([], [], color=canvas.ORANGE, linewidth=2.2),
                f"gradient $\\nabla C$ points uphill\n= {point(g)}",
            ),
            (
                line([], [], color=canvas.ORANGE, linewidth=1.0),
                f"its components\n$\\partial C/\\partial w_1$ = {n(g[0], 6)}\n"
                f"$\\partial C/\\partial w_2$ = {n(g[1], 6)}",
            ),
            (
                line([], [], color=canvas.BLUE, linewidth=2.2),
                f"$-\\nabla C$: steepest descent\n(arrows at {n(scale)} of their length)",
            ),
        ]
    else:
        marks.append((line([], [], linestyle=""), "gradient = (0, 0): no arrow"))
    if best is not None and C_best is not None:
        kind = "minimum of the plane" if bowl.activation == "identity" else "lowest point here"
        marks.append(
            (
                line([], [], color=canvas.BLACK, marker="*", markersize=11, linestyle=""),
                f"{kind}\n{point(best)}\n$C$ = {n(C_best)}",
            )
        )
    return marks


def _way_mark(way: Array, b_way: Array | None, bowl: Bowl) -> tuple[Any, str]:
    """The way of descent and where it ends, with the b it has there."""
    n, steps, end = canvas.number, len(way) - 1, way[-1]
    text = f"descent, {steps} step{'' if steps == 1 else 's'}, to\n({n(end[0], 6)}, {n(end[1], 6)})"
    if b_way is not None and np.ptp(b_way) > 0:
        text += f"\n$b$ moved too, to {n(b_way[-1])}"
        bowl = bowl.with_b(float(b_way[-1]))
    text += f"\n$C$ = {n(float(bowl.cost(way[-1:])[0]))}"
    mark = canvas.matplotlib("lines").Line2D(
        [], [], color=canvas.BLACK, marker="o", markersize=3, linewidth=1.2
    )
    return mark, text
