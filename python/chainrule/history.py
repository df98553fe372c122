"""What happened in a training, epoch by epoch: as numbers, on disk, as a picture."""
# ruff: noqa: PLC0415  (plots are loaded when needed)

from __future__ import annotations

import csv
import json
import math
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
        One per epoch: the mean over the rows of the costs seen before each update. With `LBFGS`
        the cost after each iteration.
    val_cost : list of float
        One per epoch, after it; empty without validation data.
    metrics : dict of str to list of float
        For each metric of `fit` one per epoch, after it: of the validation data where there are
        any, else of the training data, in the user's units.
    stopped : str
        "epochs" (all done), "callback" or "early_stopping"; from `LBFGS` also "gradient", "change"
        or "line_search"; "" while training.
    reason : str
        Why training stopped, and what to try next, in words.
    best_epoch : int or None
        Numbered from 1: the epoch with the lowest validation cost (training cost without
        validation data), or with the best value of the metric that `EarlyStopping` looked at;
        the network has its parameters if `EarlyStopping` restored them.
    monitor, mode : str
        What `best_epoch` goes by, "cost" or a metric, and which way is better, "min" or "max".
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
    metrics: dict[str, list[float]] = field(default_factory=dict)
    monitor: str = "cost"
    mode: str = "min"

    @property
    def best_epoch(self) -> int | None:
        """See above."""
        by_cost = self.val_cost or self.cost
        watched = np.array(by_cost if self.monitor == "cost" else self.metrics[self.monitor])
        if np.isnan(watched).all():  # or there is none
            return None
        best = np.nanargmin if self.mode == "min" else np.nanargmax
        return 1 + int(best(watched))

    def table(self) -> dict[str, list[float]]:
        """Columns epoch (from 1), cost, with validation data val_cost, and one for each metric.

        `pandas.DataFrame(history.table())` takes it as it is, and so do polars and pyarrow.
        """
        columns: dict[str, list[float]] = {"epoch": [*range(1, len(self.cost) + 1)]}
        columns["cost"] = list(self.cost)
        if self.val_cost:
            columns["val_cost"] = list(self.val_cost)
        columns.update({name: list(values) for name, values in self.metrics.items()})
        return columns

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table of epochs.

        Parameters
        ----------
        path : path
            The suffix says how: .csv, or .jsonl with one object per line. A file of that name is
            replaced. A metric that is NaN is nan in CSV and null in JSON.

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
                for row in rows:
                    values = (value if math.isfinite(value) else None for value in row)
                    file.write(json.dumps(dict(zip(columns, values, strict=True))) + "\n")

    def plot(self) -> Figure:
        """The costs and metrics over the epochs as a Matplotlib figure (needs the extra `plot`)."""
        from .plot import cost

        return cost(self)

    def __repr__(self) -> str:
        text = f"History: {len(self.cost)} epochs"
        if self.cost:
            text += f", cost {self.cost[0]:.6g} -> {self.cost[-1]:.6g}"
        if self.val_cost:
            text += f", validation cost {self.val_cost[0]:.6g} -> {self.val_cost[-1]:.6g}"
        for name, values in self.metrics.items():
            text += f", {name} {values[0]:.6g} -> {values[-1]:.6g}" if values else ""
        return f"{text} | {self.seconds:.3g} s, {self.rows_per_second:.3g} rows/s"
