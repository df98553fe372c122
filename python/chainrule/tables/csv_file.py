"""CSV files (RFC 4180): commas, double quotes, UTF-8, the first row names the columns."""

from __future__ import annotations

import csv
import errno
import math
import os
import stat
from array import array
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..errors import FormatError
from ..frames import Column, Frame
from ..frames import quoted as show
from .cells import PLAIN_ROW, column, refusal
from .names import Table, checked_names, hint_names, pick
from .plain_csv import read_plain, shared

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINE_LIMIT = 1 << 24  # bytes; a file without line ends must not fill the memory
BATCH = 10_000  # rows that are turned into columns together

_ENCODINGS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def read_csv(path: Path, wanted: tuple[str, ...] | None, text: tuple[str, ...]) -> Table:
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        rows = records(file, path)
        names = next(rows)[1]
        picked, position = pick(path, names, wanted, text)
        numeric = [position[name] for name in picked]
        strings = [position[name] for name in text]
        body = file.tell()
        file.seek(0)
        header_lines = file.read(body).count(b"\n")
        plain = read_plain(file, len(names), numeric, strings, LINE_LIMIT)
        if plain is not None:
            texts, matrix, m = plain
            lines = np.arange(m) + header_lines + 1
        else:
            file.seek(body)
            texts, matrix, lines = _read_rows(rows, path, picked, numeric, strings)
        if file.tell() != size:
            raise FormatError(f"{path}: changed while reading; try again")
    if not len(lines):
        raise FormatError(f"{path}: no data rows, only a header" + hint_names(names))
    columns = dict(zip(text, map(tuple, texts), strict=True))
    return Table(picked, matrix, columns, str(path), lines)


def _read_rows(
    rows: Iterator[tuple[int, tuple[str, ...]]],
    path: Path,
    picked: Sequence[str],
    numeric: Sequence[int],
    text: Sequence[int],
) -> tuple[list[list[str]], NDArray[np.float64], NDArray[np.int64]]:
    """Read row by row, so that the first mistake in the file is the one that is told."""
    take = _taker(numeric)
    texts: list[list[str]] = [[] for _ in text]
    known: dict[str, str] = {}
    values, lines = array("d"), array("q")
    batch: list[tuple[str, ...]] = []

    def spill() -> None:
        by_column = list(zip(*batch, strict=True))
        for cells, k in zip(texts, text, strict=True):
            cells.extend(shared(map(str.strip, by_column[k]), known))
        batch.clear()

    for line, row in rows:
        if numeric:
            values.extend(_row_of_numbers(take(row), path, line, picked))
        if text:
            batch.append(row)
            if len(batch) == BATCH:
                spill()
        lines.append(line)
    if batch:
        spill()
    matrix = np.frombuffer(values, np.float64) if values else np.zeros(0)
    where = np.frombuffer(lines, np.int64) if lines else np.zeros(0, np.int64)
    return texts, matrix.reshape(len(lines), len(picked)), where


def _row_of_numbers(
    cells: Sequence[str], path: Path, line: int, names: Sequence[str]
) -> Sequence[float]:
    if PLAIN_ROW.fullmatch(",".join(cells)):
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


def _taker(positions: Sequence[int]) -> Any:
    """Return a function row -> the cells at these positions."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda row: [row[k] for k in positions]


def records(file: BinaryIO, path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
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
            names = checked_names(path, row, line)
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


def open_file(path: Path) -> BinaryIO:
    file = path.open("rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


# --- by columns -----------------------------------------------------------------------------------


def header_of_csv(path: Path) -> tuple[str, ...]:
    """The names of the columns."""
    with open_file(path) as file:
        return next(records(file, path))[1]


def frame_of_csv(path: Path, wanted: tuple[str, ...] | None) -> Frame:
    """The columns of a file, in the order asked for."""
    names = header_of_csv(path) if wanted is None else wanted
    table = read_csv(path, (), names)
    texts, lines = table.text, table.lines

    def place(row: int) -> str:
        return f"line {lines[row]}"

    def maker(name: str) -> Callable[[], Column]:
        return lambda: column(name, texts[name], place)

    return Frame(names, [maker(name) for name in names], len(lines), str(path), lines, "line")


def lines_of_csv(table: Frame) -> Iterator[str]:
    """The lines of a CSV file, without their ends, first the header."""
    columns = [_written(table.column(k)) for k in range(len(table.names))]
    yield ",".join(map(_cell, table.names))
    yield from map(",".join, zip(*columns, strict=True))


def _written(column: Column) -> list[str]:
    """The cells of a column as they stand in the file."""
    if column.kind == "refused":
        raise ValueError(f"column {show(column.name)} {column.refusal}")
    if column.kind == "real":  # the shortest text that reads back as the same bits of this dtype
        cells = column.values.astype(str).tolist()
        return ["" if gap else cell for cell, gap in zip(cells, column.missing, strict=True)]
    return ["" if text is None else _cell(text) for text in column.texts().tolist()]


def _cell(text: str) -> str:
    """Write text as a CSV cell that a spreadsheet does not take for a formula."""
    if text.startswith(("=", "+", "-", "@", "\t", "\r")) and refusal(text):
        text = "'" + text
    if any(mark in text for mark in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text
