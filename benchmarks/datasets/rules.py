"""Who trains and who tests: the split rules of all data sets, as functions of the meta table.

Why: a rule that reads names, not folders or index files, cuts raw recordings, imported files and synthetic stand-ins
alike, and its counts can be checked. Facts: data set specification, sections 1 to 3; the NTU rules give exactly the
published counts on the published name lists (held by a test).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Sides = tuple[np.ndarray, np.ndarray]  # boolean masks over the rows of meta: train, test
Cut = Callable[["pd.DataFrame"], Sides]

UNTOLD = -1  # a subject that the files do not tell; meta has the column all the same
NTU60_TRAIN = (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
_NTU120_MORE = (45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89, *range(91, 96))
NTU120_TRAIN = (*NTU60_TRAIN, *_NTU120_MORE, 97, 98, 100, 103)
# The ids at even rank of the 30 sorted ids of the release, written out so that a set with a subject missing
# is cut at the same place.
IRDS_TRAIN = (101, 103, 105, 107, 202, 204, 206, 209, 211, 213, 215, 217, 302, 304, 306)


@dataclass(frozen=True)
class Rule:
    """One split: who trains, who tests, and how many clips that gives in the complete data set."""

    title: str
    sides: Cut
    expected: tuple[int, int] | None = None  # train, test
    verified: bool = True  # False: taken from the literature, so a difference is a warning, not a fault
    finer: Callable[[pd.DataFrame], np.ndarray] | None = None  # class within the data set's class, 0..times-1
    times: int = 1  # classes of this split per class of the data set

    def labels(self, meta: pd.DataFrame) -> np.ndarray:
        """What is to be told apart in this split, (N,) int64."""
        label = meta["label"].to_numpy(dtype=np.int64)
        return label if self.finer is None else label * self.times + self.finer(meta)


def train_in(column: str, values: Iterable[int | str]) -> Cut:
    """Rows whose `column` is one of `values` train, all others test. KeyError where any row says UNTOLD there."""
    wanted = list(values)

    def sides(meta: pd.DataFrame) -> Sides:
        if UNTOLD in meta[column].to_numpy():
            raise KeyError(column)
        train = meta[column].isin(wanted).to_numpy()
        return train, ~train

    return sides


def test_in(column: str, values: Iterable[int | str]) -> Cut:
    """Rows whose `column` is one of `values` test, all others train."""
    complement = train_in(column, values)

    def sides(meta: pd.DataFrame) -> Sides:
        test, train = complement(meta)
        return train, test

    return sides


def listed(column: str, otherwise: Cut) -> Cut:
    """What `column` says (train, test, or nothing for a clip on neither list); without that column, the rule.

    The column exists when the data came with lists of their own: PKU-MMD's split files, or an imported file that
    holds the two sides but no names.
    """

    def sides(meta: pd.DataFrame) -> Sides:
        if column not in meta:
            return otherwise(meta)
        side = meta[column].to_numpy()
        return side == "train", side == "test"

    return sides


def even_setup(meta: pd.DataFrame) -> Sides:
    """NTU RGB+D 120 cross-setup: even setup numbers train."""
    train = (meta["setup"] % 2 == 0).to_numpy()
    return train, ~train


def seated(meta: pd.DataFrame) -> Sides:
    """IRDS: correct gestures, standing people train, seated ones test."""
    correct = (meta["correct"] == 1).to_numpy()
    standing = meta["position"].isin(["stand", "stand-frame"]).to_numpy()
    sitting = meta["position"].isin(["chair", "wheelchair", "sit"]).to_numpy()
    return standing & correct, sitting & correct


def incorrect(meta: pd.DataFrame) -> np.ndarray:
    """IRDS: 0 for a gesture done correctly, 1 for an incorrect or poor one."""
    return (meta["correct"] != 1).to_numpy(dtype=np.int64)


CAMERA_23 = train_in("camera", (2, 3))
NTU60_XSUB = listed("xsub", train_in("subject", NTU60_TRAIN))
NTU120_XSUB = listed("xsub", train_in("subject", NTU120_TRAIN))
NTU60_XVIEW = listed("xview", CAMERA_23)
NTU120_XSET = listed("xset", even_setup)
PKU1_XSUB = listed("xsub", test_in("video", range(291, 335)))
PKU2_XSUB = listed("xsub", test_in("subject", (2, 3, 7)))
PKU_XVIEW = listed("xview", test_in("camera", ["L"]))
IRDS_XSUB = train_in("subject", IRDS_TRAIN)
