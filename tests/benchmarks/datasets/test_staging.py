"""Folders under which data sets are written: links, and kills at every step of publishing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.datasets import parts, store
from benchmarks.datasets.convert import convert
from benchmarks.datasets.source import Clip, Loaded, Source
from tests.benchmarks.datasets import toy
from tests.benchmarks.datasets.test_convert import FACTS

LEFT = ".toy-8.0123456789abcdef.partial"


def clips(value: float, count: int = 3) -> Iterator[tuple[dict[str, Any], np.ndarray | str]]:
    for number in range(count):
        row = {"name": f"{number:03}", "label": number % 2, "subject": number}
        yield row, np.full((3, 8, 25, 2), value, np.float32)


def first(folder: Path) -> float:
    return float(store.load(folder).x[0, 0, 0, 0, 0])


def test_a_link_stays_a_link_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    data, disk = tmp_path / "data", tmp_path / "disk"
    data.mkdir()
    link = data / "toy-8"
    link.symlink_to(disk / "anything")  # it need not exist yet
    for value in (1, 2, 3):
        assert toy.put(link, clips(value)) == link
        assert first(link) == value
        assert link.is_symlink()
        assert [path.name for path in (*data.iterdir(), *disk.iterdir())] == ["toy-8", "anything"]


def test_a_link_among_the_leavings_of_an_earlier_version_is_removed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / LEFT).symlink_to(tmp_path / "elsewhere")
    toy.put(tmp_path / "toy-8", clips(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "toy-8"]


def load(number: int, trace: Path) -> Loaded:
    with trace.open("a") as file:
        file.write(f"{number}\n")
    return Loaded(np.random.default_rng(number).normal(size=(3, 8, 25, 2)))


@pytest.mark.parametrize(("step", "same"), [(1, True), (2, True), (2, False)])
def test_a_kill_while_publishing_loses_nothing(
    tmp_path: Path, step: int, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, trace, rename = tmp_path / "data" / "toy-8", tmp_path / "trace", Path.rename
    count = 2 * parts.PART
    rows = ({"name": f"{i:04}", "label": i % 2, "subject": i} for i in range(count))
    listed = [Clip(row, i, f"{i:04}.txt") for i, row in enumerate(rows)]
    source = Source("counted", listed, partial(load, trace=trace), "the same")
    toy.put(folder, clips(1))
    steps = iter(range(1, 9))

    def die(path: Path, to: Path) -> Path:
        if next(steps) == step:
            raise KeyboardInterrupt
        return rename(path, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die)
        with pytest.raises(KeyboardInterrupt):
            convert(folder, source, jobs=1, **FACTS)
    assert folder.exists() == (step == 1)
    if not same:  # whoever comes next, and even when it fails, the old data set is there again
        with pytest.raises(OSError, match="no more"):
            toy.put(folder, clips(2), watch=_no_more)
        assert first(folder) == 1
    else:
        convert(folder, source, jobs=1, **FACTS)
        assert len(store.load(folder).x) == count
        assert len(trace.read_text().split()) == count  # nothing was loaded again
        assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "meta.csv", "x.npy"]
        assert [path.name for path in folder.parent.iterdir()] == ["toy-8"]


def _no_more(done: int, total: int) -> None:
    raise OSError("no more")
