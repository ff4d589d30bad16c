"""Which of the bodies that the sensor reported are the one or two people of a clip. Data set specification, 2.5.

Why: ghosts (chairs, reflections) are bodies too, and identity is not the order in the file. The family of the paper
takes the first two bodies of each frame; the CTR-GCN and pyskl family tracks ids, drops noise and keeps what moves.
Both are here under a name, because results on the two are not the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets.preprocess import only_first
from benchmarks.datasets.raw.ntu_text import Frames
from benchmarks.datasets.source import BadClip

PERSONS = 2
SHORTEST = 12  # frames; a body seen in fewer is noise
WIDEST = 0.8  # a body wider than this share of its height lies, sits in a corner, or is a chair
NOISY = 0.69754  # a body that is too wide in this share of its frames is noise


def first_two(frames: Frames) -> np.ndarray:
    """The first two bodies of each frame in file order, (3, T, 25, 2); ids and motion are not looked at.

    What CrosSCLR, AimCLR, SkeleMixCLR and SkeAttnCLR do. Frames without bodies stay zero, and so does the place of a
    body with a NaN. Raises BadClip when no frame has a body.
    """
    if not len(frames.frame):
        raise BadClip("no body in any frame")
    kept = frames.place < PERSONS
    x = np.zeros((frames.total, PERSONS, *frames.xyz.shape[1:]))
    x[frames.frame[kept], frames.place[kept]] = frames.xyz[kept]
    return x.transpose(3, 0, 2, 1)


@dataclass(eq=False)
class _Body:
    """One id: its poses in a row from its first frame on, whatever gaps there were."""

    start: int
    xyz: np.ndarray  # (frames, 25, 3)
    motion: float

    @property
    def end(self) -> int:
        return self.start + len(self.xyz) - 1


def by_motion(frames: Frames) -> np.ndarray:
    """The one or two bodies that move most after noise is dropped, (3, T', 25, 2).

    What CTR-GCN does: frames without bodies are removed (T' <= T); of several ids those seen in fewer than 12 frames
    and those mostly wider than tall are dropped, but never the last; the rest are put, the liveliest first, into the
    first place where their time is free. A body's frames are taken as uninterrupted from its first one: after a gap
    the rest of it comes too early. Where one body ends and another begins in the same frame, they do not overlap.

    One step is our own: of the result only the frames in which the first actor is seen are kept, because they are
    what `preprocess` counts. CTR-GCN keeps all in which anybody is. Not followed is pyskl where it differs: two bodies
    with one frame in common overlap, empty frames are removed at both ends only, and the two actors are exchanged
    where frame 0 has the second alone.
    Raises BadClip when no frame has a body.
    """
    if not len(frames.frame):
        raise BadClip("no body in any frame")
    valid, when = np.unique(frames.frame, return_inverse=True)
    numbers = {body: number for number, body in enumerate(dict.fromkeys(frames.ids))}  # in order of appearance
    owner = np.array([numbers[body] for body in frames.ids])
    bodies = []
    for number in numbers.values():
        xyz = frames.xyz[owner == number]
        bodies.append(_Body(int(when[np.argmax(owner == number)]), xyz, _motion(xyz)))
    if len(bodies) > 1:
        bodies = _without_wide(_without_short(bodies))
        bodies.sort(key=lambda body: -body.motion)
    x = np.zeros((PERSONS, len(valid), *frames.xyz.shape[1:]))
    _place(bodies, x)
    return only_first(x.transpose(3, 1, 2, 0))


def _motion(xyz: np.ndarray) -> float:
    """Variance over all joints and frames, summed over the three axes."""
    return float(xyz.reshape(-1, 3).var(axis=0).sum())


def _without_short(bodies: Sequence[_Body]) -> list[_Body]:
    return _drop(bodies, lambda body: len(body.xyz) < SHORTEST)


def _without_wide(bodies: Sequence[_Body]) -> list[_Body]:
    """Drops bodies that are mostly too wide; of the others only the frames of a believable shape count as motion."""

    def noisy(body: _Body) -> bool:
        spread = np.ptp(body.xyz, axis=1)
        good = spread[:, 0] <= WIDEST * spread[:, 1]
        if 1 - good.mean() >= NOISY:
            return True
        body.motion = min(body.motion, _motion(body.xyz[good]))
        return False

    return _drop(bodies, noisy) if len(bodies) > 1 else list(bodies)


def _drop(bodies: Sequence[_Body], noise: Callable[[_Body], bool]) -> list[_Body]:
    """Without those that are noise, in order, but never without the last one left."""
    kept = list(bodies)
    for body in bodies:
        if len(kept) == 1:
            break
        if noise(body):
            kept.remove(body)
    return kept


def _place(bodies: Sequence[_Body], x: np.ndarray) -> None:
    """The first body is the first actor; each other one joins the actor whose time it does not share, or is lost.

    The second actor's time begins as (0, 0), as in CTR-GCN and pyskl: from then on it reaches from frame 0 to his last
    one, and a body that is there before he comes is lost.
    """
    taken = [(bodies[0].start, bodies[0].start), (0, 0)]
    for body in bodies:
        for actor, (start, end) in enumerate(taken):
            if min(end, body.end) <= max(start, body.start):
                x[actor, body.start : body.end + 1] = body.xyz[: x.shape[1] - body.start]
                taken[actor] = (min(start, body.start), max(end, body.end))
                break


BODIES: dict[str, Callable[[Frames], np.ndarray]] = {"first-two": first_two, "by-motion": by_motion}
