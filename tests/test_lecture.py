"""The lecture, row by row: every worked case through the public calls, core and reference alike.

The cases were computed with 60 digits. Those with `exact_bits` up to 53 must come out with ==, the
others to 1e-12. Every file data/lecture_cases*.json is run, and those that the environment variable
CHAINRULE_LECTURE_CASES lists: they all have the schema of data/lecture_cases.json. The names of the
other tests carry the rows of the lecture that they answer (L01 to L80, X01 to X24 beyond it).
"""

import json
import math
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference

DATA = Path(__file__).parent / "data"
FILES = [
    *sorted(DATA.glob("lecture_cases*.json")),
    *(Path(p) for p in os.environ.get("CHAINRULE_LECTURE_CASES", "").split(os.pathsep) if p),
]


def gather(kind):
    return [case for file in FILES for case in json.loads(file.read_text()).get(kind, [])]


NEURONS, NETWORKS, DESCENTS = gather("neurons"), gather("networks"), gather("descent")
BY_ID = {case["id"].split("_")[0]: case for case in [*NEURONS, *NETWORKS, *DESCENTS]}


def each(cases):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in cases])


def is_exact(case, bits=53):
    return case["exact_bits"] is not None and case["exact_bits"] <= bits


def same(got, expected, case, single=False):
    """Equal to the case: ==, or to 1e-12; in float32 to 2e-5."""
    got, expected = np.asarray(got), np.asarray(expected, np.float64)
    assert got.shape == expected.shape
    if is_exact(case, 24 if single else 53):
        np.testing.assert_array_equal(got, expected)
    elif single:
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


def network(case, dtype="float64"):
    layers = [cr.Dense(u, f) for u, f in zip(case["sizes"][1:], case["activations"], strict=True)]
    net = cr.Network(layers, n_inputs=case["sizes"][0], dtype=dtype)
    for l, (W, b) in enumerate(zip(case["W"], case["b"], strict=True), 1):
        net.W[l], net.b[l] = W, b
    return net


def numbered(arrays):
    return [None, *(np.array(array, np.float64) for array in arrays)]


def build(case):
    """What the reference wants: W, b, activations, X, Y."""
    arrays = np.array(case["X"], np.float64), np.array(case["Y"], np.float64)
    return numbered(case["W"]), numbered(case["b"]), case["activations"], *arrays


def flat(W, b):
    """Parameters in the order of a case's path: W^1 row by row, b^1, W^2, b^2, ..."""
    return np.concatenate([np.ravel(p) for pair in zip(W, b, strict=True) for p in pair])


def neuron(case):
    return cr.Neuron(case["w"], case["b"], case["activation"])


