"""The simulation against schedules made by hand, and against what must hold of any schedule."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import recipes
from benchmarks.planning.cost import cost
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.runs import Pretrain, Run
from benchmarks.slurm.arrays import Array, arrays_of
from benchmarks.slurm.simulate import Schedule, critical_path, lives, simulate
from benchmarks.tables import TABLES

SMOKE = Settings(scale="smoke")


@cache
def pretraining(seed: int, epochs: int = 1) -> Pretrain:
    """The n-th run that differs from the others by its seed."""
    found = recipes.pretraining(SMOKE, "skeletonclr", "ntu60", "xsub", "joint", seed)
    return replace(found, epochs=epochs)


class Lengths(dict[str, float]):
    """Seconds of runs, which it makes: `new(5, 3)` is an array with tasks of 5 and 3 seconds."""

    def new(self, *tasks: float, epochs: int = 1, follows: Array | None = None, after: tuple[Array, ...] = ()) -> Array:
        runs: list[tuple[Run, ...]] = []
        for length in tasks:
            run = pretraining(len(self), epochs)
            self[run.id] = length
            runs.append((run,))
        return Array("pretrain", tuple(runs), follows, after)


def rows(schedule: Schedule) -> list[tuple[int, int, int, float, float]]:
    """Array, task, slot, start and end of every stay."""
    return [span[:5] for span in schedule.spans]


def test_tasks_take_the_first_free_slot_and_each_has_its_startup() -> None:
    seconds = Lengths()
    found = simulate([seconds.new(5, 3, 4)], seconds, slots=2, startup=1)
    assert rows(found) == [(0, 0, 0, 0, 6), (0, 1, 1, 0, 4), (0, 2, 1, 4, 9)]
    assert (found.makespan, found.busy, found.utilisation) == (9, 15, 15 / 18)


def test_an_array_at_its_limit_is_passed_over() -> None:
    seconds = Lengths()
    first, second = seconds.new(4, 4, 4), seconds.new(5)
    found = simulate([first, second], seconds, slots=2, startup=0, parallelism=1)
    assert rows(found) == [(0, 0, 0, 0, 4), (1, 0, 1, 0, 5), (0, 1, 0, 4, 8), (0, 2, 0, 8, 12)]
    assert simulate([first, second], seconds, slots=2, startup=0).makespan == 9


def test_a_follower_waits_for_its_own_task_and_the_last_array_for_all() -> None:
    seconds = Lengths()
    first = seconds.new(5, 2)
    second = seconds.new(1, 1, follows=first)
    third = seconds.new(10, after=(second,))
    found = simulate([first, second, third], seconds, slots=3, startup=0)
    assert rows(found) == [(0, 0, 0, 0, 5), (0, 1, 1, 0, 2), (1, 1, 1, 2, 3), (1, 0, 0, 5, 6), (2, 0, 0, 6, 16)]
    path = critical_path([first, second, third], seconds, startup=0)
    assert path == (16, [(0, 0), (1, 0), (2, 0)])


def test_earlier_arrays_go_first_even_if_they_became_ready_later() -> None:
    seconds = Lengths()
    first = seconds.new(2)
    second = seconds.new(7, follows=first)
    third = seconds.new(2, 3, 3)
    found = simulate([first, second, third], seconds, slots=2, startup=0)
    # At 2 both slots are free: the second array comes before the rest of the third.
    assert rows(found) == [(0, 0, 0, 0, 2), (2, 0, 1, 0, 2), (1, 0, 0, 2, 9), (2, 1, 1, 2, 5), (2, 2, 1, 5, 8)]


def test_a_slot_waits_for_the_queue() -> None:
    seconds = Lengths()
    found = simulate([seconds.new(3, 4)], seconds, slots=1, startup=2, delay=10)
    assert rows(found) == [(0, 0, 0, 10, 15), (0, 1, 0, 25, 31)]
    assert found.utilisation == 11 / 31
    assert critical_path(found.arrays, seconds, startup=2, delay=10).seconds == 16


def test_a_preempted_task_goes_on_from_its_last_epoch_and_others_use_its_slot() -> None:
    seconds = Lengths()
    long, short = seconds.new(1000, epochs=10), seconds.new(50)
    found = simulate([long, short], seconds, slots=1, startup=5, preemption=iter((255.0, math.inf, math.inf)))
    # 250 seconds of work are two epochs and a half; it may go on at 375; eight epochs are left.
    assert rows(found) == [(0, 0, 0, 0, 255), (1, 0, 0, 255, 310), (0, 0, 0, 375, 1180)]
    assert [span.ended for span in found.spans] == [False, True, True]
    assert (found.preempted, found.busy) == (1, 255 + 55 + 805)


@pytest.mark.parametrize(
    ("epochs", "life", "left"),
    [
        (10, 3, 100),  # it had not begun
        (100, 74, 40),  # no checkpoint sooner than 20 s after another: 60 of 69 s are kept
        (4, 80, 25),  # at the end of the third epoch
        (1, 99, 100),  # nothing to go on from
    ],
)
def test_what_a_preemption_costs(epochs: int, life: float, left: float) -> None:
    seconds = Lengths()
    found = simulate(
        [seconds.new(100, epochs=epochs)], seconds, slots=1, startup=5, preemption=iter((life, math.inf)), requeue=0
    )
    assert rows(found) == [(0, 0, 0, 0, life), (0, 0, 0, life, life + 5 + left)]


def test_runs_of_a_bundle_that_are_done_stay_done() -> None:
    pretrained = pretraining(0)
    runs = tuple(recipes.evaluation(SMOKE, name, pretrained, "ntu60", "xsub") for name in ("knn", "linear", "embed"))
    array = Array("evaluate", (runs,))
    seconds = {run.id: 50.0 for run in runs}
    draws = iter((75.0, 60.0, math.inf))  # one run and a half; then, after the start, the rest of the second
    found = simulate([array], seconds, slots=1, startup=5, preemption=draws, requeue=1)
    assert rows(found) == [(0, 0, 0, 0, 75), (0, 0, 0, 76, 136), (0, 0, 0, 137, 192)]


def test_finetuning_has_checkpoints_too() -> None:
    pretrained = pretraining(0)
    for protocol in ("finetune", "semi"):
        run = recipes.evaluation(SMOKE, protocol, pretrained, "ntu60", "xsub")
        epochs = run.config.epochs if protocol == "finetune" else run.config.finetune.epochs
        array = Array("finetune", ((run,),))
        found = simulate(
            [array], {run.id: 100.0 * epochs}, slots=1, startup=0, preemption=iter((150.0, math.inf)), requeue=0
        )
        assert found.makespan == 150 + 100 * (epochs - 1), protocol


def test_a_task_that_is_always_preempted_is_an_error_not_an_endless_loop() -> None:
    seconds = Lengths()
    with pytest.raises(ValueError, match="preempted 1000 times without coming to its next checkpoint"):
        simulate([seconds.new(100)], seconds, slots=1, preemption=itertools.repeat(50.0))


def test_arrays_that_cannot_be_submitted_in_this_order() -> None:
    seconds = Lengths()
    first = seconds.new(1, 1)
    with pytest.raises(ValueError, match=r"array 0 \(pretrain\) waits for an array that is not before it"):
        simulate([seconds.new(1, after=(first,)), first], seconds, slots=1)
    with pytest.raises(ValueError, match="has 1 tasks and follows one with 2"):
        critical_path([first, seconds.new(1, follows=first)], seconds)


def test_preemptions_strike_at_their_rate() -> None:
    draws = list(itertools.islice(lives(4.0), 20_000))
    assert sum(draws) / len(draws) == pytest.approx(86_400 / 4, rel=0.03)
    assert draws[:5] == list(itertools.islice(lives(4.0), 5))
    assert next(lives(0.0)) == math.inf


def test_nothing_takes_no_time() -> None:
    found = simulate([], {}, slots=4)
    assert (found.makespan, found.busy, found.utilisation) == (0, 0, 0)
    assert critical_path([], {}) == (0, [])


@st.composite
def campaigns(draw: st.DrawFn) -> tuple[list[Array], Lengths]:
    """Arrays with tasks of 1 to 9 seconds; an array may follow an earlier one, and wait for others."""
    seconds, arrays = Lengths(), []
    for _ in range(draw(st.integers(1, 5))):
        leader = draw(st.sampled_from([None, *arrays]))
        count = len(leader.tasks) if leader else draw(st.integers(1, 5))
        after = tuple(array for array in arrays if draw(st.integers(0, 3)) == 0)
        lengths = [draw(st.integers(1, 9)) for _ in range(count)]
        arrays.append(seconds.new(*lengths, epochs=draw(st.integers(1, 3)), follows=leader, after=after))
    return arrays, seconds


def ends(schedule: Schedule) -> dict[tuple[int, int], float]:
    """When every task ended, each of them once."""
    done = [span for span in schedule.spans if span.ended]
    assert len(done) == sum(len(array.tasks) for array in schedule.arrays)
    return {(span.array, span.task): span.end for span in done}


def check(schedule: Schedule, delay: float, limit: int | None) -> None:
    """No slot does two things, no array is over its limit, nothing starts before what it waits for."""
    done = ends(schedule)
    arrays: Sequence[Array] = schedule.arrays
    for slot in range(schedule.slots):
        stays = sorted((span.start, span.end) for span in schedule.spans if span.slot == slot)
        assert all(start >= end + delay for (_, end), (start, _) in itertools.pairwise(stays))
    for span in schedule.spans:
        assert 0 <= span.slot < schedule.slots
        at_once = [s for s in schedule.spans if s.array == span.array and s.start <= span.start < s.end]
        assert len(at_once) <= (limit or math.inf)
        array = arrays[span.array]
        if array.follows:
            assert span.start >= done[arrays.index(array.follows), span.task] + delay
        for other in array.after:
            assert isinstance(other, Array)
            assert span.start >= max(done[arrays.index(other), i] for i in range(len(other.tasks))) + delay


@given(campaigns(), st.integers(1, 6), st.none() | st.integers(1, 3), st.integers(0, 3), st.integers(0, 2))
@settings(deadline=None)
def test_any_schedule(
    campaign: tuple[list[Array], Lengths], slots: int, limit: int | None, startup: int, delay: int
) -> None:
    arrays, seconds = campaign
    found = simulate(arrays, seconds, slots=slots, startup=startup, delay=delay, parallelism=limit)
    check(found, delay, limit)
    work = sum(seconds.values()) + startup * len(seconds)
    path = critical_path(arrays, seconds, startup=startup, delay=delay)
    assert found.busy == work
    assert max(path.seconds, work / slots) <= found.makespan <= work + delay * len(seconds)
    steps = [seconds[run.id] + startup + delay for array, task in path.tasks for run in arrays[array].tasks[task]]
    assert sum(steps) == path.seconds
    unlimited = simulate(arrays, seconds, slots=len(seconds), startup=startup, delay=delay)
    assert unlimited.makespan == path.seconds


@given(campaigns(), st.integers(1, 4), st.none() | st.integers(1, 3), st.lists(st.integers(1, 12), max_size=12))
@settings(deadline=None)
def test_preemption_only_adds(
    campaign: tuple[list[Array], Lengths], slots: int, limit: int | None, draws: list[int]
) -> None:
    arrays, seconds = campaign
    found = simulate(
        arrays, seconds, slots=slots, parallelism=limit, requeue=7, preemption=itertools.chain(draws, lives(0.0))
    )
    check(found, 0, limit)
    least = sum(seconds.values()) + 3 * len(seconds)  # the usual startup
    assert found.busy >= least
    assert (found.busy == least) == (found.preempted == 0)
    for first, second in itertools.combinations(found.spans, 2):
        if first[:2] == second[:2]:
            assert second.start >= first.end + 7


def test_everything_with_ten_seeds_on_five_clusters(benchmark: BenchmarkFixture) -> None:
    plan = Plan.of(TABLES.values(), Settings(seeds=tuple(range(10))))
    assert len(plan.runs) > 4000
    arrays = arrays_of(list(plan.runs.values()))
    seconds = {run.id: cost(run) for run in plan.runs.values()}

    def everywhere() -> list[Schedule]:
        return [simulate(arrays, seconds, slots=slots, preemption=lives(0.1)) for slots in (1, 8, 64, 512, 1024)]

    shortest = critical_path(arrays, seconds).seconds
    for found in benchmark(everywhere):
        assert found.makespan >= max(shortest, max(ends(found).values()))
