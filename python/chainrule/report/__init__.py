"""One step of a network as a page: every number opens its own formula.

`page` makes the HTML; `chainrule explain --html` writes it to a file. The style and the scripts lie
in `assets/`, each script a module with one task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..losses import LossLike
from ..network import Network
from .page import TITLE, build
from .subject import Subject

__all__ = ["TITLE", "page"]


def page(
    net: Network,
    X: Any,
    Y: Any,
    learning_rate: float = 0.5,
    loss: LossLike = "mse",
    *,
    title: str = TITLE,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    samples: Sequence[str] | None = None,
    sample_weight: Any = None,
) -> str:
    """One step of gradient descent as a self-contained HTML page of at most 1 MB.

    It can be read without JavaScript, fetches nothing, and forbids everything but its own style and
    script by a content security policy. Of a large network it shows the units with the largest
    derivatives and says so; sums run over everything.

    Parameters
    ----------
    net : Network
        It is not changed.
    X : array_like, shape (m, n_0), or (n_0,) for one sample
    Y : array_like, shape (m, n_L), (m,) for one output, or (n_L,) for one sample
        Both in the user's units.
    learning_rate : float
        Of the step, above 0.
    loss : str, Loss or callable
        As for `net.gradient`.
    title : str
        Heading of the page.
    inputs, outputs : sequence of str, optional
        Names of the columns of X and Y; default x_1, x_2, ... and y_1, y_2, ...
    samples : sequence of str, optional
        Names of the rows; default "sample 1", "sample 2", ...
    sample_weight : array_like, shape (m,), optional
        As for `net.gradient`.

    Returns
    -------
    str
        The HTML, to be written as UTF-8.

    Raises
    ------
    TypeError, ValueError
        An argument is not as above.
    DivergedError
        The cost or a derivative is not finite, before or after the step.

    Examples
    --------
    >>> from chainrule.walkthrough import example
    >>> html = page(*example())
    >>> html.splitlines()[0]
    '<!DOCTYPE html>'
    """
    if not isinstance(title, str):
        raise TypeError(f"title must be a str, got {title!r} ({type(title).__name__})")
    subject = Subject(net, X, Y, learning_rate, loss, inputs, outputs, samples, sample_weight)
    return build(subject, title)
