"""Views of skeleton sequences, made in batch on the device of the data, driven by one explicit generator.

Every augmentation is two functions: `draw_*` takes the random numbers, and the other applies them. One set is drawn
per sample; one for the batch says which joints HiCLR hides and, unless `per_sample` is set, what is mixed. The
generator is on the CPU, so that draws are the same whatever the device. They are finished there and sent once, without
waiting: a few numbers, but for noise, which has one per coordinate. No step here waits for the device.
"""

from __future__ import annotations

import functools
import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from backbones import skeleton
from backbones.layout import constant, joined, parted, take_joints

TURN, WOBBLE = 30.0, 1.0  # degrees: the largest turn about one axis, and about the two others
NOISE = 0.01  # metres, standard deviation
SIGMA, REACH = (0.1, 2.0), 7  # frames: range of the blur's width, and how far it reaches to both sides
MIX_UNIT = 4  # frames; the temporal stride of the backbones, the unit of Table 11's temporal_l and temporal_u
SHEAR = (6, 0, 3, 1, 6, 4, 2, 5, 6)  # which coefficient stands where in S, row by row; 6 is a one
_PART = skeleton.part_masks().int().argmax(dim=0)  # (V,): the part of every joint


def _send(drawn: Tensor, like: Tensor) -> Tensor:
    """To the device of the data. A copy from ordinary memory may wait for the GPU, one from pinned memory does not."""
    return (drawn.pin_memory() if like.is_cuda else drawn).to(like.device, non_blocking=True)


