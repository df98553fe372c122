"""Are the derivatives right? Each is held against the NumPy reference and against differences.

`gradcheck(net, X, Y)` works on a float64 twin, so the network itself is never touched; a float32
network's own gradient is held against the reference as well. Called by users and by the tests.
"""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import reference
from .errors import whole_number
from .losses import MSE, Loss, checked_loss
from .network import Network

Array = NDArray[Any]

STEP = 6.06e-6  # eps^(1/3): truncation (h^2) and rounding (1 / h) of a difference are about equal
SHRINK = (1, 16, 256)  # a difference that does not agree is taken again with smaller steps
RTOL, ATOL = 1e-6, 1e-8  # allowed against differences: RTOL |g| + ATOL max(1, |g|_inf)

# Rounding is followed through both passes as independent random errors (see `_reference`). In
# float32 networks of 1 to 9 layers, with all weights positive too, the real errors came to 3.2 of
# the standard deviations found so, at most: what is five times that is not rounding.
DEVIATIONS = 16
CURVATURE = {  # the largest |f''|: what an error of z does to f'(z)
    "sigmoid": 1 / (6 * math.sqrt(3)),
    "tanh": 4 / (3 * math.sqrt(3)),
    "softplus": 0.25,
    "gelu": math.sqrt(2 / math.pi),
    "silu": 0.5,
}
JUMP = {"relu": 1.0, "leaky_relu": 1 - reference.LEAK}  # of f' at the kink z = 0


@dataclass(frozen=True)
class Place:
    """One derivative, dC/dw^l_jk or dC/db^l_j (k is None), numbered from 1 as in the lecture.

    `analytic` is what backpropagation says, `numeric` what it was held against.
    """

    layer: int
    name: str
    j: int
    k: int | None
    analytic: float
    numeric: float

    def __str__(self) -> str:
        if self.k is None:
            return f"dC/db^{self.layer}_{self.j}"
        return f"dC/dw^{self.layer}_{self.j},{self.k}"


@dataclass(frozen=True)
class LayerCheck:
    """What was found in one layer.

    `max_error` is against differences, as in `GradientCheck`. `reference_error` is the largest
    distance from the reference divided by the layer's largest derivative, `float32_error` the
    same for a float32 network's own gradient (None for float64).
    """

    layer: int
    kind: str
    n_parameters: int
    n_checked: int
    kinks: int
    max_error: float
    reference_error: float
    float32_error: float | None
    passed: bool


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """The report of `gradcheck`: true when the check passed, and prints as a table.

    Attributes
    ----------
    passed, reason
        The verdict, and what is wrong in words (empty when it passed).
    max_error
        The largest |analytic - difference| / (|analytic| + 0.01 max(1, |g|_inf)).
    worst
        Its place; when the check failed, the place of the mistake.
    layers
        One `LayerCheck` per layer.
    errors_W, errors_b
        All such errors, shaped like W[l] and b[l], l = 1..L (None at 0); NaN where no difference
        could be taken.
    n_parameters, n_checked, kinks
        How many there are (all are held against the reference), how many were held against
        differences, and how many were left out because a relu unit changes its sign within one.
    seconds, network, samples
        How long it took; what was checked, on how many rows.
    """

    passed: bool
    reason: str
    max_error: float
    worst: Place
    layers: tuple[LayerCheck, ...]
    errors_W: tuple[Array | None, ...] = field(repr=False)
    errors_b: tuple[Array | None, ...] = field(repr=False)
    n_parameters: int
    n_checked: int
    kinks: int
    seconds: float
    network: str
    samples: int

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        single = self.layers[0].float32_error is not None
        lines = [
            *textwrap.wrap(self.network, 80),
            f"Backpropagation in float64 on {_count(self.samples, 'sample')} is held against",
            "  differences  (C(theta + h) - C(theta - h)) / 2h of the cost; allowed 1e-06,",
            "  reference    the same equations in plain NumPy; allowed: rounding errors.",
        ]
        if single:
            lines.append("Column float32: the network's own gradient against that reference.")
        heads = "layer  W, activation           checked kinks differences  reference"
        lines += ["", heads + ("  float32" if single else "")]
        for c in self.layers:
            own = "" if c.float32_error is None else f"{c.float32_error:9.1e}"
            lines.append(
                f"{c.layer:5}  {c.kind[:22]:22}{_thousands(c.n_checked):>9}{c.kinks:6}"
                f"{c.max_error:12.1e}{c.reference_error:11.1e}{own}{'' if c.passed else '  <-'}"
            )
        lines.append("")
        if self.n_checked + self.kinks < self.n_parameters:
            sample = _thousands(self.n_checked + self.kinks)
            lines.append(f"Differences at a random sample of {sample} of the parameters.")
        if self.kinks:
            kinks = _count(self.kinks, "derivative")
            lines.append(f"{kinks} left out: a relu unit changes its sign within +-h.")
        lines += textwrap.wrap(self.reason, 80)
        place = "" if self.worst.analytic == self.worst.numeric else f" at {self.worst}"
        verdict = f"gradient check: FAILED{place}"
        if self.passed:
            count = _count(self.n_checked, "derivative")
            for words in ("worst relative error", "worst error", "worst"):
                verdict = f"gradient check: PASSED, {count}, {words} {self.max_error:.1e}{place}"
                if len(verdict) <= 80:
                    break
        return "\n".join([*lines, verdict])


