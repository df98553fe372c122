"""Every loss by itself, by a layer that does nothing: values and slopes from near 0 to far out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layers import Dense
from ..losses import LOSSES, GaussianNLL, Huber, Loss, Quantile
from ..network import Network
from ..objective import Objective
from .cases import targets
from .ledger import Ledger

Array = NDArray[Any]

LENGTHS = (1e-6, 1.0, 6.0, 1e4)  # of the outputs
FAR = 80.0  # of an output of poisson: exp of more is infinite in float32
SHAPES = ((5, 2), (35, 10))  # rows, outputs: parts of a vector, and some vectors
ALLOWED = 6.0  # ulp of what a value or a slope is made of


def specs() -> list[Loss]:
    """Every loss, some with other parameters."""
    return [*LOSSES.values(), Huber(0.25), Quantile(0.9), GaussianNLL(0.0), GaussianNLL(0.5)]


def check_losses(seed: int, isa: str, ledger: Ledger) -> None:
    """Enter how far cost and dC/da^L of the core are from the reference in float64."""
    rng = np.random.default_rng(seed)
    for dtype in ("float64", "float32"):
        for m, n_L in SHAPES:
            net = Network([Dense(n_L)], n_L, dtype=dtype)
            net.W[1], net.b[1] = np.eye(n_L), np.zeros(n_L)  # a^L is X
            for loss in specs():
                for k, length in enumerate(LENGTHS):
                    if loss == GaussianNLL(0.0) and length > FAR:
                        continue  # a variance of 0 or infinity
                    X = length * rng.normal(size=(m, n_L))
                    if loss.name == "poisson":
                        X = np.clip(X, -length, FAR)
                    X[0] = 0  # no output is the largest
                    X = X.astype(dtype)
                    Y = targets(loss, m, n_L, rng)
                    if loss.scales_targets:  # of errors: they are as large as the outputs
                        Y = X[:, : Y.shape[1]] + length * Y
                        Y[-1] = X[-1, : Y.shape[1]]  # and 0, at the kink of some
                    Y = Y.astype(dtype)
                    w = rng.uniform(0.25, 4, m).astype(dtype) if k % 2 else None
                    where = f"{isa}, {loss}, {m} x {n_L} outputs of about {length:g}, {dtype}"
                    _check(net, X, Y, loss, w, where, ledger)


def _check(
    net: Network, X: Array, Y: Array, loss: Loss, w: Array | None, where: str, ledger: Ledger
) -> None:
    t = net.trace(X, Y, loss, w)
    eps, tiny = float(np.finfo(X.dtype).eps), float(np.finfo(X.dtype).tiny)
    a, objective = X.astype(np.float64), Objective(loss, Y, w)
    # Next to 0 a factor has fewer digits, the other factors being squares of errors at most.
    least = float(np.max(objective.scale)) * tiny / eps * max(1.0, float(np.max(np.abs(a)))) ** 2
    values, slopes = objective.sizes(a)
    size = max(float(values.sum()), least)
    ledger.enter("slopes", abs(t.cost - objective.cost(a)) / (eps * size), ALLOWED, f"{where}: C")
    far = np.abs(t.delta[1] - objective.slope(a)) / (eps * np.maximum(slopes, least))
    ledger.enter("slopes", float(np.max(far)), ALLOWED, f"{where}: dC/da")
    # The way of small networks, samples as columns: with W = 1 theta has all of it.
    g = net.gradient(X, Y, loss, w)
    for got, traced in ((g.dW[1], t.dW[1]), (g.db[1], t.db[1])):
        ledger.same_bits("ways", np.ascontiguousarray(got), np.ascontiguousarray(traced), where)
    ledger.same_bits("ways", np.array(g.cost), np.array(t.cost), where)
