"""When a training should end: early stopping, and why it ended and what to try next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import one_of, real, shown, whole_number

Array = NDArray[Any]

MODES = ("min", "max")
_MORE_IS_BETTER = ("r2", "accuracy", "balanced_accuracy", "f1", "auc")
_LESS_IS_BETTER = ("cost", "mse", "rmse", "mae", "max_error", "mape", "log_loss", "brier")
BETTER = dict.fromkeys(_MORE_IS_BETTER, "max") | dict.fromkeys(_LESS_IS_BETTER, "min")
"""Which way is better, of what has a name."""

STILL_FALLING = 0.02  # of the cost over the last tenth of the epochs: then more epochs would help
OVERFITTED = 0.1  # of its lowest value: a validation cost that has risen by more
SWINGS = 0.1  # of the cost: a standard deviation of the last tenth above that


@dataclass(frozen=True)
class EarlyStopping:
    """End a training when the cost no longer falls, and go back to its best epoch.

    It looks at the validation cost where there is one, else at the training cost; or at a metric
    of `fit`. It begins anew with each `fit`, except with one that goes on where another was broken
    off, see `Trainer.fit`.

    Parameters
    ----------
    patience : int
        Epochs in a row without a fall that are borne, at least 1.
    min_delta : float
        A fall is a cost below that of the last fall minus this; at least 0.
    restore_best : bool
        Whether the network ends with the parameters of the epoch with the lowest cost.
    monitor : str
        What it looks at: "cost", or the name of one of the metrics of `fit`.
    mode : {"min", "max"}, optional
        Which way is better. With "max" read "rise" for "fall" above. It need not be said for the
        cost and for metrics that have a name, such as "rmse" (min) and "r2" (max).

    Raises
    ------
    TypeError, ValueError
        An argument is not as above.

    Examples
    --------
    >>> EarlyStopping(patience=20)
    EarlyStopping(patience=20, min_delta=0.0, restore_best=True)
    >>> EarlyStopping(monitor="accuracy")
    EarlyStopping(patience=10, min_delta=0.0, restore_best=True, monitor='accuracy')
    """

    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True
    monitor: str = "cost"
    mode: str | None = None

    def __post_init__(self) -> None:
        delta = real(self.min_delta, "min_delta")
        if not (delta >= 0 and math.isfinite(delta)):
            raise ValueError(f"min_delta must be at least 0 and finite, got {self.min_delta!r}")
        if not isinstance(self.restore_best, bool):
            raise TypeError(f"restore_best must be True or False, got {self.restore_best!r}")
        if not isinstance(self.monitor, str):
            raise TypeError(
                'monitor must be a str, "cost" or the name of a metric, '
                f"got {shown(self.monitor)} ({type(self.monitor).__name__})"
            )
        if self.mode is not None:
            one_of(self.mode, "mode", MODES)
        object.__setattr__(self, "patience", whole_number(self.patience, "patience"))
        object.__setattr__(self, "min_delta", delta)

    def __repr__(self) -> str:
        values = [(field, getattr(self, field.name)) for field in fields(self)]
        quiet = ("monitor", "mode")
        said = (f"{f.name}={v!r}" for f, v in values if f.name not in quiet or v != f.default)
        return f"EarlyStopping({', '.join(said)})"


def mode_of(rule: Any, metrics: Iterable[str]) -> str:
    """Which way is better under `rule` (None: the cost) in a fit with these metrics.

    TypeError for anything but a rule, ValueError where nobody says which way.
    """
    if rule is None:
        return BETTER["cost"]
    if not isinstance(rule, EarlyStopping):
        raise TypeError(
            "early_stopping must be an EarlyStopping(patience=10) or None, "
            f"got {shown(rule)} ({type(rule).__name__})"
        )
    one_of(rule.monitor, "early_stopping: monitor", ("cost", *metrics))
    mode = rule.mode or BETTER.get(rule.monitor)
    if mode is None:
        raise ValueError(
            f"early_stopping: is less or more of {rule.monitor!r} better? Give "
            f'EarlyStopping(monitor={rule.monitor!r}, mode="min") or mode="max"'
        )
    return mode


# What ends L-BFGS, and what it means.
_ENDS = {
    "gradient": "No slope is above tolerance_grad any more after {n}: a minimum, or flat ground.",
    "change": "The last of {n} changed the cost, or every parameter, by less than "
    "tolerance_change: a minimum, or slow progress; if the cost should fall further, try a smaller "
    "tolerance_change.",
    "line_search": "The line search found no lower cost after {n}: a minimum as far as rounding "
    "lets it be seen, or a kink of the cost. If the cost should fall further, try float64, scaled "
    "data or a smooth activation such as tanh.",
}


class Watch:
    """What an `EarlyStopping` remembers from epoch to epoch.

    Parameters
    ----------
    rule : EarlyStopping
    theta : ndarray
        The parameters that are trained.
    mode : {"min", "max"}
    """

    def __init__(self, rule: EarlyStopping, theta: Array, mode: str = "min") -> None:
        self.rule = rule
        self.mode = mode
        self.best = math.nan
        self.best_epoch: int | None = None
        self.waited = 0
        self.mark: float | None = None  # the value at the last fall
        self.kept = np.array(theta) if rule.restore_best else None  # those of the best epoch
        self._theta = theta

    def after(self, epoch: int, value: float) -> bool:
        """Look at the value after `epoch`, numbered from 1; True when it is time to stop."""
        sign = 1 if self.mode == "min" else -1
        if not math.isnan(value) and (self.best_epoch is None or sign * value < sign * self.best):
            self.best, self.best_epoch = value, epoch
            if self.kept is not None:
                self.kept[...] = self._theta
        mark = math.inf if self.mark is None else sign * self.mark
        if sign * value < mark - self.rule.min_delta:
            self.mark, self.waited = value, 0
        else:
            self.waited += 1
        return self.waited >= self.rule.patience

    def begin_again(self) -> None:
        """Go on in another fit, which numbers its epochs from 1."""
        self.best_epoch = None if self.best_epoch is None else 0

    def restore(self) -> None:
        """Put the parameters of the best epoch back."""
        if self.kept is not None and self.best_epoch is not None:
            self._theta[...] = self.kept


def reason(
    stopped: str,
    cost: Sequence[float],
    val_cost: Sequence[float],
    watch: Watch | None,
    rated: bool = True,
) -> str:
    """Say in a sentence or two why a training ended, and what to try next.

    `rated`: whether the learning rate has a say in the length of a step.
    """
    if not cost:
        return "No epoch was run."
    if stopped == "early_stopping" and watch is not None:
        ended = _ended_early(watch, bool(val_cost))
    elif stopped in _ENDS:
        ended = _ENDS[stopped].format(n=f"{len(cost)} iteration{'s' if len(cost) > 1 else ''}")
    elif stopped == "callback":
        ended = f"A callback ended the training after epoch {len(cost)}."
    else:
        ended = f"All {len(cost)} epochs are done."
    if stopped != "early_stopping" and watch is not None and watch.rule.restore_best:
        best = watch.best_epoch
        if best is not None and best < len(cost):
            ended += f" The network has the parameters of {_epoch(best)}, the best."
    return f"{ended} {_advice(stopped, cost, val_cost, rated)}".strip()


def _ended_early(watch: Watch, validation: bool) -> str:
    what = f"{'validation ' if validation else ''}{watch.rule.monitor}"
    moved, best = ("fallen", "lowest") if watch.mode == "min" else ("risen", "highest")
    ended = f"The {what} has not {moved} for {watch.waited} epochs"
    if watch.best_epoch is None:
        return f"{ended}: it never was a number."
    ended += f": the {best}, {watch.best:.6g}, was after {_epoch(watch.best_epoch)}"
    return ended + (", whose parameters the network has." if watch.rule.restore_best else ".")


def _epoch(number: int) -> str:
    """An epoch in words; 0 is one of a fit that was broken off before."""
    return f"epoch {number}" if number > 0 else "an epoch before this fit"


def _advice(stopped: str, cost: Sequence[float], val_cost: Sequence[float], rated: bool) -> str:
    tail = max(len(cost) // 10, 1)
    watched = val_cost or cost
    best = min(watched)
    if (
        val_cost
        and val_cost[-1] - best > OVERFITTED * _size(watched, best, best)
        and cost[-1] < min(cost[:-1], default=math.inf)
    ):
        return (
            "The training cost still fell while the validation cost rose: the network learns the "
            "rows by heart. Try more rows, fewer units, or weight_decay."
        )
    if stopped == "epochs" and len(cost) > tail and best == watched[-1]:
        before = watched[-1 - tail]
        fall = before - best
        if fall > STILL_FALLING * _size(watched, best, before):
            by = f"{fall / before:.2g} of itself" if best >= 0 else f"{fall:.2g}"
            return (
                f"The cost still fell, by {by} over the last "
                f"{tail} epoch{'s' if tail > 1 else ''}: try more epochs"
                + (" or a larger learning_rate." if rated else ".")
            )
    if len(cost) > 1 and cost[-1] > cost[0]:
        return "The cost ended above where it began: try a smaller learning_rate."
    if tail > 2 and np.std(cost[-tail:]) > SWINGS * _size(
        cost, min(cost), float(np.mean(cost[-tail:]))
    ):
        return "The cost swings from epoch to epoch: try a smaller learning_rate or larger batches."
    return ""


def _size(cost: Sequence[float], lowest: float, value: float) -> float:
    """What a change of the cost near `value` is measured by: one that is never below 0 by itself.

    That of a density or of a rate may be of any sign, and near 0 without being small. Then it is
    no less than what it usually is above its lowest.
    """
    return abs(value) if lowest >= 0 else max(abs(value), float(np.median(cost)) - lowest)
