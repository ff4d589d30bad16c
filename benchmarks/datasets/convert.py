"""From a Source to a prepared data set: parallel over clips, bounded memory, resumable after a kill.

Why: NTU RGB+D 120 is 114,480 files. Clips are cut into parts; a worker loads and preprocesses the clips of one part
and writes them to their places in x.npy; then a line in the journal says that the part is done, and what was found.
The same command after a kill reads the journal and goes on. The bytes of the result depend on the raw files and the
options alone, not on the number of workers, kills or order.

Clips that cannot be used are reported, counted and left out; the last good rows move into the holes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets.parts import PART, Found, Shape, Watch, convert_parts
from benchmarks.datasets.preprocess import JOINTS
from benchmarks.datasets.source import WHOLE, Clip, Source
from benchmarks.datasets.staging import HEADER, publish, staged
from benchmarks.datasets.store import ARRAY, REQUIRED

SHOWN = 50  # bad recordings that are printed; the manifest has all


def convert(
    folder: Path,
    source: Source,
    *,
    name: str,
    frames: int,
    persons: int,
    classes: int,
    revision: int,
    credit: str,
    raw: Sequence[str] = (),
    strict: bool = False,
    jobs: int = 1,
    say: Callable[[str], None] = print,
    watch: Watch = lambda done, total: None,
) -> Path:
    """Store everything that `source` lists, at `frames` frames and `persons` persons, as `folder`.

    raw: what the manifest says about where it came from. strict: stop at the first recording that cannot be used.
    jobs: worker processes; one means this process, as does a source that is not parallel.
    Each row of meta is the source's row and recorded (frames that it loads), length (frames with a first person) and
    persons (how many are ever seen). Raises ValueError for a source without usable clips, rows that do not fit
    together, and with `strict`; OSError (with advice) when the folder cannot be written or the disk is full.
    """
    _check_rows(source.clips, classes)
    if strict and source.refused:
        raise ValueError(f"stopped by --strict: {source.refused[0]}")
    shape: Shape = (3, frames, JOINTS, persons)
    token = _token(source, name, revision, shape)
    with staged(Path(folder), token) as partial:
        found = convert_parts(partial, source, shape, strict, jobs, watch)
        bad = [
            f"{clip.origin}: {what}" for clip, what in zip(source.clips, found, strict=True) if isinstance(what, str)
        ]
        left_out = [*source.refused, *bad]
        for line in _report(found, len(left_out), [*source.refused, *_told(source.clips, found)]):
            say(line)
        if len(bad) == len(found):
            shutil.rmtree(partial)
            raise ValueError(f"none of the {len(bad)} recordings can be used; the first: {bad[0]}")
        rows = _close(partial / ARRAY, source.clips, found, shape)
        return publish(
            partial,
            Path(folder),
            rows,
            shape,
            name=name,
            classes=classes,
            revision=revision,
            credit=credit,
            source={"raw": list(raw), "kind": source.kind, **source.options},
            left_out=left_out,
        )


def _check_rows(clips: Sequence[Clip], classes: int) -> None:
    if not clips:
        raise ValueError("there are no clips to store; look at the raw folder")
    first = clips[0].row
    missing = [column for column in REQUIRED if column not in first]
    if missing:
        raise ValueError(f"{clips[0].origin}: the row lacks {', '.join(missing)}")
    names: set[str] = set()
    for clip in clips:
        row = clip.row
        if row.keys() != first.keys():
            raise ValueError(f"{row['name']}: columns {list(row)} differ from those of the first clip, {list(first)}")
        if row["name"] in names:
            raise ValueError(f"{row['name']}: the name occurs twice; every clip needs its own")
        if not 0 <= row["label"] < classes:
            raise ValueError(f"{row['name']}: label {row['label']}, allowed are 0..{classes - 1}")
        names.add(row["name"])


def _token(source: Source, name: str, revision: int, shape: tuple[int, ...]) -> str:
    """Names the work: parts are reused only when everything that decides their bytes is the same."""
    listed = hashlib.sha256()
    for clip in source.clips:
        listed.update(f"{clip.row['name']}\n".encode())
    parts = (source.kind, source.fingerprint, dict(source.options), name, revision, shape, PART, listed.hexdigest())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _close(array: Path, clips: Sequence[Clip], found: Sequence[Found], shape: Shape) -> list[Mapping[str, Any]]:
    """Fill the holes that bad clips left with the last good rows, cut the file, and say which rows it holds now.

    A kill in here does no harm: the file is cut after the copies, and copies from the end can be repeated until then.
    """
    row_bytes = 4 * int(np.prod(shape))
    good = [i for i, what in enumerate(found) if not isinstance(what, str)]
    order = list(range(len(good)))
    holes = [i for i in order if isinstance(found[i], str)]
    tail = [i for i in good if i >= len(good)]
    with array.open("r+b") as file:
        for hole, last in zip(holes, tail, strict=True):
            order[hole] = last
            file.seek(HEADER + last * row_bytes)
            row = file.read(row_bytes)  # nothing, once the file is cut; then it is in its hole already
            file.seek(HEADER + hole * row_bytes)
            file.write(row)
        file.flush()
        os.fsync(file.fileno())
        file.truncate(HEADER + len(good) * row_bytes)
    rows = []
    for i in order:
        what = found[i]
        assert isinstance(what, dict)
        rows.append({**clips[i].row, **{key: what[key] for key in ("recorded", "length", "persons")}})
    return rows


def _told(clips: Sequence[Clip], found: Sequence[Found]) -> list[str]:
    """Why clips are left out: one line each, but one for all of a file that cannot be used, with how many it held."""
    lines: Counter[str] = Counter()
    for clip, what in zip(clips, found, strict=True):
        if isinstance(what, str):
            shared = clip.whole and what.startswith(WHOLE)
            lines[f"{clip.whole}: {what.removeprefix(WHOLE)}" if shared else f"{clip.origin}: {what}"] += 1
    return [line + (f" ({count} clips)" if count > 1 else "") for line, count in lines.items()]


def _report(found: Sequence[Found], count: int, lines: Sequence[str]) -> Iterator[str]:
    """Lines for people: what was mended, what was left out."""
    remarks = Counter(what["remark"] for what in found if isinstance(what, dict) and what["remark"])
    for remark, count in sorted(remarks.items()):
        yield f"  {count} clips: {remark}"
    if lines:
        yield f"  {count} recordings cannot be used and are left out:"
        yield from (f"    {line}" for line in lines[:SHOWN])
        if len(lines) > SHOWN:
            yield f"    and {len(lines) - SHOWN} more; manifest.json has all"
