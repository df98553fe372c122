"""`chainrule check student.py`: a right file passes, and a wrong one is told what is wrong."""

import importlib
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule import check_command, cli

student = importlib.import_module("chainrule.gradcheck.student")
student_arrays = importlib.import_module("chainrule.gradcheck.student_arrays")
network_room = importlib.import_module("chainrule.gradcheck.student_network")

# By the lecture's equations for the template's cost, C = 1/(m n_L) sum (a^2 - y)^2.
RIGHT = {
    "delta2": "2 * (a2 - Y) / Y.size",
    "db2": "delta2.sum(axis=0)",
    "dW2": "delta2.T @ a1",
    "delta1": "(delta2 @ W2) * (1 - a1**2)",
    "db1": "delta1.sum(axis=0)",
    "dW1": "delta1.T @ X",
}
TODO = {"delta2": "BP1", "db2": "BP3", "dW2": "BP4", "delta1": "BP2", "db1": "BP3", "dW1": "BP4"}
LINES = {name: number for number, text in enumerate(student.template().splitlines(), 1)
         for name in TODO if text.startswith(f"    {name} = None")}  # fmt: skip


def filled(**lines):
    """The template with these lines filled in."""
    text = student.template()
    for name, code in lines.items():
        text, count = re.subn(rf"(?m)^    {name} = None.*$", f"    {name} = {code}", text)
        assert count == 1, name
    return text


def complete(**changed):
    return filled(**{**RIGHT, **changed})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    def run(*arguments):
        capsys.readouterr()
        code = cli.main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def check(run):
    """Check a file of this text; whatever is printed is fit for a terminal of 80 columns."""

    def check(text, *arguments):
        Path("student.py").write_text(text, encoding="utf-8")
        result = run("check", "student.py", *arguments)
        assert result.out.isascii()
        assert max(map(len, result.out.splitlines()), default=0) <= 80
        assert "Traceback" not in result.out + result.err
        assert "internal" not in result.err
        assert sorted(p.name for p in Path().iterdir()) == ["student.py"]
        return result

    return check


def verdicts(out):
    """array -> right, WRONG or MISSING."""
    return dict(re.findall(r"^(\S+) +\([\d, ]*\) +(right|WRONG|MISSING)", out, re.MULTILINE))


def flat(out):
    return " ".join(out.split())


# --- the template ---------------------------------------------------------------------------------


def test_template_is_written_once(run):
    result = run("check", "--template")
    assert result.code == 0
    assert "next       chainrule check student.py" in result.out
    assert Path("student.py").read_text() == student.template()
    Path("student.py").write_text("mine")
    refused = run("check", "--template")
    assert refused.code == 73
    assert "student.py exists; --force replaces it" in refused.err
    assert Path("student.py").read_text() == "mine"
    assert run("check", "--template", "--force").code == 0
    assert Path("student.py").read_text() == student.template()
    assert run("check", "--template", "own.py").code == 0
    assert "chainrule check own.py" in Path("own.py").read_text()
    assert run("check", "--template", "no/own.py").code == 73
    assert run("check", "--template", "a.py", "b.py").code == 2


def test_template_needs_numpy_alone():
    text = student.template()
    assert re.findall(r"(?m)^(?:import|from) .*", text) == ["import numpy as np"]
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 100
    assert sorted(re.findall(r"TODO \((BP\d)\)", text)) == sorted(TODO.values())


def test_unfilled_template_says_what_is_to_do(check):
    result = check(student.template())
    assert result.code == 1
    for name in ("W1", "W2"):
        assert f"grads['{name}'] is None: (BP4) is still to do." in result.out
    for name in ("b1", "b2"):
        assert f"grads['{name}'] is None: (BP3) is still to do." in result.out
    assert f"Next: line {LINES['delta2']}, delta2 = ...: (BP1)." in result.out
    assert result.out.endswith("student.py: FAILED, 4 of 4 arrays still to do\n")


def test_template_filled_in_step_by_step(check):
    names, done = list(RIGHT), {}
    for i, name in enumerate(names[:-1]):
        done[name] = RIGHT[name]
        result = check(filled(**done))
        there = {key[1:] for key in done if key[:2] in ("dW", "db")}
        seen = verdicts(result.out)
        if there:
            assert seen == {
                a: "right" if a in there else "MISSING" for a in ("W1", "b1", "W2", "b2")
            }
        following = names[i + 1]
        assert f"line {LINES[following]}, {following} = ...: ({TODO[following]})" in result.out
        assert result.code == 1


