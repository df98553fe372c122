"""One neuron: against mpmath, complex steps and differences; its descent, page, LaTeX and errors.

The lecture's cases and the equality with a network of one unit are in test_lecture.py.
"""

import copy
import math
import pickle
import re
import time

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import reference
from chainrule.losses import REDUCTIONS
from chainrule.neuron import Descent, NeuronGradient

NAMES = sorted(reference.ACTIVATIONS)
SMOOTH = [name for name in NAMES if "relu" not in name]


def data(m=6, n=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, n)), rng.normal(size=m)


def unit(activation="sigmoid", n=3, seed=1):
    rng = np.random.default_rng(seed)
    return cr.Neuron(rng.normal(size=n), 0.375, activation)


def state(neuron):
    return neuron.w.tobytes(), neuron.b


# Against numbers from outside


def mp_activation(name, z):
    one = mpmath.mpf(1)
    sigmoid = one / (1 + mpmath.exp(-z))
    return {
        "identity": z,
        "relu": z if z > 0 else 0 * z,
        "leaky_relu": z if z > 0 else mpmath.mpf(0.01) * z,
        "sigmoid": sigmoid,
        "tanh": mpmath.tanh(z),
        "softplus": mpmath.log(1 + mpmath.exp(z)),
        "gelu": z * mpmath.ncdf(z),
        "silu": z * sigmoid,
    }[name]


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient_against_mpmath(activation, reduction):
    neuron, (X, y) = unit(activation), data()
    D = {"mean": 6, "sum": 1, "half_mean": 12, "mean_rows": 6}[reduction]
    start = [mpmath.mpf(float(p)) for p in (*neuron.w, neuron.b)]

    def outputs(theta):
        for x in X:
            z = sum((w * mpmath.mpf(float(v)) for w, v in zip(theta, x, strict=False)), theta[-1])
            yield z, mp_activation(activation, z)

    def cost(*theta):
        pairs = zip(outputs(theta), y, strict=True)
        return sum((a - mpmath.mpf(float(t))) ** 2 for (_, a), t in pairs) / D

    with mpmath.workdps(40):
        expected = cost(*start)
        slopes = [
            mpmath.diff(lambda v, k=k: cost(*start[:k], v, *start[k + 1 :]), start[k])
            for k in range(4)
        ]
        z, a = zip(*outputs(start), strict=True)
    g = neuron.gradient(X, y, cr.MSE(reduction))
    assert g.cost == pytest.approx(float(expected), rel=1e-14)
    np.testing.assert_allclose(g.z, np.array(z, float), rtol=1e-13)
    np.testing.assert_allclose(g.a, np.array(a, float), rtol=1e-13)
    np.testing.assert_allclose([*g.dw, g.db], np.array(slopes, float), rtol=1e-11, atol=1e-14)
    np.testing.assert_array_equal(g.residual, g.a - y)


@pytest.mark.parametrize("activation", SMOOTH)
def test_gradient_against_complex_steps(activation):
    neuron, (X, y) = unit(activation), data()
    W, b = [None, neuron.w[None].copy()], [None, np.array([neuron.b])]
    dW, db = reference.complex_step_gradient(W, b, [activation], X, y[:, None])
    g = neuron.gradient(X, y)
    np.testing.assert_allclose(g.dw, dW[1][0], rtol=1e-13, atol=1e-15)
    assert g.db == pytest.approx(db[1][0], rel=1e-13)


