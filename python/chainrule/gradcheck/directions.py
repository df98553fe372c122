"""Random directions: how a gradient of a million derivatives is held against a cost in seconds.

Along a direction v the cost changes as g . v says, so two costs test all derivatives of a block at
once. v is Gaussian: if the gradient is wrong by e, then e . v is normal with standard deviation |e|
whatever e looks like, and a tolerance of t |g| hides it with probability

    P(|e . v| <= t |g|) = erf(t / (eps sqrt 2)) <= sqrt(2 / pi) t / eps,    eps = |e| / |g|,

independently for each direction. Signs +-1 would promise less: an e with two equal entries is
orthogonal to half of them, so a direction that misses with probability below 1/2 cannot be proved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .differences import Differences
from .parameters import Block, Parameters
from .probe import TOLERANCE, Probe, Vector, direction

Array = NDArray[Any]

DIRECTIONS = 8  # in every block, and of all parameters
DRAWN = 16  # at most, until so many are held
COMPLEX = 2  # of those, along which the complex step is taken too
# A difference that passes is within 1.5 TOLERANCE |g| of g . v: half of that is rounding. The
# difference itself is wrong by as much, at most, or right gradients would not pass.
HIDDEN = 3 * TOLERANCE
SINGLES = 8  # derivatives of a wrong block that are looked at before it is halved


@dataclass(frozen=True)
class Along:
    """What was found along the directions of one block (or of all parameters, `name` "all").

    `error` is the largest |difference - g . v| / |g| and `complex_error` that of the complex step.
    """

    name: str
    where: slice
    held: int = 0
    left_out: int = 0
    wrong: int = 0
    error: float = 0.0
    complex_error: float | None = None
    complex_allowed: float = 0.0

    @property
    def total(self) -> int:
        return self.held + self.left_out + self.wrong

    def missed(self, eps: float) -> float:
        """A bound of the probability that an error of eps |g| in this block was not found."""
        return missed(eps, self.held, self.total)


@dataclass(frozen=True)
class Directions:
    """Of all blocks. `found` has the derivatives that were looked at singly to find a mistake."""

    groups: tuple[Along, ...]
    found: Differences = field(repr=False)

    @property
    def passed(self) -> bool:
        return not any(group.wrong for group in self.groups)

    def wrong(self, block: Block) -> bool:
        return any(group.wrong > 0 for group in self.groups if group.name == block.name)

    def error(self, block: Block) -> float | None:
        known = (g.error for g in self.groups if g.name == block.name and (g.held or g.wrong))
        return next(known, None)

    @property
    def held(self) -> int:
        return sum(group.held for group in self.groups)

    def merged(self, singly: Differences) -> Differences:
        """With the derivatives that were looked at singly elsewhere too."""
        here, there = self.found, singly
        fresh = ~np.isnan(here.numeric) | here.wrong
        return Differences(
            np.where(fresh, here.numeric, there.numeric),
            np.where(fresh, here.errors, there.errors),
            here.wrong | there.wrong,
            there.kink & ~fresh,
            there.steps,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done and what it guarantees, a sentence for each."""
        blocks = self.groups[:-1]
        held = [group for group in blocks if group.held]
        lines = []
        if self.passed and held:
            weakest = max(held, key=lambda group: group.missed(1e-4))
            lines.append(
                f"{weakest.held} random directions per block: an error of 1e-04 of a block's"
                f" gradient is found with probability {_surely(weakest.missed(1e-4))}; worst error"
                f" {max(group.error for group in held):.1e}."
            )
        exact = [g for g in blocks if g.complex_error is not None and g.complex_allowed > 0]
        if self.passed and exact:
            hidden = 2 * max(group.complex_allowed for group in exact)
            lines.append(
                f"Complex step (through the reference) along {COMPLEX} of them: of 1e-09, with"
                f" {_surely(missed(1e-9, COMPLEX, COMPLEX, hidden))}; worst error"
                f" {max(group.complex_error or 0.0 for group in exact):.1e}."
            )
        left = sum(group.left_out for group in self.groups)
        if left:
            names = [group.name for group in self.groups if not group.held and not group.wrong]
            shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
            lines.append(
                f"{left} of {sum(group.total for group in self.groups)} directions left out: a kink"
                " within reach, or a gradient lost in the rounding of the cost."
                + f" None could be held in {shown}."
                * bool(names)
            )
        return tuple(lines)


def missed(eps: float, held: int, total: int, hidden: float = HIDDEN) -> float:
    """A bound of the probability that an error of eps |g| passes, with `held` of `total` held.

    Which ones are left out may depend on v, so it is that of passing any `held` of the `total`.
    """
    one = math.erf(hidden / (eps * math.sqrt(2)))
    return min(1.0, math.comb(total, held) * one**held)


def _surely(p: float) -> str:
    return f"1 - {p:.0e}" if p < 0.01 else f"{1 - p:.2f}"


