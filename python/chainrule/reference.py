"""The lecture's mathematics in NumPy, one line per equation: what the fast core is held against.

Samples are rows. Lists are numbered as in the lecture: W, b, z, delta, dW, db from 1 to L with
None at 0, and a[0] = X. Everything works for float64, float32 and complex128 (complex step: the
relu family looks at the real part alone). Called by gradcheck and by the tests; imports NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

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


# Losses: what one row costs, c (m, outputs that count), and below it dc/da (m, n_L), before the
# division by D. e = a - y. Stable for any a: no difference of large numbers
# that the formula itself does not ask for, no overflow of what is finite.


def squared_error(a: Array, Y: Array) -> Array:
    return (a - Y) ** 2  # (MSE) c = e^2


def d_squared_error(a: Array, Y: Array) -> Array:
    return 2 * (a - Y)


def absolute_error(a: Array, Y: Array) -> Array:
    return _abs(a - Y)  # (MAE) c = |e|


def d_absolute_error(a: Array, Y: Array) -> Array:
    e = a - Y
    slope: Array = np.sign(e.real).astype(e.dtype)  # 0 at the kink
    return slope


def huber(a: Array, Y: Array, delta: float) -> Array:
    e, r = _abs(a - Y), np.minimum(abs((a - Y).real), delta)
    q = np.where(e.real <= delta, e, r)
    return q * (e - 0.5 * q)  # (HUB) c = e^2/2 where |e| <= delta, else delta (|e| - delta/2)


def d_huber(a: Array, Y: Array, delta: float) -> Array:
    e = a - Y
    return np.where(abs(e.real) <= delta, e, np.clip(e.real, -delta, delta))


def log_cosh(a: Array, Y: Array) -> Array:
    e = _abs(a - Y)
    near = e.real < 1
    u = _expm1(np.where(near, e, 0))
    small = _log1p(u * u / (2 * (1 + u)))  # cosh e - 1 = (exp(e) - 1)^2 / (2 exp(e))
    large = e - math.log(2) + _log1p(np.exp(-2 * e))
    return np.where(near, small, large)  # (LCH) c = log cosh e


def d_log_cosh(a: Array, Y: Array) -> Array:
    e: Array = a - Y
    return tanh(e)


def pinball(a: Array, Y: Array, *q: float) -> Array:
    e, q_j = a - Y, np.array(q, Y.dtype)  # one q, or one for each output
    v: Array = np.where(e.real > 0, (1 - q_j) * e, -q_j * e)
    return v  # (QTL) c = max(-q e, (1 - q) e)


def d_pinball(a: Array, Y: Array, *q: float) -> Array:
    e, q_j = a - Y, np.array(q, Y.dtype)
    slope: Array = np.where(e.real > 0, 1 - q_j, np.where(e.real < 0, -q_j, 0)).astype(e.dtype)
    return slope  # 0 at the kink


def poisson(a: Array, Y: Array) -> Array:
    v: Array = _exp(a) - Y * a
    return v  # (POI) c = exp(a) - y a


def d_poisson(a: Array, Y: Array) -> Array:
    slope: Array = _exp(a) - Y
    return slope


def binary_cross_entropy(a: Array, Y: Array) -> Array:
    v: Array = np.where(a.real > 0, (1 - Y) * a, -Y * a) + _log1p(_exp_minus_abs(a))
    return v  # (BCE) c = log(1 + exp(a)) - y a


def d_binary_cross_entropy(a: Array, Y: Array) -> Array:
    slope: Array = (1 - Y) * sigmoid(a) - Y * sigmoid(-a)  # sigmoid(a) - y
    return slope


def cross_entropy(a: Array, Y: Array) -> Array:
    below, others, _ = _softmax_parts(a)
    v: Array = np.sum(Y * -below + Y * _log1p(others), axis=1, keepdims=True)
    return v  # (CE) c = -sum_j y_j log softmax(a)_j, one for each row


def d_cross_entropy(a: Array, Y: Array) -> Array:
    below, others, largest = _softmax_parts(a)
    S = Y.sum(axis=1, keepdims=True)
    slope = S * np.exp(below) / (1 + others) - Y  # S softmax(a)_j - y_j
    rest = np.where(largest, 0, Y).sum(axis=1, keepdims=True)
    return np.asarray(np.where(largest, rest - S * others / (1 + others), slope))


def gaussian_nll(a: Array, Y: Array, eps: float) -> Array:
    mean, s = np.split(a, 2, axis=1)  # the first half of the outputs, and the second
    log_v, inverse_v, _ = _variance_parts(s, eps)
    v: Array = 0.5 * (log_v + _times(inverse_v, (mean - Y) ** 2))
    return v  # (NLL) c = (log(var) + e^2/var)/2


def d_gaussian_nll(a: Array, Y: Array, eps: float) -> Array:
    mean, s = np.split(a, 2, axis=1)
    e = mean - Y
    _, inverse_v, share = _variance_parts(s, eps)
    d_s = 0.5 * (1 - _times(inverse_v, e**2)) * share
    return np.concatenate([_times(inverse_v, e), d_s], axis=1)


def _abs(e: Array) -> Array:
    return np.where(e.real < 0, -e, e)


def _exp(z: Array) -> Array:
    with np.errstate(over="ignore"):  # infinite is right
        value: Array = np.exp(z)
    return value


def _expm1(z: Array) -> Array:
    if not np.iscomplexobj(z):
        value: Array = np.expm1(z)
    else:  # exp(x) (cos y + i sin y) - 1
        x, y = z.real, z.imag
        real = np.expm1(x) * np.cos(y) - 2 * np.sin(0.5 * y) ** 2
        value = real + 1j * np.exp(x) * np.sin(y)
    return value


def _softmax_parts(a: Array) -> tuple[Array, Array, Array]:
    """a_j - max, the sum of exp of that over the others than the largest, which one that is."""
    top = a.real.argmax(axis=1)[:, None]
    largest = np.arange(a.shape[1]) == top
    below = a - np.take_along_axis(a, top, axis=1)
    others = np.where(largest, 0, np.exp(below)).sum(axis=1, keepdims=True)
    return below, others, largest


def _variance_parts(s: Array, eps: float) -> tuple[Array, Array, Array]:
    """log(var), 1/var and d log(var) / ds = exp(s)/var, of var = exp(s) + eps."""
    log_eps = math.log(eps) if eps > 0 else -math.inf
    above = s.real > log_eps
    r = _exp_minus_abs(s - log_eps)  # of the smaller to the larger of exp(s) and eps
    up, down = np.where(above, s, log_eps), np.where(above, 0, s)
    inverse = np.where(above, _exp(-up), 1 / eps if eps > 0 else 0)
    share = np.where(above, np.ones_like(s), np.exp(down) / eps if eps > 0 else 0)
    return up + _log1p(r), inverse / (1 + r), share / (1 + r)


class Loss(NamedTuple):
    """A loss: its row in `LOSSES`, its parameters, and what divides the sum.

    Anything with these three attributes will do where a loss is asked for, and its name alone
    where there are no parameters.
    """

    name: str = "mse"
    parameters: tuple[float, ...] = ()
    reduction: str = "mean"


LOSSES: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "mse": (squared_error, d_squared_error),
    "mae": (absolute_error, d_absolute_error),
    "huber": (huber, d_huber),
    "log_cosh": (log_cosh, d_log_cosh),
    "quantile": (pinball, d_pinball),
    "poisson": (poisson, d_poisson),
    "binary_cross_entropy": (binary_cross_entropy, d_binary_cross_entropy),
    "cross_entropy": (cross_entropy, d_cross_entropy),
    "gaussian_nll": (gaussian_nll, d_gaussian_nll),
}
COUPLED = {"cross_entropy"}  # one value for each row: it joins the outputs
DEFAULTS = {"huber": (1.0,), "quantile": (0.5,), "gaussian_nll": (1e-6,)}
REDUCTIONS = ("mean", "half_mean", "mean_rows", "sum")


def checked_loss(loss: Any = "mse", reduction: str | None = None) -> Any:
    """Return the loss that is meant, with `reduction` where one is given; see `cost`."""
    if callable(loss):
        return loss
    if isinstance(loss, str):
        loss = Loss("mse", (), loss) if loss in REDUCTIONS else Loss(loss, DEFAULTS.get(loss, ()))
    if loss.name not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}; got {loss.name!r}")
    return Loss(loss.name, tuple(loss.parameters), reduction or loss.reduction)


def values(a_L: Array, Y: Array, loss: Any = "mse") -> Array:
    """Return what each row costs before the division by D: (m, n_L), (m, 1) or (m, n_L / 2)."""
    loss = checked_loss(loss)
    return LOSSES[loss.name][0](a_L, Y, *loss.parameters)


def slopes(a_L: Array, Y: Array, loss: Any = "mse") -> Array:
    """Return the derivatives of the sum of each row's values by its outputs, (m, n_L)."""
    loss = checked_loss(loss)
    return LOSSES[loss.name][1](a_L, Y, *loss.parameters)


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


