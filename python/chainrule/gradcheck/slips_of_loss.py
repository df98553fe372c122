"""Slips in dC/da^L, the beginning of (BP1): for every loss, and for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from .ingredients import Ingredients
from .slip import Layers, Slip

Array = NDArray[Any]
Changed = Callable[[Ingredients, Array, Array], Array | None]  # another dC/da^L, of a^L and Y

OF_ERRORS = "mse mae huber log_cosh quantile"  # functions of a^L - Y
SIGN = "The sign tells which way to go."
ROWS = "Rows of X and Y must stay together."
OUTPUTS = "The cost sums over all n_L outputs."
LOGITS = "The slope of the loss by its logits holds that already."


def _unit(p: Ingredients, i: int) -> Array:
    row = np.zeros(p.n[-1])
    row[i] = 1
    return row


def _residual(change: Callable[[Array, Array], Array]) -> Changed:
    """Of the squared error, whose slope is 2 w / D times this."""
    return lambda p, a, Y: 2 * p.scale * change(a, Y)


def _value(change: Callable[[Array, Array], Array]) -> Changed:
    """w / D times this."""
    return lambda p, a, Y: p.scale * change(a, Y)


def _parameter(change: Callable[[Array, Array, Any], Array]) -> Changed:
    """w / D times this; the third argument are the loss's parameters."""
    return lambda p, a, Y: p.scale * change(a, Y, reference.checked_loss(p.anatomy.loss).parameters)


def _without_Y(p: Ingredients, a: Array, Y: Array) -> Array | None:
    if p.anatomy.name == "cross_entropy":
        return np.asarray(p.dC_da + p.scale * Y)
    return p.of_outputs(a, 0 * Y) if p.anatomy.name else None


def _mean_Y(p: Ingredients, a: Array, Y: Array) -> Array | None:
    return p.of_outputs(a, 0 * Y + Y.mean(axis=0)) if p.m > 1 else None


def _rows_of_Y(shift: int) -> Changed:
    return lambda p, a, Y: p.of_outputs(a, np.roll(Y, shift, 0)) if p.m > 1 else None


def _first(p: Ingredients, a: Array, Y: Array) -> Array | None:
    return p.dC_da * _unit(p, 0) if p.n[-1] > 1 else None


def _last(p: Ingredients, a: Array, Y: Array) -> Array | None:
    return p.dC_da * _unit(p, -1) if p.n[-1] > 1 else None


def _but_last(p: Ingredients, a: Array, Y: Array) -> Array | None:
    return p.dC_da * (1 - _unit(p, -1)) if p.n[-1] > 2 else None


def _unweighted(p: Ingredients, a: Array, Y: Array) -> Array | None:
    return None if p.anatomy.weight is None else reference.dC_da(a, Y, p.anatomy.loss)


def _over_m(p: Ingredients, a: Array, Y: Array) -> Array | None:
    w = p.anatomy.weight
    return None if w is None or p.anatomy.reduction == "sum" else p.dC_da * (w.sum() / p.m)


