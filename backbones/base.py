"""What every backbone promises: tokens for the attention mask, one pooled vector for everything else."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from torch import Tensor, nn

MaskPooling = Literal["mean", "last"]


class Features(NamedTuple):
    """What a backbone sees in a batch.

    M' = M for ST-GCN and DSTA, where attention never crosses persons, and 1 for BiGRU, which reads both
    persons of a frame as one vector.
    """

    tokens: Tensor  # (B, M', n, C)
    pooled: Tensor  # (B, C), the backbone's own summary; what the evaluation protocols get


class Backbone(nn.Module):
    """An encoder of skeleton sequences, (B, 3, T, V, M) -> Features."""

    REVISION: ClassVar[int]  # bumped when the numbers change; part of every run id
    Config: ClassVar[type]  # frozen dataclass of every setting

    width: int  # C
    mask_pooling: MaskPooling = "mean"  # how tokens that a mask has weighted become one vector

    @property
    def neck(self) -> int:
        """Inner width of SkeAttnCLR's released projector, which differs by backbone: C unless overridden."""
        return self.width

    def grid(self, frames: int) -> tuple[int, int] | None:
        """(T', V) when the n = T' * V tokens form a frame-major grid, None for a sequence model."""
        return None

    def forward(self, x: Tensor) -> Features:
        """x (B, 3, T, V, M), metres -> Features."""
        raise NotImplementedError


def person_rows(x: Tensor) -> Tensor:
    """x (B, 3, T, V, M) -> (B * M, 3, T, V): every person is a row of its own, those of a sample side by side."""
    return x.movedim(4, 1).flatten(0, 1)


def grid_features(maps: Tensor, persons: int) -> Features:
    """Feature maps (B * M, C, T', V) -> Features: frame-major tokens, pooled as the mean over tokens and persons."""
    tokens = maps.flatten(2).transpose(1, 2).unflatten(0, (-1, persons))
    return Features(tokens, tokens.mean(dim=(1, 2)))
