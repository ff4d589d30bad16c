"""The extreme augmentations of AimCLR and HiCLR: golden arrays given the golden draws, chances, what each may touch."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from methods import augment
from tests.methods.draws import (
    generator,
    near,
    official_crop_start,
    official_noise,
    official_shear,
    official_turn,
    seed_both,
    skeletons,
)


def test_each_extreme_augmentation_equals_golden(golden):
    arrays = golden("aug")
    x = torch.tensor(arrays["x64"])[None]
    near(augment.spatial_flip(x)[0], arrays["spatial_flip"], 0)
    seed_both(5)
    near(augment.rotate(x, official_turn())[0], arrays["rotate_seed5"])
    seed_both(1)
    near((x + official_noise())[0], arrays["noise"])
    sigma = torch.tensor([float(arrays["blur_sigma"])])
    near(augment.blur(x, sigma)[0], arrays["blur"])
    near(augment.axis_mask(x, torch.tensor([0]))[0], arrays["axis_mask"], 0)


def test_the_extreme_augmentation_equals_golden_in_its_order(golden):
    arrays = golden("aug")
    seed_both(12)
    x = augment.temporal_crop(torch.tensor(arrays["x64"])[None], official_crop_start(64, 6), 6)
    x = augment.shear(x, official_shear(0.5))
    if random.random() < 0.5:
        x = augment.spatial_flip(x)
    x = augment.rotate(x, official_turn())
    if random.random() < 0.5:
        x = x + official_noise()
    sigma = torch.tensor([random.uniform(0.1, 2.0)])
    if np.random.random_sample() < 0.5:  # noqa: NPY002  as the releases draw
        x = augment.blur(x, sigma)
    if random.random() < 0.5:
        x = augment.axis_mask(x, torch.tensor([random.randint(0, 2)]))
    near(x[0], arrays["extreme_seed12"])


def test_the_extreme_augmentation_does_each_thing_as_often_as_it_should(monkeypatch):
    """Every one is replaced by a mark; the marks are counted over many samples, and their order is kept."""
    marks = {"spatial_flip": 1.0, "rotate": 10.0, "draw_noise": 100.0, "blur": 1000.0, "axis_mask": 10_000.0}
    for name, mark in marks.items():
        if name == "draw_noise":
            monkeypatch.setattr(augment, name, lambda x, g, mark=mark: torch.full_like(x, mark))
        else:
            monkeypatch.setattr(augment, name, lambda x, *_, mark=mark: x + mark)
    x = augment.extreme(torch.zeros(4000, 3, 1, 1, 1), generator(0), 0, 0.0)
    value = x[:, 0, 0, 0, 0].long()
    shares = {name: ((value // int(mark)) % 10 == 1).float().mean().item() for name, mark in marks.items()}
    assert shares.pop("rotate") == 1.0
    assert all(0.46 < share < 0.54 for share in shares.values()), shares


def test_a_turn_has_one_main_axis():
    degrees = augment.draw_turn(torch.zeros(3000, 3, 1, 1, 1), generator(0)) * 180 / math.pi
    assert degrees.min() >= 0
    assert degrees.max() < 30
    main = degrees.argmax(dim=1)
    large = degrees > 1
    assert (large.sum(dim=1) <= 1).all()
    assert degrees.max() > 28
    assert all(0.3 < share < 0.37 for share in torch.bincount(main, minlength=3) / 3000)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_as_many_joints_of_every_frame_are_hidden(share):
    mask = augment.draw_joints(skeletons(2), share, generator(0))
    assert mask.shape == (64, 25)
    assert (mask.sum(dim=1) == int(25 * share)).all()
    if share == 0.1:
        assert mask.any(dim=0).all()  # over 64 frames every joint has its turn
        assert not torch.equal(mask, augment.draw_joints(skeletons(2), share, generator(1)))


def test_blur_is_per_sample_and_reaches_no_other_joint():
    x = torch.zeros(2, 3, 20, 25, 1)
    x[:, 1, 10, 4, 0] = 1.0
    got = augment.blur(x, torch.tensor([0.1, 2.0]))
    torch.testing.assert_close(got[0], x[0])
    expected = torch.exp(-(torch.arange(-7, 8) ** 2) / 8.0)
    torch.testing.assert_close(got[1, 1, 3:18, 4, 0], expected)
    assert got[1].count_nonzero() == 15


@pytest.mark.parametrize("persons", [1, 2, 3])
def test_blur_equals_a_sum_over_frames(persons):
    x, sigma = torch.randn(3, 3, 20, 25, persons, generator=generator(0)), torch.tensor([0.1, 1.0, 2.0])
    want = torch.zeros_like(x)
    for t in range(20):
        for other in range(max(0, t - 7), min(20, t + 8)):
            weight = torch.exp(-((other - t) ** 2) / (2 * sigma**2))
            want[:, :, t] += weight[:, None, None, None] * x[:, :, other]
    assert torch.equal(augment.blur(x, sigma), want)
