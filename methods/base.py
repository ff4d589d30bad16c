"""The interface that every method implements, and what the trainer tells it.

One training step is
    terms = method.loss(method.views(x, generator), at);  sum(terms).backward();  optimiser;  method.after_step(at)
with `before_step(at)` in front. A method never sees a data set, a protocol or a table.
"""

# pyright: strict

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backbones import Backbone, Features
from methods.losses import unit
from methods.mhsam import AttentionMask


class At(NamedTuple):
    """Where training stands. All counts start at 0."""

    epoch: int
    step: int  # within the epoch
    steps: int  # per epoch
    epochs: int


class Encoder(nn.Module):
    """A backbone and the head whose output is compared in the embedding space; what evaluation gets."""

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, x: Float[Tensor, "B 3 T V M"]) -> Features:
        """x (B, 3, T, V, M), a stream -> Features."""
        return self.backbone(x)

    def embed(self, pooled: Float[Tensor, "B C"]) -> Float[Tensor, "B D"]:
        """Pooled features (B, C) -> embeddings (B, D) of length 1, as equation 1 compares them."""
        return unit(self.head(pooled))


class Method(nn.Module):
    """A self-supervised method around one backbone and one stream."""

    REVISION: ClassVar[int]  # bumped when computed numbers change; part of every run id
    Config: ClassVar[type]  # frozen dataclass: every hyper-parameter, with its symbol in the paper
    NEEDS_LABELS: ClassVar[bool] = False  # only the supervised control; then views carry "labels" (B,)

    stream: str

    @classmethod
    def unsupported(cls, config: object, backbone: Backbone, stream: str) -> str | None:
        """Why this method cannot train this backbone on this stream, or None."""
        return None

    @classmethod
    def passes(cls, config: object) -> int:
        """How often a step passes through a backbone, a backward pass counting two; for estimates of time."""
        return 4

    def views(self, x: Float[Tensor, "B 3 T V M"], generator: torch.Generator) -> dict[str, Tensor]:
        """x (B, 3, T, V, M) joints -> named views of the same shape: augmented, mixed, as a stream.

        The generator is on the CPU, wherever x is, and the draws are the same on every device.
        Whatever else `loss` needs of the draws stands beside them as integers or booleans: donors, regions, masks.
        """
        raise NotImplementedError

    def before_step(self, at: At) -> None:
        """State that changes before the forward pass."""

    def loss(self, views: dict[str, Tensor], at: At) -> dict[str, Tensor]:
        """`views` -> named scalar terms, already weighted; training minimises their sum."""
        raise NotImplementedError

    def after_step(self, at: At) -> None:
        """State that changes after the optimiser: momentum encoder, queue."""

    def encoder(self) -> Encoder:
        """The trained encoder (not a copy), (B, 3, T, V, M) of the method's stream -> Features."""
        raise NotImplementedError

    def attention(self) -> AttentionMask | None:
        """What weighs the encoder's tokens, if the method learns that: tokens (R, n, C), pooling -> mask in 0..1."""
        return None


def gridless(method: type[Method], backbone: Backbone) -> str | None:
    """The reason of a method that needs its tokens in a grid, for a backbone that has none; None for one that has."""
    if backbone.grid(1) is not None:
        return None
    return f"{method.__name__} needs a (T', V) token grid, {type(backbone).__name__} has none"
