"""The check of a `Network`: differences, reference, complex step, and a float32 network's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import whole_number
from ..losses import LossLike, checked_loss
from ..network import Network
from ..objective import Objective
from .complex_step import complex_step
from .custom import check_loss
from .differences import Differences, block_check, differences, largest_error, sample
from .directions import SINGLES, Directions, along_directions
from .mistakes import Anatomy, diagnose
from .network_oracles import NetworkOracles
from .parameters import NetworkParameters
from .report import BlockCheck, Float32Check, GradientCheck, Place, count, thousands
from .rounding import DEVIATIONS, Compared, compare, seen_by

Array = NDArray[Any]

CANCELLED = 1e-6  # of the terms of a derivative: what is left below this is compared with that
COMPLEX_ALL, COMPLEX_SAMPLE = 500, 200  # complex steps: of so many parameters all, of more a sample
COMPLEX_WORK = 2e9  # of fewer, when these would be more multiplications


@dataclass(frozen=True, eq=False)
class _Found:
    """All that is known of the gradient, in rows of all parameters."""

    theta: NetworkParameters
    objective: Objective
    double: Compared
    single: Compared | None
    differences: Differences
    stepped: Array  # by the complex step; NaN where none was taken
    along: Directions | None  # of a network too large to move each parameter
    of_loss: GradientCheck | None  # dC/da of a loss of one's own against its cost

    @property
    def complex_wrong(self) -> Array:
        return np.asarray(~np.isnan(self.stepped) & ~(self.double.ratio(self.stepped) <= 1))

    def far(self) -> Array:
        """The distance of the float64 gradient from the exact oracles."""
        got = self.double.got
        reference, stepped = np.abs(got - self.double.true), np.abs(got - self.stepped)
        return np.asarray(np.fmax(reference, stepped))

    def size(self, block: Any) -> float:
        """Of what the block's derivatives are summed from: at a minimum they themselves are 0."""
        return float(np.max(self.double.size[block.where])) or 1.0

    def largest(self, block: Any) -> float:
        true = float(np.abs(self.double.true[block.where]).max())
        return max(true, CANCELLED * self.size(block))


def check_network(
    net: Network,
    X: Any,
    Y: Any,
    loss: LossLike,
    sample_weight: Any = None,
    *,
    max_parameters: int,
    seed: int,
) -> GradientCheck:
    """See `gradcheck`."""
    checked = checked_loss(loss)
    max_parameters = whole_number(max_parameters, "max_parameters", least=1)
    seed = whole_number(seed, "seed", least=0)
    start = time.perf_counter()
    twin = net.copy(dtype="float64")
    theta = NetworkParameters(twin, checked)
    with np.errstate(all="ignore"):  # a number that is not finite fails every comparison
        double = compare(theta, twin, X, Y, sample_weight)
        single = None
        if np.dtype(net.dtype) == np.float32:
            single = compare(theta, net, X, Y, sample_weight)
        x, y = (X, Y) if twin.scaling is not None else twin._prepare(X, Y, checked)
        weighted = () if sample_weight is None else (sample_weight,)
        objective = seen_by(twin, X, Y, checked, sample_weight)[1]

        def cost() -> float:
            return float(twin.cost(x, y, checked, *weighted))

        many = theta.size > max_parameters
        singles = min(max_parameters, SINGLES * len(theta.blocks)) if many else theta.size
        diffs = differences(
            theta,
            cost,
            double.got,
            sample(theta, singles, seed),
            largest=float(np.abs(double.true).max()),
            rounding=DEVIATIONS * double.cost_deviation,
            trusted=~double.wrong,
            crosses_kink=lambda p, h: theta.crosses_kink(p, h, double.a, objective),
        )
        along = _along(theta, cost, double, diffs, objective, seed) if many else None
        if along is not None:
            diffs = along.merged(diffs)
        steps = 0 if many or objective.custom else _complex_steps(theta, len(objective.Y))
        some = sample(theta, steps, seed)
        stepped = complex_step(theta, double.a[0], objective, some)
        of_loss = check_loss(checked, objective, double.a[-1], seed) if objective.custom else None
        found = _Found(theta, objective, double, single, diffs, stepped, along, of_loss)
        diagnosis, worst = _verdict(found)
        blocks = tuple(_blocks(found))
        max_ulp, worst_ulp = _ulp(found)
        float32 = None if single is None else _float32(theta, single)
    samples = len(double.a[0])
    return GradientCheck(
        passed=not diagnosis,
        diagnosis=diagnosis,
        max_error=max(block.max_error for block in blocks),
        max_ulp=max_ulp,
        worst=worst,
        blocks=blocks,
        errors={block.name: theta.part(found.differences.errors, block) for block in theta.blocks},
        n_parameters=theta.size,
        n_checked=sum(block.n_checked for block in blocks),
        kinks=int(found.differences.kink.sum()),
        seconds=time.perf_counter() - start,
        subject=str(net),
        samples=samples,
        oracles=(
            f"Backpropagation in float64 on {count(samples, 'sample')} is held against",
            "  differences  (C(theta + h) - C(theta - h)) / 2h of the cost; allowed 1e-06,",
            *(
                ["  complex      Im C(theta + ih) / h of the NumPy reference, forward only,"]
                * (not objective.custom)
            ),
            "  reference    the four equations in plain NumPy; allowed: rounding errors.",
            *(
                ["Column float32: the network's own gradient against that reference."]
                * bool(single)
            ),
        ),
        notes=tuple(_notes(found, len(some))),
        worst_ulp=worst_ulp,
        float32=float32,
    )


