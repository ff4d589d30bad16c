"""A disk that fails, or a process that is killed, at the N-th thing that a command does to the files of one folder.

Why in Python and not by a small file system alone: every write, rename and lock of a command and its workers has its
turn, by its number. Opening, renaming, making, removing, locking and truncating are seen by Python's audit hook;
writing and flushing by files of our own in place of the ones that `open` gives.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

HOOKS = {"os.rename": "rename", "os.mkdir": "mkdir", "os.remove": "remove", "os.truncate": "truncate"}
NEEDS_SPACE = ("open", "write", "flush", "rename", "mkdir")  # what a full disk refuses
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Fault:
    """What happens below `folder` from event number `at` on. `log`: a file outside, a line per event."""

    folder: str
    log: str
    at: int  # from 1; 0 never
    what: str = "once"  # once: this event fails; full: it and all that need space; kill: the process; group: all of it
    error: int = errno.ENOSPC


def site(operation: str, path: str) -> str:
    """An event without what is random or a run's own in it: "write records/pretrain.json.tmp"."""
    name = re.sub(r"-[0-9a-f]{16}", "", path)
    return f"{operation} {re.sub(r'[.][^./]*[.]tmp', '.tmp', name)}"


class Layer:
    """The layer between a process and its files. It cannot be removed, only be left with the process."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.inside = False  # our own log is no event

    def install(self) -> None:
        """From now on, in this process and those that it forks."""
        sys.addaudithook(self._hook)
        builtins.open = io.open = self._open  # pyright: ignore[reportAttributeAccessIssue]  a wrapper for open
        self.flush, os.fsync = os.fsync, self._flush
        self.write, os.write = os.write, self._write

    def event(self, operation: str, path: str | int) -> None:
        """Counts an event, and lets it fail or kills when it is its turn."""
        if self.inside or not (place := self._below(path)):
            return
        self.inside = True
        try:
            number = self._note(site(operation, place))
        finally:
            self.inside = False
        fault = self.fault
        if not fault.at or number < fault.at:
            return
        if fault.what == "full" and operation in NEEDS_SPACE:
            raise OSError(fault.error, os.strerror(fault.error), *([] if operation in ("write", "flush") else [path]))
        if number > fault.at:
            return
        if fault.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.what == "group":
            os.killpg(os.getpgid(0), signal.SIGKILL)
        if fault.what == "once":
            raise OSError(fault.error, os.strerror(fault.error))

    def _below(self, path: str | int) -> str | None:
        if isinstance(path, int):
            try:
                path = os.readlink(f"/proc/self/fd/{path}").removesuffix(" (deleted)")
            except OSError:
                return None
        folder = self.fault.folder
        return path[len(folder) + 1 :] or "." if path == folder or path.startswith(f"{folder}/") else None

    def _note(self, line: str) -> int:
        """Writes a line and returns its number, over all processes."""
        descriptor = os.open(self.fault.log, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self.write(descriptor, f"{line}\n".encode())
            size = os.fstat(descriptor).st_size
            return os.pread(descriptor, size, 0).count(b"\n")
        finally:
            os.close(descriptor)

    def _hook(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "open":
            path, _, flags = arguments
            if flags & WRITING and isinstance(path, str | bytes | os.PathLike):
                self.event("open", os.fsdecode(path))
        elif name in HOOKS:
            path = arguments[0]
            self.event(HOOKS[name], path if isinstance(path, int) else os.fsdecode(path))
        elif name == "fcntl.flock" and arguments[1] != fcntl.LOCK_UN:
            self.event("lock", arguments[0])

    def _flush(self, file: int | IO[Any]) -> None:
        self.event("flush", file if isinstance(file, int) else file.fileno())
        self.flush(file)

    def _write(self, file: int, data: bytes) -> int:
        self.event("write", file)
        return self.write(file, data)

    def _open(self, file: Any, mode: str = "r", buffering: int = -1, *words: Any, **named: Any) -> Any:
        if isinstance(file, int) or self._below(os.fsdecode(file)) is None or not set(mode) & set("wax+"):
            return OPEN(file, mode, buffering, *words, **named)
        raw = _Raw(self, os.fspath(file), mode.replace("b", "").replace("t", ""))
        buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffer if "b" in mode else io.TextIOWrapper(buffer, *words, **named)


class _Raw(io.FileIO):
    """A file whose writes are events."""

    def __init__(self, layer: Layer, path: str, mode: str) -> None:
        self.layer = layer
        super().__init__(path, mode)

    def write(self, data: Any) -> int:
        self.layer.event("write", str(self.name))
        return super().write(data)


OPEN = io.open


def events(log: Path) -> list[str]:
    """The sites that were passed, in order."""
    return log.read_text().splitlines() if log.exists() else []
