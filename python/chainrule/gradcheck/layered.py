"""Foreign parameters as the W^l and b^l of a dense network, for what only those can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .mistakes import Anatomy, diagnose
from .parameters import Parameters

Array = NDArray[Any]


class Layered:
    """A diagnosis in W^l and b^l of parameters that have other names, and W maybe transposed.

    Their blocks are W, b of layer 1, W, b of layer 2 and so on. `penalty` is the gradient of what
    the cost has besides the squared error, in their row.
    """

    def __init__(
        self,
        parameters: Parameters,
        anatomy: Anatomy,
        *,
        transposed: bool = False,
        penalty: Array | None = None,
    ) -> None:
        self.anatomy = anatomy
        self.penalty = np.zeros(parameters.size) if penalty is None else penalty
        places, rows = np.arange(parameters.size), []
        named = []
        for i, block in enumerate(parameters.blocks):
            l, kind = i // 2 + 1, "Wb"[i % 2]
            array, here = block.array, places[block.where].reshape(block.array.shape)
            if transposed:
                array, here = array.T, here.T
            named.append((f"{kind}^{l}", array, l, kind))
            rows.append(here.ravel())
        self.parameters = Parameters(named)
        self.order = np.concatenate(rows)

    def __call__(self, got: Array, right: Array, bad: Array) -> str:
        got, right = ((row - self.penalty)[self.order] for row in (got, right))
        return diagnose(self.parameters, got, right, bad[self.order], self.anatomy)
