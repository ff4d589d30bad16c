"""The plain way to make views: NumPy, sample by sample, in the workers of a DataLoader, mixing in the training loop.

Why it is here: "faster" means faster than something, measured in the same run (`bench.py profile data`). All releases
are built like this, with a shear that turns float32 into float64. `lean_shear` is how it could be done at its best.
"""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from backbones import skeleton

RATIO, AMPLITUDE = 6, 0.5  # Table 10
PARTS, UNITS, UNIT = (3, 4), (4, 7), 4  # Table 11
VIEWS = 2


class Draw(NamedTuple):
    """The random numbers of one view of one sample."""

    start: int
    shear: tuple[float, ...]  # six


class Mix(NamedTuple):
    """The random numbers of one batch."""

    shift: int
    joints: list[int]
    first: int  # frame
    end: int  # the frame after the last


def draw(index: int, view: int, frames: int) -> Draw:
    """From Python's global generator, as in the releases; a worker of a DataLoader seeds its own."""
    start = random.randint(0, 2 * (frames // RATIO))
    return Draw(start, tuple(random.uniform(-AMPLITUDE, AMPLITUDE) for _ in range(6)))


def draw_mix(batch: int, frames: int) -> Mix:
    """One region for the whole batch."""
    parts = random.sample(list(skeleton.PARTS.values()), random.randint(*PARTS))
    length, total = random.randint(*UNITS), -(-frames // UNIT)
    first = random.randint(0, total - length)
    joints = [joint for part in parts for joint in part]
    return Mix(random.randint(1, batch - 2), joints, UNIT * first, min(UNIT * (first + length), frames))


def crop(x: np.ndarray, start: int) -> np.ndarray:
    """Mirrored frames at both ends, then as many as before: (3, T, V, M) -> the same shape."""
    frames = x.shape[1]
    pad = frames // RATIO
    padded = np.concatenate([x[:, :pad][:, ::-1], x, x[:, frames - pad :][:, ::-1]], axis=1)
    return padded[:, start : start + frames]


def shear(x: np.ndarray, s: tuple[float, ...]) -> np.ndarray:
    """As in the releases, coordinates last and in float64: (3, T, V, M) -> the same shape."""
    return np.dot(x.transpose(1, 2, 3, 0), _matrix(s).T).transpose(3, 0, 1, 2)


def lean_shear(x: np.ndarray, s: tuple[float, ...]) -> np.ndarray:
    """The same as one product in float32."""
    return (_matrix(s).astype(np.float32) @ x.reshape(3, -1)).reshape(x.shape)


def _matrix(s: tuple[float, ...]) -> np.ndarray:
    return np.array([[1, s[0], s[3]], [s[1], 1, s[4]], [s[2], s[5], 1]])


def mix(x: Tensor, how: Mix) -> Tensor:
    """The donor's joints pasted into a copy: (B, 3, T, V, M) -> the same shape."""
    donors = x[(torch.arange(len(x)) + how.shift) % len(x)]
    mixed = x.clone()
    mixed[:, :, how.first : how.end, how.joints] = donors[:, :, how.first : how.end, how.joints]
    return mixed


class Samples(Dataset[tuple[np.ndarray, ...]]):
    """x (N, 3, T, V, M) -> for sample i its two views (3, T, V, M) each."""

    def __init__(self, x: np.ndarray, lean: bool = False, drawn: Callable[[int, int, int], Draw] = draw) -> None:
        self.x, self.shear, self.drawn = x, lean_shear if lean else shear, drawn

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        sample = self.x[index]
        draws = (self.drawn(index, view, sample.shape[1]) for view in range(VIEWS))
        return tuple(self.shear(crop(sample, start), s) for start, s in draws)


def loader(samples: Samples, batch: int, steps: int, workers: int) -> DataLoader[Any]:
    """Shuffled batches, `steps` of them each time it is iterated over; its workers stay."""
    sampler = RandomSampler(samples, num_samples=batch * steps)
    with _crowded():
        return DataLoader(samples, batch, sampler=sampler, num_workers=workers, persistent_workers=workers > 0)


@contextlib.contextmanager
def _crowded() -> Iterator[None]:
    """More workers than cores are meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        yield


def views(batches: DataLoader[Any], device: str) -> Iterator[dict[str, Tensor]]:
    """What SkeAttnCLR gets, batch by batch: "query", "key", "mix"."""
    with _crowded():
        started = iter(batches)
    for query, key in started:
        query, key = (view.float().to(device, non_blocking=True) for view in (query, key))
        yield {"query": query, "key": key, "mix": mix(query, draw_mix(len(query), query.shape[2]))}
