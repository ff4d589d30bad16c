"""What CTR-GCN's and MAMP's npz files do not say, and what must not be guessed from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets import catalog, imports, presence, store
from benchmarks.datasets.check import check
from benchmarks.datasets.prepare import prepare
from tests.benchmarks.datasets.imports import import_files

FRAMES = 16
ORDER = {"train": ["S001C001P001R001A011"], "test": ["S001C001P003R001A012"]}


def silent(line: str) -> None:
    """Nobody reads what a test reports."""


def put(path: Path, classes: int = 60, first: int = 30) -> Path:
    """A file of two clips of 60 frames: one person from frame `first` on, the other throughout."""
    x = np.random.default_rng(0).normal(size=(3, 60, 25, 2)) + 2
    x[:, :first, :, 0] = 0.0
    return import_files.ctrgcn(path, {name: x for names in ORDER.values() for name in names}, ORDER, False, classes)


def test_a_first_actor_who_comes_late_is_not_cut_away(tmp_path: Path) -> None:
    late = prepare("ntu60", [put(tmp_path / "NTU60_CS.npz")], tmp_path, FRAMES, partial=True, say=silent)
    x, meta, _ = store.load(late)
    assert x.any(axis=(1, 3)).all()  # both people, in every frame
    assert meta["length"].tolist() == [30, 30]


def test_bodies_of_pku_are_the_sensor_s_and_counted_as_in_its_own_files(tmp_path: Path) -> None:
    source = imports.source(put(tmp_path / "PKUv1_XSub.npz", 51), "pku1", FRAMES)
    assert source is not None
    assert source.load(source.clips[0].place).x.shape[1] == 60


@pytest.mark.parametrize(
    ("stem", "dataset", "told"),
    [
        ("PKUv1_XSub", "pku2", "pku1"),
        ("PKUMMDv2_XView", "pku1", "pku2"),
        ("PKU-MMD_2_xsub", "pku1", "pku2"),
        ("v1_XSub", "pku2", "pku1"),
        ("NTU60_CS", "ntu120", "ntu60"),
        ("ntu_rgbd_120_xsub", "ntu60", "ntu120"),
        ("NTU60_CS", "pku1", "ntu60"),
        ("PKUv1_XSub", "ntu60", "pku1"),
    ],
)
def test_a_file_of_another_data_set_is_refused(stem: str, dataset: str, told: str, tmp_path: Path) -> None:
    path = put(tmp_path / f"{stem}.npz")
    with pytest.raises(ValueError, match=rf"{stem}.npz is of {told} by its name, not of {dataset}; .*prepare {told} "):
        imports.source(path, dataset, FRAMES)
    assert imports.source(path, told, FRAMES)


@pytest.mark.parametrize(("stem", "dataset"), [("mine_CS", "ntu120"), ("NTU_v2_CS", "ntu60"), ("PKU_XSub", "pku2")])
def test_a_name_that_tells_no_data_set_is_believed(stem: str, dataset: str, tmp_path: Path) -> None:
    assert imports.source(put(tmp_path / f"{stem}.npz"), dataset, FRAMES)


def test_a_split_by_subject_cannot_be_cut_where_no_subject_is_told(tmp_path: Path) -> None:
    prepare("ntu60", [put(tmp_path / "NTU60_CV.npz")], tmp_path, FRAMES, partial=True, say=silent)
    reason = presence.uncut("ntu60", "xsub", FRAMES, tmp_path)
    assert reason is not None
    assert "cannot be cut for xsub: its files do not tell the 'subject' of a clip" in reason
    assert presence.uncut("ntu60", "xview", FRAMES, tmp_path) is None
    with pytest.raises(ValueError, match="ntu60 xsub: meta does not tell the 'subject' of every clip"):
        catalog.splits("ntu60", "xsub", FRAMES, tmp_path)
    report = check("ntu60", FRAMES, tmp_path)
    assert "  xsub                 cannot be cut: these files do not tell the 'subject' of a clip" in report.lines
    told = [line for line in report.lines if "learnable for nobody" in line]
    assert [line.split()[0] for line in told] == ["xview"]  # two clips of two classes, whatever the subject
