"""Preparing is whole or absent, the same after a kill, and says what it left out."""

from __future__ import annotations

import fcntl
import json
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.datasets import convert as module
from benchmarks.datasets import parts, store
from benchmarks.datasets.convert import convert
from benchmarks.datasets.source import BadClip, Clip, Loaded, Source
from tests.benchmarks.datasets import toy
from tests.conftest import REPO


def clips(count: int = 4, bad: tuple[int, ...] = ()) -> Iterator[tuple[dict[str, Any], np.ndarray | str]]:
    for number in range(count):
        row = {"name": f"{number:03}", "label": number % 2, "subject": number}
        clip = np.full((3, 8, 25, 2), number + 1, np.float32)
        yield row, f"line 7: found {number} fields" if number in bad else clip


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return toy.put(tmp_path / "toy-8", clips())


def test_writing_again_gives_the_same_bytes_and_replaces(folder: Path) -> None:
    before = content(folder)
    assert sorted(before) == ["manifest.json", "meta.csv", "x.npy"]
    toy.put(folder, clips())
    assert content(folder) == before
    toy.put(folder, clips(2))
    assert len(store.load(folder).x) == 2
    assert sorted(path.name for path in folder.parent.iterdir()) == ["toy-8"]


def test_permissions_follow_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        folder = toy.put(tmp_path / "toy-8", clips())
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o640}


@pytest.mark.parametrize("bad", [(1,), (0, 3), (9,), (0, 8, 9), tuple(range(1, 10))])
def test_bad_clips_are_reported_and_left_out(tmp_path: Path, bad: tuple[int, ...]) -> None:
    said: list[str] = []
    folder = toy.put(tmp_path / "toy-8", clips(10, bad), say=said.append)
    x, meta, manifest = store.load(folder)
    kept = [number for number in range(10) if number not in bad]
    assert sorted(meta["subject"]) == kept
    assert x[:, 0, 0, 0, 0].tolist() == [subject + 1 for subject in meta["subject"]]  # rows and meta go together
    assert manifest["left_out"] == [f"{number:03}.txt: line 7: found {number} fields" for number in bad]
    assert f"{len(bad)} recordings cannot be used and are left out" in said[0]
    assert [line.strip() for line in said[1:]] == manifest["left_out"]


def test_strict_stops_and_leaves_the_old_data_set(folder: Path) -> None:
    before = content(folder)
    with pytest.raises(ValueError, match=r"--strict: 002.txt: line 7: found 2 fields"):
        toy.put(folder, clips(5, (2, 4)), strict=True)
    assert content(folder) == before
    with pytest.raises(ValueError, match=r"none of the 2 recordings can be used; the first: 000\.txt: line 7"):
        toy.put(folder, clips(2, (0, 1)))
    assert content(folder) == before
    assert len(store.load(toy.put(folder, clips(5, (2, 4)))).x) == 3
    with pytest.raises(ValueError, match=r"--strict: 002.txt"):  # also when everything comes from the journal
        toy.put(folder, clips(5, (2, 4)), strict=True)


def test_refused_rows(tmp_path: Path) -> None:
    row, clip = next(clips())
    cases = [
        ([], "no clips"),
        ([(row, clip), (row, clip)], "occurs twice"),
        ([(row | {"label": 2}, clip)], r"label 2, allowed are 0\.\.1"),
        ([(row, clip), (row | {"name": "b", "more": 1}, clip)], "differ from those of the first clip"),
        ([({"name": "a", "label": 0}, clip)], "subject"),
    ]
    for pairs, message in cases:
        with pytest.raises(ValueError, match=message):
            toy.put(tmp_path / "toy-8", pairs)
    assert not list(tmp_path.iterdir())


def test_a_clip_of_another_shape_is_left_out(tmp_path: Path) -> None:
    (one, clip), (two, other), *_ = clips()
    assert isinstance(other, np.ndarray)
    folder = toy.put(tmp_path / "toy-8", [(one, clip), (two, other[:, :5])])
    assert (
        "an array of shape (3, 5, 25, 2), expected (3, 8, 25, at most 2)" in store.read_manifest(folder)["left_out"][0]
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, 2340.0])
def test_coordinates_that_no_sensor_gives_are_left_out_whoever_read_them(tmp_path: Path, value: float) -> None:
    (one, clip), (two, other), *_ = clips()
    assert isinstance(other, np.ndarray)
    other[0, 3, 7, 1] = value
    folder = toy.put(tmp_path / "toy-8", [(one, clip), (two, other)])
    (line,) = store.read_manifest(folder)["left_out"]
    assert line.startswith(f"001.txt: holds the coordinate {value:g}, expected metres")


def test_fewer_persons_are_padded_with_zeros(tmp_path: Path) -> None:
    row, clip = next(clips())
    assert isinstance(clip, np.ndarray)
    x, meta, _ = store.load(toy.put(tmp_path / "toy-8", [(row, clip[..., :1])]))
    assert x.shape == (1, 3, 8, 25, 2)
    assert x[..., 0].all()
    assert not x[..., 1].any()
    assert meta["persons"].tolist() == [1]


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"^cannot write the data set .*--data"):
        toy.put(tmp_path / "file" / "toy-8", clips())


def slow(place: tuple[int, float, str]) -> Loaded:
    """Clip `number` after some seconds; leaves a trace, so that a test can count how often it was loaded."""
    number, seconds, trace = place
    time.sleep(seconds)
    with open(trace, "a") as file:
        file.write(f"{number}\n")
    if number % 50 == 7:
        raise BadClip("line 1: found nothing")
    rng = np.random.default_rng(number)
    return Loaded(rng.normal(size=(3, 8 + number % 5, 25, 1 + number % 2)), "odd" if number % 2 else "")


