"""`bench.py plan --gpus`: how long the runs that have no result yet would take on clusters of several sizes.

The table answers how many GPUs are worth asking for: where the makespan comes down to the critical path, more of them
only wait.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from benchmarks.campaign import Campaign
from benchmarks.choices import UsageError, short
from benchmarks.durations import lasting
from benchmarks.planning import rates
from benchmarks.planning.cost import CORE, MACHINE, cost
from benchmarks.runs import label
from benchmarks.slurm.arrays import MOST_TASKS, Array, arrays_of
from benchmarks.slurm.simulate import STARTUP, Path, Schedule, critical_path, lives, simulate

GPUS = (1, 8, 64, 512, 1024)
KNOBS = ("profile", "array_parallelism", "max_array", "preemptions", "queue_delay", "startup")


def check(arguments: argparse.Namespace) -> None:
    """Whoever plans for GPUs means the paper's sizes, whether or not the data are here.

    Raises:
        UsageError: for a setting of the simulation without --gpus.
    """
    given = [name for name in KNOBS if getattr(arguments, name) is not None]
    if arguments.gpus is None and given:
        raise UsageError(f"--{given[0].replace('_', '-')} belongs to a simulation: add --gpus N")
    if arguments.gpus is not None and arguments.scale == "auto":
        arguments.scale = "full"


def forecast(arguments: argparse.Namespace, campaign: Campaign) -> list[str]:
    """Simulates, draws the picture below <root>/figures, and returns what is to be printed; [] without --gpus."""
    if arguments.gpus is None:
        return []
    todo = campaign.whole.todo(campaign.store)
    if not todo:
        return ["", "Every run has a result: there is nothing to simulate."]
    if arguments.profile is None:
        speeds, source = CORE, f"no --profile FILE, so a GPU is taken to be one core like {MACHINE}; {rates.MAKE}"
    else:
        speeds = rates.speeds(rates.read(arguments.profile), campaign.settings, todo)
        source = f"samples/s from {short(arguments.profile)}"
    seconds = {run.id: cost(run, speeds) for run in todo}
    arrays = arrays_of(todo, limit=arguments.max_array or MOST_TASKS)
    startup = STARTUP if arguments.startup is None else arguments.startup
    delay, rate = arguments.queue_delay or 0.0, arguments.preemptions or 0.0
    path = critical_path(arrays, seconds, startup=startup, delay=delay)
    schedules = [
        simulate(
            arrays, seconds, slots=gpus, startup=startup, delay=delay,
            parallelism=arguments.array_parallelism, preemption=lives(rate),
        )
        for gpus in sorted(set(arguments.gpus or GPUS))
    ]  # fmt: skip
    limits = [
        f"{lasting(startup)} to start a task",
        f"{lasting(delay)} in the queue",
        f"{rate:g} preemptions a GPU-day",
    ]
    if arguments.array_parallelism:
        limits.append(f"at most {arguments.array_parallelism} tasks of an array at once")
    tasks = sum(len(array.tasks) for array in arrays)
    what = f"{len(todo)} runs without a result, as {tasks} tasks of {len(arrays)} job arrays"
    from benchmarks.slurm import schedule  # brings matplotlib

    notes = f"{what}. Costs: {source}. Assumed: {', '.join(limits)}."
    try:
        picture = short(schedule.write(campaign, schedules, path, notes))
    except OSError as error:  # what was simulated is told nevertheless
        picture = f"none: {error}"
    return [
        "",
        f"Simulated: {what}.",
        f"Costs: {source}.",
        f"Assumed: {', '.join(limits)}.",
        "",
        *_table(schedules, path),
        "",
        *_chain(arrays, seconds, path),
        "",
        f"Picture: {picture}",
    ]


def _table(schedules: Sequence[Schedule], path: Path) -> list[str]:
    """A line per number of GPUs."""
    lines = [f"{'GPUs':>6}{'makespan':>13}{'GPU-hours':>13}{'in use':>9}{'critical path':>16}{'preempted':>11}"]
    lines += [
        f"{each.slots:>6}{lasting(each.makespan):>13}{each.busy / 3600:>13,.1f}{each.utilisation:>9.1%}"
        f"{lasting(path.seconds):>16}{each.preempted:>11,}"
        for each in schedules
    ]
    return lines


def _chain(arrays: Sequence[Array], seconds: Mapping[str, float], path: Path) -> list[str]:
    """The tasks of the critical path, each with its longest run."""
    lines = ["The critical path, which no number of GPUs shortens:"]
    for array, number in path.tasks:
        task = arrays[array].tasks[number]
        if not task:
            continue
        longest = max(task, key=lambda run: seconds[run.id])
        others = f", and {len(task) - 1} more runs" if len(task) > 1 else ""
        whole = lasting(sum(seconds[run.id] for run in task))
        lines.append(f"  {arrays[array].stage:9}{whole:>10}  {longest.id}  {label(longest)}{others}")
    return lines
