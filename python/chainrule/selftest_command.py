"""`chainrule selftest`: does this build compute right on this machine?

`add` registers the command. Called by `cli`.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from .commandline import CHECK_FAILED, OK, add_command, put, whole_option
from .selftest import run


def add(commands: Any) -> None:
    """Register the command with the parser's subcommands."""
    option = add_command(
        commands,
        "selftest",
        _selftest,
        "prove that this build computes right on this machine",
        """\
Prove on random networks that this build computes right on this machine: each equation of forward,
cost, backpropagation and update by itself, the gradient against the reference, the complex step and
central differences, a small training, the same bits on every way, number of threads and instruction
set, and that planted mistakes are caught. The worst error against each claim is printed.

Exit code 0, or 1 when a claim does not hold: its line says where, and how to see it again.""",
    ).add_argument
    option("--seed", metavar="N", type=whole_option(0), default=0,
           help="of the random networks and their samples (default 0)")  # fmt: skip
    option("--json", action="store_true", help="print the report as JSON")


def _selftest(options: argparse.Namespace) -> int:
    report = run(options.seed)
    put(json.dumps(report.as_dict(), indent=2) if options.json else str(report))
    return OK if report else CHECK_FAILED
