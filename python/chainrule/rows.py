"""The rows of a training: those to learn from, and those to look at.

Called by `Trainer.fit`. What the core takes is standardised and of the network's dtype; what a
metric looks at stays in the user's units, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_matrix
from .errors import real, shown
from .losses import Loss
from .network import Network
from .scaling import Scaling

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as the core takes them, and Y (m, k) in the user's units where somebody looks at it."""

    x: Array
    y: Array
    Y: Array | None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, which: Array) -> Rows:
        """Some of the rows, copied."""
        return Rows(self.x[which], self.y[which], None if self.Y is None else self.Y[which])


def gather(
    net: Network,
    loss: Loss,
    X: Any,
    Y: Any,
    *,
    validation_data: Any,
    validation_split: Any,
    seed: int,
    scale: Any,
    keep: bool,
) -> tuple[Rows, Rows | None]:
    """The rows to learn from, and those to look at if there are any; with `keep` they hold Y.

    With scale="auto" a network without scaling gets one. Errors are those of `Network.fit`.
    """
    if not (scale is None or (isinstance(scale, str) and scale == "auto")):
        raise ValueError(f'scale must be None or "auto", got {shown(scale)}')
    if validation_split is not None and validation_data is not None:
        raise ValueError("validation_split and validation_data: give one of them")
    if scale == "auto" and net.scaling is None:
        X = as_matrix(X, "X", np.float64, net.n[0])
        Y = users_targets(net, loss, Y, "Y", len(X))
        train = _split(len(X), validation_split, seed)[0]
        net.scaling = fitted_scaling(net, loss, X[train], Y[train])
    rows = _rows(net, loss, X, Y, ("X", "Y"), keep)
    if validation_split is not None:
        train, held = _split(len(rows), validation_split, seed)
        return rows.take(train), rows.take(held)
    if validation_data is None:
        return rows, None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
        raise TypeError(
            "validation_data must be a tuple (X, Y), "
            f"got {shown(validation_data)} ({type(validation_data).__name__})"
        )
    X, Y = validation_data
    return rows, _rows(net, loss, X, Y, ("validation_data[0]", "validation_data[1]"), keep)


def fitted_scaling(net: Network, loss: Loss, X: Array, Y: Array) -> Scaling:
    """What scale="auto" means for these rows, both (m, .) in the user's units.

    Targets are standardised where the cost allows it and the outputs can be any number.
    """
    if net.layers[-1].activation != "identity":
        return Scaling.fit(X, n_outputs=net.n[-1])
    return Scaling.fit(X, Y)


def users_targets(net: Network, loss: Loss, Y: Any, name: str, rows: int) -> Array:
    """Y checked, (m, k) in float64 and in the user's units."""
    column = net.n[-1] == 1
    return as_matrix(Y, name, np.float64, net.n[-1], rows, unit="columns", column=column)


def predictions(net: Network, loss: Loss, x: Array) -> Array:
    """What the network predicts for rows as the core takes them, float64, in the user's units."""
    a = np.empty((len(x), net.n[-1]), net.dtype)
    net._engine.predict(x, a)
    wide: Array = np.asarray(a, np.float64)
    if net.scaling is not None:
        wide = net.scaling.restore_y(wide)
    return wide


def apart(net: Network, array: Array) -> Array:
    """A copy where the array is a view of the parameters, which training changes."""
    # An array without a base owns its memory: the quick answer.
    if array.base is not None and np.may_share_memory(array, net.theta):
        return array.copy()
    return array


def _rows(net: Network, loss: Loss, X: Any, Y: Any, names: tuple[str, str], keep: bool) -> Rows:
    x, y = (apart(net, array) for array in net._prepare(X, Y, names))
    if not keep:
        return Rows(x, y, None)
    as_given = apart(net, users_targets(net, loss, Y, names[1], len(x))).view()
    as_given.flags.writeable = False  # metrics of the user's get it
    return Rows(x, y, as_given)


def _split(rows: int, part: Any, seed: int) -> tuple[Array, Array]:
    """Which rows to train on and which to look at, a function of the seed alone."""
    if part is None:
        return np.arange(rows), np.arange(0)
    number = real(part, "validation_split")
    held = round(number * rows) if 0 < number < 1 else 0
    if not 0 < held < rows:
        raise ValueError(
            f"validation_split must be in (0, 1) and leave rows on both sides, got {part!r} "
            f"of {rows} rows"
        )
    order = np.random.default_rng([seed, 1]).permutation(rows)
    return np.sort(order[held:]), np.sort(order[:held])