def test_what_is_wrong_comes_before_what_is_to_do(check):
    done = {name: RIGHT[name] for name in ("delta2", "db2", "dW2")}
    result = check(filled(**done | {"db2": "delta2.mean(axis=0)"}))
    assert verdicts(result.out) == {"b2": "WRONG", "W2": "right", "W1": "MISSING", "b1": "MISSING"}
    assert f"Next: line {LINES['db2']}: db2 = delta2.mean(axis=0). This is (BP3)" in result.out
    result = check(filled(**done | {"delta2": "(a2 - Y) / Y.size"}))
    assert f"Next: line {LINES['delta2']}: delta2" in result.out


def test_what_is_wrong_below_comes_before_what_is_to_do_above(check):
    result = check(filled(**{k: v for k, v in RIGHT.items() if k != "dW2"} | {"db1": "delta1[0]"}))
    assert verdicts(result.out) == {"W2": "MISSING", "b1": "WRONG", "W1": "right", "b2": "right"}
    assert f"Next: line {LINES['db1']}: db1 = delta1[0]. This is (BP3)." in result.out


def test_equation_filled_in_too_early(check):
    result = check(filled(db2=RIGHT["db2"]))
    assert result.code == 1
    assert f"student.py, line {LINES['db2']}, in backprop: AttributeError" in result.out
    assert f"delta2 is None: (BP1), line {LINES['delta2']}, is still to do" in result.out


def test_filled_template_passes(check):
    result = check(complete())
    assert result.code == 0, result.out
    assert "network 2-4-3 tanh, identity; C = 1/(m n_L) sum (a^L - y)^2" in result.out
    assert verdicts(result.out) == dict.fromkeys(("W1", "b1", "W2", "b2"), "right")
    # 2 * 4 + 4 + 4 * 3 + 3 derivatives, for each of three numbers of samples
    assert "student.py: PASSED, 81 derivatives, worst relative error" in result.out
    assert "Next" not in result.out


# --- wrong lines ----------------------------------------------------------------------------------

ALL = {"W1", "b1", "W2", "b2"}
LOWER = {"W1", "b1"}

# Which line is wrong and how; which arrays come out wrong; the tag of the equation; words.
MISTAKES = {
    "no 2": ("delta2", "(a2 - Y) / Y.size", ALL, "BP1", ""),
    "sign": ("delta2", "2 * (Y - a2) / Y.size", ALL, "BP1", ""),
    "m": ("delta2", "2 * (a2 - Y) / Y.shape[1]", ALL, "BP1", "With 1 sample all is right"),
    "n_L": ("delta2", "2 * (a2 - Y) / len(Y)", ALL, "BP1", ""),
    "f'(z2) of another": ("delta2", "2 * (a2 - Y) / Y.size * (1 - a2**2)", ALL, "BP1", ""),
    "z for a": ("dW2", "delta2.T @ z1", {"W2"}, "BP4", ""),
    "X for a": ("dW2", "delta2.T @ X", {"W2"}, "BP4", "has shape (3, 2), W2 has (3, 4)"),
    "transposed": ("dW1", "X.T @ delta1", {"W1"}, "BP4", "(2, 4), W1 has (4, 2): transposed?"),
    "no f'": ("delta1", "delta2 @ W2", LOWER, "BP2", ""),
    "f' of z": ("delta1", "(delta2 @ W2) * (1 - z1**2)", LOWER, "BP2", ""),
    "1 - a": ("delta1", "(delta2 @ W2) * (1 - a1)", LOWER, "BP2", ""),
    "sigmoid'": ("delta1", "(delta2 @ W2) * a1 * (1 - a1)", LOWER, "BP2", ""),
    "relu'": ("delta1", "(delta2 @ W2) * (z1 > 0)", LOWER, "BP2", ""),
    "error, not delta": ("delta1", "(a2 - Y) @ W2 * (1 - a1**2)", LOWER, "BP2", ""),
    "mean": ("db2", "delta2.mean(axis=0)", {"b2"}, "BP3", "With 1 sample all is right"),
    "first": ("db1", "delta1[0]", {"b1"}, "BP3", "With 1 sample all is right"),
    "nothing": ("db1", "np.zeros(4)", {"b1"}, "BP3", ""),
    "zero": ("dW1", "0 * W1", {"W1"}, "BP4", ""),
    "tail": ("dW1", "delta1.T @ (X * [1, 0])", {"W1"}, "BP4", ""),
    "one sample": ("dW1", "delta1[:1].T @ X[:1]", {"W1"}, "BP4", "With 1 sample all is right"),
    "other axis": ("db1", "delta1.sum(axis=1)", {"b1"}, "BP3", "5 is the number of samples"),
    "no axis": ("db1", "delta1.sum()", {"b1"}, "BP3", "one number only"),
    "no sum": ("db2", "delta2", {"b2"}, "BP3", "5 is the number of samples"),
    "keepdims": ("db1", "delta1.sum(axis=0, keepdims=True)", {"b1"}, "BP3", "leave out keepdims"),
    "float32": ("dW1", "(delta1.T @ X).astype('float32')", {"W1"}, "BP4", "needs float64"),
    "nan": ("dW1", "delta1.T @ X * np.nan", {"W1"}, "BP4", "8 entries that are NaN"),
    "text": ("dW1", "'delta1.T @ X'", {"W1"}, "BP4", "not real numbers"),
}


