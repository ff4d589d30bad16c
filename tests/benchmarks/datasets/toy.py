"""Tiny prepared data sets for tests, written by the one way there is to write them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets import catalog
from benchmarks.datasets.convert import convert
from benchmarks.datasets.source import BadClip, Clip, Loaded, Source

Pairs = Iterable[tuple[Mapping[str, Any], "np.ndarray | str"]]


def load(place: np.ndarray | str) -> Loaded:
    """A clip is its own place; a text is the reason why there is none."""
    if isinstance(place, str):
        raise BadClip(place)
    return Loaded(place)


def source(pairs: Pairs, **changes: Any) -> Source:
    """Rows and finished clips (3, T, 25, M), or reasons, as a Source."""
    clips = [Clip(row, place, f"{row['name']}.txt") for row, place in pairs]
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(clip.place.encode() if isinstance(clip.place, str) else clip.place.tobytes())
    options: dict[str, Any] = {"kind": "toy", "parallel": False, "finished": True}
    return Source(clips=clips, load=load, fingerprint=digest.hexdigest(), **(options | changes))


def put(folder: Path, pairs: Pairs, **changes: Any) -> Path:
    """Write finished clips as the prepared data set `folder`, whose name is <name>-<frames>."""
    name, _, frames = folder.name.rpartition("-")
    revision = catalog.DATASETS[name].revision if name in catalog.DATASETS else 1
    options: dict[str, Any] = {"name": name, "classes": 2, "revision": revision, "credit": "nobody", "persons": 2}
    silent: dict[str, Any] = {"say": lambda line: None}
    return convert(folder, source(pairs), frames=int(frames), **(options | silent | changes))