@given(
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(0, 10**6),
    st.sampled_from(NAMES),
    st.sampled_from(REDUCTIONS),
)
def test_contributions_add_up_to_the_gradient(m, n, seed, activation, reduction):
    neuron, (X, y) = unit(activation, n, seed), data(m, n, seed)
    loss = cr.MSE(reduction)
    g = neuron.gradient(X, y, loss)
    assert g.dw.shape == (n,)
    assert g.dw_per_sample.shape == (m, n)
    assert g.db_per_sample.shape == g.residual.shape == g.act_prime.shape == (m,)
    together = np.sum if reduction == "sum" else np.mean
    np.testing.assert_allclose(together(g.dw_per_sample, axis=0), g.dw, rtol=1e-9, atol=1e-13)
    assert together(g.db_per_sample) == pytest.approx(g.db, rel=1e-9, abs=1e-13)
    for i in range(m):  # each is the gradient of its sample alone
        alone = neuron.gradient(X[i], y[i], loss)
        np.testing.assert_allclose(alone.dw, g.dw_per_sample[i], rtol=1e-11, atol=1e-13)
        assert alone.z == g.z[i]
        assert alone.a == g.a[i]


# Shapes and types


def test_one_sample_gives_numbers_and_many_give_arrays():
    neuron, (X, y) = unit(), data()
    for f in (neuron.z, neuron.a, neuron):
        assert type(f(X[0])) is float
        assert f(X[0]) == f(X)[0]
        assert f(X).shape == (6,)
        assert f(X).dtype == np.float64
        assert f(np.empty((0, 3))).shape == (0,)
    g = neuron.gradient(X[0], y[0])
    assert isinstance(g, NeuronGradient)
    for name in ("cost", "db", "residual", "z", "a", "act_prime", "db_per_sample"):
        assert type(getattr(g, name)) is float, name
    assert g.dw.shape == g.dw_per_sample.shape == (3,)
    many = neuron.gradient(X, y)
    assert type(many.cost) is type(many.db) is float
    column = neuron.gradient(X.astype(np.float32).tolist(), y[:, None])
    assert column.residual.shape == (6,)
    # One input: (1,) is one sample, (m, 1) are m of them.
    single = cr.Neuron([2.0], 1.0, "identity")
    assert single.z([3.0]) == 7.0
    np.testing.assert_array_equal(single.z([[3.0], [4.0]]), [7, 9])


def test_w_is_writable_and_b_a_float():
    neuron = cr.Neuron([1, 2], activation="identity")
    assert neuron.w.dtype == np.float64
    assert type(neuron.b) is float
    neuron.w[0] = 5.0
    neuron.b = 0.5
    assert neuron.z([1.0, 1.0]) == 7.5
    neuron.w = [2, 3]
    assert neuron.w.tolist() == [2.0, 3.0]
    neuron.b += 1
    assert neuron.b == 1.5
    source = np.ones(2)
    twin = cr.Neuron(source)
    twin.w[0] = 7
    assert source[0] == 1
    assert (neuron.n, neuron.activation) == (2, "identity")


def test_gradients_do_not_change_afterwards():
    neuron, (X, y) = unit(), data()
    g = neuron.gradient(X, y)
    before = g.dw.copy(), g.dw_per_sample.copy()
    neuron.step(X, y, 0.5)
    X[:] = 0
    np.testing.assert_array_equal(g.dw, before[0])
    np.testing.assert_array_equal(g.dw_per_sample, before[1])


def test_copies_and_pickles_are_apart():
    neuron = unit("tanh")
    for twin in (
        copy.copy(neuron),
        copy.deepcopy(neuron),
        pickle.loads(pickle.dumps(neuron)),
    ):
        assert state(twin) == state(neuron)
        assert twin.activation == "tanh"
        twin.w[0] = 99
        assert neuron.w[0] != 99
    net = neuron.to_network()
    assert (net.n, net.layers) == ((3, 1), (cr.Dense(1, "tanh"),))
    net.W[1][0] = 0
    assert neuron.w.any()
    assert neuron.to_network("float32").dtype == "float32"


def test_repr_can_be_read_and_is_short():
    neuron = cr.Neuron([0.5, -0.25], 0.125)
    assert repr(neuron) == "Neuron([0.5, -0.25], 0.125, 'sigmoid')"
    assert state(eval(repr(neuron), {"Neuron": cr.Neuron})) == state(neuron)
    assert repr(cr.Neuron(np.arange(1000))) == (
        "Neuron([0.0, 1.0, 2.0, 3.0, ... 995 more ..., 999.0], 0.0, 'sigmoid')"
    )
    g = cr.Neuron(np.zeros(10**5)).gradient(np.ones(10**5), 1.0)
    assert len(repr(g)) < 1000


