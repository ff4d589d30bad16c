"""`data check` tells of copies, overlaps, empty classes and clips without a recording, each in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.datasets import findings, store
from benchmarks.datasets.check import Report, check
from tests.benchmarks.datasets import toy

FRAMES = 8
WHO = [(1, "M"), (1, "L"), (2, "M"), (2, "L")]  # subject 2 tests in xsub, camera L in xview


def drawn(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=(3, FRAMES, 25, 2)).astype(np.float32)


def rows(label: int = 0) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Four clips of one class: each side of both splits of PKU-MMD II has two."""
    return [
        ({"name": f"s{subject}{camera}-{label}", "label": label, "subject": subject, "camera": camera},
         drawn(10 * label + i))
        for i, (subject, camera) in enumerate(WHO)
    ]  # fmt: skip


def checked(data: Path, pairs: list[tuple[dict[str, Any], np.ndarray]]) -> Report:
    """pku2, because its counts are soft: what is wrong here is wrong with the clips."""
    toy.put(store.folder_of(data, "pku2", FRAMES), pairs, classes=51)
    return check("pku2", FRAMES, data)


def told(report: Report, where: str) -> list[str]:
    """The findings about one split, or about "all" clips."""
    lines = (line.strip() for line in report.lines if line.startswith(f"  {where} ") and "expected" not in line)
    return [line.removeprefix(where).strip() for line in lines]


def test_nothing_is_wrong_with_good_clips(tmp_path: Path) -> None:
    report = checked(tmp_path, rows())
    assert report.good
    note = "50 classes are without any clip, counted in no accuracy: 1, 2, 3, 4, 5, ..."
    assert [told(report, where) for where in ("xsub", "xview", "all")] == [[note], [note], []]


def test_a_test_clip_that_was_trained_on(tmp_path: Path) -> None:
    pairs = rows()
    pairs[2] = (pairs[2][0], pairs[0][1])  # s2M is s1M: both sides of xsub, one side of xview
    report = checked(tmp_path, pairs)
    assert not report.good
    assert told(report, "xsub")[1:] == ["1 test clip is the same array as a training clip: s2M-0 = s1M-0  <-- wrong"]
    copy = "1 training clip is equal to another one, which weighs more in training"
    assert told(report, "xview")[1:] == [copy]


def test_many_copies_are_counted_and_five_are_named(tmp_path: Path) -> None:
    """As in NW-UCLA, whose third view holds sequences of the second."""
    pairs = [pair for label in range(7) for pair in rows(label)]
    views = {row["name"]: clip for row, clip in pairs}
    pairs = [(row, views[row["name"].replace("L", "M")]) for row, _ in pairs]
    found = told(checked(tmp_path, pairs), "xview")
    assert found[1].startswith("14 test clips are the same array as a training clip: s1L-0 = s1M-0, ")
    assert found[1].endswith("s1L-2 = s1M-2, ...  <-- wrong")
    assert found[1].count(" = ") == 5


def test_copies_within_the_training_side_are_a_note(tmp_path: Path) -> None:
    pairs = rows()
    pairs[1] = (pairs[1][0], pairs[0][1])
    pairs += [({**row, "name": f"{row['name']}-again"}, clip) for row, clip in pairs[:1]]
    report = checked(tmp_path, pairs)
    found = "2 training clips are equal to another one, which weighs more in training"
    assert told(report, "xsub")[1:] == [found]


def test_clips_of_zeros_and_clips_that_stand_still(tmp_path: Path) -> None:
    pairs = rows()
    pairs[0] = (pairs[0][0], np.zeros_like(pairs[0][1]))
    pairs[3] = (pairs[3][0], np.zeros_like(pairs[0][1]))
    pairs[1] = (pairs[1][0], np.repeat(pairs[1][1][:, :1], FRAMES, axis=1))
    report = checked(tmp_path, pairs)
    assert not report.good
    assert told(report, "all") == [
        "2 clips are all zero, without a recording: s1M-0, s2L-0  <-- wrong",
        "1 clip is constant, without a movement: s1L-0",
    ]
    assert len(told(report, "xsub")) == 1, "zeros on both sides are no copy of a recording"


def test_a_clip_without_its_first_person(tmp_path: Path) -> None:
    """What the released code makes of a clip in which the other one is there before him, and he for a short time."""
    pairs = rows()
    pairs[1][1][..., 0] = 0.0
    report = checked(tmp_path, pairs)
    assert not report.good
    assert told(report, "all") == ["1 clip is without its first person, who is all zero: s1L-0  <-- wrong"]


@pytest.mark.parametrize(
    ("subjects", "line"),
    [
        ((2,), "1 class is tested without a training clip, learnable for nobody: 3  <-- wrong"),
        ((1,), "1 class is without a test clip, of unknown accuracy: 3"),
    ],
)
def test_classes_on_one_side_only(subjects: tuple[int, ...], line: str, tmp_path: Path) -> None:
    report = checked(tmp_path, rows() + [pair for pair in rows(3) if pair[0]["subject"] in subjects])
    assert line in told(report, "xsub")
    assert report.good == ("wrong" not in line)


def test_what_no_prepared_set_of_ours_has() -> None:
    """A recording on both sides, and labels that do not exist: another program wrote the table."""
    names = np.array(["a", "b", "a"], dtype=object)
    side = np.array([True, True, False])
    found = findings.sides(_apart(3), names, np.array([0, 0, 2]), side, ~side, 2)
    assert [finding.text for finding in found if finding.wrong] == [
        "1 class is outside 0 to 1, unknown to every classifier: 2",
        "1 class is tested without a training clip, learnable for nobody: 2",
        "1 recording is on both sides, tested after it was learned: a",
    ]


def _apart(count: int) -> findings.Samples:
    return findings.Samples(np.arange(count), *np.zeros((3, count), bool))
