"""Does the same work again in other circumstances and compares all that it leaves, bit for bit.

    python -m tests.robustness.determinism
    python -m tests.robustness.determinism --methods skeattnclr hiclr --backbones bigru

The reference is one worker that does all runs in order while nothing else runs. Then the circumstances change: number
of workers, hash seed of Python, working folder, order, a fresh process for every run, a crowd of others beside it.
Equal must be every record (metrics, histories, accuracy of every class), log, encoder, scores and table.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from backbones import BACKBONES
from backbones.streams import STREAMS
from benchmarks import recipes
from benchmarks.campaign import Campaign
from benchmarks.choices import PROTOCOLS
from benchmarks.recipes import Settings
from benchmarks.running.execute import Machine
from benchmarks.tables import Cell, TableSpec
from methods import METHODS
from tests.robustness.folder import REPO, contents, differences

MODULE = "tests.robustness.determinism"
CACHE = "/overview.json"  # knows inodes and times
DATA, SPLIT = "ntu60", "xsub"


@dataclass(frozen=True)
class Circumstances:
    """What must not matter."""

    name: str
    jobs: int = 1
    hash_seed: str = "0"
    backward: bool = False  # the last row first
    fresh: bool = False  # a process of its own for every run
    elsewhere: bool = False  # another working folder, and the results folder as a relative path

    def words(self, out: Path) -> list[str]:
        """Of `fill`, on the command line."""
        flags = [f"--{flag}" for flag in ("backward", "fresh") if getattr(self, flag)]
        place = out.name if self.elsewhere else str(out)
        return ["--fill", place, "--jobs", str(self.jobs), *flags]


REFERENCE = Circumstances("reference")
ALL = Circumstances("all at once", jobs=2, hash_seed="12345", backward=True, elsewhere=True)
LONG = (
    Circumstances("two workers and another hash seed", jobs=2, hash_seed="12345"),
    Circumstances("backward and elsewhere", backward=True, elsewhere=True),
    Circumstances("fresh processes", fresh=True),
)


def pairs(methods: Sequence[str], backbones: Sequence[str]) -> list[str]:
    """ "method/backbone" for all that go together."""
    cells = spec([f"{method}/{backbone}" for method in methods for backbone in backbones]).cells(
        Settings(scale="smoke")
    )
    return list(dict.fromkeys(cell.row for cell in cells if cell.seeds))


def spec(rows: Sequence[str]) -> TableSpec:
    """Every protocol on every pair; for a pair on the first backbone also the fusion of three streams."""

    def make(settings: Settings) -> Iterator[Cell]:
        for row in rows:
            method, backbone = row.split("/")
            trained = {
                stream: recipes.pretraining(settings, method, DATA, SPLIT, stream, 0, backbone) for stream in STREAMS
            }
            for protocol in PROTOCOLS:
                yield Cell(row, protocol, (recipes.evaluation(settings, protocol, trained["joint"], DATA, SPLIT),))
            if backbone == next(iter(BACKBONES)):
                members = tuple(recipes.evaluation(settings, "linear", one, DATA, SPLIT) for one in trained.values())
                yield Cell(row, "fused", (recipes.fused(members),))

    return TableSpec("determinism", "The same bits", ("method", "backbone"), ((DATA, SPLIT),), make)


def fill(rows: Sequence[str], out: Path, jobs: int, backward: bool, fresh: bool) -> None:
    """Does all runs and writes their table, in this process and its workers."""
    settings, machine, console = Settings(scale="smoke"), Machine(), Console(stderr=True)
    campaign = Campaign([spec(rows[::-1] if backward else rows)], settings, out, Path(machine.data))
    todo = campaign.todo()
    for runs in [[run] for run in todo] if fresh else [todo]:
        campaign.execute(lambda runs=runs: runs, jobs, machine, console)
    Campaign([spec(rows)], settings, out, Path(machine.data)).write()


@dataclass
class Comparison:
    """What was compared, and what was not the same."""

    rows: list[str]
    runs: int = 0
    files: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.rows)} pairs of method and backbone, {self.runs} runs, {self.files} files:"]
        lines += [f"  {', '.join(self.rows)}"]
        lines += [f"  {name}: {seconds:.1f} s" for name, seconds in self.seconds.items()]
        return "\n".join([*lines, f"{len(self.losses)} differences", *(f"  {loss}" for loss in self.losses)])


def start(circumstances: Circumstances, rows: Sequence[str], place: Path) -> subprocess.Popen[str]:
    """Begins to fill the folder `place`/out."""
    place.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, *circumstances.words(place / "out"), "--rows", *rows],
        cwd=place if circumstances.elsewhere else REPO,
        env=os.environ | {"PYTHONHASHSEED": circumstances.hash_seed, "PYTHONPATH": str(REPO)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def compare(rows: list[str], circumstances: Sequence[Circumstances], folder: Path, alone: bool = True) -> Comparison:
    """The reference, `alone` or with the others, which run at once, each a crowd for the rest."""
    found = Comparison(rows)

    def wait(one: Circumstances, process: subprocess.Popen[str], started: float) -> dict:
        said = process.communicate()[1]
        assert process.returncode == 0, f"{one.name}: {said}"
        found.seconds[one.name] = time.monotonic() - started
        left = contents(folder / one.name / "out")
        return {name: content for name, content in left.items() if not name.endswith(CACHE)}

    started = time.monotonic()
    reference = start(REFERENCE, rows, folder / REFERENCE.name)
    processes = [] if alone else [(one, start(one, rows, folder / one.name)) for one in circumstances]
    expected = wait(REFERENCE, reference, started)
    records = [name for name in expected if "/records/" in name]
    found.runs, found.files = len(records), len(expected)
    found.losses += [f"reference: {name} failed" for name in records if expected[name]["status"] != "ok"]
    if alone:
        started = time.monotonic()
        processes = [(one, start(one, rows, folder / one.name)) for one in circumstances]
    for one, process in processes:
        found.losses += [f"{one.name}: {line}" for line in differences(wait(one, process, started), expected)]
    return found


def main() -> int:
    """Prints what differs; returns 1 when anything does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), metavar="M", help="default: all")
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), metavar="B", help="default: all")
    inner = parser.add_argument_group("what this script tells its own processes")
    inner.add_argument("--fill", type=Path, metavar="OUT")
    inner.add_argument("--rows", nargs="+", metavar="M/B")
    inner.add_argument("--jobs", type=int, default=1)
    inner.add_argument("--backward", action="store_true")
    inner.add_argument("--fresh", action="store_true")
    chosen = parser.parse_args()
    if chosen.fill:
        fill(chosen.rows, chosen.fill, chosen.jobs, chosen.backward, chosen.fresh)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = compare(pairs(chosen.methods, chosen.backbones), LONG, Path(folder))
    print(found)
    return 1 if found.losses else 0


if __name__ == "__main__":
    sys.exit(main())
