"""The page without a browser: bits, checks, formulas, policy, escaping, size."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule import report
from chainrule.report import formulas, graph, mathml
from chainrule.report.bundle import MODULES, bundle
from chainrule.report.formulas import Formulas
from chainrule.report.page import LIMIT, build
from chainrule.report.subject import Subject, select
from chainrule.walkthrough import example

ACTIVATIONS = (
    "identity", "relu", "leaky_relu", "sigmoid", "tanh", "softplus", "gelu", "silu",
)  # fmt: skip
VOID = {"meta", "link", "input", "br", "img", "hr"}
BLOCKS = {"div", "p", "dl", "ul", "ol", "table", "figure", "section", "h2", "h3", "details"}


class Outline(HTMLParser):
    """The elements of a page as a tree of (tag, attributes); fails where tags do not match."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.texts = [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        assert len({name for name, _ in attributes}) == len(attributes), f"{tag}: twice the same"
        if tag in BLOCKS:
            assert "p" not in self.open, f"<{tag}> inside <p>"
        if tag == "a":
            assert "a" not in self.open, "a link inside a link"
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert "svg" in self.open, f"<{tag}/> is no HTML"
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.texts.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def made(widths, activation, m, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    net = cr.Network([cr.Dense(n, activation) for n in widths[1:]], widths[0], dtype, seed)
    for l in range(1, net.L + 1):
        net.b[l] = rng.normal(size=widths[l]).astype(dtype)
    X = rng.normal(size=(m, widths[0])).astype(dtype)
    return net, X, rng.normal(size=(m, widths[-1])).astype(dtype)


def model_of(html):
    text = re.search(r'<script type="application/json" id="model">(.*?)</script>', html, re.DOTALL)
    return json.loads(text[1])


@pytest.fixture(scope="module")
def html():
    return report.page(*example())


def test_every_number_of_the_example_is_there_bit_for_bit(html):
    net, X, Y = example()
    t = net.trace(X, Y, loss="mse")
    items = {name: item["value"] for name, item in model_of(html)["items"].items()}
    for l in range(1, 3):
        for j in (1, 2):
            assert items.pop(f"z-{l}-1-{j}") == t.z[l][0, j - 1]
            assert items.pop(f"a-{l}-1-{j}") == t.a[l][0, j - 1]
            assert items.pop(f"delta-{l}-1-{j}") == t.delta[l][0, j - 1]
            assert items.pop(f"b-{l}-{j}") == t.explain(l, j).value == t.db[l][j - 1]
            for k in (1, 2):
                value = items.pop(f"w-{l}-{j}-{k}")
                assert value == t.explain(l, j, k).value == t.dW[l][j - 1, k - 1]
    assert items.pop("cost") == t.cost
    for k in (1, 2):
        assert items.pop(f"a-0-1-{k}") == X[0, k - 1]
        assert items.pop(f"y-1-{k}") == Y[0, k - 1]
    twin = net.copy()
    cr.Trainer(twin, cr.SGD(0.5)).step(X, Y)
    assert items.pop("after") == twin.cost(X, Y)
    assert not items


def test_links_lead_somewhere_and_values_read_back(html):
    page = Outline(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.of("a"):
        assert link["href"][0] == "#"
        assert link["href"][1:] in ids
        if "data-item" in link:
            assert link["href"] == "#" + link["data-item"]
    items = model_of(html)["items"]
    for item in page.of("details"):
        assert item["data-for"] in items
    values = [float(attributes["value"]) for attributes in page.of("data")]
    assert {item["value"] for item in items.values()} <= set(values)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "half_mean"])
def test_all_checks_agree(activation, reduction, dtype):
    net, X, Y = made((3, 4, 2), activation, 3, dtype, seed=4)
    subject = Subject(net, X, Y, learning_rate=1e-3, loss=cr.MSE(reduction))
    count = 0
    for item in Formulas(subject).all():
        for check in item.checks:
            assert check.good, (item.id, check)
            count += 1
    assert count > 60


@pytest.mark.parametrize("plant", ["z", "delta", "dW"])
def test_a_mistake_is_seen(plant):
    net, X, Y = made((3, 4, 2), "tanh", 3)
    subject = Subject(net, X, Y)
    getattr(subject.trace, plant)[1][0, 0] *= 1.001
    wrong = {item.id for item in Formulas(subject).all() if not all(c.good for c in item.checks)}
    assert wrong == {{"z": "z-1-1-1", "delta": "delta-1-1-1", "dW": "w-1-1-1"}[plant]}
    assert "DIFFERS" in build(subject)


def test_a_kink_is_named_and_no_mistake():
    net = cr.Network([cr.Dense(1, "relu"), cr.Dense(1)], 1, "float64")
    net.W[1], net.b[1], net.W[2] = [[1.0]], [-1.0], [[1.0]]
    items = {item.id: item for item in Formulas(Subject(net, [[1.0]], [[2.0]])).all()}
    assert items["z-1-1-1"].value == 0
    for name in ("delta-1-1-1", "w-1-1-1", "b-1-1"):
        assert items[name].value == 0
        assert items[name].checks[0].good
        assert items[name].checks[0].verdict == formulas.KINK


