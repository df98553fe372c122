"""The network: parameters as W[l], b[l], and the passes forward and backward.

This file checks every argument that the core cannot take as it is; the arithmetic of (Z), (A),
(MSE) and (BP1) to (BP4) is done by the compiled core on the checked arrays. Called by users and by
every file above it.
"""
# ruff: noqa: PLC0415  (l is the number of a layer; late imports break cycles)

from __future__ import annotations

import copy as copying
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .arrays import all_finite, as_array, as_matrix, as_ndarray, check_out, first_not_finite
from .errors import DivergedError, one_of, shown, whole_number
from .layers import Dense, width
from .losses import MSE, CustomLoss, Loss, LossLike, checked_loss
from .optimizers import SGD, Optimizer
from .scaling import Scaling
from .trace import Gradient, Numbered, Trace

if TYPE_CHECKING:
    from .diagnosis import DeadUnits, WeakInputs
    from .history import History
    from .stopping import EarlyStopping

Array = NDArray[Any]

DTYPES = ("float32", "float64")

_CORES: dict[str, type[_core.Network32 | _core.Network64]] = {
    "float32": _core.Network32,
    "float64": _core.Network64,
}
# He's limit for activations that are about linear on one side, Glorot's for the others.
_ONE_SIDED = frozenset({"relu", "leaky_relu", "softplus", "gelu", "silu"})
_DEFAULT_OPTIMIZER = SGD()
_SQUARES = MSE()


