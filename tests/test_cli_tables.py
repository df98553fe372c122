"""Train, predict and evaluate on tables as they come: text, gaps, weights, several targets.

Judged by pandas, scikit-learn, and by the same training spelt out in Python.
"""

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import check_command, cli, losses, tables

QUICK = ["--hidden", "6", "--epochs", "4"]
CITIES = np.array(["Lima", "Oslo", "Rome"])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, on one thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = cr.get_num_threads()
    cr.set_num_threads(1)
    yield tmp_path
    cr.set_num_threads(threads)


@pytest.fixture
def run(capsys):
    """Run the command line in this process."""

    def run(*arguments, code=0):
        capsys.readouterr()
        found = cli.main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert found == code, err
        return SimpleNamespace(code=found, out=out, err=err)

    return run


@pytest.fixture
def fails(run, folder):
    """Expect an exit code and one line with these words; no new file, none changed."""

    def contents():
        return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}

    def fails(code, arguments, *words):
        before = contents()
        result = run(*arguments, code=code)
        begins = ("epoch ", "chainrule: note: ")
        lines = [line for line in result.err.splitlines() if not line.startswith(begins)]
        assert len(lines) == 1, result.err
        assert lines[0].startswith("chainrule: error: ")
        for word in words:
            assert word in result.err
        assert contents() == before
        assert result.out == "" or "--json" in arguments
        return result

    return fails


def houses(m=160, seed=0):
    """Columns: two kinds of text, whole numbers, real numbers, truth values, weights, targets."""
    r = np.random.default_rng(seed)
    city, area = r.choice(CITIES, m), r.normal(80, 20, m).round(1)
    rooms, garden = r.integers(1, 6, m), r.random(m) < 0.5
    price = area * 3 + rooms * 20 + (city == "Rome") * 90 + garden * 40
    return {
        "city": city.tolist(),
        "rooms": rooms.tolist(),
        "area": area.tolist(),
        "garden": np.where(garden, "true", "false").tolist(),
        "zip": r.choice([101, 202, 303], m).tolist(),
        "w": r.uniform(0.1, 2, m).round(2).tolist(),
        "price": price.round(2).tolist(),
        "rent": (price / 20 + r.normal(0, 1, m)).round(3).tolist(),
        "kind": np.where(price > 380, "dear", np.where(price > 320, "fair", "cheap")).tolist(),
        "sold": r.poisson(rooms * 1.5).tolist(),
    }


INPUTS = ["city", "rooms", "area", "garden"]
FROM = ["--features", ",".join(INPUTS)]


def write(name, columns):
    with Path(name).open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(columns)
        out.writerows(zip(*columns.values(), strict=True))


def read(name):
    with Path(name).open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}


@pytest.fixture
def table():
    columns = houses()
    write("h.csv", columns)
    return columns


def by_hand(columns):
    """X of INPUTS as the training should see it."""
    city = np.array(columns["city"])
    one_hot = [(city == name).astype(float) for name in CITIES]
    garden = np.array(columns["garden"]) == "true"
    return np.column_stack([*one_hot, columns["rooms"], columns["area"], garden]).astype(float)


def split(m, fraction=0.2, seed=0):
    return tables.split(m, fraction, seed)


# --- train ----------------------------------------------------------------------------------------


def test_text_and_truth_values_are_inputs(run, table):
    run("train", "h.csv", "--target", "price", *FROM, "--dtype", "float64", *QUICK)
    net = cr.load("h.safetensors")
    X, Y = by_hand(table), np.array(table["price"]).reshape(-1, 1)
    train, _ = split(160)
    twin = cr.Network([cr.Dense(6, "relu"), cr.Dense(1)], 6, dtype="float64", seed=0)
    twin.scaling = cr.Scaling.fit(X[train], Y[train])
    twin.fit(X[train], Y[train], epochs=4, optimizer=cr.SGD(0.001, 0.9))
    assert net.theta.tobytes() == twin.theta.tobytes()
    assert net.metadata["table"]["columns"] == INPUTS
    result = run("predict", "h.safetensors", "h.csv")
    assert np.array(result.out.split()[1:], float).tobytes() == twin.predict(X)[:, 0].tobytes()


def test_categories_named_by_numbers(run, table):
    options = ["--target", "price", "--features", "zip,area", "--categorical", "zip", *QUICK]
    result = run("train", "h.csv", *options)
    assert "2 columns as 4 inputs" in result.out
    net = cr.load("h.safetensors")
    assert net.n[0] == 4
    codes = np.array(table["zip"])
    one_hot = np.column_stack([codes == 101, codes == 202, codes == 303, table["area"]])
    result = run("predict", "h.safetensors", "h.csv")
    expected = net.predict(one_hot.astype(float))[:, 0]
    assert np.array(result.out.split()[1:], np.float32).tobytes() == expected.tobytes()


def loss_of(text):
    name, _, numbers = text.partition(":")
    q = tuple(float(n) for n in numbers.split(",")) if numbers else ()
    if name == "huber":
        return losses.Huber(q[0])
    if name == "quantile":
        return losses.Quantile(q if len(q) > 1 else q[0])
    return name


