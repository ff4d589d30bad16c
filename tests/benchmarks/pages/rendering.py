"""Invented records and ways to read a rendered table, for the tests of rendering."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.tables import Cell, Skip, TableSpec

ONE, THREE = Settings(), Settings(seeds=(0, 1, 2))
DEMO = Settings(scale="demo")
Records = dict[str, dict[str, Any]]


def ok(run: str, **metrics: float) -> dict[str, Any]:
    return {"schema": 1, "run": run, "status": "ok", "metrics": metrics, "seconds": 1.5, "environment": {}}


def failed(run: str, error: str) -> dict[str, Any]:
    return {"schema": 1, "run": run, "status": "failed", "metrics": {}, "error": error, "seconds": 0.1}


def runs_of(spec: TableSpec, settings: Settings, row: str, column: str) -> tuple[Any, ...]:
    runs = next(c.runs for c in spec.cells(settings) if (c.row, c.column) == (row, column))
    assert not isinstance(runs, Skip)
    return runs


def all_done(spec: TableSpec, settings: Settings, value: float = 0.8) -> Records:
    cells = [cell for cell in spec.cells(settings) if not isinstance(cell.runs, Skip)]
    records: Records = {}
    for cell in cells:
        assert not isinstance(cell.runs, Skip)
        for run in cell.runs:
            metrics = records.get(run.id, {"metrics": {}})["metrics"] | {cell.metric: value}
            records[run.id] = ok(run.id, **metrics)
    return records


def grid(text: str, number: int = 0) -> list[list[str]]:
    """A pipe table as cells, header first; every line is as long and has as many cells as the others."""
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    lines = tables[number].splitlines()
    assert len({len(line) for line in lines}) == 1
    grid = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert len({len(row) for row in grid}) == 1
    assert all(re.fullmatch(r":?-+:?", cell) for cell in grid[1])
    return [grid[0], *grid[2:]]


def shown(text: str, spec: TableSpec, row: str, column: str) -> str:
    head, *body = grid(text)
    labels = len(spec.labels)
    key = [line for line in body if "/".join(line[:labels]).replace(" †", "") == row]
    assert len(key) == 1
    return key[0][head.index(column)]


def toy() -> Callable[..., TableSpec]:
    """A table with the cells one asks for, on a real linear evaluation."""

    def make(
        *cells: tuple[str, str, Any],
        table: str = "toy",
        labels: tuple[str, ...] = ("Method",),
        against: tuple[str, ...] = (),
    ) -> TableSpec:
        def produce(settings: Settings) -> Iterator[Cell]:
            for row, column, what in cells:
                if isinstance(what, Skip):
                    yield Cell(row, column, what)
                    continue
                yield Cell(
                    row,
                    column,
                    tuple(
                        recipes.evaluation(
                            settings,
                            "linear",
                            recipes.pretraining(settings, "skeattnclr", "ntu60", "xsub", "joint", seed, lam=what),
                            "ntu60",
                            "xsub",
                        )
                        for seed in settings.seeds
                    ),
                )

        return TableSpec(table, "Toy", labels, (("ntu60", "xsub"),), produce, against=against)

    return make
