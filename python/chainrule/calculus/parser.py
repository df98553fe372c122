"""Reads a formula into SymPy, by a grammar of its own: no text from a user is ever run as code.

    sum     = product { ("+" | "-") product }
    product = signed { ("*" | "/") signed }
    signed  = { "+" | "-" } power
    power   = atom [ ("^" | "**") signed ]
    atom    = number | name | name "(" sum { "," sum } ")" | "(" sum ")"

Errors show the place in the text, counted from 1.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp  # type: ignore[import-untyped]

from .evaluation import UndefinedError, value_of_constant
from .vocabulary import CONSTANTS, FUNCTIONS

MOST_CHARACTERS = 10_000
MOST_NESTED = 50
MOST_BITS = 4096  # of an exact number: 9^9^9^9 must not be written out

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[^\W\d]\w*)|(?P<sign>\*\*|[-+*/^(),])",
    re.ASCII,
)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def read_variables(variables: Any, name: str = "variables") -> tuple[Any, ...]:
    """The symbols of "x y", "x, y" or ["x", "y"]."""
    if isinstance(variables, str):
        names = re.split(r"[\s,]+", variables.strip(" \t\n,"))
    else:
        try:
            names = [v.name if isinstance(v, sp.Symbol) else v for v in variables]
        except TypeError:
            raise TypeError(
                f'{name} must be a str such as "x y" or a list of names, '
                f"got {type(variables).__name__}"
            ) from None
    if not names or names == [""]:
        raise ValueError(f'{name} must have at least one name, such as "x y"')
    for each in names:
        check_name(each, name)
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise ValueError(f"{name} has {', '.join(twice)} more than once")
    return tuple(sp.Symbol(each) for each in names)


def check_name(name: Any, what: str) -> None:
    """Raise unless `name` can name a variable."""
    if not isinstance(name, str):
        raise TypeError(f"{what} must be names, got {name!r:.60} ({type(name).__name__})")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{what}: {name!r:.60} is not a name; letters, digits and _ make one, a letter first"
        )
    if name in FUNCTIONS:
        raise ValueError(f"{what}: {name!r} is the name of a function; choose another")


def read_expressions(
    expressions: Any, symbols: Iterable[Any], name: str = "expressions"
) -> tuple[Any, ...]:
    """One SymPy expression for each text."""
    allowed = {symbol.name: symbol for symbol in symbols}
    if isinstance(expressions, str):
        return (read(expressions, allowed, name),)
    try:
        texts = list(expressions)
    except TypeError:
        raise TypeError(
            f"{name} must be a str or a list of str, got {type(expressions).__name__}"
        ) from None
    if not texts:
        raise ValueError(f"{name} must have at least one formula")
    return tuple(read(text, allowed, f"{name}, formula {i}") for i, text in enumerate(texts, 1))


def read(text: Any, names: Mapping[str, Any], what: str) -> Any:
    """The SymPy expression of one formula in the given names; `what` it is, for the error."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, got {type(text).__name__}")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{what} has {len(text)} characters; at most {MOST_CHARACTERS}")
    return _Reader(text, names, what).whole()


