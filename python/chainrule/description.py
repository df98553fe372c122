"""What a model file says about the table that it was trained on; targets as numbers.

Called by the rooms of the commands that take a model or a target.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import tables
from .commandline import Matrix, reading
from .errors import FormatError
from .modelfile import load
from .network import Network
from .tables import listing, show


@dataclass(frozen=True)
class Description:
    """What a model file says about its columns; classes is None for a regression."""

    columns: tuple[str, ...]
    target: str
    classes: list[str] | None


WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)


def spell_labels(cells: Sequence[str]) -> list[str]:
    """Spell whole numbers in one way, so that 3, +3 and 3.0 are one class; leave text alone."""
    if all(WHOLE.fullmatch(cell) for cell in cells):
        return [str(int(cell.partition(".")[0])) for cell in cells]
    return list(cells)


def encode(table: tables.Table, target: str, classes: list[str] | None) -> Matrix:
    """Return the target column as numbers (m, 1) or one-hot (m, number of classes)."""
    cells = table.text[target]
    where = f"{table.path}, line {{}}, column {show(target)}: {{}}"
    if classes is None:
        try:
            return tables.numbers(cells).reshape(-1, 1)
        except tables.NotANumber as error:
            hint = "" if tables.looks_like_number(cells[error.index]) else _hint_labels(cells)
            line = table.lines[error.index]
            raise FormatError(where.format(line, f"{error}{hint}")) from None
    index = {label: k for k, label in enumerate(classes)}
    Y = np.zeros((len(cells), len(classes)))
    for row, cell in enumerate(cells):
        label = cell if cell in index else spell_labels([cell])[0]
        if not cell or label not in index:
            reason = (
                f"{show(cell)} is none of the model's {len(classes)} classes {listing(classes)}"
                if cell
                else tables.refusal(cell)
            )
            raise FormatError(where.format(table.lines[row], reason))
        Y[row, index[label]] = 1.0
    return Y


def _hint_labels(cells: Sequence[str]) -> str:
    count = sum(map(tables.looks_like_number, cells))
    return f" ({count} of the {len(cells)} cells of the target are)" if count else ""


def load_model(path: str) -> tuple[Network, Description | None]:
    with reading("model"):
        net = load(path)
    return net, described(net, path)


def described(net: Network, path: str | os.PathLike[str]) -> Description | None:
    """Read metadata["table"], which may come from anyone; None when there is none."""
    if "table" not in net.metadata:
        return None
    entry = net.metadata["table"]
    entry = entry if isinstance(entry, dict) else {}
    columns: Any = entry.get("columns")
    target: Any = entry.get("target")
    classes: Any = entry.get("classes")
    good = (
        _are_names(columns, net.n[0])
        and isinstance(target, str)
        and (classes is None or _are_names(classes, net.n[-1]))
    )
    if not good:
        raise FormatError(f"{path}: what the model says about its table does not fit the network")
    return Description(tuple(columns), target, classes)


def _are_names(names: object, count: int) -> bool:
    return (
        isinstance(names, list)
        and len(names) == count
        and all(isinstance(name, str) and name for name in names)
        and len(set(names)) == count
    )
