"""Update rules: against PyTorch, against the reference in NumPy, the same bits everywhere."""

import itertools
import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.optimizers import Optimizer

RULES = [
    cr.SGD(0.1),
    cr.SGD(0.05, momentum=0.9),
    cr.SGD(0.05, momentum=0.9, nesterov=True),
    cr.RMSprop(0.003),
    cr.RMSprop(0.001, alpha=0.9, eps=1e-6, momentum=0.8),
    cr.Adam(0.01),
    cr.Adam(0.02, betas=(0.8, 0.99), eps=1e-6),
    cr.AdamW(0.01),
    cr.AdamW(0.01, weight_decay=0.3),
    cr.Rprop(),
    cr.Rprop(0.003, etas=(0.4, 1.3), step_sizes=(1e-5, 0.05)),
]
DECAYING = [cr.SGD, cr.RMSprop, cr.Adam, cr.AdamW]
CLIPPING = [*DECAYING, cr.Rprop]


def problem(dtype="float64", m=24):
    rng = np.random.default_rng(3)
    net = cr.Network([cr.Dense(7, "tanh"), cr.Dense(2)], 5, dtype=dtype, seed=2)
    return net, rng.normal(size=(m, 5)), rng.normal(size=(m, 2))


def batches(X, Y, steps, size=8):
    for start in itertools.islice(itertools.cycle(range(0, len(X), size)), steps):
        yield X[start : start + size], Y[start : start + size]


def in_torch(net, optimizer):
    """The same network and rule in PyTorch, and a step of them."""
    torch = pytest.importorskip("torch")
    layers = [torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 2)]
    twin = torch.nn.Sequential(*layers).double()
    with torch.no_grad():
        for l, layer in enumerate((twin[0], twin[2]), 1):
            layer.weight.copy_(torch.tensor(np.array(net.W[l], np.float64)))
            layer.bias.copy_(torch.tensor(np.array(net.b[l], np.float64)))
    given = {name: getattr(optimizer, name) for name in optimizer.__dataclass_fields__}
    clip_value, clip_norm = given.pop("clip_value"), given.pop("clip_norm")
    kind = getattr(torch.optim, type(optimizer).__name__)
    rule = kind(twin.parameters(), lr=given.pop("learning_rate"), **given)

    def step(X, Y):
        rule.zero_grad()
        torch.nn.functional.mse_loss(twin(torch.tensor(X)), torch.tensor(Y)).backward()
        if clip_value is not None:
            torch.nn.utils.clip_grad_value_(twin.parameters(), clip_value)
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(twin.parameters(), clip_norm)
        rule.step()

    return twin, step


def assert_like_torch(optimizer, rtol=1e-10):
    net, X, Y = problem()
    trainer = cr.Trainer(net, optimizer)
    twin, step = in_torch(net, optimizer)
    before = net.theta.copy()
    for x, y in batches(X, Y, 100):
        trainer.step(x, y)
        step(x, y)
    assert np.abs(net.theta - before).max() > 1e-3
    for l, layer in enumerate((twin[0], twin[2]), 1):
        for ours, parameter in ((net.W[l], layer.weight), (net.b[l], layer.bias)):
            theirs = parameter.detach().numpy()
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max())


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_100_steps_like_pytorch(optimizer):
    assert_like_torch(optimizer)


@pytest.mark.parametrize("kind", DECAYING)
def test_weight_decay_like_pytorch(kind):
    assert_like_torch(kind(0.01, weight_decay=0.05))


@pytest.mark.parametrize("kind", CLIPPING)
@pytest.mark.parametrize("limit", [{"clip_value": 0.02}, {"clip_norm": 0.1}])
def test_clipping_like_pytorch(kind, limit):
    # PyTorch adds 1e-6 to the norm before it divides.
    assert_like_torch(kind(0.01, **limit), 1e-10 if "clip_value" in limit else 1e-4)


def test_clip_norm_is_the_norm_of_the_whole_gradient():
    net, X, Y = problem()
    g = net.gradient(X, Y).theta
    length = np.linalg.norm(g)
    before = net.theta.copy()
    cr.Trainer(net, cr.SGD(1.0, clip_norm=float(length) / 2)).step(X, Y)
    np.testing.assert_allclose(net.theta, before - g / 2, rtol=1e-13, atol=1e-16)
    before = net.theta.copy()
    g = net.gradient(X, Y).theta
    cr.Trainer(net, cr.SGD(1.0, clip_norm=10 * float(length))).step(X, Y)
    np.testing.assert_allclose(net.theta, before - g, rtol=1e-13, atol=1e-16)


