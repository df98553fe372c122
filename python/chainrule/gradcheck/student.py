"""The check of a student's file: its backprop against differences of its own cost.

Nothing is known of the network but what its cost says; which network that is, is found out for the
diagnosis. Called by `chainrule check student.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .differences import Differences, differences, sample
from .mistakes import diagnose
from .parameters import Parameters
from .report import BlockCheck, GradientCheck, count
from .student_arrays import CONVENTIONS, WRAPS, Convention, Leaf, Params, judge, random_params
from .student_file import StudentError, StudentFile, time_limit
from .student_network import Found, detect, order
from .student_report import StudentCheck, written

Array = NDArray[Any]

SAMPLES = (5, 2, 1)  # some mistakes show with several samples alone, some with one
MOST_ROWS = 64
SECONDS = 4.0  # for the differences of one run, about
ROUNDING = 64 * float(np.finfo(np.float64).eps)  # of the cost, relative


def template(name: str = "student.py") -> str:
    """The file that a student starts from, to be saved under this name."""
    data = resources.files(__package__.partition(".")[0]) / "data" / "student.txt"
    return data.read_text(encoding="utf-8").replace("student.py", name)


def check_student(
    path: Path,
    X: Array | None = None,
    Y: Array | None = None,
    *,
    timeout: float = 60.0,
    seed: int = 0,
) -> StudentCheck:
    """Check `backprop(params, X, Y) -> (cost, grads)` of a file.

    Parameters
    ----------
    path : Path
        The file; it is run.
    X, Y : ndarray, shapes (m, n_0) and (m, n_L), optional
        Rows of a table, in place of random numbers.
    timeout : float
        Seconds, for all of it; in the main thread only.
    seed : int
        Of the random numbers.

    Raises
    ------
    StudentError
        The file cannot be run, or backprop does not do what it is for: what, and in which line.
    OSError
        The file cannot be read.
    """
    with time_limit(timeout, path), np.errstate(all="ignore"):
        file = StudentFile(path)
        setting = _settle(file, _Data(X, Y), seed)
        runs = [_run(file, setting, m, seed + i) for i, m in enumerate(_sizes(setting))]
        reported = next((run for run in runs if not run.passed), runs[0])
        return written(file, reported, runs)


@dataclass(frozen=True, eq=False)
class _Data:
    """X and Y where they are given, in rows by a table, or by the file as it wants them."""

    X: Array | None = None
    Y: Array | None = None
    own: bool = False


@dataclass(frozen=True, eq=False)
class _Setting:
    """How the file wants to be called."""

    convention: Convention
    data: _Data
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


def _sizes(setting: _Setting) -> list[int]:
    """Numbers of samples; the first is no width, so that a shape tells what it is."""
    if setting.data.X is not None:
        most = min(len(setting.data.X), MOST_ROWS)
        return sorted({most, min(most, 2), 1}, reverse=True)
    return [_unlike(setting.widths), *SAMPLES[1:]]


def _unlike(widths: Sequence[int]) -> int:
    return next(m for m in range(SAMPLES[0], 1000) if m not in widths)


# --- how the file wants to be called --------------------------------------------------------------


def _settle(file: StudentFile, data: _Data, seed: int) -> _Setting:
    """Find the layout of params, X and Y with which backprop gets furthest."""
    given = file.own("params", "init", "init_params", "initialize")
    data = _own_data(file) if data.X is None else _fitted(file, data)
    best: tuple[float, _Setting, StudentError | None] | None = None
    for setting in _settings(file, given, data):
        rank, error = _trial(file, setting, seed)
        if best is None or rank > best[0]:
            best = rank, setting, error
        if rank == math.inf:
            break
    if best is None:
        raise StudentError(
            f"{file.name} does not say the shapes of params: add a line such as WIDTHS = [3, 4, 2] "
            "(inputs, hidden units, outputs), or a function params() that returns them",
            unusable=True,
        )
    return best[1]


def _fitted(file: StudentFile, data: _Data) -> _Data:
    """A table's rows for the header's widths; a target of classes becomes one-hot."""
    X, Y = data.X, data.Y
    if X is None or Y is None or file.widths is None:
        return data
    n_0, n_L = file.widths[0], file.widths[-1]
    if Y.shape[1] == 1 < n_L and np.isin(Y, np.arange(n_L)).all():
        Y = np.eye(n_L)[Y[:, 0].astype(int)]
    if (X.shape[1], Y.shape[1]) != (n_0, n_L):
        raise StudentError(
            f"the table has {count(X.shape[1], 'input')} and {count(Y.shape[1], 'target')}, "
            f"WIDTHS of {file.name} says {n_0} and {n_L}",
            unusable=True,
        )
    return _Data(X, Y)


def _own_data(file: StudentFile) -> _Data:
    given = file.own("data")
    if given is None:
        X, Y = (getattr(file.module, name, None) for name in "XY")
        given = None if X is None or Y is None else (X, Y)
    if given is None:
        return _Data()
    try:
        X, Y = given
        X, Y = np.array(X, np.float64), np.array(Y)
        Y = Y if Y.ndim == 1 and Y.dtype.kind in "iu" else Y.astype(np.float64)
    except (TypeError, ValueError):
        raise StudentError(
            f"{file.name}: X and Y must be two arrays of numbers", unusable=True
        ) from None
    return _Data(X, Y, own=True)


def _settings(file: StudentFile, given: Any, data: _Data) -> Iterator[_Setting]:
    labels = file.loss is not None and str(file.loss).lower() not in {"mse", "mean", "half_mean"}
    for wrap in WRAPS if given is None else ["dict"]:
        for convention in CONVENTIONS:
            widths = tuple(file.widths or ())
            if given is not None:
                params = Params(given)
                found = order(params.leaves, convention)
                if found is not None:
                    W = [b.array for b in found.parameters.blocks if b.kind == "W"]
                    if any(len(w) != v.shape[1] for w, v in pairwise(W)):
                        continue
                    widths = (W[0].shape[1], *(len(w) for w in W))
            there, flat = data, False
            if data.X is not None and data.Y is not None:
                flat = data.Y.ndim == 1
                X, Y = data.X, data.Y.reshape(-1, 1) if flat else data.Y
                if data.own and convention.columns:  # rows inside here
                    X, Y = X.T, Y if flat else Y.T
                if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y):
                    continue
                there = _Data(X, Y, data.own)
                widths = widths or (X.shape[1], Y.shape[1])
            if len(widths) > 1:
                yield _Setting(convention, there, widths, wrap, given, labels, flat)


def _trial(file: StudentFile, setting: _Setting, seed: int) -> tuple[float, StudentError | None]:
    """How far backprop gets: infinity when nothing is wrong, else the line that fails."""
    rng = np.random.default_rng(seed)
    params = setting.params(rng, moved=False)
    m = _sizes(setting)[0]
    X, Y = setting.samples(m, rng)
    try:
        call = _call(file, setting, params, X, Y, quiet=True)
    except StudentError as error:
        return (error.line - 1e6 if error.line else -1e5), error
    strange = sum(bool(p) and "shape" in p for p in call.problems)
    return (-strange if strange else math.inf), None


# --- one call -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Call:
    """What one call of backprop gave; `problems` has a sentence, or "", for every array."""

    cost: float
    parts: list[Array | None]
    problems: list[str]
    unknown: list[str]


def _call(
    file: StudentFile,
    setting: _Setting,
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


# --- one run --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Run:
    """backprop on m samples against differences."""

    m: int
    leaves: list[Leaf]
    call: Call
    parameters: Parameters
    got: Array
    right: Array
    found: Differences
    network: Found | None
    diagnosis: str
    check: GradientCheck
    seconds: float

    @property
    def passed(self) -> bool:
        return self.check.passed


def _run(file: StudentFile, setting: _Setting, m: int, seed: int) -> Run:
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    first = m == _sizes(setting)[0]
    params = setting.params(rng, moved=not first)
    X, Y = setting.samples(m, rng)
    began = time.perf_counter()
    call = _call(file, setting, params, X, Y, quiet=not first)
    took = time.perf_counter() - began
    _same_again(_call(file, setting, params, X, Y, quiet=True), call)
    x, y = setting.hand(X, Y)

    def cost() -> float:
        return float(np.asarray(file.backprop(params.made, x, y)[0]).item())

    parameters = Parameters((leaf.name, leaf.array, None, "") for leaf in params.leaves)
    parts = [
        np.zeros(leaf.array.size) if part is None else part.ravel()
        for leaf, part in zip(params.leaves, call.parts, strict=True)
    ]
    got = np.concatenate(parts)
    there = np.zeros(parameters.size, bool)
    for block, part in zip(parameters.blocks, call.parts, strict=True):
        there[block.where] = part is not None
    most = int(np.clip(SECONDS / (2 * max(took, 1e-6)), 100, 20_000))
    chosen = sample(parameters, most, seed)

    def measure() -> tuple[Differences, Found | None]:
        numeric = differences(
            parameters,
            cost,
            got,
            chosen[there[chosen]],
            largest=float(np.abs(got).max(initial=0.0)),
            rounding=ROUNDING * abs(call.cost),
            # A relu kink within reach spoils one difference, not those with smaller steps.
            trusted=np.ones(parameters.size, bool),
        )
        lecture = order(params.leaves, setting.convention)
        said = _said(file, lecture.parameters) if lecture is not None else None
        network = None if lecture is None else detect(lecture, cost, X, Y, said)
        return numeric, network

    found, network = file.run(measure, quiet=True)
    run = _judged(params.leaves, call, parameters, got, found, network, m)
    return replace(run, seconds=time.perf_counter() - start)


def _said(file: StudentFile, parameters: Parameters) -> list[str] | None:
    """The header's activations where they are names that the reference knows."""
    said = file.activations
    L = len(parameters.blocks) // 2
    if not isinstance(said, (list, tuple)) or len(said) != L:
        return None
    from ..reference import ACTIVATIONS  # noqa: PLC0415

    return list(said) if all(name in ACTIVATIONS for name in said) else None