@pytest.mark.parametrize(
    ("text", "n_L"),
    [
        ("mae", 1),
        ("huber:0.5", 1),
        ("log_cosh", 1),
        ("log-cosh", 1),
        ("quantile:0.9", 1),
        ("quantile:0.1,0.5,0.9", 3),
        ("poisson", 1),
    ],
)
def test_every_loss_trains_as_in_python(run, table, text, n_L):
    options = ["--features", "rooms,area", "--loss", text, "--dtype", "float64", *QUICK]
    run("train", "h.csv", "--target", "sold", *options)  # whole numbers of a few kinds
    net = cr.load("h.safetensors")
    X = np.column_stack([table["rooms"], table["area"]]).astype(float)
    y = np.repeat(np.array(table["sold"], float).reshape(-1, 1), n_L, axis=1)
    train, _ = split(160)
    twin = cr.Network([cr.Dense(6, "relu"), cr.Dense(n_L)], 2, dtype="float64", seed=0)
    twin.scaling = None if text == "poisson" else cr.Scaling.fit(X[train], y[train])
    loss = loss_of(text.replace("-", "_"))
    scale = "auto"  # of counts it is more than a scaling
    twin.fit(X[train], y[train], epochs=4, optimizer=cr.SGD(0.001, 0.9), loss=loss, scale=scale)
    assert net.scaling == twin.scaling
    assert net.theta.tobytes() == twin.theta.tobytes()
    out = run("predict", "h.safetensors", "h.csv").out.split()
    name = ["sold"] if n_L == 1 else ["sold_q0.1", "sold_q0.5", "sold_q0.9"]
    assert out[0] == ",".join(name)
    a = twin.predict(X)
    expected = np.exp(a) if text == "poisson" else a
    found = np.array([line.split(",") for line in out[1:]], float)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_the_gradients_of_the_loss_are_checked(run, table, monkeypatch):
    seen = []
    check = check_command.gradcheck

    def spy(net, X, Y, loss, **how):
        seen.append(loss)
        return check(net, X, Y, loss=loss, **how)

    monkeypatch.setattr(check_command, "gradcheck", spy)
    run("train", "h.csv", "--target", "price", *FROM, "--loss", "huber:0.5", *QUICK)
    run("check", "h.safetensors", "h.csv")
    assert seen == [losses.Huber(0.5)] * 2


def test_a_mean_and_a_spread(run):
    """The standard deviation is in the units of the target, and true: noise of 30 and of 300."""
    r = np.random.default_rng(1)
    x = r.integers(0, 2, 3000)
    y = 1000 + 200 * x + r.normal(size=3000) * np.where(x == 1, 300, 30)
    write("g.csv", {"x": x.tolist(), "y": y.round(3).tolist()})
    options = ["--loss", "gaussian_nll", "--optimizer", "adam", "--hidden", "16", "--epochs", "60"]
    run("train", "g.csv", "--target", "y", *options)
    run("predict", "g.safetensors", "g.csv", "-o", "p.csv")
    said = {name: np.array(cells, float) for name, cells in read("p.csv").items()}
    assert list(said) == ["y", "y_std"]
    for value, mean, std in ((0, 1000, 30), (1, 1200, 300)):
        assert abs(said["y"][x == value].mean() - mean) < std / 5
        assert said["y_std"][x == value].mean() == pytest.approx(std, rel=0.15)
    # the second output of the network is the logarithm of the variance, in the target's units
    a = cr.load("g.safetensors").predict(x.reshape(-1, 1)).astype(float)
    np.testing.assert_allclose(said["y_std"], np.exp(a[:, 1] / 2), rtol=1e-4)
    found = json.loads(run("evaluate", "g.safetensors", "g.csv", "--json").out)["metrics"]
    near = abs(y - said["y"]) <= said["y_std"]
    assert found["within_std"] == pytest.approx(near.mean(), abs=1e-3)
    assert 0.62 < found["within_std"] < 0.75  # 0.683 of a normal variable


def test_weights(run, table):
    """A weight of 2 is the row twice; the column is no input."""
    options = ["--target", "price", *FROM, "--dtype", "float64", *QUICK]
    run("train", "h.csv", *options, "--weights", "w")
    net = cr.load("h.safetensors")
    X, Y = by_hand(table), np.array(table["price"]).reshape(-1, 1)
    w = np.array(table["w"])
    train, held = split(160)
    twin = cr.Network([cr.Dense(6, "relu"), cr.Dense(1)], 6, dtype="float64", seed=0)
    twin.scaling = cr.Scaling.fit(X[train], Y[train])
    twin.fit(X[train], Y[train], epochs=4, optimizer=cr.SGD(0.001, 0.9), sample_weight=w[train])
    assert net.theta.tobytes() == twin.theta.tobytes()
    metrics = pytest.importorskip("sklearn.metrics")
    result = run("train", "h.csv", *options, "--weights", "w", "--json")
    found = json.loads(result.out)["metrics"]
    p = twin.predict(X[held])
    expected = metrics.r2_score(Y[held], p, sample_weight=w[held])
    assert found["r2"] == pytest.approx(expected, rel=1e-12)
    mae = metrics.mean_absolute_error(Y[held], p, sample_weight=w[held])
    assert found["mae"] == pytest.approx(mae, rel=1e-12)
    everything = json.loads(run("train", "h.csv", "--target", "price", "--weights", "w", "--ignore",
                                "rent,kind,sold", "-o", "e.st", "--json", *QUICK).out)  # fmt: skip
    assert everything["columns"] == ["city", "rooms", "area", "garden", "zip"]


