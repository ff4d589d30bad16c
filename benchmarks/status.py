"""How far the runs of a campaign are: what the records, the claims and the queue of a cluster say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from benchmarks.campaign import Campaign
from benchmarks.pages.markdown import plain
from benchmarks.pages.outcomes import alike, last_line
from benchmarks.records.store import Store
from benchmarks.runs import Pretrain, Run, label
from benchmarks.slurm.cluster import ClusterError
from benchmarks.slurm.queue import Job, Queue, logs_of, look

STATES = ("done", "running", "queued", "failed", "missing")
SHOWN = 10  # lines about runs of one state


def state_of(run: Run, store: Store, jobs: Mapping[str, Job]) -> tuple[str, str]:
    """One of STATES, and what a person wants to know about it. `jobs`: run id -> the task that has it."""
    record = store.brief(run.id)
    if record and record["status"] == "ok":
        return "done", ""
    job = jobs.get(run.id)
    if owner := store.claimed(run.id):
        return "running", f"{_epoch(run, store)}{f'job {job.id} on' if job else 'by'} {owner}"
    if record:
        return "failed", plain(last_line(record))
    if job:
        why = job.reason if job.state == "PENDING" else job.state.lower()
        return "queued", f"job {job.id} ({why})"
    return "missing", ""


def standing(campaign: Campaign, every: bool = False) -> Iterator[str]:
    """Lines about runs that are under way, failed, or lost by a cluster, and as the last one the counts.

    Of each state the first SHOWN, of more failed runs the first of every error; with `every`, a line for every run.
    """
    store = campaign.store
    try:
        queue = look(store.root)
    except ClusterError as error:
        queue = Queue()
        yield f"The queue cannot be asked, so queued runs count as missing: {error}"
    counts: Counter[str] = Counter()
    told: dict[str, list[tuple[Run, str]]] = {state: [] for state in STATES}
    jobs, logs = queue.by_run, logs_of(store.root)
    for run_id, run in campaign.plan.runs.items():
        state, words = state_of(run, store, jobs)
        counts[state] += 1
        if state == "missing" and run_id in logs:
            words = f"its job ended without a result; {logs[run_id]}"
        if words:
            told[state].append((run, words))
    for state, runs in told.items():
        yield from _lines(state, runs, len(runs) if every else SHOWN)
    if not every and any(len(runs) > SHOWN for runs in told.values()):
        yield "With --all, status has a line for every run."
    yield ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state] or state != "queued")


def _lines(state: str, told: list[tuple[Run, str]], most: int) -> Iterator[str]:
    """At most `most` lines, and one about the rest. Failed runs that do not fit are put together by their errors."""
    together = state == "failed" and len(told) > most
    groups: dict[str, list[tuple[Run, str]]] = {}
    for run, words in told:
        groups.setdefault(alike(words) if together else run.id, []).append((run, words))
    ordered = sorted(groups.values(), key=len, reverse=True)
    for group in ordered[:most]:
        (run, words), more = group[0], len(group) - 1
        yield f"{state:8} {run.id}  {label(run)}  {words}" + (f" (and {more} more like it)" if more else "")
    if rest := sum(map(len, ordered[most:])):
        yield f"{state:8} {rest} more" + (f", of {len(ordered) - most} other kinds" if together else "")


def _epoch(run: Run, store: Store) -> str:
    """Epochs that a training has logged."""
    path = store.folder(run.id) / "log.jsonl"
    if not isinstance(run, Pretrain) or not path.exists():
        return ""
    return f"epoch {len(path.read_text().splitlines())}/{run.epochs}, "
