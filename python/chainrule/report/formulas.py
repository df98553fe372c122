"""Every number of the page with its formula: symbols, the same with numbers, value, checks, paths.

One function for each kind of number, in the order of the lecture: x, z (Z), a (A), the cost (MSE),
delta (BP1, BP2), b (BP3) and w (BP4) with their step (GD). Called by `page`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .from_text import from_text
from .items import Check, Equation, Item
from .mathml import (
    TIMES,
    brackets,
    exact,
    factor,
    frac,
    index,
    inline,
    line,
    mi,
    mo,
    mtext,
    number,
    plus,
    power,
    primed,
    product,
    row,
    total,
    whole,
)
from .subject import Subject
from .terms import (
    DELTA,
    ETA,
    activation,
    derivative,
    largest,
    left_out,
    rate,
    slope,
    standardised,
    sum_lines,
)

DIFFERENCE = "finite difference"
KINK = "a kink is near: no difference can tell"
MOST_PATHS = 8


class Formulas:
    """The items of one subject."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.single = subject.m == 1
        self.loose = 1e-3 if subject.net.dtype == "float32" else 1e-6
        self.close = 1e-4 if subject.net.dtype == "float32" else 1e-12

    # --- names ------------------------------------------------------------------------------------

    def unit(self, letter: str, l: int, j: int, i: int = 0) -> str:
        """z^l_j, with the sample (i) where there are several."""
        above = whole(l)
        if i and not self.single:
            above = row(above, mtext("\u2009"), brackets(whole(i)))
        return index(mi(letter), whole(j), above)

    @staticmethod
    def weight(l: int, j: int, k: int, letter: str = "w") -> str:
        """w^l_j,k."""
        return index(mi(letter), row(whole(j), mo(","), whole(k)), whole(l))

    def target(self, j: int, i: int) -> str:
        """y_j, with the sample where there are several."""
        if self.single:
            return index(mi("y"), whole(j))
        return index(mi("y"), whole(j), brackets(whole(i)))

    def _of_sample(self, i: int) -> str:
        return "" if self.single else f" of {self.subject.samples[i - 1]}"

    # --- the items --------------------------------------------------------------------------------

    def all(self) -> Iterator[Item]:
        """Every item of the page, in the order of the lecture."""
        shown = self.subject.shown
        columns = [l for l in shown.units if l]
        for i in shown.samples:
            yield from (self.x(i, k) for k in shown.units[0])
            for l in columns:
                for j in shown.units[l]:
                    yield self.z(l, i, j)
                    yield self.a(l, i, j)
            last = shown.units[self.subject.L]
            yield from (self.y(i, j) for j in last if j <= self.subject.n_targets)
        yield self.cost()
        for i in shown.samples:
            for l in reversed(columns):
                yield from (self.delta(l, i, j) for j in shown.units[l])
        for l in reversed(columns):
            yield from (self.b(l, j) for j in shown.units[l])
            for j in shown.units[l] if l in shown.layers else ():
                yield from (self.w(l, j, k) for k in shown.units[l - 1])
        drawn = {
            (l, j, k) for l in shown.layers for j in shown.units[l] for k in shown.units[l - 1]
        }
        drawn |= {(l, j, 0) for l in columns for j in shown.units[l]}
        for place, _ in self.subject.largest:
            if (*place, 0)[:3] not in drawn:
                yield self.w(*place) if len(place) == 3 else self.b(*place)
        yield self.after()

    def x(self, i: int, k: int) -> Item:
        """An input, given in the table; standardised where the network has a scaling."""
        s = self.subject
        value = float(s.trace.a[0][i - 1, k - 1])
        name, scaling = s.inputs[k - 1], s.net.scaling
        symbol = self.unit("a", 0, k, i)
        left = row(symbol, mo("="), index(mi("x"), whole(k)))
        equations = [Equation(line(left, exact(value)), "given")]
        if scaling is not None:
            raw, mean, scale = (
                float(v) for v in (s.X[i - 1, k - 1], scaling.x_mean[k - 1], scaling.x_scale[k - 1])
            )
            equations = standardised(symbol, "x", k, raw, mean, scale)
        spoken = f"input {k}, {name},{self._of_sample(i)}" if s.named else f"input {k}"
        return Item(f"a-0-{i}-{k}", "x", symbol, spoken + ("" if s.named else self._of_sample(i)),
                    value, equations, note=f"Column {name}." if s.named else "")  # fmt: skip

    def y(self, i: int, j: int) -> Item:
        """A target, given in the table."""
        s = self.subject
        value = float(s.y[i - 1, j - 1])
        symbol, scaling = self.target(j, i), s.net.scaling
        equations = [Equation(line(symbol, exact(value)), "given")]
        if scaling is not None and scaling.scales_targets:
            column = min(j, s.Y.shape[1]) - 1  # one column may be that of several quantiles
            raw, mean, scale = (
                float(v)
                for v in (s.Y[i - 1, column], scaling.y_mean[j - 1], scaling.y_scale[j - 1])
            )
            equations = (
                rate(symbol, j, raw, mean)
                if s.loss.of_rates
                else standardised(symbol, "Y", j, raw, mean, scale)
            )
        note = f"Target {s.outputs[j - 1]}." if s.named else ""
        return Item(f"y-{i}-{j}", "y", symbol, f"target {j}{self._of_sample(i)}", value, equations,
                    note=note)  # fmt: skip

    def z(self, l: int, i: int, j: int) -> Item:
        """(Z): the weighted sum of the layer below, plus the bias."""
        s = self.subject
        W, b, below = s.net.W[l][j - 1], float(s.net.b[l][j - 1]), s.trace.a[l - 1][i - 1]
        kept, rest = largest(_float64(W) * _float64(below))
        symbol = self.unit("z", l, j, i)
        sum_ = total(mi("k"), product(index(mi("w"), row(whole(j), mo(","), mi("k")), whole(l)),
                                      self._any("a", l - 1, "k", i)))  # fmt: skip
        parts = [product(factor(float(W[p])), factor(float(below[p]))) for p in kept]
        if rest is not None:
            parts.append(left_out(len(W) - len(kept), "terms", rest))
        value = float(s.trace.z[l][i - 1, j - 1])
        spell = [product(self.weight(l, j, p + 1), self.unit("a", l - 1, p + 1, i)) for p in kept]
        equations = [
            Equation(line(symbol, plus([sum_, self.unit("b", l, j)])), "(Z)"),
            *([Equation(line("", plus([*spell, self.unit("b", l, j)])))] if rest is None else []),
            *sum_lines([*parts, factor(b)]),
            Equation(line("", exact(value))),
        ]
        uses = [f"b-{l}-{j}"]
        for p in kept:
            uses += [f"w-{l}-{j}-{p + 1}", f"a-{l - 1}-{i}-{p + 1}"]
        return Item(f"z-{l}-{i}-{j}", "z", symbol, f"z, layer {l}, unit {j}{self._of_sample(i)}",
                    value, equations, [self._reference(value, float(s.ref_z[l][i - 1, j - 1]))],
                    uses=uses)  # fmt: skip

    def a(self, l: int, i: int, j: int) -> Item:
        """(A): the activation of the weighted sum."""
        s = self.subject
        name = s.activations[l - 1]
        z, value = float(s.trace.z[l][i - 1, j - 1]), float(s.trace.a[l][i - 1, j - 1])
        symbol, z_symbol = self.unit("a", l, j, i), self.unit("z", l, j, i)
        equations = [
            Equation(line(symbol, row(mi("f"), brackets(z_symbol))), "(A)"),
            Equation(line("", activation(name, z_symbol)), name),
            Equation(line("", activation(name, number(z), z < 0))),
            Equation(line("", exact(value))),
        ]
        return Item(f"a-{l}-{i}-{j}", "a", symbol, f"a, layer {l}, unit {j}{self._of_sample(i)}",
                    value, equations, [self._reference(value, float(s.ref_a[l][i - 1, j - 1]))],
                    uses=[f"z-{l}-{i}-{j}"])  # fmt: skip

    def cost(self) -> Item:
        """The shares of all samples and outputs, divided by D."""
        s = self.subject
        L, written, objective = s.L, s.written, s.objective
        value = float(s.trace.cost)
        a_j = index(mi("a"), mi("j"), self._last(L))
        y_j = index(mi("y"), mi("j"), self._sample_index())
        symbols = {"A": a_j, "Y": y_j}
        left = from_text(written.row.symbols, symbols)
        if objective.weight is not None:
            left = row(index(mi("w"), mi("i")), left)
        below = mi("j") if self.single else row(mi("i"), mo(","), mi("j"))
        whole_sum = objective.D == 1
        one_over = [] if whole_sum else [frac(whole(1), mi("D"))]
        over = [] if whole_sum else [frac(whole(1), number(objective.D))]
        if objective.custom:
            equations, places = [Equation(line(mi("C"), mtext(written.t.loss.formula[4:])))], []
        else:
            shares = written.values()
            kept, rest = largest(shares)
            places = [divmod(p, shares.shape[1]) for p in kept]
            numbers = [from_text(written.share_number(i, j)) for i, j in places]
            if rest is not None:
                what = "squares" if objective.name == "mse" else "shares"
                numbers.append(left_out(shares.size - len(kept), what, rest))
            equations = [
                Equation(line(mi("C"), row(*one_over, total(below, left))), f"({written.tag})"),
                *self._said([*written.row.cost.splitlines(), written.divisor]),
                *sum_lines(
                    numbers, row(*over), bracketed=bool(over) and len(numbers) > 1, left=mi("C")
                ),
            ]
        equations.append(Equation(line("", exact(value))))
        uses = []
        for i, j in places:
            uses += self._uses(i + 1, j + 1)
        return Item("cost", "cost", mi("C"), "the cost C", value, equations,
                    [self._reference(value, s.ref_cost)], uses=uses)  # fmt: skip

    def _said(self, lines: Sequence[str]) -> list[Equation]:
        """Lines of plain text, left = right  comment."""
        equations = []
        for text in lines:
            formula, _, comment = text.partition("  ")
            left, equals, right = formula.partition(" = ")
            if equals:
                equations.append(Equation(line(from_text(left), from_text(right)), comment))
        return equations

    def _uses(self, i: int, j: int) -> list[str]:
        """The answers and targets in share j of sample i, from 1."""
        s = self.subject
        L, name, n_L = s.L, s.objective.name, s.net.n[-1]
        if name == "cross_entropy":
            pairs = [(k, k) for k in range(1, n_L + 1)]
        elif name == "gaussian_nll":
            half = n_L // 2
            k = j if j <= half else j - half
            return [f"a-{L}-{i}-{k}", f"a-{L}-{i}-{half + k}", f"y-{i}-{k}"]
        else:
            pairs = [(j, j)]
        return [item for k, q in pairs for item in (f"a-{L}-{i}-{k}", f"y-{i}-{q}")]

    def delta(self, l: int, i: int, j: int) -> Item:
        """(BP1) for the last layer, (BP2) for the others."""
        s = self.subject
        value = float(s.trace.delta[l][i - 1, j - 1])
        symbol = self.unit(DELTA, l, j, i)
        z_symbol = self.unit("z", l, j, i)
        prime = row(primed("f"), brackets(z_symbol))
        prime_value = s.derivative(l, i, j)
        uses = [f"z-{l}-{i}-{j}", f"a-{l}-{i}-{j}"]
        if l == s.L:
            written = s.written
            names = {"A": self.unit("a", l, j, i), "Y": self.target(j, i)}
            text = written.constant() + written.row.slope.format(a="A", y="Y", j=j)
            numbers_text = written.slope_number(i - 1, j - 1)
            if s.objective.D == 1:  # nothing is divided
                text = text.replace("/D ", " ", 1).removeprefix("1 ")
                numbers_text = numbers_text.replace("/1 ", " ", 1).removeprefix("1 ")
            symbols = row(from_text(text, names), mo(TIMES), prime)
            numbers = [
                Equation(line("", row(from_text(numbers_text), mo(TIMES), factor(prime_value))))
            ]
            more = self._said(written.row.where.format(L=l).replace(f"a^{l}_", "a_").splitlines())
            tag, uses = "(BP1)", [*self._uses(i, j), f"z-{l}-{i}-{j}"]
        else:
            w, above = s.net.W[l + 1][:, j - 1], s.trace.delta[l + 1][i - 1]
            kept, rest = largest(_float64(w) * _float64(above))
            symbols = product(brackets(total(mi("q"), product(
                index(mi("w"), row(mi("q"), mo(","), whole(j)), whole(l + 1)),
                self._any(DELTA, l + 1, "q", i)))), prime)  # fmt: skip
            parts = [product(factor(float(w[p])), factor(float(above[p]))) for p in kept]
            if rest is not None:
                parts.append(left_out(len(w) - len(kept), "terms", rest))
            numbers = sum_lines(parts, after=row(mo(TIMES), factor(prime_value)), bracketed=True)
            tag, more = "(BP2)", []
            for p in kept:
                uses += [f"w-{l + 1}-{p + 1}-{j}", f"delta-{l + 1}-{i}-{p + 1}"]
        equations = [
            Equation(line(row(symbol, mo("="), slope(z_symbol)), symbols), tag),
            *more,
            *numbers,
            Equation(line("", exact(value))),
            Equation(
                line(
                    prime,
                    row(derivative(s.activations[l - 1], z_symbol), mo("="), number(prime_value)),
                ),
                s.activations[l - 1],
            ),
        ]
        found, kink = s.delta_check(l, i, j)
        return Item(f"delta-{l}-{i}-{j}", "delta", symbol,
                    f"delta, layer {l}, unit {j}{self._of_sample(i)}", value, equations,
                    [self._difference(value, found, kink)], uses=uses)  # fmt: skip

    def b(self, l: int, j: int) -> Item:
        """(BP3) and the step (GD) of a bias."""
        s = self.subject
        deltas = s.trace.delta[l][:, j - 1]
        kept, rest = largest(deltas)
        parts = [factor(float(deltas[p])) for p in kept]
        if rest is not None:
            parts.append(left_out(len(deltas) - len(kept), "samples", rest))
        symbol = self.unit("b", l, j)
        symbols = self.unit(DELTA, l, j)
        if not self.single:
            symbols = total(mi("i"), self._any_sample(DELTA, l, whole(j)))
        uses = [f"delta-{l}-{p + 1}-{j}" for p in kept]
        here = float(s.net.b[l][j - 1]), float(s.after.b[l][j - 1])
        return self._parameter((l, j), f"b-{l}-{j}", "b", symbol, f"bias b, layer {l}, unit {j}",
                               here, (symbols, parts, "(BP3)", len(parts) > 1), uses)  # fmt: skip

    def w(self, l: int, j: int, k: int) -> Item:
        """(BP4) and the step (GD) of a weight."""
        s = self.subject
        deltas, below = s.trace.delta[l][:, j - 1], s.trace.a[l - 1][:, k - 1]
        kept, rest = largest(_float64(deltas) * _float64(below))
        parts = [product(factor(float(deltas[p])), factor(float(below[p]))) for p in kept]
        if rest is not None:
            parts.append(left_out(s.m - len(kept), "samples", rest))
        symbol = self.weight(l, j, k)
        symbols = product(self.unit(DELTA, l, j), self.unit("a", l - 1, k))
        if not self.single:
            symbols = total(mi("i"), product(self._any_sample(DELTA, l, whole(j)),
                                             self._any_sample("a", l - 1, whole(k))))  # fmt: skip
        uses = []
        for p in kept:
            uses += [f"delta-{l}-{p + 1}-{j}", f"a-{l - 1}-{p + 1}-{k}"]
        here = float(s.net.W[l][j - 1, k - 1]), float(s.after.W[l][j - 1, k - 1])
        spoken = f"weight w, layer {l}, from {k} to {j}"
        return self._parameter((l, j, k), f"w-{l}-{j}-{k}", "w", symbol, spoken, here,
                               (symbols, parts, "(BP4)", True), uses)  # fmt: skip

    def after(self) -> Item:
        """The cost after the step, and what the first order foretold."""
        s = self.subject
        value, foretold = float(s.cost_after), s.trace.cost - s.learning_rate * s.squared_norm
        prime = primed("C")
        norm = power(row(mo("\u2016"), mi("\u2207"), mi("C"), mo("\u2016")), whole(2))
        moved = row(mi("\u03b8"), mo("\u2212"), product(mi(ETA), row(mi("\u2207"), mi("C"))))
        equations = [
            Equation(line(prime, row(mi("C"), brackets(moved))), "(GD)"),
            Equation(line("", exact(value))),
            Equation(line(prime, row(mi("C"), mo("\u2212"), product(mi(ETA), norm)), "\u2248"),
                     "first order"),
            Equation(line("", row(number(float(s.trace.cost)), mo("\u2212"), product(
                number(s.learning_rate), number(s.squared_norm)), mo("="), exact(foretold)))),
        ]  # fmt: skip
        found = s.reference_cost(s.after)
        note = (
            "The first order is the tangent of the curve above: exact for a small step, and less "
            "so for a large one."
        )
        return Item("after", "after", prime, "the cost after the step", value, equations,
                    [self._reference(value, found)], note=note, uses=["cost"])  # fmt: skip

    # --- parts of the items -----------------------------------------------------------------------

    def _parameter(
        self,
        place: tuple[int, ...],
        name: str,
        kind: str,
        symbol: str,
        spoken: str,
        here: tuple[float, float],
        formula: tuple[str, list[str], str, bool],
        uses: list[str],
    ) -> Item:
        s = self.subject
        e = s.explain(*place)
        symbols, parts, tag, worth = formula
        now, after = here
        prime = symbol.replace(mi(kind), primed(kind), 1)
        to_c = slope(symbol)
        equations = [
            Equation(line(to_c, symbols), tag),
            *(sum_lines(parts) if worth else []),
            Equation(line("", exact(e.value))),
            Equation(line(prime, row(symbol, mo("\u2212"), product(mi(ETA), to_c))), "(GD)"),
            Equation(line("", row(number(now), mo("\u2212"), product(
                number(s.learning_rate), factor(e.value))))),
            Equation(line("", exact(after))),
        ]  # fmt: skip
        words = KINK if e.kink and not e.agrees else "agrees" if e.agrees else "DIFFERS"
        checks = [Check(DIFFERENCE, e.check, e.check_error, words, e.agrees or e.kink)]
        paths, paths_note = self._paths(place)
        if e.path_sum is not None:
            checks.append(self._check("sum over paths", e.value, e.path_sum, self.close))
        letter = "weight" if kind == "w" else "bias"
        facts = [(f"the {letter} itself", now)]
        return Item(name, kind, symbol, spoken, e.value, equations, checks, facts, paths,
                    paths_note, "", uses)  # fmt: skip

    def _paths(self, place: tuple[int, ...]) -> tuple[list[tuple[str, str]], str]:
        """The products along the paths from a parameter to the cost, the largest ones."""
        e = self.subject.explain(*place)
        if not e.paths:
            return [], f"{e.n_paths:,} paths lead from here to the cost: too many to list."
        paths = sorted(e.paths, key=lambda path: -abs(path.value))
        shown = paths[:MOST_PATHS]
        shown.sort(key=lambda path: (path.sample, path.units))
        rows = []
        for path in shown:
            route = " \u2192 ".join(map(str, path.units))
            where = f"units {route}" if self.single else f"sample {path.sample}, units {route}"
            factors = product(*(factor(float(value), 4) for _, value in path.factors))
            rows.append((where, inline(row(factors, mo("="), number(path.value)))))
        one = e.n_paths == 1
        note = "One path leads" if one else f"{e.n_paths:,} paths lead"
        note += f" from here through layers {place[0]} to {self.subject.L} to the cost."
        if place[0] == self.subject.L:
            note = (
                "One path leads" if one else f"{e.n_paths:,} paths lead"
            ) + " from here to the cost."
        note += " The factors of a path are the slopes on the way, from the parameter to the cost."
        if len(shown) < len(paths):
            note += f" The {len(shown)} largest:"
        return rows, note

    def _reference(self, value: float, found: float) -> Check:
        return self._check("NumPy reference", value, found, self.close)

    def _difference(self, value: float, found: float, kink: bool) -> Check:
        check = self._check(DIFFERENCE, value, found, self.loose)
        if kink and not check.good:
            return Check(check.source, found, check.apart, KINK, True)
        return check

    def _check(self, source: str, value: float, found: float, tolerance: float) -> Check:
        apart = abs(value - found)
        largest = max(abs(value), abs(found), self.scale * 1e-3)
        good = apart <= tolerance * largest
        relative = apart / max(abs(value), abs(found)) if apart else 0.0
        return Check(source, found, relative, "agrees" if good else "DIFFERS", good)

    @property
    def scale(self) -> float:
        """The size below which a number is rounding: the cost's, or 1 if that is larger."""
        return min(1.0, abs(self.subject.trace.cost)) or 1.0

    def _any(self, letter: str, l: int, j: str, i: int) -> str:
        above = whole(l)
        if not self.single:
            above = row(above, mtext("\u2009"), brackets(whole(i)))
        return index(mi(letter), mi(j), above)

    def _any_sample(self, letter: str, l: int, j: str) -> str:
        return index(mi(letter), j, row(whole(l), mtext("\u2009"), brackets(mi("i"))))

    def _last(self, L: int) -> str:
        return whole(L) if self.single else row(whole(L), mtext("\u2009"), self._sample_index())

    def _sample_index(self) -> str:
        return "" if self.single else brackets(mi("i"))


def _float64(array: Any) -> Any:
    return np.asarray(array, np.float64)
