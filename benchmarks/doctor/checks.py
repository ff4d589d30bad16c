"""What `bench.py doctor` judges: each function takes what was found on a machine and says whether it is good enough.

Nothing here looks at a machine (look.py does), so that every bad state can be tested on a good one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.machine.limits import Memory

Mark = Literal["ok", "warn", "FAIL"]
GB = 10**9
FREE: tuple[tuple[Mark, int], ...] = (("FAIL", GB // 10), ("warn", 2 * GB))  # bytes of a disk that are too few
SHOWN = ("python", "torch", "numpy")  # versions that are told when all is well
BAD: tuple[Mark, ...] = ("FAIL", "warn")
WORKER = GB  # bytes that a worker wants: PyTorch takes 0.4 GB, the rest is data and activations
SKEW = 2.0  # seconds that a file server's clock may differ
EARLIEST = datetime(2024, 1, 1).timestamp()  # before this program was written
SHARED = {"nfs": ("nolock", "local_lock=all", "local_lock=flock"), "lustre": ("localflock", "noflock")}


@dataclass(frozen=True)
class Finding:
    """A line of the report."""

    mark: Mark
    subject: str
    text: str
    advice: str = ""  # what to do, where the mark is not ok


class Place(NamedTuple):
    """A folder that must not become full."""

    name: str
    path: Path
    free: int | None  # bytes for this user; None where nobody tells
    files: int | None = None  # that can still be made; None where the file system has no such limit


class Folder(NamedTuple):
    """A results folder, as it is found."""

    path: Path
    owner: int
    mode: int
    closed: Sequence[str] = ()  # folders in it that cannot be written
    error: str | None = None  # why nothing can be written, one sentence


class Gpu(NamedTuple):
    """A GPU that PyTorch sees."""

    name: str
    total: int  # bytes
    free: int
    bf16: bool
    error: str | None = None  # why nothing can be computed there


class Partition(NamedTuple):
    """A partition of Slurm, as sinfo shows it."""

    name: str
    up: bool
    usable: int  # nodes that are neither down nor drained


def versions(installed: Mapping[str, str | None], wanted: Mapping[str, str]) -> Finding:
    """Python and packages against the ranges of pyproject.toml, such as ">=2.11,<2.14"; None is not installed."""
    advice = "in the checkout, install what it needs: pip install -e ."
    missing = [name for name in wanted if installed.get(name) is None]
    if missing:
        return Finding("FAIL", "python", f"{', '.join(missing)} not installed", advice)
    wrong: dict[Mark, list[str]] = {"FAIL": [], "warn": []}
    for name, ranges in wanted.items():
        found = installed[name] or ""
        for bound in ranges.split(","):
            if bound and not _within(found, bound):
                wrong["FAIL" if bound.startswith(">") else "warn"].append(f"{name} {found} is not {bound}")
    for mark in BAD:
        if wrong[mark]:
            return Finding(mark, "python", "; ".join(wrong["FAIL"] + wrong["warn"]), advice)
    shown = [f"{name} {installed[name]}".removeprefix("python ") for name in SHOWN if name in wanted]
    return Finding("ok", "python", f"{', '.join(shown)}, {len(wanted) - len(shown)} more packages in range")


def _within(version: str, bound: str) -> bool:
    """Whether a version is within one bound, ">=A" or "<B"; what comes after the numbers ("+cpu") does not count."""
    comparison, limit = re.fullmatch(r"\s*(>=|<)\s*([\d.]+)\s*", bound, re.ASCII).groups()  # pyright: ignore[reportOptionalMemberAccess]  bounds are our own
    found, least = _numbers(version), _numbers(limit)
    return found >= least if comparison == ">=" else found < least


def _numbers(version: str) -> list[int]:
    """2.13.0+cpu -> [2, 13]: zeros at the end do not count, so that 2.0 is 2."""
    leading = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in leading[0].split(".")] if leading else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


def disk(places: Sequence[Place]) -> Finding:
    """Free space of every place."""
    known = [place for place in places if place.free is not None]
    text = ", ".join(f"{place.name} {size(place.free or 0)}" for place in known) + " free"
    advice = "make space, or use another --out DIR, --data DIR, TMPDIR=DIR"
    for place in known:
        if place.files is not None and place.files < 100:
            return Finding("FAIL", "disk", f"{place.name}: no file can be made in {place.path}", advice)
    for mark, least in FREE:
        if short := [place for place in known if (place.free or 0) < least]:
            where = ", ".join(f"{place.name} {size(place.free or 0)} free in {place.path}" for place in short)
            return Finding(mark, "disk", where, advice)
    if len(known) < len(places):
        unknown = next(place for place in places if place.free is None)
        return Finding("warn", "disk", f"{unknown.name}: {unknown.path} does not tell its free space", advice)
    return Finding("ok", "disk", text)


def permissions(folder: Folder, user: int, umask: int) -> Finding:
    """Whether results can be written, and by whom they can be replaced. `user`: our number, 0 is root."""
    if folder.error:
        return Finding("FAIL", "results", folder.error)
    if folder.closed:
        names = ", ".join(folder.closed[:3]) + (f" and {len(folder.closed) - 3} more" if len(folder.closed) > 3 else "")
        return Finding("FAIL", "results", f"{folder.path}: {names} cannot be written", "make them writable: chmod u+w")
    if umask & 0o600:
        text = f"umask {umask:04o} makes files that their owner cannot read and write"
        return Finding("FAIL", "results", text, "say umask 022 before bench.py")
    if not user and folder.owner:
        text = f"{folder.path} is user {folder.owner}'s, what you write will be root's"
        return Finding("warn", "results", text, "run as its owner, or use another --out DIR")
    if folder.mode & 0o020 and umask & 0o020:
        text = f"{folder.path}: umask {umask:04o} keeps its group from changing files"
        return Finding("warn", "results", text, "say umask 002 before bench.py")
    return Finding("ok", "results", f"{folder.path} can be written (umask {umask:04o})")


def locks(error: str | None, exclusive: bool, kind: str, options: Sequence[str]) -> Finding:
    """Whether a file lock keeps others out. `kind` and `options`: of the mounted file system, "nfs4" and so on."""
    advice = "use, with --out DIR, a file system that has flock"
    if error:
        return Finding("FAIL", "locks", error)
    if not exclusive:
        return Finding("FAIL", "locks", f"two processes can lock one file on this {kind}", advice)
    family = next((name for name in SHARED if kind.startswith(name)), "")
    if local := [option for option in options if option in SHARED.get(family, ())]:
        text = f"{kind} with {', '.join(local)}: locks hold on one host only"
        return Finding("warn", "locks", text, "work on one host at a time, or have it mounted without that")
    return Finding("ok", "locks", f"a lock keeps others out, on this {kind or 'file system'}")


def clock(now: float, written: float, newest: float | None) -> Finding:
    """Seconds since 1970: this machine's clock, what a file written then says, the newest record's."""
    advice = "set the clock, here or there: timedatectl set-ntp true"
    if now < EARLIEST:
        return Finding("warn", "clock", f"it is {_date(now)} here, before this program was written", advice)
    if abs(written - now) > SKEW:
        text = f"the file server's clock is {abs(written - now):.0f} s {'ahead' if written > now else 'behind'}"
        return Finding("warn", "clock", text, advice)
    if newest is not None and newest > now + SKEW:
        text = f"it is {_date(now)}, and the newest record of {_date(newest)}"
        return Finding("warn", "clock", text, advice)
    last = "no record yet" if newest is None else f"last record {_date(newest)}"
    return Finding("ok", "clock", f"{_date(now)}, file server too; {last}")


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def data(found: Mapping[str, str | None], names: Sequence[str]) -> Finding:
    """Prepared data sets ("irds-64") with what is wrong with each, or None; and all that there are."""
    damaged = {name: reason for name, reason in found.items() if reason}
    if damaged:
        more = f" ({', '.join(list(damaged)[1:])} too)" if len(damaged) > 1 else ""
        return Finding("FAIL", "data", next(iter(damaged.values())) + more)
    if not found:
        return Finding("warn", "data", "none is prepared: tables use synthetic stand-ins", "see bench.py data list")
    absent = [name for name in names if not any(folder.rpartition("-")[0] == name for folder in found)]
    return Finding("ok", "data", f"{', '.join(found)}" + (f"; not prepared: {', '.join(absent)}" if absent else ""))


def cpu(cores: int, usable: int) -> Finding:
    """Cores of the machine, and of those the ones that this process may use; workers are as many as the latter."""
    if usable < cores:
        return Finding("ok", "cpu", f"{usable} of {cores} cores may be used here, by as many workers")
    return Finding("ok", "cpu", f"{cores} cores")


def memory(found: Memory | None, workers: int) -> Finding:
    """Memory for so many workers."""
    if found is None:
        return Finding("ok", "memory", "this system does not tell")
    text = f"{size(found.free)} of {size(found.total)} free"
    fit = found.free // WORKER
    if not fit:
        return Finding("FAIL", "memory", f"{text}; a worker takes about {size(WORKER)}", "end something else")
    if fit < workers:
        text = f"{text}; {workers} workers take about {size(workers * WORKER)}"
        return Finding("warn", "memory", text, f"use --jobs {fit}, or end something else")
    return Finding("ok", "memory", text)


def gpu(found: Sequence[Gpu], present: bool, built: str | None) -> Finding:
    """GPUs that PyTorch sees. `present`: the system has an NVIDIA driver; `built`: PyTorch's CUDA version, if any."""
    if not found and present and not built:
        text = "there is a GPU, and this PyTorch is built without CUDA"
        return Finding("warn", "gpu", text, "install PyTorch's CUDA build, see pytorch.org")
    if not found and present:
        text = f"there is a GPU that PyTorch (CUDA {built}) cannot use"
        return Finding("warn", "gpu", text, "nvidia-smi tells whether the driver works and is new enough")
    if not found:
        return Finding("ok", "gpu", "none, runs use the CPU")
    broken = [f"{device.name}: {device.error}" for device in found if device.error]
    if broken:
        advice = "use others: CUDA_VISIBLE_DEVICES=N, or --device cpu"
        return Finding("FAIL", "gpu", f"cannot compute on {'; '.join(broken)}", advice)
    text = f"{len(found)} x {found[0].name}, {size(found[0].total)}" + ("" if found[0].bf16 else ", no bf16")
    if busy := [device for device in found if device.free < device.total / 2]:
        text = f"{text}; on {len(busy)} of them half the memory is taken"
        return Finding("warn", "gpu", text, "see nvidia-smi; choose another: --device cuda:N")
    return Finding("ok", "gpu", text)


