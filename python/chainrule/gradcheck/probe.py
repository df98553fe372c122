"""A cost looked at along one direction: how far to step, and whether it changes as g . v says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parameters import Parameters

Array = NDArray[Any]
Vector = list[Any]  # an array for each block, None for one that stays
Seen = tuple[float, float, float, float]  # h, the difference, g . v, the gain of the slope

TOLERANCE = 2e-6  # allowed along v: TOLERANCE |g|, and what rounding the costs does
STEPS = (8.0, 3.0, 1.0)  # in units of the shortest step whose rounding is TOLERANCE |g| / 2
LONGEST = 1e-3  # of the length of theta: beyond, the cost bends
FAINT = tuple(8.0**-k for k in range(5))  # of the longest, where even that is too short


# W^l is stored transposed: numbers that meet in the order of memory meet several times as fast.


def _transposed(array: Array) -> bool:
    return array.ndim > 1 and bool(array.flags.f_contiguous)


def _like(array: Array, row: Array) -> Array:
    return row.reshape(array.T.shape).T if _transposed(array) else row.reshape(array.shape)


def aligned(part: Array, array: Array) -> Array:
    return np.asarray(part, order="F" if _transposed(array) else "C")


def dot(a: Array, b: Array) -> float:
    if _transposed(a) and _transposed(b):
        a, b = a.T, b.T
    return float(np.vdot(a, b))


def direction(parameters: Parameters, where: slice, rng: np.random.Generator) -> Vector:
    """A Gaussian v for each block, 0 outside `where`; None for a block that stays."""
    v: Vector = []
    for block in parameters.blocks:
        start = max(where.start, block.where.start) - block.where.start
        stop = min(where.stop, block.where.stop) - block.where.start
        if start >= stop:
            v.append(None)
        elif stop - start == block.array.size:
            v.append(_like(block.array, rng.standard_normal(block.array.size)))
        else:
            part = np.zeros(block.array.size)
            part[start:stop] = rng.standard_normal(stop - start)
            v.append(aligned(part.reshape(block.array.shape), block.array))
    return v


def costs(
    parameters: Parameters,
    cost: Callable[[], float],
    v: Vector,
    h: float,
    got: list[Array] | None = None,
) -> tuple[float, float, float]:
    """The costs at theta + h v and theta - h v, and g . (the step from one to the other)."""
    moved = [
        (i, block.array, step, block.array.copy(order="K"))
        for i, (block, step) in enumerate(zip(parameters.blocks, v, strict=True))
        if step is not None
    ]
    slope = 0.0
    seen = []
    try:
        for sign in (1, -1):
            for i, array, step, here in moved:
                np.multiply(step, sign * h, out=array)
                np.add(array, here, out=array)
                if got is not None:  # along the step really made, after rounding
                    slope += sign * dot(got[i], array - here)
            seen.append(float(cost()))
    finally:
        for _, array, _, here in moved:
            array[...] = here
    return seen[0], seen[1], slope


class Probe:
    """A cost and the gradient that it is held against."""

    def __init__(
        self,
        parameters: Parameters,
        cost: Callable[[], float],
        got: Array,
        rounding: float,
        reach: Callable[[Vector, float], float] | None,
        exact: Callable[[Vector], tuple[float, float]] | None,
    ) -> None:
        self.parameters, self.cost, self.got = parameters, cost, got
        self.rounding, self.reach, self.exact = rounding, reach, exact
        self.here = float(cost())
        self.parts = [aligned(parameters.part(got, b), b.array) for b in parameters.blocks]

    def steps(self, where: slice) -> tuple[float, ...]:
        """From the longest on; the last one's rounding is half the tolerance where possible."""
        squares, size = 0.0, where.stop - where.start
        for block in self.parameters.blocks:
            start = max(where.start, block.where.start) - block.where.start
            stop = min(where.stop, block.where.stop) - block.where.start
            if start < stop:
                # A part is as long as its share of the block.
                share = (stop - start) / block.array.size
                squares += share * dot(block.array, block.array)
        longest = LONGEST * max(1.0, math.sqrt(squares)) / math.sqrt(size)
        length = self.length(where)
        shortest = 2 * self.rounding / (TOLERANCE * length) if length > 0 else math.inf
        if shortest > longest or not math.isfinite(shortest):
            return tuple(longest * part for part in FAINT)
        top = min(STEPS[0] * max(shortest, 1e-7 * longest), longest)
        return tuple(part / STEPS[0] * top for part in STEPS)

    def length(self, where: slice) -> float:
        part = self.got[where]
        return math.sqrt(float(np.vdot(part, part)))

    def look(self, v: Vector, h: float) -> tuple[float, float, float]:
        """The difference, g . v, and half of what the slope gains from one side to the other."""
        up, down, slope = costs(self.parameters, self.cost, v, h, self.parts)
        return (up - down) / (2 * h), slope / (2 * h), (up + down - 2 * self.here) / (2 * h)

    def verdict(self, v: Vector, steps: tuple[float, ...], length: float) -> tuple[str, float]:
        """ "held", "left_out" or "wrong", and the error."""
        allowed = TOLERANCE * length
        seen: list[Seen] = []
        for h in steps:
            seen.append((h, *self.look(v, h)))
            _, difference, slope, _ = seen[-1]
            error = abs(difference - slope)
            if error <= allowed + self.rounding / h < math.inf:
                return "held" if self.rounding / h <= 0.51 * allowed else "left_out", error
        excused = error <= self.excuse(v, *seen[-2:]) + self.rounding / h < math.inf
        return "left_out" if excused else "wrong", error

    def excuse(self, v: Vector, before: Seen, last: Seen) -> float:
        """What may be wrong with the last difference."""
        if self.reach is None:
            return _kinks(before, last)
        # The third derivative's part: most of it is gone since the step before.
        return self.reach(v, last[0]) + 0.5 * abs(last[1] - before[1])

    def score(self, where: slice, rng: np.random.Generator, times: int) -> float:
        """How many times too large the error of a part is: above 1 there is a mistake."""
        longer, h = self.steps(where)[-2:]
        allowed = TOLERANCE * self.length(where) + self.rounding / h
        worst = 0.0
        for _ in range(times):
            v = direction(self.parameters, where, rng)
            last = h, *self.look(v, h)
            error = abs(last[1] - last[2])
            if error > allowed:
                error -= self.excuse(v, (longer, *self.look(v, longer)), last)
            worst = max(worst, math.inf if math.isnan(error) else error / allowed)
            if self.exact is not None and worst <= 1:
                gap, rounding = self.gap(v)
                worst = max(worst, gap / rounding if rounding else 0.0)
        return worst

    def gap(self, v: Vector) -> tuple[float, float]:
        """How far the complex step is from g . v, and what rounding may do to that."""
        derivative, allowed = self.exact(v) if self.exact is not None else (math.nan, math.nan)
        pairs = zip(self.parts, v, strict=True)
        return abs(derivative - sum(dot(g, step) for g, step in pairs if step is not None)), allowed


def _kinks(before: Seen, last: Seen) -> float:
    """What kinks do to the last difference, at most, from what it and the one before have seen.

    Where the cost is smooth, both differences agree, and the gain of the slope shrinks with h. At a
    kink it stays; where one lies within h, one or the other is not so.
    """
    (h_before, there, _, gain_before), (h, here, _, gain) = before, last
    return 1.5 * abs(gain - gain_before * h / h_before) + 2 * abs(here - there)
