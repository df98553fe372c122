"""Network: its public names, the numbers on small cases, and that bad input changes nothing."""

from __future__ import annotations

import copy
import gc
import inspect
import math
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import _core, reference
from chainrule.layers import ACTIVATIONS

RTOL = {"float32": 2e-5, "float64": 1e-12}


def small_net(dtype="float64", activations=("tanh", "identity"), n=(3, 4, 2), seed=0):
    layers = [cr.Dense(units, name) for units, name in zip(n[1:], activations, strict=True)]
    net = cr.Network(layers, n_inputs=n[0], dtype=dtype, seed=seed)
    for l in range(1, net.L + 1):
        net.b[l] = np.linspace(-0.5, 0.5, n[l])
    return net


def small_data(dtype="float64", m=6, n_in=3, n_out=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, n_in)).astype(dtype), rng.normal(size=(m, n_out)).astype(dtype)


def parameters(net):
    """W and b as the reference wants them: float64 lists numbered from 1."""
    W = [None, *(np.array(w, np.float64) for w in net.W)]
    b = [None, *(np.array(v, np.float64) for v in net.b)]
    return W, b, [layer.activation for layer in net.layers]


# ------------------------------------------------------------------------------ the public names


def test_public_names():
    names = {
        *("Dense", "DivergedError", "Explanation", "FormatError", "Gradient", "GradientCheck"),
        *("History", "MSE", "Network", "Neuron", "SGD", "Scaling", "Trace", "Trainer"),
        *("Adam", "AdamW", "RMSprop", "Rprop", "LBFGS"),
        *("MAE", "Huber", "LogCosh", "Quantile", "Poisson", "GaussianNLL", "CustomLoss"),
        *("BinaryCrossEntropy", "CrossEntropy"),
        *("Cosine", "OneCycle", "ReduceOnPlateau", "StepDecay", "Warmup"),
        *("EarlyStopping", "Encoder", "Target"),
        *("__version__", "get_num_threads"),
        *("calculus", "gradcheck", "info", "load", "metrics", "plot", "reference", "set_isa"),
        "set_num_threads",
    }
    assert set(cr.__all__) == names
    for name in names:
        assert hasattr(cr, name), name
    assert cr.reference is reference
    assert cr.__version__ == _core.__version__


def test_public_signatures():
    def names(function):
        return list(inspect.signature(function).parameters)

    assert names(cr.Network) == ["layers", "n_inputs", "dtype", "seed"]
    assert names(cr.Network.predict) == ["self", "X", "out"]
    assert names(cr.Network.__call__) == ["self", "X"]
    for method in (cr.Network.cost, cr.Network.gradient, cr.Network.trace):
        assert names(method) == ["self", "X", "Y", "loss", "sample_weight"]
    fit = inspect.signature(cr.Network.fit).parameters
    assert {name: p.default for name, p in fit.items() if name not in {"self", "X", "Y"}} == {
        "epochs": 100,
        "batch_size": 32,
        "optimizer": cr.SGD(learning_rate=0.01),
        "loss": "mse",
        "shuffle": True,
        "seed": 0,
        "validation_data": None,
        "callbacks": (),
        "progress": False,
        "validation_split": None,
        "early_stopping": None,
        "sample_weight": None,
        "l1": 0.0,
        "l2": 0.0,
        "metrics": (),
        "scale": None,
    }
    assert names(cr.Trainer) == ["net", "optimizer", "loss", "l1", "l2", "per_row", "seed"]
    assert names(cr.Trainer.step) == ["self", "X", "Y", "sample_weight"]
    assert names(cr.gradcheck)[:4] == ["net", "X", "Y", "loss"]


def test_the_page_of_the_design(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 10))
    Y = X.sum(axis=1)
    net = cr.Network([cr.Dense(64, "relu"), cr.Dense(1)], n_inputs=10, dtype="float64", seed=0)
    assert net.L == 2
    assert net.n == (10, 64, 1)
    assert net.layers == (cr.Dense(64, "relu"), cr.Dense(1))
    assert net.dtype == "float64"
    assert net.n_parameters == 769 == net.theta.size
    assert net(X).shape == (50, 1)
    assert net.predict(X[0], out=None).shape == (1,)
    assert isinstance(net.cost(X, Y, loss="mse"), float)
    g = net.gradient(X, Y, loss="mse")
    assert (g.cost, g.dW[1].shape, g.db[2].shape) == (net.cost(X, Y), (64, 10), (1,))
    assert g.theta.shape == (769,)
    t = net.trace(X, Y)
    assert t.z[1].shape == t.a[1].shape == t.delta[1].shape == (50, 64)
    assert t.dW[2].shape == (1, 64)
    assert t.db[1].shape == (64,)
    assert t.cost == pytest.approx(g.cost, rel=1e-12)
    h = net.fit(X, Y, epochs=3, batch_size=32, optimizer=cr.SGD(learning_rate=0.01), loss="mse")
    assert len(h.cost) == 3
    tr = cr.Trainer(net, optimizer=cr.SGD(0.01), loss="mse")
    assert isinstance(tr.step(X, Y), float)
    net.save(tmp_path / "model.safetensors")
    assert cr.load(tmp_path / "model.safetensors").theta.tobytes() == net.theta.tobytes()
    assert cr.gradcheck(net, X[:3], Y[:3], loss="mse").passed


