"""PKU-MMD from its text files: a round trip of real clips, every defect, and hostile files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.datasets import catalog, store
from benchmarks.datasets.prepare import prepare
from benchmarks.datasets.preprocess import preprocess
from benchmarks.datasets.raw import pku
from benchmarks.datasets.source import BadClip
from tests.benchmarks.datasets.raw import pku_files
from tests.benchmarks.datasets.raw.ntu_files import recordings

X = np.round(np.random.default_rng(0).normal(size=(3, 40, 25, 2)) + 2, 6)
PLANS: dict[str, dict[str, int]] = {
    "pku1": {"0002-L": 5, "0002-M": 4, "0291-R": 3, "0364-L": 1},
    "pku2": {"A01N01-L": 5, "A01N02-M": 4, "A26N07-R": 3, "A10N08-R": 1},
}


def silent(line: str) -> None:
    """Nobody reads what a test reports."""


@pytest.mark.parametrize("base", ["one", "zero"])
@pytest.mark.parametrize("dataset", ["pku1", "pku2"])
def test_a_round_trip_keeps_every_clip(shared: Path, tmp_path: Path, dataset: str, base: str) -> None:
    written = pku_files.videos(tmp_path / "raw", recordings(shared, 40), PLANS[dataset], base)
    source = pku.source([tmp_path / "raw"], dataset, base)
    assert [clip.row["name"] for clip in source.clips] == sorted(clip.name for clip in written)
    by_name = {clip.name: clip for clip in written}
    for clip in source.clips:
        loaded = source.load(clip.place)
        expected = by_name[clip.row["name"]]
        assert clip.row["label"] == expected.label
        assert loaded.remark == ""
        np.testing.assert_allclose(loaded.x, expected.x, atol=1e-6)  # six decimals in the file
    folder = prepare(dataset, [tmp_path / "raw"], tmp_path, 16, frame_base=base, jobs=2, partial=True, say=silent)
    x, meta, manifest = store.load(folder)
    assert len(x) == len(written)
    assert manifest["classes"] == 51
    assert manifest["source"]["frame_base"] == base
    for row, name in enumerate(meta["name"]):
        np.testing.assert_allclose(x[row], preprocess(by_name[name].x, 16), atol=2e-5)
    assert meta["persons"].tolist() == [2 if by_name[name].x[..., 1].any() else 1 for name in meta["name"]]


@pytest.mark.parametrize("dataset", ["pku1", "pku2"])
def test_rules_without_split_files_and_lists_with_them(tmp_path: Path, dataset: str) -> None:
    raw = tmp_path / "raw"
    pku_files.videos(raw, [X[..., 0]], PLANS[dataset])
    stems = list(PLANS[dataset])
    folder = prepare(dataset, [raw], tmp_path / "rule", 4, partial=True, say=silent)
    ruled = store.load(folder).meta
    assert "xsub" not in ruled
    training = {"pku1": stems[:2] + stems[3:], "pku2": [stems[0], stems[3]]}[dataset]
    train, test = catalog.sides(dataset, "xsub", ruled)
    assert {name[:-4] for name in ruled["name"].to_numpy()[train]} == set(training)
    assert {name[:-4] for name in ruled["name"].to_numpy()[test]} == set(stems) - set(training)
    view, _ = catalog.sides(dataset, "xview", ruled)
    assert {name[-5] for name in ruled["name"].to_numpy()[view]} == {"M", "R"}

    suffix = "" if dataset == "pku1" else "_v2"
    pku_files.splits(raw / f"cross_subject{suffix}.txt", stems[1:2], [*stems[2:], stems[2].replace("R", "M")])
    said: list[str] = []
    listed = store.load(prepare(dataset, [raw], tmp_path / "lists", 4, partial=True, say=said.append)).meta
    train, test = catalog.sides(dataset, "xsub", listed)
    assert {name[:-4] for name in listed["name"].to_numpy()[train]} == {stems[1]}
    assert {name[:-4] for name in listed["name"].to_numpy()[test]} == set(stems[2:])
    report = "\n".join(said)
    assert f"1 videos are in no list of xsub and belong to neither side: {stems[0]}" in report
    assert f"1 videos in the lists of xsub have no files: {stems[2].replace('R', 'M')}" in report
    assert f"xsub: cross_subject{suffix}.txt" in report
    assert "xview: no split file, so the rule of the data set decides" in report


@pytest.mark.parametrize("dataset", ["pku1", "pku2"])
def test_an_incomplete_download_is_refused(tmp_path: Path, dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, data = tmp_path / "raw", tmp_path / "data"
    pku_files.videos(raw, [X[..., 0]], PLANS[dataset])
    stems = list(PLANS[dataset])
    count = {"pku1": 1076, "pku2": 1009}[dataset]
    with pytest.raises(ValueError, match=rf"is incomplete: 4 of the {count} videos have .*--partial"):
        prepare(dataset, [raw], data, 4, say=silent)
    assert not data.exists()
    monkeypatch.setitem(pku.VIDEOS, dataset, len(stems))
    prepare(dataset, [raw], data, 4, say=silent)
    listed = raw / f"cross_view{'' if dataset == 'pku1' else '_v2'}.txt"
    other = stems[0].replace("-L", "-R")
    pku_files.splits(listed, stems[1:], [stems[0], other])
    with pytest.raises(ValueError, match=rf"incomplete: 1 videos in the lists of xview have no files: {other}. Fetch"):
        prepare(dataset, [raw], data, 4, say=silent)
    listed.unlink()
    monkeypatch.setitem(pku.VIDEOS, dataset, len(stems) - 1)
    (raw / "Train_Label_PKU_final" / f"{stems[0]}.txt").unlink()
    with pytest.raises(ValueError, match=f"incomplete: 1 skeleton files have no label file: {stems[0]}. Fetch"):
        prepare(dataset, [raw], data, 4, say=silent)
    said: list[str] = []
    assert store.read_manifest(prepare(dataset, [raw], data, 4, partial=True, say=said.append))["source"]["partial"]
    assert any("1 skeleton files have no label file" in line for line in said)


def test_every_defect_of_a_label(tmp_path: Path) -> None:
    lines = [
        (1, 0, 10, 2),
        (2, 20, 11, 1),
        (3, 31, 99, 2),
        (4, 50, 60, 2),
        (5, 15, 25, 2),
        (51, 5, 5, 1),
        (60, 1, 2, 1),
    ]
    pku_files.put(tmp_path, "0002-L", X, lines)
    source = pku.source([tmp_path], "pku1")
    assert source.refused == [f"{tmp_path}/Train_Label_PKU_final/0002-L.txt: line 7: class 60, allowed are 1 to 51"]
    assert [clip.row["label"] for clip in source.clips] == [0, 1, 2, 3, 4, 50]
    loaded = [source.load(clip.place) for clip in source.clips if clip.row["label"] != 3]
    spans = [(0, 10), (10, 20), (30, 40), (14, 25), (4, 5)]  # overlapping ones are both kept
    remarks = ["start before the video", "start and end swapped", "end beyond the video", "", ""]
    for clip, (first, past), remark in zip(loaded, spans, remarks, strict=True):
        np.testing.assert_array_equal(clip.x, X[:, first:past])
        assert clip.remark == remark
    with pytest.raises(BadClip, match="frames 50 to 60 lie outside the 40 frames of the video"):
        source.load(source.clips[3].place)
    said: list[str] = []
    folder = prepare("pku1", [tmp_path], tmp_path / "data", 4, partial=True, say=said.append)
    assert len(store.read_manifest(folder)["left_out"]) == 2
    assert any("1 clips: start and end swapped" in line for line in said)
    assert any("0002-L.txt line 4: frames 50 to 60 lie outside" in line for line in said)


def test_a_cut_video_is_read_once_and_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, read = tmp_path / "raw", []
    pku_files.put(raw, "0002-L", X, [(1, 1, 10, 2), (2, 11, 20, 2), (3, 21, 30, 2)])
    pku_files.put(raw, "0003-L", X, [(1, 1, 10, 2)])
    with (raw / "PKU_Skeleton_Renew" / "0002-L.txt").open("a") as file:
        file.write("1.5 1.5")
    parse = pku.parse
    monkeypatch.setattr(pku, "parse", lambda text: (read.append(len(text)), parse(text))[1])
    said: list[str] = []
    folder = prepare("pku1", [raw], tmp_path / "data", 4, partial=True, jobs=1, say=said.append)
    assert len(read) == 2
    reason = "line 41: found 2 numbers, expected 150 in the last line: is the file cut?"
    assert said[-2:] == [
        "  3 recordings cannot be used and are left out:",
        f"    0002-L.txt: {reason} (3 clips)",
    ]
    lines = [f"0002-L.txt line {number}: the whole file: {reason}" for number in (1, 2, 3)]
    assert store.read_manifest(folder)["left_out"] == lines


def test_an_interval_without_frames_is_told_as_such(tmp_path: Path) -> None:
    pku_files.put(tmp_path, "0002-L", X, [(1, 5, 5, 2), (1, 50, 50, 2)])
    source = pku.source([tmp_path], "pku1", "zero")
    for clip, message in zip(source.clips, ("5 to 5 are none: counted from zero", "50 to 50 lie outside"), strict=True):
        with pytest.raises(BadClip, match=message):
            source.load(clip.place)
    assert pku.source([tmp_path], "pku1").load(source.clips[0].place).x.shape[1] == 1


def test_of_a_long_action_the_middle_is_kept(tmp_path: Path) -> None:
    x = np.broadcast_to(np.arange(1, 402)[None, :, None, None] / 100, (3, 401, 25, 2))
    pku_files.put(tmp_path, "0002-L", x, [(1, 1, 401, 2)])
    source = pku.source([tmp_path], "pku1")
    loaded = source.load(source.clips[0].place)
    assert loaded.remark == "longer than 300 frames, the middle kept"
    assert loaded.x[0, [0, -1], 0, 0].tolist() == [0.51, 3.50]


def test_files_are_told_apart_by_content_wherever_they_lie(tmp_path: Path) -> None:
    pku_files.put(tmp_path / "raw", "A01N01-L", X, [(1, 1, 10, 2)])
    pku_files.put(tmp_path / "raw", "0002-L", X, [(1, 1, 10, 2)])
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "A01N01-L.skeleton").write_text(pku_files.skeleton(X))
    (flat / "A01N01-L.label").write_text("1,1,10,2")
    pack = tmp_path / "pack.zip"
    with zipfile.ZipFile(pack, "w") as file:
        for path in (tmp_path / "raw").rglob("*.txt"):
            file.write(path, f"any/{path.parent.name}/{path.name}")
    for place in (tmp_path / "raw", flat, pack):
        source = pku.source([place], "pku2")
        assert [clip.row["name"] for clip in source.clips] == ["A01N01-L-001"]
        np.testing.assert_array_equal(source.load(source.clips[0].place).x, X[:, :10])
    assert "2 files belong to the other part of PKU-MMD and are passed over" in pku.source([pack], "pku2").notes


def test_files_without_a_partner_and_nothing_at_all(tmp_path: Path) -> None:
    pku_files.put(tmp_path, "0002-L", X, [(1, 1, 10, 2)])
    (tmp_path / "PKU_Skeleton_Renew" / "0003-L.txt").write_text(pku_files.skeleton(X))
    (tmp_path / "Train_Label_PKU_final" / "0004-L.txt").write_text("1,1,10,2\n")
    lacking = pku.source([tmp_path], "pku1").lacking
    assert "1 skeleton files have no label file: 0003-L" in lacking
    assert "1 label files have no skeleton file: 0004-L" in lacking
    with pytest.raises(FileNotFoundError, match="0 skeleton files, 0 label files, none of them of one video"):
        pku.source([tmp_path], "pku2")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "0002-L.txt").write_bytes(b"1,1,10,2\r\n")
    told = "1 files were found a second time; a loose file goes before a zipped one"
    assert told in pku.source([tmp_path], "pku1").notes
    (tmp_path / "copy" / "0002-L.txt").write_text("1,1,11,2\n1,1,12,2\n")
    with pytest.raises(ValueError, match="0002-L occurs twice and differs"):
        pku.source([tmp_path], "pku1")
    with pytest.raises(ValueError, match="Unknown frame base '1'"):
        pku.source([tmp_path], "pku1", "1")


LINE = " ".join(["1.5"] * 150)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: found 0 numbers, expected 150"),
        (f"{LINE}\n{LINE} 1\n", r"line 2: found 151 numbers, expected 150 in the last line: is the file cut\?"),
        (f"{LINE}\n1 2 3\n{LINE}\n", "line 2: found 3 numbers, expected 150"),
        (LINE.replace("1.5", "x", 1), "line 1, number 1: found 'x', expected a coordinate"),
        (LINE.replace("1.5", "inf", 1), "line 1: found the coordinate inf, expected metres"),
        (LINE.replace("1.5", "-1500", 1), r"line 1: found the coordinate -1500, .*millimetres\?"),
        ("frame;joint;x\n1;2;3\n", "line 1: found 1 numbers, expected 150"),
        (",".join(["1.5"] * 150), "line 1: found 1 numbers, expected 150; commas: this is an export of some table"),
    ],
)
def test_bad_skeleton_files(text: str, message: str) -> None:
    with pytest.raises(BadClip, match=message):
        pku.parse(text.encode())


def test_one_body_nan_and_line_ends() -> None:
    x, mended = pku.parse("\r\n".join([" ".join(["1.5"] * 75)] * 3 + ["", ""]).encode())
    assert x.shape == (3, 3, 25, 2)
    assert x[..., 0].all()
    assert not x[..., 1].any()
    assert not mended
    x, mended = pku.parse(f"{LINE}\n{LINE.replace('1.5', 'nan', 1)}\n".encode())
    assert not x[:, 1, :, 0].any()
    assert x[:, 1, :, 1].all()
    assert mended == ["bodies with NaN, taken as not seen"]


SMALL = pku_files.skeleton(X[:, :3]).encode()


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(
    st.integers(0, len(SMALL)), st.one_of(st.binary(max_size=8), st.just(b"\n"), st.just(b"1e9")), st.integers(0, 900)
)
def test_mutated_skeleton_files_give_a_video_or_a_line(at: int, new: bytes, cut: int) -> None:
    content = SMALL[:at] + new + SMALL[at + cut :]
    answer: Any
    try:
        answer = pku.parse(content)[0]
    except BadClip as error:
        answer = str(error)
    if isinstance(answer, str):
        assert answer.startswith("line ")
    else:
        assert np.isfinite(answer).all()
        assert answer.shape[1] <= content.count(b"\n") + 1
