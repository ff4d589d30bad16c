"""Genuine NTU trees for tests: real IRDS recordings, rewritten as `.skeleton` files under official names."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.datasets.raw import irds, ntu_names
from benchmarks.throughput.skeleton_files import bodies_of, skeleton_text

TOGETHER = (*range(50, 61), *range(106, 121))  # actions of two people
LONGEST = 60  # frames; the recordings are cut to this, so that tests stay short


@lru_cache(maxsize=1)
def recordings(shared: Path, count: int) -> tuple[np.ndarray, ...]:
    """Some of the real recordings, (3, T, 25) metres, spread over the release."""
    return tuple(_spread(shared, count))


def _spread(shared: Path, count: int) -> Iterator[np.ndarray]:
    with tarfile.open(shared / "data" / "irds-simplified.tar.xz", "r|*") as pack:
        position = 0
        for member in pack:
            if not irds.PATTERN.fullmatch(Path(member.name).name):
                continue
            if position % (2589 // count) == 0 and (file := pack.extractfile(member)):
                yield irds.parse(file.read())[..., 0][:, :LONGEST]
            position += 1


def some_names(dataset: str, count: int) -> list[str]:
    """Official names in which every split has both sides, and a few classes, two-person ones too, occur on both."""
    actions = {1, 2, 9, 50, 55} if dataset == "ntu60" else {61, 62, 70, 106, 110}
    subjects = {1, 3, 8, 10, 7, 2} if dataset == "ntu60" else {41, 42, 45, 46, 8, 49, 47, 51}
    wanted = [
        name
        for name in ntu_names.expected(dataset)
        if (row := ntu_names.parse(name))["label"] + 1 in actions and row["subject"] in subjects
    ]
    return sorted(wanted[:: max(1, len(wanted) // count)][:count])


def clip_of(name: str, recorded: tuple[np.ndarray, ...]) -> np.ndarray:
    """What stands in the file `name`, (3, T, 25, M): two people in two-person actions, the second later or shorter."""
    number = sum(map(ord, name)) * 7 + int(name[9:12])
    x = recorded[number % len(recorded)][..., None]
    if int(name[17:]) not in TOGETHER:
        return x
    other = recorded[(number + 5) % len(recorded)][:, : x.shape[1]] + np.array([1.0, 0.0, 0.0])[:, None, None]
    both = np.concatenate([x, np.zeros_like(x)], axis=3)
    start = x.shape[1] - other.shape[1] if number % 2 else 0
    both[:, start : start + other.shape[1], :, 1] = other
    return both


def irds_tree(shared: Path, folder: Path, count: int, dataset: str = "ntu60", newline: str = "\n") -> list[Path]:
    """Writes `count` files below `folder` and returns their paths."""
    recorded = recordings(shared, 40)
    paths = []
    for name in some_names(dataset, count):
        path = folder / f"nturgbd_skeletons_{name[:4].lower()}" / f"{name}.skeleton"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(skeleton_text(bodies_of(clip_of(name, recorded)), newline))
        paths.append(path)
    return paths
