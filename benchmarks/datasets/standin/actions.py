"""The vocabulary of the stand-ins: an action is a handful of joint rotations with a beat.

Why it exists: a class of the stand-ins is a pattern of body-part movements (which joints, axes, frequency,
amplitude, lag), as in the real sets. NTU and PKU stand-ins share `ACTIONS`, so that transfer between them
makes sense; the IRDS stand-in has the nine exercises of IntelliRehabDS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backbones.skeleton import FLIP, V
from benchmarks.datasets.standin.body_motion import (
    CHEST,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    NECK,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
    REFLECTED,
    ROOT,
    SPINE,
)


@dataclass(frozen=True)
class Move:
    """One rotation while an action lasts: hold + swing * sin(2 pi (beat * seconds + lag)), in radians.

    `axis` 0 flexes (arm, thigh: forward; a knee or a bow: negative), 1 twists about the limb, 2 spreads
    sideways.
    """

    joint: int
    axis: int
    hold: float
    swing: float = 0.0
    beat: float = 0.0  # hertz, before the tempo of the subject
    lag: float = 0.0  # part of a turn, relative to the other moves of the action


@dataclass(frozen=True)
class Action:
    """What one person (and, in two-person actions, the partner) does."""

    title: str
    moves: tuple[Move, ...]
    partner: tuple[Move, ...] = ()  # empty: one person, and the second body is absent
    seated: bool = True  # may also be performed sitting
    sided: bool = True  # a left-handed person performs the mirror image


def mirrored(moves: tuple[Move, ...]) -> tuple[Move, ...]:
    """The same movement on the other side of the body."""
    return tuple(
        replace(m, joint=FLIP[m.joint], hold=REFLECTED[m.axis] * m.hold, swing=REFLECTED[m.axis] * m.swing)
        for m in moves
    )


def _both(*moves: Move) -> tuple[Move, ...]:
    return (*moves, *mirrored(moves))


def _reach(beat: float, swing: float) -> tuple[Move, ...]:
    return (
        Move(R_SHOULDER, 0, 0.75, swing * 0.5, beat),
        Move(R_SHOULDER, 1, 0.25),
        Move(R_ELBOW, 0, 0.75, swing, beat),
    )


_STRIDE = (
    Move(R_HIP, 0, 0.45, 0.5, 1.5),
    Move(R_KNEE, 0, -0.75, 0.6, 1.5, 0.55),
    Move(L_HIP, 0, 0.45, 0.5, 1.5, 0.5),
    Move(L_KNEE, 0, -0.75, 0.6, 1.5, 0.05),
    Move(R_SHOULDER, 0, 0.0, 0.5, 1.5, 0.5),
    Move(L_SHOULDER, 0, 0.0, 0.5, 1.5),
)

ACTIONS: dict[str, Action] = {
    "drink": Action(
        "drink",
        (
            Move(R_SHOULDER, 0, 0.55, 0.35, 0.7),
            Move(R_SHOULDER, 1, 0.6),
            Move(R_ELBOW, 0, 1.5, 0.75, 0.7),
            Move(NECK, 0, 0.1, 0.2, 0.7),
        ),
    ),
    "phone": Action(
        "phone call",
        (
            Move(R_SHOULDER, 0, 0.35),
            Move(R_SHOULDER, 1, -0.1),
            Move(R_SHOULDER, 2, 0.6),
            Move(R_ELBOW, 0, 2.4, 0.06, 0.5),
            Move(NECK, 2, -0.2),
        ),
    ),
    "wave": Action(
        "wave",
        (
            Move(R_SHOULDER, 2, 1.0),
            Move(R_SHOULDER, 1, -1.3),
            Move(R_ELBOW, 0, 1.3, 0.65, 1.4),
            Move(R_WRIST, 0, 0.0, 0.25, 1.4, -0.1),
        ),
    ),
    "throw": Action(
        "throw",
        (
            Move(R_SHOULDER, 0, 1.1, 1.1, 0.7),
            Move(R_SHOULDER, 2, 0.55),
            Move(R_SHOULDER, 1, -0.4),
            Move(R_ELBOW, 0, 1.0, 0.7, 0.7, 0.3),
            Move(CHEST, 1, 0.0, 0.25, 0.7),
        ),
    ),
    "clap": Action(
        "clap",
        _both(
            Move(R_SHOULDER, 0, 0.7),
            Move(R_SHOULDER, 1, 0.05, 0.42, 1.6),
            Move(R_ELBOW, 0, 1.1),
        ),
    ),
    "rub": Action(
        "rub hands",
        (
            *_both(Move(R_SHOULDER, 0, 0.25), Move(R_SHOULDER, 1, 0.45)),
            Move(R_ELBOW, 0, 1.3, 0.45, 1.6),
            Move(L_ELBOW, 0, 1.3, 0.45, 1.6, 0.5),
        ),
    ),
    "kick": Action(
        "kick",
        (
            Move(R_HIP, 0, 0.4, 0.85, 0.8),
            Move(R_KNEE, 0, -0.5, 0.5, 0.8, 0.2),
            Move(L_SHOULDER, 0, 0.2, 0.45, 0.8),
            Move(R_SHOULDER, 0, -0.2, 0.3, 0.8, 0.5),
            Move(SPINE, 0, 0.08, 0.12, 0.8),
        ),
        seated=False,
    ),
    "squat": Action(
        "squat",
        (
            *_both(Move(R_HIP, 0, 0.7, 0.7, 0.6), Move(R_KNEE, 0, -0.85, 0.85, 0.6, 0.5), Move(R_HIP, 2, 0.15)),
            *_both(Move(R_SHOULDER, 0, 1.0, 0.5, 0.6)),
            Move(SPINE, 0, -0.2, 0.2, 0.6, 0.5),
        ),
        seated=False,
    ),
    "handshake": Action("shake hands", _reach(1.7, 0.22), _reach(1.7, 0.22), sided=False),
    "push": Action(
        "push a person",
        _both(
            Move(R_SHOULDER, 0, 0.9, 0.4, 0.8),
            Move(R_ELBOW, 0, 0.9, 0.75, 0.8, 0.5),
            Move(R_SHOULDER, 1, 0.15),
        ),
        (
            Move(SPINE, 0, 0.15, 0.25, 0.8, -0.1),
            *_both(Move(R_SHOULDER, 0, 0.15, 0.3, 0.8, -0.1)),
            Move(R_HIP, 0, -0.1, 0.3, 0.8),
        ),
        seated=False,
    ),
    "bow": Action(
        "bow",
        (
            Move(ROOT, 0, -0.35, 0.3, 0.5, 0.5),
            *_both(Move(R_HIP, 0, 0.35, 0.3, 0.5)),
            Move(SPINE, 0, -0.35, 0.3, 0.5, 0.5),
            Move(NECK, 0, -0.15, 0.15, 0.5, 0.5),
        ),
        seated=False,
    ),
    "cheer": Action(
        "cheer",
        _both(Move(R_SHOULDER, 2, 2.2, 0.35, 1.3), Move(R_SHOULDER, 0, 0.1), Move(R_ELBOW, 0, 0.4, 0.3, 1.3)),
    ),
    "jog": Action("jog on the spot", (*_STRIDE, *_both(Move(R_ELBOW, 0, 1.2))), seated=False),
    "punch": Action(
        "punch a person",
        (
            Move(R_SHOULDER, 0, 0.9, 0.5, 1.0),
            Move(R_ELBOW, 0, 1.1, 0.9, 1.0, 0.5),
            Move(CHEST, 1, 0.15, 0.35, 1.0),
            Move(L_ELBOW, 0, 1.6),
        ),
        (
            Move(SPINE, 0, 0.1, 0.2, 1.0, -0.1),
            Move(NECK, 0, 0.15, 0.2, 1.0, -0.1),
            *_both(Move(R_ELBOW, 0, 1.5)),
        ),
        seated=False,
    ),
}


def _exercise(title: str, *moves: Move) -> dict[str, Action]:
    right = Action(f"{title}, right", moves, sided=False)
    return {
        f"{title}-left": replace(right, title=f"{title}, left", moves=mirrored(moves)),
        f"{title}-right": right,
    }


# The nine gestures of IntelliRehabDS (Miron et al. 2021).
EXERCISES: dict[str, Action] = {
    **_exercise("elbow flexion", Move(R_ELBOW, 0, 1.0, 1.0, 0.5), Move(R_SHOULDER, 0, 0.1)),
    **_exercise("shoulder flexion", Move(R_SHOULDER, 0, 1.1, 1.1, 0.45)),
    **_exercise("shoulder abduction", Move(R_SHOULDER, 2, 0.8, 0.8, 0.45)),
    "forward elevation": Action(
        "forward elevation", _both(Move(R_SHOULDER, 0, 1.2, 1.2, 0.4), Move(R_SHOULDER, 1, 0.2)), sided=False
    ),
    **_exercise("side tap", Move(R_HIP, 2, 0.25, 0.25, 0.6), Move(R_KNEE, 0, -0.1), Move(SPINE, 2, 0.08)),
}


def perform(
    moves: tuple[Move, ...], seconds: np.ndarray, envelope: np.ndarray, vigour: np.ndarray, phase: np.ndarray
) -> np.ndarray:
    """Joint angles (R, T, 25, 3) of R performances of one action.

    `seconds` (R, T) is the performer's own clock (tempo included), `envelope` (R, T) in 0..1 says how
    far into the action the body is, `vigour` (R, 25) scales each joint's movement, `phase` (R,) in turns
    starts the beat.
    """
    angles = np.zeros((*seconds.shape, V, 3), dtype=np.float32)
    for move in moves:
        turn = 2.0 * np.pi * (move.beat * seconds + move.lag + phase[:, None])
        swing = move.swing * np.sin(turn) if move.swing else 0.0
        angles[:, :, move.joint, move.axis] += envelope * vigour[:, move.joint, None] * (move.hold + swing)
    return angles
