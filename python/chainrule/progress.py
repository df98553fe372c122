"""Progress of a training: a tqdm bar on a terminal, a plain line now and then elsewhere.

Called by `Network.fit(progress=True)` and so by `chainrule train`. Writes to stderr only, and not
more often than eyes can follow: a small network finishes thousands of epochs a second.
"""

from __future__ import annotations

import importlib
import math
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

_BAR_SECONDS = 0.1
_LINE_SECONDS = 1.0


class Progress:
    """Show epoch, cost, validation cost and rows per second.

    Parameters
    ----------
    epochs : int
        Number of epochs planned.
    rows : int
        Training rows per epoch.
    """

    def __init__(self, epochs: int, rows: int) -> None:
        self.epochs, self.rows = epochs, rows
        self._began = time.perf_counter()
        self._bar: Any = _bar(epochs)
        self._shown = 0  # the last epoch on the screen
        self._shown_at = self._began if self._bar is None else -math.inf
        self._epoch, self._text = 0, ""

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
        self._metrics = dict(metrics or {})
        self._epoch, self._cost, self._val_cost, self._now = epoch, cost, val_cost, now
        wait = _LINE_SECONDS if self._bar is None else _BAR_SECONDS
        if epoch >= self.epochs or now - self._shown_at >= wait:
            self._show()

    def close(self) -> None:
        """Show the last epoch, if it is not on the screen yet, and end the bar."""
        if self._epoch > self._shown:
            self._show()
        if self._bar is not None:
            self._bar.close()

    def _show(self) -> None:
        rate = self.rows * self._epoch / max(self._now - self._began, 1e-9)
        text = f"cost {self._cost:.4g}"
        if self._val_cost is not None and not math.isnan(self._val_cost):
            text += f", validation {self._val_cost:.4g}"
        for name, value in self._metrics.items():
            text += f", {name} {value:.4g}"
        text += f", {short(rate)} rows/s"
        count = f"epoch {self._epoch:{len(str(self.epochs))}}/{self.epochs}"
        if self._bar is not None:
            self._bar.bar_format = f"{count} |{{bar}}| {text:<48}"
            self._bar.ncols = shutil.get_terminal_size().columns
            self._bar.n = self._epoch
            self._bar.refresh()
        elif sys.stderr is not None:
            print(f"{count}  {text}", file=sys.stderr, flush=True)
        self._shown, self._shown_at = self._epoch, self._now


def short(number: float) -> str:
    """Write a number with three digits and k, M or G: 1.23M."""
    for unit in ("", "k", "M"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}G"


def _bar(epochs: int) -> Any:
    """Return a tqdm bar, or None when tqdm is not installed or stderr is not a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        tqdm = importlib.import_module("tqdm")
    except ImportError:
        return None
    return tqdm.tqdm(total=epochs, bar_format=f"epoch 0/{epochs} |{{bar}}|")
