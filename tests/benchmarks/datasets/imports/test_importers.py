"""Prepared files in circulation give what the raw files give, up to the differences that are documented."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.datasets import catalog, imports, rules, store
from benchmarks.datasets.check import check
from benchmarks.datasets.imports import ctrgcn
from benchmarks.datasets.prepare import prepare
from benchmarks.datasets.raw import ntu, ntu_names
from benchmarks.datasets.source import BadClip, Source
from tests.benchmarks.datasets.imports import import_files
from tests.benchmarks.datasets.raw.ntu_files import irds_tree

FRAMES = 16


def silent(line: str) -> None:
    """Nobody reads what a test reports."""


@pytest.fixture(scope="module")
def tree(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small genuine NTU-60 tree."""
    folder = tmp_path_factory.mktemp("tree")
    irds_tree(shared, folder, 20)
    return folder


def raw_clips(tree: Path, bodies: str) -> dict[str, np.ndarray]:
    source = ntu.source([tree], "ntu60", bodies)
    return {clip.row["name"]: source.load(clip.place).x for clip in source.clips}


def prepared(place: Path, data: Path, dataset: str = "ntu60", **options: Any) -> tuple[np.ndarray, Any]:
    x, meta, _ = store.load(prepare(dataset, [place], data, FRAMES, partial=True, say=silent, **options))
    return np.array(x), meta


def of_kind(source: Source | None) -> Source:
    assert source is not None
    return source


COLUMNS = ["name", "label", "subject", "camera", "setup", "replication"]


def test_pyskl(tree: Path, tmp_path: Path) -> None:
    expected, rows = prepared(tree, tmp_path / "raw", bodies="by-motion")
    path = import_files.pyskl(tmp_path / "ntu60_3danno.pkl", raw_clips(tree, "by-motion"))
    found, meta = prepared(path, tmp_path / "pyskl")
    assert meta[COLUMNS].equals(rows[COLUMNS])
    # float16 has steps of 2 mm at 3 m. A joint and its centre may be off by one each way; turning the clip by an angle
    # that is itself a little off moves the farthest joints once more.
    assert np.abs(found - expected).max() < 0.02
    assert np.abs(found - expected).mean() < 0.002
    manifest = store.read_manifest(store.folder_of(tmp_path / "pyskl", "ntu60", FRAMES))
    assert manifest["source"]["imported"] is True  # tables say so
    assert manifest["left_out"] == []  # an empty annotation is no recording that was left out
    assert check("ntu60", FRAMES, tmp_path / "pyskl").lines[1].startswith("  from pyskl pickle (ntu60_3danno.pkl)")


def test_crossclr(tree: Path, tmp_path: Path) -> None:
    expected, rows = prepared(tree, tmp_path / "raw")
    clips = raw_clips(tree, "first-two")
    training = {name for name in clips if ntu_names.parse(name)["subject"] in rules.NTU60_TRAIN}
    top = tmp_path / "NTU60_frame16"
    import_files.crossclr(top / "xsub", clips, FRAMES, training)
    for place in (top / "xsub", top):
        found, meta = prepared(place, tmp_path / "imported")
        assert meta[COLUMNS].equals(rows[COLUMNS])
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"has 16 frames and cannot be resampled to 64: prepare it with --frames 16"):
        imports.source(top, "ntu60", 64)
    with pytest.raises(ValueError, match="give its folder"):
        imports.source(top / "xsub" / "train_position.npy", "ntu60", FRAMES)
    (top / "xsub" / "val_label.pkl").unlink()
    with pytest.raises(ValueError, match=r"val_label.pkl is missing; the four files"):
        imports.source(top, "ntu60", FRAMES)


