"""From tables to runs: what has to be done, in which order, what tables share, and what it costs.

Nothing here starts anything or reads more than the records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from benchmarks.planning.cost import cost
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.runs import Evaluate, Fuse, Pretrain, Run, closure, label
from benchmarks.tables import Cell, Skip, TableSpec

KINDS = ("pretrainings", "evaluations", "fusions")
_KIND = {Pretrain: KINDS[0], Evaluate: KINDS[1], Fuse: KINDS[2]}
LISTED = 150  # shared runs that are listed one by one


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

    def describe(self, others: Plan | None = None) -> str:
        """For people: cells, runs before and after sharing, what is shared between tables, skips with reasons.

        others: a plan of further tables, of which is said which of these runs they need too.
        """
        lines = []
        for table, cells in self.tables.items():
            skipped = sum(isinstance(cell.runs, Skip) for cell in cells)
            lines.append(f"Table {table}: {len(cells)} cells" + (f", {skipped} of them n/a" if skipped else ""))
        lines.append("")
        lines.append(f"{'':14}{'a cell each':>12}{'shared':>9}")
        lines += [f"{kind:14}{naive:>12}{shared:>9}" for kind, (naive, shared) in self.counts().items()]
        common = {run_id: self.users[run_id] for run_id in self.runs if len(self.users[run_id]) > 1}
        if len(self.tables) > 1:
            lines += ["", f"{len(common)} runs serve more than one table:" if common else "No run serves two tables."]
            lines += self._shared(common)
        also = {run_id: others.users[run_id] for run_id in self.runs if others and run_id in others.users}
        if also:
            lines += ["", f"{len(also)} of these runs serve other tables too:", *self._shared(also)]
        reasons = Counter(self.skips().values())
        lines += [f"n/a in {count} cells: {reason}" for reason, count in reasons.items()]
        return "\n".join(lines)

    def _shared(self, users: dict[str, list[str]]) -> list[str]:
        """A line per run and the tables that need it; if that were too many, a line per combination of tables."""
        if len(users) <= LISTED:
            return [f"  {run_id}  {_tables(tables)}  {label(self.runs[run_id])}" for run_id, tables in users.items()]
        together: dict[str, Counter[str]] = {}
        for run_id, tables in users.items():
            together.setdefault(_tables(tables), Counter())[_KIND[type(self.runs[run_id])]] += 1
        return [
            f"  {tables}: {', '.join(f'{kinds[kind]} {kind}' for kind in KINDS if kinds[kind])}"
            for tables, kinds in together.items()
        ]


def _tables(names: list[str]) -> str:
    return f"{'tables' if len(names) > 1 else 'table'} {', '.join(names)}"
