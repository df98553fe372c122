"""Trainer, fit, History: the numbers, how a training ends, and what a failing one leaves behind."""

from __future__ import annotations

import _thread
import csv
import json
import math
import threading
import time

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core, reference

RTOL = {"float32": 3e-5, "float64": 1e-11}


def make_net(dtype="float64", n=(3, 5, 2), activation="tanh", seed=0):
    layers = [cr.Dense(units, activation) for units in n[1:-1]]
    return cr.Network([*layers, cr.Dense(n[-1])], n_inputs=n[0], dtype=dtype, seed=seed)


def make_data(dtype="float64", m=23, n_in=3, n_out=2):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(m, n_in)).astype(dtype)
    return X, (X @ rng.normal(size=(n_in, n_out))).astype(dtype)


def reference_fit(net, X, Y, **arguments):
    """Train float64 copies of the parameters with the reference; costs, W and b."""
    W = [None, *(np.array(w, np.float64) for w in net.W)]
    b = [None, *(np.array(v, np.float64) for v in net.b)]
    names = [layer.activation for layer in net.layers]
    costs = reference.fit(W, b, names, X.astype(float), Y.astype(float), **arguments)
    return costs, W, b


def assert_close(net, W, b):
    for l in range(1, net.L + 1):
        np.testing.assert_allclose(net.W[l], W[l], rtol=RTOL[net.dtype], atol=RTOL[net.dtype])
        np.testing.assert_allclose(net.b[l], b[l], rtol=RTOL[net.dtype], atol=RTOL[net.dtype])


# ---------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize("momentum", [0, 0.9])
def test_steps_against_the_reference(momentum, dtype, isa):
    net = make_net(dtype)
    X, Y = make_data(dtype)
    costs, W, b = reference_fit(
        net, X, Y, epochs=5, batch_size=len(X), learning_rate=0.1, momentum=momentum
    )
    trainer = cr.Trainer(net, cr.SGD(0.1, momentum))
    assert [trainer.step(X, Y) for _ in range(5)] == pytest.approx(costs, rel=RTOL[dtype])
    assert_close(net, W, b)


@pytest.mark.parametrize("batch_size", [1, 4, 22, 23, 1000])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_fit_against_the_reference(batch_size, shuffle, momentum, dtype):
    net = make_net(dtype)
    X, Y = make_data(dtype)
    costs, W, b = reference_fit(
        net,
        X,
        Y,
        epochs=4,
        batch_size=batch_size,
        learning_rate=0.02,
        momentum=momentum,
        order=(lambda epoch: _core.permutation(7, epoch, len(X))) if shuffle else None,
    )
    history = net.fit(
        X,
        Y,
        epochs=4,
        batch_size=batch_size,
        optimizer=cr.SGD(0.02, momentum),
        shuffle=shuffle,
        seed=7,
    )
    assert history.cost == pytest.approx(costs, rel=RTOL[dtype])
    assert_close(net, W, b)


def test_the_velocity_lives_in_the_trainer(dtype):
    net, twin = make_net(dtype), make_net(dtype)
    X, Y = make_data(dtype)
    trainer = cr.Trainer(net, optimizer=cr.SGD(0.1, momentum=0.5), loss="mse")
    assert trainer.net is net
    assert trainer.optimizer == cr.SGD(0.1, 0.5)
    assert not trainer.velocity.any()
    g = net.gradient(X, Y).theta
    trainer.step(X, Y)
    np.testing.assert_allclose(trainer.velocity, g, rtol=1e-5, atol=1e-7)
    trainer.velocity[:] = 0  # as if it were new
    trainer.step(X, Y)
    for _ in range(2):
        cr.Trainer(twin, cr.SGD(0.1, 0.5)).step(X, Y)
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert "Network 3-5-2" in repr(trainer)


def test_a_step_takes_every_layout(dtype):
    net, twin = make_net(dtype), make_net(dtype)
    X, Y = make_data(dtype)
    assert cr.Trainer(net).step(np.asfortranarray(X), Y.tolist()) == cr.Trainer(twin).step(X, Y)
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_the_same_seed_gives_the_same_bits(dtype):
    X, Y = make_data(dtype)

    def theta(**arguments):
        net = make_net(dtype)
        net.fit(X, Y, epochs=3, batch_size=5, **arguments)
        return net.theta.tobytes()

    assert theta() == theta(seed=0) == theta(shuffle=True)
    assert len({theta(seed=0), theta(seed=1), theta(seed=2**63 - 1), theta(shuffle=False)}) == 4
    assert theta(shuffle=False, seed=1) == theta(shuffle=False, seed=2)


