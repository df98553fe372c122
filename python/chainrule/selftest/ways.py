"""One network by every way through the core: the equations, the step, and the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..network import Network
from ..optimizers import SGD
from ..runtime import set_isa, set_num_threads
from ..trace import Trace
from ..training import Trainer
from .cases import Case
from .equations import check_equations
from .ledger import Ledger

Array = NDArray[Any]

MOMENTUM = 0.75
LARGE = 1 << 18  # parameters, or numbers of a layer: more are tried on two numbers of threads
NOT_FUSED = "baseline"  # no fused multiply-add: every product rounds by itself


@dataclass(frozen=True)
class Seen:
    """The bits that one setting gave, by name."""

    where: str
    bits: dict[str, Array]


def check_case(case: Case, isas: tuple[str, ...], threads: tuple[int, ...], ledger: Ledger) -> None:
    """Enter what is found with one network on all settings."""
    net = case.network()
    X, Y = case.data()
    large = max(case.n_parameters, case.m * max(case.n)) > LARGE
    counts = threads[:2] if large else threads
    first: Seen | None = None  # on an instruction set with fused multiply-add
    for isa in isas:
        set_isa(isa)
        trace = net.trace(X, Y, case.loss, case.weights)
        traced = _bits_of(trace)
        before: Seen | None = None  # on the first number of threads
        for count in counts:
            set_num_threads(count)
            where = f"{isa}, {count} thread{'' if count == 1 else 's'}, {case}"
            seen = Seen(where, _run(net, X, Y, case))
            if before is not None:
                compare("threads", seen, before, ledger)
                continue
            before = seen
            bits = seen.bits
            # The trace goes layer by layer. What other ways give is held against it in every bit,
            # so that what is true of it is true of them.
            for name in ("gradient", "cost", "output"):
                ledger.same_bits("ways", bits[name], traced[name], f"{where}: {name} and trace")
            for name in ("cost pass", "cost 1"):
                ledger.same_bits("ways", bits[name], traced["cost"], f"{where}: {name} and trace")
            check_rows(net, X, bits["output"], where, ledger)
            fused = isa != NOT_FUSED
            same = first is not None and fused
            if same and first is not None:
                all_of_it = Seen(where, traced | bits)
                same = compare("sets", all_of_it, first, ledger)
            # The same bits are as right as they were on the other instruction set.
            if not same:
                check_equations(trace, case.dtype, where, ledger)
                check_step(bits, case, where, ledger)
            if fused and first is None:
                first = Seen(where, traced | bits)


def _bits_of(trace: Trace) -> dict[str, Array]:
    """Everything in a trace, by name."""
    parts: list[Array] = []  # of theta: W^l stands with one row for each input, then b^l
    for dW, db in zip(trace.dW, trace.db, strict=True):
        parts += [dW.T.ravel(), db]
    bits = {"gradient": np.concatenate(parts), "cost": np.array(trace.cost)}
    for symbol, arrays in (("z", trace.z), ("a", trace.a), ("delta", trace.delta)):
        bits |= {f"{symbol}, part {i}": array for i, array in enumerate(arrays)}
    return bits | {"output": trace.a[trace.L]}


def compare(claim: str, one: Seen, other: Seen, ledger: Ledger) -> bool:
    """Whether all numbers have the same bits."""
    same = [
        ledger.same_bits(claim, value, other.bits[name], f"{one.where}: {name}")
        for name, value in one.bits.items()
    ]
    return all(same)


def _run(net: Network, X: Array, Y: Array, case: Case) -> dict[str, Array]:
    """What gradient, cost, prediction and two steps give."""
    objective = case.loss, case.weights
    gradient = net.gradient(X, Y, *objective)
    twin = net.copy()
    rate = case.rate(0.125, gradient.theta)
    trainer = Trainer(twin, SGD(rate, momentum=MOMENTUM), case.loss)
    bits = {
        "gradient": gradient.theta,
        "cost": np.array(gradient.cost),
        "cost pass": np.array(net.cost(X, Y, *objective)),
        "output": net.predict(X),
        "rate": np.array(rate),
        "theta 0": twin.theta.copy(),
    }
    for step in (1, 2):
        if step > 1:
            gradient = twin.gradient(X, Y, *objective)
        bits[f"gradient {step}"] = gradient.theta
        bits[f"cost {step}"] = np.array(trainer.step(X, Y, case.weights))
        bits[f"theta {step}"] = twin.theta.copy()
        bits[f"velocity {step}"] = trainer.velocity.copy()
    plain = net.copy()
    Trainer(plain, SGD(rate), case.loss).step(X, Y, case.weights)
    bits["theta plain"] = plain.theta.copy()
    return bits


def check_step(bits: dict[str, Array], case: Case, where: str, ledger: Ledger) -> None:
    """(GD) by itself: theta and v after a step from those before it and the gradient."""
    eps = float(np.finfo(case.dtype).eps)
    rate = float(bits["rate"])

    def close(got: Array, right: Array, size: Array, what: str) -> None:
        far = np.abs(got.astype(np.float64) - right) / (eps * (size + 1e-30))
        ledger.enter("GD", float(np.max(far)), 2, f"{where}: {what}")

    v = np.zeros(len(bits["theta 0"]))
    for step in (1, 2):
        g, theta = (
            bits[f"{name}"].astype(np.float64) for name in (f"gradient {step}", f"theta {step - 1}")
        )
        new_v = MOMENTUM * v + g
        close(bits[f"velocity {step}"], new_v, np.abs(MOMENTUM * v) + np.abs(g), f"v, step {step}")
        v = bits[f"velocity {step}"].astype(np.float64)
        size = np.abs(theta) + np.abs(rate * v)
        close(bits[f"theta {step}"], theta - rate * v, size, f"theta, step {step}")
    theta, g = (bits[name].astype(np.float64) for name in ("theta 0", "gradient"))
    close(bits["theta plain"], theta - rate * g, np.abs(theta) + np.abs(rate * g), "no momentum")


def check_rows(net: Network, X: Array, output: Array, where: str, ledger: Ledger) -> None:
    """A row predicted alone, and a few rows together, have the bits that they have among all."""
    m = len(X)
    for i in sorted({0, m // 2, m - 1}):
        ledger.same_bits("rows", net.predict(X[i : i + 1])[0], output[i], f"{where}: row {i}")
    for few in (5, 40, 300):
        if few < m:
            got = net.predict(X[m - few :])
            ledger.same_bits("rows", got, output[m - few :], f"{where}: the last {few} rows")
