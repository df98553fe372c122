"""What metrics take: targets, labels and probabilities, checked and in one form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_ndarray
from ..errors import shown

Array = NDArray[Any]

ROW_SUM = 1e-3  # how far from 1 the probabilities of a row may add up


def mean(values: Array, w: Array) -> Array:
    """The weighted mean over the rows."""
    return np.asarray(np.average(values, axis=0, weights=w))


def weights(sample_weight: Any, m: int) -> Array:
    if sample_weight is None:
        return np.ones(m)
    w = as_ndarray(sample_weight, "sample_weight").astype(float)
    if w.shape != (m,):
        raise ValueError(f"sample_weight must have shape ({m},), got {w.shape}")
    if not (np.isfinite(w).all() and (w >= 0).all() and w.sum() > 0):
        raise ValueError("sample_weight must be finite, at least 0, and not all 0")
    return w


def numbers(Y: Any, prediction: Any, sample_weight: Any) -> tuple[Array, Array, Array]:
    """Targets and predictions as matrices of one shape, and weights."""
    sides = []
    for value, name in ((Y, "Y"), (prediction, "prediction")):
        side = as_ndarray(value, name).astype(float)
        if side.ndim not in (1, 2):
            raise ValueError(f"{name} must have shape (m,) or (m, n_L), got {side.shape}")
        side = side.reshape(len(side), -1) if side.size else side
        finite(side, name)
        sides.append(side)
    y, p = sides
    if y.shape != p.shape:
        raise ValueError(f"Y has shape {y.shape} and prediction {p.shape}; they must be equal")
    return y, p, weights(sample_weight, len(y))


def finite(side: Array, name: str) -> None:
    if side.size == 0:
        raise ValueError(f"{name} has 0 rows; at least 1 is needed")
    if not np.isfinite(side).all():
        where = np.unravel_index(int(np.argmin(np.isfinite(side))), side.shape)
        raise ValueError(f"{name} must be finite, got {side[where]} in row {int(where[0])}")


def plain(value: Any, name: str) -> Array:
    """Labels or probabilities as (m,) or (m, K) with K > 1; strings stay strings."""
    raw = np.asarray(value)
    if raw.dtype.kind == "O" and raw.size and all(isinstance(x, str) for x in raw.flat):
        raw = raw.astype(str)
    if raw.dtype.kind != "U":
        raw = as_ndarray(raw, name)
        if raw.dtype.kind == "b":
            raw = raw.astype(np.int64)
    if raw.ndim not in (1, 2):
        raise ValueError(f"{name} must have shape (m,) or (m, K), got {raw.shape}")
    if raw.dtype.kind != "U":
        finite(raw, name)
    elif raw.size == 0:
        raise ValueError(f"{name} has 0 rows; at least 1 is needed")
    return raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw


def same_rows(a: Array, b: Array, names: tuple[str, str] = ("Y", "prediction")) -> None:
    if len(a) != len(b):
        raise ValueError(f"{names[0]} has {len(a)} rows and {names[1]} {len(b)}; "
                         "they must be equal")  # fmt: skip


def same_kind(y: Array, guess: Array) -> None:
    if (y.dtype.kind == "U") != (guess.dtype.kind == "U"):
        kinds = ["strings" if side.dtype.kind == "U" else "numbers" for side in (y, guess)]
        raise TypeError(f"Y holds {kinds[0]} and prediction {kinds[1]}; both must be labels")


def binary(y: Array, name: str) -> None:
    if y.dtype.kind == "U" or not np.isin(y, (0, 1)).all():
        wrong = y[~np.isin(y, (0, 1))] if y.dtype.kind != "U" else y
        raise ValueError(f"{name} must be 0 and 1, got {shown(wrong.flat[0].item())}")


def in_unit(P: Array, name: str) -> None:
    if P.dtype.kind == "U" or (P < 0).any() or (P > 1).any():
        wrong = P[0] if P.dtype.kind == "U" else P[(P < 0) | (P > 1)][0]
        raise ValueError(
            f"{name} must be probabilities, in [0, 1]; got {shown(wrong.item())}. "
            "Of logits a, take loss.predictions(a)"
        )


def indices(y: Array, K: int) -> Array:
    """Labels as indices of K columns of probabilities."""
    if y.dtype.kind == "U":
        raise TypeError(
            f"Y holds strings, and prediction {K} columns of probabilities: Y must be the "
            f"class indices 0 to {K - 1}"
        )
    wrong = (y != np.floor(y)) | (y < 0) | (y >= K)
    if wrong.any():
        raise ValueError(
            f"Y must be class indices, 0 to {K - 1}, got {y[wrong][0].item()} in row "
            f"{int(np.argmax(wrong))}"
        )
    return y.astype(np.int64)


def probabilities(Y: Any, prediction: Any) -> tuple[Array, Array]:
    """Class indices (m,) and their probabilities (m, K); with several labels both (m, K)."""
    y, P = plain(Y, "Y"), plain(prediction, "prediction")
    same_rows(y, P)
    in_unit(P, "prediction")
    if P.dtype.kind != "f":
        P = P.astype(float)
    if P.ndim == 1:
        if y.ndim == 2:
            raise ValueError(f"Y has {y.shape[1]} columns and prediction one")
        binary(y, "Y (prediction has one column, the probability of class 1)")
        return y.astype(np.int64), np.column_stack([1 - P, P])
    sums = P.sum(axis=1, dtype=float)
    one = bool((np.abs(sums - 1) <= ROW_SUM).all())
    if y.ndim == 1:
        if not one:
            row = int(np.argmax(np.abs(sums - 1)))
            raise ValueError(
                f"prediction must have rows of probabilities that add up to 1; row {row} adds up "
                f"to {sums[row]:.6g}"
            )
        return indices(y, P.shape[1]), P
    if y.shape != P.shape:
        raise ValueError(f"Y has shape {y.shape} and prediction {P.shape}; they must be equal")
    binary(y, "Y (of several columns)")
    if one and (y.sum(axis=1) == 1).all():
        return y.argmax(axis=1), P
    return y.astype(np.int64), P


def labels_of(Y: Any, prediction: Any) -> tuple[Array, Array]:
    """Actual and predicted labels (m, 1); with several labels at once (m, K) of 0 and 1."""
    y, guess = plain(Y, "Y"), plain(prediction, "prediction")
    same_rows(y, guess)
    parts = guess.dtype.kind == "f" and guess.ndim == 1 and bool((guess != np.floor(guess)).any())
    if guess.ndim == 2 or parts:
        y, P = probabilities(y, guess)
        if y.ndim == 2:
            return y, (P > 0.5).astype(np.int64)
        return y[:, None], P.argmax(axis=1)[:, None]
    if y.ndim == 2:
        raise ValueError(f"Y has {y.shape[1]} columns and prediction one")
    same_kind(y, guess)
    return y[:, None], guess[:, None]
