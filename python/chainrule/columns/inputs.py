"""One column of the table as columns of X: `Number` and `Category`, and how they are learnt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import real, shown
from ..frames import CATEGORICAL, Column, Frame, quoted
from .arguments import different, keys
from .cells import codes_of, levels_of, numbers_of, unknown_level, usable

Matrix = NDArray[np.float64]
FEW_LEVELS = 20  # up to here text is a category even when nearly every row has its own


@dataclass(frozen=True)
class Number:
    """An input of numbers: one column of X, and one that marks the missing cells.

    Parameters
    ----------
    name : str
        The column of the table.
    mean : float or None
        What stands in for a missing cell, the mean of the training rows; None refuses them.
    indicator : bool
        A second column of X, 1 where the cell is missing and 0 elsewhere.
    boolean : bool
        The column holds truth values: 0 and 1.
    """

    name: str
    mean: float | None = None
    indicator: bool = False
    boolean: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns of X."""
        return (self.name, f"{self.name}=missing") if self.indicator else (self.name,)

    def __str__(self) -> str:
        return f"{quoted(self.name)[1:-1]}{' (boolean)' * self.boolean}"

    def missing(self, column: Column) -> NDArray[np.bool_]:
        """The cells for which nothing was learnt."""
        return column.missing if self.mean is None else np.zeros(len(column), bool)

    def encoded(self, table: Frame, column: Column, unknown: str) -> Matrix:
        """The columns of X, shape (m, 1) or (m, 2)."""
        numbers = numbers_of(table, column, self.boolean)
        if self.mean is not None:
            numbers[column.missing] = self.mean
        parts = [numbers, column.missing] if self.indicator else [numbers]
        return np.column_stack(parts).astype(np.float64)

    def as_json(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        kind = "boolean" if self.boolean else "number"
        return {"name": self.name, "kind": kind, "mean": self.mean, "indicator": self.indicator}


@dataclass(frozen=True)
class Category:
    """An input of text: one column of X for each level, 1 where the cell has it and 0 elsewhere.

    Parameters
    ----------
    name : str
        The column of the table.
    levels : tuple of str
        Those of the training rows, in order.
    gaps : bool
        Missing cells are a level, "missing": the last, unless the text itself says so.
    """

    name: str
    levels: tuple[str, ...]
    gaps: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns of X."""
        extra = ("missing",) if self.gaps and "missing" not in self.levels else ()
        return tuple(f"{self.name}={level}" for level in (*self.levels, *extra))

    def __str__(self) -> str:
        return f"{quoted(self.name)[1:-1]} ({len(self.names)} levels)"

    def missing(self, column: Column) -> NDArray[np.bool_]:
        """The cells for which nothing was learnt."""
        return np.zeros(len(column), bool) if self.gaps else column.missing

    def encoded(self, table: Frame, column: Column, unknown: str) -> Matrix:
        """The columns of X, shape (m, number of names)."""
        if column.kind == "refused" and column.cells is None:
            usable(table, column)
        texts = column.texts()
        codes = codes_of(texts, self.levels)
        if self.gaps:
            codes[column.missing] = (*self.levels, "missing").index("missing")
        lost = (codes < 0) & ~column.missing
        if unknown == "error" and lost.any():
            what = f"{len(self.levels)} levels"
            hint = '; handle_unknown="ignore" takes them as none of the levels'
            raise unknown_level(table, self.name, texts, lost, what, self.levels, hint)
        X = np.zeros((len(column), len(self.names)))
        rows = np.flatnonzero(codes >= 0)
        X[rows, codes[rows]] = 1.0
        return X

    def as_json(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        levels = list(self.levels)
        return {"name": self.name, "kind": "category", "levels": levels, "gaps": self.gaps}


Input = Number | Category


def learnt(table: Frame, name: str, chosen: bool, missing: str) -> Input:
    """The input of one column, from the training rows."""
    column = table[name]
    if column.missing.all():
        raise table.error(
            f"column {quoted(name)} has no value in any of the {len(table)} rows; leave it out"
        )
    chosen = chosen and (column.kind != "refused" or column.cells is not None)
    if not chosen:
        usable(table, column)
    gaps = bool(column.missing.any())
    if chosen or column.kind in CATEGORICAL:
        levels = levels_of(column)
        if not chosen and len(levels) > max(FEW_LEVELS, len(table) / 2):
            raise table.error(
                f"column {quoted(name)} holds text with {len(levels)} different values in "
                f"{len(table)} rows, a name or a note and not a category; leave it out, or name it "
                "in categorical"
            )
        return Category(name, levels, gaps)
    numbers = numbers_of(table, column)
    mean = _mean(numbers[~column.missing]) if missing in {"mean", "indicator"} else None
    return Number(name, mean, gaps and missing == "indicator", column.kind == "boolean")


def _mean(numbers: Matrix) -> float:
    # Scaled by a power of two first: exact, and sums of 1e308 stay finite.
    exponent = int(np.frexp(np.abs(numbers).max())[1])
    return float(np.ldexp(np.ldexp(numbers, -exponent).mean(), exponent))


def input_of_json(value: Any) -> Input:
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == "category":
        keys(value, "name", "kind", "levels", "gaps")
        levels = value["levels"]
        if not isinstance(levels, list) or not levels or {type(text) for text in levels} != {str}:
            raise ValueError("levels must be a list of text")
        different(levels, "levels")
        part: Input = Category(value["name"], tuple(levels), value["gaps"])
    elif kind in {"number", "boolean"}:
        keys(value, "name", "kind", "mean", "indicator")
        mean = value["mean"]
        if mean is not None and (isinstance(mean, bool) or not math.isfinite(real(mean, "mean"))):
            raise ValueError(f"mean must be a finite number or null, got {shown(mean)}")
        part = Number(value["name"], mean, value["indicator"], kind == "boolean")
    else:
        raise ValueError(f"kind must be number, boolean or category, got {shown(value)}")
    if not isinstance(part.name, str):
        raise ValueError(f"name must be text, got {shown(part.name)}")
    flag = part.gaps if isinstance(part, Category) else part.indicator
    if not isinstance(flag, bool):
        raise ValueError(f"gaps and indicator must be true or false, got {shown(flag)}")
    return part
