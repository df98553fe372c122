"""Dead and saturated units, weak inputs: the lecture's cases, and what tells them apart."""

import json
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

CASES = {
    case["id"].split("_")[0]: case
    for case in json.loads(
        (Path(__file__).parent / "data" / "lecture_cases.json").read_text(encoding="utf-8")
    )["networks"]
}


def network(case, dtype="float64"):
    layers = [cr.Dense(n, f) for n, f in zip(case["sizes"][1:], case["activations"], strict=True)]
    net = cr.Network(layers, case["sizes"][0], dtype=dtype)
    for l in range(1, net.L + 1):
        net.W[l], net.b[l] = case["W"][l - 1], case["b"][l - 1]
    return net


@pytest.mark.parametrize("name", CASES)
def test_the_dead_units_of_the_lecture(name, dtype):
    case = CASES[name]
    dead = network(case, dtype).dead_units(case["X"])
    assert [[u.l, u.j] for u in dead] == case["dead_units"]
    for u in dead:
        z = np.array(case["z"][u.l - 1])[:, u.j - 1]
        assert u.largest_z == pytest.approx(z.max())
        assert u.active == 0
        assert "z <= 0 on all samples" in u.reason


@pytest.mark.parametrize("seed", range(20))
def test_a_dead_unit_has_derivatives_exactly_0(seed):
    rng = np.random.default_rng(seed)
    net = cr.Network([cr.Dense(6, "relu"), cr.Dense(3, "relu"), cr.Dense(1)], 2, dtype="float64")
    net.theta = rng.normal(size=net.n_parameters)
    X = rng.normal(size=(4, 2))
    g, t = net.gradient(X, np.ones(4)), net.trace(X, np.ones(4))
    dead = {(u.l, u.j) for u in net.dead_units(X)}
    for l in (1, 2):
        gone = len({u for u in dead if u[0] == l + 1}) == net.n[l + 1]
        for j in range(1, net.n[l] + 1):
            assert ((l, j) in dead) == (gone or bool((t.z[l][:, j - 1] <= 0).all()))
            if (l, j) in dead:
                assert not g.dW[l][j - 1].any()
                assert g.db[l][j - 1] == 0
                if not gone:
                    assert not g.dW[l + 1][:, j - 1].any()


def test_dead_from_above():
    net = cr.Network([cr.Dense(2, "tanh"), cr.Dense(2, "relu"), cr.Dense(1)], 1, dtype="float64")
    net.b[2] = [-100, -100]
    dead = net.dead_units([[1.0], [2.0]])
    assert [(u.l, u.j) for u in dead] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert dead[0].reason == "all units of layer 2 are dead: no error comes down"
    assert (dead[0].active, dead[2].active) == (1, 0)
    net.b[2] = [-100, 100]
    assert [(u.l, u.j) for u in net.dead_units([[1.0], [2.0]])] == [(2, 1)]


def test_dead_depends_on_the_samples_and_zero_is_dead():
    net = cr.Network([cr.Dense(1, "relu")], 1, dtype="float64")
    net.W[1], net.b[1] = [[1.0]], [0.0]
    assert [(u.largest_z, u.active) for u in net.dead_units([[-1.0], [0.0]])] == [(0, 0)]
    assert not net.dead_units([[-1.0], [1e-300]])
    assert len(net.dead_units([-1.0])) == 1  # one sample
    leaky = cr.Network([cr.Dense(1, "leaky_relu")], 1, dtype="float64")
    leaky.W[1] = [[1.0]]
    assert not leaky.dead_units([[-1.0]])


def test_small_inputs_do_not_kill():
    net = cr.Network([cr.Dense(2, "relu")], 2, dtype="float64")
    net.W[1] = [[1.0, 1.0], [1.0, 2.0]]
    X = [[1.0, 1e-9], [2.0, 1e-9]]
    assert not net.dead_units(X)
    assert [w.k for w in net.weak_inputs(X)] == [2]


def test_saturated_units_are_apart_from_dead_ones():
    case = CASES["N19"]
    dead = network(case).dead_units(case["X"])
    assert len(dead) == 0
    assert [(u.l, u.j, u.smallest_z) for u in dead.saturated] == [
        (1, 1, 40),
        (1, 2, -40),
        (2, 1, 20),
    ]
    assert dead.saturated[0].largest_slope == pytest.approx(4.248354255291589e-18, rel=1e-12)
    assert "None dead of 5 units on 2 samples" in str(dead)
    assert "3 saturated: not dead" in str(dead)


