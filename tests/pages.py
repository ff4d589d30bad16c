"""The commands that pages show, as a reader would type them, and the worked examples of the floors' pages."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.arguments import EXAMPLES
from tests.conftest import REPO

FLOORS = ("backbones", "methods", "protocols", "benchmarks")
PAGES = (
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"{floor}/README.md" for floor in FLOORS),
    "benchmarks/FOOTGUNS.md", "benchmarks/datasets/README.md", "benchmarks/slurm/README.md", "tests/README.md",
)  # fmt: skip
PROGRAMS = ("python", "python3", "bench.py", "pip", "cp", "ruff", "pyright", ".ci/run")


class Shown(NamedTuple):
    """A command and the page that shows it."""

    page: str
    command: str


def blocks(page: str, kind: str) -> list[str]:
    """The fenced blocks of a kind, such as "sh"."""
    return re.findall(rf"```{kind}\n(.*?)```", (REPO / page).read_text(encoding="utf-8"), re.DOTALL)


def shown(page: str) -> Iterator[Shown]:
    """Every command of a page, in blocks and in running text; `a && b` is two."""
    text = (REPO / page).read_text(encoding="utf-8")
    lines = [line.partition("  #")[0].strip() for block in blocks(page, "sh") for line in block.splitlines()]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    lines += [span for span in spans if span.split()[0] in PROGRAMS and len(span.split()) > 1]
    for line in lines:
        for part in line.split("&&"):
            if part.strip() and not part.strip().startswith(". "):
                yield Shown(page, part.strip())


def commands() -> list[Shown]:
    """Every command of every page and of the help, once."""
    found = [each for page in PAGES for each in shown(page)]
    helped = ((f"bench.py {name} --help", line) for name, lines in EXAMPLES.items() for line in lines)
    found += [Shown(page, line.partition("  #")[0].strip()) for page, line in helped]
    return list({each.command.removeprefix("python "): each for each in reversed(found)}.values())[::-1]


def words_of(command: str) -> list[str] | None:
    """The words behind bench.py, None when the command is of another program."""
    words = shlex.split(command.partition(" > ")[0])
    words = words[1:] if words[0] == "python" else words
    return words[1:] if words[0] == "bench.py" else None


def worked_example(floor: str, folder: Path) -> Path:
    """A copy of the repository in which somebody has done what the page of a floor says."""
    checkout = folder / "checkout"
    ignored = shutil.ignore_patterns(".git", "results", "data", ".venv", "build", "__pycache__", "*.egg-info")
    shutil.copytree(REPO, checkout, ignore=ignored)
    page = f"{floor}/README.md"
    (code,), (patch,) = blocks(page, "python"), blocks(page, "diff")
    (target,) = re.findall(rf"`({floor}/\S+\.py)`:\n\n```python", (REPO / page).read_text(encoding="utf-8"))
    (checkout / target).write_text(code, encoding="utf-8")
    for path, hunks in re.findall(r"\+\+\+ b/(\S+)\n(.*?)(?=diff --git|\Z)", patch, re.DOTALL):
        text = (checkout / path).read_text(encoding="utf-8")
        for hunk in re.split(r"(?m)^@@.*\n", hunks)[1:]:
            before = "".join(line[1:] + "\n" for line in hunk.splitlines() if not line.startswith("+"))
            after = "".join(line[1:] + "\n" for line in hunk.splitlines() if not line.startswith("-"))
            assert text.count(before) == 1, f"{path} has changed, {page} has not:\n{before}"
            text = text.replace(before, after)
        (checkout / path).write_text(text, encoding="utf-8")
    return checkout


def run(folder: Path, *words: str) -> str:
    """What a command says that must succeed; the first word is a program of this Python."""
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
