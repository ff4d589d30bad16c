"""From tables to runs: what has to be done, in which order, what tables share, and what it costs.

Nothing here starts anything or reads more than the records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from tabulate import tabulate

from benchmarks.durations import lasting
from benchmarks.planning.cost import cost
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.runs import Evaluate, Fuse, Pretrain, Run, closure, label
from benchmarks.tables import Cell, Skip, TableSpec

KINDS = ("pretrainings", "evaluations", "fusions")
_KIND = {Pretrain: KINDS[0], Evaluate: KINDS[1], Fuse: KINDS[2]}
COMBINATIONS = 8  # of tables, that are listed


@dataclass(frozen=True)
class Plan:
    """The cells of some tables under some settings, and all runs behind them."""

    settings: Settings
    tables: dict[str, list[Cell]]

    @classmethod
    def of(cls, specs: Iterable[TableSpec], settings: Settings) -> Plan:
        """The plan of these tables."""
        return cls(settings, {spec.id: list(spec.cells(settings)) for spec in specs})

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Every run once, parents before children, in the order of the tables."""
        wanted = (run for cells in self.tables.values() for cell in cells for run in cell.seeds)
        return {step.id: step for run in wanted for step in closure(run)}

    @cached_property
    def users(self) -> dict[str, list[str]]:
        """The tables that need each run."""
        users: dict[str, list[str]] = {}
        for table, cells in self.tables.items():
            ids = {step.id for cell in cells for run in cell.seeds for step in closure(run)}
            for run_id in ids:
                users.setdefault(run_id, []).append(table)
        return users

    def counts(self) -> dict[str, tuple[int, int]]:
        """Runs by kind: (if every cell had its own, shared)."""
        naive = Counter(
            _KIND[type(step)]
            for cells in self.tables.values()
            for cell in cells
            for run in cell.seeds
            for step in closure(run)
        )
        shared = Counter(_KIND[type(run)] for run in self.runs.values())
        return {kind: (naive[kind], shared[kind]) for kind in KINDS}

    def kinds(self) -> str:
        """How many runs of each kind: "1 pretraining, 2 evaluations"."""
        return _many({kind: shared for kind, (_, shared) in self.counts().items()}) or "no runs"

    def seconds(self, runs: Iterable[Run] | None = None) -> float:
        """What these runs, or all, cost on one core; see cost.py."""
        return sum(map(cost, self.runs.values() if runs is None else runs))

    def skips(self) -> dict[str, str]:
        """Cells without a run: "table row column" -> reason."""
        return {
            f"Table {table}, {cell.row}, {cell.column}": cell.runs.reason
            for table, cells in self.tables.items()
            for cell in cells
            if isinstance(cell.runs, Skip)
        }

    def never(self) -> list[str]:
        """Why cells have no run, a line for every reason: of a plan of whole tables, what no machine can measure."""
        return [f"n/a in {count} cells: {reason}" for reason, count in Counter(self.skips().values()).items()]

    def todo(self, store: Store, retry_failed: bool = False) -> list[Run]:
        """What to execute, in order: runs without a result, and those whose product one of them reads.

        Failed runs, and what depends on them, are left out unless they are to be tried again.
        """
        hopeless: set[str] = set()
        needed: dict[str, bool] = {}
        for run_id, run in self.runs.items():
            record = store.brief(run_id)
            failed = record is not None and record["status"] == "failed" and not retry_failed
            if failed or any(parent.id in hopeless for parent in run.parents):
                hopeless.add(run_id)
            needed[run_id] = record is None or record["status"] != "ok"
        for run_id in reversed(self.runs):
            if needed[run_id] and run_id not in hopeless:
                for parent in self.runs[run_id].parents:
                    needed[parent.id] = needed[parent.id] or not store.done(parent, product=True)
        return [run for run_id, run in self.runs.items() if needed[run_id] and run_id not in hopeless]

    def describe(self, others: Plan | None = None, every: bool = False) -> str:
        """For people: cells and runs by table, before and after sharing, what tables share, skips with reasons.

        others: a plan of further tables, of which is said which of these runs they need too. every: a line for each
        shared run, else one for each combination of tables.
        """
        lines = [self._by_table(), ""]
        common = {run_id: self.users[run_id] for run_id in self.runs if len(self.users[run_id]) > 1}
        if len(self.tables) > 1:
            lines += [f"{len(common)} runs serve more than one table:" if common else "No run serves two tables."]
            lines += self._shared(common, every)
        also = {run_id: others.users[run_id] for run_id in self.runs if others and run_id in others.users}
        if also:
            lines += [f"{len(also)} of these runs serve other tables too:", *self._shared(also, every)]
        return "\n".join([*lines, *self.never()])

    def _by_table(self) -> str:
        """A line for every table, what all cells would need alone, and what is needed as runs are shared."""
        lines: list[list[object]] = []
        for table, cells in self.tables.items():
            alone = Plan(self.settings, {table: cells})
            skipped = sum(isinstance(cell.runs, Skip) for cell in cells)
            kinds = (shared for _, shared in alone.counts().values())
            lines.append([table, len(cells), skipped or "", *kinds, lasting(alone.seconds())])
        counts = self.counts()
        cells, skipped = sum(map(len, self.tables.values())), len(self.skips())
        lines.append(["a run per cell", cells, skipped or "", *(naive for naive, _ in counts.values()), ""])
        lines.append(["shared", "", "", *(shared for _, shared in counts.values()), lasting(self.seconds())])
        headers = ["table", "cells", "n/a", "pretrain", "evaluate", "fuse", "one core"]
        aligned = ("left", *("right" for _ in headers[1:]))
        return tabulate(lines, headers, tablefmt="simple", disable_numparse=True, colalign=aligned)

    def _shared(self, users: dict[str, list[str]], every: bool) -> list[str]:
        """A line per combination of tables and what they share, the commonest first, or a line per run."""
        if every:
            return [f"  {run_id}  {_tables(tables)}  {label(self.runs[run_id])}" for run_id, tables in users.items()]
        together: dict[str, Counter[str]] = {}
        for run_id, tables in users.items():
            together.setdefault(_tables(tables), Counter())[_KIND[type(self.runs[run_id])]] += 1
        ordered = sorted(together.items(), key=lambda item: item[1].total(), reverse=True)
        lines = [
            f"  {tables}: {_many({kind: kinds[kind] for kind in KINDS})}" for tables, kinds in ordered[:COMBINATIONS]
        ]
        more = len(ordered) - len(lines)
        rest = f"  and {more} more combinations of tables; " if more else "  "
        return [*lines, f"{rest}--all has a line for every run"]


def _tables(names: list[str]) -> str:
    return f"{'tables' if len(names) > 1 else 'table'} {', '.join(names)}"


def _many(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind if count > 1 else kind[:-1]}" for kind, count in counts.items() if count)
