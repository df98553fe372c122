"""What the cells of a column are: numbers, or levels of a category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frames import NUMERIC, Column, Frame, listing, quoted, spelled
from ..tables import is_number

Matrix = NDArray[np.float64]


def usable(table: Frame, column: Column) -> Column:
    """The column; ValueError when it holds dates, mixed types or the like."""
    if column.kind == "refused":
        raise table.error(f"column {quoted(column.name)} {column.refusal}")
    return column


def numbers_of(table: Frame, column: Column, boolean: bool = False) -> Matrix:
    """The cells as float64 (m,), NaN where missing; all others are finite."""
    where = f"column {quoted(column.name)}"
    if usable(table, column).kind not in NUMERIC:
        row = int(np.argmin(column.missing))
        raise table.error(
            f"{where} holds text such as {quoted(column.values[row])} in {table.place(row)}; "
            f"{'truth values' if boolean else 'numbers'} are needed"
        )
    numbers = column.numbers()
    bad = ~np.isfinite(numbers) & ~column.missing
    if bad.any():
        row = int(np.argmax(bad))
        raise table.error(f"{where} is {numbers[row]} in {table.place(row)}, not a finite number")
    if boolean:
        bad = ~np.isin(numbers, (0, 1)) & ~column.missing
        if bad.any():
            row = int(np.argmax(bad))
            raise table.error(
                f"{where} is {spelled(numbers[row])} in {table.place(row)}; it held truth values "
                "in the training rows: true and false, or 1 and 0, are needed"
            )
    return numbers


def levels_of(column: Column) -> tuple[str, ...]:
    """The texts that occur: a category's in its order, numbers by size, other text sorted."""
    texts = column.texts()
    there = dict.fromkeys(texts[~column.missing].tolist())
    if column.kind == "category":
        return tuple(level for level in column.levels if level in there)
    if column.kind in NUMERIC:
        return tuple(sorted(there, key=lambda text: (_key(text)[1], text)))
    return tuple(sorted(there))


def codes_of(texts: NDArray[Any], levels: Sequence[str]) -> NDArray[np.int64]:
    """The number of the level of each text, -1 for none.

    The same text counts first; then the same number (3, 3.0, 03) or truth value (True, true).
    """
    exact = {level: k for k, level in enumerate(levels)}
    alike: dict[Any, int] = {}
    for k, level in enumerate(levels):
        key = _key(level)
        alike[key] = -1 if key in alike else k  # two levels of one number: only the text counts
    found: dict[Any, int] = {None: -1}
    for text in texts.tolist():
        if text not in found:
            found[text] = exact[text] if text in exact else alike.get(_key(text), -1)
    return np.fromiter((found[text] for text in texts.tolist()), np.int64, len(texts))


def _key(text: str) -> tuple[str, Any]:
    """What two spellings of one level have in common."""
    bare = text.strip()
    if is_number(bare):
        return "number", float(bare)
    if bare.lower() in {"true", "false"}:
        return "boolean", bare.lower()
    return "text", bare


def unknown_level(
    table: Frame,
    name: str,
    texts: NDArray[Any],
    lost: NDArray[np.bool_],
    what: str,
    levels: Sequence[str],
    hint: str = "",
) -> ValueError:
    row = int(np.argmax(lost))
    rows = f"; {int(lost.sum())} rows have such values" if lost.sum() > 1 else ""
    return table.error(
        f"column {quoted(name)}, {table.place(row)}: {quoted(texts[row])} is none of the model's "
        f"{what}: {listing(levels)}{rows}{hint}"
    )
