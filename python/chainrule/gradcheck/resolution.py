"""How finely a cost of unknown code is resolved, and which step of a difference suits it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .differences import RTOL, STEP
from .parameters import Block, Parameters

Array = NDArray[Any]
Cost = Callable[[], float]

DEVIATIONS = 16  # a difference that is off by more of them is not rounding
EPS = float(np.finfo(np.float64).eps)
POINTS, LINES = 7, 3
NEAR = (2.0**-17, 2.0**-27, 2.0**-37, 2.0**-47)  # of a parameter: the spacing of the points
COARSEST, FINEST = 1e3, 1e-18  # times STEP


class Stepped(Parameters):
    """The same parameters, moved `factor` times as far as they are asked to."""

    def __init__(self, parameters: Parameters, factor: float) -> None:
        self.blocks, self.size, self.factor = parameters.blocks, parameters.size, factor

    def beside(self, p: int, h: float, look: Callable[[], Any]) -> list[tuple[float, Any]]:
        return super().beside(p, self.factor * h, look)


@dataclass(frozen=True)
class Step:
    """The step of a block is `factor` times the usual one.

    `rounding` is what rounding and the curvature of the cost may do there, times the usual step.
    """

    factor: float
    rounding: float


def reach(array: Array) -> Array:
    """The size of a parameter, to which its step is relative."""
    return np.maximum(1.0, np.abs(array))


def along(arrays: list[Array], lengths: list[Array], cost: Cost, at: list[float]) -> list[float]:
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
            line = along(arrays, lengths, cost, [near * i for i in range(1, POINTS + 1)])
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


def chosen_step(block: Block, cost: Cost, deviation: float, largest: float, seed: int) -> Step:
    """The step for the derivatives of a block, found by scan where the usual one will not do.

    Along random directions the difference with half the step tells what the curvature of the cost
    does to a difference, and `deviation` what rounding does. The usual step is kept where both
    together are below what is allowed anyway, with derivatives up to `largest`.
    """
    rng = np.random.default_rng(seed)
    length = _power_of_two(reach(block.array))
    # The next number after a parameter may be further away than a small step.
    grid = float(np.max(np.spacing(np.abs(block.array)) / length)) if block.array.size else 0.0
    directions = [length * rng.choice([-1.0, 1.0], block.array.shape) for _ in range(LINES)]

    def errors(factor: float) -> tuple[float, float]:
        """The largest errors of a difference: by curvature and by rounding."""
        h = 2.0 ** round(math.log2(factor * STEP))
        bends = []
        for direction in directions:
            up, down, half_up, half_down = along(
                [block.array], [direction], cost, [h, -h, h / 2, -h / 2]
            )
            bends.append(abs((up - down) - 2 * (half_up - half_down)) / (2 * h))
        bend = float(np.median(bends))
        return bend if math.isfinite(bend) else math.inf, DEVIATIONS * deviation / h

    allowed = RTOL / 100 * largest * float(np.median(length))
    curvature, rounding = errors(1.0)
    if curvature + rounding <= allowed:
        return Step(1.0, rounding * STEP)
    # Coarser when rounding hides the difference, finer when the cost bends within it.
    shrink = 10.0 if rounding >= curvature else 0.1
    best = (curvature + rounding, 1.0, curvature, rounding)
    factor = shrink
    while max(FINEST, 8 * grid / STEP) <= factor <= COARSEST:
        curvature, rounding = errors(factor)
        total = curvature + rounding
        if total < best[0]:
            best = (total, factor, curvature, rounding)
        if (rounding < curvature) == (shrink > 1) and total > 10 * best[0]:
            break
        factor *= shrink
    _, factor, curvature, rounding = best
    return Step(factor, (curvature + rounding) * STEP)
