"""What a network is made of: the specification of one dense layer.

A layer is plain data (a frozen dataclass); the parameters belong to `Network`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import one_of, real, whole_number

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
    dropout : float
        In [0, 1): the part of the layer's outputs that each training step sets to 0, the others
        growing by 1 / (1 - dropout) (Srivastava et al. 2014). Which ones is a function of seed,
        step, sample and unit alone. Predictions, costs and gradients know nothing of it.

    Raises
    ------
    TypeError
        `units` is not a whole number, `activation` is not a str, or `dropout` is no number.
    ValueError
        `units` or `dropout` is out of range, or the activation is unknown.
    OverflowError
        `units` is 2**62 or more: no layout of the parameters can be counted.

    Examples
    --------
    >>> Dense(64, "relu")
    Dense(units=64, activation='relu')
    """

    units: int
    activation: str = "identity"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", width(self.units, "units"))
        object.__setattr__(self, "activation", one_of(self.activation, "activation", ACTIVATIONS))
        part = real(self.dropout, "dropout")
        if not 0 <= part < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout!r}")
        object.__setattr__(self, "dropout", part)

    def __repr__(self) -> str:
        dropout = f", dropout={self.dropout:g}" if self.dropout else ""
        return f"Dense(units={self.units}, activation={self.activation!r}{dropout})"


def width(value: object, name: str) -> int:
    """A number of units or inputs as an int in [1, MAX_UNITS]."""
    number = whole_number(value, name)
    if number >= 2**62:
        raise OverflowError(f"{name} must be at most {MAX_UNITS}, got {number}")
    return whole_number(number, name, most=MAX_UNITS)
