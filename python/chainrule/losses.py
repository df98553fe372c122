"""Losses as plain data: what is named by a string or spelt out with its parameters.

The arithmetic is the core's and the reference's; here are the names, the constants, and what each
loss takes for a target. Called by `Network`, `Trainer` and `gradcheck`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .arrays import as_ndarray
from .errors import one_of, real, shown

Array = NDArray[Any]

REDUCTIONS = ("mean", "sum", "half_mean", "mean_rows")


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _number(value: Any, name: str, least: float, most: float | None) -> float:
    number = real(value, name)
    if not least < number < (np.inf if most is None else most):
        allowed = f"in ({least}, {most})" if most is not None else f"above {least} and finite"
        raise ValueError(f"{name} must be {allowed}, got {shown(value)}")
    return number


def _within(y: Array, name: str, loss: str, least: float, most: float | None) -> None:
    bad = (y < least) if most is None else (y < least) | (y > most)
    if bad.any():
        i, j = (int(k) for k in np.argwhere(bad)[0])
        allowed = f"at least {least}" if most is None else f"in [{least}, {most}]"
        raise ValueError(
            f"{name} must be {allowed} for {loss}, got {y[i, j]:.6g} at ({i}, {j}) (row, column)"
        )


@dataclass(frozen=True)
class Loss:
    """What all losses have; use one of them: `MSE`, `MAE`, `Huber`, `CrossEntropy`, ...

    A loss gives each element of the output (or each sample) a share c of the cost,
    C = (sum of all shares) / D. With sample weights w every share counts w_i times, and in D the
    number of samples m is the sum of the weights: a weight of 2 is the same row twice.

    Parameters
    ----------
    reduction : {"mean", "mean_rows", "sum"}
        "mean": D is the number of shares. "mean_rows": D = m, the number of samples. "sum": D = 1.
    """

    name: ClassVar[str] = ""
    share: ClassVar[str] = ""
    scales_targets: ClassVar[bool] = True
    of_rates: ClassVar[bool] = False  # outputs are logarithms of Y: a factor of Y is a shift of a
    reductions: ClassVar[tuple[str, ...]] = ("mean", "mean_rows", "sum")

    reduction: str = "mean"

    def __post_init__(self) -> None:
        one_of(self.reduction, "reduction", self.reductions)

    @property
    def parameters(self) -> tuple[float, ...]:
        """The loss's numbers: none, one for all outputs, or one for each."""
        return ()

    def per_sample(self, n_L: int) -> int:
        """Shares of one sample."""
        return self.n_targets(n_L)

    def divisor(self, m: float, n_L: int) -> float:
        """D for m samples, or weights that add up to m, and n_L outputs."""
        if self.reduction == "sum":
            return 1
        if self.reduction == "mean_rows":
            return m
        return (2 if self.reduction == "half_mean" else 1) * m * self.per_sample(n_L)

    def n_targets(self, n_L: int) -> int:
        """Columns of Y for n_L outputs."""
        return n_L

    @property
    def count(self) -> str:
        """What D counts, as it is printed."""
        return "m n_L"

    @property
    def formula(self) -> str:
        """The cost as it is printed."""
        before = {
            "mean": f"1/({self.count}) " if " " in self.count else f"1/{self.count} ",
            "sum": "",
            "half_mean": f"1/(2 {self.count}) ",
        }
        before["mean_rows"] = "1/m "
        return f"C = {before[self.reduction]}sum {self.share}"

    def check_outputs(self, n_L: int) -> None:
        """ValueError for a number of outputs that the loss cannot have."""
        if len(self.parameters) not in (0, 1, n_L):
            raise ValueError(
                f"loss {self}: {len(self.parameters)} parameters, but the network has {n_L} "
                f"{'output' if n_L == 1 else 'outputs'}; give one, or one for each"
            )

    def targets(self, Y: Any, n_L: int, name: str = "Y") -> Any:
        """Y as the core takes it, before its shape and numbers are checked."""
        return Y

    def check_targets(self, y: Array, name: str = "Y") -> None:
        """ValueError for numbers that are no targets of this loss."""

    def predictions(self, a: Array) -> Array:
        """The outputs a (m, n_L) as predictions of Y: what Y is on average, or its class."""
        return a


