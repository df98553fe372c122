"""`MLPRegressor`: a drop-in for scikit-learn's, on the compiled core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from ..arrays import all_finite
from ..losses import MSE, GaussianNLL, Poisson, checked_loss
from .base import MLP

Array = NDArray[Any]

_SKLEARN_LOSSES = {"squared_error": MSE("half_mean"), "poisson": Poisson("mean_rows")}


@dataclass(kw_only=True, eq=False, repr=False)
class MLPRegressor(MultiOutputMixin, RegressorMixin, MLP):
    """A dense network for regression, with the parameters of scikit-learn's `MLPRegressor`.

    Same names, meanings and defaults; those marked (*) are more than scikit-learn has.

    Parameters
    ----------
    loss : str, loss or callable
        "squared_error", half the mean of the squares; "poisson", whose outputs are logarithms of
        rates. (*) Any other of chainrule's losses for numbers: "mse", "mae", "huber", "log_cosh",
        "quantile", "gaussian_nll", or spelt out as `Huber(delta=2.0)`; or a function
        loss(a, Y) -> (cost, dC/da). `Quantile((0.1, 0.5, 0.9))` and one column of y give one column
        of predictions for each number.
    hidden_layer_sizes : sequence of int, or int
        Units of the hidden layers; () for none.
    activation : str, or (*) a sequence with one for each hidden layer
        "relu", "tanh", "logistic", "identity", or (*) any other of `Dense`.
    solver : str, or (*) an optimiser
        "adam", "sgd" (with momentum), "lbfgs" (all rows at once, a line search), or (*) "adamw",
        "rmsprop", "rprop" (all rows at once), or such as `chainrule.Adam(0.01, clip_norm=1.0)`,
        which then has the learning rate and all else of the rule.
    alpha : float
        Penalty alpha / (2 m) sum of W^2 on a batch of m rows (of weight m); not on biases.
    batch_size : int or "auto"
        Rows of an update; more than there are means all. "auto" is min(200, rows), and all
        of them for solvers that want that.
    learning_rate : {"constant", "invscaling", "adaptive"}, or (*) a schedule
        Of solver "sgd": as it is; learning_rate_init / t^power_t after t rows; or divided by 5 each
        time the loss (the score, with early stopping) has not got better. (*) A schedule
        such as `chainrule.Cosine(0.01, epochs=200)` is for any solver.
    learning_rate_init : float
        The learning rate, or its start.
    power_t : float
        See `learning_rate`.
    max_iter : int
        Epochs at most; steps of "lbfgs".
    shuffle : bool
        A new order of the rows in each epoch.
    random_state : int, RandomState or None
        An int is the seed of `chainrule.Network` and of its `fit`: the same int gives the same
        bits everywhere, for any number of threads.
    tol, n_iter_no_change : float, int
        Training ends when the loss (the score, with early stopping) has not got better by tol for
        more than n_iter_no_change epochs; with "lbfgs", when no slope is above tol.
    verbose : bool
        Print a line after each epoch.
    warm_start : bool
        A further `fit` goes on with the weights, and the state of the solver, that there are.
    momentum, nesterovs_momentum : float, bool
        Of "sgd"; momentum in [0, 1).
    early_stopping, validation_fraction : bool, float
        Hold that part of the rows out, end when the score on them (see `score`; for classes the
        accuracy) no longer rises, and go back to the weights of the best epoch.
    beta_1, beta_2, epsilon : float
        Of "adam" and "adamw"; epsilon also of "rmsprop".
    max_fun : int
        Evaluations of the loss that "lbfgs" may spend.
    dtype : {"float64", "float32"}
        (*) Of the weights and all arithmetic.
    scale : None or "auto"
        (*) "auto" standardises the columns of X (and of y, where the loss allows that) inside the
        network; predictions are in your units, coefs_ and losses in the standardised ones.
    l1 : float
        (*) Penalty l1 / m sum of |W| on a batch of m rows.
    dropout : float, or a sequence with one for each hidden layer
        (*) Part of the units left out in each step of training, in [0, 1).
    metrics : sequence of str or callables
        (*) Kept for each epoch in `history_.metrics`.
    callbacks : sequence of callables
        (*) Each is called as callback(network, history) after each epoch; True ends training.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (n_{l-1}, n_l) and biases (n_l,) of each layer: views of `network_`, which is
        changed where they are written to or assigned.
    loss_, best_loss_ : float
        Of the last epoch; the lowest (None with early stopping).
    loss_curve_ : list of float
        One per epoch since the weights were new, penalties included.
    validation_scores_, best_validation_score_ : list of float, float
        With early stopping, else None.
    n_iter_, t_ : int
        Epochs of the last `fit`; rows trained on since the weights were new.
    n_layers_, n_outputs_, out_activation_ : int, int, str
        Layers counted with the inputs; outputs; what makes them predictions.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Columns of X, and their names where X had all of them.
    network_ : Network
        (*) The network itself: trace, explain, save, check it.
    history_ : History
        (*) Of the last `fit`: also the validation costs and metrics; `.plot()`.
    stop_reason_ : str
        (*) Why training ended, and what to try next.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor(scale="auto", early_stopping=True, random_state=0).fit(X, y)
    >>> model.predict(X[:1]).shape
    (1,)
    """

    loss: Any = "squared_error"

    _numeric_targets = True

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None
    ) -> MLPRegressor:
        """Train the network.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, shape (m, n)
            A sparse one is made dense.
        y : array_like, shape (m,) or (m, outputs)
        sample_weight : array_like, shape (m,), optional
            At least 0; a weight of 2 is the row twice.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Its loss is in `history_.val_cost`, epoch by epoch; early stopping looks at it instead
            of holding rows out.

        Returns
        -------
        MLPRegressor
            Itself.

        Raises
        ------
        TypeError, ValueError
            A parameter or an argument is not as above.
        DivergedError
            The loss became infinite: a smaller learning rate or scale="auto" helps.

        Warns
        -----
        ConvergenceWarning
            max_iter epochs were not enough by the measure of tol.
        """
        self._fit(X, y, sample_weight, validation_data)
        return self

    @available_if(lambda self: self._can_partial_fit())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """One epoch over these rows, going on with the weights and the state of the solver.

        Arguments and errors as for `fit`; not for solver "lbfgs", nor with early stopping.
        """
        self._fit(X, y, sample_weight, step=True)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Array | tuple[Array, Array]:
        """The predicted y.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, shape (m, n)
        return_std : bool
            With loss "gaussian_nll": also the standard deviation of y about its prediction.

        Returns
        -------
        ndarray, shape (m,) or (m, outputs)
            The mean response: rates for "poisson", the means for "gaussian_nll". With `return_std`
            a pair of them.

        Raises
        ------
        ValueError
            X is not as above, or `return_std` is asked of another loss.
        """
        a, loss = self._outputs(X), self._objective()
        y = _column(loss.predictions(a))
        if not return_std:
            return y
        if not isinstance(loss, GaussianNLL):
            raise ValueError(f"return_std needs loss='gaussian_nll', got loss={self.loss!r}")
        scaling, k = self.network_.scaling, a.shape[1] // 2
        unit = 1.0 if scaling is None else scaling.y_scale[:k]
        return y, _column(np.sqrt(np.exp(a[:, k:]) + loss.eps * unit**2))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """How good the predictions of X are: 1 is perfect, 0 as good as one constant.

        R^2, the mean over the columns of y. With a loss of several quantiles R^2 would mean little
        away from the middle: then it is D^2, the part of the pinball loss of the best constant that
        the predictions save, the mean over the quantiles.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, shape (m, n)
        y : array_like, shape (m,) or (m, outputs)
        sample_weight : array_like, shape (m,), optional

        Returns
        -------
        float
            At most 1; below 0 where a constant is better.
        """
        quantiles = self._quantiles()
        if not quantiles:
            return float(super().score(X, y, sample_weight))
        predictions = self._objective().predictions(self._outputs(X))
        return _d2(y, predictions, quantiles, sample_weight)

    def _quantiles(self) -> tuple[float, ...]:
        """Those of a loss that has one for each output."""
        quantiles = getattr(self._objective(), "q", None)
        return quantiles if isinstance(quantiles, tuple) else ()

    def _objective(self) -> Any:
        if isinstance(self.loss, str) and self.loss in _SKLEARN_LOSSES:
            return _SKLEARN_LOSSES[self.loss]
        return checked_loss(self.loss)

    def _targets(self, y: Any, *, learn: bool) -> Array:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets: Array = y.reshape(-1, 1) if y.ndim == 1 else y
        quantiles = self._quantiles()
        if quantiles and targets.shape[1] == 1:
            targets = np.repeat(targets, len(quantiles), axis=1)
        return targets

    def _quick_targets(self, y: Any, rows: int) -> Array | None:
        net = self.network_
        if (
            type(y) is np.ndarray
            and y.shape == (rows,)
            and y.dtype == net.dtype
            and net.n[-1] == 1
            and all_finite(y)
        ):
            return y.reshape(-1, 1)
        return None

    def _score_of(self, a: Array, targets: Array, weight: Array | None) -> float:
        predictions, quantiles = self._objective().predictions(a), self._quantiles()
        if quantiles:
            return _d2(targets, predictions, quantiles, weight)
        return float(r2_score(targets, predictions, sample_weight=weight))


def _d2(y: Any, predictions: Array, quantiles: tuple[float, ...], weight: Any) -> float:
    """D^2 of the pinball loss, the mean over quantiles of one column or of a column each."""
    columns = np.asarray(y).reshape(len(predictions), -1).T
    if len(columns) == 1:
        columns = np.repeat(columns, len(quantiles), axis=0)
    scores = [
        d2_pinball_score(column, p, sample_weight=weight, alpha=q)
        for column, p, q in zip(columns, predictions.T, quantiles, strict=True)
    ]
    return float(np.mean(scores))


def _column(y: Array) -> Array:
    """y (m, k), or (m,) where there is one column."""
    return y[:, 0] if y.shape[1] == 1 else y