# Descent


def test_a_step_takes_all_derivatives_before_it_updates():
    neuron, (X, y) = unit(), data()
    g, w, b = neuron.gradient(X, y), neuron.w.copy(), neuron.b
    assert neuron.step(X, y, 0.25) == g.cost
    np.testing.assert_allclose(neuron.w, w - 0.25 * g.dw, rtol=1e-15, atol=1e-17)
    assert neuron.b == pytest.approx(b - 0.25 * g.db, rel=1e-15)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_fit_is_its_steps_and_returns_the_path(reduction):
    neuron, (X, y), loss = unit(), data(), cr.MSE(reduction)
    twin = copy.copy(neuron)
    descent = neuron.fit(X, y, 0.125, steps=7, loss=loss)
    assert isinstance(descent, Descent)
    assert len(descent) == 8
    assert descent.w.shape == (8, 3)
    assert descent.b.shape == descent.cost.shape == descent.gradient_norm.shape == (8,)
    for k in range(8):
        g = twin.gradient(X, y, loss)
        np.testing.assert_array_equal(descent.w[k], twin.w)
        assert (descent.b[k], descent.cost[k]) == (twin.b, g.cost)
        assert descent.gradient_norm[k] == pytest.approx(np.linalg.norm([*g.dw, g.db]), rel=1e-14)
        if k < 7:
            twin.step(X, y, 0.125, loss)
    assert state(neuron) == state(twin)


def test_fit_of_no_steps_looks_only():
    neuron, (X, y) = unit(), data()
    before = state(neuron)
    descent = neuron.fit(X, y, 0.5, steps=0)
    assert len(descent) == 1
    assert descent.cost[0] == neuron.cost(X, y)
    assert state(neuron) == before


def test_descent_on_its_own_weights_as_data():
    neuron = cr.Neuron([1.0, 2.0], 0.5)
    twin, X = copy.copy(neuron), neuron.w.copy()
    neuron.fit(neuron.w, 0.0, 0.5, 3)
    twin.fit(X, 0.0, 0.5, 3)
    assert state(neuron) == state(twin)


def test_the_path_prints_as_a_short_table():
    neuron, (X, y) = unit(n=9), data(n=9)
    text = str(neuron.fit(X, y, 0.25, 1000))
    lines = text.splitlines()
    assert lines[0] == "Gradient descent, learning_rate 0.25"
    assert lines[1].split() == ["step", "w_1", "w_2", "w_3", "w_4", "b", "C", "|gradient|"]
    assert "..." in text
    assert lines[-2].split()[0] == "1000"
    assert lines[-1] == "(of 9 weights the first 4 are shown)"
    assert len(lines) < 25
    short = neuron.fit(X, y, 0.25, 3)
    assert len(str(short).splitlines()) == 7
    assert repr(short).startswith("Descent: 3 steps, learning_rate 0.25, cost ")


def test_divergence_keeps_the_last_finite_parameters():
    neuron = cr.Neuron([1.0, 2.0], 0.5, "identity")
    with pytest.raises(cr.DivergedError, match=r"step \d+ of the descent diverged") as caught:
        neuron.fit([[100.0, 200.0]], [3.0], 1000.0, 1000)
    assert 10 < caught.value.step < 30
    assert caught.value.cost > 1e200
    assert np.isfinite([*neuron.w, neuron.b]).all()
    neuron = cr.Neuron([1e-3], 0.0, "identity")
    before = state(neuron)
    for X in ([1e200], [1e155]):  # the cost overflows; only the update does
        with pytest.raises(cr.DivergedError, match="w and b are as they were before it"):
            neuron.step(X, 1.0, 1e308)
        assert state(neuron) == before


