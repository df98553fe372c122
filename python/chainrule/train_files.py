"""The files that `chainrule train` writes: where they go, checked before the work, and writing.

Called by `train_command`.
"""

from __future__ import annotations

import argparse
import importlib.util
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from . import plot, training_report
from .commandline import (
    USAGE,
    Failure,
    may_replace,
    output_path,
    picture_path,
    suffixed,
    writing,
)
from .description import described, one_hot_index
from .history import History
from .modelfile import load
from .network import Network
from .train_table import Columns, TrainingTable

PAGE = b'<meta name="generator" content="chainrule '


@dataclass(frozen=True)
class Files:
    """Where each goes; None for what is not asked for."""

    model: Path
    plot: Path | None
    history: Path | None
    report: Path | None

    @property
    def written(self) -> list[Path]:
        return [path for path in (self.model, self.plot, self.history, self.report) if path]


def files_of(options: argparse.Namespace, columns: Columns) -> Files:
    """The files that the options name, all of which can be written."""
    model = output_path("--output", options.output or default_name(options.table), options)
    picture = picture_path(options)
    history = suffixed("--history", options.history, (".csv", ".jsonl"), options)
    report = suffixed("--report", options.report, (".html", ".htm"), options)
    if report is not None and importlib.util.find_spec("matplotlib") is None:
        raise Failure(USAGE, 'argument --report: needs matplotlib: pip install "chainrule[plot]"')
    seen: dict[Path, str] = {}
    for flag, path in (
        ("--output", model), ("--plot", picture), ("--history", history), ("--report", report)
    ):  # fmt: skip
        if path is not None:
            if path in seen:
                raise Failure(USAGE, f"arguments {seen[path]} and {flag}: both are {path}")
            seen[path] = flag
    may_replace("--output", model, options.force, "a model of these columns",
                lambda: _is_model_of(model, columns))  # fmt: skip
    for flag, old, what, ours in (
        ("--plot", picture, "a picture of costs", partial(_has, plot.SIGNATURE.encode())),
        ("--history", history, "a history of costs", _begins_as_history),
        ("--report", report, "a page of chainrule", partial(_has, PAGE)),
    ):
        if old is not None:
            may_replace(flag, old, options.force, what, partial(ours, old))
    return Files(model, picture, history, report)


def write_files(
    files: Files, net: Network, table: TrainingTable, history: History, facts: dict[str, Any]
) -> None:
    """Write them, each whole or not at all, the model first; `facts` are for the report."""
    with writing("--output", files.model) as temporary:
        net.save(temporary)
    if files.plot:
        with writing("--plot", files.plot) as temporary:
            plot.cost(history, temporary)
    if files.history:
        with writing("--history", files.history) as temporary:
            history.save(temporary)
    if files.report:
        known, train, held = table.known, table.train, table.held
        Y_train, Y_val = (
            one_hot_index(rows.Y) if known.classes else rows.Y for rows in (train, held)
        )
        with writing("--report", files.report) as temporary:
            training_report.write(
                temporary,
                net,
                history,
                train.X,
                Y_train,
                held.X if len(held) else None,
                Y_val if len(held) else None,
                task=known.task,
                loss=known.loss,
                classes=known.classes or None,
                names=None if known.classes else known.answer_names,
                inputs=known.encoder.names,
                samples=table.judged.places,
                facts=facts,
                title=f"{table.name}: {', '.join(known.target.columns)}",
            )


def default_name(table: str) -> str:
    return f"{Path(table).stem}.safetensors"


def _is_model_of(path: Path, columns: Columns) -> bool:
    try:
        known = described(load(path), path)
    except (OSError, ValueError, MemoryError):
        return False
    return known is not None and (known.columns, known.target.columns) == (
        columns.features,
        columns.targets,
    )


def _has(mark: bytes, path: Path) -> bool:
    return mark in _head(path)


def _begins_as_history(path: Path) -> bool:
    return _head(path).startswith((b"epoch,cost", b'{"epoch": '))


def _head(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(1 << 22)
    return b""