def test_penalties_and_dropout(run, table):
    options = ["--target", "price", *FROM, "--dtype", "float64", *QUICK]
    run("train", "h.csv", *options, "--l1", "0.01", "--l2", "0.1", "--dropout", "0.25")
    net = cr.load("h.safetensors")
    X, Y = by_hand(table), np.array(table["price"]).reshape(-1, 1)
    train, _ = split(160)
    layers = [cr.Dense(6, "relu", dropout=0.25), cr.Dense(1)]
    twin = cr.Network(layers, 6, dtype="float64", seed=0)
    twin.scaling = cr.Scaling.fit(X[train], Y[train])
    twin.fit(X[train], Y[train], epochs=4, optimizer=cr.SGD(0.001, 0.9), l1=0.01, l2=0.1)
    assert net.theta.tobytes() == twin.theta.tobytes()


def test_several_targets(run, table):
    options = ["--target", "price", "--target", "rent", *FROM, "--epochs", "60"]
    result = run("train", "h.csv", *options)
    assert "price, rent (regression)" in result.out
    assert run("train", "h.csv", "--target", "price,rent", *FROM, "--epochs", "60").code == 0
    net = cr.load("h.safetensors")
    predictions = net.predict(by_hand(table))
    run("predict", "h.safetensors", "h.csv", "-o", "p.csv")
    said = read("p.csv")
    assert list(said) == ["price", "rent"]
    assert np.array(said["rent"], np.float32).tobytes() == predictions[:, 1].tobytes()
    metrics = pytest.importorskip("sklearn.metrics")
    found = json.loads(run("evaluate", "h.safetensors", "h.csv", "--json").out)["metrics"]
    for k, name in enumerate(("price", "rent")):
        y = np.array(table[name])
        each = found["outputs"][name]
        assert each["r2"] == pytest.approx(metrics.r2_score(y, predictions[:, k]), rel=1e-9)
        rmse = metrics.mean_squared_error(y, predictions[:, k]) ** 0.5
        assert each["rmse"] == pytest.approx(rmse, rel=1e-9)
    assert found["r2"] == pytest.approx(np.mean([e["r2"] for e in found["outputs"].values()]))
    assert "rmse" not in found  # a mean over two units
    lines = run("evaluate", "h.safetensors", "h.csv").out.splitlines()
    assert re.search(r"^ +price +R2 0\.9", lines[3])
    assert re.search(r"^ +rent +R2 0\.", lines[4])
    assert max(map(len, lines)) <= 80


def test_several_quantiles_of_several_targets(run, table):
    options = ["--target", "price,rent", *FROM, "--loss", "quantile:0.2,0.8", "--epochs", "60"]
    run("train", "h.csv", *options)
    run("predict", "h.safetensors", "h.csv", "-o", "p.csv")
    said = {name: np.array(cells, float) for name, cells in read("p.csv").items()}
    assert list(said) == ["price_q0.2", "price_q0.8", "rent_q0.2", "rent_q0.8"]
    found = json.loads(run("evaluate", "h.safetensors", "h.csv", "--json").out)["metrics"]
    metrics = pytest.importorskip("sklearn.metrics")
    for name, cells in said.items():
        target, q = name.split("_q")
        y = np.array(table[target])
        each = found["outputs"][name]
        assert each["below"] == pytest.approx((y <= cells).mean(), abs=1e-9)
        pinball = metrics.mean_pinball_loss(y, cells, alpha=float(q))
        assert each["pinball"] == pytest.approx(pinball, rel=1e-6)


