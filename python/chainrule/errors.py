"""Exceptions of the package, and the checks of plain arguments that raise the built-in ones.

Every public function says which argument was wrong, what came and what is allowed; the helpers here
do that for numbers and for names. Used by every other file; imports nothing of the package.
"""

from __future__ import annotations

import math
import numbers
import operator
import reprlib
from collections.abc import Iterable
from typing import Any

LARGEST = 2**63 - 1  # sizes and counts are signed 64-bit numbers in the core


class FormatError(ValueError):
    """A model file or a table is malformed; nothing was loaded."""


class DivergedError(ArithmeticError):
    """The arithmetic ran to infinity; the network keeps its last finite parameters.

    Attributes
    ----------
    epoch : int or None
        The epoch that diverged, counted from 1; None outside `Network.fit`.
    step : int or None
        The update that diverged, counted from 1; None outside `Trainer.step`.
    cost : float
        The last finite cost (NaN when there was none).
    """

    def __init__(
        self,
        message: str,
        epoch: int | None = None,
        step: int | None = None,
        cost: float = math.nan,
    ) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.cost = cost


def whole_number(value: Any, name: str, least: int = 1, most: int = LARGEST) -> int:
    """`value` as an int in [least, most]; `name` is the argument named in the error.

    Raises
    ------
    TypeError
        For anything but a whole number; a bool and a float are refused too.
    ValueError
        Below `least`, or above `most`.
    OverflowError
        Above 2**63 - 1.
    """
    # Python's and NumPy's, which is called bool_ before NumPy 2.
    if type(value).__name__ in {"bool", "bool_"}:
        raise TypeError(f"{name} must be a whole number, got {value!r} (bool)")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} must be a whole number, got {shown(value)} ({type(value).__name__})"
        ) from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")
    if number > LARGEST:
        raise OverflowError(f"{name} must be below 2**63, got {number}")
    if number > most:
        raise ValueError(f"{name} must be at most {most}, got {number}")
    return number


def one_of(value: Any, name: str, allowed: Iterable[str]) -> str:
    """`value` when it is one of the `allowed` names, else TypeError or ValueError listing them."""
    allowed = tuple(allowed)
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be a str, one of {', '.join(allowed)}; "
            f"got {shown(value)} ({type(value).__name__})"
        )
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
    return value


def shown(value: Any) -> str:
    """A short repr for error messages."""
    return reprlib.repr(value)


def real(value: Any, name: str) -> float:
    """`value` as a float; a whole number too large for one becomes inf."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r} ({type(value).__name__})")
    try:
        return float(value)
    except OverflowError:
        return math.inf
