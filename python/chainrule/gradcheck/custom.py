"""The check of a loss of one's own: its dC/da against differences of its cost, at the outputs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..objective import Objective
from .foreign import Foreign, check_foreign
from .parameters import Parameters
from .report import GradientCheck

Array = NDArray[Any]

MOST = 500  # outputs that are moved; of more, a sample, and random directions


def check_loss(loss: Any, objective: Objective, a: Array, seed: int) -> GradientCheck:
    """Hold dC/da^L (m, n_L) at the outputs `a` against differences of the cost, one by one."""
    outputs = np.array(a)
    parameters = Parameters([("a^L", outputs, None, "")])
    target = Foreign(
        f"{loss} at {len(a)} x {a.shape[1]} outputs",
        "the loss",
        parameters,
        lambda: float(objective.cost(outputs)),
        np.ravel(objective.slope(outputs)).astype(np.float64),
        len(a),
    )
    return check_foreign(target, max_parameters=MOST, seed=seed, start=time.perf_counter())
