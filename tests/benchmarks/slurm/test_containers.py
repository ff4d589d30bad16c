"""Tasks whose Python cannot ask Slurm, as in a container: they come back all the same, on a real cluster."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from glob import glob
from pathlib import Path

import pytest

from tests.benchmarks.slurm.cluster import Cluster, until


def warn(cluster: Cluster, job: str) -> None:
    """What Slurm does near a time limit."""
    cluster.warn(job)


def preempt(cluster: Cluster, job: str) -> None:
    """Takes the node away for a moment."""
    cluster.do("sbatch", "--partition=urgent", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 2")


@pytest.mark.parametrize(
    ("disturb", "words"),
    [(warn, "leaving in time; {job} goes back into the queue"), (preempt, "Slurm brings this task back")],
)
def test_a_task_that_cannot_ask_slurm_comes_back(
    cluster: Cluster, tmp_path: Path, disturb: Callable[[Cluster, str], None], words: str
) -> None:
    contained = cluster.file.with_name("contained.toml")
    contained.write_text(
        f'partition = "debug"\ntime = 10\nsetup = ["set -eu"]\npython = "env PATH=/nowhere {sys.executable}"\n'
    )
    one = ("run", "--method", "skeletonclr", "--scale", "smoke", "--set", "epochs=24", "--out", tmp_path)
    assert cluster.bench(*one, "--slurm", contained).returncode == 0
    (job,) = (job for job, (_, _, name) in cluster.tasks().items() if name.startswith("pretrain"))
    until(lambda: glob(f"{tmp_path}/smoke/runs/pretrain-*/log.jsonl"), 60, "an epoch is done")
    (log,) = (tmp_path / "smoke" / "slurm").glob(f"*/{job}_0_log.out")
    disturb(cluster, job)
    until(lambda: cluster.tasks().get(job, ("",))[0] == "PENDING", 60, "the task is back in the queue")
    time.sleep(2)  # a node does not start a job in the second in which it was requeued, hence Slurm's two minutes
    cluster.drain()
    told = log.read_text()
    assert words.format(job=job) in told
    assert "attempt 2" in told
    assert "no limit" not in told, "the batch script has asked"
    records = [json.loads(path.read_text()) for path in (tmp_path / "smoke" / "records").glob("*.json")]
    assert [record["status"] for record in records] == ["ok", "ok"]