def test_import_is_light():
    code = (
        "import sys, chainrule; "
        "print([m for m in ('matplotlib', 'pyarrow', 'tqdm', 'sklearn', 'scipy', 'safetensors') "
        "if m in sys.modules])"
    )
    path = os.pathsep.join(sys.path)
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "[]"


def test_repr(dtype):
    net = cr.Network([cr.Dense(64, "relu"), cr.Dense(1)], n_inputs=10, dtype=dtype)
    assert repr(net) == f"Network 10-64-1 relu, identity | {dtype} | 769 parameters" == str(net)
    assert repr(net.W) == "<W[1] (64, 10), W[2] (1, 64)>"


# ------------------------------------------------------------------------------------ parameters


def test_dtype_spellings():
    layers = [cr.Dense(1)]
    assert cr.Network(layers, 1).dtype == "float32"
    for dtype in ("float64", np.float64, np.dtype("f8"), float):
        assert cr.Network(layers, 1, dtype).dtype == "float64"
    for dtype in ("float16", "f8", np.int64, complex, str, "double"):
        with pytest.raises(ValueError, match="dtype must be one of float32, float64"):
            cr.Network(layers, 1, dtype)
    for dtype in (None, 64, ["float32"]):
        with pytest.raises(TypeError, match="dtype must be one of float32, float64"):
            cr.Network(layers, 1, dtype)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_initial_weights(activation, dtype):
    net = cr.Network([cr.Dense(5, activation), cr.Dense(2)], n_inputs=7, dtype=dtype, seed=11)
    one_sided = activation in {"relu", "leaky_relu", "softplus", "gelu", "silu"}
    for l, limit in ((1, math.sqrt(6 / 7 if one_sided else 6 / 12)), (2, math.sqrt(6 / 7))):
        u = _core.uniform(11, l, net.n[l] * net.n[l - 1]).reshape(net.n[l], net.n[l - 1])
        assert np.array_equal(net.W[l], (limit * (2 * u - 1)).astype(dtype))
        assert np.abs(net.W[l]).max() <= limit
        assert not net.b[l].any()


def test_seeds(dtype):
    def theta(seed):
        return cr.Network([cr.Dense(5), cr.Dense(5)], 5, dtype, seed).theta.tobytes()

    assert theta(0) == theta(0) == theta(np.int64(0))
    assert len({theta(seed) for seed in (0, 1, 2, 2**63 - 1)}) == 4
    net = cr.Network([cr.Dense(5), cr.Dense(5)], 5, dtype)
    assert not np.array_equal(net.W[1], net.W[2])


def test_views_of_theta(dtype):
    net = small_net(dtype)
    assert net.theta is net.theta
    for l in (1, 2):
        assert net.W[l].shape == (net.n[l], net.n[l - 1])
        assert net.b[l].shape == (net.n[l],)
        assert np.shares_memory(net.W[l], net.theta)
        assert np.shares_memory(net.b[l], net.theta)
    # Together they are all of theta: W transposed, then b, layer after layer.
    order = [part for l in (1, 2) for part in (net.W[l].T.ravel(), net.b[l])]
    assert np.array_equal(np.concatenate(order), net.theta)
    x = np.ones((1, 3), dtype)
    before = net(x)
    net.W[2][0, 0] += 1
    net.b[2][1] += 1
    after = net(x)
    assert after[0, 0] != before[0, 0]
    assert after[0, 1] == pytest.approx(before[0, 1] + 1, rel=1e-5)
    net.theta[:] = 0
    assert not net(x).any()


def test_numbered_from_1():
    net = small_net()
    assert len(net.W) == len(net.b) == 2
    assert [w.shape for w in net.W] == [(4, 3), (2, 4)]
    assert list(net.b)[1] is net.b[2]
    assert net.W[np.int64(1)] is net.W[1]
    for l in (0, 3, -1, 2**70):
        with pytest.raises((IndexError, OverflowError), match=r"W"):
            net.W[l]
    with pytest.raises(IndexError, match=r"W is numbered 1..2, got \[0\]"):
        net.W[0]
    with pytest.raises(IndexError, match=r"b is numbered 1..2, got \[3\]"):
        net.b[3] = 0
    for l in (1.0, "1", None, True, slice(1, 2)):
        with pytest.raises(TypeError, match=r"W\[l\]"):
            net.W[l]
    trace = net.trace(*small_data())
    assert len(trace.a) == 3
    assert len(trace.z) == len(trace.delta) == len(trace.dW) == len(trace.db) == 2
    with pytest.raises(IndexError, match=r"z is numbered 1..2, got \[0\]"):
        trace.z[0]
    with pytest.raises(IndexError, match=r"a is numbered 0..2, got \[3\]"):
        trace.a[3]
    with pytest.raises(TypeError, match=r"dW\[l\] cannot be assigned to"):
        trace.dW[1] = 0


