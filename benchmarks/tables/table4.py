"""Table 4: KNN evaluation of the methods, joint stream, four data columns."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.tables.base import Cell, TableSpec
from benchmarks.tables.table3 import COLUMNS, METHODS

ROWS = tuple(row for row in METHODS if row != "CrossCLR")  # of which the paper has no KNN result


def cells(settings: Settings) -> Iterator[Cell]:
    """One row per method; the pretrainings are those of Table 3."""
    for row in ROWS:
        for column, (data, split) in COLUMNS.items():
            pretrainings = [
                recipes.pretraining(settings, METHODS[row], data, split, "joint", seed) for seed in settings.seeds
            ]
            yield Cell(row, column, tuple(recipes.evaluation(settings, "knn", p, data, split) for p in pretrainings))


SPEC = TableSpec(
    id="4",
    title="KNN evaluation of the methods, joint stream",
    labels=("Method",),
    data=tuple(COLUMNS.values()),
    make=cells,
    notes=(
        "KNN: k = 20, which the paper does not name; 10 and 40 are in the records.",
        "Under recipe paper all methods have one backbone, number of frames, batch and schedule.",
    ),
)
