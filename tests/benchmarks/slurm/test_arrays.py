"""Which runs are in one task, and what waits for what."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate, Run
from benchmarks.slurm.arrays import BUNDLE, Array, arrays_of, stage_of
from benchmarks.tables import TABLES


def runs_of(*tables: str, seeds: int = 1) -> list[Run]:
    """All runs of these tables at full scale."""
    return list(Plan.of([TABLES[t] for t in tables], Settings(seeds=tuple(range(seeds)))).runs.values())


def shape(arrays: list[Array]) -> list[tuple[str, int]]:
    """Stage and number of tasks of every array."""
    return [(array.stage, len(array.tasks)) for array in arrays]


@pytest.mark.parametrize("limit", [3, 1001])
@pytest.mark.parametrize("bundle", [1, 4])
def test_every_run_is_in_one_task_and_after_what_it_needs(limit: int, bundle: int) -> None:
    todo = runs_of(*TABLES)
    arrays = arrays_of(todo, BUNDLE | {"pretrain": bundle}, limit)
    assert Counter(run.id for array in arrays for run in array.runs) == Counter(run.id for run in todo)
    assert max(len(array.tasks) for array in arrays) <= limit
    place = {run.id: (array, index) for array in arrays for index, task in enumerate(array.tasks) for run in task}
    for array in arrays:
        assert {stage_of(run) for run in array.runs} == {array.stage}
        for index, task in enumerate(array.tasks):
            for run in task:
                for parent in run.parents:
                    before, at = place[parent.id]
                    follows = array.follows is before and at == index
                    assert follows or before in array.after, run
    for array in arrays:
        before = [array.follows] if array.follows else [other for other in array.after if isinstance(other, Array)]
        assert all(arrays.index(other) < arrays.index(array) for other in before), "they can be submitted in order"


def test_pretrainings_of_a_task_are_judged_in_one_task() -> None:
    pretrain, evaluate, *rest = arrays_of(runs_of("7"), BUNDLE | {"pretrain": 3})
    assert shape([pretrain, evaluate]) == [("pretrain", 3), ("evaluate", 3)]
    assert [len(task) for task in evaluate.tasks] == [3, 3, 2]
    assert evaluate.follows is pretrain
    assert not rest, "there is nothing to fuse"


def test_evaluations_of_encoders_that_are_there_are_bundled_and_wait_for_nobody() -> None:
    evaluations = [run for run in runs_of("4") if isinstance(run, Evaluate)]
    arrays = arrays_of(evaluations, BUNDLE | {"evaluate": 5})
    assert shape(arrays) == [("evaluate", -(-len(evaluations) // 5))]
    assert (arrays[0].follows, arrays[0].after) == (None, ())


def test_evaluations_wait_for_pretrainings_that_are_queued_and_fusions_for_all() -> None:
    every = runs_of("18", "1")
    pretrainings = [run.id for run in every if stage_of(run) == "pretrain"]
    queued = {run_id: f"{7 if index < 3 else 8}_{index}" for index, run_id in enumerate(pretrainings[:5])}
    arrays = arrays_of([run for run in every if run.id not in queued], queued=queued)
    for array in arrays:
        if array.stage in ("evaluate", "finetune") and not array.follows:
            needs = {queued.get(parent.id) for run in array.runs for parent in run.parents} - {None}
            assert set(array.after) == needs
            assert len({job.partition("_")[0] for job in needs if job}) <= 1, "one queued array each"
    last = arrays[-1]
    assert last.stage == "fuse"
    assert set(queued.values()) <= set(last.after)
    assert {array for array in arrays if array.stage in ("evaluate", "finetune")} <= set(last.after)


def test_ten_seeds_of_everything_are_few_arrays() -> None:
    todo = runs_of(*TABLES, seeds=10)
    assert len(todo) > 4000
    arrays = arrays_of(todo)
    assert len(arrays) < 15
    assert sum(len(array.tasks) for array in arrays if array.stage == "evaluate") < 0.6 * sum(
        stage_of(run) == "evaluate" for run in todo
    )
