"""The estimators at the edges: changed parameters, quantiles, labels of all kinds, weights of 0."""

import copy
import cProfile
import pstats
import warnings

import numpy as np
import pytest

pytest.importorskip(
    "sklearn", minversion="1.7", reason="no scikit-learn with weights of samples here"
)

from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.sklearn import MLPClassifier, MLPRegressor

KINDS = (MLPRegressor, MLPClassifier)


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return StandardScaler().fit_transform(X), (y - y.mean()) / y.std()


def quiet(fit, *args, **how):
    """`fit`, whose epochs are known not to be enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit(*args, **how)


# What does not go together


@pytest.mark.parametrize(
    ("changed", "has"),
    [
        ({"activation": "tanh"}, r"activation is now 'tanh', but .* has \['relu', 'relu'\]"),
        ({"hidden_layer_sizes": (5,)}, r"hidden_layer_sizes is now \(5,\), but .* has \[6, 4\]"),
        ({"dropout": 0.5}, r"dropout is now 0.5, but .* has \[0.0, 0.0\]"),
        ({"dtype": "float32"}, "dtype is now 'float32', but .* has 'float64'"),
        ({"scale": "auto"}, "scale is now 'auto', but .* has None"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_start_of_another_network_is_an_error(kind, changed, has):
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    model = kind(hidden_layer_sizes=(6, 4), max_iter=2, warm_start=True, random_state=0)
    quiet(model.fit, X, y)
    before = model.network_.theta.copy()
    model.set_params(**changed)
    for go_on in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=rf"{has}.*clone.*warm_start=False"):
            go_on(X, y)
    np.testing.assert_array_equal(model.network_.theta, before)
    quiet(clone(model).fit, X, y)
    quiet(model.set_params(warm_start=False).fit, X, y)
    # The same in other words is no change.
    other = kind(hidden_layer_sizes=6, max_iter=2, warm_start=True, activation="logistic")
    quiet(other.fit, X, y)
    other.set_params(hidden_layer_sizes=[6], activation=["sigmoid"], dropout=(0.0,))
    other.set_params(dtype=np.float64)
    other.partial_fit(X, y)


def test_a_score_of_several_quantiles(diabetes):
    X, y = diabetes
    q = (0.1, 0.5, 0.9)
    how = {"loss": cr.Quantile(q), "random_state": 0, "max_iter": 30}
    model = quiet(MLPRegressor(**how).fit, X, y)
    weight = np.random.default_rng(0).uniform(0, 2, len(y))
    weight[:50] = 0

    def pinball(p, w):
        e = y[:, None] - p
        return w @ np.maximum(np.multiply(q, e), (np.array(q) - 1) * e)

    for w in (None, np.round(2 * weight)):
        ones = np.ones(len(y)) if w is None else w
        constants = np.quantile(np.repeat(y, ones.astype(int)), q, method="inverted_cdf")
        by_hand = np.mean(1 - pinball(model.predict(X), ones) / pinball(constants, ones))
        assert 0.1 < by_hand < 1
        # The quantiles of the constants may be a row apart.
        assert model.score(X, y, w) == pytest.approx(by_hand, abs=2e-3)
    twice = quiet(MLPRegressor(**how).fit, X, np.column_stack([y, y, y]))
    columns = np.column_stack([y, y, y])
    assert twice.score(X, columns) == pytest.approx(model.score(X, y), rel=1e-12)
    one = quiet(MLPRegressor(**(how | {"loss": cr.Quantile(0.5)})).fit, X, y)
    assert one.score(X, y) == r2_score(y, one.predict(X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert np.isfinite(cross_val_score(MLPRegressor(**how), X, y, cv=3)).all()
        search = GridSearchCV(MLPRegressor(**how), {"alpha": [1e-4, 1e9]}, cv=3).fit(X, y)
    assert search.best_params_ == {"alpha": 1e-4}
    early = MLPRegressor(**how, early_stopping=True)
    quiet(early.fit, X, y, validation_data=(X[:100], y[:100]))
    best = early.best_validation_score_
    assert early.score(X[:100], y[:100]) == pytest.approx(best, rel=1e-12)


def test_a_first_partial_fit_that_fails_leaves_nothing():
    X = np.eye(3)
    model = MLPClassifier()
    before = dict(model.__dict__)
    for wrong in (["a", "b", "d"], np.array([[0, 1], [1, 0], [2, 3]])):
        with pytest.raises(ValueError, match=r"classes not in|columns of other"):
            model.partial_fit(X, wrong, classes=["a", "b", "c"])
        assert model.__dict__ == before
        assert not hasattr(model, "classes_")
    model.partial_fit(X, [4, 5, 4], classes=[4, 5])
    assert list(model.classes_) == [4, 5]


@pytest.mark.parametrize("side", ["held out", "left to train on"])
def test_weights_that_are_0_on_one_side_of_the_split_are_named(diabetes, side):
    X, y = diabetes
    X, y = X[:40], y[:40]
    trained, held = train_test_split(np.arange(40), test_size=0.25, random_state=7)
    weight = np.ones(40)
    weight[held if side == "held out" else trained] = 0
    model = MLPRegressor(early_stopping=True, validation_fraction=0.25, random_state=7)
    words = rf"sample_weight .* is 0 in all {10 if side == 'held out' else 30} rows that are {side}"
    with pytest.raises(ValueError, match=words):
        model.fit(X, y, weight)
    assert not hasattr(model, "network_")
    weight[[held[0], trained[0]]] = 1
    quiet(model.fit, X, y, weight)


LABELS = {
    "int": np.array([3, -1, 7]),
    "two": np.array([8, 2]),
    "one": np.array([5]),
    "bool": np.array([True, False]),
    "float": np.array([1.0, 0.0, 2.0]),
    "str": np.array(["b", "aa", "c"]),
    "object": np.array(["b", "aa", "c"], object),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_encoded_as_scikit_learn_does(kind):
    from sklearn.preprocessing import LabelBinarizer  # noqa: PLC0415

    classes = LABELS[kind]
    y = classes[np.random.default_rng(0).integers(0, len(classes), 40)]
    X = np.random.default_rng(1).normal(size=(40, 3))
    theirs = LabelBinarizer().fit(y)
    model = MLPClassifier(random_state=0, hidden_layer_sizes=(5,), max_iter=3)
    quiet(model.fit, X, y)
    assert model.classes_.dtype == theirs.classes_.dtype
    np.testing.assert_array_equal(model.classes_, theirs.classes_)
    for rows in (slice(None), slice(1, 3)):  # half and more of them different
        np.testing.assert_array_equal(
            model._targets(y[rows], learn=False), theirs.transform(y[rows])
        )
    p = model._probabilities(model.network_.predict(X))
    expected = theirs.inverse_transform(p[:, 0] if p.shape[1] == 1 else p)
    np.testing.assert_array_equal(model.predict(X), expected)
    assert model.predict(X).dtype == expected.dtype
    one = copy.deepcopy(model).partial_fit(X, y)
    other = model.partial_fit(X.tolist(), y.tolist())  # the closer look
    np.testing.assert_array_equal(one.network_.theta, other.network_.theta)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (["a", "b"] * 5, "classes not in"),
        ([0, 9] * 5, "classes not in"),
        ([-1, 1] * 5, "classes not in"),
        ([0.5, 1.0] * 5, "Unknown label type: continuous"),
        (np.eye(10, 3, dtype=int), "one label in each row as before, got a column of 0 and 1"),
        ([np.nan, 1.0] * 5, "NaN"),
    ],
)
def test_labels_that_do_not_belong_change_nothing(y, words):
    X = np.random.default_rng(1).normal(size=(10, 3))
    model = MLPClassifier(random_state=0).partial_fit(X, np.arange(10) % 3, classes=range(3))
    before = model.network_.theta.copy()
    with pytest.raises(ValueError, match=words):
        model.partial_fit(X, np.asarray(y))
    np.testing.assert_array_equal(model.network_.theta, before)


def test_class_weights_count_in_every_step():
    X = np.random.default_rng(1).normal(size=(10, 3))
    y, weight = np.arange(10) % 2, {0: 1.0, 1: 5.0}
    model = MLPClassifier(random_state=0, class_weight=weight)
    twin = MLPClassifier(random_state=0)
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1])
        twin.partial_fit(X, y, 1 + 4.0 * y, classes=[0, 1])
    np.testing.assert_allclose(model.coefs_[0], twin.coefs_[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["int", "str", "object"])
def test_the_labels_are_not_what_costs_time(kind):
    """Counted, not timed: calls from Python, with scikit-learn's checks and encoders some 5000."""
    y = LABELS[kind][np.arange(200) % 3]
    X = np.random.default_rng(1).normal(size=(200, 3))
    model = MLPClassifier(random_state=0, max_iter=1)
    for call, most in ((model.fit, 2000), (model.partial_fit, 1000)):
        quiet(call, X, y)
        profile = cProfile.Profile()
        quiet(profile.runcall, call, X, y)
        assert pstats.Stats(profile).total_calls < most