# One sample has no sum: there these are right.
ONLY_SEVERAL = {"m", "mean", "first", "one sample"}


@pytest.mark.parametrize("name", MISTAKES)
def test_wrong_lines(check, name):
    what, code, wrong, tag, words = MISTAKES[name]
    result = check(complete(**{what: code}))
    assert result.code == 1
    seen = verdicts(result.out)
    assert {array for array, verdict in seen.items() if verdict != "right"} == wrong
    assert set(seen) == ALL
    said = flat(result.out)
    assert words in said
    assert ("With 1 sample all is right" in said) == (name in ONLY_SEVERAL)
    # the line to look at is the one that was changed, and so is the equation
    assert f"Next: line {LINES[what]}: {what} = " in said
    assert f"({tag})" in said[said.index("Next:") :]
    # the first row of the table is wrong, in the layer nearest to the cost
    first = next(iter(seen))
    assert first in wrong
    assert first[1] == max(array[1] for array in wrong)
    assert f"student.py: FAILED, {len(wrong)} of 4 arrays not right" in result.out


# What the diagnosis says of them.
DIAGNOSES = {
    "no 2": "All derivatives are 0.5 times what they should be. The 2 of the square is missing",
    "sign": "All derivatives are -1 times what they should be. The sign",
    "m": "All derivatives are 5 times what they should be. 5 is m",
    "n_L": "All derivatives are 3 times what they should be. 3 is n_L",
    "z for a": "z^1 stands for a^1 (BP4)",
    "no f'": "f' is missing in layer 1 (BP2)",
    "f' of z": "1 - z^2 stands for f'(z) in layer 1 (BP2)",
    "1 - a": "1 - a stands for f'(z) in layer 1 (BP2)",
    "sigmoid'": "f'",
    "relu'": "f' is that of relu in layer 1 (BP2)",
    "error, not delta": "the 2/(m n_L) of (BP1) is missing",
    "mean": "db^2 is 0.2 times what it should be (BP3). 1/5 is 1/m",
    "first": "Only the first sample counts in db^1 (BP3)",
    "nothing": "db^1 is 0 (BP3)",
    "zero": "dW^1 is 0 (BP4)",
    "tail": "dW^1 is 0 in its last of 2 columns (BP4)",
    "one sample": "Only the first sample counts in dW^1 (BP4)",
}


