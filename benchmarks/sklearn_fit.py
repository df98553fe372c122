"""scikit-learn's MLPs and chainrule's on scikit-learn's own defaults, side by side in one process.

    python benchmarks/sklearn_fit.py --json sklearn_fit.json

Both have one hidden layer of 100 units, Adam, batches of 200 rows, float64 (or --dtype float32 for
both), and nothing that ends a training early: the same number of epochs over the same rows. The
tasks are `fit` with all of its epochs; `partial_fit`, one more epoch; `predict` for all rows and
for one, on the same weights.

Before anything is timed, chainrule's estimator must be right: from the weights of scikit-learn's,
without shuffling, it takes the same steps and predicts the same; from weights of its own it ends,
over three seeds, at about the same loss. One that fails is reported as WRONG and not timed.

A round measures every task of both, in an order that turns; the tables have medians of the rounds.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from compare.cli import cpu, versions
from compare.measure import Effort, cores, on_cores, timed
from compare.report import number, table
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

import chainrule as cr
from chainrule import sklearn as estimators

THEIRS, OURS = "scikit-learn", "chainrule"
CHECKED_EPOCHS = 5
STEP_ERROR = {"float64": 1e-6, "float32": 1e-3}  # allowed, relative to the largest output
LOSS_RATIO = 1.25  # allowed between the final losses, medians over the seeds
SEEDS = (0, 1, 2)

Kinds = dict[str, Callable[..., Any]]  # THEIRS and OURS


@dataclass(frozen=True)
class Case:
    """A table, the estimator of that name, and for how many epochs."""

    name: str
    estimator: str
    load: Callable[[], tuple[Any, Any]]
    epochs: int
    dtype: str = "float64"

    def kinds(self) -> Kinds:
        """scikit-learn takes its type from X, chainrule is told."""
        theirs, ours = (getattr(module, self.estimator) for module in (neural_network, estimators))
        return {THEIRS: theirs, OURS: partial(ours, dtype=self.dtype)}

    def data(self) -> tuple[Any, Any]:
        X, y = self.load()
        return X.astype(self.dtype), y.astype(self.dtype) if y.dtype == np.float64 else y


def diabetes() -> tuple[Any, Any]:
    X, y = datasets.load_diabetes(return_X_y=True)
    return scale(X), scale(y)


def digits() -> tuple[Any, Any]:
    X, y = datasets.load_digits(return_X_y=True)
    return X / 16, y


CASES = (
    Case("diabetes", "MLPRegressor", diabetes, 200),
    Case("digits", "MLPClassifier", digits, 50),
)


def new(kind: Callable[..., Any], epochs: int, seed: int = 0, **how: Any) -> Any:
    """An estimator with the defaults, but for the end of its training."""
    return kind(max_iter=epochs, tol=0.0, n_iter_no_change=epochs + 1, random_state=seed, **how)


def fitted(estimator: Any, X: Any, y: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are fixed on purpose
        return estimator.fit(X, y)


def outputs(estimator: Any, X: Any) -> Any:
    """What it says about X, as numbers."""
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def same_weights(kinds: Kinds, epochs: int, X: Any, y: Any) -> dict[str, Any]:
    """Both estimators with the weights that one epoch of scikit-learn's leaves, ready for more."""
    # Next to no epsilon: scikit-learn adds it before Adam's moments are corrected, the paper after.
    how: dict[str, Any] = {"shuffle": False, "warm_start": True, "epsilon": 1e-30}
    theirs = fitted(new(kinds[THEIRS], 1, **how), X, y)
    ours = new(kinds[OURS], 1, **how)
    converted = estimators.from_sklearn(theirs)
    ours.__dict__ |= vars(converted)
    pair = {THEIRS: theirs, OURS: ours}
    for estimator in pair.values():
        estimator.set_params(max_iter=epochs, n_iter_no_change=epochs + 1)
    return pair


def wrong(kinds: Kinds, epochs: int, X: Any, y: Any) -> tuple[str, dict[str, float]]:
    """What is wrong with our answers, empty when they are right, and the final losses of both."""
    pair = same_weights(kinds, CHECKED_EPOCHS, X, y)
    for when in ("before", "after"):
        right, said = (outputs(pair[name], X) for name in (THEIRS, OURS))
        error = np.abs(said - right).max() / np.abs(right).max()
        if not error <= STEP_ERROR[X.dtype.name]:
            return f"predictions {when} {CHECKED_EPOCHS} epochs: relative error {error:.2g}", {}
        if when == "before":
            for estimator in pair.values():
                fitted(estimator, X, y)
    losses = {}
    for name, kind in kinds.items():
        models = [fitted(new(kind, epochs, seed), X, y) for seed in SEEDS]
        done = sorted({len(model.loss_curve_) for model in models})
        if done != [epochs]:
            return f"{name} did {done} epochs, not {epochs}", {}
        losses[name] = float(statistics.median(model.loss_ for model in models))
    ratio = losses[OURS] / losses[THEIRS]
    if not 1 / LOSS_RATIO <= ratio <= LOSS_RATIO:
        return f"loss after {epochs} epochs: {ratio:.3g} times scikit-learn's", losses
    return "", losses