def random_net(sizes, activations, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    layers = [cr.Dense(u, f) for u, f in zip(sizes[1:], activations, strict=True)]
    net = cr.Network(layers, n_inputs=sizes[0], dtype=dtype)
    net.theta = rng.normal(size=net.n_parameters)
    return net, rng.normal(size=(7, sizes[0])), rng.normal(size=(7, sizes[-1]))


# The worked cases


@each(NEURONS)
def test_neuron_case(case):
    unit = neuron(case)
    X, y = case["X"], case["y"]
    same(unit.z(X), case["z"], case)
    same(unit.a(X), case["a"], case)
    same(unit.cost(X, y), case["cost"], case)
    g = unit.gradient(X, y)
    fields = {"residual": "e", "dw": "dw", "db": "db", "cost": "cost", "z": "z", "a": "a"}
    fields |= {name: name for name in ("act_prime", "dw_per_sample", "db_per_sample")}
    for name, key in fields.items():
        same(getattr(g, name), case[key], case)
    for i, (x, target) in enumerate(zip(X, y, strict=True)):  # each sample alone, as (n,)
        one = unit.gradient(x, target)
        same(one.dw, case["dw_per_sample"][i], case)
        same(one.db, case["db_per_sample"][i], case)
        same(unit.z(x), case["z"][i], case)


@each(NEURONS)
def test_neuron_case_in_the_reference(case):
    W, b = numbered([[case["w"]]]), numbered([[case["b"]]])
    X, y = np.array(case["X"]), np.array(case["y"]).reshape(-1, 1)
    names = [case["activation"]]
    z, a = reference.forward(W, b, names, X)
    C, dW, db = reference.gradient(W, b, names, X, y)
    f_prime = reference.ACTIVATIONS[case["activation"]][1](z[1])
    for got, key in ((z[1], "z"), (a[1], "a"), (f_prime, "act_prime")):
        same(got[:, 0], case[key], case)
    same(C, case["cost"], case)
    same(dW[1][0], case["dw"], case)
    same(db[1][0], case["db"], case)


@each([c for c in NEURONS if c["activation"] in {"sigmoid", "tanh"}])
def test_L37_the_slope_of_a_saturated_neuron_keeps_its_digits(case):
    g = neuron(case).gradient(case["X"], case["y"])
    np.testing.assert_allclose(g.act_prime, case["act_prime"], rtol=1e-12, atol=0)
    np.testing.assert_allclose(g.db_per_sample, case["db_per_sample"], rtol=1e-12, atol=0)


@each(NETWORKS)
def test_network_case(case):
    net = network(case)
    X, Y = case["X"], case["Y"]
    m = case["m"]
    t, g = net.trace(X, Y), net.gradient(X, Y)
    assert len(t.z) == len(t.delta) == net.L == len(case["sizes"]) - 1
    same(net.cost(X, Y), case["cost"], case)
    same(t.cost, case["cost"], case)
    same(g.cost, case["cost"], case)
    np.testing.assert_array_equal(t.a[0], X)
    np.testing.assert_array_equal(net(X), t.a[net.L])
    for l in range(1, net.L + 1):
        for name in ("z", "a", "delta", "dW", "db"):
            same(getattr(t, name)[l], case[name][l - 1], case)
        same(m * t.delta[l], case["delta_per_sample"][l - 1], case)
        np.testing.assert_array_equal(g.dW[l], t.dW[l])
        np.testing.assert_array_equal(g.db[l], t.db[l])
    same(t.delta[1] @ net.W[1], case["dX"], case)  # (BP2) taken down to the inputs


@each(NETWORKS)
def test_network_case_in_the_reference(case):
    W, b, names, X, Y = build(case)
    z, a = reference.forward(W, b, names, X)
    delta, dW, db = reference.backward(W, names, z, a, Y)
    same(reference.cost(a[-1], Y), case["cost"], case)
    found = {"z": z, "a": a, "delta": delta, "dW": dW, "db": db}
    for l in range(1, len(W)):
        for name, got in found.items():
            same(got[l], case[name][l - 1], case)
        same(case["m"] * delta[l], case["delta_per_sample"][l - 1], case)
    same(delta[1] @ W[1], case["dX"], case)


@each([c for c in NETWORKS if c["bf16_inputs"]])
def test_network_case_in_float32(case):
    t = network(case, "float32").trace(case["X"], case["Y"])
    same(t.cost, case["cost"], case, single=True)
    for l in range(1, len(case["sizes"])):
        for name in ("z", "a", "delta", "dW", "db"):
            same(getattr(t, name)[l], case[name][l - 1], case, single=True)


@each([c for c in NETWORKS if not c["kink"]])
def test_network_case_by_gradcheck(case):
    assert cr.gradcheck(network(case), case["X"], case["Y"])


@each(NETWORKS)
def test_dead_units_of_a_case(case):
    net = network(case)
    z = net.trace(case["X"], case["Y"]).z
    dead = [
        [l, j]
        for l in range(1, net.L + 1)
        for j in range(1, net.n[l] + 1)
        if net.layers[l - 1].activation == "relu" and (z[l][:, j - 1] <= 0).all()
    ]
    assert dead == case["dead_units"]
    g = net.gradient(case["X"], case["Y"])
    for l, j in dead:
        assert not g.dW[l][j - 1].any()
        assert g.db[l][j - 1] == 0
        assert l == net.L or not g.dW[l + 1][:, j - 1].any()
        # The neuron of these weights, on what comes in, says the same.
        a = net.trace(case["X"], case["Y"]).a[l - 1]
        assert cr.Neuron(net.W[l][j - 1], net.b[l][j - 1], "relu").is_dead(a)


@pytest.mark.skipif(not hasattr(cr.Network, "dead_units"), reason="no Network.dead_units")
@each(NETWORKS)
def test_dead_units_of_a_case_by_name(case):
    assert [[u.l, u.j] for u in network(case).dead_units(case["X"])] == case["dead_units"]


@each(DESCENTS)
def test_descent_case_by_fit(case):
    net = network(case)
    X, Y, steps = case["X"], case["Y"], case["steps"]
    rate = cr.SGD(learning_rate=case["lr"])
    history = net.fit(X, Y, epochs=steps, batch_size=case["m"], optimizer=rate, shuffle=False)
    same(history.cost, case["cost"][:steps], case)
    same(net.cost(X, Y), case["cost"][steps], case)
    for l in range(1, net.L + 1):
        same(net.W[l], case["final_W"][l - 1], case)
        same(net.b[l], case["final_b"][l - 1], case)


@each(DESCENTS)
def test_descent_case_step_by_step(case):
    net = network(case)
    X, Y = case["X"], case["Y"]
    trainer = cr.Trainer(net, cr.SGD(learning_rate=case["lr"]))
    for k in range(case["steps"] + 1):
        g = net.gradient(X, Y)
        same(flat(net.W, net.b), case["path"][k], case)
        same(g.cost, case["cost"][k], case)
        # A root is rounded: == cannot be asked of it.
        assert np.linalg.norm(g.theta) == pytest.approx(case["grad_norm"][k], rel=1e-12, abs=1e-15)
        if k < case["steps"]:
            assert trainer.step(X, Y) == g.cost


@each(DESCENTS)
def test_descent_case_in_the_reference(case):
    W, b, names, X, Y = build(case)
    for k in range(case["steps"]):
        same(flat(W[1:], b[1:]), case["path"][k], case)
        costs = reference.fit(W, b, names, X, Y, 1, case["m"], case["lr"])
        same(costs, case["cost"][k : k + 1], case)
    same(flat(W[1:], b[1:]), case["path"][-1], case)
    same(reference.gradient(W, b, names, X, Y)[0], case["cost"][-1], case)
    W, b, *_ = build(case)
    same(
        reference.fit(W, b, names, X, Y, case["steps"], case["m"], case["lr"]),
        case["cost"][:-1],
        case,
    )


@each([c for c in DESCENTS if len(c["sizes"]) == 2 and c["sizes"][1] == 1])
def test_descent_case_of_a_neuron(case):
    unit = cr.Neuron(case["W"][0][0], case["b"][0][0], case["activations"][0])
    X, y = case["X"], np.ravel(case["Y"])
    descent = unit.fit(X, y, case["lr"], case["steps"])
    same(np.column_stack([descent.w, descent.b]), case["path"], case)
    same(descent.cost, case["cost"], case)
    np.testing.assert_allclose(descent.gradient_norm, case["grad_norm"], rtol=1e-12, atol=1e-15)
    same(unit.w, case["final_W"][0][0], case)
    same(unit.b, case["final_b"][0][0], case)


def test_every_kind_of_case_is_there():
    assert NEURONS
    assert NETWORKS
    assert DESCENTS
    assert len(BY_ID) == len(NEURONS) + len(NETWORKS) + len(DESCENTS)


# Notation (L05 to L12, L42 to L48)


def test_L05_to_L08_and_L12_sizes_and_the_number_of_derivatives():
    case = BY_ID["N07"]
    net = network(case)
    t = net.trace(case["X"], case["Y"])
    assert (len(t.a[0]), net.n[0], net.L) == (5, 3, 2)
    assert [net.W[l].shape for l in (1, 2)] == [(4, 3), (2, 4)]
    assert [net.b[l].shape for l in (1, 2)] == [(4,), (2,)]
    with pytest.raises(IndexError, match=r"W is numbered 1\.\.2, got \[0\]"):
        net.W[0]
    for sizes, P in [((2, 3, 1), 13), ((3, 4, 2), 26), ((3, 3, 3, 3, 2), 44), ((4, 6, 5, 2), 77)]:
        net, X, Y = random_net(sizes, ["tanh"] * (len(sizes) - 1))
        assert net.n_parameters == net.gradient(X, Y).theta.size == P


@pytest.mark.parametrize("seed", range(3))
def test_L09_a_network_is_its_layers_one_after_the_other_bit_for_bit(seed, dtype):
    names = ["relu", "sigmoid", "tanh", "gelu", "identity"]
    net, X, _ = random_net((3, 17, 5, 9, 4, 2), names, seed, dtype)
    a = X.astype(dtype)
    for l, name in enumerate(names, 1):
        layer = cr.Network([cr.Dense(net.n[l], name)], n_inputs=net.n[l - 1], dtype=dtype)
        layer.W[1], layer.b[1] = net.W[l], net.b[l]
        a = layer(a)
    np.testing.assert_array_equal(a, net(X))


def test_L10_one_sample_is_a_row_of_the_batch():
    net, X, _ = random_net((3, 4, 2), ["tanh", "sigmoid"])
    for x, row in zip(X, net(X), strict=True):
        assert net(x).shape == (2,)
        np.testing.assert_array_equal(net(x), row)


def test_L11_probability_and_decision():
    case = BY_ID["U01"]
    a = neuron(case).a(case["X"][0])
    assert a == pytest.approx(0.59266659995406977, rel=1e-15)
    assert (a > 0.5) is True


def test_L42_to_L48_and_L52_one_weight_by_its_indices():
    case = BY_ID["N02"]
    net = network(case)
    t = net.trace(case["X"], case["Y"])

    def w(l, j, k):
        return net.W[l][j - 1, k - 1]

    assert (w(1, 1, 2), w(1, 2, 1), w(1, 2, 2)) == (1.25, 2.125, 2.25)
    assert (t.dW[1][1, 0], t.dW[1][0, 2]) == (-0.375, 6.5)
    assert net.b[1].shape == (2,)
    np.testing.assert_array_equal(net.b[1], [0.5, -0.5])
    np.testing.assert_array_equal(t.db[1], [1.625, -0.375])
    with pytest.raises(ValueError, match=r"W\[1\] must have shape \(2, 3\), got shape \(3, 2\)"):
        net.W[1] = np.transpose(case["W"][0])


# The neuron in the network (L41, L45)


@pytest.mark.parametrize("activation", sorted(reference.ACTIVATIONS))
def test_L41_a_network_of_one_unit_is_the_neuron_bit_for_bit(activation, isa):
    rng = np.random.default_rng(4)
    unit = cr.Neuron(rng.normal(size=5), 0.25, activation)
    net = cr.Network([cr.Dense(1, activation)], n_inputs=5, dtype="float64")
    net.W[1][0], net.b[1] = unit.w, [unit.b]
    X, y = rng.normal(size=(300, 5)), rng.normal(size=300)
    t, g, n = net.trace(X, y), net.gradient(X, y), unit.gradient(X, y)
    np.testing.assert_array_equal(unit.a(X), net(X)[:, 0])
    np.testing.assert_array_equal(unit.z(X), t.z[1][:, 0])
    np.testing.assert_array_equal(n.dw, g.dW[1][0])
    assert (n.cost, n.db) == (g.cost, g.db[1][0])
    assert unit.cost(X, y) == net.cost(X, y)
    descent = unit.fit(X, y, 0.125, 5)
    rate = cr.SGD(0.125)
    history = net.fit(X, y, epochs=5, batch_size=300, optimizer=rate, shuffle=False)
    np.testing.assert_array_equal(descent.cost[:-1], history.cost)
    np.testing.assert_array_equal(unit.w, net.W[1][0])
    assert unit.b == net.b[1][0]


@each(NETWORKS)
def test_L45_a_layer_is_its_neurons_on_the_same_inputs(case):
    net = network(case)
    t = net.trace(case["X"], case["Y"])
    for l in range(1, net.L + 1):
        for j in range(1, net.n[l] + 1):
            unit = cr.Neuron(net.W[l][j - 1], net.b[l][j - 1], net.layers[l - 1].activation)
            np.testing.assert_array_equal(unit.z(t.a[l - 1]), t.z[l][:, j - 1])
            np.testing.assert_array_equal(unit.a(t.a[l - 1]), t.a[l][:, j - 1])


# What an error does to the weights (L61 to L69)


def test_L62_and_L63_inactive_samples_add_exactly_nothing():
    unit = cr.Neuron([0.5, -0.25], 0.125, "relu")
    X, y = np.array([[2.0, 0.5], [-2.0, 1.0], [1.5, -0.5], [0.0, 4.0]]), [0.5, 1.0, 2.0, -1.0]
    g = unit.gradient(X, y)
    active = g.z > 0
    np.testing.assert_array_equal(active, [True, False, True, False])
    assert not g.dw_per_sample[~active].any()
    np.testing.assert_array_equal(g.dw_per_sample[active], 2 * (g.residual[:, None] * X)[active])
    np.testing.assert_array_equal(g.dw_per_sample.mean(axis=0), g.dw)
    assert np.mean(g.db_per_sample) == g.db


def test_L67_and_L69_the_error_is_magnified_by_the_inputs():
    case = BY_ID["U11"]
    g = neuron(case).gradient(case["X"], case["y"])
    np.testing.assert_array_equal(g.dw, [-13, -0.203125])
    assert g.dw[0] / g.dw[1] == case["X"][0][0] / case["X"][0][1] == 64


def test_L68_a_dead_neuron_never_moves_and_a_zero_input_is_not_death():
    case = BY_ID["U07"]
    unit = neuron(case)
    assert unit.is_dead(case["X"])
    descent = unit.fit(case["X"], case["y"], 0.5, 4)
    assert (descent.w == descent.w[0]).all()
    assert (descent.b == descent.b[0]).all()
    assert not descent.gradient_norm.any()
    alive = cr.Neuron([0.5, -0.25], 0.125, "relu")
    g = alive.gradient([2.0, 0.0], 3.0)
    assert not alive.is_dead([2.0, 0.0])
    assert g.dw[0] != 0 == g.dw[1]


# Steepest descent and the step (L13, L65 to L71, X13, X20, X22)


def quadratic():
    """A linear neuron whose cost has the Hessian H, its minimum 1/416 at (1/13, 10/13, -1/26)."""
    H = np.array([[6.5, -0.625, 0.5], [-0.625, 0.40625, 0.375], [0.5, 0.375, 2.0]])
    best = np.array([1 / 13, 10 / 13, -1 / 26])
    mean = H[:2, 2] / 2
    spread = np.linalg.cholesky(H[:2, :2] / 2 - np.outer(mean, mean))
    signs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])  # columns of mean 0
    X = mean + signs[:, :2] @ spread.T
    y = np.column_stack([X, np.ones(4)]) @ best - signs[:, 2] / math.sqrt(416)
    return X, y, H, best


