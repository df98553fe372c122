"""The README's example prints what the README says, and its commands exist."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pages
import pytest

from chainrule import _core
from chainrule.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_its_examples_print_what_it_says(tmp_path: Path) -> None:
    if _core.get_isa() == "baseline":
        pytest.skip("without fused multiply-add the last digits may differ")
    found = pages.run(ROOT / "README.md", tmp_path)
    first = [line for line in found[0].code.splitlines() if line.strip()]
    assert len(first) <= 12
    for block in found:
        assert block.said
        assert pages.settled(block.printed) == pages.settled(block.said)


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
