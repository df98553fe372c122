"""Is this derivative right, and if not, what is the mistake? `gradcheck(target, ...)`.

What is checked goes by the kind of the target: a `Network`, any function of its parameters, a
PyTorch module, a scikit-learn estimator. Called by users, the command line and the tests.
"""

from __future__ import annotations

from typing import Any

from ..losses import Loss
from ..network import Network
from .network_check import check_network
from .report import BlockCheck, GradientCheck, Place

__all__ = ["BlockCheck", "GradientCheck", "Place", "gradcheck"]


def gradcheck(
    net: Network,
    X: Any,
    Y: Any,
    loss: Loss = "mse",
    *,
    max_parameters: int = 20_000,
    seed: int = 0,
) -> GradientCheck:
    """Hold every derivative of the cost against the reference and against central differences.

    Parameters
    ----------
    net : Network
        It stays bit for bit as it is.
    X, Y : array_like, shapes (m, n_0) and (m, n_L)
        As for `net.gradient`. A few rows are enough: the time grows with m * parameters^2, and
        with m * parameters along directions.
    loss : {"mse"} or MSE
    max_parameters : int
        With more parameters than this, each is held against the reference, but differences are
        taken along random directions, and of a few parameters (at most this many) alone. The notes
        of the report say how many directions, and how surely they find a mistake.
    seed : int
        Of those.

    Raises
    ------
    TypeError, ValueError
        As `net.gradient`, and for `max_parameters` below 1.
    DivergedError
        The cost or the gradient is not finite.
    """
    return check_network(net, X, Y, loss, max_parameters=max_parameters, seed=seed)
