"""MHSAM, the multi-head self-attention mask (Figure 3, equations 2 to 4), and mask pooling (5 to 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backbones.base import MaskPooling
from methods.kernels.reference import mask_pool


class AttentionMask(nn.Module):
    """M_s = sigmoid(lam * proj(attention(LayerNorm(f)))), one value per token and per channel.

    The released module, which the paper's equations leave open: a LayerNorm in front that feeds the mask only,
    biases in all four products, no residual, no dropout.

    Args:
        width: C.
        heads: number of attention heads; must divide C (Table 17).
        lam: lambda, how far the mask is driven towards 0 and 1 (Table 15).
    Raises:
        ValueError: when heads does not divide width.
    """

    def __init__(self, width: int, heads: int, lam: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide the backbone's width: {heads} heads, width {width}")
        self.heads, self.lam = heads, lam
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, pooling: MaskPooling = "mean") -> Tensor:
        """x (R, n, C) -> M_s of the tokens that are pooled: (R, n, C), or (R, 1, C) where that is the last alone."""
        rows, _, width = x.shape
        x = self.norm(x)
        shape = (rows, -1, 3, self.heads, width // self.heads)
        if pooling == "mean":
            q, k, v = self.qkv(x).view(shape).permute(2, 0, 3, 1, 4)
        else:  # nobody reads the mask of the other tokens: they are keys and values only
            last = F.linear(x[:, -1:], self.qkv.weight[:width], self.qkv.bias[:width])
            rest = F.linear(x, self.qkv.weight[width:], self.qkv.bias[width:])
            q = last.view(rows, 1, self.heads, -1).transpose(1, 2)
            k, v = rest.view(rows, -1, 2, *shape[3:]).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows, -1, width)
        return torch.sigmoid(self.lam * self.proj(attended))


def salient_pair(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mask pooling of a batch: tokens (B, M', n, C) -> f_s, f_ns (B, C), means over persons.

    mask: (B * M', n, C), or (B * M', 1, C) for the last token alone.
    """
    batch, persons, _, width = tokens.shape
    pooled = tokens.flatten(0, 1)[:, -mask.shape[1] :]
    salient, other = mask_pool(pooled, mask)
    shape = (batch, persons, width)
    return salient.view(shape).mean(dim=1), other.view(shape).mean(dim=1)
