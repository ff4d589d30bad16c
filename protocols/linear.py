"""Linear protocol: a linear classifier on a frozen encoder (section 4.2).

The encoder is in evaluation mode and nothing is augmented, so its features are extracted once and the classifier
is trained on them. That is the same computation as running the encoder every epoch, in a hundredth of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from methods import Encoder
from protocols.base import Context, Progress, Result, Splits, after, derive
from protocols.features import extract_once
from protocols.metrics import accuracies
from protocols.sgd import SGD, check_sizes

REVISION = 1


@dataclass(frozen=True)
class Config:
    """Defaults are the paper's: learning rate 3, 100 epochs, one drop at 60, accuracy of the last epoch."""

    sgd: SGD = field(default_factory=lambda: SGD(lr=3.0, milestones=(60,), weight_decay=0.0))
    epochs: int = 100
    batch: int = 128
    every: int = 5  # epochs between evaluations
    report: Literal["last", "best"] = "last"  # the last epoch's accuracy, or the best epoch's on the test set
    standardise: bool = False  # features to mean 0, deviation 1 on the training side: no encoder wins by scale

    def __post_init__(self) -> None:
        check_sizes(self.epochs, self.batch, self.every)


def classifier(width: int, classes: int, seed: int) -> nn.Linear:
    """A new classifier (n, width) -> (n, classes): weights N(0, 0.02), bias 0, as in every release."""
    torch.manual_seed(derive(seed, "init"))
    head = nn.Linear(width, classes)
    nn.init.normal_(head.weight, 0.0, 0.02)
    nn.init.zeros_(head.bias)
    return head


@torch.no_grad()
def train(
    features: Float[Tensor, "n C"],
    labels: Int[Tensor, " n"],
    classes: int,
    config: Config,
    seed: int,
    after_epoch: Callable[[int, nn.Linear], object],
) -> nn.Linear:
    """SGD on features (n, C), labels (n,); calls after_epoch(epoch, classifier). The last short batch is dropped.

    The gradient of the cross entropy is written out, (softmax - one-hot)^T x / batch: for a model this small autograd
    and an optimiser's calls cost several times the arithmetic. The host waits for the device once an epoch.

    Raises:
        ValueError: when the features do not fill one batch.
        FloatingPointError: when the loss or a weight stops being finite.
    """
    head = classifier(features.shape[1], classes, seed).to(features.device)
    batch, steps = config.batch, len(features) // config.batch
    if not steps:
        raise ValueError(f"{len(features)} training samples do not fill one batch of {batch}; lower `batch`")
    x = torch.cat([features, features.new_ones(len(features), 1)], dim=1)  # the bias is the weight of a constant
    weight = torch.cat([head.weight, head.bias[:, None]], dim=1)
    velocity, gradient = torch.zeros_like(weight), torch.empty_like(weight)
    given, one_hot = x.new_empty(batch, x.shape[1]), torch.eye(classes, device=x.device, dtype=x.dtype)
    for epoch in range(config.epochs):
        lr = config.sgd.rate(epoch)
        generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
        order = torch.randperm(len(features), generator=generator)[: steps * batch].to(features.device)
        logits, targets = features.new_zeros(1, classes), labels[order].split(batch)
        for rows, y in zip(order.split(batch), targets, strict=True):
            torch.index_select(x, 0, rows, out=given)
            logits = given @ weight.t()
            error = logits.softmax(dim=1).sub_(one_hot.index_select(0, y))
            torch.addmm(gradient, error.t(), given, beta=0, alpha=1 / batch, out=gradient)
            config.sgd.step(weight, velocity, gradient, lr)
        loss = F.cross_entropy(logits, targets[-1])
        if not torch.isfinite(loss) & torch.isfinite(weight).all():
            what = "weights are not finite after" if torch.isfinite(loss) else f"loss is {loss.item()} in"
            raise FloatingPointError(
                f"the linear classifier's {what} epoch {epoch + 1}; lower its learning rate (now {lr:g})"
            )
        head.weight.copy_(weight[:, :-1])
        head.bias.copy_(weight[:, -1])
        with after(epoch):
            after_epoch(epoch, head)
    return head


def run(encoder: Encoder, splits: Splits, stream: str, seed: int, config: Config, context: Context) -> Result:
    """Top-1, top-5 and per-class accuracy of the reported epoch; "best" and "last" top-1 are both recorded.

    Tables 1 to 3. Accuracies are fractions.

    Raises:
        ValueError: when the training side does not fill one batch.
        FloatingPointError: when a feature, loss, weight or score is not finite.
    """
    context.report(Progress("linear", 0, config.epochs, "features", 0.0))
    features, labels = extract_once(encoder, splits.train, stream, context.device)
    test_features, test_labels = extract_once(encoder, splits.test, stream, context.device)
    if config.standardise:
        mean, deviation = features.mean(dim=0), features.std(dim=0).clamp(min=1e-8)
        features, test_features = (features - mean) / deviation, (test_features - mean) / deviation
    truth = test_labels.cpu().numpy()
    history: list[dict[str, float]] = []
    kept: dict[str, np.ndarray] = {}

    def after_epoch(epoch: int, head: nn.Linear) -> None:
        last = epoch + 1 == config.epochs
        if not last and (epoch + 1) % config.every:
            return
        with torch.no_grad():
            scores = head(test_features).cpu().numpy()
        top1 = accuracies(scores, truth)[0]["top1"]
        if not history or top1 > max(entry["top1"] for entry in history):
            kept["best"] = scores
        history.append({"epoch": epoch + 1, "top1": top1})
        kept["last"] = scores
        context.report(Progress("linear", epoch + 1, config.epochs, f"top-1 {top1:.1%}", 0.0))

    train(features, labels, splits.classes, config, seed, after_epoch)
    scores = kept[config.report]
    metrics, per_class = accuracies(scores, truth)
    metrics["top1_best"] = max(entry["top1"] for entry in history)
    metrics["top1_last"] = history[-1]["top1"]
    return Result(metrics, scores, per_class, history)