def divisor(
    Y: Array,
    loss: Any = "mse",
    weight: Array | None = None,
    *,
    reduction: str | None = None,
) -> Any:
    """Return D of C = sum of the values / D: how many there are (mean), twice that (half_mean).

    Of mean_rows the number of samples, of sum 1.
    With a weight (m,) of the samples their sum takes the place of m.
    """
    if callable(loss):
        return 1
    name, _, reduction = checked_loss(loss, reduction)
    rows = len(Y) if weight is None else weight.sum()
    number = rows * (1 if name in COUPLED else Y.shape[1])
    return {"mean": number, "half_mean": 2 * number, "mean_rows": rows, "sum": 1}[reduction]


def cost(
    a_L: Array,
    Y: Array,
    loss: Any = "mse",
    weight: Array | None = None,
    *,
    reduction: str | None = None,
) -> Any:
    """Return C, the sum of the weighted values of `loss` over D; by default the mean of (a - Y)^2.

    `loss` is a name in `LOSSES` or a record such as `Loss`; "mean", "half_mean" and "sum" are the
    squared error with that reduction. `weight` (m,) counts each sample. A loss may also be a
    function of a_L and Y that returns (C, dC/da).
    """
    if callable(loss):
        return loss(a_L, Y)[0]
    loss = checked_loss(loss, reduction)
    v = values(a_L, Y, loss)
    w = 1 if weight is None else weight[:, None]
    return np.sum(w * v) / divisor(Y, loss, weight)  # C = sum_i w_i c_i / D


