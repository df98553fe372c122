"""The attributes of a fitted estimator: set, read, written to, and used to predict."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from ..arrays import all_finite
from ..history import History
from ..network import Network
from . import settings
from .watch import Standing, Watch

Array = NDArray[Any]

_UNDONE = ("epochs", "line_search")  # ends that are not a convergence
UNEVEN = 30.0  # times: columns whose sizes differ by more make a descent slow


class Fitted:
    """The attributes of a fitted estimator; see `MLPRegressor`."""

    network_: Network
    history_: History
    stop_reason_: str
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    n_iter_: int
    t_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    n_features_in_: int
    max_iter: int
    tol: float

    _standing: Standing
    _seed: int
    _trainer: Any  # a Trainer, or after a pickle what it knew
    _made_for: tuple[Any, ...]  # what the trainer was made of

    @property
    def coefs_(self) -> list[Array]:
        """Weights, one (n_{l-1}, n_l) array for each layer: writable views of `network_`.

        Assigning copies arrays of the same shapes into the network.
        """
        return [self.network_.W[l].T for l in range(1, self.network_.L + 1)]

    @coefs_.setter
    def coefs_(self, value: Any) -> None:
        _assign(self.coefs_, value, "coefs_")

    @property
    def intercepts_(self) -> list[Array]:
        """Biases, one (n_l,) array for each layer: writable views of `network_`."""
        return [self.network_.b[l] for l in range(1, self.network_.L + 1)]

    @intercepts_.setter
    def intercepts_(self, value: Any) -> None:
        _assign(self.intercepts_, value, "intercepts_")

    def _say(self, history: History, watch: Watch, loss: Any, net: Network) -> None:
        """Set the attributes of a fitted estimator."""
        standing = watch.standing
        self.network_, self.history_ = net, history
        self.n_layers_, self.n_outputs_ = net.L + 1, net.n[-1]
        self.out_activation_ = settings.out_activation(loss)
        self.n_iter_, self.t_ = len(history.cost), standing.rows_seen
        self.loss_curve_ = standing.loss_curve
        self.loss_ = standing.loss_curve[-1] if standing.loss_curve else float("nan")
        scored = watch.score is not None
        self.best_loss_ = None if scored else standing.best_loss
        self.validation_scores_ = standing.scores if scored else None
        self.best_validation_score_ = standing.best_score if scored else None
        self.stop_reason_ = watch.reason or history.reason

    def _warn(self, interrupted: bool, watch: Watch, step: bool, X: Array) -> None:
        if interrupted:
            self.stop_reason_ = f"Interrupted after epoch {self.n_iter_}, which was the last one."
            warnings.warn(f"Training interrupted by user. {self.stop_reason_}", stacklevel=4)
        elif not step and (watch.spent or self.history_.stopped in _UNDONE):
            warnings.warn(
                f"{type(self).__name__} has not converged by the measure of tol={self.tol:g}, "
                f"with max_iter={self.max_iter}. {self.stop_reason_}{self._advice(X)}",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _advice(self, X: Array) -> str:
        """What to do about columns of different size, the usual reason for a slow descent."""
        if self.network_.scaling is not None:
            return ""
        size = np.sqrt(np.einsum("ij,ij->j", X, X, dtype=np.float64) / len(X))
        size = size[size > 0]
        if size.size and (size.max() > UNEVEN * size.min() or size.max() > UNEVEN):
            return (
                f" The columns of X have sizes from {size.min():.3g} to {size.max():.3g}: "
                "standardise them, with scale='auto' or a StandardScaler before this step."
            )
        return ""

    def _takes(self, X: Any) -> bool:
        """Whether the network can have X as it is; else scikit-learn looks, and finds words."""
        net = self.network_
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.shape[1] == net.n[0]
            and X.shape[0] > 0
            and X.dtype == (net.dtype if net.scaling is None else np.float64)
            and X.flags.c_contiguous
            and all_finite(X)
            and not hasattr(self, "feature_names_in_")
        )

    def _outputs(self, X: Any) -> Array:
        """a^L (m, n_L) in the user's units, before the function that makes it a prediction."""
        check_is_fitted(self)
        net = self.network_
        if self._takes(X):
            return net.predict(X)
        dtype = np.dtype(net.dtype if net.scaling is None else np.float64)
        X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=False)
        return net.predict(dense(X))


def dense(X: Any) -> Array:
    array: Array = X.toarray() if hasattr(X, "toarray") else X
    return array


def _assign(views: list[Array], value: Any, name: str) -> None:
    arrays = [np.asarray(array) for array in value]
    if [a.shape for a in arrays] != [v.shape for v in views]:
        raise ValueError(
            f"{name} must hold arrays of shapes {[v.shape for v in views]}, "
            f"got {[a.shape for a in arrays]}"
        )
    for k, array in enumerate(arrays):
        if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise ValueError(f"{name}[{k}] must hold finite numbers")
    for view, array in zip(views, arrays, strict=True):
        view[...] = array