def triton(version: str | None, gpus: int, reason: str | None, interpreted: bool) -> Finding:
    """Triton, by which a GPU computes SkeAttnCLR's mask fastest. `reason`: why its kernels cannot run here, or None."""
    if not gpus:
        return Finding("ok", "triton", "not needed without a GPU" + (f" ({version} is installed)" if version else ""))
    slower = "runs use the slower kernel sdpa"
    if version is None:
        return Finding("warn", "triton", f"not installed, {slower}", "pip install triton")
    if interpreted:
        return Finding("warn", "triton", "its interpreter is on, and that is slow", "unset TRITON_INTERPRET")
    if reason:
        return Finding("warn", "triton", f"{version}: {reason}; {slower}", "see nvidia-smi for the driver's version")
    return Finding("ok", "triton", f"{version}, its kernels run")


def slurm(version: str | None, error: str | None, partitions: Sequence[Partition]) -> Finding:
    """Slurm's version, None where there is none; why its controller does not answer; its partitions."""
    if version is None:
        return Finding("ok", "slurm", "none here; only --slurm needs it")
    if error:
        return Finding("warn", "slurm", f"{version}: {error}", "only --slurm needs it; ask who runs the cluster")
    working = [partition.name for partition in partitions if partition.up and partition.usable]
    if not working:
        states = ", ".join(f"{p.name} {'has no usable node' if p.up else 'is down'}" for p in partitions[:3])
        return Finding("warn", "slurm", f"{version}: {states or 'no partition'}", "see sinfo; ask who runs the cluster")
    return Finding("ok", "slurm", f"{version}, partitions {', '.join(working[:4])}" + ", ..." * (len(working) > 4))


def size(count: int) -> str:
    """Bytes for people: 1.5 GB, 26 GB, 120 MB."""
    if count < GB:
        return f"{count // 10**6} MB"
    return f"{count / GB:.1f} GB" if count < 10 * GB else f"{count // GB} GB"
