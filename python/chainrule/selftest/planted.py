"""Planted mistakes: a gradient check that lets one of them pass is worth nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from ..gradcheck.mistakes import Anatomy, wrong_gradients
from ..gradcheck.network_check import check_network
from ..layers import Dense
from ..losses import MSE, LossLike
from ..network import Network
from .ledger import Ledger

MOST = 32  # of the mistakes, evenly among all: each is a whole gradient check


class Planted:
    """A network that gives a wrong gradient."""

    def __init__(self, net: Network, dW: list[Any], db: list[Any]) -> None:
        self.net, self.dW, self.db = net, dW, db

    def __getattr__(self, name: str) -> Any:
        return getattr(self.net, name)

    def copy(self, dtype: Any = None) -> Planted:
        return Planted(self.net.copy(dtype), self.dW, self.db)

    def gradient(
        self, X: Any, Y: Any, loss: LossLike = "mse", sample_weight: Any = None
    ) -> SimpleNamespace:
        cost = self.net.gradient(X, Y, loss, sample_weight).cost
        return SimpleNamespace(cost=cost, dW=self.dW, db=self.db)


def check_mistakes(seed: int, ledger: Ledger) -> None:
    """Enter which planted mistakes the gradient check lets pass or calls by another name: none."""
    net = Network([Dense(3, "tanh"), Dense(3, "silu"), Dense(2)], 3, dtype="float64", seed=seed)
    rng = np.random.default_rng(seed)
    for l in range(1, net.L + 1):
        net.b[l] = rng.uniform(-1, 1, net.n[l])
    X, Y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    W, b = ([None, *(np.array(p) for p in x)] for x in (net.W, net.b))
    anatomy = Anatomy(W, b, [layer.activation for layer in net.layers], X, Y)
    mistakes = list(wrong_gradients(anatomy))
    for name, dW, db in mistakes[:: -(-len(mistakes) // MOST)]:
        planted: Any = Planted(net, dW, db)
        report = check_network(planted, X, Y, MSE(), max_parameters=20_000, seed=seed)
        where = f"the planted mistake {name!r}"
        ledger.enter("mistakes", 1 if report.passed else 0, 0, where)
        named = name.lower() in report.diagnosis.lower()
        ledger.enter("named", 0 if named else 1, 0, f"{where}: {report.diagnosis}")
