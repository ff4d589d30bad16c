"""The supervised control: the same backbone, stream and views, trained with labels.

Not a contrastive method and never compared as one: it says what the encoder could reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from backbones import Backbone
from backbones.streams import to_stream
from methods import augment, moco
from methods.base import At, Encoder, Method


class Supervised(Method):
    """L = cross entropy of a linear classifier on the pooled feature."""

    REVISION: ClassVar[int] = 1
    NEEDS_LABELS: ClassVar[bool] = True

    @dataclass(frozen=True)
    class Config:
        """The normal augmentation of Table 10, as for the contrastive methods."""

        classes: int = 60
        crop_ratio: int = 6
        shear: float = 0.5
        init: moco.Init = "released"

    def __init__(self, backbone: Backbone, stream: str, config: Config) -> None:
        super().__init__()
        self.stream, self.config = stream, config
        self.backbone = backbone
        self.classifier = nn.Linear(backbone.width, config.classes)
        moco.initialise(self, config.init)

    @classmethod
    def passes(cls, config: object) -> int:
        """One view, there and back."""
        return 3

    def views(self, x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> dict[str, Tensor]:
        """x (B, 3, T, V, M) -> "query"."""
        c = self.config
        return {"query": to_stream(augment.normal(x, generator, c.crop_ratio, c.shear), self.stream)}

    def loss(self, views: dict[str, Tensor], at: At) -> dict[str, Tensor]:
        """Cross entropy with views["labels"] (B,)."""
        logits = self.classifier(self.backbone(views["query"]).pooled)
        return {"cross entropy": F.cross_entropy(logits, views["labels"])}

    def encoder(self) -> Encoder:
        """The backbone; pooled features are their own embedding."""
        return Encoder(self.backbone, nn.Identity())
