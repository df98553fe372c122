"""Which units and inputs can no longer learn, or learn slowly, on given data.

`Network.dead_units` and `Network.weak_inputs` stand on this room. What is dead is decided on the z
of the core itself, so it is exact. Called by users.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from . import reference
from .errors import DivergedError
from .network import Network

Array = NDArray[Any]

SATURATED = 1e-3  # f'(z) below this share of the largest f' on all samples
WEAK = 0.1  # a tenth of the input: a tenth of the derivative, a hundredth of the effect on z
MOST_ROWS = 20
ROWS = 4096  # samples of one pass: the z of all samples need not lie in memory at once
LARGEST_SLOPE = {"sigmoid": 0.25, "tanh": 1.0, "softplus": 1.0, "gelu": 1.13, "silu": 1.1}


@dataclass(frozen=True)
class DeadUnit:
    """A unit whose derivatives are exactly 0 on all samples.

    Attributes
    ----------
    l, j : int
        Layer and unit, from 1.
    largest_z : float
        Over the samples.
    active : float
        Share of the samples with f'(z) not 0.
    reason : str
    """

    l: int
    j: int
    largest_z: float
    active: float
    reason: str


@dataclass(frozen=True)
class SaturatedUnit:
    """A unit of a smooth activation that is so far out on all samples that it hardly learns.

    Attributes
    ----------
    l, j : int
        Layer and unit, from 1.
    smallest_z : float
        The z nearest to 0 over the samples.
    largest_slope : float
        The largest |f'(z)| over the samples.
    reason : str
    """

    l: int
    j: int
    smallest_z: float
    largest_slope: float
    reason: str


@dataclass(frozen=True)
class WeakInput:
    """An input whose values are small against the largest input.

    Attributes
    ----------
    k : int
        The input, from 1.
    size : float
        The root mean square of x_k over the samples, as the network sees it.
    ratio : float
        `size` over that of the largest input.
    reason : str
    """

    k: int
    size: float
    ratio: float
    reason: str


Row = TypeVar("Row")


class _Rows(Sequence[Row], Generic[Row]):
    """An immutable sequence that prints as a table."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)


class DeadUnits(_Rows[DeadUnit]):
    """The dead units, from `Network.dead_units`: a sequence of `DeadUnit`, prints as a table.

    Attributes
    ----------
    saturated : tuple of SaturatedUnit
        Not dead, but nearly without derivative.
    n_units, m : int
        How many units there are, and on how many samples they were looked at.
    """

    def __init__(
        self,
        rows: Sequence[DeadUnit],
        saturated: Sequence[SaturatedUnit],
        n_units: int,
        m: int,
    ) -> None:
        super().__init__(rows)
        self.saturated = tuple(saturated)
        self.n_units = n_units
        self.m = m

    def __repr__(self) -> str:
        return f"<{len(self)} dead and {len(self.saturated)} saturated of {self.n_units} units>"

    def __str__(self) -> str:
        on = f"{self.n_units} {_plural('unit', self.n_units)} on {_samples(self.m)}"
        lines = [f"{len(self) or 'None'} dead of {on}"]
        if self:
            cells = [(u.l, u.j, f"{u.largest_z:.6g}", f"{u.active:.0%}", u.reason) for u in self]
            lines += _table(("layer", "unit", "largest z", "active", "why"), cells)
        if self.saturated:
            what = "not dead, but they learn very slowly"
            if any(u.largest_slope == 0 for u in self.saturated):
                what += "; where f'(z) rounds to 0 they do not move on these samples"
            lines += ["", f"{len(self.saturated)} saturated: {what}"]
            slow = [
                (u.l, u.j, f"{u.smallest_z:.6g}", f"{u.largest_slope:.3g}", u.reason)
                for u in self.saturated
            ]
            lines += _table(("layer", "unit", "z nearest to 0", "largest f'(z)", "why"), slow)
        return "\n".join(lines)


class WeakInputs(_Rows[WeakInput]):
    """The weak inputs, from `Network.weak_inputs`: a sequence of `WeakInput`, prints as a table.

    Attributes
    ----------
    largest : int
        The largest input, from 1.
    n_inputs, m : int
    scaled : bool
        The network standardises its inputs.
    """

    def __init__(
        self, rows: Sequence[WeakInput], largest: int, n_inputs: int, m: int, scaled: bool
    ) -> None:
        super().__init__(rows)
        self.largest = largest
        self.n_inputs = n_inputs
        self.m = m
        self.scaled = scaled

    def __repr__(self) -> str:
        return f"<{len(self)} weak of {self.n_inputs} inputs>"

    def __str__(self) -> str:
        inputs = f"{self.n_inputs} {_plural('input', self.n_inputs)} on {_samples(self.m)}"
        units = ", in standardised units" if self.scaled else ""
        if not self:
            return f"None weak of {inputs}{units}"
        cells = [(w.k, f"{w.size:.6g}", f"{w.ratio:.3g}", w.reason) for w in self]
        head = ("input", "size", f"size / size of input {self.largest}", "why")
        lines = [f"{len(self)} weak of {inputs}{units}", *_table(head, cells)]
        lines.append("size: root mean square of x_k; dC/dw^1_j,k is proportional to x_k.")
        if not self.scaled:
            lines.append("Inputs of one size help: net.scaling = cr.Scaling.fit(X, Y).")
        return "\n".join(lines)


