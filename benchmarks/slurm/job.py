"""What a task does on its node: its runs one after the other, leaving in time.

The payload of submitit is work(root, "array/task"), two strings; the runs are found by their ids, never by a job's
number, so a requeued task goes on where it was. Python may run in a container without Slurm's commands: the batch
script, outside of it, asks scontrol beforehand and requeues a task that ends with AGAIN; see sbatch.py.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import submitit
from rich.console import Console

from benchmarks.campaign import Campaign
from benchmarks.durations import clock
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running.execute import Machine, execute
from benchmarks.running.progress import Reporter
from benchmarks.runs import Run, label
from benchmarks.slurm.cluster import ClusterError
from benchmarks.slurm.queue import Attempt, Submission, ask, attempt, folder_of
from benchmarks.tables import TABLES

GRACE = 3600.0  # seconds, more than Slurm leaves to preempted jobs
ASK_AGAIN = 2.0  # seconds between questions about a run that another process has claimed
EARLY = 60.0  # seconds by which Slurm's warning may come before its time, as sbatch's manual says
SAVING = 10.0  # seconds that a checkpoint and a requeue may take
AGAIN = os.EX_TEMPFAIL  # exit status of a task that is to be requeued
SHOWN = "BENCH_JOB"  # what scontrol said of this job when it began, from its batch script


class Leave:
    """Says when to leave: Slurm gave a sign, or the time left is shorter than the longest stretch so far.

    A stretch is the time between two questions, an epoch as a rule. `end` is a reading of `now`, a clock that does not
    jump when the node's is set.
    """

    def __init__(self, end: float | None, now: Callable[[], float] = time.monotonic) -> None:
        self.end, self.now = end, now
        self.told = False
        self.longest = 0.0
        self.asked = now()

    def __call__(self) -> bool:
        now = self.now()
        self.longest = max(self.longest, now - self.asked)
        self.asked = now
        return self.told or (self.end is not None and now + self.longest + SAVING > self.end)


class Task:
    """One task of a submitted array, on its node."""

    def __init__(self, root: Path, name: str, index: int, job: str, known: Attempt) -> None:
        self.root, self.job, self.known = root, job, known
        self.store = Store(root)
        self.submission = Submission.read(root, name)
        self.stage = self.submission.stage
        self.runs = [self.store.read_spec(run_id) for run_id in self.submission.tasks[index]]
        self.machine = Machine(**self.submission.machine)
        self.leave = Leave(None if known.end is None else time.monotonic() + known.end - time.time())
        self.requeues = True  # once told to leave, is it our part to come back?
        self.over = False  # all that is left is to be ended by Slurm
        self.before = self._saved()
        self.lost: list[str] = []

    def warned(self, *_: int | FrameType | None) -> None:
        """The signal of submitit (USR2): the time limit, or a preemption, is near. We come back by ourselves."""
        self.leave.told = True
        timer = threading.Timer(max(self.submission.signal_delay_s - SAVING, 1.0), self.come_back)
        timer.daemon = True  # when a stretch takes longer than Slurm waits, what was saved is where we go on
        timer.start()

    def ended(self, *_: int | FrameType | None) -> None:
        """SIGTERM: preempted, and Slurm brings us back if it wants, or cancelled, and nobody does."""
        if self.over:
            sys.exit(0)
        self.leave.told, self.requeues = True, False

    def come_back(self) -> NoReturn:
        """Ends this process, from any of its threads, so that the task is requeued.

        Unless a whole time limit was too short for anything, twice.
        """
        if self.known.restarts and self._out_of_time() and self._saved() == self.before:
            reason = f"neither a run nor an epoch fitted into the time limit, twice: raise `time` of [{self.stage}]"
            print(reason, file=sys.stderr, flush=True)
            os._exit(1)
        print(f"leaving in time; {self.job} goes back into the queue", flush=True)
        os._exit(AGAIN)

    def _make_room(self, run: Run) -> None:
        """After SIGTERM: whoever leaves before Slurm's grace is over is not requeued by it, so wait for the end."""
        try:
            preempted = attempt(ask("scontrol", "--oneliner", "show", "job", self.job)).preempted
        except ClusterError:  # in a container, say: to wait is right for a preempted task, and ends a cancelled one too
            preempted = True
        if preempted:
            print(f"told to end; {run.id} is saved, and Slurm brings this task back if it preempted it", flush=True)
            self.over = True
            time.sleep(GRACE)
        sys.exit(f"left at a checkpoint of {run.id}; run the same command again to go on")

    def _saved(self) -> set[tuple[str, int]]:
        """Records and checkpoints, and when they were written: what is different is what an attempt was good for."""
        records = (self.store.records / f"{run.id}.json" for run in self.runs)
        checkpoints = (self.store.folder(run.id) / "checkpoint.pt" for run in self.runs)
        return {(path.name, path.stat().st_mtime_ns) for path in (*records, *checkpoints) if path.exists()}

    def _out_of_time(self) -> bool:
        early = self.submission.signal_delay_s + EARLY
        return self.leave.end is not None and self.leave.end - self.leave.now() < early

    def do(self) -> None:
        """All runs, and the tables if it is the last stage."""
        with Reporter(self.runs, self.store, Console(width=160, force_terminal=False)) as watcher:
            for run in self.runs:
                status = self._do(run, watcher)
                if status == "interrupted":
                    if self.requeues:
                        self.come_back()
                    self._make_room(run)
                watcher.finished(run, status)
        for tables in self.submission.tables:
            render(tables)
        if self.lost:
            sys.exit("\n".join(self.lost))

    def _do(self, run: Run, watcher: Reporter) -> str:
        if (record := self.store.record(run.id)) and record["status"] == "failed":
            return "failed"  # before this task was requeued; --retry-failed clears the record

        report = partial(watcher.progress, run)
        while True:
            if self.leave():
                return "interrupted"
            try:
                status = execute(str(self.root), run.id, self.machine, report, self.leave)
            except (OSError, RuntimeError, MemoryError) as error:  # this machine's fault: no record, see execute
                self.lost.append(f"lost: {label(run)}: {error or type(error).__name__}")
                return self.lost[-1]
            if status != "claimed":
                return status
            time.sleep(ASK_AGAIN)


