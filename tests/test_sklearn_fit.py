"""benchmarks/sklearn_fit.py: both do the same work, a planted mistake is found and not timed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6", reason="scikit-learn is not here")
pytest.importorskip("threadpoolctl", reason="threadpoolctl is not here")

import sklearn_fit
from compare import measure as rounds
from compare.measure import Effort
from threadpoolctl import threadpool_limits

from chainrule import sklearn as estimators

DIABETES = replace(sklearn_fit.CASES[0], epochs=60)  # before, the start still shows in the loss
DIGITS = replace(sklearn_fit.CASES[1], epochs=10)
QUICK = Effort(rounds=1, budget=0.0, slice=1e-4)
TASKS = ["fit", "partial_fit", "predict", "predict, 1 row"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(rounds, "PAUSE", 0.0)
    monkeypatch.setattr(rounds, "LEAST_ROUNDS", 1)
    with threadpool_limits(1):  # small products on many threads wait for each other
        yield


def with_ours(case, kind):
    return {**case.kinds(), sklearn_fit.OURS: partial(kind, dtype=case.dtype)}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", [DIABETES, DIGITS], ids=lambda case: case.name)
def test_both_do_the_same_work_in_the_same_type(case, dtype):
    case = replace(case, dtype=dtype)
    X, y = case.data()
    for kind in case.kinds().values():
        model = sklearn_fit.fitted(sklearn_fit.new(kind, case.epochs), X, y)
        assert {array.dtype.name for array in (*model.coefs_, *model.intercepts_)} == {dtype}
        assert [array.shape for array in model.coefs_] == [
            (X.shape[1], 100),
            (100, 10 ** (y.dtype.kind == "i")),
        ]
        assert model.n_iter_ == case.epochs
        assert model.t_ == case.epochs * len(X)
        defaults = type(model)().get_params() | {"dtype": dtype}
        changed = {k for k, v in model.get_params().items() if v != defaults[k]}
        assert changed == {"max_iter", "tol", "n_iter_no_change", "random_state"}
    assert sklearn_fit.wrong(case.kinds(), case.epochs, X, y)[0] == ""


class Rate(estimators.MLPRegressor):
    """A rate that is a thousandth too large."""

    def fit(self, *data):
        self.set_params(learning_rate_init=self.learning_rate_init * 1.001)
        return super().fit(*data)


class Lazy(estimators.MLPRegressor):
    """Half the epochs, from its own weights."""

    def fit(self, *data):
        whole = self.max_iter
        if whole > sklearn_fit.CHECKED_EPOCHS:
            self.set_params(max_iter=whole // 2)
        return super().fit(*data).set_params(max_iter=whole)


class BadStart(estimators.MLPRegressor):
    """New weights are useless: all 0 in the first layer."""

    def _network(self, *how):
        net = super()._network(*how)
        net.W[1][...] = 0.0
        net.b[1][...] = -1.0
        return net


class Flattering(estimators.MLPRegressor):
    """Another loss than the one that is compared."""

    def fit(self, *data):
        super().fit(*data).loss_ /= 2
        return self


class Off(estimators.MLPRegressor):
    def predict(self, X):
        return super().predict(X) * 1.00001


class NotANumber(estimators.MLPRegressor):
    def predict(self, X):
        return super().predict(X) * np.nan


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        (Rate, "predictions after 5 epochs"),
        (Lazy, r"chainrule did \[30\] epochs, not 60"),
        (BadStart, "loss after 60 epochs"),
        (Flattering, "loss after 60 epochs"),
        (Off, "predictions before 5 epochs"),
        (NotANumber, "predictions before 5 epochs"),
    ],
)
def test_a_planted_mistake_is_reported_and_not_timed(planted, what):
    row = sklearn_fit.measure(DIABETES, 1, QUICK, with_ours(DIABETES, planted))
    assert row["times"] == {}
    assert row["problem"].startswith("WRONG: ")
    assert re.search(what, row["problem"]), row["problem"]


def test_a_classifier_that_is_wrong_is_reported_too():
    class Swapped(estimators.MLPClassifier):
        def predict_proba(self, X):
            return super().predict_proba(X)[:, ::-1]

    row = sklearn_fit.measure(DIGITS, 1, QUICK, with_ours(DIGITS, Swapped))
    assert row["problem"].startswith("WRONG: predictions before")


def test_the_program(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sklearn_fit, "CASES", (DIABETES, DIGITS))
    path = tmp_path / "a.json"
    options = ["--rounds", "1", "--budget", "0", "--slice", "0.0001"]
    assert sklearn_fit.main([*options, "--json", str(path)]) == 0
    data = json.loads(path.read_text(encoding="utf-8"))
    assert [row["case"] for row in data["rows"]] == ["diabetes", "digits"]
    text = capsys.readouterr().out
    assert text == sklearn_fit.markdown(data)
    for row in data["rows"]:
        assert row["problem"] == ""
        assert list(row["times"]) == TASKS
        assert all(both[name]["us"] > 0 for both in row["times"].values() for name in both)
        losses = ", ".join(f"{name} {loss:.4g}" for name, loss in row["losses"].items())
        assert f"- {row['case']} x1: loss after {row['epochs']} epochs, {losses}" in text


def example(**changed):
    figure = {"scikit-learn": {"us": 500_000.0}, "chainrule": {"us": 40_000.0}}
    small = {"scikit-learn": {"us": 130.0}, "chainrule": {"us": 12.345}}
    row = {"case": "diabetes", "estimator": "MLPRegressor", "rows": 442, "columns": 10}
    row |= {"epochs": 200, "threads": 2, "dtype": "float64", "problem": ""}
    row |= {"losses": {"scikit-learn": 0.2, "chainrule": 0.21}}
    row |= {"times": {"fit": figure, "predict": small}} | changed
    machine = {"cpu": "Abacus", "cores": 2, "isa": "beads"}
    return {"date": "2000-01-01", "machine": machine, "versions": {"NumPy": "1"}, "rows": [row]}


def test_the_table():
    lines = sklearn_fit.markdown(example()).splitlines()
    start = "| diabetes, 442 x 10 | MLPRegressor |"
    assert f"{start} fit, 200 epochs | 2 | 500 | 40.0 | 12.5 |" in lines
    assert f"{start} predict | 2 | 0.13 | 0.0123 | 10.5 |" in lines
    assert "- diabetes x2: loss after 200 epochs, scikit-learn 0.2, chainrule 0.21" in lines
    assert lines[-1] == "Machine: Abacus, 2 cores, beads; 2000-01-01. NumPy 1."


def test_what_is_wrong_is_in_the_page_and_in_the_status(monkeypatch, capsys):
    text = sklearn_fit.markdown(example(problem="WRONG: all of it", times={}))
    assert "- diabetes x2: WRONG: all of it; not timed\n" in text
    wrong = example(problem="WRONG: all of it", times={})["rows"][0]
    monkeypatch.setattr(sklearn_fit, "measure", lambda *how: wrong)
    assert sklearn_fit.main([]) == 1
    assert "WRONG: all of it" in capsys.readouterr().out


def test_more_threads_than_cores_are_refused(capsys):
    with pytest.raises(SystemExit):
        sklearn_fit.main(["--threads", "9999"])
    assert "--threads 9999: this process has" in capsys.readouterr().err