def gradcheck(
    net: Network,
    X: Any,
    Y: Any,
    loss: Loss = "mse",
    *,
    max_parameters: int = 20_000,
    seed: int = 0,
) -> GradientCheck:
    """Hold every derivative of the cost against the reference and against central differences.

    Parameters
    ----------
    net : Network
        It stays bit for bit as it is.
    X, Y : array_like, shapes (m, n_0) and (m, n_L)
        As for `net.gradient`. A few rows are enough: the time grows with m * parameters^2.
    loss : {"mse"} or MSE
    max_parameters : int
        With more parameters than this, differences are taken at a random sample of this many.
    seed : int
        Of that sample.

    Raises
    ------
    TypeError, ValueError
        As `net.gradient`, and for `max_parameters` below 1.
    DivergedError
        The cost or the gradient is not finite.
    """
    loss = checked_loss(loss)
    max_parameters = whole_number(max_parameters, "max_parameters", least=1)
    seed = whole_number(seed, "seed", least=0)
    start = time.perf_counter()
    twin = net.copy(dtype="float64")
    theta = _Parameters(twin, loss)
    with np.errstate(all="ignore"):  # a number that is not finite fails every comparison
        compared = {"float64": _compare(theta, twin, X, Y)}
        if np.dtype(net.dtype) == np.float32:
            compared["float32"] = _compare(theta, net, X, Y)
        chosen = _sample(theta, max_parameters, seed)
        numeric, errors, wrong = _difference_all(theta, twin, X, Y, compared["float64"], chosen)
        kink = np.zeros(theta.size, bool)
        kink[chosen] = np.isnan(numeric[chosen]) & ~wrong[chosen]
        reason, worst = _verdict(theta, compared, numeric, errors, wrong)
        layers = tuple(_layers(theta, compared, errors, wrong, kink))
    parts = {name: [theta.part(errors, l, name) for l in range(1, theta.L + 1)] for name in "Wb"}
    return GradientCheck(
        passed=not reason,
        reason=reason,
        max_error=max(layer.max_error for layer in layers),
        worst=worst,
        layers=layers,
        errors_W=(None, *parts["W"]),
        errors_b=(None, *parts["b"]),
        n_parameters=theta.size,
        n_checked=sum(layer.n_checked for layer in layers),
        kinks=int(kink.sum()),
        seconds=time.perf_counter() - start,
        network=str(net),
        samples=len(compared["float64"].a[0]),
    )


