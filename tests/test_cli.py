"""The command line: what each command does, and every way in which it can go wrong."""

import csv
import errno
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import check_command, cli, tables, train_command, train_options

QUICK = ["--hidden", "4", "--epochs", "3"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, on one thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("CHAINRULE_ISA", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)
    threads = cr.get_num_threads()
    cr.set_num_threads(1)
    yield tmp_path
    cr.set_num_threads(threads)


@pytest.fixture
def run(capsys):
    """Run the command line in this process."""

    def run(*arguments):
        capsys.readouterr()
        code = cli.main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def fails(run, folder):
    """Expect an exit code and one line with these words; no new file, none changed."""

    def fails(code, arguments, *words):
        before = contents(folder)
        result = run(*arguments)
        assert result.code == code, result.err
        lines = [line for line in result.err.splitlines() if not line.startswith("epoch ")]
        assert len(lines) == 1, result.err
        assert lines[0].startswith("chainrule: error: ")
        assert "internal" not in result.err
        for word in words:
            assert word in result.err
        assert contents(folder) == before
        return result

    return fails


def contents(folder):
    return {
        path.name: path.is_symlink() or (path.is_file() and path.read_bytes())
        for path in folder.iterdir()
    }


def command(*arguments, shell="", **environment):
    """Run `python -m chainrule` in a process of its own."""
    line = [sys.executable, "-m", "chainrule", *map(str, arguments)]
    if shell:
        line = ["sh", "-c", f'"$@" {shell}', "sh", *line]
    return subprocess.run(
        line,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def write_table(path, m=60, columns=("a", "b", "y"), seed=0):
    """Write a table whose last column is a function of the others."""
    X = np.random.default_rng(seed).normal(size=(m, len(columns) - 1)).round(3)
    rows = np.column_stack([X, (2 * X[:, 0] - X.sum(axis=1)).round(3)]).tolist()
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return X


@pytest.fixture
def small(run):
    """A table of 60 rows and a model of it."""
    write_table("small.csv")
    assert run("train", "small.csv", "--target", "y", "--dtype", "float64", *QUICK).code == 0
    return SimpleNamespace(table=Path("small.csv"), model=Path("small.safetensors"))


def topics(out):
    """Take the block at the end of a training apart: topic -> text, its lines joined."""
    assert max(map(len, out.splitlines())) <= 80
    joined = re.sub(r"\n {11}", " ", out)
    return dict(re.fullmatch(r"(\w+) +(.*)", line).groups() for line in joined.splitlines())


# --- train ----------------------------------------------------------------------------------------


def held_out(name, seed=0):
    table = tables.read(name)
    held = tables.split(len(table), 0.2, seed)[1]
    return table.values[held, :-1], table.values[held, -1]


def test_train_diabetes(run):
    result = run("train", "diabetes", "--plot", "cost.png")
    assert result.code == 0
    said = topics(result.out)
    assert said["table"] == "diabetes: 442 rows (354 to train, 88 held out), 10 inputs"
    assert said["target"] == "progression (regression)"
    assert said["network"].startswith("10-64-64-1 relu, relu, identity | float32 | 4929 ")
    assert said["gradients"].startswith("passed: 4929 derivatives on 256 rows")
    assert float(re.search(r"worst error ([\d.e-]+)", said["gradients"])[1]) < 1e-6
    assert said["files"] == "diabetes.safetensors, cost.png"
    assert said["next"] == "chainrule predict diabetes.safetensors diabetes"
    assert "rows/s" in said["speed"]
    # the printed numbers are those of the saved model on rows it has not seen
    X, y = held_out("diabetes")
    residual = cr.load("diabetes.safetensors").predict(X)[:, 0] - y
    pattern = r"R2 ([\d.]+), RMSE ([\d.]+), MAE ([\d.]+) in units of progression"
    r2, rmse, mae = re.fullmatch(pattern, said["result"]).groups()
    assert float(r2) == pytest.approx(
        1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum(), abs=1e-4
    )
    assert float(rmse) == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-3)
    assert float(mae) == pytest.approx(abs(residual).mean(), rel=1e-3)
    assert 0.4 < float(r2) < 0.6
    assert Path("cost.png").read_bytes().startswith(b"\x89PNG")
    last = result.err.splitlines()[-1]
    assert "All 40 epochs are done" in said["stopped"]
    assert re.fullmatch(r"epoch 40/40  cost 0\.\d+, validation 0\.\d+, [\d.]+[kM]? rows/s", last)
    assert sorted(p.name for p in Path().iterdir()) == ["cost.png", "diabetes.safetensors"]


def test_train_digits(run):
    result = run("train", "digits")
    assert result.code == 0
    said = topics(result.out)
    assert said["target"] == "digit (classification, 10 classes)"
    assert said["gradients"].startswith("passed: 8970 derivatives on 256 rows")
    assert said["note"].startswith("4 input(s) constant in the training rows: pixel_0_0, ")
    net = cr.load("digits.safetensors")
    X, y = held_out("digits")
    right = int((net.predict(X).argmax(axis=1) == y).sum())
    assert said["result"].startswith(f"accuracy {right / 359:.4f} ({right} of 359 rows), log loss ")
    assert right / 359 >= 0.95
    for k in range(10):
        there = int((y == k).sum())
        found = int((net.predict(X).argmax(axis=1)[y == k] == k).sum())
        assert f" {k}  {found} of {there} right" in said["result"]
    assert net.scaling.y_mean.tolist() == [0] * 10
    assert net.scaling.y_scale.tolist() == [1] * 10
    assert (net.scaling.x_scale > 0).all()
    table = net.metadata["table"]
    assert table["classes"] == [str(k) for k in range(10)]
    assert table["loss"] == {"name": "cross_entropy", "parameters": []}
    assert (table["task"], table["target"]) == ("classification", "digit")
    assert (table["rows"], table["held_out"]) == (1438, 359)
    assert table["columns"] == list(tables.header("digits")[:-1])


def test_scaling_is_that_of_the_training_rows(run, small):
    net = cr.load(small.model)
    values = tables.read(small.table).values
    train, _ = tables.split(60, 0.2, 0)
    assert net.scaling == cr.Scaling.fit(values[train, :2], values[train, 2:])


def test_options_reach_the_training(run):
    write_table("t.csv")
    options = ["--hidden", "5,3", "--activation", "tanh", "--epochs", "7", "--batch-size", "9",
               "--learning-rate", "0.02", "--momentum", "0.5", "--dtype", "float64", "--seed", "3",
               "--validation", "0.25", "--output", "m.safetensors", "--quiet"]  # fmt: skip
    result = run("train", "t.csv", "--target", "y", *options)
    assert (result.code, result.out, result.err) == (0, "", "")
    values = tables.read("t.csv").values
    train, held = tables.split(60, 0.25, 3)
    assert len(held) == 15
    X, Y = values[train, :2], values[train, 2:]
    net = cr.Network(
        [cr.Dense(5, "tanh"), cr.Dense(3, "tanh"), cr.Dense(1)], 2, dtype="float64", seed=3
    )
    net.scaling = cr.Scaling.fit(X, Y)
    net.fit(X, Y, epochs=7, batch_size=9, optimizer=cr.SGD(0.02, 0.5), seed=3)
    assert np.array_equal(net.theta, cr.load("m.safetensors").theta)


def test_default_epochs(run):
    """40 epochs or 480 steps, whichever is more; 100 epochs for classes."""
    write_table("t.csv", m=60)
    assert "in 240 epochs" in topics(run("train", "t.csv", "--target", "y").out)["cost"]
    assert "in 480 epochs" in run("train", "t.csv", "--target", "y", "--batch-size", "99").out


def test_linear_model(run):
    write_table("t.csv")
    result = run("train", "t.csv", "--target", "y", "--hidden", "none", "--learning-rate", "0.01")
    assert topics(result.out)["network"].startswith("2-1 identity |")
    assert "R2 1.0000" in result.out


def test_nothing_held_out(run):
    write_table("t.csv")
    result = run("train", "t.csv", "--target", "y", "--validation", "0", *QUICK)
    said = topics(result.out)
    assert "60 to train, 0 held out" in said["table"]
    assert said["result"].endswith(" on the training rows")
    assert "held out" not in said["cost"]
    assert "validation" not in result.err


def test_ignore(run, fails):
    write_table("t.csv", columns=("name", "a", "b", "y"))
    text = Path("t.csv").read_text()
    Path("t.csv").write_text(re.sub(r"^-?\d[^,]*", "Anna", text, flags=re.MULTILINE))
    result = run("train", "t.csv", "--target", "y", "--ignore", "name", "--ignore", "b", *QUICK)
    assert result.code == 0
    assert cr.load("t.safetensors").metadata["table"]["columns"] == ["a"]


def test_parquet(run):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet  # noqa: PLC0415

    write_table("t.csv")
    table = tables.read("t.csv")
    columns = dict(zip(table.columns, table.values.T, strict=True))
    parquet.write_table(pyarrow.table(columns), "t.parquet")
    for name in ("t.csv", "t.parquet"):
        output = f"{name}.safetensors"
        assert run("train", name, "--target", "y", "--output", output, *QUICK).code == 0
    assert np.array_equal(
        cr.load("t.csv.safetensors").theta, cr.load("t.parquet.safetensors").theta
    )


def test_same_command_same_file(run, small):
    before = small.model.read_bytes()
    assert run("train", "small.csv", "--target", "y", "--dtype", "float64", *QUICK).code == 0
    assert small.model.read_bytes() == before
    run("train", "small.csv", "--target", "y", "--dtype", "float64", "--seed", "1", *QUICK)
    assert small.model.read_bytes() != before


def test_constant_columns(run):
    Path("t.csv").write_text("a,c,y\n" + "".join(f"{k},7,{k * k}.5\n" for k in range(40)))
    result = run("train", "t.csv", "--target", "y", *QUICK)
    assert topics(result.out)["note"] == "1 input(s) constant in the training rows: c"
    assert cr.load("t.safetensors").scaling.x_scale[1] == 1
    result = run("train", "t.csv", "--target", "c", "--task", "regression", *QUICK)
    assert result.code == 73  # the model of another target is not replaced
    result = run("train", "t.csv", "--target", "c", "--output", "c.safetensors", *QUICK)
    assert result.code in {0, 1}
    assert "R2" not in result.out  # not defined
    assert "RMSE" in result.out


# --- the target -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["yes", "no"] * 10, "classification, 2 classes"),
        (["0", "1"] * 10, "classification, 2 classes"),
        (["0", "1.0"] * 10, "classification, 2 classes"),
        (["true", "False"] * 10, "classification, 2 classes"),
        (["0", "1.5"] * 10, "regression"),
        (["0", "1e0"] * 10, "regression"),
        ([str(k) for k in range(20)] * 5, "classification, 20 classes"),
        ([str(k) for k in range(20)] * 5 + ["3"], "classification, 20 classes"),
        ([str(k) for k in range(20)] * 4 + ["3"], "regression"),
        ([str(k) for k in range(21)] * 9, "regression"),
        (["3"] * 20, "regression"),
        (["-1", "+1", "1.", "01"] * 10, "classification, 2 classes"),
        ([str(k) for k in range(20)], "regression"),
    ],
)
def test_rule_for_the_task(run, cells, task):
    Path("t.csv").write_text("a,y\n" + "".join(f"{k % 7},{c}\n" for k, c in enumerate(cells)))
    assert topics(run("train", "t.csv", "--target", "y", *QUICK).out)["target"] == f"y ({task})"


