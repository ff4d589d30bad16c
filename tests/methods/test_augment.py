"""Views: golden arrays given the golden draws, per-sample randomness, what mixing may and may not touch."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from backbones import skeleton
from methods import augment
from tests.methods.draws import generator, near, official_crop_start, official_shear, seed_both, skeletons

# --- golden -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frames", "seed", "name"), [(64, 1, "crop"), (50, 2, "crop50")])
def test_crop_equals_golden(golden, frames, seed, name):
    arrays = golden("aug")
    seed_both(seed)
    start = official_crop_start(frames, 6)
    assert start.item() == arrays[f"{name}_start_seed{seed}"]
    near(
        augment.temporal_crop(torch.tensor(arrays[f"x{frames}"])[None], start, 6)[0],
        arrays[f"{name}_seed{seed}"],
    )


def test_shear_equals_golden(golden):
    arrays = golden("aug")
    seed_both(0)
    s = official_shear(0.5)
    near(s[0], arrays["shear_draws_seed0"].astype(np.float32), 1e-7)
    near(augment.shear(torch.tensor(arrays["x64"])[None], s)[0], arrays["shear_seed0"])


def test_normal_augmentation_is_crop_then_shear_as_golden(golden):
    arrays = golden("aug")
    seed_both(11)
    cropped = augment.temporal_crop(torch.tensor(arrays["x64"])[None], official_crop_start(64, 6), 6)
    near(augment.shear(cropped, official_shear(0.5))[0], arrays["normal_seed11"])


@pytest.mark.parametrize("seed", range(8))
def test_mixing_equals_golden(golden, seed):
    """The official draws, replayed, choose parts by our names; region and pasted joints must be theirs."""
    arrays = golden("ske_swap")
    x = torch.tensor(arrays["x"])
    parts, units = ((3, 4), (4, 7)) if seed < 4 else ((2, 3), (7, 11))
    random.seed(seed)
    torch.manual_seed(seed)
    shift = int(torch.randint(1, len(x) - 1, (1,)))
    chosen = random.sample(range(5), random.randint(*parts))
    length = random.randint(*units)
    start = random.randint(0, 16 - length)

    joints = skeleton.part_masks()[chosen].any(dim=0)
    unit = torch.arange(16)
    mask = ((unit >= start) & (unit < start + length))[:, None] & joints
    assert arrays["draws_seed_shift_tstart_tlen_njoints"][seed].tolist() == [
        seed,
        shift,
        start,
        length,
        int(joints.sum()),
    ]
    np.testing.assert_array_equal(mask.numpy(), arrays[f"seed{seed}_mask"])

    donor = torch.tensor(arrays[f"seed{seed}_randidx"])
    assert donor.tolist() == [(i + shift) % len(x) for i in range(len(x))]
    region = torch.tensor(arrays[f"seed{seed}_mask"]).repeat_interleave(4, dim=0).expand(len(x), 64, 25)
    mixed = augment.mix_parts(x, donor, region)
    want = x.clone()
    for i in range(len(x)):
        for t in range(64):
            for v in region[i, t].nonzero().flatten().tolist():
                want[i, :, t, v] = x[int(donor[i]), :, t, v]
    assert torch.equal(mixed, want)
    if f"seed{seed}_x_mix" in arrays:
        near(mixed, arrays[f"seed{seed}_x_mix"], 0)


# --- crop and shear -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [64, 50])
def test_crop_equals_padding_and_cutting(frames):
    x = skeletons(2 * (frames // 6) + 1, frames)
    p = frames // 6
    padded = torch.cat([x[:, :, :p].flip(2), x, x[:, :, -p:].flip(2)], dim=2)
    starts = torch.arange(len(x))
    want = torch.stack([sample[:, s : s + frames] for s, sample in enumerate(padded)])
    assert torch.equal(augment.temporal_crop(x, starts, 6), want)


def test_crop_at_the_padding_is_the_identity():
    x = skeletons(2)
    assert torch.equal(augment.temporal_crop(x, torch.full((2,), 10), 6), x)


def test_shear_equals_a_loop():
    x, s = skeletons(3, 4), torch.rand(3, 6, generator=generator(0))
    want = torch.zeros_like(x)
    for i in range(3):
        a0, a1, a2, b0, b1, b2 = s[i].tolist()
        rows = [[1, a0, b0], [a1, 1, b1], [a2, b2, 1]]
        for r in range(3):
            for c in range(3):
                want[i, r] += rows[r][c] * x[i, c]
    near(augment.shear(x, s), want.numpy(), 1e-6)


def test_draws_fill_their_ranges():
    x = skeletons(1, 64).expand(4000, -1, -1, -1, -1)
    starts = augment.draw_crop(x, 6, generator(0))
    assert starts.unique().tolist() == list(range(21))  # 0 and 2p included
    counts = starts.bincount().float()
    assert (counts - 4000 / 21).abs().max() < 5 * (4000 / 21) ** 0.5
    s = augment.draw_shear(x, 0.5, generator(0))
    assert s.shape == (4000, 6)
    assert s.abs().max() <= 0.5
    assert (s.amin(dim=0) < -0.49).all()
    assert (s.amax(dim=0) > 0.49).all()
    assert s.mean(dim=0).abs().max() < 5 * (1 / 12 / 4000) ** 0.5
    correlation = torch.corrcoef(s.t()) - torch.eye(6)
    assert correlation.abs().max() < 5 / 4000**0.5


def test_every_sample_gets_its_own_draws():
    x = skeletons(1).expand(8, -1, -1, -1, -1)  # eight times the same sequence
    for view in (
        augment.normal(x, generator(0), 6, 0.0),
        augment.normal(x, generator(0), 0, 0.5),
    ):
        assert sum(not torch.equal(view[0], other) for other in view[1:]) >= 5


def test_a_seed_gives_the_same_views_and_another_gives_others():
    x = skeletons(8)
    one, same, other = (augment.normal(x, generator(seed), 6, 0.5) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.isclose(one, other).flatten(1).all(dim=1).any()


def test_zero_switches_augmentation_off_and_the_input_is_never_changed():
    x = skeletons(4)
    before = x.clone()
    assert torch.equal(augment.normal(x, generator(0), 0, 0.0), x)
    augment.normal(x, generator(0), 6, 0.5)
    donor, region = augment.draw_mix(x, (3, 4), (4, 7), False, generator(0))
    augment.mix_parts(x, donor, region)
    assert torch.equal(x, before)


def test_the_draws_of_a_seed_are_those_of_every_record():
    """Runs are named by their seed: the order and the form of the draws may not change without a new REVISION."""
    x, g = skeletons(9), generator(7)
    assert augment.draw_crop(x, 6, g).tolist() == [12, 13, 13, 8, 1, 18, 20, 8, 10]
    shears = augment.draw_shear(x, 0.5, g)[0].tolist()
    assert shears == pytest.approx([0.3512684, 0.3549432, 0.0509352, -0.213161, -0.2936806, -0.0549098], abs=1e-7)
    donor, region = augment.draw_mix(x, (3, 4), (4, 7), False, g)
    assert donor.tolist() == [4, 5, 6, 7, 8, 0, 1, 2, 3]
    assert decompose(region[0]) == (frozenset({"left arm", "right arm", "trunk"}), 3, 7)
    _, region = augment.draw_mix(x, (1, 2), (4, 7), True, g)
    assert decompose(region[3]) == (frozenset({"left leg", "right leg"}), 5, 4)
    assert augment.draw_turn(x, g)[0].tolist() == pytest.approx([0.0164995, 0.0085942, 0.0278027], abs=1e-7)
    assert torch.rand((), generator=g).item() == pytest.approx(0.6526629, abs=1e-7)


# --- mixing -------------------------------------------------------------------------------------------------


def decompose(region: torch.Tensor) -> tuple[frozenset[str], int, int]:
    """Parts, first unit and number of units of one sample's region (T, V); asserts it is such a product."""
    during, joints = region.any(dim=1), region.any(dim=0)
    assert torch.equal(region, during[:, None] & joints[None, :])
    frames = during.nonzero().flatten()
    start, end = int(frames[0]), int(frames[-1]) + 1
    assert len(frames) == end - start, "not one run of frames"
    assert start % 4 == 0
    assert end % 4 == 0 or end == len(region)
    parts = {name for name, mask in zip(skeleton.PARTS, skeleton.part_masks(), strict=True) if joints[mask].all()}
    assert sum(len(skeleton.PARTS[name]) for name in parts) == int(joints.sum()), "a torn part"
    return frozenset(parts), start // 4, -(-end // 4) - start // 4


