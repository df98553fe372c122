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
from .gradcheck import CURVATURE, SHRINK, STEP
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
        A relu or leaky_relu unit changes sides within the step, where no derivative exists.
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


def cost_slope(t: Trace) -> Array:
    """dC/da^L = 2/D (a^L - Y) (m, n_L) in float64."""
    with np.errstate(all="ignore"):
        e = t.a[t.L].astype(np.float64) - t.Y.astype(np.float64)
        return np.asarray(2 / t.loss.divisor(*t.Y.shape) * e)


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
    with np.errstate(all="ignore"):
        return _difference(t, l, j, k, value)


def _difference(t: Trace, l: int, j: int, k: int | None, value: float) -> Difference:
    W = [None, *(part.astype(np.float64) for part in t.W)]
    b = [None, *(part.astype(np.float64) for part in t.b)]
    X, Y = t.a[0].astype(np.float64), t.Y.astype(np.float64)
    reduction, D = t.loss.reduction, t.loss.divisor(*t.Y.shape)
    z, a = reference.forward(W, b, t.activations, X)
    source = np.ones(t.m) if k is None else a[l - 1][:, k - 1]
    theta = float(t.b[l][j - 1] if k is None else t.W[l][j - 1, k - 1])

    def look(parameter: float) -> tuple[float, list[Array]]:
        """The cost with another value of the parameter: only layers l to L change."""
        moved = z[l].copy()
        moved[:, j - 1] += (parameter - theta) * source
        zs, a_l = [moved], reference.ACTIVATIONS[t.activations[l - 1]][0](moved)
        if l < t.L:
            above = reference.forward([None, *W[l + 1 :]], [None, *b[l + 1 :]], names, a_l)
            zs, a_l = [moved, *above[0][1:]], above[1][-1]
        return float(reference.cost(a_l, Y, reduction)), zs

    names = t.activations[l:]
    rectified = [q for q in range(l, t.L + 1) if t.activations[q - 1] in RECTIFIERS]
    # The core may have rounded z to the other side of a kink.
    flipped = any(((t.z[q] > 0) != (z[q] > 0)).any() for q in rectified)
    spread = (float(reference.cost(a[-1], Y, reduction)), 2 / D * np.sum(abs(a[-1] * (a[-1] - Y))))
    rounding = _rounding(t, l, j, k) if t.W[l].dtype == np.float32 else 0.0

    found = []
    first = STEP * max(1.0, abs(theta)) / max(1.0, float(np.max(abs(source))))
    for h in (first / shrink for shrink in SHRINK):
        (up, z_up), (down, z_down) = look(theta + h), look(theta - h)
        quotient = (up - down) / ((theta + h) - (theta - h))  # the step really made
        kink = flipped or any(((z_up[q - l] > 0) != (z_down[q - l] > 0)).any() for q in rectified)
        resolution = float(np.finfo(np.float64).eps) / 2 * float(sum(spread)) / h
        size = max(abs(value), abs(quotient))
        distance = abs(value - quotient)
        agrees = bool(distance <= RTOL * size + 16 * resolution + rounding < math.inf)
        floor = max(size, 1e6 * resolution)
        error = distance / floor if distance else 0.0
        found.append(Difference(float(quotient), h, kink, float(error), agrees))
        if agrees and not kink:
            return found[-1]
    smooth = [d for d in found if not d.kink]
    return min(smooth, key=lambda d: d.error) if smooth else found[0]


def _rounding(t: Trace, l: int, j: int, k: int | None) -> float:
    """A bound of what float32 may have rounded: all sums taken again with absolute values."""
    a = [abs(t.a[0].astype(np.float64))]
    f = [a[0]]  # of f', numbered from 1
    for q in range(1, t.L + 1):
        df = abs(slope(t, q))
        z = a[-1] @ abs(t.W[q].astype(np.float64)).T + abs(t.b[q])
        f.append(df + CURVATURE.get(t.activations[q - 1], 0.0) * z)
        a.append(df * z + abs(t.a[q]))
    d = 2 / t.loss.divisor(*t.Y.shape) * (a[-1] + abs(t.Y)) * f[-1]
    for q in range(t.L - 1, l - 1, -1):
        d = (d @ abs(t.W[q + 1].astype(np.float64))) * f[q]
    source = 1.0 if k is None else a[l - 1][:, k - 1]
    terms = 2 * t.L + math.sqrt(max(*t.n, t.m))
    return float(np.finfo(np.float32).eps) * terms * float(np.sum(d[:, j - 1] * source))
