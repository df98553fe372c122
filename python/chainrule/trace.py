"""What the passes return: `Numbered` arrays, the `Gradient`, and the `Trace` of every symbol.

A trace holds all that its derivatives are made of, so it can explain each of them later without
the network. Made by `Network`; called by users and by every file above it.
"""
# ruff: noqa: PLC0415  (l is the number of a layer; late imports break cycles)

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_array
from .errors import whole_number
from .losses import Loss
from .scaling import Scaling

if TYPE_CHECKING:
    from .explanation import Explanation

Array = NDArray[Any]

SMALL = 60  # numbers: up to here the matrices of a trace are printed too
WIDE = 12  # layers: a longer table is cut in the middle


class Numbered:
    """Arrays numbered like the layers of the lecture: from 1 (or 0, for a[0] = X) to L.

    `len` counts them, iteration goes from the first to the last; another number is an IndexError.
    For `net.W` and `net.b`, `net.W[l] = array` copies into the parameters.
    """

    __slots__ = ("_arrays", "_assignable", "_first", "_name")

    def __init__(
        self, name: str, arrays: Sequence[Array], first: int = 1, assignable: bool = False
    ) -> None:
        self._name = name
        self._arrays = tuple(arrays)
        self._first = first
        self._assignable = assignable

    def __getitem__(self, l: int) -> Array:
        if type(l) is not int:
            l = whole_number(l, f"the layer in {self._name}[l]", least=-(2**63))
        k = l - self._first
        if not 0 <= k < len(self._arrays):
            last = self._first + len(self._arrays) - 1
            raise IndexError(f"{self._name} is numbered {self._first}..{last}, got [{l}]")
        return self._arrays[k]

    def __setitem__(self, l: int, value: Any) -> None:
        if not self._assignable:
            raise TypeError(f"{self._name}[l] cannot be assigned to")
        target = self[l]
        target[...] = as_array(value, f"{self._name}[{l}]", target.dtype, target.shape)

    def __len__(self) -> int:
        return len(self._arrays)

    def __iter__(self) -> Iterator[Array]:
        return iter(self._arrays)

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{self._name}[{l}] {array.shape}" for l, array in enumerate(self._arrays, self._first)
        )
        return f"<{shapes}>"