def test_classes_of_text(run, table):
    metrics = pytest.importorskip("sklearn.metrics")
    run("train", "h.csv", "--target", "kind", *FROM, "--epochs", "60")
    net = cr.load("h.safetensors")
    assert net.metadata["table"]["classes"] == ["cheap", "dear", "fair"]
    a = net.predict(by_hand(table)).astype(float)
    P = np.exp(a - a.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    run("predict", "h.safetensors", "h.csv", "--proba", "-o", "p.csv")
    said = read("p.csv")
    assert list(said) == ["kind", "kind_cheap", "kind_dear", "kind_fair"]
    labels = np.array(["cheap", "dear", "fair"])[P.argmax(axis=1)]
    assert said["kind"] == labels.tolist()
    found = np.column_stack([np.array(said[f"kind_{k}"], float) for k in ("cheap", "dear", "fair")])
    np.testing.assert_allclose(found, P, atol=1e-6)
    assert run("predict", "h.safetensors", "h.csv").out.split() == ["kind", *labels]
    told = json.loads(run("evaluate", "h.safetensors", "h.csv", "--json").out)["metrics"]
    y = np.array(table["kind"])
    assert told["accuracy"] == metrics.accuracy_score(y, labels)
    assert told["log_loss"] == pytest.approx(metrics.log_loss(y, P), rel=1e-5)
    matrix = metrics.confusion_matrix(y, labels)
    assert told["confusion"] == matrix.tolist()
    recall = metrics.recall_score(y, labels, average=None)
    precision = metrics.precision_score(y, labels, average=None)
    assert [c["recall"] for c in told["classes"]] == pytest.approx(recall)
    assert [c["precision"] for c in told["classes"]] == pytest.approx(precision)
    assert [c["rows"] for c in told["classes"]] == matrix.sum(axis=1).tolist()
    lines = run("evaluate", "h.safetensors", "h.csv").out.splitlines()
    assert lines[-4].split() == ["actual", "cheap", "dear", "fair"]
    assert [line.split()[1:] for line in lines[-3:]] == [list(map(str, row)) for row in matrix]
    assert max(map(len, lines)) <= 80


def test_two_classes_and_one_output(run, table):
    metrics = pytest.importorskip("sklearn.metrics")
    options = ["--loss", "binary_cross_entropy", "--epochs", "40"]
    run("train", "h.csv", "--target", "garden", "--features", "price,area,rooms", *options)
    net = cr.load("h.safetensors")
    assert net.n[-1] == 1
    X = np.column_stack([table["price"], table["area"], table["rooms"]])
    p = 1 / (1 + np.exp(-net.predict(X)[:, 0].astype(float)))
    run("predict", "h.safetensors", "h.csv", "--proba", "-o", "p.csv")
    said = read("p.csv")
    assert list(said) == ["garden", "garden_false", "garden_true"]
    np.testing.assert_allclose(np.array(said["garden_true"], float), p, atol=1e-6)
    np.testing.assert_allclose(np.array(said["garden_false"], float), 1 - p, atol=1e-6)
    assert said["garden"] == np.where(p > 0.5, "true", "false").tolist()
    told = json.loads(run("evaluate", "h.safetensors", "h.csv", "--json").out)["metrics"]
    y = np.array(table["garden"]) == "true"
    assert told["accuracy"] == (y == (p > 0.5)).mean()
    assert told["log_loss"] == pytest.approx(metrics.log_loss(y, p), rel=1e-4)


@pytest.mark.parametrize(
    ("target", "loss"),
    [
        ("kind", "cross_entropy"),
        ("garden", "binary_cross_entropy"),
        ("price", "huber:0.5"),
        ("price", "quantile:0.1,0.9"),
        ("price", "gaussian_nll"),
        ("sold", "poisson"),
    ],
)
def test_explain_and_check_with_the_loss_of_the_model(run, table, target, loss):
    options = ["--task", "regression"] if target in {"price", "sold"} else []
    run("train", "h.csv", "--target", target, "--features", "city,rooms", "--loss", loss,
        "--hidden", "3", "--epochs", "3", "--dtype", "float64", *options)  # fmt: skip
    assert "PASSED" in run("check", "h.safetensors", "h.csv").out
    text = run("explain", "h.safetensors", "h.csv", "--row", "2", "--weight", "2,1,1").out
    net, row = cr.load("h.safetensors"), 1
    X = np.column_stack([by_hand(table)[:, :3], table["rooms"]])[row]
    y = table[target][row]
    if target == "kind":
        Y = np.eye(3)[["cheap", "dear", "fair"].index(y)]
    elif target == "garden":
        Y = [float(y == "true")]
    else:
        Y = [float(y)] * (2 if "quantile" in loss else 1)
    slope = net.gradient([X], [Y], loss_of(loss)).dW[2][0, 0]
    said = re.search(r"^dC/dw\^2_1,1 = (\S+)", text, re.MULTILINE)[1]
    assert float(said) == pytest.approx(slope, rel=1e-9)
    assert "<html" not in run("explain", "h.safetensors", "h.csv", "--html", "e.html").out


def test_no_probabilities_from_squares(run, fails, table):
    run("train", "h.csv", "--target", "kind", *FROM, "--loss", "mse", *QUICK)
    fails(2, ["predict", "h.safetensors", "h.csv", "--proba"], "--proba", "classification", "mse")
    told = json.loads(run("evaluate", "h.safetensors", "h.csv", "--json").out)["metrics"]
    assert "log_loss" not in told
    run("train", "h.csv", "--target", "price", *FROM, *QUICK, "--force")
    fails(2, ["predict", "h.safetensors", "h.csv", "--proba"], "--proba", "it is a regression")


def test_early_stopping(run, table):
    options = ["--target", "price", *FROM, "--optimizer", "adam", "--epochs", "4000"]
    result = run("train", "h.csv", *options, "--early-stopping", "--json")
    told = json.loads(result.out)
    assert (told["stopped"], told["epochs"] < 4000) == ("early_stopping", True)
    costs = told["history"]["val_cost"]
    assert told["best_epoch"] == 1 + int(np.argmin(costs)) == told["epochs"] - 10
    assert "has not fallen for 10 epochs" in told["reason"]
    longer = json.loads(run("train", "h.csv", *options, "--patience", "25", "--json").out)
    assert longer["best_epoch"] == longer["epochs"] - 25
    assert longer["epochs"] > told["epochs"]


# --- missing cells --------------------------------------------------------------------------------


@pytest.fixture
def gaps(table):
    """Gaps in numbers and in text, on both sides of the split."""
    area, city = [str(a) for a in table["area"]], list(table["city"])
    for row in range(0, 160, 8):
        area[row] = "" if row % 16 else "NA"
    for row in range(3, 160, 40):
        city[row] = ""
    table = {**table, "area": area, "city": city}
    write("gaps.csv", table)
    return table


def test_missing_cells_are_an_error(fails, gaps):
    words = ["'area' in 20 of 160 rows (first: line 2)", "'city' in 4 of 160 rows (first: line 5)",
             "--missing mean, indicator or drop"]  # fmt: skip
    fails(65, ["train", "gaps.csv", "--target", "price", *FROM], *words)


@pytest.mark.parametrize("how", ["mean", "indicator"])
def test_missing_cells_are_filled(run, gaps, how):
    run("train", "gaps.csv", "--target", "price", *FROM, "--missing", how, *QUICK)
    net = cr.load("gaps.safetensors")
    area = np.array([float(a) if a not in {"", "NA"} else np.nan for a in gaps["area"]])
    train, _ = split(160)
    missing = np.isnan(area)
    area[missing] = np.nanmean(area[train])
    city = np.array(gaps["city"])
    columns = [*((city == name) for name in CITIES), city == "", gaps["rooms"], area]
    if how == "indicator":
        columns.append(missing)
    X = np.column_stack([*columns, np.array(gaps["garden"]) == "true"]).astype(float)
    out = run("predict", "gaps.safetensors", "gaps.csv").out.split()
    np.testing.assert_allclose(np.array(out[1:], float), net.predict(X)[:, 0], rtol=1e-6)


def test_rows_with_missing_cells_are_dropped(run, gaps):
    options = ["--target", "price", *FROM, "--missing", "drop", *QUICK]
    told = json.loads(run("train", "gaps.csv", *options, "--json").out)
    assert (told["dropped_rows"], told["rows"]) == (24, 136)
    result = run("train", "gaps.csv", *options)
    assert "24 left out with missing cells" in " ".join(result.out.split())
    # their predictions stay empty, so that line k of the answer is line k of the table
    result = run("predict", "gaps.safetensors", "gaps.csv")
    assert "24 row(s) with missing cells have no prediction" in result.err
    lines = result.out.split("\n")[1:-1]
    empty = [a in {"", "NA"} or not c for a, c in zip(gaps["area"], gaps["city"], strict=True)]
    assert [not line for line in lines] == empty
    full = {name: [c for c, gap in zip(cells, empty, strict=True) if not gap]
            for name, cells in gaps.items()}  # fmt: skip
    write("full.csv", full)
    same = run("predict", "gaps.safetensors", "full.csv").out.split("\n")[1:-1]
    assert same == [line for line in lines if line]
    told = json.loads(run("predict", "gaps.safetensors", "gaps.csv", "--json").out)
    assert [value is None for value in told["columns"]["price"]] == empty
    told = json.loads(run("evaluate", "gaps.safetensors", "gaps.csv", "--json").out)
    assert (told["dropped_rows"], told["metrics"]["rows"]) == (24, 136)
    assert "PASSED" in run("check", "gaps.safetensors", "gaps.csv").out


def test_values_that_the_training_rows_did_not_have(run, fails, table):
    run("train", "h.csv", "--target", "price", *FROM, *QUICK)
    table["city"][7] = "Kiev"
    write("new.csv", table)
    words = ["column 'city', line 9: 'Kiev'", "--unknown ignore"]
    fails(65, ["predict", "h.safetensors", "new.csv"], *words)
    out = run("predict", "h.safetensors", "new.csv", "--unknown", "ignore").out.split()
    x = by_hand(table)[7]
    assert x[:3].tolist() == [0, 0, 0]
    assert float(out[8]) == pytest.approx(cr.load("h.safetensors").predict(x)[0], rel=1e-6)
    # in the held-out rows of a training it is a remark
    held = split(160)[1]
    table["city"] = ["Rome"] * 160
    table["city"][held[0]] = "Kiev"
    write("held.csv", table)
    result = run("train", "held.csv", "--target", "price", *FROM, *QUICK)
    text = " ".join(result.out.split())
    assert f"column 'city', line {held[0] + 2}: 'Kiev' is none of the model's" in text
    assert "here such values count as none" in text


# --- predict --------------------------------------------------------------------------------------


def test_columns_in_any_order(run, fails, table):
    run("train", "h.csv", "--target", "price", *FROM, *QUICK)
    expected = run("predict", "h.safetensors", "h.csv").out
    write("other.csv", {name: table[name] for name in reversed(INPUTS)})
    result = run("predict", "h.safetensors", "other.csv")
    assert (result.out, result.err) == (expected, "")
    write("less.csv", {"city": table["city"], "area": table["area"]})
    fails(65, ["predict", "h.safetensors", "less.csv"], "missing 2 of the 4 columns",
          "needs: rooms, garden; it has city, area")  # fmt: skip
    fails(65, ["evaluate", "h.safetensors", "other.csv"], "missing 1 of the 5 columns", "price")


def test_append(run, fails, table):
    run("train", "h.csv", "--target", "price", *FROM, *QUICK)
    plain = run("predict", "h.safetensors", "h.csv").out.split()
    result = run("predict", "h.safetensors", "h.csv", "--append")
    Path("p.csv").write_text(result.out)
    said = read("p.csv")
    assert list(said) == [*table, "predicted_price"]
    assert said["predicted_price"] == plain[1:]
    for name in table:
        assert said[name] == read("h.csv")[name]
    fails(65, ["predict", "h.safetensors", "p.csv", "--append"], "'predicted_price' already")


def test_append_keeps_gaps(run, gaps):
    run("train", "gaps.csv", "--target", "price", *FROM, "--missing", "mean", *QUICK)
    run("predict", "gaps.safetensors", "gaps.csv", "--append", "-o", "p.csv")
    said = read("p.csv")
    assert said["city"] == gaps["city"]
    assert [a or "NA" for a in said["area"]] == [a or "NA" for a in gaps["area"]]


def test_parquet_in_and_out(run, table):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.read_csv("h.csv")
    frame.to_parquet("h.parquet")
    for name in ("h.csv", "h.parquet"):
        run("train", name, "--target", "kind", *FROM, "-o", f"{name}.st", "--epochs", "20")
    one, two = cr.load("h.csv.st"), cr.load("h.parquet.st")
    assert one.theta.tobytes() == two.theta.tobytes()
    run("predict", "h.parquet.st", "h.parquet", "--proba", "-o", "p.parquet")
    run("predict", "h.csv.st", "h.csv", "--proba", "-o", "p.csv")
    said, expected = pandas.read_parquet("p.parquet"), pandas.read_csv("p.csv")
    assert said["kind"].tolist() == expected["kind"].tolist()
    assert said["kind_dear"].dtype == np.float32
    assert (said["kind_dear"].to_numpy() == expected["kind_dear"].astype("float32")).all()
    run("predict", "h.parquet.st", "h.parquet", "--append", "-o", "a.parquet")
    both = pandas.read_parquet("a.parquet")
    pandas.testing.assert_frame_equal(both[list(table)], frame)
    assert both["predicted_kind"].tolist() == said["kind"].tolist()


def test_parquet_without_pyarrow(run, fails, table, monkeypatch):
    run("train", "h.csv", "--target", "price", *FROM, *QUICK)
    Path("t.parquet").write_bytes(b"PAR1")
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    for command in (["train", "t.parquet", "--target", "y"], ["predict", "h.safetensors",
                    "t.parquet"], ["evaluate", "h.safetensors", "t.parquet"]):  # fmt: skip
        fails(2, command, "t.parquet", "needs pyarrow")
    result = fails(2, ["predict", "h.safetensors", "h.csv", "-o", "p.parquet"], "needs pyarrow")
    assert "argument --output" in result.err
    assert re.search(r"\.[0-9a-f]{8}-", result.err) is None  # no temporary name


# --- JSON, history, quiet -------------------------------------------------------------------------


def test_json_of_a_training(run, table):
    result = run("train", "h.csv", "--target", "price", *FROM, "--json", "--history", "h.jsonl")
    told = json.loads(result.out)
    assert result.out.count("\n") == 1
    assert result.err.startswith("epoch ")
    assert told["model"] == "h.safetensors"
    assert told["files"] == ["h.safetensors", "h.jsonl"]
    assert (told["task"], told["target"], told["columns"]) == ("regression", "price", INPUTS)
    assert told["inputs"] == ["city=Lima", "city=Oslo", "city=Rome", "rooms", "area", "garden"]
    assert (told["training_rows"], told["held_out_rows"]) == (128, 32)
    assert told["epochs"] == len(told["history"]["cost"]) == 120
    assert told["gradients"]["passed"] is True
    assert told["seconds"] > 0
    rows = [json.loads(line) for line in Path("h.jsonl").read_text().splitlines()]
    assert [row["cost"] for row in rows] == told["history"]["cost"]
    assert [row["val_cost"] for row in rows] == told["history"]["val_cost"]
    metrics = pytest.importorskip("sklearn.metrics")
    held = split(160)[1]
    p = cr.load("h.safetensors").predict(by_hand(table)[held])[:, 0]
    y = np.array(table["price"])[held]
    assert told["metrics"]["of"] == "held_out"
    assert told["metrics"]["r2"] == pytest.approx(metrics.r2_score(y, p), rel=1e-9)
    assert told["metrics"]["mae"] == pytest.approx(abs(y - p).mean(), rel=1e-6)
    result = run("train", "h.csv", "--target", "price", *FROM, "--json", "--quiet")
    assert result.err == ""
    assert json.loads(result.out)["gradients"] is None


def test_json_has_no_nan(run):
    rows = "".join(f"{k % 7},{k % 5}.5,1.5\n" for k in range(40))
    Path("t.csv").write_text("a,b,y\n" + rows)
    told = json.loads(run("train", "t.csv", "--target", "y", "--json", "--quiet", *QUICK).out)
    assert told["metrics"]["r2"] is None
    assert told["metrics"]["rmse"] >= 0


def test_json_of_predictions(run, table):
    run("train", "h.csv", "--target", "price", *FROM, *QUICK)
    told = json.loads(run("predict", "h.safetensors", "h.csv", "--json").out)
    cells = run("predict", "h.safetensors", "h.csv").out.split()[1:]
    assert told["rows"] == 160
    assert [str(np.float32(v)) for v in told["columns"]["price"]] == cells
    assert told["columns"]["price"] == [float(cell) for cell in cells]
    told = json.loads(run("predict", "h.safetensors", "h.csv", "--json", "-o", "p.csv").out)
    assert (told["output"], told["columns"]) == ("p.csv", ["price"])
    assert read("p.csv")["price"] == cells


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (2, ["train", "h.csv", "--json"]),
        (2, ["train", "h.csv", "--target", "price", "--epochs", "0", "--json"]),
        (65, ["train", "h.csv", "--target", "kind", "--task", "regression", "--json"]),
        (66, ["train", "none.csv", "--target", "y", "--json"]),
        (66, ["predict", "none.st", "h.csv", "--json"]),
        (66, ["evaluate", "none.st", "h.csv", "--json"]),
        (73, ["train", "h.csv", "--target", "price", "-o", "none/m.st", "--json"]),
    ],
)
def test_json_of_an_error(fails, table, code, arguments):
    result = fails(code, arguments)
    told = json.loads(result.out)
    assert told["error"]["exit_code"] == code
    assert f"chainrule: error: {told['error']['message']}\n" == result.err


