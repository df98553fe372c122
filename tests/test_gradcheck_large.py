"""Large networks: directions find mistakes as often as they promise, and never cry wolf."""

import importlib
import math
import os
import re
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference

room = importlib.import_module("chainrule.gradcheck.directions")
probe_room = importlib.import_module("chainrule.gradcheck.probe")
resolution = importlib.import_module("chainrule.gradcheck.resolution")
parameters_room = importlib.import_module("chainrule.gradcheck.parameters")
Parameters = parameters_room.Parameters
soak = pytest.mark.skipif(not os.environ.get("CHAINRULE_SOAK"), reason="takes minutes: make soak")


def measured_rounding(theta, cost, seed=0):
    return resolution.DEVIATIONS * resolution.cost_deviation(theta, cost, seed)


def network(units=(100, 100, 50, 16), name="relu", n_in=64, m=12, dtype="float64", seed=0):
    """More than 20 000 parameters, so that directions are taken."""
    layers = [*(cr.Dense(n, name) for n in units[:-1]), cr.Dense(units[-1])]
    net = cr.Network(layers, n_in, dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    for l in range(1, net.L + 1):
        net.b[l] = 0.1 * rng.normal(size=net.n[l])
    return net, rng.normal(size=(m, n_in)), rng.normal(size=(m, units[-1]))


class Planted:
    """A network with a mistake in its gradient: `mistake(dW, db)`."""

    def __init__(self, net, mistake, dtypes=("float32", "float64")):
        self.net, self.mistake, self.dtypes = net, mistake, dtypes

    def __getattr__(self, name):
        return getattr(self.net, name)

    def copy(self, dtype=None):
        return Planted(self.net.copy(dtype), self.mistake, self.dtypes)

    def gradient(self, X, Y, loss="mse"):
        g = self.net.gradient(X, Y, loss)
        dW, db = ([None, *(np.array(part) for part in parts)] for parts in (g.dW, g.db))
        if self.net.dtype in self.dtypes:
            self.mistake(dW, db)
        return SimpleNamespace(cost=g.cost, dW=dW, db=db)


def shared(monkeypatch, mistake):
    """The reference makes the same mistake, so only costs can tell."""
    right = reference.backward

    def backward(*arguments):
        delta, dW, db = right(*arguments)
        mistake(dW, db)
        return delta, dW, db

    monkeypatch.setattr(reference, "backward", backward)


def one_weight(dW, db):
    dW[2][70, 33] += np.sqrt(np.mean(dW[2] ** 2))


def block_factor(dW, db):
    dW[2] *= 2


def bias_factor(dW, db):
    db[1] *= 1.01


def a_thousandth(dW, db):
    dW[3] *= 1.001


def tail_column(dW, db):
    dW[1][:, -1] = 0


def tail_row(dW, db):
    dW[2][-3:] = 0


def no_bias(dW, db):
    db[3][:] = 0


def sign(dW, db):
    db[2] *= -1


def not_a_number(dW, db):
    dW[2][3, 4] = math.nan


PLACES = {
    one_weight: ("W^2", lambda j, k: (j, k) == (71, 34)),
    block_factor: ("W^2", None),
    bias_factor: ("b^1", None),
    a_thousandth: ("W^3", None),
    tail_column: ("W^1", lambda j, k: k == 64),
    tail_row: ("W^2", lambda j, k: j > 97),
    no_bias: ("b^3", None),
    sign: ("b^2", None),
    not_a_number: ("W^2", lambda j, k: (j, k) == (4, 5)),
}
mistakes = pytest.mark.parametrize("mistake", PLACES, ids=lambda f: f.__name__)


def assert_found(report, mistake):
    name, is_there = PLACES[mistake]
    assert not report.passed, str(report)
    assert report.worst.name == name, str(report)
    assert is_there is None or is_there(report.worst.j, report.worst.k)
    assert report.worst.analytic != report.worst.numeric
    assert str(report.worst) in report.diagnosis
    assert [block.name for block in report.blocks if not block.passed] == [name]


# What is promised


class Bowl:
    """A cost with a known gradient: sum of theta^2 / 2 + sin theta over two arrays."""

    def __init__(self, sizes=(300, 40), seed=0):
        rng = np.random.default_rng(seed)
        self.arrays = [rng.normal(size=size) for size in sizes]
        self.theta = Parameters((f"p{i}", a, None, "") for i, a in enumerate(self.arrays))
        self.calls = 0

    def cost(self):
        self.calls += 1
        return sum(float(np.sum(a**2 / 2 + np.sin(a))) for a in self.arrays)

    def gradient(self):
        return np.concatenate([(a + np.cos(a)).ravel() for a in self.arrays])

    def check(self, got, seed=0, **options):
        rounding = measured_rounding(self.theta, self.cost, seed)
        return room.along_directions(
            self.theta, self.cost, got, rounding=rounding, seed=seed, **options
        )


def planted_error(g, where, eps, kind, rng):
    """An error of the given relative length in the block `where`."""
    e = np.zeros_like(g)
    size = where.stop - where.start
    if kind == "everywhere":
        e[where] = rng.normal(size=size)
    elif kind == "one entry":
        e[where.start + rng.integers(size)] = 1
    else:  # two equal entries: half of all signs +-1 are orthogonal to them
        e[where.start + rng.choice(size, 2, replace=False)] = 1
    return e * eps * np.linalg.norm(g[where]) / np.linalg.norm(e)


@pytest.mark.parametrize("kind", ["everywhere", "one entry", "two entries"])
@pytest.mark.parametrize("eps", [2e-6, 5e-6, 2e-5])
@pytest.mark.parametrize("count", [1, 2])
def test_errors_are_missed_no_more_often_than_promised(monkeypatch, kind, eps, count):
    monkeypatch.setattr(room, "DIRECTIONS", count)
    monkeypatch.setattr(room, "_groups", lambda theta: [("p0", theta.blocks[0].where)])
    monkeypatch.setattr(room, "_locate", lambda *_: None)
    bowl, rng, trials, misses = Bowl((60, 5)), np.random.default_rng(3), 200, 0
    where = bowl.theta.blocks[0].where
    rounding = measured_rounding(bowl.theta, bowl.cost)
    g = bowl.gradient()
    for seed in range(trials):
        got = g + planted_error(g, where, eps, kind, rng)
        along = room.along_directions(bowl.theta, bowl.cost, got, rounding=rounding, seed=seed)
        assert along.groups[0].left_out == 0
        misses += along.passed
    bound = room.missed(eps, count, count)
    assert misses <= trials * bound + 4 * math.sqrt(trials * bound * (1 - bound)) + 1e-9
    # The tolerance alone hides so many: were there fewer, it would not be what it says.
    least = math.erf(probe_room.TOLERANCE / (eps * math.sqrt(2))) ** count
    assert misses >= trials * least - 4 * math.sqrt(trials * least)


def test_bound_is_that_of_a_normal_variable():
    rng = np.random.default_rng(0)
    for eps in (1e-5, 3e-5):
        e = rng.normal(size=20)
        e *= eps / np.linalg.norm(e)
        hidden = np.abs(rng.normal(size=(100_000, 20)) @ e) <= room.HIDDEN
        assert room.missed(eps, 1, 1) == pytest.approx(hidden.mean(), rel=0.03)
        # The worst that leaving out can do: those that would have found it.
        four = hidden.reshape(-1, 4).sum(axis=1)
        assert (four >= 3).mean() <= room.missed(eps, 3, 4)
    assert room.missed(1e-4, 0, 8) == 1
    assert room.missed(1e-4, 8, 8) < 1e-9


def test_note_says_how_many_and_what_they_guarantee():
    report = cr.gradcheck(*network(name="tanh"))
    note = " ".join(report.notes)
    assert "8 random directions per block: an error of 1e-04" in note
    promised = float(re.search(r"probability 1 - (\S+);", note)[1])
    one = math.sqrt(2 / math.pi) * 3 * probe_room.TOLERANCE / 1e-4
    assert promised == pytest.approx(one**8, rel=0.2)
    assert "Complex step" in note
    assert "left out" not in note


# Right gradients pass


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(4))
def test_right_relu_networks_pass(seed, dtype):
    units = [(160, 128, 16), (300, 100, 8), (96,) * 6 + (4,), (64,) * 9 + (1,)][seed]
    report = cr.gradcheck(*network(units, m=[128, 40, 64, 100][seed], dtype=dtype, seed=seed))
    assert report.passed, str(report)
    assert "random directions per block" in " ".join(report.notes)
    assert report.n_checked + report.kinks == 8 * len(report.blocks)


