"""HiCLR (Zhang et al., AAAI 2023): a hierarchy of growing augmentations, each level taught by the one below it.

Beyond SkeletonCLR: an extremely augmented view, and another one of which joints are hidden behind a learnt value.
Each has its distribution over positive and negatives brought to that of the level below; later in training nearest
neighbours are mined, as in AimCLR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backbones import Backbone
from backbones.streams import to_stream
from methods import augment, losses, moco
from methods.base import At
from methods.skeletonclr import SkeletonCLR


class HiCLR(SkeletonCLR):
    """L = InfoNCE(z, z_k) + 1/2 [D(z_1 <- z) + D(z_2 <- z_1)]; from `mine_from` on InfoNCE has more positives."""

    REVISION: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Config(SkeletonCLR.Config):
        """Defaults are those of the release. Its edge dropping is switched off there and is not offered here."""

        tau: float = 0.07
        momentum: float = 0.999
        momentum_schedule: moco.Schedule = "constant"
        hidden_share: float = 0.1  # of the joints of every frame
        mine_from: int = 150  # epochs without mining
        mined: int = 1  # nearest neighbours of each of the three levels

        def __post_init__(self) -> None:
            super().__post_init__()
            moco.check_mined(self.mined, self.queue)
            if not 0 <= self.hidden_share <= 1:
                raise ValueError(f"hidden_share is a share of the joints, 0 to 1; got {self.hidden_share}")

    def __init__(self, backbone: Backbone, stream: str, config: Config) -> None:
        super().__init__(backbone, stream, config)
        self.hidden = nn.Parameter(torch.zeros(1))  # what stands in the place of a hidden coordinate

    @classmethod
    def passes(cls, config: object) -> int:
        """Query and two extreme views, there and back, and the key."""
        return 10

    def views(self, x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> dict[str, Tensor]:
        """x (B, 3, T, V, M) -> "strong", "masked", "query", "key", and "mask" (T, V) bool, the joints to hide."""
        c = self.config
        assert isinstance(c, HiCLR.Config)
        strong, masked = (
            to_stream(augment.extreme(x, generator, c.crop_ratio, c.shear), self.stream) for _ in range(2)
        )
        mask = augment.draw_joints(x, c.hidden_share, generator)
        return {"strong": strong, "masked": masked, "mask": mask, **super().views(x, generator)}

    def loss(self, views: dict[str, Tensor], at: At) -> dict[str, Tensor]:
        """InfoNCE of the lowest level, mined after a while, and the two steps up."""
        c = self.config
        assert isinstance(c, HiCLR.Config)
        masked = torch.where(views["mask"][:, :, None], self.hidden, views["masked"])
        levels = [self.query.embed(self.query(x).pooled) for x in (views["query"], views["strong"], masked)]
        with torch.no_grad():
            self._keys = z_k = self.key.embed(self.key(views["key"]).pooled)

        basic, strong, hard = (losses.contrast_logits(q, z_k, self.queue.keys, c.tau) for q in levels)
        positives = losses.neighbours((basic, strong, hard), c.mined if at.epoch >= c.mine_from else 0)
        return {
            "info": losses.mined_nce(basic, positives),
            "strong": 0.5 * losses.taught(strong, basic),
            "masked": 0.5 * losses.taught(hard, strong),
        }
