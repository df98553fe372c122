"""Every known mistake as a wrong gradient, to be planted: a check must find each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import patterns
from .case import called, capital, sentence
from .factors import constants, times
from .ingredients import Anatomy, Ingredients
from .parameters import Block, Parameters
from .simulation import Simulation

Array = NDArray[Any]

SEEN = 1e-5  # of a block's largest: a smaller change of a gradient is not planted
DECAY = 1e-2


def wrong_gradients(anatomy: Anatomy) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """Every known mistake that changes the gradient of this network, each gradient once.

    Yields
    ------
    name, dW, db
        As `diagnose` names it; lists numbered from 1 with None at 0.
    """
    with np.errstate(all="ignore"):
        simulation = Simulation(anatomy)
        right, true = simulation.right, simulation.true
        L = right.L
        parameters = Parameters(
            (f"{kind}^{l}", arrays[l], l, kind)
            for l in range(1, L + 1)
            for kind, arrays in (("W", anatomy.W), ("b", anatomy.b))
        )
        if not np.isfinite(true).all():
            raise ValueError("anatomy must have a finite gradient")
        scale = np.empty_like(true)
        for block in parameters.blocks:
            scale[block.where] = np.abs(true[block.where]).max(initial=0.0)
        scale = np.maximum(scale, 1e-3 * max(1.0, float(scale.max(initial=0.0))))
        seen = true[None]
        for name, wrong in _all(simulation, parameters):
            if not np.isfinite(wrong).all() or (np.abs(wrong - true) <= SEEN * scale).all():
                continue
            if (np.abs(seen - wrong) <= 1e-8 * scale).all(axis=1).any():
                continue
            seen = np.vstack([seen, wrong])
            dW, db = ([None] * (L + 1) for _ in range(2))
            for block in parameters.blocks:
                part = wrong[block.where].reshape(block.array.shape)
                (dW if block.kind == "W" else db)[block.layer or 0] = part  # type: ignore[call-overload]
            yield capital(name), dW, db


def _all(simulation: Simulation, parameters: Parameters) -> Iterator[tuple[str, Array]]:
    right, true = simulation.right, simulation.true
    yield "all are 0", 0 * true
    yield from _by_block(right, parameters, true)
    yield from _together(right, parameters, true)
    yield from simulation.gradients()
    yield from _in_order(parameters, true)


def _sets(parameters: Parameters) -> Iterator[list[Block]]:
    """All blocks, all W, all b, each layer, the layers 1 to l, each block."""
    blocks = parameters.blocks
    L = blocks[-1].layer or 0
    yield blocks
    for kind in "Wb":
        yield [block for block in blocks if block.kind == kind]
    for l in range(1, L + 1):
        yield [block for block in blocks if (block.layer or 0) <= l]
        yield [block for block in blocks if block.layer == l]
    yield from ([block] for block in blocks)


def _by_block(
    right: Ingredients, parameters: Parameters, true: Array
) -> Iterator[tuple[str, Array]]:
    """Factors, zeros, transposed matrices and tails."""
    loss = right.anatomy.name
    factors = [-1.0, *(value for value, _ in constants(right.m, right.n[-1], loss))]
    for blocks in _sets(parameters):
        here = np.zeros(len(true), bool)
        for block in blocks:
            here[block.where] = True
        yield sentence(parameters, blocks, "{is} 0"), np.where(here, 0.0, true)
        for c in factors:
            said = sentence(parameters, blocks, times(c))
            yield said, np.where(here, c * true, true)
    for block in parameters.blocks:
        part = true[block.where].reshape(block.array.shape)
        for phrase, guess in _shapes(part):
            yield _one(parameters, true, block, phrase, guess)
    for name, other in ((a, b) for a in parameters.blocks for b in parameters.blocks if a is not b):
        if name.array.shape == other.array.shape:
            phrase = f"{{has}} the values of {called(other)}"
            yield _one(parameters, true, name, phrase, true[other.where])


def _shapes(part: Array) -> Iterator[tuple[str, Array]]:
    if part.ndim == 2:
        if part.shape[0] == part.shape[1]:
            yield "{is} transposed", part.T
        yield (
            "{has} rows and columns mixed up, as by reshape instead of .T",
            part.T.reshape(part.shape),
        )
    for axis in range(part.ndim - 1, -1, -1):
        n = part.shape[axis]
        for k in (1, 3):
            lines = list(range(n - k, n))
            if (
                k < n
                and np.take(part, lines, axis).any(axis=1 - axis if part.ndim > 1 else None).all()
            ):
                guess = part.copy()
                guess[(slice(None),) * axis + (lines,)] = 0
                yield patterns.zero_lines(axis, lines, part.shape), guess


def _together(
    right: Ingredients, parameters: Parameters, true: Array
) -> Iterator[tuple[str, Array]]:
    """A factor in each layer, weight decay, a clipped norm."""
    for value, _ in constants(right.m, right.n[-1], right.anatomy.name):
        for start in (1, 0):
            if right.L + start > 2:
                steps = [value ** (right.L - (b.layer or 0) + start) for b in parameters.blocks]
                sizes = [block.array.size for block in parameters.blocks]
                yield patterns.growing(value), np.repeat(steps, sizes) * true
    theta = np.concatenate([np.ravel(block.array) for block in parameters.blocks])
    for blocks in _sets(parameters):
        lam = np.zeros(len(true))
        for block in blocks:
            lam[block.where] = DECAY
        if sum(int(np.count_nonzero(block.array)) for block in blocks) >= 4:
            yield patterns.decayed(parameters, blocks, DECAY), true + lam * theta
    norm = float(np.sqrt((true**2).sum()))
    target = float(f"{norm / 3:.1e}")
    if 0 < target < norm:
        yield patterns.shortened(target), target / norm * true


def _in_order(parameters: Parameters, true: Array) -> Iterator[tuple[str, Array]]:
    """Rows and columns moved, signs lost, values clipped."""
    for block in parameters.blocks:
        part = true[block.where].reshape(block.array.shape)
        for axis in range(part.ndim - 1, -1, -1):
            n = int(part.shape[axis])
            if np.unique(part, axis=axis).shape[axis] < n:
                continue
            for order in (np.roll(range(n), 1), np.roll(range(n), -1), np.arange(n)[::-1]):
                phrase = patterns.permuted(axis, [int(i) for i in order], part.ndim)
                yield _one(parameters, true, block, phrase, np.take(part, order, axis))
        yield _one(parameters, true, block, "{has} lost the signs", np.abs(part))
        sizes = np.sort(np.abs(part).ravel())
        if len(sizes) > 3 and sizes[-3] > 0:
            c = float(sizes[-3]) / 2
            yield _one(parameters, true, block, patterns.clipped(c), np.clip(part, -c, c))


def _one(
    parameters: Parameters, true: Array, block: Block, phrase: str, guess: Array
) -> tuple[str, Array]:
    wrong = true.copy()
    wrong[block.where] = np.ravel(guess)
    return sentence(parameters, [block], phrase), wrong
