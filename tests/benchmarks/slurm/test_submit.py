"""What is submitted and what is not, with a Slurm that only takes notes; the real one is in test_cluster.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.campaign import Campaign
from benchmarks.recipes import Settings
from benchmarks.running.execute import Machine
from benchmarks.slurm import submit as module
from benchmarks.slurm.arrays import STAGES
from benchmarks.slurm.cluster import Cluster, ClusterError, Request
from benchmarks.slurm.queue import Job, Queue, Submission
from benchmarks.slurm.sbatch import Batch
from benchmarks.tables import TABLES

CLUSTER = Cluster("cluster.toml", dict.fromkeys(STAGES, Request(partition="p", array_parallelism=8, device="cpu")))


class Slurm:
    """Takes arrays, and keeps them in its queue."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.jobs, self.submissions = root, [], {}
        self.sent: list[Batch] = []  # of the last command
        self.most, self.refuses = 1001, 10**6
        self.said: list[str] = []
        monkeypatch.setattr(module, "ask", self.ask)
        monkeypatch.setattr(module, "look", lambda root: Queue(tuple(self.jobs), self.submissions))
        monkeypatch.setattr(module, "most_tasks", lambda: self.most)
        monkeypatch.setattr(module, "take", lambda root: root)
        monkeypatch.setattr(Batch, "judge", lambda batch, root: None)
        monkeypatch.setattr(Batch, "submit", lambda batch, root, submission: self.take(batch, submission))

    def ask(self, *words: str) -> str:
        if words[0] == "scancel":
            self.jobs = [job for job in self.jobs if job.id != words[1]]
        return ""

    def take(self, batch: Batch, submission: Submission) -> str:
        if len(self.sent) >= self.refuses:
            raise ClusterError("sbatch says: no room")
        number = str(10 + len(self.submissions))
        self.sent.append(batch)
        self.submissions[batch.name] = replace(submission, job=number)
        for index in range(len(submission.tasks)):
            name = number if len(submission.tasks) == 1 else f"{number}_{index}"
            self.jobs.append(Job(name, batch.name, index, "PENDING", "Priority"))
        return number

    def submit(self, *tables: str, **changes: bool) -> tuple[int, list[tuple[str, int]]]:
        """The command for these tables: runs in the queue, and stage and tasks of the arrays it submitted."""
        self.sent = []
        campaign = Campaign([TABLES[t] for t in tables], Settings(scale="smoke"), self.root, self.root)
        options = {"retry_failed": False, "dry_run": False} | changes
        queued = module.submit(
            campaign, CLUSTER, Machine(str(campaign.data), kernel="sdpa"), say=self.said.append, **options
        )
        return len(queued), [(batch.array.stage, len(batch.array.tasks)) for batch in self.sent]

    def of(self, stage: str) -> list[Submission]:
        """Arrays of a stage that are still queued."""
        return [self.submissions[name] for name in dict.fromkeys(job.name for job in self.jobs)
                if self.submissions[name].stage == stage]  # fmt: skip


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """An empty queue."""
    return Slurm(tmp_path, monkeypatch)


CHAIN = [("pretrain", 8), ("evaluate", 8), ("fuse", 1)]


def test_what_is_queued_is_not_submitted_again(slurm: Slurm) -> None:
    assert slurm.submit("7") == (16, CHAIN)
    assert {(s.machine["device"], s.machine["kernel"]) for s in slurm.submissions.values()} == {("cpu", "sdpa")}
    assert slurm.submit("7") == (16, [])


def test_another_table_submits_what_is_new_and_one_last_job_writes_both(slurm: Slurm) -> None:
    slurm.submit("7")
    old = {job.id for job in slurm.jobs}
    _, sent = slurm.submit("16")
    assert sent[-1] == ("fuse", 1)
    assert 0 < dict(sent)["pretrain"] < 20, "shared pretrainings are queued already"
    (last,) = slurm.of("fuse")
    assert [tables["tables"] for tables in last.tables] == [["16"], ["7"]]
    waits = {job for job in slurm.sent[-1].array.after if isinstance(job, str)}
    assert waits == {job for job in old if job.startswith(("10_", "11_"))}, "all that Table 7 waits for"
    assert slurm.submit("7") == (16, []), "its table is promised"
    assert slurm.submit("7", "16")[1] == [("fuse", 1)], "both in one command are another page to write"


def test_a_lost_task_is_submitted_again_with_what_waits_for_it(slurm: Slurm) -> None:
    slurm.submit("7")
    slurm.jobs = [job for job in slurm.jobs if not job.id.endswith("_3")]
    assert slurm.submit("7") == (16, [("pretrain", 1), ("evaluate", 1), ("fuse", 1)])
    assert slurm.sent[1].dependency == "afterok:13"
    assert len(slurm.of("fuse")) == 1


