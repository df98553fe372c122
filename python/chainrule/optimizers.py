"""Update rules, as plain data: the core holds the state and does the arithmetic.

Names, defaults and meanings are PyTorch's, except for `learning_rate`. g is the slope dC/dtheta.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from .errors import real, whole_number
from .schedules import Schedule


@dataclass(frozen=True, repr=False)
class Optimizer:
    """What all update rules share; use one of its kinds, such as `SGD` or `Adam`."""

    learning_rate: float | Schedule = 0.01

    def __post_init__(self) -> None:
        for field in fields(self):
            value = _CHECKS[field.name](getattr(self, field.name), field.name)
            object.__setattr__(self, field.name, value)

    def __repr__(self) -> str:
        values = [(field, getattr(self, field.name)) for field in fields(self)]
        shown = (f"{f.name}={v!r}" for f, v in values if f.name not in _QUIET or v != f.default)
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def first_rate(self) -> float:
        """The learning rate of the first step."""
        rate = self.learning_rate
        return rate.first if isinstance(rate, Schedule) else rate

    def _core(self) -> tuple[str, dict[str, float]]:
        """The row of the core's table, and its numbers."""
        raise NotImplementedError

    def _limits(self) -> dict[str, float]:
        names = ("weight_decay", "clip_value", "clip_norm")
        given = {name: getattr(self, name, None) for name in names}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, v = momentum v + g, theta = theta - learning_rate v.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above 0 and finite; or a schedule such as `Cosine`.
    momentum : float
        In [0, 1); 0 is plain gradient descent.
    nesterov : bool
        Step by g + momentum v instead of v.
    weight_decay : float
        At least 0: g + weight_decay theta takes the place of g, an L2 penalty of
        weight_decay / 2 theta^2.
    clip_value, clip_norm : float or None
        Before that, each slope is cut at +-clip_value; a gradient longer than clip_norm
        is shortened to it.

    Raises
    ------
    TypeError
        An argument is not a real number (bool and str are refused).
    ValueError
        An argument is out of range, infinite or NaN, or nesterov without momentum.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0, got momentum=0.0")

    def _core(self) -> tuple[str, dict[str, float]]:
        rule = "nesterov" if self.nesterov else "momentum" if self.momentum else "sgd"
        return rule, {"momentum": self.momentum}


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """q = alpha q + (1 - alpha) g^2, theta = theta - learning_rate g / (sqrt(q) + eps).

    With momentum: v = momentum v + g / (sqrt(q) + eps), theta = theta - learning_rate v.

    Parameters
    ----------
    learning_rate : float or Schedule
        Above 0 and finite.
    alpha, momentum : float
        In [0, 1).
    eps : float
        Above 0: keeps the denominator away from 0.
    weight_decay, clip_value, clip_norm
        As for `SGD`.

    Raises
    ------
    TypeError, ValueError
        As for `SGD`.
    """

    learning_rate: float | Schedule = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None

    def _core(self) -> tuple[str, dict[str, float]]:
        rule = "rmsprop_momentum" if self.momentum else "rmsprop"
        return rule, {"smoothing": self.alpha, "epsilon": self.eps, "momentum": self.momentum}


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Adaptive moments, for step t = 1, 2, ...

    v = beta_1 v + (1 - beta_1) g, q = beta_2 q + (1 - beta_2) g^2,
    theta = theta - learning_rate v' / (sqrt(q') + eps), with v' = v / (1 - beta_1^t) and
    q' = q / (1 - beta_2^t) (Kingma and Ba 2015, algorithm 1).

    Parameters
    ----------
    learning_rate : float or Schedule
        Above 0 and finite.
    betas : (float, float)
        beta_1 and beta_2, each in [0, 1).
    eps : float
        Above 0: keeps the denominator away from 0.
    weight_decay, clip_value, clip_norm
        As for `SGD`.

    Raises
    ------
    TypeError, ValueError
        As for `SGD`.
    """

    learning_rate: float | Schedule = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None

    def _core(self) -> tuple[str, dict[str, float]]:
        beta_1, beta_2 = self.betas
        return "adam", {"momentum": beta_1, "smoothing": beta_2, "epsilon": self.eps}


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """`Adam` after theta = theta - learning_rate weight_decay theta (Loshchilov and Hutter 2019).

    The decay is apart from the slope, so that it is not divided by its size.

    Parameters
    ----------
    learning_rate, betas, eps, clip_value, clip_norm
        As for `Adam`.
    weight_decay : float
        At least 0.

    Raises
    ------
    TypeError, ValueError
        As for `SGD`.
    """

    weight_decay: float = 0.01

    def _core(self) -> tuple[str, dict[str, float]]:
        return "adamw", super()._core()[1]


@dataclass(frozen=True, repr=False)
class Rprop(Optimizer):
    """A step size h for each parameter; of the slope only the sign counts. For full batches.

    Where g keeps its sign, h = min(eta_plus h, largest); where it changes, h = max(eta_minus h,
    smallest) and the parameter rests. theta = theta - sign(g) h (Riedmiller and Braun 1993).

    Parameters
    ----------
    learning_rate : float
        The first h, above 0 and finite.
    etas : (float, float)
        eta_minus in (0, 1) and eta_plus above 1.
    step_sizes : (float, float)
        The smallest and the largest h, above 0.
    clip_value, clip_norm
        As for `SGD`.

    Raises
    ------
    TypeError, ValueError
        As for `SGD`.
    """

    learning_rate: float | Schedule = 0.01
    etas: tuple[float, float] = (0.5, 1.2)
    step_sizes: tuple[float, float] = (1e-6, 50.0)
    clip_value: float | None = None
    clip_norm: float | None = None

    def _core(self) -> tuple[str, dict[str, float]]:
        (shrink, grow), (least, most) = self.etas, self.step_sizes
        return "rprop", {"shrink": shrink, "grow": grow, "least": least, "most": most}


@dataclass(frozen=True, repr=False)
class LBFGS(Optimizer):
    """Limited-memory BFGS: few iterations, each on all rows. For small data and smooth costs.

    d = -H g, where H is built from the last `history_size` changes of theta and g, and a line
    search finds alpha such that theta + alpha d satisfies the strong Wolfe conditions with
    c1 = 1e-4 and c2 = 0.9 (Nocedal and Wright, Numerical Optimization, 2006, algorithms 7.4 and
    7.5; 3.5 and 3.6 with cubic interpolation). float64 gets nearer to a minimum than float32.

    An epoch of `fit` is one iteration on the whole data: `batch_size`, `shuffle` and `seed` have
    no effect. Each iteration takes one evaluation of the gradient or a few; `History.cost` has the
    cost after each. It ends when one of the tolerances is reached or when no lower cost is found,
    and `History.reason` tells which. `Trainer.step` is one iteration on the rows it is given, and
    changes nothing where it finds no lower cost.

    Parameters
    ----------
    learning_rate : float
        Above 0 and finite: the alpha that each line search tries first (the first one of all tries
        it times min(1, 1 / |g|)).
    history_size : int
        At least 1: how many changes are remembered, 2 P numbers each.
    tolerance_grad : float
        At least 0: the training ends when no slope is larger.
    tolerance_change : float
        At least 0: it ends when neither any parameter or when not the cost has changed by more.
    max_line_search : int
        At least 1: evaluations of the gradient in one line search.

    Raises
    ------
    TypeError, ValueError
        As for `SGD`; learning_rate is a schedule.

    Examples
    --------
    >>> LBFGS(history_size=20)
    LBFGS(learning_rate=1.0, history_size=20, tolerance_grad=1e-07, tolerance_change=1e-09, \
max_line_search=25)
    """

    learning_rate: float = 1.0
    history_size: int = 10
    tolerance_grad: float = 1e-7
    tolerance_change: float = 1e-9
    max_line_search: int = 25

    def __post_init__(self) -> None:
        if isinstance(self.learning_rate, Schedule):
            raise TypeError(
                f"learning_rate must be a number, got {self.learning_rate}: a line search chooses "
                "the step, it needs no schedule"
            )
        super().__post_init__()

    def _core(self) -> tuple[str, dict[str, float]]:
        names = ("history_size", "tolerance_grad", "tolerance_change", "max_line_search")
        return "lbfgs", {name: getattr(self, name) for name in names}


def core_arguments(optimizer: Optimizer) -> dict[str, Any]:
    """What the core's trainer takes; that of LBFGS is another one, without a rule."""
    rule, its_own = optimizer._core()
    if isinstance(optimizer, LBFGS):
        return {"learning_rate": optimizer.first_rate, **its_own}
    return {
        "rule": rule,
        "learning_rate": optimizer.first_rate,
        **its_own,
        **optimizer._limits(),
    }


