"""How far the runs of a campaign are: what the records, the claims and the queue of a cluster say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from benchmarks.campaign import Campaign
from benchmarks.runs import Pretrain, Run, label
from benchmarks.slurm.cluster import ClusterError
from benchmarks.slurm.queue import Job, Queue, logs_of, look
from benchmarks.store import Store

STATES = ("done", "running", "queued", "failed", "missing")


def state_of(run: Run, store: Store, jobs: Mapping[str, Job]) -> tuple[str, str]:
    """One of STATES, and what a person wants to know about it. `jobs`: run id -> the task that has it."""
    record = store.brief(run.id)
    if record and record["status"] == "ok":
        return "done", ""
    job = jobs.get(run.id)
    if owner := store.claimed(run.id):
        return "running", f"{_epoch(run, store)}{f'job {job.id} on' if job else 'by'} {owner}"
    if record:
        return "failed", record["error"].splitlines()[-1]
    if job:
        why = job.reason if job.state == "PENDING" else job.state.lower()
        return "queued", f"job {job.id} ({why})"
    return "missing", ""


def standing(campaign: Campaign) -> Iterator[str]:
    """A line for every run that is under way, failed, or lost by a cluster, and the counts."""
    store = campaign.store
    try:
        queue = look(store.root)
    except ClusterError as error:
        queue = Queue()
        yield f"The queue cannot be asked, so queued runs count as missing: {error}"
    counts: Counter[str] = Counter()
    jobs, logs = queue.by_run, logs_of(store.root)
    for run_id, run in campaign.plan.runs.items():
        state, words = state_of(run, store, jobs)
        counts[state] += 1
        if state == "missing" and run_id in logs:
            words = f"its job ended without a result; {logs[run_id]}"
        if words:
            yield f"{state:8} {run_id}  {label(run)}  {words}"
    yield ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state] or state != "queued")


def _epoch(run: Run, store: Store) -> str:
    """Epochs that a training has logged."""
    path = store.folder(run.id) / "log.jsonl"
    if not isinstance(run, Pretrain) or not path.exists():
        return ""
    return f"epoch {len(path.read_text().splitlines())}/{run.epochs}, "
