"""The claims of a self-test, the worst error found against each, and the report of them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DivergedError

Array = NDArray[Any]

ULP, RELATIVE, BITS, MISSED, LOST = "ulp", "relative", "numbers differ", "missed", "not finite"

# One row per claim: its key, what is claimed, the unit of its errors.
CLAIMS = {
    "Z": ("(Z)    z^l = a^{l-1} W^lT + b^l", ULP),
    "A": ("(A)    a^l = f(z^l)", ULP),
    "MSE": ("(MSE)  C = sum (a^L - Y)^2 / D", ULP),
    "losses": ("(MAE) ... (NLL)  C, the other losses; weights", ULP),
    "BP1": ("(BP1)  delta^L = dC/da^L * f'(z^L)", ULP),
    "BP2": ("(BP2)  delta^l = delta^{l+1} W^{l+1} * f'(z^l)", ULP),
    "BP3": ("(BP3)  db^l = sum of delta^l", ULP),
    "BP4": ("(BP4)  dW^l = delta^lT a^{l-1}", ULP),
    "GD": ("(GD)   theta = theta - rate v", ULP),
    "slopes": ("values and slopes of each loss, far out too", ULP),
    "rules": ("SGD, RMSprop, Adam, AdamW, Rprop = the reference's", ULP),
    "reference": ("gradient = the reference's", RELATIVE),
    "complex step": ("gradient = complex step", RELATIVE),
    "differences": ("gradient = central differences", RELATIVE),
    "dropout": ("a step with dropout = the reference's", RELATIVE),
    "penalties": ("a step with l1, l2, clip_norm = the reference's", RELATIVE),
    "fit": ("a small training = the reference's", RELATIVE),
    "finite": ("costs and derivatives are finite", LOST),
    "elementary": ("f and f' over their range and at special values", ULP),
    "ways": ("every way through the layers: the same bits", BITS),
    "rows": ("a row predicted alone: the same bits", BITS),
    "threads": ("any number of threads: the same bits", BITS),
    "sets": ("instruction sets: the same bits", BITS),
    "mistakes": ("planted mistakes are caught", MISSED),
    "named": ("planted mistakes are called by their name", MISSED),
}


@dataclass(frozen=True)
class Finding:
    """The worst error found against a claim, what is allowed there, and where it was."""

    claim: str
    error: float
    allowed: float
    where: str

    @property
    def passed(self) -> bool:
        return self.error <= self.allowed  # false for NaN

    @property
    def share(self) -> float:
        """The error as a share of what is allowed, so that findings can be compared."""
        if math.isnan(self.error):
            return math.inf
        return self.error / self.allowed if self.allowed else (math.inf if self.error else 0.0)


@dataclass
class Ledger:
    """Keeps the worst finding of each claim, and how many findings there were."""

    worst: dict[str, Finding] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    def enter(self, claim: str, error: float, allowed: float, where: str) -> None:
        """Note what was found against a claim."""
        found = Finding(claim, float(error), float(allowed), where)
        self.looked[claim] = self.looked.get(claim, 0) + 1
        if not found.passed:
            self.failed[claim] = self.failed.get(claim, 0) + 1
        if claim not in self.worst or found.share > self.worst[claim].share:
            self.worst[claim] = found

    @contextmanager
    def finite(self, where: str) -> Iterator[None]:
        """Note an overflow as a finding: what came before it is kept, the rest is not looked at."""
        lost, words = 0, where
        try:
            yield
        except DivergedError as error:
            lost, words = 1, f"{where}: {error}"
        self.enter("finite", lost, 0, words)

    def same_bits(self, claim: str, one: Array, other: Array, where: str) -> bool:
        """Note how many numbers differ in a bit."""
        one, other = np.atleast_1d(one), np.atleast_1d(other)
        if one.shape != other.shape:
            differ = max(one.size, other.size)
        elif one.tobytes() == other.tobytes():
            differ = 0
        else:
            kind = f"u{one.itemsize}"
            differ = int((one.ravel().view(kind) != other.ravel().view(kind)).sum())
        self.enter(claim, differ, 0, where)
        return differ == 0


@dataclass(frozen=True)
class SelfTest:
    """The report of `run`: true when every claim holds, and prints as a table.

    Attributes
    ----------
    version, compiler : str
        Of this build.
    isas, threads : tuple
        Instruction sets and numbers of threads it was done with.
    seed : int
        Of the networks and their data.
    findings : tuple of Finding
        The worst one for each claim, in the order of the table.
    looked, failed : dict
        How many findings there were for each claim, and how many of them are not allowed.
    seconds : float
    """

    version: str
    compiler: str
    isas: tuple[str, ...]
    threads: tuple[int, ...]
    seed: int
    findings: tuple[Finding, ...]
    looked: dict[str, int]
    failed: dict[str, int]
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.failed

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        heading = (
            f"chainrule {self.version}, core by {self.compiler}; instruction sets "
            f"{', '.join(self.isas)}; threads {', '.join(map(str, self.threads))}; "
            f"seed {self.seed}"
        )
        lines = [*textwrap.wrap(heading, 80, subsequent_indent="  "), ""]
        lines.append(f"{'claim':<48}{'worst error':>13} {'allowed':>8}")
        lines += [self._row(found) for found in self.findings]
        notes = [_exempt(self.isas)]
        notes += [self._failure(found) for found in self.findings if not found.passed]
        for note in filter(None, notes):
            lines += ["", *textwrap.wrap(note, 80, subsequent_indent="  ", break_on_hyphens=False)]
        return "\n".join([*lines, "", self.verdict])

    @property
    def verdict(self) -> str:
        """The last line of the report."""
        time = f"{self.seconds:.1f} s"
        if self.passed:
            looked = f"{sum(self.looked.values()):,}".replace(",", " ")
            return f"self-test: PASSED, {len(self.findings)} claims, {looked} findings, {time}"
        return f"self-test: FAILED, {len(self.failed)} of {len(self.findings)} claims, {time}"

    def as_dict(self) -> dict[str, Any]:
        """All of it in values that JSON has; an error that is no number is null."""
        return {
            "version": self.version,
            "compiler": self.compiler,
            "instruction_sets": list(self.isas),
            "threads": list(self.threads),
            "seed": self.seed,
            "passed": self.passed,
            "seconds": round(self.seconds, 3),
            "claims": [
                {
                    "claim": found.claim,
                    "says": CLAIMS[found.claim][0],
                    "unit": CLAIMS[found.claim][1],
                    "worst": found.error if math.isfinite(found.error) else None,
                    "allowed": found.allowed,
                    "where": found.where,
                    "findings": self.looked[found.claim],
                    "failed": self.failed.get(found.claim, 0),
                    "passed": not self.failed.get(found.claim),
                }
                for found in self.findings
            ],
        }

    def _row(self, found: Finding) -> str:
        says, unit = CLAIMS[found.claim]
        verdict = "FAILED" if self.failed.get(found.claim) else "ok"
        worst = f"{_number(found.error, unit)}{' ulp' if unit == ULP else '    '}"
        return f"{says:<48}{worst:>13} {_number(found.allowed, unit):>8}  {verdict}"

    def _failure(self, found: Finding) -> str:
        says, unit = CLAIMS[found.claim]
        count = f"{self.failed[found.claim]} of {self.looked[found.claim]} findings"
        return (
            f"FAILED {' '.join(says.split())} ({count}). Worst: {_number(found.error, unit)} "
            f"{unit}, allowed {_number(found.allowed, unit)}, with {found.where}. Again: "
            f"chainrule selftest --seed {self.seed}"
        )


def _number(value: float, unit: str) -> str:
    if unit in (BITS, MISSED, LOST):
        return f"{value:.0f}"
    if unit == ULP and value < 1000:
        return f"{value:.2f}"
    return f"{value:.1e}"


def _exempt(isas: tuple[str, ...]) -> str:
    if len(isas) < 2 or "baseline" not in isas:
        return ""
    return (
        "Bits are compared between all instruction sets but the baseline, which has no fused "
        "multiply-add and so rounds twice where the others round once."
    )
