"""The check of an MLP of scikit-learn: the gradient it trains with, against the loss it reports.

Reached only when somebody has imported scikit-learn; nothing is imported from it before. Loss and
gradient are those of `_backprop`, which every solver calls: what it returns is summed up to `loss_`
and goes to the update.
"""

from __future__ import annotations

import copy
import importlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import shown, whole_number
from .foreign import Foreign, check_foreign
from .layered import Layered
from .mistakes import Anatomy
from .parameters import Parameters
from .report import GradientCheck, count

Array = NDArray[Any]

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
TAKEN = "an MLPRegressor or MLPClassifier, also at the end of a Pipeline or inside a search"


class _Caught(Exception):
    """What training was about to work on."""


def check_estimator(
    estimator: Any, X: Any, y: Any, loss: Any, *, max_parameters: int, seed: int
) -> GradientCheck:
    """See `gradcheck`."""
    max_parameters = whole_number(max_parameters, "max_parameters", least=1)
    seed = whole_number(seed, "seed", least=0)
    if loss != "mse":
        raise TypeError(f"an estimator has its own loss; loss must be left out, got {shown(loss)}")
    if y is None:
        raise TypeError("y is missing: gradcheck(estimator, X, y)")
    start = time.perf_counter()
    notes: list[str] = []
    mlp, X, y = _unwrapped(estimator, X, y, notes)
    fitted = hasattr(mlp, "coefs_")
    if not fitted and mlp.random_state is None:
        notes.append(f"random_state is None; the weights are drawn with seed {seed}.")
    twin, X, y, weight = _at_the_gate(mlp, X, y, seed)
    if twin.coefs_[0].dtype == np.float32:
        notes.append("Its weights are float32; they were checked in float64.")
    if y.shape[1] != twin.coefs_[-1].shape[1]:
        raise ValueError(
            f"y has {count(y.shape[1], 'output')}, but {type(mlp).__name__} was fitted with"
            f" {twin.coefs_[-1].shape[1]}"
        )
    coefs = [np.array(c, np.float64) for c in twin.coefs_]
    intercepts = [np.array(c, np.float64) for c in twin.intercepts_]
    parameters = Parameters(
        (f"{name}[{i}]", array, None, "")
        for i, pair in enumerate(zip(coefs, intercepts, strict=True))
        for name, array in zip(("coefs_", "intercepts_"), pair, strict=True)
    )
    layers = len(coefs)

    def backprop() -> tuple[float, Array]:
        twin.coefs_, twin.intercepts_ = list(coefs), list(intercepts)
        lists = [X, *[None] * layers], *([None] * layers for _ in range(3))
        if twin.solver == "lbfgs":
            packed = np.concatenate([array.ravel() for array in (*coefs, *intercepts)])
            C, flat = twin._loss_grad_lbfgs(packed, X, y, *weight, *lists)
            ends = np.cumsum([array.size for array in (*coefs, *intercepts)])[:-1]
            parts = np.split(np.asarray(flat, np.float64), ends)
        else:
            C, dW, db = twin._backprop(X, y, *weight, *lists)
            parts = [*dW, *db]
        pairs = zip(parts[:layers], parts[layers:], strict=True)
        return float(C), np.concatenate([np.ravel(part) for pair in pairs for part in pair])

    with np.errstate(all="ignore"):
        C, got = backprop()
    if not np.isfinite(C):
        raise ValueError(f"the loss of {type(mlp).__name__} must be finite, got {C}")
    name, m, k = type(mlp).__name__, X.shape[0], y.shape[1]
    word = "fitted" if fitted else "not fitted, weights as it draws them"
    if k > 1 or layers > 1:
        notes.append("W^l is coefs_[l-1].T and b^l is intercepts_[l-1].")
    target = Foreign(
        f"{name} of scikit-learn ({word}), {count(parameters.size, 'parameter')}, {twin.loss}",
        name,
        parameters,
        lambda: backprop()[0],
        got,
        m,
        notes,
        _explain(twin, parameters, X, y),
    )
    # A difference is many small products: waiting for a second thread costs more than it does.
    with importlib.import_module("threadpoolctl").threadpool_limits(1):
        return check_foreign(target, max_parameters=max_parameters, seed=seed, start=start)


