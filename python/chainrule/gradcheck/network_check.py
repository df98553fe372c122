"""The check of a `Network`: reference, differences, and a float32 network's own gradient."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import whole_number
from ..losses import Loss, checked_loss
from ..network import Network
from .differences import Differences, differences, sample
from .directions import SINGLES, Directions, along_directions
from .mistakes import Anatomy, diagnose
from .network_oracles import NetworkOracles
from .parameters import NetworkParameters
from .report import BlockCheck, GradientCheck, Place, count, thousands
from .rounding import DEVIATIONS, Compared, compare

Array = NDArray[Any]


def check_network(
    net: Network,
    X: Any,
    Y: Any,
    loss: Loss,
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
        compared = {"float64": compare(theta, twin, X, Y)}
        if np.dtype(net.dtype) == np.float32:
            compared["float32"] = compare(theta, net, X, Y)
        double = compared["float64"]
        x, y = (X, Y) if twin.scaling is not None else twin._prepare(X, Y)
        targets = np.asarray(twin._prepare(X, Y)[1])

        def cost() -> float:
            return float(twin.cost(x, y, checked))

        many = theta.size > max_parameters
        singles = min(max_parameters, SINGLES * len(theta.blocks)) if many else theta.size
        found = differences(
            theta,
            cost,
            double.got,
            sample(theta, singles, seed),
            largest=float(np.abs(double.true).max()),
            rounding=DEVIATIONS * double.cost_deviation,
            trusted=~double.wrong,
            crosses_kink=lambda p, h: theta.crosses_kink(p, h, double.a),
        )
        along = _along(theta, cost, double, found, targets, seed) if many else None
        if along is not None:
            found = along.merged(found)
        diagnosis, worst = _verdict(theta, compared, found, targets)
        blocks = tuple(_blocks(theta, compared, found, along))
    single = "float32" in compared
    ulps = [block.ulp for block in blocks if block.ulp is not None]
    return GradientCheck(
        passed=not diagnosis,
        diagnosis=diagnosis,
        max_error=max(block.max_error for block in blocks),
        max_ulp=max(ulps) if ulps else None,
        worst=worst,
        blocks=blocks,
        errors={block.name: theta.part(found.errors, block) for block in theta.blocks},
        n_parameters=theta.size,
        n_checked=sum(block.n_checked for block in blocks),
        kinks=int(found.kink.sum()),
        seconds=time.perf_counter() - start,
        subject=str(net),
        samples=len(double.a[0]),
        oracles=(
            f"Backpropagation in float64 on {count(len(double.a[0]), 'sample')} is held against",
            "  differences  (C(theta + h) - C(theta - h)) / 2h of the cost; allowed 1e-06,",
            "  reference    the same equations in plain NumPy; allowed: rounding errors.",
            *(["Column float32: the network's own gradient against that reference."] * single),
        ),
        notes=along.notes if along is not None else (),
    )


def _along(
    theta: NetworkParameters,
    cost: Callable[[], float],
    double: Compared,
    found: Differences,
    Y: Array,
    seed: int,
) -> Directions:
    """Too many parameters to move each: random directions, through the passes of training."""
    oracles = NetworkOracles(theta, double.a, Y, double.bound)
    return along_directions(
        theta,
        cost,
        double.got,
        rounding=DEVIATIONS * double.cost_deviation,
        seed=seed,
        known=double.wrong | found.wrong,
        reach=oracles.reach,
        exact=oracles.exact,
    )


def _verdict(
    theta: NetworkParameters,
    compared: dict[str, Compared],
    found: Differences,
    Y: Array,
) -> tuple[str, Place]:
    """What is wrong in words (empty when nothing is), and where."""
    double, single = compared["float64"], compared.get("float32")
    errors = found.errors
    got = double.got
    right = np.where(np.isnan(found.numeric), double.true, found.numeric)
    if found.wrong.any():
        bad, size, judge = found.wrong | double.wrong, errors, "the differences of the cost"
        among = found.wrong
    elif double.wrong.any():
        bad = among = double.wrong
        right, size, judge = double.true, double.ratio, "the reference"
    elif not got.any():
        return (
            "Every derivative is exactly 0, so nothing was checked. Either the cost is 0, or"
            " every path to it is dead (relu units that are off for all samples)."
        ), theta.place(0, got, got)
    elif np.isnan(errors).all():
        return (
            "No derivative could be held against a difference: a relu unit changes its sign"
            " within every one. Move the parameters or X a little."
        ), theta.place(0, got, got)
    elif single is not None and single.wrong.any():
        bad = among = single.wrong
        got, right, size = single.got, single.true, single.ratio
        judge = "the reference in float32 (in float64 they are right)"
    else:
        return "", theta.place(_largest(errors, ~np.isnan(errors)), got, right)
    p = _largest(size, among)
    worst = theta.place(p, got, right)
    anatomy = Anatomy(theta.W, theta.b, theta.activations, double.a[0], Y, theta.loss.reduction)
    return (
        f"{thousands(int(bad.sum()))} of {count(theta.size, 'derivative')} disagree with {judge}."
        f" {worst}: backpropagation gives {got[p]:.9g} instead of {right[p]:.9g}."
        f" {diagnose(theta, got, right, bad, anatomy)}"
    ).strip(), worst


def _largest(errors: Array, among: Array) -> int:
    return int(np.argmax(np.where(among, np.where(np.isnan(errors), np.inf, errors), -1.0)))


def _blocks(
    theta: NetworkParameters,
    compared: dict[str, Compared],
    found: Differences,
    along: Directions | None,
) -> list[BlockCheck]:
    wrong = np.any([found.wrong, *(side.wrong for side in compared.values())], axis=0)
    checks = []
    for block in theta.blocks:
        here = block.where
        far = {}
        for dtype, side in compared.items():
            largest = float(np.abs(side.true[here]).max()) or 1.0
            far[dtype] = float(np.abs(side.got - side.true)[here].max()) / largest
        seen = found.errors[here][~np.isnan(found.errors[here])]
        checks.append(
            BlockCheck(
                name=block.name,
                layer=block.layer,
                kind=block.kind,
                shape=block.array.shape,
                n_checked=len(seen),
                kinks=int(found.kink[here].sum()),
                max_error=float(seen.max(initial=0.0)),
                ulp=far["float64"] / float(np.finfo(np.float64).eps),
                reference_error=far["float64"],
                float32_error=far.get("float32"),
                direction_error=along.error(block) if along is not None else None,
                passed=not (wrong[here].any() or (along is not None and along.wrong(block))),
            )
        )
    return checks
