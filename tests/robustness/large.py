"""Five thousand records, a fifth of them failed: what looks at them stays right, quick, and short.

    python -m tests.robustness.large --records 5000 --failed 1000

Records are invented, the commands are real. What must come out is counted here, apart from the code that counts there.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.runs import Evaluate, Pretrain, Run
from benchmarks.tables import TABLES
from benchmarks.throughput import filled
from tests.robustness.folder import REPO

SCALE = "smoke"
ERRORS = (  # with numbers and ids that differ from run to run, as real ones have
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {n} MiB. GPU 0 has {n}.{n} GiB free.",
    "FloatingPointError: the loss is nan after {n} epochs",
    "ValueError: {n} training samples do not fit a batch",
    "RuntimeError: the run {run} ended early",
)
LINES, CHARACTERS = 40, 20_000  # of `status`, however many runs have failed

Command = Callable[[list[str]], tuple[int, str]]  # words -> exit code, what it printed


class Filled(NamedTuple):
    """A results folder and what was put there."""

    out: Path
    seeds: int
    records: int
    failed: frozenset[str]
    missing: frozenset[str]
    todo: frozenset[str]  # missing ones that can be done, and the trainings whose encoders they need


class Look(NamedTuple):
    """One command: its name, seconds, and lines that it printed."""

    name: str
    seconds: float
    lines: int


def fill(
    out: Path, records: int, failed: int, spare: int = 0, least: int = 1, tables: Sequence[str] = tuple(TABLES)
) -> Filled:
    """At least so many records, for whole seeds (`least` or more) of these tables at SCALE, so many of them failed.

    Failed are runs that nothing else needs, and some pretrainings: what needs those has no record. `spare` evaluations
    have none either, and are to do.
    """
    rng = random.Random(0)
    seeds = least
    room = max(records, 2 * failed) + spare
    while len((plan := _plan(tables, seeds)).runs) - len(blocked := _blocked(plan, failed)) < room:
        seeds += 1
    needed = {parent.id for run in plan.runs.values() for parent in run.parents}
    bad = _trainings(plan, failed)
    last = [run_id for run_id in plan.runs if run_id not in needed | blocked | bad]
    bad |= set(rng.sample(last, failed - len(bad)))
    spared = [run_id for run_id in last if run_id not in bad and isinstance(plan.runs[run_id], Evaluate)][:spare]
    missing = blocked | set(spared)
    todo = set(spared).union(*({parent.id for parent in plan.runs[run_id].parents} for run_id in spared))
    metrics = filled.metrics_of(plan)
    store = Store(out / SCALE)
    store.prepare()
    for run_id, run in plan.runs.items():
        if run_id in missing:
            continue
        filled.put(store, _record(run, metrics.get(run_id, set()), run_id in bad, rng))
    return Filled(out, seeds, len(plan.runs) - len(missing), frozenset(bad), frozenset(missing), frozenset(todo))


def _plan(tables: Sequence[str], seeds: int) -> Plan:
    return Plan.of([TABLES[table] for table in tables], Settings(scale=SCALE, seeds=tuple(range(seeds))))


def _trainings(plan: Plan, failed: int) -> set[str]:
    """The pretrainings among so many failed runs: a twentieth of them, spread over all."""
    found = [run_id for run_id, run in plan.runs.items() if isinstance(run, Pretrain)]
    return set(random.Random(1).sample(found, min(len(found), failed // 20)))


def _blocked(plan: Plan, failed: int) -> set[str]:
    """Everything that needs one of those pretrainings."""
    bad = _trainings(plan, failed)
    found: set[str] = set()
    for run_id, run in plan.runs.items():  # parents come first
        if any(parent.id in bad | found for parent in run.parents):
            found.add(run_id)
    return found - bad


def _record(run: Run, metrics: set[str], failed: bool, rng: random.Random) -> dict[str, Any]:
    """As execute.py writes it."""
    record = filled.record_of(run, sorted(metrics), rng)
    if not failed:
        return record
    kept = {key: value for key, value in record.items() if key not in ("metrics", "history", "per_class")}
    error = rng.choice(ERRORS).format(n=rng.randrange(1, 1000), run=run.id)
    return kept | {"status": "failed", "error": error, "traceback": "Traceback\n" * 20}


def look(filled: Filled, command: Command) -> tuple[list[Look], list[str]]:
    """Asks every command that looks at the folder; returns how long each took and what was wrong."""
    found: list[Look] = []
    wrong: list[str] = []
    common = ["--table", "all", "--scale", SCALE, "--seeds", str(filled.seeds), "--out", str(filled.out)]

    def say(name: str, code: int, *words: str) -> str:
        started = time.monotonic()
        ended, text = command([*name.split()[:1], *common, *words])
        found.append(Look(name, time.monotonic() - started, len(text.splitlines())))
        if ended != code:
            wrong.append(f"{name}: exit code {ended}, not {code}")
        if "Traceback" in text:
            wrong.append(f"{name}: a traceback")
        return text

    done = filled.records - len(filled.failed)
    runs = filled.records + len(filled.missing)
    counts = f"{done} done, 0 running, {len(filled.failed)} failed, {len(filled.missing)} missing"
    for name in ("status", "status again"):
        text = say(name, 4)
        if counts not in text.splitlines():
            wrong.append(f"{name}: no line '{counts}', but '{_near(text, ' done, ')}'")
        if len(text.splitlines()) > LINES or len(text) > CHARACTERS:
            wrong.append(f"{name}: {len(text.splitlines())} lines, {len(text)} characters")
    named = [line.split()[1] for line in say("status --all", 4, "--all").splitlines() if line.startswith("failed ")]
    if set(named) != filled.failed or len(named) != len(filled.failed):
        wrong.append(f"status --all: {len(named)} failed runs named, not {len(filled.failed)}")
    if (line := f"{runs} runs: {filled.records - len(filled.failed)} done, {len(filled.todo)} to do") not in (
        text := say("plan", 0)
    ):
        wrong.append(f"plan: no '{line}', but '{_near(text, ' to do')}'")
    say("render", 0)
    say("render --check", 0, "--check")
    if f"{len(filled.todo)} of {runs} runs to do." not in (text := say("run --dry-run", 0, "--dry-run")):
        wrong.append(f"run --dry-run: '{_near(text, ' runs to do.')}'")
    say("run", 4)
    after = Store(filled.out / SCALE)
    if lost := [run_id for run_id in filled.todo if (after.brief(run_id) or {}).get("status") != "ok"]:
        wrong.append(f"run: {len(lost)} runs were not done")
    wrong += _pages(filled)
    return found, wrong


def _near(text: str, words: str) -> str:
    return next((line for line in text.splitlines() if words in line), "")


def _pages(filled: Filled) -> list[str]:
    """A table with hundreds of failures is a page, and says so in notes that can be read."""
    wrong = []
    pages = list((filled.out / SCALE / "tables").glob("table-*.md"))
    if not pages:
        return ["render: no table"]
    for page in pages:
        text = page.read_text()
        notes = [line for line in text.splitlines() if line.startswith("- ") and line[2] in "⁰¹²³⁴⁵⁶⁷⁸⁹"]
        if len(notes) > 30:
            wrong.append(f"{page.name}: {len(notes)} footnotes")
    return wrong


def process(words: list[str]) -> tuple[int, str]:
    """A command as a person starts it."""
    done = subprocess.run([sys.executable, "bench.py", *words], cwd=REPO, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def main() -> int:
    """Reads the command line, fills a folder and prints a line of figures for every command."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.large", description=__doc__)
    parser.add_argument("--records", type=int, default=5000)
    parser.add_argument("--failed", type=int, default=1000, help="of these records")
    parser.add_argument("--spare", type=int, default=2, help="evaluations that `run` finds to do")
    parser.add_argument("--out", type=Path, help="an empty folder (default: a temporary one, removed if all is well)")
    arguments = parser.parse_args()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="large-"))
    filled = fill(out.resolve(), arguments.records, arguments.failed, arguments.spare)
    print(
        f"LARGE {filled.records} records, {len(filled.failed)} of them failed, {filled.seeds} seeds of all tables, "
        f"{len(filled.missing)} runs missing, {len(filled.todo)} to do"
    )
    found, wrong = look(filled, process)
    for name, seconds, lines in found:
        print(f"  {name:14} {seconds:5.1f} s {lines:6} lines")
    for line in wrong:
        print(f"  WRONG: {line}")
    print("all right" if not wrong else f"{len(wrong)} WRONG; see {out}")
    if not wrong and not arguments.out:
        shutil.rmtree(out)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
