"""The batch script, run by bash with stand-ins for Slurm's commands; without a cluster."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from submitit.slurm.slurm import SlurmExecutor

from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.slurm.arrays import Array
from benchmarks.slurm.cluster import Request
from benchmarks.slurm.job import AGAIN
from benchmarks.slurm.sbatch import Batch
from benchmarks.tables import TABLES


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands; each notes how it was called, and srun ends with the status in $SRUN."""
    monkeypatch.setattr(SlurmExecutor, "affinity", classmethod(lambda cls: 2))
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, lines in {
        "srun": 'echo "PYTHONPATH $PYTHONPATH"; exit $SRUN',
        "scontrol": 'echo "$@" >&2; exit $SCONTROL',
        "sleep": "",
    }.items():
        (commands / name).write_text(f"#!/bin/bash\n{lines}\n")
        (commands / name).chmod(0o755)
    return commands


def run(node: Path, *setup: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The script of an array of two tasks, run on that node."""
    runs = tuple(Plan.of([TABLES["7"]], Settings(scale="smoke")).runs.values())
    code = node.parent / "my code"
    code.mkdir(exist_ok=True)
    array = Array("pretrain", tuple((run,) for run in runs[:2]))
    script = Batch(array, "pretrain-1", (), Request("p", setup=setup), 1, str(code)).script(node.parent)
    job = {"SLURM_JOB_ID": "9", "SRUN": "0", "SCONTROL": "0", "PATH": f"{node}:{os.environ['PATH']}"} | variables
    return subprocess.run(["bash", "-c", script], env=job, capture_output=True, text=True)


def test_what_modules_put_on_the_path_stays_behind_our_code(node: Path) -> None:
    code = node.parent / "my code"
    assert f"PYTHONPATH {code}\n" in run(node).stdout
    assert f"PYTHONPATH {code}:/a b:/c\n" in run(node, 'export PYTHONPATH="/a b:/c"').stdout


@pytest.mark.parametrize("setup", ["true", "set -euo pipefail"])
def test_a_task_that_left_in_time_is_requeued_and_no_other_one(node: Path, setup: str) -> None:
    alone = run(node, setup, SRUN=str(AGAIN))
    assert (alone.returncode, "requeue 9\n" in alone.stderr) == (AGAIN, True)
    task = run(node, setup, SRUN=str(AGAIN), SLURM_ARRAY_JOB_ID="9", SLURM_ARRAY_TASK_ID="1")
    assert (task.returncode, "requeue 9_1\n" in task.stderr) == (AGAIN, True), "9 alone would be the whole array"
    for status in (0, 1):
        ended = run(node, setup, SRUN=str(status))
        assert (ended.returncode, "requeue" in ended.stderr) == (status, False)
    refused = run(node, setup, SRUN=str(AGAIN), SCONTROL="1")
    assert (refused.returncode, "run the same command again to go on" in refused.stderr) == (AGAIN, True)
