"""The machine side: threads, instruction sets, and what this build is."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np

from . import _core
from .errors import one_of, whole_number

MAX_THREADS = 1024  # more cannot help, and a system that has no more threads ends the process


class Info(dict[str, Any]):
    """What runs here: a dict that prints as a table."""

    def __str__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{key:<{width}}  {_text(value)}" for key, value in self.items())

    __repr__ = __str__


def set_num_threads(k: int) -> None:
    """Use at most `k` threads; results are the same bits for every number.

    Raises
    ------
    TypeError, ValueError, OverflowError
        `k` is not a whole number in [1, 1024].
    """
    _core.set_num_threads(whole_number(k, "k", most=MAX_THREADS))


def get_num_threads() -> int:
    """The largest number of threads in use."""
    return _core.get_num_threads()


def set_isa(name: str) -> None:
    """Use this instruction set: "baseline", "avx2" or "avx512".

    Raises
    ------
    TypeError
        `name` is not a str.
    ValueError
        Unknown, not built, or not on this CPU; the message lists what can be chosen.
    """
    detected = _core.build_info().get("isas_detected")
    _core.set_isa(one_of(name, "name", detected if isinstance(detected, list) else [name]))


def info() -> Info:
    """Versions, instruction sets (built, detected, used), threads and compiler.

    Examples
    --------
    >>> print(info())  # doctest: +SKIP
    """
    build = dict(_core.build_info())
    build["isa"] = _core.get_isa()
    return Info(
        version=_core.__version__,
        **build,
        threads=_core.get_num_threads(),
        python=platform.python_version(),
        numpy=np.__version__,
        machine=platform.machine(),
    )


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
