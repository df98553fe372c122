"""Plain CSV: no quotes, and every line a row of the right length; read many rows at a time.

What is not plain is left to `csv_file`, which reads row by row and finds the words for a mistake.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from .cells import plain_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 1 << 20  # bytes that are looked at together
_SPACES = bytes(code for code in range(128) if chr(code).isspace() and chr(code) != "\n")
_SAMPLE = 1000

Columns = tuple[list[list[str]], "NDArray[np.float64]", int]


class _NotPlainError(Exception):
    """Somebody else has to read this file."""


def read_plain(
    file: BinaryIO, width: int, numeric: Sequence[int], text: Sequence[int], line_limit: int
) -> Columns | None:
    """Read the rows that follow, or return None when a line is not plain or a cell no number.

    Parameters
    ----------
    file : binary file
        Stands behind the header.
    width : int
        Columns of the file.
    numeric, text : sequence of int
        Where the columns are that are read as numbers and as text, from 0.
    line_limit : int
        Bytes of the longest line that is read.

    Returns
    -------
    texts : list of list of str, one for each of `text`, without spaces around the cells
    values : ndarray of float64, shape (m, len(numeric))
    m : int
    """
    texts: list[list[str]] = [[] for _ in text]
    known: dict[str, str] = {}  # a label that repeats is stored once
    parts: list[NDArray[np.float64]] = []
    m = 0
    try:
        for cells, bare in _blocks(file, width, line_limit):
            rows = len(cells) // width
            matrix = np.empty((rows, len(numeric)))
            for j, k in enumerate(numeric):
                values = plain_numbers(cells[k::width])
                if values is None:
                    return None
                matrix[:, j] = values
            parts.append(matrix)
            for column, k in zip(texts, text, strict=True):
                part = cells[k::width]
                column.extend(shared(part if bare else map(str.strip, part), known))
            m += rows
    except _NotPlainError:
        return None
    return texts, np.concatenate(parts) if parts else np.empty((0, len(numeric))), m


def shared(cells: Iterable[str], known: dict[str, str]) -> list[str]:
    """The same cells, equal ones as one object when a sample has many that are equal."""
    cells = list(cells)
    sample = cells[:_SAMPLE]
    if 2 * len(set(sample)) > len(sample):
        return cells
    return list(map(known.setdefault, cells, cells))


def _blocks(file: BinaryIO, width: int, line_limit: int) -> Iterator[tuple[list[str], bool]]:
    """The cells of some rows, row after row, and whether none has a space around it."""
    longest = min(line_limit, csv.field_size_limit())
    while block := file.read(BLOCK):
        if not block.endswith(b"\n"):
            block += file.readline(line_limit + 1)
        if b'"' in block or b"\0" in block:
            raise _NotPlainError
        if b"\r" in block:
            if block.count(b"\r") != block.count(b"\r\n"):
                raise _NotPlainError
            block = block.replace(b"\r\n", b"\n")
        try:
            text = block.removesuffix(b"\n").decode("utf-8")
        except UnicodeDecodeError:
            raise _NotPlainError from None
        lines = text.split("\n")
        lengths = [len(line) for line in lines]
        if 4 * max(lengths) + 2 > longest or not min(lengths):  # a character has up to 4 bytes
            raise _NotPlainError
        if any(line.count(",") != width - 1 for line in lines):
            raise _NotPlainError
        bare = block.isascii() and len(block.translate(None, _SPACES)) == len(block)
        yield text.replace("\n", ",").split(","), bare