@dataclass(frozen=True)
class MSE(Loss):
    """The squared error, with the constant in front of it that a book or a framework chose.

    Parameters
    ----------
    reduction : {"mean", "sum", "half_mean", "mean_rows"}
        C = (sum of (a^L - Y)^2 over all m n_L elements) / D:

        - "mean", the default and what "mse" means: D = m n_L, as `numpy.mean` and PyTorch;
        - "sum": D = 1, as PyTorch with the same word;
        - "half_mean": D = 2 m n_L, so that dC/da^L = (a^L - Y) / (m n_L) carries no 2;
        - "mean_rows": D = m, the mean over the samples of the sum over the outputs.

    Raises
    ------
    TypeError, ValueError
        `reduction` is not one of these.

    Examples
    --------
    >>> MSE("half_mean")
    MSE(reduction='half_mean')
    """

    name: ClassVar[str] = "mse"
    share: ClassVar[str] = "(a^L - y)^2"
    reductions: ClassVar[tuple[str, ...]] = REDUCTIONS


@dataclass(frozen=True)
class MAE(Loss):
    """The absolute error, c = |a - y|: the best constant is the median of Y.

    Its slope is the sign of a - y, 0 where they are equal. Parameters as for `Loss`.
    """

    name: ClassVar[str] = "mae"
    share: ClassVar[str] = "|a^L - y|"


@dataclass(frozen=True)
class Huber(Loss):
    """Squared for small errors, absolute for large ones (Huber 1964).

    With e = a - y: c = e^2 / 2 for |e| <= delta, delta (|e| - delta / 2) beyond.

    Parameters
    ----------
    delta : float
        Above 0, in the units of Y as the network sees it.
    reduction : {"mean", "mean_rows", "sum"}
    """

    name: ClassVar[str] = "huber"
    share: ClassVar[str] = "huber(a^L - y)"

    reduction: str = "mean"
    delta: float = 1.0

    def __init__(self, delta: float = 1.0, reduction: str = "mean") -> None:
        object.__setattr__(self, "delta", _number(delta, "delta", 0, None))
        object.__setattr__(self, "reduction", reduction)
        self.__post_init__()

    @property
    def parameters(self) -> tuple[float, ...]:
        return (self.delta,)

    def __repr__(self) -> str:
        return f"Huber(delta={self.delta!r}, reduction={self.reduction!r})"


@dataclass(frozen=True)
class LogCosh(Loss):
    """c = log cosh(a - y): about half the square for small errors, the size less log 2 for large.

    Parameters as for `Loss`.
    """

    name: ClassVar[str] = "log_cosh"
    share: ClassVar[str] = "log cosh(a^L - y)"


@dataclass(frozen=True)
class Quantile(Loss):
    """The pinball loss, whose best constant is the q-quantile of Y.

    c = q (y - a) where y > a, (1 - q) (a - y) where not.

    Parameters
    ----------
    q : float or sequence of float
        In (0, 1). A sequence has one for each output: then Y may be one column, (m,) or (m, 1),
        whose quantiles all outputs learn.
    reduction : {"mean", "mean_rows", "sum"}

    Examples
    --------
    >>> Quantile((0.1, 0.5, 0.9))
    Quantile(q=(0.1, 0.5, 0.9), reduction='mean')
    """

    name: ClassVar[str] = "quantile"
    share: ClassVar[str] = "max(q (y - a^L), (q - 1) (y - a^L))"

    reduction: str = "mean"
    q: float | tuple[float, ...] = 0.5

    def __init__(self, q: float | tuple[float, ...] = 0.5, reduction: str = "mean") -> None:
        if isinstance(q, (tuple, list, np.ndarray)):
            if len(q) == 0:
                raise ValueError("q must hold at least one quantile, got none")
            several = tuple(_number(x, f"q[{k}]", 0, 1) for k, x in enumerate(q))
            object.__setattr__(self, "q", several)
        else:
            object.__setattr__(self, "q", _number(q, "q", 0, 1))
        object.__setattr__(self, "reduction", reduction)
        self.__post_init__()

    @property
    def parameters(self) -> tuple[float, ...]:
        return self.q if isinstance(self.q, tuple) else (self.q,)

    def targets(self, Y: Any, n_L: int, name: str = "Y") -> Any:
        if not isinstance(self.q, tuple) or n_L == 1:
            return Y
        raw = as_ndarray(Y, name)
        one = raw.ndim == 1 or (raw.ndim == 2 and raw.shape[1] == 1)
        return np.repeat(raw.reshape(-1, 1), n_L, axis=1) if one else raw

    def __repr__(self) -> str:
        return f"Quantile(q={self.q!r}, reduction={self.reduction!r})"