class _Parameters:
    """The float64 parameters in one row, [W^1 b^1 W^2 b^2 ...], and what they belong to."""

    def __init__(self, twin: Network, loss: MSE) -> None:
        self.loss = loss
        self.n = tuple(twin.n)
        self.L = len(self.n) - 1
        self.activations = [layer.activation for layer in twin.layers]
        self.W: list[Any] = [None, *(twin.W[l] for l in range(1, self.L + 1))]
        self.b: list[Any] = [None, *(twin.b[l] for l in range(1, self.L + 1))]
        self.blocks: list[tuple[int, str, slice, Array]] = []
        self.size = 0
        for l in range(1, self.L + 1):
            for name, array in (("W", twin.W[l]), ("b", twin.b[l])):
                self.blocks.append((l, name, slice(self.size, self.size + array.size), array))
                self.size += array.size

    def row(self, W: Any, b: Any) -> Array:
        """W[l], b[l] or their derivatives, or anything of that shape, in one row."""
        parts = ((W if name == "W" else b)[l] for l, name, _, _ in self.blocks)
        return np.concatenate([np.asarray(part, np.float64).ravel() for part in parts])

    def part(self, row: Array, l: int, name: str) -> Array:
        """The entries of W^l or b^l in their shape, read-only."""
        where, array = next((w, a) for k, n, w, a in self.blocks if (k, n) == (l, name))
        part = row[where].reshape(array.shape)
        part.flags.writeable = False
        return part

    def place(self, p: int, analytic: Array, numeric: Array) -> Place:
        l, name, index, _ = self.find(p)
        j, k = index[0] + 1, index[1] + 1 if name == "W" else None
        return Place(l, name, j, k, float(analytic[p]), float(numeric[p]))

    def value(self, p: int) -> float:
        _, _, index, array = self.find(p)
        return float(array[index])

    def find(self, p: int) -> tuple[int, str, tuple[int, ...], Array]:
        l, name, where, array = next(block for block in self.blocks if p < block[2].stop)
        index = np.unravel_index(p - where.start, array.shape)
        return l, name, tuple(int(i) for i in index), array

    def beside(self, p: int, h: float, look: Callable[[], Any]) -> list[tuple[float, Any]]:
        """What `look` sees at theta_p + h and at theta_p - h, and where that was exactly."""
        _, _, index, array = self.find(p)
        here = array[index]
        seen = []
        for there in (here + h, here - h):
            array[index] = there
            seen.append((float(there), look()))
        array[index] = here
        return seen

    def crosses_kink(self, p: int, h: float, a: list[Array]) -> bool:
        """Is a relu unit on for one of theta_p - h, theta_p, theta_p + h and off for another?

        `a` are the activations at theta: only the layers from theta_p to the last relu are run.
        """
        first, _, _, _ = self.find(p)
        last = max((l for l, name in enumerate(self.activations, 1) if name in JUMP), default=0)
        W, b = ([None, *theta[first : last + 1]] for theta in (self.W, self.b))
        names = self.activations[first - 1 : last]

        def on() -> list[Array]:
            z, _ = reference.forward(W, b, names, a[first - 1])
            return [z[l] > 0 for l, name in enumerate(names, 1) if name in JUMP]

        here, (_, above), (_, below) = on(), *self.beside(p, h, on)
        return any(
            not (np.array_equal(now, up) and np.array_equal(now, down))
            for now, up, down in zip(here, above, below, strict=True)
        )


@dataclass(frozen=True)
class _Compared:
    """A gradient and the reference's; `ratio` is their distance over its bound: <= 1 is right."""

    a: list[Array]  # of the reference; a[0] = X as the network sees it
    got: Array
    true: Array
    ratio: Array
    cost_deviation: float  # of the rounding of the cost

    @property
    def wrong(self) -> Array:
        return np.asarray(~(self.ratio <= 1))


def _compare(theta: _Parameters, net: Network, X: Any, Y: Any) -> _Compared:
    info = np.finfo(net.dtype)
    x, y = (np.asarray(part, np.float64) for part in net._prepare(X, Y))
    a, true, bound, cost_deviation = _reference(theta, x, y, float(info.eps) / 2)
    g = net.gradient(X, Y, theta.loss)
    got = theta.row(g.dW, g.db)
    bound += float(info.tiny) / float(info.eps)  # below, a factor may have been subnormal
    return _Compared(a, got, true, np.abs(got - true) / bound, cost_deviation)


