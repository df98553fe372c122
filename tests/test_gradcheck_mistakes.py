"""The diagnosis of a wrong gradient: every known mistake is named, and none that is not there."""

import importlib
import importlib.util
import math
import pathlib
import time

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference

mistakes = importlib.import_module("chainrule.gradcheck.mistakes")
parameters_room = importlib.import_module("chainrule.gradcheck.parameters")
Anatomy, diagnose, wrong_gradients = (
    mistakes.Anatomy,
    mistakes.diagnose,
    mistakes.wrong_gradients,
)


def anatomy(n=(3, 4, 4, 2), names=("tanh", "sigmoid", "identity"), m=6, reduction="mean", seed=0):
    rng = np.random.default_rng(seed)
    W = [None, *(rng.normal(size=(n[l], n[l - 1])) for l in range(1, len(n)))]
    b = [None, *(0.5 * rng.normal(size=n[l]) for l in range(1, len(n)))]
    X, Y = rng.normal(size=(m, n[0])), rng.normal(size=(m, n[-1]))
    return Anatomy(W, b, list(names), X, Y, reduction)


def parameters(net):
    return parameters_room.Parameters(
        (f"{kind}^{l}", arrays[l], l, kind)
        for l in range(1, len(net.W))
        for kind, arrays in (("W", net.W), ("b", net.b))
    )


def row(dW, db):
    pairs = zip(dW[1:], db[1:], strict=True)
    return np.concatenate([np.ravel(part) for pair in pairs for part in pair])


def right_row(net):
    _, dW, db = reference.gradient(net.W, net.b, net.activations, net.X, net.Y, net.reduction)
    return row(dW, db)


def said_of(net, got, single=False, right=None, simulation=None):
    """The diagnosis of the row `got` for this network."""
    right = right_row(net) if right is None else right
    if single:
        with np.errstate(over="ignore"):
            got = got.astype(np.float32).astype(np.float64)
    bad = ~(np.abs(got - right) <= (1e-5 if single else 1e-9) * np.abs(right).max())
    return diagnose(parameters(net), got, right, bad, simulation or net)


# A student's backpropagation, and one line of it changed

F = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.maximum(z, 0),
    "identity": lambda z: z,
}
DF = {
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "sigmoid": lambda z: F["sigmoid"](z) * (1 - F["sigmoid"](z)),
    "relu": lambda z: (z > 0) * 1.0,
    "identity": np.ones_like,
}
STUDENT = """
def backprop(W, b, f, X, Y):
    m, n, L = len(X), Y.shape[1], len(W) - 1
    z, a = [None], [X]
    for l in range(1, L + 1):
        z.append(a[l - 1] @ W[l].T + b[l])
        a.append(F[f[l - 1]](z[l]))
    dW, db = [None] * (L + 1), [None] * (L + 1)
    delta = 2 / (m * n) * (a[L] - Y) * DF[f[L - 1]](z[L])
    for l in range(L, 0, -1):
        db[l] = delta.sum(axis=0)
        dW[l] = delta.T @ a[l - 1]
        if l > 1:
            delta = (delta @ W[l]) * DF[f[l - 2]](z[l - 1])
    return dW, db
"""


def student(net, old="", new=""):
    assert STUDENT.count(old) >= 1
    names = {"np": np, "F": F, "DF": DF}
    exec(STUDENT.replace(old, new) if old else STUDENT, names)
    with np.errstate(all="ignore"):
        return row(*names["backprop"](net.W, net.b, net.activations, net.X, net.Y))