def _softmax(a: Array, axis: int) -> Array:
    e = np.exp(a - a.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def _gaussian(change: Callable[[Array, Array, Array], tuple[Array, Array]]) -> Changed:
    """From e, s and the variance: the slopes by the mean and by s."""

    def changed(p: Ingredients, a: Array, Y: Array) -> Array:
        mean, s = np.split(a, 2, axis=1)
        eps = reference.checked_loss(p.anatomy.loss).parameters[0]
        return np.asarray(p.scale * np.concatenate(change(mean - Y, s, np.exp(s) + eps), axis=1))

    return changed


def _by_s(e: Array, s: Array, v: Array) -> Array:
    return 0.5 * (1 - e**2 / v) * np.exp(s) / v


# Of which losses ("": any), the slip, what it goes against, dC/da^L with it.
RESIDUALS: list[tuple[str, str, str, Changed]] = [
    (
        OF_ERRORS,
        "Y is added to a^L instead of subtracted",
        "dC/da^L has a^L - Y.",
        lambda p, a, Y: p.of_outputs(a, -Y),
    ),
    ("", "Y is left out", "dC/da^L has a^L - Y.", _without_Y),
    (
        "mse",
        "(a^L - Y)^2 stands for a^L - Y",
        "The derivative of the square is not the square.",
        _residual(lambda a, Y: (a - Y) ** 2),
    ),
    ("mse", "|a^L - Y| stands for a^L - Y", SIGN, _residual(lambda a, Y: np.abs(a - Y))),
    (
        "mse",
        "the sign of a^L - Y stands for 2 (a^L - Y)",
        "That is the derivative of the absolute error, not of the squared one.",
        _value(lambda a, Y: np.sign(a - Y)),
    ),
    (
        "",
        "the mean of Y over the samples stands for Y",
        "Y of shape (m,) against a^L of shape (m, 1) makes a table of all pairs: give Y two"
        " dimensions.",
        _mean_Y,
    ),
    ("", "Y is shifted down by one row", ROWS, _rows_of_Y(1)),
    ("", "Y is shifted up by one row", ROWS, _rows_of_Y(-1)),
    ("", "only the first output counts", OUTPUTS, _first),
    ("", "only the last output counts", OUTPUTS, _last),
    ("", "the last output is left out", OUTPUTS, _but_last),
    ("", "the weights of the samples are left out", "Sample i counts w_i times.", _unweighted),
    ("", "the weighted sum is divided by m", "D has the sum of the weights for m.", _over_m),
    (
        "mae huber log_cosh quantile poisson binary_cross_entropy cross_entropy",
        "the sign of dC/da^L is lost",
        SIGN,
        lambda p, a, Y: np.abs(p.dC_da),
    ),
    (
        "mae quantile huber log_cosh",
        "2 (a^L - Y) stands for the slope of the loss",
        "That is the derivative of the squared error.",
        _value(lambda a, Y: 2 * (a - Y)),
    ),
    (
        "mae quantile huber log_cosh",
        "a^L - Y stands for the slope of the loss",
        "That is the derivative of half the squared error.",
        _value(lambda a, Y: a - Y),
    ),
    (
        "huber",
        "the slope beyond delta is the sign alone",
        "Beyond delta the slope is delta times the sign.",
        _parameter(
            lambda a, Y, p: np.where(np.abs(a - Y) <= p[0], a - Y, np.sign(a - Y)),
        ),
    ),
    (
        "huber",
        "the slope within delta is 2 (a^L - Y)",
        "The slope of e^2/2 is e.",
        _parameter(
            lambda a, Y, p: np.where(np.abs(a - Y) <= p[0], 2 * (a - Y), p[0] * np.sign(a - Y)),
        ),
    ),
    (
        "log_cosh",
        "1 - tanh^2 stands for tanh",
        "The derivative of log cosh is sinh/cosh.",
        _value(lambda a, Y: 1 - np.tanh(a - Y) ** 2),
    ),
    (
        "log_cosh",
        "sinh stands for tanh",
        "The derivative of log cosh is sinh/cosh.",
        _value(lambda a, Y: np.sinh(a - Y)),
    ),
    (
        "quantile",
        "q and 1 - q are exchanged",
        "An answer that is too small (y above a^L) costs q times the error.",
        _parameter(lambda a, Y, q: np.where(a > Y, np.array(q), np.array(q) - 1)),
    ),
    (
        "poisson",
        "a^L stands for exp(a^L)",
        "The outputs are logarithms of the rates.",
        _value(lambda a, Y: a - Y),
    ),
    (
        "poisson",
        "the slope is that by the rate, 1 - y/rate",
        "The outputs are logarithms of the rates: dC/da = rate (1 - y/rate).",
        _value(lambda a, Y: 1 - Y * np.exp(-a)),
    ),
    (
        "binary_cross_entropy",
        "the sigmoid is missing in p - y",
        "The slope is sigmoid(a^L) - y.",
        _value(lambda a, Y: a - Y),
    ),
    (
        "binary_cross_entropy",
        "p (1 - p) is multiplied once more",
        LOGITS,
        lambda p, a, Y: p.dC_da * reference.d_sigmoid(a),
    ),
    (
        "binary_cross_entropy",
        "the slope is that by p, (p - y) / (p (1 - p))",
        "The outputs are logits: the slope by a^L is p - y.",
        lambda p, a, Y: p.dC_da / reference.d_sigmoid(a),
    ),
    (
        "cross_entropy",
        "the softmax is missing in p - y",
        "The slope is softmax(a^L) - y.",
        _value(lambda a, Y: a - Y),
    ),
    (
        "cross_entropy",
        "the softmax goes over the samples, not the outputs",
        "The probabilities of a sample add up to 1: sum over axis 1.",
        _value(lambda a, Y: _softmax(a, 0) - Y),
    ),
    (
        "cross_entropy",
        "the sigmoid stands for the softmax",
        "The classes exclude each other: their probabilities add up to 1.",
        _value(lambda a, Y: reference.sigmoid(a) - Y),
    ),
    (
        "cross_entropy",
        "p (1 - p) is multiplied once more",
        LOGITS,
        _value(lambda a, Y: (_softmax(a, 1) - Y) * _softmax(a, 1) * (1 - _softmax(a, 1))),
    ),
    (
        "cross_entropy",
        "only the right class has a slope",
        "The other logits count too, through the sum in the softmax.",
        lambda p, a, Y: p.dC_da * (Y > 0),
    ),
    (
        "gaussian_nll",
        "the variance is missing under a^L - Y",
        "The slope by the mean is e/variance.",
        _gaussian(lambda e, s, v: (e, _by_s(e, s, v))),
    ),
    (
        "gaussian_nll",
        "the log-variances have no slope",
        "The second half of the outputs is learnt too.",
        _gaussian(lambda e, s, v: (e / v, 0 * s)),
    ),
    (
        "gaussian_nll",
        "the slope by the log-variance lacks its 1",
        "log variance is a part of the cost, with the slope 1/2.",
        _gaussian(lambda e, s, v: (e / v, -0.5 * e**2 / v * np.exp(s) / v)),
    ),
    (
        "gaussian_nll",
        "the second half of the outputs is taken for the log of the deviation",
        "It is the logarithm of the variance.",
        _gaussian(lambda e, s, v: (e * np.exp(-2 * s), 0.5 * (1 - e**2 * np.exp(-2 * s)))),
    ),
]


def loss_slips() -> Iterator[Slip]:
    for losses, name, hint, value in RESIDUALS:

        def changed(
            right: Ingredients, _: Layers, losses: str = losses, value: Changed = value
        ) -> Ingredients | None:
            if losses and right.anatomy.name not in losses.split():
                return None
            p = right.copy()
            dC_da = value(p, p.a[-1], p.anatomy.Y)
            if dC_da is None:
                return None
            p.dC_da = dC_da
            return p

        yield Slip(f"{name} (BP1)", hint, "", "whole", changed)
