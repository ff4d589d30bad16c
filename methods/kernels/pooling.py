"""Mask pooling in Triton: projection, sigmoid and both poolings of both maps, without writing the mask.

Equations 4 to 7. Forward reads each map once. Backward needs two sums over the same products, over channels for dU and
over tokens for dW, whose accumulators do not fit one multiprocessor together at C = 256 (dW alone has 256 KB), so it is
two kernels, and each computes its tiles of the mask again. Neither uses atomics: every run adds in the same order.
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

from methods.kernels.reference import Pooled
from methods.kernels.tiles import Tiles, accumulator, mask_tile, pooling_tiles, precision, strides

PROGRAMS = 256  # that share the sum over tokens of dW: about two for each multiprocessor; a constant fixes its order


@triton.jit
def forward_kernel(
    u, w, b, x, keys, out, n, so, su_r, su_t, su_c, sx_r, sx_t, sx_c, sk_r, sk_t, sk_c,
    LAM: tl.constexpr, C: tl.constexpr, EACH: tl.constexpr, BN: tl.constexpr, BC: tl.constexpr, BK: tl.constexpr,
    ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A program: one tile of channels of one row, all its tokens. With EACH, one tile of tokens, each for itself."""
    tiles: tl.constexpr = (C + BC - 1) // BC  # side by side in the grid: they share U in the cache
    group = tl.program_id(0) // tiles
    c = (tl.program_id(0) % tiles) * BC + tl.arange(0, BC)
    c_ok = c < C
    if EACH:
        first, end, row = group * BN, group * BN + BN, tl.cast(0, tl.int64)
    else:
        first, end, row = 0, n, group.to(tl.int64)
    salient = tl.zeros((BC,), ACC)
    whole = tl.zeros((BC,), ACC)
    key_salient = tl.zeros((BC,), ACC)
    key_whole = tl.zeros((BC,), ACC)
    for t0 in range(first, end, BN):
        t = t0 + tl.arange(0, BN)
        t_ok = t < n
        ok = t_ok[:, None] & c_ok[None, :]
        m = mask_tile(u + row * su_r, w, b, t, t_ok, c, c_ok, su_t, su_c, LAM, C, BN, BC, BK, ACC, PRECISION)
        f = tl.load(x + row * sx_r + t[:, None] * sx_t + c[None, :] * sx_c, mask=ok, other=0.0).to(ACC)
        k = tl.load(keys + row * sk_r + t[:, None] * sk_t + c[None, :] * sk_c, mask=ok, other=0.0).to(ACC)
        if EACH:
            at = out + t[:, None] * C + c[None, :]
            tl.store(at, f * m, mask=ok)
            tl.store(at + so, f - f * m, mask=ok)
            tl.store(at + 2 * so, k * m, mask=ok)
            tl.store(at + 3 * so, k - k * m, mask=ok)
        else:
            salient += tl.sum(f * m, 0)
            whole += tl.sum(f, 0)
            key_salient += tl.sum(k * m, 0)
            key_whole += tl.sum(k, 0)
    if not EACH:
        at = out + row * C + c
        tl.store(at, salient / n, mask=c_ok)
        tl.store(at + so, (whole - salient) / n, mask=c_ok)
        tl.store(at + 2 * so, key_salient / n, mask=c_ok)
        tl.store(at + 3 * so, (key_whole - key_salient) / n, mask=c_ok)


