"""How good a model is on labelled rows: metrics in the user's units, as text and for JSON.

Called by `chainrule train` for the held-out rows and by `chainrule evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import metrics
from .tables import show

MOST_LINES = 12  # classes or outputs that are written out in the summary of a training
MOST_COLUMNS = 10  # classes of a confusion table that is 80 columns wide

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Scores:
    """Metrics over the rows, and apart for each output or class.

    Attributes
    ----------
    rows : int
        That count: those of weight 0 do not.
    metrics : dict of str to float
        Over all outputs; NaN where a metric is not defined for these rows.
    outputs : dict of str to dict
        The same for each output, by name; empty when there is one.
    classes : tuple of str
        Of a classification.
    confusion : ndarray of float or int, shape (K, K), or None
        Row i for what is, column j for what was predicted; added up weights, where there are some.
    unit : str
        The target, when there is one.
    weightless : int
        Further rows, of weight 0.
    """

    rows: int
    metrics: dict[str, float]
    outputs: dict[str, dict[str, float]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    confusion: Array | None = None
    unit: str = ""
    weightless: int = 0

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold of it, NaN apart."""
        found: dict[str, Any] = {"rows": self.rows, "rows_of_weight_0": self.weightless}
        found |= self.metrics
        if self.outputs:
            found["outputs"] = self.outputs
        if self.confusion is not None:
            found["classes"] = [
                {"class": label, **self._of_class(k)} for k, label in enumerate(self.classes)
            ]
            found["confusion"] = self.confusion.tolist()
        return found

    def summary(self) -> str:
        """One line."""
        if self.confusion is None:
            units = f" in units of {show(self.unit)[1:-1]}" if self.unit else ""
            share = {name: v for name, v in self.metrics.items() if name == "within_std"}
            rest = {name: v for name, v in self.metrics.items() if name != "within_std"}
            return ", ".join(filter(None, [_said(rest) + units, _said(share)]))
        right, total = np.trace(self.confusion), self.confusion.sum()
        weighted = "" if np.issubdtype(self.confusion.dtype, np.integer) else " by weight"
        text = f"accuracy {self.metrics['accuracy']:.4f} ({right:g} of {total:g} rows{weighted})"
        rest = {name: value for name, value in self.metrics.items() if name != "accuracy"}
        return f"{text}, {_said(rest)}" if _said(rest) else text

    def lines(self, most: int = MOST_LINES) -> list[str]:
        """One line for each output or class, at most so many."""
        if self.confusion is None:
            width = max((len(show(name, 24)) for name in self.outputs), default=0)
            found = [f"{show(n, 24)[1:-1]:<{width}}{_said(e)}" for n, e in self.outputs.items()]
        else:
            width = max(len(show(label, 24)) for label in self.classes)
            found = [f"{show(label, 24)[1:-1]:<{width}}{self._recall(k)}"
                     for k, label in enumerate(self.classes)]  # fmt: skip
        if len(found) <= most:
            return found
        return [*found[: most - 1], f"... and {len(found) - most + 1} more"]

    def confusion_lines(self) -> list[str]:
        """The confusion matrix of few classes as a table, of many its largest mistakes."""
        if self.confusion is None:
            return []
        if len(self.classes) > MOST_COLUMNS:
            return self._mistakes()
        cells = [[f"{cell:g}" for cell in row] for row in self.confusion]
        longest = max(len(cell) for row in cells for cell in row)
        side = max(6, *(len(self._label(k, 12)) for k in range(len(cells))))
        room = max((80 - side) // len(cells) - 2, longest)
        heads = [self._label(k, 12)[:room] for k in range(len(cells))]
        widths = [max(longest, len(head)) for head in heads]
        rows = [("actual", heads), *((self._label(k, 12), row) for k, row in enumerate(cells))]
        return [
            "  ".join([name.ljust(side), *map(str.rjust, row, widths)]).rstrip()
            for name, row in rows
        ]

    def _mistakes(self) -> list[str]:
        assert self.confusion is not None
        wrong = self.confusion * (1 - np.eye(len(self.classes)))
        order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_COLUMNS]
        pairs = [divmod(int(place), len(wrong)) for place in order]
        return [
            f"{self._label(i)} taken for {self._label(j)}: {wrong[i, j]:g}"
            for i, j in pairs
            if wrong[i, j] > 0
        ]

    def _label(self, k: int, width: int = 24) -> str:
        return show(self.classes[k], width)[1:-1]

    def _of_class(self, k: int) -> dict[str, Any]:
        assert self.confusion is not None
        actual, said = self.confusion[k].sum(), self.confusion[:, k].sum()
        right = self.confusion[k, k]
        return {
            "rows": actual.item(),
            "right": right.item(),
            "predicted": said.item(),
            "recall": float(right / actual) if actual else math.nan,
            "precision": float(right / said) if said else math.nan,
        }

    def _recall(self, k: int) -> str:
        found = self._of_class(k)
        text = f"{found['right']:g} of {found['rows']:g} right"
        wrong = found["predicted"] - found["right"]
        return f"{text}, {wrong:g} of others taken for it" if wrong else text


