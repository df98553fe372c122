"""A slip in an equation: one ingredient exchanged, in one layer, in all hidden ones or in all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

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


def each(change: Callable[[Ingredients, int], bool]) -> Any:
    """From a change of one layer, which says whether it was possible."""

    def changed(right: Ingredients, layers: Layers) -> Ingredients | None:
        p = right.copy()
        return p if all(change(p, l) for l in layers) else None

    return changed


def same(*steps: int) -> Callable[[Ingredients, int], bool]:
    """Whether the layers l + step exist and have as many units."""

    def possible(p: Ingredients, l: int) -> bool:
        layers = [l + step for step in steps]
        return min(layers) >= 0 and max(layers) <= p.L and len({p.n[i] for i in layers}) == 1

    return possible