def test_assignment_copies_in(dtype):
    net = small_net(dtype)
    w = np.arange(12.0).reshape(4, 3)
    net.W[1] = w
    w[:] = -1
    assert net.W[1].tolist() == np.arange(12.0).reshape(4, 3).tolist()
    net.b[1] = [1, 2, 3, 4]
    assert net.b[1].tolist() == [1, 2, 3, 4]
    net.W[1] *= 2
    net.b[1] += 1
    assert net.W[1][3, 2] == 22
    assert net.b[1].tolist() == [2, 3, 4, 5]
    net.W[1] = net.W[1][::-1]
    assert net.W[1][0, 2] == 22
    assert net.W[1][3, 2] == 4
    net.theta = net.theta[::-1]
    net.theta = list(range(net.n_parameters))
    assert net.theta.tolist() == list(range(26))


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (np.ones((3, 4)), ValueError, r"must have shape \(4, 3\), got shape \(3, 4\)"),
        (1.0, ValueError, r"must have shape \(4, 3\), got shape \(\)"),
        (np.full((4, 3), np.nan), ValueError, r"must be finite, got nan at \(0, 0\)"),
        (np.full((4, 3), -np.inf), ValueError, "must be finite, got -inf"),
        (np.full((4, 3), 1j), ValueError, "Complex data not supported"),
        (np.full((4, 3), "1"), TypeError, "must hold numbers"),
        (np.full((4, 3), 1, object), TypeError, "has object dtype"),
        ([[1, 2, 3], [1]], ValueError, "is ragged: row 1"),
    ],
)
def test_bad_parameters(value, kind, words, dtype, unchanged):
    net = small_net(dtype)
    with unchanged(net), pytest.raises(kind, match=words) as caught:
        net.W[1] = value
    assert "W[1]" in str(caught.value)
    with unchanged(net), pytest.raises(kind) as caught:
        net.theta = value
    assert "theta" in str(caught.value)
    with unchanged(net), pytest.raises(kind) as caught:
        net.b[2] = value
    assert "b[2]" in str(caught.value)


def test_parameters_beyond_float32(unchanged):
    net = small_net("float32")
    with unchanged(net), pytest.raises(ValueError, match=r"b\[1\] at index \(2,\) is 1e\+39"):
        net.b[1] = [0, 0, 1e39, 0]


def test_properties_cannot_be_replaced():
    net = small_net()
    for name in ("W", "b", "n", "L", "layers", "dtype", "n_parameters", "wieghts"):
        with pytest.raises(AttributeError):
            setattr(net, name, None)


def test_theta_outlives_the_network(dtype):
    theta = small_net(dtype).theta
    W = small_net(dtype).W
    expected = small_net(dtype)
    gc.collect()
    junk = [np.full(26, 7.0, dtype) for _ in range(100)]
    assert theta.tobytes() == expected.theta.tobytes()
    assert np.array_equal(W[2], expected.W[2])
    del junk


# --------------------------------------------------------------------------------- specification


@pytest.mark.parametrize(
    ("layers", "kind", "words"),
    [
        ([], ValueError, "layers must hold at least one Dense"),
        (cr.Dense(3), TypeError, "layers must be a list of Dense"),
        ("relu", TypeError, "layers must be a list of Dense"),
        (None, TypeError, "layers must be a list of Dense"),
        ([cr.Dense(3), 64], TypeError, r"layers\[1\] must be a Dense, got 64 \(int\)"),
        ([cr.Dense], TypeError, r"layers\[0\] must be a Dense"),
    ],
)
def test_bad_layers(layers, kind, words):
    with pytest.raises(kind, match=words):
        cr.Network(layers, n_inputs=3)


@pytest.mark.parametrize("name", ["n_inputs", "seed"])
def test_bad_whole_numbers(name):
    arguments = {"layers": [cr.Dense(1)], "n_inputs": 3}
    for value in (True, 1.0, "3", None):
        with pytest.raises(TypeError, match=f"{name} must be a whole number"):
            cr.Network(**{**arguments, name: value})
    for value in (-1, -(2**63)):
        with pytest.raises(ValueError, match=f"{name} must be at least"):
            cr.Network(**{**arguments, name: value})
    for value in (2**63, 2**64):
        with pytest.raises(OverflowError, match=f"{name} must be"):
            cr.Network(**{**arguments, name: value})
    with pytest.raises(ValueError, match="n_inputs must be at least 1, got 0"):
        cr.Network([cr.Dense(1)], 0)
    with pytest.raises(ValueError, match="n_inputs must be at most 2147483647"):
        cr.Network([cr.Dense(1)], 2**31)


