"""`chainrule explain`: one step of descent with every formula, as text or as one HTML page.

`add` registers the command. Called by `cli`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import report, tables
from .commandline import (
    DATA,
    OK,
    USAGE,
    Failure,
    Matrix,
    add_command,
    data_errors,
    may_replace,
    output_path,
    put,
    real_option,
    whole_option,
    writing,
)
from .description import load_model
from .errors import DivergedError
from .losses import LossLike
from .matching import matched, named
from .network import Network
from .tables import show
from .walkthrough import LARGEST, example, walk

EXAMPLE_RATE, MODEL_RATE = 0.5, 0.01
MOST_ROWS = 256


@dataclass(frozen=True)
class _Case:
    """What is explained: a network, its samples, and what they are called."""

    net: Network
    X: Matrix
    Y: Matrix
    title: str
    source: str
    rate: float
    names: dict[str, Any]
    loss: LossLike = "mse"


def add(commands: Any) -> None:
    """Register the command with the parser's subcommands."""
    option = add_command(
        commands,
        "explain",
        _explain,
        "show every number of one step: formula, value and check",
        """\
Walk a network through one step of gradient descent: forward, cost, the four equations of
backpropagation, the step. Each formula stands beside its numbers and a check by another way.

  chainrule explain --example                              a network of 2-2-2 units
  chainrule explain diabetes.safetensors diabetes --row 3  a trained model on one row of a table
  chainrule explain --example --weight 1,2,1               one derivative in full
  chainrule explain --example --html report.html           a page: every number opens its formula

Layers, units and rows count from 1. Columns are found by name, as in `chainrule predict`; the
target has to be in the table too. Of a large network the text and the page show a part, and say so.
A model that standardises its columns is explained in standardised units.""",
    ).add_argument
    option("model", metavar="MODEL", nargs="?", help="file written by `chainrule train`")
    option("table", metavar="TABLE", nargs="?", help="file, or " + " or ".join(tables.PACKAGED))
    option("--example", action="store_true", help="explain the example instead of a model")
    option("--row", metavar="N", type=_rows, default=None,
           help="row of the table, or several such as 3,5,8 as one batch (default 1)")  # fmt: skip
    which = "explain one derivative: "
    option("--weight", metavar="l,j,k", type=_place("l,j,k"),
           help=f"{which}of the weight to unit j of layer l from unit k below")  # fmt: skip
    option("--bias", metavar="l,j", type=_place("l,j"),
           help=f"{which}of the bias of unit j of layer l")  # fmt: skip
    option("--learning-rate", metavar="X", type=real_option("a number > 0", lambda x: x > 0),
           help=f"default {EXAMPLE_RATE} for the example, {MODEL_RATE} for a model")  # fmt: skip
    option("--html", metavar="FILE",
           help="write one self-contained page and nothing to the standard output but its name. An "
           "earlier page is replaced, any other file only with --force")  # fmt: skip
    option("--threads", metavar="N", type=whole_option(1), help="default: one per core")
    option("--force", action="store_true", help="replace the file, whatever it is")