def _reference(
    theta: _Parameters, X: Array, Y: Array, u: float
) -> tuple[list[Array], Array, Array, float]:
    """The reference's a and gradient, a bound of the gradient's rounding, sigma of the cost's.

    Every operation of unit roundoff u adds a variance V, and a variance passes through a product
    or an activation with the square of the derivative. Where z is so near a kink that a relu unit
    may be on as well as off, the jump J of f' goes through as an absolute value.
    """
    W, b, names, L = theta.W, theta.b, theta.activations, theta.L
    z, a = reference.forward(W, b, names, X)
    delta, dW, db = reference.backward(W, names, z, a, Y, theta.loss.reduction)

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

    e, c = a[L] - Y, 2 / theta.loss.divisor(*Y.shape)
    V_e = V_a[L] + (u * e) ** 2
    V_cost = np.sum((c * e) ** 2 * V_e) + (u * reference.cost(a[L], Y, theta.loss.reduction)) ** 2
    bound_W: list[Any] = [None] * (L + 1)
    bound_b: list[Any] = [None] * (L + 1)
    # q = dC/da^l with its V and J, from the last layer down
    q, V_q, J_q = c * e, c**2 * V_e + (u * c * e) ** 2, 0 * e
    for l in range(L, 0, -1):
        d, w, a_in = abs(delta[l]), W[l], abs(a[l - 1])
        V_d = V_q * (slope[l] ** 2 + V_f[l]) + q**2 * V_f[l] + (u * d) ** 2
        J_d = J_q * (abs(slope[l]) + J[l]) + abs(q) * J[l]
        V_b = V_d.sum(axis=0) + total(len(d), d.sum(axis=0))
        V_W = V_d.T @ (a_in**2 + V_a[l - 1]) + (d**2).T @ V_a[l - 1] + total(len(d), d.T @ a_in)
        # Both sides round, hence the 2.
        bound_b[l] = DEVIATIONS * np.sqrt(2 * V_b) + J_d.sum(axis=0)
        bound_W[l] = DEVIATIONS * np.sqrt(2 * V_W) + J_d.T @ a_in
        q, V_q, J_q = delta[l] @ w, V_d @ w**2 + total(len(w), d @ abs(w)), J_d @ abs(w)
    return a, theta.row(dW, db), theta.row(bound_W, bound_b), math.sqrt(V_cost)


def _sample(theta: _Parameters, size: int, seed: int) -> NDArray[np.intp]:
    """All places, or a random sample with some of every W^l and b^l."""
    if theta.size <= size:
        return np.arange(theta.size)
    rng = np.random.default_rng(seed)
    rank = rng.random(theta.size)
    for _, _, where, array in theta.blocks:
        rank[where][rng.permutation(array.size)[:8]] -= 1
    return np.sort(np.argsort(rank)[:size])


def _difference_all(
    theta: _Parameters,
    twin: Network,
    X: Any,
    Y: Any,
    compared: _Compared,
    chosen: NDArray[np.intp],
) -> tuple[Array, Array, Array]:
    """The differences at the chosen places, their relative errors, and which are too large.

    NaN elsewhere, and at a kink.
    """
    g = compared.got
    floor = ATOL / RTOL * max(1.0, float(np.abs(compared.true).max()))
    if twin.scaling is None:  # converted and checked once, not again for every cost
        X, Y = twin._prepare(X, Y)

    def cost() -> float:
        return float(twin.cost(X, Y, theta.loss))

    def look(p: int, h: float) -> tuple[float, bool]:
        """The difference, and whether it is too far from backpropagation."""
        (above, up), (below, down) = theta.beside(p, h, cost)
        difference = (up - down) / (above - below)  # the step really made, after rounding
        # Both costs round, and that is divided by h: a difference cannot know better.
        allowed = RTOL * (abs(g[p]) + floor) + DEVIATIONS * compared.cost_deviation / h
        return difference, not abs(g[p] - difference) <= allowed < math.inf

    numeric = np.full(theta.size, np.nan)
    wrong = np.zeros(theta.size, bool)
    for p in map(int, chosen):
        h = STEP * max(1.0, abs(theta.value(p)))
        numeric[p], wrong[p] = look(p, h)
        if wrong[p] and not compared.wrong[p]:
            # The reference agrees: the difference may cross a kink, or the cost bend within h.
            numeric[p] = np.nan
            for step in (h / shrink for shrink in SHRINK):
                if not theta.crosses_kink(p, step, compared.a):
                    numeric[p], wrong[p] = look(p, step)
                    if not wrong[p]:
                        break
            else:
                wrong[p] = not np.isnan(numeric[p])
    errors = np.abs(g - numeric) / (np.abs(g) + floor)
    errors[wrong & np.isnan(errors)] = np.inf
    return numeric, errors, wrong


