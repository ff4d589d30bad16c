"""Writing a prepared data set: in a hidden folder beside the target, which gets its name when it is complete.

Why: preparing takes minutes to hours and machines die. Whatever carries the name of a data set is whole; a killed
or failed write leaves a hidden folder, which the same preparation continues and any other one removes, unless its
owner still lives (an flock dies with its process).
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.datasets.store import ARRAY, MANIFEST, META, SCHEMA, sha256
from benchmarks.digest import digest

HEADER = 128  # bytes of the .npy header: fixed, so that rows have their place before their number is known


def header(shape: tuple[int, ...]) -> bytes:
    """A .npy header (format 1.0) of exactly HEADER bytes for a C-ordered float32 array."""
    text = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    start = np.lib.format.magic(1, 0)
    room = HEADER - len(start) - 2
    return start + room.to_bytes(2, "little") + text.ljust(room - 1) + b"\n"


@contextlib.contextmanager
def staged(folder: Path, token: str) -> Iterator[Path]:
    """The hidden folder in which the data set `folder` is written under the name `token`, locked for this process.

    It holds what an earlier write with the same token left. Leavings of other tokens are removed. On the way out
    the lock is released; the folder stays unless `publish` gave it its final name. The lock is a file beside it:
    NFS has no locks of folders, and removes no folder in which a file is open.
    Raises OSError, with advice, when it cannot be created or when a living process has it.
    """
    place = folder.resolve()  # of a link, what it points to is replaced, and stays where it lies
    partial = place.parent / f".{place.name}.{token}.partial"
    with contextlib.ExitStack() as held:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            _put_back(place)
            _remove_others(place, partial)
            ours = held.enter_context(_claim(partial))
            if ours:
                partial.mkdir(exist_ok=True)
        except OSError as error:
            advice = "choose, with --data, a folder that you can write to, on a file system that has flock"
            raise OSError(f"cannot write the data set {folder}: {error.strerror or error}; {advice}") from error
        if not ours:
            raise OSError(f"{folder} is being prepared by another process from the same files; wait for it")
        yield partial


@contextlib.contextmanager
def _claim(partial: Path) -> Iterator[bool]:
    """Yields whether a hidden folder, which need not exist, is now ours alone."""
    path = partial.with_suffix(".lock")
    with path.open("a+") as file:
        ours = False
        with contextlib.suppress(BlockingIOError, PermissionError, FileNotFoundError):  # others have it, or just had
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = path.stat().st_ino == os.fstat(file.fileno()).st_ino
        try:
            yield ours
        finally:
            if ours:
                path.unlink(missing_ok=True)


def _remove_others(folder: Path, own: Path) -> None:
    """Delete what other killed writes of this data set left; a folder locked by a living writer stays."""
    for path in folder.parent.glob(f".{escape(folder.name)}.*.partial"):
        if path == own:
            continue
        with _claim(path) as ours:
            if ours:
                _remove(path)


def _put_back(folder: Path) -> None:
    """What a write that was killed while it published had set aside: the data set again, where there is none."""
    for path in folder.parent.glob(f".{escape(folder.name)}.*.replaced"):
        with _claim(path) as ours:
            if ours and not folder.exists():
                path.rename(folder)
            elif ours:
                _remove(path)


def _remove(path: Path) -> None:
    """Of a link, which earlier versions left, the link alone."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path)


def sync(path: Path) -> None:
    """Make what was written to a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(
    partial: Path,
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    shape: tuple[int, int, int, int],
    *,
    name: str,
    classes: int,
    revision: int,
    credit: str,
    source: Mapping[str, Any],
    left_out: Sequence[str],
) -> Path:
    """Complete the hidden folder, whose x.npy holds len(rows) rows after HEADER bytes, and give it its name.

    shape: (3, T, V, M) of one row. source: how it was made, for the manifest; no secrets, no clock time.
    An existing data set is replaced by two renames; what a kill between them set aside, the next `staged` puts back.
    The journal goes last, so that a kill before costs next to nothing. Returns `folder`.
    """
    array = partial / ARRAY
    with array.open("r+b") as file:
        file.write(header((len(rows), *shape)))
    meta = pd.DataFrame(rows)
    meta.to_csv(partial / META, index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
    manifest = {
        "schema": SCHEMA,
        "name": name,
        "frames": shape[1],
        "persons": shape[3],
        "classes": classes,
        "revision": revision,
        "counts": {
            "clips": len(meta),
            "subjects": len({row["subject"] for row in rows}),
            "per_class": np.bincount(meta["label"], minlength=classes).tolist(),
        },
        "source": dict(source),
        "left_out": list(left_out),
        "credit": credit,
        "sha256": {file: sha256(partial / file) for file in (ARRAY, META)},
    }
    manifest["digest"] = digest(manifest)
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    for path in partial.iterdir():
        sync(path)
    sync(partial)
    place = folder.resolve()
    if place.exists():
        old = partial.with_suffix(".replaced")  # under the same lock
        place.rename(old)
        partial.rename(place)
        _remove(old)
    else:
        partial.rename(place)
    for path in place.iterdir():
        if path.name not in (ARRAY, META, MANIFEST):
            path.unlink()
    sync(place)
    sync(place.parent)
    return folder
