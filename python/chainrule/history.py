"""What happened in a training, epoch by epoch: as numbers, on disk, as a picture."""
# ruff: noqa: PLC0415  (plots are loaded when needed)

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class History:
    """What happened in one `Network.fit`.

    Attributes
    ----------
    cost : list of float
        One per epoch: the mean over the rows of the costs seen before each update.
    val_cost : list of float
        One per epoch, after it; empty without validation data.
    stopped : str
        "epochs" (all done), "callback" or "early_stopping"; "" while training.
    reason : str
        Why training stopped, and what to try next, in words.
    best_epoch : int or None
        Numbered from 1: the epoch with the lowest validation cost (training cost without
        validation data), whose parameters the network has if `EarlyStopping` restored them.
    seconds : float
        Duration.
    rows_per_second : float
        Rows trained on, per second.
    """

    cost: list[float] = field(default_factory=list)
    val_cost: list[float] = field(default_factory=list)
    stopped: str = ""
    reason: str = ""
    seconds: float = 0.0
    rows_per_second: float = 0.0

    @property
    def best_epoch(self) -> int | None:
        """See above."""
        watched = self.val_cost or self.cost
        return 1 + int(np.argmin(watched)) if watched else None

    def table(self) -> dict[str, list[float]]:
        """Columns epoch (from 1), cost and, with validation data, val_cost.

        `pandas.DataFrame(history.table())` takes it as it is, and so do polars and pyarrow.
        """
        columns: dict[str, list[float]] = {"epoch": [*range(1, len(self.cost) + 1)]}
        columns["cost"] = list(self.cost)
        if self.val_cost:
            columns["val_cost"] = list(self.val_cost)
        return columns

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table of epochs.

        Parameters
        ----------
        path : path
            The suffix says how: .csv, or .jsonl with one object per line. A file of that name is
            replaced.

        Raises
        ------
        ValueError
            Another suffix.
        OSError
            The file cannot be written.
        """
        target = Path(path)
        if target.suffix not in (".csv", ".jsonl"):
            raise ValueError(f"path must end in .csv or .jsonl, got {shown(str(target))}")
        columns = self.table()
        rows = list(zip(*columns.values(), strict=True))
        with target.open("w", encoding="utf-8", newline="") as file:
            if target.suffix == ".csv":
                writer = csv.writer(file, lineterminator="\n")
                writer.writerows([list(columns), *rows])
            else:
                file.writelines(
                    json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows
                )

    def plot(self) -> Figure:
        """Costs and metrics over the epochs, `plot.learning_curves` (needs the extra `plot`)."""
        from .plot import learning_curves

        return learning_curves(self)

    def __repr__(self) -> str:
        text = f"History: {len(self.cost)} epochs"
        if self.cost:
            text += f", cost {self.cost[0]:.6g} -> {self.cost[-1]:.6g}"
        if self.val_cost:
            text += f", validation cost {self.val_cost[0]:.6g} -> {self.val_cost[-1]:.6g}"
        return f"{text} | {self.seconds:.3g} s, {self.rows_per_second:.3g} rows/s"
