"""What is computed: the workloads, their data, and the right answers in float64."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chainrule import reference

Array = NDArray[np.float32]
LEARNING_RATE = 0.01
CHECKED_STEPS = 3


@dataclass(frozen=True)
class Workload:
    name: str
    widths: tuple[int, ...]
    activation: str
    batch: int

    @property
    def products(self) -> list[int]:
        """Multiplications and additions of one row in each layer."""
        return [2 * i * o for i, o in pairwise(self.widths)]

    @property
    def step_flop(self) -> float:
        """Those of the products of a step: Z and dW of every layer, delta of all but the first."""
        return float(self.batch * (3 * sum(self.products) - self.products[0]))

    def predict_flop(self, rows: int) -> float:
        return float(rows * sum(self.products))


WORKLOADS = (
    Workload("tiny", (2, 16, 16, 1), "tanh", 32),
    Workload("small", (8, 32, 32, 1), "relu", 32),
    Workload("policy", (17, 64, 64, 6), "tanh", 256),
    Workload("tabular", (64, 128, 128, 64, 1), "relu", 128),
    Workload("mnist", (784, 128, 10), "relu", 128),
    Workload("wide", (784, 512, 512, 10), "relu", 128),
    Workload("medium", (256, 1024, 1024, 1024, 64), "relu", 256),
    Workload("large", (1024, 2048, 2048, 2048, 256), "relu", 1024),
    Workload("field", (3, 64, 64, 64, 3), "tanh", 65536),
)


@dataclass(frozen=True)
class Answer:
    prediction: NDArray[np.float64]  # of X, before the first step
    parameters: list[NDArray[np.float64]]  # W^1, b^1, W^2, ... after CHECKED_STEPS


class Problem:
    """The same numbers for every candidate; a candidate copies what it changes."""

    def __init__(self, workload: Workload) -> None:
        random = np.random.default_rng(0)
        self.workload = workload
        self.tanh = workload.activation == "tanh"
        pairs = list(pairwise(workload.widths))
        self.W = [random.normal(0, 1 / np.sqrt(i), (o, i)).astype(np.float32) for i, o in pairs]
        self.b = [random.normal(0, 0.1, o).astype(np.float32) for _, o in pairs]
        self.X = random.normal(size=(workload.batch, workload.widths[0])).astype(np.float32)
        self.Y = random.normal(size=(workload.batch, workload.widths[-1])).astype(np.float32)
        for array in (*self.parameters, self.X, self.Y):
            array.setflags(write=False)

    @property
    def parameters(self) -> list[Array]:
        return [p for pair in zip(self.W, self.b, strict=True) for p in pair]

    @cached_property
    def answer(self) -> Answer:
        activations = [self.workload.activation] * (len(self.W) - 1) + ["identity"]
        W = [None, *(w.astype(np.float64) for w in self.W)]
        b = [None, *(v.astype(np.float64) for v in self.b)]
        X, Y = self.X.astype(np.float64), self.Y.astype(np.float64)
        prediction = None
        for _ in range(CHECKED_STEPS):
            z, a = reference.forward(W, b, activations, X)
            prediction = a[-1] if prediction is None else prediction
            _, dW, db = reference.backward(W, activations, z, a, Y)
            for l in range(1, len(W)):
                W[l] = W[l] - LEARNING_RATE * dW[l]
                b[l] = b[l] - LEARNING_RATE * db[l]
        pairs = zip(W[1:], b[1:], strict=True)
        return Answer(np.asarray(prediction), [np.asarray(p) for pair in pairs for p in pair])