def test_crossclr_of_pku(tmp_path: Path) -> None:
    folder = tmp_path / "xsub"
    folder.mkdir()
    x = np.random.default_rng(0).normal(size=(2, 3, FRAMES, 25, 2)).astype(np.float32)
    for side, clips, names in (
        ("train", x, ["A01N02V001C050L007", "A02N01V002C003L001"]),
        ("val", x[:1], ["A03N03V001C001L001"]),
    ):
        np.save(folder / f"{side}_position.npy", clips)
        (folder / f"{side}_label.pkl").write_bytes(pickle.dumps((names, [49, 2][: len(names)])))
    found, meta = prepared(folder, tmp_path / "data", "pku2")
    np.testing.assert_array_equal(found[0], x[0])
    assert meta["xsub"].tolist() == ["train", "train", "test"]
    assert meta["video"].tolist() == ["A01N02", "A02N01", "A03N03"]
    assert meta["subject"].tolist() == [2, 1, 3]
    told = str(check("pku2", FRAMES, tmp_path / "data"))
    assert "xview                cannot be cut: these files do not tell the 'camera' of a clip" in told
    with pytest.raises(ValueError, match="pku2 xview: meta has no column 'camera', only"):
        catalog.splits("pku2", "xview", FRAMES, tmp_path / "data")


def order_of(names: list[str], split: str = "xsub") -> dict[str, list[str]]:
    """CTR-GCN's order, said in another way than the importer says it."""
    column, training = {"xsub": ("subject", rules.NTU60_TRAIN), "xview": ("camera", (2, 3))}[split]
    key = {name: ntu_names.parse(name)[column] for name in names}
    train = [name for wanted in training for name in sorted(names) if key[name] == wanted]
    return {"train": train, "test": sorted((n for n in names if n not in train), key=lambda n: (key[n], n))}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize(("stem", "split"), [("NTU60_CS", "xsub"), ("NTU60_CV", "xview")])
def test_ctrgcn(tree: Path, tmp_path: Path, stem: str, split: str, copied: bool, compressed: bool) -> None:
    expected, rows = prepared(tree, tmp_path / "raw", bodies="by-motion")
    clips = raw_clips(tree, "by-motion")
    order = order_of(list(clips), split)
    path = import_files.ctrgcn(tmp_path / f"{stem}.npz", clips, order, copied, 60, compressed)
    names = tmp_path / "skes_available_name.txt"
    names.write_text("\n".join(sorted(clips)) + "\n")
    found, meta = prepared(path, tmp_path / "named", names=names)
    assert meta["name"].tolist() == [*order["train"], *order["test"]]
    again = rows.set_index("name").loc[meta["name"]]
    assert meta["persons"].tolist() == again["persons"].tolist()  # a copied person is taken out
    by_name = dict(zip(rows["name"], expected, strict=True))
    np.testing.assert_allclose(found, np.stack([by_name[name] for name in meta["name"]]), atol=2e-5)

    blind, meta = prepared(path, tmp_path / "blind")  # without names only its own split can be told
    np.testing.assert_array_equal(blind, found)
    assert meta[split].tolist() == ["train"] * len(order["train"]) + ["test"] * len(order["test"])
    assert meta["name"].iloc[-1] == f"test-{len(order['test']):06}"

    (tmp_path / "other.txt").write_text("\n".join(sorted(clips)[::-1][:-1]))
    with pytest.raises(ValueError, match=r"other.txt is not the list of .*it gives other numbers"):
        imports.source(path, "ntu60", FRAMES, tmp_path / "other.txt")


