"""What the records say about a table's cells: measured, missing, failed or skipped.

Why apart from rendering: `status`, the exit code and the markdown must never disagree about what is there.
Nothing here starts a run or reads a file; a record is a plain dict as the store returns it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from benchmarks.recipes import Settings
from benchmarks.runs import Run
from benchmarks.tables.base import Cell, Skip, TableSpec

Records = Mapping[str, dict[str, Any]]
Status = Literal["ok", "missing", "failed", "skipped"]


class Reading(NamedTuple):
    """One run of a cell: its value (a fraction), or why there is none; neither means not run yet."""

    run: str  # id
    value: float | None = None
    error: str | None = None  # one line
    culprit: str | None = None  # the id whose failure it is: the run itself or one that it needs


@dataclass(frozen=True)
class Outcome:
    """A cell and what the records say about each of its runs, in the order of the seeds."""

    cell: Cell
    readings: tuple[Reading, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The fractions that were measured."""
        return tuple(r.value for r in self.readings if r.value is not None)

    @property
    def failures(self) -> tuple[Reading, ...]:
        """The runs that failed or whose record cannot be used."""
        return tuple(r for r in self.readings if r.error is not None)

    @property
    def status(self) -> Status:
        """ok only when every seed is there; failed as soon as one has failed."""
        if isinstance(self.cell.runs, Skip):
            return "skipped"
        if self.failures:
            return "failed"
        return "ok" if len(self.values) == len(self.readings) else "missing"


class Summary(NamedTuple):
    """Numbers of cells."""

    ok: int
    missing: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        """For people; zeros are left out."""
        wanted = self.ok + self.missing + self.failed
        parts = [f"{self.ok} of {wanted} complete"]
        parts += [f"{count} {name}" for name, count in self._asdict().items() if count and name != "ok"]
        return ", ".join(parts)


def outcomes(spec: TableSpec, settings: Settings, records: Records) -> list[Outcome]:
    """Every cell of a table with its readings, in the order of the spec.

    Raises:
        ValueError: when a cell has neither runs nor a reason, or two cells share a row and a column.
    """
    found: dict[tuple[str, str], Outcome] = {}
    for cell in spec.cells(settings):
        place = f"Table {spec.id}, row {cell.row!r}, column {cell.column!r}"
        if (cell.row, cell.column) in found:
            raise ValueError(f"{place} is there twice; give the cells different keys")
        if not isinstance(cell.runs, Skip) and not cell.runs:
            raise ValueError(f"{place} has no runs; a cell that cannot be run is Cell(..., Skip(reason))")
        readings = tuple(_read(run, cell.metric, records) for run in cell.seeds)
        found[cell.row, cell.column] = Outcome(cell, readings)
    return list(found.values())


def count(found: Iterable[Outcome]) -> Summary:
    """How many cells have each status."""
    statuses = [outcome.status for outcome in found]
    return Summary(*(statuses.count(name) for name in Summary._fields))


def summary(spec: TableSpec, settings: Settings, records: Records) -> Summary:
    """Cells that are complete, missing, failed and skipped: for `status` and the exit code."""
    return count(outcomes(spec, settings, records))


def _read(run: Run, metric: str, records: Records) -> Reading:
    record = records.get(run.id)
    if record is None:
        error, culprit = _blocked(run, records)
        return Reading(run.id, None, error, culprit)
    if record.get("status") != "ok":
        return Reading(run.id, None, last_line(record), run.id)
    metrics = record.get("metrics", {})
    value = metrics.get(metric)
    if value is None:
        error = f"the record has no metric {metric!r}, only {', '.join(sorted(metrics)) or 'none'}"
    elif not (math.isfinite(value) and 0.0 <= value <= 1.0):
        error = f"the record's {metric} is {value!r}, which is no fraction of 1"
    else:
        return Reading(run.id, float(value))
    return Reading(run.id, None, error, run.id)


def _blocked(run: Run, records: Records) -> tuple[str | None, str | None]:
    """The failure that keeps a run from starting, if a run that it needs has failed; nearest first."""
    for parent in run.parents:
        record = records.get(parent.id)
        if record is not None and record.get("status") != "ok":
            return last_line(record), parent.id
        if record is None:
            error, culprit = _blocked(parent, records)
            if error is not None:
                return error, culprit
    return None, None


def alike(error: str) -> str:
    """An error without its numbers and ids: the same for errors that differ in nothing else."""
    return re.sub(r"[0-9a-f]{16}|\d+(?:\.\d+)?", "#", error)


def last_line(record: Mapping[str, Any]) -> str:
    """Why a run that is not ok has no result, in one line."""
    lines = [line.strip() for line in str(record.get("error") or "").splitlines() if line.strip()]
    if record.get("status") != "failed":
        return f"the record's status is {record.get('status')!r}, neither 'ok' nor 'failed'"
    return lines[-1] if lines else "the record gives no reason"
