"""Who does a run: an advisory lock (flock) on <root>/runs/<run_id>/claim, held by an open descriptor.

What is promised: of all processes that share a results folder, on one host or on several, one at a time does a run.
The kernel, or the server of a network file system, releases the lock when its owner ends, however it ends: no claim
outlives its owner, and nobody waits for a host that died. (A server that lost sight of a host waits for its lease
first.) The file itself and the text in it are for people: a file that nobody has locked says nothing.

What is needed: a file system whose flock is seen by every host that writes to the folder: a local disk on one host, NFS
without `nolock` or `local_lock`, Lustre with `flock`, not `localflock`. Where flock is an error, commands say so and do
nothing. Where it is kept to one host in silence, two hosts may do the same run: its results are the same, files are
whole, and time is lost.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from protocols.files import remove_leftovers, unwritable

TAKEN = (errno.EAGAIN, errno.EACCES)  # what flock says when another process has the lock


class Unlockable(OSError):
    """A file system without locks, as a sentence."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"cannot lock {path}: {error.strerror}; without locks two processes could do the same run: choose, with "
            "--out DIR, a folder on a file system that has flock"
        )


@contextlib.contextmanager
def claim(path: Path, leftovers: Iterable[tuple[Path, str]] = ()) -> Iterator[bool]:
    """Yields whether the claim is now ours alone. `leftovers`: folders and patterns of what its owner may have left.

    Raises:
        OSError: when the file cannot be written or locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _lock(path)
    except Unlockable:
        raise
    except OSError as error:
        raise unwritable(path, error) from error
    if descriptor is None:
        yield False
        return
    try:
        with contextlib.suppress(OSError):  # a full disk is told by who has a result to write
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{socket.gethostname()} {os.getpid()}\n".encode())
        for folder, pattern in leftovers:
            remove_leftovers(folder, pattern)
        yield True
    finally:
        with contextlib.suppress(OSError):  # the lock is the claim; a file without one harms nobody
            path.unlink(missing_ok=True)
        os.close(descriptor)


def owner(path: Path) -> str | None:
    """What the owner of a claim wrote into it ("host pid"), or None when nobody has it."""
    with contextlib.suppress(OSError), path.open() as file:  # there is none, or none can be locked here
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip() or "starting"
    return None


def unlockable(path: Path) -> Unlockable | None:
    """The error of a file system on which `path` cannot be locked; None where it can."""
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return None if error.errno in TAKEN else Unlockable(path, error)
    return None


def _lock(path: Path) -> int | None:
    """An exclusively locked descriptor of the file that is at `path` now; None when another process has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in TAKEN:
                return None
            raise Unlockable(path, error) from error
        try:
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)  # its owner finished and removed it between our open and our lock: try the new one
