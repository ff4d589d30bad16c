"""What a frozen encoder makes of a data set: extracted once, in evaluation mode, without augmentation.

Linear and KNN evaluation both start here. Caching is exact, because nothing random and nothing that depends on
the batch is left in the encoder.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from backbones.streams import to_stream
from methods import Encoder
from protocols.base import Split


def _batch(device: torch.device) -> int:
    return 64 if device.type == "cpu" else 512


@torch.no_grad()
def extract(
    encoder: Encoder, split: Split, stream: str, device: torch.device, batch: int | None = None
) -> tuple[Tensor, Tensor]:
    """Pooled features (n, C) and labels (n,) of one side of a split, on the device.

    `batch` rows at a time; by default as many as suit the device, which changes speed and memory alone. Modes of all
    modules are as before when it returns.
    """
    batch = batch or _batch(device)
    modes = {module: module.training for module in encoder.modules()}
    encoder.eval()
    pooled = []
    for rows in torch.from_numpy(split.rows).split(batch):
        x = torch.from_numpy(split.x[rows.numpy()]).to(device)
        pooled.append(encoder(to_stream(x, stream)).pooled)
    for module, training in modes.items():
        module.training = training
    return torch.cat(pooled), torch.from_numpy(split.y[split.rows]).to(device)


@torch.no_grad()
def represent(
    encoder: Encoder, split: Split, stream: str, features: Literal["embedding", "backbone"], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Rows of length 1 (n, D), after the head or the pooled feature before it, and labels (n,); modes as in extract."""
    pooled, labels = extract(encoder, split, stream, device)
    if features == "backbone":
        return F.normalize(pooled, dim=1), labels
    training = encoder.head.training
    encoder.head.eval()
    embedded = encoder.embed(pooled)
    encoder.head.train(training)
    return embedded, labels


@torch.no_grad()
def calibrate(encoder: Encoder, split: Split, stream: str, device: torch.device, batch: int = 256) -> None:
    """Sets every BatchNorm of the encoder to the statistics of the data, weights untouched.

    An untrained network in evaluation mode would otherwise normalise by mean 0 and variance 1, which describe
    nothing. It is the fair form of the "random initialisation" control.
    """
    norms = [m for m in encoder.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average over the pass
        norm.train()
    for rows in torch.from_numpy(split.rows).split(batch):
        encoder(to_stream(torch.from_numpy(split.x[rows.numpy()]).to(device), stream))
    for norm, (momentum, training) in zip(norms, before, strict=True):
        norm.momentum, norm.training = momentum, training
