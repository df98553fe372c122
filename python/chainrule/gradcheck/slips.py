"""Slips in the equations: a table of what a wrong backward pass may have exchanged.

Each row exchanges one ingredient of the right pass, in one layer, in all hidden ones or in all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from .ingredients import Ingredients

Array = NDArray[Any]
Layers = tuple[int, ...]


@dataclass(frozen=True)
class Slip:
    """One row: `change(p, layers)` gives the wrong pass, or None where it is not possible.

    `places`: "each" layer, "hidden" ones, "inner" ones (2..L), or "whole" (no place). `tag` is the
    equation; "f'" stands for (BP1) in the last layer and (BP2) below. With `forward` the slip is in
    the forward pass, so all layers may differ.
    """

    name: str
    hint: str
    tag: str
    places: str
    change: Callable[[Ingredients, Layers], Ingredients | None]
    forward: bool = False

    def at(self, L: int) -> Iterator[Layers]:
        """Where it may be, the likeliest first."""
        layers = {
            "each": range(1, L + 1),
            "hidden": range(1, L),
            "inner": range(2, L + 1),
            "whole": range(L, L + 1),
        }[self.places]
        yield from ((l,) for l in layers)
        for together in (range(1, L), range(1, L + 1), range(2, L + 1)):
            if len(together) > 1 and set(together) <= set(layers):
                yield tuple(together)

    def named(self, layers: Layers, L: int) -> str:
        if len(layers) == 1:
            where = f"in layer {layers[0]}"
        elif layers == tuple(range(1, L)):
            where = "in all hidden layers"
        else:
            where = "in every layer" if layers[0] == 1 else "in every layer but the first"
        tag = self.tag
        if tag == "f'":
            equations = ["(BP1)"] * (L in layers) + ["(BP2)"] * (min(layers) < L)
            tag = " and ".join(equations)
        at = "" if len(layers) == 1 else f" {where}"
        return self.name.format(where=where, at=at, tag=tag, **_numbers(layers))

    def why(self, layers: Layers) -> str:
        return self.hint.format(**_numbers(layers))


def _numbers(layers: Layers) -> dict[str, str]:
    """How l, l + 1, l + 2 and l - 1 are written above a letter."""
    if len(layers) > 1:
        return {"l": "l", "up": "{l+1}", "up2": "{l+2}", "down": "{l-1}"}
    l = layers[0]
    return {"l": str(l), "up": str(l + 1), "up2": str(l + 2), "down": str(l - 1)}


def _each(change: Callable[[Ingredients, int], bool]) -> Any:
    """From a change of one layer, which says whether it was possible."""

    def changed(right: Ingredients, layers: Layers) -> Ingredients | None:
        p = right.copy()
        return p if all(change(p, l) for l in layers) else None

    return changed


# (BP1): dC/da^L


def _dC_da(value: Callable[[Ingredients, Array, Array], Array | None]) -> Any:
    """From another dC/da^L, a function of a^L and Y."""

    def changed(right: Ingredients, _: Layers) -> Ingredients | None:
        p = right.copy()
        dC_da = value(p, p.a[-1], p.anatomy.Y)
        if dC_da is None:
            return None
        p.dC_da = dC_da
        return p

    return changed


def _rows_of_Y(shift: int) -> Any:
    return _dC_da(lambda p, a, Y: p.c * (a - np.roll(Y, shift, 0)) if p.m > 1 else None)


RESIDUALS: list[tuple[str, str, Any]] = [
    (
        "Y is added to a^L instead of subtracted",
        "dC/da^L has a^L - Y.",
        _dC_da(lambda p, a, Y: p.c * (a + Y)),
    ),
    ("Y is left out", "dC/da^L has a^L - Y.", _dC_da(lambda p, a, Y: p.c * a)),
    (
        "(a^L - Y)^2 stands for a^L - Y",
        "The derivative of the square is not the square.",
        _dC_da(lambda p, a, Y: p.c * (a - Y) ** 2),
    ),
    (
        "|a^L - Y| stands for a^L - Y",
        "The sign tells which way to go.",
        _dC_da(lambda p, a, Y: p.c * np.abs(a - Y)),
    ),
    (
        "the sign of a^L - Y stands for 2 (a^L - Y)",
        "That is the derivative of the absolute error, not of the squared one.",
        _dC_da(lambda p, a, Y: p.c / 2 * np.sign(a - Y)),
    ),
    (
        "the mean of Y over the samples stands for Y",
        "Y of shape (m,) against a^L of shape (m, 1) makes a table of all pairs: give Y two"
        " dimensions.",
        _dC_da(lambda p, a, Y: p.c * (a - Y.mean(axis=0)) if p.m > 1 else None),
    ),
    ("Y is shifted down by one row", "Rows of X and Y must stay together.", _rows_of_Y(1)),
    ("Y is shifted up by one row", "Rows of X and Y must stay together.", _rows_of_Y(-1)),
    (
        "only the first output counts",
        "The cost sums over all n_L outputs.",
        _dC_da(lambda p, a, Y: p.c * (a - Y) * _unit(p.n[-1], 0) if p.n[-1] > 1 else None),
    ),
    (
        "only the last output counts",
        "The cost sums over all n_L outputs.",
        _dC_da(lambda p, a, Y: p.c * (a - Y) * _unit(p.n[-1], -1) if p.n[-1] > 1 else None),
    ),
    (
        "the last output is left out",
        "The cost sums over all n_L outputs.",
        _dC_da(lambda p, a, Y: p.c * (a - Y) * (1 - _unit(p.n[-1], -1)) if p.n[-1] > 2 else None),
    ),
]


def _unit(n: int, i: int) -> Array:
    row = np.zeros(n)
    row[i] = 1
    return row


# Sums over the samples: (BP3), (BP4), or both


def _samples(m: int) -> Iterator[tuple[str, Array]]:
    """What may happen to samples in a sum: a clause, and the weight of each sample."""

    def weights(rows: Any, inside: float, outside: float = 1.0) -> Array:
        w = np.full((m, 1), outside)
        w[rows] = inside
        return w

    if m == 1:
        return
    yield "the last sample is left out", weights(-1, 0)
    yield "the first sample is left out", weights(0, 0)
    yield "only the last sample counts", weights(-1, 1, 0)
    yield "only the first sample counts", weights(0, 1, 0)
    yield "the last sample counts twice", weights(-1, 2)
    yield "the first sample counts twice", weights(0, 2)
    for k in sorted({m % 2**j for j in range(1, 8)} - {0, 1, m}):
        yield f"the last {k} samples are left out", weights(slice(-k, None), 0)


def _sample_slips(m: int) -> Iterator[Slip]:
    for clause, w in _samples(m):
        hint = "The gradient sums over all m samples."

        def everywhere(right: Ingredients, _: Layers, w: Array = w) -> Ingredients:
            p = right.copy()
            p.dC_da = p.dC_da * w
            return p

        def in_db(p: Ingredients, l: int, w: Array = w) -> bool:
            p.db_of[l] = lambda delta: (w * delta).sum(axis=0)
            return True

        def in_dW(p: Ingredients, l: int, w: Array = w) -> bool:
            p.dW_of[l] = lambda delta, a: (w * delta).T @ a
            return True

        yield Slip(f"{clause} (BP3) and (BP4)", hint, "", "whole", everywhere)
        left_out = float(w.sum())
        if w.min() == 0 < left_out and left_out > 1:

            def fewer(right: Ingredients, _: Layers, w: Array = w) -> Ingredients | None:
                if right.anatomy.reduction == "sum":
                    return None
                p = right.copy()
                p.dC_da = p.dC_da * w * (p.m / w.sum())
                return p

            yield Slip(
                f"{clause} (BP3) and (BP4), and the mean is over the others",
                hint,
                "",
                "whole",
                fewer,
            )
        yield Slip(f"{clause} in db^{{l}}{{at}} (BP3)", hint, "", "each", _each(in_db))
        yield Slip(f"{clause} in dW^{{l}}{{at}} (BP4)", hint, "", "each", _each(in_dW))


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


def _slope_slips() -> Iterator[Slip]:
    hint = "delta^{l} needs the factor f'(z^{l}), with the activation of layer {l} itself."

    def slip(name: str, change: Any) -> Slip:
        return Slip(f"{name} {{where}} {{tag}}", hint, "f'", "each", _each(change))

    for activation, name, value in SLOPES:

        def formula(
            p: Ingredients, l: int, activation: str = activation, value: Slope = value
        ) -> bool:
            if activation and p.anatomy.activations[l - 1] not in activation.split():
                return False
            p.slope[l] = value(p.z[l], p.a[l], p.slope[l])
            return True

        yield slip(name, formula)

    def at_a(p: Ingredients, l: int) -> bool:
        p.slope[l] = reference.ACTIVATIONS[p.anatomy.activations[l - 1]][1](p.a[l])
        return True

    yield slip("f'(a) stands for f'(z)", at_a)
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

    return _each(change)


def _same(*steps: int) -> Callable[[Ingredients, int], bool]:
    """Whether the layers l + step exist and have as many units."""

    def possible(p: Ingredients, l: int) -> bool:
        layers = [l + step for step in steps]
        return min(layers) >= 0 and max(layers) <= p.L and len({p.n[i] for i in layers}) == 1

    return possible


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
        _carried(_same(0, 1), lambda p, l: lambda delta, _: delta @ p.anatomy.W[l + 1].T),
    ),
    (
        "W^{up} is left out on the way back to layer {l}",
        _carried(_same(0, 1), lambda p, l: lambda delta, _: delta),
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


# (BP3), (BP4): what is multiplied and summed


def _a_in(
    value: Callable[[Ingredients, int], Array],
    possible: Callable[[Ingredients, int], bool] = lambda p, l: True,
) -> Any:
    def change(p: Ingredients, l: int) -> bool:
        if not possible(p, l):
            return False
        p.a_in[l] = value(p, l)
        return True

    return _each(change)


def _deltas(step: int) -> Any:
    def change(p: Ingredients, l: int) -> bool:
        if not (_same(0, step)(p, l) and l + step > 0):
            return False
        p.delta_used[l] = p.right[0][l + step]
        return True

    return _each(change)


def _dW_of(value: Callable[[Array, Array], Array], possible: Any = lambda p, l: True) -> Any:
    def change(p: Ingredients, l: int) -> bool:
        p.dW_of[l] = value
        return bool(possible(p, l))

    return _each(change)


def _db_of(value: Callable[[Array], Array], possible: Any = lambda p, l: True) -> Any:
    def change(p: Ingredients, l: int) -> bool:
        p.db_of[l] = value
        return bool(possible(p, l))

    return _each(change)


def _many(p: Ingredients, l: int) -> bool:
    return p.m > 1


PRODUCTS: list[tuple[str, str, str, Any]] = [
    ("a^{l} stands for a^{down}", "(BP4)", "each", _a_in(lambda p, l: p.a[l], _same(0, -1))),
    ("z^{down} stands for a^{down}", "(BP4)", "inner", _a_in(lambda p, l: p.z[l - 1])),
    ("f'(z^{down}) stands for a^{down}", "(BP4)", "inner", _a_in(lambda p, l: p.slope[l - 1])),
    (
        "X stands for a^{down}",
        "(BP4)",
        "inner",
        _a_in(lambda p, l: p.a[0], lambda p, l: p.n[0] == p.n[l - 1]),
    ),
    (
        "a^{down} is left out of dW^{l}",
        "(BP4)",
        "each",
        _a_in(lambda p, l: np.ones_like(p.a[l - 1])),
    ),
    (
        "a^{down} is of other samples than delta^{l}: shifted up by one row",
        "(BP4)",
        "each",
        _a_in(lambda p, l: np.roll(p.a[l - 1], -1, 0), _many),
    ),
    (
        "a^{down} is of other samples than delta^{l}: shifted down by one row",
        "(BP4)",
        "each",
        _a_in(lambda p, l: np.roll(p.a[l - 1], 1, 0), _many),
    ),
    (
        "dW^{l} is the product of two sums over the samples, not the sum of products",
        "(BP4)",
        "each",
        _dW_of(lambda delta, a: np.outer(delta.sum(0), a.sum(0)), _many),
    ),
    (
        "a^{down} is averaged over the samples before it is multiplied",
        "(BP4)",
        "each",
        _dW_of(lambda delta, a: np.outer(delta.sum(0), a.mean(0)), _many),
    ),
    ("delta^{up} stands for delta^{l}", "(BP3) and (BP4)", "each", _deltas(1)),
    ("delta^{down} stands for delta^{l}", "(BP3) and (BP4)", "each", _deltas(-1)),
    (
        "db^{l} is summed over the units instead of the samples",
        "(BP3)",
        "each",
        _db_of(lambda delta: delta.sum(1), lambda p, l: p.m == p.n[l] > 1),
    ),
    (
        "db^{l} is summed over the units too",
        "(BP3)",
        "each",
        _db_of(lambda delta: np.full(delta.shape[1], delta.sum()), lambda p, l: p.n[l] > 1),
    ),
    (
        "db^{l} is averaged over samples and units",
        "(BP3)",
        "each",
        _db_of(lambda delta: np.full(delta.shape[1], delta.mean()), lambda p, l: p.n[l] > 1),
    ),
]
HINTS = {
    "(BP3)": "db^{l} is the sum of delta^{l} over the samples.",
    "(BP4)": "dW^{l} = delta^{l}T a^{down}.",
}


# The forward pass


def _exchanged(values: Sequence[Any], layers: Layers, value: Callable[[Any], Any]) -> list[Any]:
    return [value(old) if l in layers else old for l, old in enumerate(values)]


def _no_bias(p: Ingredients, layers: Layers) -> Ingredients:
    return p.of(layers[0] - 1, b=_exchanged(p.anatomy.b, layers, np.zeros_like))


def _no_bias_at_all(p: Ingredients, layers: Layers) -> Ingredients:
    other = _no_bias(p, layers)
    for l in layers:
        other.db_of[l] = lambda delta: 0 * delta[0]
    return other


def _activation_left_out(p: Ingredients, layers: Layers) -> Ingredients:
    """In the forward pass alone: f' is still multiplied."""
    names = ["", *p.anatomy.activations]
    other = p.of(layers[0] - 1, activations=_exchanged(names, layers, lambda _: "identity")[1:])
    for l in layers:
        other.slope[l] = reference.ACTIVATIONS[names[l]][1](other.z[l])
    return other


