"""Linear and KNN evaluation in their plain forms, as released code has them: the baseline of `profile protocols`.

Why they are here: "faster" means faster than something, measured in the same run; and ours must equal them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backbones.streams import to_stream
from methods import Encoder
from protocols.base import Split, derive
from protocols.linear import Config, classifier


def train_linear(
    encoder: Encoder, split: Split, stream: str, classes: int, config: Config, seed: int, device: torch.device
) -> nn.Linear:
    """The classifier of linear.train; every batch of every epoch goes through the frozen encoder, once more."""
    encoder.eval()
    head = classifier(encoder.backbone.width, classes, seed).to(device)
    optimiser = config.sgd.build(head.parameters())
    x, y = split.tensors(device)
    for epoch in range(config.epochs):
        for group in optimiser.param_groups:
            group["lr"] = config.sgd.rate(epoch)
        generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
        order = torch.randperm(len(x), generator=generator).to(device)
        for rows in order[: len(x) // config.batch * config.batch].split(config.batch):
            with torch.no_grad():
                pooled = encoder(to_stream(x[rows], stream)).pooled
            loss = F.cross_entropy(head(pooled), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return head


def vote(
    query: Tensor, bank: Tensor, labels: Tensor, classes: int, ks: Sequence[int], temperature: float
) -> dict[int, Tensor]:
    """Scores (n, classes) for every k: all similarities (n, N) at once, for each k anew."""
    scores = {}
    for k in ks:
        similarity, index = (query @ bank.t()).topk(k, dim=1)
        weight = (similarity / temperature).exp()
        scores[k] = weight.new_zeros(len(query), classes).scatter_add_(1, labels[index], weight)
    return scores
