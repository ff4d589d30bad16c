"""What each subcommand of bench.py does. Printing happens here; everything below returns values."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from benchmarks import choices, recipes, runs
from benchmarks.choices import UsageError
from benchmarks.datasets import catalog
from benchmarks.execute import Machine
from benchmarks.local import run_all
from benchmarks.plan import Plan
from benchmarks.progress import Reporter, clock
from benchmarks.recipes import Settings
from benchmarks.render import render_table
from benchmarks.runs import Run, label
from benchmarks.store import Store, StoreError
from benchmarks.tables import TABLES, Skip, TableSpec
from benchmarks.tables.settings import render_settings, settings_tables

EXPECTED = (StoreError, FileNotFoundError, ValueError)  # errors that are sentences, not tracebacks

__all__ = ["EXPECTED", "UsageError", "data", "doctor", "figure", "plan", "render", "run", "show", "status"]


def _root(arguments: argparse.Namespace, settings: Settings) -> Path:
    return arguments.out if settings.scale == "full" else arguments.out / settings.scale


def _wanted(arguments: argparse.Namespace) -> tuple[list[TableSpec], list[str]]:
    """Result tables and settings tables that were asked for."""
    if not arguments.table:
        raise UsageError(f"which table? --table {' '.join(TABLES)} or all")
    names = list(dict.fromkeys(arguments.table))
    if "all" in names:
        names = [*TABLES, *settings_tables()]
    return [TABLES[n] for n in names if n in TABLES], [n for n in names if n in settings_tables()]


def _settings(arguments: argparse.Namespace, specs: list[TableSpec], **more: object) -> Settings:
    """Settings with the scale decided: auto is full when any data set of the tables is prepared, else demo."""
    settings = Settings(arguments.recipe, "full", tuple(range(arguments.seeds)), **more)  # pyright: ignore[reportArgumentType]
    scale = arguments.scale
    if scale == "auto":
        ready = any(
            not _unprepared(settings, name, arguments.data) for spec in specs for name, _ in spec.data
        )
        scale = "full" if ready else "demo"
    return replace(settings, scale=scale)


def _unprepared(settings: Settings, name: str, data: Path) -> str | None:
    frames = recipes.resolve(settings, "skeletonclr", name, "joint").frames
    return catalog.prepared(name, frames, data)


def _plan(arguments: argparse.Namespace, specs: list[TableSpec], settings: Settings) -> Plan:
    """The plan; at full scale, cells whose data are not prepared become n/a with the command that prepares them."""
    whole = Plan.of(specs, settings)
    if settings.scale != "full":
        return whole
    reasons: dict[tuple[str, int], str | None] = {}
    store = Store(_root(arguments, settings))

    def reason(run: Run) -> str | None:
        if store.done(run):
            return None
        if isinstance(run, runs.Fuse):
            return next((r for member in run.members if (r := reason(member))), None)
        key = (run.data.name, run.data.frames)
        if key not in reasons:
            reasons[key] = catalog.prepared(*key, arguments.data)
        return reasons[key]

    tables = {
        table: [
            cell
            if isinstance(cell.runs, Skip)
            or not (why := next((r for x in cell.runs if (r := reason(x))), None))
            else replace(cell, runs=Skip(why))
            for cell in cells
        ]
        for table, cells in whole.tables.items()
    }
    return Plan(settings, tables)


def _file(root: Path, name: str, settings: Settings) -> Path:
    suffix = "" if settings.recipe == "paper" else f"-{settings.recipe}"
    return root / "tables" / f"table-{name}{suffix}.md"


def _render(spec: TableSpec, plan_: Plan, store: Store, root: Path) -> tuple[Path, str]:
    settings = plan_.settings
    records = {run_id: record for run_id in plan_.runs if (record := store.record(run_id))}
    cells = plan_.tables[spec.id]
    text = render_table(replace(spec, cells=lambda _: cells), settings, records)
    return _file(root, spec.id, settings), text


def _exit_code(plan_: Plan, store: Store) -> int:
    """4 when a run of a cell failed, else 3 when a cell is missing, else 0."""
    records = [store.record(run.id) for cells in plan_.tables.values() for cell in cells
               if not isinstance(cell.runs, Skip) for run in cell.runs]  # fmt: skip
    if any(record and record["status"] == "failed" for record in map(store.record, plan_.runs)):
        return 4
    return 3 if plan_.skips() or any(record is None for record in records) else 0


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {name} cannot be used here: {str(error).splitlines()[0]}") from error
    return name


def _execute(arguments: argparse.Namespace, todo: list[Run], store: Store, console: Console) -> None:
    jobs = arguments.jobs or (os.cpu_count() or 1)
    store.prepare()
    Machine(str(arguments.data.resolve()), _device(arguments.device)).save(store.root)
    for run_ in todo:
        store.write_spec(run_)
    with Reporter(todo, store, jobs, console) as watcher:
        outcome = run_all(todo, str(store.root), min(jobs, len(todo)), watcher)
    ended = Counter(status.partition(":")[0] for status in outcome.statuses.values())
    console.print(", ".join(f"{count} {status}" for status, count in sorted(ended.items())), markup=False)


def run(arguments: argparse.Namespace) -> int:
    """Fills tables, or does one run."""
    console = _console()
    if arguments.method:
        return _one(arguments, console)
    specs, fixed = _wanted(arguments)
    for name in fixed:
        console.print(render_settings(name), markup=False)
    if not specs:
        return 0
    settings = _settings(arguments, specs, overrides=choices.overrides(arguments.set))
    root = _root(arguments, settings)
    store = Store(root)
    plan_ = _plan(arguments, specs, settings)
    todo = plan_.todo(store, arguments.retry_failed)
    if settings.standin:
        console.print(choices.banner(settings.scale), markup=False)
    counts = ", ".join(f"{shared} {kind}" for kind, (_, shared) in plan_.counts().items())
    console.print(f"{counts}; {len(todo)} of {len(plan_.runs)} runs to do.", markup=False)
    if arguments.dry_run:
        for run_ in todo:
            console.print(f"{run_.id}  {label(run_)}", markup=False)
        return 0
    if todo:
        _execute(arguments, todo, store, console)
    for spec in specs:
        path, text = _render(spec, plan_, store, root)
        choices.write_text(path, text)
        console.print(f"\n{text}\nWritten to {choices.short(path)}", markup=False)
    return _exit_code(plan_, store)


def _one(arguments: argparse.Namespace, console: Console) -> int:
    name = arguments.dataset or "ntu60"
    spec = TableSpec("one", "", (), ((choices.known("data set", name, catalog.DATASETS), ""),), lambda _: ())
    settings = _settings(arguments, [spec], overrides=choices.overrides(arguments.set, arguments.method))
    wanted = choices.single(arguments, settings, name)
    store = Store(_root(arguments, settings))
    plan_ = _plan(arguments, [replace(spec, cells=lambda _: wanted)], settings)
    for reason in plan_.skips().values():
        console.print(f"n/a: {reason}", markup=False)
    if arguments.dry_run:
        for run_ in plan_.todo(store):
            console.print(f"{run_.id}  {label(run_)}", markup=False)
        return 0
    if todo := plan_.todo(store, arguments.retry_failed):
        _execute(arguments, todo, store, console)
    for run_ in plan_.runs.values():
        _show(store, run_.id, console, brief=True)
    return _exit_code(plan_, store)


def plan(arguments: argparse.Namespace) -> int:
    """Prints what would run."""
    specs, _ = _wanted(arguments)
    settings = _settings(arguments, specs)
    plan_ = _plan(arguments, specs, settings)
    todo = plan_.todo(Store(_root(arguments, settings)))
    print(f"recipe {settings.recipe}, scale {settings.scale}, {len(settings.seeds)} seed(s)\n")
    print(plan_.describe())
    print(f"\n{len(todo)} of {len(plan_.runs)} runs are still to do.")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Prints how far the runs of a table are."""
    specs, _ = _wanted(arguments)
    settings = _settings(arguments, specs)
    store = Store(_root(arguments, settings))
    plan_ = _plan(arguments, specs, settings)
    counts: Counter[str] = Counter()
    for run_id, run_ in plan_.runs.items():
        record = store.record(run_id)
        if record and record["status"] == "ok":
            counts["done"] += 1
        elif owner := store.claimed(run_id):
            counts["running"] += 1
            print(f"running  {run_id}  {label(run_)}  by {owner}")
        elif record:
            counts["failed"] += 1
            print(f"failed   {run_id}  {label(run_)}  {record['error'].splitlines()[-1]}")
        else:
            counts["missing"] += 1
    print(", ".join(f"{counts[key]} {key}" for key in ("done", "running", "failed", "missing")))
    return _exit_code(plan_, store)