def test_too_large_for_memory(dtype):
    layers = [cr.Dense(10**9), cr.Dense(1)]
    with pytest.raises(MemoryError, match=f"no memory for 10002000000001 parameters of {dtype}"):
        cr.Network(layers, n_inputs=10**4, dtype=dtype)
    with pytest.raises((OverflowError, MemoryError)):
        cr.Network([cr.Dense(2**31 - 1)] * 3, n_inputs=2**31 - 1, dtype=dtype)
    assert small_net(dtype)(np.ones((1, 3))).shape == (1, 2)


# --------------------------------------------------------------------------------- small numbers


def test_by_hand(dtype):
    """One layer, whole numbers: every value is exact."""
    net = cr.Network([cr.Dense(2)], n_inputs=2, dtype=dtype)
    net.W[1] = [[1, 2], [3, -1]]
    net.b[1] = [1, 0]
    X, Y = np.array([[1, 1], [0, 2]]), np.array([[2, 2], [1, 0]])
    assert net(X).tolist() == [[4, 2], [5, -2]]
    assert net.cost(X, Y) == (4 + 0 + 16 + 4) / 4
    g = net.gradient(X, Y)
    assert g.cost == 6
    # delta = 2 / (m n_L) (a - Y) = (a - Y) / 2
    assert g.dW[1].tolist() == [[1, 1 + 2 * 2], [0, -2]]
    assert g.db[1].tolist() == [3, -1]
    t = net.trace(X, Y)
    assert t.a[0].tolist() == X.tolist()
    assert t.z[1].tolist() == t.a[1].tolist() == [[4, 2], [5, -2]]
    assert t.delta[1].tolist() == [[1, 0], [2, -1]]
    assert (t.dW[1].tolist(), t.db[1].tolist(), t.cost) == (
        g.dW[1].tolist(),
        g.db[1].tolist(),
        6,
    )
    assert cr.Trainer(net, cr.SGD(0.5)).step(X, Y) == 6
    assert net.W[1].tolist() == [[0.5, -0.5], [3, 0]]
    assert net.b[1].tolist() == [-0.5, 0.5]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_against_the_reference(activation, dtype, isa):
    net = small_net(dtype, (activation, activation, "identity"), (3, 5, 4, 2))
    X, Y = small_data(dtype)
    W, b, activations = parameters(net)
    z, a = reference.forward(W, b, activations, X.astype(np.float64))
    delta, dW, db = reference.backward(W, activations, z, a, Y.astype(np.float64))
    cost = reference.cost(a[-1], Y)
    rtol = RTOL[dtype]

    def close(ours, theirs):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)

    close(net(X), a[-1])
    assert net.cost(X, Y) == pytest.approx(cost, rel=rtol)
    g, t = net.gradient(X, Y), net.trace(X, Y)
    assert g.cost == pytest.approx(cost, rel=rtol)
    assert t.cost == pytest.approx(cost, rel=rtol)
    close(t.a[0], X)
    for l in range(1, 4):
        close(t.z[l], z[l])
        close(t.a[l], a[l])
        close(t.delta[l], delta[l])
        for result in (g, t):
            close(result.dW[l], dW[l])
            close(result.db[l], db[l])
        assert np.shares_memory(g.dW[l], g.theta)


def test_one_sample_and_no_sample(dtype):
    net = small_net(dtype)
    X, _ = small_data(dtype)
    whole = net(X)
    for i, x in enumerate(X):
        assert net(x).shape == (2,)
        assert net(x).tobytes() == net(X[i : i + 1]).tobytes() == whole[i].tobytes()
    assert net(list(X[0])).tobytes() == whole[0].tobytes()
    empty = net(np.ones((0, 3)))
    assert empty.shape == (0, 2)
    assert empty.dtype == dtype


def test_one_row_one_column(dtype):
    net = small_net(dtype, ("tanh", "identity"), (1, 2, 1))
    for m in (1, 5):
        X, Y = small_data(dtype, m, 1, 1)
        assert net(X).shape == (m, 1)
        assert cr.gradcheck(net, X, Y).passed
        assert net.cost(X, Y) == net.cost(X, Y[:, 0])


def test_with_one_output_Y_may_be_1_D(dtype):
    net = small_net(dtype, ("tanh", "identity"), (3, 4, 1))
    X, Y = small_data(dtype, n_out=1)
    assert net.cost(X, Y[:, 0]) == net.cost(X, Y)
    assert net.cost(X, list(Y[:, 0])) == net.cost(X, Y)
    assert net.gradient(X, Y[:, 0]).theta.tobytes() == net.gradient(X, Y).theta.tobytes()
    assert net.trace(X, Y[:, 0]).cost == net.trace(X, Y).cost


