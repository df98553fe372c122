"""chainrule_bench: every mode runs, checks its answers, and prints what its readers need."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
from importlib import resources
from pathlib import Path

import pytest

PROGRAM = Path(str(resources.files("chainrule") / "bin" / "chainrule_bench"))
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="built without chainrule_bench")


def run(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [str(PROGRAM), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_one_network(dtype, threads):
    options = ["--widths", "5,9,2", "--batch", "300", "--seconds", "0.01"]
    figures = json.loads(run(*options, "--json", "--dtype", dtype, "--threads", threads))
    assert figures["widths"] == "5-9-2"
    assert figures["way"] == "fused"
    assert figures["arena_bytes"] > 0
    assert 0 < figures["step"]["share_of_peak"] < 1.5
    assert figures["check_relative_error"] < (1e-4 if dtype == "float32" else 1e-12)


def test_sweep():
    rows = list(csv.DictReader(run("--sweep", "12", "--seconds", "0.01").splitlines()))
    assert len(rows) == 12
    for row in rows:
        widths = [int(n) for n in row["widths"].split("-")]
        assert 1 <= len(widths) - 1 <= 8
        pairs = [i * o for i, o in itertools.pairwise(widths)]
        flop = 2 * int(row["batch"]) * (3 * sum(pairs) - pairs[0])
        assert float(row["mflop"]) == pytest.approx(flop / 1e6, rel=1e-4)
        assert float(row["us"]) > 0
        assert 0 < float(row["share_of_peak"]) < 1.5
        ratio = float(row["share_of_peak"]) / float(row["similar"])
        assert float(row["ratio"]) == pytest.approx(ratio, rel=0.05, abs=1e-3)
    again = csv.DictReader(run("--sweep", "12", "--seconds", "0.01").splitlines())
    assert [r["widths"] for r in again] == [r["widths"] for r in rows], "shapes follow the seed"


def test_growth_stays_within_what_it_announces():
    lines = run("--growth", "--rows", "100000", "--seconds", "0.01").splitlines()
    rows = [line.split() for line in lines[2:]]
    assert [int(r[0]) for r in rows] == [1000, 10_000, 100_000]
    for r in rows:
        assert float(r[4]) <= float(r[3]) + 4, "MiB used, announced"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sweep", "0"], "--sweep"),
        (["--sweep"], "--sweep"),
        (["--widths", "3"], "--widths"),
        (["--turbo"], "--turbo"),
        (["--isa", "sse9"], "sse9"),
    ],
)
def test_wrong_options_are_named(arguments, words):
    assert words in run(*arguments, code=2)
