"""Numbers measured on different data never meet in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.campaign import Campaign
from benchmarks.datasets import store as prepared
from benchmarks.recipes import Settings
from benchmarks.records.store import StoreError
from benchmarks.runs import Fuse
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
