"""Losses as plain data: what is named by a string or spelt out with its parameters.

The arithmetic is the core's and the reference's; here are the names and the constants. Called by
`Network`, `Trainer` and `gradcheck`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import one_of, shown

REDUCTIONS = ("mean", "sum", "half_mean")


@dataclass(frozen=True)
class MSE:
    """The squared error, with the constant in front of it that a book or a framework chose.

    Parameters
    ----------
    reduction : {"mean", "sum", "half_mean"}
        C = (sum of (a^L - Y)^2 over all m n_L elements) / D:

        - "mean", the default and what "mse" means: D = m n_L, as `numpy.mean` and PyTorch;
        - "sum": D = 1, as PyTorch with the same word;
        - "half_mean": D = 2 m n_L, so that dC/da^L = (a^L - Y) / (m n_L) carries no 2.

    Raises
    ------
    TypeError, ValueError
        `reduction` is not one of these.

    Examples
    --------
    >>> MSE("half_mean")
    MSE(reduction='half_mean')
    """

    reduction: str = "mean"

    def __post_init__(self) -> None:
        one_of(self.reduction, "reduction", REDUCTIONS)

    def divisor(self, m: int, n_L: int) -> int:
        """D for m samples of n_L outputs."""
        return {"mean": m * n_L, "sum": 1, "half_mean": 2 * m * n_L}[self.reduction]

    @property
    def formula(self) -> str:
        """The cost as it is printed."""
        return {
            "mean": "C = 1/(m n_L) sum (a^L - y)^2",
            "sum": "C = sum (a^L - y)^2",
            "half_mean": "C = 1/(2 m n_L) sum (a^L - y)^2",
        }[self.reduction]


LOSSES = {"mse": MSE()}

Loss = str | MSE


def checked_loss(loss: Any) -> MSE:
    """The loss that is meant; TypeError or ValueError if there is none."""
    if isinstance(loss, MSE):
        return loss
    if not isinstance(loss, str):
        raise TypeError(
            f"loss must be a str or a loss such as MSE(), got {shown(loss)} ({type(loss).__name__})"
        )
    return LOSSES[one_of(loss, "loss", tuple(LOSSES))]