@triton.jit
def token_gradients_kernel(
    u, w, b, x, g, rest, du, dx, n, su_r, su_t, su_c, sx_r, sx_t, sx_c, sdu_r, sdu_t, sdx_r, sdx_t, sdx_c,
    LAM: tl.constexpr, C: tl.constexpr, EACH: tl.constexpr, BN: tl.constexpr, BC: tl.constexpr, BK: tl.constexpr,
    BQ: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A program: dX and dU = dP W of one tile of tokens, and of BQ columns of dU (all of them while C <= BQ)."""
    columns: tl.constexpr = (C + BQ - 1) // BQ
    unit = tl.program_id(0) // columns
    column = tl.program_id(0) % columns
    q = column * BQ + tl.arange(0, BQ)
    tiles = tl.cdiv(n, BN)
    row = (unit // tiles).to(tl.int64)
    t = (unit % tiles) * BN + tl.arange(0, BN)
    t_ok = t < n
    du_tile = tl.zeros((BN, BQ), ACC)
    for c0 in range(0, C, BC):
        c = c0 + tl.arange(0, BC)
        c_ok = c < C
        ok = t_ok[:, None] & c_ok[None, :]
        m = mask_tile(u + row * su_r, w, b, t, t_ok, c, c_ok, su_t, su_c, LAM, C, BN, BC, BK, ACC, PRECISION)
        f = tl.load(x + row * sx_r + t[:, None] * sx_t + c[None, :] * sx_c, mask=ok, other=0.0).to(ACC)
        pooled = (t[:, None] if EACH else row) * C + c[None, :]
        g_tile = tl.load(g + pooled, mask=ok if EACH else c_ok[None, :], other=0.0)
        if column == 0:
            rest_tile = tl.load(rest + pooled, mask=ok if EACH else c_ok[None, :], other=0.0)
            tl.store(dx + row * sdx_r + t[:, None] * sdx_t + c[None, :] * sdx_c, rest_tile + m * g_tile, mask=ok)
        dp = LAM * m * (1.0 - m) * f * g_tile
        w_tile = tl.load(w + c[:, None] * C + q[None, :], mask=c_ok[:, None] & (q[None, :] < C), other=0.0)
        du_tile = tl.dot(dp.to(w_tile.dtype), w_tile, du_tile, input_precision=PRECISION, out_dtype=ACC)
    tl.store(
        du + row * sdu_r + t[:, None] * sdu_t + q[None, :], du_tile, mask=t_ok[:, None] & (q[None, :] < C)
    )  # fmt: skip


@triton.jit
def weight_gradients_kernel(
    u, w, b, x, g, dw, db, n, units, splits, su_r, su_t, su_c, sx_r, sx_t, sx_c,
    LAM: tl.constexpr, C: tl.constexpr, EACH: tl.constexpr, BN: tl.constexpr, BC: tl.constexpr, BK: tl.constexpr,
    BQ: tl.constexpr, ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A program: its share of the sums dW = Σ dPᵀ U and db = Σ dP, for BC rows and BQ columns of dW."""
    columns: tl.constexpr = (C + BQ - 1) // BQ
    blocks: tl.constexpr = ((C + BC - 1) // BC) * columns
    split = (tl.program_id(0) // blocks).to(tl.int64)
    block = tl.program_id(0) % blocks
    c = (block // columns) * BC + tl.arange(0, BC)
    q = (block % columns) * BQ + tl.arange(0, BQ)
    c_ok = c < C
    tiles = tl.cdiv(n, BN)
    dw_tile = tl.zeros((BC, BQ), ACC)
    db_tile = tl.zeros((BC,), ACC)
    for unit in range(tl.program_id(0) // blocks, units, splits):
        row = (unit // tiles).to(tl.int64)
        t = (unit % tiles) * BN + tl.arange(0, BN)
        t_ok = t < n
        ok = t_ok[:, None] & c_ok[None, :]
        m = mask_tile(u + row * su_r, w, b, t, t_ok, c, c_ok, su_t, su_c, LAM, C, BN, BC, BK, ACC, PRECISION)
        f = tl.load(x + row * sx_r + t[:, None] * sx_t + c[None, :] * sx_c, mask=ok, other=0.0).to(ACC)
        pooled = (t[:, None] if EACH else row) * C + c[None, :]
        g_tile = tl.load(g + pooled, mask=ok if EACH else c_ok[None, :], other=0.0)
        dp = LAM * m * (1.0 - m) * f * g_tile
        u_tile = tl.load(
            u + row * su_r + t[:, None] * su_t + q[None, :] * su_c, mask=t_ok[:, None] & (q[None, :] < C), other=0.0
        )
        dw_tile = tl.dot(tl.trans(dp.to(u_tile.dtype)), u_tile, dw_tile, input_precision=PRECISION, out_dtype=ACC)
        db_tile += tl.sum(dp, 0)
    at = dw + split * C * C + c[:, None] * C + q[None, :]
    tl.store(at, dw_tile, mask=c_ok[:, None] & (q[None, :] < C))
    if block % columns == 0:
        tl.store(db + split * C + c, db_tile, mask=c_ok)


def launch_forward(u: Tensor, w: Tensor, b: Tensor, x: Tensor, keys: Tensor, lam: float, tiles: Tiles) -> Tensor:
    """(4, R, C): f_s, f_ns, k_s, k_ns. u, x, keys (R, m, C) with any strides; m = 1 is one token for itself."""
    rows, n, width = x.shape
    each = n == 1
    out = x.new_empty(4, rows, width)
    count, groups = (rows, triton.cdiv(rows, tiles.tokens)) if each else (n, rows)
    forward_kernel[(groups * triton.cdiv(width, tiles.channels),)](
        u, w, b, x, keys, out, count, rows * width, *_rows(u, each), *_rows(x, each), *_rows(keys, each),
        **_constants(u, lam, width, each, tiles),
    )  # fmt: skip
    return out


def launch_backward(
    u: Tensor, w: Tensor, b: Tensor, x: Tensor, g_s: Tensor, g_ns: Tensor, lam: float, tiles: Tiles
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """dU, dW, db, dX from the gradients of f_s and f_ns, (R, C) each."""
    rows, n, width = x.shape
    each, exact = n == 1, accumulator(u.dtype)
    g, rest = ((g_s.to(exact) - g_ns.to(exact)) / n).contiguous(), (g_ns.to(exact) / n).contiguous()
    du, dx = torch.empty(u.shape, dtype=u.dtype, device=u.device), torch.empty_like(x)
    count = rows if each else n
    units = (1 if each else rows) * triton.cdiv(count, tiles.tokens)
    columns = triton.cdiv(width, tiles.wide)
    constants = _constants(u, lam, width, each, tiles) | {"BQ": tiles.wide}
    token_gradients_kernel[(units * columns,)](
        u, w, b, x, g, rest, du, dx, count, *_rows(u, each), *_rows(x, each), *_rows(du, each)[:2], *_rows(dx, each),
        **constants,
    )  # fmt: skip
    blocks = triton.cdiv(width, tiles.channels) * columns
    splits = max(1, min(units, PROGRAMS // blocks))
    dw, db = (torch.empty(splits, *t.shape, dtype=exact, device=u.device) for t in (w, b))
    weight_gradients_kernel[(splits * blocks,)](
        u, w, b, x, g, dw, db, count, units, splits, *_rows(u, each), *_rows(x, each), **constants
    )
    return du, dw.sum(0).to(w.dtype), db.sum(0).to(b.dtype), dx


def _rows(x: Tensor, each: bool) -> tuple[int, int, int]:
    """Strides of (row, token, channel); where every row has one token, the rows are the tokens of a single one."""
    row, token, channel = strides(x)
    return (0, row, channel) if each else (row, token, channel)


def _constants(u: Tensor, lam: float, width: int, each: bool, tiles: Tiles) -> dict[str, Any]:
    sizes = {"BN": tiles.tokens, "BC": tiles.channels, "BK": tiles.inner}
    options = {"num_warps": tiles.warps, "num_stages": tiles.stages}
    return {"LAM": lam, "C": width, "EACH": each, **sizes, **precision(u.dtype), **options}


class MaskPool(torch.autograd.Function):
    """Differentiable in U, weight, bias and x."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, weight: Tensor, bias: Tensor, x: Tensor, keys: Tensor, lam: float, tiles: Tiles
    ) -> tuple[Tensor, ...]:
        """-> f_s, f_ns, k_s, k_ns."""
        weight, bias = weight.contiguous(), bias.contiguous()
        ctx.save_for_backward(u, weight, bias, x)
        ctx.lam, ctx.tiles = lam, tiles
        f_s, f_ns, k_s, k_ns = launch_forward(u, weight, bias, x, keys, lam, tiles)
        ctx.mark_non_differentiable(k_s, k_ns)
        return f_s, f_ns, k_s, k_ns

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  decorated, so of another type
        """Of f_s and f_ns; the keys have none."""
        u, weight, bias, x = ctx.saved_tensors
        du, dw, db, dx = launch_backward(u, weight, bias, x, gradients[0], gradients[1], ctx.lam, ctx.tiles)
        return du, dw, db, dx, None, None, None


def mask_pool(
    u: Tensor, weight: Tensor, bias: Tensor, lam: float, x: Tensor, keys: Tensor, tiles: Tiles | None = None
) -> Pooled:
    """Projection, mask and both poolings of both maps: f_s, f_ns, k_s, k_ns, (R, C) each.

    Args:
        u: (R, m, C), the attention's output.
        weight, bias: (C, C) and (C,), rounded to the type of u.
        x, keys: (R, m, C); the keys get no gradient.
        tiles: for tests.
    """
    weight, bias = weight.to(u.dtype), bias.to(u.dtype)
    return MaskPool.apply(u, weight, bias, x, keys.detach(), lam, tiles or pooling_tiles(x.shape[-1], u.dtype))  # pyright: ignore[reportReturnType]  apply has no types
