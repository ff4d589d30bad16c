"""What each subcommand does, and what it prints; running, figures, Slurm and doctor print what they do themselves."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from benchmarks import choices, recipes
from benchmarks.arguments import TABLES as NAMES
from benchmarks.campaign import Campaign, file_of, find_run, root_of, scale_for
from benchmarks.choices import UsageError
from benchmarks.datasets import catalog
from benchmarks.doctor.look import doctor
from benchmarks.durations import lasting
from benchmarks.exits import MISSING, OK
from benchmarks.machine import limits
from benchmarks.names import UnknownName, known
from benchmarks.pages.one import about
from benchmarks.pages.settings import render_settings, settings_tables
from benchmarks.pages.terminal import narrowed
from benchmarks.planning.cost import MACHINE
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.store import Store, StoreError, write_text
from benchmarks.running.execute import Machine
from benchmarks.running.progress import clip_bar
from benchmarks.runs import label
from benchmarks.slurm import forecast
from benchmarks.slurm.cluster import ClusterError, read
from benchmarks.slurm.submit import submit
from benchmarks.status import standing
from benchmarks.tables import TABLES, TableSpec
from methods.kernels import unsupported
from protocols.checkpoint import CheckpointError
from protocols.precision import cannot_compile

WRONG_WORDS = (UsageError, UnknownName, recipes.WrongSetting, ClusterError)
EXPECTED = (StoreError, CheckpointError, OSError, ValueError)  # errors that are sentences, not tracebacks

__all__ = ["EXPECTED", "WRONG_WORDS", "data", "doctor", "figure", "plan", "profile", "render", "run", "show", "status"]


def _wanted(arguments: argparse.Namespace) -> tuple[list[TableSpec], list[str]]:
    """Result tables and settings tables that were asked for."""
    if not arguments.table:
        one = ", or one run: --method M" if arguments.command == "run" else ""
        raise UsageError(f"which table? --table with some of {', '.join(NAMES)}, or all{one}")
    names = list(dict.fromkeys(arguments.table))
    if "all" in names:
        names = [*TABLES, *settings_tables()]
    return [TABLES[n] for n in names if n in TABLES], [n for n in names if n in settings_tables()]


def _campaign(arguments: argparse.Namespace, specs: list[TableSpec]) -> Campaign:
    overrides = choices.overrides(arguments.set, getattr(arguments, "method", None))
    choices.heeded(specs, overrides)
    settings = Settings(arguments.recipe, "full", tuple(range(arguments.seeds)), overrides)
    scale = scale_for(specs, arguments.data, settings) if arguments.scale == "auto" else arguments.scale
    return Campaign(specs, settings.but(scale=scale), arguments.out, arguments.data)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--device {name} cannot be used here: {reason}; auto takes what there is") from error
    return name


def _machine(arguments: argparse.Namespace, device: str) -> Machine:
    return Machine(
        str(arguments.data.resolve()), device, arguments.threads, arguments.kernel, arguments.amp, arguments.compile
    )


def run(arguments: argparse.Namespace) -> int:
    """Fills tables, or does one run."""
    console = _console()

    def say(line: str) -> None:
        console.print(line, markup=False)

    options = ("backbone", "dataset", "split", "stream", "protocol", "share", "on")
    single = [name for name in options if getattr(arguments, name) is not None]
    if arguments.method and arguments.table:
        raise UsageError("--method is for one run and --table for a whole table; give one of them")
    if single and not arguments.method:
        raise UsageError(f"--{single[0]} belongs to one run: add --method ...; a table is its recipe")
    if arguments.method:
        name = known("data set", arguments.dataset or "ntu60", catalog.DATASETS)
        spec = TableSpec("one", "", (), ((name, ""),), lambda settings: choices.single(arguments, settings, name))
        specs = [spec]
    else:
        specs, fixed = _wanted(arguments)
        for name in fixed:
            console.print(render_settings(name), markup=False)
        if not specs:
            return OK
    campaign = _campaign(arguments, specs)
    campaign.check_data()
    todo = campaign.todo(arguments.retry_failed)
    if campaign.settings.standin:
        say(choices.banner(campaign.settings.scale))
        if arguments.scale == "auto":
            say(choices.unprepared(specs, arguments.data))
    say(f"{campaign.plan.kinds()}; {len(todo)} of {len(campaign.plan.runs)} runs to do.")
    for line in (*campaign.whole.never(), *campaign.impossible(), *campaign.of_other_code()):
        say(line)
    if again := sum(campaign.store.done(run_) for run_ in todo):
        say(f"{again} of them were done before, but their encoders or scores are not here: done again, records stay.")
    if arguments.slurm:
        if arguments.jobs or arguments.device != "auto" or arguments.threads != 1:
            raise UsageError(
                f"--jobs, --device and --threads are for this machine; {arguments.slurm} says what jobs ask for"
            )
        queued = submit(
            campaign, read(arguments.slurm), _machine(arguments, "cpu"),
            retry_failed=arguments.retry_failed, dry_run=arguments.dry_run, say=say,
        )  # fmt: skip
        if arguments.dry_run:
            say("Nothing was submitted.")
            return OK
        if queued:
            say(choices.watch(arguments, queued))
            return OK
        todo = []
    if arguments.dry_run:
        for run_ in todo:
            console.print(f"{run_.id}  {label(run_)}", markup=False)
        return OK
    if todo:
        device = _device(arguments.device)
        if arguments.kernel == "triton" and (reason := unsupported(torch.device(device), torch.float32)):
            raise UsageError(f"--kernel triton cannot be used here: {reason}; auto takes what can be used")
        if arguments.compile and (reason := cannot_compile(torch.device(device))):
            raise UsageError(f"--compile cannot be used here: {reason}")
        campaign.execute(
            partial(campaign.todo, arguments.retry_failed), arguments.jobs, _machine(arguments, device), console
        )
    if arguments.method:
        campaign.tidy()
        for run_ in campaign.plan.runs.values():
            record = campaign.store.record(run_.id)
            path = campaign.store.records / f"{run_.id}.json"
            say("\n".join(about(record, path, brief=True)) if record else f"{run_.id}: no record yet")
    else:
        tables, kept = campaign.tables(), campaign.kept()
        written = campaign.write(tables) if campaign.plan.runs else {}
        for path, text in tables.items():
            shown = text.partition("<details>")[0].rstrip()  # the list of run ids is for the file
            other = "stays as it is" if path.exists() else "is not written: nothing is there"
            name = choices.short(path)
            where = f"Written to {name}" if path in written else f"{name} {kept.get(path, other)}"
            say(f"\n{narrowed(shown, console.width) if console.is_terminal else shown}\n\n{where}")
    for line in campaign.failed():
        say(line)
    return campaign.exit_code()


def plan(arguments: argparse.Namespace) -> int:
    """Prints what would run, and with --gpus how long it would take."""
    forecast.check(arguments)
    campaign = _campaign(arguments, _wanted(arguments)[0])
    print(f"{campaign.settings.title}\n")
    others = [spec for name, spec in TABLES.items() if name not in campaign.whole.tables]
    print(campaign.whole.describe(Plan.of(others, campaign.settings), arguments.all))
    todo, cores = campaign.todo(), limits.cores()
    done = sum(campaign.store.done(run_) for run_ in campaign.whole.runs.values())
    lost = len(campaign.whole.runs.keys() - campaign.plan.runs.keys())
    print(f"\n{len(campaign.whole.runs)} runs: {done} done, {len(todo)} to do, {lost} that cannot be done here.")
    for what, seconds in (("All runs", campaign.whole.seconds()), ("Those to do", campaign.plan.seconds(todo))):
        print(f"{what}: about {lasting(seconds)} of one core, {lasting(seconds / cores)} on {cores} like {MACHINE}.")
    print("\n".join([*campaign.impossible(), *forecast.forecast(arguments, campaign)]))
    return OK


def status(arguments: argparse.Namespace) -> int:
    """Prints how far the runs of a table are."""
    campaign = _campaign(arguments, _wanted(arguments)[0])
    print(f"{campaign.settings.title}\n")
    *lines, together = standing(campaign).lines(arguments.all)
    print("\n".join([*lines, *campaign.whole.never(), *campaign.impossible(), *campaign.failed(), together]))
    return campaign.exit_code()


def show(arguments: argparse.Namespace) -> int:
    """Prints one run: spec, metrics, environment."""
    scale, run_id = find_run(arguments.out, arguments.run_id)
    store = Store(root_of(arguments.out, scale))
    if record := store.record(run_id):
        print("\n".join(about(record, store.records / f"{run_id}.json", brief=False)))
    else:
        print(f"{run_id}: no record yet\n{json.dumps(store.read_spec(run_id).spec(), indent=1)}")
    return OK


def render(arguments: argparse.Namespace) -> int:
    """Writes, or checks, tables and the results folder's README from the records."""
    specs, fixed = _wanted(arguments)
    campaign = _campaign(arguments, specs)
    campaign.check_data()
    root, as_published = campaign.store.root, Settings()  # the tables of settings show what recipe paper says
    texts = campaign.tables() | {file_of(root, name, as_published): render_settings(name) for name in fixed}
    texts |= campaign.index(texts)
    kept = campaign.kept()
    if arguments.check:
        stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
        for path in stale:
            what = f"{choices.short(path)} is not what the records say for {campaign.settings.options}"
            print(f"{what}; {'ask' if path in kept else 'render it again, or ask'} for what it shows")
        return MISSING if stale else OK
    for path, text in texts.items():
        if path not in kept:
            write_text(path, text)
        print(choices.short(path) + (f" {kept[path]}" if path in kept else ""))
    return OK


