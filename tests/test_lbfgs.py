"""L-BFGS: against SciPy, PyTorch, the reference and least squares; the same bits; every end."""

import _thread
import itertools
import threading
import time

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference, tables

TIGHT = {"tolerance_grad": 0.0, "tolerance_change": 0.0}


def sine(m=60, units=8, dtype="float64"):
    rng = np.random.default_rng(4)
    X = np.sort(rng.uniform(-3, 3, size=(m, 1)), axis=0)
    net = cr.Network([cr.Dense(units, "tanh"), cr.Dense(1)], 1, dtype=dtype, seed=1)
    return net, X, np.sin(2 * X) + 0.1 * rng.normal(size=X.shape)


def diabetes(units=6):
    X, Y = standardised()
    return cr.Network([cr.Dense(units, "tanh"), cr.Dense(1)], X.shape[1], "float64", seed=3), X, Y


def standardised():
    table = tables.read("diabetes").values
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    return table[:, :-1], table[:, -1:]


def linear(m=50, n=4, outputs=2):
    rng = np.random.default_rng(8)
    net = cr.Network([cr.Dense(outputs)], n, "float64", seed=5)
    X = rng.normal(size=(m, n)) * np.array([1, 3, 0.3, 10])[:n]
    return net, X, rng.normal(size=(m, outputs))


PROBLEMS = {"sine": sine, "diabetes": diabetes, "linear": linear}
EACH = pytest.mark.parametrize("name", PROBLEMS)


def objective(net, X, Y, **how):
    """The cost and its gradient as a function of theta, on a twin of net."""
    twin = net.copy()

    def f(theta):
        twin.theta[...] = theta
        g = twin.gradient(X, Y, **how)
        return g.cost, np.array(g.theta)

    return f


def path(net, trainer, X, Y, epochs, **how):
    """Fit, and theta before it and after each iteration."""
    thetas = [net.theta.copy()]
    history = trainer.fit(
        X, Y, epochs, callbacks=[lambda net, _: thetas.append(net.theta.copy())], **how
    )
    return history, thetas


# ---------------------------------------------------------------------------------- the numbers


@EACH
@pytest.mark.parametrize("history_size", [1, 4, 10])
def test_each_iteration_like_the_reference(name, history_size):
    net, X, Y = PROBLEMS[name]()
    f = objective(net, X, Y)
    arguments = {"history_size": history_size, **TIGHT}
    trainer = cr.Trainer(net, cr.LBFGS(**arguments))
    for _ in range(20):
        pairs = changes(trainer)
        costs, thetas, _ = reference.lbfgs(f, net.theta.copy(), 1, **arguments, pairs=pairs)
        before = net.theta.copy()
        trainer.step(X, Y)
        assert net.cost(X, Y) == pytest.approx(costs[0], rel=1e-10)
        np.testing.assert_allclose(net.theta, thetas[0], rtol=1e-10, atol=1e-10)
        assert np.abs(net.theta - before).max() > 1e-6


def changes(trainer):
    state = trainer.state
    return [(s.copy(), y.copy()) for s, y in zip(state[::2], state[1::2], strict=True)]


@EACH
def test_some_iterations_like_the_reference(name):
    """Longer, and the rounding of the sums has grown."""
    net, X, Y = PROBLEMS[name]()
    f = objective(net, X, Y)
    history, ours = path(net, cr.Trainer(net, cr.LBFGS(**TIGHT)), X, Y, 10)
    costs, theirs, _ = reference.lbfgs(f, ours[0], 10, **TIGHT)
    np.testing.assert_allclose(history.cost, costs, rtol=1e-10)
    for one, other in zip(ours[1:], theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"learning_rate": 30.0},
        {"learning_rate": 1e-4},
        {"max_line_search": 2},
        {"tolerance_grad": 1e-2},
        {"tolerance_change": 1e-4},
        {"max_line_search": 1, "learning_rate": 100.0},
    ],
    ids=repr,
)
def test_options_and_ends_like_the_reference(arguments):
    net, X, Y = sine()
    f = objective(net, X, Y)
    history, ours = path(net, cr.Trainer(net, cr.LBFGS(**arguments)), X, Y, 40)
    costs, theirs, ended = reference.lbfgs(f, ours[0], 40, **arguments)
    assert history.stopped == ended
    np.testing.assert_allclose(history.cost, costs, rtol=1e-8)
    np.testing.assert_allclose(ours[-1], theirs[-1], rtol=1e-6, atol=1e-6)


