"""A weight matrix as a heat map: positions and connections of its entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..errors import one_of, whole_number
from ..losses import LossLike
from . import canvas
from .parameters import COLOURS, check_network, finite, symbol, trace_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CELLS, MOST_NUMBERS = 500, 12  # rows and columns of a heat map; with numbers in the cells


def weights(
    net: Any,
    l: int,
    X: Any = None,
    Y: Any = None,
    path: canvas.Path | None = None,
    *,
    colour: str = "value",
    loss: LossLike = "mse",
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
    check_network(net)
    l = whole_number(l, "l", most=net.L)
    one_of(colour, "colour", COLOURS)
    trace = trace_of(net, X, Y, colour, loss)
    W = np.asarray(trace.dW[l] if colour == "derivative" else net.W[l], np.float64)
    if not np.isfinite(W).all():
        j, k = np.unravel_index(int(np.argmin(np.isfinite(W))), W.shape)
        finite(W[j, k], l, int(j) + 1, int(k) + 1, colour)
    cells = _blocks(W)
    rows, columns = cells.shape
    largest = float(np.abs(cells).max()) or 1.0

    numbered = max(rows, columns) <= MOST_NUMBERS
    figure = canvas.figure(path, _size(rows, columns, numbered))
    axes: Any = figure.subplots()
    aspect = "auto" if numbered or not 1 / 3 <= W.shape[1] / W.shape[0] <= 3 else "equal"
    image = axes.imshow(
        cells,
        cmap=canvas.signed_colours(),
        vmin=-largest,
        vmax=largest,
        aspect=aspect,
        extent=(0.5, W.shape[1] + 0.5, W.shape[0] + 0.5, 0.5),
    )
    if numbered:
        for (j, k), w in np.ndenumerate(cells):
            pale = abs(w) < 0.6 * largest
            axes.text(k + 1, j + 1, canvas.number(w, 4 if columns <= 4 else 3),
                      ha="center", va="center", color=canvas.BLACK if pale else "white",
                      fontsize=9 if columns <= 4 else 8)  # fmt: skip
    elif max(rows, columns) <= 64:
        rows_below, columns_below = np.nonzero(cells < 0)
        axes.plot(columns_below + 1, rows_below + 1,
                  linestyle="", marker="_", markersize=3, color=canvas.BLACK,
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
    name = symbol(colour, f"{l}", "j,k")
    what = f"$W^{{{l}}}$" if colour == "value" else rf"$\partial C/\partial W^{{{l}}}$"
    axes.set_title(f"{what}, {W.shape[0]} by {W.shape[1]}")
    bar = figure.colorbar(image, ax=axes, shrink=0.85)
    bar.set_label(name if cells.size == W.size else f"{name}, the largest of each block")
    return canvas.save(figure, path, "chainrule: a weight matrix")


def _size(rows: int, columns: int, numbered: bool) -> tuple[float, float]:
    """Inches of a figure whose cells have room for their numbers, or about the matrix's shape."""
    if numbered:
        return max(3.0, 0.78 * columns) + 1.8, max(2.2, 0.45 * rows) + 1.2
    ratio = min(3.0, max(1 / 3, columns / rows))
    width = min(8.0, max(4.6, 4.2 * ratio + 1.6))
    return width, min(7.0, max(3.0, (width - 1.8) / ratio + 1.2))


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
