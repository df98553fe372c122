"""What there is to say about a training, as numbers and sentences; the page only writes it down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..errors import shown
from ..losses import Loss, Quantile
from ..metrics.reading import numbers
from ..network import Network
from ..plot import canvas

Array = NDArray[Any]

TASKS = ("regression", "classification")
REGRESSION = ("r2", "rmse", "mae", "max_error")
LABELS, PROBABILITIES = ("accuracy", "balanced_accuracy", "f1"), ("log_loss", "brier", "auc")
CHANCE = 2.0  # standard errors: a difference below is taken for chance
FAR = 1.2  # times the training's loss: a validation loss that is far above


@dataclass(frozen=True)
class Rows:
    """One side of the data: training or validation."""

    Y: Array
    """Targets (m, n); of a classification class indices (m,), of several labels (m, K)."""
    prediction: Array
    """Like Y; of a classification probabilities (m, K), or class indices without probabilities."""
    X: Array

    def __len__(self) -> int:
        return len(self.Y)


@dataclass
class Findings:
    """All that the page says.

    Attributes
    ----------
    kind : str
        "regression", "classes", or "labels" (several at once).
    probable : bool
        Whether the predictions of a classification are probabilities.
    names : list of str
        Of the outputs, or the classes.
    train, val : Rows
        `val` is None without validation data.
    measures : list of (name, training, validation or None, baseline)
        `baseline` is that of saying the same for every row, on the rows that are judged.
    """

    kind: str
    probable: bool
    names: list[str]
    train: Rows
    val: Rows | None
    measures: list[tuple[str, float, float | None, float]] = field(default_factory=list)

    @property
    def judged(self) -> Rows:
        """The validation rows, or the training rows where there are none."""
        return self.val or self.train

    @property
    def judged_name(self) -> str:
        """Which rows those are."""
        return "validation" if self.val is not None else "training"


def find(
    net: Network,
    loss: Loss,
    train: tuple[Any, Any],
    val: tuple[Any, Any] | None,
    task: str,
    classes: Sequence[Any] | None,
    names: Sequence[str] | None,
) -> Findings:
    """Predict, measure and compare."""
    pairs = [train] if val is None else [train, val]
    inputs = [np.atleast_2d(X) for X, _ in pairs]
    answers = [loss.predictions(net.predict(X)) for X in inputs]
    targets = [np.asarray(Y) for _, Y in pairs]
    # One form for both sides, whatever the rows of one of them happen to look like.
    kind, probable = "regression", False
    if task == "classification":
        kind = "labels" if _several(loss, targets, answers[0].shape[1]) else "classes"
        probable = kind == "labels" or all(map(_are_probabilities, answers))
    rows = [
        Rows(*_read(loss, Y, P, kind, probable, name), X)
        for X, Y, P, name in zip(inputs, targets, answers, ("Y_train", "Y_val"), strict=False)
    ]
    if kind == "regression":
        count = rows[0].Y.shape[1]
        given = checked_names(names, "names", count) or _outputs(loss, count)
    else:
        count = max(net.n[-1], 2)
        given = checked_names(classes, "classes", count) or [str(k) for k in range(count)]
    found = Findings(kind, probable, given, rows[0], rows[1] if len(rows) > 1 else None)
    _measure(found, loss)
    return found


def _several(loss: Loss, targets: Sequence[Array], outputs: int) -> bool:
    """Whether a row may have several labels at once."""
    if outputs > 1 and loss.name == "binary_cross_entropy":
        return True
    wide = [y for y in targets if y.ndim == 2 and y.shape[1] > 1]
    return any(not (y.sum(axis=1) == 1).all() for y in wide)


def _are_probabilities(P: Array) -> bool:
    inside = bool((P >= 0).all() and (P <= 1).all())
    return inside and (P.shape[1] == 1 or np.allclose(P.sum(axis=1, dtype=float), 1, atol=1e-3))


def _read(
    loss: Loss, Y: Array, P: Array, kind: str, probable: bool, name: str
) -> tuple[Array, Array]:
    """`_form`, with the argument's name in errors."""
    try:
        return _form(loss, Y, P, kind, probable)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def _form(loss: Loss, Y: Array, P: Array, kind: str, probable: bool) -> tuple[Array, Array]:
    """Targets and predictions in the form that `Rows` has."""
    if kind == "regression":
        y, p, _ = numbers(loss.targets(Y, P.shape[1], "Y"), P, None)
        return y, p
    K = max(P.shape[1], 2)
    if kind == "labels":
        P = np.clip(P, 0, 1)
        metrics.accuracy(Y, P)  # refuses what are no labels
        return Y.astype(np.int64), P
    if probable:
        P = P if P.shape[1] > 1 else np.column_stack([1 - P, P])
        return metrics.class_indices(Y, P, range(K))[0], P
    said = P.argmax(axis=1) if P.shape[1] > 1 else (P[:, 0] > 0.5).astype(np.int64)
    return metrics.class_indices(Y, said, range(K))[0], said


