"""Momentum contrast, shared by all methods: queue of keys, momentum encoder and its schedule, heads, initial weights.

He et al., CVPR 2020; section 3.1 of the paper. A method composes these pieces.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import At

Init = Literal["released", "torch"]
KeyInit = Literal["copy", "redrawn"]
Schedule = Literal["cosine", "constant"]
AnyModule = TypeVar("AnyModule", bound=nn.Module)


def check(dim: int, queue: int, tau: float, momentum: float) -> None:
    """Refuses settings that no momentum contrast can have.

    Raises:
        ValueError: with the setting and its range.
    """
    if dim < 1 or queue < 1:
        raise ValueError(f"dim and queue must be at least 1; got {dim} and {queue}")
    if tau <= 0:
        raise ValueError(f"the temperature tau must be positive; got {tau}")
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be between 0 and 1; got {momentum}")


def check_mined(mined: int, queue: int) -> None:
    """Refuses a number of mined neighbours that the queue does not hold.

    Raises:
        ValueError: with the range.
    """
    if not 0 <= mined <= queue:
        raise ValueError(f"mined must be between 0 and the queue's {queue}; got {mined}")


class Queue(nn.Module):
    """The memory bank M_k: the K most recent keys, (D, K), first in first out."""

    keys: Tensor
    position: Tensor

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        self.register_buffer("keys", F.normalize(torch.randn(dim, size), dim=0))
        self.register_buffer("position", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, keys: Float[Tensor, "B D"]) -> None:
        """Replaces the oldest columns by keys (B, D), of length 1.

        Raises:
            ValueError: when the batch is larger than the queue.
        """
        size = self.keys.shape[1]
        if len(keys) > size:
            raise ValueError(f"a batch of {len(keys)} keys does not fit a queue of {size}; make `queue` larger")
        columns = (self.position + torch.arange(len(keys), device=keys.device)) % size
        self.keys[:, columns] = keys.t()
        self.position.add_(len(keys)).remainder_(size)


def momentum_at(start: float, schedule: Schedule, at: At, offset_epochs: int = 0) -> float:
    """M = 1 - (1 - M0)(cos(pi i / I) + 1) / 2, rising from M0 to 1 over training (section 3.1); or M0 throughout.

    `offset_epochs` 1 is the released SkeAttnCLR, whose step count starts one epoch late and so ends one epoch
    past the minimum of the cosine.
    """
    if schedule == "constant":
        return start
    step = (at.epoch + offset_epochs) * at.steps + at.step
    return 1 - (1 - start) * (math.cos(math.pi * step / (at.steps * at.epochs)) + 1) / 2


@torch.no_grad()
def follow(key: nn.Module, query: nn.Module, momentum: float, buffers: bool) -> None:
    """key <- momentum * key + (1 - momentum) * query in place, for parameters and, on request, BatchNorm statistics.

    The update of theta_k in section 3.1.
    """
    mine, theirs = (
        [*module.parameters(), *(b for b in module.buffers() if buffers and b.is_floating_point())]
        for module in (key, query)
    )
    torch._foreach_lerp_(mine, theirs, 1 - momentum)  # pyright: ignore[reportPrivateImportUsage]  public, under a private name
    if buffers:
        for counter, other in zip(key.buffers(), query.buffers(), strict=True):
            if not counter.is_floating_point():
                counter.copy_(other)  # BatchNorm's count of batches


def initialise(module: nn.Module, init: Init) -> None:
    """Draws initial weights: "torch" leaves PyTorch's own, "released" is `released_init`.

    The paper does not say. The released weights are small: over hundreds of epochs that does not matter, over a few
    hundred steps a network hardly leaves them.
    """
    if init == "released":
        released_init(module)


def released_init(module: nn.Module) -> None:
    """The initial weights of all CrosSCLR-derived releases: N(0, 0.02) for linear maps, N(1, 0.02) for scales.

    Biases are 0. It replaces the initialisation of each layer, PyTorch's and the network's own.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)


def key_encoder(query: AnyModule, key_init: KeyInit, init: Init = "released") -> AnyModule:
    """E_k, without gradients. It starts as a copy of E_q.

    "redrawn" is what all releases do: their generic initialisation runs after the copy and visits both
    encoders, so that the two start unrelated. With `init` "released" it draws by the same rule as E_q was drawn; with
    "torch" every layer gets PyTorch's own draw, also where a backbone drew otherwise (BiGRU's matrices).
    """
    key = copy.deepcopy(query)
    if key_init == "redrawn" and init == "torch":
        for layer in key.modules():
            if isinstance(reset := getattr(layer, "reset_parameters", None), Callable):
                reset()
    elif key_init == "redrawn":
        released_init(key)
    return key.requires_grad_(False)


def mlp_head(width: int, dim: int) -> nn.Sequential:
    """The head of SkeletonCLR: Linear, ReLU, Linear, (B, C) -> (B, D)."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim))


def norm_head(width: int, hidden: int, dim: int) -> nn.Sequential:
    """A head with BatchNorm and no bias, (B, C) -> (B, D): projector and predictors of SkeAttnCLR."""
    return nn.Sequential(
        nn.Linear(width, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, dim, bias=False),
    )