def test_the_trace_is_a_copy(dtype):
    net = small_net(dtype)
    X, Y = small_data(dtype)
    kept = X.copy()
    trace = net.trace(X, Y)
    X[:] = 0
    assert np.array_equal(trace.a[0], kept)
    trace.a[0][:] = 5
    assert not X.any()
    trace.dW[1][:] = 5
    assert (net.W[1] != 5).all()


def test_subnormal_inputs(dtype):
    net = cr.Network([cr.Dense(1)], n_inputs=1, dtype=dtype)
    net.W[1] = [[1]]
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([[tiny], [3 * tiny]])
    assert net(x).tolist() == x.tolist()


@given(seed=st.integers(0, 2**63 - 1), m=st.integers(1, 40))
def test_a_row_does_not_depend_on_its_neighbours(seed, m):
    rng = np.random.default_rng(seed)
    net = small_net("float32", ("gelu", "sigmoid"), (3, 4, 2), seed)
    X = rng.normal(size=(m, 3)).astype("float32")
    whole, i = net(X), int(rng.integers(m))
    assert net(X[i]).tobytes() == whole[i].tobytes()


def test_many_threads_may_predict(dtype):
    net = small_net(dtype, ("tanh", "identity"), (3, 50, 2))
    X, _ = small_data(dtype, m=200)
    expected, wrong = net(X).tobytes(), []

    def work():
        wrong.extend(1 for _ in range(50) if net(X).tobytes() != expected)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ------------------------------------------------------------------------------------------- out


def test_out_is_filled_and_returned(dtype):
    net = small_net(dtype)
    X, _ = small_data(dtype)
    out = np.full((6, 2), 7, dtype)
    assert net.predict(X, out) is out
    assert out.tobytes() == net(X).tobytes()
    one = np.zeros(2, dtype)
    assert net.predict(X[3], out=one) is one
    assert one.tobytes() == out[3].tobytes()
    none = np.zeros((0, 2), dtype)
    assert net.predict(np.ones((0, 3)), none) is none


def test_out_is_refused(dtype, unchanged):
    net = small_net(dtype, ("tanh", "identity"), (2, 4, 2))
    other = "float64" if dtype == "float32" else "float32"
    X = np.ones((4, 2), dtype)
    big = np.ones((8, 2), dtype)
    frozen = np.ones((4, 2), dtype)
    frozen.flags.writeable = False
    cases = [
        ([[0, 0]], X, "out must be a numpy.ndarray"),
        (np.ones((4, 2), other), X, "out must have dtype"),
        (np.ones((3, 2), dtype), X, "out must have shape"),
        (np.ones(2, dtype), X, "out must have shape"),
        (np.ones((1, 2), dtype), X[0], r"out must have shape \(2,\)"),
        (frozen, X, "out must be writable"),
        (big[::2], X, "out must be C-contiguous"),
        (X, X, "out must not share memory with X"),
        (big[2:6], big[:4], "out must not share memory with X"),
        (net.theta[:8].reshape(4, 2), X, "out must not share memory with the parameters"),
        # X is converted, and still its memory is not to be written.
        (big[:4], big[3::-1], "out must not share memory with X"),
        # A good out, and a bad X: nothing is written either.
        (np.ones((4, 2), dtype), X * np.nan, "X must be finite"),
    ]
    for out, x, words in cases:
        with unchanged(net), pytest.raises((ValueError, TypeError), match=words):
            net.predict(x, out)
        if isinstance(out, np.ndarray) and out.base is None:
            assert (out == 1).all()
    assert (big == 1).all()
    assert (X == 1).all()


# ------------------------------------------------------------------------------------- bad input

CALLS = {
    "call": lambda net, X, Y: net(X),
    "predict": lambda net, X, Y: net.predict(X),
    "cost": lambda net, X, Y: net.cost(X, Y),
    "gradient": lambda net, X, Y: net.gradient(X, Y),
    "trace": lambda net, X, Y: net.trace(X, Y),
    "fit": lambda net, X, Y: net.fit(X, Y, epochs=2),
    "step": lambda net, X, Y: cr.Trainer(net).step(X, Y),
    "Scaling.fit": lambda net, X, Y: cr.Scaling.fit(X, Y),
}
NEED_Y = [name for name in CALLS if name not in {"call", "predict"}]


def with_element(value):
    x = np.ones((6, 3))
    x[4, 1] = value
    return x