@EACH
def test_every_step_satisfies_the_strong_wolfe_conditions(name):
    net, X, Y = PROBLEMS[name]()
    f = objective(net, X, Y)
    _, thetas = path(net, cr.Trainer(net, cr.LBFGS()), X, Y, 60)
    assert len(thetas) > 12
    for before, after in itertools.pairwise(thetas):
        (C_0, g_0), (C_1, g_1), s = f(before), f(after), after - before
        assert C_0 + 1e-4 * (g_0 @ s) >= C_1
        assert abs(g_1 @ s) <= 0.9 * abs(g_0 @ s) * (1 + 1e-9)


@EACH
def test_each_direction_is_minus_h_g_of_the_remembered_changes(name):
    net, X, Y = PROBLEMS[name]()
    f = objective(net, X, Y)
    trainer = cr.Trainer(net, cr.LBFGS(history_size=5))
    for step in range(15):
        pairs, theta = changes(trainer), net.theta.copy()
        assert len(pairs) == min(step, 5)
        g = f(theta)[1]
        H = np.eye(len(g))  # the update (6.17), dense, where the core has two loops
        if pairs:
            s, y = pairs[-1]
            H *= (s @ y) / (y @ y)
        for s, y in pairs:
            V = np.eye(len(g)) - np.outer(y, s) / (s @ y)
            H = V.T @ H @ V + np.outer(s, s) / (s @ y)
        trainer.step(X, Y)
        d, s = -H @ g, net.theta - theta
        assert s @ d > (1 - 1e-9) * np.linalg.norm(s) * np.linalg.norm(d)


def test_linear_least_squares():
    net, X, Y = linear()
    history = net.fit(X, Y, epochs=200, optimizer=cr.LBFGS(**TIGHT))
    A = np.column_stack([X, np.ones(len(X))])
    right = np.linalg.lstsq(A, Y, rcond=None)[0]
    np.testing.assert_allclose(net.W[1].T, right[:-1], atol=1e-7)
    np.testing.assert_allclose(net.b[1], right[-1], atol=1e-7)
    assert history.stopped == "line_search"  # a gradient of exactly 0 there is not
    assert len(history.cost) < 60


def scipy_minimum(f, theta, iterations, **options):
    optimize = pytest.importorskip("scipy.optimize")
    options = {"maxcor": 10, "ftol": 0, "gtol": 1e-7, "maxfun": 10**6, **options}
    return optimize.minimize(
        f, theta, jac=True, method="L-BFGS-B", options={"maxiter": iterations, **options}
    )


@EACH
def test_as_good_as_scipy(name):
    """Not convex: paths part and end in other minima, so from eight starts."""
    ratios, ours, theirs = [], 0, 0
    for seed in range(8):
        net, X, Y = PROBLEMS[name]()
        net = cr.Network(net.layers, net.n[0], "float64", seed=seed)
        found = scipy_minimum(objective(net, X, Y), net.theta.copy(), 100)
        trainer = cr.Trainer(net, cr.LBFGS(tolerance_change=0))
        ratios.append(trainer.fit(X, Y, 100).cost[-1] / found.fun)
        ours, theirs = ours + trainer._engine.evaluations, theirs + found.nfev
    assert np.exp(np.mean(np.log(ratios))) < (1 + 1e-12 if name == "linear" else 1.2)
    assert 0.7 < ours / theirs < 1.3


