"""The options of `chainrule train`, and what they mean when they are not given.

`add_options` puts them on the command; `loss_of` and `optimizer_of` make the loss and the update
rule. Called by `train_command` and `train_table`.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from typing import Any

from . import optimizers, tables
from .columns.encoder import MISSING
from .columns.target import MOST_CLASSES, ROWS_PER_CLASS, TASKS
from .commandline import USAGE, Failure, real_option, whole_option
from .description import loss_named
from .layers import ACTIVATIONS, MAX_UNITS
from .losses import LOSSES, Loss
from .network import DTYPES
from .optimizers import SGD, Optimizer
from .tables import show

# Found by trying on the packaged tables with 8 seeds: the held-out R2 of diabetes is 0.41 (0.32 to
# 0.51), the accuracy of digits 0.968 (0.961 to 0.975).
LEARNING_RATE = {"regression": 0.001, "classification": 0.01}
LOSS = {"regression": "mse", "classification": "cross_entropy"}
OF_CLASSES = ("cross_entropy", "binary_cross_entropy", "mse")
OPTIMIZERS: dict[str, type[Optimizer]] = {
    name.lower(): getattr(optimizers, name)
    for name in ("SGD", "RMSprop", "Adam", "AdamW", "Rprop", "LBFGS")
    if hasattr(optimizers, name)
}
FULL_BATCH = ("lbfgs",)  # an epoch is one step, of all rows
FULL_BATCH_EPOCHS = 200
BATCH_SIZE = 32
EPOCHS = 40
LEAST_STEPS = 480  # a small table makes few steps per epoch
PATIENCE, WATCHED_SHARE = 10, 0.1
HELP = f"""\
Train a network to compute one column of a table, the target, from the others.

  chainrule train houses.csv --target price --categorical zip --missing mean
  chainrule train flowers.parquet --target species --early-stopping --report flowers.html
  chainrule train demand.csv --target sold --loss quantile:0.1,0.5,0.9 --optimizer adam

The table: CSV (commas, UTF-8, the first row names the columns), Parquet where pyarrow is
installed, or {" or ".join(tables.PACKAGED)}, which come with the package and know their target.
Columns of text become one input for each of their values. Options that take columns may be given
several times, or once with commas.

The task: a target of text or truth values is a classification. So is a target of whole numbers
with at most {MOST_CLASSES} distinct values, {ROWS_PER_CLASS} rows or more for each on average. Any
other target, and several, are a regression. --task overrules this.

