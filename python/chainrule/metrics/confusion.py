"""Which classes are taken for which, and how far probabilities can be believed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import shown, whole_number
from .reading import Array, binary, in_unit, plain, same_kind, same_rows, weights


def confusion_matrix(
    y: Any, prediction: Any, classes: Any = None, sample_weight: Any = None
) -> Array:
    """How often class j was predicted for rows of class i.

    Parameters
    ----------
    y : array_like, shape (m,), (m, 1) or one-hot (m, K)
        The class of each row: a label or, when `classes` are names and y numbers, its index.
    prediction : array_like, shape (m,), or probabilities of shape (m, K)
        Likewise, or probabilities, whose largest counts.
    classes : sequence of K labels, optional
        Their order is that of rows and columns. Default: all labels there are, sorted; with
        probabilities 0, 1, ..., K - 1.
    sample_weight : array_like, shape (m,), optional
        Added up instead of counts.

    Returns
    -------
    ndarray, shape (K, K)
        Row i for what is, column j for what was predicted; whole numbers without weights.

    Raises
    ------
    TypeError, ValueError
        An argument is not as above, or a label is none of the classes.
    """
    actual, said, names = class_indices(y, prediction, classes)
    K = len(names)
    w = None if sample_weight is None else weights(sample_weight, len(actual))
    return np.bincount(actual * K + said, w, K * K).reshape(K, K)


def class_indices(y: Any, prediction: Any, classes: Any = None) -> tuple[Array, Array, list[Any]]:
    """Indices of actual and predicted classes, and the classes; see `confusion_matrix`."""
    if isinstance(classes, str):
        raise TypeError(f"classes must be a sequence of labels, got the str {shown(classes)}")
    names = None if classes is None else list(classes)
    if names is not None and len(set(names)) != len(names):
        raise ValueError(f"classes must differ from each other, got {shown(names)}")
    sides = []
    for value, name in ((y, "y"), (prediction, "prediction")):
        side, K = _chosen(plain(value, name), name)
        if K and names is None:
            names = list(range(K))
        if K and names is not None and len(names) != K:
            raise ValueError(f"{name} is of {K} classes, and there are {len(names)}")
        sides.append((side, bool(K)))
    same_rows(sides[0][0], sides[1][0])
    labels = [side for side, done in sides if not done]
    if names is None:
        same_kind(labels[0], labels[1])
        names = np.unique(np.concatenate(labels)).tolist()
        if len(names) and isinstance(names[0], float) and all(n == int(n) for n in names):
            names = [int(n) for n in names]
    found = [side if done else _index(side, names, name)
             for (side, done), name in zip(sides, ("y", "prediction"), strict=True)]  # fmt: skip
    return found[0], found[1], names


def _chosen(side: Array, name: str) -> tuple[Array, int]:
    """Class indices and how many classes there are, of one-hot rows and probabilities; else 0."""
    if name == "y":
        if side.ndim == 1:
            return side, 0
        binary(side, "y (of several columns)")
        if not (side.sum(axis=1) == 1).all():
            row = int(np.argmax(side.sum(axis=1) != 1))
            raise ValueError(f"y must name one class in each row; row {row} does not")
        return side.argmax(axis=1), side.shape[1]
    if side.ndim == 2:
        in_unit(side, name)
        return side.argmax(axis=1), side.shape[1]
    if side.dtype.kind == "f" and (side != np.floor(side)).any():
        in_unit(side, name)
        return (side > 0.5).astype(np.int64), 2
    return side, 0


class Calibration(NamedTuple):
    """What was predicted and what came true, per bin of probabilities; empty bins are left out."""

    predicted: Array
    """The mean probability of each bin."""
    observed: Array
    """The part of its rows that are of the class."""
    counts: Array
    """How many rows it has."""

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over the rows of |observed - predicted|."""
        return float(self.counts @ np.abs(self.observed - self.predicted) / self.counts.sum())


def calibration(y: Any, p: Any, bins: int = 10) -> Calibration:
    """Hold probabilities against how often they came true.

    Parameters
    ----------
    y : array_like, shape (m,)
        1 (or True) where the row is of the class, else 0.
    p : array_like, shape (m,)
        The probability that it is.
    bins : int
        Equal parts of [0, 1]; a probability on a border belongs to the lower one.

    Returns
    -------
    Calibration

    Raises
    ------
    TypeError, ValueError
        An argument is not as above.
    """
    bins = whole_number(bins, "bins", most=10_000)
    truth, P = plain(y, "y"), plain(p, "p")
    if truth.ndim == 2 or P.ndim == 2:
        raise ValueError("y and p must have one column; take the classes one by one")
    same_rows(truth, P, ("y", "p"))
    binary(truth, "y")
    in_unit(P, "p")
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], P)
    counts = np.bincount(place, minlength=bins)
    full = counts > 0
    sums = [np.bincount(place, values, bins)[full] / counts[full] for values in (P, truth)]
    return Calibration(sums[0], sums[1], counts[full])


def _index(side: Array, names: list[Any], name: str) -> Array:
    """Labels as indices of `names`; numbers beside names that are strings are indices already."""
    strings = all(isinstance(n, str) for n in names)
    if side.dtype.kind != "U" and strings:
        wrong = (side != np.floor(side)) | (side < 0) | (side >= len(names))
        if not wrong.any():
            return side.astype(np.int64)
        allowed = f"an index of the classes, 0 to {len(names) - 1}"
    else:
        table = {n: k for k, n in enumerate(names)}
        found = np.array([table.get(label, -1) for label in side.tolist()])
        wrong = found < 0
        if not wrong.any():
            return found
        allowed = f"one of the classes {shown(names)}"
    row = int(np.argmax(wrong))
    raise ValueError(f"{name} must be {allowed}; got {shown(side[row].item())} in row {row}")