@pytest.mark.parametrize("loss", ["poisson", "binary_cross_entropy", "log_cosh", "cross_entropy"])
def test_to_the_same_minimum_as_scipy(loss):
    """Convex: there is one minimum."""
    net, X, Y = linear(outputs=3)
    Y = classes(net, X) if loss == "cross_entropy" else np.abs(np.tanh(Y))
    f = objective(net, X, Y, loss=loss)
    found = scipy_minimum(f, net.theta.copy(), 2000, gtol=1e-6)
    trainer = cr.Trainer(net, cr.LBFGS(tolerance_grad=1e-6, tolerance_change=0), loss)
    history = trainer.fit(X, Y, 2000)
    assert history.stopped == "gradient"
    assert np.abs(f(net.theta)[1]).max() <= 1e-6
    assert history.cost[-1] == pytest.approx(found.fun, rel=1e-9)
    assert 0.6 < trainer._engine.evaluations / found.nfev < 1.5


@EACH
def test_as_good_as_pytorch(name):
    torch = pytest.importorskip("torch")
    net, X, Y = PROBLEMS[name]()
    f = objective(net, X, Y)
    theta = torch.tensor(net.theta.copy(), requires_grad=True)
    options = {"history_size": 10, "tolerance_grad": 1e-7, "tolerance_change": 1e-9}
    rule = torch.optim.LBFGS(
        [theta], max_iter=200, max_eval=10**6, line_search_fn="strong_wolfe", **options
    )

    def closure():
        C, g = f(theta.detach().numpy())
        theta.grad = torch.tensor(g)
        return torch.tensor(C)

    rule.step(closure)
    theirs = f(theta.detach().numpy())[0]
    state = rule.state[theta]
    trainer = cr.Trainer(net, cr.LBFGS(**options))
    history = trainer.fit(X, Y, 200)
    assert history.cost[-1] <= theirs * (1 + (1e-6 if name == "linear" else 0.1))
    per_iteration = state["func_evals"] / state["n_iter"]
    assert trainer._engine.evaluations / len(history.cost) < 1.3 * per_iteration
    assert 0.5 < len(history.cost) / state["n_iter"] < 2


def classes(net, X):
    return np.random.default_rng(1).integers(0, net.n[-1], len(X))


LOSSES = ["mse", "huber", "log_cosh", "poisson", "binary_cross_entropy", "cross_entropy"]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_smooth_loss_with_weights(loss, weighted):
    rng = np.random.default_rng(6)
    net = cr.Network([cr.Dense(5, "tanh"), cr.Dense(3)], 4, "float64", seed=2)
    X = rng.normal(size=(40, 4))
    Y = classes(net, X) if loss == "cross_entropy" else rng.uniform(size=(40, 3))
    how = {"loss": loss, "sample_weight": rng.uniform(0.5, 2, 40) if weighted else None}
    found = scipy_minimum(objective(net, X, Y, **how), net.theta.copy(), 25)
    trainer = cr.Trainer(net, cr.LBFGS(), loss)
    history = trainer.fit(X, Y, 25, sample_weight=how["sample_weight"])
    assert history.cost[-1] == pytest.approx(net.cost(X, Y, **how), rel=1e-14)
    start = history.cost[0]
    assert start - history.cost[-1] > 0.8 * (start - found.fun)


