"""Submits what is wanted and neither done nor queued: the same command again is reconciliation.

Everything is checked before the first array is submitted: cluster.toml, sbatch's own opinion of every stage's options,
the data. One process submits at a time. Nothing of it stays behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.campaign import Campaign
from benchmarks.running.execute import Machine
from benchmarks.runs import Run
from benchmarks.slurm.arrays import Array, arrays_of, last_array
from benchmarks.slurm.cluster import Cluster, ClusterError
from benchmarks.slurm.queue import NEVER, Job, Queue, Submission, ask, look, most_tasks
from benchmarks.slurm.sbatch import Batch
from benchmarks.slurm.snapshot import take
from protocols.files import unwritable

Say = Callable[[str], None]


def submit(
    campaign: Campaign, cluster: Cluster, machine: Machine, *, retry_failed: bool, dry_run: bool, say: Say
) -> list[str]:
    """Submits, or only shows, the arrays that a campaign still needs. Jobs choose device and threads themselves.

    Returns:
        The ids of its runs that are in the queue now; none when all that can be done is done.
    Raises:
        ClusterError: before anything is submitted, when Slurm or cluster.toml is not as it should be.
    """
    root = campaign.store.root
    _quotable(root.resolve())
    ask("sbatch", "--version")
    campaign.store.prepare()
    with _alone(root, say):
        queue = _with_orphans(look(root), campaign)
        jobs = {run_id: job.id for run_id, job in queue.by_run.items()}
        queued = {run_id: jobs[run_id] for run_id in campaign.plan.runs if run_id in jobs}
        todo = [run for run in campaign.todo(retry_failed) if run.id not in queued]
        arrays = arrays_of(todo, cluster.bundles, most_tasks(), queued)
        arrays, tables, replaced = _with_tables(campaign, arrays, queued, queue)
        waiting = [run_id for run_id in queued if not campaign.store.done(campaign.plan.runs[run_id])]
        if waiting:
            say(f"{len(waiting)} runs are in the queue already: {_some(sorted({queued[i] for i in waiting}))}.")
        if not arrays:
            return waiting
        if not todo:
            say("Only the tables are left to write.")
        batches = _batches(cluster, arrays, "CODE" if dry_run else str(take(root).resolve()))
        _judge(batches, cluster, root)
        if dry_run:
            for batch in batches:
                say(f"\n{_described(batch)}\n{batch.script(root)}")
            return waiting
        for run in todo:
            campaign.store.write_spec(run)
            if retry_failed:
                campaign.store.forget_failure(run.id)
        _send(batches, machine, tables, root, say)
        for job in (*replaced, *(job.id for job in queue.jobs if job.hopeless)):
            with contextlib.suppress(ClusterError):  # it has just begun or ended
                ask("scancel", job)
        return [*waiting, *(run.id for run in todo)]


def _with_orphans(queue: Queue, campaign: Campaign) -> Queue:
    """The queue in which a task that waits for a pretraining that is neither done nor queued is hopeless.

    Slurm cancels such a task itself, some time after its pretraining was cancelled.
    """
    known, runs = queue.by_run, campaign.plan.runs

    def lost(run: Run) -> bool:
        return run.id not in known and not campaign.store.done(run, product=True)

    def waits_in_vain(job: Job) -> bool:
        follows = job.state == "PENDING" and queue.submissions[job.name].stage != "fuse"
        mine = (runs[run_id] for run_id in queue.runs(job) if run_id in runs)
        return follows and any(lost(parent) for run in mine for parent in run.parents)

    jobs = tuple(job._replace(reason=NEVER) if waits_in_vain(job) else job for job in queue.jobs)
    return Queue(jobs, queue.submissions)


def _quotable(root: Path) -> None:
    """Slurm has meanings of its own for % and \\ in the name of a log, Python for : in a path of modules."""
    strange = re.search(r"[\x00-\x1f\x7f%\\:]", str(root))
    if strange:
        raise ClusterError(f"--out {str(root)!r} cannot be used with --slurm because of {strange[0]!r}; rename it")


def _judge(batches: list[Batch], cluster: Cluster, root: Path) -> None:
    """Lets sbatch look at one array of every stage before any is submitted."""
    for batch in {batch.array.stage: batch for batch in batches}.values():
        try:
            batch.judge(root)
        except ClusterError as error:
            raise ClusterError(f"{cluster.file}, stage {batch.array.stage}: {error}") from error


def _send(batches: list[Batch], machine: Machine, tables: tuple[dict[str, Any], ...], root: Path, say: Say) -> None:
    numbers: dict[str, str] = {}  # name of an array -> Slurm's number
    for batch in batches:
        array, request = batch.array, batch.request
        submission = Submission(
            name=batch.name,
            stage=array.stage,
            tasks=tuple(tuple(run.id for run in task) for task in array.tasks),
            machine=asdict(replace(machine, device=request.device)),
            signal_delay_s=request.signal_delay_s,
            tables=tables if array.stage == "fuse" else (),
        )
        try:
            numbered = replace(batch, parents=tuple(numbers[name] for name in batch.parents))
            numbers[batch.name] = numbered.submit(root, submission)
        except ClusterError as error:
            raise ClusterError(
                f"{len(numbers)} of {len(batches)} arrays are submitted, then {error}\nRun the same command again "
                "when that is mended: what is queued is not submitted twice"
            ) from error
        say(f"{numbers[batch.name]:>10}  {_described(batch)}")


@contextlib.contextmanager
def _alone(root: Path, say: Say) -> Iterator[None]:
    """Two people who submit at once do it one after the other; the second finds all of it queued."""
    lock = root / "slurm" / "lock"
    try:
        lock.parent.mkdir(exist_ok=True)
        opened = lock.open("w")
    except OSError as error:
        raise unwritable(lock, error) from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another process is submitting; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _with_tables(
    campaign: Campaign, arrays: list[Array], queued: dict[str, str], queue: Queue
) -> tuple[list[Array], tuple[dict[str, Any], ...], list[str]]:
    """The arrays with the one that fuses and renders at the end; what it renders; the pending jobs that it replaces.

    A table is written when all that it waits for has ended. New arrays therefore need a new last one, which takes over
    what older last ones have not begun.
    """
    wanted = [_tables(campaign)] if campaign.specs and campaign.specs[0].id != "one" else []
    pending = [(job, queue.submissions[job.name]) for job in queue.last if not job.hopeless]
    promised = [tables for _, old in pending for tables in old.tables]
    needed = bool(arrays) or (bool(queued) and any(tables not in promised for tables in wanted))
    if not needed or not (wanted or any(array.stage == "fuse" for array in arrays)):
        return arrays, (), []
    fusions: dict[str, Run] = {run.id: run for array in arrays if array.stage == "fuse" for run in array.runs}
    waits = set(queued.values())
    for _, old in pending:
        fusions |= {run_id: campaign.store.read_spec(run_id) for task in old.tasks for run_id in task}
        waits |= {job.id for job in queue.jobs if queue.submissions[job.name].stage != "fuse"}
    waits &= {job.id for job in queue.jobs if not job.hopeless}
    waits -= {job.id for job, _ in pending}
    arrays = [array for array in arrays if array.stage != "fuse"]
    tables = [*wanted, *(tables for tables in promised if tables not in wanted)]
    arrays.append(last_array(fusions.values(), arrays, waits))
    return arrays, tuple(tables), [job.id for job, _ in pending]


def _tables(campaign: Campaign) -> dict[str, Any]:
    """What job.render writes."""
    settings = asdict(campaign.settings)
    settings["overrides"] = [[key, list(v) if isinstance(v, tuple) else v] for key, v in campaign.settings.overrides]
    settings["seeds"] = list(campaign.settings.seeds)
    places = {"out": str(campaign.out.resolve()), "data": str(campaign.data.resolve())}
    return {"tables": [spec.id for spec in campaign.specs], "settings": settings, **places}


def _batches(cluster: Cluster, arrays: list[Array], code: str) -> list[Batch]:
    """What sbatch is told, with names where the numbers of arrays come later.

    A stage of several arrays divides among them what it may run at once.
    """
    names = {id(array): f"{array.stage}-{secrets.token_hex(4)}" for array in arrays}
    tasks = Counter[str]()
    for array in arrays:
        tasks[array.stage] += len(array.tasks)
    batches = []
    for array in arrays:
        parents = [array.follows] if array.follows else [a for a in array.after if isinstance(a, Array)]
        request = cluster[array.stage]
        parallel = max(1, request.array_parallelism * len(array.tasks) // tasks[array.stage])
        parts = tuple(names[id(parent)] for parent in parents)
        batches.append(Batch(array, names[id(array)], parts, request, parallel, code))
    return batches


def _described(batch: Batch) -> str:
    array = batch.array
    count, runs = len(array.tasks), len(list(array.runs))
    words = f"{array.stage:8}  {count} task{'s' if count > 1 else ''}, {runs} run{'s' if runs != 1 else ''}"
    words += f" on {batch.request.device}"
    if array.follows:
        return f"{words}, each task after its pretraining"
    return f"{words}, after all others, then the tables" if array.stage == "fuse" else words


def _some(words: list[str]) -> str:
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")
