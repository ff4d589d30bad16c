"""Parser of one NTU RGB+D `.skeleton` file: fast, exact about ids, and clear about what is wrong with a bad file.

Why: NTU RGB+D 120 is 114,480 of these files, some 30 GB of text of which a quarter is wanted. Format: data set
specification, section 2.1. Of the twelve numbers of a joint the first three are read; the others (depth, colour,
orientation, state) must be there but are not looked at. Line by line:

    T                                      frames
    B                                      bodies in this frame, then for each body:
    bodyID and 9 more fields               the id is an integer of 17 digits: a float would merge people
    25                                     joints, then one line each:
    x y z and 9 more fields                metres in camera space, y up, z away from the sensor
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.datasets.preprocess import FARTHEST, JOINTS
from benchmarks.datasets.source import BadClip

JOINT_FIELDS, BODY_FIELDS = 12, 10
BODY_LINES = JOINTS + 2


class Frames(NamedTuple):
    """All bodies of a recording, frame by frame in the order of the file."""

    total: int  # T
    frame: np.ndarray  # (n,) int: in which frame each body was seen
    place: np.ndarray  # (n,) int: which body of its frame it is in the file, 0 the first
    ids: list[int]  # n
    xyz: np.ndarray  # (n, 25, 3) float64, metres
    dropped: int  # bodies with a NaN: not seen, but nobody else takes their place in the frame


def parse(content: bytes) -> Frames:
    """The content of a file. Either line end, no last line end and blank last lines are all fine.

    Raises BadClip with the line and what was found there.
    """
    lines = content.replace(b"\r\n", b"\n").split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise BadClip("the file is empty")
    total, starts, bodies, ids = _outline(lines)
    frame = np.array(bodies, dtype=np.int64)
    place = np.arange(len(frame)) - np.searchsorted(frame, frame)
    xyz = _coordinates(lines, starts).reshape(-1, JOINTS, 3)
    kept = np.asarray(~np.isnan(xyz).any(axis=(1, 2)))
    too_far = np.argwhere(~(np.abs(xyz) <= FARTHEST) & kept[:, None, None])
    if len(too_far):
        body, joint, axis = too_far[0]
        raise not_metres(starts[body] + joint + 1, float(xyz[body, joint, axis]))
    return Frames(
        total,
        frame[kept],
        place[kept],
        [body for body, keep in zip(ids, kept.tolist(), strict=True) if keep],
        xyz[kept],
        int((~kept).sum()),
    )


def not_metres(line: int, value: float) -> BadClip:
    """The error for a coordinate that no sensor gives."""
    found = f"line {line}: found the coordinate {value:g}"
    return BadClip(f"{found}, expected metres, at most {FARTHEST:g} from the sensor; are these millimetres?")


def _outline(lines: Sequence[bytes]) -> tuple[int, list[int], list[int], list[int]]:
    """Number of frames; and of every body the index of its first joint's line, its frame and its id.

    Counts are never trusted: whatever they say, there is at most one frame and one body per line.
    """
    total = _number(lines, 0, "the number of frames")
    starts: list[int] = []
    frame: list[int] = []
    ids: list[int] = []
    cursor = 1
    for current in range(total):
        bodies = _number(lines, cursor, f"the number of bodies in frame {current + 1} of {total}")
        cursor += 1
        for _ in range(bodies):
            if cursor + BODY_LINES > len(lines):
                raise BadClip(
                    f"line {len(lines)}: the file ends in frame {current + 1} of {total}, inside a body of "
                    f"{BODY_LINES} lines that begins in line {cursor + 1}; is it cut?"
                )
            fields = lines[cursor].split()
            if len(fields) != BODY_FIELDS or not fields[0].isdigit():
                raise BadClip(f"line {cursor + 1}: found {_shown(lines[cursor])}, expected a body id and 9 numbers")
            if lines[cursor + 1].strip() != b"25":
                raise BadClip(f"line {cursor + 2}: found {_shown(lines[cursor + 1])}, expected 25 joints")
            starts.append(cursor + 2)
            frame.append(current)
            ids.append(int(fields[0][:20]))
            cursor += BODY_LINES
    if cursor != len(lines):
        raise BadClip(f"line {cursor + 1}: found {_shown(lines[cursor])} after the last of {total} frames")
    return total, starts, frame, ids


def _number(lines: Sequence[bytes], index: int, what: str) -> int:
    if index >= len(lines):
        raise BadClip(f"line {len(lines)}: the file ends, expected {what}; is it cut?")
    word = lines[index].strip()
    if not word.isdigit() or len(word) > 18:
        raise BadClip(f"line {index + 1}: found {_shown(word)}, expected {what}")
    return int(word)


def _coordinates(lines: Sequence[bytes], starts: Sequence[int]) -> np.ndarray:
    """x, y and z of every joint's line, (25 n, 3) float64.

    Twelve fields with single blanks between, as in all genuine files, are found by the positions of the blanks.
    """
    joints = [line for start in starts for line in lines[start : start + JOINTS]]
    block = b"\n".join([*joints, b""])
    characters = np.frombuffer(block, np.uint8)
    blanks = np.flatnonzero(characters <= ord(" "))
    ends_of_lines = blanks[JOINT_FIELDS - 1 :: JOINT_FIELDS]
    if len(blanks) != JOINT_FIELDS * len(joints) or (characters[ends_of_lines] != ord("\n")).any():
        return _slowly(lines, starts)
    begin = np.concatenate([[0], ends_of_lines[:-1] + 1]).tolist()
    wanted = b" ".join([block[a:b] for a, b in zip(begin, blanks[2::JOINT_FIELDS].tolist(), strict=False)])
    try:
        if b"_" in wanted:
            raise ValueError  # Python's digit separator is no part of a number here
        return np.array(list(map(float, wanted.split()))).reshape(-1, 3)
    except ValueError:
        return _slowly(lines, starts)


def _slowly(lines: Sequence[bytes], starts: Sequence[int]) -> np.ndarray:
    """The same for lines with unusual blanks; finds the line that is wrong."""
    rows = []
    for start in starts:
        for index in range(start, start + JOINTS):
            fields = lines[index].split()
            if len(fields) != JOINT_FIELDS:
                raise BadClip(f"line {index + 1}: found {len(fields)} numbers, expected {JOINT_FIELDS} of a joint")
            for column, word in enumerate(fields[:3], start=1):
                try:
                    rows.append(float(b"no number" if b"_" in word else word))
                except ValueError:
                    found = f"line {index + 1}, number {column}: found {_shown(word)}"
                    raise BadClip(f"{found}, expected a coordinate") from None
    return np.array(rows).reshape(-1, 3)


def _shown(line: bytes) -> str:
    return repr(line.strip()[:30].decode("ascii", errors="replace"))
