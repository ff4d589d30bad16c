"""Writes PKU-MMD trees in the true formats, out of real IRDS recordings or whatever a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

IDLE = 5  # frames between two actions


class Written(NamedTuple):
    """One clip that lies in a video."""

    name: str
    label: int  # from 0
    x: np.ndarray  # (3, T, 25, 2)


def skeleton(x: np.ndarray) -> str:
    """(3, T, 25, 2) -> one line per frame, 150 numbers with six decimals."""
    rows = x.transpose(1, 3, 2, 0).reshape(x.shape[1], -1)
    return "".join(" ".join(f"{value:f}" for value in row) + "\n" for row in rows)


def labels(lines: Sequence[tuple[int, int, int, int]]) -> str:
    """class,start,end,confidence per line."""
    return "".join(",".join(map(str, line)) + "\n" for line in lines)


def put(folder: Path, stem: str, x: np.ndarray, lines: Sequence[tuple[int, int, int, int]]) -> None:
    """A skeleton file and its label file, in the stock folders of part I."""
    for kind, text in (("PKU_Skeleton_Renew", skeleton(x)), ("Train_Label_PKU_final", labels(lines))):
        path = folder / kind / f"{stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def splits(path: Path, train: Sequence[str], test: Sequence[str]) -> None:
    """A split file as it was released: a misspelt heading, and a comma after the last name."""
    text = f"Training videos:\n{', '.join(train)},\nValidataion videos:\n{', '.join(test)},\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def videos(folder: Path, recorded: Sequence[np.ndarray], plan: Mapping[str, int], base: str = "one") -> list[Written]:
    """Videos of recordings (3, T, 25) with idle frames between; `plan` says how many actions each stem has.

    Every third action has a second person. base: how the labels count frames.
    """
    written: list[Written] = []
    for stem, actions in plan.items():
        frames, lines = [np.full((3, IDLE, 25, 2), 0.5)], []
        for number in range(1, actions + 1):
            turn = len(written)
            x = np.zeros((3, recorded[turn % len(recorded)].shape[1], 25, 2))
            x[..., 0] = recorded[turn % len(recorded)]
            if turn % 3 == 0:
                x[..., 1] = x[..., 0] + 1.0
            start = sum(part.shape[1] for part in frames)
            first, last = (start + 1, start + x.shape[1]) if base == "one" else (start, start + x.shape[1])
            lines.append((turn % 51 + 1, first, last, 2))
            written.append(Written(f"{stem}-{number:03}", turn % 51, np.round(x, 6)))
            frames += [x, np.full((3, IDLE, 25, 2), 0.5)]
        put(folder, stem, np.concatenate(frames, axis=1), lines)
    return written
