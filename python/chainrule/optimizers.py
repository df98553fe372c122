"""Update rules, as plain data: the core holds the state and does the arithmetic."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, v = momentum v + g, theta = theta - learning_rate v.

    Parameters
    ----------
    learning_rate : float
        Step size, above 0 and finite.
    momentum : float
        In [0, 1); 0 is plain gradient descent.

    Raises
    ------
    TypeError
        An argument is not a real number (bool and str are refused).
    ValueError
        An argument is out of range, infinite or NaN.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    learning_rate: float = 0.01
    momentum: float = 0.0

    def __post_init__(self) -> None:
        learning_rate = _real(self.learning_rate, "learning_rate")
        momentum = _real(self.momentum, "momentum")
        if not (learning_rate > 0 and math.isfinite(learning_rate)):
            raise ValueError(
                f"learning_rate must be above 0 and finite, got {self.learning_rate!r}"
            )
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum!r}")
        object.__setattr__(self, "learning_rate", learning_rate)
        object.__setattr__(self, "momentum", momentum)


def _real(value: Any, name: str) -> float:
    """`value` as a float; a whole number too large for one becomes inf."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r} ({type(value).__name__})")
    try:
        return float(value)
    except OverflowError:
        return math.inf