def test_a_row_of_weight_2_is_the_row_twice():
    net, X, Y = sine()
    twin = net.copy()
    weight = np.ones(len(X))
    weight[:20] = 2
    net.fit(X, Y, epochs=12, optimizer=cr.LBFGS(), sample_weight=weight)
    twin.fit(np.vstack([X, X[:20]]), np.vstack([Y, Y[:20]]), epochs=12, optimizer=cr.LBFGS())
    np.testing.assert_allclose(net.theta, twin.theta, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("per_row", [False, True])
def test_ridge_regression(per_row):
    net, X, Y = linear()
    m, l2 = len(X), 3.0 if per_row else 0.06
    trainer = cr.Trainer(net, cr.LBFGS(**TIGHT), l2=l2, per_row=per_row)
    history = trainer.fit(X, Y, 200)
    decay = l2 / m if per_row else l2
    A = np.column_stack([X, np.ones(m)])
    penalty = np.diag([decay] * 4 + [0])  # the bias is free
    right = np.linalg.solve(2 / Y.size * A.T @ A + penalty, 2 / Y.size * A.T @ Y)
    np.testing.assert_allclose(net.W[1].T, right[:-1], atol=1e-7)
    np.testing.assert_allclose(net.b[1], right[-1], atol=1e-7)
    objective = net.cost(X, Y) + decay / 2 * np.sum(np.square(net.W[1]))
    assert history.cost[-1] == pytest.approx(objective, rel=1e-14)


def test_a_decay_of_many_weights_counts_each_once():
    X, Y = np.zeros((3, 2)), np.zeros((3, 1))
    net = cr.Network([cr.Dense(5000, "tanh"), cr.Dense(1)], 2, "float64", seed=1)
    W = [np.array(net.W[l]) for l in (1, 2)]
    trainer = cr.Trainer(net, cr.LBFGS(), l2=0.5)
    expected = net.cost(X, Y) + 0.25 * sum(np.sum(w * w) for w in W)
    assert trainer.step(X, Y) == pytest.approx(expected, rel=1e-12)
    s = [np.array(net.W[l] - W[l - 1]) for l in (1, 2)]
    # The slope of C is 0 for zeros: a step along -w for all weights alike.
    for w, change in zip(W, s, strict=True):
        np.testing.assert_allclose(change, w * (change.ravel() @ w.ravel() / np.sum(w * w)))
    assert s[0].ravel() @ W[0].ravel() < 0


def test_single_precision_gets_near():
    net, X, Y = linear()
    small = net.copy("float32")
    h = net.fit(X, Y, epochs=200, optimizer=cr.LBFGS())
    h_small = small.fit(X, Y, epochs=200, optimizer=cr.LBFGS())
    assert h_small.cost[-1] == pytest.approx(h.cost[-1], rel=1e-6)
    np.testing.assert_allclose(small.theta, net.theta, atol=2e-3)
    assert h_small.stopped in {"gradient", "change", "line_search"}


# -------------------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_some_epochs_and_some_more_are_all_at_once(dtype):
    net, X, Y = sine(dtype=dtype)
    twin, third = net.copy(), net.copy()
    whole = net.fit(X, Y, epochs=20, optimizer=cr.LBFGS())
    trainer = cr.Trainer(twin, cr.LBFGS())
    parts = [trainer.fit(X, Y, epochs=10) for _ in range(2)]
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert [*parts[0].cost, *parts[1].cost] == whole.cost
    assert trainer.epochs == 20
    stepwise = cr.Trainer(third, cr.LBFGS())
    before = [third.cost(X, Y), *whole.cost[:-1]]
    assert [stepwise.step(X, Y) for _ in range(20)] == before
    assert third.theta.tobytes() == net.theta.tobytes()
    assert whole.cost[-1] == net.cost(X, Y)


def test_batches_order_and_seed_have_no_say():
    seen = set()
    for how in ({}, {"batch_size": 7}, {"shuffle": False}, {"seed": 9, "batch_size": 10**6}):
        net, X, Y = diabetes()
        net.fit(X, Y, epochs=8, optimizer=cr.LBFGS(), **how)
        seen.add(net.theta.tobytes())
    assert len(seen) == 1


@pytest.mark.parametrize("widths", [(5, 7, 2), (40, 64, 64, 2), (30, 1200, 1100, 3)], ids=str)
def test_same_bits_on_any_threads_and_instruction_sets(widths):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(300, widths[0])), rng.normal(size=(300, widths[-1]))
    layers = [cr.Dense(n, "tanh") for n in widths[1:-1]] + [cr.Dense(widths[-1])]
    threads, isa = cr.get_num_threads(), cr.info()["isa"]
    sets = [name for name in cr.info()["isas_detected"] if name != "baseline"] or [isa]
    seen = set()
    try:
        for name, count in itertools.product(sets, (1, 2, 3)):
            cr.set_isa(name)
            cr.set_num_threads(count)
            net = cr.Network(layers, widths[0], seed=1)
            net.fit(X, Y, epochs=4, optimizer=cr.LBFGS(history_size=2))
            seen.add(net.theta.tobytes())
    finally:
        cr.set_isa(isa)
        cr.set_num_threads(threads)
    assert len(seen) == 1


