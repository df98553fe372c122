"""What is written: Markdown tables, the block of the README, the plot; all from the JSON."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from typing import Any

from .candidates import CHAINRULE
from .workloads import Workload

Data = dict[str, Any]
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
NOTHING = "–"  # noqa: RUF001


def number(value: float) -> str:
    """Three significant digits, thousands apart: 2.71, 39.0, 163, 4 390."""
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.{digits}f}".replace(",", " ")


def workload(row: Data) -> Workload:
    return Workload(row["workload"], tuple(row["widths"]), row["activation"], row["batch"])


def shape(row: Data) -> str:
    return f"{'-'.join(map(str, row['widths']))} {row['activation']}, {row['batch']}"


def us(row: Data, name: str, task: str) -> float | None:
    figure = row["candidates"].get(name, {}).get(task)
    return None if figure is None else float(figure["us"])


def names(data: Data, *tasks: str) -> list[str]:
    """The candidates that have a figure for one of the tasks, or failed at it; in their order."""
    there = {
        name
        for row in data["rows"]
        for name, result in row["candidates"].items()
        for task in tasks
        if task in result or (loud(result) and task in result["tasks"])
    }
    every = dict.fromkeys(name for row in data["rows"] for name in row["candidates"])
    return [name for name in every if name in there]


def loud(result: Data) -> str:
    """WRONG or failed, for a cell of a table."""
    kind = str(result.get("problem", "")).split(":")[0]
    return kind if kind in {"WRONG", "failed"} else ""


def best_peer(row: Data, task: str) -> tuple[str, float] | None:
    peers = [(us(row, name, task), name) for name in row["candidates"] if name != CHAINRULE]
    there = [(value, name) for value, name in peers if value is not None]
    return (min(there)[1], min(there)[0]) if there else None


def ratio(row: Data, task: str) -> str:
    """The best peer's time over ours, and its name."""
    ours, best = us(row, CHAINRULE, task), best_peer(row, task)
    return f"{number(best[1] / ours)} ({best[0]})" if ours and best else NOTHING


def share(row: Data, task_flop: float, task: str, roof: float | None) -> str:
    ours = us(row, CHAINRULE, task)
    return f"{task_flop / ours / 1e3 / roof:.0%}".replace("%", " %") if ours and roof else NOTHING


def table(head: list[str], body: Iterable[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body)]


def training_table(data: Data) -> list[str]:
    columns = names(data, "step")
    head = ["workload", "widths, activation, batch", "threads", *columns]

    def cells_of(row: Data) -> list[str]:
        cells = [row["workload"], shape(row), str(row["threads"])]
        for name in columns:
            value = us(row, name, "step")
            cells.append(number(value) if value else loud(row["candidates"][name]) or NOTHING)
        roof = peak_of(data, row["threads"])
        return [*cells, ratio(row, "step"), share(row, workload(row).step_flop, "step", roof)]

    head += ["best peer / chainrule", "chainrule, of peak"]
    return table(head, map(cells_of, data["rows"]))


def prediction_table(data: Data) -> list[str]:
    columns = names(data, "batch", "row")
    head = ["workload", "rows", "threads", *columns]

    def cells_of(row: Data) -> list[str]:
        cells = [row["workload"], f"{row['batch']}; 1", str(row["threads"])]
        for name in columns:
            pair = [us(row, name, task) for task in ("batch", "row")]
            failure = loud(row["candidates"][name]) or NOTHING
            cells.append("; ".join(number(v) if v else failure for v in pair))
        return [*cells, "; ".join(ratio(row, task) for task in ("batch", "row"))]

    return table([*head, "best peer / chainrule"], map(cells_of, data["rows"]))


def notes(data: Data) -> list[str]:
    """Everything that is missing, wrong or failed, once for each reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in data["rows"]:
        for name, result in row["candidates"].items():
            if "problem" in result:
                where = f"{row['workload']} x{row['threads']}"
                reasons.setdefault((name, result["problem"]), []).append(where)
    reasons |= {("this run", text): [] for text in data.get("left_out", [])}
    texts = []
    for (name, text), places in reasons.items():
        everywhere = len(places) in (0, len(data["rows"]))
        texts.append(f"- {name}: {text}" + ("" if everywhere else f" ({', '.join(places)})"))
    return texts


def machine_line(data: Data) -> str:
    m = data["machine"]
    peaks = {t: peak_of(data, t) for t in threads_of(data)}
    roofs = ", ".join(f"{v:.0f} with {t}" for t, v in peaks.items() if v)
    versions = ", ".join(f"{name} {v}" for name, v in data["versions"].items())
    return (
        f"Machine: {m['cpu']}, {m['cores']} cores, {m['isa']}, {m['system']}; {data['date']}. "
        f"Multiply-add peak in GFLOP/s by threads: {roofs or 'not measured'}. {versions}."
    )


def markdown(data: Data) -> str:
    parts = [
        ["One training step, microseconds:", ""],
        training_table(data),
        ["", "One prediction from Python, of the batch; of one row, microseconds:", ""],
        prediction_table(data),
        ["", machine_line(data)],
    ]
    if notes(data):
        parts += [["", "Not in the tables:", ""], notes(data)]
    return "\n".join(text for part in parts for text in part) + "\n"


def with_figures(readme: str, data: Data) -> str:
    """The README with the tables between its two markers."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} ... {END} there")
    return f"{before}{BEGIN}\n{markdown(data)}{END}{after}"


def threads_of(data: Data) -> list[int]:
    return sorted({row["threads"] for row in data["rows"]})


def peak_of(data: Data, threads: int) -> float | None:
    """The highest of those beside each workload: what disturbs a measurement lowers it."""
    return (
        max(row["peak_gflops"] or 0.0 for row in data["rows"] if row["threads"] == threads) or None
    )


def plot(data: Data, path: str | os.PathLike[str]) -> None:
    """GFLOP/s of a training step, a line for each candidate, the peak on top."""
    figure_class = importlib.import_module("matplotlib.figure").Figure
    every, panels = names(data, "step"), threads_of(data)
    figure = figure_class(figsize=(1.5 + 5 * len(panels), 5.2), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, threads in zip(axes, panels, strict=True):
        rows = [row for row in data["rows"] if row["threads"] == threads]
        for i, name in enumerate(every):
            ours = name == CHAINRULE
            points = [
                (x, workload(row).step_flop / value / 1e3)
                for x, row in enumerate(rows)
                if (value := us(row, name, "step"))
            ]
            axis.plot(
                *zip(*points, strict=True) if points else ([], []),
                label=name,
                marker="osD^vP*X"[i % 8],
                color="black" if ours else f"C{i}",
                linewidth=2.5 if ours else 1,
                markersize=7 if ours else 5,
                zorder=3 if ours else 2,
            )
        roof = peak_of(data, threads)
        if roof:
            axis.axhline(roof, color="firebrick", linestyle="--", label="multiply-add peak")
            axis.annotate(
                f"peak {roof:.0f}",
                (0, roof),
                xytext=(0, 4),
                textcoords="offset points",
                color="firebrick",
            )
        axis.set_title(f"{threads} thread" + "s" * (threads > 1))
        axis.set_xticks(range(len(rows)), [row["workload"] for row in rows], rotation=35)
        axis.set_yscale("log")
        axis.margins(y=0.08)
        axis.grid(axis="y", which="major", alpha=0.3)
    axes[0].set_ylabel("GFLOP/s of one training step")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(f"{data['machine']['cpu']}, float32, mean squared error, gradient descent")
    figure.savefig(path, dpi=100)
