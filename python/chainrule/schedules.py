"""Learning rates that change: plain data that stands where an optimiser takes its learning rate.

A schedule counts the steps of one `Network.fit`, so the same fit has the same rates. Formulas are
PyTorch's where it has the schedule too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import real, whole_number

Array = NDArray[Any]


class Schedule:
    """What all schedules share; use one of its kinds, such as `Cosine`."""

    __slots__ = ()

    @property
    def first(self) -> float:
        """The rate of the first step."""
        return float(self.rates(np.zeros(1, np.int64), 1)[0])

    def rates(self, step: Array, per_epoch: int) -> Array:
        """The rates of steps counted from 0, with `per_epoch` of them in an epoch."""
        raise NotImplementedError


@dataclass(frozen=True)
class StepDecay(Schedule):
    """The rate times `factor` after every `every` epochs.

    Parameters
    ----------
    start : float
        The first rate, above 0.
    every : int
        Epochs, at least 1.
    factor : float
        In (0, 1).

    Raises
    ------
    TypeError, ValueError
        An argument is not as above.

    Examples
    --------
    >>> StepDecay(0.1, every=30)
    StepDecay(start=0.1, every=30, factor=0.1)
    """

    start: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        _positive(self, "start")
        _whole(self, "every")
        _within(self, "factor", 0, 1)

    def rates(self, step: Array, per_epoch: int) -> Array:
        """As `Schedule.rates`."""
        epoch = step // per_epoch
        return np.asarray(self.start * self.factor ** (epoch // self.every).astype(np.float64))


@dataclass(frozen=True)
class Cosine(Schedule):
    """From `start` down to `end` along half a cosine, an epoch at a time; then `end`.

    Parameters
    ----------
    start : float
        The first rate, above 0.
    epochs : int
        Until `end` is reached.
    end : float
        At least 0, at most `start`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as above.
    """

    start: float
    epochs: int
    end: float = 0.0

    def __post_init__(self) -> None:
        _positive(self, "start")
        _whole(self, "epochs")
        _within(self, "end", 0, self.start, least_too=True, most_too=True)

    def rates(self, step: Array, per_epoch: int) -> Array:
        """As `Schedule.rates`."""
        part = np.minimum(step // per_epoch / self.epochs, 1)
        return np.asarray(self.end + (self.start - self.end) * (1 + np.cos(math.pi * part)) / 2)


@dataclass(frozen=True)
class Warmup(Schedule):
    """A rate, or another schedule, that begins small and grows in a straight line, step by step.

    Parameters
    ----------
    then : float or Schedule
        What follows; its first rate is where the line ends.
    epochs : int
        Length of the line, at least 1.
    first_part : float
        The part of that rate at which the line begins, in (0, 1).

    Raises
    ------
    TypeError, ValueError
        An argument is not as above.

    Examples
    --------
    >>> Warmup(Cosine(0.1, epochs=95), epochs=5)
    Warmup(then=Cosine(start=0.1, epochs=95, end=0.0), epochs=5, first_part=0.01)
    """

    then: float | Schedule
    epochs: int
    first_part: float = 0.01

    def __post_init__(self) -> None:
        if isinstance(self.then, ReduceOnPlateau):
            raise TypeError("then must be a rate or a schedule of its own course, got a plateau's")
        if not isinstance(self.then, Schedule):
            _positive(self, "then")
        _whole(self, "epochs")
        _within(self, "first_part", 0, 1)

    def rates(self, step: Array, per_epoch: int) -> Array:
        """As `Schedule.rates`."""
        length = self.epochs * per_epoch
        after = np.maximum(step - length, 0)
        if isinstance(self.then, Schedule):
            rate = self.then.rates(after, per_epoch)
        else:
            rate = np.full(len(step), self.then)
        line = self.first_part + (1 - self.first_part) * np.minimum(step / length, 1)
        return np.asarray(rate * line)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to `most` and far down again along two half cosines, step by step.

    Parameters
    ----------
    most : float
        The largest rate, above 0.
    epochs : int
        Length of the cycle; after it the last rate stays.
    rising : float
        The part of the cycle that goes up, in (0, 1).
    start_divisor, end_divisor : float
        Above 1: it begins at most / start_divisor and ends at that divided by end_divisor.

    Raises
    ------
    TypeError, ValueError
        An argument is not as above.
    """

    most: float
    epochs: int
    rising: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4

    def __post_init__(self) -> None:
        _positive(self, "most")
        _whole(self, "epochs")
        _within(self, "rising", 0, 1)
        _within(self, "start_divisor", 1, math.inf)
        _within(self, "end_divisor", 1, math.inf)

    def rates(self, step: Array, per_epoch: int) -> Array:
        """As `Schedule.rates`."""
        start = self.most / self.start_divisor
        last = self.epochs * per_epoch - 1
        top = max(self.rising * (last + 1) - 1, 1e-9)
        up = _half_cosine(start, self.most, step / top)
        down = _half_cosine(self.most, start / self.end_divisor, (step - top) / max(last - top, 1))
        return np.where(step <= top, up, down)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """The rate times `factor` when the cost has not fallen for more than `patience` epochs.

    It looks at the validation cost where there is one, else at the training cost.

    Parameters
    ----------
    start : float
        The first rate, above 0.
    factor : float
        In (0, 1).
    patience : int
        Epochs without a fall that are borne, at least 0.
    threshold : float
        A fall is a cost below the lowest so far minus threshold times its size; in [0, 1). For
        a lowest cost below 0, as of "gaussian_nll", that is not PyTorch's rule: it multiplies by
        1 - threshold whatever the sign, and takes a cost that stays the same for a fall.
    least : float
        The rate stays above this, at least 0.

    Raises
    ------
    TypeError, ValueError
        An argument is not as above.
    """

    start: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    least: float = 0.0

    def __post_init__(self) -> None:
        _positive(self, "start")
        _within(self, "factor", 0, 1)
        _whole(self, "patience", least=0)
        _within(self, "threshold", 0, 1, least_too=True)
        _within(self, "least", 0, self.start, least_too=True)

    def rates(self, step: Array, per_epoch: int) -> Array:
        """As `Schedule.rates`, as long as the cost falls."""
        return np.full(len(step), self.start)


