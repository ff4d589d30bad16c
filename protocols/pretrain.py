"""Pretraining: a method, the training loop, and the KNN monitor that chooses a checkpoint (section 4.2).

Two encoders are kept: the last, and the one with the best monitored KNN accuracy, which is the paper's choice. That
choice looks at the test set; every table says so above its first row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from backbones.exact import unrounded
from methods import At, Method
from protocols import checkpoint, knn
from protocols.base import Context, Result, Splits
from protocols.fit import fit
from protocols.precision import products
from protocols.sgd import SGD

REVISION = 1


def encoder_path(folder: Path, select: str) -> Path:
    """Where a pretraining keeps the encoder "last" or "best-knn"."""
    return folder / f"encoder-{select}.safetensors"


def attention_path(folder: Path, select: str) -> Path:
    """Where it keeps that encoder's attention mask, for pictures; only a method that has one leaves this file."""
    return folder / f"attention-{select}.safetensors"


def pretrain(
    method: Method,
    splits: Splits,
    *,
    sgd: SGD,
    batch: int,
    epochs: int,
    seed: int,
    monitor: knn.Config,
    monitor_every: int,
    run_id: str,
    header: dict[str, str],
    context: Context,
) -> Result:
    """Trains a method on the training side; labels are used by the monitor only (and by the supervised control).

    Every `monitor_every` epochs and after the last, the encoder's KNN accuracy is measured. At the end both encoders go
    to context.folder as safetensors with `header`, the run id and their epoch. With 0 epochs both are the untrained
    one, of epoch 0.

    Returns:
        metrics "knn<k>" of the last monitored epoch and "best_knn<k>" of the best, "best_epoch"; history by epoch.
    Raises:
        ValueError, FloatingPointError, Interrupted: as fit, and as knn.evaluate.
    """
    method.to(context.device)
    data = splits.train.tensors(context.device)
    key, ks = f"knn{monitor.k}", sorted({*monitor.ks, monitor.k})
    best: dict[str, Any] = {}  # the parts of the epoch with the best accuracy

    def terms_of(x: Tensor, y: Tensor, at: At, generator: torch.Generator) -> dict[str, Tensor]:
        with products("off"), unrounded(x):
            views = method.views(x, generator)
        if method.NEEDS_LABELS:
            views["labels"] = y
        return method.loss(views, at)

    def after_epoch(epoch: int, history: list[dict[str, Any]]) -> dict[str, Any]:
        last = epoch + 1 == epochs
        if not last and (epoch + 1) % monitor_every:
            return {}
        metrics = knn.evaluate(method.encoder(), splits, method.stream, monitor, context).metrics
        if metrics[key] > max((entry[key] for entry in history if key in entry), default=-1.0):
            best.update({name: _copy(part) for name, part in _parts(method).items()})
        return {name: value for name, value in metrics.items() if name.startswith("knn")}

    history = fit(
        method,
        terms_of,
        data,
        sgd=sgd,
        batch=batch,
        epochs=epochs,
        seed=seed,
        run_id=run_id,
        context=context,
        before_step=method.before_step,
        after_step=method.after_step,
        after_epoch=after_epoch,
        kept=best,
    )
    if not epochs:
        history.append({"epoch": 0, **after_epoch(-1, history)})
    monitored = [entry for entry in history if key in entry]
    chosen = max(monitored, key=lambda entry: entry[key])  # the earliest of equals
    if context.folder:
        of_last = {name: part.state_dict() for name, part in _parts(method).items()}
        for select, epoch, states in (("best-knn", chosen["epoch"], best), ("last", epochs, of_last)):
            about = header | {"run": run_id, "epoch": str(epoch), "select": select}
            for name, state in states.items():
                checkpoint.save_encoder(context.folder / f"{name}-{select}.safetensors", state, about)
    metrics = {f"knn{k}": monitored[-1][f"knn{k}"] for k in ks}
    metrics |= {f"best_knn{k}": chosen[f"knn{k}"] for k in ks}
    metrics["best_epoch"] = float(chosen["epoch"])
    return Result(metrics, history=history)


def _parts(method: Method) -> dict[str, nn.Module]:
    """What is kept of a trained method, by the beginning of its file's name; the encoder comes last."""
    parts: dict[str, nn.Module] = {"encoder": method.encoder()}
    return parts if (mask := method.attention()) is None else {"attention": mask} | parts


def _copy(part: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in part.state_dict().items()}
