"""The equations of the lecture for whole layers, as they stand at the head of each section."""

from __future__ import annotations

from .items import Equation
from .mathml import brackets, index, line, mi, mo, primed, product, row, total, transposed, whole
from .terms import DELTA, ETA, slope


def _layer(l: str) -> str:
    """l, L, l+1 or l-1."""
    if len(l) == 1:
        return mi(l)
    return row(mi(l[0]), mo("+" if l[1] == "+" else "\u2212"), whole(int(l[2:])))


def _matrix(letter: str, l: str) -> str:
    return f"<msup>{mi(letter)}{_layer(l)}</msup>"


def _prime(l: str) -> str:
    """f'(Z^l)."""
    return row(primed("f"), brackets(_matrix("Z", l)))


def _equation(left: str, right: list[str], tag: str) -> Equation:
    return Equation(line(left, row(*right)), tag)


_TIMES = mo("\u2299")  # element by element
_l, _below = mi("l"), _matrix("A", "l-1")
_error = brackets(_matrix(DELTA, "l+1"), _matrix("W", "l+1"))
_descent = [mi("w"), mo("\u2212"), product(mi(ETA), slope(mi("w")))]

FORWARD = (
    _equation(_matrix("Z", "l"), [_below, transposed("W", _l), mo("+"), _matrix("b", "l")], "(Z)"),
    _equation(_matrix("A", "l"), [mi("f"), brackets(_matrix("Z", "l"))], "(A)"),
)
BACKWARD = (
    _equation(_matrix(DELTA, "L"), [slope(_matrix("A", "L")), _TIMES, _prime("L")], "(BP1)"),
    _equation(_matrix(DELTA, "l"), [_error, _TIMES, _prime("l")], "(BP2)"),
    _equation(slope(_matrix("b", "l")), [total(mi("i"), index(mi(DELTA), mi("i"), _l))], "(BP3)"),
    _equation(slope(_matrix("W", "l")), [transposed(DELTA, _l), _below], "(BP4)"),
)
STEP = (_equation(primed("w"), _descent, "(GD)"),)
