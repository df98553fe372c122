"""The rules of differentiation: one row for each elementwise function of NumPy.

A row of UNARY gives f'(x) from x and y = f(x), a row of BINARY both partial derivatives from a, b
and y. Kinks have one derivative: |x| has 0 at x = 0; maximum and minimum at a tie have the
derivative of the constant, or else of the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .dual import Dual, as_dual, common, lifted, plain

Array = npt.NDArray[Any]

UNARY: dict[str, Callable[[Array, Array], Any]] = {
    "positive": lambda x, y: 1.0,
    "negative": lambda x, y: -1.0,
    "conjugate": lambda x, y: 1.0,
    "absolute": lambda x, y: np.sign(x),
    "fabs": lambda x, y: np.sign(x),
    "square": lambda x, y: 2 * x,
    "reciprocal": lambda x, y: -y * y,
    "sqrt": lambda x, y: 0.5 / y,
    "cbrt": lambda x, y: 1 / (3 * y * y),
    "exp": lambda x, y: y,
    "exp2": lambda x, y: math.log(2) * y,
    "expm1": lambda x, y: np.exp(x),
    "log": lambda x, y: 1 / x,
    "log2": lambda x, y: 1 / (x * math.log(2)),
    "log10": lambda x, y: 1 / (x * math.log(10)),
    "log1p": lambda x, y: 1 / (1 + x),
    "sin": lambda x, y: np.cos(x),
    "cos": lambda x, y: -np.sin(x),
    "tan": lambda x, y: 1 / np.square(np.cos(x)),
    "arcsin": lambda x, y: 1 / np.sqrt((1 - x) * (1 + x)),
    "arccos": lambda x, y: -1 / np.sqrt((1 - x) * (1 + x)),
    "arctan": lambda x, y: 1 / (1 + x * x),
    "sinh": lambda x, y: np.cosh(x),
    "cosh": lambda x, y: np.sinh(x),
    "tanh": lambda x, y: 1 / np.square(np.cosh(x)),
    "arcsinh": lambda x, y: 1 / np.hypot(1, x),
    "arccosh": lambda x, y: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),
    "arctanh": lambda x, y: 1 / ((1 - x) * (1 + x)),
    "deg2rad": lambda x, y: math.pi / 180,
    "radians": lambda x, y: math.pi / 180,
    "rad2deg": lambda x, y: 180 / math.pi,
    "degrees": lambda x, y: 180 / math.pi,
    "sign": lambda x, y: 0.0,
    # from scipy.special
    "erf": lambda x, y: 2 / math.sqrt(math.pi) * np.exp(-x * x),
    "erfc": lambda x, y: -2 / math.sqrt(math.pi) * np.exp(-x * x),
    "expit": lambda x, y: _sigmoid(x) * _sigmoid(-x),
}
FROM_SCIPY = {"erf", "erfc", "expit"}


def _sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


def _power(a: Array, b: Array, y: Array) -> tuple[Array, Array]:
    by_a = np.where(b == 0, 0.0, b * np.power(a, b - 1))
    # 0^b stays 0 as b > 0 changes, though log(0) is no number.
    by_b = np.where((a == 0) & (b > 0), 0.0, y * np.log(a))
    return by_a, by_b


BINARY: dict[str, Callable[[Array, Array, Array], tuple[Any, Any]]] = {
    "add": lambda a, b, y: (1.0, 1.0),
    "subtract": lambda a, b, y: (1.0, -1.0),
    "multiply": lambda a, b, y: (b, a),
    "divide": lambda a, b, y: (1 / b, -y / b),
    "power": _power,
    "float_power": _power,
    "hypot": lambda a, b, y: (a / y, b / y),
    "arctan2": lambda a, b, y: (b / np.hypot(a, b) ** 2, -a / np.hypot(a, b) ** 2),
    "logaddexp": lambda a, b, y: (np.exp(a - y), np.exp(b - y)),
}
FIRST_WINS: dict[str, Callable[[Array, Array], Any]] = {
    "maximum": np.greater_equal,
    "fmax": np.greater_equal,
    "minimum": np.less_equal,
    "fmin": np.less_equal,
}
BY_VALUE = {
    *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"),
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
    *("isfinite", "isnan", "isinf", "signbit"),
}


def apply_ufunc(ufunc: np.ufunc, method: str, inputs: Any, kwargs: dict[str, Any]) -> Any:
    """What `Dual.__array_ufunc__` returns."""
    name = ufunc.__name__
    if method == "reduce" and name in _REDUCTIONS:
        from .dual_functions import FUNCTIONS  # noqa: PLC0415  # it stands on this module

        kwargs = {k: v for k, v in kwargs.items() if v is not None or k == "axis"}
        return FUNCTIONS[_REDUCTIONS[name]](*inputs, **{"axis": 0, **kwargs})
    if method == "accumulate" and name in {"add", "multiply"}:
        from .dual_functions import FUNCTIONS  # noqa: PLC0415  # it stands on this module

        function = np.cumsum if name == "add" else np.cumprod
        return FUNCTIONS[function](*inputs, **{"axis": 0, **kwargs})
    if method != "__call__":
        raise TypeError(f"numpy.{name}.{method} has no rule for derivatives here")
    out = kwargs.pop("out", None)
    if kwargs.get("dtype") is not None and np.dtype(kwargs["dtype"]) != np.float64:
        raise TypeError(f"numpy.{name}: dtype={kwargs['dtype']} would lose the derivative")
    extra = {k for k, v in kwargs.items() if k not in {"dtype", "casting"} or v is None}
    if extra:
        raise TypeError(f"numpy.{name}: {', '.join(sorted(extra))}= has no rule for derivatives")
    if name in BY_VALUE:
        if out is not None:
            raise TypeError(f"numpy.{name}: out= has no rule beside a Dual")
        return ufunc(*(i.value if isinstance(i, Dual) else i for i in inputs))
    if out is not None and not isinstance(out[0], Dual):
        raise TypeError(
            f"numpy.{name} would write into a plain array, which cannot hold a derivative; "
            "write a = a + x instead of a += x, or start from numpy.zeros_like(x)"
        )
    if not any(isinstance(i, Dual) for i in inputs):
        assert out is not None
        out[0][...] = ufunc(*inputs)
        return out[0]
    result = _call(ufunc, name, inputs)
    if out is None:
        return result
    if np.broadcast_shapes(result.shape, out[0].shape) != out[0].shape:
        raise ValueError(f"numpy.{name}: a result {result.shape} does not fit into {out[0].shape}")
    out[0][...] = result
    return out[0]


_REDUCTIONS: dict[str, Any] = {
    "add": np.sum,
    "multiply": np.prod,
    "maximum": np.max,
    "minimum": np.min,
}


def _call(ufunc: np.ufunc, name: str, inputs: Any) -> Dual:
    if name in {"matmul", "vecdot"}:
        from .dual_products import matmul, vecdot  # noqa: PLC0415  # it stands on this module

        return (matmul if name == "matmul" else vecdot)(*inputs)
    known = name in UNARY or name in BINARY or name in FIRST_WINS
    if not known or (getattr(np, name, None) is not ufunc and name not in FROM_SCIPY):
        raise TypeError(
            f"{name} has no rule for derivatives; known are "
            f"{', '.join(sorted({*UNARY, *BINARY, *FIRST_WINS}))}"
        )
    run, n = common(inputs)
    values = [as_dual(i, run, n).value if isinstance(i, Dual) else plain(i) for i in inputs]
    with np.errstate(all="ignore"):
        y = np.asarray(ufunc(*values))
        factors = _factors(name, inputs, values, y)
        tangent = np.zeros((n, *y.shape))
        for operand, factor in zip(inputs, factors, strict=True):
            if isinstance(operand, Dual):
                tangent += lifted(operand.tangent, y.ndim) * factor
    result = Dual(y, tangent, run)
    _remember_trouble(name, inputs, values, result)
    return result


def _factors(name: str, inputs: Any, values: list[Array], y: Array) -> tuple[Any, ...]:
    if name in UNARY:
        return (UNARY[name](values[0], y),)
    if name in FIRST_WINS:
        a, b = values
        first = FIRST_WINS[name](a, b)
        if not isinstance(inputs[1], Dual):  # the constant is the second
            first = ~FIRST_WINS[name](b, a)
        bad = np.isnan(a) | np.isnan(b)
        return np.where(bad, np.nan, first), np.where(bad, np.nan, ~first)
    if name in {"power", "float_power"} and not isinstance(inputs[1], Dual):
        return _power(values[0], values[1], y)[0], None
    return BINARY[name](values[0], values[1], y)


def _remember_trouble(name: str, inputs: Any, values: list[Array], result: Dual) -> None:
    """Note the first place where a value or a derivative stops being a finite number."""
    if result.run.trouble is not None:
        return
    bad = ~(np.isfinite(result.value) & np.isfinite(result.tangent).all(axis=0))
    for operand, value in zip(inputs, values, strict=True):
        if isinstance(operand, Dual):
            bad &= np.isfinite(value) & np.isfinite(lifted(operand.tangent, bad.ndim)).all(axis=0)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        at = [float(np.broadcast_to(v, bad.shape)[place]) for v in values]
        where = f", element {place}" if place else ""
        result.run.trouble = f"{name}({', '.join(map(repr, at))}){where}"
