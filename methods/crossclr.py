"""CrosSCLR (Li et al., CVPR 2021): one contrast per stream, and, later in training, each stream learns from the others.

A sample that looks near in one stream is a positive in the other, and the other stream's similarities weigh the
negatives. All streams are computed from the same augmented joints and trained together; the encoder of one of them, the
method's `stream`, is what evaluation gets.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from backbones import Backbone
from backbones.streams import to_stream
from methods import augment, losses, moco
from methods.base import At, Encoder, Method
from methods.losses import unit

STREAMS = ("joint", "motion", "bone")  # in the order of the release: two views are joint and motion


class Branches(nn.Module):
    """A backbone and a head per stream: what exists once for the queries and once as momentum copy."""

    def __init__(self, backbone: Backbone, streams: Sequence[str], dim: int, shared: bool) -> None:
        super().__init__()
        self.shared = shared
        self.backbones = nn.ModuleDict({s: backbone if s == "joint" else copy.deepcopy(backbone) for s in streams})
        width = backbone.width
        self.heads = nn.ModuleDict(
            {
                s: nn.Sequential(nn.Linear(width, width), nn.ReLU())
                if shared and s != "joint"
                else moco.mlp_head(width, dim)
                for s in streams
            }
        )

    def backbone(self, stream: str) -> Backbone:
        """What sees the stream."""
        backbone = self.backbones[stream]
        assert isinstance(backbone, Backbone)
        return backbone

    def head(self, stream: str) -> nn.Sequential:
        """(B, C) -> (B, D). In the release the other streams end in the joint head."""
        mine, joint = self.heads[stream], self.heads["joint"]
        return nn.Sequential(mine, joint) if self.shared and stream != "joint" else nn.Sequential(mine)

    def forward(self, x: Float[Tensor, "B 3 T V M"], stream: str) -> Float[Tensor, "B D"]:
        """x (B, 3, T, V, M) -> (B, D), of length 1."""
        return unit(self.head(stream)(self.backbone(stream)(x).pooled))


def crossed(
    mine: Float[Tensor, "B N"], other: Float[Tensor, "B N"], tau: float, mined: int
) -> tuple[Float[Tensor, "B 2*N-1"], Bool[Tensor, "B 2*N-1"]]:
    """What stream `mine` learns from stream `other`: logits (B, 1 + 2K) and positives (B, 1 + 2K) bool.

    mine, other: similarities (B, 1 + K), the positive first, not divided by tau. The second K columns are the context:
    products of both streams' similarities. The nearest `mined` negatives of `other` are positives in both blocks.
    """
    near = losses.nearest(other.detach(), mined)
    logits = torch.cat([mine, mine[:, 1:] * other[:, 1:]], dim=1) / tau
    return logits, torch.cat([near, near[:, 1:]], dim=1)


class CrosSCLR(Method):
    """L = sum over streams of InfoNCE; from `mine_from` on of the mean over the other streams of the crossed loss."""

    REVISION: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Config:
        """Defaults are those of the release, with its two slips mended: `heads` and `momentum_updates`."""

        dim: int = 128  # D
        queue: int = 32768  # K, one queue per stream
        tau: float = 0.07
        momentum: float = 0.999
        momentum_schedule: moco.Schedule = "constant"
        streams: int = 3  # 2: joint, motion; 3: and bone
        mine_from: int = 150  # epochs before the streams learn from each other
        mined: int = 1  # nearest neighbours of the other stream
        heads: Literal["own", "shared"] = "own"  # released: motion and bone end in the joint head
        momentum_updates: Literal["fixed", "released"] = "fixed"  # released: see before_step
        crop_ratio: int = 6
        shear: float = 0.5
        init: moco.Init = "released"
        key_init: moco.KeyInit = "copy"

        def __post_init__(self) -> None:
            moco.check(self.dim, self.queue, self.tau, self.momentum)
            if self.streams not in (2, 3):
                raise ValueError(f"streams must be 2 (joint, motion) or 3 (and bone); got {self.streams}")
            moco.check_mined(self.mined, self.queue)

    def __init__(self, backbone: Backbone, stream: str, config: Config) -> None:
        super().__init__()
        self.stream, self.config, self.streams = stream, config, STREAMS[: config.streams]
        self.query = Branches(backbone, self.streams, config.dim, config.heads == "shared")
        moco.initialise(self.query, config.init)
        self.key = moco.key_encoder(self.query, config.key_init, config.init)
        self.queues = nn.ModuleDict({s: moco.Queue(config.dim, config.queue) for s in self.streams})
        self._keys: dict[str, Tensor] = {}

    @classmethod
    def unsupported(cls, config: object, backbone: Backbone, stream: str) -> str | None:
        """The stream to be measured must be one of those that are trained."""
        assert isinstance(config, cls.Config)
        if stream not in STREAMS[: config.streams]:
            return f"CrosSCLR with {config.streams} streams trains {', '.join(STREAMS[: config.streams])}, not {stream}"
        return None

    @classmethod
    def passes(cls, config: object) -> int:
        """Query and key of every stream."""
        assert isinstance(config, cls.Config)
        return 4 * config.streams

    def views(self, x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> dict[str, Tensor]:
        """x (B, 3, T, V, M) -> "query joint", "query motion", ..., "key joint", ...: all of the same two views."""
        c = self.config
        both = {name: augment.normal(x, generator, c.crop_ratio, c.shear) for name in ("query", "key")}
        return {f"{name} {s}": to_stream(view, s) for name, view in both.items() for s in self.streams}

    def before_step(self, at: At) -> None:
        """The momentum copies follow.

        In the release a head that streams share follows once per stream, and once streams learn from each other
        only the copy of motion follows: those of joint and bone stay as they are to the end.
        """
        c = self.config
        m = moco.momentum_at(c.momentum, c.momentum_schedule, at)
        if c.momentum_updates == "fixed":
            moco.follow(self.key, self.query, m, buffers=False)
            return
        for s in ("motion",) if at.epoch >= c.mine_from else self.streams:
            moco.follow(self.key.backbone(s), self.query.backbone(s), m, buffers=False)
            moco.follow(self.key.head(s), self.query.head(s), m, buffers=False)

    def loss(self, views: dict[str, Tensor], at: At) -> dict[str, Tensor]:
        """One term per stream."""
        c = self.config
        q = {s: self.query(views[f"query {s}"], s) for s in self.streams}
        with torch.no_grad():
            self._keys = {s: self.key(views[f"key {s}"], s) for s in self.streams}
        if at.epoch < c.mine_from:
            return {s: losses.info_nce(q[s], self._keys[s], self._queue(s).keys, c.tau) for s in self.streams}
        similar = {s: losses.contrast_logits(q[s], self._keys[s], self._queue(s).keys, 1.0) for s in self.streams}
        terms = {}
        for s in self.streams:
            others = [other for other in self.streams if other != s]
            learnt = [losses.mined_nce(*crossed(similar[s], similar[other], c.tau, c.mined)) for other in others]
            terms[s] = torch.stack(learnt).mean()
        return terms

    def after_step(self, at: At) -> None:
        """Each stream's keys become its negatives."""
        for s in self.streams:
            self._queue(s).push(self._keys[s])

    def encoder(self) -> Encoder:
        """Backbone and head of the method's own stream."""
        return Encoder(self.query.backbone(self.stream), self.query.head(self.stream))

    def _queue(self, stream: str) -> moco.Queue:
        queue = self.queues[stream]
        assert isinstance(queue, moco.Queue)
        return queue
