"""The worked page on adding a method is true: what it says to do, done in a copy of the repository, works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO

PAGE = (REPO / "methods" / "README.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the page's method in it."""
    folder = tmp_path_factory.mktemp("reader") / "checkout"
    ignored = shutil.ignore_patterns(".git", "results", "data", ".venv", "build", "__pycache__", "*.egg-info")
    shutil.copytree(REPO, folder, ignore=ignored)
    (code,), (patch,) = blocks("python"), blocks("diff")
    (folder / "methods" / "skeletonbyol.py").write_text(code)
    for path, hunks in re.findall(r"\+\+\+ b/(\S+)\n(.*?)(?=diff --git|\Z)", patch, re.DOTALL):
        text = (folder / path).read_text()
        for hunk in re.split(r"(?m)^@@.*\n", hunks)[1:]:
            before = "".join(line[1:] + "\n" for line in hunk.splitlines() if not line.startswith("+"))
            after = "".join(line[1:] + "\n" for line in hunk.splitlines() if not line.startswith("-"))
            assert text.count(before) == 1, f"{path} has changed, the page has not:\n{before}"
            text = text.replace(before, after)
        (folder / path).write_text(text)
    return folder


def run(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_new_method_is_short_and_gets_its_rows(copy: Path) -> None:
    lines = len(blocks("python")[0].splitlines()) + blocks("diff")[0].count("\n+")
    assert lines < 100
    text = run(copy, "bench.py", "--table", "4", "--scale", "smoke")
    (row,) = [line for line in text.splitlines() if line.startswith("| skeletonbyol")]
    assert len(re.findall(r" \d+\.\d ", row)) == 4
    assert "skeletonbyol/J" in run(copy, "-c", "from benchmarks.tables import TABLES; from benchmarks.recipes import "
                                   "Settings; print([c.row for c in TABLES['3'].cells(Settings())])")  # fmt: skip


def test_the_new_method_is_checked_like_the_others(copy: Path) -> None:
    text = run(copy, "-m", "pytest", "-q", "tests/methods/test_conformance.py", "-k", "skeletonbyol")
    assert re.search(r"\d\d passed", text)


def test_the_page_lists_every_method() -> None:
    for path in sorted((REPO / "methods").glob("*.py")):
        if "(Method)" in path.read_text() or "(SkeletonCLR)" in path.read_text():
            assert f"]({path.name})" in PAGE