@pytest.mark.parametrize("name", DIAGNOSES)
@pytest.mark.parametrize("way", ["out", "in", "columns"])
def test_diagnoses(check, name, way):
    """The mistake is named, however W lies."""

    what, code, *_ = MISTAKES[name]
    if way == "out":
        text = complete(**{what: code})
    else:  # the same mistake in another layout: rows of the lecture inside, turned at the ends
        turned = complete(**{what: code}).split("def backprop(params, X, Y):")
        ends = {
            "in": ("W1, W2 = W1.T, W2.T", "dW1, dW2 = dW1.T, dW2.T"),
            "columns": ("X, Y, b1, b2 = X.T, Y.T, b1.ravel(), b2.ravel()",
                        "db1, db2 = db1[:, None], db2[:, None]"),
        }[way]  # fmt: skip
        body = turned[1].replace('params["b2"]\n', f'params["b2"]\n    {ends[0]}\n', 1)
        body = body.replace("    return cost", f"    {ends[1]}\n    return cost")
        text = turned[0] + "def backprop(params, X, Y):" + body
    result = check(text)
    assert result.code == 1
    assert DIAGNOSES[name] in flat(result.out)


def test_a_mistake_that_shows_with_one_sample_alone(check):
    result = check(complete(dW1="delta1.T @ X * (1 if len(X) > 1 else 2)"))
    assert result.code == 1
    assert "1 sample:" in result.out
    assert verdicts(result.out)["W1"] == "WRONG"


def test_the_number_of_samples_is_no_width(check):
    text = complete(db1="delta1.sum(axis=1)").replace("[2, 4, 3]", "[6, 5, 3]")
    result = check(text)
    assert "has shape (7,), b1 has (5,): 7 is the number of samples" in flat(result.out)


def test_an_array_that_the_forward_pass_leaves_out(check):
    result = check(complete().replace("X @ W1.T + b1", "X @ W1.T"))
    assert verdicts(result.out) == {"b1": "WRONG", "W1": "right", "W2": "right", "b2": "right"}
    assert "The cost does not depend on b1." in result.out
    assert "Next: the forward pass: is b1 left out there?" in result.out


@pytest.mark.parametrize("form", ['grads["b1"]', "grads['db1']", "g['b1']", "db_1", "db1"])
def test_the_line_is_found_whatever_the_array_is_called(check, form):
    text = complete().replace(
        "db1 = delta1.sum(axis=0)", f"grads, g = {{}}, {{}}; db1 = 0\n    {form} = delta1[0]"
    )
    result = check(text.replace('"b1": db1', f'"b1": {form}'))
    line = 1 + [
        line.startswith(f"    {form} =") for line in Path("student.py").read_text().splitlines()
    ].index(True)
    assert f"Next: line {line}: {form} = delta1[0]. This is (BP3)." in result.out


def test_the_network_is_found_for_the_diagnosis(monkeypatch, check):
    """The diagnosis gets the network that the file computes, for the cost that it computes."""
    given = []

    def diagnose(parameters, got, right, bad, anatomy=None, **_):
        given.append((parameters, got, right, bad, anatomy))
        return "This is the diagnosis."

    monkeypatch.setattr(student, "diagnose", diagnose)
    text = complete(delta1="delta2 @ W2").replace("np.tanh(z1)", "np.maximum(z1, 0)")
    for cost, D in (
        ("np.mean((a2 - Y) ** 2)", lambda m: 3 * m),
        ("np.sum((a2 - Y) ** 2)", lambda m: 1),
        ("np.sum((a2 - Y) ** 2) / (2 * len(Y))", lambda m: 2 * m),
        ("0.5 * np.mean((a2 - Y) ** 2)", lambda m: 6 * m),
        ("7.5 * np.sum((a2 - Y) ** 2)", lambda m: 1 / 7.5),
    ):
        given.clear()
        result = check(
            text.replace("np.mean((a2 - Y) ** 2)", cost).replace("/ Y.size", f"/ {D(5)!r}")
        )
        assert "This is the diagnosis." in result.out
        assert "ACTIVATIONS says tanh, identity, but the cost is that of relu, identity." in flat(
            result.out
        )
        parameters, got, right, bad, anatomy = given[0]
        assert [block.name for block in parameters.blocks] == ["W^1", "b^1", "W^2", "b^2"]
        assert anatomy.activations == ["relu", "identity"]
        # by hand: the gradient of the anatomy's own cost
        z1 = anatomy.X @ anatomy.W[1].T + anatomy.b[1]
        a1 = np.maximum(z1, 0)
        e = a1 @ anatomy.W[2].T + anatomy.b[2] - anatomy.Y
        D_anatomy = {"mean": e.size, "half_mean": 2 * e.size, "sum": 1}[anatomy.reduction]
        delta2 = 2 * e / D_anatomy
        wrong_delta1 = delta2 @ anatomy.W[2]
        for delta1, row in ((wrong_delta1, got), (wrong_delta1 * (z1 > 0), right)):
            hand = [delta1.T @ anatomy.X, delta1.sum(0), delta2.T @ a1, delta2.sum(0)]
            np.testing.assert_allclose(
                row, np.concatenate([g.ravel() for g in hand]), rtol=1e-6, atol=1e-8
            )
        assert not bad[12:].any()
        assert bad[:12].any()


