"""The plain way to read a `.skeleton` file, line by line, as it is written everywhere: the baseline of `profile data`.

Why it is here: "faster" means faster than something, measured in the same run. It takes the first two bodies of every
frame, like `bodies.first_two`, and checks nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_BODY = ("id", "clipped", "left", "left_state", "right", "right_state", "restricted", "lean_x", "lean_y", "state")
_JOINT = ("x", "y", "z", "depth_x", "depth_y", "colour_x", "colour_y", "w", "qx", "qy", "qz", "state")


def read(path: Path) -> dict[str, Any]:
    """Every number of the file, as floats in nested lists and dicts."""
    with path.open() as file:
        frames = []
        for _ in range(int(file.readline())):
            bodies = []
            for _ in range(int(file.readline())):
                body: dict[str, Any] = dict(zip(_BODY, map(float, file.readline().split()), strict=True))
                joints = int(file.readline())
                body["joints"] = [
                    dict(zip(_JOINT, map(float, file.readline().split()), strict=True)) for _ in range(joints)
                ]
                bodies.append(body)
            frames.append(bodies)
    return {"frames": frames}


def clip(path: Path) -> np.ndarray:
    """(3, T, 25, 2) metres."""
    frames = read(path)["frames"]
    x = np.zeros((3, len(frames), 25, 2))
    for t, bodies in enumerate(frames):
        for m, body in enumerate(bodies[:2]):
            for v, joint in enumerate(body["joints"]):
                x[:, t, v, m] = joint["x"], joint["y"], joint["z"]
    return x
