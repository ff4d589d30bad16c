"""What a cluster would do with job arrays: a discrete-event simulation of Slurm's first come, first served.

Why: how many GPUs are worth asking for is a question about dependencies, limits and preemption, which nobody can see in
a sum of GPU-hours. Tasks are taken in the order of submission; one that waits for others, or whose array is at its
limit, is passed over. Every task needs one slot, a GPU; so does the last task, which fuses and renders.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from typing import NamedTuple

from benchmarks.runs import Evaluate, Pretrain, Run, label
from benchmarks.slurm.arrays import Array, Task
from protocols import Context, finetune, semi

STARTUP = 3.0  # seconds; Python with PyTorch and submitit took 2.1 to 3.2 on two cores
REQUEUE = 120.0  # seconds that Slurm holds a requeued job back (BeginTime), as Slurm 22.05 was seen to do
DAY = 86_400.0
HOPELESS = 1000  # preemptions in a row


class Span(NamedTuple):
    """A stay of a task on a slot, in seconds since everything was submitted."""

    array: int  # numbers of the array and of the task in it
    task: int
    slot: int
    start: float
    end: float
    ended: bool = True  # with all its runs done; else it was preempted


@dataclass(frozen=True)
class Schedule:
    """What ran where and when."""

    arrays: Sequence[Array]
    slots: int
    spans: list[Span]  # in the order of their starts

    @cached_property
    def makespan(self) -> float:
        """Seconds from submission to the end of the last task."""
        return max((span.end for span in self.spans), default=0.0)

    @cached_property
    def busy(self) -> float:
        """Seconds that slots were in use, startup and work lost to preemption included."""
        return math.fsum(span.end - span.start for span in self.spans)

    @property
    def utilisation(self) -> float:
        """Part of the slots' time until the makespan in which they were in use."""
        return self.busy / (self.slots * self.makespan) if self.spans else 0.0

    @property
    def preempted(self) -> int:
        """How often a task was."""
        return sum(not span.ended for span in self.spans)


class Path(NamedTuple):
    """A chain of tasks, each of which waits for the one before it, as (array, task)."""

    seconds: float
    tasks: list[tuple[int, int]]


def lives(per_day: float, seed: int = 0) -> Iterator[float]:
    """Seconds until preemption for one start of a task after the other, when it strikes `per_day` times a day."""
    generator = random.Random(seed)
    while per_day > 0:
        yield generator.expovariate(per_day / DAY)
    yield from itertools.repeat(math.inf)


def simulate(
    arrays: Sequence[Array],
    seconds: Mapping[str, float],
    *,
    slots: int,
    startup: float = STARTUP,
    delay: float = 0.0,
    parallelism: int | None = None,
    preemption: Iterator[float] | None = None,
    requeue: float = REQUEUE,
) -> Schedule:
    """The schedule of these arrays, all submitted at 0. The same arguments give the same schedule.

    Args:
        arrays: as `arrays_of` makes them; jobs that they wait for and that are not among them count as ended.
        seconds: run id -> how long it takes, measured or guessed.
        slots: GPUs.
        startup: seconds of a task before its first run begins, after a preemption again.
        delay: seconds for which a slot that could take a task waits until it does.
        parallelism: tasks of an array that may run at once, None for no limit.
        preemption: seconds after each start at which the task is preempted unless it has ended, see `lives`. It goes on
            from its last checkpoint; runs that it has done stay done.
        requeue: seconds until a preempted task may start again.

    Raises:
        ValueError: when an array waits for one that is not before it, or follows one with another number of tasks, and
            when a task is preempted so often that it will never end.
    """
    queue = _Queue(arrays, parallelism or math.inf)
    preemption = preemption or itertools.repeat(math.inf)
    saved: dict[tuple[int, int], float] = {}  # work of a preempted task that need not be done again
    vain: Counter[tuple[int, int]] = Counter()  # preemptions of a task that nothing was saved between
    spans: list[Span] = []
    free = list(range(slots))
    events: list[tuple[float, int, Span, bool]] = []  # when, tie-breaker, whose, whether its requeue pause is over
    ties = itertools.count()
    now = 0.0
    while True:
        while free and (place := queue.take()):
            task = arrays[place[0]].tasks[place[1]]
            done = saved.get(place, 0.0)
            needed = startup + _work(task, seconds) - done
            life = next(preemption)
            start = now + delay
            span = Span(*place, heappop(free), start, start + min(life, needed), life >= needed)
            if not span.ended:
                saved[place] = _saved(task, seconds, done, max(0.0, life - startup))
                vain[place] = vain[place] + 1 if saved[place] == done else 0
                if vain[place] > HOPELESS:
                    raise ValueError(
                        f"{label(task[0])} was preempted {HOPELESS} times without coming to its next checkpoint: "
                        "such a schedule has no end"
                    )
            spans.append(span)
            heappush(events, (span.end, next(ties), span, False))
        if not events:
            return Schedule(arrays, slots, spans)
        now = events[0][0]
        while events and events[0][0] == now:
            _, _, span, again = heappop(events)
            if again:
                queue.ready(span.array, span.task)
                continue
            heappush(free, span.slot)
            queue.leave(span)
            if not span.ended:
                heappush(events, (now + requeue, next(ties), span, True))


