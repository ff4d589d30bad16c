"""Split rules give the published counts on the published lists, and tell what is wrong with anything else."""

from __future__ import annotations

import lzma
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.datasets import catalog, rules, store
from tests.benchmarks.datasets import toy

NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
ALL = [(name, split) for name, entry in catalog.DATASETS.items() for split in entry.splits]


def ntu(shared: Path, name: str) -> pd.DataFrame:
    with lzma.open(shared / "data" / "ntu-lists" / f"{name}_available.txt.xz", "rt") as file:
        found = NAME.findall(file.read())
    columns = ["setup", "camera", "subject", "repetition", "action"]
    return pd.DataFrame(np.array(found, dtype=np.int64), columns=pd.Index(columns))


@pytest.mark.parametrize("name", ["ntu60", "ntu120"])
def test_ntu_counts(shared: Path, name: str) -> None:
    meta = ntu(shared, name)
    assert len(meta) == catalog.DATASETS[name].clips
    assert len(np.unique(meta["action"])) == catalog.DATASETS[name].classes
    for split, expected in catalog.EXPECTED[name].items():
        train, test = catalog.sides(name, split, meta)
        assert (len(train), len(test)) == expected
        assert len(np.union1d(train, test)) == len(meta)


def test_catalog_is_consistent() -> None:
    assert list(catalog.DATASETS) == ["ntu60", "ntu120", "pku1", "pku2", "irds"]
    assert len(rules.NTU60_TRAIN) == 20
    assert len(set(rules.NTU120_TRAIN)) == len(rules.NTU120_TRAIN) == 53
    for name, splits in catalog.EXPECTED.items():
        entry = catalog.DATASETS[name]
        for split, (train, test) in splits.items():
            if (name, split) != ("irds", "stand-seated") and entry.clips:
                assert train + test == entry.clips


@pytest.mark.parametrize(
    ("name", "split", "column", "train", "test"),
    [
        ("pku1", "xsub", "video", [2, 290, 335, 364], [291, 334]),
        ("pku1", "xview", "camera", ["M", "R"], ["L"]),
        ("pku2", "xsub", "subject", [1, 4, 13], [2, 3, 7]),
        ("ntu120", "camera", "camera", [2, 3], [1]),
        ("ntu120", "xset", "setup", [2, 32], [1, 31]),
        ("irds", "xsub", "subject", [101, 306], [102, 307]),
    ],
)
def test_rules(name: str, split: str, column: str, train: list[Any], test: list[Any]) -> None:
    meta = pd.DataFrame({column: test + train})
    left, right = catalog.sides(name, split, meta)
    assert meta[column].to_numpy()[left].tolist() == train
    assert meta[column].to_numpy()[right].tolist() == test
    assert left.dtype == right.dtype == np.int64


def test_stand_to_seated_takes_correct_ones_only() -> None:
    positions = ["stand", "stand-frame", "chair", "wheelchair", "sit"] * 2
    meta = pd.DataFrame({"position": positions, "correct": [1] * 5 + [2] * 5})
    train, test = catalog.sides("irds", "stand-seated", meta)
    assert (train.tolist(), test.tolist()) == ([0, 1], [2, 3, 4])


def test_side_errors() -> None:
    with pytest.raises(ValueError, match=r"ntu60 xview.*the test side is empty, 2 clips"):
        catalog.sides("ntu60", "xview", pd.DataFrame({"camera": [2, 3]}))
    with pytest.raises(ValueError, match=r"ntu60 xview: meta has no column 'camera', only \['subject'\]"):
        catalog.sides("ntu60", "xview", pd.DataFrame({"subject": [2, 3]}))
    with pytest.raises(ValueError, match=r"Unknown data set 'ntu6'. Did you mean 'ntu60'\?"):
        catalog.dataset("ntu6")
    with pytest.raises(ValueError, match=r"Unknown split of ntu120 'xviews'. Allowed: xsub, xset, camera"):
        catalog.splits("ntu120", "xviews", 8, Path("nowhere"))


