"""DSTA (Shi et al., ACCV 2020): attention between joints, then attention between frames, five blocks (Table 14).

The "Transformer" of Table 2. Attention is a bounded tanh, not a softmax; that between joints has a learnt global term.
Table 14 prints a dropout of 0.5, which the release accepts and never applies: `dropout` is 0 here unless asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from backbones import skeleton
from backbones.base import PersonBackbone

SLOPE = 0.1  # of every leaky ReLU
LONGEST = 300  # frames that are encoded, the longest of NTU RGB+D; clips are resampled well below


def positions(channels: int, length: int) -> Float[Tensor, "{channels} {length}"]:
    """Sinusoidal encoding (C, length): sine in even, cosine in odd channels, wavelengths up to 10,000 positions."""
    with torch.device("cpu"):  # as skeleton.graph
        frequency = torch.exp(torch.arange(0, channels, 2) * (-math.log(10_000.0) / channels))
        angle = frequency[:, None] * torch.arange(length)
    return torch.stack([angle.sin(), angle.cos()], dim=1).flatten(0, 1)[:channels]


def pointwise(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """1x1 convolution and BatchNorm; the stride is along the last axis."""
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, (1, stride)), nn.BatchNorm2d(channels_out))


class AxisAttention(nn.Module):
    """Attention along the last axis, then a pointwise layer, each with a residual.

    A_s = tanh(q_s k_s / (inter * O)) alpha_s + A0_s, where q and k see the encoded positions and the mean runs over
    channels and the other axis, of length O. A0, if there is one, is the same for every sample.

    Args:
        length: longest axis that is encoded.
        stride: of the last axis, in the pointwise layer.
        change: whether the residuals need a projection.
        term: size of the learnt global term, 0 for none.
    """

    positions: Tensor

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        inter: int,
        subsets: int,
        length: int,
        *,
        stride: int = 1,
        change: bool,
        term: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.subsets, self.inter = subsets, inter
        self.register_buffer("positions", positions(channels_in, length), persistent=False)
        self.qk = nn.Conv2d(channels_in, 2 * subsets * inter, 1)
        self.alpha = nn.Parameter(torch.ones(subsets, 1, 1))
        self.shared = nn.Parameter(torch.full((subsets, term, term), 1 / term)) if term else None
        self.out = pointwise(subsets * channels_in, channels_out)
        self.ff = pointwise(channels_out, channels_out, stride)
        self.out_shortcut = pointwise(channels_in, channels_out) if change else nn.Identity()
        self.ff_shortcut = pointwise(channels_in, channels_out, stride) if change else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def attention(self, x: Float[Tensor, "R C O L"]) -> Float[Tensor, "R S L L"]:
        """x (R, C, O, L) -> A (R, S, L, L); A[u, v] weighs position u in the new position v."""
        rows, _, others, length = x.shape
        qk = self.qk(x + self.positions[:, None, :length])
        q, k = qk.view(rows, 2, self.subsets, self.inter * others, length).unbind(1)
        attention = torch.tanh(q.transpose(2, 3) @ k / (self.inter * others)) * self.alpha
        return attention if self.shared is None else attention + self.shared

    def forward(self, x: Float[Tensor, "R C O L"]) -> Float[Tensor, "R D O l"]:
        """(R, C, O, L) -> (R, C', O, ⌈L / stride⌉)."""
        rows, channels, others, length = x.shape
        mixed = x.reshape(rows, 1, channels * others, length) @ self.attention(x)
        mixed = mixed.view(rows, self.subsets * channels, others, length)
        y = F.leaky_relu(self.out_shortcut(x) + self.out(mixed), SLOPE)
        return F.leaky_relu(self.ff_shortcut(x) + self.dropout(self.ff(y)), SLOPE)


class FrameConvolution(nn.Module):
    """What the other DSTA releases have in place of attention between frames: seven frames, with a residual."""

    def __init__(self, channels: int, stride: int, change: bool, dropout: float) -> None:
        super().__init__()
        self.out = nn.Sequential(nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3)), nn.BatchNorm2d(channels))
        self.shortcut = pointwise(channels, channels, stride) if change else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "R C V T"]) -> Float[Tensor, "R C V t"]:
        """(R, C, V, T) -> (R, C, V, ⌈T / stride⌉)."""
        return F.leaky_relu(self.shortcut(x) + self.dropout(self.out(x)), SLOPE)


class DSTA(PersonBackbone):
    """(B, 3, T, V, M) -> tokens (B, M, ⌈T/4⌉ V, C), frame-major, and pooled (B, C)."""

    REVISION: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Config:
        """Table 14; HiCLR's and DSTA-Net's releases have other blocks and `temporal` "convolution"."""

        # "config list": channels in, channels out, channels of q and k, temporal stride
        blocks: tuple[tuple[int, int, int, int], ...] = (
            (64, 64, 16, 1), (64, 128, 32, 2), (128, 128, 32, 1), (128, 256, 64, 2), (256, 256, 64, 1),
        )  # fmt: skip
        subsets: int = 3  # S, attention maps per layer
        temporal: Literal["attention", "convolution"] = "attention"
        dropout: float = 0.0  # of each block's last residual branch; 0.5 in HiCLR's release

        def __post_init__(self) -> None:
            if not self.blocks or any(a[1] != b[0] for a, b in zip(self.blocks, self.blocks[1:], strict=False)):
                raise ValueError(f"each block must take in what the one before it puts out; got {self.blocks}")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.width = config.blocks[-1][1]
        self.strides = tuple(block[3] for block in config.blocks)
        first = config.blocks[0][0]
        self.stem = pointwise(3, first)
        self.joints, self.frames = nn.ModuleList(), nn.ModuleList()
        for channels, out, inter, stride in config.blocks:
            self.joints.append(
                AxisAttention(channels, out, inter, config.subsets, skeleton.V, change=channels != out, term=skeleton.V)
            )
            change = channels != out or stride != 1
            self.frames.append(
                AxisAttention(
                    out, out, inter, config.subsets, LONGEST, stride=stride, change=change, dropout=config.dropout
                )
                if config.temporal == "attention"
                else FrameConvolution(out, stride, change, config.dropout)
            )

    def grid(self, frames: int) -> tuple[int, int]:
        """(T', V) after the temporal strides: 64 -> 16, 50 -> 13."""
        for stride in self.strides:
            frames = -(-frames // stride)
        return frames, skeleton.V

    def maps(self, rows: Float[Tensor, "R 3 T V"]) -> Float[Tensor, "R C t V"]:
        """rows (R, 3, T, V) -> (R, C, ⌈T / 4⌉, V).

        Raises:
            ValueError: for more frames than the positional encoding has.
        """
        if rows.shape[2] > LONGEST:
            raise ValueError(f"DSTA encodes the positions of {LONGEST} frames, got {rows.shape[2]}")
        out = F.leaky_relu(self.stem(rows), SLOPE)
        for joints, frames in zip(self.joints, self.frames, strict=True):
            out = frames(joints(out).transpose(2, 3)).transpose(2, 3)
        return out
