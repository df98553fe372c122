"""Formulas and matrices as lines of text and as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp  # type: ignore[import-untyped]

from .evaluation import short
from .vocabulary import sign, step

MOST_ROWS = 12
MOST_WIDE = 110


def matrix_lines(matrix: Any) -> list[str]:
    """A matrix in brackets, one line per row; long entries and large matrices are cut."""
    rows, columns = matrix.shape
    cells = [
        [short(matrix[i, j], 60) for j in range(min(columns, MOST_ROWS))]
        for i in range(min(rows, MOST_ROWS))
    ]
    if columns > MOST_ROWS:
        cells = [[*row, "..."] for row in cells]
    if rows > MOST_ROWS:
        cells.append(["..."] * len(cells[0]))
    widths = [max(len(row[j]) for row in cells) for j in range(len(cells[0]))]
    return [
        "[ " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " ]"
        for row in cells
    ]


def labelled(label: str, lines: Sequence[str], indent: int = 3) -> list[str]:
    """The lines with `label = ` before the first and room before the others."""
    first = " " * indent + label + " = "
    return [(first if i == 0 else " " * len(first)) + line for i, line in enumerate(lines)]


def derivative_lines(
    label: str, matrix: Any, names: Sequence[Any], variables: Sequence[Any], indent: int = 3
) -> list[str]:
    """`label = matrix`, or one line per derivative where the matrix is too wide for a page."""
    lines = labelled(label, matrix_lines(matrix), indent)
    if len(lines[0]) <= MOST_WIDE:
        return lines
    pairs = [(i, j) for i in range(matrix.rows) for j in range(matrix.cols)]
    lines = [
        f"{' ' * indent}d{names[i]}/d{variables[j]} = {short(matrix[i, j], 400)}"
        for i, j in pairs[: 4 * MOST_ROWS]
    ]
    return lines if len(pairs) <= 4 * MOST_ROWS else [*lines, " " * indent + "..."]


def tuple_text(symbols: Iterable[Any]) -> str:
    names = [str(symbol) for symbol in symbols]
    if len(names) > MOST_ROWS:
        names = [*names[: MOST_ROWS - 1], "...", names[-1]]
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def latex(expression: Any) -> str:
    return str(sp.latex(expression, ln_notation=True))


def latex_matrix(matrix: Any) -> str:
    rows = [" & ".join(latex(entry) for entry in matrix.row(i)) for i in range(matrix.rows)]
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"


def latex_column(entries: Sequence[Any]) -> str:
    """One entry as it is, several as a column."""
    if len(entries) == 1:
        return latex(entries[0])
    return r"\begin{bmatrix} " + r" \\ ".join(map(latex, entries)) + r" \end{bmatrix}"


def latex_tuple(symbols: Sequence[Any]) -> str:
    names = ", ".join(latex(symbol) for symbol in symbols)
    return names if len(symbols) == 1 else f"({names})"


def aligned(lines: Iterable[str]) -> str:
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def legend(expressions: Iterable[Any]) -> list[str]:
    """What step and sign mean, when they occur."""
    kinds = set().union(*(e.atoms(step, sign) for e in expressions))
    lines = []
    if any(isinstance(kind, step) for kind in kinds):
        lines.append("step(z) is 0 for z <= 0 and 1 for z > 0")
    if any(isinstance(kind, sign) for kind in kinds):
        lines.append("sign(z) is -1, 0 or 1; sign(0) = 0")
    return ["", *lines] if lines else []
