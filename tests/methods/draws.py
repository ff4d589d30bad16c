"""The random draws of the released feeders, and other small things that tests of views share."""

from __future__ import annotations

import math
import random

import numpy as np
import torch

from tests import official


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def skeletons(batch: int, frames: int = 64) -> torch.Tensor:
    """Values that differ from sample to sample, frame to frame, joint to joint and person to person."""
    return torch.randn(batch, 3, frames, 25, 2, generator=generator(99))


def official_crop_start(frames: int, ratio: int) -> torch.Tensor:
    """The draw of the released feeders, from NumPy's global generator."""
    return torch.tensor([np.random.randint(0, 2 * (frames // ratio) + 1)])  # noqa: NPY002  as the releases draw


def official_shear(amplitude: float) -> torch.Tensor:
    """The draws of the released feeders, from Python's global generator."""
    return torch.tensor([[random.uniform(-amplitude, amplitude) for _ in range(6)]], dtype=torch.float32)


def seed_both(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  as the releases draw


def near(got: torch.Tensor, want: np.ndarray, tolerance: float = 1e-5) -> None:
    official.near(got, want, tolerance)


def official_turn() -> torch.Tensor:
    """The draws of the released feeders: a main axis, then three angles in degrees, in the order x, y, z."""
    main = random.randint(0, 2)
    degrees = [random.uniform(0, 30) if axis == main else random.uniform(0, 1) for axis in range(3)]
    return torch.tensor([degrees]) * math.pi / 180


def official_noise() -> torch.Tensor:
    return torch.tensor(np.random.normal(0, 0.01, (1, 3, 64, 25, 2)), dtype=torch.float32)  # noqa: NPY002  as the releases draw