def figure(arguments: argparse.Namespace) -> int:
    """Does what a picture still needs, and draws it."""
    from benchmarks import drawing  # brings matplotlib

    return drawing.figure(arguments, _device(arguments.device), _console())


def data(arguments: argparse.Namespace) -> int:
    """Lists, prepares or checks data sets."""
    if arguments.action == "list":
        from benchmarks.datasets.check import overview

        print(overview(arguments.data))
        return OK
    if not arguments.name:
        raise UsageError(f"which data set? {', '.join(catalog.DATASETS)}")
    name = known("data set", arguments.name, catalog.DATASETS)
    lengths = arguments.frames or recipes.frames_of(Settings(arguments.recipe), name)
    if arguments.action == "check":
        found = [_check(name, frames, arguments.data) for frames in lengths]
        return OK if all(found) else MISSING
    if not arguments.raw:
        raise UsageError(f"where are the downloaded files? bench.py data prepare {name} --raw PATH")
    from benchmarks.datasets.prepare import prepare

    given = {option: getattr(arguments, option) for option in ("bodies", "missing_list", "names", "frame_base")}
    options = {option: value for option, value in given.items() if value is not None}
    console = _console()
    good = True
    for frames in lengths:
        with clip_bar(console, f"{name} at {frames} frames") as watch:
            prepare(
                name, arguments.raw, arguments.data, frames, strict=arguments.strict, partial=arguments.partial,
                jobs=arguments.jobs, say=lambda line: console.print(line, markup=False), watch=watch, **options,
            )  # fmt: skip
        good &= _check(name, frames, arguments.data, arguments.partial)
    return OK if good else MISSING


def _check(name: str, frames: int, folder: Path, partial: bool = False) -> bool:
    """Prints the report about one prepared data set and draws a few of its clips beside it.

    Returns whether it is what it should be; of a part of a data set the counts do not matter.
    """
    from benchmarks.datasets.check import check
    from benchmarks.figures import skeletons, style

    report = check(name, frames, folder)
    print(report)
    picture = skeletons.draw(skeletons.recorded_page(name, frames, folder))
    try:
        where = choices.short(style.save(picture, folder / "figures", f"{name}-{frames}")[0])
    except OSError as error:  # data that one may only read can be checked all the same
        where = f"none: {error}"
    print(f"  picture: {where}")
    return report.sound and (report.whole or partial)


def profile(arguments: argparse.Namespace) -> int:
    """Measures how fast a part is, and writes a table, or two, named after this machine."""
    from benchmarks.throughput import kernel_page
    from benchmarks.throughput.registry import check, measure

    check(arguments)
    if arguments.compare:
        print(kernel_page.compare(*arguments.compare))
        return OK
    for path in measure(arguments, _device(arguments.device), print):
        print(f"\n{path.read_text()}\nWritten to {choices.short(path)}")
    return OK
