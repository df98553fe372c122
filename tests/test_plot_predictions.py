"""Predicted against actual: the data of every artist, large and odd data, what is refused."""

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule import plot

pytest.importorskip("matplotlib")
sk = pytest.importorskip("sklearn.metrics")


def made(m, outputs=1, seed=0):
    g = np.random.default_rng(seed)
    Y = g.normal(size=(m, outputs)) * 10 + 3
    return Y, Y + g.normal(size=Y.shape) * np.arange(1, outputs + 1)


def of(axes, gid):
    (line,) = [line for line in axes.lines if line.get_gid() == gid]
    return line.get_xydata()


def panels(figure):
    """Rows of (against, residuals, histogram), without colour bars."""
    plots = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    return [plots[k : k + 3] for k in range(0, len(plots), 3)]


def test_points_residuals_and_histogram(tmp_path):
    Y, P = made(200, 2)
    figure = plot.predictions(
        prediction=P, Y=Y, path=tmp_path / "p.png", names=["drag", "lift"], units=["N", "kN"]
    )
    assert len(panels(figure)) == 2
    for j, (left, middle, right) in enumerate(panels(figure)):
        y, p = Y[:, j], P[:, j]
        assert of(left, "rows").tolist() == np.column_stack([y, p]).tolist()
        assert of(middle, "rows").tolist() == np.column_stack([p, y - p]).tolist()
        diagonal = of(left, "diagonal")
        assert (diagonal[:, 0] == diagonal[:, 1]).all()
        assert diagonal[0, 0] <= min(y.min(), p.min())
        assert diagonal[1, 0] >= max(y.max(), p.max())
        assert left.get_xlim() == left.get_ylim()
        widths = [patch.get_width() for patch in right.patches]
        assert sum(widths) == 200
        low = [patch.get_y() for patch in right.patches]
        edges = [*low, low[-1] + right.patches[-1].get_height()]
        assert widths == np.histogram(y - p, edges)[0].tolist()
        assert right.get_ylim() == middle.get_ylim()
        r2, rmse = sk.r2_score(y, p), np.sqrt(sk.mean_squared_error(y, p))
        name, unit = ("drag", "N") if j == 0 else ("lift", "kN")
        assert left.get_title(loc="left") == f"R\u00b2 {r2:.3g},  RMSE {rmse:.3g} [{unit}]"
        assert left.get_xlabel() == f"actual {name} [{unit}]"
        assert left.get_ylabel() == f"predicted {name} [{unit}]"
        mean = plot.canvas.number((y - p).mean(), 3)
        assert middle.get_title(loc="left") == f"Residuals: mean {mean}"
    assert figure.get_suptitle() == "Predicted against actual: 200 rows"


def test_a_network_predicts_for_itself(tmp_path, unchanged):
    g = np.random.default_rng(1)
    X, Y = g.normal(size=(30, 3)), g.normal(size=(30, 1)) * 100
    net = cr.Network([cr.Dense(4, "tanh"), cr.Dense(1)], n_inputs=3)
    net.scaling = cr.Scaling.fit(X, Y)
    with unchanged(net):
        figure = plot.predictions(net, X, Y, tmp_path / "p.png")
    ((left, middle, _),) = panels(figure)
    expected = np.column_stack([Y, net.predict(X)])
    np.testing.assert_array_equal(of(left, "rows"), expected)
    assert middle.get_xlabel() == "predicted y"


def test_the_loss_turns_outputs_into_predictions(tmp_path):
    g = np.random.default_rng(2)
    X, Y = g.normal(size=(20, 2)), g.poisson(2, size=20)
    net = cr.Network([cr.Dense(1)], n_inputs=2, dtype="float64")
    figure = plot.predictions(net, X, Y, tmp_path / "p.png", loss="poisson")
    expected = np.column_stack([Y, np.exp(net.predict(X))])
    np.testing.assert_allclose(of(panels(figure)[0][0], "rows"), expected, rtol=1e-12)


def test_a_model_of_another_library_predicts(tmp_path):
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    X, Y = np.arange(10.0)[:, None], np.arange(10.0) ** 2
    model = LinearRegression().fit(X, Y)
    figure = plot.predictions(model, X, Y, tmp_path / "p.png")
    np.testing.assert_array_equal(of(panels(figure)[0][0], "rows")[:, 1], model.predict(X))


