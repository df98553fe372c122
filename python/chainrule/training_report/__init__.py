"""One training as an HTML page: what was trained, how good it is, pictures, the largest errors.

The page fetches nothing, needs no JavaScript, and forbids everything but its own style and its own
pictures. Pictures need the extra `plot`. Called by users and by `chainrule train --report`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import one_of, shown
from ..history import History
from ..losses import checked_loss
from ..modelfile import replace_file
from ..network import Network
from . import findings
from .page import Page

__all__ = ["TITLE", "page", "write"]

TITLE = "Report of a training"


def page(
    net: Network,
    history: History,
    X_train: Any,
    Y_train: Any,
    X_val: Any = None,
    Y_val: Any = None,
    *,
    task: str,
    loss: Any = "mse",
    classes: Sequence[Any] | None = None,
    names: Sequence[str] | None = None,
    inputs: Sequence[str] | None = None,
    samples: Sequence[str] | None = None,
    facts: Mapping[str, Any] | None = None,
    title: str | None = None,
) -> str:
    """The report as a self-contained HTML page.

    Parameters
    ----------
    net : Network
        As trained; it is not changed.
    history : History
        What `Network.fit` returned.
    X_train, X_val : array_like, shapes (m, n_0)
        Validation may be None; then all is said of the training rows.
    Y_train, Y_val : array_like
        In the user's units: (m,) or (m, n_L); of a classification class indices (m,), one-hot rows
        (m, K), or for several labels at once rows (m, K) of 0 and 1.
    task : {"regression", "classification"}
    loss : str or Loss
        What the network was trained with: it turns outputs into predictions.
    classes : sequence of K names, optional
        Of a classification; with one output two. Default 0, 1, ...
    names : sequence of n_L str, optional
        Of the outputs of a regression; default y, or y_1, y_2, ...
    inputs : sequence of n_0 str, optional
        Names of the columns of X; they come into the table of the largest errors, at most 8.
    samples : sequence of str, optional
        Names of the validation rows (the training rows without any); default "row 1", ...
    facts : mapping of str to anything, optional
        More to say about the training, such as {"Optimiser": optimizer, "Seed": 0}.
    title : str, optional
        The heading.

    Returns
    -------
    str
        The HTML, to be written as UTF-8.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError, ValueError
        An argument is not as above.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, got {shown(net)} ({type(net).__name__})")
    if not isinstance(history, History):
        raise TypeError(f"history must be a History, got {type(history).__name__}")
    one_of(task, "task", findings.TASKS)
    if (X_val is None) != (Y_val is None):
        raise ValueError("X_val and Y_val: give both or neither")
    title = TITLE if title is None else title
    if not isinstance(title, str):
        raise TypeError(f"title must be a str, got {shown(title)} ({type(title).__name__})")
    if facts is not None and not isinstance(facts, Mapping):
        raise TypeError(f"facts must be a dict, got {shown(facts)} ({type(facts).__name__})")
    checked = checked_loss(loss)
    val = None if X_val is None else (X_val, Y_val)
    found = findings.find(net, checked, (X_train, Y_train), val, task, classes, names)
    columns = findings.checked_names(inputs, "inputs", net.n[0])
    rows = findings.checked_names(samples, "samples", len(found.judged)) or None
    known = {"Loss": repr(checked) if checked.name != "given" else f"{loss}", **(facts or {})}
    return Page(net, history, found, known, columns, rows).html(title)


def write(
    path: str | os.PathLike[str],
    net: Network,
    history: History,
    X_train: Any,
    Y_train: Any,
    X_val: Any = None,
    Y_val: Any = None,
    **how: Any,
) -> None:
    """Write the report to a file; the arguments are those of `page`.

    A file of that name is replaced in one step: the old page or the new one is there, never a
    part.

    Raises
    ------
    ImportError, TypeError, ValueError
        As `page`; nothing is written.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> history = net.fit(X, Y, loss="mse", validation_data=(X2, Y2))     # doctest: +SKIP
    >>> write("report.html", net, history, X, Y, X2, Y2, task="regression",
    ...       names=["drag"], facts={"Optimiser": "Adam"})                # doctest: +SKIP
    """
    html = page(net, history, X_train, Y_train, X_val, Y_val, **how)
    replace_file(path, html.encode("utf-8"))