BAD_X = {
    "ragged": ([[1, 2, 3], [1, 2]], ValueError, "X is ragged: row 1"),
    "object": (np.ones((6, 3), object), TypeError, "X has object dtype"),
    "str": (np.full((6, 3), "1"), TypeError, "X must hold numbers"),
    "dates": (np.zeros((6, 3), "M8[s]"), TypeError, "X must hold numbers"),
    "struct": (np.zeros((6, 3), "f4,i2"), TypeError, "X must hold numbers"),
    "complex": (np.ones((6, 3), complex), ValueError, "Complex data not supported: X"),
    "0-D": (np.float64(3), ValueError, r"X: expected 2-D, got shape \(\)"),
    "1-D": (np.ones(6), ValueError, r"X: expected 2-D, got shape \(6,\).*reshape"),
    "3-D": (np.ones((6, 3, 1)), ValueError, "X: expected 2-D"),
    "no columns": (np.ones((6, 0)), ValueError, r"X has 0 feature\(s\)"),
    "nan": (with_element(np.nan), ValueError, r"X must be finite, got nan at \(4, 1\)"),
    "inf": (with_element(np.inf), ValueError, r"X must be finite, got inf at \(4, 1\)"),
    "-inf": (with_element(-np.inf), ValueError, r"X must be finite, got -inf at \(4, 1\)"),
    "None": (None, TypeError, "X has object dtype"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("case", BAD_X)
def test_bad_X(case, call, dtype, unchanged):
    X, kind, words = BAD_X[case]
    net = small_net(dtype)
    with unchanged(net), pytest.raises(kind, match=words):
        CALLS[call](net, X, np.ones((6, 2)))


@pytest.mark.parametrize("call", [name for name in CALLS if name != "Scaling.fit"])
def test_another_number_of_features(call, dtype, unchanged):
    net = small_net(dtype)
    words = "X has 2 features, but Network is expecting 3 features as input"
    with unchanged(net), pytest.raises(ValueError, match=words):
        CALLS[call](net, np.ones((6, 2)), np.ones((6, 2)))


@pytest.mark.parametrize("call", [name for name in CALLS if name != "Scaling.fit"])
def test_beyond_float32(call, unchanged):
    net = small_net("float32")
    X = with_element(3e39)
    with (
        unchanged(net),
        pytest.raises(ValueError, match=r"X at \(4, 1\) .* is 3e\+39"),
    ):
        CALLS[call](net, X, np.ones((6, 2)))
    if call in NEED_Y:
        with (
            unchanged(net),
            pytest.raises(ValueError, match=r"Y at \(0, 1\) .* is -4"),
        ):
            CALLS[call](net, np.ones((1, 3)), [[0, -4e40]])


@pytest.mark.parametrize("call", NEED_Y)
@pytest.mark.parametrize(
    ("Y", "kind", "words"),
    [
        (np.ones((5, 2)), ValueError, "Y has 5 rows, but X has 6 rows"),
        (np.ones((0, 2)), ValueError, r"Y has 0 sample\(s\)"),
        (np.ones((6, 2, 1)), ValueError, "Y: expected 2-D"),
        (np.full((6, 2), np.nan), ValueError, r"Y must be finite, got nan at \(0, 0\)"),
        (np.full((6, 2), 1j), ValueError, "Complex data not supported: Y"),
        (np.full((6, 2), "a"), TypeError, "Y must hold numbers"),
        (np.full((6, 2), None), ValueError, "Y: column 0 has 6 missing value"),
        ([[1, 2]] * 5 + [[1]], ValueError, "Y is ragged: row 5"),
    ],
)
def test_bad_Y(Y, kind, words, call, dtype, unchanged):
    net = small_net(dtype)
    with unchanged(net), pytest.raises(kind, match=words):
        CALLS[call](net, np.ones((6, 3)), Y)


@pytest.mark.parametrize("call", [name for name in NEED_Y if name != "Scaling.fit"])
def test_Y_of_another_width(call, dtype, unchanged):
    net = small_net(dtype)
    for Y, words in (
        (np.ones((6, 3)), "Y has 3 columns, but Network is expecting 2 columns as output"),
        (np.ones(6), r"Y: expected 2-D, got shape \(6,\)"),
    ):
        with unchanged(net), pytest.raises(ValueError, match=words):
            CALLS[call](net, np.ones((6, 3)), Y)


@pytest.mark.parametrize("call", NEED_Y)
def test_zero_rows(call, dtype, unchanged):
    net = small_net(dtype)
    with unchanged(net), pytest.raises(ValueError, match=r"X has 0 sample\(s\)"):
        CALLS[call](net, np.ones((0, 3)), np.ones((0, 2)))


@pytest.mark.parametrize("call", [name for name in NEED_Y if name not in ("Scaling.fit", "trace")])
def test_one_sample_is_for_predict_and_trace_alone(call, dtype, unchanged):
    net = small_net(dtype)
    with unchanged(net), pytest.raises(ValueError, match=r"X: expected 2-D, got shape \(3,\)"):
        CALLS[call](net, np.ones(3), np.ones((1, 2)))


@pytest.mark.parametrize("method", ["cost", "gradient", "trace", "fit"])
def test_unknown_loss(method, dtype, unchanged):
    net = small_net(dtype)
    X, Y = small_data(dtype)
    with (
        unchanged(net),
        pytest.raises(ValueError, match=r"loss must be one of mse, mae.*'hinge'"),
    ):
        getattr(net, method)(X, Y, loss="hinge")
    with unchanged(net), pytest.raises(TypeError, match="loss must be a str"):
        getattr(net, method)(X, Y, loss=None)


def test_overflow_inside_is_not_silent(dtype, unchanged):
    net = small_net(dtype, ("relu", "identity"), (3, 4, 2))
    net.W[1] = np.full((4, 3), 100)
    net.W[2] = np.full((2, 4), 0.01)
    big = float(np.finfo(dtype).max) / 10
    X = np.ones((6, 3))
    X[2] = big
    with unchanged(net), pytest.raises(cr.DivergedError, match=r"at \(2, 0\) .*layer 1 overflows"):
        net(X)
    net.W[1] = np.full((4, 3), 0.1)
    net.W[2] = np.full((2, 4), 100)
    with pytest.raises(cr.DivergedError, match="layer 2 overflows"):
        net.predict(X[2])
    with pytest.raises(cr.DivergedError, match="the cost is not finite"):
        net.cost(X, np.ones((6, 2)))
    with pytest.raises(cr.DivergedError, match="the cost is not finite"):
        net.gradient(X, np.ones((6, 2)))
    assert not math.isfinite(net.trace(X, np.ones((6, 2))).cost)


def test_a_gradient_that_overflows_alone(dtype, unchanged):
    """a = W2 W1 X is moderate, dC/dW1 = 2 a W2 X is not."""
    net = small_net(dtype, ("identity", "identity"), (1, 1, 1))
    big = float(np.finfo(dtype).max)
    net.W[1], net.W[2] = [[big**-0.9]], [[big**0.6]]
    net.b[1], net.b[2] = [0], [0]
    X, Y = np.full((1, 1), big**0.6, dtype), np.zeros((1, 1), dtype)
    assert math.isfinite(net.cost(X, Y))
    with unchanged(net), pytest.raises(cr.DivergedError, match="the gradient is not finite"):
        net.gradient(X, Y)


# --------------------------------------------------------------------------------------- scaling


def scaled_net(dtype):
    net = small_net(dtype)
    X, Y = small_data(dtype, m=20)
    X, Y = X * 50 + 1000, Y * 0.01 - 5
    net.scaling = cr.Scaling.fit(X, Y)
    return net, X, Y


def test_scaling_fit():
    X = np.array([[1.0, 5], [3, 5]])
    scaling = cr.Scaling.fit(X, [10, 30])
    assert scaling.x_mean.tolist() == [2, 5]
    assert scaling.x_scale.tolist() == [1, 1]  # a constant column keeps its scale
    assert scaling.y_mean.tolist() == [20]
    assert scaling.y_scale.tolist() == [10]
    assert scaling.standardise_x(X).tolist() == [[-1, 0], [1, 0]]
    assert scaling.restore_y(scaling.standardise_y(np.array([[30.0]]))).tolist() == [[30]]
    assert scaling == cr.Scaling([2, 5], [1, 1], [20], [10])
    assert scaling != cr.Scaling([2, 5], [1, 2], [20], [10])
    assert scaling != 3
    odd = cr.Scaling([0], [49], [0], [1])
    assert odd.standardise_x(np.array([[49.0]])).tolist() == [[1]]
    constant = cr.Scaling.fit(np.full((7, 1), 0.1), np.zeros(7))
    assert (constant.x_mean[0], constant.x_scale[0]) == (0.1, 1)
    assert (constant.y_mean[0], constant.y_scale[0]) == (0, 1)


@pytest.mark.parametrize("size", [1e300, 1e-300, 1e-310])
def test_scaling_of_extreme_columns(size):
    X = np.array([[1.0], [2], [3]]) * size
    scaling = cr.Scaling.fit(X, X)
    assert scaling.x_mean[0] == pytest.approx(2 * size, rel=1e-12)
    assert scaling.x_scale[0] == pytest.approx(size * math.sqrt(2 / 3), rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([[1]], [1], [1], [1]), "x_mean: expected 1-D"),
        (([1], [1, 2], [1], [1]), r"x_mean has shape \(1,\) and x_scale has shape \(2,\)"),
        (([1], [1], [1, 2], [1, 0]), "y_scale must be above 0, got 0.0 at index 1"),
        (([1], [-1], [1], [1]), "x_scale must be above 0"),
        (([1], [1], [np.nan], [1]), "y_mean must be finite"),
        (([], [], [1], [1]), "x_mean has 0"),
    ],
)
def test_bad_scaling(arguments, words):
    with pytest.raises(ValueError, match=words):
        cr.Scaling(*arguments)


