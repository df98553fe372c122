"""A grid search over a pipeline: chainrule's MLPRegressor among scikit-learn's own tools.

The table is made up, so that the truth is known: rents of 1500 flats by district, heating, area,
floor and age. A square metre has another price in each district, upper floors are worth something
only with a lift, and what nobody can know adds a standard deviation of 60. The pipeline makes
districts and heating one-hot columns and trains a network on standardised ones (scale="auto");
the grid varies layers and activation. Threads will do for n_jobs: training holds no lock.

Prints the grid with its scores, the best of it, and the error on flats that no search has seen,
beside linear regression: the network is near the 60 that nobody can beat.

    python grid_search.py --plot rents.png     predicted against actual of the best
"""

import argparse

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import chainrule as cr
from chainrule.sklearn import MLPRegressor

NOISE = 60.0
PRICE = {"centre": 16.0, "harbour": 13.0, "hills": 11.0, "station": 8.0}  # of a square metre


def flats(m, rng):
    """A table of m flats, and their rents."""
    table = pd.DataFrame(
        {
            "district": rng.choice(list(PRICE), m),
            "heating": rng.choice(["gas", "heat pump", "oil"], m),
            "area": rng.uniform(25, 150, m),
            "floor": rng.integers(0, 8, m),
            "lift": rng.random(m) < 0.5,
            "age": rng.uniform(0, 100, m),
        }
    )
    rent = table["area"] * table["district"].map(PRICE) * (1 - 0.3 * np.exp(-table["age"] / 30))
    rent += np.where(table["lift"], 25.0, -15.0) * table["floor"]
    rent += table["heating"].map({"gas": 0.0, "heat pump": 80.0, "oil": -40.0})
    return table, rent + rng.normal(0, NOISE, m)


def pipeline(model):
    """From the table to a prediction by `model`."""
    categories = (OneHotEncoder(), ["district", "heating"])
    columns = make_column_transformer(categories, remainder="passthrough")
    return make_pipeline(columns, model)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once")
    parser.add_argument("--plot", metavar="FILE", help="draw predicted against actual there")
    options = parser.parse_args(arguments)

    table, rent = flats(1500, np.random.default_rng(options.seed))
    X, X_new, y, y_new = train_test_split(table, rent, random_state=options.seed)
    how = {"scale": "auto", "early_stopping": True, "learning_rate_init": 0.01, "batch_size": 50}
    network = MLPRegressor(max_iter=1000, random_state=options.seed, **how)
    grid = {
        "mlpregressor__hidden_layer_sizes": [(16,), (64,), (32, 32)],
        "mlpregressor__activation": ["relu", "tanh"],
    }
    score = "neg_root_mean_squared_error"
    search = GridSearchCV(pipeline(network), grid, scoring=score, cv=3, n_jobs=options.jobs)
    with joblib.parallel_config(backend="threading"):
        search.fit(X, y)

    print("layers      activation    RMSE in 3-fold cross-validation")
    for k, setting in enumerate(search.cv_results_["params"]):
        layers, activation = (setting[name] for name in grid)
        rmse = -search.cv_results_["mean_test_score"][k]
        mark = " <- best" if k == search.best_index_ else ""
        print(f"{layers!s:11} {activation:10} {rmse:7.1f}{mark}")

    line = pipeline(LinearRegression()).fit(X, y)
    print(f"\nRMSE on {len(X_new)} new flats")
    for name, model in (("best network", search), ("linear regression", line)):
        print(f"{name:18} {root_mean_squared_error(y_new, model.predict(X_new)):6.1f}")
    print(f"{'noise':18} {NOISE:6.1f}")
    if options.plot:
        cr.plot.predictions(search, X_new, y_new, options.plot, names=["rent"])
    return search


if __name__ == "__main__":
    main()
