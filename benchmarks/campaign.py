"""Tables, settings and a results folder, put together: what is to do, do it, render it, how it ended.

`run`, `plan`, `status` and `render` all ask the same object, so that they cannot disagree.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks import recipes
from benchmarks.datasets import catalog, presence
from benchmarks.datasets import store as prepared
from benchmarks.durations import clock
from benchmarks.exits import FAILED, MISSING, OK
from benchmarks.machine import limits
from benchmarks.names import UnknownName
from benchmarks.pages.index import Picture, render_index
from benchmarks.pages.outcomes import Records, summary
from benchmarks.pages.render import render_table
from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.overview import Overview
from benchmarks.records.provenance import code
from benchmarks.records.store import Store, StoreError, write_text
from benchmarks.running.execute import Machine
from benchmarks.running.local import DAMAGED, devices_of, run_all
from benchmarks.running.progress import Reporter
from benchmarks.runs import Fuse, Run
from benchmarks.tables import Cell, Skip, TableSpec

ROUNDS = 5  # a fusion may meet damaged scores, then a damaged encoder, then a damaged checkpoint


def scale_for(specs: Sequence[TableSpec], data: Path, settings: Settings) -> str:
    """What --scale auto means: full when any data set of the tables is prepared, or none is needed; else demo.

    settings: whose recipe and --set say at how many frames.
    """
    whole = settings.but(scale="full")
    places = {(name, frames) for spec in specs for name, _ in spec.data for frames in recipes.frames_of(whole, name)}
    return "full" if not places or any(catalog.prepared(*place, data) is None for place in places) else "demo"


def root_of(out: Path, scale: str) -> Path:
    """Results of stand-ins live in a folder of their own."""
    return out if scale == "full" else out / scale


def find_run(out: Path, beginning: str) -> tuple[str, str]:
    """Scale and id of the one run below `out` whose id begins so; the full scale is looked at first.

    Raises:
        UnknownName: when there is none, or more than one.
    """
    for scale in recipes.SCALES[::-1]:
        store = Store(root_of(out, scale))
        present = {path.stem for path in store.records.glob("*.json")} | {path.name for path in store.runs.glob("*-*")}
        found = sorted(run_id for run_id in present if run_id.startswith(beginning))
        if len(found) > 1:
            more = f" and {len(found) - 5} more" * (len(found) > 5)
            raise UnknownName(f"{beginning} could be any of {', '.join(found[:5])}{more}")
        if found:
            return scale, found[0]
    raise UnknownName(f"no run {beginning} in {out}; `bench.py run --table T --dry-run` lists ids")


def file_of(root: Path, table: str, settings: Settings) -> Path:
    """Where a rendered table lies; what --set changed is in the name, so that it never replaces the real one.

    Seeds are not in the name: see Campaign.kept.
    """
    return root / "tables" / f"table-{'-'.join([table, *settings.words])}.md"


def _pictures(settings: Settings, records: Records) -> list[Picture]:
    """Every figure with the number of runs behind it and of those that have a result."""
    from benchmarks.figures import FIGURES  # brings matplotlib, which only this page and the figures need

    def done(run: Run) -> bool:
        return records.get(run.id, {}).get("status") == "ok"

    wanted = {spec.id: spec.runs(settings) for spec in FIGURES.values()}
    return [
        Picture(spec.title, spec.about, spec.stems(settings), len(wanted[spec.id]), sum(map(done, wanted[spec.id])))
        for spec in FIGURES.values()
    ]


@dataclass
class Campaign:
    """Some tables under some settings, below one results folder."""

    specs: Sequence[TableSpec]
    settings: Settings
    out: Path
    data: Path

    @cached_property
    def store(self) -> Overview:
        """Records and run folders."""
        return Overview(root_of(self.out, self.settings.scale))

    @cached_property
    def whole(self) -> Plan:
        """Every cell, whether or not its data are here."""
        return Plan.of(self.specs, self.settings)

    @cached_property
    def plan(self) -> Plan:
        """What can run here: at full scale, cells whose data are not prepared are n/a, with the reason."""
        if self.settings.scale != "full":
            return self.whole
        tables = self.whole.tables.items()
        return Plan(self.settings, {table: [self._possible(cell) for cell in cells] for table, cells in tables})

    def _possible(self, cell: Cell) -> Cell:
        reason = next((reason for run in cell.seeds if (reason := self._impossible(run))), None)
        return replace(cell, runs=Skip(reason)) if reason else cell

    def _impossible(self, run: Run, product: bool = False) -> str | None:
        """Why a run, or a parent whose product it reads, cannot be done here."""
        if self.store.done(run, product):  # a result that came with the repository needs no data
            return None
        if reason := next((reason for parent in run.parents if (reason := self._impossible(parent, True))), None):
            return reason
        if isinstance(run, Fuse):
            return None
        data = run.data
        key = (data.name, data.split, data.frames)
        if key not in self._reasons:
            reason = catalog.prepared(data.name, data.frames, self.data)
            self._reasons[key] = reason or presence.uncut(*key, self.data)
        return self._reasons[key]

    @cached_property
    def _reasons(self) -> dict[tuple[str, str, int], str | None]:
        return {}

    def impossible(self) -> list[str]:
        """Why cells have no run here, a line for every reason; not those that have none anywhere, see Plan.never."""
        reasons = Counter(self.plan.skips().values()) - Counter(self.whole.skips().values())
        return [f"{count} cells cannot be measured here: {reason}" for reason, count in reasons.items()]

    def of_other_code(self) -> list[str]:
        """That results are of other sources, where these are being changed; nothing in a clean checkout."""
        briefs = self.store.briefs(self.plan.runs).values() if code()["dirty"] else ()
        others = sum(brief.get("code", {}).get("sources") != code()["sources"] for brief in briefs)
        advice = "where a change alters numbers, raise the REVISION of what it is in, and its runs are done again"
        return [f"{others} results here are of other code than this, which is being changed: {advice}."] * bool(others)

    def failed(self) -> list[str]:
        """What to do about runs that failed; nothing where none has."""
        for run_id in self.plan.runs:
            if (self.store.brief(run_id) or {}).get("status") == "failed":
                show = f"`bench.py {shlex.join(['show', run_id, '--out', str(self.out)])}` says what it was"
                return [f"Failed runs are left alone: --retry-failed tries them again, {show}."]
        return []

    def check_data(self) -> None:
        """Records of one data set must have been measured on the same prepared files, and on those that lie here.

        Raises:
            StoreError: when they were not; numbers from different data must not stand in one table.
        """
        seen: dict[tuple[str, int], dict[str, str]] = {}  # data set and frames -> checksum of x.npy -> a run
        for run_id, run in self.whole.runs.items():
            record = self.store.brief(run_id)
            if record and record.get("data") and not isinstance(run, Fuse):
                checksum = record["data"]["sha256"]["x.npy"]
                seen.setdefault((run.data.name, run.data.frames), {}).setdefault(checksum, run_id)
        for (name, frames), checksums in seen.items():
            if len(checksums) > 1:
                raise StoreError(
                    f"{' and '.join(checksums.values())} were measured on different files of {name} at {frames} "
                    f"frames; move the records of one of them out of {self.store.records}"
                )
            if catalog.prepared(name, frames, self.data) is None:
                manifest = prepared.read_manifest(prepared.folder_of(self.data, name, frames))
                if manifest["sha256"]["x.npy"] not in checksums:
                    raise StoreError(
                        f"the prepared {name} at {frames} frames in {self.data} is not the one that the records in "
                        f"{self.store.records} were measured on; prepare the same files, or use another --out DIR"
                    )

    def todo(self, retry_failed: bool = False) -> list[Run]:
        """What is left to execute, parents first."""
        return self.plan.todo(self.store, retry_failed)

    def execute(self, left: Callable[[], list[Run]], jobs: int | None, machine: Machine, console: Console) -> None:
        """Executes the runs that are `left` on this machine and says how they ended. Device "cuda" means every GPU.

        Without `jobs` the workers' threads together are as many as the cores that may be used. A file that turns out to
        be damaged is set aside by whoever reads it; then the run that makes it is left again, and so it is done. What
        fails here is not tried in a later round.
        """
        devices = devices_of(machine.device, torch.cuda.device_count())
        on_gpu = machine.device.startswith("cuda")
        by_default = len(devices) if on_gpu else max(1, limits.cores() // machine.threads)
        self.store.prepare()
        todo, failed = left(), set[str]()
        for _ in range(ROUNDS):
            for run in todo:
                self.store.write_spec(run)
            with Reporter(todo, self.store, console) as watcher:
                workers = min(jobs or by_default, len(todo))
                statuses = run_all(todo, str(self.store.root), machine, workers, watcher, devices)
            ended = Counter(status.partition(":")[0] for status in statuses.values())
            counts = ", ".join(f"{count} {status}" for status, count in sorted(ended.items()))
            console.print(f"{counts} in {clock(watcher.elapsed)}", markup=False)
            if not ended[DAMAGED]:
                return
            failed |= {run_id for run_id, status in statuses.items() if status == "failed"}
            todo = [run for run in left() if run.id not in failed]
            console.print(f"Damaged files are made anew: {len(todo)} runs to do.", markup=False)

    def _records(self) -> dict[str, dict[str, Any]]:
        return self.store.briefs(self.whole.runs)

    def tables(self) -> dict[Path, str]:
        """Every table as markdown, by the file it belongs in: a function of the records, not of this machine."""
        records = self._records()
        return {
            file_of(self.store.root, spec.id, self.settings): render_table(spec, self.settings, records)
            for spec in self.specs
        }

    def index(self, writing: Iterable[Path] = ()) -> dict[Path, str]:
        """README.md of the results folder, by its file.

        It depends on the folder alone, not on the tables, seeds and recipe that were asked for: all tables, every seed
        that has a record. `writing`: files that are written along with it, to be linked like those that are there.
        A simulated schedule (`plan --gpus`) is no result.
        """
        root, records = self.store.root, self.store.briefs()
        seeds = {record["seed"] for record in records.values() if "seed" in record} or {0}
        there = [path for folder in ("tables", "figures", "throughput") for path in (root / folder).glob("*")]
        files = {
            path.relative_to(root).as_posix() for path in (*there, *writing) if not path.match("figures/schedule-*")
        }
        settings = self.settings.but(recipe="paper", seeds=tuple(sorted(seeds)), overrides=())
        return {root / "README.md": render_index(settings, records, files, _pictures(settings, records))}

    def kept(self) -> dict[Path, str]:
        """Pages that stay as they are, and why: they show more seeds than were asked for, some of them measured."""
        found = {}
        for spec in self.specs:
            path = file_of(self.store.root, spec.id, self.settings)
            text = path.read_text(errors="replace") if path.exists() else ""
            shown = re.search(r"^python bench\.py render .* --seeds (\d{1,4})\b", text, re.MULTILINE)
            seeds, asked = int(shown[1]) if shown else 0, len(self.settings.seeds)
            if seeds <= asked:
                continue
            further = Plan.of([spec], self.settings.but(seeds=tuple(range(asked, seeds)))).runs
            if any(self.store.done(run) for run_id, run in further.items() if run_id not in self.whole.runs):
                found[path] = (
                    f"shows {seeds} seeds and stays as it is: --seeds {seeds} writes it; to have {asked} there, remove "
                    "it first"
                )
        return found

    def write(self, tables: dict[Path, str] | None = None) -> dict[Path, str]:
        """Writes the tables, rendered already or not, and the page of the results folder; tidies up as well.

        Returns what was written of the tables: all but those that are `kept`.
        """
        kept = self.kept()
        written = {path: text for path, text in (tables or self.tables()).items() if path not in kept}
        for texts in (written, self.index(written)):
            for path, text in texts.items():
                write_text(path, text)
        self.tidy()
        return written

    def tidy(self) -> None:
        """Removes what killed processes left of these runs."""
        self.store.tidy(self.whole.runs)

    def exit_code(self) -> int:
        """FAILED when a cell has, else MISSING when one is, else OK: what the rendered tables say.

        What is n/a on any machine is not missing, unless a table has nothing else.
        """
        records = self._records()
        found = [summary(spec, self.settings, records) for spec in self.specs]
        if any(cells.failed for cells in found):
            return FAILED
        return MISSING if any(cells.missing or not cells.ok for cells in found) else OK
