"""Bands instead of a line: where will nine in ten of the values lie?

The noise of these data grows to the right and is skewed: small values are common, large ones are
far out. One network has three outputs, the 5 %, 50 % and 95 % quantiles of y at x (the pinball
loss). Another has two, mean and variance (the likelihood of a normal variable); its band is the
mean +- 1.645 standard deviations, which is right for noise that is normal.

Prints which part of 4000 new points lies below, in and above each band; 5, 90 and 5 % are right.
The normal band has too few points below and too many above: the quantiles ask for no shape.

    python quantile_bands.py --plot bands.png     the points and both bands
"""

import argparse

import numpy as np
from matplotlib.figure import Figure

import chainrule as cr

Q = (0.05, 0.5, 0.95)


def sample(m, rng):
    """m points; the noise is exponential, less its mean, and grows with x."""
    x = rng.uniform(-2, 2, m)
    return x[:, None], np.sin(2 * x) + spread(x) * (rng.exponential(size=m) - 1)


def spread(x):
    """The standard deviation of the noise at x."""
    return 0.05 + 0.1 * (x + 2)


def trained(X, y, outputs, loss, seed):
    """A network of two hidden layers that has learnt from X and y."""
    net = cr.Network([cr.Dense(32, "tanh"), cr.Dense(32, "tanh"), cr.Dense(outputs)], 1, seed=seed)
    rule = cr.Adam(cr.Cosine(0.01, epochs=100))
    net.fit(X, y, epochs=100, batch_size=100, optimizer=rule, loss=loss, scale="auto", seed=seed)
    return net


def bands(X, y, seed):
    """Two functions of X that give the columns lower, middle, upper."""
    quantiles = trained(X, y, 3, cr.Quantile(Q), seed)
    normal = trained(X, y, 2, "gaussian_nll", seed)

    def of_normal(X):
        mean, log_variance = normal.predict(X).T
        width = 1.645 * np.exp(log_variance / 2)
        return np.column_stack([mean - width, mean, mean + width])

    return {"quantiles": quantiles.predict, "normal": of_normal}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE", help="draw the points and both bands there")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(options.seed)
    (X, y), (X_new, y_new) = sample(4000, rng), sample(4000, rng)
    found = bands(X, y, options.seed)
    print("part of new points    below     in  above")
    for name, band in found.items():
        lower, _, upper = band(X_new).T
        parts = (y_new < lower).mean(), ((lower <= y_new) & (y_new <= upper)).mean()
        print(f"{name:18} {parts[0]:8.1%} {parts[1]:6.1%} {1 - sum(parts):6.1%}")
    if options.plot:
        draw(found, X_new, y_new, options.plot)
    return found


def draw(found, X, y, path):
    """A panel for each band."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    at = np.linspace(-2, 2, 200)[:, None]
    panels = figure.subplots(1, 2, sharey=True)
    for axes, name in zip(panels, found, strict=True):
        lower, middle, upper = found[name](at).T
        axes.plot(X[::4, 0], y[::4], ".", color="0.6", markersize=3, label="new points")
        axes.fill_between(at[:, 0], lower, upper, alpha=0.3, label="90 % band")
        axes.plot(at[:, 0], middle, label="median" if name == "quantiles" else "mean")
        axes.set(title=name, xlabel="x", ylabel="y")
        axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
