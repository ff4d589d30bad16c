"""What is asked of a real squeue."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.slurm.queue import Submission, look
from tests.benchmarks.slurm.cluster import Cluster

NOBODY = "65534"


def test_tasks_that_another_person_submitted_are_in_the_queue(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slurm").mkdir()
    monkeypatch.setenv("SLURM_CONF", cluster.env["SLURM_CONF"])
    assert look(tmp_path).jobs == ()
    names = ("pretrain-1", "pretrain-2")
    for name in names:
        Submission(name, "pretrain", (("a",), ("b",)), {}, 9).write(tmp_path)
    for name in (*names, "another"):
        words = (f"--uid={NOBODY}", f"--job-name={name}", "--partition=debug", "--array=0-1", "--hold", "--wrap=true")
        cluster.do("sbatch", "--chdir=/", *words)
    try:
        assert sorted((job.name, job.task) for job in look(tmp_path).jobs) == [(n, i) for n in names for i in (0, 1)]
    finally:
        cluster.do("scancel", f"--user={NOBODY}")
