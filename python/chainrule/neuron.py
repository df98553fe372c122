"""One neuron: a = f(w . x + b), its cost, its derivatives and gradient descent.

A neuron is a network of one layer with one unit. So its arithmetic is the core's, in float64: what
is learnt here holds bit for bit for `Network`. This file checks the arguments and gives the names
of the single neuron. Called by users.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import neuron_latex, neuron_text, reference
from .arrays import all_finite, as_array, as_matrix, as_ndarray
from .errors import DivergedError, real, shown, whole_number
from .layers import MAX_UNITS, Dense
from .losses import MSE, LossLike, checked_squares
from .network import Network
from .neuron_text import Text
from .optimizers import SGD, Optimizer
from .training import Trainer

Array = NDArray[Any]
STEP = 6.06e-6  # eps^(1/3), as in gradcheck
CHECKED_ROWS = 10_000  # beyond, an explanation does not wait for differences
Scalar = float | Array  # a float for one sample (n,), an array for (m, n)


@dataclass(frozen=True, eq=False)
class NeuronGradient:
    """The cost of a neuron, its derivatives, and every number on the way to them.

    For one sample of shape (n,) the axis of the samples is left out: what is (m,) below is a float,
    and `dw_per_sample` is (n,).

    Attributes
    ----------
    cost : float
    dw : ndarray, shape (n,)
        dC/dw.
    db : float
        dC/db.
    residual : ndarray, shape (m,)
        e = a - y.
    z, a : ndarray, shape (m,)
        The weighted sums, and the outputs.
    act_prime : ndarray, shape (m,)
        f'(z), without the cancellation in a (1 - a).
    dw_per_sample : ndarray, shape (m, n)
    db_per_sample : ndarray, shape (m,)
        What each sample contributes: the derivatives of the cost of that sample alone, 2 e f'(z) x
        and 2 e f'(z). Their means are `dw` and `db`. With "sum" it is their sums; with "half_mean"
        there is no 2.
    """

    cost: float
    dw: Array
    db: float
    residual: Scalar
    z: Scalar
    a: Scalar
    act_prime: Scalar = field(repr=False)
    dw_per_sample: Array = field(repr=False)
    db_per_sample: Scalar = field(repr=False)


@dataclass(frozen=True, eq=False)
class Descent:
    """The path of gradient descent, from `Neuron.fit`; prints as a table.

    Entry 0 is the start, entry k is after k steps; `len` counts the entries, steps + 1.

    Attributes
    ----------
    w : ndarray, shape (steps + 1, n)
    b, cost : ndarray, shape (steps + 1,)
    gradient_norm : ndarray, shape (steps + 1,)
        The Euclidean length of (dC/dw, dC/db).
    learning_rate : float
    """

    w: Array
    b: Array
    cost: Array
    gradient_norm: Array
    learning_rate: float

    def __len__(self) -> int:
        return len(self.cost)

    def __str__(self) -> str:
        return neuron_text.path(self.w, self.b, self.cost, self.gradient_norm, self.learning_rate)

    def __repr__(self) -> str:
        return (
            f"Descent: {len(self) - 1} steps, learning_rate {self.learning_rate:g}, "
            f"cost {self.cost[0]:.6g} -> {self.cost[-1]:.6g}"
        )


class Neuron:
    """One neuron, z = w_1 x_1 + ... + w_n x_n + b and a = f(z), in float64.

    Parameters
    ----------
    w : array_like, shape (n,)
        One weight per input; copied.
    b : float
        The bias.
    activation : str
        The name of f: identity, relu, leaky_relu, sigmoid, tanh, softplus, gelu or silu.

    Raises
    ------
    TypeError, ValueError
        An argument is not as above, or not finite.

    Notes
    -----
    All passes are those of the compiled core for a network of one unit, so that z, a, the cost, the
    derivatives and the steps equal those of `to_network()` bit for bit. The core takes sigmoid' as
    a (1 - a): where a rounds to 1, beyond z = 37, that is 0. `act_prime` and the contributions per
    sample come from the reference, which has 4e-18 at z = 40.

    Examples
    --------
    >>> neuron = Neuron([0.5, -0.25], 0.125, "sigmoid")
    >>> neuron.z([1.5, 2.0])
    0.375
    >>> g = neuron.gradient([[1.5, 2.0], [0.0, 1.0]], [1.0, 0.0])
    >>> g.dw.shape, g.residual.shape
    ((2,), (2,))
    """

    __slots__ = ("_net",)

    _net: Network

    def __init__(self, w: Any, b: Any = 0.0, activation: str = "sigmoid") -> None:
        layer = Dense(1, activation)
        raw = as_ndarray(w, "w")
        if raw.ndim != 1 or raw.size == 0:
            raise ValueError(
                f"w must have shape (n,), one weight per input, n at least 1; got shape {raw.shape}"
            )
        weights = as_array(raw, "w", np.float64, raw.shape)
        bias = _bias(b)
        self._net = Network._zeros([layer], raw.size, "float64")
        self._net.W[1][0] = weights
        self._net.b[1][0] = bias

    @property
    def w(self) -> Array:
        """The weights (n,), a writable view; assigning copies a finite (n,) array into it."""
        weights: Array = self._net.W[1][0]
        return weights

    @w.setter
    def w(self, value: Any) -> None:
        self.w[...] = as_array(value, "w", np.float64, (self.n,))

    @property
    def b(self) -> float:
        """The bias."""
        return float(self._net.b[1][0])

    @b.setter
    def b(self, value: Any) -> None:
        self._net.b[1][0] = _bias(value)

    @property
    def n(self) -> int:
        """Number of inputs."""
        return self._net.n[0]

    @property
    def activation(self) -> str:
        """The name of f."""
        return self._net.layers[0].activation

    def z(self, X: Any) -> Scalar:
        """The weighted sum w . x + b of each row.

        Parameters
        ----------
        X : array_like, shape (m, n), or (n,) for one sample

        Returns
        -------
        ndarray, shape (m,), or float for one sample
            It is not checked: infinite where the sum overflows.

        Raises
        ------
        TypeError, ValueError
            X is not as above, or not finite.
        """
        x, single = self._inputs(X, empty=True)
        z = self._sums(x)
        return float(z[0]) if single else z

    def a(self, X: Any) -> Scalar:
        """The output f(z) of each row; arguments and shapes as `z`.

        Raises
        ------
        TypeError, ValueError
            X is not as above, or not finite.
        DivergedError
            An output is not finite.
        """
        x, single = self._inputs(X, empty=True)
        a: Array = self._finite(lambda: self._net.predict(x), "an output")[:, 0]
        return float(a[0]) if single else a

    __call__ = a

    def cost(self, X: Any, y: Any, loss: LossLike = "mse") -> float:
        """The mean of (a - y)^2 over the samples, or `loss`.

        Parameters
        ----------
        X : array_like, shape (m, n), or (n,) for one sample
        y : array_like, shape (m,), or a number for one sample
        loss : {"mse"} or MSE

        Raises
        ------
        TypeError, ValueError
            An argument is not as above, not finite, or has no rows.
        DivergedError
            The cost is not finite.
        """
        loss = checked_squares(loss)
        x, y, _ = self._data(X, y)
        return float(self._finite(lambda: self._net.cost(x, y, loss)))

    def gradient(self, X: Any, y: Any, loss: LossLike = "mse") -> NeuronGradient:
        """The cost, dC/dw, dC/db and what each sample contributes; arguments as `cost`.

        Raises
        ------
        TypeError, ValueError
            An argument is not as above, not finite, or has no rows.
        DivergedError
            The cost or a derivative is not finite.
        """
        loss = checked_squares(loss)
        x, y, single = self._data(X, y)
        g = self._finite(lambda: self._net.gradient(x, y, loss))
        z, a = self._sums(x), self._net.predict(x)[:, 0]
        e = a - y[:, 0]
        f_prime = np.asarray(reference.ACTIVATIONS[self.activation][1](z))
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            db_per_sample = 2 / loss.divisor(1, 1) * e * f_prime  # (BP1) of each sample alone
            dw_per_sample = db_per_sample[:, None] * x  # (BP4) of each sample alone
        parts: list[Any] = [e, z, a, f_prime, dw_per_sample, db_per_sample]
        if single:
            parts = [part[0] if part.ndim == 2 else float(part[0]) for part in parts]
        return NeuronGradient(g.cost, g.dW[1][0].copy(), float(g.db[1][0]), *parts)

    def step(self, X: Any, y: Any, learning_rate: float, loss: LossLike = "mse") -> float:
        """One step of gradient descent: all derivatives first, then w and b together.

        (GD) w <- w - learning_rate dC/dw, b <- b - learning_rate dC/db

        Parameters
        ----------
        X, y, loss
            As in `cost`.
        learning_rate : float
            Above 0 and finite.

        Returns
        -------
        float
            The cost before the step.

        Raises
        ------
        TypeError, ValueError
            An argument is not as above; nothing has changed.
        DivergedError
            The cost, a derivative or an updated parameter is not finite; nothing has changed.
        """
        loss = checked_squares(loss)
        rate = SGD(real(learning_rate, "learning_rate"))
        x, y, _ = self._data(X, y)
        x, y = self._apart(x), self._apart(y)
        return self._descend(Trainer(self._net, rate, loss), x, y)

    def fit(
        self, X: Any, y: Any, learning_rate: float, steps: int = 100, loss: LossLike = "mse"
    ) -> Descent:
        """`steps` steps of gradient descent on all samples at once; returns the path.

        Parameters
        ----------
        X, y, loss
            As in `cost`.
        learning_rate : float
            Above 0 and finite.
        steps : int
            At least 0.

        Returns
        -------
        Descent
            w, b, the cost and the length of the gradient, before the first step and after each.

        Raises
        ------
        TypeError, ValueError, MemoryError
            An argument is not as above, or the path does not fit into memory; nothing has changed.
        DivergedError
            The cost or a parameter became infinite; w and b are the last finite ones.
        """
        loss = checked_squares(loss)
        steps = whole_number(steps, "steps", least=0, most=MAX_UNITS)
        rate = SGD(real(learning_rate, "learning_rate"))
        x, y, _ = self._data(X, y)
        x, y = self._apart(x), self._apart(y)
        trainer = Trainer(self._net, rate, loss)
        try:
            w = np.empty((steps + 1, self.n))
            b, costs, norms = np.empty((3, steps + 1))
        except MemoryError:
            raise MemoryError(
                f"no memory for a path of {steps} steps with {self.n + 1} parameters each; "
                "ask for fewer steps and call fit again"
            ) from None
        for k in range(steps + 1):
            try:
                g = self._net.gradient(x, y, loss)
            except DivergedError:
                last = costs[k - 1] if k else math.nan
                raise _diverged(k, rate, last, "w and b are the last finite ones") from None
            w[k], b[k], costs[k] = self.w, self.b, g.cost
            norms[k] = math.hypot(*g.theta)
            if k < steps:
                self._descend(trainer, x, y, k + 1)
        return Descent(w, b, costs, norms, rate.first_rate)

    def is_dead(self, X: Any) -> bool:
        """Whether this is a relu with z <= 0 on every row: then every derivative is exactly 0.

        Gradient descent on these samples can then never change w and b, whatever the targets are.
        Small inputs alone do not make a neuron dead, and the other activations never have a
        derivative of 0 but by rounding.

        Parameters
        ----------
        X : array_like, shape (m, n), or (n,) for one sample

        Raises
        ------
        TypeError, ValueError
            X is not as above, not finite, or has no rows.
        """
        x, _ = self._inputs(X)
        return self.activation == "relu" and bool((self._sums(x) <= 0).all())

    def learning_rate_limit(self, X: Any, loss: LossLike = "mse") -> float:
        """The learning rate above which gradient descent diverges, for an identity neuron.

        The cost is then quadratic in (w, b), with the matrix of second derivatives
        H = 2/D sum_i (x_i, 1) (x_i, 1)^T. A step multiplies the distance to the minimum along an
        eigenvector of H by 1 - learning_rate lambda: it shrinks in all directions below
        2 / lambda_max. The targets do not matter.

        Parameters
        ----------
        X : array_like, shape (m, n), or (n,) for one sample
        loss : {"mse"} or MSE

        Returns
        -------
        float
            2 / lambda_max.

        Raises
        ------
        TypeError, ValueError
            X is not as above, or the activation is not identity: then the second derivatives
            change from place to place and no single limit exists.
        """
        loss = checked_squares(loss)
        if self.activation != "identity":
            raise ValueError(
                "learning_rate_limit needs the activation identity, whose cost is quadratic; "
                f"this neuron has {self.activation}"
            )
        x, _ = self._inputs(X)
        rows = np.column_stack([x, np.ones(len(x))])
        # The largest singular value of (x_i, 1): its square does not overflow if taken last.
        largest = float(np.linalg.norm(rows, 2))
        return loss.divisor(len(x), 1) / largest / largest

    def explain(self, X: Any, y: Any, loss: LossLike = "mse") -> Text:
        """The way from x to dC/dw and dC/db in words, formulas and a table with a row per sample.

        It shows how each error is magnified by its inputs, and says when the neuron is dead, when
        it is saturated, and when an input is too small (or another too large) to learn from. Below
        the derivatives stand central differences of the cost, a check by other means (for up to
        10 000 samples).

        Parameters
        ----------
        X, y, loss
            As in `cost`.

        Returns
        -------
        str
            Shown as a table in a notebook too. Of many samples or inputs the first are shown.

        Raises
        ------
        TypeError, ValueError, DivergedError
            As `gradient`.
        """
        loss = checked_squares(loss)
        x, y, _ = self._data(X, y)
        g = self.gradient(x, y, loss)
        check = self._differences(x, y, g.z, loss) if len(x) <= CHECKED_ROWS else None
        return neuron_text.explain(self.w, self.b, self.activation, x, y[:, 0], g, loss, check)

    def latex(self, X: Any = None, y: Any = None, loss: LossLike = "mse") -> str:
        """The neuron, its cost and its derivatives as a LaTeX `aligned` block.

        Parameters
        ----------
        X, y : optional
            As in `cost`, at most 8 samples and 8 inputs: the block then has the numbers too.
        loss : {"mse"} or MSE

        Raises
        ------
        TypeError, ValueError, DivergedError
            As `gradient`; also when only one of X and y is given, or there are too many numbers.
        """
        loss = checked_squares(loss)
        if (X is None) != (y is None):
            missing = "X" if X is None else "y"
            raise TypeError(f"latex needs both X and y, or neither; {missing} is missing")
        if X is None:
            return neuron_latex.block(self.w, self.b, self.activation, loss)
        x, y, _ = self._data(X, y)
        most = neuron_latex.MOST
        if max(x.shape) > most:
            raise ValueError(
                f"latex shows numbers for at most {most} samples and {most} inputs, "
                f"got X of shape {x.shape}; without X and y it shows the formulas"
            )
        g = self.gradient(x, y, loss)
        return neuron_latex.block(self.w, self.b, self.activation, loss, x, y[:, 0], g)

    def to_network(self, dtype: Any = "float64") -> Network:
        """The same neuron as a `Network` of one layer with one unit; its parameters are copies."""
        return self._net.copy(dtype)

    def __reduce__(self) -> tuple[Callable[..., Neuron], tuple[Array, float, str]]:
        return Neuron, (self.w.copy(), self.b, self.activation)

    def __repr__(self) -> str:
        w = [repr(float(v)) for v in self.w[:8]]
        if self.n > 8:
            w[4:] = [f"... {self.n - 5} more ...", repr(float(self.w[-1]))]
        return f"Neuron([{', '.join(w)}], {self.b!r}, {self.activation!r})"

    def _differences(self, x: Array, y: Array, z: Any, loss: MSE) -> list[float]:
        """dC/db and dC/dw_k of the shown inputs, by central differences of the reference's cost.

        A step of w_k moves z by h x_k: h is chosen so that z moves by gradcheck's step, and by more
        where z is so large that rounding would swallow that.
        """
        f, _ = reference.ACTIVATIONS[self.activation]
        columns = [np.ones(len(x)), *x[:, : neuron_text.SHOWN_INPUTS].T]
        slopes = []
        for column in columns:
            size = np.abs(column).max()
            h = STEP * max(1.0, 1e-3 * np.abs(z).max()) / (size if size > 1e-290 else 1.0)
            with np.errstate(all="ignore"):
                up, down = (
                    reference.cost(f(z + step * column)[:, None], y, loss.reduction)
                    for step in (h, -h)
                )
                slopes.append(float((up - down) / (2 * h)))
        return slopes

    def _sums(self, x: Array) -> Array:
        if len(x) == 0:
            return np.empty(0)
        z: Array = self._net.trace(x, np.zeros(len(x))).z[1][:, 0]
        return z

    def _inputs(self, X: Any, empty: bool = False) -> tuple[Array, bool]:
        """X as (m, n), and whether it came as one sample (n,)."""
        raw = as_ndarray(X, "X")
        single = raw.ndim == 1 and len(raw) == self.n
        if single:
            raw = raw.reshape(1, -1)
        if raw.ndim != 2 or raw.shape[1] != self.n:
            one = f" or ({self.n},) for one sample"
            raise ValueError(
                f"X must have shape (m, {self.n}), one column per weight,{one}; "
                f"got shape {raw.shape}"
            )
        return as_matrix(raw, "X", np.float64, self.n, empty=empty), single

    def _data(self, X: Any, y: Any) -> tuple[Array, Array, bool]:
        """X as (m, n), y as (m, 1), and whether they came as one sample."""
        x, single = self._inputs(X)
        raw = as_ndarray(y, "y")
        m = len(x)
        allowed = [(m,), (m, 1)] + ([()] if single else [])
        if raw.shape not in allowed:
            raise ValueError(
                f"y must be {'a number' if single else f'of shape ({m},)'}, "
                f"one target per sample of X; got shape {raw.shape}"
            )
        return x, as_matrix(raw.reshape(-1, 1), "y", np.float64), single

    def _finite(self, passes: Callable[[], Any], what: str = "the cost or a derivative") -> Any:
        """What `passes` gives; its DivergedError in the words of a neuron."""
        try:
            return passes()
        except DivergedError:
            raise DivergedError(
                f"{what} is not finite: X, y, w or b are too large, or w or b is not finite; "
                "neuron.z(X) shows more"
            ) from None

    def _descend(self, trainer: Trainer, x: Array, y: Array, step: int = 1) -> float:
        before = self._net.theta.copy()
        try:
            cost = trainer.step(x, y)
        except DivergedError:
            cost = math.nan
        if not (math.isfinite(cost) and all_finite(self._net.theta)):
            self._net.theta[...] = before
            kept = "w and b are as they were before it"
            raise _diverged(step, trainer.optimizer, cost, kept)
        return cost

    def _apart(self, array: Array) -> Array:
        """A copy where the data are a view of the parameters, which descent changes."""
        return array.copy() if np.may_share_memory(array, self._net.theta) else array


def _bias(b: Any) -> float:
    if isinstance(b, np.ndarray) and b.ndim == 0:
        b = b[()]
    if isinstance(b, (bool, np.bool_)) or not isinstance(b, numbers.Real):
        raise TypeError(f"b must be a real number, got {shown(b)} ({type(b).__name__})")
    try:
        value = float(b)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(f"b must be finite, got {shown(b)}")
    return value


def _diverged(step: int, rate: Optimizer, cost: float, kept: str) -> DivergedError:
    where = f"step {step} of the descent diverged" if step else "the start is too far away"
    return DivergedError(
        f"{where}: the cost, a derivative, w or b is not finite. {kept}; try a smaller "
        f"learning_rate (it was {rate.learning_rate:g}), or scale the inputs",
        step=step or None,
        cost=cost,
    )
