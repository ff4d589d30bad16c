"""Accuracy class by class, one run against another: an equal mean may hide that they succeed at different actions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from matplotlib.figure import Figure

from benchmarks.datasets import catalog
from benchmarks.figures.base import Absent, Drawing
from benchmarks.figures.style import FAINT, INK, SIDE, Page, look, name_of, title_of
from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate, Fuse, Pretrain, Run, from_spec, label
from benchmarks.tables import TABLES

METHODS = ("skeattnclr", "skeletonclr")  # the first minus the second, where no runs are named
STEP, HEADING, FOOT, WIDTH = 0.28, 0.36, 0.55, 9.5  # inches


def pairs(settings: Settings, table: str) -> list[tuple[Evaluate, Evaluate]]:
    """For every seed the linear evaluations of both methods, of the table's first data set, split and protocol.

    Raises:
        ValueError: when the table does not have both.
    """
    first: dict[str, tuple[Evaluate, ...]] = {}
    for cell in TABLES[table].cells(settings):
        members = tuple(run for run in cell.seeds if isinstance(run, Evaluate) and run.protocol == "linear")
        encoder = members[0].encoder if members else None
        if isinstance(encoder, Pretrain) and encoder.method in METHODS and encoder.stream == "joint":
            first.setdefault(encoder.method, members)  # the table's own order: its plain protocol comes first
    missing = [title_of(method) for method in METHODS if method not in first]
    if missing:
        raise ValueError(f"Table {table} has no linear evaluation of {' and '.join(missing)}; name two runs instead")
    return list(zip(first[METHODS[0]], first[METHODS[1]], strict=True))


def runs(settings: Settings, table: str) -> list[Run]:
    """Both sides of every pair."""
    return [run for pair in pairs(settings, table) for run in pair]


def draw(drawing: Drawing) -> dict[str, Figure]:
    """The two runs that were named, or the table's pair averaged over the seeds that both have."""
    if drawing.chosen:
        together = [_named(drawing)]
    else:
        every = pairs(drawing.settings, drawing.table)
        together = [pair for pair in every if all(drawing.record(run.id) for run in pair)]
        if not together:
            raise Absent("no seed has both of the runs that are compared")
    differences = []
    for pair in together:
        one, other = (_per_class(drawing, run) for run in pair)
        if len(one) != len(other):
            raise ValueError(
                f"{pair[0].id} has {len(one)} classes and {pair[1].id} has {len(other)}; compare like with like"
            )
        differences.append([None if a is None or b is None else 100 * (a - b) for a, b in zip(one, other, strict=True)])
    return {"per-class": _picture(drawing, together, differences)}


def _named(drawing: Drawing) -> tuple[Run, Run]:
    records = [drawing.record(run_id) for run_id in drawing.chosen]
    for run_id, record in zip(drawing.chosen, records, strict=True):
        if record is None:
            raise Absent(f"{run_id} has no result")
        if "per_class" not in record:
            raise ValueError(
                f"{run_id} is a {record['kind']} without accuracy per class; name linear or knn evaluations"
            )
    first, second = (from_spec(record["spec"]) for record in records if record)
    return first, second


def _per_class(drawing: Drawing, run: Run) -> list[float | None]:
    record = drawing.record(run.id)
    assert record is not None
    return record["per_class"]


def _picture(drawing: Drawing, together: Sequence[tuple[Run, Run]], differences: list[list[float | None]]) -> Figure:
    data = _evaluated(together[0][0]).data
    titles = catalog.class_titles(data.name, data.standin, data.split)
    seeds = {k: [row[k] for row in differences] for k in range(len(titles))}
    known = {k: [v for v in values if v is not None] for k, values in seeds.items()}
    means = sorted((statistics.fmean(values), k) for k, values in known.items() if values)
    first, second = (name_of(run) for run in together[0])
    same = first == second
    names = [title_of(name) for name in (first, second)] if not same else ["first", "second"]
    left = 0.3 + 0.086 * max(len(titles[k]) for _, k in means)
    notes = [f"{names[0]} minus {names[1]}, percentage points of accuracy on the test side; "]
    notes.append(
        f"bars are means of {len(together)} seeds, dots are seeds paired." if len(together) > 1 else "one pair."
    )
    if len(means) < len(titles):
        notes.append(f" {len(titles) - len(means)} of {len(titles)} classes have no test samples.")
    if drawing.chosen:
        notes += [f" First: {label(together[0][0])}. Second: {label(together[0][1])}."]
    else:
        notes += [f" Linear evaluation, joint stream, Table {drawing.table}."]
    body = HEADING + STEP * len(means) + FOOT
    page = Page(f"Accuracy by class: {names[0]} against {names[1]}", drawing.settings, body, "".join(notes), WIDTH)
    where = f"{catalog.dataset(data.name).title}, {data.split}"
    axes = page.axes(SIDE + left, HEADING, WIDTH - 2 * SIDE - left, STEP * len(means))
    page.text(SIDE + left, page.top + HEADING - 0.18, where, fontsize=12, fontweight="bold")
    for row, (mean, k) in enumerate(reversed(means)):
        better = look(first if mean >= 0 else second).color
        axes.barh(row, mean, height=0.68, color=better if mean >= 0 else "white", edgecolor=better, linewidth=1.4,
                  hatch=None if mean >= 0 else "////", zorder=2)  # fmt: skip
        if len(together) > 1:
            axes.plot(known[k], [row] * len(known[k]), "o", markersize=5, color=INK, markeredgecolor="white",
                      markeredgewidth=0.8, zorder=3)  # fmt: skip
    reach = 1.1 * max(1.0, *(abs(value) for values in known.values() for value in values))
    axes.set(xlim=(-reach, reach), ylim=(len(means) - 0.4, -0.6), yticks=range(len(means)))
    axes.set_yticklabels([titles[k] for _, k in reversed(means)], fontsize=11, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=INK, linewidth=1.0, zorder=4)
    axes.grid(axis="x", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"← {names[1]} better      points      {names[0]} better →", fontsize=11, color=INK)
    return page.figure


def _evaluated(run: Run) -> Evaluate:
    if isinstance(run, Fuse):
        return run.members[0]
    assert isinstance(run, Evaluate), "only evaluations have accuracy per class"
    return run
