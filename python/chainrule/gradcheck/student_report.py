"""What a student reads: what is missing, a table, the mistake, and what to look at next."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .report import GradientCheck, count
from .student_arrays import Leaf, numbered

if TYPE_CHECKING:
    from .student import Run
    from .student_file import StudentFile

# What the derivatives of z^l may be called in a file.
DELTAS = ("delta{}", "delta_{}", "d{}", "dz{}", "dZ{}")


@dataclass(frozen=True, eq=False)
class StudentCheck:
    """The check of a file; prints as the page that its author reads. `run` is the one shown."""

    passed: bool
    text: str
    check: GradientCheck
    diagnosis: str

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return self.text


def written(file: StudentFile, run: Run, runs: list[Run]) -> StudentCheck:
    """The report of a run, the first that failed or the first of all."""
    lines = textwrap.wrap(_subject(file, run), 80)
    if run.check.n_checked:
        lines += [_method(run, runs), "", *_table(run)]
    lines.append("")
    for note in _notes(file, run, runs):
        lines += textwrap.wrap(note, 80)
    if run.diagnosis:
        lines += textwrap.wrap(run.diagnosis, 80)
    if not run.passed:
        lines += textwrap.wrap(f"Next: {_next(file, run)}", 80, subsequent_indent="      ")
    checked = sum(one.check.n_checked for one in runs)
    wrong = sum(not block.passed for block in run.check.blocks)
    if run.passed:
        worst = max(one.check.max_error for one in runs)
        verdict = f"PASSED, {count(checked, 'derivative')}, worst relative error {worst:.1e}"
    else:
        todo = sum("still to do" in problem for problem in run.call.problems)
        what = "still to do" if wrong == todo else "not right"
        verdict = f"FAILED, {wrong} of {count(len(run.check.blocks), 'array')} {what}"
    lines.append(f"{file.name}: {verdict}")
    return StudentCheck(run.passed, "\n".join(lines), run.check, run.diagnosis)


def _subject(file: StudentFile, run: Run) -> str:
    network = run.network
    if network is None:
        return f"{file.name}: backprop, {count(run.parameters.size, 'parameter')}"
    names = ", ".join(network.anatomy.activations)
    return f"{file.name}: network {network.widths} {names}; {network.formula}"


def _method(run: Run, runs: list[Run]) -> str:
    sizes = sorted({one.m for one in runs})
    several = ", ".join(map(str, sizes[:-1])) + " and " if len(sizes) > 1 else ""
    with_ = f"{several}{count(sizes[-1], 'sample')}" if run.passed else count(run.m, "sample")
    return f"Held against (C(theta + h) - C(theta - h)) / 2h of its cost, {with_}:"


def _table(run: Run) -> list[str]:
    rows = [("array", "shape", "", "worst at", "yours", "difference", "error")]
    ranked = []
    for i, (leaf, block, check) in enumerate(
        zip(run.leaves, run.parameters.blocks, run.check.blocks, strict=True)
    ):
        shape, problem = str(leaf.array.shape), run.call.problems[i]
        errors = run.found.errors[block.where]
        wrong = run.found.wrong[block.where]
        if run.call.parts[i] is None:
            kind = "MISSING" if "still to do" in problem else "WRONG"
            row = (leaf.name, shape, kind, "", "", "", "")
        elif check.passed:
            error = f"{check.max_error:.1e}" if check.n_checked else ""
            row = (leaf.name, shape, "right" if error else "unseen", "", "", "", error)
        else:
            size = np.where(np.isnan(errors), -1.0, errors)
            p = int(np.argmax(np.where(wrong, size, -2.0)))
            index = ", ".join(str(int(n)) for n in np.unravel_index(p, leaf.array.shape))
            at = block.where.start + p
            row = (
                leaf.name,
                shape,
                "WRONG",
                f"[{index}]",
                f"{run.got[at] + 0.0:.6g}",
                f"{run.right[at] + 0.0:.6g}",
                f"{size[p]:.1e}",
            )
        key = numbered(leaf.name)
        # From the cost down, as the equations go: a mistake spoils all that comes after it.
        ranked.append(((check.passed, -(key[1] if key else 0), i), row))
    rows += [row for _, row in sorted(ranked, key=lambda one: one[0])]
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    cells = [
        [f"{cell:{'<' if i < 4 else '>'}{max(map(len, column))}}" for cell in column]
        for i, column in enumerate(columns)
    ]
    return ["  ".join(row).rstrip() for row in zip(*cells, strict=True)]


def _notes(file: StudentFile, run: Run, runs: list[Run]) -> list[str]:
    problems = zip(run.leaves, run.call.problems, strict=True)
    notes = [
        problem + "." * (problem[-1] != "?")
        for _, problem in sorted(problems, key=_down)
        if problem
    ]
    if run.call.unknown and any(run.call.problems):
        notes.append(f"grads has {', '.join(run.call.unknown)}, which params has not.")
    if run.network is not None and file.activations is not None:
        said = [str(name) for name in file.activations]
        is_ = run.network.anatomy.activations
        if said != is_:
            notes.append(
                f"ACTIVATIONS says {', '.join(said)}, but the cost is that of {', '.join(is_)}."
            )
    elif run.network is None and file.activations is not None and str(file.loss) == "mse":
        notes.append(
            "The cost is not that of the network which WIDTHS, ACTIVATIONS and LOSS describe, nor "
            "of one with other activations. If that is not meant, look at the forward pass."
        )
    if unused := _unused(run):
        notes.append(f"The cost does not depend on {', '.join(unused)}.")
    passed = [one.m for one in runs if one.passed]
    if not run.passed and 1 in passed and run.m > 1:
        notes.append(
            "With 1 sample all is right: look at what is summed over the samples, and at the "
            "constant in front of the sum."
        )
    zero = [
        block.name
        for block in run.parameters.blocks
        if not run.got[block.where].any() and not run.right[block.where].any()
    ]
    if run.passed and zero:
        notes.append(
            f"All derivatives of {', '.join(zero)} are 0: try other values of the parameters."
        )
    return notes


def _unused(run: Run) -> list[str]:
    """Arrays with a gradient that is not 0, on which the cost does not depend."""
    return [
        block.name
        for block, check in zip(run.parameters.blocks, run.check.blocks, strict=True)
        if not check.passed and check.n_checked and not run.right[block.where].any()
    ]


def _down(one: tuple[Leaf, str]) -> int:
    """From the last layer to the first, as the equations go."""
    key = numbered(one[0].name)
    return -key[1] if key else 0


def _next(file: StudentFile, run: Run) -> str:
    """The one thing to look at: the first equation, in the order of the pass, that went wrong."""
    if file.todo and any("still to do" in problem for problem in run.call.problems):
        name, (tag, line) = min(file.todo.items(), key=lambda one: one[1][1])
        wrong = [b.name for b in run.check.blocks if not b.passed and b.n_checked]
        if not wrong:
            return f"line {line}, {name} = ...: ({tag})."
    if unused := _unused(run):
        return f"the forward pass: is {' and '.join(unused)} left out there?"
    bad = {
        key: problem
        for leaf, block, problem in zip(
            run.leaves, run.check.blocks, run.call.problems, strict=True
        )
        if not block.passed and (key := numbered(leaf.name))
    }
    todo = {key for key, problem in bad.items() if "still to do" in problem}
    if len(todo) < len(bad):  # what is wrong comes before what is not there yet
        bad = {key: problem for key, problem in bad.items() if key not in todo}
    if not bad:
        return "the arrays that are wrong, and the lines that make them."
    L = max(key[1] for leaf in run.leaves if (key := numbered(leaf.name)))
    l = max(layer for _, layer in bad)
    kinds = {kind for kind, layer in bad if layer == l}
    unusable = [kind for kind in kinds if bad[kind, l]]
    if len(kinds) == 2 and not unusable:
        what, tag = "delta", "BP1" if l == L else "BP2"
        names = [form.format(l) for form in DELTAS]
    else:
        kind = (unusable or sorted(kinds))[0]
        what, tag = f"d{kind}", "BP4" if kind == "W" else "BP3"
        names = [f"d{kind}{l}", f"d{kind}_{l}"]
        names += [f"[{quote}{one}{quote}]" for one in (f"{kind}{l}", names[0]) for quote in "\"'"]
    at = next((line for name in names if (line := file.line_with(name))), 0)
    where = f"line {at}: {file.lines[at - 1].strip()[:50]}" if at else f"{what} of layer {l}"
    if len(kinds) == 2 and not unusable:
        above = "" if l == L else f"; all above layer {l} is right"
        return f"{where}. W{l} and b{l} are both wrong, so look at ({tag}){above}."
    if ({"W": "b", "b": "W"}[kind], l) in todo:
        return f"{where}. This is ({tag}); or delta{l} before it, ({'BP1' if l == L else 'BP2'})."
    return f"{where}. This is ({tag})."