def checked_names(given: Any, name: str, count: int) -> list[str]:
    """Names of one of the arguments as str; none when it is None."""
    if given is None:
        return []
    if isinstance(given, str) or not hasattr(given, "__len__"):
        raise TypeError(f"{name} must be a sequence of {count} names, got {shown(given)}")
    if len(given) != count:
        raise ValueError(f"{name} must have {count} names, got {len(given)}")
    return [str(name) for name in given]


def _outputs(loss: Loss, count: int) -> list[str]:
    if isinstance(loss, Quantile) and len(loss.parameters) == count > 1:
        return [f"quantile {q:g}" for q in loss.parameters]
    return ["y"] if count == 1 else [f"y_{j}" for j in range(1, count + 1)]


def _measure(found: Findings, loss: Loss) -> None:
    if found.kind == "regression":
        table = {name: metrics.METRICS[name] for name in REGRESSION}
        if isinstance(loss, Quantile) and len(loss.parameters) == 1:
            metric = metrics.pinball(loss.parameters[0])
            table[metric.__name__] = metric
    else:
        chosen = LABELS + (PROBABILITIES if found.probable else ())
        table = {name: metrics.METRICS[name] for name in chosen}
    always = _always(found)
    for name, metric in table.items():
        train = metric(found.train.Y, found.train.prediction)
        val = None if found.val is None else metric(found.val.Y, found.val.prediction)
        found.measures.append((name, train, val, metric(found.judged.Y, always)))


def _always(found: Findings) -> Array:
    """The best that can be said without looking at X: mean, or part of each class, in training."""
    m = len(found.judged)
    if found.kind != "classes":
        return np.tile(found.train.Y.mean(axis=0), (m, 1))
    parts = np.bincount(found.train.Y, minlength=len(found.names)) / len(found.train)
    return np.tile(parts, (m, 1)) if found.probable else np.full(m, parts.argmax())


def losses(found: Findings, rows: Rows) -> Array:
    """How bad each row is, in units that outputs share: what over-fitting is judged by."""
    if found.kind == "regression":
        spread = found.train.Y.var(axis=0)
        scaled = (rows.Y - rows.prediction) ** 2 / np.where(spread > 0, spread, 1)
        return np.asarray(scaled.mean(axis=1))
    if not found.probable:
        return np.asarray(rows.prediction != rows.Y, float)
    eps = np.finfo(rows.prediction.dtype).eps
    P = np.clip(rows.prediction.astype(float), eps, 1 - eps)
    if found.kind == "labels":
        return np.asarray(-np.where(rows.Y == 1, np.log(P), np.log1p(-P)).mean(axis=1))
    return np.asarray(-np.log(P[np.arange(len(rows)), rows.Y]))


