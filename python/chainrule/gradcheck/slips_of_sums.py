"""Slips in (BP3) and (BP4): db and dW, the sums over the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ingredients import Ingredients
from .slip import Layers, Slip, each, same

Array = NDArray[Any]


# (BP3), (BP4): what is multiplied and summed


def _a_in(
    value: Callable[[Ingredients, int], Array],
    possible: Callable[[Ingredients, int], bool] = lambda p, l: True,
) -> Any:
    def change(p: Ingredients, l: int) -> bool:
        if not possible(p, l):
            return False
        p.a_in[l] = value(p, l)
        return True

    return each(change)


def _deltas(step: int) -> Any:
    def change(p: Ingredients, l: int) -> bool:
        if not (same(0, step)(p, l) and l + step > 0):
            return False
        p.delta_used[l] = p.right[0][l + step]
        return True

    return each(change)


def _dW_of(value: Callable[[Array, Array], Array], possible: Any = lambda p, l: True) -> Any:
    def change(p: Ingredients, l: int) -> bool:
        p.dW_of[l] = value
        return bool(possible(p, l))

    return each(change)


def _db_of(value: Callable[[Array], Array], possible: Any = lambda p, l: True) -> Any:
    def change(p: Ingredients, l: int) -> bool:
        p.db_of[l] = value
        return bool(possible(p, l))

    return each(change)


def _many(p: Ingredients, l: int) -> bool:
    return p.m > 1


PRODUCTS: list[tuple[str, str, str, Any]] = [
    ("a^{l} stands for a^{down}", "(BP4)", "each", _a_in(lambda p, l: p.a[l], same(0, -1))),
    ("z^{down} stands for a^{down}", "(BP4)", "inner", _a_in(lambda p, l: p.z[l - 1])),
    ("f'(z^{down}) stands for a^{down}", "(BP4)", "inner", _a_in(lambda p, l: p.slope[l - 1])),
    (
        "X stands for a^{down}",
        "(BP4)",
        "inner",
        _a_in(lambda p, l: p.a[0], lambda p, l: p.n[0] == p.n[l - 1]),
    ),
    (
        "a^{down} is left out of dW^{l}",
        "(BP4)",
        "each",
        _a_in(lambda p, l: np.ones_like(p.a[l - 1])),
    ),
    (
        "a^{down} is of other samples than delta^{l}: shifted up by one row",
        "(BP4)",
        "each",
        _a_in(lambda p, l: np.roll(p.a[l - 1], -1, 0), _many),
    ),
    (
        "a^{down} is of other samples than delta^{l}: shifted down by one row",
        "(BP4)",
        "each",
        _a_in(lambda p, l: np.roll(p.a[l - 1], 1, 0), _many),
    ),
    (
        "dW^{l} is the product of two sums over the samples, not the sum of products",
        "(BP4)",
        "each",
        _dW_of(lambda delta, a: np.outer(delta.sum(0), a.sum(0)), _many),
    ),
    (
        "a^{down} is averaged over the samples before it is multiplied",
        "(BP4)",
        "each",
        _dW_of(lambda delta, a: np.outer(delta.sum(0), a.mean(0)), _many),
    ),
    ("delta^{up} stands for delta^{l}", "(BP3) and (BP4)", "each", _deltas(1)),
    ("delta^{down} stands for delta^{l}", "(BP3) and (BP4)", "each", _deltas(-1)),
    (
        "db^{l} is summed over the units instead of the samples",
        "(BP3)",
        "each",
        _db_of(lambda delta: delta.sum(1), lambda p, l: p.m == p.n[l] > 1),
    ),
    (
        "db^{l} is summed over the units too",
        "(BP3)",
        "each",
        _db_of(lambda delta: np.full(delta.shape[1], delta.sum()), lambda p, l: p.n[l] > 1),
    ),
    (
        "db^{l} is averaged over samples and units",
        "(BP3)",
        "each",
        _db_of(lambda delta: np.full(delta.shape[1], delta.mean()), lambda p, l: p.n[l] > 1),
    ),
]
HINTS = {
    "(BP3)": "db^{l} is the sum of delta^{l} over the samples.",
    "(BP4)": "dW^{l} = delta^{l}T a^{down}.",
}


# Sums over the samples: (BP3), (BP4), or both


def _samples(m: int) -> Iterator[tuple[str, Array]]:
    """What may happen to samples in a sum: a clause, and the weight of each sample."""

    def weights(rows: Any, inside: float, outside: float = 1.0) -> Array:
        w = np.full((m, 1), outside)
        w[rows] = inside
        return w

    if m == 1:
        return
    yield "the last sample is left out", weights(-1, 0)
    yield "the first sample is left out", weights(0, 0)
    yield "only the last sample counts", weights(-1, 1, 0)
    yield "only the first sample counts", weights(0, 1, 0)
    yield "the last sample counts twice", weights(-1, 2)
    yield "the first sample counts twice", weights(0, 2)
    for k in sorted({m % 2**j for j in range(1, 8)} - {0, 1, m}):
        yield f"the last {k} samples are left out", weights(slice(-k, None), 0)


def sample_slips(m: int) -> Iterator[Slip]:
    for clause, w in _samples(m):
        hint = "The gradient sums over all m samples."

        def everywhere(right: Ingredients, _: Layers, w: Array = w) -> Ingredients:
            p = right.copy()
            p.dC_da = p.dC_da * w
            return p

        def in_db(p: Ingredients, l: int, w: Array = w) -> bool:
            p.db_of[l] = lambda delta: (w * delta).sum(axis=0)
            return True

        def in_dW(p: Ingredients, l: int, w: Array = w) -> bool:
            p.dW_of[l] = lambda delta, a: (w * delta).T @ a
            return True

        yield Slip(f"{clause} (BP3) and (BP4)", hint, "", "whole", everywhere)
        left_out = float(w.sum())
        if w.min() == 0 < left_out and left_out > 1:

            def fewer(right: Ingredients, _: Layers, w: Array = w) -> Ingredients | None:
                if right.anatomy.reduction == "sum" or right.anatomy.weight is not None:
                    return None
                p = right.copy()
                p.dC_da = p.dC_da * w * (p.m / w.sum())
                return p

            yield Slip(
                f"{clause} (BP3) and (BP4), and the mean is over the others",
                hint,
                "",
                "whole",
                fewer,
            )
        yield Slip(f"{clause} in db^{{l}}{{at}} (BP3)", hint, "", "each", each(in_db))
        yield Slip(f"{clause} in dW^{{l}}{{at}} (BP4)", hint, "", "each", each(in_dW))