@dataclass(frozen=True, eq=False)
class Gradient:
    """The cost and its derivatives, from `Network.gradient`.

    Attributes
    ----------
    cost : float
        Of the loss in use, in standardised units when the network has a scaling.
    theta : ndarray, shape (P,)
        All derivatives in the order of `net.theta`.
    dW, db : Numbered
        dW[l] (n_l, n_{l-1}) and db[l] (n_l,), l = 1..L: views of `theta`.
    """

    cost: float
    theta: Array
    dW: Numbered
    db: Numbered


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Everything the passes forward and backward compute, from `Network.trace`.

    All arrays are copies: later training does not change a trace. Samples are rows, so one sample
    gives one row. With a scaling everything is in standardised units. `print(trace)` shows a table
    of the layers, and the matrices too when they are small.

    Attributes
    ----------
    cost : float
    z, a : Numbered
        z[l] and a[l] (m, n_l); z from 1, a from 0 with a[0] = X (standardised when scaled).
    delta : Numbered
        delta[l] = dC/dz^l (m, n_l), l = 1..L.
    dW, db : Numbered
        The derivatives, as in `Gradient`.
    Y : ndarray, shape (m, n_L)
        The targets as the network sees them: classes as one-hot rows, (m, n_L / 2) for
        gaussian_nll.
    loss : Loss
    W, b : Numbered
        The parameters as they were: W[l] (n_l, n_{l-1}), b[l] (n_l,), l = 1..L.
    activations : tuple of str
        One name per layer: activations[0] is that of layer 1.
    scaling : Scaling or None
        Of the network.
    weight : ndarray, shape (m,), or None
        Of the samples.

    Examples
    --------
    >>> net = Network([Dense(2, "sigmoid"), Dense(1)], n_inputs=2, dtype="float64")
    >>> t = net.trace([0.5, 1.0], 1.0)
    >>> t.m, t.n, t.L, t.delta[1].shape
    (1, (2, 2, 1), 2, (1, 2))
    >>> t.explain(1, 2, 1).name
    'dC/dw^1_2,1'
    """

    cost: float
    z: Numbered
    a: Numbered
    delta: Numbered
    dW: Numbered
    db: Numbered
    Y: Array
    loss: Loss
    W: Numbered
    b: Numbered
    activations: tuple[str, ...]
    scaling: Scaling | None = None
    weight: Array | None = None

    @property
    def m(self) -> int:
        """Number of samples."""
        return len(self.Y)

    @property
    def n(self) -> tuple[int, ...]:
        """Numbers of units: n[0] inputs, n[l] of layer l."""
        return tuple(a.shape[1] for a in self.a)

    @property
    def L(self) -> int:
        """Number of layers."""
        return len(self.activations)

    def explain(self, l: int, j: int, k: int | None = None) -> Explanation:
        """Where one derivative comes from: formula, numbers, check, and the sum over all paths.

        Parameters
        ----------
        l : int
            The layer, 1 to L.
        j : int
            The unit of layer l that the weight goes into, or whose bias it is: 1 to n_l.
        k : int, optional
            The unit of layer l - 1 (for l = 1: the input) that the weight comes from: 1 to
            n_{l-1}. Without it, the bias b^l_j is explained.

        Returns
        -------
        Explanation
            Prints as text; `.latex`, `.steps`, `.value`, `.check`, `.paths` are its parts.

        Raises
        ------
        TypeError, ValueError
            A number is not whole, or not in its range.
        """
        from .explanation import explain

        return explain(self, l, j, k)

    def __repr__(self) -> str:
        return (
            f"<Trace of {_network(self)}, m = {self.m}, cost {self.cost:.6g}; "
            "print(trace) shows the layers>"
        )

    def __str__(self) -> str:
        units = ", in standardised units" if self.scaling is not None else ""
        units += ", samples weighted" if self.weight is not None else ""
        lines = [
            f"Trace of {_network(self)}, {self.W[1].dtype}",
            f"m = {self.m} {'sample' if self.m == 1 else 'samples'}, "
            f"cost C = {self.cost:.6g} ({self.loss.formula}){units}",
            "",
            *_table(self),
        ]
        arrays = [a for part in (self.a, self.z, self.delta, self.dW, self.db) for a in part]
        if sum(a.size for a in arrays) <= SMALL:
            for l in range(self.L + 1):
                names = ("a",) if l == 0 else ("z", "a", "delta", "dW", "db")
                lines += ["", *(_shown(f"{name}[{l}]", getattr(self, name)[l]) for name in names)]
        else:
            lines += [
                "",
                "|.| is the square root of the sum of squares; t.z[l], ... are the numbers",
            ]
        return "\n".join(lines)


def _network(t: Trace) -> str:
    if t.L > WIDE:
        return f"{t.L} layers, {t.n[0]} inputs, {t.n[-1]} outputs"
    return f"{'-'.join(map(str, t.n))} {', '.join(t.activations)}"


def _table(t: Trace) -> list[str]:
    """The layers with shapes and norms, as aligned lines."""
    rows: list[tuple[str, ...]] = [
        ("layer", "f", "z, a, delta", "W", "|z|", "|a|", "|delta|", "|dW|", "|db|")
    ]
    rows.append(("0", "", str(t.a[0].shape), "", "", _norm(t.a[0]), "", "", ""))
    for l in range(1, t.L + 1):
        norms = (_norm(part[l]) for part in (t.z, t.a, t.delta, t.dW, t.db))
        shapes = (str(t.z[l].shape), str(t.W[l].shape))
        rows.append((str(l), t.activations[l - 1], *shapes, *norms))
    if len(rows) > WIDE + 2:
        half = WIDE // 2
        left_out = ("...",) + (len(rows[0]) - 1) * ("",)
        rows = [*rows[: half + 2], left_out, *rows[-half:]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _norm(array: Array) -> str:
    flat = array.ravel(order="K").astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        norm = float(np.linalg.norm(flat))
        if math.isinf(norm) and np.isfinite(flat).all():  # its squares are too large
            norm = float(np.linalg.norm(flat * 2.0**-600)) * 2.0**600
    return f"{norm:.6g}"


def _shown(name: str, array: Array) -> str:
    text = np.array2string(array, precision=6, prefix=f"{name} = ", max_line_width=100)
    return f"{name} = {text}"
