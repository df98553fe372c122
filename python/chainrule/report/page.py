"""The page: sections in the order of the lecture, then every number with its formula.

One self-contained HTML file. All of it can be read without JavaScript: numbers are links to their
explanation, which is a <details> element. The scripts of `assets/` open the same explanation beside
the number. Nothing is fetched, and the policy in the head allows nothing but our own style and
script, by their hashes. Called by `chainrule explain --html`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from . import equations, graph
from .bundle import asset, bundle
from .document import document, section
from .elements import explanation, lines, table
from .formulas import Formulas
from .items import Item
from .mathml import inline, mi, primed, whole
from .subject import Subject
from .terms import DELTA, slope

LIMIT = 1_000_000  # bytes
BUDGETS = (260, 180, 130, 90, 60, 40)  # numbers with a formula of their own
LARGE = 200_000  # parameters times samples: each explanation takes milliseconds
TITLE = "Every number of one step"


def build(subject: Subject, title: str = TITLE) -> str:
    """The page of one subject as HTML, with as many numbers as fit into LIMIT bytes."""
    title = title if len(title) <= 200 else title[:199] + "\u2026"
    budgets = BUDGETS if subject.net.n_parameters * subject.m <= LARGE else BUDGETS[-2:]
    for budget in budgets:
        subject.show(budget)
        html = _Page(subject, title).html()
        if len(html.encode("utf-8")) <= LIMIT:
            break
    return html


def _number(value: float) -> str:
    return graph.brief(value)


class _Page:
    def __init__(self, subject: Subject, title: str) -> None:
        self.s, self.title = subject, title
        self.items = {item.id: item for item in Formulas(subject).all()}

    def html(self) -> str:
        script = bundle()
        sections = [
            self._network(),
            self._forward(),
            self._cost(),
            self._backward(),
            self._step(),
            self._everything(),
        ]
        contents = [
            ("network", "Network"),
            ("forward", "Forward"),
            ("cost-section", "Cost"),
            ("backward", "Backward"),
            ("step", "Step"),
            ("numbers", "All numbers"),
        ]
        body = f"""<div class="columns">
<main>
{"".join(sections)}
</main>
<aside id="inspector" aria-label="Explanation of the chosen number" hidden></aside>
</div>
<script type="application/json" id="model">{self._model()}</script>
<script type="module">{script}</script>"""
        return document(self.title, asset("page.css"), contents, body, script)

    def _model(self) -> str:
        items = {
            item.id: {
                "kind": item.kind,
                "value": item.value,
                "uses": [name for name in item.uses if name in self.items],
            }
            for item in self.items.values()
        }
        text = json.dumps({"n": self.s.net.n, "items": items}, separators=(",", ":"))
        return text.replace("<", "\\u003c")

    # --- sections ---------------------------------------------------------------------------------

    def _network(self) -> str:
        s = self.s
        widths = "\u2013".join(map(str, s.net.n))
        facts = [
            ("Units", widths),
            ("Activations", ", ".join(s.activations)),
            ("Parameters", f"{s.net.n_parameters:,}"),
            ("Samples", f"{s.m:,}"),
            ("Arithmetic", s.net.dtype),
            ("Learning rate", f"{s.learning_rate:g}"),
        ]
        rows = "".join(f"<div><dt>{a}</dt><dd>{escape(b)}</dd></div>" for a, b in facts)
        cost = f"{self._link('cost')} before, {self._link('after')} after the step"
        rows += f"<div><dt>Cost</dt><dd>{cost}</dd></div>"
        intro = (
            "A network computes, is compared with the right answers, and learns: forward, cost, "
            "backward, one step of gradient descent. Choose any number to see its formula, the "
            "same formula with numbers, and a check by another way."
        )
        return section(
            "network",
            "The network",
            f"""
