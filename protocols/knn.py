"""KNN protocol: a weighted vote of the k nearest training samples by cosine similarity (section 4.2).

The paper calls it clustering and does not say which k it tabulates. It is a classifier; k = 10, 20 and 40 are all
recorded. Evaluation mode and clean samples throughout, where the release augments both bank and queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from methods import Encoder
from protocols.base import Context, Progress, Result, Splits
from protocols.features import represent
from protocols.metrics import accuracies

REVISION = 1


@dataclass(frozen=True)
class Config:
    """Settings of the vote."""

    ks: tuple[int, ...] = (10, 20, 40)
    k: int = 20  # whose scores and per-class accuracy are stored; "top1" is its accuracy
    temperature: float = 0.1  # a neighbour votes with exp(similarity / temperature)
    features: Literal["embedding", "backbone"] = "embedding"  # after the head, or the pooled feature before it


def vote(
    query: Tensor, bank: Tensor, labels: Tensor, classes: int, k: int, temperature: float, block: int = 2048
) -> Tensor:
    """Scores (n, classes): summed votes of the k nearest columns of the bank.

    Args:
        query: (n, D), bank: (N, D), rows of length 1; labels: (N,).
        block: queries at a time, which bounds memory at block * N similarities.
    Raises:
        ValueError: when the bank holds fewer than k samples.
    """
    if k > len(bank):
        raise ValueError(f"k = {k} neighbours from a bank of {len(bank)} samples")
    scores = []
    for rows in query.split(block):
        similarity, index = (rows @ bank.t()).topk(k, dim=1)
        weight = (similarity / temperature).exp()
        scores.append(weight.new_zeros(len(rows), classes).scatter_add_(1, labels[index], weight))
    return torch.cat(scores)


def evaluate(encoder: Encoder, splits: Splits, stream: str, config: Config, context: Context) -> Result:
    """Accuracy for every k as "knn<k>", for config.k also as "top1" and "top5"."""
    bank, bank_labels = represent(encoder, splits.train, stream, config.features, context.device)
    query, query_labels = represent(encoder, splits.test, stream, config.features, context.device)
    truth = query_labels.cpu().numpy()
    result = Result(metrics={})
    for k in sorted({*config.ks, config.k}):
        scores = vote(query, bank, bank_labels, splits.classes, k, config.temperature).cpu().numpy()
        metrics, per_class = accuracies(scores, truth)
        result.metrics[f"knn{k}"] = metrics["top1"]
        if k == config.k:
            result.metrics |= metrics
            result.scores, result.per_class = scores, per_class
    return result


def run(encoder: Encoder, splits: Splits, stream: str, seed: int, config: Config, context: Context) -> Result:
    """The protocol. There is nothing random in it."""
    context.report(Progress("knn", 0, 1, "", 0.0))
    return evaluate(encoder, splits, stream, config, context)