# ----------------------------------------------------------------------------------- every end


def test_the_gradient_is_small():
    net, X, Y = linear()
    history = net.fit(X, Y, epochs=200, optimizer=cr.LBFGS(tolerance_grad=1e-3))
    assert history.stopped == "gradient"
    assert np.abs(net.gradient(X, Y).theta).max() <= 1e-3
    assert history.reason == (
        f"No slope is above tolerance_grad any more after {len(history.cost)} iterations: "
        "a minimum, or flat ground."
    )
    theta = net.theta.copy()
    again = net.fit(X, Y, epochs=200, optimizer=cr.LBFGS(tolerance_grad=1e-3))
    assert len(again.cost) == 1  # one look, nothing to do
    assert "after 1 iteration:" in again.reason
    assert net.theta.tobytes() == theta.tobytes()


def test_nothing_changes_any_more():
    net, X, Y = sine()
    history = net.fit(X, Y, epochs=500, optimizer=cr.LBFGS(tolerance_change=1e-5))
    assert history.stopped == "change"
    assert "tolerance_change" in history.reason
    C, before = history.cost[-1], history.cost[-2]
    assert before - C <= 1e-5 < history.cost[0] - C


def test_nothing_lower_is_found():
    # |w| at 0: the slope says there is something lower on one side, and there is not.
    net = cr.Network([cr.Dense(1)], 1, "float64")
    net.theta[...] = 0
    X, Y = np.array([[1.0], [-1.0], [0.0]]), np.array([[1e-300], [1e-300], [0.0]])
    history = net.fit(X, Y, epochs=50, optimizer=cr.LBFGS(**TIGHT), loss="mae")
    assert history.stopped == "line_search"
    assert len(history.cost) == 1
    assert "no lower cost" in history.reason
    assert "float64" in history.reason
    assert (net.theta == 0).all()


def test_all_epochs_are_done():
    net, X, Y = sine()
    history = net.fit(X, Y, epochs=3, optimizer=cr.LBFGS())
    assert (history.stopped, len(history.cost)) == ("epochs", 3)
    assert history.reason.startswith("All 3 epochs are done. The cost still fell, by ")
    assert history.reason.endswith("over the last 1 epoch: try more epochs.")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_finite_cost_to_begin_with(dtype, unchanged):
    net, X, Y = sine(dtype=dtype)
    trainer = cr.Trainer(net, cr.LBFGS())
    trainer.step(X, Y)
    state = [part.tobytes() for part in trainer.state]
    huge = np.full_like(Y, np.finfo(dtype).max / 2)
    with unchanged(net):
        with pytest.raises(cr.DivergedError, match="training diverged in epoch 1 of 5") as error:
            trainer.fit(X, huge, epochs=5)
        with pytest.raises(cr.DivergedError, match="step 2 diverged"):
            trainer.step(X, huge)
    assert "scale the data" in str(error.value)
    assert "learning_rate" not in str(error.value)
    assert [part.tobytes() for part in trainer.state] == state
    trainer.fit(X, Y, epochs=2)
    assert trainer.epochs == 2