<p class="lead">{intro}</p>{self._shortened()}{self._scaled()}
<dl class="facts">{rows}</dl>
{self._data()}
""",
        )

    def _shortened(self) -> str:
        s = self.s
        if s.whole:
            return ""
        parts = []
        counts = {l: len(units) for l, units in s.shown.units.items()}
        left_out = s.L - len(s.shown.layers)
        if left_out or any(counts.get(l, 0) < n for l, n in enumerate(s.net.n)):
            names = [
                f"{counts[l]} of {s.net.n[l]} {'inputs' if l == 0 else f'units of layer {l}'}"
                for l in counts
                if counts[l] < s.net.n[l]
            ]
            if left_out:
                middle = "a middle layer" if left_out == 1 else f"{left_out} middle layers"
                names.append(f"no weights of {middle}")
            parts.append(
                "This network has more numbers than fit on a page. Shown are those with the "
                f"largest derivatives: {', '.join(names)}."
            )
        if len(s.shown.samples) < s.m:
            parts.append(
                f"Numbers of a single sample are shown for the first {len(s.shown.samples)} of "
                f"{s.m:,} samples."
            )
        parts.append(
            "All sums run over everything; what is left out of a line is in its last term."
        )
        return f'<p class="hint" id="shortened">{escape(" ".join(parts))}</p>'

    def _scaled(self) -> str:
        scaling = self.s.net.scaling
        if scaling is None:
            return ""
        text = (
            f"This network standardises its {scaling.scaled}: all numbers below, the cost too, are "
            "in standardised units. An input shows how its own came about."
        )
        return f'<p class="hint">{escape(text)}</p>'

    def _data(self) -> str:
        s = self.s
        units, last = s.shown.units[0], self._targets()
        head = [escape(s.inputs[k - 1]) for k in units] + [escape(s.outputs[j - 1]) for j in last]
        rows = []
        for i in s.shown.samples:
            cells = [self._cell(f"a-0-{i}-{k}") for k in units]
            cells += [self._cell(f"y-{i}-{j}") for j in last]
            rows.append((escape(s.samples[i - 1]), cells))
        return table("The samples: inputs, then targets", head, rows)

    def _forward(self) -> str:
        layers = []
        for l in self._columns():
            tables = [self._weights("W", l), self._biases("b", l)]
            tables += [self._samples("Z", "z", l), self._samples("A", "a", l)]
            layers.append(self._layer(l, tables))
        return section(
            "forward",
            "Forward: from the inputs to the answer",
            f"""
<p>Each unit adds up the layer below, each number times its weight, and adds its bias: z. Then its
activation f gives a, which goes on to the next layer. The inputs are a<sup>0</sup>.</p>
{lines(equations.FORWARD)}
{self._graphs(backward=False)}
{"".join(layers)}
""",
        )

    def _targets(self) -> list[int]:
        """The columns of Y that are shown."""
        return [j for j in self.s.shown.units[self.s.L] if j <= self.s.n_targets]

    def _cost(self) -> str:
        s = self.s
        cost = self.items["cost"]
        if s.objective.name == "mse" and s.objective.weight is None:
            said = "The squared errors of all samples and outputs, added up and divided by D, make"
        elif s.objective.custom:
            said = "A function of all answers and targets gives"
        else:
            said = "The shares of all samples and outputs, added up and divided by D, make"
        head, rows = self._errors()
        return section(
            "cost-section",
            "Cost: how wrong the answer is",
            f"""
<p>{said} the cost C.</p>
{lines(cost.equations)}
{table("The errors", head, rows)}
<p>C = {self._link("cost")}</p>
""",
        )

    def _errors(self) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """The table of answers and targets: its head and its rows."""
        s = self.s
        L, name = s.L, s.objective.name
        one_each = name not in ("cross_entropy", "gaussian_nll") and not s.objective.custom
        head = ["answer a", "target y"]
        head += {"cross_entropy": ["softmax p"], "gaussian_nll": ["log-variance s"]}.get(
            name, ["a \u2212 y"]
        )
        if name == "mse":
            head.append("squared")
        elif not s.objective.custom and name != "cross_entropy":
            head.append("share")
        rows = []
        for i in s.shown.samples:
            for j in self._targets():
                a, y = float(s.trace.a[L][i - 1, j - 1]), float(s.y[i - 1, j - 1])
                cells = [self._cell(f"a-{L}-{i}-{j}"), self._cell(f"y-{i}-{j}")]
                if name == "cross_entropy":
                    cells.append(escape(_number(float(s.written.softmax(i - 1)[j - 1]))))
                elif name == "gaussian_nll":
                    cells.append(self._cell(f"a-{L}-{i}-{s.n_targets + j}"))
                else:
                    cells.append(escape(_number(a - y)))
                if one_each or name == "gaussian_nll":
                    share = float(s.written.values()[i - 1, j - 1])
                    cells.append(escape(_number(share)))
                rows.append((escape(f"{s.samples[i - 1]}, {s.outputs[j - 1]}"), cells))
        return head, rows

    def _backward(self) -> str:
        layers = []
        for l in reversed(self._columns()):
            tables = [self._samples(DELTA, "delta", l), self._biases("dC/db", l)]
            tables.append(self._weights("dC/dW", l))
            layers.append(self._layer(l, tables))
        return section(
            "backward",
            "Backward: who is to blame",
            f"""
