"""Standardised units: each column shifted to mean 0 and scaled to spread 1, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_matrix, as_ndarray
from .errors import whole_number

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaling:
    """The map between the user's units and the standardised units inside a network.

    Inside a network x = (X - x_mean) / x_scale and y = (Y - y_mean) / y_scale; `Network.predict`
    maps the answer back. The arrays are read-only copies.

    Parameters
    ----------
    x_mean, x_scale : array_like, shape (n_0,)
        In the units of the columns of X; scales are above 0.
    y_mean, y_scale : array_like, shape (n_L,)
        In the units of the columns of Y; one for each output. Where the network has more outputs
        than Y has columns, the first ones belong to Y, see `with_log_variances`.

    Raises
    ------
    TypeError, ValueError
        An array is not numeric, not 1-D, not finite, of another length than its partner, or a
        scale is not above 0.
    """

    x_mean: Vector
    x_scale: Vector
    y_mean: Vector
    y_scale: Vector

    def __post_init__(self) -> None:
        for side in ("x", "y"):
            mean = _vector(getattr(self, f"{side}_mean"), f"{side}_mean")
            scale = _vector(getattr(self, f"{side}_scale"), f"{side}_scale")
            if mean.shape != scale.shape:
                raise ValueError(
                    f"{side}_mean has shape {mean.shape} and {side}_scale has shape "
                    f"{scale.shape}; they must be equal"
                )
            if not (scale > 0).all():
                k = int(np.argmin(scale > 0))
                raise ValueError(f"{side}_scale must be above 0, got {scale[k]} at index {k}")
            object.__setattr__(self, f"{side}_mean", mean)
            object.__setattr__(self, f"{side}_scale", scale)

    @classmethod
    def fit(cls, X: Any, Y: Any = None, *, outputs: int = 1, sample_weight: Any = None) -> Scaling:
        """Mean and standard deviation of each column; the scale of a constant column is 1.

        Parameters
        ----------
        X : array_like, shape (m, n_0)
        Y : array_like, shape (m, n_L), or (m,) for one output
            Without it the targets stay as they are: for classes and counts.
        outputs : int
            n_L, when there is no Y.
        sample_weight : array_like, shape (m,), optional
            A row of weight 2 counts as two rows, and one of weight 0 not at all.

        Raises
        ------
        TypeError, ValueError
            As for `Network.fit`.

        Examples
        --------
        >>> scaling = Scaling.fit([[1.0], [3.0]], outputs=2)
        >>> scaling.x_mean, scaling.y_mean, scaling.y_scale
        (array([2.]), array([0., 0.]), array([1., 1.]))
        """
        X = as_matrix(X, "X", np.float64)
        weights = None if sample_weight is None else _weights(sample_weight, X.shape[0])
        if Y is None:
            outputs = whole_number(outputs, "outputs")
            return cls(*_mean_and_scale(X, weights), np.zeros(outputs), np.ones(outputs))
        Y = as_matrix(Y, "Y", np.float64, rows=X.shape[0], column=True)
        return cls(*_mean_and_scale(X, weights), *_mean_and_scale(Y, weights))

    def with_log_variances(self) -> Scaling:
        """The scaling for a network that also tells the log-variance of each column of Y.

        Such a network has 2k outputs for k columns of Y, first the means, then log(v), as
        `gaussian_nll` wants them. A variance in the user's units is y_scale^2 times the
        standardised one, so its logarithm is moved by 2 log(y_scale).
        """
        return Scaling(
            self.x_mean,
            self.x_scale,
            np.concatenate([self.y_mean, 2 * np.log(self.y_scale)]),
            np.concatenate([self.y_scale, np.ones_like(self.y_scale)]),
        )

    def with_log_means(self, Y: Any, sample_weight: Any = None) -> Scaling:
        """The scaling for a network whose outputs are logarithms of rates, as `poisson` wants.

        y_mean becomes the logarithm of the mean of each column of Y, and y_scale 1. So an output of
        0 inside stands for the mean rate, and targets are divided by it (`standardise_rates`):
        counts near 1e5 are learnt like counts near 1. Where the mean is below 1, y_mean is 0: rare
        counts in units of their mean would be zeros and a few large numbers, and steps too long
        (fit(..., scale="auto") moves the bias of the output instead).

        Parameters
        ----------
        Y : array_like, shape (m, n_L), or (m,) for one output
            At least 0.
        sample_weight : array_like, shape (m,), optional
            As for `fit`.

        Raises
        ------
        TypeError, ValueError
            As for `fit`; or the mean of a column is negative.
        """
        Y = as_matrix(Y, "Y", np.float64, column=True)
        weights = None if sample_weight is None else _weights(sample_weight, Y.shape[0])
        mean = _mean_and_scale(Y, weights)[0]
        if (mean < 0).any():
            raise ValueError(f"Y must be at least 0 on average, got {mean.min():.6g} in a column")
        logs = np.log(np.maximum(mean, 1.0))
        return Scaling(self.x_mean, self.x_scale, logs, np.ones_like(logs))

    @property
    def scales_targets(self) -> bool:
        """Whether targets have other units inside."""
        return bool((self.y_mean != 0).any() or (self.y_scale != 1).any())

    @property
    def scaled(self) -> str:
        """What has other units inside, in words."""
        return "inputs and targets" if self.scales_targets else "inputs"

    def standardise_x(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """X (m, n_0) in the user's units -> standardised, float64; may overflow to inf."""
        return _standardised(X, self.x_mean, self.x_scale)

    def standardise_y(self, Y: NDArray[Any]) -> NDArray[np.float64]:
        """Y (m, k), k <= n_L, in the user's units -> standardised, float64; may overflow to inf."""
        k = Y.shape[1]
        return _standardised(Y, self.y_mean[:k], self.y_scale[:k])

    def standardise_rates(self, Y: NDArray[Any]) -> NDArray[np.float64]:
        """Rates or counts Y (m, n_L) -> in units of exp(y_mean), float64; may overflow to inf.

        For outputs that are logarithms of Y: their y_mean is a factor of Y.
        """
        with np.errstate(over="ignore", under="ignore"):
            rates: NDArray[np.float64] = Y / np.exp(self.y_mean)
        return rates

    def restore_y(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """Standardised y (m, n_L) -> the user's units, float64; may overflow to inf."""
        with np.errstate(over="ignore", invalid="ignore"):
            restored: NDArray[np.float64] = y * self.y_scale + self.y_mean
        return restored

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scaling):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("x_mean", "x_scale", "y_mean", "y_scale")
        )

    __hash__ = None  # type: ignore[assignment]


