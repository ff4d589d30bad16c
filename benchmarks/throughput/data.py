"""How fast raw files become a prepared data set, against the plain reader, in one run.

Why: NTU RGB+D 120 is 114,480 files; whoever waits for them should know for how long. Both readers get the same files;
the plain one only reads, ours also preprocesses and writes. They take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.datasets.prepare import prepare
from benchmarks.datasets.raw import ntu, ntu_names
from benchmarks.datasets.raw.bodies import first_two
from benchmarks.datasets.raw.ntu_text import parse
from benchmarks.datasets.standin import synthetic
from benchmarks.machine import hardware, workers
from benchmarks.throughput import plain_ntu
from benchmarks.throughput.page import write
from benchmarks.throughput.skeleton_files import bodies_of, skeleton_text

FRAMES = 64
WHOLE = 114_480  # files of NTU RGB+D 120
ROUNDS = 3


@dataclass(frozen=True)
class Rate:
    """One row of the table."""

    what: str
    processes: int
    files_per_second: float  # median over the rounds
    lowest: float
    highest: float


def write_sample(folder: Path, count: int) -> None:
    """`count` genuine files under official names: 40 to 120 frames, as recorded, two people in a sixth of them.

    Poses are those of the stand-in, with the sensor's noise so that numbers have all their digits.
    """
    x, _ = synthetic.generate("ntu60", "smoke", 40)
    rng = np.random.default_rng(0)
    every = ntu_names.expected("ntu60")
    names = every[:: len(every) // count][:count]
    for number, name in enumerate(names):
        clip = np.resize(x[number % len(x)].transpose(1, 0, 2, 3), (40 + number % 81, 3, 25, 2)).transpose(1, 0, 2, 3)
        seen = clip + rng.normal(scale=0.003, size=clip.shape) + np.array([0.0, 0.0, 3.0])[:, None, None, None]
        persons = 2 if number % 6 == 0 else 1
        (folder / f"{name}.skeleton").write_bytes(skeleton_text(bodies_of(seen[..., :persons])))


def measure(raw: Path | None, count: int, jobs: int, say: Callable[[str], None]) -> tuple[list[Rate], str]:
    """Rates of both readers on `count` files: below `raw`, or made here. Returns them and what the files are.

    Raises ValueError when the two readers disagree about a file or for more files than can be made, and
    FileNotFoundError for a `raw` without files.
    """
    most = len(ntu_names.expected("ntu60"))
    if raw is None and count > most:
        raise ValueError(
            f"--files {count}: at most {most} are made here, the names of NTU RGB+D 60; or give --raw PATH"
        )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "raw"
        folder.mkdir()
        if raw is None:
            say(f"writing {count} files of the form, size and digits of genuine ones")
            write_sample(folder, count)
            paths = sorted(folder.iterdir())
        else:
            found = [clip.place for clip in ntu.source([raw], "ntu120").clips]
            paths = [Path(file.path) for file in found if file.member is None][:count]
            if not paths:
                raise FileNotFoundError(f"{raw} holds no loose .skeleton file; the plain reader reads no zip files")
            for path in paths:
                (folder / path.name).symlink_to(path.resolve())
        size = sum(path.stat().st_size for path in paths) / len(paths)
        what = f"{len(paths)} files of {size / 1e3:.0f} KB on average, {'made here' if raw is None else 'recorded'}"
        say(what)
        _agree(paths)
        seconds: dict[tuple[str, int], list[float]] = {}
        for turn in range(ROUNDS):
            for (name, processes), action in _actions(folder, paths, jobs, Path(scratch) / f"data-{turn}").items():
                seconds.setdefault((name, processes), []).append(action())
                rate = len(paths) / seconds[name, processes][-1]
                say(f"  round {turn + 1} of {ROUNDS}: {name}, {processes} process(es): {rate:.0f} files/s")
        rates = [_rate(name, processes, spent, len(paths)) for (name, processes), spent in seconds.items()]
        return rates, what


def _agree(paths: Sequence[Path]) -> None:
    for path in paths[:20]:
        if not np.array_equal(plain_ntu.clip(path), first_two(parse(path.read_bytes()))):
            raise ValueError(f"the two readers disagree about {path}; no rate means anything before that is mended")


def _actions(folder: Path, paths: Sequence[Path], jobs: int, data: Path) -> dict[tuple[str, int], Callable[[], float]]:
    """What is measured, each as a function that does it and says how many seconds it took."""
    actions: dict[tuple[str, int], Callable[[], float]] = {}
    for processes in sorted({1, jobs}):
        actions["plain reader: parse", processes] = lambda n=processes: _spread(_plain, paths, n)
        actions["ours: parse", processes] = lambda n=processes: _spread(_ours, paths, n)
        actions["ours: `data prepare`, all of it", processes] = lambda n=processes: _prepare(folder, data / str(n), n)
    return actions


def _prepare(folder: Path, data: Path, jobs: int) -> float:
    """The start of the workers, checksums and all that the command does."""
    started = time.perf_counter()
    prepare("ntu120", [folder], data, FRAMES, partial=True, jobs=jobs, say=lambda line: None)
    return time.perf_counter() - started


def _plain(paths: Sequence[Path]) -> None:
    for path in paths:
        plain_ntu.clip(path)


def _ours(paths: Sequence[Path]) -> None:
    for path in paths:
        first_two(parse(path.read_bytes()))


def _spread(read: Callable[[Sequence[Path]], None], paths: Sequence[Path], processes: int) -> float:
    """Seconds for reading, without the start of the processes: for the whole data set that does not matter."""
    parts = [paths[i :: processes * 4] for i in range(processes * 4)]
    with workers.one_thread(), ProcessPoolExecutor(processes, mp_context=workers.CONTEXT) as pool:
        list(pool.map(read, [part[:2] for part in parts]))
        started = time.perf_counter()
        list(pool.map(read, parts))
        return time.perf_counter() - started


def _rate(name: str, processes: int, seconds: Sequence[float], files: int) -> Rate:
    return Rate(name, processes, files / statistics.median(seconds), files / max(seconds), files / min(seconds))


def table(rates: Sequence[Rate]) -> pd.DataFrame:
    """The rates, each compared with the plain reader in one process, and the time for all of NTU RGB+D 120."""
    plain = next(rate for rate in rates if rate.what.startswith("plain") and rate.processes == 1)
    return pd.DataFrame(
        {
            "reader": [rate.what for rate in rates],
            "processes": [rate.processes for rate in rates],
            "files/s": [round(rate.files_per_second) for rate in rates],
            "lowest": [round(rate.lowest) for rate in rates],
            "highest": [round(rate.highest) for rate in rates],
            "x plain": [round(rate.files_per_second / plain.files_per_second, 1) for rate in rates],
            "NTU-120, minutes": [round(WHOLE / rate.files_per_second / 60, 1) for rate in rates],
        }
    )


def profile(raw: Path | None, count: int, jobs: int, out: Path, say: Callable[[str], None]) -> Path:
    """Measures, writes `out/data-<machine>.md` and `.csv`, and returns the first."""
    rates, what = measure(raw, count, jobs, say)
    text = (
        f"`python bench.py profile data` on {hardware.name()}: {what}, {ROUNDS} rounds, the readers "
        "in turn, medians. The plain reader reads line by line and checks nothing; `data prepare` also preprocesses, "
        "writes and computes checksums, and its time includes the start of its workers."
    )
    return write(out / f"data-{hardware.name()}", "Reading NTU RGB+D", text, table(rates))
