"""The parser of `.skeleton` files: what stands in them, and an answer with a line for everything else."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.datasets.raw import ntu_text
from benchmarks.datasets.raw.bodies import BODIES
from benchmarks.datasets.source import BadClip
from benchmarks.throughput import plain_ntu
from benchmarks.throughput.skeleton_files import IDS, bodies_of, skeleton_text


def recording(frames: int = 4, persons: int = 2) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(3, frames, 25, persons))
    x[2] += 3.0
    return x


X = recording()
TEXT = skeleton_text(bodies_of(X))
ONE_BODY = 25 + 2


def test_values_land_in_their_places() -> None:
    frames = ntu_text.parse(TEXT)
    assert frames.total == 4
    assert frames.frame.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert frames.ids == [*IDS[:2]] * 4  # exact: as floats they are the same
    assert float(IDS[0]) == float(IDS[1])
    np.testing.assert_allclose(frames.xyz, X.transpose(1, 3, 2, 0).reshape(8, 25, 3), atol=1e-6)
    assert TEXT.count(b"\n") == 1 + 4 * (1 + 2 * ONE_BODY)


def test_line_ends_and_blank_lines_do_not_matter() -> None:
    expected = ntu_text.parse(TEXT)
    dos = skeleton_text(bodies_of(X), "\r\n")
    tabs = TEXT.replace(b" ", b"  ").replace(b" 25\n", b"25\n")
    for content in (dos, dos.rstrip(), TEXT.rstrip(), TEXT + b"\n\n \n", dos + b"\r\n\r\n", tabs):
        found = ntu_text.parse(content)
        np.testing.assert_array_equal(found.xyz, expected.xyz)
        assert found[:2] == (4, pytest.approx(expected.frame))
        assert found.ids == expected.ids


def test_frames_without_bodies_and_more_than_two(tmp_path) -> None:
    pose = X[:, 0, :, 0].T
    frames = [[], [(1, pose)], [], [(2, pose), (3, pose + 1), (1, pose + 2)], []]
    found = ntu_text.parse(skeleton_text(frames))
    assert (found.total, found.frame.tolist(), found.ids) == (5, [1, 3, 3, 3], [1, 2, 3, 1])
    path = tmp_path / "a.skeleton"
    path.write_bytes(skeleton_text(frames))
    np.testing.assert_array_equal(BODIES["first-two"](found), plain_ntu.clip(path))


def test_a_body_with_nan_is_not_seen() -> None:
    lines = TEXT.split(b"\n")
    lines[4] = lines[4].replace(lines[4].split()[1], b"nan")
    found = ntu_text.parse(b"\n".join(lines))
    assert found.dropped == 1
    assert found.ids[0] == IDS[1]
    assert found.place[:3].tolist() == [1, 0, 1]
    assert len(found.xyz) == 7
    assert np.isfinite(found.xyz).all()


def spoilt(line: int, new: bytes) -> bytes:
    lines = TEXT.split(b"\n")
    lines[line - 1] = new
    return b"\n".join(lines)


def joint(line: int, column: int, word: bytes) -> bytes:
    words = TEXT.split(b"\n")[line - 1].split()
    words[column] = word
    return spoilt(line, b" ".join(words))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\r\n \n", "the file is empty"),
        (spoilt(1, b"four"), "line 1: found 'four', expected the number of frames"),
        (spoilt(1, b"-4"), "line 1: found '-4', expected the number of frames"),
        (spoilt(1, b"3"), r"line 167: found '2' after the last of 3 frames"),
        (spoilt(1, b"5"), r"line 221: the file ends, expected the number of bodies in frame 5 of 5; is it cut\?"),
        (spoilt(1, b"9" * 17), "expected the number of bodies in frame 5 of 99999999999999999"),
        (spoilt(1, b"9" * 5000), "line 1: found '999999999999999999999999999999', expected the number of frames"),
        (spoilt(2, b"999999999"), "line 57: found '2', expected a body id"),
        (spoilt(2, b"1"), "line 30: found '7205759403794473"),
        (spoilt(3, b"1 2 3"), "line 3: found '1 2 3', expected a body id and 9 numbers"),
        (spoilt(3, b"7.2e16 0 1 1 1 1 0 0 0 2"), "line 3: found '7.2e16"),
        (spoilt(4, b"20"), "line 4: found '20', expected 25 joints"),
        (spoilt(7, b"1 2 3"), "line 7: found 3 numbers, expected 12 of a joint"),
        (spoilt(7, b""), "line 7: found 0 numbers, expected 12"),
        (joint(9, 1, b"abc"), "line 9, number 2: found 'abc', expected a coordinate"),
        (joint(9, 2, b"1_0"), "line 9, number 3: found '1_0', expected a coordinate"),
        (joint(9, 0, b"inf"), "line 9: found the coordinate inf, expected metres"),
        (joint(9, 0, b"-2340.5"), r"line 9: found the coordinate -2340.5, .*are these millimetres\?"),
        (
            TEXT[: len(TEXT) // 3],
            "line 75: the file ends in frame 2 of 4, inside a body of 27 lines that begins in line 58",
        ),
        (bytes(range(256)) * 20, "line 1: found"),
        (TEXT + b"1\n", "line 222: found '1' after the last of 4 frames"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(BadClip, match=message):
        ntu_text.parse(content)


def test_a_body_with_nan_keeps_its_place() -> None:
    good = np.random.default_rng(0).normal(size=(3, 4, 25, 3)) + 2
    bad = good.copy()
    bad[0, 1, 3, 0] = np.nan  # the first of three bodies, in frame 1
    whole, holed = (ntu_text.parse(skeleton_text(bodies_of(x))) for x in (good, bad))
    assert (whole.dropped, holed.dropped) == (0, 1)
    assert holed.place.tolist() == [0, 1, 2, 1, 2, 0, 1, 2, 0, 1, 2]
    expected = BODIES["first-two"](whole)
    expected[:, 1, :, 0] = 0.0  # not the second person
    np.testing.assert_array_equal(BODIES["first-two"](holed), expected)


def test_no_body_at_all() -> None:
    frames = ntu_text.parse(b"2\n0\n0\n")
    for choose in BODIES.values():
        with pytest.raises(BadClip, match="no body in any frame"):
            choose(frames)


LINES = TEXT.split(b"\n")
JUNK = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"0", b"1", b"2", b"3", b"25", b"26", b"-1", b"999999999999", b"1e400", b"nan", b"inf", b"0x10"]),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A genuine file after one to three accidents."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["cut", "drop", "double", "swap", "word", "line", "bytes", "return"]))
        if kind == "cut":
            content = b"\n".join(lines)
            lines = content[: draw(st.integers(0, len(content)))].split(b"\n")
        elif kind == "drop":
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "word":
            words = lines[at].split() or [b""]
            words[draw(st.integers(0, len(words) - 1))] = draw(JUNK)
            lines[at] = b" ".join(words)
        elif kind == "line":
            lines[at] = draw(JUNK)
        elif kind == "bytes":
            lines[at] += draw(st.binary(min_size=1, max_size=8))
        else:
            lines[at] += b"\r"
        lines = lines or [b""]
    return b"\n".join(lines)


@settings(max_examples=700, derandomize=True, deadline=None, database=None)
@given(mutated())
@example(b"999999999999999999\n" + b"\n".join(LINES[1:]))
@example(b"4\n999999999999\n" + b"\n".join(LINES[2:]))
def test_mutated_files_give_a_clip_or_a_line(content: bytes) -> None:
    answer = ""
    tracemalloc.start()
    try:
        frames = ntu_text.parse(content)
        clips = [choose(frames) for choose in BODIES.values()]
    except BadClip as error:
        answer, clips = str(error), []
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert clips or any(words in answer for words in ("line ", "the file is empty", "no body in any frame"))
    for clip in clips:
        assert np.isfinite(clip).all()
        assert clip.shape == (3, clip.shape[1], 25, 2)
        assert clip.shape[1] <= content.count(b"\n") + 1
    assert peak < 30 * len(content) + 500_000


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(mutated())
def test_the_fast_way_reads_what_the_slow_way_reads(content: bytes) -> None:
    lines = content.replace(b"\r\n", b"\n").split(b"\n")
    try:
        _, starts, _, _ = ntu_text._outline([line for line in lines if line.strip()])
    except BadClip:
        return
    lines = [line for line in lines if line.strip()]

    def answer(read) -> object:
        try:
            return read(lines, starts).tolist()
        except BadClip as error:
            return str(error)

    assert repr(answer(ntu_text._coordinates)) == repr(answer(ntu_text._slowly))
