"""Pictures of a classification: which classes are taken for which, and how sure it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import metrics
from ..arrays import Array
from ..metrics.reading import in_unit, plain
from . import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 100
PERCENT, COUNTS = 12, 30  # up to here a cell has both numbers, its count
LONGEST = 22  # letters of a name of a class
MOST_CURVES = 8
FEW = 5  # rows: a bin with fewer is a dot beside the curve of its class, for it is mostly chance
FULL = 0.55  # of the colours: text above is white


def confusion_matrix(
    y: Any, prediction: Any, path: canvas.Path | None = None, *, classes: Any = None
) -> Figure:
    """Draw which classes are taken for which.

    Parameters
    ----------
    y : array_like, shape (m,), or one-hot (m, K)
        The class of each row: a label, or an index of `classes`.
    prediction : array_like, shape (m,), or probabilities of shape (m, K)
        Likewise, or probabilities, whose largest counts.
    path : path, optional
        Where to save the picture, as for `cost`.
    classes : sequence of K labels, optional
        Default: all labels there are, sorted; at most 100.

    Returns
    -------
    matplotlib.figure.Figure
        Row i is what is, column j what was predicted. A cell has its count and, up to 12 classes,
        the percentage of its row, which its colour shows too: blue is right, orange wrong. Beside
        the name of a row stands how many rows there are of that class.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        An argument is not as above.
    """
    actual, said, names = metrics.class_indices(y, prediction, classes)
    K = len(names)
    if K > MOST_CLASSES:
        raise ValueError(f"a confusion matrix has at most {MOST_CLASSES} classes, got {K}")
    counts = metrics.confusion_matrix(actual, said, range(K))
    of_row = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(of_row, 1)
    signed = np.where(np.eye(K, dtype=bool), 1, -1) * np.sqrt(share)

    texts = canvas.apart(names, LONGEST)
    both, numbered = K <= PERCENT, K <= COUNTS
    cell = 0.72 if both else 0.34
    cell = cell if numbered else max(0.1, 8 / K)
    side = max(2.2, cell * K)
    longest = max(map(len, texts))
    slanted = longest * 0.085 > cell * 0.95
    width = max(4.8, side + 1.4 + 0.08 * (longest + 8)) + (0 if numbered else 1.5)
    figure = canvas.figure(path, (width, side + 1.4 + (0.06 * longest if slanted else 0)))
    axes: Any = figure.subplots()
    image = axes.imshow(signed, cmap=canvas.signed_colours("#f1f1f1"), vmin=-1, vmax=1)
    if numbered:
        for (i, j), count in np.ndenumerate(counts):
            if count or both:
                _cell(axes, i, j, int(count), float(share[i, j]), both)
    else:
        _bar(figure, axes, image)
    small = 9 if K <= COUNTS else 7
    ticks = np.arange(0, K, 1 if K <= COUNTS else -(-K // 40))
    axes.set_xticks(ticks, [texts[k] for k in ticks], fontsize=small)
    axes.set_yticks(ticks, [f"{texts[k]}  ({of_row[k, 0]:,})" for k in ticks], fontsize=small)
    if slanted:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("actual class (rows)")
    borders = np.arange(K - 1) + 0.5
    axes.set_xticks(borders, minor=True)
    axes.set_yticks(borders, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.0 if numbered else 0.4)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    accuracy = metrics.accuracy(actual, said)
    balanced = metrics.balanced_accuracy(actual, said)
    axes.set_title(f"{_percent(accuracy)} of {len(actual):,} right,\n"
                   f"{_percent(balanced)} on average over the classes",
                   fontsize=11, loc="left")  # fmt: skip
    return canvas.save(figure, path, "chainrule: a confusion matrix")


def _cell(axes: Any, i: int, j: int, count: int, share: float, both: bool) -> None:
    colour = "white" if np.sqrt(share) > FULL else canvas.BLACK if count else canvas.GREY
    text = f"{count:,}"
    if both and count:
        text += f"\n{_percent(share)}"
    size = (9 if both else 7) if count < 10_000 else (8 if both else 6)
    axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=size)


def _percent(share: float) -> str:
    """With a digit after the point, but never 0 or 100 for something else."""
    text = f"{100 * share:.1f}"
    if text == "100.0":
        text = "100" if share == 1 else "> 99.9"
    elif text == "0.0" and share > 0:
        text = "< 0.1"
    return f"{text} %"


def _bar(figure: Any, axes: Any, image: Any) -> None:
    """What the colours mean, where the cells have no numbers."""
    shares = np.array([1, 0.5, 0.1, 0.01])
    roots = np.sqrt(shares)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_ticks([*-roots, 0, *roots[::-1]],
                  labels=[*(f"{s:.0%} wrong" for s in shares), "0",
                          *(f"{s:.0%} right" for s in shares[::-1])])  # fmt: skip
    bar.set_label("part of the row's class")
    bar.ax.tick_params(labelsize=8)


def calibration(
    y: Any, p: Any, path: canvas.Path | None = None, *, classes: Any = None, bins: int = 10
) -> Figure:
    """Draw how often predictions came true against how probable they were said to be.

    Parameters
    ----------
    y : array_like, shape (m,), or one-hot (m, K)
        The class of each row; 0 and 1 when p has one column.
    p : array_like, shape (m,) or (m, K)
        The probability of class 1, or of each class.
    path : path, optional
        Where to save the picture, as for `cost`.
    classes : sequence of K labels, optional
        Names of the classes, and their order in p; two when p has one column.
    bins : int
        Equal parts of [0, 1].

    Returns
    -------
    matplotlib.figure.Figure
        On the diagonal probabilities can be believed; below, how many rows each bin has. Two
        classes: the probability of the second, with 95 % intervals. More: each class against the
        rest, with larger dots for more rows, and bins of fewer than 5 rows not joined to the
        curve; of more than 8 classes the 8 furthest from the diagonal are named, the others grey.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        An argument is not as above.
    """
    P = plain(p, "p")
    in_unit(P, "p")
    two = P if P.ndim == 2 else np.column_stack([1 - P, P])
    K = two.shape[1]
    names = range(K) if classes is None else classes
    actual, _, names = metrics.class_indices(y, two, names)
    several = K > 2
    shown = range(K) if several else (1,)
    found = {k: metrics.calibration(actual == k, two[:, k], bins) for k in shown}
    order = sorted(found, key=lambda k: -found[k].error)
    named = sorted(order[:MOST_CURVES])
    keys = len(named) + (len(named) < K) if several else 1
    figure = canvas.figure(path, (6.2, 6.4 + 0.2 * keys))
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color=canvas.GREY, linestyle="--", linewidth=1.2, zorder=1,
              label="believable: as often as said", gid="diagonal")  # fmt: skip
    for k in (k for k in order if k not in named):
        joined = found[k].counts >= FEW
        axes.plot(found[k].predicted[joined], found[k].observed[joined], color=canvas.PALE,
                  linewidth=1, zorder=0)  # fmt: skip
    if several and len(named) < K:
        axes.plot([], [], color=canvas.PALE, label=f"{K - len(named)} other classes, nearer")
    texts = canvas.apart(names, 28)
    for k, colour in zip(named, canvas.colours(len(named)), strict=True):
        one = found[k]
        label = f"{texts[k]}: off by {canvas.number(one.error, 2)} on average"
        joined = one.counts >= (FEW if several else 1)
        axes.plot(one.predicted[joined], one.observed[joined], color=colour, label=label, zorder=3,
                  alpha=0.7 if several else 1, linewidth=1.2 if several else 1.5)  # fmt: skip
        size = 6 + 90 * np.sqrt(one.counts / len(actual)) if several else 26
        axes.scatter(one.predicted, one.observed, size, color=[colour], zorder=4, clip_on=False,
                     linewidths=0, gid="bins")  # fmt: skip
        _bins(below, one, colour, several)
        if not several:
            low, high = _interval(one)
            axes.vlines(one.predicted, low, high, color=colour, linewidth=1.2, alpha=0.6, zorder=2,
                        gid="interval")  # fmt: skip
    said = "of the class" if several else f"of class {canvas.plain(names[1], 24)}"
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel=f"observed part {said}")
    axes.set_title(f"Calibration: {len(actual):,} {'row' if len(actual) == 1 else 'rows'}")
    canvas.tidy(axes)
    canvas.tidy(below)
    counts = np.concatenate([one.counts for one in found.values()])
    if counts.max() > 100 * counts.min():
        below.set_yscale("log")
    else:
        ticker = canvas.matplotlib("ticker")
        below.yaxis.set_major_locator(ticker.MaxNLocator(4, integer=True, min_n_ticks=1))
        below.set_ylim(bottom=0)
    below.set(xlabel=f"predicted probability {said}", ylabel="rows")
    figure.align_ylabels()
    figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    return canvas.save(figure, path, "chainrule: calibration")


def _bins(axes: Any, found: metrics.Calibration, colour: Any, several: bool) -> None:
    """Rows per bin: as bars, or as steps where several classes are drawn over each other."""
    low, high = found.edges.T
    if several:
        axes.hlines(found.counts, low, high, color=colour, linewidth=1.8)
    else:
        axes.bar(low, found.counts, high - low, align="edge", color=colour, alpha=0.75,
                 edgecolor="white", linewidth=0.8)  # fmt: skip


def _interval(found: metrics.Calibration) -> tuple[Array, Array]:
    """Wilson's 95 % interval of a part of counts."""
    z, n = 1.959964, found.counts
    centre = (found.observed + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(found.observed * (1 - found.observed) / n + z**2 / (4 * n**2))
    half = half / (1 + z**2 / n)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
