"""Metrics against scikit-learn's, the forms they take, and what they refuse."""

import functools
import math
import re
import warnings

import numpy as np
import pytest

from chainrule import metrics
from chainrule.metrics import METRICS, checked_metrics, evaluate

sk = pytest.importorskip("sklearn.metrics")

M = 60


def rng(seed=0):
    return np.random.default_rng(seed)


def softmax(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def case(K, seed=0, ties=False):
    """Class indices and probabilities that know something of them, and weights."""
    g = rng(seed)
    y = g.integers(K, size=M)
    y[:K] = range(K)
    P = softmax(g.normal(size=(M, K)) + 1.5 * np.eye(K)[y])
    if ties:
        P = np.round(P, 1) + 1e-9
        P /= P.sum(axis=1, keepdims=True)
    return y, P, g.uniform(0, 3, M)


REGRESSION = {
    "mse": sk.mean_squared_error,
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "r2": sk.r2_score,
    "mape": sk.mean_absolute_percentage_error,
}


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_regression_is_scikit_learns(name, columns, weighted):
    g = rng(columns)
    Y = g.normal(size=(M, columns)) * [1, 100, 0.01][:columns] + 5
    P = Y + g.normal(size=Y.shape)
    w = g.uniform(0, 2, M) if weighted else None
    expected = REGRESSION[name](Y, P, sample_weight=w)
    assert METRICS[name](Y, P, w) == pytest.approx(expected, rel=1e-12)
    if columns == 1:
        assert METRICS[name](Y[:, 0], P, w) == pytest.approx(expected, rel=1e-12)
        assert METRICS[name](Y.tolist(), P[:, 0], w) == pytest.approx(expected, rel=1e-12)


def test_max_error_and_pinball():
    g = rng()
    y, p, w = g.normal(size=M), g.normal(size=M), g.uniform(size=M)
    assert metrics.max_error(y, p) == sk.max_error(y, p)
    assert metrics.max_error([0, 0], [1, 5], [1, 0]) == 1
    for q in (0.1, 0.5, 0.95):
        metric = metrics.pinball(q)
        assert metric.__name__ == f"pinball_{q:g}"
        expected = sk.mean_pinball_loss(y, p, alpha=q, sample_weight=w)
        assert metric(y, p, w) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["mse", "mae", "r2"])
def test_a_weight_of_two_is_the_row_twice(name):
    g = rng()
    y, p = g.normal(size=5), g.normal(size=5)
    w = np.array([1, 2, 1, 3, 1])
    twice = METRICS[name](np.repeat(y, w), np.repeat(p, w))
    assert METRICS[name](y, p, w) == pytest.approx(twice, rel=1e-12)


def test_r2_of_constant_targets_and_of_one_row():
    third = [0.1] * 3
    assert metrics.r2(third, third) == sk.r2_score(third, third) == 1
    assert metrics.r2(third, [0.1, 0.1, 0.2]) == sk.r2_score([1, 1, 1], [1, 1, 2]) == 0
    both = np.column_stack([third, [1, 2, 3]])
    assert metrics.r2_each(both, both + 1).tolist() == [0, -0.5]
    assert math.isnan(metrics.r2([1.0], [1.0]))
    # rows that do not count do not make a target vary
    assert metrics.r2([1, 1, 7], [1, 2, 3], [1, 1, 0]) == 0


@pytest.mark.parametrize("K", [2, 3, 10])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_classification_is_scikit_learns(K, weighted, ties):
    y, P, w = case(K, K, ties)
    w = w if weighted else None
    guess = P.argmax(axis=1)
    score = P[:, 1] if K == 2 else P
    several = {} if K == 2 else {"multi_class": "ovr"}
    expected = {
        "accuracy": sk.accuracy_score(y, guess, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess, sample_weight=w),
        "f1": sk.f1_score(y, guess, average="macro", sample_weight=w),
        "log_loss": sk.log_loss(y, P, sample_weight=w),
        "brier": sk.brier_score_loss(y, P if K > 2 else P[:, 1], sample_weight=w),
        "auc": sk.roc_auc_score(y, score, sample_weight=w, **several),
    }
    forms = [(y, P), (y[:, None], P), (np.eye(K)[y], P), (y.astype(float), P.tolist())]
    if K == 2:
        forms += [(y, P[:, 1]), (y == 1, P[:, 1:])]
    for Y, prediction in forms:
        for name, value in expected.items():
            assert METRICS[name](Y, prediction, w) == pytest.approx(value, rel=1e-9), name
    for name in ("accuracy", "balanced_accuracy", "f1"):
        assert METRICS[name](y, guess, w) == pytest.approx(expected[name], rel=1e-12)
        words = np.array([f"klass {k}" for k in range(K)])
        assert METRICS[name](words[y], words[guess].astype(object), w) == pytest.approx(
            expected[name], rel=1e-12
        )