def test_many_rows_are_cells_with_every_row_in_one(tmp_path):
    Y, P = made(5000)
    figure = plot.predictions(prediction=P, Y=Y, path=tmp_path / "p.png")
    ((left, middle, right),) = panels(figure)
    for axes in (left, middle):
        (cells,) = axes.collections
        assert cells.get_array().sum() == 5000
        assert not [line for line in axes.lines if line.get_gid() == "rows"]
    assert sum(patch.get_width() for patch in right.patches) == 5000
    assert left.get_xlim() == left.get_ylim()


def test_of_many_outputs_the_worst_are_drawn(tmp_path):
    Y, P = made(50, 9)
    P[:, 4] = -Y[:, 4]
    figure = plot.predictions(prediction=P, Y=Y, path=tmp_path / "p.png")
    worst = np.sort(np.argsort(sk.r2_score(Y, P, multioutput="raw_values"))[:6])
    drawn = [row[0].get_xlabel() for row in panels(figure)]
    assert drawn == [f"actual y_{j + 1}" for j in worst]
    assert "6 of 9 outputs, those with the lowest R\u00b2" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("Y", "P", "title"),
    [
        ([2.5], [3.0], "R\u00b2 not defined,  RMSE 0.5"),
        (np.zeros(30), np.zeros(30), "R\u00b2 1,  RMSE 0"),
        (np.full(30, 0.1), np.full(30, 0.2), "R\u00b2 0,  RMSE 0.1"),
        ([1.0, 2.0], [2.0, 1.0], f"R\u00b2 {chr(0x2212)}3,  RMSE 1"),
    ],
)
def test_odd_data(tmp_path, Y, P, title):
    figure = plot.predictions(prediction=P, Y=Y, path=tmp_path / "p.png")
    ((left, middle, right),) = panels(figure)
    assert left.get_title(loc="left") == title
    residuals = np.asarray(Y) - P
    low, high = middle.get_ylim()
    assert low < min(residuals.min(), 0) <= max(residuals.max(), 0) < high
    assert sum(patch.get_width() for patch in right.patches) == len(Y)


def test_names_that_matplotlib_would_read_as_formulas(tmp_path):
    Y, P = made(20)
    for name in ("$x_{", "a$b$c", "温度", "x" * 300, "line\nbreak", "100 %", "back\\slash"):
        for suffix in ("png", "svg"):
            plot.predictions(prediction=P, Y=Y, names=[name], units=name,
                             path=tmp_path / f"p.{suffix}")  # fmt: skip
    figure = plot.predictions(prediction=P, Y=Y, names=["x" * 300], path=tmp_path / "p.png")
    assert len(panels(figure)[0][0].get_xlabel()) < 40


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"Y": None}, TypeError, "Y is needed"),
        ({"prediction": None}, TypeError, "net must be a Network or have predict(X)"),
        ({"prediction": None, "net": 3}, TypeError, "net must be a Network or have predict(X)"),
        ({"X": [1]}, TypeError, "give net and X, or prediction, not both"),
        ({"prediction": [1.0, 2.0, 3.0]}, ValueError, "Y has shape (2, 1) and prediction (3, 1)"),
        ({"Y": [1.0, np.nan]}, ValueError, "Y must be finite, got nan in row 1"),
        ({"prediction": [np.inf, 1]}, ValueError, "prediction must be finite, got inf in row 0"),
        ({"names": ["a", "b"]}, ValueError, "names must be 1 str, got ['a', 'b']"),
        ({"names": "ab"}, TypeError, "names must be a list of 1 str"),
        ({"units": [3]}, ValueError, "units must be 1 str, got [3]"),
    ],
)
def test_refusals(change, error, words):
    given = {"prediction": [1.0, 2.0], "Y": [1.0, 2.0]} | change
    with pytest.raises(error, match=re.escape(words)):
        plot.predictions(**given)


def test_a_network_without_inputs():
    net = cr.Network([cr.Dense(1)], n_inputs=1)
    with pytest.raises(TypeError, match="X is needed"):
        plot.predictions(net, Y=[1.0])
