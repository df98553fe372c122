"""The two passes taken apart: what each equation is made of, so that one thing can be exchanged."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference

Array = NDArray[Any]
Numbered = list[Any]  # None at 0, then one for each layer


@dataclass(frozen=True)
class Anatomy:
    """A dense network at the moment of the check, in float64: what mistakes are made from.

    Lists are numbered as in the reference: W, b from 1 to L, and X = a[0]. The cost is
    `reference.cost(a^L, Y, loss, weight)`.
    """

    W: list[Any]
    b: list[Any]
    activations: list[str]
    X: Array
    Y: Array
    loss: Any = "mse"
    weight: Array | None = None

    @property
    def name(self) -> str:
        """The name of the loss; "" of a function."""
        loss = reference.checked_loss(self.loss)
        return "" if callable(loss) else str(loss.name)

    @property
    def reduction(self) -> str:
        loss = reference.checked_loss(self.loss)
        return "sum" if callable(loss) else str(loss.reduction)

    @property
    def L(self) -> int:
        return len(self.W) - 1

    @property
    def n(self) -> tuple[int, ...]:
        return (self.X.shape[1], *(len(W) for W in self.W[1:]))

    @property
    def m(self) -> int:
        return len(self.X)


class Ingredients:
    """What the right backward pass is made of; `copy` it, change a thing, and take its `layers`.

    Attributes
    ----------
    scale
        w_i / D of each sample, a number or (m, 1).
    dC_da
        dC/da^L.
    slope
        slope[l] is f'(z^l).
    carried
        carried[l](delta^{l+1}, dC/da^{l+1}) is dC/da^l, for l < L.
    a_in
        a_in[l] is a^{l-1} in (BP4).
    delta_used
        delta_used[l], where it is not None, stands for delta^l in (BP3) and (BP4).
    db_of, dW_of
        db_of[l](delta^l) is db^l, dW_of[l](delta^l, a^{l-1}) is dW^l.
    """

    def __init__(self, anatomy: Anatomy, like: Ingredients | None = None, layers: int = 0) -> None:
        """With `like`, the first `layers` layers of its forward pass are taken over."""
        self.anatomy = anatomy
        self.L, self.n, self.m = anatomy.L, anatomy.n, anatomy.m
        X = like.a[layers] if like else anatomy.X
        W, b = ([None, *part[layers + 1 :]] for part in (anatomy.W, anatomy.b))
        z, a = reference.forward(W, b, anatomy.activations[layers:], X)
        self.z: Numbered = [*(like.z[: layers + 1] if like else [None]), *z[1:]]
        self.a: Numbered = [*(like.a[:layers] if like else []), *a]
        w = 1 if anatomy.weight is None else anatomy.weight[:, None]
        self.scale = w / reference.divisor(anatomy.Y, anatomy.loss, anatomy.weight)
        self.dC_da: Array = self.of_outputs(self.a[-1], anatomy.Y)
        self.slope: Numbered = like.slope[: layers + 1] if like else [None]
        for l in range(layers + 1, self.L + 1):
            df = reference.ACTIVATIONS[anatomy.activations[l - 1]][1]
            self.slope.append(df(self.z[l]))
        self.slopes: dict[tuple[str, int], Array] = {}
        self.carried: Numbered = [None, *(_through(W) for W in anatomy.W[2:]), None]
        self.a_in: Numbered = [None, *self.a[:-1]]
        self.delta_used: Numbered = [None] * (self.L + 1)
        self.db_of: Numbered = [None] + [_sum] * self.L
        self.dW_of: Numbered = [None] + [_product] * self.L

    def of_outputs(self, a: Array, Y: Array) -> Array:
        """dC/da^L of other outputs or targets."""
        try:
            return reference.dC_da(a, Y, self.anatomy.loss, self.anatomy.weight)
        except Exception:
            if self.anatomy.name:
                raise
            return np.full(a.shape, np.nan)  # a function that does not take such outputs

    def copy(self) -> Ingredients:
        """A copy whose entries may be exchanged (not changed in place)."""
        _ = self.right  # before anything is exchanged
        other = copy.copy(self)  # shares `slopes`
        for name in ("slope", "carried", "a_in", "delta_used", "db_of", "dW_of"):
            setattr(other, name, list(getattr(self, name)))
        return other

    def of(self, layers: int, **other: Any) -> Ingredients:
        """Those of a network with another b or activations, from layer `layers` + 1 on."""
        return Ingredients(replace(self.anatomy, **other), self, layers)

    def slope_of(self, name: str, l: int) -> Array:
        """f'(z^l) with another activation f."""
        if (name, l) not in self.slopes:
            self.slopes[name, l] = reference.ACTIVATIONS[name][1](self.z[l])
        return self.slopes[name, l]

    @cached_property
    def right(self) -> tuple[Numbered, Numbered]:
        """delta^l and dC/da^l of the right pass."""
        delta: Numbered = [None] * (self.L + 1)
        dC_da: Numbered = [None] * (self.L + 1)
        for l in range(self.L, 0, -1):
            dC_da[l] = self.dC_da if l == self.L else self.carried[l](delta[l + 1], dC_da[l + 1])
            delta[l] = dC_da[l] * self.slope[l]
        return delta, dC_da

    def layers(self, first: int, right: Ingredients) -> Iterator[tuple[int, Array, Array]]:
        """l, dW^l and db^l from layer `first` down; above it, everything is as in `right`."""
        delta, dC_da = (part[first + 1] if first < self.L else None for part in right.right)
        for l in range(first, 0, -1):
            dC_da = self.dC_da if l == self.L else self.carried[l](delta, dC_da)
            delta = dC_da * self.slope[l]
            used = delta if self.delta_used[l] is None else self.delta_used[l]
            yield l, self.dW_of[l](used, self.a_in[l]), self.db_of[l](used)

    def gradient(self) -> tuple[Numbered, Numbered]:
        """dW and db."""
        dW: Numbered = [None] * (self.L + 1)
        db: Numbered = [None] * (self.L + 1)
        for l, dW_l, db_l in self.layers(self.L, self):
            dW[l], db[l] = dW_l, db_l
        return dW, db


def _through(W: Array) -> Callable[[Array, Array], Array]:
    return lambda delta, _: delta @ W


def _sum(delta: Array) -> Array:
    return np.asarray(delta.sum(axis=0))


def _product(delta: Array, a: Array) -> Array:
    return np.asarray(delta.T @ a)