def show(arguments: argparse.Namespace) -> int:
    """Prints one run: spec, metrics, environment."""
    for scale in ("full", "demo", "smoke"):
        store = Store(arguments.out if scale == "full" else arguments.out / scale)
        found = sorted({p.stem for p in store.records.glob(f"{arguments.run_id}*.json")}
                       | {p.name for p in store.runs.glob(f"{arguments.run_id}*")})  # fmt: skip
        if len(found) > 1:
            raise UsageError(f"{arguments.run_id} could be any of {', '.join(found[:5])}")
        if found:
            _show(store, found[0], _console(), brief=False)
            return 0
    raise UsageError(f"no run {arguments.run_id} in {arguments.out}; `bench.py status --table T` lists runs")


def _show(store: Store, run_id: str, console: Console, brief: bool) -> None:
    record = store.record(run_id)
    if record is None:
        console.print(f"{run_id}: no record yet", markup=False)
        if not brief:
            console.print(json.dumps(store.read_spec(run_id).spec(), indent=1), markup=False)
        return
    console.print(
        f"{run_id}  {record['label']}  {record['status']}  {clock(record['seconds'])}", markup=False
    )
    if record["status"] == "failed":
        console.print("  " + record["error"], markup=False)
    for name, value in record.get("metrics", {}).items():
        console.print(f"  {name:12} {value:.4f}", markup=False)
    if not brief:
        for key in ("parents", "environment", "code", "spec"):
            console.print(f"{key}: {json.dumps(record[key], indent=1, ensure_ascii=False)}", markup=False)