def dC_da(
    a_L: Array,
    Y: Array,
    loss: Any = "mse",
    weight: Array | None = None,
    *,
    reduction: str | None = None,
) -> Array:
    """Return how the cost changes with the outputs, (m, n_L); arguments as `cost`."""
    if callable(loss):
        return np.asarray(loss(a_L, Y)[1])
    loss = checked_loss(loss, reduction)
    w = 1 if weight is None else weight[:, None]
    slope: Array = w / divisor(Y, loss, weight) * slopes(a_L, Y, loss)  # 1 / D, once for all
    return slope


def backward(
    W: Layers,
    activations: Sequence[str],
    z: Layers,
    a: Layers,
    Y: Array,
    loss: Any = "mse",
    weight: Array | None = None,
    *,
    reduction: str | None = None,
) -> tuple[Layers, Layers, Layers]:
    """Return delta = dC/dz (m, n_l), dW (n_l, n_{l-1}) and db (n_l,) of every layer."""
    L = len(W) - 1
    delta: Layers = [None] * (L + 1)
    dW: Layers = [None] * (L + 1)
    db: Layers = [None] * (L + 1)
    for l in range(L, 0, -1):
        _, df = ACTIVATIONS[activations[l - 1]]
        if l == L:
            slope = dC_da(a[L], Y, loss, weight, reduction=reduction)
            delta[L] = slope * df(z[L])  # (BP1) delta^L = dC/da^L * f'(z^L)
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
    loss: Any = "mse",
    weight: Array | None = None,
    *,
    reduction: str | None = None,
) -> tuple[Any, Layers, Layers]:
    """Return the cost and its derivatives dW, db by backpropagation."""
    z, a = forward(W, b, activations, X)
    loss = checked_loss(loss, reduction)
    _, dW, db = backward(W, activations, z, a, Y, loss, weight)
    return cost(a[-1], Y, loss, weight), dW, db


