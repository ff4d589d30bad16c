"""Runs on this machine: worker processes that are reused, one run each at a time, parents before children.

A worker that dies takes one run with it, which is done again by a fresh worker once; the table goes on.
Workers end with the process that started them, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from benchmarks.runs import Run
from protocols import Progress

_CONTEXT = multiprocessing.get_context("spawn")


class Watcher(Protocol):
    """Is told what happens; see progress.py."""

    def progress(self, run: Run, progress: Progress) -> None:
        """A run that is going on."""
        ...

    def finished(self, run: Run, status: str) -> None:
        """A run that ended: ok, failed, blocked, or lost with the reason."""
        ...


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    run: Run | None = None


@dataclass
class Outcome:
    """How many runs ended how."""

    statuses: dict[str, str] = field(default_factory=dict)  # run id -> ok | failed | blocked | lost: reason


def run_all(todo: list[Run], root: str, jobs: int, watcher: Watcher) -> Outcome:
    """Executes runs, given parents first, with up to `jobs` workers.

    KeyboardInterrupt (also from SIGTERM, see bench.py) stops the workers at once; what was saved stays.
    """
    waiting = {run.id: run for run in todo}
    outcome = Outcome()
    lives = dict.fromkeys(waiting, 2)
    later: dict[str, float] = {}  # claimed elsewhere: when to ask again
    workers: list[_Worker] = []

    def ready() -> Run | None:
        for run in waiting.values():
            if run.id in later and later[run.id] > time.monotonic():
                continue
            if not any(p.id in waiting or p.id in busy() for p in run.parents):
                return run
        return None

    def busy() -> set[str]:
        return {worker.run.id for worker in workers if worker.run}

    def settle(run: Run, status: str) -> None:
        if status in ("claimed", "interrupted"):
            waiting[run.id] = run
            later[run.id] = time.monotonic() + 1.0
            return
        outcome.statuses[run.id] = status
        watcher.finished(run, status)

    try:
        while waiting or busy():
            while (len(busy()) < jobs) and (run := ready()):
                del waiting[run.id]
                if any(outcome.statuses.get(p.id, "ok") != "ok" for p in run.parents):
                    settle(run, "blocked")
                    continue
                worker = next((w for w in workers if w.run is None), None)
                if worker is None:
                    worker = _start(root)
                    workers.append(worker)
                worker.run = run
                worker.pipe.send(run.id)
            handles = [w.pipe for w in workers if w.run] + [w.process.sentinel for w in workers if w.run]
            signalled = wait(handles, timeout=1.0)
            for worker in list(workers):
                if worker.run is None or not {worker.pipe, worker.process.sentinel} & set(signalled):
                    continue
                try:
                    message = worker.pipe.recv() if worker.pipe.poll() else None
                except (EOFError, OSError):
                    message = None
                if isinstance(message, Progress):
                    watcher.progress(worker.run, message)
                elif isinstance(message, str):
                    run, worker.run = worker.run, None
                    settle(run, message)
                elif not worker.process.is_alive():
                    run = worker.run
                    workers.remove(worker)
                    lives[run.id] -= 1
                    if lives[run.id]:
                        waiting[run.id] = run
                    else:
                        settle(run, f"lost: its worker died twice (exit code {worker.process.exitcode})")
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
    return outcome


def run_here(todo: list[Run], root: str, watcher: Watcher) -> Outcome:
    """Executes runs in this process, one after the other: for debuggers and for one single run."""
    from benchmarks.execute import execute

    outcome = Outcome()
    for run in todo:
        status: str = execute(root, run.id, lambda progress, run=run: watcher.progress(run, progress))
        outcome.statuses[run.id] = status
        watcher.finished(run, status)
    return outcome


def _start(root: str) -> _Worker:
    mine, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_work, args=(root, theirs, os.getpid()), daemon=True)
    with _one_thread():
        process.start()
    theirs.close()
    return _Worker(process, mine)


@contextlib.contextmanager
def _one_thread():
    """Numerical libraries of a worker size their thread pools when they load; one process per core is the plan."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(root: str, pipe: Connection, parent: int) -> None:
    """A worker: receives run ids, sends Progress and then a status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _die_with(parent)
    from benchmarks.execute import execute

    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.2 or progress.done == progress.total:
            last = now
            pipe.send(progress)

    while True:
        try:
            run_id = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(execute(root, run_id, report))
        except (OSError, RuntimeError, MemoryError) as error:  # this machine's fault: no record, see execute
            pipe.send(f"lost: {error or type(error).__name__}")


def _die_with(parent: int) -> None:
    """Ends this process when its parent ends, even by SIGKILL: by the kernel on Linux, by watching elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
