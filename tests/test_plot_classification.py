"""Confusion matrix and calibration as pictures: data of the artists, layout, what is refused."""

import re

import numpy as np
import pytest

from chainrule import plot

pytest.importorskip("matplotlib")
sk = pytest.importorskip("sklearn.metrics")


def made(K, m, seed=0, sure=2.0):
    g = np.random.default_rng(seed)
    y = g.integers(K, size=m)
    a = np.exp(g.normal(size=(m, K)) + sure * np.eye(K)[y])
    return y, a / a.sum(axis=1, keepdims=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "picture.png"


# --- confusion matrix -----------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3, 12, 13, 30])
def test_cells_have_counts_and_percentages(path, K):
    y, P = made(K, 40 * K, sure=1.5)
    names = [f"class {k}" for k in range(K)]
    axes = plot.confusion_matrix(y, P, path, classes=names).axes[0]
    C = sk.confusion_matrix(y, P.argmax(axis=1), labels=range(K))
    found = {}
    for text in axes.texts:
        j, i = text.get_position()
        found[int(i), int(j)] = text.get_text()
    for i in range(K):
        for j in range(K):
            share = f"{100 * C[i, j] / C[i].sum():.1f} %"
            if K <= 12:
                assert found[i, j] == (f"{C[i, j]}\n{share}" if C[i, j] else "0")
            else:
                assert found.get((i, j), "0") == str(C[i, j])
    colours = axes.images[0].get_array()
    expected = np.sqrt(C / C.sum(axis=1, keepdims=True)) * (2 * np.eye(K) - 1)
    np.testing.assert_allclose(colours, expected, rtol=1e-12)
    assert [t.get_text() for t in axes.get_xticklabels()] == names
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        f"{name}  ({rows})" for name, rows in zip(names, C.sum(axis=1), strict=True)
    ]
    accuracy = sk.accuracy_score(y, P.argmax(axis=1))
    balanced = sk.balanced_accuracy_score(y, P.argmax(axis=1))
    assert axes.get_title(loc="left") == (
        f"{100 * accuracy:.1f} % of {40 * K:,} right,\n"
        f"{100 * balanced:.1f} % on average over the classes"
    )


def boxes(axes):
    renderer = axes.figure.canvas.get_renderer()
    return [(t.get_text(), t.get_window_extent(renderer)) for t in axes.texts]


@pytest.mark.parametrize(("K", "m"), [(2, 50), (5, 10**5), (12, 10**5), (30, 10**4)])
def test_numbers_stay_in_their_cells_and_names_on_the_picture(path, K, m):
    y, P = made(K, m, sure=3)
    names = [f"a class with a long name, {k}" for k in range(K)]
    figure = plot.confusion_matrix(y, P, path, classes=names)
    axes = figure.axes[0]
    cell = axes.bbox.width / K
    for text, box in boxes(axes):
        assert box.width < cell, text
        assert box.height < cell, text
    renderer = figure.canvas.get_renderer()
    inside = figure.bbox.padded(2)
    for text in [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label,
                 axes.yaxis.label, axes.title, axes._left_title]:  # fmt: skip
        box = text.get_window_extent(renderer)
        assert inside.x0 <= box.x0 <= box.x1 <= inside.x1, text
        assert inside.y0 <= box.y0 <= box.y1 <= inside.y1, text


