"""Views of skeleton sequences, made in batch on the device of the data, driven by one explicit generator.

Every augmentation is two functions: `draw_*` takes the random numbers, one set per sample, and the other applies
them. Nothing here synchronises with the host.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backbones import skeleton

TURN, WOBBLE = 30.0, 1.0  # degrees: the largest turn about one axis, and about the two others
NOISE = 0.01  # metres, standard deviation
SIGMA, REACH = (0.1, 2.0), 7  # frames: range of the blur's width, and how far it reaches to both sides
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


def draw_coin(x: Tensor, generator: torch.Generator, chance: float = 0.5) -> Tensor:
    """Whether something happens to a sample, (B,) bool."""
    return _rand((len(x),), x, generator) < chance


def where(coin: Tensor, changed: Tensor, x: Tensor) -> Tensor:
    """`changed` for the samples whose coin (B,) is true, x for the others."""
    return torch.where(coin.view(-1, 1, 1, 1, 1), changed, x)


def spatial_flip(x: Tensor) -> Tensor:
    """Left and right joints change their names. Coordinates are not mirrored, as in the release of AimCLR."""
    return x[:, :, :, list(skeleton.FLIP)]


def draw_turn(x: Tensor, generator: torch.Generator) -> Tensor:
    """Angles about x, y and z in radians, (B, 3): one axis up to 30 degrees, the others up to 1."""
    main = _randint(0, 2, (len(x), 1), x, generator) == torch.arange(3, device=x.device)
    return _rand((len(x), 3), x, generator) * torch.where(main, TURN, WOBBLE) * (math.pi / 180)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turns about x, then y, then z. x (B, 3, T, V, M), angles (B, 3) in radians -> the same shape as x."""
    sin, cos = angles.sin().unbind(1), angles.cos().unbind(1)
    one, zero = torch.ones_like(sin[0]), torch.zeros_like(sin[0])
    about_x = [one, zero, zero, zero, cos[0], sin[0], zero, -sin[0], cos[0]]
    about_y = [cos[1], zero, -sin[1], zero, one, zero, sin[1], zero, cos[1]]
    about_z = [cos[2], sin[2], zero, -sin[2], cos[2], zero, zero, zero, one]
    x_, y_, z_ = (torch.stack(entries, dim=1).view(-1, 3, 3) for entries in (about_x, about_y, about_z))
    return torch.bmm(z_ @ y_ @ x_, x.flatten(2)).view_as(x)


def draw_noise(x: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise of the shape of x. Absent persons get it too, as in the release of AimCLR."""
    return NOISE * torch.randn(x.shape, generator=generator).to(x.device, non_blocking=True)


def draw_sigma(x: Tensor, generator: torch.Generator) -> Tensor:
    """Widths of the blur in frames, (B,)."""
    return SIGMA[0] + (SIGMA[1] - SIGMA[0]) * _rand((len(x),), x, generator)


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur along time, zeros outside. x (B, 3, T, V, M), sigma (B,) -> the same shape as x.

    The kernel is not normalised, as in the release of AimCLR: it makes a skeleton up to five times as large.
    """
    offset = torch.arange(-REACH, REACH + 1, device=x.device)
    kernel = torch.exp(-(offset**2) / (2 * sigma[:, None] ** 2))  # (B, 15)
    padded = torch.nn.functional.pad(x, (0, 0, 0, 0, REACH, REACH))
    return torch.einsum("bk,bctvmk->bctvm", kernel.to(x.dtype), padded.unfold(2, len(offset), 1))


def draw_axis(x: Tensor, generator: torch.Generator) -> Tensor:
    """A coordinate, (B,) in 0..2."""
    return _randint(0, 2, (len(x),), x, generator)


def axis_mask(x: Tensor, axis: Tensor) -> Tensor:
    """One coordinate of the whole sequence becomes 0. x (B, 3, T, V, M), axis (B,) -> the same shape as x."""
    gone = torch.arange(3, device=x.device) == axis[:, None]
    return x.masked_fill(gone[:, :, None, None, None], 0.0)


def extreme(x: Tensor, generator: torch.Generator, crop_ratio: int, shear_amplitude: float) -> Tensor:
    """The extreme augmentation of AimCLR and HiCLR: normal, then five more, all but the turn half of the time.

    The order and the set ('12345', without the flip in time) are those of AimCLR's release since March 2022.
    """
    x = normal(x, generator, crop_ratio, shear_amplitude)
    x = where(draw_coin(x, generator), spatial_flip(x), x)
    x = rotate(x, draw_turn(x, generator))
    x = where(draw_coin(x, generator), x + draw_noise(x, generator), x)
    x = where(draw_coin(x, generator), blur(x, draw_sigma(x, generator)), x)
    return where(draw_coin(x, generator), axis_mask(x, draw_axis(x, generator)), x)


def draw_joints(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Which joints of which frames are hidden, (T, V) bool: int(V * share) of every frame, one draw for the batch."""
    frames, joints = x.shape[2:4]
    rank = _rand((frames, joints), x, generator).argsort(dim=1).argsort(dim=1)
    return rank < int(joints * share)


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
