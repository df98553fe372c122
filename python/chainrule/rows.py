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
    w: Array | None
    Y: Array | None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, which: Array) -> Rows:
        """Some of the rows, copied."""
        w, Y = (None if array is None else array[which] for array in (self.w, self.Y))
        return Rows(self.x[which], self.y[which], w, Y)


def gather(
    net: Network,
    loss: Loss,
    X: Any,
    Y: Any,
    sample_weight: Any,
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
        w = net._weights(sample_weight, len(X), loss)
        train, held = _split(len(X), validation_split, seed, w)
        standardise(net, loss, X[train], Y[train], None if w is None else w[train])
    rows = _rows(net, loss, (X, Y, sample_weight), ("X", "Y", "sample_weight"), keep)
    if validation_split is not None:
        train, held = _split(len(rows), validation_split, seed, rows.w)
        return rows.take(train), rows.take(held)
    if validation_data is None:
        return rows, None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError(
            "validation_data must be a tuple (X, Y) or (X, Y, sample_weight), "
            f"got {shown(validation_data)} ({type(validation_data).__name__})"
        )
    three = (*validation_data, None)[:3]
    names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
    return rows, _rows(net, loss, three, names, keep)


def standardise(net: Network, loss: Loss, X: Array, Y: Array, w: Array | None) -> None:
    """What scale="auto" means for these rows, both (m, .) in the user's units.

    Targets are standardised where the loss allows it and the outputs can be any number. Outputs
    that are logarithms of rates start at that of the mean rate: a mean above 1 goes into the
    scaling, which divides the targets, and one below 1 into the bias of the last layer.
    """
    if not loss.of_rates or net.layers[-1].activation != "identity":
        net.scaling = _fitted_scaling(net, loss, X, Y, w)
        return
    loss.check_targets(Y)
    scaling = Scaling.fit(X, outputs=net.n[-1], sample_weight=w).with_log_means(Y, w)
    small = scaling.y_mean == 0
    mean = np.average(np.where(small, Y, 1.0), axis=0, weights=w)
    net.scaling = scaling
    net.b[net.L] += np.log(np.where(mean > 0, mean, 1.0))


def _fitted_scaling(net: Network, loss: Loss, X: Array, Y: Array, w: Array | None) -> Scaling:
    n_L = net.n[-1]
    if not loss.scales_targets or net.layers[-1].activation != "identity":
        return Scaling.fit(X, outputs=n_L, sample_weight=w)
    scaling = Scaling.fit(X, Y, sample_weight=w)
    return scaling if loss.n_targets(n_L) == n_L else scaling.with_log_variances()


def users_targets(net: Network, loss: Loss, Y: Any, name: str, rows: int) -> Array:
    """Y (m, k) in float64 and in the user's units; classes are one-hot."""
    n_L = net.n[-1]
    loss.check_outputs(n_L)
    k = loss.n_targets(n_L)
    encoded = loss.targets(Y, n_L, name)
    return as_matrix(encoded, name, np.float64, k, rows, unit="columns", column=k == 1)


def predictions(net: Network, loss: Loss, x: Array) -> Array:
    """What the network predicts for rows as the core takes them: (m, k), like `users_targets`."""
    a = np.empty((len(x), net.n[-1]), net.dtype)
    net._engine.predict(x, a)
    wide: Array = a.astype(np.float64)
    if net.scaling is not None:
        wide = net.scaling.restore_y(wide)
    return loss.predictions(wide)


def apart(net: Network, array: Array) -> Array:
    """A copy where the array is a view of the parameters, which training changes."""
    # An array without a base owns its memory: the quick answer.
    if array.base is not None and np.may_share_memory(array, net.theta):
        array = array.copy()
    return array


def _rows(
    net: Network, loss: Loss, given: tuple[Any, Any, Any], names: tuple[str, str, str], keep: bool
) -> Rows:
    X, Y, weights = given
    x, y = (apart(net, array) for array in net._prepare(X, Y, loss, names[:2]))
    w = net._weights(weights, len(x), loss, names[2])
    w = None if w is None else apart(net, w)
    if not keep:
        return Rows(x, y, w, None)
    as_given = apart(net, users_targets(net, loss, Y, names[1], len(x))).view()
    as_given.flags.writeable = False  # metrics of the user's get it
    return Rows(x, y, w, as_given)


def _split(rows: int, part: Any, seed: int, w: Array | None) -> tuple[Array, Array]:
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
    train, out = np.sort(order[held:]), np.sort(order[:held])
    if w is not None and not (w[train].any() and w[out].any()):
        raise ValueError("sample_weight is 0 everywhere on one side of the split")
    return train, out