# The same derivatives without backpropagation, one parameter at a time.


def numerical_gradient(
    W: Layers,
    b: Layers,
    activations: Sequence[str],
    X: Array,
    Y: Array,
    h: float | None = None,
    loss: Any = "mse",
    weight: Array | None = None,
    *,
    reduction: str | None = None,
) -> tuple[Layers, Layers]:
    """Return dW, db by central differences with step h * max(1, |theta|).

    Without `h`, the cube root of the spacing of 1: 6.06e-6 in float64, where the error of the
    formula (h^2) and that of rounding the cost (1 / h) are about equal.
    """
    W, b, dW, db = _copy(W), _copy(b), _copy(W), _copy(b)
    h = float(np.cbrt(np.finfo(X.dtype).eps)) if h is None else h
    loss = checked_loss(loss, reduction)
    for theta, g, place in _parameters(W, b, dW, db):
        here = theta[place]
        step = h * max(1, abs(here))
        theta[place] = here + step
        above, up = theta[place], cost(forward(W, b, activations, X)[1][-1], Y, loss, weight)
        theta[place] = here - step
        below, down = theta[place], cost(forward(W, b, activations, X)[1][-1], Y, loss, weight)
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
    loss: Any = "mse",
    weight: Array | None = None,
    *,
    reduction: str | None = None,
) -> tuple[Layers, Layers]:
    """Return dW, db as Im C(theta + ih) / h: no difference is taken, so nothing cancels."""
    loss = checked_loss(loss, reduction)
    dW, db = _copy(W), _copy(b)
    W, b = _copy(W, np.complex128), _copy(b, np.complex128)
    for theta, g, place in _parameters(W, b, dW, db):
        here = theta[place]
        theta[place] = here + 1j * h
        g[place] = cost(forward(W, b, activations, X)[1][-1], Y, loss, weight).imag / h
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
    loss: Any = "mse",
    weight: Array | None = None,
    *,
    reduction: str | None = None,
) -> list[float]:
    """Train in place and return the cost of each epoch.

    `order(epoch)`, epochs counted from 0, is the permutation of the rows; without it they go in
    order. The last batch may be smaller. A batch's cost is taken before its step, and an epoch's
    cost is the mean over its rows (by their weight), or the sum where the cost itself is a sum.
    """
    m, loss = len(X), checked_loss(loss, reduction)
    summed = callable(loss) or loss.reduction == "sum"
    w = np.ones(m) if weight is None else weight
    theta = [*W[1:], *b[1:]]
    v = [np.zeros_like(p) for p in theta]
    costs = []
    for epoch in range(epochs):
        rows = np.arange(m) if order is None else order(epoch)
        total = 0.0
        for start in range(0, m, batch_size):
            batch = rows[start : start + batch_size]
            w_batch = None if weight is None else weight[batch]
            C, dW, db = gradient(W, b, activations, X[batch], Y[batch], loss, w_batch)
            for i, g in enumerate([*dW[1:], *db[1:]]):
                theta[i][...], v[i] = _step(theta[i], v[i], g, learning_rate, momentum)
            total += float(C) * (1 if summed else float(w[batch].sum()))
        costs.append(total if summed else total / float(w.sum()))
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
