"""Formulas written as plain text, such as "1/6 tanh(A - Y)", as MathML.

Only what `loss_wording` writes: numbers, symbols, brackets, |...|, + - * / and a whole power.
Called by `formulas`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .mathml import CLOSE, MINUS, OPEN, TIMES, frac, index, mi, mo, mtext, power, row, whole

TOKEN = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?|[A-Za-z]\w*|\^\d+|<=|>=|\S")
WORDS = frozenset({"for", "else", "as", "the", "loss", "gives", "it", "function", "of"})


def from_text(text: str, symbols: Mapping[str, str] | None = None) -> str:
    """MathML of a formula; `symbols` says how some of the names are written."""
    tokens = TOKEN.findall(text)
    parts = _Parser(tokens, symbols or {}).sequence("")
    return row(*parts)


class _Parser:
    def __init__(self, tokens: list[str], symbols: Mapping[str, str]) -> None:
        self.tokens, self.symbols, self.at = tokens, symbols, 0

    def sequence(self, end: str) -> list[str]:
        """Everything up to the token `end`."""
        parts: list[str] = []
        while self.at < len(self.tokens) and self.tokens[self.at] != end:
            token = self.tokens[self.at]
            if token[0] == "^":
                self.at += 1
                parts[-1] = power(parts[-1], whole(int(token[1:])))
            elif token == "/" and parts:
                self.at += 1
                below = self.element()
                while self.at < len(self.tokens) and self.tokens[self.at][0] == "^":
                    below = power(below, whole(int(self.tokens[self.at][1:])))
                    self.at += 1
                parts[-1] = frac(parts[-1], below)
            else:
                parts.append(self.element())
        self.at += 1
        return parts

    def element(self) -> str:
        token = self.tokens[self.at]
        self.at += 1
        if token == "(":
            return row(OPEN, *self.sequence(")"), CLOSE)
        if token == "|":
            return row(mo("|"), *self.sequence("|"), mo("|"))
        if token in self.symbols:
            return self.symbols[token]
        if token[0].isdigit():
            return _number(token)
        if token in WORDS:
            return mtext(f" {token} ")
        if token[0].isalpha():
            name, _, below = token.partition("_")
            letter = mi({"delta": "\u03b4", "eps": "\u03b5"}.get(name, name))
            if not below:
                return letter
            return index(letter, whole(int(below)) if below.isdigit() else mi(below))
        return mo({"-": MINUS, "*": TIMES, "<=": "\u2264", ">=": "\u2265"}.get(token, token))


def _number(token: str) -> str:
    mantissa, _, exponent = token.partition("e")
    if not exponent:
        return f"<mn>{mantissa}</mn>"
    ten = f"<msup><mn>10</mn>{whole(int(exponent))}</msup>"
    return row(f"<mn>{mantissa}</mn>", mo("\N{MULTIPLICATION SIGN}"), ten)
