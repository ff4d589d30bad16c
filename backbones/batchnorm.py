"""BatchNorm of channels-last maps on a CPU whose statistics are as exact as in the other layout.

PyTorch adds up channels-last maps one after the other in float32, so that the error of a mean grows with the number of
values; over ten blocks that is ten times the rounding of the contiguous layout. Sums over rows of a matrix are
cascaded, which costs nothing.

Rows that are equal, as those of absent persons are, need to stand in a batch once only: the statistics count how often.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class NormaliseBatch(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias, over all but the channels; with mean and biased variance."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        """x (R, C, T, V), channels last -> y, which is like x, mean (C,), variance (C,); the last two are constants."""
        values = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        mean = values.mean(dim=0)
        variance = (values - mean).square_().mean(dim=0)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)  # no zeros for these two
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps), mean, variance

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        """PyTorch's, from the exact statistics."""
        x, weight, mean, scale = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            grads[0], x, weight, None, None, mean, scale, True, ctx.eps, wanted
        )
        return of_x, of_weight, of_bias, None


class NormaliseCopies(torch.autograd.Function):
    """NormaliseBatch of a batch whose last row is there `more` times more than it is written, of float32 or float64.

    The gradient of that row is the sum of those of its copies, as it comes from whoever has copied it.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, more: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x (R, C, T, V), channels last -> y, which is like x, mean (C,), variance (C,); the last two are constants."""
        values = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        places = len(values) // len(x)
        count = len(values) + more * places

        def average(values: Tensor) -> Tensor:
            return values.sum(dim=0).add_(values[-places:].sum(dim=0), alpha=more).div_(count)

        mean = average(values)
        variance = average((values - mean).square_())
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps, ctx.more, ctx.count = eps, more, count
        ctx.mark_non_differentiable(mean, variance)
        ctx.set_materialize_grads(False)
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  decorated, so of another type
        """PyTorch's for constant statistics, less what passes through mean and variance, once for every copy."""
        x, weight, mean, variance = ctx.saved_tensors
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            grads[0], x, weight, mean, variance, None, None, False, ctx.eps, [ctx.needs_input_grad[0], True, True]
        )
        if of_x is not None:
            scale = (variance + ctx.eps).rsqrt_()
            share = weight * scale / ctx.count
            slope = share * scale * of_weight
            offset = share * of_bias - slope * mean
            through = torch.addcmul(offset[:, None, None], x, slope[:, None, None])
            through[-1].mul_(1 + ctx.more)
            of_x.sub_(through)
        return of_x, of_weight, of_bias, None, None


class BatchNorm(nn.BatchNorm2d):
    """nn.BatchNorm2d, (R, C, T, V) -> the same shape; in training on a CPU see above."""

    def forward(self, input: Float[Tensor, "R C T V"], more: int = 0) -> Float[Tensor, "R C T V"]:
        """Normalises with the statistics of the batch, which it remembers, or in evaluation mode with those.

        more: copies of the last row that belong to the batch and are left out.
        """
        if not self.training:
            return super().forward(input)
        exact = input.dtype in (torch.float32, torch.float64)
        last = input.is_contiguous(memory_format=torch.channels_last)
        if not (input.is_cpu and exact and last):
            out = super().forward(written_out(input, more))
            return out[: len(input)] if more else out  # a slice of everything would still cost a copy further on
        out, mean, variance = (
            NormaliseCopies.apply(input, self.weight, self.bias, self.eps, more)
            if more
            else NormaliseBatch.apply(input, self.weight, self.bias, self.eps)
        )  # pyright: ignore[reportGeneralTypeIssues]  apply has no types
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        count = (len(input) + more) * input[0, 0].numel()
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        with torch.no_grad():
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), share)
        return out


def written_out(x: Tensor, more: int) -> Tensor:
    """x (R, ...), followed by `more` copies of its last row (R + more, ...)."""
    return torch.cat([x, x[-1:].expand(more, *x.shape[1:])]) if more else x
