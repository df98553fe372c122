"""Classification: handwritten digits, 8 x 8 points of ink each, into ten classes.

Five times a network with dropout is trained on four fifths of the 1797 images and asked about the
others, so that every image is classified by a network that has not seen it. The loss is the
cross-entropy of softmax on class indices; AdamW's learning rate falls along a cosine.

Prints how many of each fifth are right, of all of them (98 % or a little more), and the pairs of
digits that are mixed up most often.

    python classification_digits.py --plot digits.png     the confusion matrix
"""

import argparse

import numpy as np

import chainrule as cr
from chainrule import metrics, tables

EPOCHS = 60


def network(X, y, seed):
    """A trained network, from 64 grey values to the logits of ten classes."""
    layers = [cr.Dense(200, "relu", dropout=0.5), cr.Dense(10)]
    net = cr.Network(layers, X.shape[1], seed=seed)
    rule = cr.AdamW(cr.Cosine(0.003, epochs=EPOCHS), weight_decay=0.01)
    net.fit(X, y, epochs=EPOCHS, batch_size=32, optimizer=rule, loss="cross_entropy", seed=seed)
    return net


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE", help="draw the confusion matrix there")
    options = parser.parse_args(arguments)

    table = tables.read("digits")
    X, y = table.values[:, :-1] / 16, table.values[:, -1].astype(int)
    said = np.empty(len(y), int)
    parts = np.array_split(np.random.default_rng(options.seed).permutation(len(y)), 5)
    for k, held in enumerate(parts):
        train = np.setdiff1d(np.arange(len(y)), held)
        net = network(X[train], y[train], seed=options.seed + k)
        said[held] = net.predict(X[held]).argmax(axis=1)
        right = metrics.accuracy(y[held], said[held])
        print(f"part {k + 1}: {right:.1%} of {len(held)} held-out images right")

    print(f"\nall parts: {metrics.accuracy(y, said):.2%} of {len(y)} right")
    counts = metrics.confusion_matrix(y, said)
    wrong = counts - np.diag(np.diag(counts))
    print("mixed up most often:")
    for place in wrong.argsort(axis=None)[::-1][:3]:
        digit, taken = np.unravel_index(place, wrong.shape)
        print(f"  a {digit} taken for a {taken}: {wrong[digit, taken]} of {counts[digit].sum()}")
    if options.plot:
        cr.plot.confusion_matrix(y, said, options.plot)
    return said


if __name__ == "__main__":
    main()
