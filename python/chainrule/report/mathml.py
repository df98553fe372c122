"""MathML from Python calls: one short function for each kind of element, text always escaped.

Only what the formulas of the page need. A formula is a str of MathML, so formulas are joined by
joining strings. Called by `formulas`; imports nothing of the package.
"""

from __future__ import annotations

import math
from html import escape

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{DOT OPERATOR}"
# without a font for mathematics, brackets that stretch become far too tall
OPEN, CLOSE = '<mo stretchy="false">(</mo>', '<mo stretchy="false">)</mo>'


def mi(name: str) -> str:
    """An identifier; one of several letters is set upright, as a function's name."""
    return f"<mi>{escape(name)}</mi>"


def mo(sign: str) -> str:
    """An operator."""
    return f"<mo>{escape(sign)}</mo>"


def mtext(text: str) -> str:
    """Words inside a formula."""
    return f"<mtext>{escape(text)}</mtext>"


def row(*parts: str) -> str:
    """Parts side by side, as one."""
    return f"<mrow>{''.join(parts)}</mrow>"


def frac(above: str, below: str) -> str:
    """A fraction."""
    return f"<mfrac>{row(above)}{row(below)}</mfrac>"


def power(base: str, exponent: str) -> str:
    """base^exponent."""
    return f"<msup>{row(base)}{row(exponent)}</msup>"


def index(base: str, below: str, above: str = "") -> str:
    """A letter with a subscript, and a superscript where there is one."""
    if not above:
        return f"<msub>{base}{row(below)}</msub>"
    return f"<msubsup>{base}{row(below)}{row(above)}</msubsup>"


def total(below: str, body: str) -> str:
    """The sum of `body` over what stands `below` the sign."""
    return row(f"<munder>{mo(chr(0x2211))}{row(below)}</munder>", body)


def brackets(*parts: str) -> str:
    """(parts)."""
    return row(OPEN, *parts, CLOSE)


def number(value: float, digits: int = 6) -> str:
    """A number rounded to `digits` significant digits, 1.5e-7 as 1.5 times a power of ten."""
    if not math.isfinite(value):
        return mtext(repr(value))
    mantissa, _, exponent = f"{abs(value):.{digits}g}".partition("e")
    sign = mo(MINUS) if value < 0 else ""
    if not exponent:
        return row(sign, f"<mn>{mantissa}</mn>") if sign else f"<mn>{mantissa}</mn>"
    ten = f"<msup><mn>10</mn>{whole(int(exponent))}</msup>"
    return row(sign, f"<mn>{mantissa}</mn>", mo("\N{MULTIPLICATION SIGN}"), ten)


def exact(value: float) -> str:
    """A number with the digits that give it back bit for bit."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    ten = f"<msup><mn>10</mn>{whole(int(exponent))}</msup>" if exponent else ""
    times = mo("\N{MULTIPLICATION SIGN}") + ten if ten else ""
    return row(mo(MINUS) if value < 0 else "", f"<mn>{mantissa}</mn>", times)


def primed(letter: str) -> str:
    """The letter with a prime, as the base of an index."""
    return row(mi(letter), f'<mo lspace="0" rspace="0">{chr(0x2032)}</mo>')


def transposed(letter: str, above: str) -> str:
    """A matrix with its layer and a T in one superscript."""
    return f"<msup>{mi(letter)}{row(above, mi('T'))}</msup>"


def whole(value: int) -> str:
    """A whole number with all of its digits."""
    return row(mo(MINUS), f"<mn>{-value}</mn>") if value < 0 else f"<mn>{value}</mn>"


def factor(value: float, digits: int = 6) -> str:
    """A number as a factor of a product: in brackets when it has a sign."""
    return brackets(number(value, digits)) if value < 0 else number(value, digits)


def product(*factors: str) -> str:
    """Factors with a dot between each two."""
    return row(mo(TIMES).join(factors))


def plus(terms: list[str]) -> str:
    """Terms with a plus between each two."""
    return row(mo("+").join(terms))


def line(left: str, right: str, sign: str = "=") -> str:
    """One displayed equation, left = right; without `left` it goes on with the sign."""
    sides = row(left, mo(sign), right) if left else row(f'<mo form="infix">{sign}</mo>', right)
    return f'<math display="block">{sides}</math>'


def inline(body: str) -> str:
    """A formula in running text."""
    return f"<math>{body}</math>"