@pytest.mark.parametrize(
    ("f", "far", "near"),
    [("sigmoid", 9, 7), ("tanh", 5, 3), ("softplus", -8, -6), ("gelu", -5, -3), ("silu", -11, -8)],
)
def test_where_saturation_begins(f, far, near):
    net = cr.Network([cr.Dense(1, f)], 1, dtype="float64")
    net.W[1] = [[1.0]]
    assert len(net.dead_units([[far]]).saturated) == 1
    assert not net.dead_units([[near]]).saturated
    assert not net.dead_units([[far], [near]]).saturated  # one sample is enough to learn


def test_many_rows_are_looked_at_in_blocks():
    net = cr.Network([cr.Dense(1, "relu")], 1, dtype="float64")
    net.W[1] = [[1.0]]
    X = np.full((10_001, 1), -1.0)
    assert net.dead_units(X)[0].largest_z == -1
    X[10_000] = 2.0
    assert not net.dead_units(X)


def test_tables_are_short():
    net = cr.Network([cr.Dense(300, "relu"), cr.Dense(1)], 2, dtype="float64")
    net.b[1] = -np.full(300, 1e3)
    text = str(net.dead_units([[1.0, 2.0]]))
    assert "300 dead of 301 units on 1 sample" in text
    assert "... and 280 more" in text
    assert len(text.splitlines()) == 23
    assert repr(net.dead_units([[1.0, 2.0]])) == "<300 dead and 0 saturated of 301 units>"
    assert (
        str(cr.Network([cr.Dense(1)], 1).dead_units([[1.0]])) == "None dead of 1 unit on 1 sample"
    )


def test_dead_units_is_a_sequence():
    net = network(CASES["N22"])
    dead = net.dead_units(CASES["N22"]["X"])
    assert len(dead) == 2
    assert dead[-1] is list(dead)[1]
    assert dead[:1] == (dead[0],)
    assert dead[1] in dead


def test_weak_inputs():
    net = cr.Network([cr.Dense(1)], 3, dtype="float64")
    weak = net.weak_inputs([[8.0, 0.125, 0.0], [8.0, -0.125, 0.0]])
    assert [(w.k, w.size, w.ratio) for w in weak] == [(2, 0.125, 1 / 64), (3, 0, 0)]
    assert "64 times smaller" in weak[0].reason
    assert "never move" in weak[1].reason
    assert weak.largest == 1
    assert "Scaling.fit" in str(weak)
    assert not net.weak_inputs([[1.0, 0.2, -5.0]])[1:]
    assert str(net.weak_inputs([1.0, 1.0, 1.0])) == "None weak of 3 inputs on 1 sample"
    assert [w.k for w in net.weak_inputs([[1e300, 1e-300, 1e300]])] == [2]


def test_the_ratio_of_the_derivatives_is_that_of_the_inputs():
    # One sample: dC/dw1 : dC/dw2 = x1 : x2.
    net = cr.Network([cr.Dense(1, "relu")], 2, dtype="float64")
    net.theta = [0.25, 0.5, 0.125]
    x = [8.0, 0.125]
    g = net.gradient([x], [3.0])
    assert g.dW[1].tolist() == [[-13, -0.203125]]
    assert g.dW[1][0, 1] / g.dW[1][0, 0] == net.weak_inputs(x)[0].ratio


def test_standardised_inputs_are_not_weak():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2)) * [1000, 0.001]
    net = cr.Network([cr.Dense(1)], 2)
    assert [w.k for w in net.weak_inputs(X)] == [2]
    net.scaling = cr.Scaling.fit(X, np.ones(20))
    assert not net.weak_inputs(X)
    assert "standardised units" in str(net.weak_inputs(X))


@pytest.mark.parametrize("method", ["dead_units", "weak_inputs"])
def test_what_is_refused(method, unchanged):
    net = cr.Network([cr.Dense(2, "relu")], 2)
    look = getattr(net, method)
    with unchanged(net):
        with pytest.raises(ValueError, match="X has 3 features"):
            look([[1, 2, 3]])
        with pytest.raises(ValueError, match=r"X has 0 sample\(s\)"):
            look(np.empty((0, 2)))
        with pytest.raises(ValueError, match="X must be finite"):
            look([[1, np.nan]])
        with pytest.raises(TypeError, match="X must hold numbers"):
            look("ab")


def test_a_network_with_nan_is_refused():
    net = cr.Network([cr.Dense(2, "relu")], 2)
    net.W[1][1, 0] = np.nan
    with pytest.raises(cr.DivergedError, match=r"z\^1_2 is not finite \(nan\) for sample 1"):
        net.dead_units([[1.0, 2.0]])