def test_history_file(run, fails, table):
    options = ["--target", "price", *FROM, *QUICK]
    run("train", "h.csv", *options, "--history", "c.csv")
    run("train", "h.csv", *options, "--history", "c.csv")  # a history is replaced by another
    said = read("c.csv")
    assert list(said) == ["epoch", "cost", "val_cost"]
    assert said["epoch"] == ["1", "2", "3", "4"]
    Path("c.csv").write_text("precious")
    fails(73, ["train", "h.csv", *options, "--history", "c.csv"], "c.csv exists and is not a hist")
    fails(2, ["train", "h.csv", *options, "--history", "c.txt"], "--history", ".csv or .jsonl")
    fails(2, ["train", "h.csv", *options, "--history", "x.csv", "-o", "x.csv"], "both are x.csv")


@pytest.mark.parametrize("target", ["price", "price,rent", "kind", "garden"])
def test_report(run, fails, table, target):
    pytest.importorskip("matplotlib")
    features = ["--features", "city,rooms,area", "--report", "r.html", *QUICK]
    result = run("train", "h.csv", "--target", target, *features)
    assert "h.safetensors, r.html" in result.out
    page = Path("r.html").read_text()
    assert f"<title>h.csv: {target.replace(',', ', ')}" in page
    for word in (*target.split(","), "city=Rome", "SGD"):
        assert word in page
    lines = set(map(int, re.findall(r">line (\d+)<", page)))  # the largest errors
    assert lines
    assert lines <= {row + 2 for row in split(160)[1].tolist()}
    assert "<script" not in page
    run("train", "h.csv", "--target", target, *features)  # a page is replaced by another
    Path("r.html").write_text("<html>precious</html>")
    fails(73, ["train", "h.csv", "--target", target, *features], "r.html exists and is not a page")


