"""How finely a cost of unknown code is resolved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parameters import Parameters

Array = NDArray[Any]
Cost = Callable[[], float]

DEVIATIONS = 16  # a difference that is off by more of them is not rounding
EPS = float(np.finfo(np.float64).eps)
POINTS, LINES = 7, 3
NEAR = (2.0**-17, 2.0**-27, 2.0**-37, 2.0**-47)  # of a parameter: the spacing of the points


def cost_deviation(parameters: Parameters, cost: Cost, seed: int) -> float:
    """The standard deviation of the rounding of the cost.

    The cost is looked at in points of short lines. High differences of neighbours forget what is
    smooth and keep the rounding: the variance of a k-th difference is (2k choose k) times its own.
    Where single precision makes stairs of it, points too close together see one step or none.
    """
    rng = np.random.default_rng(seed)
    arrays = [block.array for block in parameters.blocks]
    largest, found = abs(cost()), []
    for near in NEAR:
        deviations = []
        for _ in range(LINES):
            lengths = [rng.choice([-1.0, 1.0], a.shape) * _typical(a) for a in arrays]
            # One-sided: theta itself may lie on a kink, as many a zero does.
            line = _line(arrays, lengths, cost, [near * i for i in range(1, POINTS + 1)])
            if not all(map(math.isfinite, line)):
                continue
            largest = max(largest, *map(abs, line))
            if len(set(line)) > 2:
                k = POINTS - 2
                high = np.diff(line, k)
                deviations.append(math.sqrt(np.mean(high**2) / math.comb(2 * k, k)))
        if deviations:
            found.append(float(np.median(deviations)))
    return max(min(found, default=0.0), EPS / 4 * largest)


def _typical(array: Array) -> Array:
    """The root mean square of a block, for each of its entries; 1 for zeros."""
    size = math.sqrt(float(np.mean(array**2))) if array.size else 0.0
    return _power_of_two(np.full(array.shape, size if 0 < size < math.inf else 1.0))


def _power_of_two(lengths: Array) -> Array:
    """So that steps of such lengths are made without rounding."""
    return np.asarray(2.0 ** np.round(np.log2(lengths)))


def _line(arrays: list[Array], lengths: list[Array], cost: Cost, at: list[float]) -> list[float]:
    """The cost at theta + t lengths, for each t."""
    kept = [array.copy() for array in arrays]
    seen = []
    try:
        for t in at:
            for array, old, length in zip(arrays, kept, lengths, strict=True):
                array[...] = old + t * length
            seen.append(cost())
    finally:
        for array, old in zip(arrays, kept, strict=True):
            array[...] = old
    return seen
