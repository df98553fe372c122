"""A gradient check as a picture: the error of every derivative, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..errors import shown
from ..gradcheck.differences import RTOL
from ..gradcheck.report import count
from . import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 0.76  # of a block, whose place is 1 wide
LEGIBLE = 24  # names of blocks below the axis
LONGEST = 20  # letters of a name


def errors(report: Any, path: canvas.Path | None = None) -> Figure:
    """Draw the errors of a gradient check, a column of points for each W^l and b^l.

    Parameters
    ----------
    report : GradientCheck
        From `chainrule.gradcheck`.
    path : path, optional
        Where to save the picture, as for `cost`.

    Returns
    -------
    matplotlib.figure.Figure
        Each point is a derivative held against a difference: above the dashed line it is further
        from it than allowed. Blocks with a mistake are orange, and the worst place is marked. The
        short lines are the largest error of the block against the exact oracles, and of a float32
        network. An error of exactly 0 is on a line of its own, one that is not finite at the top.
        Below the name of a block stands how many derivatives were left out at kinks.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        `report` is not a gradient check.

    Examples
    --------
    >>> figure = errors(chainrule.gradcheck(net, X, Y))        # doctest: +SKIP
    """
    if not all(hasattr(report, name) for name in ("blocks", "errors", "worst", "passed")):
        raise TypeError(
            f"report must be a GradientCheck, from chainrule.gradcheck; got {shown(report)} "
            f"({type(report).__name__})"
        )
    blocks = report.blocks
    figure = canvas.figure(path, (min(14.0, max(7.0, 2.6 + 0.55 * len(blocks))), 4.8))
    axes: Any = figure.subplots()
    parts = [np.asarray(report.errors[block.name], float).ravel() for block in blocks]
    exact = [
        (name, colour, style, [getattr(block, field) for block in blocks])
        for name, field, colour, style in (
            ("worst against the reference", "reference_error", canvas.BLACK, "-"),
            ("worst against the complex step", "complex_error", canvas.GREY, ":"),
            ("worst in float32 against the reference", "float32_error", canvas.BLUE, "-"),
        )
    ]
    values: list[Any] = [
        *parts,
        *(np.array([v for v in row if v is not None]) for *_, row in exact),
        [RTOL],
    ]
    zero = canvas.log_axis(axes, np.concatenate(values))
    bottom, top = axes.get_ylim()
    if any(np.isinf(part).any() for part in parts):
        top *= (top / bottom) ** 0.08
        axes.set_yticks(
            [*axes.get_yticks(), top],
            [*(label.get_text() for label in axes.get_yticklabels()), "not finite"],
        )
    axes.axhline(RTOL, color=canvas.GREY, linestyle="--", linewidth=1.2, zorder=1,
                 label=f"allowed against differences: {canvas.number(RTOL)}")  # fmt: skip
    for name, colour, mine in (
        ("a derivative against its difference", canvas.BLUE, True),
        ("the same in a block with a mistake", canvas.ORANGE, False),
    ):
        x, y = _points(blocks, parts, mine, zero, top)
        if len(x):
            axes.plot(x, y, linestyle="", marker=".", markersize=5 if len(x) < 2000 else 2,
                      color=colour, label=name, zorder=3, clip_on=False)  # fmt: skip
    for name, colour, style, row in exact:
        there = [i for i, value in enumerate(row) if value is not None]
        if there:
            y = _height(np.array([row[i] for i in there], float), zero, top)
            x = np.array(there) + 0.5
            axes.hlines(y, x - WIDE / 2, x + WIDE / 2, color=colour, linestyle=style,
                        linewidth=1.8, label=name, zorder=2)  # fmt: skip
    _mark_worst(axes, report, parts, zero, top)
    axes.set_ylim(bottom, top)
    axes.set_xlim(0, len(blocks))
    step = -(-len(blocks) // LEGIBLE)
    axes.set_xticks(np.arange(0.5, len(blocks), step), [_name(block) for block in blocks[::step]])
    axes.tick_params(axis="x", length=0)
    if any(block.layer is None and len(block.name) > 6 for block in blocks) and len(blocks) > 3:
        for label in axes.get_xticklabels():
            label.set(rotation=25, ha="right", rotation_mode="anchor")
    axes.set_ylabel("relative error")
    checked = count(report.n_checked, "derivative")
    verdict = "PASSED" if report.passed else f"FAILED at {_place(report.worst)}"
    axes.set_title(
        f"Gradient check {verdict}: {checked} against differences", loc="left", pad=10,
        fontsize=11, color=canvas.BLACK if report.passed else canvas.ORANGE)  # fmt: skip
    canvas.tidy(axes)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
    return canvas.save(figure, path, "chainrule: a gradient check")


def _height(errors: Array, zero: float | None, top: float) -> Array:
    """Where errors are drawn: 0 on its own line, what is not finite at the top."""
    drawn = np.where(np.isfinite(errors), errors, top)
    return drawn if zero is None else np.where(drawn == 0, zero, drawn)


def _across(i: int, size: int) -> Array:
    """From left to right in the place of block i."""
    return i + 0.5 + WIDE * ((np.arange(size) + 0.5) / size - 0.5)


def _points(
    blocks: Any, parts: list[Array], passed: bool, zero: float | None, top: float
) -> tuple[Array, Array]:
    x, y = [np.zeros(0)], [np.zeros(0)]
    for i, (block, part) in enumerate(zip(blocks, parts, strict=True)):
        if block.passed == passed:
            there = ~np.isnan(part)
            x.append(_across(i, len(part))[there])
            y.append(_height(part[there], zero, top))
    return np.concatenate(x), np.concatenate(y)


def _mark_worst(axes: Any, report: Any, parts: list[Array], zero: float | None, top: float) -> None:
    """A ring around the worst place, which has its name; without an error there, in words."""
    worst = report.worst
    names = [block.name for block in report.blocks]
    if worst.name not in names or worst.analytic == worst.numeric:
        return
    i = names.index(worst.name)
    p = int(np.ravel_multi_index(worst.index, report.blocks[i].shape))
    error = parts[i][p]
    if np.isnan(error):
        return
    x, y = float(_across(i, len(parts[i]))[p]), float(_height(np.array([error]), zero, top)[0])
    axes.plot([x], [y], linestyle="", marker="o", markersize=11, markerfacecolor="none",
              markeredgecolor=canvas.BLACK, markeredgewidth=1.4, zorder=5, clip_on=False,
              label=f"worst: {_place(worst)}, {canvas.number(float(error), 2)}")  # fmt: skip


def _name(block: Any) -> str:
    name = block.name if len(block.name) <= LONGEST else f"...{block.name[3 - LONGEST :]}"
    if block.layer is not None:
        name = f"${block.kind}^{{{block.layer}}}$"
    kinks = f"\n{block.kinks} kink{'' if block.kinks == 1 else 's'}" if block.kinks else ""
    return f"{name}{kinks}"


def _place(place: Any) -> str:
    if place.kind == "W":
        return rf"$\partial C/\partial w^{{{place.layer}}}_{{{place.j},{place.k}}}$"
    if place.kind == "b":
        return rf"$\partial C/\partial b^{{{place.layer}}}_{{{place.j}}}$"
    return str(place)
