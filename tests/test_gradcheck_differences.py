"""Differences of costs that are not networks': steps, kinks that nobody names, planted mistakes."""

import importlib
import math

import numpy as np
import pytest

room = importlib.import_module("chainrule.gradcheck.differences")
scan_room = importlib.import_module("chainrule.gradcheck.scan")
parameters_room = importlib.import_module("chainrule.gradcheck.parameters")
EPS = np.finfo(float).eps


def check(cost, theta, got, rounding=None, blocks=None):
    """Differences of cost(theta), a function of one array, against `got`; theta must come back."""
    theta = np.array(theta, float)
    before = theta.copy()
    parts = np.split(theta, blocks or [])  # views: one block each
    parameters = parameters_room.Parameters(
        [(f"p{i}", part, None, "") for i, part in enumerate(parts)]
    )
    got = np.array(got, float)
    found = room.differences(
        parameters,
        lambda: cost(theta),
        got,
        np.arange(len(theta)),
        largest=float(np.abs(got).max()),
        rounding=4 * EPS * abs(cost(theta)) if rounding is None else rounding,
    )
    np.testing.assert_array_equal(theta, before)
    if np.isfinite(cost(theta)):
        np.testing.assert_array_equal(np.isnan(found.numeric), found.kink)
        np.testing.assert_array_equal(np.isnan(found.steps), found.kink)
    assert not (found.kink & found.wrong).any()
    return found


# Smooth costs: by formulas whose derivatives are known

SMOOTH = {
    "sin": (lambda t: np.sin(t).sum(), np.cos),
    "exp": (lambda t: np.exp(t).sum(), np.exp),
    "cubic": (lambda t: (t**3).sum() + 5, lambda t: 3 * t**2),
    "square": (lambda t: 0.5 * (t**2).sum(), lambda t: t),
    "linear": (lambda t: 3 * t.sum() - 2, lambda t: 3 + 0 * t),
    "tanh of 1e6 t": (lambda t: np.tanh(1e6 * t).sum(), lambda t: 1e6 / np.cosh(1e6 * t) ** 2),
    "sin of 1e-4 t": (lambda t: 1e4 * np.sin(1e-4 * t).sum(), lambda t: np.cos(1e-4 * t)),
    "steep softplus": (
        lambda t: np.logaddexp(0, 1e4 * t).sum() / 1e4,
        lambda t: 1 / (1 + np.exp(-1e4 * t)),
    ),
    "valley": (lambda t: np.sqrt(1e-8 + t**2).sum(), lambda t: t / np.sqrt(1e-8 + t**2)),
    "saturated far away": (
        lambda t: (np.tanh(1e5 * t - 0.3) ** 2).sum(),
        lambda t: 2e5 * np.tanh(1e5 * t - 0.3) / np.cosh(1e5 * t - 0.3) ** 2,
    ),
}
POINTS = {
    "sin": [0.0, 0.3, -2.0, 40.0],
    "exp": [0.0, -3.0, 2.0, 5.0],
    "cubic": [0.0, 1.0, -0.2, 7.0],
    "square": [1e-3, 1.0, -0.2, 7.0],
    "linear": [0.0, 1.0, -1e-3, 1e3],
    "tanh of 1e6 t": [0.0, 1e-6, -5e-7, 2e-6],
    "sin of 1e-4 t": [0.0, 1e4, -5e3, 1.0],
    "steep softplus": [0.0, 1e-5, -2e-5, 0.1],
    "valley": [0.0, 1e-6, -3e-5, 0.1],
    "saturated far away": [0.0, 1e-6, -3e-6, 1e-5],
}


@pytest.mark.parametrize("name", SMOOTH)
def test_right_gradients_of_smooth_costs_agree(name):
    cost, gradient = SMOOTH[name]
    found = check(cost, POINTS[name], gradient(np.array(POINTS[name])))
    assert not found.wrong.any()
    assert not found.kink.any()
    right = gradient(np.array(POINTS[name]))
    np.testing.assert_allclose(found.numeric, right, rtol=1e-6, atol=1e-8 * np.abs(right).max())