def _same_again(second: Call, first: Call) -> None:
    if second.cost != first.cost:
        raise StudentError(
            "two calls of backprop with the same params, X and Y give two costs: "
            f"{first.cost:.9g} and {second.cost:.9g}.",
            "Is there something random in it, or a variable that outlives the call?",
        )
    for a, b in zip(first.parts, second.parts, strict=True):
        if a is not None and b is not None and not np.allclose(a, b, rtol=1e-9, atol=0):
            raise StudentError(
                "a second call of backprop with the same params, X and Y gives another gradient.",
                "Are sums kept from call to call, and not set to 0 at the start?",
            )


def _judged(
    leaves: list[Leaf],
    call: Call,
    parameters: Parameters,
    got: Array,
    found: Differences,
    network: Found | None,
    m: int,
) -> Run:
    right = np.where(np.isnan(found.numeric), got, found.numeric)
    wrong = np.array(found.wrong)
    problems = [*filter(None, call.problems)]
    vacuous = not problems and not got.any() and not wrong.any()
    sentence = ""
    if wrong.any():
        sentence = _diagnosis(parameters, call.parts, got, found, network)
    elif vacuous:
        sentence = (
            "Every derivative is exactly 0, yours and the differences alike: nothing was checked."
        )
    blocks = tuple(_blocks(parameters, call, found))
    size = np.where(np.isnan(found.errors), -1.0, found.errors)
    p = int(np.argmax(np.where(wrong, size + 1, size if not wrong.any() else -2.0)))
    place = replace(
        parameters.place(p, got, right), analytic=float(got[p]), numeric=float(right[p])
    )
    passed = not (problems or wrong.any() or vacuous)
    check = GradientCheck(
        passed=passed,
        diagnosis=" ".join([*problems, sentence]).strip(),
        max_error=max((b.max_error for b in blocks), default=0.0),
        max_ulp=None,
        worst=place,
        blocks=blocks,
        errors={b.name: parameters.part(found.errors, b) for b in parameters.blocks},
        n_parameters=parameters.size,
        n_checked=sum(b.n_checked for b in blocks),
        kinks=int(found.kink.sum()),
        seconds=0.0,
        subject="backprop",
        samples=m,
        oracles=(f"{count(m, 'sample')}, held against differences of its own cost",),
    )
    return Run(m, leaves, call, parameters, got, right, found, network, sentence, check, 0.0)


