"""What to say when a training ran to infinity: where, what is left, what to try. For `Trainer`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .arrays import all_finite
from .errors import DivergedError
from .losses import CustomLoss
from .network import Network
from .rows import Rows

if TYPE_CHECKING:
    from .training import Trainer


def diverged_step(trainer: Trainer, number: int, last_cost: float, why: object) -> DivergedError:
    """What to raise when step `number` has no finite cost."""
    # An update can overflow although the cost before it was finite.
    kept = (
        "The network keeps its parameters"
        if all_finite(trainer.net.theta)
        else "The update before it overflowed: the parameters are not finite any more"
    )
    return DivergedError(
        f"step {number} diverged: {why}. {kept}; {_advice(trainer)}", step=number, cost=last_cost
    )


def diverged_epoch(trainer: Trainer, rows: Rows, epochs: int, costs: list[float]) -> DivergedError:
    """What to raise when an epoch diverged after `costs`, those of the epochs before it."""
    epoch = len(costs) + 1
    # In the first epoch the parameters are the initial ones: their cost is the last finite one.
    cost = costs[-1] if costs else _cost_of(trainer, rows)
    if not math.isfinite(cost):
        cost = math.nan
    last = "it never was" if math.isnan(cost) else f"last finite cost {cost:.6g}"
    kept = f"those after epoch {epoch - 1}" if costs else "the initial ones"
    return DivergedError(
        f"training diverged in epoch {epoch} of {epochs}: the cost or a parameter is no longer "
        f"finite ({last}). The network's parameters are {kept}; {_advice(trainer)}",
        epoch=epoch,
        cost=cost,
    )


def _advice(trainer: Trainer) -> str:
    parts = []
    if not trainer._full_batch:  # else a line search chooses the step
        parts.append(f"try a smaller learning_rate (it was {trainer.learning_rate:g})")
    if trainer.net.scaling is None:
        parts.append('scale the data: fit(..., scale="auto"), or Scaling.fit(X, Y)')
    return ", or ".join(parts) or "look for large values in X and Y"


def _cost_of(trainer: Trainer, rows: Rows) -> float:
    net: Network = trainer.net
    loss = trainer._loss
    if isinstance(loss, CustomLoss):
        return net._custom(loss, rows.x, rows.y)[0]
    return net._engine.cost(rows.x, rows.y, net._objective(loss), rows.w)