def test_speed_of_a_long_descent():
    neuron = cr.Neuron([0.5, -0.5], 0.25)
    start = time.perf_counter()
    neuron.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1], 1.0, 10_000)
    assert time.perf_counter() - start < 5
    assert neuron.cost([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1]) < 1e-3


# Dead, and the limit of the learning rate


def test_is_dead():
    X = np.array([[8.0, 0.5], [1.0, 2.0]])
    assert cr.Neuron([-1.0, -1.0], 0.0, "relu").is_dead(X)
    assert cr.Neuron([-1.0, 1.0], -1.0, "relu").is_dead(X)  # z = -8.5 and 0: the kink counts
    assert not cr.Neuron([-1.0, 1.0], -0.5, "relu").is_dead(X)
    assert cr.Neuron([-1.0, 1.0], -0.5, "relu").is_dead(X[0])
    for other in NAMES:
        if other != "relu":
            assert not cr.Neuron([-1.0, -1.0], 0.0, other).is_dead(X)
    dead = cr.Neuron([-1.0, -1.0], 0.0, "relu")
    g = dead.gradient(X, [3.0, 1.0])
    assert not g.dw.any()
    assert g.db == 0


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("m", [1, 5])
def test_the_limit_is_where_descent_turns(reduction, m):
    neuron, (X, y) = unit("identity"), data(m)
    loss = cr.MSE(reduction)
    limit = neuron.learning_rate_limit(X, loss)
    rows = np.column_stack([X, np.ones(m)])
    D = {"mean": m, "sum": 1, "half_mean": 2 * m, "mean_rows": m}[reduction]
    assert limit == pytest.approx(2 / np.linalg.eigvalsh(2 / D * rows.T @ rows)[-1], rel=1e-12)
    below = copy.copy(neuron).fit(X, y, 0.999 * limit, 3000, loss)
    above = copy.copy(neuron).fit(X, y, 1.01 * limit, 3000, loss)
    assert (np.diff(below.cost) <= 1e-12 * below.cost[0]).all()
    assert above.cost[-1] > 1e3 * above.cost[0]


def test_the_limit_of_one_weight_by_hand():
    # C = (w + b - 2)^2: lambda = 4, the limit 1/2.
    neuron = cr.Neuron([0.5], 0.25, "identity")
    assert neuron.learning_rate_limit([1.0]) == pytest.approx(0.5, rel=1e-15)
    assert neuron.learning_rate_limit([[0.0], [0.0]]) == pytest.approx(1)  # the bias alone
    assert neuron.learning_rate_limit([[1e160], [1.0]]) > 0
    with pytest.raises(ValueError, match=r"needs the activation identity, .* has sigmoid"):
        unit().learning_rate_limit([1.0, 2.0, 3.0])


# The page


