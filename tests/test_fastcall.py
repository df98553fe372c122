"""The calls without a detour, against the careful ones: the same answers and the same errors."""

from __future__ import annotations

import gc
import pickle
import sys
import threading
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core

M = 3  # rows of the cases


class Child(np.ndarray):
    pass


def make_net(dtype, n=(3, 4, 2), activation="tanh"):
    layers = [*(cr.Dense(k, activation) for k in n[1:-1]), cr.Dense(n[-1])]
    return cr.Network(layers, n[0], dtype=dtype, seed=5)


def numbers(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def misaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:]
    raw[:] = np.frombuffer(x.tobytes(), np.uint8)
    return raw.view(x.dtype).reshape(x.shape)


def read_only(x):
    x.flags.writeable = False
    return x


def with_element(x, value):
    x.flat[x.size - 1] = value
    return x


def strided(x):
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), 9, x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def as_matrix_class(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.matrix(x)


def other_type(x):
    return x.astype("float64" if x.dtype == "float32" else "float32")


# What becomes of a good array, and whether the core takes it as it is: for every argument.
FORMS = {
    "as it is": (lambda x: x, True),
    "read-only": (read_only, True),
    "a view": (lambda x: np.concatenate([x, x])[: len(x)], True),
    "of other strides for one row": (lambda x: x[:, None][:, 0] if x.ndim == 1 else x, True),
    "largest": (lambda x: with_element(x, np.finfo(x.dtype).max / 1e9), True),
    "subnormal": (lambda x: with_element(x, np.finfo(x.dtype).smallest_subnormal), True),
    "unpickled": (lambda x: pickle.loads(pickle.dumps(x)), True),
    "-0": (lambda x: with_element(x, -0.0), True),
    "the other type": (other_type, False),
    "float16": (lambda x: x.astype("float16"), False),
    "long double": (lambda x: x.astype("longdouble"), False),
    "integers": (lambda x: (x * 10).astype(int), False),
    "large integers": (lambda x: np.full(x.shape, 2**60), False),
    "booleans": (lambda x: x > 0, False),
    "big-endian": (lambda x: x.astype(x.dtype.newbyteorder(">")), False),
    "misaligned": (misaligned, False),
    "strided": (strided, False),
    "subclass": (lambda x: x.view(Child), False),
    "matrix": (as_matrix_class, False),
    "masked, no mask": (np.ma.array, False),
    "masked": (lambda x: np.ma.array(x, mask=x > 0), False),
    "list": (lambda x: x.tolist(), False),
    "tuple": (lambda x: tuple(x.tolist()), False),
    "array of objects": (lambda x: x.astype(object), False),
    "strings": (lambda x: x.astype(str), False),
    "complex": (lambda x: x.astype(complex), False),
    "records": (lambda x: np.zeros(x.shape, "f4,i2"), False),
    "nan": (lambda x: with_element(x, np.nan), False),
    "inf": (lambda x: with_element(x, np.inf), False),
    "-inf": (lambda x: with_element(x, -np.inf), False),
    "3-D": (lambda x: x[..., None], False),
    "0-D": (lambda x: x.flat[0], False),
    "0-D array": (lambda x: x.flat[:1].reshape(()), False),
    "one column more": (lambda x: np.concatenate([x, x[..., :1]], -1), False),
    "one column less": (lambda x: x[..., :-1].copy(), False),
    "no columns": (lambda x: x[..., :0].copy(), False),
    "None": (lambda x: None, False),
    "str": (lambda x: "X", False),
    "dict": (lambda x: {"X": x}, False),
}
MATRIX_FORMS = {
    "Fortran order": (np.asfortranarray, False),
    "backwards": (lambda x: x[::-1], False),
    "every second row": (lambda x: np.repeat(x, 2, axis=0)[::2], False),
    "rows all the same": (lambda x: np.broadcast_to(x[0], x.shape), False),
    "no rows": (lambda x: x[:0], False),
    "ragged": (lambda x: [*x.tolist()[:-1], [1.0]], False),
}


ALL_FORMS = {**FORMS, **MATRIX_FORMS}
CASES = [(form, rows) for rows in (1, M) for form in ALL_FORMS] + [(form, None) for form in FORMS]


def case_id(value):
    return "one sample" if value is None else str(value)


def told(call, *arguments):
    """What a call says, and what it leaves in the arrays among its arguments: comparable."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = call(*arguments)
        except Exception as error:
            said = (type(error), str(error), repr(getattr(error, "__dict__", None)))
        else:
            array = np.asarray(value)
            said = (type(value), array.dtype, array.shape, array.tobytes())
    left = [repr(a.tolist()) for a in arguments if isinstance(a, np.ndarray)]
    return said, left, [str(warning.message) for warning in caught]


def refused(answer):
    return issubclass(answer[0][0], Exception)


@pytest.mark.parametrize(("form", "rows"), CASES, ids=case_id)
def test_predict_takes_any_X_like_the_careful_call(form, rows, dtype, unchanged):
    change, exact = ALL_FORMS[form]
    net = make_net(dtype)
    shape = (3,) if rows is None else (rows, 3)

    def X():
        return change(numbers(shape, dtype))

    if rows != 1 or form not in MATRIX_FORMS:
        assert (net._engine.try_predict(X(), None) is not None) == exact
    with unchanged(net):
        expected = told(net._careful_predict, X())
        assert told(net.predict, X()) == expected
        assert told(net, X()) == expected
        out, twin = (np.full((*shape[:-1], 2), 7, dtype) for _ in range(2))
        expected = told(net._careful_predict, X(), twin)
        assert told(net.predict, X(), out) == expected


@pytest.mark.parametrize(("form", "rows"), CASES, ids=case_id)
def test_predict_takes_any_out_like_the_careful_call(form, rows, dtype, unchanged):
    change, _ = ALL_FORMS[form]
    net = make_net(dtype)
    X = numbers((3,) if rows is None else (rows, 3), dtype)
    out, twin = (change(numbers((*X.shape[:-1], 2), dtype)) for _ in range(2))
    with unchanged(net):
        expected = told(net._careful_predict, X, twin)
        assert told(net.predict, X, out) == expected
    if out is not None and not refused(expected):
        assert net.predict(X, out=out) is out


def test_predict_with_any_number_of_dimensions_of_X_and_out(dtype):
    net = make_net(dtype)
    for x in ((3,), (1, 3), (2, 3), (1, 1, 3), (0, 3), (2,), (6,), (1, 2)):
        for y in ((2,), (1, 2), (2, 2), (1, 1, 2), (0, 2), (3,), (4,), (2, 1)):
            X = numbers(x, dtype)
            out, twin = np.full(y, 7, dtype), np.full(y, 7, dtype)
            expected = told(net._careful_predict, X, twin)
            assert told(net.predict, X, out) == expected, (x, y)


def test_out_that_shares_memory_is_refused_like_by_the_careful_call(dtype, unchanged):
    net = make_net(dtype, (2, 4, 2))
    memory = np.ones(40, dtype)
    theta = net.theta
    cases = [(memory[:8], memory[i : i + 8]) for i in range(9)]
    cases += [(memory[i : i + 8], memory[:8]) for i in range(9)]
    cases += [(memory[:8], theta[:8]), (memory[:8], theta[-8:]), (theta[:8], memory[:8])]
    for x, y in cases:
        X, out = x.reshape(4, 2), y.reshape(4, 2)
        kept = memory.copy()
        overlap = np.may_share_memory(X, out) or np.may_share_memory(out, theta)
        with unchanged(net):
            assert (net._engine.try_predict(X, out) is None) == overlap
            memory[:] = kept
            expected = told(net._careful_predict, X, out), memory.tobytes()
            memory[:] = kept
            assert (told(net.predict, X, out), memory.tobytes()) == expected
        memory[:] = kept
    # The first byte behind the parameters is nobody's.
    assert net._engine.try_predict(theta[:2], np.zeros(2, dtype)) is not None


def test_an_output_that_overflows_is_told_like_by_the_careful_call(dtype):
    net = make_net(dtype, activation="relu")
    net.b[2][:] = np.finfo(dtype).max
    net.W[2] = np.full((2, 4), np.finfo(dtype).max)
    net.b[1][:] = 2
    for X in (numbers(3, dtype), numbers((1, 3), dtype), numbers((M, 3), dtype)):
        out, twin = (np.zeros((*X.shape[:-1], 2), dtype) for _ in range(2))
        expected = told(net._careful_predict, X, twin)
        assert expected[0][0] is cr.DivergedError
        assert told(net.predict, X, out) == expected
        assert np.isinf(out).all()
        assert told(net, X)[0] == expected[0]
    net.theta[:] = np.nan
    assert told(net, X) == told(net._careful_predict, X)


def test_a_scaling_is_obeyed(dtype):
    net = make_net(dtype)
    X, Y = numbers((M, 3), dtype), numbers((M, 2), dtype)
    plain = net(X)
    trainer, twin = cr.Trainer(net), cr.Trainer(net.copy())
    for each in (net, twin.net):
        each.scaling = cr.Scaling([1, 2, 3], [2, 2, 2], [5, 5], [9, 9])
    assert net(X).tobytes() == net._careful_predict(X).tobytes()
    assert not np.allclose(net(X), plain)
    assert trainer.step(X, Y) == twin._careful_step(X, Y)
    assert net.theta.tobytes() == twin.net.theta.tobytes()


@pytest.mark.parametrize("m", [1, 31, 32, 100, 3000])
@pytest.mark.parametrize("n", [(3, 4, 2), (17, 64, 64, 6), (40, 600, 1)], ids=str)
def test_same_bits_for_all_sizes(n, m, dtype):
    net = make_net(dtype, n)
    X, Y = numbers((m, n[0]), dtype), numbers((m, n[-1]), dtype, 1)
    assert net(X).tobytes() == net._careful_predict(X).tobytes()
    twin = net.copy()
    trainer, other = cr.Trainer(net, cr.SGD(0.01, 0.9)), cr.Trainer(twin, cr.SGD(0.01, 0.9))
    for _ in range(3):
        assert trainer.step(X, Y) == other._careful_step(X, Y)
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert trainer.velocity.tobytes() == other.velocity.tobytes()


def test_every_single_element_is_looked_at(dtype):
    net = make_net(dtype, (19, 3, 5))
    trainer = cr.Trainer(net, cr.SGD(1e-9))
    X, Y = numbers((2, 19), dtype), numbers((2, 5), dtype)
    for value in (np.nan, -np.nan, np.inf, -np.inf):
        for i in range(X.size):
            bad = X.copy()
            bad.flat[i] = value
            place = rf"X must be finite, got \S+ at \({i // 19}, {i % 19}\)"
            with pytest.raises(ValueError, match=place):
                net(bad)
            with pytest.raises(ValueError, match=place):
                trainer.step(bad, Y)
        for i in range(Y.size):
            bad = Y.copy()
            bad.flat[i] = value
            with pytest.raises(ValueError, match=rf"Y must .* at \({i // 5}, {i % 5}\)"):
                trainer.step(X, bad)


# ------------------------------------------------------------------------------------------- step


def pair_of_trainers(dtype, n=(3, 4, 2)):
    return tuple(cr.Trainer(make_net(dtype, n), cr.SGD(0.1, momentum=0.9)) for _ in range(2))


def compare_steps(trainers, X, Y):
    """Three steps of both trainers, that on X and Y in the middle."""
    one, two = trainers
    n = one.net.n
    good = (numbers((2, n[0])), numbers((2, n[-1])))
    assert one.step(*good) == two._careful_step(*good)
    states = [t.net.theta.tobytes() + t.velocity.tobytes() for t in trainers]
    expected = told(two._careful_step, X, Y)
    assert told(one.step, X, Y) == expected
    if refused(expected):
        after = [t.net.theta.tobytes() + t.velocity.tobytes() for t in trainers]
        assert after == states
    assert told(one.step, *good) == told(two._careful_step, *good)
    assert one.net.theta.tobytes() == two.net.theta.tobytes()
    assert one.velocity.tobytes() == two.velocity.tobytes()
    assert (one._steps, repr(one._cost)) == (two._steps, repr(two._cost))


@pytest.mark.parametrize("which", ["X", "Y"])
@pytest.mark.parametrize(("form", "rows"), CASES, ids=case_id)
def test_step_takes_any_argument_like_the_careful_call(form, which, rows, dtype):
    change, exact = ALL_FORMS[form]
    shape = () if rows is None else (rows,)

    def X():
        x = numbers((*shape, 3), dtype)
        return change(x) if which == "X" else x

    def Y():
        y = numbers((*shape, 2), dtype)
        return change(y) if which == "Y" else y

    compare_steps(pair_of_trainers(dtype), X(), Y())
    if rows is not None and (rows != 1 or form not in MATRIX_FORMS) and form != "largest":
        trainer = cr.Trainer(make_net(dtype))
        assert (trainer._engine.try_step(X(), Y()) is not None) == exact


@pytest.mark.parametrize("rows", [1, M])
@pytest.mark.parametrize("form", FORMS)
def test_step_with_one_output_takes_Y_in_one_dimension(form, rows, dtype):
    change, exact = FORMS[form]
    X = numbers((rows, 3), dtype)
    compare_steps(pair_of_trainers(dtype, (3, 4, 1)), X, change(numbers(rows, dtype)))
    trainer = cr.Trainer(make_net(dtype, (3, 4, 1)))
    if form not in {"largest", "strided", "3-D"}:  # which overflows, or is right for one element
        assert (trainer._engine.try_step(X, change(numbers(rows, dtype))) is not None) == exact


def test_step_with_any_number_of_dimensions_of_X_and_Y(dtype):
    for n in ((3, 4, 2), (3, 4, 1)):
        for x in ((3,), (1, 3), (2, 3), (1, 1, 3), (0, 3), (2,), (6,), (1, 2)):
            for y in ((1,), (2,), (1, 2), (2, 2), (1, 1), (2, 1), (1, 1, 2), (0, 2), (0,), (3,)):
                X, Y = numbers(x, dtype), numbers(y, dtype)
                compare_steps(pair_of_trainers(dtype, n), X, Y)


def test_a_step_on_views_of_the_parameters(dtype):
    trainers = pair_of_trainers(dtype)
    one, two = trainers
    Y = numbers((2, 2), dtype)
    X, theta = numbers((2, 3), dtype), one.net.theta
    assert one._engine.try_step(theta[:6].reshape(2, 3), Y) is None
    assert one._engine.try_step(X, theta[-4:].reshape(2, 2)) is None
    for _ in range(3):
        costs = [
            step(t.net.theta[:6].reshape(2, 3), t.net.theta[-4:].reshape(2, 2))
            for step, t in ((one.step, one), (two._careful_step, two))
        ]
        assert costs[0] == costs[1]
    assert one.net.theta.tobytes() == two.net.theta.tobytes()


def test_a_diverging_step_is_told_like_by_the_careful_call(dtype):
    trainers = pair_of_trainers(dtype)
    for trainer in trainers:
        trainer.net.b[2][:] = np.finfo(dtype).max / 4
    one, two = trainers
    X, Y = numbers((M, 3), dtype), numbers((M, 2), dtype)
    theta = one.net.theta.copy()
    expected = told(two._careful_step, X, Y)
    assert expected[0][0] is cr.DivergedError
    assert told(one.step, X, Y) == expected
    assert one._steps == 0
    assert np.array_equal(one.net.theta, theta)
    assert not one.velocity.any()


def test_a_step_while_the_network_is_trained_is_refused(dtype):
    net = make_net(dtype)
    X, Y = numbers((M, 3), dtype), numbers((M, 2), dtype)
    trainer = cr.Trainer(net)

    def callback(net, _):
        theta = net.theta.copy()
        assert trainer._engine.try_step(X, Y) is None
        with pytest.raises(RuntimeError, match="the network is being trained"):
            trainer.step(X, Y)
        assert np.array_equal(net.theta, theta)

    net.fit(X, Y, epochs=2, callbacks=[callback])
    assert trainer.step(X, Y) > 0


# ------------------------------------------------------------------- references, threads, the core


def test_the_core_says_None_to_a_wrong_number_of_arguments(dtype):
    net = make_net(dtype)
    engine, trainer = net._engine, cr.Trainer(net)._engine
    x = np.zeros(3, dtype)
    for call in (engine.try_predict, trainer.try_step):
        for arguments in ((), (x,), (x, x, x)):
            assert call(*arguments) is None
        with pytest.raises(TypeError):
            call(x, out=None)
    for call in (type(engine).try_predict, type(trainer).try_step):
        with pytest.raises(TypeError):
            call(x, x, None)


def test_nothing_is_leaked(dtype):
    net = make_net(dtype)
    trainer = cr.Trainer(net)
    X, Y, x, y = (numbers(s, dtype) for s in ((M, 3), (M, 2), 3, 2))
    bad = np.full(3, np.nan, dtype)

    def loop(times):
        for _ in range(times):
            net.predict(x, out=y)
            net(X)
            net(x)
            trainer.step(X, Y)
            net._engine.try_predict(bad, None)
            net._engine.try_predict(x, X)
            net._engine.try_predict(None, None)

    loop(100)
    gc.collect()
    counted = [X, Y, x, y, bad, X.dtype, np.ndarray, net, net._engine, trainer._engine]
    before = [sys.getrefcount(a) for a in counted]
    grown = []
    for _ in range(3):  # what others do in this process may disturb one of them
        nones, blocks = sys.getrefcount(None), sys.getallocatedblocks()
        loop(7_000)
        gc.collect()
        grown.append((abs(sys.getrefcount(None) - nones), sys.getallocatedblocks() - blocks))
    assert [sys.getrefcount(a) for a in counted] == before
    assert min(nones for nones, _ in grown) < 100, grown
    assert min(blocks for _, blocks in grown) < 200, grown


def test_the_answer_is_an_array_of_its_own(dtype):
    net = make_net(dtype)
    for X in (numbers(3, dtype), numbers((M, 3), dtype)):
        first, kept = net(X), net(X).tobytes()
        assert type(first) is np.ndarray
        assert first.flags.owndata
        assert first.flags.writeable
        assert first.flags.c_contiguous
        net(X + 1)
        assert first.tobytes() == kept


@pytest.mark.parametrize("m", [1, 3000], ids=["brief", "long"])
def test_threads_predict_while_one_trains_another_network(m, dtype):
    net, other = make_net(dtype, (17, 64, 64, 6)), make_net(dtype, (17, 64, 64, 6))
    X, Y = numbers((m, 17), dtype), numbers((m, 6), dtype)
    expected = net(X).tobytes()
    wrong = []

    def predict(times):
        out = np.empty((m, 6), dtype)
        for _ in range(times):
            answers = {net.predict(X, out=out).tobytes(), net(X).tobytes()}
            wrong.extend(answers - {expected})

    times = 3000 // m + 10
    threads = [threading.Thread(target=predict, args=(times,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    trainer = cr.Trainer(other, cr.SGD(1e-4))
    costs = [trainer.step(X, Y) for _ in range(times)]
    for thread in threads:
        thread.join()
    assert not wrong
    twin = cr.Trainer(make_net(dtype, (17, 64, 64, 6)), cr.SGD(1e-4))
    assert costs == [twin.step(X, Y) for _ in range(times)]


def test_both_cores_have_the_calls():
    for name in ("Network32", "Network64"):
        assert callable(getattr(_core, name).try_predict)
    for name in ("Trainer32", "Trainer64"):
        assert callable(getattr(_core, name).try_step)
