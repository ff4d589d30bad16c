"""WHAT sees the skeleton: the body, its streams, and the encoders behind one interface.

Adding a backbone: one file with a `Backbone` subclass and its frozen `Config`, one line in BACKBONES.
"""

from __future__ import annotations

from typing import Any

from backbones.base import Backbone, Features
from backbones.bigru import BiGRU
from backbones.dsta import DSTA
from backbones.stgcn import STGCN

BACKBONES: dict[str, type[Backbone]] = {"stgcn": STGCN, "bigru": BiGRU, "dsta": DSTA}

__all__ = ["BACKBONES", "DSTA", "STGCN", "Backbone", "BiGRU", "Features", "build"]


def build(name: str, config: Any) -> Backbone:
    """The backbone of that name with a config of its `Config` type, weights freshly drawn.

    Raises:
        KeyError: for an unknown name (the front door answers with the nearest one).
        TypeError: for a config of another backbone.
    """
    kind = BACKBONES[name]
    if not isinstance(config, kind.Config):
        raise TypeError(f"{name} needs a {kind.__name__}.Config, got {type(config).__name__}")
    return kind(config)
