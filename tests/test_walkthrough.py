"""One step of gradient descent by hand: every number of the page is right, and checked."""

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.walkthrough import example, walk

SECTIONS = [
    "1. Forward",
    "2. Cost",
    "3. Backward",
    "4. The derivatives by the biases",
    "5. The derivatives by the weights",
    "6. One step of gradient descent",
    "7. The cost after the step",
]


def numbered(text):
    """{left side: (number, check)} of all lines of the tables, section by section."""
    sections = {}
    for line in text.splitlines():
        title = next((s for s in SECTIONS if line.startswith(s)), None)
        if title:
            rows = sections.setdefault(title, {})
        found = re.fullmatch(r"   (\S+) = .*  = (\S+) +(\S+)(?:  .*)?", line)
        if found:
            rows[found[1]] = (float(found[2]), float(found[3]))
    return sections


def test_the_example_is_the_same_every_time():
    net, X, Y = example()
    assert net.n == (2, 2, 2)
    assert net.dtype == "float64"
    assert X.shape == Y.shape == (1, 2)
    again = example()[0]
    assert net.theta.tobytes() == again.theta.tobytes()
    assert all(len(repr(p)) <= 5 for p in net.theta.tolist())  # numbers to write by hand
    assert walk(*example()) == walk(*example())


def test_every_number_of_the_example_is_right(unchanged):
    net, X, Y = example()
    with unchanged(net):
        text = walk(net, X, Y, learning_rate=0.5)
    W = [None, *(np.array(w) for w in net.W)]
    b = [None, *(np.array(v) for v in net.b)]
    names = [layer.activation for layer in net.layers]
    z, a = reference.forward(W, b, names, X)
    delta, dW, db = reference.backward(W, names, z, a, Y)
    right = {title: {} for title in SECTIONS[:6]}
    for l in (1, 2):
        for j in (1, 2):
            forward, backward = right["1. Forward"], right["3. Backward"]
            forward[f"z^{l}_{j}"] = z[l][0, j - 1]
            forward[f"a^{l}_{j}"] = a[l][0, j - 1]
            forward[f"f'(z^{l}_{j})"] = reference.d_sigmoid(z[l])[0, j - 1]
            backward[f"delta^{l}_{j}"] = delta[l][0, j - 1]
            right["4. The derivatives by the biases"][f"dC/db^{l}_{j}"] = db[l][j - 1]
            step = right["6. One step of gradient descent"]
            step[f"b^{l}_{j}"] = b[l][j - 1] - 0.5 * db[l][j - 1]
            for k in (1, 2):
                w, g = W[l][j - 1, k - 1], dW[l][j - 1, k - 1]
                right["5. The derivatives by the weights"][f"dC/dw^{l}_{j},{k}"] = g
                step[f"w^{l}_{j},{k}"] = w - 0.5 * g
    right["2. Cost"]["C"] = reference.cost(a[2], Y)
    shown = numbered(text)
    for title, rows in right.items():
        assert set(shown[title]) == set(rows), title
        for name, value in rows.items():
            number, check = shown[title][name]
            assert number == float(f"{value:.6g}"), (title, name)
            assert check == pytest.approx(value, rel=1e-5), (title, name)
    assert text.splitlines()[-1] == "All 44 checks agree."


def test_the_cost_after_the_step_and_its_prediction():
    net, X, Y = example()
    g = net.gradient(X, Y)
    norm = float(np.sum(g.theta**2))
    rows = [line.split() for line in walk(net, X, Y, 0.5).splitlines() if "e-0" in line[-6:]]
    assert [float(row[0]) for row in rows] == [0.5, 0.25, 0.125]
    for eta, predicted, after, check, error in (map(float, row) for row in rows):
        assert predicted == pytest.approx(g.cost - eta * norm, rel=1e-5)
        twin = net.copy()
        twin.theta = net.theta - eta * g.theta
        assert after == check == pytest.approx(twin.cost(X, Y), rel=1e-5)
        assert error == pytest.approx(after - predicted, abs=1e-6)  # both have six digits
    first, second, third = (float(row[4]) for row in rows)
    assert first / second == pytest.approx(4, rel=0.05)
    assert second / third == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize("tag", ["Z", "A", "MSE", "BP1", "BP2", "BP3", "BP4", "GD"])
