"""What a model file says about its table: the columns, how they are encoded, the targets, the loss.

Called by the rooms of the commands that make or take a model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Encoder, Number, Target
from .commandline import Matrix, reading
from .errors import FormatError, shown
from .frames import Frame
from .losses import LOSSES, Loss
from .modelfile import load
from .network import Network

TABLE = "table"  # the entry of a model's metadata


@dataclass(frozen=True)
class Description:
    """How rows of a table become X and Y, and what the outputs of the network mean.

    Attributes
    ----------
    encoder : Encoder
        From the columns of the table to those of X.
    target : Target
        The columns that are learnt, and the classes.
    loss : Loss
        A quantile loss has its quantiles once for each target.
    """

    encoder: Encoder
    target: Target
    loss: Loss

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that X is made of."""
        return self.encoder.features

    @property
    def task(self) -> str:
        return self.target.task

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes as text; none in a regression."""
        return self.target.outputs if self.target.classes else ()

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Those of each target; none when the outputs are no quantiles."""
        if self.loss.name != "quantile":
            return ()
        q = self.loss.parameters
        return q if len(q) == 1 else q[: len(q) // len(self.target.columns)]

    @property
    def outputs(self) -> int:
        """How many outputs the network has to have."""
        if self.classes:
            return 1 if self.loss.name == "binary_cross_entropy" else len(self.classes)
        copies = 2 if self.loss.name == "gaussian_nll" else max(len(self.quantiles), 1)
        return copies * len(self.target.columns)

    @property
    def output_names(self) -> list[str]:
        """What the outputs of the network are called, those that have a target."""
        if self.classes:
            return list(self.classes[1:] if self.outputs == 1 else self.classes)
        return self.answer_names

    @property
    def answer_names(self) -> list[str]:
        """What the predictions of a regression are called."""
        names = self.target.columns
        if len(self.quantiles) < 2:
            return list(names)
        return [f"{name}_q{q:g}" for name in names for q in self.quantiles]

    def targets(self, table: Any) -> Matrix:
        """Y of the rows of a table, as the loss takes it.

        One-hot (m, K) for classes, (m, 1) for two classes and one output, else a column for each
        prediction.
        """
        raw = self.target.transform(table)
        if not self.classes:
            return np.repeat(raw, max(len(self.quantiles), 1), axis=1)
        if self.outputs == 1:
            return raw.reshape(-1, 1).astype(np.float64)
        one_hot: Matrix = np.eye(len(self.classes))[raw]
        return one_hot

    def complete(self, table: Frame) -> Frame:
        """Of a model that leaves out rows with missing cells, those it keeps; else all."""
        kept = np.intersect1d(self.encoder.kept(table), self.target.kept(table))
        if not len(kept):
            raise table.error(f"every one of the {len(table)} rows has a missing cell")
        return table if len(kept) == len(table) else table.take(kept)

    def as_json(self) -> dict[str, Any]:
        """What `described` reads, for the model's metadata."""
        names = self.target.columns
        return {
            "columns": list(self.columns),
            "target": names[0] if len(names) == 1 else list(names),
            "task": self.task,
            "classes": list(self.classes) or None,
            "encoder": self.encoder.as_json(),
            "targets": self.target.as_json(),
            "loss": {"name": self.loss.name, "parameters": list(self.loss.parameters)},
        }


def loss_named(name: str, parameters: Sequence[float] = ()) -> Loss:
    """The loss of that name with these numbers; ValueError or TypeError when it cannot be."""
    if name not in LOSSES:
        raise ValueError(f"{shown(name)} is no loss; allowed are {', '.join(LOSSES)}")
    loss = LOSSES[name]
    if not parameters:
        return loss
    if not loss.parameters:
        raise ValueError(f"{name} has no parameter, got {', '.join(map(str, parameters))}")
    if len(parameters) > 1 and name != "quantile":
        raise ValueError(f"{name} has one parameter, got {', '.join(map(str, parameters))}")
    make: Any = type(loss)
    made: Loss = make(parameters[0] if len(parameters) == 1 else tuple(parameters))
    return made


def load_model(path: str, unknown: str | None = None) -> tuple[Network, Description | None]:
    """Load a model; `unknown` says what to do with levels that the training rows did not have."""
    with reading("model"):
        net = load(path)
    known = described(net, path)
    if known is not None and unknown is not None:
        known = replace(known, encoder=replace(known.encoder, handle_unknown=unknown))
    return net, known


def described(net: Network, path: str | os.PathLike[str]) -> Description | None:
    """Read metadata["table"], which may come from anyone; None when there is none."""
    if TABLE not in net.metadata:
        return None
    known = None
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        known = _read(net.metadata[TABLE])
    if known is None or (len(known.encoder.names), known.outputs) != (net.n[0], net.n[-1]):
        raise FormatError(f"{path}: what the model says about its table does not fit the network")
    return known


def plain(
    columns: Sequence[str], targets: Sequence[str], classes: Sequence[str] = ()
) -> Description:
    """Every column is a number, and the loss is the squared error."""
    encoder = Encoder(tuple(Number(name) for name in columns))
    return Description(encoder, Target(tuple(targets), tuple(classes)), loss_named("mse"))


def _read(entry: dict[str, Any]) -> Description:
    if "encoder" in entry:
        loss = entry["loss"]
        return Description(
            Encoder.from_json(entry["encoder"]),
            Target.from_json(entry["targets"]),
            loss_named(loss["name"], [float(number) for number in loss["parameters"]]),
        )
    columns, target, classes = entry["columns"], entry["target"], entry["classes"]
    for names in (columns, [target], [] if classes is None else classes):
        if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
            raise ValueError("not a list of names")
        if len(set(names)) < len(names):
            raise ValueError("a name twice")
    return plain(columns, [target], classes or ())


def one_hot_index(Y: NDArray[Any]) -> NDArray[np.int64]:
    """The class of each row of what `Description.targets` gives for a classification."""
    return np.asarray(Y[:, 0].astype(np.int64) if Y.shape[1] == 1 else Y.argmax(axis=1))
