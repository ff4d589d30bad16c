"""What is said of a run that failed: its reason in a line, also when nothing is known of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running.progress import Reporter
from benchmarks.tables import TABLES


@pytest.mark.parametrize(
    ("error", "told"),
    [("ValueError: too small\nbecause of this\n\n", "because of this"), ("", "the record gives no reason")],
)
def test_a_failed_run_has_its_reason_in_one_line(error: str, told: str, tmp_path: Path) -> None:
    run = next(iter(Plan.of([TABLES["7"]], Settings(scale="smoke")).runs.values()))
    store, said = Store(tmp_path), io.StringIO()
    store.prepare()
    store.write_record({"run": run.id, "status": "failed", "error": error})
    with Reporter([run], store, Console(file=said)) as reporter:
        reporter.finished(run, "failed")
    assert f"FAILED: {told}  (" in said.getvalue()
    assert said.getvalue().count("\n") == 1
