"""Regression on a small table: how far diabetes progresses, from ten measurements of a patient.

Five times a network is trained on four fifths of the 442 patients and asked about the others, so
that every patient is predicted by a network that has not seen them. Each training standardises its
columns (scale="auto"), holds a fifth of its own rows out, stops when the cost on those no longer
falls, and goes back to its best epoch. Least squares gets the same rows.

Prints R2 and the root mean squared error (RMSE) of both. On so few, noisy rows a straight line is
hard to beat: with dropout, a penalty on the weights and early stopping a network is level with it,
without them it is worse.

    python regression_diabetes.py --plot diabetes.png     predicted against actual
"""

import argparse

import numpy as np

import chainrule as cr
from chainrule import metrics, tables


def least_squares(X, y):
    """The best straight line, as a function of X."""
    w = np.linalg.lstsq(np.column_stack([np.ones(len(X)), X]), y, rcond=None)[0]
    return lambda X: w[0] + X @ w[1:]


def network(X, y, seed):
    """A trained network, and how the training went."""
    net = cr.Network([cr.Dense(64, "tanh", dropout=0.5), cr.Dense(1)], X.shape[1], seed=seed)
    history = net.fit(
        X,
        y,
        epochs=500,
        optimizer=cr.Adam(0.001),
        l2=0.01,
        scale="auto",
        validation_split=0.2,
        early_stopping=cr.EarlyStopping(patience=50),
        seed=seed,
    )
    return net, history


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE", help="draw predicted against actual there")
    options = parser.parse_args(arguments)

    table = tables.read("diabetes")
    X, y = table.values[:, :-1], table.values[:, -1]
    by_network, by_line = np.empty(len(y)), np.empty(len(y))
    parts = np.array_split(np.random.default_rng(options.seed).permutation(len(y)), 5)
    for k, held in enumerate(parts):
        train = np.setdiff1d(np.arange(len(y)), held)
        net, history = network(X[train], y[train], seed=options.seed + k)
        by_network[held] = net.predict(X[held])[:, 0]
        by_line[held] = least_squares(X[train], y[train])(X[held])
        print(f"part {k + 1}: {len(train)} rows, {len(history.cost)} epochs, ", end="")
        print(f"the best was {history.best_epoch}")

    print("\nheld out           R2    RMSE")
    for name, p in (("network", by_network), ("least squares", by_line)):
        print(f"{name:14} {metrics.r2(y, p):7.3f} {metrics.rmse(y, p):7.1f}")
    if options.plot:
        cr.plot.predictions(prediction=by_network, Y=y, names=["progression"], path=options.plot)
    return by_network, by_line


if __name__ == "__main__":
    main()
