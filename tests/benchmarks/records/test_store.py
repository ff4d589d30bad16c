"""Records and claims: complete or absent, owned by one process, honest about damage."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.store import Store, StoreError
from benchmarks.tables import TABLES
from protocols.checkpoint import Damaged
from protocols.files import replacing


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


def test_a_failure_can_be_forgotten_and_a_result_cannot(store: Store) -> None:
    store.write_record({"run": "a", "status": "ok", "metrics": {}})
    store.write_record({"run": "b", "status": "failed", "error": "e"})
    for run in ("a", "b", "c"):
        store.forget_failure(run)
    assert list(store.briefs()) == ["a"]


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


def test_a_record_under_another_runs_name_is_refused(store: Store) -> None:
    store.write_record({"run": "a", "status": "ok", "metrics": {"top1": 0.25}})
    (store.records / "a.json").rename(store.records / "b.json")
    with pytest.raises(StoreError, match="is the record of 'a', not of b; delete it"):
        store.record("b")


def test_a_record_whose_spec_is_another_runs_is_refused(store: Store) -> None:
    first, second, *_ = Plan.of([TABLES["7"]], Settings(scale="smoke")).runs.values()
    store.write_record({"run": first.id, "status": "ok", "metrics": {}, "spec": first.spec()})
    assert store.record(first.id)
    store.write_record({"run": first.id, "status": "ok", "metrics": {}, "spec": second.spec()})
    with pytest.raises(StoreError, match=f"holds a spec that is not the one of {first.id}; delete it"):
        store.record(first.id)


def test_a_file_that_holds_no_record_is_named(store: Store) -> None:
    (store.records / "a.json").write_text("[]")
    with pytest.raises(StoreError, match=r"a\.json holds a list, not a record; delete it"):
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
    with pytest.raises(StoreError, match="choose another folder with --out"):
        Store(tmp_path / "file" / "root").prepare()


def test_what_killed_processes_left_is_removed_and_nothing_else(store: Store) -> None:
    runs = list(Plan.of([TABLES["7"]], Settings(scale="smoke")).runs.values())[:3]
    done, again, begun = (run.id for run in runs)
    for run in runs[:2]:
        store.write_record({"run": run.id, "status": "ok", "metrics": {}})
    for run_id in (done, again, begun):
        store.folder(run_id).mkdir()
        (store.folder(run_id) / "checkpoint.pt").touch()
        (store.folder(run_id) / "claim").write_text("host-that-died 1\n")
    for product in store.products(runs[0]):
        product.touch()
    (store.root / "tables").mkdir()
    left = [folder / ".x.md.y.tmp" for folder in (store.root, store.runs, store.records, store.root / "tables")]
    for path in left:
        path.touch()
    with replacing(store.root / "README.md") as temporary, store.claim(begun) as ours:
        assert ours
        store.tidy({run.id: run for run in runs})
        assert temporary.exists()
        assert (store.folder(begun) / "claim").exists()
    assert not any(path.exists() for path in left)
    assert sorted(store.folder(done).iterdir()) == sorted(store.products(runs[0]))
    for run_id in (again, begun):  # the first has a result and is done again for its files
        assert [path.name for path in store.folder(run_id).iterdir()] == ["checkpoint.pt"]


def test_a_claim_whose_file_cannot_be_removed_is_released(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch, store.claim("a"):
        patch.setattr(Path, "unlink", refuse)
    with store.claim("a") as ours:
        assert ours


def test_two_processes_prepare_a_folder_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    unlink = Path.unlink

    def after_the_other(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=True)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", after_the_other)
    store.prepare()


def test_a_checkpoint_that_could_not_be_removed_goes_with_the_next_command(store: Store) -> None:
    (run, *_) = Plan.of([TABLES["7"]], Settings(scale="smoke")).runs.values()
    store.write_record({"run": run.id, "status": "ok", "metrics": {}})
    left = store.folder(run.id) / "checkpoint.pt"
    left.parent.mkdir(parents=True)
    for path in (left, *store.products(run)):
        path.write_bytes(b"")
    store.tidy({run.id: run})
    assert not left.exists()
