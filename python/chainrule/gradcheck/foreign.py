"""What the checks of foreign code share: a cost and a gradient of named arrays, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .differences import Differences, block_check, differences, largest_error, sample
from .directions import SINGLES, Directions, along_directions
from .mistakes import diagnose
from .parameters import Parameters
from .report import BlockCheck, GradientCheck, count, thousands
from .resolution import DEVIATIONS, EPS, cost_deviation

Array = NDArray[Any]

SAME = 1e-9  # two calls that differ by more than this are not the rounding of another order
COARSE = 1e-5  # of the largest derivative: what is allowed beyond this is worth a note


@dataclass(eq=False)
class Foreign:
    """A cost and a gradient of somebody else's code.

    `cost()` reads the arrays of `parameters`; `got` is the gradient under test, in their row.
    `source` is whose gradient it is, in words. `explain(got, right, bad)` says what the mistake
    looks like, as `diagnose`; without one that is asked.
    """

    subject: str
    source: str
    parameters: Parameters
    cost: Callable[[], float]
    got: Array
    samples: int | None = None
    notes: list[str] = field(default_factory=list)
    explain: Callable[[Array, Array, Array], str] | None = None


@dataclass(eq=False)
class _Found:
    """`Differences` in the units of the cost; `allowed` is what rounding may do to each of them."""

    differences: Differences
    numeric: Array
    allowed: Array

    def __post_init__(self) -> None:
        self.errors, self.wrong = self.differences.errors, self.differences.wrong
        self.kink = self.differences.kink


def check_foreign(
    target: Foreign, *, max_parameters: int, seed: int, start: float
) -> GradientCheck:
    """Hold the gradient against central differences of the cost."""
    parameters, got = target.parameters, target.got
    with np.errstate(all="ignore"):  # a number that is not finite fails every comparison
        many = parameters.size > max_parameters
        singles = min(max_parameters, SINGLES * len(parameters.blocks)) if many else parameters.size
        chosen = sample(parameters, singles, seed)
        deviation = cost_deviation(parameters, target.cost, seed)
        finite = np.abs(got[np.isfinite(got)])
        largest = float(finite.max(initial=0.0))
        found = _compare(target, chosen, deviation, largest)
        seen = float(np.nanmax(np.abs(found.numeric), initial=0.0))
        if seen and not largest / 2 <= seen <= 2 * largest:
            # The tolerance goes with the largest derivative, and the gradient told a wrong one.
            found = _compare(target, chosen, deviation, seen)
        along = _along(target, found, deviation, seed) if many else None
        if along is not None:
            found = _merged(along, found)
        diagnosis, p = _verdict(target, found)
        notes = _notes(target, found, deviation)
    errors = {block.name: parameters.part(found.errors, block) for block in parameters.blocks}
    blocks = tuple(_blocks(parameters, found, along))
    return GradientCheck(
        passed=not diagnosis,
        diagnosis=diagnosis,
        max_error=max(block.max_error for block in blocks),
        max_ulp=None,
        worst=parameters.place(p, got, np.where(np.isnan(found.numeric), got, found.numeric)),
        blocks=blocks,
        errors=errors,
        n_parameters=parameters.size,
        n_checked=sum(block.n_checked for block in blocks),
        kinks=int(found.kink.sum()),
        seconds=time.perf_counter() - start,
        subject=target.subject,
        samples=target.samples,
        oracles=(
            f"The gradient that {target.source} gives is held against",
            "  differences  (C(theta + h) - C(theta - h)) / 2h of the cost; allowed 1e-06.",
        ),
        notes=(*target.notes, *(along.notes if along is not None else ()), *notes),
    )


def _compare(target: Foreign, chosen: NDArray[np.intp], deviation: float, largest: float) -> _Found:
    """Hold the gradient against differences.

    The cost is taken times a power of two that brings its largest derivative near 1, for the
    tolerance has an absolute part.
    """
    size = largest or abs(target.cost()) or 1.0
    scale = 2.0 ** float(np.clip(-np.round(np.log2(size)), -1000, 1000))
    rounding = DEVIATIONS * deviation
    found = differences(
        target.parameters,
        lambda: float(scale * target.cost()),
        scale * target.got,
        chosen,
        largest=scale * largest,
        rounding=scale * rounding,
    )
    return _Found(found, found.numeric / scale, rounding / found.steps)


def _along(target: Foreign, found: _Found, deviation: float, seed: int) -> Directions:
    """Too many parameters to move each: random directions."""
    return along_directions(
        target.parameters,
        target.cost,
        target.got,
        rounding=DEVIATIONS * deviation,
        seed=seed,
        known=found.wrong,
    )


def _merged(along: Directions, found: _Found) -> _Found:
    singly = found.differences
    merged = along.merged(
        Differences(found.numeric, found.errors, found.wrong, found.kink, singly.steps)
    )
    return _Found(merged, merged.numeric, found.allowed)


def _verdict(target: Foreign, found: _Found) -> tuple[str, int]:
    """What is wrong in words (empty when nothing is), and the place to show."""
    parameters, got, numeric = target.parameters, target.got, found.numeric
    seen = ~np.isnan(numeric)
    if found.wrong.any():
        p = largest_error(found.errors, found.wrong)
        right = np.where(seen, numeric, got)  # not looked at, or at a kink: taken for right
        right = np.where(np.isfinite(right), right, 0.0)
        right = _sharpened(got, right, seen, found)
        explain = target.explain or (lambda *rows: diagnose(parameters, *rows))
        return (
            f"{thousands(int(found.wrong.sum()))} of {_checked(found)} disagree with the"
            f" differences of the cost. {parameters.place(p, got, numeric)}: {target.source} gives"
            f" {got[p]:.9g} instead of {numeric[p]:.9g}. {explain(got, right, found.wrong)}"
        ).strip(), p
    p = largest_error(found.errors, seen)
    if not seen.any():
        return (
            "No derivative could be held against a difference: the cost has a kink within reach of"
            " every one. Move the parameters a little."
        ), p
    if not got[seen].any() and not (np.abs(numeric) > found.allowed)[seen].any():
        return (
            "Every derivative is 0 on both sides, so nothing was checked: at these parameters the"
            " cost is constant, at a minimum or on a kink, or its derivatives are lost in its"
            " rounding. Take other parameters."
        ), p
    if not (np.abs(got) > found.allowed)[seen].any():
        return (
            "The cost is too coarse: rounding changes it more than any derivative does, so a"
            " gradient of 0 would pass as well, and nothing was checked. Compute in float64, or"
            " take larger derivatives."
        ), p
    return "", p


def _sharpened(got: Array, right: Array, seen: Array, found: _Found) -> Array:
    """Differences of a coarse cost, made exact where all tell of one and the same factor."""
    size = float(np.abs(right[seen]).max(initial=0.0))
    slack = 30 * found.allowed[seen]
    factor = float(np.dot(got[seen], right[seen]) / np.dot(right[seen], right[seen]))
    factor = float(f"{factor:.2g}") if np.isfinite(factor) else 0.0
    same = np.abs(got - factor * right)[seen] <= max(1.0, abs(factor)) * slack
    if factor and slack.max(initial=0.0) > COARSE * size and same.all():
        return got / factor
    return right


def _notes(target: Foreign, found: _Found, deviation: float) -> list[str]:
    """What else there is to know."""
    notes = []
    seen = ~np.isnan(found.numeric)
    largest = float(np.abs(found.numeric[seen]).max(initial=0.0))
    allowed = float(np.median(found.allowed[seen])) if seen.any() else 0.0
    if 0 < COARSE * largest < allowed:
        size = abs(target.cost())
        digits = int(-np.log10(max(deviation / size, EPS))) if size > deviation else 0
        single = " as if it were computed in float32," if 6 <= digits <= 8 else ""
        notes.append(
            f"The cost has only about {digits} digits,{single} so smaller errors than"
            f" {allowed / largest:.0e} of the largest derivative were not looked for."
        )
    silent = [
        block.name
        for block in target.parameters.blocks
        if seen[block.where].any()
        and not target.got[block.where].any()
        and not np.nan_to_num(found.numeric[block.where]).any()
    ]
    if 0 < len(silent) < len(target.parameters.blocks):
        notes.append(f"The cost does not depend on {', '.join(silent)} here: 0 on both sides.")
    return notes


def _checked(found: _Found) -> str:
    n = int((~np.isnan(found.numeric) | found.wrong).sum())
    return count(n, "derivative")


def _blocks(parameters: Parameters, found: _Found, along: Directions | None) -> list[BlockCheck]:
    return [
        block_check(
            block,
            found.differences,
            direction_error=along.error(block) if along is not None else None,
            passed=not (
                found.wrong[block.where].any() or (along is not None and along.wrong(block))
            ),
        )
        for block in parameters.blocks
    ]
