"""After each epoch: metrics in the history, early stopping on one of them, callbacks."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core
from chainrule.metrics import METRICS
from chainrule.stopping import BETTER, Watch


def problem(dtype="float64", m=50, n_out=2):
    rng = np.random.default_rng(6)
    net = cr.Network([cr.Dense(7, "tanh"), cr.Dense(n_out)], 3, dtype=dtype, seed=3)
    X = 5 + 20 * rng.normal(size=(m, 3))
    return net, X, 300 + np.cumsum(X, axis=1)[:, :n_out] + rng.normal(size=(m, n_out))


class Enough(Exception):
    pass


# --------------------------------------------------------------------------------------- metrics


@pytest.mark.parametrize("held", ["training", "data", "split"])
@pytest.mark.parametrize("scale", [None, "auto"])
def test_metrics_are_scikit_learns_on_the_parameters_of_each_epoch(held, scale, dtype):
    theirs = pytest.importorskip("sklearn.metrics")
    net, X, Y = problem(dtype)
    X, Y = (X, Y) if scale else (X / 20, Y / 300)
    how = {
        "training": {},
        "data": {"validation_data": (X[30:], Y[30:].tolist())},
        "split": {"validation_split": 0.3, "seed": 11},
    }[held]
    if held == "split":
        out = np.sort(np.random.default_rng([11, 1]).permutation(50)[:15])
        x, y = X[out], Y[out]
    else:
        x, y = (X[30:], Y[30:]) if held == "data" else (X, Y)
    parameters = []
    history = net.fit(
        X,
        Y,
        epochs=4,
        batch_size=10,
        metrics=("mae", "rmse", "r2", "max_error"),
        scale=scale,
        callbacks=[lambda net, _: parameters.append(net.copy("float64"))],
        **how,
    )
    assert list(history.metrics) == ["mae", "rmse", "r2", "max_error"]
    rtol = 1e-12 if dtype == "float64" else 1e-5
    for k, net_then in enumerate(parameters):
        a = net_then.predict(x)
        expected = {
            "mae": theirs.mean_absolute_error(y, a),
            "rmse": np.sqrt(theirs.mean_squared_error(y, a, multioutput="raw_values")).mean(),
            "r2": theirs.r2_score(y, a),
            "max_error": abs(y - a).max(),
        }
        for name, value in expected.items():
            assert history.metrics[name][k] == pytest.approx(value, rel=rtol), name


@pytest.mark.parametrize("kind", ["classes", "one-hot", "yes or no", "counts", "spread"])
def test_metrics_of_other_losses_are_scikit_learns(kind, dtype):
    theirs = pytest.importorskip("sklearn.metrics")
    special = pytest.importorskip("scipy.special")
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 3))
    classes = np.digitize(X[:, 0] + 0.5 * rng.normal(size=60), [-0.5, 0.5])
    loss, n_out, Y, link = {
        "classes": ("cross_entropy", 3, classes, lambda a: special.softmax(a, axis=1)),
        "one-hot": ("cross_entropy", 3, np.eye(3)[classes], lambda a: special.softmax(a, axis=1)),
        "yes or no": ("binary_cross_entropy", 1, classes > 0, special.expit),
        "counts": ("poisson", 1, classes, np.exp),
        "spread": ("gaussian_nll", 2, 100 * X[:, 0], lambda a: a[:, :1]),
    }[kind]
    net = cr.Network([cr.Dense(5, "tanh"), cr.Dense(n_out)], 3, dtype=dtype, seed=1)
    weights = rng.integers(1, 4, size=20)
    w = weights.astype(float)
    parameters = []
    is_regression = kind in {"counts", "spread"}
    history = net.fit(
        X[:40],
        Y[:40],
        epochs=3,
        batch_size=8,
        loss=loss,
        validation_data=(X[40:], Y[40:], weights),
        scale="auto",
        metrics=("mae", "r2") if is_regression else ("accuracy", "log_loss", "auc"),
        callbacks=[lambda net, _: parameters.append(net.copy("float64"))],
    )
    rtol = 1e-10 if dtype == "float64" else 1e-4
    for k, then in enumerate(parameters):
        p, y = link(then.predict(X[40:])), Y[40:]
        if is_regression:
            expected = {
                "mae": theirs.mean_absolute_error(y, p, sample_weight=w),
                "r2": theirs.r2_score(y, p, sample_weight=w),
            }
        else:
            labels = classes[40:] if n_out == 3 else y.astype(int)
            guess = p.argmax(axis=1) if n_out == 3 else p[:, 0] > 0.5
            score = p if n_out == 3 else p[:, 0]
            expected = {
                "accuracy": theirs.accuracy_score(labels, guess, sample_weight=w),
                "log_loss": theirs.log_loss(labels, p if n_out == 3 else score, sample_weight=w),
                "auc": theirs.roc_auc_score(labels, score, sample_weight=w, multi_class="ovr"),
            }
        for name, value in expected.items():
            assert history.metrics[name][k] == pytest.approx(value, rel=rtol), name


def test_a_metric_of_ones_own_gets_one_shape_with_every_loss():
    X = np.linspace(-1, 1, 12).reshape(12, 1)
    shapes = {}

    def look(Y, prediction):
        assert Y.dtype == prediction.dtype == np.float64
        shapes[loss] = Y.shape, prediction.shape
        return 0.0

    for loss, n_out, Y in [
        ("mse", 1, X[:, 0]),
        ("cross_entropy", 3, np.arange(12) % 3),
        ("gaussian_nll", 4, np.c_[X, X]),
        (cr.Quantile((0.2, 0.8)), 2, X[:, 0]),
    ]:
        net = cr.Network([cr.Dense(n_out)], 1)
        net.fit(X, Y, epochs=1, loss=loss, metrics=[look], scale="auto")
    assert [pair[0] for pair in shapes.values()] == [(12, 1), (12, 3), (12, 2), (12, 2)]
    assert all(one == two for one, two in shapes.values())


def test_metrics_change_no_bit_of_the_training(dtype):
    net, X, Y = problem(dtype)
    twin = net.copy()
    one = net.fit(X, Y, epochs=5, scale="auto")
    two = twin.fit(X, Y, epochs=5, scale="auto", metrics=["r2"], validation_data=(X, Y))
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert one.cost == two.cost
    assert (one.metrics, list(two.metrics)) == ({}, ["r2"])


def test_a_metric_of_ones_own_gets_the_users_units():
    net, X, Y = problem(n_out=1)
    seen = []

    def bias(y, prediction):
        seen.append((y, prediction))
        with pytest.raises(ValueError, match="read-only"):
            y[0] = 0
        return np.float32(np.mean(prediction - y))

    history = net.fit(X, Y[:, 0], epochs=2, metrics={"its bias": bias}, scale="auto")
    assert [type(value) for value in history.metrics["its bias"]] == [float, float]
    y, prediction = seen[-1]
    assert y.shape == prediction.shape == (50, 1)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(prediction, net.predict(X))
    assert history.metrics["its bias"][1] == np.float32(np.mean(net.predict(X) - Y))
    Y[0] = 5  # the user's own array is still writable


def test_metrics_see_the_data_apart_from_the_parameters():
    """Y is a view of theta, which training changes; the metric goes by the Y of the start."""
    net = cr.Network([cr.Dense(4), cr.Dense(1)], 4, dtype="float64")
    X, Y = np.eye(4), net.theta[:4].reshape(4, 1)
    first = Y.copy()
    history = net.fit(X, Y, epochs=3, metrics="mae")
    assert history.metrics["mae"][-1] == pytest.approx(np.abs(net(X) - first).mean(), rel=1e-12)


def test_an_exception_in_a_metric_ends_the_training_at_that_epoch(dtype):
    net, X, Y = problem(dtype)
    twin = net.copy()
    calls = []

    def third(y, prediction):
        calls.append(1)
        if len(calls) == 3:
            raise Enough
        return 0.0

    with pytest.raises(Enough):
        net.fit(X, Y, epochs=9, metrics=[third], scale="auto")
    twin.fit(X, Y, epochs=3, scale="auto")
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert net.scaling == twin.scaling


@pytest.mark.parametrize("value", [None, "high", [1.0, 2.0], np.ones(3), 1j])
def test_a_metric_that_gives_no_number(value):
    net, X, Y = problem()
    with pytest.raises(TypeError, match=r"the metric 'mine' must give a number, got"):
        net.fit(X, Y, epochs=2, metrics={"mine": lambda y, prediction: value}, scale="auto")


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ("speed", "must be one of mse, rmse"),
        (3, "metrics must be names or callables"),
        ([lambda y, p: 0.0], "has no name; give it one"),
        (("r2", "r2"), "there twice"),
        ({"cost": "r2"}, "is a column of the history"),
    ],
)
def test_wrong_metrics(metrics, words, unchanged):
    net, X, Y = problem()
    with unchanged(net), pytest.raises((TypeError, ValueError), match=words):
        net.fit(X, Y, metrics=metrics, scale="auto")


def test_metrics_in_the_table_on_disk_and_in_words(tmp_path, capsys):
    net, X, Y = problem()
    answers = iter([0.5, math.nan, 0.25])
    history = net.fit(
        X,
        Y,
        epochs=3,
        scale="auto",
        metrics={"r2": "r2", "mine": lambda y, p: next(answers)},
        progress=True,
    )
    assert list(history.table()) == ["epoch", "cost", "r2", "mine"]
    assert history.table()["r2"] == history.metrics["r2"]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(history.table())
    assert frame["mine"].isna().tolist() == [False, True, False]
    assert frame.shape == (3, 4)
    history.save(tmp_path / "h.csv")
    back = pandas.read_csv(tmp_path / "h.csv")
    pandas.testing.assert_frame_equal(back, frame, rtol=1e-14)
    history.save(tmp_path / "h.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "h.jsonl").read_text().splitlines()]
    assert [line["mine"] for line in lines] == [0.5, None, 0.25]
    assert [line["r2"] for line in lines] == history.metrics["r2"]
    assert "NaN" not in (tmp_path / "h.jsonl").read_text()
    assert f"r2 {history.metrics['r2'][0]:.6g} -> {history.metrics['r2'][-1]:.6g}" in repr(history)
    assert f"r2 {history.metrics['r2'][-1]:.4g}, mine 0.25" in capsys.readouterr().err


# -------------------------------------------------------------------------- stopping on a metric


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_watch_both_ways_by_hand(mode):
    values = [math.nan, 5.0, 4.0, 4.5, 3.5, 3.6, math.nan, 3.7, 1.0]
    theta = np.zeros(1)
    watch = Watch(cr.EarlyStopping(patience=3), theta, mode)
    ended = 0
    for epoch, value in enumerate(values, 1):
        theta[:] = epoch
        if watch.after(epoch, value if mode == "min" else -value):
            ended = epoch
            break
    assert (ended, watch.best_epoch, abs(watch.best)) == (8, 5, 3.5)
    watch.restore()
    assert theta == 5


@pytest.mark.parametrize("restore", [True, False])
def test_stops_on_a_metric_and_goes_back_to_its_best_epoch(restore):
    net, X, Y = problem()
    seen = []
    values = [0.1, 0.3, 0.2, 0.25, 0.29, 0.9]
    history = net.fit(
        X,
        Y,
        epochs=9,
        scale="auto",
        metrics={"score": lambda y, p: values[len(seen)]},
        early_stopping=cr.EarlyStopping(3, monitor="score", mode="max", restore_best=restore),
        callbacks=[lambda net, _: seen.append(net.theta.copy())],
    )
    assert history.stopped == "early_stopping"
    assert history.metrics["score"] == values[:5]
    assert (history.best_epoch, history.monitor, history.mode) == (2, "score", "max")
    np.testing.assert_array_equal(net.theta, seen[1] if restore else seen[-1])
    assert "The score has not risen for 3 epochs: the highest, 0.3, was after epoch 2" in (
        history.reason
    )
    assert ("whose parameters the network has" in history.reason) is restore


def test_each_metric_with_a_name_says_which_way_is_better():
    assert set(BETTER) == {"cost", *METRICS}
    # Perfect predictions against poor ones, of a regression and of classes.
    y, poor = np.array([1.0, 2.0, 4.0]), np.array([4.0, 1.0, 2.0])
    labels, sure, unsure = np.array([0, 1, 1]), np.array([0.1, 0.9, 0.9]), np.array([0.9, 0.2, 0.6])
    for k, (name, metric) in enumerate(METRICS.items()):
        good, bad = (
            (metric(y, y), metric(y, poor))
            if k < 6
            else (metric(labels, sure), metric(labels, unsure))
        )
        assert (good > bad) == (BETTER[name] == "max"), name
        assert good != bad, name


def test_best_epoch_of_a_metric_that_was_never_a_number():
    net, X, Y = problem()
    history = net.fit(
        X,
        Y,
        epochs=9,
        scale="auto",
        metrics={"score": lambda y, p: math.nan},
        early_stopping=cr.EarlyStopping(2, monitor="score", mode="max"),
    )
    assert len(history.cost) == 2
    assert history.best_epoch is None
    assert "The score has not risen for 2 epochs: it never was a number." in history.reason


@pytest.mark.parametrize(
    ("arguments", "metrics", "words"),
    [
        ({"monitor": "r2"}, (), "monitor must be one of cost; got 'r2'"),
        ({"monitor": "r2"}, ("mae",), "monitor must be one of cost, mae; got 'r2'"),
        ({"monitor": "mine"}, {"mine": max}, r"less or more of 'mine' better\? Give EarlyStopping"),
    ],
)
def test_monitors_that_are_not_there(arguments, metrics, words, unchanged):
    net, X, Y = problem()
    rule = cr.EarlyStopping(**arguments)
    with unchanged(net), pytest.raises(ValueError, match=words):
        net.fit(X, Y, metrics=metrics, early_stopping=rule, scale="auto")


# ------------------------------------------------------------------------------------- callbacks


def test_a_callback_that_raises_leaves_the_parameters_of_its_epoch(dtype):
    net, X, Y = problem(dtype)
    twin = net.copy()

    def callback(_, history):
        if len(history.cost) == 3:
            raise Enough

    trainer = cr.Trainer(net, cr.Adam())
    with pytest.raises(Enough):
        trainer.fit(X, Y, epochs=9, callbacks=[callback])
    other = cr.Trainer(twin, cr.Adam())
    other.fit(X, Y, epochs=3)
    assert trainer.epochs == 3
    assert net.theta.tobytes() == twin.theta.tobytes()
    # And the training goes on from there.
    trainer.fit(X, Y, epochs=2)
    other.fit(X, Y, epochs=2)
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_what_a_callback_does_to_the_parameters_counts(dtype):
    net, X, Y = problem(dtype)
    twin = net.copy()

    def keep_small(net, history):
        if len(history.cost) == 2:
            np.clip(net.theta, -0.1, 0.1, out=net.theta)

    cr.Trainer(net, cr.Adam()).fit(X, Y, epochs=4, callbacks=[keep_small])
    trainer = cr.Trainer(twin, cr.Adam())
    trainer.fit(X, Y, epochs=2)
    twin.theta = np.clip(twin.theta, -0.1, 0.1)
    trainer.fit(X, Y, epochs=2)
    assert net.theta.tobytes() == twin.theta.tobytes()


@pytest.mark.parametrize("schedule", [0.01, cr.ReduceOnPlateau(0.01)])
def test_a_callback_sets_the_learning_rate(schedule):
    net, X, Y = problem()
    X, Y = X / 20, Y / 300
    twin = net.copy()
    trainer = cr.Trainer(net, cr.SGD(schedule))

    def slower(_, history):
        assert trainer.epochs == len(history.cost)
        if len(history.cost) != 3:  # the rate stays until it is set again
            trainer.learning_rate = 0.01 / (1 + len(history.cost))

    trainer.fit(X, Y, epochs=5, callbacks=[slower])
    other = cr.Trainer(twin, cr.SGD(0.01))
    for divisor in (1, 2, 3, 3, 5):
        other.learning_rate = 0.01 / divisor
        other.fit(X, Y, epochs=1)
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_a_schedule_that_knows_its_course_is_not_overruled():
    trainer = cr.Trainer(problem()[0], cr.SGD(cr.Cosine(0.1, epochs=5)))
    with pytest.raises(ValueError, match=r"learning_rate follows Cosine\(start=0.1.*cannot be set"):
        trainer.learning_rate = 0.2
    assert trainer.learning_rate == 0.1


def test_a_callback_that_trains_the_same_network():
    net, X, Y = problem()
    twin = net.copy()
    with pytest.raises(RuntimeError, match="the network is being trained"):
        net.fit(X, Y, scale="auto", callbacks=[lambda net, _: net.fit(X, Y, scale="auto")])
    twin.fit(X, Y, epochs=1, scale="auto")
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert net.scaling == twin.scaling


def test_a_callback_that_calls_fit_of_its_own_trainer():
    net, X, Y = problem()
    one, two = (cr.Trainer(each, cr.Adam()) for each in (net.copy(), net))
    rule = cr.EarlyStopping(patience=3)
    refused = []

    def again(net, history):
        with pytest.raises(RuntimeError, match="the network is being trained already, by this"):
            one.fit(X, Y, seed=7, epochs=1)
        refused.append(1)

    one.fit(X, Y, epochs=3, callbacks=[again], early_stopping=rule)
    two.fit(X, Y, epochs=3, early_stopping=rule)
    assert refused == [1, 1, 1]
    assert one.net.theta.tobytes() == two.net.theta.tobytes()
    one.fit(X, Y, epochs=1)  # and it is free again


def test_a_callback_saves_the_model_of_each_epoch(tmp_path, dtype):
    net, X, Y = problem(dtype)
    start = net.copy()
    net.fit(
        X,
        Y,
        epochs=3,
        scale="auto",
        callbacks=[lambda net, history: net.save(tmp_path / f"{len(history.cost)}")],
    )
    for epochs in (1, 2, 3):
        twin = start.copy()
        twin.fit(X, Y, epochs=epochs, scale="auto")
        saved = cr.load(tmp_path / f"{epochs}")
        assert saved.theta.tobytes() == twin.theta.tobytes()
        assert saved.scaling == twin.scaling


def test_a_training_keeps_the_instruction_set_it_began_with():
    rng = np.random.default_rng(0)
    before, wide = cr.info()["isa"], (900, 1300, 1200, 2)  # goes layer by layer
    X, Y = rng.normal(size=(40, wide[0])), rng.normal(size=(40, wide[-1]))

    def costs(sets):
        net = cr.Network(
            [*(cr.Dense(n, "tanh") for n in wide[1:-1]), cr.Dense(wide[-1])], wide[0], seed=0
        )
        cr.set_isa(sets[0])
        try:
            turn = itertools.cycle(sets)
            switch = lambda _net, _history: cr.set_isa(next(turn))  # noqa: E731
            return net.fit(X, Y, epochs=4, batch_size=16, callbacks=(switch,)).cost
        finally:
            cr.set_isa(before)

    sets = [name for name in _core.build_info()["isas_detected"] if name != "baseline"]
    if len(sets) < 2:
        pytest.skip("one instruction set with fused multiply-adds, or none")
    assert costs(sets) == costs(sets[::-1]) == costs(sets[:1])
