"""What two gradients tell without the network: factors, zeros, transposed blocks, tails, decay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .case import Case, Finding, called, capital, places, sentence
from .factors import TIMES, constants, reasons, times
from .parameters import Block, Parameters

Array = NDArray[Any]

MANY = 256  # rows or columns: above, no permutation is looked for


# Factors


def _least_squares(got: Array, of: Array) -> float | None:
    known = ~np.isnan(of)
    square = float((of[known] ** 2).sum())
    return float((got[known] * of[known]).sum()) / square if square > 0 else None


def _factors(case: Case) -> Iterator[float]:
    yield -1.0
    for value, _ in constants(case.m, case.n_L, case.loss):
        yield value
        yield -value


def _named_factor(case: Case, block: Block) -> tuple[str, Array] | None:
    got, base = case.parts(block)
    c = _least_squares(got, base)
    if c is None:
        return None
    for value in (
        -1.0,
        *(s * v for v, _ in constants(case.m, case.n_L, case.loss) for s in (1, -1)),
    ):
        if value != 1 and abs(c - value) <= 2 * case.tolerance * abs(value):
            return times(value), value * base
    return None


def _any_factor(case: Case, block: Block) -> tuple[str, Array] | None:
    got, base = case.parts(block)
    c = _least_squares(got, base)
    return None if c is None else (times(c), c * base)


# Other patterns of one block


def _zero(case: Case, block: Block) -> tuple[str, Array] | None:
    return "{is} 0", np.zeros(block.array.shape)


def _transposed(case: Case, block: Block) -> tuple[str, Array] | None:
    base = case.parts(block)[1]
    return ("{is} transposed", base.T) if base.ndim == 2 and base.shape[0] == len(base.T) else None


def _reshaped(case: Case, block: Block) -> tuple[str, Array] | None:
    base = case.parts(block)[1]
    if base.ndim != 2:
        return None
    guesses = base.T.reshape(base.shape), base.reshape(base.shape[::-1]).T
    guess = next((g for g in guesses if case.fits_block(block, g)), guesses[0])
    return "{has} rows and columns mixed up, as by reshape instead of .T", guess


def _zero_lines(axis: int) -> Callable[[Case, Block], tuple[str, Array] | None]:
    def pattern(case: Case, block: Block) -> tuple[str, Array] | None:
        got, base = case.parts(block)
        if got.ndim <= axis or got.ndim > 2:
            return None
        other = tuple(i for i in range(got.ndim) if i != axis)
        zero = np.asarray(~got.any(axis=other))
        gone = np.flatnonzero(zero & base.any(axis=other))
        last = np.arange(len(zero) - int(zero.sum()), len(zero))
        # Lines that are rightly 0 belong to a tail too.
        lines = last if zero[last].all() and gone.max(initial=0) < len(zero) - 1 else gone
        guess = base.copy()
        guess[(slice(None),) * axis + (gone,)] = 0
        return zero_lines(axis, lines.tolist(), block.array.shape), guess

    return pattern


def zero_lines(axis: int, lines: list[int], shape: tuple[int, ...]) -> str:
    noun = "entry" if len(shape) == 1 else ("row", "column")[axis]
    return f"{{is}} 0 in {{its}} {places(lines, shape[axis], noun).replace('entrys', 'entries')}"


def _flattened(case: Case, block: Block) -> tuple[str, Array] | None:
    """A matrix inside a row of numbers, flattened by columns instead of rows."""
    base, wrong = case.parts(block)[1], np.flatnonzero(case.bad[block.where])
    # Its first and last entry stay in place either way.
    start, stop = int(wrong[0]) - 1, int(wrong[-1]) + 2
    if base.ndim > 1 or start < 0 or stop > len(base):
        return None
    for rows in range(2, (stop - start) // 2 + 1):
        if (stop - start) % rows == 0:
            guess = base.copy()
            guess[start:stop] = base[start:stop].reshape(rows, -1).T.ravel()
            if case.fits_block(block, guess):
                shape = f"{rows} x {(stop - start) // rows}"
                return flattened(start, stop, shape), guess
    return None


def flattened(start: int, stop: int, shape: str) -> str:
    return f"{{has}} a matrix of {shape} in [{start}:{stop}], flattened by columns, not by rows"


def _of_another(case: Case, block: Block) -> tuple[str, Array] | None:
    for other in case.blocks:
        base = case.parts(other)[1]
        if other is not block and base.shape == block.array.shape and case.fits_block(block, base):
            return f"{{has}} the values of {called(other)}", base
    return None


def _absolute(case: Case, block: Block) -> tuple[str, Array] | None:
    return "{has} lost the signs", np.abs(case.parts(block)[1])


def _permuted(axis: int) -> Callable[[Case, Block], tuple[str, Array] | None]:
    def pattern(case: Case, block: Block) -> tuple[str, Array] | None:
        got, base = case.parts(block)
        if got.ndim <= axis or got.ndim > 2 or not 1 < got.shape[axis] <= MANY:
            return None
        order = _order(np.moveaxis(got, axis, 0), np.moveaxis(base, axis, 0))
        return permuted(axis, order, got.ndim), np.take(base, order, axis)

    return pattern


def permuted(axis: int, order: list[int], ndim: int) -> str:
    n, noun = len(order), "entries" if ndim == 1 else ("rows", "columns")[axis]
    shifts = {(i - j) % n for i, j in enumerate(order)}
    moved = [i for i, j in enumerate(order) if i != j]
    if len(moved) == 2:
        return f"{{has}} {noun} {moved[0] + 1} and {moved[1] + 1} swapped"
    if len(shifts) == 1:
        shift = shifts.pop()
        on, back = ("right", "left") if axis == 1 else ("down", "up")
        by, where = (shift, on) if shift <= n // 2 else (n - shift, back)
        return f"{{has}} {{its}} {noun} shifted {where} by {by}"
    if order == list(range(n))[::-1]:
        return f"{{has}} {{its}} {noun} in reverse order"
    return f"{{has}} {{its}} {noun} in a wrong order"


def _order(got: Array, base: Array) -> list[int]:
    """For each row of `got`, the row of `base` that it is nearest to; each is taken once."""
    n = len(got)
    far = np.abs(got.reshape(n, 1, -1) - base.reshape(1, n, -1)).max(axis=2)
    far = np.nan_to_num(far, nan=np.inf)
    near = far.diagonal() <= far.min(axis=1) * (1 + 1e-9)
    order = np.where(near, np.arange(n), -1)
    far[:, near] = np.inf
    for i in np.flatnonzero(~near):
        order[i] = far[i].argmin()
        far[:, order[i]] = np.inf
    return [int(j) for j in order]


def _clipped(case: Case, block: Block) -> tuple[str, Array] | None:
    got, base = case.parts(block)
    c = float(np.abs(got).max())
    if (np.abs(base) > c * (1 + 1e-6)).sum() < 2:
        return None
    return clipped(c), np.clip(base, -c, c)


def clipped(c: float) -> str:
    return f"{{is}} clipped to [-{c:.4g}, {c:.4g}]"


Pattern = Callable[[Case, Block], tuple[str, Array] | None]
STRONG: list[tuple[Pattern, str]] = [  # what says much by little comes first
    (_zero, ""),
    (_named_factor, ""),
    (_transposed, "dW^l = delta^lT a^{l-1} is of the shape of W^l: n_l rows, n_{l-1} columns."),
    (_reshaped, "Is it a reshape of a transposed matrix?"),
    (_zero_lines(1), "A tail that a loop or a block leaves out looks like this."),
    (_zero_lines(0), "A tail that a loop or a block leaves out looks like this."),
    (_flattened, "In NumPy, ravel() goes by rows and ravel(order='F') by columns."),
    (_of_another, "Are the gradients listed in another order than the parameters?"),
]
WEAK: list[tuple[Pattern, str]] = [
    (_clipped, ""),
    (_permuted(1), ""),
    (_permuted(0), ""),
    (_absolute, ""),
    (_any_factor, ""),
]


def _by_block(case: Case, table: list[tuple[Pattern, str]]) -> Iterator[Finding]:
    """The first pattern of the table that explains each wrong block, blocks of the same joined."""
    groups: dict[str, list[Block]] = {}
    hints: list[str] = []
    whole = case.base.copy()
    for block in case.wrong_blocks:
        for pattern, hint in table:
            found = pattern(case, block)
            if found and case.fits_block(block, found[1]):
                groups.setdefault(found[0], []).append(block)
                hints.append(hint)
                whole[block.where] = found[1].ravel()
                break
        else:
            return
    gap = case.fits(whole)
    if gap is None:
        return
    reasons_of = {phrase: _reasons_of(case, phrase, blocks) for phrase, blocks in groups.items()}
    for phrase, blocks in groups.items():
        # One number explains one number: that is no evidence.
        known = sum(int((case.error[b.where] > case.tolerance).sum()) for b in blocks)
        if phrase.endswith(TIMES) and not reasons_of[phrase] and known < 2:
            return
    names = [sentence(case.parameters, blocks, phrase) for phrase, blocks in groups.items()]
    listed = ", " in names[0] and len(next(iter(groups.values()))) > 2
    why = "; or ".join(dict.fromkeys(why for some in reasons_of.values() for why in some))
    hints = [f"{capital(why)}." if why else "", *hints]
    simple = len(groups) == 1 and not listed
    yield Finding("; ".join(names), " ".join(dict.fromkeys(filter(None, hints))), gap, simple)


def _reasons_of(case: Case, phrase: str, blocks: list[Block]) -> list[str]:
    if not phrase.endswith(TIMES):
        return []
    for value in (
        -1.0,
        *(s * v for v, _ in constants(case.m, case.n_L, case.loss) for s in (1, -1)),
    ):
        if times(value) == phrase:
            whole = len(blocks) == len(case.blocks)
            return reasons(value, case.m, case.n_L, whole, case.loss)
    return []


# Patterns of all blocks together


def _growing(case: Case) -> Iterator[Finding]:
    """A factor put in again in each layer on the way down."""
    layers = [block.layer for block in case.blocks]
    if not all(layers):
        return
    L = max(l for l in layers if l)
    below = case.blocks[0]
    c = _least_squares(*case.parts(below)) or 0.0  # the largest of the factors
    for value, _ in constants(case.m, case.n_L, case.loss):
        for start in (0, 1):
            due = value ** (L - (below.layer or 0) + start)
            if abs(c - due) > 2 * case.tolerance * due:
                continue
            guess = np.concatenate(
                [value ** (L - (b.layer or 0) + start) * case.base[b.where] for b in case.blocks]
            )
            gap = case.fits(guess)
            if gap is not None and L + start > 2:
                why = "; or ".join(reasons(value, case.m, case.n_L, False, case.loss))
                yield Finding(growing(value), f"{capital(why)}.", gap)


def growing(c: float) -> str:
    return f"each layer further down has one more factor {c:.4g} (BP2)"


def _decayed(case: Case) -> Iterator[Finding]:
    """got = right + lambda theta."""
    theta = np.concatenate([np.ravel(block.array) for block in case.blocks])
    here = np.zeros(case.parameters.size, bool)
    for block in case.wrong_blocks:
        here[block.where] = True
    lam = _least_squares(
        (case.got - case.base)[here], np.where(np.isnan(case.base), 0, theta)[here]
    )
    changed = int((case.error > case.tolerance / 10).sum())
    if not lam or changed < 4:
        return
    gap = case.fits(case.base + np.where(here, lam * theta, 0))
    if gap is not None:
        yield Finding(
            decayed(case.parameters, case.wrong_blocks, lam),
            "Weight decay belongs to the cost too, or to neither."
            if lam > 0
            else "The cost has a penalty lambda/2 |theta|^2 that the gradient lacks.",
            gap,
        )


def decayed(parameters: Parameters, blocks: Sequence[Block], lam: float) -> str:
    is_or_lacks = "{has} weight decay added" if lam > 0 else "{is} without the weight decay"
    return sentence(parameters, blocks, f"{is_or_lacks}, {abs(lam):.4g} times the parameter")


def _rounded(case: Case) -> Iterator[Finding]:
    relative = np.abs(case.got - case.base) <= 2.0**-23 * np.abs(case.base)
    if case.single and relative[~np.isnan(case.base)].all():
        yield Finding(ROUNDED, "Some step stores them in float32.", 0.0)


ROUNDED = "all derivatives are rounded to float32"


def _short(case: Case) -> Iterator[Finding]:
    """One arbitrary factor below 1 on all, with a norm that is a round number."""
    c = _least_squares(case.got, case.base)
    norm = float(np.sqrt((case.got**2).sum()))
    if c and 0 < c < 1 and case.fits(c * case.base) is not None and _round(norm):
        yield Finding(shortened(norm), "Clipping belongs after the gradient, not in it.", 0.0)


def shortened(norm: float) -> str:
    return f"the whole gradient is clipped to the norm {norm:.4g}"


def _round(value: float) -> bool:
    return abs(float(f"{value:.1e}") - value) <= 1e-6 * value


def strong(case: Case) -> list[Finding]:
    """Explanations that leave little to chance, the simplest first."""
    return [*_by_block(case, STRONG), *_growing(case), *_decayed(case), *_rounded(case)]


def weak(case: Case) -> list[Finding]:
    """Explanations of second choice."""
    return [*_short(case), *_by_block(case, STRONG + WEAK)]
