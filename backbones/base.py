"""What every backbone promises: tokens for the attention mask, one pooled vector for everything else."""

# pyright: strict

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

GRAIN = 4  # rows, see distinct_rows
MaskPooling = Literal["mean", "last"]


class Features(NamedTuple):
    """What a backbone sees in a batch.

    M' = M for ST-GCN and DSTA, where attention never crosses persons, and 1 for BiGRU, which reads both
    persons of a frame as one vector.
    """

    tokens: Float[Tensor, "B P n C"]  # P is M'
    pooled: Float[Tensor, "B C"]  # the backbone's own summary; what the evaluation protocols get


class Backbone(nn.Module):
    """An encoder of skeleton sequences, (B, 3, T, V, M) -> Features."""

    REVISION: ClassVar[int]  # bumped when numbers change by more than rounding and the draw of masks; in every run id
    Config: ClassVar[type]  # frozen dataclass of every setting

    width: int  # C
    mask_pooling: MaskPooling = "mean"  # how tokens that a mask has weighted become one vector

    @property
    def projector_width(self) -> int:
        """Inner width of SkeAttnCLR's released projector, which differs by backbone: C unless overridden."""
        return self.width

    def grid(self, frames: int) -> tuple[int, int] | None:
        """(T', V) when the n = T' * V tokens form a frame-major grid, None for a sequence model."""
        return None

    def forward(self, x: Float[Tensor, "B 3 T V M"]) -> Features:
        """x (B, 3, T, V, M), metres or their differences (a stream) -> Features.

        Raises:
            ValueError: for a length or a number of persons that the backbone cannot read.
        """
        raise NotImplementedError


def person_rows(x: Float[Tensor, "B 3 T V M"]) -> Float[Tensor, "B*M 3 T V"]:
    """x (B, 3, T, V, M) -> (B * M, 3, T, V): every person is a row of its own, those of a sample side by side."""
    return x.movedim(4, 1).flatten(0, 1)


def distinct_rows(
    rows: Float[Tensor, "R 3 T V"],
) -> tuple[Float[Tensor, "D 3 T V"], Int[Tensor, " R"]] | None:
    """Persons that are there, followed by absent ones, all zero (R', ...), and which of them each row is (R,).

    R' is a multiple of `GRAIN`, because a convolution on a CPU is prepared anew for every number of rows. None where
    that saves nothing. Waits for the device.
    """
    there = (rows != 0).flatten(1).any(dim=1)
    count = int(there.sum())
    kept = -(-(count + 1) // GRAIN) * GRAIN
    if kept >= len(rows):
        return None
    which = torch.where(there, there.cumsum(0) - 1, kept - 1)
    return torch.cat([rows[there], rows.new_zeros(kept - count, *rows.shape[1:])]), which


class PersonBackbone(Backbone):
    """A backbone that reads every person of a sample alone.

    An absent person is all zeros and still counts: its features are not zero, because of biases and batch statistics.
    So do all releases. As long as all absent ones have the same features, those are computed once.
    """

    def absent_alike(self, rows: Float[Tensor, "R 3 T V"]) -> bool:
        """Whether absent persons all have the same features: in evaluation mode, where rows do not see each other."""
        return not any(module.training for module in self.modules())  # BatchNorm may be trained by itself

    def maps(self, rows: Float[Tensor, "R 3 T V"]) -> Float[Tensor, "R C t V"]:
        """rows (R, 3, T, V), metres, R = B * M -> feature maps (R, C, T', V) with T' of `grid`."""
        raise NotImplementedError

    def distinct_maps(self, rows: Float[Tensor, "R 3 T V"], more: int) -> Float[Tensor, "R C t V"]:
        """`maps` of a batch in which the last row is there `more` times more than it is written.

        Where rows do not see each other, that is `maps`.
        """
        return self.maps(rows)

    def forward(self, x: Float[Tensor, "B 3 T V M"]) -> Features:
        """x (B, 3, T, V, M), metres -> Features: frame-major tokens, pooled as the mean over tokens and persons."""
        rows = person_rows(x)
        found = distinct_rows(rows) if self.absent_alike(rows) else None
        if found is None:
            maps = self.maps(rows)
        else:
            distinct, which = found
            maps = self.distinct_maps(distinct, len(rows) - len(distinct)).index_select(0, which)
        tokens = torch.unflatten(maps.flatten(2).transpose(1, 2), 0, (-1, x.shape[4]))
        return Features(tokens, tokens.mean(dim=(1, 2)))
