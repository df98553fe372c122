"""Which network does a student's cost belong to? Found by trying activations in the reference."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from .mistakes import Anatomy
from .parameters import Parameters
from .student_arrays import Convention, Leaf, numbered

Array = NDArray[Any]

MOST = 4096  # combinations of activations that are tried
RTOL = 1e-9


@dataclass(frozen=True, eq=False)
class Order:
    """The lecture's row of parameters, W^1 b^1 W^2 b^2 ..., and where each is in the student's."""

    parameters: Parameters
    place: NDArray[np.intp]

    def row(self, row: Array) -> Array:
        return np.asarray(row[self.place])


@dataclass(frozen=True, eq=False)
class Found:
    """A network; its cost is `factor` times that of the anatomy."""

    anatomy: Anatomy
    order: Order
    factor: float

    @property
    def widths(self) -> str:
        return "-".join(str(n) for n in (self.anatomy.X.shape[1], *map(len, self.anatomy.W[1:])))

    @property
    def formula(self) -> str:
        """The cost with its constant in the lecture's letters where there is one."""
        m, n_L = self.anatomy.Y.shape
        D = reference.divisor(self.anatomy.Y, self.anatomy.loss) / self.factor
        names = [(m * n_L, "1/(m n_L) "), (2 * m * n_L, "1/(2 m n_L) "), (m, "1/m "),
                 (2 * m, "1/(2 m) "), (1, ""), (2, "1/2 ")]  # fmt: skip
        constant = next((c for d, c in names if abs(D - d) < 1e-6 * d), f"{1 / D:.6g} ")
        return f"C = {constant}sum (a^L - y)^2"

    def gradient(self) -> Array:
        """What the reference says, in the lecture's row, for the student's cost."""
        A = self.anatomy
        _, dW, db = reference.gradient(A.W, A.b, A.activations, A.X, A.Y, A.loss)
        parts = [part.ravel() for pair in zip(dW[1:], db[1:], strict=True) for part in pair]
        return np.asarray(self.factor * np.concatenate(parts))


def order(leaves: Sequence[Leaf], convention: Convention) -> Order | None:
    """The parameters as W^l, b^l of the lecture, or None when they are not called so."""
    place, start = {}, 0
    for leaf in leaves:
        key = numbered(leaf.name)
        if (
            key is None
            or key in place
            or leaf.array.ndim not in ((2,) if key[0] == "W" else (1, 2))
        ):
            return None
        where = np.arange(start, start + leaf.array.size).reshape(leaf.array.shape)
        place[key] = convention.lecture(key[0], where), convention.lecture(key[0], leaf.array)
        start += leaf.array.size
    L = len(place) // 2
    keys = [(kind, l) for l in range(1, L + 1) for kind in "Wb"]
    if set(keys) != set(place):
        return None
    arrays = ((f"{kind}^{l}", place[kind, l][1], l, kind) for kind, l in keys)
    return Order(Parameters(arrays), np.concatenate([place[key][0].ravel() for key in keys]))


def anatomy(found: Order, activations: Sequence[str], X: Array, Y: Array) -> Anatomy | None:
    """The network of these arrays, copied; None when their shapes make no network of X and Y."""
    arrays = {block.name: np.array(block.array) for block in found.parameters.blocks}
    L = len(arrays) // 2
    W = [arrays[f"W^{l}"] for l in range(1, L + 1)]
    b = [arrays[f"b^{l}"] for l in range(1, L + 1)]
    widths = [X.shape[1], *map(len, W)]
    fits = all(w.shape == (widths[l + 1], widths[l]) for l, w in enumerate(W))
    if (
        not fits
        or widths[-1] != Y.shape[1]
        or any(len(v) != len(w) for v, w in zip(b, W, strict=True))
    ):
        return None
    return Anatomy([None, *W], [None, *b], list(activations), X, Y)


def _candidates(L: int, said: Sequence[str] | None) -> Iterator[tuple[str, ...]]:
    names = list(reference.ACTIVATIONS)
    if said is not None:
        yield tuple(said)
    if len(names) ** L <= MOST:
        yield from itertools.product(names, repeat=L)
    else:
        yield from ((f,) * (L - 1) + (g,) for f in names for g in names)


def detect(
    found: Order,
    cost: Callable[[], float],
    X: Array,
    Y: Array,
    said: Sequence[str] | None = None,
) -> Found | None:
    """The network whose squared error, times some constant, is the student's cost.

    `cost()` reads the arrays of `found`, which are moved twice and put back: a constant that is
    the same at three points is no accident. X and Y are rows.
    """
    arrays = [block.array for block in found.parameters.blocks]
    here = [np.array(a) for a in arrays]
    rng = np.random.default_rng(0)
    points, costs = [], []
    try:
        for scale in (0.0, 0.3, 1.0):
            for a, at in zip(arrays, here, strict=True):
                a[...] = at + scale * rng.standard_normal(a.shape)
            point = anatomy(found, (), X, Y)
            if point is None:
                return None
            points.append(point)
            costs.append(cost())
    finally:
        for a, at in zip(arrays, here, strict=True):
            a[...] = at
    L = len(points[0].W) - 1
    for names in _candidates(L, said):
        factors: list[float] = []
        for point, C in zip(points, costs, strict=True):
            _, outputs = reference.forward(point.W, point.b, names, X)
            factors.append(C / float(reference.cost(outputs[-1], Y)))
            if not abs(factors[-1] - factors[0]) <= RTOL * abs(factors[0]):
                break
        else:
            return _named(points[0], names, factors[0], found)
    return None


def _named(point: Anatomy, names: Sequence[str], factor: float, found: Order) -> Found | None:
    """With one of the reference's reductions where the factor is that of one."""
    if not np.isfinite(factor) or factor == 0:
        return None
    for reduction in ("mean", "half_mean", "sum"):
        ratio = factor * reference.divisor(point.Y, reduction) / point.Y.size
        if abs(ratio - 1) <= RTOL:
            factor = 1.0
            break
    else:
        reduction = "mean"
    return Found(Anatomy(point.W, point.b, list(names), point.X, point.Y, reduction), found, factor)