def test_a_last_job_that_runs_already_is_left_alone(slurm: Slurm) -> None:
    slurm.submit("7")
    lost = ("10_3", "11_3")
    slurm.jobs = [job._replace(state="RUNNING") if job.id == "12" else job for job in slurm.jobs if job.id not in lost]
    assert slurm.submit("7") == (16, [("pretrain", 1), ("evaluate", 1), ("fuse", 1)])
    assert "12" in [job.id for job in slurm.jobs]
    assert len(slurm.of("fuse")) == 2


def test_an_evaluation_that_is_lost_waits_for_its_queued_pretraining(slurm: Slurm) -> None:
    slurm.submit("7")
    slurm.jobs = [job for job in slurm.jobs if job.id not in ("11_2", "11_5")]
    _, sent = slurm.submit("7")
    assert sent == [("evaluate", 1), ("fuse", 1)]
    assert slurm.sent[0].dependency == "afterany:10_2:10_5"


def test_refused_in_the_middle_it_goes_on_where_it_was(slurm: Slurm) -> None:
    slurm.refuses = 1
    with pytest.raises(
        ClusterError, match="1 of 3 arrays are submitted, then sbatch says: no room\nRun the same command"
    ):
        slurm.submit("7")
    slurm.refuses = 99
    _, sent = slurm.submit("7")
    assert sent == [("evaluate", 1), ("fuse", 1)]  # of encoders that others make: 16 to a task
    assert slurm.sent[0].dependency == "afterany:" + ":".join(f"10_{i}" for i in range(8))


def test_arrays_keep_below_slurms_limit_and_share_what_may_run_at_once(slurm: Slurm) -> None:
    slurm.most = 3
    _, sent = slurm.submit("7")
    assert sent == [("pretrain", 3), ("evaluate", 3)] * 2 + [("pretrain", 2), ("evaluate", 2), ("fuse", 1)]
    assert [batch.parallel for batch in slurm.sent] == [3, 3, 3, 3, 2, 2, 8]
    assert [batch.dependency for batch in slurm.sent[:6]] == [
        None, "aftercorr:10", None, "aftercorr:12", None, "aftercorr:14"
    ]  # fmt: skip
    assert slurm.sent[6].dependency == "afterany:11:13:15"


def test_a_hopeless_task_is_cancelled_and_replaced(slurm: Slurm) -> None:
    slurm.submit("7")
    slurm.jobs = [job for job in slurm.jobs if job.id != "10_3"]
    slurm.jobs = [job._replace(reason="DependencyNeverSatisfied") if job.id == "11_3" else job for job in slurm.jobs]
    assert slurm.submit("7") == (16, [("pretrain", 1), ("evaluate", 1), ("fuse", 1)])
    assert "11_3" not in [job.id for job in slurm.jobs]


def test_a_task_whose_pretraining_was_cancelled_is_replaced_before_slurm_notices(slurm: Slurm) -> None:
    slurm.submit("7")
    slurm.jobs = [job for job in slurm.jobs if job.id not in ("10_3", "10_5")]
    assert slurm.submit("7") == (16, [("pretrain", 2), ("evaluate", 2), ("fuse", 1)])
    assert not {"11_3", "11_5"} & {job.id for job in slurm.jobs}
    assert slurm.submit("7") == (16, [])


def test_a_failed_run_waits_until_it_is_to_be_tried_again(slurm: Slurm) -> None:
    store = Campaign([TABLES["7"]], Settings(scale="smoke"), slurm.root, slurm.root).store
    store.prepare()
    run = next(iter(Campaign([TABLES["7"]], Settings(scale="smoke"), slurm.root, slurm.root).plan.runs))
    store.write_record({"run": run, "status": "failed", "error": "e", "seconds": 1.0, "label": ""})
    assert slurm.submit("7")[1] == [("pretrain", 7), ("evaluate", 7), ("fuse", 1)]
    assert store.record(run) is not None
    assert slurm.submit("7", retry_failed=True)[1] == [("pretrain", 1), ("evaluate", 1), ("fuse", 1)]
    assert store.record(run) is None, "a task leaves runs alone that failed before it was requeued"


def test_a_dry_run_submits_nothing(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batch, "script", lambda batch, root: f"#SBATCH {batch.code} {batch.dependency}")
    assert slurm.submit("7", dry_run=True) == (0, [])
    assert slurm.jobs == []
    assert not list(slurm.root.glob("smoke/runs/*"))
    assert sum("#SBATCH CODE" in line for line in slurm.said) == 3
    assert "pretrain  8 tasks, 8 runs on cpu\n" in slurm.said[0]
    assert "evaluate  8 tasks, 8 runs on cpu, each task after its pretraining\n" in slurm.said[1]


def test_a_lock_that_cannot_be_written_says_what_to_do(slurm: Slurm) -> None:
    (slurm.root / "smoke" / "slurm" / "lock").mkdir(parents=True)
    with pytest.raises(OSError, match=r"^cannot write .*lock: Is a directory; mend that and run the same command"):
        slurm.submit("7")
