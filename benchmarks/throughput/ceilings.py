"""What the machine can do at best, measured in the same run: copying, products per type, exponentials.

And the least that a form of attention mask and mask pooling has to do, counted. Their ratio is the floor under its
time: a fraction of the roofline is floor / measured.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

import torch

from benchmarks.throughput.clock import percentiles, times
from benchmarks.throughput.kernel_cases import Case
from methods.kernels.choice import products, unsupported
from protocols import precision


class Work(NamedTuple):
    """Counted, not measured: the least that any form must do."""

    flops: float  # of products, a multiply-add counting two
    moved: float  # bytes to and from memory, every tensor once
    exponentials: float

    def __add__(self, other: tuple[object, ...]) -> Work:
        """Of both."""
        assert isinstance(other, Work)
        return Work(self.flops + other.flops, self.moved + other.moved, self.exponentials + other.exponentials)


def forward_work(case: Case, itemsize: int) -> Work:
    """From Q, K and V to the four results, keeping the attention's output and the denominators for backward."""
    r, n, c, m = case.rows, case.tokens, case.width, 1 if case.pooling == "last" else case.tokens
    scores = r * case.heads * m * n
    flops = 4 * r * m * n * c + 2 * r * m * c * c
    read = r * (m + 2 * n) * c + 2 * r * m * c + c * c + c
    written = r * m * c + 4 * r * c
    return Work(flops, itemsize * (read + written) + 4 * r * case.heads * m, scores + r * m * c)


def backward_work(case: Case, itemsize: int) -> Work:
    """From the gradients of f_s and f_ns to those of Q, K, V, x and the weights; scores and mask are computed again."""
    r, n, c, m = case.rows, case.tokens, case.width, 1 if case.pooling == "last" else case.tokens
    scores = r * case.heads * m * n
    flops = 10 * r * m * n * c + 6 * r * m * c * c
    read = r * (m + 2 * n) * c + 2 * r * m * c + c * c + c + 2 * r * c
    written = r * (m + 2 * n) * c + r * n * c + c * c + c
    return Work(flops, itemsize * (read + written) + 4 * r * case.heads * m, scores + r * m * c)


@dataclass(frozen=True)
class Ceilings:
    """Rates of this machine; products by their kind."""

    bandwidth: float  # bytes per second, read and written
    matmul: dict[str, float]  # FLOP per second
    exponentials: float  # per second; infinite where they could not be measured

    def floor(self, work: Work, kind: str) -> tuple[float, str]:
        """Milliseconds below which no form can be, and what sets them: flops, bytes or exp."""
        each = {
            "flops": work.flops / self.matmul[kind],
            "bytes": work.moved / self.bandwidth,
            "exp": work.exponentials / self.exponentials,
        }
        bound = max(each, key=lambda name: each[name])
        return 1000 * each[bound], bound


def measure(device: str, kinds: dict[str, torch.dtype], seconds: float) -> Ceilings:
    """All rates, by medians; `seconds` for each. kinds: see `products`; tf32 is measured when it is among them."""
    on_gpu = device.startswith("cuda")
    matmul = {}
    for kind, dtype in kinds.items():
        with rounding(kind):
            size = 8192 if on_gpu and kind != "float32" else 4096 if on_gpu else 1024
            a, b, out = (torch.randn(size, size, device=device).to(dtype) for _ in range(3))
            matmul[kind] = 2 * size**3 / _median(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), device, seconds)
    source = torch.zeros(2**28 if on_gpu else 2**25, device=device)
    target = torch.empty_like(source)
    bandwidth = 2 * source.nbytes / _median(lambda: target.copy_(source), device, seconds)
    return Ceilings(bandwidth, matmul, _exponentials(device, seconds))


def _exponentials(device: str, seconds: float) -> float:
    if not device.startswith("cuda"):
        x = torch.linspace(-8, 0, 2**13)  # 32 KB: stays in the first cache
        y = torch.empty_like(x)

        def many() -> None:
            for _ in range(64):
                torch.exp(x, out=y)

        return 64 * x.numel() / _median(many, device, seconds)
    if unsupported(torch.device(device), torch.float32):
        return float("inf")
    from benchmarks.throughput.exponentials import CHAIN, launch

    x = torch.zeros(2**22, device=device)
    return CHAIN * x.numel() / _median(lambda: launch(x), device, seconds)


def _median(call: Callable[[], object], device: str, seconds: float) -> float:
    """Seconds."""
    return percentiles(times({"": call}, device, seconds)[""])[1] / 1000


def rounding(kind: str) -> AbstractContextManager[None]:
    """Within it float32 products, cuDNN's too, may be rounded to tf32 if the kind is tf32, and may not otherwise."""
    return precision.products("tf32" if kind == "tf32" else "off")


def kinds_of(device: str) -> dict[str, torch.dtype]:
    """The kinds of products that are measured on a device, in order."""
    if not device.startswith("cuda"):
        return {"float32": torch.float32}
    found = {"bfloat16": torch.bfloat16, "tf32": torch.float32, "float32": torch.float32, "float16": torch.float16}
    for kind, dtype in found.items():
        with rounding(kind):
            assert products(dtype) == kind
    return found