def test_each_fit_starts_with_epoch_0(dtype):
    """Two fits of one epoch see the same order twice; one fit of two epochs does not."""
    X, Y = make_data(dtype)
    net = make_net(dtype)
    _, W, b = reference_fit(
        net,
        X,
        Y,
        epochs=2,
        batch_size=5,
        learning_rate=0.01,
        order=lambda epoch: _core.permutation(0, 0, len(X)),
    )
    for _ in range(2):
        net.fit(X, Y, epochs=1, batch_size=5)
    assert_close(net, W, b)


def test_one_output_and_a_vector(dtype):
    X, Y = make_data(dtype, n_out=1)
    net, twin = make_net(dtype, (3, 4, 1)), make_net(dtype, (3, 4, 1))
    a = net.fit(X, Y[:, 0], epochs=3, validation_data=(X, Y[:, 0]))
    b = twin.fit(X, Y, epochs=3, validation_data=(X, Y))
    assert (a.cost, a.val_cost) == (b.cost, b.val_cost)
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_data_that_are_views_of_the_parameters(dtype):
    net, twin = make_net(dtype, (4, 4, 4)), make_net(dtype, (4, 4, 4))
    X, Y = net.theta[:16].reshape(4, 4), net.theta[20:36].reshape(4, 4)
    history = net.fit(X, Y, epochs=5, validation_data=(X, Y))
    x, y = twin.theta[:16].reshape(4, 4).copy(), twin.theta[20:36].reshape(4, 4).copy()
    expected = twin.fit(x, y, epochs=5, validation_data=(x, y))
    assert (history.cost, history.val_cost) == (expected.cost, expected.val_cost)
    assert net.theta.tobytes() == twin.theta.tobytes()
    # The other way round too: W^2 is updated before the inputs are needed for dW^1.
    x, y = x * 0 + twin.theta[20:36].reshape(4, 4), y * 0 + twin.theta[:16].reshape(4, 4)
    assert cr.Trainer(net).step(Y, X) == cr.Trainer(twin).step(x, y)
    assert net.theta.tobytes() == twin.theta.tobytes()


# ----------------------------------------------------------------------------------- the history


def test_history(dtype):
    net = make_net(dtype)
    X, Y = make_data(dtype)
    history = net.fit(X, Y, epochs=5)
    assert isinstance(history, cr.History)
    assert len(history.cost) == 5
    assert all(type(cost) is float for cost in history.cost)
    assert history.cost[-1] < history.cost[0]
    assert history.val_cost == []
    assert history.stopped == "epochs"
    assert 0 < history.seconds < 10
    assert history.rows_per_second == pytest.approx(5 * 23 / history.seconds)
    assert repr(history).startswith("History: 5 epochs, cost ")


def test_validation_costs_are_those_after_the_epoch(dtype):
    net = make_net(dtype)
    X, Y = make_data(dtype)
    seen = []
    history = net.fit(
        X[:15],
        Y[:15],
        epochs=4,
        validation_data=(X[15:], Y[15:]),
        callbacks=[lambda net, _: seen.append(net.cost(X[15:], Y[15:]))],
    )
    assert history.val_cost == seen
    assert len(seen) == 4
    assert "validation cost" in repr(history)


def test_weights_of_fit_count_rows():
    split = 0.3
    X, Y = make_data()
    weights = np.arange(23) % 3
    net, twin = make_net(), make_net()
    net.fit(X, Y, epochs=4, batch_size=23, sample_weight=weights)
    many = [np.repeat(part, weights, axis=0) for part in (X, Y)]
    twin.fit(*many, epochs=4, batch_size=100)
    np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-12)
    # Those of the validation rows too, given or split.
    history = net.fit(X, Y, epochs=2, validation_data=(X[:9], Y[:9], weights[:9]))
    assert history.val_cost[-1] == net.cost(X[:9], Y[:9], sample_weight=weights[:9])
    history = net.fit(X, Y, epochs=2, validation_split=split, seed=5, sample_weight=weights)
    out = np.sort(np.random.default_rng([5, 1]).permutation(23)[: round(split * 23)])
    expected = net.cost(X[out], Y[out], sample_weight=weights[out])
    assert history.val_cost[-1] == pytest.approx(expected, rel=1e-13)
    assert expected != pytest.approx(net.cost(X[out], Y[out]), rel=1e-3)


