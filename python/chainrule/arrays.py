"""The one gate for arrays: what enters the core is C-contiguous, aligned, native and finite.

`as_matrix` takes whatever the user has (lists, views, other byte orders, other number types, tables
of pandas, polars and Arrow, tensors of other libraries) and gives a matrix of the network's dtype,
without a copy when it is one already. Called by `Network`, `Scaling` and `Trainer` for every array
argument.
"""

from __future__ import annotations

import warnings
from math import isfinite
from typing import Any

import numpy as np
from numpy import ndarray, vdot
from numpy.typing import NDArray

from .frames import NUMERIC, Column, Frame, frame_of, is_missing, quoted

Array = NDArray[Any]

_SMALL = 4096  # up to here one dot product is the cheapest look at every element
_EXACT = 2**53  # whole numbers up to here are exact in float64


def as_matrix(
    value: Any,
    name: str,
    dtype: Any,
    columns: int | None = None,
    rows: int | None = None,
    *,
    unit: str = "features",
    empty: bool = False,
    column: bool = False,
) -> Array:
    """A C-contiguous, aligned, native (rows, columns) matrix of `dtype` with finite elements.

    Parameters
    ----------
    value : array_like
        The argument as the user gave it. It is returned as it is when nothing has to change.
    name : str
        The name of the argument in messages.
    dtype : dtype_like
        float32 or float64.
    columns, rows : int, optional
        What the shape has to be; `rows` is the number of rows of X.
    unit : str
        What a column is: "features" of the input or "columns" of the output.
    empty : bool
        Accept zero rows.
    column : bool
        Accept a 1-D `value` as one column.

    Raises
    ------
    TypeError
        Objects, strings, dates, structured and other element types that are not numbers.
    ValueError
        Complex numbers, a wrong shape, a ragged list, an element that is not finite or that does
        not fit `dtype` (the first row and column are named).

    Warns
    -----
    UserWarning
        Whole numbers beyond 2**53 and long doubles lose precision.
    """
    if type(value) is ndarray and value.dtype == dtype:  # the usual case, kept below 1 us
        shape, flags = value.shape, value.flags
        if (
            len(shape) == 2
            and (columns is None or shape[1] == columns)
            and (shape[0] if rows is None else shape[0] == rows)
            and flags.c_contiguous
            and flags.aligned
            and value.size
            and all_finite(value)
        ):
            return value
    raw = as_ndarray(value, name)
    if column and raw.ndim == 1:
        raw = raw.reshape(-1, 1)
    _check_shape(raw, name, columns, rows, unit, empty)
    return _converted(raw, name, np.dtype(dtype))


def as_array(value: Any, name: str, dtype: Any, shape: tuple[int, ...]) -> Array:
    """Like `as_matrix`, for parameters: exactly `shape`, any number of dimensions."""
    raw = as_ndarray(value, name)
    if raw.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got shape {raw.shape}")
    return _converted(raw, name, np.dtype(dtype))


def as_ndarray(value: Any, name: str) -> Array:
    """`value` as a plain array of numbers (bool, whole or real), still of any shape and layout.

    A table or a column of pandas, polars or Arrow has no gap and no infinite number afterwards.
    """
    if type(value) is not ndarray:
        frame = frame_of(value)
        if frame is not None:
            return _from_frame(frame, value, name)
        value = _on_this_machine(value, name)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} has masked elements; fill them in first: {name}.filled(...)")
    try:
        raw: Array = np.asarray(value)
    except ValueError:
        _refuse_ragged(value, name)
        raise
    kind = raw.dtype.kind
    if kind in "fiub":
        return raw
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {raw.dtype}")
    if kind == "V" and raw.dtype.type.__module__ == "ml_dtypes":  # bfloat16 and smaller
        return raw.astype(np.float32)
    if kind == "O":
        _refuse_ragged(value, name)
        _refuse_missing_cells(raw, name)
        raise TypeError(
            f"{name} has object dtype (from {type(value).__name__}); numbers are needed: "
            f"convert with numpy.asarray({name}, dtype=float)"
        )
    hint = f"; encode text with {_encoder_of(name)}" if kind in "UT" else ""
    raise TypeError(f"{name} must hold numbers, got dtype {raw.dtype}{hint}")


def _encoder_of(name: str) -> str:
    """What turns text into numbers: of the targets, and of the inputs."""
    return "chainrule.Target" if name in {"Y", "validation_data[1]"} else "chainrule.Encoder"


