"""How a machine computes a training: number formats of products, compiled backbones. Evaluation always is float32.

`off` is float32 throughout. `tf32` rounds the inputs of products to ten bits of mantissa on GPUs that can; a CPU has
no such thing. `bf16` computes products and convolutions in bfloat16; parameters, BatchNorm statistics, recurrences,
similarities and losses stay float32 (backbones/exact.py), so that nothing needs a scaled loss. Views are data, and
never rounded: bone and motion are small differences of large coordinates.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import nn

from backbones import Backbone

Amp = Literal["off", "tf32", "bf16"]
AMPS: tuple[Amp, ...] = ("off", "tf32", "bf16")


@contextlib.contextmanager
def products(amp: Amp) -> Iterator[None]:
    """Sets for the block whether a GPU may round float32 products, also those of cuDNN, which PyTorch lets it."""
    matmul, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if amp == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = amp == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = cudnn


@contextlib.contextmanager
def exactly() -> Iterator[None]:
    """Float32 and nothing compiled, however the encoder was trained: so all evaluation is computed."""
    compiled = "torch._dynamo" in sys.modules  # else there is nothing compiled, and it takes a second to import
    with products("off"), torch.compiler.set_stance("force_eager") if compiled else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def ordered(device: torch.device) -> Iterator[None]:
    """Asks a GPU, for the block, for the forms of an operation that add in one order: the same seed, the same bits.

    A CPU has no others. Convolutions, recurrences, scatters and attention have one; an operation that has none is an
    error, and none is in use. Nothing has run there yet.
    """
    if device.type != "cuda":
        yield
        return
    strict, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    deterministic: Any = torch.utils.deterministic  # a module whose class has the property, unknown to type checkers
    before = torch.backends.cudnn.deterministic, deterministic.fill_uninitialized_memory
    torch.backends.cudnn.deterministic, deterministic.fill_uninitialized_memory = True, False  # filling costs time
    torch.use_deterministic_algorithms(True)  # warn_only would leave the backward pass of attention as it is
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warns)
        torch.backends.cudnn.deterministic, deterministic.fill_uninitialized_memory = before


def autocast(amp: Amp, device: torch.device) -> torch.autocast:
    """The context of a training step's forward pass."""
    return torch.autocast(device.type, torch.bfloat16, enabled=amp == "bf16")


def compile_backbones(module: nn.Module) -> None:
    """Compiles every backbone in place; parameters keep their names.

    What a worker compiled for earlier runs is forgotten: PyTorch gives up silently after eight forms of one function.
    """
    torch.compiler.reset()
    for part in module.modules():
        if isinstance(part, Backbone):
            part.compile()


@functools.cache
def cannot_compile(device: torch.device) -> str | None:
    """Why torch.compile does not work here, or None; tried once on a trifle, which takes some seconds."""
    try:
        with warnings.catch_warnings():  # PyTorch's own, about itself
            warnings.simplefilter("ignore")
            torch.compile(lambda x: x * 2 + 1)(torch.ones(2, device=device))
    except Exception as error:  # whatever compiler and driver raise
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return None
