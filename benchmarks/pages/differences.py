"""Differences between two rows of a table, paired by seed, and whether they are more than noise.

Why paired: runs of one seed share the order of the samples and the draws of their views, so that what a seed does to
both rows leaves the difference. Two means whose spreads overlap can differ in every seed, and the other way round.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmarks.pages.outcomes import Outcome
from benchmarks.tables.base import TableSpec

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """One cell minus another, seed by seed, as fractions; None for a seed that either of them lacks."""

    by_seed: tuple[float | None, ...]

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The differences of the seeds that both cells have; n is their number."""
        return tuple(value for value in self.by_seed if value is not None)

    @cached_property
    def complete(self) -> bool:
        """Whether every seed is in both cells. What is not complete is not to be averaged in silence."""
        return len(self.values) == len(self.by_seed) > 0

    @cached_property
    def mean(self) -> float:
        """Mean over the seeds; statistics.StatisticsError (a ValueError) when there is none."""
        return statistics.fmean(self.values)

    @cached_property
    def deviation(self) -> float | None:
        """Sample standard deviation (ddof 1), None for fewer than two seeds."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @cached_property
    def half(self) -> float | None:
        """Half of the 95 % interval of the mean: Student's t with n - 1 degrees of freedom; None for n < 2."""
        if self.deviation is None:
            return None
        from scipy.special import stdtrit  # slow to import, and most commands need no interval

        n = len(self.values)
        return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * self.deviation / math.sqrt(n)

    @cached_property
    def noise(self) -> bool | None:
        """Whether the interval contains 0; None where no interval is known."""
        return None if self.half is None else abs(self.mean) <= self.half


def paired(ours: Outcome, theirs: Outcome) -> Difference:
    """One cell minus another of the same column, both with one run per seed, in the order of settings.seeds.

    Raises:
        ValueError: when the cells do not have the same number of runs, so that nothing says which belong together.
    """
    if len(ours.readings) != len(theirs.readings):
        raise ValueError(
            f"{ours.cell.row} has {len(ours.readings)} runs under {ours.cell.column}, {theirs.cell.row} has "
            f"{len(theirs.readings)}; only cells with one run per seed can be paired"
        )
    pairs = ((a.value, b.value) for a, b in zip(ours.readings, theirs.readings, strict=True))
    return Difference(tuple(None if a is None or b is None else a - b for a, b in pairs))


def differences(spec: TableSpec, found: Sequence[Outcome], seeds: int) -> dict[tuple[str, str], dict[str, Difference]]:
    """(row, reference row) -> column -> difference, grouped by reference, for all that `spec.against` asks for.

    Cells that are skipped, or that have another number of runs than `seeds` (raw coordinates know no seed), have
    no difference.
    """
    at = {(o.cell.row, o.cell.column): o for o in found if len(o.readings) == seeds}
    by_reference: dict[str, dict[tuple[str, str], dict[str, Difference]]] = {}
    for (row, column), ours in at.items():
        for reference in spec.references(row):
            if theirs := at.get((reference, column)):
                rows = by_reference.setdefault(reference, {})
                rows.setdefault((row, reference), {})[column] = paired(ours, theirs)
    return {pair: columns for rows in by_reference.values() for pair, columns in rows.items()}
