"""What a neuron says of itself: the page of `Neuron.explain`, and the table of a descent.

Text only: all numbers come from the caller. Called by `neuron`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .losses import MSE

Array = NDArray[Any]

SHOWN_SAMPLES = 8  # rows of a table
SHOWN_INPUTS = 4  # columns x_k of a table
TABLE_WIDTH = 100

SATURATED = 1e-3  # f'(z) of a sigmoid or a tanh below this share of its largest value
UNEVEN = 10  # inputs that differ by more than this want scaling

# f(z), f'(z).
FORMULAS = {
    "identity": ("z", "1"),
    "relu": ("max(0, z)", "1 for z > 0, else 0"),
    "leaky_relu": ("z for z > 0, else 0.01 z", "1 for z > 0, else 0.01"),
    "sigmoid": ("1 / (1 + exp(-z))", "a (1 - a)"),
    "tanh": ("tanh(z)", "1 - a^2"),
    "softplus": ("log(1 + exp(z))", "1 / (1 + exp(-z))"),
    "gelu": ("z Phi(z)", "Phi(z) + z phi(z)"),
    "silu": ("z s(z), s the sigmoid", "s(z) (1 + z s(-z))"),
}
_LARGEST_SLOPE = {"sigmoid": 0.25, "tanh": 1.0}

# For each reduction: the factor of the sum, the factor of a sample, the last row of the table.
_FACTORS = {
    "mean": ("1/m ", "2 ", "mean"),
    "sum": ("", "2 ", "sum"),
    "half_mean": ("1/m ", "", "mean"),
    "mean_rows": ("1/m ", "2 ", "mean"),
}
_COST = {
    "mean": "1/m sum_i (a_i - y_i)^2",
    "sum": "sum_i (a_i - y_i)^2",
    "half_mean": "1/(2 m) sum_i (a_i - y_i)^2",
    "mean_rows": "1/m sum_i (a_i - y_i)^2",
}


class Text(str):
    """A text that a session and a notebook show as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Gradient(Protocol):
    """What `neuron.NeuronGradient` holds for many samples."""

    @property
    def cost(self) -> float: ...
    @property
    def dw(self) -> Array: ...
    @property
    def db(self) -> float: ...
    @property
    def residual(self) -> Any: ...
    @property
    def z(self) -> Any: ...
    @property
    def a(self) -> Any: ...
    @property
    def act_prime(self) -> Any: ...
    @property
    def dw_per_sample(self) -> Array: ...
    @property
    def db_per_sample(self) -> Any: ...


def number(value: float) -> str:
    """Six significant digits, and no sign before a zero."""
    return f"{value + 0.0:.6g}"


def explain(
    w: Array,
    b: float,
    activation: str,
    X: Array,
    y: Array,
    g: Gradient,
    loss: MSE,
    check: list[float] | None = None,
) -> Text:
    """The page of `Neuron.explain`; X is (m, n), y (m,), and `g` has an axis of samples.

    `check` has dC/db and dC/dw_k of the shown inputs, found in another way.
    """
    lines = [
        *_formulas(w, b, activation, g.cost, loss),
        "",
        *_table(X, y, g, loss, check),
        "",
        *_remarks(activation, X, g),
    ]
    return Text("\n".join(lines))


def _formulas(w: Array, b: float, activation: str, cost: float, loss: MSE) -> list[str]:
    n = len(w)
    f, f_prime = FORMULAS[activation]
    whole, each, _ = _FACTORS[loss.reduction]
    sums = (
        " + ".join(f"w_{k} x_{k}" for k in range(1, n + 1))
        if n <= SHOWN_INPUTS
        else (f"w_1 x_1 + ... + w_{n} x_{n}")
    )
    values = [f"w_{k} = {number(w[k - 1])}" for k in range(1, min(n, SHOWN_INPUTS) + 1)]
    if n > SHOWN_INPUTS:
        values.append("...")
    whole_slope = {"sum": "2 ", "half_mean": "1/m "}
    slope = whole_slope.get(loss.reduction, "2/m ")
    steps = [
        ("u_k = w_k x_k", "du_k/dw_k = x_k", ""),
        (f"z = {sums} + b", "dz/du_k = 1, dz/db = 1", "(Z)"),
        (f"a = f(z) = {f}", f"f'(z) = {f_prime}", "(A)"),
        ("e = a - y", "de/da = 1", ""),
        (f"C = {_COST[loss.reduction]}", f"dC/de_i = {slope}e_i", "(MSE)"),
    ]
    width = [max(len(row[k]) for row in steps) for k in (0, 1)]
    return [
        f"A neuron with f = {activation}: {', '.join([*values, f'b = {number(b)}'])}",
        "",
        "From an input to the cost, and the derivative of each step:",
        *(f"  {s:{width[0]}}   {d:{width[1]}}   {tag}".rstrip() for s, d, tag in steps),
        "",
        "The chain rule multiplies them, and adds over the samples:",
        f"  dC/dw_k = {whole}sum_i {each}e_i f'(z_i) x_i,k   (BP1), (BP4)",
        f"  dC/db   = {whole}sum_i {each}e_i f'(z_i)         (BP1), (BP3)",
        "",
        f"C = {number(cost)}. One row per sample; the last columns are what it adds:",
    ]


