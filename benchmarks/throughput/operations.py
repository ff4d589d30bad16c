"""Where the time of a call goes: PyTorch's operations as torch.profiler counts them, by kind."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

KINDS = {  # of operations, by a part of PyTorch's name; the first that fits
    "convolution": ("convolution", "cudnn", "implicit_gemm"),
    "attention and softmax": ("scaled_dot_product", "softmax", "flash", "fmha"),
    "BatchNorm and LayerNorm": ("batch_norm", "layer_norm", "bn_"),
    "products of matrices": ("aten::mm", "aten::bmm", "addmm", "gemm"),
    "random numbers": ("bernoulli", "random_", "aten::rand", "distribution"),
    "copies and indices": ("copy_", "index", "aten::cat", "gather", "aten::stack", "memcpy"),
}
OTHER = "elementwise, sums, all else"


def kind_of(operation: str) -> str:
    """The kind of an operation by its name."""
    name = operation.lower()
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), OTHER)


def by_kind(call: Callable[[], object], device: str) -> dict[str, float]:
    """Milliseconds by kind of operation in one call: of the GPU, or of the CPU."""
    on_gpu = device.startswith("cuda")
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as seen:
        call()
        if on_gpu:
            torch.cuda.synchronize()
    spent = dict.fromkeys([*KINDS, OTHER], 0.0)
    for event in seen.key_averages():
        if event.device_type.name == "CUDA":
            continue  # a kernel, whose time its operation has too
        microseconds = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        spent[kind_of(event.key)] += microseconds / 1000
    return spent