<p>The chain rule takes the error back through the network. {inline(mi(DELTA))} is the derivative
of the cost with respect to z; the four equations give it layer by layer, from the last to the
first, and with it the derivative with respect to every weight and bias.</p>
{lines(equations.BACKWARD)}
{self._graphs(backward=True)}
{"".join(layers)}
{self._largest()}
""",
        )

    def _explanations(self, items: Sequence[Item]) -> str:
        return "".join(explanation(item, self.items) for item in items)

    def _step(self) -> str:
        s = self.s
        layers = [self._layer(l, [self._weights("W\u2032", l), self._biases("b\u2032", l)])
                  for l in self._columns()]  # fmt: skip
        foretold = s.trace.cost - s.learning_rate * s.squared_norm
        return section(
            "step",
            "One step of gradient descent",
            f"""
<p>The derivatives point uphill. Each weight and each bias goes a little way against its own, the
learning rate {inline(mi(chr(0x3B7)))} = {s.learning_rate:g} times as far as it is large, all at
once.</p>
{lines(equations.STEP)}
<div class="pair"><figure class="scroll">{graph.descent(s)}
<figcaption>The cost along the step. The tangent at the start is the first order.</figcaption>
</figure>
<dl class="facts"><div><dt>C before</dt><dd>{self._link("cost")}</dd></div>
<div><dt>C\u2032 after</dt><dd>{self._link("after")}</dd></div>
<div><dt>foretold by the tangent</dt><dd>{escape(_number(foretold))}</dd></div></dl></div>
{"".join(layers)}
""",
        )

    def _everything(self) -> str:
        titles = {
            "x": "Inputs", "z": "Weighted sums z and activations a", "y": "Targets",
            "cost": "Cost", "delta": "Errors \u03b4", "b": "Weights and biases",
            "after": "After the step",
        }  # fmt: skip
        groups: dict[str, list[Item]] = {}
        for item in self.items.values():
            kind = {"a": "z", "w": "b"}.get(item.kind, item.kind)
            groups.setdefault(kind, []).append(item)
        parts = [f"<h3>{titles[kind]}</h3>{self._explanations(groups[kind])}" for kind in titles]
        return section(
            "numbers",
            "Every number with its formula",
            f"""