def test_L65_L66_L70_X20_X22_descent_on_a_quadratic_cost():
    X, y, H, best = quadratic()
    unit = cr.Neuron([1.0, -1.0], 0.0, "identity")
    start = np.array([*unit.w, unit.b])
    g = unit.gradient(X, y)
    slope = np.array([*g.dw, g.db])
    np.testing.assert_allclose(slope, [7.125, -1.28125, -0.125], rtol=1e-13)
    assert np.linalg.norm(slope) == pytest.approx(7.240362667884807, rel=1e-13)
    # The gradient points to steepest ascent, its negative not at the minimum.
    away = best - start
    cosine = -slope @ away / np.linalg.norm(slope) / np.linalg.norm(away)
    assert math.degrees(math.acos(cosine)) == pytest.approx(52.29, abs=0.005)
    low = np.linalg.solve(H[:2, :2], (H @ best)[:2])  # the minimum of the plane b = 0
    np.testing.assert_allclose(low, [0.0694444444, 0.7222222222], rtol=1e-9)
    # Along the contour the cost does not change to first order.
    along, t = np.array([-g.dw[1], g.dw[0]]), 1e-5
    up, down = (cr.Neuron(unit.w + s * along, 0.0, "identity").cost(X, y) for s in (t, -t))
    assert abs(up - down) / (2 * t) < 1e-6
    # No direction falls faster than -g.
    u = np.random.default_rng(0).normal(size=(1000, 3))
    falls = (u / np.linalg.norm(u, axis=1, keepdims=True)) @ slope
    assert falls.min() >= -np.linalg.norm(slope)
    assert -slope / np.linalg.norm(slope) @ slope == pytest.approx(-np.linalg.norm(slope))
    # The limit of the learning rate: below it every start converges, above it this one does not.
    limit = unit.learning_rate_limit(X)
    assert limit == pytest.approx(0.30259255, abs=5e-9)
    assert limit == pytest.approx(2 / np.linalg.eigvalsh(H)[-1], rel=1e-13)
    converged = unit.fit(X, y, 0.99 * limit, 1000)
    assert converged.cost[-1] == pytest.approx(1 / 416, rel=1e-6)
    diverged = cr.Neuron([1.0, -1.0], 0.0, "identity").fit(X, y, 1.01 * limit, 400)
    assert diverged.cost[-1] > 10 * diverged.cost[0]


