"""`data check` counts every split, and says what differs, what is missing and what the clips look like."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import bench
from benchmarks.datasets import store
from benchmarks.datasets.check import check
from benchmarks.digest import digest
from tests.benchmarks.datasets import toy

NTU = ("S001C001P001R001A001", "S001C002P001R001A050", "S001C001P003R001A050")


def put(data: Path, names: tuple[str, ...] = NTU, bad: str | None = None) -> Path:
    rng = np.random.default_rng(0)
    pairs = []
    for name in names:
        camera, subject, label = int(name[5:8]), int(name[9:12]), int(name[17:]) - 1
        row = {"name": name, "label": label, "subject": subject, "camera": camera, "setup": 1}
        clip = rng.normal(size=(3, 8, 25, 2)).astype(np.float32)
        clip[..., 1] *= label >= 49
        pairs.append((row, "line 3: found nothing" if name == bad else clip))
    return toy.put(store.folder_of(data, "ntu60", 8), pairs, classes=60, credit="somebody")


def test_counts_missing_names_lengths_and_persons(tmp_path: Path) -> None:
    put(tmp_path)
    report = check("ntu60", 8, tmp_path)
    text = str(report)
    assert not report.good
    assert re.search(r"clips +expected +56578 +found +3 +<-- differs", text)
    assert re.search(r"xsub train +expected +40091 +found +2 +<-- differs", text)
    assert re.search(r"xview test +expected +18932 +found +2 +<-- differs", text)
    assert "56575 of the 56578 recordings of NTU RGB+D 60 are missing: S001C001P001R001A002, " in text
    assert "both checksums agree" in text
    assert "frames with a first person: 8 to 8, median 8" in text
    assert re.search(r" 8 {2}#{40} 3$", text, re.MULTILINE)
    assert "clips with two people: 66.7 %" in text
    assert "left out: 0" in text


def test_data_that_one_may_only_read_are_checked_without_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path)
    words = ["data", "check", "ntu60", "--frames", "8", "--data", str(tmp_path)]
    assert bench.main(words) == bench.MISSING, "clips are"
    usual = capsys.readouterr().out
    assert f"  picture: {tmp_path / 'figures' / 'ntu60-8.png'}\n" in usual
    shutil.rmtree(tmp_path / "figures")
    (tmp_path / "figures").touch()  # in the place of the folder
    assert bench.main(words) == bench.MISSING
    said = capsys.readouterr().out
    assert said.partition("  picture: ")[0] == usual.partition("  picture: ")[0]
    assert f"  picture: none: cannot write {tmp_path / 'figures' / 'ntu60-8.png'}: " in said
    assert "--data DIR" in said


def test_what_was_left_out_is_named(tmp_path: Path) -> None:
    put(tmp_path, bad=NTU[1])
    assert f"left out: 1\n    {NTU[1]}.txt: line 3: found nothing" in str(check("ntu60", 8, tmp_path))


def test_a_split_that_these_files_cannot_tell(tmp_path: Path) -> None:
    row = {"name": "train-000001", "label": 3, "subject": -1, "xsub": "train"}
    toy.put(store.folder_of(tmp_path, "ntu60", 8), [(row, np.ones((3, 8, 25, 2), np.float32))], classes=60)
    text = str(check("ntu60", 8, tmp_path))
    assert "xview                cannot be cut: these files do not tell the 'camera' of a clip" in text
    assert re.search(r"xsub train +expected +40091 +found +1 ", text)


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    """Nothing here writes them: it takes another program, one that keeps the checksums in order."""
    row = {"name": "a", "label": 0, "subject": 1, "camera": 1}
    folder = toy.put(store.folder_of(tmp_path, "ntu60", 8), [(row, np.ones((3, 8, 25, 2), np.float32))], classes=60)
    np.load(folder / store.ARRAY, mmap_mode="r+")[0, 0, 0, 0, 0] = np.nan
    manifest = json.loads((folder / store.MANIFEST).read_text())
    manifest["sha256"][store.ARRAY] = store.sha256(folder / store.ARRAY)
    manifest["digest"] = digest(manifest)
    (folder / store.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="clip a holds numbers that are not finite"):
        check("ntu60", 8, tmp_path)