def test_validation_does_not_change_the_training(dtype):
    X, Y = make_data(dtype)
    net, twin = make_net(dtype), make_net(dtype)
    assert net.fit(X, Y, epochs=3).cost == twin.fit(X, Y, epochs=3, validation_data=[X, Y]).cost
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_plot(dtype):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    net = make_net(dtype)
    history = net.fit(*make_data(dtype), epochs=3)
    figure = history.plot()
    assert list(figure.axes[0].lines[0].get_ydata()) == history.cost


def test_progress_goes_to_stderr(dtype, capsys):
    net, twin = make_net(dtype), make_net(dtype)
    X, Y = make_data(dtype)
    net.fit(X, Y, epochs=3, validation_data=(X, Y), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3" in err
    twin.fit(X, Y, epochs=3)
    assert capsys.readouterr() == ("", "")
    net.fit(X, Y, epochs=50, progress=True, callbacks=[lambda _, history: len(history.cost) == 2])
    assert "2/50" in capsys.readouterr().err
    with pytest.raises(KeyError):
        net.fit(X, Y, epochs=70, progress=True, callbacks=[lambda *_: {}[0]])
    assert "1/70" in capsys.readouterr().err
    twin.fit(X, Y, epochs=2)
    twin.fit(X, Y, epochs=1)
    assert net.theta.tobytes() == twin.theta.tobytes()


# ------------------------------------------------------------------------------------- callbacks


def test_callbacks_see_the_network_and_the_history(dtype):
    net = make_net(dtype)
    X, Y = make_data(dtype)
    seen, order = [], []

    def first(its_net, history):
        assert its_net is net
        seen.append((list(history.cost), list(history.val_cost), its_net.theta.copy()))
        assert history.stopped == ""
        assert history.seconds > 0
        order.append(1)

    history = net.fit(
        X,
        Y,
        epochs=3,
        callbacks=(first, lambda *_: order.append(2)),
        validation_data=(X, Y),
    )
    assert order == [1, 2] * 3
    for k, (cost, val_cost, theta) in enumerate(seen, 1):
        assert cost == history.cost[:k]
        assert val_cost == history.val_cost[:k]
        twin = make_net(dtype)
        twin.fit(X, Y, epochs=k)
        assert np.array_equal(theta, twin.theta)


@pytest.mark.parametrize("yes", [True, np.True_])
def test_a_callback_stops_by_returning_true(yes, dtype):
    net, twin = make_net(dtype), make_net(dtype)
    X, Y = make_data(dtype)
    called = []
    history = net.fit(
        X,
        Y,
        epochs=100,
        callbacks=[
            lambda _, history: yes if len(history.cost) == 3 else None,
            lambda *_: called.append(1),
        ],
    )
    assert history.stopped == "callback"
    assert len(history.cost) == 3
    assert len(called) == 3
    twin.fit(X, Y, epochs=3)
    assert net.theta.tobytes() == twin.theta.tobytes()


@pytest.mark.parametrize("answer", [None, False, np.False_, 1, "stop", [1], np.ones(3)])
def test_nothing_but_true_stops(answer, dtype):
    net = make_net(dtype)
    history = net.fit(*make_data(dtype), epochs=3, callbacks=[lambda *_: answer])
    assert history.stopped == "epochs"
    assert len(history.cost) == 3


@pytest.mark.parametrize("error", [KeyError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_an_exception_of_a_callback_arrives(error, dtype):
    net, twin = make_net(dtype), make_net(dtype)
    X, Y = make_data(dtype)

    def callback(_, history):
        if len(history.cost) == 2:
            raise error

    with pytest.raises(type(error)) as caught:
        net.fit(X, Y, epochs=5, callbacks=[callback])
    assert caught.value is error
    twin.fit(X, Y, epochs=2)
    assert net.theta.tobytes() == twin.theta.tobytes()
    # And the network can be trained again.
    net.fit(X, Y, epochs=1)


def test_a_callback_may_change_data_and_parameters(dtype):
    net = make_net(dtype)
    X, Y = make_data(dtype)

    def callback(net, history):
        net.W[1][:] = 0
        X[:] = 0
        Y[:] = 0

    history = net.fit(X, Y, epochs=3, callbacks=[callback])
    assert not net.W[1].any()
    assert all(map(math.isfinite, history.cost))


def test_a_network_is_trained_once_at_a_time(dtype):
    net = make_net(dtype)
    twin = make_net(dtype)
    X, Y = make_data(dtype)
    refusals = []

    def refuse(train):
        with pytest.raises(RuntimeError, match="the network is being trained"):
            train()
        refusals.append(train)

    def elsewhere(train):
        thread = threading.Thread(target=refuse, args=(train,))
        thread.start()
        thread.join()

    def callback(net, _):
        for way in (refuse, elsewhere):
            way(lambda: net.fit(X, Y, epochs=1))
            way(lambda: cr.Trainer(net).step(X, Y))
        net.predict(X)  # this one is allowed

    net.fit(X, Y, epochs=2, callbacks=[callback])
    assert len(refusals) == 8
    twin.fit(X, Y, epochs=2)
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_an_exception_of_a_nested_fit_arrives(dtype):
    net = make_net(dtype)
    X, Y = make_data(dtype)
    with pytest.raises(RuntimeError, match="the network is being trained"):
        net.fit(X, Y, callbacks=[lambda net, _: net.fit(X, Y)])
    net.fit(X, Y, epochs=1)


def test_ctrl_c_ends_a_fit():
    net = make_net("float64", (50, 100, 100, 2))
    X, Y = make_data(m=20_000, n_in=50)
    threading.Timer(0.3, _thread.interrupt_main).start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=10**6, optimizer=cr.SGD(1e-6))
    assert time.perf_counter() - start < 5
    assert np.isfinite(net.theta).all()
    net.fit(X[:100], Y[:100], epochs=1)


# -------------------------------------------------------------------------------------- divergence


def test_divergence_keeps_the_last_finite_parameters(dtype):
    net = make_net(dtype, activation="relu")
    X, Y = make_data(dtype)
    arguments = {"batch_size": 4, "optimizer": cr.SGD(0.6, momentum=0.9)}
    costs = []
    with pytest.raises(cr.DivergedError) as caught:
        net.fit(X, Y, epochs=5000, callbacks=[lambda _, h: costs.append(h.cost[-1])], **arguments)
    error = caught.value
    assert error.epoch == len(costs) + 1 > 1
    assert error.cost == costs[-1]
    assert error.step is None
    for part in (
        f"training diverged in epoch {error.epoch} of 5000",
        f"last finite cost {error.cost:.6g}",
        "smaller learning_rate (it was 0.6)",
        "Scaling.fit",
    ):
        assert part in str(error)
    assert np.isfinite(net.theta).all()
    twin = make_net(dtype, activation="relu")
    assert twin.fit(X, Y, epochs=error.epoch - 1, **arguments).cost == costs
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_divergence_in_the_first_epoch(dtype, unchanged):
    net = make_net(dtype, activation="relu")
    X, Y = make_data(dtype)
    cost = net.cost(X, Y)
    with unchanged(net), pytest.raises(cr.DivergedError, match="in epoch 1 of 9") as caught:
        net.fit(X, Y, epochs=9, batch_size=1, optimizer=cr.SGD(1e30))
    assert caught.value.epoch == 1
    assert caught.value.cost == pytest.approx(cost, rel=1e-5)
    assert "the initial ones" in str(caught.value)


def test_what_is_said_of_a_divergence_with_weights_and_in_a_scaling():
    net = make_net(activation="relu")
    X, Y = make_data()
    weights = np.arange(23.0)
    cost = net.cost(X, Y, sample_weight=weights)
    assert cost != pytest.approx(net.cost(X, Y), rel=0.01)
    how = {"batch_size": 1, "optimizer": cr.SGD(1e30), "sample_weight": weights}
    with pytest.raises(cr.DivergedError, match=r'or scale the data: fit\(..., scale="auto"\)') as e:
        net.fit(X, Y, **how)
    assert e.value.cost == pytest.approx(cost, rel=1e-12)
    net.scaling = cr.Scaling.fit(X, Y)
    with pytest.raises(cr.DivergedError, match=r"smaller learning_rate \(it was 1e\+30\)$"):
        net.fit(X, Y, **how)


def test_inputs_so_large_that_the_first_layer_overflows(dtype, unchanged):
    net = make_net(dtype, activation="relu")
    net.W[1][:] = 100
    X = np.full((4, 3), np.finfo(dtype).max / 2)
    with unchanged(net), pytest.raises(cr.DivergedError, match="it never was"):
        net.fit(X, np.ones((4, 2)), epochs=1)


def test_a_diverging_step_changes_nothing(dtype, unchanged):
    net = make_net(dtype, activation="relu")
    X, Y = make_data(dtype)
    trainer = cr.Trainer(net, cr.SGD(0.1, momentum=0.9))
    cost = trainer.step(X, Y)
    velocity = trainer.velocity.copy()
    net.b[2][:] = np.finfo(dtype).max / 4
    with unchanged(net), pytest.raises(cr.DivergedError, match="step 2 diverged") as caught:
        trainer.step(X, Y)
    assert caught.value.step == 2
    assert caught.value.cost == cost
    assert "The network keeps its parameters" in str(caught.value)
    assert caught.value.epoch is None
    assert np.array_equal(trainer.velocity, velocity)


def test_an_update_that_overflows(dtype, unchanged):
    """The cost is finite and the update is not: fit takes it back, the next step tells."""
    net = cr.Network([cr.Dense(1), cr.Dense(1)], n_inputs=1, dtype=dtype)
    big = float(np.finfo(dtype).max)
    net.W[1] = [[big**0.1]]
    net.W[2] = [[big**0.3]]
    X, Y = np.full((1, 1), big**0.05, dtype), np.zeros((1, 1), dtype)
    cost, optimizer = net.cost(X, Y), cr.SGD(big**0.6 / 2)
    with unchanged(net), pytest.raises(cr.DivergedError, match="epoch 1 of 1: the cost or a par"):
        net.fit(X, Y, epochs=1, optimizer=optimizer)
    trainer = cr.Trainer(net, optimizer)
    assert trainer.step(X, Y) == cost
    with pytest.raises(cr.DivergedError, match=r"step 2 .* are not finite any more") as caught:
        trainer.step(X, Y)
    assert caught.value.cost == cost


# ---------------------------------------------------------------------------------- bad arguments


@pytest.mark.parametrize("name", ["epochs", "batch_size", "seed"])
def test_whole_numbers_of_fit(name, dtype, unchanged):
    net = make_net(dtype)
    X, Y = make_data(dtype)
    for value in (True, np.True_, 1.5, 2.0, "3", None):
        with unchanged(net), pytest.raises(TypeError, match=f"{name} must be a whole number"):
            net.fit(X, Y, **{name: value})
    for value in (-1, -(2**70)) if name == "seed" else (0, -1, -(2**70)):
        with unchanged(net), pytest.raises(ValueError, match=f"{name} must be at least"):
            net.fit(X, Y, **{name: value})
    for value in (2**63, 2**100):
        with unchanged(net), pytest.raises(OverflowError, match=f"{name} must be below"):
            net.fit(X, Y, **{name: value})


def test_a_batch_may_be_larger_than_the_data(dtype):
    X, Y = make_data(dtype)
    thetas = set()
    for batch_size in (23, 24, 10**6, 2**63 - 1):
        net = make_net(dtype)
        net.fit(X, Y, epochs=2, batch_size=batch_size)
        thetas.add(net.theta.tobytes())
    assert len(thetas) == 1


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"optimizer": 0.1}, TypeError, "optimizer must be an optimiser such as SGD"),
        ({"optimizer": "sgd"}, TypeError, "optimizer must be an optimiser such as SGD"),
        ({"optimizer": cr.SGD}, TypeError, "optimizer must be an optimiser such as SGD"),
        ({"loss": "hinge"}, ValueError, "loss must be one of mse"),
        ({"shuffle": 1}, TypeError, "shuffle must be True or False"),
        ({"progress": "yes"}, TypeError, "progress must be True or False"),
        ({"callbacks": print}, TypeError, r"callbacks must be a sequence.*callbacks=\(f,\)"),
        ({"callbacks": None}, TypeError, "callbacks must be a sequence"),
        ({"callbacks": [print, 3]}, TypeError, r"callbacks\[1\] must be callable"),
        ({"validation_data": np.ones((2, 3))}, TypeError, r"validation_data must be a tuple"),
        ({"validation_data": (1, 2, 3, 4)}, TypeError, r"validation_data must be a tuple"),
        (
            {"validation_data": (np.ones((2, 2)), np.ones((2, 2)))},
            ValueError,
            r"validation_data\[0\] has 2 features, but Network is expecting 3",
        ),
        (
            {"validation_data": (np.ones((2, 3)), np.full((2, 2), np.nan))},
            ValueError,
            r"validation_data\[1\] must be finite, got nan at \(0, 0\)",
        ),
        (
            {"validation_data": (np.ones((0, 3)), np.ones((0, 2)))},
            ValueError,
            r"validation_data\[0\] has 0 sample\(s\)",
        ),
        ({"epochs": 2**31}, ValueError, "epochs must be at most"),
    ],
)
def test_bad_arguments_of_fit(arguments, kind, words, dtype, unchanged):
    net = make_net(dtype)
    X, Y = make_data(dtype)
    with unchanged(net), pytest.raises(kind, match=words):
        net.fit(X, Y, **arguments)


