"""Tables: read CSV and Parquet into a float64 matrix, strictly, and split the rows in two.

Called by the command line; of use to anyone with a CSV file. A cell is a number exactly when it is
a plain decimal number: nothing is guessed, converted or skipped, and every refusal names the file,
the line and the column. Two tables come with the package, `diabetes` and `digits`.
"""

from __future__ import annotations

import csv
import errno
import importlib
import math
import os
import re
import stat
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ._core import permutation
from .errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGED: Mapping[str, str] = {"diabetes": "progression", "digits": "digit"}
"""The tables that come with the package, and the target column of each."""

COLUMN_LIMIT = 100_000
LINE_LIMIT = 1 << 24  # bytes; a file without line ends must not fill the memory

# Of these characters Python's float() makes nothing but plain decimal numbers: no 1_000, no nan,
# no digits of other scripts. So one test per row stands in for one per cell.
_PLAIN_ROW = re.compile(r"[0-9+\-.eE \t,]*")
_ALMOST_NUMBER = re.compile(r"[+-]?(nan|inf(inity)?|0x[0-9a-f]+|\d[\d_]*([.,][\d_]*)*(e[+-]?\d+)?)")
_ENCODINGS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers under named columns.

    Attributes
    ----------
    columns : tuple of str
        Names of the n columns of `values`.
    values : ndarray of float64, shape (m, n)
        The numbers, all of them finite.
    text : mapping of str to tuple of str
        Columns that were asked for as text, m cells each, spaces around them removed.
    path : str
        Where the table was read from.
    lines : ndarray of int64, shape (m,)
        For each row the line of the file on which it starts, from 1; for Parquet the row, from 1.
    """

    columns: tuple[str, ...]
    values: NDArray[np.float64]
    text: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: str = ""
    lines: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.values)


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
    if _is_parquet(path):
        return _read_parquet(path, wanted, tuple(text))
    return _read_csv(path, wanted, tuple(text))


def header(source: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read the column names alone. Arguments and errors as for `read`."""
    path = locate(source)
    if _is_parquet(path):
        return _names(path, _open_parquet(path).schema_arrow.names)
    with _open(path) as file:
        return next(_records(file, path))[1]


def locate(source: str | os.PathLike[str]) -> Path:
    """Return the file behind a path or the name of a packaged table; OSError when there is none."""
    if str(source) in PACKAGED:
        return Path(__file__).parent / "data" / f"{source}.csv"
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


def numbers(cells: Sequence[str]) -> NDArray[np.float64]:
    """Read cells as numbers by the rules of `read`.

    Parameters
    ----------
    cells : sequence of str, length m

    Returns
    -------
    ndarray of float64, shape (m,)

    Raises
    ------
    NotANumber
        `index` of the first cell that is none, and why.
    """
    values = array("d")
    for index, cell in enumerate(cells):
        reason = refusal(cell)
        if reason:
            raise NotANumber(index, reason)
        values.append(float(cell))
    return np.frombuffer(values, dtype=np.float64) if values else np.zeros(0)


