"""`chainrule check`: the derivatives of a model on a table, or those of a student's file.

`add` registers the command; `check_rows` is the check at the end of a training too. Called by
`cli`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from . import tables
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
    real_option,
    whole_option,
    writing,
)
from .description import load_model
from .gradcheck import GradientCheck, gradcheck
from .gradcheck.student import check_student, template
from .gradcheck.student_file import StudentError
from .losses import Loss
from .matching import matched, named
from .network import Network

CHECKED_ROWS, CHECK_SECONDS = 256, 6.0
TEMPLATE = "student.py"
PLOTS = hasattr(GradientCheck, "plot")


def add(commands: Any) -> None:
    """Register the command with the parser's subcommands."""
    option = add_command(
        commands,
        "check",
        _check,
        "check the derivatives of a model, or of a file of your own",
        f"""\
Compare every derivative of the cost with finite differences of that cost.

  chainrule check MODEL TABLE     what the compiled core computes for a model on a table (at most
                                  {CHECKED_ROWS} rows, evenly spread); with the NumPy reference too
  chainrule check --template      write {TEMPLATE}, a network of two layers whose four equations
                                  are left to be filled in
  chainrule check {TEMPLATE}      check the function backprop(params, X, Y) -> (cost, grads) of a
                                  file ending in .py; the file is run. What is missing, what is
                                  wrong and what the mistake looks like
  chainrule check {TEMPLATE} TABLE  the same on the first rows of a table

params and grads: a dict of arrays such as W1, b1, a list of pairs (W, b), or a tuple. W is
(n_out, n_in) or (n_in, n_out); samples are rows or columns. The file says the sizes,
WIDTHS = [3, 4, 2], or has functions params() and data() that return params and X, Y.

Exit code 0: the derivatives are right; 1: they are not.""",
    ).add_argument
    option("model", metavar="MODEL", nargs="?",
           help="file written by `chainrule train`, or a .py file with a backprop")  # fmt: skip
    option("table", metavar="TABLE", nargs="?",
           help="file, or " + " or ".join(tables.PACKAGED))  # fmt: skip
    option("--template", metavar="PATH", nargs="?", const=TEMPLATE,
           help=f"write a file to fill in (default {TEMPLATE}) and check nothing")  # fmt: skip
    option("--timeout", metavar="SECONDS", default=60.0,
           type=real_option("a number from 0.01 to 1e6", lambda x: 0.01 <= x <= 1e6),
           help="for a .py file: end it after this time (default 60)")  # fmt: skip
    if PLOTS:
        option("--plot", metavar="FILE", help="a picture of the errors: .png, .svg or .pdf (needs "
               "matplotlib); a file that is there is replaced only with --force")  # fmt: skip
    option("--threads", metavar="N", type=whole_option(1), help="default: one per core")
    option("--force", action="store_true", help="replace the file that is written")


def _check(options: argparse.Namespace) -> int:
    if options.template is not None:
        return _write_template(options)
    if options.model is None:
        raise Failure(
            USAGE,
            "what is to be checked? chainrule check MODEL TABLE, chainrule check student.py, or "
            "chainrule check --template for a file to fill in",
        )
    picture = picture_path(options) if PLOTS else None
    if picture is not None:
        may_replace("--plot", picture, options.force)
    student = options.model.lower().endswith(".py")
    report, text = _student(options) if student else _model(options)
    if report is not None and picture is not None:
        with writing("--plot", picture) as temporary:
            report.plot(temporary)
    put(text)
    return OK if report is not None and report.passed else CHECK_FAILED


def _write_template(options: argparse.Namespace) -> int:
    if options.model is not None:
        raise Failure(USAGE, f"argument --template: {options.model} does not go with it")
    path = output_path("--template", options.template, options)
    may_replace("--template", path, options.force)
    with writing("--template", path) as temporary:
        temporary.write_text(template(path.name), encoding="utf-8", newline="\n")
    put(f"{'file':<10} {path}: fill in the lines with TODO\n{'next':<10} chainrule check {path}")
    return OK


def _model(options: argparse.Namespace) -> tuple[GradientCheck, str]:
    if options.table is None:
        raise Failure(USAGE, f"on which table? chainrule check {options.model} TABLE")
    net, known = named(load_model(options.model), options.model, "chainrule.gradcheck checks it")
    frame = matched(known, options.table, known.target.columns)
    with data_errors(options.table):
        frame = known.complete(frame)
        report = check_rows(net, known.encoder.transform(frame), known.targets(frame), known.loss)
    return report, str(report)


def _student(options: argparse.Namespace) -> tuple[GradientCheck | None, str]:
    X, Y = (None, None) if options.table is None else _rows(options.table)
    try:
        with reading("file"):
            checked = check_student(Path(options.model), X, Y, timeout=options.timeout)
    except StudentError as error:
        if error.unusable:
            raise Failure(DATA, error.line_of_all) from None
        return None, f"{error}\n{Path(options.model).name}: FAILED"
    return checked.check, checked.text


def _rows(name: str) -> tuple[Matrix, Matrix]:
    """X and Y: the last column is the target, but where a packaged table knows its own."""
    with reading():
        columns = tables.header(name)
        target = tables.PACKAGED.get(name, columns[-1])
        inputs = [column for column in columns if column != target]
        if not inputs:
            raise Failure(DATA, f"{name}: no column is left for the input")
        table = tables.read(name, [*inputs, target])
    return table.values[:, :-1], table.values[:, -1:]


def check_rows(net: Network, X: Matrix, Y: Matrix, loss: Loss) -> GradientCheck:
    """Check the derivatives on at most CHECKED_ROWS rows, evenly spread, in some seconds.

    A difference of the cost is two passes, each of about 2 P m operations after m n_0 numbers are
    standardised.
    """
    m = min(len(X), CHECKED_ROWS)
    rows = np.linspace(0, len(X) - 1, m).astype(np.int64)
    seconds = 2 * (5e-5 + 2 * net.n_parameters * m / 2e10 + 2e-9 * m * net.n[0])
    most = max(200, int(CHECK_SECONDS / seconds))
    return gradcheck(net, X[rows], Y[rows], loss=loss, max_parameters=most)