def test_L71_all_derivatives_first_then_all_updates():
    case = BY_ID["N05"]
    net = network(case)
    g = net.gradient(case["X"], case["Y"])
    before = flat(net.W, net.b)
    cr.Trainer(net, cr.SGD(0.5)).step(case["X"], case["Y"])
    step = flat(net.W, net.b) - before
    np.testing.assert_allclose(step, -0.5 * flat(g.dW, g.db), rtol=1e-12, atol=1e-16)


def moved(net, v, t):
    """The network with theta + t v, v in the order of a case's path."""
    twin, at = net.copy(), 0
    for l in range(1, net.L + 1):
        for p in (twin.W[l], twin.b[l]):
            p[...] += t * np.reshape(v[at : at + p.size], p.shape)
            at += p.size
    return twin


def test_L13_and_X13_the_prediction_of_the_cost_misses_by_t_squared_then_by_t_cubed():
    case = BY_ID["N05"]
    net, X, Y = network(case), case["X"], case["Y"]
    g = net.gradient(X, Y)
    v = np.array([0.25, -0.5, 0.75, -0.25, 0.5, -0.75, 0.25, -0.5, 0.75])
    # H v with 60 digits
    Hv = np.array(
        [
            *(-0.0064936500280275665, -0.0035436213673317924, 0.00413383897021826),
            *(0.006397406040955323, -0.011489645690527836, 0.007859061300560499),
            *(0.026729126729356626, 0.023190657136888098, 0.04733223123721498),
        ]
    )
    slope, bend = flat(g.dW, g.db) @ v, v @ Hv
    t = 2.0 ** -np.arange(3, 9)
    costs = np.array([moved(net, v, s).cost(X, Y) for s in t])
    first = np.abs(costs - g.cost - t * slope)
    second = np.abs(costs - g.cost - t * slope - t**2 / 2 * bend)
    fitted = [np.polyfit(np.log(t), np.log(miss), 1)[0] for miss in (first, second)]
    assert fitted[0] == pytest.approx(2, abs=0.02)
    assert fitted[1] == pytest.approx(3, abs=0.1)
    assert first[-2] / first[-1] == pytest.approx(4, rel=0.01)
    assert second[-2] / second[-1] == pytest.approx(8, rel=0.05)


