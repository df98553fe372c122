"""What happens after each epoch of a training: rates, metrics, early stopping, progress, callbacks.

Called by `Trainer.fit`, once the core has finished an epoch and before it begins the next one.
"""
# ruff: noqa: PLC0415  (progress bars are loaded when needed)

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import shown
from .history import History
from .metrics import evaluate
from .network import Network
from .rows import Rows, predictions
from .stopping import Watch, reason

if TYPE_CHECKING:
    from .progress import Progress
    from .training import Trainer

Callback = Callable[[Network, History], object]


@dataclass(eq=False)
class Epochs:
    """The epochs of one `Trainer.fit`, and all that looks at them.

    Parameters
    ----------
    trainer : Trainer
    train, held : Rows
        Learnt from, and looked at (or None).
    metrics : mapping of str to callable
    watch : Watch or None
    callbacks : tuple of callables
    bar : Progress or None
    """

    trainer: Trainer
    train: Rows
    held: Rows | None
    metrics: Mapping[str, Callable[..., Any]]
    watch: Watch | None
    callbacks: tuple[Callback, ...]
    bar: Progress | None
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self._start = time.perf_counter()
        self._first = self.trainer.epochs
        self.history.metrics = {name: [] for name in self.metrics}
        if self.watch is not None:
            self.history.monitor = self.watch.rule.monitor
            self.history.mode = self.watch.mode

    @property
    def looking(self) -> bool:
        """Whether anything has to be done between two epochs."""
        plateau = self.trainer._plateau is not None
        return bool(self.metrics or self.callbacks or self.bar or self.watch is not None or plateau)

    def after(self, epoch: int, cost: float, val_cost: float) -> bool:
        """Look at `epoch`, numbered from 0; True ends the training."""
        history = self.history
        self.trainer._epochs = self._first + epoch + 1
        history.cost.append(cost)
        if self.held is not None:
            history.val_cost.append(val_cost)
        self._clock()
        watched = cost if self.held is None else val_cost
        self.trainer._after_epoch(watched)
        values = self._measured()
        if self.watch is not None:
            monitor = self.watch.rule.monitor
            if self.watch.after(epoch + 1, watched if monitor == "cost" else values[monitor]):
                history.stopped = "early_stopping"
        if self.bar is not None:
            self.bar.update(epoch + 1, cost, None if self.held is None else val_cost, values)
        answers = [callback(self.trainer.net, history) for callback in self.callbacks]
        by_callback = any(isinstance(a, (bool, np.bool_)) and bool(a) for a in answers)
        return by_callback or history.stopped == "early_stopping"

    def ended(self, costs: list[float], val_costs: list[float], stopped: str) -> History:
        """The history, when the core has done its last epoch."""
        history = self.history
        history.cost[:] = costs
        history.val_cost[:] = val_costs
        history.stopped = history.stopped or stopped
        if self.watch is not None:
            self.watch.restore()
        self._clock()
        rated = not self.trainer._full_batch
        history.reason = reason(
            history.stopped, history.cost, history.val_cost, self.watch, rated=rated
        )
        return history

    def _measured(self) -> dict[str, float]:
        """The metrics of this epoch, which the history has then too."""
        if not self.metrics:
            return {}
        rows = self.train if self.held is None else self.held
        prediction = predictions(self.trainer.net, self.trainer._loss, rows.x)
        values = evaluate(self.metrics, rows.Y, prediction, rows.w)
        for name, value in values.items():
            self.history.metrics[name].append(value)
        return values

    def _clock(self) -> None:
        history = self.history
        history.seconds = time.perf_counter() - self._start
        done = len(self.train) * len(history.cost)
        history.rows_per_second = done / max(history.seconds, 1e-9)


def progress_bar(epochs: int, rows: int) -> Progress:
    """See `Progress`."""
    from .progress import Progress

    return Progress(epochs, rows)


def checked_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """The callbacks as a tuple; TypeError names the one that cannot be called."""
    if callable(callbacks) or not hasattr(callbacks, "__iter__"):
        raise TypeError(
            "callbacks must be a sequence of callables, such as callbacks=(f,); "
            f"got {shown(callbacks)} ({type(callbacks).__name__})"
        )
    checked = tuple(callbacks)
    for k, callback in enumerate(checked):
        if not callable(callback):
            raise TypeError(
                f"callbacks[{k}] must be callable as callback(net, history), "
                f"got {shown(callback)} ({type(callback).__name__})"
            )
    return checked
