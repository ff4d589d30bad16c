"""Tables as array jobs on a real cluster: submitted, disturbed in every way, and as if nothing had been.

The tests of this file use one cluster one after the other; the first shows what the undisturbed table is.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from glob import glob
from pathlib import Path

import pytest

from benchmarks.campaign import Campaign
from benchmarks.recipes import Settings
from benchmarks.slurm.arrays import arrays_of, last_array
from benchmarks.slurm.simulate import simulate
from benchmarks.status import standing
from benchmarks.tables import TABLES
from tests.benchmarks.slurm.cluster import REPO, Cluster, until
from tests.pages import commands, words_of

TABLE = ("--table", "7", "--scale", "smoke")
EPOCHS = 24
LONG = ("--set", f"epochs={EPOCHS}")  # some seconds of training, to be disturbed in


def records(out: Path) -> dict[str, dict]:
    """All records that are there now."""
    return {path.stem: json.loads(path.read_text()) for path in (out / "smoke" / "records").glob("*.json")}


def rendered(out: Path) -> str:
    """The one table below a results folder."""
    (path,) = (out / "smoke" / "tables").glob("*.md")
    return path.read_text()


def counts(told: str) -> dict[str, int]:
    """The last line of `status`: state -> runs."""
    return {state: int(number) for number, state in re.findall(r"(\d+) (\w+)", told.strip().splitlines()[-1])}


def local(out: Path, *words: str) -> str:
    """The table as this machine makes it without a cluster."""
    command = [sys.executable, str(REPO / "bench.py"), "run", *TABLE, *words, "--out", str(out), "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return rendered(out)


def executed(out: Path) -> list[str]:
    """What the logs of all tasks say was done, a line for each run and attempt that came to its end."""
    logs = (path.read_text() for path in (out / "smoke" / "slurm").glob("*/*_log.out"))
    return [line for text in logs for line in text.splitlines() if line.startswith("[")]


def test_two_people_submit_a_table_at_once_and_it_fills(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a b"  # a folder with a space in its name
    words = ("run", *TABLE, "--out", out, "--slurm", cluster.file)
    shells = [cluster.start_bench(*words) for _ in range(2)]
    told = "".join(shell.communicate(timeout=120)[0] for shell in shells)
    assert [shell.returncode for shell in shells] == [0, 0], told
    assert told.count("8 tasks, 8 runs") == 2, told  # pretrain and evaluate, once each
    assert "16 runs are in the queue already" in told

    monkeypatch.setenv("SLURM_CONF", cluster.env["SLURM_CONF"])
    campaign = Campaign([TABLES["7"]], Settings(scale="smoke"), out, tmp_path)
    seen = set()
    while before := cluster.tasks():
        time.sleep(0.3)  # a run lasts less than a second
        _table, _, *lines, last = standing(campaign).lines(every=True)
        after = cluster.tasks()
        found = counts(last)
        assert sum(found.values()) == 16
        assert found["missing"] == found["failed"] == 0, lines  # what has no record has a task
        for line in (line for line in lines if not line.startswith("done")):
            state, _, job = line.partition(" ")[0], *line.partition(" job ")[1:]
            assert job.split()[0] in before.keys() | after.keys(), f"not in squeue: {line}"
            seen.add(state)
        seen |= {"done"} if found["done"] else set()
    assert seen == {"running", "queued", "done"}
    assert len(executed(out)) == 16, "every run was executed once"
    assert rendered(out) == local(tmp_path / "local")
    done = cluster.bench(*words)
    assert done.returncode == 0, done.stderr
    assert "0 of 16 runs to do" in done.stdout
    code = {record["code"]["sources"] for record in records(out).values()}
    copies = [path.name for path in (out / "smoke" / "slurm" / "code").iterdir()]
    assert len(code) == len(copies) == 1

    # The schedule is predicted; how long runs and the start of a task take is measured. Slurm looks once a second.
    jobs = [json.loads(path.read_text())["job"] for path in (out / "smoke" / "slurm").glob("*/array.json")]
    spans, seconds = cluster.spans(*jobs), {run_id: record["seconds"] for run_id, record in records(out).items()}
    arrays = arrays_of(list(campaign.plan.runs.values()))
    arrays.append(last_array((), arrays, ()))
    startup = (sum(end - start for start, end in spans) - sum(seconds.values())) / len(spans)
    predicted = simulate(arrays, seconds, slots=2, startup=startup, delay=0.5).makespan
    lasted = max(end for _, end in spans) - min(start for start, _ in spans)
    print(f"start-up {startup:.1f} s; predicted {predicted:.1f} s, lasted {lasted:.1f} s")
    assert lasted == pytest.approx(predicted, rel=0.25)


@pytest.mark.nightly  # three minutes
def test_whatever_a_cluster_does_the_same_command_makes_the_same_table(cluster: Cluster, tmp_path: Path) -> None:
    """scancel, requeue, kill -9, a preemption's signal, a time limit that is too short, slurmd stopped and started."""
    out = tmp_path / "out"
    short = cluster.file.with_name("short.toml")
    short.write_text('partition = "debug"\ntime = 1\nsignal_delay_s = 5\n')
    one = ("--method", "skeattnclr", "--scale", "smoke", *LONG, "--out", out)
    assert cluster.bench("run", *one, "--slurm", short).returncode == 0
    disturbed: list[str] = []

    def training() -> str | None:
        """A task that trains and that nobody has disturbed yet."""
        for job, (state, _, name) in cluster.tasks().items():
            if state == "RUNNING" and name.startswith("pretrain") and job not in disturbed:
                log = out / "smoke" / "slurm" / name / f"{job}_0_log.out"
                if log.exists() and "attempt 1" in log.read_text() and cluster.processes(job):
                    return job
        return None

    def disturb() -> str:
        until(training, 90, "a task trains")
        job = training()
        assert job
        disturbed.append(job)
        return job

    late = disturb()
    stopped = cluster.processes(late)
    for process in stopped:
        os.kill(process, signal.SIGSTOP)  # half of its minute passes; Slurm's warning may wake it earlier
    began = time.monotonic()
    words = ("run", *TABLE, *LONG, "--out", out, "--slurm", cluster.file)
    told = cluster.bench(*words).stdout
    assert "2 runs are in the queue already" in told
    assert told.count("7 tasks, 7 runs") == 2, told
    cluster.do("scancel", disturb())
    cluster.do("scontrol", "requeue", disturb())
    for process in cluster.processes(disturb()):
        os.kill(process, signal.SIGKILL)
    preempted = disturb()
    cluster.warn(preempted)
    cluster.stop_slurmd()
    cluster.start_slurmd()
    time.sleep(max(0.0, began + 26 - time.monotonic()))
    for process in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)
    cluster.drain()

    for job in (late, preempted):
        (log,) = (out / "smoke" / "slurm").glob(f"*/{job}_0_log.out")
        assert f"leaving in time; {job} goes back into the queue" in log.read_text()
        assert "attempt 2" in log.read_text()
    status = cluster.bench("status", *TABLE, *LONG, "--out", out).stdout
    assert counts(status) == {"done": 12, "running": 0, "failed": 0, "missing": 4}, status
    assert "its job ended without a result; log: " in status
    assert "·" in rendered(out), "two of eight cells are not there"
    again = cluster.bench(*words)
    assert "4 of 16 runs to do" in again.stdout
    cluster.drain()
    assert rendered(out) == local(tmp_path / "local", *LONG)
    for log in (out / "smoke" / "runs").glob("pretrain-*/log.jsonl"):
        assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == list(range(1, EPOCHS + 1))