def of_numbers(
    Y: Array,
    A: Array,
    names: Sequence[str],
    sample_weight: Array | None = None,
    spread: Array | None = None,
) -> Scores:
    """Judge predictions A of Y, both (m, targets) in the user's units, and standard deviations."""
    rows = _counted(Y, sample_weight)
    each = {name: _numbers(Y[:, k], A[:, k], sample_weight) for k, name in enumerate(names)}
    if spread is not None:
        for k, name in enumerate(names):
            near = np.abs(Y[:, k] - A[:, k]) <= spread[:, k]
            each[name]["within_std"] = float(np.average(near, weights=sample_weight))
    if len(names) == 1:
        return Scores(rows, each[names[0]], unit=names[0], weightless=len(Y) - rows)
    # The mean of errors in different units would say nothing.
    overall = {"r2": float(np.mean([one["r2"] for one in each.values()]))}
    return Scores(rows, overall, each, weightless=len(Y) - rows)


def of_quantiles(
    Y: Array,
    A: Array,
    names: Sequence[str],
    q: Sequence[float],
    sample_weight: Array | None = None,
) -> Scores:
    """Judge quantiles A, shape (m, targets times quantiles): how many rows lie below, and pinball.

    Parameters
    ----------
    Y : ndarray, shape (m, targets)
    A : ndarray
        The quantiles of the first target first.
    names : sequence of str
        For each column of A.
    q : sequence of float
        For each column of A.
    """
    w = np.ones(len(Y)) if sample_weight is None else sample_weight
    copies = A.shape[1] // Y.shape[1]
    each = {}
    for k, name in enumerate(names):
        y = Y[:, k // copies]
        each[name] = {
            "pinball": metrics.pinball(q[k])(y, A[:, k], sample_weight),
            "below": float(np.average(y <= A[:, k], weights=w)),
        }
    overall = {"pinball": float(np.mean([one["pinball"] for one in each.values()]))}
    if copies > 1 and Y.shape[1] == 1:
        inside = (Y[:, 0] >= A.min(axis=1)) & (Y[:, 0] <= A.max(axis=1))
        overall["inside"] = float(np.average(inside, weights=w))
    elif len(names) == 1:
        overall = each[names[0]]
    rows = _counted(Y, sample_weight)
    return Scores(rows, overall, each if len(names) > 1 else {}, weightless=len(Y) - rows)


def of_classes(
    y: Array,
    answer: Array,
    probabilities: Array | None,
    classes: Sequence[str],
    sample_weight: Array | None = None,
) -> Scores:
    """Judge predicted classes.

    Parameters
    ----------
    y, answer : ndarray of int, shape (m,)
        Indices of the classes: what is, and what was predicted.
    probabilities : ndarray, shape (m, K), or None
    """
    found = {"accuracy": metrics.accuracy(y, answer, sample_weight)}
    if probabilities is not None:
        P = probabilities / probabilities.sum(axis=1, keepdims=True)  # float32 rounds
        found["log_loss"] = metrics.log_loss(y, P, sample_weight)
    names = list(range(len(classes)))
    table = metrics.confusion_matrix(y, answer, names, sample_weight)
    rows = _counted(y, sample_weight)
    return Scores(rows, found, {}, tuple(classes), table, weightless=len(y) - rows)


def _counted(y: Array, w: Array | None) -> int:
    """How many rows count."""
    return len(y) if w is None else int(np.count_nonzero(w))


def _numbers(y: Array, a: Array, w: Array | None) -> dict[str, float]:
    counted = y if w is None else y[w > 0]
    alike = len(counted) < 2 or bool((counted == counted[0]).all())
    return {
        "r2": math.nan if alike else metrics.r2(y, a, w),
        "rmse": metrics.rmse(y, a, w),
        "mae": metrics.mae(y, a, w),
    }


_SHOWN = {
    "r2": "R2 {:.4f}",
    "rmse": "RMSE {:.4g}",
    "mae": "MAE {:.4g}",
    "accuracy": "accuracy {:.4f}",
    "log_loss": "log loss {:.4g}",
    "pinball": "pinball {:.4g}",
    "below": "{:.4f} of the rows at or below",
    "within_std": "{:.4f} within one std",
    "inside": "{:.4f} of the rows inside",
}


def _said(values: dict[str, float]) -> str:
    known = [_SHOWN[name].format(value) for name, value in values.items() if not math.isnan(value)]
    return ", ".join(known)