def test_the_difference_along_z_is_delta():
    net, X, Y = made((3, 5, 4, 2), "gelu", 4)
    subject = Subject(net, X, Y)
    for l in (1, 2, 3):
        found = [[subject.delta_check(l, i, j)[0] for j in range(1, net.n[l] + 1)]
                 for i in range(1, 5)]  # fmt: skip
        np.testing.assert_allclose(found, subject.trace.delta[l], rtol=1e-6, atol=1e-10)


def test_the_policy_allows_this_style_and_this_script_alone(html):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    assert "http" not in policy
    for tag, rule in (("style", "style-src"), ('script type="module"', "script-src")):
        name = tag.split()[0]
        text = re.search(rf"<{tag}>(.*?)</{name}>", html, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    page = Outline(html)
    assert len(page.of("style")) == 1
    assert len(page.of("script")) == 2
    for _, attributes in page.elements:
        forbidden = {"style", "src", "srcset", "onclick", "onload"}
        assert not forbidden & {name for name in attributes if name}
    assert "url(" not in html
    assert "@import" not in html
    assert not re.search(r"https?://", html)


def test_a_formula_has_symbols_numbers_and_tag(html):
    text = Outline(html).text
    for tag in ("(Z)", "(A)", "(MSE)", "(BP1)", "(BP2)", "(BP3)", "(BP4)", "(GD)"):
        assert tag in text
    for formula in re.findall(r"<math.*?</math>", html, re.DOTALL):
        ElementTree.fromstring(formula.replace("&nbsp;", " "))  # well formed
    body = re.search(r'id="w-1-2-1">(.*?)</details>', html, re.DOTALL)[1]
    e = example()[0].trace(*example()[1:]).explain(1, 2, 1)
    assert mathml.exact(e.value) in body
    assert mathml.inline(mathml.exact(e.value)) not in body
    assert f'value="{e.check!r}"' in body
    assert f'value="{e.path_sum!r}"' in body
    assert body.count("<li>sample") + body.count("<li>units") == e.n_paths == 2
    assert 'href="#delta-1-1-2"' in body
    assert 'href="#a-0-1-1"' in body


HOSTILE = ['<script>alert("x")</script>', '"><img src=x onerror=alert(1)>', "]]></style>&amp;'"]


def test_hostile_names_stay_text():
    net, X, Y = made((3, 2, 3), "tanh", 3)
    names = {"inputs": HOSTILE, "outputs": HOSTILE, "samples": HOSTILE}
    html = report.page(net, X, Y, title=HOSTILE[0], **names)
    page = Outline(html)
    assert len(page.of("script")) == 2
    assert not page.of("img")
    assert not re.search(r"<(script|img)[^>]*(alert|onerror)", html)
    for name in HOSTILE:
        assert " ".join(name.split()) in page.text
    for _, attributes in page.elements:
        assert not any(key.startswith("on") for key in attributes)


def test_long_names_are_cut():
    net, X, Y = made((3, 2, 1), "tanh", 2)
    names = ["x" * 100_000] * 3
    assert len(report.page(net, X, Y, inputs=names, title="t" * 100_000)) < 400_000


@pytest.mark.parametrize(
    ("widths", "activation", "m"),
    [
        ((64, 64), "sigmoid", 3),
        ((10, 64, 64, 1), "relu", 5),
        ((3, *[5] * 9, 2), "tanh", 6),
        ((2, 12, 12, 3), "silu", 300),
        ((1, 1), "identity", 1),
        ((40, 1), "identity", 2),
        ((1, 40), "identity", 2),
        ((2, 2, 2, 2, 2, 2, 2, 1), "tanh", 2),
    ],
)
def test_a_page_stays_small_and_says_what_it_leaves_out(widths, activation, m):
    net, X, Y = made(widths, activation, m, "float32")
    html = report.page(net, X, Y, learning_rate=1e-3)
    assert len(html.encode()) <= LIMIT
    page = Outline(html)
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {link["href"][1:] for link in page.of("a")} <= ids
    items = model_of(html)["items"]
    numbers = net.n_parameters + m * (widths[0] + widths[-1] + 3 * sum(widths[1:])) + 2
    assert ("shortened" in ids) == (len(items) < numbers)
    assert "DIFFERS" not in page.text
    t = net.trace(X, Y)
    places = [
        (abs(float(g[p])), (l, *(int(x) + 1 for x in p)))
        for l in range(1, net.L + 1)
        for g in (t.dW[l], t.db[l])
        for p in np.ndindex(g.shape)
    ]
    for _, place in sorted(places, reverse=True)[:12]:
        name = "-".join(map(str, ("w" if len(place) == 3 else "b", *place)))
        assert name in items, f"{name} is among the largest"
        assert items[name]["value"] == float(t.explain(*place).value)


def test_what_is_shown_are_the_units_with_the_largest_derivatives():
    sizes = [np.zeros((30, 20)), np.zeros((1, 30))]
    sizes[0][17, 3], sizes[0][4, 11], sizes[1][0, 2] = 5, 4, 3
    shown = select((20, 30, 1), 2, sizes, most=60)
    assert {18, 5} <= set(shown.units[1])
    assert {4, 12} <= set(shown.units[0])
    assert shown.units[2] == (1,)
    assert shown.samples == (1, 2)


def test_a_scaled_network_shows_how_its_inputs_came_about():
    net, X, Y = made((2, 3, 1), "tanh", 5)
    net.scaling = cr.Scaling([10.0, 20.0], [2.0, 4.0], [5.0], [0.5])
    items = {item.id: item for item in Formulas(Subject(net, X, Y, 0.01)).all()}
    assert items["a-0-2-1"].value == pytest.approx((X[1, 0] - 10) / 2, rel=1e-15)
    assert items["y-2-1"].value == pytest.approx((Y[1, 0] - 5) / 0.5, rel=1e-15)
    assert items["a-0-2-1"].equations[0].note == "standardised"
    page = Outline(report.page(net, X, Y, 0.01))
    assert "in standardised units" in page.text
    assert "DIFFERS" not in page.text


@pytest.mark.parametrize(
    "value", [0.1, -0.1, 1e-300, -2.5e21, 5e-324, 0.0, 1 / 3, 1234567.891, float(np.float32(0.1))]
)
def test_an_exact_number_reads_back_bit_for_bit(value):
    text = "".join(ElementTree.fromstring(mathml.exact(value)).itertext())
    text = text.replace("\N{MINUS SIGN}", "-").replace("\N{MULTIPLICATION SIGN}10", "e")
    assert float(text).hex() == value.hex()


def test_a_rounded_number_has_its_sign_and_its_power():
    def said(value):
        return "".join(ElementTree.fromstring(mathml.number(value)).itertext())

    assert said(-0.125) == "\N{MINUS SIGN}0.125"
    assert said(1.5e-9) == "1.5\N{MULTIPLICATION SIGN}10\N{MINUS SIGN}9"
    assert said(float("nan")) == "nan"


def test_text_inside_a_formula_is_escaped():
    assert mathml.mtext("<b>&") == "<mtext>&lt;b&gt;&amp;</mtext>"
    assert mathml.mi("<") == "<mi>&lt;</mi>"


def test_the_scripts_join_into_one_module():
    text = bundle()
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)
    names = re.findall(r"^(?:const|let|function|class) (\w+)", text, re.MULTILINE)
    assert len(names) == len(set(names)), "two modules use the same name"
    order = [text.index(f"// {name}.js") for name in MODULES]
    assert order == sorted(order)
    assert "</script" not in text
    assert "innerHTML" not in text


