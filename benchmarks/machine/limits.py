"""How many cores and how much memory this process may use: in a container or a job that is less than the machine has.

Why: as many workers as the machine has cores would starve, or be killed, where a control group allows two.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GROUPS = Path("sys/fs/cgroup")
ROOT = Path("/")


class Memory(NamedTuple):
    """Bytes that this process may use in all, and those of them that are free."""

    total: int
    free: int


def cores(system: Path = ROOT) -> int:
    """Cores that this process may use, at least 1: of the machine, of its affinity, of its control groups' quotas."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([allowed, *_quotas(system)])))


def memory(system: Path = ROOT) -> Memory | None:
    """Memory of the machine, or what its control groups leave of it; None where the system does not tell."""
    lines = text_of(system / "proc/meminfo").splitlines()
    told = {name: 1024 * int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    if not {"MemTotal", "MemAvailable"} <= told.keys():
        return None
    found = Memory(told["MemTotal"], told["MemAvailable"])
    for folder in _folders(system, "memory"):
        limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
        if limit and limit < told["MemTotal"]:
            left = max(0, limit - used + _cached(folder))
            found = Memory(min(found.total, limit), min(found.free, left))
    return found


def _quotas(system: Path) -> Iterator[float]:
    """Cores that each control group of this process allows; nothing where there is no quota."""
    for folder in _folders(system, "cpu"):
        quota, _, period = text_of(folder / "cpu.max").strip().partition(" ")
        if not quota:
            quota, period = (text_of(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
        if quota.isdecimal() and period.isdecimal() and int(period):  # without a quota it says "max", or -1
            yield int(quota) / int(period)


def _folders(system: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control groups and of all above them, in either version of control groups."""
    for line in text_of(system / "proc/self/cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = system / GROUPS / controller if controllers else system / GROUPS
        inner = Path(name.lstrip("/"))
        if ".." not in inner.parts:  # as seen from a container whose own groups are not at the top
            yield from (top / folder for folder in (inner, *inner.parents) if folder != Path("."))
        yield top


def _cached(folder: Path) -> int:
    """Bytes of files that count as used and are given back as soon as somebody wants memory."""
    lines = (line.split() for line in text_of(folder / "memory.stat").splitlines())
    told = {words[0]: int(words[1]) for words in lines if len(words) == 2}
    return told.get("total_inactive_file", told.get("inactive_file", 0))


def _number(path: Path) -> int | None:
    text = text_of(path).strip()
    return int(text) if text.isdecimal() else None


def text_of(path: Path) -> str:
    """The content of a file of the system; "" where there is none."""
    with contextlib.suppress(OSError, ValueError):
        return path.read_text()
    return ""
