"""One derivative found by other ways than backpropagation: a difference, and a sum over paths.

Both start from a `Trace`. The difference comes from the NumPy reference in float64, so it shares no
line with the core. Called by `explanation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import reference
from .gradcheck.differences import SHRINK
from .gradcheck.rounding import CURVATURE
from .gradcheck.scan import STEP
from .objective import Objective
from .trace import Trace

Array = NDArray[Any]

MOST_PATHS = 1000
RTOL = 1e-6  # a right derivative and its difference are closer than this, relative to the larger
RECTIFIERS = frozenset({"relu", "leaky_relu"})


@dataclass(frozen=True)
class Path:
    """One way from a parameter to the cost: a product of local derivatives.

    Attributes
    ----------
    sample : int
        From 1.
    units : tuple of int
        The units visited in the layers l..L, from 1.
    factors : tuple of (str, float)
        Symbol and value of each factor, from the parameter to the cost.
    value : float
        Their product.
    """

    sample: int
    units: tuple[int, ...]
    factors: tuple[tuple[str, float], ...]
    value: float


@dataclass(frozen=True)
class Difference:
    """A central difference of the cost by one parameter.

    Attributes
    ----------
    value : float
    h : float
        The step.
    kink : bool
        A relu or leaky_relu unit, or an error at a kink of the loss, changes sides within the step,
        where no derivative exists.
    error : float
        Its distance from backpropagation, relative to the larger of both, or to a million times
        what it can resolve when both are smaller.
    agrees : bool
        The distance is explained by rounding. At a kink it need not be.
    """

    value: float
    h: float
    kink: bool
    error: float
    agrees: bool


def slope(t: Trace, l: int) -> Array:
    """f'(z^l) (m, n_l) in float64, by the formulas of the core: from a where they exist."""
    a, z = t.a[l].astype(np.float64), t.z[l].astype(np.float64)
    name = t.activations[l - 1]
    with np.errstate(all="ignore"):
        if name == "sigmoid":
            return np.asarray(a * (1 - a))
        if name == "tanh":
            return np.asarray(1 - a * a)
        if name == "softplus":
            return np.asarray(-np.expm1(-a))
        return np.asarray(reference.ACTIVATIONS[name][1](z))


def objective_of(t: Trace) -> Objective:
    """The cost of a trace as a function of its outputs."""
    return Objective(t.loss, t.Y, t.weight)


def cost_slope(t: Trace) -> Array:
    """dC/da^L (m, n_L) in float64."""
    with np.errstate(all="ignore"):
        return objective_of(t).slope(t.a[t.L].astype(np.float64))


def count_paths(t: Trace, l: int) -> int:
    """m n_{l+1} ... n_L: the ways from one parameter of layer l to the cost."""
    return math.prod(t.n[l + 1 :], start=t.m)


def paths(t: Trace, l: int, j: int, k: int | None) -> Iterator[Path]:
    """All paths from w^l_j,k (or b^l_j) to the cost, sample by sample."""
    slopes = {layer: slope(t, layer) for layer in range(l, t.L + 1)}
    ends = cost_slope(t)
    for i in range(t.m):
        for above in product(*(range(1, n + 1) for n in t.n[l + 1 :])):
            units = (j, *above)
            factors: list[tuple[str, float]] = []
            if k is not None:
                factors.append((f"a^{l - 1}_{k}", float(t.a[l - 1][i, k - 1])))
            for layer, unit in enumerate(units, l):
                if layer > l:
                    below = units[layer - l - 1]
                    weight = float(t.W[layer][unit - 1, below - 1])
                    factors.append((f"w^{layer}_{unit},{below}", weight))
                factors.append((f"f'(z^{layer}_{unit})", float(slopes[layer][i, unit - 1])))
            factors.append((f"dC/da^{t.L}_{units[-1]}", float(ends[i, units[-1] - 1])))
            value = math.prod(value for _, value in factors)
            yield Path(i + 1, units, tuple(factors), value)


def difference(t: Trace, l: int, j: int, k: int | None, value: float) -> Difference:
    """The central difference for w^l_j,k (or b^l_j), and whether `value` agrees with it."""
    if not math.isfinite(value) or not math.isfinite(t.cost):
        return Difference(math.nan, math.nan, False, math.nan, False)
    with np.errstate(all="ignore"):
        return _difference(t, l, j, k, value)


