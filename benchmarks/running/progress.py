"""What a person sees while runs go on: one live line on a terminal, plain lines in a log.

Which run of how many, what it is, the epoch, loss terms, samples per second, time left. The time left counts work
(cost.py), not runs, because a pretraining is not an evaluation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column

from benchmarks.durations import clock
from benchmarks.pages.outcomes import last_line
from benchmarks.planning.cost import cost
from benchmarks.records.store import Store
from benchmarks.runs import Run, label
from protocols import Progress

LOG_EVERY = 30.0  # seconds between two lines about one run in a log


@contextmanager
def clip_bar(console: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how many clips of how many are done, how fast, and the time left; a line now and then in a log."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}")
    started = said = time.monotonic()
    before: int | None = None

    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(what, total=None, note="")

        def watch(done: int, total: int) -> None:
            nonlocal before, said
            before = done if before is None else before  # what an earlier call did
            now = time.monotonic()
            rate = (done - before) / max(now - started, 1e-9)
            note = f"{rate:.0f} clips/s · {clock((total - done) / rate)} left" if rate else ""
            bars.update(task, completed=done, total=total, note=note)
            if not console.is_terminal and now - said > LOG_EVERY:
                said = now
                console.print(f"{what}: {done}/{total} clips · {note}", markup=False, highlight=False)

        yield watch


class Reporter:
    """Watches runs (see local.Watcher). A context manager: the live display closes with it."""

    def __init__(self, todo: list[Run], store: Store, console: Console) -> None:
        self.console, self.store = console, store
        self.total, self.ended = len(todo), 0
        self.costs = {run.id: cost(run) for run in todo}
        self.share: dict[str, float] = {}  # of each run's cost that is done
        self.started = time.monotonic()
        self.said: dict[str, float] = {}
        self.live = console.is_terminal
        one_line = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self.bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=one_line),
            console=console,
            transient=True,
            expand=True,
            refresh_per_second=4,
        )
        self.main = self.bars.add_task(f"0/{self.total} runs · starting workers", total=None)

    def __enter__(self) -> Reporter:
        if self.live:
            self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.bars.stop()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def _left(self) -> str:
        done = sum(self.costs[run_id] * share for run_id, share in self.share.items())
        elapsed = self.elapsed
        if done <= 0:
            return "time left unknown"
        return f"{clock(elapsed * (sum(self.costs.values()) - done) / done)} left"

    def progress(self, run: Run, progress: Progress) -> None:
        """A run moved on: what matters most stands first, because a narrow terminal cuts the end."""
        self.share[run.id] = progress.done / max(progress.total, 1)
        parts = [f"{self.ended}/{self.total} runs", self._left()]
        if progress.total > 1:
            parts.append(f"epoch {progress.done}/{progress.total}")
        if progress.rate:
            parts.append(f"{progress.rate:.0f} samples/s")
        text = " · ".join([*parts, label(run), progress.note])
        if self.live:
            self.bars.update(self.main, description=text)
            return
        now = time.monotonic()
        if progress.rate and now - self.said.setdefault(run.id, now) > LOG_EVERY:
            self.said[run.id] = now
            self._say(text)

    def finished(self, run: Run, status: str) -> None:
        """A run ended."""
        self.ended += 1
        self.share[run.id] = 1.0
        record = self.store.record(run.id) or {}
        if status == "ok":
            note = f"{_headline(record.get('metrics', {}))}  {record.get('seconds', 0.0):.1f} s"
            if self.store.again(run.id):
                note = f"made anew, with other numbers than its record: see {self.store.folder(run.id)}/again.json"
        elif status == "failed":
            note = f"FAILED: {last_line(record)}"
        else:
            note = status
        self._say(f"[{self.ended}/{self.total}] {label(run)}: {note}  ({self._left()})")

    def _say(self, text: str) -> None:
        say: Callable[..., None] = self.bars.console.print if self.live else self.console.print
        say(text, markup=False, highlight=False, soft_wrap=True)


def _headline(metrics: dict[str, float]) -> str:
    for key, name in (("top1", "top-1"), ("best_knn20", "best KNN"), ("knn20", "KNN")):
        if key in metrics:
            return f"{name} {metrics[key]:.1%}"
    return "done"