def test_a_rate_that_float32_cannot_hold(unchanged):
    X, Y = make_data()
    for rate in (1e39, 1e-46):
        net = make_net("float32")
        with unchanged(net), pytest.raises(ValueError, match="learning_rate must be above 0 and"):
            net.fit(X, Y, optimizer=cr.SGD(rate))
        with pytest.raises(ValueError, match="learning_rate must be above 0 and"):
            cr.Trainer(net, cr.SGD(rate))
        cr.Trainer(make_net("float64"), cr.SGD(rate))


def test_bad_arguments_of_trainer(dtype):
    net = make_net(dtype)
    with pytest.raises(TypeError, match="net must be a Network, got list"):
        cr.Trainer([net])
    with pytest.raises(TypeError, match="optimizer must be an optimiser"):
        cr.Trainer(net, 0.1)
    with pytest.raises(ValueError, match="loss must be one of mse"):
        cr.Trainer(net, loss="hinge")


def test_the_trainer_keeps_the_network_alive(dtype):
    X, Y = make_data(dtype)
    trainer = cr.Trainer(make_net(dtype))
    velocity = trainer.velocity
    assert trainer.step(X, Y) == make_net(dtype).cost(X, Y)
    del trainer
    assert velocity.shape == (make_net(dtype).n_parameters,)


