"""Mask pooling for CPUs: PyTorch operations with a backward pass by hand, in the memory order of an ST-GCN's map.

Why: autograd keeps four maps and multiplies maps whose tokens lie side by side by masks whose channels do. Here the
product W Uᵀ gives the mask in the map's own order, and the mask is all that is kept. Same equations as reference.py;
`profile kernels` compares it with torch.compile.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class RowsPool(torch.autograd.Function):
    """Differentiable in U, weight, bias and x."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, w: Tensor, b: Tensor, x: Tensor, keys: Tensor, lam: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """-> f_s, f_ns, k_s, k_ns."""
        rows, n, width = x.shape
        bias, weight = (lam * b)[:, None].expand(rows, width, 1), (lam * w).expand(rows, width, width)
        mask = torch.baddbmm(bias, weight, u.transpose(1, 2)).sigmoid_()  # (R, C, n)
        pooled, one = [], x.new_empty(width, n)  # of one row: it stays in the cache
        for f in (x.transpose(1, 2), keys.transpose(1, 2)):
            salient = torch.stack([torch.mul(f[r], mask[r], out=one).sum(1) for r in range(rows)]) / n
            pooled += [salient, f.mean(dim=2) - salient]
        ctx.save_for_backward(u, w, mask, x)
        ctx.lam = lam
        f_s, f_ns, k_s, k_ns = pooled
        ctx.mark_non_differentiable(k_s, k_ns)
        return f_s, f_ns, k_s, k_ns

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Of f_s and f_ns; the keys have none."""
        u, w, mask, x = ctx.saved_tensors
        rows, n, _ = x.shape
        g, rest = ((gradients[0] - gradients[1]) / n)[:, :, None], (gradients[1] / n)[:, :, None]
        dx = torch.addcmul(rest, mask, g).transpose(1, 2)
        dp = torch.ops.aten.sigmoid_backward(x.transpose(1, 2), mask).mul_(ctx.lam * g)  # X M (1 - M), in one pass
        dw = torch.zeros_like(w)
        for r in range(rows):
            dw.addmm_(dp[r], u[r])
        return torch.bmm(dp.transpose(1, 2), w.expand(rows, *w.shape)), dw, dp.sum(dim=(0, 2)), dx, None, None


def mask_pool(
    u: Tensor, weight: Tensor, bias: Tensor, lam: float, x: Tensor, keys: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """f_s, f_ns, k_s, k_ns, (R, C) each. u, x, keys: (R, n, C) of one type; the keys get no gradient."""
    return RowsPool.apply(u, weight, bias, x, keys.detach(), lam)  # pyright: ignore[reportReturnType]