def test_explain_shows_every_number_of_a_sample():
    neuron = cr.Neuron([0.5, -0.25], 0.125)
    text = neuron.explain([1.5, 2.0], 1.0)
    assert isinstance(text, str)
    assert repr(text) == str(text) == text
    row = next(line for line in text.splitlines() if line.split()[:1] == ["1"])
    g = neuron.gradient([1.5, 2.0], 1.0)
    numbers = [1, 1.5, 2.0, 1.0, g.z, g.a, g.residual, g.act_prime, g.db, *g.dw]
    assert row.split() == [f"{v:.6g}" for v in numbers]
    assert text.splitlines()[-1].strip() == (
        "dC/dw_1 : dC/dw_2 = -0.295007 : -0.393342 = x_1 : x_2 = 1.5 : 2 = 0.75"
    )
    for tag in ("(Z)", "(A)", "(MSE)", "(BP1)", "(BP3)", "(BP4)"):
        assert tag in text
    assert "C = 0.16592." in text


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_factors_in_the_formulas_are_those_of_the_numbers(reduction):
    neuron, (X, y), loss = unit("tanh", 1), data(4, 1), cr.MSE(reduction)
    g, text = neuron.gradient(X, y, loss), neuron.explain(X, y, loss)
    slopes = g.residual * g.act_prime

    def value(factor):
        return eval((factor or "1").replace("m", "4"))

    outer, inner = re.search(r"dC/db   = (.*?) ?sum_i (2 )?e_i", text).groups()
    assert value(outer) * value(inner) * slopes.sum() == pytest.approx(g.db, rel=1e-13)
    head = re.search(r"f'\(z\)  +(2 )?e f'\(z\)  +times x_1", text)
    assert value(head.group(1)) * slopes[0] == pytest.approx(g.db_per_sample[0], rel=1e-15)
    each = re.search(r"dC/de_i = (.*) e_i ", text).group(1)
    assert value(each) * slopes.sum() == pytest.approx(g.db, rel=1e-13)
    cost = re.search(r"  C = (.*?) ?sum_i \(a_i - y_i\)\^2", text).group(1)
    assert value(cost.replace("2 m", "8")) * (g.residual**2).sum() == pytest.approx(g.cost)
    latex = neuron.latex(loss=loss)
    for pattern, expected, terms in (
        (r"C &= (.*)\\sum", g.cost, g.residual**2),
        (r"partial b\} &= (.*)\\sum", g.db, slopes),
    ):
        factor = re.search(pattern, latex).group(1).replace("2m", "2*m")
        factor = re.sub(r"\\frac\{(.*)\}\{(.*)\}", r"\1/(\2)", factor)
        assert value(factor) * terms.sum() == pytest.approx(expected, rel=1e-13)


def test_explain_says_how_the_error_is_magnified():
    neuron = cr.Neuron([1.0, 2.0], 0.25, "relu")
    assert "x_1 : x_2 = 8 : 0.125 = 64" in neuron.explain([8.0, 0.125], 1.0)
    X = [[8.0, 0.125], [4.0, 0.0625]]
    text = " ".join(neuron.explain(X, [1.0, 2.0]).split())
    assert "of x_1 is 6.32456, that of x_2 0.0988212: one learning rate cannot suit both" in text
    assert "one learning rate" not in neuron.explain([[1, 2], [3, 4]], [1, 2])
    # Neither NaN nor a division by zero where a column is 0.
    text = neuron.explain([[8.0, 0.0], [4.0, 0.0]], [1.0, 2.0])
    assert "x_2 is 0 at every sample" in text
    assert "nan" not in text


def test_explain_tells_dead_from_saturated_and_from_a_kink():
    def page(w, b, activation, X, y):
        return " ".join(cr.Neuron(w, b, activation).explain(X, y).split())

    dead = page([-1.0, 1.0], -9.0, "relu", [[8.0, 1.0], [2.0, 3.0]], [1.0, 1.0])
    assert "The neuron is dead on these samples" in dead
    assert "the largest z is -8)" in dead
    half = page([1.0, 1.0], 0.0, "relu", [[8.0, 1.0], [-2.0, 2.0], [-5.0, 1.0]], [1.0, 1.0, 1.0])
    assert "Active (z > 0) at 1 of 3 samples" in half
    assert "z is exactly 0 at sample 2: relu has a kink there" in half
    assert "dead" not in half
    slow = page([1.0], 0.0, "sigmoid", [[40.0], [0.5], [-40.0]], [0.0, 1.0, 1.0])
    assert "Saturated at samples 1, 3: f'(z) is almost 0 (down to 4.24835e-18)" in slow
    assert "not dead, only slow" in slow
    assert "Where a rounds to 1" in slow
    assert "Saturated" not in page([1.0], 0.0, "sigmoid", [[0.5]], [0.0])


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_explain_stays_short_and_sane(activation, reduction):
    loss = cr.MSE(reduction)
    for m, n in ((1, 1), (1, 30), (3, 2), (1000, 30)):
        X, y = data(m, n)
        neuron = unit(activation, n)
        text = neuron.explain(X, y, loss)
        assert len(text) < 6000
        assert "nan" not in text
        assert " -0 " not in text
        assert max(map(len, text.splitlines())) <= 115
        g = neuron.gradient(X, y, loss)
        last = next(
            s
            for s in text.splitlines()
            if s.split()[:1] == [reduction.removeprefix("half_").removesuffix("_rows")]
        )
        assert f"{g.db:.6g}" in last
        assert f"{g.dw[0]:.6g}" in last
        assert (f"... and {m - 8} samples more" in text) == (m > 8)
        assert (f"(of {n} inputs the first 4 are shown)" in text) == (n > 4)


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_check_in_the_page_agrees(activation, reduction, scale):
    X, y = data(5, 3)
    neuron, loss = unit(activation), cr.MSE(reduction)
    neuron.w /= scale
    g, text = neuron.gradient(X * scale, y, loss), neuron.explain(X * scale, y, loss)
    row = next(line for line in text.splitlines() if line.split()[:1] == ["check"])
    found = [float(v) for v in row.split()[1:]]
    np.testing.assert_allclose(found, [g.db, *g.dw], rtol=6e-6, atol=1e-8)  # six digits


