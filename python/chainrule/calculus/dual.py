"""`Dual`: an array of numbers that carries its derivatives through NumPy.

A dual number is a value and a tangent: how fast the value changes with each of n inputs. Every
operation makes both, the tangent by the exact rule, so the derivative is right to rounding. The
tangent has the n inputs on its first axis: shape (n, *shape of the value).

What has no rule raises TypeError. Nothing ever drops the tangent and goes on with the value alone:
float(x), math.sin(x), numpy.array([x[0]]) and assignment into a plain array are errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from numpy.lib.mixins import NDArrayOperatorsMixin

Array = npt.NDArray[np.float64]


class LostError(TypeError):
    """Something would have gone on with the value alone."""


class Run:
    """One differentiation: its duals must not meet those of another, and remember trouble."""

    def __init__(self) -> None:
        self.trouble: str | None = None


class Dual(NDArrayOperatorsMixin):
    """Values with tangents; the functions under `gradient` and `jacobian` receive one.

    It works like a NumPy array of float64 under arithmetic, comparison (by value), indexing,
    assignment, `if`, and the functions of NumPy that have a rule.

    Attributes
    ----------
    value : numpy.ndarray
        The numbers, without their derivatives.
    tangent : numpy.ndarray
        (n, *shape): derivatives by each of the n inputs.
    """

    __slots__ = ("run", "tangent", "value")
    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any, tangent: Any, run: Run) -> None:
        self.value: Array = np.asarray(value, np.float64)
        self.tangent: Array = np.asarray(tangent, np.float64)
        self.run = run

    # What an array has.

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def dtype(self) -> np.dtype[np.float64]:
        return self.value.dtype

    @property
    def T(self) -> Dual:
        return self.transpose()

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Dual]:
        if self.ndim == 0:
            raise TypeError("a single number cannot be iterated over")
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Dual({np.array2string(self.value, separator=', ', threshold=20)})"

    def __bool__(self) -> bool:
        return bool(self.value)

    # Indexing: basic indexing gives views, as in NumPy.

    def __getitem__(self, key: Any) -> Dual:
        key = _plain_key(key)
        if _is_basic(key):
            behind = key if isinstance(key, tuple) else (key,)
            whole = (slice(None), *behind)
            return Dual(self.value[key], self.tangent[whole], self.run)
        chosen = np.arange(self.size).reshape(self.shape)[key]
        n = len(self.tangent)
        return Dual(self.value[key], self.tangent.reshape(n, self.size)[:, chosen], self.run)

    def __setitem__(self, key: Any, new: Any) -> None:
        key = _plain_key(key)
        new = as_dual(new, self.run, len(self.tangent))
        shape = self.value[key].shape
        value = np.broadcast_to(new.value, shape)
        tangent = np.broadcast_to(lifted(new.tangent, len(shape)), (len(self.tangent), *shape))
        # x[1:] = x[:-1] must read before it writes.
        value, tangent = value.copy(), tangent.copy()
        self.value[key] = value
        for mine, its in zip(self.tangent, tangent, strict=True):
            mine[key] = its

    # What keeps the values in place or moves them.

    def reshape(self, *shape: Any, order: str = "C") -> Dual:
        if order != "C":
            raise TypeError("reshape of a Dual knows order 'C' only")
        if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)):
            shape = tuple(shape[0])
        value = self.value.reshape(shape)
        return Dual(value, self.tangent.reshape(len(self.tangent), *value.shape), self.run)

    def transpose(self, *axes: Any) -> Dual:
        if len(axes) == 1 and (axes[0] is None or not isinstance(axes[0], (int, np.integer))):
            axes = () if axes[0] is None else tuple(axes[0])
        order = [a % self.ndim for a in axes] if axes else list(range(self.ndim))[::-1]
        value = self.value.transpose(order)
        return Dual(value, self.tangent.transpose([0, *(a + 1 for a in order)]), self.run)

    def copy(self, order: str = "C") -> Dual:
        return Dual(self.value.copy(), self.tangent.copy(), self.run)

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Dual:
        return self.copy()

    def ravel(self, order: str = "C") -> Dual:
        return self.reshape(-1, order=order)

    def flatten(self, order: str = "C") -> Dual:
        return self.reshape(-1, order=order).copy()

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Dual:
        if np.dtype(dtype) != np.float64:
            raise TypeError(
                f"astype({np.dtype(dtype).name}) would lose the derivative; a Dual is float64"
            )
        return self.copy()

    def __getattr__(self, name: str) -> Any:
        from .dual_functions import METHODS  # noqa: PLC0415  # it stands on this module

        if name in METHODS:
            function = METHODS[name]
            return lambda *args, **kwargs: function(self, *args, **kwargs)
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"a Dual has no {name!r}: it is no plain array, so that no derivative gets lost"
        )

    # NumPy comes in here.

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .dual_rules import apply_ufunc  # noqa: PLC0415  # it stands on this module

        return apply_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from .dual_functions import FUNCTIONS  # noqa: PLC0415  # it stands on this module

        if func not in FUNCTIONS:
            name = f"{getattr(func, '__module__', 'numpy')}.{func.__name__}"
            raise TypeError(f"{name} has no rule for derivatives here; write it with simpler ones")
        return FUNCTIONS[func](*args, **kwargs)

    # What would lose the derivative.

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise LostError(
            "an array of plain numbers would lose the derivative. Join with numpy.stack instead of "
            "numpy.array, and assign into numpy.zeros_like(x) or x.copy() instead of numpy.zeros"
        )

    def _no_number(self, *args: Any) -> NoReturn:
        raise LostError(
            "a plain number would lose the derivative: use numpy.sin(x) instead of math.sin(x), "
            "no float(x) or int(x), and assign into numpy.zeros_like(x) instead of numpy.zeros"
        )

    __float__ = __int__ = __index__ = __complex__ = _no_number
    __round__ = __floor__ = __ceil__ = __trunc__ = _no_number


def as_dual(value: Any, run: Run, n: int) -> Dual:
    """The value as a Dual of this run; a constant gets tangents of zero."""
    if isinstance(value, Dual):
        if value.run is not run:
            raise TypeError(
                "a derivative inside of a derivative is not supported here; "
                "calculus.function(...).hessian() gives second derivatives"
            )
        return value
    value = plain(value)
    return Dual(value, np.zeros((n, *value.shape)), run)


def plain(value: Any) -> Array:
    """A constant operand as float64; anything but real numbers is refused."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"real numbers are needed beside a Dual, got {type(value).__name__} ({array.dtype})"
        )
    return array.astype(np.float64)


