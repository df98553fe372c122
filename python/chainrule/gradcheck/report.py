"""What a gradient check found: the verdict, the diagnosis, the errors, and how they are printed."""

# ruff: noqa: PLC0415  (plots are loaded when needed)

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

NAME = 32  # a longer name is cut in the table


@dataclass(frozen=True)
class Place:
    """One derivative, in the block `name` ("W^2", "b^1", "theta", "fc1.weight") at `index`.

    `analytic` is what the gradient under test says, `numeric` what it was held against. `index`
    counts from 0 as in Python; in a network's W^l_jk and b^l_j, `j` and `k` count from 1 as in the
    lecture (None where there is no such index).
    """

    name: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    layer: int | None = None
    kind: str = ""

    @property
    def j(self) -> int | None:
        return self.index[0] + 1 if self.kind else None

    @property
    def k(self) -> int | None:
        return self.index[1] + 1 if self.kind == "W" else None

    def __str__(self) -> str:
        if self.kind == "W":
            return f"dC/dw^{self.layer}_{self.j},{self.k}"
        if self.kind == "b":
            return f"dC/db^{self.layer}_{self.j}"
        return f"dC/d {self.name}[{', '.join(map(str, self.index))}]"


@dataclass(frozen=True)
class BlockCheck:
    """What was found in one block: W^l or b^l of a network, or a named array of foreign code.

    Attributes
    ----------
    name, layer, kind, shape
        "W^2", 2, "W", (n_2, n_1); layer is None and kind "" in foreign code.
    n_checked, kinks
        How many derivatives were held against differences, and how many were left out because of
        a kink within reach.
    max_error
        The largest error against differences, as in `GradientCheck`.
    ulp
        The largest error against the exact oracle (reference, complex step), in units in the last
        place of what the block's derivatives are summed from: the largest sum of absolute terms.
        None where there is no exact oracle.
    complex_error
        The largest relative error against the complex step; None where it was not taken.
    reference_error, float32_error
        The largest distance from the reference divided by the block's largest derivative (where
        terms cancel, as at a minimum, at least a millionth of their sizes): of backpropagation in
        float64, and of a float32 network's own gradient. None where there is no reference, or no
        float32.
    direction_error
        The largest |difference - g . v| / |g| along random directions v of this block; None where
        none were needed or none could be held.
    passed
        Whether all is well in this block.
    step
        The middle one of the steps h of its differences; None where none was taken.
    """

    name: str
    layer: int | None
    kind: str
    shape: tuple[int, ...]
    n_checked: int
    kinks: int
    max_error: float
    ulp: float | None = None
    complex_error: float | None = None
    reference_error: float | None = None
    float32_error: float | None = None
    direction_error: float | None = None
    passed: bool = True
    step: float | None = None

    @property
    def n_parameters(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Float32Check:
    """The second verdict: a float32 network's own gradient against the reference in float64.

    Attributes
    ----------
    passed, n_wrong
        Whether every derivative is within what rounding in float32 explains; how many are not.
    max_error, allowed, worst
        The error that is largest beside what is allowed for it, what is allowed there, both
        divided by the block's largest derivative, and its place.
    """

    passed: bool
    n_wrong: int
    max_error: float
    allowed: float
    worst: Place

    def __str__(self) -> str:
        verdict = "PASSED" if self.passed else f"FAILED, {count(self.n_wrong, 'derivative')} wrong"
        return (
            f"float32 path: {verdict}, worst error {self.max_error:.1e} (allowed"
            f" {self.allowed:.1e}) at {self.worst}"
        )


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """The report of `gradcheck`: true when the check passed, and prints as a table.

    Attributes
    ----------
    passed, diagnosis
        The verdict; and what is wrong, where, and what mistake it looks like (empty when passed).
    max_error
        The largest |analytic - difference| / (|analytic| + 0.01 max(1, |g|_inf)).
    max_ulp
        The largest error against the exact oracle in units in the last place (see `BlockCheck`);
        None where there is none.
    worst
        The place of `max_error`; when the check failed, the place of the mistake.
    worst_ulp
        The place of `max_ulp`, in whatever network: there `numeric` is what the oracle says.
    float32
        The verdict on a float32 network's own gradient; None where there is none. The check passes
        when both verdicts do.
    blocks
        One `BlockCheck` for each W^l and b^l, or for each array of foreign code.
    errors
        All such errors by the name of the block, in its shape; NaN where no difference was taken.
    n_parameters, n_checked, kinks
        How many there are, how many were held against differences, and how many were left out
        because of a kink within one.
    seconds, subject, samples
        How long it took; what was checked, on how many rows (None where that is not known).
    oracles
        What it was held against, a line for each.
    notes
        What else there is to know, a sentence for each.
    """

    passed: bool
    diagnosis: str
    max_error: float
    max_ulp: float | None
    worst: Place
    blocks: tuple[BlockCheck, ...]
    errors: dict[str, Array] = field(repr=False)
    n_parameters: int
    n_checked: int
    kinks: int
    seconds: float
    subject: str
    samples: int | None
    oracles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    worst_ulp: Place | None = None
    float32: Float32Check | None = None

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        lines = [*textwrap.wrap(self.subject, 80), *self.oracles, "", *self._table(), ""]
        if self.n_checked + self.kinks < self.n_parameters:
            sample = thousands(self.n_checked + self.kinks)
            lines.append(f"Differences at a random sample of {sample} of the parameters.")
        if self.kinks:
            kinks, network = count(self.kinks, "derivative"), self.blocks[0].layer is not None
            why = "a relu unit changes its sign" if network else "the cost has a kink"
            lines.append(f"{kinks} left out: {why} within +-h.")
        for note in self.notes:
            lines += textwrap.wrap(note, 80)
        if self.max_ulp is not None and self.worst_ulp is not None:
            place = f" at {self.worst_ulp}" if self.max_ulp else ""
            lines.append(f"Worst error against the exact oracles: {_ulp(self.max_ulp)} ulp{place}.")
        lines += textwrap.wrap(self.diagnosis, 80)
        if self.float32 is not None:
            lines += textwrap.wrap(str(self.float32), 80)
        return "\n".join([*lines, self.verdict])

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw the error of every derivative, block by block (needs the extra `plot`).

        Parameters
        ----------
        path : path, optional
            Where to save the picture; the name's end says in which format.

        Returns
        -------
        matplotlib.figure.Figure
            See `chainrule.plot.errors`.
        """
        from ..plot import errors

        return errors(self, path)

    @property
    def verdict(self) -> str:
        """The last line of the report."""
        place = "" if self.worst.analytic == self.worst.numeric else f" at {self.worst}"
        if not self.passed:
            return f"gradient check: FAILED{place}"
        derivatives = count(self.n_checked, "derivative")
        line = ""
        for words in ("worst relative error", "worst error", "worst"):
            line = f"gradient check: PASSED, {derivatives}, {words} {self.max_error:.1e}{place}"
            if len(line) <= 80:
                break
        return line

    def _table(self) -> list[str]:
        columns: list[tuple[str, Callable[[BlockCheck], str]]] = [
            ("checked", lambda b: thousands(b.n_checked)),
            ("kinks", lambda b: str(b.kinks) if b.kinks else ""),
            ("step h", lambda b: _error(b.step)),
            ("differences", lambda b: f"{b.max_error:.1e}" if b.n_checked else "-"),
            ("along v", lambda b: _error(b.direction_error)),
            ("complex", lambda b: _error(b.complex_error)),
            ("reference", lambda b: _error(b.reference_error)),
            ("ulp", lambda b: "" if b.ulp is None else _ulp(b.ulp)),
            ("float32", lambda b: _error(b.float32_error)),
        ]
        shown = [(head, text) for head, text in columns if any(text(b) for b in self.blocks)]
        cells = [[head for head, _ in shown]]
        cells += [[text(b) for _, text in shown] for b in self.blocks]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        names = [
            "",
            *(b.name if len(b.name) <= NAME else f"{b.name[: NAME - 3]}..." for b in self.blocks),
        ]
        marks = ["", *("" if b.passed else " <-" for b in self.blocks)]
        width = max(map(len, names))
        return [
            f"{name:{width}} "
            + "  ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True))
            + mark
            for name, row, mark in zip(names, cells, marks, strict=True)
        ]


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def _ulp(value: float) -> str:
    return f"{value:.2g}" if value < 99.5 else f"{value:.0f}" if value < 9999.5 else ">9999"


def thousands(n: int) -> str:
    return f"{n:,}".replace(",", " ")


def count(n: int, noun: str) -> str:
    return f"{thousands(n)} {noun}{'' if n == 1 else 's'}"
