"""`chainrule train`: learn a column of a table from the others.

`add` registers the command. Called by `cli`.
"""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import plot, tables, train_options
from .check_command import check_rows
from .commandline import (
    CHECK_FAILED,
    DATA,
    OK,
    USAGE,
    Failure,
    Matrix,
    add_command,
    data_errors,
    may_replace,
    output_path,
    picture_path,
    put,
    reading,
    writing,
)
from .description import WHOLE, described, encode, spell_labels
from .errors import DivergedError, FormatError
from .gradcheck import GradientCheck
from .history import History
from .layers import Dense
from .modelfile import load
from .network import Network
from .progress import short
from .scaling import Scaling
from .stopping import EarlyStopping
from .tables import listing, show
from .train_options import EPOCHS, LEAST_STEPS, MOST_CLASSES, ROWS_PER_CLASS, optimizer_of

USELESS_COST = 100.0  # in standardised units, where the answer 0 for every row costs 1


def add(commands: Any) -> None:
    """Register the command with the parser's subcommands."""
    summary = "learn one column of a table from the others"
    command = add_command(commands, "train", _train, summary, train_options.HELP)
    train_options.add_options(command.add_argument)


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
    optimizer = optimizer_of(task, options)
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
