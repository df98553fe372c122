"""The V-curve: how far a finite difference is from the derivative, against its step h.

With a large step the formula is wrong (by h or h^2), with a small one the rounding of the cost is
divided by h. The best step lies between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..arrays import Array
from ..errors import shown, whole_number
from ..losses import LossLike, checked_loss
from ..objective import Objective
from . import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = np.logspace(-1, -14, 53)  # four to a decade
MOST_WORK = 1e9  # multiply-adds of one cost, times samples
KINKED = {"relu", "leaky_relu"}
LINEAR = KINKED | {"identity"}


@dataclass(frozen=True, eq=False)
class _Line:
    """The cost along one parameter, in float64, and its derivative by backpropagation.

    Only what the parameter reaches is computed again: column j of z^l, and the layers above.
    """

    W: list[Any]
    b: list[Any]
    activations: list[str]
    a: Array  # a^{l-1}
    z: Array  # z^l
    objective: Objective
    j: int
    k: int | None
    derivative: float

    @property
    def here(self) -> Any:
        return self.b[1][self.j] if self.k is None else self.W[1][self.j, self.k]

    def at(self, theta: Any) -> tuple[Any, list[Array]]:
        """The cost with the parameter at `theta`, and which rectifiers are on."""
        row, bias = self.W[1][self.j].astype(type(theta)), self.b[1][self.j]
        if self.k is None:
            bias = theta
        else:
            row[self.k] = theta
        z = self.z.astype(row.dtype)
        z[:, self.j] = self.a @ row + bias
        on, a = [], z
        for i, name in enumerate(self.activations, 1):
            if i > 1:
                z = a @ self.W[i].T + self.b[i]
            if name in KINKED:
                on.append(z.real > 0)
            a = reference.ACTIVATIONS[name][0](z)
        return self.objective.cost(a), [*on, self.objective.sides(a)]


def v_curve(
    net: Any,
    X: Any,
    Y: Any,
    l: int,
    j: int,
    k: int | None = None,
    path: canvas.Path | None = None,
    *,
    loss: LossLike = "mse",
) -> Figure:
    """Draw the error of finite differences of one derivative against their step h.

    Parameters
    ----------
    net : Network
        The differences are taken in a float64 copy; the network itself is not touched.
    X, Y : array_like, shapes (m, n_0) and (m, n_L)
    l, j, k : int
        The weight w^l_j,k, numbered from 1 as in the lecture; without k the bias b^l_j.
    path : path, optional
        Where to save the picture, as for `cost`.
    loss : str, Loss or callable
        As for `net.gradient`.

    Returns
    -------
    matplotlib.figure.Figure
        The errors of central and of forward differences for h from 1e-1 to 1e-14, relative to the
        derivative of backpropagation (absolute when that is 0). The best step is marked; where
        every activation is smooth, the complex step, which has no V, is a flat line. Steps across
        the kink of a rectifier are shaded.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        An argument is not as above, or the network and X are too large for 160 costs: fewer rows
        do as well.
    DivergedError
        The cost or the derivative is not finite.

    Examples
    --------
    >>> figure = v_curve(net, X, Y, l=1, j=2, k=1)        # doctest: +SKIP
    """
    line = _line(net, X, Y, l, j, k, loss)
    central, forward, kink = _errors(line)
    g = line.derivative
    exact = None
    if not KINKED & set(line.activations):
        exact = _error(line.at(complex(line.here, 1e-30))[0].imag / 1e-30, g)

    figure = canvas.figure(path, (7.2, 4.8))
    axes: Any = figure.subplots()
    axes.set_xscale("log")
    flat = [] if exact is None else [exact]
    zero = canvas.log_axis(axes, np.array([*central, *forward, *flat]))
    for name, errors, colour, style in (
        (r"forward $\left(C(\theta+h)-C(\theta)\right)/h$", forward, canvas.ORANGE, "--"),
        (r"central $\left(C(\theta+h)-C(\theta-h)\right)/2h$", central, canvas.BLUE, "-"),
    ):
        drawn = errors if zero is None else np.where(errors == 0, zero, errors)
        axes.plot(STEPS, drawn, style, color=colour, marker=".", markersize=4, label=name)
    if exact is not None:
        at = zero if exact == 0 else exact
        axes.axhline(at, color=canvas.BLACK, linestyle="-.", linewidth=1.2,
                     label=f"complex step, no difference: {canvas.number(exact, 2)}")  # fmt: skip
    if np.isfinite(central).any():
        i = int(np.nanargmin(central))
        at = zero if central[i] == 0 else central[i]
        axes.plot(STEPS[i], at, "*", color=canvas.BLUE, markersize=13, zorder=5, clip_on=False,
                  label=f"best step $h$ = {canvas.number(STEPS[i], 2)}: "
                        f"{canvas.number(central[i], 2)}")  # fmt: skip
    if kink.any():
        low, high = STEPS[kink].min(), STEPS[kink].max()
        axes.axvspan(low, high, color=canvas.PALE, zorder=0, label="a kink lies within the step")
    name = f"b^{{{l}}}_{{{j}}}" if k is None else f"w^{{{l}}}_{{{j},{k}}}"
    axes.set_xlim(STEPS[-1] / 2, STEPS[0] * 2)
    axes.set_xlabel("step $h$")
    axes.set_ylabel("relative error" if g else "error (the derivative is 0)")
    axes.set_title(rf"Differences against $\partial C/\partial {name}$ = {canvas.number(g, 6)}")
    if set(line.activations) <= LINEAR and not kink.any() and g:
        axes.text(0.02, 0.04, "$C$ is a parabola in this parameter: central differences\n"
                  "only round, so the largest steps are the best",
                  transform=axes.transAxes, fontsize=8.5, color=canvas.GREY)  # fmt: skip
    canvas.tidy(axes)
    axes.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=8.5)
    return canvas.save(figure, path, "chainrule: the V-curve of a difference")


def _line(net: Any, X: Any, Y: Any, l: int, j: int, k: int | None, loss: LossLike) -> _Line:
    """The checked arguments, and the derivative."""
    if not all(hasattr(net, name) for name in ("W", "b", "n", "layers", "copy")):
        raise TypeError(f"net must be a Network, got {shown(net)} ({type(net).__name__})")
    l = whole_number(l, "l", most=net.L)
    j = whole_number(j, "j", most=net.n[l])
    if k is not None:
        k = whole_number(k, "k", most=net.n[l - 1])
    spec = checked_loss(loss)
    twin = net.copy(dtype="float64")
    x, y = twin._prepare(X, Y, spec)
    above = sum(a * b for a, b in zip(net.n[l:], net.n[l + 1 :], strict=False))
    if len(x) * (above + net.n[l - 1]) > MOST_WORK:
        raise ValueError(
            f"X has {len(x)} rows: 160 costs of this network would take long; "
            f"give at most {max(1, int(MOST_WORK / (above + net.n[l - 1])))} rows"
        )
    twin.gradient(X, Y, loss)  # refuses a cost or a gradient that is not finite
    trace = twin.trace(X, Y, loss)
    dW, db = trace.dW[l], trace.db[l]
    return _Line(
        W=[None, *(twin.W[i] for i in range(l, net.L + 1))],
        b=[None, *(twin.b[i] for i in range(l, net.L + 1))],
        activations=[layer.activation for layer in net.layers[l - 1 :]],
        a=trace.a[l - 1],
        z=trace.z[l],
        objective=Objective(spec, y),
        j=j - 1,
        k=None if k is None else k - 1,
        derivative=float(db[j - 1] if k is None else dW[j - 1, k - 1]),
    )


def _error(value: float, g: float) -> float:
    return abs(value - g) / (abs(g) or 1.0)


def _errors(line: _Line) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Of central and forward differences at each step, and where a rectifier switches."""
    here = float(line.here)
    C, on = line.at(here)
    central, forward = np.empty(len(STEPS)), np.empty(len(STEPS))
    kink = np.zeros(len(STEPS), bool)
    for i, h in enumerate(STEPS):
        (up, on_up), (down, on_down) = line.at(here + h), line.at(here - h)
        central[i] = _error(float(up - down) / (2 * h), line.derivative)
        forward[i] = _error(float(up - C) / h, line.derivative)
        kink[i] = any(
            not (np.array_equal(now, above) and np.array_equal(now, below))
            for now, above, below in zip(on, on_up, on_down, strict=True)
        )
    return central, forward, kink
