"""`chainrule explain`: as text, one derivative, as a page, and every way it can go wrong."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli, tables
from chainrule.walkthrough import example, walk

TABLE = "size,age,price\n1.5,3,10\n2.5,1,20\n0.5,2,15\n3.5,7,12\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder with a table and a model of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "houses.csv").write_text(TABLE)
    net = cr.Network([cr.Dense(2, "tanh"), cr.Dense(1)], 2, "float64", seed=3)
    net.metadata["table"] = {"columns": ["size", "age"], "target": "price", "classes": None}
    net.save("houses.safetensors")
    return tmp_path


@pytest.fixture
def run(capsys):
    def run(*arguments):
        capsys.readouterr()
        code = cli.main(["explain", *map(str, arguments)])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def fails(run, folder):
    """Expect an exit code and one line with these words; no file is made or changed."""

    def fails(code, arguments, *words):
        def files():
            return {path.name: path.read_bytes() for path in folder.iterdir()}

        before = files()
        result = run(*arguments)
        assert result.code == code, result.err
        assert result.out == ""
        assert len(result.err.splitlines()) == 1, result.err
        for word in words:
            assert word in result.err
        assert files() == before

    return fails


def items(path):
    html = path.read_text(encoding="utf-8")
    data = re.search(r'<script type="application/json" id="model">(.*?)</script>', html, re.DOTALL)
    return {name: item["value"] for name, item in json.loads(data[1])["items"].items()}


def test_the_example_is_the_walk(run):
    result = run("--example")
    assert result.code == 0
    assert result.out == walk(*example()) + "\n"
    assert result.err == ""
    assert "All" in result.out
    assert "checks agree" in result.out
    for tag in ("(Z)", "(A)", "(MSE)", "(BP1)", "(BP2)", "(BP3)", "(BP4)", "(GD)"):
        assert tag in result.out


def test_the_learning_rate_is_obeyed(run):
    assert run("--example", "--learning-rate", "0.125").out == walk(*example(), 0.125) + "\n"


def test_one_derivative_of_the_example(run):
    net, X, Y = example()
    t = net.trace(X, Y)
    assert run("--example", "--weight", "1,2,1").out == t.explain(1, 2, 1).text + "\n"
    assert run("--example", "--bias", "2,1").out == t.explain(2, 1).text + "\n"
    both = run("--example", "--bias", "2,1", "--weight", "1,1,2")
    assert t.explain(1, 1, 2).text in both.out
    assert t.explain(2, 1).text in both.out


def test_a_row_of_a_table(run, folder):
    net = cr.load("houses.safetensors")
    result = run("houses.safetensors", "houses.csv", "--row", "3")
    assert result.code == 0
    assert result.out.startswith("Row 3 of houses.csv")
    assert walk(net, [[0.5, 2.0]], [[15.0]], 0.01) in result.out
    one = run("houses.safetensors", "houses.csv", "--row", "3", "--weight", "1,2,1")
    assert str(net.trace([[0.5, 2.0]], [[15.0]]).explain(1, 2, 1)) in one.out
    first = run("houses.safetensors", "houses.csv")
    assert first.out.startswith("Row 1 of houses.csv")


def test_columns_are_found_by_name(run, folder):
    (folder / "other.csv").write_text("price,note,age,size\n15,hello,2,0.5\n")
    same = run("houses.safetensors", "houses.csv", "--row", "3").out
    other = run("houses.safetensors", "other.csv")
    assert other.out.splitlines()[1:] == same.splitlines()[1:]
    assert "1 column(s) not used by the model: note" in other.err


def test_several_rows_are_one_batch(run, folder):
    result = run("houses.safetensors", "houses.csv", "--row", "4,1", "--html", "page.html")
    assert result.code == 0, result.err
    t = cr.load("houses.safetensors").trace([[3.5, 7.0], [1.5, 3.0]], [[12.0], [10.0]])
    found = items(folder / "page.html")
    assert found["w-1-2-1"] == t.explain(1, 2, 1).value
    assert found["z-1-2-1"] == t.z[1][1, 0]
    html = (folder / "page.html").read_text()
    for name in ("size", "age", "price", "row 4", "row 1"):
        assert f">{name}<" in html
    assert "Rows 4, 1 of houses.csv" in html


def test_the_page_of_the_example(run, folder):
    result = run("--example", "--html", "report.html")
    assert result.code == 0
    size = (folder / "report.html").stat().st_size
    assert result.out == f"page       report.html ({size / 1000:.0f} kB)\n"
    net, X, Y = example()
    assert items(folder / "report.html")["w-2-1-2"] == net.trace(X, Y).explain(2, 1, 2).value
    assert [path.name for path in folder.glob("*.html")] == ["report.html"]
    # an earlier page may be replaced
    before = (folder / "report.html").read_bytes()
    assert run("--example", "--html", "report.html").code == 0
    assert (folder / "report.html").read_bytes() == before


def test_a_page_and_a_derivative(run, folder):
    result = run("--example", "--weight", "1,1,1", "--html", "report.html")
    assert "dC/dw^1_1,1" in result.out
    assert result.out.splitlines()[-1].startswith("page ")


def test_a_trained_model_of_a_packaged_table(run, folder, capsys):
    train = ["train", "diabetes", "--hidden", "16,16", "--epochs", "2", "--quiet"]
    assert cli.main(train) == 0
    result = run("diabetes.safetensors", "diabetes", "--row", "3", "--html", "page.html")
    assert result.code == 0, result.err
    html = (folder / "page.html").read_text()
    assert "DIFFERS" not in html
    assert "in standardised units" in html
    assert len(html) < 1_000_000
    table = tables.read("diabetes")
    net = cr.load("diabetes.safetensors")
    X = table.values[2:3, [table.columns.index(c) for c in net.metadata["table"]["columns"]]]
    Y = table.values[2:3, [table.columns.index("progression")]]
    t = net.trace(X, Y)
    found = items(folder / "page.html")
    weights = [name for name in found if name.startswith("w-")]
    assert len(weights) >= 12
    for name in weights:
        assert found[name] == t.explain(*map(int, name.split("-")[1:])).value
    text = run("diabetes.safetensors", "diabetes", "--row", "3").out
    assert len(text) < 40_000


def test_classes_become_outputs(run, folder):
    rows = "".join(f"{x},{y},{'yes' if x > y else 'no'}\n" for x in range(6) for y in range(6))
    (folder / "t.csv").write_text("x,y,more\n" + rows)
    train = ["train", "t.csv", "--target", "more", "--hidden", "2", "--epochs", "2", "--quiet"]
    assert cli.main(train) == 0
    assert run("t.safetensors", "t.csv", "--row", "8", "--html", "page.html").code == 0
    html = (folder / "page.html").read_text()
    assert ">no<" in html
    assert ">yes<" in html


def test_a_script_in_the_header_of_a_table_stays_text(run, folder):
    (folder / "evil.csv").write_text('"<script>alert(1)</script>",age,price\n1,2,3\n4,5,7\n8,1,2\n')
    train = ["train", "evil.csv", "--target", "price", "--hidden", "2", "--epochs", "1", "--quiet"]
    assert cli.main([*train, "--validation", "0"]) == 0
    assert run("evil.safetensors", "evil.csv", "--html", "page.html").code == 0
    html = (folder / "page.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html


def test_wrong_usage(fails, folder):
    model = ["houses.safetensors", "houses.csv"]
    fails(2, [], "which network?")
    fails(2, ["houses.safetensors"], "which network?")
    fails(2, [*model, "--example"], "--example", "MODEL")
    fails(2, ["--example", "--row", "3"], "--example", "--row")
    fails(2, [*model, "--row", "5"], "--row", "got 5", "1 to 4")
    for row in ("0", "-1", "1.5", "x", "", "1,,2", "1," * 300 + "1", "9" * 30):
        fails(2, [*model, f"--row={row}"], "--row", "got")
    for place in ("1,2", "1,2,3,4", "a,b,c", "", "1,-2,3"):
        fails(2, ["--example", f"--weight={place}"], "--weight", "3 whole numbers")
    fails(2, ["--example", "--bias", "1,2,3"], "--bias", "2 whole numbers l,j")
    fails(2, ["--example", "--weight", "3,1,1"], "--weight", "1 to 2", "got 3")
    fails(2, ["--example", "--weight", "1,3,1"], "--weight", "1 to 2", "got 3")
    fails(2, ["--example", "--weight", "1,1,0"], "--weight", "1 to 2", "got 0")
    fails(2, ["--example", "--bias", "1,9", "--html", "page.html"], "--bias", "got 9")
    for rate in ("0", "-1", "nan", "inf", "fast"):
        fails(2, ["--example", f"--learning-rate={rate}"], "--learning-rate")
    fails(2, ["--example", "--html", "page.txt"], "--html", ".html")
    fails(2, ["--example", "--html", "houses.csv"], "--html")


def test_files_that_are_not_there_or_not_ours(fails, folder):
    (folder / "mine.html").write_text("<p>my own page</p>")
    (folder / "folder.html").mkdir()
    fails_with = [
        (66, ["no.safetensors", "houses.csv"], "no.safetensors"),
        (66, ["houses.safetensors", "no.csv"], "no.csv"),
        (65, ["houses.csv", "houses.csv"], "houses.csv"),
        (73, ["--example", "--html", "mine.html"], "--force"),
        (73, ["--example", "--html", "no/page.html"], "no folder"),
    ]
    (folder / "folder.html").rmdir()
    for code, arguments, word in fails_with:
        fails(code, arguments, word)


def test_force_replaces_any_file(run, folder):
    (folder / "mine.html").write_text("<p>my own page</p>")
    assert run("--example", "--html", "mine.html", "--force").code == 0
    assert items(folder / "mine.html")


def test_tables_that_do_not_fit(fails, folder):
    (folder / "few.csv").write_text("size,price\n1,2\n")
    fails(65, ["houses.safetensors", "few.csv"], "missing 1", ": age;")
    (folder / "no_target.csv").write_text("size,age\n1,2\n")
    fails(65, ["houses.safetensors", "no_target.csv"], "missing 1", ": price;")
    (folder / "words.csv").write_text("size,age,price\n1,2,dear\n")
    fails(65, ["houses.safetensors", "words.csv"], "line 2", "'dear'")
    (folder / "huge.csv").write_text("size,age,price\n1,2,1e200\n")
    fails(65, ["houses.safetensors", "huge.csv"], "huge.csv", "not finite")
    cr.Network([cr.Dense(1)], 2).save("bare.safetensors")
    fails(65, ["bare.safetensors", "houses.csv"], "does not name its columns")


def test_a_step_that_is_too_long(fails, folder):
    net = cr.Network([cr.Dense(1)], 2, "float64", seed=1)
    net.metadata["table"] = {"columns": ["size", "age"], "target": "price", "classes": None}
    net.save("linear.safetensors")
    arguments = ["linear.safetensors", "houses.csv", "--learning-rate", "1e200"]
    fails(65, [*arguments, "--html", "page.html"], "is --learning-rate 1e+200 too large?")


def test_a_large_network_is_short(run, folder):
    net = cr.Network([cr.Dense(600, "relu"), cr.Dense(600, "relu"), cr.Dense(1)], 2, seed=1)
    net.metadata["table"] = {"columns": ["size", "age"], "target": "price", "classes": None}
    net.save("large.safetensors")
    result = run("large.safetensors", "houses.csv")
    assert result.code == 0
    assert len(result.out) < 20_000
    assert "too large to be written out" in result.out
    t = cr.load("large.safetensors").trace([[1.5, 3.0]], [[10.0]])
    largest = max(float(abs(g).max()) for g in (*t.dW, *t.db))
    assert f"{largest!r}" in result.out
    assert run("large.safetensors", "houses.csv", "--html", "page.html").code == 0
    assert (folder / "page.html").stat().st_size < 1_000_000
    one = run("large.safetensors", "houses.csv", "--weight", "2,600,600")
    assert len(one.out) < 10_000


def test_help_names_every_option(run, capsys):
    assert cli.main(["explain", "--help"]) == 0
    text = capsys.readouterr().out
    for word in ("--example", "--row", "--weight", "--bias", "--learning-rate", "--html"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_target_as_a_number_is_in_standardised_units(run, folder):
    net = cr.load("houses.safetensors")
    net.scaling = cr.Scaling([1.0, 2.0], [2.0, 4.0], [10.0], [5.0])
    net.save("scaled.safetensors")
    assert run("scaled.safetensors", "houses.csv", "--row", "2", "--html", "p.html").code == 0
    found = items(folder / "p.html")
    assert found["y-1-1"] == np.float64((20 - 10) / 5)
    assert found["a-0-1-2"] == (1 - 2) / 4
