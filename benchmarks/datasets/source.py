"""What every reader of raw files gives: a list of future clips, and a function that loads one of them.

Why: the meta row of a clip is known before its coordinates are read (from file names, label files, headers), so the
number of rows is known, the array can be reserved at once, and the slow part is one function per clip that
convert.py may call in any process, in any order, and again after a kill. Readers hold no state of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class BadClip(ValueError):
    """Raw data that cannot be used. The message is the reason alone: `line 7: found 11 numbers, expected 12`."""


WHOLE = "the whole file: "  # begins the reason when it is of a file that several clips share


class Loaded(NamedTuple):
    """One clip as recorded, and what had to be mended in it."""

    x: np.ndarray  # (3, T, 25, M) float, metres, M 1 or 2; an absent person is exactly 0
    remark: str = ""  # a kind of mending, the same words for every clip, so that they can be counted


@dataclass(frozen=True)
class Clip:
    """One future row of the prepared array."""

    row: Mapping[str, Any]  # meta: name, label (0-based), subject, and the columns that the split rules read
    place: Any  # what `Source.load` needs to find the recording; small, and picklable when `parallel`
    origin: str  # the file that a report names
    whole: str = ""  # the file that it shares with other clips: why that one cannot be used is reported once


@dataclass(frozen=True)
class Source:
    """Everything that one reader found, in the order in which it will be stored.

    load: Clip.place -> Loaded; raises BadClip for a recording that cannot be used, and nothing else for bad content.
        A module-level function, or functools.partial of one, when `parallel`. Consecutive clips are asked for one
        after the other in one process, so a reader may keep its last opened file in an lru_cache.
    """

    kind: str  # for the manifest and the report: "NTU .skeleton files", "pyskl pickle"
    clips: Sequence[Clip]
    load: Callable[[Any], Loaded]
    fingerprint: str  # changes when the raw files change (names, sizes, times), so that no part is reused wrongly
    options: Mapping[str, Any] = field(default_factory=dict)  # named choices that change numbers
    notes: Sequence[str] = ()  # what was found and passed over while looking, for the report
    refused: Sequence[str] = ()  # "origin: reason" of recordings that cannot become clips; they count as left out
    lacking: str = ""  # what the complete data set has and these files have not, where the reader can tell; a sentence
    parallel: bool = True  # False: `load` reads from memory that must not be copied into other processes
    finished: bool = False  # True: clips are already centred, resampled and turned; they are stored as they are
