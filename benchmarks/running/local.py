"""Runs on this machine: worker processes that are reused, one run each at a time, parents before children.

A worker that is free takes the first run that is ready, or rather one that judges the encoder it handled last, because
it remembers that encoder's features. One that dies takes one run with it, which is done again by a fresh worker once.
Workers end with the process that started them, however that ends. With several GPUs each worker keeps to one.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

import torch

from benchmarks.machine import workers
from benchmarks.running.execute import Machine, execute
from benchmarks.runs import Evaluate, Fuse, Pretrain, Run
from protocols import Progress
from protocols.checkpoint import Damaged

ASK_AGAIN = 1.0  # seconds between questions about a run that another process has claimed
DIED = "lost: its worker died"
DAMAGED = "damaged"


class Watcher(Protocol):
    """Is told what happens; see progress.py."""

    def progress(self, run: Run, progress: Progress) -> None:
        """A run that is going on."""
        ...

    def finished(self, run: Run, status: str) -> None:
        """A run that ended: ok, failed, blocked, or lost or damaged with the reason."""
        ...


def devices_of(device: str, gpus: int) -> list[str]:
    """Where workers may compute: every visible GPU for "cuda", otherwise what was asked for ("cpu", "cuda:1")."""
    return [f"cuda:{number}" for number in range(gpus)] if device == "cuda" and gpus > 1 else [device]


def run_all(
    todo: list[Run], root: str, machine: Machine, jobs: int, watcher: Watcher, devices: Sequence[str] = ()
) -> dict[str, str]:
    """Executes runs, given parents first, with up to `jobs` workers, spread evenly over `devices` (the machine's one).

    A dead worker's successor takes its device. A run that another process has claimed is asked for again until it is
    done there. KeyboardInterrupt (also from SIGTERM, see bench.py) stops the workers at once; what was saved stays.

    Returns:
        How every run ended, by its id: ok, failed, blocked, or lost or damaged with the reason.
    """
    statuses: dict[str, str] = {}
    waiting = {run.id: run for run in todo}
    again: dict[str, float] = {}  # claimed elsewhere: when to ask again
    deaths: Counter[str] = Counter()
    crew = _Workers(root, [replace(machine, device=device) for device in devices] or [machine])

    def ready() -> list[Run]:
        open_runs = waiting.keys() | crew.busy.keys()
        return [
            run
            for run in waiting.values()
            if again.get(run.id, 0.0) <= time.monotonic() and not any(p.id in open_runs for p in run.parents)
        ]

    def settle(run: Run, status: str) -> None:
        statuses[run.id] = status
        watcher.finished(run, status)

    try:
        while waiting or crew.busy:
            while len(crew.busy) < jobs and (runs := ready()):
                run = crew.choose(runs)
                del waiting[run.id]
                if all(statuses.get(parent.id, "ok") == "ok" for parent in run.parents):
                    crew.give(run)
                else:
                    settle(run, "blocked")
            for run, message in crew.messages(timeout=1.0):
                if isinstance(message, Progress):
                    watcher.progress(run, message)
                elif message in ("claimed", "interrupted"):
                    waiting[run.id] = run
                    again[run.id] = time.monotonic() + ASK_AGAIN
                elif message.startswith(DIED) and not deaths[run.id]:
                    deaths[run.id] += 1
                    waiting[run.id] = run
                else:
                    settle(run, message)
    finally:
        crew.kill()
    return statuses


def _encoder(run: Run) -> str | None:
    """The id of the encoder that a run trains or judges; a fusion has none."""
    match run:
        case Pretrain():
            return run.id
        case Evaluate():
            return run.encoder.id
        case Fuse():
            return None


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    machine: Machine
    encoder: str | None = None  # id of the encoder that it handled last


class _Workers:
    """Worker processes, started when first needed and used again."""

    def __init__(self, root: str, machines: list[Machine]) -> None:
        """`machines`: this one with each of its devices."""
        self.root, self.machines = root, machines
        self.idle: list[_Worker] = []
        self.busy: dict[str, tuple[Run, _Worker]] = {}

    def choose(self, runs: list[Run]) -> Run:
        """The first that judges an encoder which an idle worker handled last, else the first."""
        known = {worker.encoder for worker in self.idle} - {None}
        return next((run for run in runs if _encoder(run) in known), runs[0])

    def give(self, run: Run) -> None:
        """Starts a run on an idle worker, best on the one that handled its encoder last, or on a new one."""
        while True:
            self.idle.sort(key=lambda worker: worker.encoder == _encoder(run))
            worker = self.idle.pop() if self.idle else self._start()
            worker.encoder = _encoder(run)
            try:
                worker.pipe.send(run.id)
            except OSError:  # it died while idle
                continue
            self.busy[run.id] = (run, worker)
            return

    def messages(self, timeout: float) -> Iterator[tuple[Run, Progress | str]]:
        """What busy workers say: Progress, or a status, after which the worker is idle again."""
        owners = {
            handle: run_id
            for run_id, (_, worker) in self.busy.items()
            for handle in (worker.pipe, worker.process.sentinel)
        }
        for run_id in dict.fromkeys(owners[handle] for handle in wait(list(owners), timeout)):  # pyright: ignore[reportArgumentType]  wait returns what it was given
            run, worker = self.busy[run_id]
            try:
                message = worker.pipe.recv() if worker.pipe.poll() else None
            except (EOFError, OSError):
                message = None
            if isinstance(message, str):
                del self.busy[run_id]
                self.idle.append(worker)
            elif message is None:
                worker.process.join(timeout=5.0)
                del self.busy[run_id]
                message = f"{DIED} (exit code {worker.process.exitcode})"
            yield run, message

    def kill(self) -> None:
        """Ends all workers now: everything that they write is complete or absent."""
        everyone = self._everyone()
        for worker in everyone:
            worker.process.kill()
        for worker in everyone:
            worker.process.join()

    def _everyone(self) -> list[_Worker]:
        return [*self.idle, *(worker for _, worker in self.busy.values())]

    def _start(self) -> _Worker:
        """A worker on the device that has fewest."""
        there = Counter(worker.machine for worker in self._everyone())
        machine = min(self.machines, key=lambda machine: there[machine])
        mine, theirs = workers.CONTEXT.Pipe()
        process = workers.CONTEXT.Process(target=_work, args=(self.root, machine, theirs, os.getpid()), daemon=True)
        with workers.one_thread(), workers.deaf():
            process.start()
        theirs.close()
        return _Worker(process, mine, machine)


def _work(root: str, machine: Machine, pipe: Connection, parent: int) -> None:
    """A worker: receives run ids, sends Progress and then a status."""
    workers.begin(parent)
    if machine.device.startswith("cuda:"):
        torch.cuda.set_device(machine.device)  # what asks for "cuda", and kernels of our own, go to the same GPU
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
            pipe.send(execute(root, run_id, machine, report))
        except Damaged as error:
            pipe.send(f"{DAMAGED}: {error}")
        except torch.AcceleratorError as error:  # this process can compute nothing there any more, another one can
            print(f"{run_id}: {str(error).splitlines()[0]}", file=sys.stderr, flush=True)
            os._exit(1)
        except (OSError, RuntimeError, MemoryError) as error:  # this machine's fault: no record, see execute
            pipe.send(f"lost: {error or type(error).__name__}")
