"""What Linux tells about running processes: memory, file handles, threads, children; and whether a series is flat."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

MIB = 2**20


class Sample(NamedTuple):
    """One look at a process."""

    runs: int  # that the campaign had finished by then
    rss: float  # MiB
    handles: int
    threads: int


def sample(pid: int, runs: int) -> Sample | None:
    """What the process uses now, or None when it is gone."""
    folder = Path("/proc") / str(pid)
    try:
        pages = int((folder / "statm").read_text().split()[1])
        return Sample(
            runs,
            pages * os.sysconf("SC_PAGE_SIZE") / MIB,
            len(os.listdir(folder / "fd")),
            len(os.listdir(folder / "task")),
        )
    except (OSError, IndexError):
        return None


def workers_of(pid: int) -> list[int]:
    """The worker processes that bench.py with this id has started, without Python's own helper process."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in children if b"spawn_main" in _command(int(child))]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pids: Iterable[int]) -> list[int]:
    """Those that still run our code (a zombie has no command line)."""
    return [pid for pid in pids if _command(pid)]


def kill(pid: int, number: int = signal.SIGKILL) -> bool:
    """Sends a signal; whether the process was there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


class Trend(NamedTuple):
    """How something developed after the first third of a series, in which a process loads and fills its caches."""

    before: float  # median of the second third
    after: float  # median of the last third
    slope: float  # per 1000 runs, least squares over both


def trend(runs: Sequence[int], values: Sequence[float]) -> Trend | None:
    """The trend of a series, None for fewer than nine values or when no run ended meanwhile."""
    third = len(values) // 3
    if third < 3 or runs[-1] == runs[third]:
        return None
    slope = statistics.linear_regression(runs[third:], values[third:]).slope
    return Trend(statistics.median(values[third : 2 * third]), statistics.median(values[-third:]), 1000 * slope)
