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

from .. import reference
from .differences import Differences
from .parameters import JUMP, Block, NetworkParameters, Parameters

Array = NDArray[Any]
Seen = tuple[float, float, float, float]  # h, the difference, g . v, the gain of the slope

DIRECTIONS = 8  # in every block, and of all parameters
DRAWN = 16  # at most, until so many are held
COMPLEX = 2  # of those, along which the complex step is taken too
TOLERANCE = 2e-6  # allowed along v: TOLERANCE |g|, and what rounding the costs does
# A difference that passes is within 1.5 TOLERANCE |g| of g . v: half of that is rounding. The
# difference itself is wrong by as much, at most, or right gradients would not pass.
HIDDEN = 3 * TOLERANCE
STEPS = (8.0, 3.0, 1.0)  # in units of the shortest step whose rounding is TOLERANCE |g| / 2
LONGEST = 1e-3  # of the length of theta: beyond, the cost bends
FAINT = tuple(8.0**-k for k in range(5))  # of the longest, where even that is too short
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
        group = next(group for group in self.groups if group.name == block.name)
        return group.error if group.held or group.wrong else None

    def merged(self, singly: Differences) -> Differences:
        """With the derivatives that were looked at singly elsewhere too."""
        here, there = self.found, singly
        fresh = ~np.isnan(here.numeric) | here.wrong
        return Differences(
            np.where(fresh, here.numeric, there.numeric),
            np.where(fresh, here.errors, there.errors),
            here.wrong | there.wrong,
            there.kink & ~fresh,
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


def measured_rounding(parameters: Parameters, cost: Callable[[], float], seed: int = 0) -> float:
    """What rounding may do to a cost of which nothing is known: it is called at theta nearly."""
    C = cost()
    rng = np.random.default_rng([seed, 1])
    whole = slice(0, parameters.size)
    seen = [
        abs(there - C)
        for _ in range(4)
        for there in _costs(parameters, cost, _direction(parameters, whole, rng), 1e-14)[:2]
    ]
    return max(16 * float(np.finfo(float).eps) * abs(C), 4 * max(seen))


def along_directions(
    parameters: Parameters,
    cost: Callable[[], float],
    got: Array,
    *,
    rounding: float,
    seed: int = 0,
    known: Array | None = None,
    reach: Callable[[list[Array | None], float], float] | None = None,
    exact: Callable[[int, list[Array | None]], tuple[float, float]] | None = None,
) -> Directions:
    """Hold the gradient `got` against differences of `cost` along random directions.

    Parameters
    ----------
    parameters
        Their arrays are what `cost()` reads; they are moved and put back, bit for bit.
    rounding
        What rounding may do to the cost (see `measured_rounding`).
    known
        Which derivatives are known to be wrong: in their blocks no others are looked for.
    reach
        What the kinks within a step do to the difference, at most, given v and h; without it, that
        is taken from the costs.
    exact
        The derivative along v by the complex step, and what rounding may do to it, given the number
        of the first block that v moves.
    """
    probe = _Probe(parameters, cost, got, rounding, reach)
    groups = []
    for number, (name, where) in enumerate(_groups(parameters)):
        rng = np.random.default_rng([seed, number])
        groups.append(_group(probe, name, where, rng, exact))
    found = Differences(
        np.full(got.size, np.nan),
        np.full(got.size, np.nan),
        np.zeros(got.size, bool),
        np.zeros(got.size, bool),
    )
    for group in groups:
        seen = found.wrong if known is None else found.wrong | known
        if group.wrong and not seen[group.where].any():
            _locate(probe, group.where, np.random.default_rng([seed, len(groups)]), found)
    return Directions(tuple(groups), found)


def _groups(parameters: Parameters) -> Iterator[tuple[str, slice]]:
    yield from ((block.name, block.where) for block in parameters.blocks)
    yield "all", slice(0, parameters.size)


def _direction(
    parameters: Parameters, where: slice, rng: np.random.Generator
) -> list[Array | None]:
    """A Gaussian v for each block, 0 outside `where`; None for a block that stays."""
    v: list[Array | None] = []
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
            v.append(_aligned(part.reshape(block.array.shape), block.array))
    return v


# W^l is stored transposed: numbers that meet in the order of memory meet several times as fast.


def _transposed(array: Array) -> bool:
    return array.ndim > 1 and bool(array.flags.f_contiguous)


def _like(array: Array, row: Array) -> Array:
    return row.reshape(array.T.shape).T if _transposed(array) else row.reshape(array.shape)


def _aligned(part: Array, array: Array) -> Array:
    return np.asarray(part, order="F" if _transposed(array) else "C")


def _dot(a: Array, b: Array) -> float:
    if _transposed(a) and _transposed(b):
        a, b = a.T, b.T
    return float(np.vdot(a, b))


def _costs(
    parameters: Parameters,
    cost: Callable[[], float],
    v: list[Array | None],
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
                array += here
                if got is not None:  # along the step really made, after rounding
                    slope += sign * _dot(got[i], array - here)
            seen.append(float(cost()))
    finally:
        for _, array, _, here in moved:
            array[...] = here
    return seen[0], seen[1], slope


class _Probe:
    """A cost and the gradient that it is held against."""

    def __init__(
        self,
        parameters: Parameters,
        cost: Callable[[], float],
        got: Array,
        rounding: float,
        reach: Callable[[list[Array | None], float], float] | None,
    ) -> None:
        self.parameters, self.cost, self.got = parameters, cost, got
        self.rounding, self.reach = rounding, reach
        self.here = float(cost())
        self.parts = [_aligned(parameters.part(got, b), b.array) for b in parameters.blocks]

    def steps(self, where: slice) -> tuple[float, ...]:
        """From the longest on; the last one's rounding is half the tolerance where possible."""
        squares, size = 0.0, where.stop - where.start
        for block in self.parameters.blocks:
            start = max(where.start, block.where.start) - block.where.start
            stop = min(where.stop, block.where.stop) - block.where.start
            if start < stop:
                # A part is as long as its share of the block.
                share = (stop - start) / block.array.size
                squares += share * _dot(block.array, block.array)
        longest = LONGEST * max(1.0, math.sqrt(squares)) / math.sqrt(size)
        length = self.length(where)
        shortest = 2 * self.rounding / (TOLERANCE * length) if length > 0 else math.inf
        if shortest > longest or not math.isfinite(shortest):
            return tuple(longest * part for part in FAINT)
        shortest = max(shortest, 1e-7 * longest)
        return tuple(min(part * shortest, longest) for part in STEPS)

    def length(self, where: slice) -> float:
        part = self.got[where]
        return math.sqrt(float(np.vdot(part, part)))

    def look(self, v: list[Array | None], h: float) -> tuple[float, float, float]:
        """The difference, g . v, and half of what the slope gains from one side to the other."""
        up, down, slope = _costs(self.parameters, self.cost, v, h, self.parts)
        return (up - down) / (2 * h), slope / (2 * h), (up + down - 2 * self.here) / (2 * h)

    def verdict(
        self, v: list[Array | None], steps: tuple[float, ...], length: float
    ) -> tuple[str, float]:
        """ "held", "left_out" or "wrong", and the error."""
        allowed = TOLERANCE * length
        seen: list[Seen] = []
        for h in steps:
            seen.append((h, *self.look(v, h)))
            _, difference, slope, _ = seen[-1]
            error = abs(difference - slope)
            if error <= allowed + self.rounding / h < math.inf:
                return "held" if self.rounding / h <= 0.51 * allowed else "left_out", error
        before, last = seen[-2:]
        if self.reach is None:
            excuse = _kinks(before, last)
        else:  # and what the third derivative does: most of it is gone since the step before
            excuse = self.reach(v, h) + 0.5 * abs(last[1] - before[1])
        excused = error <= excuse + self.rounding / h < math.inf
        return "left_out" if excused else "wrong", error

    def score(self, where: slice, rng: np.random.Generator, times: int) -> float:
        """How many times too large the error of a part is: above 1 there is a mistake."""
        h = self.steps(where)[-1]
        allowed = TOLERANCE * self.length(where) + self.rounding / h
        worst = 0.0
        for _ in range(times):
            difference, slope, _ = self.look(_direction(self.parameters, where, rng), h)
            error = abs(difference - slope)
            worst = max(worst, math.inf if math.isnan(error) else error / allowed)
        return worst


def _kinks(before: Seen, last: Seen) -> float:
    """What kinks do to the last difference, at most, from what it and the one before have seen.

    Where the cost is smooth, both differences agree, and the gain of the slope shrinks with h. At a
    kink it stays; where one lies within h, one or the other is not so.
    """
    (h_before, there, _, gain_before), (h, here, _, gain) = before, last
    return 1.5 * abs(gain - gain_before * h / h_before) + 2 * abs(here - there)


def _group(
    probe: _Probe,
    name: str,
    where: slice,
    rng: np.random.Generator,
    exact: Callable[[int, list[Array | None]], tuple[float, float]] | None,
) -> Along:
    counts = {"held": 0, "left_out": 0, "wrong": 0}
    length, steps = probe.length(where), probe.steps(where)
    first = next(i for i, b in enumerate(probe.parameters.blocks) if where.start < b.where.stop)
    worst, far, allowed = 0.0, None, 0.0
    for k in range(DRAWN):
        if counts["held"] == DIRECTIONS or (k == DIRECTIONS and not counts["held"]):
            break
        v = _direction(probe.parameters, where, rng)
        verdict, error = probe.verdict(v, steps, length)
        if exact is not None and k < COMPLEX:
            derivative, allowed = exact(first, v)
            pairs = zip(probe.parts, v, strict=True)
            slope = sum(_dot(part, step) for part, step in pairs if step is not None)
            gap = abs(derivative - slope)
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


def _locate(probe: _Probe, where: slice, rng: np.random.Generator, found: Differences) -> None:
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


def _single(probe: _Probe, p: int, found: Differences, found_wrong: bool = False) -> None:
    """Look at one derivative alone."""
    where = slice(p, p + 1)
    block, index = probe.parameters.find(p)
    v: list[Array | None] = [None] * len(probe.parameters.blocks)
    unit = np.zeros(block.array.shape)
    unit[index] = 1.0
    v[probe.parameters.blocks.index(block)] = unit
    steps = probe.steps(where)
    verdict, _ = probe.verdict(v, steps, probe.length(where))
    found.numeric[p] = probe.look(v, steps[-1])[0]
    found.errors[p] = abs(probe.got[p] - found.numeric[p]) / (
        abs(probe.got[p]) + 0.01 * max(1.0, float(np.abs(probe.got).max()))
    )
    found.wrong[p] = found_wrong or verdict == "wrong"


class NetworkOracles:
    """What the reference knows of a network along v: the complex step, and what its kinks do."""

    def __init__(self, theta: NetworkParameters, a: list[Array], Y: Array, bound: Array) -> None:
        self.theta, self.a, self.Y, self.bound = theta, a, Y, bound
        self._q: tuple[list[Any], list[Any]] | None = None

    def exact(self, first: int, v: list[Array | None]) -> tuple[float, float]:
        """Im C(theta + ih v) / h: the layers below the first that moves are not run."""
        theta, h, below = self.theta, 1e-30, (self.theta.blocks[first].layer or 1) - 1
        W, b = list(theta.W[below:]), list(theta.b[below:])
        W[0] = b[0] = None
        squares = 0.0
        for block, step in zip(theta.blocks, v, strict=True):
            if step is not None:
                arrays = W if block.kind == "W" else b
                arrays[(block.layer or 1) - below] = block.array + 1j * h * step
                part = self.bound[block.where]
                squares += float(np.vdot(part, part))
        _, a = reference.forward(W, b, theta.activations[below:], self.a[below])
        C = reference.cost(a[-1], self.Y, theta.loss.reduction)
        return float(np.imag(C)) / h, math.sqrt(squares)

    def reach(self, v: list[Array | None], h: float) -> float:
        """What the relu units that switch within +-h do to a difference, at most: J |q z| / 2h.

        q = dC/da is that of theta, which moves little within h: hence twice that.
        """
        theta, L = self.theta, self.theta.L
        if self._q is None:
            z, a = reference.forward(theta.W, theta.b, theta.activations, self.a[0])
            delta, _, _ = reference.backward(
                theta.W, theta.activations, z, a, self.Y, theta.loss.reduction
            )
            q = [None, *(delta[l] @ theta.W[l] for l in range(2, L + 1))]
            q.append(2 / theta.loss.divisor(*self.Y.shape) * (a[L] - self.Y))
            self._q = z, q
        z, q = self._q
        total = 0.0

        def add() -> float:
            nonlocal total
            there, _ = reference.forward(theta.W, theta.b, theta.activations, self.a[0])
            for l, name in enumerate(theta.activations, 1):
                if name in JUMP:
                    switched = (there[l] > 0) != (z[l] > 0)
                    total += JUMP[name] * float(np.abs(q[l] * there[l])[switched].sum())
            return 0.0

        _costs(theta, add, v, h)
        return 2 * total / (2 * h)
