"""From a fitted MLP of scikit-learn to one of ours."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from sklearn import neural_network
from sklearn.utils.validation import check_is_fitted

from ..history import History
from ..layers import Dense
from ..network import Network
from . import settings
from .classifier import MLPClassifier
from .labels import Labels
from .regressor import MLPRegressor
from .watch import Standing


def from_sklearn(mlp: Any) -> MLPRegressor | MLPClassifier:
    """A fitted estimator with the parameters, weights and labels of a fitted one of scikit-learn.

    It predicts the same, and `partial_fit` or a warm start trains it further; the state of the
    solver starts anew.

    Parameters
    ----------
    mlp : sklearn.neural_network.MLPRegressor or MLPClassifier
        Fitted; it is not changed, and shares no memory with the result.

    Returns
    -------
    MLPRegressor or MLPClassifier
        Its dtype is that of the weights.

    Raises
    ------
    TypeError
        Something else.
    sklearn.exceptions.NotFittedError
        It is not fitted.
    """
    kinds = {
        neural_network.MLPRegressor: MLPRegressor,
        neural_network.MLPClassifier: MLPClassifier,
    }
    kind = next((ours for theirs, ours in kinds.items() if isinstance(mlp, theirs)), None)
    if kind is None:
        raise TypeError(
            "mlp must be a fitted MLPRegressor or MLPClassifier of scikit-learn, "
            f"got {type(mlp).__name__}"
        )
    check_is_fitted(mlp)
    dtype = mlp.coefs_[0].dtype.name
    estimator = kind(**mlp.get_params(deep=False), dtype=dtype)
    if isinstance(estimator, MLPClassifier):
        several = mlp.out_activation_ == "logistic" and mlp.n_outputs_ > 1
        estimator._labels = Labels(mlp.classes_.copy(), several)
    widths = [len(mlp.coefs_[0]), *(len(b) for b in mlp.intercepts_)]
    hidden = settings.hidden_layers(estimator)
    if [layer.units for layer in hidden] != widths[1:-1]:
        raise ValueError(
            f"mlp has hidden_layer_sizes={mlp.hidden_layer_sizes}, but coefs_ of "
            f"{[list(pair) for pair in pairwise(widths)]}: it was changed after it was fitted"
        )
    estimator.network_ = Network._zeros([*hidden, Dense(widths[-1])], widths[0], dtype)
    estimator.coefs_, estimator.intercepts_ = mlp.coefs_, mlp.intercepts_
    _take_attributes(estimator, mlp)
    return estimator


def _take_attributes(estimator: Any, mlp: Any) -> None:
    for name in (
        *("n_features_in_", "feature_names_in_", "n_layers_", "n_outputs_", "out_activation_"),
        *("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_"),
    ):
        if hasattr(mlp, name):
            setattr(estimator, name, getattr(mlp, name))
    scores = getattr(mlp, "validation_scores_", None)
    standing = Standing(
        loss_curve=list(getattr(mlp, "loss_curve_", [])),
        scores=list(scores or []),
        waited=getattr(mlp, "_no_improvement_count", 0),
        rows_seen=int(mlp.t_),
    )
    standing.best_loss = min(standing.loss_curve, default=standing.best_loss)
    standing.best_score = max(standing.scores, default=standing.best_score)
    estimator.loss_curve_ = standing.loss_curve
    estimator.validation_scores_ = None if scores is None else standing.scores
    estimator.stop_reason_ = f"Trained by scikit-learn for {mlp.n_iter_} epochs."
    estimator.history_ = History(
        cost=list(standing.loss_curve), stopped="epochs", reason=estimator.stop_reason_
    )
    estimator._standing = standing