def test_task_overrules(run, fails):
    Path("t.csv").write_text("a,y\n" + "".join(f"{k},{k % 2}\n" for k in range(20)))
    result = run("train", "t.csv", "--target", "y", "--task", "regression", *QUICK)
    assert "y (regression)" in result.out
    assert cr.load("t.safetensors").n[-1] == 1
    result = run("train", "t.csv", "--target", "a", "--task", "classification",
                 "--output", "a.safetensors", *QUICK)  # fmt: skip
    assert "a (classification, 20 classes)" in result.out
    classes = cr.load("a.safetensors").metadata["table"]["classes"]
    assert classes == [str(k) for k in range(20)]  # in the order of numbers


def test_text_target(run):
    rows = [f"{k % 10},{'low' if k % 10 < 5 else 'high'}\n" for k in range(100)]
    Path("t.csv").write_text("a,y\n" + "".join(rows))
    assert run("train", "t.csv", "--target", "y").code == 0
    result = run("predict", "t.safetensors", "t.csv")
    assert result.out == "y\n" + "".join(row.split(",")[1] for row in rows)
    assert run("check", "t.safetensors", "t.csv").code == 0


def test_bad_targets(fails):
    start = ["train", "t.csv", "--target", "y"]
    table = Path("t.csv")
    table.write_text("a,y\n" + "1,0.5\n" * 20 + "2,n/a\n")
    fails(65, start, "'y' in 1 of 21 rows (first: line 22)")
    table.write_text("a,y\n" + "1,0.5\n" * 20 + "2,n.a.\n")
    fails(65, start, "column 'y' has numbers in 20 of 21 cells, but in line 22 'n.a.' is not a")
    for cell in ("", "nan"):
        table.write_text("a,y\n" + f"1,{cell}\n" * 20)
        fails(65, start, "'y' in 20 of 20 rows (first: line 2)", "--missing drop")
    for cell in ("1,5", "1e400"):
        table.write_text("a,y\n" + f'1,"{cell}"\n' * 2 + "2,1.5\n" * 18)
        fails(65, start, "column 'y' has numbers in 18 of 20 cells, but in line 2 ", cell)
    table.write_text("a,y\n" + "1,x\n" * 20 + "2,\n")
    fails(65, start, "'y' in 1 of 21 rows (first: line 22)")
    fails(65, [*start, "--task", "classification"], "'y' in 1 of 21 rows (first: line 22)")
    table.write_text("a,y\n" + "1,x\n" * 20)
    fails(65, start, "'x' in every row")
    table.write_text("a,y\n" + "".join(f"1,name{k}\n" for k in range(20)))
    fails(65, start, "20 different labels in 20 rows")
    fails(65, [*start, "--task", "regression"], "column 'y' holds text such as 'name0' in line 2")


