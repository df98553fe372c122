"""One training step, side by side: chainrule and the same step written by hand in NumPy.

Every candidate gets the same weights, data and learning rate, float32, mean squared error, plain
gradient descent; its weights after three steps are checked before it is timed. Rounds of the
candidates are interleaved, figures are medians. `python benchmarks/compare.py --help`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import chainrule as cr

Array = NDArray[np.float32]
LEARNING_RATE = 0.01


@dataclass(frozen=True)
class Workload:
    name: str
    widths: tuple[int, ...]
    activation: str
    batch: int

    @property
    def flop(self) -> float:
        """Multiplications and additions of the products of one step."""
        pairs = [i * o for i, o in zip(self.widths, self.widths[1:], strict=False)]
        return 2.0 * self.batch * (3 * sum(pairs) - pairs[0])


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


@dataclass
class Problem:
    W: list[Array]  # (n_l, n_{l-1})
    b: list[Array]
    X: Array
    Y: Array


def problem(workload: Workload) -> Problem:
    random = np.random.default_rng(0)
    pairs = list(zip(workload.widths, workload.widths[1:], strict=False))
    W = [random.normal(0, 1 / np.sqrt(i), (o, i)).astype(np.float32) for i, o in pairs]
    b = [random.normal(0, 0.1, o).astype(np.float32) for _, o in pairs]
    X = random.normal(size=(workload.batch, workload.widths[0])).astype(np.float32)
    Y = random.normal(size=(workload.batch, workload.widths[-1])).astype(np.float32)
    return Problem(W, b, X, Y)


class Numpy:
    """The step as one writes it with care: no temporary that can be avoided."""

    def __init__(self, workload: Workload, data: Problem) -> None:
        self.W = [np.ascontiguousarray(W.T) for W in data.W]
        self.b = [b.copy() for b in data.b]
        self.X, self.Y = data.X, data.Y
        self.tanh = workload.activation == "tanh"

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        a = [self.X]
        last = len(self.W) - 1
        for l, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
            z = a[-1] @ W
            z += b
            if l < last:
                if self.tanh:
                    np.tanh(z, out=z)
                else:
                    np.maximum(z, 0, out=z)
            a.append(z)
        delta = a[-1] - self.Y
        delta *= np.float32(2 / delta.size)
        for l in range(last, -1, -1):
            dW, db = a[l].T @ delta, delta.sum(axis=0)
            if l > 0:
                delta = delta @ self.W[l].T
                if self.tanh:
                    delta *= 1 - a[l] * a[l]
                else:
                    delta *= a[l] > 0
            dW *= np.float32(LEARNING_RATE)
            db *= np.float32(LEARNING_RATE)
            self.W[l] -= dW
            self.b[l] -= db

    def weights(self) -> list[Array]:
        return [W.T for W in self.W]


class Chainrule:
    """`Network.fit` on one batch, one epoch per step: the whole run is one call."""

    def __init__(self, workload: Workload, data: Problem) -> None:
        hidden = [cr.Dense(n, workload.activation) for n in workload.widths[1:-1]]
        self.net = cr.Network([*hidden, cr.Dense(workload.widths[-1])], workload.widths[0])
        for l, (W, b) in enumerate(zip(data.W, data.b, strict=True), start=1):
            self.net.W[l] = W
            self.net.b[l] = b
        self.X, self.Y = data.X, data.Y

    def run(self, steps: int) -> None:
        # Many epochs over one batch; the batch is laid out again for each, as in any training.
        self.net.fit(
            self.X,
            self.Y,
            epochs=steps,
            batch_size=len(self.X),
            optimizer=cr.SGD(LEARNING_RATE),
            shuffle=False,
        )

    def weights(self) -> list[Array]:
        return list(self.net.W)


CANDIDATES: dict[str, Callable[[Workload, Problem], Numpy | Chainrule]] = {
    "chainrule": Chainrule,
    "NumPy by hand": Numpy,
}


def check(workload: Workload, data: Problem) -> None:
    """Every candidate has to come to the same weights before any of them is timed."""
    results = []
    for make in CANDIDATES.values():
        candidate = make(workload, data)
        candidate.run(3)
        results.append(candidate.weights())
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def measure(workload: Workload, threads: int, rounds: int) -> dict[str, float]:
    """Microseconds per step of each candidate, the median over interleaved rounds."""
    data = problem(workload)
    with threadpool_limits(threads):
        cr.set_num_threads(threads)
        check(workload, data)
        candidates = {name: make(workload, data) for name, make in CANDIDATES.items()}
        steps = {}
        for name, candidate in candidates.items():
            candidate.run(1)
            start = time.perf_counter()
            candidate.run(3)
            steps[name] = max(8, int(0.15 / ((time.perf_counter() - start) / 3)))
        times: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(rounds):
            for name, candidate in candidates.items():
                time.sleep(0.1)  # the other's threads spin for a while after their last call
                candidate.run(1)
                start = time.perf_counter()
                candidate.run(steps[name])
                times[name].append((time.perf_counter() - start) / steps[name] * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", default="1,2", help="thread counts (default 1,2)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds per figure (default 15)")
    parser.add_argument("--only", default="", help="workloads, separated by commas")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    only = set(filter(None, options.only.split(",")))
    rows = []
    print("| workload | widths, activation, batch | threads | chainrule | NumPy by hand | ratio |")
    print("|---|---|---|---|---|---|")
    for workload in WORKLOADS:
        if only and workload.name not in only:
            continue
        for threads in map(int, options.threads.split(",")):
            us = measure(workload, threads, options.rounds)
            rows.append({**asdict(workload), "threads": threads, "microseconds": us})
            ratio = us["NumPy by hand"] / us["chainrule"]
            shape = "-".join(map(str, workload.widths))
            print(
                f"| {workload.name} | {shape} {workload.activation}, {workload.batch} | {threads} "
                f"| {us['chainrule']:.4g} us | {us['NumPy by hand']:.4g} us | {ratio:.1f} |",
                flush=True,
            )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump({"info": str(cr.info()), "rows": rows}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
