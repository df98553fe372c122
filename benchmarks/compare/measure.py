"""Check every candidate, then time those that are right, in interleaved rounds of one process."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr

from .candidates import Candidate, Row
from .workloads import CHECKED_STEPS, Problem, Workload

FOLDER = Path(__file__).resolve().parent
PREDICTION_ERROR = 1e-5  # allowed, relative to the largest output
UPDATE_ERROR = 5e-3  # allowed, relative to the length of the change: at kinks relu' may differ
PAUSE = 0.1  # seconds: threads of the candidate before may spin for a while after its last call
LEAST_ROUNDS = 3

Run = Callable[[int], Any]
Result = dict[str, Any]


@dataclass(frozen=True)
class Effort:
    rounds: int = 15  # at most
    budget: float = 60.0  # seconds of rounds for a workload and a number of threads
    slice: float = 0.02  # seconds of one measurement, at least one step


def wrong(candidate: Candidate, row: Row, problem: Problem) -> str:
    """What is wrong with the answers of a new candidate; empty when they are right."""
    answer = problem.answer
    if row.predicts:
        for X in (problem.X, problem.X[:1]):
            output = answer.prediction[: len(X)]
            got = np.asarray(candidate.predict(candidate.stage(X))).reshape(output.shape)
            error = np.abs(got - output).max() / np.abs(answer.prediction).max()
            if not error <= PREDICTION_ERROR:
                return f"prediction of {len(X)} rows: relative error {error:.2g}"
    if row.trains:
        candidate.steps(CHECKED_STEPS)
        triples = zip(candidate.parameters(), answer.parameters, problem.parameters, strict=True)
        for i, (now, right, before) in enumerate(triples):
            change = np.linalg.norm(right - before)
            rounding = CHECKED_STEPS * np.finfo(np.float32).eps * np.linalg.norm(right)
            error = np.linalg.norm(np.asarray(now) - right)
            if not error <= UPDATE_ERROR * change + rounding:
                name = f"{'Wb'[i % 2]}^{i // 2 + 1}"
                return f"{name} after {CHECKED_STEPS} steps: off by {error / change:.2g} of its way"
    return ""


def runs(candidate: Candidate, row: Row, problem: Problem) -> dict[str, Run]:
    """For each task a function that does it n times."""

    def predict(staged: Any, n: int) -> None:
        for _ in range(n):
            candidate.predict(staged)

    tasks: dict[str, Run] = {}
    if row.trains:
        tasks["step"] = candidate.steps
    if row.predicts:
        tasks["batch"] = partial(predict, candidate.stage(problem.X))
        tasks["row"] = partial(predict, candidate.stage(problem.X[:1]))
    return tasks


def seconds(run: Run, n: int) -> float:
    start = time.perf_counter()
    run(n)
    return time.perf_counter() - start


def repetitions(run: Run, wanted: float) -> int:
    """How often to do it for a measurement of `wanted` seconds; compiled for it on return."""
    n = 1
    for _ in range(6):
        run(n)
        took = min(seconds(run, n) for _ in range(3))  # a slow moment would make n too small
        if took >= wanted / 2:
            break
        n = max(n + 1, math.ceil(n * wanted / max(took, 1e-7)))
    else:
        run(n)
    return n


def timed(tasks: Sequence[tuple[str, str, Run]], effort: Effort) -> dict[tuple[str, str], Result]:
    """Microseconds of each (candidate, task): the median and half the interquartile range."""
    counts = [repetitions(run, effort.slice) for _, _, run in tasks]
    times: list[list[float]] = [[] for _ in tasks]
    start = time.perf_counter()
    for r in range(effort.rounds):
        if r >= LEAST_ROUNDS and time.perf_counter() - start > effort.budget:
            break
        for i in (*range(r % len(tasks), len(tasks)), *range(r % len(tasks))):
            run, n = tasks[i][2], counts[i]
            time.sleep(PAUSE)
            run(1)
            times[i].append(seconds(run, n) / n * 1e6)
    return {
        (name, task): {
            "us": float(f"{statistics.median(us):.5g}"),
            "spread": float(f"{np.subtract(*np.percentile(us, [75, 25])) / 2:.3g}"),
            "rounds": len(us),
        }
        for (name, task, _), us in zip(tasks, times, strict=True)
    }


def measure(workload: Workload, threads: int, rows: Iterable[Row], effort: Effort) -> Result:
    """One row of the tables: all candidates on one workload with this many threads."""
    problem = Problem(workload)
    results: dict[str, Result] = {}
    tasks: list[tuple[str, str, Run]] = []
    for row in rows:
        results[row.name] = {"tasks": row.tasks}
        reason = row.missing()
        if reason:
            results[row.name]["problem"] = f"missing: {reason}"
            continue
        try:
            candidate = row.make(problem, threads)
            reason = wrong(candidate, row, problem)
            if reason:
                results[row.name]["problem"] = f"WRONG: {reason}"
                continue
        except Exception as error:  # a peer that cannot is reported, the others go on
            text = str(error).strip().splitlines() or [""]
            results[row.name]["problem"] = f"failed: {type(error).__name__}: {text[0][:200]}"
            continue
        found = runs(candidate, row, problem)
        tasks += [(row.name, task, run) for task, run in found.items()]
    roof = peak(threads)
    for (name, task), figure in timed(tasks, effort).items():
        results[name][task] = figure
    return {
        "workload": workload.name,
        "widths": list(workload.widths),
        "activation": workload.activation,
        "batch": workload.batch,
        "threads": threads,
        "peak_gflops": roof,
        "candidates": results,
    }


def peak(threads: int) -> float | None:
    """Multiply-add peak in GFLOP/s of all threads together; None where no bench was built."""
    command = [sys.executable, "-m", "chainrule", "bench", "--json", "--seconds", "0.05"]
    command += ["--widths", "1,1", "--batch", "1", "--threads", str(threads)]
    command += ["--isa", str(cr.info()["isa"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return float(json.loads(done.stdout)["peak_gflops"]) if done.returncode == 0 else None


def pools(threads: int) -> list[str]:
    """The BLAS and OpenMP libraries of this process; an error when one has more threads."""
    try:
        found = import_module("threadpoolctl").threadpool_info()
    except ImportError:
        return []
    for pool in found:
        if pool["num_threads"] > threads:
            raise RuntimeError(f"{pool['prefix']} has {pool['num_threads']} threads, not {threads}")
    names = {f"{p['internal_api']} {p['version'] or ''}".strip() for p in found}
    return sorted(names)


THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def in_child(threads: int, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """The program again, on as many cores as threads, with every library told so at its start."""
    environment = dict.fromkeys(THREAD_VARIABLES, str(threads)) | {
        "JAX_PLATFORMS": "cpu",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no helpers that live on beside the measurements
    }
    command = [sys.executable, str(FOLDER), *arguments, "--threads", str(threads)]
    with on_cores(threads):
        return subprocess.Popen(command, env=os.environ | environment)


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """What is started inside has `count` of our cores, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
