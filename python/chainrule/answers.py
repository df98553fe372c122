"""What a model answers for rows: numbers, quantiles, classes, probabilities, under their names.

Called by `chainrule train`, `predict` and `evaluate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import scores
from .commandline import Matrix
from .description import Description, one_hot_index
from .network import Network
from .scores import Scores

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Answers:
    """Predictions for m rows.

    Attributes
    ----------
    known : Description
    values : ndarray, shape (m, number of answer names), or (m,) for classes
        Numbers in the user's units, or numbers of classes.
    spread : ndarray, shape (m, targets), or None
        The standard deviation, where the model has one.
    probabilities : ndarray, shape (m, K), or None
        Of each class, where the model has them.
    """

    known: Description
    values: Array
    spread: Array | None = None
    probabilities: Array | None = None

    def columns(self, proba: bool = False) -> dict[str, Array]:
        """The answers under their names; classes as labels, with `proba` a column for each."""
        target = self.known.target
        if not self.known.classes:
            found = {name: self.values[:, k] for k, name in enumerate(self.known.answer_names)}
            if self.spread is not None:
                for k, name in enumerate(target.columns):
                    found[f"{name}_std"] = self.spread[:, k]
            return found
        found = {target.columns[0]: target.labels(self.values)}
        if proba and self.probabilities is not None:
            for k, label in enumerate(self.known.classes):
                found[f"{target.columns[0]}_{label}"] = self.probabilities[:, k]
        return found

    def judged(self, Y: Matrix, sample_weight: Array | None = None) -> Scores:
        """How good they are, for targets as `Description.targets` gives them."""
        known = self.known
        if known.classes:
            y = one_hot_index(Y)
            return scores.of_classes(
                y, self.values, self.probabilities, known.classes, sample_weight
            )
        values = self.values.astype(np.float64)
        if known.quantiles:
            q = [q for _ in known.target.columns for q in known.quantiles]
            Y = Y[:, :: len(known.quantiles)]
            return scores.of_quantiles(Y, values, known.answer_names, q, sample_weight)
        return scores.of_numbers(Y, values, known.target.columns, sample_weight, self.spread)


def answers(net: Network, known: Description, X: Matrix) -> Answers:
    """Ask the network for rows X of the encoder; errors as for `Network.predict`."""
    a = net.predict(X)
    said = known.loss.predictions(a)
    if not known.classes:
        gaussian = known.loss.name == "gaussian_nll"
        return Answers(known, said, _deviation(net, known, a) if gaussian else None)
    if known.outputs == 1:
        return Answers(known, (a[:, 0] > 0).astype(np.int64), None, np.hstack([1 - said, said]))
    P = said if known.loss.name == "cross_entropy" else None
    return Answers(known, a.argmax(axis=1), None, P)


def _deviation(net: Network, known: Description, a: Array) -> Array:
    """The standard deviation, in the user's units, of outputs (means, log variances)."""
    k, scaling = len(known.target.columns), net.scaling
    raw = a.astype(np.float64) if scaling is None else scaling.standardise_y(a)
    units = np.ones(k) if scaling is None else scaling.y_scale[:k]
    (eps,) = known.loss.parameters
    return np.asarray(np.sqrt(np.exp(raw[:, k:]) + eps) * units, a.dtype)
