"""The sizes of delta and dC/dW in every layer: gradients that vanish or explode are seen here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..errors import shown
from . import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def magnitudes(trace: Any, path: canvas.Path | None = None) -> Figure:
    """Draw the norms of delta^l and dC/dW^l over the layers, on a logarithmic axis.

    Parameters
    ----------
    trace : Trace
        From `net.trace(X, Y)`.
    path : path, optional
        Where to save the picture, as for `cost`.

    Returns
    -------
    matplotlib.figure.Figure
        The norm is the square root of the sum of all squares, over samples and units for delta^l.
        A norm that is exactly 0 is a hollow mark on a line of its own, labelled 0; one that is
        not finite is named in the picture.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        `trace` is not a trace.

    Examples
    --------
    >>> figure = magnitudes(net.trace(X, Y))        # doctest: +SKIP
    """
    if not all(hasattr(trace, name) for name in ("delta", "dW")):
        raise TypeError(
            f"trace must be a Trace, from net.trace(X, Y); got {shown(trace)} "
            f"({type(trace).__name__})"
        )
    sizes = {
        r"$\Vert\delta^l\Vert$": np.array([norm(d) for d in trace.delta]),
        r"$\Vert\partial C/\partial W^l\Vert$": np.array([norm(d) for d in trace.dW]),
    }
    L = len(trace.dW)
    l = np.arange(1, L + 1)
    figure = canvas.figure(path)
    axes: Any = figure.subplots()
    zero = canvas.log_axis(axes, np.concatenate(list(sizes.values())))
    styles = ((canvas.BLUE, "-", "o"), (canvas.ORANGE, "--", "s"))
    for (name, size), (colour, line, marker) in zip(sizes.items(), styles, strict=True):
        shown_at = np.where(np.isfinite(size) & (size > 0), size, np.nan)
        axes.plot(l, shown_at, line, color=colour, marker=marker if L <= 60 else "",
                  markersize=5, label=_label(name, size))  # fmt: skip
        if zero is not None and (size == 0).any():
            axes.plot(l[size == 0], np.full((size == 0).sum(), zero), linestyle="", color=colour,
                      marker=marker if L <= 60 else "|", markersize=7 if marker == "o" else 4,
                      markerfacecolor="none", clip_on=False)  # fmt: skip
    lost = sorted({int(k) for size in sizes.values() for k in l[~np.isfinite(size)]})
    if lost:
        names = ", ".join(map(str, lost[:8])) + (", ..." if len(lost) > 8 else "")
        axes.text(0.5, 0.5, f"not finite in layer{'s' if len(lost) > 1 else ''} {names}",
                  transform=axes.transAxes, ha="center", color=canvas.ORANGE)  # fmt: skip
    axes.set_xlim(0.5, L + 0.5)
    axes.xaxis.set_major_locator(
        canvas.matplotlib("ticker").MaxNLocator("auto", integer=True, min_n_ticks=1)
    )
    axes.set_xlabel("layer $l$  (backpropagation goes from right to left)")
    axes.set_ylabel("norm")
    axes.set_title("How large the derivatives are in each layer")
    canvas.tidy(axes)
    axes.legend(frameon=False)
    return canvas.save(figure, path, "chainrule: derivatives per layer")


def norm(array: Array) -> float:
    """The square root of the sum of squares, also where the squares underflow or overflow."""
    a = np.abs(np.asarray(array, np.float64))
    largest = float(a.max())
    if not np.isfinite(largest) or largest == 0:
        return largest
    scaled = a / largest
    return largest * float(np.sqrt((scaled * scaled).sum()))


def _label(name: str, size: Array) -> str:
    first, last = (canvas.number(float(v), 3) for v in (size[0], size[-1]))
    if len(size) == 1:
        return f"{name}: {first}"
    return f"{name}: {first} in layer 1, {last} in layer {len(size)}"
