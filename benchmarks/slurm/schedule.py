"""The schedule that `bench.py plan --gpus` foresees: a panel per number of GPUs, a row per GPU, time to the right.

Few tasks are drawn as bars with their names. Thousands would cover each other at the printer's mercy, so they become an
image whose pixels hold the mean colour of what runs there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as File

import numpy as np
from matplotlib import patheffects
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from benchmarks.campaign import Campaign
from benchmarks.durations import UNITS, lasting
from benchmarks.figures import style
from benchmarks.figures.style import INK, SIDE, WARNING, WIDTH, Page, title_of
from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate, Fuse, Pretrain
from benchmarks.slurm.arrays import Task
from benchmarks.slurm.simulate import Path, Schedule, Span

# Not a method's colour, and darker the earlier: the order is there in grey too.
STAGES = {
    "pretrain": ("#27496d", "pretraining"),
    "evaluate": ("#c6d3e1", "evaluation of a frozen encoder"),
    "finetune": ("#7f9fbf", "finetuning"),
    "fuse": ("#111111", "fusion and tables"),
}
BARS, MANY = 300, 16  # tasks and GPUs; more are an image
LEFT, HEADING, FOOT, ROW = 0.55, 0.4, 0.62, 0.26  # inches: of a panel, and of a GPU while rows are few
LOWEST, HIGHEST = 0.3, 1.9  # inches of a panel's rows
CASED = [patheffects.Stroke(linewidth=3.6, foreground="white"), patheffects.Normal()]  # seen on dark bars, in grey too
PIXELS = (1800, 256)  # of an image at most


def write(campaign: Campaign, schedules: Sequence[Schedule], path: Path, notes: str) -> File:
    """Draws the schedules and writes <root>/figures/schedule-<tables>.png and .svg; returns the first.

    Raises:
        OSError: when they cannot be written.
    """
    tables = [spec.id for spec in campaign.specs]
    name = "all" if len(tables) > 6 else "-".join(tables)
    stem = "-".join(["schedule", name, *campaign.settings.words])
    with style.settings():
        return style.save(draw(schedules, path, campaign.settings, notes), campaign.store.root / "figures", stem)[0]


def draw(schedules: Sequence[Schedule], path: Path, settings: Settings, notes: str) -> Figure:
    """One panel per schedule, each with a time axis of its own; `path` is drawn as a line."""
    heights = [_height(schedule) for schedule in schedules]
    key = 0.34
    page = Page("Simulated schedule", settings, key + sum(heights) + (HEADING + FOOT) * len(schedules), notes)
    stages = {array.stage for schedule in schedules for array in schedule.arrays if array.tasks}
    handles: list[Artist] = [
        Patch(color=color, label=words) for stage, (color, words) in STAGES.items() if stage in stages
    ]
    handles.append(Line2D([], [], color=WARNING, linewidth=1.6, label="critical path"))
    if any(schedule.preempted for schedule in schedules if _few(schedule)):
        handles.append(Line2D([], [], color=WARNING, marker="x", linestyle="none", label="preempted"))
    page.legend(handles, 0.0, len(handles), sample=1.6)
    y = key
    for schedule, height in zip(schedules, heights, strict=True):
        _panel(page, schedule, path, y + HEADING, height)
        y += HEADING + height + FOOT
    return page.figure


def _few(schedule: Schedule) -> bool:
    return len(schedule.spans) <= BARS and schedule.slots <= MANY


def _height(schedule: Schedule) -> float:
    wanted = max(LOWEST, ROW * schedule.slots)
    return wanted if _few(schedule) else min(wanted, HIGHEST)


def _panel(page: Page, schedule: Schedule, path: Path, y: float, height: float) -> None:
    width = WIDTH - 2 * SIDE - LEFT
    axes = page.axes(SIDE + LEFT, y, width, height)
    gpus = f"{schedule.slots:,} GPUs" if schedule.slots > 1 else "1 GPU"
    words = f"{lasting(schedule.makespan)}, {schedule.utilisation:.1%} in use"
    if schedule.preempted:
        words += f", preempted {schedule.preempted:,} times"
    page.text(SIDE, page.top + y - 0.17, gpus, fontsize=11.5, fontweight="bold")
    page.text(SIDE + 1.35, page.top + y - 0.17, words)
    unit, name = next((unit, name) for unit, name, until in UNITS if schedule.makespan < unit * until)
    end = max(schedule.makespan / unit, 1e-9)
    if _few(schedule):
        _bars(axes, schedule, unit, width)
    else:
        _image(axes, schedule, unit)
    on_path = set(path.tasks)
    for span in (span for span in schedule.spans if span[:2] in on_path):
        row = span.slot + (0.88 if _few(schedule) else 0.5)
        line = Line2D([span.start / unit, span.end / unit], [row, row], color=WARNING, linewidth=1.6, zorder=4)
        line.set(path_effects=CASED, solid_capstyle="butt")
        axes.add_line(line)
    axes.set(xlim=(0, end), ylim=(schedule.slots, 0))
    ticks = sorted({0, schedule.slots - 1})
    axes.set_yticks([tick + 0.5 for tick in ticks], [f"{tick + 1:,}" for tick in ticks])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(name, fontsize=10.5, color=INK, labelpad=2)


def _bars(axes: Axes, schedule: Schedule, unit: float, width: float) -> None:
    """Every stay of a task as a bar, with the task's name where it fits; a cross where it was preempted."""
    corners, colors = [], []
    for span in schedule.spans:
        left, right, top, bottom = span.start / unit, span.end / unit, span.slot + 0.06, span.slot + 0.94
        corners.append([(left, top), (right, top), (right, bottom), (left, bottom)])
        stage = schedule.arrays[span.array].stage
        colors.append(STAGES[stage][0])
        words = _name(schedule.arrays[span.array].tasks[span.task])
        inches = width * (span.end - span.start) / schedule.makespan
        if len(words) * 0.08 < inches - 0.08:
            ink = INK if sum(to_rgb(colors[-1])) > 1.7 else "white"
            axes.text((left + right) / 2, span.slot + 0.48, words, fontsize=9, color=ink, ha="center", va="center")
        if not span.ended:
            (cross,) = axes.plot([right], [span.slot + 0.5], "x", color=WARNING, markersize=6, zorder=5)
            cross.set(markeredgewidth=1.8, path_effects=CASED)
    axes.add_collection(PolyCollection(corners, facecolors=colors, edgecolors="white", linewidths=0.5))


