"""Reader of IntelliRehabDS (IRDS): real Kinect v2 recordings of nine rehabilitation gestures.

Why: it is the one real data set that may be passed on (CC BY 4.0), with the same 25 joints in the same order
as NTU RGB+D. Format, counts and quirks: data set specification, section 1. A file of `Simplified/` is a clip:

    SubjectID_DateID_Gesture_Repetition_Correct_Position.txt
    one frame per line: 75 comma-separated numbers, x, y, z of 25 joints in metres; y up, z away from sensor

Files are found by their names, in a folder or inside an archive; an archive is streamed, never unpacked.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import pandas as pd

from benchmarks.datasets.preprocess import JOINTS
from benchmarks.datasets.raw.found import HIDDEN, NOT_A_ZIP, below, most_unpacked, must_exist
from benchmarks.datasets.source import BadClip, Clip, Loaded, Source
from benchmarks.names import few

NUMBERS = 3 * JOINTS
PATTERN = re.compile(r"(\d+)_(\d+)_(\d+)_(\d+)_(\d+)_([A-Za-z]+(?:-[A-Za-z]+)?)\.txt", re.IGNORECASE)
ARCHIVES = (".tar", ".tar.xz", ".txz", ".tar.gz", ".tgz", ".tar.bz2", ".zip")
BROKEN = (tarfile.TarError, OSError, *NOT_A_ZIP)
LARGEST = 10_000_000  # bytes of a recording; the longest genuine one is a tenth of it

# What the complete release holds. Correct: 1 correct, 2 incorrect, 3 poor. Positions in lower case.
EXPECTED: dict[str, dict[Any, int]] = {
    "files": {"all": 2589},
    "frames": {"all": 228301},
    "gesture": dict(enumerate((258, 279, 376, 318, 277, 257, 260, 274, 290))),
    "correct": {1: 2047, 2: 530, 3: 12},
    "position": {"stand": 1222, "chair": 844, "wheelchair": 361, "sit": 110, "stand-frame": 52},
}


def source(raw: Sequence[Path], dataset: str = "irds") -> Source:
    """Every recording below `raw` (folders or archives), sorted by name whatever the order on disk.

    Recordings of an archive are held in memory, 171 MB for the whole release.
    Raises FileNotFoundError when nothing is found, ValueError for a file that occurs twice or a damaged archive.
    """
    clips: dict[str, Clip] = {}
    origin: dict[str, str] = {}
    refused: list[str] = []
    digest = hashlib.sha256()
    notes: list[str] = []
    for where, spelt, place in _files(raw, notes):
        name = spelt[: -len(".txt")] + ".txt"  # or .TXT
        if name in origin:
            raise ValueError(f"{name} occurs twice: in {origin[name]} and in {where}; give --raw only one of them")
        origin[name] = where
        try:
            clips[name] = Clip(parse_name(name), place, name)
        except ValueError as error:
            refused.append(f"{name}: {str(error).removeprefix(f'{name}: ')}")
    for name in sorted(clips):
        place = clips[name].place
        known_by = hashlib.sha256(place).hexdigest() if isinstance(place, bytes) else _stamp(place)
        digest.update(f"{name} {known_by}\n".encode())
    return Source(
        kind="IRDS Simplified",
        clips=[clips[name] for name in sorted(clips)],
        load=load,
        fingerprint=digest.hexdigest(),
        notes=notes,
        refused=sorted(refused),
        parallel=False,
    )


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def load(place: Path | bytes) -> Loaded:
    """One recording from its file, or from its content. Raises BadClip."""
    try:
        return Loaded(parse(place if isinstance(place, bytes) else place.read_bytes()))
    except OSError as error:
        raise BadClip(f"cannot be read: {error.strerror}") from error


def parse_name(name: str) -> dict[str, Any]:
    """The meta row that a file name tells. Raises ValueError for values that the release does not know."""
    match = PATTERN.fullmatch(name)
    if match is None:
        raise ValueError(f"{name} is not SubjectID_DateID_Gesture_Repetition_Correct_Position.txt")
    subject, _, gesture, repetition, correct = map(int, match.groups()[:5])
    position = match[6].lower()  # the release spells one of them Stand-frame
    for key, value in (("gesture", gesture), ("correct", correct), ("position", position)):
        if value not in EXPECTED[key]:
            raise ValueError(f"{key} {value!r} in the file name, allowed are {', '.join(map(str, EXPECTED[key]))}")
    return {
        "name": name[: -len(".txt")],
        "label": gesture,
        "subject": subject,
        "gesture": gesture,
        "repetition": repetition,
        "correct": correct,
        "position": position,
    }


def parse(content: bytes) -> np.ndarray:
    """The text of one file -> (3, T, 25, 1) float64, metres. Either line end and blank last lines are fine.

    Raises BadClip with the first bad line and what was found there.
    """
    lines = content.decode("utf-8", errors="replace").rstrip().splitlines()
    if not lines:
        raise BadClip("the file is empty")
    if lines[0].startswith("Version"):
        raise BadClip("line 1: this is a file of RawData; the reader takes those of Simplified")
    values = np.empty((len(lines), NUMBERS))
    for number, line in enumerate(lines, start=1):
        fields = line.split(",")
        if len(fields) != NUMBERS:
            last = " in the last line: is the file cut?" if number == len(lines) else ""
            count = len([field for field in fields if field.strip()])
            raise BadClip(f"line {number}: found {count} numbers, expected {NUMBERS}{last}")
        try:
            values[number - 1] = [float(field) for field in fields]
        except ValueError:
            column = next(i for i, field in enumerate(fields) if not _is_number(field))
            found = f"found {fields[column].strip()[:20]!r}"
            raise BadClip(f"line {number}, number {column + 1}: {found}, expected a number") from None
    finite = np.isfinite(values)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        found = f"found {values[row, column]}"
        raise BadClip(f"line {row + 1}, number {column + 1}: {found}, expected a finite number")
    return values.reshape(-1, JOINTS, 3).transpose(2, 0, 1)[..., None]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def counts(meta: pd.DataFrame) -> list[tuple[str, int, int]]:
    """(what, expected, found) for everything that is known about the complete release."""
    found: dict[str, Mapping[Any, int]] = {
        "files": {"all": len(meta)},
        "frames": {"all": int(meta["recorded"].to_numpy().sum())},
    }
    for key in ("gesture", "correct", "position"):
        found[key] = Counter(meta[key])
    return [
        (group if value == "all" else f"{group} {value}", count, found[group].get(value, 0))
        for group, values in EXPECTED.items()
        for value, count in values.items()
    ]


def _files(raw: Sequence[Path], notes: list[str]) -> Iterator[tuple[str, str, Path | bytes]]:
    """Every recording as (where, file name, path or content), from folders, else from archives in them.

    notes: gets a line for archives in a folder that are damaged, and one for texts of other names.
    """
    any_found, damaged = False, None
    others: list[str] = []
    for place in map(Path, raw):
        must_exist(place, "Give the folder or the archive with the IRDS files.")
        if place.is_dir():
            paths = sorted(map(Path, below(place)))
            texts = [path for path in paths if _wanted(path)]
            archives = [] if texts else [path for path in paths if _is_archive(path)]
            others += [path.name for path in paths if _another_text(path)]
        else:
            texts, archives = ([place], []) if _wanted(place) else ([], [place])
        for path in texts:
            any_found = True
            yield str(path.parent), path.name, path
        for archive in archives:
            members = _members(archive, others)
            try:
                held = list(members) if place.is_dir() else members
            except ValueError as error:
                notes.append(f"passed over: {error}")
                damaged = error
                continue
            for name, content in held:
                any_found = True
                yield str(archive), name, content
    if others:
        what = "text files are not named like a recording (101_18_0_1_1_stand.txt) and are passed over"
        notes.append(f"{len(others)} {what}: {few(sorted(others))}")
    if damaged and not any_found:
        raise damaged
    if not any_found:
        places = ", ".join(map(str, raw))
        raise FileNotFoundError(
            f"no IRDS recording in {places}: expected files such as 101_18_0_1_1_stand.txt (the folder "
            f"Simplified of Zenodo record 4610859), or an archive of them ({', '.join(ARCHIVES)})"
            + "".join(f"; {note}" for note in notes)
        )


def _wanted(path: Path | PurePosixPath) -> bool:
    """RawData holds files of the same names in another format: what lies below it is passed over."""
    return PATTERN.fullmatch(path.name) is not None and "RawData" not in path.parts[:-1]


def _another_text(path: Path | PurePosixPath) -> bool:
    """A text that is no recording, and perhaps should be one."""
    about = PATTERN.fullmatch(path.name) or path.stem.lower().startswith(("readme", "license", HIDDEN))
    return path.suffix.lower() == ".txt" and not about and "RawData" not in path.parts[:-1]


def _is_archive(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(ARCHIVES)


def _members(archive: Path, others: list[str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of every recording in an archive, read one after the other in its own order.

    others: gets the names of its other texts.
    """
    try:
        most = most_unpacked(archive.stat().st_size)
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as pack:
                wanted = [info for info in pack.infolist() if _wanted(PurePosixPath(info.filename))]
                others += [path.name for path in map(PurePosixPath, pack.namelist()) if _another_text(path)]
                if sum(info.file_size for info in wanted) > most:
                    raise ValueError(f"it unpacks to more than {most} bytes")
                for info in wanted:
                    _not_too_large(info.filename, info.file_size)
                    yield PurePosixPath(info.filename).name, pack.read(info)
            return
        with _unpacked(archive) as stream, tarfile.open(fileobj=_metered(stream, most), mode="r|") as pack:
            for member in pack:
                path = PurePosixPath(member.name)
                if member.isfile() and _another_text(path):
                    others.append(path.name)
                if member.isfile() and _wanted(path):
                    _not_too_large(member.name, member.size)
                    file = pack.extractfile(member)
                    assert file is not None
                    yield path.name, file.read()
    except BROKEN as error:
        raise ValueError(f"{archive} is not a readable archive, or is cut ({error}); fetch it again") from error


def _not_too_large(name: str, size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"{name:.60} has {size} bytes, expected at most {LARGEST}")


def _unpacked(archive: Path) -> Any:
    """The tar file in an archive of whatever compression."""
    with archive.open("rb") as file:
        start = file.read(6)
    for magic, unpack in ((b"\xfd7zXZ\0", lzma.open), (b"\x1f\x8b", gzip.open), (b"BZh", bz2.open)):
        if start.startswith(magic):
            return unpack(archive, "rb")
    return archive.open("rb")


def _metered(stream: IO[bytes], most: int) -> Any:
    return _Metered(stream, most)  # tarfile asks a stream for `read` alone; its annotations ask for more


class _Metered:
    """A stream that ends in an error after `most` bytes."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self.stream, self.left, self.most = stream, most, most

    def read(self, size: int) -> bytes:
        """As of any stream."""
        content = self.stream.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise ValueError(f"it unpacks to more than {self.most} bytes")
        return content