def render(tables: dict[str, Any]) -> None:
    """Writes tables and the page of the results folder: {"tables": ids, "settings": ..., "out": DIR, "data": DIR}."""
    given = tables["settings"]
    overrides = tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in given["overrides"])
    settings = Settings(given["recipe"], given["scale"], tuple(given["seeds"]), overrides)
    specs = [TABLES[name] for name in tables["tables"]]
    for path in Campaign(specs, settings, Path(tables["out"]), Path(tables["data"])).write():
        print(f"written: {path}", flush=True)


def work(root: str, task: str) -> None:
    """What submitit calls. `task` is "array/index".

    Raises:
        SystemExit: with a reason, when something is left to do; a failed run is recorded and no reason.
    """
    name, _, index = task.partition("/")
    job = submitit.JobEnvironment().job_id
    for leftover in folder_of(Path(root), name).glob(f"{job}_*.save_tmp"):
        leftover.unlink(missing_ok=True)  # submitit refuses to overwrite what a killed attempt left
    known = attempt(os.environ.get(SHOWN, ""))  # who could not ask learns of the end by the signal
    doing = Task(Path(root), name, int(index), job, known)
    signal.signal(signal.SIGUSR2, doing.warned)
    signal.signal(signal.SIGTERM, doing.ended)
    left = "no limit" if known.end is None else f"{clock(known.end - time.time())} left"
    print(f"{len(doing.runs)} runs, attempt {known.restarts + 1}, {left}", flush=True)
    doing.do()
