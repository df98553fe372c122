"""From an estimator's parameters to layers, an update rule and penalties, each checked.

A solver and an activation are rows of a table here; an estimator's own name for a parameter is in
every message.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import one_of, real, shown, whole_number
from ..layers import ACTIVATIONS, Dense
from ..optimizers import LBFGS, SGD, Adam, AdamW, Optimizer, RMSprop, Rprop
from ..schedules import Schedule

LEARNING_RATES = ("constant", "invscaling", "adaptive")
AUTO_BATCH = 200  # rows, as in scikit-learn

_ACTIVATION_OF = {"logistic": "sigmoid", **{name: name for name in ACTIVATIONS}}

_SOLVERS: dict[str, Callable[[Any], Optimizer]] = {
    "adam": lambda e: Adam(e.learning_rate_init, (e.beta_1, e.beta_2), e.epsilon),
    "adamw": lambda e: AdamW(e.learning_rate_init, (e.beta_1, e.beta_2), e.epsilon),
    "sgd": lambda e: SGD(
        e.learning_rate_init, e.momentum, bool(e.nesterovs_momentum) and e.momentum > 0
    ),
    "rmsprop": lambda e: RMSprop(e.learning_rate_init, eps=e.epsilon),
    "rprop": lambda e: Rprop(e.learning_rate_init),
    "lbfgs": lambda e: LBFGS(tolerance_grad=e.tol),
}
_FULL_BATCH = (Rprop, LBFGS)
_OUT_ACTIVATIONS = {
    "poisson": "exp",
    "binary_cross_entropy": "logistic",
    "cross_entropy": "softmax",
}


def hidden_layers(estimator: Any) -> list[Dense]:
    """The hidden layers that `hidden_layer_sizes`, `activation` and `dropout` describe."""
    sizes = estimator.hidden_layer_sizes
    sizes = list(sizes) if isinstance(sizes, (Iterable, np.ndarray)) else [sizes]
    units = [_size(size, k) for k, size in enumerate(sizes)]
    names = _per_layer(estimator.activation, "activation", len(units))
    parts = _per_layer(estimator.dropout, "dropout", len(units))
    return [
        Dense(n, _ACTIVATION_OF[one_of(name, "activation", _ACTIVATION_OF)], part)
        for n, name, part in zip(units, names, parts, strict=True)
    ]


def update_rule(estimator: Any) -> Optimizer:
    """The optimiser that `solver` and its parameters describe."""
    rate = estimator.learning_rate
    if not isinstance(rate, Schedule):
        one_of(rate, "learning_rate", LEARNING_RATES)
    _bool(estimator, "nesterovs_momentum")
    solver = estimator.solver
    if isinstance(solver, Optimizer):
        if isinstance(rate, Schedule):
            raise ValueError(
                f"learning_rate is {rate} and solver is {solver}: give the schedule to the solver"
            )
        return solver
    rule = _SOLVERS[one_of(solver, "solver", _SOLVERS)](estimator)
    return replace(rule, learning_rate=rate) if isinstance(rate, Schedule) else rule


def is_full_batch(rule: Optimizer) -> bool:
    """Whether a step of this rule wants all rows at once."""
    return isinstance(rule, _FULL_BATCH)


def is_stochastic(solver: Any) -> bool:
    """Whether `solver` can train on one batch after another."""
    return not isinstance(solver, LBFGS) and not (isinstance(solver, str) and solver == "lbfgs")


def output_units(loss: Any, columns: int) -> int:
    """Outputs of the network for targets of so many columns."""
    return columns if loss.n_targets(columns) == columns else 2 * columns


def out_activation(loss: Any) -> str:
    """What scikit-learn calls the function from the outputs to the predictions."""
    return _OUT_ACTIVATIONS.get(getattr(loss, "name", ""), "identity")


def batch_rows(estimator: Any, rule: Optimizer, rows: int) -> int:
    """Rows of one update out of `rows`."""
    size = estimator.batch_size
    if isinstance(size, str):
        one_of(size, "batch_size", ("auto",))
        return rows if is_full_batch(rule) else min(AUTO_BATCH, rows)
    return min(whole_number(size, "batch_size"), rows)


def check(estimator: Any) -> None:
    """TypeError or ValueError for the parameters that nothing else looks at."""
    for name in ("shuffle", "warm_start", "early_stopping"):
        _bool(estimator, name)
    whole_number(estimator.max_iter, "max_iter", most=2**31 - 1)
    whole_number(estimator.max_fun, "max_fun")
    for name in ("alpha", "l1", "tol", "power_t"):
        number = real(getattr(estimator, name), name)
        if not (number >= 0 and math.isfinite(number)):
            raise ValueError(f"{name} must be at least 0 and finite, got {number!r}")
    if estimator.n_iter_no_change != math.inf:
        whole_number(estimator.n_iter_no_change, "n_iter_no_change")
    part = real(estimator.validation_fraction, "validation_fraction")
    if not 0 <= part < 1 or (part == 0 and estimator.early_stopping):
        raise ValueError(f"validation_fraction must be in (0, 1), got {part!r}")
    callbacks = estimator.callbacks
    if callable(callbacks) or not isinstance(callbacks, Iterable):
        raise TypeError(
            "callbacks must be a sequence of callables, such as callbacks=(f,); "
            f"got {shown(callbacks)} ({type(callbacks).__name__})"
        )
    if estimator.scale is not None:
        one_of(estimator.scale, "scale", ("auto",))


def check_unchanged(estimator: Any, hidden: list[Dense]) -> None:
    """ValueError where a parameter no longer describes the fitted network, which goes on."""
    net = estimator.network_
    there = net.layers[:-1]
    pairs = {
        "hidden_layer_sizes": [[layer.units for layer in layers] for layers in (hidden, there)],
        "activation": [[layer.activation for layer in layers] for layers in (hidden, there)],
        "dropout": [[layer.dropout for layer in layers] for layers in (hidden, there)],
        "dtype": [np.dtype(estimator.dtype).name, net.dtype],
        "scale": [estimator.scale, None if net.scaling is None else "auto"],
    }
    for name, (asked, has) in pairs.items():
        if asked != has:
            raise ValueError(
                f"{name} is now {shown(getattr(estimator, name))}, but the fitted network has "
                f"{shown(has)}, which warm_start and partial_fit cannot change: set it back, or "
                "begin anew with sklearn.base.clone(estimator) or fit with warm_start=False"
            )


def _bool(estimator: Any, name: str) -> None:
    value = getattr(estimator, name)
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")


def _size(value: Any, k: int) -> int:
    return whole_number(value, f"hidden_layer_sizes[{k}]")


def _per_layer(value: Any, name: str, count: int) -> list[Any]:
    """One value for each hidden layer, from one for all or a sequence."""
    if not isinstance(value, (tuple, list)):
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{name} must be one value or one for each of the {count} hidden layers, "
            f"got {len(value)}: {shown(value)}"
        )
    return list(value)