def by_the_reference(optimizer, theta, state, g, t):
    rate = optimizer.learning_rate
    if isinstance(optimizer, cr.SGD):
        if optimizer.momentum == 0:
            return reference.sgd(theta, g, rate), state
        rule = reference.nesterov if optimizer.nesterov else reference.momentum
        theta, v = rule(theta, state[0], g, rate, optimizer.momentum)
        return theta, [v]
    if isinstance(optimizer, cr.Rprop):
        theta, *state = reference.rprop(theta, *state, g, optimizer.etas, optimizer.step_sizes)
        return theta, state
    if isinstance(optimizer, cr.RMSprop):
        theta, q = reference.rmsprop(theta, state[0], g, rate, optimizer.alpha, optimizer.eps)
        return theta, [q]
    if isinstance(optimizer, cr.AdamW):
        theta = theta - rate * optimizer.weight_decay * theta
    theta, *state = reference.adam(theta, *state, g, t, rate, optimizer.betas, optimizer.eps)
    return theta, state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer", [r for r in RULES if not (isinstance(r, cr.RMSprop) and r.momentum)], ids=repr
)
def test_each_step_like_the_reference(optimizer, dtype):
    net, X, Y = problem(dtype)
    trainer = cr.Trainer(net, optimizer)
    for t, (x, y) in enumerate(batches(X, Y, 20), 1):
        state = [np.array(part, np.float64) for part in trainer.state]
        g = np.array(net.gradient(x, y).theta, np.float64)
        theta, after = by_the_reference(optimizer, net.theta.astype(np.float64), state, g, t)
        trainer.step(x, y)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(net.theta, theta, rtol=64 * eps, atol=16 * eps)
        for ours, theirs in zip(trainer.state, after, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=256 * eps, atol=16 * eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_fit_is_steps(optimizer, dtype):
    net, X, Y = problem(dtype)
    twin = net.copy()
    net.fit(X, Y, epochs=5, batch_size=8, optimizer=optimizer, shuffle=False)
    trainer = cr.Trainer(twin, optimizer)
    for x, y in batches(X, Y, 15):
        trainer.step(x, y)
    assert net.theta.tobytes() == twin.theta.tobytes()


LIMITED = [
    cr.SGD(0.1, momentum=0.5, weight_decay=0.01, clip_value=0.1),
    cr.AdamW(0.01, weight_decay=0.3, clip_norm=0.05),
    cr.Adam(0.01, weight_decay=0.3),
    cr.Rprop(clip_value=0.1),
]


@pytest.mark.parametrize("widths", [(5, 7, 2), (40, 64, 64, 2), (30, 1200, 1100, 3)], ids=str)
@pytest.mark.parametrize("optimizer", [*RULES[3::3], *LIMITED], ids=repr)
def test_same_bits_on_any_threads_and_instruction_sets(optimizer, widths):
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
            net.fit(X, Y, epochs=2, batch_size=200, optimizer=optimizer)
            seen.add(net.theta.tobytes())
    finally:
        cr.set_isa(isa)
        cr.set_num_threads(threads)
    assert len(seen) == 1


@pytest.mark.parametrize("optimizer", [*RULES, *LIMITED], ids=repr)
def test_a_step_that_fails_changes_nothing(optimizer):
    net, X, Y = problem("float32")
    trainer = cr.Trainer(net, optimizer)
    trainer.step(X, Y)
    before = [net.theta.tobytes(), *(part.tobytes() for part in trainer.state)]
    with pytest.raises(cr.DivergedError):
        trainer.step(X, np.full_like(Y, 3e38))
    assert [net.theta.tobytes(), *(part.tobytes() for part in trainer.state)] == before
    twin = net.copy()
    with pytest.raises(cr.DivergedError):
        net.fit(X, np.full_like(Y, 3e38), epochs=2, optimizer=optimizer)
    assert net.theta.tobytes() == twin.theta.tobytes()


@pytest.mark.parametrize("optimizer", RULES, ids=repr)
def test_every_rule_descends(optimizer):
    net, X, Y = problem()
    h = net.fit(X, Y, epochs=200, batch_size=24, optimizer=optimizer)
    assert h.cost[-1] < 0.7 * h.cost[0]


def test_what_is_shown():
    assert repr(cr.SGD(0.1, momentum=0.9)) == "SGD(learning_rate=0.1, momentum=0.9)"
    assert repr(cr.Adam()) == "Adam(learning_rate=0.001, betas=(0.9, 0.999), eps=1e-08)"
    assert "weight_decay=0.1" in repr(cr.Adam(weight_decay=0.1))
    assert "clip_norm=1.0" in repr(cr.RMSprop(clip_norm=1))
    assert "nesterov=True" in repr(cr.SGD(0.1, 0.9, nesterov=True))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cr.Adam(0), "learning_rate must be above 0 and finite, got 0"),
        (lambda: cr.Adam(betas=(0.9, 1)), r"betas\[1\] must be in \[0, 1\), got 1"),
        (lambda: cr.Adam(betas=0.9), "betas must be two real numbers, got 0.9"),
        (lambda: cr.Adam(betas=("a", 0.9)), r"betas\[0\] must be a real number, got 'a'"),
        (lambda: cr.Adam(eps=0), "eps must be above 0 and finite, got 0"),
        (lambda: cr.AdamW(weight_decay=-1), "weight_decay must be at least 0 and finite, got -1"),
        (lambda: cr.SGD(nesterov=True), "nesterov needs a momentum above 0"),
        (lambda: cr.SGD(0.1, 0.9, nesterov=1), "nesterov must be True or False, got 1"),
        (lambda: cr.SGD(clip_norm=0), "clip_norm must be above 0 and finite, got 0"),
        (lambda: cr.SGD(clip_value=math.nan), "clip_value must be above 0 and finite, got nan"),
        (lambda: cr.RMSprop(alpha=1.0), r"alpha must be in \[0, 1\), got 1.0"),
        (lambda: cr.Rprop(etas=(1.2, 0.5)), "etas must be below and above 1"),
        (
            lambda: cr.Rprop(step_sizes=(1, 0.1)),
            "step_sizes must be the smallest",
        ),
    ],
)
def test_wrong_arguments(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()


def test_the_bare_kind_is_refused():
    net, X, Y = problem()
    for wrong in (Optimizer(), "adam", cr.Adam, None):
        with pytest.raises(TypeError, match="optimizer must be an optimiser such as SGD"):
            net.fit(X, Y, epochs=1, optimizer=wrong)


GOING_ON = [
    *RULES,
    cr.SGD(cr.Cosine(0.1, epochs=7)),
    cr.Adam(cr.Warmup(cr.StepDecay(0.01, every=2), epochs=3)),
    cr.AdamW(cr.OneCycle(0.01, epochs=9)),
    cr.Adam(cr.ReduceOnPlateau(0.05, patience=0)),
]


@pytest.mark.parametrize("optimizer", GOING_ON, ids=repr)
def test_some_epochs_and_some_more_are_all_at_once(optimizer):
    net, X, Y = problem()
    twin = net.copy()
    whole = net.fit(X, Y, epochs=9, batch_size=5, optimizer=optimizer, seed=3)
    trainer = cr.Trainer(twin, optimizer)
    parts = [trainer.fit(X, Y, epochs=n, batch_size=5, seed=3) for n in (4, 1, 4)]
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert [*parts[0].cost, *parts[1].cost, *parts[2].cost] == whole.cost
    assert trainer.epochs == 9


def test_an_interrupted_fit_counts_its_finished_epochs():
    net, X, Y = problem()
    twin = net.copy()
    trainer = cr.Trainer(net, cr.Adam(0.01))

    def stumble(_, history):
        if len(history.cost) == 3:
            raise RuntimeError("stumbled")

    with pytest.raises(RuntimeError, match="stumbled"):
        trainer.fit(X, Y, epochs=9, batch_size=5, callbacks=[stumble])
    assert trainer.epochs == 3
    trainer.fit(X, Y, epochs=6, batch_size=5)
    twin.fit(X, Y, epochs=9, batch_size=5, optimizer=cr.Adam(0.01))
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_a_diverged_fit_counts_its_finished_epochs():
    net, X, Y = problem("float32")
    trainer = cr.Trainer(net, cr.SGD(30.0))
    with pytest.raises(cr.DivergedError) as error:
        trainer.fit(X, Y, epochs=500, batch_size=5)
    assert trainer.epochs == error.value.epoch - 1