@pytest.mark.parametrize("per_sample", [False, True])
def test_region_is_whole_parts_times_whole_units(per_sample):
    x = skeletons(5)
    for seed in range(20):
        donor, region = augment.draw_mix(x, (2, 4), (3, 7), per_sample, generator(seed))
        assert region.shape == (5, 64, 25)
        assert region.dtype == torch.bool
        found = [decompose(row) for row in region]
        assert all(2 <= len(parts) <= 4 and 3 <= length <= 7 for parts, _, length in found)
        assert (len(set(found)) > 1) == per_sample
        mixed = augment.mix_parts(x, donor, region)
        inside = region[:, None, :, :, None].expand_as(x)
        assert torch.equal(mixed[~inside], x[~inside])
        assert torch.equal(mixed[inside], x[donor][inside])
        assert not (mixed == x)[inside].any()


def test_mixing_draws_fill_their_ranges():
    x = skeletons(1).expand(600, -1, -1, -1, -1)
    _, region = augment.draw_mix(x, (3, 4), (4, 7), True, generator(0))
    found = [decompose(row) for row in region]
    assert {len(parts) for parts, _, _ in found} == {3, 4}
    assert {length for _, _, length in found} == {4, 5, 6, 7}
    for length in (4, 5, 6, 7):
        assert {start for _, start, n in found if n == length} == set(range(16 - length + 1))
    # 10 triples and 5 quadruples of five parts
    assert len({parts for parts, _, _ in found}) == 15
    each = torch.tensor([sum(name in parts for parts, _, _ in found) for name in skeleton.PARTS])
    assert (each - 600 * 0.7).abs().max() < 5 * (600 * 0.7 * 0.3) ** 0.5


