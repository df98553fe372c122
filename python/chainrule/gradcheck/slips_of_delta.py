"""Slips in (BP2), and in f' of (BP1): the errors delta^L, ..., delta^1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from .ingredients import Ingredients
from .slip import Slip, each, same

Array = NDArray[Any]


# (BP1), (BP2): f'

Slope = Callable[[Array, Array, Array], Array]  # of z^l, a^l and f'(z^l)

SLOPES: list[tuple[str, str, Slope]] = [  # of which activations ("": any), what stands for f'(z)
    ("", "f' is missing", lambda z, a, s: np.ones_like(z)),
    ("", "f(z) stands for f'(z)", lambda z, a, s: a),
    ("", "1 - a^2 stands for f'(z)", lambda z, a, s: 1 - a * a),
    ("", "a (1 - a) stands for f'(z)", lambda z, a, s: a * (1 - a)),
    ("tanh sigmoid", "1 - a stands for f'(z)", lambda z, a, s: 1 - a),
    ("tanh sigmoid", "a^2 stands for f'(z)", lambda z, a, s: a * a),
    ("tanh", "1 + a^2 stands for f'(z)", lambda z, a, s: 1 + a * a),
    ("tanh", "1 - z^2 stands for f'(z)", lambda z, a, s: 1 - z * z),
    ("sigmoid", "a (1 + a) stands for f'(z)", lambda z, a, s: a * (1 + a)),
    ("sigmoid", "z (1 - z) stands for f'(z)", lambda z, a, s: z * (1 - z)),
    ("relu", "relu'(0) = 1 stands for 0", lambda z, a, s: np.where(z == 0, 1.0, s)),
    ("leaky_relu", "leaky_relu'(0) = 1 stands for 0.01", lambda z, a, s: np.where(z == 0, 1.0, s)),
    ("softplus", "exp(-z) / (1 + exp(-z)) stands for f'(z)", lambda z, a, s: 1 - s),
    ("silu", "f'(z) lacks its term z sigma'(z)", lambda z, a, s: reference.sigmoid(z)),
    ("gelu", "f'(z) lacks its term z phi(z)", lambda z, a, s: s - reference._times(z, _phi(z))),
    ("", "f' is multiplied twice", lambda z, a, s: s * s),
    ("", "the sign of f' is wrong", lambda z, a, s: -s),
]


def _phi(z: Array) -> Array:
    return reference._phi(z)


def slope_slips() -> Iterator[Slip]:
    hint = "delta^{l} needs the factor f'(z^{l}), with the activation of layer {l} itself."

    def slip(name: str, change: Any) -> Slip:
        return Slip(f"{name} {{where}} {{tag}}", hint, "f'", "each", each(change))

    def alone(name: str, change: Any) -> Slip:
        """delta^l is right on its way down."""

        def used(p: Ingredients, l: int) -> bool:
            wrong = p.copy()
            if not change(wrong, l):
                return False
            p.delta_used[l] = p.right[1][l] * wrong.slope[l]
            return True

        said = f"{name} in db^{{l}} and dW^{{l}} alone{{at}} {{tag}}"
        return Slip(said, hint, "f'", "inner", each(used))

    for activation, name, value in SLOPES:

        def formula(
            p: Ingredients, l: int, activation: str = activation, value: Slope = value
        ) -> bool:
            if activation and p.anatomy.activations[l - 1] not in activation.split():
                return False
            p.slope[l] = value(p.z[l], p.a[l], p.slope[l])
            return True

        yield slip(name, formula)
        yield alone(name, formula)

    def at_a(p: Ingredients, l: int) -> bool:
        p.slope[l] = reference.ACTIVATIONS[p.anatomy.activations[l - 1]][1](p.a[l])
        return True

    yield slip("f'(a) stands for f'(z)", at_a)
    yield alone("f'(a) stands for f'(z)", at_a)
    for other in reference.ACTIVATIONS:

        def another(p: Ingredients, l: int, other: str = other) -> bool:
            p.slope[l] = p.slope_of(other, l)
            return True

        yield slip(f"f' is that of {other}", another)

    for step, neighbour in ((-1, "below"), (1, "above")):

        def next_door(p: Ingredients, l: int, step: int = step) -> bool:
            beside = l + step
            if not 0 < beside <= p.L or p.n[l] != p.n[beside]:
                return False
            p.slope[l] = reference.ACTIVATIONS[p.anatomy.activations[l - 1]][1](p.z[beside])
            return True

        yield slip(f"f' is taken at z of the layer {neighbour}", next_door)


# (BP2): from delta^{l+1} to dC/da^l


def _carried(
    possible: Callable[[Ingredients, int], bool],
    value: Callable[[Ingredients, int], Callable[[Array, Array], Array]],
) -> Any:
    def change(p: Ingredients, l: int) -> bool:
        if not possible(p, l):
            return False
        p.carried[l] = value(p, l)
        return True

    return each(change)


def _other_W(step: int) -> Any:
    def possible(p: Ingredients, l: int) -> bool:
        W, other = p.anatomy.W, l + 1 + step
        return 0 < other <= p.L and W[other].shape == W[l + 1].shape

    def value(p: Ingredients, l: int) -> Any:
        return lambda delta, _: delta @ p.anatomy.W[l + 1 + step]

    return _carried(possible, value)


CARRIED: list[tuple[str, Any]] = [  # said of delta^l
    (
        "W^{up} is transposed on the way back to layer {l}",
        _carried(same(0, 1), lambda p, l: lambda delta, _: delta @ p.anatomy.W[l + 1].T),
    ),
    (
        "W^{up} is left out on the way back to layer {l}",
        _carried(same(0, 1), lambda p, l: lambda delta, _: delta),
    ),
    (
        "dC/da^{up} is carried on to layer {l} instead of delta^{up}",
        _carried(lambda p, l: True, lambda p, l: lambda _, dC_da: dC_da @ p.anatomy.W[l + 1]),
    ),
    (
        "the last layer's delta is carried on to layer {l} instead of delta^{up}",
        _carried(
            lambda p, l: l + 1 < p.L and p.n[l + 1] == p.n[p.L],
            lambda p, l: lambda _, __: p.right[0][p.L] @ p.anatomy.W[l + 1],
        ),
    ),
    ("W^{l} stands for W^{up} on the way back to layer {l}", _other_W(-1)),
    ("W^{up2} stands for W^{up} on the way back to layer {l}", _other_W(1)),
    (
        "delta^{up} is summed over the samples on the way back to layer {l}",
        _carried(
            lambda p, l: p.m > 1,
            lambda p, l: lambda delta, _: 0 * delta[:, :1] + delta.sum(0) @ p.anatomy.W[l + 1],
        ),
    ),
    (
        "delta^{up} is averaged over the samples on the way back to layer {l}",
        _carried(
            lambda p, l: p.m > 1,
            lambda p, l: lambda delta, _: 0 * delta[:, :1] + delta.mean(0) @ p.anatomy.W[l + 1],
        ),
    ),
]
