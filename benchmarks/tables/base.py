"""Cells and tables: what every table file is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import torch

from backbones import Backbone, build
from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate, Fuse, Pretrain, Run
from methods import METHODS


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


def _supported(cell: Cell) -> Cell:
    reason = next((reason for run in cell.seeds if (reason := unsupported(run))), None)
    return replace(cell, runs=Skip(reason)) if reason else cell


def unsupported(run: Run) -> str | None:
    """Why a run makes no sense, whatever the machine: a method that cannot train its backbone. None when it does."""
    match run:
        case Fuse():
            return next((reason for member in run.members if (reason := unsupported(member))), None)
        case Evaluate() if isinstance(run.encoder, Pretrain):
            return unsupported(run.encoder)
        case Pretrain():
            return _reason(run.method, run.config, run.backbone, run.backbone_config, run.stream)
    return None


@lru_cache(maxsize=256)
def _reason(method: str, config: Any, backbone: str, backbone_config: Any, stream: str) -> str | None:
    return METHODS[method].unsupported(config, _shell(backbone, backbone_config), stream)


@cache
def _shell(backbone: str, config: Any) -> Backbone:
    with torch.device("meta"):  # shapes are enough
        return build(backbone, config)


@dataclass(frozen=True)
class TableSpec:
    """A table: headings, the runs of its cells for given settings, and what a reader must know."""

    id: str
    title: str
    labels: tuple[str, ...]  # headings of the parts of a row key
    data: tuple[tuple[str, str], ...]  # (data set, split) it measures on
    make: Callable[[Settings], Iterable[Cell]]
    notes: tuple[str, ...] = ()
    against: tuple[str, ...] = ()  # what rows are compared with, see `references`
    varies: tuple[str, ...] = ()  # settings in which rows differ, so that --set cannot choose them

    def references(self, row: str) -> tuple[str, ...]:
        """Keys of the rows that a row is compared with, which the table need not have.

        An entry of `against` is the first label of a row, the other labels being those of the row itself ("Ours/J"
        against "Baseline*" is "Ours/J" minus "Baseline*/J"), or a whole key ("✓/✓/✓"). A row that is a reference
        itself is compared with those after it only, so that no pair is there twice.
        """
        rest = row.partition("/")[2]
        keys = tuple(entry if "/" in entry or not rest else f"{entry}/{rest}" for entry in self.against)
        return keys[keys.index(row) + 1 :] if row in keys else keys

    def cells(self, settings: Settings) -> list[Cell]:
        """The cells; those whose method cannot train its backbone are skips, with the method's reason."""
        key = ("cells", self.id, self.make, settings.seeds)
        if key not in settings.made:
            settings.made[key] = [_supported(cell) for cell in self.make(settings)]
        return list(settings.made[key])

    @property
    def paper(self) -> bool:
        """Whether it is a table of the paper (irds is not)."""
        return self.id.isdigit()
