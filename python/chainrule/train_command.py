"""`chainrule train`: learn columns of a table from the others.

`add` registers the command. Called by `cli`.
"""

from __future__ import annotations

import argparse
import shlex
from typing import Any

import numpy as np

from . import train_options
from .answers import answers
from .check_command import check_rows
from .commandline import (
    CHECK_FAILED,
    INTERRUPTED,
    OK,
    USAGE,
    Failure,
    add_command,
    data_errors,
    put,
    put_json,
    say,
)
from .description import TABLE, Description, loss_named
from .errors import DivergedError
from .gradcheck import GradientCheck
from .history import History
from .layers import Dense
from .network import Network
from .progress import short
from .rows import standardise
from .scores import Scores
from .stopping import EarlyStopping
from .tables import listing
from .train_files import Files, files_of, write_files
from .train_options import BATCH_SIZE, PATIENCE, WATCHED_SHARE, epochs_of, optimizer_of
from .train_table import Rows, TrainingTable, columns_of, training_table

USELESS_COST = 100.0  # in standardised units, where the answer 0 for every row costs 1


def add(commands: Any) -> None:
    """Register the command with the parser's subcommands."""
    summary = "learn one column of a table from the others"
    command = add_command(commands, "train", _train, summary, train_options.HELP)
    train_options.add_options(command)


def _train(options: argparse.Namespace) -> int:
    optimizer_of("regression", options)  # what it cannot have is said before the work
    columns = columns_of(options)
    files = files_of(options, columns)
    table = training_table(options, columns)
    talk = not (options.quiet or options.json)
    net = _network(options, table.known)
    if talk:
        _introduce(table, net)
    with data_errors(options.table):
        rows = table.train
        standardise(net, table.known.loss, rows.X, rows.Y, None)
        history = _fit(net, table, options)
        net.metadata[TABLE] = {
            "name": table.name,
            **table.known.as_json(),
            "rows": len(table.train),
            "held_out": len(table.held),
            "seed": options.seed,
        }
        write_files(files, net, table, history, _facts(options, table))
        if options.quiet and not options.json:
            return OK
        judged = table.judged
        scores = answers(net, table.known, judged.X).judged(judged.Y, judged.weight)
        check = (
            None
            if options.quiet
            else check_rows(net, table.train.X, table.train.Y, table.known.loss)
        )
    if options.json:
        put_json(_told(options, files, net, table, history, scores, check))
    else:
        _report(options, files, table, history, scores, check)
    return OK if check is None or check.passed else CHECK_FAILED


# --- the network and its training -----------------------------------------------------------------


def _network(options: argparse.Namespace, known: Description) -> Network:
    extra = {"dropout": options.dropout} if options.dropout else {}
    layers = [Dense(width, options.activation, **extra) for width in options.hidden]
    n_inputs, n_outputs = len(known.encoder.names), known.outputs
    try:
        return Network([*layers, Dense(n_outputs)], n_inputs, options.dtype, options.seed)
    except (MemoryError, OverflowError) as error:
        widths = "-".join(map(str, (n_inputs, *options.hidden, n_outputs)))
        raise Failure(
            USAGE, f"argument --hidden: no memory for a network {widths} ({error})"
        ) from None


def _fit(net: Network, table: TrainingTable, options: argparse.Namespace) -> History:
    """Train with the options or their defaults, and judge whether it went well."""
    task, rows = table.known.task, table.train
    more: dict[str, Any]
    optimizer = optimizer_of(task, options)
    rate = optimizer.first_rate
    with np.errstate(over="ignore", under="ignore"):
        if not 0 < np.dtype(net.dtype).type(rate) < np.inf:
            raise Failure(USAGE, f"argument --learning-rate: {rate:g} does not fit {net.dtype}")
    epochs = epochs_of(len(rows), options)
    more = {name: getattr(options, name) for name in ("l1", "l2") if getattr(options, name)}
    if rows.weight is not None:
        more["sample_weight"] = rows.weight
    try:
        history = net.fit(
            rows.X,
            rows.Y,
            epochs=epochs,
            batch_size=options.batch_size or BATCH_SIZE,
            optimizer=optimizer,
            loss=table.known.loss,
            seed=options.seed,
            progress=not options.quiet,
            **more,
            **_watched(table.held, options),
        )
    except DivergedError as error:
        raise _diverged(f"in epoch {error.epoch}", error.cost, rate) from None
    except KeyboardInterrupt:
        raise Failure(INTERRUPTED, "interrupted; nothing was saved") from None
    standardised = net.scaling is not None and net.scaling.scales_targets
    if standardised and history.cost[-1] > USELESS_COST:
        raise _diverged(f"after {epochs} epochs", history.cost[-1], rate)
    return history