@pytest.mark.parametrize("name", ["tanh", "gelu", "leaky_relu"])
def test_other_activations_pass(name):
    report = cr.gradcheck(*network((120, 100, 4), name=name, dtype="float32"))
    assert report.passed, str(report)


def test_units_at_their_kinks_are_left_out(monkeypatch):
    # Rows of zeros and no biases: z = 0 exactly, in every relu unit.
    net, X, Y = network()
    for l in range(1, net.L + 1):
        net.b[l] = np.zeros(net.n[l])
    X[::3] = 0
    report = cr.gradcheck(net, X, Y)
    assert report.passed, str(report)
    assert "directions left out" in " ".join(report.notes)
    assert "None could be held in b^1" in " ".join(report.notes)
    assert report.blocks[1].direction_error is None
    shared(monkeypatch, block_factor)
    assert_found(cr.gradcheck(Planted(net, block_factor), X, Y), block_factor)


def test_small_and_vanishing_gradients_pass():
    net, X, Y = network(name="sigmoid", units=(100,) * 5 + (2,))
    assert cr.gradcheck(net, X, Y).passed
    net.W[6] = 0 * net.W[6]  # nothing below it matters
    report = cr.gradcheck(net, X, Y)
    assert report.passed, str(report)
    assert "None could be held in W^1, b^1" in " ".join(report.notes)
    # At a minimum there is only rounding.
    net, X, Y = network(name="tanh")
    assert cr.gradcheck(net, X, net(X) + 1e-9 * Y).passed
    assert cr.gradcheck(net, X, net(X) + 1e9 * Y).passed