def test_the_check_sees_half_of_a_kink_and_leaves_out_large_data():
    neuron = cr.Neuron([1.0], 0.0, "relu")
    lines = neuron.explain([[0.0]], [-1.0]).splitlines()  # the slope on the right is 2
    assert next(s for s in lines if s.startswith("  mean")).split() == ["mean", "0", "0"]
    check = next(s for s in lines if s.strip().startswith("check "))
    assert float(check.split()[1]) == pytest.approx(1, rel=1e-5)
    assert "check" not in neuron.explain(*data(10_001, 1))


@pytest.mark.parametrize("x", [1e-320, 1e-300, 1e-9, 0.0, 1e9, 1e150])
def test_the_page_of_tiny_and_huge_inputs_has_no_nan(x):
    text = cr.Neuron([1.0, -1.0], 0.5, "identity").explain([[x, 1.0], [-x, 3.0]], [0.5, 0.25])
    assert "nan" not in text
    assert "inf" not in text


def test_explain_changes_nothing():
    neuron, (X, y) = unit(), data()
    before = state(neuron), X.tobytes(), y.tobytes()
    neuron.explain(X, y)
    neuron.latex(X, y)
    assert (state(neuron), X.tobytes(), y.tobytes()) == before


# LaTeX


def balanced(text):
    depth = 0
    for c in re.sub(r"\\[{}]", "", text):
        depth += (c == "{") - (c == "}")
        assert depth >= 0
    opened, closed = (re.findall(rf"\\{word}{{(\w+)}}", text) for word in ("begin", "end"))
    brackets = text.count(r"\left(") == text.count(r"\right)")
    return depth == 0 and brackets and sorted(opened) == sorted(closed) != []


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_latex_is_balanced_and_holds_the_values(activation, reduction):
    neuron, (X, y), loss = unit(activation, 2), data(3, 2), cr.MSE(reduction)
    assert balanced(neuron.latex(loss=loss))
    text = neuron.latex(X, y, loss)
    assert balanced(text)
    assert text.startswith("\\begin{aligned}\n")
    rows = text.split("\n")[1:-1]
    assert all(row.count("&=") == 1 for row in rows if r"\begin{cases}" not in row)
    g = neuron.gradient(X, y, loss)
    for value in (g.cost, *g.dw, g.db, *g.z):
        plain = f"{value:.6g}"
        assert "e" in plain or f"= {plain}" in text


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_sums_in_the_latex_come_out_right(reduction):
    """Each numeric line, read back as arithmetic, gives the value behind its last `=`."""
    neuron, (X, y) = unit("tanh", 2), data(3, 2)
    checked = 0
    for row in neuron.latex(X, y, cr.MSE(reduction)).split("\n"):
        if "_{i" in row or r"\sum" in row or "quad" in row or row[:3] in ("e_i", "\\be", "\\en"):
            continue
        left, value = row.removesuffix(r" \\").split("&=")[1].rsplit("=", 1)
        left = re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"(\1/\2)*", left)
        left = left.replace(r"\left(", "(").replace(r"\right)", ")").replace(r"\cdot", "*")
        left = left.replace("^", "**").replace(" 2 (", "2*(").strip()
        left = re.sub(r"^2\s*\(", "2*(", left)
        assert eval(left) == pytest.approx(float(value), rel=1e-4, abs=1e-5), row
        checked += 1
    assert checked == 3 + 1 + 3  # z of each sample, C, and the three derivatives