def test_names_are_rebuilt_from_the_official_list_when_the_numbers_fit(
    monkeypatch: pytest.MonkeyPatch, tree: Path, tmp_path: Path
) -> None:
    clips = raw_clips(tree, "by-motion")
    order = order_of(list(clips))
    path = import_files.ctrgcn(tmp_path / "NTU60_CS.npz", clips, order, False, 60)
    monkeypatch.setattr(ntu_names, "expected", lambda dataset: tuple(sorted(clips)))
    source = of_kind(imports.source(path, "ntu60", FRAMES))
    assert [clip.row["name"] for clip in source.clips] == [*order["train"], *order["test"]]
    assert source.notes == ["names rebuilt from the list, every label agrees"]
    swapped = {**order, "train": order["train"][::-1]}  # another order: the labels tell
    path = import_files.ctrgcn(tmp_path / "X_CS.npz", clips, swapped, False, 60)
    assert of_kind(imports.source(path, "ntu60", FRAMES)).clips[0].row["name"] == "train-000001"
    (tmp_path / "names.txt").write_text("\n".join(sorted(clips)))
    with pytest.raises(ValueError, match=r"is not the list of .*labels differ, the first at S"):
        imports.source(path, "ntu60", FRAMES, tmp_path / "names.txt")


def test_rows_of_an_npz_in_any_order(tree: Path, tmp_path: Path) -> None:
    clips = raw_clips(tree, "by-motion")
    path = import_files.ctrgcn(tmp_path / "NTU60_CS.npz", clips, order_of(list(clips)), False, 60, compressed=True)
    places = [clip.place for clip in of_kind(imports.source(path, "ntu60", FRAMES)).clips]
    forwards = [ctrgcn.load(place).x for place in places]
    for i in (7, 3, 4, 12, 0, len(places) - 1, 2):  # as after a kill
        np.testing.assert_array_equal(ctrgcn.load(places[i]).x, forwards[i])


def test_a_large_member_is_streamed(tmp_path: Path) -> None:
    """400 MB of rows in a file of six; only one row at a time is in memory."""
    import tracemalloc

    path = tmp_path / "NTU60_CS.npz"
    count, row = 2200, np.zeros((300, 150), np.float32)
    row[:9, :75] = np.random.default_rng(0).normal(size=(9, 75))  # what packs better than any body is refused
    one_hot = np.zeros((count, 60))
    one_hot[:, 3] = 1.0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as pack:
        for side, n in (("train", count), ("test", 1)):
            with pack.open(f"x_{side}.npy", "w", force_zip64=True) as file:
                head = {"descr": "<f4", "fortran_order": False, "shape": (n, 300, 150)}
                np.lib.format.write_array_header_1_0(file, head)
                for _ in range(n):
                    file.write(row.tobytes())
            with pack.open(f"y_{side}.npy", "w") as file:
                np.lib.format.write_array(file, one_hot[:n])
    tracemalloc.start()
    try:
        source = of_kind(imports.source(path, "ntu60", FRAMES))
        for clip in source.clips[::100]:
            assert source.load(clip.place).x.shape == (3, 9, 25, 2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 80e6, "a seek in a zip file reads 16 MB at a time"


def test_an_array_that_nobody_reads_any_more_is_closed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(12, dtype=np.float32).reshape(3, 2, 2))
    stream = ctrgcn._Stream(str(tmp_path / "a.npz"), "x")
    before = stream.file
    assert stream.row(2).tolist() == [[8, 9], [10, 11]]
    assert stream.row(0).tolist() == [[0, 1], [2, 3]]
    again = stream.file
    assert before.closed
    assert not again.closed
    del stream
    assert again.closed


def test_what_no_importer_knows_is_left_to_the_raw_readers(tree: Path, tmp_path: Path) -> None:
    assert imports.source(tree, "ntu60", FRAMES) is None
    assert imports.source(next(tree.rglob("*.skeleton")), "ntu60", FRAMES) is None
    assert imports.source(tmp_path / "nowhere", "ntu60", FRAMES) is None
    with pytest.raises(ValueError, match="--names belongs to a CTR-GCN file"):
        prepare("ntu60", [tree], tmp_path, FRAMES, partial=True, say=silent, names=tmp_path)
    path = import_files.pyskl(tmp_path / "a.pkl", raw_clips(tree, "first-two"))
    with pytest.raises(ValueError, match="--bodies: only for raw files; in a pyskl pickle this was decided"):
        prepare("ntu60", [path], tmp_path, FRAMES, partial=True, say=silent, bodies="first-two")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": "none"}, r"holds a dict with \['annotations'\], expected pyskl's dict"),
        ([1, 2], "holds a list, expected pyskl's dict"),
        ({"annotations": [None]}, "holds no recording of ntu60"),
    ],
)
def test_other_pickles(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=message):
        imports.source(path, "ntu60", FRAMES)


