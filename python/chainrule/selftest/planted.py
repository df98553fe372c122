"""Planted mistakes: a gradient check that lets one of them pass is worth nothing."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import reference
from ..gradcheck.mistakes import Anatomy
from ..gradcheck.network_check import check_network
from ..layers import Dense
from ..losses import MSE, Loss
from ..network import Network
from .ledger import Ledger


def wrong_gradients(anatomy: Anatomy) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """Yield name, dW, db of gradients with one mistake each."""
    W, b, f, X, Y = anatomy.W, anatomy.b, anatomy.activations, anatomy.X, anatomy.Y
    _, right_W, right_b = reference.gradient(W, b, f, X, Y, anatomy.reduction)
    L, (m, n_L) = len(W) - 1, Y.shape

    def scaled(factor: float) -> tuple[list[Any], list[Any]]:
        return [None, *(factor * g for g in right_W[1:])], [
            None,
            *(factor * g for g in right_b[1:]),
        ]

    for name, factor in (("factor 2", 2), ("factor 1/2", 0.5), ("factor m", m), ("sign", -1)):
        yield name, *scaled(factor)
    yield "factor n_L", *scaled(n_L)
    for l in range(1, L + 1):
        dW, db = scaled(1)
        db[l] = 0 * db[l]
        yield f"no db^{l}", dW, db
        dW, db = scaled(1)
        dW[l][:, -1] = 0
        yield f"last column of dW^{l}", dW, db
        dW, db = scaled(1)
        dW[l] = dW[l] - right_W[l] / m
        yield f"a sample is missing in dW^{l}", dW, db
    dW, db = scaled(1)
    dW[1] = dW[1] + 1e-4 * np.abs(dW[1]).max()
    yield "a small error in dW^1", dW, db


class Planted:
    """A network that gives a wrong gradient."""

    def __init__(self, net: Network, dW: list[Any], db: list[Any]) -> None:
        self.net, self.dW, self.db = net, dW, db

    def __getattr__(self, name: str) -> Any:
        return getattr(self.net, name)

    def copy(self, dtype: Any = None) -> Planted:
        return Planted(self.net.copy(dtype), self.dW, self.db)

    def gradient(self, X: Any, Y: Any, loss: Loss = "mse") -> SimpleNamespace:
        cost = self.net.gradient(X, Y, loss).cost
        return SimpleNamespace(cost=cost, dW=self.dW, db=self.db)


def check_mistakes(seed: int, ledger: Ledger) -> None:
    """Enter how many planted mistakes the gradient check lets pass: none may."""
    net = Network([Dense(3, "tanh"), Dense(3, "silu"), Dense(2)], 3, dtype="float64", seed=seed)
    rng = np.random.default_rng(seed)
    for l in range(1, net.L + 1):
        net.b[l] = rng.uniform(-1, 1, net.n[l])
    X, Y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    W, b = ([None, *(np.array(p) for p in x)] for x in (net.W, net.b))
    anatomy = Anatomy(W, b, [layer.activation for layer in net.layers], X, Y)
    for name, dW, db in wrong_gradients(anatomy):
        planted: Any = Planted(net, dW, db)
        report = check_network(planted, X, Y, MSE(), max_parameters=20_000, seed=seed)
        missed = 1 if report.passed else 0
        ledger.enter("mistakes", missed, 0, f"the planted mistake {name!r}")
