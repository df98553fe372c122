"""Gradients with one mistake each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import reference
from ..gradcheck.mistakes import Anatomy


def wrong_gradients(anatomy: Anatomy) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """Yield name, dW, db of gradients with one mistake each."""
    W, b, f, X, Y = anatomy.W, anatomy.b, anatomy.activations, anatomy.X, anatomy.Y
    _, right_W, right_b = reference.gradient(W, b, f, X, Y, anatomy.reduction)
    L, (m, n_L) = len(W) - 1, Y.shape

    def scaled(factor: float) -> tuple[list[Any], list[Any]]:
        return [None, *(factor * g for g in right_W[1:])], [
            None,
            *(factor * g for g in right_b[1:]),
        ]

    for name, factor in (("factor 2", 2), ("factor 1/2", 0.5), ("factor m", m), ("sign", -1)):
        yield name, *scaled(factor)
    yield "factor n_L", *scaled(n_L)
    for l in range(1, L + 1):
        dW, db = scaled(1)
        db[l] = 0 * db[l]
        yield f"no db^{l}", dW, db
        dW, db = scaled(1)
        dW[l][:, -1] = 0
        yield f"last column of dW^{l}", dW, db
        dW, db = scaled(1)
        dW[l] = dW[l] - right_W[l] / m
        yield f"a sample is missing in dW^{l}", dW, db
    dW, db = scaled(1)
    dW[1] = dW[1] + 1e-4 * np.abs(dW[1]).max()
    yield "a small error in dW^1", dW, db
