"""The check of any function of its parameters: fn(theta) -> (cost, gradient)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_ndarray
from ..errors import shown, whole_number
from .foreign import SAME, Foreign, check_foreign
from .parameters import Parameters
from .report import GradientCheck, count

Array = NDArray[Any]
Leaves = list[tuple[str, Any]]


def check_function(
    fn: Callable[[Any], Any],
    theta: Any,
    *,
    max_parameters: int,
    seed: int,
    subject: str = "",
    source: str = "",
) -> GradientCheck:
    """See `gradcheck`; `subject` and `source` are as in `Foreign`, where they are not about fn."""
    max_parameters = whole_number(max_parameters, "max_parameters", least=1)
    seed = whole_number(seed, "seed", least=0)
    start = time.perf_counter()
    name = getattr(fn, "__name__", type(fn).__name__)
    name = "fn" if name == "<lambda>" else name
    shape = theta if _has_arrays(theta) else np.asarray(as_ndarray(theta, "theta"))
    arrays = [(path, _parameter(leaf, path)) for path, leaf in _leaves(shape, "theta")]
    parameters = Parameters((path, array, None, "") for path, array in arrays)
    if not parameters.size:
        raise ValueError("theta holds no number; there is nothing to check")

    def call(where: str = "theta") -> tuple[Any, Any, bool]:
        copies = [array.copy() for _, array in arrays]
        given = [copy.copy() for copy in copies]
        try:
            answer = fn(_filled(shape, iter(given)))
        except Exception as error:
            raise RuntimeError(
                f"{name}({where}) raised {type(error).__name__}: {error}{_hint(error)}"
            ) from error
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise TypeError(f"{name}(theta) must return (cost, gradient), got {_described(answer)}")
        spoilt = any(
            not np.array_equal(a, b, equal_nan=True) for a, b in zip(copies, given, strict=True)
        )
        return *answer, spoilt

    def cost() -> float:
        return _cost(call("theta +- h")[0], name)

    C, gradient, spoilt = call()
    C = _cost(C, name, gradient)
    if not np.isfinite(C):
        raise ValueError(f"{name}(theta) must return a finite cost, got {C}")
    got = _row(gradient, shape, parameters, name)
    again, gradient, _ = call()
    again = _cost(again, name)
    same = abs(again - C) <= SAME * abs(C)
    if not (same and _near(got, _row(gradient, shape, parameters, name))):
        what = "the cost" if not same else "the gradient"
        values = f": {C!r} and {again!r}" if not same else ""
        raise ValueError(
            f"{name} is not deterministic: two calls with the same theta differ in {what}{values}."
            " Fix its random numbers (a mini-batch, dropout), and let it keep nothing from the"
            " call before"
        )
    notes = []
    if spoilt:
        notes.append(f"{name} writes into the theta that it is given; here it was given copies.")
    return check_foreign(
        Foreign(
            subject or f"{name}(theta) with {count(parameters.size, 'parameter')}",
            source or name,
            parameters,
            cost,
            got,
            notes=notes,
        ),
        max_parameters=max_parameters,
        seed=seed,
        start=start,
    )


def _near(first: Array, second: Array) -> bool:
    finite = np.abs(first[np.isfinite(first)]).max(initial=0.0)
    return bool(np.allclose(first, second, rtol=SAME, atol=SAME * finite, equal_nan=True))


def _hint(error: Exception) -> str:
    if isinstance(error, TypeError) and "argument" in str(error):
        return ". It is called with theta alone; bind the rest: lambda theta: fn(theta, X, Y)"
    return ""


def _has_arrays(theta: Any) -> bool:
    """Whether theta is a structure of arrays; a list of numbers is one array."""
    if isinstance(theta, Mapping):
        return True
    if isinstance(theta, (list, tuple)):
        return any(isinstance(leaf, np.ndarray) or _has_arrays(leaf) for leaf in theta)
    return False


def _leaves(theta: Any, path: str) -> Leaves:
    """The arrays of a structure with their names, in order."""
    if isinstance(theta, Mapping):
        prefix = "" if path == "theta" else f"{path}."
        return [
            leaf
            for key, part in theta.items()
            for leaf in _leaves(
                part, f"{prefix}{key}" if isinstance(key, str) else f"{path}[{key!r}]"
            )
        ]
    if isinstance(theta, (list, tuple)) and _has_arrays(theta):
        return [leaf for i, part in enumerate(theta) for leaf in _leaves(part, f"{path}[{i}]")]
    return [(path, theta)]


def _filled(theta: Any, arrays: Any) -> Any:
    """The same structure with the next arrays in it."""
    if isinstance(theta, Mapping):
        return {key: _filled(part, arrays) for key, part in theta.items()}
    if isinstance(theta, (list, tuple)) and _has_arrays(theta):
        parts = [_filled(part, arrays) for part in theta]
        if isinstance(theta, list):
            return parts
        return type(theta)(*parts) if hasattr(theta, "_fields") else tuple(parts)
    return next(arrays)


def _parameter(leaf: Any, path: str) -> Array:
    """A float64 copy of one array of theta."""
    array = np.array(as_ndarray(leaf, path), dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        raise ValueError(f"{path} must be finite, got {_first_not_finite(array)}")
    return array


def _first_not_finite(array: Array) -> str:
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    return f"{array[index]} at index {list(index)}"


def _plain(value: Any) -> Any:
    """A tensor as an array; anything else as it is."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _cost(value: Any, name: str, gradient: Any = None) -> float:
    value = np.asarray(_plain(value)) if not isinstance(value, (dict, list, tuple)) else value
    if not isinstance(value, np.ndarray) or value.size != 1 or value.dtype.kind not in "fiu":
        swapped = np.ndim(_plain(gradient)) == 0 if not isinstance(gradient, dict) else False
        hint = ". Did it return (gradient, cost)?" if gradient is not None and swapped else ""
        raise TypeError(
            f"{name}(theta) must return a real number as its cost, got {_described(value)}{hint}"
        )
    return float(value.reshape(()))


