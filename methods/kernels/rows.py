"""For CPUs: PyTorch operations with a backward pass by hand, row by row where that stays in the cache.

Mask pooling: autograd keeps four maps and multiplies maps whose tokens lie side by side (a DSTA's) by masks whose
channels do. Here the product W Uᵀ gives the mask in the map's own order, and the mask is all that is kept.
Attention of narrow heads: of each product a CPU computes the flat form, d by n, three times as fast as the other.
Attention of the last token alone: autograd copies keys, values and their gradients once for every change of their
order. Here products read them where they are, and the gradients are written where they belong. Same equations as
reference.py; `profile kernels` compares the forms for large maps with torch.compile.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from methods.kernels.reference import Pooled, split_heads

SOME = 2  # rows at a time: their scores stay in the cache


class RowsPool(torch.autograd.Function):
    """Differentiable in U, weight, bias and x."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, w: Tensor, b: Tensor, x: Tensor, keys: Tensor, lam: float) -> Pooled:
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
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  decorated, so of another type
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


class NarrowAttention(torch.autograd.Function):
    """Differentiable in Q, K and V; the softmax is kept, n * n values a head."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, heads: int) -> Tensor:
        """(R, n, 3C) -> (R, n, C)."""
        rows, n, _ = projected.shape
        flat = projected.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 4, 1).contiguous()  # (3, R, H, d, n)
        out, kept = torch.empty_like(flat[0]), []
        for at in range(0, rows, SOME):
            q, k, v = flat[:, at : at + SOME].flatten(1, 2)
            scores = torch.baddbmm(q.new_zeros(()), q.transpose(1, 2), k, beta=0, alpha=q.shape[1] ** -0.5)
            kept.append(scores.softmax(-1))
            torch.bmm(v, kept[-1].transpose(1, 2), out=out[at : at + SOME].flatten(0, 1))
        ctx.save_for_backward(flat, *kept)
        return out.permute(0, 3, 1, 2).reshape(rows, n, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  decorated, so of another type
        """Of the output (R, n, C) -> of Q, K and V, (R, n, 3C)."""
        flat, *kept = ctx.saved_tensors
        _, rows, heads, d, n = flat.shape
        g = gradients[0].unflatten(2, (heads, d)).permute(0, 2, 3, 1).contiguous()
        found = torch.empty_like(flat)
        for at, p in zip(range(0, rows, SOME), kept, strict=True):
            q, k, v = flat[:, at : at + SOME].flatten(1, 2)
            dq, dk, dv = found[:, at : at + SOME].flatten(1, 2)
            du = g[at : at + SOME].flatten(0, 1)
            torch.bmm(du, p, out=dv)
            dp = torch.bmm(du.transpose(1, 2), v)
            ds = torch.ops.aten._softmax_backward_data(dp, p, -1, p.dtype).mul_(d**-0.5)
            torch.bmm(k, ds.transpose(1, 2), out=dq)
            torch.bmm(q, ds, out=dk)
        return found.permute(1, 4, 0, 2, 3).reshape(rows, n, -1), None


def attend_narrow(projected: Float[Tensor, "R n E"], heads: int) -> Float[Tensor, "R n E//3"]:
    """softmax(Q Kᵀ / sqrt(d)) V of every head: Q, K and V side by side, (R, n, 3C) -> (R, n, C)."""
    return NarrowAttention.apply(projected, heads)  # pyright: ignore[reportReturnType]  apply has no types


def mask_pool(
    u: Float[Tensor, "R n C"],
    weight: Float[Tensor, "C C"],
    bias: Float[Tensor, " C"],
    lam: float,
    x: Float[Tensor, "R n C"],
    keys: Float[Tensor, "R n C"],
) -> Pooled:
    """f_s, f_ns, k_s, k_ns, (R, C) each. u, x, keys: (R, n, C) of one type; the keys get no gradient."""
    return RowsPool.apply(u, weight, bias, x, keys.detach(), lam)  # pyright: ignore[reportReturnType]  apply has no types


class LastAttention(torch.autograd.Function):
    """Differentiable in the query and in keys and values."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, pairs: Tensor, heads: int) -> Tensor:
        """-> (R, 1, C)."""
        q, k, v = split_heads((query, pairs), heads)
        scores = torch.stack([torch.bmm(q_r, k_r.transpose(1, 2)) for q_r, k_r in zip(q, k, strict=True)])
        p = (scores / q.shape[-1] ** 0.5).softmax(-1)  # (R, H, 1, n)
        ctx.save_for_backward(query, pairs, p)
        ctx.heads = heads
        return torch.stack([torch.bmm(p_r, v_r) for p_r, v_r in zip(p, v, strict=True)]).view(query.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  decorated, so of another type
        """Of the output (R, 1, C) -> of the query (R, 1, C), and of K and V, (R, n, 2C)."""
        query, pairs, p = ctx.saved_tensors
        q, k, v = split_heads((query, pairs), ctx.heads)
        du = gradients[0].unflatten(2, (ctx.heads, -1)).transpose(1, 2)
        dp = torch.stack([torch.bmm(du_r, v_r.transpose(1, 2)) for du_r, v_r in zip(du, v, strict=True)])
        ds = p * (dp - (p * dp).sum(-1, keepdim=True)) / q.shape[-1] ** 0.5
        dq = torch.stack([torch.bmm(ds_r, k_r) for ds_r, k_r in zip(ds, k, strict=True)]).view(query.shape)
        d_pairs = torch.empty_like(pairs)
        _, dk, dv = split_heads((query, d_pairs), ctx.heads)
        torch.mul(ds.transpose(2, 3), q, out=dk)
        torch.mul(p.transpose(2, 3), du, out=dv)
        return dq, d_pairs, None


def attend_last(query: Float[Tensor, "R 1 C"], pairs: Float[Tensor, "R n 2*C"], heads: int) -> Float[Tensor, "R 1 C"]:
    """softmax(q Kᵀ / sqrt(d)) V for one query a row: query (R, 1, C), K and V (R, n, 2C) -> (R, 1, C)."""
    return LastAttention.apply(query, pairs, heads)  # pyright: ignore[reportReturnType]  apply has no types
