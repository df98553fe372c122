"""The page of one step with every loss: checks, formulas that hold, links that fit."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.loss_wording import LOSSES as ROWS
from chainrule.losses import LOSSES
from chainrule.report import page
from chainrule.report.formulas import KINK, Formulas
from chainrule.report.from_text import from_text
from chainrule.report.subject import Subject

SPECS = [
    *LOSSES,
    cr.Huber(0.4, reduction="sum"),
    cr.Quantile((0.1, 0.5, 0.6, 0.9)),
    cr.GaussianNLL(eps=0.1),
    cr.MSE("mean_rows"),
]
EACH = pytest.mark.parametrize("loss", SPECS, ids=str)
WEIGHTS = pytest.mark.parametrize("w", [None, [1.0, 2.5, 0.5]], ids=["plain", "weighted"])


def setting(loss, dtype="float64"):
    name = loss if isinstance(loss, str) else loss.name
    rng = np.random.default_rng(3)
    net = cr.Network([cr.Dense(3, "tanh"), cr.Dense(4)], 2, dtype=dtype, seed=1)
    X = rng.normal(size=(3, 2))
    Y = {
        "cross_entropy": np.array([2, 0, 3]),
        "gaussian_nll": rng.normal(size=(3, 2)),
        "binary_cross_entropy": rng.integers(0, 2, (3, 4)).astype(float),
        "poisson": rng.poisson(2.0, (3, 4)).astype(float),
    }.get(name, rng.normal(size=(3, 4)))
    return net, X, Y


def items_of(subject):
    return {item.id: item for item in Formulas(subject).all()}


@EACH
@WEIGHTS
def test_all_checks_agree(loss, w, dtype, unchanged):
    net, X, Y = setting(loss, dtype)
    with unchanged(net):
        subject = Subject(net, X, Y, 1e-3, loss, sample_weight=w)
        items = items_of(subject)
    checks = [check for item in items.values() for check in item.checks]
    assert len(checks) > 60
    assert all(check.good for check in checks)
    t = net.trace(X, Y, loss, w)
    assert items["cost"].value == t.cost
    assert items["delta-2-3-1"].value == t.delta[2][2, 0]
    html = page(net, X, Y, 1e-3, loss, sample_weight=w)
    name = loss if isinstance(loss, str) else loss.name
    assert f"({ROWS[name].tag})" in html
    assert ("(MSE)" in html) == (name == "mse")
    assert "DIFFERS" not in html


@EACH
def test_a_mistake_is_seen(loss):
    net, X, Y = setting(loss)
    subject = Subject(net, X, Y, loss=loss)
    subject.trace.delta[2][1, 0] += 0.01
    wrong = {item.id for item in Formulas(subject).all() if not all(c.good for c in item.checks)}
    assert "delta-2-2-1" in wrong


@EACH
def test_what_a_number_is_made_of_is_linked(loss):
    net, X, Y = setting(loss)
    items = items_of(Subject(net, X, Y, loss=loss))
    name = loss if isinstance(loss, str) else loss.name
    uses = set(items["delta-2-1-1"].uses)
    if name == "cross_entropy":
        assert uses >= {f"a-2-1-{j}" for j in (1, 2, 3, 4)} | {"y-1-1", "y-1-4"}
    elif name == "gaussian_nll":
        assert uses >= {"a-2-1-1", "a-2-1-3", "y-1-1"}
        assert set(items["delta-2-1-3"].uses) >= {"a-2-1-1", "a-2-1-3", "y-1-1"}
        assert "y-1-3" not in items
    else:
        assert uses >= {"a-2-1-1", "y-1-1"}
        assert "a-2-1-2" not in uses
    for item in items.values():
        assert set(item.uses) <= set(items), item.id


# Every formula that has numbers alone


def number_of(element):
    """The number that a formula of numbers stands for."""
    return eval(python(element).removeprefix("="), {"__builtins__": {}, **FUNCTIONS})


FUNCTIONS = {
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "logcosh": lambda e: math.log(math.cosh(e)),
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
    "sign": lambda e: (e > 0) - (e < 0),
    "cut": lambda e, low, high: min(max(e, low), high),
    "abs": abs,
}


def python(element):
    """A formula as Python."""
    tag, children = element.tag, list(element)
    if tag == "mfrac":
        return f"(({python(children[0])})/({python(children[1])}))"
    if tag == "msup":
        return f"(({python(children[0])})**({python(children[1])}))"
    if tag in ("mn", "mi"):
        return element.text
    if tag == "mo":
        return {"\u2212": "-", "\u22c5": "*", "\u00d7": "*"}.get(element.text, element.text)
    if tag == "mtext":
        assert element.text == "\u2009", element.text
        return ""
    assert tag in ("mrow", "math"), tag
    if len(children) > 2 and children[0].text == children[-1].text == "|":
        return f"abs({''.join(map(python, children[1:-1]))})"
    parts = [python(child) for child in children if child is not None]
    if children and children[0].tag == "mi" and children[0].text in ("log", "exp"):
        inner = "".join(parts[1:])
        inner = inner if inner.startswith("(") else f"({inner})"
        return f"{parts[0]}{inner}"
    joined = ""
    for part in parts:
        if joined and joined[-1] in "0123456789)" and part and part[0] in "(0123456789abcdelst":
            joined += "*"
        joined += part
    return joined.replace("log(cosh", "logcosh(").replace("logcosh((", "logcosh((")


@EACH
@WEIGHTS
def test_the_numbers_of_the_last_errors_hold(loss, w):
    net, X, Y = setting(loss)
    items = items_of(Subject(net, X, Y, loss=loss, sample_weight=w))
    for i in (1, 2, 3):
        for j in (1, 2, 3, 4):
            item = items[f"delta-2-{i}-{j}"]
            equation = next(
                e.formula for e in item.equations if "<mi>" not in _without_functions(e.formula)
            )
            tree = ElementTree.fromstring(equation.replace('stretchy="false"', ""))
            body = list(tree)[-1]
            found = number_of(body)
            assert found == pytest.approx(item.value, rel=1e-4, abs=1e-6), python(body)


def _without_functions(formula):
    return re.sub(r"<mi>(exp|log|cosh|tanh|sigmoid|sign|cut)</mi>", "", formula)


@EACH
def test_every_formula_is_well_formed(loss):
    net, X, Y = setting(loss)
    for item in items_of(Subject(net, X, Y, loss=loss, sample_weight=[1, 2, 3])).values():
        for equation in item.equations:
            ElementTree.fromstring(equation.formula.replace("&nbsp;", " "))


# Cases of their own


def test_a_loss_of_ones_own():
    def cubes(a, Y):
        return float(np.sum(np.abs(a - Y) ** 3)), 3 * (a - Y) * np.abs(a - Y)

    net, X, Y = setting("mse")
    items = items_of(Subject(net, X, Y, loss=cubes))
    assert all(check.good for item in items.values() for check in item.checks)
    assert "cubes" in items["cost"].equations[0].formula
    assert "cubes" in page(net, X, Y, loss=cubes)


def test_one_sample_and_its_class():
    net, X, _ = setting("cross_entropy")
    subject = Subject(net, X[0], 2, loss="cross_entropy")
    assert subject.y.tolist() == [[0, 0, 1, 0]]
    subject = Subject(net, X[0], [0.5, 0.25], loss="gaussian_nll")
    assert subject.y.tolist() == [[0.5, 0.25]]


def test_log_variances_have_names():
    net, X, Y = setting("gaussian_nll")
    subject = Subject(net, X, Y, loss="gaussian_nll", outputs=["height", "width"])
    assert subject.outputs[2:] == ["log-variance of height", "log-variance of width"]
    with pytest.raises(ValueError, match="outputs must have 2 names"):
        Subject(net, X, Y, loss="gaussian_nll", outputs=["a", "b", "c", "d"])


def test_scaled_inputs_and_classes():
    net, X, Y = setting("cross_entropy")
    net.scaling = cr.Scaling.fit(X, outputs=4)
    items = items_of(Subject(net, X, Y, loss="cross_entropy"))
    assert all(check.good for item in items.values() for check in item.checks)
    assert items["y-1-3"].value == 1
    assert items["y-1-3"].equations[0].note == "given"
    net, X, Y = setting("huber")
    net.scaling = cr.Scaling.fit(X, Y)
    items = items_of(Subject(net, X, Y, loss="huber"))
    assert items["y-1-3"].equations[0].note == "standardised"


def test_a_kink_of_the_loss_is_named():
    net, X, Y = setting("mae")
    Y[1, 2] = net(X)[1, 2]
    Y[2, 3] = net(X)[2, 3] - 1e-13
    items = items_of(Subject(net, X, Y, loss="mae"))
    assert items["delta-2-2-3"].checks[0].good
    assert items["delta-2-3-4"].checks[0].verdict == KINK


def test_the_cost_after_the_step_is_weighted_too():
    net, X, Y = setting("huber")
    w = [1.0, 2.5, 0.5]
    subject = Subject(net, X, Y, 0.1, "huber", sample_weight=w)
    trained = net.copy()
    cr.Trainer(trained, cr.SGD(0.1), "huber").step(X, Y, w)
    np.testing.assert_array_equal(subject.after.theta, trained.theta)
    assert subject.cost_after == trained.cost(X, Y, "huber", w)
    a = trained(X)
    assert subject.cost_after == pytest.approx(reference.cost(a, Y, "huber", np.array(w)))


@pytest.mark.parametrize(
    ("text", "mathml"),
    [
        ("2", "<mrow><mn>2</mn></mrow>"),
        ("a_1", "<mrow><msub><mi>a</mi><mrow><mn>1</mn></mrow></msub></mrow>"),
        ("1/6", "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>6</mn></mrow></mfrac>"),
        ("(1 - 2)/3", "<mn>1</mn><mo>\u2212</mo><mn>2</mn>"),
        ("x^2", "<msup><mrow><mi>x</mi></mrow><mrow><mn>2</mn></mrow></msup>"),
        ("(-3)", '<mo form="prefix">\u2212</mo><mn>3</mn>'),
        ("1e-07", "<msup><mn>10</mn>"),
        ("a < b", "<mo>&lt;</mo>"),
    ],
)
def test_plain_text_as_mathml(text, mathml):
    assert mathml in from_text(text)
    ElementTree.fromstring(from_text(text))