@pytest.mark.parametrize("K", [2, 12, 13])
def test_large_counts_have_room(path, K):
    y = np.repeat(np.arange(K), 2_000_000 // K)
    axes = plot.confusion_matrix(y, y, path).axes[0]
    assert all(box.width < 0.97 * axes.bbox.width / K for _, box in boxes(axes))


def test_many_classes_have_colours_and_a_scale(path):
    y, P = made(60, 3000)
    figure = plot.confusion_matrix(y, P, path)
    axes, bar = figure.axes
    assert not axes.texts
    labels = [t.get_text() for t in bar.get_yticklabels()]
    assert labels[0] == "100% wrong"
    assert labels[-1] == "100% right"


def test_labels_and_missing_classes(path):
    axes = plot.confusion_matrix(["b", "b"], ["a", "b"], path, classes=["a", "b", "c"]).axes[0]
    texts = [t.get_text() for t in axes.texts]
    assert texts == ["0", "0", "0", "1\n50.0 %", "1\n50.0 %", "0", "0", "0", "0"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a  (0)", "b  (2)", "c  (0)"]
    axes = plot.confusion_matrix([7], [7], path).axes[0]
    assert [t.get_text() for t in axes.texts] == ["1\n100 %"]


def test_a_small_part_is_neither_nothing_nor_all(path):
    y = np.r_[np.zeros(10_000, int), 1]
    said = y.copy()
    said[0] = 1
    axes = plot.confusion_matrix(y, said, path).axes[0]
    texts = [t.get_text() for t in axes.texts]
    assert texts == ["9,999\n> 99.9 %", "1\n< 0.1 %", "0", "1\n100 %"]


def test_names_that_matplotlib_would_read_as_formulas(path):
    names = ["$x_{", "a$b$", "鸢尾", "x\ny", "z" * 500]
    y, P = made(5, 50)
    plot.confusion_matrix(y, P, path, classes=names)
    plot.calibration(y, P, path, classes=names)
    plot.calibration(y == 1, P[:, 1], path, classes=names[:2])


@pytest.mark.parametrize(
    ("y", "prediction", "classes", "words"),
    [
        ([0, np.nan], [0, 1], None, "y must be finite, got nan in row 1"),
        ([0, 1], [0, 1, 1], None, "2 rows and prediction 3"),
        (range(101), range(101), None, "at most 100 classes, got 101"),
        (["a"], ["b"], ["a"], "prediction must be one of the classes ['a']; got 'b'"),
        ([], [], None, "y has 0 rows"),
    ],
)
def test_a_confusion_matrix_refuses(y, prediction, classes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        plot.confusion_matrix(y, prediction, classes=classes)


# --- calibration ----------------------------------------------------------------------------------


def curves(axes):
    return {
        line.get_label(): line.get_xydata()
        for line in axes.lines
        if line.get_gid() != "diagonal" and len(line.get_xdata())
    }


def dots(axes):
    return [np.asarray(c.get_offsets()) for c in axes.collections if c.get_gid() == "bins"]


def binned(y, p, bins):
    """Means, parts and counts of the bins that have rows, one row after the other."""
    found = {}
    for truth, probability in zip(y, p, strict=True):
        k = next(k for k in range(bins) if probability <= (k + 1) / bins or k == bins - 1)
        found.setdefault(k, []).append((probability, truth))
    return [(k, *np.mean(found[k], axis=0), len(found[k])) for k in sorted(found)]


@pytest.mark.parametrize("bins", [5, 10])
def test_two_classes(path, bins):
    from scipy.stats import binomtest  # noqa: PLC0415

    y, P = made(2, 400)
    figure = plot.calibration(y, P[:, 1], path, classes=["no", "yes"], bins=bins)
    axes, below = figure.axes
    expected = binned(y, P[:, 1], bins)
    ((label, points),) = curves(axes).items()
    np.testing.assert_allclose(points, [row[1:3] for row in expected], rtol=1e-12)
    np.testing.assert_array_equal(dots(axes)[0], points)
    error = sum(n * abs(part - mean) for _, mean, part, n in expected) / 400
    assert label == f"yes: off by {error:.2g} on average"
    bars = [(patch.get_x(), patch.get_height()) for patch in below.patches]
    np.testing.assert_allclose(bars, [(k / bins, n) for k, *_, n in expected])
    (intervals,) = [c for c in axes.collections if c.get_gid() == "interval"]
    for segment, (_, mean, part, n) in zip(intervals.get_segments(), expected, strict=True):
        wilson = binomtest(round(part * n), n).proportion_ci(method="wilson")
        np.testing.assert_allclose(segment, [[mean, wilson.low], [mean, wilson.high]], atol=1e-7)
    assert below.get_xlabel() == "predicted probability of class yes"
    both = plot.calibration(y, P, path, classes=["no", "yes"], bins=bins)
    np.testing.assert_array_equal(curves(both.axes[0])[label], points)


def test_several_classes_each_against_the_rest(path):
    y, P = made(4, 300)
    names = ["a", "b", "c", "d"]
    axes, below = plot.calibration(np.array(names)[y], P, path, classes=names).axes
    found = curves(axes)
    assert len(found) == 4
    for k, (label, points) in enumerate(found.items()):
        assert label.startswith(f"{names[k]}: off by")
        rows = binned(y == k, P[:, k], 10)
        np.testing.assert_allclose(dots(axes)[k], [row[1:3] for row in rows])
        np.testing.assert_allclose(points, [row[1:3] for row in rows if row[3] >= 5])
    assert len(below.collections) == 4


def test_of_many_classes_the_worst_are_named(path):
    y, P = made(12, 600)
    figure = plot.calibration(y, P, path)
    errors = []
    for k in range(12):
        rows = binned(y == k, P[:, k], 10)
        errors.append(sum(n * abs(part - mean) for _, mean, part, n in rows) / 600)
    worst = sorted(np.argsort(errors)[-8:])
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [key.split(":")[0] for key in keys[2:]] == [str(k) for k in worst]
    assert keys[1] == "4 other classes, nearer"
    assert len(curves(figure.axes[0])) == 12


def test_few_rows(path):
    for y, p in (([1], [0.9]), ([0, 1], [0.0, 1.0])):
        axes, below = plot.calibration(y, p, path).axes
        assert [len(points) for points in curves(axes).values()] == [len(y)]
        assert sum(patch.get_height() for patch in below.patches) == len(y)


@pytest.mark.parametrize(
    ("y", "p", "words"),
    [
        ([0, 1], [0.5, np.nan], "p must be finite, got nan in row 1"),
        ([0, 1], [0.5, 1.5], "p must be probabilities, in [0, 1]; got 1.5"),
        ([0, 2], [0.5, 0.5], "y must be one of the classes [0, 1]; got 2"),
        ([0, 1, 1], [0.5, 0.5], "3 rows and prediction 2"),
    ],
)
def test_calibration_refuses(y, p, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        plot.calibration(y, p)
