"""WHAT is learnt: methods behind one interface, and the pieces that they share.

Adding a method: one file with a `Method` subclass and its frozen `Config`, one line in METHODS.
"""

from __future__ import annotations

from typing import Any

from backbones import Backbone
from methods.aimclr import AimCLR
from methods.base import At, Encoder, Method
from methods.crossclr import CrosSCLR
from methods.hiclr import HiCLR
from methods.skeattnclr import SkeAttnCLR
from methods.skelemixclr import SkeleMixCLR
from methods.skeletonclr import SkeletonCLR
from methods.supervised import Supervised

METHODS: dict[str, type[Method]] = {
    "skeletonclr": SkeletonCLR,
    "crossclr": CrosSCLR,
    "aimclr": AimCLR,
    "hiclr": HiCLR,
    "skelemixclr": SkeleMixCLR,
    "skeattnclr": SkeAttnCLR,
    "supervised": Supervised,
}

__all__ = ["METHODS", "At", "Encoder", "Method", "build"]


def build(name: str, config: Any, backbone: Backbone, stream: str) -> Method:
    """The method of that name around a backbone, which it re-initialises.

    Raises:
        KeyError: for an unknown name (the front door answers with the nearest one).
        TypeError: for a config of another method.
        ValueError: when the method cannot train this backbone, with the reason.
    """
    kind = METHODS[name]
    if not isinstance(config, kind.Config):
        raise TypeError(f"{name} needs a {kind.__name__}.Config, got {type(config).__name__}")
    if reason := kind.unsupported(config, backbone, stream):
        raise ValueError(reason)
    return kind(backbone, stream, config)  # pyright: ignore[reportCallIssue]  a Method's constructor is not in its type
