"""Which form computes attention mask and mask pooling: `auto | triton | sdpa | reference`, and what that means here.

The choice belongs to the machine, not to the run: all forms agree within rounding (tests/methods/kernels). What ran
is in the run's record.
"""

from __future__ import annotations

import functools
from typing import Literal

import torch
from torch import Tensor

from backbones.base import MaskPooling

Kernel = Literal["auto", "triton", "sdpa", "reference"]
KERNELS: tuple[Kernel, ...] = ("auto", "triton", "sdpa", "reference")

Form = Literal["reference", "sdpa", "narrow", "rows", "sdpa + pool", "joined"]
FORMS: dict[Form, str] = {
    "reference": "plain PyTorch, float32 throughout: the specification",
    "sdpa": "PyTorch's scaled_dot_product_attention, then plain PyTorch",
    "narrow": "for CPUs, rows.py: attention of narrow heads by hand, then plain PyTorch",
    "rows": "for CPUs, rows.py: pooling (after the same attention), or the last token's attention, by hand",
    "sdpa + pool": "the same attention, then pooling.py: one Triton kernel from projection to both poolings",
    "joined": "joined.py: one Triton kernel from Q, K and V to both poolings",
}

# Fastest form by GPU, (tokens, width, heads) and products: a line is added when `bench.py profile kernels` has measured
# it, from results/throughput/kernels-<gpu>-<torch>.csv. Nothing has been measured on a GPU yet.
MEASURED: dict[str, dict[tuple[int, int, int, str], Form]] = {}

NARROW, SHORT = 8, 128  # width of a head and tokens up to which attention by hand is the faster one on a CPU
ROWS_FROM = 2**16  # values of a row's map from which rows.py is the faster one on a CPU: see results/throughput


class Unsupported(RuntimeError):
    """A kernel was asked for that cannot run here; the message says why."""


def choose(kernel: Kernel, x: Tensor, heads: int, pooling: MaskPooling) -> Form:
    """The form for x (R, n, C).

    triton: `joined`, or `sdpa + pool` where one token alone is pooled or the width exceeds joined.WIDEST.
    auto: the fastest that was measured on this GPU (MEASURED); else, on a GPU, `sdpa + pool` where tensor cores take
    the products, and `sdpa` where they do not (float32 proper, whose products cuBLAS does better), where Triton cannot
    run, and for a single token (whose mask is as small as the result); on a CPU `narrow` for few
    tokens and narrow heads, `rows` for large maps (to pool all of their tokens, those must lie side by side), else
    `sdpa`.

    Raises:
        Unsupported: for `triton` where it cannot run.
        ValueError: for an unknown name.
    """
    if kernel == "reference" or kernel == "sdpa":
        return kernel
    if kernel == "triton":
        if reason := unsupported(x.device, x.dtype):
            raise Unsupported(f"kernel triton: {reason}")
        from methods.kernels.joined import WIDEST

        return "joined" if pooling == "mean" and x.shape[2] <= WIDEST else "sdpa + pool"
    if kernel != "auto":
        raise ValueError(f"kernel {kernel!r}: choose one of {', '.join(KERNELS)}")
    if x.device.type != "cuda":
        if pooling == "mean" and x.shape[2] <= NARROW * heads and x.shape[1] <= SHORT and not half(x.dtype):
            return "narrow"
        large = x.shape[1] * x.shape[2] >= ROWS_FROM
        return "rows" if large and (pooling == "last" or x.stride(1) == 1) else "sdpa"
    if pooling != "mean" or unsupported(x.device, x.dtype):
        return "sdpa"
    known = MEASURED.get(torch.cuda.get_device_name(x.device), {})
    from methods.kernels.tiles import tensor_cores

    usual: Form = "sdpa + pool" if tensor_cores(x.dtype) else "sdpa"
    return known.get((x.shape[1], x.shape[2], heads, products(x.dtype)), usual)


def products(dtype: torch.dtype) -> str:
    """How products of this type are computed: "float32", "tf32", "bfloat16", ..."""
    if dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        return "tf32"
    return str(dtype).removeprefix("torch.")


def half(dtype: torch.dtype) -> bool:
    """Whether it has fewer bits than float32."""
    return dtype in (torch.float16, torch.bfloat16)


@functools.cache
def unsupported(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why Triton's kernels cannot run on this device, or None. On a GPU a first small launch decides."""
    try:
        import triton

        from methods.kernels import pooling
    except ImportError as error:
        return f"Triton is not there ({error})"
    if not isinstance(pooling.forward_kernel, triton.JITFunction):  # TRITON_INTERPRET=1, when Triton was imported
        return "Triton's interpreter multiplies bfloat16 as integers" if dtype == torch.bfloat16 else None
    if device.type != "cuda":
        return f"Triton compiles for GPUs, and this is a {device.type.upper()}"
    if dtype not in (torch.float16, torch.bfloat16, torch.float32):
        return f"no kernel for {dtype} on a GPU"
    x = torch.zeros(1, 16, 16, device=device, dtype=dtype)
    try:
        with torch.no_grad():
            f_s, *_ = pooling.mask_pool(x, x[0], x[0, 0], 1.0, x + 1, x)
            good = bool((f_s == 0.5).all())
    except Exception as error:  # whatever compiler and driver raise: no launch, no support
        return f"a first launch failed: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    return None if good else "a first launch gave wrong numbers"