def _from_frame(frame: Frame, value: Any, name: str) -> Array:
    """The numbers of a table (m, n) or of a column (m,); every refusal names the column."""
    if not frame.flat:
        quick = _plain_numbers(value)
        if quick is not None:
            return quick
    columns = [_numbers(frame.column(k), name) for k in range(len(frame.names))]
    if frame.flat:
        return columns[0]
    return np.column_stack(columns) if columns else np.zeros((len(frame), 0))


def _plain_numbers(value: Any) -> Array | None:
    """The matrix of a table whose columns are all plain finite numbers, in one look; else None."""
    dtypes = getattr(value, "dtypes", None)
    if dtypes is None or not all(isinstance(d, np.dtype) and d.kind == "f" for d in dtypes):
        return None
    raw: Array = value.to_numpy()
    return raw if np.isfinite(raw).all() else None


def _numbers(column: Column, name: str) -> Array:
    """The cells of one column as numbers, all finite."""
    where = f"{name}: column {quoted(column.name)}" if column.name else name
    if column.kind == "refused":
        raise TypeError(f"{where} {column.refusal}")
    if column.kind not in NUMERIC:
        row = int(np.argmin(column.missing))
        raise TypeError(
            f"{where} holds text such as {quoted(column.values[row])} in row {row}; "
            f"encode it with {_encoder_of(name)}, or leave the column out"
        )
    if column.missing.any():
        raise ValueError(missing_said(where, column.missing))
    values = column.values
    if column.kind == "real" and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"{where} must be finite, got {values[row]} in row {row}")
    if column.kind == "integer":
        _warn_of_lost_digits(values, where)
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def missing_said(where: str, missing: NDArray[np.bool_]) -> str:
    """What to say about the missing cells of a column, and the choices."""
    count, row = int(missing.sum()), int(np.argmax(missing))
    return (
        f"{where} has {count} missing value(s) in {len(missing)} rows, the first in row {row}; "
        "leave out these rows, fill them in, or use chainrule.Encoder with "
        'missing="mean", "indicator" or "drop"'
    )


def _refuse_missing_cells(raw: Array, name: str) -> None:
    """ValueError when an array of objects has a missing cell; nothing for other arrays."""
    if not 1 <= raw.ndim <= 2:
        return
    columns = raw.reshape(len(raw), -1)
    for k in range(columns.shape[1]):
        missing = np.fromiter(map(is_missing, columns[:, k]), bool, len(raw))
        if missing.any() and not all(isinstance(cell, str) for cell in columns[missing, k]):
            where = f"{name}: column {k}" if raw.ndim == 2 else name
            raise ValueError(missing_said(where, missing))


_CPU = frozenset({1, 3, 11, 13})  # DLPack's numbers of memory that the CPU reads: plain and pinned


def _on_this_machine(value: Any, name: str) -> Any:
    """A tensor of another library as something that NumPy reads; other values as they are."""
    if not hasattr(value, "__dlpack__"):
        if hasattr(value, "toarray") and hasattr(value, "nnz"):
            raise TypeError(
                f"{name} is a sparse {type(value).__name__}; pass {name}.toarray() when it fits "
                "in memory"
            )
        return value
    if getattr(value, "requires_grad", False) is True:
        raise ValueError(
            f"{name} is a tensor that requires a gradient, which would be lost here; "
            f"pass {name}.detach()"
        )
    device = getattr(value, "device", "another device")
    try:
        kind = int(value.__dlpack_device__()[0])
    except (AttributeError, TypeError, ValueError):  # torch's meta device has no number
        kind = 1 if str(device) == "cpu" else 0
    if kind not in _CPU:
        raise ValueError(
            f"{name} lies on {device}, not in the memory of the CPU; copy it there first, such as "
            f"{name}.cpu() in PyTorch or jax.device_get({name})"
        )
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # exact in float32
        return value.float()
    if str(getattr(value, "layout", "torch.strided")) != "torch.strided":
        raise TypeError(f"{name} is a sparse tensor; pass {name}.to_dense()")
    return value if hasattr(value, "__array__") else np.from_dlpack(value)


def all_finite(array: Array) -> bool:
    """Whether no element is NaN or infinite; `array` is C-contiguous."""
    if array.size <= _SMALL and isfinite(vdot(array, array)):
        return True
    # The dot product of large finite elements overflows: look at each.
    return bool(np.isfinite(array).all())


