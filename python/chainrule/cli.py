"""The command line: `main` is the command `chainrule`.

Errors are one line on stderr and an exit code, never a traceback (except with --debug). What a
program may want to read goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import math
import re
import shlex
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import check_command, explain_command, plot, selftest_command, tables
from ._core import __version__
from .check_command import check_rows
from .commandline import (
    CHECK_FAILED,
    DATA,
    INTERNAL,
    IO_ERROR,
    NO_INPUT,
    OK,
    USAGE,
    WHOLE,
    Description,
    Failure,
    Matrix,
    Parser,
    abandon_stdout,
    add_command,
    data_errors,
    described,
    encode,
    load_model,
    may_replace,
    note,
    output_path,
    picture_path,
    put,
    reading,
    real_option,
    reason_of,
    spell_labels,
    whole_option,
    writing,
)
from .errors import DivergedError, FormatError
from .gradcheck import GradientCheck
from .history import History
from .layers import ACTIVATIONS, MAX_UNITS, Dense
from .modelfile import load
from .network import DTYPES, Network
from .optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, Rprop
from .progress import short
from .runtime import info, set_num_threads
from .scaling import Scaling
from .stopping import EarlyStopping
from .tables import listing, show

INTERRUPTED, BROKEN_PIPE = 130, 141


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
USELESS_COST = 100.0  # in standardised units, where the answer 0 for every row costs 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; default ``sys.argv[1:]``.

    Returns
    -------
    int
        Exit code: 0 done, 1 a check failed, 2 wrong usage, 65 bad data, 66 no input,
        70 internal error, 73 cannot create a file, 74 input or output failed, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_, **__: note(f"warning: {message}")
        try:
            for stream in (sys.stdout, sys.stderr):
                # a name that the terminal's encoding lacks is no reason to fail
                if hasattr(stream, "reconfigure"):
                    stream.reconfigure(errors="backslashreplace")
            code = _run(arguments)
        except SystemExit as stop:  # --help, --version
            return int(stop.code or 0)
        except BaseException as error:
            if "--debug" in arguments and not isinstance(error, BrokenPipeError):
                traceback.print_exc()
            code = _report(error)
    return code


def _run(arguments: list[str]) -> int:
    words = [word for word in arguments if word != "--debug"]
    if words[:1] == ["bench"]:  # its options are those of the executable
        return _bench(words[1:])
    parser = _parser()
    if not words:
        print(parser.format_help(), file=sys.stderr, end="")
        return USAGE
    options = parser.parse_args(arguments)
    try:
        info()  # the instruction set is chosen on first use, and CHAINRULE_ISA may be wrong
    except ValueError as error:
        raise Failure(USAGE, str(error)) from None
    if getattr(options, "threads", None):
        try:
            set_num_threads(options.threads)
        except (ValueError, OverflowError) as error:
            raise Failure(USAGE, f"argument --threads: {error}") from None
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def _report(error: BaseException) -> int:
    """Print the one line for an error and return the exit code."""
    if isinstance(error, BrokenPipeError):  # the reader has enough: `chainrule predict ... | head`
        abandon_stdout()
        return BROKEN_PIPE
    if isinstance(error, Failure):
        code, message = error.code, str(error)
    elif isinstance(error, FormatError):
        code, message = DATA, str(error)
    elif isinstance(error, KeyboardInterrupt):
        code, message = INTERRUPTED, "interrupted"
    elif isinstance(error, MemoryError):
        code, message = INTERNAL, f"not enough memory: {error}".rstrip(": ")
    elif isinstance(error, OSError):
        code, message = IO_ERROR, reason_of(error)
    elif isinstance(error, ImportError):
        code, message = USAGE, str(error)
    else:
        code = INTERNAL
        message = f"internal error, {type(error).__name__}: {error} (--debug shows where)"
    note(f"error: {message}")
    return code


# --- options --------------------------------------------------------------------------------------


def _widths(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    parts = [part.strip() for part in text.split(",")]
    if all(re.fullmatch(r"\d{1,10}", p, re.ASCII) and 1 <= int(p) <= MAX_UNITS for p in parts):
        return tuple(map(int, parts))
    raise argparse.ArgumentTypeError(
        f"got {show(text)}, allowed are widths such as 64,64 (each 1 to {MAX_UNITS}) or none"
    )


def _parser() -> Parser:
    parser = Parser(
        prog="chainrule",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Dense neural networks on the CPU.",
        epilog=f"""\