def tasks(name: str, make: Callable[[], Any], trained: Any, X: Any, y: Any) -> list[Any]:
    """(name, task, function that does it n times) of one side; `make` a new estimator."""

    def repeat(do: Callable[[], Any], n: int) -> None:
        for _ in range(n):
            do()

    more = fitted(make(), X, y)
    work: dict[str, Callable[[], Any]] = {
        "fit": lambda: fitted(make(), X, y),
        "partial_fit": lambda: more.partial_fit(X, y),
        "predict": lambda: trained.predict(X),
        "predict, 1 row": lambda: trained.predict(X[:1]),
    }
    return [(name, task, partial(repeat, do)) for task, do in work.items()]


def measure(case: Case, threads: int, effort: Effort, kinds: Kinds | None = None) -> dict[str, Any]:
    """One row of the JSON: both on one table with this many threads."""
    kinds = kinds or case.kinds()
    X, y = case.data()
    before = cr.get_num_threads()
    with ExitStack() as stack:
        stack.enter_context(on_cores(threads))
        stack.enter_context(import_module("threadpoolctl").threadpool_limits(threads))
        stack.callback(cr.set_num_threads, before)
        cr.set_num_threads(threads)
        problem, losses = wrong(kinds, case.epochs, X, y)
        row: dict[str, Any] = {"case": case.name, "estimator": case.estimator, "rows": len(X)}
        row |= {"columns": X.shape[1], "epochs": case.epochs, "threads": threads}
        row["dtype"] = case.dtype
        row |= {"losses": losses, "problem": problem and f"WRONG: {problem}", "times": {}}
        if problem:
            return row
        pair = same_weights(kinds, 1, X, y)
        every = [
            tasks(name, partial(new, kind, case.epochs), pair[name], X, y)
            for name, kind in kinds.items()
        ]
        # the two of one task stand side by side
        side_by_side = [entry for both in zip(*every, strict=True) for entry in both]
        for (name, task), figure in timed(side_by_side, effort).items():
            row["times"].setdefault(task, {})[name] = figure
    return row


def milliseconds(figure: dict[str, float]) -> str:
    """Three significant digits, however short."""
    ms = figure["us"] / 1e3
    return number(ms) if ms >= 0.1 else f"{float(f'{ms:.3g}'):.3g}"


def markdown(data: dict[str, Any]) -> str:
    head = ["table", "estimator", "task", "threads", THEIRS, OURS, f"{THEIRS} / {OURS}"]
    body, notes = [], []
    for row in data["rows"]:
        where = [f"{row['case']}, {row['rows']} x {row['columns']}", row["estimator"]]
        for task, both in row["times"].items():
            what = f"{task}, {row['epochs']} epochs" if task == "fit" else task
            figures = [milliseconds(both[name]) for name in (THEIRS, OURS)]
            ratio = number(both[THEIRS]["us"] / both[OURS]["us"])
            body.append([*where, what, str(row["threads"]), *figures, ratio])
        place = f"{row['case']} x{row['threads']}"
        if row["losses"]:
            losses = ", ".join(f"{name} {loss:.4g}" for name, loss in row["losses"].items())
            notes.append(f"- {place}: loss after {row['epochs']} epochs, {losses}")
        if row["problem"]:
            notes.append(f"- {place}: {row['problem']}; not timed")
    m = data["machine"]
    made = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    machine = f"Machine: {m['cpu']}, {m['cores']} cores, {m['isa']}; {data['date']}. {made}."
    lines = [
        f"Milliseconds, medians, {data['rows'][0]['dtype']}:",
        "",
        *table(head, body),
        "",
        *notes,
        "",
        machine,
    ]
    return "\n".join(lines) + "\n"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        "sklearn_fit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = p.add_argument
    add("--threads", type=int, nargs="+", default=[1], metavar="N", help="default 1")
    add("--dtype", choices=sorted(STEP_ERROR), default="float64", help="default float64")
    add("--epochs", type=int, help="for all tables, instead of their own numbers")
    add("--rounds", type=int, default=Effort.rounds, help="most rounds (%(default)s)")
    add("--budget", type=float, default=Effort.budget, help="seconds of rounds a row (%(default)s)")
    add("--slice", type=float, default=Effort.slice, help="seconds a figure (%(default)s)")
    add("--json", metavar="FILE", help="write everything there")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    effort = Effort(options.rounds, options.budget, options.slice)
    rows = []
    for threads in options.threads:
        if not 1 <= threads <= cores():
            parser().error(f"--threads {threads}: this process has {cores()} core(s)")
    for case in CASES:
        asked = replace(case, epochs=options.epochs or case.epochs, dtype=options.dtype)
        rows += [measure(asked, threads, effort) for threads in options.threads]
    system = f"{platform.system()} {platform.machine()}"
    data = {
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": cpu(),
            "cores": os.cpu_count(),
            "isa": cr.info()["isa"],
            "system": system,
        },
        "versions": versions(),
        "effort": asdict(effort),
        "rows": rows,
    }
    if options.json:
        Path(options.json).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(markdown(data), end="")
    return 1 if any(row["problem"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
