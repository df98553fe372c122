"""The random networks of the self-test, chosen so that every way through the core is taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layers import ACTIVATIONS, Dense
from ..losses import LOSSES, REDUCTIONS, Huber, Loss, Quantile
from ..network import Network

Array = NDArray[Any]

WIDTHS = (1, 2, 3, 5, 7, 13, 17, 33, 41)  # none but 1 and 2 is a whole number of vectors
ROWS = (1, 7, 33, 129, 1100)  # part of a vector, of a block of 128, some blocks, some spans
DTYPES = ("float64", "float32")
LEAST_RATE = 2.0**-40
NAMES = tuple(LOSSES)
SMALL = 40  # how many small random networks


@dataclass(frozen=True)
class Case:
    """One network and its samples, n = (n_0, ..., n_L), with a loss and maybe sample weights."""

    name: str
    n: tuple[int, ...]
    activations: tuple[str, ...]
    m: int
    reduction: str
    dtype: str
    seed: int
    loss_name: str = "mse"
    weighted: bool = False
    dropout: tuple[float, ...] = ()  # of the layers below the last, or none

    def __str__(self) -> str:
        widths = "-".join(map(str, self.n))
        return (
            f"{self.name}: {widths} {' '.join(self.activations)}, {self.m} rows, "
            f"{self.reduction}, {self.dtype}{self._objective}"
        )

    @property
    def _objective(self) -> str:
        name = "" if self.loss_name == "mse" else f", {self.loss_name}"
        dropout = f", dropout {' '.join(map(str, self.dropout))}" if self.dropout else ""
        return f"{name}{', weighted' if self.weighted else ''}{dropout}"

    @property
    def loss(self) -> Loss:
        name, n_L = self.loss_name, self.n[-1]
        if name == "quantile":  # a number for each output
            return Quantile(tuple((j + 1) / (n_L + 1) for j in range(n_L)), self.reduction)
        if name == "huber":
            return Huber(0.5, self.reduction)
        return replace(LOSSES[name], reduction=self.reduction)

    @property
    def n_parameters(self) -> int:
        return sum(n * (k + 1) for k, n in zip(self.n, self.n[1:], strict=False))

    def rate(self, step: float, gradient: Array) -> float:
        """The learning rate, a float32, whose first step changes theta by `step` at most."""
        rate = np.float32(step / max(float(np.abs(gradient).max()), 1e-3))
        return float(rate) if rate > LEAST_RATE else LEAST_RATE  # of a gradient that is far off

    def network(self) -> Network:
        """The network, its biases random too."""
        rates = (*self.dropout, 0.0) if self.dropout else (0.0,) * (len(self.n) - 1)
        specs = zip(self.n[1:], self.activations, rates, strict=True)
        layers = [Dense(n, f, dropout=p) for n, f, p in specs]
        net = Network(layers, self.n[0], dtype=self.dtype, seed=self.seed)
        rng = np.random.default_rng(self.seed)
        for l in range(1, net.L + 1):
            net.b[l] = rng.uniform(-1, 1, net.n[l])
        # One unit without weights: z = 0 exactly, where a rectifier has its kink.
        if self.n[1] > 2:
            net.W[1][1], net.b[1][1] = 0, 0
        return net

    def data(self) -> tuple[Array, Array]:
        rng = np.random.default_rng([self.seed, 1])
        X = rng.normal(size=(self.m, self.n[0]))
        return X.astype(self.dtype), targets(self.loss, self.m, self.n[-1], rng).astype(self.dtype)

    @property
    def weights(self) -> Array | None:
        """Weights of the samples, some of them 0."""
        if not self.weighted:
            return None
        rng = np.random.default_rng([self.seed, 2])
        w = rng.integers(0, 4, self.m) * rng.uniform(0.5, 1, self.m)
        w[0] = 1.0
        return np.asarray(w.astype(self.dtype))


def targets(loss: Loss, m: int, n_L: int, rng: np.random.Generator) -> Array:
    """Random targets that the loss takes, as the core takes them."""
    if loss.name == "cross_entropy":  # half of them one class, half probabilities
        Y = np.eye(n_L)[rng.integers(0, n_L, m)]
        soft = rng.dirichlet(np.ones(n_L), m).astype(np.float32)
        Y[::2] = soft[::2] / soft[::2].sum(axis=1, keepdims=True)
        return np.asarray(Y)
    if loss.name == "binary_cross_entropy":
        return np.asarray(np.round(rng.uniform(size=(m, n_L)) * 8) / 8)
    if loss.name == "poisson":
        return rng.poisson(2.0, (m, n_L)).astype(np.float64)
    return rng.normal(size=(m, loss.n_targets(n_L)))


def cases(seed: int) -> Iterator[Case]:
    """All cases: small random networks, then those that take the ways of larger ones."""
    rng = np.random.default_rng(seed)
    for k in range(SMALL):
        L = int(rng.integers(1, 5))
        widths = [int(x) for x in rng.choice(WIDTHS, L + 1)]
        chosen = [str(f) for f in rng.choice(ACTIVATIONS, L)]
        chosen[int(rng.integers(L))] = ACTIVATIONS[k % len(ACTIVATIONS)]
        if k % 8 == 3:
            widths[0] = 1
        if k % 8 == 5:
            widths[-1] = 1
        m = ROWS[k % len(ROWS)]
        loss = NAMES[k // 2 % len(NAMES)] if k % 2 else "mse"
        weighted = k % 4 == 1
        if loss in ("cross_entropy", "gaussian_nll"):
            widths[-1] += widths[-1] % 2  # no single output, and pairs
        # exp of a large output is infinite: the outputs stay small
        if loss == "poisson":
            chosen[-1] = "tanh"
        reduction = REDUCTIONS[k % len(REDUCTIONS)]
        if reduction == "half_mean" and loss != "mse":
            reduction = "mean"
        for dtype in DTYPES:
            n, names = tuple(widths), tuple(chosen)
            yield Case(f"network {k}", n, names, m, reduction, dtype, seed + k, loss, weighted)
    for name, n, names, m, dtypes in LARGE:
        for dtype in dtypes:
            yield Case(name, n, names, m, "mean", dtype, seed)
    for name, (where, n, names, m, dtypes) in zip(NAMES[1:], LARGE, strict=False):
        if m < 1000:  # the other ways with other losses
            even = (*n[:-1], n[-1] + n[-1] % 2)
            last = "tanh" if name == "poisson" else "identity"
            f = (*names[:-1], last)
            yield Case(f"{where}, {name}", even, f, m, "mean", dtypes[0], seed, name, True)


# Name, widths, activations, rows, dtypes.
LARGE: tuple[tuple[str, tuple[int, ...], tuple[str, ...], int, tuple[str, ...]], ...] = (
    # Samples of one block shared between threads; more than 64 kB of theta.
    ("shared blocks", (31, 90, 75, 9), ("tanh", "relu", "identity"), 33, DTYPES),
    ("shared blocks", (31, 90, 75, 9), ("silu", "sigmoid", "gelu"), 129, DTYPES),
    # A predicted block of rows in a network whose layers are narrow.
    ("narrow layers", (61, 61, 61, 61, 61, 1), ("relu",) * 4 + ("identity",), 129, ("float64",)),
    # Many rows: rounds of spans on two threads.
    ("many rows", (5, 7, 3), ("sigmoid", "identity"), 9001, ("float64",)),
    # Whole rounds of rows.
    ("whole spans", (7, 5, 3), ("gelu", "identity"), 1024, ("float64",)),
    # So many units that the block of samples does not fit: layer by layer, two groups of rows.
    ("many units", (1, 2051, 1), ("relu", "identity"), 1030, ("float64",)),
    ("many units", (3, 4203, 2), ("tanh", "identity"), 33, ("float32",)),
    # More than 5 MB of theta: layer by layer, sums in several passes.
    ("wide layers", (403, 901, 384, 3), ("tanh", "relu", "identity"), 17, ("float64",)),
    ("wide layers", (501, 1353, 507, 3), ("relu", "silu", "identity"), 17, ("float32",)),
)
