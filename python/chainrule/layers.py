"""What a network is made of: the specification of one dense layer.

A layer is plain data (a frozen dataclass); the parameters belong to `Network`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import one_of, whole_number

ACTIVATIONS = (
    "identity",
    "relu",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "softplus",
    "gelu",
    "silu",
)

MAX_UNITS = 2**31 - 1  # the width of one layer


@dataclass(frozen=True)
class Dense:
    """One dense layer, z = a W^T + b followed by a = f(z).

    Parameters
    ----------
    units : int
        Number of outputs n_l of the layer, 1 to 2**31 - 1.
    activation : str
        The name of f: identity, relu, leaky_relu, sigmoid, tanh, softplus, gelu or silu.

    Raises
    ------
    TypeError
        `units` is not a whole number, or `activation` is not a str.
    ValueError
        `units` is out of range, or the activation is unknown.
    OverflowError
        `units` is 2**62 or more: no layout of the parameters can be counted.

    Examples
    --------
    >>> Dense(64, "relu")
    Dense(units=64, activation='relu')
    """

    units: int
    activation: str = "identity"

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", width(self.units, "units"))
        object.__setattr__(self, "activation", one_of(self.activation, "activation", ACTIVATIONS))


def width(value: object, name: str) -> int:
    """A number of units or inputs as an int in [1, MAX_UNITS]."""
    number = whole_number(value, name)
    if number >= 2**62:
        raise OverflowError(f"{name} must be at most {MAX_UNITS}, got {number}")
    return whole_number(number, name, most=MAX_UNITS)
