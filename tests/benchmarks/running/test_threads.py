"""--threads: what a worker computes with, how many workers there are then, and that the record says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import bench
from benchmarks import campaign
from benchmarks.machine import limits
from benchmarks.records.store import Store
from benchmarks.running.execute import Machine

ONE = ["run", "--method", "skeletonclr", "--scale", "smoke", "--protocol", "knn", "--device", "cpu"]


def test_the_record_says_how_many_threads_the_worker_had(tmp_path: Path) -> None:
    words = [*ONE, "--set", "epochs=0", "--out", str(tmp_path), "--threads", "2", "--jobs", "1"]
    assert bench.main(words) == 0
    records = Store(tmp_path / "smoke").briefs().values()
    assert [record["environment"]["threads"] for record in records] == [2, 2]


@pytest.mark.parametrize(
    ("words", "threads", "jobs"), [([], 1, 8), (["--threads", "3"], 3, 2), (["--threads", "9"], 9, 1)]
)
def test_workers_share_the_cores(
    words: list[str], threads: int, jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Machine, int]] = []

    def stand_in(todo: Any, root: str, machine: Machine, jobs: int, *rest: Any) -> dict[str, str]:
        seen.append((machine, jobs))
        return {}

    monkeypatch.setattr(campaign, "run_all", stand_in)
    monkeypatch.setattr(limits, "cores", lambda: 8)
    bench.main([*ONE, "--seeds", "9", "--out", str(tmp_path), *words])
    assert [(machine.threads, jobs) for machine, jobs in seen] == [(threads, jobs)]


def test_no_threads_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main([*ONE, "--threads", "0"])
    assert "expected a whole number of at least 1, got '0'" in capsys.readouterr().err
