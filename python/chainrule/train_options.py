"""The options of `chainrule train`, and what they mean when they are not given.

`add_options` puts them on the command, `optimizer_of` makes the update
rule. Called by `train_command`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from . import tables
from .commandline import USAGE, Failure, real_option, whole_option
from .layers import ACTIVATIONS, MAX_UNITS
from .network import DTYPES
from .optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, Rprop
from .tables import show

# Found by trying: on the packaged tables with 8 seeds the held-out R2 is 0.41 (0.32 to 0.51) and
# the accuracy 0.971 (0.964 to 0.975). A one-hot target spreads the cost over the classes, so each
# gradient is smaller and the step larger.
LEARNING_RATE = {"regression": 0.001, "classification": 0.02}
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "rprop": Rprop,
}
EPOCHS = {"regression": 40, "classification": 100}
LEAST_STEPS = 480  # a small table makes few steps per epoch
MOST_CLASSES, ROWS_PER_CLASS = 20, 5
HELP = f"""\
Train a network to compute one column of a table, the target, from the others.

The table: CSV (commas, UTF-8, the first row names the columns), Parquet where pyarrow is installed,
or {" or ".join(tables.PACKAGED)}, which come with the package and know their target. Every input
column must hold numbers; --ignore leaves a column out.

The task: a target of text is a classification. So is a target of whole numbers with at most
{MOST_CLASSES} distinct values, {ROWS_PER_CLASS} rows or more for each on average. Any other target
is a regression. --task overrules this.

Inputs are standardised by the mean and the standard deviation of the training rows; in a
regression the target is too. Classes become one-hot targets. The cost is the mean squared error.
What was learnt, with the scaling and the column names, goes into one safetensors file."""


def _widths(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    parts = [part.strip() for part in text.split(",")]
    if all(re.fullmatch(r"\d{1,10}", p, re.ASCII) and 1 <= int(p) <= MAX_UNITS for p in parts):
        return tuple(map(int, parts))
    raise argparse.ArgumentTypeError(
        f"got {show(text)}, allowed are widths such as 64,64 (each 1 to {MAX_UNITS}) or none"
    )


def add_options(add: Callable[..., Any]) -> None:
    """Put them on the command, whose `add_argument` is given."""
    add("table", metavar="TABLE", help="file, or " + " or ".join(tables.PACKAGED))
    add("--target", metavar="COLUMN", help="the column to learn")
    add("--ignore", metavar="COLUMN", action="append", default=[],
        help="leave this column out (may be given several times)")  # fmt: skip
    add("--task", choices=("regression", "classification"), help="default: see above")
    add("--hidden", metavar="WIDTHS", type=_widths, default=(64, 64),
        help="units of the hidden layers, or none for a linear model (default 64,64)")  # fmt: skip
    add("--activation", choices=ACTIVATIONS, default="relu", metavar="NAME",
        help=f"of the hidden layers: {', '.join(ACTIVATIONS)} (default relu)")  # fmt: skip
    add("--epochs", metavar="N", type=whole_option(1),
        help=f"passes over the training rows (default {EPOCHS['regression']} for regression, "
        f"{EPOCHS['classification']} for classification, more where that makes less than "
        f"{LEAST_STEPS} steps)")  # fmt: skip
    add(
        "--batch-size",
        metavar="N",
        type=whole_option(1),
        default=32,
        help="rows per step (default 32)",
    )
    add("--optimizer", choices=OPTIMIZERS, default="sgd", metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)} (default sgd)")  # fmt: skip
    add("--learning-rate", metavar="X", type=real_option("a number > 0", lambda x: x > 0),
        help=f"default {LEARNING_RATE['regression']} for regression, "
        f"{LEARNING_RATE['classification']} for classification with sgd; else the "
        "optimizer's own")  # fmt: skip
    add("--momentum", metavar="X", type=real_option("0 <= momentum < 1", lambda x: 0 <= x < 1),
        help="of sgd and rmsprop; 0 is plain gradient descent (default 0.9 for sgd)")  # fmt: skip
    add("--weight-decay", metavar="X", type=real_option("a number >= 0", lambda x: x >= 0),
        help="not for rprop (default 0, 0.01 for adamw)")  # fmt: skip
    add("--patience", metavar="N", type=whole_option(1),
        help="stop when the cost of a tenth of the training rows, held out for that, has not "
        "fallen for N epochs, and keep the best parameters")  # fmt: skip
    add("--dtype", choices=DTYPES, default="float32", help="default float32")
    add("--seed", metavar="N", type=whole_option(0), default=0,
        help="of the split, the initial weights and the order of rows (default 0)")  # fmt: skip
    add("--validation", metavar="X", type=real_option("0 <= validation < 1", lambda x: 0 <= x < 1),
        default=0.2, help="share of the rows held out as a test (default 0.2)")  # fmt: skip
    add("--output", metavar="FILE",
        help="the model (default: TABLE's name with .safetensors, in the current folder). A model "
        "of the same columns and target is replaced, so a training can be repeated; any other "
        "file only with --force")  # fmt: skip
    add("--plot", metavar="FILE",
        help="a picture of the cost over the epochs: .png, .svg or .pdf (needs matplotlib). An "
        "earlier such picture is replaced, any other file only with --force")  # fmt: skip
    add("--threads", metavar="N", type=whole_option(1), help="default: one per core")
    add("--force", action="store_true", help="replace files, whatever they are")
    add("--quiet", action="store_true", help="print errors only; the derivatives are not checked")


def optimizer_of(task: str, options: argparse.Namespace) -> Optimizer:
    """The update rule with the numbers given; the others are its own."""
    kind = OPTIMIZERS[options.optimizer]
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
        return kind(**given)
    except ValueError as error:
        raise Failure(USAGE, str(error)) from None
