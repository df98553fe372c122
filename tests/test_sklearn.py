"""The estimators: scikit-learn's own checks, and scikit-learn's own MLPs as the oracle."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip(
    "sklearn", minversion="1.7", reason="no scikit-learn with weights of samples here"
)

from joblib import parallel_backend
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from chainrule.sklearn import MLPClassifier, MLPRegressor, from_sklearn

KINDS = (MLPRegressor, MLPClassifier)
THEIRS = {MLPRegressor: theirs.MLPRegressor, MLPClassifier: theirs.MLPClassifier}
SOLVERS = ("adam", "sgd", "lbfgs", "adamw", "rmsprop", "rprop")
CHECKS = 50  # at least so many of scikit-learn's have to run


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return StandardScaler().fit_transform(X), (y - y.mean()) / y.std()


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def quiet(fit, *args, **how):
    """`fit`, whose epochs are known not to be enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit(*args, **how)


# scikit-learn's checks


def run_checks(estimator):
    """Run all of them: the names of those that passed, that failed, that were skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    of = {status: [] for status in ("passed", "failed", "skipped", "xfail")}
    for result in results:
        of[result["status"]].append((result["check_name"], result["exception"]))
    return of


# One needs packages for arrays on other devices, one is for estimators that rank their labels.
SKIPPED = {
    "check_array_api_input",
    "check_classifiers_multilabel_output_format_decision_function",
}


def assert_all_pass(estimator, but=frozenset()):
    of = run_checks(estimator)
    failed = dict(of["failed"])
    assert set(failed) == set(but), failed
    assert not of["xfail"]
    assert {name for name, _ in of["skipped"]} <= SKIPPED
    assert len(of["passed"]) >= CHECKS


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_all_of_scikit_learns_checks_pass(kind, solver):
    assert_all_pass(kind(solver=solver))


@pytest.mark.parametrize(
    "how",
    [
        {"scale": "auto"},
        {"hidden_layer_sizes": (8, 4), "activation": ("gelu", "tanh"), "l1": 1e-3},
        {"solver": cr.Adam(0.01, clip_norm=1.0)},
    ],
    ids=lambda how: next(iter(how)),
)
@pytest.mark.parametrize("kind", KINDS)
def test_they_pass_with_our_parameters_too(kind, how):
    assert_all_pass(kind(**how))


# They want that a weight of 2 is the row twice, to seven digits.
WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}


def test_what_no_mlp_can_pass():
    # float32 has seven digits before the first sum; and predictions are wanted in float64.
    assert_all_pass(MLPClassifier(dtype="float32"), WEIGHTS)
    assert_all_pass(MLPRegressor(dtype="float32"), {*WEIGHTS, "check_regressor_multioutput"})
    # Other rows are held out when they stand there twice.
    assert_all_pass(MLPRegressor(early_stopping=True, validation_fraction=0.2), WEIGHTS)


def test_the_checks_find_a_mistake():
    class Forgetful(MLPRegressor):
        def predict(self, X):
            return super().predict(X) + len(X)  # a prediction that looks at the other rows

    failed = {name for name, _ in run_checks(Forgetful())["failed"]}
    assert "check_methods_subset_invariance" in failed


@pytest.mark.parametrize("kind", KINDS)
def test_the_parameters_are_scikit_learns_with_its_defaults(kind):
    ours = inspect.signature(kind).parameters
    for name, parameter in inspect.signature(THEIRS[kind]).parameters.items():
        assert ours[name].default == parameter.default, name
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in ours.values())


# The same numbers as scikit-learn from the same weights


SGD = {"solver": "sgd", "learning_rate_init": 0.05}
RULES = {
    "sgd": {**SGD, "momentum": 0.0},
    "momentum": {**SGD, "nesterovs_momentum": False},
    "nesterov": SGD,
    "invscaling": {**SGD, "learning_rate": "invscaling", "power_t": 0.2},
    "adaptive": {**SGD, "learning_rate": "adaptive", "tol": 5e-3, "n_iter_no_change": 2},
    # Next to no epsilon: scikit-learn adds it before it corrects the moments, the paper after.
    "adam": {"solver": "adam", "epsilon": 1e-30},
}


def pair(kind, X, y, **how):
    """An estimator of scikit-learn with a step behind it, and ours with the same weights."""
    shared = {
        "hidden_layer_sizes": (12, 7),
        "shuffle": False,
        "random_state": 0,
        "max_iter": 40,
        "alpha": 0.0,
    }
    other = THEIRS[kind](**{**shared, "warm_start": True, **how})
    epochs = other.max_iter
    quiet(other.set_params(max_iter=1).fit, X, y)
    ours = from_sklearn(other.set_params(max_iter=epochs))
    return other, ours


def assert_same_course(kind, X, y, tolerance=1e-9, weight=None, **how):
    other, ours = pair(kind, X, y, **how)
    weights = {} if weight is None else {"sample_weight": weight}
    for estimator in (other, ours):
        quiet(estimator.fit, X, y, **weights)
    assert len(ours.loss_curve_) > 5
    assert ours.n_iter_ == other.n_iter_
    assert ours.t_ == other.t_
    np.testing.assert_allclose(ours.loss_curve_, other.loss_curve_, rtol=tolerance)
    for a, b in zip(ours.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    for a, b in zip(ours.intercepts_, other.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    return other, ours


@pytest.mark.parametrize("batch_size", [1000, 200, 64])
@pytest.mark.parametrize("rule", RULES)
def test_the_course_is_scikit_learns(diabetes, rule, batch_size):
    X, y = diabetes
    how = RULES[rule] | {"batch_size": min(batch_size, len(X)), "activation": "tanh", "alpha": 1.0}
    assert_same_course(MLPRegressor, X, y, **how)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_so_it_is_for_each_activation(diabetes, activation):
    assert_same_course(MLPRegressor, *diabetes, activation=activation, **RULES["adam"])


def test_several_outputs_have_the_gradient_and_scikit_learns_on_request(diabetes):
    X = diabetes[0]
    Y = np.tanh(X[:, :3])
    other, ours = pair(MLPRegressor, X, Y, n_iter_no_change=np.inf, **RULES["nesterov"])
    net = ours.network_
    rate, alpha = other.learning_rate_init, other.alpha
    gradient = net.gradient(X[:200], Y[:200], cr.MSE("half_mean"))
    plain = from_sklearn(other).set_params(alpha=0.0, momentum=0.0, batch_size=200)
    plain.partial_fit(X[:200], Y[:200])
    np.testing.assert_allclose(
        plain.network_.theta, net.theta - rate * gradient.theta, rtol=0, atol=1e-14
    )
    theirs_of = from_sklearn(other).set_params(
        loss=cr.MSE("mean_rows"), learning_rate_init=rate / 2, alpha=2 * alpha
    )
    for estimator in (other, theirs_of):
        quiet(estimator.fit, X, Y)
    for a, b in zip(theirs_of.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_training_ends_in_the_same_epoch(diabetes):
    other, ours = assert_same_course(
        MLPRegressor, *diabetes, max_iter=500, tol=1e-3, n_iter_no_change=5, **RULES["nesterov"]
    )
    assert ours.n_iter_ < 500
    assert ours.best_loss_ == pytest.approx(other.best_loss_, rel=1e-9)
    assert "has not fallen by more than tol=0.001" in ours.stop_reason_


def test_what_scikit_learn_has_waited_counts(diabetes):
    X, y = diabetes
    how = {"tol": 10.0, "n_iter_no_change": 25, "warm_start": True, "max_iter": 20}
    other = theirs.MLPRegressor(random_state=0, shuffle=False, **how)
    ours = from_sklearn(quiet(other.fit, X, y))
    for estimator in (other, ours):
        quiet(estimator.fit, X, y)
    assert ours.n_iter_ == other.n_iter_ < 20


def test_early_stopping_holds_out_the_same_rows_and_goes_back_to_the_same_epoch(diabetes):
    other, ours = assert_same_course(
        MLPRegressor, *diabetes, max_iter=300, early_stopping=True, **RULES["nesterov"]
    )
    assert ours.n_iter_ < 300
    np.testing.assert_allclose(ours.validation_scores_, other.validation_scores_, rtol=1e-9)
    assert ours.best_validation_score_ == max(ours.validation_scores_)
    assert ours.best_loss_ is None
    assert len(ours.history_.val_cost) == ours.n_iter_


@pytest.mark.parametrize("labels", ["two", "many", "several"])
@pytest.mark.parametrize("rule", ["adam", "nesterov", "adaptive"])
def test_so_it_is_for_classes(digits, labels, rule):
    X, y = digits
    several = np.stack([y % 2, y > 4, y % 3 == 0], axis=1)
    y = {"two": np.where(y < 5, "low", "high"), "many": y, "several": several}[labels]
    assert_same_course(MLPClassifier, X, y, **RULES[rule] | {"alpha": 1.0})


def test_early_stopping_of_classes(digits):
    X, y = digits
    other, ours = assert_same_course(
        MLPClassifier, X, y > 4, max_iter=100, early_stopping=True, **RULES["nesterov"]
    )
    np.testing.assert_allclose(ours.validation_scores_, other.validation_scores_, rtol=1e-12)


@pytest.mark.parametrize("outputs", [1, 3])
def test_so_it_is_for_rates(diabetes, outputs):
    X, y = diabetes
    slow = {"learning_rate_init": 0.005}  # larger steps let rounding grow
    y = np.floor(np.exp(y)) if outputs == 1 else np.floor(np.exp(X[:, :3]))
    other, ours = pair(MLPRegressor, X, y, loss="poisson", **RULES["nesterov"] | slow)
    for estimator in (other, ours):
        quiet(estimator.fit, X, y)
    np.testing.assert_allclose(ours.predict(X), other.predict(X), rtol=1e-9)
    assert ours.out_activation_ == other.out_activation_ == "exp"


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_samples_mean_the_same(diabetes, kind):
    X, y = diabetes
    y = y if kind is MLPRegressor else y > 0
    weight = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    how = RULES["nesterov"] | {"alpha": 1.0, "batch_size": len(y)}
    assert_same_course(kind, X, y, weight=weight, **how)


# From scikit-learn


@pytest.mark.parametrize("labels", ["two", "three", "several"])
def test_a_fitted_classifier_is_read(labels):
    X, Y = make_multilabel_classification(200, 10, n_classes=4, random_state=0)
    y = {"two": np.where(Y[:, 0], "yes", "no"), "three": Y[:, :2].sum(axis=1), "several": Y}[labels]
    other = quiet(theirs.MLPClassifier((9,), max_iter=30, random_state=0).fit, X, y)
    ours = from_sklearn(other)
    np.testing.assert_allclose(ours.predict_proba(X), other.predict_proba(X), rtol=1e-9, atol=1e-12)
    assert (ours.predict(X) == other.predict(X)).all()
    assert (ours.classes_ == other.classes_).all()
    assert ours.score(X, y) == other.score(X, y)
    for name in ("n_layers_", "n_outputs_", "out_activation_", "n_iter_", "t_", "loss_"):
        assert getattr(ours, name) == getattr(other, name), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_a_fitted_regressor_is_read_and_not_changed(diabetes, outputs, dtype):
    X = diabetes[0].astype(dtype)
    y = X[:, :outputs] ** 2 if outputs > 1 else X[:, 0]
    other = quiet(theirs.MLPRegressor(max_iter=30, random_state=0).fit, X, y)
    before = pickle.dumps(other.coefs_)
    ours = from_sklearn(other)
    assert ours.dtype == dtype
    close = {"float32": 1e-4, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(ours.predict(X), other.predict(X), rtol=0, atol=close)
    ours.set_params(solver="sgd").partial_fit(X, y)
    assert pickle.dumps(other.coefs_) == before


def test_only_fitted_mlps_are_read():
    with pytest.raises(TypeError, match="got LinearRegression"):
        from_sklearn(__import__("sklearn.linear_model").linear_model.LinearRegression())
    with pytest.raises(NotFittedError):
        from_sklearn(theirs.MLPRegressor())


# Attributes


def test_weights_are_views_of_the_network_and_can_be_assigned(diabetes):
    X, y = diabetes
    model = quiet(MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0).fit, X, y)
    assert [c.shape for c in model.coefs_] == [(10, 5), (5, 1)]
    model.coefs_[1][...] = 0
    model.intercepts_[1][...] = 2.5
    assert (model.predict(X) == 2.5).all()
    model.coefs_ = [np.ones((10, 5)), np.ones((5, 1))]
    assert (model.network_.W[2] == 1).all()
    before = model.network_.theta.copy()
    for bad in ([np.ones((10, 5))], [np.ones((5, 10)), np.ones((5, 1))]):
        with pytest.raises(ValueError, match="must hold arrays of shapes"):
            model.coefs_ = bad
    with pytest.raises(ValueError, match=r"coefs_\[1\] must hold finite numbers"):
        model.coefs_ = [np.zeros((10, 5)), np.full((5, 1), np.nan)]
    assert (model.network_.theta == before).all()
    with pytest.raises(AttributeError):
        MLPRegressor().coefs_  # noqa: B018


def test_the_random_state_is_the_seed(diabetes):
    X, y = diabetes
    model = quiet(MLPRegressor(alpha=0, max_iter=5, random_state=7, tol=0).fit, X, y)
    net = cr.Network([cr.Dense(100, "relu"), cr.Dense(1)], 10, "float64", seed=7)
    history = net.fit(X, y, 5, 200, cr.Adam(), cr.MSE("half_mean"), seed=7)
    assert model.loss_curve_ == history.cost
    assert model.network_.theta.tobytes() == net.theta.tobytes()
    drawn = [
        quiet(MLPRegressor(max_iter=1, random_state=np.random.RandomState(1)).fit, X, y).loss_
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
    assert quiet(MLPRegressor(max_iter=1).fit, X, y).loss_ != drawn[0]


def test_further_epochs_go_on_where_the_last_ended(diabetes):
    X, y = diabetes
    how = {"random_state": 3, "batch_size": 100, "l1": 1e-3}
    for solver in ("adam", "rmsprop", "rprop", "sgd", "lbfgs"):
        how["l1"] = 0.0 if solver == "lbfgs" else 1e-3
        at_once = quiet(MLPRegressor(max_iter=20, solver=solver, **how).fit, X, y)
        twice = MLPRegressor(max_iter=10, solver=solver, warm_start=True, **how)
        quiet(twice.fit, X, y)
        if solver != "lbfgs":
            parts = MLPRegressor(solver=solver, **how)
            for _ in range(20):
                parts = pickle.loads(pickle.dumps(parts.partial_fit(X, y)))
        unpickled = pickle.loads(pickle.dumps(twice))
        quiet(unpickled.fit, X, y)
        assert twice.n_iter_ == 10
        assert len(twice.loss_curve_) == 10
        quiet(twice.fit, X, y)
        for model in (twice, unpickled, parts)[: 2 if solver == "lbfgs" else 3]:
            assert model.loss_curve_ == at_once.loss_curve_
            assert model.network_.theta.tobytes() == at_once.network_.theta.tobytes()
            assert model.t_ == 20 * len(X)
    assert parts.n_iter_ == 1


@pytest.mark.parametrize("between", ["nothing", "other numbers", "a pickle"])
def test_partial_fits_of_all_sizes_and_rates_are_steps_of_one_course(diabetes, between):
    X, y = diabetes
    model = MLPRegressor(random_state=0, batch_size=500)
    net = cr.Network([cr.Dense(100, "relu"), cr.Dense(1)], 10, "float64")
    v, q = 0.0, 0.0
    for t, (start, end) in enumerate(((0, 10), (10, 110), (110, 111), (111, 442)), 1):
        if between == "other numbers":
            model.set_params(**[{"learning_rate_init": 1e-3 / t}, {"alpha": t}, {"l1": t}][t % 3])
        if between == "a pickle":
            model = pickle.loads(pickle.dumps(model))
        model.partial_fit(X[start:end], y[start:end])
        g = net.gradient(X[start:end], y[start:end], cr.MSE("half_mean"))
        for l in (1, 2):
            penalty = model.alpha * net.W[l] + model.l1 * np.sign(net.W[l])
            g.dW[l][...] += penalty / (end - start)
        v, q = 0.9 * v + 0.1 * g.theta, 0.999 * q + 0.001 * g.theta**2
        step = (v / (1 - 0.9**t)) / (np.sqrt(q / (1 - 0.999**t)) + 1e-8)
        net.theta -= model.learning_rate_init * step
        np.testing.assert_allclose(model.network_.theta, net.theta, rtol=0, atol=1e-11)


def test_a_random_state_that_is_no_number_is_drawn_from_once(diabetes):
    X, y = diabetes
    how = {"warm_start": True, "random_state": np.random.RandomState(5)}
    halves = quiet(MLPRegressor(max_iter=2, **how).fit, X, y)
    quiet(halves.fit, X, y)
    how["random_state"] = np.random.RandomState(5)
    whole = quiet(MLPRegressor(max_iter=4, **how).fit, X, y)
    assert halves.loss_curve_ == whole.loss_curve_


def test_partial_fit_needs_a_solver_with_batches():
    assert not hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")
    assert hasattr(MLPRegressor(solver="rprop"), "partial_fit")
    assert not hasattr(MLPRegressor(early_stopping=True), "partial_fit")
    with pytest.raises(ValueError, match="classes must be passed"):
        MLPClassifier().partial_fit(np.eye(3), [0, 1, 0])
    model = MLPClassifier().partial_fit(np.eye(3), ["a", "b", "a"], classes=["c", "b", "a"])
    assert model.predict_proba(np.eye(3)).shape == (3, 3)
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        model.partial_fit(np.eye(3), ["a", "b", "a"], classes=["a", "b"])
    with pytest.raises(ValueError, match=r"not in `self.classes_`: \['d'\]"):
        model.partial_fit(np.eye(3), ["a", "b", "d"])


# Labels and weights


def test_labels_of_any_kind_come_back(digits):
    X, y = digits
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "8", "9"])
    model = quiet(MLPClassifier(max_iter=30, random_state=0).fit, X, names[y])
    assert list(model.classes_) == sorted(names)
    assert (model.predict(X) == names[y]).mean() > 0.95
    numbers = quiet(MLPClassifier(max_iter=30, random_state=0).fit, X, y)
    assert (numbers.predict(X) == y).mean() > 0.95
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_are_never_certain_and_their_logarithms_finite(dtype):
    X = np.array([[-1.0], [1.0]])
    for y in ([0, 1], np.array([[0, 1], [1, 0]]), [0, 2]):
        model = MLPClassifier(hidden_layer_sizes=(), random_state=0, dtype=dtype)
        classes = np.arange(3) if 2 in y else [0, 1]
        model.partial_fit(X, y, classes=classes)
        coefs = np.zeros_like(model.coefs_[0])
        coefs[:, 0] = 1e4
        model.coefs_ = [coefs]
        p = model.predict_proba(X)
        assert ((p > 0) & (p < 1)).all()
        assert p.max() > 1 - 1e-6
        assert p.min() < 1e-37
        np.testing.assert_array_equal(model.predict_log_proba(X), np.log(p))


def test_several_labels_at_once():
    X, Y = make_multilabel_classification(300, 10, n_classes=4, random_state=0)
    model = quiet(MLPClassifier(scale="auto", random_state=0).fit, X, Y)
    assert model.predict(X).shape == Y.shape == model.predict_proba(X).shape
    assert (model.predict(X) == Y).mean() > 0.8
    assert model.out_activation_ == "logistic"
    model = MLPClassifier(early_stopping=True, random_state=0)
    quiet(model.fit, X, Y, validation_data=(X[:100], Y[:100]))
    assert model.score(X[:100], Y[:100]) == pytest.approx(model.best_validation_score_, rel=1e-12)


def test_a_class_weight_is_a_sample_weight(digits):
    X, y = digits
    y = y < 2
    how = {"max_iter": 5, "random_state": 0}
    balanced = quiet(MLPClassifier(class_weight="balanced", **how).fit, X, y)
    share = y.mean()
    weight = np.where(y, 0.5 / share, 0.5 / (1 - share))
    weighted = quiet(MLPClassifier(**how).fit, X, y, sample_weight=weight)
    np.testing.assert_allclose(balanced.coefs_[0], weighted.coefs_[0], rtol=1e-9, atol=1e-12)
    rows = np.random.default_rng(0).uniform(0.5, 2, len(y))
    both = quiet(MLPClassifier(class_weight={True: 3.0}, **how).fit, X, y, sample_weight=rows)
    by_hand = quiet(MLPClassifier(**how).fit, X, y, sample_weight=rows * np.where(y, 3.0, 1.0))
    np.testing.assert_allclose(both.coefs_[0], by_hand.coefs_[0], rtol=1e-9, atol=1e-12)
    plain = quiet(MLPClassifier(**how).fit, X, y)
    assert balanced.predict(X).sum() > plain.predict(X).sum()
    with pytest.raises(ValueError, match="needs all rows, partial_fit sees some"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=[False, True])
    with pytest.raises(ValueError, match="must not be 0 for all samples"):
        MLPClassifier(class_weight={False: 0, True: 0}).fit(X, y)


# In scikit-learn's company


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_grid_search_over_a_pipeline_gives_the_same_in_parallel(diabetes, backend):
    X, y = diabetes
    pipeline = make_pipeline(StandardScaler(), MLPRegressor(max_iter=30, random_state=0, tol=0))
    grid = {
        "mlpregressor__hidden_layer_sizes": [(8,), (16, 8)],
        "mlpregressor__loss": ["squared_error", cr.losses.Huber(0.5)],
    }
    found = []
    for jobs in (1, 2):
        search = GridSearchCV(pipeline, grid, n_jobs=jobs, cv=3)
        with parallel_backend(backend):
            found.append(quiet(search.fit, X, y))
    assert (
        found[0].cv_results_["mean_test_score"] == found[1].cv_results_["mean_test_score"]
    ).all()
    assert found[0].best_score_ > 0.4


def test_names_of_columns_are_kept_and_checked(diabetes):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(diabetes[0], columns=[f"x{k}" for k in range(10)])
    model = quiet(MLPRegressor(max_iter=3, random_state=0).fit, X, diabetes[1])
    assert list(model.feature_names_in_) == list(X.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[X.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(diabetes[0])
    pipeline = make_pipeline(StandardScaler(), MLPRegressor(max_iter=3)).set_output(
        transform="pandas"
    )
    quiet(pipeline.fit, X, diabetes[1])
    assert list(pipeline[-1].feature_names_in_) == list(X.columns)
    assert pipeline.predict(X).shape == (442,)


def test_sparse_rows_are_as_dense_ones(digits):
    sparse = pytest.importorskip("scipy.sparse")
    X, y = digits
    how = {"max_iter": 3, "random_state": 0}
    dense = quiet(MLPClassifier(**how).fit, X, y)
    of_sparse = quiet(MLPClassifier(**how).fit, sparse.csr_matrix(X), y)
    assert dense.network_.theta.tobytes() == of_sparse.network_.theta.tobytes()
    assert (dense.predict_proba(X) == dense.predict_proba(sparse.csc_matrix(X))).all()


@pytest.mark.parametrize("kind", KINDS)
def test_clones_and_copies_stand_on_their_own(digits, kind):
    X, y = digits
    model = quiet(kind(max_iter=3, random_state=0, activation=["tanh"]).fit, X, y)
    assert not hasattr(clone(model), "network_")
    twin = pickle.loads(pickle.dumps(model))
    assert (twin.predict(X) == model.predict(X)).all()
    before = model.network_.theta.copy()
    twin.partial_fit(X, y)
    assert (model.network_.theta == before).all()
    assert (twin.network_.theta != before).any()


def test_predict_finds_what_is_wrong_with_plain_arrays(diabetes):
    X, y = diabetes
    model = quiet(MLPRegressor(max_iter=1).fit, X, y)
    with pytest.raises(ValueError, match="contains NaN"):
        model.predict(np.full((1, 10), np.nan))
    with pytest.raises(ValueError, match="expecting 10 features"):
        model.predict(np.zeros((1, 9)))
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        model.predict(np.zeros((0, 10)))
    with pytest.raises(ValueError, match="Reshape your data"):
        model.predict(np.zeros(10))
    before = model.network_.theta.copy()
    with pytest.raises(ValueError, match="Input y contains NaN"):
        model.partial_fit(X, np.where(y > 0, np.nan, y))
    with pytest.raises(ValueError, match="Input X contains infinity"):
        model.partial_fit(np.where(X > 0, np.inf, X), y)
    assert (model.network_.theta == before).all()
    with pytest.warns(DataConversionWarning):
        quiet(model.fit, X, y.reshape(-1, 1))


# What is ours


def test_each_layer_may_have_its_own_activation_and_dropout(diabetes):
    X, y = diabetes
    how = {"hidden_layer_sizes": (6, 4), "max_iter": 3, "random_state": 0}
    model = quiet(
        MLPRegressor(activation=("silu", "logistic"), dropout=(0.1, 0.2), **how).fit, X, y
    )
    assert [layer.activation for layer in model.network_.layers] == ["silu", "sigmoid", "identity"]
    assert [layer.dropout for layer in model.network_.layers] == [0.1, 0.2, 0.0]
    with pytest.raises(ValueError, match="one for each of the 2 hidden layers, got 1"):
        MLPRegressor(activation=["tanh"], **how).fit(X, y)


def test_losses_schedules_and_solvers_of_ours(diabetes):
    X, y = diabetes
    how = {"random_state": 0, "max_iter": 20, "tol": 0.0}
    for loss in ("mse", "mae", "huber", "log_cosh", "quantile", cr.losses.Huber(0.1)):
        model = quiet(MLPRegressor(loss=loss, **how).fit, X, y)
        assert model.score(X, y) > 0.2, loss
    rule = cr.AdamW(cr.OneCycle(0.01, epochs=20), weight_decay=0.1)
    as_solver = quiet(MLPRegressor(solver=rule, **how).fit, X, y)
    assert as_solver.score(X, y) > 0.4
    rate = cr.OneCycle(0.01, epochs=20)
    falling = cr.ReduceOnPlateau(0.05, patience=1, threshold=0.5)  # it hardly ever falls enough
    plateau = MLPRegressor(solver=cr.SGD(falling), **how)
    parts = clone(plateau)
    for _ in range(20):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X, y)))
    assert parts.loss_curve_ == quiet(plateau.fit, X, y).loss_curve_
    assert plateau._trainer.learning_rate < 0.001
    one, two = (
        quiet(MLPRegressor(solver=s, learning_rate=r, **how).fit, X, y)
        for s, r in (("adam", rate), (cr.Adam(rate), "constant"))
    )
    assert one.loss_curve_ == two.loss_curve_


def squares(a, Y):
    return np.mean((a - Y) ** 2), 2 * (a - Y) / a.size


def test_a_loss_of_ones_own_is_a_function(diabetes):
    X, y = diabetes
    how = {"random_state": 0, "max_iter": 5, "alpha": 0.0}
    own = quiet(MLPRegressor(loss=squares, **how).fit, X, y)
    named = quiet(MLPRegressor(loss="mse", **how).fit, X, y)
    np.testing.assert_allclose(own.loss_curve_, named.loss_curve_, rtol=1e-12)
    own = pickle.loads(pickle.dumps(own)).partial_fit(X, y)
    named.partial_fit(X, y)
    np.testing.assert_allclose(own.coefs_[0], named.coefs_[0], rtol=0, atol=1e-12)


def test_quantiles_side_by_side(diabetes):
    X, y = diabetes
    model = MLPRegressor(loss=cr.losses.Quantile((0.1, 0.5, 0.9)), random_state=0, max_iter=100)
    low, middle, high = quiet(model.fit, X, y).predict(X).T
    assert (y < low).mean() == pytest.approx(0.1, abs=0.05)
    assert (y < middle).mean() == pytest.approx(0.5, abs=0.08)
    assert (y < high).mean() == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("scale", [None, "auto"])
def test_means_and_their_spread(scale):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (2000, 1))
    unit = 1 if scale is None else 1e6
    sigma = unit * np.where(X[:, 0] < 0, 0.1, 0.5)
    y = unit * X[:, 0] + sigma * rng.normal(size=2000)
    model = MLPRegressor(loss="gaussian_nll", learning_rate_init=0.01, random_state=0, scale=scale)
    mean, std = quiet(model.fit, X, y).predict(X, return_std=True)
    assert (mean == model.predict(X)).all()
    away = np.abs(X[:, 0]) > 0.2
    assert np.abs(std / sigma - 1)[away].mean() < 0.15
    assert np.abs(mean / unit - X[:, 0])[away].mean() < 0.05
    coarse = MLPRegressor(loss=cr.GaussianNLL(eps=4.0), scale=scale, max_iter=20, random_state=0)
    _, std = quiet(coarse.fit, X, y).predict(X, return_std=True)
    assert (std >= 2 * (1 if scale is None else y.std()) * (1 - 1e-9)).all()
    with pytest.raises(ValueError, match="return_std needs loss='gaussian_nll'"):
        quiet(MLPRegressor(max_iter=1).fit, X, X[:, 0]).predict(X, return_std=True)


def test_targets_in_any_unit_with_scale_auto():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)) * [1e-6, 1.0, 1e6] + 5
    y = 1e9 + 1e6 * np.tanh(X[:, 1] - 5)
    model = MLPRegressor(scale="auto", learning_rate_init=0.01, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    with pytest.warns(ConvergenceWarning, match=r"sizes from .* scale='auto'"):
        MLPRegressor(random_state=0, max_iter=2).fit(X, y / 1e9)


def test_what_is_standardised_inside_may_be_far_from_0():
    rng = np.random.default_rng(0)
    X = 1e9 + rng.normal(size=(300, 1))
    how = {"scale": "auto", "learning_rate_init": 0.01, "random_state": 0, "dtype": "float32"}
    model = quiet(MLPRegressor(**how).fit, X, np.sin(X[:, 0]))
    assert model.score(X, np.sin(X[:, 0])) > 0.9


def test_validation_data_of_ones_own(diabetes):
    X, y = diabetes
    X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    seen = []
    model = MLPRegressor(
        random_state=0, max_iter=5, metrics=("mae",), callbacks=(lambda net, h: seen.append(net),)
    )
    quiet(model.fit, X, y, validation_data=(X_val, y_val))
    assert len(seen) == len(model.history_.val_cost) == 5
    error = np.abs(model.predict(X_val) - y_val).mean()
    assert model.history_.metrics["mae"][-1] == pytest.approx(error, rel=1e-12)
    cost = np.mean((model.predict(X_val) - y_val) ** 2) / 2
    assert model.history_.val_cost[-1] == pytest.approx(cost, rel=1e-12)
    weight = np.arange(len(y_val))
    quiet(model.fit, X, y, validation_data=(X_val, y_val, weight))
    cost = np.average((model.predict(X_val) - y_val) ** 2, weights=weight) / 2
    assert model.history_.val_cost[-1] == pytest.approx(cost, rel=1e-12)
    stopped = MLPRegressor(random_state=0, max_iter=500, early_stopping=True)
    stopped.fit(X, y, validation_data=(X_val, y_val))
    assert stopped.n_iter_ < 500
    assert stopped.score(X_val, y_val) == pytest.approx(stopped.best_validation_score_, rel=1e-12)
    with pytest.raises(TypeError, match="validation_data must be a tuple"):
        model.fit(X, y, validation_data=X_val)


@pytest.mark.parametrize("labels", ["two", "many"])
def test_metrics_of_classes(digits, labels):
    X, y = digits
    y = np.where(y < 5, "low", "high") if labels == "two" else y
    X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    model = MLPClassifier(random_state=0, max_iter=3, metrics=("accuracy",))
    quiet(model.fit, X, y, validation_data=(X_val, y_val))
    assert model.history_.metrics["accuracy"][-1] == model.score(X_val, y_val)
    model = MLPClassifier(random_state=0, max_iter=5, early_stopping=True, metrics="accuracy")
    quiet(model.fit, X, y)
    assert model.history_.metrics["accuracy"] == pytest.approx(model.validation_scores_, rel=1e-12)


def test_a_callback_may_end_it_or_raise(diabetes):
    X, y = diabetes
    model = MLPRegressor(random_state=0, callbacks=(lambda net, h: len(h.cost) == 4,)).fit(X, y)
    assert model.n_iter_ == 4
    assert "A callback ended the training after epoch 4" in model.stop_reason_

    def stop(net, history):
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match=r"interrupted by user. Interrupted after epoch 1\b"):
        model = MLPRegressor(callbacks=(stop,)).fit(X, y)
    assert model.predict(X).shape == (442,)

    def fail(net, history):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        MLPRegressor(callbacks=(fail,)).fit(X, y)


def test_lbfgs_finds_a_minimum_and_says_when_it_was_not_let(diabetes):
    X, y = diabetes
    how = {"solver": "lbfgs", "hidden_layer_sizes": (), "alpha": 10.0, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLPRegressor(tol=1e-9, **how).fit(X, y)
    # Ridge regression: the intercept is not punished.
    centred = X - X.mean(axis=0)
    ridge = np.linalg.solve(centred.T @ centred + 10.0 * np.eye(10), centred.T @ (y - y.mean()))
    np.testing.assert_allclose(model.coefs_[0][:, 0], ridge, rtol=0, atol=2e-5)
    assert model.n_iter_ == len(model.loss_curve_) < 200
    ends = [
        quiet(MLPRegressor(solver="lbfgs", n_iter_no_change=n, tol=1e-2, max_iter=60).fit, X, y)
        for n in (1, np.inf)
    ]
    assert [end.n_iter_ for end in ends] == [60, 60]  # it ends by itself, or not at all
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        MLPRegressor(max_iter=2, **how).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="All max_fun evaluations"):
        spent = MLPRegressor(max_fun=4, **how).fit(X, y)
    assert spent.n_iter_ <= 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        other = theirs.MLPRegressor(**how, max_iter=5).fit(X, y)
        steps = MLPRegressor(max_iter=1, warm_start=True, **how)
        costs = [steps.fit(X, y).loss_ for _ in range(10)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] <= other.loss_ + 1e-3


def test_the_warning_says_why_and_what_to_do(diabetes):
    X, y = diabetes
    expected = r"MLPRegressor has not converged by the measure of tol=0.0001, with max_iter=6\."
    with pytest.warns(ConvergenceWarning, match=expected + ".* try more epochs"):
        MLPRegressor(max_iter=6, random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLPRegressor(max_iter=500, tol=1e-2, random_state=0).fit(X, y)
    assert model.n_iter_ < 500


def test_verbose_prints_a_line_for_each_epoch(diabetes, capsys):
    X, y = diabetes
    quiet(MLPRegressor(max_iter=2, verbose=True, early_stopping=True, random_state=0).fit, X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2"]
    assert all("loss" in line and "validation score" in line for line in lines)
    quiet(MLPRegressor(max_iter=2).fit, X, y)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("how", "error", "match"),
    [
        ({"solver": "newton"}, ValueError, "solver must be one of adam, "),
        ({"activation": "sine"}, ValueError, "activation must be one of logistic, "),
        ({"hidden_layer_sizes": (3, 0)}, ValueError, r"hidden_layer_sizes\[1\] must be at least 1"),
        ({"hidden_layer_sizes": 2.5}, TypeError, "hidden_layer_sizes"),
        ({"learning_rate": "fast"}, ValueError, "learning_rate must be one of constant"),
        ({"learning_rate_init": 0}, ValueError, "learning_rate"),
        ({"alpha": -1}, ValueError, "alpha must be at least 0"),
        ({"l1": "big"}, TypeError, "l1 must be a real number"),
        ({"tol": np.inf}, ValueError, "tol must be at least 0"),
        ({"max_iter": 0}, ValueError, "max_iter must be at least 1"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be a whole number"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": "all"}, ValueError, "batch_size must be one of auto"),
        ({"beta_1": 1.0}, ValueError, r"must be in \[0, 1\)"),
        ({"momentum": 1.0, "solver": "sgd"}, ValueError, r"momentum must be in \[0, 1\)"),
        ({"validation_fraction": 1.5}, ValueError, "validation_fraction must be in"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change must be at least 1"),
        ({"shuffle": "yes"}, TypeError, "shuffle must be True or False"),
        ({"early_stopping": 1}, TypeError, "early_stopping must be True or False"),
        ({"random_state": -1}, ValueError, "random_state must be at least 0"),
        ({"dtype": "float16"}, ValueError, "dtype must be one of float32, float64"),
        ({"scale": "standard"}, ValueError, "scale must be one of auto"),
        ({"callbacks": print}, TypeError, "callbacks must be a sequence"),
        ({"dropout": 1.0}, ValueError, "dropout"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_parameter_is_named_and_changes_nothing(kind, how, error, match):
    X, y = np.eye(10), np.arange(10) % 2
    model = quiet(kind(max_iter=2, random_state=0).fit, X, y)
    before = model.predict(X).tobytes()
    with pytest.raises(error, match=match):
        model.set_params(**how).fit(X, y)
    assert model.predict(X).tobytes() == before


@pytest.mark.parametrize("kind", KINDS)
def test_too_large_a_rate_is_an_error_that_says_so_and_changes_nothing(diabetes, kind):
    X, y = diabetes
    y = y if kind is MLPRegressor else np.where(y > 0, "high", "low")
    model = quiet(kind(max_iter=2, random_state=0).fit, X[:, :4], y)
    before = model.predict(X[:, :4])
    model.set_params(solver="sgd", learning_rate_init=1e300)
    with pytest.raises(cr.DivergedError, match="try a smaller learning_rate"):
        model.fit(X, y if kind is MLPRegressor else y == "high")
    assert (model.predict(X[:, :4]) == before).all()
    assert model.n_features_in_ == 4
    with pytest.raises(cr.DivergedError):
        kind(solver="sgd", learning_rate_init=1e300).fit(X, y)


def test_scikit_learn_is_loaded_by_these_estimators_alone():
    code = "import sys, chainrule; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "try:\n    import chainrule.sklearn\n"
        "except ImportError as error:\n    assert 'chainrule[sklearn]' in str(error)\n"
        "else:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
