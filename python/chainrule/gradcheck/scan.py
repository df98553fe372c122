"""How large a step is good, and is there a kink? Differences of one parameter over many steps.

The error of a central difference falls with h^2 and rises with 1 / h as rounding is divided by it:
the letter V. Its bottom is found without knowing the derivative, where neighbouring steps agree
best. Called by `differences`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parameters import Block, Parameters

Array = NDArray[Any]

STEP = 6.06e-6  # eps^(1/3): where truncation (h^2) and rounding (1 / h) are about equal
BELOW, ABOVE = 1e-7, 1e3  # the steps scanned, times STEP: down from a parameter's size, up from it
FINEST = 1e-13  # relative to the parameter: below, theta + h is rounded too much
SMALLEST = 1e-30  # what is smaller counts as this
GOOD = 1e-2  # an error this small beside what is allowed needs no better step
ROUGHEST = 1e-6  # relative to the cost: what moves it more is not rounding
LAST = 5  # steps at which rounding is seen
LOOKS = 8  # parameters moved to see whether a cost is in float32
SCANNED = 3  # parameters of a block whose size differs; and that with the largest derivative


@dataclass(frozen=True)
class Curve:
    """Differences of one parameter, from the largest step to the smallest.

    `rounding` bounds what rounding does to the cost. Numbers that are not finite are useless.
    """

    h: Array
    central: Array
    forward: Array
    backward: Array
    rounding: float

    def errors(self) -> Array:
        """An estimate of each central difference's error.

        It is at least the distance to the next smaller step, and to any smaller step as far as
        rounding does not explain it: a difference across a kink, or over so long a way that the
        cost is flat at both ends, may agree with its neighbours and is wrong all the same.
        """
        D, noise = self.central, self.rounding / self.h
        errors = np.abs(np.diff(D, append=np.nan)) + noise
        for k in range(1, len(D)):
            proven = np.abs(D[:k] - D[k]) - 2 * (noise[:k] + noise[k])
            errors[:k] = np.fmax(errors[:k], proven)
        return np.where(np.isfinite(errors) & np.isfinite(D), errors, np.inf)

    def bottom(self) -> int:
        return int(np.argmin(self.errors()))

    def kink(self) -> tuple[float, float, float] | None:
        """The slopes on both sides of a kink within reach, and what rounding does to them.

        Where a cost is smooth, the slopes to the left and to the right come together in proportion
        to h. At a kink each stays where it is, over two decades of h, and no smaller step whose
        rounding is small enough brings them together.
        """
        up, down = self.forward, self.backward
        gap, noise = np.abs(up - down), 4 * self.rounding / self.h
        moves = np.fmax(np.abs(np.diff(up)), np.abs(np.diff(down)))
        for i in range(len(gap) - 3, -1, -1):  # from the smallest steps
            least = gap[i : i + 3].min()
            if not (least > 2 * noise[i + 2] and moves[i : i + 2].max() <= least / 4):
                continue
            clear = np.flatnonzero(noise[i + 3 :] < least / 8) + i + 3
            if (gap[clear] < least / 2).any():
                return None
            larger = np.flatnonzero(moves[:i] > least / 4)
            first = int(larger[-1]) + 1 if larger.size else 0  # all from there on are stable
            fuzzy = moves[first : i + 2] + noise[first : i + 2]
            best = first + int(np.argmin(fuzzy))
            low, high = sorted((float(up[best]), float(down[best])))
            return low, high, float(fuzzy.min())
        return None


def curve(
    parameters: Parameters,
    p: int,
    steps: Array,
    cost: Callable[[], float],
    here: float,
    rounding: float,
) -> Curve:
    """Take the differences; `here` is the cost at theta."""
    value = parameters.value(p)
    sides = np.array([parameters.beside(p, float(h), cost) for h in steps], float)
    (above, up), (below, down) = sides[:, 0].T, sides[:, 1].T
    with np.errstate(all="ignore"):
        return Curve(
            steps,
            (up - down) / (above - below),
            (up - here) / (above - value),
            (here - down) / (value - below),
            max(rounding, min(_seen_rounding(steps, up - down), ROUGHEST * abs(here))),
        )


def _seen_rounding(steps: Array, change: Array) -> float:
    """What the smallest steps say of the rounding of a cost, should it be underrated."""
    central = change / (2 * steps)
    noise = np.abs(np.diff(central)[-LAST:]) * steps[-LAST:]
    noise = noise[np.isfinite(noise)]
    # Where truncation is large beside rounding, it is in the larger of these.
    return 8 * float(np.quantile(noise, 0.25)) if noise.size else 0.0


def in_float32(
    parameters: Parameters, chosen: NDArray[np.intp], cost: Callable[[], float], here: float
) -> bool:
    """Is the cost computed in float32? Then all its values are float32 numbers."""

    values = {here}
    for p in chosen[:: max(1, len(chosen) // LOOKS)].tolist():
        for h in max(1.0, abs(parameters.value(p))) * STEP * 10.0 ** np.arange(5):
            values |= {float(value) for _, value in parameters.beside(p, float(h), cost)}
            if not all(float(np.float32(value)) == value for value in values):
                return False
    return len(values) > LOOKS  # fewer may be round by chance, as 0 and 1 are


def sizes(block: Block) -> list[Array]:
    """What steps are relative to, for each parameter: the block's size, or each one's own.

    Where all are 0, as biases are at first, it is 1.
    """
    size = np.abs(block.array).ravel()
    seen = size[(size > 0) & np.isfinite(size)]
    if not seen.size:
        return [np.ones(len(size))]
    largest = seen.max()
    rms = max(float(largest * np.sqrt(np.mean((seen / largest) ** 2))), SMALLEST)
    own = np.where(size > 0, np.maximum(size, SMALLEST), max(float(np.median(seen)), SMALLEST))
    return [np.full(len(size), rms), own]


def reach(block: Block, value: float) -> Array:
    """Steps for one parameter, in decades, from the largest to the smallest.

    A small weight may meet a large input or be small by chance, so the steps go from large beside
    the block, and beside 1, down to small beside the block's smallest, and beside 1.
    """
    own = sizes(block)[-1]
    low = max(BELOW * min(1.0, float(own.min())), FINEST / STEP * abs(value))
    return STEP * _decades(low, ABOVE * max(1.0, float(own.max())))


def _decades(low: float, high: float) -> Array:
    return 10.0 ** np.arange(np.ceil(np.log10(high)), np.floor(np.log10(low)) - 1, -1)


def scan(
    block: Block,
    chosen: NDArray[np.intp],
    got: Array,
    look: Callable[[int, Array], Curve],
    rtol: float,
) -> Array:
    """The best step for each parameter of a block.

    `chosen` are those that will be differenced, `look` takes their curves over given steps, `rtol`
    is allowed of a derivative. The steps are relative to the block's size or to each parameter's
    own, whichever has smaller errors. Of steps that are good enough the smallest is taken, which
    meets the fewest kinks.
    """
    best, least = np.full(block.array.size, STEP), np.inf
    first = block.where.start
    some = _various(chosen, np.abs(block.array).ravel()[chosen - first], got[chosen])
    for size in sizes(block):
        low = max(BELOW * min(1.0, 1 / float(size.max())), FINEST / STEP)
        steps = STEP * _decades(low, ABOVE * max(1.0, 1 / float(size.min())))
        curves = [look(p, steps * size[p - first]) for p in some]
        curves = [curve for curve in curves if np.nan_to_num(curve.central).any()]
        if not curves:
            continue  # the cost does not depend on them: no step is better than another
        errors = np.max([curve.errors() for curve in curves], axis=0)
        largest = max(float(abs(curve.central[curve.bottom()])) for curve in curves)
        good = GOOD * rtol * largest
        errors = np.maximum(errors, good)
        if errors.min() < least:
            least = float(errors.min())
            best = steps[np.flatnonzero(errors == least)[-1]] * size
        if least <= good:
            break
    return best


def _various(chosen: NDArray[np.intp], size: Array, got: Array) -> Iterable[int]:
    """Some parameters: small, middling and large, and the one with the largest derivative."""
    order = chosen[np.argsort(size, kind="stable")]
    some = order[np.linspace(0, len(order) - 1, SCANNED).astype(int)]
    largest = chosen[np.argmax(np.where(np.isfinite(got), np.abs(got), -1.0))]
    return sorted({int(largest), *map(int, some)})
