"""Is this derivative right, and if not, what is the mistake? `gradcheck(target, ...)`.

What is checked goes by the kind of the target: a `Network`, any function of its parameters, a
PyTorch module, a scikit-learn estimator. Called by users, the command line and the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import shown
from ..losses import checked_loss
from ..network import Network
from ..neuron import Neuron
from ..training import Trainer
from .estimator import check_estimator
from .function import check_function
from .network_check import check_network
from .report import BlockCheck, GradientCheck, Place
from .torch_module import check_module

__all__ = ["BlockCheck", "GradientCheck", "Place", "gradcheck"]


@dataclass(frozen=True)
class Kind:
    """A kind of target: how it is called, how it is known, which function checks it."""

    call: str
    takes: Callable[[Any], bool]
    check: Callable[..., GradientCheck]
    weighted: bool = False  # whether it takes sample weights


def _network(target: Any) -> bool:
    return isinstance(target, Network) or (
        not callable(target)
        and all(hasattr(target, name) for name in ("copy", "cost", "gradient", "_prepare"))
    )


def _known(module: str, *names: str) -> Callable[[Any], bool]:
    """Whether the target is of these classes; a package that nobody imported has no instances."""

    def takes(target: Any) -> bool:
        loaded = sys.modules.get(module)
        return loaded is not None and isinstance(
            target, tuple(getattr(loaded, name) for name in names)
        )

    return takes


def _function(target: Any) -> bool:
    return callable(target) and not isinstance(target, type)


def _check_function(fn: Any, X: Any, Y: Any, loss: Any, **options: Any) -> GradientCheck:
    if Y is not None or not _default(loss):
        raise TypeError(
            "a function is checked as gradcheck(fn, theta), without Y and loss; bind them: "
            "gradcheck(lambda theta: fn(theta, X, Y), theta)"
        )
    return check_function(fn, X, **options)


def _default(loss: Any) -> bool:
    return isinstance(loss, str) and loss == "mse"


def _check_trainer(
    trainer: Trainer, X: Any, Y: Any, loss: Any, sample_weight: Any = None, **options: Any
) -> GradientCheck:
    if not _default(loss) and checked_loss(loss) != checked_loss(trainer.loss):
        raise ValueError(f"loss must be that of the trainer, {trainer.loss!r}, got {loss!r}")
    return check_network(trainer.net, X, Y, trainer.loss, sample_weight, **options)


def _check_neuron(neuron: Neuron, X: Any, Y: Any, loss: Any, **options: Any) -> GradientCheck:
    def gradient(theta: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        g = Neuron(theta["w"], float(theta["b"]), neuron.activation).gradient(X, Y, loss)
        return g.cost, {"w": g.dw, "b": g.db}

    gradient({"w": neuron.w, "b": neuron.b})  # wrong arguments are refused in its own words
    theta = {"w": neuron.w, "b": np.asarray(neuron.b)}
    return check_function(gradient, theta, subject=repr(neuron), source="Neuron", **options)


KINDS = (
    Kind("gradcheck(network, X, Y)", _network, check_network, True),
    Kind(
        "gradcheck(trainer, X, Y)",
        lambda target: isinstance(target, Trainer),
        _check_trainer,
        True,
    ),
    Kind("gradcheck(neuron, X, y)", lambda target: isinstance(target, Neuron), _check_neuron),
    Kind("gradcheck(module, X, Y), of PyTorch", _known("torch.nn", "Module"), check_module),
    Kind(
        "gradcheck(estimator, X, y), an MLP of scikit-learn",
        _known("sklearn.base", "BaseEstimator"),
        check_estimator,
    ),
    Kind("gradcheck(fn, theta), fn(theta) -> (cost, gradient)", _function, _check_function),
)


def gradcheck(
    net: Any,
    X: Any,
    Y: Any = None,
    loss: Any = "mse",
    *,
    sample_weight: Any = None,
    max_parameters: int = 20_000,
    seed: int = 0,
) -> GradientCheck:
    """Hold every derivative of a cost against central differences, and say what is wrong.

    A network of this package is held against the reference as well. All is done in float64.

    Parameters
    ----------
    net : Network, Trainer, Neuron, torch.nn.Module, scikit-learn estimator, or callable
        What is checked; it stays bit for bit as it is. Of a PyTorch module, a copy in float64 and
        in eval mode: what its autograd says, against its own forward pass. Of scikit-learn an
        `MLPRegressor` or `MLPClassifier`, fitted or not (also at the end of a pipeline or inside a
        search): the gradient it trains with, against the loss it reports. Any other callable is
        taken for fn(theta) -> (cost, gradient).
    X : array_like, shape (m, n_0), or the theta of a function
        As for `net.gradient`; a few rows are enough: the time grows with m * parameters^2. For a
        module what its forward takes, a tuple for several arguments. For a function theta, where
        it is checked: an array of any shape, or a dict, list or tuple of arrays; the gradient has
        the same structure.
    Y : array_like, shape (m, n_L)
        As for `net.gradient`, or the y of `estimator.fit`. Not for a function.
    loss : str, Loss or callable
        For a network as for `net.gradient`: of a loss of one's own its dC/da is held against
        differences of its cost too. For a PyTorch module "mse", `MSE` or a callable
        loss(output, Y).
    sample_weight : array_like, shape (m,), optional
        As for `net.gradient`; for networks and trainers.
    max_parameters : int
        With more parameters than this, each is held against the reference, but differences are
        taken along random directions, and of a few parameters (at most this many) alone. The notes
        of the report say how many directions, and how surely they find a mistake.
    seed : int
        Of that sample, of random directions, and of an estimator that has no `random_state`.

    Raises
    ------
    TypeError, ValueError
        An argument is not of its kind, or a function is not deterministic, returns something
        else than a finite cost and a gradient like theta, or has no parameters.
    RuntimeError
        A function, module or loss raised an exception.
    DivergedError
        The cost or the gradient of a network is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> def fn(theta):
    ...     return np.sum(theta**2), 2 * theta
    >>> gradcheck(fn, np.array([1.0, -2.0])).passed
    True
    >>> print(gradcheck(lambda theta: (np.sum(theta**2), theta), [1.0, -2.0]).diagnosis[:72])
    2 of 2 derivatives disagree with the differences of the cost. dC/d theta
    """
    for kind in KINDS:
        if kind.takes(net):
            options: dict[str, Any] = {"max_parameters": max_parameters, "seed": seed}
            if sample_weight is not None:
                if not kind.weighted:
                    raise TypeError(
                        f"sample_weight is for networks of this package, not for {shown(net)}"
                    )
                options["sample_weight"] = sample_weight
            return kind.check(net, X, Y, loss, **options)
    what = f"{shown(net)} ({type(net).__name__})"
    if isinstance(net, type):
        what = f"the class {net.__name__}, only an instance of it"
    calls = "".join(f"\n  {kind.call}" for kind in KINDS)
    raise TypeError(f"gradcheck does not take {what}. It takes{calls}")