class Plateau:
    """What a `ReduceOnPlateau` remembers from epoch to epoch."""

    def __init__(self, schedule: ReduceOnPlateau) -> None:
        self.schedule = schedule
        self.rate = schedule.start
        self.lowest = math.inf
        self.waited = 0

    def after(self, cost: float) -> float:
        """The rate of the next epoch."""
        if cost < self.lowest * (1 - math.copysign(self.schedule.threshold, self.lowest)):
            self.lowest = cost
            self.waited = 0
        else:
            self.waited += 1
        if self.waited > self.schedule.patience:
            self.rate = max(self.rate * self.schedule.factor, self.schedule.least)
            self.waited = 0
        return self.rate


def _half_cosine(start: float, end: float, part: Array) -> Array:
    part = np.clip(part, 0, 1)
    return np.asarray(end + (start - end) / 2 * (1 + np.cos(math.pi * part)))


def _set(schedule: Any, name: str, value: Any) -> None:
    object.__setattr__(schedule, name, value)


def _positive(schedule: Any, name: str) -> None:
    _within(schedule, name, 0, math.inf)


def _within(
    schedule: Any,
    name: str,
    least: float,
    most: float,
    *,
    least_too: bool = False,
    most_too: bool = False,
) -> None:
    value = real(getattr(schedule, name), name)
    above = value >= least if least_too else value > least
    below = value <= most if most_too else value < most
    if not (above and below):
        where = f"{'[' if least_too else '('}{least:g}, {most:g}{']' if most_too else ')'}"
        raise ValueError(f"{name} must be in {where}, got {value!r}")
    _set(schedule, name, value)


def _whole(schedule: Any, name: str, least: int = 1) -> None:
    _set(schedule, name, whole_number(getattr(schedule, name), name, least=least))
