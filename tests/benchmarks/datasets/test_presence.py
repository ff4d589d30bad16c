"""What a look at lengths finds in a prepared data set, and what it cannot find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets import presence
from benchmarks.doctor.checks import data as judge
from tests.benchmarks.datasets import toy


@pytest.fixture
def irds(tmp_path: Path) -> Path:
    """A prepared data set of six clips, by the name of a real one."""
    rng = np.random.default_rng(0)
    clips = [
        ({"name": f"c{i}", "label": i % 2, "subject": i}, rng.standard_normal((3, 8, 25, 1), dtype=np.float32))
        for i in range(6)
    ]
    return toy.put(tmp_path / "irds-8", clips, persons=1)


def test_a_whole_one_is_good(irds: Path) -> None:
    assert presence.every(irds.parent) == {"irds-8": None}
    (irds.parent / "irds-old").mkdir()
    (irds.parent / "ntu60-9").mkdir()
    assert list(presence.every(irds.parent)) == ["ntu60-9", "irds-8"], "folders of other names are nobody's"
    assert presence.every(irds / "x.npy") == presence.every(irds.parent / "nowhere") == {}


def _cut(folder: Path) -> None:
    (folder / "x.npy").write_bytes((folder / "x.npy").read_bytes()[:-100])


def _empty(folder: Path) -> None:
    (folder / "x.npy").write_bytes(b"")


def _longer(folder: Path) -> None:
    with (folder / "x.npy").open("ab") as file:
        file.write(b"\0" * 7)


def _fewer_clips(folder: Path) -> None:
    np.save(folder / "x.npy", np.load(folder / "x.npy")[:5])


def _fewer_rows(folder: Path) -> None:
    lines = (folder / "meta.csv").read_bytes().splitlines(keepends=True)
    (folder / "meta.csv").write_bytes(b"".join(lines[:-1]))


def _no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_cut, "cannot be read"),
        (_empty, "cannot be read"),
        (_longer, "x.npy is 7 bytes longer than its clips"),
        (_fewer_clips, "is not of 6 clips at 8 frames"),
        (_fewer_rows, "meta.csv has 5 rows for 6 clips"),
        (_no_manifest, "is not prepared: there is no"),
    ],
)
def test_another_length_is_seen(damage, words: str, irds: Path) -> None:
    damage(irds)
    found = presence.every(irds.parent)
    assert words in (found["irds-8"] or "")
    assert "python bench.py data prepare irds --raw PATH --frames 8" in (found["irds-8"] or "")
    assert judge(found, ["irds"]).mark == "FAIL"