def dead_units(net: Network, X: Any) -> DeadUnits:
    """See `Network.dead_units`."""
    X, _ = net._rows(X)
    x = net._inputs(X, "X")
    largest, active, nearest, slopes = _look(net, x)
    dead: list[DeadUnit] = []
    saturated: list[SaturatedUnit] = []
    dead_above = False
    for l in range(net.L, 0, -1):
        name = net.layers[l - 1].activation
        here: list[DeadUnit] = []
        for j in range(1, net.n[l] + 1):
            z, share = float(largest[l][j - 1]), float(active[l][j - 1])
            if name == "relu" and z <= 0:
                reason = "relu: z <= 0 on all samples, so f'(z) = 0"
                here.append(DeadUnit(l, j, z, share, reason))
            elif dead_above:
                reason = f"all units of layer {l + 1} are dead: no error comes down"
                here.append(DeadUnit(l, j, z, share, reason))
            elif slopes[l][j - 1] < SATURATED * LARGEST_SLOPE.get(name, 0.0):
                f = float(slopes[l][j - 1])
                reason = f"{name}: f'(z) is at most {f:.3g} on all samples"
                saturated.append(SaturatedUnit(l, j, float(nearest[l][j - 1]), f, reason))
        dead_above = len(here) == net.n[l]
        dead = here + dead
    saturated.sort(key=lambda unit: (unit.l, unit.j))
    return DeadUnits(dead, saturated, sum(net.n[1:]), len(x))


def weak_inputs(net: Network, X: Any) -> WeakInputs:
    """See `Network.weak_inputs`."""
    X, _ = net._rows(X)
    x = net._inputs(X, "X").astype(np.float64)
    size = np.abs(x).max(axis=0)
    scale = np.where(size > 0, size, 1)
    # Divided first: squares of 1e300 and of 1e-300 stay in range.
    size = scale * np.sqrt(np.mean((x / scale) ** 2, axis=0)) * (size > 0)
    top = int(np.argmax(size))
    largest = float(size[top])
    weak = []
    for k, s in enumerate(map(float, size), 1):
        if s == 0:
            weak.append(WeakInput(k, s, 0.0, "always 0: its weights never move"))
        elif s < WEAK * largest:
            times = f"{largest / s:.3g} times" if math.isfinite(largest / s) else "vastly"
            weak.append(WeakInput(k, s, s / largest, f"{times} smaller: its weights learn slowly"))
    return WeakInputs(weak, top + 1, net.n[0], len(x), net.scaling is not None)


def _look(net: Network, x: Array) -> tuple[list[Array], list[Array], list[Array], list[Array]]:
    """Per layer (0 unused) and unit: the largest z, the share of samples with f' not 0, the z
    nearest to 0, the largest |f'(z)|.
    """
    empty = np.zeros(0)
    largest = [empty, *(np.full(n, -np.inf) for n in net.n[1:])]
    nearest = [empty, *(np.full(n, np.inf) for n in net.n[1:])]
    active = [empty, *(np.zeros(n) for n in net.n[1:])]
    slopes = [empty, *(np.zeros(n) for n in net.n[1:])]
    scratch = np.empty_like(net.theta)
    for start in range(0, len(x), ROWS):
        block = np.ascontiguousarray(x[start : start + ROWS])
        target = np.zeros((len(block), net.n[-1]), x.dtype)
        for l, z in enumerate(net._engine.trace(block, target, scratch)[1], 1):
            if not np.isfinite(z).all():
                i, j = np.argwhere(~np.isfinite(z))[0]
                raise DivergedError(
                    f"z^{l}_{j + 1} is not finite ({z[i, j]}) for sample {start + i + 1}: "
                    "X or the parameters are too large; net.trace(X, Y) shows where"
                )
            name = net.layers[l - 1].activation
            f = np.abs(reference.ACTIVATIONS[name][1](z.astype(np.float64)))
            largest[l] = np.maximum(largest[l], z.max(axis=0))
            closest = z[np.abs(z).argmin(axis=0), np.arange(z.shape[1])]
            nearest[l] = np.where(np.abs(closest) < np.abs(nearest[l]), closest, nearest[l])
            active[l] += (f != 0).sum(axis=0) / len(x)
            slopes[l] = np.maximum(slopes[l], f.max(axis=0))
    return largest, active, nearest, slopes


def _table(head: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Aligned lines, cut after MOST_ROWS."""
    cells = [head, *(tuple(map(str, row)) for row in rows[:MOST_ROWS])]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    left = len(rows) - MOST_ROWS
    return [*lines, f"... and {left} more"] if left > 0 else lines


def _samples(m: int) -> str:
    return f"{m} {_plural('sample', m)}"


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
