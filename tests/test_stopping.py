"""Early stopping, held-out rows, and the reason why a training ended."""

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.stopping import Watch


def problem(m=60, dtype="float64"):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(m, 3))
    Y = np.sin(X[:, :1]) + 0.3 * rng.normal(size=(m, 1))
    return cr.Network([cr.Dense(40, "tanh"), cr.Dense(1)], 3, dtype=dtype, seed=1), X, Y


def test_the_watch_on_costs_by_hand():
    theta = np.zeros(2)
    watch = Watch(cr.EarlyStopping(patience=2, min_delta=0.1), theta)
    answers = []
    for epoch, cost in enumerate([1.0, 0.95, 0.8, 0.75, 0.71, 0.3, 0.4, 0.25], 1):
        theta[:] = epoch
        answers.append(watch.after(epoch, cost))
    # 0.95 is no fall of 0.1, 0.8 is; 0.75 and 0.71 are none.
    assert answers == [False, False, False, False, True, False, False, True]
    # The best is the lowest of all, although 0.25 was no fall of 0.1.
    assert (watch.best_epoch, watch.best) == (8, 0.25)
    theta[:] = 9
    watch.restore()
    np.testing.assert_array_equal(theta, 8)


@pytest.mark.parametrize("restore", [True, False])
def test_stops_and_goes_back_to_the_best_epoch(restore):
    net, X, Y = problem()
    _, X_val, Y_val = problem(200)
    seen = []
    rule = cr.EarlyStopping(patience=5, restore_best=restore)
    history = net.fit(
        X,
        Y,
        epochs=5000,
        batch_size=10,
        optimizer=cr.Adam(0.01),
        validation_data=(X_val[60:], Y_val[60:]),
        early_stopping=rule,
        callbacks=[lambda net, _: seen.append(net.theta.copy())],
    )
    assert history.stopped == "early_stopping"
    assert len(history.cost) == history.best_epoch + 5 < 5000
    assert history.val_cost[history.best_epoch - 1] == min(history.val_cost)
    kept = seen[history.best_epoch - 1] if restore else seen[-1]
    np.testing.assert_array_equal(net.theta, kept)
    assert f"not fallen for 5 epochs: the lowest, {min(history.val_cost):.6g}" in history.reason
    assert (f"after epoch {history.best_epoch}, whose parameters" in history.reason) is restore


def test_without_validation_data_it_looks_at_the_training_cost():
    net, X, Y = problem()
    rule = cr.EarlyStopping(patience=3, min_delta=1e-3)
    history = net.fit(X, Y, epochs=500, optimizer=cr.SGD(0.05), early_stopping=rule)
    assert history.stopped == "early_stopping"
    assert history.val_cost == []
    assert "The cost has not fallen for 3 epochs" in history.reason


def test_the_best_epoch_is_restored_when_all_epochs_are_done_too():
    net, X, Y = problem()
    _, X_val, Y_val = problem(200)
    arguments = {"batch_size": 10, "optimizer": cr.Adam(0.02), "shuffle": False}
    history = net.fit(
        X,
        Y,
        epochs=150,
        validation_data=(X_val[60:], Y_val[60:]),
        early_stopping=cr.EarlyStopping(patience=1000),
        **arguments,
    )
    assert history.stopped == "epochs"
    assert history.best_epoch < 150
    twin, _, _ = problem()
    twin.fit(X, Y, epochs=history.best_epoch, **arguments)
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert f"has the parameters of epoch {history.best_epoch}, the best" in history.reason


def test_a_split_is_the_same_rows_for_the_same_seed():
    net, X, Y = problem()
    costs = [
        problem()[0].fit(X, Y, epochs=3, validation_split=0.25, seed=seed).val_cost
        for seed in (0, 0, 1)
    ]
    assert costs[0] == costs[1] != costs[2]
    # The rows held out are not trained on: with them spoilt the parameters are the same.
    one, two = problem()[0], problem()[0]
    out = np.sort(np.random.default_rng([7, 1]).permutation(60)[:15])
    spoilt = Y.copy()
    spoilt[out] = 1e3
    history = one.fit(X, Y, epochs=3, validation_split=0.25, seed=7)
    two.fit(X, spoilt, epochs=3, validation_split=0.25, seed=7)
    assert one.theta.tobytes() == two.theta.tobytes()
    assert history.val_cost[-1] == pytest.approx(one.cost(X[out], Y[out]), rel=1e-12)
    rest = np.setdiff1d(np.arange(60), out)
    net.fit(X[rest], Y[rest], epochs=3, seed=7)
    assert net.theta.tobytes() == one.theta.tobytes()


