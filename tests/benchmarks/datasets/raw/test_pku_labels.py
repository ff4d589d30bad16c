"""Names, labels, intervals and split files of PKU-MMD, with every defect that they have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.datasets.raw import pku_labels


def test_names_of_videos() -> None:
    assert pku_labels.video_row("0291-M", "pku1") == {"subject": -1, "camera": "M", "video": 291}
    assert pku_labels.video_row("a10n08-l", "pku2") == {"subject": 8, "camera": "L", "video": "A10N08"}
    for stem, dataset in (("0291-M", "pku2"), ("A10N08-L", "pku1"), ("0291-X", "pku1")):
        with pytest.raises(ValueError, match="is not the name of a video"):
            pku_labels.video_row(stem, dataset)


def test_label_lines() -> None:
    text = b"1,10,20,2\r\n\r\n 51 , 5 ,4, 1 \nx,1,2,3\n52,1,2,1\n0,1,2,1\n3,1,2\n3,1.5,2,1\n9,0,7,2"
    labels, refused = pku_labels.parse_labels(text)
    assert labels == [(1, 1, 10, 20, 2), (3, 51, 5, 4, 1), (9, 9, 0, 7, 2)]
    assert refused == [
        "line 4: found 'x,1,2,3', expected class,start,end,confidence",
        "line 5: class 52, allowed are 1 to 51",
        "line 6: class 0, allowed are 1 to 51",
        "line 7: found '3,1,2', expected class,start,end,confidence",
        "line 8: found '3,1.5,2,1', expected class,start,end,confidence",
    ]
    assert pku_labels.parse_labels(b"7,1,9,2") == ([(1, 7, 1, 9, 2)], [])
    assert pku_labels.parse_labels(b"\n") == ([], [])


@pytest.mark.parametrize(
    ("start", "end", "base", "expected"),
    [
        (1, 10, "one", (0, 10, [])),
        (1, 10, "zero", (1, 10, [])),
        (0, 10, "one", (0, 10, ["start before the video"])),  # and not [-1:10], which is nothing
        (0, 10, "zero", (0, 10, [])),
        (20, 11, "one", (10, 20, ["start and end swapped"])),
        (90, 120, "one", (89, 100, ["end beyond the video"])),
        (99, 101, "zero", (99, 100, ["end beyond the video"])),
        (120, 130, "one", (100, 100, ["end beyond the video"])),
        (-9, -3, "zero", (0, 0, ["start before the video"])),
        (5, 5, "one", (4, 5, [])),
        (5, 5, "zero", (5, 5, [])),
    ],
)
def test_intervals(start: int, end: int, base: str, expected: tuple[int, int, list[str]]) -> None:
    assert pku_labels.interval(start, end, base, 100) == expected


DEFECTS = b"Training set:\r\n0002-L, 0002-M,0290-R,\r\n\r\nValidataion set:\n0291-L,0291-M ,\n0292-R, \n"


def test_split_files_with_their_defects() -> None:
    sides = pku_labels.parse_split(DEFECTS)
    assert [stem for stem, side in sides.items() if side == "train"] == ["0002-L", "0002-M", "0290-R"]
    assert [stem for stem, side in sides.items() if side == "test"] == ["0291-L", "0291-M", "0292-R"]
    assert pku_labels.parse_split(DEFECTS.replace(b"Validataion", b"validation")) == sides
    assert pku_labels.parse_split(DEFECTS.replace(b"-L", b"-L.txt")) == sides


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a Training and a Validation list"),
        (b"Training\n0002-L\n", "expected a Training and a Validation list"),
        (b"0002-L\nTraining\n", "line 1: 0002-L stands before the heading of its list"),
        (b"Training\n0002-L, oops\n", "line 2: 'oops' is not the name of a video"),
        (b"Training\n0002-L\nValidation\n0002-L\n", "line 4: 0002-L is in both lists"),
    ],
)
def test_split_files_that_cannot_be_understood(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pku_labels.parse_split(content)


def test_which_split_file_is_used_is_seen_from_its_content() -> None:
    two = b"Training\nA01N01-L\nValidation\nA01N02-L,\n"
    found: dict[str, Any] = {"a/cross-subject.txt": DEFECTS, "b/cross_subject_v2.txt": two, "c/Cross_View.txt": DEFECTS}
    assert {name: path for name, (path, _) in pku_labels.sides_of(found, "pku1").items()} == {
        "xsub": "a/cross-subject.txt",
        "xview": "c/Cross_View.txt",
    }
    assert {name: path for name, (path, _) in pku_labels.sides_of(found, "pku2").items()} == {
        "xsub": "b/cross_subject_v2.txt"
    }
    found["d/cross_subject.txt"] = DEFECTS
    assert pku_labels.sides_of(found, "pku1")["xsub"][1]["0290-R"] == "train"  # the same twice is no matter
    found["d/cross_subject.txt"] = DEFECTS.replace(b"0292-R", b"0293-R")
    with pytest.raises(ValueError, match=r"are lists of one split and differ"):
        pku_labels.sides_of(found, "pku1")
    with pytest.raises(ValueError, match=r"x/cross-view.txt: line 1: 'nothing' is not"):
        pku_labels.sides_of({"x/cross-view.txt": b"nothing"}, "pku1")


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.integers(0, len(DEFECTS)), st.binary(max_size=8), st.integers(0, 20))
def test_mutated_label_and_split_files(at: int, new: bytes, cut: int) -> None:
    content = DEFECTS[:at] + new + DEFECTS[at + cut :]
    labels, refused = pku_labels.parse_labels(content)
    assert len(labels) + len(refused) <= content.count(b"\n") + content.count(b"\r") + 9
    try:
        sides = pku_labels.parse_split(content)
    except ValueError as error:
        message = str(error)
    else:
        assert set(sides.values()) == {"train", "test"}
        return
    assert "line " in message or "expected a Training" in message
