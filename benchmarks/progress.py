"""What a person sees while runs go on: one live line on a terminal, plain lines in a log.

Which run of how many, what it is, the epoch, loss terms, samples per second, time left. The time left counts work
(plan.cost), not runs, because a pretraining is not an evaluation.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from benchmarks.plan import cost
from benchmarks.runs import Run, label
from benchmarks.store import Store
from protocols import Progress


def clock(seconds: float) -> str:
    """75 -> "1:15", 3700 -> "1:01:40"."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


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
        self.bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self.main: TaskID | None = None

    def __enter__(self) -> Reporter:
        if self.live:
            self.bars.start()
            self.main = self.bars.add_task(f"0/{self.total} runs", total=1.0, note="")
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.bars.stop()

    def _left(self) -> str:
        done = sum(self.costs[run_id] * share for run_id, share in self.share.items())
        total = sum(self.costs.values())
        elapsed = time.monotonic() - self.started
        if done <= 0:
            return "time left unknown"
        return f"{clock(elapsed * (total - done) / done)} left"

    def _update(self, note: str) -> None:
        if self.live and self.main is not None:
            done = sum(self.costs[i] * share for i, share in self.share.items()) / sum(self.costs.values())
            text = f"{self.ended}/{self.total} runs, {self._left()}"
            self.bars.update(self.main, description=text, completed=done, note=note)

    def progress(self, run: Run, progress: Progress) -> None:
        """A run moved on."""
        self.share[run.id] = progress.done / max(progress.total, 1)
        rate = f"  {progress.rate:.0f} samples/s" if progress.rate else ""
        unit = "epoch " if progress.total > 1 else ""
        where = f"{unit}{progress.done}/{progress.total}" if progress.total > 1 else ""
        text = f"{label(run)}  {where}  {progress.note}{rate}"
        self._update(text)
        now = time.monotonic()
        if not self.live and progress.rate and now - self.said.setdefault(run.id, now) > 30:
            self.said[run.id] = now
            self._say(f"[{self.ended + 1}/{self.total}] {text}  {self._left()}")

    def finished(self, run: Run, status: str) -> None:
        """A run ended."""
        self.ended += 1
        self.share[run.id] = 1.0
        record = self.store.record(run.id) or {}
        if status == "ok":
            result = _headline(record.get("metrics", {}))
            note = f"{result}  {record.get('seconds', 0.0):.1f} s"
        elif status == "failed":
            note = f"FAILED: {record.get('error', '').splitlines()[-1]}"
        else:
            note = status
        self._say(f"[{self.ended}/{self.total}] {label(run)}: {note}" + f"  ({self._left()})")
        self._update("")

    def _say(self, text: str) -> None:
        say: Callable[..., None] = self.bars.console.print if self.live else self.console.print
        say(text, markup=False, highlight=False, soft_wrap=True)


def _headline(metrics: dict[str, float]) -> str:
    for key, name in (("top1", "top-1"), ("best_knn20", "best KNN"), ("knn20", "KNN")):
        if key in metrics:
            return f"{name} {metrics[key]:.1%}"
    return "done"
