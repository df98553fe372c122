"""Which functions and methods of NumPy have a rule for arrays with derivatives: the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .dual import Dual, as_dual, float64_only
from .dual_moves import (
    broadcast_to,
    clip,
    expand_dims,
    moveaxis,
    mover,
    pad,
    reshape,
    splitter,
    squeeze,
    swapaxes,
    value_of,
    where,
)
from .dual_products import (
    bilinear,
    det,
    dot,
    einsum,
    inv,
    norm,
    outer,
    solve,
)
from .dual_sums import (
    average,
    cumprod,
    cumsum,
    diff,
    extreme_by,
    mean,
    prod,
    sort,
    std,
    sum_,
    var,
)


def _filled(number: float) -> Callable[..., Dual]:
    def like(
        a: Dual, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
    ) -> Dual:
        float64_only(dtype)
        shape = a.shape if shape is None else shape
        return as_dual(np.full(shape, number), a.run, len(a.tangent))

    return like


def full_like(a: Dual, fill_value: Any, dtype: Any = None, shape: Any = None) -> Dual:
    result = _filled(0.0)(a, dtype, shape=shape)
    result[...] = fill_value
    return result


def by_value(function: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*args: Any, **kwargs: Any) -> Any:
        return function(*map(value_of, args), **{k: value_of(v) for k, v in kwargs.items()})

    return ask


def _copy(a: Dual, order: str = "K", subok: bool = False) -> Dual:
    return a.copy()


_MOVERS: Sequence[Any] = (
    np.concatenate, np.stack, np.hstack, np.vstack, np.column_stack, np.dstack, np.flip, np.fliplr,
    np.flipud, np.rot90, np.roll, np.tile, np.repeat, np.take, np.delete, np.diag, np.diagonal,
    np.tril, np.triu, np.take_along_axis, np.atleast_1d, np.atleast_2d, np.resize,
)  # fmt: skip
_QUESTIONS: Sequence[Any] = (
    np.shape, np.ndim, np.size, np.argmax, np.argmin, np.argsort, np.nonzero, np.flatnonzero,
    np.any, np.all, np.allclose, np.isclose, np.array_equal, np.count_nonzero, np.searchsorted,
    np.array_repr, np.array_str, np.array2string, np.isscalar, np.iscomplexobj, np.isrealobj,
)  # fmt: skip

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{function: mover(function) for function in _MOVERS},
    **{function: by_value(function) for function in _QUESTIONS},
    **{f: splitter(f) for f in (np.split, np.array_split, np.hsplit, np.vsplit)},
    **{f: bilinear(f) for f in (np.vdot, np.inner, np.tensordot, np.kron, np.convolve, np.cross)},
    np.sum: sum_,
    np.mean: mean,
    np.average: average,
    np.var: var,
    np.std: std,
    np.prod: prod,
    np.cumsum: cumsum,
    np.cumprod: cumprod,
    np.max: extreme_by(np.argmax),
    np.min: extreme_by(np.argmin),
    np.sort: sort,
    np.diff: diff,
    np.pad: pad,
    np.moveaxis: moveaxis,
    np.swapaxes: swapaxes,
    np.squeeze: squeeze,
    np.expand_dims: expand_dims,
    np.broadcast_to: broadcast_to,
    np.reshape: reshape,
    np.transpose: lambda a, axes=None: a.transpose(axes),
    np.ravel: Dual.ravel,
    np.copy: _copy,
    np.where: where,
    np.clip: clip,
    np.dot: dot,
    np.outer: outer,
    np.einsum: einsum,
    np.trace: lambda a: np.sum(np.diagonal(a)),
    np.linalg.norm: norm,
    np.linalg.inv: inv,
    np.linalg.solve: solve,
    np.linalg.det: det,
    np.zeros_like: _filled(0.0),
    np.empty_like: _filled(0.0),
    np.ones_like: _filled(1.0),
    np.full_like: full_like,
}
for _old, _new in (("amax", np.max), ("amin", np.min)):
    FUNCTIONS.setdefault(getattr(np, _old), FUNCTIONS[_new])

_METHODS = (
    *("sum", "mean", "prod", "cumsum", "cumprod", "max", "min", "std", "var", "dot", "trace"),
    *("squeeze", "swapaxes", "clip", "diagonal", "repeat", "take", "any", "all", "nonzero"),
    *("argmax", "argmin", "argsort"),
)
METHODS: dict[str, Callable[..., Any]] = {
    **{name: FUNCTIONS[getattr(np, name)] for name in _METHODS},
    "conj": lambda a: a,
    "conjugate": lambda a: a,
}
