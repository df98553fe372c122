"""Long sums cut short, and activations written out: the pieces that formulas are made of.

Called by `formulas`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .items import Equation
from .mathml import (
    CLOSE,
    OPEN,
    TIMES,
    brackets,
    exact,
    factor,
    frac,
    index,
    line,
    mi,
    mo,
    mtext,
    number,
    plus,
    power,
    product,
    row,
    whole,
)

DELTA, SIGMA, ETA, PARTIAL = "\u03b4", "\u03c3", "\u03b7", "\u2202"


MOST_TERMS = 6


def slope(below: str) -> str:
    """dC / d(below)."""
    return frac(row(mi(PARTIAL), mi("C")), row(mi(PARTIAL), below))


def largest(terms: Any) -> tuple[list[int], float | None]:
    """The places of the largest terms in their order, and the sum of those left out, if any."""
    values = np.asarray(terms, np.float64).ravel()
    if len(values) <= MOST_TERMS:
        return list(range(len(values))), None
    order = np.argpartition(-np.abs(values), MOST_TERMS - 2)
    kept = sorted(int(p) for p in order[: MOST_TERMS - 1])
    return kept, float(np.sum(values[order[MOST_TERMS - 1 :]]))


def sum_lines(
    terms: list[str], before: str = "", after: str = "", bracketed: bool = False, left: str = ""
) -> list[Equation]:
    """left = before (term + term + ...) after, two terms on a line: a phone is narrow."""
    lines = []
    for start in range(0, len(terms), 2):
        first, last = start == 0, start + 2 >= len(terms)
        opening = before + (OPEN if bracketed else "") if first else ""
        closing = (CLOSE if bracketed else "") + after if last else ""
        body = row(opening, plus(terms[start : start + 2]), closing)
        lines.append(Equation(line(left if first else "", body, "=" if first else "+")))
    return lines


def left_out(count: int, what: str, rest: float) -> str:
    """The terms left out, and their sum."""
    return f"<munder>{factor(rest)}{mtext(f'{count} more {what}')}</munder>"


def standardised(
    symbol: str, letter: str, k: int, raw: float, mean: float, scale: float
) -> list[Equation]:
    given = index(mi(letter.upper()), whole(k))
    symbols = frac(row(given, mo("\u2212"), mtext("mean")), mtext("scale"))
    numbers = frac(row(number(raw), mo("\u2212"), factor(mean)), number(scale))
    return [
        Equation(line(symbol, symbols), "standardised"),
        Equation(line("", numbers)),
        Equation(line("", exact((raw - mean) / scale))),
    ]


def rate(symbol: str, k: int, raw: float, log_mean: float) -> list[Equation]:
    """A count in units of its mean."""
    mean = float(np.exp(log_mean))
    return [
        Equation(
            line(symbol, frac(index(mi("Y"), whole(k)), mtext("mean"))), "divided by the mean"
        ),
        Equation(line("", frac(number(raw), number(mean)))),
        Equation(line("", exact(raw / mean))),
    ]


def activation(name: str, z: str, negative: bool = False) -> str:
    """f(z) written out; `z` is a symbol or a number."""
    inner = brackets(z) if negative else z
    minus_z = row(mo("\u2212"), inner)
    spelt = {
        "identity": z,
        "relu": row(mi("max"), brackets(whole(0), mo(","), z)),
        "leaky_relu": row(mi("max"), brackets(product(number(0.01), inner), mo(","), z)),
        "sigmoid": frac(whole(1), row(whole(1), mo("+"), power(mi("e"), minus_z))),
        "tanh": row(mi("tanh"), brackets(z)),
        "softplus": row(mi("ln"), brackets(row(whole(1), mo("+"), power(mi("e"), z)))),
        "gelu": row(inner, mo(TIMES), mi("\u03a6"), brackets(z)),
        "silu": row(inner, mo(TIMES), mi(SIGMA), brackets(z)),
    }
    return spelt[name]


def derivative(name: str, z: str) -> str:
    """f'(z) written out."""
    sigma = row(mi(SIGMA), brackets(z))
    negative = row(mi(SIGMA), brackets(row(mo("\u2212"), z)))
    when = row(z, mo(">"), whole(0))
    spelt = {
        "identity": whole(1),
        "relu": brackets(row(whole(1), mtext(" if "), when, mtext(", else "), whole(0))),
        "leaky_relu": brackets(row(whole(1), mtext(" if "), when, mtext(", else "), number(0.01))),
        "sigmoid": product(sigma, brackets(row(whole(1), mo("\u2212"), sigma))),
        "tanh": row(whole(1), mo("\u2212"), power(row(mi("tanh"), brackets(z)), whole(2))),
        "softplus": sigma,
        "gelu": row(mi("\u03a6"), brackets(z), mo("+"), product(z, row(mi("\u03c6"), brackets(z)))),
        "silu": product(sigma, brackets(plus([whole(1), product(z, negative)]))),
    }
    return spelt[name]
