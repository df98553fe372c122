"""Dropout and penalties: steps against NumPy, a fit against its steps, the same bits everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..network import Network
from ..optimizers import SGD
from ..runtime import set_isa, set_num_threads
from ..training import Trainer
from .cases import DTYPES, Case
from .dropout import key_of, mask
from .gradients import TRAINED, order_of, reference_lists
from .ledger import Ledger
from .ways import NOT_FUSED, Seen, compare

Array = NDArray[Any]

MOMENTUM = 0.75
LARGE = 1 << 18  # parameters, or numbers of a layer: of more one step alone, on fewer settings
SEEDS = 0x9E3779B97F4A7C1  # between the seeds of dropout, so that all of their bits count


@dataclass(frozen=True)
class Step:
    """What is trained, the penalties, and clip_norm as a share of the first gradient's length."""

    claim: str
    case: Case
    l1: float = 0.0
    l2: float = 0.0
    per_row: bool = False
    clip: float = math.inf

    def __str__(self) -> str:
        numbers = {"l1": self.l1, "l2": self.l2, "clip": self.clip if self.clip < math.inf else 0}
        words = [str(self.case), *(f"{name} {value:g}" for name, value in numbers.items() if value)]
        return ", ".join([*words, "per row"] if self.per_row else words)

    @property
    def seed(self) -> int:
        """Of the dropout and the order of the rows."""
        return (self.case.seed + 1) * SEEDS % 2**63

    def start(self) -> Start:
        """Where all settings begin."""
        net = self.case.network()
        cost, g = self.by_hand(net, 0)
        norm = self.clip * float(np.linalg.norm(g)) if self.clip < math.inf else None
        rule = SGD(self.case.rate(0.125, g), momentum=MOMENTUM, clip_norm=norm)
        return Start(net, cost, g, rule)

    def trainer(self, net: Network, rule: SGD) -> Trainer:
        """What makes the steps."""
        penalties = {"l1": self.l1, "l2": self.l2}
        return Trainer(net, rule, self.case.loss, **penalties, per_row=self.per_row, seed=self.seed)

    def by_hand(self, net: Network, step: int) -> tuple[float, Array]:
        """The objective with its penalties and its gradient, in float64, before clipping."""
        X, Y = (part.astype(np.float64) for part in self.case.data())
        W, b = (reference_lists(parts) for parts in (net.W, net.b))
        L, key = net.L, key_of(self.seed, step)
        w = None if self.case.weights is None else self.case.weights.astype(np.float64)
        kept: list[Any] = [1.0] * (L + 1)
        for l, rate in enumerate(self.case.dropout, 1):
            kept[l] = mask(key, l, len(X), net.n[l], rate)
        f, df = zip(*(reference.ACTIVATIONS[name] for name in self.case.activations), strict=True)
        z, on = [X], [X]  # on: what goes on upwards
        for l in range(1, L + 1):
            z.append(on[l - 1] @ W[l].T + b[l])
            on.append(f[l - 1](z[l]) * kept[l])
        cost = float(reference.cost(on[L], Y, self.case.loss, w))
        delta = reference.dC_da(on[L], Y, self.case.loss, w) * df[L - 1](z[L])
        share = 1 / (len(X) if w is None else w.sum()) if self.per_row else 1
        parts: list[Array] = []
        for l in range(L, 0, -1):
            penalty = share * (self.l1 * np.sign(W[l]) + self.l2 * W[l])
            cost += share * float(self.l1 * np.abs(W[l]).sum() + self.l2 / 2 * (W[l] ** 2).sum())
            parts = [(delta.T @ on[l - 1] + penalty).T.ravel(), delta.sum(axis=0), *parts]
            if l > 1:
                delta = (delta @ W[l]) * kept[l - 1] * df[l - 2](z[l - 1])
        return cost, np.concatenate(parts)


@dataclass(frozen=True)
class Start:
    """A network before its first step, the objective and its gradient by hand, the update rule.

    With momentum: the velocity after the first step is the whole gradient.
    """

    net: Network
    cost: float
    g: Array
    rule: SGD


def check_regularisation(
    seed: int, isas: tuple[str, ...], threads: tuple[int, ...], ledger: Ledger
) -> None:
    """Enter the distance of steps from those by hand, and which bits differ."""
    for step in steps(seed):
        with ledger.finite(str(step)):
            _check(step, isas, threads, ledger)


def _check(step: Step, isas: tuple[str, ...], threads: tuple[int, ...], ledger: Ledger) -> None:
    start = step.start()
    counts = threads[:2] if is_large(step.case) else threads
    first: Seen | None = None  # on an instruction set with fused multiply-add
    for isa in isas:
        set_isa(isa)
        before: Seen | None = None  # on the first number of threads
        for count in counts:
            set_num_threads(count)
            where = f"{isa}, {count} thread{'' if count == 1 else 's'}, {step}"
            seen = Seen(where, _run(step, start))
            if before is not None:
                compare("threads", seen, before, ledger)
                continue
            before = seen
            if isa == NOT_FUSED or first is None or not compare("sets", seen, first, ledger):
                _check_steps(step, start, seen, ledger)
                if not is_large(step.case):
                    _check_fit(step, start, where, ledger)
            if isa != NOT_FUSED and first is None:
                first = seen