class Network:
    """A dense network: the map X (m, n_0) -> a^L (m, n_L), and its parameters.

    Weights start uniform in [-limit, limit], limit = sqrt(6 / n_{l-1}) for relu, leaky_relu,
    softplus, gelu and silu and sqrt(6 / (n_{l-1} + n_l)) for the others; biases start at 0.

    Parameters
    ----------
    layers : sequence of Dense
        The layers 1..L.
    n_inputs : int
        Number of columns of X, n_0.
    dtype : {"float32", "float64"}
        Of the parameters and of all arithmetic.
    seed : int
        In [0, 2**63): the same seed gives the same weights everywhere.

    Raises
    ------
    TypeError, ValueError
        An argument is not as above.
    OverflowError, MemoryError
        The parameters cannot be counted, or there is no memory for them.

    Examples
    --------
    >>> net = Network([Dense(64, "relu"), Dense(1)], n_inputs=10, dtype="float64")
    >>> net
    Network 10-64-1 relu, identity | float64 | 769 parameters
    >>> net.n, net.W[1].shape, net.b[2].shape
    ((10, 64, 1), (64, 10), (1,))
    """

    __slots__ = (
        "_W",
        "__weakref__",
        "_b",
        "_dtype",
        "_engine",
        "_layers",
        "_metadata",
        "_n",
        "_offsets",
        "_scaling",
        "_theta",
    )

    _engine: _core.Network32 | _core.Network64
    _dtype: np.dtype[Any]
    _layers: tuple[Dense, ...]
    _metadata: dict[str, Any]
    _n: tuple[int, ...]
    _offsets: list[tuple[int, int]]
    _scaling: Scaling | None
    _theta: Array
    _W: Numbered
    _b: Numbered

    def __init__(
        self,
        layers: Sequence[Dense],
        n_inputs: int,
        dtype: Any = "float32",
        seed: int = 0,
    ) -> None:
        seed = whole_number(seed, "seed", least=0)
        self._allocate(layers, n_inputs, dtype)
        for l in range(1, self.L + 1):
            self._W[l][...] = self._initial_weights(l, seed)

    def _allocate(self, layers: Sequence[Dense], n_inputs: int, dtype: Any) -> None:
        """Check the specification and make all parameters 0."""
        self._layers = _checked_layers(layers)
        self._n = (width(n_inputs, "n_inputs"), *(layer.units for layer in self._layers))
        name = _checked_dtype(dtype)
        self._dtype = np.dtype(name)
        activations = [layer.activation for layer in self._layers]
        try:
            self._engine = _CORES[name](self._n, activations)
        except MemoryError:
            size = sum((n_in + 1) * n_out for n_in, n_out in pairwise(self._n))
            raise MemoryError(
                f"no memory for {size} parameters of {name}, {size * self._dtype.itemsize} bytes"
            ) from None
        self._engine.dropout = [0.0, *(layer.dropout for layer in self._layers)]
        self._theta = self._engine.theta
        self._offsets = self._engine.offsets
        self._W, self._b = self._views(self._theta, "W", "b", assignable=True)
        self._scaling = None
        self._metadata = {}

    @classmethod
    def _zeros(cls, layers: Sequence[Dense], n_inputs: int, dtype: Any) -> Network:
        """A network whose parameters are all 0, to be filled in by the caller."""
        net = cls.__new__(cls)
        net._allocate(layers, n_inputs, dtype)
        return net

    def _initial_weights(self, l: int, seed: int) -> Array:
        n_in, n_out = self._n[l - 1], self._n[l]
        fan = n_in if self._layers[l - 1].activation in _ONE_SIDED else n_in + n_out
        limit = math.sqrt(6.0 / fan)
        u = _core.uniform(seed, l, n_out * n_in).reshape(n_out, n_in)
        weights: Array = limit * (2.0 * u - 1.0)
        return weights

    def _views(
        self, theta: Array, weights: str, biases: str, assignable: bool = False
    ) -> tuple[Numbered, Numbered]:
        """The views (n_l, n_{l-1}) and (n_l,) of a flat array in the core's order."""
        W, b = [], []
        for (n_in, n_out), (w, v) in zip(pairwise(self._n), self._offsets, strict=True):
            W.append(theta[w : w + n_in * n_out].reshape(n_in, n_out).T)
            b.append(theta[v : v + n_out])
        return (
            Numbered(weights, W, assignable=assignable),
            Numbered(biases, b, assignable=assignable),
        )

    @property
    def L(self) -> int:
        """Number of layers."""
        return len(self._layers)

    @property
    def n(self) -> tuple[int, ...]:
        """Numbers of units: n[0] inputs, n[l] of layer l."""
        return self._n

    @property
    def layers(self) -> tuple[Dense, ...]:
        """The specifications of the layers 1..L."""
        return self._layers

    @property
    def dtype(self) -> str:
        """ "float32" or "float64"."""
        return str(self._dtype.name)

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases, the length of `theta`."""
        return int(self._theta.size)

    @property
    def W(self) -> Numbered:
        """W[l] (n_l, n_{l-1}), l = 1..L: writable views of `theta`."""
        return self._W

    @property
    def b(self) -> Numbered:
        """b[l] (n_l,), l = 1..L: writable views of `theta`."""
        return self._b

    @property
    def theta(self) -> Array:
        """All parameters (P,), a writable view; assigning copies a finite (P,) array into it.

        The order is W^1 (transposed), b^1, W^2 (transposed), b^2, ...
        """
        return self._theta

    @theta.setter
    def theta(self, value: Any) -> None:
        self._theta[...] = as_array(value, "theta", self._dtype, self._theta.shape)

    @property
    def scaling(self) -> Scaling | None:
        """None, or the map from the user's units to the units inside; see `Scaling`."""
        return self._scaling

    @scaling.setter
    def scaling(self, value: Scaling | None) -> None:
        if value is not None:
            if not isinstance(value, Scaling):
                raise TypeError(f"scaling must be a Scaling or None, got {type(value).__name__}")
            got = (value.x_mean.size, value.y_mean.size)
            if got != (self._n[0], self._n[-1]):
                raise ValueError(
                    f"scaling is for {got[0]} inputs and {got[1]} outputs, but the network "
                    f"has {self._n[0]} and {self._n[-1]}"
                )
        self._scaling = value

    @property
    def metadata(self) -> dict[str, Any]:
        """Notes saved with the model: a dict that JSON can hold."""
        return self._metadata

    @metadata.setter
    def metadata(self, value: dict[str, Any]) -> None:
        if not isinstance(value, dict):
            raise TypeError(f"metadata must be a dict, got {type(value).__name__}")
        self._metadata = value

    def __call__(self, X: Any) -> Array:
        """The same as `predict(X)`."""
        return self.predict(X)

    def predict(self, X: Any, out: Array | None = None) -> Array:
        """The network's output a^L for each row of X.

        Parameters
        ----------
        X : array_like, shape (m, n_0), or (n_0,) for one sample
            In the user's units; m may be 0.
        out : ndarray, optional
            Filled and returned: shape (m, n_L), or (n_L,) for one sample, of the network's dtype,
            C-contiguous, writable, sharing no memory with X or the parameters.

        Returns
        -------
        ndarray, shape (m, n_L) or (n_L,)
            In the user's units.

        Raises
        ------
        TypeError, ValueError
            X or `out` is not as above, or X is not finite; nothing is written.
        DivergedError
            X is finite and the output is not: a layer overflowed. `out` then holds that output.
        """
        if self._scaling is None:
            answer = self._engine.try_predict(X, out)
            if answer is not None:
                return answer
        return self._careful_predict(X, out)

    def _careful_predict(self, X: Any, out: Array | None = None) -> Array:
        """`predict` for arguments that the core does not take as they are."""
        X, single = self._rows(X)
        x = self._inputs(X, "X", empty=True)
        shape = (len(x), self._n[-1])
        if out is None:
            a = np.empty(shape, self._dtype)
        else:
            others = {"X": X, "the parameters": self._theta}
            check_out(out, shape[1:] if single else shape, self._dtype, others)
            a = np.asarray(out).reshape(shape)
        self._engine.predict(x, a)
        if self._scaling is not None:
            with np.errstate(over="ignore"):
                a[...] = self._scaling.restore_y(a)
        if not all_finite(a):
            raise self._overflow(x, a)
        if out is not None:
            return out
        return a[0] if single else a

    def cost(self, X: Any, Y: Any, loss: LossLike = "mse", sample_weight: Any = None) -> float:
        """The mean squared error over all elements, mean((a^L - Y)**2), or `loss`.

        Parameters
        ----------
        X : array_like, shape (m, n_0)
        Y : array_like, shape (m, n_L), or (m,) for one column
            Both in the user's units; the cost is in standardised units when there is a scaling.
            What else Y may be is the loss's: class numbers (m,) for `CrossEntropy`.
        loss : str, Loss or function(a, Y) -> (cost, dC/da)
            "mse", "mae", "huber", "log_cosh", "quantile", "poisson", "binary_cross_entropy",
            "cross_entropy", "gaussian_nll", or one spelt out such as Huber(delta=2.0).
        sample_weight : array_like, shape (m,), optional
            At least 0, not all 0. A weight of 2 is the same row twice.

        Raises
        ------
        TypeError, ValueError
            An argument is not as above, not finite, or has no rows.
        DivergedError
            The cost is not finite.
        """
        spec = checked_loss(loss)
        x, y = self._prepare(X, Y, spec)
        weight = self._weights(sample_weight, len(x), spec)
        if isinstance(spec, CustomLoss):
            cost, _ = self._custom(spec, x, y)
        else:
            cost = self._engine.cost(x, y, self._objective(spec), weight)
        if not math.isfinite(cost):
            raise _not_finite("cost", cost)
        return cost

    def gradient(
        self, X: Any, Y: Any, loss: LossLike = "mse", sample_weight: Any = None
    ) -> Gradient:
        """The cost and dC/dW, dC/db for all layers; arguments and errors as `cost`."""
        spec = checked_loss(loss)
        x, y = self._prepare(X, Y, spec)
        weight = self._weights(sample_weight, len(x), spec)
        theta = np.empty_like(self._theta)
        if isinstance(spec, CustomLoss):
            cost, slopes = self._custom(spec, x, y)
            self._engine.gradient(x, slopes, theta, self._objective(spec))
        else:
            cost = self._engine.gradient(x, y, theta, self._objective(spec), weight)
        if not math.isfinite(cost):
            raise _not_finite("cost", cost)
        if not all_finite(theta):
            raise _not_finite("gradient", theta[first_not_finite(theta)])
        return Gradient(cost, theta, *self._views(theta, "dW", "db"))

    def trace(self, X: Any, Y: Any, loss: LossLike = "mse", sample_weight: Any = None) -> Trace:
        """All z, a, delta and the gradient, and what explains them.

        Nothing is said of values that are not finite: a trace is the place to look for them.

        Parameters
        ----------
        X : array_like, shape (m, n_0), or (n_0,) for one sample
        Y : array_like, shape (m, n_L), or (m,) for one output
            Both in the user's units. For one sample X (n_0,): shape (n_L,), or one number.
        loss, sample_weight
            As for `cost`.

        Returns
        -------
        Trace
            One sample gives arrays with one row.

        Raises
        ------
        TypeError, ValueError
            An argument is not as above, not finite, or has no rows.
        """
        spec = checked_loss(loss)
        X, single = self._rows(X)
        if single:
            Y = as_ndarray(Y, "Y")
            Y = Y.reshape(1, -1) if Y.ndim < 2 else Y
        x, y = self._prepare(X, Y, spec)
        weight = self._weights(sample_weight, len(x), spec)
        # The core stops before the derivatives when the cost is not finite.
        theta = np.full_like(self._theta, np.nan)
        if isinstance(spec, CustomLoss):
            cost, slopes = self._custom(spec, x, y)
            _, z, a, delta = self._engine.trace(x, slopes, theta, self._objective(spec))
        else:
            objective = self._objective(spec)
            cost, z, a, delta = self._engine.trace(x, y, theta, objective, weight)
        if np.isnan(a[-1]).any():  # the core says inf for every cost that is not finite
            cost = math.nan
        return Trace(
            cost,
            Numbered("z", z),
            Numbered("a", a, first=0),
            Numbered("delta", delta),
            *self._views(theta, "dW", "db"),
            y.copy(),
            spec,
            *self._views(self._theta.copy(), "W", "b"),
            tuple(layer.activation for layer in self._layers),
            self._scaling,
            None if weight is None else weight.copy(),
        )

    def dead_units(self, X: Any) -> DeadUnits:
        """The units that can no longer learn on X, and why.

        A relu unit is dead when z <= 0 on all samples: its derivatives are exactly 0. A unit whose
        layer above is dead as a whole is dead too. Units of smooth activations that are so far out
        that f'(z) is small on all samples are listed apart, as `.saturated`.

        Parameters
        ----------
        X : array_like, shape (m, n_0), or (n_0,) for one sample
            In the user's units.

        Returns
        -------
        DeadUnits
            A sequence of `DeadUnit`; prints as a table.

        Raises
        ------
        TypeError, ValueError
            X is not as above, not finite, or has no rows.
        DivergedError
            A weighted sum z is not finite.

        Examples
        --------
        >>> net = Network([Dense(2, "relu"), Dense(1)], n_inputs=1, dtype="float64")
        >>> net.W[1] = [[1.0], [-1.0]]
        >>> [(u.l, u.j) for u in net.dead_units([[1.0], [2.0]])]
        [(1, 2)]
        """
        from .diagnosis import dead_units

        return dead_units(self, X)

    def weak_inputs(self, X: Any) -> WeakInputs:
        """The inputs so small against the others that their weights learn slowly.

        dC/dw^1_j,k is proportional to x_k: a small input is not dead, but it moves its weights
        little. Arguments and errors as `dead_units`.

        Returns
        -------
        WeakInputs
            A sequence of `WeakInput`, the inputs whose root mean square is below a tenth of the
            largest one; prints as a table.
        """
        from .diagnosis import weak_inputs

        return weak_inputs(self, X)

    def fit(
        self,
        X: Any,
        Y: Any,
        epochs: int = 100,
        batch_size: int = 32,
        optimizer: Optimizer = _DEFAULT_OPTIMIZER,
        loss: LossLike = "mse",
        shuffle: bool = True,
        seed: int = 0,
        validation_data: tuple[Any, Any] | None = None,
        callbacks: Sequence[Callable[[Network, History], object]] = (),
        progress: bool = False,
        *,
        validation_split: float | None = None,
        early_stopping: EarlyStopping | None = None,
        sample_weight: Any = None,
        l1: float = 0.0,
        l2: float = 0.0,
        metrics: Any = (),
        scale: str | None = None,
    ) -> History:
        """Train in place on mini-batches.

        Parameters
        ----------
        X : array_like, shape (m, n_0)
        Y : array_like, shape (m, n_L), or (m,) for one output
            Both in the user's units.
        epochs : int
            Passes over the rows.
        batch_size : int
            Rows of one update; the last batch of an epoch may be smaller, and more than m means m.
            LBFGS always takes all m.
        optimizer : SGD, RMSprop, Adam, AdamW, Rprop or LBFGS
        loss : str, Loss or function(a, Y) -> (cost, dC/da)
            As for `cost`.
        shuffle : bool
            A new order of the rows in each epoch, a function of (seed, epoch) alone.
        seed : int
            In [0, 2**63).
        validation_data : tuple (X, Y) or (X, Y, sample_weight), optional
            Its cost is computed after each epoch.
        callbacks : sequence of callables
            Each is called as callback(net, history) after each epoch; training stops when one
            returns True. An exception ends training at the last finished epoch.
        progress : bool
            Show the progress on the standard error stream.
        validation_split : float, optional
            Instead of validation_data: the part of the rows, in (0, 1), that is held out, a
            choice that depends on the seed alone.
        early_stopping : EarlyStopping, optional
            End when the cost, or one of the metrics, no longer gets better.
        sample_weight : array_like, shape (m,), optional
            As for `cost`; weights of the validation rows are the third of validation_data.
        l1, l2 : float
            At least 0: penalties on the weights, not the biases. What falls, and is `History.cost`,
            is the cost + l1 sum |w| + l2 / 2 sum w^2; the validation cost is without them.
        metrics : str, callable, or sequence or dict of them
            Computed after each epoch on the validation data, else on the training data, and kept
            in `History.metrics`. A name of `chainrule.metrics.METRICS`, or a function called as
            metric(Y, prediction), both (m, k) in the user's units, that gives a number. An
            exception ends training at the last finished epoch.
        scale : {None, "auto"}
            "auto" gives a network that has no scaling one, that of the training rows, kept in
            `net.scaling`: mean 0 and spread 1 for each input, and for each target where the loss
            allows it and the last layer has no activation; counts ("poisson") are divided by their
            mean where that is above 1. A later `fit` keeps it.

        Returns
        -------
        History
            The cost of each epoch and how the training ended.

        Raises
        ------
        TypeError, ValueError, OverflowError
            An argument is not as above; nothing has changed.
        DivergedError
            The cost became infinite or NaN; the network keeps its last finite parameters.
        RuntimeError
            The network is being trained already, in a callback or another thread.
        """
        from .training import fit

        return fit(
            self,
            X,
            Y,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            loss=loss,
            l1=l1,
            l2=l2,
            shuffle=shuffle,
            seed=seed,
            validation_data=validation_data,
            validation_split=validation_split,
            early_stopping=early_stopping,
            sample_weight=sample_weight,
            metrics=metrics,
            scale=scale,
            callbacks=callbacks,
            progress=progress,
        )

    def copy(self, dtype: Any = None) -> Network:
        """A twin with its own parameters, and the same scaling and metadata.

        Parameters
        ----------
        dtype : {"float32", "float64"}, optional
            Of the twin; default is this network's.

        Raises
        ------
        ValueError
            A parameter does not fit float32.
        """
        twin = Network._zeros(self._layers, self._n[0], self.dtype if dtype is None else dtype)
        with np.errstate(over="ignore"):
            for l in range(1, self.L + 1):
                twin._W[l][...] = self._W[l]
                twin._b[l][...] = self._b[l]
        if not np.array_equal(np.isfinite(twin._theta), np.isfinite(self._theta)):
            raise ValueError(
                f"a parameter is beyond the largest {twin.dtype} "
                f"({np.finfo(twin._dtype).max}); keep dtype {self.dtype}"
            )
        twin._scaling = self._scaling
        twin._metadata = copying.deepcopy(self._metadata)
        return twin

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to a safetensors file; see `chainrule.load`.

        The file is whole at every moment: a temporary file in the same folder takes its place.

        Raises
        ------
        TypeError, ValueError
            `metadata` does not fit JSON, or a parameter is not finite.
        OSError
            The file cannot be written; an old one is left as it was.
        """
        from .modelfile import save

        save(self, path)

    def __reduce__(self) -> tuple[Callable[[bytes], Network], tuple[bytes]]:
        from .modelfile import from_bytes, to_bytes

        return from_bytes, (to_bytes(self),)

    def __copy__(self) -> Network:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        return self.copy()

    def __repr__(self) -> str:
        widths = "-".join(map(str, self._n))
        activations = ", ".join(layer.activation for layer in self._layers)
        return f"Network {widths} {activations} | {self.dtype} | {self.n_parameters} parameters"

    def _rows(self, X: Any) -> tuple[Array, bool]:
        """X with samples as rows, and whether it was one sample (n_0,)."""
        if type(X) is not np.ndarray:
            X = as_ndarray(X, "X")
        single = X.ndim == 1 and len(X) == self._n[0]
        return X.reshape(1, -1) if single else X, single

    def _inputs(self, X: Any, name: str, empty: bool = False) -> Array:
        """X checked, in standardised units and in the core's layout."""
        if self._scaling is None:
            return as_matrix(X, name, self._dtype, self._n[0], empty=empty)
        x = as_matrix(X, name, np.float64, self._n[0], empty=empty)
        return as_matrix(
            self._scaling.standardise_x(x), f"{name} (scaled)", self._dtype, empty=empty
        )

    def _targets(self, Y: Any, name: str, rows: int, loss: Loss) -> Array:
        """Y checked, in standardised units and in the core's layout."""
        n_L, scaling = self._n[-1], self._scaling
        loss.check_outputs(n_L)
        columns = loss.n_targets(n_L)
        Y = loss.targets(Y, n_L, name)
        dtype = self._dtype if scaling is None else np.float64
        y = as_matrix(Y, name, dtype, columns, rows, unit="columns", column=columns == 1)
        loss.check_targets(y, name)
        if scaling is None:
            return y
        if loss.of_rates and (scaling.y_scale == 1).all():
            y = scaling.standardise_rates(y)
            return as_matrix(y, f"{name} (scaled)", self._dtype)
        if not (loss.scales_targets or isinstance(loss, CustomLoss)):
            if scaling.scales_targets:
                raise ValueError(
                    f"the network's scaling standardises targets, which {loss.name} does not "
                    f"allow: use Scaling.fit(X, outputs={n_L})"
                )
            return y.astype(self._dtype, copy=False)
        return as_matrix(scaling.standardise_y(y), f"{name} (scaled)", self._dtype)

    def _prepare(
        self, X: Any, Y: Any, loss: Loss = _SQUARES, names: tuple[str, str] = ("X", "Y")
    ) -> tuple[Array, Array]:
        x = self._inputs(X, names[0])
        return x, self._targets(Y, names[1], x.shape[0], loss)

    def _weights(
        self, weight: Any, rows: int, loss: Loss, name: str = "sample_weight"
    ) -> Array | None:
        """Sample weights (m,) checked, of the network's dtype; None stays None."""
        if weight is None:
            return None
        if isinstance(loss, CustomLoss):
            raise TypeError(f"{name} cannot be combined with a loss of one's own, {loss}")
        w = as_matrix(
            as_ndarray(weight, name).reshape(-1, 1), name, self._dtype, 1, rows, unit="columns"
        )[:, 0]
        if (w < 0).any():
            i = int(np.argmax(w < 0))
            raise ValueError(f"{name} must be at least 0, got {w[i]} at row {i}")
        if not (w > 0).any():
            raise ValueError(f"{name} must not be 0 everywhere")
        return w

    def _objective(self, loss: Loss) -> Any:
        """The loss as the core knows it."""
        kind = _core.Objective32 if self._dtype == np.float32 else _core.Objective64
        return kind(loss.name, loss.parameters, loss.reduction, self._n[-1])

    def _custom(self, loss: CustomLoss, x: Array, y: Array) -> tuple[float, Array]:
        """The cost and dC/da^L of a loss in Python."""
        a = np.empty((len(x), self._n[-1]), self._dtype)
        self._engine.predict(x, a)
        return loss(a, y)

    def _overflow(self, x: Array, a: Array) -> DivergedError:
        """What to raise for an output that is not finite: names the sample and the layer."""
        row, column = first_not_finite(a)
        # A trace of that row alone finds the layer.
        sample = x[row : row + 1]
        target = np.zeros((1, self._n[-1]), self._dtype)
        trace = self._engine.trace(sample, target, np.empty_like(self._theta))
        layer = next((l for l, z in enumerate(trace[1], 1) if not np.isfinite(z).all()), None)
        place = "the map back to the user's units" if layer is None else f"layer {layer}"
        return DivergedError(
            f"the network's output is {a[row, column]} at ({row}, {column}) (row, column): "
            f"{place} overflows {self.dtype}; X or the parameters are too large"
        )


