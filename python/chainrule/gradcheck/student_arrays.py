"""How a student's file keeps its arrays: rows or columns, W one way or the other, dict or list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .student_file import StudentError

Array = NDArray[Any]

MISSING = object()  # a key that is not there, where None is a key without a value
TAGS = {"W": "BP4", "b": "BP3"}


@dataclass(frozen=True)
class Convention:
    """X is (m, n_0) or, in columns, (n_0, m); W is (n_out, n_in) or inputs first."""

    columns: bool = False
    inputs_first: bool = False
    bias: tuple[int, ...] = (-1,)  # what b of n units is reshaped to

    def weight(self, n_out: int, n_in: int) -> tuple[int, int]:
        return (n_in, n_out) if self.inputs_first else (n_out, n_in)

    def samples(self, rows: Array) -> Array:
        return np.ascontiguousarray(rows.T) if self.columns else rows

    def lecture(self, name: str, array: Array) -> Array:
        """W^l as (n_l, n_{l-1}), b^l as (n_l,)."""
        if name.startswith("b"):
            return array.reshape(-1)
        return array.T if self.inputs_first else array


CONVENTIONS = (
    Convention(),
    Convention(inputs_first=True),
    Convention(bias=(1, -1)),
    Convention(inputs_first=True, bias=(1, -1)),
    Convention(columns=True, bias=(-1, 1)),
    Convention(columns=True, inputs_first=True, bias=(-1, 1)),
)

# Ways to hold [(W1, b1), (W2, b2), ...].
WRAPS: dict[str, Callable[[list[tuple[Array, Array]]], Any]] = {
    "dict": lambda pairs: {
        f"{kind}{l}": array
        for l, pair in enumerate(pairs, 1)
        for kind, array in zip("Wb", pair, strict=True)
    },
    "pairs": list,
    "flat": lambda pairs: tuple(array for pair in pairs for array in pair),
}


def random_params(
    widths: Sequence[int], convention: Convention, wrap: str, rng: np.random.Generator
) -> Any:
    """Params of a dense network; biases are not 0, or a mistake with them might not show."""
    pairs = []
    for n_in, n_out in pairwise(widths):
        W = rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)
        b = 0.5 * rng.standard_normal(n_out)
        W = np.ascontiguousarray(W.T) if convention.inputs_first else W
        pairs.append((W, b.reshape(convention.bias)))
    return WRAPS[wrap](pairs)


@dataclass(frozen=True, eq=False)
class Leaf:
    """One array of params: "W1", and what its derivative is called in messages."""

    name: str
    label: str
    array: Array

    @property
    def tag(self) -> str:
        return TAGS.get(self.name[:1], "")


class Params:
    """The student's params as named float64 arrays; `made` holds those very arrays.

    Raises
    ------
    StudentError
        What came is not made of arrays.
    """

    def __init__(self, given: Any) -> None:
        self.leaves: list[Leaf] = []
        self.made = self._copy(given, "", "grads")
        if not self.leaves:
            raise StudentError("params holds no array", unusable=True)

    def _copy(self, value: Any, name: str, label: str) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):
            l = name.removeprefix("_")
            return {k: self._copy(v, f"{k}{l}", f"{label}[{k!r}]") for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            names = _names(value, name)
            parts = [
                self._copy(part, one, f"{label}[{i}]")
                for i, (part, one) in enumerate(zip(value, names, strict=True))
            ]
            return parts if isinstance(value, list) else tuple(parts)
        try:
            array = np.array(value, np.float64, order="C")
        except (TypeError, ValueError):
            raise StudentError(
                f"params{label.removeprefix('grads')} is of type {type(value).__name__}; allowed "
                "are NumPy arrays in a dict, a list or a tuple",
                unusable=True,
            ) from None
        if not np.isfinite(array).all():
            raise StudentError(f"params: {name} has NaN or infinity", unusable=True)
        self.leaves.append(Leaf(name or "params", label, array))
        return array

    @property
    def is_dict(self) -> bool:
        return isinstance(self.made, dict)

    def collect(self, grads: Any) -> list[Any]:
        """What `grads` has for each leaf, None and MISSING too.

        Raises
        ------
        StudentError
            `grads` cannot be matched with params.
        """
        found = list(self._match(self.made, grads))
        if len(found) == len(self.leaves) and not any(part is _UNLIKE for part in found):
            return found
        flat = [] if isinstance(grads, dict) else list(_flat(grads))
        if len(flat) == len(self.leaves):
            return flat
        names = ", ".join(leaf.name for leaf in self.leaves)
        kind = type(self.made).__name__
        came = (
            f"a {type(grads).__name__} of {len(flat)} arrays"
            if flat
            else f"a {type(grads).__name__}"
        )
        raise StudentError(
            f"grads is {came}; expected is a {kind} like params, with the derivatives of {names}"
        )

    def _match(self, value: Any, grads: Any) -> Iterator[Any]:
        if value is None:
            return
        if isinstance(value, dict):
            if not isinstance(grads, dict):
                yield _UNLIKE
                return
            for key, part in value.items():
                other = next((k for k in (key, f"d{key}", f"d_{key}") if k in grads), None)
                if other is None and not isinstance(part, np.ndarray):
                    yield _UNLIKE
                else:
                    yield from self._match(part, MISSING if other is None else grads[other])
        elif isinstance(value, (list, tuple)):
            if not isinstance(grads, (list, tuple)) or len(grads) != len(value):
                yield _UNLIKE
                return
            for part, other in zip(value, grads, strict=True):
                yield from self._match(part, other)
        else:
            yield grads

    def unknown(self, grads: Any) -> list[str]:
        """Keys of `grads` that params has not."""
        if not (self.is_dict and isinstance(grads, dict)):
            return []
        known = {k for key in self.made for k in (key, f"d{key}", f"d_{key}")}
        return [str(key) for key in grads if key not in known]


_UNLIKE = object()


def _flat(grads: Any) -> Iterator[Any]:
    if isinstance(grads, (list, tuple)):
        for part in grads:
            yield from _flat(part)
    else:
        yield grads


def _names(value: Sequence[Any], name: str) -> list[str]:
    first = 0 if value[:1] and value[0] is None else 1  # the lecture counts layers from 1
    if name.startswith("_") and len(value) == 2:
        return [f"W{name[1:]}", f"b{name[1:]}"]
    if name:
        return [f"{name}{i}" for i in range(first, first + len(value))]
    shapes = [np.ndim(part) if not isinstance(part, (list, tuple)) else -1 for part in value]
    if shapes and all(n == -1 for n in shapes):
        return [f"_{i}" for i in range(first, first + len(value))]
    if len(shapes) % 2 == 0 and all(n == 2 for n in shapes[::2]) and set(shapes[1::2]) <= {1, 2}:
        return [f"{'Wb'[i % 2]}{i // 2 + 1}" for i in range(len(value))]
    return [f"params[{i}]" for i in range(len(value))]


def judge(leaf: Leaf, came: Any, m: int) -> tuple[Array | None, str]:
    """The derivatives as float64, and what is wrong with the array ("" for nothing)."""
    todo = f": ({leaf.tag}) is still to do" if leaf.tag else ""
    wanted = leaf.array.shape
    if came is MISSING or came is None:
        return None, f"{leaf.label} is {'missing' if came is MISSING else 'None'}{todo}"
    try:
        array = np.asarray(came)
    except ValueError:
        return None, f"{leaf.label} is no array: its rows are of different lengths"
    if array.dtype.kind not in "fiu":
        kind = array.dtype.name if array.dtype.kind != "O" else type(came).__name__
        return None, f"{leaf.label} holds {kind}, not real numbers"
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        return None, f"{leaf.label} is {array.dtype}: the check needs float64 throughout"
    if array.shape != wanted:
        says = f"{leaf.label} has shape {array.shape}, {leaf.name} has {wanted}"
        return None, says + _guess(array.shape, wanted, m)
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        return None, f"{leaf.label} has {count} entries that are NaN or infinite"
    return np.array(array, np.float64), ""


def _guess(came: tuple[int, ...], wanted: tuple[int, ...], m: int) -> str:
    if len(wanted) == 2 and came == wanted[::-1]:
        return ": transposed?"
    if came in ((m, *wanted), (*wanted, m)) or came == (m,):
        return (
            f": {m} is the number of samples; is the sum over them missing, or over another axis?"
        )
    if came == ():
        return ": one number only; is the sum over too much?"
    if np.prod(came) == np.prod(wanted):
        return ": reshape it, or leave out keepdims"
    return ""


def numbered(name: str) -> tuple[str, int] | None:
    """("W", 1) for "W1"."""
    found = re.fullmatch(r"([Wb])_?(\d+)", name)
    return (found[1], int(found[2])) if found else None
