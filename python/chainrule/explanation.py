"""One derivative explained: where each factor comes from, its number, and how it was checked.

`explain(trace, l, j, k)` stands behind `Trace.explain`. The lines are written once, as plain text;
`latex` says them in LaTeX. Called by users and by reports.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import whole_number
from .evidence import MOST_PATHS, Difference, Path, count_paths, difference, objective_of
from .evidence import paths as walk_paths
from .steps import Step, Steps
from .trace import Trace
from .wording import MOST_LINES, aligned, cut, num, par

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """One derivative with everything that it is made of, from `Trace.explain`.

    Attributes
    ----------
    name : str
        "dC/dw^1_2,1" or "dC/db^1_2".
    l, j, k : int
        Numbered from 1; k is None for a bias.
    value : float
        The very number of `trace.dW[l][j - 1, k - 1]` or `trace.db[l][j - 1]`.
    steps : tuple of Step
        From the cost back to the parameter.
    check : float
        The central difference, from the NumPy reference in float64.
    check_error : float
        |value - check| relative to the larger of both. Below what a difference can resolve, it
        is relative to a million times that instead.
    agrees : bool
        The two are as near to each other as rounding allows. At a kink they need not be.
    kink : bool
        A relu or leaky_relu unit, or an error at a kink of the loss, changes sides within the
        difference: no derivative exists there, and a convention such as relu'(0) = 0 gives `value`.
    paths : tuple of Path
        All ways from the parameter to the cost; () when there are more than 1000.
    n_paths : int
        Their number, m n_{l+1} ... n_L.
    path_sum : float or None
        The sum of their values; None when they are not listed.
    text : str
        What `print` shows.
    latex : str
        An `aligned` block.
    """

    name: str
    l: int
    j: int
    k: int | None
    value: float
    steps: tuple[Step, ...]
    check: float
    check_error: float
    agrees: bool
    kink: bool
    paths: tuple[Path, ...]
    n_paths: int
    path_sum: float | None
    text: str = field(repr=False)
    latex: str = field(repr=False)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{self.name} = {self.value!r}; print it for the explanation>"


def explain(t: Trace, l: int, j: int, k: int | None = None) -> Explanation:
    """See `Trace.explain`."""
    l = _within(l, "l", t.L, "the layers of this network are numbered {} to {}")
    j = _within(j, "j", t.n[l], f"the units of layer {l} are numbered {{}} to {{}}")
    if k is not None:
        source = "the inputs" if l == 1 else f"the units of layer {l - 1}"
        k = _within(k, "k", t.n[l - 1], f"{source} are numbered {{}} to {{}}")
    parameter = f"b^{l}_{j}" if k is None else f"w^{l}_{j},{k}"
    name = f"dC/d{parameter}"
    value = float(t.db[l][j - 1] if k is None else t.dW[l][j - 1, k - 1])

    found = difference(t, l, j, k, value)
    n_paths = count_paths(t, l)
    listed = tuple(walk_paths(t, l, j, k)) if n_paths <= MOST_PATHS else ()
    path_sum = _sum(path.value for path in listed) if listed else None
    with np.errstate(all="ignore"):
        made = Steps(t, l, j, k, name, value)
        steps = made.all()
    head = _head(t, l, j, k, name, value, made.i)
    end = [
        *_meaning(name, parameter, value),
        *_check(t, found, value),
        *_paths(t, l, listed, n_paths, path_sum, value),
    ]
    body = []
    for number, step in enumerate(steps, 1):
        body += ["", f"{number}. {step.title}"]
        body += [f"   {line}" for line in (step.formula + "\n" + step.numbers).splitlines()]
    rows = [line for step in steps for line in (step.formula + "\n" + step.numbers).splitlines()]
    rows.append(f"{name} = {value!r}")
    return Explanation(
        name,
        l,
        j,
        k,
        value,
        steps,
        found.value,
        found.error,
        found.agrees,
        found.kink,
        listed,
        n_paths,
        path_sum,
        "\n".join([*head, *body, "", *end]),
        aligned(rows),
    )


def _within(number: Any, name: str, most: int, allowed: str) -> int:
    value = whole_number(number, name, least=-(2**63))
    if not 1 <= value <= most:
        raise ValueError(f"{name} must be from 1 to {most}: {allowed.format(1, most)}; got {value}")
    return value


def _head(t: Trace, l: int, j: int, k: int | None, name: str, value: float, i: int) -> list[str]:
    unit = f"unit {j} of layer {l} ({t.activations[l - 1]})"
    if k is None:
        what = f"The bias of {unit}: b^{l}_{j} = {num(t.b[l][j - 1])}"
    else:
        source = f"input {k}" if l == 1 else f"unit {k} of layer {l - 1}"
        what = f"The weight from {source} to {unit}: w^{l}_{j},{k} = {num(t.W[l][j - 1, k - 1])}"
    lines = [
        f"{name} = {value!r}",
        what,
        f"{t.m} {'sample' if t.m == 1 else 'samples'}; {t.loss.formula} = {num(t.cost)}",
    ]
    if t.m > 1:
        lines.append(
            f"Numbers are those of sample {i + 1}, the largest term; the last step adds all."
        )
    if t.scaling is not None:
        lines.append("All values are in standardised units (net.scaling).")
    broken = [
        f"{symbol}[{q}]"
        for symbol in ("z", "a", "delta")
        for q, part in enumerate(getattr(t, symbol), 0 if symbol == "a" else 1)
        if not np.isfinite(part).all()
    ]
    if broken:
        lines.append(f"Not all numbers are finite: look at t.{broken[0]} first.")
    return lines


def _meaning(name: str, parameter: str, value: float) -> list[str]:
    if not math.isfinite(value):
        return [f"Value      {name} = {value!r}"]
    if value == 0:
        meaning = f"a small change of {parameter} does not change the cost"
    else:
        way = "lowers" if value > 0 else "raises"
        meaning = f"(GD) {way} {parameter}, and the cost falls"
    return [f"Value      {name} = {value!r}", f"           {meaning}"]


def _check(t: Trace, found: Difference, value: float) -> list[str]:
    lines = [
        f"Check      (C(+h) - C(-h)) / 2h = {found.value!r}, h = {num(found.h)}, NumPy in float64",
    ]
    if found.kink:
        lines.append(
            "           a relu or leaky_relu unit changes sides within h: at z = 0 there is"
            if not objective_of(t).sides(t.a[t.L]).size
            else "           an error or a relu unit changes sides within h: at a kink there is"
        )
        lines.append(
            "           no derivative, f'(0) is a convention, and the two numbers may differ"
        )
    elif not math.isfinite(found.value) or not math.isfinite(value):
        lines.append("           nothing can be checked: a number is not finite")
    elif found.agrees and value == found.value:
        lines.append("           equal")
    elif found.agrees:
        distance = abs(value - found.value) / max(abs(value), abs(found.value))
        if distance <= 1e-4:
            lines.append(f"           they agree, relative difference {distance:.1e}")
        else:
            lines.append("           they agree as far as a difference can tell (rounding)")
    else:
        lines.append(f"           THEY DO NOT AGREE, relative difference {found.error:.1e}")
    return lines


def _paths(
    t: Trace, l: int, listed: Sequence[Path], count: int, total: float | None, value: float
) -> list[str]:
    if total is None:
        widths = " * ".join(f"{n}" for n in t.n[l + 1 :])
        counted = f"m = {t.m} samples, {widths} units above"
        if t.L - l > 4:
            counted = f"m n_{l + 1} ... n_{t.L}"
        return [
            f"Paths      {_count(count)} paths from the parameter to the cost ({counted}): too",
            "           many to list; (BP1) and (BP2) add them up layer by layer",
        ]
    noun = "path" if count == 1 else "paths"
    lines = [f"Paths      {count} {noun} from the parameter to the cost; each is a product"]
    symbols = " * ".join(symbol for symbol, _ in listed[0].factors)
    if count > 1:
        symbols = f"the first: {symbols}"
    lines += textwrap.wrap(symbols, 86, initial_indent=11 * " ", subsequent_indent=15 * " ")
    rows = []
    for path in listed[:MOST_LINES]:
        sample = f"sample {path.sample}, " if t.m > 1 else ""
        route = " -> ".join(str(unit) for unit in path.units)
        units = f"unit {route}" if len(path.units) == 1 else f"units {route}"
        first, *rest = (factor for _, factor in path.factors)
        numbers = " * ".join([num(first), *(par(factor) for factor in rest)])
        rows.append(f"{sample}{units}: {numbers} = {num(path.value)}")
    rows = cut(rows, np.array([path.value for path in listed]))
    for row in rows:
        lines += textwrap.wrap(row, 86, initial_indent=11 * " ", subsequent_indent=15 * " ")
    lines.append(f"           sum over all paths = {total!r}")
    return lines


def _sum(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"about 10^{len(str(number)) - 1}"
