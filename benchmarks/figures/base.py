"""What every picture is made of: which runs it needs, how its files are named, how it is drawn from records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.runs import Run
from benchmarks.tables import TableSpec


def said(spec: TableSpec, row: str, stream: bool = True) -> str:
    """A row key as people say it: "Ours/J" -> "Ours, J", "2" of Table 15 -> "λ 2"; without its stream if so wished."""
    words = []
    for heading, part in zip(spec.labels, row.split("/", len(spec.labels) - 1), strict=True):
        if heading in ("Method", "Encoder") or (heading == "Stream" and stream):
            words.append(part)
        elif heading != "Stream":
            words.append(f"{heading} {part}")
    return ", ".join(words)


class Absent(Exception):
    """What a picture shows is not there; the message says what, and what to do."""


@dataclass(frozen=True)
class Drawing:
    """Everything that a picture may look at."""

    settings: Settings
    table: str  # whose runs are shown; "" for a picture of no table
    store: Store
    data: Path  # prepared data sets
    chosen: tuple[str, ...] = ()  # run ids from the command line

    def record(self, run_id: str) -> dict[str, Any] | None:
        """The record of a run that has a result, else None."""
        record = self.store.record(run_id)
        return record if record and record["status"] == "ok" else None


@dataclass(frozen=True)
class FigureSpec:
    """One picture, or a few of one kind."""

    id: str
    title: str
    about: str  # one sentence
    names: tuple[str, ...]  # of its files, before table and settings are added
    draw: Callable[[Drawing], dict[str, Figure]]  # name -> figure, of names; raises Absent
    needs: Callable[[Settings, str], list[Run]] | None = None  # settings, table -> runs; None for no runs at all
    table: str = ""  # shown unless --table says another; "" when it is not about a table
    folders: bool = False  # also reads encoders and data, which a fresh clone does not have

    def runs(self, settings: Settings, table: str = "") -> list[Run]:
        """The runs whose records it shows; what those need in turn is the plan's affair."""
        return self.needs(settings, table or self.table) if self.needs else []

    def stem(self, name: str, settings: Settings, table: str = "") -> str:
        """File name without suffix; what differs from the usual is in it, as in a table's."""
        if self.needs is None:
            return name
        return "-".join([name, *filter(None, [table or self.table]), *settings.words])

    def stems(self, settings: Settings, table: str = "") -> list[str]:
        """Every file name without suffix that it may write below <root>/figures."""
        return [self.stem(name, settings, table) for name in self.names]
