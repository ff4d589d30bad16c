"""`bench.py doctor`: is this machine ready, and what to do where it is not. It looks; checks.py judges."""

from __future__ import annotations

import argparse
import fcntl
import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.text import Text

from benchmarks.campaign import root_of
from benchmarks.datasets import catalog, presence
from benchmarks.doctor import checks
from benchmarks.doctor.checks import Finding, Folder, Gpu, Partition, Place
from benchmarks.exits import FAILED, OK
from benchmarks.machine import limits
from benchmarks.recipes import SCALES
from benchmarks.records.claims import unlockable
from benchmarks.records.provenance import REPO
from benchmarks.slurm.cluster import ClusterError
from benchmarks.slurm.queue import ask
from methods.kernels import unsupported
from protocols.files import replacing, unwritable

WIDTH = 80
PATIENCE = 10  # seconds for an answer of Slurm's
COLOURS = {"ok": "green", "warn": "yellow", "FAIL": "bold red"}
USELESS = ("down", "drain", "fail", "unknown", "maint", "power", "reboot")  # states of a node that takes no job


def doctor(arguments: argparse.Namespace) -> int:
    """Prints a line for everything that a run needs; returns 4 where something would make it fail, else 0."""
    console = Console(highlight=False, soft_wrap=True)
    found = list(examine(arguments.out, arguments.data))
    for finding in found:
        first, *more = lines(finding)
        console.print(Text(first[:4], COLOURS[finding.mark]) + Text(first[4:]))
        for line in more:
            console.print(Text(line))
    marks = [finding.mark for finding in found]
    failed, warned = marks.count("FAIL"), marks.count("warn")
    if failed:
        console.print(f"not ready: {failed} FAIL, {warned} warn", markup=False)
    else:
        console.print(f"ready: nothing FAILs, {warned} warn" if warned else "all well", markup=False)
    return FAILED if failed else OK


def lines(finding: Finding) -> list[str]:
    """A finding as it is printed: one line, or a second one for advice that does not fit."""
    first = f"{finding.mark:4}  {finding.subject:7}  {finding.text}"
    if not finding.advice:
        return [first]
    together = f"{first}; {finding.advice}"
    return [together] if len(together) <= WIDTH else [first, f"{'':15}-> {finding.advice}"]


def examine(out: Path, data: Path) -> Iterator[Finding]:
    """Looks at everything. At most eleven findings: with advice they and the verdict fit into 24 lines."""
    yield checks.versions(*_versions())
    yield checks.disk([_place("results", out), _place("data", data), _temporary()])
    folder = _results(out)
    umask = os.umask(0)
    os.umask(umask)
    yield checks.permissions(folder, os.geteuid(), umask)
    if folder.error is None:
        yield from _locks_and_clock(out)
    yield checks.data(presence.every(data), list(catalog.DATASETS))
    usable = limits.cores()
    yield checks.cpu(os.cpu_count() or usable, usable)
    gpus = _gpus()
    yield checks.memory(limits.memory(), len(gpus) or usable)
    yield checks.gpu(gpus, Path("/proc/driver/nvidia/version").exists(), torch.version.cuda)
    reason = unsupported(torch.device("cuda"), torch.float32) if gpus else None
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    yield checks.triton(_version("triton"), len(gpus), reason, interpreted)
    yield _slurm()


def _versions() -> tuple[dict[str, str | None], dict[str, str]]:
    """What is installed, and what pyproject.toml asks for: by name, Python among them."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    parts = (re.fullmatch(r"([\w.-]+)(.*)", line) for line in project["dependencies"])
    wanted = {"python": project["requires-python"]} | {part[1]: part[2] for part in parts if part}
    return {name: _version(name) for name in wanted}, wanted


def _version(package: str) -> str | None:
    if package == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _place(name: str, path: Path) -> Place:
    """Free space where `path` is, or will be."""
    there = next((folder for folder in (path.resolve(), *path.resolve().parents) if folder.exists()), Path("/"))
    try:
        found = os.statvfs(there)
    except OSError:
        return Place(name, path, None)
    return Place(name, path, found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def _temporary() -> Place:
    """The folder for temporary files; 0 bytes where Python finds none that it can write to."""
    try:
        return _place("temp", Path(tempfile.gettempdir()))
    except FileNotFoundError:
        return Place("temp", Path(os.environ.get("TMPDIR", "/tmp")), 0)


def _results(out: Path) -> Folder:
    """Makes the results folder, writes a file there, and looks at the folders that are in it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with replacing(out / ".doctor") as temporary:
            temporary.write_bytes(b"\0" * 4096)
        (out / ".doctor").unlink(missing_ok=True)
    except OSError as error:
        return Folder(out, 0, 0, error=str(error if error.errno is None else unwritable(out, error)))
    names = ("records", "runs", "tables", "figures")
    inside = [root_of(out, scale) / name for scale in SCALES for name in (".", *names)]
    closed = [path.relative_to(out).as_posix() for path in inside if path.exists() and not os.access(path, os.W_OK)]
    status = out.stat()
    return Folder(out, status.st_uid, status.st_mode, closed)