def is_large(case: Case) -> bool:
    """Whether few settings have to do."""
    return max(case.n_parameters, case.m * max(case.n)) > LARGE


def _count(case: Case) -> int:
    return 1 if is_large(case) else 2


def _run(step: Step, start: Start) -> dict[str, Array]:
    """Costs, theta and velocity of one step or two."""
    net = start.net.copy()
    (X, Y), w = step.case.data(), step.case.weights
    trainer = step.trainer(net, start.rule)
    bits = {}
    for k in range(_count(step.case)):
        bits[f"cost {k}"] = np.array(trainer.step(X, Y, w))
        bits[f"theta {k}"], bits[f"velocity {k}"] = net.theta.copy(), trainer.velocity.copy()
    return bits


def _check_steps(step: Step, start: Start, seen: Seen, ledger: Ledger) -> None:
    """Hold each step against that by hand from where the core was before it."""
    eps, allowed = float(np.finfo(step.case.dtype).eps), TRAINED[step.case.dtype]
    net, rate, norm = start.net.copy(), start.rule.first_rate, start.rule.clip_norm
    v = np.zeros(len(net.theta))
    for k in range(_count(step.case)):
        where = f"{seen.where}, step {k + 1}"
        cost, g = step.by_hand(net, k) if k else (start.cost, start.g)
        length = float(np.linalg.norm(g))
        if norm is not None and length > norm:
            g = g * (norm / length)
        got = {name: seen.bits[f"{name} {k}"].astype(np.float64) for name in ("cost", "velocity")}
        far = np.abs(got["velocity"] - (MOMENTUM * v + g)) / np.abs(g).max()
        far_cost = np.abs(got["cost"] / cost - 1)
        ledger.enter(step.claim, float(np.max([far.max(), far_cost])), allowed, where)
        theta, v = np.array(net.theta, np.float64), got["velocity"]
        net.theta = seen.bits[f"theta {k}"]
        size = eps * (np.abs(theta) + np.abs(rate * v) + 1e-30)
        ledger.enter("GD", float(np.max(np.abs(net.theta - (theta - rate * v)) / size)), 2, where)


def _check_fit(step: Step, start: Start, where: str, ledger: Ledger) -> None:
    """An epoch of two shuffled batches has the bits of two steps on those rows."""
    (X, Y), w, m = step.case.data(), step.case.weights, step.case.m
    batch = (m + 3) // 2
    one, other = start.net.copy(), start.net.copy()
    step.trainer(one, start.rule).fit(X, Y, 1, batch, True, step.seed, sample_weight=w)
    trainer = step.trainer(other, start.rule)
    order = order_of(step.seed, m)(0)
    for begin, end in pairwise((0, batch, m)):
        rows = order[begin:end]
        trainer.step(X[rows], Y[rows], None if w is None else w[rows])
    ledger.same_bits("ways", one.theta, other.theta, f"{where}: a fit and its steps")


# Name, widths, activations, rows, dtypes. In float32 none has a kink for rounding to cross.
SMALL = ("few units", (5, 13, 9, 2), ("tanh", "silu", "identity"), 33, DTYPES)
SHARED = ("shared blocks", (31, 90, 75, 9), ("silu", "tanh", "identity"), 140, ("float32",))
# Layer by layer: shares of the units, and blocks and groups of rows.
UNITS = ("many units", (3, 4203, 2), ("tanh", "identity"), 33, DTYPES)
ROWS = ("many units", (1, 2051, 1), ("relu", "identity"), 1030, ("float64",))
WIDE = ("wide layers", (403, 901, 384, 3), ("relu", "tanh", "identity"), 17, ("float64",))

# Of each: the loss, whether weighted, dropout, and the other numbers of a step.
STEPS: tuple[tuple[Any, str, bool, tuple[float, ...], dict[str, Any]], ...] = (
    (SMALL, "mse", False, (0.5, 0.25), {}),
    (SHARED, "huber", True, (0.1, 0.7), {"l2": 0.01}),
    (UNITS, "mse", True, (0.3,), {}),
    (ROWS, "mse", False, (0.5,), {}),
    (WIDE, "mse", False, (0.25, 0.5), {}),
    (SMALL, "huber", True, (), {"l1": 0.03, "l2": 0.1, "per_row": True}),
    (SMALL, "mse", False, (), {"l1": 0.03, "l2": 0.1, "clip": 0.5}),
    (SMALL, "mse", True, (), {"l1": 0.1, "l2": 0.3, "per_row": True, "clip": 2.0}),
    (SHARED, "mse", False, (), {"l1": 0.003, "l2": 0.02}),
    (SHARED, "mse", True, (), {"l1": 0.1, "l2": 0.3, "per_row": True, "clip": 0.25}),
    (UNITS, "mse", True, (), {"l1": 1e-3, "l2": 0.02}),
    (UNITS, "mse", False, (), {"l1": 1e-3, "l2": 0.02, "clip": 0.5}),
)


def steps(seed: int) -> list[Step]:
    """Dropout, then penalties, each on either way."""
    return [
        Step(
            "dropout" if dropout else "penalties",
            Case(name, n, f, m, "mean", dtype, seed, loss, weighted, dropout),
            **options,
        )
        for (name, n, f, m, dtypes), loss, weighted, dropout, options in STEPS
        for dtype in dtypes
    ]
