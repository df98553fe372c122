"""A surrogate: a network in the place of a simulation, the swing of a damped pendulum.

A pendulum is let go and swings with friction: theta'' = -g/l sin theta - 2 d theta'. How long
until it is back on the side where it started? A network learns that from 2000 simulations, for any
length l, angle and damping d in the ranges below. Adam finds the way, L-BFGS finishes.

Prints the error on 1000 other pendulums in per cent of the time, after each of the two, and how
long one pendulum takes by simulation and by the network.

    python surrogate.py --plot surrogate.png     the cost over both trainings
"""

import argparse
import time

import numpy as np

import chainrule as cr

G = 9.81  # m/s^2
LOW, HIGH = (0.2, 5.0, 0.0), (2.0, 150.0, 0.3)  # length in m, angle in degrees, damping in 1/s


def period(length, angle, damping, steps=400):
    """Time in s to the next standstill on the same side, one per pendulum (Runge-Kutta 4)."""

    def slopes(s):
        return np.array([s[1], -G / length * np.sin(s[0]) - 2 * damping * s[1]])

    state = np.array([np.radians(angle), np.zeros_like(angle)])  # angle, angular velocity
    found = np.full_like(angle, np.nan)
    h = 4 * np.pi * np.sqrt(length / G) / steps  # so the end is twice the period of small swings
    for step in range(steps):
        k1 = slopes(state)
        k2 = slopes(state + h / 2 * k1)
        k3 = slopes(state + h / 2 * k2)
        k4 = slopes(state + h * k3)
        before, state = state[1], state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        back = (before > 0) & (state[1] <= 0) & np.isnan(found)  # the velocity changes its sign
        found[back] = (h * (step + before / (before - state[1])))[back]
    return found


def errors(net, X, y):
    """Of the network's times, in per cent."""
    return 100 * np.abs(net.predict(X)[:, 0] / y - 1)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE", help="draw the cost over both trainings there")
    options = parser.parse_args(arguments)

    rng = np.random.default_rng(options.seed)
    X, X_new = rng.uniform(LOW, HIGH, (2000, 3)), rng.uniform(LOW, HIGH, (1000, 3))
    y, start = period(*X.T), time.perf_counter()
    y_new, simulated = period(*X_new.T), time.perf_counter() - start

    layers = [cr.Dense(32, "tanh"), cr.Dense(32, "tanh"), cr.Dense(1)]
    net = cr.Network(layers, 3, dtype="float64", seed=options.seed)
    trainings = {}
    print("error on 1000 new pendulums    mean  largest")
    for name, rule, epochs in (("Adam", cr.Adam(0.003), 200), ("L-BFGS", cr.LBFGS(), 400)):
        trainings[name] = net.fit(X, y, epochs=epochs, optimizer=rule, scale="auto")
        error = errors(net, X_new, y_new)
        print(f"{epochs} epochs of {name:14} {error.mean():7.3f} % {error.max():6.3f} %")

    start = time.perf_counter()
    net.predict(X_new)
    predicted = time.perf_counter() - start
    print(f"\none pendulum: {simulated * 1e3:.3g} us by simulation of 1000 at once in NumPy,")
    print(f"{predicted * 1e3:.3g} us by the network: {simulated / predicted:.0f} times as fast")
    if options.plot:
        cr.plot.learning_curves(trainings, options.plot)
    return net


if __name__ == "__main__":
    main()
