"""benchmarks/compare: right candidates are timed, wrong ones not; the README has its tables."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from compare import measure, report
from compare.candidates import CANDIDATES, Numpy, Row
from compare.cli import main
from compare.measure import Effort, wrong
from compare.workloads import WORKLOADS, Problem, Workload

ROOT = Path(__file__).resolve().parent.parent
OURS, BY_HAND = CANDIDATES[:2]
PEERS = CANDIDATES[2:]
TINY = WORKLOADS[0]
QUICK = Effort(rounds=1, slice=1e-4)
QUICK_OPTIONS = ["--workloads", "tiny", "--threads", "1", "--rounds", "1", "--slice", "0.0001"]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(measure, "PAUSE", 0.0)
    monkeypatch.setattr(measure, "peak", lambda threads: 100.0 * threads)


@pytest.mark.parametrize("workload", WORKLOADS[:5], ids=lambda w: w.name)
@pytest.mark.parametrize("row", [OURS, BY_HAND], ids=lambda row: row.name)
def test_those_that_need_no_peer_are_right(row, workload):
    problem = Problem(workload)
    assert wrong(row.make(problem, 1), row, problem) == ""


class Rate(Numpy):  # twice the rate: (2 x 3 steps) of the way
    def steps(self, n):
        super().steps(2 * n)


class Lazy(Numpy):
    def steps(self, n):
        pass


class NoBias(Numpy):
    def steps(self, n):
        b = [b.copy() for b in self.b]
        super().steps(n)
        self.b = b


class Off(Numpy):
    def predict(self, staged):
        return super().predict(staged) * np.float32(1.001)


class OffAlone(Numpy):
    def predict(self, staged):
        return super().predict(staged) * np.float32(1.001 if len(staged) == 1 else 1)


class NotANumber(Numpy):
    def predict(self, staged):
        return super().predict(staged) * np.float32(np.nan)


@pytest.mark.parametrize("workload", [TINY, WORKLOADS[1], WORKLOADS[4]], ids=lambda w: w.name)
@pytest.mark.parametrize(
    ("planted", "what"),
    [
        (Rate, "W^1 after 3 steps"),
        (Lazy, "W^1 after 3 steps"),
        (NoBias, "b^1 after 3 steps"),
        (Off, "prediction of {batch} rows"),
        (OffAlone, "prediction of 1 rows"),
        (NotANumber, "prediction of {batch} rows"),
    ],
)
def test_a_planted_error_is_reported_and_not_timed(planted, what, workload):
    rows = [OURS, Row("planted", planted)]
    result = measure.measure(workload, 1, rows, QUICK)["candidates"]
    assert set(result["planted"]) == {"tasks", "problem"}
    assert result["planted"]["problem"].startswith(f"WRONG: {what.format(batch=workload.batch)}")
    assert set(result["chainrule"]) == {"tasks", "step", "batch", "row"}


def test_what_is_missing_or_fails_is_named_and_the_others_go_on():
    class Broken(Numpy):
        def steps(self, n):
            raise RuntimeError("no such kernel\nand more")

    rows = [OURS, Row("nobody", Numpy, ("no_such_module",)), Row("broken", Broken), BY_HAND]
    rows.append(Row("no tool", Numpy, program="no-such-command"))
    row = measure.measure(TINY, 1, rows, QUICK)
    result = row["candidates"]
    assert result["nobody"]["problem"] == "missing: no module no_such_module"
    assert result["no tool"]["problem"] == "missing: no command no-such-command"
    assert result["broken"]["problem"] == "failed: RuntimeError: no such kernel"
    assert result["NumPy by hand"]["step"]["us"] > 0

    text = report.markdown(data_of([row]))
    assert "- nobody: missing: no module no_such_module\n" in text
    assert "- broken: failed: RuntimeError: no such kernel\n" in text
    head = next(line for line in text.splitlines() if line.startswith("| workload"))
    assert "broken" in head
    assert "nobody" not in head


def test_a_candidate_cannot_change_the_data_of_the_others():
    problem = Problem(TINY)
    for array in (*problem.parameters, problem.X, problem.Y):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1


def test_operations_are_counted_by_hand():
    workload = Workload("w", (2, 3, 5), "relu", 7)
    assert workload.predict_flop(1) == 2 * (2 * 3 + 3 * 5)
    # Z and dW of both layers, delta of the upper one
    assert workload.step_flop == 7 * 2 * (2 * (2 * 3 + 3 * 5) + 3 * 5)


def data_of(rows):
    machine = {"cpu": "Abacus", "cores": 2, "isa": "beads", "system": "Wood"}
    return {"date": "2000-01-01", "machine": machine, "versions": {"NumPy": "1"}, "rows": rows}


def example():
    us = {"chainrule": (2, 1, 1), "NumPy by hand": (39, 4, 3), "other": (1234.5, 0.5, 8)}
    candidates = {
        name: {"tasks": ["step", "batch", "row"]}
        | {task: {"us": v} for task, v in zip(("step", "batch", "row"), values, strict=True)}
        for name, values in us.items()
    }
    tiny = {"workload": "tiny", "widths": [2, 16, 16, 1], "activation": "tanh", "batch": 32}
    return data_of([{**tiny, "threads": 1, "peak_gflops": 112.64, "candidates": candidates}])


def test_the_tables():
    lines = report.markdown(example()).splitlines()
    # 56 320 operations in 2 us are 28.16 GFLOP/s, a quarter of 112.64
    step = "| tiny | 2-16-16-1 tanh, 32 | 1 | 2.00 | 39.0 | 1 230 | 19.5 (NumPy by hand) | 25 % |"
    assert step in lines
    both = "1.00; 1.00 | 4.00; 3.00 | 0.50; 8.00 | 0.50 (other); 3.00 (NumPy by hand) |"
    assert f"| tiny | 32; 1 | 1 | {both}" in lines
    assert lines[-1].startswith("Machine: Abacus, 2 cores, beads, Wood; 2000-01-01.")


def test_a_wrong_candidate_is_no_best_peer_and_shows():
    data = copy.deepcopy(example())
    data["rows"][0]["candidates"]["NumPy by hand"] = {
        "tasks": ["step", "batch", "row"],
        "problem": "WRONG: all of it",
    }
    text = report.markdown(data)
    assert "| 2.00 | WRONG | 1 230 | 617 (other) | 25 % |" in text
    assert "- NumPy by hand: WRONG: all of it\n" in text


def test_numbers():
    values = {
        2.714: "2.71",
        9.996: "10.0",
        99.96: "100",
        163.4: "163",
        4386: "4 390",
        0.756: "0.76",
    }
    assert {v: report.number(v) for v in values} == values


def test_the_readme_has_the_tables_of_the_stored_run():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    data = json.loads((ROOT / "docs" / "benchmarks.json").read_text(encoding="utf-8"))
    same = report.with_figures(readme, data) == readme
    assert same, "python benchmarks/compare --render docs/benchmarks.json --readme README.md"
    with pytest.raises(ValueError, match="figures: begin"):
        report.with_figures("no markers", data)


def test_the_program(tmp_path, capsys):
    files = [tmp_path / name for name in ("a.json", "a.md", "a.png", "README.md")]
    files[3].write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    outputs = []
    for option, path in zip(("--json", "--markdown", "--plot", "--readme"), files, strict=True):
        outputs += [option, str(path)]
    only = ["--candidates", "chainrule,NumPy by hand"]
    assert main([*QUICK_OPTIONS, "--threads", "1,9999", *only, *outputs]) == 0
    data = json.loads(files[0].read_text(encoding="utf-8"))
    (row,) = data["rows"]
    assert row["threads"] == row["cores"] == 1  # pinned
    assert all(row["candidates"][name]["step"]["us"] > 0 for name in ("chainrule", "NumPy by hand"))
    tables = report.markdown(data)
    assert files[1].read_text(encoding="utf-8") == tables
    assert "9999 threads: this process has" in tables
    assert files[2].read_bytes().startswith(b"\x89PNG")
    readme = files[3].read_text(encoding="utf-8")
    assert readme == f"before\n{report.BEGIN}\n{tables}{report.END}\nafter\n"
    capsys.readouterr()
    assert main(["--render", str(files[0])]) == 0
    assert capsys.readouterr().out == tables


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--workloads", "tiny,none"])
    assert "'none' is none of tiny, small" in capsys.readouterr().err


def test_the_peers_that_are_installed_are_right(tmp_path):
    # torch.compile takes 20 s to compile; it is checked wherever it is timed
    reasons = {row.name: row.missing() for row in PEERS if not row.program}
    there = [name for name, reason in reasons.items() if not reason]
    if not there:
        pytest.skip("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
    path = tmp_path / "a.json"
    assert main([*QUICK_OPTIONS, "--candidates", ",".join(there), "--json", str(path)]) == 0
    (row,) = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert [name for name in there if "problem" in row["candidates"][name]] == []
