"""The whole gradient against three oracles, and a small training against the reference's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, reference
from ..gradcheck.differences import RTOL
from ..gradcheck.network_check import check_network
from ..gradcheck.parameters import NetworkParameters
from ..gradcheck.rounding import compare
from ..layers import ACTIVATIONS
from ..losses import REDUCTIONS
from ..optimizers import SGD
from ..runtime import set_num_threads
from .cases import NAMES, Case
from .ledger import Ledger

Array = NDArray[Any]

KINKED = ("relu", "leaky_relu")
COMPLEX_STEP = 1e-12  # of the largest derivative
# Of the largest parameter, after some dozen steps.
TRAINED = {"float64": 1e-13, "float32": 5e-5}


def check_gradients(seed: int, isa: str, ledger: Ledger) -> None:
    """Enter the distance of the gradient from the reference, the complex step, differences."""
    for k, name in enumerate(ACTIVATIONS):
        last = ACTIVATIONS[(k + 3) % len(ACTIVATIONS)] if k % 2 else "identity"
        for dtype in ("float64", "float32"):
            n, names = (3, 4, 3, 2)[: 4 - k % 2], (name, name, last)[k % 2 :]
            m, reduction = (1, 7, 9)[k % 3], REDUCTIONS[k % len(REDUCTIONS)]
            case = Case(f"check {k}", n, names, m, reduction, dtype, seed + k)
            _check_gradient(case, f"{isa}, 1 thread, {case}", ledger)
    for k, name in enumerate(NAMES):
        reduction = ("mean", "sum", "mean_rows")[k % 3]
        for dtype in ("float64", "float32"):
            n, names = (3, 4, 4), ("tanh", "identity")
            case = Case(f"check of {name}", n, names, 7, reduction, dtype, seed, name, k % 2 == 0)
            _check_gradient(case, f"{isa}, 1 thread, {case}", ledger)


def _check_gradient(case: Case, where: str, ledger: Ledger) -> None:
    set_num_threads(1)
    net = case.network()
    if case.n[1] > 2:  # no unit on its kink
        net.W[1][1], net.b[1][1] = 0.5, 0.25
    X, Y = case.data()
    twin = net.copy(dtype="float64")
    theta = NetworkParameters(twin, case.loss)
    w = case.weights
    compared = compare(theta, net, X, Y, w)
    eps = float(np.finfo(case.dtype).eps)
    largest = float(np.abs(compared.true).max()) or 1.0
    far, ratio = np.abs(compared.got - compared.true) / largest, compared.ratio()
    at = int(np.argmax(np.where(np.isnan(ratio), np.inf, ratio)))
    allowed = max(far[at] / ratio[at], eps) if ratio[at] > 0 else eps
    ledger.enter("reference", far[at], allowed, where)
    report = check_network(net, X, Y, case.loss, w, max_parameters=20_000, seed=0)
    error = report.max_error if report.passed else max(report.max_error, np.inf)
    ledger.enter("differences", error, RTOL, where)
    if case.dtype == "float64" and not set(KINKED) & set(case.activations):
        W, b, names = theta.W, theta.b, theta.activations
        dW, db = reference.complex_step_gradient(
            W, b, names, X, Y, loss=case.loss, weight=None if w is None else w.astype(np.float64)
        )
        right = theta.row(dW, db)
        error = float(np.abs(compared.got - right).max() / np.abs(right).max())
        ledger.enter("complex step", error, COMPLEX_STEP, where)


# Widths, activations, rows, rows of a batch, epochs, momentum, shuffled. The last batch is smaller.
TRAININGS: tuple[tuple[tuple[int, ...], tuple[str, ...], int, int, int, float, bool], ...] = (
    ((5, 7, 3), ("tanh", "identity"), 77, 16, 3, 0.0, True),
    ((6, 9, 1), ("silu", "sigmoid"), 77, 16, 3, 0.9, False),
    ((31, 90, 75, 9), ("tanh", "softplus", "identity"), 700, 300, 2, 0.5, True),
    # Layer by layer in float64.
    ((1, 2101, 1), ("sigmoid", "identity"), 100, 40, 1, 0.5, True),
)


OBJECTIVES = (("mse", False), ("huber", True), ("mse", True), ("log_cosh", True))


def check_training(seed: int, isa: str, threads: tuple[int, ...], ledger: Ledger) -> None:
    """Enter the distance between a training by the core and by the reference."""
    for number, (n, names, m, batch, epochs, mu, shuffle) in enumerate(TRAININGS):
        for dtype in ("float64", "float32"):
            loss, weighted = OBJECTIVES[number]
            reduction = REDUCTIONS[number % 2]
            what = f"training {number}"
            case = Case(what, n, names, m, reduction, dtype, seed, loss, weighted)
            w = case.weights
            net = case.network()
            X, Y = case.data()
            W, b = (reference_lists(x) for x in (net.W, net.b))
            wide = X.astype(np.float64), Y.astype(np.float64)
            wide_w = None if w is None else w.astype(np.float64)
            start = net.gradient(X, Y, case.loss, w).theta
            rate = case.rate(0.02, start)
            order = order_of(seed, m) if shuffle else None
            costs = reference.fit(
                W, b, names, *wide, epochs, batch, rate, mu, order, case.loss, wide_w
            )
            right = np.concatenate([p.ravel() for l in range(1, len(n)) for p in (W[l].T, b[l])])
            first = None
            for count in threads:
                set_num_threads(count)
                where = f"{isa}, {count} thread{'' if count == 1 else 's'}, {case}"
                twin = net.copy()
                history = twin.fit(
                    X,
                    Y,
                    epochs,
                    batch,
                    SGD(rate, momentum=mu),
                    case.loss,
                    shuffle,
                    seed,
                    sample_weight=w,
                )
                if first is not None:
                    ledger.same_bits("threads", twin.theta, first, f"{where}: theta")
                    continue
                first = twin.theta.copy()
                far = np.abs(twin.theta - right).max() / np.abs(right).max()
                far_cost = np.max(np.abs(np.array(history.cost) / np.array(costs) - 1))
                ledger.enter("fit", max(far, far_cost), TRAINED[dtype], where)


def reference_lists(arrays: Iterable[Array]) -> list[Any]:
    """Copies in float64, numbered from 1."""
    return [None, *(np.array(part, np.float64) for part in arrays)]


def order_of(seed: int, m: int) -> Callable[[int], Array]:
    """The order of the rows in an epoch, or no order at all where it is no permutation."""

    def order(epoch: int) -> Array:
        rows = _core.permutation(seed, epoch, m)
        if not np.array_equal(np.sort(rows), np.arange(m)):
            rows = np.zeros(m, np.int64)
        return rows

    return order
