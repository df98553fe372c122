"""`chainrule evaluate`: how good a model is on a table that has the targets.

`add` registers the command. Called by `cli`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import tables
from .answers import answers
from .columns.encoder import UNKNOWN
from .commandline import (
    OK,
    add_command,
    data_errors,
    note,
    put,
    put_json,
    say,
    whole_option,
)
from .description import TABLE, load_model
from .frames import Frame
from .matching import UNKNOWN_HELP, matched, named
from .network import Network
from .scores import MOST_COLUMNS
from .tables import listing
from .train_table import weights_of


def add(commands: Any) -> None:
    """Register the command with the parser's subcommands."""
    option = add_command(
        commands,
        "evaluate",
        _evaluate,
        "judge a model on a table that has the target",
        """\
Compare the answers of a model with the targets in a table, in the units of the target.

A regression: R2, RMSE and MAE, of each target when there are several; quantiles: the share of rows
at or below each, and the pinball loss. A classification: accuracy, log loss, the rows of each class
that are right, and which classes are taken for which. Columns are found by name, in any order.""",
    ).add_argument
    option("model", metavar="MODEL", help="file written by `chainrule train`")
    option("table", metavar="TABLE", help="file, or " + " or ".join(tables.PACKAGED))
    option("--weights", metavar="COLUMN", help="how much each row counts: numbers >= 0")
    option("--unknown", choices=UNKNOWN, metavar="HOW", help=UNKNOWN_HELP)
    option("--threads", metavar="N", type=whole_option(1), help="default: one per core")
    option("--json", action="store_true", help="print one JSON object")


def _evaluate(options: argparse.Namespace) -> int:
    net, known = named(
        load_model(options.model, options.unknown), options.model, "net.predict answers"
    )
    also = [*known.target.columns, *([options.weights] if options.weights else [])]
    frame = matched(known, options.table, tuple(dict.fromkeys(also)))
    rows = known.complete(frame)
    dropped = len(frame) - len(rows)
    seen = _seen(net, frame, options.table)
    weight = weights_of(rows, options.weights) if options.weights else None
    with data_errors(options.table):
        X, Y = known.encoder.transform(rows), known.targets(rows)
        scores = answers(net, known, X).judged(Y, weight)
    if options.json:
        put_json(
            {
                "rows_of_training": seen,
                "model": options.model,
                "table": options.table,
                "task": known.task,
                "target": known.as_json()["target"],
                "dropped_rows": dropped,
                "metrics": scores.as_dict(),
            }
        )
        return OK
    if seen:
        note(f"note: the model learnt from {seen} of these rows")
    if dropped:
        note(f"note: {dropped} row(s) with missing cells are left out")
    kind = f"classification, {len(known.classes)} classes" if known.classes else "regression"
    text = f"{Path(options.table).name}: {scores.rows} rows"
    if scores.weightless:
        text += f", and {scores.weightless} of weight 0, which do not count"
    say("table", text)
    say("target", f"{listing(known.target.columns, 5)} ({kind})")
    say("result", scores.summary())
    lines = scores.confusion_lines()
    for line in scores.lines(most=len(known.classes) + len(known.output_names) + 1):
        put(f"{'':<10} {line}")
    if lines:
        many = len(known.classes) > MOST_COLUMNS
        put("\nmost common mistakes" if many else "\nactual in rows, predicted in columns")
        put("\n".join(lines))
    return OK


def _seen(net: Network, frame: Frame, path: str) -> int:
    """How many rows of the table the model learnt from: of the same name and size, those of then.

    What a file says about its rows may come from anyone, and is believed only when it is numbers.
    """
    entry = net.metadata[TABLE]
    rows, held = entry.get("rows"), entry.get("held_out")
    same = entry.get("name") == Path(path).name and isinstance(rows, int) and isinstance(held, int)
    return rows if same and rows + held <= len(frame) else 0