def _difference(t: Trace, l: int, j: int, k: int | None, value: float) -> Difference:
    moved = _Moved(t, l, j, k)
    a_L = moved.a[-1]
    spread = moved.objective.size(a_L) + float(abs(a_L * moved.objective.slope(a_L)).sum())
    rounding = _rounding(t, l, j, k) if t.W[l].dtype == np.float32 else 0.0

    found = []
    first = STEP * max(1.0, abs(moved.theta)) / max(1.0, float(np.max(abs(moved.source))))
    for h in (first / shrink for shrink in SHRINK):
        (above, up, on), (below, down, off) = moved.to(h), moved.to(-h)
        quotient = (up - down) / (above - below)  # the step really made
        kink = moved.flipped or any((p != q).any() for p, q in zip(on, off, strict=True))
        resolution = float(np.finfo(np.float64).eps) / 2 * spread / h
        size = max(abs(value), abs(quotient))
        distance = abs(value - quotient)
        agrees = distance <= RTOL * size + 16 * resolution + rounding < math.inf
        error = distance / max(size, 1e6 * resolution) if distance else 0.0
        found.append(Difference(quotient, h, kink, error, agrees))
        if moved.flipped or (agrees and not kink):
            return found[-1]
    smooth = [d for d in found if not d.kink]
    return min(smooth, key=lambda d: d.error) if smooth else found[0]


class _Moved:
    """The reference in float64, and its cost when one parameter has another value."""

    def __init__(self, t: Trace, l: int, j: int, k: int | None) -> None:
        self.l, self.j, self.names, self.objective = l, j - 1, t.activations, objective_of(t)
        self.W: list[Any] = [None, *(part.astype(np.float64) for part in t.W)]
        self.b: list[Any] = [None, *(part.astype(np.float64) for part in t.b)]
        self.z, self.a = reference.forward(self.W, self.b, self.names, t.a[0].astype(np.float64))
        self.source = np.ones(t.m) if k is None else self.a[l - 1][:, k - 1]
        self.theta = float(t.b[l][j - 1] if k is None else t.W[l][j - 1, k - 1])
        # The core may have rounded a z to the other side of its kink.
        self.flipped = any(
            (side != (t.z[q][:, self.units(q)] > 0)).any()
            for q, side in zip(range(l, t.L + 1), self.sides(self.z[l:]), strict=True)
            if self.names[q - 1] in RECTIFIERS
        )
        ends = (t.a[t.L].astype(np.float64), self.a[-1])
        here, there = (self.objective.sides(a) for a in ends)
        if here.size:
            reached = self.units(t.L)
            self.flipped |= bool((here[:, reached] != there[:, reached]).any())

    def units(self, q: int) -> slice:
        """The units of layer q that the parameter reaches."""
        return slice(self.j, self.j + 1) if q == self.l else slice(None)

    def sides(self, z: list[Array]) -> list[Array]:
        """Which z of the layers from l on are above 0; nothing for those without a kink."""
        return [
            part[:, self.units(q)] > 0 if self.names[q - 1] in RECTIFIERS else np.zeros(0, bool)
            for q, part in enumerate(z, self.l)
        ]

    def cost(self, a: Array) -> float:
        return float(self.objective.cost(a))

    def to(self, step: float) -> tuple[float, float, list[Array]]:
        """The parameter after the step, the cost there, and the sides of all kinks.

        Only unit j of layer l changes, and what lies above it.
        """
        l, j, parameter = self.l, self.j, self.theta + step
        z, a = self.z[l].copy(), self.a[l].copy()
        z[:, j] += (parameter - self.theta) * self.source
        a[:, j] = reference.ACTIVATIONS[self.names[l - 1]][0](z[:, j])
        zs = [z]
        if l < len(self.names):
            change = np.outer(a[:, j] - self.a[l][:, j], self.W[l + 1][:, j])
            zs.append(self.z[l + 1] + change)
            a = reference.ACTIVATIONS[self.names[l]][0](zs[1])
            above = [None, *self.W[l + 2 :]], [None, *self.b[l + 2 :]], self.names[l + 1 :]
            upper_z, upper_a = reference.forward(*above, a)
            zs, a = [*zs, *upper_z[1:]], upper_a[-1]
        return parameter, self.cost(a), [*self.sides(zs), self.objective.sides(a)]


def _rounding(t: Trace, l: int, j: int, k: int | None) -> float:
    """A bound of what float32 may have rounded: all sums taken again with absolute values."""
    a = [abs(t.a[0].astype(np.float64))]
    f = [a[0]]  # of f', numbered from 1
    for q in range(1, t.L + 1):
        df = abs(slope(t, q))
        z = a[-1] @ abs(t.W[q].astype(np.float64)).T + abs(t.b[q])
        f.append(df + CURVATURE.get(t.activations[q - 1], 0.0) * z)
        a.append(df * z + abs(t.a[q]))
    eps, objective, outputs = float(np.finfo(np.float32).eps), objective_of(t), t.a[t.L]
    outputs = outputs.astype(np.float64)
    bends = np.sqrt(objective.variance(outputs, (eps * a[-1]) ** 2, 4.0)) / eps
    d = (bends + objective.terms(outputs)) * f[-1]
    for q in range(t.L - 1, l - 1, -1):
        d = (d @ abs(t.W[q + 1].astype(np.float64))) * f[q]
    source = 1.0 if k is None else a[l - 1][:, k - 1]
    terms = 2 * t.L + math.sqrt(max(*t.n, t.m))
    return eps * terms * float(np.sum(d[:, j - 1] * source))
