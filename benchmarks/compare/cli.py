"""The options, the child processes, and the machine's name."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr

from . import __doc__ as about
from . import report
from .candidates import CANDIDATES
from .measure import Effort, cores, in_child, measure, pools
from .workloads import WORKLOADS

PACKAGES = ("torch", "jax", "jaxlib", "scikit-learn", "onnx", "onnxruntime")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        "compare", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = p.add_argument
    workloads, candidates = {w.name: w for w in WORKLOADS}, {c.name: c for c in CANDIDATES}
    add("--workloads", type=chosen(workloads), default=WORKLOADS, help=", ".join(workloads))
    add("--candidates", type=chosen(candidates), default=CANDIDATES, help=", ".join(candidates))
    add("--threads", type=thread_counts, default=[1, 2], help="default 1,2")
    add("--rounds", type=int, default=Effort.rounds, help="most rounds (%(default)s)")
    add("--budget", type=float, default=Effort.budget, help="seconds of rounds a row (%(default)s)")
    add("--slice", type=float, default=Effort.slice, help="seconds a figure (%(default)s)")
    add("--render", metavar="JSON", help="measure nothing: write from the JSON of an earlier run")
    add("--json", metavar="FILE", help="write everything there")
    add("--markdown", metavar="FILE", help="write the tables there, not on the screen")
    add("--plot", metavar="FILE", help="draw GFLOP/s under the multiply-add peak")
    add("--readme", metavar="FILE", help="put the tables between the markers in it")
    add("--child", metavar="FILE", help=argparse.SUPPRESS)
    return p


def chosen(there: dict[str, Any]) -> Any:
    """A parser of names, separated by commas."""

    def parse(text: str) -> list[Any]:
        wanted = [name.strip() for name in text.split(",")]
        for name in wanted:
            if name not in there:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(there)}")
        return [there[name] for name in wanted]

    return parse


def thread_counts(text: str) -> list[int]:
    counts = [int(word) for word in text.split(",")]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a number of threads is at least 1")
    return counts


def cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    fields = [line.partition(":") for line in text.splitlines()]
    found: dict[str, str] = {}
    for key, _, value in fields:
        found.setdefault(key.strip(), value.strip())
    name = found.get("model name", platform.machine())
    numbers = [f"{k} {found[k]}" for k in ("cpu family", "model") if k in found]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def versions() -> dict[str, str]:
    there = {"Python": platform.python_version(), "chainrule": str(cr.info()["version"])}
    there["NumPy"] = np.__version__
    with contextlib.suppress(TypeError, KeyError):  # an old NumPy does not say
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        there["NumPy"] += f" with {blas['name']} {blas['version']}"
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            there[package] = metadata.version(package)
    return there


def child(options: argparse.Namespace) -> None:
    """Measure with one number of threads; a row goes to the file as soon as it is known."""
    (threads,) = options.threads
    effort = Effort(options.rounds, options.budget, options.slice)
    with Path(options.child).open("w", encoding="utf-8") as file:
        for workload in options.workloads:
            row = measure(workload, threads, options.candidates, effort)
            row |= {"cores": cores(), "pools": pools(threads)}
            print(json.dumps(row), file=file, flush=True)
            figures = {name: result.get("step", {}) for name, result in row["candidates"].items()}
            texts = [f"{name} {figure['us']:.4g}" for name, figure in figures.items() if figure]
            say(f"{workload.name} x{threads}, us a step: {', '.join(texts)}")
            for name, result in row["candidates"].items():
                if "problem" in result:
                    say(f"  {name}: {result['problem']}")


def measured(options: argparse.Namespace, arguments: Sequence[str]) -> report.Data:
    rows, left_out = [], []
    for threads in options.threads:
        if threads > cores():
            left_out.append(f"{threads} threads: this process has {cores()} core(s)")
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows"
            path.touch()
            # of two values of an option the last one counts, so these go to the end
            code = in_child(threads, [*arguments, "--child", str(path)]).wait()
            rows += [json.loads(line) for line in path.read_text().splitlines()]
        if code:
            left_out.append(f"{threads} threads: ended with status {code}, what was done is shown")
    for text in left_out:
        say(text)
    order = [w.name for w in WORKLOADS]
    rows.sort(key=lambda row: (order.index(row["workload"]), row["threads"]))
    info = cr.info()
    system = f"{platform.system()} {platform.machine()}"
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {"cpu": cpu(), "cores": os.cpu_count(), "isa": info["isa"], "system": system},
        "versions": versions(),
        "effort": {"rounds": options.rounds, "budget": options.budget, "slice": options.slice},
        "left_out": left_out,
        "rows": rows,
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(arguments)
    if options.child:
        child(options)
        return 0
    if options.render:
        data = json.loads(Path(options.render).read_text(encoding="utf-8"))
    else:
        data = measured(options, arguments)
    if options.json:
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
        Path(options.json).write_text(text, encoding="utf-8")
    if not data["rows"]:
        say("no row was measured")
        return 1
    if options.markdown:
        Path(options.markdown).write_text(report.markdown(data), encoding="utf-8")
    else:
        print(report.markdown(data), end="")
    if options.readme:
        readme = Path(options.readme)
        text = report.with_figures(readme.read_text(encoding="utf-8"), data)
        readme.write_text(text, encoding="utf-8")
    if options.plot:
        report.plot(data, options.plot)
    return 0
