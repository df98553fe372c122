"""Learning rates that change: PyTorch's formulas, and that a fit uses them step by step."""

import itertools
import math

import numpy as np
import pytest

import chainrule as cr

STEPS = 7  # of an epoch


def rates(schedule, epochs):
    return schedule.rates(np.arange(epochs * STEPS), STEPS)


def in_torch(make, start, epochs, every_step=False):
    """The rates of PyTorch's scheduler, one for each step."""
    torch = pytest.importorskip("torch")
    rule = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))], lr=start)
    scheduler = make(torch.optim.lr_scheduler, rule)
    seen = []
    for k in range(epochs * STEPS):
        seen.append(rule.param_groups[0]["lr"])
        rule.step()
        last_of_scheduler = every_step and k + 1 == epochs * STEPS
        if (every_step or (k + 1) % STEPS == 0) and not last_of_scheduler:
            scheduler.step()
    return seen


def test_step_decay_like_pytorch():
    theirs = in_torch(lambda s, rule: s.StepLR(rule, step_size=3, gamma=0.3), 0.2, 11)
    np.testing.assert_allclose(rates(cr.StepDecay(0.2, every=3, factor=0.3), 11), theirs, 1e-13)


def test_cosine_like_pytorch():
    theirs = in_torch(lambda s, rule: s.CosineAnnealingLR(rule, T_max=10, eta_min=0.01), 0.2, 11)
    ours = rates(cr.Cosine(0.2, epochs=10, end=0.01), 14)
    np.testing.assert_allclose(ours[: len(theirs)], theirs, 1e-12)
    np.testing.assert_array_equal(ours[len(theirs) :], 0.01)  # PyTorch's would rise again


def test_warmup_like_pytorch():
    def make(s, rule):
        return s.LinearLR(rule, start_factor=0.05, total_iters=2 * STEPS)

    theirs = in_torch(make, 0.2, 5, every_step=True)
    np.testing.assert_allclose(rates(cr.Warmup(0.2, epochs=2, first_part=0.05), 5), theirs, 1e-12)
    # What follows begins where the line ends.
    then = cr.StepDecay(0.2, every=1, factor=0.5)
    ours = rates(cr.Warmup(then, epochs=2, first_part=0.05), 5)
    np.testing.assert_allclose(ours[2 * STEPS :], rates(then, 3), 1e-13)
    np.testing.assert_allclose(ours[: 2 * STEPS], theirs[: 2 * STEPS], 1e-12)


@pytest.mark.parametrize("options", [{}, {"rising": 0.5, "start_divisor": 5, "end_divisor": 100}])
def test_one_cycle_like_pytorch(options):
    def make(s, rule):
        return s.OneCycleLR(
            rule,
            max_lr=0.4,
            total_steps=6 * STEPS,
            pct_start=options.get("rising", 0.3),
            div_factor=options.get("start_divisor", 25),
            final_div_factor=options.get("end_divisor", 1e4),
            cycle_momentum=False,
        )

    theirs = in_torch(make, 0.1, 6, every_step=True)
    ours = rates(cr.OneCycle(0.4, epochs=6, **options), 8)
    np.testing.assert_allclose(ours[: len(theirs)], theirs, 1e-9)
    np.testing.assert_allclose(ours[len(theirs) :], theirs[-1], 1e-9)


def test_plateau_like_pytorch():
    torch = pytest.importorskip("torch")
    from chainrule.schedules import Plateau  # noqa: PLC0415

    costs = [1, 0.5, 0.5, 0.49999, 0.4999, 0.49995, 0.6, 0.1, *([0.1] * 12), 0.05, *([0.05] * 9)]
    rule = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        rule, factor=0.3, patience=2, threshold=1e-4, min_lr=0.001
    )
    ours = Plateau(cr.ReduceOnPlateau(0.2, factor=0.3, patience=2, threshold=1e-4, least=0.001))
    for cost in costs:
        theirs.step(cost)
        assert ours.after(cost) == pytest.approx(rule.param_groups[0]["lr"], rel=1e-12)
    assert ours.rate == 0.001


def test_a_plateau_of_costs_of_any_sign():
    from chainrule.schedules import Plateau  # noqa: PLC0415

    level = Plateau(cr.ReduceOnPlateau(0.2, factor=0.5, patience=5))
    assert [level.after(-2.0) for _ in range(12)] == [0.2] * 6 + [0.1] * 6
    # A fall is one by a tenth of the size of the lowest, on both sides of 0.
    watched = Plateau(cr.ReduceOnPlateau(0.2, patience=99, threshold=0.1))
    waited = []
    for cost in (1.0, 0.95, 0.85, -1.0, -1.05, -1.15, -1.2, -1.3):
        watched.after(cost)
        waited.append(watched.waited)
    assert waited == [0, 1, 0, 0, 1, 0, 1, 0]


