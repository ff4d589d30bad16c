"""The data sets of the harness as data: names, classes, splits with their counts, where to get them; opening them.

Why: a benchmark number means nothing without its split and its files. Facts: data set specification, sections 1 to 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.datasets import rules, store
from benchmarks.datasets.rules import Rule
from benchmarks.names import known

if TYPE_CHECKING:
    import pandas as pd

    from protocols import Splits


@dataclass(frozen=True)
class DataSet:
    """One data set: what a table, a run and `data list` need to know about it without opening it."""

    name: str
    title: str
    classes: int
    persons: int
    splits: Mapping[str, Rule]
    access: str  # who gives it to whom, and which files to fetch
    revision: int  # bumped when the stored numbers change; part of every run id
    clips: int | None  # in the complete set
    credit: str
    titles: tuple[str, ...] = ()  # of the classes, where they are known
    exact: bool = True  # False: clips is what the literature says, and public code differs by a few


_NTU = "Shahroudy et al., CVPR 2016"
_NTU120 = "Liu et al., TPAMI 2020"
_PKU = "Liu et al., PKU-MMD, arXiv:1703.07475"
_IRDS = "Miron et al., IntelliRehabDS, Data 6(5):46, 2021, Zenodo 4610859, CC BY 4.0"

DATASETS: dict[str, DataSet] = {
    entry.name: entry
    for entry in (
        DataSet(
            name="ntu60",
            title="NTU RGB+D 60",
            classes=60,
            persons=2,
            splits={
                "xsub": Rule("20 of 40 subjects train", rules.NTU60_XSUB, (40_091, 16_487)),
                "xview": Rule("cameras 2 and 3 train, 1 tests", rules.NTU60_XVIEW, (37_646, 18_932)),
            },
            access="registration with the ROSE Lab of NTU Singapore, for academic use; its 3D skeletons, the first "
            "file (nturgbd_skeletons_s001_to_s017.zip)",
            revision=2,
            clips=56_578,
            credit=_NTU,
        ),
        DataSet(
            name="ntu120",
            title="NTU RGB+D 120",
            classes=120,
            persons=2,
            splits={
                "xsub": Rule("53 of 106 subjects train", rules.NTU120_XSUB, (63_026, 50_919)),
                "xset": Rule("even setups train, odd ones test", rules.NTU120_XSET, (54_468, 59_477)),
                "camera": Rule("what the released code does for xset", rules.CAMERA_23, (75_823, 38_122)),
            },
            access="registration with the ROSE Lab of NTU Singapore, for academic use; its 3D skeletons, both files "
            "(nturgbd_skeletons_s001_to_s017.zip and nturgbd_skeletons_s018_to_s032.zip)",
            revision=2,
            clips=113_945,
            credit=_NTU120,
        ),
        DataSet(
            name="pku1",
            title="PKU-MMD I",
            classes=51,
            persons=2,
            splits={
                "xsub": Rule("videos 0291 to 0334 test", rules.PKU1_XSUB, (18_841, 2_704), verified=False),
                "xview": Rule("cameras M and R train, L tests", rules.PKU_XVIEW),
            },
            access="request by e-mail to the authors at Peking University, no redistribution; of part I the skeletons "
            "(PKU_Skeleton_Renew), the labels (Train_Label_PKU_final) and cross-subject.txt, cross-view.txt",
            revision=1,
            clips=21_545,
            exact=False,
            credit=_PKU,
        ),
        DataSet(
            name="pku2",
            title="PKU-MMD II",
            classes=51,  # 41 occur, with ids in the space of part I
            persons=2,
            splits={
                "xsub": Rule("subjects 2, 3 and 7 test", rules.PKU2_XSUB, (5_332, 1_613), verified=False),
                "xview": Rule("cameras M and R train, L tests", rules.PKU_XVIEW),
            },
            access="request by e-mail to the authors at Peking University, no redistribution; of part II the folders "
            "skeleton and label, and cross_subject_v2.txt, cross_view_v2.txt",
            revision=1,
            clips=None,
            credit=_PKU,
        ),
        DataSet(
            name="irds",
            title="IntelliRehabDS",
            classes=9,
            persons=1,
            splits={
                "xsub": Rule("15 of 30 subjects train", rules.IRDS_XSUB, (1_434, 1_155)),
                "stand-seated": Rule("standing trains, seated tests; correct ones", rules.seated, (1_068, 979)),
                "xsub18": Rule(
                    "15 of 30 subjects train; gesture and whether it is correct",
                    rules.IRDS_XSUB,
                    (1_434, 1_155),
                    finer=rules.incorrect,
                    times=2,
                ),
            },
            access="open to everyone, CC BY 4.0: Zenodo record 4610859, the folder Simplified",
            revision=1,
            clips=2_589,
            # The authors' words. In their files it is the joints of the other side that move: those of the right arm
            # in "left".
            titles=(
                "elbow flexion, left",
                "elbow flexion, right",
                "shoulder flexion, left",
                "shoulder flexion, right",
                "shoulder abduction, left",
                "shoulder abduction, right",
                "forward elevation",
                "side tap, left",
                "side tap, right",
            ),
            credit=_IRDS,
        ),
    )
}

# Clips per side of every split in the complete data set, where they are known.
EXPECTED: dict[str, dict[str, tuple[int, int]]] = {
    name: {split: rule.expected for split, rule in entry.splits.items() if rule.expected}
    for name, entry in DATASETS.items()
}


def dataset(name: str) -> DataSet:
    """The data set of that name; ValueError with the nearest name for an unknown one."""
    return DATASETS[known("data set", name, DATASETS)]


def rule(name: str, split: str) -> Rule:
    """One split rule of a data set; ValueError with the nearest name for an unknown one."""
    entry = dataset(name)
    return entry.splits[known(f"split of {name}", split, entry.splits)]


def sides(name: str, split: str, meta: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (int64) of the training and of the test side.

    Raises ValueError when meta lacks a column that the rule reads, or a value in it, or when a side is empty.
    """
    cut = rule(name, split)
    try:
        train, test = (np.flatnonzero(mask) for mask in cut.sides(meta))
    except KeyError as error:
        lacks = f"has no column {error}, only {list(meta.columns)}"
        if error.args[0] in meta:
            lacks = f"does not tell the {error} of every clip; prepare the data set from files that do"
        raise ValueError(f"{name} {split}: meta {lacks}") from error
    for side, rows in (("training", train), ("test", test)):
        if not len(rows):
            raise ValueError(
                f"{name} {split} ({cut.title}): the {side} side is empty, {len(meta)} clips in all; "
                "is the data set incomplete?"
            )
    return train, test