def _row(gradient: Any, theta: Any, parameters: Parameters, name: str) -> Array:
    """The gradient of fn in the row of the parameters; it has the structure of theta."""
    leaves = _matched(gradient, theta, f"the gradient of {name}")
    parts = []
    for block, leaf in zip(parameters.blocks, leaves, strict=True):
        what = f"the gradient of {name}" + ("" if block.name == "theta" else f" for {block.name}")
        if leaf is None:
            raise TypeError(f"{what} is None")
        array = as_ndarray(_plain(leaf), what)
        if array.dtype.kind not in "fiu" or array.dtype.itemsize < 4:
            raise TypeError(f"{what} must be float64 or float32, got dtype {array.dtype}")
        if array.shape != block.array.shape:
            raise ValueError(
                f"{what} must have the shape {block.array.shape} of {block.name}, "
                f"got shape {array.shape}"
            )
        parts.append(np.array(array, np.float64).ravel())
    return np.concatenate(parts)


def _matched(gradient: Any, theta: Any, what: str) -> list[Any]:
    """The parts of the gradient that stand where the arrays of theta stand."""
    if isinstance(theta, Mapping):
        if not isinstance(gradient, Mapping):
            raise TypeError(f"{what} must be a dict like theta, got {_described(gradient)}")
        missing = [key for key in theta if key not in gradient]
        extra = [key for key in gradient if key not in theta]
        if missing or extra:
            said = [
                f"{word} {shown(keys)}"
                for word, keys in (("lacks", missing), ("has", extra))
                if keys
            ]
            raise ValueError(
                f"{what} must have the keys of theta, {shown(list(theta))}; it {' and '.join(said)}"
            )
        return [
            leaf
            for key in theta
            for leaf in _matched(gradient[key], theta[key], f"{what} for {key}")
        ]
    if isinstance(theta, (list, tuple)) and _has_arrays(theta):
        kind = type(theta).__name__
        if not isinstance(gradient, (list, tuple)):
            raise TypeError(f"{what} must be a {kind} like theta, got {_described(gradient)}")
        if len(gradient) != len(theta):
            raise ValueError(
                f"{what} must have {len(theta)} parts like theta, got {len(gradient)} parts"
            )
        return [
            leaf
            for i, (g, part) in enumerate(zip(gradient, theta, strict=True))
            for leaf in _matched(g, part, f"{what}[{i}]")
        ]
    return [gradient]


def _described(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)} parts"
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if isinstance(value, np.ndarray):
        return f"{value} ({value.dtype})"
    return "None" if value is None else f"{shown(value)} ({type(value).__name__})"
