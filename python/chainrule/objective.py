"""The cost as a function of the outputs alone: its slopes, its kinks, and how finely it is known.

In NumPy, through the reference. Called by gradient checks, explanations and reports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import reference

Array = NDArray[Any]

# How far dc/da jumps where a = y.
JUMP = {"mae": 2.0, "quantile": 1.0}
OF_ERRORS = frozenset({"mse", "mae", "huber", "log_cosh", "quantile"})  # functions of a - y
PROBES = 8  # of a loss of which nothing is known


class Objective:
    """C of a^L for these targets and weights.

    Parameters
    ----------
    loss
        As `reference.cost` takes it.
    Y : ndarray, shape (m, columns of the loss)
        As the network sees it.
    weight : ndarray, shape (m,), optional
    """

    def __init__(self, loss: Any, Y: Array, weight: Array | None = None) -> None:
        function = getattr(loss, "function", None)
        self.loss = reference.checked_loss(loss if function is None else function)
        self.custom = callable(self.loss)
        self.name: str = "" if self.custom else self.loss.name
        self.Y = np.asarray(Y, np.float64)
        self.weight = None if weight is None else np.asarray(weight, np.float64)
        self.D = float(reference.divisor(self.Y, self.loss, self.weight))

    @property
    def scale(self) -> Any:
        """w_i / D: a number, or (m, 1)."""
        return (1.0 if self.weight is None else self.weight[:, None]) / self.D

    def cost(self, a: Array) -> Any:
        return reference.cost(a, self.Y, self.loss, self.weight)

    def slope(self, a: Array) -> Array:
        """dC/da^L (m, n_L)."""
        return reference.dC_da(a, self.Y, self.loss, self.weight)

    def with_row(self, a: Array, i: int, row: Array) -> float:
        """The cost when the outputs of sample i, from 0, are these."""
        moved = a.copy()
        moved[i] = row
        return float(self.cost(moved))

    # Kinks

    def sides(self, a: Array) -> Array:
        """On which side of each kink, or bend, of the loss an output is; nothing where smooth."""
        if self.name in JUMP:
            return np.asarray(np.sign((a - self.Y).real))
        if self.name == "huber":
            e = (a - self.Y).real
            return np.asarray(np.sign(e) * (np.abs(e) > self.loss.parameters[0]))
        return np.zeros(0)

    def jumped(self, a: Array, before: Array) -> float:
        """What the jumps of dC/da since these sides have done to C, at most."""
        if self.name not in JUMP:
            return 0.0
        switched = self.sides(a) != before
        return float(np.sum(self.jump * np.abs(a - self.Y) * switched))

    def at_kink(self, a: Array) -> Array:
        """Which outputs are exactly where dc/da jumps (m, n_L); nothing where it does not."""
        return a.real == self.Y if self.name in JUMP else np.zeros(0, bool)

    def near_kink(self, a: Array, within: Array) -> Array:
        """Which outputs are so near to where dc/da jumps (m, n_L)."""
        if self.name not in JUMP:
            return np.zeros(a.shape, bool)
        return np.asarray(np.abs(a - self.Y) <= within)

    @property
    def jump(self) -> Any:
        """How far dC/da jumps at a kink: a number, or (m, 1)."""
        return JUMP.get(self.name, 0.0) * self.scale

    # Rounding

    def sizes(self, a: Array) -> tuple[Array, Array]:
        """What the values and the slopes are summed from: rounding is some units of these.

        Both in units of C, as (m, ...) and (m, n_L).
        """
        with np.errstate(all="ignore"):
            if self.custom:
                return np.abs(np.atleast_1d(self.cost(a))), np.abs(self.slope(a))
            rows = SIZES.get(self.name, _plain)(a, self.Y, self.loss)
            return abs(self.scale) * rows[0], abs(self.scale) * rows[1]

    def terms(self, a: Array) -> Array:
        """The sizes of what each dC/da is the difference of (m, n_L): of a - y, |a| + |y|."""
        sizes = self.sizes(a)[1]
        if self.name not in OF_ERRORS:
            return sizes
        e = np.abs(a) + np.abs(self.Y)
        there = np.abs(reference.slopes(e, np.zeros_like(e), self.loss))
        return np.asarray(np.fmax(abs(self.scale) * there, sizes))

    def size(self, a: Array) -> float:
        """The sum of the absolute terms that add up to C."""
        return float(self.sizes(a)[0].sum())

    def variance(self, a: Array, V_a: Array, reach: float) -> Array:
        """What an error of a with variance V_a does to dC/da; it is at most `reach` deviations."""
        sigma = np.sqrt(V_a)
        with np.errstate(all="ignore"):
            if self.custom:
                return self._probed(a, sigma)
            if self.name == "cross_entropy":
                return np.asarray(self.scale**2 * _through_softmax(a, self.Y, V_a))
            groups = [slice(None)]
            if self.name == "gaussian_nll":
                half = a.shape[1] // 2
                groups = [slice(half), slice(half, None)]
            V = np.zeros_like(a)
            for columns in groups:
                bend = np.zeros_like(a)
                for t in (0.0, reach, -reach):  # the slope may bend on the way
                    there = a.astype(complex)
                    there[:, columns] += t * sigma[:, columns] + 1j * 1e-30
                    d = reference.slopes(there, self.Y, self.loss).imag / 1e-30
                    bend = np.fmax(bend, np.abs(d))
                V += bend**2 * _beside(V_a, columns, a.shape[1])
            return np.asarray(self.scale**2 * V)

    def _probed(self, a: Array, sigma: Array) -> Array:
        rng = np.random.default_rng(0)
        here = self.slope(a)
        changes = [
            self.slope(a + sigma * rng.choice([-1.0, 1.0], a.shape)) - here for _ in range(PROBES)
        ]
        return np.asarray(np.max(np.square(changes), axis=0))


def _beside(V_a: Array, columns: slice, n: int) -> Array:
    """V of the columns that move, for each output that they reach: itself and its partner."""
    if columns == slice(None):
        return V_a
    part = V_a[:, columns]
    return np.concatenate([part] * (n // part.shape[1]), axis=1)


def _through_softmax(a: Array, Y: Array, V_a: Array) -> Array:
    """Of S p_j - y_j: d p_j / d a_k = p_j (1 if j = k - p_k)."""
    S = Y.sum(axis=1, keepdims=True)
    below, others, largest = reference._softmax_parts(a)
    p = np.exp(below) / (1 + others)
    rest = np.where(largest, others / (1 + others), 1 - p)
    through = p**2 * V_a
    return np.asarray(S**2 * p**2 * (rest**2 * V_a + through.sum(axis=1, keepdims=True) - through))


# For each loss, in units in the last place: of what rounding is a few units.

Sizes = Callable[[Array, Array, Any], tuple[Array, Array]]


def _plain(a: Array, Y: Array, loss: Any) -> tuple[Array, Array]:
    return np.abs(reference.values(a, Y, loss)), np.abs(reference.slopes(a, Y, loss))


def _of_pinball(a: Array, Y: Array, loss: Any) -> tuple[Array, Array]:
    above = np.where(a > Y, 1.0, np.array(loss.parameters))  # 1 - q is a difference
    return above * np.abs(a - Y), above


def _of_poisson(a: Array, Y: Array, loss: Any) -> tuple[Array, Array]:
    rate = np.exp(a)
    return 2 * rate + np.abs(Y * a), 2 * rate + Y


def _of_logits(a: Array, Y: Array, loss: Any) -> tuple[Array, Array]:
    size = (1 - Y) * reference.sigmoid(a) + Y * reference.sigmoid(-a)
    return 2 * reference.values(a, Y, loss), 3 * size


def _of_log_cosh(a: Array, Y: Array, loss: Any) -> tuple[Array, Array]:
    return 3 * reference.values(a, Y, loss), 3 * np.abs(reference.slopes(a, Y, loss))


def _of_softmax(a: Array, Y: Array, loss: Any) -> tuple[Array, Array]:
    below, others, largest = reference._softmax_parts(a)
    S = Y.sum(axis=1, keepdims=True)
    far = 2 - below  # a_j - max is rounded before it goes through exp
    size = np.where(largest, 0, far * S * np.exp(below) / (1 + others) + Y)
    rest = S - Y
    of_largest = size.sum(axis=1, keepdims=True) + S * ((rest != 0) & (rest != S))
    return 3 * reference.values(a, Y, loss), np.where(largest, of_largest, size)


def _of_gaussian(a: Array, Y: Array, loss: Any) -> tuple[Array, Array]:
    mean, s = np.split(a, 2, axis=1)
    log_v, inverse, share = reference._variance_parts(s, loss.parameters[0])
    e, far = np.abs(mean - Y), 2 + np.abs(log_v) + np.abs(s)
    square = e**2 * inverse
    slopes = np.concatenate([far * e * inverse, far * (0.5 + square) * share], axis=1)
    return np.abs(log_v) + far * square, slopes


SIZES: dict[str, Sizes] = {
    "log_cosh": _of_log_cosh,
    "quantile": _of_pinball,
    "poisson": _of_poisson,
    "binary_cross_entropy": _of_logits,
    "cross_entropy": _of_softmax,
    "gaussian_nll": _of_gaussian,
}
