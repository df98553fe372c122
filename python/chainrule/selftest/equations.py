"""Each equation by itself: both of its sides from one trace, in float64 by NumPy.

An error is measured in ulp of the sizes that went into the sum: of |W| |a| + |b| for z. A sum of n
terms may be wrong by 2 + sqrt(n) of them. Called by `run`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..trace import Trace
from .ledger import Ledger

Array = NDArray[Any]

# In ulp: of f, f' and of a few products; a sum of n terms is allowed sqrt(n) more.
FEW = 4.0


def check_equations(trace: Trace, dtype: str, where: str, ledger: Ledger) -> None:
    """Enter how far each equation is from being true of a trace."""
    eps = float(np.finfo(dtype).eps)
    tiny = float(np.finfo(dtype).tiny)
    for claim, l, got, right, size, terms in _sides(trace):
        far = np.abs(np.asarray(got, np.float64) - right)
        with np.errstate(invalid="ignore"):
            error = far / (eps * (size + tiny / eps))  # below, a factor may be subnormal
        worst = float(np.max(error))  # NaN where anything is
        place = f", layer {l}" if l else ""
        ledger.enter(claim, worst, FEW + math.sqrt(terms), where + place)


def _sides(t: Trace) -> Iterator[tuple[str, int, Any, Any, Any, int]]:
    """Claim, layer, the core's side, NumPy's side, the size of the terms, their number."""
    m, n_L = t.Y.shape
    a = [np.asarray(part, np.float64) for part in t.a]
    z, delta, W, b = ([None, *(np.asarray(p, np.float64) for p in x)] for x in (t.z, t.delta, t.W, t.b))
    L, Y = len(W) - 1, np.asarray(t.Y, np.float64)
    for l in range(1, L + 1):
        below, w, bias, here = a[l - 1], W[l], b[l], z[l]
        assert w is not None and bias is not None and here is not None
        name = t.activations[l - 1]
        f, _ = reference.ACTIVATIONS[name]
        size = np.abs(below) @ np.abs(w).T + np.abs(bias)
        yield "Z", l, here, below @ w.T + bias, size, w.shape[1] + 1
        # gelu and silu are products with z: an error of the other factor is worth that much.
        size = np.abs(a[l]) + (np.abs(here) if name in ("gelu", "silu") else 0)
        yield "A", l, a[l], f(here), size, 1

    squares = (a[L] - Y) ** 2
    D = t.loss.divisor(m, n_L)
    yield "MSE", 0, t.cost, squares.sum() / D, squares.sum() / D, m * n_L

    dC_da = 2 / D * (a[L] - Y)
    for l in range(L, 0, -1):
        above, w, here, d = delta[l], W[l], z[l], delta[l]
        assert here is not None and d is not None
        _, df = reference.ACTIVATIONS[t.activations[l - 1]]
        slope = df(here)
        # f' is known to an ulp of 1: it is 1 - a^2 or a (1 - a).
        if l == L:
            size = 2 / D * (np.abs(a[L]) + np.abs(Y)) * np.maximum(1, np.abs(slope))
            yield "BP1", l, d, dC_da * slope, size, 1
        else:
            above, w = delta[l + 1], W[l + 1]
            assert above is not None and w is not None
            size = (np.abs(above) @ np.abs(w)) * np.maximum(1, np.abs(slope))
            yield "BP2", l, d, (above @ w) * slope, size, len(w)
        yield "BP3", l, t.db[l], d.sum(axis=0), np.abs(d).sum(axis=0), m
        yield "BP4", l, t.dW[l], d.T @ a[l - 1], np.abs(d).T @ np.abs(a[l - 1]), m
