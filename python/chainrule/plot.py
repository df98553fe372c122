"""Plots. `cost(history)` draws the cost over the epochs; called by `History.plot` and by
`chainrule train --plot`. Needs matplotlib, the extra `plot`.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TRAINING, _VALIDATION = "#0b5fa5", "#d9600a"  # apart also in grey and for the colour-blind


class _History(Protocol):
    @property
    def cost(self) -> Sequence[float]: ...
    @property
    def val_cost(self) -> Sequence[float]: ...


def cost(history: _History, path: str | os.PathLike[str] | None = None) -> Figure:
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
    ValueError
        The history has no epochs, or the suffix is not one that matplotlib writes.
    """
    if not history.cost:
        raise ValueError("history: 0 epochs, nothing to draw")
    figure = _figure(on_screen=path is None)
    axes = figure.subplots()
    ticker: Any = importlib.import_module("matplotlib.ticker")
    curves = (
        ("training", history.cost, _TRAINING, "-"),
        ("validation", history.val_cost, _VALIDATION, "--"),
    )
    for name, costs, colour, line in curves:
        if costs:
            epochs = range(1, len(costs) + 1)
            marker = "o" if len(costs) <= 20 else ""
            label = f"{name}: {costs[-1]:.4g} at the end"
            axes.plot(epochs, costs, line, color=colour, label=label, marker=marker, markersize=3.5)
    finite = [c for c in (*history.cost, *history.val_cost) if math.isfinite(c)]
    if finite and min(finite) > 0 and max(finite) > 10 * min(finite):
        few = max(finite) < 1000 * min(finite)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
        axes.yaxis.set_major_formatter("{x:g}")
    elif finite and min(finite) >= 0:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel("cost C (mean squared error)")
    axes.set_title("Cost over the epochs")
    axes.xaxis.set_major_locator(ticker.MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", alpha=0.25)
    axes.legend(frameon=False)
    if path is not None:
        figure.savefig(path, dpi=150, metadata=_metadata(path))
    return figure


SIGNATURE = "chainrule: cost over the epochs"
"""Stands in every picture saved here, so that it can be told from other pictures."""


def _metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    name = os.fspath(path).lower()
    if name.endswith(".png"):
        return {"Software": SIGNATURE}
    return {"Creator": SIGNATURE} if name.endswith((".svg", ".pdf", ".ps", ".eps")) else {}


def _figure(on_screen: bool) -> Figure:
    """Make a figure that is drawn in memory, or one that pyplot can show where it can."""
    try:
        module = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise ImportError('plots need matplotlib: pip install "chainrule[plot]"') from None
    options: dict[str, Any] = {"figsize": (7.0, 4.2), "layout": "constrained"}
    if on_screen:
        try:
            figure: Figure = importlib.import_module("matplotlib.pyplot").figure(**options)
            return figure
        except Exception:  # no display: each toolkit has its own exception for that
            pass
    figure = module.Figure(**options)
    importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    return figure
