"""The value of a formula at a point, rounded once: computed with many digits, then made a float64.

Every node of the formula is evaluated by itself, so that an error can name the part that has no
value: a logarithm of zero, a division by zero, the root of a negative number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import mpmath  # type: ignore[import-untyped]
import sympy as sp  # type: ignore[import-untyped]

DIGITS = (30, 60, 120, 240, 480, 960, 1920)
LARGEST_EXPONENT = 10**12  # above it e^u is no number here, below its negative it is 0


class UndefinedError(ArithmeticError):
    """A part of the formula has no real value."""


class TooLargeError(UndefinedError):
    """A part of the formula is too large for any number here."""


def short(expression: Any, most: int = 80) -> str:
    """The text of an expression, cut where it is long."""
    text = str(expression)
    return text if len(text) <= most else text[: most - 4] + " ..."


def value_of_constant(expression: Any) -> float:
    """The value of an expression without variables."""
    return evaluate(lambda at: [at(expression)], {})[0]


def evaluate(
    program: Callable[[Evaluator], Sequence[Any]], point: Mapping[Any, float]
) -> list[float]:
    """The numbers that `program` makes with an evaluator, each the nearest float64.

    The digits are doubled until they do not change the float64 values any more.
    """
    before: list[float] | None = None
    for digits in DIGITS:
        context = mpmath.MPContext()
        context.dps = digits
        now = [_to_float(v) for v in program(Evaluator(context, point))]
        if now == before:
            break
        before = now
    return now


def _to_float(value: Any) -> float:
    try:
        result = float(value)
    except OverflowError:
        result = float("inf")
    if abs(result) == float("inf"):
        raise TooLargeError("the result is above the largest float64")
    return result


class Evaluator:
    """Values of expressions at one point, in one precision; a repeated part is computed once."""

    def __init__(self, context: Any, point: Mapping[Any, float]) -> None:
        self.mp = context
        self.known: dict[Any, Any] = {symbol: context.mpf(v) for symbol, v in point.items()}

    def define(self, symbols: Iterable[Any], expressions: Iterable[Any]) -> None:
        """Give symbols the values of expressions: the next stage of a chain."""
        self.known.update(zip(symbols, [self(e) for e in expressions], strict=True))

    def __call__(self, node: Any) -> Any:
        if node in self.known:
            return self.known[node]
        result = self._value(node)
        if self.mp.isinf(result) or self.mp.isnan(result):
            raise TooLargeError(f"{short(node)} is too large")
        self.known[node] = result
        return result

    def _value(self, node: Any) -> Any:
        mp = self.mp
        if node.is_Rational:
            return mp.mpf(int(node.p)) / int(node.q)
        if node is sp.pi:
            return +mp.pi
        if node is sp.E:
            return +mp.e
        if node.is_Add:
            return mp.fsum(self(term) for term in node.args)
        if node.is_Mul:
            return self._product(node)
        if node.is_Pow:
            return self._power(node, self(node.base), self(node.exp))
        name = node.func.__name__
        if name not in _RULES:
            raise UndefinedError(f"{short(node)} has no real value")
        return self._function(node, name)

    def _product(self, node: Any) -> Any:
        result = self.mp.mpf(1)
        for factor in node.args:
            result *= self(factor)
        return result

    def _power(self, node: Any, base: Any, exponent: Any) -> Any:
        mp = self.mp
        if base == 0:
            if exponent < 0:
                raise UndefinedError(f"{short(node)} divides by zero")
            return mp.mpf(1 if exponent == 0 else 0)
        whole = mp.isint(exponent)
        if base < 0 and not whole:
            raise UndefinedError(f"{short(node)} is a root of a negative number")
        size = exponent * mp.log(abs(base))
        if abs(size) > LARGEST_EXPONENT:
            return self._exp(node, size)
        if whole:
            return mp.power(base, int(exponent))
        return mp.power(base, exponent)

    def _exp(self, node: Any, u: Any) -> Any:
        if u > LARGEST_EXPONENT:
            raise TooLargeError(f"{short(node)} is too large")
        return self.mp.mpf(0) if u < -LARGEST_EXPONENT else self.mp.exp(u)

    def _function(self, node: Any, name: str) -> Any:
        allowed, problem, rule = _RULES[name]
        arguments = [self(argument) for argument in node.args]
        if allowed is not None and not allowed(*arguments):
            raise UndefinedError(f"{short(node)} is {problem}")
        if name == "exp":
            return self._exp(node, arguments[0])
        if name in {"sinh", "cosh"} and abs(arguments[0]) > LARGEST_EXPONENT:
            raise TooLargeError(f"{short(node)} is too large")
        return rule(self.mp, *arguments)


# name of the SymPy class: (domain or None, what is wrong outside of it, rule)
_Rule = tuple[Callable[..., bool] | None, str, Callable[..., Any]]
_RULES: dict[str, _Rule] = {
    "sin": (None, "", lambda mp, u: mp.sin(u)),
    "cos": (None, "", lambda mp, u: mp.cos(u)),
    "tan": (None, "", lambda mp, u: mp.tan(u)),
    "asin": (lambda u: abs(u) <= 1, "asin outside of [-1, 1]", lambda mp, u: mp.asin(u)),
    "acos": (lambda u: abs(u) <= 1, "acos outside of [-1, 1]", lambda mp, u: mp.acos(u)),
    "atan": (None, "", lambda mp, u: mp.atan(u)),
    "sinh": (None, "", lambda mp, u: mp.sinh(u)),
    "cosh": (None, "", lambda mp, u: mp.cosh(u)),
    "tanh": (None, "", lambda mp, u: mp.tanh(u)),
    "asinh": (None, "", lambda mp, u: mp.asinh(u)),
    "acosh": (lambda u: u >= 1, "acosh of a number below 1", lambda mp, u: mp.acosh(u)),
    "atanh": (lambda u: abs(u) < 1, "atanh outside of (-1, 1)", lambda mp, u: mp.atanh(u)),
    "exp": (None, "", lambda mp, u: mp.exp(u)),
    "log": (lambda u: u > 0, "the logarithm of a number <= 0", lambda mp, u: mp.log(u)),
    "erf": (None, "", lambda mp, u: mp.erf(u)),
    "Abs": (None, "", lambda mp, u: abs(u)),
    "sign": (None, "", lambda mp, u: mp.sign(u)),
    "step": (None, "", lambda mp, u: mp.mpf(u > 0)),
    "max": (None, "", lambda mp, a, b: a if b <= a else b),
    "min": (None, "", lambda mp, a, b: a if b >= a else b),
}
