"""Does this build compute right on this machine? `run` proves it on random networks.

Each of the four equations, forward, every loss and update by themselves; the gradient against the
reference, the complex step and central differences; steps with dropout and penalties; the same bits
on every way, number of threads and instruction set; planted mistakes. Called by
`chainrule selftest` and the tests.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ..errors import whole_number
from ..runtime import get_num_threads, info, set_isa, set_num_threads
from . import gradients, ways
from .cases import cases
from .elementary import check_elementary
from .ledger import CLAIMS, Finding, Ledger, SelfTest
from .losses import check_losses
from .planted import check_mistakes
from .regularisation import check_regularisation
from .rules import check_rules

__all__ = ["CLAIMS", "Finding", "SelfTest", "run"]

THREADS = (1, 2, 3)  # 3: the members of a team share the samples of several blocks


def run(seed: int = 0, threads: Sequence[int] = THREADS) -> SelfTest:
    """Prove what this build claims, on every instruction set that this CPU has.

    Parameters
    ----------
    seed : int
        Of the random networks and their samples; the same seed is the same test.
    threads : sequence of int
        How many threads are tried.

    Returns
    -------
    SelfTest
        True when every claim holds; printed, it is a table. Threads and instruction set are as
        they were before, whatever happens.
    """
    seed = whole_number(seed, "seed", least=0)
    start = time.perf_counter()
    ledger = Ledger()
    build = info()
    isas = tuple(build["isas_detected"])
    with settings_kept(), np.errstate(all="ignore"):  # what is not finite is found, not warned of
        with ledger.finite("planted mistakes"):
            check_mistakes(seed, ledger)
        for isa in isas:
            set_isa(isa)
            check_elementary(isa, ledger)
            with ledger.finite(f"{isa}, losses"):
                check_losses(seed, isa, ledger)
            with ledger.finite(f"{isa}, gradients"):
                gradients.check_gradients(seed, isa, ledger)
            with ledger.finite(f"{isa}, update rules"):
                check_rules(seed, isa, ledger)
            with ledger.finite(f"{isa}, training"):
                gradients.check_training(seed, isa, tuple(threads), ledger)
        check_regularisation(seed, isas, tuple(threads), ledger)
        for case in cases(seed):
            with ledger.finite(str(case)):
                ways.check_case(case, isas, tuple(threads), ledger)
    return SelfTest(
        version=build["version"],
        compiler=build["compiler"],
        isas=isas,
        threads=tuple(threads),
        seed=seed,
        findings=tuple(ledger.worst[claim] for claim in CLAIMS if claim in ledger.worst),
        looked=ledger.looked,
        failed=ledger.failed,
        seconds=time.perf_counter() - start,
    )


@contextmanager
def settings_kept() -> Iterator[None]:
    """Put the instruction set and the number of threads back at the end."""
    isa, threads = info()["isa"], get_num_threads()
    try:
        yield
    finally:
        set_isa(isa)
        set_num_threads(threads)