def test_a_preempted_task_saves_makes_room_and_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    words = ("run", "--method", "skeletonclr", "--scale", "smoke", *LONG, "--out", tmp_path, "--slurm", cluster.file)
    assert cluster.bench(*words).returncode == 0
    (job,) = (job for job, (_, _, name) in cluster.tasks().items() if name.startswith("pretrain"))
    history = f"{tmp_path}/smoke/runs/pretrain-*/log.jsonl"
    until(lambda: glob(history), 60, "an epoch is done")
    cluster.do("sbatch", "--partition=urgent", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 2")
    until(lambda: cluster.tasks().get(job, ("",))[0] == "PENDING", 60, "the task is back in the queue")
    assert glob(f"{tmp_path}/smoke/runs/pretrain-*/checkpoint.pt")
    (log,) = (tmp_path / "smoke" / "slurm").glob(f"*/{job}_0_log.out")
    assert "is saved, and Slurm brings this task back" in log.read_text()
    cluster.drain()
    assert "attempt 2" in log.read_text()
    assert [record["status"] for record in records(tmp_path).values()] == ["ok", "ok"]


def test_a_failing_run_leaves_its_siblings_and_says_why(cluster: Cluster, tmp_path: Path) -> None:
    """A batch that fills with the training side of one split and not with the other's; all in one task."""
    bundled = cluster.file.with_name("bundled.toml")
    bundled.write_text('partition = "debug"\n[pretrain]\nbundle = 8\n')
    poison = ("--set", "batch=57")
    words = ("run", *TABLE, *poison, "--out", tmp_path, "--slurm", bundled)
    submitted = cluster.bench(*words)
    assert submitted.returncode == 0
    watch = shlex.split(submitted.stdout.partition("Watch: python bench.py ")[2].splitlines()[0])
    cluster.drain()
    reason = "56 training samples do not fill one batch of 57; lower `batch`"
    status = cluster.bench(*watch)
    assert counts(status.stdout) == {"done": 8, "running": 0, "failed": 4, "missing": 4}, status.stdout
    assert status.stdout.count(reason) == 4
    assert status.returncode == 4
    assert rendered(tmp_path).count("✗") >= 4
    assert "56 training samples do not fill one batch of 57" in rendered(tmp_path)
    assert not cluster.bench("status", *TABLE, "--out", tmp_path).stdout.count("\nfailed "), "another table"

    again = cluster.bench(*words)
    assert again.returncode == 4, "there is nothing to submit, and cells have failed"
    assert not cluster.tasks()
    retried = cluster.bench(*words, "--retry-failed")
    assert "1 task, 4 runs" in retried.stdout, "only the failed ones, and what waits for them"
    cluster.drain()
    assert sum("FAILED" in line for line in executed(tmp_path)) == 8, "each of four was tried twice"
    assert sum("FAILED" not in line and "blocked" not in line for line in executed(tmp_path)) == 8, "the others once"


def test_doctor_finds_the_partitions(cluster: Cluster, tmp_path: Path) -> None:
    said = cluster.bench("doctor", "--out", tmp_path, "--data", tmp_path)
    assert said.returncode == 0, said.stdout
    assert re.search(r"^ok    slurm    slurm\S* [\d.]+, partitions debug, urgent$", said.stdout, re.MULTILINE), (
        said.stdout
    )


def test_a_task_that_will_never_start_is_replaced(cluster: Cluster, tmp_path: Path) -> None:
    """Where Slurm keeps tasks whose parent was cancelled; ours ask to be cancelled with it."""
    keeping = cluster.file.with_name("keeping.toml")
    keeping.write_text('partition = "debug"\noptions = { kill-on-invalid-dep = "no" }\n')
    words = ("run", "--method", "skeletonclr", "--scale", "smoke", *LONG, "--out", tmp_path, "--slurm", keeping)
    submitted = cluster.bench(*words)
    assert submitted.returncode == 0
    watch = shlex.split(submitted.stdout.partition("Watch: python bench.py ")[2].splitlines()[0])
    assert cluster.bench(*watch).returncode == 0, watch
    (pretrain,) = (job for job, (_, _, name) in cluster.tasks().items() if name.startswith("pretrain"))
    cluster.do("scancel", pretrain)
    until(lambda: "DependencyNeverSatisfied" in str(cluster.tasks()), 60, "the evaluation has no hope")
    assert "1 task, 1 run" in cluster.bench(*words).stdout
    cluster.drain()
    assert [record["status"] for record in records(tmp_path).values()] == ["ok", "ok"]


def test_nothing_is_submitted_when_something_is_wrong(cluster: Cluster, tmp_path: Path) -> None:
    """The messages of cluster.toml are in test_cluster_file.py; these are sbatch's own."""
    for line, words in {
        'partition = "nope"': "invalid partition specified: nope",
        'partition = "debug"\ngres = "gpu:7"': "Requested node configuration is not available",
        'partition = "debug"\nconstraint = "a100"': "Invalid feature specification",
        'partition = "debug"\n[fuse]\nmem = "1T"': "stage fuse",
    }.items():
        wrong = cluster.file.with_name("wrong.toml")
        wrong.write_text(line + "\n")
        done = cluster.bench("run", *TABLE, "--out", tmp_path, "--slurm", wrong)
        assert done.returncode == 2, done.stdout
        assert words in done.stderr, done.stderr
        assert re.search(r"(?s)sbatch says: .*\nThis was for \w+ jobs, which ask for partition", done.stderr)
        assert not cluster.tasks()
        assert not list((tmp_path / "smoke" / "slurm").glob("*-*")), "no array was written"
    both = cluster.bench("run", *TABLE, "--out", tmp_path, "--slurm", cluster.file, "--jobs", "2")
    assert (both.returncode, "are for this machine" in both.stderr) == (2, True)


def test_the_commands_of_the_pages_are_what_slurm_takes(cluster: Cluster, tmp_path: Path) -> None:
    """At smoke scale, all but the submission; the others of this file submit."""
    found = [words for each in commands() if (words := words_of(each.command)) and "--slurm" in words]
    assert len(found) > 2
    for words in found:
        words[words.index("--slurm") + 1] = str(cluster.file)
        done = cluster.bench(*words, "--scale", "smoke", "--dry-run", "--out", tmp_path)
        assert (done.returncode, "#SBATCH --array" in done.stdout) == (0, True), done.stderr
    assert not cluster.tasks()


def test_a_dry_run_shows_what_sbatch_would_get(cluster: Cluster, tmp_path: Path) -> None:
    full = cluster.file.with_name("full.toml")
    full.write_text(
        'partition = "debug"\ngres = "gpu:1"\ntime = "1-02:00:00"\nmem = "2G"\narray_parallelism = 3\n'
        'setup = ["module load x"]\noptions = { nice = 5 }\n[fuse]\ngres = "none"\ntime = 30\n'
    )
    done = cluster.bench("run", *TABLE, "--out", tmp_path, "--slurm", full, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not cluster.tasks()
    scripts = re.split(r"^#!/bin/bash$", done.stdout, flags=re.MULTILINE)[1:]
    headers = [dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", script, flags=re.MULTILINE)) for script in scripts]
    assert [header["job-name"].partition("-")[0] for header in headers] == ["pretrain", "evaluate", "fuse"]
    pretrain, evaluate, fuse = headers
    wanted = {"partition": "debug", "gres": "gpu:1", "time": "1560", "mem": "2G", "array": "0-7%3", "nice": "5"}
    assert wanted.items() <= pretrain.items()
    assert {"requeue": "", "signal": "USR2@120", "open-mode": "append"}.items() <= pretrain.items()
    assert evaluate["dependency"] == f"aftercorr:{pretrain['job-name']}"
    assert evaluate["kill-on-invalid-dep"] == "yes"
    assert fuse["dependency"] == f"afterany:{evaluate['job-name']}"
    assert (fuse["gres"], fuse["time"], "array" in fuse) == ("none", "30", False)
    assert all("module load x" in script for script in scripts)
