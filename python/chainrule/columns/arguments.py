"""Names given as arguments, and descriptions that came as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError, shown
from ..frames import quoted

Matrix = NDArray[np.float64]


def column_names(value: Any, argument: str) -> tuple[str, ...]:
    """Names as a tuple of str, all different; a single str is refused."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(
            f"{argument} must be a list of column names, got {shown(value)} "
            f"({type(value).__name__})"
        )
    names = tuple(map(str, value))
    different(names, argument)
    return names


def different(names: Sequence[str], argument: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{argument} has {quoted(name)} twice")
        seen.add(name)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever is wrong with a description into FormatError."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise FormatError(f"{what}: {error}") from None


def keys(value: Any, *names: str) -> None:
    if not isinstance(value, dict) or set(value) != set(names):
        raise ValueError(f"expected an object with {', '.join(names)}; got {shown(value)}")
