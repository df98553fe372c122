"""Slips tried out: which of them give the gradient at hand on this very network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .case import DOUBLE, SHARE, Case, Finding
from .ingredients import Anatomy, Ingredients
from .parameters import Block
from .slip import Layers, Slip
from .slips import slips

Array = NDArray[Any]


class Simulation:
    """All slips of one network. Where it is asked often, let it `remember` their gradients.

    Its rows of all parameters are [dW^1 db^1 dW^2 db^2 ...].
    """

    def __init__(self, anatomy: Anatomy, *, remember: bool = False) -> None:
        with np.errstate(all="ignore"):
            self.right = Ingredients(anatomy)
            self.true = row(*self.right.gradient())
            self.slips = [(slip, at) for slip in slips(self.right.m) for at in slip.at(anatomy.L)]
            self.rows = np.array([self._row(*slip) for slip in self.slips]) if remember else None

    def _row(self, slip: Slip, layers: Layers) -> Array:
        """The gradient with this slip; NaN when it is not possible."""
        wrong = slip.change(self.right, layers)
        return row(*wrong.gradient()) if wrong else np.full_like(self.true, np.nan)

    def gradients(self) -> Iterator[tuple[str, Array]]:
        """Each slip by name with its gradient."""
        for i, (slip, layers) in enumerate(self.slips):
            wrong = self._row(slip, layers) if self.rows is None else self.rows[i]
            if np.isfinite(wrong).all():
                yield slip.named(layers, self.right.L), wrong

    def findings(self, case: Case) -> list[Finding]:
        """The slips that explain the case, each at its nearest place, the likeliest first."""
        # What the cost has besides the mean squared error stays as it is.
        besides = case.base - self.true
        besides[~(np.abs(besides) > DOUBLE * case.scale)] = 0
        wanted = case.got - besides
        limit = min(case.tolerance, SHARE * case.worst)
        look = self._gaps if self.rows is None else self._remembered_gaps
        found: dict[int, Finding] = {}
        for slip, layers, gap in look(case, wanted, limit):
            before = found.get(id(slip))
            if before is None or gap < before.gap / 4 - 1e-13:
                said = slip.named(layers, self.right.L), slip.why(layers)
                found[id(slip)] = Finding(*said, gap)
        return list(found.values())

    def _remembered_gaps(
        self, case: Case, wanted: Array, limit: float
    ) -> Iterator[tuple[Slip, Layers, float]]:
        gaps = (np.abs(self.rows - wanted) / case.scale).max(axis=1)
        for i in np.flatnonzero(gaps <= limit):
            yield *self.slips[i], float(gaps[i])

    def _gaps(
        self, case: Case, wanted: Array, limit: float
    ) -> Iterator[tuple[Slip, Layers, float]]:
        """Layer by layer from above, and no further than a slip may be the one."""
        L = self.right.L
        W, b = ({x.layer or 0: x for x in case.blocks if x.kind == kind} for kind in "Wb")
        top = max((block.layer or 0 for block in case.wrong_blocks), default=0)

        def gap(block: Block, part: Array) -> float:
            here = block.where
            far = np.abs(wanted[here] - part.ravel()).max() / case.scale[here.start]
            return float(far) if np.isfinite(far) else np.inf

        for slip, layers in self.slips:
            wrong = slip.change(self.right, layers) if slip.forward or max(layers) >= top else None
            if wrong is None:
                continue
            largest = 0.0
            for l, dW_l, db_l in wrong.layers(L if slip.forward else max(layers), self.right):
                largest = max(largest, gap(b[l], db_l), gap(W[l], dW_l))
                if largest > limit:
                    break
            else:
                yield slip, layers, largest


def row(dW: list[Any], db: list[Any]) -> Array:
    """[dW^1 db^1 dW^2 db^2 ...]."""
    pairs = zip(dW[1:], db[1:], strict=True)
    return np.concatenate([np.ravel(part) for pair in pairs for part in pair])
