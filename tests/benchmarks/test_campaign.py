"""Numbers measured on different data never meet in one table; what a round leaves is done in the next."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmarks import campaign as campaigns
from benchmarks.campaign import Campaign
from benchmarks.datasets import store as prepared
from benchmarks.recipes import Settings
from benchmarks.records.store import StoreError
from benchmarks.running.execute import Machine
from benchmarks.runs import Fuse, Run
from benchmarks.tables import TABLES
from tests.benchmarks.datasets import toy


def prepare(data: Path, value: float) -> dict[str, Any]:
    """A tiny prepared IRDS; returns its manifest."""
    clips = [
        ({"name": f"c{s}", "label": 0, "subject": s, "position": "stand", "correct": 1}, np.full((3, 16, 25, 1), value))
        for s in (101, 102)
    ]
    folder = prepared.folder_of(data, "irds", 16)
    return prepared.read_manifest(toy.put(folder, clips, classes=9, persons=1))


def write(campaign: Campaign, manifest: dict[str, Any], number: int) -> None:
    """A record for the n-th run of the table, measured on the data of that manifest."""
    run = [run for run in campaign.whole.runs.values() if not isinstance(run, Fuse)][number]
    campaign.store.write_record(
        {"run": run.id, "status": "ok", "metrics": {"top1": 0.5}, "data": {"sha256": manifest["sha256"]}}
    )


def test_same_data_are_fine_other_data_are_refused(tmp_path: Path) -> None:
    campaign = Campaign([TABLES["irds"]], Settings(), tmp_path / "out", tmp_path / "data")
    campaign.store.prepare()
    campaign.check_data()
    first = prepare(tmp_path / "data", 1.0)
    write(campaign, first, 0)
    campaign.check_data()
    second = prepare(tmp_path / "data", 2.0)
    with pytest.raises(StoreError, match="is not the one that the records"):
        campaign.check_data()
    write(campaign, second, 1)
    with pytest.raises(StoreError, match="were measured on different files of irds at 16 frames"):
        campaign.check_data()


def test_rounds_after_damage_keep_the_option_and_try_no_failure_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = Campaign([TABLES["7"]], Settings(scale="smoke"), tmp_path, tmp_path)
    campaign.store.prepare()
    again, fails, fine = campaign.todo()[:3]
    for run in (again, fails):
        campaign.store.write_record({"run": run.id, "status": "failed", "error": "earlier"})
    rounds: list[list[str]] = []
    answers = [{again.id: "damaged: its checkpoint", fails.id: "failed", fine.id: "ok"}, {again.id: "ok"}]

    def pretend(todo: list[Run], *_: Any) -> dict[str, str]:
        rounds.append([run.id for run in todo])
        return answers[len(rounds) - 1]

    monkeypatch.setattr(campaigns, "run_all", pretend)
    campaign.execute(partial(campaign.todo, True), 1, Machine(str(tmp_path)), Console(quiet=True))
    assert len(rounds) == 2
    assert {again.id, fails.id} <= set(rounds[0])
    assert again.id in rounds[1]
    assert fails.id not in rounds[1]


def test_a_failed_run_is_told_with_what_to_do(tmp_path: Path) -> None:
    campaign = Campaign([TABLES["7"]], Settings(scale="smoke"), tmp_path, tmp_path)
    campaign.store.prepare()
    assert campaign.failed() == []
    run = next(iter(campaign.plan.runs))
    campaign.store.write_record({"run": run, "status": "failed", "error": "e", "seconds": 1.0, "label": ""})
    assert campaign.failed() == [
        f"Failed runs are left alone: --retry-failed tries them again, `bench.py show {run}` says what it was."
    ]
