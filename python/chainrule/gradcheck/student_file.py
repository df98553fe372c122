"""A student's file: load it, call its backprop, and say in its own lines what went wrong."""

from __future__ import annotations

import contextlib
import faulthandler
import inspect
import io
import os
import re
import signal
import sys
import textwrap
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

NAME = "__student__"  # of the module while it is checked
GRACE = 2.0  # seconds from one interruption of code that catches everything to the next
_TODO = re.compile(r"\s*(\w+)\s*=\s*None\b.*\((BP\d)\)")


class StudentError(Exception):
    """What is wrong with the file, in lines for its author; `unusable` when nothing could run."""

    def __init__(self, *lines: str, unusable: bool = False, line: int = 0) -> None:
        super().__init__("\n".join(wrapped(lines)))
        self.line_of_all = ": ".join(line.strip().rstrip(":") for line in lines)
        self.unusable = unusable
        self.line = line  # of the file, where known


def wrapped(lines: Iterable[str]) -> list[str]:
    """Lines at most 80 wide, the indent kept."""
    text = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        text += textwrap.wrap(line, 80, subsequent_indent=indent) or [""]
    return text


class TimedOut(BaseException):
    """Not an Exception: the student's own `except Exception` must not catch it."""


class StudentFile:
    """The module and its header: WIDTHS, ACTIVATIONS, LOSS; `todo` has name: (tag, line).

    Raises
    ------
    OSError
        The file cannot be read.
    StudentError
        It cannot be run, or has no backprop(params, X, Y).
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.name = path.name
        content = path.read_bytes()
        self.lines = content.decode("utf-8", "replace").splitlines()
        self.todo: dict[str, tuple[str, int]] = {}
        for number, text in enumerate(self.lines, 1):
            if found := _TODO.match(text):
                self.todo[found[1]] = (found[2], number)
        self.module = types.ModuleType(NAME)
        self.module.__file__ = str(self.path)
        self._load(content)
        self.backprop = self._backprop()
        self.widths = self._widths()
        self.activations = getattr(self.module, "ACTIVATIONS", None)
        self.loss = getattr(self.module, "LOSS", None)

    def _load(self, content: bytes) -> None:
        try:
            code = compile(content, str(self.path), "exec", dont_inherit=True)
        except SyntaxError as error:
            raise StudentError(
                f"{self.name}, line {error.lineno or 1}: {type(error).__name__}: {error.msg}",
                *self.shown(error.lineno or 0),
                unusable=True,
            ) from None
        except ValueError as error:  # zero bytes
            raise StudentError(f"{self.name}: {error}", unusable=True) from None
        try:
            self.run(lambda: exec(code, self.module.__dict__))
        except StudentError as error:
            error.unusable = True
            raise

    def _backprop(self) -> Any:
        names = [n for n, v in vars(self.module).items() if inspect.isfunction(v)]
        backprop = getattr(self.module, "backprop", None)
        if not callable(backprop):
            near = get_close_matches("backprop", names, 1, 0.5)
            but = f", but {near[0]}: is that it? Then rename it" if near else ""
            raise StudentError(
                f"{self.name} has no function backprop(params, X, Y){but}",
                "(chainrule check --template writes a file to start from)",
                unusable=True,
            )
        if not _takes(backprop, 3):
            raise StudentError(
                f"{self.name}: backprop{inspect.signature(backprop)} must take three arguments: "
                "backprop(params, X, Y)",
                unusable=True,
            )
        return backprop

    def _widths(self) -> list[int] | None:
        widths = getattr(self.module, "WIDTHS", None)
        if widths is None:
            return None
        with contextlib.suppress(TypeError):
            numbers = list(widths)
            if len(numbers) > 1 and all(
                isinstance(n, (int, np.integer)) and n > 0 for n in numbers
            ):
                return [int(n) for n in numbers]
        raise StudentError(
            f"{self.name}: WIDTHS is {widths!r}; allowed are two or more whole numbers such as "
            "[3, 4, 2]: inputs, units of each layer",
            unusable=True,
        )

    def own(self, *names: str) -> Any:
        """What the file gives under one of these names, called if it is a function, or None."""
        for name in names:
            value = getattr(self.module, name, None)
            if value is None:
                continue
            if inspect.isclass(value) or not callable(value):
                return value
            for arguments in ((), (self.widths,)):
                if _takes(value, len(arguments)):
                    try:
                        return self.run(partial(value, *arguments))
                    except StudentError as error:
                        error.unusable = True
                        raise
        return None

    def run(self, action: Callable[[], Any], *, quiet: bool = False) -> Any:
        """Do something in the student's code.

        Raises
        ------
        StudentError
            Whatever it raised, with the line of the file.
        """
        folder, bytecode = str(self.path.parent), sys.dont_write_bytecode
        sink = contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext()
        sys.dont_write_bytecode = True
        sys.path.insert(0, folder)
        sys.modules[NAME] = self.module
        try:
            with sink:
                return action()
        except (KeyboardInterrupt, TimedOut):
            raise
        except BaseException as error:
            raise self._trouble(error) from None
        finally:
            sys.dont_write_bytecode = bytecode
            sys.modules.pop(NAME, None)
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)

    def _trouble(self, error: BaseException) -> StudentError:
        frame, number = None, 0
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(self.path):
                frame, number = trace.tb_frame, trace.tb_lineno
            trace = trace.tb_next
        text = " ".join(str(error).split())
        if "mismatch in its core dimension" in text:
            text = "the inner sizes of a matrix product differ"
        what = f"{type(error).__name__}: {text}" if text else type(error).__name__
        if isinstance(error, SystemExit):
            what = "the file ends the program here (exit): leave that line out"
        if frame is None:
            return StudentError(f"{self.name}: {what}")
        function = frame.f_code.co_name
        inside = "" if function == "<module>" else f", in {function}"
        return StudentError(
            f"{self.name}, line {number}{inside}: {what}",
            *self.shown(number),
            *self._seen(frame, number),
            line=number,
        )

    def shown(self, number: int) -> list[str]:
        """A line of the file, as it is quoted."""
        if not 0 < number <= len(self.lines):
            return []
        return ["    " + self.lines[number - 1].strip()[:74]]

    def _seen(self, frame: types.FrameType, number: int) -> list[str]:
        """The shapes of the arrays in a line, and what is None there."""
        words = re.findall(r"[A-Za-z_]\w*", self.lines[number - 1].split("#")[0])
        shapes, empty = [], []
        for name in dict.fromkeys(words):
            value = frame.f_locals.get(name, self)
            if isinstance(value, np.ndarray):
                shapes.append(f"{name} {value.shape}")
            elif value is None:
                tag, line = self.todo.get(name, ("", 0))
                todo = f": ({tag}), line {line}, is still to do" if tag else ""
                empty.append(f"  {name} is None{todo}")
        return ([f"  shapes: {', '.join(shapes)}"] if shapes else []) + empty

    def line_changing(self, name: str) -> int:
        """The first line that changes an array of this name in place, or 0."""
        pattern = re.compile(rf"\b{re.escape(name)}\b[\"'\]]*(\[.*\])?\s*([-+*/@]|\*\*|//)=")
        return next((n for n, text in enumerate(self.lines, 1) if pattern.search(text)), 0)

    def line_with(self, name: str) -> int:
        """The last line that assigns to this name, or to [...] of something, or 0."""
        target = rf"\w+{re.escape(name)}" if name.startswith("[") else re.escape(name)
        pattern = re.compile(rf"\s*{target}\s*[-+*/]?=(?!=)")
        found = [n for n, text in enumerate(self.lines, 1) if pattern.match(text)]
        return found[-1] if found else 0


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # no signature: a C function
        return True
    return True


@contextlib.contextmanager
def time_limit(seconds: float, path: Path) -> Iterator[None]:
    """End what runs inside after some seconds, even where it catches every exception.

    Raises
    ------
    StudentError
        The time is over; it names the line of `path` that was running.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread alone
        return
    wanted, seen, rings = str(path.absolute()), [0], [0]

    def message() -> tuple[str, ...]:
        at = f"; it was in line {seen[0]}" if seen[0] else ""
        return (
            f"{path.name}: not done after {seconds:g} s{at}.",
            "Is there a loop that does not end? --timeout allows more.",
        )

    def ring(_: int, frame: types.FrameType | None) -> None:
        rings[0] += 1
        while frame is not None and not seen[0]:
            if frame.f_code.co_filename == wanted:
                seen[0] = frame.f_lineno
            frame = frame.f_back
        if rings[0] > 3:  # caught again and again
            for line in message():
                os.write(2, f"chainrule: {line}\n".encode())
            os._exit(1)
        raise TimedOut

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, GRACE)
    if sys.__stderr__ is not None:  # a single call in C does not see signals
        with contextlib.suppress(OSError, ValueError):
            faulthandler.dump_traceback_later(seconds + 5 * GRACE, exit=True, file=sys.__stderr__)
    try:
        yield
    except TimedOut:
        raise StudentError(*message()) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()