def test_scaling_is_frozen_and_copied():
    mean = np.array([1.0])
    scaling = cr.Scaling(mean, [1], [1], [1])
    mean[0] = 7
    assert scaling.x_mean[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        scaling.x_mean[0] = 3
    with pytest.raises(AttributeError):
        scaling.x_mean = mean
    with pytest.raises(TypeError, match="unhashable"):
        hash(scaling)


def test_scaling_of_another_size_is_refused(unchanged):
    net = small_net()
    with unchanged(net), pytest.raises(ValueError, match="scaling is for 1 inputs and 2 outputs"):
        net.scaling = cr.Scaling([1], [1], [1, 2], [1, 2])
    with unchanged(net), pytest.raises(TypeError, match="scaling must be a Scaling or None"):
        net.scaling = ([1], [1])


def test_scaling_maps_in_and_out(dtype):
    net, X, Y = scaled_net(dtype)
    inside, s = net.copy(), net.scaling
    inside.scaling = None
    x, y = s.standardise_x(X).astype(dtype), s.standardise_y(Y).astype(dtype)
    assert np.abs(x.mean(axis=0)).max() < 1e-4
    assert x.std(axis=0) == pytest.approx(np.ones(3), rel=1e-4)
    assert net(X).dtype == dtype
    assert net(X).tobytes() == s.restore_y(inside(x)).astype(dtype).tobytes()
    assert net(X[4]).tobytes() == net(X)[4].tobytes()
    out = np.empty((20, 2), dtype)
    assert net.predict(X, out).tobytes() == net(X).tobytes()
    assert net(np.ones((0, 3))).shape == (0, 2)
    assert net.cost(X, Y) == inside.cost(x, y)
    assert net.gradient(X, Y).theta.tobytes() == inside.gradient(x, y).theta.tobytes()
    assert net.trace(X, Y).a[0].tobytes() == x.tobytes()
    assert cr.Trainer(net).step(X, Y) == cr.Trainer(inside).step(x, y)
    assert net.fit(X, Y, epochs=3).cost == inside.fit(x, y, epochs=3).cost
    assert net.theta.tobytes() == inside.theta.tobytes()
    net.scaling = None
    assert net.scaling is None


def test_scaling_and_bad_input(dtype, unchanged):
    net, X, Y = scaled_net(dtype)
    X[3, 1] = np.nan
    with unchanged(net), pytest.raises(ValueError, match=r"X must be finite, got nan at \(3, 1\)"):
        net.fit(X, Y)
    net.scaling = cr.Scaling([0] * 3, [1e-300] * 3, [0] * 2, [1] * 2)
    with unchanged(net), pytest.raises(ValueError, match=r"X \(scaled\) .* at \(0, 0\)"):
        net(np.full((1, 3), 1e30))
    net.scaling = cr.Scaling([0] * 3, [1] * 3, [0] * 2, [1e308] * 2)
    net.b[2] = [10, 10]
    with unchanged(net), pytest.raises(cr.DivergedError, match="the map back to the user's units"):
        net(np.zeros((1, 3)))


def test_float64_values_reach_a_scaled_float32_net():
    """1e9 and 1e9 + 1 are one number in float32; the scaling sees them as they are."""
    X = np.array([[1e9], [1e9 + 1]])
    net = cr.Network([cr.Dense(1)], n_inputs=1)
    net.W[1] = [[1]]
    net.scaling = cr.Scaling.fit(X, X)
    assert net.trace(X, X).a[0].tolist() == [[-1], [1]]
    assert net.cost(X, X) == 0
    big = cr.Scaling([0], [1e39], [0], [1])
    net.scaling = big
    assert net([[2e39]]).tolist() == [[2]]


# ---------------------------------------------------------------------------------------- copies


def test_copy(dtype):
    net, X, Y = scaled_net(dtype)
    net.metadata = {"columns": ["a", "b"]}
    for twin in (net.copy(), copy.copy(net), copy.deepcopy(net)):
        assert repr(twin) == repr(net)
        assert twin.theta.tobytes() == net.theta.tobytes()
        assert not np.shares_memory(twin.theta, net.theta)
        assert twin.scaling == net.scaling
        assert twin.metadata == net.metadata
        twin.metadata["columns"].append("c")
        assert net.metadata == {"columns": ["a", "b"]}
        twin.fit(X, Y, epochs=1)
        assert twin.theta.tobytes() != net.theta.tobytes()


def test_copy_to_another_dtype():
    net = small_net("float64")
    net.theta[0] = 1 / 3
    single = net.copy(dtype="float32")
    assert single.dtype == "float32"
    assert np.array_equal(single.theta, net.theta.astype("float32"))
    double = single.copy("float64")
    assert np.array_equal(double.theta, single.theta.astype("float64"))
    net.theta[3] = 1e300
    with pytest.raises(ValueError, match="beyond the largest float32"):
        net.copy("float32")
    with pytest.raises(ValueError, match="dtype must be one of"):
        net.copy("float16")


def test_metadata_is_a_dict():
    net = small_net()
    assert net.metadata == {}
    net.metadata["note"] = 1
    assert net.metadata == {"note": 1}
    with pytest.raises(TypeError, match="metadata must be a dict, got list"):
        net.metadata = []
    assert net.metadata == {"note": 1}