def _name(task: Task) -> str:
    match task:
        case (Pretrain() as run, *_):
            return title_of(run.method)
        case (Evaluate(), *others):
            protocols = dict.fromkeys(run.protocol for run in task if isinstance(run, Evaluate))
            return f"{'+'.join(protocols)}" + (f" ({len(task)})" if others else "")
        case (Fuse(), *_):
            return "fuse"
        case _:
            return ""


def _image(axes: Axes, schedule: Schedule, unit: float) -> None:
    """The mean colour of every pixel: white where nothing runs."""
    columns, rows = PIXELS[0], min(PIXELS[1], schedule.slots)
    pixels = np.ones((rows, columns, 3))
    for span in schedule.spans:
        _fill(pixels, span, schedule, np.array(to_rgb(STAGES[schedule.arrays[span.array].stage][0])))
    extent = (0.0, schedule.makespan / unit, float(schedule.slots), 0.0)
    pixels = pixels.repeat(-(-PIXELS[1] // rows), axis=0)  # a row of a few is not blurred into its neighbours
    axes.imshow(pixels.clip(0, 1), extent=extent, aspect="auto", interpolation="antialiased")


def _fill(pixels: np.ndarray, span: Span, schedule: Schedule, color: np.ndarray) -> None:
    """Moves the pixels that a span covers, in part at its ends, towards its colour."""
    rows, columns, _ = pixels.shape
    part = rows / schedule.slots
    start, end = (columns * seconds / schedule.makespan for seconds in (span.start, span.end))
    first, last = int(start), min(int(np.ceil(end)), columns)
    cover = np.ones(last - first)
    if len(cover):
        cover[0] -= start - first
        cover[-1] -= last - end
    pixels[int(span.slot * part), first:last] += part * cover[:, None] * (color - 1)
