"""Finetune protocol: the whole encoder is trained with labels, under a new linear head (section 4.2).

The paper names a learning rate of 0.05 and PyTorch's schedule that waits for the loss to stop falling; the release
has milestones and a tenth of that rate. It also leaves the network in evaluation mode while it trains, so that
BatchNorm keeps the statistics of pretraining: `batchnorm` says which. At 0.05 that diverges for encoders with large
features (on IRDS two of three supervised ones), so the default is training mode. Nothing is augmented.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau

from backbones.streams import to_stream
from methods import At, Encoder
from protocols.base import Context, Result, Splits
from protocols.features import extract
from protocols.fit import fit
from protocols.frozen import train_as_evaluated
from protocols.linear import classifier
from protocols.metrics import accuracies
from protocols.sgd import SGD, Plain, check_sizes

REVISION = 1
HEAD = {"head.weight", "head.bias"}  # all that a finetuned encoder has besides its backbone


@dataclass(frozen=True)
class Config:
    """Defaults are the paper's; where it is silent, the release's weight decay and epochs."""

    sgd: SGD = field(default_factory=lambda: SGD(lr=0.05, milestones=(), weight_decay=0.0))
    schedule: Literal["plateau", "milestones"] = "plateau"  # when the training loss stops falling, or those of `sgd`
    patience: int = 10  # plateau: epochs without a lower loss that are borne; PyTorch's default
    warmup: int = 0  # epochs over which the rate climbs to sgd.lr
    epochs: int = 150
    batch: int = 128
    batchnorm: Literal["batch", "frozen"] = "batch"  # frozen: evaluation mode, which switches dropout off as well
    every: int = 5  # epochs between evaluations
    report: Literal["last", "best"] = "last"  # the last epoch's accuracy, or the best epoch's on the test set

    def __post_init__(self) -> None:
        check_sizes(self.epochs, self.batch, self.every)

    def rate(self, epoch: int, history: list[dict[str, Any]]) -> float:
        """The learning rate in an epoch counted from 0, after the epochs of `history`."""
        if epoch < self.warmup:
            return self.sgd.lr * (epoch + 1) / self.warmup
        if self.schedule == "milestones":
            return self.sgd.rate(epoch)
        optimiser = Plain([torch.zeros((), requires_grad=True)], lr=self.sgd.lr)
        plateau = ReduceLROnPlateau(optimiser, factor=self.sgd.gamma, patience=self.patience)
        for entry in history[self.warmup :]:
            plateau.step(entry["cross entropy"])
        return optimiser.param_groups[0]["lr"]


def with_classifier(encoder: Encoder, classes: int, seed: int) -> Encoder:
    """A copy of the encoder whose head, whatever it was, is a new classifier (B, C) -> (B, classes).

    Raises:
        ValueError: when anything but the head differs from the encoder's own keys.
    """
    tuned = Encoder(copy.deepcopy(encoder.backbone), classifier(encoder.backbone.width, classes, seed))
    kept = {key for key in encoder.state_dict() if not key.startswith("head.")}
    if wrong := set(tuned.state_dict()) ^ (kept | HEAD):
        raise ValueError(f"a replaced head must leave all other weights: {', '.join(sorted(wrong))}")
    return tuned


def run(encoder: Encoder, splits: Splits, stream: str, seed: int, config: Config, context: Context) -> Result:
    """Top-1, top-5 and per-class accuracy of the reported epoch; "best" and "last" top-1 are both recorded. Table 6.

    The encoder itself is left as it is. Accuracies are fractions.

    Raises:
        ValueError: when the training side does not fill one batch.
        FloatingPointError: when a loss, weight, feature or score is not finite.
        Interrupted: as in fit.
    """
    truth = splits.test.y[splits.test.rows]
    tuned = with_classifier(encoder, splits.classes, seed).to(context.device)
    x, y = splits.train.tensors(context.device)
    scores: dict[str, Tensor] = {}  # of the best epoch and of the last that was evaluated

    def terms_of(x: Tensor, y: Tensor, at: At, generator: torch.Generator) -> dict[str, Tensor]:
        return {"cross entropy": F.cross_entropy(tuned.head(tuned(x).pooled), y)}

    def after_epoch(epoch: int, history: list[dict[str, Any]]) -> dict[str, Any]:
        if epoch + 1 < config.epochs and (epoch + 1) % config.every:
            return {}
        with torch.no_grad():
            scores["last"] = tuned.head(extract(tuned, splits.test, stream, context.device)[0])
        top1 = accuracies(scores["last"].cpu().numpy(), truth)[0]["top1"]
        if top1 > max((entry["top1"] for entry in history if "top1" in entry), default=-1.0):
            scores["best"] = scores["last"]
        return {"top1": top1}

    history = fit(
        tuned,
        terms_of,
        (to_stream(x, stream), y),
        sgd=config.sgd,
        batch=config.batch,
        epochs=config.epochs,
        seed=seed,
        run_id=context.run,
        context=context,
        stage="finetune",
        rate=config.rate,
        mode=train_as_evaluated if config.batchnorm == "frozen" else nn.Module.train,
        after_epoch=after_epoch,
        kept=scores,
    )
    chosen = scores[config.report].cpu().numpy()
    metrics, per_class = accuracies(chosen, truth)
    judged = [entry["top1"] for entry in history if "top1" in entry]
    metrics |= {"top1_best": max(judged), "top1_last": judged[-1]}
    return Result(metrics, chosen, per_class, history)