def test_a_finite_cost_without_a_finite_gradient(unchanged):
    net = cr.Network([cr.Dense(1)], 1, "float32")
    net.theta[...] = 0
    net.W[1][...] = 1e-33
    X, Y = np.array([[1e38]]), np.array([[0.0]])
    assert net.cost(X, Y) == pytest.approx(1e10, rel=1e-5)
    trainer = cr.Trainer(net, cr.LBFGS())
    with unchanged(net):
        with pytest.raises(cr.DivergedError, match="step 1 diverged"):
            trainer.step(X, Y)
        with pytest.raises(cr.DivergedError, match="diverged in epoch 1"):
            trainer.fit(X, Y, epochs=3)


def test_a_first_step_that_is_much_too_long():
    net, X, Y = sine(dtype="float32")
    start = net.cost(X, Y)
    history = net.fit(X, Y, epochs=30, optimizer=cr.LBFGS(1e30, max_line_search=200))
    assert history.cost[-1] < 0.5 * start
    assert all(b <= a for a, b in itertools.pairwise(history.cost))


def test_a_callback_stops_or_moves_the_parameters():
    net, X, Y = sine()
    twin = net.copy()
    history = net.fit(
        X, Y, epochs=50, optimizer=cr.LBFGS(), callbacks=[lambda _, h: len(h.cost) == 4]
    )
    assert (history.stopped, len(history.cost)) == ("callback", 4)
    twin.fit(X, Y, epochs=4, optimizer=cr.LBFGS())
    assert net.theta.tobytes() == twin.theta.tobytes()

    elsewhere, at = sine()[0].theta * 2 + 0.3, []

    def move(net, history):
        at.append(net.theta.copy())
        if len(history.cost) == 3:
            net.theta[...] = elsewhere

    history = net.fit(X, Y, epochs=8, optimizer=cr.LBFGS(), callbacks=[move])
    f = objective(net, X, Y)
    (C_0, g_0), (C_1, g_1), s = f(elsewhere), f(at[3]), at[3] - elsewhere
    assert history.cost[3] == C_1 <= C_0 + 1e-4 * (g_0 @ s) < C_0
    assert abs(g_1 @ s) <= 0.9 * abs(g_0 @ s)


def test_an_exception_of_a_callback_arrives():
    net, X, Y = sine()
    twin = net.copy()

    def stumble(_, history):
        if len(history.cost) == 3:
            raise KeyError("mine")

    trainer = cr.Trainer(net, cr.LBFGS())
    with pytest.raises(KeyError, match="mine"):
        trainer.fit(X, Y, epochs=9, callbacks=[stumble])
    assert trainer.epochs == 3
    trainer.fit(X, Y, epochs=6)
    twin.fit(X, Y, epochs=9, optimizer=cr.LBFGS())
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_other_rows_in_the_next_step():
    net, X, Y = sine()
    trainer = cr.Trainer(net, cr.LBFGS())
    for rows in (slice(0, 30), slice(30, 60), slice(10, 50)):
        before = net.theta.copy()
        f = objective(net, X[rows], Y[rows])
        assert trainer.step(X[rows], Y[rows]) == f(before)[0]
        s = net.theta - before
        assert f(net.theta)[0] <= f(before)[0] + 1e-4 * (f(before)[1] @ s) < f(before)[0]


def test_validation_and_early_stopping():
    net, X, Y = diabetes(units=20)
    costs = []
    history = net.fit(
        X[:100],
        Y[:100],
        epochs=400,
        optimizer=cr.LBFGS(),
        validation_data=(X[100:], Y[100:]),
        early_stopping=cr.EarlyStopping(patience=5),
        callbacks=[lambda net, _: costs.append(net.cost(X[100:], Y[100:]))],
    )
    assert history.stopped == "early_stopping"
    assert history.val_cost == costs
    assert len(costs) < 100
    assert net.cost(X[100:], Y[100:]) == min(history.val_cost)


