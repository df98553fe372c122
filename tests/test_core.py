"""The compiled core through Python: against the reference, and bit for bit against itself.

The C++ tests look at every kernel; these look at what a user of the package sees.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import _core, reference

ACTIVATIONS = tuple(reference.ACTIVATIONS)
SHAPES = [(1, 1), (2, 16, 16, 1), (8, 32, 32, 1), (17, 64, 64, 6), (33, 31, 129, 2), (40, 300, 1)]
DETECTED = list(_core.build_info()["isas_detected"])
FUSED = [isa for isa in DETECTED if isa != "baseline"]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    isa, threads = _core.get_isa(), _core.get_num_threads()
    yield
    _core.set_isa(isa)
    cr.set_num_threads(threads)


def network(
    widths: tuple[int, ...], activation: str, dtype: str, last: str = "identity"
) -> cr.Network:
    hidden = [cr.Dense(n, activation) for n in widths[1:-1]]
    return cr.Network([*hidden, cr.Dense(widths[-1], last)], widths[0], dtype=dtype, seed=1)


def data(
    widths: tuple[int, ...], m: int, dtype: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    random = np.random.default_rng(m)
    X = random.normal(size=(m, widths[0])).astype(dtype)
    Y = random.normal(size=(m, widths[-1])).astype(dtype)
    return X, Y


def parameters(net: cr.Network) -> tuple[list[NDArray[np.float64] | None], ...]:
    W = [None, *(np.asarray(w, np.float64) for w in net.W)]
    b = [None, *(np.asarray(v, np.float64) for v in net.b)]
    return W, b


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("widths", SHAPES, ids=str)
def test_the_core_equals_the_reference(
    widths: tuple[int, ...], activation: str, dtype: str, isa: str
) -> None:
    net = network(widths, activation, dtype, last=activation)
    rtol = 1e-12 if dtype == "float64" else 2e-5
    W, b = parameters(net)
    names = [layer.activation for layer in net.layers]
    for m in (1, 7, 130):
        X, Y = data(widths, m, dtype)
        _, a = reference.forward(W, b, names, X.astype(np.float64))
        cost, dW, db = reference.gradient(W, b, names, X.astype(np.float64), Y.astype(np.float64))
        g = net.gradient(X, Y)
        np.testing.assert_allclose(net(X), a[-1], rtol=rtol, atol=rtol)
        np.testing.assert_allclose([net.cost(X, Y), g.cost], cost, rtol=rtol)
        scale = max(np.abs(v).max() for v in (*dW[1:], *db[1:]))
        for l in range(1, net.L + 1):
            np.testing.assert_allclose(g.dW[l], dW[l], rtol=rtol, atol=rtol * scale)
            np.testing.assert_allclose(g.db[l], db[l], rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_core_equals_finite_differences(activation: str, isa: str) -> None:
    net = network((5, 9, 8, 2), activation, "float64")
    X, Y = data((5, 9, 8, 2), 17, "float64")
    g = net.gradient(X, Y).theta.copy()
    for p in range(net.theta.size):
        kept = net.theta[p]
        h = 6.06e-6 * max(1.0, abs(kept))
        net.theta[p] = kept + h
        above = net.cost(X, Y)
        net.theta[p] = kept - h
        below = net.cost(X, Y)
        net.theta[p] = kept
        assert (above - below) / (2 * h) == pytest.approx(g[p], rel=1e-6, abs=1e-8)


def fingerprint(widths: tuple[int, ...], activation: str, dtype: str) -> str:
    """SHA-256 over everything that has to have the same bits."""
    net = network(widths, activation, dtype)
    X, Y = data(widths, 700, dtype)
    digest = hashlib.sha256()
    trace = net.trace(X[:200], Y[:200])
    digest.update(net.gradient(X, Y).theta.tobytes())
    digest.update(b"".join(d.tobytes() for d in trace.delta))
    history = net.fit(X, Y, epochs=3, batch_size=300, optimizer=cr.SGD(0.05, momentum=0.9))
    digest.update(net.theta.tobytes() + net(X).tobytes() + repr(history.cost).encode())
    return digest.hexdigest()


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("widths", [(17, 64, 64, 6), (33, 31, 129, 2)], ids=str)
def test_same_bits_for_any_threads_and_instruction_set(
    widths: tuple[int, ...], activation: str, dtype: str
) -> None:
    if not FUSED:
        pytest.skip("this CPU has no fused multiply-add: the baseline is exempt across sets")
    prints = {}
    for isa in FUSED:
        cr.set_isa(isa)
        for threads in (1, 2, 3, 16):
            cr.set_num_threads(threads)
            prints[isa, threads] = fingerprint(widths, activation, dtype)
    assert len(set(prints.values())) == 1, prints


def test_same_bits_for_any_split_of_a_prediction(dtype: str, isa: str) -> None:
    for widths in SHAPES:
        net = network(widths, "silu", dtype)
        X, _ = data(widths, 150, dtype)
        whole = net(X)
        for step in (1, 7, 31, 33):
            parts = [net(X[i : i + step]) for i in range(0, len(X), step)]
            assert np.concatenate(parts).tobytes() == whole.tobytes(), (widths, step)
        assert net(X[3]).tobytes() == whole[3].tobytes()


def test_same_bits_for_any_layout_and_alignment(dtype: str, isa: str) -> None:
    net = network((17, 64, 6), "tanh", dtype)
    X, Y = data((17, 64, 6), 65, dtype)
    expected = (net(X).tobytes(), net.gradient(X, Y).theta.tobytes())
    shifted = np.empty(X.nbytes + 1, np.uint8)[1:].view(np.uint8)
    shifted[:] = np.frombuffer(X.tobytes(), np.uint8)
    wide = np.zeros((65, 40), dtype)
    wide[:, 3:37:2] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    for other in (
        np.asfortranarray(X),
        wide[:, 3:37:2],
        X[::-1][::-1],
        X.astype(X.dtype.newbyteorder(">")),
        np.frombuffer(shifted, X.dtype).reshape(X.shape),
        read_only,
    ):
        assert (net(other).tobytes(), net.gradient(other, Y).theta.tobytes()) == expected


def test_both_sides_of_the_thread_threshold_have_the_same_bits() -> None:
    # Whether two threads are used is decided by the work (tests/cpp/test_parallel.cpp).
    net = network((8, 32, 32, 1), "relu", "float32")
    for m in (8, 40_000):
        X, Y = data((8, 32, 32, 1), m, "float32")
        cr.set_num_threads(1)
        one = net.gradient(X, Y).theta.tobytes()
        cr.set_num_threads(2)
        assert net.gradient(X, Y).theta.tobytes() == one


def test_the_forced_instruction_set_is_the_one_in_use(isa: str) -> None:
    assert _core.get_isa() == isa
    assert cr.info()["isa"] == isa


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", DETECTED)
def test_the_environment_forces_an_instruction_set(name: str) -> None:
    done = run_python("import chainrule as cr; print(cr.info()['isa'])", CHAINRULE_ISA=name)
    assert done.stdout.strip() == name, done.stderr


def test_an_instruction_set_that_is_not_there_is_an_error() -> None:
    code = (
        "import chainrule as cr, numpy as np\n"
        "net = cr.Network([cr.Dense(1)], n_inputs=1)\n"
        "net(np.zeros((1, 1)))\n"
    )
    done = run_python(code, CHAINRULE_ISA="sse9")
    assert done.returncode == 1
    assert "sse9" in done.stderr
    assert "baseline" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("ValueError")


def test_omp_num_threads_and_threadpoolctl_are_obeyed() -> None:
    done = run_python("import chainrule as cr; print(cr.get_num_threads())", OMP_NUM_THREADS="3")
    assert done.stdout.strip() == "3", done.stderr
    code = (
        "import chainrule as cr\nfrom threadpoolctl import threadpool_limits\n"
        "with threadpool_limits(1):\n    print(cr.get_num_threads())\n"
    )
    done = run_python(code, OMP_NUM_THREADS="3")
    assert done.stdout.strip() == "1", done.stderr


def train_in_child(queue: multiprocessing.Queue[str]) -> None:
    cr.set_num_threads(2)
    queue.put(fingerprint((17, 64, 64, 6), "tanh", "float32"))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, where a test loaded it
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_trains_too(method: str) -> None:
    cr.set_num_threads(2)
    here = fingerprint((17, 64, 64, 6), "tanh", "float32")  # the parent has used its threads
    if method == "spawn":
        code = (
            "import importlib.util, sys\n"
            f"spec = importlib.util.spec_from_file_location('test_core', {__file__!r})\n"
            "module = importlib.util.module_from_spec(spec)\n"
            "spec.loader.exec_module(module)\n"
            "print(module.fingerprint((17, 64, 64, 6), 'tanh', 'float32'))\n"
        )
        assert run_python(code).stdout.strip() == here
        return
    context = multiprocessing.get_context(method)
    queue: multiprocessing.Queue[str] = context.Queue()
    child = context.Process(target=train_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=30) == here
    child.join(10)
    assert child.exitcode == 0


def test_ctrl_c_ends_a_fit_at_the_last_finished_step() -> None:
    net = network((20, 200, 200, 1), "tanh", "float32")
    X, Y = data((20, 200, 200, 1), 5000, "float32")
    pressed = []

    def press() -> None:
        time.sleep(0.3)
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=10**6, optimizer=cr.SGD(1e-4))
    waited = time.perf_counter() - pressed[0]
    thread.join()
    assert waited < 2.0  # 0.2 s is the promise; the machine of a test may be busy
    assert np.isfinite(net.theta).all()
    net.fit(X, Y, epochs=1)  # the network is free again


def test_one_network_predicts_from_many_threads_and_is_trained_by_one() -> None:
    net = network((8, 32, 32, 1), "relu", "float32")
    X, Y = data((8, 32, 32, 1), 300, "float32")
    expected = net(X).tobytes()
    wrong: list[int] = []

    def predict(k: int) -> None:
        wrong.extend(k for _ in range(50) if net(X).tobytes() != expected)

    threads = [threading.Thread(target=predict, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

    def again(net: cr.Network, _history: cr.History) -> None:
        net.fit(X, Y, epochs=1)

    with pytest.raises(RuntimeError, match="being trained"):
        net.fit(X, Y, epochs=2, callbacks=[again])
    net.fit(X, Y, epochs=1)


def test_importing_leaves_the_floating_point_state_alone() -> None:
    code = (
        "import numpy as np, chainrule as cr\n"
        "net = cr.Network([cr.Dense(4, 'tanh'), cr.Dense(1)], n_inputs=2)\n"
        "net.fit(np.ones((9, 2)), np.ones(9), epochs=2)\n"
        "tiny = np.array([5e-324])\n"
        "assert (tiny / 1 != 0).all() and np.float32(1e-45) / np.float32(1) != 0\n"
        "print('denormals live')\n"
    )
    done = run_python(code)
    assert done.stdout.strip() == "denormals live", done.stderr
