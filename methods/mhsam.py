"""MHSAM, the multi-head self-attention mask (Figure 3, equations 2 to 4), and mask pooling (5 to 7).

The arithmetic behind the QKV product is in kernels/, in several forms that agree.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from backbones.base import MaskPooling
from backbones.exact import unrounded
from methods.kernels import Form, Kernel, attention_pool, choose, split_heads
from methods.kernels.linear import linear


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

        self.kernel: Kernel = "auto"  # the machine's choice; whoever runs the method may set another
        self.ran: Form | None = None  # what the last call of `pool` was computed by

    def forward(self, x: Float[Tensor, "R n C"], pooling: MaskPooling = "mean") -> Float[Tensor, "R m C"]:
        """x (R, n, C) -> M_s of the tokens that are pooled: (R, n, C), or (R, 1, C) where that is the last alone.

        Equations 2 to 4; for pictures and tests, training calls `pool`.
        """
        q, k, v = split_heads(self._project(x, pooling), self.heads)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return torch.sigmoid(self.lam * self.proj(attended))

    def pool(
        self, tokens: Float[Tensor, "B P n C"], keys: Float[Tensor, "B P n C"], pooling: MaskPooling = "mean"
    ) -> tuple[Float[Tensor, "B C"], ...]:
        """Pools a batch, and the key encoder's view of it, with the batch's own mask. Equations 2 to 7.

        Which form computes it, and whether the mask itself is ever written, says `kernels`.

        Args:
            tokens, keys: (B, M', n, C).
            pooling: over all tokens, or of the last alone.
        Returns:
            f_s, f_ns, k_s, k_ns: (B, C) each, means over persons. Gradients: through f_s and f_ns alone.
        Raises:
            Unsupported: when `kernel` cannot run on this device.
        """
        projected = self._project(tokens.flatten(0, 1), pooling)
        kind = (projected if isinstance(projected, Tensor) else projected[1]).dtype  # under autocast a smaller one
        x, others, weight, bias = (
            t.to(kind) for t in (tokens.flatten(0, 1), keys.flatten(0, 1), self.proj.weight, self.proj.bias)
        )
        self.ran = choose(self.kernel, x, self.heads, pooling)
        with unrounded(x):  # every form rounds by itself
            pooled = attention_pool(self.ran, projected, self.heads, weight, bias, self.lam, x, others)
        return tuple(f.unflatten(0, tokens.shape[:2]).mean(dim=1) for f in pooled)

    def _project(self, x: Tensor, pooling: MaskPooling) -> Tensor | tuple[Tensor, Tensor]:
        """LayerNorm and QKV product; where the last token alone is pooled the others are keys and values only."""
        x, width = self.norm(x), x.shape[-1]
        if pooling == "mean":
            return linear(x, self.qkv.weight, self.qkv.bias)
        weight, bias = self.qkv.weight, self.qkv.bias
        return F.linear(x[:, -1:], weight[:width], bias[:width]), linear(x, weight[width:], bias[width:])
