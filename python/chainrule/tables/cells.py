"""Cells of text: which are numbers, and what a whole column of them holds.

A cell is a number exactly when it is a plain decimal number: nothing is guessed or converted.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..frames import Column
from ..frames import quoted as show

if TYPE_CHECKING:
    from numpy.typing import NDArray


def numbers(cells: Sequence[str]) -> NDArray[np.float64]:
    """Read cells as numbers by the rules of `tables.read`.

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


# Of these characters Python's float() makes nothing but plain decimal numbers: no 1_000, no nan,
# no digits of other scripts. So one test per row stands in for one per cell.
PLAIN_ROW = re.compile(r"[0-9+\-.eE \t,]*")
_PLAIN = b"0123456789+-.eE \t,"
_ALMOST_NUMBER = re.compile(r"[+-]?(nan|inf(inity)?|0x[0-9a-f]+|\d[\d_]*([.,][\d_]*)*(e[+-]?\d+)?)")
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ]\d\d?:\d\d.*)?", re.ASCII)
GAPS = frozenset({"na", "n/a", "nan", "null", "none"})
"""Words that mean a missing cell in a column of numbers or truth values, in any case of letters."""


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
    if PLAIN_ROW.fullmatch(bare):
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


def is_number(cell: str) -> bool:
    """Say whether a cell is a plain decimal number."""
    return not refusal(cell)


def column(name: str, cells: Sequence[str], place: Callable[[int], str]) -> Column:
    """Find out what a column holds: numbers, truth values (true, false) or text.

    Blank cells are missing; in a column that is otherwise of numbers or truth values the words
    NA, N/A, NaN, null and None are too. A column of which half or more are numbers, and others are
    not, is refused rather than taken as text; and so are dates.

    Parameters
    ----------
    name : str
    cells : sequence of str, length m
        Without spaces around them.
    place : callable
        How a message calls the row k, from 0.
    """
    texts = np.array(cells, dtype=object) if cells else np.zeros(0, object)
    values = plain_numbers(cells) if cells else None
    if values is not None:
        return _numeric(name, cells, values, np.zeros(len(cells), bool), texts)
    lowered = {cell: cell.lower() for cell in dict.fromkeys(cells)}
    words = {cell for cell, low in lowered.items() if not cell or low in GAPS}
    gaps = np.fromiter(map(words.__contains__, cells), bool, len(cells))
    rows = np.flatnonzero(~gaps).tolist()
    filled = [cells[row] for row in rows]
    if not filled:
        return Column(name, "real", np.full(len(cells), np.nan), gaps, cells=texts)
    values = plain_numbers(filled)
    if values is not None:
        return _numeric(name, filled, values, gaps, texts)
    if {low for cell, low in lowered.items() if cell not in words} <= {"true", "false"}:
        truths = np.fromiter((lowered[cell] == "true" for cell in cells), bool, len(cells))
        return Column(name, "boolean", truths, gaps, cells=texts)
    reasons = {cell: refusal(cell) for cell in lowered if cell not in words}
    count = sum(not reasons[cell] for cell in filled)
    first = next(k for k, cell in enumerate(filled) if reasons[cell])
    blank = np.fromiter((not cell for cell in cells), bool, len(cells))
    refused = ""
    if 2 * count >= len(filled):
        refused = (
            f"has numbers in {count} of {len(filled)} cells, but in {place(rows[first])} "
            f"{reasons[filled[first]]}; correct it, or name the column in categorical if it is text"
        )
    elif all(map(_DATE.fullmatch, filled)):
        refused = (
            f"holds dates such as {show(filled[0])}; convert them to numbers first, such as days "
            "since a fixed day, or leave the column out"
        )
    kind = "refused" if refused else "text"
    return Column(name, kind, texts, blank, refusal=refused, cells=texts)


def plain_numbers(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """The cells as numbers when all of them are plain decimal numbers; else None."""
    if ",".join(cells).encode().translate(None, _PLAIN):
        return None
    try:
        values = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _numeric(
    name: str,
    filled: Sequence[str],
    numbers: NDArray[np.float64],
    gaps: NDArray[np.bool_],
    texts: NDArray[np.object_],
) -> Column:
    """A column of numbers: whole when each is, and not each is written with a point."""
    whole = all(map(_WHOLE.fullmatch, filled)) and not all("." in cell for cell in filled)
    largest = np.abs(numbers).max() if whole else np.inf
    if largest < 2.0**63:
        integers = np.zeros(len(gaps), np.int64)
        exact = largest < 2.0**53
        digits = numbers if exact else [int(cell.partition(".")[0]) for cell in filled]
        integers[~gaps] = digits
        return Column(name, "integer", integers, gaps, cells=texts)
    values = np.full(len(gaps), np.nan)
    values[~gaps] = numbers
    return Column(name, "real", values, gaps, cells=texts)
