"""Local workers: a worker that dies takes nothing with it, order is kept, what cannot run is told."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from benchmarks.execute import Machine
from benchmarks.local import run_all
from benchmarks.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.runs import Run
from benchmarks.store import Store
from benchmarks.tables import TABLES
from protocols import Progress


class Notes:
    """A watcher that remembers, and may act on progress."""

    def __init__(self, store: Store, act=lambda store, run: None) -> None:
        self.store, self.act = store, act
        self.ended: list[tuple[Run, str]] = []

    def progress(self, run: Run, progress: Progress) -> None:
        self.act(self.store, run)

    def finished(self, run: Run, status: str) -> None:
        self.ended.append((run, status))


@pytest.fixture
def table(tmp_path: Path) -> tuple[Store, list[Run]]:
    """A store with the specs of one pretraining and its evaluation, and those two runs."""
    store = Store(tmp_path)
    store.prepare()
    Machine().save(store.root)
    todo = Plan.of([TABLES["7"]], Settings(scale="smoke")).todo(store)[:2]
    for run in todo:
        store.write_spec(run)
    return store, todo


def kill_owner(store: Store, run: Run) -> None:
    """SIGKILL to the process that holds the claim."""
    owner = store.claimed(run.id)
    if owner and owner.split()[-1].isdigit():
        os.kill(int(owner.split()[-1]), signal.SIGKILL)


def test_a_killed_worker_is_replaced_and_the_run_done_again(table: tuple[Store, list[Run]]) -> None:
    store, todo = table
    killed: list[str] = []

    def once(store: Store, run: Run) -> None:
        if not killed:
            killed.append(run.id)
            kill_owner(store, run)

    notes = Notes(store, once)
    outcome = run_all(todo, str(store.root), 1, notes)
    assert killed
    assert outcome.statuses == {run.id: "ok" for run in todo}
    assert [run.id for run, _ in notes.ended] == [run.id for run in todo]


def test_a_run_that_kills_every_worker_is_lost_and_its_child_blocked(table: tuple[Store, list[Run]]) -> None:
    store, todo = table
    outcome = run_all(todo, str(store.root), 2, Notes(store, kill_owner))
    first, second = (outcome.statuses[run.id] for run in todo)
    assert first == f"lost: its worker died (exit code {-signal.SIGKILL})"
    assert second == "blocked"
    assert store.all() == {}


def test_a_run_that_raises_is_recorded_and_its_child_blocked(
    table: tuple[Store, list[Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, todo = table
    (store.folder(todo[0].id) / "checkpoint.pt").write_bytes(b"no checkpoint")
    outcome = run_all(todo, str(store.root), 1, Notes(store))
    assert outcome.statuses == {todo[0].id: "failed", todo[1].id: "blocked"}
    record = store.record(todo[0].id)
    assert record is not None
    assert "delete it and the run starts anew" in record["error"]


def test_a_vanished_spec_is_the_machines_fault_and_leaves_no_record(table: tuple[Store, list[Run]]) -> None:
    store, todo = table
    (store.folder(todo[0].id) / "spec.json").unlink()
    outcome = run_all(todo, str(store.root), 1, Notes(store))
    assert outcome.statuses[todo[0].id].startswith(f"lost: there is no run {todo[0].id}")
    assert store.all() == {}


def test_a_run_claimed_elsewhere_is_waited_for(table: tuple[Store, list[Run]]) -> None:
    store, todo = table
    started = time.monotonic()
    claim = store.claim(todo[0].id)
    assert claim.__enter__()

    class Release(Notes):
        def finished(self, run: Run, status: str) -> None:
            assert time.monotonic() - started > 1.0
            super().finished(run, status)

    import threading

    threading.Timer(6.0, lambda: claim.__exit__(None, None, None)).start()
    outcome = run_all(todo, str(store.root), 1, Release(store))
    assert set(outcome.statuses.values()) == {"ok"}
