"""Gradients of attention in Triton, for joined.py: the softmax is computed again, tile by tile, from its denominators.

With A = softmax(Q Kᵀ / sqrt(d)): dV = Aᵀ dU; dS = A * (dU Vᵀ - delta), delta = Σ dU * U over the head's channels;
dQ = dS K / sqrt(d); dK = dSᵀ Q / sqrt(d). One kernel goes through the keys of a tile of queries, one through the
queries of a tile of keys, so that nothing is added by atomics.
"""

# Triton annotates as constexpr what a launch gives as plain numbers.
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from methods.kernels.tiles import LOG2_E, Tiles, accumulator, power_of_two, precision


@triton.jit
def query_gradients_kernel(
    qkv, u, du, lse, delta, dqkv, n, sq_r, sq_t, SCALE: tl.constexpr, ROOT: tl.constexpr, H: tl.constexpr,
    D: tl.constexpr, BN: tl.constexpr, BM: tl.constexpr, DP: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dQ of one tile of queries of one head, and their delta. SCALE is log2(e) / sqrt(d), ROOT 1 / sqrt(d)."""
    C: tl.constexpr = H * D
    tiles = tl.cdiv(n, BN)
    head = tl.program_id(0) // tiles
    row, h = (head // H).to(tl.int64), head % H
    t = (tl.program_id(0) % tiles) * BN + tl.arange(0, BN)
    j = tl.arange(0, DP)
    t_ok, j_ok = t < n, j < D
    ok = t_ok[:, None] & j_ok[None, :]
    q_at = qkv + row * sq_r + h * D
    u_at = (row * n + t[:, None]) * C + h * D + j[None, :]
    q = tl.load(q_at + t[:, None] * sq_t + j[None, :], mask=ok, other=0.0)
    g = tl.load(du + u_at, mask=ok, other=0.0)
    d = tl.sum(g.to(ACC) * tl.load(u + u_at, mask=ok, other=0.0).to(ACC), 1)
    tl.store(delta + (row * H + h) * n + t, d, mask=t_ok)
    log = tl.load(lse + (row * H + h) * n + t, mask=t_ok, other=0.0)
    dq = tl.zeros((BN, DP), ACC)
    for s0 in range(0, n, BM):
        s = s0 + tl.arange(0, BM)
        s_ok = s < n
        k = tl.load(q_at + C + s[:, None] * sq_t + j[None, :], mask=s_ok[:, None] & j_ok[None, :], other=0.0)
        v = tl.load(q_at + 2 * C + s[None, :] * sq_t + j[:, None], mask=s_ok[None, :] & j_ok[:, None], other=0.0)
        score = tl.dot(q, tl.trans(k), input_precision=PRECISION, out_dtype=ACC) * SCALE
        a = tl.where(s_ok[None, :], tl.exp2(score - log[:, None]), 0.0)
        ds = a * (tl.dot(g, v, input_precision=PRECISION, out_dtype=ACC) - d[:, None])
        dq = tl.dot(ds.to(k.dtype), k, dq, input_precision=PRECISION, out_dtype=ACC)
    tl.store(dqkv + (row * n + t[:, None]) * 3 * C + h * D + j[None, :], dq * ROOT, mask=ok)


@triton.jit
def key_gradients_kernel(
    qkv, du, lse, delta, dqkv, n, sq_r, sq_t, SCALE: tl.constexpr, ROOT: tl.constexpr, H: tl.constexpr,
    D: tl.constexpr, BN: tl.constexpr, BM: tl.constexpr, DP: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dK and dV of one tile of keys of one head."""
    C: tl.constexpr = H * D
    tiles = tl.cdiv(n, BN)
    head = tl.program_id(0) // tiles
    row, h = (head // H).to(tl.int64), head % H
    s = (tl.program_id(0) % tiles) * BN + tl.arange(0, BN)
    j = tl.arange(0, DP)
    s_ok, j_ok = s < n, j < D
    ok = s_ok[:, None] & j_ok[None, :]
    q_at = qkv + row * sq_r + h * D
    k = tl.load(q_at + C + s[:, None] * sq_t + j[None, :], mask=ok, other=0.0)
    v = tl.load(q_at + 2 * C + s[:, None] * sq_t + j[None, :], mask=ok, other=0.0)
    dk = tl.zeros((BN, DP), ACC)
    dv = tl.zeros((BN, DP), ACC)
    for t0 in range(0, n, BM):
        t = t0 + tl.arange(0, BM)
        t_ok = t < n
        seen = t_ok[:, None] & j_ok[None, :]
        q = tl.load(q_at + t[:, None] * sq_t + j[None, :], mask=seen, other=0.0)
        g = tl.load(du + (row * n + t[:, None]) * C + h * D + j[None, :], mask=seen, other=0.0)
        log = tl.load(lse + (row * H + h) * n + t, mask=t_ok, other=0.0)
        d = tl.load(delta + (row * H + h) * n + t, mask=t_ok, other=0.0)
        score = tl.dot(k, tl.trans(q), input_precision=PRECISION, out_dtype=ACC) * SCALE
        a = tl.where(t_ok[None, :], tl.exp2(score - log[None, :]), 0.0)
        dv = tl.dot(a.to(g.dtype), g, dv, input_precision=PRECISION, out_dtype=ACC)
        ds = a * (tl.dot(v, tl.trans(g), input_precision=PRECISION, out_dtype=ACC) - d[None, :])
        dk = tl.dot(ds.to(q.dtype), q, dk, input_precision=PRECISION, out_dtype=ACC)
    at = dqkv + (row * n + s[:, None]) * 3 * C + h * D + j[None, :]
    tl.store(at + C, dk * ROOT, mask=ok)
    tl.store(at + 2 * C, dv, mask=ok)


def launch_attention_backward(qkv: Tensor, u: Tensor, du: Tensor, lse: Tensor, heads: int, tiles: Tiles) -> Tensor:
    """The gradient of QKV, (R, n, 3C).

    Args:
        qkv: (R, n, 3C), channels side by side.
        u, du: (R, n, C) contiguous, the attention's output and its gradient.
        lse: (R, H, n), logarithms to base 2 of the softmax's denominators.
    """
    rows, n, width = u.shape
    depth = width // heads
    delta = torch.empty(rows, heads, n, dtype=accumulator(u.dtype), device=u.device)
    dqkv = torch.empty(qkv.shape, dtype=qkv.dtype, device=qkv.device)
    root = 1 / depth**0.5
    constants = {
        "SCALE": LOG2_E * root, "ROOT": root, "H": heads, "D": depth, "BN": tiles.tokens, "BM": tiles.inner,
        "DP": power_of_two(depth), **precision(qkv.dtype), "num_warps": 4, "num_stages": tiles.stages,
    }  # fmt: skip
    grid = (rows * heads * triton.cdiv(n, tiles.tokens),)
    query_gradients_kernel[grid](qkv, u, du, lse, delta, dqkv, n, *qkv.stride()[:2], **constants)
    key_gradients_kernel[grid](qkv, du, lse, delta, dqkv, n, *qkv.stride()[:2], **constants)
    return dqkv
