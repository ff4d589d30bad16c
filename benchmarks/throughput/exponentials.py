"""A kernel that does nothing but powers of two, to measure how many a GPU does in a second."""

# Triton annotates as constexpr what a launch gives as plain numbers.
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

CHAIN = 128  # per element: reading and writing it does not count any more
BLOCK = 1024


@triton.jit
def chain_kernel(x, BLOCK: tl.constexpr, CHAIN: tl.constexpr):
    at = x + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(at)
    for _ in range(CHAIN):
        value = tl.exp2(-value)  # 0 -> 1 -> 1/2 -> ...: stays within 0..1
    tl.store(at, value)


def launch(x: Tensor) -> None:
    """x: float32 within 0..1, a multiple of BLOCK values; changed in place."""
    chain_kernel[(x.numel() // BLOCK,)](x, BLOCK=BLOCK, CHAIN=CHAIN)