@pytest.mark.parametrize("error", [3e-6, 1e-5, 1e-3, 0.1, 0.5, 1.0, -1e-5, -0.5, -1.0, -2.0])
@pytest.mark.parametrize("name", SMOOTH)
def test_a_mistake_at_a_smooth_place_is_never_taken_for_a_kink(name, error):
    cost, gradient = SMOOTH[name]
    right = gradient(np.array(POINTS[name]))
    for p in range(len(right)):
        got = right.copy()
        got[p] += error * (abs(got[p]) + max(1.0, np.abs(right).max()))
        found = check(cost, POINTS[name], got)
        assert found.wrong.tolist() == [i == p for i in range(len(right))]
        assert not found.kink.any()


def test_random_mistakes_between_the_slopes_are_never_taken_for_kinks():
    """Steep and gentle softplus: with a large step its two slopes are apart, but not with a small.

    What is said is between the slopes of that large step.
    """
    rng = np.random.default_rng(0)
    for _ in range(60):
        beta = 10 ** rng.uniform(0, 5)
        theta = rng.normal(size=3) * 10 ** rng.uniform(-6, 0)
        C = 10 ** rng.uniform(-3, 3)

        def cost(t, beta=beta, C=C):
            return np.logaddexp(0, beta * t).sum() / beta + C

        right = (1 + np.tanh(beta * theta / 2)) / 2
        got = right.copy()
        got[1] = rng.choice([0.0, 1.0, 0.5, rng.uniform()])
        if abs(got[1] - right[1]) < 1e-3:
            continue
        found = check(cost, theta, got)
        assert found.wrong.tolist() == [False, True, False], (beta, theta, got)


def test_a_gradient_of_zeros_is_wrong():
    cost, gradient = SMOOTH["sin"]
    found = check(cost, [0.1, 0.2, 1.0], [0.0, 0.0, 0.0])
    assert found.wrong.all()
    np.testing.assert_allclose(found.numeric, gradient(np.array([0.1, 0.2, 1.0])), rtol=1e-8)


# Kinks: |t - c|, and more of them


def kinked(t, at=0.0, left=-1.0, right=1.0):
    """Slope `left` below `at`, `right` above it, and something smooth."""
    d = t - at
    return np.where(d < 0, left * d, right * d).sum() + np.sin(t).sum()


@pytest.mark.parametrize("said", [-1.0, 1.0, 0.0, 0.3])
@pytest.mark.parametrize("distance", [0.0, 1e-14, 1e-12])
@pytest.mark.parametrize("at", [1.0, -300.0])
def test_a_kink_within_reach_is_left_out(said, distance, at):
    theta = [at + distance, at + 2.0]
    got = np.add(np.cos(theta), [said, 1.0])
    found = check(lambda t: kinked(t, at), theta, got)
    assert not found.wrong.any()
    # What is the mean of both slopes agrees with the difference.
    assert found.kink.tolist() == [said != 0, False]


@pytest.mark.parametrize("said", [-1.0, 1.0, 0.3])
def test_a_kink_exactly_at_0(said):
    found = check(kinked, [0.0, 2.0], np.add(np.cos([0.0, 2.0]), [said, 1.0]))
    assert not found.wrong.any()
    assert found.kink.tolist() == [True, False]
    # Numbers near 0 are fine enough to see both sides of a kink that is 1e-9 away.
    found = check(kinked, [1e-9, 2.0], np.add(np.cos([0.0, 2.0]), [said, 1.0]))
    assert found.wrong.tolist() == [said != 1, False]
    assert not found.kink.any()


@pytest.mark.parametrize("said", [-1.1, 1.1, 3.0, -5.0, 1.001, math.nan, math.inf])
def test_a_gradient_outside_the_slopes_of_a_kink_is_wrong(said):
    got = np.add(np.cos([0.0, 2.0]), [said, 1.0])
    found = check(kinked, [0.0, 2.0], got, rounding=1e-15)
    assert found.wrong.tolist() == [True, False] or not np.isfinite(said)
    assert found.wrong[0]
    assert not found.kink.any()


