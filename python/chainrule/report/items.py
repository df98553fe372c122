"""What the page says of one number: its equations, checks, paths and what it is made of.

Plain data, made by `formulas` and written out by `elements`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Equation:
    """One line of an explanation: a formula, and the tag or the words beside it."""

    formula: str
    note: str = ""


@dataclass(frozen=True)
class Check:
    """An independent value beside ours, with what it came from and how far they are apart."""

    source: str
    value: float
    apart: float
    verdict: str
    good: bool


@dataclass(frozen=True)
class Item:
    """One number of the page.

    Attributes
    ----------
    id : str
        Unique on the page; "w-1-2-1" is the weight w^1_2,1 with its derivative.
    kind : str
        x, y, z, a, delta, b, w, cost or after.
    symbol : str
        MathML of the number's name.
    spoken : str
        The name in words, for a screen reader.
    value : float
        The number itself; for w and b it is the derivative.
    equations : list of Equation
    checks : list of Check
    facts : list of (str, float)
        Further values to read, such as the weight itself.
    paths : list of (str, str)
        Sample and units of a path, and MathML of the product along it.
    paths_note, note : str
        What to say above the paths, and about this number.
    uses : list of str
        The ids of the numbers in the formula, in its order.
    """

    id: str
    kind: str
    symbol: str
    spoken: str
    value: float
    equations: list[Equation]
    checks: list[Check] = field(default_factory=list)
    facts: list[tuple[str, float]] = field(default_factory=list)
    paths: list[tuple[str, str]] = field(default_factory=list)
    paths_note: str = ""
    note: str = ""
    uses: list[str] = field(default_factory=list)