def test_annotations_that_cannot_be_used(tmp_path: Path) -> None:
    good = np.ones((1, 5, 25, 3), np.float16)
    flat = {"frame_dir": "S001C001P001R001A001", "label": 0, "keypoint": np.ones((1, 5, 17, 2)), "keypoint_score": 1}
    annotations = [
        flat,
        {"filename": "S001C001P001R001A002.skeleton", "label": 1, "keypoint": good, "total_frames": 5},
        {"frame_dir": "S001C001P001R001A003", "label": 7, "keypoint": good[:, :, :24]},
        {"frame_dir": "S001C001P001R001A004", "label": 3, "keypoint": good, "total_frames": 9},
        {"frame_dir": "nonsense", "label": 0, "keypoint": good},
        {"frame_dir": "S001C002P005R002A008", "label": 7, "keypoint": good},  # on the missing list
        {"frame_dir": "S018C001P008R001A061", "label": 60, "keypoint": good},
    ]
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"split": {"xsub_train": []}, "annotations": annotations}))
    source = of_kind(imports.source(path, "ntu60", FRAMES))
    assert [clip.row["name"][-4:] for clip in source.clips] == ["A002", "A003", "A004"]
    assert len(source.refused) == 2
    assert "2D poses" in source.refused[0]
    assert "1 labels differ from the action in the name, which is used" in source.notes
    assert any("recordings are on another side of xsub" in note for note in source.notes)
    assert source.load(source.clips[0].place).x.shape == (3, 5, 25, 2)
    for clip, message in zip(source.clips[1:], ("keypoint of shape", "total_frames is 9"), strict=True):
        with pytest.raises(BadClip, match=message):
            source.load(clip.place)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("at", [0.02, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("how", ["cut", "flip"])
def test_a_damaged_npz_is_refused(tree: Path, tmp_path: Path, at: float, how: str, compressed: bool) -> None:
    """Wherever the damage is: a row that decodes to other numbers would never be noticed later."""
    clips = raw_clips(tree, "by-motion")
    path = import_files.ctrgcn(tmp_path / "NTU60_CS.npz", clips, order_of(list(clips)), False, 60, compressed)
    content = bytearray(path.read_bytes())
    place = int(at * len(content))
    path.write_bytes(content[:place] if how == "cut" else content[:place] + b"\x00\xff" * 8 + content[place + 16 :])
    with pytest.raises(ValueError, match=r"NTU60_CS.npz is not a readable npz, or is cut .*; fetch it again"):
        imports.source(path, "ntu60", FRAMES)


def test_npz_of_another_kind(tmp_path: Path) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("other.npz", {"x_train": np.zeros(3)}, "the name should tell the split"),
        ("NTU60_CSet.npz", {"x_train": np.zeros(3)}, "the name should tell the split"),  # there is none for NTU-60
        ("NTU60_CS.npz", {"x": np.zeros(3)}, "has no array y_train"),
        ("NTU60_CV.npz", {"y_train": np.zeros(3), "y_test": np.zeros(3)}, "expected one row of zeros and a one"),
    ]
    for name, arrays, message in cases:
        np.savez(tmp_path / name, **arrays)
        with pytest.raises(ValueError, match=message):
            imports.source(tmp_path / name, "ntu60", FRAMES)
    (tmp_path / "NTU60_CS.npz").write_bytes((tmp_path / "NTU60_CS.npz").read_bytes()[:100])
    with pytest.raises(ValueError, match="is not a readable npz, or is cut"):
        imports.source(tmp_path / "NTU60_CS.npz", "ntu60", FRAMES)