def test_report_without_matplotlib(fails, table, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    options = ["--target", "price", *FROM, "--report", "r.html"]
    fails(2, ["train", "h.csv", *options], "--report", "chainrule[plot]")


def test_evaluate_says_which_rows_were_seen(run, table):
    run("train", "h.csv", "--target", "price", *FROM, *QUICK)
    assert "learnt from 128 of these rows" in run("evaluate", "h.safetensors", "h.csv").err
    write("new.csv", houses(seed=9))
    assert "learnt from" not in run("evaluate", "h.safetensors", "new.csv").err


@pytest.mark.parametrize("target", ["price", "kind", "price,rent", "--loss=quantile:0.1,0.9"])
def test_rows_of_weight_0_are_not_counted_as_evaluated(run, table, target):
    """As if they were not in the table, and they are said to be there."""
    options = ["--target", "price", target] if target[0] == "-" else ["--target", target]
    run("train", "h.csv", *options, "--features", "rooms,area", "--dtype", "float64", *QUICK)
    m = len(table["w"])
    weighted = {**table, "w": np.where(np.arange(m) % 8 == 3, 0.0, np.array(table["w"]) + 0.5)}
    write("w.csv", weighted)
    write("less.csv", {k: np.array(v)[weighted["w"] > 0].tolist() for k, v in weighted.items()})
    ask = ["evaluate", "h.safetensors", "--weights", "w"]
    found, expected = (
        json.loads(run(*ask, name, "--json").out)["metrics"] for name in ("w.csv", "less.csv")
    )
    zeros = int((weighted["w"] == 0).sum())
    assert zeros > 10
    assert (found.pop("rows"), found.pop("rows_of_weight_0")) == (m - zeros, zeros)
    assert (expected.pop("rows"), expected.pop("rows_of_weight_0")) == (m - zeros, 0)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        if isinstance(value, float):
            assert value == pytest.approx(expected[name], rel=1e-9)
    said = f"w.csv: {m - zeros} rows, and {zeros} of weight 0, which do not count\n"
    assert said in run(*ask, "w.csv").out
    assert f"less.csv: {m - zeros} rows\n" in run(*ask, "less.csv").out
    assert f"w.csv: {m} rows\n" in run("evaluate", "h.safetensors", "w.csv").out


# --- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "prize"], ["--target", "no column 'prize'", "did you mean 'price'"]),
        (["--target", "price,nothing"], ["--target", "no column 'nothing'"]),
        (["--target", "price", "--features", "area,price"], ["--features: 'price' is the target"]),
        (["--target", "price", "--features", "areas"], ["--features", "did you mean 'area'"]),
        (["--target", "price", "--ignore", "price"], ["--ignore: 'price' is the target"]),
        (["--target", "price", "--features", "area", "--ignore", "area"], ["--ignore: 'area'"]),
        (["--target", "price", "--weights", "price"], ["--weights: 'price' is the target"]),
        (["--target", "price", "--weights", "x"], ["--weights: no column 'x'"]),
        (["--target", "price", "--weights", "w", "--features", "w"], ["--features: 'w' is the"]),
        (["--target", "price", "--categorical", "price"], ["--categorical: 'price' is the target"]),
        (["--target", "price", "--categorical", "zip", "--features", "area"],
         ["--categorical: 'zip' is not among --features"]),
        (["--target", "price", "--loss", "hubert"], ["--loss", "'hubert'", "huber, log_cosh"]),
        (["--target", "price", "--loss", "huber:x"], ["--loss", "'huber:x'", "not a number"]),
        (["--target", "price", "--loss", "huber:"], ["--loss", "'huber:'"]),
        (["--target", "price", "--loss", "huber:-1"], ["--loss", "'huber:-1'", "delta"]),
        (["--target", "price", "--loss", "huber:1,2"], ["--loss", "one parameter"]),
        (["--target", "price", "--loss", "mse:2"], ["--loss", "mse has no parameter"]),
        (["--target", "price", "--loss", "quantile:1.5"], ["--loss", "q must be in (0, 1)"]),
        (["--target", "price", "--loss", "cross_entropy"], ["--loss", "none for a regression"]),
        (["--target", "kind", "--loss", "mae"], ["--loss", "classification with 3 classes",
                                                 "cross_entropy, mse"]),
        (["--target", "kind", "--loss", "binary_cross_entropy"], ["--loss", "with 3 classes"]),
        (["--target", "price", "--missing", "zero"], ["--missing", "indicator"]),
        (["--target", "price", "--dropout", "1"], ["--dropout", "0 <= dropout < 1"]),
        (["--target", "price", "--l1", "-1"], ["--l1"]),
        (["--target", "price", "--patience", "0"], ["--patience"]),
        (["--target", "price", "--report", "r.pdf"], ["--report", ".html"]),
    ],
)  # fmt: skip
def test_wrong_options(fails, table, arguments, words):
    fails(2, ["train", "h.csv", *arguments], *words)


