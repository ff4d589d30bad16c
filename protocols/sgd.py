"""The optimiser of every training in the paper: SGD with momentum and a learning rate that drops at milestones."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


def check_sizes(epochs: int, batch: int, every: int) -> None:
    """Refuses a training of a classifier that judges nothing (pretraining, which may have 0 epochs, is no such one).

    Raises:
        ValueError: with the three sizes.
    """
    if min(epochs, batch, every) < 1:
        raise ValueError(
            "epochs, batch and every (epochs between evaluations) must be at least 1, or nothing is trained or judged; "
            f"got {epochs}, {batch} and {every}"
        )


class Plain(torch.optim.SGD):
    """torch.optim.SGD, bit for bit, without its wrappers for torch.compile: they import a compiler of a second or more.

    Only the two methods that save and load a state still have them.
    """

    add_param_group = inspect.unwrap(torch.optim.SGD.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.SGD.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


@dataclass(frozen=True)
class SGD:
    """Defaults are the pretraining of section 4.2 and Table 9."""

    lr: float = 0.1
    milestones: tuple[int, ...] = (250,)  # epochs that are finished when the rate drops to a tenth
    gamma: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    nesterov: bool = False

    def rate(self, epoch: int) -> float:
        """The learning rate in an epoch counted from 0: with milestone 250 the 251st epoch is the first lower."""
        return self.lr * self.gamma ** sum(epoch >= milestone for milestone in self.milestones)

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.SGD:
        """The optimiser over parameters that need gradients."""
        return Plain(
            [p for p in parameters if p.requires_grad],
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
            fused=True,
        )

    def step(
        self,
        weight: Float[Tensor, "*shape"],
        velocity: Float[Tensor, "*shape"],
        gradient: Float[Tensor, "*shape"],
        lr: float,
    ) -> None:
        """One step of that optimiser in place, for a gradient that needs no autograd; `velocity` begins as zeros."""
        if self.weight_decay:
            gradient = gradient.add(weight, alpha=self.weight_decay)
        velocity.mul_(self.momentum).add_(gradient)
        weight.sub_(gradient.add(velocity, alpha=self.momentum) if self.nesterov else velocity, alpha=lr)