def test_latex_of_small_numbers_and_wrong_calls():
    neuron = cr.Neuron([1e-7], 0.0, "identity")
    assert r"\left(1 \times 10^{-7}\right) \cdot 3" in neuron.latex([3.0], 0.0)
    assert r"\sum_{k=1}^{9} w_k x_{i,k}" in unit(n=9).latex()
    X, y = data(9, 3)
    with pytest.raises(ValueError, match="at most 8 samples and 8 inputs, got X of shape"):
        unit().latex(X, y)
    with pytest.raises(TypeError, match="y is missing"):
        unit().latex(X)
    with pytest.raises(TypeError, match="X is missing"):
        unit().latex(y=y)


@pytest.mark.parametrize("activation", NAMES)
def test_the_latex_of_f_and_its_derivative_is_that_of_the_reference(activation):
    """The formulas of f' in the text, evaluated, are the derivative."""
    from chainrule.neuron_text import FORMULAS  # noqa: PLC0415

    text = FORMULAS[activation][1]
    names = {"s": reference.sigmoid, "exp": np.exp}
    names |= {"Phi": reference._Phi, "phi": reference._phi}
    for z in (-1.5, -0.25, 0.75):
        point = np.float64(z)
        f, f_prime = reference.ACTIVATIONS[activation]
        code = re.sub(r"^(.*) for z > 0, else (.*)$", r"(\1) if z > 0 else (\2)", text)
        code = code.replace("^", "**").replace("a (", "a * (").replace("z s(", "z * s(")
        code = code.replace("z phi", "z * phi").replace("s(z) (", "s(z) * (")
        found = eval(code, {**names, "z": point, "a": f(point)})
        assert float(found) == pytest.approx(float(f_prime(point)), rel=1e-13)


# Errors name the argument, and change nothing

WRONG_NEURONS = [
    ({"w": 0.5}, ValueError, r"w must have shape \(n,\), one weight per input.* got shape \(\)"),
    ({"w": []}, ValueError, r"n at least 1; got shape \(0,\)"),
    ({"w": [[1, 2]]}, ValueError, r"got shape \(1, 2\)"),
    ({"w": [1, math.nan]}, ValueError, r"w must be finite, got nan at index \(1,\)"),
    ({"w": "ab"}, TypeError, "w must hold numbers"),
    ({"w": None}, TypeError, "w has object dtype"),
    ({"b": math.inf}, ValueError, "b must be finite, got inf"),
    ({"b": 10**400}, ValueError, "b must be finite, got 1000"),
    ({"b": "1"}, TypeError, r"b must be a real number, got '1' \(str\)"),
    ({"b": [1.0]}, TypeError, r"b must be a real number, got \[1.0\] \(list\)"),
    ({"b": True}, TypeError, r"b must be a real number, got True \(bool\)"),
    ({"activation": "softmax"}, ValueError, "activation must be one of identity, relu"),
    ({"activation": None}, TypeError, "activation must be a str"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), WRONG_NEURONS)
def test_a_wrong_neuron(arguments, error, message):
    with pytest.raises(error, match=message):
        cr.Neuron(**{"w": [1.0, 2.0], **arguments})


def test_wrong_parameters_change_nothing():
    neuron = unit()
    before = state(neuron)
    with pytest.raises(ValueError, match=r"w must have shape \(3,\), got shape \(2,\)"):
        neuron.w = [1, 2]
    with pytest.raises(ValueError, match="w must be finite"):
        neuron.w = [1, 2, math.inf]
    with pytest.raises(ValueError, match="b must be finite"):
        neuron.b = math.nan
    with pytest.raises(AttributeError):
        neuron.bias = 3
    assert state(neuron) == before