first steps:
  chainrule train diabetes                                learn from a packaged table
  chainrule predict diabetes.safetensors diabetes         use what was learnt
  chainrule train houses.csv --target price --plot cost.png
  chainrule explain --example                             every number of one step
  chainrule check --template                              backpropagation to write yourself

packaged tables: {", ".join(tables.PACKAGED)}
exit codes: 0 done, 1 a check failed, 2 wrong usage, 65 bad data, 66 no input,
70 internal error, 73 cannot create a file, 74 input or output failed, 130 interrupted
environment: CHAINRULE_ISA (instruction set), OMP_NUM_THREADS""",
    )
    parser.add_argument("--version", action="version", version=f"chainrule {__version__}")
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_train(commands)
    _add_predict(commands)
    check_command.add(commands)
    explain_command.add(commands)
    selftest_command.add(commands)
    add_command(commands, "info", _info, "print version, instruction sets, threads, compiler")
    add_command(commands, "bench", _info, "measure this machine; `chainrule bench --help`")
    return parser


def _add_train(commands: Any) -> None:
    add = add_command(
        commands,
        "train",
        _train,
        "learn one column of a table from the others",
        f"""\
Train a network to compute one column of a table, the target, from the others.

The table: CSV (commas, UTF-8, the first row names the columns), Parquet where pyarrow is installed,
or {" or ".join(tables.PACKAGED)}, which come with the package and know their target. Every input
column must hold numbers; --ignore leaves a column out.

The task: a target of text is a classification. So is a target of whole numbers with at most
{MOST_CLASSES} distinct values, {ROWS_PER_CLASS} rows or more for each on average. Any other target
is a regression. --task overrules this.

Inputs are standardised by the mean and the standard deviation of the training rows; in a
regression the target is too. Classes become one-hot targets. The cost is the mean squared error.
What was learnt, with the scaling and the column names, goes into one safetensors file.""",
    ).add_argument
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


def _add_predict(commands: Any) -> None:
    add = add_command(
        commands,
        "predict",
        _predict,
        "compute the target for the rows of a table",
        """\
Compute the target for every row of a table, as CSV with one column named like the target.

