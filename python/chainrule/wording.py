"""How mathematics is written: numbers, the slopes of activations, and plain text as LaTeX.

A line of text is `left = right  comment`: the comment stands after two spaces. `aligned` knows
the symbols of `steps`, nothing more. Called by `steps`, `explanation` and `walkthrough`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]

MOST_LINES = 8  # terms, samples and paths that are written out; the others are added up in one line

SLOPES = {  # f' as it is computed, and with numbers for {z} and {a}
    "identity": ("1", ""),
    "relu": ("1 for z > 0, else 0", ""),
    "leaky_relu": ("1 for z > 0, else 0.01", ""),
    "sigmoid": ("a (1 - a)", "{a} (1 - {a})"),
    "tanh": ("1 - a^2", "1 - {a}^2"),
    "softplus": ("1 - exp(-a)", "1 - exp(-{a})"),
    "gelu": ("Phi(z) + z phi(z)", ""),
    "silu": ("s(z) (1 + z s(-z))", ""),
}


def num(value: Any) -> str:
    """A number with six significant digits."""
    return f"{float(value) + 0.0:.6g}"  # + 0.0: no -0


def par(value: Any) -> str:
    """The same as a factor: negative ones in brackets."""
    text = num(value)
    return f"({text})" if text.startswith("-") else text


def cut(shown: Sequence[str], values: Array) -> list[str]:
    """The lines `shown` for the first of the `values`, and one line for all the others."""
    left = len(values) - len(shown)
    if left <= 0:
        return list(shown)
    return [*shown, f"... and {left} more, together {num(values[len(shown) :].sum())}"]


# From plain text to LaTeX.

_SYMBOL = r"(delta|[a-z])\^(\d+)_(\w+(?:,\w+)?)"
_TEX = (  # in this order
    (r"\((sum_\w [^()]*)\)", lambda m: rf"\left({m[1]}\right)"),
    (r"(\d)e([+-])0*(\d+)", lambda m: rf"{m[1]} \times 10^{{{m[2].strip('+')}{m[3]}}}"),
    (
        r"\bd(C|z\^\d+_\w+)/d([a-z]\^\d+_\w+(?:,\w+)?)",
        lambda m: rf"\frac{{\partial {m[1]}}}{{\partial {m[2]}}}",
    ),
    (_SYMBOL, lambda m: f"{m[1]}^{{{m[2]}}}_{{{m[3]}}}"),
    (r"(w|delta|z)\^(q|{q\+1})_(r,j|r|j)", lambda m: f"{m[1]}^{m[2]}_{{{m[3]}}}"),
    (r"\^(\d+)", lambda m: f"^{{{m[1]}}}"),
    (r"\bdelta\b", lambda m: r"\delta"),
    (
        r"(?<![\w.)}^])((?:2 \* )?[\d.]+|2 w|w)/(\d+(?:\.\d+)?|D)(?![\w.])",
        lambda m: rf"\frac{{{m[1]}}}{{{m[2]}}}",
    ),
    (r"\bsum_(\w)", lambda m: rf"\sum_{{{m[1]}}}"),
    (r"\b([ypcw])_(\w+)", lambda m: f"{m[1]}_{{{m[2]}}}"),
    (r"\b(?:sign|cut|sigmoid|softmax)\b", lambda m: rf"\operatorname{{{m[0]}}}"),
    (r"\b(?:Phi|phi|exp|tanh|log|cosh)\b", lambda m: "\\" + m[0]),
    (r" \* ", lambda m: r" \cdot "),
    (r"\binf\b", lambda m: r"\infty"),
    (r"\b(?:nan|else|for|since|at)\b", lambda m: rf"\text{{ {m[0]} }}"),
    (r"<=", lambda m: r"\leq"),
)


def aligned(lines: Sequence[str]) -> str:
    """The lines as an `aligned` block, to be put between dollars."""
    rows = " \\\\\n".join(_row(line) for line in lines)
    return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}"


def _row(line: str) -> str:
    line, _, comment = line.partition("  ")
    if line.startswith("..."):
        return rf"& \text{{{line}}}"
    label, colon, rest = line.partition(": ")
    if colon:
        return rf"& \text{{{label}: }} {_tex(rest)}"
    left, equals, right = line.partition(" = ")
    row = f"{_tex(left)} &= {_tex(right)}" if equals else f"& {_tex(line)}"
    if not comment:
        return row
    said = _tex(comment) if comment.startswith(("since ", "at ")) else rf"\text{{{comment}}}"
    return rf"{row} \quad {said}"


def _tex(text: str) -> str:
    for pattern, written in _TEX:
        text = re.sub(pattern, written, text)
    return text