def render(arguments: argparse.Namespace) -> int:
    """Writes, or checks, tables from the records."""
    specs, fixed = _wanted(arguments)
    settings = _settings(arguments, specs)
    root = _root(arguments, settings)
    store = Store(root)
    plan_ = _plan(arguments, specs, settings)
    texts = [_render(spec, plan_, store, root) for spec in specs]
    texts += [(_file(root, name, settings), render_settings(name)) for name in fixed]
    stale = [path for path, text in texts if not path.exists() or path.read_text() != text]
    if arguments.check:
        for path in stale:
            print(f"{choices.short(path)} is not what the records say; render it again")
        return 3 if stale else 0
    for path, text in texts:
        choices.write_text(path, text)
        print(choices.short(path))
    return 0


def figure(arguments: argparse.Namespace) -> int:
    """Draws a picture."""
    from benchmarks import figures

    settings = Settings(scale="demo" if arguments.scale == "auto" else arguments.scale)
    for path in figures.skeletons(_root(arguments, settings) / "figures"):
        print(choices.short(path))
    return 0


def data(arguments: argparse.Namespace) -> int:
    """Lists, prepares or checks data sets."""
    from benchmarks.datasets import prepare

    settings = Settings()
    if arguments.action == "list":
        for name, entry in catalog.DATASETS.items():
            state = _unprepared(settings, name, arguments.data) or "prepared"
            print(
                f"{name:8} {entry.title:16} {entry.classes:4} classes  {', '.join(entry.splits):22} {state}"
            )
        return 0
    if not arguments.name:
        raise UsageError(f"which data set? {', '.join(catalog.DATASETS)}")
    name = choices.known("data set", arguments.name, catalog.DATASETS)
    frames = arguments.frames or recipes.resolve(settings, "skeletonclr", name, "joint").frames
    if arguments.action == "check":
        print(prepare.check(name, frames, arguments.data))
        return 0
    if not arguments.raw:
        raise UsageError(f"where are the downloaded files? bench.py data prepare {name} --raw DIR")
    options = {"skip_bad": arguments.skip_bad, "partial": arguments.partial}
    prepare.prepare(name, arguments.raw, arguments.data, frames, say=print, **options)
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Checks what a run needs, says what is wrong and how to mend it."""
    import numpy
    import pandas
    import safetensors

    print(f"python {platform.python_version()}, torch {torch.__version__}, numpy {numpy.__version__}, "
          f"pandas {pandas.__version__}, safetensors {safetensors.__version__}")  # fmt: skip
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads in this process")
    print(f"cuda: {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none, runs use the CPU'}")
    good = sys.version_info >= (3, 11)
    try:
        Store(arguments.out).prepare()
        print(f"results: {arguments.out} can be written")
    except StoreError as error:
        good = False
        print(f"results: {error}")
    for name in catalog.DATASETS:
        print(f"{name}: {_unprepared(Settings(), name, arguments.data) or 'prepared'}")
    print("all well" if good else "see above")
    return 0 if good else 4
