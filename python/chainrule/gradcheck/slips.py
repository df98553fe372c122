"""All slips in the equations: what a wrong pass may have exchanged, the likeliest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from .ingredients import Ingredients
from .slip import Layers, Slip
from .slips_of_delta import CARRIED, slope_slips
from .slips_of_loss import loss_slips
from .slips_of_sums import HINTS, PRODUCTS, sample_slips

Array = NDArray[Any]


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


def forward_slips() -> Iterator[Slip]:
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
    yield from loss_slips()
    yield from slope_slips()
    for name, change in CARRIED:
        hint = "delta^{l} = (delta^{up} W^{up}) * f'(z^{l})."
        yield Slip(f"{name}{{at}} (BP2)", hint, "", "hidden", change)
    for name, tag, places, change in PRODUCTS:
        hint = HINTS.get(tag, " ".join(HINTS.values()))
        yield Slip(f"{name}{{at}} {tag}", hint, "", places, change)
    yield from sample_slips(m)
    yield from forward_slips()
