"""The paper's numbers, read from paper.toml: results (Tables 1 to 7, 15 to 18) and settings (Tables 8 to 14).

Why a reader of its own: a number has two faces. What is printed ("72.0+3.7") must be shown and checked as it
stands; what it means (72.0) is what a measurement is compared with.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.names import known

FILE = Path(__file__).with_name("paper.toml")
EMPTY = "-"
# A number, and behind it the difference from the baseline: signed, or a bare 0.
_CELL = re.compile(r"(\d+(?:\.\d+)?)(?:[+-]\d+\.\d+| 0)?")


@dataclass(frozen=True)
class PaperTable:
    """One result table as printed. Rows and columns are the keys of benchmarks/tables/."""

    id: str
    title: str  # the printed caption
    columns: tuple[str, ...]
    rows: tuple[str, ...]  # in the printed order
    quoted: tuple[str, ...]  # rows that the paper took from other publications
    cells: Mapping[tuple[str, str], str]

    def printed(self, row: str, column: str) -> str:
        """The characters in the cell, "-" where the paper leaves it empty.

        Raises:
            ValueError: for a row or column that the table does not have.
        """
        known(f"row of Table {self.id}", row, self.rows)
        known(f"column of Table {self.id}", column, self.columns)
        return self.cells[row, column]

    def value(self, row: str, column: str) -> float | None:
        """The number in percent, without the printed difference; None for an empty cell."""
        return _parse(self.printed(row, column))


@dataclass(frozen=True)
class PaperSettings:
    """One table of settings as printed: name -> value, both with the paper's own spelling."""

    id: str
    title: str
    values: Mapping[str, str]


def _parse(printed: str) -> float | None:
    if printed == EMPTY:
        return None
    match = _CELL.fullmatch(printed)
    if match is None:
        raise ValueError(f"paper.toml: {printed!r} is neither {EMPTY!r} nor a number such as '72.0' or '72.0+3.7'")
    return float(match[1])


@cache
def _document() -> dict[str, Any]:
    with FILE.open("rb") as file:
        return tomllib.load(file)


def result_tables() -> tuple[str, ...]:
    """Ids of the tables that hold results, in the paper's order."""
    return tuple(_document()["table"])


def setting_tables() -> tuple[str, ...]:
    """Ids of the tables that hold settings, in the paper's order."""
    return tuple(_document()["settings"])


@cache
def paper(table: str) -> PaperTable:
    """A result table by its id ("1").

    Raises:
        ValueError: for a table that the paper does not have, or a malformed block of paper.toml.
    """
    block = _document()["table"][known("result table of the paper", table, result_tables())]
    columns, rows = tuple(block["columns"]), block["rows"]
    quoted = tuple(block.get("quoted", ()))
    for row, printed in rows.items():
        if len(printed) != len(columns):
            raise ValueError(f"paper.toml: Table {table}, row {row!r} has {len(printed)} cells, not {len(columns)}")
        for text in printed:
            _parse(text)
    for row in quoted:
        known(f"row of Table {table} (quoted)", row, rows)
    cells = {
        (row, column): text for row, printed in rows.items() for column, text in zip(columns, printed, strict=True)
    }
    return PaperTable(table, block["title"], columns, tuple(rows), quoted, MappingProxyType(cells))


@cache
def paper_settings(table: str) -> PaperSettings:
    """A table of settings by its id ("8"); ValueError for one that the paper does not have."""
    block = _document()["settings"][known("settings table of the paper", table, setting_tables())]
    return PaperSettings(table, block["title"], MappingProxyType(block["values"]))