def prepared(name: str, frames: int, data: Path) -> str | None:
    """None when the data set can be opened, else why not, as one sentence with the command to run.

    Looks at the manifest only; checksums are verified when the data are opened.
    """
    entry = dataset(name)
    folder = store.folder_of(data, name, frames)
    try:
        manifest = store.read_manifest(folder)
    except (OSError, ValueError) as error:
        return str(error)
    return outdated(entry, manifest["revision"], folder)


def outdated(entry: DataSet, revision: int, folder: Path) -> str | None:
    """None, or why numbers stored under `revision` must not be used: one sentence with the command to run."""
    if revision == entry.revision:
        return None
    again = store.command(folder)
    return f"{folder} has revision {revision}, this program needs {entry.revision}; prepare it with: {again}"


@lru_cache(maxsize=4)
def _real(name: str, folder: Path, modified: int) -> tuple[np.ndarray, pd.DataFrame]:
    """The stored data set; `modified` (of the manifest) makes a data set prepared anew a new one."""
    x, meta, manifest = store.load(folder)
    reason = outdated(dataset(name), manifest["revision"], folder)
    if reason:
        raise ValueError(reason)
    return x, meta


@lru_cache(maxsize=4)
def _standin(name: str, scale: str, frames: int) -> tuple[np.ndarray, pd.DataFrame]:
    from benchmarks.datasets.standin import synthetic  # only demo and smoke runs need it

    x, meta = synthetic.generate(name, scale, frames)
    x.setflags(write=False)  # as the memory maps of real data: features of it may be remembered
    return x, meta


def splits(name: str, split: str, frames: int, data: Path, standin: str | None = None) -> Splits:
    """Both sides of one split, on the prepared data set or, with `standin` (a scale), on its synthetic twin.

    x is shared between splits and calls of one process, and read-only. classes is the number of
    all classes, whether or not they occur.
    Raises FileNotFoundError for a data set that is not prepared, ValueError for a damaged or outdated one, an
    unknown name, and an empty side.
    """
    from protocols import Split, Splits  # brings torch, which `data list` does without

    rule(name, split)  # a wrong name is told before anything is read or generated
    if standin is None:
        folder = store.folder_of(data, name, frames)
        store.read_manifest(folder)
        x, meta = _real(name, folder.resolve(), (folder / store.MANIFEST).stat().st_mtime_ns)
    else:
        x, meta = _standin(name, standin, frames)
    y = rule(name, split).labels(meta)
    train, test = sides(name, split, meta)
    return Splits(Split(x, y, train), Split(x, y, test), classes(name, standin, split))


def revision(name: str, standin: str | None) -> int:
    """REVISION of the numbers that a run on this data set would see."""
    if standin is None:
        return dataset(name).revision
    from benchmarks.datasets.standin import synthetic

    return synthetic.REVISION


def classes(name: str, standin: str | None, split: str | None = None) -> int:
    """Number of classes, of the real data set or of its stand-in; of a split, where it tells them finer apart."""
    times = rule(name, split).times if split else 1
    if standin is None:
        return dataset(name).classes * times
    from benchmarks.datasets.standin import synthetic

    return len(synthetic.class_titles(name, standin)) * times


def class_titles(name: str, standin: str | None, split: str) -> list[str]:
    """What each class means to a person; "class 3" where nobody says, with ", not correct" in xsub18."""
    titles: Sequence[str] = dataset(name).titles or [f"class {label}" for label in range(dataset(name).classes)]
    if standin is not None:
        from benchmarks.datasets.standin import synthetic

        titles = synthetic.class_titles(name, standin)
    finer = ("", ", not correct")[: rule(name, split).times]
    return [title + suffix for title in titles for suffix in finer]
