"""What Slurm knows about the arrays of a results folder: which task has which runs, and how it is.

<root>/slurm/<name>/array.json is written before an array is submitted, and <name> is the name of its jobs: whatever
happens to the submitting process, squeue's answer leads back to the runs.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.records.store import MALFORMED, StoreError, write_json
from benchmarks.slurm.arrays import MOST_TASKS
from benchmarks.slurm.cluster import ClusterError

NEVER = "DependencyNeverSatisfied"  # squeue's reason for a job that will not start, where Slurm does not cancel it
PATIENCE = 60  # seconds for an answer of Slurm's commands


@dataclass(frozen=True)
class Submission:
    """One array as it was submitted."""

    name: str
    stage: str
    tasks: tuple[tuple[str, ...], ...]  # run ids
    machine: dict[str, Any]  # of execute.Machine
    signal_delay_s: int
    tables: tuple[dict[str, Any], ...] = ()  # what the last stage renders, see job.render
    job: str = ""  # Slurm's number, empty while (or if) submission did not end

    def write(self, root: Path) -> None:
        """Leaves it for tasks and for whoever asks."""
        write_json(folder_of(root, self.name) / "array.json", asdict(self))

    @classmethod
    def read(cls, root: Path, name: str) -> Submission:
        """The array of that name.

        Raises:
            StoreError: when there is none, or it cannot be read.
        """
        path = folder_of(root, name) / "array.json"
        try:
            found = json.loads(path.read_text())
            tasks = tuple(tuple(task) for task in found["tasks"])
            return replace(cls(**found), tasks=tasks, tables=tuple(found["tables"]))
        except (OSError, *MALFORMED) as error:
            raise StoreError(f"{path} cannot be read: {error}") from error


class Job(NamedTuple):
    """One task of an array, as squeue shows it."""

    id: str  # "123_4", or "123" of an array of one
    name: str
    task: int
    state: str  # PENDING, RUNNING, ...
    reason: str

    @property
    def hopeless(self) -> bool:
        """What it waits for has ended in a way that it will never start after."""
        return self.state == "PENDING" and self.reason == NEVER


@dataclass(frozen=True)
class Queue:
    """The tasks of a results folder that Slurm still has."""

    jobs: tuple[Job, ...] = ()
    submissions: dict[str, Submission] = field(default_factory=dict)

    def runs(self, job: Job) -> tuple[str, ...]:
        """The ids of a task's runs."""
        return self.submissions[job.name].tasks[job.task]

    @property
    def by_run(self) -> dict[str, Job]:
        """The task that has a run; of several, one that runs."""
        live = sorted((job for job in self.jobs if not job.hopeless), key=lambda job: job.state == "RUNNING")
        return {run_id: job for job in live for run_id in self.runs(job)}

    @property
    def last(self) -> tuple[Job, ...]:
        """Pending tasks of the last stage."""
        return tuple(job for job in self.jobs if self.submissions[job.name].stage == "fuse" and job.state == "PENDING")


def folder_of(root: Path, name: str) -> Path:
    """Where an array's tasks, pickles and logs lie."""
    return root / "slurm" / name


def ask(*words: str, patience: float = PATIENCE) -> str:
    """What one of Slurm's commands prints, within `patience` seconds.

    Raises:
        ClusterError: when there is no such command, or with its own words when it fails.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=patience)
    except FileNotFoundError:
        raise ClusterError(f"there is no {words[0]} here; --slurm works where Slurm's commands do") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{words[0]} did not answer within {patience:g} s") from None
    if done.returncode:
        raise ClusterError(f"{words[0]} says: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def look(root: Path) -> Queue:
    """Asks squeue for the arrays below `root`, whoever submitted them; without one, nobody is asked.

    Raises:
        ClusterError: when squeue does not answer.
    """
    names = ",".join(path.parent.name for path in (root / "slurm").glob("*/array.json"))
    if not names:
        return Queue()
    jobs, submissions = [], {}
    for line in ask("squeue", f"--name={names}", "--array", "--noheader", "--format=%F|%K|%T|%r|%j").splitlines():
        number, index, state, reason, name = line.split("|", 4)
        submissions.setdefault(name, Submission.read(root, name))
        single = not index.isdigit()
        jobs.append(Job(number if single else f"{number}_{index}", name, 0 if single else int(index), state, reason))
    return Queue(tuple(jobs), submissions)


def logs_of(root: Path) -> dict[str, str]:
    """Run id -> what is left of the task that was last submitted for it: its log, if it ever began."""
    found: dict[str, str] = {}
    for path in sorted((root / "slurm").glob("*/array.json"), key=lambda path: path.stat().st_mtime):
        submission = Submission.read(root, path.parent.name)
        for index, task in enumerate(submission.tasks):
            job = submission.job if len(submission.tasks) == 1 else f"{submission.job}_{index}"
            log = path.parent / f"{job}_0_log.err"
            found |= dict.fromkeys(task, f"without a result; log: {log}" if log.exists() else "before it began")
    return found


def most_tasks() -> int:
    """MaxArraySize: one more than the largest index of an array."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config"))
    return int(found[1]) if found else MOST_TASKS


class Attempt(NamedTuple):
    """How often a job was started again, when its time is over, and whether Slurm is about to preempt it."""

    restarts: int
    end: float | None  # seconds since 1970, None without a limit
    preempted: bool = False


def attempt(shown: str) -> Attempt:
    """What `scontrol --oneliner show job` says of a running job; of nothing, a first attempt without a limit."""
    told = dict(re.findall(r"(\w+)=(\S+)", shown))
    try:
        end = datetime.fromisoformat(told["EndTime"]).timestamp()
    except (KeyError, ValueError):  # "Unknown": no limit
        end = None
    return Attempt(int(told.get("Restarts", "0")), end, told.get("PreemptTime", "None") not in ("None", "Unknown"))
