"""`Encoder`: from the columns of a table to X."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import one_of, shown
from ..frames import Frame, listing
from ..tables import COLUMN_LIMIT, frame
from .arguments import column_names, different, keys, reading
from .gaps import complete_rows, refuse_gaps
from .inputs import Category, Input, Number, input_of_json, learnt

Matrix = NDArray[np.float64]
MISSING = ("error", "mean", "indicator", "drop")
UNKNOWN = ("error", "ignore")


@dataclass(frozen=True, repr=False)
class Encoder:
    """From the columns of a table to the columns of X, as learnt from the training rows.

    Made by `Encoder.fit`. Numbers stay, truth values become 0 and 1, and text becomes one column of
    0 and 1 for each of its levels (one-hot). It never changes, and two that do the same are equal.

    Parameters
    ----------
    inputs : tuple of Number or Category
        One for each column of the table that is used, in order.
    missing : {"error", "mean", "indicator", "drop"}
    handle_unknown : {"error", "ignore"}

    Examples
    --------
    >>> table = {"city": ["Rome", "Oslo", "Rome"], "rooms": [2, 3, 4]}
    >>> encoder = Encoder.fit(table)
    >>> encoder
    Encoder 2 columns -> 3 inputs: city (2 levels), rooms
    >>> encoder.names
    ('city=Oslo', 'city=Rome', 'rooms')
    >>> encoder.transform({"rooms": [5], "city": ["Oslo"]})
    array([[1., 0., 5.]])
    """

    inputs: tuple[Input, ...]
    missing: str = "error"
    handle_unknown: str = "error"

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        for part in self.inputs:
            if not isinstance(part, (Number, Category)):
                raise TypeError(
                    f"inputs must be of Number and Category, got {shown(part)} "
                    f"({type(part).__name__})"
                )
        different(self.features, "inputs")
        one_of(self.missing, "missing", MISSING)
        one_of(self.handle_unknown, "handle_unknown", UNKNOWN)

    @classmethod
    def fit(
        cls,
        table: Any,
        features: Iterable[str] | None = None,
        categorical: Iterable[str] = (),
        *,
        exclude: Iterable[str] = (),
        missing: str = "error",
        handle_unknown: str = "error",
    ) -> Encoder:
        """Learn the levels and the means from the training rows.

        Parameters
        ----------
        table : table
            A DataFrame of pandas or polars, an Arrow table, a dict of columns, the path of a CSV or
            Parquet file, or a `tables.Frame`.
        features : iterable of str, optional
            The columns to use, in this order. Default: all but those of `exclude`.
        categorical : iterable of str
            Columns of numbers or truth values whose values are levels, such as a code. Columns of
            text and of a categorical type are categorical without being named.
        exclude : iterable of str
            Columns to leave out, such as the target.
        missing : {"error", "mean", "indicator", "drop"}
            What to do with a missing cell (None, NA, NaN, null, empty text), now and in
            `transform`. "error": refuse it, naming column and count. "mean": numbers take the mean
            of the training rows, and of text the missing cells are a level of their own.
            "indicator": the same, and each column of numbers with missing cells in the training
            rows has beside it a column of 0 and 1. "drop": leave out the row; see `kept`.
        handle_unknown : {"error", "ignore"}
            A level that the training rows did not have: refuse it, or let all columns of X for
            that category be 0.

        Raises
        ------
        TypeError, ValueError
            An argument is not as above; a column is absent or twice there, has no value at all,
            holds dates, mixed types or numbers that are not finite, or is text without end (more
            levels than half the rows; name it in `categorical` if it is meant).
        FormatError, OSError, ImportError
            The file cannot be read; see `tables.frame`.
        """
        one_of(missing, "missing", MISSING)
        one_of(handle_unknown, "handle_unknown", UNKNOWN)
        table = frame(table)
        excluded = column_names(exclude, "exclude")
        chosen = column_names(categorical, "categorical")
        asked = table.names if features is None else column_names(features, "features")
        unwanted = set(excluded)
        picked = tuple(name for name in asked if name not in unwanted)
        for name in (*picked, *chosen, *excluded):
            table.position(name)
        astray = [name for name in chosen if name not in set(picked)]
        if astray:
            raise ValueError(f"categorical: {listing(astray)} is not among the features")
        if not picked:
            raise table.error("no column is left for the input")
        if not len(table):
            raise table.error("the table has 0 rows; at least 1 is needed")
        if missing == "drop":
            rows = complete_rows(table, picked)
            if not len(rows):
                gaps = {name: table[name].missing for name in picked}
                refuse_gaps(table, gaps, "every row has one: leave out a column, or fill them in")
            table = table.take(rows)
        elif missing == "error":
            refuse_gaps(table, {name: table[name].missing for name in picked})
        inputs = tuple(learnt(table, name, name in chosen, missing) for name in picked)
        if sum(len(part.names) for part in inputs) > COLUMN_LIMIT:
            raise table.error(f"more than {COLUMN_LIMIT} columns of X")
        return cls(inputs, missing, handle_unknown)

    @property
    def features(self) -> tuple[str, ...]:
        """The columns of the table that are used."""
        return tuple(part.name for part in self.inputs)

    @property
    def names(self) -> tuple[str, ...]:
        """The n names of the columns of X, such as "rooms" and "city=Rome"."""
        return tuple(name for part in self.inputs for name in part.names)

    def kept(self, table: Any) -> NDArray[np.int64]:
        """The numbers, from 0, of the rows that `transform` keeps: all, unless missing="drop"."""
        table = self._checked(table)
        if self.missing != "drop":
            return np.arange(len(table))
        return complete_rows(table, self.features)

    def transform(self, table: Any) -> Matrix:
        """X for the rows of a table.

        Parameters
        ----------
        table : table
            As for `fit`. Columns are found by name, in any order; others are not looked at.

        Returns
        -------
        ndarray of float64, shape (m, n), C order
            With missing="drop" only the rows that `kept` names.

        Raises
        ------
        ValueError
            A column is absent, of another kind than it was, has a missing cell or an unknown level
            that was to be an error, or a number that is not finite.
        FormatError, OSError, ImportError
            The file cannot be read; see `tables.frame`.
        """
        table = self._checked(table)
        if self.missing == "drop":
            table = table.take(complete_rows(table, self.features))
        columns = [table[name] for name in self.features]
        pairs = list(zip(self.inputs, columns, strict=True))
        if self.missing == "error" or self.handle_unknown == "error":
            refuse_gaps(table, {part.name: part.missing(column) for part, column in pairs})
        X = np.empty((len(table), len(self.names)))
        k = 0
        for part, column in pairs:
            width = len(part.names)
            X[:, k : k + width] = part.encoded(table, column, self.handle_unknown)
            k += width
        return X

    def as_json(self) -> dict[str, Any]:
        """A dict that JSON can hold, for `net.metadata`; see `from_json`."""
        return {
            "inputs": [part.as_json() for part in self.inputs],
            "missing": self.missing,
            "handle_unknown": self.handle_unknown,
        }

    @classmethod
    def from_json(cls, value: Any) -> Encoder:
        """The encoder that `as_json` described; FormatError for anything else."""
        with reading("encoder"):
            keys(value, "inputs", "missing", "handle_unknown")
            if not isinstance(value["inputs"], list) or not value["inputs"]:
                raise ValueError("inputs must be a list")
            return cls(
                tuple(map(input_of_json, value["inputs"])),
                value["missing"],
                value["handle_unknown"],
            )

    def __repr__(self) -> str:
        text = f"Encoder {len(self.inputs)} columns -> {len(self.names)} inputs: "
        text += ", ".join(map(str, self.inputs[:10]))
        text += ", ..." * (len(self.inputs) > 10)
        if self.missing != "error":
            text += f" | missing: {self.missing}"
        if self.handle_unknown != "error":
            text += f" | unknown levels: {self.handle_unknown}"
        return textwrap.fill(text, 79, subsequent_indent="  ", break_long_words=False)

    def _checked(self, source: Any) -> Frame:
        table = frame(source)
        there = set(table.names)
        absent = [name for name in self.features if name not in there]
        if absent:
            raise table.error(
                f"missing {len(absent)} of the {len(self.features)} columns that the model needs: "
                f"{listing(absent, 5)}; the table has {listing(table.names)}"
            )
        return table
