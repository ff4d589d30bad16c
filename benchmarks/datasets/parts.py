"""Loading, preprocessing and writing clips, part by part, in worker processes, with a journal of what is done.

Why: a part is what a kill costs. Its clips are consecutive rows of x.npy, written to their places by whichever process
did them; only then a line in the journal says so, with what was found and a checksum of both. The journal outlives the
process; what does not agree with it any more is done again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets.preprocess import FARTHEST, JOINTS, preprocess, valid_length
from benchmarks.datasets.source import Clip, Loaded, Source
from benchmarks.datasets.staging import HEADER
from benchmarks.datasets.store import ARRAY
from benchmarks.machine import workers

PART = 64  # clips
JOURNAL = "parts.jsonl"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the last: larger than a file may be in that place

Noted = tuple[list["Found"], str]  # of a part: what was found, and a checksum of that and of its rows
Found = dict[str, Any] | str  # what a clip turned out to be: recorded, length, persons, remark; or why it is left out
Watch = Callable[[int, int], None]  # clips done, clips in all
Shape = tuple[int, int, int, int]  # (3, T, V, M) of one row


@dataclass(frozen=True)
class _Part:
    """The work of one call in a worker process; everything in it can be pickled."""

    number: int
    clips: Sequence[Clip]
    load: Callable[[Any], Loaded]
    finished: bool
    shape: Shape
    array: str  # path of x.npy
    offset: int  # bytes, of the first row


def convert_parts(partial: Path, source: Source, shape: Shape, strict: bool, jobs: int, watch: Watch) -> list[Found]:
    """What every clip turned out to be, in order; what the journal has is not done again."""
    total, row_bytes = len(source.clips), 4 * int(np.prod(shape))
    journal, array = partial / JOURNAL, partial / ARRAY
    if not array.exists():
        journal.unlink(missing_ok=True)
    parts = [
        _Part(
            number, source.clips[start : start + PART], source.load, source.finished, shape, str(array),
            HEADER + start * row_bytes,
        )
        for number, start in enumerate(range(0, total, PART))
    ]  # fmt: skip
    noted = _read_journal(journal)
    done = {part.number: noted[part.number][0] for part in parts if _agrees(part, noted.get(part.number))}
    todo = [part for part in parts if part.number not in done]
    unchecked = deque(range(-(-total // PART)) if strict else ())

    def refuse_bad() -> None:
        """In the order of the clips, so that the same one is named whichever worker was faster."""
        while unchecked and unchecked[0] in done:
            number = unchecked.popleft()
            for clip, what in zip(source.clips[number * PART :], done[number], strict=False):
                if isinstance(what, str):
                    raise ValueError(f"stopped by --strict: {clip.origin}: {what}")

    refuse_bad()
    if todo:
        _reserve(array, HEADER + total * row_bytes)
    count = sum(map(len, done.values()))
    watch(count, total)
    with journal.open("a", encoding="utf-8") as log:
        for part, (found, checksum) in _work(todo, jobs if source.parallel else 1):
            done[part.number] = found
            log.write(json.dumps({"part": part.number, "found": found, "sha256": checksum}) + "\n")
            log.flush()
            os.fsync(log.fileno())
            count += len(found)
            watch(count, total)
            refuse_bad()
    return [what for number in sorted(done) for what in done[number]]


def _read_journal(path: Path) -> dict[int, Noted]:
    """Part number -> what is noted of it. A last line that a kill cut off is cut off; damaged ones are skipped."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(path, len(whole))
    noted = {}
    for line in whole.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            entry = json.loads(line)
            noted[entry["part"]] = (entry["found"], entry["sha256"])
    return noted


def _agrees(part: _Part, noted: Noted | None) -> bool:
    """Whether the rows of a part are still those of which the journal speaks."""
    if noted is None:
        return False
    found, checksum = noted
    with open(part.array, "rb") as file:
        file.seek(part.offset)
        rows = file.read(4 * int(np.prod((len(part.clips), *part.shape))))
    return checksum == _checksum(found, rows)


def _checksum(found: list[Found], rows: bytes | memoryview) -> str:
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode())
    digest.update(rows)
    return digest.hexdigest()


def _reserve(array: Path, size: int) -> None:
    """Give the file its full size on disk now, so that a full disk shows before the work and not after it.

    Where a file system cannot reserve, the file gets its size alone. What earlier runs finished stays whatever fails.
    """
    fresh = not array.exists()
    handle = os.open(array, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            os.posix_fallocate(handle, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            os.ftruncate(handle, size)
    except OSError as error:
        if fresh:
            shutil.rmtree(array.parent)
        place = array.parent.parent
        if error.errno not in NO_ROOM:
            raise OSError(
                f"cannot write the prepared data set in {place}: {error.strerror or error}; run the same command "
                "again, or choose another place with --data"
            ) from error
        raise OSError(
            f"no room for the prepared data set: it needs {size / 1e6:,.1f} MB in {place}, "
            f"{shutil.disk_usage(place).free / 1e6:,.1f} MB are free ({error.strerror}); make room, or choose another "
            "place with --data"
        ) from error
    finally:
        os.close(handle)


def _work(todo: Sequence[_Part], jobs: int) -> Iterator[tuple[_Part, Noted]]:
    """Parts and what was found in them, in the order in which they are completed."""
    if jobs == 1 or len(todo) < 2:
        for part in todo:
            yield part, _do(part)
        return
    with workers.one_thread():
        pool = ProcessPoolExecutor(jobs, mp_context=workers.CONTEXT, initializer=workers.begin, initargs=(os.getpid(),))
        futures = {pool.submit(_do, part): part for part in todo}
    try:
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
    except BrokenProcessPool as error:
        raise OSError(
            "a worker process was killed, for lack of memory perhaps; what is done is kept: "
            "run the same command again, with a smaller --jobs if it happens twice"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _do(part: _Part) -> Noted:
    """Load, preprocess and write the clips of one part; zeros stand in the places of those that are left out."""
    block = np.zeros((len(part.clips), *part.shape), np.float32)
    found = [_one(clip, part, block[i]) for i, clip in enumerate(part.clips)]
    handle = os.open(part.array, os.O_WRONLY)
    try:
        view, offset = memoryview(block.data).cast("B"), part.offset
        while view:
            written = os.pwrite(handle, view, offset)
            view, offset = view[written:], offset + written
        os.fdatasync(handle)
    finally:
        os.close(handle)
    return found, _checksum(found, memoryview(block.data).cast("B"))


def _one(clip: Clip, part: _Part, place: np.ndarray) -> Found:
    """Fill one row of the array and say what it is."""
    _, frames, _, persons = part.shape
    try:
        loaded = part.load(clip.place)
        largest = np.abs(loaded.x).max(initial=0.0)
        if not largest <= FARTHEST:  # NaN too
            return f"holds the coordinate {largest:g}, expected metres, at most {FARTHEST:g} from the sensor"
        x = loaded.x if part.finished else preprocess(loaded.x, frames, clip.row["name"])
    except ValueError as error:  # a source.BadClip, or what preprocess refuses
        return str(error).removeprefix(f"{clip.row['name']}: ")
    if x.shape[3] > persons or x.shape[:3] != part.shape[:3]:
        return f"an array of shape {x.shape}, expected (3, {frames}, {JOINTS}, at most {persons})"
    place[..., : x.shape[3]] = x
    return {
        "recorded": loaded.x.shape[1],
        "length": valid_length(loaded.x),
        "persons": int(np.any(loaded.x, axis=(0, 1, 2)).sum()),
        "remark": loaded.remark,
    }
