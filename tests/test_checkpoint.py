"""Saved trainers: parts are one long run bit for bit, and no file but a whole one is read."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import checkpoint, optimizers, schedules
from chainrule.checkpoint import from_bytes, to_bytes

OPTIMIZERS = [
    cr.SGD(0.05),
    cr.SGD(0.05, momentum=0.9),
    cr.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01, clip_norm=0.5),
    cr.RMSprop(0.01),
    cr.RMSprop(0.01, momentum=0.5),
    cr.Adam(0.02, betas=(0.8, 0.95)),
    cr.AdamW(0.02, clip_value=0.1),
    cr.Rprop(0.01),
    cr.LBFGS(history_size=4),
]
SCHEDULES = [
    cr.StepDecay(0.05, every=3, factor=0.5),
    cr.Cosine(0.05, epochs=17, end=0.001),
    cr.Warmup(cr.Cosine(0.05, epochs=9), epochs=13),
    cr.OneCycle(0.05, epochs=20),
    cr.ReduceOnPlateau(0.3, factor=0.7, patience=0, threshold=0.05, least=1e-4),
]


def problem(dtype="float64", m=47):
    rng = np.random.default_rng(8)
    net = cr.Network([cr.Dense(6, "tanh"), cr.Dense(2)], 3, dtype=dtype, seed=4)
    X = rng.normal(size=(m, 3))
    return net, X, np.sin(X[:, :2]) + 0.3 * rng.normal(size=(m, 2))


def squares(a, Y):
    return float(((a - Y) ** 2).mean()), 2 * (a - Y) / a.size


def standing(trainer):
    """All that a next step depends on."""
    return (
        trainer.net.theta.tobytes(),
        [array.tobytes() for array in trainer.state],
        trainer.epochs,
        trainer.learning_rate,
    )


def assert_parts_are_the_whole(optimizer, dtype, tmp_path, **how):
    net, X, Y = problem(dtype)
    whole = cr.Trainer(net.copy(), optimizer)
    history = whole.fit(X, Y, epochs=20, batch_size=10, seed=3, **how)
    part = cr.Trainer(net, optimizer)
    first = part.fit(X, Y, epochs=10, batch_size=10, seed=3, **how)
    path = tmp_path / "trainer.safetensors"
    part.save(path)
    read = cr.Trainer.load(path)
    assert standing(read) == standing(part)
    assert read.optimizer == optimizer
    second = read.fit(X, Y, epochs=10, batch_size=10, seed=3, **how)
    assert standing(read) == standing(whole) != standing(part)
    assert first.cost + second.cost == history.cost
    assert first.val_cost + second.val_cost == history.val_cost
    return whole


# ------------------------------------------------------------------------------- going on later


def test_every_optimiser_and_schedule_is_here():
    kinds = {
        kind
        for room in (optimizers, schedules)
        for kind in vars(room).values()
        if isinstance(kind, type) and issubclass(kind, (optimizers.Optimizer, schedules.Schedule))
    }
    here = {type(example) for example in (*OPTIMIZERS, *SCHEDULES)}
    assert here == kinds - {optimizers.Optimizer, schedules.Schedule}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("shuffle", [True, False])
def test_parts_are_the_whole_with_every_optimiser(optimizer, shuffle, dtype, tmp_path):
    assert_parts_are_the_whole(optimizer, dtype, tmp_path, shuffle=shuffle)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("kind", [cr.SGD, cr.Adam])
@pytest.mark.parametrize("validation_split", [None, 0.3])
def test_parts_are_the_whole_with_every_schedule(schedule, kind, validation_split, tmp_path):
    how = {"validation_split": validation_split, "scale": "auto", "metrics": "r2"}
    whole = assert_parts_are_the_whole(kind(schedule), "float64", tmp_path, **how)
    if isinstance(schedule, cr.ReduceOnPlateau):
        # Otherwise the plateau's memory was not needed.
        assert whole._plateau.waited in (0, 1)
        assert 0 < whole.learning_rate < 0.5 * schedule.start


@pytest.mark.parametrize("epochs", [1, 3, 5])
def test_lbfgs_remembers_its_pairs(epochs, dtype):
    """Fewer and more iterations than pairs; and only pairs that it can have had are taken."""
    net, X, Y = problem(dtype)
    trainer = cr.Trainer(net, cr.LBFGS(history_size=3), l2=0.01, per_row=True)
    trainer.fit(X, Y, epochs=epochs)
    read = from_bytes(to_bytes(trainer))
    assert len(read.state) == 2 * min(epochs, 3)
    assert standing(read) == standing(trainer)
    assert read.fit(X, Y, epochs=6).cost == trainer.fit(X, Y, epochs=6).cost
    assert standing(read) == standing(trainer)
    data = to_bytes(trainer)
    with pytest.raises(cr.FormatError, match="not one of LBFGS with this history_size"):
        from_bytes(edited(setting("optimizer", "history_size", value=2), data))

    def opposite(_, header, payload):
        start, stop = header["state1"]["data_offsets"]
        wrong = -np.frombuffer(payload[start:stop], dtype)
        return payload[:start] + wrong.tobytes() + payload[stop:]

    with pytest.raises(cr.FormatError, match="not one of LBFGS"):
        from_bytes(edited(opposite, data))


def test_a_plateau_remembers_how_long_it_waited(tmp_path):
    """Saved between the fall before the plateau and the end of its patience."""
    net, X, Y = problem()
    schedule = cr.ReduceOnPlateau(0.3, factor=0.5, patience=4, threshold=0.5)
    one = cr.Trainer(net, cr.SGD(schedule))
    rates = []
    look = [lambda *_: rates.append(one.learning_rate)]
    one.fit(X, Y, epochs=12, callbacks=look)
    cut = rates.index(0.15) - 1  # one epoch before the rate falls
    assert one._plateau.lowest < np.inf
    two = cr.Trainer(problem()[0], cr.SGD(schedule))
    two.fit(X, Y, epochs=cut)
    two.save(tmp_path / "t")
    two = cr.Trainer.load(tmp_path / "t")
    assert two.learning_rate == 0.3
    two.fit(X, Y, epochs=12 - cut)
    assert standing(two) == standing(one)


def test_in_another_process(dtype, tmp_path):
    net, X, Y = problem(dtype)
    trainer = cr.Trainer(net, cr.Adam(cr.OneCycle(0.05, epochs=20)))
    trainer.fit(X, Y, epochs=10)
    trainer.save(tmp_path / "t")
    np.savez(tmp_path / "data.npz", X=X, Y=Y)
    code = (
        "import sys, numpy as np, chainrule as cr\n"
        "data = np.load(sys.argv[1] + '/data.npz')\n"
        "trainer = cr.Trainer.load(sys.argv[1] + '/t')\n"
        "trainer.fit(data['X'], data['Y'], epochs=10)\n"
        "trainer.save(sys.argv[1] + '/t')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    trainer.fit(X, Y, epochs=10)
    assert (tmp_path / "t").read_bytes() == to_bytes(trainer)


def test_steps_of_ones_own_go_on(dtype):
    net, X, Y = problem(dtype)
    one = cr.Trainer(net, cr.Adam(0.01))
    for _ in range(3):
        cost = one.step(X, Y)
    one.learning_rate = 0.003
    two = from_bytes(to_bytes(one))
    lost = from_bytes(to_bytes(one))
    lost.net.theta[:] = np.finfo(dtype).max
    with pytest.raises(cr.DivergedError, match="step 4 diverged") as caught:
        lost.step(X, Y)
    assert caught.value.cost == cost
    assert two.learning_rate == 0.003
    assert [one.step(X, Y) for _ in range(3)] == [two.step(X, Y) for _ in range(3)]
    assert standing(one) == standing(two)


def pickled(trainer):
    return pickle.loads(pickle.dumps(trainer))


@pytest.mark.parametrize("twin_of", [copy.copy, copy.deepcopy, pickled])
def test_copies_and_pickles_stand_where_the_trainer_stood(twin_of):
    net, X, Y = problem()
    net.metadata = {"note": 1}
    trainer = cr.Trainer(net, cr.Adam(cr.ReduceOnPlateau(0.1, patience=1)), cr.MSE("sum"))
    trainer.fit(X, Y, epochs=5, scale="auto")
    twin = twin_of(trainer)
    assert twin.net is not net
    assert (twin.loss, twin.optimizer) == (trainer.loss, trainer.optimizer)
    assert (twin.net.scaling, twin.net.metadata) == (net.scaling, {"note": 1})
    before = standing(trainer)
    twin.fit(X, Y, epochs=5)
    assert standing(trainer) == before
    trainer.fit(X, Y, epochs=5)
    assert standing(twin) == standing(trainer)


@pytest.mark.parametrize("loss", ["mse", "function"])
@pytest.mark.parametrize("fitted", [True, False])
def test_dropout_and_penalties_go_on(fitted, loss, dtype, tmp_path):
    """The units that are dropped are a function of the seed and the number of steps."""
    _, X, Y = problem(dtype)
    how = {"l1": 1e-3, "l2": 1e-2, "per_row": True, "seed": 5}
    layers = [cr.Dense(16, "tanh", dropout=0.3), cr.Dense(2)]

    def trainer(**options):
        net = cr.Network(layers, 3, dtype=dtype, seed=1)
        return cr.Trainer(net, cr.Adam(0.01), loss if loss == "mse" else squares, **options)

    def more(trainer):
        if fitted:
            return trainer.fit(X, Y, epochs=5, batch_size=10, seed=9).cost
        return [trainer.step(X, Y) for _ in range(5)]

    whole, part = trainer(**how), trainer(**how)
    costs = more(whole) + more(whole)
    first = more(part)
    part.save(tmp_path / "t")
    read = cr.Trainer.load(tmp_path / "t", loss=None if loss == "mse" else squares)
    assert first + more(read) == costs
    assert standing(read) == standing(whole)
    assert read.penalties == (1e-3, 1e-2)
    # A step after a fit goes by the trainer's own seed again.
    assert whole.step(X, Y) == read.step(X, Y)
    if not fitted:
        for other in ({"seed": 6}, {"l1": 0.0}, {"l2": 0.0}, {"per_row": False}):
            assert more(trainer(**how | other)) != first, other


def test_a_step_after_a_fit_drops_units_by_the_seed_of_the_trainer():
    _, X, Y = problem()
    one, two = (
        cr.Trainer(
            cr.Network([cr.Dense(16, "tanh", dropout=0.5), cr.Dense(2)], 3, dtype="float64"), seed=s
        )
        for s in (1, 2)
    )
    one.fit(X, Y, epochs=2, seed=9)
    two.fit(X, Y, epochs=2, seed=9)
    assert standing(one) == standing(two)
    assert one.step(X, Y) != two.step(X, Y)


LOSSES = [
    *(loss for name, loss in cr.losses.LOSSES.items() if name not in {"poisson", "cross_entropy"}),
    cr.MSE("half_mean"),
    cr.Huber(0.3, reduction="sum"),
    cr.Quantile((0.1, 0.9)),
    cr.GaussianNLL(1e-3),
    *("mae", "poisson", "cross_entropy"),
]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_parts_are_the_whole_with_every_loss(loss):
    net, X, Y = problem()
    k = cr.losses.checked_loss(loss).n_targets(2)
    how = {
        "epochs": 3,
        "batch_size": 10,
        "scale": "auto",
        "sample_weight": np.linspace(0.1, 2, len(X)),
        "validation_split": 0.2,
        "metrics": "mse",
    }
    Y = (Y > 0).astype(float)[:, :k]
    Y = Y if loss != "cross_entropy" else Y[:, 0].astype(int)
    trainer = cr.Trainer(net, cr.Adam(), loss)
    trainer.fit(X, Y, **how)
    data = to_bytes(trainer)
    read = from_bytes(data)
    assert read.loss == trainer.loss
    assert to_bytes(read) == data
    assert read.fit(X, Y, **how).cost == trainer.fit(X, Y, **how).cost
    assert standing(read) == standing(trainer)


@pytest.mark.parametrize("loss", [squares, cr.CustomLoss(squares)], ids=["function", "CustomLoss"])
def test_a_loss_of_ones_own_is_given_again(loss, tmp_path):
    net, X, Y = problem()
    trainer = cr.Trainer(net, cr.Adam(), loss)
    trainer.fit(X, Y, epochs=3)
    trainer.save(tmp_path / "t")
    for none in (None, "mse", cr.MSE()):
        with pytest.raises(TypeError, match=r"a Python function.*Trainer.load\(path, loss=f\)"):
            cr.Trainer.load(tmp_path / "t", loss=none)
    read, copied = cr.Trainer.load(tmp_path / "t", loss=loss), pickled(trainer)
    trainer.fit(X, Y, epochs=3)
    for each in (read, copied):
        each.fit(X, Y, epochs=3)
        assert standing(each) == standing(trainer)


# ------------------------------------------------------------------------------- broken off


class Enough(Exception):
    pass


@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("monitor", ["cost", "max_error"])
@pytest.mark.parametrize("place", ["first", "middle", "last but one"])
def test_a_training_broken_off_goes_on_as_if_it_had_not_been(place, monitor, restore, tmp_path):
    _, X, Y = problem(m=30)
    _, X_val, Y_val = problem(m=90)
    how = {
        "batch_size": 10,
        "validation_data": (X_val[30:], Y_val[30:]),
        "metrics": ("r2", "max_error"),
        "early_stopping": cr.EarlyStopping(patience=7, monitor=monitor, restore_best=restore),
    }

    def trainer():
        net = cr.Network([cr.Dense(30, "tanh"), cr.Dense(2)], 3, dtype="float64", seed=4)
        trainer = cr.Trainer(net, cr.Adam(cr.ReduceOnPlateau(0.001, factor=0.9, patience=1)))
        trainer.fit(X, Y, epochs=2, batch_size=10)  # epochs are numbered anew after it
        return trainer

    whole = trainer()
    history = whole.fit(X, Y, epochs=500, **how)
    assert history.stopped == "early_stopping"
    epochs = len(history.cost)
    assert 8 < epochs < 500
    values = history.val_cost if monitor == "cost" else history.metrics[monitor]
    whole_best = min(values)
    cut = {"first": 1, "middle": epochs // 2, "last but one": epochs - 1}[place]
    part = trainer()

    def keep(_, history):
        part.save(tmp_path / "t")
        if len(history.cost) == cut:
            raise Enough

    with pytest.raises(Enough):
        part.fit(X, Y, epochs=500, callbacks=[keep], **how)
    read = cr.Trainer.load(tmp_path / "t")
    assert standing(read) == standing(part)
    for each in (read, part):  # from the file, and in the same process
        rest = each.fit(X, Y, epochs=500, **how)
        assert rest.stopped == "early_stopping"
        assert rest.cost == history.cost[cut:]
        assert standing(each) == standing(whole)
        best = history.best_epoch - cut
        assert (f"after epoch {best}" if best > 0 else "an epoch before this fit") in rest.reason
        assert f"for 7 epochs: the lowest, {whole_best:.6g}, was" in rest.reason
        # It has ended: the next one begins anew.
        assert len(each.fit(X, Y, epochs=3, **how).cost) == 3


@pytest.mark.parametrize(("mode", "worst"), [("min", np.inf), ("max", -np.inf)])
def test_what_is_infinite_is_so_after_loading(mode, worst, tmp_path):
    """The first epochs were as bad as can be; those after loading are better, and kept."""
    net, X, Y = problem()
    bad = [worst, worst]

    def values(Y, prediction):
        return bad.pop() if bad else -float(np.mean((Y - prediction) ** 2)) * (worst < 0 or -1)

    rule = cr.EarlyStopping(patience=50, monitor="values", mode=mode)
    trainer = cr.Trainer(net, cr.SGD(0.01))

    def keep(_, history):
        if len(history.cost) == 2:
            trainer.save(tmp_path / "t")
            raise Enough

    how = {"metrics": (values,), "early_stopping": rule}
    with pytest.raises(Enough):
        trainer.fit(X, Y, epochs=9, callbacks=[keep], **how)
    assert trainer._watch.best == worst
    read = cr.Trainer.load(tmp_path / "t")
    assert standing(read) == standing(trainer)
    seen = []
    read.fit(X, Y, epochs=5, callbacks=[lambda net, _: seen.append(net.theta.copy())], **how)
    np.testing.assert_array_equal(read.net.theta, seen[-1])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -1.5])
def test_every_value_that_may_not_be_finite_comes_back_as_itself(value):
    net, _, _ = problem()
    trainer = cr.Trainer(net, cr.SGD(cr.ReduceOnPlateau(0.1)))
    watch = trainer._watch = checkpoint.Watch(cr.EarlyStopping(3), net.theta)
    trainer._cost = watch.best = watch.mark = trainer._plateau.lowest = value
    watch.best_epoch = 2
    if np.isnan(value):  # no mark is NaN
        watch.mark = None
    read = from_bytes(to_bytes(trainer))
    back = (read._cost, read._watch.best, read._plateau.lowest, read._watch.mark or value)
    np.testing.assert_array_equal(back, value)
    assert (read._watch.mark is None) == bool(np.isnan(value))


def test_another_rule_begins_anew():
    net, X, Y = problem()
    rule = cr.EarlyStopping(patience=3, min_delta=1e6)  # no fall is large enough
    trainer = cr.Trainer(net)

    def stop(_, history):
        if len(history.cost) == 2:
            raise Enough

    def broken_off():
        with pytest.raises(Enough):
            trainer.fit(X, Y, epochs=9, early_stopping=rule, callbacks=[stop])

    # The first epoch is the mark, three more are waited for; two have been.
    broken_off()
    assert len(trainer.fit(X, Y, epochs=9, early_stopping=rule).cost) == 2
    broken_off()
    other = cr.EarlyStopping(patience=4, min_delta=1e6)
    assert len(trainer.fit(X, Y, epochs=9, early_stopping=other).cost) == 5
    broken_off()
    trainer.fit(X, Y, epochs=1)
    assert len(trainer.fit(X, Y, epochs=9, early_stopping=rule).cost) == 4


# --------------------------------------------------------------------------- what cannot be saved


def test_what_cannot_be_saved(tmp_path):
    net, X, Y = problem()
    trainer = cr.Trainer(net, cr.SGD(0.1, momentum=0.9))
    trainer.step(X, Y)
    path = tmp_path / "t"
    trainer.save(path)
    kept = path.read_bytes()
    trainer.velocity[3] = np.inf
    with pytest.raises(ValueError, match="the optimiser's state must be finite to be saved"):
        trainer.save(path)
    trainer.velocity[3] = 0
    net.theta[0] = np.nan
    with pytest.raises(ValueError, match=r"net.theta must be finite to be saved"):
        trainer.save(path)
    net.theta[0] = 0
    net.metadata = {"a": {1}}
    with pytest.raises(TypeError, match=r"net.metadata must fit JSON"):
        trainer.save(path)

    class Mine(schedules.Schedule):
        def rates(self, step, per_epoch):
            return np.full(len(step), 0.1)

    class Twice(cr.SGD):
        pass

    for rule in (cr.SGD(Mine()), Twice(0.1)):
        with pytest.raises(TypeError, match=r"(Mine|Twice) is a class of your own"):
            cr.Trainer(problem()[0], rule).save(path)
    assert path.read_bytes() == kept
    assert [file.name for file in tmp_path.iterdir()] == ["t"]
    net.metadata = {}
    with pytest.raises(FileNotFoundError):
        trainer.save(tmp_path / "none" / "t")


# ---------------------------------------------------------------------------- damaged and foreign


def tiny():
    net = cr.Network([cr.Dense(1)], n_inputs=1, dtype="float32")
    trainer = cr.Trainer(net, cr.SGD(cr.ReduceOnPlateau(0.1), momentum=0.5))
    trainer._watch = checkpoint.Watch(cr.EarlyStopping(3), net.theta)
    return to_bytes(trainer)


def test_truncation_at_every_byte():
    data = tiny()
    assert to_bytes(from_bytes(data)) == data
    for size in range(len(data)):
        with pytest.raises(cr.FormatError):
            from_bytes(data[:size])
    for extra in (b"\0", b"\0" * 8, data):
        with pytest.raises(cr.FormatError):
            from_bytes(data + extra)


def test_every_byte_changed():
    data = tiny()
    for place in range(len(data)):
        for new in {0, 255, *(data[place] ^ (1 << bit) for bit in range(8))} - {data[place]}:
            with pytest.raises(cr.FormatError):
                from_bytes(data[:place] + bytes([new]) + data[place + 1 :])


@given(data=st.binary(max_size=300))
def test_any_bytes(data):
    with pytest.raises(cr.FormatError):
        from_bytes(data)


def edited(edit, data=None):
    """A file after `edit(trainer, header, payload)`, under a digest that fits."""
    data = data or tiny()
    length = int.from_bytes(data[:8], "little")
    header, payload = json.loads(data[8 : 8 + length]), data[8 + length :]
    metadata = header["__metadata__"]
    trainer = json.loads(metadata["trainer"])
    payload = edit(trainer, header, payload) or payload
    if metadata.get("trainer") != "{":  # a broken one stays as it is
        metadata["trainer"] = json.dumps(trainer)
    metadata["sha256"] = "0" * 64
    text = json.dumps(header, separators=(",", ":")).encode()
    blank = len(text).to_bytes(8, "little") + text + payload
    digest = hashlib.sha256(blank).hexdigest().encode()
    return blank.replace(b"0" * 64, digest, 1)


def setting(*path, value):
    def edit(trainer, header, payload):
        for key in path[:-1]:
            trainer = trainer[key]
        trainer[path[-1]] = value

    return edit


def metadata(**values):
    return lambda trainer, header, payload: header["__metadata__"].update(values)


def without(name):
    def edit(trainer, header, payload):
        end = max(entry["data_offsets"][1] for key, entry in header.items() if key[0] != "_")
        start, stop = header.pop(name)["data_offsets"]
        for key, entry in header.items():
            if key[0] != "_" and entry["data_offsets"][0] >= stop:
                entry["data_offsets"] = [at - (stop - start) for at in entry["data_offsets"]]
        assert end == len(payload)
        return payload[:start] + payload[stop:]

    return edit


def other_type(trainer, header, payload):
    header["state1"]["dtype"] = "I32"


def other_number(trainer, header, payload):
    start, stop = header["state1"]["data_offsets"]
    return payload[:start] + np.full((stop - start) // 4, np.nan, "f4").tobytes() + payload[stop:]


def other_model(trainer, header, payload):
    start, _ = header["model"]["data_offsets"]
    return payload[:start] + payload[start:].replace(b"chainrule", b"Chainrule", 1)


def deep(trainer, header, payload):
    rate = 0.1
    for _ in range(300):
        rate = {"kind": "Warmup", "then": rate, "epochs": 1, "first_part": 0.5}
    trainer["optimizer"]["learning_rate"] = rate


EDITS = {
    "newer": (metadata(format_version="2"), "written by format version '2'.* reads version 1"),
    "another format": (metadata(format="pt"), "not written by Trainer.save"),
    "a key more": (metadata(more="1"), "the metadata are format"),
    "not a dict": (lambda t, h, p: h.update(__metadata__={"format": []}), "not written by"),
    "no network": (without("model"), "the network is missing"),
    "damaged network": (other_model, "not written by chainrule"),
    "no state": (without("state1"), r"tensor state1 must be float32 \(2,\), got none"),
    "no best": (without("best"), r"tensor best must be float32 \(2,\), got none"),
    "another type": (other_type, "tensor state1 must be float32"),
    "NaN in the state": (other_number, "tensor state1 has an element that is not finite"),
    "a state too many": (setting("watch", value=None), r"tensors not expected: \['best'\]"),
    "another optimiser": (setting("optimizer", "kind", value="Thing"), "kind must be one of"),
    "a base class": (setting("optimizer", value={"kind": "Optimizer"}), "optimizer must be an"),
    "a loss instead": (setting("optimizer", value={"kind": "MSE"}), "optimizer must be an"),
    "no kind": (setting("optimizer", value={}), "kind"),
    "an argument more": (setting("optimizer", "speed", value=1), "speed"),
    "a wrong number": (setting("optimizer", "momentum", value=2), r"momentum must be in \[0, 1\)"),
    "a loss of one's own": (setting("loss", value={"kind": "CustomLoss"}), "kind must be one of"),
    "no loss": (setting("loss", value={"kind": "Loss"}), "loss must be a str, a loss such as"),
    "a wrong loss": (setting("loss", value="hinge"), "loss must be one of"),
    "steps below 0": (setting("steps", value=-1), "steps must be at least 0"),
    "epochs of 1.5": (setting("epochs", value=1.5), "epochs must be a whole number"),
    "rate of null": (setting("learning_rate", value=None), "learning_rate must be a real number"),
    "cost of text": (setting("cost", value="1"), "cost must be a real number"),
    "rate of infinity": (setting("learning_rate", value="inf"), "learning_rate must be a real"),
    "no plateau": (setting("plateau", value=None), "plateau belongs to a ReduceOnPlateau"),
    "half a plateau": (setting("plateau", value={"rate": 1}), "lowest"),
    "a plateau of text": (setting("plateau", value="x"), "not valid"),
    "another rule": (setting("watch", "rule", value={"kind": "MSE"}), "watch.rule must be"),
    "another mode": (setting("watch", "mode", value="up"), "watch.mode must be one of min, max"),
    "an unknown option": (setting("options", "speed", value=1), "speed"),
    "deep": (deep, "not valid|recursion"),
    "a key less": (lambda t, h, p: t.pop("cost") and None, "a trainer has cost"),
    "not JSON": (metadata(trainer="{"), "the trainer: not valid JSON"),
}


@pytest.mark.parametrize("case", EDITS)
def test_a_file_with_a_fitting_digest_is_not_believed(case):
    edit, words = EDITS[case]
    with pytest.raises(cr.FormatError, match=words):
        from_bytes(edited(edit))


def test_the_edits_themselves_are_read():
    """What `edited` makes is a good file when nothing is edited."""
    trainer = from_bytes(edited(lambda *_: None))
    assert to_bytes(trainer) == tiny()
    assert from_bytes(edited(setting("epochs", value=7))).epochs == 7


def test_files_of_other_kinds(tmp_path):
    net, _, _ = problem()
    path = tmp_path / "m"
    net.save(path)
    with pytest.raises(cr.FormatError, match=r"m: this is a model file, which has no optimiser: "):
        cr.Trainer.load(path)
    cr.Trainer(net).save(path)
    with pytest.raises(cr.FormatError, match=r"m: this is a saved Trainer.*Trainer.load\(path\)"):
        cr.load(path)
    path.write_bytes(pickle.dumps(net.theta))
    with pytest.raises(cr.FormatError, match="this is a pickle; it is never opened"):
        cr.Trainer.load(path)
    np.savez(path.with_suffix(".npz"), net.theta)
    with pytest.raises(cr.FormatError, match="zip archive"):
        cr.Trainer.load(path.with_suffix(".npz"))
    with pytest.raises(IsADirectoryError):
        cr.Trainer.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        cr.Trainer.load(tmp_path / "none")
    path.write_bytes(to_bytes(cr.Trainer(net)))
    with pytest.raises(ValueError, match="loss is for a loss of your own; this file has mse"):
        cr.Trainer.load(path, loss=squares)
