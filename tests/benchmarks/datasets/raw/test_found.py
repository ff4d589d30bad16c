"""Files are found wherever people keep them, and what is not opened is told."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from benchmarks.datasets.raw import irds, ntu, pku
from tests.benchmarks.datasets.raw import pku_files
from tests.benchmarks.datasets.raw.test_irds import NAMES, text
from tests.benchmarks.datasets.raw.test_ntu import TINY, names_of, put
from tests.benchmarks.datasets.raw.test_pku import X

NAME, OTHER = "S001C001P001R001A001", "S001C001P001R001A002"


def pack(path: Path, **members: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_what_macos_leaves_beside_files_is_no_file(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    pack(raw / "all.zip", **{f"{NAME}.skeleton": TINY, f"._{NAME}.skeleton": b"\0\5\x16\7"})
    (raw / "._all.zip").write_bytes(b"\0\5\x16\7")
    (raw / f"._{OTHER}.skeleton").write_bytes(b"\0\5\x16\7")
    source = ntu.source([raw], "ntu60")
    assert [clip.row["name"] for clip in source.clips] == [NAME]
    assert source.notes == []
    clinic = tmp_path / "irds"
    pack(clinic / "all.zip", **{NAMES[0]: text(), f"._{NAMES[0]}": "no text"})
    (clinic / "._all.zip").write_bytes(b"\0\5\x16\7")
    assert [clip.origin for clip in irds.source([clinic]).clips] == [NAMES[0]]


def test_a_damaged_zip_file_is_a_note_where_there_is_more(tmp_path: Path) -> None:
    raw, damaged = tmp_path / "raw", tmp_path / "raw" / "other.zip"
    put(raw, NAME)
    damaged.write_bytes(b"PK")
    (note,) = ntu.source([raw], "ntu60").notes
    assert note.startswith(f"passed over: {damaged} is not a readable zip file, or is cut")
    pku_files.put(raw, "0002-L", X, [(1, 1, 10, 2)])
    assert note in pku.source([raw], "pku1").notes
    for given in ([raw, damaged], [damaged]):  # it was named itself
        with pytest.raises(ValueError, match=r"other.zip is not a readable zip file, or is cut"):
            names_of(*given)
    (raw / f"{NAME}.skeleton").unlink()
    with pytest.raises(ValueError, match=r"other.zip is not a readable zip file, or is cut"):
        names_of(raw)


def test_a_damaged_archive_of_irds_is_a_note_where_there_is_more(tmp_path: Path) -> None:
    pack(tmp_path / "raw" / "good.zip", **{NAMES[0]: text()})
    (tmp_path / "raw" / "other.tar.xz").write_bytes(b"\xfd7zXZ\0")
    source = irds.source([tmp_path / "raw"])
    assert [clip.origin for clip in source.clips] == [NAMES[0]]
    assert "other.tar.xz is not a readable archive, or is cut" in source.notes[0]
    (tmp_path / "raw" / "good.zip").unlink()
    with pytest.raises(ValueError, match=r"other.tar.xz is not a readable archive, or is cut"):
        irds.source([tmp_path / "raw"])


def test_linked_folders_are_entered_once(tmp_path: Path) -> None:
    put(tmp_path / "disk", NAME)
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "there").symlink_to(tmp_path / "disk")
    (raw / "round").symlink_to(raw)
    source = ntu.source([raw], "ntu60")
    assert [clip.row["name"] for clip in source.clips] == [NAME]
    assert source.notes == []


def test_zip_files_inside_zip_files_are_told(tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.zip", **{f"{NAME}.skeleton": TINY}).read_bytes()
    outer = pack(tmp_path / "outer.zip", **{"deep/inner.zip": inner})
    with pytest.raises(FileNotFoundError, match=r"outer.zip holds zip files, which are not opened; .*deep/inner.zip"):
        names_of(outer)
    with pytest.raises(FileNotFoundError, match=r"outer.zip holds zip files, which are not opened; .*deep/inner.zip"):
        pku.source([outer], "pku1")


@pytest.mark.parametrize("packed", [False, True])
def test_other_spellings_of_irds_are_told(tmp_path: Path, packed: bool) -> None:
    given = ("101_18_0_1_1_stand.TXT", "103-18-0-1-1-stand.txt", "101_18_0_2_1_stand (1).txt", "readme.txt")
    raw = tmp_path / "raw"
    pack(raw / "all.zip", **{f"Simplified/{name}": text() for name in given})
    if not packed:
        with zipfile.ZipFile(raw / "all.zip") as file:
            file.extractall(raw)
    source = irds.source([raw])
    assert [clip.row["name"] for clip in source.clips] == ["101_18_0_1_1_stand"]
    (note,) = source.notes
    assert note.startswith("2 text files are not named like a recording (101_18_0_1_1_stand.txt) and are passed over: ")
    assert note.endswith(": 101_18_0_2_1_stand (1).txt, 103-18-0-1-1-stand.txt")