def _positive(value: Any, name: str) -> float:
    number = real(value, name)
    if not (number > 0 and math.isfinite(number)):
        raise ValueError(f"{name} must be above 0 and finite, got {value!r}")
    return number


def _rate(value: Any, name: str) -> float | Schedule:
    return value if isinstance(value, Schedule) else _positive(value, name)


def _fraction(value: Any, name: str) -> float:
    number = real(value, name)
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be in [0, 1), got {value!r}")
    return number


def _at_least_0(value: Any, name: str) -> float:
    number = real(value, name)
    if not (number >= 0 and math.isfinite(number)):
        raise ValueError(f"{name} must be at least 0 and finite, got {value!r}")
    return number


def _positive_or_none(value: Any, name: str) -> float | None:
    return None if value is None else _positive(value, name)


def _bool(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r} ({type(value).__name__})")
    return value


def _pair(value: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be two real numbers, got {value!r} ({type(value).__name__})")
    return value[0], value[1]


def _betas(value: Any, name: str) -> tuple[float, float]:
    one, two = _pair(value, name)
    return _fraction(one, f"{name}[0]"), _fraction(two, f"{name}[1]")


def _etas(value: Any, name: str) -> tuple[float, float]:
    minus, plus = (real(part, f"{name}[{i}]") for i, part in enumerate(_pair(value, name)))
    if not (0 < minus < 1 < plus < math.inf):
        raise ValueError(f"{name} must be below and above 1, (0.5, 1.2) say; got {value!r}")
    return minus, plus


def _step_sizes(value: Any, name: str) -> tuple[float, float]:
    least, most = (_positive(part, f"{name}[{i}]") for i, part in enumerate(_pair(value, name)))
    if least > most:
        raise ValueError(f"{name} must be the smallest step and the largest, got {value!r}")
    return least, most


def _count(value: Any, name: str) -> int:
    return whole_number(value, name, most=2**31 - 1)


_QUIET = ("nesterov", "weight_decay", "clip_value", "clip_norm")  # shown when they say something

_CHECKS = {
    "learning_rate": _rate,
    "momentum": _fraction,
    "alpha": _fraction,
    "nesterov": _bool,
    "betas": _betas,
    "eps": _positive,
    "etas": _etas,
    "step_sizes": _step_sizes,
    "weight_decay": _at_least_0,
    "clip_value": _positive_or_none,
    "clip_norm": _positive_or_none,
    "history_size": _count,
    "tolerance_grad": _at_least_0,
    "tolerance_change": _at_least_0,
    "max_line_search": _count,
}
