"""One raw clip to one network input: count the frames, centre, resample, turn to face the camera.

Why here: the paper trains on what the released code of its family writes to disk (methods specification,
section 1.2), so these four steps, quirks included, are part of every number that we compare with the paper.
Streams (bone, motion) are not made here: they are computed from joints after augmentation.

All functions take and give coordinates-first arrays (3, T, V, M) in metres, with V = 25 Kinect joints and M
persons, compute in float64, leave their input alone, and keep an absent person at exactly 0.
"""

from __future__ import annotations

import numpy as np

JOINTS = 25
FARTHEST = 100.0  # metres; the sensor sees less than ten
SPINE_BASE, SPINE_SHOULDER = 0, 20
LEFT_SHOULDER, RIGHT_SHOULDER = 4, 8
SOFTENER = 1e-4  # added to the shoulder width (m): the released code's guard against dividing by zero


def first_seen(x: np.ndarray) -> np.ndarray:
    """In which frames the first person is seen: his spine base is not at the origin. (3, T, V, M) -> (T,) bool."""
    return np.abs(x[:, :, SPINE_BASE, 0]).sum(axis=0) != 0


def valid_length(x: np.ndarray) -> int:
    """The number of frames in which the first person's spine base is not at the origin.

    A count, not a last index: after a gap in the middle the tail of the clip is cut, as in the released code. That
    code takes the bodies of a frame in file order, so that a first person is missing only where nobody is seen.
    Bodies that were chosen by motion come here after `only_first`. x: (3, T, V, M). Returns 0..T.
    """
    return int(np.count_nonzero(first_seen(x)))


def only_first(x: np.ndarray) -> np.ndarray:
    """The frames in which the first person is seen, (3, T, V, M) -> (3, T', V, M): of these nothing is cut.

    For bodies that were chosen by motion: the first actor may come late, while the second one is seen from the start.
    """
    return x[:, first_seen(x)]


def centre(x: np.ndarray) -> np.ndarray:
    """Each person, in each frame, relative to his own spine shoulder (joint 20).

    Global travel and the distance between two persons are lost by this. x: (3, T, V, M), same shape back.
    """
    return x - x[:, :, SPINE_SHOULDER : SPINE_SHOULDER + 1, :]


def resize(x: np.ndarray, frames: int) -> np.ndarray:
    """Linear interpolation along time with half-pixel centres, clamped at both ends, without antialiasing.

    x: (3, T, V, M) -> (3, frames, V, M). The same as `F.interpolate(mode="linear", align_corners=False)`.
    """
    length = x.shape[1]
    if length < 1 or frames < 1:
        raise ValueError(f"cannot resample {length} frames to {frames}: both must be at least 1")
    position = np.clip((np.arange(frames) + 0.5) * length / frames - 0.5, 0, length - 1)
    left = np.floor(position).astype(np.int64)
    right = np.minimum(left + 1, length - 1)
    weight = (position - left)[None, :, None, None]
    return x[:, left] * (1 - weight) + x[:, right] * weight


def face_camera(x: np.ndarray) -> np.ndarray:
    """Turn every person about the vertical axis, frame by frame, so that the shoulders lie along x.

    The angle is found per frame, its sign only once per person and clip, from the summed depth of the
    shoulder line: frames that face the other way than most turn the wrong way, as in the released code.
    x: (3, T, V, M), same shape back.
    """
    shoulders = x[:, :, RIGHT_SHOULDER] - x[:, :, LEFT_SHOULDER]  # (3, T, M)
    width = np.hypot(shoulders[0], shoulders[2])
    angle = np.arccos(shoulders[0] / (width + SOFTENER))  # (T, M)
    angle = np.where(shoulders[2].sum(axis=0) >= 0, -angle, angle)
    cos, sin = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]  # (T, 1, M): one turn for all joints
    return np.stack([cos * x[0] - sin * x[2], x[1], sin * x[0] + cos * x[2]])


def preprocess(x: np.ndarray, frames: int, name: str = "this clip") -> np.ndarray:
    """All four steps: (3, T0, V, M) metres -> (3, frames, V, M) float32.

    `name` is what an error calls the clip. Raises ValueError for a wrong shape, for numbers that are not
    finite, and for a clip in which the first person is never seen.
    """
    if x.ndim != 4 or x.shape[0] != 3 or x.shape[2] != JOINTS or x.shape[3] < 1:
        raise ValueError(f"{name}: expected an array of shape (3, T, {JOINTS}, M), got {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: holds numbers that are not finite (NaN or infinity)")
    length = valid_length(x)
    if length == 0:
        raise ValueError(f"{name}: no valid frame, the first person's spine base is at the origin throughout")
    seen = x[:, :length].astype(np.float64)
    return face_camera(resize(centre(seen), frames)).astype(np.float32)