# ------------------------------------------------------------------------------ history on disk


@pytest.mark.parametrize("validation", [False, True])
def test_history_goes_to_files_and_back(tmp_path, validation):
    history = cr.History([1.0, 0.1 + 0.2, 1e-300], [3.0, 2.5, 1 / 3] if validation else [])
    columns = ["epoch", "cost", *(["val_cost"] if validation else [])]
    assert list(history.table()) == columns
    assert history.table()["epoch"] == [1, 2, 3]

    history.save(tmp_path / "h.csv")
    with (tmp_path / "h.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["cost"]) for row in rows] == history.cost  # the same bits
    history.save(str(tmp_path / "h.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "h.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [columns] * 3
    assert [line["cost"] for line in lines] == history.cost
    if validation:
        assert [float(row["val_cost"]) for row in rows] == history.val_cost
        assert [line["val_cost"] for line in lines] == history.val_cost


def test_history_of_no_epochs_and_of_an_unknown_suffix(tmp_path):
    cr.History().save(tmp_path / "h.csv")
    assert (tmp_path / "h.csv").read_text() == "epoch,cost\n"
    with pytest.raises(ValueError, match=r"path must end in \.csv or \.jsonl, got '.*h\.txt'"):
        cr.History([1.0]).save(tmp_path / "h.txt")
    assert not (tmp_path / "h.txt").exists()
