"""Sums, products and extremes along axes, for arrays with derivatives.

Only the named arguments have a rule; the other ones of NumPy (where=, out=, initial=) arrive as an
unexpected keyword, which is a TypeError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .dual import Dual, as_dual, axes_of, float64_only
from .dual_moves import moveaxis, squeeze

Array = npt.NDArray[Any]


def sum_(a: Dual, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Dual:
    float64_only(dtype)
    axes = axes_of(axis, a.ndim)
    tangent = a.tangent.sum(axis=tuple(i + 1 for i in axes), keepdims=keepdims)
    return Dual(a.value.sum(axis=axes, keepdims=keepdims), tangent, a.run)


def mean(a: Dual, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    count = math.prod(a.shape[i] for i in axes_of(axis, a.ndim))
    return sum_(a, axis, dtype, keepdims) / count


def average(a: Any, axis: Any = None, weights: Any = None) -> Any:
    if weights is None:
        return np.mean(a, axis=axis)
    if np.shape(weights) != np.shape(a):
        raise TypeError("numpy.average: weights of the shape of the array have a rule here, only")
    return np.sum(a * weights, axis=axis) / np.sum(weights, axis=axis)


def var(
    a: Dual, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False
) -> Any:
    count = math.prod(a.shape[i] for i in axes_of(axis, a.ndim)) - ddof
    deviation = a - mean(a, axis, dtype, keepdims=True)
    return sum_(deviation * deviation, axis, None, keepdims) / count


def std(
    a: Dual, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False
) -> Any:
    return np.sqrt(var(a, axis, dtype, ddof, keepdims))


def cumsum(a: Dual, axis: int | None = None, dtype: Any = None) -> Dual:
    float64_only(dtype)
    if axis is None:
        a, axis = a.reshape(-1), 0
    (axis,) = axes_of(axis, a.ndim)
    return Dual(np.cumsum(a.value, axis=axis), np.cumsum(a.tangent, axis=axis + 1), a.run)


def cumprod(a: Dual, axis: int | None = None, dtype: Any = None) -> Dual:
    float64_only(dtype)
    if axis is None:
        a, axis = a.reshape(-1), 0
    result = moveaxis(a, axis, 0).copy()
    for i in range(1, len(result)):  # the product rule needs no division, so zeros do no harm
        result[i] = result[i - 1] * result[i]
    return moveaxis(result, 0, axis)


def prod(a: Dual, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    float64_only(dtype)
    axes = axes_of(axis, a.ndim)
    kept = [i for i in range(a.ndim) if i not in axes]
    moved = a.transpose([*axes, *kept]).reshape(-1, *(a.shape[i] for i in kept))
    result: Any = as_dual(np.ones(moved.shape[1:]), a.run, len(a.tangent))
    for row in moved:
        result = result * row
    shape = [1 if i in axes else a.shape[i] for i in range(a.ndim)]
    return result.reshape(shape) if keepdims else result


def extreme_by(argument: Callable[..., Any]) -> Callable[..., Dual]:
    def extreme(a: Dual, axis: int | None = None, keepdims: bool = False) -> Dual:
        if isinstance(axis, tuple):
            raise TypeError("max and min have a rule for one axis or all of them")
        if axis is None:
            result = extreme(a.reshape(-1), 0)
            return result.reshape((1,) * a.ndim) if keepdims else result
        (axis,) = axes_of(axis, a.ndim)
        place = np.expand_dims(argument(a.value, axis=axis), axis)
        n = len(a.tangent)
        value = np.take_along_axis(a.value, place, axis)
        tangent = np.take_along_axis(a.tangent, np.broadcast_to(place, (n, *place.shape)), axis + 1)
        result = Dual(value, tangent, a.run)
        return result if keepdims else squeeze(result, axis)

    return extreme


def sort(a: Dual, axis: int | None = -1, kind: Any = None) -> Dual:
    if axis is None:
        a, axis = a.reshape(-1), 0
    (axis,) = axes_of(axis, a.ndim)
    order = np.argsort(a.value, axis=axis, kind="stable")
    tangent = np.take_along_axis(
        a.tangent, np.broadcast_to(order, (len(a.tangent), *order.shape)), axis + 1
    )
    return Dual(np.take_along_axis(a.value, order, axis), tangent, a.run)


def diff(a: Dual, n: int = 1, axis: int = -1) -> Dual:
    moved = moveaxis(a, axis, 0)
    for _ in range(n):
        moved = moved[1:] - moved[:-1]
    return moveaxis(moved, 0, axis)
