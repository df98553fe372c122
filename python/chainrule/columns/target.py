"""`Target`: from the target columns of a table to Y, and back to labels."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import one_of, shown
from ..frames import CATEGORICAL, Column, Frame, listing, quoted, spelled
from ..tables import frame
from .arguments import column_names, different, keys, reading
from .cells import codes_of, levels_of, numbers_of, unknown_level, usable
from .gaps import complete_rows, without_gaps

Matrix = NDArray[np.float64]
Class = str | bool | int | float
TASKS = ("regression", "classification")
MOST_CLASSES, ROWS_PER_CLASS = 20, 5  # whole numbers within these are classes


@dataclass(frozen=True, repr=False)
class Target:
    """From the target columns of a table to Y and back, as learnt from the training rows.

    Made by `Target.fit`. It never changes, and two that do the same are equal.

    Parameters
    ----------
    columns : tuple of str
        The columns of the table: one for a classification.
    classes : tuple of str, bool, int or float
        Of a classification, in the order of the network's outputs; () for a regression.
    missing : {"error", "drop"}

    Examples
    --------
    >>> target = Target.fit({"kind": ["b", "a", "b", "a"]}, "kind")
    >>> target
    Target kind: classification, 2 classes: a, b
    >>> target.transform({"kind": ["a", "b"]})
    array([0, 1])
    >>> target.labels([1, 0])
    array(['b', 'a'], dtype=object)
    """

    columns: tuple[str, ...]
    classes: tuple[Class, ...] = ()
    missing: str = "error"

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", column_names(self.columns, "columns"))
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.columns:
            raise ValueError("columns must name at least one column")
        if self.classes:
            if len(self.columns) > 1:
                raise ValueError("a classification has one target column")
            if len(self.classes) < 2:
                raise ValueError(f"a classification needs two classes, got {list(self.classes)}")
            if not all(isinstance(label, (str, int, float)) for label in self.classes):
                raise TypeError("classes must be str, bool, int or float")
            different(tuple(map(spelled, self.classes)), "classes")
        one_of(self.missing, "missing", ("error", "drop"))

    @classmethod
    def fit(
        cls,
        table: Any,
        columns: str | Iterable[str],
        task: str | None = None,
        *,
        missing: str = "error",
    ) -> Target:
        """Decide the task and learn the classes from the training rows.

        Parameters
        ----------
        table : table
            As for `Encoder.fit`.
        columns : str or iterable of str
            The target; several make a regression with several outputs.
        task : {"regression", "classification"}, optional
            Default: text, categories and truth values are classes, real numbers a regression. Whole
            numbers are classes when there are 2 to 20 different ones, each in 5 rows or more on
            average, and a regression otherwise.
        missing : {"error", "drop"}
            Refuse missing cells, or leave out their rows; see `kept`.

        Raises
        ------
        TypeError, ValueError
            An argument is not as above; a column is absent or twice there, is text in a regression,
            has a single class, holds dates or mixed types. Text with more different labels than
            half the rows is refused unless `task` says that they are classes.
        FormatError, OSError, ImportError
            The file cannot be read; see `tables.frame`.
        """
        if task is not None:
            one_of(task, "task", TASKS)
        one_of(missing, "missing", ("error", "drop"))
        table = frame(table)
        names = column_names([columns] if isinstance(columns, str) else columns, "columns")
        for name in names:
            table.position(name)
        if not names:
            raise ValueError("columns must name at least one column")
        table = without_gaps(table, names, missing)
        if not len(table):
            raise table.error(f"no row has a value of the target {listing(names)}")
        if len(names) > 1 or task == "regression":
            if task == "classification":
                raise ValueError(f"a classification has one target column, got {listing(names)}")
            for name in names:
                numbers_of(table, table[name])
            return cls(names, (), missing)
        column = usable(table, table[names[0]])
        classes = _classes(column)
        if task is None and not _is_classification(table, column, len(classes)):
            numbers_of(table, column)
            return cls(names, (), missing)
        if len(classes) < 2:
            raise table.error(
                f"the target {quoted(column.name)} is {shown(classes[0])} in every row; "
                "a classification needs two classes"
            )
        return cls(names, classes, missing)

    @property
    def task(self) -> str:
        """ "regression" or "classification"."""
        return "classification" if self.classes else "regression"

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the network's outputs mean: the columns, or the classes as text."""
        return tuple(map(spelled, self.classes)) if self.classes else self.columns

    def kept(self, table: Any) -> NDArray[np.int64]:
        """The numbers, from 0, of the rows that `transform` keeps: all, unless missing="drop"."""
        table = frame(table)
        return (
            complete_rows(table, self.columns) if self.missing == "drop" else np.arange(len(table))
        )

    def transform(self, table: Any) -> NDArray[Any]:
        """Y for the rows of a table.

        Returns
        -------
        ndarray
            Regression: float64 (m, n_L), the columns. Classification: int64 (m,), the numbers of
            the classes, from 0. With missing="drop" only the rows that `kept` names.

        Raises
        ------
        ValueError
            A column is absent, has a missing cell, a number that is not finite, or a class that the
            training rows did not have.
        FormatError, OSError, ImportError
            The file cannot be read; see `tables.frame`.
        """
        table = without_gaps(frame(table), self.columns, self.missing)
        if not self.classes:
            return np.column_stack([numbers_of(table, table[name]) for name in self.columns])
        column = usable(table, table[self.columns[0]])
        texts, levels = column.texts(), tuple(map(spelled, self.classes))
        codes = codes_of(texts, levels)
        if (codes < 0).any():
            raise unknown_level(
                table, column.name, texts, codes < 0, f"{len(levels)} classes", levels
            )
        return codes

    def labels(self, indices: Any) -> NDArray[Any]:
        """The classes of these numbers (m,): dtype bool, int64 or float64, or object for text.

        Raises
        ------
        ValueError
            It is a regression.
        """
        if not self.classes:
            raise ValueError("a regression has no classes")
        plain = {type(label) for label in self.classes}
        dtype = {bool: np.bool_, int: np.int64, float: np.float64}.get(next(iter(plain)), object)
        classes: NDArray[Any] = np.array(self.classes, dtype if len(plain) == 1 else object)
        labels: NDArray[Any] = classes[np.asarray(indices)]
        return labels

    def as_json(self) -> dict[str, Any]:
        """A dict that JSON can hold, for `net.metadata`; see `from_json`."""
        return {
            "columns": list(self.columns),
            "classes": list(self.classes),
            "missing": self.missing,
        }

    @classmethod
    def from_json(cls, value: Any) -> Target:
        """The target that `as_json` described; FormatError for anything else."""
        with reading("target"):
            keys(value, "columns", "classes", "missing")
            columns, classes = value["columns"], value["classes"]
            if not isinstance(columns, list) or not isinstance(classes, list):
                raise ValueError("columns and classes must be lists")
            if not all(isinstance(name, str) for name in columns):
                raise ValueError("columns must be text")
            for label in classes:
                if isinstance(label, float) and not math.isfinite(label):
                    raise ValueError("classes must be finite")
            return cls(tuple(columns), tuple(classes), value["missing"])

    def __repr__(self) -> str:
        text = f"Target {listing(self.columns, 10)}: {self.task}"
        if self.classes:
            text += f", {len(self.classes)} classes: {listing(self.outputs, 10)}"
        text += " | missing: drop" if self.missing == "drop" else ""
        return textwrap.fill(text, 79, subsequent_indent="  ", break_long_words=False)


def _classes(column: Column) -> tuple[Class, ...]:
    if column.kind in CATEGORICAL or (column.kind == "boolean" and column.cells is not None):
        return levels_of(column)
    values = np.unique(column.values).tolist()
    if column.kind == "real":
        values = [int(v) if v.is_integer() and abs(v) < 2**53 else v for v in values]
    return tuple(values)


def _is_classification(table: Frame, column: Column, count: int) -> bool:
    m = len(table)
    if column.kind == "integer":
        return 2 <= count <= min(MOST_CLASSES, m // ROWS_PER_CLASS)
    if column.kind in CATEGORICAL and count > max(2, m / 2):
        raise table.error(
            f"the target {quoted(column.name)} is text with {count} different labels in {m} rows; "
            'task="classification" takes them as classes'
        )
    return column.kind != "real"
