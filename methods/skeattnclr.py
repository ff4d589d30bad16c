"""SkeAttnCLR (Hua et al., IJCAI 2023): global contrast, and local contrast of salient and non-salient features.

Section 3 of the paper, equations in order in `loss`. What the paper's text leaves out and the release does is a
named setting: a predictor on the query side only, BatchNorm statistics that follow the momentum too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backbones import Backbone, Features
from backbones.streams import to_stream
from methods import augment, losses, moco
from methods.base import At, Encoder, Method
from methods.losses import unit
from methods.mhsam import AttentionMask

PREDICTOR = 256  # inner width of the released predictors, whatever the backbone; a narrower backbone's own width


class Branch(nn.Module):
    """Backbone, attention mask and projector P: what exists once for the query and once as momentum copy."""

    def __init__(self, backbone: Backbone, config: SkeAttnCLR.Config) -> None:
        super().__init__()
        self.backbone = backbone
        self.mask = AttentionMask(backbone.width, config.heads, config.lam)
        self.projector = moco.norm_head(backbone.width, config.hidden or backbone.projector_width, config.dim)

    def forward(self, x: Float[Tensor, "B 3 T V M"]) -> Features:
        """x (B, 3, T, V, M) -> Features."""
        return self.backbone(x)


class SkeAttnCLR(Method):
    """L = L_info + mu L_s + (1 - mu) L_ns. Equation 11."""

    REVISION: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Config:
        """Defaults are the paper's Tables 8, 10 and 11."""

        dim: int = 128  # D, "feature dim"
        queue: int = 32768  # K, "queue size"
        tau: float = 0.2  # temperature
        momentum: float = 0.996  # M_0
        momentum_schedule: moco.Schedule = "cosine"
        momentum_offset: int = 0  # epochs; 1 in the release
        momentum_buffers: bool = True  # BatchNorm statistics follow the momentum, as in the release
        lam: float = 2.0  # lambda, tolerance of the mask for neutral features (Table 15)
        mu: float = 0.5  # weight of L_s against L_ns (Table 16); 1 leaves L_s alone
        heads: int = 8  # of the attention mask (Table 17)
        opposition: bool = True  # q_s and q_ns are each other's negative (Table 7)
        predictor: bool = True  # z_q, q_s, q_ns pass a predictor each, as in the release; keys never do
        hidden: int = 0  # inner width of projector and predictors; 0 is the release's, by the backbone
        mix_parts: tuple[int, int] = (3, 4)  # spatial_l, spatial_u, of five body parts
        mix_units: tuple[int, int] = (4, 7)  # temporal_l, temporal_u, in units of four frames
        mix_per_sample: bool = False  # the release draws one region per batch
        mix_global_pass: bool = False  # the release also projects x_mix as a whole: no loss, only BN statistics
        crop_ratio: int = 6
        shear: float = 0.5
        init: moco.Init = "released"
        key_init: moco.KeyInit = "copy"

        def __post_init__(self) -> None:
            moco.check(self.dim, self.queue, self.tau, self.momentum)
            if not 0 <= self.mu <= 1:
                raise ValueError(f"mu is a share between L_s and L_ns, 0 to 1; got {self.mu}")
            if self.heads < 1 or self.lam <= 0:
                raise ValueError(f"heads and lam must be positive; got {self.heads} and {self.lam}")

    def __init__(self, backbone: Backbone, stream: str, config: Config) -> None:
        super().__init__()
        self.stream, self.config = stream, config
        self.query = Branch(backbone, config)
        self.predict = nn.ModuleDict(
            {
                name: moco.norm_head(config.dim, config.hidden or min(backbone.width, PREDICTOR), config.dim)
                if config.predictor
                else nn.Identity()
                for name in ("z", "s", "ns")
            }
        )
        moco.initialise(self, config.init)
        self.key = moco.key_encoder(self.query, config.key_init, config.init)
        self.queue = moco.Queue(config.dim, config.queue)
        self._keys: Tensor | None = None

    @classmethod
    def unsupported(cls, config: object, backbone: Backbone, stream: str) -> str | None:
        """The heads must divide the width."""
        assert isinstance(config, cls.Config)
        if backbone.width % config.heads:
            return f"SkeAttnCLR's {config.heads} attention heads do not divide the width {backbone.width}"
        return None

    @classmethod
    def passes(cls, config: object) -> int:
        """Query and mix, there and back, and the key."""
        return 7

    def views(self, x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> dict[str, Tensor]:
        """x (B, 3, T, V, M) -> "query", "key", and "mix" = gamma("query"): joints are mixed, then streamed."""
        c = self.config
        query = augment.normal(x, generator, c.crop_ratio, c.shear)
        key = augment.normal(x, generator, c.crop_ratio, c.shear)
        donor, region = augment.draw_mix(query, c.mix_parts, c.mix_units, c.mix_per_sample, generator)
        views = {"query": query, "key": key, "mix": augment.mix_parts(query, donor, region)}
        return {name: to_stream(view, self.stream) for name, view in views.items()}

    def _query_embedding(self, feature: Tensor, kind: str) -> Tensor:
        return unit(self.predict[kind](self.query.projector(feature)))

    def _key_embedding(self, feature: Tensor) -> Tensor:
        return unit(self.key.projector(feature))

    def loss(self, views: dict[str, Tensor], at: At) -> dict[str, Tensor]:
        """The three terms of equation 11. All keys, and each branch's opposite, are constants."""
        c, negatives = self.config, self.queue.keys

        # Section 3.1: global features.
        z_q = self._query_embedding(self.query(views["query"]).pooled, "z")
        with torch.no_grad():
            f_k = self.key(views["key"])
            z_k = self._key_embedding(f_k.pooled)

        # Section 3.2: the mask of f_mix (2 to 4) pools f_mix and, token by token, f_k (5 to 7).
        f_mix = self.query(views["mix"])
        if c.mix_global_pass:
            self._query_embedding(f_mix.pooled, "z")
        f_s, f_ns, *f_keys = self.query.mask.pool(f_mix.tokens, f_k.tokens, self.query.backbone.mask_pooling)
        q_s, q_ns = self._query_embedding(f_s, "s"), self._query_embedding(f_ns, "ns")
        with torch.no_grad():
            k_s, k_ns = (self._key_embedding(f) for f in f_keys)

        self._keys = z_k
        info = losses.info_nce(z_q, z_k, negatives, c.tau)  # (1)
        against_s, against_ns = (q_ns.detach(), q_s.detach()) if c.opposition else (None, None)
        salient = losses.info_nce(q_s, k_s, negatives, c.tau, against_s)  # (8)
        other = losses.info_nce(q_ns, k_ns, negatives, c.tau, against_ns)  # (9)
        return {"info": info, "salient": c.mu * salient, "nonsalient": (1 - c.mu) * other}  # (10), (11)

    def after_step(self, at: At) -> None:
        """The momentum encoder follows, then this batch's global keys become negatives for all three terms."""
        c = self.config
        m = moco.momentum_at(c.momentum, c.momentum_schedule, at, c.momentum_offset)
        moco.follow(self.key, self.query, m, c.momentum_buffers)
        assert self._keys is not None
        self.queue.push(self._keys)

    def encoder(self) -> Encoder:
        """The query backbone; the head is projector and predictor of the global feature."""
        return Encoder(self.query.backbone, nn.Sequential(self.query.projector, self.predict["z"]))

    def attention(self) -> AttentionMask:
        """The query's mask, M_s of equation 4."""
        return self.query.mask
