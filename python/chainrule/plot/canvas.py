"""What all pictures share: the figure, its colours, how it is saved, and how numbers are written.

Matplotlib (the extra `plot`) is imported when the first figure is made, not before. Called by every
picture of this folder.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]
Path = str | os.PathLike[str]

# Apart for the colour-blind, and in grey (blue is dark, orange is light).
BLUE, ORANGE = "#0b5fa5", "#d9600a"
BLACK, GREY, PALE = "#1a1a1a", "#6b6b6b", "#e3e3e3"
# For several curves in one picture; blue and orange first.
COLOURS = (BLUE, ORANGE, "#1b8a5a", "#a23b8f", "#8a6d00", "#00869e", "#c03a3a", "#5a5a5a")


def matplotlib(module: str) -> Any:
    """A module of matplotlib; ImportError says how to get it."""
    try:
        return importlib.import_module(f"matplotlib.{module}")
    except ImportError:
        raise ImportError('plots need matplotlib: pip install "chainrule[plot]"') from None


def figure(path: Path | None, size: tuple[float, float] = (7.0, 4.2)) -> Figure:
    """An empty figure: in memory when it goes to a file, else one that pyplot can show.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        `path` is not the name of a file.
    """
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be the name of a file or None, got {type(path).__name__}")
    module = matplotlib("figure")
    options: dict[str, Any] = {"figsize": size, "layout": "constrained"}
    if path is None:
        try:
            shown: Figure = importlib.import_module("matplotlib.pyplot").figure(**options)
            return shown
        except Exception:  # no display: each toolkit has its own exception for that
            pass
    made: Figure = module.Figure(**options)
    matplotlib("backends.backend_agg").FigureCanvasAgg(made)
    return made


def roomy(figure: Figure) -> None:
    """Space between panels, for a figure with several."""
    engine: Any = figure.get_layout_engine()
    engine.set(h_pad=0.09, w_pad=0.09)


def save(figure: Figure, path: Path | None, signature: str) -> Figure:
    """Write the figure when there is a path; `signature` stands in the file."""
    if path is not None:
        with warnings.catch_warnings():  # a box stands for a letter that the font lacks
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            with importlib.import_module("matplotlib").rc_context({"svg.hashsalt": signature}):
                figure.savefig(path, dpi=150, metadata=_metadata(path, signature))
    return figure


def _metadata(path: Path, signature: str) -> dict[str, Any]:
    name = os.fspath(path).lower()
    if name.endswith(".png"):
        return {"Software": signature}
    if name.endswith(".svg"):
        return {"Creator": signature, "Date": None}  # the same picture, the same bytes
    return {"Creator": signature} if name.endswith((".pdf", ".ps", ".eps")) else {}


def number(value: float, digits: int = 4) -> str:
    """A number for a label: a few digits, the true minus sign, no exponent where none is needed."""
    text = f"{value:.{digits}g}"
    if text in {"-0", "0"}:
        return "0"
    mantissa, mark, exponent = text.partition("e")
    return (f"{mantissa}e{int(exponent)}" if mark else mantissa).replace("-", "\N{MINUS SIGN}")


def plain(name: Any, longest: int = 40) -> str:
    """A name of the user's as text: no formula, one line, cut in the middle when it is long."""
    text = "".join(c if c.isprintable() else " " for c in str(name))
    if len(text) > longest:
        head = (longest - 1) // 2
        text = f"{text[: longest - 1 - head]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - head :]}"
    return text.replace("$", r"\$")


def apart(names: Sequence[Any], longest: int = 40) -> list[str]:
    """`plain` for each name; those that the cut makes equal begin with their number, from 0."""
    cut = [plain(name, longest) for name in names]
    return [
        f"{k}: {plain(name, longest - 4)}" if cut.count(text) > 1 else text
        for k, (name, text) in enumerate(zip(names, cut, strict=True))
    ]


def colours(count: int) -> list[Any]:
    """One for each of `count` curves, apart while there are few."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    scale = matplotlib("cm").ScalarMappable(cmap="turbo")
    return [tuple(c) for c in scale.to_rgba(np.linspace(0, 1, count))]


def signed_colours(middle: str = "#d4d4d4") -> Any:
    """Orange for negative, pale grey (or `middle`) at 0, blue for positive; ends equally dark."""
    return matplotlib("colors").LinearSegmentedColormap.from_list(
        "chainrule_signed", [(0.0, "#a84300"), (0.25, "#ee8f45"), (0.5, middle),
                             (0.75, "#5b9bd0"), (1.0, "#084a85")]
    )  # fmt: skip


def log_axis(axis: Any, values: Array) -> float | None:
    """Make the y axis logarithmic, with a place of its own for zeros when there are any.

    Returns
    -------
    float or None
        Where a 0 has to be drawn; the tick there says "0". None when no value is 0.
    """
    values = values[np.isfinite(values)]
    positive = values[values > 0]
    low, high = (positive.min(), positive.max()) if positive.size else (0.1, 1.0)
    bottom, top = np.floor(np.log10(low)), np.ceil(np.log10(high))
    top = max(top, bottom + 1)
    gap = max(0.4, 0.09 * (top - bottom))
    axis.set_yscale("log")
    step = max(1, int(np.ceil((top - bottom) / 8)))
    ticks = [10.0**e for e in np.arange(bottom, top + 1, step)]
    labels = [f"$10^{{{int(e)}}}$" for e in np.arange(bottom, top + 1, step)]
    zero = None
    if (values == 0).any():
        zero = float(10 ** max(bottom - gap, -320.0))
        ticks, labels = [zero, *ticks], ["0", *labels]
        axis.axhline(zero, color=GREY, linewidth=0.8, linestyle=":", zorder=0, gid="zero")
        bottom -= gap
    axis.set_ylim(10 ** (bottom - 0.3 * gap), 10 ** (top + 0.3 * gap))
    axis.set_yticks(ticks, labels)
    axis.minorticks_off()
    return zero


def tidy(axes: Any) -> None:
    """No frame on the right and above, a faint grid across."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", alpha=0.25)