def reason_of(cost, val_cost=(), stopped="epochs"):
    from chainrule.stopping import reason  # noqa: PLC0415

    return reason(stopped, list(cost), list(val_cost), None)


def test_what_to_try_next():
    falling = [1 / (1 + k) for k in range(20)]
    assert "try more epochs or a larger learning_rate" in reason_of(falling)
    flat = [1.0, 0.5, *([0.3] * 30)]
    assert reason_of(flat) == "All 32 epochs are done."
    by_heart = reason_of(falling, [1.0, 0.5, *np.linspace(0.5, 0.9, 18)])
    assert "learns the rows by heart" in by_heart
    assert "smaller learning_rate" in reason_of([1.0, 2.0, 3.0])
    swings = [1.0, *(0.5 + 0.3 * (-1) ** k for k in range(49))]
    assert "swings from epoch to epoch" in reason_of(swings)
    assert reason_of([1.0], stopped="callback").startswith("A callback ended the training after")
    assert reason_of([]) == "No epoch was run."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"early_stopping": True}, r"early_stopping must be an EarlyStopping\(patience=10\)"),
        ({"validation_split": 1.0}, r"validation_split must be in \(0, 1\).*got 1.0 of 60 rows"),
        ({"validation_split": 0.001}, r"leave rows on both sides, got 0.001"),
        ({"validation_split": "a"}, "validation_split must be a real number"),
    ],
)
def test_wrong_arguments_of_fit(arguments, words):
    net, X, Y = problem()
    before = net.theta.tobytes()
    with pytest.raises((TypeError, ValueError), match=words):
        net.fit(X, Y, epochs=1, **arguments)
    with pytest.raises(ValueError, match="give one of them"):
        net.fit(X, Y, epochs=1, validation_split=0.2, validation_data=(X, Y))
    assert net.theta.tobytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"patience": 1.5}, "patience must be a whole number, got 1.5"),
        ({"min_delta": -1}, "min_delta must be at least 0 and finite, got -1"),
        ({"min_delta": math.nan}, "min_delta must be at least 0 and finite, got nan"),
        ({"restore_best": 1}, "restore_best must be True or False, got 1"),
    ],
)
def test_wrong_arguments(arguments, words):
    with pytest.raises((TypeError, ValueError), match=words):
        cr.EarlyStopping(**arguments)


def test_what_to_try_next_with_costs_of_any_sign():
    """Those of gaussian_nll and poisson: what matters is how they change."""
    down = [2.0 - 0.2 * k for k in range(20)]  # through 0 to -1.8
    for cost in (down, [c - 5 for c in down]):
        assert "try more epochs" in reason_of(cost, cost)
        assert "by heart" not in reason_of(cost, cost, stopped="callback")
        assert "swings" not in reason_of([*cost, *([cost[-1]] * 20)])
        by_heart = reason_of(cost, [*cost[:10], *(c + 1.5 for c in cost[9::-1])])
        assert "learns the rows by heart" in by_heart
        swings = [*cost, *(cost[-1] - 2 * (-1) ** k for k in range(50))]
        assert "swings from epoch to epoch" in reason_of(swings)
    assert "by 0.4 over the last 2 epochs" in reason_of(down)
    # Hardly above its best, which happens to be near 0 or far from it.
    for best in (-0.001, -100.0):
        level = [*(best + 1 / (1 + k) for k in range(19)), best]
        held = [best + 1, *([best + 0.3] * 9), *([best + 0.1] * 9), best, best + 0.001]
        assert reason_of([*level, best - 1e-4], held, "callback").endswith("epoch 21.")
    level = [*([-100.0] * 19), -99.99]
    assert reason_of(down, level, "callback").endswith("epoch 20.")
    flat = [1.0, *([-2.0] * 30)]
    assert reason_of(flat, flat) == "All 31 epochs are done."


def test_a_fit_of_densities_that_gets_better_to_the_end_is_not_blamed():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 1))
    Y = 2 * X + 0.01 * rng.normal(size=(80, 1))
    net = cr.Network([cr.Dense(2)], 1, dtype="float64", seed=0)
    how = {"optimizer": cr.Adam(0.02), "loss": "gaussian_nll", "validation_split": 0.3}
    history = net.fit(X, Y, epochs=100, batch_size=80, **how)
    assert history.val_cost[-1] == min(history.val_cost) < 0
    assert "by heart" not in history.reason
    assert "The cost still fell" in history.reason
