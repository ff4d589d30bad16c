"""NTU RGB+D from the files that people have: trees, zip files, missing lists, doubles, damage."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.datasets import catalog, store
from benchmarks.datasets.prepare import prepare
from benchmarks.datasets.preprocess import preprocess
from benchmarks.datasets.raw import found, ntu, ntu_names
from benchmarks.datasets.source import BadClip
from benchmarks.throughput.skeleton_files import bodies_of, skeleton_text
from tests.benchmarks.datasets.raw.ntu_files import clip_of, irds_tree, recordings, some_names

TINY = skeleton_text(bodies_of(np.random.default_rng(0).normal(size=(3, 3, 25, 2)) + 2))
MISSING = "S001C002P005R002A008"  # the first name of the official list


def silent(line: str) -> None:
    """Nobody reads what a test reports."""


def put(folder: Path, *names: str, content: bytes = TINY) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.skeleton").write_bytes(content)


def names_of(*raw: Path, dataset: str = "ntu60") -> list[str]:
    return [clip.row["name"] for clip in ntu.source(raw, dataset).clips]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    put(tmp_path / "raw" / "deep" / "er", "S002C001P003R001A050", "S001C001P001R001A001", MISSING)
    put(tmp_path / "raw", "S018C001P008R001A061", "notes")
    return tmp_path / "raw"


def test_files_are_found_by_name_and_sorted(raw: Path) -> None:
    source = ntu.source([raw], "ntu60")
    assert [clip.row["name"] for clip in source.clips] == ["S001C001P001R001A001", "S002C001P003R001A050"]
    assert source.clips[1].row == ntu_names.parse("S002C001P003R001A050")
    for note in (
        "1 recordings on the list of missing skeletons are passed over",
        "1 recordings belong to NTU RGB+D 120 and not to 60",
        "1 files are not named like a recording and are passed over",
    ):
        assert note in source.notes
    assert names_of(raw, dataset="ntu120")[-1] == "S018C001P008R001A061"


def test_straight_inside_the_official_zip_files(raw: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack" / "nturgbd_skeletons_s001_to_s017.zip"
    pack.parent.mkdir()
    with zipfile.ZipFile(pack, "w", zipfile.ZIP_DEFLATED) as file:
        for path in raw.rglob("*.skeleton"):
            file.write(path, f"nturgb+d_skeletons/{path.name}")
    loose, zipped = ntu.source([raw], "ntu60"), ntu.source([pack.parent], "ntu60")
    assert [clip.row for clip in zipped.clips] == [clip.row for clip in loose.clips]
    for left, right in zip(loose.clips, zipped.clips, strict=True):
        np.testing.assert_array_equal(loose.load(left.place).x, zipped.load(right.place).x)
    both = ntu.source([pack, raw], "ntu60")
    assert all(clip.place.member is None for clip in both.clips)  # loose files go before
    assert "2 recordings were found a second time; a loose file goes before a zipped one" in both.notes
    assert [path.name for path in pack.parent.iterdir()] == [pack.name]  # nothing was unpacked

    content = bytearray(pack.read_bytes())
    content[content.index(b"S001C001P001R001A001.skeleton") + 60] ^= 255
    pack.write_bytes(content)
    found._opened.cache_clear()
    broken = ntu.source([pack], "ntu60")
    with pytest.raises(BadClip, match="cannot be unpacked"):
        broken.load(broken.clips[0].place)
    pack.write_bytes(content[: len(content) // 2])
    found._opened.cache_clear()
    with pytest.raises(ValueError, match=r"is not a readable zip file, or is cut .*; fetch it again"):
        ntu.source([pack], "ntu60")


def test_the_same_name_twice(raw: Path, tmp_path: Path) -> None:
    put(tmp_path / "copy", "S001C001P001R001A001")
    assert len(names_of(raw, tmp_path / "copy")) == 2
    put(tmp_path / "copy", "S001C001P001R001A001", content=TINY.replace(b"\n", b"\r\n"))
    assert len(names_of(raw, tmp_path / "copy")) == 2  # another line end is no other recording
    for other in (TINY + b"\n\n", TINY.replace(b"1", b"2")):  # the second has the same size
        put(tmp_path / "copy", "S001C001P001R001A001", content=other)
        with pytest.raises(ValueError, match=r"S001C001P001R001A001 occurs twice and differs: .*; give --raw only one"):
            names_of(raw, tmp_path / "copy")


def test_the_same_name_in_two_zip_files(tmp_path: Path) -> None:
    texts = {"one": TINY, "same": TINY, "ends": TINY.replace(b"\n", b"\r\n"), "other": TINY.replace(b"1", b"2")}
    for name, text in texts.items():
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as pack:
            pack.writestr("S001C001P001R001A001.skeleton", text)
    for name in ("same", "ends"):
        assert len(names_of(tmp_path / "one.zip", tmp_path / f"{name}.zip")) == 1
    with pytest.raises(ValueError, match="S001C001P001R001A001 occurs twice and differs"):
        names_of(tmp_path / "one.zip", tmp_path / "other.zip")


def test_a_missing_list_of_ones_own(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("S001C001P001R001A001\n")
    source = ntu.source([raw], "ntu60", missing_list=tmp_path / "mine.txt")
    assert [clip.row["name"] for clip in source.clips] == [MISSING, "S002C001P003R001A050"]
    assert source.options == {"bodies": "first-two", "missing_list": "mine.txt"}


def test_nothing_there(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"rwa does not exist. Did you mean .*raw\?"):
        names_of(tmp_path / "rwa")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"nothing to prepare in .*no .skeleton file.*s018_to_s032"):
        names_of(tmp_path / "empty")
    put(tmp_path / "later", "S018C001P008R001A061")
    with pytest.raises(FileNotFoundError, match="1 recordings belong to NTU RGB"):
        names_of(tmp_path / "later")
    with pytest.raises(ValueError, match=r"Unknown choice of bodies 'by_motion'. Did you mean 'by-motion'"):
        ntu.source([raw], "ntu60", bodies="by_motion")


def test_a_file_that_is_gone_or_absurd(raw: Path) -> None:
    source = ntu.source([raw], "ntu60")
    place = source.clips[0].place
    with pytest.raises(BadClip, match="has 300000000 bytes, expected at most 200000000"):
        source.load(place._replace(size=300_000_000))
    os.unlink(place.path)
    with pytest.raises(BadClip, match="cannot be read: No such file"):
        source.load(place)
    os.symlink("nowhere", place.path)
    dangling = ntu.source([raw], "ntu60")
    with pytest.raises(BadClip, match="cannot be read: No such file"):
        dangling.load(dangling.clips[0].place)


@pytest.mark.parametrize("dataset", ["ntu60", "ntu120"])
def test_a_sample_of_the_official_names_lands_on_the_official_sides(tmp_path: Path, dataset: str) -> None:
    names = ntu_names.expected(dataset)[::251]
    put(tmp_path / "raw", *names)
    folder = prepare(dataset, [tmp_path / "raw"], tmp_path, 4, partial=True, say=silent)
    x, meta, manifest = store.load(folder)
    assert list(meta["name"]) == list(names)
    assert x.shape == (len(names), 3, 4, 25, 2)
    everyone = pd.DataFrame([ntu_names.parse(name) for name in ntu_names.expected(dataset)])
    for split, (train, test) in catalog.EXPECTED[dataset].items():
        sides = catalog.splits(dataset, split, 4, tmp_path)
        for rows, count, side in ((sides.train.rows, train, 0), (sides.test.rows, test, 1)):
            official = set(everyone["name"].to_numpy()[catalog.sides(dataset, split, everyone)[side]])
            assert len(official) == count
            assert set(meta["name"].to_numpy()[rows]) == official & set(names)
    assert manifest["source"]["partial"] is True


def test_an_incomplete_download_is_refused(raw: Path, tmp_path: Path) -> None:
    message = r"56576 of the 56578 recordings of NTU RGB\+D 60 are missing: S001C001P001R001A002, .*--partial"
    with pytest.raises(ValueError, match=message):
        prepare("ntu60", [raw], tmp_path / "data", 4, say=silent)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_real_recordings_through_the_whole_path(shared: Path, tmp_path: Path, newline: str) -> None:
    paths = irds_tree(shared, tmp_path / "raw", 24, newline=newline)
    assert sorted(path.stem for path in paths) == some_names("ntu60", 24)
    folder = prepare("ntu60", [tmp_path / "raw"], tmp_path, 16, partial=True, jobs=2, say=silent)
    x, meta, manifest = store.load(folder)
    assert manifest["left_out"] == []
    recorded = recordings(shared, 40)
    for row, name in enumerate(meta["name"]):
        raw_clip = clip_of(name, recorded)
        padded = np.concatenate([raw_clip, np.zeros_like(raw_clip)], axis=3)[..., :2]
        np.testing.assert_allclose(x[row], preprocess(padded, 16), atol=2e-5)  # seven digits in the file
    assert meta["persons"].tolist() == [1 + (int(name[17:]) >= 50) for name in meta["name"]]
    assert len(set(meta["persons"])) == 2


def test_the_choice_of_bodies_changes_the_numbers_and_is_kept(shared: Path, tmp_path: Path) -> None:
    irds_tree(shared, tmp_path / "raw", 24)
    made = {}
    for bodies in ("first-two", "by-motion"):
        folder = prepare("ntu60", [tmp_path / "raw"], tmp_path / bodies, 8, partial=True, say=silent, bodies=bodies)
        made[bodies], _, manifest = store.load(folder)
        assert manifest["source"]["bodies"] == bodies
    assert not np.array_equal(made["first-two"], made["by-motion"])


def test_damaged_files_among_good_ones_are_reported_with_file_line_and_reason(tmp_path: Path) -> None:
    """Through the whole of `prepare`: every accident of a hundred files is told and counted, the others are stored."""
    rng = np.random.default_rng(0)
    names = list(ntu_names.expected("ntu60")[::400][:120])
    accidents = {
        name: TINY[: int(rng.integers(1, len(TINY) - 400))] if i % 2 else TINY.replace(b"\n25\n", b"\n%d\n" % i, 1)
        for i, name in enumerate(names[:100])
        if i != 25
    }
    for name in names:
        put(tmp_path / "raw", name, content=accidents.get(name, TINY))
    said: list[str] = []
    folder = prepare("ntu60", [tmp_path / "raw"], tmp_path, 4, partial=True, jobs=2, say=said.append)
    x, meta, manifest = store.load(folder)
    assert sorted(meta["name"]) == sorted(set(names) - accidents.keys())
    assert all(np.array_equal(clip, x[0]) for clip in x)
    assert [line.partition(".skeleton: line ")[0] for line in manifest["left_out"]] == sorted(accidents)
    assert f"  {len(accidents)} recordings cannot be used and are left out:" in said
    assert any("expected 25 joints" in line for line in said)
    with pytest.raises(ValueError, match=rf"--strict: {min(accidents)}.skeleton: line \d+"):
        prepare("ntu60", [tmp_path / "raw"], tmp_path, 4, partial=True, strict=True, say=silent)
