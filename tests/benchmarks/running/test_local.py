"""Local workers: a worker that dies takes nothing with it, order is kept but for known encoders, what cannot run."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running.execute import Machine, execute
from benchmarks.running.local import _Worker, _Workers, run_all
from benchmarks.runs import Evaluate, Pretrain, Run
from benchmarks.tables import TABLES, Cell
from protocols import Progress, features, knn
from protocols.sgd import SGD


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
    statuses = run_all(todo, str(store.root), Machine(), 1, notes)
    assert killed
    assert statuses == {run.id: "ok" for run in todo}
    assert [run.id for run, _ in notes.ended] == [run.id for run in todo]


def test_a_run_that_kills_every_worker_is_lost_and_its_child_blocked(table: tuple[Store, list[Run]]) -> None:
    store, todo = table
    assert isinstance(todo[0], Pretrain)
    assert isinstance(todo[1], Evaluate)
    long = replace(todo[0], epochs=1000)  # or it may be done before word of its first epoch arrives here
    runs = [long, replace(todo[1], encoder=long)]
    for run in runs:
        store.write_spec(run)
    statuses = run_all(runs, str(store.root), Machine(), 2, Notes(store, kill_owner))
    first, second = (statuses[run.id] for run in runs)
    assert first == f"lost: its worker died (exit code {-signal.SIGKILL})"
    assert second == "blocked"
    assert store.briefs() == {}


def test_a_run_that_raises_is_recorded_and_its_child_blocked(table: tuple[Store, list[Run]]) -> None:
    store, todo = table
    assert isinstance(todo[0], Pretrain)
    poisoned = replace(todo[0], sgd=SGD(lr=1e30))
    assert isinstance(todo[1], Evaluate)
    runs = [poisoned, replace(todo[1], encoder=poisoned)]
    for run in runs:
        store.write_spec(run)
    statuses = run_all(runs, str(store.root), Machine(), 1, Notes(store))
    assert statuses == {runs[0].id: "failed", runs[1].id: "blocked"}
    record = store.record(runs[0].id)
    assert record is not None
    assert "the loss is not finite in epoch 1" in record["error"]


def test_a_damaged_file_is_no_result_and_is_set_aside(table: tuple[Store, list[Run]]) -> None:
    store, todo = table
    checkpoint = store.folder(todo[0].id) / "checkpoint.pt"
    checkpoint.write_bytes(b"no checkpoint")
    statuses = run_all(todo, str(store.root), Machine(), 1, Notes(store))
    assert "it is called checkpoint.pt.damaged now" in statuses[todo[0].id]
    assert store.briefs() == {}
    assert not checkpoint.exists()
    assert set(run_all(todo, str(store.root), Machine(), 1, Notes(store)).values()) == {"ok"}

    evaluation = store.records / f"{todo[1].id}.json"
    for encoder in store.products(todo[0]):
        evaluation.unlink()
        encoder.write_bytes(encoder.read_bytes()[:100])
        plan = Plan(Settings(scale="smoke"), {"7": [Cell("", "", (todo[1],))]})
        assert plan.todo(store) == [todo[1]]
        statuses = run_all(plan.todo(store), str(store.root), Machine(), 1, Notes(store))
        if encoder.name == "encoder-best-knn.safetensors":  # the one that this table selects
            assert "is damaged" in statuses[todo[1].id]
        encoder.unlink(missing_ok=True)  # one that was read is set aside already
        assert plan.todo(store) == ([todo[0], todo[1]] if not evaluation.exists() else [])
        run_all([todo[0], todo[1]], str(store.root), Machine(), 1, Notes(store))
        assert store.done(todo[1], product=True)


def test_a_vanished_spec_is_the_machines_fault_and_leaves_no_record(table: tuple[Store, list[Run]]) -> None:
    store, todo = table
    (store.folder(todo[0].id) / "spec.json").unlink()
    statuses = run_all(todo, str(store.root), Machine(), 1, Notes(store))
    assert statuses[todo[0].id].startswith(f"lost: there is no run {todo[0].id}")
    assert store.briefs() == {}


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
    statuses = run_all(todo, str(store.root), Machine(), 1, Release(store))
    assert set(statuses.values()) == {"ok"}


def chains(first: Run, judged: Run) -> list[Run]:
    """Two pretrainings, then two evaluations of each in turn."""
    assert isinstance(first, Pretrain)
    assert isinstance(judged, Evaluate)
    encoders = [first, replace(first, seed=1)]
    return [*encoders, *(replace(judged, encoder=encoder, seed=seed) for seed in (0, 1) for encoder in encoders)]


def test_a_free_worker_goes_on_with_the_encoder_that_it_knows(table: tuple[Store, list[Run]]) -> None:
    store, todo = table
    runs = chains(*todo)
    for run in runs:
        store.write_spec(run)
    notes = Notes(store)
    assert set(run_all(runs, str(store.root), Machine(), 1, notes).values()) == {"ok"}
    assert [runs.index(run) for run, _ in notes.ended] == [0, 2, 4, 1, 3, 5], "else 0 to 5"


def test_the_last_monitor_pass_of_a_pretraining_serves_its_evaluations(
    table: tuple[Store, list[Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, (trained, judged) = table
    assert isinstance(judged, Evaluate)
    again = replace(judged, protocol="knn", config=knn.Config(ks=(3,), k=3))
    store.write_spec(again)
    extracted: list[str] = []
    plain = features.extract
    monkeypatch.setattr(features, "_remembered", [])
    monkeypatch.setattr(features, "extract", lambda *given: (extracted.append(running), plain(*given))[1])
    for run in (trained, judged, again):
        running = type(run).__name__
        assert execute(str(store.root), run.id, machine=Machine()) == "ok"
    assert extracted == ["Pretrain", "Pretrain"], "both sides; one epoch, so that its encoder is the one selected"


def test_the_worker_that_knows_an_encoder_gets_its_runs(table: tuple[Store, list[Run]]) -> None:
    first, second, *_, judges_first, judges_second = chains(*table[1])
    other = replace(second, seed=7)

    class Pipe:
        def send(self, run_id: str) -> None:
            pass

    process: Any = None
    pipe: Any = Pipe()
    known = (first.id, second.id, None)
    knows_first, knows_second, fresh = (_Worker(process, pipe, Machine(), encoder) for encoder in known)
    crew = _Workers("", [Machine()])
    crew.idle = [knows_first, fresh]
    assert crew.choose([other, judges_second, judges_first]) is judges_first
    assert crew.choose([other, judges_second]) is other, "nobody knows it, so the order holds"
    crew.give(judges_first)
    assert crew.busy[judges_first.id][1] is knows_first
    crew.idle.insert(0, knows_second)
    crew.give(other)
    assert crew.busy[other.id][1] is fresh, "the latest that is idle, as ever"
    crew.give(judges_second)
    assert crew.busy[judges_second.id][1] is knows_second
    assert fresh.encoder == other.id
