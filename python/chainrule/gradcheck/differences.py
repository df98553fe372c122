"""Central differences of any cost, one parameter at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parameters import Parameters

Array = NDArray[Any]

STEP = 6.06e-6  # eps^(1/3): truncation (h^2) and rounding (1 / h) of a difference are about equal
SHRINK = (1, 16, 256)  # a difference that does not agree is taken again with smaller steps
RTOL, ATOL = 1e-6, 1e-8  # allowed against differences: RTOL |g| + ATOL max(1, |g|_inf)


@dataclass(frozen=True)
class Differences:
    """`numeric` and `errors` are NaN where no difference was taken, and at a `kink`."""

    numeric: Array
    errors: Array
    wrong: Array
    kink: Array


def sample(parameters: Parameters, size: int, seed: int) -> NDArray[np.intp]:
    """All places, or a random sample with some of every block."""
    if parameters.size <= size:
        return np.arange(parameters.size)
    rng = np.random.default_rng(seed)
    rank = rng.random(parameters.size)
    for block in parameters.blocks:
        rank[block.where][rng.permutation(block.array.size)[:8]] -= 1
    return np.sort(np.argsort(rank)[:size])


def differences(
    parameters: Parameters,
    cost: Callable[[], float],
    got: Array,
    chosen: NDArray[np.intp],
    *,
    largest: float,
    rounding: float,
    trusted: Array | None = None,
    crosses_kink: Callable[[int, float], bool] | None = None,
) -> Differences:
    """Hold the gradient `got` against differences of `cost` at the chosen places.

    Parameters
    ----------
    parameters
        Their arrays are what `cost()` reads; each is moved and put back.
    largest
        The largest derivative, |g|_inf, on which the tolerance depends.
    rounding
        What rounding may do to the cost.
    trusted
        Where another oracle agrees with `got`, so that a difference that does not may be at fault.
    crosses_kink
        Whether the cost has a kink within +-h of parameter p; without it none is looked for.
    """
    floor = ATOL / RTOL * max(1.0, largest)

    def look(p: int, h: float) -> tuple[float, bool]:
        """The difference, and whether it is too far from `got`."""
        (above, up), (below, down) = parameters.beside(p, h, cost)
        difference = (up - down) / (above - below)  # the step really made, after rounding
        # Both costs round, and that is divided by h: a difference cannot know better.
        allowed = RTOL * (abs(got[p]) + floor) + rounding / h
        return difference, not abs(got[p] - difference) <= allowed < math.inf

    numeric = np.full(parameters.size, np.nan)
    wrong = np.zeros(parameters.size, bool)
    for p in map(int, chosen):
        h = STEP * max(1.0, abs(parameters.value(p)))
        numeric[p], wrong[p] = look(p, h)
        if wrong[p] and trusted is not None and trusted[p]:
            # The difference may cross a kink, or the cost bend within h.
            numeric[p] = np.nan
            for step in (h / shrink for shrink in SHRINK):
                if crosses_kink is None or not crosses_kink(p, step):
                    numeric[p], wrong[p] = look(p, step)
                    if not wrong[p]:
                        break
            else:
                wrong[p] = not np.isnan(numeric[p])
    kink = np.zeros(parameters.size, bool)
    kink[chosen] = np.isnan(numeric[chosen]) & ~wrong[chosen]
    errors = np.abs(got - numeric) / (np.abs(got) + floor)
    errors[wrong & np.isnan(errors)] = np.inf
    return Differences(numeric, errors, wrong, kink)
