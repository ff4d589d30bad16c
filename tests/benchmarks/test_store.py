"""Records and claims: complete or absent, owned by one process, honest about damage."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from benchmarks.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.store import Store, StoreError
from benchmarks.tables import TABLES
from protocols.checkpoint import Damaged


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "root")
    store.prepare()
    return store


def test_a_record_comes_back(store: Store) -> None:
    store.write_record({"run": "a", "status": "ok", "metrics": {"top1": 0.25}})
    record = store.record("a")
    assert record is not None
    assert record["metrics"] == {"top1": 0.25}
    assert store.record("b") is None
    assert store.frame().set_index("run").loc["a", "top1"] == 0.25


def test_a_failure_can_be_forgotten_and_a_result_cannot(store: Store) -> None:
    store.write_record({"run": "a", "status": "ok", "metrics": {}})
    store.write_record({"run": "b", "status": "failed", "error": "e"})
    for run in ("a", "b", "c"):
        store.forget_failure(run)
    assert list(store.all()) == ["a"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.25", "0.75", "was changed"),
        ("{", "", "is not JSON"),
        ('"schema": 1', '"schema": 99', "has schema 99"),
    ],
)
def test_a_damaged_record_is_named(store: Store, old: str, new: str, message: str) -> None:
    store.write_record({"run": "a", "status": "ok", "metrics": {"top1": 0.25}})
    path = store.records / "a.json"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StoreError, match=message):
        store.record("a")


def test_a_spec_must_hash_to_its_id(store: Store) -> None:
    run = next(iter(Plan.of([TABLES["7"]], Settings(scale="smoke")).runs.values()))
    store.write_spec(run)
    assert store.read_spec(run.id) == run
    path = store.folder(run.id) / "spec.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(StoreError, match="run the same command again"):
        store.read_spec(run.id)
    with pytest.raises(StoreError, match="there is no run"):
        store.read_spec("pretrain-0")


def test_scores_come_back_and_damage_is_named(store: Store) -> None:
    scores, labels = np.ones((3, 2), np.float32), np.arange(3)
    store.write_scores("a", scores, labels)
    for mine, theirs in zip((scores, labels), store.read_scores("a"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    path = store.folder("a") / "scores.npz"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(Damaged, match=r"scores.npz is damaged"):
        store.read_scores("a")


def hold(root: Path, ready, done) -> None:
    with Store(root).claim("a") as ours:
        assert ours
        ready.set()
        done.wait()


def test_one_owner_at_a_time_and_a_killed_owner_leaves_no_claim(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    owner = context.Process(target=hold, args=(store.root, ready, done))
    owner.start()
    assert ready.wait(60)
    with store.claim("a") as ours:
        assert not ours
    assert str(owner.pid) in (store.claimed("a") or "")
    assert owner.pid is not None
    os.kill(owner.pid, signal.SIGKILL)
    owner.join()
    assert store.claimed("a") is None
    with store.claim("a") as ours:
        assert ours
    assert not (store.folder("a") / "claim").exists()


def test_leftovers_of_killed_writers_are_removed(store: Store) -> None:
    store.folder("a").mkdir()
    leftovers = [store.folder("a") / ".checkpoint.pt.x.tmp", store.records / ".a.json.x.tmp"]
    for path in leftovers:
        path.touch()
    with store.claim("a"):
        pass
    assert not any(path.exists() for path in leftovers)


def test_an_unwritable_root_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="Choose another folder with --out"):
        Store(tmp_path / "file" / "root").prepare()