def _forward_slips() -> Iterator[Slip]:
    forward = "The backward pass needs z and a of the same network as the cost."
    for name, change in (
        ("the bias is left out of the forward pass", _no_bias),
        ("the bias is left out of both passes", _no_bias_at_all),
        ("the activation is left out of the forward pass", _activation_left_out),
    ):
        yield Slip(f"{name} {{where}} (Z)", forward, "", "each", change, forward=True)
    for other in reference.ACTIVATIONS:

        def another(p: Ingredients, layers: Layers, other: str = other) -> Ingredients:
            names = _exchanged(["", *p.anatomy.activations], layers, lambda _: other)
            return p.of(layers[0] - 1, activations=names[1:])

        yield Slip(
            f"the activation is {other} in both passes {{where}} (A)",
            forward,
            "",
            "each",
            another,
            forward=True,
        )


def slips(m: int) -> Iterator[Slip]:
    """The table, the likeliest first, for m samples."""
    for name, hint, change in RESIDUALS:
        yield Slip(f"{name} (BP1)", hint, "", "whole", change)
    yield from _slope_slips()
    for name, change in CARRIED:
        hint = "delta^{l} = (delta^{up} W^{up}) * f'(z^{l})."
        yield Slip(f"{name}{{at}} (BP2)", hint, "", "hidden", change)
    for name, tag, places, change in PRODUCTS:
        hint = HINTS.get(tag, " ".join(HINTS.values()))
        yield Slip(f"{name}{{at}} {tag}", hint, "", places, change)
    yield from _sample_slips(m)
    yield from _forward_slips()