def _not_finite(what: str, value: float) -> DivergedError:
    return DivergedError(
        f"the {what} is not finite ({value}): X, Y or the parameters are too large; "
        "net.trace(X, Y) shows where"
    )


def _checked_layers(layers: Any) -> tuple[Dense, ...]:
    if isinstance(layers, Dense) or not isinstance(layers, Sequence) or isinstance(layers, str):
        raise TypeError(
            f"layers must be a list of Dense, such as [Dense(64, 'relu'), Dense(1)]; "
            f"got {shown(layers)} ({type(layers).__name__})"
        )
    for k, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            raise TypeError(
                f"layers[{k}] must be a Dense, got {shown(layer)} ({type(layer).__name__})"
            )
    if not layers:
        raise ValueError("layers must hold at least one Dense, got an empty list")
    if layers[-1].dropout:
        raise ValueError(
            f"layers[{len(layers) - 1}]: the last layer's outputs are the predictions, which no "
            f"dropout may set to 0; got dropout={layers[-1].dropout:g}"
        )
    return tuple(layers)


def _checked_dtype(dtype: Any) -> str:
    if not isinstance(dtype, str):
        if not isinstance(dtype, (type, np.dtype)):
            raise TypeError(
                f"dtype must be one of {', '.join(DTYPES)}; "
                f"got {shown(dtype)} ({type(dtype).__name__})"
            )
        try:
            dtype = np.dtype(dtype).name
        except TypeError:
            dtype = dtype.__name__
    return one_of(dtype, "dtype", DTYPES)
