"""The parameters that a check moves and the derivatives that it looks at: named arrays in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..losses import Loss
from ..network import Network
from ..objective import Objective
from .report import Place

Array = NDArray[Any]

JUMP = {"relu": 1.0, "leaky_relu": 1 - reference.LEAK}  # of f' at the kink z = 0


@dataclass(frozen=True, eq=False)
class Block:
    """One array of parameters: W^l or b^l of a network, or a named array of foreign code.

    `array` is float64 and writable: there the check moves them. `where` are its places in a row of
    all parameters. `layer` and `kind` ("W" or "b") are known of networks alone.
    """

    name: str
    array: Array = field(repr=False)
    where: slice
    layer: int | None = None
    kind: str = ""


class Parameters:
    """All parameters in one row, block after block."""

    def __init__(self, arrays: Iterable[tuple[str, Array, int | None, str]]) -> None:
        self.blocks: list[Block] = []
        self.size = 0
        for name, array, layer, kind in arrays:
            where = slice(self.size, self.size + array.size)
            self.blocks.append(Block(name, array, where, layer, kind))
            self.size += array.size

    def part(self, row: Array, block: Block) -> Array:
        """The entries of a block in their shape, read-only."""
        part = row[block.where].reshape(block.array.shape)
        part.flags.writeable = False
        return part

    def find(self, p: int) -> tuple[Block, tuple[int, ...]]:
        block = next(block for block in self.blocks if p < block.where.stop)
        index = np.unravel_index(p - block.where.start, block.array.shape)
        return block, tuple(int(i) for i in index)

    def place(self, p: int, analytic: Array, numeric: Array) -> Place:
        block, index = self.find(p)
        numbers = float(analytic[p]), float(numeric[p])
        return Place(block.name, index, *numbers, layer=block.layer, kind=block.kind)

    def value(self, p: int) -> float:
        block, index = self.find(p)
        return float(block.array[index])

    def beside(self, p: int, h: float, look: Callable[[], Any]) -> list[tuple[float, Any]]:
        """What `look` sees at theta_p + h and at theta_p - h, and where that was exactly."""
        block, index = self.find(p)
        here = block.array[index]
        seen = []
        try:
            for there in (here + h, here - h):
                block.array[index] = there
                seen.append((float(there), look()))
        finally:
            block.array[index] = here
        return seen


class NetworkParameters(Parameters):
    """Those of a float64 network, [W^1 b^1 W^2 b^2 ...]."""

    def __init__(self, twin: Network, loss: Loss) -> None:
        self.loss = loss
        self.n = tuple(twin.n)
        self.L = len(self.n) - 1
        self.activations = [layer.activation for layer in twin.layers]
        self.W: list[Any] = [None, *(twin.W[l] for l in range(1, self.L + 1))]
        self.b: list[Any] = [None, *(twin.b[l] for l in range(1, self.L + 1))]
        super().__init__(
            (f"{kind}^{l}", arrays[l], l, kind)
            for l in range(1, self.L + 1)
            for kind, arrays in (("W", self.W), ("b", self.b))
        )

    def row(self, W: Any, b: Any) -> Array:
        """W[l], b[l] or their derivatives, or anything of that shape, in one row."""
        parts = ((W if block.kind == "W" else b)[block.layer] for block in self.blocks)
        return np.concatenate([np.asarray(part, np.float64).ravel() for part in parts])

    def crosses_kink(self, p: int, h: float, a: list[Array], objective: Objective) -> bool:
        """Is a relu unit on for one of theta_p - h, theta_p, theta_p + h and off for another?

        Or an error on the other side of a kink of the loss. `a` are the activations at theta: only
        the layers from theta_p to the last with a kink are run.
        """
        first = self.find(p)[0].layer or 1
        last = max((l for l, name in enumerate(self.activations, 1) if name in JUMP), default=0)
        kinked = objective.sides(a[-1]).size > 0
        if kinked:
            last = self.L
        W, b = ([None, *theta[first : last + 1]] for theta in (self.W, self.b))
        names = self.activations[first - 1 : last]

        def on() -> list[Array]:
            z, there = reference.forward(W, b, names, a[first - 1])
            sides = [z[l] > 0 for l, name in enumerate(names, 1) if name in JUMP]
            return [*sides, objective.sides(there[-1])] if kinked else sides

        here, (_, above), (_, below) = on(), *self.beside(p, h, on)
        return any(
            not (np.array_equal(now, up) and np.array_equal(now, down))
            for now, up, down in zip(here, above, below, strict=True)
        )