def _locks_and_clock(out: Path) -> Iterator[Finding]:
    """Both with a file that is written into the results folder."""
    with tempfile.NamedTemporaryFile(dir=out, prefix=".doctor.", suffix=".tmp") as file:
        path = Path(file.name)
        error = unlockable(path)
        kind, options = mount_of(path, limits.text_of(Path("/proc/self/mountinfo")))
        yield checks.locks(str(error) if error else None, error is None and _exclusive(path), kind, options)
        before = time.time()
        file.write(b"\0")
        file.flush()
        os.fsync(file.fileno())
        written, after = path.stat().st_mtime, time.time()
    now = min(max(written, before), after)  # a slow disk is no clock that is wrong
    records = (path for scale in SCALES for path in (root_of(out, scale) / "records").glob("*.json"))
    yield checks.clock(now, written, max((path.stat().st_mtime for path in records), default=None))


def _exclusive(path: Path) -> bool:
    """Whether a file that is locked once cannot be locked again."""
    with path.open("r+") as first, path.open("r+") as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def mount_of(path: Path, mounts: str) -> tuple[str, list[str]]:
    """Kind and options of the file system that a file is on; `mounts` is the text of /proc/self/mountinfo."""
    best, kind, options = "", "", ""
    for line in mounts.splitlines():
        fields, _, about = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), fields.split()[4])
        if path.resolve().is_relative_to(point) and len(point) >= len(best):
            best, (kind, _, options) = point, about.split(" ", 2)
    return kind, options.split(",")


def _gpus() -> list[Gpu]:
    """Every GPU that PyTorch sees, after a product on it."""
    found = []
    for index in range(torch.cuda.device_count()):
        name, free, total, bf16, error = f"cuda:{index}", 0, 0, False, None
        try:
            name = f"cuda:{index} {torch.cuda.get_device_name(index)}"
            free, total = torch.cuda.mem_get_info(index)
            bf16 = torch.cuda.get_device_capability(index) >= (8, 0)
            one = torch.ones(16, 16, device=f"cuda:{index}")
            error = None if float((one @ one)[0, 0]) == 16.0 else "a product is wrong"
        except RuntimeError as raised:
            error = str(raised).splitlines()[0]
        found.append(Gpu(name, total, free, bf16, error))
    return found


def _slurm() -> Finding:
    """Asks the controller."""
    if not shutil.which("sbatch"):
        return checks.slurm(None, None, [])
    version = "Slurm"
    try:
        version = ask("sbatch", "--version", patience=PATIENCE).strip()
        ask("scontrol", "ping", patience=PATIENCE)
        told = ask("sinfo", "--noheader", "--format=%P|%a|%D|%T", patience=PATIENCE)
        return checks.slurm(version, None, partitions(told))
    except (ClusterError, OSError) as error:
        return checks.slurm(version, str(error).splitlines()[-1], [])


def partitions(text: str) -> list[Partition]:
    """From sinfo's lines "name|up|nodes|state", one for each state of the nodes of a partition."""
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        name, availability, nodes, state = line.rsplit("|", 3)
        name = name.removesuffix("*")
        usable = 0 if state.startswith(USELESS) or state.endswith("*") else int(nodes)
        before = found.get(name, Partition(name, False, 0))
        found[name] = Partition(name, availability == "up", before.usable + usable)
    return list(found.values())
