"""What stands on the edges: weights or their derivatives, checked and named.

Shared by the graph and the heat map.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import as_ndarray
from ..errors import shown
from ..losses import LossLike

COLOURS = ("value", "derivative")


def check_network(net: Any) -> None:
    if not all(hasattr(net, name) for name in ("W", "b", "n", "layers", "trace")):
        raise TypeError(f"net must be a Network, got {shown(net)} ({type(net).__name__})")


def trace_of(net: Any, X: Any, Y: Any, colour: str, loss: LossLike) -> Any:
    """The trace where one is needed; without Y only its z is used."""
    if colour == "derivative" and (X is None or Y is None):
        missing = " and ".join(n for n, v in (("X", X), ("Y", Y)) if v is None)
        raise ValueError(f'colour="derivative" needs X and Y, {missing} not given')
    if X is None:
        if Y is not None:
            raise ValueError("Y was given without X")
        return None
    X = as_ndarray(X, "X")
    if X.shape == (net.n[0],):  # one sample
        X = X.reshape(1, -1)
        Y = None if Y is None else as_ndarray(Y, "Y").reshape(1, -1)
    if Y is None:
        Y = np.zeros((len(X) if X.ndim else 1, net.n[-1]))
    return net.trace(X, Y, loss=loss)


def finite(value: Any, l: int, j: int, k: int | None, colour: str) -> float:
    number = float(value)
    if not np.isfinite(number):
        name = f"b^{l}_{j}" if k is None else f"w^{l}_{j},{k}"
        name = f"dC/d{name}" if colour == "derivative" else name
        raise ValueError(f"{name} is {number}: only finite numbers can be drawn")
    return number


def symbol(colour: str, l: str, index: str) -> str:
    w = f"w^{{{l}}}_{{{index}}}"
    return f"${w}$" if colour == "value" else rf"$\partial C/\partial {w}$"