RESULT = "return dW, db"
# The line, what stands there instead, and words of the diagnosis. The network is 3-4-4-2, m = 6.
LINES = [
    ("(a[L] - Y)", "(Y - a[L])", "All derivatives are -1 times what they should be. The sign"),
    ("2 / (m * n)", "1 / (m * n)", "All derivatives are 0.5 times"),
    ("2 / (m * n)", "4 / (m * n)", "All derivatives are 2 times"),
    (
        "2 / (m * n)",
        "2 / n",
        "All derivatives are 6 times what they should be. 6 is m: the sum over",
    ),
    ("2 / (m * n)", "2 / m", "2 is n_L: the sum over the outputs stands for their mean"),
    ("2 / (m * n)", "2", "All derivatives are 12 times what they should be. m n_L"),
    ("2 / (m * n)", "1", "m n_L/2: the 2/(m n_L) of (BP1) is missing"),
    (
        "2 / (m * n)",
        "2 / (m * m * n)",
        "All derivatives are 0.1667 times what they should be. 1/6 is 1/m",
    ),
    ("2 / (m * n)", "-2 / n", "All derivatives are -6 times"),
    ("2 / (m * n)", "2 / m**2", "n_L/m: m stands where n_L should"),
    ("(a[L] - Y)", "(a[L] + Y)", "Y is added to a^L instead of subtracted (BP1)"),
    ("(a[L] - Y)", "(a[L] - Y) ** 2", "(a^L - Y)^2 stands for a^L - Y (BP1)"),
    ("(a[L] - Y)", "abs(a[L] - Y)", "|a^L - Y| stands for a^L - Y (BP1)"),
    ("2 / (m * n) * (a[L] - Y)", "np.sign(a[L] - Y) / (m * n)", "derivative of the absolute error"),
    ("(a[L] - Y)", "(a[L] - np.roll(Y, 1, 0))", "Y is shifted down by one row (BP1)"),
    ("* DF[f[l - 2]](z[l - 1])", "", "f' is missing in all hidden layers (BP2)"),
    (
        "DF[f[l - 2]](z[l - 1])",
        "DF[f[l - 2]](a[l - 1])",
        "f'(a) stands for f'(z) in all hidden layers",
    ),
    (
        "DF[f[l - 2]](z[l - 1])",
        "F[f[l - 2]](z[l - 1])",
        "f(z) stands for f'(z) in all hidden layers",
    ),
    (
        "DF[f[l - 2]](z[l - 1])",
        "DF['relu'](z[l - 1])",
        "f' is that of relu in all hidden layers (BP2)",
    ),
    ("DF[f[l - 2]](z[l - 1])", "DF['sigmoid'](z[l - 1])", "f' is that of sigmoid in layer 1 (BP2)"),
    (
        "DF[f[l - 2]](z[l - 1])",
        "(1 - a[l - 1])",
        "1 - a stands for f'(z) in all hidden layers (BP2)",
    ),
    (
        "DF[f[l - 2]](z[l - 1])",
        "DF[f[l - 2]](z[l - 1]) ** 2",
        "f' is multiplied twice in all hidden",
    ),
    (
        "delta @ W[l])",
        "delta @ (W[l].T if l == 2 else W[l]))",
        "W^2 is transposed on the way back to layer 1",
    ),
    (
        "(delta @ W[l])",
        "(delta if l == 2 else delta @ W[l])",
        "W^2 is left out on the way back to layer 1",
    ),
    (
        "(delta @ W[l])",
        "(0 * delta @ W[l])",
        "are 0: delta is not carried on to layer 2 (BP2)",
    ),
    ("(delta @ W[l])", "(2 * delta @ W[l])", "Each layer further down has one more factor 2 (BP2)"),
    (
        "(delta @ W[l])",
        "(-delta @ W[l] if l == 3 else delta @ W[l])",
        "layers 1 and 2 are -1 times",
    ),
    (
        "a[l - 1]\n",
        "(z[l - 1] if l > 1 else X)\n",
        "z^{l-1} stands for a^{l-1} in every layer but the first",
    ),
    ("a[l - 1]\n", "(a[l] if l == 2 else a[l - 1])\n", "a^2 stands for a^1 (BP4)"),
    ("a[l - 1]\n", "np.roll(a[l - 1], 1, 0)\n", "a^{l-1} is of other samples than delta^l"),
    ("a[l - 1]\n", "np.ones_like(a[l - 1])\n", "a^{l-1} is left out of dW^l in every layer (BP4)"),
    (
        "delta.T @ a[l - 1]\n",
        "np.outer(delta.sum(0), a[l - 1].mean(0))\n",
        "averaged over the samples",
    ),
    (
        "delta.T @ a[l - 1]\n",
        "(a[l - 1].T @ delta).reshape(W[l].shape)\n",
        "have rows and columns mixed up",
    ),
    (RESULT, "dW[2] = dW[2].T; return dW, db", "dW^2 is transposed (BP4)"),
    (RESULT, "dW[2] = 0 * dW[2]; return dW, db", "dW^2 is 0 (BP4)"),
    (
        "delta.sum(axis=0)",
        "delta.mean(axis=0)",
        "All db are 0.1667 times what they should be (BP3). 1/6 is 1/m",
    ),
    ("delta.sum(axis=0)", "0 * b[l]", "All db are 0 (BP3)"),
    (
        "delta.sum(axis=0)",
        "0 * b[l] + delta.sum()",
        "db^l is summed over the units too in every layer (BP3)",
    ),
    (
        "delta.sum(axis=0)",
        "delta[:-1].sum(axis=0)",
        "The last sample is left out in db^l in every layer (BP3)",
    ),
    ("delta.sum(axis=0)", "delta[-1]", "Only the last sample counts in db^l in every layer (BP3)"),
    (
        "delta.T @ a[l - 1]",
        "delta[:-1].T @ a[l - 1][:-1]",
        "The last sample is left out in dW^l in every layer",
    ),
    (" + b[l]", "", "The bias is left out of the forward pass in every layer (Z)"),
    (" + b[l]", " + b[l] * (l != 2)", "The bias is left out of the forward pass in layer 2 (Z)"),
    (RESULT, "dW[1][:, -1:] = 0; return dW, db", "dW^1 is 0 in its last of 3 columns (BP4)"),
    (RESULT, "dW[2][:, 1:] = 0; return dW, db", "dW^2 is 0 in its last 3 of 4 columns (BP4)"),
    (RESULT, "dW[2][:, 1:] += 1; return dW, db", "only dW^2 in its last 3 of 4 columns"),
    (RESULT, "dW[3][1] = 0; return dW, db", "dW^3 is 0 in its last of 2 rows (BP4)"),
    (RESULT, "db[1][2:] = 0; return dW, db", "db^1 is 0 in its last 2 of 4 entries (BP3)"),
    (
        RESULT,
        "dW[2] = 2 * dW[2]; return dW, db",
        "dW^2 is 2 times what it should be (BP4). Something is added twice",
    ),
    (
        RESULT,
        "dW[1] = np.roll(dW[1], 1, 1); return dW, db",
        "dW^1 has its columns shifted right by 1",
    ),
    (
        RESULT,
        "db[1][[0, 1]] = db[1][[1, 0]]; return dW, db",
        "db^1 has entries 1 and 2 swapped (BP3)",
    ),
    (RESULT, "db[1], db[2] = db[2], db[1]; return dW, db", "db^1 has the values of db^2"),
    (
        RESULT,
        "dW[1:] = [g + 1e-4 * w for g, w in zip(dW[1:], W[1:])]; return dW, db",
        "All dW have weight decay added, 0.0001 times the parameter",
    ),
    (
        RESULT,
        "dW[3] = np.clip(dW[3], -.01, .01); return dW, db",
        "dW^3 is clipped to [-0.01, 0.01] (BP4)",
    ),
    (RESULT, "dW[1] = abs(dW[1]); return dW, db", "dW^1 has lost the signs (BP4)"),
    (
        RESULT,
        "dW[1] *= 1.7; db[1] *= 1.7; return dW, db",
        "All derivatives of layer 1 are 1.7 times",
    ),
    (RESULT, "dW[1][2, 1] = np.nan; return dW, db", "1 of 46 is not a number (NaN), in dW^1"),
    (RESULT, "db[2][:2] = np.inf; return dW, db", "2 of 46 are infinite, in db^2"),
    ("2 / (m * n)", "0", "All are 0."),
    (
        RESULT,
        "dW[2][1, 3] *= 1.01; return dW, db",
        "Wrong is only dC/dw^2_2,4. Layers above 2 are right; db^2 is right and so is delta^2",
    ),
    (
        RESULT,
        "db[3][1] += .01; return dW, db",
        "Wrong is only dC/db^3_2. dW^3 is right and so is delta^3: look at db^3 (BP3).",
    ),
]