def test_targets_that_cannot_be(fails, table):
    start = ["train", "h.csv", *FROM]
    fails(65, [*start, "--target", "kind", "--task", "regression"], "'kind'", "text such as")
    fails(65, [*start, "--target", "price,kind"], "'kind'", "text such as")
    fails(2, [*start, "--target", "price,rent", "--task", "classification"], "has one target, got")
    write("one.csv", {**table, "kind": ["fair"] * 160})
    fails(65, ["train", "one.csv", *FROM, "--target", "kind"], "'fair' in every row", "two classes")
    write("minus.csv", {**table, "sold": [-1, *table["sold"][1:]]})
    fails(65, ["train", "minus.csv", *FROM, "--target", "sold", "--task", "regression", "--loss",
               "poisson"], "at least 0 for poisson")  # fmt: skip


def test_weights_that_cannot_be(fails, table):
    for cells, words in (
        ([-1.0, *table["w"][1:]], "line 2: got -1, allowed is a number >= 0"),
        (["", *table["w"][1:]], "line 2: the cell is empty"),
        (["x"] * 160, "numbers are needed"),
        ([0] * 160, "all of"),
    ):
        write("w.csv", {**table, "w": cells})
        options = ["--target", "price", *FROM, "--weights", "w"]
        fails(65, ["train", "w.csv", *options], "'w' of weights", words)