Columns are found by name, in any order; columns that the model does not know are left out of the
calculation, and so is the target if the table has it.""",
    ).add_argument
    add("model", metavar="MODEL", help="file written by `chainrule train`")
    add("table", metavar="TABLE", help="file, or " + " or ".join(tables.PACKAGED))
    add("--output", metavar="FILE", help="default: the standard output")
    add("--threads", metavar="N", type=whole_option(1), help="default: one per core")
    add("--force", action="store_true", help="replace the output file")


# --- commands -------------------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> int:
    target, inputs = _columns(options)
    model, picture = _outputs(options, inputs, target)
    with reading():
        table = tables.read(options.table, inputs, [target])
    X, (Y, classes) = table.values, _targets(table, target, options.task)
    try:
        train, held = tables.split(len(table), options.validation, options.seed)
    except ValueError as error:
        raise Failure(DATA, f"{table.path}: {error}; --validation 0 holds none out") from None

    say: Callable[[str, str], None] = (lambda *_: None) if options.quiet else _say
    shares = f"{len(train)} to train, {len(held)} held out"
    name = Path(options.table).name
    say("table", f"{name}: {len(table)} rows ({shares}), {len(inputs)} inputs")
    task = "regression" if classes is None else "classification"
    kind = task if classes is None else f"{task}, {len(classes)} classes"
    say("target", f"{show(target)[1:-1]} ({kind})")
    net = _network(options, X.shape[1], Y.shape[1])
    say("network", str(net).removeprefix("Network "))
    constant = (X[train] == X[train[0]]).all(axis=0)
    if constant.any():
        names = listing([c for c, same in zip(inputs, constant, strict=True) if same], 5)
        say("note", f"{constant.sum()} input(s) constant in the training rows: {names}")

    with data_errors(options.table):
        net.scaling = _scaling(X[train], Y[train], classes)
        history = _fit(net, X, Y, train, held, task, options)
        net.metadata["table"] = {
            "name": name,
            "columns": list(inputs),
            "target": target,
            "task": task,
            "classes": classes,
            "rows": len(train),
            "held_out": len(held),
            "seed": options.seed,
        }
        with writing("--output", model) as temporary:
            net.save(temporary)
        if picture:
            with writing("--plot", picture) as temporary:
                plot.cost(history, temporary)
        if options.quiet:
            return OK
        say("cost", _costs(history))
        if options.patience is not None:
            say("stopped", history.reason)
        judged, where = (held, "") if held.size else (train, " on the training rows")
        say("result", _score(net.predict(X[judged]), Y[judged], classes, target) + where)
        say("speed", f"{short(history.rows_per_second)} rows/s, {history.seconds:.2g} s")
        check = check_rows(net, X[train], Y[train])
    say("gradients", _verdict(check))
    say("files", ", ".join(str(f) for f in (model, picture) if f))
    say("next", shlex.join(["chainrule", "predict", str(model), options.table]))
    return OK if check.passed else CHECK_FAILED


def _outputs(
    options: argparse.Namespace, inputs: tuple[str, ...], target: str
) -> tuple[Path, Path | None]:
    """Return where the model and the picture go, both checked."""
    model = output_path("--output", options.output or _default_name(options.table), options)
    picture = picture_path(options)
    if picture == model:
        raise Failure(USAGE, f"arguments --output and --plot: both are {model}")
    may_replace(
        "--output",
        model,
        options.force,
        "a model of these columns",
        lambda: _is_model_of(model, inputs, target),
    )
    if picture is not None:
        old = picture
        may_replace(
            "--plot",
            old,
            options.force,
            "a picture of costs",
            lambda: plot.SIGNATURE.encode() in _head(old),
        )
    return model, picture


def _fit(
    net: Network,
    X: Matrix,
    Y: Matrix,
    train: NDArray[np.int64],
    held: NDArray[np.int64],
    task: str,
    options: argparse.Namespace,
) -> History:
    """Train with the options or their defaults, and judge whether it went well."""
    optimizer = _optimizer(task, options)
    rate = optimizer.first_rate
    with np.errstate(over="ignore", under="ignore"):
        if not 0 < np.dtype(net.dtype).type(rate) < np.inf:
            raise Failure(USAGE, f"argument --learning-rate: {rate:g} does not fit {net.dtype}")
    steps = math.ceil(len(train) / options.batch_size)  # of one epoch
    epochs = options.epochs or max(EPOCHS[task], math.ceil(LEAST_STEPS / steps))
    try:
        history = net.fit(
            X[train],
            Y[train],
            epochs=epochs,
            batch_size=options.batch_size,
            optimizer=optimizer,
            seed=options.seed,
            **_watched(X, Y, held, options),
            progress=not options.quiet,
        )
    except DivergedError as error:
        raise _diverged(f"in epoch {error.epoch}", error.cost, rate) from None
    if history.cost[-1] > USELESS_COST:
        raise _diverged(f"after {epochs} epochs", history.cost[-1], rate)
    return history


def _optimizer(task: str, options: argparse.Namespace) -> Optimizer:
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


def _watched(
    X: Matrix, Y: Matrix, held: NDArray[np.int64], options: argparse.Namespace
) -> dict[str, Any]:
    """What is looked at after each epoch: with patience not the test, which is to stay unseen."""
    if options.patience is not None:
        stopping = EarlyStopping(options.patience)
        return {"validation_split": 0.1, "early_stopping": stopping}
    return {"validation_data": (X[held], Y[held]) if held.size else None}


def _diverged(when: str, cost: float, rate: float) -> Failure:
    return Failure(
        USAGE,
        f"training diverged {when}, the last finite cost was {cost:.4g}: try a smaller "
        f"--learning-rate than {rate:g}",
    )


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


def _info(options: argparse.Namespace) -> int:
    put(str(info()))
    return OK


def _bench(arguments: list[str]) -> int:
    program = Path(str(resources.files(__package__ or "chainrule") / "bin" / "chainrule_bench"))
    if not program.is_file():
        raise Failure(NO_INPUT, f"{program}: not there; this chainrule was built without it")
    if sys.stdout is not None:
        sys.stdout.flush()
    code = subprocess.run([program, *arguments], check=False).returncode
    return code if code >= 0 else 128 - code


# --- the table and the model ----------------------------------------------------------------------


def _columns(options: argparse.Namespace) -> tuple[str, tuple[str, ...]]:
    """Return the target and the input columns of the table to train on."""
    with reading():
        names = tables.header(options.table)
    target = options.target or tables.PACKAGED.get(options.table)
    if target is None:
        raise Failure(USAGE, f"argument --target: which column? {options.table} has "
                      f"{listing(names)}")  # fmt: skip
    for flag, name in [("--target", target), *(("--ignore", name) for name in options.ignore)]:
        if name not in names:
            near = get_close_matches(name, names, 1)
            raise Failure(
                USAGE,
                f"argument {flag}: no column {show(name)}"
                + (f" (did you mean {show(near[0])}?)" if near else "")
                + f"; {options.table} has {listing(names)}",
            )
    if target in options.ignore:
        raise Failure(USAGE, f"argument --ignore: {show(target)} is the target")
    inputs = tuple(name for name in names if name != target and name not in options.ignore)
    if not inputs:
        raise Failure(DATA, f"{options.table}: no column is left for the input")
    return target, inputs


def _targets(table: tables.Table, target: str, task: str | None) -> tuple[Matrix, list[str] | None]:
    """Return Y (m, n_L), and the classes; see the rule in `chainrule train --help`."""
    cells = table.text[target]
    if task == "regression":
        return encode(table, target, None), None
    labels = spell_labels(cells)
    whole = all(map(WHOLE.fullmatch, labels))
    classes = sorted(set(labels), key=int if whole else None)
    if task is None:
        text = "" not in cells and not any(map(tables.looks_like_number, cells))
        few = 2 <= len(classes) <= min(MOST_CLASSES, len(cells) // ROWS_PER_CLASS)
        if text and 2 * len(classes) > len(cells):
            raise Failure(
                DATA,
                f"{table.path}: the target {show(target)} is text with {len(classes)} different "
                f"labels in {len(cells)} rows; --task classification takes them as classes",
            )
        if not text and not (whole and few):
            return encode(table, target, None), None
    if len(classes) < 2:
        raise FormatError(
            f"{table.path}: the target {show(target)} is {show(classes[0])} in every row; "
            "a classification needs two classes"
        )
    return encode(table, target, classes), classes


def _scaling(X: Matrix, Y: Matrix, classes: list[str] | None) -> Scaling:
    scaling = Scaling.fit(X, Y)
    if classes is None:
        return scaling
    k = len(classes)
    return Scaling(scaling.x_mean, scaling.x_scale, np.zeros(k), np.ones(k))


def _network(options: argparse.Namespace, n_inputs: int, n_outputs: int) -> Network:
    layers = [Dense(width, options.activation) for width in options.hidden]
    try:
        return Network([*layers, Dense(n_outputs)], n_inputs, options.dtype, options.seed)
    except (MemoryError, OverflowError) as error:
        widths = "-".join(map(str, (n_inputs, *options.hidden, n_outputs)))
        raise Failure(
            USAGE, f"argument --hidden: no memory for a network {widths} ({error})"
        ) from None


def _costs(history: History) -> str:
    text = f"{history.cost[0]:.3g} -> {history.cost[-1]:.3g} in {len(history.cost)} epochs"
    if history.val_cost:
        text += f"; held out {history.val_cost[0]:.3g} -> {history.val_cost[-1]:.3g}"
    return text


def _score(A: Any, Y: Matrix, classes: list[str] | None, target: str) -> str:
    """Judge predictions A (m, n_L) of Y: R2 and RMSE, or accuracy."""
    if classes is not None:
        right = int((A.argmax(axis=1) == Y.argmax(axis=1)).sum())
        return f"accuracy {right / len(Y):.4f} ({right} of {len(Y)} rows)"
    squares = float(((A - Y) ** 2).sum())
    spread = float(((Y - Y.mean()) ** 2).sum())
    text = f"RMSE {math.sqrt(squares / len(Y)):.4g} in units of {show(target)[1:-1]}"
    return f"R2 {1 - squares / spread:.4f}, {text}" if spread > 0 else text


def _verdict(check: GradientCheck) -> str:
    if not check.passed:
        return f"FAILED: {check.diagnosis}"
    sample = f" of {check.n_parameters}" if check.n_checked < check.n_parameters else ""
    if any(block.direction_error is not None for block in check.blocks):
        sample += ", and random directions of all,"
    return (
        f"passed: {check.n_checked} derivatives{sample} on {check.samples} rows agree with finite "
        f"differences (worst error {check.max_error:.1e}) and with the NumPy reference"
    )


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


# --- files ----------------------------------------------------------------------------------------


def _default_name(table: str) -> str:
    return f"{Path(table).stem}.safetensors"


def _is_model_of(path: Path, inputs: tuple[str, ...], target: str) -> bool:
    try:
        known = described(load(path), path)
    except (OSError, ValueError, MemoryError):
        return False
    return known is not None and (known.columns, known.target) == (inputs, target)


def _head(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(1 << 22)
    return b""


def _say(topic: str, text: str) -> None:
    put(f"{topic:<10} {text}")
