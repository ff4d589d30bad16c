"""`bench.py figure NAME`: does what the picture still needs, draws it from the records, says what is missing."""

from __future__ import annotations

import argparse
from collections import Counter
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import choices
from benchmarks.campaign import Campaign, find_run, root_of, scale_for
from benchmarks.choices import UsageError
from benchmarks.datasets import catalog
from benchmarks.exits import FAILED, MISSING, OK
from benchmarks.figures import FIGURES, Absent, Drawing, FigureSpec, style
from benchmarks.names import known
from benchmarks.pages.outcomes import last_line
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running.execute import Machine
from benchmarks.runs import Data, Fuse, Run, label
from benchmarks.tables import TABLES, Cell, TableSpec


def figure(arguments: argparse.Namespace, device: str, console: Console) -> int:
    """Draws one figure; OK when all that it shows was measured, MISSING when something is, FAILED when it has."""
    spec = FIGURES[arguments.figure]
    if arguments.table and not spec.table:
        raise UsageError(f"figure {spec.id} is of no table; --table is for {_those('table')}")
    if arguments.run_ids:
        return _of_two_runs(spec, arguments, console)
    table = known("table", arguments.table or spec.table, TABLES) if spec.table else ""
    campaign = _campaign(spec, table, arguments)
    if spec.folders and (reason := _no_data(campaign)):
        console.print(reason, markup=False)
        return MISSING
    campaign.check_data()
    if campaign.settings.standin and spec.needs:
        console.print(choices.banner(campaign.settings.scale), markup=False)
    if not arguments.no_run:
        left = partial(_todo, spec, campaign, arguments.retry_failed)
        if todo := left():
            console.print(f"{len(todo)} of {len(campaign.plan.runs)} runs to do.", markup=False)
            campaign.execute(left, arguments.jobs, Machine(str(campaign.data.resolve()), device), console)
    return _draw(spec, table, campaign, console)


def _those(attribute: str) -> str:
    return ", ".join(spec.id for spec in FIGURES.values() if getattr(spec, attribute))


def _campaign(spec: FigureSpec, table: str, arguments: argparse.Namespace) -> Campaign:
    """The runs of a figure as a table of their own, at the scale that was asked for.

    auto is full where full-size records lie already, or data from which they could be made; else demo.
    """
    settings = Settings(
        arguments.recipe, arguments.scale, tuple(range(arguments.seeds)), choices.overrides(arguments.set)
    )
    if arguments.scale == "auto":
        settings = settings.but(scale="full")
        wanted, store = spec.runs(settings, table), Store(arguments.out)
        if not any(store.done(run) for run in wanted):
            sets = tuple((data, "") for data in dict.fromkeys(_data(run).name for run in wanted))
            asked = TableSpec("figure", "", (), sets, lambda _: ())
            settings = settings.but(scale=scale_for([asked], arguments.data, settings))
    cells = [Cell(run.id, "", (run,)) for run in spec.runs(settings, table)]
    return Campaign([TableSpec("figure", spec.title, (), (), lambda _: cells)], settings, arguments.out, arguments.data)


def _data(run: Run) -> Data:
    return run.members[0].data if isinstance(run, Fuse) else run.data


def _no_data(campaign: Campaign) -> str | None:
    """Why the samples of a figure that reads them cannot be opened; None for stand-ins and prepared data."""
    places = {(_data(run).name, _data(run).frames) for run in campaign.whole.runs.values()}
    reasons = (catalog.prepared(*place, campaign.data) for place in places)
    return None if campaign.settings.standin else next(filter(None, reasons), None)


def _todo(spec: FigureSpec, campaign: Campaign, retry_failed: bool) -> list[Run]:
    """What is to do; for a figure that reads encoders, also pretrainings that came as records only."""
    todo = campaign.todo(retry_failed)
    if spec.folders:
        ids = {run.id for run in todo}
        for run in campaign.plan.runs.values():
            if campaign.store.done(run) and not campaign.store.done(run, product=True) and run.id not in ids:
                todo.append(run)
    return todo


def _draw(spec: FigureSpec, table: str, campaign: Campaign, console: Console) -> int:
    settings, store = campaign.settings, campaign.store
    wanted = spec.runs(settings, table)
    records = {run.id: store.record(run.id) for run in wanted}
    failed = [run for run in wanted if (record := records[run.id]) and record["status"] != "ok"]
    missing = [run for run in wanted if records[run.id] is None]
    for run in failed:
        console.print(f"{run.id} failed: {label(run)}: {last_line(records[run.id] or {})}", markup=False)
    if missing:
        console.print(f"{len(missing)} of {len(wanted)} runs behind this picture have no result:", markup=False)
        for run in missing[:5]:
            console.print(f"  {run.id}  {label(run)}", markup=False)
        if len(missing) > 5:
            console.print(f"  and {len(missing) - 5} more", markup=False)
        for reason, count in Counter(campaign.plan.skips().values()).items():
            console.print(f"{count} of them cannot be measured here: {reason}", markup=False)
    code = FAILED if failed else MISSING if missing else OK
    if wanted and len(failed) + len(missing) == len(wanted):
        return code
    out = campaign.out if spec.needs is None else store.root
    return _write(spec, Drawing(settings, table, store, campaign.data), out, console) or code


def _write(spec: FigureSpec, drawing: Drawing, root: Path, console: Console) -> int:
    try:
        with style.settings():
            drawn = spec.draw(drawing)
    except Absent as absent:
        console.print(str(absent), markup=False)
        return MISSING
    for name, picture in drawn.items():
        stem = spec.stem(name, drawing.settings, drawing.table) if not drawing.chosen else _stem(name, drawing.chosen)
        for path in style.save(picture, root / "figures", stem):
            console.print(choices.short(path), markup=False)
    return OK


def _stem(name: str, run_ids: tuple[str, ...]) -> str:
    return "-".join([name, *(run_id.rpartition("-")[2][:8] for run_id in run_ids)])


def _of_two_runs(spec: FigureSpec, arguments: argparse.Namespace, console: Console) -> int:
    """The per-class picture of two runs that were named."""
    if spec.id != "per-class":
        raise UsageError(f"figure {spec.id} takes no run ids; `bench.py figure per-class RUN_A RUN_B` compares two")
    if len(arguments.run_ids) != 2 or arguments.table:
        raise UsageError("figure per-class wants two run ids, or --table T; `bench.py status --table T` lists ids")
    found = [find_run(arguments.out, run_id) for run_id in arguments.run_ids]
    scales = [scale for scale, _ in found]
    if scales[0] != scales[1]:
        raise UsageError(f"one run is of scale {scales[0]} and the other of {scales[1]}; compare like with like")
    settings = Settings(arguments.recipe, scales[0])
    store = Store(root_of(arguments.out, scales[0]))
    chosen = tuple(run_id for _, run_id in found)
    return _write(spec, Drawing(settings, "", store, arguments.data, chosen), store.root, console)