def test_the_pictures_have_names_for_all_and_no_style_of_their_own():
    net, X, Y = made((2, 3, 1), "tanh", 1)
    subject = Subject(net, X, Y)
    for backward in (False, True):
        svg = ElementTree.fromstring(graph.draw(subject, 1, backward))
        assert svg.get("aria-label")
        links = svg.findall(".//a")
        assert len(links) == 9 + (3 + 1) * (2 if backward else 3) + 2 + 1
        for link in links:
            assert link.get("aria-label")
        negative = {line.get("class") for line in svg.iter("line")}
        assert {"positive", "negative", "reach"} >= negative
    assert ElementTree.fromstring(graph.descent(subject)).get("role") == "img"


def test_the_network_is_left_as_it_was(unchanged):
    net, X, Y = made((2, 3, 1), "tanh", 4)
    with unchanged(net):
        report.page(net, X, Y)


def test_one_sample_and_targets_as_a_column():
    net, X, Y = made((2, 3, 1), "tanh", 4)
    assert report.page(net, X, Y[:, 0]) == report.page(net, X, Y)
    assert report.page(net, X[0], Y[0]) == report.page(net, X[:1], Y[:1])
    assert report.page(net, X[0], float(Y[0, 0])) == report.page(net, X[:1], Y[:1])


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"net": "model"}, TypeError, "net must be a Network"),
        ({"X": [[1.0, 2.0, 3.0]]}, ValueError, "X"),
        ({"X": [[np.nan, 1.0]]}, ValueError, "X"),
        ({"Y": [[1.0], [2.0]]}, ValueError, "Y"),
        ({"learning_rate": 0}, ValueError, "learning_rate"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate"),
        ({"loss": "hinge"}, ValueError, "loss"),
        ({"inputs": ["a"]}, ValueError, "inputs must have 2 names, got 1"),
        ({"inputs": "ab"}, TypeError, "inputs must be a list of 2 str"),
        ({"outputs": [1]}, TypeError, "outputs must be a list of 1 str"),
        ({"title": 3}, TypeError, "title must be a str"),
        ({"learning_rate": 1e300}, cr.DivergedError, "not finite"),
    ],
)
def test_wrong_arguments(change, error, words, unchanged):
    net, X, Y = made((2, 3, 1), "identity", 1)
    arguments = {"net": net, "X": X, "Y": Y} | change
    with unchanged(net), pytest.raises(error, match=re.escape(words)):
        report.page(**arguments)