def test_right_student_is_right():
    net = anatomy()
    np.testing.assert_allclose(student(net), right_row(net), rtol=1e-12)
    assert said_of(net, student(net)) == ""


@pytest.mark.parametrize("single", [False, True], ids=["float64", "float32"])
@pytest.mark.parametrize(("old", "new", "words"), LINES)
def test_one_wrong_line_is_named(old, new, words, single):
    net = anatomy()
    said = said_of(net, student(net, old, new), single)
    assert words in said
    assert said.isascii()


SHAPES = {
    "one output": anatomy((3, 5, 1), ("tanh", "identity"), 17),
    "one sample": anatomy((4, 4, 4, 3), ("tanh", "relu", "identity"), 1),
    "square": anatomy((4, 4, 4, 4), ("sigmoid", "tanh", "tanh"), 17, "half_mean"),
    "deep": anatomy((2, 5, 4, 3, 6, 3), ("tanh",) * 4 + ("identity",), 17, "sum"),
    "linear": anatomy((3, 1), ("identity",), 5),
}


@pytest.mark.parametrize("single", [False, True], ids=["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_student_on_other_shapes(shape, single):
    net = SHAPES[shape]
    m, n, L = len(net.X), net.Y.shape[1], net.L
    D = {"mean": "(m * n)", "half_mean": "(2 * m * n)", "sum": "1"}[net.reduction]
    right = student(net, "(m * n)", D)
    np.testing.assert_allclose(right, right_row(net), rtol=1e-10)

    def said(old, new):
        changed = STUDENT.replace("(m * n)", D).replace(old, new)
        names = {"np": np, "F": F, "DF": DF}
        exec(changed, names)
        got = row(*names["backprop"](net.W, net.b, net.activations, net.X, net.Y))
        return said_of(net, got, single)

    assert "All derivatives are -1 times" in said("(a[L] - Y)", "(Y - a[L])")
    assert "Y is added to a^L" in said("(a[L] - Y)", "(a[L] + Y)")
    assert f"All derivatives are {3 * 1.1:.4g} times" in said("2 / ", "6.6 / ")
    if m > 1:
        assert f"All derivatives are {m} times" in said("2 / ", "2 * m / ")
        assert f"(BP3). 1/{m} is 1/m" in said("delta.sum(axis=0)", "delta.mean(axis=0)")
        assert "The last sample is left out in dW" in said(
            "delta.T @ a[l - 1]", "delta[:-1].T @ a[l - 1][:-1]"
        )
    if n > 1:
        assert "is n_L" in said("2 / ", "2 * n / ")
    if L > 1:
        assert "f' is missing in " in said("* DF[f[l - 2]](z[l - 1])", "")
        assert "The bias is left out of the forward pass" in said(" + b[l]", "")
    assert "0 in its last" in said(RESULT, "dW[1][:, -1:] = 0; return dW, db")


def test_slope_of_relu_at_zero():
    net = anatomy((2, 3, 1), ("relu", "identity"), 4)
    net.b[1][...] = 0
    net.X[0] = 0  # z^1 = 0 for sample 1
    got = student(net, "DF[f[l - 2]](z[l - 1])", "(z[l - 1] >= 0)")
    assert said_of(net, got).startswith("relu'(0) = 1 stands for 0 in layer 1 (BP2).")


def test_targets_of_one_column_too_few():
    net = anatomy((3, 4, 1), ("tanh", "identity"), 6)
    # a (m, 1) against Y (m,): all pairs, and their mean is over m^2
    got = student(net, "(a[L] - Y)", "(a[L] - Y[:, 0]).mean(axis=1, keepdims=True)")
    assert "the mean of Y over the samples stands for Y (BP1)" in said_of(net, got).replace(
        "T", "t"
    )


def test_rounded_to_float32():
    net = anatomy()
    right = right_row(net)
    got = right.astype(np.float32).astype(np.float64)
    said = diagnose(parameters(net), got, right, np.abs(got - right) > 1e-14, net)
    assert said.startswith("All derivatives are rounded to float32.")


def test_two_mistakes_that_give_the_same_numbers_are_both_named():
    net = anatomy((3, 4, 2), ("tanh", "identity"), 2)
    said = said_of(net, student(net, "2 / (m * n)", "2 / n"))
    for words in ("2 is m", "2 is n_L", "the 2 of the square"):
        assert words.lower() in said.lower()
    net = anatomy((3, 4, 4, 2), ("softplus", "softplus", "identity"))
    said = said_of(net, row(*_sigmoid_slopes(net)))
    assert "The same numbers come about when" not in said or "softplus" not in said


def _sigmoid_slopes(net):
    z, a = reference.forward(net.W, net.b, net.activations, net.X)
    a_sigmoid = [a[0], *(reference.sigmoid(part) for part in z[1:3]), a[3]]
    _, dW, db = reference.backward(net.W, net.activations, z, a_sigmoid, net.Y)
    return dW, db


# None that is not there


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("single", [False, True], ids=["float64", "float32"])
def test_noise_is_no_known_mistake(seed, single):
    net = anatomy(seed=seed)
    P, right = parameters(net), right_row(net)
    rng = np.random.default_rng(1000 + seed)
    noise = 0.1 * np.abs(right).max() * rng.normal(size=right.size)
    layer = np.repeat([block.layer for block in P.blocks], [b.array.size for b in P.blocks])
    kind = np.repeat([block.kind for block in P.blocks], [b.array.size for b in P.blocks])

    def said(where):
        said = said_of(net, right + where * noise, single)
        assert said.startswith("No known mistake gives these numbers.")
        return said[len("No known mistake gives these numbers. ") :]

    assert said(layer > 0) == "Already the last layer is wrong: look at delta^3 (BP1)."
    assert said(layer < 3) == (
        "Wrong are only all derivatives of the layers 1 and 2. "
        "Layers above 2 are right: look at delta^2 (BP2), or at its dW and db."
    )
    assert said((layer == 1) & (kind == "W")) == (
        "Wrong is only dW^1. "
        "Layers above 1 are right; db^1 is right and so is delta^1: look at dW^1 (BP4)."
    )
    assert said((layer == 2) & (kind == "b")) == (
        "Wrong is only db^2. "
        "Layers above 2 are right; dW^2 is right and so is delta^2: look at db^2 (BP3)."
    )
    assert said(layer == 2).endswith(
        "layers below 2 are right and so is delta^2: look at its sums (BP3) and (BP4)."
    )
    assert said(layer == 3).endswith(
        "Layers below 3 are right and so is delta^3: look at its sums (BP3) and (BP4)."
    )


def test_other_parameters_on_the_way_back_are_no_known_mistake():
    net, after = anatomy(), anatomy(seed=1)
    z, a = reference.forward(net.W, net.b, net.activations, net.X)
    _, dW, db = reference.backward(after.W, net.activations, z, a, net.Y)
    said = said_of(net, row(dW, db))
    assert "No known mistake" in said
    assert "Layers above 2 are right: look at delta^2 (BP2)" in said


def test_one_number_explained_by_one_factor_is_no_evidence():
    net = anatomy((3, 4, 1), ("tanh", "identity"))
    right = right_row(net)
    got = right.copy()
    got[-1] *= 1.234
    said = said_of(net, got)
    assert "times" not in said
    assert "decay" not in said
    assert "look at db^2 (BP3)" in said


def test_nothing_bad_and_nothing_there():
    net = anatomy()
    P, right = parameters(net), right_row(net)
    none, every = np.zeros(right.size, bool), np.ones(right.size, bool)
    assert diagnose(P, right, right, none, net) == ""
    assert "nothing was checked" in diagnose(P, 0 * right, 0 * right, every, net)
    assert diagnose(P, 0 * right, right, every, net) == "All are 0."


def test_cost_with_a_penalty():
    net = anatomy()
    P, right = parameters(net), right_row(net)
    theta = np.concatenate([np.ravel(block.array) for block in P.blocks])
    penalty = 0.1 * theta

    def said(got):
        return said_of(net, got, right=right + penalty)

    got = student(net, "* DF[f[l - 2]](z[l - 1])", "")
    assert said(got + penalty).startswith("f' is missing in all hidden layers (BP2).")
    lacks = said(right)
    assert lacks.startswith("All derivatives are without the weight decay, 0.1 times")
    assert "(BP1) to (BP4) give these very numbers: is it the cost that is wrong?" in lacks
    assert said(2 * (right + penalty)).startswith("All derivatives are 2 times")


# Everything that is known


KNOWN = {
    **SHAPES,
    "wide": anatomy((3, 4, 4, 2), ("tanh", "sigmoid", "identity"), 6),
    "all activations": anatomy((3, 2, 3, 2, 3), ("relu", "gelu", "silu", "leaky_relu"), 4),
    "one unit": anatomy((1, 1, 1), ("softplus", "identity"), 3),
}


@pytest.mark.parametrize("single", [False, True], ids=["float64", "float32"])
@pytest.mark.parametrize("name", KNOWN)
def test_every_known_mistake_is_named(name, single):
    net = KNOWN[name]
    planted = list(wrong_gradients(net))
    assert len(planted) > 50
    assert len({said for said, _, _ in planted}) > 0.9 * len(planted)
    right, largest = right_row(net), np.abs(right_row(net)).max()
    simulation = mistakes.Simulation(net, remember=True)
    for i, (said, dW, db) in enumerate(planted):
        got = row(dW, db)
        if single and np.abs(got - right).max() < 1e-3 * largest:
            continue
        found = said_of(net, got, single, simulation=simulation)
        assert said.lower() in found.lower()
        if i % 20 == 0:
            assert said_of(net, got, single) == found


@pytest.mark.parametrize("seed", range(12))
def test_every_known_mistake_is_named_in_random_networks(seed):
    rng = np.random.default_rng(seed)
    L = int(rng.integers(1, 5))
    n = rng.integers(1, 5, L + 1).tolist()
    names = rng.choice(list(reference.ACTIVATIONS), L).tolist()
    reduction = ("mean", "half_mean", "sum")[seed % 3]
    net = anatomy(n, names, int(rng.choice([1, 2, 7, 17])), reduction, seed)
    right = right_row(net)
    assert right.any()
    simulation = mistakes.Simulation(net, remember=True)
    for said, dW, db in wrong_gradients(net):
        found = said_of(net, row(dW, db), simulation=simulation)
        assert said.lower() in found.lower()


def test_planted_gradients_change_something_and_are_told_apart():
    net = anatomy()
    rows = np.array([row(dW, db) for _, dW, db in wrong_gradients(net)])
    assert len(rows) > 300
    right = right_row(net)
    assert (np.abs(rows - right).max(axis=1) > 1e-6 * np.abs(right).max()).all()
    for i, one in enumerate(rows):
        assert (np.abs(rows[i + 1 :] - one).max(axis=1, initial=0) > 0).all()
    for _, dW, db in wrong_gradients(net):
        assert dW[0] is None
        assert db[0] is None
        assert [w.shape for w in dW[1:]] == [w.shape for w in net.W[1:]]
        assert [b.shape for b in db[1:]] == [b.shape for b in net.b[1:]]


# Foreign code: no anatomy


def foreign(arrays, change, right=None, noise=1e-7, m=None, n_outputs=None):
    """The diagnosis of a gradient known by its differences alone."""
    rng = np.random.default_rng(3)
    P = parameters_room.Parameters((name, array, None, "") for name, array in arrays.items())
    true = {name: rng.normal(size=array.shape) for name, array in arrays.items()}
    got = {name: part.copy() for name, part in true.items()}
    change(got, arrays)
    got, true = (np.concatenate([np.ravel(part) for part in g.values()]) for g in (got, true))
    right = true * (1 + noise * rng.normal(size=true.size))
    bad = ~(np.abs(got - right) <= 1e-5 * np.abs(right).max())
    return diagnose(P, got, right, bad, m=m, n_outputs=n_outputs)


def arrays():
    rng = np.random.default_rng(4)
    return {"A": rng.normal(size=(3, 5)), "Q": rng.normal(size=(4, 4)), "v": rng.normal(size=7)}


def every(f):
    def change(got, theta):
        for name in got:
            got[name] = f(got[name], theta[name])

    return change


def only(name, f):
    def change(got, theta):
        got[name] = f(got[name], theta[name])

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (every(lambda g, t: -g), "All derivatives are -1 times what they should be. The sign"),
        (every(lambda g, t: 2 * g), "All derivatives are 2 times"),
        (every(lambda g, t: 17 * g), "All derivatives are 17 times what they should be. 17 is m"),
        (every(lambda g, t: g / 51), "1/(m n_L)"),
        (every(lambda g, t: 1.37 * g), "All derivatives are 1.37 times what they should be."),
        (every(lambda g, t: g + 0.01 * t), "weight decay added, 0.01 times the parameter"),
        (every(lambda g, t: 0 * g), "All are 0."),
        (only("A", lambda g, t: 3 * g), "A is 3 times what it should be. 3 is n_L"),
        (only("A", lambda g, t: 0 * g), "A is 0."),
        (only("A", lambda g, t: g.T.reshape(3, 5)), "A has rows and columns mixed up"),
        (only("Q", lambda g, t: g.T), "Q is transposed"),
        (only("Q", lambda g, t: g[[1, 0, 2, 3]]), "Q has rows 1 and 2 swapped"),
        (only("v", lambda g, t: np.roll(g, 1)), "v has its entries shifted down by 1"),
        (only("v", lambda g, t: g[::-1]), "v has its entries in reverse order"),
        (only("v", lambda g, t: g * (np.arange(7) < 4)), "v is 0 in its last 3 of 7 entries"),
        (
            only("v", lambda g, t: g + (np.arange(7) > 3)),
            "Wrong is only v in its last 3 of 7 entries.",
        ),
        (only("v", lambda g, t: g + (np.arange(7) == 3)), "Wrong is only v[3]."),
        (
            only("v", lambda g, t: g * np.where(np.arange(7) == 3, np.nan, 1)),
            "1 of 38 is not a number",
        ),
        (only("A", lambda g, t: g + np.sin(7 * t)), "No known mistake gives these numbers."),
    ],
)
def test_foreign_gradient(change, words):
    said = foreign(arrays(), change, m=17, n_outputs=3)
    assert words in said
    assert "BP" not in said
    assert "layer" not in said.lower()


