"""From what was asked for to runs with every hyper-parameter resolved: recipe, then scale, then --set, then the table.

Scales change sizes only (sizes.py); `full` is the recipe itself. IRDS, a small real data set, has sizes of its own that
two CPU cores can train.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from benchmarks.datasets import catalog
from benchmarks.recipes.finetuning import few_labels, finetuning
from benchmarks.recipes.methods import Recipe, methods_of, recipe_of
from benchmarks.recipes.once import once
from benchmarks.recipes.settings import Settings
from benchmarks.recipes.sizes import DEMO, IRDS, SMOKE, Size, changed, resized, retuned
from benchmarks.runs import Data, Evaluate, Fuse, Pretrain, Raw, Untrained
from protocols import PROTOCOLS, finetune, knn

_MONITOR = knn.Config()


class WrongSetting(ValueError):
    """A value of --set that a method, a backbone or a protocol refuses; the message says why."""


def size_of(settings: Settings, data: str) -> Size | None:
    """The sizes that replace the recipe's, None for none."""
    if settings.scale == "full":
        return IRDS if data == "irds" else None
    return {"smoke": SMOKE, "demo": DEMO}[settings.scale]


@once
def resolve(settings: Settings, method: str, data: str, stream: str, backbone: str = "stgcn") -> Recipe:
    """The complete settings of one method on one data set and stream at the asked-for scale."""
    found = recipe_of(settings.recipe, method, data, stream, backbone)
    size = size_of(settings, data)
    try:
        return changed(resized(found, size) if size else found, dict(settings.overrides))
    except ValueError as error:
        raise WrongSetting(f"--set: {error}") from error


def frames_of(settings: Settings, data: str) -> tuple[int, ...]:
    """The numbers of frames at which methods see a data set: one under `paper`, 50 and 64 under `official`."""
    return tuple(sorted({resolve(settings, method, data, "joint").frames for method in methods_of(settings.recipe)}))


@once
def data_of(settings: Settings, name: str, split: str, frames: int) -> Data:
    """The data of a run at the asked-for scale."""
    return Data(name, split, frames, settings.standin)


@once
def _config(settings: Settings, method: str, data: str, split: str, stream: str, backbone: str, **changes: Any) -> Any:
    """The method's, of all seeds."""
    found = resolve(settings, method, data, stream, backbone)
    classes = {"classes": catalog.classes(data, settings.standin, split)} if hasattr(found.config, "classes") else {}
    return replace(found.config, **changes | classes)


@once
def pretraining(
    settings: Settings,
    method: str,
    data: str,
    split: str,
    stream: str,
    seed: int,
    backbone: str = "stgcn",
    **changes: Any,
) -> Pretrain:
    """A fully resolved pretraining; --set and then `changes`, what a table varies, replace fields of the config."""
    found = resolve(settings, method, data, stream, backbone)
    size = size_of(settings, data)
    return Pretrain(
        method=method,
        config=_config(settings, method, data, split, stream, backbone, **changes),
        backbone=found.backbone,
        backbone_config=found.backbone_config,
        data=data_of(settings, data, split, found.frames),
        stream=stream,
        sgd=found.sgd,
        batch=found.batch,
        epochs=found.epochs,
        seed=seed,
        monitor=size.monitor if size else _MONITOR,
        monitor_every=size.monitor_every if size else 10,
    )


def pretrainings(
    settings: Settings, method: str, data: str, split: str, stream: str, backbone: str = "stgcn", **changes: Any
) -> list[Pretrain]:
    """The same pretraining with every seed."""
    return [pretraining(settings, method, data, split, stream, seed, backbone, **changes) for seed in settings.seeds]


def untrained(settings: Settings, method: str, data: str, stream: str, seed: int, calibrate: bool = False) -> Untrained:
    """The backbone of a method's recipe with random weights; see runs.Untrained for `calibrate`."""
    found = resolve(settings, method, data, stream)
    return Untrained(
        found.backbone, found.backbone_config, stream, seed, getattr(found.config, "init", "torch"), calibrate
    )


def controls(settings: Settings, method: str, data: str, stream: str, calibrate: bool = False) -> list[Untrained]:
    """The same backbone with random weights of every seed."""
    return [untrained(settings, method, data, stream, seed, calibrate) for seed in settings.seeds]


@once
def evaluation(
    settings: Settings,
    protocol: str,
    encoder: Pretrain | Untrained | Raw,
    data: str,
    split: str,
    share: float = 0.1,
    **changes: Any,
) -> Evaluate:
    """A protocol with the settings that belong to the encoder's recipe; `changes` replace fields of its config.

    share: of the labels, for protocol semi. Another data set than the encoder's is transfer.
    """
    method = encoder.method if isinstance(encoder, Pretrain) else "skeletonclr"
    backbone = "stgcn" if isinstance(encoder, Raw) else encoder.backbone
    found = resolve(settings, method, data, encoder.stream, backbone)
    words = (method, data, split, encoder.stream, backbone)
    return Evaluate(
        protocol=protocol,
        config=_judge(settings, protocol, words, share, isinstance(encoder, Pretrain), **changes),
        encoder=encoder,
        data=data_of(settings, data, split, found.frames),
        select=found.select if isinstance(encoder, Pretrain) else "last",
        seed=getattr(encoder, "seed", 0),
    )


@once
def _judge(
    settings: Settings,
    protocol: str,
    words: tuple[str, str, str, str, str],
    share: float,
    pretrained: bool,
    **changes: Any,
) -> Any:
    """The protocol's config, of all seeds. words: method, data, split, stream, backbone."""
    method, data, split, stream, backbone = words
    where = (settings.recipe, method, data, split, stream, size_of(settings, data))
    match protocol:
        case "finetune":
            config = _tuned(finetuning(*where), settings, pretrained)
        case "semi":
            few = few_labels(*where, share)
            config = replace(few, finetune=_tuned(few.finetune, settings, pretrained))
        case "linear":
            config = resolve(settings, method, data, stream, backbone).linear
        case _:
            config = PROTOCOLS[protocol].Config()  # no recipe says more
    return replace(config, **changes)


def _tuned(config: finetune.Config, settings: Settings, pretrained: bool) -> finetune.Config:
    """With what --set names; without pretraining BatchNorm follows the batches, as it has no statistics to keep."""
    config = retuned(config, dict(settings.overrides))
    return config if pretrained else replace(config, batchnorm="batch")


def judged(
    settings: Settings,
    protocol: str,
    encoders: Iterable[Pretrain | Untrained | Raw],
    data: str,
    split: str,
    share: float = 0.1,
    **changes: Any,
) -> tuple[Evaluate, ...]:
    """The same evaluation of several encoders, one per seed."""
    return tuple(evaluation(settings, protocol, encoder, data, split, share, **changes) for encoder in encoders)


def fused(members: tuple[Evaluate, ...], weights: tuple[float, ...] = (0.5, 0.5, 0.5)) -> Fuse:
    """Three-stream fusion in the order joint, bone, motion."""
    return Fuse(members, weights)
