"""`chainrule predict`: compute the target for the rows of a table.

`add` registers the command. Called by `cli`.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import tables
from .answers import answers
from .columns.encoder import UNKNOWN
from .commandline import (
    IO_ERROR,
    OK,
    USAGE,
    Failure,
    add_command,
    data_errors,
    may_replace,
    note,
    put,
    put_json,
    suffixed,
    whole_option,
    writing,
)
from .description import load_model
from .frames import Frame, frame_of_arrays
from .matching import UNKNOWN_HELP, matched, of_any_names
from .tables import csv_lines

SUFFIXES = (".csv", ".parquet", ".pq")
PREDICTED = "predicted_"  # before the name of a target, beside the columns of the table


def add(commands: Any) -> None:
    """Register the command with the parser's subcommands."""
    option = add_command(
        commands,
        "predict",
        _predict,
        "compute the target for the rows of a table",
        f"""\
Compute the target for every row of a table, as CSV with one column named like the target.

Columns are found by name, in any order; columns that the model does not know are left out of the
calculation, and so is the target if the table has it. Classes are written as in the training table;
--proba adds the probability of each, as columns target_class. A model of several quantiles writes
target_q0.1, target_q0.5, ..., one of mean and spread (gaussian_nll) target and target_std.

With --append the columns of the table come first, and those of the model are called
{PREDICTED}target. A model that was trained with --missing drop leaves cells of rows with missing
cells empty.""",
    ).add_argument
    option("model", metavar="MODEL", help="file written by `chainrule train`")
    option("table", metavar="TABLE", help="file, or " + " or ".join(tables.PACKAGED))
    option("-o", "--output", metavar="FILE",
           help=f"a name that ends in {' or '.join(SUFFIXES)} (Parquet needs pyarrow); default: "
           "CSV to the standard output")  # fmt: skip
    option("--proba", action="store_true", help="with the probability of each class")
    option("--append", action="store_true", help="with the columns of the table")
    option("--unknown", choices=UNKNOWN, metavar="HOW", help=UNKNOWN_HELP)
    option("--threads", metavar="N", type=whole_option(1), help="default: one per core")
    option("--force", action="store_true", help="replace the output file")
    option("--json", action="store_true",
           help="print one JSON object: the columns, or with --output where they are")  # fmt: skip


def _predict(options: argparse.Namespace) -> int:
    output = suffixed("--output", options.output, SUFFIXES, options)
    if output is not None:
        may_replace("--output", output, options.force)
        if output.suffix.lower() != ".csv" and importlib.util.find_spec("pyarrow") is None:
            raise Failure(USAGE, f"argument --output: {output} needs pyarrow: "
                          'pip install "chainrule[parquet]"')  # fmt: skip
    elif sys.stdout is None:
        raise Failure(IO_ERROR, "the standard output is closed")
    net, known = load_model(options.model, options.unknown)
    known = known or of_any_names(net, options.table)
    frame = matched(known, options.table, whole=options.append)
    kept = known.encoder.kept(frame)
    if len(kept) < len(frame):
        note(f"note: {len(frame) - len(kept)} row(s) with missing cells have no prediction")
    with data_errors(options.table):
        said = answers(net, known, known.encoder.transform(frame))
    if options.proba and said.probabilities is None:
        raise Failure(USAGE, f"argument --proba: {options.model} has none: it is a {known.task} "
                      f"with the loss {known.loss.name}")  # fmt: skip
    found = {
        name: _in_rows(values, kept, len(frame))
        for name, values in said.columns(options.proba).items()
    }
    columns = _beside(frame, found) if options.append else found
    _write(options, output, columns, len(frame))
    return OK


def _in_rows(values: NDArray[Any], kept: NDArray[np.int64], m: int) -> NDArray[Any]:
    """The values of all m rows, nothing where a row has none."""
    if len(kept) == m:
        return values
    number = values.dtype.kind == "f"
    rows: NDArray[Any] = np.full(m, np.nan if number else None, values.dtype if number else object)
    rows[kept] = values
    return rows


def _beside(frame: Frame, found: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The columns of the table, and those found."""
    columns: dict[str, NDArray[Any]] = {}
    for name in frame.names:
        column = frame[name]
        plain = column.cells is None and not column.missing.any() and column.kind != "refused"
        columns[name] = column.values if plain else column.texts()
    for name, values in found.items():
        new = PREDICTED + name
        if new in columns:
            raise frame.error(f"the table has a column {new!r} already; predict without --append")
        columns[new] = values
    return columns


def _write(
    options: argparse.Namespace, output: Path | None, columns: dict[str, NDArray[Any]], rows: int
) -> None:
    if output is not None:
        with writing("--output", output) as temporary:
            tables.write(temporary, columns)
    if options.json:
        told: dict[str, Any] = {"model": options.model, "table": options.table, "rows": rows}
        if output is None:
            told["columns"] = {name: _listed(values) for name, values in columns.items()}
        else:
            told["output"], told["columns"] = str(output), list(columns)
        put_json(told)
    elif output is None:
        text = "".join(f"{line}\n" for line in csv_lines(frame_of_arrays(columns)))
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        put(text, end="")


def _listed(values: NDArray[Any]) -> list[Any]:
    """For JSON; a float32 as short as it reads back."""
    if values.dtype == np.float32:
        return [float(cell) for cell in values.astype(str)]
    listed: list[Any] = values.tolist()
    return listed