def test_the_tags_are_there(tag):
    assert f"({tag})" in walk(*example())


@pytest.mark.parametrize("loss", [cr.MSE(r) for r in ("mean", "sum", "half_mean")], ids=str)
@pytest.mark.parametrize("f", reference.ACTIVATIONS)
def test_all_checks_agree_for_every_activation_and_loss(f, loss, dtype):
    net = cr.Network([cr.Dense(3, f), cr.Dense(2, "tanh"), cr.Dense(2, f)], 2, dtype=dtype, seed=3)
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(6, 2)), rng.normal(size=(6, 2))
    text = walk(net, X, Y, 0.01, loss)
    assert "DIFFERS" not in text
    assert re.fullmatch(r"All \d+ checks agree\.", text.splitlines()[-1])


def test_scaled_and_one_sample():
    net, X, Y = example()
    assert walk(net, X[0], Y[0]) == walk(net, X, Y)
    rng = np.random.default_rng(1)
    X, Y = 100 + rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    net.scaling = cr.Scaling.fit(X, Y)
    text = walk(net, X, Y)
    assert "standardised units" in text
    assert text.splitlines()[-1].startswith("All")


def test_a_kink_is_named():
    net = cr.Network([cr.Dense(1, "relu"), cr.Dense(1)], 1, dtype="float64")
    net.W[1], net.b[1], net.W[2] = [[1.0]], [-1.0], [[1.0]]
    text = walk(net, [1.0], [3.0])
    assert "kink: no derivative at z = 0" in text
    assert "DIFFERS" not in text


def test_a_planted_mistake_is_seen(monkeypatch):
    def wrong(z):
        return 1.01 * reference.sigmoid(z)

    monkeypatch.setitem(reference.ACTIVATIONS, "sigmoid", (wrong, reference.d_sigmoid))
    text = walk(*example())
    assert "DIFFERS" in text
    assert re.fullmatch(r"\d+ of 44 checks DIFFER; .*", text.splitlines()[-1])


def test_a_wrong_update_is_seen(monkeypatch):
    monkeypatch.setattr(reference, "sgd", lambda theta, g, eta: theta + eta * g)
    text = walk(*example())
    assert text.splitlines()[-1].startswith("12 of 44 checks DIFFER")


def test_saturated_and_exact_networks():
    net, X, Y = example()
    net.W[1] = [[40.0, 0.0], [-40.0, 0.0]]
    assert walk(net, X, Y).splitlines()[-1].startswith("All")
    net = cr.Network([cr.Dense(1)], 1, dtype="float64")
    net.theta = [0.5, 0.25]
    text = walk(net, [1.0], [2.0], 0.25)
    assert "0.25    -1.5625      0" in text  # D01: one step lands on cost 0


def test_a_wider_network_is_cut():
    net = cr.Network([cr.Dense(40, "gelu"), cr.Dense(12)], 20, dtype="float64")
    rng = np.random.default_rng(0)
    text = walk(net, rng.normal(size=(30, 20)), rng.normal(size=(30, 12)), 0.1)
    assert "... and 32 more units of layer 1" in text
    assert "... and 784 more weights of layer 1" in text
    assert len(text) < 40_000


def test_what_is_refused(unchanged):
    net, X, Y = example()
    with unchanged(net):
        with pytest.raises(ValueError, match="learning_rate must be above 0"):
            walk(net, X, Y, learning_rate=0)
        with pytest.raises(TypeError, match="learning_rate"):
            walk(net, X, Y, learning_rate="fast")
        with pytest.raises(ValueError, match="loss must be one of mse"):
            walk(net, X, Y, loss="hinge")
        with pytest.raises(ValueError, match="X"):
            walk(net, [1.0], Y)
        with pytest.raises(ValueError, match=r"at most 100000; got 10000 \* 12"):
            walk(net, np.ones((10000, 2)), np.ones((10000, 2)))
    net.W[1][...] = np.nan
    with pytest.raises(cr.DivergedError, match="not finite"):
        walk(net, X, Y)
