"""From runs to job arrays: one per stage and kind of resources, small evaluations bundled, what waits for what.

A task is a bundle of runs, done one after the other. The evaluations of a pretraining are one task, so that task i of
an array of evaluations needs task i of an array of pretrainings and no other: Slurm's `aftercorr`. Nothing here asks a
cluster; the simulation of `plan --gpus` groups by the same function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from benchmarks.runs import Evaluate, Fuse, Pretrain, Run
from protocols import finetune, semi

STAGES = ("pretrain", "evaluate", "finetune", "fuse")
JUDGING = STAGES[1:3]  # stages that follow a pretraining
# Runs of a task: a pretraining is long; of encoders that are there already, many are judged in one task.
BUNDLE = {"pretrain": 1, "evaluate": 16, "finetune": 1, "fuse": 1_000_000}

MOST_TASKS = 1001  # MaxArraySize of a Slurm that nobody has told otherwise

Task = tuple[Run, ...]
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Array:
    """A job array. `follows`: task i may start when task i of that array ended well (aftercorr). `after`: no task may
    start before these arrays, or jobs that are queued already ("123" or "123_4"), have ended (afterany)."""

    stage: str
    tasks: tuple[Task, ...]
    follows: Array | None = None
    after: tuple[Array | str, ...] = ()

    @property
    def runs(self) -> Iterator[Run]:
        """All runs, task by task."""
        return (run for task in self.tasks for run in task)


def stage_of(run: Run) -> str:
    """pretrain, evaluate (the encoder stays as it is), finetune (it is trained on) or fuse."""
    match run:
        case Pretrain():
            return "pretrain"
        case Fuse():
            return "fuse"
        case Evaluate(config=finetune.Config() | semi.Config()):
            return "finetune"
        case _:
            return "evaluate"


def arrays_of(
    todo: Sequence[Run],
    bundle: Mapping[str, int] = BUNDLE,
    limit: int = MOST_TASKS,
    queued: Mapping[str, str] | None = None,
) -> list[Array]:
    """The arrays of these runs, in the order in which they can be submitted.

    Args:
        todo: runs to submit, parents first.
        bundle: runs of a task, by stage. Evaluations of a pretraining in `todo` are bundled like the pretrainings.
        limit: tasks of an array, Slurm's MaxArraySize.
        queued: run id -> job that does it ("123_4"), for runs that are neither done nor in `todo`.
    """
    queued = queued or {}
    staged: dict[str, list[Run]] = {stage: [run for run in todo if stage_of(run) == stage] for stage in STAGES}
    fresh = {run.id for run in staged["pretrain"]}
    judged: dict[str, dict[str, list[Run]]] = {run_id: {} for run_id in fresh}  # pretraining -> stage -> evaluations
    others: dict[tuple[str, str], list[Run]] = {}  # stage and queued array to wait for -> evaluations
    for stage in JUDGING:
        for run in staged[stage]:
            parent = next((parent.id for parent in run.parents), "")
            if parent in fresh:
                judged[parent].setdefault(stage, []).append(run)
            else:
                others.setdefault((stage, queued.get(parent, "").partition("_")[0]), []).append(run)

    arrays: list[Array] = []
    kinds: dict[tuple[str, ...], list[Run]] = {}  # the stages that follow -> pretrainings: such arrays correspond
    for run in staged["pretrain"]:
        kinds.setdefault(tuple(stage for stage in JUDGING if stage in judged[run.id]), []).append(run)
    for stages, pretrainings in kinds.items():
        for tasks in _chunks(_chunks(pretrainings, bundle["pretrain"]), limit):
            first = Array("pretrain", tasks)
            arrays.append(first)
            for stage in stages:
                following = tuple(tuple(e for run in task for e in judged[run.id][stage]) for task in tasks)
                arrays.append(Array(stage, following, follows=first))
    for (stage, _), runs in others.items():
        jobs = {queued[parent.id] for run in runs for parent in run.parents if parent.id in queued}
        after = tuple(sorted(jobs))
        arrays += [Array(stage, tasks, after=after) for tasks in _chunks(_chunks(runs, bundle[stage]), limit)]
    if staged["fuse"]:
        arrays.append(last_array(staged["fuse"], arrays, queued.values()))
    return arrays


def last_array(fusions: Iterable[Run], arrays: Iterable[Array], queued: Iterable[str]) -> Array:
    """One task after all arrays and queued jobs: the fusions of what was judged, and the tables."""
    arrays = list(arrays)
    followed = {id(array.follows) for array in arrays}
    ends = tuple(array for array in arrays if id(array) not in followed)
    return Array("fuse", (tuple(fusions),), after=(*ends, *sorted(set(queued))))


def _chunks(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    rest = iter(items)
    while chunk := tuple(islice(rest, size)):
        yield chunk
