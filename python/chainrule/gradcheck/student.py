"""The check of a student's file: its backprop against differences of its own cost.

Nothing is known of the network but what its cost says; which network that is, is found out for the
diagnosis. Called by `chainrule check student.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .differences import Differences, block_check, differences, sample
from .mistakes import diagnose
from .parameters import Parameters
from .report import BlockCheck, GradientCheck, count
from .student_arrays import Leaf
from .student_calls import Call, Data, Setting, call, sizes
from .student_file import StudentError, StudentFile, time_limit
from .student_network import Found, detect, order
from .student_report import StudentCheck, written
from .student_settle import settle

Array = NDArray[Any]

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
        setting = settle(file, Data(X, Y), seed)
        runs = [_run(file, setting, m, seed + i) for i, m in enumerate(sizes(setting))]
        reported = next((run for run in runs if not run.passed), runs[0])
        return written(file, reported, runs)


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


def _run(file: StudentFile, setting: Setting, m: int, seed: int) -> Run:
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    first = m == sizes(setting)[0]
    params = setting.params(rng, moved=not first)
    X, Y = setting.samples(m, rng)
    began = time.perf_counter()
    called = call(file, setting, params, X, Y, quiet=not first)
    took = time.perf_counter() - began
    _same_again(call(file, setting, params, X, Y, quiet=True), called)
    x, y = setting.hand(X, Y)

    def cost() -> float:
        return float(np.asarray(file.backprop(params.made, x, y)[0]).item())

    parameters = Parameters((leaf.name, leaf.array, None, "") for leaf in params.leaves)
    parts = [
        np.zeros(leaf.array.size) if part is None else part.ravel()
        for leaf, part in zip(params.leaves, called.parts, strict=True)
    ]
    got = np.concatenate(parts)
    there = np.zeros(parameters.size, bool)
    for block, part in zip(parameters.blocks, called.parts, strict=True):
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
            rounding=ROUNDING * abs(called.cost),
            # A relu kink within reach spoils one difference, not those with smaller steps.
            trusted=np.ones(parameters.size, bool),
        )
        lecture = order(params.leaves, setting.convention)
        said = _said(file, lecture.parameters) if lecture is not None else None
        network = None if lecture is None else detect(lecture, cost, X, Y, said)
        return numeric, network

    found, network = file.run(measure, quiet=True)
    run = _judged(params.leaves, called, parameters, got, found, network, m)
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
        passed = not problem and not found.wrong[block.where].any()
        yield replace(block_check(block, found, passed=passed), step=None)


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
