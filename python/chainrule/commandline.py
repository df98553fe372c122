"""What the commands share: exit codes, types of options, reading models and tables, writing files.

Called by `cli` and by the rooms of its commands.
"""

from __future__ import annotations

import argparse
import errno
import importlib.util
import json
import math
import os
import re
import secrets
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from . import tables
from .errors import DivergedError, FormatError
from .tables import show

OK, CHECK_FAILED, USAGE, DATA, NO_INPUT, INTERNAL, CANNOT_CREATE, IO_ERROR = (
    0, 1, 2, 65, 66, 70, 73, 74,
)  # fmt: skip
INTERRUPTED, BROKEN_PIPE = 130, 141
WIDTH, TOPIC = 80, 11  # of what is printed, and of the word in front

Matrix = NDArray[np.float64]


class Failure(Exception):
    """Ends the command with an exit code and one line."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


# What is said to a program, said to somebody at a terminal.
_AS_OPTIONS = {
    'fit the encoder with missing="mean", "indicator" or "drop"':
        "train with --missing mean, indicator or drop",
    "leave out these rows or fill them in": "fill them in, or train with --missing drop",
    'task="classification" takes': "--task classification takes",
    "name the column in categorical": "name the column with --categorical",
    "or name it in categorical": "or name it with --categorical",
    'handle_unknown="ignore" takes': "--unknown ignore takes",
}  # fmt: skip


def as_options(text: str) -> str:
    """A message about arguments of a function as one about options."""
    for said, better in _AS_OPTIONS.items():
        text = text.replace(said, better)
    return text


def note(text: str) -> None:
    """Write one line to stderr; nothing in it can act on a terminal."""
    text = " ".join(text.splitlines())
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"chainrule: {line}", file=sys.stderr, flush=True)


def reason_of(error: OSError) -> str:
    text = error.strerror or str(error)
    return f"{error.filename}: {text}" if error.filename is not None else text


def put(text: str, end: str = "\n") -> None:
    """Write to stdout, at once."""
    if sys.stdout is None:
        raise Failure(IO_ERROR, "the standard output is closed")
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon_stdout()
        reason = error.strerror or str(error)
        raise Failure(IO_ERROR, f"cannot write to the standard output: {reason}") from error


def say(topic: str, text: str) -> None:
    """Write what is said about a topic: one block, the topic in front."""
    lines = textwrap.wrap(text, WIDTH - TOPIC, break_long_words=False, break_on_hyphens=False)
    for k, line in enumerate(lines or [""]):
        put(f"{'' if k else topic:<{TOPIC - 1}} {line}")


def put_json(value: Any) -> None:
    """Write one JSON object; NaN and infinity become null, which JSON has."""
    put(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def abandon_stdout() -> None:
    """Let what is left in stdout's buffer go nowhere, or Python complains again at exit."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Failure(USAGE, f"{message} ({self.prog} --help)")


def whole_option(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII) and least <= int(text) < 2**63:
            return int(text)
        raise argparse.ArgumentTypeError(f"got {show(text)}, allowed is a whole number >= {least}")

    return parse


def real_option(allowed: str, test: Callable[[float], bool]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not tables.refusal(text) and test(float(text)):
            return float(text)
        raise argparse.ArgumentTypeError(f"got {show(text)}, allowed is {allowed}")

    return parse


def add_command(
    commands: Any, name: str, run: Callable[..., int], summary: str, text: str = ""
) -> Any:
    sub = commands.add_parser(
        name,
        help=summary,
        description=text or summary,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(command=run)
    sub.add_argument("--debug", action="store_true", help="show a traceback when something fails")
    return sub


@contextmanager
def reading(what: str = "table") -> Iterator[None]:
    """Turn the errors of opening an input into exit code 66."""
    try:
        yield
    except ImportError as error:
        raise Failure(USAGE, str(error)) from None
    except OSError as error:
        code = IO_ERROR if error.errno == errno.EIO else NO_INPUT
        raise Failure(code, f"cannot read the {what}: {reason_of(error)}") from error


@contextmanager
def data_errors(table: str) -> Iterator[None]:
    """Numbers that the network refuses (3e39 in float32) are bad data."""
    try:
        yield
    except FormatError:
        raise
    except (ValueError, DivergedError) as error:
        raise Failure(DATA, f"{table}: {error}") from error


def output_path(flag: str, name: str, options: argparse.Namespace) -> Path:
    """Check an output path before the work begins."""
    path = Path(name)
    for source in (options.table, getattr(options, "model", None)):
        with suppress(OSError, ValueError):
            if source and path.samefile(tables.locate(source)):
                raise Failure(USAGE, f"argument {flag}: {name} is an input")
    try:
        if path.is_dir():
            reason = "is a folder"
        elif path.exists() and not path.is_file():
            reason = "is a device, not a file"
        elif not path.parent.is_dir():
            reason = f"cannot be made: there is no folder {path.parent}"
        elif not os.access(path.parent, os.W_OK | os.X_OK):
            reason = f"cannot be made: the folder {path.parent} is not writable"
        else:
            reason = ""
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        reason = f"cannot be made: {error.strerror}"
    if reason:
        raise Failure(CANNOT_CREATE, f"argument {flag}: {name} {reason}")
    return path


def picture_path(options: argparse.Namespace) -> Path | None:
    """Where --plot goes, checked; None without it."""
    path = suffixed("--plot", options.plot, (".png", ".svg", ".pdf"), options)
    if path is not None and importlib.util.find_spec("matplotlib") is None:
        raise Failure(USAGE, 'argument --plot: needs matplotlib: pip install "chainrule[plot]"')
    return path


def suffixed(
    flag: str, name: str | None, suffixes: tuple[str, ...], options: argparse.Namespace
) -> Path | None:
    """Where an output goes whose name says what it is, checked; None without a name."""
    if name is None:
        return None
    path = output_path(flag, name, options)
    if path.suffix.lower() not in suffixes:
        raise Failure(USAGE, f"argument {flag}: got {show(name)}, allowed is a name that ends in "
                      f"{' or '.join(suffixes)}")  # fmt: skip
    return path


def may_replace(
    flag: str, path: Path, force: bool, what: str = "", ours: Callable[[], bool] = lambda: False
) -> None:
    """Refuse to replace a file, unless it is `what` was written before, as `ours` finds out."""
    if force or not os.path.lexists(path) or (not path.is_symlink() and ours()):
        return
    but = f" and is not {what}" if what else ""
    raise Failure(CANNOT_CREATE, f"argument {flag}: {path} exists{but}; --force replaces it")


@contextmanager
def writing(flag: str, path: Path) -> Iterator[Path]:
    """Give a temporary name in the same folder; at the end it takes the place of `path`."""
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            broken = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
            code = IO_ERROR if error.errno in broken else CANNOT_CREATE
            text = error.strerror or str(error)
            raise Failure(code, f"argument {flag}: cannot write {path}: {text}") from error
        raise
