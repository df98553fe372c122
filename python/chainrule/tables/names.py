"""The names of a file's columns, and the table of numbers that `read` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import FormatError
from ..frames import listing
from ..frames import quoted as show
from .cells import looks_like_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMN_LIMIT = 100_000


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


def checked_names(path: Path, row: Sequence[str], line: int | None = None) -> tuple[str, ...]:
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


def pick(
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
            + hint_names(names)
        )
    return picked, position


def hint_names(names: Sequence[str]) -> str:
    """Hint at another separator when the header is one long name."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and mark in names[0]:
            return f" (are the fields separated by {name}? Only commas are read)"
    return ""
