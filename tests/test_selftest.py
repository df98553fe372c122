"""The self-test passes here, and fails for a mistake in any one of the things that it claims."""

import dataclasses
import importlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core, cli, reference, selftest
from chainrule.errors import DivergedError
from chainrule.losses import LOSSES
from chainrule.selftest.ledger import CLAIMS, Ledger
from chainrule.trace import Numbered

room = {
    name: importlib.import_module(f"chainrule.selftest.{name}")
    for name in (
        "elementary", "equations", "gradients", "ledger", "planted", "regularisation", "ways",
    )
}  # fmt: skip
cases = list(selftest.cases(0))
FEW = cases[2:8]
steps = room["regularisation"].steps(0)


def settings():
    return cr.info()["isa"], cr.get_num_threads()


@pytest.fixture(autouse=True)
def _left_as_found():
    before = settings()
    yield
    assert settings() == before


@pytest.fixture
def quick(monkeypatch):
    """A few small networks and steps, and one small training."""
    monkeypatch.setattr(selftest, "cases", lambda seed: FEW)
    small = [step for step in steps if step.case.m == 33 and max(step.case.n) < 99]
    monkeypatch.setattr(room["regularisation"], "steps", lambda seed: small)
    monkeypatch.setattr(room["gradients"], "TRAININGS", room["gradients"].TRAININGS[:1])


@pytest.fixture(scope="module")
def report():
    return selftest.run()


# As it is


def test_every_claim_holds_here(report):
    assert report.passed, str(report)
    assert bool(report)
    assert [found.claim for found in report.findings if found.claim != "sets"] == [
        claim for claim in CLAIMS if claim != "sets"
    ]
    assert report.failed == {}
    assert all(found.passed for found in report.findings)
    # Errors that are 0 everywhere would say that both sides are the same computation.
    worst = {found.claim: found.error for found in report.findings}
    for claim in (
        "Z", "A", "MSE", "BP1", "BP2", "BP3", "BP4",
        "GD", "rules", "reference", "dropout", "penalties", "fit",
    ):  # fmt: skip
        assert worst[claim] > 0, claim


def test_every_setting_of_this_machine_is_tried(report):
    assert list(report.isas) == cr.info()["isas_detected"]
    assert {1, 2} <= set(report.threads)
    fused = [isa for isa in report.isas if isa != "baseline"]
    assert ("sets" in report.looked) == (len(fused) > 1)


def test_the_report_is_a_table_of_lines_that_fit(report):
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= 80
    assert str(report).isascii()
    head = " ".join(lines[:2])
    for word in (cr.__version__, cr.info()["compiler"], *report.isas, "threads 1, 2"):
        assert word in head
    for found in report.findings:
        rows = [line for line in lines if line.startswith(CLAIMS[found.claim][0])]
        assert len(rows) == 1
        assert rows[0].endswith(" ok")
    assert lines[-1].startswith("self-test: PASSED, ")
    assert lines[-1].endswith(" s")


@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_pass_too(seed):
    other = selftest.run(seed)
    assert other.passed, str(other)


def test_the_cases_are_those_that_the_core_has_ways_for():
    assert {f for case in cases for f in case.activations} == set(reference.ACTIVATIONS)
    assert {1, 7, 33, 129, 1100} <= {case.m for case in cases}
    assert {case.dtype for case in cases} == {"float32", "float64"}
    assert {case.reduction for case in cases} == {"mean", "sum", "half_mean", "mean_rows"}
    assert {case.loss_name for case in cases} == set(LOSSES)
    assert {case.loss_name for case in cases if case.weighted} >= set(LOSSES) - {"mse"}
    assert {case.weighted for case in cases} == {True, False}
    assert any(case.n[0] == 1 for case in cases)
    assert any(case.n[-1] == 1 for case in cases)
    size = {"float32": 4, "float64": 8}
    assert {c.dtype for c in cases if c.n_parameters * size[c.dtype] > 5 << 20} == set(size)
    for case in cases[::7]:
        assert case.network().n_parameters == case.n_parameters