def _watched(held: Rows, options: argparse.Namespace) -> dict[str, Any]:
    """What is looked at after each epoch: to stop early not the test, which is to stay unseen."""
    if options.early_stopping or options.patience is not None:
        stopping = EarlyStopping(options.patience or PATIENCE)
        return {"validation_split": WATCHED_SHARE, "early_stopping": stopping}
    if not len(held):
        return {}
    data = (held.X, held.Y) if held.weight is None else (held.X, held.Y, held.weight)
    return {"validation_data": data}


def _diverged(when: str, cost: float, rate: float) -> Failure:
    return Failure(
        USAGE,
        f"training diverged {when}, the last finite cost was {cost:.4g}: try a smaller "
        f"--learning-rate than {rate:g}",
    )


# --- what is said about it ------------------------------------------------------------------------


def _introduce(table: TrainingTable, net: Network) -> None:
    known, train, held = table.known, table.train, table.held
    shares = f"{len(train)} to train, {len(held)} held out"
    if table.dropped:
        shares += f", {table.dropped} left out with missing cells"
    inputs = f"{len(known.columns)} inputs"
    if len(known.encoder.names) != len(known.columns):
        inputs = f"{len(known.columns)} columns as {len(known.encoder.names)} inputs"
    say(
        "table", f"{table.name}: {len(train) + len(held) + table.dropped} rows ({shares}), {inputs}"
    )
    kind = f"classification, {len(known.classes)} classes" if known.classes else "regression"
    say("target", f"{listing(known.target.columns, 5)} ({kind})")
    say("loss", _loss_said(known))
    say("network", str(net).removeprefix("Network "))
    constant = (train.X[0] == train.X).all(axis=0)
    if constant.any():
        found = [n for n, same in zip(known.encoder.names, constant, strict=True) if same]
        say("note", f"{len(found)} input(s) constant in the training rows: {listing(found, 5)}")
    for text in table.notes:
        say("note", text)


def _loss_said(known: Description) -> str:
    usual = known.loss == loss_named(known.loss.name)
    numbers = () if usual else known.quantiles or known.loss.parameters
    return known.loss.name + (f":{','.join(f'{p:g}' for p in numbers)}" if numbers else "")


def _report(
    options: argparse.Namespace,
    files: Files,
    table: TrainingTable,
    history: History,
    scores: Scores,
    check: GradientCheck | None,
) -> None:
    text = f"{history.cost[0]:.3g} -> {history.cost[-1]:.3g} in {len(history.cost)} epochs"
    if history.val_cost:
        early = options.early_stopping or options.patience is not None
        where = "validation" if early else "held out"
        text += f"; {where} {history.val_cost[0]:.3g} -> {history.val_cost[-1]:.3g}"
    say("cost", text)
    say("stopped", history.reason)
    say("result", scores.summary() + ("" if len(table.held) else " on the training rows"))
    for line in scores.lines():
        put(f"{'':<10} {line}")
    say("speed", f"{short(history.rows_per_second)} rows/s, {history.seconds:.2g} s")
    if check is not None:
        say("gradients", _verdict(check))
    say("files", ", ".join(map(str, files.written)))
    say("next", shlex.join(["chainrule", "predict", str(files.model), options.table]))


def _facts(options: argparse.Namespace, table: TrainingTable) -> dict[str, Any]:
    """What the report says beside what it sees itself."""
    return {
        "Optimiser": optimizer_of(table.known.task, options),
        "Rows left out with missing cells": table.dropped,
        "Seed": options.seed,
    }


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


def _told(
    options: argparse.Namespace,
    files: Files,
    net: Network,
    table: TrainingTable,
    history: History,
    scores: Scores,
    check: GradientCheck | None,
) -> dict[str, Any]:
    """The object of --json."""
    known = table.known
    return {
        "model": str(files.model),
        "files": [str(path) for path in files.written],
        "table": options.table,
        "task": known.task,
        "target": known.as_json()["target"],
        "classes": list(known.classes) or None,
        "columns": list(known.columns),
        "inputs": list(known.encoder.names),
        "rows": len(table.train) + len(table.held),
        "training_rows": len(table.train),
        "held_out_rows": len(table.held),
        "dropped_rows": table.dropped,
        "notes": table.notes,
        "network": {"n": list(net.n), "parameters": net.n_parameters, "dtype": str(net.dtype)},
        "loss": {"name": known.loss.name, "parameters": list(known.loss.parameters)},
        "optimizer": options.optimizer,
        "epochs": len(history.cost),
        "best_epoch": history.best_epoch,
        "stopped": history.stopped,
        "reason": history.reason,
        "history": history.table(),
        "metrics": {"of": "held_out" if len(table.held) else "training", **scores.as_dict()},
        "seconds": history.seconds,
        "rows_per_second": history.rows_per_second,
        "gradients": None if check is None else {
            "passed": check.passed,
            "checked": check.n_checked,
            "max_error": check.max_error,
        },
    }  # fmt: skip
