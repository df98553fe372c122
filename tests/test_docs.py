"""The lecture's chapters print what they say, and their site is whole and fetches nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pages
import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
CHAPTERS = sorted(pages.LECTURE.glob("*.md"))


# The pages


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_a_page_prints_what_it_says_and_shows_what_it_draws(page: Path, tmp_path: Path) -> None:
    pytest.importorskip("sympy")
    image = pytest.importorskip("matplotlib.image")
    found = pages.run(page, tmp_path)
    for block in found:
        assert pages.settled(block.printed) == pages.settled(block.said), block.code
    shown = pages.pictures(page.read_text(encoding="utf-8"))
    assert {path.name for path in tmp_path.glob("*.png")} == set(shown)
    for name in shown:
        old, new = (image.imread(folder / name) for folder in (pages.LECTURE, tmp_path))
        # Another version of matplotlib may move a letter, not the picture.
        assert np.allclose(old.shape, new.shape, rtol=0.02), name
        if old.shape == new.shape:
            difference = float(np.mean(np.abs(old - new)))
            assert difference < 0.01, f"{name}: python docs/pages.py --write"


def test_the_chapters_are_short_and_each_has_code() -> None:
    assert len(CHAPTERS) >= 15
    for page in CHAPTERS:
        text = page.read_text(encoding="utf-8")
        code = pages.blocks(text)
        assert len(code) >= 2, page.name
        assert max(len(line) for b in code for line in b.code.splitlines()) <= 84, page.name
        assert len(text.splitlines()) - sum(b.said.count("\n") for b in code) <= 120, page.name


def test_each_picture_belongs_to_a_page() -> None:
    shown = [name for page in CHAPTERS for name in pages.pictures(page.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(path.name for path in pages.LECTURE.glob("*.png"))


def test_the_chapters_use_the_tags_of_the_equations() -> None:
    tags = r"\((Z|A|MSE|BP\d|GD)\)"
    used = {tag for page in CHAPTERS for tag in re.findall(tags, page.read_text(encoding="utf-8"))}
    assert used == set(re.findall(tags, (DOCS / "math.md").read_text(encoding="utf-8")))


# The helper that runs them


def test_a_page_that_says_something_else_is_found_and_rewritten(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n\n```python\nx = 2\nprint(x)\n```\n\nand\n\n```text\n3\n```\nb\n")
    (block,) = pages.run(page, tmp_path)
    assert (block.said, block.printed) == ("3\n", "2\n")
    assert pages.written(page, [block]) == page.read_text().replace("3\n", "2\n")


def test_an_output_that_a_page_does_not_show_is_found_and_added(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\nprint(x)\n```\nend\n")
    found = pages.run(page, tmp_path)
    assert [(b.said, b.printed) for b in found] == [("", ""), ("", "1\n")]
    page.write_text(pages.written(page, found))
    assert page.read_text().endswith("```\n\n```text\n1\n```\nend\n")
    assert all(b.said == b.printed for b in pages.run(page, tmp_path))


def test_an_error_names_the_line_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("one\n\n```python\nx = 1\nx / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as caught:
        pages.run(page, tmp_path)
    assert (Path(caught.traceback[-1].path), caught.traceback[-1].lineno + 1) == (page, 5)


def test_a_text_block_without_code_is_an_error() -> None:
    with pytest.raises(ValueError, match="belongs to no python block"):
        pages.blocks("```text\n1\n```\n")


def test_only_the_sizes_of_rounding_errors_are_left_out() -> None:
    assert pages.settled("error 1.2e-16") == pages.settled("error 7.05e-09")
    assert pages.settled("error 1.2e-16") != pages.settled("error 1.2e-06")
    table = "    checked   step h  ulp\nW^1      32  3.9e-06  {}\n"
    assert pages.settled(table.format("  39")) == pages.settled(table.format("0.75"))
    assert pages.settled(table.format(39)) != pages.settled(table.format(39).replace("32", "31"))
    assert pages.settled("0.25") != pages.settled("0.26")
    assert pages.settled("= 0.0023853639920260196") == pages.settled("= 0.0023853639948354546")
    assert pages.settled("= 0.0023853639920260196") != pages.settled("= 0.0023853739920260196")


# The site


class Page(HTMLParser):
    """What one page loads, links to, and can be linked to by; how many formulas it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.formulas = 0
        self.prose: list[str] = []
        self._inside: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(values.get("href", ""))
        elif tag == "link" and values.get("rel") not in {"index", "search", "next", "prev"}:
            self.loads.append(values["href"])
        elif tag not in {"link", "form"}:
            self.loads += [values[name] for name in ("src", "srcset", "data") if values.get(name)]
        self.names |= {values[name] for name in ("id", "name") if name in values}
        self.formulas += tag == "math"
        if tag in {"pre", "math", "script", "style", "code"}:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.prose.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    for module in ("sphinx", "myst_parser", "furo", "latex2mathml"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    made = subprocess.run(
        [*command, "-d", str(folder / "doctrees"), str(DOCS), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return {path: Page(path) for path in sorted((folder / "html").rglob("*.html"))}


def test_every_chapter_is_in_the_site_with_its_formulas(site: dict[Path, Page]) -> None:
    built = {path.stem: page for path, page in site.items()}
    assert {page.stem for page in CHAPTERS} | {"index", "math", "design"} <= set(built)
    for page in CHAPTERS:
        # $...$ and $$...$$ outside of code
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        written = len(re.findall(r"\$\$.*?\$\$|\$[^$]+\$", text, re.DOTALL))
        assert built[page.stem].formulas == written, page.name


def test_no_page_loads_anything_from_elsewhere(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        for address in page.loads:
            parts = urlsplit(address)
            assert parts.scheme in {"", "data"}, f"{path.name} loads {address}"
            assert not parts.netloc, f"{path.name} loads {address}"
    folder = next(iter(site)).parent
    while not (folder / "_static").is_dir():
        folder = folder.parent
    for sheet in folder.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        for address in re.findall(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)", text):
            assert not re.match(r"(https?:)?//", "".join(address)), f"{sheet.name}: {address}"
    assert not [path for path in folder.rglob("*") if "mathjax" in path.name.lower()]


def test_every_link_inside_the_site_leads_somewhere(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in site:
                assert unquote(parts.fragment) in site[target].names, f"{path.name}: {link}"


def test_no_formula_is_left_as_it_was_typed(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        prose = " ".join(page.prose)
        assert not re.search(r"\$|\\[a-zA-Z]{2,}", prose), f"{path.name}: an unmade formula"