def _rows(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    whole = all(re.fullmatch(r"\d{1,18}", part, re.ASCII) and int(part) > 0 for part in parts)
    if whole and len(parts) <= MOST_ROWS:
        return tuple(map(int, parts))
    raise argparse.ArgumentTypeError(
        f"got {show(text)}, allowed is a row >= 1, or up to {MOST_ROWS} of them such as 3,5,8"
    )


def _place(form: str) -> Callable[[str], tuple[int, ...]]:
    count = form.count(",") + 1

    def parse(text: str) -> tuple[int, ...]:
        parts = [part.strip() for part in text.split(",")]
        if len(parts) == count and all(re.fullmatch(r"\d{1,18}", p, re.ASCII) for p in parts):
            return tuple(map(int, parts))
        raise argparse.ArgumentTypeError(
            f"got {show(text)}, allowed are {count} whole numbers {form}, such as "
            + ",".join("121"[:count])
        )

    return parse


def _explain(options: argparse.Namespace) -> int:
    page = _page_path(options)
    case = _example(options) if options.example else _model(options)
    places = [("--weight", options.weight), ("--bias", options.bias)]
    asked = [(flag, place) for flag, place in places if place is not None]
    try:
        with data_errors(case.source):
            texts = [_one(case, flag, place) for flag, place in asked]
            if page is None and not asked:
                texts = _calculation(case)
            html = "" if page is None else report.page(
                case.net, case.X, case.Y, case.rate, case.loss, title=case.title, **case.names
            )  # fmt: skip
    except Failure as failure:
        if isinstance(failure.__cause__, DivergedError):
            hint = f"; is --learning-rate {case.rate:g} too large?"
            raise Failure(failure.code, f"{failure}{hint}") from failure.__cause__
        raise
    if page is not None:
        with writing("--html", page) as temporary:
            temporary.write_text(html, encoding="utf-8", newline="\n")
    if not options.example and texts:
        texts.insert(0, case.title)
    if page is not None:
        texts.append(f"{'page':<10} {page} ({len(html.encode()) / 1000:.0f} kB)")
    put("\n\n".join(texts))
    return OK


def _calculation(case: _Case) -> list[str]:
    """All of a small calculation; of a large one the layers and the largest derivative."""
    size = len(case.X) * case.net.n_parameters
    if size <= LARGEST:
        return [walk(case.net, case.X, case.Y, case.rate, case.loss)]
    trace = case.net.trace(case.X, case.Y, case.loss)
    _, place = max(
        (
            float(abs(g).max()),
            (l, *(int(x) + 1 for x in np.unravel_index(abs(g).argmax(), g.shape))),
        )
        for l in range(1, trace.L + 1)
        for g in (trace.dW[l], trace.db[l])
    )
    advice = (
        "This network is too large to be written out. Below is its largest derivative; --weight "
        "and --bias explain any other, --html writes a page of the largest ones."
    )
    return [str(trace), advice, str(trace.explain(*place))]


def _one(case: _Case, flag: str, place: tuple[int, ...]) -> str:
    """The explanation of one derivative."""
    trace = case.net.trace(case.X, case.Y, case.loss)
    try:
        return str(trace.explain(*place))
    except (ValueError, IndexError, OverflowError) as error:
        raise Failure(USAGE, f"argument {flag}: {error}") from None


def _example(options: argparse.Namespace) -> _Case:
    for word, value in (("MODEL", options.model), ("--row", options.row)):
        if value is not None:
            raise Failure(USAGE, f"argument --example: {word} does not go with it")
    net, X, Y = example()
    rate = options.learning_rate or EXAMPLE_RATE
    return _Case(net, X, Y, report.TITLE, "the example", rate, {})


def _model(options: argparse.Namespace) -> _Case:
    if options.model is None or options.table is None:
        raise Failure(
            USAGE, "which network? chainrule explain MODEL TABLE, or chainrule explain --example"
        )
    net, known = named(
        load_model(options.model), options.model, "net.trace(X, Y).explain(l, j, k) explains it"
    )
    table = matched(known, options.table, known.target.columns)
    rows = options.row or (1,)
    if max(rows) > len(table):
        raise Failure(
            USAGE,
            f"argument --row: got {max(rows)}, allowed are 1 to {len(table)}, the rows of "
            f"{options.table}",
        )
    picked = np.array(rows) - 1
    with data_errors(options.table):
        chosen = table.take(picked)
        X, Y = known.encoder.transform(chosen), known.targets(chosen)
    if len(X) < len(picked):
        raise Failure(DATA, f"{options.table}: a row of --row has a missing cell")
    said = "Row" if len(rows) == 1 else "Rows"
    title = f"{said} {', '.join(map(str, rows[:8]))}{', ...' if len(rows) > 8 else ''}"
    return _Case(
        net,
        X,
        Y,
        f"{title} of {Path(options.table).name}: every number of one step",
        options.table,
        options.learning_rate or MODEL_RATE,
        {
            "inputs": list(known.encoder.names),
            "outputs": known.output_names,
            "samples": [f"row {row}" for row in rows],
        },
        known.loss,
    )


def _page_path(options: argparse.Namespace) -> Path | None:
    if options.html is None:
        return None
    path = output_path("--html", options.html, options)
    if path.suffix.lower() not in {".html", ".htm"}:
        raise Failure(
            USAGE,
            f"argument --html: got {show(options.html)}, allowed is a name that ends in .html",
        )
    may_replace("--html", path, options.force, "a page of chainrule", lambda: _is_ours(path))
    return path


def _is_ours(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return b'<meta name="generator" content="chainrule ' in file.read(4096)
    return False