def test_dropout_and_penalties_are_tried_on_either_way():
    size = {"float32": 4, "float64": 8}

    def large(case):  # more than 5 MB of theta, or than 4 MB of a block of 128 samples
        most = max(case.n_parameters / 5, 2 * sum(case.n) * 128 / 4)
        return most * size[case.dtype] > 1 << 20

    dropout = [step.case for step in steps if step.case.dropout]
    assert {(large(case), case.dtype) for case in dropout} == {
        (way, dtype) for way in (True, False) for dtype in size
    }
    assert any(case.n_parameters * size[case.dtype] > 5 << 20 for case in dropout)
    assert {step.claim for step in steps} == {"dropout", "penalties"}
    for name in ("l1", "l2", "clip"):
        tried = {large(step.case) for step in steps if 0 < getattr(step, name) < np.inf}
        assert tried == {True, False}, name
    assert {step.case.weighted for step in steps if step.per_row} == {True}
    assert {step.case.weighted for step in steps if not step.per_row} == {True, False}
    assert min(step.clip for step in steps) < 1 < sorted({step.clip for step in steps})[-2]
    # A fit with weights in a shuffled order, on either way.
    fitted = [step.case for step in steps if not room["regularisation"].is_large(step.case)]
    assert {large(case) for case in fitted if case.weighted} == {True, False}


@pytest.mark.parametrize("arguments", [["selftest", "--json"], ["selftest", "--seed", "4"]])
def test_the_command(capsys, quick, arguments):
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    if "--json" in arguments:
        said = json.loads(out)
        assert said["passed"] is True
        assert [row["claim"] for row in said["claims"]] == [c for c in CLAIMS if c in out]
        assert all(row["worst"] <= row["allowed"] for row in said["claims"])
    else:
        assert "seed 4" in out
        assert out.splitlines()[-1].startswith("self-test: PASSED")


