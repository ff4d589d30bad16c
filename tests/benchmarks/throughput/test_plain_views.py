"""The plain views are the views: with the same random numbers, loader and all, they equal those of SkeAttnCLR."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.throughput import plain_views
from benchmarks.throughput.plain_views import Draw, Mix
from benchmarks.throughput.views import method
from methods import augment

BATCH, FRAMES = 5, 32


@pytest.mark.parametrize(("workers", "lean"), [(0, False), (1, False), (0, True)])
def test_the_same_numbers_give_the_same_views(workers: int, lean: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(BATCH, 3, FRAMES, 25, 2, generator=torch.Generator().manual_seed(0))
    want = method().views(x, torch.Generator().manual_seed(1))

    again = torch.Generator().manual_seed(1)
    draws = [(augment.draw_crop(x, 6, again), augment.draw_shear(x, 0.5, again)) for _ in range(2)]
    donor, region = augment.draw_mix(x, (3, 4), (4, 7), False, again)
    monkeypatch.setattr(plain_views, "RandomSampler", lambda samples, num_samples: range(num_samples))
    monkeypatch.setattr(plain_views, "draw_mix", lambda batch, frames: _mix(donor, region[0]))
    samples = plain_views.Samples(x.numpy(), lean, _Drawn([(s.tolist(), m.tolist()) for s, m in draws]))
    (got,) = plain_views.views(plain_views.loader(samples, BATCH, 1, workers), "cpu")
    assert got.keys() == want.keys()
    for name in want:
        torch.testing.assert_close(got[name], want[name], rtol=0, atol=1e-6)


class _Drawn:
    """Given numbers in the place of random ones; a class, because it travels to the workers."""

    def __init__(self, draws: list[tuple[list[int], list[list[float]]]]) -> None:
        self.draws = draws

    def __call__(self, index: int, view: int, frames: int) -> Draw:
        starts, shears = self.draws[view]
        return Draw(starts[index], tuple(shears[index]))


def _mix(donor: Tensor, region: Tensor) -> Mix:
    frames, joints = region.any(dim=1).nonzero().flatten(), region.any(dim=0).nonzero().flatten()
    return Mix(int(donor[0]), joints.tolist(), int(frames[0]), int(frames[-1]) + 1)


def test_draws_fill_their_ranges() -> None:
    draws = [plain_views.draw(0, 0, 64) for _ in range(600)]
    assert {d.start for d in draws} == set(range(21))
    assert np.abs([d.shear for d in draws]).max() == pytest.approx(0.5, abs=0.01)
    mixes = [plain_views.draw_mix(6, 64) for _ in range(300)]
    assert {m.shift for m in mixes} == {1, 2, 3, 4}
    assert {(m.end - m.first) // 4 for m in mixes} == {4, 5, 6, 7}
    assert {m.first % 4 for m in mixes} == {0}
    assert {len(m.joints) for m in mixes} == {13, 14, 15, 16, 17, 19, 20, 21}


def test_batches_are_shuffled_and_as_many_as_asked_for() -> None:
    x = np.arange(40, dtype=np.float32)[:, None, None, None, None] * np.ones((1, 3, 32, 25, 2), dtype=np.float32)
    batches = plain_views.loader(plain_views.Samples(x, drawn=_still), 4, 3, 0)
    first, second = (
        [view["query"][:, 0, 0, 0, 0].tolist() for view in plain_views.views(batches, "cpu")] for _ in "ab"
    )
    assert [len(rows) for rows in first] == [4, 4, 4]
    assert first != second


def _still(index: int, view: int, frames: int) -> Draw:
    return Draw(frames // 6, (0.0,) * 6)
