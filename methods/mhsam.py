"""MHSAM, the multi-head self-attention mask (Figure 3, equations 2 to 4), and mask pooling (5 to 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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

    def forward(self, x: Tensor) -> Tensor:
        """x (R, n, C) -> M_s (R, n, C)."""
        rows, tokens, width = x.shape
        qkv = self.qkv(self.norm(x)).view(rows, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows, tokens, width)
        return torch.sigmoid(self.lam * self.proj(attended))


def salient_pair(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mask pooling of a batch: tokens (B, M, n, C), mask (B * M, n, C) -> f_s, f_ns (B, C), means over persons."""
    batch, persons, n, width = tokens.shape
    salient, other = mask_pool(tokens.reshape(batch * persons, n, width), mask)
    shape = (batch, persons, width)
    return salient.view(shape).mean(dim=1), other.view(shape).mean(dim=1)
