"""Metrics of numbers: Y and prediction have one shape, (m,) or (m, n_L)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import real
from .reading import Array, mean, numbers


def mse(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """The mean of the squared errors, over rows and outputs."""
    y, p, w = numbers(Y, prediction, sample_weight)
    return float(mean((p - y) ** 2, w).mean())


def rmse(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """The root of the mean squared error of each output; their mean."""
    y, p, w = numbers(Y, prediction, sample_weight)
    return float(np.sqrt(mean((p - y) ** 2, w)).mean())


def mae(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """The mean of the absolute errors, over rows and outputs."""
    y, p, w = numbers(Y, prediction, sample_weight)
    return float(mean(np.abs(p - y), w).mean())


def r2(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """1 minus squared errors over squared distances from the mean, per output; their mean.

    1 is perfect, 0 is as good as always saying the mean of Y. An output whose targets are all
    equal counts 1 when it is predicted exactly, else 0. One row: NaN.
    """
    return float(r2_each(Y, prediction, sample_weight).mean())


def r2_each(Y: Any, prediction: Any, sample_weight: Any = None) -> Array:
    """`r2` of each output, shape (n_L,)."""
    y, p, w = numbers(Y, prediction, sample_weight)
    if len(y) < 2:
        return np.full(y.shape[1], np.nan)
    error = mean((p - y) ** 2, w)
    spread = mean((y - mean(y, w)) ** 2, w)
    counted = y[w > 0]
    constant = (counted == counted[0]).all(axis=0) | (spread == 0)  # whatever rounding leaves
    ratio = np.divide(error, spread, out=np.where(error > 0, 1.0, 0.0), where=~constant)
    return np.asarray(1 - ratio)


def max_error(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """The largest absolute error; weights do not change it, but rows of weight 0 do not count."""
    y, p, w = numbers(Y, prediction, sample_weight)
    return float(np.abs(p - y)[w > 0].max())


def mape(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """The mean of absolute error over absolute target, as a fraction: 0.1 is 10 %.

    Targets of 0 count as the smallest step of float64, 2.2e-16, so one of them rules the mean.
    """
    y, p, w = numbers(Y, prediction, sample_weight)
    return float(mean(np.abs(p - y) / np.maximum(np.abs(y), np.finfo(float).eps), w).mean())


def pinball(q: float) -> Callable[..., float]:
    """The metric that the quantile q minimises: the mean of max(q (y - p), (q - 1)(y - p)).

    Its name is "pinball_" and q.

    Raises
    ------
    TypeError, ValueError
        q is not in (0, 1).
    """
    q = real(q, "q")
    if not 0 < q < 1:
        raise ValueError(f"q must be in (0, 1), got {q}")

    def metric(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
        y, p, w = numbers(Y, prediction, sample_weight)
        return float(mean(np.maximum(q * (y - p), (q - 1) * (y - p)), w).mean())

    metric.__name__ = f"pinball_{q:g}"
    return metric
