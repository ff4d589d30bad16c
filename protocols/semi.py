"""Semi-supervised protocol: finetuning on a class-balanced share of the labels, 1 % or 10 % (section 4.2).

No published list says which sequences are labelled: the releases draw them with Python's random numbers, so that their
global seed decides. That draw is reproduced; the default draws anew for every seed, the same for all methods.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Int

from methods import Encoder
from protocols import finetune
from protocols.base import Context, Result, Splits, derive

REVISION = finetune.REVISION  # its numbers are finetuning's


@dataclass(frozen=True)
class Config:
    """Defaults are the paper's: finetuning as with all labels."""

    share: float = 0.1  # of the training sequences of every class
    draw: Literal["derived", "released"] = "derived"  # from our seed, or what the release's own seed gives
    released_seed: int = 2  # of the release; to it is added ours
    finetune: finetune.Config = field(default_factory=finetune.Config)

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share is a part of the labels, above 0 and at most 1; got {self.share}")


def subset(labels: Sequence[int] | Int[np.ndarray, " n"], share: float, seed: int) -> Int[np.ndarray, " drawn"]:
    """Sorted positions (int64) of round(share * n_c) random samples of every class c; a half rounds to even.

    Classes draw in the order of their first appearance from one stream of Python's random numbers, as the releases
    do. A class with share * n_c of at most one half gets none.
    """
    members: dict[int, list[int]] = {}
    for position, label in enumerate(labels):
        members.setdefault(int(label), []).append(position)
    source = random.Random(seed)
    drawn = [source.sample(positions, round(share * len(positions))) for positions in members.values()]
    return np.array(sorted(position for positions in drawn for position in positions), dtype=np.int64)


def run(encoder: Encoder, splits: Splits, stream: str, seed: int, config: Config, context: Context) -> Result:
    """Finetuning on the drawn labels; "labelled" sequences and "classes_without" any are recorded beside it.

    A class counts as one without when it occurs, be it on the test side alone, and none of its sequences was drawn.

    Table 5.

    Raises:
        ValueError: when the drawn sequences do not fill one batch.
        FloatingPointError, Interrupted: as finetune.run.
    """
    train = splits.train
    labels = train.y[train.rows]
    drawn = subset(labels, config.share, derive(seed, "labels") if config.draw == "derived" else
                   config.released_seed + seed)  # fmt: skip
    fewer = splits._replace(train=train._replace(rows=train.rows[drawn]))
    result = finetune.run(encoder, fewer, stream, seed, config.finetune, context)
    occurring = {*labels.tolist(), *splits.test.y[splits.test.rows].tolist()}
    without = len(occurring - set(labels[drawn].tolist()))
    result.metrics |= {"labelled": float(len(drawn)), "classes_without": float(without)}
    return result
