"""What everything costs that is no training: start, imports, plans, records, worker processes.

Why: a short run, or a look at what is done, should not wait for its harness. Everything is measured from outside, as
whoever types the command meets it: seconds from the start of a process to its end, or to the record.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from benchmarks.machine import hardware
from benchmarks.records.provenance import REPO
from benchmarks.records.store import StoreError
from benchmarks.throughput.filled import fill
from benchmarks.throughput.page import write

RECORDS = 5000
ONE = ("--method", "skeattnclr")
MANY = ("--table", "1")
PRETRAININGS = 42  # of Table 1 with one seed, each with its evaluation
SHORT = ("--scale", "smoke", "--device", "cpu", "--set", "epochs=0", "linear_epochs=1")
GOOD = (0, 3)  # exit codes: cells may be missing here, but nothing failed

Row = tuple[str, int | None, int | None]  # what, records in the folder, workers
Measured = Iterator[tuple[Row, float]]
TO_RECORD: Row = ("run of 0 epochs, to its record", 0, 1)
TO_END: Row = ("run of 0 epochs and its evaluation, to the end", 0, 1)


def _seconds(*words: str) -> float:
    """Of one Python process. Raises StoreError with its last words when it fails."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *words], cwd=REPO, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode not in GOOD:
        raise StoreError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip() or done.stdout[-500:]}")
    return seconds


def _starts() -> Measured:
    yield ("import torch, nothing of ours", None, None), _seconds("-c", "import torch")
    yield ("--help", None, None), _seconds("bench.py", "--help")


def _looks(out: Path, records: int, seeds: int) -> Measured:
    """Commands that train nothing, on a folder that was looked at before, and on one that was not."""
    words = ("--table", "all", "--scale", "full", "--seeds", str(seeds), "--out", str(out))
    words += ("--data", str(out / "none"))  # what is prepared here must not be trained on
    kept = out / "runs" / "overview.json"
    if records:
        kept.unlink(missing_ok=True)
        yield ("status, the first look at these records", records, None), _seconds("bench.py", "status", *words)
    for command in ("plan", "status", "render"):
        yield (command, records, None), _seconds("bench.py", command, *words)
    if records:
        yield ("run, when everything is done", records, None), _seconds("bench.py", "run", *words)


def _runs(scratch: Path, most: int) -> Measured:
    """Runs that are over at once: one, and those of a table with one worker and with `most`."""
    with tempfile.TemporaryDirectory(dir=scratch) as out:
        began = time.time()
        seconds = _seconds("bench.py", "run", *ONE, *SHORT, "--jobs", "1", "--out", out)
        record = next(Path(out).glob("smoke/records/pretrain-*.json"))
        yield TO_RECORD, record.stat().st_mtime - began
        yield TO_END, seconds
    for jobs in sorted({1, most}):
        with tempfile.TemporaryDirectory(dir=scratch) as out:
            seconds = _seconds("bench.py", "run", *MANY, *SHORT, "--jobs", str(jobs), "--out", out)
            yield (f"{PRETRAININGS} such runs, their evaluations and fusions, one command", 0, jobs), seconds


def measure(jobs: int, rounds: int, records: int, say: Callable[[str], None]) -> pd.DataFrame:
    """Medians, lowest and highest of `rounds` rounds, in which everything is measured once, in turn."""
    found: dict[Row, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        say(f"writing {records} records")
        seeds = fill(scratch / "full", records)
        for number in range(rounds):
            for part in (
                _starts(),
                _looks(scratch / "empty", 0, seeds),
                _looks(scratch / "full", records, seeds),
                _runs(scratch, jobs),
            ):
                for row, seconds in part:
                    found.setdefault(row, []).append(seconds)
                    say(f"  round {number + 1} of {rounds}: {row[0]}: {seconds:.2f} s")
    many: Row = (f"{PRETRAININGS} such runs, a process each (estimated: {PRETRAININGS} times one)", 0, 1)
    found[many] = [PRETRAININGS * seconds for seconds in found[TO_END]]
    return _table(found)


def _table(found: dict[Row, list[float]]) -> pd.DataFrame:
    def column(of: Callable[[Sequence[float]], float]) -> list[float]:
        return [round(of(seconds), 2) for seconds in found.values()]

    what, records, workers = zip(*found, strict=True)
    blank = [["" if number is None else str(number) for number in numbers] for numbers in (records, workers)]
    return pd.DataFrame(
        {
            "what": what,
            "records": blank[0],
            "workers": blank[1],
            "seconds": column(statistics.median),
            "lowest": column(min),
            "highest": column(max),
        }
    )


def profile(jobs: int, rounds: int, out: Path, say: Callable[[str], None], records: int = RECORDS) -> Path:
    """Measures, writes `out/overhead-<machine>.md` and `.csv`, and returns the first."""
    found = measure(jobs, rounds, records, say)
    text = (
        f"`python bench.py profile overhead` on {hardware.name()}: seconds from the start of a process to its end, or "
        f"to the record, medians of {rounds} rounds. `plan`, `status`, `render` and `run` are asked about all tables "
        "with as many seeds as the records complete, at scale full; the records are invented, with histories as long "
        "as real ones. The short runs are SkeAttnCLR's on stand-ins at scale smoke, with no epoch of pretraining and "
        "one of the linear classifier."
    )
    return write(out / f"overhead-{hardware.name()}", "What is no training", text, found)