# Backpropagation (L79, L80, X18, X19, X23)


def test_L79_one_sweep_gives_every_layer_and_the_gradient_vanishes_backwards():
    case = BY_ID["D10"]  # four sigmoid layers
    t = network(case).trace(case["X"], case["Y"])
    norms = [np.linalg.norm(dW) for dW in t.dW]
    assert len(norms) == 4
    assert all(below < above for below, above in pairwise(norms))
    W, b, names, X, Y = build(case)
    dW, _ = reference.numerical_gradient(W, b, names, X, Y)  # 2 P forward passes for the same
    np.testing.assert_allclose(norms, [np.linalg.norm(p) for p in dW[1:]], rtol=1e-7)


@each(NETWORKS)
def test_L80_and_X23_the_gradient_is_the_mean_over_the_samples_in_any_order(case):
    net = network(case)
    X, Y = np.array(case["X"]), np.array(case["Y"])
    whole = net.gradient(X, Y)
    single = [net.gradient(X[i : i + 1], Y[i : i + 1]) for i in range(len(X))]
    mean = np.mean([g.theta for g in single], axis=0)
    order = np.random.default_rng(0).permutation(len(X))
    shuffled = net.gradient(X[order], Y[order])
    if is_exact(case):
        np.testing.assert_array_equal(mean, whole.theta)
        np.testing.assert_array_equal(shuffled.theta, whole.theta)
        assert shuffled.cost == whole.cost == np.mean([g.cost for g in single])
    else:
        terms = np.abs([g.theta for g in single]).max(axis=0)
        assert (np.abs(mean - whole.theta) <= 4e-15 * terms + 1e-300).all()
        assert (np.abs(shuffled.theta - whole.theta) <= 4e-15 * terms + 1e-300).all()
        assert shuffled.cost == pytest.approx(whole.cost, rel=1e-14)


