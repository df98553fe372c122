"""Finds the functions inside a formula: what the lecture calls g1, g2, ...

An application such as sin(u), u^2 or 1/u has the intermediate function u, unless u is a bare
variable or a number. Peeling one layer off all formulas gives one stage; what has no layer left
waits behind a placeholder until all others are peeled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sympy as sp  # type: ignore[import-untyped]

# inputs, formulas in them, outputs (empty for the last stage: those are the functions themselves)
Stage = tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]


def find_stages(
    formulas: Sequence[Any], variables: Sequence[Any], letter: str
) -> tuple[list[Stage], dict[Any, str]]:
    """The stages of a chain, the innermost first, and a note for each placeholder."""
    levels = [_Level(formulas, variables)]
    while any(_inside(f) for f in levels[-1].within):
        levels.append(_Level(levels[-1].within, variables))
    levels.reverse()
    symbols: list[tuple[Any, ...]] = []
    count = 0
    for level in levels:
        symbols.append(
            tuple(sp.Symbol(f"{letter}{count + i + 1}") for i in range(len(level.within)))
        )
        count += len(level.within)
    inputs = tuple(variables)
    stages: list[Stage] = [(inputs, tuple(levels[0].within), symbols[0])]
    notes: dict[Any, str] = {}
    for i, level in enumerate(levels):
        last = i == len(levels) - 1
        outputs = () if last else symbols[i + 1]
        outer = tuple(level.outer(f, symbols[i]) for f in level.formulas)
        stages.append((symbols[i], outer, outputs))
        for g, within in zip(symbols[i], level.within, strict=True):
            if level.waits(within):
                notes[g] = _note(g, within, variables, i == 0)
    return stages, notes


def _note(g: Any, within: Any, variables: Sequence[Any], innermost: bool) -> str:
    if not innermost:
        return "(placeholder: passed on)"
    if within in variables:
        return "(placeholder: the variable itself)"
    return f"(placeholder: nothing is inside, so {g} is the whole; outer derivative 1)"


class _Level:
    """One layer peeled off: `formulas` as functions of the formulas `within`."""

    def __init__(self, formulas: Sequence[Any], variables: Sequence[Any]) -> None:
        self.formulas = tuple(formulas)
        found: list[Any] = []
        for formula in formulas:
            whole = [formula] if formula.free_symbols and formula not in variables else []
            found += _inside(formula) or whole
        self.peeled = {u for f in formulas for u in _inside(f)}
        found = list(dict.fromkeys(found))
        # Variables that are still bare become intermediates of their own.
        marks = {u: sp.Dummy() for u in found}
        left: set[Any] = set()
        for formula in formulas:
            left |= _replaced(formula, marks).free_symbols
        bare = [v for v in variables if v in left]
        self.within = [*found, *bare] or list(variables)

    def waits(self, within: Any) -> bool:
        return within not in self.peeled

    def outer(self, formula: Any, symbols: Sequence[Any]) -> Any:
        return _replaced(formula, dict(zip(self.within, symbols, strict=True)))


def _inside(formula: Any) -> list[Any]:
    """The intermediate functions of the outermost layer, in the order in which they appear."""
    return list(dict.fromkeys(_walk(formula)))


def _walk(node: Any) -> Iterator[Any]:
    if node.is_Atom or not node.free_symbols:
        return
    if node.is_Add:
        for term in node.args:
            yield from _walk(term)
    elif node.is_Mul:
        factors = [f for f in node.args if f.free_symbols]
        for factor in factors:
            # In a product a sum is a factor u of its own; a lone one was only multiplied out.
            if factor.is_Add and len(factors) > 1:
                yield factor
            else:
                yield from _walk(factor)
    else:
        for argument in node.args:
            if argument.free_symbols and not argument.is_Atom:
                yield argument


def _replaced(node: Any, marks: dict[Any, Any]) -> Any:
    """The formula with its parts replaced, from the outside in."""
    if node in marks:
        return marks[node]
    if node.is_Atom:
        return node
    arguments = [_replaced(argument, marks) for argument in node.args]
    return node.func(*arguments) if arguments != list(node.args) else node