def common(operands: Any) -> tuple[Run, int]:
    """The run and the number of inputs of the duals among the operands."""
    first = next(operand for operand in operands if isinstance(operand, Dual))
    return first.run, len(first.tangent)


def lifted(tangent: Array, ndim: int) -> Array:
    """A tangent whose value takes part in an operation of `ndim` axes: ones behind the first."""
    missing = ndim + 1 - tangent.ndim
    return tangent.reshape(tangent.shape[0], *(1,) * missing, *tangent.shape[1:])


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    for a in axes:
        if not -ndim <= a < ndim:
            raise ValueError(f"axis {a} is out of range for {ndim} axes")
    return tuple(a % ndim for a in axes)


def float64_only(dtype: Any) -> None:
    if dtype is not None and np.dtype(dtype) != np.float64:
        raise TypeError(
            f"dtype={np.dtype(dtype).name} would lose the derivative; a Dual is float64"
        )


def _plain_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(_plain_key(k) for k in key)
    if isinstance(key, Dual):
        raise TypeError("an index must be whole numbers; a Dual is not")
    return key


def _is_basic(key: Any) -> bool:
    keys = key if isinstance(key, tuple) else (key,)
    return all(
        k is None
        or k is Ellipsis
        or isinstance(k, (slice, np.integer))
        or (isinstance(k, int) and not isinstance(k, bool))
        for k in keys
    )