# --- predict and check ----------------------------------------------------------------------------


def test_predictions_are_those_of_the_network(run, small):
    result = run("predict", small.model, small.table)
    assert (result.code, result.err) == (0, "")
    name, *cells = result.out.splitlines()
    assert name == "y"
    X = tables.read(small.table, ["a", "b"]).values
    expected = cr.load(small.model).predict(X)[:, 0]
    assert np.array(cells, float).tobytes() == expected.tobytes()


def test_float32_predictions_read_back(run):
    run("train", "diabetes", *QUICK)
    result = run("predict", "diabetes.safetensors", "diabetes")
    X = tables.read("diabetes").values[:, :-1]
    expected = cr.load("diabetes.safetensors").predict(X)[:, 0]
    cells = result.out.splitlines()[1:]
    assert np.array(cells, np.float32).tobytes() == expected.tobytes()


def test_columns_are_matched_by_name(run, small):
    expected = run("predict", small.model, small.table).out
    table = tables.read(small.table)
    a, b, _ = table.values.T.tolist()
    with Path("other.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "b", "y", "a"])
        out.writerows(zip(["Anna"] * 60, b, ["?"] * 60, a, strict=True))
    result = run("predict", small.model, "other.csv")
    assert result.out == expected
    assert result.err == "chainrule: note: 1 column(s) not used by the model: id\n"
    with Path("inputs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("b", "a"), *zip(b, a, strict=True)])
    result = run("predict", small.model, "inputs.csv")
    assert (result.out, result.err) == (expected, "")


def test_predict_output_file(run, fails, small):
    expected = run("predict", small.model, small.table).out
    result = run("predict", small.model, small.table, "--output", "p.csv")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert Path("p.csv").read_text() == expected
    Path("p.csv").write_text("precious")
    fails(73, ["predict", small.model, small.table, "--output", "p.csv"], "--force replaces it")
    run("predict", small.model, small.table, "--output", "p.csv", "--force")
    assert Path("p.csv").read_text() == expected


def test_predict_bad_tables(fails, small):
    table = Path("t.csv")
    table.write_text("a,c\n1,2\n")
    fails(
        65, ["predict", small.model, table], "missing 1 of the 2 columns", "needs: b", "it has a, c"
    )
    table.write_text("a,b\n1,2\n3,x\n")
    result = fails(65, ["predict", small.model, table], "t.csv: column 'b'", "line 3 'x' is not")
    assert result.out == ""  # no half of an answer


def test_formulas_do_not_reach_a_spreadsheet(run):
    Path("t.csv").write_text("a,=y\n" + '1,@x\n2,"-a,b"\n' * 10)
    assert run("train", "t.csv", "--target", "=y", "--epochs", "300").code == 0
    lines = run("predict", "t.safetensors", "t.csv").out.splitlines()
    assert lines[0] == "'=y"
    assert set(lines[1:]) == {"'@x", '"\'-a,b"'}
    assert [row[0] for row in csv.reader(lines)][1:3] == ["'@x", "'-a,b"]
    Path("n.csv").write_text("a,y\n" + "1,-1\n2,1\n" * 10)
    run("train", "n.csv", "--target", "y", "--epochs", "300")
    assert set(run("predict", "n.safetensors", "n.csv").out.split()) == {"y", "-1", "1"}


def test_unseen_label(run, fails):
    Path("t.csv").write_text("a,y\n" + "1,x\n2,z\n" * 10)
    assert run("train", "t.csv", "--target", "y", *QUICK).code == 0
    Path("other.csv").write_text("a,y\n1,x\n2,\x1b[31mw\n")
    arguments = ["check", "t.safetensors", "other.csv"]
    result = fails(65, arguments, "other.csv: column 'y', line 3", "none of the model's 2 classes")
    assert "\x1b" not in result.err
    assert "x, z" in result.err


def test_check(run, small, monkeypatch):
    result = run("check", small.model, small.table)
    assert (result.code, result.err) == (0, "")
    # the whole report, and nothing else
    rows, net = tables.read(small.table), cr.load(small.model)
    report = cr.gradcheck(net, rows.values[:, :-1], rows.values[:, -1:])
    assert result.out == f"{report}\n"
    assert "PASSED" in result.out
    failed = SimpleNamespace(passed=False, diagnosis="dW^1 is wrong")
    monkeypatch.setattr(check_command, "gradcheck", lambda *_, **__: failed)
    assert run("check", small.model, small.table).code == 1


def test_check_leaves_the_number_of_threads(run, small):
    cr.set_num_threads(2)
    assert run("check", small.model, small.table).code == 0
    assert cr.get_num_threads() == 2


def test_failed_check_at_the_end_of_a_training(run, small, monkeypatch):
    failed = SimpleNamespace(passed=False, diagnosis="dW^1 is wrong", n_checked=3, max_error=0.5)
    monkeypatch.setattr(check_command, "gradcheck", lambda *_, **__: failed)
    result = run("train", "small.csv", "--target", "y", *QUICK)
    assert result.code == 1
    assert topics(result.out)["gradients"] == "FAILED: dW^1 is wrong"


def test_check_uses_rows_of_the_whole_table(monkeypatch):
    seen = []
    monkeypatch.setattr(check_command, "gradcheck", lambda net, X, Y, **_: seen.append((X, Y)))
    net = cr.Network([cr.Dense(1)], n_inputs=1)
    for m in (1, 255, 256, 257, 10_000):
        X = np.arange(m, dtype=float).reshape(-1, 1)
        check_command.check_rows(net, X, X + 1, cr.MSE())
        rows, Y = seen.pop()
        assert len(np.unique(rows)) == len(rows) == min(m, 256)
        assert (rows[0], rows[-1]) == (0, m - 1)
        assert np.array_equal(Y, rows + 1)


def test_model_without_column_names(run, fails):
    net = cr.Network([cr.Dense(2)], n_inputs=3)
    net.save("m.safetensors")
    Path("t.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    lines = run("predict", "m.safetensors", "t.csv").out.splitlines()
    assert lines[0] == "prediction_1,prediction_2"
    cells = np.array([line.split(",") for line in lines[1:]], np.float32)
    assert np.array_equal(cells, net.predict([[1, 2, 3], [4, 5, 6]]))
    fails(65, ["check", "m.safetensors", "t.csv"], "does not name its columns")
    Path("t.csv").write_text("a,b\n1,2\n")
    fails(65, ["predict", "m.safetensors", "t.csv"], "2 columns, but the model has 3 inputs")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        "x",
        {},
        {"columns": ["a"], "target": "y"},
        {"columns": ["a", "a"], "target": "y"},
        {"columns": ["a", ""], "target": "y"},
        {"columns": ["a", 1], "target": "y"},
        {"columns": "ab", "target": "y"},
        {"columns": ["a", "b"], "target": 3},
        {"columns": ["a", "b"], "target": "y", "classes": ["x", "z"]},
        {"columns": ["a", "b"], "target": "y", "classes": "x"},
    ],
)
def test_hostile_model(fails, entry):
    net = cr.Network([cr.Dense(1)], n_inputs=2)
    net.metadata["table"] = entry
    net.save("m.safetensors")
    write_table("t.csv")
    fails(65, ["predict", "m.safetensors", "t.csv"], "m.safetensors")
    fails(65, ["check", "m.safetensors", "t.csv"], "m.safetensors")


def test_damaged_model(fails, small):
    content = small.model.read_bytes()
    for damaged in (b"", content[:-1], content[:100], b"PK\3\4" + content, b"x" * 1000):
        Path("m.safetensors").write_bytes(damaged)
        fails(65, ["predict", "m.safetensors", small.table], "m.safetensors")


# --- info, bench, help ----------------------------------------------------------------------------


def test_info(run):
    result = run("info")
    assert (result.code, result.err) == (0, "")
    for word in (cr.__version__, "baseline", "threads", "compiler"):
        assert word in result.out


def test_info_obeys_the_environment():
    result = command("info", CHAINRULE_ISA="baseline", OMP_NUM_THREADS="1")
    assert re.search(r"^isa +baseline$", result.stdout, re.MULTILINE)
    assert re.search(r"^threads +1$", result.stdout, re.MULTILINE)


def test_bench_without_the_executable(fails, folder, monkeypatch):
    monkeypatch.setattr(cli.resources, "files", lambda _: folder)
    fails(66, ["bench", "--json"], "chainrule_bench", "built without it")


def test_bench_passes_arguments_and_exit_code(folder, monkeypatch, capfd):
    monkeypatch.setattr(cli.resources, "files", lambda _: folder)
    program = folder / "bin" / "chainrule_bench"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    program.chmod(0o755)
    assert cli.main(["bench", "--widths", "8,1", "--help"]) == 3
    assert capfd.readouterr().out == "--widths 8,1 --help\n"


def test_help(run):
    result = run()
    assert result.code == 2
    assert "first steps" in result.err
    assert run("--version").out == f"chainrule {cr.__version__}\n"
    for name in ("train", "predict", "check", "info"):
        result = run(name, "--help")
        assert result.code == 0
        assert max(map(len, result.out.splitlines())) <= 100
    assert "--target" in run("train", "--help").out
    assert "--template" in run("check", "--help").out


# --- wrong usage: 2 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hidden", "10,,5"], ["--hidden", "'10,,5'", "64,64"]),
        (["--hidden", "0"], ["--hidden"]),
        (["--hidden", "-3"], ["--hidden"]),
        (["--hidden", "1_0"], ["--hidden"]),
        (["--hidden", "9999999999"], ["--hidden"]),
        (["--hidden", "2000000000,2000000000"], ["--hidden", "10-2000000000-2000000000-1"]),
        (["--activation", "relux"], ["--activation", "relux", "leaky_relu", "gelu"]),
        (["--epochs", "0"], ["--epochs", "'0'", ">= 1"]),
        (["--epochs", "1.5"], ["--epochs"]),
        (["--epochs", str(2**63)], ["--epochs"]),
        (["--batch-size", "0"], ["--batch-size"]),
        (["--batch-size", "-1"], ["--batch-size"]),
        (["--batch-size", "\uff11"], ["--batch-size"]),
        (["--learning-rate", "nan"], ["--learning-rate", "'nan'"]),
        (["--learning-rate", "0"], ["--learning-rate"]),
        (["--learning-rate", "-0.1"], ["--learning-rate"]),
        (["--learning-rate", "inf"], ["--learning-rate"]),
        (["--learning-rate", "0,1"], ["--learning-rate"]),
        (["--learning-rate", "1e-60"], ["--learning-rate", "float32"]),
        (["--learning-rate", "1e60"], ["--learning-rate", "float32"]),
        (["--learning-rate", "1e30"], ["--learning-rate than 1e+30", "diverged in epoch 1,"]),
        (["--learning-rate", "1e6"], ["--learning-rate than 1e+06", "diverged", "in epoch 1"]),
        (
            ["--activation", "sigmoid", "--learning-rate", "3", "--epochs", "2"],
            ["--learning-rate than 3", "diverged", "after 2 epochs"],
        ),
        (["--momentum", "1"], ["--momentum"]),
        (["--momentum", "-0.1"], ["--momentum"]),
        (["--dtype", "float16"], ["--dtype", "float32", "float64"]),
        (["--seed", "-1"], ["--seed", "'-1'"]),
        (["--seed", "x"], ["--seed"]),
        (["--validation", "1.5"], ["--validation", "'1.5'"]),
        (["--validation", "1"], ["--validation"]),
        (["--validation", "-0.2"], ["--validation"]),
        (["--threads", "0"], ["--threads"]),
        (["--threads", "99999999999"], ["--threads"]),
        (["--task", "clustering"], ["--task", "regression"]),
        (["--target", "progresion"], ["--target", "did you mean 'progression'", "age, sex, bmi"]),
        (["--target", "-1"], ["--target", "'-1'", "age, sex, bmi"]),
        (["--ignore", "x"], ["--ignore", "'x'"]),
        (["--ignore", "progression"], ["--ignore", "is the target"]),
        (["--plot", "cost.gif"], ["--plot", "'cost.gif'", ".png"]),
        (["--plot", "same.png", "--output", "same.png"], ["--plot", "--output"]),
        (["--nonsense"], ["--nonsense"]),
        (["--epoch", "3"], ["--epoch"]),
        (["more"], ["more"]),
    ],
)
def test_wrong_options_of_train(fails, arguments, words):
    assert fails(2, ["train", "diabetes", *arguments], *words).out.count("R2") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], ["trian", "train"]),
        (["train"], ["TABLE", "chainrule train --help"]),
        (["predict", "m"], ["TABLE"]),
        (["--nonsense"], ["COMMAND"]),
        (["info", "x"], ["x"]),
    ],
)
def test_wrong_commands(fails, arguments, words):
    fails(2, arguments, *words)


