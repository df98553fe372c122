"""Products of arrays and linear algebra, for arrays with derivatives.

A product is linear in each of its arrays, so it is applied to their tangents in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .dual import Dual, as_dual, axes_of, common, lifted, plain

Array = npt.NDArray[Any]


def bilinear(function: Callable[..., Any]) -> Callable[..., Dual]:
    def multiply(*operands: Any, **kwargs: Any) -> Dual:
        if kwargs.get("out") is not None:
            raise TypeError(f"numpy.{function.__name__}: out= has no rule for derivatives")
        run, n = common(operands)
        values = [as_dual(o, run, n).value if isinstance(o, Dual) else o for o in operands]
        value = np.asarray(function(*values, **kwargs), np.float64)
        tangent = np.zeros((n, *value.shape))
        for i, operand in enumerate(operands):
            if isinstance(operand, Dual):
                before, after = values[:i], values[i + 1 :]
                parts = [function(*before, t, *after, **kwargs) for t in operand.tangent]
                tangent += np.stack([np.asarray(part, np.float64) for part in parts])
        return Dual(value, tangent, run)

    return multiply


def matmul(a: Any, b: Any) -> Dual:
    run, n = common([a, b])
    va, vb = (o.value if isinstance(o, Dual) else plain(o) for o in (a, b))
    value = np.asarray(va @ vb)
    tangent = np.zeros((n, *value.shape))
    # Vectors become matrices, so that the axis of the tangents can stand in front as a batch.
    ndim = max(va.ndim, vb.ndim, 2)
    row, column = va[None] if va.ndim == 1 else va, vb[:, None] if vb.ndim == 1 else vb
    if isinstance(a, Dual):
        t = as_dual(a, run, n).tangent
        t = t[:, None] if va.ndim == 1 else t
        tangent += (lifted(t, ndim) @ column).reshape(tangent.shape)
    if isinstance(b, Dual):
        t = as_dual(b, run, n).tangent
        t = t[..., None] if vb.ndim == 1 else t
        tangent += (row @ lifted(t, ndim)).reshape(tangent.shape)
    return Dual(value, tangent, run)


def dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    if np.ndim(a) <= 2 and np.ndim(b) <= 2:
        return matmul(a, b)
    return bilinear(np.dot)(a, b)


def vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    return np.sum(np.multiply(a, b), axis=axis)


def outer(a: Any, b: Any) -> Any:
    return np.ravel(a)[:, None] * np.ravel(b)[None, :]


def einsum(subscripts: Any, *operands: Any, **kwargs: Any) -> Dual:
    if not isinstance(subscripts, str):
        raise TypeError("numpy.einsum: the subscripts must be a str beside a Dual")

    def contract(*arrays: Any) -> Any:
        return np.einsum(subscripts, *arrays, **kwargs)

    return bilinear(contract)(*operands)


# Linear algebra.


def norm(x: Dual, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    vector = x.ndim == 1 if axis is None else not isinstance(axis, tuple)
    if ord is None or (ord == 2 and vector) or (ord == "fro" and not vector):
        value = np.linalg.norm(x.value, ord, axis, keepdims)
        with np.errstate(all="ignore"):
            whole = np.linalg.norm(x.value, ord, axis, keepdims=True)
            unit = x.value / whole
            axes = tuple(i + 1 for i in axes_of(axis, x.ndim))
            tangent = (unit * x.tangent).sum(axis=axes, keepdims=keepdims)
        result = Dual(value, tangent, x.run)
        if (
            x.run.trouble is None
            and not np.isfinite(tangent).all()
            and np.isfinite(x.tangent).all()
        ):
            x.run.trouble = "numpy.linalg.norm of a vector of zeros"
        return result
    if vector and ord == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    if vector and ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(np.abs(x), axis=axis, keepdims=keepdims)
    raise TypeError(f"numpy.linalg.norm with ord={ord!r} has no rule for derivatives here")


def inv(a: Dual) -> Dual:
    _square(a, "inv")
    inverse = np.linalg.inv(a.value)
    return Dual(inverse, -inverse @ a.tangent @ inverse, a.run)


def solve(a: Any, b: Any) -> Dual:
    run, n = common([a, b])
    a, b = as_dual(a, run, n), as_dual(b, run, n)
    _square(a, "solve")
    if b.ndim not in (1, 2):
        raise TypeError("numpy.linalg.solve: b must have one axis or two beside a Dual")
    x = np.linalg.solve(a.value, b.value)
    right = b.tangent - a.tangent @ x
    tangent = np.stack([np.linalg.solve(a.value, t) for t in right])
    return Dual(x, tangent, run)


def det(a: Dual) -> Dual:
    _square(a, "det")
    value = np.linalg.det(a.value)
    if value == 0:
        raise ValueError("numpy.linalg.det: no rule for the derivative at a singular matrix")
    inverse = np.linalg.inv(a.value)
    return Dual(value, value * np.einsum("ij,nji->n", inverse, a.tangent), a.run)


def _square(a: Dual, name: str) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise TypeError(f"numpy.linalg.{name} has a rule for one square matrix, got {a.shape}")
