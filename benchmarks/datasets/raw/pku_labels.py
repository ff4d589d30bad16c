"""PKU-MMD's names, label files and split files, with the defects that they have. Data set specification, section 3.

Why: a video holds some twenty actions, and where they begin and end is told by text files whose frame base nobody
documented, whose headings are misspelt, and some of whose intervals run backwards or past the end of the video.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

CLASSES = 51  # part II uses 41 of them, under the same numbers
STEMS = {
    "pku1": re.compile(r"(\d{4})-([LMR])", re.IGNORECASE),
    "pku2": re.compile(r"A(\d{2})N(\d{2})-([LMR])", re.IGNORECASE),
}
VIDEOS = {"pku1": 1076, "pku2": 1009}  # of the complete release, exactly
SPLIT_FILE = re.compile(r"cross[-_ ]?(subject|view)(_v2)?\.txt", re.IGNORECASE)
FRAME_BASES = ("one", "zero")


class Label(NamedTuple):
    """One line of a label file."""

    line: int  # from 1
    action: int  # 1..51
    start: int
    end: int
    confidence: int


def video_row(stem: str, dataset: str) -> dict[str, Any]:
    """What the name of a video tells: subject (-1, unknown, in part I), camera, video.

    Raises ValueError for a name of the other part, or of neither.
    """
    match = STEMS[dataset].fullmatch(stem)
    if match is None:
        raise ValueError(f"{stem!r} is not the name of a video of {dataset}")
    if dataset == "pku1":
        return {"subject": -1, "camera": match[2].upper(), "video": int(match[1])}
    return {"subject": int(match[2]), "camera": match[3].upper(), "video": stem.upper().partition("-")[0]}


def parse_labels(content: bytes) -> tuple[list[Label], list[str]]:
    """The lines `class,start,end,confidence` of a file, and "line 7: reason" for those that are not."""
    labels: list[Label] = []
    refused: list[str] = []
    for number, line in enumerate(content.decode("ascii", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        words = [word.strip() for word in line.split(",")]
        if len(words) != 4 or not all(re.fullmatch(r"[+-]?\d{1,9}", word) for word in words):
            refused.append(f"line {number}: found {line.strip()[:40]!r}, expected class,start,end,confidence")
            continue
        action, start, end, confidence = map(int, words)
        if not 1 <= action <= CLASSES:
            refused.append(f"line {number}: class {action}, allowed are 1 to {CLASSES}")
            continue
        labels.append(Label(number, action, start, end, confidence))
    return labels, refused


def interval(start: int, end: int, base: str, frames: int) -> tuple[int, int, list[str]]:
    """Where an action lies in a video of `frames` frames: first and one past last index, and what was mended.

    base: "one" reads the numbers as counted from 1 with both ends included, as HiCLR does; "zero" as a slice, as MAMP
    does. Swapped ends are swapped back, and both are clamped to the video. Empty when first >= past.
    """
    mended = []
    if start > end:
        start, end = end, start
        mended.append("start and end swapped")
    first, past = (start - 1, end) if base == "one" else (start, end)
    if past > frames:
        mended.append("end beyond the video")
    if first < 0:
        mended.append("start before the video")
    return min(max(first, 0), frames), min(max(past, 0), frames), mended


def parse_split(content: bytes) -> dict[str, str]:
    """Video stem -> "train" or "test", from two headings (Training, Validataion) with a list of names below each.

    Names are separated by commas, blanks or line ends, in any mixture, and a comma may be the last thing.
    Raises ValueError for a name before the first heading, a word that is no name, and a name in both lists.
    """
    sides: dict[str, str] = {}
    side = ""
    for number, line in enumerate(content.decode("ascii", errors="replace").splitlines(), start=1):
        heading = re.search(r"train|valid|test", line, re.IGNORECASE)
        if heading:
            side = "train" if heading[0].lower() == "train" else "test"
            continue
        for word in re.split(r"[,\s]+", line.strip()):
            if not word:
                continue
            stem = word.upper().removesuffix(".TXT")
            if not any(pattern.fullmatch(stem) for pattern in STEMS.values()):
                raise ValueError(f"line {number}: {word[:30]!r} is not the name of a video")
            if not side:
                raise ValueError(f"line {number}: {word} stands before the heading of its list")
            if sides.setdefault(stem, side) != side:
                raise ValueError(f"line {number}: {word} is in both lists")
    if set(sides.values()) != {"train", "test"}:
        raise ValueError("expected a Training and a Validation list with names of videos below them")
    return sides


def sides_of(found: Mapping[str, bytes], dataset: str) -> dict[str, tuple[str, dict[str, str]]]:
    """{"xsub": (file, {stem: side}), "xview": ...} from the split files that list videos of this part.

    found: path -> content, of files whose names match SPLIT_FILE. Raises ValueError, with the path, for a file that
    cannot be understood, and for two files of one split that differ.
    """
    splits: dict[str, tuple[str, dict[str, str]]] = {}
    for path in sorted(found):
        match = SPLIT_FILE.search(path)
        assert match is not None
        try:
            sides = parse_split(found[path])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if not STEMS[dataset].fullmatch(next(iter(sides))):
            continue  # the other part's
        split = {"subject": "xsub", "view": "xview"}[match[1].lower()]
        if split in splits and splits[split][1] != sides:
            raise ValueError(f"{path} and {splits[split][0]} are lists of one split and differ; give --raw only one")
        splits[split] = (path, sides)
    return splits