class NotANumber(ValueError):
    """A cell that is not a number; `index` says which of those given to `numbers`."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def refusal(cell: str) -> str:
    """Say why a cell is not a number: '' when it is one."""
    bare = cell.strip(" \t")
    if not bare:
        return "the cell is empty; fill it, or leave out the row or the column"
    if _PLAIN_ROW.fullmatch(bare):
        try:
            if math.isfinite(float(bare)):
                return ""
            return f"{show(bare)} is too large for float64, whose largest number is 1.8e308"
        except ValueError:
            pass
    if bare.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
        return f"{show(bare)} is not a finite number; fill it, or leave out the row or the column"
    if re.fullmatch(r"[+-]?\d+,\d+", bare, re.ASCII):
        return f"{show(bare)} has a decimal comma; write {bare.replace(',', '.')}"
    if looks_like_number(bare):
        return f"{show(bare)} is not a plain decimal number such as -1.5 or 2e-3"
    return f"{show(bare)} is not a number"


def looks_like_number(cell: str) -> bool:
    """Say whether a cell is a number or was surely meant as one (1,5, nan, 1_000, 0x10)."""
    return _ALMOST_NUMBER.fullmatch(cell.strip(" \t").lower()) is not None


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


def show(text: str, width: int = 40) -> str:
    """Quote text from a file for a message: short, and no control character reaches a terminal."""
    return repr(text if len(text) <= width else text[: width - 3] + "...")


# --- CSV ------------------------------------------------------------------------------------------


def _read_csv(path: Path, wanted: tuple[str, ...] | None, text: tuple[str, ...]) -> Table:
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        records = _records(file, path)
        names = next(records)[1]
        picked, position = _pick(path, names, wanted, text)
        take = _taker([position[name] for name in picked])
        texts: dict[str, list[str]] = {name: [] for name in text}
        known: dict[str, str] = {}  # a label that repeats is stored once
        values, lines = array("d"), array("q")
        for line, row in records:
            cells = take(row)
            values.extend(_row_of_numbers(cells, path, line, picked))
            for name, column in texts.items():
                cell = row[position[name]].strip()
                column.append(known.setdefault(cell, cell))
            lines.append(line)
        if file.tell() != size:
            raise FormatError(f"{path}: changed while reading; try again")
    if not lines:
        raise FormatError(f"{path}: no data rows, only a header" + _hint_names(names))
    matrix = np.frombuffer(values, np.float64) if values else np.zeros(0)
    return Table(
        picked,
        matrix.reshape(len(lines), len(picked)),
        {name: tuple(cells) for name, cells in texts.items()},
        str(path),
        np.frombuffer(lines, np.int64),
    )


def _row_of_numbers(
    cells: Sequence[str], path: Path, line: int, names: Sequence[str]
) -> Sequence[float]:
    if _PLAIN_ROW.fullmatch(",".join(cells)):
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            pass
        else:
            if math.inf not in row and -math.inf not in row:
                return row
    for name, cell in zip(names, cells, strict=True):
        reason = refusal(cell)
        if reason:
            raise FormatError(f"{path}, line {line}, column {show(name)}: {reason}")
    raise AssertionError(cells)  # what the quick test refuses, the slow one refuses too


def _taker(positions: list[int]) -> Any:
    """Return a function row -> the cells at these positions."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda row: [row[k] for k in positions]


