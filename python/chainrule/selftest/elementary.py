"""The activations of the core over their whole range, and at zeros, infinities and NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, reference
from .ledger import Ledger

Array = NDArray[Any]

INF = math.inf
# f and f' at -inf, at 0 and at inf.
LIMITS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "identity": ((-INF, 0, INF), (1, 1, 1)),
    "relu": ((0, 0, INF), (0, 0, 1)),
    "leaky_relu": ((-INF, 0, INF), (0.01, 0.01, 1)),
    "sigmoid": ((0, 0.5, 1), (0, 0.25, 0)),
    "tanh": ((-1, 0, 1), (0, 1, 0)),
    "softplus": ((0, math.log(2), INF), (0, 0.5, 1)),
    "gelu": ((0, 0, INF), (0, 0.5, 1)),
    "silu": ((0, 0, INF), (0, 0.5, 1)),
}
ALLOWED = 4.0  # ulp of a value; of f' ulp of max(1, |f'|)


def check_elementary(where: str, ledger: Ledger) -> None:
    """Enter how far the functions of the instruction set in use are from the reference."""
    for dtype in (np.float64, np.float32):
        info = np.finfo(dtype)
        inside = np.concatenate([np.linspace(-12, 12, 997), np.linspace(-0.5, 0.5, 333)])
        edges = [-0.0, float(info.tiny), -float(info.tiny), float(info.max), -float(info.max)]
        z = np.concatenate([inside, edges]).astype(dtype)
        special = np.array([-INF, 0, INF, math.nan], dtype)
        for name, (f_limits, df_limits) in LIMITS.items():
            said = f"{where}, {name} in {info.dtype}"
            a, df = _core.activation(name, z)
            f, d = reference.ACTIVATIONS[name]
            wide = z.astype(np.float64)
            # In float64 the tail of the reference's gelu rounds its argument: sizes of z there.
            product = name in ("gelu", "silu") and dtype is np.float64
            with np.errstate(all="ignore"):
                true, slope = f(wide), d(wide)
                size = np.abs(true) + (np.minimum(np.abs(wide), 12) if product else 0)
                far = np.where(a == true, 0, np.abs(a - true))
                _enter(ledger, far / (info.eps * size + 2 * info.tiny), said)
                far = np.abs(df - slope) / (info.eps * np.maximum(1, np.abs(slope)))
            _enter(ledger, far, f"{said}, f'")
            a, df = _core.activation(name, special)
            for got, limits, what in ((a, f_limits, "f"), (df, df_limits, "f'")):
                right = np.array([*limits, got[3]], dtype)
                with np.errstate(invalid="ignore"):
                    far = np.where(got == right, 0, np.abs(got - right) / info.eps)[:3]
                _enter(ledger, far, f"{said}, {what} at -inf, 0, inf")
            lost = 0.0 if np.isnan(a[3]) else math.inf
            ledger.enter("elementary", lost, ALLOWED, f"{said}, f at NaN")


def _enter(ledger: Ledger, far: Array, where: str) -> None:
    ledger.enter("elementary", float(np.max(far)), ALLOWED, where)
