"""SkeleMixCLR (Chen et al., 2022): parts of one skeleton pasted into another, and contrast of both in one feature map.

Beyond SkeletonCLR: the feature map of the mixed sequence is pooled apart where it was pasted and where it was not. The
pasted part belongs to the donor's key, the context to the receiver's, and each is the other's negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from backbones import Backbone
from methods import augment, losses, moco
from methods.base import At, gridless
from methods.skeletonclr import SkeletonCLR


def regions(
    tokens: Float[Tensor, "B P n C"], pasted: Bool[Tensor, "B n"]
) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B C"]]:
    """Means over the pasted cells and over the others, then over persons: the local features of SkeleMixCLR.

    tokens (B, M', n, C), pasted (B, n) bool -> two (B, C); zeros where there is no such cell.
    """
    inside = pasted[:, None, :, None].to(tokens.dtype)
    outside = 1 - inside
    inner, outer = ((tokens * mask).sum(dim=2) / mask.sum(dim=2).clamp(min=1) for mask in (inside, outside))
    return inner.mean(dim=1), outer.mean(dim=1)


class SkeleMixCLR(SkeletonCLR):
    """L = L_global + 1/2 L_pasted + 1/2 L_context, the last two for every mix."""

    REVISION: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Config(SkeletonCLR.Config):
        """Defaults are those of the release with one mix; `mixes` 3 and `combine` "sum" are SkeleMixCLR+."""

        momentum: float = 0.999
        momentum_schedule: moco.Schedule = "constant"
        mix_parts: tuple[int, int] = (2, 3)  # spatial_l, spatial_u, of five body parts
        mix_units: tuple[int, int] = (7, 11)  # temporal_l, temporal_u, in units of four frames
        mix_per_sample: bool = False  # the release draws one region per batch
        mixes: int = 1
        combine: Literal["mean", "sum"] = "mean"  # of the mixes

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.mixes < 1:
                raise ValueError(f"mixes must be at least 1; got {self.mixes}")

    @classmethod
    def unsupported(cls, config: object, backbone: Backbone, stream: str) -> str | None:
        """Pasted and other features are told apart on a grid of joints and frames."""
        return gridless(cls, backbone)

    @classmethod
    def passes(cls, config: object) -> int:
        """Query and mixes, there and back, and the key."""
        assert isinstance(config, cls.Config)
        return 4 + 3 * config.mixes

    @staticmethod
    def make_head(width: int, dim: int) -> nn.Module:
        """Linear, BatchNorm, ReLU, Linear."""
        return nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, dim))

    def views(self, x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> dict[str, Tensor]:
        """x (B, 3, T, V, M) -> "query", "key"; of every mix i "mix i", "donor i" (B,), "region i" (B, T, V) bool.

        Streams are mixed, not joints, as in the release.
        """
        c = self.config
        assert isinstance(c, SkeleMixCLR.Config)
        views = super().views(x, generator)
        for i in range(c.mixes):
            query = views["query"]
            donor, region = augment.draw_mix(query, c.mix_parts, c.mix_units, c.mix_per_sample, generator)
            mixed = augment.mix_parts(query, donor, region)
            views |= {f"mix {i}": mixed, f"donor {i}": donor, f"region {i}": region}
        return views

    def loss(self, views: dict[str, Tensor], at: At) -> dict[str, Tensor]:
        """The global term, and pasted and context terms of all mixes."""
        c = self.config
        assert isinstance(c, SkeleMixCLR.Config)
        terms = super().loss(views, at)
        assert self._keys is not None
        z_k, pasted, context = self._keys, [], []
        for i in range(c.mixes):
            tokens = self.query(views[f"mix {i}"]).tokens
            inner, outer = regions(tokens, self._cells(views[f"region {i}"]))
            p, c_ = self.query.embed(inner), self.query.embed(outer)
            donors = z_k[views[f"donor {i}"]]
            pasted.append(losses.info_nce(p, donors, self.queue.keys, c.tau, c_.detach()))
            context.append(losses.info_nce(c_, z_k, self.queue.keys, c.tau, p.detach()))
        weight = 0.5 / c.mixes if c.combine == "mean" else 0.5
        return terms | {"pasted": weight * torch.stack(pasted).sum(), "context": weight * torch.stack(context).sum()}

    def _cells(self, region: Tensor) -> Tensor:
        """(B, T, V) bool -> (B, T'V) bool: the cells of the feature map whose frames were pasted."""
        grid = self.query.backbone.grid(region.shape[1])
        assert grid is not None
        stride = -(-region.shape[1] // grid[0])
        cells = F.max_pool2d(region.float(), (stride, 1), ceil_mode=True) > 0
        return cells.flatten(1)
