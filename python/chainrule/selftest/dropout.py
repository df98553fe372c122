"""What dropout keeps, by hand: a pure function of the seed, the step, the sample and the unit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

GOLDEN = 0x9E3779B97F4A7C15
SAMPLE, UNIT = 0x9E3779B1, 0x85EBCA6B
STREAM = 0xD0
BOUNDS = 2**24  # so many rates there are


def key_of(seed: int, step: int) -> int:
    """Return the key of a step, counted from 0: 64 bits."""
    key = _mix(((seed ^ _mix(STREAM)) + GOLDEN) % 2**64) ^ _mix((STREAM * GOLDEN + 1) % 2**64)
    return _mix((key + (step + 1) * GOLDEN) % 2**64)


def mask(key: int, l: int, m: int, n: int, rate: float) -> Array:
    """Return what the outputs of layer l are multiplied by, (m, n): 0 or 1 / (1 - rate)."""
    own = (key + l * GOLDEN) % 2**64
    x = np.arange(m, dtype=np.uint32)[:, None] * np.uint32(SAMPLE)
    x = x + np.arange(n, dtype=np.uint32) * np.uint32(UNIT)
    for half in (own % 2**32, own >> 32):
        x ^= np.uint32(half)
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
    bound = round(rate * BOUNDS)
    return np.asarray((x >> np.uint32(8) >= bound) / (1 - bound / BOUNDS))


def _mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
    return x ^ (x >> 31)