def test_ctrl_c_ends_a_fit_at_the_last_finished_iteration():
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(20_000, 50)), rng.normal(size=(20_000, 2))
    layers = [cr.Dense(100, "tanh"), cr.Dense(100, "tanh"), cr.Dense(2)]
    net = cr.Network(layers, 50, "float64", seed=0)
    twin = net.copy()
    trainer = cr.Trainer(net, cr.LBFGS(**TIGHT))
    threading.Timer(0.5, _thread.interrupt_main).start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, Y, epochs=10**6)
    assert time.perf_counter() - start < 5
    assert 0 < trainer.epochs < 10**4
    twin.fit(X, Y, epochs=trainer.epochs, optimizer=cr.LBFGS(**TIGHT))
    assert net.theta.tobytes() == twin.theta.tobytes()


# --------------------------------------------------------------------------------- the package


def test_scaled_data():
    net, X, Y = sine()
    twin = net.copy()
    X_big, Y_big = 50 + 7 * X, 1000 * Y - 3
    net.scaling = cr.Scaling.fit(X_big, Y_big)
    scaled = net.fit(X_big, Y_big, epochs=15, optimizer=cr.LBFGS())
    z = [(a - a.mean(axis=0)) / a.std(axis=0) for a in (X_big, Y_big)]
    plain = twin.fit(*z, epochs=15, optimizer=cr.LBFGS())
    np.testing.assert_allclose(scaled.cost, plain.cost, rtol=1e-6)
    trainer = cr.Trainer(net, cr.LBFGS())
    assert trainer.step(X_big, Y_big) == pytest.approx(scaled.cost[-1], rel=1e-12)


def test_the_state_is_what_is_remembered():
    net, X, Y = sine()
    trainer = cr.Trainer(net, cr.LBFGS(history_size=3))
    assert trainer.state == ()
    before = [net.theta.copy()]
    for _ in range(5):
        trainer.step(X, Y)
        before.append(net.theta.copy())
    assert len(trainer.state) == 6
    for k in range(3):
        assert (trainer.state[2 * k] == before[3 + k] - before[2 + k]).all()
    with pytest.raises(ValueError, match="read-only"):
        trainer.state[0][0] = 1
    trainer.learning_rate = 0.5
    assert trainer.learning_rate == 0.5


def test_what_is_shown():
    assert repr(cr.LBFGS(history_size=20)) == (
        "LBFGS(learning_rate=1.0, history_size=20, tolerance_grad=1e-07, tolerance_change=1e-09, "
        "max_line_search=25)"
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cr.LBFGS(0), "learning_rate must be above 0 and finite, got 0"),
        (lambda: cr.LBFGS(cr.Cosine(0.1, epochs=5)), "a line search chooses the step"),
        (lambda: cr.LBFGS(history_size=0), "history_size must be at least 1, got 0"),
        (lambda: cr.LBFGS(history_size=2.5), "history_size must be a whole number, got 2.5"),
        (lambda: cr.LBFGS(history_size=2**31), "history_size must be at most"),
        (lambda: cr.LBFGS(max_line_search=True), "max_line_search must be a whole number"),
        (lambda: cr.LBFGS(tolerance_grad=-1), "tolerance_grad must be at least 0 and finite"),
        (lambda: cr.LBFGS(tolerance_change=np.nan), "tolerance_change must be at least 0"),
    ],
)
def test_wrong_arguments(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()


def test_what_has_no_gradient_to_follow_is_refused(unchanged):
    net, X, Y = sine()
    dropping = cr.Network([cr.Dense(8, "tanh", dropout=0.1), cr.Dense(1)], 1)
    with unchanged(net):
        with pytest.raises(TypeError, match=r"LBFGS\(\) evaluates the cost in the core"):
            net.fit(X, Y, optimizer=cr.LBFGS(), loss=lambda a, Y: (0.0, a - Y))
        with pytest.raises(ValueError, match=r"l1 must be 0 with LBFGS, got 0.1"):
            net.fit(X, Y, optimizer=cr.LBFGS(), l1=0.1)
    with unchanged(dropping), pytest.raises(ValueError, match="a layer has dropout"):
        dropping.fit(X, Y, optimizer=cr.LBFGS())