def _table(X: Array, y: Array, g: Gradient, loss: MSE, check: list[float] | None) -> list[str]:
    m, n = X.shape
    inputs, rows = min(n, SHOWN_INPUTS), min(m, SHOWN_SAMPLES)
    ks = range(1, inputs + 1)
    _, each, last = _FACTORS[loss.reduction]
    way = [
        ["sample", *(f"x_{k}" for k in ks), "y", "z", "a", "e", "f'(z)"],
        *_cells(rows, *X[:rows, :inputs].T, y, g.z, g.a, g.residual, g.act_prime),
    ]
    checks = [] if check is None else [["check", *map(number, check)]]
    added = [
        ["sample", f"{each}e f'(z)", *(f"times x_{k}" for k in ks)],
        *_cells(rows, g.db_per_sample, *g.dw_per_sample[:rows, :inputs].T),
        ["", "dC/db", *(f"dC/dw_{k}" for k in ks)],
        [last, number(g.db), *(number(v) for v in g.dw[:inputs])],
        *checks,
    ]
    totals = 2 + len(checks)
    blank = [""] * (inputs + 5)
    joined = [left + right[1:] for left, right in zip(way, added[:-totals], strict=True)]
    joined += [[row[0], *blank, *row[1:]] for row in added[-totals:]]
    more = [f"   ... and {m - rows} samples more"] if m > rows else []
    if len(_aligned(joined)[0]) <= TABLE_WIDTH:
        lines = _ruled(joined, more, totals)
    else:  # too wide: the way to f'(z) first, then what it adds
        lines = [*_ruled(way, more, 0), "", *_ruled(added, more, totals)]
    if n > inputs:
        lines.append(f"(of {n} inputs the first {inputs} are shown)")
    if checks:
        lines.append(
            "The check: central differences of C. They are rounded, and do not hold at a kink."
        )
    return lines


def _cells(rows: int, *columns: Array) -> list[list[str]]:
    return [[str(i + 1), *(number(column[i]) for column in columns)] for i in range(rows)]


def _ruled(table: Sequence[Sequence[str]], more: list[str], totals: int) -> list[str]:
    """A table with a line below its head, and one above its last `totals` rows."""
    head, *body = _aligned(table)
    rule = "-" * max(map(len, [head, *body]))
    end = len(body) - totals
    return [head, rule, *body[:end], *more, *([rule, *body[end:]] if totals else [])]


def _remarks(activation: str, X: Array, g: Gradient) -> list[str]:
    n = X.shape[1]
    remarks = []
    dead = activation == "relu" and bool((g.z <= 0).all())
    if activation == "relu":
        remarks.append(_activity(dead, g.z))
        kinks = np.flatnonzero(g.z == 0) + 1
        if len(kinks):
            remarks.append(
                f"z is exactly 0 at {_listed('sample', kinks)}: relu has a kink there. "
                "relu'(0) = 0 is the convention; a central difference finds half of the slope on "
                "the right."
            )
    if activation in _LARGEST_SLOPE:
        flat = np.flatnonzero(g.act_prime < SATURATED * _LARGEST_SLOPE[activation]) + 1
        if len(flat):
            smallest = number(g.act_prime.min())
            remarks.append(
                f"Saturated at {_listed('sample', flat)}: f'(z) is almost 0 (down to {smallest}), "
                "so even a large error e moves the weights very little. The neuron is not dead, "
                "only slow."
            )
            if (np.abs(g.a) == 1).any():
                remarks.append(
                    "Where a rounds to 1, the core's f'(z), from a alone, rounds to 0. The table "
                    "has the exact one, so its rows may add up to a little more than the last row."
                )
    zero = np.flatnonzero(~X.any(axis=0)) + 1
    if len(zero):
        names = _listed("x", zero, "_")
        remarks.append(
            f"{names} {'is' if len(zero) == 1 else 'are'} 0 at every sample, and so is the "
            "derivative: that weight does not learn here. This does not make the neuron dead."
        )
    if not dead and n > 1:
        remarks += _magnified(X, g)
    return [line for remark in remarks for line in _wrapped(remark)]