def _randint(low: int, high: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform on low..high, both included; on the CPU."""
    return torch.randint(low, high + 1, shape, generator=generator)


def draw_crop(x: Float[Tensor, "B 3 T V M"], ratio: int, generator: torch.Generator) -> Int[Tensor, " B"]:
    """First frames of the crops, (B,) in 0..2p with p = T // ratio."""
    return _send(_randint(0, 2 * (x.shape[2] // ratio), (len(x),), generator), x)


@functools.cache
def _crops(frames: int, ratio: int, device: torch.device) -> Tensor:
    """The frames of every possible crop, (2p + 1, T) int64 with p = T // ratio."""
    frame = torch.arange(frames, device=device)
    before, after = frame[: frames // ratio].flip(0), frame[frames - frames // ratio :].flip(0)
    return torch.cat([before, frame, after]).unfold(0, frames, 1).contiguous()


def temporal_crop(x: Float[Tensor, "B 3 T V M"], start: Int[Tensor, " B"], ratio: int) -> Float[Tensor, "B 3 T V M"]:
    """Pads T // ratio mirrored frames at both ends (the edge frame is repeated), then cuts T frames at `start`.

    "temporal_padding_ratio" of Table 10. x (B, 3, T, V, M), start (B,) -> the same shape as x.
    """
    batch, coordinates, frames, joints, persons = x.shape
    crops = _crops(frames, ratio, x.device).index_select(0, start).unsqueeze(1)  # (B, 1, T)
    first = torch.arange(0, batch * coordinates * frames, frames, device=x.device).view(batch, coordinates, 1)
    rows = x.reshape(-1, joints * persons)  # a frame's values of one coordinate lie side by side
    return rows.index_select(0, (first + crops).view(-1)).view(x.shape)


def draw_shear(x: Float[Tensor, "B 3 T V M"], amplitude: float, generator: torch.Generator) -> Float[Tensor, "B 6"]:
    """Six shear coefficients per sample, (B, 6), uniform on (-amplitude, amplitude)."""
    return _send((2 * torch.rand((len(x), 6), generator=generator) - 1) * amplitude, x)


def shear(x: Float[Tensor, "B 3 T V M"], s: Float[Tensor, "B 6"]) -> Float[Tensor, "B 3 T V M"]:
    """x' = S x with S = [[1, s0, s3], [s1, 1, s4], [s2, s5, 1]], one S per sequence. Table 10.

    x (B, 3, T, V, M), s (B, 6) -> the same shape as x.
    """
    entries = torch.nn.functional.pad(s, (0, 1), value=1.0).index_select(1, constant(SHEAR, x.device))
    return torch.bmm(entries.view(-1, 3, 3), x.flatten(2)).view(x.shape)


def normal(
    x: Float[Tensor, "B 3 T V M"], generator: torch.Generator, crop_ratio: int, shear_amplitude: float
) -> Float[Tensor, "B 3 T V M"]:
    """The normal augmentation N of section 3.1 and Table 10: temporal crop, then shear, x -> the same shape.

    0 or less switches either off.
    """
    if crop_ratio > 0:
        x = temporal_crop(x, draw_crop(x, crop_ratio, generator), crop_ratio)
    if shear_amplitude > 0:
        x = shear(x, draw_shear(x, shear_amplitude, generator))
    return x


def draw_coin(x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> Bool[Tensor, " B"]:
    """Whether something happens to a sample, half of the time, (B,) bool."""
    return _send(torch.rand((len(x),), generator=generator) < 0.5, x)


def where(
    coin: Bool[Tensor, " B"], changed: Float[Tensor, "B 3 T V M"], x: Float[Tensor, "B 3 T V M"]
) -> Float[Tensor, "B 3 T V M"]:
    """`changed` for the samples whose coin (B,) is true, x for the others."""
    return torch.where(coin.view(-1, 1, 1, 1, 1), changed, x)


def spatial_flip(x: Float[Tensor, "B 3 T V M"]) -> Float[Tensor, "B 3 T V M"]:
    """Left and right joints change their names, x (B, 3, T, V, M) -> the same shape.

    Coordinates are not mirrored, as in the release of AimCLR.
    """
    return take_joints(x, skeleton.FLIP)


def draw_turn(x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> Float[Tensor, "B 3"]:
    """Angles about x, y and z in radians, (B, 3): one axis up to 30 degrees, the others up to 1."""
    main = _randint(0, 2, (len(x), 1), generator) == torch.arange(3)
    angles = torch.rand((len(x), 3), generator=generator) * torch.where(main, TURN, WOBBLE) * (math.pi / 180)
    return _send(angles, x)


def rotate(x: Float[Tensor, "B 3 T V M"], angles: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3 T V M"]:
    """Turns about x, then y, then z. x (B, 3, T, V, M), angles (B, 3) in radians -> the same shape as x."""
    sin, cos = angles.sin().unbind(1), angles.cos().unbind(1)
    one, zero = torch.ones_like(sin[0]), torch.zeros_like(sin[0])
    about_x = [one, zero, zero, zero, cos[0], sin[0], zero, -sin[0], cos[0]]
    about_y = [cos[1], zero, -sin[1], zero, one, zero, sin[1], zero, cos[1]]
    about_z = [cos[2], sin[2], zero, -sin[2], cos[2], zero, zero, zero, one]
    x_, y_, z_ = (torch.stack(entries, dim=1).view(-1, 3, 3) for entries in (about_x, about_y, about_z))
    return torch.bmm(z_ @ y_ @ x_, x.flatten(2)).view_as(x)


def draw_noise(x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> Float[Tensor, "B 3 T V M"]:
    """Gaussian noise of the shape of x, metres. Absent persons get it too, as in the release of AimCLR."""
    return _send(torch.randn(x.shape, generator=generator), x).mul_(NOISE)


def draw_sigma(x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> Float[Tensor, " B"]:
    """Widths of the blur in frames, (B,)."""
    return _send(SIGMA[0] + (SIGMA[1] - SIGMA[0]) * torch.rand((len(x),), generator=generator), x)


def blur(x: Float[Tensor, "B 3 T V M"], sigma: Float[Tensor, " B"]) -> Float[Tensor, "B 3 T V M"]:
    """Gaussian blur along time, zeros outside. x (B, 3, T, V, M), sigma (B,) -> the same shape as x.

    The kernel is not normalised, as in the release of AimCLR: it makes a skeleton up to five times as large.
    """
    offset = torch.arange(-REACH, REACH + 1, device=x.device)
    kernel = torch.exp(-(offset**2) / (2 * sigma[:, None] ** 2))  # (B, 15)
    weights = kernel.to(x.dtype).view(len(x), -1, 1, 1, 1).unbind(1)
    padded = torch.nn.functional.pad(x.flatten(3), (0, 0, REACH, REACH))
    shifted = [padded[:, :, i : i + x.shape[2]] for i in range(len(weights))]
    blurred = shifted[0] * weights[0]
    term = torch.empty_like(blurred)
    for part, weight in zip(shifted[1:], weights[1:], strict=True):
        blurred += torch.mul(part, weight, out=term)
    return blurred.view(x.shape)


def draw_axis(x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> Int[Tensor, " B"]:
    """A coordinate, (B,) in 0..2."""
    return _send(_randint(0, 2, (len(x),), generator), x)


def axis_mask(x: Float[Tensor, "B 3 T V M"], axis: Int[Tensor, " B"]) -> Float[Tensor, "B 3 T V M"]:
    """One coordinate of the whole sequence becomes 0. x (B, 3, T, V, M), axis (B,) -> the same shape as x."""
    gone = torch.arange(3, device=x.device) == axis[:, None]
    return x.masked_fill(gone[:, :, None, None, None], 0.0)


def extreme(
    x: Float[Tensor, "B 3 T V M"], generator: torch.Generator, crop_ratio: int, shear_amplitude: float
) -> Float[Tensor, "B 3 T V M"]:
    """The extreme augmentation of AimCLR and HiCLR: normal, then five more, all but the turn half of the time.

    x (B, 3, T, V, M), metres -> the same shape. The order and the set ('12345', without the flip in time) are those of
    AimCLR's release since March 2022.
    """
    x = normal(x, generator, crop_ratio, shear_amplitude)
    x = where(draw_coin(x, generator), spatial_flip(x), x)
    x = rotate(x, draw_turn(x, generator))
    x = where(draw_coin(x, generator), x + draw_noise(x, generator), x)
    x = where(draw_coin(x, generator), blur(x, draw_sigma(x, generator)), x)
    return where(draw_coin(x, generator), axis_mask(x, draw_axis(x, generator)), x)


def draw_joints(x: Float[Tensor, "B 3 T V M"], share: float, generator: torch.Generator) -> Bool[Tensor, "T V"]:
    """Which joints of which frames HiCLR hides, (T, V) bool: int(V * share) of every frame, one draw for the batch."""
    frames, joints = x.shape[2:4]
    rank = torch.rand((frames, joints), generator=generator).argsort(dim=1).argsort(dim=1)
    return _send(rank < int(joints * share), x)


def draw_mix(
    x: Float[Tensor, "B 3 T V M"],
    parts: tuple[int, int],
    units: tuple[int, int],
    per_sample: bool,
    generator: torch.Generator,
) -> tuple[Int[Tensor, " B"], Bool[Tensor, "B T V"]]:
    """Who gives, and where: donor (B,) indices into the batch, and region (B, T, V) bool.

    The donor of sample i is (i + shift) mod B with one shift in 1..B-2. The region is a set of body parts during
    a run of frames: `parts` of the five parts and `units` times four frames, bounds included (Table 11). The
    releases draw one region per batch; `per_sample` draws one for every sample.

    Raises:
        ValueError: for a batch of fewer than three, parts or units that are no range, more units than x has.
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
    donor = (torch.arange(batch) + _randint(1, batch - 2, (1,), generator)) % batch

    count = _randint(parts[0], parts[1], (rows, 1), generator)
    rank = torch.rand((rows, len(skeleton.PARTS)), generator=generator).argsort(dim=1).argsort(dim=1)
    chosen = (rank < count).index_select(1, _PART)  # (rows, V)

    length = _randint(units[0], units[1], (rows, 1), generator)
    start = (torch.rand((rows, 1), generator=generator) * (total - length + 1)).floor().long()
    since = torch.arange(frames) // MIX_UNIT - start
    during = (since >= 0) & (since < length)  # (rows, T)
    region = during[:, :, None] & chosen[:, None, :]
    return _send(donor, x), _send(region, x).expand(batch, frames, joints)


def mix_parts(
    x: Float[Tensor, "B 3 T V M"], donor: Int[Tensor, " B"], region: Bool[Tensor, "B T V"]
) -> Float[Tensor, "B 3 T V M"]:
    """gamma of section 3.2: pastes the donor's joints into the region, "swap" mode of Table 11.

    One-directional: sample i receives from donor[i]; both come from the same x. x (B, 3, T, V, M), donor (B,),
    region (B, T, V) -> the same shape as x.
    """
    own = joined(x)
    given = own.index_select(0, donor)
    pasted = region[:, None] if own.is_complex() else region[:, None, :, :, None]
    return parted(torch.where(pasted, given, own, out=given))