def rescaling_gap(net, g, l):
    """sum_k w_in dw_in + b db - sum_i w_out dw_out for each unit of layer l, and its size."""
    into = (net.W[l] * g.dW[l]).sum(axis=1) + net.b[l] * g.db[l]
    out = (net.W[l + 1] * g.dW[l + 1]).sum(axis=0)
    return into - out, np.abs(net.W[l + 1] * g.dW[l + 1]).sum(axis=0), out


@each([c for c in NETWORKS if "relu" in c["activations"][:-1]])
def test_X18_what_goes_into_a_relu_unit_comes_out(case):
    net = network(case)
    g = net.gradient(case["X"], case["Y"])
    for l, name in enumerate(case["activations"][:-1], 1):
        if name != "relu":
            continue
        gap, size, _ = rescaling_gap(net, g, l)
        assert (np.abs(gap) <= (0 if is_exact(case) else 1e-14) * (size + 1e-3)).all()


def test_X18_by_value():
    case = BY_ID["N10"]
    net = network(case)
    _, _, out = rescaling_gap(net, net.gradient(case["X"], case["Y"]), 1)
    np.testing.assert_array_equal(out, [-0.09033203125, -0.1953125])


def test_X19_symmetries_of_the_hidden_units():
    net, X, Y = random_net((3, 5, 2), ["tanh", "sigmoid"])
    g, order = net.gradient(X, Y), [3, 0, 4, 1, 2]
    twin = net.copy()
    twin.W[1], twin.b[1], twin.W[2] = net.W[1][order], net.b[1][order], net.W[2][:, order]
    h = twin.gradient(X, Y)
    assert h.cost == pytest.approx(g.cost, rel=1e-14)
    np.testing.assert_allclose(h.dW[1], g.dW[1][order], rtol=1e-12)
    np.testing.assert_allclose(h.dW[2], g.dW[2][:, order], rtol=1e-12)
    # tanh is odd: the signs of a unit, in and out, do not matter, not in the last bit.
    flipped = net.copy()
    flipped.W[1][2] *= -1
    flipped.b[1][2] *= -1
    flipped.W[2][:, 2] *= -1
    np.testing.assert_array_equal(flipped(X), net(X))
    # relu(2 z) = 2 relu(z): in times 2 and out by 2 is the same network.
    net, X, _ = random_net((3, 5, 2), ["relu", "tanh"])
    scaled = net.copy()
    scaled.W[1][1] *= 2
    scaled.b[1][1] *= 2
    scaled.W[2][:, 1] /= 2
    np.testing.assert_array_equal(scaled(X), net(X))
