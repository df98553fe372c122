"""A table that a model is to be used on: its columns, by name.

Called by `chainrule predict`, `evaluate`, `check` and `explain`.
"""

from __future__ import annotations

from typing import Any

from . import tables
from .commandline import note, reading
from .description import Description, plain
from .errors import FormatError
from .frames import Frame
from .network import Network
from .tables import listing

UNKNOWN_HELP = (
    "values of a category that the training rows did not have: error, or ignore (they count as "
    "none of the known ones) (default error)"
)


def matched(
    known: Description, path: str, also: tuple[str, ...] = (), whole: bool = False
) -> Frame:
    """The table when it has the columns that the model needs and those of `also`; only these.

    With `whole` all of its columns.
    """
    with reading():
        names = tables.header(path)
        needed = tuple(dict.fromkeys((*known.columns, *also)))
        there = set(names)
        missing = [name for name in needed if name not in there]
        if missing:
            raise FormatError(
                f"{path}: missing {len(missing)} of the {len(needed)} columns that the model "
                f"needs: {listing(missing, 5)}; it has {listing(names)}"
            )
        extra = [name for name in names if name not in {*needed, *known.target.columns}]
        if extra:
            note(f"note: {len(extra)} column(s) not used by the model: {listing(extra, 5)}")
        return tables.frame(path, None if whole else needed)


def of_any_names(net: Network, path: str) -> Description:
    """For a model that does not name its columns: those of the table, in their order."""
    with reading():
        names = tables.header(path)
    if len(names) != net.n[0]:
        raise FormatError(
            f"{path}: {len(names)} columns, but the model has {net.n[0]} inputs and does not say "
            "what they are called"
        )
    count = net.n[-1]
    targets = [f"prediction_{k + 1}" for k in range(count)] if count > 1 else ["prediction"]
    return plain(names, targets)


def named(net_and_known: tuple[Network, Description | None], path: str, instead: str) -> Any:
    """The network and its description; FormatError when the model does not name its columns."""
    net, known = net_and_known
    if known is None:
        raise FormatError(
            f"{path}: it does not name its columns and its target (was it written by chainrule "
            f"train?); {instead} in Python"
        )
    return net, known
