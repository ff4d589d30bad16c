"""The types every protocol shares: splits in, results out, and the context of a run.

A protocol is a function `(encoder, splits, stream, seed, config, context) -> Result`. It never sees a table, and never
chooses anything that its config does not name (checkpoint, epoch, k, learning rate).
"""

# pyright: strict

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from protocols.precision import Amp


class Split(NamedTuple):
    """One side of a data split: `rows` of a data set that is stored once."""

    x: Float[np.ndarray, "N 3 T V M"]  # float32, metres; the whole data set, usually a read-only memmap
    y: Int[np.ndarray, " N"]  # int64, class of every row
    rows: Int[np.ndarray, " n"]  # int64, the rows of this side

    def tensors(self, device: torch.device) -> tuple[Float[Tensor, "n 3 T V M"], Int[Tensor, " n"]]:
        """This side alone, on the device: x (n, 3, T, V, M), y (n,)."""
        return torch.as_tensor(self.x[self.rows], device=device), torch.as_tensor(self.y[self.rows], device=device)


class Splits(NamedTuple):
    """The training and the test side of one split of one data set."""

    train: Split
    test: Split
    classes: int


class Progress(NamedTuple):
    """What a run tells the person who waits for it."""

    stage: str  # "pretrain", "linear", ...
    done: int  # of `total` units of work
    total: int
    note: str  # loss terms, accuracy
    rate: float  # samples per second, 0 when there is no such thing


def silent(_: Progress) -> None:
    """Reports nothing."""


def never() -> bool:
    """Stops at no epoch."""
    return False


@dataclass
class Context:
    """Where and how a run happens; nothing in here may change a number by more than rounding."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    folder: Path | None = None  # for checkpoints and logs; None keeps nothing
    run: str = ""  # the id of the run, which its checkpoints carry
    report: Callable[[Progress], None] = silent
    stop: Callable[[], bool] = never  # true when the run should leave at the next epoch boundary
    amp: Amp = "off"  # how a training rounds
    compiled: bool = False  # whether it compiles its backbones
    checkpoint_seconds: float = 20.0  # at most this much work, and one epoch, is lost to a kill


@dataclass
class Result:
    """What a protocol measured."""

    metrics: dict[str, float]  # fractions in 0..1, by name: "top1", "top5", "knn20", ...
    scores: Float[np.ndarray, "n classes"] | None = None  # float32, test side, for fusion: logits; votes of knn
    per_class: list[float] | None = None  # accuracy of every class
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])  # one entry per evaluated epoch
    points: list[tuple[float, float, int]] | None = None  # x, y and class of every sample in a picture


class Interrupted(Exception):
    """The run left at an epoch boundary because `Context.stop` said so; the same run resumes from there."""


@contextlib.contextmanager
def after(epoch: int) -> Generator[None, None, None]:
    """A block that judges what an epoch, counted from 0, has trained: a FloatingPointError in it names the epoch."""
    try:
        yield
    except FloatingPointError as error:
        raise FloatingPointError(f"after epoch {epoch + 1}: {error}") from error


def derive(seed: int, purpose: str, epoch: int = 0) -> int:
    """A generator seed for one purpose and epoch: randomness is derived, never stored.

    "init", "order", "views" and "dropout" are independent streams, and the same for every method, so that two
    methods with one seed see the same samples in the same order.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