def test_auc_with_ties_counts_pairs():
    y = np.array([0, 0, 1, 1, 0, 1])
    p = np.array([0.2, 0.5, 0.5, 0.9, 0.5, 0.2])
    pairs = [(a > b) + (a == b) / 2 for a in p[y == 1] for b in p[y == 0]]
    assert metrics.auc(y, p) == pytest.approx(np.mean(pairs), rel=1e-15)
    assert math.isnan(metrics.auc([1, 1], [0.2, 0.5]))


@pytest.mark.parametrize("weighted", [False, True])
def test_several_labels_at_once(weighted):
    g = rng(3)
    Y = (g.uniform(size=(M, 4)) < 0.4).astype(int)
    P = 1 / (1 + np.exp(-(g.normal(size=Y.shape) + 2 * Y - 1)))
    w = g.uniform(size=M) if weighted else None
    guess = (P > 0.5).astype(int)
    assert metrics.accuracy(Y, P, w) == pytest.approx(
        sk.accuracy_score(Y, guess, sample_weight=w), rel=1e-12
    )
    assert metrics.accuracy(Y, guess, w) == metrics.accuracy(Y, P, w)
    assert metrics.f1(Y, P, w) == pytest.approx(
        sk.f1_score(Y, guess, average="macro", sample_weight=w), rel=1e-12
    )
    assert metrics.auc(Y, P, w) == pytest.approx(
        sk.roc_auc_score(Y, P, average="macro", sample_weight=w), rel=1e-12
    )
    for name, peer in (
        ("log_loss", sk.log_loss),
        ("brier", sk.brier_score_loss),
        ("balanced_accuracy", sk.balanced_accuracy_score),
    ):
        side = guess if name == "balanced_accuracy" else P
        columns = [peer(Y[:, k], side[:, k], sample_weight=w) for k in range(4)]
        assert METRICS[name](Y, P, w) == pytest.approx(np.mean(columns), rel=1e-12)


def test_certain_and_wrong_is_finite_as_scikit_learns():
    for dtype in (np.float32, np.float64):
        P = np.array([[1, 0], [0, 1]], dtype)
        assert metrics.log_loss([1, 1], P) == pytest.approx(sk.log_loss([1, 1], P, labels=[0, 1]))


def test_softmax_in_float32_is_taken_as_it_is():
    y, P, _ = case(10)
    assert metrics.log_loss(y, P.astype(np.float32)) == pytest.approx(
        metrics.log_loss(y, P), rel=1e-6
    )


REFUSED = [
    ("mse", [1, 2], [1, 2, 3], "Y has shape (2, 1) and prediction (3, 1); they must be equal"),
    ("mae", [1, np.nan], [1, 2], "Y must be finite, got nan in row 1"),
    ("r2", [1, 2], [1, np.inf], "prediction must be finite, got inf in row 1"),
    ("mse", [], [], "Y has 0 rows"),
    ("mse", np.zeros((2, 2, 2)), [1], "Y must have shape (m,) or (m, n_L), got (2, 2, 2)"),
    ("accuracy", [0, 1], [0, 1, 1], "Y has 2 rows and prediction 3"),
    ("accuracy", [0, 1, 2], [0.2, 0.7, 0.4], "must be 0 and 1, got 2"),
    ("accuracy", [0, 1], [[0.2, np.nan], [0, 1]], "prediction must be finite, got nan in row 0"),
    ("log_loss", [0, 1], [[-3.0, 2.0], [0, 1]], "in [0, 1]; got -3.0. Of logits a, take"),
    ("log_loss", [0, 1], [[0.5, 0.9], [0, 1]], "row 0 adds up to 1.4"),
    ("log_loss", [0, 3], np.eye(3)[:2], "class indices, 0 to 2, got 3 in row 1"),
    ("log_loss", [0, 0.5], np.eye(3)[:2], "class indices, 0 to 2, got 0.5 in row 1"),
    ("brier", np.eye(3), np.full((3, 2), 0.5), "Y has shape (3, 3) and prediction (3, 2)"),
    ("auc", [[0.5, 0.5], [1, 0]], np.eye(2), "Y (of several columns) must be 0 and 1, got 0.5"),
    ("auc", np.eye(2), [0, 1], "Y has 2 columns and prediction one"),
    ("f1", np.eye(2), [0, 1], "Y has 2 columns and prediction one"),
]


