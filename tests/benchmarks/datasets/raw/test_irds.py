"""The IRDS reader: every kind of bad file gets a message to act on; the real release is read whole."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.datasets import catalog, rules, store
from benchmarks.datasets.check import check
from benchmarks.datasets.prepare import prepare
from benchmarks.datasets.raw import irds

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


def silent(line: str) -> None:
    """Nobody reads what a test reports."""


def read(*places: Path) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Rows and clips of everything below, in the order in which they would be stored."""
    source = irds.source(places)
    assert not source.refused
    return [(dict(clip.row), source.load(clip.place).x) for clip in source.clips]


def spoil(raw: Path, content: str | bytes) -> str:
    path = raw / "deep" / "Simplified" / NAMES[1]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path.name


def test_reads_a_folder(raw: Path) -> None:
    clips = read(raw)
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
    assert clips[0][1].shape == (3, 6, 25, 1)


def test_values_land_in_their_places() -> None:
    line = ",".join(str(number) for number in range(75))
    x = irds.parse(f"{line}\r\n{line}\r\n\r\n".encode())
    assert x.shape == (3, 2, 25, 1)
    assert x[:, 1, 24, 0].tolist() == [72.0, 73.0, 74.0]


def test_line_ends_do_not_matter(raw: Path) -> None:
    before = read(raw)[1][1]
    spoil(raw, text(seed=1).replace("\n", "\r\n") + "\r\n\r\n")
    np.testing.assert_array_equal(read(raw)[1][1], before)
    spoil(raw, text(seed=1).rstrip("\n"))
    np.testing.assert_array_equal(read(raw)[1][1], before)


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
def test_bad_file(raw: Path, tmp_path: Path, content: str | bytes, message: str) -> None:
    name = spoil(raw, content)
    with pytest.raises(ValueError, match=message) as caught:
        prepare("irds", [raw], tmp_path, 8, partial=True, strict=True, say=silent)
    assert f"--strict: {name}: " in str(caught.value)
    said: list[str] = []
    folder = prepare("irds", [raw], tmp_path, 8, partial=True, say=said.append)
    x, _, manifest = store.load(folder)
    assert len(x) == 2
    (line,) = manifest["left_out"]
    assert line.startswith(f"{name}: ")
    assert line.count(name) == 1
    assert any(line in spoken for spoken in said)


def test_names_of_the_right_shape_with_impossible_values_are_counted(raw: Path, tmp_path: Path) -> None:
    folder = raw / "deep" / "Simplified"
    (folder / "101_18_9_1_1_stand.txt").write_text(text())
    (folder / "101_18_1_1_1_floor.txt").write_text(text())
    spoil(raw, CUT)
    left_out = store.read_manifest(prepare("irds", [raw], tmp_path, 8, partial=True, say=silent))["left_out"]
    assert len(left_out) == 3
    for part, line in zip(("position 'floor'", "gesture 9", "found 31 numbers"), left_out, strict=True):
        assert part in line


def test_an_incomplete_release_is_refused(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"3 recordings found, 2589 expected of IntelliRehabDS.*--partial"):
        prepare("irds", [raw], tmp_path / "data", 8, say=silent)
    assert not (tmp_path / "data").exists()
    prepare("irds", [raw], tmp_path / "data", 8, partial=True, say=silent)
    report = check("irds", 8, tmp_path / "data")
    assert not report.good
    assert re.search(r"files +expected +2589 +found +3 +<-- differs", str(report))
    assert "3 recordings found" in str(report)


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
        with tarfile.open(archive, f"w:{kind[4:]}") as pack:  # type: ignore[call-overload]  a mode that is no literal
            for name in reversed(NAMES):
                pack.add(folder / name, f"../../Simplified/{name}")
            link = tarfile.TarInfo("Simplified/103_18_0_1_1_stand.txt")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            pack.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    expected = read(raw)
    for place in (archive, archive.parent):
        result = read(place)
        assert [row for row, _ in result] == [row for row, _ in expected]
        for (_, left), (_, right) in zip(result, expected, strict=True):
            np.testing.assert_array_equal(left, right)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["irds.tar.xz", "irds.tar"])
def test_broken_archive(raw: Path, tmp_path: Path, name: str) -> None:
    archive = tmp_path / name
    with tarfile.open(archive, "w:xz" if name.endswith("xz") else "w") as pack:
        pack.add(raw, "raw")
    archive.write_bytes(archive.read_bytes()[:1500])
    with pytest.raises(ValueError, match=r"is not a readable archive, or is cut.*fetch it again"):
        read(archive)
    archive.write_bytes(b"not an archive at all")
    with pytest.raises(ValueError, match=r"not a readable archive"):
        read(archive)


def test_raw_data_is_passed_over_and_doubles_are_refused(raw: Path) -> None:
    other = raw / "RawData"
    other.mkdir()
    (other / NAMES[0]).write_text("Version0.1\n")
    assert len(read(raw)) == 3
    other.rename(raw / "copy")
    with pytest.raises(ValueError, match=rf"{NAMES[0]} occurs twice"):
        read(raw)


def test_missing_or_empty_raw_folder(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"rwa does not exist. Did you mean .*raw\?"):
        read(tmp_path / "rwa")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no IRDS recording in .*empty.*101_18_0_1_1_stand.txt"):
        read(tmp_path / "empty")


def test_prepare_refuses(raw: Path, tmp_path: Path) -> None:
    cases: list[tuple[str, int, dict[str, Any], str]] = [
        ("irsd", 8, {}, r"Did you mean 'irds'"),
        ("irds", 8, {"bodies": "first-two"}, r"Unknown option of irds 'bodies'"),
        ("irds", 0, {}, r"at least 1"),
    ]
    for name, frames, options, message in cases:
        with pytest.raises(ValueError, match=message):
            prepare(name, [raw], tmp_path / "data", frames, say=silent, **options)
    assert not (tmp_path / "data").exists()


@pytest.fixture(scope="module")
def data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real recordings, prepared from the archive at 32 frames."""
    data = tmp_path_factory.mktemp("data")
    prepare("irds", [shared / "data"], data, 32, say=silent)
    return data


def test_real_release_is_complete(data: Path) -> None:
    report = check("irds", 32, data)
    assert report.good, str(report)
    x, meta, manifest = store.load(data / "irds-32")
    assert x.shape == (2589, 3, 32, 25, 1)
    assert meta["label"].value_counts().sort_index().to_dict() == irds.EXPECTED["gesture"]
    assert sorted(meta["subject"].unique())[::2] == list(rules.IRDS_TRAIN)
    assert manifest["left_out"] == []
    for split, (train, test) in catalog.EXPECTED["irds"].items():
        sides = catalog.splits("irds", split, 32, data)
        assert (len(sides.train.rows), len(sides.test.rows)) == (train, test)
        assert sides.classes == (18 if split == "xsub18" else 9)
        assert set(sides.train.y[sides.train.rows]) == set(range(sides.classes))


def test_real_coordinates_make_sense(data: Path) -> None:
    """1-NN on raw coordinates: about .84 is known for another centring, chance is .15."""
    train, test, _ = catalog.splits("irds", "xsub", 32, data)
    flat = train.x.reshape(len(train.x), -1)
    neighbour = KNeighborsClassifier(1).fit(flat[train.rows], train.y[train.rows])
    assert neighbour.score(flat[test.rows], test.y[test.rows]) > 0.75
