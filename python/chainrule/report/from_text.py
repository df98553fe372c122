"""Formulas written as plain text, such as "1/6 tanh(A - Y)", as MathML.

Only what `loss_wording` writes: numbers, symbols, brackets, |...|, + - * / and a whole power.
Called by `formulas`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .mathml import CLOSE, MINUS, OPEN, TIMES, frac, index, mi, mo, mtext, power, row, whole

FUNCTIONS = frozenset({"sign", "cut", "log", "cosh", "exp", "tanh", "sigmoid", "max", "huber"})
THIN = mtext("\u2009")
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
                parts[-1] = frac(_bare(parts[-1]), _bare(self.element()))
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
        if token in FUNCTIONS:
            bracket = self.tokens[self.at : self.at + 1] == ["("]
            return row(mi(token), "" if bracket else THIN, self.element())
        if token.startswith("sum_"):
            sign = f"<munder>{mo(chr(0x2211))}{mi(token[4:])}</munder>"
            return row(sign, self.element())
        if token == "-" and self.tokens[self.at - 2 : self.at - 1] in ([], ["("], [","], ["|"]):
            return f'<mo form="prefix">{MINUS}</mo>'
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


def _bare(part: str) -> str:
    """Without its brackets."""
    start, end = f"<mrow>{OPEN}", f"{CLOSE}</mrow>"
    if part.startswith(start) and part.endswith(end):
        return row(part.removeprefix(start).removesuffix(end))
    return part


def _number(token: str) -> str:
    mantissa, _, exponent = token.partition("e")
    if not exponent:
        return f"<mn>{mantissa}</mn>"
    ten = f"<msup><mn>10</mn>{whole(int(exponent))}</msup>"
    return row(f"<mn>{mantissa}</mn>", mo("\N{MULTIPLICATION SIGN}"), ten)
