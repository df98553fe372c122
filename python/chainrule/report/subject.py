"""What a report is about: a network, some samples, and every number of one step on them.

The numbers are the core's (`net.trace`, `trace.explain`, `Trainer.step`); the checks beside them
are the NumPy reference in float64 and finite differences. What is too large for one page is
left out here, by the rule of `select`, and the page says so. Called by `page`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..errors import shown
from ..explanation import Explanation
from ..loss_wording import Written
from ..losses import LossLike, checked_loss
from ..network import Network
from ..optimizers import SGD
from ..training import Trainer

Array = NDArray[Any]
Layers = list[Any]  # [None, then one array per layer], as in the reference

MOST_SAMPLES = 4  # shown in full; sums run over all samples
MOST_LAYERS = 6  # the first three and the last three of a deeper network
MOST_NUMBERS = 260  # with a formula of their own: about 5 kB each
LONGEST_NAME = 60
WIDEST = 12  # units of a layer shown


@dataclass(frozen=True)
class Shown:
    """The part of a network that has room on the page; everything is numbered from 1.

    Attributes
    ----------
    layers : tuple of int
        Layers with formulas, from 1 to L.
    units : dict of int to tuple of int
        Units shown of these layers and of those that feed them; 0 is the inputs.
    samples : tuple of int
        Samples shown, the first ones.
    """

    layers: tuple[int, ...]
    units: dict[int, tuple[int, ...]]
    samples: tuple[int, ...]

    def runs(self) -> list[list[int]]:
        """Neighbouring columns of the picture, each starting with the layer that feeds it."""
        runs: list[list[int]] = []
        for l in self.layers:
            if runs and runs[-1][-1] == l - 1:
                runs[-1].append(l)
            else:
                runs.append([l - 1, l])
        return runs


class Subject:
    """One step of gradient descent on X, Y, with all of its numbers.

    Parameters
    ----------
    net : Network
        Left as it is.
    X, Y : array_like, shapes (m, n_0) and (m, n_L)
        In the user's units; arguments as for `Network.trace`.
    learning_rate : float
        Of the step.
    loss, sample_weight
        As for `net.gradient`.
    inputs, outputs : sequence of str, optional
        Names of the columns of X and Y; default x_1, x_2, ... and y_1, ...
    samples : sequence of str, optional
        What the rows are called; default "sample 1", ...

    Raises
    ------
    TypeError, ValueError
        An argument is not as above, or the names do not fit in number.
    DivergedError
        The cost or a derivative is not finite.
    """

    def __init__(
        self,
        net: Network,
        X: Any,
        Y: Any,
        learning_rate: float = 0.5,
        loss: LossLike = "mse",
        inputs: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
        samples: Sequence[str] | None = None,
        sample_weight: Any = None,
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"net must be a Network, got {shown(net)} ({type(net).__name__})")
        self.net = net
        self.loss = checked_loss(loss)
        sgd = SGD(learning_rate)
        self.learning_rate = float(learning_rate)
        X, Y = _rows(X, net.n[0]), _rows(Y, self.loss.n_targets(net.n[-1]))
        # raises what trace would keep to itself
        gradient = net.gradient(X, Y, self.loss, sample_weight)
        self.trace = net.trace(X, Y, self.loss, sample_weight)
        self.written = Written(self.trace)
        self.objective = self.written.objective
        self.X, self.Y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
        self.Y = self.Y.reshape(len(self.X), -1)
        self.y = np.asarray(self.trace.Y)
        self.squared_norm = float(np.sum(np.square(gradient.theta, dtype=np.float64)))
        self.inputs = _names(inputs, "inputs", net.n[0], "x_{}")
        self.outputs = _names(outputs, "outputs", self.n_targets, "y_{}")
        self.outputs += [f"log-variance of {name}" for name in self.outputs][
            : net.n[-1] - self.n_targets
        ]
        self.samples = _names(samples, "samples", self.m, "sample {}")
        self.named = inputs is not None

        self.after = net.copy()
        Trainer(self.after, sgd, loss=self.loss).step(X, Y, sample_weight)
        self.cost_after = self.after.cost(X, Y, self.loss, sample_weight)

        # the same in float64, by the reference
        self._W, self._b = _layers(net.W), _layers(net.b)
        self.activations = tuple(layer.activation for layer in net.layers)
        self._a0 = np.array(self.trace.a[0], np.float64)
        self.ref_z, self.ref_a = reference.forward(self._W, self._b, self.activations, self._a0)
        objective = self.objective
        self.ref_cost = float(objective.cost(self.ref_a[-1]))
        self.ref_delta, self.ref_dW, self.ref_db = reference.backward(
            self._W,
            self.activations,
            self.ref_z,
            self.ref_a,
            objective.Y,
            objective.loss,
            objective.weight,
        )
        self.show(MOST_NUMBERS)
        self._explained: dict[tuple[int, ...], Explanation] = {}

    def show(self, numbers: int) -> None:
        """Choose what is shown: about so many numbers at most."""
        sizes = [np.abs(g) for g in self.trace.dW]
        self.shown = select(self.net.n, self.m, sizes, numbers)

    @property
    def m(self) -> int:
        """Number of samples."""
        return len(self.X)

    @property
    def L(self) -> int:
        """Number of layers."""
        return self.net.L

    @property
    def n_targets(self) -> int:
        """Columns of Y."""
        return int(self.y.shape[1])

    @property
    def whole(self) -> bool:
        """Whether the page shows every number."""
        units = all(len(self.shown.units.get(l, ())) == n for l, n in enumerate(self.net.n))
        return units and len(self.shown.layers) == self.L and len(self.shown.samples) == self.m

    def explain(self, *place: int) -> Explanation:
        """`trace.explain(l, j, k)` or `trace.explain(l, j)`, computed once."""
        if place not in self._explained:
            self._explained[place] = self.trace.explain(*place)
        return self._explained[place]

    def reference_cost(self, net: Network) -> float:
        """The cost of a network like ours by the reference, in float64."""
        return self._cost(_layers(net.W), _layers(net.b))

    def _cost(self, W: Layers, b: Layers) -> float:
        a = reference.forward(W, b, self.activations, self._a0)[1][-1]
        return float(self.objective.cost(a))

    def derivative(self, l: int, i: int, j: int) -> float:
        """f'(z^l_j) of sample i, in float64."""
        z = self.ref_z[l][i - 1 : i, j - 1]
        return float(reference.ACTIVATIONS[self.activations[l - 1]][1](z)[0])

    def delta_check(self, l: int, i: int, j: int) -> tuple[float, bool]:
        """The central difference of the cost along z^l_j of sample i; whether a kink is near."""
        here = float(self.ref_z[l][i - 1, j - 1])
        h = float(np.cbrt(np.finfo(np.float64).eps)) * max(1.0, abs(here))
        up, signs_up = self._cost_from(l, i, j, here + h)
        down, signs_down = self._cost_from(l, i, j, here - h)
        return (up - down) / ((here + h) - (here - h)), signs_up != signs_down

    def _cost_from(self, l: int, i: int, j: int, value: float) -> tuple[float, list[bytes]]:
        """The cost when z^l_j of sample i has this value, and the sides of all kinks there."""
        z = self.ref_z[l][i - 1].copy()
        z[j - 1] = value
        signs = []
        a = z
        for k in range(l, self.L + 1):
            name = self.activations[k - 1]
            if k > l:
                z = self._W[k] @ a + self._b[k]
            a = reference.ACTIVATIONS[name][0](z)
            if name in {"relu", "leaky_relu"}:
                signs.append((z > 0).tobytes())
        moved = self.ref_a[-1].copy()
        moved[i - 1] = a
        signs.append(self.objective.sides(moved).tobytes())
        return float(self.objective.cost(moved)), signs

    @cached_property
    def largest(self) -> list[tuple[tuple[int, ...], float]]:
        """The places (l, j, k) or (l, j) of the largest derivatives of all, and their values."""
        found: list[tuple[tuple[int, ...], float]] = []
        for l in range(1, self.L + 1):
            for g in (self.trace.dW[l], self.trace.db[l]):
                flat = np.asarray(g).ravel()
                count = min(12, flat.size)
                for p in np.argpartition(-np.abs(flat), count - 1)[:count]:
                    place = tuple(int(x) + 1 for x in np.unravel_index(p, g.shape))
                    found.append(((l, *place), float(flat[p])))
        found.sort(key=lambda entry: (-abs(entry[1]), entry[0]))
        return found[:12]

    @cached_property
    def descent(self) -> list[tuple[float, float]]:
        """(t, C(theta - t dC/dtheta)) for steps t from 0 to twice the learning rate, float64."""
        dW, db = _layers(self.trace.dW), _layers(self.trace.db)
        points = []
        count = 40 if self.net.n_parameters * self.m < 1e6 else 8
        for t in np.linspace(0, 2 * self.learning_rate, count + 1):
            with np.errstate(all="ignore"):
                cost = self._cost(_moved(self._W, dW, t), _moved(self._b, db, t))
            if math.isfinite(cost):
                points.append((float(t), cost))
        return points


