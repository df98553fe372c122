"""The rules of the house: arrows point down, the map is true, tags are joined, no weak symbols."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "chainrule"
CPP = ROOT / "cpp"
COMPARE = ROOT / "benchmarks" / "compare"

# Each room may include those before it.
CPP_ORDER = [
    "kernels",
    "dispatch",
    "parallel",
    "layout",
    "line_search",
    "minimiser",
    "pace",
    "objective",
    "network",
    "layered",
    "penalty",
    "passes",
    "training",
    "lbfgs",
    "fastcall",
    "bindings",
]
COMPARE_ORDER = ["__init__", "workloads", "candidates", "measure", "report", "cli", "__main__"]
TAGS = ["Z", "A", "MSE", "BP1", "BP2", "BP3", "BP4", "GD"]


def room_of(path: Path) -> str:
    return path.relative_to(CPP).parts[0].split(".")[0]


def test_includes_point_down() -> None:
    assert {room_of(p) for p in CPP.rglob("*") if p.is_file()} == set(CPP_ORDER)
    for path in CPP.rglob("*"):
        if not path.is_file():
            continue
        for include in re.findall(r'#include "([^"]+)"', path.read_text()):
            if include == "instruction_sets.inc":
                continue
            other = "kernels" if path.parent.name == "kernels" else include.split("/")[0]
            below = CPP_ORDER.index(other.split(".")[0])
            assert below <= CPP_ORDER.index(room_of(path)), f"{path.name} includes {include}"


def test_kernels_use_no_library_and_only_one_room_knows_openmp_or_python() -> None:
    for path in CPP.rglob("*"):
        if not path.is_file():
            continue
        text = path.read_text()
        headers = set(re.findall(r"#include <([^>]+)>", text))
        if path.parent.name == "kernels":
            assert headers <= {"cstddef", "cstdint"}, path.name
            assert "intrin" not in text, path.name
        assert ("omp" in text.lower() and "omp.h" in headers) == (path.name == "parallel.cpp")
        sees_python = path.name in {"fastcall.hpp", "bindings.cpp"}
        assert any(h.startswith("pybind11") for h in headers) == sees_python, path.name


def python_rooms() -> list[str]:
    """The rooms of the package in the order of docs/design.md; a folder is one room."""
    text = (ROOT / "docs" / "design.md").read_text()
    return re.findall(r"^\| `python/chainrule/(\w+)(?:\.py|/)` \|", text, re.MULTILINE)


def files_of(room: str) -> list[Path]:
    folder = PACKAGE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]


def imported_rooms(path: Path) -> set[str]:
    """Rooms of the package that a module imports at module level, type checking apart."""
    rooms: set[str] = set()
    depth = len(path.relative_to(PACKAGE).parts)  # dots of a relative import from the package
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level == depth or module.startswith("chainrule"):
                name = module.removeprefix("chainrule").lstrip(".")
                rooms |= {name.split(".")[0]} if name else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            rooms |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("chainrule.")
            }
    return rooms


def test_imports_point_up_in_the_table_of_the_design() -> None:
    rooms = python_rooms()
    packages = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert {p.stem for p in PACKAGE.glob("*.py")} | packages == set(rooms)
    assert len(rooms) == len(set(rooms))
    for room in rooms:
        for path in files_of(room):
            for other in imported_rooms(path) & set(rooms) - {room}:
                assert rooms.index(other) < rooms.index(room), f"{path.name} imports {other}"
    for room in {"reference", "calculus"} & set(rooms):
        assert not any(imported_rooms(path) for path in files_of(room)), room


def test_the_imports_of_the_comparison_point_down() -> None:
    assert {p.stem for p in COMPARE.glob("*.py")} == set(COMPARE_ORDER)
    for path in COMPARE.glob("*.py"):
        found = re.findall(r"^from (?:\.|compare\.)(\w+) import", path.read_text(), re.MULTILINE)
        for other in found:
            assert COMPARE_ORDER.index(other) < COMPARE_ORDER.index(path.stem), path.name


def test_the_map_in_the_design_is_true() -> None:
    text = (ROOT / "docs" / "design.md").read_text()
    listed = set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))
    assert listed, "docs/design.md has a table of rooms"
    for name in listed:
        assert (ROOT / name).exists(), f"docs/design.md lists {name}, which is not there"
    there = {
        str(p.relative_to(ROOT))
        for folder in (PACKAGE, CPP, CPP / "kernels", ROOT / "benchmarks", COMPARE)
        for p in folder.iterdir()
        if p.is_file() and p.suffix in {".py", ".cpp", ".hpp", ".inl"}
    }
    # foo.hpp and foo.cpp are one room, listed by either name or as foo.{hpp,cpp}
    rooms = {re.sub(r"\.(hpp|cpp)$", "", name) for name in listed}
    missing = {name for name in there if re.sub(r"\.(hpp|cpp)$", "", name) not in rooms}
    assert not missing, f"docs/design.md does not list {sorted(missing)}"


def test_the_equations_have_the_same_tags_in_the_docs_the_core_and_the_reference() -> None:
    def tags(text: str) -> set[str]:
        return set(re.findall(r"\((Z|A|MSE|BP\d|GD)\)", text))

    core = "".join(p.read_text() for p in CPP.rglob("*") if p.is_file())
    assert tags((ROOT / "docs" / "math.md").read_text()) == set(TAGS)
    assert tags(core) == set(TAGS)
    assert tags((PACKAGE / "reference.py").read_text()) == set(TAGS)


def test_no_flag_that_changes_the_floating_point_state() -> None:
    for name in ("CMakeLists.txt", "CMakePresets.json", "pyproject.toml"):
        for line in (ROOT / name).read_text().splitlines():
            code = line.split("#")[0]
            for flag in ("fast-math", "-Ofast", "funsafe-math", "march=native"):
                assert flag not in code, f"{name}: {line}"


def kernel_objects() -> list[Path]:
    folder = Path(os.environ.get("CHAINRULE_BUILD_DIR", ROOT / "build" / "dev"))
    return sorted(folder.glob("CMakeFiles/kernels_*.dir/cpp/kernels/isa.cpp.o"))


@pytest.mark.skipif(shutil.which("nm") is None, reason="no nm on this machine")
def test_each_kernel_object_exports_its_table_and_nothing_weak() -> None:
    objects = kernel_objects()
    if not objects:
        pytest.skip("no kernel objects: the C++ tests (make test-cpp) were not built")
    for path in objects:
        isa = path.parts[-4].removeprefix("kernels_").removesuffix(".dir")
        symbols = subprocess.run(
            ["nm", "--demangle", str(path)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        kinds = [(line[17:18], line[19:]) for line in symbols]
        exported = [name for kind, name in kinds if kind in set("TDBRVWuvw")]
        assert exported == [f"chainrule::instruction_set_{isa}"], path
        undefined = {name for kind, name in kinds if kind == "U"}
        assert undefined <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_"}, undefined


def test_the_repository_speaks_of_the_project_alone() -> None:
    found = []
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        made = parts[0] == "build" or any(p.startswith(".") and p != ".ci" for p in parts[:-1])
        if made or not path.is_file() or path == Path(__file__):
            continue
        if path.suffix not in {".py", ".md", ".toml", ".cpp", ".hpp", ".inl", ".txt", ".json", ""}:
            continue
        text = path.read_text(errors="ignore")
        found += [
            f"{path.name}: {hit}"
            for hit in re.findall(r"(?<![\w.])/(?:work|root|home)/\w+|pypi\.org|pythonhosted", text)
        ]
    assert not found