def critical_path(
    arrays: Sequence[Array], seconds: Mapping[str, float], *, startup: float = STARTUP, delay: float = 0.0
) -> Path:
    """The longest chain of tasks: the makespan on any number of slots when nothing is limited or preempted.

    Raises:
        ValueError: as `simulate`.
    """
    number = _numbered(arrays)
    ends: list[list[float]] = []
    before: dict[tuple[int, int], tuple[int, int]] = {}
    last: list[tuple[float, tuple[int, int]]] = []  # of each array: when its last task ends, and which it is
    for here, array in enumerate(arrays):
        awaited = [last[number[other]] for other in array.after if isinstance(other, Array) and other.tasks]
        ends.append([])
        for i, task in enumerate(array.tasks):
            reasons = list(awaited)
            if array.follows:
                leader = number[array.follows]
                reasons.append((ends[leader][i], (leader, i)))
            start, reason = max(reasons, default=(0.0, None))
            if reason:
                before[here, i] = reason
            ends[here].append(start + delay + startup + _work(task, seconds))
        last.append(max(((end, (here, i)) for i, end in enumerate(ends[here])), default=(0.0, (here, 0))))
    length, place = max((end for end in last if arrays[end[1][0]].tasks), default=(0.0, None))
    chain = []
    while place:
        chain.append(place)
        place = before.get(place)
    return Path(length, chain[::-1])


class _Queue:
    """Tasks that wait, in the order of submission."""

    def __init__(self, arrays: Sequence[Array], limit: float) -> None:
        number = _numbered(arrays)
        self.limit = limit
        self.waits: list[list[int]] = []  # for how many arrays and tasks each task still waits
        self.left = [len(array.tasks) for array in arrays]  # tasks of each array that have not ended
        self.running = [0] * len(arrays)
        self.startable: list[list[int]] = [[] for _ in arrays]  # heaps of tasks
        self.open: list[int] = []  # heap of arrays that may have a task to start; an array may be there twice
        self.followers: list[list[int]] = [[] for _ in arrays]  # arrays whose task i waits for task i
        self.heirs: list[list[int]] = [[] for _ in arrays]  # arrays that wait for all of it
        for here, array in enumerate(arrays):
            awaited = [other for other in array.after if isinstance(other, Array) and other.tasks]
            for other in awaited:
                self.heirs[number[other]].append(here)
            if array.follows:
                self.followers[number[array.follows]].append(here)
            self.waits.append([len(awaited) + bool(array.follows)] * len(array.tasks))
            if not self.waits[here] or not self.waits[here][0]:
                for i in range(len(array.tasks)):
                    self.ready(here, i)

    def ready(self, array: int, task: int) -> None:
        """The task may start."""
        heappush(self.startable[array], task)
        heappush(self.open, array)

    def take(self) -> tuple[int, int] | None:
        """The first task that may start; it counts as running."""
        while self.open:
            array = self.open[0]
            if self.startable[array] and self.running[array] < self.limit:
                self.running[array] += 1
                return array, heappop(self.startable[array])
            heappop(self.open)
        return None

    def leave(self, span: Span) -> None:
        """The task left its slot; if it has ended, what waited for it may start."""
        self.running[span.array] -= 1
        heappush(self.open, span.array)
        if not span.ended:
            return
        self.left[span.array] -= 1
        for follower in self.followers[span.array]:
            self._release(follower, span.task)
        if not self.left[span.array]:
            for heir in self.heirs[span.array]:
                for task in range(len(self.waits[heir])):
                    self._release(heir, task)

    def _release(self, array: int, task: int) -> None:
        self.waits[array][task] -= 1
        if not self.waits[array][task]:
            self.ready(array, task)


def _numbered(arrays: Sequence[Array]) -> dict[Array, int]:
    """Every array's place, after a check that none waits for a later one."""
    number: dict[Array, int] = {}
    for here, array in enumerate(arrays):
        for other in (array.follows, *array.after):
            if isinstance(other, Array) and other not in number:
                raise ValueError(f"array {here} ({array.stage}) waits for an array that is not before it")
        if array.follows and len(array.follows.tasks) != len(array.tasks):
            raise ValueError(
                f"array {here} ({array.stage}) has {len(array.tasks)} tasks and follows one with "
                f"{len(array.follows.tasks)}"
            )
        number[array] = here
    return number


def _work(task: Task, seconds: Mapping[str, float]) -> float:
    return sum(seconds[run.id] for run in task)


def _saved(task: Task, seconds: Mapping[str, float], done: float, worked: float) -> float:
    """Of the work of a task that had `done` before and was preempted `worked` seconds later: what is kept."""
    begin = 0.0
    for run in task:
        end = begin + seconds[run.id]
        if end > done + worked:
            epoch = seconds[run.id] / _epochs(run)
            step = epoch * math.ceil(Context.checkpoint_seconds / epoch)
            return max(done, begin + math.floor((done + worked - begin) / step) * step)
        begin = end
    return begin


def _epochs(run: Run) -> int:
    """Of a run that checkpoints between epochs; 1 for one that begins anew."""
    match run:
        case Pretrain(epochs=epochs) | Evaluate(config=finetune.Config(epochs=epochs)):
            return epochs
        case Evaluate(config=semi.Config(finetune=config)):
            return config.epochs
        case _:
            return 1
