"""A gradient against the reference, with a bound of what rounding alone explains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..losses import Loss
from ..network import Network
from ..objective import Objective
from .parameters import JUMP, NetworkParameters

Array = NDArray[Any]

# Rounding is followed through both passes as independent random errors (see `reference_gradient`).
# In float32 networks of 1 to 9 layers, with all weights positive too, the real errors came to 3.2
# of the standard deviations found so, at most: what is five times that is not rounding.
DEVIATIONS = 16
CURVATURE = {  # the largest |f''|: what an error of z does to f'(z)
    "sigmoid": 1 / (6 * math.sqrt(3)),
    "tanh": 4 / (3 * math.sqrt(3)),
    "softplus": 0.25,
    "gelu": math.sqrt(2 / math.pi),
    "silu": 0.5,
}


@dataclass(frozen=True)
class Compared:
    """A gradient and the reference's; a distance within `bound` is rounding."""

    a: list[Array]  # of the reference; a[0] = X as the network sees it
    got: Array
    true: Array
    size: Array  # of the terms that each derivative is summed from
    bound: Array  # of their distance
    cost_deviation: float  # of the rounding of the cost

    def ratio(self, right: Array | None = None) -> Array:
        """The distance from `right`, or else from the reference, over its bound: <= 1 is right."""
        return np.asarray(np.abs(self.got - (self.true if right is None else right)) / self.bound)

    @property
    def wrong(self) -> Array:
        return np.asarray(~(self.ratio() <= 1))


def compare(theta: NetworkParameters, net: Network, X: Any, Y: Any, weight: Any = None) -> Compared:
    info = np.finfo(net.dtype)
    x, objective = seen_by(net, X, Y, theta.loss, weight)
    a, true, size, bound, cost_deviation = reference_gradient(
        theta, x, objective, float(info.eps) / 2
    )
    weighted = () if weight is None else (weight,)
    g = net.gradient(X, Y, theta.loss, *weighted)
    got = theta.row(g.dW, g.db)
    bound += float(info.tiny) / float(info.eps)  # below, a factor may have been subnormal
    return Compared(a, got, true, size, bound, cost_deviation)


def seen_by(net: Network, X: Any, Y: Any, loss: Loss, weight: Any) -> tuple[Array, Objective]:
    """X and the cost of the outputs, as the network sees them, in float64."""
    x, y = net._prepare(X, Y, loss)
    if weight is not None:
        weight = net._weights(weight, len(x), loss)
    return np.asarray(x, np.float64), Objective(loss, y, weight)


def reference_gradient(
    theta: NetworkParameters, X: Array, objective: Objective, u: float
) -> tuple[list[Array], Array, Array, Array, float]:
    """The reference's a and gradient, its terms' sizes, a bound of its rounding, the cost's sigma.

    Every operation of unit roundoff u adds a variance V, and a variance passes through a product
    or an activation with the square of the derivative. Where z is so near a kink that a relu unit
    may be on as well as off, the jump J of f' goes through as an absolute value.
    """
    W, b, names, L = theta.W, theta.b, theta.activations, theta.L
    z, a = reference.forward(W, b, names, X)
    Y, loss, weight = objective.Y, objective.loss, objective.weight
    delta, dW, db = reference.backward(W, names, z, a, Y, loss, weight)

    def total(terms: int, size: Array) -> Array:
        """V of a sum of products whose absolute values add up to `size`."""
        return np.asarray((u * (1 + math.sqrt(terms) / 3) * size) ** 2)

    V_a = [np.zeros_like(X)]
    V_f, slope, J = ([np.zeros(0)] for _ in range(3))  # of f'(z^l), numbered from 1
    for l, name in enumerate(names, 1):
        w, linear = W[l], name in ("identity", "relu")
        V_z = total(w.shape[1], abs(a[l - 1]) @ abs(w).T + abs(b[l])) + V_a[-1] @ (w**2).T
        V_bend = CURVATURE.get(name, 0.0) ** 2 * V_z
        slope.append(reference.ACTIVATIONS[name][1](z[l]))
        J.append(JUMP.get(name, 0.0) * (abs(z[l]) < DEVIATIONS * np.sqrt(V_z)))
        size = np.maximum(abs(a[l]), abs(z[l])) if name in ("gelu", "silu") else a[l]
        V_a.append(((slope[l] + J[l]) ** 2 + V_bend) * V_z + (0 if linear else 2 * u * size) ** 2)
        V_f.append(V_bend + (2 * u if name in CURVATURE else 0 if linear else u * slope[l]) ** 2)

    q, (size_of_values, size_of_q) = objective.slope(a[L]), objective.sizes(a[L])
    V_cost = np.sum(q**2 * V_a[L]) + np.sum((2 * u * size_of_values) ** 2)
    V_cost += (u * size_of_values.sum()) ** 2
    bound_W, bound_b, size_W, size_b = ([None] * (L + 1) for _ in range(4))
    terms = objective.terms(a[L])
    # q = dC/da^l with its V and J, from the last layer down
    V_q = objective.variance(a[L], V_a[L], DEVIATIONS) + (2 * u * size_of_q) ** 2
    J_q = objective.near_kink(a[L], DEVIATIONS * np.sqrt(V_a[L])) * objective.jump
    for l in range(L, 0, -1):
        d, w, a_in = abs(delta[l]), W[l], abs(a[l - 1])
        V_d = V_q * (slope[l] ** 2 + V_f[l]) + q**2 * V_f[l] + (u * d) ** 2
        J_d = J_q * (abs(slope[l]) + J[l]) + abs(q) * J[l]
        V_b = V_d.sum(axis=0) + total(len(d), d.sum(axis=0))
        V_W = V_d.T @ (a_in**2 + V_a[l - 1]) + (d**2).T @ V_a[l - 1] + total(len(d), d.T @ a_in)
        t = terms * _terms_of_slope(names[l - 1], a[l], slope[l])
        size_b[l], size_W[l] = t.sum(axis=0), t.T @ a_in
        terms = t @ abs(w)
        # Both sides round, hence the 2.
        bound_b[l] = DEVIATIONS * np.sqrt(2 * V_b) + J_d.sum(axis=0)
        bound_W[l] = DEVIATIONS * np.sqrt(2 * V_W) + J_d.T @ a_in
        q, V_q, J_q = delta[l] @ w, V_d @ w**2 + total(len(w), d @ abs(w)), J_d @ abs(w)
    sizes, bounds = theta.row(size_W, size_b), theta.row(bound_W, bound_b)
    return a, theta.row(dW, db), sizes, bounds, math.sqrt(V_cost)


def _terms_of_slope(name: str, a: Array, slope: Array) -> Array:
    """The size of what f'(z) is computed as a difference of: a (1 - a), 1 - a^2."""
    if name == "sigmoid":
        return a
    return np.ones_like(a) if name == "tanh" else np.abs(slope)