# --- ways to keep the arrays ----------------------------------------------------------------------

HEADER = "import numpy as np\nWIDTHS = [2, 4, 3]\n"
FORWARD = {  # a1, a2 by the way W lies
    "out": ("X @ W1.T + b1", "a1 @ W2.T + b2", "delta2.T @ a1", "delta2 @ W2", "delta1.T @ X"),
    "in": ("X @ W1 + b1", "a1 @ W2 + b2", "a1.T @ delta2", "delta2 @ W2.T", "X.T @ delta1"),
    "columns": ("W1 @ X + b1", "W2 @ a1 + b2", "delta2 @ a1.T", "W2.T @ delta2", "delta1 @ X.T"),
}
UNPACK = {
    "dict": ("W1, b1, W2, b2 = (params[k] for k in ('W1', 'b1', 'W2', 'b2'))",
             "{'W1': dW1, 'b1': db1, 'W2': dW2, 'b2': db2}"),
    "dict of d": ("W1, b1, W2, b2 = (params[k] for k in ('W1', 'b1', 'W2', 'b2'))",
                  "{'dW1': dW1, 'db1': db1, 'dW2': dW2, 'db2': db2}"),
    "dict and tuple": ("W1, b1, W2, b2 = (params[k] for k in ('W1', 'b1', 'W2', 'b2'))",
                       "(dW1, db1, dW2, db2)"),
    "pairs": ("(W1, b1), (W2, b2) = params", "[(dW1, db1), (dW2, db2)]"),
    "tuple": ("W1, b1, W2, b2 = params", "(dW1, db1, dW2, db2)"),
}  # fmt: skip


def network(way="out", kind="dict", axis=None, deltas="2 * (a2 - Y) / Y.size", header=HEADER):
    z1, z2, dW2, back, dW1 = FORWARD[way]
    unpack, grads = UNPACK[kind]
    axis = axis or ("axis=1, keepdims=True" if way == "columns" else "axis=0")
    return f"""{header}

def backprop(params, X, Y):
    {unpack}
    a1 = np.tanh({z1})
    a2 = {z2}
    delta2 = {deltas}
    dW2, db2 = {dW2}, delta2.sum({axis})
    delta1 = ({back}) * (1 - a1**2)
    dW1, db1 = {dW1}, delta1.sum({axis})
    return np.mean((a2 - Y) ** 2), {grads}
"""


@pytest.mark.parametrize("kind", UNPACK)
@pytest.mark.parametrize("way", FORWARD)
def test_layouts(check, way, kind):
    result = check(network(way, kind))
    assert result.code == 0, result.out
    assert "network 2-4-3 tanh, identity; C = 1/(m n_L) sum" in result.out
    assert "PASSED, 81 derivatives" in result.out
    wrong = check(network(way, kind, deltas="(a2 - Y) / Y.size"))
    assert wrong.code == 1
    assert "(BP1)" in wrong.out
    assert set(verdicts(wrong.out).values()) == {"WRONG"}


@pytest.mark.parametrize("way", ["out", "in"])
def test_biases_of_one_row(check, way):
    assert check(network(way, axis="axis=0, keepdims=True")).code == 0


def test_the_search_for_the_network_puts_params_back():
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(4, 2)), rng.normal(size=4)), (rng.normal(size=(3, 4)), np.ones(3))]
    params = student_arrays.Params(pairs)
    before = [np.array(leaf.array) for leaf in params.leaves]
    found = network_room.order(params.leaves, student_arrays.Convention())
    X, Y = rng.normal(size=(5, 2)), rng.normal(size=(5, 3))

    def cost():
        (W1, b1), (W2, b2) = params.made
        return np.sum((np.tanh(X @ W1.T + b1) @ W2.T + b2 - Y) ** 2)

    seen = network_room.detect(found, cost, X, Y)
    assert (seen.anatomy.activations, seen.anatomy.reduction) == (["tanh", "identity"], "sum")
    for leaf, old in zip(params.leaves, before, strict=True):
        assert np.array_equal(leaf.array, old)


