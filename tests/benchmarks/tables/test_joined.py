"""A method that has joined and has no settings under a recipe: its rows say so, the others are as they were."""

from __future__ import annotations

import pytest

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.tables import TABLES, Skip, table3


@pytest.mark.parametrize("table", ["3", "4"])
def test_rows_without_settings_are_skipped_with_the_reason(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    official = Settings(recipe="official", scale="smoke")
    before = {(cell.row, cell.column) for cell in TABLES[table].cells(official)}
    monkeypatch.delitem(recipes.OFFICIAL, "hiclr")
    cells = TABLES[table].cells(Settings(recipe="official", scale="smoke"))
    skipped = [cell for cell in cells if isinstance(cell.runs, Skip)]
    assert {cell.row for cell in skipped} == {"HiCLR/J" if table == "3" else "HiCLR"}
    assert len(skipped) == len(table3.COLUMNS)
    assert all("recipe official has no settings for hiclr; add them to OFFICIAL in" in str(c.runs) for c in skipped)
    assert {(cell.row, cell.column) for cell in cells} >= {key for key in before if "HiCLR/3S" not in key[0]}
