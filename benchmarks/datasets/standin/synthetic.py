"""Stand-ins for NTU-60, NTU-120, PKU-MMD I and II, and IRDS: articulated people, made in a moment.

Why it exists: the real sets may not be shipped (registered academic use), yet a fresh clone should fill every
table. What makes the real splits hard is built in: subjects differ in bone lengths, tempo, vigour, posture
and handedness (xsub); cameras in yaw, setups in height and distance, which decide tilt, noise and hidden limbs
(xview, xset); an action starts at any phase, lasts as long as it lasts, and is mixed with idle movements.
The numbers measured here say nothing about the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backbones.skeleton import FLIP, PARTS, V
from benchmarks.datasets.preprocess import centre, face_camera
from benchmarks.datasets.standin import body_motion as body
from benchmarks.datasets.standin.actions import Action, perform
from benchmarks.datasets.standin.cast import NAMES, SCALES, actions_of, cast_list, class_titles

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NAMES", "SCALES", "cast_list", "class_titles", "generate", "repeated"]

REVISION = 1  # part of the run id: bump when the arrays change
SEED = 3

_LIMBS = ([6, 7, 21, 22], [10, 11, 23, 24], [13, 14, 15], [17, 18, 19])  # what a sensor loses together
_LOOSE = np.ones(V)  # hands, feet and their ends are found less exactly
_LOOSE[[7, 11, 15, 19, 21, 22, 23, 24]] = 1.8


def generate(name: str, scale: str, frames: int) -> tuple[np.ndarray, pd.DataFrame]:
    """The stand-in `name` at `scale`: x (N, 3, frames, 25, M) float32, metres, and its cast list.

    Preprocessed like the real sets. Same arguments, same arrays. M is 1 for irds and 2 otherwise; the second
    person of a one-person action is exactly 0. Raises ValueError for an unknown
    name or scale and for fewer than 2 frames.
    """
    if frames < 2:
        raise ValueError(f"a stand-in needs at least 2 frames, got {frames}; give 16 to 64")
    actions, meta = actions_of(name, scale), cast_list(name, scale)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([SEED, *name.encode(), *scale.encode()])))
    label = meta["label"].to_numpy()
    pairs = np.flatnonzero([bool(actions[k].partner) for k in label])
    row_of = np.concatenate([np.arange(len(meta)), pairs])  # one line per person
    second = np.arange(len(row_of)) >= len(meta)

    people = _people(meta, row_of, second, rng)
    angles = _motion(meta, actions, row_of, second, people, frames, rng)
    seen = _recorded(body.positions(angles, people.lengths), meta, row_of, second, pairs, rng)

    upright = face_camera(centre(np.moveaxis(seen, (0, 1, 2, 3), (3, 1, 2, 0))))  # (3, T, V, one per line)
    bodies = np.moveaxis(upright, 3, 0).astype(np.float32)
    x = np.zeros((len(meta), 3, frames, V, 1 if name == "irds" else 2), dtype=np.float32)
    x[:, ..., 0] = bodies[: len(meta)]
    if len(pairs):
        x[pairs, ..., 1] = bodies[len(meta) :]
    return x, meta


@dataclass(frozen=True)
class _People:
    """Traits, one line per visible person (L lines)."""

    lengths: np.ndarray  # (L, 25) bone length factors
    posture: np.ndarray  # (L, 25, 3) resting angles
    vigour: np.ndarray  # (L, 25) factors of movement
    tempo: np.ndarray  # (L,)
    left_handed: np.ndarray  # (L,) bool


def _people(meta: pd.DataFrame, row_of: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> _People:
    """Traits belong to a subject; a partner is somebody else of the same cast."""
    who = np.unique(meta["subject"].to_numpy(), return_inverse=True)[1]
    count = int(who.max()) + 1

    def spread(deviation: float, size: int | tuple[int, ...]) -> np.ndarray:
        """Normal, but nobody is extreme: with ten test subjects, one giant would decide an accuracy."""
        return deviation * np.clip(rng.standard_normal(size), -1.5, 1.5)

    limbs = spread(0.09, (count, len(PARTS)))
    limbs[:, 2], limbs[:, 4] = limbs[:, 1], limbs[:, 3]  # people are symmetric
    lengths = np.exp(spread(0.07, (count, 1)) + spread(0.02, (count, V)))
    lengths = (lengths + lengths[:, FLIP]) / 2
    for part, joints in enumerate(PARTS.values()):
        lengths[:, list(joints)] *= np.exp(limbs[:, part, None])
    posture = np.zeros((count, V, 3))
    posture[:, [body.ROOT, body.SPINE, body.CHEST, body.NECK], 0] = spread(0.08, (count, 4))
    open_arms, bent = np.abs(0.15 + spread(0.1, count)), np.abs(0.3 + spread(0.15, count))
    arms_forward = 0.05 + spread(0.12, count)
    for sign, shoulder, hip in ((1, body.R_SHOULDER, body.R_HIP), (-1, body.L_SHOULDER, body.L_HIP)):
        posture[:, shoulder, 2] = sign * open_arms
        posture[:, shoulder, 0] = arms_forward
        posture[:, shoulder + 1, 0] = bent
        posture[:, hip, 2] = sign * np.abs(rng.normal(0.08, 0.06, count))
    per_joint = spread(0.15, (count, V))
    per_joint = (per_joint + per_joint[:, FLIP]) / np.sqrt(2.0)  # both arms alike; the middle a little freer
    vigour = np.exp(0.8 * per_joint + spread(0.15, (count, 1)))
    tempo = np.exp(spread(0.25, count))
    left = rng.random(count) < 0.15
    mine = who[row_of]
    mine = np.where(second, (mine + 1 + rng.integers(0, count - 1, len(mine))) % count, mine)
    traits = (lengths, posture, vigour, tempo)
    return _People(*(t[mine].astype(np.float32) for t in traits), left_handed=left[mine])


def _motion(
    meta: pd.DataFrame,
    actions: list[Action],
    row_of: np.ndarray,
    second: np.ndarray,
    people: _People,
    frames: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Joint angles (L, T, 25, 3): posture, seat, idle sway and fidgeting, and the action itself."""
    lines = len(row_of)
    label = meta["label"].to_numpy()[row_of]
    u = (np.arange(frames, dtype=np.float32) + 0.5) / frames
    # What belongs to a performance is shared by both persons: its clock, its phase, its beginning and end.
    duration, phase = np.exp(rng.normal(1.0, 0.3, len(meta)))[row_of], rng.random(len(meta))[row_of]
    begin, end = rng.uniform(-0.3, 0.25, len(meta))[row_of], rng.uniform(0.75, 1.3, len(meta))[row_of]
    tempo = people.tempo[: len(meta)][row_of] * np.exp(rng.normal(0.0, 0.1, len(meta)))[row_of]
    clock = (u * (duration * tempo)[:, None]).astype(np.float32)
    ramp = np.clip((u - begin[:, None]) / 0.15, 0, 1) * np.clip((end[:, None] - u) / 0.15, 0, 1)
    envelope = (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
    vigour = people.vigour * np.exp(rng.normal(0.0, 0.08, (lines, V))).astype(np.float32)
    if "correct" in meta:
        vigour[meta["correct"].to_numpy()[row_of] == 2] *= 0.45  # an incorrect exercise stops half-way

    angles = np.zeros((lines, frames, V, 3), dtype=np.float32)
    for k, action in enumerate(actions):
        for role, moves in ((False, action.moves), (True, action.partner)):
            mine = np.flatnonzero((label == k) & (second == role))
            if len(mine):
                done = perform(moves, clock[mine], envelope[mine], vigour[mine], phase[mine])
                if action.sided:
                    left = people.left_handed[mine]
                    done[left] = body.mirror_angles(done[left])
                angles[mine] = done

    angles += people.posture[:, None]
    seated = rng.random(lines) < 0.35
    may_sit = np.array([a.seated for a in actions])[label]
    if "position" in meta:
        seated = (~meta["position"].isin(["stand", "stand-frame"])).to_numpy()[row_of]
        may_sit = np.ones(lines, dtype=bool)
    for hip in (body.R_HIP, body.L_HIP):
        angles[seated & may_sit, :, hip, 0] += 1.4
        angles[seated & may_sit, :, hip + 1, 0] -= 1.4

    idle = (body.ROOT, body.SPINE, body.NECK, body.R_SHOULDER, body.L_SHOULDER, body.R_HIP, body.L_HIP)
    sway = rng.normal(0.0, 0.04, (lines, 1, len(idle), 3))
    beat, start = rng.uniform(0.1, 0.5, (lines, 1, len(idle), 3)), rng.random((lines, 1, len(idle), 3))
    seconds = (u * duration[:, None])[:, :, None, None]
    angles[:, :, idle] += (sway * np.sin(2 * np.pi * (beat * seconds + start))).astype(np.float32)
    fidget = np.array([body.R_SHOULDER, body.L_SHOULDER, body.R_ELBOW, body.L_ELBOW, body.NECK])
    which = fidget[rng.integers(0, len(fidget), lines)]
    size = rng.random(lines) < 0.4
    hold, swing = rng.uniform(0, 0.4, lines) * size, rng.uniform(0, 0.2, lines) * size
    beat1, start1 = rng.uniform(0.3, 1.5, lines), rng.random(lines)
    wobble = np.sin(2 * np.pi * (beat1[:, None] * seconds[:, :, 0, 0] + start1[:, None]))
    angles[np.arange(lines), :, which, 0] += hold[:, None] + swing[:, None] * wobble
    return angles


def _recorded(
    place: np.ndarray,
    meta: pd.DataFrame,
    row_of: np.ndarray,
    second: np.ndarray,
    pairs: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """What a sensor makes of joints (L, T, 25, 3): yaw, tilt, noise, and limbs that it loses for a while."""
    lines, frames = place.shape[:2]
    camera = np.unique(meta["camera"].to_numpy().astype(str), return_inverse=True)[1][row_of]
    setup = meta["setup"].to_numpy()[row_of]
    yaw = np.radians(np.array([-45.0, 0.0, 45.0])[camera])
    yaw += rng.normal(0.0, 0.2, len(meta))[row_of]
    paired = np.isin(row_of, pairs)
    yaw += np.where(paired, np.where(second, -0.8, 0.8), 0.0)
    heights, distances = rng.uniform(0.8, 2.1, 33), rng.uniform(2.2, 4.0, 33)
    tilt = np.arctan((heights[setup] - 0.9) / distances[setup]) + rng.normal(0.0, 0.05, len(meta))[row_of]
    zero = np.zeros(lines)
    turn = body.rotation(np.stack([tilt, yaw, zero], axis=-1))  # R_x(tilt) R_y(yaw)
    seen = np.einsum("lij,ltvj->ltvi", turn, place).astype(np.float32)

    # The far side of the body is seen worst: noise grows with depth behind the chest and distance squared.
    behind = np.clip((seen[..., 2] - seen[:, :, body.CHEST, None, 2]).mean(axis=1) / 0.25, 0, 1)  # (L, V)
    sigma = 0.005 * (distances[setup, None] / 3.0) ** 2 * (1 + 1.5 * behind) * _LOOSE
    noise = rng.standard_normal(seen.shape, dtype=np.float32)
    seen += noise * sigma[:, None, :, None].astype(np.float32)

    time = np.arange(frames)
    for limb in _LIMBS:
        hidden = rng.random(lines) < 0.03 + 0.22 * behind[:, limb].mean(axis=1)
        begin = rng.uniform(-0.2, 0.8, lines) * frames
        end = begin + rng.uniform(0.15, 0.5, lines) * frames
        lost = hidden[:, None] & (time >= begin[:, None]) & (time < end[:, None])  # (L, T)
        held = np.where(lost, np.maximum(np.ceil(begin)[:, None], 0), time).astype(np.int64)
        seen[:, :, limb] = np.take_along_axis(seen[:, :, limb], held[:, :, None, None], axis=1)
        jitter = rng.normal(0.0, 0.03, (lines, frames, len(limb), 3)) * (rng.random(lines) < 0.5)[:, None, None, None]
        seen[:, :, limb] += (lost[:, :, None, None] * jitter).astype(np.float32)
    return seen


def repeated(count: int, frames: int) -> np.ndarray:
    """(count, 3, frames, 25, 2) float32: the smoke clips of NTU RGB+D 60 again and again; for what is timed only."""
    x, _ = generate("ntu60", "smoke", frames)
    return np.resize(x, (count, *x.shape[1:]))
