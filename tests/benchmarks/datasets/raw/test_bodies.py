"""Which bodies are kept: each rule of both families, on bodies made for it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.datasets.raw.bodies import NOISY, SHORTEST, by_motion, first_two
from benchmarks.datasets.raw.ntu_text import Frames

RNG = np.random.default_rng(0)


def body(frames: int, vigour: float = 0.1, width: float = 0.5) -> np.ndarray:
    """A figure 2 m tall and `width` m wide that moves by about `vigour` m, (frames, 25, 3)."""
    base = np.zeros((25, 3))
    base[:, 0], base[:, 1] = np.linspace(0, width, 25), np.linspace(0, 2, 25)
    return base + vigour * RNG.normal(size=(frames, 1, 3))


def seen(count: int, *spans: tuple[int, int, np.ndarray]) -> Frames:
    """Bodies given as (id, first frame, poses), listed in every frame in the order given."""
    found = [
        (start + i, order, name, pose)
        for order, (name, start, poses) in enumerate(spans)
        for i, pose in enumerate(poses)
    ]
    found.sort(key=lambda entry: entry[:2])
    frame = np.array([entry[0] for entry in found], dtype=np.int64)
    place = np.arange(len(frame)) - np.searchsorted(frame, frame)
    return Frames(count, frame, place, [entry[2] for entry in found], np.array([entry[3] for entry in found]), 0)


def same(x: np.ndarray, person: int, poses: np.ndarray, start: int = 0) -> bool:
    """Whether `poses` are what stands at a person's place from frame `start` on."""
    return np.array_equal(x[:, start : start + len(poses), :, person].transpose(1, 2, 0), poses)


def test_first_two_of_each_frame_in_file_order() -> None:
    a, b, c = body(20), body(5), body(20)
    x = first_two(seen(22, (7, 1, a), (8, 3, b), (9, 1, c)))
    assert x.shape == (3, 22, 25, 2)
    assert not x[:, 0].any()
    assert not x[:, 21].any()
    assert same(x, 0, a, 1)
    assert same(x, 1, c[:2], 1)  # the third body of the file is the second of its frame until b comes
    assert same(x, 1, b, 3)
    assert same(x, 1, c[7:], 8)


def test_frames_without_bodies_are_removed() -> None:
    a = body(20)
    x = by_motion(seen(30, (7, 5, a)))
    assert x.shape == (3, 20, 25, 2)
    assert same(x, 0, a)
    assert not x[..., 1].any()


def test_the_one_that_moves_more_is_the_first_actor() -> None:
    calm, lively = body(30, 0.1), body(30, 1.0)
    x = by_motion(seen(30, (7, 0, calm), (8, 0, lively)))
    assert same(x, 0, lively)
    assert same(x, 1, calm)


def test_short_bodies_are_noise_but_never_the_last_one() -> None:
    real, ghost = body(30, 0.1), body(SHORTEST - 1, 5.0)
    x = by_motion(seen(30, (8, 0, ghost), (7, 0, real)))
    assert same(x, 0, real)
    assert not x[..., 1].any()
    enough = body(SHORTEST, 5.0)
    assert same(by_motion(seen(30, (8, 0, enough), (7, 0, real))), 0, enough)
    x = by_motion(seen(5, (8, 0, body(3)), (7, 0, last := body(5))))
    assert same(x, 0, last)
    assert not x[..., 1].any()


def test_wide_bodies_are_noise() -> None:
    real, sofa = body(40, 0.1), body(40, 5.0, width=3.0)
    x = by_motion(seen(40, (8, 0, sofa), (7, 0, real)))
    assert same(x, 0, real)
    assert not x[..., 1].any()
    limit = int(np.ceil(NOISY * 40))
    for wide, dropped in ((limit, True), (limit - 1, False)):
        mixed = np.concatenate([body(wide, 5.0, width=3.0), body(40 - wide, 5.0)])
        assert by_motion(seen(40, (8, 0, mixed), (7, 0, real)))[..., 1].any() != dropped


def test_only_believable_frames_count_as_motion() -> None:
    steady = body(30, 0.5)
    jumpy = np.concatenate([body(15, 0.01), body(15, 5.0, width=3.0)])  # moves much, but only while too wide
    assert same(by_motion(seen(30, (8, 0, jumpy), (7, 0, steady))), 0, steady)


def test_a_body_that_comes_later_joins_the_actor_whose_time_is_free() -> None:
    first, late, other, lost = body(20, 3.0), body(15, 2.0), body(35, 1.0), body(20, 0.5)
    x = by_motion(seen(35, (1, 0, first), (2, 20, late), (3, 0, other), (4, 5, lost)))
    assert same(x, 0, first)
    assert same(x, 0, late, 20)
    assert same(x, 1, other)


def test_after_a_gap_the_rest_of_a_body_comes_too_early() -> None:
    whole, split = body(40, 0.1), body(30, 1.0)
    x = by_motion(seen(40, (1, 0, whole), (2, 0, split[:15]), (2, 25, split[15:])))
    assert same(x, 0, split)  # frames 15 to 29, though it was away until frame 25
    assert x.shape[1] == 30  # it seems to be gone from frame 30 on


def test_frames_without_anybody_after_noise_was_dropped_are_removed() -> None:
    ghost, real = body(SHORTEST - 1, 5.0), body(30)
    x = by_motion(seen(41, (8, 0, ghost), (7, SHORTEST - 1, real)))
    assert x.shape[1] == 30
    assert same(x, 0, real)


def test_only_frames_of_the_first_actor_are_kept() -> None:
    """What counts frames of the first person and starts at frame 0 would else see the other one alone."""
    lively, calm = body(30, 1.0), body(60, 0.1)
    x = by_motion(seen(60, (7, 0, calm), (8, 30, lively)))
    assert x.shape[1] == 30
    assert same(x, 0, lively)
    assert same(x, 1, calm[30:])
    again = body(15, 0.5)
    x = by_motion(seen(80, (7, 0, body(80, 0.1)), (8, 0, lively), (9, 50, again)))
    assert same(x, 0, np.concatenate([lively, again]))  # nobody else closes the gap


def test_the_second_actor_is_taken_to_be_there_from_frame_0_on() -> None:
    """As in CTR-GCN and pyskl: their second interval begins as [0, 0]."""
    first, second, before = body(60, 3.0), body(20, 2.0), body(20, 1.0)
    x = by_motion(seen(60, (1, 0, first), (2, 40, second), (3, 10, before)))
    assert same(x, 1, second, 40)
    assert not x[:, :40, :, 1].any()


@pytest.mark.parametrize("choose", [first_two, by_motion])
def test_ids_that_are_one_number_as_floats_stay_two_people(choose) -> None:
    a, b = body(30, 1.0), body(30, 0.5)
    x = choose(seen(30, (72057594037944738, 0, a), (72057594037944734, 0, b)))
    assert same(x, 0, a)
    assert same(x, 1, b)
