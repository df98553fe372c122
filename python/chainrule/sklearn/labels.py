"""The labels of a classifier: from y to the targets of a network, and from its outputs back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from .fitted import dense

Array = NDArray[Any]

_PLAIN = "biufU"  # kinds of numbers and text that NumPy can sort and compare


@dataclass(frozen=True, eq=False)
class Labels:
    """What `y` holds: one label per row, or a column of 0 and 1 for each of several labels.

    Parameters
    ----------
    classes : ndarray
        The labels, sorted; with several per row the numbers of the columns.
    several : bool
    """

    classes: Array
    several: bool = False

    @property
    def many(self) -> bool:
        """Whether a row has one of more than two."""
        return not self.several and len(self.classes) > 2

    @classmethod
    def of(cls, y: Any) -> Labels:
        """Those in y; ValueError where y holds no labels."""
        plain = _plain(y)
        if plain is not None:
            classes = np.unique(plain)
            whole = plain.dtype.kind != "f" or bool((classes == np.floor(classes)).all())
            if whole and 2 * len(classes) <= len(plain):  # more may be numbers: see the warning
                return cls(classes)
        several = _holds_several(y)
        return cls(unique_labels(y), several)

    def encoded(self, y: Any, dtype: str) -> Array:
        """Targets (m, columns): one-hot, 0 or 1 for two classes, y itself with several labels.

        ValueError for labels that are not among these.
        """
        plain = self.encoded_plain(y, dtype)
        if plain is not None:
            return plain
        several = _holds_several(y)
        if several != self.several:
            kinds = ("one label in each row", "a column of 0 and 1 for each label")
            raise ValueError(f"y must hold {kinds[self.several]} as before, got {kinds[several]}")
        unknown = np.setdiff1d(unique_labels(y), self.classes)
        if unknown.size:
            raise ValueError(
                f"`y` has classes not in `self.classes_`: {unknown}; "
                f"`self.classes_` has {self.classes}"
            )
        if several:
            return np.asarray(dense(y) != 0, dtype)
        return self._targets(np.searchsorted(self.classes, y), dtype)

    def encoded_plain(self, y: Any, dtype: str) -> Array | None:
        """As `encoded`; None where y is not one column of these labels in their own type."""
        plain = _plain(y)
        if self.several or plain is None or plain.dtype.kind != self.classes.dtype.kind:
            return None
        numbers = np.searchsorted(self.classes, plain)
        numbers[numbers == len(self.classes)] = 0
        return self._targets(numbers, dtype) if (self.classes[numbers] == plain).all() else None

    def decoded(self, a: Array) -> Array:
        """The labels that outputs (m, n_L) of the network mean."""
        if self.several:
            return (a > 0).astype(int)
        if self.many:
            return np.asarray(self.classes[a.argmax(axis=1)])
        last = len(self.classes) - 1  # 0 where all rows had the same label
        return np.asarray(self.classes[np.where(a[:, 0] > 0, last, 0)])

    def _targets(self, numbers: Array, dtype: str) -> Array:
        if not self.many:
            return numbers.astype(dtype).reshape(-1, 1)
        targets = np.zeros((len(numbers), len(self.classes)), dtype)
        targets[np.arange(len(numbers)), numbers] = 1
        return targets


def _plain(y: Any) -> Array | None:
    """y where it is one column that NumPy can sort and compare."""
    if not isinstance(y, np.ndarray) or y.ndim != 1:
        return None
    if y.dtype.kind == "O" and set(map(type, y.tolist())) == {str}:
        return y.astype(str)
    return y if y.dtype.kind in _PLAIN else None


def _holds_several(y: Any) -> bool:
    """Whether y is a matrix of 0 and 1; ValueError for what holds no labels."""
    check_classification_targets(y)
    kind: str = type_of_target(y)
    if kind == "multiclass-multioutput":
        raise ValueError(
            "y must hold one label in each row, or a column of 0 and 1 for each label: several "
            "columns of other values are not supported"
        )
    return kind == "multilabel-indicator"
