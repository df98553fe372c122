"""A small network by hand: forward, cost, the four equations and one step of gradient descent.

`walk` writes each formula with its numbers, what the core computed, and a check that shares no line
with the core: the NumPy reference, or a difference of its cost. It works on copies. Called by the
command line (`chainrule explain --example`) and by users.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import reference
from .errors import DivergedError, real
from .evidence import RTOL, difference, slope
from .layers import Dense
from .loss_wording import Written
from .losses import LossLike
from .network import Network
from .optimizers import SGD
from .trace import Trace
from .training import Trainer
from .wording import SLOPES, num, par

Array = NDArray[Any]

MOST_TERMS = 4  # of one sum
LONGEST = 96  # of a line with the numbers of the cost
MOST_UNITS = 8  # of one layer
MOST_PARAMETERS = 16  # of one layer
WIDTH = 66  # of the column of formulas
HALVINGS = 3
LARGEST = 100_000  # samples times parameters: all is computed some hundred times


def example() -> tuple[Network, Array, Array]:
    """The network of the walkthrough, 2-2-2 with sigmoid, and one sample for it.

    Returns
    -------
    net : Network
        float64, its parameters are short decimal numbers.
    X, Y : ndarray, shape (1, 2)

    Examples
    --------
    >>> net, X, Y = example()
    >>> net
    Network 2-2-2 sigmoid, sigmoid | float64 | 12 parameters
    """
    net = Network([Dense(2, "sigmoid"), Dense(2, "sigmoid")], n_inputs=2, dtype="float64")
    net.W[1] = [[0.5, -0.25], [-0.5, 0.75]]
    net.b[1] = [0.5, 0.25]
    net.W[2] = [[1.0, -0.5], [0.5, 0.25]]
    net.b[2] = [0.25, -0.5]
    return net, np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]])


def walk(
    net: Network,
    X: Any,
    Y: Any,
    learning_rate: float = 0.5,
    loss: LossLike = "mse",
    sample_weight: Any = None,
) -> str:
    """The whole calculation of one step of gradient descent, as text.

    Parameters
    ----------
    net : Network
        It is not changed. Of a large one, the first units and parameters of each layer are shown.
    X : array_like, shape (m, n_0), or (n_0,) for one sample
    Y : array_like, shape (m, n_L), or (m,) for one output
        Of several samples, the numbers of the first are shown; sums go over all.
    learning_rate : float
        As for `SGD`.
    loss, sample_weight
        As for `net.gradient`.

    Returns
    -------
    str
        Lines of some 100 characters, without a last line end.

    Raises
    ------
    TypeError, ValueError
        An argument is not as above, or there are more than 100,000 samples times parameters.
    DivergedError
        The cost or a derivative is not finite, or the step leaves the finite numbers.

    Examples
    --------
    >>> print(walk(*example()).splitlines()[0])
    One step of gradient descent by hand: network 2-2-2, sigmoid, sigmoid
    """
    t = net.trace(X, Y, loss, sample_weight)
    if t.m * net.n_parameters > LARGEST:
        raise ValueError(
            f"walk writes small calculations, samples times parameters at most {LARGEST}; "
            f"got {t.m} * {net.n_parameters}: take fewer rows, or net.trace(X, Y).explain(l, j, k)"
        )
    parts = [part for group in (t.z, t.delta, t.dW, t.db) for part in group]
    if not math.isfinite(t.cost) or not all(np.isfinite(part).all() for part in parts):
        raise DivergedError(
            "a number of the passes is not finite: X, Y or the parameters are too large; "
            "net.trace(X, Y) shows where"
        )
    page = _Page(t, SGD(real(learning_rate, "learning_rate")).first_rate)
    blocks = [
        _start(t),
        page.forward(),
        page.cost(),
        page.errors(),
        page.biases(),
        page.weights(),
        page.descent(),
        page.prediction(net),
    ]
    lines = [line for block in blocks for line in (*block, "")]
    if page.wrong:
        lines.append(f"{page.wrong} of {page.checks} checks DIFFER; see the lines above.")
    else:
        lines.append(f"All {page.checks} checks agree.")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Line:
    """One line of a table: formula with numbers, the core's number, the check, do they agree."""

    formula: str
    number: float
    check: float
    agrees: bool
    note: str = ""


