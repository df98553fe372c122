"""Tables: CSV and Parquet files, and tables in memory; strictly read, and split in two.

`frame` gives one view of all of them, by columns: numbers, truth values, text, and what is missing.
`read` gives a float64 matrix. A cell of a file is a number exactly when it is a plain decimal
number: nothing is guessed, converted or skipped, and every refusal names the file, the line and the
column. `write` writes columns. Two tables come with the package, `diabetes` and `digits`. Called by
`Encoder` and by the command line; of use to anyone with a CSV file.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import permutation
from ..errors import shown
from ..frames import Column, Frame, frame_of, frame_of_arrays, listing
from ..frames import quoted as show
from .cells import NotANumber, is_number, looks_like_number, numbers, refusal
from .csv_file import frame_of_csv, header_of_csv, lines_of_csv, read_csv
from .names import COLUMN_LIMIT, Table
from .parquet_file import (
    frame_of_parquet,
    header_of_parquet,
    is_parquet,
    read_parquet,
    write_parquet,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "COLUMN_LIMIT",
    "PACKAGED",
    "Column",
    "Frame",
    "NotANumber",
    "Table",
    "csv_lines",
    "frame",
    "header",
    "is_number",
    "listing",
    "locate",
    "looks_like_number",
    "numbers",
    "read",
    "refusal",
    "show",
    "split",
    "write",
]

PACKAGED: Mapping[str, str] = {"diabetes": "progression", "digits": "digit"}
"""The tables that come with the package, and the target column of each."""


def frame(table: Any, columns: Iterable[str] | None = None) -> Frame:
    """View any table by its columns.

    Parameters
    ----------
    table : table
        A DataFrame of pandas or polars, an Arrow table or record batch, whatever exports Arrow
        streams, a Series with a name, a dict of columns, a structured array; or a file as for
        `read`. A `Frame` is returned as it is.
    columns : iterable of str, optional
        Of a file, the columns to read; others are not looked at.

    Returns
    -------
    Frame

    Raises
    ------
    TypeError, ValueError
        It is no table, or a dict with columns of different lengths.
    FormatError, OSError, ImportError
        As for `read`.

    Notes
    -----
    A column of a CSV file holds numbers when every cell is one (whole numbers unless one is not, or
    all are written with a point), truth values when every cell is true or false, and text
    otherwise. A blank cell is missing, and in a column of numbers or truth values so is NA, N/A,
    NaN, null or None. A column of which half or more are numbers, and others are not, has no kind:
    using it is an error that names the first of the others. The index that pandas stores in a
    Parquet file is left out.
    """
    if isinstance(table, Frame):
        return table
    if isinstance(table, (str, os.PathLike)):
        path = locate(table)
        wanted = None if columns is None else tuple(columns)
        return frame_of_parquet(path, wanted) if is_parquet(path) else frame_of_csv(path, wanted)
    if isinstance(table, Mapping):
        return frame_of_arrays(table)
    if isinstance(table, np.ndarray) and table.dtype.names and table.ndim == 1:
        return frame_of_arrays({name: table[name] for name in table.dtype.names})
    found = frame_of(table)
    if found is None or (found.flat and not found.names[0]):
        raise TypeError(
            "table must be a DataFrame, an Arrow table, a dict of columns or the path of a file; "
            f"got {shown(table)} ({type(table).__name__}), whose columns have no names"
        )
    return found


def read(
    source: str | os.PathLike[str],
    columns: Iterable[str] | None = None,
    text: Iterable[str] = (),
) -> Table:
    """Read a table.

    Parameters
    ----------
    source : path or name
        A CSV file (RFC 4180: commas, double quotes, UTF-8, the first row names the columns), a
        Parquet file (needs pyarrow), or the name of a packaged table. A name that is packaged
        means that table; a file of the same name is reached as ``./diabetes``.
    columns : iterable of str, optional
        The columns to read as numbers, in this order. Default: all that are not in `text`. Columns
        in neither are not looked at.
    text : iterable of str
        Columns to keep as text.

    Returns
    -------
    Table

    Raises
    ------
    FormatError
        The content is not such a table: the message has path, line, column and what was found.
    OSError
        No such file, a directory, a device, or reading failed.
    ImportError
        A Parquet file, and pyarrow is not installed.

    Notes
    -----
    A field may be as long as ``csv.field_size_limit()`` says, by default 131 072 characters.
    """
    path = locate(source)
    wanted = None if columns is None else tuple(columns)
    if is_parquet(path):
        return read_parquet(path, wanted, tuple(text))
    return read_csv(path, wanted, tuple(text))


def header(source: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read the column names alone. Arguments and errors as for `read`."""
    path = locate(source)
    return header_of_parquet(path) if is_parquet(path) else header_of_csv(path)


def locate(source: str | os.PathLike[str]) -> Path:
    """Return the file behind a path or the name of a packaged table; OSError when there is none."""
    if str(source) in PACKAGED:
        return Path(__file__).parent.parent / "data" / f"{source}.csv"
    path = Path(source)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        reason = "no such file"
        if not path.suffix:
            reason += f", and the packaged tables are {' and '.join(PACKAGED)}"
        raise FileNotFoundError(errno.ENOENT, reason, str(path)) from None
    except ValueError as error:  # a NUL in the name
        raise FileNotFoundError(errno.ENOENT, str(error), str(path)) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a directory, not a file", str(path))
    if not stat.S_ISREG(mode):
        # a pipe may never answer and /dev/zero never ends
        raise OSError(errno.EINVAL, "a device, pipe or socket, not a regular file", str(path))
    return path


def split(m: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide the rows 0..m-1 at random: the same arguments always give the same division.

    Parameters
    ----------
    m : int
        Number of rows.
    fraction : float
        Share of the rows to hold out, in [0, 1). The count is rounded; unless the share is 0, at
        least one row is held out and at least one remains.
    seed : int
        Any non-negative number.

    Returns
    -------
    train, validation : ndarray of int64
        Row numbers, ascending.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction: got {fraction!r}, allowed is 0 <= fraction < 1")
    held = 0 if fraction == 0 else min(max(round(m * fraction), 1), m - 1)
    if m < 1 or (fraction > 0 and held < 1):
        raise ValueError(f"{m} row(s) cannot be split into training and held-out rows")
    order = np.asarray(permutation(seed, 0, m))
    return np.sort(order[held:]), np.sort(order[:held])


def write(path: str | os.PathLike[str], table: Any) -> None:
    """Write a table to a file, which takes the place of an older one when it is whole.

    Parameters
    ----------
    path : path
        Ends in .csv, .parquet or .pq (needs pyarrow).
    table : table
        As for `frame`, such as a dict of columns. In a CSV file a number reads back as the same
        bits, truth values are true and false, a missing cell is empty, and text that a spreadsheet
        would take for a formula has a ' before it.

    Raises
    ------
    TypeError, ValueError
        Another suffix, no table, or a column that is neither numbers nor text.
    ImportError
        A Parquet file, and pyarrow is not installed.
    OSError
        The file cannot be written; an old one is left as it was.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in {".csv", ".parquet", ".pq"}:
        raise ValueError(f"path must end in .csv, .parquet or .pq, got {shown(str(target))}")
    content = frame(table)
    temporary = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        if suffix == ".csv":
            with temporary.open("w", encoding="utf-8", newline="") as file:
                file.writelines(f"{line}\n" for line in lines_of_csv(content))
        else:
            write_parquet(temporary, content, target)
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def csv_lines(table: Any) -> Iterator[str]:
    """The lines that `write` puts into a CSV file, without their ends, first the header."""
    return lines_of_csv(frame(table))
