"""How a student's backprop wants to be called: the layout with which it gets furthest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from .report import count
from .student_arrays import CONVENTIONS, WRAPS, Params
from .student_calls import Data, Setting, call, sizes
from .student_file import StudentError, StudentFile
from .student_network import order


def settle(file: StudentFile, data: Data, seed: int) -> Setting:
    """Find the layout of params, X and Y with which backprop gets furthest."""
    given = file.own("params", "init", "init_params", "initialize")
    data = _own_data(file) if data.X is None else _fitted(file, data)
    best: tuple[float, Setting, StudentError | None] | None = None
    for setting in _settings(file, given, data):
        rank, error = _trial(file, setting, seed)
        if best is None or rank > best[0]:
            best = rank, setting, error
        if rank == math.inf:
            break
    if best is None and given is not None:
        raise StudentError(
            f"{file.name} does not say the shapes of X and Y: add a line such as "
            "WIDTHS = [3, 4, 2] (inputs, hidden units, outputs), or a function data() that "
            "returns X and Y",
            unusable=True,
        )
    if best is None:
        raise StudentError(
            f"{file.name} does not say the shapes of params: add a line such as WIDTHS = [3, 4, 2] "
            "(inputs, hidden units, outputs), or a function params() that returns them",
            unusable=True,
        )
    return best[1]


def _fitted(file: StudentFile, data: Data) -> Data:
    """A table's rows for the header's widths; a target of classes becomes one-hot."""
    X, Y = data.X, data.Y
    if X is None or Y is None or file.widths is None:
        return data
    n_0, n_L = file.widths[0], file.widths[-1]
    if Y.shape[1] == 1 < n_L and np.isin(Y, np.arange(n_L)).all():
        Y = np.eye(n_L)[Y[:, 0].astype(int)]
    if (X.shape[1], Y.shape[1]) != (n_0, n_L):
        raise StudentError(
            f"the table has {count(X.shape[1], 'input')} and {count(Y.shape[1], 'target')}, "
            f"WIDTHS of {file.name} says {n_0} and {n_L}",
            unusable=True,
        )
    return Data(X, Y)


def _own_data(file: StudentFile) -> Data:
    given = file.own("data")
    if given is None:
        X, Y = (getattr(file.module, name, None) for name in "XY")
        given = None if X is None or Y is None else (X, Y)
    if given is None:
        return Data()
    try:
        X, Y = given
        X, Y = np.array(X, np.float64), np.array(Y)
        Y = Y if Y.ndim == 1 and Y.dtype.kind in "iu" else Y.astype(np.float64)
    except (TypeError, ValueError):
        raise StudentError(
            f"{file.name}: X and Y must be two arrays of numbers", unusable=True
        ) from None
    return Data(X, Y, own=True)


def _settings(file: StudentFile, given: Any, data: Data) -> Iterator[Setting]:
    labels = file.loss is not None and str(file.loss).lower() not in {"mse", "mean", "half_mean"}
    for wrap in WRAPS if given is None else ["dict"]:
        for convention in CONVENTIONS:
            widths = tuple(file.widths or ())
            if given is not None:
                params = Params(given)
                found = order(params.leaves, convention)
                if found is not None:
                    W = [b.array for b in found.parameters.blocks if b.kind == "W"]
                    if any(len(w) != v.shape[1] for w, v in pairwise(W)):
                        continue
                    widths = (W[0].shape[1], *(len(w) for w in W))
            there, flat = data, False
            if data.X is not None and data.Y is not None:
                flat = data.Y.ndim == 1
                X, Y = data.X, data.Y.reshape(-1, 1) if flat else data.Y
                if data.own and convention.columns:  # rows inside here
                    X, Y = X.T, Y if flat else Y.T
                if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y):
                    continue
                there = Data(X, Y, data.own)
                widths = widths or (X.shape[1], Y.shape[1])
            if len(widths) > 1:
                yield Setting(convention, there, widths, wrap, given, labels, flat)


def _trial(file: StudentFile, setting: Setting, seed: int) -> tuple[float, StudentError | None]:
    """How far backprop gets: infinity when nothing is wrong, else the line that fails."""
    rng = np.random.default_rng(seed)
    params = setting.params(rng, moved=False)
    m = sizes(setting)[0]
    X, Y = setting.samples(m, rng)
    try:
        called = call(file, setting, params, X, Y, quiet=True)
    except StudentError as error:
        return (error.line - 1e6 if error.line else -1e5), error
    strange = sum(bool(p) and "shape" in p for p in called.problems)
    return (-strange if strange else math.inf), None
