"""Writes genuine `.skeleton` files: what `profile data` reads, and what tests read.

Why: recordings of NTU RGB+D may not be passed on, so whoever has none measures and tests with files of the same form,
size and number of digits. Format: data set specification, section 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

IDS = (72057594037944738, 72057594037944734, 72057594037944701)  # the first two are one number as floats
_LEAVES = (3, 15, 19, 21, 22, 23, 24)  # joints without an orientation, counted from 0
_BODY_REST = "0 1 1 1 1 0 -0.0418337 -0.2183735 2"


def skeleton_text(frames: Sequence[Sequence[tuple[int, np.ndarray]]], newline: str = "\n") -> bytes:
    """One file: for every frame the bodies in it, (id, (25, 3) metres). Coordinates have seven digits."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for body, xyz in bodies:
            lines += [f"{body} {_BODY_REST}", str(len(xyz)), *(_joint(v, point) for v, point in enumerate(xyz))]
    return (newline.join(lines) + newline).encode()


def _joint(v: int, point: np.ndarray) -> str:
    x, y, z = (float(value) for value in point)
    away = max(abs(z), 0.1)  # pixels of a pinhole camera near enough to the sensor's
    depth = f"{256 + 365 * x / away:.7g} {212 - 365 * y / away:.7g}"
    colour = f"{960 + 1050 * x / away:.7g} {540 - 1050 * y / away:.7g}"
    turn = "0 0 0 0" if v in _LEAVES else "0.2119303 0.04291298 0.9755094 0.04083754"
    return f"{x:.7g} {y:.7g} {z:.7g} {depth} {colour} {turn} 2"


def bodies_of(x: np.ndarray, ids: Sequence[int] = IDS) -> list[list[tuple[int, np.ndarray]]]:
    """(3, T, 25, M) -> what `skeleton_text` takes; a person who is all zero in a frame is not in it."""
    return [[(ids[m], x[:, t, :, m].T) for m in range(x.shape[3]) if np.any(x[:, t, :, m])] for t in range(x.shape[1])]
