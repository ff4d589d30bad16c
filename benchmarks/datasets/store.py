"""The prepared data set on disk: one folder `<data>/<name>-<frames>/`, written whole or not at all.

Why: preparing is slow and raw files differ between downloads, so what training reads is one array with a
checksum, and a record of where it came from.

    x.npy          (N, 3, T, V, M) float32, metres, preprocessed; opened as a read-only memmap
    meta.csv       one line per row of x: name, label, subject and whatever else the data set has
    manifest.json  schema, name, frames, classes, revision, counts, source, left_out, credit, sha256 of both

A write goes to a hidden folder beside the target and is renamed when complete. A killed write leaves only
that hidden folder; the next write removes it, unless its owner still lives (an flock dies with its process).
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
import secrets
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

SCHEMA = 1
ARRAY, META, MANIFEST = "x.npy", "meta.csv", "manifest.json"
REQUIRED = ("name", "label", "subject")
FIELDS = ("name", "frames", "classes", "revision", "counts", "source", "left_out", "credit", "sha256")
HEADER = 128  # bytes of the .npy header; fixed, so that it can be written when the number of rows is known


class Prepared(NamedTuple):
    """One stored data set: row i of `x` is described by row i of `meta`."""

    x: np.ndarray  # (N, 3, T, V, M) float32, metres, read-only memmap
    meta: pd.DataFrame
    manifest: dict[str, Any]


def folder_of(data: Path, name: str, frames: int) -> Path:
    """Where the data set `name`, resampled to `frames` frames, lies below the data folder."""
    return Path(data) / f"{name}-{frames}"


def command(folder: Path) -> str:
    """The command line that (re)creates `folder`; DIR stands for the raw files."""
    name, _, frames = folder.name.rpartition("-")
    where = shlex.quote(str(folder.parent))
    return f"python bench.py data prepare {name or folder.name} --raw DIR --frames {frames} --data {where}"


def _header(shape: tuple[int, ...]) -> bytes:
    """A .npy header (format 1.0) of exactly HEADER bytes for a C-ordered float32 array."""
    text = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    start = np.lib.format.magic(1, 0)
    room = HEADER - len(start) - 2
    return start + room.to_bytes(2, "little") + text.ljust(room - 1) + b"\n"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hidden(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.{secrets.token_hex(4)}.partial"


def _remove_leftovers(folder: Path) -> None:
    """Delete what killed writes of this data set left; a folder locked by a living writer stays."""
    for path in folder.parent.glob(f".{folder.name}.*.partial"):
        handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(path)
        finally:
            os.close(handle)


def write(
    folder: Path,
    clips: Iterable[tuple[Mapping[str, Any], np.ndarray]],
    *,
    name: str,
    classes: int,
    revision: int,
    credit: str,
    source: Mapping[str, Any],
    left_out: Sequence[str] = (),
) -> Path:
    """Store a data set clip by clip, in the order given; memory holds one clip at a time. Returns `folder`.

    clips: pairs of a meta row (at least name, label, subject; the same keys in every row) and an array
        (3, T, V, M); a generator is fine, the number of clips need not be known.
    source: how it was made (raw path kinds, options), for the manifest. No secrets, no clock time.
    left_out: names (with reasons) of clips that were skipped; read after the last clip, so a list that the
        generator fills is fine.

    An existing data set is replaced only after the new one is complete. Raises ValueError for no clips, clips
    or rows that do not match the first, labels outside 0..classes-1 and repeated names; OSError (with advice)
    for a folder that cannot be written.
    """
    folder = Path(folder)
    partial = _hidden(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        partial.mkdir()
    except OSError as error:
        advice = "choose a folder that you can write to with --data"
        raise OSError(error.errno, f"cannot write the data set {folder}: {error.strerror}; {advice}") from error
    lock = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        meta, shape = _write_clips(partial, clips, classes)
        manifest = {
            "schema": SCHEMA,
            "name": name,
            "frames": shape[2],
            "persons": shape[4],
            "classes": classes,
            "revision": revision,
            "counts": {
                "clips": len(meta),
                "subjects": meta["subject"].nunique(),
                "per_class": np.bincount(meta["label"], minlength=classes).tolist(),
            },
            "source": dict(source),
            "left_out": list(left_out),
            "credit": credit,
            "sha256": {file: _sha256(partial / file) for file in (ARRAY, META)},
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        for path in (partial / MANIFEST, partial):
            _sync(path)
        if folder.exists():
            old = _hidden(folder)  # under a hidden name a kill between the two renames leaves a leftover
            folder.rename(old)
            partial.rename(folder)
            shutil.rmtree(old)
        else:
            partial.rename(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # gone already after a rename
        os.close(lock)
    return folder


def _write_clips(
    partial: Path, clips: Iterable[tuple[Mapping[str, Any], np.ndarray]], classes: int
) -> tuple[pd.DataFrame, tuple[int, ...]]:
    """Append every clip to x.npy, write meta.csv; returns the rows and the shape of the whole array."""
    rows: list[dict[str, Any]] = []
    names: set[str] = set()
    shape: tuple[int, ...] = ()
    with (partial / ARRAY).open("wb") as file:
        file.write(b"\0" * HEADER)
        for row, clip in clips:
            if not rows:
                shape = clip.shape
                missing = [column for column in REQUIRED if column not in row]
                if missing or len(shape) != 4:
                    raise ValueError(f"first clip: lacks {missing or 'nothing'}, shape {shape}, expected (3, T, V, M)")
            if clip.shape != shape or (rows and row.keys() != rows[0].keys()):
                raise ValueError(
                    f"{row['name']}: shape {clip.shape} and columns {list(row)} differ from those of the "
                    f"first clip, {shape} and {list(rows[0])}"
                )
            if row["name"] in names:
                raise ValueError(f"{row['name']}: the name occurs twice; every clip needs its own")
            if not 0 <= row["label"] < classes:
                raise ValueError(f"{row['name']}: label {row['label']}, allowed are 0..{classes - 1}")
            file.write(np.ascontiguousarray(clip, dtype="<f4").tobytes())
            rows.append(dict(row))
            names.add(row["name"])
        if not rows:
            raise ValueError("there are no clips to store; look at the raw folder")
        file.seek(0)
        file.write(_header((len(rows), *shape)))
        file.flush()
        os.fsync(file.fileno())
    meta = pd.DataFrame(rows)
    meta.to_csv(partial / META, index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
    _sync(partial / META)
    return meta, (len(rows), *shape)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _sha256_once(path: Path, modified: int, size: int) -> str:
    """The checksum of a file that looks unchanged: computed once per process (NTU-120 is 4 GB)."""
    return _sha256(path)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a data set, with its schema checked but no checksum computed.

    Raises FileNotFoundError (with the command to run) and ValueError for a manifest that cannot be used.
    """
    folder = Path(folder)
    again = f"prepare it with: {command(folder)}"
    for file in (MANIFEST, ARRAY, META):
        if not (folder / file).is_file():
            what = f"{folder.name} is not prepared" if file == MANIFEST else f"{folder.name} is incomplete"
            raise FileNotFoundError(f"{what}: there is no {folder / file}; {again}")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        schema = manifest["schema"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{folder / MANIFEST} cannot be read ({error!r}); {again}") from error
    if schema != SCHEMA:
        raise ValueError(f"{folder / MANIFEST} has schema {schema!r}, this program reads {SCHEMA}; {again}")
    lacking = [field for field in FIELDS if field not in manifest]
    if lacking:
        raise ValueError(f"{folder / MANIFEST} lacks {', '.join(lacking)}; {again}")
    if f"{manifest['name']}-{manifest['frames']}" != folder.name:
        stored = f"{manifest['name']} at {manifest['frames']} frames"
        raise ValueError(f"{folder} holds {stored}: was it renamed? Give it its name back, or {again}")
    return manifest


def load(folder: Path) -> Prepared:
    """Open a data set, both checksums verified (once per process while the files stay as they are).

    Raises FileNotFoundError for a missing data set, ValueError for a wrong checksum, schema or shape.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    for file in (ARRAY, META):
        path, expected = folder / file, manifest["sha256"][file]
        status = path.stat()
        found = _sha256_once(path.resolve(), status.st_mtime_ns, status.st_size)
        if found != expected:
            raise ValueError(
                f"{path} is damaged or was changed: sha256 expected {expected}, found {found}; "
                f"restore the file, or prepare it again with: {command(folder)}"
            )
    x = np.load(folder / ARRAY, mmap_mode="r")
    meta = pd.read_csv(folder / META, keep_default_na=False, dtype={"name": str})
    if len(meta) != len(x) or x.ndim != 5 or x.shape[2] != manifest["frames"]:
        raise ValueError(f"{folder}: {ARRAY} {x.shape} and {META} ({len(meta)} rows) do not belong together")
    return Prepared(x, meta, manifest)


def check(folder: Path) -> str:
    """Verify a data set and describe it in a few lines; raises as `load` does, and for non-finite numbers."""
    x, meta, manifest = load(folder)
    for start in range(0, len(x), 256):
        finite = np.isfinite(x[start : start + 256]).all(axis=(1, 2, 3, 4))
        if not finite.all():
            name = meta["name"][start + int(np.argmin(finite))]
            raise ValueError(f"{folder}: clip {name} holds numbers that are not finite; {command(Path(folder))}")
    counts, left_out = manifest["counts"], manifest["left_out"]
    lines = [
        f"{folder}: {len(x)} clips, {x.shape[2]} frames, {x.shape[4]} person(s), revision {manifest['revision']}",
        f"  both checksums agree; {counts['subjects']} subjects; per class {counts['per_class']}",
        f"  source: {json.dumps(manifest['source'])}",
        f"  left out: {len(left_out)}" + "".join(f"\n    {name}" for name in left_out[:5]),
    ]
    return "\n".join(lines + (["    ..."] if len(left_out) > 5 else []))