def test_target_is_needed(fails):
    write_table("t.csv")
    fails(2, ["train", "t.csv"], "--target", "t.csv has a, b, y")


def test_missing_extras(fails, monkeypatch):
    write_table("t.csv")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    fails(2, ["train", "diabetes", "--plot", "p.png"], 'pip install "chainrule[plot]"')
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    Path("t.parquet").write_bytes(b"PAR1")
    fails(2, ["train", "t.parquet", "--target", "y"], "pip install pyarrow")


@pytest.mark.parametrize("name", ["nonsense", "AVX2", "neon"])
def test_wrong_instruction_set(name):
    result = command("train", "diabetes", CHAINRULE_ISA=name)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    for word in ("CHAINRULE_ISA", name, "baseline"):
        assert word in result.stderr


# --- bad data: 65, no input: 66 -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["no data rows"]),
        (b"a,y\n", ["no data rows"]),
        (b"a,y\n1,2\n3\n", ["line 3", "1 field(s), expected 2"]),
        (b"a,y\n1,2\nx,4\n", ["line 3", "column 'a'", "'x' is not a number"]),
        (b"a,y\n1,2\nnan,4\n", ["'a' in 1 of 2 rows (first: line 3)", "--missing mean"]),
        (b"a,a,y\n1,2,3\n", ["both named 'a'"]),
        (b"1,2\n3,4\n", ["must name the columns"]),
        ("a,y\n1,2\n".encode("utf-16"), ["UTF-16"]),
        (b"y\n1\n2\n", ["no column is left"]),
        (b"a,y\n1,2\n", ["1 row(s)", "--validation 0"]),
    ],
)
def test_bad_tables(fails, content, words):
    Path("t.csv").write_bytes(content)
    fails(65, ["train", "t.csv", "--target", "y", *QUICK, "--validation", "0.2"], "t.csv", *words)


