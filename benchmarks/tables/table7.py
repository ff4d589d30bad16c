"""Table 7: which parts of the local loss matter. SkeAttnCLR, joint, NTU-60, linear."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.tables.base import Cell, TableSpec

COLUMNS = {"Xsub": ("ntu60", "xsub"), "Xview": ("ntu60", "xview")}
ROWS = {
    "×/✓/✓": {"opposition": False, "mu": 0.5},
    "×/✓/×": {"opposition": False, "mu": 1.0},
    "✓/✓/×": {"opposition": True, "mu": 1.0},
    "✓/✓/✓": {"opposition": True, "mu": 0.5},
}


def cells(settings: Settings) -> Iterator[Cell]:
    """One row per combination of the q_s/q_ns negative, L_s and L_ns."""
    for row, changes in ROWS.items():
        for column, (data, split) in COLUMNS.items():
            trained = recipes.pretrainings(settings, "skeattnclr", data, split, "joint", **changes)
            yield Cell(row, column, recipes.judged(settings, "linear", trained, data, split))


SPEC = TableSpec(
    id="7",
    title="Loss terms of the local contrast, NTU-60 joint",
    labels=("q_s vs q_ns", "L_s", "L_ns"),
    data=tuple(COLUMNS.values()),
    make=cells,
    against=("✓/✓/✓",),
    varies=("opposition", "mu"),
    notes=("A lone L_s has weight 1 (mu = 1), as in the released configuration; the paper does not say.",),
)
