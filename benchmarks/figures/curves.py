"""KNN accuracy over the epochs of pretraining, for every method in a table: who learns when, and who has stopped."""

from __future__ import annotations

import statistics
from collections import Counter

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.datasets import catalog
from benchmarks.figures.base import Drawing, said
from benchmarks.figures.style import FAINT, GREY, INK, SIDE, WIDTH, Look, Page, look
from benchmarks.recipes import Settings
from benchmarks.runs import Pretrain, Run, closure
from benchmarks.tables import TABLES
from methods import METHODS

STREAM = "joint"  # one stream shows the courses; three would show the same three times
HEIGHT, LEFT, GAP, HEADING, FOOT, COLUMNS = 3.5, 0.5, 0.35, 0.36, 0.7, 3  # inches, and panels in a row

Panel = tuple[str, str, str]  # data set, split, backbone


def lines(settings: Settings, table: str) -> dict[Panel, dict[str, list[Pretrain]]]:
    """Panel -> row of the table -> its pretrainings on the joint stream, one per seed. A pretraining is shown once."""
    spec = TABLES[table]
    found: dict[Panel, dict[str, list[Pretrain]]] = {}
    taken: set[str] = set()
    for cell in spec.cells(settings):
        for step in (step for run in cell.seeds for step in closure(run)):
            if isinstance(step, Pretrain) and step.stream == STREAM and step.id not in taken:
                taken.add(step.id)
                panel = found.setdefault((step.data.name, step.data.split, step.backbone), {})
                panel.setdefault(said(spec, cell.row, stream=False), []).append(step)
    # A panel of controls alone (labels used in training) compares no methods.
    return {
        panel: rows
        for panel, rows in found.items()
        if not all(METHODS[members[0].method].NEEDS_LABELS for members in rows.values())
    }


def runs(settings: Settings, table: str) -> list[Run]:
    """Every pretraining behind the lines."""
    return [run for rows in lines(settings, table).values() for members in rows.values() for run in members]


def draw(drawing: Drawing) -> dict[str, Figure]:
    """One panel per data set, split and backbone; a line per row is the mean, thin ones are its seeds."""
    settings, found = drawing.settings, lines(drawing.settings, drawing.table)
    looks = _looks(found)
    columns = min(COLUMNS, len(found))
    width = (WIDTH - 2 * SIDE - LEFT - (COLUMNS - 1) * GAP) / COLUMNS
    page_width = max(2 * SIDE + LEFT + columns * width + (columns - 1) * GAP, 8.5)
    tall = HEADING + HEIGHT + FOOT
    across = max(1, int((page_width - 2 * SIDE) / (0.95 + 0.09 * max(map(len, looks)))))
    body = -(-len(found) // columns) * tall
    key = 0.26 * -(-len(looks) // across) + 0.1
    one = next(run for rows in found.values() for members in rows.values() for run in members)
    notes = (
        f"k = {one.monitor.k}, every {one.monitor_every} epochs, on the test side; {STREAM} stream. Thick: mean of the "
        f"seeds that have been measured ({', '.join(map(str, settings.seeds))} asked for); thin: each seed."
    )
    page = Page(f"KNN accuracy during pretraining, Table {drawing.table}", settings, body + key, notes, page_width)
    shared: list[float] = []
    panels: list[Axes] = []
    for place, (panel, rows) in enumerate(found.items()):
        x = SIDE + LEFT + place % columns * (width + GAP)
        y = place // columns * tall + HEADING
        axes = page.axes(x, y, width, HEIGHT)
        panels.append(axes)
        data, split, backbone = panel
        several = len({name for *_, name in found}) > 1
        page.text(
            x, page.top + y - 0.17, f"{catalog.dataset(data).title}, {split}" + (f", {backbone}" if several else ""),
            fontsize=12, fontweight="bold",
        )  # fmt: skip
        shared += [value for row, members in rows.items() for value in _line(axes, drawing, looks[row], members)]
        axes.set_xlabel("epoch", fontsize=11, color=INK)
        axes.grid(color=FAINT, linewidth=0.7)
        if place % columns:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("accuracy, %", fontsize=11, color=INK)
        if not axes.lines:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", fontsize=12, color=GREY)
    for axes in panels:
        axes.set_ylim(max(0.0, min(shared) - 3), min(100.0, max(shared) + 3))
    page.legend([_handle(name, style) for name, style in looks.items()], body, across)
    return {"knn": page.figure}


def _looks(found: dict[Panel, dict[str, list[Pretrain]]]) -> dict[str, Look]:
    """Row -> look: the method's colour everywhere; rows of one method differ in marker and dashes."""
    looks: dict[str, Look] = {}
    used: Counter[str] = Counter()
    for row, members in ((row, members) for rows in found.values() for row, members in rows.items()):
        if row not in looks:
            method = members[0].method
            looks[row] = look(method, used[method])
            used[method] += 1
    return looks


def _line(axes: Axes, drawing: Drawing, style: Look, members: list[Pretrain]) -> list[float]:
    """Draws one row's seeds and their mean; returns every value in percent."""
    courses: list[dict[int, float]] = []
    for run in members:
        if record := drawing.record(run.id):
            key = f"knn{run.monitor.k}"
            courses.append({entry["epoch"]: 100 * entry[key] for entry in record["history"] if key in entry})
    if not courses:
        return []
    if len(courses) > 1:
        for course in courses:
            axes.plot(list(course), list(course.values()), color=style.color, linewidth=0.7, alpha=0.45)
    epochs = sorted(set.intersection(*(set(course) for course in courses)))
    mean = [statistics.fmean(course[epoch] for course in courses) for epoch in epochs]
    axes.plot(
        epochs, mean, color=style.color, linestyle=style.dash, linewidth=2.2, marker=style.marker,
        markersize=7 * style.size, markeredgecolor="white", markeredgewidth=0.6, zorder=3,
    )  # fmt: skip
    return [value for course in courses for value in course.values()]


def _handle(name: str, style: Look) -> Line2D:
    return Line2D(
        [], [], color=style.color, linestyle=style.dash, linewidth=2.2, marker=style.marker,
        markersize=7 * style.size, markeredgecolor="white", markeredgewidth=0.6, label=name,
    )  # fmt: skip
