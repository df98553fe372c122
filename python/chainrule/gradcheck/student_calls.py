"""One call of a student's backprop: what it gets, and whether what comes back can be judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .student_arrays import Convention, Params, judge, random_params
from .student_file import StudentError, StudentFile

Array = NDArray[Any]

SAMPLES = (5, 2, 1)  # some mistakes show with several samples alone, some with one
MOST_ROWS = 64


@dataclass(frozen=True, eq=False)
class Data:
    """X and Y where they are given, in rows by a table, or by the file as it wants them."""

    X: Array | None = None
    Y: Array | None = None
    own: bool = False


@dataclass(frozen=True, eq=False)
class Setting:
    """How the file wants to be called."""

    convention: Convention
    data: Data
    widths: tuple[int, ...]  # (n_0, ..., n_L), at least the two ends
    wrap: str = "dict"
    given: Any = None  # params of the file's own
    labels: bool = False  # Y is one-hot, or 0 and 1
    flat: bool = False  # Y is (m,)

    def hand(self, X: Array, Y: Array) -> tuple[Array, Array]:
        """X and Y as backprop takes them."""
        y = Y.reshape(-1) if self.flat else self.convention.samples(Y)
        return self.convention.samples(X), y

    def params(self, rng: np.random.Generator, *, moved: bool) -> Params:
        if self.given is None:
            return Params(random_params(self.widths, self.convention, self.wrap, rng))
        params = Params(self.given)
        if moved:  # where b is 0 as it often is at first, some mistakes do not show
            for leaf in params.leaves:
                size = float(np.sqrt(np.mean(leaf.array**2))) if leaf.array.size else 0.0
                leaf.array[...] += max(0.3 * size, 0.1) * rng.standard_normal(leaf.array.shape)
        return params

    def samples(self, m: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """X and Y in rows."""
        n_0, n_L = self.widths[0], self.widths[-1]
        X, Y = self.data.X, self.data.Y
        x = rng.standard_normal((m, n_0)) if X is None else X[:m]
        if Y is not None:
            return np.array(x), np.array(Y[:m])
        if not self.labels:
            y = rng.standard_normal((len(x), n_L))
        elif n_L == 1:
            y = rng.integers(0, 2, (len(x), 1)).astype(float)
        else:
            y = np.eye(n_L)[rng.integers(0, n_L, len(x))]
        return np.array(x), y


def sizes(setting: Setting) -> list[int]:
    """Numbers of samples; the first is no width, so that a shape tells what it is."""
    if setting.data.X is not None:
        most = min(len(setting.data.X), MOST_ROWS)
        return sorted({most, min(most, 2), 1}, reverse=True)
    return [_unlike(setting.widths), *SAMPLES[1:]]


def _unlike(widths: Sequence[int]) -> int:
    return next(m for m in range(SAMPLES[0], 1000) if m not in widths)


@dataclass(frozen=True, eq=False)
class Call:
    """What one call of backprop gave; `problems` has a sentence, or "", for every array."""

    cost: float
    parts: list[Array | None]
    problems: list[str]
    unknown: list[str]


def call(
    file: StudentFile,
    setting: Setting,
    params: Params,
    X: Array,
    Y: Array,
    *,
    quiet: bool,
) -> Call:
    x, y = setting.hand(X, Y)
    before = [np.array(a) for a in (*(leaf.array for leaf in params.leaves), x, y)]
    result = file.run(lambda: file.backprop(params.made, x, y), quiet=quiet)
    after = [leaf.array for leaf in params.leaves] + [x, y]
    names = [leaf.name for leaf in params.leaves] + ["X", "Y"]
    cost, grads = _pair(result)
    value = _number(cost)
    found = params.collect(grads)
    judged = [judge(leaf, came, len(X)) for leaf, came in zip(params.leaves, found, strict=True)]
    for name, old, new in zip(names, before, after, strict=True):
        if not np.array_equal(old, new):
            new[...] = old
            line = file.line_changing(name)
            raise StudentError(
                f"{file.name}{f', line {line}' if line else ''}: backprop changes {name} in place.",
                *file.shown(line),
                "It has to leave params, X and Y as they are and return the gradient: the step of "
                "descent belongs to the caller.",
            )
    return Call(value, [part for part, _ in judged], [p for _, p in judged], params.unknown(grads))


def _pair(result: Any) -> tuple[Any, Any]:
    if result is None:
        raise StudentError("backprop returns None: does it end with return cost, grads?")
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        what = f"a {type(result).__name__}"
        if isinstance(result, (tuple, list)):
            what += f" of {len(result)}"
        raise StudentError(f"backprop returns {what}; expected are two: return cost, grads")
    cost, grads = result
    if isinstance(cost, (dict, list, tuple)) and np.ndim(grads) == 0:
        raise StudentError("backprop returns (grads, cost); expected is cost first: (cost, grads)")
    return cost, grads


def _number(cost: Any) -> float:
    if cost is None:
        raise StudentError("the cost is None: it is still to do")
    try:
        array = np.asarray(cost)
    except ValueError:
        raise StudentError("the cost is not a number") from None
    if array.size != 1:
        raise StudentError(
            f"the cost has shape {array.shape}; expected is one number: "
            "is np.mean or np.sum missing?"
        )
    if array.dtype.kind not in "fiu":
        raise StudentError(f"the cost is a {type(cost).__name__}; expected is a real number")
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        raise StudentError(f"the cost is {array.dtype}: the check needs float64 throughout")
    value = float(array.item())
    if not math.isfinite(value):
        raise StudentError(f"the cost is {value}: look for a division by 0, log(0) or an overflow")
    return value
