"""KNN protocol: a weighted vote of the k nearest training samples by cosine similarity (section 4.2).

The paper calls it clustering and does not say which k it tabulates. It is a classifier; k = 10, 20 and 40 are all
recorded. Evaluation mode and clean samples throughout, where the release augments both bank and queries.
"""

# pyright: strict

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from methods import Encoder
from protocols.base import Context, Progress, Result, Splits
from protocols.features import represent
from protocols.metrics import accuracies

REVISION = 1
LARGEST = math.log(torch.finfo(torch.float32).max) - 0.1  # of a sum of votes; a similarity may be a little above 1


@dataclass(frozen=True)
class Config:
    """Settings of the vote."""

    ks: tuple[int, ...] = (10, 20, 40)
    k: int = 20  # whose scores and per-class accuracy are stored; "top1" is its accuracy
    temperature: float = 0.1  # a neighbour votes with exp(similarity / temperature)
    features: Literal["embedding", "backbone"] = "embedding"  # after the head, or the pooled feature before it

    def __post_init__(self) -> None:
        if min(most := {*self.ks, self.k}) < 1:
            raise ValueError(f"a vote needs at least 1 neighbour; got k = {self.k} and ks = {self.ks}")
        least = 1 / (LARGEST - math.log(max(most)))
        if not self.temperature >= least:
            raise ValueError(
                f"the temperature must be at least {least:.4f}, or {max(most)} votes of exp(1 / temperature) overflow; "
                f"got {self.temperature}"
            )


def _block(bank: Tensor) -> int:
    """Queries at a time, so that their similarities fill 32 MiB on a CPU, 1 GiB on a GPU."""
    memory = 2**25 if bank.device.type == "cpu" else 2**30
    return max(1, memory // (len(bank) * bank.element_size()))


def neighbours(
    query: Float[Tensor, "n D"], bank: Float[Tensor, "N D"], k: int, block: int | None = None
) -> tuple[Float[Tensor, "n {k}"], Int[Tensor, "n {k}"]]:
    """Cosine similarities (n, k), falling, and rows (n, k) of the k nearest samples of the bank.

    The first j columns are the j nearest. Equally similar samples stand in any order: where they lie on both sides of
    column j, which of them count among the j nearest is open, as it is in a search for j alone. It matters only to an
    encoder whose features differ by no more than rounding, such as an untrained one without BatchNorm statistics.

    Args:
        query: (n, D), bank: (N, D), rows of length 1.
        block: queries at a time; by default what keeps block * N similarities small.
    Raises:
        ValueError: when the bank holds fewer than k samples.
    """
    if k > len(bank):
        raise ValueError(f"k = {k} neighbours from a bank of {len(bank)} samples")
    block = min(block or _block(bank), max(len(query), 1))
    similarities, columns = query.new_empty(block, len(bank)), bank.t()
    found = [
        torch.mm(rows, columns, out=similarities[: len(rows)]).topk(k, dim=1) for rows in torch.split(query, block)
    ]  # one buffer for all blocks
    return torch.cat([values for values, _ in found]), torch.cat([index for _, index in found])


def vote(
    similarity: Float[Tensor, "n k"], labels: Int[Tensor, "n k"], classes: int, temperature: float
) -> Float[Tensor, "n {classes}"]:
    """Scores (n, classes): the summed votes of neighbours with these similarities and labels, both (n, k)."""
    weight = (similarity / temperature).exp()
    return weight.new_zeros(len(labels), classes).scatter_add_(1, labels, weight)


def evaluate(encoder: Encoder, splits: Splits, stream: str, config: Config, context: Context) -> Result:
    """Accuracy, a fraction, for every k as "knn<k>", for config.k also as "top1" and "top5". Table 4.

    Raises:
        ValueError: when the training side holds fewer than k clips.
        FloatingPointError: when a feature is not finite.
    """
    bank, bank_labels = represent(encoder, splits.train, stream, config.features, context.device)
    query, query_labels = represent(encoder, splits.test, stream, config.features, context.device)
    truth = query_labels.cpu().numpy()
    ks = sorted({*config.ks, config.k})
    similarity, index = neighbours(query, bank, ks[-1])
    labels = bank_labels[index]
    result = Result(metrics={})
    for k in ks:
        scores = vote(similarity[:, :k], labels[:, :k], splits.classes, config.temperature).cpu().numpy()
        metrics, per_class = accuracies(scores, truth)
        result.metrics[f"knn{k}"] = metrics["top1"]
        if k == config.k:
            result.metrics |= metrics
            result.scores, result.per_class = scores, per_class
    return result


def run(encoder: Encoder, splits: Splits, stream: str, seed: int, config: Config, context: Context) -> Result:
    """The protocol: `evaluate`, for which there is no seed; nothing in it is random."""
    context.report(Progress("knn", 0, 1, "", 0.0))
    return evaluate(encoder, splits, stream, config, context)
