"""The house rules that a machine can check: floors, file sizes, what the top level holds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO

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


# benchmarks/ from the lowest room to the highest: each imports, also inside a function, only what stands before it.
ROOMS = (
    "exits", "names", "digest", "durations", "canonical", "machine", "datasets", "runs", "recipes", "tables", "pages",
    "records", "planning", "running", "figures", "campaign", "choices", "slurm", "doctor", "drawing", "status",
    "throughput", "quantities", "arguments", "commands",
)  # fmt: skip


def rooms_of(path: Path) -> Iterator[str]:
    """The rooms of benchmarks/ that a file imports, but not for its annotations alone."""
    tree = ast.parse(path.read_text())
    guards = (node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    unseen = {id(inner) for guard in guards for inner in ast.walk(guard)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in unseen and (node.module or "").startswith("benchmarks"):
            names = [alias.name for alias in node.names] if node.module == "benchmarks" else [str(node.module)[11:]]
            yield from (name.partition(".")[0] for name in names)


def test_rooms_of_benchmarks_import_only_rooms_below() -> None:
    folder = REPO / "benchmarks"
    found = {path.name.removesuffix(".py") for path in folder.iterdir() if path.suffix in ("", ".py")}
    assert found - {"__init__", "__pycache__"} == set(ROOMS)
    for path in sorted(folder.rglob("*.py")):
        room = path.relative_to(folder).parts[0].removesuffix(".py")
        if room != "__init__":
            below = {room, *ROOMS[: ROOMS.index(room)]}
            assert set(rooms_of(path)) <= below, f"{path} imports {sorted(set(rooms_of(path)) - below)} from above"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(REPO).as_posix())
def test_a_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    first = text.removeprefix("#!/usr/bin/env python3\n")
    assert not first or first.startswith('"""'), "the first line says what the file is"


EXCEPTION = re.compile(r"# (?:noqa|type: ignore|pyright: ignore)(?P<rules>:? ?[\[\]\w, -]*?)(?:  (?P<why>.*))?$")


def test_every_exception_from_a_rule_names_the_rule_and_says_why() -> None:
    for path in FILES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if found := EXCEPTION.search(line):
                assert found["rules"], f"{path}:{number} names no rule"
                assert found["why"], f"{path}:{number} says no reason"


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


FORBIDDEN = {"pickle.load", "pickle.loads", "yaml.load", "os.system", "os.popen", "eval", "exec", "joblib.load"}


def _unsafe(path: Path) -> Iterator[str]:
    """Calls that may run what is in a file or a text, as "line: call"."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name, given = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
        wrong = (
            name in FORBIDDEN
            or (name == "torch.load" and given.get("weights_only") != "True")
            or (name == "np.load" and given.get("allow_pickle") != "False")
            or (name.endswith("read_array") and given.get("allow_pickle") != "False")
            or given.get("shell", "False") != "False"
        )
        if wrong:
            yield f"{node.lineno}: {name}"


def test_nothing_runs_what_is_in_a_file() -> None:
    """Pickles from outside go through imports/unpickle.py, whose Unpickler finds no class of its own accord."""
    unsafe = {path: list(_unsafe(path)) for path in FILES if "tests" not in path.relative_to(REPO).parts}
    assert not {path: calls for path, calls in unsafe.items() if calls}
    importing = [path for path in unsafe if "pickle" in imported(path)]
    assert [path.name for path in importing] == ["unpickle.py"]


@pytest.mark.parametrize(
    "call",
    ["pickle.load(f)", "torch.load(f)", "torch.load(f, weights_only=False)", "np.load(f)", "eval(text)",
     "np.load(f, allow_pickle=True)", "subprocess.run(text, shell=True)", "os.system(text)"],
)  # fmt: skip
def test_an_unsafe_call_is_found(call: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(call)
    assert list(_unsafe(path))
