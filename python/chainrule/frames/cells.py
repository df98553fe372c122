"""What an array or a list of Python objects holds, as a `Column`."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from numbers import Complex, Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import shown
from .frame import CATEGORICAL, NUMERIC, Column

_DATES = "convert them to numbers first, such as days since a fixed day"


def column_of_array(name: str, array: NDArray[Any]) -> Column:
    """The column of a 1-D array of any dtype."""
    kind = array.dtype.kind
    none = np.zeros(len(array), bool)
    if kind == "f":
        return Column(name, "real", array, np.isnan(array))
    if kind in "iu":
        return Column(name, "integer", array, none)
    if kind == "b":
        return Column(name, "boolean", array, none)
    if kind in "UTO":  # T is NumPy's text of any length
        return column_of_cells(name, array.tolist())
    return refused(name, len(array), REFUSED.get(kind, "holds {dtype}"), array.dtype)


REFUSED = {
    "M": f"holds dates ({{dtype}}); {_DATES}",
    "m": f"holds spans of time ({{dtype}}); {_DATES.replace('days since a fixed day', 'seconds')}",
    "c": "holds complex numbers ({dtype}). Complex data not supported",
    "S": "holds bytes ({dtype}); decode them to text first",
}


def column_of_cells(name: str, cells: Sequence[Any]) -> Column:
    """The column of a list of Python objects: None and NaN are missing, the rest is of one kind."""
    missing = np.fromiter(map(is_missing, cells), bool, len(cells))
    kinds: dict[str, int] = {}  # kind -> its first row
    for row, cell in enumerate(cells):
        if not missing[row]:
            kinds.setdefault(_kind(cell), row)
    if not kinds:
        return Column(name, "real", np.full(len(cells), np.nan), missing)
    if kinds.keys() == {"integer", "real"}:
        kinds = {"real": 0}
    if len(kinds) > 1:
        (one, row), (other, second) = list(kinds.items())[:2]
        return refused(
            name,
            len(cells),
            f"mixes {_PLURAL[one]} and {_PLURAL[other]}: row {row} has {shown(cells[row])} "
            f"({type(cells[row]).__name__}), row {second} has {shown(cells[second])} "
            f"({type(cells[second]).__name__}); make them one type",
        )
    kind, row = next(iter(kinds.items()))
    if kind in CATEGORICAL:
        values = np.empty(len(cells), object)
        values[:] = cells
        return Column(name, kind, values, missing)
    if kind in NUMERIC:
        blank = {"real": np.nan, "integer": 0, "boolean": False}[kind]
        filled = [blank if gap else cell for cell, gap in zip(cells, missing, strict=True)]
        try:
            return Column(name, kind, np.array(filled, _DTYPES[kind]), missing)
        except OverflowError:
            return refused(
                name,
                len(cells),
                "holds whole numbers beyond 64 bits; scale them, or leave the column out",
            )
    said = type(cells[row]).__name__
    hints = {"date": f"holds dates ({said}); {_DATES}"}
    return refused(name, len(cells), hints.get(kind, f"holds {said} objects, not numbers or text"))


_DTYPES = {"real": np.float64, "integer": np.int64, "boolean": np.bool_}
_PLURAL = {
    "real": "numbers",
    "integer": "numbers",
    "boolean": "truth values",
    "text": "text",
    "date": "dates",
    "other": "other objects",
}


def _kind(cell: Any) -> str:
    if isinstance(cell, str):
        return "text"
    if isinstance(cell, (bool, np.bool_)):
        return "boolean"
    if isinstance(cell, Integral):
        return "integer"
    if isinstance(cell, (Real, Decimal)):
        return "real"
    if isinstance(cell, (datetime.date, datetime.time, datetime.timedelta)):
        return "date"
    return "other"


def is_missing(cell: Any) -> bool:
    """Whether a cell is None, NA, NaT, a NaN of any type, or blank text."""
    if cell is None:
        return True
    if isinstance(cell, str):
        return not cell or cell.isspace()
    if isinstance(cell, Decimal):  # a signalling NaN cannot be compared
        return cell.is_nan()
    if isinstance(cell, Complex):
        return bool(cell != cell)  # noqa: PLR0124
    return type(cell).__name__ in {"NAType", "NaTType"}


def refused(name: str, m: int, text: str, dtype: Any = "") -> Column:
    refusal = text.replace("{dtype}", str(dtype))
    return Column(name, "refused", np.zeros(0), np.zeros(m, bool), refusal=refusal)
