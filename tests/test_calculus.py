"""Formulas: the lecture's cases, the parser, kinks, singular points, the printed forms."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import calculus

CASES = json.loads((Path(__file__).parent / "data" / "lecture_cases.json").read_text())["calculus"]


@pytest.fixture(params=CASES, ids=lambda case: case["id"])
def case(request):
    return request.param


def expected(text, names):
    """The expression of a case, read by SymPy itself as an oracle for our parser."""
    z = sp.Symbol("z")
    step = sp.Lambda(z, sp.Piecewise((0, z <= 0), (1, True)))
    top = sp.Lambda((sp.Symbol("o"), z), sp.Piecewise((0, z <= 0), (z, True)))
    return sp.sympify(text, {**{n: sp.Symbol(n) for n in names}, "step": step, "max": top})


def close(a, b):
    return np.testing.assert_allclose(np.asarray(a, float), b, rtol=1e-12, atol=1e-15)


def test_there_are_14_cases():
    assert len(CASES) == 14


def test_function_of_the_lecture_cases(case):
    f = calculus.function(case["functions"], case["vars"])
    close(f(*case["point"]), case["value"])
    close(f.jacobian(at=case["point"]), case["jacobian"])
    assert f.jacobian(at=case["point"]).dtype == np.float64
    if case["hessian"]:
        close(f.hessian(at=case["point"]), case["hessian"])
        close(f.gradient(at=case["point"]), case["jacobian"][0])
    symbolic = f.jacobian()
    assert isinstance(symbolic, sp.Matrix)
    point = dict(zip(sp.symbols(case["vars"]), map(sp.Rational, case["point"]), strict=True))
    for i, row in enumerate(case["jacobian_expr"]):
        for j, text in enumerate(row):
            difference = symbolic[i, j] - expected(text, case["vars"])
            assert abs(difference.subs(point).evalf(50)) < 1e-40, text


def test_chain_of_the_lecture_cases(case):
    c = calculus.chain(case["functions"], case["vars"])
    f = calculus.function(case["functions"], case["vars"])
    close(c(*case["point"]), case["value"])
    close(c.jacobian(at=case["point"]), case["jacobian"])
    product = np.eye(len(case["vars"]))
    for stage in c.jacobians(at=case["point"]):
        product = stage @ product
    close(product, case["jacobian"])
    assert c.jacobian() == f.jacobian()
    assert c.jacobian().free_symbols <= set(sp.symbols(case["vars"]))


def test_stages_of_the_lecture_cases(case):
    if not case["stages"]:
        pytest.skip("the case has no stages")
    *inner, last = case["stages"]
    stages = [dict(zip(s["outputs"], s["exprs"], strict=True)) for s in inner]
    c = calculus.chain(last["exprs"], case["vars"], stages=stages)
    close(c(*case["point"]), case["value"])
    close(c.jacobian(at=case["point"]), case["jacobian"])
    numbers = c.jacobians(at=case["point"])
    assert len(numbers) == len(case["stage_jacobians"]) == len(c.stages)
    for got, want in zip(numbers, case["stage_jacobians"], strict=True):
        close(got, want)
    for got, want in zip(c.jacobians(), case["stage_jacobians_expr"], strict=True):
        names = [str(s) for s in got.free_symbols]
        matrix = sp.Matrix([[expected(e, names) for e in row] for row in want])
        assert sp.simplify(got - matrix) == sp.zeros(*got.shape)
    # What the lecture does by hand is what `chain` finds by itself, C08 apart (its h are free).
    if case["id"] != "C08_vector_chain_three_stages":
        found = calculus.chain(case["functions"], case["vars"])
        assert found.jacobians() == c.jacobians()
        assert found.intermediates == c.intermediates


def test_the_lecture_example_of_the_chain_rule():
    c = calculus.chain(["sin(x**2 + y)", "log(y**3)"], variables="x y")
    x, y, g1, g2 = sp.symbols("x y g1 g2")
    assert c.intermediates == {g1: x**2 + y, g2: y**3}
    assert c.outer == sp.Matrix([[sp.cos(g1), 0], [0, 1 / g2]])
    assert c.inner == sp.Matrix([[2 * x, 1], [0, 3 * y**2]])
    assert c.product == c.outer * c.inner
    assert c.product != c.inner * c.outer
    assert c.jacobian() == sp.Matrix([[2 * x * sp.cos(x**2 + y), sp.cos(x**2 + y)], [0, 3 / y]])
    close(c.jacobian(at=(1.5, 0.75)), [[-2.9699774898013365, -0.9899924966004454], [0, 4]])
    assert str(c) == "\n".join(
        [
            "f1 = sin(x**2 + y)",
            "f2 = log(y**3)",
            "",
            "1. Name the functions inside, from the innermost on.",
            "   g1 = x**2 + y",
            "   g2 = y**3",
            "   f1 = sin(g1)",
            "   f2 = log(g2)",
            "",
            "2. Differentiate each stage by its own inputs.",
            "   d(f1, f2)/d(g1, g2) = [ cos(g1)     0 ]",
            "                         [       0  1/g2 ]",
            "   d(g1, g2)/d(x, y) = [ 2*x       1 ]",
            "                       [   0  3*y**2 ]",
            "",
            "3. Multiply, the outermost first.",
            "   d(f1, f2)/d(x, y) = d(f1, f2)/d(g1, g2) d(g1, g2)/d(x, y)",
            "                     = [ 2*x*cos(g1)    cos(g1) ]",
            "                       [           0  3*y**2/g2 ]",
            "",
            "4. Put the intermediate functions back in.",
            "   d(f1, f2)/d(x, y) = [ 2*x*cos(x**2 + y)  cos(x**2 + y) ]",
            "                       [                 0            3/y ]",
        ]
    )


def test_deep_nesting_names_every_stage():
    c = calculus.chain("sin(exp(cos(x^2)))", "x")
    assert [str(g) for g in c.intermediates] == ["g1", "g2", "g3"]
    assert [str(f) for f in c.intermediates.values()] == ["x**2", "cos(g1)", "exp(g2)"]
    assert [str(j[0]) for j in c.jacobians()] == ["2*x", "-sin(g1)", "exp(g2)", "cos(g3)"]


def test_stages_of_different_depth_wait_behind_placeholders():
    c = calculus.chain(["sin(cos(x^2 + y))", "5*x - 3*y", "y"], "x y")
    assert [s.jacobian().shape for s in c.stages] == [(3, 2), (3, 3), (3, 3)]
    assert c.jacobian() == c.function.jacobian()
    assert str(c).count("placeholder: passed on") == 2
    assert "nothing is inside, so g2 is the whole; outer derivative 1" in str(c)
    assert "(placeholder: the variable itself)" in str(c)


def test_names_of_intermediates_avoid_the_variables():
    c = calculus.chain("sin(g1^2) + f", "g1 f")
    assert [str(h) for h in c.intermediates] == ["h1", "h2"]
    assert c.stages[-1].names == ("F",)
    assert c.jacobian() == c.function.jacobian()


def test_stages_as_lines_of_text_and_a_variable_that_is_passed_on():
    c = calculus.chain("u*x", "x y", stages=[["u = x*y", "x = x"]])
    close(c.jacobian(at=(2.0, 3.0)), [[12.0, 4.0]])
    assert c.jacobian() == calculus.function("x^2*y", "x y").jacobian()


@pytest.mark.parametrize(
    ("stages", "error", "text"),
    [
        ([{"g": "x"}, {"h": "g + y"}], ValueError, "y belongs to an earlier stage: pass it on"),
        ([{"g": "x"}, {"h": "g + q"}], ValueError, "'q' is not a known name"),
        ([{"g": "x", "y": "x"}], ValueError, "can only be passed on unchanged"),
        ([{"g": "x"}, {"x": "g"}], ValueError, "'x' is in use"),
        ([["g = x", "g = y"]], ValueError, "more than once"),
        ([["g: x"]], ValueError, "must be 'name = formula'"),
        ([{}], ValueError, "stage 1 has no formula"),
        ([3], TypeError, "must be a dict or a list"),
        ([{3: "x"}], TypeError, "must be names"),
        ([[3]], TypeError, "must have str"),
        ("g = x", TypeError, "stages must be a list"),
        ({"g": "x"}, TypeError, "stages must be a list"),
        ([{"sin": "x"}], ValueError, "name of a function"),
    ],
)
def test_stages_that_do_not_fit_are_refused(stages, error, text):
    with pytest.raises(error, match=re.escape(text)):
        calculus.chain("h", "x y", stages=stages)


# The parser


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("x^2 + y", "x**2 + y"),
        ("-x^2", "-(x**2)"),
        ("2^-x", "2**(-x)"),
        ("x^y^2", "x**(y**2)"),
        ("--x - +y", "x - y"),
        ("e^y", "exp(y)"),
        ("ln(x)*log(y)", "log(x)*log(y)"),
        ("1.5*x", "3*x/2"),
        (".5e1*x", "5*x"),
        ("x/y/2", "x/(2*y)"),
        ("x - y - 1", "x + (-y - 1)"),
        ("sqrt(x)*pi", "x**(1/2)*pi"),
        ("log2(x)", "log(x)/log(2)"),
        ("arctan(x) + atan(y)", "atan(x) + atan(y)"),
        ("sigmoid(x)", "1/(1 + exp(-x))"),
        ("softplus(x)", "log(1 + exp(x))"),
        ("\n x\t+ y ", "x + y"),
    ],
)
def test_the_parser_reads_mathematics(text, meaning):
    (got,) = calculus.function(text, "x y").expressions
    assert sp.simplify(got - expected(meaning, ["x", "y"])) == 0


def test_a_variable_may_be_called_e():
    assert list(calculus.function("e^2", "e").gradient()) == [2 * sp.Symbol("e")]


@pytest.mark.parametrize(
    ("text", "problem", "place"),
    [
        ("2*x + foo(y)", "'foo' is not a known function", 7),
        ("x + z", "'z' is not a known name", 5),
        ("sine(x)", "is sin meant?", 1),
        ("__import__('os').system('true')", '"\'" is not mathematics', 12),
        ("__import__(x)", "'__import__' is not a known function", 1),
        ("x.real", "'.' is not mathematics", 2),
        ("x[0]", "'[' is not mathematics", 2),
        ("lambda x: x", "':' is not mathematics", 9),
        ("x if y else 1", "operator such as * is missing", 3),
        ("2x", "write 2*x", 2),
        ("2 (x)", "operator such as * is missing", 3),
        ("x y", "operator such as * is missing", 3),
        ("x(y)", "x is a variable, not a function", 1),
        ("sin x", "sin needs an argument", 1),
        ("sin(x", "a ) is missing", 6),
        ("(x + y", "a ) is missing", 7),
        ("x)", "')' is not expected", 2),
        ("x +", "ends too early", 4),
        ("* x", "'*' is not expected", 1),
        ("", "nothing is there", 1),
        ("sin(x, y)", "sin takes 1 argument, got 2", 1),
        ("max(x)", "max takes at least 2 arguments, got 1", 1),
        ("x + 1/0", "division by zero", 6),
        ("x + 0^-1", "division by zero", 6),
        ("sqrt(-1)*x", "this is not a real number", 1),
        ("log(0)", "this is not a real number", 1),
        ("x + asin(2)", "outside of [-1, 1]", 5),
        ("9^9^9^9", "too large to be written out", 4),
        ("exp(exp(exp(exp(9))))*x", "above the largest float64", 9),
        ("1e999*x", "too large", 1),
        ("1e-999*x", "too small", 1),
        ("x == y", "'=' is not mathematics", 3),
        ("x\u00b2", "is not mathematics", 2),
        ("(" * 60 + "x" + ")" * 60, "nested deeper", 51),
    ],
)
def test_the_parser_refuses_with_the_place(text, problem, place):
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        calculus.function(["x", text], "x y")
    message = str(caught.value)
    assert "expressions, formula 2" in message
    assert f"at character {place}\n" in message
    _, line, caret = message.split("\n")
    if len(text) >= place <= 60:
        assert line[caret.index("^")] == text[place - 1]
    assert len(message) < 500


def test_the_parser_refuses_what_is_no_text_or_too_long():
    with pytest.raises(TypeError, match="formula 1 must be a str, got int"):
        calculus.function([3], "x")
    with pytest.raises(TypeError, match="str or a list of str, got int"):
        calculus.function(3, "x")
    with pytest.raises(ValueError, match="at least one formula"):
        calculus.function([], "x")
    with pytest.raises(ValueError, match="100001 characters") as caught:
        calculus.function("x+" * 50_000 + "x", "x")
    assert len(str(caught.value)) < 200


@given(st.text("xy0123456789.+-*/^(), sincoexplgmar_'\"[]=\\", max_size=30))
def test_any_text_gives_a_function_or_a_value_error(text):
    try:
        calculus.function(text, "x y")
    except ValueError as error:
        assert "at character" in str(error)  # noqa: PT017  # both outcomes are right


@pytest.mark.parametrize(
    ("variables", "error", "text"),
    [
        ("", ValueError, "at least one name"),
        ("x x", ValueError, "more than once"),
        ("x 2", ValueError, "'2' is not a name"),
        (["x", 3], TypeError, "must be names, got 3"),
        ("sin", ValueError, "the name of a function"),
        (None, TypeError, "got NoneType"),
        ("x.y", ValueError, "not a name"),
    ],
)
def test_variables_that_are_none_are_refused(variables, error, text):
    with pytest.raises(error, match=re.escape(text)):
        calculus.function("1", variables)


def test_variables_in_their_ways_of_writing():
    for variables in ("x y", "x, y", ["x", "y"], sp.symbols("x y")):
        assert calculus.function("x*y", variables).variables == sp.symbols("x y")


# Kinks


@pytest.mark.parametrize(
    "text", ["max(0, z)", "max(z, 0)", "relu(z)", "-min(0, -z)", "-min(-z, 0)"]
)
def test_the_derivative_of_a_rectifier_at_zero_is_zero(text):
    f = calculus.function(text, "z")
    for z, value, slope in [(-2.0, 0, 0), (0.0, 0, 0), (-0.0, 0, 0), (2.0, 2, 1)]:
        assert f(z) == value
        assert f.gradient(at=z) == [slope]
        # the same in the symbols that are handed out
        assert f.gradient()[0].subs("z", sp.Rational(z)) == slope
        assert f.hessian(at=z) == [[0]]
    assert isinstance(calculus.function("max(0, z)", "z").gradient()[0], sp.Piecewise)


def test_rectifiers_inside_of_rectifiers():
    text = "relu(w*relu(v*relu(u*x + 1) + 1) + 1)"
    f = calculus.function("relu(" * 12 + "x + 1" + ")" * 12, "x")
    assert str(f.gradient()).count("Piecewise") < 100
    f, c = calculus.function(text, "u v w x"), calculus.chain(text, "u v w x")
    assert len(c.stages) == 4
    for point in [(1, 2, 3, 4), (1, -2, 3, 4), (-1, 2, -3, 4), (1, 2, -3, 4), (1, 1, 1, -1)]:
        numbers = f.jacobian(at=point)
        assert (c.jacobian(at=point) == numbers).all()
        at = dict(zip(f.variables, point, strict=True))
        assert f.jacobian().subs(at) == sp.Matrix(numbers).applyfunc(sp.nsimplify)
        assert c.jacobian().subs(at) == sp.Matrix(numbers).applyfunc(sp.nsimplify)
        assert float(f.expressions[0].subs(at)) == f(*point)
        by_sympy = sp.lambdify(f.variables, list(f.jacobian()), "math")
        assert by_sympy(*point) == numbers[0].tolist()


def test_other_kinks():
    f = calculus.function("abs(z)", "z")
    assert [f.gradient(at=z)[0] for z in (-2, 0, 2)] == [-1, 0, 1]
    assert f.gradient()[0] == sp.sign(sp.Symbol("z"))
    f = calculus.function("max(x, y)", "x y")
    assert f.gradient(at=(1, 1)).tolist() == [1, 0]  # a tie: the first
    assert f.gradient(at=(1, 2)).tolist() == [0, 1]
    f = calculus.function("min(x, y, 3)", "x y")
    assert f.gradient(at=(1, 2)).tolist() == [1, 0]
    assert f.gradient(at=(3, 4)).tolist() == [0, 0]
    assert calculus.function("leaky_relu(z)", "z").gradient(at=-1) == [0.01]
    assert calculus.function("abs(e^x)", "x").gradient(at=0) == [1.0]
    assert calculus.function("max(1, 2) + abs(-3) + sign(-2) + step(0)", "x")(0) == 4
    assert calculus.function("step(x)*sign(x)", "x").gradient(at=1) == [0]


@pytest.mark.parametrize(
    "name", ["identity", "relu", "leaky_relu", "sigmoid", "tanh", "softplus", "gelu", "silu"]
)
def test_activations_are_those_of_the_networks(name):
    f = calculus.function("z" if name == "identity" else f"{name}(z)", "z")
    act, d_act = cr.reference.ACTIVATIONS[name]
    for z in (-40.0, -1.5, 0.0, 0.3, 2.0, 40.0):
        np.testing.assert_allclose(f(z), act(np.float64(z)), rtol=1e-13, atol=1e-300)
        np.testing.assert_allclose(f.gradient(at=z)[0], d_act(np.float64(z)), rtol=1e-12)


# Numbers


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_values_and_derivatives_against_mpmath(x, y):
    text = "sin(x*y)*exp(x) + (x^2 + 1)^y/cosh(y) - atan(x - y)"

    def f(x, y):
        return (
            mpmath.sin(x * y) * mpmath.exp(x)
            + (x**2 + 1) ** y / mpmath.cosh(y)
            - mpmath.atan(x - y)
        )

    g = calculus.function(text, "x y")
    with mpmath.workdps(60):
        want = [mpmath.diff(f, (x, y), n) for n in [(0, 0), (1, 0), (0, 1), (1, 1)]]
    got = [g(x, y), *g.gradient(at=(x, y)), g.hessian(at=(x, y))[0, 1]]
    np.testing.assert_allclose(got, [float(w) for w in want], rtol=4e-16, atol=1e-300)


@st.composite
def formulas(draw, depth=3):
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(["x", "y", "2", "0.5"]))
    a, b = draw(formulas(depth=depth - 1)), draw(formulas(depth=depth - 1))
    forms = ["({a} + {b})", "({a} - {b})", "({a}*{b})", "sin({a})", "exp({a}/4)", "tanh({a})"]
    forms += ["({a})^2", "1/(1 + ({a})^2)", "ln(1 + ({a})^2)", "sigmoid({a})", "max(0, {a})"]
    return draw(st.sampled_from(forms)).format(a=a, b=b)


@given(formulas(), formulas(), st.floats(-2, 2), st.floats(-2, 2))
def test_the_chain_rule_gives_the_jacobian_of_any_formula(one, two, x, y):
    f = calculus.function([one, two], "x y")
    c = calculus.chain([one, two], "x y")
    product = np.eye(2)
    for stage in c.jacobians(at=(x, y)):
        product = stage @ product
    np.testing.assert_allclose(product, f.jacobian(at=(x, y)), rtol=1e-12, atol=1e-13)
    assert c.jacobian().free_symbols <= set(sp.symbols("x y"))
    assert f.jacobian(at=(x, y)).tolist() == c.jacobian(at=(x, y)).tolist()
    # A pass through SymPy alone, where it differentiates what we hand out.
    point = {"x": sp.Rational(x), "y": sp.Rational(y)}
    for row, formula in zip(c.jacobian().tolist(), f.expressions, strict=True):
        for entry, name in zip(row, "xy", strict=True):
            difference = (entry - formula.diff(sp.Symbol(name))).subs(point).evalf(30)
            assert abs(difference) < 1e-20


def test_values_are_rounded_once():
    assert calculus.function("(1 - cos(x))/x^2", "x")(1e-20) == 0.5
    assert calculus.function("sin(x)^2 + cos(x)^2 - 1", "x")(0.3) == 0
    assert calculus.function("sigmoid(x)", "x").gradient(at=40) == [4.248354255291589e-18]
    assert calculus.function("sigmoid(x)", "x")(-1e6) == 0
    with mpmath.workdps(400):
        assert calculus.function("sin(x)", "x")(1e300) == float(mpmath.sin(mpmath.mpf(1e300)))


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("log(x)", 0, ["f: log(x) is the logarithm of a number <= 0", "x = 0.0"]),
        ("1/x + 1", 0, ["1/x divides by zero"]),
        ("sin(x)/x", 0, ["divides by zero", "x = 0.0"]),
        ("sqrt(x)", -1, ["sqrt(x) is a root of a negative number", "x = -1.0"]),
        ("x^0.5", -1, ["root of a negative number"]),
        ("asin(x)", 2, ["asin outside of [-1, 1]"]),
        ("acosh(x)", 0.5, ["acosh of a number below 1"]),
        ("atanh(x)", 1, ["atanh outside of (-1, 1)"]),
    ],
)
def test_points_without_a_value_are_named(text, at, words):
    with pytest.raises(ValueError, match="no value at this point") as caught:
        calculus.function(text, "x")(at)
    assert all(word in str(caught.value) for word in words)


def test_points_without_a_derivative_are_named():
    f = calculus.function("sqrt(x) + y", "x y")
    assert f(0, 1) == 1
    with pytest.raises(ValueError, match=r"df/dx = 1/\(2\*sqrt\(x\)\).*x = 0.0, y = 1.0"):
        f.gradient(at=(0, 1))
    with pytest.raises(ValueError, match="dg1/dx"):
        calculus.chain("sin(sqrt(x) + x)", "x").jacobians(at=0)
    f = calculus.function("x^y", "x y")
    with pytest.raises(ValueError, match=r"df/dy.*log\(x\)"):
        f.gradient(at=(0, 2))
    assert calculus.function("x^3", "x").gradient(at=0) == [0]


def test_numbers_out_of_range_are_errors():
    with pytest.raises(OverflowError, match="above the largest float64"):
        calculus.function("exp(x)", "x")(1000)
    with pytest.raises(OverflowError, match="too large"):
        calculus.function("exp(exp(exp(x)))", "x")(1000)
    with pytest.raises(OverflowError, match="too large"):
        calculus.function("(x + 2)^(10^300)", "x")(1)
    assert calculus.function("exp(-exp(exp(x)))", "x")(6) == 0


def test_shapes_and_types_of_the_results():
    one = calculus.function("x*y*z", "x y z")
    many = calculus.function(["x*y*z"], "x y z")
    point = (1, 2, 3)
    assert isinstance(one(*point), np.float64)
    assert many(*point).shape == (1,)
    assert one.gradient(at=point).shape == many.gradient(at=point).shape == (3,)
    assert one.jacobian(at=point).shape == (1, 3)
    assert one.gradient().shape == (3, 1)
    assert one.hessian(at=point).shape == (3, 3)
    assert one(point) == one(np.array(point)) == one({"z": 3, "x": 1, "y": 2}) == 6
    assert calculus.function("x^2", "x").gradient(at=np.float32(3)) == [6]
    matrix = one.jacobian()
    matrix[0, 0] = 7  # the caller's own copy
    assert one.jacobian()[0, 0] == sp.Symbol("y") * sp.Symbol("z")


@pytest.mark.parametrize(
    ("at", "error", "text"),
    [
        ((1.0,), ValueError, "must be 2 numbers for x, y; got 1"),
        ((1.0, 2.0, 3.0), ValueError, "got 3"),
        ((1.0, "2"), TypeError, "y must be a number, got str"),
        ((1.0, np.nan), ValueError, "y must be a finite float64, got nan"),
        ((np.inf, 1.0), ValueError, "x must be a finite float64, got inf"),
        ((10**400, 1.0), ValueError, "x must be a finite float64"),
        ((1j, 1.0), TypeError, "x must be a number, got complex"),
        (None.__class__, TypeError, "got type"),
        ({"x": 1}, ValueError, "got values for x"),
        ((1.0, np.ones(3)), TypeError, "y must be a number, got ndarray"),
    ],
)
def test_points_are_checked(at, error, text):
    f = calculus.function("x*y", "x y")
    with pytest.raises(error, match=re.escape(text)):
        f.jacobian(at=at)


def test_gradient_and_hessian_belong_to_one_formula():
    f = calculus.function(["x", "x^2"], "x")
    for call in (f.gradient, f.hessian):
        with pytest.raises(ValueError, match="2 components"):
            call()
    with pytest.raises(ValueError, match="part must be one of all, function"):
        f.latex("everything")


# Printed forms


def test_printed_forms_of_a_function():
    f = calculus.function(["2*x + y**3", "exp(y) - 13*x"], variables="x y")
    assert str(f) == "\n".join(
        [
            "f1(x, y) = 2*x + y**3",
            "f2(x, y) = -13*x + exp(y)",
            "d(f1, f2)/d(x, y) = [   2  3*y**2 ]",
            "                    [ -13  exp(y) ]",
        ]
    )
    assert repr(f) == "function(['2*x + y**3', '-13*x + exp(y)'], variables='x y')"
    assert f.latex("jacobian") == r"\begin{bmatrix} 2 & 3 y^{2} \\ -13 & e^{y} \end{bmatrix}"
    assert f.latex("jacobian") in f.latex()
    g = calculus.function("max(0, z) + abs(z)", "z")
    assert "step(z) is 0 for z <= 0 and 1 for z > 0" in str(g)
    assert "sign(0) = 0" in str(g)
    assert g.latex("function") == r"\left|{z}\right| + \max\left(0, z\right)"


def test_latex_is_balanced_and_complete():
    c = calculus.chain(["sin(x^2 + y)", "ln(y^3)"], "x y")
    text = c.latex()
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin") == text.count(r"\end")
    assert text.count(r"\left") == text.count(r"\right")
    assert r"g_{1} &= x^{2} + y" in text
    assert r"\frac{\partial (f_{1}, f_{2})}{\partial (g_{1}, g_{2})} &=" in text
    assert r"\frac{1}{g_{2}}" in text
    for part in ("function", "gradient", "jacobian", "hessian"):
        text = calculus.function("x^2*y", "x y").latex(part)
        assert text.count("{") == text.count("}")


def test_large_functions_print_little():
    n = 100
    names = [f"x{i}" for i in range(n)]
    f = calculus.function([" + ".join(f"sin({a}*{b})" for b in names[:9]) for a in names], names)
    assert len(str(f)) < 30_000
    assert len(repr(f)) < 1000


@pytest.mark.parametrize("name", ["", ".functions", ".chains", ".numeric", ".intermediates"])
def test_the_examples_in_the_docstrings(name):
    result = doctest.testmod(importlib.import_module("chainrule.calculus" + name))
    assert result.failed == 0
    assert result.attempted > 0 or name in {".functions", ".intermediates"}


# Without SymPy


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sympy_is_imported_at_the_first_use_only():
    run("import sys, chainrule; chainrule.calculus; assert 'sympy' not in sys.modules")


@pytest.mark.parametrize("name", ["function", "chain"])
def test_without_sympy_the_error_says_what_to_install(name):
    code = (
        "import sys; sys.modules['sympy'] = None\n"
        "from chainrule import calculus\n"
        "assert calculus.gradient(lambda x: x * x, 3.0) == 6\n"
        f"try: calculus.{name}('x', 'x')\n"
        "except ImportError as error: print(error)"
    )
    assert 'pip install "chainrule[symbolic]"' in run(code)


def test_no_derivative_where_the_function_has_no_value():
    with pytest.raises(ValueError, match="no value at this point"):
        calculus.function("log(x)", "x").gradient(at=-1.0)
    c = calculus.chain(["sin(x**2 + y)", "log(y**3)"], "x y")
    with pytest.raises(ValueError, match="no value at this point"):
        c.jacobian(at=(1.5, -1.0))


def test_products_that_would_take_minutes_are_refused():
    variables = [f"x{i}" for i in range(65)]
    f = calculus.function("*".join(variables), variables)
    assert f(*[1.0] * 65) == 1
    for call in (f.jacobian, lambda: str(f), f.hessian):
        with pytest.raises(ValueError, match="a product of 65 factors; for a"):
            call()
    with pytest.raises(ValueError, match="factors"):
        str(calculus.chain("*".join(f"sin(x + {i})" for i in range(100)), "x"))
    quotient = calculus.function("/".join(f"(x + {i})" for i in range(1, 40)), "x")
    assert quotient.gradient(at=1.0).shape == (1,)
    with pytest.raises(ValueError, match="for a second derivative at most 24"):
        quotient.hessian()
