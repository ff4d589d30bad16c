"""Attention joined to mask pooling in Triton: from Q, K and V on, no n x n matrix, no mask, no projection is written.

Equations 2 to 7. A program has one tile of tokens and goes through the heads: softmax(Q Kᵀ) V by tiles of keys with a
running maximum (the flash form), and at once this head's part of the projection, which sums up in registers. Behind
the last head it squashes the sum into the mask and pools both maps. Written: the sums of every tile, and what backward
needs, the attention's output U and each query's logarithm of the softmax's denominator.

Backward: pooling.py turns the gradients of f_s and f_ns into dX, dW, db and dU, attention_gradients.py dU into the
gradient of Q, K and V.
"""

# Triton annotates as constexpr what a launch gives as plain numbers.
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from methods.kernels.attention_gradients import launch_attention_backward
from methods.kernels.pooling import launch_backward
from methods.kernels.reference import Pooled
from methods.kernels.tiles import (
    LOG2_E,
    Tiles,
    accumulator,
    attention_tiles,
    pooling_tiles,
    power_of_two,
    precision,
    squash,
)
from methods.kernels.tiles import strides as map_strides

WIDEST = 256  # channels whose sums fit the registers beside a head's tile


@triton.jit
def attend_and_pool_kernel(
    qkv, w, b, x, keys, u, lse, sums, n, sq_r, sq_t, sx_r, sx_t, sx_c, sk_r, sk_t, sk_c,
    SCALE: tl.constexpr, LAM: tl.constexpr, H: tl.constexpr, D: tl.constexpr, KEEP: tl.constexpr,
    BN: tl.constexpr, BM: tl.constexpr, CP: tl.constexpr, DP: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """SCALE is log2(e) / sqrt(d): powers of two are what the hardware has."""
    C: tl.constexpr = H * D
    tiles = tl.cdiv(n, BN)
    row = (tl.program_id(0) // tiles).to(tl.int64)
    t = (tl.program_id(0) % tiles) * BN + tl.arange(0, BN)
    t_ok = t < n
    c = tl.arange(0, CP)
    c_ok = c < C
    j = tl.arange(0, DP)
    j_ok = j < D
    p = tl.zeros((BN, CP), ACC)
    for h in range(H):
        q_at = qkv + row * sq_r + h * D
        q = tl.load(q_at + t[:, None] * sq_t + j[None, :], mask=t_ok[:, None] & j_ok[None, :], other=0.0)
        top = tl.full((BN,), float("-inf"), ACC)
        total = tl.zeros((BN,), ACC)
        mixed = tl.zeros((BN, DP), ACC)
        for s0 in range(0, n, BM):
            s = s0 + tl.arange(0, BM)
            s_ok = s < n
            k = tl.load(q_at + C + s[None, :] * sq_t + j[:, None], mask=s_ok[None, :] & j_ok[:, None], other=0.0)
            v = tl.load(q_at + 2 * C + s[:, None] * sq_t + j[None, :], mask=s_ok[:, None] & j_ok[None, :], other=0.0)
            score = tl.dot(q, k, input_precision=PRECISION, out_dtype=ACC) * SCALE
            score = tl.where(s_ok[None, :], score, float("-inf"))
            higher = tl.maximum(top, tl.max(score, 1))
            e = tl.exp2(score - higher[:, None])
            fade = tl.exp2(top - higher)
            total = total * fade + tl.sum(e, 1)
            mixed = tl.dot(e.to(v.dtype), v, mixed * fade[:, None], input_precision=PRECISION, out_dtype=ACC)
            top = higher
        attended = (mixed / total[:, None]).to(q.dtype)
        if KEEP:
            u_at = u + (row * n + t[:, None]) * C + h * D + j[None, :]
            tl.store(u_at, attended, mask=t_ok[:, None] & j_ok[None, :])
            tl.store(lse + (row * H + h) * n + t, top + tl.log2(total), mask=t_ok)
        w_at = w + c[None, :] * C + h * D + j[:, None]
        w_tile = tl.load(w_at, mask=c_ok[None, :] & j_ok[:, None], other=0.0)
        p = tl.dot(attended, w_tile, p, input_precision=PRECISION, out_dtype=ACC)
    m = squash(p, b, c, c_ok, LAM, ACC)
    ok = t_ok[:, None] & c_ok[None, :]
    at = sums + tl.program_id(0).to(tl.int64) * 4 * C + c
    f = tl.load(x + row * sx_r + t[:, None] * sx_t + c[None, :] * sx_c, mask=ok, other=0.0).to(ACC)
    tl.store(at, tl.sum(f * m, 0), mask=c_ok)
    tl.store(at + C, tl.sum(f, 0), mask=c_ok)
    f = tl.load(keys + row * sk_r + t[:, None] * sk_t + c[None, :] * sk_c, mask=ok, other=0.0).to(ACC)
    tl.store(at + 2 * C, tl.sum(f * m, 0), mask=c_ok)
    tl.store(at + 3 * C, tl.sum(f, 0), mask=c_ok)


class AttentionPool(torch.autograd.Function):
    """Differentiable in QKV, weight, bias and x."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, heads: int, w: Tensor, b: Tensor, x: Tensor, keys: Tensor, lam: float,
        tiles: tuple[Tiles, Tiles],
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """-> f_s, f_ns, k_s, k_ns. tiles: of attention, of pooling."""
        w, b = w.contiguous(), b.contiguous()
        if qkv.stride(2) != 1:
            qkv = qkv.contiguous()
        (rows, n, width), own, keep = x.shape, tiles[0], any(ctx.needs_input_grad)
        exact, depth, parts = accumulator(qkv.dtype), width // heads, triton.cdiv(n, own.tokens)
        kept = rows if keep else 0
        u = qkv.new_empty(kept, n, width)
        lse, sums = (torch.empty(s, dtype=exact, device=x.device) for s in ((kept, heads, n), (rows, parts, 4, width)))
        attend_and_pool_kernel[(rows * parts,)](
            qkv, w, b, x, keys, u, lse, sums, n, *qkv.stride()[:2], *map_strides(x), *map_strides(keys),
            SCALE=LOG2_E / depth**0.5, LAM=lam, H=heads, D=depth, KEEP=keep, BN=own.tokens, BM=own.inner,
            CP=own.channels, DP=power_of_two(depth), **precision(qkv.dtype), num_warps=own.warps, num_stages=own.stages,
        )  # fmt: skip
        salient, whole, key_salient, key_whole = (sums.sum(1) / n).unbind(1)
        k_s, k_ns = key_salient.to(keys.dtype), (key_whole - key_salient).to(keys.dtype)
        ctx.save_for_backward(qkv, u, lse, w, b, x)
        ctx.heads, ctx.lam, ctx.tiles = heads, lam, tiles
        ctx.mark_non_differentiable(k_s, k_ns)
        return salient.to(x.dtype), (whole - salient).to(x.dtype), k_s, k_ns

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  decorated, so of another type
        """Of f_s and f_ns; the keys have none."""
        qkv, u, lse, w, b, x = ctx.saved_tensors
        du, dw, db, dx = launch_backward(u, w, b, x, gradients[0], gradients[1], ctx.lam, ctx.tiles[1])
        dqkv = launch_attention_backward(qkv, u, du, lse, ctx.heads, ctx.tiles[0])
        return dqkv, None, dw, db, dx, None, None, None


def attention_pool(
    qkv: Tensor, heads: int, weight: Tensor, bias: Tensor, lam: float, x: Tensor, keys: Tensor,
    tiles: tuple[Tiles, Tiles] | None = None,
) -> Pooled:  # fmt: skip
    """From the QKV product to f_s, f_ns, k_s, k_ns, (R, C) each.

    Args:
        qkv: (R, n, 3C): Q, K and V, each with its heads side by side.
        weight, bias: (C, C) and (C,), rounded to the type of qkv.
        x, keys: (R, n, C); the keys get no gradient.
        tiles: of attention and of pooling, for tests.
    Raises:
        ValueError: for a width above WIDEST.
    """
    width = x.shape[-1]
    if width > WIDEST:
        raise ValueError(f"attention joined to pooling is made for widths up to {WIDEST}; got {width}")
    tiles = tiles or (attention_tiles(width, qkv.dtype), pooling_tiles(width, qkv.dtype))
    weight, bias = weight.to(qkv.dtype), bias.to(qkv.dtype)
    return AttentionPool.apply(qkv, heads, weight, bias, x, keys.detach(), lam, tiles)  # pyright: ignore[reportReturnType]  apply has no types
