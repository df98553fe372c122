"""How each loss and its slope are written, with symbols and with numbers, as plain text.

One row for each loss. Called by `steps` and `walkthrough`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import reference
from .objective import Objective
from .trace import Trace
from .wording import num, par

Array = NDArray[Any]


@dataclass(frozen=True)
class Wording:
    """One loss.

    Attributes
    ----------
    tag : str
        Of its equation.
    slope : str
        dC/da^L_j but for the constant in front, with {a} and {y} for the symbols; `twice` says
        that the constant is 2/D and not 1/D.
    where, cost : str
        What else stands in it, and in the cost.
    symbols : str
        One share of the cost, as `slope`.
    share : function
        One share of the cost with numbers: of `Written` and the sample and the column, from 0.
    factor : function
        The slope with numbers, as `slope`.
    """

    tag: str
    slope: str
    share: Callable[[Written, int, int], str]
    factor: Callable[[Written, int, int], str]
    where: str = ""
    cost: str = ""
    symbols: str = ""
    twice: bool = False


class Written:
    """The cost of a trace in words."""

    def __init__(self, t: Trace) -> None:
        self.t = t
        self.objective = Objective(t.loss, t.Y, t.weight)
        self.a, self.Y = t.a[t.L].astype(np.float64), self.objective.Y
        self.row = LOSSES[self.objective.name]
        parameters = () if self.objective.custom else self.objective.loss.parameters
        self.parameters: tuple[float, ...] = parameters

    # What the rows are made of

    def difference(self, i: int, j: int) -> str:
        return f"{num(self.a[i, j])} - {par(self.Y[i, j])}"

    def error(self, i: int, j: int) -> float:
        return float(self.a[i, j] - self.Y[i, j])

    def parameter(self, j: int) -> float:
        return self.parameters[j if len(self.parameters) > 1 else 0]

    @property
    def half(self) -> int:
        return int(self.a.shape[1] // 2)

    def variance(self, i: int, j: int) -> float:
        """Of column j of Y."""
        return float(np.exp(self.a[i, self.half + j]) + self.parameters[0])

    def softmax(self, i: int) -> Array:
        below, others, _ = reference._softmax_parts(self.a[i : i + 1])
        return np.asarray(np.exp(below[0]) / (1 + others[0]))

    # What is printed

    @property
    def tag(self) -> str:
        return self.row.tag

    def target(self, unit: str) -> str:
        """The symbol of the target of an output."""
        return f"y_{unit}"

    def constant(self, i: int | None = None) -> str:
        """1/D, 2/D, with w for a weight; with numbers for sample i."""
        custom, weighted = self.objective.custom, self.objective.weight is not None
        if custom:
            return ""
        top = "2" if self.row.twice else "1"
        if i is None:
            return f"{top if top == '2' or not weighted else ''}{' w' * weighted}/D".strip() + " "
        if self.objective.weight is not None:
            w = num(self.objective.weight[i])
            top = f"2 * {w}" if self.row.twice else w
        return f"{top}/{num(self.objective.D)} "

    def slope(self, unit: str) -> str:
        """dC/da^L_j with symbols."""
        L = self.t.L
        return self.constant() + self.row.slope.format(a=f"a^{L}_{unit}", y=f"y_{unit}", j=unit)

    def slope_number(self, i: int, j: int) -> str:
        """dC/da^L_j of a sample with numbers; i and j from 0."""
        return self.constant(i) + self.row.factor(self, i, j)

    @property
    def where(self) -> list[str]:
        """Further lines: what stands in the slope, and D."""
        lines = self.row.where.format(L=self.t.L).splitlines()
        return [*lines, self.divisor] if self.divisor else lines

    @property
    def of_cost(self) -> list[str]:
        """Further lines of the cost: what stands in it."""
        weighted = ["each share times the weight of its sample, D has their sum for m"]
        lines = [self.row.cost] if self.row.cost else []
        return lines + (weighted if self.objective.weight is not None else [])

    @property
    def divisor(self) -> str:
        t, D = self.t, num(self.objective.D)
        if self.objective.custom:
            return ""
        if t.loss.reduction == "sum":
            return "D = 1"
        weighted = self.objective.weight is not None
        rows = str(t.m) if t.weight is None else num(np.sum(t.weight))
        count = "m" if t.loss.reduction == "mean_rows" else t.loss.count
        symbols = count.replace("m", "sum_i w_i") if weighted else count
        numbers = count.replace("m n_L", f"{rows} * {t.n[-1]}").replace("m", rows)
        if t.loss.reduction == "half_mean":
            symbols, numbers = f"2 {symbols}", f"2 * {numbers}"
        return f"D = {symbols} = {numbers} = {D}" if numbers != D else f"D = {symbols} = {D}"

    def values(self) -> Array:
        """The shares of the cost (m, ...), with their weights."""
        v = reference.values(self.a, self.Y, self.objective.loss)
        return v if self.objective.weight is None else self.objective.weight[:, None] * v

    def share_number(self, i: int, j: int) -> str:
        """A share with numbers; i and j from 0."""
        share = self.row.share(self, i, j)
        if self.objective.weight is None:
            return share
        return f"{num(self.objective.weight[i])} * {share}"

    def shares(self, most: int) -> tuple[list[str], int]:
        """The first shares of the cost with numbers, and how many there are."""
        columns = self.values().shape[1]
        places = [(i, j) for i in range(self.t.m) for j in range(columns)][:most]
        return [self.share_number(i, j) for i, j in places], self.t.m * columns

    def cost_number(self, most: int, width: int) -> str:
        """C with numbers: `most` shares, or fewer, as `width` allows, and one at least."""
        if self.objective.custom:
            return f"C = {num(self.t.cost)}"
        rows, count = self.shares(most)
        D = self.objective.D
        while True:
            total = " + ".join(rows) + (" + ..." if count > len(rows) else "")
            line = f"C = {total}" if D == 1 else f"C = 1/{num(D)} ({total})"
            if len(line) <= width or len(rows) == 1:
                return line
            rows.pop()


# The rows


def _errors(template: str) -> Callable[[Written, int, int], str]:
    """With {e} for a - y, {p} for the parameter."""

    def written(w: Written, i: int, j: int) -> str:
        p = num(w.parameter(j)) if w.parameters else ""
        a, product = num(w.a[i, j]), f"{num(w.Y[i, j])} * {par(w.a[i, j])}"
        return template.format(e=w.difference(i, j), p=p, a=a, y=par(w.Y[i, j]), ya=product)

    return written


def _huber(w: Written, i: int, j: int) -> str:
    delta = w.parameter(j)
    if abs(w.error(i, j)) <= delta:
        return f"({w.difference(i, j)})^2/2"
    return f"{num(delta)} * (|{w.difference(i, j)}| - {num(delta)}/2)"


def _cut(w: Written, i: int, j: int) -> str:
    delta = num(w.parameter(j))
    return f"cut({w.difference(i, j)}, -{delta}, {delta})"


def _pinball(w: Written, i: int, j: int) -> str:
    q, low = w.parameter(j), w.error(i, j) < 0
    rate = num(q) if low else f"(1 - {num(q)})"
    return f"{rate} * |{w.difference(i, j)}|"


def _pinball_slope(w: Written, i: int, j: int) -> str:
    q, e = num(w.parameter(j)), w.error(i, j)
    return f"(-{q})" if e < 0 else f"(1 - {q})" if e > 0 else "* 0"


def _log_p(w: Written, i: int, j: int) -> str:
    p, Y = w.softmax(i), w.Y[i]
    classes = np.flatnonzero(Y)
    parts = [
        f"log {num(p[k])}" if Y[k] == 1 else f"{num(Y[k])} * log {num(p[k])}" for k in classes[:4]
    ]
    more = " + ..." if len(classes) > 4 else ""
    text = " + ".join(parts) + more
    return f"(-{text})" if len(parts) == 1 else f"(-({text}))"


def _p_minus_y(w: Written, i: int, j: int) -> str:
    return f"({num(w.softmax(i)[j])} - {par(w.Y[i, j])})"


def _likelihood(w: Written, i: int, j: int) -> str:
    v = num(w.variance(i, j))
    return f"(log {v} + ({w.difference(i, j)})^2/{v})/2"


def _by_mean_or_s(w: Written, i: int, j: int) -> str:
    k = j % w.half
    v = num(w.variance(i, k))
    if j < w.half:
        return f"({w.difference(i, j)})/{v}"
    share = num(np.exp(w.a[i, j]) / w.variance(i, k))
    return f"(1 - ({w.difference(i, k)})^2/{v})/2 * {share}"


def _given(w: Written, i: int, j: int) -> str:
    return num(w.objective.slope(w.a)[i, j])


SQUARE = "({e})^2"
LOSSES: dict[str, Wording] = {
    "mse": Wording(
        "MSE", "({a} - {y})", _errors(SQUARE), _errors("({e})"), symbols="(A - Y)^2", twice=True
    ),
    "mae": Wording(
        "MAE", "sign({a} - {y})", _errors("|{e}|"), _errors("sign({e})"), symbols="|A - Y|"
    ),
    "huber": Wording(
        "HUB",
        "cut({a} - {y}, -delta, delta)",
        _huber,
        _cut,
        symbols="huber(A - Y)",
        cost="huber(e) = e^2/2 for |e| <= delta, else delta (|e| - delta/2)",
    ),
    "log_cosh": Wording(
        "LCH",
        "tanh({a} - {y})",
        _errors("log cosh({e})"),
        _errors("tanh({e})"),
        symbols="log cosh(A - Y)",
    ),
    "quantile": Wording(
        "QTL",
        "c_{j}",
        _pinball,
        _pinball_slope,
        symbols="max(q (Y - A), (q - 1) (Y - A))",
        where="c_j = 1 - q for a^{L}_j > y_j, -q for a^{L}_j < y_j",
    ),
    "poisson": Wording(
        "POI",
        "(exp({a}) - {y})",
        _errors("(exp({a}) - {ya})"),
        _errors("(exp({a}) - {y})"),
        symbols="(exp(A) - Y * A)",
    ),
    "binary_cross_entropy": Wording(
        "BCE",
        "(sigmoid({a}) - {y})",
        _errors("(log(1 + exp({a})) - {ya})"),
        _errors("(sigmoid({a}) - {y})"),
        symbols="(log(1 + exp(A)) - Y * A)",
    ),
    "cross_entropy": Wording(
        "CE",
        "(p_{j} - {y})",
        _log_p,
        _p_minus_y,
        symbols="(-Y * log p_j)",
        where="p_j = exp(a^{L}_j) / sum_k exp(a^{L}_k)  the softmax of the sample's outputs",
    ),
    "gaussian_nll": Wording(
        "NLL",
        "c_{j}",
        _likelihood,
        _by_mean_or_s,
        symbols="(log v + (A - Y)^2/v)/2",
        where=(
            "c_j = e/v  for a mean, e being answer less target\n"
            "c_j = (1 - e^2/v)/2 exp(s)/v  for its log-variance s, v = exp(s) + eps"
        ),
        cost="v = exp(s) + eps  with s, the log-variances, in the second half of the outputs",
    ),
    "": Wording("C", "as the loss gives it", _given, _given),
}
