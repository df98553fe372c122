"""Parquet files, through pyarrow (extra `parquet`)."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FormatError
from ..frames import Column, Frame, arrow_column
from ..frames import quoted as show
from .csv_file import open_file
from .names import Table, checked_names, pick

if TYPE_CHECKING:
    from numpy.typing import NDArray


_NEEDED = "{path}: {what} Parquet needs pyarrow (chainrule[parquet]): pip install pyarrow"


def is_parquet(path: Path) -> bool:
    with open_file(path) as file:
        return file.read(4) == b"PAR1" or path.suffix in {".parquet", ".pq"}


def open_parquet(path: Path) -> Any:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ImportError(_NEEDED.format(path=path, what="reading")) from None
    try:
        return parquet.ParquetFile(path)
    except (ValueError, OSError) as error:  # pyarrow's errors derive from these
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> FormatError:
    return FormatError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})")


def _content(
    path: Path, wanted: tuple[str, ...] | None, text: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], dict[str, Any], int]:
    """The names wanted, these columns and those of `text`, and the number of rows."""
    file = open_parquet(path)
    raw = _without_index(file.schema_arrow.names)
    names = checked_names(path, raw)
    picked, position = pick(path, names, wanted, text)
    stored = {name: raw[position[name]] for name in (*picked, *text)}
    try:
        content = file.read(columns=list(stored.values()))
    except (ValueError, OSError) as error:
        raise _damaged(path, error) from None
    if content.num_rows == 0:
        raise FormatError(f"{path}: no data rows")
    columns = {name: content.column(inside) for name, inside in stored.items()}
    return picked, columns, content.num_rows


def read_parquet(path: Path, wanted: tuple[str, ...] | None, text: tuple[str, ...]) -> Table:
    picked, columns, m = _content(path, wanted, text)
    values = np.empty((m, len(picked)))
    for k, name in enumerate(picked):
        values[:, k] = _parquet_numbers(path, name, columns[name])
    texts = {name: _parquet_text(path, name, columns[name]) for name in text}
    return Table(picked, values, texts, str(path), np.arange(1, m + 1, dtype=np.int64))


def _parquet_numbers(path: Path, name: str, column: Any) -> NDArray[np.float64]:
    types = importlib.import_module("pyarrow").types
    kind = column.type
    plain = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    if not any(is_kind(kind) for is_kind in plain):
        raise FormatError(f"{path}, column {show(name)}: type {kind}, expected numbers")
    _refuse_nulls(path, name, column)
    values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise FormatError(
            f"{path}, row {bad[0] + 1}, column {show(name)}: "
            f"{values[bad[0]]} is not a finite number"
        )
    return values


def _parquet_text(path: Path, name: str, column: Any) -> tuple[str, ...]:
    _refuse_nulls(path, name, column)
    cells = column.to_pylist()
    if cells and not isinstance(cells[0], (str, bool, int, float)):
        raise FormatError(f"{path}, column {show(name)}: type {column.type}, expected text")
    return tuple(str(int(cell) if isinstance(cell, bool) else cell).strip() for cell in cells)


def _refuse_nulls(path: Path, name: str, column: Any) -> None:
    if column.null_count:
        row = column.is_null().index(True).as_py() + 1
        raise FormatError(f"{path}, row {row}, column {show(name)}: the cell is empty (null)")


# --- by columns -----------------------------------------------------------------------------------


def header_of_parquet(path: Path) -> tuple[str, ...]:
    """The names of the columns, without the index of pandas."""
    return checked_names(path, _without_index(open_parquet(path).schema_arrow.names))


def frame_of_parquet(path: Path, wanted: tuple[str, ...] | None) -> Frame:
    """The columns of a file, in the order asked for."""
    names, columns, m = _content(path, wanted)
    arrow = importlib.import_module("pyarrow")

    def maker(name: str) -> Callable[[], Column]:
        return lambda: arrow_column(arrow, name, columns[name])

    lines = np.arange(1, m + 1, dtype=np.int64)
    return Frame(names, [maker(name) for name in names], m, str(path), lines)


def write_parquet(path: Path, table: Frame, target: Path) -> None:
    """Write the columns of a table to `path`, which an error calls `target`."""
    try:
        arrow, parquet = map(importlib.import_module, ("pyarrow", "pyarrow.parquet"))
    except ImportError:
        raise ImportError(_NEEDED.format(path=target, what="writing")) from None
    arrays = []
    for k in range(len(table.names)):
        column = table.column(k)
        if column.kind == "refused":
            raise ValueError(f"column {show(column.name)} {column.refusal}")
        arrays.append(arrow.array(column.values, mask=column.missing))
    parquet.write_table(arrow.table(arrays, names=list(table.names)), path)


def _without_index(names: list[str]) -> list[str]:
    return [name for name in names if not re.fullmatch(r"__index_level_\d+__", name)]
