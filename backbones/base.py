"""What every backbone promises: tokens for the attention mask, one pooled vector for everything else."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from torch import Tensor, nn


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

    def grid(self, frames: int) -> tuple[int, int] | None:
        """(T', V) when the n = T' * V tokens form a frame-major grid, None for a sequence model."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Features:
        """x (B, 3, T, V, M), metres -> Features."""
        raise NotImplementedError
