"""Central differences of any cost, one parameter at a time, with steps chosen by a scan."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parameters import Block, Parameters
from .report import BlockCheck
from .scan import Curve, curve, in_float32, reach, scan

Array = NDArray[Any]

SHRINK = (1, 16, 256)  # a difference that does not agree is taken again with smaller steps
RTOL, ATOL = 1e-6, 1e-8  # allowed against differences: RTOL |g| + ATOL max(1, |g|_inf)
PATIENCE = 50  # so many wrong derivatives in a row, looked at closely: the next are wrong as well


@dataclass(frozen=True)
class Differences:
    """`numeric` and `errors` are NaN where no difference was taken, and at a `kink`.

    `steps` are those of the differences that were judged by, NaN where none was taken.
    """

    numeric: Array
    errors: Array
    wrong: Array
    kink: Array
    steps: Array

    def step(self, block: Block) -> float | None:
        """The middle one of a block; None where no difference was taken."""
        steps = self.steps[block.where]
        steps = steps[~np.isnan(steps)]
        return float(np.sort(steps)[len(steps) // 2]) if steps.size else None


def largest_error(errors: Array, among: Array) -> int:
    """The place of the largest error, NaN being the largest of all."""
    return int(np.argmax(np.where(among, np.where(np.isnan(errors), np.inf, errors), -1.0)))


def block_check(block: Block, found: Differences, *, passed: bool, **other: Any) -> BlockCheck:
    """What the differences say of a block; `other` is what other oracles say."""
    errors = found.errors[block.where]
    seen = errors[~np.isnan(errors)]
    return BlockCheck(
        name=block.name,
        layer=block.layer,
        kind=block.kind,
        shape=block.array.shape,
        n_checked=len(seen),
        kinks=int(found.kink[block.where].sum()),
        max_error=float(seen.max(initial=0.0)),
        passed=passed,
        step=found.step(block),
        **other,
    )


def sample(parameters: Parameters, size: int, seed: int) -> NDArray[np.intp]:
    """All places, or a random sample with some of every block."""
    if parameters.size <= size:
        return np.arange(parameters.size)
    rng = np.random.default_rng(seed)
    rank = rng.random(parameters.size)
    for block in parameters.blocks:
        rank[block.where][rng.permutation(block.array.size)[:8]] -= 1
    return np.sort(np.argsort(rank)[:size])


@np.errstate(all="ignore")  # a number that is not finite fails every comparison
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

    Each block gets its own step, relative to its parameters, from a scan (see `scan`). A derivative
    that does not agree is looked at again, since the difference may be at fault: it may cross a
    kink, or the cost may bend within h.

    Parameters
    ----------
    parameters
        Their arrays are what `cost()` reads; each is moved and put back.
    largest
        The largest derivative, |g|_inf, on which the tolerance depends.
    rounding
        What rounding may do to the cost: a bound of it. Without `crosses_kink` it counts for at
        least 4 units in the last place, of float32 where the cost is computed in that.
    trusted
        Where another oracle agrees with `got`: only there one looks again.
    crosses_kink
        Whether the cost has a kink within +-h of parameter p. Without it kinks show themselves: as
        h shrinks, the slopes to both sides do not come together. Then, and when `got` is one of
        the two or lies between them, it is left out.
    """
    floor = ATOL / RTOL * max(1.0, largest if math.isfinite(largest) else 1.0)
    here = float(cost())
    noise = rounding
    if crosses_kink is None:
        # Rounding alone tells a kink from a mistake here: it is not to be underrated.
        single = in_float32(parameters, chosen, cost, here)
        noise = max(noise, 4 * abs(here) * float(np.finfo("f4" if single else "f8").eps))

    def allowed(derivative: float) -> float:
        return RTOL * (abs(derivative) + floor)

    def look(p: int, steps: Array) -> Curve:
        return curve(parameters, p, steps, cost, here, noise)

    def central(p: int, h: float) -> float:
        (above, up), (below, down) = parameters.beside(p, h, cost)
        moved = above - below  # the step really made, after rounding
        return float(up - down) / moved if moved else math.nan

    numeric, steps = (np.full(parameters.size, np.nan) for _ in range(2))
    wrong, kink = (np.zeros(parameters.size, bool) for _ in range(2))

    def judge(p: int, difference: float, h: float, noise: float = noise) -> bool:
        numeric[p], steps[p] = difference, h
        # Both costs round, and that is divided by h: a difference cannot know better.
        wrong[p] = not abs(got[p] - difference) <= allowed(got[p]) + noise / h < math.inf
        return not wrong[p]

    def leave_out(p: int) -> None:
        numeric[p], steps[p], wrong[p], kink[p] = np.nan, np.nan, False, True

    def again_with_known_kinks(p: int, h: float, reachable: Array) -> None:
        """Look again with smaller steps, and at last with all that cross no kink."""
        crosses = crosses_kink or (lambda *_: False)
        clear = [step for step in (h / shrink for shrink in SHRINK) if not crosses(p, step)]
        if any(judge(p, central(p, step), step) for step in clear):
            return
        if not clear:
            leave_out(p)
            return
        found = look(
            p, np.array([step for step in reachable if step <= clear[0] or not crosses(p, step)])
        )
        i = found.bottom()
        judge(p, float(found.central[i]), float(found.h[i]))

    def again(p: int, reachable: Array) -> None:
        """Look again without knowing where kinks are."""
        found = look(p, reachable)
        i = found.bottom()
        # With a tenth of the step the bending of the cost does a hundredth, rounding ten times as
        # much: at the best of such steps, bending may do some ten times what rounding does. The
        # estimate of both is a distance of two differences, and by chance too small.
        h, error = float(found.h[i]), float(found.errors()[i])
        if judge(p, float(found.central[i]), h, min(4 * error * h, 30 * found.rounding)):
            return
        slopes = found.kink()
        if slopes is not None:
            low, high, fuzzy = slopes
            slack = allowed(got[p]) + fuzzy
            if low - slack <= got[p] <= high + slack < math.inf:
                leave_out(p)

    for block in parameters.blocks:
        mine = chosen[(chosen >= block.where.start) & (chosen < block.where.stop)]
        if not mine.size:
            continue
        best = scan(block, mine, got, look, RTOL)
        in_vain = 0
        for p in map(int, mine):
            h = float(best[p - block.where.start])
            if judge(p, central(p, h), h) or not (trusted is None or trusted[p]):
                continue
            if crosses_kink is not None:
                again_with_known_kinks(p, h, reach(block, parameters.value(p)))
            elif in_vain < PATIENCE:
                again(p, reach(block, parameters.value(p)))
                in_vain = in_vain + 1 if wrong[p] else 0

    errors = np.abs(got - numeric) / (np.abs(got) + floor)
    errors[wrong & np.isnan(errors)] = np.inf
    return Differences(numeric, errors, wrong, kink, steps)