class _Reader:
    def __init__(self, text: str, names: Mapping[str, Any], what: str) -> None:
        self.text, self.names, self.what = text, names, what
        self.depth = 0
        self.tokens = list(self._split())
        self.next = 0

    def _split(self) -> Iterable[tuple[str, str, int]]:
        place = 0
        while place < len(self.text):
            match = _TOKEN.match(self.text, place)
            if match is None:
                raise self.error(f"{self.text[place]!r} is not mathematics", place)
            if match.lastgroup != "space":
                yield str(match.lastgroup), match.group(), place
            place = match.end()
        yield "end", "", len(self.text.rstrip())

    def error(self, problem: str, place: int) -> ValueError:
        start = place - 40 if place > 60 else 0
        line = re.sub(r"\s", " ", self.text[start : place + 40])
        return ValueError(
            f"{self.what}: {problem}, at character {place + 1}\n"
            f"    {line}\n    {' ' * (place - start)}^"
        )

    def take(self, *signs: str) -> bool:
        if self.tokens[self.next][1] in signs:
            self.next += 1
            return True
        return False

    def whole(self) -> Any:
        if self.tokens[0][0] == "end":
            raise self.error("nothing is there", 0)
        result = self.sum()
        kind, text, place = self.tokens[self.next]
        if kind == "end":
            return result
        if kind in {"name", "number"} or text == "(":
            raise self.error(f"an operator such as * is missing before {text!r}", place)
        raise self.error(f"{text!r} is not expected", place)

    def sum(self) -> Any:
        self.depth += 1
        if self.depth > MOST_NESTED:
            raise self.error(f"nested deeper than {MOST_NESTED}", self.tokens[self.next][2])
        place = self.tokens[self.next][2]
        terms = [self.product()]
        while True:
            if self.take("+"):
                terms.append(self.product())
            elif self.take("-"):
                terms.append(-self.product())
            else:
                self.depth -= 1
                return self.checked(sp.Add(*terms), place) if len(terms) > 1 else terms[0]

    def product(self) -> Any:
        start = self.tokens[self.next][2]
        factors = [self.signed()]
        while True:
            place = self.tokens[self.next][2]
            if self.take("*"):
                factors.append(self.signed())
            elif self.take("/"):
                divisor = self.signed()
                if divisor == 0:
                    raise self.error("division by zero", place)
                factors.append(1 / divisor)
            else:
                return self.checked(sp.Mul(*factors), start) if len(factors) > 1 else factors[0]

    def signed(self) -> Any:
        minus = False
        while self.tokens[self.next][1] in {"+", "-"}:
            minus ^= self.take("-") or not self.take("+")
        result = self.power()
        return -result if minus else result

    def power(self) -> Any:
        base = self.atom()
        place = self.tokens[self.next][2]
        if not self.take("^", "**"):
            return base
        self.depth += 1
        if self.depth > MOST_NESTED:
            raise self.error(f"nested deeper than {MOST_NESTED}", place)
        exponent = self.signed()
        self.depth -= 1
        if base.is_Rational and exponent.is_Rational:
            bits = max(int(base.p).bit_length(), int(base.q).bit_length())
            if bits > 1 and bits * abs(exponent) > MOST_BITS:
                raise self.error("this power is too large to be written out", place)
            if base == 0 and exponent < 0:
                raise self.error("division by zero", place)
        return self.checked(base**exponent, place)

    def atom(self) -> Any:
        kind, text, place = self.tokens[self.next]
        self.next += 1
        if kind == "number":
            return self.number(text, place)
        if kind == "name":
            return self.name(text, place)
        if text == "(":
            result = self.sum()
            if not self.take(")"):
                raise self.error("a ) is missing", self.tokens[self.next][2])
            return result
        raise self.error(
            "the formula ends too early" if kind == "end" else f"{text!r} is not expected", place
        )

    def number(self, text: str, place: int) -> Any:
        kind, after, where = self.tokens[self.next]
        if kind in {"name", "number"} and where == place + len(text):
            raise self.error(f"an operator is missing; write {text}*{after}", where)
        if len(text) > 400 or not float(text) < float("inf"):
            raise self.error("this number is too large", place)
        if float(text) == 0 and re.search("[1-9]", re.split("[eE]", text)[0]):
            raise self.error("this number is too small", place)
        return sp.Rational(text)

    def name(self, text: str, place: int) -> Any:
        called = self.tokens[self.next][1] == "("
        if text in self.names:
            if called:
                raise self.error(f"{text} is a variable, not a function; write {text}*(...)", place)
            return self.names[text]
        if text in FUNCTIONS:
            if not called:
                raise self.error(f"{text} needs an argument in parentheses", place)
            return self.call(text, place)
        if text in CONSTANTS and not called:
            return CONSTANTS[text]
        what = "function" if called else "name"
        known = list(FUNCTIONS) if called else [*self.names, *FUNCTIONS, *CONSTANTS]
        close = difflib.get_close_matches(text, known, 1)
        meant = f" (is {close[0]} meant?)" if close else ""
        shown = text if len(text) <= 40 else text[:40] + "..."
        raise self.error(
            f"{shown!r} is not a known {what}{meant}; the variables are {', '.join(self.names)}",
            place,
        )

    def call(self, text: str, place: int) -> Any:
        self.next += 1
        arguments = []
        if not self.take(")"):
            arguments.append(self.sum())
            while self.take(","):
                arguments.append(self.sum())
            if not self.take(")"):
                raise self.error("a ) is missing", self.tokens[self.next][2])
        make, least, most = FUNCTIONS[text]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            takes = str(least) if most == least else f"at least {least}"
            plural = "" if takes == "1" else "s"
            raise self.error(f"{text} takes {takes} argument{plural}, got {len(arguments)}", place)
        return self.checked(make(*arguments), place)

    def checked(self, result: Any, place: int) -> Any:
        """The result; a constant must be a real number, as sqrt(-1) and log(0) are not."""
        if result.free_symbols or result.is_Rational:
            return result
        if result.has(sp.I, sp.zoo, sp.oo, -sp.oo, sp.nan):
            raise self.error("this is not a real number", place)
        try:
            value_of_constant(result)
        except UndefinedError as error:
            raise self.error(str(error), place) from None
        return result