def first_not_finite(array: Array) -> tuple[int, ...]:
    """The index of the first element that is not finite; there has to be one."""
    where = np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape)
    return tuple(int(i) for i in where)


def check_out(out: Any, shape: tuple[int, ...], dtype: Any, others: dict[str, Array]) -> None:
    """Refuse an `out` that the core cannot fill, or that shares memory with one of `others`."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy.ndarray, got {type(out).__name__}")
    if out.dtype != dtype:
        raise ValueError(f"out must have dtype {np.dtype(dtype)}, got {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got shape {out.shape}")
    if not out.flags.writeable:
        raise ValueError("out must be writable, got a read-only array")
    if not (out.flags.c_contiguous and out.flags.aligned):
        raise ValueError(f"out must be C-contiguous and aligned, got strides {out.strides}")
    for name, other in others.items():
        if np.may_share_memory(out, other):
            raise ValueError(f"out must not share memory with {name}")


def _check_shape(
    raw: Array, name: str, columns: int | None, rows: int | None, unit: str, empty: bool
) -> None:
    if raw.ndim != 2:
        hint = (
            f"; use {name}.reshape(-1, 1) for one column or {name}.reshape(1, -1) for one row"
            if raw.ndim == 1
            else ""
        )
        raise ValueError(f"{name}: expected 2-D, got shape {raw.shape} (rows are samples){hint}")
    if raw.shape[0] == 0 and not empty:
        raise ValueError(f"{name} has 0 sample(s), shape {raw.shape}; at least 1 is needed")
    if raw.shape[1] == 0:
        raise ValueError(f"{name} has 0 feature(s), shape {raw.shape}; at least 1 is needed")
    if columns is not None and raw.shape[1] != columns:
        side = "input" if unit == "features" else "output"
        raise ValueError(
            f"{name} has {raw.shape[1]} {unit}, but Network is expecting {columns} {unit} as {side}"
        )
    if rows is not None and raw.shape[0] != rows:
        raise ValueError(
            f"{name} has {raw.shape[0]} rows, but X has {rows} rows; they must be equal"
        )


def _converted(raw: Array, name: str, dtype: np.dtype[Any]) -> Array:
    """`raw` in the dtype and layout of the core, finite."""
    _warn_of_lost_digits(raw, name)
    with np.errstate(over="ignore", invalid="ignore"):
        array: Array = np.require(raw, dtype=dtype, requirements=["C", "A"])
    if raw.dtype.kind == "f" and not all_finite(array):
        where = first_not_finite(array)
        _refuse_not_finite(raw[where], name, where, dtype)
    return array


def _refuse_not_finite(
    element: Any, name: str, where: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    place = f"({where[0]}, {where[1]}) (row, column)" if len(where) == 2 else f"index {where}"
    if np.isfinite(element):
        raise ValueError(
            f"{name} at {place} is {element}, beyond the largest {dtype} "
            f"({np.finfo(dtype).max}); scale the data"
        )
    hint = "; a missing value? Leave out its row or fill it in" if np.isnan(element) else ""
    raise ValueError(f"{name} must be finite, got {element} at {place}{hint}")


def _warn_of_lost_digits(raw: Array, name: str) -> None:
    if raw.dtype.kind == "f":
        if raw.dtype.itemsize > 8:
            _warn(f"{name} has dtype {raw.dtype}; it is narrowed and loses precision")
    elif raw.dtype.kind in "iu" and raw.dtype.itemsize == 8 and raw.size:
        largest = max(int(raw.max()), -int(raw.min()))
        if largest > _EXACT:
            _warn(
                f"{name} has whole numbers beyond 2**53 (the largest is {largest} in size); "
                "they lose precision"
            )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=5)


def _refuse_ragged(value: Any, name: str) -> None:
    """ValueError naming the first row whose length differs; nothing for other values."""
    if not isinstance(value, (list, tuple)) or not value:
        return
    first = _length(value[0])
    for i, row in enumerate(value):
        length = _length(row)
        if length != first:
            raise ValueError(
                f"{name} is ragged: row {i} has {_said(length)}, row 0 has {_said(first)}"
            )
    for i, row in enumerate(value):
        _refuse_ragged(row, f"{name}[{i}]")


def _length(row: Any) -> int | None:
    """Number of elements of a row; None for a single number."""
    if isinstance(row, (list, tuple)):
        return len(row)
    shape = getattr(row, "shape", ())
    return int(shape[0]) if shape else None


def _said(length: int | None) -> str:
    return "a single element" if length is None else f"{length} elements"
