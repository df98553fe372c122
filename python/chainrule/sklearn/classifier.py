"""`MLPClassifier`: a drop-in for scikit-learn's, on the compiled core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels

from ..losses import BinaryCrossEntropy, CrossEntropy
from .base import MLP
from .labels import Labels

Array = NDArray[Any]


@dataclass(kw_only=True, eq=False, repr=False)
class MLPClassifier(ClassifierMixin, MLP):
    """A dense network for classes, with the parameters of scikit-learn's `MLPClassifier`.

    Two classes have one output and the binary cross-entropy, more have one output each and the
    cross-entropy of softmax; with several labels at once (y a matrix of 0 and 1) each has an output
    and a binary cross-entropy of its own.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        More than scikit-learn has: weights of the classes, by label, multiplied with
        sample_weight. "balanced" gives all classes the same sum.
    hidden_layer_sizes, activation, solver, ... :
        All others of `MLPRegressor` but `loss`, with the same defaults.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted: strings, numbers or whatever y holds.
    coefs_, intercepts_, loss_curve_, network_, ... :
        All others of `MLPRegressor`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(random_state=0).fit(X / 16, y)
    >>> model.predict_proba(X[:1] / 16).shape
    (1, 10)
    """

    class_weight: Any = None

    classes_ = property(lambda self: self._labels.classes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None
    ) -> MLPClassifier:
        """Train the network; `y` holds labels (m,), or (m, labels) of 0 and 1.

        All else as for `MLPRegressor.fit`.
        """
        self._fit(X, y, sample_weight, validation_data)
        return self

    @available_if(lambda self: self._can_partial_fit())
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """One epoch over these rows; `classes` in the first call: all labels that will come.

        All else as for `MLPRegressor.partial_fit`.
        """
        first = not hasattr(self, "network_")
        if first:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            several = np.ndim(y) == 2 and np.shape(y)[1] > 1
            self._labels = Labels.of(y) if several else Labels(unique_labels(classes))
        elif classes is not None and not (
            np.array_equal(self.classes_, classes)
            or np.array_equal(self.classes_, unique_labels(classes))
        ):
            raise ValueError(
                f"classes must be those of the first call, {self.classes_}; got {classes}"
            )
        try:
            self._fit(X, y, sample_weight, step=True)
        except BaseException:
            if first:
                del self._labels
            raise
        return self

    def predict(self, X: Any) -> Array:
        """The label of each row, (m,); with several labels at once (m, labels) of 0 and 1."""
        a = self._outputs(X)
        return self._labels.decoded(a)

    def predict_proba(self, X: Any) -> Array:
        """The probability of each label of `classes_`, shape (m, labels); never exactly 0 or 1."""
        a = self._outputs(X)
        # With one output these are the logits of "no" and "yes".
        return self._probabilities(np.hstack([-a, a]) if a.shape[1] == 1 else a)

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`, always finite."""
        return np.asarray(np.log(self.predict_proba(X)))

    def _probabilities(self, a: Array) -> Array:
        p: Array = self._objective().predictions(a)
        numbers = np.finfo(p.dtype)
        return np.clip(p, numbers.tiny, 1 - numbers.epsneg)

    @property
    def _many(self) -> bool:
        return self._labels.many

    def _objective(self) -> Any:
        return CrossEntropy() if self._many else BinaryCrossEntropy("mean_rows")

    def _targets(self, y: Any, *, learn: bool) -> Array:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if learn:
            self._labels = Labels.of(y)
        return self._labels.encoded(y, self.dtype)

    def _quick_targets(self, y: Any, rows: int) -> Array | None:
        if type(y) is not np.ndarray or y.shape != (rows,) or self.class_weight is not None:
            return None
        return self._labels.encoded_plain(y, self.network_.dtype)

    def _sample_weights(self, y: Any, weight: Array | None, step: bool) -> Array | None:
        if self.class_weight is None:
            return weight
        if step and isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} needs all rows, partial_fit sees some: give a "
                "dict, such as sklearn.utils.class_weight.compute_class_weight makes"
            )
        of_class = compute_sample_weight(self.class_weight, y)
        product: Array = of_class if weight is None else weight * of_class
        return product

    def _score_of(self, a: Array, targets: Array, weight: Array | None) -> float:
        if self._many:
            right = a.argmax(axis=1) == targets.argmax(axis=1)
        else:
            right = ((a > 0) == (targets > 0)).all(axis=1)
        return float(np.average(right, weights=weight))
