"""The paper's tables as cells that name runs.

A table never computes and never reads a record: it says which run and which metric each cell shows. The paper's
number for a cell is in paper.toml under the same row and column. Adding a table: one file with a `SPEC`, two words
here, one in benchmarks/arguments.py and, where there are numbers of a paper, a block in paper.toml.
"""

from __future__ import annotations

from benchmarks.tables import (
    irds,
    table1,
    table2,
    table3,
    table4,
    table5,
    table6,
    table7,
    table15,
    table16,
    table17,
    table18,
)
from benchmarks.tables.base import Cell, Skip, TableSpec

TABLES: dict[str, TableSpec] = {
    table.SPEC.id: table.SPEC
    for table in (
        table1, table2, table3, table4, table5, table6, table7, table15, table16, table17, table18, irds,
    )
}  # fmt: skip

__all__ = ["TABLES", "Cell", "Skip", "TableSpec"]
