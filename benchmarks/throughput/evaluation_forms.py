"""What `profile protocols` and test_protocols.py time: plain and ours, on stand-in clips and random features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from backbones import STGCN
from benchmarks.datasets.standin import synthetic
from benchmarks.throughput import plain_evaluation
from methods import Encoder
from protocols import knn, linear
from protocols.base import Split, Splits
from protocols.features import extract

PLAIN, OURS = "plain", "ours"
KS, TEMPERATURE = knn.Config.ks, knn.Config.temperature


def clips(count: int, frames: int, tests: int = 0) -> Splits:
    """Stand-ins for NTU-60, repeated as often as it takes; the array is read-only, like prepared data."""
    x, cast = synthetic.generate("ntu60", "smoke", frames)
    rows = np.arange(count + tests) % len(x)
    x, y = x[rows], cast["label"].to_numpy()[rows]
    x.setflags(write=False)
    return Splits(Split(x, y, np.arange(count)), Split(x, y, np.arange(count, count + tests)), int(y.max()) + 1)


def network(width: int, seed: int = 0, out: int = 256) -> Encoder:
    """ST-GCN of that width with a linear head to 128."""
    torch.manual_seed(seed)
    return Encoder(STGCN(STGCN.Config(width=width, out=out)), torch.nn.Linear(out, 128)).eval()


def linear_forms(
    encoder: Encoder, data: Splits, config: linear.Config, device: torch.device
) -> dict[str, Callable[[], torch.nn.Linear]]:
    """What trains a classifier on data.train; ours includes the extraction."""
    encoder.to(device)
    return {
        PLAIN: lambda: plain_evaluation.train_linear(encoder, data.train, "joint", data.classes, config, 0, device),
        OURS: lambda: linear.train(
            *extract(encoder, data.train, "joint", device), data.classes, config, 0, lambda epoch, head: None
        ),
    }


def points(count: int, width: int, seed: int, device: str) -> Tensor:
    """Random rows of length 1."""
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, width, generator=generator), dim=1).to(device)


def labels_of(count: int, classes: int, device: str) -> Tensor:
    """Random labels."""
    return torch.randint(classes, (count,), generator=torch.Generator().manual_seed(2)).to(device)


def vote(query: Tensor, bank: Tensor, labels: Tensor, classes: int, ks: Sequence[int]) -> dict[int, Tensor]:
    """Scores for every k, by the protocol's own steps."""
    similarity, index = knn.neighbours(query, bank, max(ks))
    voters = labels[index]
    return {k: knn.vote(similarity[:, :k], voters[:, :k], classes, TEMPERATURE) for k in ks}


def knn_forms(bank: int, queries: int, width: int, device: str) -> dict[str, Callable[[], dict[int, Tensor]]]:
    """What votes, among 60 classes."""
    query, base, labels = points(queries, width, 1, device), points(bank, width, 0, device), labels_of(bank, 60, device)
    return {
        PLAIN: lambda: plain_evaluation.vote(query, base, labels, 60, KS, TEMPERATURE),
        OURS: lambda: vote(query, base, labels, 60, KS),
    }
