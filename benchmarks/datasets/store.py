"""The prepared data set on disk: one folder `<data>/<name>-<frames>/`, whole or absent, verified when opened.

Why: preparing is slow and raw files differ between downloads, so what training reads is one array with a
checksum, and a record of where it came from.

    x.npy          (N, 3, T, V, M) float32, metres, preprocessed; opened as a read-only memmap
    meta.csv       one line per row of x: name, label, subject and whatever else the data set has
    manifest.json  schema, name, frames, classes, revision, counts, source, left_out, credit, sha256 of both

This file reads and verifies; staging.py and convert.py write.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

from benchmarks.digest import digest

SCHEMA = 1
ARRAY, META, MANIFEST = "x.npy", "meta.csv", "manifest.json"
REQUIRED = ("name", "label", "subject")
FIELDS = ("name", "frames", "classes", "revision", "counts", "source", "left_out", "credit", "sha256")


class Prepared(NamedTuple):
    """One stored data set: row i of `x` is described by row i of `meta`."""

    x: np.ndarray  # (N, 3, T, V, M) float32, metres, read-only memmap
    meta: pd.DataFrame
    manifest: dict[str, Any]


def folder_of(data: Path, name: str, frames: int) -> Path:
    """Where the data set `name`, resampled to `frames` frames, lies below the data folder."""
    return Path(data) / f"{name}-{frames}"


def lengths_of(data: Path, name: str) -> list[int]:
    """The numbers of frames at which a data set has a folder below `data`, whatever is in it, the shortest first."""
    found = (folder.name.rpartition("-")[2] for folder in data.glob(f"{name}-*"))
    return sorted(int(frames) for frames in found if frames.isdecimal())


def command(folder: Path) -> str:
    """The command line that (re)creates `folder`; PATH stands for the raw files."""
    name, _, frames = folder.name.rpartition("-")
    where = shlex.quote(str(folder.parent))
    return f"python bench.py data prepare {name or folder.name} --raw PATH --frames {frames} --data {where}"


def sha256(path: Path) -> str:
    """The checksum of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _sha256_once(path: Path, inode: int, changed: int, size: int) -> str:
    """The checksum of a file that looks unchanged: computed once per process (NTU-120 is 4 GB)."""
    return sha256(path)


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
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"{folder / MANIFEST} cannot be read ({error!r}); {again}") from error
    if schema != SCHEMA:
        raise ValueError(f"{folder / MANIFEST} has schema {schema!r}, this program reads {SCHEMA}; {again}")
    lacking = [field for field in FIELDS if field not in manifest]
    if lacking:
        raise ValueError(f"{folder / MANIFEST} lacks {', '.join(lacking)}; {again}")
    if unknown := sorted(manifest.keys() - {"schema", "persons", "digest", *FIELDS}):
        raise ValueError(f"{folder / MANIFEST} has {', '.join(unknown)!r:.60}, which no manifest has; {again}")
    if manifest.get("digest", digest(manifest)) != digest(manifest):  # older versions wrote none
        raise ValueError(f"{folder / MANIFEST} was changed after it was written; {again}")
    if wrong := _misshapen(manifest):
        raise ValueError(f"{folder / MANIFEST}: {wrong} is not of the right kind; {again}")
    if f"{manifest['name']}-{manifest['frames']}" != folder.name:
        stored = f"{manifest['name']} at {manifest['frames']} frames"
        raise ValueError(f"{folder / MANIFEST} is of {stored}: was it renamed? Give it its name back, or {again}")
    return manifest


def _misshapen(manifest: dict[str, Any]) -> str | None:
    """The first entry that has another type than those that are written."""
    kinds = {"name": str, "frames": int, "revision": int, "counts": dict, "source": dict, "left_out": list}
    for field, kind in (*kinds.items(), ("sha256", dict)):
        if type(manifest[field]) is not kind:
            return field
    if not isinstance(manifest["counts"].get("clips"), int):
        return "counts"
    if not all(isinstance(manifest["sha256"].get(file), str) for file in (ARRAY, META)):
        return "sha256"
    return None if isinstance(manifest["source"].get("raw", []), list) else "source"


def load(folder: Path) -> Prepared:
    """Open a data set, both checksums verified (once per process while the files stay as they are).

    Raises FileNotFoundError for a missing data set, ValueError for a wrong checksum, schema or shape.
    """
    import pandas as pd  # slow to import, and only who opens a data set needs it

    folder = Path(folder)
    manifest = read_manifest(folder)
    for file in (ARRAY, META):
        path, expected = folder / file, manifest["sha256"][file]
        status = path.stat()
        found = _sha256_once(path.resolve(), status.st_ino, status.st_ctime_ns, status.st_size)
        if found != expected:
            raise ValueError(
                f"{path} is damaged or was changed: sha256 expected {expected}, found {found}; "
                f"restore the file, or prepare it again with: {command(folder)}"
            )
    x = np.load(folder / ARRAY, mmap_mode="r", allow_pickle=False)
    meta = pd.read_csv(folder / META, keep_default_na=False, dtype={"name": str})
    if len(meta) != len(x) or x.ndim != 5 or x.shape[2] != manifest["frames"]:
        raise ValueError(f"{folder}: {ARRAY} {x.shape} and {META} ({len(meta)} rows) do not belong together")
    return Prepared(x, meta, manifest)