@pytest.mark.parametrize("distance", [1e-7, 1e-6, 3e-6, 1e-5, 1e-4, 1e-3, -1e-6, -1e-4])
@pytest.mark.parametrize("left", [-1.0, 0.0, 0.9])
def test_a_kink_beside_theta_is_gone_around(distance, left):
    slope = 1.0 if distance > 0 else left
    theta = [distance, 2.0]
    found = check(lambda t: kinked(t, 0.0, left), theta, np.add(np.cos(theta), [slope, 1.0]))
    assert not found.wrong.any()
    assert not found.kink.any()
    # The slope on the other side of the kink is wrong here, and so is one between.
    for said in (left if distance > 0 else 1.0, (left + 1) / 2):
        found = check(lambda t: kinked(t, 0.0, left), theta, np.add(np.cos(theta), [said, 1.0]))
        assert found.wrong.tolist() == [True, False]
        assert not found.kink.any()


def test_many_kinks_of_relu_units():
    """Sums of relu of random lines: some exactly at their kink, some near, most away."""
    rng = np.random.default_rng(1)
    w, c = rng.normal(size=(200, 6)), rng.normal(size=200)
    theta = rng.normal(size=6)
    c[:3] = -w[:3] @ theta  # at their kinks, up to rounding
    c[3:6] = -w[3:6] @ theta + 1e-5
    on = (w @ theta + c) > 0

    def cost(t):
        return np.maximum(w @ t + c, 0).mean()

    got = w[on].sum(axis=0) / 200
    found = check(cost, theta, got)
    assert not found.wrong.any()
    wrong = got.copy()
    wrong[2] += 0.5
    found = check(cost, theta, wrong)
    assert found.wrong.tolist() == [i == 2 for i in range(6)]


def test_jumps_of_the_cost_are_not_kinks():
    found = check(lambda t: np.where(t > 0, 1.0, 0.0).sum() + t.sum(), [0.0, 1.0], [1.0, 1.0])
    assert found.wrong[0]
    assert not found.kink.any()


def test_kinks_are_found_by_slopes_that_stay_apart(monkeypatch):
    """Planted: without that rule the check would cry out at a kink."""
    monkeypatch.setattr(scan_room.Curve, "kink", lambda self: None)
    assert check(kinked, [0.0, 2.0], np.add(np.cos([0.0, 2.0]), [1.0, 1.0])).wrong[0]


# Steps


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3, 1.0, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("name", ["sin", "exp", "cubic"])
def test_steps_scale_with_the_parameters(name, scale):
    cost, gradient = SMOOTH[name]
    theta = np.array([0.3, -1.0, 0.7, 0.0])
    found = check(lambda t: cost(t / scale), theta * scale, gradient(theta) / scale)
    assert not found.wrong.any()
    assert not found.kink.any()
    g = gradient(theta) / scale
    np.testing.assert_allclose(found.numeric, g, rtol=1e-6, atol=1e-8 * max(1, np.abs(g).max()))
    assert (found.steps / scale > 1e-8).all()
    assert (found.steps / scale < 1e-1).all()


def test_the_chosen_step_is_near_the_best():
    """The error at the chosen step against the errors at all steps, with the exact derivative."""
    for name in ("sin", "exp", "cubic", "tanh of 1e6 t", "steep softplus", "valley"):
        cost, gradient = SMOOTH[name]
        for value in POINTS[name]:
            g = float(gradient(np.array(value)))
            found = check(lambda t, cost=cost: cost(t) + 1, [value], [g])

            def error(h, cost=cost, value=value, g=g):
                up, down = (cost(np.array([value + s])) + 1 for s in (h, -h))
                return abs((up - down) / ((value + h) - (value - h)) - g)

            best = min(error(h) for h in 10.0 ** np.arange(-13, 0, 0.25))
            assert not found.wrong.any()
            # A hundredth of what is allowed is good enough; rounding is rather overrated.
            assert abs(found.numeric[0] - g) <= 300 * best + 1e-8 * abs(g) + 1e-12


def test_blocks_have_their_own_steps():
    found = check(
        lambda t: np.sin(1e6 * t[0]) + np.sin(1e6 * t[1]) + np.sin(t[2]) + np.sin(t[3]),
        [1e-6, 2e-6, 1.0, 2.0],
        [1e6 * np.cos(1.0), 1e6 * np.cos(2.0), np.cos(1.0), np.cos(2.0)],
        blocks=[2],
    )
    assert not found.wrong.any()
    blocks = parameters_room.Parameters(
        [("a", np.zeros(2), None, ""), ("b", np.zeros(2), None, "")]
    ).blocks
    first, second = (found.step(block) for block in blocks)
    assert first < 1e-9
    assert 1e-7 < second < 1e-2


