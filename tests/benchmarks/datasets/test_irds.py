"""The IRDS reader: every kind of bad file gets a message to act on; the real release is read whole."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.datasets import catalog, irds, store
from benchmarks.datasets.prepare import prepare

NAMES = ("101_18_0_1_1_stand.txt", "102_18_3_2_2_chair.txt", "201_18_8_1_3_Stand-frame.txt")


def text(frames: int = 6, seed: int = 0) -> str:
    numbers = np.random.default_rng(seed).normal(size=(frames, 75))
    return "".join(",".join(f"{value:.7g}" for value in line) + "\n" for line in numbers)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw" / "deep" / "Simplified"
    folder.mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        (folder / name).write_text(text(seed=seed))
    (folder / "notes.txt").write_text("not a recording")
    return tmp_path / "raw"


def read(*places: Path, **options: bool) -> irds.Recordings:
    return irds.read(places, 8, say=lambda line: None, **options)


def spoil(raw: Path, content: str | bytes) -> str:
    path = raw / "deep" / "Simplified" / NAMES[1]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path.name


def test_reads_a_folder(raw: Path) -> None:
    clips, left_out, report = read(raw, partial=True)
    assert not left_out
    assert [row["name"] + ".txt" for row, _ in clips] == sorted(NAMES)
    assert clips[2][0] == {
        "name": "201_18_8_1_3_Stand-frame",
        "label": 8,
        "subject": 201,
        "gesture": 8,
        "repetition": 1,
        "correct": 3,
        "position": "stand-frame",
    }
    assert clips[0][1].shape == (3, 8, 25, 1)
    assert clips[0][1].dtype == np.float32
    assert any("files" in line and "2589" in line and "<-- differs" in line for line in report)


def test_values_land_in_their_places() -> None:
    line = ",".join(str(number) for number in range(75))
    x = irds.parse(f"{line}\r\n{line}\r\n\r\n".encode())
    assert x.shape == (3, 2, 25, 1)
    assert x[:, 1, 24, 0].tolist() == [72.0, 73.0, 74.0]


def test_line_ends_do_not_matter(raw: Path) -> None:
    before = read(raw, partial=True).clips[1][1]
    spoil(raw, text(seed=1).replace("\n", "\r\n") + "\r\n\r\n")
    np.testing.assert_array_equal(read(raw, partial=True).clips[1][1], before)
    spoil(raw, text(seed=1).rstrip("\n"))
    np.testing.assert_array_equal(read(raw, partial=True).clips[1][1], before)


CUT = text()[: text().rindex("\n", 0, -1) + 1] + ",".join(["0.5"] * 31)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CUT, r"line 6: found 31 numbers, expected 75 in the last line: is the file cut\?"),
        (CUT + ",", r"line 6: found 31 numbers, expected 75"),
        (text(2) + "\n" + text(2), r"line 3: found 0 numbers, expected 75"),
        (text(2) + "1,2,3\n" + text(2), r"line 3: found 3 numbers, expected 75"),
        (text(2) + "nan," + ",".join("1" * 74) + "\n", r"line 3, number 1: found nan"),
        (text(2) + "1,oops," + ",".join("1" * 73) + "\n", r"line 3, number 2: found 'oops'"),
        (text(2) + "1,," + ",".join("1" * 73) + "\n", r"line 3, number 2: found ''"),
        (b"\xff\xfe\x00\x01", r"line 1: found 1 numbers"),
        ("\n\n", r"empty"),
        ("Version0.1\n1,0,0,(SpineBase,Tracked,1,2,3)\n", r"RawData"),
        ((",".join("0" * 75) + "\n") * 3, r"no valid frame"),
    ],
)
def test_bad_file(raw: Path, content: str | bytes, message: str) -> None:
    name = spoil(raw, content)
    with pytest.raises(ValueError, match=message) as caught:
        read(raw, partial=True)
    assert name in str(caught.value)
    assert "1 of 3 IRDS files are bad" in str(caught.value)
    assert "--skip-bad" in str(caught.value)
    clips, left_out, _ = read(raw, skip_bad=True)
    assert len(clips) == 2
    assert len(left_out) == 1
    assert left_out[0].startswith(f"{name}: ")
    assert left_out[0].count(name) == 1


def test_all_bad_files_are_listed(raw: Path) -> None:
    folder = raw / "deep" / "Simplified"
    (folder / "101_18_9_1_1_stand.txt").write_text(text())
    (folder / "101_18_1_1_1_floor.txt").write_text(text())
    spoil(raw, CUT)
    said: list[str] = []
    with pytest.raises(ValueError, match="3 of 5 IRDS files are bad"):
        irds.read([raw], 8, say=said.append)
    listed = "\n".join(said)
    for part in ("gesture 9", "position 'floor'", "found 31 numbers"):
        assert part in listed


def test_unexpected_counts(raw: Path) -> None:
    with pytest.raises(ValueError, match=r"files\s+expected\s+2589\s+found\s+3.*--partial"):
        read(raw)


@pytest.mark.parametrize("kind", ["tar.xz", "tar.gz", "zip"])
def test_archive_gives_the_same_and_unpacks_nothing(raw: Path, tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "pack" / f"irds.{kind}"
    archive.parent.mkdir()
    folder = raw / "deep" / "Simplified"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as pack:
            for name in reversed(NAMES):
                pack.write(folder / name, f"../../Simplified/{name}")
    else:
        with tarfile.open(archive, f"w:{kind[4:]}") as pack:  # type: ignore[call-overload]
            for name in reversed(NAMES):
                pack.add(folder / name, f"../../Simplified/{name}")
            link = tarfile.TarInfo("Simplified/103_18_0_1_1_stand.txt")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            pack.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    expected = read(raw, partial=True)
    for place in (archive, archive.parent):
        result = read(place, partial=True)
        assert [row for row, _ in result.clips] == [row for row, _ in expected.clips]
        for (_, left), (_, right) in zip(result.clips, expected.clips, strict=True):
            np.testing.assert_array_equal(left, right)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["irds.tar.xz", "irds.tar"])
def test_broken_archive(raw: Path, tmp_path: Path, name: str) -> None:
    archive = tmp_path / name
    with tarfile.open(archive, "w:xz" if name.endswith("xz") else "w") as pack:
        pack.add(raw, "raw")
    archive.write_bytes(archive.read_bytes()[:1500])
    with pytest.raises(ValueError, match=r"is not a readable archive, or is cut.*fetch it again"):
        read(archive, partial=True)
    archive.write_bytes(b"not an archive at all")
    with pytest.raises(ValueError, match=r"not a readable archive"):
        read(archive, partial=True)


def test_raw_data_is_passed_over_and_doubles_are_refused(raw: Path) -> None:
    other = raw / "RawData"
    other.mkdir()
    (other / NAMES[0]).write_text("Version0.1\n")
    assert len(read(raw, partial=True).clips) == 3
    other.rename(raw / "copy")
    with pytest.raises(ValueError, match=rf"{NAMES[0]} occurs twice"):
        read(raw, partial=True)


def test_missing_or_empty_raw_folder(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"rwa does not exist. Did you mean .*raw\?"):
        read(tmp_path / "rwa")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no IRDS recording in .*empty.*101_18_0_1_1_stand.txt"):
        read(tmp_path / "empty")


def test_prepare_refuses(raw: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("irsd", 8, {}), r"Did you mean 'irds'"),
        (("ntu60", 8, {}), r"cannot be read from raw files yet; readable: irds"),
        (("irds", 8, {"skipbad": True}), r"Unknown option of irds 'skipbad'. Did you mean 'skip_bad'"),
        (("irds", 0, {}), r"at least 1"),
    ):
        name, frames, options = arguments
        with pytest.raises(ValueError, match=message):
            prepare(name, [raw], tmp_path / "data", frames, say=lambda line: None, **options)
    assert not (tmp_path / "data").exists()


@pytest.fixture(scope="module")
def data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real recordings, prepared from the archive at 32 frames."""
    data = tmp_path_factory.mktemp("data")
    said: list[str] = []
    prepare("irds", [shared / "data"], data, 32, say=said.append)
    assert not [line for line in said if "differs" in line]
    return data


def test_real_release_is_complete(data: Path) -> None:
    x, meta, manifest = store.load(data / "irds-32")
    assert x.shape == (2589, 3, 32, 25, 1)
    assert meta["label"].value_counts().sort_index().to_dict() == irds.EXPECTED["gesture"]
    assert sorted(meta["subject"].unique())[::2] == list(catalog.IRDS_TRAIN)
    assert manifest["left_out"] == []
    for split, (train, test) in catalog.EXPECTED["irds"].items():
        sides = catalog.splits("irds", split, 32, data)
        assert (len(sides.train.rows), len(sides.test.rows)) == (train, test)
        assert sides.classes == 9


def test_real_coordinates_make_sense(data: Path) -> None:
    """1-NN on raw coordinates: about .84 is known for another centring, chance is .15."""
    train, test, _ = catalog.splits("irds", "xsub", 32, data)
    flat = train.x.reshape(len(train.x), -1)
    neighbour = KNeighborsClassifier(1).fit(flat[train.rows], train.y[train.rows])
    assert neighbour.score(flat[test.rows], test.y[test.rows]) > 0.75
