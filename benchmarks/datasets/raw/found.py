"""Raw files, wherever they lie: loose below folders or inside zip files; told apart by names, read without unpacking.

Why: people keep downloads in every shape. NTU RGB+D and PKU-MMD come as zip files, and their names say what they are.
"""

from __future__ import annotations

import difflib
import hashlib
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from benchmarks.datasets.source import BadClip
from benchmarks.names import few

LARGEST = 200_000_000  # bytes; the largest genuine recording is a hundredth of it
HIDDEN = "._"  # how names of the files begin in which macOS keeps what other file systems cannot
RATIO, SMALL = 100, 10_000_000  # texts pack to a tenth, arrays to a third; what is SMALL may pack as it likes
NOT_A_ZIP = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError,
)  # fmt: skip


class File(NamedTuple):
    """One raw file. A place: small, and can be sent to another process."""

    path: str  # of the file, or of the zip file that holds it
    member: str | None  # its name in there
    size: int  # bytes
    stamp: int  # modification time in ns, or the checksum that the zip file keeps

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.member or self.path).name

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else self.path


def files(raw: Sequence[Path], endings: tuple[str, ...], advice: str, notes: list[str]) -> Iterator[File]:
    """Every file below `raw` (folders, files, zip files) whose name ends like that, in no particular order.

    notes: gets a line for each zip file in a folder that is damaged, or that holds zip files, which are not opened.
    Raises FileNotFoundError, with `advice`, for a path that does not exist; ValueError for a damaged zip file that
    was named itself, or where there is nothing else.
    """
    any_found, damaged = False, None
    for place in raw:
        must_exist(place, advice)
        for path in below(place) if place.is_dir() else [str(place)]:
            if path.lower().endswith(endings):
                any_found = True
                yield _loose(path)
            elif path.lower().endswith(".zip"):
                try:
                    members = _members(path, endings, notes)
                except ValueError as error:
                    if not place.is_dir():
                        raise
                    notes.append(f"passed over: {error}")
                    damaged = error
                    continue
                any_found = any_found or bool(members)
                yield from members
    if damaged and not any_found:
        raise damaged


def must_exist(place: Path, advice: str) -> None:
    """Raises FileNotFoundError, with the nearest name and `advice`, for a path that does not exist."""
    if not place.exists():
        siblings = [path.name for path in place.parent.iterdir()] if place.parent.is_dir() else []
        near = difflib.get_close_matches(place.name, siblings, n=1)
        hint = f" Did you mean {place.parent / near[0]}?" if near else ""
        raise FileNotFoundError(f"--raw {place} does not exist.{hint} {advice}")


def below(folder: Path) -> Iterator[str]:
    """Every file below a folder, linked folders too, each once; not the ._ files that macOS leaves beside others."""
    visited: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        yield from (os.path.join(parent, name) for name in names if not name.startswith(HIDDEN))


def _loose(path: str) -> File:
    try:
        status = os.stat(path)
    except OSError:  # a link to nowhere, perhaps: `content` will tell
        return File(path, None, 0, 0)
    return File(path, None, status.st_size, status.st_mtime_ns)


def _members(path: str, endings: tuple[str, ...], notes: list[str]) -> list[File]:
    infos = [info for info in _opened(path).infolist() if not PurePosixPath(info.filename).name.startswith(HIDDEN)]
    inner = [info.filename for info in infos if info.filename.lower().endswith(".zip")]
    if inner:
        notes.append(f"{path} holds zip files, which are not opened; unpack it first: {few(sorted(inner))}")
    return [
        File(path, info.filename, info.file_size, info.CRC)
        for info in infos
        if info.filename.lower().endswith(endings) and not info.filename.startswith("__MACOSX/")
    ]


def most_unpacked(packed: int) -> int:
    """Bytes that `packed` bytes of an archive may unpack to; more is no recording but a trap for memory and disk."""
    return SMALL + RATIO * packed


@lru_cache(maxsize=4)
def _opened(path: str) -> zipfile.ZipFile:
    """A zip file, opened once per process."""
    try:
        return zipfile.ZipFile(path)
    except (*NOT_A_ZIP, OSError) as error:
        raise ValueError(f"{path} is not a readable zip file, or is cut ({error}); fetch it again") from error


def content(file: File, first: int = LARGEST) -> bytes:
    """All of a file, or its first bytes. Raises BadClip when it cannot be read, or is far too large to be genuine."""
    if file.size > LARGEST:
        raise BadClip(f"has {file.size} bytes, expected at most {LARGEST}")
    try:
        if file.member is None:
            with open(file.path, "rb") as handle:
                return handle.read(first)
        pack = _opened(file.path)
        if file.size > (most := most_unpacked(pack.getinfo(file.member).compress_size)):
            raise BadClip(f"unpacks to {file.size} bytes, expected at most {most}")
        with pack.open(file.member) as handle:
            return handle.read(first)
    except BadClip:
        raise
    except NOT_A_ZIP as error:
        raise BadClip(f"cannot be unpacked ({error}); fetch {file.path} again") from error
    except OSError as error:
        raise BadClip(f"cannot be read: {error.strerror or error}") from error


def fingerprint(found: Iterable[File]) -> str:
    """Changes when one of the files does, as far as names, sizes, times and checksums of zip files tell."""
    digest = hashlib.sha256()
    for file in found:
        digest.update(f"{file.name} {file.size} {file.stamp}\n".encode())
    return digest.hexdigest()


def first_of_each(found: Iterable[tuple[str, File]]) -> tuple[dict[str, File], int]:
    """One file per key, a loose one before one in a zip file; and how many more there were.

    Raises ValueError for two loose files, or two zipped ones, of one key that differ in more than their line ends.
    """
    chosen: dict[str, File] = {}
    more = 0
    for key, file in found:
        other = chosen.setdefault(key, file)
        if other is file:
            continue
        more += 1
        if (other.member is None) == (file.member is None):
            if not _same(other, file):
                raise ValueError(f"{key} occurs twice and differs: {other} and {file}; give --raw only one of them")
        elif file.member is None:
            chosen[key] = file
    return chosen, more


def _same(one: File, other: File) -> bool:
    """Whether two files hold the same text; copies with CRLF and with LF do."""
    if one == other or (one.member and other.member and (one.size, one.stamp) == (other.size, other.stamp)):
        return True  # given twice, or of one checksum
    try:
        left, right = (content(file).replace(b"\r\n", b"\n") for file in (one, other))
    except BadClip:
        return False
    return left == right
