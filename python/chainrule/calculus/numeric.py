"""Derivatives of plain Python functions of NumPy arrays, exact to rounding: forward mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .dual import Dual, LostError, Run, as_dual

Array = npt.NDArray[np.float64]

MOST_TANGENTS = 2**22  # numbers of one Dual: inputs times seeds carried at a time


def gradient(fn: Callable[[Any], Any], x: Any) -> Any:
    """The derivatives of a function with one number as its result.

    The function is called with a `Dual`, which looks like an array like x and carries derivatives
    through arithmetic and the functions of NumPy. There is no step width: the result is exact to
    rounding. The work grows with the number of inputs, as this is forward mode.

    Parameters
    ----------
    fn : callable
        A function of one argument that uses NumPy functions (not `math`) and returns one number.
        It may be called several times when x is large.
    x : float or array_like
        The point, of any shape.

    Returns
    -------
    float64 or numpy.ndarray
        Derivatives in the shape of x.

    Raises
    ------
    TypeError
        fn uses something without a rule for derivatives, or something that would lose them, such
        as float(x) or assignment into a plain array.
    ValueError
        fn returns several numbers, x is not finite, or the value or a derivative at x is not a
        finite number; the message names the operation, as log at 0.

    Notes
    -----
    At a kink one derivative is chosen: |x| has 0 at 0, and maximum(0, x) has 0 there; maximum(a, b)
    of two that depend on x has that of a. A branch that `numpy.where` does not choose may be
    infinite without harm.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import calculus
    >>> calculus.gradient(lambda x: x[0] ** 2 + np.exp(x[1]), [1.5, 0.0])
    array([3., 1.])
    >>> float(calculus.gradient(np.exp, 0.0))
    1.0
    """
    point = _point(x)
    _callable(fn, "gradient")

    def one(result: Any, run: Run, n: int) -> Dual:
        number = _result(result, run, n)
        if number.shape != ():
            raise ValueError(
                f"fn must return one number, got an array of shape {number.shape}; "
                "use calculus.jacobian, or numpy.sum"
            )
        return number

    return _derivatives(fn, point, one, "gradient").reshape(point.shape)[()]


def jacobian(fn: Callable[[Any], Any], x: Any) -> Array:
    """The matrix of derivatives of a function with any number of results.

    Parameters
    ----------
    fn : callable
        As for `gradient`; it returns an array, a number, or a list of numbers.
    x : float or array_like
        The point, of any shape.

    Returns
    -------
    numpy.ndarray
        (k, n): one row for each of the k results, one column for each of the n inputs. Arrays with
        several axes are taken in C order.

    Raises
    ------
    TypeError, ValueError
        As for `gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import calculus
    >>> calculus.jacobian(lambda x: [2 * x[0] + x[1] ** 3, np.exp(x[1]) - 13 * x[0]], [1.5, 0.0])
    array([[  2.,   0.],
           [-13.,   1.]])
    """
    point = _point(x)
    _callable(fn, "jacobian")
    return _derivatives(fn, point, _all, "jacobian")


def _all(result: Any, run: Run, n: int) -> Dual:
    return _result(result, run, n).reshape(-1)


def _derivatives(
    fn: Callable[[Any], Any],
    point: Array,
    finish: Callable[[Any, Run, int], Dual],
    name: str,
) -> Array:
    """(results, inputs), a block of seeds at a time."""
    inputs = point.size
    block = max(1, min(inputs, MOST_TANGENTS // max(inputs, 1)))
    columns = []
    for start in range(0, max(inputs, 1), block):
        n = min(block, inputs - start)
        seeds = np.zeros((n, inputs))
        seeds[np.arange(n), start + np.arange(n)] = 1.0
        run = Run()
        x = Dual(point.copy(), seeds.reshape(n, *point.shape), run)
        result = finish(_call(fn, x), run, n)
        if not (np.isfinite(result.value).all() and np.isfinite(result.tangent).all()):
            why = f": see {run.trouble}" if run.trouble else ""
            raise ValueError(f"{name}: no finite value or derivative at this x{why}")
        columns.append(result.tangent.reshape(n, result.size).T)
    shapes = {column.shape[0] for column in columns}
    if len(shapes) > 1:
        raise ValueError("fn must return the same number of results at each call")
    return np.concatenate(columns, axis=1)


def _call(fn: Callable[[Any], Any], x: Dual) -> Any:
    try:
        return fn(x)
    except ValueError as error:
        # NumPy hides our error when a Dual is assigned to an element of a plain array.
        if isinstance(error.__cause__, LostError):
            raise TypeError(str(error.__cause__)) from error
        raise


def _point(x: Any) -> Array:
    if isinstance(x, Dual):
        raise TypeError(
            "a derivative inside of a derivative is not supported here; "
            "calculus.function(...).hessian() gives second derivatives"
        )
    array = np.asarray(x)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"x must be real numbers, got {type(x).__name__} ({array.dtype})")
    point = array.astype(np.float64)
    if not np.isfinite(point).all():
        raise ValueError("x must be finite; it has NaN or infinity")
    return point


def _callable(fn: Any, name: str) -> None:
    if isinstance(fn, str):
        raise TypeError(
            f"fn must be a Python function, got a str; calculus.function(...).{name}() "
            "differentiates formulas"
        )
    if not callable(fn):
        raise TypeError(f"fn must be a function, got {type(fn).__name__}")


def _result(result: Any, run: Run, n: int) -> Dual:
    """What fn returned, as a Dual; lists are stacked."""
    if isinstance(result, (list, tuple)):
        if not result:
            raise ValueError("fn returned an empty list; it must return numbers")
        parts = [_result(part, run, n) for part in result]
        if len({part.shape for part in parts}) > 1:
            shapes = sorted({str(part.shape) for part in parts})
            raise ValueError(f"fn returned a list of different shapes: {', '.join(shapes)}")
        return Dual(
            np.stack([p.value for p in parts]), np.stack([p.tangent for p in parts], axis=1), run
        )
    if result is None:
        raise TypeError("fn returned None; it must return numbers (is a return missing?)")
    if not isinstance(result, Dual):
        kind = np.asarray(result).dtype.kind
        if kind in "biu" and type(result) is not int:
            raise TypeError(
                f"fn returned {type(result).__name__}: truth values and whole numbers carry no "
                "derivative"
            )
    return as_dual(result, run, n)
