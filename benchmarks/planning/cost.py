"""What a run costs before it has run: seconds on one core, for `plan` and for the time that is left.

Passes of a backbone over clips, a backward pass counting two, at the speed that `profile train` measured on the machine
it names (results/throughput/), and what each pass costs whatever is in it. Machines differ and are noisy: within a
factor of 1.5 of two cores like those is the aim. For a GPU, or another machine, give speeds that rates.py read from a
profile of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from benchmarks.datasets import catalog
from benchmarks.runs import Data, Evaluate, Fuse, Pretrain, Raw, Run
from methods import METHODS
from protocols import embed, finetune, linear, semi

MACHINE = "those of an AMD EPYC"
UNKNOWN = (5_000, 2_000)  # clips of the sides of a split that nobody has counted
FULL, OUT = 64, 256  # frames, and ST-GCN's last width


class Speed(NamedTuple):
    """Seconds per clip and pass at full width and 64 frames, and per pass of a batch."""

    clip: float
    launch: float
    width: str  # the field of the config that work grows with
    full: int
    power: float = 2.0  # of the width
    last: float = 0.0  # share of the clip's time that goes with the square of `out` instead: ST-GCN's last block


class Speeds(NamedTuple):
    """Of a machine: how fast each backbone is, and how much longer a method's pretraining takes than its passes."""

    backbones: Mapping[str, Speed]
    pretraining: Mapping[tuple[str, str], float] = {}  # (method, backbone) -> factor, 1 when it is not there


CORE = Speeds(  # of MACHINE
    {
        "stgcn": Speed(0.046, 0.004, "width", 64, power=1.45, last=0.17),
        "bigru": Speed(0.092, 0.002, "hidden_size", 1024),
        "dsta": Speed(0.066, 0.018, "blocks", 256),
    }
)
_STEP = 0.00007  # of a linear classifier
_POINT = 0.01  # of a t-SNE plane
_START = 0.1  # reading data and weights, writing a record


def cost(run: Run, speeds: Speeds = CORE) -> float:
    """Seconds on a machine of that speed."""
    match run:
        case Pretrain():
            train, test = clips(run.data)
            steps = run.epochs * (train // run.batch)
            judged = math.ceil(run.epochs / run.monitor_every) or 1
            judging = judged * _extract(speeds, run, run.data.frames, train + test)
            return _START + steps * step_of(run, speeds) + judging
        case Evaluate():
            return _START + _evaluation(speeds, run)
        case Fuse():
            return 0.05


def step_of(run: Pretrain, speeds: Speeds = CORE) -> float:
    """Seconds of one training step."""
    factor = speeds.pretraining.get((run.method, run.backbone), 1.0)
    return factor * _passes(speeds, run, run.data.frames, METHODS[run.method].passes(run.config), run.batch)


def _evaluation(speeds: Speeds, run: Evaluate) -> float:
    train, test = clips(run.data)
    if isinstance(run.encoder, Raw):
        return 0.01 * train
    extract = partial(_extract, speeds, run.encoder, run.data.frames)
    match run.config:
        case embed.Config(share=share):
            return extract(train) + _POINT * share * train
        case linear.Config(epochs=epochs, batch=batch):
            return extract(train + test) + _STEP * epochs * (train // batch)
        case semi.Config(share=share, finetune=config):
            return _finetuning(speeds, run, config, round(share * train), test)
        case finetune.Config() as config:
            return _finetuning(speeds, run, config, train, test)
    return extract(train + test)


def _finetuning(speeds: Speeds, run: Evaluate, config: finetune.Config, train: int, test: int) -> float:
    steps = config.epochs * (train // config.batch)
    judged = math.ceil(config.epochs / config.every)
    training = _passes(speeds, run.encoder, run.data.frames, 3 * steps, config.batch)
    return training + judged * _extract(speeds, run.encoder, run.data.frames, test)


def _extract(speeds: Speeds, encoder: Any, frames: int, count: int) -> float:
    return _passes(speeds, encoder, frames, math.ceil(count / 64), min(count, 64))


def _passes(speeds: Speeds, encoder: Any, frames: int, count: float, batch: int) -> float:
    """Seconds of `count` passes over batches."""
    speed = speeds.backbones.get(encoder.backbone) or speeds.backbones["stgcn"]
    width = getattr(encoder.backbone_config, speed.width, speed.full)
    width = width if isinstance(width, int) else width[-1][1]  # of the last block
    work = (1 - speed.last) * (width / speed.full) ** speed.power
    work += speed.last * (getattr(encoder.backbone_config, "out", OUT) / OUT) ** 2
    return count * (speed.launch + batch * speed.clip * work * frames / FULL)


@cache
def clips(data: Data) -> tuple[int, int]:
    """Clips of the training and of the test side: of a stand-in as generated, of a real set as published."""
    if data.standin is None:
        return catalog.EXPECTED.get(data.name, {}).get(data.split, UNKNOWN)
    from benchmarks.datasets.standin import synthetic  # who is in it is told without making it

    train, test = catalog.sides(data.name, data.split, synthetic.cast_list(data.name, data.standin))
    return len(train), len(test)
