"""What is computed in the types of its tensors while a training rounds to bfloat16 (protocols/precision.py)."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch
from torch import Tensor


def unrounded(x: Tensor) -> AbstractContextManager[object]:
    """A block that computes in the types of its tensors, whatever is rounded around it, on the device of x."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else contextlib.nullcontext()