def along_directions(
    parameters: Parameters,
    cost: Callable[[], float],
    got: Array,
    *,
    rounding: float,
    seed: int = 0,
    known: Array | None = None,
    reach: Callable[[Vector, float], float] | None = None,
    exact: Callable[[Vector], tuple[float, float]] | None = None,
) -> Directions:
    """Hold the gradient `got` against differences of `cost` along random directions.

    Parameters
    ----------
    parameters
        Their arrays are what `cost()` reads; they are moved and put back, bit for bit.
    rounding
        What rounding may do to the cost (see `DEVIATIONS` and `cost_deviation`).
    known
        Which derivatives are known to be wrong: in their blocks no others are looked for.
    reach
        What the kinks within a step do to the difference, at most, given v and h; without it, that
        is taken from the costs.
    exact
        The derivative along v by the complex step, and what rounding may do to it.
    """
    probe = Probe(parameters, cost, got, rounding, reach, exact)
    groups = []
    for number, (name, where) in enumerate(_groups(parameters)):
        rng = np.random.default_rng([seed, number])
        groups.append(_group(probe, name, where, rng))
    found = Differences(
        np.full(got.size, np.nan),
        np.full(got.size, np.nan),
        np.zeros(got.size, bool),
        np.zeros(got.size, bool),
        np.full(got.size, np.nan),
    )
    for group in groups:
        seen = found.wrong if known is None else found.wrong | known
        if group.wrong and not seen[group.where].any():
            _locate(probe, group.where, np.random.default_rng([seed, len(groups)]), found)
    return Directions(tuple(groups), found)


def _groups(parameters: Parameters) -> Iterator[tuple[str, slice]]:
    yield from ((block.name, block.where) for block in parameters.blocks if block.array.size)
    yield "all", slice(0, parameters.size)


def _group(probe: Probe, name: str, where: slice, rng: np.random.Generator) -> Along:
    counts = {"held": 0, "left_out": 0, "wrong": 0}
    length, steps = probe.length(where), probe.steps(where)
    worst, far, allowed = 0.0, None, 0.0
    for k in range(DRAWN):
        if counts["held"] == DIRECTIONS or (k == DIRECTIONS and not counts["held"]):
            break
        v = direction(probe.parameters, where, rng)
        verdict, error = probe.verdict(v, steps, length)
        if probe.exact is not None and k < COMPLEX:
            gap, allowed = probe.gap(v)
            far = max(far or 0.0, gap / length if length else math.inf if gap else 0.0)
            if not gap <= allowed < math.inf:
                verdict, error = "wrong", max(error, gap)
        counts[verdict] += 1
        if verdict != "left_out":
            worst = max(worst, error / length if length else math.inf)
        if verdict == "wrong":
            break  # one is enough
    allowed = allowed / length if length else 0.0
    return Along(name, where, **counts, error=worst, complex_error=far, complex_allowed=allowed)


def _locate(probe: Probe, where: slice, rng: np.random.Generator, found: Differences) -> None:
    """Look for wrong derivatives in a wrong block: the largest first, then by halving it."""
    for p in where.start + np.argsort(-np.abs(probe.got[where]))[:SINGLES]:
        _single(probe, int(p), found)
    if found.wrong[where].any():
        return
    lo, hi = where.start, where.stop
    while hi - lo > 1:
        middle = (lo + hi) // 2
        halves = [slice(lo, middle), slice(middle, hi)]
        for times in (1, 3):
            scores = [probe.score(half, rng, times) for half in halves]
            if max(scores) > 1:
                break
        else:
            break  # spread too thinly to be seen in any half
        half = halves[int(scores[1] > scores[0])]
        lo, hi = half.start, half.stop
    found.wrong[lo:hi] = True
    _single(probe, lo + int(np.argmax(np.abs(probe.got[lo:hi]))), found, found_wrong=True)


def _single(probe: Probe, p: int, found: Differences, found_wrong: bool = False) -> None:
    """Look at one derivative alone."""
    where = slice(p, p + 1)
    block, index = probe.parameters.find(p)
    v: Vector = [None] * len(probe.parameters.blocks)
    unit = np.zeros(block.array.shape)
    unit[index] = 1.0
    v[probe.parameters.blocks.index(block)] = unit
    steps = probe.steps(where)
    verdict, _ = probe.verdict(v, steps, probe.length(where))
    if probe.exact is None:
        found.numeric[p] = probe.look(v, steps[-1])[0]
    else:
        found.numeric[p] = probe.exact(v)[0]
        gap, allowed = probe.gap(v)
        found_wrong |= not gap <= allowed < math.inf
    found.errors[p] = abs(probe.got[p] - found.numeric[p]) / (
        abs(probe.got[p]) + 0.01 * max(1.0, float(np.abs(probe.got).max()))
    )
    found.wrong[p] = found_wrong or verdict == "wrong"
