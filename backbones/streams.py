"""joint -> bone | motion: the one definition of the three streams of Table 1, as all releases compute them.

Only joints are stored and augmented; a stream is computed from the augmented joints, so that bone and motion
of a sheared skeleton are those of the sheared skeleton.
"""

# pyright: strict

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from backbones import skeleton
from backbones.layout import take_joints

STREAMS = ("joint", "bone", "motion")
_PARENTS = tuple(int(parent) for parent in skeleton.parents())


def to_stream(x: Float[Tensor, "B 3 T V M"], stream: str) -> Float[Tensor, "B 3 T V M"]:
    """Converts joints to a stream.

    joint: as it is. bone: each joint minus its parent, zero at the root. motion: the displacement to the next
    frame, zero in the last frame.

    Args:
        x: (B, 3, T, V, M) joints, metres.
        stream: one of STREAMS.
    Returns:
        (B, 3, T, V, M).
    Raises:
        ValueError: for an unknown stream.
    """
    if stream == "joint":
        return x
    if stream == "bone":
        return x - take_joints(x, _PARENTS)
    if stream == "motion":
        return torch.cat([x[:, :, 1:] - x[:, :, :-1], torch.zeros_like(x[:, :, :1])], dim=2)
    raise ValueError(f"no stream {stream!r}; there are {', '.join(STREAMS)}")