def test_a_class_without_training_rows(run, table):
    held = split(160)[1]
    kind = ["fair" if k % 2 else "cheap" for k in range(160)]
    kind[held[3]] = "dear"
    write("rare.csv", {**table, "kind": kind})
    result = run("train", "rare.csv", "--target", "kind", *FROM, *QUICK)
    assert "1 class(es) without a training row" in " ".join(result.out.split())
    assert re.search(r"dear +0 of 1 right", result.out)
    found = json.loads(run("train", "rare.csv", "--target", "kind", *FROM, *QUICK, "--json").out)
    dear = next(c for c in found["metrics"]["classes"] if c["class"] == "dear")
    assert (dear["rows"], dear["right"], dear["recall"]) == (1, 0, 0.0)


def test_files_that_cannot_be_read(fails):
    Path("latin.csv").write_bytes("a,stra\xdfe,y\n1,2,3\n".encode("latin-1"))
    fails(65, ["train", "latin.csv", "--target", "y"], "latin.csv, line 1: not UTF-8")
    Path("empty.csv").write_bytes(b"")
    fails(65, ["train", "empty.csv", "--target", "y"], "the file is empty")
    Path("head.csv").write_bytes(b"a,y\n")
    fails(65, ["train", "head.csv", "--target", "y"], "no data rows")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_folder_that_cannot_be_written(fails, table, folder):
    (folder / "d").mkdir(mode=0o500)
    options = ["train", "h.csv", "--target", "price", *FROM, *QUICK]
    for flag, name in (("-o", "d/m.st"), ("--history", "d/c.csv"), ("--plot", "d/c.png")):
        fails(73, [*options, flag, name], "the folder d is not writable")


def test_a_training_in_a_pipe(table):
    """Nothing but the JSON object on stdout; a reader that goes away is no accident."""
    line = [sys.executable, "-m", "chainrule", "train", "h.csv", "--target", "price", *FROM]
    done = subprocess.run([*line, "--json"], capture_output=True, text=True, check=True)
    json.loads(done.stdout)
    assert "\r" not in done.stderr
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


# --- models of before -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "classes", "n_L"),
    [("regression", None, 1), ("classification", ["0", "1", "2"], 3)],
)
def test_models_without_an_encoder_are_read(run, task, classes, n_L):
    """What `chainrule train` wrote into a model before there were encoders and losses."""
    net = cr.Network([cr.Dense(4, "tanh"), cr.Dense(n_L)], n_inputs=2, seed=5)
    net.metadata["table"] = {
        "name": "t.csv", "columns": ["a", "b"], "target": "y", "task": task, "classes": classes,
        "rows": 3, "held_out": 1, "seed": 0,
    }  # fmt: skip
    net.save("old.safetensors")
    Path("t.csv").write_text("b,y,a\n1,0,2\n0.5,1,-1\n3,2,0\n-1,2.0,1\n")
    a = net.predict([[2, 1], [-1, 0.5], [0, 3], [1, -1]])
    expected = a[:, 0].astype(str) if n_L == 1 else a.argmax(axis=1).astype(str)
    assert run("predict", "old.safetensors", "t.csv").out.split() == ["y", *expected]
    told = json.loads(run("evaluate", "old.safetensors", "t.csv", "--json").out)["metrics"]
    y = np.array([0, 1, 2, 2])
    if n_L == 1:
        assert told["mae"] == pytest.approx(abs(a[:, 0] - y).mean(), rel=1e-6)
    else:
        assert told["accuracy"] == (a.argmax(axis=1) == y).mean()
    run("check", "old.safetensors", "t.csv")
