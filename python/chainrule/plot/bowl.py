"""The cost of one neuron with two inputs as a function of its weights, b held fixed."""

from __future__ import annotations

import math
from copy import copy

import numpy as np

from .. import reference
from ..arrays import Array
from ..losses import LossLike, checked_squares

SIDE = 121  # points of the grid along each axis
WORK = 6e7  # points of the grid times samples
ROWS = {"gelu": 20_000}  # erf is slow in the reference
MOST_ROWS = 100_000


class Bowl:
    """C(w_1, w_2) of one neuron at a fixed b, and its gradient."""

    def __init__(self, b: float, activation: str, X: Array, y: Array, loss: LossLike) -> None:
        most = ROWS.get(activation, MOST_ROWS)
        if len(X) > most:
            raise ValueError(
                f"X has {len(X)} rows, and the cost is needed at thousands of points: at most "
                f"{most} rows for {activation}, such as X[::{-(-len(X) // most)}] and y alike"
            )
        self.b, self.activation, self.X, self.y = b, activation, X, y
        self.f, self.df = reference.ACTIVATIONS[activation]
        self.divisor = checked_squares(loss).divisor(len(y), 1)

    def with_b(self, b: float) -> Bowl:
        other = copy(self)
        other.b = b
        return other

    def cost(self, w: Array) -> Array:
        """The cost at each row of w (p, 2), shape (p,)."""
        rows = max(1, 1_000_000 // len(self.X))
        C = np.empty(len(w))
        for start in range(0, len(w), rows):
            z = w[start : start + rows] @ self.X.T + self.b
            C[start : start + rows] = ((self.f(z) - self.y) ** 2).sum(axis=1) / self.divisor
        return C

    def gradient(self, w: Array) -> Array:
        z = self.X @ w + self.b
        return np.asarray(2 / self.divisor * ((self.f(z) - self.y) * self.df(z)) @ self.X)

    def grid(self, window: tuple[float, float, float, float]) -> tuple[Array, Array, Array]:
        """w_1 (n,), w_2 (n,) and the cost (n, n), one row per w_2."""
        work = WORK / len(self.X) / (10 if self.activation == "gelu" else 1)
        side = int(min(SIDE, max(21, math.sqrt(work))))
        w1 = np.linspace(window[0], window[1], side)
        w2 = np.linspace(window[2], window[3], side)
        w = np.stack(np.meshgrid(w1, w2), axis=-1).reshape(-1, 2)
        return w1, w2, self.cost(w).reshape(side, side)

    def minimum(self) -> Array | None:
        """The exact minimum of a linear neuron; None for others, or when it is not one point."""
        if self.activation != "identity":
            return None
        solution, _, rank, _ = np.linalg.lstsq(self.X, self.y - self.b, rcond=None)
        return np.asarray(solution) if rank == 2 else None

    def lowest(self, w1: Array, w2: Array, C: Array) -> Array | None:
        """The lowest point of the picture, refined; None at the edge and on a flat bottom."""
        i, j = np.unravel_index(int(np.argmin(C)), C.shape)
        if i in {0, len(w2) - 1} or j in {0, len(w1) - 1}:
            return None
        bottom = C.min() + 1e-9 * (C.max() - C.min())
        if np.count_nonzero(bottom >= C) > 4:
            return None
        best, reach = np.array([w1[j], w2[i]]), 1.5 * np.array([w1[1] - w1[0], w2[1] - w2[0]])
        offsets = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, 5)]), axis=-1).reshape(-1, 2)
        for _ in range(20):
            around = best + reach * offsets
            best = around[int(np.argmin(self.cost(around)))]
            reach = reach * 0.5
        return np.asarray(best)