def test_parameters_come_back_bit_for_bit():
    net, X, Y = network()
    before = net.theta.tobytes()
    cr.gradcheck(net, X, Y)
    assert net.theta.tobytes() == before
    bowl = Bowl()
    kept = [a.copy() for a in bowl.arrays]
    right = bowl.gradient()

    def breaks():
        bowl.calls += 1
        if bowl.calls > 20:
            raise RuntimeError
        return bowl.cost()

    with pytest.raises(RuntimeError):
        room.along_directions(bowl.theta, breaks, right, rounding=1e-14)
    bowl.check(2 * right)
    for a, b in zip(bowl.arrays, kept, strict=True):
        np.testing.assert_array_equal(a, b)


# Mistakes are found


@mistakes
def test_mistake_is_found(mistake):
    net, X, Y = network()
    assert_found(cr.gradcheck(Planted(net, mistake), X, Y), mistake)


@mistakes
def test_mistake_of_the_float32_code_alone_is_found(mistake):
    net, X, Y = network(dtype="float32")
    report = cr.gradcheck(Planted(net, mistake, ("float32",)), X, Y)
    assert_found(report, mistake)
    assert "float32" in report.diagnosis


@mistakes
def test_mistake_shared_by_the_reference_is_found_by_directions(monkeypatch, mistake):
    net, X, Y = network()
    if mistake is not_a_number:
        pytest.skip("a reference that gives NaN agrees with nothing")
    shared(monkeypatch, mistake)
    report = cr.gradcheck(Planted(net, mistake), X, Y)
    assert_found(report, mistake)
    assert max(block.reference_error for block in report.blocks) < 1e-12
    assert "differences of the cost" in report.diagnosis


@pytest.mark.parametrize("eps", [1e-8, -1e-9])
def test_small_mistake_shared_by_the_reference_is_found_by_the_complex_step(monkeypatch, eps):
    net, X, Y = network()

    def mistake(dW, db):
        dW[3] *= 1 + eps

    shared(monkeypatch, mistake)
    report = cr.gradcheck(Planted(net, mistake), X, Y)
    assert not report.passed
    assert report.worst.name == "W^3"
    assert report.worst.analytic == pytest.approx((1 + eps) * report.worst.numeric, rel=1e-12)
    assert report.worst.analytic != report.worst.numeric


def test_small_bias_block_does_not_hide_behind_large_weights(monkeypatch):
    net, X, Y = network()

    def mistake(dW, db):
        db[4][7] *= 1.01

    shared(monkeypatch, mistake)
    report = cr.gradcheck(Planted(net, mistake), X, Y)
    assert (report.worst.name, report.worst.j) == ("b^4", 8)


@pytest.mark.parametrize("seed", range(3))
def test_one_wrong_entry_is_located_without_a_reference(seed):
    bowl = Bowl((30_000, 500, 20_000), seed)
    got = bowl.gradient()
    p = int(np.random.default_rng(seed).integers(got.size))
    got[p] += np.sqrt(np.mean(got**2))
    along = bowl.check(got, seed)
    assert not along.passed
    np.testing.assert_array_equal(np.flatnonzero(along.found.wrong), [p])
    assert along.found.numeric[p] == pytest.approx(bowl.gradient()[p], rel=1e-5)
    assert next(g.name for g in along.groups if g.wrong) == bowl.theta.find(p)[0].name


