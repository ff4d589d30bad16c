"""SkeletonCLR (Li et al., CVPR 2021): momentum contrast of two normally augmented views.

The paper's baseline, the global half of SkeAttnCLR (section 3.1), and what AimCLR, HiCLR and SkeleMixCLR extend: one
query encoder, its momentum copy, one queue.
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
from methods.base import At, Encoder, Method


class SkeletonCLR(Method):
    """L = InfoNCE(z_q, z_k)."""

    REVISION: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Config:
        """Defaults are the paper's Tables 8 and 10."""

        dim: int = 128  # D, "feature dim"
        queue: int = 32768  # K, "queue size"
        tau: float = 0.2  # temperature
        momentum: float = 0.996  # M_0
        momentum_schedule: moco.Schedule = "cosine"
        crop_ratio: int = 6
        shear: float = 0.5
        init: moco.Init = "released"
        key_init: moco.KeyInit = "copy"

        def __post_init__(self) -> None:
            moco.check(self.dim, self.queue, self.tau, self.momentum)

    def __init__(self, backbone: Backbone, stream: str, config: Config) -> None:
        super().__init__()
        self.stream, self.config = stream, config
        self.query = Encoder(backbone, self.make_head(backbone.width, config.dim))
        moco.initialise(self.query, config.init)
        self.key = moco.key_encoder(self.query, config.key_init, config.init)
        self.queue = moco.Queue(config.dim, config.queue)
        self._keys: Tensor | None = None

    @staticmethod
    def make_head(width: int, dim: int) -> nn.Module:
        """Linear, ReLU, Linear."""
        return moco.mlp_head(width, dim)

    def views(self, x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> dict[str, Tensor]:
        """x (B, 3, T, V, M) -> "query", "key"."""
        c = self.config
        return {
            name: to_stream(augment.normal(x, generator, c.crop_ratio, c.shear), self.stream)
            for name in ("query", "key")
        }

    def before_step(self, at: At) -> None:
        """The momentum encoder moves before it makes keys, as in MoCo."""
        m = moco.momentum_at(self.config.momentum, self.config.momentum_schedule, at)
        moco.follow(self.key, self.query, m, buffers=False)

    def loss(self, views: dict[str, Tensor], at: At) -> dict[str, Tensor]:
        """Equation 1."""
        z_q = self.query.embed(self.query(views["query"]).pooled)
        with torch.no_grad():
            self._keys = z_k = self.key.embed(self.key(views["key"]).pooled)
        return {"info": losses.info_nce(z_q, z_k, self.queue.keys, self.config.tau)}

    def after_step(self, at: At) -> None:
        """The batch's keys become negatives only now: a batch never contrasts with itself."""
        assert self._keys is not None
        self.queue.push(self._keys)

    def encoder(self) -> Encoder:
        """The query encoder."""
        return self.query
