"""The README's example prints what the README says, and its commands exist."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from chainrule import _core
from chainrule.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def settled(text: str) -> str:
    """Without the sizes and places of rounding errors: those depend on NumPy's build too."""
    return re.sub(r"\d\.\de-(?:0[89]|1\d)|dC/dw\^\S+$", "...", text, flags=re.MULTILINE)


def test_the_example_prints_what_it_says() -> None:
    if _core.get_isa() == "baseline":
        pytest.skip("without fused multiply-add the last digits may differ")
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    said = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    assert len(code) == len(said) == 1
    assert len([line for line in code[0].splitlines() if line.strip()]) <= 12
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code[0], "README.md", "exec"), {})
    assert settled(printed.getvalue()) == settled(said[0])


def test_its_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)|`make (\w+)`", README, re.MULTILINE):
        name = "".join(target)
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name
    for command in set(re.findall(r"^chainrule (\w+)", README, re.MULTILINE)):
        with contextlib.redirect_stdout(io.StringIO()):
            assert main([command, "--help"]) == 0, command


def test_its_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
