"""Predictions of a regression: predicted against actual, and the residuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..errors import shown
from ..losses import checked_loss
from ..metrics import r2_each
from ..metrics.reading import numbers
from ..network import Network
from . import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_OUTPUTS = 6  # rows of the picture
MOST_POINTS = 2000  # above, cells are coloured by how many rows they have
VECTORS = 500  # above, points are pixels in a vector graphic
CELLS = 45  # across a panel


def predictions(
    net: Any = None,
    X: Any = None,
    Y: Any = None,
    path: canvas.Path | None = None,
    *,
    prediction: Any = None,
    names: Sequence[str] | None = None,
    units: str | Sequence[str] | None = None,
    loss: Any = "mse",
) -> Figure:
    """Draw predictions against what is true, and the residuals, a row for each output.

    Parameters
    ----------
    net : Network, or anything with ``predict(X)``
        Not needed with `prediction`.
    X : array_like, shape (m, n_0)
    Y : array_like, shape (m,) or (m, n_L)
        The true values, in the user's units.
    path : path, optional
        Where to save the picture, as for `cost`.
    prediction : array_like, shape of Y
        Instead of `net` and `X`.
    names : sequence of str, optional
        Of the outputs; default "y", or y_1, y_2, ...
    units : str or sequence of str, optional
        Of all outputs, or of each.
    loss : str or Loss
        What `net` was trained with; it turns outputs into predictions: rates for "poisson", means
        for "gaussian_nll".

    Returns
    -------
    matplotlib.figure.Figure
        On the left predicted against actual with the diagonal, R\u00b2 and the root mean squared
        error; then the residuals, actual minus predicted, against predicted, and how many rows
        have which. Above 2000 rows cells are coloured by their number of rows. Of more than 6
        outputs the 6 with the lowest R\u00b2 are drawn.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        An argument is not as above, or a number is not finite.

    Examples
    --------
    >>> figure = predictions(net, X, Y, names=["progression"])         # doctest: +SKIP
    >>> figure = predictions(prediction=P, Y=Y, units="kN")            # doctest: +SKIP
    """
    if Y is None:
        raise TypeError("Y is needed: the true values")
    if prediction is None:
        if not callable(getattr(net, "predict", None)):
            raise TypeError(
                "net must be a Network or have predict(X), or give prediction=...; "
                f"got {shown(net)} ({type(net).__name__})"
            )
        if X is None:
            raise TypeError("X is needed: the inputs to predict from")
        prediction = net.predict(X)
        if isinstance(net, Network):
            prediction = checked_loss(loss).predictions(prediction)
    elif net is not None or X is not None:
        raise TypeError("give net and X, or prediction, not both")
    y, p, _ = numbers(Y, prediction, None)
    outputs = y.shape[1]
    names = _texts(names, "names", outputs) or (
        ["y"] if outputs == 1 else [f"y_{j}" for j in range(1, outputs + 1)]
    )
    each = [units] * outputs if isinstance(units, str) else _texts(units, "units", outputs)
    R2 = r2_each(y, p)
    order = np.arange(outputs)
    if outputs > MOST_OUTPUTS:
        order = np.sort(np.argsort(R2, kind="stable")[:MOST_OUTPUTS])
    rows = len(order)
    figure = canvas.figure(path, (11.0, 3.7 * rows + 0.4))
    canvas.roomy(figure)
    panels: Any = figure.subplots(rows, 3, squeeze=False, width_ratios=(1.05, 1.3, 0.55))
    for (left, middle, right), j in zip(panels, order, strict=True):
        name = canvas.plain(names[j], 22)
        unit = f" [{canvas.plain(each[j], 12)}]" if each and each[j] else ""
        _against(left, y[:, j], p[:, j], name, unit, float(R2[j]))
        _residuals(middle, right, y[:, j] - p[:, j], p[:, j], name, unit)
    title = f"{len(y):,} rows" if len(y) > 1 else "1 row"
    if rows < outputs:
        title += f"; {rows} of {outputs} outputs, those with the lowest R\u00b2"
    figure.suptitle(f"Predicted against actual: {title}", fontsize=12)
    return canvas.save(figure, path, "chainrule: predictions")


def _texts(given: Any, name: str, count: int) -> list[str]:
    if given is None:
        return []
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f"{name} must be a list of {count} str, got {shown(given)}")
    if len(given) != count or not all(isinstance(text, str) for text in given):
        raise ValueError(f"{name} must be {count} str, got {shown(list(given))}")
    return list(given)


def _against(axes: Any, y: Array, p: Array, name: str, unit: str, R2: float) -> None:
    low, high = _limits(np.concatenate([y, p]))
    axes.plot([low, high], [low, high], color=canvas.GREY, linestyle="--", linewidth=1.2,
              zorder=1, gid="diagonal")  # fmt: skip
    _points(axes, y, p, (low, high, low, high))
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xlabel(f"actual {name}{unit}")
    axes.set_ylabel(f"predicted {name}{unit}")
    ticker = canvas.matplotlib("ticker")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(4))
    rmse = canvas.number(float(np.sqrt(np.mean((y - p) ** 2))), 3)
    said = "not defined" if np.isnan(R2) else canvas.number(R2, 3)
    axes.set_title(f"R\u00b2 {said},  RMSE {rmse}{unit}", fontsize=10, loc="left")
    canvas.tidy(axes)


def _residuals(axes: Any, beside: Any, r: Array, p: Array, name: str, unit: str) -> None:
    low, high = _limits(np.append(r, 0.0))
    across = _limits(p)
    for panel in (axes, beside):
        panel.axhline(0, color=canvas.GREY, linestyle="--", linewidth=1.2, zorder=1, gid="zero")
        panel.set_ylim(low, high)
        canvas.tidy(panel)
    _points(axes, p, r, (*across, low, high))
    axes.set_xlim(across)
    axes.set_xlabel(f"predicted {name}{unit}")
    axes.set_ylabel(f"actual \N{MINUS SIGN} predicted{unit}")
    axes.set_title(f"Residuals: mean {canvas.number(float(r.mean()), 3)}", fontsize=10, loc="left")
    bins = int(np.clip(2 * np.cbrt(len(r)), 5, 60)) | 1  # Rice's rule; odd: 0 is inside one
    beside.hist(r, bins=bins, range=(low, high), orientation="horizontal", color=canvas.BLUE,
                alpha=0.75)  # fmt: skip
    beside.set_xlabel("rows")
    beside.tick_params(labelleft=False)
    ticker = canvas.matplotlib("ticker")
    beside.xaxis.set_major_locator(ticker.MaxNLocator(3, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6))


def _limits(values: Array) -> tuple[float, float]:
    """The ends of an axis: the values and a margin; around a single value a little of its size."""
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 0.1 * abs(low) or 1.0
    return low - margin, high + margin


def _points(axes: Any, x: Array, y: Array, extent: tuple[float, ...]) -> None:
    if len(x) > MOST_POINTS:
        scale = canvas.matplotlib("colors").LinearSegmentedColormap.from_list(
            "chainrule_rows", ["#c9dcee", canvas.BLUE, "#052a4d"]
        )
        cells = axes.hexbin(x, y, gridsize=CELLS, extent=extent, bins="log", mincnt=1, cmap=scale,
                            linewidths=0.2, zorder=2, rasterized=True)  # fmt: skip
        bar = axes.figure.colorbar(cells, ax=axes, shrink=0.75, pad=0.02, aspect=30)
        bar.set_label("rows per cell", fontsize=9)
        bar.ax.tick_params(labelsize=8)
        return
    alpha = float(np.clip(20 / np.sqrt(len(x)), 0.35, 0.9))
    axes.plot(x, y, linestyle="", marker="o", markersize=4 if len(x) <= 500 else 3,
              color=canvas.BLUE, alpha=alpha, markeredgewidth=0, zorder=2, gid="rows",
              rasterized=len(x) > VECTORS)  # fmt: skip
