"""A tiny method on tiny data, for tests of training and evaluation."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import torch

from backbones import STGCN
from methods import METHODS, Method, build
from protocols import Split, Splits

SMALL = {"dim": 8, "queue": 32, "heads": 2, "mix_units": (1, 2), "mine_from": 1, "classes": 3}


def fitting(config: type, settings: dict[str, Any]) -> Any:
    """A config with those of the settings that it has fields for."""
    names = {field.name for field in fields(config)}
    return config(**{name: value for name, value in settings.items() if name in names})


CONFIGS = {name: fitting(kind.Config, SMALL) for name, kind in METHODS.items()}


def splits(n: int = 24, frames: int = 16, classes: int = 3) -> Splits:
    """Random skeletons whose class shifts them, so that something can be learnt."""
    rng = np.random.default_rng(0)
    y = np.arange(2 * n) % classes
    x = rng.standard_normal((2 * n, 3, frames, 25, 1)).astype(np.float32) * 0.1
    x += y[:, None, None, None, None] * rng.standard_normal((1, 3, 1, 25, 1)).astype(np.float32)
    return Splits(Split(x, y, np.arange(n)), Split(x, y, np.arange(n, 2 * n)), classes)


def method(name: str, seed: int = 0, dropout: float = 0.5) -> Method:
    """A freshly initialised small method."""
    torch.manual_seed(seed)
    return build(name, CONFIGS[name], STGCN(STGCN.Config(width=4, out=16, dropout=dropout)), "joint")