def test_it_runs_as_a_module_with_numpy_alone():
    code = (
        "import sys, runpy; sys.argv[1:] = ['selftest']\n"
        "try: runpy.run_module('chainrule', run_name='__main__')\n"
        "except SystemExit as stop: assert stop.code == 0, stop.code\n"
        "for name in ('scipy', 'torch', 'sklearn', 'sympy', 'matplotlib', 'pytest'):\n"
        "    assert name not in sys.modules, name\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "self-test: PASSED" in done.stdout


def test_a_wrong_option_is_refused(capsys):
    assert cli.main(["selftest", "--seed", "-1"]) == 2
    assert "--seed" in capsys.readouterr().err
    with pytest.raises(ValueError, match="seed"):
        selftest.run(-1)


# With a mistake in each ingredient


def changed(array, by=1e-3):
    wrong = np.array(array)
    wrong.ravel()[-1] += by * (1 + abs(wrong.ravel()[-1]))
    return wrong


def spoil_trace(symbol, layer):
    """One number of one symbol in each trace is wrong."""
    right = cr.Network.trace

    def trace(self, X, Y, loss="mse", w=None):
        t = right(self, X, Y, loss, w)
        first = 0 if symbol == "a" else 1
        arrays = list(getattr(t, symbol))
        at = (layer if layer > 0 else len(arrays) - 1 + first) - first
        arrays[at] = changed(arrays[at])
        return dataclasses.replace(t, **{symbol: Numbered(symbol, arrays, first)})

    return cr.Network, "trace", trace


def spoil_cost_of_trace():
    right = cr.Network.trace
    return (
        cr.Network,
        "trace",
        lambda self, *args: dataclasses.replace(
            right(self, *args), cost=1.001 * right(self, *args).cost
        ),
    )


def spoil_gradient(when=lambda: True, by=1e-3):
    right = cr.Network.gradient

    def gradient(self, X, Y, loss="mse", w=None):
        g = right(self, X, Y, loss, w)
        if when():
            g.theta[-1] += by * (1 + abs(g.theta[-1]))
        return g

    return cr.Network, "gradient", gradient


def spoil_step():
    right = cr.Trainer.step

    def step(self, X, Y, w=None):
        cost = right(self, X, Y, w)
        self.net.theta = changed(self.net.theta)
        return cost

    return cr.Trainer, "step", step


def spoil_rows():
    right = cr.Network.predict
    return (
        cr.Network,
        "predict",
        lambda self, X: changed(right(self, X), 1e-6) if len(X) == 1 else right(self, X),
    )


def spoil_function(owner, name, change):
    right = getattr(owner, name)
    return owner, name, lambda *args, **options: change(right(*args, **options))


def overflow():
    def gradient(self, X, Y, loss="mse", w=None):
        raise DivergedError("the cost is not finite (inf)")

    return cr.Network, "gradient", gradient


def nothing_planted():
    def right_gradients(anatomy):
        _, dW, db = reference.gradient(
            anatomy.W, anatomy.b, anatomy.activations, anatomy.X, anatomy.Y, anatomy.reduction
        )
        yield "no mistake at all", dW, db

    return room["planted"], "wrong_gradients", right_gradients


class Core:
    """The compiled core with other functions in place of some."""

    def __init__(self, **other):
        self.__dict__.update(other)

    def __getattr__(self, name):
        return getattr(_core, name)


def wrong_order(seed, epoch, m):
    return np.roll(_core.permutation(seed, epoch, m), 1)


def wrong_activation(name, z):
    a, df = _core.activation(name, z)
    return (a, changed(df, 1e-4)) if name == "gelu" else (a, df)


def of_the_next_step():
    right = room["regularisation"].key_of
    return room["regularisation"], "key_of", lambda seed, step: right(seed, step + 1)


def other_penalties(name):
    def trainer(*args, **options):
        return cr.Trainer(*args, **{**options, name: 1.001 * options[name]})

    return room["regularisation"], "Trainer", trainer


def on_avx512():
    return cr.info()["isa"] == "avx512"


PLANTED = [
    ("Z", lambda: spoil_trace("z", -1)),
    ("A", lambda: spoil_trace("a", -1)),
    ("MSE", spoil_cost_of_trace),
    ("losses", spoil_cost_of_trace),
    ("slopes", spoil_cost_of_trace),
    ("slopes", lambda: spoil_trace("delta", -1)),
    ("BP1", lambda: spoil_trace("delta", -1)),
    ("BP2", lambda: spoil_trace("delta", 1)),
    ("BP3", lambda: spoil_trace("db", 1)),
    ("BP4", lambda: spoil_trace("dW", -1)),
    ("GD", spoil_step),
    ("reference", lambda: spoil_gradient(by=1e-6)),
    ("reference", lambda: spoil_gradient(by=np.nan)),
    ("complex step", lambda: spoil_function(
        reference, "complex_step_gradient", lambda g: ([None, *(1.01 * x for x in g[0][1:])], g[1])
    )),
    ("differences", lambda: spoil_function(cr.Network, "cost", lambda C: 1.01 * C)),
    ("rules", lambda: spoil_function(
        reference, "adam", lambda new: (new[0], 1.001 * new[1], new[2])
    )),
    ("rules", lambda: spoil_function(reference, "rprop", lambda new: (new[0], new[1], -new[2]))),
    ("dropout", of_the_next_step),
    ("dropout", lambda: spoil_function(room["regularisation"], "mask", lambda kept: 1 - kept)),
    ("penalties", lambda: other_penalties("l1")),
    ("penalties", lambda: other_penalties("l2")),
    ("ways", lambda: (room["gradients"], "_core", Core(permutation=wrong_order))),
    ("fit", lambda: (room["gradients"], "_core", Core(permutation=wrong_order))),
    ("finite", overflow),
    ("elementary", lambda: (room["elementary"], "_core", Core(activation=wrong_activation))),
    ("ways", lambda: spoil_function(cr.Network, "cost", lambda C: np.nextafter(C, 9e99))),
    ("rows", spoil_rows),
    ("threads", lambda: spoil_gradient(lambda: cr.get_num_threads() == 2)),
    ("sets", lambda: spoil_gradient(on_avx512)),
    ("mistakes", nothing_planted),
]  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "plant"), PLANTED, ids=[f"{c}-{i}" for i, (c, _) in enumerate(PLANTED)]
)
def test_a_mistake_is_found_and_named(capsys, monkeypatch, quick, claim, plant):
    if claim == "sets" and "avx512" not in cr.info()["isas_detected"]:
        pytest.skip("this CPU has one instruction set with fused multiply-add")
    owner, name, wrong = plant()
    monkeypatch.setattr(owner, name, wrong)
    assert cli.main(["selftest"]) == 1
    out = capsys.readouterr().out
    lines = out.splitlines()
    says = CLAIMS[claim][0]
    assert [line.endswith(" FAILED") for line in lines if line.startswith(says)] == [True], out
    assert lines[-1].startswith("self-test: FAILED")
    assert max(map(len, lines)) <= 80
    told = " ".join(out.split())
    assert f"FAILED {' '.join(says.split())} (" in told
    assert "chainrule selftest --seed 0" in told
    if claim == "threads":
        assert "2 threads" in told
    if claim == "sets":
        assert "with avx512, 1 thread, " in told
    # The network that showed it: widths, activations, rows.
    if claim in ("Z", "BP1", "ways", "threads"):
        assert any(str(case) in told for case in (*FEW, *steps))


