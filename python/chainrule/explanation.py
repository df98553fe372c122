"""One derivative explained: where each factor comes from, its number, and how it was checked.

`explain(trace, l, j, k)` stands behind `Trace.explain`. The lines are written once, as plain text;
`latex` says them in LaTeX. Called by users, by `walkthrough` and by reports.
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
from .evidence import MOST_PATHS, Difference, Path, cost_slope, count_paths, difference, slope
from .evidence import paths as walk_paths
from .trace import Trace
from .wording import MOST_LINES, SLOPES, aligned, cut, num, par

Array = NDArray[Any]


@dataclass(frozen=True)
class Step:
    """One step of an explanation.

    Attributes
    ----------
    title : str
    formula, numbers : str
        The equation with symbols and with numbers, as lines of plain text.
    value : float
        What the step gives; when it has a line for each of several units, that of the last line.
    """

    title: str
    formula: str
    numbers: str
    value: float

    @property
    def latex(self) -> str:
        """Formula and numbers as an `aligned` block of LaTeX."""
        return aligned([*self.formula.splitlines(), *self.numbers.splitlines()])


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
        A relu or leaky_relu unit changes sides within the difference: no derivative exists there,
        and the convention relu'(0) = 0 gives `value`.
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
        made = _Steps(t, l, j, k, name, value)
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


class _Steps:
    """The steps from the cost back to one parameter, with the numbers of one sample.

    That sample is the one that contributes most; the last step has them all.
    """

    def __init__(self, t: Trace, l: int, j: int, k: int | None, name: str, value: float) -> None:
        self.t, self.l, self.j, self.k, self.name, self.value = t, l, j, k, name, value
        self.delta = t.delta[l][:, j - 1].astype(np.float64)
        self.source = np.ones(t.m) if k is None else t.a[l - 1][:, k - 1].astype(np.float64)
        self.shares = self.delta * self.source
        sizes = np.abs(self.shares)
        self.i = int(np.argmax(np.where(np.isnan(sizes), np.inf, sizes)))

    def all(self) -> tuple[Step, ...]:
        layers = list(range(self.t.L - 1, self.l - 1, -1))
        steps = [self.cost(), self.output()]
        if len(layers) > MOST_LINES:  # a deep network: its middle is one step
            half = MOST_LINES // 2
            steps += [self.layer(q) for q in layers[:half]]
            steps.append(self.between(layers[half:-half]))
            layers = layers[-half:]
        steps += [self.layer(q) for q in layers]
        if self.k is not None:
            steps.append(self.input())
        return (*steps, self.derivative())

    def units(self, q: int) -> list[int]:
        """The units of layer q that matter and are shown."""
        if q == self.l:
            return [self.j]
        return list(range(1, min(self.t.n[q], MOST_LINES) + 1))

    def more(self, q: int) -> list[str]:
        left = self.t.n[q] - MOST_LINES
        return [f"... and {left} more units"] if q > self.l and left > 0 else []

    def index(self, q: int) -> str:
        """How a formula names a unit of layer q: by its number when there is just one."""
        return str(self.j) if q == self.l else "j"

    def at(self) -> str:
        return f" (sample {self.i + 1})" if self.t.m > 1 else ""

    def cost(self) -> Step:
        t, L = self.t, self.t.L
        D = t.loss.divisor(*t.Y.shape)
        ends, unit = cost_slope(t), self.index(L)
        lines = [
            f"dC/da^{L}_{q} = 2/{D} ({num(t.a[L][self.i, q - 1])} - {par(t.Y[self.i, q - 1])})"
            f" = {num(ends[self.i, q - 1])}"
            for q in self.units(L)
        ]
        formula = f"dC/da^{L}_{unit} = 2/D (a^{L}_{unit} - y_{unit})  (MSE)\n{_divisor(t)}"
        return Step(
            f"How the cost changes with the output{self.at()}",
            formula,
            "\n".join([*lines, *self.more(L)]),
            float(ends[self.i, self.units(L)[-1] - 1]),
        )

    def output(self) -> Step:
        t, L, unit = self.t, self.t.L, self.index(self.t.L)
        ends, slopes = cost_slope(t), slope(t, L)
        lines = []
        for q in self.units(L):
            lines += self.slope_line(L, q, slopes)
            lines.append(
                f"delta^{L}_{q} = {num(ends[self.i, q - 1])} * {par(slopes[self.i, q - 1])}"
                f" = {num(t.delta[L][self.i, q - 1])}"
            )
        formula = (
            f"delta^{L}_{unit} = dC/dz^{L}_{unit} = dC/da^{L}_{unit} f'(z^{L}_{unit})  (BP1)\n"
            f"f'(z) = {SLOPES[t.activations[L - 1]][0]}  {t.activations[L - 1]}"
        )
        return Step(
            f"The error of layer {L}, the last{self.at()}",
            formula,
            "\n".join([*lines, *self.more(L)]),
            float(t.delta[L][self.i, self.units(L)[-1] - 1]),
        )

    def layer(self, q: int) -> Step:
        """(BP2): delta^q from delta^{q+1}."""
        t, i, unit, up = self.t, self.i, self.index(q), q + 1
        slopes = slope(t, q)
        W, above = t.W[up].astype(np.float64), t.delta[up][i].astype(np.float64)
        lines = []
        for u in self.units(q):
            terms = W[:, u - 1] * above
            if q == self.l and len(terms) > 1:
                rows = []
                for r in range(1, min(len(terms), MOST_LINES) + 1):
                    numbers = f"{num(W[r - 1, u - 1])} * {par(above[r - 1])} = {num(terms[r - 1])}"
                    rows.append(f"w^{up}_{r},{u} delta^{up}_{r} = {numbers}")
                lines += cut(rows, terms)
                lines.append(f"sum_r w^{up}_r,{u} delta^{up}_r = {num(terms.sum())}")
                arriving = num(terms.sum())
            elif len(terms) == 1:
                arriving = f"{num(W[0, u - 1])} * {par(above[0])}"
            else:
                arriving = num(terms.sum())
            delta = num(t.delta[q][i, u - 1])
            lines += self.slope_line(q, u, slopes)
            lines.append(f"delta^{q}_{u} = {arriving} * {par(slopes[i, u - 1])} = {delta}")
        formula = (
            f"delta^{q}_{unit} = dC/dz^{q}_{unit}"
            f" = (sum_r w^{up}_r,{unit} delta^{up}_r) f'(z^{q}_{unit})  (BP2)\n"
            f"f'(z) = {SLOPES[t.activations[q - 1]][0]}  {t.activations[q - 1]}"
        )
        return Step(
            f"The error of layer {q}, from layer {up}{self.at()}",
            formula,
            "\n".join([*lines, *self.more(q)]),
            float(t.delta[q][i, self.units(q)[-1] - 1]),
        )

    def between(self, layers: list[int]) -> Step:
        """(BP2) for many layers at once: only how large the error is at the end."""
        top, bottom = layers[0], layers[-1]
        size = float(np.linalg.norm(self.t.delta[bottom][self.i].astype(np.float64)))
        return Step(
            f"The errors of layers {top} to {bottom}, in the same way{self.at()}",
            "delta^q_j = (sum_r w^{q+1}_r,j delta^{q+1}_r) f'(z^q_j)  (BP2)",
            f"|delta^{bottom}| = {num(size)}",
            size,
        )

    def slope_line(self, q: int, unit: int, slopes: Array) -> list[str]:
        t = self.t
        if t.activations[q - 1] == "identity":
            return []
        z, a = t.z[q][self.i, unit - 1], t.a[q][self.i, unit - 1]
        name = t.activations[q - 1]
        numbers = SLOPES[name][1].format(a=par(a))
        middle = f" = {numbers}" if numbers else ""
        reason = ""
        if name in ("relu", "leaky_relu"):
            side = " > 0" if z > 0 else " <= 0" if z < 0 else ""
            reason = f"  since z^{q}_{unit} = {num(z)}{side}"
        elif name in ("gelu", "silu"):
            reason = f"  at z^{q}_{unit} = {num(z)}"
        return [f"f'(z^{q}_{unit}){middle} = {num(slopes[self.i, unit - 1])}{reason}"]

    def input(self) -> Step:
        l, j, k = self.l, self.j, self.k
        what = f"input {k}" if l == 1 else f"the activation of unit {k} of layer {l - 1}"
        return Step(
            f"What the weight multiplies: {what}{self.at()}",
            f"z^{l}_{j} = sum_k w^{l}_{j},k a^{l - 1}_k + b^{l}_{j}  (Z)\n"
            f"dz^{l}_{j}/dw^{l}_{j},{k} = a^{l - 1}_{k}",
            f"a^{l - 1}_{k} = {num(self.source[self.i])}",
            float(self.source[self.i]),
        )

    def derivative(self) -> Step:
        t, l, j, k = self.t, self.l, self.j, self.k
        tag, delta = ("BP3" if k is None else "BP4"), f"delta^{l}_{j}"
        factor = "" if k is None else f" a^{l - 1}_{k}"
        if t.m == 1:
            formula = f"{self.name} = {delta}{factor}  ({tag})"
            numbers = [
                f"{self.name} = {self.product(0)} = {num(self.value)}"
                if k is not None
                else f"{self.name} = {num(self.value)}"
            ]
            title = "The derivative"
        else:
            factor_i = factor and f"{factor}(i)"
            formula = f"{self.name} = sum_i {delta}(i){factor_i}  ({tag})"
            rows = []
            for i in range(min(t.m, MOST_LINES)):
                equal = f" = {num(self.shares[i])}" if k is not None else ""
                rows.append(f"sample {i + 1}: {self.product(i)}{equal}")
            numbers = [*cut(rows, self.shares), f"{self.name} = {num(self.value)}"]
            title = "The derivative: the sum over all samples"
        return Step(title, formula, "\n".join(numbers), self.value)

    def product(self, i: int) -> str:
        if self.k is None:
            return num(self.delta[i])
        return f"{num(self.delta[i])} * {par(self.source[i])}"


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


def _divisor(t: Trace) -> str:
    D = t.loss.divisor(*t.Y.shape)
    return {
        "mean": f"D = m n_L = {t.m} * {t.n[-1]} = {D}",
        "half_mean": f"D = 2 m n_L = 2 * {t.m} * {t.n[-1]} = {D}",
        "sum": "D = 1",
    }[t.loss.reduction]


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
