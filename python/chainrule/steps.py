"""The steps of an explanation: the equations from the cost back to one parameter, with numbers.

Each step is a formula and the same with numbers, as lines of plain text. Called by `explanation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .evidence import cost_slope, slope
from .loss_wording import Written
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


class Steps:
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
        written = Written(t)
        ends, unit = cost_slope(t), self.index(L)
        lines = []
        for q in self.units(L):
            end, numbers = num(ends[self.i, q - 1]), written.slope_number(self.i, q - 1)
            lines.append(
                f"dC/da^{L}_{q} = " + (numbers if numbers == end else f"{numbers} = {end}")
            )
        formula = f"dC/da^{L}_{unit} = {written.slope(unit)}  ({written.tag})"
        formula = "\n".join([formula, *written.where])
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
