"""The code in the pages, run: what each block prints is what the page says.

A page (README.md, docs/lecture/*.md) has ```python blocks; a ```text block after one is what that
one prints. The blocks of a page share one namespace, from top to bottom. A picture of the page,
![...](name.png), is made by its code.

    python docs/pages.py            compare the pages with what they print
    python docs/pages.py --write    write what they print, and their pictures, into them
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LECTURE = ROOT / "docs" / "lecture"
_FENCED = re.compile(r"^```(python|text)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


@dataclass
class Block:
    """One python block: its code, what the page says it prints, and what it printed."""

    code: str
    line: int
    end: int  # the character after the block
    said: str = ""
    place: tuple[int, int] | None = None  # of `said`
    printed: str = ""


def blocks(text: str) -> list[Block]:
    """The python blocks of a page, each with the text block that follows it."""
    found: list[Block] = []
    for fenced in _FENCED.finditer(text):
        kind, body = fenced.groups()
        if kind == "python":
            found.append(Block(body, text.count("\n", 0, fenced.start(2)), fenced.end()))
        elif found and found[-1].place is None:
            found[-1].said, found[-1].place = body, fenced.span(2)
        else:
            raise ValueError(f"a text block belongs to no python block: {body[:60]!r}")
    return found


def pictures(text: str) -> list[str]:
    """The names of the pictures that the page shows."""
    return re.findall(r"!\[[^\]]*\]\(([\w-]+\.png)\)", text)


def run(page: Path, folder: Path) -> list[Block]:
    """The blocks of a page after they ran in `folder`, where their pictures then are."""
    found = blocks(page.read_text(encoding="utf-8"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with _inside(folder), np.printoptions(), np.errstate():
        for block in found:
            printed = io.StringIO()
            # The empty lines let a traceback name the line of the page.
            code = compile("\n" * block.line + block.code, str(page), "exec")
            with contextlib.redirect_stdout(printed):
                exec(code, namespace)
            block.printed = printed.getvalue()
    return found


def settled(text: str) -> str:
    """Without the sizes and places of rounding errors: those depend on NumPy's build too."""
    # Of the table of a gradient check, the columns and how many were checked.
    text = re.sub(
        r"^ +checked .*$", lambda head: " ".join(head[0].split()), text, flags=re.MULTILINE
    )
    text = re.sub(r"^([Wb]\^\d+) +(\d+)  .*$", r"\1 \2 ...", text, flags=re.MULTILINE)
    text = re.sub(
        r"^(Worst error against the exact oracles:).*$", r"\1 ...", text, flags=re.MULTILINE
    )
    text = re.sub(r"\d\.\d+e-(?:0[89]|1\d)|dC/d[wb]\^\S+$", "...", text, flags=re.MULTILINE)
    # A difference printed in full is known to 8 digits.
    return re.sub(r"\d\.\d{10,}(?:e-\d+)?", lambda number: f"{float(number[0]):.7g}", text)


def written(page: Path, found: list[Block]) -> str:
    """The page with what its blocks printed in place of what it said."""
    text = page.read_text(encoding="utf-8")
    for block in reversed(found):
        if settled(block.said) == settled(block.printed):
            continue
        if block.place is not None:
            start, end = block.place
            text = text[:start] + block.printed + text[end:]
        else:
            said = f"\n```text\n{block.printed}```\n"
            text = text[: block.end] + said + text[block.end :]
    return text


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--write"]):
        print(__doc__)
        return 2
    stale = 0
    for page in (ROOT / "README.md", *sorted(LECTURE.glob("*.md"))):
        with tempfile.TemporaryDirectory() as folder:
            new = written(page, run(page, Path(folder)))
            if arguments:
                for name in pictures(new):
                    (page.parent / name).write_bytes((Path(folder) / name).read_bytes())
        if new != page.read_text(encoding="utf-8"):
            stale += 1
            print(f"{page.name}: {'rewritten' if arguments else 'prints something else'}")
            if arguments:
                page.write_text(new, encoding="utf-8")
    return 1 if stale and not arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
