"""Each equation by itself: both of its sides from one trace, in float64 by NumPy.

An error is measured in ulp of the sizes that went into the sum: of |W| |a| + |b| for z. A sum of n
terms may be wrong by 4 + sqrt(n) of them. Called by `run`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..evidence import objective_of
from ..objective import JUMP
from ..trace import Trace
from .ledger import Ledger

Array = NDArray[Any]

# In ulp: of f, f' and of a few products; a sum of n terms is allowed sqrt(n) more.
FEW = 4.0
MOST = 100_000  # numbers of a layer that are looked at, about


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
    m, n_L = len(t.Y), t.n[-1]
    L = len(t.activations)
    a = [np.asarray(part, np.float64) for part in t.a]
    z, delta, W, b = (
        [np.zeros(0), *(np.asarray(part, np.float64) for part in parts)]
        for parts in (t.z, t.delta, t.W, t.b)
    )
    # Of large traces some rows, where rows do not meet each other.
    some = slice(None, None, 1 + m * max(part.shape[1] for part in a) // MOST)
    for l in range(1, L + 1):
        name, below, here = t.activations[l - 1], a[l - 1][some], z[l][some]
        f, _ = reference.ACTIVATIONS[name]
        size = np.abs(below) @ np.abs(W[l]).T + np.abs(b[l])
        yield "Z", l, here, below @ W[l].T + b[l], size, W[l].shape[1] + 1
        # gelu and silu are products with z: an error of the other factor is worth that much.
        size = np.abs(a[l][some]) + (np.abs(here) if name in ("gelu", "silu") else 0)
        yield "A", l, a[l][some], f(here), size, 1

    objective = objective_of(t)
    claim = "MSE" if objective.name == "mse" else "losses"
    yield claim, 0, t.cost, objective.cost(a[L]), objective.size(a[L]), m * n_L
    dC_da, terms = objective.slope(a[L])[some], objective.terms(a[L])[some]

    # Equal terms are all rounded to the same side: then errors add up as the terms do.
    many = m if objective.name not in JUMP else (m // 4) ** 2
    for l in range(L, 0, -1):
        _, df = reference.ACTIVATIONS[t.activations[l - 1]]
        slope = df(z[l][some])
        steep = np.maximum(1, np.abs(slope))  # f' is known to an ulp of 1: as 1 - a^2, a (1 - a)
        if l == L:
            yield "BP1", l, delta[l][some], dC_da * slope, terms * steep, 1
        else:
            w, above = W[l + 1], delta[l + 1][some]
            size = np.abs(above) @ np.abs(w)
            yield "BP2", l, delta[l][some], (above @ w) * slope, size * steep, len(w)
        d, sizes = delta[l], np.abs(delta[l])
        yield "BP3", l, t.db[l], d.sum(axis=0), sizes.sum(axis=0), many
        yield "BP4", l, t.dW[l], d.T @ a[l - 1], sizes.T @ np.abs(a[l - 1]), many
