"""Pieces that the Triton kernels share: sizes of tiles, precision of products, one tile of the mask.

None of the sizes has been tuned on a GPU yet. They are chosen so that what a program holds fits the registers and the
shared memory of a Hopper multiprocessor (tests/methods/kernels/test_compiled.py asks the compiler). They are fixed, not
tuned on the fly, because another size is another order of sums, and a resumed run should give the same bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2_E = 1.4426950408889634  # for powers of two, which is what the hardware has, in place of those of e


class Tiles(NamedTuple):
    """How a kernel cuts its work. All powers of two, and at least 16 because of tensor cores."""

    tokens: int  # of a tile
    channels: int  # of a tile of the mask
    inner: int  # of a step along a product's inner dimension, or keys of a step along the softmax
    wide: int  # columns of U, dU or dW that a program holds at a time
    warps: int
    stages: int


def power_of_two(size: int) -> int:
    """The next power of two, from 16."""
    return max(16, 1 << (size - 1).bit_length())


def pooling_tiles(width: int, dtype: torch.dtype) -> Tiles:
    """For mask pooling, forward and backward."""
    padded = power_of_two(width)
    if not tensor_cores(dtype):
        return Tiles(32, 16, 16, min(padded, 256), 8, 1)
    return Tiles(64, min(padded, 64), min(padded, 32 if dtype.itemsize > 2 else 64), min(padded, 256), 8, 2)


def attention_tiles(width: int, dtype: torch.dtype) -> Tiles:
    """For attention joined to mask pooling, and for the gradients of attention."""
    padded = power_of_two(width)
    if not tensor_cores(dtype):
        return Tiles(16, padded, 16, padded, 8, 1)
    return Tiles(64, padded, 32 if dtype.itemsize > 2 else 64, padded, 8 if padded > 128 else 4, 2)


def tensor_cores(dtype: torch.dtype) -> bool:
    """Whether products of this type run on tensor cores; float32 does where PyTorch may round it to tf32."""
    if dtype == torch.float32:
        return torch.get_float32_matmul_precision() != "highest"
    return dtype in (torch.float16, torch.bfloat16)


def precision(dtype: torch.dtype) -> dict[str, Any]:
    """Types of a kernel's products: accumulator, and whether float32 factors may be rounded to tf32, as PyTorch says.

    Raises:
        ValueError: for a type without a kernel.
    """
    if dtype == torch.float64:
        return {"ACC": tl.float64, "PRECISION": "ieee"}
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(f"the kernels take float16, bfloat16, float32 and float64; got {dtype}")
    return {"ACC": tl.float32, "PRECISION": "tf32" if dtype == torch.float32 and tensor_cores(dtype) else "ieee"}


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """The PyTorch name of the accumulator's type."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def strides(x: Tensor) -> tuple[int, int, int]:
    """(row, token, channel) of a map; an ST-GCN's has its tokens side by side, not its channels."""
    return x.stride(0), x.stride(1), x.stride(2)


@triton.jit
def mask_tile(
    u, w, b, t, t_ok, c, c_ok, su_t, su_c,
    LAM: tl.constexpr, C: tl.constexpr, BN: tl.constexpr, BC: tl.constexpr, BK: tl.constexpr,
    ACC: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Equation 4 on one tile: M = sigmoid(lam (U Wᵀ + b)), (BN, BC). u points at the row."""
    p = tl.zeros((BN, BC), ACC)
    for k0 in range(0, C, BK):
        k = k0 + tl.arange(0, BK)
        u_tile = tl.load(u + t[:, None] * su_t + k[None, :] * su_c, mask=t_ok[:, None] & (k[None, :] < C), other=0.0)
        w_tile = tl.load(w + c[None, :] * C + k[:, None], mask=c_ok[None, :] & (k[:, None] < C), other=0.0)
        p = tl.dot(u_tile, w_tile, p, input_precision=PRECISION, out_dtype=ACC)
    return squash(p, b, c, c_ok, LAM, ACC)


@triton.jit
def squash(p, b, c, c_ok, LAM: tl.constexpr, ACC: tl.constexpr):
    """sigmoid(lam (p + b))."""
    bias = tl.load(b + c, mask=c_ok, other=0.0).to(ACC)
    return 1.0 / (1.0 + tl.exp(-LAM * (p + bias[None, :])))