def verdict(found: Findings) -> list[str]:
    """Sentences about over-fitting and about being better than nothing, from the numbers."""
    said = []
    if found.val is None:
        said.append(
            "There are no validation rows: how it does on rows that it has not seen is not known."
        )
    else:
        said.append(_overfitting(found))
    rows = found.judged
    alone = float(losses(found, Rows(rows.Y, _always(found), rows.X)).mean())
    if losses(found, rows).mean() >= alone > 0:
        said.append(
            f"The network does no better on the {found.judged_name} rows than {without(found)}, "
            "the same answer for every row. Try more epochs, another learning_rate, standardised "
            "inputs, or other inputs."
        )
    return said


def _overfitting(found: Findings) -> str:
    assert found.val is not None
    train, val = losses(found, found.train), losses(found, found.val)
    what = {
        "regression": "mean squared error"
        + (", in units of the spread of each output," if found.train.Y.shape[-1] > 1 else ""),
        "classes": "log loss" if found.probable else "part of wrong rows",
        "labels": "log loss",
    }[found.kind]
    factor = float(found.train.Y.var(axis=0)[0]) if found.kind == "regression" else 1.0
    if found.kind == "regression" and (found.train.Y.shape[1] > 1 or factor == 0):
        factor = 1.0
    a, b = float(train.mean()) * factor, float(val.mean()) * factor
    measured = f"the {what} of the validation rows is {number(b)}, of the training rows {number(a)}"
    apart = sum(
        float(side.var(ddof=1)) / len(side) if len(side) > 1 else math.inf for side in (train, val)
    )
    errors = (b - a) / factor / math.sqrt(apart) if apart > 0 else math.inf * np.sign(b - a)
    if b <= a:
        return f"No sign of over-fitting: {measured}."
    if not errors > CHANCE:
        return f"No clear sign of over-fitting: {measured}; with so few rows that may be chance."
    ratio = b / a if a > 0 else math.inf
    times = f", {number(ratio, 3)} times as much" if ratio < 1e6 else ""
    if ratio < FAR:
        return f"A little over-fitting: {measured}{times}."
    return (
        f"Over-fitting: {measured}{times}, more than chance explains. The network knows the "
        "training rows by heart in part. Try more rows, fewer units, weight_decay, or an earlier "
        "stop (EarlyStopping)."
    )


def without(found: Findings) -> str:
    """What the baseline says."""
    if found.kind == "regression":
        return "the mean of the training targets"
    if not found.probable:
        return "the most frequent class"
    return "how frequent each class is" if found.kind == "classes" else "how frequent each label is"


def worst(found: Findings, most: int) -> Array:
    """The rows with the largest losses, the worst first; right ones are left out."""
    rows = found.judged
    bad = losses(found, rows)
    order = np.argsort(-bad, kind="stable")[:most]
    if found.kind == "classes":
        said = rows.prediction.argmax(axis=1) if found.probable else rows.prediction
        order = order[said[order] != rows.Y[order]]
    return np.asarray(order[bad[order] > 0])


SPOKEN = {
    "r2": "R\u00b2",
    "rmse": "RMSE",
    "mae": "MAE",
    "max_error": "largest error",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "log_loss": "log loss",
    "brier": "Brier score",
    "auc": "AUC",
}
MEANING = {
    "r2": "1 is perfect, 0 is no better than the mean",
    "rmse": "root of the mean squared error, in the target's units",
    "mae": "mean of the absolute errors, in the target's units",
    "max_error": "of a single row",
    "accuracy": "part of the rows that are right",
    "balanced_accuracy": "the same in each class, then their mean",
    "f1": "of precision and recall in each class, then their mean",
    "log_loss": "lower is better: mean of \u2212log of the probability of what is true",
    "brier": "lower is better: squared error of the probabilities",
    "auc": "1 is perfect, 0.5 is chance: how well rows are put in order",
}


def spoken(name: str) -> str:
    """A metric's name as people write it."""
    return SPOKEN.get(name, name.replace("_", " "))


def number(value: float, digits: int = 4) -> str:
    """For a sentence or a table: a few digits, and all before the point below ten million."""
    if math.isnan(value):
        return "not defined"
    if 1 <= abs(value) < 1e7:
        digits = max(digits, 1 + math.floor(math.log10(abs(value))))
    return canvas.number(value, digits)