<p>Numbers inside a formula are rounded to 6 digits; a value has all of its digits.</p>
{"".join(parts)}
""",
        )

    # --- parts ------------------------------------------------------------------------------------

    def _columns(self) -> list[int]:
        return [l for l in self.s.shown.units if l]

    def _layer(self, l: int, tables: list[str]) -> str:
        words = f"Layer {l}" + (", the last" if l == self.s.L else "")
        activation = self.s.activations[l - 1]
        return (
            f'<div class="layer"><h3>{words} <small>{activation}</small></h3>'
            f'<div class="matrices">{"".join(tables)}</div></div>'
        )

    def _graphs(self, backward: bool) -> str:
        """One picture per sample; radio buttons choose, without a script."""
        s = self.s
        way = "backward" if backward else "forward"
        legend = (
            '<figcaption class="legend"><span><span class="key positive"></span> positive</span>'
            '<span><span class="key negative"></span> negative</span><span>the thicker the line, '
            f"the larger {'the derivative' if backward else 'the weight'} in its layer</span>"
            "</figcaption>"
        )
        if len(s.shown.samples) == 1:
            return (
                f'<figure><div class="scroll">{graph.draw(s, 1, backward)}</div>{legend}</figure>'
            )
        radios, pictures = [], []
        for i in s.shown.samples:
            on = " checked" if i == 1 else ""
            radios.append(
                f'<label><input type="radio" name="{way}" value="{i}"{on}> '
                f"{escape(s.samples[i - 1])}</label>"
            )
            pictures.append(
                f'<div class="scroll picture" data-sample="{i}">{graph.draw(s, i, backward)}</div>'
            )
        choice = f'<fieldset class="choice"><legend>Sample</legend>{"".join(radios)}</fieldset>'
        return f'<figure class="switch">{choice}{"".join(pictures)}{legend}</figure>'

    def _weights(self, letter: str, l: int) -> str:
        s = self.s
        if l not in s.shown.layers:
            return ""
        values = {"W": s.net.W, "dC/dW": s.trace.dW, "W\u2032": s.after.W}[letter][l]
        units, below = s.shown.units[l], s.shown.units[l - 1]
        rows = [
            (f"j = {j}", [self._cell(f"w-{l}-{j}-{k}", float(values[j - 1, k - 1])) for k in below])
            for j in units
        ]
        caption = self._caption(letter, l, (s.net.n[l], s.net.n[l - 1]))
        return table(caption, [f"k = {k}" for k in below], rows)

    def _biases(self, letter: str, l: int) -> str:
        s = self.s
        values = {"b": s.net.b, "dC/db": s.trace.db, "b\u2032": s.after.b}[letter][l]
        cells = [self._cell(f"b-{l}-{j}", float(values[j - 1])) for j in s.shown.units[l]]
        caption = self._caption(letter, l, (s.net.n[l],))
        return table(caption, [f"j = {j}" for j in s.shown.units[l]], [("", cells)])

    def _samples(self, letter: str, kind: str, l: int) -> str:
        s = self.s
        units = s.shown.units[l]
        rows = [
            (escape(s.samples[i - 1]), [self._cell(f"{kind}-{l}-{i}-{j}") for j in units])
            for i in s.shown.samples
        ]
        caption = self._caption(letter, l, (s.m, s.net.n[l]))
        return table(caption, [f"j = {j}" for j in units], rows)

    @staticmethod
    def _caption(letter: str, l: int, shape: tuple[int, ...]) -> str:
        if letter.startswith("dC/d"):
            symbol = slope(f"<msup>{mi(letter[4:])}{whole(l)}</msup>")
        elif letter.endswith("\u2032"):
            symbol = f"<msup>{primed(letter[:-1])}{whole(l)}</msup>"
        else:
            symbol = f"<msup>{mi(letter)}{whole(l)}</msup>"
        size = " \u00d7 ".join(map(str, shape))
        return f"{inline(symbol)} <small>{size}</small>"

    def _cell(self, name: str, value: float | None = None) -> str:
        """A number as a link to its explanation; its full value stands in data-value."""
        item = self.items.get(name)
        number = item.value if value is None and item else value
        if number is None:
            return "\u2026"
        if item is None:
            return escape(_number(number))
        return (
            f'<a href="#{name}" data-item="{name}" data-value="{number!r}" '
            f'aria-label="{escape(item.spoken)}: {number:.6g}">{_number(number)}</a>'
        )

    def _link(self, name: str) -> str:
        return f'<span class="number">{self._cell(name)}</span>'

    def _largest(self) -> str:
        largest = self.s.largest
        most = max((abs(value) for _, value in largest), default=0.0) or 1.0
        rows = []
        for rank, (place, value) in enumerate(largest, 1):
            name = "-".join(map(str, ("w" if len(place) == 3 else "b", *place)))
            width = 100 * abs(value) / most
            sign = "negative" if value < 0 else "positive"
            bar = (
                '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" '
                'aria-hidden="true">'
                f'<rect class="{sign}" width="{width:.2f}" height="10"/></svg>'
            )
            rows.append(
                (f"{rank}", [inline(self.items[name].symbol), self._cell(name, value), bar])
            )
        title = "The largest derivatives: here a small change does the most"
        return table(title, ["with respect to", "derivative", "size"], rows, "ranking")