def _records(file: BinaryIO, path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield (line, names) and then (line, cells) for each row; blank lines are passed over."""
    lines = _Lines(file, path)
    reader = csv.reader(lines, strict=True)
    names: tuple[str, ...] | None = None
    while True:
        line = lines.number + 1
        lines.record.clear()
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise FormatError(_csv_refusal(path, line, lines, str(error))) from None
        if not row or (len(row) == 1 and len(names or "ab") > 1 and not row[0].strip()):
            continue
        if names is None:
            names = _names(path, row, line)
            yield line, names
        elif len(row) != len(names):
            raise FormatError(
                f"{path}, line {line}: {len(row)} field(s), expected {len(names)} as in the header"
            )
        else:
            yield line, tuple(row)
    if names is None:
        raise FormatError(f"{path}: no data rows, the file is empty")


class _Lines:
    """Physical lines of a file as text, counted; refuses what is not UTF-8 with LF or CRLF."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path = file, path
        self.number = 0
        self.offset = 0
        self.record: list[str] = []  # the lines of the row that is being read

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        raw = self.file.readline(LINE_LIMIT + 1)
        if not raw:
            raise StopIteration
        self.number += 1
        start, self.offset = self.offset, self.offset + len(raw)
        if len(raw) > LINE_LIMIT:
            raise self._error(f"longer than {LINE_LIMIT} bytes")
        if start == 0:
            for mark, name in _ENCODINGS:
                if raw.startswith(mark):
                    raise self._error(f"the file is {name}, not UTF-8; save it as UTF-8")
            if raw.startswith(b"\xef\xbb\xbf"):
                raw, start = raw[3:], 3
        if b"\0" in raw:
            raise self._error("a NUL byte; a UTF-16 or binary file? Only UTF-8 text is read")
        if raw.endswith((b"\r", b"\r\r\n")):
            raise self._error(_LONE_CR)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            at = start + error.start
            byte = raw[error.start]
            raise self._error(
                f"not UTF-8 at byte {at} of the file (0x{byte:02x}); save it as UTF-8"
            ) from None
        self.record.append(text)
        return text

    def _error(self, reason: str) -> FormatError:
        return FormatError(f"{self.path}, line {self.number}: {reason}")


_LONE_CR = "a carriage return without a line feed; save the file with LF or CRLF line ends"


def _csv_refusal(path: Path, line: int, lines: _Lines, reason: str) -> str:
    """Turn the csv module's complaint about the row that starts at `line` into one that helps."""
    opened = _open_quote(lines.record, line)
    if reason.startswith("new-line character"):
        return f"{path}, line {line}: {_LONE_CR}"
    if reason.startswith("field larger"):
        hint = f"; is the quote opened at line {opened} ever closed?" if opened else ""
        return f"{path}, line {line}: field longer than {csv.field_size_limit()} characters{hint}"
    if reason.startswith("unexpected end") and opened:
        return f"{path}, line {opened}: the quote opened here is never closed"
    return f"{path}, line {lines.number}: {reason}"


def _open_quote(record: list[str], line: int) -> int:
    """Return the line on which the quote opened that is still open at the end; 0 for none."""
    opened = 0
    for number, text in enumerate(record, start=line):
        for _ in range(text.replace('""', "").count('"')):
            opened = 0 if opened else number
    return opened


def _open(path: Path) -> BinaryIO:
    file = path.open("rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


# --- columns --------------------------------------------------------------------------------------


def _names(path: Path, row: Sequence[str], line: int | None = None) -> tuple[str, ...]:
    """Check the first row as column names."""
    where = str(path) if line is None else f"{path}, line {line}"
    names = tuple(name.strip() for name in row)
    if len(names) > COLUMN_LIMIT:
        raise FormatError(f"{where}: {len(names)} columns, at most {COLUMN_LIMIT} are read")
    if line is not None and all(looks_like_number(name) for name in names):
        raise FormatError(
            f"{where}: the first row must name the columns, and this one holds only numbers; "
            "write a line such as x1,x2,y above it"
        )
    for index, name in enumerate(names):
        if not name:
            raise FormatError(
                f"{where}: column {index + 1} of {len(names)} has no name"
                + ("; an index column? pandas leaves it out with index=False" * (index == 0))
            )
    if len(set(names)) < len(names):
        seen: dict[str, int] = {}
        for index, name in enumerate(names, start=1):
            if name in seen:
                raise FormatError(
                    f"{where}: columns {seen[name]} and {index} are both named {show(name)}"
                )
            seen[name] = index
    return names


def _pick(
    path: Path, names: tuple[str, ...], wanted: tuple[str, ...] | None, text: tuple[str, ...]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the columns to read as numbers, and where each column is."""
    position = {name: index for index, name in enumerate(names)}
    picked = tuple(name for name in names if name not in text) if wanted is None else wanted
    missing = [name for name in (*picked, *text) if name not in position]
    if missing:
        raise FormatError(
            f"{path}: no column {', '.join(map(show, missing[:5]))}"
            + (f" and {len(missing) - 5} more" * (len(missing) > 5))
            + f"; it has {listing(names)}"
            + _hint_names(names)
        )
    return picked, position


def listing(names: Sequence[str], most: int = 20) -> str:
    """List column names for a message, the first few of many."""
    shown = ", ".join(show(name)[1:-1] for name in names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"


def _hint_names(names: Sequence[str]) -> str:
    """Hint at another separator when the header is one long name."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and mark in names[0]:
            return f" (are the fields separated by {name}? Only commas are read)"
    return ""


# --- Parquet --------------------------------------------------------------------------------------


def _is_parquet(path: Path) -> bool:
    with _open(path) as file:
        return file.read(4) == b"PAR1" or path.suffix in {".parquet", ".pq"}


def _open_parquet(path: Path) -> Any:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ImportError(f"{path}: reading Parquet needs pyarrow: pip install pyarrow") from None
    try:
        return parquet.ParquetFile(path)
    except (ValueError, OSError) as error:  # pyarrow's errors derive from these
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> FormatError:
    return FormatError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})")


def _read_parquet(path: Path, wanted: tuple[str, ...] | None, text: tuple[str, ...]) -> Table:
    file = _open_parquet(path)
    names = _names(path, file.schema_arrow.names)
    picked, _ = _pick(path, names, wanted, text)
    try:
        content = file.read(columns=[*picked, *text])
    except (ValueError, OSError) as error:
        raise _damaged(path, error) from None
    m = content.num_rows
    if m == 0:
        raise FormatError(f"{path}: no data rows")
    values = np.empty((m, len(picked)))
    for k, name in enumerate(picked):
        values[:, k] = _parquet_numbers(path, name, content.column(name))
    texts = {name: _parquet_text(path, name, content.column(name)) for name in text}
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
