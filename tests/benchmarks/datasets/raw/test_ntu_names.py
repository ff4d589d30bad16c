"""Names of NTU RGB+D: the list of all of them, computed, is the official one, and so are the counts of every split."""

from __future__ import annotations

import lzma
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.datasets import catalog
from benchmarks.datasets.raw import ntu_names

COUNTS = {
    ("ntu60", "xsub"): (40_091, 16_487),
    ("ntu60", "xview"): (37_646, 18_932),
    ("ntu120", "xsub"): (63_026, 50_919),
    ("ntu120", "xset"): (54_468, 59_477),
    ("ntu120", "camera"): (75_823, 38_122),
}


@pytest.mark.parametrize("name", ["ntu60", "ntu120"])
def test_expected_names_are_the_official_ones(shared: Path, name: str) -> None:
    with lzma.open(shared / "data" / "ntu-lists" / f"{name}_available.txt.xz", "rt") as file:
        assert list(ntu_names.expected(name)) == file.read().split()


def test_both_official_missing_lists_are_understood(shared: Path, tmp_path: Path) -> None:
    found = {}
    for title, count in (("NTU_RGBD", 302), ("NTU_RGBD120", 535)):
        with lzma.open(shared / "data" / "ntu-lists" / f"{title}_samples_with_missing_skeletons.txt.xz") as file:
            path = tmp_path / f"{title}.txt"
            path.write_bytes(file.read().replace(b"\n", b"\r\n"))
        found[title] = ntu_names.missing(path)
        assert len(found[title]) == count
    assert found["NTU_RGBD120"] == ntu_names.missing()
    assert found["NTU_RGBD"] < ntu_names.missing()


@pytest.mark.parametrize(("name", "split"), COUNTS)
def test_split_counts(name: str, split: str) -> None:
    meta = pd.DataFrame([ntu_names.parse(word) for word in ntu_names.expected(name)])
    train, test = catalog.sides(name, split, meta)
    assert (len(train), len(test)) == COUNTS[name, split]
    assert len(set(meta["label"])) == catalog.dataset(name).classes


def test_a_name_is_a_row() -> None:
    row = {"name": "S001C002P003R002A013", "label": 12, "subject": 3, "camera": 2, "setup": 1, "replication": 2}
    assert ntu_names.parse("s001c002p003r002a013.skeleton") == row
    assert ntu_names.belongs("S017C003P040R002A060", "ntu60")
    assert not ntu_names.belongs("S018C001P008R001A061", "ntu60")
    assert ntu_names.belongs("S018C001P008R001A061", "ntu120")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("S001C002P003R002", "not a name of the form"),
        ("S033C001P001R001A001", "setup 33, recorded were 1 to 32"),
        ("S001C004P001R001A001", "camera 4"),
        ("S001C001P107R001A001", "subject 107"),
        ("S001C001P001R003A001", "replication 3"),
        ("S001C001P001R001A000", "action 0, recorded were 1 to 120"),
    ],
)
def test_impossible_names(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ntu_names.parse(name)


def test_a_users_missing_list(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Two English lines\nabout it.\n\nS001C001P001R001A001.skeleton\n  s001c001p001r001a002\n\n")
    assert ntu_names.missing(path) == {"S001C001P001R001A001", "S001C001P001R001A002"}
    path.write_text("S001C001P001R001A001\nS001C001P001R001B002\n")
    with pytest.raises(ValueError, match=r"mine.txt:2: 'S001C001P001R001B002' is not a name"):
        ntu_names.missing(path)
    path.write_text("nothing here\n")
    with pytest.raises(ValueError, match="holds no name"):
        ntu_names.missing(path)
