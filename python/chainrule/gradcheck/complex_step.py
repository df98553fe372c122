"""Derivatives of the reference's cost by the complex step: Im C(theta + ih) / h, nothing cancels.

They need `reference.forward` and `reference.cost` alone, no backward pass: a mistake that the core
and `reference.backward` have in common is seen. Called by `network_check`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..objective import Objective
from .parameters import JUMP, NetworkParameters

Array = NDArray[Any]

H = 1e-30  # h^2 is nothing beside 1, so there is no truncation


def complex_step(
    theta: NetworkParameters, X: Array, objective: Objective, chosen: NDArray[np.intp]
) -> Array:
    """The derivatives at the chosen places, NaN elsewhere and where something is at its kink.

    X (m, n_0) is in float64. A parameter of layer l moves one column of z^l by ih
    times what it is multiplied with; from there on the reference runs forward.
    """
    derivatives = np.full(theta.size, np.nan)
    z, a = reference.forward(theta.W, theta.b, theta.activations, X)
    for block in theta.blocks:
        mine = chosen[(chosen >= block.where.start) & (chosen < block.where.stop)]
        l = block.layer
        assert l is not None
        f, _ = reference.ACTIVATIONS[theta.activations[l - 1]]
        W, b = ([None, *(np.asarray(part, complex) for part in all_[l + 1 :])]
                for all_ in (theta.W, theta.b))  # fmt: skip
        above = theta.activations[l:]
        still = f(z[l].astype(complex))
        for p in map(int, mine):
            _, (j, *k) = theta.find(p)
            source = a[l - 1][:, k[0]] if k else np.ones(len(X))
            moved = still.copy()
            moved[:, j] = f(z[l][:, j] + 1j * H * source)
            z_moved, a_moved = reference.forward(W, b, above, moved)
            # A unit exactly at its kink may be switched by h^2: no derivative there.
            at_kink = objective.at_kink(a[-1])
            if not (at_kink.any() and (at_kink & (a_moved[-1].imag != 0)).any()) and all(
                np.array_equal(z_moved[i].real > 0, z[l + i] > 0)
                for i, name in enumerate(above, 1)
                if name in JUMP
            ):
                derivatives[p] = objective.cost(a_moved[-1]).imag / H
    return derivatives
