"""What `chainrule train` reads: which columns, their encoder, and the rows on both sides.

Called by `train_command`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import tables
from .columns import Encoder, Target
from .commandline import DATA, USAGE, Failure, Matrix, reading
from .description import Description, one_hot_index
from .errors import FormatError
from .frames import Frame
from .tables import listing, show
from .train_options import loss_of, of_numbers_alone

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """The columns of the table and what they are for."""

    targets: tuple[str, ...]
    features: tuple[str, ...]
    categorical: tuple[str, ...]
    weights: str | None


@dataclass(frozen=True, eq=False)
class Rows:
    """Samples: X (m, n_0), Y as the loss takes it, the weight of each (m,), and where it stands."""

    X: Matrix
    Y: Matrix
    weight: Vector | None
    places: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """A table that is ready to be learnt.

    Attributes
    ----------
    name : str
        Of the table.
    known : Description
    train, held : Rows
        To learn from, and to judge with; `held` may be empty.
    dropped : int
        Rows that were left out because a cell is missing.
    notes : list of str
        What somebody should know about the rows.
    """

    name: str
    known: Description
    train: Rows
    held: Rows
    dropped: int
    notes: list[str]

    @property
    def judged(self) -> Rows:
        """The held-out rows, or all when there are none."""
        return self.held if len(self.held) else self.train


def columns_of(options: argparse.Namespace) -> Columns:
    """The columns that the options choose, checked against the header of the table."""
    with reading():
        names = tables.header(options.table)
    packaged = tables.PACKAGED.get(options.table)
    targets = _chosen("--target", options.target, names, options.table)
    if not targets and packaged is None:
        raise Failure(USAGE, f"argument --target: which column? {options.table} has "
                      f"{listing(names)}")  # fmt: skip
    targets = targets or (str(packaged),)
    if len(targets) > 1 and options.task == "classification":
        raise Failure(USAGE, f"argument --task: a classification has one target, got "
                      f"{listing(targets, 5)}")  # fmt: skip
    features = _chosen("--features", options.features, names, options.table)
    ignored = _chosen("--ignore", options.ignore, names, options.table)
    categorical = _chosen("--categorical", options.categorical, names, options.table)
    given = [options.weights] if options.weights else []
    weights = _chosen("--weights", given, names, options.table)
    if len(weights) > 1:
        raise Failure(USAGE, f"argument --weights: got {listing(weights)}, allowed is one column")
    for flag, chosen, others in (
        ("--ignore", ignored, (("the target", targets), ("named by --features", features))),
        ("--features", features, (("the target", targets), ("the column of weights", weights))),
        ("--weights", weights, (("the target", targets),)),
        ("--categorical", categorical, (("the target; --task classification makes it classes",
                                         targets), ("the column of weights", weights),
                                        ("named by --ignore", ignored))),
    ):  # fmt: skip
        for what, other in others:
            for name in chosen:
                if name in other:
                    raise Failure(USAGE, f"argument {flag}: {show(name)} is {what}")
    left_out = {*targets, *ignored, *weights}
    features = features or tuple(name for name in names if name not in left_out)
    for name in categorical:
        if name not in features:
            raise Failure(USAGE, f"argument --categorical: {show(name)} is not among --features")
    if not features:
        raise Failure(DATA, f"{options.table}: no column is left for the input")
    return Columns(targets, features, categorical, weights[0] if weights else None)


def _chosen(flag: str, given: Sequence[str], names: Sequence[str], table: str) -> tuple[str, ...]:
    """The columns that an option names, once each: by itself, or several with commas."""
    found: list[str] = []
    for text in given:
        parts = [part.strip() for part in text.split(",")]
        several = text not in names and len(parts) > 1
        for name in parts if several else [text]:
            if name not in names:
                near = get_close_matches(name, names, 1)
                hint = f" (did you mean {show(near[0])}?)" if near else ""
                raise Failure(
                    USAGE,
                    f"argument {flag}: no column {show(name)}{hint}; {table} has {listing(names)}",
                )
            found.append(name)
    return tuple(dict.fromkeys(found))


def training_table(options: argparse.Namespace, columns: Columns) -> TrainingTable:
    """Read the table, decide the task, and divide and encode the rows."""
    with reading():
        weights = [columns.weights] if columns.weights else []
        frame = tables.frame(options.table, [*columns.features, *columns.targets, *weights])
    return _ready(options, columns, frame)


def _ready(options: argparse.Namespace, columns: Columns, frame: Frame) -> TrainingTable:
    m = len(frame)
    drop = "drop" if options.missing == "drop" else "error"
    target = Target.fit(frame, columns.targets, options.task, missing=drop)
    if target.classes and options.task is None and of_numbers_alone(options.loss):
        with suppress(TypeError, ValueError):  # of text: told below, as a loss that does not fit
            target = Target.fit(frame, columns.targets, "regression", missing=drop)
    if drop == "drop":
        frame = _complete(frame, (*columns.features, *columns.targets))
    # Whatever is wrong with a cell is said of the whole table, not of a part.
    Encoder.fit(frame, columns.features, columns.categorical, missing=options.missing)
    classes = target.outputs if target.classes else ()
    loss = loss_of(len(target.columns), classes, options.loss)
    try:
        train, held = tables.split(len(frame), options.validation, options.seed)
    except ValueError as error:
        raise Failure(DATA, f"{frame.path}: {error}; --validation 0 holds none out") from None
    sides = frame.take(train), frame.take(held)
    encoder = Encoder.fit(sides[0], columns.features, columns.categorical, missing=options.missing)
    known = Description(encoder, target, loss)
    notes: list[str] = []
    rows = _rows(sides[0], known, columns.weights)
    if held.size:
        held_rows = _held(sides[1], known, columns.weights, notes)
    else:
        held_rows = Rows(
            rows.X[:0], rows.Y[:0], None if rows.weight is None else rows.weight[:0], ()
        )
    notes += _absent(known, rows)
    name = Path(options.table).name
    return TrainingTable(name, known, rows, held_rows, m - len(frame), notes)


def _complete(frame: Frame, names: Sequence[str]) -> Frame:
    """The rows of a table without missing cells."""
    gaps = np.zeros(len(frame), bool)
    for name in names:
        gaps |= frame[name].missing
    if gaps.all():
        raise frame.error(f"every one of the {len(frame)} rows has a missing cell")
    return frame.take(np.flatnonzero(~gaps))


def _rows(frame: Frame, known: Description, weights: str | None) -> Rows:
    X, Y = known.encoder.transform(frame), known.targets(frame)
    try:
        known.loss.check_targets(Y, "the target")
    except ValueError as error:
        raise frame.error(str(error)) from None
    places = tuple(map(frame.place, range(len(frame))))
    return Rows(X, Y, None if weights is None else weights_of(frame, weights), places)


def _held(frame: Frame, known: Description, weights: str | None, notes: list[str]) -> Rows:
    """The held-out rows, where a category may have values that the training rows do not have."""
    try:
        return _rows(frame, known, weights)
    except FormatError as error:
        if "none of the model's" not in str(error):
            raise
        said = str(error).partition("; handle_unknown")[0]
        notes.append(f"held-out rows: {said}; here such values count as none")
    lenient = replace(known, encoder=replace(known.encoder, handle_unknown="ignore"))
    return _rows(frame, lenient, weights)


def weights_of(frame: Frame, name: str) -> Vector:
    """The column of weights: numbers of at least 0, not all 0."""
    column = frame[name]
    where = f"column {show(name)} of weights"
    if column.kind not in {"real", "integer", "boolean"}:
        raise frame.error(f"{where}: numbers are needed, and it holds {column.kind}")
    if column.missing.any():
        row = int(np.argmax(column.missing))
        raise frame.error(f"{where}, {frame.place(row)}: the cell is empty")
    w = column.numbers()
    bad = ~(np.isfinite(w) & (w >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise frame.error(f"{where}, {frame.place(row)}: got {w[row]:g}, allowed is a number >= 0")
    if not w.any():
        raise frame.error(f"{where}: all of {len(w)} rows have 0")
    return w


def _absent(known: Description, rows: Rows) -> list[str]:
    """Which classes no training row has."""
    if not known.classes:
        return []
    seen = set(one_hot_index(rows.Y).tolist())
    lost = [label for k, label in enumerate(known.classes) if k not in seen]
    if not lost:
        return []
    return [f"{len(lost)} class(es) without a training row, which cannot be learnt: "
            f"{listing(lost, 5)}; another --seed divides the rows in another way"]  # fmt: skip
