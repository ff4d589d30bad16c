"""The house rules that a machine can check: floors, file sizes, what the top level holds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
FLOORS = ("backbones", "methods", "protocols", "benchmarks")
FILES = [path for folder in (*FLOORS, "tests") for path in sorted((REPO / folder).rglob("*.py"))] + [REPO / "bench.py"]


def imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("floor", range(len(FLOORS)), ids=FLOORS)
def test_a_floor_imports_only_floors_below(floor: int) -> None:
    above = set(FLOORS[floor + 1 :]) | {"bench", "tests"}
    for path in (REPO / FLOORS[floor]).rglob("*.py"):
        assert not imported(path) & above, path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(REPO).as_posix())
def test_a_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    first = text.removeprefix("#!/usr/bin/env python3\n")
    assert not first or first.startswith('"""'), "the first line says what the file is"


def test_only_methods_know_their_names() -> None:
    """No protocol and no backbone asks which method or backbone it has."""
    for floor in ("backbones", "methods", "protocols"):
        for path in (REPO / floor).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Compare):
                    constants = {c.value for c in ast.walk(node) if isinstance(c, ast.Constant)}
                    assert not constants & {"stgcn", "bigru", "dsta", "skeletonclr", "skeattnclr"}, path


def test_environment_variables_are_read_at_the_front_door_only() -> None:
    for floor in ("backbones", "methods", "protocols"):
        for path in (REPO / floor).rglob("*.py"):
            assert "environ" not in path.read_text(), path
