"""One table again and again, disturbed: killed, stopped, without space on the disk, with damaged files.

A cycle starts with an empty results folder and ends when the command has filled the table; until then each attempt has
a fault. Whoever runs it does what messages say: a damaged file that one names is deleted, a failed run is retried.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness.damage import cut, replace_by_noise
from tests.robustness.folder import REPO
from tests.robustness.processes import alive, kill, workers_of

COMMAND = (sys.executable, "bench.py", "run", "--table", "7", "--scale", "smoke", "--jobs", "1", "--retry-failed")
KINDS = ("kill parent", "kill worker", "stop", "full disk", "damage", "none")
ATTEMPTS = 12  # of a cycle, the last ones undisturbed: then it counts as stuck
DISTURBED = 6
FULL = 2_000  # bytes that a file may have while the disk is "full"


def start(out: Path, temporary: Path, *more: str, largest: int | None = None) -> subprocess.Popen[str]:
    """The command on one results folder; `largest`: bytes of a file beyond which a write fails, as on a full disk."""

    def limit() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    return subprocess.Popen(
        [*COMMAND, "--out", str(out), *more],
        cwd=REPO,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=(out.parent / f"{out.name}.log").open("w"),
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=limit,
    )


def table_of(out: Path) -> Path:
    """Where the command leaves its table."""
    return out / "smoke" / "tables" / "table-7.md"


@dataclass
class Disturber:
    """Runs cycles below a folder, and counts faults and what went wrong."""

    folder: Path
    expected: str  # the table of an undisturbed run
    dice: random.Random
    tick: Callable[[], bool]  # called several times a second; true when time is up
    faults: Counter[str] = field(default_factory=Counter)
    cycles: int = 0
    wrong: list[str] = field(default_factory=list)

    def cycle(self) -> None:
        """One table from nothing to its end."""
        out, temporary = self.folder / "disturbed", self.folder / "tmp"
        for path in (out, temporary):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        damaged: set[Path] = set()
        for attempt in range(ATTEMPTS):
            kind = self.dice.choice(KINDS) if attempt < DISTURBED else "none"
            code = self._attempt(out, temporary, kind, damaged)
            if code is None:
                return  # time is up
            self._obey(out, damaged)
            if code == 0 and kind != "damage":
                break
        else:
            self.wrong.append(f"a table was not finished in {ATTEMPTS} attempts; {self._last_line(out)}")
            self._keep(out)
            return
        self.cycles += 1
        self._compare(out, temporary)

    def _attempt(self, out: Path, temporary: Path, kind: str, damaged: set[Path]) -> int | None:
        """One call of the command with one fault; its exit code, None when time is up."""
        if kind == "damage" and (path := self._damage(out)):
            damaged.add(path)
        process = start(out, temporary, largest=FULL if kind == "full disk" else None)
        workers: set[int] = set()
        strike = time.monotonic() + self.dice.uniform(0.5, 12.0)
        struck = kind in ("none", "damage", "full disk")
        self.faults[kind] += struck
        while process.poll() is None:
            workers |= set(workers_of(process.pid))
            if self.tick():
                kill(process.pid)
                process.wait()
                return None
            if not struck and time.monotonic() > strike:
                struck = self._strike(kind, process.pid, workers)
                self.faults[kind] += struck
            time.sleep(0.1)
        deadline = time.monotonic() + 10
        while left := alive(workers):
            if time.monotonic() > deadline:
                self.wrong.append(f"{len(left)} workers outlived their parent after {kind}")
                for pid in left:
                    kill(pid)
            time.sleep(0.1)
        return process.returncode

    def _strike(self, kind: str, parent: int, workers: set[int]) -> bool:
        if kind == "kill worker":
            return bool(there := alive(workers)) and kill(self.dice.choice(there))
        return kill(parent, signal.SIGKILL if kind == "kill parent" else signal.SIGTERM)

    def _damage(self, out: Path) -> Path | None:
        """Cuts a file, or fills it with nonsense; which file it was."""
        files = sorted(p for p in out.rglob("*") if p.is_file() and p.name != "claim" and p.stat().st_size)
        if not files:
            return None
        path = self.dice.choice(files)
        self.dice.choice((cut, replace_by_noise))(path, (), self.dice)
        return path

    def _obey(self, out: Path, damaged: set[Path]) -> None:
        """Deletes damaged files that the command has named."""
        said = (out.parent / f"{out.name}.log").read_text(errors="replace")
        for path in list(damaged):
            if str(path) in said:
                path.unlink(missing_ok=True)
                damaged.discard(path)

    def _compare(self, out: Path, temporary: Path) -> None:
        before = len(self.wrong)
        if table_of(out).read_text() != self.expected:
            self.wrong.append("a finished table differs from the undisturbed one")
        left = [path.name for path in out.rglob("*") if path.name == "claim" or path.suffix == ".tmp"]
        if left:
            self.wrong.append(f"{len(left)} claims and temporary files are left, as {left[0]}")
        if there := list(temporary.iterdir()):
            self.wrong.append(f"{len(there)} files are left in the folder for temporary files, as {there[0].name}")
        if len(self.wrong) > before:
            self._keep(out)

    def _keep(self, out: Path) -> None:
        """Moves a folder with a wrong result aside, for whoever looks into it."""
        shutil.copytree(out, self.folder / f"wrong-{len(self.wrong)}", dirs_exist_ok=True)

    def _last_line(self, out: Path) -> str:
        lines = (out.parent / f"{out.name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
