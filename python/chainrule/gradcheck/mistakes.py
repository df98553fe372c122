"""What a wrong gradient looks like: which known mistake explains it, or else where it is wrong.

Mistakes in the equations (`slips`) are simulated on the network itself; patterns of factors, zeros,
order and the like (`patterns`) need only the two gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import patterns
from .case import DOUBLE, Case, Finding, called, capital, places, subject
from .ingredients import Anatomy
from .parameters import Block, Parameters
from .planting import wrong_gradients
from .simulation import Simulation

__all__ = ["Anatomy", "Simulation", "diagnose", "wrong_gradients"]

Array = NDArray[Any]

OTHERS = 3  # explanations that give the same numbers, named besides the first


def diagnose(
    parameters: Parameters,
    got: Array,
    right: Array,
    bad: Array,
    anatomy: Anatomy | Simulation | None = None,
    *,
    m: int | None = None,
    n_outputs: int | None = None,
) -> str:
    """Say in a few sentences what mistake makes `got` out of `right`.

    Parameters
    ----------
    parameters
        With an `anatomy`, W^l and b^l are blocks named "W^1", "b^1", ... in that order.
    got, right, bad
        Rows of all parameters: the gradient under test, the right one (exact to about 1e-6; NaN
        where it is not known), and which are wrong.
    anatomy
        The dense network, when it is one: then mistakes in the equations are tried on it. For many
        diagnoses of one network, a `Simulation` of it.
    m, n_outputs
        The numbers of samples and outputs, to recognise factors, when there is no anatomy.

    Returns
    -------
    str
        The mistakes that give these very numbers, else where the gradient is wrong. Empty when
        nothing is bad.
    """
    if not bad.any():
        return ""
    if not np.isfinite(got).all():
        return _not_finite(parameters, got)
    if not got.any():
        return "All are 0." + (
            ""
            if np.nan_to_num(right).any()
            else " And so is what they are held against: nothing was checked."
        )
    with np.errstate(all="ignore"):
        network = Simulation(anatomy) if isinstance(anatomy, Anatomy) else anatomy
        case, fits_equations = _case(parameters, got, right, bad, network, m, n_outputs)
        found = patterns.strong(case)
        if network:
            found += network.findings(case)
        found = found or patterns.weak(case)
    said = _named(found) if found else _where(case)
    if not fits_equations and network and case.fits(network.true) is not None:
        said += " (BP1) to (BP4) give these very numbers: is it the cost that is wrong?"
    return said


def _case(
    parameters: Parameters,
    got: Array,
    right: Array,
    bad: Array,
    network: Simulation | None,
    m: int | None,
    n_outputs: int | None,
) -> tuple[Case, bool]:
    """The case, held against the equations themselves when `right` agrees with them."""
    if network is None:
        return Case(parameters, got, right, bad, m=m, n_L=n_outputs), False
    m, n_L, true = network.right.m, network.right.n[-1], network.true
    loss = network.right.anatomy.name
    against = Case(parameters, np.where(np.isnan(right), true, right), true, bad)
    if np.isfinite(true).all() and against.worst <= DOUBLE:
        return Case(parameters, got, true, bad, m=m, n_L=n_L, loss=loss, exact=True), True
    return Case(parameters, got, right, bad, m=m, n_L=n_L, loss=loss), False


def _named(found: list[Finding]) -> str:
    """The first of the nearest explanations, and the others that give the same numbers."""
    nearest = min(finding.gap for finding in found)
    same = [f for f in found if f.gap <= 4 * nearest + 1e-12]
    same.sort(key=lambda finding: not finding.simple)
    names = dict.fromkeys(f.name for f in same[1:] if f.name != same[0].name)
    said = str(same[0])
    if names:
        shown = [*names][:OTHERS]
        more = f" (and {len(names) - OTHERS} more)" if len(names) > OTHERS else ""
        said += f" The same numbers come about when {', or when '.join(shown)}{more}."
    return said


def _not_finite(parameters: Parameters, got: Array) -> str:
    said = []
    for what, where, why in (
        ("not a number (NaN)", np.isnan(got), "0/0, inf - inf, a root or logarithm below 0"),
        ("infinite", np.isinf(got), "An overflow (exp of a large z), or a division by 0"),
    ):
        blocks = [block for block in parameters.blocks if where[block.where].any()]
        if blocks:
            k, n = int(where.sum()), parameters.size
            names = ", ".join(called(block) for block in blocks)
            said.append(f"{k} of {n} {'is' if k == 1 else 'are'} {what}, in {names}. {why}?")
    return " ".join(said)


# When nothing known explains it


def _where(case: Case) -> str:
    """What is wrong and what is right, and which equation that leaves."""
    parts = [_lines(case, block) for block in case.wrong_blocks]
    said = ["No known mistake gives these numbers."]
    if all(parts):
        said.append(f"Wrong {'is' if len(parts) == 1 else 'are'} only {'; '.join(parts)}.")
    elif len(case.wrong_blocks) < len(case.blocks):
        names = subject(case.parameters, case.wrong_blocks)
        said.append(f"Wrong {'is' if len(parts) == 1 else 'are'} only {names}.")
    layers = [block.layer or 0 for block in case.wrong_blocks]
    l, L = max(layers), case.blocks[-1].layer or 0
    if l:
        said.append(_equation(case, l, L, min(layers)))
    return " ".join(said)


def _equation(case: Case, l: int, L: int, lowest: int) -> str:
    """Where to look when l is the highest layer with a wrong derivative."""
    above = f"Layers above {l} are right" if l < L else ""
    kinds = {block.kind for block in case.wrong_blocks if block.layer == l}
    if kinds == {"W"}:
        said = f"db^{l} is right and so is delta^{l}: look at dW^{l} (BP4)"
    elif kinds == {"b"}:
        said = f"dW^{l} is right and so is delta^{l}: look at db^{l} (BP3)"
    elif 1 < l == lowest:
        said = f"layers below {l} are right and so is delta^{l}: look at its sums (BP3) and (BP4)"
    elif l == L:
        return f"Already the last layer is wrong: look at delta^{L} (BP1)."
    else:
        return f"{above}: look at delta^{l} (BP2), or at its dW and db."
    said = f"{above}; {said}" if above else said
    return f"{capital(said)}."


def _lines(case: Case, block: Block) -> str:
    """The rows, columns or entry of a block in which it is wrong; empty when all over it."""
    wrong = case.parameters.part(case.bad, block)
    name = called(block)
    if wrong.ndim not in (1, 2) or wrong.size == 1:
        return "" if wrong.all() else name
    entries = np.argwhere(wrong)
    if len(entries) == 1:
        first = 1 if block.kind else 0
        index = [str(int(i) + first) for i in entries[0]]
        if block.kind == "W":
            return f"dC/dw^{block.layer}_{','.join(index)}"
        return f"dC/db^{block.layer}_{index[0]}" if block.kind else f"{name}[{', '.join(index)}]"
    nouns = ["entry"] if wrong.ndim == 1 else ["row", "column"]
    for axis in range(wrong.ndim - 1, -1, -1):
        lines = sorted({int(i) for i in entries[:, axis]})
        if len(lines) < wrong.shape[axis]:
            where = places(lines, wrong.shape[axis], nouns[axis])
            return f"{name} in its {where}".replace("entrys", "entries")
    return ""