@pytest.mark.parametrize(("name", "Y", "prediction", "words"), REFUSED)
def test_what_is_refused(name, Y, prediction, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        METRICS[name](Y, prediction)


def test_kinds_that_do_not_fit():
    with pytest.raises(TypeError, match="Y holds strings and prediction numbers"):
        metrics.accuracy(["a", "b"], [0, 1])
    with pytest.raises(TypeError, match="Y holds strings, and prediction 2 columns"):
        metrics.accuracy(["a", "b"], np.eye(2))
    with pytest.raises(ValueError, match="Y has 1 missing value"):
        metrics.accuracy(["a", None], ["a", "b"])


@pytest.mark.parametrize("w", [[1], [1, -1], [0, 0], [1, np.nan], [[1, 1]]])
def test_weights_that_are_refused(w):
    for name in METRICS:
        with pytest.raises(ValueError, match="sample_weight must"):
            METRICS[name]([0, 1], [0.0, 1.0], w)


# --- confusion matrix and calibration -------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3, 10])
def test_confusion_matrix_is_scikit_learns(K):
    y, P, w = case(K, 7)
    guess = P.argmax(axis=1)
    words = np.array([f"name {K - k}" for k in range(K)])
    expected = sk.confusion_matrix(y, guess, labels=range(K))
    for side, prediction, classes in (
        (y, P, None),
        (y, guess, range(K)),
        (np.eye(K)[y], P, None),
        (y, P, words),
        (words[y], P, words),
        (words[y], words[guess], list(words)),
        (y.astype(float), guess, words),
    ):
        found = metrics.confusion_matrix(side, prediction, classes)
        assert found.dtype.kind == "i"
        assert found.tolist() == expected.tolist()
    np.testing.assert_allclose(
        metrics.confusion_matrix(y, P, None, w),
        sk.confusion_matrix(y, guess, labels=range(K), sample_weight=w),
        rtol=1e-12,
    )
    assert metrics.confusion_matrix(words[y], words[guess]).tolist() == (
        sk.confusion_matrix(words[y], words[guess]).tolist()
    )
    if K == 2:
        assert metrics.confusion_matrix(y, P[:, 1]).tolist() == expected.tolist()


def test_classes_that_nobody_has_keep_their_place():
    found = metrics.confusion_matrix(["b", "b"], ["a", "b"], ["a", "b", "c"])
    assert found.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert metrics.class_indices([3.0, 7.0], [7.0, 7.0])[2] == [3, 7]


@pytest.mark.parametrize(
    ("y", "prediction", "classes", "words"),
    [
        (["a"], ["c"], ["a", "b"], "prediction must be one of the classes ['a', 'b']; got 'c'"),
        ([5], [0], ["a", "b"], "y must be an index of the classes, 0 to 1; got 5 in row 0"),
        ([0], [1], [1, 2], "y must be one of the classes [1, 2]; got 0"),
        ([0], [1], ["a", "a"], "classes must differ"),
        ([0], np.eye(3)[:1], ["a", "b"], "prediction is of 3 classes, and there are 2"),
        ([[1, 1]], [0], None, "y must name one class in each row; row 0 does not"),
        ([0], [[-1.0, 2.0]], None, "prediction must be probabilities"),
    ],
)
def test_confusion_matrix_refuses(y, prediction, classes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        metrics.confusion_matrix(y, prediction, classes)


@pytest.mark.parametrize("bins", [1, 5, 10])
def test_calibration_is_scikit_learns(bins):
    from sklearn.calibration import calibration_curve  # noqa: PLC0415

    g = rng(2)
    p = np.concatenate([g.uniform(size=500) ** 3, [0, 0.2, 0.4, 1]])
    y = (g.uniform(size=len(p)) < p**1.5).astype(int)
    found = metrics.calibration(y, p, bins)
    observed, predicted = calibration_curve(y, p, n_bins=bins)
    np.testing.assert_allclose(found.observed, observed, rtol=1e-12)
    np.testing.assert_allclose(found.predicted, predicted, rtol=1e-12)
    assert found.counts.sum() == len(p)
    rows = np.minimum(np.ceil(p * bins).astype(int), bins).clip(1)
    errors = [abs(y[rows == b].mean() - p[rows == b].mean()) for b in rows]
    assert found.error == pytest.approx(np.mean(errors), rel=1e-9)


def test_calibration_refuses():
    for y, p, words in (
        ([0, 2], [0.1, 0.2], "y must be 0 and 1, got 2"),
        ([0, 1], [0.1, 1.2], "p must be probabilities, in [0, 1]; got 1.2"),
        ([0, 1], [0.1], "y has 2 rows and p 1"),
        (np.eye(2), np.eye(2), "one column"),
        ([0, np.nan], [0.1, 0.2], "y must be finite"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            metrics.calibration(y, p)
    with pytest.raises(ValueError, match="bins must be at least 1"):
        metrics.calibration([0], [0.5], 0)


# --- names ----------------------------------------------------------------------------------------


def mine(Y, prediction):
    return np.float32(2.5)


def test_metrics_by_name():
    assert checked_metrics(None) == checked_metrics(()) == {}
    assert checked_metrics("mae") == {"mae": metrics.mae}
    assert checked_metrics(mine) == {"mine": mine}
    found = checked_metrics(["r2", mine, metrics.pinball(0.9)])
    assert list(found) == ["r2", "mine", "pinball_0.9"]
    assert checked_metrics({"error": "mae", "own": mine}) == {"error": metrics.mae, "own": mine}
    assert all(checked_metrics(name) == {name: METRICS[name]} for name in METRICS)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("map", ValueError, "metrics[0] must be one of mse, rmse"),
        (3, TypeError, "metrics must be names or callables"),
        ([3], TypeError, "metrics[0] must be a str, one of mse"),
        (["mae", "mae"], ValueError, "metrics[1]: the name 'mae' is there twice"),
        ([lambda Y, p: 0], ValueError, "has no name; give it one"),
        ([functools.partial(mine)], ValueError, "has no name; give it one"),
        ({"cost": "mae"}, ValueError, "'cost' is a column of the history"),
        ({3: "mae"}, TypeError, "a name must be a str, got 3"),
        ({"x": "nothing"}, ValueError, "metrics['x'] must be one of mse"),
    ],
)
def test_metrics_that_are_refused(given, error, words):
    with pytest.raises(error, match=re.escape(words)):
        checked_metrics(given)


def test_evaluate_gives_floats_and_weights_to_our_own():
    y, p, w = np.array([1.0, 2.0]), np.array([1.0, 4.0]), np.array([3.0, 1.0])
    found = evaluate(checked_metrics(["mae", mine]), y, p, w)
    assert found == {"mae": 0.5, "mine": 2.5}
    assert all(type(value) is float for value in found.values())
    with pytest.raises(TypeError, match=r"the metric 'bad' must give a number, got \[1, 2\]"):
        evaluate({"bad": lambda Y, p: [1, 2]}, y, p)


def test_no_warning_at_the_edges():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("mse", "rmse", "mae", "r2", "max_error", "mape"):
            METRICS[name]([0.0], [1.0])
        for name in ("accuracy", "balanced_accuracy", "f1", "log_loss", "brier", "auc"):
            METRICS[name]([1], [0.0])
            METRICS[name]([2], np.eye(3)[:1])
