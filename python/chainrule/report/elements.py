"""Pieces of HTML: tables, lines of formulas, the explanation of one number.

Text is escaped here, formulas come finished. Called by `page`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .items import Check, Equation, Item
from .mathml import inline
from .terms import slope


def full(value: float) -> str:
    """A number with all of its digits."""
    return repr(value).replace("-", "\u2212")


def lines(equations: Sequence[Equation]) -> str:
    """Displayed equations with their tags."""
    rows = "".join(
        f'<div class="line"><div class="formula">{equation.formula}</div>'
        f'<span class="tag">{escape(equation.note)}</span></div>'
        for equation in equations
    )
    return f'<div class="lines">{rows}</div>'


def checks(found: Sequence[Check]) -> str:
    """A table of independent values."""
    rows = []
    for check in found:
        mark = "\u2713" if check.good else "\u2717"
        state = "good" if check.good else "bad"
        rows.append((escape(check.source), [
            f'<data value="{check.value!r}">{check.value:.10g}</data>'.replace(">-", ">\u2212"),
            f"{check.apart:.1e}".replace("-", "\u2212") if check.apart else "0",
            f'<span class="{state}"><span aria-hidden="true">{mark}</span> '
            f"{escape(check.verdict)}</span>",
        ]))  # fmt: skip
    return table("Checked by another way", ["value", "rel. error", "verdict"], rows, "checks")


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Any]]],
    kind: str = "matrix",
) -> str:
    """A table of finished HTML; the first column holds the names of the rows."""
    named = any(name for name, _ in rows)
    top = "".join(f'<th scope="col">{title}</th>' for title in head)
    corner = "<td></td>" if named else ""
    body = "".join(
        f"<tr>{f'<th scope={chr(34)}row{chr(34)}>{name}</th>' if named else ''}"
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for name, cells in rows
    )
    return (
        f'<div class="scroll"><table class="{kind}"><caption>{caption}</caption>'
        f"<thead><tr>{corner}{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def explanation(item: Item, items: Mapping[str, Item]) -> str:
    """One number as a <details> element; `items` are all that can be linked to."""
    parts = []
    if item.note:
        parts.append(f"<p>{escape(item.note)}</p>")
    parts.append(lines(item.equations))
    if item.facts:
        facts = "".join(
            f"<div><dt>{escape(words)}</dt>"
            f'<dd><data value="{value!r}">{full(value)}</data></dd></div>'
            for words, value in item.facts
        )
        parts.append(f'<dl class="facts">{facts}</dl>')
    if item.checks:
        parts.append(checks(item.checks))
    if item.paths_note:
        parts.append(f'<p class="paths-note">{escape(item.paths_note)}</p>')
    if item.paths:
        rows = "".join(
            f'<li>{escape(where)}<div class="formula">{formula}</div></li>'
            for where, formula in item.paths
        )
        parts.append(f'<ul class="paths">{rows}</ul>')
    uses = [
        f'<li><a href="#{name}" data-item="{name}">{inline(items[name].symbol)}</a></li>'
        for name in item.uses
        if name in items
    ]
    if uses:
        parts.append(f'<div class="uses"><span>Made of</span><ul>{"".join(uses)}</ul></div>')
    symbol = item.symbol
    if item.kind in {"w", "b"}:
        symbol = slope(symbol)
    return (
        f'<details class="item" data-for="{item.id}"><summary>'
        f'<span class="symbol">{inline(symbol)}</span> '
        f'<data class="value" value="{item.value!r}">{full(item.value)}</data> '
        f'<span class="spoken">{escape(item.spoken)}</span></summary>'
        f'<div class="body" id="{item.id}">{"".join(parts)}</div></details>'
    )