def _activity(dead: bool, z: Array) -> str:
    m, active = len(z), int((z > 0).sum())
    if dead:
        return (
            f"The neuron is dead on these samples: z <= 0 at each of them (the largest z is "
            f"{number(z.max())}), so f'(z) = 0 and every derivative is exactly 0. Gradient descent "
            "on them can never change w or b, however large the errors are."
        )
    return f"Active (z > 0) at {active} of {m} samples; the others add exactly 0."


def _magnified(X: Array, g: Gradient) -> list[str]:
    if len(X) == 1:
        return _ratio(X[0], g) if float(g.db_per_sample[0]) else []
    remarks = [
        "Each row is one error, magnified by its inputs: the same factor stands before every x_k, "
        "so a column of larger x gets larger derivatives."
    ]
    with np.errstate(over="ignore", under="ignore"):
        largest = np.abs(X).max(axis=0)
        sizes = largest * np.sqrt(np.mean((X / np.where(largest > 0, largest, 1)) ** 2, axis=0))
    some = np.flatnonzero(sizes > 0)
    if len(some) > 1:
        low, high = some[np.argmin(sizes[some])], some[np.argmax(sizes[some])]
        if sizes[high] / 10 > sizes[low] * (UNEVEN / 10):
            remarks.append(
                f"The typical size (root mean square) of x_{high + 1} is {number(sizes[high])}, "
                f"that of x_{low + 1} {number(sizes[low])}: one learning rate cannot suit both "
                "weights. Scale the inputs, each column to mean 0 and spread 1."
            )
    return remarks


def _ratio(x: Array, g: Gradient) -> list[str]:
    remarks = [
        "One sample: all derivatives have the same factor, so they stand to each other "
        "like the inputs."
    ]
    pairs = [(j, k) for j in range(len(x)) for k in range(j + 1, len(x)) if x[j] and x[k]]
    for j, k in pairs[: SHOWN_INPUTS - 1]:
        with np.errstate(over="ignore", under="ignore"):
            quotient = number(x[j] / x[k])
        remarks.append(
            f"  dC/dw_{j + 1} : dC/dw_{k + 1} = {number(g.dw_per_sample[0, j])} : "
            f"{number(g.dw_per_sample[0, k])} = x_{j + 1} : x_{k + 1} = {number(x[j])} : "
            f"{number(x[k])} = {quotient}"
        )
    return remarks


def path(w: Array, b: Array, cost: Array, norm: Array, learning_rate: float) -> str:
    """The table of `Descent`: the first and the last steps of a long path."""
    steps, n = len(cost) - 1, w.shape[1]
    inputs = range(min(n, SHOWN_INPUTS))
    if steps <= 2 * SHOWN_SAMPLES:
        shown = [*range(steps + 1)]
    else:
        shown = [*range(SHOWN_SAMPLES), *range(steps + 1 - SHOWN_SAMPLES, steps + 1)]
    head = ["step", *(f"w_{k + 1}" for k in inputs), "b", "C", "|gradient|"]
    body = [
        [str(i), *(number(w[i, k]) for k in inputs), *map(number, (b[i], cost[i], norm[i]))]
        for i in shown
    ]
    lines = _aligned([head, *body])
    if len(shown) <= steps:
        lines.insert(1 + SHOWN_SAMPLES, "   ...")
    if n > len(inputs):
        lines.append(f"(of {n} weights the first {len(inputs)} are shown)")
    return "\n".join([f"Gradient descent, learning_rate {learning_rate:g}", *lines])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns flush right, two spaces apart."""
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _listed(what: str, numbers: Array, joint: str = " ") -> str:
    """ "sample 3", "samples 1, 2", or how many they are."""
    few = ", ".join(
        f"{what}{joint}{k}" if joint == "_" else str(k) for k in numbers[:SHOWN_SAMPLES]
    )
    more = f" and {len(numbers) - SHOWN_SAMPLES} more" if len(numbers) > SHOWN_SAMPLES else ""
    if joint == "_":
        return few + more
    return f"{what}{'s' if len(numbers) > 1 else ''} {few}{more}"


def _wrapped(text: str) -> list[str]:
    if text.startswith(" "):
        return [text]
    return textwrap.wrap(text, 96)
