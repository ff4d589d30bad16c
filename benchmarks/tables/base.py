"""Cells and tables: what every table file is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.recipes import Settings
from benchmarks.runs import Run


@dataclass(frozen=True)
class Skip:
    """Why a cell has no run; shown as n/a with the reason in a footnote."""

    reason: str


@dataclass(frozen=True)
class Cell:
    """One number of a table: the same metric of one run per seed.

    Row and column are keys into paper.toml and headings at once; a row key is its labels joined by "/".
    """

    row: str
    column: str
    runs: tuple[Run, ...] | Skip
    metric: str = "top1"

    @property
    def seeds(self) -> tuple[Run, ...]:
        """The runs, one per seed; none for a skipped cell."""
        return () if isinstance(self.runs, Skip) else self.runs


@dataclass(frozen=True)
class TableSpec:
    """A table: headings, the runs of its cells for given settings, and what a reader must know."""

    id: str
    title: str
    labels: tuple[str, ...]  # headings of the parts of a row key
    data: tuple[tuple[str, str], ...]  # (data set, split) it measures on
    cells: Callable[[Settings], Iterable[Cell]]
    notes: tuple[str, ...] = ()

    @property
    def paper(self) -> bool:
        """Whether it is a table of the paper (irds is not)."""
        return self.id.isdigit()