def _layers(arrays: Iterable[Array]) -> Layers:
    """Float64 copies, numbered from 1."""
    return [None, *(np.array(array, np.float64) for array in arrays)]


def _moved(theta: Layers, g: Layers, t: float) -> Layers:
    return [None, *(p - t * q for p, q in zip(theta[1:], g[1:], strict=True))]


def select(n: Sequence[int], m: int, sizes: Sequence[Array], most: int = MOST_NUMBERS) -> Shown:
    """Choose what has room: layers from both ends, then the units with the largest derivatives.

    Parameters
    ----------
    n : sequence of int
        n[0] inputs and n[l] units of layer l.
    m : int
        Number of samples.
    sizes : sequence of ndarray
        abs(dW[l]) (n_l, n_{l-1}) of the layers 1..L.
    most : int
        Numbers with a formula, about.
    """
    L = len(n) - 1
    half = MOST_LAYERS // 2
    layers = [l for l in range(1, L + 1) if L <= MOST_LAYERS or l <= half or l > L - half]
    samples = tuple(range(1, min(m, MOST_SAMPLES) + 1))
    columns = sorted({0, *layers, *(l - 1 for l in layers)})

    def numbers(widest: int) -> int:
        widths = {l: min(n[l], widest) for l in columns}
        weights = sum(widths[l] * widths[l - 1] for l in layers) + sum(widths.values())
        return weights + len(samples) * 3 * sum(widths.values())

    if numbers(WIDEST) <= most:
        widest = WIDEST
    else:
        widest = max((w for w in range(1, WIDEST) if numbers(w) <= most), default=1)
    units = {l: _largest(l, n[l], widest, sizes) for l in columns}
    return Shown(tuple(layers), units, samples)


def _largest(l: int, width: int, most: int, sizes: Sequence[Array]) -> tuple[int, ...]:
    """The numbers of the `most` units of layer l whose weights have the largest derivatives."""
    if width <= most:
        return tuple(range(1, width + 1))
    size = sizes[l - 1].max(axis=1) if l else sizes[0].max(axis=0)
    chosen = np.argsort(-size, kind="stable")[:most]
    return tuple(sorted(int(j) + 1 for j in chosen))


def _rows(values: Any, width: int) -> Any:
    """One sample, given as a vector or a number, becomes a matrix of one row."""
    array = np.asarray(values)
    if array.ndim == 0 or (array.ndim == 1 and array.shape == (width,)):
        return array.reshape(1, -1)
    return values


def _names(names: Sequence[str] | None, what: str, count: int, default: str) -> list[str]:
    if names is None:
        return [default.format(k) for k in range(1, count + 1)]
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{what} must be a list of {count} str, got {shown(names)}")
    if len(names) != count:
        raise ValueError(f"{what} must have {count} names, got {len(names)}")
    return [name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "\u2026"
            for name in names]  # fmt: skip
