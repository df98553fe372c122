"""How mathematics is written: numbers, the slopes of activations, and plain text as LaTeX.

A line of text is `left = right  comment`: the comment stands after two spaces. `aligned` knows
the symbols of `explanation`, nothing more. Called by it and by `walkthrough`.
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
    "silu": ("s(z) (1 + z s(-z)), s the sigmoid", ""),
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


# From plain text to LaTeX. The text above is all that this has to understand.


def aligned(lines: Sequence[str]) -> str:
    rows = " \\\\\n".join(_tex(line) for line in lines)
    return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}"


def _tex(line: str) -> str:
    """One line as a row of `aligned`."""
    line, _, comment = line.partition("  ")
    if line.startswith("..."):
        return f"& \\text{{{line}}}"
    label, colon, rest = line.partition(": ")
    if colon:
        return f"& \\text{{{label}:}}\\quad {_symbols(rest)}"
    text = _symbols(line).replace(" = ", " &= ", 1)
    if "&" not in text:
        text = f"& {text}"
    return text + (f" \\quad \\text{{{_plain(comment)}}}" if comment else "")


def _symbols(text: str) -> str:
    symbol = r"(delta|[a-z])\^(\d+)_(\w+(?:,\w+)?)"
    sides = {"delta": r"\delta"}

    def indexed(match: re.Match[str]) -> str:
        letter, layer, unit = match.groups()
        return f"{sides.get(letter, letter)}^{{{layer}}}_{{{unit}}}"

    def fraction(match: re.Match[str]) -> str:
        top = match.group(1) or "C"
        return rf"\frac{{\partial {top}}}{{\partial {match.group(2)}}}"

    text = re.sub(
        r"(\d)e([+-])0*(\d+)", lambda m: f"{m[1]} \\times 10^{{{m[2].strip('+')}{m[3]}}}", text
    )
    text = re.sub(r"(?<![\w^])d(?:C|(z\^\d+_\d+))/d([a-z]\^\d+_\w+(?:,\w+)?)", fraction, text)
    text = re.sub(symbol, indexed, text)
    text = re.sub(r"(?<=2)/(\w+)", r" / \1 \\,", text)
    text = re.sub(r"sum_(\w)", r"\\sum_{\1}", text)
    text = re.sub(r"y_(\w+)", r"y_{\1}", text)
    text = re.sub(r"\b(?:Phi|phi|exp)\b", lambda m: "\\" + m[0], text)
    text = text.replace(" * ", r" \cdot ").replace("else", r"\text{else}")
    return text.replace(" for ", r"\ \text{for}\ ").replace(", s the sigmoid", "")


def _plain(text: str) -> str:
    """A comment, its symbols between dollars."""
    return re.sub(r"[a-z]\^\d+_\d+", lambda m: f"${_symbols(m[0])}$", text).replace("n_L", "$n_L$")
