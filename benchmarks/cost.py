"""What a run costs before it has run: seconds on one core, for `plan` and for the time that is left.

Passes of a backbone over clips, a backward pass counting two, at the speed that `profile train` measured on the machine
it names (results/throughput/), and what each pass costs whatever is in it. Machines differ and are noisy: within a
factor of 1.5 of two cores like those is the aim, and a GPU is not meant.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.datasets import catalog
from benchmarks.runs import Data, Evaluate, Fuse, Pretrain, Raw, Run
from methods import METHODS
from protocols import embed, finetune, linear, semi

MACHINE = "those of an AMD EPYC"
UNKNOWN = (5_000, 2_000)  # clips of the sides of a split that nobody has counted
FULL = 64  # frames


class _Speed(NamedTuple):
    """Of one core: seconds per clip and pass at full width and 64 frames, and per pass of a batch."""

    clip: float
    launch: float
    width: str  # the field of the config that work grows with the square of
    full: int


_SPEEDS = {
    "stgcn": _Speed(0.126, 0.009, "width", 64),
    "bigru": _Speed(0.134, 0.002, "hidden_size", 1024),
    "dsta": _Speed(0.117, 0.022, "blocks", 256),
}
_STEP = 0.0002  # of a linear classifier
_POINT = 0.01  # of a t-SNE plane
_START = 0.3  # reading data and weights, writing a record


def cost(run: Run) -> float:
    """Seconds on one core of MACHINE."""
    match run:
        case Pretrain():
            train, test = clips(run.data)
            steps = run.epochs * (train // run.batch)
            passes = METHODS[run.method].PASSES
            judged = math.ceil(run.epochs / run.monitor_every)
            frames = run.data.frames
            judging = judged * _extract(run, frames, train + test)
            return _START + _passes(run, frames, steps * passes, run.batch) + judging
        case Evaluate():
            return _START + _evaluation(run)
        case Fuse():
            return 0.05


def _evaluation(run: Evaluate) -> float:
    train, test = clips(run.data)
    if isinstance(run.encoder, Raw):
        return 0.01 * train
    match run.config:
        case embed.Config(share=share):
            return _extract(run.encoder, run.data.frames, round(share * train)) + _POINT * share * train
        case linear.Config(epochs=epochs, batch=batch):
            return _extract(run.encoder, run.data.frames, train + test) + _STEP * epochs * (train // batch)
        case semi.Config(share=share, finetune=config):
            return _finetuning(run, config, round(share * train), test)
        case finetune.Config() as config:
            return _finetuning(run, config, train, test)
    return _extract(run.encoder, run.data.frames, train + test)


def _finetuning(run: Evaluate, config: finetune.Config, train: int, test: int) -> float:
    steps = config.epochs * (train // config.batch)
    judged = math.ceil(config.epochs / config.every)
    frames = run.data.frames
    return _passes(run.encoder, frames, 3 * steps, config.batch) + judged * _extract(run.encoder, frames, test)


def _extract(encoder: Any, frames: int, count: int) -> float:
    return _passes(encoder, frames, math.ceil(count / 64), min(count, 64))


def _passes(encoder: Any, frames: int, count: float, batch: int) -> float:
    """Seconds of `count` passes over batches."""
    speed = _SPEEDS.get(encoder.backbone, _SPEEDS["stgcn"])
    width = getattr(encoder.backbone_config, speed.width, speed.full)
    width = width if isinstance(width, int) else width[-1][1]  # of the last block
    return count * (speed.launch + batch * speed.clip * (width / speed.full) ** 2 * frames / FULL)


@cache
def clips(data: Data) -> tuple[int, int]:
    """Clips of the training and of the test side: of a stand-in as generated, of a real set as published."""
    if data.standin is None:
        return catalog.EXPECTED.get(data.name, {}).get(data.split, UNKNOWN)
    found = catalog.splits(data.name, data.split, data.frames, Path(), data.standin)
    return len(found.train.rows), len(found.test.rows)
