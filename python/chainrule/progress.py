"""Progress of a training: one rewritten line on a terminal, a widget in a notebook, else few lines.

Called by `Network.fit(progress=True)` and so by `chainrule train`. Writes to stderr only, and not
more often than eyes can follow: a small network finishes thousands of epochs a second. Bars are
tqdm's (extra `progress`); without it a terminal gets the line without a bar.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

_SCREEN_SECONDS = 0.1
_LOG_SECONDS = (1.0, 60.0)  # between two lines of a log, at least and at most
_LOG_SHARE = 0.2  # of the time gone by: ten times as long a training gives 13 lines more
_LEAST_BAR, _TEXT = 10, 48  # columns


class Progress:
    """Show epoch, cost, validation cost, rows per second and the time left.

    Parameters
    ----------
    epochs : int
        Number of epochs planned.
    rows : int
        Training rows per epoch.

    Notes
    -----
    Where it is shown, by the first that holds: in a notebook that can show widgets, a bar there; on
    a terminal, one line that is rewritten and as wide as the terminal; elsewhere (a file, a pipe,
    TERM=dumb), whole lines, the first after a second, then ever fewer. No colours are asked for,
    and with NO_COLOR in the environment none are used. That nothing can be written never ends a
    training.
    """

    def __init__(self, epochs: int, rows: int) -> None:
        self.epochs, self.rows = epochs, rows
        self._began = time.perf_counter()
        self._screen: _Screen | None = _screen(epochs)
        self._shown = 0  # the last epoch on the screen
        self._shown_at = self._began if isinstance(self._screen, _Log) else -math.inf
        self._epoch = 0

    def update(
        self,
        epoch: int,
        cost: float,
        val_cost: float | None,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Report the end of an epoch, numbered from 1.

        Parameters
        ----------
        epoch : int
        cost : float
            Mean cost over the training rows during this epoch.
        val_cost : float or None
            Cost on the validation rows; None or NaN when there are none.
        metrics : mapping of str to float, optional
            By name, in the order in which they are shown.
        """
        now = time.perf_counter()
        self._epoch, self._cost, self._val_cost, self._now = epoch, cost, val_cost, now
        self._metrics = metrics or {}
        if self._screen is None:
            return
        if epoch >= self.epochs or now - self._shown_at >= self._screen.wait(now - self._began):
            self._show()

    def close(self) -> None:
        """Show the last epoch, if it is not on the screen yet, and end the bar."""
        if self._epoch > self._shown:
            self._show()
        if self._screen is not None:
            _try(self._screen, self._screen.close)
            self._screen = None

    def _show(self) -> None:
        if self._screen is None:
            return
        seconds = max(self._now - self._began, 1e-9)
        parts = [f"cost {self._cost:.4g}"]
        if self._val_cost is not None and not math.isnan(self._val_cost):
            parts.append(f"validation {self._val_cost:.4g}")
        parts += [f"{name} {value:.4g}" for name, value in self._metrics.items()]
        parts.append(f"{short(self.rows * self._epoch / seconds)} rows/s")
        if self._epoch < self.epochs:
            parts.append(f"{_duration(seconds / self._epoch * (self.epochs - self._epoch))} left")
        count = f"epoch {self._epoch:{len(str(self.epochs))}}/{self.epochs}"
        screen = self._screen
        if not _try(screen, lambda: screen.show(self._epoch, count, parts)):
            self._screen = None
        self._shown, self._shown_at = self._epoch, self._now


def short(number: float) -> str:
    """Write a number with three digits and k, M or G: 1.23M."""
    for unit in ("", "k", "M"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}G"