@pytest.mark.parametrize(("name", "split"), ALL)
def test_stand_ins_are_cut_by_the_same_rules(name: str, split: str) -> None:
    train, test, classes = catalog.splits(name, split, 16, Path("unused"), "smoke")
    assert train.x is test.x
    assert train.x.shape[1:] == (3, 16, 25, catalog.DATASETS[name].persons)
    assert train.x.dtype == np.float32
    assert not np.intersect1d(train.rows, test.rows).size
    if catalog.rule(name, split).times == 1:
        assert set(train.y[train.rows]) == set(range(classes))
    assert set(train.y[train.rows]) <= set(range(classes))
    assert set(test.y[test.rows]) <= set(range(classes))


def put(data: Path, revision: int = 1, shift: float = 0.0) -> Path:
    clip = np.full((3, 8, 25, 1), shift, np.float32)
    rows = [
        {"name": f"{subject}", "label": 0, "subject": subject, "correct": 1, "position": "stand"}
        for subject in (101, 102, 103)
    ]
    folder = store.folder_of(data, "irds", 8)
    return toy.put(folder, ((row, clip) for row in rows), classes=9, revision=revision, persons=1)


def test_prepared_data(tmp_path: Path) -> None:
    reason = catalog.prepared("irds", 8, tmp_path)
    assert reason is not None
    assert "python bench.py data prepare irds --raw PATH --frames 8" in reason
    with pytest.raises(FileNotFoundError, match="data prepare irds"):
        catalog.splits("irds", "xsub", 8, tmp_path)
    put(tmp_path)
    assert catalog.prepared("irds", 8, tmp_path) is None
    train, test, classes = catalog.splits("irds", "xsub", 8, tmp_path)
    assert (train.rows.tolist(), test.rows.tolist(), classes) == ([0, 2], [1], 9)
    assert catalog.splits("irds", "xsub", 8, tmp_path).train.x is train.x  # opened once per process
    put(tmp_path, shift=1.0)  # prepared anew in the same process: the new one is opened
    assert catalog.splits("irds", "xsub", 8, tmp_path).train.x[0, 0, 0, 0, 0] == 1.0


def test_outdated_revision(tmp_path: Path) -> None:
    put(tmp_path, revision=0)
    reason = catalog.prepared("irds", 8, tmp_path)
    assert reason is not None
    assert "revision 0, this program needs 1" in reason
    with pytest.raises(ValueError, match="revision 0, this program needs 1"):
        catalog.splits("irds", "xsub", 8, tmp_path)


def test_lists_that_came_with_the_data_go_before_the_rule() -> None:
    meta = pd.DataFrame({"video": [2, 300, 5], "xsub": ["test", "train", ""]})
    train, test = catalog.sides("pku1", "xsub", meta)
    assert (train.tolist(), test.tolist()) == ([1], [0])


def test_a_split_may_tell_classes_finer_apart() -> None:
    meta = pd.DataFrame({"label": [0, 0, 8, 8, 8], "correct": [1, 2, 1, 2, 3]})
    assert catalog.rule("irds", "xsub18").labels(meta).tolist() == [0, 1, 16, 17, 17]
    assert catalog.rule("irds", "xsub").labels(meta).tolist() == [0, 0, 8, 8, 8]
    assert (catalog.classes("irds", None, "xsub18"), catalog.classes("irds", None, "xsub")) == (18, 9)


def test_every_class_has_a_title() -> None:
    for name, entry in catalog.DATASETS.items():
        for split in entry.splits:
            for standin in (None, "demo"):
                titles = catalog.class_titles(name, standin, split)
                assert len(titles) == len(set(titles)) == catalog.classes(name, standin, split)
    assert catalog.class_titles("ntu60", None, "xsub")[3] == "class 3"
    assert catalog.class_titles("irds", None, "xsub18")[:2] == [
        "elbow flexion, left",
        "elbow flexion, left, not correct",
    ]