@pytest.mark.parametrize("shape", [(3, 4), (5, 2), (4, 4)])
@pytest.mark.parametrize("before", [0, 3])
def test_matrix_flattened_by_columns_inside_theta(shape, before):
    rng = np.random.default_rng(5)
    n = shape[0] * shape[1]
    P = parameters_room.Parameters([("theta", rng.normal(size=before + n + 2), None, "")])
    right = rng.normal(size=P.size)
    got = right.copy()
    got[before : before + n] = right[before : before + n].reshape(shape).T.ravel()
    said = diagnose(P, got, right, np.abs(got - right) > 1e-6)
    words = f"theta has a matrix of {shape[0]} x {shape[1]} in [{before}:{before + n}], flattened"
    assert said.lower().startswith(words)


def test_places_not_held_against_a_difference_are_left_out():
    theta = arrays()["Q"]
    P = parameters_room.Parameters([("Q", theta, None, "")])
    right = np.random.default_rng(1).normal(size=16)
    got = 2 * right
    right[3:9] = math.nan
    bad = np.isfinite(right)
    assert diagnose(P, got, right, bad).startswith("All derivatives are 2 times")


# A whole check


def test_gradcheck_says_it():
    path = pathlib.Path(__file__).with_name("test_gradcheck.py")
    spec = importlib.util.spec_from_file_location("whole_check", path)
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    X, Y = check.data(3, 2)
    report = cr.gradcheck(check.Planted(check.network(), check.no_slope_in_layer_2), X, Y)
    assert "f' is missing in layer 2 (BP2)" in report.diagnosis


def test_diagnosis_is_fast():
    net = anatomy((10, 64, 64, 3), ("tanh", "tanh", "identity"), 32)
    got = right_row(net) * (1 + 0.1 * np.random.default_rng(0).normal(size=5123 - 64))
    start = time.perf_counter()
    assert said_of(net, got).startswith("No known mistake")
    assert time.perf_counter() - start < 0.5


def test_small_noise_is_not_explained_by_what_is_merely_near():
    net = anatomy()
    right = right_row(net)
    got = right * (1 + 1e-6 * np.random.default_rng(2000).normal(size=right.size))
    assert said_of(net, got).startswith("No known mistake")


def test_one_clipped_value_is_no_evidence_of_clipping():
    net = anatomy()
    right = right_row(net)
    got = right.copy()
    p = int(np.argmax(np.abs(right[:12])))
    got[p] = np.sign(right[p]) * np.sort(np.abs(right[:12]))[-2] * 1.01
    assert "clipped" not in said_of(net, got)