class _Page:
    """The tables of one trace, with the numbers of its first sample."""

    def __init__(self, t: Trace, learning_rate: float) -> None:
        self.t, self.learning_rate = t, learning_rate
        self.wrong = self.checks = 0
        self.W = [None, *(w.astype(np.float64) for w in t.W)]
        self.b = [None, *(b.astype(np.float64) for b in t.b)]
        self.X = t.a[0].astype(np.float64)
        self.z, self.a = reference.forward(self.W, self.b, t.activations, self.X)
        self.written = Written(t)
        self.objective = self.written.objective
        # float32 rounds every number and all that it is made of.
        self.rtol = RTOL if t.W[1].dtype == np.float64 else 1e-3

    def forward(self) -> list[str]:
        t = self.t
        lines: list[str | _Line] = []
        for l in range(1, t.L + 1):
            a, name, units = t.a[l - 1][0], t.activations[l - 1], range(self.shown(l))
            for j in units:
                w, b = t.W[l][j], t.b[l][j]
                formula = f"z^{l}_{j + 1} = {_products(w, a)} + {par(b)}"
                size = float(np.abs(w) @ np.abs(a)) + abs(float(b))
                lines.append(self.line(formula, t.z[l][0, j], self.z[l][0, j], size))
            for j in units:
                formula = f"a^{l}_{j + 1} = {name}({num(t.z[l][0, j])})"
                size = abs(float(self.z[l][0, j]))
                lines.append(self.line(formula, t.a[l][0, j], self.a[l][0, j], size))
            slopes, right = slope(t, l)[0], reference.ACTIVATIONS[name][1](self.z[l][0])
            for j in units if name != "identity" else ():
                text = SLOPES[name][1].format(a=par(t.a[l][0, j])) or num(slopes[j])
                # a (1 - a) and 1 - a^2 lose their digits where a is near 1: absolute there
                lines.append(self.line(f"f'(z^{l}_{j + 1}) = {text}", slopes[j], right[j], 1.0))
            lines += self.more(l)
        formulas = [
            "z^l_j = sum_k w^l_j,k a^{l-1}_k + b^l_j  (Z), a^0 is the input",
            "a^l_j = f(z^l_j)  (A)",
            *(f"f'(z) = {SLOPES[name][0]}  ({name})" for name in dict.fromkeys(t.activations)),
        ]
        return self.table(f"1. Forward{self.at()}", formulas, "NumPy reference", lines)

    def cost(self) -> list[str]:
        t, written = self.t, self.written
        formula, size = written.cost_number(MOST_TERMS, LONGEST), self.objective.size(self.a[-1])
        lines: list[str | _Line] = [
            self.line(formula, t.cost, self.objective.cost(self.a[-1]), size)
        ]
        formulas = [f"{t.loss.formula}  ({written.tag})", *written.of_cost]
        return self.table("2. Cost", formulas, "NumPy reference", lines)

    def errors(self) -> list[str]:
        t = self.t
        lines: list[str | _Line] = []
        slope_of_cost = self.written.slope("j")
        formulas = [
            f"delta^{t.L}_j = dC/dz^{t.L}_j = {slope_of_cost} f'(z^{t.L}_j)  (BP1)",
            *self.written.where,
        ]
        if t.L > 1:
            formulas.append(
                "delta^l_k = dC/dz^l_k = (sum_j w^{l+1}_j,k delta^{l+1}_j) f'(z^l_k)  (BP2)"
            )
        for l in range(t.L, 0, -1):
            slopes = slope(t, l)[0]
            for j in range(self.shown(l)):
                if l == t.L:
                    arriving = self.written.slope_number(0, j)
                else:
                    arriving = f"({_products(t.W[l + 1][:, j], t.delta[l + 1][0])})"
                formula = f"delta^{l}_{j + 1} = {arriving} * {par(slopes[j])}"
                lines.append(self.error(l, j, formula))
            lines += self.more(l)
        return self.table(f"3. Backward{self.at()}", formulas, "difference of C", lines)

    def error(self, l: int, j: int, formula: str) -> _Line:
        """delta^l_j of the first sample against the difference of C when z^l_j alone moves."""
        t = self.t
        h = 6.06e-6 * max(1.0, abs(float(self.z[l][0, j])))
        f = reference.ACTIVATIONS[t.activations[l - 1]][0]
        costs, signs, ends = [], [], []
        for step in (h, -h):
            z = self.z[l].copy()
            z[0, j] += step
            above = reference.forward(
                [None, *self.W[l + 1 :]], [None, *self.b[l + 1 :]], t.activations[l:], f(z)
            )
            costs.append(float(self.objective.cost(above[1][-1])))
            sides = self.objective.sides(above[1][-1])
            signs.append([(part[:1] > 0).tolist() for part in (z, *above[0][1:])])
            ends.append(sides[:1].tolist())
        check = (costs[0] - costs[1]) / (2 * h)
        number = float(t.delta[l][0, j])
        rectified = any(name in ("relu", "leaky_relu") for name in t.activations[l - 1 :])
        if rectified and signs[0] != signs[1]:
            return _Line(formula, number, check, True, "kink: no derivative at z = 0")
        if ends[0] != ends[1]:
            return _Line(formula, number, check, True, "kink of the loss: no derivative")
        # What a difference cannot see: the cost has some 16 digits.
        size = 2e-15 * self.objective.size(self.a[-1]) / h / self.rtol
        return self.line(formula, number, check, size)

    def biases(self) -> list[str]:
        t, sums = self.t, self.t.m > 1
        lines: list[str | _Line] = []
        for l in range(1, t.L + 1):
            for j in range(self.shown(l)):
                terms = _sum([num(d) for d in t.delta[l][:MOST_TERMS, j]], t.m)
                lines.append(self.derivative(f"dC/db^{l}_{j + 1} = {terms}", l, j + 1, None))
            lines += self.more(l)
        formula = "dC/db^l_j = sum_i delta^l_j(i)" if sums else "dC/db^l_j = delta^l_j"
        return self.table(
            "4. The derivatives by the biases", [f"{formula}  (BP3)"], "difference of C", lines
        )

    def weights(self) -> list[str]:
        t, sums = self.t, self.t.m > 1
        lines: list[str | _Line] = []
        for l in range(1, t.L + 1):
            for j, k in self.places(l):
                pairs = zip(t.delta[l][:MOST_TERMS, j], t.a[l - 1][:MOST_TERMS, k], strict=True)
                terms = _sum(
                    [f"{par(d) if i else num(d)} * {par(a)}" for i, (d, a) in enumerate(pairs)], t.m
                )
                formula = f"dC/dw^{l}_{j + 1},{k + 1} = {terms}"
                lines.append(self.derivative(formula, l, j + 1, k + 1))
            lines += _more(t.n[l] * t.n[l - 1], MOST_PARAMETERS, f"weights of layer {l}")
        formula = "dC/dw^l_j,k = sum_i delta^l_j(i) a^{l-1}_k(i)"
        if not sums:
            formula = "dC/dw^l_j,k = delta^l_j a^{l-1}_k"
        return self.table(
            "5. The derivatives by the weights",
            [f"{formula}  (BP4)"],
            "difference of C",
            lines,
        )

    def derivative(self, formula: str, l: int, j: int, k: int | None) -> _Line:
        t = self.t
        value = float(t.db[l][j - 1] if k is None else t.dW[l][j - 1, k - 1])
        found = difference(t, l, j, k, value)
        note = "kink: no derivative at z = 0" if found.kink else ""
        return _Line(formula, value, found.value, found.agrees or found.kink, note)

    def descent(self) -> list[str]:
        """The new parameters from the core's own step, against (GD) in NumPy."""
        t, eta = self.t, self.learning_rate
        after = self.twin(eta)
        lines: list[str | _Line] = []
        for l in range(1, t.L + 1):
            places: list[tuple[int, int | None]] = [*self.places(l)]
            places += [(j, None) for j in range(self.shown(l))]
            for j, k in places:
                old, g = (t.b[l][j], t.db[l][j]) if k is None else (t.W[l][j, k], t.dW[l][j, k])
                new = after.b[l][j] if k is None else after.W[l][j, k]
                name = f"b^{l}_{j + 1}" if k is None else f"w^{l}_{j + 1},{k + 1}"
                right = reference.sgd(np.float64(old), np.float64(g), eta)
                formula = f"{name} = {num(old)} - {num(eta)} * {par(g)}"
                lines.append(self.line(formula, float(new), float(right)))
            lines += _more(t.n[l] * t.n[l - 1], MOST_PARAMETERS, f"weights of layer {l}")
            lines += self.more(l)
        formulas = [f"theta = theta - eta dC/dtheta  (GD), learning rate eta = {num(eta)}"]
        return self.table("6. One step of gradient descent", formulas, "NumPy reference", lines)

    def prediction(self, net: Network) -> list[str]:
        """What the derivatives promised, and what the cost did."""
        t = self.t
        norm = sum(float(np.sum(g.astype(np.float64) ** 2)) for part in (t.dW, t.db) for g in part)
        lines = [
            "7. The cost after the step",
            "   C changes by about -eta |dC/dtheta|^2, the sum of the squares of all derivatives",
            f"   |dC/dtheta|^2 = {num(norm)}",
            "",
        ]
        rows = [("eta", "predicted C", "C after the step", "check: reference", "error")]
        errors: list[float] = []
        for halving in range(HALVINGS):
            eta = self.learning_rate / 2**halving
            after = self.twin(eta)
            W = [None, *(w.astype(np.float64) for w in after.W)]
            b = [None, *(v.astype(np.float64) for v in after.b)]
            a = reference.forward(W, b, t.activations, self.X)[1]
            right = float(self.objective.cost(a[-1]))
            cost, predicted = after.cost(t.a[0], t.Y, t.loss, t.weight), t.cost - eta * norm
            errors.append(cost - predicted)
            self.checks += 1
            agrees = self.near(cost, right, self.objective.size(a[-1]))
            self.wrong += not agrees
            check = num(right) if agrees else f"{num(right)} DIFFERS"
            rows.append((num(eta), num(predicted), num(cost), check, f"{cost - predicted:.2e}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("   " + "  ".join(cells).rstrip())
        lines += [
            "",
            f"   Before the step C = {num(t.cost)}. The prediction is the tangent of C: of a",
            "   small step, half the step has a quarter of the error.",
        ]
        if any(
            not 2.5 * abs(half) <= abs(whole) <= 6 * abs(half) for whole, half in pairwise(errors)
        ):
            lines.append(
                "   These steps are not small in that sense, or so small that rounding hides it."
            )
        return lines

    def twin(self, eta: float) -> Network:
        """The network of the trace after one step of the core with this learning rate."""
        t = self.t
        layers = [Dense(n, name) for n, name in zip(t.n[1:], t.activations, strict=True)]
        twin = Network._zeros(layers, t.n[0], t.W[1].dtype)
        for l in range(1, t.L + 1):
            twin.W[l] = t.W[l]
            twin.b[l] = t.b[l]
        Trainer(twin, optimizer=SGD(learning_rate=eta), loss=t.loss).step(t.a[0], t.Y, t.weight)
        return twin

    def table(
        self, title: str, formulas: list[str], oracle: str, lines: list[str | _Line]
    ) -> list[str]:
        """A titled block: the equations, then formula, number and check in three columns."""
        rows = [line for line in lines if isinstance(line, _Line)]
        width = min(max(len(row.formula) for row in rows), WIDTH)
        numbers = max(6, *(len(num(row.number)) for row in rows))
        block = [title, *(f"   {formula}" for formula in formulas), ""]
        block.append(f"   {'':{width}}    {'number':{numbers}}   check: {oracle}")
        for line in lines:
            if isinstance(line, str):
                block.append(f"   {line}")
                continue
            self.checks += 1
            self.wrong += not line.agrees
            note = line.note if line.agrees else "DIFFERS"
            formula = line.formula
            if len(formula) > width:  # a line of its own
                block.append(f"   {formula}")
                formula = ""
            numbered = f"{formula:{width}}  = {num(line.number):{numbers}}   {num(line.check)}"
            block.append(f"   {numbered}  {note}".rstrip())
        return block

    def line(self, formula: str, number: Any, check: Any, size: float = 0.0) -> _Line:
        number, check = float(number), float(check)
        return _Line(formula, number, check, self.near(number, check, size))

    def near(self, number: float, check: float, size: float = 0.0) -> bool:
        """Equal but for rounding; `size` is that of the terms when they cancel."""
        return abs(number - check) <= self.rtol * max(abs(number), abs(check), size)

    def shown(self, l: int) -> int:
        return min(self.t.n[l], MOST_UNITS)

    def more(self, l: int) -> list[str]:
        return _more(self.t.n[l], MOST_UNITS, f"units of layer {l}")

    def places(self, l: int) -> list[tuple[int, int]]:
        """The first weights of layer l, row by row."""
        columns = self.t.n[l - 1]
        count = min(self.t.n[l] * columns, MOST_PARAMETERS)
        return [divmod(p, columns) for p in range(count)]

    def at(self) -> str:
        return " with sample 1" if self.t.m > 1 else ""


def _start(t: Trace) -> list[str]:
    names = ", ".join(t.activations)
    x, y = (", ".join(map(num, part[0][:MOST_UNITS])) for part in (t.a[0], t.Y))
    dots = [", ..." if n > MOST_UNITS else "" for n in (t.n[0], t.n[-1])]
    count = sum(w.size for part in (t.W, t.b) for w in part)
    lines = [
        f"One step of gradient descent by hand: network {'-'.join(map(str, t.n))}, {names}",
        f"{count} parameters in {t.W[1].dtype}; {t.m} {'sample' if t.m == 1 else 'samples'}",
        f"{'the first: ' if t.m > 1 else ''}x = ({x}{dots[0]}), y = ({y}{dots[1]})",
    ]
    if t.scaling is not None:
        lines.append("All numbers are in standardised units (net.scaling).")
    return lines


def _products(left: Array, right: Array) -> str:
    """The sum of the products of two vectors."""
    pairs = zip(left[:MOST_TERMS], right[:MOST_TERMS], strict=True)
    terms = [f"{par(p) if i else num(p)} * {par(q)}" for i, (p, q) in enumerate(pairs)]
    return _sum(terms, len(left))


def _sum(terms: list[str], count: int) -> str:
    first, *rest = terms
    signed = "".join(f" + ({r})" if r.startswith("-") and "*" not in r else f" + {r}" for r in rest)
    return first + signed + (" + ..." if count > len(terms) else "")


def _more(count: int, shown: int, what: str) -> list[str]:
    return [f"... and {count - shown} more {what}"] if count > shown else []