WRONG_DATA = [
    ([1, 2], 0.0, ValueError, r"X must have shape \(m, 3\).* or \(3,\) for one sample; got .*2"),
    (np.zeros((2, 3, 1)), [0, 0], ValueError, r"X must have shape \(m, 3\)"),
    (5.0, 0.0, ValueError, r"X must have shape .* got shape \(\)"),
    ([[1, 2, math.nan]], [0], ValueError, r"X must be finite, got nan at \(0, 2\)"),
    ([[1, 2, "a"]], [0], TypeError, "X must hold numbers"),
    ([[1, 2, 3]], 0.0, ValueError, r"y must be of shape \(1,\), one target per sample"),
    ([[1, 2, 3]], [0, 1], ValueError, r"y must be of shape \(1,\).* got shape \(2,\)"),
    ([1, 2, 3], [0, 1], ValueError, r"y must be a number, .* got shape \(2,\)"),
    ([1, 2, 3], math.inf, ValueError, "y must be finite, got inf"),
    ([1, 2, 3], None, TypeError, "y has object dtype"),
    (np.zeros((0, 3)), [], ValueError, r"X has 0 sample\(s\)"),
]


@pytest.mark.parametrize(("X", "y", "error", "message"), WRONG_DATA)
def test_wrong_data(X, y, error, message):
    neuron = unit()
    before = state(neuron)
    for call in (
        neuron.cost,
        neuron.gradient,
        neuron.explain,
        neuron.latex,
        lambda X, y: neuron.step(X, y, 0.1),
        lambda X, y: neuron.fit(X, y, 0.1, 2),
    ):
        if call == neuron.latex and y is None:
            continue
        with pytest.raises(error, match=message):
            call(X, y)
    assert state(neuron) == before


@pytest.mark.parametrize(
    ("rate", "steps", "error", "message"),
    [
        (0.0, 1, ValueError, "learning_rate must be above 0 and finite, got 0.0"),
        (math.nan, 1, ValueError, "learning_rate must be above 0 and finite, got nan"),
        ("fast", 1, TypeError, "learning_rate must be a real number"),
        (0.1, -1, ValueError, "steps must be at least 0, got -1"),
        (0.1, 1.5, TypeError, "steps must be a whole number"),
        (0.1, 2**40, ValueError, "steps must be at most 2147483647"),
    ],
)
def test_wrong_descent(rate, steps, error, message):
    neuron, (X, y) = unit(), data()
    before = state(neuron)
    with pytest.raises(error, match=message):
        neuron.fit(X, y, rate, steps)
    if steps == 1:
        with pytest.raises(error, match=message):
            neuron.step(X, y, rate)
    assert state(neuron) == before


def test_what_is_not_finite_is_said():
    neuron = cr.Neuron([1.0, 1.0], 0.0, "identity")
    for call in (neuron.cost, neuron.gradient, neuron.explain):
        with pytest.raises(cr.DivergedError, match=r"the cost or a derivative is not finite: X, y"):
            call([1e200, 1e200], 0.0)
    with pytest.raises(cr.DivergedError, match="an output is not finite"):
        neuron.a([1e308, 1e308])
    assert neuron.z([1e308, 1e308]) == math.inf
    neuron.w[0] = math.nan
    with pytest.raises(cr.DivergedError, match="w or b is not finite"):
        neuron.gradient([1.0, 1.0], 0.0)


def test_the_examples_of_the_docstrings():
    neuron = cr.Neuron([0.5, -0.25], 0.125, "sigmoid")
    assert neuron.z([1.5, 2.0]) == 0.375
    g = neuron.gradient([[1.5, 2.0], [0.0, 1.0]], [1.0, 0.0])
    assert (g.dw.shape, g.residual.shape) == ((2,), (2,))