def test_held_out_value_that_float32_cannot_hold(fails):
    held = tables.split(20, 0.2, 0)[1]
    rows = ["1e200,2.5\n" if row in held else "1,1.5\n" for row in range(20)]
    Path("t.csv").write_text("a,y\n" + "".join(rows))
    fails(65, ["train", "t.csv", "--target", "y", *QUICK], "t.csv", "float32")


def test_no_input(fails, small, folder):
    os.mkfifo("pipe")
    (folder / "d.csv").mkdir()
    for name in ("none.csv", "d.csv", "pipe", "/dev/zero"):
        fails(66, ["train", name, "--target", "y"], f"cannot read the table: {name}: ")
        fails(66, ["predict", small.model, name], f"cannot read the table: {name}: ")
    for name in ("none.safetensors", "d.csv"):
        fails(66, ["predict", name, small.table], "cannot read the model", name)
    fails(66, ["train", "digit"], "packaged tables are diabetes and digits")


@pytest.mark.parametrize(("number", "code"), [(errno.EACCES, 66), (errno.EIO, 74)])
def test_reading_fails(fails, monkeypatch, number, code):
    def broken(path):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(tables.parquet_file, "open_file", broken)
    fails(code, ["train", "diabetes"], "diabetes.csv", os.strerror(number))


