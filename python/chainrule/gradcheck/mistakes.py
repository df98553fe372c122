"""What a wrong gradient looks like: the kinds of mistake, and which of them explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parameters import Parameters

Array = NDArray[Any]


@dataclass(frozen=True)
class Anatomy:
    """A dense network at the moment of the check, in float64: what mistakes are made from.

    Lists are numbered as in the reference: W, b from 1 to L, and X = a[0]. The cost is
    sum (a^L - Y)^2 / D with D by `reduction` (see `reference.divisor`).
    """

    W: list[Any]
    b: list[Any]
    activations: list[str]
    X: Array
    Y: Array
    reduction: str = "mean"


def diagnose(
    parameters: Parameters,
    got: Array,
    right: Array,
    bad: Array,
    anatomy: Anatomy | None = None,
) -> str:
    """Say in a sentence or two what mistake makes `got` out of `right` (empty: no idea).

    `got`, `right` and `bad` (which are wrong) are rows of all parameters; `right` is exact to about
    1e-6. With an `anatomy`, W^l and b^l are blocks named "W^1", "b^1", ... in that order.
    """
    if not got.any():
        return "All are 0."
    blocks = [block for block in parameters.blocks if bad[block.where].any()]
    if all(block.kind == "b" for block in blocks):
        return "Only biases are wrong: look at db (BP3)."
    for block in blocks:
        W, expected = parameters.part(got, block), parameters.part(right, block)
        square = block.kind == "W" and 1 < len(W) == W.shape[1]
        if square and np.allclose(W.T, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max()):
            return f"dW^{block.layer} is transposed: look at (BP4)."
    clear = bad & (np.abs(right) > 1e-3 * np.abs(right).max())
    ratio = got[clear] / right[clear]
    if len(ratio) > 1 and np.allclose(ratio, ratio[0], rtol=1e-4, atol=0):
        return f"The wrong ones are {ratio[0]:.4g} times what they should be."
    l = blocks[-1].layer
    if l is not None and l < (parameters.blocks[-1].layer or 0):
        return f"Layers above {l} are right: look at delta^{l} (BP2), or at its dW and db."
    return ""
