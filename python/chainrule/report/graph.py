"""The network as an SVG: units as boxes, weights as lines, every number a link to its formula.

Two pictures of the same network: forward with w, z and a; backward with delta and the derivatives.
A line is as thick as its number is large; negative ones are dashed and of another colour, so colour
alone says nothing. No style attributes: the page forbids them. Called by `page`.
"""

from __future__ import annotations

from html import escape

from .subject import Subject

STEP_Y, BOX, HALF = 98, 92, 23
NARROW, WIDE = 178, 216  # from layer to layer, with up to two units and with more
MARGIN_X, MARGIN_Y = 50, 46
FITS = 480  # a wider picture keeps its size and scrolls on a phone
LABELLED = 4  # units per layer up to which the lines carry their numbers

_UP = str.maketrans("0123456789", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
_DOWN = str.maketrans("0123456789", "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089")


def name(letter: str, l: int, j: int, k: int = 0) -> str:
    """z, layer and unit as Unicode superscript and subscripts."""
    below = f"{j}".translate(_DOWN) + (f",{k}".translate(_DOWN) if k else "")
    return f"{letter}{str(l).translate(_UP)}{below}"


def brief(value: float, digits: int = 4) -> str:
    """A number in a few significant digits, with a true minus sign."""
    return f"{value:.{digits}g}".replace("-", "\N{MINUS SIGN}")


def draw(subject: Subject, sample: int, backward: bool) -> str:
    """One picture for one sample."""
    return _Picture(subject, sample, backward).svg()


class _Picture:
    def __init__(self, subject: Subject, sample: int, backward: bool) -> None:
        self.s, self.i, self.backward = subject, sample, backward
        shown = subject.shown
        self.runs = shown.runs()
        self.place: dict[tuple[int, int], tuple[float, float]] = {}
        columns = [l for run in self.runs for l in run]
        if len(self.runs) > 1 and self.runs[0][-1] == self.runs[1][0]:
            columns.remove(self.runs[1][0])
        tallest = max(len(shown.units[l]) for l in columns)
        self.step = NARROW if tallest <= 2 else WIDE
        self.width = 2 * MARGIN_X + self.step * (len(columns) - 1)
        self.height = 2 * MARGIN_Y + STEP_Y * (tallest - 1) + 16
        self.columns = columns
        for c, l in enumerate(columns):
            top = MARGIN_Y + STEP_Y * (tallest - len(shown.units[l])) / 2
            for r, j in enumerate(shown.units[l]):
                self.place[l, j] = (MARGIN_X + self.step * c, top + STEP_Y * r)

    def svg(self) -> str:
        way = "backward" if self.backward else "forward"
        label = f"The network {way}, {self.s.samples[self.i - 1]}"
        edges = "".join(self._edges(l) for l in self.s.shown.layers)
        boxes = "".join(self._box(l, j) for l, j in self.place)
        return (
            f'<svg class="graph {"fits" if self.width <= FITS else "wide"}" role="group" '
            f'aria-label="{escape(label)}" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" data-graph="{way}">'
            f"{edges}{boxes}{self._gaps()}</svg>"
        )

    def _edges(self, l: int) -> str:
        s, units = self.s, self.s.shown.units
        values = s.trace.dW[l] if self.backward else s.net.W[l]
        what = "derivative for w" if self.backward else "weight w"
        drawn = {
            (j, k): float(values[j - 1, k - 1]) for j in units[l] for k in units[l - 1]
        }  # fmt: skip
        largest = max(map(abs, drawn.values()), default=0.0) or 1.0
        labelled = max(len(units[l]), len(units[l - 1])) <= LABELLED
        lines, parts = [], []  # no line is drawn over a label
        for (j, k), value in drawn.items():
            (x1, y1), (x2, y2) = self.place[l - 1, k], self.place[l, j]
            x1, x2 = x1 + BOX / 2, x2 - BOX / 2
            sign = "negative" if value < 0 else "zero" if value == 0 else "positive"
            width = 1 + 3.5 * abs(value) / largest
            ends = f'x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"'
            lines.append(f'<line class="{sign}" {ends} stroke-width="{width:.2f}"/>')
            # on lines from n units this place keeps all labels apart
            t = 0.5 if y1 == y2 else 1 / (len(units[l]) + 1)
            t = 0.5 if min(len(units[l]), len(units[l - 1])) == 1 else t
            x, y = x1 + t * (x2 - x1), y1 + t * (y2 - y1)
            mark = _pill(x, y, brief(value, 3)) if labelled else _anchor(x, y)
            spoken = f"{what}, layer {l}, from {k} to {j}: {value!r}"
            inside = f'<line class="reach" {ends}/>{mark}'
            parts.append(_link(f"w-{l}-{j}-{k}", "edge", spoken, inside))
        return "".join([*lines, *parts])

    def _box(self, l: int, j: int) -> str:
        s, i = self.s, self.i
        x, y = self.place[l, j]
        left, top = x - BOX / 2, y - HALF
        frame = (
            f'<rect class="box" x="{left:g}" y="{top:g}" width="{BOX}" height="{2 * HALF}" rx="9"/>'
        )
        if l == 0:
            value = float(s.trace.a[0][i - 1, j - 1])
            words = f"input {j}, {s.inputs[j - 1]}: {value!r}"
            both = _row(x, y - 5, name("a", 0, j)) + _row(x, y + 13, brief(value), "figure")
            title = f"<title>{escape(s.inputs[j - 1])}</title>"
            if s.named:
                both += _row(x, y + HALF + 15, _short(s.inputs[j - 1]), "small")
            return _link(f"a-0-{i}-{j}", "unit input", words, title + frame + both)
        out = f'<g class="unit">{frame}'
        if self.backward:
            value = float(s.trace.delta[l][i - 1, j - 1])
            both = _row(x, y - 5, name("\u03b4", l, j)) + _row(x, y + 13, brief(value), "figure")
            words = f"delta, layer {l}, unit {j}: {value!r}"
            out += _link(f"delta-{l}-{i}-{j}", "", words, _area(left, top, 2 * HALF) + both)
            slope = float(s.trace.db[l][j - 1])
            inside = _row(x, y + HALF + 15, f"\u2202C/\u2202b {brief(slope)}", "small")
            words = f"derivative for the bias, layer {l}, unit {j}: {slope!r}"
        else:
            for letter, row, numbers in (("z", 0, s.trace.z), ("a", 1, s.trace.a)):
                value = float(numbers[l][i - 1, j - 1])
                inside = _area(left, top + row * HALF, HALF) + _row(
                    x, y - 7 + row * HALF, f"{name(letter, l, j)} {brief(value)}"
                )
                words = f"{letter}, layer {l}, unit {j}: {value!r}"
                out += _link(f"{letter}-{l}-{i}-{j}", "", words, inside)
            bias = float(s.net.b[l][j - 1])
            inside = _row(x, y + HALF + 15, f"{name('b', l, j)} {brief(bias)}", "small")
            words = f"bias b, layer {l}, unit {j}: {bias!r}"
        out += _link(f"b-{l}-{j}", "", words, _area(left, y + HALF + 2, 18) + inside)
        if l == s.L and j <= s.n_targets:
            out += self._target(j, x, top)
        return out + "</g>"

    def _target(self, j: int, x: float, top: float) -> str:
        value = float(self.s.y[self.i - 1, j - 1])
        words = f"target {j}, {self.s.outputs[j - 1]}: {value!r}"
        text = _row(x, top - 6, f"y{str(j).translate(_DOWN)} {brief(value)}", "small")
        title = f"<title>{escape(self.s.outputs[j - 1])}</title>"
        area = _area(x - BOX / 2, top - 20, 18)
        return _link(f"y-{self.i}-{j}", "", words, title + area + text)

    def _gaps(self) -> str:
        """Dots where layers are left out."""
        parts = []
        for before, after in zip(self.runs, self.runs[1:], strict=False):
            if before[-1] == after[0]:
                continue
            x = MARGIN_X + self.step * (self.columns.index(after[0]) - 0.5)
            parts.append(_row(x, self.height / 2, "\u22ef", "gap"))
        return "".join(parts)


def _link(target: str, kind: str, spoken: str, inside: str) -> str:
    shape = f' class="{kind}"' if kind else ""
    head = f'href="#{target}" data-item="{target}"{shape} aria-label="{escape(spoken)}"'
    return f"<a {head}>{inside}</a>"


def _row(x: float, y: float, text: str, kind: str = "") -> str:
    shape = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{shape}>{escape(text)}</text>'


def _short(text: str, most: int = 15) -> str:
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def _area(x: float, y: float, height: float) -> str:
    return f'<rect class="area" x="{x:g}" y="{y:g}" width="{BOX}" height="{height:g}" rx="6"/>'


def _pill(x: float, y: float, text: str) -> str:
    width = 7 * len(text) + 8
    place = f'x="{x - width / 2:g}" y="{y - 9:g}" width="{width}" height="18" rx="9"'
    return f'<rect class="pill" {place}/>{_row(x, y + 4, text, "small")}'


def _anchor(x: float, y: float) -> str:
    """Where a line without a label is met by the arrow keys."""
    return f'<circle class="area" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'


def descent(subject: Subject) -> str:
    """The cost along the step: the curve, its tangent at 0, and the step that is taken."""
    points = subject.descent
    if len(points) < 2:
        return ""
    eta, slope = subject.learning_rate, subject.squared_norm
    start = points[0][1]
    foretold = start - eta * slope
    costs = [cost for _, cost in points if cost < 4 * start or cost < foretold] or [start]
    low, high = min(*costs, foretold), max(*costs, start)
    spread = (high - low) or 1.0
    low, high = low - 0.08 * spread, high + 0.08 * spread
    width, height, left, bottom = 440, 240, 66, 44

    def at(t: float, cost: float) -> tuple[float, float]:
        return (
            left + (width - left - 12) * t / (2 * eta),
            (height - bottom) - (height - bottom - 12) * (cost - low) / (high - low),
        )

    inside = [at(t, cost) for t, cost in points if low <= cost <= high]
    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in inside)
    until = min(2 * eta, (start - low) / slope) if slope else 2 * eta
    (x0, y0), (x1, y1) = at(0, start), at(until, start - until * slope)
    marks = [f'<line class="tangent" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>']
    marks.append(f'<polyline class="curve" points="{curve}"/>')
    marks.append(f'<circle class="dot" cx="{x0:.1f}" cy="{y0:.1f}" r="5"/>')
    if low <= subject.cost_after <= high:
        x, y = at(eta, subject.cost_after)
        marks.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        marks.append(_row(x + 9, y - 9, "C\u2032", "left"))
    marks.append(_row(x0 + 9, y0 - 3, "C", "left"))
    axes = (
        f'<path class="axis" d="M{left},8 V{height - bottom} H{width - 8}"/>'
        + "".join(
            _row(
                at(t, low)[0],
                height - bottom + 17,
                brief(t),
                "small" + (" right" if t > eta else ""),
            )
            for t in (0, eta, 2 * eta)
        )
        + _row((left + width) / 2, height - 6, "length of the step, \u03b7", "small")
        + "".join(
            _row(left - 7, at(0, c)[1] + 4, brief(c), "small right")
            for c in (low + 0.08 / 1.16 * (high - low), high - 0.08 / 1.16 * (high - low))
        )
    )
    label = (
        f"The cost along the step: from {start:.6g} to {subject.cost_after:.6g} at the learning "
        f"rate {eta:g}; the tangent foretells {foretold:.6g}."
    )
    return (
        f'<svg class="plot" role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">{axes}{"".join(marks)}</svg>'
    )