def _unwrapped(estimator: Any, X: Any, y: Any, notes: list[str]) -> tuple[Any, Any, Any]:
    """The MLP in it, with the X that reaches it."""
    mlps = importlib.import_module("sklearn.neural_network")
    if isinstance(estimator, (mlps.MLPRegressor, mlps.MLPClassifier)):
        return estimator, X, y
    name = type(estimator).__name__
    if isinstance(estimator, importlib.import_module("sklearn.pipeline").Pipeline):
        before, last = estimator[:-1], estimator[-1]
        if len(before) and last is not None and last != "passthrough":
            fitted = hasattr(last, "n_features_in_") or hasattr(last, "best_estimator_")
            X = before.transform(X) if fitted else copy.deepcopy(before).fit_transform(X, y)
        notes.append(f"The last step of the {name} was checked, on X as the steps before make it.")
        return _unwrapped(last, X, y, notes)
    if hasattr(estimator, "best_estimator_"):
        notes.append(f"The best_estimator_ of the {name} was checked.")
        return _unwrapped(estimator.best_estimator_, X, y, notes)
    if hasattr(estimator, "cv") and hasattr(estimator, "refit"):  # a search not yet run
        notes.append(f"The estimator of the {name} was checked as it stands before the search.")
        return _unwrapped(estimator.estimator, X, y, notes)
    raise TypeError(
        f"of scikit-learn, gradcheck takes {TAKEN}; {name} has no gradient that it knows of"
    )


def _at_the_gate(mlp: Any, X: Any, y: Any, seed: int) -> tuple[Any, Any, Any, tuple[None, ...]]:
    """A copy of the estimator, with X and y as they come to its solver, checked and encoded.

    Its own fit runs up to the solver: that checks its settings and data, and draws the weights when
    there are none. `weight` is the sample weight where this scikit-learn has one.
    """
    twin = copy.deepcopy(mlp)
    if twin.random_state is None:
        twin.random_state = seed

    def gate(*args: Any, **kwargs: Any) -> None:
        raise _Caught(*args, *kwargs.values())

    # Instance attributes hide the methods of the copy.
    at = "_loss_grad_lbfgs" if twin.solver == "lbfgs" else "_fit_stochastic"
    setattr(twin, at, gate)
    try:
        if hasattr(mlp, "coefs_"):
            twin._validate_params()
            twin._fit(X, y, incremental=True)
        else:
            twin.fit(X, y)
    except _Caught as caught:
        args = caught.args
    finally:
        delattr(twin, at)
    X, y, *rest = args[1:] if at == "_loss_grad_lbfgs" else args
    # Before the lists comes the sample weight, which is None, in versions that know it.
    weight = () if isinstance(rest[0], list) else (None,)
    X = X.astype(np.float64)
    y = y.astype(np.float64) if y.dtype.kind == "f" else y
    return twin, X, y if y.ndim == 2 else y.reshape(-1, 1), weight


def _explain(twin: Any, parameters: Parameters, X: Any, y: Array) -> Any:
    """The diagnosis: the known factor first, then as of a dense network with the squared error."""
    if twin.loss != "squared_error" or twin.out_activation_ != "identity":
        return None
    m, k = y.shape
    arrays = [block.array.copy() for block in parameters.blocks]
    # The penalty alpha |W|^2 / 2m is right, and would blur a factor of the rest.
    rows = [twin.alpha / m * a if a.ndim == 2 else 0 * a for a in arrays]
    penalty = np.concatenate([row.ravel() for row in rows])
    names = [ACTIVATIONS.get(twin.activation, "")] * (len(arrays) // 2 - 1) + ["identity"]
    layered = None
    if not hasattr(X, "toarray") and all(names):
        W = [None, *(a.T for a in arrays[0::2])]
        b = [None, *arrays[1::2]]
        anatomy = Anatomy(W, b, names, X, y, "half_mean")
        layered = Layered(parameters, anatomy, transposed=True, penalty=penalty)

    def explain(got: Array, right: Array, bad: Array) -> str:
        off = np.abs(got - penalty - k * (right - penalty))
        if k > 1 and (off <= 1e-5 * np.abs(got).max()).all():
            return (
                f"The gradient of the squared error is {k} times what it should be: the number of"
                f" outputs. The loss is a mean over samples and outputs; the gradient sums over the"
                f" outputs. Next to that, alpha works as {k} times less than was asked for."
            )
        return layered(got, right, bad) if layered else ""

    return explain
