"""How good predictions are: metrics by name, for regression and for classification.

Plain NumPy in float64; the definitions are those of scikit-learn, which the tests compare with.
Called by `Trainer.fit` for `History.metrics`, by the training report and by the pictures.

Each metric is called as ``metric(Y, prediction, sample_weight=None)`` and gives a float. In
regression Y and prediction have one shape, (m,) or (m, n_L), in the user's units. In
classification Y holds classes, which stand as

- labels (m,) or (m, 1), numbers or strings; beside probabilities they are the class indices
  0, 1, ..., the columns of the prediction;
- one-hot rows (m, K), or for several labels at once rows (m, K) of 0 and 1;

and prediction holds labels (m,), or the probability (m,) or (m, 1) of class 1, or a probability
for each class (m, K). A metric that is not defined for the rows given is NaN: r2 of one row, auc
when a class is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import one_of, shown
from .classification import accuracy, auc, balanced_accuracy, brier, f1, log_loss
from .confusion import Calibration, calibration, class_indices, confusion_matrix
from .regression import mae, mape, max_error, mse, pinball, r2, r2_each, rmse

__all__ = [
    "METRICS",
    "Calibration",
    "accuracy",
    "auc",
    "balanced_accuracy",
    "brier",
    "calibration",
    "checked_metrics",
    "class_indices",
    "confusion_matrix",
    "evaluate",
    "f1",
    "log_loss",
    "mae",
    "mape",
    "max_error",
    "mse",
    "pinball",
    "r2",
    "r2_each",
    "rmse",
]

Metric = Callable[..., Any]

METRICS: Mapping[str, Metric] = {
    "mse": mse,
    "rmse": rmse,
    "mae": mae,
    "r2": r2,
    "max_error": max_error,
    "mape": mape,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "f1": f1,
    "log_loss": log_loss,
    "brier": brier,
    "auc": auc,
}
"""Every metric with a name; the first six are for regression, the others for classification."""

TAKEN = ("epoch", "cost", "val_cost")  # columns of History.table()


def checked_metrics(metrics: Any) -> dict[str, Metric]:
    """The metrics that are meant, by name.

    Parameters
    ----------
    metrics : str, callable, sequence of them, dict of name to them, or None
        A str is a name of `METRICS`. A callable is called as ``metric(Y, prediction)``, both in
        the user's units, and named after its ``__name__``; a dict gives names of its own.

    Returns
    -------
    dict of str to callable

    Raises
    ------
    TypeError, ValueError
        Anything else, an unknown name, a name twice, or one that `History.table` needs.
    """
    if metrics is None:
        return {}
    if isinstance(metrics, str) or callable(metrics):
        metrics = (metrics,)
    if isinstance(metrics, Mapping):
        named = list(metrics.items())
    elif isinstance(metrics, Iterable):
        named = [(None, metric) for metric in metrics]
    else:
        raise TypeError(
            "metrics must be names or callables, such as ('mae', 'r2'); "
            f"got {shown(metrics)} ({type(metrics).__name__})"
        )
    found: dict[str, Metric] = {}
    for k, (given, metric) in enumerate(named):
        where = f"metrics[{k}]" if given is None else f"metrics[{shown(given)}]"
        name, function = _named(metric, where) if given is None else (given, _one(metric, where))
        if not isinstance(name, str) or not name:
            raise TypeError(f"metrics: a name must be a str, got {shown(name)}")
        if name in TAKEN:
            raise ValueError(f"{where}: the name {name!r} is a column of the history; take another")
        if name in found:
            raise ValueError(f"{where}: the name {name!r} is there twice; use a dict with names")
        found[name] = function
    return found


def evaluate(
    metrics: Mapping[str, Metric], Y: Any, prediction: Any, sample_weight: Any = None
) -> dict[str, float]:
    """Every metric's value; TypeError names a metric that gives anything but a number.

    `sample_weight` goes to the metrics of this package; a callable of the user's gets Y and
    prediction alone.
    """
    values = {}
    for name, metric in metrics.items():
        ours = sample_weight is not None and str(getattr(metric, "__module__", "")).startswith(
            __name__
        )
        value = metric(Y, prediction, sample_weight) if ours else metric(Y, prediction)
        try:
            values[name] = float(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"the metric {name!r} must give a number, got {shown(value)} "
                f"({type(value).__name__})"
            ) from None
    return values


def _named(metric: Any, where: str) -> tuple[str, Metric]:
    function = _one(metric, where)
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "")
    if not name or name == "<lambda>":
        raise ValueError(
            f"{where}: {shown(metric)} has no name; give it one: metrics={{'name': function}}"
        )
    return name, function


def _one(metric: Any, where: str) -> Metric:
    if callable(metric):
        return metric  # type: ignore[no-any-return]
    return METRICS[one_of(metric, where, METRICS)]
