"""Dropout whose masks cost little on a CPU: eight of them from each 64-bit random number.

PyTorch's CPU generator makes one number per element, which takes longer there than the convolution that dropout
follows. Bytes are exact for every rate that is a multiple of 1/256, such as the 0.5 of all published settings.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 256  # of a byte


def keep_mask(x: Float[Tensor, "*shape"], p: float) -> Bool[Tensor, "*shape"]:
    """Bool of the shape and the layout of x, false with probability p, a multiple of 1/256; PyTorch's generator."""
    words = torch.randint(-(2**63), 2**63 - 1, (-(-x.numel() // 8),))
    return (words.view(torch.uint8)[: x.numel()] >= round(p * LEVELS)).as_strided(x.shape, x.stride())


class Drop(torch.autograd.Function):
    """x * keep / (1 - p)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, p: float) -> Tensor:
        """x and keep of one shape -> the same shape."""
        ctx.save_for_backward(keep)
        ctx.scale = 1 / (1 - p)
        return torch.mul(x, keep).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """The kept gradients, scaled alike."""
        (keep,) = ctx.saved_tensors
        return torch.mul(grads[0], keep).mul_(ctx.scale), None, None


class Dropout(nn.Dropout):
    """nn.Dropout; on a CPU, for a rate of whole bytes and a dense x, with masks from random bytes."""

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Any shape -> the same."""
        exact = self.p * LEVELS == round(self.p * LEVELS) and 0 < self.p < 1
        dense = input.is_contiguous() or input.is_contiguous(memory_format=torch.channels_last)
        if not (self.training and input.is_cpu and exact and dense):
            return F.dropout(input, self.p, self.training)
        dropped = Drop.apply(input, keep_mask(input, self.p), self.p)
        assert isinstance(dropped, Tensor)
        return dropped