@pytest.mark.parametrize("way", FORWARD)
def test_params_and_data_of_the_file(check, way):
    shapes = {"out": ((4, 2), (4,), (3, 4), (3,)), "in": ((2, 4), (4,), (4, 3), (3,)),
              "columns": ((4, 2), (4, 1), (3, 4), (3, 1))}[way]  # fmt: skip
    data = "(2, 6), (3, 6)" if way == "columns" else "(6, 2), (6, 3)"
    header = f"""import numpy as np
rng = np.random.default_rng(0)

def params():
    one, two, three, four = {shapes}
    W1, W2 = rng.normal(size=one), rng.normal(size=three)
    return {{"W1": W1, "b1": np.zeros(two), "W2": W2, "b2": np.zeros(four)}}

"""
    for extra in ("", f"\ndef data():\n    return [rng.normal(size=s) for s in ({data})]\n"):
        result = check(network(way, header=header) + extra)
        assert result.code == 0, result.out
        assert "network 2-4-3 tanh, identity" in result.out
    result = check(network(way, header=header, deltas="(a2 - Y) / Y.size"))
    assert result.code == 1


def test_other_networks_and_other_costs(check):
    softmax = """import numpy as np
WIDTHS = [3, 4, 5]
LOSS = "cross_entropy"

def backprop(params, X, Y):
    W1, b1, W2, b2 = params.values()
    a1 = np.maximum(0, X @ W1.T + b1)
    z2 = a1 @ W2.T + b2
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    delta2 = (p - Y) / len(Y)
    delta1 = (delta2 @ W2) * (a1 > 0)
    cost = -np.mean(np.sum(Y * np.log(p), axis=1))
    return cost, {"W1": delta1.T @ X, "b1": delta1.sum(0), "W2": delta2.T @ a1, "b2": delta2.sum(0)}
"""
    result = check(softmax)
    assert result.code == 0, result.out
    assert "backprop, 41 parameters" in result.out
    assert check(softmax.replace("/ len(Y)", "")).code == 1
    deep = """import numpy as np
WIDTHS = [2, 3, 3, 4, 1]

def backprop(params, X, Y):
    a, L = [X], len(params)
    for W, b in params:
        a.append(1 / (1 + np.exp(-(a[-1] @ W.T + b))))
    delta = 2 * (a[L] - Y) / Y.size * a[L] * (1 - a[L])
    grads = []
    for l in range(L, 0, -1):
        grads.insert(0, (delta.T @ a[l - 1], delta.sum(axis=0)))
        if l > 1:
            delta = delta @ params[l - 1][0] * a[l - 1] * (1 - a[l - 1])
    return np.mean((a[L] - Y) ** 2), grads
"""
    result = check(deep)
    assert result.code == 0, result.out
    assert "network 2-3-3-4-1 sigmoid, sigmoid, sigmoid, sigmoid" in result.out
    wrong = check(deep.replace("* a[l - 1] * (1 - a[l - 1])", "* a[l - 1]"))
    assert {a for a, v in verdicts(wrong.out).items() if v == "right"} == {"W4", "b4"}
    assert "(BP2)" in wrong.out


