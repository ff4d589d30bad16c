"""A prepared data set is whole or absent, and says so when it is missing, damaged or foreign."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.datasets import store

REPO = Path(__file__).resolve().parents[3]


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


def put(folder: Path, source: Any = None, **changes: Any) -> Path:
    options: dict[str, Any] = {"name": "toy", "classes": 2, "revision": 3, "credit": "nobody", "source": {}}
    return store.write(folder, clips() if source is None else source, **(options | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(tmp_path / "data" / "toy-8", left_out=[f"bad{i}: cut" for i in range(7)])


def test_round_trip(folder: Path) -> None:
    x, meta, manifest = store.load(folder)
    np.testing.assert_array_equal(x, np.stack([clip for _, clip in clips()]))
    assert isinstance(x, np.memmap)
    assert not x.flags.writeable
    assert meta["name"].tolist() == ["000", "001", "002", "003"]  # text, though it looks like numbers
    assert meta["label"].tolist() == [0, 1, 0, 1]
    assert meta["camera"].tolist() == ["L", "M", "R", "L"]
    assert (manifest["frames"], manifest["persons"], manifest["revision"]) == (8, 2, 3)
    assert manifest["counts"] == {"clips": 4, "subjects": 4, "per_class": [2, 2]}
    assert sorted(path.name for path in folder.parent.iterdir()) == ["toy-8"]


def test_writing_again_gives_the_same_bytes_and_replaces(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    put(folder, left_out=[f"bad{i}: cut" for i in range(7)])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    put(folder, clips(2))
    assert len(store.load(folder).x) == 2
    assert sorted(path.name for path in folder.parent.iterdir()) == ["toy-8"]


def test_permissions_follow_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        folder = put(tmp_path / "toy-8")
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o640}


def test_a_failed_write_leaves_the_old_data_set(folder: Path) -> None:
    def failing() -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        yield from clips(2)
        raise RuntimeError("the reader broke")

    with pytest.raises(RuntimeError, match="the reader broke"):
        put(folder, failing())
    assert len(store.load(folder).x) == 4
    assert sorted(path.name for path in folder.parent.iterdir()) == ["toy-8"]


WRITER = """
    import itertools, sys, time
    from pathlib import Path
    import numpy as np
    from benchmarks.datasets import store

    def slow():
        for number in itertools.count():
            yield {"name": str(number), "label": 0, "subject": 0}, np.ones((3, 8, 25, 2), np.float32)
            print("wrote", flush=True)
            time.sleep(0.01)

    store.write(Path(sys.argv[1]), slow(), name="toy", classes=1, revision=1, credit="", source={})
"""


def test_killed_writer_leaves_nothing_usable_and_the_next_write_cleans_up(tmp_path: Path) -> None:
    folder = tmp_path / "toy-8"
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(folder)]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "wrote\n"
        with pytest.raises(FileNotFoundError):
            store.load(folder)
        put(folder, clips(2))  # a second writer neither waits for the first nor harms it
        (living,) = tmp_path.glob(".toy-8.*.partial")
        assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
    assert living.is_dir()
    assert len(store.load(folder).x) == 2
    put(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["toy-8"]


def test_missing_tells_the_command(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"irds-32 is not prepared.*") as caught:
        store.load(tmp_path / "irds-32")
    assert f"python bench.py data prepare irds --raw DIR --frames 32 --data {tmp_path}" in str(caught.value)


@pytest.mark.parametrize("file", ["x.npy", "meta.csv"])
def test_wrong_checksum(folder: Path, file: str) -> None:
    expected = store.load(folder).manifest["sha256"][file]
    content = bytearray((folder / file).read_bytes())
    content[-2] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged or was changed") as caught:
        store.load(folder)
    for part in (str(folder / file), f"expected {expected}", "found ", "bench.py data prepare toy --raw DIR"):
        assert part in str(caught.value)


def test_checksum_is_computed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = store._sha256

    def counting(path: Path) -> str:
        seen.append(path.name)
        return real(path)

    monkeypatch.setattr(store, "_sha256", counting)
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
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=message):
        store.load(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match=r"cannot be read.*data prepare toy"):
        store.load(folder)
    (folder / "x.npy").unlink()
    with pytest.raises(FileNotFoundError, match="incomplete"):
        store.load(folder)


def test_refused_clips(tmp_path: Path) -> None:
    row, clip = next(clips())
    cases = [
        ([], "no clips"),
        ([(row, clip), (row, clip)], "occurs twice"),
        ([(row | {"label": 2}, clip)], r"label 2, allowed are 0\.\.1"),
        ([(row, clip), (row | {"name": "b"}, clip[:, :5])], "differ from those of the first clip"),
        ([(row, clip), (row | {"name": "b", "more": 1}, clip)], "differ from those of the first clip"),
        ([({"name": "a", "label": 0}, clip)], "subject"),
    ]
    for source, message in cases:
        with pytest.raises(ValueError, match=message):
            put(tmp_path / "toy-8", source)
    assert not list(tmp_path.iterdir())


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write the data set .*--data"):
        put(tmp_path / "file" / "toy-8")


def test_check(folder: Path) -> None:
    report = store.check(folder)
    assert "4 clips, 8 frames, 2 person(s), revision 3" in report
    assert "left out: 7" in report
    assert "bad4: cut" in report
    assert "bad5" not in report
    row, clip = next(clips())
    clip[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="clip 000 holds numbers that are not finite"):
        store.check(put(folder, [(row, clip)]))
