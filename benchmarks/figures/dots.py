"""A table as a dot plot: what was measured, with error bars, and the paper's number as an open diamond beside it."""

from __future__ import annotations

import statistics

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.figures.base import Drawing, said
from benchmarks.figures.style import FAINT, GREY, INK, SIDE, WIDTH, Page, look, name_of
from benchmarks.pages.outcomes import Outcome, outcomes
from benchmarks.recipes import Settings
from benchmarks.runs import Run
from benchmarks.tables import TABLES
from benchmarks.tables.paper import paper

STEP, HEADING, FOOT, GAP = 0.27, 0.36, 0.5, 0.25  # inches; STEP is a row of the table
ACROSS = 4  # at most so many panels side by side


def runs(settings: Settings, table: str) -> list[Run]:
    """The runs in the table's cells."""
    return list({run.id: run for cell in TABLES[table].cells(settings) for run in cell.seeds}.values())


def draw(drawing: Drawing) -> dict[str, Figure]:
    """One panel per column, the table's rows from top to bottom, one scale for all panels."""
    spec, settings = TABLES[drawing.table], drawing.settings
    wanted = runs(settings, drawing.table)
    records = {run.id: record for run in wanted if (record := drawing.store.record(run.id))}
    found = outcomes(spec, settings, records)
    published = _published(drawing, found)
    rows = list(dict.fromkeys(outcome.cell.row for outcome in found))
    columns = list(dict.fromkeys(outcome.cell.column for outcome in found))
    across = len(columns) if len(columns) <= ACROSS else 3
    left = 0.25 + 0.082 * max(len(said(spec, row)) for row in rows)
    width = (WIDTH - 2 * SIDE - left - (across - 1) * GAP) / max(across, 2)
    tall = HEADING + STEP * len(rows) + FOOT
    body = -(-len(columns) // across) * tall
    page_width = 2 * SIDE + left + across * width + (across - 1) * GAP
    page = Page(
        f"Table {spec.id}: {spec.title}", settings, body + 0.3 * bool(published), _notes(drawing, found), page_width
    )
    ends = [end for outcome in found if outcome.values for end in _bar(outcome)[1:]] + list(published.values())
    low, high = max(0.0, min(ends) - 3), min(100.0, max(ends) + 3)
    for place, column in enumerate(columns):
        x = SIDE + left + place % across * (width + GAP)
        y = place // across * tall + HEADING
        axes = page.axes(x, y, width, STEP * len(rows))
        page.text(x, page.top + y - 0.17, column, fontsize=min(11.5, 125 * width / len(column)), fontweight="bold")
        axes.set(xlim=(low, high), ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)))
        axes.set_yticklabels([said(spec, row) for row in rows] if not place % across else [], fontsize=11, color=INK)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=FAINT, linewidth=0.7)
        for line in range(len(rows)):
            axes.axhline(line, color="#f1f1f1", linewidth=0.7, zorder=0)
        if place // across == (len(columns) - 1) // across:
            axes.set_xlabel("accuracy, %", fontsize=11, color=INK)
        for outcome in found:
            if outcome.cell.column == column:
                row = rows.index(outcome.cell.row)
                _dot(axes, outcome, row)
                if (number := published.get((outcome.cell.row, column))) is not None:
                    axes.plot([number], [row], "D", markersize=8, markerfacecolor="none", markeredgecolor=INK, zorder=4)
    if published:
        _key(page, body)
    return {"dots": page.figure}


def _notes(drawing: Drawing, found: list[Outcome]) -> str:
    """How to read a dot; only what occurs is explained."""
    n = len(drawing.settings.seeds)
    notes = f"Mean of {n} seeds; a bar is one sample standard deviation." if n > 1 else "One seed: no spread is known."
    places = {(a.cell.row, b.cell.column) for a in found for b in found}
    if any(0 < len(outcome.values) < len(outcome.readings) for outcome in found):
        notes += " A small pale dot has fewer seeds."
    if len(places) > sum(bool(outcome.values) for outcome in found):
        notes += " A row without a dot was not measured, or is no cell of the table."
    return notes


def _published(drawing: Drawing, found: list[Outcome]) -> dict[tuple[str, str], float]:
    """The paper's numbers in percent by row and column; none beside stand-ins."""
    if drawing.settings.standin or not TABLES[drawing.table].paper:
        return {}
    table = paper(drawing.table)
    places = [(outcome.cell.row, outcome.cell.column) for outcome in found]
    numbers = {place: table.value(*place) for place in places if place in table.cells}
    return {place: number for place, number in numbers.items() if number is not None}


def _bar(outcome: Outcome) -> tuple[float, float, float]:
    """Mean of what was measured and the ends of its bar, percent."""
    percent = [100 * value for value in outcome.values]
    mean, spread = statistics.fmean(percent), statistics.stdev(percent) if len(percent) > 1 else 0.0
    return mean, mean - spread, mean + spread


def _dot(axes: Axes, outcome: Outcome, row: int) -> None:
    if not outcome.values or not outcome.cell.seeds:
        return
    style = look(name_of(outcome.cell.seeds[0]))
    mean, start, _ = _bar(outcome)
    whole = outcome.status == "ok"
    axes.errorbar(
        [mean], [row], xerr=[mean - start] if mean > start else None, color=style.color, marker=style.marker,
        markersize=8 * style.size * (1.0 if whole else 0.75), markeredgecolor="white", markeredgewidth=0.6,
        elinewidth=1.8, capsize=3, zorder=3, alpha=None if whole else 0.45,
    )  # fmt: skip


def _key(page: Page, y: float) -> None:
    measured = Line2D([], [], color=GREY, marker="o", linewidth=1.8, markersize=8, label="measured")
    printed = Line2D(
        [], [], linestyle="none", marker="D", markersize=8, color=INK, markerfacecolor="none", label="paper"
    )
    page.legend([measured, printed], y, 2)