def _verdict(
    theta: _Parameters,
    compared: dict[str, _Compared],
    numeric: Array,
    errors: Array,
    wrong: Array,
) -> tuple[str, Place]:
    """What is wrong in words (empty when nothing is), and where."""
    double, single = compared["float64"], compared.get("float32")
    got, right = double.got, np.where(np.isnan(numeric), double.true, numeric)
    if wrong.any():
        bad, size, judge = wrong | double.wrong, errors, "the differences of the cost"
        among = wrong
    elif double.wrong.any():
        bad = among = double.wrong
        right, size, judge = double.true, double.ratio, "the reference"
    elif not got.any():
        return (
            "Every derivative is exactly 0, so nothing was checked. Either the cost is 0, or"
            " every path to it is dead (relu units that are off for all samples)."
        ), theta.place(0, got, got)
    elif np.isnan(errors).all():
        return (
            "No derivative could be held against a difference: a relu unit changes its sign"
            " within every one. Move the parameters or X a little."
        ), theta.place(0, got, got)
    elif single is not None and single.wrong.any():
        bad = among = single.wrong
        got, right, size = single.got, single.true, single.ratio
        judge = "the reference in float32 (in float64 they are right)"
    else:
        return "", theta.place(_largest(errors, ~np.isnan(errors)), got, right)
    p = _largest(size, among)
    worst = theta.place(p, got, right)
    return (
        f"{_thousands(int(bad.sum()))} of {_count(theta.size, 'derivative')} disagree with {judge}."
        f" {worst}: backpropagation gives {got[p]:.9g} instead of {right[p]:.9g}."
        f" {_hint(theta, got, right, bad)}"
    ).strip(), worst


def _largest(errors: Array, among: Array) -> int:
    return int(np.argmax(np.where(among, np.where(np.isnan(errors), np.inf, errors), -1.0)))


def _hint(theta: _Parameters, got: Array, right: Array, bad: Array) -> str:
    """What kind of mistake makes such numbers, where that can be told."""
    if not got.any():
        return "All are 0."
    where = [(l, name) for l, name, part, _ in theta.blocks if bad[part].any()]
    if all(name == "b" for _, name in where):
        return "Only biases are wrong: look at db (BP3)."
    for l, name in where:
        W, expected = theta.part(got, l, name), theta.part(right, l, name)
        square = name == "W" and 1 < len(W) == W.shape[1]
        if square and np.allclose(W.T, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max()):
            return f"dW^{l} is transposed: look at (BP4)."
    clear = bad & (np.abs(right) > 1e-3 * np.abs(right).max())
    ratio = got[clear] / right[clear]
    if len(ratio) > 1 and np.allclose(ratio, ratio[0], rtol=1e-4, atol=0):
        return f"The wrong ones are {ratio[0]:.4g} times what they should be."
    if where[-1][0] < theta.L:
        l = where[-1][0]
        return f"Layers above {l} are right: look at delta^{l} (BP2), or at its dW and db."
    return ""


def _layers(
    theta: _Parameters,
    compared: dict[str, _Compared],
    errors: Array,
    wrong: Array,
    kink: Array,
) -> Iterator[LayerCheck]:
    wrong = np.any([wrong, *(side.wrong for side in compared.values())], axis=0)
    for l in range(1, theta.L + 1):
        first, last = (where for k, _, where, _ in theta.blocks if k == l)
        here = slice(first.start, last.stop)
        far = {}
        for dtype, side in compared.items():
            largest = float(np.abs(side.true[here]).max()) or 1.0
            far[dtype] = float(np.abs(side.got - side.true)[here].max()) / largest
        seen = errors[here][~np.isnan(errors[here])]
        yield LayerCheck(
            layer=l,
            kind=f"{theta.n[l]} x {theta.n[l - 1]} {theta.activations[l - 1]}",
            n_parameters=here.stop - here.start,
            n_checked=len(seen),
            kinks=int(kink[here].sum()),
            max_error=float(seen.max(initial=0.0)),
            reference_error=far["float64"],
            float32_error=far.get("float32"),
            passed=not wrong[here].any(),
        )


def _thousands(n: int) -> str:
    return f"{n:,}".replace(",", " ")


def _count(n: int, noun: str) -> str:
    return f"{_thousands(n)} {noun}{'' if n == 1 else 's'}"
