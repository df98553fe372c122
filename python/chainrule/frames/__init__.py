"""Named columns of any table in memory: pandas, polars, Arrow, a dict of arrays; and their gaps.

`frame_of` gives one `Frame` for all of them, whose columns are numbers, truth values or text, with
a mark for each missing cell. No library is imported: an object of pandas can only come from a
program that has loaded pandas. Called by the gate for arrays, by `tables` and by `Encoder`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import shown
from .cells import column_of_array, column_of_cells, is_missing
from .frame import CATEGORICAL, NUMERIC, Column, Frame, listing, quoted, spelled
from .libraries import READERS, arrow_column

__all__ = [
    "CATEGORICAL",
    "NUMERIC",
    "Column",
    "Frame",
    "arrow_column",
    "column_of_array",
    "column_of_cells",
    "frame_of",
    "frame_of_arrays",
    "is_missing",
    "listing",
    "quoted",
    "spelled",
]


def frame_of(value: Any) -> Frame | None:
    """The table or column `value` as a Frame; None when it is neither.

    Tables are a DataFrame of pandas or polars, an Arrow table or record batch and whatever exports
    Arrow streams. Columns are a Series, an Arrow array or chunked array, an array of pandas.

    Raises
    ------
    TypeError
        A table that has not been computed, such as a LazyFrame.
    """
    if isinstance(value, (np.ndarray, list, tuple, float, int, str)):
        return None
    owners = {ancestor.__module__.partition(".")[0] for ancestor in type(value).__mro__}
    for library, read in READERS.items():
        if library in owners:
            frame = read(sys.modules[library], value)
            if frame is not None:
                return frame
    if hasattr(value, "__arrow_c_stream__"):
        try:
            arrow = importlib.import_module("pyarrow")
        except ImportError:
            raise ImportError(
                f'reading a {type(value).__name__} needs pyarrow: pip install "chainrule[parquet]"'
            ) from None
        return READERS["pyarrow"](arrow, arrow.table(value))
    return None


def frame_of_arrays(columns: Mapping[Any, Any]) -> Frame:
    """The Frame of a dict of columns: arrays, lists, Series.

    Raises
    ------
    ValueError
        Columns of different lengths, or one that is not 1-D.
    """
    frames = []
    for name, cells in columns.items():
        frame = frame_of(cells)
        if frame is None or not frame.flat:
            frame = _from_cells(str(name), cells)
        frames.append(frame)
    sizes = {str(name): len(frame) for name, frame in zip(columns, frames, strict=True)}
    for name, size in sizes.items():
        first = next(iter(sizes))
        if size != sizes[first]:
            raise ValueError(
                f"column {quoted(name)} has {size} rows, but column {quoted(first)} has "
                f"{sizes[first]}; they must be equal"
            )

    def maker(name: str, frame: Frame) -> Callable[[], Column]:
        return lambda: replace(frame.column(0), name=name)

    make = [maker(str(name), frame) for name, frame in zip(columns, frames, strict=True)]
    return Frame(columns, make, next(iter(sizes.values()), 0))


def _from_cells(name: str, cells: Any) -> Frame:
    if isinstance(cells, (str, bytes, Mapping)) or not (
        hasattr(cells, "__array__") or hasattr(cells, "__len__")
    ):
        raise ValueError(
            f"column {quoted(name)} must be an array or a list, got {shown(cells)} "
            f"({type(cells).__name__})"
        )
    if isinstance(cells, (list, tuple)):
        # An array of mixed cells would turn numbers into text.
        return Frame([name], [lambda: column_of_cells(name, cells)], len(cells), flat=True)
    array = np.asarray(cells)
    if array.ndim != 1:
        raise ValueError(f"column {quoted(name)} must be 1-D, got shape {array.shape}")
    return Frame([name], [lambda: column_of_array(name, array)], len(array), flat=True)
