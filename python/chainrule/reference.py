"""The lecture's mathematics in NumPy, one line per equation: what the fast core is held against.

Samples are rows. Lists are numbered as in the lecture: W, b, z, delta, dW, db from 1 to L with
None at 0, and a[0] = X. Everything works for float64, float32 and complex128 (complex step: the
relu family looks at the real part alone). Called by gradcheck and by the tests; imports NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Layers = list[Any]  # [None or X, then one array per layer]

LEAK = 0.01  # slope of leaky_relu for z <= 0

# Activations: f(z), and its derivative f'(z) below it, without cancellation or overflow.


def identity(z: Array) -> Array:
    return z


def d_identity(z: Array) -> Array:
    return np.ones_like(z)


def relu(z: Array) -> Array:
    return np.where(z.real <= 0, 0, z)


def d_relu(z: Array) -> Array:
    return np.where(z.real > 0, 1, 0).astype(z.dtype)  # relu'(0) = 0


def leaky_relu(z: Array) -> Array:
    return np.where(z.real > 0, z, LEAK * z)


def d_leaky_relu(z: Array) -> Array:
    return np.where(z.real > 0, 1, LEAK).astype(z.dtype)  # leaky_relu'(0) = 0.01


def sigmoid(z: Array) -> Array:
    e = _exp_minus_abs(z)
    a: Array = np.where(z.real > 0, 1, e) / (1 + e)  # 1 / (1 + exp(-z)), split by the sign of z
    return a


def d_sigmoid(z: Array) -> Array:
    return sigmoid(z) * sigmoid(-z)  # a (1 - a), without the cancellation in 1 - a


def tanh(z: Array) -> Array:
    a: Array = np.tanh(z)
    return a


def d_tanh(z: Array) -> Array:
    return 4 * d_sigmoid(2 * z)  # 1 - a^2, without the cancellation


def softplus(z: Array) -> Array:
    return relu(z) + _log1p(_exp_minus_abs(z))  # log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))


def d_softplus(z: Array) -> Array:
    return sigmoid(z)


def gelu(z: Array) -> Array:
    return _times(z, _Phi(z))  # z Phi(z), Phi the distribution of a standard normal variable


def d_gelu(z: Array) -> Array:
    return _Phi(z) + _times(z, _phi(z))


def silu(z: Array) -> Array:
    return _times(z, sigmoid(z))


def d_silu(z: Array) -> Array:
    return sigmoid(z) + _times(z, d_sigmoid(z))


def _exp_minus_abs(z: Array) -> Array:
    return np.exp(np.where(z.real > 0, -z, z))


def _log1p(w: Array) -> Array:
    if not np.iscomplexobj(w):
        value: Array = np.log1p(w)
    else:  # NumPy's own rounds 1 + w: log|1 + w| from |1 + w|^2 - 1
        modulus = 0.5 * np.log1p(w.real * (2 + w.real) + w.imag**2)
        value = modulus + 1j * np.arctan2(w.imag, 1 + w.real)
    return value


def _Phi(z: Array) -> Array:
    x = z.real
    upper = np.vectorize(math.erfc, otypes=[float])(-x / math.sqrt(2)).astype(x.dtype)
    step = 1j * z.imag * _phi(x) if np.iscomplexobj(z) else 0  # Phi(x + ih) = Phi(x) + ih phi(x)
    value: Array = 0.5 * upper + step
    return value


def _phi(z: Array) -> Array:
    with np.errstate(over="ignore"):  # z^2 may be infinite: phi is 0 there
        density: Array = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return density


def _times(z: Array, p: Array) -> Array:
    return np.where(p == 0, 0, z) * p  # z p(z) -> 0 where p does: p falls faster than |z| grows


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "identity": (identity, d_identity),
    "relu": (relu, d_relu),
    "leaky_relu": (leaky_relu, d_leaky_relu),
    "sigmoid": (sigmoid, d_sigmoid),
    "tanh": (tanh, d_tanh),
    "softplus": (softplus, d_softplus),
    "gelu": (gelu, d_gelu),
    "silu": (silu, d_silu),
}


# The network: forward, cost, backward.


def forward(W: Layers, b: Layers, activations: Sequence[str], X: Array) -> tuple[Layers, Layers]:
    """Return z and a of every layer, each (m, n_l). `activations` has one name per layer."""
    L = len(W) - 1
    z: Layers = [None] * (L + 1)
    a: Layers = [X] + [None] * L
    for l in range(1, L + 1):
        f, _ = ACTIVATIONS[activations[l - 1]]
        z[l] = a[l - 1] @ W[l].T + b[l]  # (Z) z^l = a^{l-1} W^lT + b^l
        a[l] = f(z[l])  # (A) a^l = f(z^l)
    return z, a


def divisor(Y: Array, reduction: str) -> int:
    """Return D of C = sum (a^L - Y)^2 / D: m n_L (mean), 2 m n_L (half_mean) or 1 (sum)."""
    return {"mean": Y.size, "half_mean": 2 * Y.size, "sum": 1}[reduction]


def cost(a_L: Array, Y: Array, reduction: str = "mean") -> Any:
    """Return the mean of the squared errors over all m * n_L elements, half of it, or the sum."""
    return np.sum((a_L - Y) ** 2) / divisor(Y, reduction)  # (MSE) C = sum (a^L - Y)^2 / D


def backward(
    W: Layers,
    activations: Sequence[str],
    z: Layers,
    a: Layers,
    Y: Array,
    reduction: str = "mean",
) -> tuple[Layers, Layers, Layers]:
    """Return delta = dC/dz (m, n_l), dW (n_l, n_{l-1}) and db (n_l,) of every layer."""
    L = len(W) - 1
    delta: Layers = [None] * (L + 1)
    dW: Layers = [None] * (L + 1)
    db: Layers = [None] * (L + 1)
    for l in range(L, 0, -1):
        _, df = ACTIVATIONS[activations[l - 1]]
        if l == L:
            dC_da = 2 / divisor(Y, reduction) * (a[L] - Y)  # 2 / D, once for all
            delta[L] = dC_da * df(z[L])  # (BP1) delta^L = dC/da^L * f'(z^L)
        else:
            delta[l] = (delta[l + 1] @ W[l + 1]) * df(z[l])  # (BP2) delta^l, from the layer above
        db[l] = delta[l].sum(axis=0)  # (BP3) db^l = sum_i delta^l_i
        dW[l] = delta[l].T @ a[l - 1]  # (BP4) dW^l = delta^lT a^{l-1}
    return delta, dW, db


def gradient(
    W: Layers,
    b: Layers,
    activations: Sequence[str],
    X: Array,
    Y: Array,
    reduction: str = "mean",
) -> tuple[Any, Layers, Layers]:
    """Return the cost and its derivatives dW, db by backpropagation."""
    z, a = forward(W, b, activations, X)
    _, dW, db = backward(W, activations, z, a, Y, reduction)
    return cost(a[-1], Y, reduction), dW, db


# The same derivatives without backpropagation, one parameter at a time.


def numerical_gradient(
    W: Layers,
    b: Layers,
    activations: Sequence[str],
    X: Array,
    Y: Array,
    h: float | None = None,
    reduction: str = "mean",
) -> tuple[Layers, Layers]:
    """Return dW, db by central differences with step h * max(1, |theta|).

    Without `h`, the cube root of the spacing of 1: 6.06e-6 in float64, where the error of the
    formula (h^2) and that of rounding the cost (1 / h) are about equal.
    """
    W, b, dW, db = _copy(W), _copy(b), _copy(W), _copy(b)
    h = float(np.cbrt(np.finfo(X.dtype).eps)) if h is None else h
    for theta, g, place in _parameters(W, b, dW, db):
        here = theta[place]
        step = h * max(1, abs(here))
        theta[place] = here + step
        above, up = theta[place], cost(forward(W, b, activations, X)[1][-1], Y, reduction)
        theta[place] = here - step
        below, down = theta[place], cost(forward(W, b, activations, X)[1][-1], Y, reduction)
        theta[place] = here
        g[place] = (up - down) / (above - below)  # the step really made, after rounding
    return dW, db


def complex_step_gradient(
    W: Layers,
    b: Layers,
    activations: Sequence[str],
    X: Array,
    Y: Array,
    h: float = 1e-30,
    reduction: str = "mean",
) -> tuple[Layers, Layers]:
    """Return dW, db as Im C(theta + ih) / h: no difference is taken, so nothing cancels."""
    dW, db = _copy(W), _copy(b)
    W, b = _copy(W, np.complex128), _copy(b, np.complex128)
    for theta, g, place in _parameters(W, b, dW, db):
        here = theta[place]
        theta[place] = here + 1j * h
        g[place] = cost(forward(W, b, activations, X)[1][-1], Y, reduction).imag / h
        theta[place] = here
    return dW, db


def _copy(layers: Layers, dtype: Any = None) -> Layers:
    return [None, *(np.array(p, dtype=dtype) for p in layers[1:])]


def _parameters(
    W: Layers, b: Layers, dW: Layers, db: Layers
) -> Iterator[tuple[Array, Array, tuple[int, ...]]]:
    for theta, g in [*zip(W[1:], dW[1:], strict=True), *zip(b[1:], db[1:], strict=True)]:
        for place in np.ndindex(theta.shape):
            yield theta, g, place


# Gradient descent.


def sgd(theta: Array, g: Array, learning_rate: float) -> Array:
    """Return theta after one step against the gradient g."""
    return theta - learning_rate * g  # (GD) theta = theta - lr dC/dtheta


def momentum(
    theta: Array, v: Array, g: Array, learning_rate: float, mu: float
) -> tuple[Array, Array]:
    """Return theta and the velocity v after one step; mu = 0 is `sgd`."""
    v = mu * v + g  # (GD) v = mu v + dC/dtheta
    return theta - learning_rate * v, v  # (GD) theta = theta - lr v


def nesterov(
    theta: Array, v: Array, g: Array, learning_rate: float, mu: float
) -> tuple[Array, Array]:
    """Return theta and the velocity v after one step that looks ahead."""
    v = mu * v + g
    return theta - learning_rate * (g + mu * v), v


def rmsprop(
    theta: Array, q: Array, g: Array, learning_rate: float, alpha: float = 0.99, eps: float = 1e-8
) -> tuple[Array, Array]:
    """Return theta and the mean square q after one step."""
    q = alpha * q + (1 - alpha) * g**2
    return theta - learning_rate * g / (np.sqrt(q) + eps), q


def adam(
    theta: Array,
    v: Array,
    q: Array,
    g: Array,
    t: int,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """Return theta, the mean v and the mean square q after step t = 1, 2, ..."""
    beta_1, beta_2 = betas
    v = beta_1 * v + (1 - beta_1) * g
    q = beta_2 * q + (1 - beta_2) * g**2
    v_hat, q_hat = v / (1 - beta_1**t), q / (1 - beta_2**t)  # without the bias towards 0
    return theta - learning_rate * v_hat / (np.sqrt(q_hat) + eps), v, q


def rprop(
    theta: Array,
    g_before: Array,
    h: Array,
    g: Array,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
) -> tuple[Array, Array, Array]:
    """Return theta, the slope to remember and the step sizes h after one step."""
    same = np.sign(g) * np.sign(g_before)
    h = np.clip(h * np.where(same > 0, etas[1], np.where(same < 0, etas[0], 1)), *step_sizes)
    g = np.where(same < 0, 0, g)
    return theta - np.sign(g) * h, g, h


def fit(
    W: Layers,
    b: Layers,
    activations: Sequence[str],
    X: Array,
    Y: Array,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    momentum: float = 0.0,
    order: Callable[[int], Array] | None = None,
    reduction: str = "mean",
) -> list[float]:
    """Train in place and return the cost of each epoch.

    `order(epoch)`, epochs counted from 0, is the permutation of the rows; without it they go in
    order. The last batch may be smaller. A batch's cost is taken before its step, and an epoch's
    cost is the mean over its rows, or the sum over them where the cost itself is a sum.
    """
    m = len(X)
    theta = [*W[1:], *b[1:]]
    v = [np.zeros_like(p) for p in theta]
    costs = []
    for epoch in range(epochs):
        rows = np.arange(m) if order is None else order(epoch)
        total = 0.0
        for start in range(0, m, batch_size):
            batch = rows[start : start + batch_size]
            C, dW, db = gradient(W, b, activations, X[batch], Y[batch], reduction)
            for i, g in enumerate([*dW[1:], *db[1:]]):
                theta[i][...], v[i] = _step(theta[i], v[i], g, learning_rate, momentum)
            total += float(C) * (1 if reduction == "sum" else len(batch))
        costs.append(total if reduction == "sum" else total / m)
    return costs


_step = momentum  # the function: inside `fit` its name is the parameter's


# L-BFGS on full batches: Nocedal and Wright, Numerical Optimization, second edition, 2006.

Line = tuple[float, float, float]  # a point of a line: alpha, phi(alpha), phi'(alpha)
Pairs = list[tuple[Array, Array]]  # s = theta' - theta, y = g' - g; the oldest first


def lbfgs_direction(g: Array, pairs: Pairs) -> Array:
    """Return d = -H g by the two-loop recursion (algorithm 7.4)."""
    q, a = g.copy(), []
    for s, y in reversed(pairs):
        a.append((s @ q) / (s @ y))
        q = q - a[-1] * y
    d = q * ((pairs[-1][0] @ pairs[-1][1]) / (pairs[-1][1] @ pairs[-1][1])) if pairs else q
    for s, y in pairs:
        d = d + s * (a.pop() - (y @ d) / (s @ y))
    direction: Array = -d
    return direction


def cubic_minimum(p: Line, q: Line) -> float:
    """Return where the cubic through both points has its minimum (3.59), NaN for nowhere."""
    (t, C, slope), (t_q, C_q, slope_q) = p, q
    d1 = slope + slope_q - 3 * (C - C_q) / (t - t_q)
    if d1**2 < slope * slope_q:
        return math.nan
    d2 = math.copysign(math.sqrt(d1**2 - slope * slope_q), t_q - t)
    return t_q - (t_q - t) * ((slope_q + d2 - d1) / (slope_q - slope + 2 * d2))


def strong_wolfe(
    phi: Callable[[float], tuple[float, float]],
    C: float,
    slope: float,
    first: float,
    c1: float = 1e-4,
    c2: float = 0.9,
    most: int = 25,
    resolution: float = 0.0,
) -> tuple[Line | None, bool]:
    """Return a point of the line that satisfies the strong Wolfe conditions, and True.

    `phi(alpha)` gives the value and the slope, C and slope are those at 0, `first` is tried first
    (algorithms 3.5 and 3.6). After `most` evaluations: the lowest point so far that decreases
    enough, or None; and False.
    """

    def decreases(p: Line) -> bool:  # (3.7a)
        return math.isfinite(p[1]) and math.isfinite(p[2]) and p[1] <= C + c1 * p[0] * slope

    def flat(p: Line) -> bool:  # (3.7b)
        return abs(p[2]) <= c2 * abs(slope)

    low: Line = (0.0, C, slope)
    high: Line | None = None
    alpha = first
    while high is None and most > 0:  # algorithm 3.5: until a minimum lies between low and high
        p, most = (alpha, *phi(alpha)), most - 1
        if not decreases(p) or (low[0] > 0 and p[1] >= low[1]):
            high = p
        elif flat(p):
            return p, True
        elif p[2] >= 0:
            low, high = p, low
        else:
            lowest = cubic_minimum(low, p)
            alpha = min(max(lowest, 1.1 * alpha), 10 * alpha) if lowest > alpha else 10 * alpha
            low = p
    while high is not None and most > 0:  # algorithm 3.6: low is the best, and slopes towards high
        width, left = abs(high[0] - low[0]), min(low[0], high[0])
        if width <= resolution:
            break
        lowest = cubic_minimum(low, high) if math.isfinite(high[1] + high[2]) else math.nan
        if not math.isfinite(lowest):
            alpha = left + width / 2
        else:
            alpha = min(max(lowest, left + 0.1 * width), left + 0.9 * width)
        p, most = (alpha, *phi(alpha)), most - 1
        if not decreases(p) or p[1] >= low[1]:
            high = p
        else:
            if flat(p):
                return p, True
            if p[2] * (high[0] - low[0]) >= 0:
                high = low
            low = p
    return (low if low[0] > 0 else None), False


def lbfgs(
    f: Callable[[Array], tuple[float, Array]],
    theta: Array,
    iterations: int,
    learning_rate: float = 1.0,
    history_size: int = 10,
    tolerance_grad: float = 1e-7,
    tolerance_change: float = 1e-9,
    max_line_search: int = 25,
    pairs: Pairs | None = None,
) -> tuple[list[float], list[Array], str]:
    """Return the cost and theta after each iteration, and why it ended (algorithm 7.5).

    `f(theta)` gives the cost and its gradient; "gradient", "change", "line_search" or "epochs".
    An iteration that has nothing to do, or finds nothing lower, leaves theta as it is. `pairs` are
    changes from before.
    """
    costs: list[float] = []
    thetas: list[Array] = []
    pairs = list(pairs or [])
    C, g = f(theta)
    ended = "gradient" if np.abs(g).max() <= tolerance_grad else "epochs"
    for _ in range(iterations):
        p: Line | None = None
        while ended != "gradient":
            d = lbfgs_direction(g, pairs)
            first = learning_rate * (1.0 if pairs else min(1.0, 1 / float(np.linalg.norm(g))))

            def phi(alpha: float, d: Array = d, theta: Array = theta) -> tuple[float, float]:
                value, slope = f(theta + alpha * d)
                return value, float(slope @ d)

            resolution = tolerance_change / np.abs(d).max()
            p, _ = strong_wolfe(
                phi, C, float(g @ d), first, most=max_line_search, resolution=resolution
            )
            if p is not None or not pairs:
                break
            pairs = []  # and try again along the gradient
        if p is None:
            ended = ended if ended == "gradient" else "line_search"
        else:
            before, C_before, g_before = theta, C, g
            theta = theta + p[0] * d
            C, g = f(theta)
            s, y = theta - before, g - g_before
            if s @ y > np.finfo(s.dtype).eps * np.linalg.norm(s) * np.linalg.norm(y):
                pairs = [*pairs, (s, y)][-history_size:]
            if np.abs(g).max() <= tolerance_grad:
                ended = "gradient"
            elif min(np.abs(s).max(), abs(C_before - C)) <= tolerance_change:
                ended = "change"
        costs.append(C)
        thetas.append(theta)
        if ended != "epochs":
            break
    return costs, thetas, ended