Inputs are standardised by the mean and the standard deviation of the training rows; in a
regression the target is too, where the loss allows it. What was learnt, with the scaling, the
columns, their values and the classes, goes into one safetensors file. It is written at the end:
a training that is interrupted leaves nothing behind."""


def add_options(command: argparse.ArgumentParser) -> None:
    """Put them on the command, in groups."""
    positive = real_option("a number > 0", lambda x: x > 0)
    at_least_0 = real_option("a number >= 0", lambda x: x >= 0)
    command.add_argument("table", metavar="TABLE", help="file, or " + " or ".join(tables.PACKAGED))
    add = command.add_argument_group("columns and rows").add_argument
    for flag, text in (
        ("--target", "the column to learn; several for a regression of several numbers"),
        ("--features", "the columns to learn from (default: all others)"),
        ("--ignore", "leave this column out"),
        ("--categorical", "numbers that are names of categories, such as a code"),
    ):
        add(flag, metavar="COLUMN", action="append", default=[], help=text)
    add("--weights", metavar="COLUMN", help="how much each row counts: numbers >= 0")
    add("--missing", choices=MISSING, default="error", metavar="HOW",
        help="cells without a value: error, mean (of the training rows), indicator (mean, and a "
        "column that marks them) or drop (the row) (default error)")  # fmt: skip
    add("--validation", metavar="X", type=real_option("0 <= validation < 1", lambda x: 0 <= x < 1),
        default=0.2, help="share of the rows held out as a test (default 0.2)")  # fmt: skip
    add("--task", choices=TASKS, help="default: see above")
    add = command.add_argument_group("network").add_argument
    add("--hidden", metavar="WIDTHS", type=_widths, default=(64, 64),
        help="units of the hidden layers, or none for a linear model (default 64,64)")  # fmt: skip
    add("--activation", choices=ACTIVATIONS, default="relu", metavar="NAME",
        help=f"of the hidden layers: {', '.join(ACTIVATIONS)} (default relu)")  # fmt: skip
    add("--dropout", metavar="X", default=0.0,
        type=real_option("0 <= dropout < 1", lambda x: 0 <= x < 1),
        help="share of the hidden units that each step leaves out (default 0)")  # fmt: skip
    add("--dtype", choices=DTYPES, default="float32", help="default float32")
    add = command.add_argument_group("training").add_argument
    add("--loss", metavar="NAME", type=_loss,
        help=f"{', '.join(LOSSES)}; a number behind a colon is the loss's own, as in huber:0.5, "
        f"quantile:0.9, or quantile:0.1,0.5,0.9 for three outputs (default {LOSS['regression']}; "
        f"of a classification {LOSS['classification']})")  # fmt: skip
    add("--l1", metavar="X", type=at_least_0, default=0.0,
        help="penalty on the sizes of the weights (default 0)")  # fmt: skip
    add("--l2", metavar="X", type=at_least_0, default=0.0,
        help="penalty on the squares of the weights, halved (default 0)")  # fmt: skip
    add("--epochs", metavar="N", type=whole_option(1),
        help=f"passes over the training rows (default {EPOCHS}, more where that makes less than "
        f"{LEAST_STEPS} steps; {FULL_BATCH_EPOCHS} for lbfgs)")  # fmt: skip
    add("--batch-size", metavar="N", type=whole_option(1),
        help=f"rows per step (default {BATCH_SIZE}; lbfgs takes all of them)")  # fmt: skip
    add("--optimizer", choices=OPTIMIZERS, default="sgd", metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)} (default sgd)")  # fmt: skip
    add("--learning-rate", metavar="X", type=positive,
        help=f"default {LEARNING_RATE['regression']} for regression, "
        f"{LEARNING_RATE['classification']} for classification with sgd; else the "
        "optimizer's own")  # fmt: skip
    add("--momentum", metavar="X", type=real_option("0 <= momentum < 1", lambda x: 0 <= x < 1),
        help="of sgd and rmsprop; 0 is plain gradient descent (default 0.9 for sgd)")  # fmt: skip
    add("--weight-decay", metavar="X", type=at_least_0,
        help="not for rprop (default 0, 0.01 for adamw)")  # fmt: skip
    add("--early-stopping", action="store_true",
        help="stop when the cost of a tenth of the training rows, held out for that, no longer "
        "falls, and keep the best parameters")  # fmt: skip
    add("--patience", metavar="N", type=whole_option(1),
        help=f"--early-stopping after N epochs without a fall (default {PATIENCE})")  # fmt: skip
    add("--seed", metavar="N", type=whole_option(0), default=0,
        help="of the split, the initial weights and the order of rows (default 0)")  # fmt: skip
    add = command.add_argument_group("files").add_argument
    add("-o", "--output", metavar="FILE",
        help="the model (default: TABLE's name with .safetensors, in the current folder). A model "
        "of the same columns and target is replaced, so a training can be repeated; any other "
        "file only with --force")  # fmt: skip
    add("--plot", metavar="FILE",
        help="a picture of the cost over the epochs: .png, .svg or .pdf (needs matplotlib). An "
        "earlier such picture is replaced, any other file only with --force")  # fmt: skip
    add("--history", metavar="FILE", help="the costs of every epoch: .csv or .jsonl")
    add("--report", metavar="FILE",
        help="a page with the learning curves and pictures of the predictions: .html (needs "
        "matplotlib)")  # fmt: skip
    add = command.add_argument_group("other").add_argument
    add("--threads", metavar="N", type=whole_option(1), help="default: one per core")
    add("--force", action="store_true", help="replace files, whatever they are")
    add("--quiet", action="store_true", help="print errors only; the derivatives are not checked")
    add("--json", action="store_true", help="print one JSON object instead of the summary")


def of_numbers_alone(given: Loss | None) -> bool:
    """Whether this is a loss that classes do not have: then whole numbers are numbers."""
    return given is not None and given.name not in OF_CLASSES


def loss_of(targets: int, classes: Sequence[str], given: Loss | None) -> Loss:
    """The loss for so many targets, or for classes; Failure for one that does not go with it."""
    loss = given or loss_named(LOSS["classification" if classes else "regression"])
    allowed: tuple[str, ...]
    if classes:
        allowed = OF_CLASSES if len(classes) == 2 else (OF_CLASSES[0], OF_CLASSES[2])
    else:
        allowed = tuple(name for name in LOSSES if name != "cross_entropy")
    if loss.name not in allowed:
        what = f"classification with {len(classes)} classes" if classes else "regression"
        raise Failure(
            USAGE,
            f"argument --loss: {loss.name} is none for a {what}; allowed are "
            f"{', '.join(allowed)} (--task changes the task)",
        )
    if loss.name == "quantile" and len(loss.parameters) > 1 and targets > 1:
        return loss_named(loss.name, loss.parameters * targets)
    return loss


def epochs_of(rows: int, options: argparse.Namespace) -> int:
    """How many epochs, for so many training rows."""
    if options.epochs:
        return int(options.epochs)
    if options.optimizer in FULL_BATCH:
        return FULL_BATCH_EPOCHS
    steps: int = math.ceil(rows / (options.batch_size or BATCH_SIZE))  # of one epoch
    return max(EPOCHS, math.ceil(LEAST_STEPS / steps))


def optimizer_of(task: str, options: argparse.Namespace) -> Optimizer:
    """The update rule with the numbers given; the others are its own."""
    kind: Any = OPTIMIZERS[options.optimizer]
    if options.optimizer in FULL_BATCH:
        for name in ("l1", "dropout"):  # costs with kinks, and costs that change
            if getattr(options, name):
                raise Failure(USAGE, f"argument --{name}: {options.optimizer} has none")
        if options.batch_size:
            raise Failure(
                USAGE, f"argument --batch-size: {options.optimizer} takes all rows in each step"
            )
    given = {
        "learning_rate": options.learning_rate,
        "momentum": options.momentum,
        "weight_decay": options.weight_decay,
    }
    if kind is SGD:
        given["learning_rate"] = options.learning_rate or LEARNING_RATE[task]
        given["momentum"] = 0.9 if options.momentum is None else options.momentum
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in kind.__dataclass_fields__:
            option = f"--{name.replace('_', '-')}"
            raise Failure(USAGE, f"argument {option}: {options.optimizer} has none")
    try:
        made: Optimizer = kind(**given)
    except ValueError as error:
        raise Failure(USAGE, str(error)) from None
    return made


def _widths(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    parts = [part.strip() for part in text.split(",")]
    if all(re.fullmatch(r"\d{1,10}", p, re.ASCII) and 1 <= int(p) <= MAX_UNITS for p in parts):
        return tuple(map(int, parts))
    raise argparse.ArgumentTypeError(
        f"got {show(text)}, allowed are widths such as 64,64 (each 1 to {MAX_UNITS}) or none"
    )


def _loss(text: str) -> Loss:
    name, colon, rest = text.partition(":")
    cells = rest.split(",") if colon else []
    name = name.replace("-", "_")
    if name not in LOSSES:
        allowed = f"allowed are {', '.join(LOSSES)}"
        raise argparse.ArgumentTypeError(f"got {show(text)}, {allowed}")
    try:
        for cell in cells:
            if tables.refusal(cell):
                raise ValueError(tables.refusal(cell))
        return loss_named(name, [float(cell) for cell in cells])
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"got {show(text)}: {error}") from None
