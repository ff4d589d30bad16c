"""Several GPUs on one machine: workers are spread over them, a successor takes the device of the dead."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from benchmarks import campaign as campaigns
from benchmarks.campaign import Campaign
from benchmarks.machine import limits
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running.execute import Machine
from benchmarks.running.local import devices_of, run_all
from benchmarks.runs import Pretrain, Run
from benchmarks.tables import TABLES
from protocols import Progress

SMOKE = Settings(scale="smoke")


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [
        ("cuda", 3, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda", 1, ["cuda"]),
        ("cuda:1", 4, ["cuda:1"]),
        ("cpu", 4, ["cpu"]),
    ],
)
def test_where_workers_compute(device: str, gpus: int, expected: list[str]) -> None:
    assert devices_of(device, gpus) == expected


@pytest.mark.parametrize(
    ("device", "jobs", "expected"),
    [
        ("cuda", None, (3, ["cuda:0", "cuda:1", "cuda:2"])),
        ("cuda", 6, (6, ["cuda:0", "cuda:1", "cuda:2"])),
        ("cuda:1", None, (1, ["cuda:1"])),
        ("cpu", None, (5, ["cpu"])),
    ],
)
def test_by_default_a_job_per_gpu(
    device: str, jobs: int | None, expected: tuple[int, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, list[str]]] = []

    def watch(
        todo: list[Run], root: str, machine: Machine, jobs: int, watcher: Any, devices: list[str]
    ) -> dict[str, str]:
        asked.append((jobs, devices))
        return {}

    monkeypatch.setattr(campaigns, "run_all", watch)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(limits, "cores", lambda: 5)
    campaign = Campaign([TABLES["7"]], SMOKE, tmp_path, tmp_path)
    campaign.execute(campaign.todo, jobs, Machine(str(tmp_path), device), Console(quiet=True))
    assert asked == [expected]


class Once:
    """A watcher that kills the worker of one run when it first hears of it, and remembers who did what."""

    def __init__(self, store: Store, victim: str) -> None:
        self.store, self.victim, self.killed = store, victim, 0
        self.ended: dict[str, str] = {}

    def progress(self, run: Run, progress: Progress) -> None:
        owner = self.store.claimed(run.id)
        if run.id == self.victim and not self.killed and owner and owner.split()[-1].isdigit():
            self.killed = int(owner.split()[-1])
            os.kill(self.killed, signal.SIGKILL)

    def finished(self, run: Run, status: str) -> None:
        self.ended[run.id] = status


def test_workers_are_spread_and_a_successor_takes_the_device_of_the_dead(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    found = [run for run in Plan.of([TABLES["7"]], SMOKE).runs.values() if isinstance(run, Pretrain)][:3]
    todo: list[Run] = [replace(run, epochs=20, monitor_every=20) for run in found]  # nobody is idle too soon
    for run in todo:
        store.write_spec(run)
    watcher = Once(store, todo[0].id)
    statuses = run_all(todo, str(tmp_path), Machine(), 3, watcher, ["cpu:0", "cpu:1"])
    assert watcher.killed
    assert statuses == watcher.ended == {run.id: "ok" for run in todo}
    records = [store.record(run.id) or {} for run in todo]
    assert [record["environment"]["device"] for record in records] == ["cpu:0", "cpu:1", "cpu:0"]
    assert [record["run"] for record in records] == [run.id for run in todo], "where it ran is not part of what it is"