def _along(
    theta: NetworkParameters,
    cost: Callable[[], float],
    double: Compared,
    found: Differences,
    objective: Objective,
    seed: int,
) -> Directions:
    """Too many parameters to move each: random directions, through the passes of training."""
    oracles = NetworkOracles(theta, double.a, objective, double.bound)
    return along_directions(
        theta,
        cost,
        double.got,
        rounding=DEVIATIONS * double.cost_deviation,
        seed=seed,
        known=double.wrong | found.wrong,
        reach=oracles.reach,
        exact=None if objective.custom else oracles.exact,
    )


def _complex_steps(theta: NetworkParameters, m: int) -> int:
    """How many complex steps are taken."""
    if theta.size <= COMPLEX_ALL:
        return theta.size
    work = m * sum(a * b for a, b in zip(theta.n[1:], theta.n[2:], strict=False))
    return int(min(COMPLEX_SAMPLE, max(8, COMPLEX_WORK / max(work, 1))))


def _verdict(found: _Found) -> tuple[str, Place]:
    """What is wrong in words (empty when nothing is), and where."""
    theta, double, single, objective = found.theta, found.double, found.single, found.objective
    diffs, errors, got = found.differences, found.differences.errors, found.double.got
    right = np.where(np.isnan(diffs.numeric), double.true, diffs.numeric)
    complex_wrong = found.complex_wrong
    if diffs.wrong.any():
        bad, size, judge = diffs.wrong | double.wrong, errors, "the differences of the cost"
        among = diffs.wrong
    elif double.wrong.any():
        bad = among = double.wrong
        right, size, judge = double.true, double.ratio(), "the reference"
    elif complex_wrong.any():
        bad = among = complex_wrong
        right = np.where(complex_wrong, found.stepped, double.true)
        size = double.ratio(right)
        judge = (
            "the complex step, which needs no backward pass (network and reference agree: the"
            " mistake is too small for differences, and in both)"
        )
    elif found.of_loss is not None and not found.of_loss.passed:
        return (
            f"The loss itself is wrong at these outputs, though the differences of the cost do not"
            f" show it. {found.of_loss.diagnosis}"
        ), theta.place(0, got, got)
    elif not got.any():
        return (
            "Every derivative is exactly 0, so nothing was checked. Either the cost is 0, or"
            " every path to it is dead (relu units that are off for all samples)."
        ), theta.place(0, got, got)
    elif np.isnan(errors).all():
        return (
            "No derivative could be held against a difference: a relu unit, or an error with a"
            " kinked loss, changes its sign within every one. Move the parameters or X a little."
        ), theta.place(0, got, got)
    elif single is not None and single.wrong.any():
        bad = among = single.wrong
        got, right, size = single.got, single.true, single.ratio()
        judge = "the reference in float32 (in float64 they are right)"
    else:
        return "", theta.place(largest_error(errors, ~np.isnan(errors)), got, right)
    p = largest_error(size, among)
    worst = theta.place(p, got, right)
    anatomy = None  # of a large network: to simulate a mistake takes a pass for each kind and place
    Y = objective.Y
    if found.along is None:
        X, loss, weight = double.a[0], objective.loss, objective.weight
        anatomy = Anatomy(theta.W, theta.b, theta.activations, X, Y, loss, weight)
    if found.of_loss is not None and not found.of_loss.passed:
        mistake = f"The loss itself is wrong. {found.of_loss.diagnosis}"
    else:
        mistake = diagnose(theta, got, right, bad, anatomy, m=len(Y), n_outputs=theta.n[-1])
    return (
        f"{thousands(int(bad.sum()))} of {count(theta.size, 'derivative')} disagree with {judge}."
        f" {worst}: backpropagation gives {got[p]:.9g} instead of {right[p]:.9g}."
        f" {mistake}"
    ).strip(), worst


