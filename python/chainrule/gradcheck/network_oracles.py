"""What the reference knows of a network along a direction: the complex step, and its kinks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..objective import Objective
from .parameters import JUMP, NetworkParameters
from .probe import Vector, costs

Array = NDArray[Any]


class NetworkOracles:
    def __init__(
        self, theta: NetworkParameters, a: list[Array], objective: Objective, bound: Array
    ) -> None:
        self.theta, self.a, self.objective, self.bound = theta, a, objective, bound
        self._q: tuple[list[Any], list[Any], Array] | None = None

    def exact(self, v: Vector) -> tuple[float, float]:
        """Im C(theta + ih v) / h: the layers below the first that moves are not run."""
        theta, h = self.theta, 1e-30
        moved = (block for block, step in zip(theta.blocks, v, strict=True) if step is not None)
        below = (next(moved).layer or 1) - 1
        W, b = list(theta.W[below:]), list(theta.b[below:])
        W[0] = b[0] = None
        squares = 0.0
        for block, step in zip(theta.blocks, v, strict=True):
            if step is not None:
                arrays = W if block.kind == "W" else b
                arrays[(block.layer or 1) - below] = block.array + 1j * h * step
                part = theta.part(self.bound, block) * step
                squares += float(np.sum(part**2))
        _, a = reference.forward(W, b, theta.activations[below:], self.a[below])
        return float(np.imag(self.objective.cost(a[-1]))) / h, math.sqrt(squares)

    def reach(self, v: Vector, h: float) -> float:
        """What the kinks within +-h do to a difference, at most: of a relu unit J |q z| / 2h.

        q = dC/da is that of theta, which moves little within h: hence twice that.
        """
        theta, L, objective = self.theta, self.theta.L, self.objective
        if self._q is None:
            z, a = reference.forward(theta.W, theta.b, theta.activations, self.a[0])
            loss, weight = objective.loss, objective.weight
            delta, _, _ = reference.backward(
                theta.W, theta.activations, z, a, objective.Y, loss, weight
            )
            q = [None, *(delta[l] @ theta.W[l] for l in range(2, L + 1)), objective.slope(a[L])]
            self._q = z, q, objective.sides(a[L])
        z, q, sides = self._q
        total = 0.0

        def add() -> float:
            nonlocal total
            there, a = reference.forward(theta.W, theta.b, theta.activations, self.a[0])
            total += objective.jumped(a[L], sides)
            for l, name in enumerate(theta.activations, 1):
                if name in JUMP:
                    switched = (there[l] > 0) != (z[l] > 0)
                    total += JUMP[name] * float(np.abs(q[l] * there[l])[switched].sum())
            return 0.0

        costs(theta, add, v, h)
        return 2 * total / (2 * h)