def many(trace: Path, seconds: float, count: int = 400) -> Source:
    rows = ({"name": f"{i:04}", "label": i % 2, "subject": i} for i in range(count))
    listed = [Clip(row, (i, seconds, str(trace)), f"{i:04}.txt") for i, row in enumerate(rows)]
    return Source("slow", listed, partial(slow), "the same")


FACTS: dict[str, Any] = {
    "name": "toy", "frames": 8, "persons": 2, "classes": 2, "revision": 1, "credit": "", "say": lambda line: None
}  # fmt: skip
PREPARE = """
    import sys
    from pathlib import Path
    from benchmarks.datasets.convert import convert
    from tests.benchmarks.datasets.test_convert import FACTS, many

    if __name__ == "__main__":
        folder, trace, seconds = sys.argv[1:]
        convert(Path(folder), many(Path(trace), float(seconds)), jobs=2, **FACTS)
"""


def prepare(folder: Path, trace: Path, seconds: float) -> subprocess.Popen[bytes]:
    script = folder.parent / "prepare.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(textwrap.dedent(PREPARE))
    command = [sys.executable, str(script), str(folder), str(trace), str(seconds)]
    environment = os.environ | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=REPO, env=environment, start_new_session=True)


def test_workers_do_not_change_the_bytes(tmp_path: Path) -> None:
    one = convert(tmp_path / "one" / "toy-8", many(tmp_path / "a", 0), jobs=1, **FACTS)
    two = convert(tmp_path / "two" / "toy-8", many(tmp_path / "b", 0), jobs=2, **FACTS)
    assert content(one) == content(two)
    x, meta, manifest = store.load(one)
    assert len(x) == 400 - 8 == len(meta)
    assert manifest["source"] == {"raw": [], "kind": "slow"}


def test_killed_at_random_moments_it_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    with prepare(tmp_path / "calm" / "toy-8", tmp_path / "calm.txt", 0) as calm:
        assert calm.wait() == 0
    rng = random.Random(3)
    folder, trace = tmp_path / "killed" / "toy-8", tmp_path / "killed.txt"
    kills = 0
    while True:
        with prepare(folder, trace, 0.005) as process:
            try:
                process.wait(timeout=1.2 + 0.6 * rng.random() if kills < 3 else None)
            except subprocess.TimeoutExpired:
                kills += 1
                process.send_signal(signal.SIGKILL)
            else:
                assert process.returncode == 0
                break
        if folder.exists():  # killed at its very end, when all was there
            assert content(folder) == content(tmp_path / "calm" / "toy-8")
    assert kills
    assert content(folder) == content(tmp_path / "calm" / "toy-8")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["prepare.py", "toy-8"]
    loaded = len(trace.read_text().split())
    assert 400 <= loaded <= 400 + kills * 3 * parts.PART  # each of two workers loses a part, and one that was unsaid


def test_a_kill_while_closing_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = toy.put(tmp_path / "calm" / "toy-8", clips(10, (0, 4, 8)))
    folder = tmp_path / "killed" / "toy-8"

    def die(*arguments: Any, **facts: Any) -> Path:
        raise KeyboardInterrupt

    for _ in range(2):  # the second time the file is already cut
        with monkeypatch.context() as patch:
            patch.setattr(module, "publish", die)
            with pytest.raises(KeyboardInterrupt):
                toy.put(folder, clips(10, (0, 4, 8)))
        assert not folder.exists()
    toy.put(folder, clips(10, (0, 4, 8)))
    assert content(folder) == content(calm)


def test_a_journal_that_was_cut_in_the_middle_of_a_line(tmp_path: Path) -> None:
    journal = tmp_path / parts.JOURNAL
    journal.write_text(json.dumps({"part": 1, "found": ["a"], "sha256": "s"}) + '\n{"part": 0, "fou')
    assert parts._read_journal(journal) == {1: (["a"], "s")}
    assert journal.read_text().endswith('"s"}\n')


def test_other_raw_files_start_anew_and_a_living_writer_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, folder = fcntl.flock, tmp_path / "toy-8"
    elsewhere = {True: lambda *_: None, False: flock}  # on another host of an NFS, where nobody sees locks of folders
    monkeypatch.setattr(fcntl, "flock", lambda file, how: elsewhere[stat.S_ISDIR(os.fstat(file).st_mode)](file, how))
    with prepare(folder, tmp_path / "trace", 0.05) as writer:
        while not list(tmp_path.glob(".toy-8.*.partial")):
            time.sleep(0.05)
        (living,) = tmp_path.glob(".toy-8.*.partial")
        toy.put(folder, clips(2))  # another source: neither waits for the first nor harms it
        assert writer.poll() is None
        with pytest.raises(OSError, match=r"^\S*toy-8 is being prepared by another process"):
            convert(folder, many(tmp_path / "trace", 0), **FACTS)
        writer.send_signal(signal.SIGKILL)
    assert living.is_dir()
    assert len(store.load(folder).x) == 2
    toy.put(folder, clips())
    assert [path.name for path in tmp_path.glob("*toy*")] == ["toy-8"]


def test_full_disk_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match=r"^no room .* needs 1.9 MB .*File too large.*--data"):
            toy.put(tmp_path / "toy-8", clips(400))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root, to mount a small disk")
def test_a_really_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        with pytest.raises(OSError, match=r"^no room .*No space left"):
            toy.put(disk / "toy-8", clips(300))
        assert not list(disk.iterdir())
        assert len(store.load(toy.put(disk / "toy-8", clips(10))).x) == 10
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_progress_counts_clips(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    toy.put(tmp_path / "toy-8", clips(150), watch=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 150), (64, 150), (128, 150), (150, 150)]
