"""The names of NTU RGB+D recordings: what they say, which exist, which have no usable skeleton.

Why: names are the meta data. Every split rule reads them, and the list of all names is what a download is counted
against. Data set specification, sections 2.1 to 2.3.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

PATTERN = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.IGNORECASE)
MISSING = Path(__file__).with_name("ntu_missing.txt")
CAMERAS, REPLICATIONS = (1, 2, 3), (1, 2)
NTU60_SETUPS, NTU60_ACTIONS = 17, 60
LIMITS = {"setup": 32, "camera": 3, "subject": 106, "replication": 2, "label": 120}  # counted from 1

# Who was recorded in which setup. Every pair was recorded twice by three cameras in all actions: 1 to 60 in setups
# 1 to 17, 61 to 120 in the others. Without the missing list this gives exactly the official list of names.
_SETUPS = """
1:1-8  2:3,7-14  3:1,2,7,8,15-19  4:3,7,8,20  5:4,10,13,15-18,21  6:1,7,8,15-17,19,22-24  7:1,7,8,15-19,25-28
8:1,7,8,15,19,25,29-36  9:7,8,15-17,19,25  10:7,8,13,15-19,21,25  11:1,2,7,8,15-19,25,27,28,38
12:7,8,15-19,25,27,28,37  13:7,8,15-19,25,27,28,37  14:7,8,15,17,19,25,27,37,39  15:7,8,15-17,19,25,37
16:7,8,19,21,25,39,40  17:3,7-9,15-17,20  18:8,41-45  19:8,41,42,46-51  20:8,41,43,44,52-54  21:55-60  22:61-67
23:55-68  24:57,60-64,67  25:55,56,58,59,65,66,68  26:8,41,44,49-51,69-72,74-77  27:6,8,11,41,43,44,78-86
28:8,41-43,46,48,70,73,87  29:6,8,41,43,44,48,49,51,67,74,75,80,88-90  30:8,11,41,43,44,48,67,75,76,81,85,88,91-96
31:6,8,41-44,51,67,82,85,96-101  32:8,41,43,44,67,102-106
"""


def parse(name: str) -> dict[str, Any]:
    """ "S001C002P003R002A013" (an ending is ignored) -> the meta row; label is counted from 0, the rest from 1.

    Raises ValueError for a text without such a name, and for numbers that were never recorded.
    """
    match = PATTERN.match(name)
    if match is None:
        raise ValueError(f"{name!r} is not a name of the form S001C002P003R002A013")
    numbers = dict(zip(LIMITS, map(int, (match[1], match[2], match[3], match[4], match[5])), strict=True))
    for what, number in numbers.items():
        if not 1 <= number <= LIMITS[what]:
            shown = "action" if what == "label" else what
            raise ValueError(f"{name}: {shown} {number}, recorded were 1 to {LIMITS[what]}")
    return {
        "name": match[0].upper(),
        "label": numbers["label"] - 1,
        "subject": numbers["subject"],
        "camera": numbers["camera"],
        "setup": numbers["setup"],
        "replication": numbers["replication"],
    }


def missing(path: Path | None = None) -> frozenset[str]:
    """Names without a usable skeleton: the official list of 535 (it contains the 302 of NTU-60), or a user's file.

    The English lines on top of the official files are passed over. Raises ValueError with the line that is no name.
    """
    names = set()
    lines = Path(path or MISSING).read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        word = line.strip()
        if PATTERN.fullmatch(word.removesuffix(".skeleton")):
            names.add(word.removesuffix(".skeleton").upper())
        elif word and names:
            raise ValueError(f"{path}:{number}: {word[:40]!r} is not a name of the form S001C002P003R002A013")
    if not names:
        raise ValueError(f"{path} holds no name of the form S001C002P003R002A013")
    return frozenset(names)


def belongs(name: str, dataset: str) -> bool:
    """Whether a recording is part of "ntu60" (setups 1 to 17, actions 1 to 60) or "ntu120" (all)."""
    row = parse(name)
    return dataset == "ntu120" or (row["setup"] <= NTU60_SETUPS and row["label"] < NTU60_ACTIONS)


@lru_cache(maxsize=2)
def expected(dataset: str) -> tuple[str, ...]:
    """The sorted names of all usable recordings of "ntu60" (56,578) or "ntu120" (113,945)."""
    without = missing()
    names = (
        f"S{setup:03}C{camera:03}P{performer:03}R{replication:03}A{action:03}"
        for setup, performers in _performers().items()
        if dataset == "ntu120" or setup <= NTU60_SETUPS
        for performer in performers
        for camera in CAMERAS
        for replication in REPLICATIONS
        for action in (range(1, 61) if setup <= NTU60_SETUPS else range(61, 121))
    )
    return tuple(sorted(name for name in names if name not in without))


def _performers() -> dict[int, list[int]]:
    found = {}
    for word in _SETUPS.split():
        setup, _, spans = word.partition(":")
        ends = ((int(low), int(high or low)) for low, _, high in (span.partition("-") for span in spans.split(",")))
        found[int(setup)] = [performer for low, high in ends for performer in range(low, high + 1)]
    return found
