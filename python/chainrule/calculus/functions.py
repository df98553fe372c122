"""`Function`: formulas of several variables, their derivatives in symbols and at a point."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp  # type: ignore[import-untyped]

from .dual import Dual
from .evaluation import Evaluator, TooLargeError, UndefinedError, evaluate, short
from .parser import read_expressions, read_variables
from .printing import (
    aligned,
    derivative_lines,
    latex,
    latex_column,
    latex_matrix,
    latex_tuple,
    legend,
    tuple_text,
)
from .vocabulary import derivative, public

MOST_FACTORS = 64  # of one product that is differentiated
MOST_FACTORS_TWICE = 24  # and of one that is differentiated twice

Array = npt.NDArray[np.float64]


def function_of(expressions: str | Iterable[str], variables: str | Iterable[str]) -> Function:
    """What `calculus.function` returns."""
    symbols = read_variables(variables)
    formulas = read_expressions(expressions, symbols)
    return Function(formulas, symbols, scalar=isinstance(expressions, str))


class Function:
    """A function from n real numbers to k, given by formulas; made by `calculus.function`.

    Attributes
    ----------
    variables : tuple of sympy.Symbol
        The n variables in order.
    expressions : tuple of sympy.Expr
        The k components.
    names : tuple of str
        What the components are called where they are printed: f, or f1, f2, ...

    Notes
    -----
    The variables are real. At a kink one derivative is chosen: max(0, z) has 0 at z = 0, |z| has 0
    there, and max(a, b) at a tie has the derivative of the constant, or else of the first.

    Numbers at a point are computed with many digits and rounded once to float64. Where a value or a
    derivative does not exist, such as 1/x at 0, a ValueError names the part and the point.
    """

    def __init__(
        self,
        formulas: Sequence[Any],
        variables: Sequence[Any],
        scalar: bool = False,
        names: Sequence[str] | None = None,
    ) -> None:
        self.variables = tuple(variables)
        # Formulas keep max and |z| as functions; `expressions` shows SymPy's form of them.
        self.formulas = tuple(formulas)
        self.scalar = scalar
        letter = free_letter("fFqQ", self.variables)
        k = len(self.formulas)
        self.names = tuple(
            names or ([letter] if scalar else [f"{letter}{i + 1}" for i in range(k)])
        )
        self._derivatives: Any = None

    @property
    def expressions(self) -> tuple[Any, ...]:
        return tuple(public(formula) for formula in self.formulas)

    def __call__(self, *values: Any) -> Any:
        """The value at a point: a float64 for a single formula, else an array (k,).

        Raises
        ------
        TypeError, ValueError
            The point is not n finite numbers, or a formula has no value there.
        OverflowError
            The value is above the largest float64.
        """
        single = len(values) == 1 and not isinstance(values[0], Real)
        point = self.point(values[0] if single else values)
        result = self.numbers(lambda at: [at(f) for f in self.formulas], point)
        return np.float64(result[0]) if self.scalar else np.array(result)

    def gradient(self, at: Any = None) -> Any:
        """The partial derivatives of a single formula.

        Parameters
        ----------
        at : sequence of n numbers, optional
            The point; a plain number will do when n is 1.

        Returns
        -------
        sympy.Matrix or numpy.ndarray
            In symbols a column of n entries; at a point an array (n,), float64.

        Raises
        ------
        TypeError, ValueError
            There are several formulas, or a derivative does not exist at the point.
        """
        self._one("gradient")
        if at is None:
            return self.jacobian().T
        return self.jacobian(at)[0]

    def jacobian(self, at: Any = None) -> Any:
        """The matrix of partial derivatives: rows are functions, columns are variables.

        Parameters
        ----------
        at : sequence of n numbers, optional
            The point; a plain number will do when n is 1.

        Returns
        -------
        sympy.Matrix or numpy.ndarray
            (k, n), in symbols or float64.

        Raises
        ------
        TypeError, ValueError
            A derivative does not exist at the point.
        OverflowError
            A derivative is above the largest float64.
        """
        matrix = self.derivatives()
        if at is None:
            return sp.Matrix(matrix.applyfunc(public))
        labels = [f"d{name}/d{v}" for name in self.names for v in self.variables]
        return self._matrix_at(matrix, labels, at)

    def hessian(self, at: Any = None) -> Any:
        """The matrix of second derivatives of a single formula.

        Parameters
        ----------
        at : sequence of n numbers, optional
            The point; a plain number will do when n is 1.

        Returns
        -------
        sympy.Matrix or numpy.ndarray
            (n, n), in symbols or float64.

        Raises
        ------
        TypeError, ValueError
            There are several formulas, or a derivative does not exist at the point.
        """
        self._one("hessian")
        self._refuse_long_products(MOST_FACTORS_TWICE, "a second derivative")
        first = self.derivatives()
        n = len(self.variables)
        matrix = sp.zeros(n, n)
        for i, v in enumerate(self.variables):
            for j in range(i + 1):
                matrix[i, j] = matrix[j, i] = derivative(first[0, j], v)
        if at is None:
            return sp.Matrix(matrix.applyfunc(public))
        f = self.names[0]
        labels = [f"d^2{f}/d{u} d{v}" for u in self.variables for v in self.variables]
        return self._matrix_at(matrix, labels, at)

    def latex(self, part: str = "all") -> str:
        """LaTeX of the function and its Jacobian, or of one part.

        Parameters
        ----------
        part : {"all", "function", "gradient", "jacobian", "hessian"}
            "all" is an aligned block of equations, each other the bare expression or matrix.

        Raises
        ------
        TypeError, ValueError
            `part` is none of these, or asks for a gradient or Hessian of several formulas.
        """
        parts: dict[str, Callable[[], str]] = {
            "all": self._latex_all,
            "function": lambda: latex_column(self.formulas),
            "gradient": lambda: latex_column(list(self.gradient())),
            "jacobian": lambda: latex_matrix(self.jacobian()),
            "hessian": lambda: latex_matrix(self.hessian()),
        }
        if not isinstance(part, str) or part not in parts:
            raise ValueError(f"part must be one of {', '.join(parts)}; got {part!r:.60}")
        return parts[part]()

    def __repr__(self) -> str:
        formulas: Any = [short(f, 60) for f in self.formulas[:6]]
        if len(self.formulas) > 6:
            formulas.append("...")
        names = " ".join(str(v) for v in self.variables)
        return f"function({formulas[0] if self.scalar else formulas!r}, variables={short(names)!r})"

    def __str__(self) -> str:
        arguments = ", ".join(str(v) for v in self.variables)
        lines = [
            f"{name}({short(arguments, 60)}) = {short(formula, 400)}"
            for name, formula in zip(self.names[:50], self.formulas[:50], strict=True)
        ]
        if len(self.formulas) > 50:
            lines.append("...")
        label = f"d{tuple_text(self.names)}/d{tuple_text(self.variables)}"
        matrix = self.derivatives()
        lines += derivative_lines(label, matrix, self.names, self.variables, indent=0)
        return "\n".join([*lines, *legend([*self.formulas, *matrix])])

    def _latex_all(self) -> str:
        x = latex_tuple(self.variables)
        f = latex(sp.Symbol(free_letter("fFqQ", self.variables)))
        names = [latex(sp.Symbol(name)) for name in self.names]
        arguments = ", ".join(latex(v) for v in self.variables)
        lines = [
            rf"{name}({arguments}) &= {latex(formula)}"
            for name, formula in zip(names, self.formulas, strict=True)
        ]
        matrix = latex_matrix(self.derivatives())
        return aligned([*lines, rf"\frac{{\partial {f}}}{{\partial {x}}} &= {matrix}"])

    def derivatives(self) -> Any:
        """The Jacobian in which max and |z| are still functions of their own."""
        if self._derivatives is None:
            self._refuse_long_products(MOST_FACTORS, "a derivative")
            self._derivatives = sp.ImmutableMatrix(
                [[derivative(f, v) for v in self.variables] for f in self.formulas]
            )
        return self._derivatives

    def _one(self, what: str) -> None:
        if len(self.formulas) != 1:
            raise ValueError(
                f"the {what} belongs to a single formula; this function has "
                f"{len(self.formulas)} components: use jacobian()"
            )

    def _refuse_long_products(self, most: int, what: str) -> None:
        """Each factor of a product is a term of its derivative: SymPy would take minutes."""
        for formula in self.formulas:
            factors = max((len(product.args) for product in formula.atoms(sp.Mul)), default=0)
            if factors > most:
                raise ValueError(
                    f"expressions: a product of {factors} factors; for {what} at most {most}. "
                    "calculus.gradient and calculus.jacobian take functions of any length"
                )

    def _matrix_at(self, matrix: Any, labels: Sequence[str], at: Any) -> Array:
        point = self.point(at)
        # Where the function has no value it has no derivative: the formula of log' has one at -1.
        self.numbers(lambda at_point: [at_point(f) for f in self.formulas], point)
        return self.matrix_numbers(lambda at_point: matrix, matrix, labels, point)

    def matrix_numbers(
        self,
        program: Callable[[Evaluator], Any],
        matrix: Any,
        labels: Sequence[str],
        point: Mapping[Any, float],
    ) -> Array:
        """The float64 values of a matrix at a point, after `program` prepared the evaluator."""

        def entry(at: Evaluator, label: str, derivative: Any) -> Any:
            try:
                return at(derivative)
            except UndefinedError as error:
                raise type(error)(f"{label} = {short(derivative)}: {error}") from None

        def entries(at: Evaluator) -> list[Any]:
            program(at)
            return [entry(at, *pair) for pair in zip(labels, matrix, strict=True)]

        numbers = self.numbers(entries, point, in_entry=True)
        values: Array = np.array(numbers, np.float64).reshape(matrix.shape)
        return values

    def numbers(
        self,
        program: Callable[[Evaluator], Sequence[Any]],
        point: Mapping[Any, float],
        in_entry: bool = False,
    ) -> list[float]:
        """`evaluate`, with errors that name the function and the point."""
        try:
            return evaluate(program, point)
        except UndefinedError as error:
            place = ", ".join(f"{v} = {value!r}" for v, value in point.items())
            name = "" if in_entry else f"{tuple_text(self.names)}: "
            text = f"{name}{error}, at {short(place, 200)}"
            kind = OverflowError if isinstance(error, TooLargeError) else ValueError
            raise kind(f"no value at this point: {text}") from None

    def point(self, at: Any) -> dict[Any, float]:
        """The variables with the numbers given for them, checked."""
        names = ", ".join(str(v) for v in self.variables)
        n = len(self.variables)
        wanted = f"the point must be {n} number{'s' * (n > 1)} for {short(names)}"
        if isinstance(at, Mapping):
            at = {str(key): value for key, value in at.items()}
            if set(at) != {str(v) for v in self.variables}:
                raise ValueError(f"{wanted}; got values for {short(', '.join(at))}")
            at = [at[str(v)] for v in self.variables]
        elif isinstance(at, (Real, Dual)):
            at = [at]
        try:
            values = list(at)
        except TypeError:
            raise TypeError(f"{wanted}; got {type(at).__name__}") from None
        if len(values) != n:
            raise ValueError(f"{wanted}; got {len(values)}")
        return {v: _number(value, str(v)) for v, value in zip(self.variables, values, strict=True)}


def _number(value: Any, name: str) -> float:
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    if not isinstance(value, Real) or isinstance(value, bool):
        hint = "; calculus.gradient and calculus.jacobian differentiate Python functions"
        raise TypeError(
            f"{name} must be a number, got {type(value).__name__}"
            f"{hint if isinstance(value, Dual) else ''}"
        )
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError(f"{name} must be a finite float64, got {result!r}")
    return result


def free_letter(letters: str, symbols: Iterable[Any]) -> str:
    """The first letter that, alone or with a number behind it, is not among the symbols."""
    taken = {str(s).rstrip("0123456789") for s in symbols}
    for letter in letters:
        if letter not in taken:
            return letter
    return next(letters[0] * i + "_" for i in range(2, 1000) if letters[0] * i + "_" not in taken)
