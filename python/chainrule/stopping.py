"""When a training should end: early stopping, and why it ended and what to try next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import real, whole_number

Array = NDArray[Any]

STILL_FALLING = 0.02  # of the cost over the last tenth of the epochs: then more epochs would help
OVERFITTED = 1.1  # times its lowest value: a validation cost that has risen


@dataclass(frozen=True)
class EarlyStopping:
    """End a training when the cost no longer falls, and go back to its best epoch.

    It looks at the validation cost where there is one, else at the training cost.

    Parameters
    ----------
    patience : int
        Epochs in a row without a fall that are borne, at least 1.
    min_delta : float
        A fall is a cost below the lowest so far minus this; at least 0.
    restore_best : bool
        Whether the network ends with the parameters of the epoch with the lowest cost.

    Raises
    ------
    TypeError, ValueError
        An argument is not as above.

    Examples
    --------
    >>> EarlyStopping(patience=20)
    EarlyStopping(patience=20, min_delta=0.0, restore_best=True)
    """

    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        delta = real(self.min_delta, "min_delta")
        if not (delta >= 0 and math.isfinite(delta)):
            raise ValueError(f"min_delta must be at least 0 and finite, got {self.min_delta!r}")
        if not isinstance(self.restore_best, bool):
            raise TypeError(f"restore_best must be True or False, got {self.restore_best!r}")
        object.__setattr__(self, "patience", whole_number(self.patience, "patience"))
        object.__setattr__(self, "min_delta", delta)


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
    """What an `EarlyStopping` remembers from epoch to epoch."""

    def __init__(self, rule: EarlyStopping, theta: Array) -> None:
        self.rule = rule
        self.lowest = math.inf
        self.best_epoch = 0
        self.waited = 0
        self._theta = theta
        self._best = theta.copy() if rule.restore_best else None

    def after(self, epoch: int, cost: float) -> bool:
        """Look at the cost after `epoch`, numbered from 1; True when it is time to stop."""
        if cost < self.lowest - self.rule.min_delta or self.best_epoch == 0:
            self.lowest, self.best_epoch, self.waited = cost, epoch, 0
            if self._best is not None:
                self._best[...] = self._theta
        else:
            self.waited += 1
        return self.waited >= self.rule.patience

    def restore(self) -> None:
        """Put the parameters of the best epoch back."""
        if self._best is not None and self.best_epoch:
            self._theta[...] = self._best


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
    what = "validation cost" if val_cost else "cost"
    if stopped == "early_stopping" and watch is not None:
        ended = (
            f"The {what} has not fallen for {watch.waited} epochs: the lowest, "
            f"{watch.lowest:.6g}, was after epoch {watch.best_epoch}"
        )
        ended += ", whose parameters the network has." if watch.rule.restore_best else "."
    elif stopped in _ENDS:
        ended = _ENDS[stopped].format(n=f"{len(cost)} iteration{'s' if len(cost) > 1 else ''}")
    elif stopped == "callback":
        ended = f"A callback ended the training after epoch {len(cost)}."
    else:
        ended = f"All {len(cost)} epochs are done."
        if watch is not None and watch.rule.restore_best and watch.best_epoch < len(cost):
            ended += f" The network has the parameters of epoch {watch.best_epoch}, the best."
    return f"{ended} {_advice(stopped, cost, val_cost, rated)}".strip()


def _advice(stopped: str, cost: Sequence[float], val_cost: Sequence[float], rated: bool) -> str:
    tail = max(len(cost) // 10, 1)
    watched = val_cost or cost
    best = min(watched)
    if (
        val_cost
        and val_cost[-1] > OVERFITTED * best
        and cost[-1] < min(cost[:-1], default=math.inf)
    ):
        return (
            "The training cost still fell while the validation cost rose: the network learns the "
            "rows by heart. Try more rows, fewer units, or weight_decay."
        )
    if stopped == "epochs" and len(cost) > tail and best == watched[-1]:
        fall = 1 - watched[-1] / watched[-1 - tail] if watched[-1 - tail] > 0 else 0
        if fall > STILL_FALLING:
            return (
                f"The cost still fell, by {fall:.2g} of itself over the last "
                f"{tail} epoch{'s' if tail > 1 else ''}: try more epochs"
                + (" or a larger learning_rate." if rated else ".")
            )
    if len(cost) > 1 and cost[-1] > cost[0]:
        return "The cost ended above where it began: try a smaller learning_rate."
    if np.std(cost[-tail:]) > 0.1 * abs(np.mean(cost[-tail:])) and tail > 2:
        return "The cost swings from epoch to epoch: try a smaller learning_rate or larger batches."
    return ""
