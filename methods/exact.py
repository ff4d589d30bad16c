"""What stays float32 while a training rounds to bfloat16 (protocols/precision.py): similarities and their vectors."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def unrounded(x: Tensor) -> AbstractContextManager[object]:
    """A block that computes in the types of its tensors, whatever is rounded around it, on the device of x."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else contextlib.nullcontext()


def unit(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """Rows of length 1, (B, D); bfloat16 and float16 become float32, in which all similarities are computed."""
    return F.normalize(x if x.dtype == torch.float64 else x.float(), dim=1)