def test_settings_are_restored_when_something_breaks(monkeypatch):
    found = cr.get_num_threads()
    cr.set_num_threads(3)
    before = settings()

    def broken(*_):
        raise OSError("no")

    monkeypatch.setattr(room["ways"], "check_case", broken)
    try:
        with pytest.raises(OSError, match="no"):
            selftest.run()
        assert settings() == before
    finally:
        cr.set_num_threads(found)


def test_the_settings_are_restored_from_any_instruction_set(quick):
    isa, threads = settings()
    try:
        for other in cr.info()["isas_detected"]:
            cr.set_isa(other)
            cr.set_num_threads(1)
            assert selftest.run().passed
            assert settings() == (other, 1)
    finally:
        cr.set_isa(isa)
        cr.set_num_threads(threads)


def test_numbers_that_are_none_fail_and_are_counted():
    ledger = Ledger()
    ledger.enter("Z", 1, 2, "here")
    ledger.enter("Z", np.nan, 2, "there")
    ledger.enter("Z", 1.5, 2, "elsewhere")
    assert ledger.failed == {"Z": 1}
    assert ledger.looked == {"Z": 3}
    assert ledger.worst["Z"].where == "there"
    one = np.array([0.0, 1.0, np.nan])
    assert ledger.same_bits("ways", one, one.copy(), "same")
    assert not ledger.same_bits("ways", one, np.array([-0.0, 1.0, np.nan]), "a zero's sign")
    assert ledger.worst["ways"].error == 1
    assert not ledger.same_bits("ways", one, one[:2], "another shape")


# The mutants of the core


def mutants():
    path = Path(__file__).with_name("mutants.py")
    spec = importlib.util.spec_from_file_location("chainrule_mutants", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("mutant", mutants().MUTANTS, ids=lambda m: m.why)
def test_the_mutants_still_apply(mutant):
    assert mutant.mutated() != (mutants().ROOT / "cpp" / mutant.file).read_text(encoding="utf-8")


def test_there_are_mutants_of_every_part_of_a_step():
    listed = mutants().MUTANTS
    assert len({(m.file, m.old, m.new) for m in listed}) == len(listed) >= 24
    assert {m.file for m in listed} >= {
        "network.cpp", "network.hpp", "layered.cpp", "layered.hpp", "passes.cpp", "training.cpp",
        *(f"kernels/{name}.inl" for name in (
            "activation", "columns", "dropout", "gemm", "loss", "optimizer",
        )),
    }  # fmt: skip
