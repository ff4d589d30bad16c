"""Reader of PKU-MMD I and II: skeleton and label text files, cut into one clip per labelled action.

Why: the recordings are untrimmed videos of minutes. Files are found by their names, below folders or inside zip files;
a skeleton file and its label file have the same name, so they are told apart by what is in them. Names, labels and
splits: pku_labels.py. Data set specification, section 3. A skeleton file has one frame per line:

    150 numbers with blanks between: x, y, z of 25 joints of the first body, then of the second, in metres; zeros for
    a body that is not there
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from benchmarks.datasets.preprocess import FARTHEST, JOINTS
from benchmarks.datasets.raw.found import File, content, files, fingerprint, first_of_each
from benchmarks.datasets.raw.ntu_text import not_metres
from benchmarks.datasets.raw.pku_labels import (
    FRAME_BASES,
    SPLIT_FILE,
    STEMS,
    VIDEOS,
    Label,
    interval,
    parse_labels,
    sides_of,
    video_row,
)
from benchmarks.datasets.source import WHOLE, BadClip, Clip, Loaded, Source
from benchmarks.names import few, known

NUMBERS = 3 * JOINTS
LONGEST = 300  # frames; of a longer action the released code keeps the middle
ADVICE = (
    "Give the folders with the skeleton files (0002-L.txt of part I, A01N01-L.txt of part II: 150 numbers a line), "
    "the label files of the same names (class,start,end,confidence) and, if there are any, the split files."
)


class Action(NamedTuple):
    """Where one clip is found."""

    skeleton: File
    label: Label
    origin: str  # label file and line


def source(raw: Sequence[Path], dataset: str, frame_base: str = "one") -> Source:
    """Every labelled action of "pku1" or "pku2" below `raw`, in order of video and label line.

    frame_base: see pku_labels.interval. Split files become columns xsub and xview; without them the catalog's rules
    decide. Fewer videos than the release has, files without a partner and listed videos without files are `lacking`.
    Raises FileNotFoundError when nothing is found; ValueError for an unknown frame base, a damaged zip file,
    split files that cannot be understood, or two different files of one name.
    """
    known("frame base", frame_base, FRAME_BASES)
    passed: Counter[str] = Counter()
    notes: list[str] = []
    kinds: dict[str, list[tuple[str, File]]] = {"skeleton": [], "label": []}
    lists: dict[str, bytes] = {}
    for file in files(raw, (".txt", ".skeleton", ".label"), ADVICE, notes):
        stem = PurePosixPath(file.name).stem.upper()
        if SPLIT_FILE.fullmatch(file.name):
            lists[str(file)] = content(file)
        elif STEMS[dataset].fullmatch(stem):
            kinds[_kind(file)].append((stem, file))
        elif any(pattern.fullmatch(stem) for pattern in STEMS.values()):
            passed["files belong to the other part of PKU-MMD and are passed over"] += 1
    (skeletons, more), (labels, still) = (first_of_each(kinds[kind]) for kind in ("skeleton", "label"))
    if more + still:
        passed["files were found a second time; a loose file goes before a zipped one"] = more + still
    stems = sorted(skeletons.keys() & labels.keys())
    if not stems:
        found = f"{len(skeletons)} skeleton files, {len(labels)} label files, none of them of one video"
        found = "; ".join([found, *notes])
        raise FileNotFoundError(f"nothing to prepare in {', '.join(map(str, raw))}: {found}. {ADVICE}")
    splits = sides_of(lists, dataset)
    clips, refused = _clips(stems, dataset, skeletons, labels, {name: sides for name, (_, sides) in splits.items()})
    notes += [f"{count} {what}" for what, count in passed.items()]
    lacking = [
        *_alone("skeleton files have no label file", skeletons.keys() - labels.keys()),
        *_alone("label files have no skeleton file", labels.keys() - skeletons.keys()),
    ]
    used = {name: PurePosixPath(path).name for name, (path, _) in splits.items()}
    rule = "no split file, so the rule of the data set decides"
    notes += [f"{name}: {used.get(name, rule)}" for name in ("xsub", "xview")]
    for name, (_, sides) in splits.items():
        notes += _alone(f"videos are in no list of {name} and belong to neither side", set(stems) - sides.keys())
        lacking += _alone(f"videos in the lists of {name} have no files", sides.keys() - set(stems))
    if len(stems) < VIDEOS[dataset]:
        lacking.insert(0, f"{len(stems)} of the {VIDEOS[dataset]} videos have a skeleton file and a label file")
    return Source(
        kind="PKU-MMD text files",
        clips=clips,
        load=partial(load, frame_base=frame_base),
        fingerprint=fingerprint(found[stem] for stem in stems for found in (skeletons, labels)),
        options={"frame_base": frame_base, "splits": used or "rule"},
        notes=notes,
        refused=refused,
        lacking="; ".join(lacking),
    )


def _kind(file: File) -> str:
    """A line of a label file has a few numbers with commas; a skeleton file has many, with blanks."""
    try:
        first = next((line for line in content(file, first=4096).splitlines() if line.strip()), b"")
    except BadClip:
        first = b""
    if not first:
        return "label" if "label" in str(file).lower() else "skeleton"
    return "label" if first.count(b",") in range(1, 9) else "skeleton"


def _clips(
    stems: Sequence[str],
    dataset: str,
    skeletons: dict[str, File],
    labels: dict[str, File],
    splits: dict[str, dict[str, str]],
) -> tuple[list[Clip], list[str]]:
    clips: list[Clip] = []
    refused: list[str] = []
    for stem in stems:
        where = str(labels[stem])
        try:
            good, bad = parse_labels(content(labels[stem]))
        except BadClip as error:
            refused.append(f"{where}: {error}")
            continue
        refused += [f"{where}: {reason}" for reason in bad]
        for label in good:
            row: dict[str, Any] = {"name": f"{stem}-{label.line:03}", "label": label.action - 1}
            row |= video_row(stem, dataset)
            row |= {"start": label.start, "end": label.end, "confidence": label.confidence}
            row |= {split: sides.get(stem, "") for split, sides in splits.items()}
            origin = f"{labels[stem].name} line {label.line}"
            clips.append(Clip(row, Action(skeletons[stem], label, origin), origin, skeletons[stem].name))
    return clips, refused


def _alone(what: str, stems: set[str]) -> Iterator[str]:
    if stems:
        yield f"{len(stems)} {what}: {few(sorted(stems))}"


def load(action: Action, frame_base: str) -> Loaded:
    """One action, (3, T, 25, 2) metres. Raises BadClip with file, line and reason."""
    video, mended, reason = _video(action.skeleton)
    if reason:
        raise BadClip(f"{WHOLE}{reason}")
    label = action.label
    first, past, more = interval(label.start, label.end, frame_base, video.shape[1])
    if label.start == label.end and frame_base == "zero" and 0 <= label.start < video.shape[1]:
        raise BadClip(f"frames {label.start} to {label.end} are none: counted from zero, the end is not included")
    if first >= past:
        raise BadClip(f"frames {label.start} to {label.end} lie outside the {video.shape[1]} frames of the video")
    x = video[:, first:past]
    if past - first > LONGEST:
        more.append(f"longer than {LONGEST} frames, the middle kept")
        x = x[:, (past - first - LONGEST) // 2 :][:, :LONGEST]
    return Loaded(x, "; ".join([*mended, *more]))


@lru_cache(maxsize=2)
def _video(file: File) -> tuple[np.ndarray, list[str], str]:
    """A whole video, what was mended, and why it cannot be used: consecutive clips come from the same one."""
    try:
        return (*parse(content(file)), "")
    except BadClip as error:
        return np.empty((3, 0, JOINTS, 2)), [], str(error)


def parse(text: bytes) -> tuple[np.ndarray, list[str]]:
    """The text of a skeleton file -> (3, T, 25, 2) float64, metres, and what was mended.

    A file with 75 numbers in every line has one body. Raises BadClip with the first bad line.
    """
    lines = [line.split() for line in text.rstrip().split(b"\n")]
    width = len(lines[0])
    if width not in (NUMBERS, 2 * NUMBERS):
        sheet = "; commas: this is an export of some table, not a file of PKU-MMD" if b"," in text[:4096] else ""
        raise BadClip(f"line 1: found {width} numbers, expected {2 * NUMBERS}{sheet}")
    for number, words in enumerate(lines, start=1):
        if len(words) != width:
            last = " in the last line: is the file cut?" if number == len(lines) else ""
            raise BadClip(f"line {number}: found {len(words)} numbers, expected {width}{last}")
    try:
        values = np.array([list(map(float, words)) for words in lines])
    except ValueError:
        raise BadClip(_no_number(lines)) from None
    bodies = values.reshape(len(lines), -1, JOINTS, 3)
    unknown = np.isnan(bodies).any(axis=(2, 3))
    bodies[unknown] = 0.0
    too_far = np.argwhere(~(np.abs(bodies) <= FARTHEST))
    if len(too_far):
        frame, body, joint, axis = too_far[0]
        raise not_metres(frame + 1, float(bodies[frame, body, joint, axis]))
    x = np.zeros((3, len(lines), JOINTS, 2))
    x[..., : bodies.shape[1]] = bodies.transpose(3, 0, 2, 1)
    return x, ["bodies with NaN, taken as not seen"] if unknown.any() else []


def _no_number(lines: Sequence[Sequence[bytes]]) -> str:
    for number, words in enumerate(lines, start=1):
        for column, word in enumerate(words, start=1):
            try:
                float(word)
            except ValueError:
                shown = word[:20].decode("ascii", errors="replace")
                return f"line {number}, number {column}: found {shown!r}, expected a coordinate"
    raise AssertionError("every word is a number")
