"""A neuron as LaTeX: the block of `Neuron.latex`. Text only, called by `neuron`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from .losses import MSE
from .neuron_text import SHOWN_INPUTS, Gradient, number

Array = NDArray[Any]

MOST = 8  # samples and inputs with numbers

# f(z), f'(z).
FORMULAS = {
    "identity": ("z", "1"),
    "relu": (r"\max(0, z)", r"\begin{cases} 1 & z > 0 \\ 0 & z \le 0 \end{cases}"),
    "leaky_relu": (
        r"\begin{cases} z & z > 0 \\ 0.01\, z & z \le 0 \end{cases}",
        r"\begin{cases} 1 & z > 0 \\ 0.01 & z \le 0 \end{cases}",
    ),
    "sigmoid": (r"\frac{1}{1 + e^{-z}}", r"a\,(1 - a)"),
    "tanh": (r"\tanh z", "1 - a^2"),
    "softplus": (r"\ln(1 + e^{z})", r"\frac{1}{1 + e^{-z}}"),
    "gelu": (r"z\,\Phi(z)", r"\Phi(z) + z\,\varphi(z)"),
    "silu": (r"z\,\sigma(z)", r"\sigma(z)\,(1 + z\,\sigma(-z))"),
}

_FACTORS = {"mean": r"\frac{2}{m}", "sum": "2", "half_mean": r"\frac{1}{m}"}
_COST = {"mean": r"\frac{1}{m}", "sum": "", "half_mean": r"\frac{1}{2m}"}
for _table in (_FACTORS, _COST):
    _table["mean_rows"] = _table["mean"]  # of one output


def block(
    w: Array,
    b: float,
    activation: str,
    loss: MSE,
    X: Array | None = None,
    y: Array | None = None,
    g: Gradient | None = None,
) -> str:
    """The block of `Neuron.latex`, with numbers when there are data."""
    n = len(w)
    f, f_prime = FORMULAS[activation]
    factor, cost = _FACTORS[loss.reduction], _COST[loss.reduction]
    sums = (
        " + ".join(rf"w_{{{k}}} x_{{i,{k}}}" for k in range(1, n + 1))
        if n <= SHOWN_INPUTS
        else (rf"\sum_{{k=1}}^{{{n}}} w_k x_{{i,k}}")
    )
    total = r"\sum_{i=1}^{m}"
    rows = [
        rf"z_i &= {sums} + b",
        rf"a_i &= f(z_i), \quad f(z) = {f}, \quad f'(z) = {f_prime}",
        r"e_i &= a_i - y_i",
        rf"C &= {cost}{total} e_i^2",
        rf"\frac{{\partial C}}{{\partial w_k}} &= {factor}{total} e_i\, f'(z_i)\, x_{{i,k}}",
        rf"\frac{{\partial C}}{{\partial b}} &= {factor}{total} e_i\, f'(z_i)",
    ]
    if X is not None and y is not None and g is not None:
        rows += _latex_numbers(w, b, loss, X, y, g)
    body = " \\\\\n".join(rows)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _latex_numbers(w: Array, b: float, loss: MSE, X: Array, y: Array, g: Gradient) -> Iterable[str]:
    m, n = X.shape
    for i in range(m):
        terms = [rf"{_factor(w[k])} \cdot {_factor(X[i, k])}" for k in range(n)]
        yield rf"z_{{{i + 1}}} &= {' + '.join(terms)} + {_factor(b)} = {_tex(g.z[i])}"
        yield (
            rf"a_{{{i + 1}}} &= {_tex(g.a[i])}, \quad e_{{{i + 1}}} = {_tex(g.a[i])} - "
            rf"{_factor(y[i])} = {_tex(g.residual[i])}, \quad "
            rf"f'(z_{{{i + 1}}}) = {_tex(g.act_prime[i])}"
        )
    before = {"mean": rf"\frac{{1}}{{{m}}}", "sum": "", "half_mean": rf"\frac{{1}}{{{2 * m}}}"}
    squares = " + ".join(f"{_factor(e)}^2" for e in g.residual)
    yield rf"C &= {before[loss.reduction]} \left( {squares} \right) = {_tex(g.cost)}"
    before["mean"] = rf"\frac{{2}}{{{m}}}"
    before["sum"] = "2"
    before["half_mean"] = before["mean_rows"] = rf"\frac{{1}}{{{m}}}"
    names = [*(f"w_{{{k + 1}}}" for k in range(n)), "b"]
    for k, (name, value) in enumerate(zip(names, [*g.dw, g.db], strict=True)):
        terms = [
            rf"{_factor(e)} \cdot {_factor(slope)}"
            + (rf" \cdot {_factor(X[i, k])}" if k < n else "")
            for i, (e, slope) in enumerate(zip(g.residual, g.act_prime, strict=True))
        ]
        yield (
            rf"\frac{{\partial C}}{{\partial {name}}} &= {before[loss.reduction]} "
            rf"\left( {' + '.join(terms)} \right) = {_tex(value)}"
        )


def _tex(value: float) -> str:
    text = number(value)
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}"


def _factor(value: float) -> str:
    """A number inside a product, a sum or a power: in brackets when it needs them."""
    text = _tex(value)
    return rf"\left({text}\right)" if text.startswith("-") or "times" in text else text