def _ulp(found: _Found) -> tuple[float, Place]:
    """The worst error against the exact oracles in units in the last place, and where it is."""
    theta, double, far = found.theta, found.double, found.far()
    for block in theta.blocks:
        far[block.where] /= np.spacing(found.size(block))
    p = largest_error(far, np.ones(theta.size, bool))
    reference = abs(double.got[p] - double.true[p])
    exact = found.stepped if abs(double.got[p] - found.stepped[p]) > reference else double.true
    return float(far[p]), theta.place(p, double.got, exact)


def _float32(theta: NetworkParameters, single: Compared) -> Float32Check:
    wrong = single.wrong
    p = largest_error(single.ratio(), np.ones(theta.size, bool))
    block, _ = theta.find(p)
    largest = float(np.abs(single.true[block.where]).max()) or 1.0
    return Float32Check(
        passed=not wrong.any(),
        max_error=float(abs(single.got[p] - single.true[p])) / largest,
        allowed=float(single.bound[p]) / largest,
        n_wrong=int(wrong.sum()),
        worst=theta.place(p, single.got, single.true),
    )


def _notes(found: _Found, steps: int) -> Iterator[str]:
    theta, got = found.theta, found.double.got
    if found.along is not None:
        yield from found.along.notes
    elif steps < theta.size:
        yield f"Complex step at a random sample of {thousands(steps)} of the parameters."
    if got.any() and not found.double.wrong.any():
        for l in range(1, theta.L + 1):
            if not any(got[block.where].any() for block in theta.blocks if block.layer == l):
                yield (
                    f"Layer {l} is dead: all its derivatives are exactly 0, on both sides, so"
                    " nothing was checked there. Its units, or all on the way from them to the"
                    " cost, are off for every sample."
                )


def _blocks(found: _Found) -> list[BlockCheck]:
    theta, double, single, diffs = found.theta, found.double, found.single, found.differences
    wrong = diffs.wrong | double.wrong | found.complex_wrong
    if single is not None:
        wrong = wrong | single.wrong
    far, along, checks = found.far(), found.along, []
    for block in theta.blocks:
        here = block.where
        largest = found.largest(block)
        stepped = np.abs(double.got - found.stepped)[here]
        float32_error = None
        if single is not None:
            apart = float(np.abs(single.got - single.true)[here].max())
            float32_error = apart / (float(np.abs(single.true[here]).max()) or 1.0)
        checks.append(
            block_check(
                block,
                diffs,
                ulp=float(far[here].max() / np.spacing(found.size(block))),
                complex_error=(
                    None if np.isnan(stepped).all() else float(np.nanmax(stepped)) / largest
                ),
                reference_error=float(np.abs(double.got - double.true)[here].max()) / largest,
                float32_error=float32_error,
                direction_error=along.error(block) if along is not None else None,
                passed=not (wrong[here].any() or (along is not None and along.wrong(block))),
            )
        )
    return checks
