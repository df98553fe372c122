"""A wrong gradient beside the right one, what explains it, and how its parts are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .parameters import Block, Parameters

Array = NDArray[Any]

DOUBLE, SINGLE = 1e-5, 2e-4  # of a block's largest: what an explanation may leave over
SHARE = 0.05  # of the largest error: more may not be left over


def capital(text: str) -> str:
    """With a capital letter, unless it begins with a symbol."""
    first = text.split(" ", 1)[0].rstrip(",:")
    word = first.isalpha() and len(first) > 2 and first != "delta"
    return text[0].upper() + text[1:] if word else text


@dataclass(frozen=True)
class Finding:
    """An explanation in words, and the largest distance from it, of each block's largest."""

    name: str
    hint: str
    gap: float
    simple: bool = True  # else an explanation by a slip is the simpler one

    def __str__(self) -> str:
        return f"{capital(self.name)}. {self.hint}".rstrip()


class Case:
    """A wrong gradient `got` and the right one, `base`; NaN in `base`: not known.

    `m` and `n_L` are the numbers of samples and outputs, where they are known, `loss` the name of
    the loss. `exact` says that
    `base` is right to rounding and not only to that of a difference.
    """

    def __init__(
        self,
        parameters: Parameters,
        got: Array,
        base: Array,
        bad: Array,
        *,
        m: int | None = None,
        n_L: int | None = None,
        loss: str = "mse",
        exact: bool = False,
    ) -> None:
        self.parameters, self.got, self.base, self.bad = parameters, got, base, bad
        self.m, self.n_L, self.loss = m, n_L, loss
        self.blocks = parameters.blocks
        with np.errstate(over="ignore"):
            self.single = bool((got == got.astype(np.float32)).all())
        self.tolerance = SINGLE if self.single else DOUBLE
        largest = float(np.nanmax(np.abs(base), initial=0.0))
        floor = 1e-8 * largest if exact else 1e-3 * max(1.0, largest)
        self.scale = np.empty(parameters.size)
        for block in self.blocks:
            sizes = np.abs([got[block.where], base[block.where]])
            self.scale[block.where] = max(float(np.nanmax(sizes, initial=0.0)), floor) or 1.0
        self.error = self._distance(base)
        self.worst = float(self.error.max(initial=0.0))
        self.wrong_blocks = [block for block in self.blocks if bad[block.where].any()]

    def _distance(self, guess: Array) -> Array:
        """|got - guess| of each block's largest; 0 where `base` or `guess` is not known."""
        return np.asarray(np.nan_to_num(np.abs(self.got - guess) / self.scale, nan=0.0))

    def fits(self, guess: Array) -> float | None:
        """How far `guess` is from `got`; None when that is too far."""
        gap = float(self._distance(guess).max(initial=0.0))
        return gap if gap <= min(self.tolerance, SHARE * self.worst) else None

    def fits_block(self, block: Block, guess: Array) -> bool:
        """Whether `guess`, of the block's shape, is what was got in it and explains its error."""
        here, guess = block.where, guess.ravel()
        known = ~np.isnan(self.base[here]) & ~np.isnan(guess)
        if not (known & self.bad[here]).any():
            return False
        gap = np.abs(self.got[here] - guess)[known].max() / self.scale[here][0]
        return bool(gap <= min(self.tolerance, SHARE * self.error[here].max()))

    def parts(self, block: Block) -> tuple[Array, Array]:
        """`got` and `base` in the block's shape."""
        return self.parameters.part(self.got, block), self.parameters.part(self.base, block)


# Which blocks, in words


def called(block: Block) -> str:
    return f"d{block.name}" if block.kind else block.name


def subject(parameters: Parameters, blocks: Sequence[Block]) -> str:
    """What these blocks of derivatives are together."""
    every = parameters.blocks
    if len(blocks) == len(every):
        return "all derivatives" if len(blocks) > 1 or not blocks[0].kind else called(blocks[0])
    for kind in ("W", "b"):
        if len(blocks) > 1 and list(blocks) == [block for block in every if block.kind == kind]:
            return f"all d{kind}"
    layers = [block.layer for block in blocks]
    for first in dict.fromkeys(layers):
        if first and list(blocks) == [b for b in every if b.layer == first]:
            return f"all derivatives of layer {first}"
        if first and list(blocks) == [b for b in every if b.layer and first <= b.layer]:
            return f"all derivatives of the layers from {first} up"
        if first and list(blocks) == [b for b in every if b.layer and b.layer <= first]:
            return f"all derivatives of the layers 1 {'to' if first > 2 else 'and'} {first}"
    names = [called(block) for block in blocks]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def tag(blocks: Sequence[Block]) -> str:
    """The equation to look at when these blocks are wrong."""
    kinds = {block.kind for block in blocks}
    return {frozenset("W"): " (BP4)", frozenset("b"): " (BP3)"}.get(frozenset(kinds), "")


def sentence(parameters: Parameters, blocks: Sequence[Block], phrase: str) -> str:
    """`phrase` said of these blocks."""
    said = subject(parameters, blocks)
    if len(parameters.blocks) == 1 and "times" not in phrase and phrase != "{is} 0":
        said = called(blocks[0])  # the phrase is about its rows, columns or entries
    words = {"is": "are", "has": "have", "it": "they", "its": "their"}
    if not (said.startswith("all") or " and " in said):
        words = dict(zip(words, words, strict=True))
    layers = [block.layer for block in blocks if block.layer]
    L = parameters.blocks[-1].layer
    where = tag(blocks)
    if not where and layers and len(blocks) == 2 * len(set(layers)) < len(parameters.blocks):
        top = max(layers)
        where = f" (delta^{top}: BP2)" if len(set(layers)) == top != L else " (BP3) and (BP4)"
        if phrase == "{is} 0" and "BP2" in where:
            where = f": delta is not carried on to layer {top} (BP2)"
    return f"{said} {phrase.format(**words)}{where}"


def places(indices: Sequence[int], n: int, noun: str) -> str:
    """Indices from 0 of n rows or columns, in words."""
    k = len(indices)
    nouns = f"{noun}s" if k > 1 else noun
    if k == 1 and n == 1:
        return f"only {noun}"
    for end, run in (("last", range(n - k, n)), ("first", range(k))):
        if list(indices) == list(run):
            return f"{end} {k} of {n} {nouns}" if k > 1 else f"{end} of {n} {noun}s"
    shown = [str(i + 1) for i in indices[:8]] + ["..."] * (k > 8)
    return f"{nouns} {', '.join(shown)} of {n}"