def _blocks(parameters: Parameters, call: Call, found: Differences) -> Iterator[BlockCheck]:
    for block, problem in zip(parameters.blocks, call.problems, strict=True):
        errors = found.errors[block.where]
        seen = errors[~np.isnan(errors)]
        yield BlockCheck(
            name=block.name,
            layer=None,
            kind="",
            shape=block.array.shape,
            n_checked=len(seen),
            kinks=int(found.kink[block.where].sum()),
            max_error=float(seen.max(initial=0.0)),
            passed=not problem and not found.wrong[block.where].any(),
        )


def _diagnosis(
    parameters: Parameters,
    parts: list[Array | None],
    got: Array,
    found: Differences,
    network: Found | None,
) -> str:
    """In the lecture's order and for the cost of the anatomy, where there is one."""
    unseen = np.isnan(found.numeric)
    if network is None:
        return diagnose(parameters, got, np.where(unseen, got, found.numeric), found.wrong)
    lecture = network.order
    right = np.where(lecture.row(unseen), network.gradient(), lecture.row(found.numeric))
    # What is still to do is not wrong: nothing is to be read from its zeros.
    there = np.ones(parameters.size, bool)
    for block, part in zip(parameters.blocks, parts, strict=True):
        there[block.where] = part is not None
    return diagnose(
        lecture.parameters,
        np.where(lecture.row(there), lecture.row(got), right) / network.factor,
        right / network.factor,
        lecture.row(found.wrong),
        network.anatomy,
    )