@pytest.mark.parametrize("batch", [3, 5])
def test_donor_is_one_shift_and_never_oneself(batch):
    x = skeletons(batch, 32)
    shifts = set()
    for seed in range(60):
        donor, _ = augment.draw_mix(x, (3, 4), (4, 7), False, generator(seed))
        shift = int(donor[0])
        assert donor.tolist() == [(i + shift) % batch for i in range(batch)]
        shifts.add(shift)
    assert shifts == set(range(1, batch - 1))


def test_mixing_may_fill_the_whole_sequence_and_the_last_unit_may_be_short():
    x = skeletons(3, 50)  # 13 units, the last of two frames
    _, region = augment.draw_mix(x, (5, 5), (13, 13), False, generator(0))
    assert region.all()
    ends = {
        int(augment.draw_mix(x, (1, 1), (1, 1), False, generator(seed))[1][0].any(dim=1).nonzero()[-1])
        for seed in range(100)
    }
    assert max(ends) == 49


@pytest.mark.parametrize("batch", [1, 2])
def test_mixing_needs_three_samples(batch):
    with pytest.raises(ValueError, match=f"at least 3, got {batch}"):
        augment.draw_mix(skeletons(batch), (3, 4), (4, 7), False, generator(0))


def test_mixing_refuses_more_units_than_frames():
    with pytest.raises(ValueError, match=r"up to 7 units of 4 frames does not fit 24 frames \(6 units\)"):
        augment.draw_mix(skeletons(3, 24), (3, 4), (4, 7), False, generator(0))
