"""Files that are complete or absent, whenever a process is killed or a disk is full, and errors that say what to do.

A file is written beside its place, flushed to disk and renamed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def unwritable(path: Path, error: OSError) -> OSError:
    """One sentence: which file or folder cannot be written, why, and what to do about it."""
    advice = "mend that and run the same command to go on, or choose another folder with --out DIR (data: --data DIR)"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "make space there, then run the same command to go on"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        advice = "make it writable, or choose another folder with --out DIR (data: --data DIR)"
    return OSError(f"cannot write {path}: {error.strerror or error}; {advice}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that takes the place of `path` when the block ends well.

    After a crash the old file, if any, is untouched. Leftovers are named `.<name>.*.tmp`; see remove_leftovers.

    Raises:
        OSError: when it cannot be written, also in the block: see `unwritable`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _temporary(path)
    except OSError as error:
        raise unwritable(path, error) from error
    umask = os.umask(0)
    os.umask(umask)
    try:
        yield temporary
        temporary.chmod(0o666 & ~umask)  # mkstemp is private; results are for the group that umask allows
        os.fsync(handle)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):  # what failed before is what is told
            temporary.unlink(missing_ok=True)
        os.close(handle)


def _temporary(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, locked as long as its writer lives, by which a leftover is known."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with suppress(OSError):  # without locks, leftovers stay; see remove_leftovers
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.exists(name):
            return handle, Path(name)
        os.close(handle)  # it was taken for a leftover before it had its lock


def remove_leftovers(folder: Path, pattern: str = ".*.tmp") -> None:
    """Removes temporary files of `replacing` whose writer was killed; what cannot be locked or removed stays."""
    for path in folder.glob(pattern):
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(handle)
