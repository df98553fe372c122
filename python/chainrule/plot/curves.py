"""The cost over the epochs. Called by `History.plot` and by `chainrule train --plot`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from . import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNATURE = "chainrule: cost over the epochs"
"""Stands in every picture of costs, so that it can be told from other pictures."""


class Curves(Protocol):
    """What a picture needs of a History."""

    @property
    def cost(self) -> Sequence[float]: ...
    @property
    def val_cost(self) -> Sequence[float]: ...


def cost(history: Curves, path: canvas.Path | None = None) -> Figure:
    """Draw training and validation cost over the epochs.

    Parameters
    ----------
    history : History
        What `Network.fit` returned.
    path : path, optional
        Where to save the picture; the suffix says the format (.png, .svg, .pdf). A file of that
        name is replaced. With a path no window is prepared, so this works without a display.

    Returns
    -------
    matplotlib.figure.Figure
        The cost axis is logarithmic when the costs span more than a factor of ten.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        `history` is not a History.
    ValueError
        The history has no epochs, or the suffix is not one that matplotlib writes.
    """
    if not hasattr(history, "cost"):
        raise TypeError(f"history must be a History, got {type(history).__name__}")
    if not len(history.cost):
        raise ValueError("history: 0 epochs, nothing to draw")
    figure = canvas.figure(path)
    axes = figure.subplots()
    draw(axes, history)
    axes.legend(frameon=False)
    return canvas.save(figure, path, SIGNATURE)


def draw(axes: Any, history: Curves) -> None:
    """Both curves of a history in a panel, without its legend."""
    curves = (
        ("training", history.cost, canvas.BLUE, "-"),
        ("validation", history.val_cost, canvas.ORANGE, "--"),
    )
    for name, costs, colour, line in curves:
        if costs:
            label = f"{name}: {costs[-1]:.4g} at the end"
            curve(axes, costs, line, color=colour, label=label)
    cost_axis(axes, (*history.cost, *history.val_cost))
    axes.set_ylabel("cost $C$")
    axes.set_title("Cost over the epochs")
    epoch_axis(axes)
    canvas.tidy(axes)


def curve(axes: Any, values: Sequence[float], line: str = "-", **how: Any) -> None:
    """Values over the epochs from 1, with a marker each while there are few."""
    marker = "o" if len(values) <= 20 else ""
    width = 1.5 if len(values) <= 200 else 1.0
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, values, line, marker=marker, markersize=3.5, linewidth=width, **how)


def cost_axis(axes: Any, values: Sequence[float]) -> None:
    """Logarithmic when positive values span more than a factor of ten, else from 0."""
    ticker = canvas.matplotlib("ticker")
    finite = [c for c in values if math.isfinite(c)]
    if finite and min(finite) > 0 and max(finite) > 10 * min(finite):
        few = max(finite) < 1000 * min(finite)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
        axes.yaxis.set_major_formatter("{x:g}")
    elif finite and min(finite) >= 0:
        axes.set_ylim(bottom=0)


def epoch_axis(axes: Any) -> None:
    """Whole numbers below."""
    ticker = canvas.matplotlib("ticker")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(ticker.MaxNLocator("auto", integer=True, min_n_ticks=1))
