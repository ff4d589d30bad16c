"""What single clips, and how a split shares them out, can do to a number: one line for every finding.

Why: a test clip that was learned by heart, a class that nobody could learn and a clip without a recording each move an
accuracy, and no checksum and no count of clips shows them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.datasets import store
from benchmarks.names import few

BLOCK = 256  # clips that are looked at together


class Finding(NamedTuple):
    """One line; `wrong`: numbers measured on these data say something else than they seem to."""

    text: str
    wrong: bool


class Samples(NamedTuple):
    """What one pass over the array tells of every clip, (N,) each."""

    same: np.ndarray  # int64, equal for clips that are equal byte for byte
    zero: np.ndarray  # bool, all zero
    still: np.ndarray  # bool, every frame is the first one
    absent: np.ndarray  # bool, the first person is all zero


def read(folder: Path, x: np.ndarray, meta: pd.DataFrame) -> Samples:
    """One pass over x (N, 3, T, V, M). Raises ValueError for numbers that are not finite."""
    known: dict[bytes, int] = {}
    same = np.empty(len(x), np.int64)
    zero, still, absent = np.empty((3, len(x)), bool)
    for start in range(0, len(x), BLOCK):
        block = np.ascontiguousarray(x[start : start + BLOCK])
        finite = np.isfinite(block).all(axis=(1, 2, 3, 4))
        if not finite.all():
            name = meta["name"][start + int(np.argmin(finite))]
            raise ValueError(f"{folder}: clip {name} holds numbers that are not finite; {store.command(folder)}")
        for row, clip in enumerate(block, start):
            same[row] = known.setdefault(hashlib.sha256(clip.data).digest(), len(known))
        rows = slice(start, start + len(block))
        zero[rows] = ~block.any(axis=(1, 2, 3, 4))
        still[rows] = (block == block[:, :, :1]).all(axis=(1, 2, 3, 4))
        absent[rows] = ~block[..., 0].any(axis=(1, 2, 3))
    return Samples(same, zero, still, absent)


def clips(samples: Samples, names: np.ndarray) -> list[Finding]:
    """What is odd about clips whatever the split; names (N,)."""
    found = []
    if samples.zero.any():
        found.append(_of(samples.zero, names, "all zero, without a recording", wrong=True))
    if (absent := samples.absent & ~samples.zero).any():
        found.append(_of(absent, names, "without its first person, who is all zero", wrong=True))
    if (still := samples.still & ~samples.zero).any():
        found.append(_of(still, names, "constant, without a movement", wrong=False))
    return found


def _of(mask: np.ndarray, names: np.ndarray, what: str, wrong: bool) -> Finding:
    return Finding(f"{_count(int(mask.sum()), 'clip')} {what}: {few(names[mask])}", wrong)


def sides(
    samples: Samples, names: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, classes: int
) -> list[Finding]:
    """What is odd about one split: names, labels (N,); train, test (N,) bool."""
    return [*_classes(labels, train, test, classes), *_copies(samples, names, train, test)]


def _classes(labels: np.ndarray, train: np.ndarray, test: np.ndarray, classes: int) -> list[Finding]:
    learned, tested, every = set(labels[train].tolist()), set(labels[test].tolist()), set(range(classes))
    kinds = (
        ((learned | tested) - every, f"outside 0 to {classes - 1}, unknown to every classifier", True),
        (tested - learned, "tested without a training clip, learnable for nobody", True),
        (learned - tested, "without a test clip, of unknown accuracy", False),
        (every - learned - tested, "without any clip, counted in no accuracy", False),
    )
    return [
        Finding(f"{_count(len(which), 'class')} {what}: {few(map(str, sorted(which)))}", wrong)
        for which, what, wrong in kinds
        if which
    ]


def _copies(samples: Samples, names: np.ndarray, train: np.ndarray, test: np.ndarray) -> list[Finding]:
    """Recordings on both sides, and clips that are equal byte for byte; those that are all zero are left out."""
    found = []
    if both := set(names[train].tolist()) & set(names[test].tolist()):
        text = f"{_count(len(both), 'recording')} on both sides, tested after it was learned: {few(sorted(both))}"
        found.append(Finding(text, True))
    apart = ~samples.zero & ~np.isin(names, list(both))
    learned = np.flatnonzero(train & apart)
    first = dict(zip(samples.same[learned[::-1]].tolist(), learned[::-1].tolist(), strict=True))
    leaked = [row for row in np.flatnonzero(test & apart).tolist() if int(samples.same[row]) in first]
    if leaked:
        pairs = few(f"{names[row]} = {names[first[int(samples.same[row])]]}" for row in leaked)
        found.append(Finding(f"{_count(len(leaked), 'test clip')} the same array as a training clip: {pairs}", True))
    if extra := len(learned) - len(first):
        text = f"{_count(extra, 'training clip')} equal to another one, which weighs more in training"
        found.append(Finding(text, False))
    return found


def _count(number: int, what: str) -> str:
    """ "1 clip is", "2 clips are", "2 classes are"."""
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number} {what} is" if number == 1 else f"{number} {plural} are"
