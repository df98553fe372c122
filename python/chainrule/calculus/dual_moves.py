"""Functions that move numbers about, for arrays with derivatives.

Such a function (concatenate, stack, tril) moves the positions of the numbers, and these then
fetch values and tangents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .dual import Dual, as_dual, axes_of, common, lifted

Array = npt.NDArray[Any]


def value_of(operand: Any) -> Any:
    if isinstance(operand, (list, tuple)):
        return type(operand)(value_of(part) for part in operand)
    return operand.value if isinstance(operand, Dual) else operand


def mover(function: Callable[..., Any]) -> Callable[..., Dual]:
    def move(arrays: Any, *args: Any, **kwargs: Any) -> Dual:
        if kwargs.get("out") is not None:
            raise TypeError(f"numpy.{function.__name__}: out= has no rule for derivatives")
        kwargs = {k: v for k, v in kwargs.items() if k != "out"}
        single = isinstance(arrays, Dual)
        parts = [arrays] if single else list(arrays)
        if any(isinstance(argument, Dual) for argument in [*args, *kwargs.values()]):
            raise TypeError(f"numpy.{function.__name__}: only its first argument can be a Dual")
        run, n = common(parts)
        duals = [as_dual(part, run, n) for part in parts]
        # Position 0 is a number that is always 0, for functions that fill up with zeros.
        values = np.concatenate([[0.0], *(d.value.reshape(-1) for d in duals)])
        tangents = np.concatenate(
            [np.zeros((n, 1)), *(d.tangent.reshape(n, d.size) for d in duals)], axis=1
        )
        positions, start = [], 1
        for dual in duals:
            positions.append(np.arange(start, start + dual.size).reshape(dual.shape))
            start += dual.size
        moved = function(positions[0] if single else positions, *args, **kwargs)
        return Dual(values[moved], tangents[:, moved], run)

    return move


def splitter(function: Callable[..., Any]) -> Callable[..., list[Dual]]:
    def split(a: Dual, *args: Any, **kwargs: Any) -> list[Dual]:
        return [_fetch(a, p) for p in function(_positions(a), *args, **kwargs)]

    return split


def _positions(a: Dual) -> Array:
    return np.arange(a.size).reshape(a.shape)


def _fetch(a: Dual, positions: Array) -> Dual:
    n = len(a.tangent)
    return Dual(a.value.reshape(-1)[positions], a.tangent.reshape(n, a.size)[:, positions], a.run)


def pad(a: Dual, pad_width: Any, mode: str = "constant") -> Dual:
    return mover(lambda p: np.pad(p, pad_width, mode=mode))(a)  # type: ignore[call-overload]


def moveaxis(a: Dual, source: Any, destination: Any) -> Dual:
    order = np.moveaxis(np.empty((0,) * a.ndim), source, destination)  # checks the axes
    sources, destinations = axes_of(source, a.ndim), axes_of(destination, a.ndim)
    rest = [i for i in range(order.ndim) if i not in sources]
    for to, axis in sorted(zip(destinations, sources, strict=True)):
        rest.insert(to, axis)
    return a.transpose(rest)


def swapaxes(a: Dual, axis1: int, axis2: int) -> Dual:
    i, j = (*axes_of(axis1, a.ndim), *axes_of(axis2, a.ndim))
    order = list(range(a.ndim))
    order[i], order[j] = order[j], order[i]
    return a.transpose(order)


def squeeze(a: Dual, axis: Any = None) -> Dual:
    return a.reshape(np.squeeze(a.value, axis).shape)


def expand_dims(a: Dual, axis: Any) -> Dual:
    return a.reshape(np.expand_dims(a.value, axis).shape)


def broadcast_to(a: Dual, shape: Any) -> Dual:
    value = np.broadcast_to(a.value, shape)
    tangent = np.broadcast_to(lifted(a.tangent, value.ndim), (len(a.tangent), *value.shape))
    return Dual(value, tangent, a.run)


def reshape(a: Dual, *args: Any, **kwargs: Any) -> Dual:
    shape = kwargs.pop("shape", kwargs.pop("newshape", None))
    return a.reshape(*(args if shape is None else (shape,)), **kwargs)


def where(condition: Any, *branches: Any) -> Any:
    condition = value_of(condition)
    if not branches:
        return np.where(condition)
    a, b = branches
    if not any(isinstance(branch, Dual) for branch in branches):
        return np.where(condition, a, b)
    run, n = common(branches)
    a, b = as_dual(a, run, n), as_dual(b, run, n)
    value = np.where(condition, a.value, b.value)
    condition = np.broadcast_to(condition, value.shape)
    ta, tb = lifted(a.tangent, value.ndim), lifted(b.tangent, value.ndim)
    return Dual(value, np.where(condition, ta, tb), run)


def clip(a: Any, a_min: Any = None, a_max: Any = None, **kwargs: Any) -> Any:
    low, high = kwargs.pop("min", a_min), kwargs.pop("max", a_max)
    if kwargs:
        raise TypeError(f"numpy.clip: {', '.join(kwargs)}= has no rule for derivatives")
    result = a if low is None else np.maximum(a, low)
    return result if high is None else np.minimum(result, high)
