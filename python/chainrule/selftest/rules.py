"""Every update rule, a step at a time, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..layers import Dense
from ..network import Network
from ..optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, Rprop
from ..training import Trainer
from .ledger import Ledger

Array = NDArray[Any]

RULES: tuple[Optimizer, ...] = (
    SGD(0.1),
    SGD(0.05, momentum=0.9),
    SGD(0.05, momentum=0.9, nesterov=True),
    SGD(0.05, momentum=0.9, weight_decay=0.1, clip_value=0.2),
    RMSprop(0.003, alpha=0.9),
    Adam(0.01),
    AdamW(0.01, weight_decay=0.3),
    Rprop(0.003),
)
STEPS = 3  # the first has no past
ALLOWED = 8  # units in the last place of theta's size and the step's


def check_rules(seed: int, isa: str, ledger: Ledger) -> None:
    """Enter the distance between a step by the core and by the reference."""
    rng = np.random.default_rng(seed)
    for dtype in ("float64", "float32"):
        X, Y = (rng.normal(size=(9, n)).astype(dtype) for n in (5, 2))
        for rule in RULES:
            net = Network([Dense(7, "tanh"), Dense(2)], 5, dtype=dtype, seed=seed)
            trainer = Trainer(net, rule)
            for t in range(1, STEPS + 1):
                before = np.array(net.theta, np.float64)
                state = [np.array(part, np.float64) for part in trainer.state]
                g = np.array(net.gradient(X, Y).theta, np.float64)
                right, right_state = _by_the_reference(rule, before, state, g, t)
                trainer.step(X, Y)
                size = np.abs(before) + np.abs(right - before)
                eps = float(np.finfo(dtype).eps)
                pairs = [(net.theta, right, size)]
                for part, expected in zip(trainer.state, right_state, strict=True):
                    pairs.append((part, expected, np.abs(expected).max()))
                far = max(float(np.max(np.abs(a - b) / (eps * s))) for a, b, s in pairs)
                ledger.enter("rules", far, ALLOWED, f"{isa}, step {t} of {rule}, {dtype}")


def _by_the_reference(
    rule: Any, theta: Array, state: list[Array], g: Array, t: int
) -> tuple[Array, list[Array]]:
    rate = rule.first_rate
    if rule.clip_value is not None:
        g = np.clip(g, -rule.clip_value, rule.clip_value)
    if isinstance(rule, AdamW):
        theta = theta - rate * rule.weight_decay * theta
    elif not isinstance(rule, Rprop):
        g = g + rule.weight_decay * theta
    by: Any = reference  # whose functions take as many arrays of state as the rule has
    if isinstance(rule, Rprop):
        theta, *state = by.rprop(theta, *state, g, rule.etas, rule.step_sizes)
    elif isinstance(rule, Adam):
        theta, *state = by.adam(theta, *state, g, t, rate, rule.betas, rule.eps)
    elif isinstance(rule, RMSprop):
        theta, *state = by.rmsprop(theta, *state, g, rate, rule.alpha, rule.eps)
    elif rule.momentum:
        step = by.nesterov if rule.nesterov else by.momentum
        theta, *state = step(theta, *state, g, rate, rule.momentum)
    else:
        theta = by.sgd(theta, g, rate)
    return theta, state