def _duration(seconds: float) -> str:
    """Write a time to come: 8 s, 1:05 min, 2:00 h."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    unit, small = ("min", seconds) if seconds < 3570 else ("h", seconds / 60)
    large, rest = divmod(round(small), 60)
    return f"{large}:{rest:02d} {unit}"


# --- where it is shown ----------------------------------------------------------------------------


class _Screen(Protocol):
    def wait(self, elapsed: float) -> float:
        """Seconds between two showings, after a training of `elapsed` seconds."""

    def show(self, epoch: int, count: str, parts: list[str]) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None:
        """Nothing can be written any more."""


class _Log:
    """Whole lines, for a file or a pipe."""

    def wait(self, elapsed: float) -> float:
        return min(max(_LOG_SECONDS[0], _LOG_SHARE * elapsed), _LOG_SECONDS[1])

    def show(self, epoch: int, count: str, parts: list[str]) -> None:
        sys.stderr.write(f"{count}  {', '.join(parts)}\n")  # in one piece: others write there too
        sys.stderr.flush()

    def close(self) -> None:
        pass

    abandon = close


class _Line:
    """One line that is rewritten, for a terminal."""

    def __init__(self) -> None:
        self._length = 0

    def wait(self, elapsed: float) -> float:
        return _SCREEN_SECONDS

    def show(self, epoch: int, count: str, parts: list[str]) -> None:
        columns = _columns()
        text = f"{count}  {_fitting(parts, columns - len(count) - 2)}"[:columns].rstrip()
        sys.stderr.write(f"\r{text}{' ' * (min(self._length, columns) - len(text))}")
        sys.stderr.flush()
        self._length = len(text)

    def close(self) -> None:
        if self._length:
            sys.stderr.write("\n")
            sys.stderr.flush()

    def abandon(self) -> None:
        pass


class _Bar:
    """A bar of tqdm's, on a terminal or in a notebook."""

    def __init__(self, tqdm: Any, epochs: int, notebook: bool) -> None:
        # tqdm's monitor is a thread that outlives the training; a bar that is told all needs none
        kind = type("Bar", (tqdm,), {"monitor_interval": 0})
        options = {"colour": None} if os.environ.get("NO_COLOR") else {}
        self._notebook = notebook
        self._bar = kind(
            total=epochs,
            bar_format=f"epoch 0/{epochs} |{{bar}}|",
            ncols=None if notebook else _columns(),
            **options,
        )

    def wait(self, elapsed: float) -> float:
        return _SCREEN_SECONDS

    def show(self, epoch: int, count: str, parts: list[str]) -> None:
        columns = 1000 if self._notebook else _columns()
        room = columns - len(count) - 4  # for the bar and the text
        text = _fitting(parts, room - _LEAST_BAR)
        bar = self._bar
        if text:
            least = 0 if self._notebook else min(_TEXT, room - _LEAST_BAR)  # or the bar jumps
            bar.bar_format = f"{count} |{{bar}}| {text:<{least}}"
        else:
            bar.bar_format = f"{count} {_fitting(parts, columns - len(count) - 1)}"
        if not self._notebook:
            bar.ncols = columns
        bar.n = epoch
        bar.refresh()

    def close(self) -> None:
        self._bar.total = self._bar.n  # an early stop is no failure, and not to be painted as one
        self._bar.close()

    def abandon(self) -> None:
        self._bar.disable = True  # or it tries again when it is deleted


def _screen(epochs: int) -> _Screen | None:
    """Find out where to show it."""
    if sys.stderr is None:
        return None
    notebook = _in_notebook() and importlib.util.find_spec("ipywidgets") is not None
    terminal = sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
    if not (notebook or terminal):
        return _Log()
    try:
        module = importlib.import_module("tqdm.notebook" if notebook else "tqdm")
        return _Bar(module.tqdm, epochs, notebook)
    except ImportError:
        return _Line() if terminal else _Log()
    except (OSError, ValueError):
        return None


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _columns() -> int:
    """Columns of the terminal that stderr is, less one: some terminals wrap after the last."""
    try:
        columns = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
        except (OSError, ValueError, AttributeError):
            columns = 0
    return max((columns or 80) - 1, 1)


def _fitting(parts: list[str], columns: int) -> str:
    """Join as many of the parts, first ones first, as there are columns for."""
    text = ""
    for part in parts:
        longer = f"{text}, {part}" if text else part
        if len(longer) > columns:
            break
        text = longer
    return text


def _try(screen: _Screen, write: Any) -> bool:
    """Write; where that fails (nobody reads, the disk is full) give up writing, not training."""
    try:
        write()
    except (OSError, ValueError) as error:
        screen.abandon()
        if isinstance(error, BrokenPipeError):
            _let_go()
        return False
    return True


def _let_go() -> None:
    """Lead stderr, which nobody reads, to nowhere: what it holds would fail again at the exit."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)
