"""A results folder is read once: what did not change is remembered, what changed in any way is not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.records import overview
from benchmarks.records.integrity import spec_hash
from benchmarks.records.overview import Overview
from benchmarks.records.store import Store, StoreError

SPECS = [{"seed": number, "kind": "Pretrain"} for number in range(3)]
RUN = [f"run-{spec_hash(spec)}" for spec in SPECS]


def record(number: int) -> dict[str, Any]:
    entries = {"history": [{"epoch": 1}], "metrics": {"top1": 0.5}, "spec": SPECS[number], "status": "ok"}
    return {"run": RUN[number], **entries}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three records that are old enough to be remembered, of which two are worth it."""
    monkeypatch.setattr(overview, "WORTH", 2)
    monkeypatch.setattr(overview, "SETTLED", -1)
    store = Store(tmp_path)
    store.prepare()
    for number in range(3):
        store.write_record(record(number))
    return tmp_path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the records that are read from their files."""
    found: list[str] = []
    whole = Store.record

    def reading(self: Store, run_id: str) -> dict[str, Any] | None:
        found.append(run_id)
        return whole(self, run_id)

    monkeypatch.setattr(Store, "record", reading)
    return found


def test_every_record_is_read_once_by_all_commands_together(root: Path, read: list[str]) -> None:
    first = Overview(root)
    found = first.briefs()
    assert found[RUN[2]]["seed"] == 2
    assert found[RUN[2]]["metrics"] == {"top1": 0.5}
    assert not {"history", "spec"} & set(found[RUN[2]])
    assert found == first.briefs() == Store(root).briefs(found)
    read.clear()
    assert Overview(root).briefs([RUN[0], RUN[1], RUN[2], "run-9"]) == found
    assert read == []


def test_what_changed_is_read_again(root: Path, read: list[str]) -> None:
    Overview(root).briefs()
    store = Overview(root)
    read.clear()
    store.write_record(record(1) | {"status": "failed", "error": "so"})
    (root / "records" / f"{RUN[2]}.json").unlink()
    found = store.briefs()
    assert read == [RUN[1]]
    assert [brief["status"] for brief in found.values()] == ["ok", "failed"]


def test_a_change_that_keeps_size_and_time_is_seen(root: Path) -> None:
    path = root / "records" / f"{RUN[0]}.json"
    store = Overview(root)
    store.briefs()
    before = path.stat()
    path.write_text(path.read_text().replace("0.5", "0.9"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(StoreError, match="was changed after it was written"):
        store.briefs()


def test_a_young_record_is_not_remembered(root: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]) -> None:
    monkeypatch.setattr(overview, "SETTLED", 3_600_000_000_000)
    store = Overview(root)
    assert store.brief(RUN[0]) == store.brief(RUN[0])
    assert read == [RUN[0], RUN[0]]


@pytest.mark.parametrize("text", ["", "[]", '{"form": [], "records": {}}', '{"form": 1}'])
def test_a_memory_that_cannot_be_used_is_forgotten(text: str, root: Path) -> None:
    found = Overview(root).briefs()
    path = root / "runs" / "overview.json"
    assert json.loads(path.read_text())["kept"]["form"] == overview.FORM
    path.write_text(text)
    assert Overview(root).briefs() == found


def test_a_folder_that_cannot_be_written_is_read_all_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(overview, "replacing", refuse)
    assert len(Overview(root).briefs()) == 3


def test_small_folders_leave_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "WORTH", 4)
    Overview(root).briefs()
    assert not (root / "runs" / "overview.json").exists()
