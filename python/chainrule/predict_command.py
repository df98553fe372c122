"""`chainrule predict`: compute the target for the rows of a table.

`add` registers the command. Called by `cli`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from . import tables
from .commandline import (
    IO_ERROR,
    OK,
    Failure,
    add_command,
    data_errors,
    may_replace,
    note,
    output_path,
    put,
    reading,
    whole_option,
    writing,
)
from .description import Description, load_model
from .errors import FormatError
from .tables import listing


def add(commands: Any) -> None:
    """Register the command with the parser's subcommands."""
    option = add_command(
        commands,
        "predict",
        _predict,
        "compute the target for the rows of a table",
        """\
Compute the target for every row of a table, as CSV with one column named like the target.

Columns are found by name, in any order; columns that the model does not know are left out of the
calculation, and so is the target if the table has it.""",
    ).add_argument
    option("model", metavar="MODEL", help="file written by `chainrule train`")
    option("table", metavar="TABLE", help="file, or " + " or ".join(tables.PACKAGED))
    option("--output", metavar="FILE", help="default: the standard output")
    option("--threads", metavar="N", type=whole_option(1), help="default: one per core")
    option("--force", action="store_true", help="replace the output file")


def _predict(options: argparse.Namespace) -> int:
    output = output_path("--output", options.output, options) if options.output else None
    if output is not None:
        may_replace("--output", output, options.force)
    elif sys.stdout is None:
        raise Failure(IO_ERROR, "the standard output is closed")
    net, known = load_model(options.model)
    with reading():
        names = tables.header(options.table)
    if known is None:
        if len(names) != net.n[0]:
            raise FormatError(
                f"{options.table}: {len(names)} columns, but the model has {net.n[0]} inputs and "
                "does not say what they are called"
            )
        known = Description(names, "prediction", None)
    there, needed = set(names), {*known.columns, known.target}
    missing = [name for name in known.columns if name not in there]
    if missing:
        raise FormatError(
            f"{options.table}: missing {len(missing)} of the {len(known.columns)} columns that "
            f"the model needs: {listing(missing, 5)}; it has {listing(names)}"
        )
    extra = [name for name in names if name not in needed]
    if extra:
        note(f"note: {len(extra)} column(s) not used by the model: {listing(extra, 5)}")
    with reading():
        table = tables.read(options.table, known.columns)
    with data_errors(options.table):
        answer = net.predict(table.values)
    text = "".join(f"{line}\n" for line in _lines(answer, known))
    if output is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        put(text, end="")
    else:
        with writing("--output", output) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    return OK


def _lines(answer: Any, known: Description) -> Iterator[str]:
    """Yield the lines of a CSV file with the predictions; a number reads back as the same bits."""
    if known.classes is not None:
        yield _cell(known.target)
        shown = [_cell(label) for label in known.classes]
        yield from (shown[k] for k in answer.argmax(axis=1))
    elif answer.shape[1] == 1:
        yield _cell(known.target)
        yield from answer[:, 0].astype(str)
    else:
        yield ",".join(_cell(f"{known.target}_{k + 1}") for k in range(answer.shape[1]))
        yield from map(",".join, answer.astype(str))


def _cell(text: str) -> str:
    """Write text as a CSV cell that a spreadsheet does not take for a formula."""
    if text.startswith(("=", "+", "-", "@", "\t", "\r")) and tables.refusal(text):
        text = "'" + text
    if any(mark in text for mark in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text