def test_table(run):
    text = complete().replace("[2, 4, 3]", "[2, 4, 1]")
    Path("student.py").write_text(text)
    rows = np.random.default_rng(0).normal(size=(9, 3)).round(3)
    Path("t.csv").write_text("a,b,y\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    result = run("check", "student.py", "t.csv")
    assert result.code == 0, result.out + result.err
    assert "1, 2 and 9 samples" in result.out
    Path("student.py").write_text(text.replace("/ Y.size", "/ 9"))
    assert run("check", "student.py", "t.csv").code == 1
    # a table that does not fit the file
    Path("student.py").write_text(complete())
    result = run("check", "student.py", "t.csv")
    assert result.code == 65
    assert "the table has 2 inputs and 1 target, WIDTHS of student.py says 2 and 3" in result.err
    assert run("check", "student.py", "none.csv").code == 66


# --- what else can go wrong -----------------------------------------------------------------------

BODY = "def backprop(params, X, Y):\n"
RETURN = "    return cost, {"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (complete().replace("return cost, {", "return {"), "returns a dict"),
        (complete().replace("    return", "    done ="), "does it end with return cost, grads?"),
        (complete().replace("np.mean((a2 - Y) ** 2)", "(a2 - Y) ** 2"), "cost has shape (5, 3)"),
        (complete().replace("np.mean((a2", "1j * np.mean((a2"), "expected is a real number"),
        (complete().replace("np.mean((a2", "0 * np.inf + np.mean((a2"), "the cost is nan"),
        (complete().replace("cost = np.mean(", "cost = np.float32(1) * np.float32("
                            ).replace("** 2)  #", "** 2).mean()  #"), "the cost is float32"),
        (complete().replace("cost = np", "cost = None  # np"), "the cost is None"),
        (complete(dW1="delta1.T @ X; W1 -= 0.1 * dW1"), "backprop changes W1 in place"),
        (complete(dW1="delta1.T @ X; X *= 2"), "backprop changes X in place"),
        (complete().replace("X @ W1.T", "X @ W1.T * np.random.rand()"), "something random in it"),
        (complete(dW1="kept.append(1) or len(kept) * delta1.T @ X") + "\nkept = []\n",
         "gives another gradient"),
        (complete().replace('{"W1": dW1,', '{"w1": dW1,'), "grads['W1'] is missing"),
        (complete().replace('{"W1": dW1,', '{"w1": dW1,'), "grads has w1, which params has not"),
        (complete().replace('"b2": db2}', '}'), "grads['b2'] is missing: (BP3) is still to do"),
        (complete().replace('{"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}', "[dW1, dW2]"),
         "grads is a list of 2 arrays; expected is a dict like params"),
        (complete().replace('return cost, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}',
                            'return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}, cost'),
         "expected is cost first"),
        (complete(delta1="(delta2 @ W2.T) * (1 - a1**2)"), "the inner sizes of a matrix product"),
        (complete(delta1="(delta2 @ W2.T) * (1 - a1**2)"), "shapes: delta2 (5, 3), W2 (3, 4)"),
        (complete(dW1="delta1.T @ XX"), f"line {LINES['dW1']}, in backprop: NameError"),
        (complete(dW1="exit()"), "ends the program here"),
        (complete().replace('params["W1"]', 'params["w1"]'), "KeyError: 'w1'"),
        (complete(dW1="1 / 0"), "ZeroDivisionError"),
        (complete(delta2="0 * (a2 - Y)").replace("np.mean((a2 - Y) ** 2)", "0 * np.mean(a2)"),
         "nothing was checked"),
    ],
)  # fmt: skip
def test_what_backprop_does_wrong(check, text, words):
    result = check(text)
    assert result.code == 1, result.out + result.err
    assert words in flat(result.out)
    assert "student.py: FAILED" in result.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (complete(dW1="(delta1.T @ X"), f"student.py, line {LINES['dW1']}: SyntaxError"),
        ("def backprop(params, X, Y):\nreturn 1\n", "line 2: IndentationError"),
        ("\0", "student.py"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError"),
        ("x = 1\n\n\nx.y\n", "student.py, line 4: AttributeError"),
        ("exit(3)\n", "line 1: the file ends the program here"),
        ("def backpropagation(params, X, Y): pass\n", "but backpropagation: is that it?"),
        ("x = 1\n", "no function backprop(params, X, Y)"),
        (complete().replace("backprop(params, X, Y)", "backprop(params, X)"), "three arguments"),
        (complete().replace("WIDTHS", "SIZES"), "add a line such as WIDTHS"),
        (complete().replace("[2, 4, 3]", "[2, 4.5]"), "WIDTHS is [2, 4.5]"),
        (complete().replace("[2, 4, 3]", "2"), "WIDTHS is 2;"),
        (
            complete() + "\ndef params():\n    return {'W1': 'text'}\n",
            "params['W1'] is of type str",
        ),
        (complete() + "\ndef params():\n    return {}\n", "holds no array"),
        (complete() + "\ndef params():\n    return 1 / 0\n", "in params: ZeroDivisionError"),
        (
            "def params():\n    return [1.0]\n\n\ndef backprop(params, X, Y):\n    return 0, [0]\n",
            "does not say the shapes of X and Y",
        ),
        (complete() + "\ndef data():\n    return 1\n", "X and Y must be two arrays of numbers"),
    ],
)
def test_files_that_cannot_be_checked(check, text, words):
    result = check(text)
    assert result.code == 65, result.out + result.err
    assert result.err.startswith("chainrule: error: ")
    assert result.err.count("\n") == 1
    assert words in result.err