# --- outputs: 73, 74 ------------------------------------------------------------------------------


def test_outputs_that_cannot_be_made(fails, folder, small):
    (folder / "d").mkdir()
    Path("file").write_text("x")
    for name in ("none/m.st", "d", "file/m.st", "x" * 300, "/dev/null"):
        fails(73, ["train", "diabetes", "--output", name], "--output")
        fails(73, ["predict", small.model, small.table, "--output", name, "--force"], "--output")
    for name in ("none/c.png", "file/c.png", "x" * 300 + ".png"):
        fails(73, ["train", "diabetes", "--plot", name], "--plot")


def test_folder_not_writable(fails, folder, monkeypatch):
    access = os.access  # patched, because root may write everywhere
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "d" and access(path, mode))
    (folder / "d").mkdir()
    fails(73, ["train", "diabetes", "--output", "d/m.safetensors"], "folder d is not writable")


def test_only_models_of_the_same_columns_are_replaced(run, fails, small):
    arguments = ["train", "small.csv", "--target", "y", *QUICK]
    assert run(*arguments).code == 0
    fails(
        73,
        ["train", "small.csv", "--target", "a", *QUICK],
        "is not a model of these columns; --force",
    )
    fails(73, [*arguments, "--ignore", "b"], "exists")
    write_table("four.csv", columns=("a", "b", "y", "z"))
    four = ["train", "four.csv", *QUICK, "--target"]
    assert run(*four, "y", "--ignore", "z").code == 0
    fails(73, [*four, "z", "--ignore", "y"], "exists")
    for content in (b"precious", b""):
        small.model.write_bytes(content)
        fails(73, arguments, "small.safetensors exists")
    assert run(*arguments, "--force").code == 0
    cr.load(small.model)
    link = Path("link.safetensors")
    link.symlink_to(small.model)
    fails(73, [*arguments, "--output", link], "exists")


