"""A prepared data set is whole or absent, and says so when it is missing, damaged or foreign."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.datasets import store
from benchmarks.digest import digest
from tests.benchmarks.datasets import toy


def clips(count: int = 4, label: int = 0) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    rng = np.random.default_rng(0)
    for number in range(count):
        row = {
            "name": f"00{number}",
            "label": label or number % 2,
            "subject": number,
            "camera": "LMR"[number % 3],
        }
        yield row, rng.normal(size=(3, 8, 25, 2)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return toy.put(tmp_path / "data" / "toy-8", clips(), revision=3)


def test_round_trip(folder: Path) -> None:
    x, meta, manifest = store.load(folder)
    np.testing.assert_array_equal(x, np.stack([clip for _, clip in clips()]))
    assert isinstance(x, np.memmap)
    assert not x.flags.writeable
    assert meta["name"].tolist() == ["000", "001", "002", "003"]  # text, though it looks like numbers
    assert meta["label"].tolist() == [0, 1, 0, 1]
    assert meta["camera"].tolist() == ["L", "M", "R", "L"]
    assert meta["recorded"].tolist() == [8] * 4
    assert meta["length"].tolist() == [8] * 4
    assert meta["persons"].tolist() == [2] * 4
    assert (manifest["frames"], manifest["persons"], manifest["revision"]) == (8, 2, 3)
    assert manifest["counts"] == {"clips": 4, "subjects": 4, "per_class": [2, 2]}
    assert sorted(path.name for path in folder.parent.iterdir()) == ["toy-8"]


def test_missing_tells_the_command(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"irds-32 is not prepared.*") as caught:
        store.load(tmp_path / "irds-32")
    assert f"python bench.py data prepare irds --raw PATH --frames 32 --data {tmp_path}" in str(caught.value)


@pytest.mark.parametrize("file", ["x.npy", "meta.csv"])
def test_wrong_checksum(folder: Path, file: str) -> None:
    expected = store.load(folder).manifest["sha256"][file]
    content = bytearray((folder / file).read_bytes())
    content[-2] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged or was changed") as caught:
        store.load(folder)
    for part in (str(folder / file), f"expected {expected}", "found ", "bench.py data prepare toy --raw PATH"):
        assert part in str(caught.value)


def test_checksum_is_computed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = store.sha256

    def counting(path: Path) -> str:
        seen.append(path.name)
        return real(path)

    monkeypatch.setattr(store, "sha256", counting)
    store.load(folder)
    store.load(folder)
    assert sorted(seen) == ["meta.csv", "x.npy"]
    os.utime(folder / "x.npy", ns=(1, 1))
    store.load(folder)
    assert sorted(seen) == ["meta.csv", "x.npy", "x.npy"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, r"schema 99, this program reads 1"),
        ({"frames": 16}, r"toy at 16 frames: was it renamed"),
        ({"revision": ...}, r"lacks revision"),
    ],
)
def test_foreign_manifest(folder: Path, change: dict[str, Any], message: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest = {key: value for key, value in (manifest | change).items() if value is not ...}
    manifest["digest"] = digest(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=message):
        store.load(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match=r"cannot be read.*data prepare toy"):
        store.load(folder)
    (folder / "x.npy").unlink()
    with pytest.raises(FileNotFoundError, match="incomplete"):
        store.load(folder)