@pytest.mark.parametrize("rounding", [1e-7, 0.0])
def test_noisy_costs_get_larger_steps(rounding):
    """A cost in float32: differences with 6e-6 would be off by a percent."""

    def cost(t):
        return float(np.float32(np.sin(t).sum()))

    theta = np.array([0.3, 1.0])
    found = check(cost, theta, np.cos(theta), rounding=rounding)
    assert not found.wrong.any()
    assert (found.steps > 1e-4).all()
    np.testing.assert_allclose(found.numeric, np.cos(theta), rtol=2e-3)
    assert check(cost, theta, 1.1 * np.cos(theta), rounding=rounding).wrong.all()


def test_nothing_depends_on_nothing():
    found = check(lambda _: 7.0, [0.0, 1.0], [0.0, 0.0])
    assert not found.wrong.any()
    assert check(lambda _: 7.0, [0.0, 1.0], [0.0, 1e-3]).wrong.tolist() == [False, True]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_costs_that_are_not_finite(value):
    found = check(lambda t: value * t.sum() + value, [1.0, 2.0], [1.0, 1.0], rounding=1e-15)
    assert found.wrong.all()
    # Only far away: the smaller steps are as good as ever.
    found = check(lambda t: np.where(t < 1.001, np.sin(t), value).sum(), [1.0], [np.cos(1.0)])
    assert not found.wrong.any()


def test_a_gradient_that_is_wrong_everywhere_does_not_take_long():
    theta = np.linspace(0.1, 1, 400)
    calls = []

    def cost(t):
        calls.append(1)
        return np.sin(t).sum()

    found = check(cost, theta, 2 * np.cos(theta))
    assert found.wrong.all()
    assert len(calls) < 2 * 400 + 30 * (room.PATIENCE + 10)


@pytest.mark.parametrize("size", [1e-11, 1e-12, 1e-13])
def test_costs_whose_rounding_is_underrated(size):
    """What the caller says of rounding is too little: the scan sees it."""

    def cost(t):
        return float(np.sin(t).sum() + size * np.sin(1e16 * t).sum())

    theta = np.array([0.3, 1.0, -2.0])
    found = check(cost, theta, np.cos(theta), rounding=0.0)
    assert not found.wrong.any()
    np.testing.assert_allclose(found.numeric, np.cos(theta), rtol=1e-4)
    assert check(cost, theta, 1.01 * np.cos(theta), rounding=0.0).wrong.all()


@pytest.mark.parametrize("power", [1.2, 1.3, 1.5])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_slopes_that_come_together_slowly_are_no_kink(power, share):
    """|t|^1.3 has the derivative 0 at 0, but slopes of 2 % at t = 1e-6."""
    slope = share * 1e-6 ** (power - 1)
    found = check(lambda t: (np.abs(t) ** power).sum(), [0.0, 1.0], [slope, power])
    assert found.wrong.tolist() == [True, False]
    assert not found.kink.any()


def looks(cost, theta, gradient):
    """How often the cost is taken, and the steps."""
    calls = []

    def counted(t):
        calls.append(1)
        return cost(t)

    found = check(counted, theta, gradient)
    assert not found.wrong.any()
    return len(calls), found.steps


def test_one_scan_is_enough_for_a_block_of_all_sizes():
    size = 10 ** np.random.default_rng(2).uniform(-6, 4, 60)
    n, steps = looks(lambda t: np.sin(t / size).sum(), size, np.cos(1.0) / size)
    assert n < 2 * 60 + 4 * 2 * (13 + 23) + 60
    np.testing.assert_allclose(steps / size, steps[0] / size[0])


def test_the_step_suits_the_most_bent_of_a_block():
    bent = np.r_[np.ones(30), np.full(30, 1e5)]
    theta = np.linspace(0.5, 1.5, 60)
    n, steps = looks(lambda t: (np.sin(bent * t) / bent).sum(), theta, np.cos(bent * theta))
    assert n < 2 * 60 + 2 * 4 * 2 * 13 + 60
    assert steps.max() < 1e-7


def test_of_good_steps_the_smallest_is_taken():
    _, steps = looks(lambda t: 3 * t.sum() - 2, [0.0, 1.0, -1.0], [3.0, 3.0, 3.0])
    assert steps.max() < 1e-5