@dataclass(frozen=True)
class Poisson(Loss):
    """For counts: the output is the logarithm of the rate, c = exp(a) - y a.

    The negative log likelihood of a Poisson variable without log(y!). Y is at least 0.

    An untrained network says rates near exp(0) = 1, and steps towards counts near 200 are too long.
    So with fit(..., scale="auto"), which `chainrule train` always does, outputs start at the
    logarithm of the mean of their column of Y; and columns whose mean is above 1 are divided by it
    inside the network, as are their shares of the cost. `Network.predict` answers the logarithm of
    the rate in the user's units all the same. Parameters as for `Loss`.
    """

    name: ClassVar[str] = "poisson"
    share: ClassVar[str] = "(exp(a^L) - y a^L)"
    scales_targets: ClassVar[bool] = False
    of_rates: ClassVar[bool] = True

    def check_targets(self, y: Array, name: str = "Y") -> None:
        _within(y, name, "poisson", 0, None)

    def predictions(self, a: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(a))


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """For yes or no, each output apart: a is a logit, the log odds of y = 1.

    c = log(1 + exp(a)) - y a. Y holds 0 and 1, or probabilities. Parameters as for `Loss`.
    """

    name: ClassVar[str] = "binary_cross_entropy"
    share: ClassVar[str] = "(log(1 + exp(a^L)) - y a^L)"
    scales_targets: ClassVar[bool] = False

    def check_targets(self, y: Array, name: str = "Y") -> None:
        _within(y, name, "binary_cross_entropy", 0, 1)

    def predictions(self, a: Array) -> Array:
        e = np.exp(-np.abs(a))
        return np.asarray(np.where(a > 0, 1, e) / (1 + e))


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """For one class of several: the outputs are logits, p = softmax(a).

    c = -sum_j y_j log p_j for each sample, so that D = m. Y holds class numbers 0 .. n_L - 1, (m,),
    or one row of probabilities for each sample (one-hot, or soft), (m, n_L). Parameters as for
    `Loss`.
    """

    name: ClassVar[str] = "cross_entropy"
    share: ClassVar[str] = "-y log softmax(a^L)"
    scales_targets: ClassVar[bool] = False

    def per_sample(self, n_L: int) -> int:
        return 1

    @property
    def count(self) -> str:
        return "m"

    def check_outputs(self, n_L: int) -> None:
        if n_L < 2:
            raise ValueError(
                "loss cross_entropy needs an output for each class, at least 2, got 1; "
                "for yes or no with one output use binary_cross_entropy"
            )

    def targets(self, Y: Any, n_L: int, name: str = "Y") -> Any:
        raw = as_ndarray(Y, name)
        if raw.ndim != 1 and raw.shape != (raw.shape[0] if raw.ndim else 0, 1):
            return raw
        numbers = raw.reshape(-1)
        with np.errstate(invalid="ignore"):
            bad = ~((numbers >= 0) & (numbers < n_L) & (numbers == np.floor(numbers)))
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(
                f"{name} must hold class numbers 0 to {n_L - 1} for cross_entropy with {n_L} "
                f"outputs, got {numbers[i]} at row {i}"
            )
        return np.eye(n_L)[numbers.astype(np.intp)]

    def check_targets(self, y: Array, name: str = "Y") -> None:
        _within(y, name, "cross_entropy", 0, 1)
        sums = y.sum(axis=1, dtype=np.float64)
        off = np.abs(sums - 1) > 1e-4
        if off.any():
            i = int(np.argmax(off))
            raise ValueError(
                f"{name}: the probabilities of a row must add up to 1 for cross_entropy, "
                f"row {i} adds up to {sums[i]:.6g}"
            )

    def predictions(self, a: Array) -> Array:
        e = np.exp(a - a.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class GaussianNLL(Loss):
    """For a mean and a spread of its own for each sample: the likelihood of a normal variable.

    With n_L = 2 k outputs for the k columns of Y: the first k are means, the others s, with
    variance v = exp(s) + eps. c = (log v + (a - y)^2 / v) / 2, without the constant log(2 pi) / 2.

    Parameters
    ----------
    eps : float
        At least 0, in squared units of Y as the network sees it: the least variance.
    reduction : {"mean", "mean_rows", "sum"}
    """

    name: ClassVar[str] = "gaussian_nll"
    share: ClassVar[str] = "1/2 (log v + (a^L - y)^2 / v)"

    reduction: str = "mean"
    eps: float = 1e-6

    def __init__(self, eps: float = 1e-6, reduction: str = "mean") -> None:
        number = real(eps, "eps")
        if not 0 <= number < np.inf:
            raise ValueError(f"eps must be at least 0 and finite, got {shown(eps)}")
        object.__setattr__(self, "eps", number)
        object.__setattr__(self, "reduction", reduction)
        self.__post_init__()

    @property
    def parameters(self) -> tuple[float, ...]:
        return (self.eps,)

    @property
    def count(self) -> str:
        return "m n_L/2"

    def n_targets(self, n_L: int) -> int:
        return n_L // 2

    def check_outputs(self, n_L: int) -> None:
        if n_L % 2:
            raise ValueError(
                "loss gaussian_nll needs two outputs for each column of Y, the mean and the "
                f"logarithm of the variance; the network has {n_L}"
            )

    def predictions(self, a: Array) -> Array:
        return a[:, : a.shape[1] // 2]

    def __repr__(self) -> str:
        return f"GaussianNLL(eps={self.eps!r}, reduction={self.reduction!r})"


@dataclass(frozen=True)
class CustomLoss(Loss):
    """A loss of one's own, in Python: `function(a, Y)` returns (cost, dC/da).

    Any callable given as `loss` becomes one. Each step passes forward twice and calls the function
    in between: for small networks about ten times slower than a loss of the core.

    Parameters
    ----------
    function : callable
        Takes a (m, n_L) and Y, both float64 with samples as rows, and returns the cost, one number,
        and its slopes dC/da (m, n_L), divisions included. Y is as it was given, unless the network
        has a scaling that standardises targets; scale="auto" leaves them as they are.
    """

    name: ClassVar[str] = "given"
    share: ClassVar[str] = "a function of a^L and y"
    scales_targets: ClassVar[bool] = False
    reductions: ClassVar[tuple[str, ...]] = ("sum",)

    reduction: str = "sum"
    function: Callable[[Array, Array], tuple[float, Array]] = lambda a, Y: (0.0, a)

    def __init__(self, function: Callable[[Array, Array], tuple[float, Array]]) -> None:
        if not callable(function):
            raise TypeError(f"function must be callable, got {shown(function)}")
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "reduction", "sum")

    @property
    def formula(self) -> str:
        return f"C = {_name(self.function)}(a^L, y)"

    def __call__(self, a: Array, Y: Array) -> tuple[float, Array]:
        """The cost and dC/da, checked: TypeError or ValueError for anything else."""
        answer = self.function(a.astype(np.float64), Y.astype(np.float64))
        name = _name(self.function)
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise TypeError(
                f"loss {name}(a, Y) must return (cost, dC/da), got {shown(answer)} "
                f"({type(answer).__name__})"
            )
        cost = real(answer[0], f"the cost of loss {name}")
        slopes = as_ndarray(answer[1], f"dC/da of loss {name}")
        if slopes.shape != a.shape:
            raise ValueError(
                f"dC/da of loss {name} must have the shape of a, {a.shape}, got {slopes.shape}"
            )
        with np.errstate(over="ignore"):  # infinite in float32: told as a cost that is not finite
            return cost, np.ascontiguousarray(slopes, dtype=a.dtype)

    def __repr__(self) -> str:
        return f"CustomLoss({_name(self.function)})"


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        MSE(),
        MAE(),
        Huber(),
        LogCosh(),
        Quantile(),
        Poisson(),
        BinaryCrossEntropy(),
        CrossEntropy(),
        GaussianNLL(),
    )
}

LossLike = str | Loss | Callable[[Array, Array], tuple[float, Array]]


def checked_loss(loss: Any) -> Loss:
    """The loss that is meant; TypeError or ValueError if there is none."""
    if isinstance(loss, Loss) and type(loss) is not Loss:
        return loss
    if isinstance(loss, str):
        return LOSSES[one_of(loss, "loss", tuple(LOSSES))]
    if isinstance(loss, type) or not callable(loss):
        hint = f"; write {loss.__name__}()" if isinstance(loss, type) else ""
        raise TypeError(
            "loss must be a str, a loss such as MSE(), or a function(a, Y) -> (cost, dC/da), "
            f"got {shown(loss)} ({type(loss).__name__}){hint}"
        )
    return CustomLoss(loss)


def checked_squares(loss: Any) -> MSE:
    """As `checked_loss`, where only the squared error will do."""
    spec = checked_loss(loss)
    if not isinstance(spec, MSE):
        raise ValueError(f'loss must be "mse" or MSE(...) here, got {shown(loss)}')
    return spec
