"""`status` is short however many runs have failed, names all of them when asked to, and survives a bare record."""

from __future__ import annotations

from pathlib import Path

import pytest

import bench
from benchmarks.campaign import Campaign
from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate
from benchmarks.status import SHOWN, standing
from benchmarks.tables import TABLES


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """Table 7 with four seeds, at smoke scale: 32 evaluations."""
    return Campaign([TABLES["7"]], Settings(scale="smoke", seeds=(0, 1, 2, 3)), tmp_path, tmp_path)


def fail(campaign: Campaign, *errors: str | None) -> list[str]:
    """Evaluations that failed with these errors; None is a record without one."""
    found = [run_id for run_id, run in campaign.plan.runs.items() if isinstance(run, Evaluate)][: len(errors)]
    for run_id, error in zip(found, errors, strict=True):
        record = {"run": run_id, "status": "failed", "label": "", "seconds": 0.0}
        campaign.store.write_record(record | ({} if error is None else {"error": error}))
    return found


def runs(campaign: Campaign, every: bool = False) -> list[str]:
    """What is said below the table of counts."""
    text = "\n".join(standing(campaign).lines(every))
    return text.partition("\n\n")[2].splitlines()


def test_every_table_has_its_line_and_shared_runs_count_once(tmp_path: Path) -> None:
    campaign = Campaign([TABLES["7"], TABLES["15"]], Settings(scale="smoke"), tmp_path, tmp_path)
    (failed,) = fail(campaign, "ValueError: no")
    head, _, *rows = next(standing(campaign).lines()).splitlines()
    assert head.split() == ["table", "cells", "n/a", "done", "running", "failed", "missing"]
    assert failed in campaign.plan.users
    users = campaign.plan.users[failed]
    for row in rows[:-1]:
        table, *numbers = row.split()
        mine = [run_id for run_id, tables in campaign.plan.users.items() if table in tables]
        assert list(map(int, numbers[1:])) == [0, 0, int(table in users), len(mine) - int(table in users)]
    assert rows[-1].split() == ["together", "28", "0", "0", "1", str(len(campaign.plan.runs) - 1)]
    assert max(map(len, (head, *rows))) <= 80


def test_its_scale_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`auto` is demo until data are prepared; the counts of one scale look like those of another."""
    words = ["--table", "7", "--out", str(tmp_path), "--data", str(tmp_path), "--seeds", "2"]
    for more, scale in (([], "demo"), (["--scale", "full"], "full")):
        assert bench.main(["status", *words, *more]) == bench.MISSING
        first, empty, *_ = capsys.readouterr().out.splitlines()
        assert (first, empty) == (f"recipe paper, scale {scale}, 2 seed(s)", "")


def test_a_few_failed_runs_have_a_line_each(campaign: Campaign) -> None:
    failed = fail(campaign, *["ValueError: no"] * SHOWN)
    *lines, last = runs(campaign)
    assert [line.split()[:2] for line in lines] == [["failed", run_id] for run_id in failed]
    assert last == "0 done, 0 running, 10 failed, 54 missing"


def test_many_are_put_together_by_their_errors(campaign: Campaign) -> None:
    memory = [f"OutOfMemoryError: tried to allocate {i}.{i} GiB for run evaluate-{i:016x}" for i in range(20)]
    failed = fail(campaign, "ValueError: first", *memory, "ValueError: other\n  the last line")
    *lines, hint, last = runs(campaign)
    assert [line.split()[1] for line in lines] == [failed[1], failed[0], failed[-1]]
    assert lines[0].endswith("(and 19 more like it)")
    assert lines[2].endswith("  the last line")
    assert hint == "With --all, status has a line for every run."
    assert last.startswith("0 done, 0 running, 22 failed")
    *every, last = runs(campaign, every=True)
    assert {line.split()[1] for line in every} == set(campaign.plan.runs), "those that are missing, too"
    assert [line.split()[1] for line in every if line.startswith("failed")] == failed


def test_many_errors_are_counted(campaign: Campaign) -> None:
    fail(campaign, *(f"ValueError: {chr(97 + i)}" for i in range(25)))
    lines = runs(campaign)
    assert len(lines) == SHOWN + 3
    assert lines[SHOWN] == "failed   15 more, of 15 other kinds"


def test_runs_that_are_under_way_are_bounded_too(campaign: Campaign) -> None:
    store = campaign.store
    claims = [store.claim(run_id) for run_id in list(campaign.plan.runs)[:14]]
    for claim in claims:
        assert claim.__enter__()
    lines = runs(campaign)
    for claim in claims:
        claim.__exit__(None, None, None)
    assert [line.split()[0] for line in lines[:-2]] == ["running"] * (SHOWN + 1)
    assert lines[SHOWN] == "running  4 more"


@pytest.mark.parametrize("error", [None, "", "\n", "bad \x1b[31m words", "x" * 10_000])
def test_any_record_of_a_failure_is_shown_in_a_line(
    error: str | None, campaign: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_id,) = fail(campaign, error)
    code = bench.main(["status", "--table", "7", "--scale", "smoke", "--seeds", "4", "--out", str(campaign.out)])
    text = capsys.readouterr().out
    assert code == bench.FAILED
    assert "1 failed" in text
    assert max(map(len, text.splitlines())) < 500
    assert "\x1b" not in text
    assert bench.main(["show", run_id[:14], "--out", str(campaign.out)]) in (bench.OK, bench.FAILED)
    assert "Traceback" not in capsys.readouterr().err
