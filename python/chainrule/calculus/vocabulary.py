"""What a formula may contain: the names of functions and constants, and what SymPy makes of them.

abs, sign, step, max and min are functions of our own. SymPy thinks of complex numbers and of both
sides of a kink; the lecture thinks of real numbers and gives a kink one derivative: d max(0, z)/dz
is 0 at z = 0. `public` turns them into SymPy's own before anything leaves this package.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import sympy as sp  # type: ignore[import-untyped]


class max(sp.Function):  # type: ignore[misc]  # the name is what gets printed
    """The larger of a and b. At a tie it is a: there the derivative by a is 1, by b 0."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> Any:
        a, b = self.args
        return step(b - a) if argindex == 2 else 1 - step(b - a)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return _latex_call(r"\max", self.args, printer, exp)


class min(sp.Function):  # type: ignore[misc]
    """The smaller of a and b. At a tie it is a."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> Any:
        a, b = self.args
        return step(a - b) if argindex == 2 else 1 - step(a - b)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return _latex_call(r"\min", self.args, printer, exp)


class Abs(sp.Function):  # type: ignore[misc]
    """The absolute value of a real number; its derivative at 0 is 0."""

    nargs = 1

    @classmethod
    def eval(cls, u: Any) -> Any:
        return sp.Abs(u) if u.is_Rational else None

    def fdiff(self, argindex: int = 1) -> Any:
        return sign(self.args[0])

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        bars = rf"\left|{{{printer._print(self.args[0])}}}\right|"
        return bars if exp is None else f"{bars}^{{{exp}}}"


class sign(sp.Function):  # type: ignore[misc]
    """-1, 0 or 1; its derivative is 0."""

    nargs = 1

    @classmethod
    def eval(cls, u: Any) -> Any:
        return sp.sign(u) if u.is_Rational else None

    def fdiff(self, argindex: int = 1) -> Any:
        return sp.Integer(0)


class step(sp.Function):  # type: ignore[misc]
    """0 up to and at 0, 1 above; its derivative is 0."""

    nargs = 1

    @classmethod
    def eval(cls, u: Any) -> Any:
        return sp.Integer(1 if u > 0 else 0) if u.is_Rational else None

    def fdiff(self, argindex: int = 1) -> Any:
        return sp.Integer(0)


def _latex_call(name: str, args: Any, printer: Any, exp: str | None) -> str:
    inside = ", ".join(printer._print(argument) for argument in args)
    return rf"{name if exp is None else f'{name}^{{{exp}}}'}\left({inside}\right)"


def maximum(*terms: Any) -> Any:
    return _fold(max, terms)


def minimum(*terms: Any) -> Any:
    return _fold(min, terms)


def _fold(kind: Any, terms: tuple[Any, ...]) -> Any:
    # Constants first: at a tie with one the derivative is 0, as for relu.
    result, *rest = sorted(terms, key=lambda term: bool(term.free_symbols))
    for term in rest:
        if result.is_Rational and term.is_Rational:
            result = (sp.Max if kind is max else sp.Min)(result, term)
        elif result != term:
            result = kind(result, term)
    return result


def sigmoid(z: Any) -> Any:
    return 1 / (1 + sp.exp(-z))


def relu(z: Any) -> Any:
    return maximum(sp.Integer(0), z)


def leaky_relu(z: Any) -> Any:
    return maximum(z / 100, z)  # at the tie z = 0 the first, so the derivative is 1/100


def softplus(z: Any) -> Any:
    return sp.log(1 + sp.exp(z))


def gelu(z: Any) -> Any:
    return z * (1 + sp.erf(z / sp.sqrt(2))) / 2


def silu(z: Any) -> Any:
    return z / (1 + sp.exp(-z))


# name: (what makes it, least and most arguments)
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int | None]] = {
    "sin": (sp.sin, 1, 1),
    "cos": (sp.cos, 1, 1),
    "tan": (sp.tan, 1, 1),
    "asin": (sp.asin, 1, 1),
    "acos": (sp.acos, 1, 1),
    "atan": (sp.atan, 1, 1),
    "arcsin": (sp.asin, 1, 1),
    "arccos": (sp.acos, 1, 1),
    "arctan": (sp.atan, 1, 1),
    "sinh": (sp.sinh, 1, 1),
    "cosh": (sp.cosh, 1, 1),
    "tanh": (sp.tanh, 1, 1),
    "asinh": (sp.asinh, 1, 1),
    "acosh": (sp.acosh, 1, 1),
    "atanh": (sp.atanh, 1, 1),
    "exp": (sp.exp, 1, 1),
    "ln": (sp.log, 1, 1),
    "log": (sp.log, 1, 1),
    "log2": (lambda u: sp.log(u) / sp.log(2), 1, 1),
    "log10": (lambda u: sp.log(u) / sp.log(10), 1, 1),
    "sqrt": (sp.sqrt, 1, 1),
    "abs": (Abs, 1, 1),
    "sign": (sign, 1, 1),
    "erf": (sp.erf, 1, 1),
    "max": (maximum, 2, None),
    "min": (minimum, 2, None),
    "step": (step, 1, 1),
    "relu": (relu, 1, 1),
    "leaky_relu": (leaky_relu, 1, 1),
    "sigmoid": (sigmoid, 1, 1),
    "softplus": (softplus, 1, 1),
    "silu": (silu, 1, 1),
    "gelu": (gelu, 1, 1),
}

CONSTANTS = {"e": sp.E, "pi": sp.pi}


def derivative(expression: Any, symbol: Any) -> Any:
    """d expression / d symbol, where all variables are real."""
    result = sp.diff(expression, symbol)
    # x^y y/x, as SymPy leaves it, has no value at x = 0, where x^(y-1) y has one.
    if any(power.exp.free_symbols for power in result.atoms(sp.Pow)):
        result = sp.powsimp(result, combine="exp", deep=False)
    return result


@functools.lru_cache(maxsize=4096)
def public(expression: Any, in_condition: bool = False) -> Any:
    """The same with SymPy's own functions: max, min and step become Piecewise.

    Inside of a condition they become Max, Min and Heaviside: SymPy would resolve a condition on
    another Piecewise into all of its cases, 2^depth of them.
    """
    if expression.is_Atom:
        return expression
    parts = [public(part, in_condition) for part in expression.args]
    kind = expression.func
    if kind is Abs:
        return _public_abs(*parts)
    if kind is sign:
        return sp.sign(*parts)
    if kind not in (max, min, step):
        return expression if parts == list(expression.args) else kind(*parts)
    if in_condition:
        if kind is step:
            return sp.Heaviside(parts[0], 0)
        return (sp.Max if kind is max else sp.Min)(*parts)
    sides = [public(part, True) for part in expression.args]
    if kind is step:
        return sp.Piecewise((0, sp.Le(sides[0], 0)), (1, True))
    first, second = parts
    relation = sp.Le if kind is max else sp.Ge
    return sp.Piecewise((first, relation(sides[1], sides[0])), (second, True))


def _public_abs(u: Any) -> Any:
    # For |e^x| SymPy, which takes x to be complex, writes exp(re(x)): keep ours there.
    result = sp.Abs(u)
    return Abs(u) if result.has(sp.re, sp.im, sp.arg) else result
