"""How far the runs of a campaign are: what the records, the claims and the queue of a cluster say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tabulate import tabulate

from benchmarks.campaign import Campaign
from benchmarks.pages.markdown import plain
from benchmarks.pages.outcomes import alike, last_line
from benchmarks.planning.plan import Plan
from benchmarks.records.store import Store
from benchmarks.runs import Pretrain, Run, closure, label
from benchmarks.slurm.cluster import ClusterError
from benchmarks.slurm.queue import Job, Queue, logs_of, look
from benchmarks.tables import Skip

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


@dataclass(frozen=True)
class Standing:
    """Where every run of a campaign stands, at one moment."""

    plan: Plan
    states: Mapping[str, tuple[str, str]]  # run id -> one of STATES, and words
    trouble: str = ""  # why the queue of a cluster could not be asked

    def lines(self, every: bool = False) -> Iterator[str]:
        """A table of counts, then runs that are under way, failed, or lost by a cluster, and as the last line the sum.

        Of each state the first SHOWN, of more failed runs the first of every error; with `every`, a line for every run.
        """
        yield from (self._table(), "")
        if self.trouble:
            yield self.trouble
        told: dict[str, list[tuple[Run, str]]] = {state: [] for state in STATES}
        for run_id, (state, words) in self.states.items():
            if words or every:
                told[state].append((self.plan.runs[run_id], words))
        for state, runs in told.items():
            yield from _lines(state, runs, len(runs) if every else SHOWN)
        if not every and any(len(runs) > SHOWN for runs in told.values()):
            yield "With --all, status has a line for every run."
        yield ", ".join(f"{count} {state}" for state, count in self._counts(self.states).items())

    def _counts(self, run_ids: Iterable[str]) -> dict[str, int]:
        """Runs by state, in the order of STATES; `queued` only where some are, because few have a cluster."""
        counts = Counter(self.states[run_id][0] for run_id in run_ids)
        queued = any(state == "queued" for state, _ in self.states.values())
        return {state: counts[state] for state in STATES if queued or state != "queued"}

    def _table(self) -> str:
        """A line for every table: its cells, those that cannot be measured here, and its runs by state."""
        rows: list[list[object]] = []
        for table, cells in self.plan.tables.items():
            run_ids = {step.id for cell in cells for run in cell.seeds for step in closure(run)}
            skipped = sum(isinstance(cell.runs, Skip) for cell in cells)
            rows.append([table, len(cells), skipped or "", *self._counts(run_ids).values()])
        if len(rows) > 1:  # a run that several tables need counts once
            cells = sum(len(cells) for cells in self.plan.tables.values())
            rows.append(["together", cells, len(self.plan.skips()) or "", *self._counts(self.states).values()])
        headers = ["table", "cells", "n/a", *self._counts(())]
        return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True,
                        colalign=("left", *("right",) * (len(headers) - 1)))  # fmt: skip


def standing(campaign: Campaign) -> Standing:
    """Asks records, claims and the queue about every run once."""
    store, trouble = campaign.store, ""
    try:
        queue = look(store.root)
    except ClusterError as error:
        queue, trouble = Queue(), f"The queue cannot be asked, so queued runs count as missing: {error}"
    jobs, logs = queue.by_run, logs_of(store.root)
    states: dict[str, tuple[str, str]] = {}
    for run_id, run in campaign.plan.runs.items():
        state, words = state_of(run, store, jobs)
        if state == "missing" and run_id in logs:
            words = f"its job ended {logs[run_id]}"
        states[run_id] = state, words
    return Standing(campaign.plan, states, trouble)


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
