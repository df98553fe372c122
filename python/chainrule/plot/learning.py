"""Learning curves: costs and metrics over the epochs, of one training or of several by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import shown
from . import canvas, curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_HISTORIES = 50
LOWEST_R2 = -1.0  # where the axis of r2 ends; the first epochs may be far below


def learning_curves(history: Any, path: canvas.Path | None = None) -> Figure:
    """Draw costs and metrics over the epochs.

    Parameters
    ----------
    history : History, or dict of str to History
        What `Network.fit` returned; several, by name, are drawn over each other.
    path : path, optional
        Where to save the picture; the suffix says the format (.png, .svg, .pdf). A file of that
        name is replaced. With a path no window is prepared, so this works without a display.

    Returns
    -------
    matplotlib.figure.Figure
        Training is solid, validation dashed. The first panel has the costs, logarithmic when they
        span more than a factor of ten, each metric has one of its own: of the validation data when
        there are any. A ring marks the best epoch, the one with the lowest validation cost
        (training cost without validation).

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        `history` is neither.
    ValueError
        A history has no epochs, there is none, or there are more than 50.

    Examples
    --------
    >>> figure = learning_curves({"SGD": first, "Adam": second})       # doctest: +SKIP
    """
    several = isinstance(history, Mapping)
    histories = dict(history) if several else {"": history}
    if not 1 <= len(histories) <= MOST_HISTORIES:
        raise ValueError(f"history must hold 1 to {MOST_HISTORIES} histories, got {len(histories)}")
    for name, one in histories.items():
        where = f"history[{shown(name)}]" if several else "history"
        if not hasattr(one, "cost"):
            extra = "" if several else ", or a dict of name to History"
            raise TypeError(f"{where} must be a History{extra}, got {type(one).__name__}")
        if not len(one.cost):
            raise ValueError(f"{where}: 0 epochs, nothing to draw")
    names = list(dict.fromkeys(name for one in histories.values() for name in _metrics(one)))
    if several:
        figure = _compare(path, histories, names)
    else:
        figure, panels, _ = _panels(1 + len(names), path)
        _single(panels, history, names)
    return canvas.save(figure, path, curves.SIGNATURE)


def best_epoch(history: Any) -> int | None:
    """The epoch, from 1, with the lowest finite validation cost (else training cost)."""
    watched = np.asarray(history.val_cost or history.cost, float)
    finite = np.isfinite(watched)
    return 1 + int(np.argmin(np.where(finite, watched, math.inf))) if finite.any() else None


def _metrics(history: Any) -> dict[str, Sequence[float]]:
    return getattr(history, "metrics", None) or {}


def _panels(
    count: int, path: canvas.Path | None, keys: int = 0, longest: int = 0
) -> tuple[Figure, list[Any], int]:
    """Two in a row; the first has a row to itself when one would be left over.

    `keys` entries of `longest` letters go into a legend below: the last is its number of columns.
    """
    if count == 1:
        width, height, rows, columns = 7.0, 4.2, 1, 1
    else:
        width, rows, columns = 10.0, count // 2 if count % 2 == 0 else (count + 1) // 2, 2
        height = 3.4 * rows
    beside = min(max(keys, 1), max(1, int(width / (0.7 + 0.085 * longest))))
    figure = canvas.figure(path, (width, height + 0.22 * -(-keys // beside)))
    canvas.roomy(figure)
    grid = figure.add_gridspec(rows, columns)
    first = [grid[0, :]] if count % 2 else []
    places: list[Any] = first + [grid[r, c] for r in range(len(first), rows) for c in range(2)]
    return figure, [figure.add_subplot(place) for place in places], beside


def _single(panels: list[Any], history: Any, names: list[str]) -> None:
    best = best_epoch(history)
    curves.draw(panels[0], history)
    _ring(panels[0], history.val_cost or history.cost, best)
    panels[0].legend(framealpha=0.8, edgecolor="none")
    validated = bool(history.val_cost)
    which = "validation" if validated else "training"
    colour, line = (canvas.ORANGE, "--") if validated else (canvas.BLUE, "-")
    for axes, name in zip(panels[1:], names, strict=True):
        values = list(_metrics(history)[name])
        label = f"{which}: {_said(values[-1])} at the end" if values else which
        curves.curve(axes, values, line, color=colour, label=label)
        _ring(axes, values, best)
        _metric_axis(axes, name, [values])
        axes.legend(framealpha=0.8, edgecolor="none")


def _compare(path: canvas.Path | None, histories: dict[str, Any], names: list[str]) -> Figure:
    texts = canvas.apart(list(histories))
    longest = max(map(len, (*texts, "best epoch")))
    figure, panels, beside = _panels(1 + len(names), path, len(histories) + 3, longest)
    lines = canvas.matplotlib("lines")
    colours = canvas.colours(len(histories))
    keys, styles, everything = [], set(), []
    for one, text, colour in zip(histories.values(), texts, colours, strict=True):
        for values, line in ((one.cost, "-"), (one.val_cost, "--")):
            if values:
                curves.curve(panels[0], values, line, color=colour, label=text)
                styles.add(line)
                everything.extend(values)
        _ring(panels[0], one.val_cost or one.cost, best_epoch(one))
        line = "--" if one.val_cost else "-"
        for axes, metric in zip(panels[1:], names, strict=True):
            values = _metrics(one).get(metric, ())
            if len(values):
                curves.curve(axes, values, line, color=colour, label=text)
                _ring(axes, values, best_epoch(one))
        keys.append(lines.Line2D([], [], color=colour, label=text))
    curves.cost_axis(panels[0], everything)
    curves.epoch_axis(panels[0])
    panels[0].set(ylabel="cost $C$", title="Cost over the epochs")
    canvas.tidy(panels[0])
    for axes, metric in zip(panels[1:], names, strict=True):
        _metric_axis(axes, metric, [_metrics(one).get(metric, ()) for one in histories.values()])
    for line, words in (("-", "training"), ("--", "validation")):
        if line in styles:
            keys.append(lines.Line2D([], [], color=canvas.GREY, linestyle=line, label=words))
    keys.append(lines.Line2D([], [], linestyle="", label="best epoch", **_RING))
    figure.legend(handles=keys, loc="outside lower center", frameon=False, ncols=beside)
    return figure


_RING: dict[str, Any] = {
    "marker": "o",
    "markersize": 8,
    "markerfacecolor": "none",
    "markeredgecolor": canvas.BLACK,
    "markeredgewidth": 1.3,
}


def _ring(axes: Any, values: Sequence[float], best: int | None) -> None:
    """A ring around the best epoch."""
    if best is None or best > len(values) or not math.isfinite(values[best - 1]):
        return
    label = f"best epoch, {best}: {_said(values[best - 1])}"
    axes.plot([best], [values[best - 1]], linestyle="", zorder=4, gid="best", label=label,
              clip_on=False, **_RING)  # fmt: skip


def _said(value: float) -> str:
    return canvas.number(value) if math.isfinite(value) else "not defined"


def _metric_axis(axes: Any, name: str, columns: list[Sequence[float]]) -> None:
    """Logarithmic for a metric that falls by more than a factor of ten."""
    values = np.concatenate([np.asarray(column, float) for column in columns])
    finite = values[np.isfinite(values)]
    falls = any(len(c) > 1 and c[-1] < c[0] / 10 for c in columns)
    if falls and finite.size and finite.min() > 0:
        curves.cost_axis(axes, finite.tolist())
    elif name == "r2" and finite.size and finite.min() < LOWEST_R2 < finite.max():
        axes.set_ylim(LOWEST_R2, max(1.0, float(finite.max())))
        axes.text(0.99, 0.02, "below \N{MINUS SIGN}1 not shown", transform=axes.transAxes,
                  ha="right", va="bottom", color=canvas.GREY, fontsize=9)  # fmt: skip
    if not finite.size:
        axes.set(xlim=(0.5, max(len(values), 1) + 0.5), yticks=[])
        axes.text(0.5, 0.5, "not defined in any epoch", transform=axes.transAxes,
                  ha="center", va="center", color=canvas.GREY)  # fmt: skip
    axes.set_title(canvas.plain(name))
    curves.epoch_axis(axes)
    canvas.tidy(axes)
