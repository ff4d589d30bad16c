"""An articulated 25-joint body: bone lengths and joint rotations in, positions of the joints out.

Why it exists: the stand-ins (`synthetic.py`) need people who move, not random curves, so that a graph over
joints, a shear or a temporal crop means what it means on Kinect recordings. Joints are numbered as in NTU
RGB+D. Axes are the sensor's, for a person who faces it: +x the person's right, +y up, +z away from the sensor, so
forward is -z. Rotations are (flex about x, twist about y, spread about z), in radians.
"""

from __future__ import annotations

import numpy as np

from backbones.skeleton import FLIP

ROOT, SPINE, NECK, HEAD, CHEST = 0, 1, 2, 3, 20
L_SHOULDER, L_ELBOW, L_WRIST, L_HIP, L_KNEE, L_ANKLE = 4, 5, 6, 12, 13, 14
R_SHOULDER, R_ELBOW, R_WRIST, R_HIP, R_KNEE, R_ANKLE = 8, 9, 10, 16, 17, 18
REFLECTED = (1.0, -1.0, -1.0)  # what a mirror does to rotations about x, y, z

# joint: (parent, offset from it in metres, standing upright with hanging arms); parents come before children.
# The tree is the anatomical one (a hand tip hangs on the hand); the graph of the networks is another matter.
_RIGHT_ARM = ((0.165, -0.045, 0.01), (0.02, -0.27, 0.0), (0.0, -0.235, 0.0), (0.0, -0.07, 0.0))
_RIGHT_LEG = ((0.08, -0.07, 0.0), (0.01, -0.40, 0.0), (0.0, -0.39, 0.02), (0.01, -0.07, -0.12))


def _tree() -> dict[int, tuple[int, tuple[float, float, float]]]:
    tree: dict[int, tuple[int, tuple[float, float, float]]] = {
        SPINE: (ROOT, (0.0, 0.29, 0.0)),
        CHEST: (SPINE, (0.0, 0.22, 0.01)),
        NECK: (CHEST, (0.0, 0.075, 0.0)),
        HEAD: (NECK, (0.0, 0.145, -0.02)),
    }
    for side, shoulder, hip, tip in ((1.0, R_SHOULDER, R_HIP, 23), (-1.0, L_SHOULDER, L_HIP, 21)):
        for first, parent, bones in ((shoulder, CHEST, _RIGHT_ARM), (hip, ROOT, _RIGHT_LEG)):
            for step, (x, y, z) in enumerate(bones):
                tree[first + step] = (parent if step == 0 else first + step - 1, (side * x, y, z))
        tree[tip] = (shoulder + 3, (0.0, -0.08, 0.0))
        tree[tip + 1] = (shoulder + 3, (-side * 0.02, -0.03, -0.045))
    return tree


TREE = _tree()


def mirror_angles(angles: np.ndarray) -> np.ndarray:
    """Angles (..., 25, 3) of the mirror image: sides swapped, twist and spread reversed."""
    return angles[..., FLIP, :] * np.array(REFLECTED, dtype=angles.dtype)


def rotation(angles: np.ndarray) -> np.ndarray:
    """Angles (..., 3) -> matrices (..., 3, 3) = R_z(spread) R_x(flex) R_y(twist)."""
    (a, b, c), (sa, sb, sc) = np.moveaxis(np.cos(angles), -1, 0), np.moveaxis(np.sin(angles), -1, 0)
    rows = (
        (c * b - sc * sa * sb, -sc * a, c * sb + sc * sa * b),
        (sc * b + c * sa * sb, c * a, sc * sb - c * sa * b),
        (-a * sb, sa, a * b),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def positions(angles: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Forward kinematics: angles (R, T, 25, 3), bone length factors (R, 25) -> joints (R, T, 25, 3), metres.

    The root lies in the origin. A joint's rotation turns everything that hangs on it.
    """
    turns = {ROOT: rotation(angles[:, :, ROOT])}
    place = np.zeros(angles.shape, dtype=np.float32)
    moving = {joint for joint in TREE if angles[:, :, joint].any()}
    for joint, (parent, offset) in TREE.items():
        bone = lengths[:, joint, None] * np.asarray(offset, dtype=np.float32)
        place[:, :, joint] = place[:, :, parent] + np.einsum("rtij,rj->rti", turns[parent], bone)
        turns[joint] = turns[parent] @ rotation(angles[:, :, joint]) if joint in moving else turns[parent]
    return place