def problem(m=21):
    rng = np.random.default_rng(3)
    net = cr.Network([cr.Dense(7, "tanh"), cr.Dense(2)], 5, dtype="float64", seed=2)
    return net, rng.normal(size=(m, 5)), rng.normal(size=(m, 2))


SCHEDULES = [
    cr.StepDecay(0.1, every=1, factor=0.5),
    cr.Cosine(0.1, epochs=3),
    cr.Warmup(cr.Cosine(0.1, epochs=2), epochs=2),
    cr.OneCycle(0.1, epochs=4),
]


@pytest.mark.parametrize("kind", [cr.SGD, cr.Adam])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_a_fit_takes_the_rate_of_each_step(schedule, kind):
    net, X, Y = problem()
    twin = net.copy()
    net.fit(X, Y, epochs=4, batch_size=5, optimizer=kind(schedule), shuffle=False)
    trainer = cr.Trainer(twin, kind(schedule.first))
    steps = math.ceil(len(X) / 5)
    for k, rate in enumerate(schedule.rates(np.arange(4 * steps), steps)):
        if rate == 0:  # the end of a cosine, where nothing moves any more
            break
        trainer.learning_rate = rate
        rows = slice(k % steps * 5, (k % steps + 1) * 5)
        trainer.step(X[rows], Y[rows])
    assert net.theta.tobytes() == twin.theta.tobytes()


@pytest.mark.parametrize("validation", [False, True])
def test_a_plateau_looks_at_the_validation_cost_first(validation):
    net, X, Y = problem()
    seen = []
    # A validation set that gets worse from the first epoch on.
    X_val, Y_val = X, net(X)
    net.fit(
        X,
        Y,
        epochs=12,
        batch_size=21,
        optimizer=cr.SGD(cr.ReduceOnPlateau(0.05, factor=0.5, patience=0)),
        validation_data=(X_val, Y_val) if validation else None,
        callbacks=[lambda net, history: seen.append(net.theta.copy())],
    )
    steps = [np.abs(after - before).max() for before, after in itertools.pairwise(seen)]
    if validation:
        assert steps[-1] < steps[0] / 100
    else:
        assert steps[-1] > steps[0] / 10


def test_a_step_takes_a_number():
    net, X, Y = problem()
    with pytest.raises(TypeError, match=r"set trainer.learning_rate between the steps"):
        cr.Trainer(net, cr.SGD(cr.Cosine(0.1, epochs=3))).step(X, Y)
    trainer = cr.Trainer(net, cr.SGD(0.1))
    assert trainer.learning_rate == 0.1
    for wrong in (0, -1, math.nan, math.inf, 10**400):
        with pytest.raises(ValueError, match="learning_rate must be above 0 and finite"):
            trainer.learning_rate = wrong
    with pytest.raises(TypeError, match="learning_rate must be a real number, got '1'"):
        trainer.learning_rate = "1"
    assert trainer.learning_rate == 0.1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cr.StepDecay(0, every=1), r"start must be in \(0, inf\), got 0.0"),
        (lambda: cr.StepDecay(0.1, every=0), "every must be at least 1, got 0"),
        (lambda: cr.StepDecay(0.1, every=1, factor=1), r"factor must be in \(0, 1\), got 1.0"),
        (lambda: cr.Cosine(0.1, epochs=1.5), "epochs must be a whole number, got 1.5"),
        (lambda: cr.Cosine(0.1, epochs=5, end=0.2), r"end must be in \[0, 0.1\], got 0.2"),
        (lambda: cr.Warmup("fast", epochs=1), "then must be a real number, got 'fast'"),
        (lambda: cr.Warmup(cr.ReduceOnPlateau(0.1), epochs=1), "then must be a rate or a schedule"),
        (lambda: cr.OneCycle(0.1, epochs=2, start_divisor=0.5), r"start_divisor must be in \(1,"),
        (lambda: cr.ReduceOnPlateau(0.1, patience=-1), "patience must be at least 0, got -1"),
        (lambda: cr.SGD(cr.Cosine), "learning_rate must be a real number"),
    ],
)
def test_wrong_arguments(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()
