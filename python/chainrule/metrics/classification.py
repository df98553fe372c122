"""Metrics of classes, predicted as labels or as probabilities, in the forms of the package."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .reading import Array, labels_of, mean, probabilities, weights


def accuracy(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """The part of the rows whose class is right; with several labels, all of them."""
    y, guess = labels_of(Y, prediction)
    return float(mean((y == guess).all(axis=1).astype(float), weights(sample_weight, len(y))))


def balanced_accuracy(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """The part that is right in each class of Y; their mean, so rare classes count as much."""
    y, guess = labels_of(Y, prediction)
    w = weights(sample_weight, len(y))
    parts = []
    for j in range(y.shape[1]):
        right, there = _per_class(y[:, j], w * (y[:, j] == guess[:, j])), _per_class(y[:, j], w)
        parts.append(np.mean(right[there > 0] / there[there > 0]))
    return float(np.mean(parts))


def f1(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """F1 = 2 tp / (2 tp + fp + fn) of each class; their mean, the macro average.

    A class of Y or prediction that is never right has 0. With several labels: of each label.
    """
    y, guess = labels_of(Y, prediction)
    w = weights(sample_weight, len(y))
    columns, several = y.shape[1], y.shape[1] > 1
    scores = []
    for j in range(columns):
        for c in (1,) if several else np.unique(np.concatenate([y[:, j], guess[:, j]])):
            actual, said = y[:, j] == c, guess[:, j] == c
            total = w @ actual + w @ said
            scores.append(2 * (w @ (actual & said)) / total if total else 0.0)
    return float(np.mean(scores))


def log_loss(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """The mean of -log of the probability that was given to the class of the row.

    Probabilities are kept a rounding step of their dtype away from 0 and 1. With several labels:
    the mean over the labels too.
    """
    y, P = probabilities(Y, prediction)
    eps = np.finfo(P.dtype).eps
    P = np.clip(P.astype(float), eps, 1 - eps)
    w = weights(sample_weight, len(y))
    if y.ndim == 2:
        return float(-mean(np.where(y == 1, np.log(P), np.log1p(-P)), w).mean())
    return float(-mean(np.log(P[np.arange(len(y)), y]), w))


def brier(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """The mean squared error of the probabilities.

    Two classes: (p - y)^2 with the p of class 1. More: added up over the classes, from 0 to 2.
    """
    y, P = probabilities(Y, prediction)
    P = P.astype(float)
    w = weights(sample_weight, len(y))
    if y.ndim == 2:
        return float(mean((P - y) ** 2, w).mean())
    if P.shape[1] == 2:
        return float(mean((P[:, 1] - y) ** 2, w))
    return float(mean(((P - np.eye(P.shape[1])[y]) ** 2).sum(axis=1), w))


def auc(Y: Any, prediction: Any, sample_weight: Any = None) -> float:
    """The area under the ROC curve: how often a row of class 1 scores above one of class 0.

    Ties count a half. More than two classes: each against the rest, and the mean; NaN when a class
    has no row.
    """
    y, P = probabilities(Y, prediction)
    w = weights(sample_weight, len(y))
    if y.ndim == 2:
        pairs = [(y[:, k] == 1, P[:, k]) for k in range(P.shape[1])]
    else:
        first = 1 if P.shape[1] == 2 else 0
        pairs = [(y == k, P[:, k]) for k in range(first, P.shape[1])]
    return float(np.mean([_area(positive, score, w) for positive, score in pairs]))


def _per_class(labels: Array, w: Array) -> Array:
    """Weights added up for each label."""
    return np.bincount(np.unique(labels, return_inverse=True)[1].ravel(), w)


def _area(positive: Array, score: Array, w: Array) -> float:
    """The weighted part of pairs (positive, negative) in the right order; ties are half."""
    place = np.unique(score, return_inverse=True)[1].ravel()
    up, down = np.bincount(place, w * positive), np.bincount(place, w * ~positive)
    pairs = up.sum() * down.sum()
    if pairs == 0:
        return math.nan
    return float(up @ (np.cumsum(down) - down / 2) / pairs)
