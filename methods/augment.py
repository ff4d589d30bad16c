"""Views of skeleton sequences, made in batch on the device of the data, driven by one explicit generator.

Every augmentation is two functions: `draw_*` takes the random numbers, one set per sample, and the other applies
them. Nothing here synchronises with the host. The extreme augmentations of AimCLR and HiCLR join here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backbones import skeleton

MIX_UNIT = 4  # frames; the temporal stride of the backbones, the unit of Table 11's temporal_l and temporal_u


def _rand(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """The generator lives on the CPU: the few numbers of a batch are then the same whatever the device."""
    return torch.rand(shape, generator=generator).to(like.device, non_blocking=True)


def _randint(low: int, high: int, shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform on low..high, both included."""
    return torch.randint(low, high + 1, shape, generator=generator).to(like.device, non_blocking=True)


def draw_crop(x: Tensor, ratio: int, generator: torch.Generator) -> Tensor:
    """First frames of the crops, (B,) in 0..2p with p = T // ratio."""
    return _randint(0, 2 * (x.shape[2] // ratio), (len(x),), x, generator)


def temporal_crop(x: Tensor, start: Tensor, ratio: int) -> Tensor:
    """Pads T // ratio mirrored frames at both ends (the edge frame is repeated), then cuts T frames at `start`.

    "temporal_padding_ratio" of Table 10. x (B, 3, T, V, M), start (B,) -> the same shape as x.
    """
    frames = x.shape[2]
    index = start[:, None] + torch.arange(frames, device=x.device) - frames // ratio
    index = torch.where(index < 0, -1 - index, index)
    index = torch.where(index >= frames, 2 * frames - 1 - index, index)
    return x.gather(2, index[:, None, :, None, None].expand_as(x))


def draw_shear(x: Tensor, amplitude: float, generator: torch.Generator) -> Tensor:
    """Six shear coefficients per sample, (B, 6), uniform on (-amplitude, amplitude)."""
    return (2 * _rand((len(x), 6), x, generator) - 1) * amplitude


def shear(x: Tensor, s: Tensor) -> Tensor:
    """x' = S x with S = [[1, s0, s3], [s1, 1, s4], [s2, s5, 1]], one S per sequence. Table 10.

    x (B, 3, T, V, M), s (B, 6) -> the same shape as x.
    """
    one = torch.ones_like(s[:, 0])
    rows = [one, s[:, 0], s[:, 3], s[:, 1], one, s[:, 4], s[:, 2], s[:, 5], one]
    matrix = torch.stack(rows, dim=1).view(-1, 3, 3)
    return torch.bmm(matrix, x.flatten(2)).view_as(x)


def normal(x: Tensor, generator: torch.Generator, crop_ratio: int, shear_amplitude: float) -> Tensor:
    """The normal augmentation N of section 3.1: temporal crop, then shear. 0 or less switches either off."""
    if crop_ratio > 0:
        x = temporal_crop(x, draw_crop(x, crop_ratio, generator), crop_ratio)
    if shear_amplitude > 0:
        x = shear(x, draw_shear(x, shear_amplitude, generator))
    return x


def draw_mix(
    x: Tensor, parts: tuple[int, int], units: tuple[int, int], per_sample: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Who gives, and where: donor (B,) indices into the batch, and region (B, T, V) bool.

    The donor of sample i is (i + shift) mod B with one shift in 1..B-2. The region is a set of body parts during
    a run of frames: `parts` of the five parts and `units` times four frames, bounds included (Table 11). The
    releases draw one region per batch; `per_sample` draws one for every sample.

    Raises:
        ValueError: for a batch of fewer than three, or more units than the sequence has.
    """
    batch, _, frames, joints, _ = x.shape
    total = -(-frames // MIX_UNIT)
    if batch < 3:
        raise ValueError(f"mixing needs a batch of at least 3, got {batch}")
    if not 1 <= parts[0] <= parts[1] <= len(skeleton.PARTS):
        raise ValueError(f"mixing {parts[0]} to {parts[1]} parts is not a range within 1 to {len(skeleton.PARTS)}")
    if not 1 <= units[0] <= units[1]:
        raise ValueError(f"mixing {units[0]} to {units[1]} units of frames is not a range from 1 up")
    if units[1] > total:
        raise ValueError(
            f"mixing up to {units[1]} units of {MIX_UNIT} frames does not fit {frames} frames ({total} units)"
        )
    rows = batch if per_sample else 1
    shift = _randint(1, batch - 2, (1,), x, generator)
    donor = (torch.arange(batch, device=x.device) + shift) % batch

    count = _randint(parts[0], parts[1], (rows, 1), x, generator)
    masks = skeleton.part_masks().to(x.device)
    rank = _rand((rows, len(masks)), x, generator).argsort(dim=1).argsort(dim=1)
    chosen = ((rank < count).float() @ masks.float()) > 0  # (rows, V)

    length = _randint(units[0], units[1], (rows, 1), x, generator)
    start = (_rand((rows, 1), x, generator) * (total - length + 1)).floor().long()
    unit = torch.arange(frames, device=x.device) // MIX_UNIT
    during = (unit >= start) & (unit < start + length)  # (rows, T)
    return donor, (during[:, :, None] & chosen[:, None, :]).expand(batch, frames, joints)


def mix_parts(x: Tensor, donor: Tensor, region: Tensor) -> Tensor:
    """gamma of section 3.2: pastes the donor's joints into the region, "swap" mode of Table 11.

    One-directional: sample i receives from donor[i]; both come from the same x. x (B, 3, T, V, M), donor (B,),
    region (B, T, V) -> the same shape as x.
    """
    return torch.where(region[:, None, :, :, None], x[donor], x)