def test_foreign_kinks_are_no_mistakes():
    rng = np.random.default_rng(0)
    w = rng.normal(size=4000)
    w[[5, 70]] = 0  # kinks at theta: |w| has any slope from -1 to 1
    theta = Parameters([("w", w, None, "")])

    def cost():
        return float(np.abs(w).sum() + (w**2).sum())

    got = np.where(w > 0, 1, -1) + 2 * w
    options = {"rounding": measured_rounding(theta, cost)}
    along = room.along_directions(theta, cost, got, **options)
    assert along.passed
    assert along.groups[0].left_out == 8
    assert not room.along_directions(theta, cost, 2 * got, **options).passed


@pytest.mark.parametrize("seed", range(3))
def test_wrong_entry_is_located_among_foreign_kinks(seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=4000)
    w[[5, 70]] = 0
    theta = Parameters([("w", w, None, "")])

    def cost():
        return float(np.abs(w).sum() + (w**2).sum())

    got = np.where(w > 0, 1, -1) + 2 * w
    p = int(rng.integers(100, 4000))
    got[p] += 20
    rounding = measured_rounding(theta, cost)
    along = room.along_directions(theta, cost, got, rounding=rounding, seed=seed)
    assert not along.passed
    np.testing.assert_array_equal(np.flatnonzero(along.found.wrong), [p])


# What it costs


def test_two_costs_per_direction_of_the_network_itself():
    net, X, Y = network(name="tanh")
    seen = []

    class Watched(Planted):
        def copy(self, dtype=None):
            return Watched(self.net.copy(dtype), self.mistake)

        def cost(self, X, Y, loss="mse"):
            seen.append(self.net.dtype)
            return self.net.cost(X, Y, loss)

    report = cr.gradcheck(Watched(net, lambda *_: None), X, Y)
    assert report.n_checked == 64
    groups = len(report.blocks) + 1
    along, alone = 2 * room.DIRECTIONS * groups, 2 * 64
    scan = 150 * len(report.blocks)  # the step of the differences taken alone
    assert set(seen) == {"float64"}
    assert along + alone < len(seen) <= along + alone + scan


@pytest.mark.parametrize("units", [(100, 100, 50, 16), (1100, 1000, 4)], ids=["fused", "layered"])
def test_the_gradient_is_that_of_training_bit_for_bit(units):
    """The passes that are checked are those that `fit` runs: here is a step of it."""
    net, X, Y = network(units, m=300)
    trained = net.copy()
    trained.fit(X, Y, epochs=1, batch_size=300, optimizer=cr.SGD(1.0), shuffle=False)
    g = net.gradient(X, Y)
    np.testing.assert_array_equal(trained.theta, net.theta - g.theta)


def test_table_fits():
    net, X, Y = network(dtype="float32")
    for report in (cr.gradcheck(net, X, Y), cr.gradcheck(Planted(net, sign), X, Y)):
        text = str(report)
        assert text.isascii()
        assert max(map(len, text.splitlines())) <= 80
        assert "along v" in text


def a_million(dtype, m=16, seed=0):
    return network((700, 700, 320, 64), n_in=256, m=m, dtype=dtype, seed=seed)


def test_a_million_parameters():
    net, X, Y = a_million("float32")
    report = cr.gradcheck(net, X, Y)
    assert report.passed, str(report)
    assert report.n_parameters == 915_464


@soak
@mistakes
def test_mistake_among_a_million_is_found(monkeypatch, mistake):
    net, X, Y = a_million("float32")
    if mistake is tail_column or mistake is tail_row:
        pytest.skip("its place is told for the small network")
    for dtypes in (("float32", "float64"), ("float32",)):
        assert_found(cr.gradcheck(Planted(net, mistake, dtypes), X, Y), mistake)
    if mistake is not not_a_number:
        shared(monkeypatch, mistake)
        assert_found(cr.gradcheck(Planted(net, mistake), X, Y), mistake)


@soak
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(6))
def test_right_wide_relu_networks_pass(seed, dtype):
    units = [(1024,) * 3 + (64,), (512,) * 10 + (8,), (2048, 2048, 1)][seed % 3]
    report = cr.gradcheck(*network(units, n_in=256, m=256, dtype=dtype, seed=seed))
    assert report.passed, str(report)
