"""The command line: `main` is the command `chainrule`.

Errors are one line on stderr and an exit code, never a traceback (except with --debug). What a
program may want to read goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path

from . import (
    check_command,
    evaluate_command,
    explain_command,
    predict_command,
    selftest_command,
    tables,
    train_command,
)
from ._core import __version__
from .commandline import (
    BROKEN_PIPE,
    DATA,
    INTERNAL,
    INTERRUPTED,
    IO_ERROR,
    NO_INPUT,
    OK,
    USAGE,
    Failure,
    Parser,
    abandon_stdout,
    add_command,
    as_options,
    note,
    put,
    put_json,
    reason_of,
)
from .errors import FormatError
from .runtime import info, set_num_threads


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
            code = _report(error, "--json" in arguments)
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


def _report(error: BaseException, as_json: bool) -> int:
    """Print the one line for an error, and an object with --json; return the exit code."""
    if isinstance(error, BrokenPipeError):  # the reader has enough: `chainrule predict ... | head`
        abandon_stdout()
        return BROKEN_PIPE
    if isinstance(error, Failure):
        code, message = error.code, str(error)
    elif isinstance(error, FormatError):
        code, message = DATA, as_options(str(error))
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
    if as_json:
        with suppress(Failure, OSError, ValueError):
            put_json({"error": {"exit_code": code, "message": message}})
    return code


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
  chainrule evaluate diabetes.safetensors diabetes        how good is it on these rows?
  chainrule train houses.csv --target price --plot cost.png
  chainrule explain --example                             every number of one step
  chainrule check --template                              backpropagation to write yourself

packaged tables: {", ".join(tables.PACKAGED)}
exit codes: 0 done, 1 a check failed, 2 wrong usage, 65 bad data, 66 no input,
70 internal error, 73 cannot create a file, 74 input or output failed, 130 interrupted
environment: CHAINRULE_ISA (instruction set), OMP_NUM_THREADS, NO_COLOR""",
    )
    parser.add_argument("--version", action="version", version=f"chainrule {__version__}")
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    train_command.add(commands)
    predict_command.add(commands)
    evaluate_command.add(commands)
    check_command.add(commands)
    explain_command.add(commands)
    selftest_command.add(commands)
    add_command(commands, "info", _info, "print version, instruction sets, threads, compiler")
    add_command(commands, "bench", _info, "measure this machine; `chainrule bench --help`")
    return parser


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
