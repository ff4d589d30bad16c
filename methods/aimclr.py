"""AimCLR (Guo et al., AAAI 2022): extreme augmentations, taught by the normal view, and mined nearest neighbours.

Beyond SkeletonCLR: an extremely augmented view, the same view with its most attended features dropped, a loss that
brings their distributions over positive and negatives to that of the normal view, and, later in training, the
nearest neighbours among the negatives as positives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from backbones import Backbone
from backbones.streams import to_stream
from methods import augment, losses, moco
from methods.base import At, gridless
from methods.skeletonclr import SkeletonCLR

SOFTENER = 1e-4  # of the energy, against a feature that never changes
LEAST = 1 / (1 + math.exp(-3 / 4))  # sigmoid(3/4): no map's attention has a mean above it, see `attention`


def attention(x: Float[Tensor, "R C t V"]) -> Float[Tensor, "R C t V"]:
    """How much a feature stands out from its channel, .62 to 1: (R, C, T', V) -> the same shape.

    The inverse energy of SimAM: e = (x - mean)^2 / (4 (var + 1e-4)) + 1/2 over the grid, attention = sigmoid(e). The
    mean of e is below 1/4 + 1/2, so that of attention, which is concave in e, is below sigmoid(3/4); a channel of two
    values, half of the cells each, comes as near to it as one likes.
    """
    squared = (x - x.mean(dim=(2, 3), keepdim=True)) ** 2
    variance = squared.sum(dim=(2, 3), keepdim=True) / (x[0, 0].numel() - 1)
    return torch.sigmoid(squared / (4 * (variance + SOFTENER)) + 0.5)


def drop_attended(x: Float[Tensor, "R C t V"], keep: float) -> Float[Tensor, "R C t V"]:
    """Energy-based attention-guided drop: what stands out most becomes 0, the rest is scaled up to make up for it.

    First joints by their mean attention, then single features. Gradients flow through what is kept, not through the
    choice. With `keep` from LEAST up some joint is always left. x (R, C, T', V), a row per person -> the same shape.
    """
    with torch.no_grad():
        attended = attention(x)
        joints = (attended.mean(dim=(1, 2)) < keep).to(x.dtype)[:, None, None, :]
        features = (attended < keep).to(x.dtype)
    x = x * joints * (joints.numel() / joints.sum())
    return x * features * (features.numel() / features.sum())


class AimCLR(SkeletonCLR):
    """L = InfoNCE(z, z_k) + 1/2 [D(z_e <- z) + D(z_d <- z)]; from `mine_from` on the first term has more positives."""

    REVISION: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Config(SkeletonCLR.Config):
        """Defaults are those of the release."""

        tau: float = 0.07
        momentum: float = 0.999
        momentum_schedule: moco.Schedule = "constant"
        keep: float = 0.7  # features with at least this much attention are dropped; from sigmoid(3/4) = .679 to 1
        mine_from: int = 150  # epochs without mining
        mined: int = 1  # nearest neighbours of each of the three views

        def __post_init__(self) -> None:
            super().__post_init__()
            moco.check_mined(self.mined, self.queue)
            if not LEAST <= self.keep <= 1:
                raise ValueError(
                    f"keep is an attention, from {LEAST:.3f} (below it all joints may be dropped, and nothing is left) "
                    f"to 1 (hardly anything is dropped); got {self.keep}"
                )

    @classmethod
    def unsupported(cls, config: object, backbone: Backbone, stream: str) -> str | None:
        """Joints are dropped on a grid of joints and frames."""
        return gridless(cls, backbone)

    @classmethod
    def passes(cls, config: object) -> int:
        """Query and extreme view, there and back, and the key."""
        return 7

    def views(self, x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> dict[str, Tensor]:
        """x (B, 3, T, V, M) -> "extreme", "query", "key"."""
        c = self.config
        hard = to_stream(augment.extreme(x, generator, c.crop_ratio, c.shear), self.stream)
        return {"extreme": hard, **super().views(x, generator)}

    def loss(self, views: dict[str, Tensor], at: At) -> dict[str, Tensor]:
        """InfoNCE, mined after a while, and the two divergences."""
        c = self.config
        assert isinstance(c, AimCLR.Config)
        z = self.query.embed(self.query(views["query"]).pooled)
        features = self.query(views["extreme"])
        z_e, z_d = self.query.embed(features.pooled), self.query.embed(self._dropped(features.tokens, views["extreme"]))
        with torch.no_grad():
            self._keys = z_k = self.key.embed(self.key(views["key"]).pooled)

        plain, hard, dropped = (losses.contrast_logits(q, z_k, self.queue.keys, c.tau) for q in (z, z_e, z_d))
        positives = losses.neighbours((plain, hard, dropped), c.mined if at.epoch >= c.mine_from else 0)
        return {
            "info": losses.mined_nce(plain, positives),
            "extreme": 0.5 * losses.taught(hard, plain),
            "dropped": 0.5 * losses.taught(dropped, plain),
        }

    def _dropped(self, tokens: Tensor, view: Tensor) -> Tensor:
        """tokens (B, M', T'V, C) -> pooled (B, C) after the drop."""
        grid = self.query.backbone.grid(view.shape[2])
        assert grid is not None
        batch, persons, _, width = tokens.shape
        maps = tokens.reshape(batch * persons, *grid, width).permute(0, 3, 1, 2)
        assert isinstance(self.config, AimCLR.Config)
        return drop_attended(maps, self.config.keep).mean(dim=(2, 3)).view(batch, persons, width).mean(dim=1)
