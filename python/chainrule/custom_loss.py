"""Training on a loss in Python: the network's output goes out, dC/da comes in, the core goes on.

One more pass forward and a call of Python in each step; otherwise the same steps in the same order
as those of the core's own losses. Called by `Trainer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .arrays import all_finite
from .losses import CustomLoss

if TYPE_CHECKING:
    from .network import Network

Array = NDArray[Any]
Engine = _core.Trainer32 | _core.Trainer64


class NotFiniteError(ArithmeticError):
    """The cost is not finite, or its slopes; an error of the function itself is its own."""


def custom_step(engine: Engine, loss: CustomLoss, x: Array, y: Array) -> float:
    """One update; the cost before it. NotFiniteError, and no update, where it is not finite."""
    a = engine.outputs(x)
    cost, slopes = loss(a, y)
    if not (math.isfinite(cost) and all_finite(slopes)):
        raise NotFiniteError("the cost is not finite")
    try:
        return cost + engine.step(x, slopes)  # which knows the penalties alone
    except ArithmeticError as error:
        raise NotFiniteError(str(error)) from None


def custom_fit(engine: Engine, *arguments: Any) -> tuple[list[float], list[float], str]:
    """As the core's `fit`: the costs, the validation costs, and how it ended."""
    engine.hold()
    try:
        return _fit(engine, *arguments)
    finally:
        engine.release()


def _fit(
    engine: Engine,
    net: Network,
    loss: CustomLoss,
    x: Array,
    y: Array,
    epochs: int,
    batch_size: int,
    shuffle: bool,
    seed: int,
    first_epoch: int,
    x_val: Array | None,
    y_val: Array | None,
    on_epoch: Callable[[int, float, float], bool] | None,
    rates: Array | None,
    weight: Array | None = None,
    weight_val: Array | None = None,
) -> tuple[list[float], list[float], str]:
    costs: list[float] = []
    val_costs: list[float] = []
    rows, rate = len(x), engine.learning_rate
    engine.set_seed(seed)
    before = engine.steps
    for epoch in range(epochs):
        theta, states, steps = net.theta.copy(), [s.copy() for s in engine.state], engine.steps
        order = _core.permutation(seed, first_epoch + epoch, rows) if shuffle else np.arange(rows)
        total = 0.0
        try:
            for start in range(0, rows, batch_size):
                batch = order[start : start + batch_size]
                if rates is not None:
                    engine.learning_rate = float(rates[engine.steps - before])
                total += len(batch) * custom_step(engine, loss, x[batch], y[batch])
            diverged = not all_finite(net.theta)
        except NotFiniteError:
            diverged = True
        finally:
            if rates is not None:
                engine.learning_rate = rate
        if diverged:
            net.theta[...] = theta
            for k, state in enumerate(states):
                engine.state[k][...] = state
            engine.steps = steps
            return costs, val_costs, "diverged"
        costs.append(total / rows)
        val_cost = math.nan
        if x_val is not None and y_val is not None:
            val_cost = net._custom(loss, x_val, y_val)[0]
            val_costs.append(val_cost)
        if on_epoch is not None and on_epoch(epoch, costs[-1], val_cost):
            return costs, val_costs, "callback"
    return costs, val_costs, "epochs"
