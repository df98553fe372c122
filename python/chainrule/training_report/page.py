"""The page of a training: what was trained, how good it is, pictures, the largest errors.

Text is escaped here. Pictures are SVG, as data in the page. Called by `write`.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from .. import metrics, plot
from .._core import __version__
from ..history import History
from ..network import Network
from ..report.bundle import asset
from ..report.document import document, section
from ..report.elements import table
from . import findings
from .findings import Findings, number, spoken

WORST = 10  # rows in the table of the largest errors
MOST_INPUTS = 8  # columns of X in it
MOST_NAMES = 100  # rows of the table of outputs or classes


class Page:
    """The parts of one page."""

    def __init__(
        self,
        net: Network,
        history: History,
        found: Findings,
        facts: Mapping[str, Any],
        inputs: Sequence[str],
        samples: Sequence[str] | None,
    ) -> None:
        self.net, self.history, self.found = net, history, found
        self.facts, self.inputs, self.samples = facts, inputs, samples

    def html(self, title: str) -> str:
        """The whole page."""
        sections = [("trained", "What was trained", self._trained()),
                    ("measures", "How good it is", self._measures()),
                    ("learning", "Learning curves", self._learning())]  # fmt: skip
        if self.found.kind == "regression":
            sections.append(("predictions", "Predicted and actual", self._predictions()))
        elif self.found.kind == "classes":
            sections.append(("confusion", "Confusion matrix", self._confusion()))
            if self.found.probable:
                sections.append(("calibration", "Calibration", self._calibration()))
        sections.append(("worst", "The largest errors", self._worst()))
        body = "".join(section(*part) for part in sections)
        body += f"<footer>chainrule {escape(__version__)}</footer>"
        return document(
            title,
            asset("page.css") + asset("training.css"),
            [(name, words) for name, words, _ in sections],
            f'<div class="columns">\n<main>\n{body}\n</main>\n</div>',
            pictures=True,
        )

    # --- sections ---------------------------------------------------------------------------------

    def _trained(self) -> str:
        h, net = self.history, self.net
        layers = ", ".join(dict.fromkeys(layer.activation for layer in net.layers))
        facts: dict[str, Any] = {
            "Network": "\u2013".join(map(str, net.n)),
            "Activations": layers,
            "Parameters": f"{net.n_parameters:,}",
            "Arithmetic": net.dtype,
            "Standardised": "no" if net.scaling is None else net.scaling.scaled,
            "Training rows": f"{len(self.found.train):,}",
            "Validation rows": "none" if self.found.val is None else f"{len(self.found.val):,}",
            **self.facts,
            "Epochs": f"{len(h.cost):,}",
            "Best epoch": "" if h.best_epoch is None else f"{h.best_epoch:,}",
            "Time": f"{h.seconds:.3g} s" if h.seconds else "",
        }
        rows = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>"
            for name, value in facts.items()
            if value not in (None, "")
        )
        why = f'<p class="hint">{escape(h.reason)}</p>' if h.reason else ""
        return f'<dl class="facts">{rows}</dl>{why}'

    def _measures(self) -> str:
        found = self.found
        head = ["training"] + (["validation"] if found.val is not None else [])
        head += ["without a network", ""]
        rows = []
        for name, train, val, always in found.measures:
            cells = [_data(train)] + ([] if val is None else [_data(val)])
            meaning = _words(findings.MEANING.get(name, ""))
            rows.append((escape(spoken(name)), [*cells, _data(always), meaning]))
        text = "".join(
            f'<p class="hint{_warning(words)}">{escape(words)}</p>'
            for words in findings.verdict(found)
        )
        note = f"Without a network: always say {findings.without(found)}."
        return (
            text
            + table(f"Measures <small>{self._size()}</small>", head, rows, "measures")
            + f"<p>{escape(note)}</p>{self._each()}"
        )

    def _size(self) -> str:
        found = self.found
        parts = [f"{len(found.train):,} training"]
        parts += [] if found.val is None else [f"{len(found.val):,} validation"]
        return f"{' and '.join(parts)} rows"

    def _each(self) -> str:
        """Each output or class of the judged rows."""
        found, rows = self.found, self.found.judged
        names = found.names[:MOST_NAMES]
        if found.kind == "regression":
            if len(found.names) == 1:
                return ""
            head = ["R\u00b2", "RMSE", "MAE"]
            r2 = metrics.r2_each(rows.Y, rows.prediction)
            error = rows.Y - rows.prediction
            cells = [(r2[j], np.sqrt(np.mean(error[:, j] ** 2)), np.mean(np.abs(error[:, j])))
                     for j in range(len(names))]  # fmt: skip
            body = [(escape(name), list(map(_data, cell)))
                    for name, cell in zip(names, cells, strict=True)]  # fmt: skip
        else:
            head = ["rows", "precision", "recall", "F1"]
            if found.kind == "labels":
                actual, said = rows.Y == 1, rows.prediction > 0.5
            else:
                which = rows.prediction.argmax(axis=1) if found.probable else rows.prediction
                every = np.arange(len(found.names))
                actual, said = rows.Y[:, None] == every, which[:, None] == every
            body = []
            for k, name in enumerate(names):
                both, n, s = ((actual & said)[:, k].sum(), actual[:, k].sum(), said[:, k].sum())
                parts = [both / d if d else float("nan") for d in (s, n, (n + s) / 2)]
                body.append((escape(name), [f"{n:,}", *map(_data, parts)]))
        left = len(found.names) - len(names)
        more = f"<p>and {left} more</p>" if left else ""
        what = {"regression": "output", "classes": "class", "labels": "label"}[found.kind]
        caption = f"Each {what} <small>{found.judged_name} rows</small>"
        return table(caption, head, body, "measures") + more

    def _learning(self) -> str:
        if not self.history.cost:
            return "<p>No epoch was run.</p>"
        h = self.history
        said = f"Cost over {len(h.cost)} epochs, from {number(h.cost[0])} to {number(h.cost[-1])}"
        if h.val_cost:
            said += f"; of validation from {number(h.val_cost[0])} to {number(h.val_cost[-1])}"
        return _drawn(plot.learning_curves, said, "A ring marks the best epoch.", h)

    def _predictions(self) -> str:
        rows = self.found.judged
        r2 = metrics.r2(rows.Y, rows.prediction)
        return _drawn(
            plot.predictions,
            f"Predicted against actual values of {len(rows)} rows, R\u00b2 {number(r2)}",
            f"The {self.found.judged_name} rows. On the dashed lines the prediction is exact.",
            prediction=rows.prediction,
            Y=rows.Y,
            names=self.found.names,
        )

    def _confusion(self) -> str:
        if len(self.found.names) > plot.classification.MOST_CLASSES:
            return f"<p>Not drawn: {len(self.found.names)} classes are too many.</p>"
        rows = self.found.judged
        right = metrics.accuracy(rows.Y, rows.prediction)
        return _drawn(
            plot.confusion_matrix,
            f"Confusion matrix of {len(rows)} rows, {right:.1%} of them right",
            f"The {self.found.judged_name} rows: each row of the picture is an actual class.",
            rows.Y,
            rows.prediction,
            classes=_different(self.found.names),
        )

    def _calibration(self) -> str:
        rows = self.found.judged
        return _drawn(
            plot.calibration,
            f"Observed against predicted probabilities of {len(rows)} rows",
            f"The {self.found.judged_name} rows: of those said to be 80 % sure, 80 % should be "
            "right. Above the dashed line it is more often right than it says, below less often.",
            rows.Y,
            rows.prediction,
            classes=_different(self.found.names),
        )

    def _worst(self) -> str:
        found, rows = self.found, self.found.judged
        worst = findings.worst(found, WORST)
        if not len(worst):
            return f"<p>All {found.judged_name} rows are right.</p>"
        known = list(self.inputs[:MOST_INPUTS])
        body = []
        for i in worst:
            cells = [*self._answer(rows, int(i)), *(_data(x) for x in rows.X[i, : len(known)])]
            body.append((escape(self._row(int(i))), cells))
        head = {
            "regression": ["actual", "predicted", "actual \u2212 predicted"],
            "classes": ["actual", "predicted"]
            + (["probability of that", "of the actual"] if found.probable else []),
            "labels": ["actual", "predicted"],
        }[found.kind]
        if found.kind == "regression" and len(found.names) > 1:
            head = ["output", *head]
        left = len(self.inputs) - len(known)
        more = f"<p>The table has the first {MOST_INPUTS} of {len(self.inputs)} inputs.</p>"
        caption = f"The {len(worst)} {found.judged_name} rows with the largest errors"
        if len(worst) == 1:
            caption = f"The {found.judged_name} row with the largest error"
        return table(caption, [*head, *map(escape, known)], body, "worst") + (more if left else "")

    def _answer(self, rows: findings.Rows, i: int) -> list[str]:
        """The cells that say what is, what was predicted, and how far apart they are."""
        found = self.found
        if found.kind == "regression":
            spread = found.train.Y.std(axis=0)
            error = np.abs(rows.Y[i] - rows.prediction[i]) / np.where(spread > 0, spread, 1)
            j = int(np.argmax(error))
            y, p = float(rows.Y[i, j]), float(rows.prediction[i, j])
            output = [_words(found.names[j])] if len(found.names) > 1 else []
            return [*output, _data(y, 6), _data(p, 6), _data(y - p)]
        if found.kind == "labels":
            sides = (rows.Y[i] == 1, rows.prediction[i] > 0.5)
            return [_words(", ".join(np.array(found.names)[side]) or "none") for side in sides]
        y = int(rows.Y[i])
        if not found.probable:
            return [_words(found.names[k]) for k in (y, int(rows.prediction[i]))]
        P = rows.prediction[i]
        k = int(P.argmax())
        return [_words(found.names[y]), _words(found.names[k]), _data(P[k], 3), _data(P[y], 3)]

    def _row(self, i: int) -> str:
        return f"row {i + 1}" if self.samples is None else str(self.samples[i])


def _data(value: Any, digits: int = 4) -> str:
    """A number with all of its digits in the markup."""
    return f'<data value="{float(value)!r}">{escape(number(float(value), digits))}</data>'


def _words(text: str) -> str:
    """Names in a table of numbers."""
    return f'<span class="words">{escape(text)}</span>'


def _warning(words: str) -> str:
    return " warn" if words.startswith(("Over-fitting", "The network does no better")) else ""


def _different(names: list[str]) -> list[str]:
    """Names that differ, for a picture: doubles get their number."""
    return [f"{n} ({k})" if names.count(n) > 1 else n for k, n in enumerate(names)]


def _drawn(draw: Any, said: str, caption: str, *arguments: Any, **options: Any) -> str:
    """A picture with its caption; `said` stands for it where it cannot be seen."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.svg"
        figure = draw(*arguments, path=path, **options)
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    return (
        f'<figure class="drawn"><img src="data:image/svg+xml;base64,{data}" width="{width}" '
        f'height="{height}" alt="{escape(said)}"><figcaption>{escape(caption)}</figcaption>'
        "</figure>"
    )