def test_picture_of_the_errors(run):
    pytest.importorskip("matplotlib")
    if not check_command.PLOTS:
        pytest.skip("the report has no picture")
    Path("student.py").write_text(complete(dW1="0 * W1"))
    assert run("check", "student.py", "--plot", "errors.png").code == 1
    assert Path("errors.png").read_bytes().startswith(b"\x89PNG")
    assert run("check", "student.py", "--plot", "errors.png").code == 73
    assert run("check", "student.py", "--plot", "errors.png", "--force").code == 1
    assert run("check", "student.py", "--plot", "errors.txt").code == 2


def test_wrong_usage(run):
    assert run("check").code == 2
    assert run("check", "none.py").code == 66
    Path("folder.py").mkdir()
    assert run("check", "folder.py").code == 66
    result = run("check", "model.safetensors")
    assert result.code == 2
    assert "on which table?" in result.err
    for seconds in ("0", "-1", "nan", "x"):
        assert run("check", "student.py", "--timeout", seconds).code == 2


def test_prints_of_the_file_pass_through_once(check):
    text = complete(dW1="delta1.T @ X; print('delta1 has', delta1.shape)")
    result = check(text)
    assert result.code == 0
    assert result.out.startswith("delta1 has (5, 4)\nstudent.py: network")
    assert result.out.count("delta1 has") == 1


def test_other_files_of_the_folder_are_found(folder, run, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (folder / "helper_of_student.py").write_text("def twice(x):\n    return 2 * x\n")
    text = "from helper_of_student import twice\n" + complete(delta2="twice(a2 - Y) / Y.size")
    (folder / "student.py").write_text(text)
    try:
        assert run("check", "student.py").code == 0
    finally:
        sys.modules.pop("helper_of_student", None)
    assert sorted(p.name for p in folder.iterdir()) == ["helper_of_student.py", "student.py"]
    assert str(folder) not in sys.path


@pytest.mark.parametrize(
    "loop",
    [
        "while True: pass",
        "while True:\n        try:\n            sum(range(1000))\n        except Exception: pass",
    ],
)
def test_endless_loops_are_ended(check, loop):
    start = time.monotonic()
    result = check(complete().replace(BODY, f"{BODY}    {loop}\n"), "--timeout", "0.5")
    assert time.monotonic() - start < 10
    assert result.code == 1
    assert re.search(r"student.py: not done after 0.5 s; it was in line \d+\.", result.out)


def test_a_loop_that_catches_everything_is_ended():
    loop = "while True:\n        try:\n            sum(range(1000))\n        except: pass"
    Path("student.py").write_text(complete().replace(BODY, f"{BODY}    {loop}\n"))
    result = subprocess.run(
        [sys.executable, "-m", "chainrule", "check", "student.py", "--timeout", "0.3"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "not done after 0.3 s" in result.stderr
    assert "Traceback" not in result.stderr


def test_right_files_pass_with_any_random_numbers():
    """No false alarm: relu with kinks, softplus, costs of any constant, 30 seeds."""
    forms = {
        "np.maximum(z1, 0)": "(z1 > 0)",
        "np.log1p(np.exp(z1))": "1 / (1 + np.exp(-z1))",
        "np.where(z1 > 0, z1, 0.01 * z1)": "np.where(z1 > 0, 1, 0.01)",
    }
    for i, (f, df) in enumerate(forms.items()):
        text = complete(delta1=f"(delta2 @ W2) * ({df})").replace("np.tanh(z1)", f)
        text = text.replace("[2, 4, 3]", "[3, 12, 2]")
        Path("student.py").write_text(text)
        for seed in range(10):
            checked = student.check_student(Path("student.py"), seed=100 * i + seed)
            assert checked.passed, checked.text
