"""What Tables 15, 16 and 17 have in common: one setting of SkeAttnCLR varied, linear and KNN, NTU-60 joint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.tables.base import Cell, TableSpec
from methods.skeattnclr import SkeAttnCLR

COLUMNS = {
    "Linear Xsub": ("linear", "xsub"),
    "Linear Xview": ("linear", "xview"),
    "KNN Xsub": ("knn", "xsub"),
    "KNN Xview": ("knn", "xview"),
}


def ablation(table: str, title: str, symbol: str, field: str, values: Iterable[Any]) -> TableSpec:
    """A table with one row per value of a field of SkeAttnCLR.Config."""

    def cells(settings: Settings) -> Iterator[Cell]:
        for value in values:
            for column, (protocol, split) in COLUMNS.items():
                trained = recipes.pretrainings(settings, "skeattnclr", "ntu60", split, "joint", **{field: value})
                yield Cell(f"{value:g}", column, recipes.judged(settings, protocol, trained, "ntu60", split))

    return TableSpec(
        id=table,
        title=title,
        labels=(symbol,),
        data=(("ntu60", "xsub"), ("ntu60", "xview")),
        make=cells,
        against=(f"{getattr(SkeAttnCLR.Config(), field):g}",),  # the value of every other table
        varies=(field,),
        notes=("KNN: k = 20, which the paper does not name; 10 and 40 are in the records.",),
    )
