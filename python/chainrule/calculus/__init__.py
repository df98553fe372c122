"""Gradients, Jacobians and the chain rule: symbols as on the blackboard, or numbers.

>>> from chainrule import calculus
>>> f = calculus.function(["2*x + y**3", "exp(y) - 13*x"], variables="x y")
>>> f.jacobian()
Matrix([
[  2, 3*y**2],
[-13, exp(y)]])

`function` and `chain` work on formulas. They need SymPy, which comes with the extra `symbolic` and
is imported at their first call. `gradient` and `jacobian` differentiate ordinary Python functions
of NumPy arrays and need NumPy only. Nothing here imports another part of the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from .dual import Dual
from .numeric import gradient, jacobian

if TYPE_CHECKING:
    from .chains import Chain
    from .functions import Function

__all__ = ["Dual", "chain", "function", "gradient", "jacobian"]


def function(expressions: str | Iterable[str], variables: str | Iterable[str]) -> Function:
    """A function given by formulas: its gradient, Jacobian and Hessian, in symbols or at a point.

    Parameters
    ----------
    expressions : str or list of str
        One formula, or one per component. Allowed are numbers, the variables, the constants e and
        pi, + - * / ^ (or **), parentheses, and the functions sin, cos, tan, asin, acos, atan, sinh,
        cosh, tanh, asinh, acosh, atanh, exp, ln (or log), log2, log10, sqrt, abs, sign, max, min,
        step, erf, relu, leaky_relu, sigmoid, softplus, silu, gelu. Nothing else: the text is read
        by a parser of its own and never runs as code.
    variables : str or list of str
        The names of the variables in order: "x y", "x, y" or ["x", "y"].

    Returns
    -------
    Function

    Raises
    ------
    TypeError, ValueError
        A formula that cannot be read; the message shows the place in it.
    ImportError
        SymPy is not installed.

    Examples
    --------
    >>> f = function("x^2 + cos(y)", variables="x y")
    >>> list(f.gradient())
    [2*x, -sin(y)]
    >>> f.gradient(at=(1.5, 0.0))
    array([3., 0.])
    >>> float(f(1.5, 0.0))
    3.25
    """
    _need_sympy("function")
    from .functions import function_of  # noqa: PLC0415  # SymPy comes with it

    return function_of(expressions, variables)


def chain(
    expressions: str | Iterable[str],
    variables: str | Iterable[str],
    stages: Iterable[Mapping[str, str] | Iterable[str]] | None = None,
) -> Chain:
    """The chain rule step by step: intermediate functions, Jacobians, product, substitution.

    Parameters
    ----------
    expressions : str or list of str
        The formulas, written as for `function`.
    variables : str or list of str
        The names of the variables in order.
    stages : list, optional
        Your own intermediate functions, the innermost stage first. A stage is a dict from names to
        formulas, or a list of "name = formula". Each stage uses the names of the one before it
        (the first uses the variables), and `expressions` use those of the last. Without `stages`
        the intermediate functions are found.

    Returns
    -------
    Chain

    Raises
    ------
    TypeError, ValueError
        A formula cannot be read, or uses a name that its stage does not get.
    ImportError
        SymPy is not installed.

    Notes
    -----
    A function without an intermediate function gets a placeholder: g_k = f_k, with the outer
    derivative 1. A variable that stands beside an intermediate function becomes an intermediate
    itself, g_k = x, with a row of the identity as its inner derivative.

    Examples
    --------
    >>> c = chain(["sin(x^2 + y)", "ln(y^3)"], variables="x y")
    >>> c.intermediates
    {g1: x**2 + y, g2: y**3}
    >>> c.outer
    Matrix([
    [cos(g1),    0],
    [      0, 1/g2]])
    >>> c.inner
    Matrix([
    [2*x,      1],
    [  0, 3*y**2]])
    >>> c.jacobian()
    Matrix([
    [2*x*cos(x**2 + y), cos(x**2 + y)],
    [                0,           3/y]])
    """
    _need_sympy("chain")
    from .chains import chain_of  # noqa: PLC0415  # SymPy comes with it

    return chain_of(expressions, variables, stages)


def _need_sympy(name: str) -> None:
    try:
        import sympy  # type: ignore[import-untyped]  # noqa: F401, PLC0415
    except ImportError as error:
        raise ImportError(
            f"calculus.{name} needs SymPy, which is not installed; "
            'pip install "chainrule[symbolic]" brings it'
        ) from error
