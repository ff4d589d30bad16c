"""Who performs what in a stand-in: classes, people, cameras, setups, and names as the real sets write them.

Why it exists: the splits of the catalog (xsub, xview, xset, stand to seated) are decided by ids alone, so the
stand-ins carry the real ids and the official sides (`Data sets`, section 4.1 of the paper) and nothing is random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.datasets.standin.actions import ACTIONS, EXERCISES, Action
from benchmarks.names import known

if TYPE_CHECKING:
    import pandas as pd

SCALES = ("smoke", "demo")

# Official training subjects (NTU RGB+D 60 and 120); the stand-in takes some of each side.
_NTU60 = ((1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 25, 28, 31, 35), (3, 6, 7, 10, 11, 12, 20, 22, 29, 40))
_NTU120 = (
    (1, 5, 9, 14, 18, 25, 31, 38, 45, 50, 56, 70, 82, 89, 97, 103),
    (3, 10, 22, 33, 42, 51, 64, 77, 99, 106),
)
_PKU1 = (tuple(range(2, 290, 12)), tuple(range(291, 333, 3)))  # videos, one person each; 291..334 test
_PKU2 = ((1, 4, 5, 6, 8, 9, 10, 11, 12, 13), (2, 3, 7))
_IRDS = ((101, 103, 105, 202, 204, 206), (102, 104, 106, 201, 203, 205))


@dataclass(frozen=True)
class Cast:
    """Who performs what, how often: `people` are (training, test) ids of the cross-subject split."""

    classes: tuple[str, ...]
    people: tuple[tuple[int, ...], tuple[int, ...]]
    takes: int


_CASTS: dict[str, Cast] = {
    "ntu60": Cast(("drink", "phone", "wave", "throw", "clap", "rub", "kick", "squat", "handshake", "push"), _NTU60, 2),
    "ntu120": Cast(
        (
            "drink",
            "wave",
            "throw",
            "clap",
            "rub",
            "kick",
            "squat",
            "handshake",
            "push",
            "phone",
            "bow",
            "jog",
            "punch",
        ),
        _NTU120,
        2,
    ),
    "pku1": Cast(("drink", "phone", "wave", "throw", "clap", "rub", "handshake", "punch"), _PKU1, 1),
    "pku2": Cast(("drink", "phone", "throw", "clap", "rub", "handshake", "punch"), _PKU2, 3),
    "irds": Cast(tuple(EXERCISES), _IRDS, 2),
}
_SMOKE_CLASSES = {
    "ntu60": ("wave", "clap", "kick", "handshake"),
    "ntu120": ("wave", "clap", "squat", "push"),
    "pku1": ("wave", "clap", "drink", "handshake"),
    "pku2": ("phone", "clap", "throw", "handshake"),
    "irds": ("elbow flexion-left", "elbow flexion-right", "shoulder flexion-left", "forward elevation"),
}
NAMES = tuple(_CASTS)


def cast_of(name: str, scale: str) -> Cast:
    """The cast of a stand-in. Raises ValueError for an unknown name or scale."""
    for got, allowed, what in ((name, NAMES, "stand-in"), (scale, SCALES, "scale of stand-ins")):
        known(what, got, allowed)
    full = _CASTS[name]
    if scale == "demo":
        return full
    half = 12 if full.takes == 1 else 7
    train, test = full.people
    return Cast(_SMOKE_CLASSES[name], (train[:half], test[: 8 if full.takes == 1 else 4]), min(full.takes, 2))


def actions_of(name: str, scale: str) -> list[Action]:
    """The action of every label. Raises ValueError for an unknown name or scale."""
    vocabulary = ACTIONS | EXERCISES
    return [vocabulary[key] for key in cast_of(name, scale).classes]


def class_titles(name: str, scale: str) -> list[str]:
    """What each label means to a person, in the order of the labels."""
    return [action.title for action in actions_of(name, scale)]


def cast_list(name: str, scale: str) -> pd.DataFrame:
    """One row per sequence: name, label, subject, camera, setup (+ video | position, correct). No randomness.

    Every class is performed equally often by every subject, and each camera, setup parity and position sees
    every class, so all splits of the catalog are non-empty and complete on both sides.
    """
    import pandas as pd  # slow to import, and a plan needs only names and counts

    cast = cast_of(name, scale)
    rows: list[dict[str, object]] = []
    people = [*cast.people[0], *cast.people[1]]
    for label in range(len(cast.classes)):
        for rank, person in enumerate(people):
            for take in range(cast.takes):
                turn = (rank * cast.takes + take + label) % 3
                row: dict[str, object] = {
                    "name": "",
                    "label": label,
                    "subject": person,
                    "camera": turn + 1,
                    "setup": 1,
                }
                if name in ("ntu60", "ntu120"):
                    most = 17 if name == "ntu60" else 32
                    setup = 1 + (2 * (rank * 5 % 8) * (most // 16) + (take + rank) % 2) % most
                    row["setup"] = setup
                    row["name"] = f"S{setup:03d}C{turn + 1:03d}P{person:03d}R{take + 1:03d}A{label + 1:03d}"
                elif name == "pku1":
                    row |= {"camera": "LMR"[turn], "video": person, "subject": rank + 1}
                    row["name"] = f"{person:04d}-{'LMR'[turn]}-{label + 1:02d}"
                elif name == "pku2":
                    row["camera"] = "LMR"[turn]
                    row["name"] = f"A{label * 3 + take + 1:02d}N{person:02d}-{'LMR'[turn]}-{label + 1:02d}"
                else:
                    seat = ("chair", "wheelchair", "sit", "stand-frame")[(rank + label) % 4]
                    row["camera"] = 1
                    row["position"] = "stand" if take == 0 else seat
                    row["correct"] = 2 if person > 200 and (rank + label + take) % 5 == 0 else 1
                    row["name"] = f"{person}_18_{label}_{take + 1}_{row['correct']}_{row['position']}"
                rows.append(row)
    return pd.DataFrame(rows)
