"""The picture of a schedule: legible at every size, bars where they fit, an image that loses nothing."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.colors
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from benchmarks.figures import style
from benchmarks.planning.cost import cost
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.slurm.arrays import arrays_of
from benchmarks.slurm.schedule import STAGES, draw
from benchmarks.slurm.simulate import Schedule, critical_path, lives, simulate
from benchmarks.tables import TABLES
from tests.benchmarks.figures.measured import check_words, words


def schedules(table: str, settings: Settings, *gpus: int, per_day: float = 0.0) -> tuple[list[Schedule], Figure]:
    """Simulated schedules of a table, and their picture."""
    runs = Plan.of([TABLES[table]], settings).runs
    arrays, seconds = arrays_of(list(runs.values())), {run_id: cost(run) for run_id, run in runs.items()}
    found = [simulate(arrays, seconds, slots=slots, preemption=lives(per_day)) for slots in gpus]
    with style.settings():
        return found, draw(found, critical_path(arrays, seconds), settings, "What was assumed.")


@pytest.mark.parametrize(
    ("table", "settings", "gpus", "per_day"),
    [
        ("7", Settings(), (1, 2, 8), 0.02),
        ("7", Settings(scale="demo"), (1, 16, 17), 0.0),
        ("3", Settings(seeds=(0, 1, 2)), (1, 8, 64, 512, 1024), 0.01),
        ("irds", Settings(seeds=tuple(range(10))), (100, 100_000), 0.0),
    ],
)
def test_words_are_legible_and_apart(table: str, settings: Settings, gpus: tuple[int, ...], per_day: float) -> None:
    found, picture = schedules(table, settings, *gpus, per_day=per_day)
    check_words(picture)
    assert len(picture.axes) == len(gpus)
    said = words(picture)
    assert {f"{n:,} GPU{'s' * (n > 1)}" for n in gpus} <= set(said)
    assert [bool(schedule.preempted) for schedule in found] == [per_day > 0] * len(gpus)
    assert sum(", preempted " in text for text in said) == len(gpus) * (per_day > 0)


def test_few_tasks_are_bars_with_names() -> None:
    [found], picture = schedules("7", Settings(), 8)
    [bars] = [item for item in picture.axes[0].collections if isinstance(item, PolyCollection)]
    assert len(bars.get_paths()) == len(found.spans) == 16
    assert words(picture).count("SkeAttnCLR") == 8


def test_an_image_has_as_much_of_a_colour_as_there_is_work() -> None:
    [found], picture = schedules("1", Settings(seeds=(0, 1)), 30)
    pixels = np.asarray(picture.axes[0].images[0].get_array(), dtype=float)
    assert pixels.shape[0] % 30 == 0
    expected = np.ones(3)
    for span in found.spans:
        color = np.array(matplotlib.colors.to_rgb(STAGES[found.arrays[span.array].stage][0]))
        expected += (color - 1) * (span.end - span.start) / (30 * found.makespan)
    np.testing.assert_allclose(pixels.mean(axis=(0, 1)), expected, atol=1e-9)


def test_stages_differ_in_grey() -> None:
    grey = sorted(np.dot((0.2126, 0.7152, 0.0722), matplotlib.colors.to_rgb(color)) for color, _ in STAGES.values())
    assert min(np.diff(grey)) > 0.15


def test_same_bytes_whatever_was_set_before(tmp_path: Path) -> None:
    first = style.save(schedules("7", Settings(), 1, 64)[1], tmp_path / "a", "schedule")
    with matplotlib.rc_context({"svg.hashsalt": "other", "lines.linewidth": 9, "font.size": 30, "savefig.dpi": 30}):
        again = style.save(schedules("7", Settings(), 1, 64)[1], tmp_path / "b", "schedule")
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name