def _vector(value: Any, name: str) -> Vector:
    """A read-only float64 copy of a 1-D argument."""
    raw = as_ndarray(value, name)
    if raw.ndim != 1:
        raise ValueError(f"{name}: expected 1-D, got shape {raw.shape}")
    vector: Vector = np.array(as_matrix(raw.reshape(1, -1), name, np.float64)[0])
    vector.flags.writeable = False
    return vector


def _weights(value: Any, rows: int) -> Vector:
    """The weights of the rows, as parts of their sum."""
    weights = _vector(value, "sample_weight")
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight must have shape ({rows},), got shape {weights.shape}")
    if not (weights >= 0).all() or not weights.any():
        raise ValueError("sample_weight must be at least 0, and above 0 somewhere")
    scaled = weights / weights.max()  # so that the sum stays finite
    return np.asarray(scaled / scaled.sum())


def _mean_and_scale(
    columns: NDArray[np.float64], weights: Vector | None = None
) -> tuple[Vector, Vector]:
    if weights is not None:
        columns, weights = columns[weights > 0], weights[weights > 0]
    # Scaled by a power of two first: exact, and sums and squares of 1e300 stay finite.
    exponent = np.frexp(np.abs(columns).max(axis=0))[1]
    scaled = np.ldexp(columns, -exponent)
    if weights is None:
        mean, spread = scaled.mean(axis=0), scaled.std(axis=0)
    else:
        mean = weights @ scaled
        spread = np.sqrt(weights @ (scaled - mean) ** 2)
    mean, scale = np.ldexp(mean, exponent), np.ldexp(spread, exponent)
    # A rounded mean gives a constant column a spread of a few units in the last place, not 0.
    constant = columns.min(axis=0) == columns.max(axis=0)
    mean[constant] = columns[0, constant]
    scale[constant | (scale == 0)] = 1.0
    return mean, scale


def _standardised(values: NDArray[Any], mean: Vector, scale: Vector) -> NDArray[np.float64]:
    with np.errstate(over="ignore", invalid="ignore"):
        standardised: NDArray[np.float64] = (values - mean) / scale
    return standardised
