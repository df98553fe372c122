"""`Column` and `Frame`: cells of one kind with their gaps, and columns with names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError

NUMERIC = ("real", "integer", "boolean")
CATEGORICAL = ("text", "category")


@dataclass(frozen=True, eq=False)
class Column:
    """One column: m cells of one kind.

    Attributes
    ----------
    name : str
    kind : {"real", "integer", "boolean", "text", "category", "refused"}
        "category" is text with a list of levels in their own order.
    values : ndarray, shape (m,)
        Numbers, truth values, or (dtype object) str; what stands in a missing cell says nothing.
    missing : ndarray of bool, shape (m,)
        None, NA, NaN, null and empty text.
    levels : tuple of str
        Of a category.
    refusal : str
        For "refused": what the column holds and what to do, to follow "column 'x' ".
    cells : ndarray of str, or None
        For a column of a CSV file, what is written there.
    """

    name: str
    kind: str
    values: NDArray[Any]
    missing: NDArray[np.bool_]
    levels: tuple[str, ...] = ()
    refusal: str = ""
    cells: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.missing)

    def take(self, rows: Any) -> Column:
        """The same column with these rows."""
        cells = None if self.cells is None else self.cells[rows]
        values = self.values[rows] if len(self.values) else self.values
        return replace(self, values=values, missing=self.missing[rows], cells=cells)

    def numbers(self) -> NDArray[np.float64]:
        """Numbers and truth values (0, 1) as float64 (m,), NaN where missing."""
        numbers = self.values.astype(np.float64)
        numbers[self.missing] = np.nan
        return numbers

    def texts(self) -> NDArray[Any]:
        """Every cell as text, dtype object (m,), None where missing."""
        if self.cells is not None:
            texts = self.cells.astype(object)
        elif self.kind in CATEGORICAL:
            texts = self.values.copy()
        else:
            texts = np.empty(len(self), object)
            texts[:] = [spelled(value) for value in self.values.tolist()]
        texts[self.missing] = None
        return texts


class Frame:
    """A table: columns with names, in order, converted when they are first looked at.

    Parameters
    ----------
    names : iterable
        The names of the columns; those that are not str are written as str.
    make : sequence of callables
        For each column, what makes its `Column`.
    m : int
        Number of rows.
    path : str
        The file it came from, "" for none.
    lines : ndarray of int, shape (m,), optional
        For each row where it stands in the file; default is its number, from 0.
    unit : str
        What `lines` counts: "line" of a CSV file, "row".
    flat : bool
        It is one column without a table.
    """

    __slots__ = ("_columns", "_make", "_places", "flat", "lines", "m", "names", "path", "unit")

    def __init__(
        self,
        names: Iterable[Any],
        make: Sequence[Callable[[], Column]],
        m: int,
        path: str = "",
        lines: NDArray[np.int64] | None = None,
        unit: str = "row",
        flat: bool = False,
    ) -> None:
        self.names = tuple(map(str, names))
        self._make = tuple(make)
        self._columns: dict[int, Column] = {}
        self._places: dict[str, list[int]] = {}
        for k, name in enumerate(self.names):
            self._places.setdefault(name, []).append(k)
        self.m, self.path, self.unit, self.flat = m, path, unit, flat
        self.lines = np.arange(m) if lines is None else lines

    def __len__(self) -> int:
        return self.m

    def column(self, k: int) -> Column:
        """The column at position k, from 0."""
        if k not in self._columns:
            self._columns[k] = self._make[k]()
        return self._columns[k]

    def __getitem__(self, name: str) -> Column:
        """The column of that name; ValueError when there is none or more than one."""
        return self.column(self.position(name))

    def position(self, name: str) -> int:
        """Where the column of that name is; ValueError when there is none or more than one."""
        places = self._places.get(name)
        if places is None:
            raise self.error(f"no column {quoted(name)}; the table has {listing(self.names)}")
        if len(places) > 1:
            raise self.error(
                f"columns {places[0] + 1} and {places[1] + 1} are both named {quoted(name)}; "
                "rename one"
            )
        return places[0]

    def take(self, rows: Any) -> Frame:
        """The table of these rows (numbers, or a mask), which keep their place in messages."""
        rows = np.asarray(rows)
        rows = rows if rows.dtype == bool else rows.astype(np.int64)
        lines = self.lines[rows]

        def maker(k: int) -> Callable[[], Column]:
            return lambda: self.column(k).take(rows)

        make = [maker(k) for k in range(len(self.names))]
        return Frame(self.names, make, len(lines), self.path, lines, self.unit, self.flat)

    def place(self, row: int) -> str:
        """How a message calls a row."""
        return f"{self.unit} {self.lines[row]}"

    def error(self, text: str) -> ValueError:
        """What to raise about this table: FormatError with the path for a file."""
        return FormatError(f"{self.path}: {text}") if self.path else ValueError(text)

    def __repr__(self) -> str:
        return f"Frame: {self.m} rows, {len(self.names)} columns: {listing(self.names)}"


def spelled(value: Any) -> str:
    """A cell as text: whole numbers without a point, other numbers as short as they read back."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, (Real, Decimal)):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 2**63 else repr(number)
    return str(value)


def quoted(text: str, width: int = 40) -> str:
    """Quote text from a table for a message: short, and no control character gets through."""
    return repr(text if len(text) <= width else text[: width - 3] + "...")


def listing(names: Sequence[str], most: int = 20) -> str:
    """List names for a message, the first few of many."""
    said = ", ".join(quoted(name)[1:-1] for name in names[:most])
    return said if len(names) <= most else f"{said}, ... ({len(names)} in all)"
