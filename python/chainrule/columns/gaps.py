"""Rows with missing cells: found, named, left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..frames import Frame, quoted

Matrix = NDArray[np.float64]


def complete_rows(table: Frame, names: Sequence[str]) -> NDArray[np.int64]:
    gaps = np.zeros(len(table), bool)
    for name in names:
        gaps |= table[name].missing
    return np.flatnonzero(~gaps)


def without_gaps(table: Frame, names: Sequence[str], missing: str) -> Frame:
    """The table, or with "drop" its rows without missing cells; "error" refuses them."""
    if missing == "drop":
        return table.take(complete_rows(table, names))
    gaps = {name: table[name].missing for name in names}
    refuse_gaps(table, gaps, "leave out these rows or fill them in")
    return table


_CHOICES = (
    "leave out these rows or columns, fill them in, or fit the encoder with "
    'missing="mean", "indicator" or "drop"'
)


def refuse_gaps(table: Frame, gaps: dict[str, NDArray[np.bool_]], choices: str = _CHOICES) -> None:
    """ValueError naming the columns with missing cells and how many, when there are any."""
    found = {name: mask for name, mask in gaps.items() if mask.any()}
    if not found:
        return
    said = [
        f"{quoted(name)} in {int(mask.sum())} of {len(table)} rows "
        f"(first: {table.place(int(np.argmax(mask)))})"
        for name, mask in list(found.items())[:5]
    ]
    more = f" and {len(found) - 5} more columns" if len(found) > 5 else ""
    raise table.error(f"missing values: {', '.join(said)}{more}; {choices}")
