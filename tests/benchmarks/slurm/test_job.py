"""When a task leaves, and whether it comes back; without a cluster."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running.execute import Machine
from benchmarks.slurm import job as module
from benchmarks.slurm.cluster import ClusterError
from benchmarks.slurm.job import AGAIN, SAVING, Leave, Task
from benchmarks.slurm.queue import Attempt, Submission, attempt
from benchmarks.tables import TABLES


def test_it_leaves_when_the_longest_stretch_so_far_would_not_fit() -> None:
    clock = [0.0]
    leave = Leave(end=100.0 + SAVING, now=lambda: clock[0])
    answers = []
    for now in (1, 20, 40, 60, 79, 81, 82):
        clock[0] = now
        answers.append(leave())
    assert answers == [False, False, False, False, False, True, True]  # 20 s are the longest: 80 is the last moment
    assert not Leave(end=None, now=lambda: 1e9)()
    told = Leave(end=None)
    told.told = True
    assert told()


class Requeued(Exception):
    """Instead of the end of a process that the batch script requeues."""


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Two runs of Table 7 as one task, whose requeue raises Requeued; no job is known to scontrol."""
    store = Store(tmp_path)
    store.prepare()
    settings = Settings(scale="smoke", overrides=(("epochs", 3),))
    runs = list(Plan.of([TABLES["7"]], settings).runs.values())[:2]
    for run in runs:
        store.write_spec(run)
    asked = Submission("pretrain-1", "pretrain", (tuple(run.id for run in runs),), asdict(Machine()), 30)
    asked.write(tmp_path)

    def leave(code: int) -> None:
        raise Requeued if code == AGAIN else SystemExit(code)

    monkeypatch.setattr(module, "os", SimpleNamespace(_exit=leave))
    monkeypatch.setattr(module, "ask", lambda *_: "")
    return Task(tmp_path, "pretrain-1", 0, "7_0", Attempt(0, None))


def test_a_task_does_its_runs(task: Task) -> None:
    task.do()
    assert [task.store.done(run, product=True) for run in task.runs] == [True, True]


def test_told_to_leave_it_saves_and_comes_back_where_it_was(task: Task) -> None:
    class Told(Leave):
        def __call__(self) -> bool:
            self.told |= log.exists()  # after the first epoch
            return super().__call__()

    log = task.store.folder(task.runs[0].id) / "log.jsonl"
    task.leave = Told(None)
    with pytest.raises(Requeued):
        task.do()
    assert task.store.briefs() == {}
    assert len(log.read_text().splitlines()) == 1
    again = Task(task.root, "pretrain-1", 0, "7_0", Attempt(1, None))
    again.do()
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == [1, 2, 3]
    assert [task.store.done(run) for run in task.runs] == [True, True]


def test_terminated_it_saves_and_does_not_come_back_by_itself(task: Task) -> None:
    task.ended()
    with pytest.raises(SystemExit, match=f"left at a checkpoint of {task.runs[0].id}"):
        task.do()


def test_terminated_where_slurm_cannot_be_asked_it_waits_for_the_end(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: str) -> str:
        raise ClusterError("there is no scontrol here")

    slept: list[float] = []
    monkeypatch.setattr(module, "ask", ask)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=time.monotonic, sleep=slept.append))
    task.ended()
    with pytest.raises(SystemExit):
        task.do()
    assert slept == [module.GRACE]


def test_a_stretch_longer_than_slurm_waits_is_left_in_the_middle(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def stretch() -> None:
        task.warned()
        time.sleep(60)

    monkeypatch.setattr(module, "os", os)
    task.submission = replace(task.submission, signal_delay_s=int(SAVING))
    process = multiprocessing.get_context("fork").Process(target=stretch)
    process.start()
    process.join()
    assert process.exitcode == AGAIN


def test_what_scontrol_shows_of_a_job() -> None:
    end = datetime(2026, 11, 5, 12).timestamp()
    assert attempt("JobId=8 Restarts=2 EndTime=2026-11-05T12:00:00 PreemptTime=None") == Attempt(2, end)
    assert attempt("JobId=8 Restarts=0 EndTime=Unknown PreemptTime=2026-11-05T12:00:00") == Attempt(0, None, True)
    assert attempt("") == Attempt(0, None)


def test_a_limit_too_short_for_anything_is_given_up_the_second_time(task: Task, capsys: pytest.CaptureFixture) -> None:
    task.leave.told = True
    for restarts, end in ((0, 5.0), (1, None), (1, 1000.0)):  # the first time; no limit; preempted long before it
        task.known, task.leave.end = Attempt(restarts, None), end and time.monotonic() + end
        with pytest.raises(Requeued):
            task.come_back()
    task.known, task.leave.end = Attempt(1, None), time.monotonic() + 5
    with pytest.raises(SystemExit):
        task.come_back()
    assert "raise `time` of [pretrain]" in capsys.readouterr().err
    (task.store.folder(task.runs[0].id) / "checkpoint.pt").write_bytes(b"an epoch")
    with pytest.raises(Requeued):
        task.come_back()


def test_what_earlier_attempts_saved_is_no_progress_of_this_one(task: Task) -> None:
    task.do()
    again = Task(task.root, "pretrain-1", 0, "7_0", Attempt(1, time.time() + 5))
    with pytest.raises(SystemExit):
        again.come_back()


def test_a_run_that_failed_before_the_requeue_is_not_tried_again(task: Task) -> None:
    run = task.runs[0]
    task.store.write_record({"run": run.id, "status": "failed", "error": "e", "seconds": 1.0, "label": ""})
    task.do()
    record = task.store.record(run.id)
    assert record is not None
    assert record["status"] == "failed"


def test_what_this_machine_lost_is_told_at_the_end_and_the_rest_is_done(task: Task) -> None:
    (task.store.folder(task.runs[0].id) / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(SystemExit, match=r"lost: .*is damaged"):
        task.do()
    assert [task.store.done(run) for run in task.runs] == [False, False]  # the second needs the first


def test_a_submission_is_read_as_written(tmp_path: Path) -> None:
    asked = Submission("fuse-1", "fuse", (("a", "b"), ("c",)), {"device": "cpu"}, 9, ({"tables": ["7"]},), "4")
    asked.write(tmp_path)
    assert Submission.read(tmp_path, "fuse-1") == asked
    assert json.loads((tmp_path / "slurm" / "fuse-1" / "array.json").read_text())["job"] == "4"


def test_a_clock_that_is_set_back_does_not_make_it_late(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    doing = Task(task.root, "pretrain-1", 0, "7_0", Attempt(0, time.time() + SAVING + 1))
    assert not doing.leave()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    monotonic = time.monotonic()
    doing.leave.now = lambda: monotonic + 2
    assert doing.leave()