def test_only_our_pictures_are_replaced(run, fails, small):
    arguments = ["train", "small.csv", "--target", "y", *QUICK, "--plot", "c.png"]
    assert run(*arguments).code == 0
    assert run(*arguments).code == 0
    Path("c.png").write_bytes(b"\x89PNG a photograph")
    fails(73, arguments, "--plot: c.png exists and is not a picture of costs")
    assert run(*arguments, "--force").code == 0
    assert len(Path("c.png").read_bytes()) > 1000


def test_input_is_not_output(fails, small):
    arguments = ["predict", small.model, small.table, "--force", "--output"]
    for name in (small.model, small.table, f"./{small.table}"):
        fails(2, [*arguments, name], "--output", "is an input")
    os.link(small.table, "hard_link.csv")
    fails(2, [*arguments, "hard_link.csv"], "is an input")
    fails(2, ["train", small.table, "--target", "y", "--force", "--output", small.table], "is an")
    Path("broken.csv").write_text("nonsense")  # refused before it is read
    fails(2, ["predict", small.model, "broken.csv", "--output", "broken.csv"], "is an input")


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, 74), (errno.EIO, 74), (errno.EDQUOT, 74), (errno.EROFS, 73)]
)
def test_disk_full(fails, small, monkeypatch, number, code):
    def full(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    fails(code, ["train", "small.csv", "--target", "y", *QUICK], os.strerror(number), "--output")
    arguments = ["predict", small.model, small.table, "--output", "p.csv"]
    fails(code, arguments, os.strerror(number), "p.csv")


def test_full_and_closed_streams(small):
    for name in ("predict", "check"):
        result = command(name, small.model, small.table, shell=">/dev/full")
        assert result.returncode == 74
        assert result.stderr.count("\n") == 1
        assert "standard output: No space left" in result.stderr
    result = command("predict", small.model, small.table, shell=">&-")
    assert result.returncode == 74
    assert "standard output is closed" in result.stderr
    expected = command("predict", small.model, small.table).stdout
    for shell in ("<&-", "2>&-"):
        result = command("predict", small.model, small.table, shell=shell)
        assert (result.returncode, result.stdout) == (0, expected)
    assert command("predict", "none", small.table, shell="2>&-").returncode == 66


def test_reader_that_goes_away(small):
    line = [sys.executable, "-m", "chainrule", "predict", small.model, small.table]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


# --- the rest -------------------------------------------------------------------------------------


def test_interrupt(folder):
    line = [sys.executable, "-m", "chainrule", "train", "digits", "--epochs", "1000000"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr.readline().startswith("epoch ")
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert err.splitlines()[-1] == "chainrule: error: interrupted; nothing was saved"
    assert "Traceback" not in err
    assert "result" not in out
    assert list(folder.iterdir()) == []


def test_internal_errors_and_debug(run, monkeypatch):
    def broken(*_):
        raise RuntimeError("two\nlines \x1b[31m")

    monkeypatch.setattr(train_command, "columns_of", broken)
    result = run("train", "diabetes")
    assert result.code == 70
    assert result.err.count("\n") == 1
    assert "internal error, RuntimeError: two lines \\x1b[31m" in result.err
    for arguments in (["train", "diabetes", "--debug"], ["--debug", "train", "diabetes"]):
        result = run(*arguments)
        assert result.code == 70
        assert "Traceback" in result.err
        assert result.err.splitlines()[-1].startswith("chainrule: error: internal")


def test_warnings_are_one_line(run, monkeypatch):
    import warnings  # noqa: PLC0415

    def warn(options):
        warnings.warn("something odd", stacklevel=1)
        return 0

    monkeypatch.setattr(cli, "_info", warn)
    assert run("info").err == "chainrule: warning: something odd\n"


def test_names_that_the_terminal_cannot_show():
    Path("t.csv").write_text("gr\u00f6\u00dfe,\u03b8\n" + "1,2.5\n2,3.5\n" * 10, encoding="utf-8")
    result = command("train", "t.csv", "--target", "\u03b8", *QUICK, PYTHONIOENCODING="ascii")
    assert result.returncode == 0, result.stderr
    assert "\\u03b8 (regression)" in result.stdout
    line = [sys.executable, "-m", "chainrule", "predict", "t.safetensors", "t.csv"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    output = subprocess.run(line, stdout=subprocess.PIPE, check=True, env=environment).stdout
    assert output.decode("utf-8").splitlines()[0] == "\u03b8"


def test_module_and_command_are_the_same(run):
    result = command("--version")
    assert (result.returncode, result.stdout) == (0, run("--version").out)
    result = command("train", "nonsense.csv")
    assert result.returncode == 66
    assert "Traceback" not in result.stderr


# --- update rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", train_options.OPTIMIZERS)
def test_train_with_every_optimizer(run, name):
    options = ["--optimizer", name, "--epochs", "60", "--seed", "1"]
    result = run("train", "diabetes", "--output", f"{name}.safetensors", *options)
    assert (result.code, result.err.count("error")) == (0, 0)
    first, last = (float(part.split()[0]) for part in topics(result.out)["cost"].split("->")[:2])
    assert last < 0.5 * first
    rows = cr.load(f"{name}.safetensors").metadata["table"]["rows"]
    assert rows == 354
    assert topics(result.out)["stopped"].startswith("All 60 epochs are done.")


def test_train_with_patience_stops_and_says_why(run):
    options = ["--optimizer", "adam", "--epochs", "3000", "--patience", "15"]
    result = run("train", "diabetes", "--output", "d.safetensors", *options)
    assert result.code == 0

    stopped = topics(result.out)["stopped"]
    assert "The validation cost has not fallen for 15 epochs" in stopped
    assert "whose parameters the network has" in stopped


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--optimizer", "adam", "--momentum", "0.5"], "argument --momentum: adam has none"),
        (["--optimizer", "rprop", "--weight-decay", "1"], "argument --weight-decay: rprop has"),
        (["--optimizer", "newton"], "invalid choice: 'newton'"),
        (["--optimizer", "lbfgs", "--batch-size", "5"], "--batch-size: lbfgs takes all rows in"),
        (["--patience", "0"], "--patience"),
        (["--weight-decay", "-1"], "--weight-decay"),
    ],
)
def test_options_of_the_optimizer_that_cannot_be(run, options, words):
    result = run("train", "diabetes", *options)
    assert (result.code, result.out) == (2, "")
    assert words in result.err
