"""Rendering with invented records: what stands in a cell, and its footnotes."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.pages.markdown import MOST, Footnotes
from benchmarks.pages.one import metric_lines
from benchmarks.pages.outcomes import Summary, alike, summary
from benchmarks.pages.render import render_table
from benchmarks.tables import TABLES, Skip, TableSpec
from tests.benchmarks.pages import rendering
from tests.benchmarks.pages.rendering import DEMO, ONE, THREE, all_done, failed, grid, ok, runs_of, shown


@pytest.fixture(name="toy")
def _toy() -> Callable[..., TableSpec]:
    return rendering.toy()


def test_full_shows_measured_paper_and_difference() -> None:
    spec = TABLES["1"]
    ours, theirs = runs_of(spec, ONE, "Ours/J", "NTU-60 xsub"), runs_of(spec, ONE, "Ours/B", "NTU-60 xview")
    equal = runs_of(spec, ONE, "Ours/3S", "NTU-120 xset")
    records = {
        ours[0].id: ok(ours[0].id, top1=0.80149, top5=0.99),
        theirs[0].id: ok(theirs[0].id, top1=0.7711),
        equal[0].id: ok(equal[0].id, top1=0.79998),
    }
    text = render_table(spec, ONE, records)
    assert shown(text, spec, "Ours/J", "NTU-60 xsub") == "80.1 / 80.3 (−0.2)"  # U+2212, not a hyphen
    assert shown(text, spec, "Ours/B", "NTU-60 xview") == "77.1 / 76.0 (+1.1)"
    assert shown(text, spec, "Ours/3S", "NTU-120 xset") == "80.0 / 80.0 (0.0)"
    assert shown(text, spec, "Ours/M", "NTU-60 xsub") == "· / 63.9"
    assert shown(text, spec, "Baseline/J", "PKU-MMD I") == "–"
    assert "`·` not run yet, `–` empty in the paper." in " ".join(text.split())
    assert "NOT COMPARABLE" not in text


def test_mean_and_sample_deviation_and_n() -> None:
    spec, values = TABLES["7"], (0.80, 0.81, 0.85)
    runs = runs_of(spec, THREE, "✓/✓/✓", "Xsub")
    records = {run.id: ok(run.id, top1=value) for run, value in zip(runs, values, strict=True)}
    text = render_table(spec, THREE, records)
    assert round(100 * statistics.stdev(values), 1) == 2.6 != round(100 * statistics.pstdev(values), 1)
    assert shown(text, spec, "✓/✓/✓", "Xsub") == "82.0 ± 2.6 / 80.3 (+1.7)"
    assert "- **Seeds:** 0, 1, 2; n = 3\n" in text
    assert "sample standard deviation of n = 3 seeds" in text


def test_missing_seeds_are_never_silent() -> None:
    spec = TABLES["7"]
    runs = runs_of(spec, THREE, "✓/✓/✓", "Xsub")
    records = {run.id: ok(run.id, top1=0.8) for run in runs[:2]}
    text = render_table(spec, THREE, records)
    assert shown(text, spec, "✓/✓/✓", "Xsub") == "80.0 ± 0.0 (2/3) / 80.3"
    assert "`(k/3)` mean over only k of 3 seeds" in " ".join(text.split())
    one = render_table(spec, THREE, {runs[1].id: ok(runs[1].id, top1=0.8)})
    assert shown(one, spec, "✓/✓/✓", "Xsub") == "80.0 (1/3) / 80.3"
    records[runs[2].id] = failed(runs[2].id, "OSError: disk full")
    assert shown(render_table(spec, THREE, records), spec, "✓/✓/✓", "Xsub") == "80.0 ± 0.0 (2/3) ✗¹ / 80.3"


def test_failed_runs_have_a_footnote_with_the_last_line() -> None:
    spec = TABLES["7"]
    first, second = (runs_of(spec, DEMO, "✓/✓/✓", column)[0].id for column in ("Xsub", "Xview"))
    other = runs_of(spec, DEMO, "×/✓/✓", "Xsub")[0].id
    records = {
        first: failed(first, "Traceback\n  File x\nValueError: a | b `c`\x1b[0m\n"),
        second: failed(second, "ValueError: a | b `c`\x1b[0m"),
        other: failed(other, ""),
    }
    text = render_table(spec, DEMO, records)
    # numbered in reading order; the same reason is said once
    assert shown(text, spec, "×/✓/✓", "Xsub") == "✗¹"
    assert shown(text, spec, "✓/✓/✓", "Xsub") == shown(text, spec, "✓/✓/✓", "Xview") == "✗²"
    assert f"- ¹ `the record gives no reason` (`{other}`)\n" in text
    assert f"- ² `ValueError: a | b 'c' [0m` (`{first}` and 1 more)\n" in text
    assert "Traceback" not in text
    assert summary(spec, DEMO, records) == Summary(ok=0, missing=5, failed=3, skipped=0)


def test_a_failed_pretraining_is_shown_where_it_is_missed() -> None:
    """Through a fusion and an evaluation that therefore never ran."""
    spec = TABLES["1"]
    fusion = runs_of(spec, DEMO, "Ours/3S", "NTU-60 xsub")[0]
    pretraining = fusion.members[2].encoder
    text = render_table(spec, DEMO, {pretraining.id: failed(pretraining.id, "FloatingPointError: nan")})
    assert shown(text, spec, "Ours/3S", "NTU-60 xsub") == shown(text, spec, "Ours/M", "NTU-60 xsub") == "✗¹"
    assert shown(text, spec, "Ours/J", "NTU-60 xsub") == "·"
    assert f"- ¹ `FloatingPointError: nan` (`{pretraining.id}`)\n" in text


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"status": "ok", "metrics": {"top5": 1.0}}, "the record has no metric 'top1', only top5"),
        ({"status": "ok", "metrics": {"top1": 80.3}}, "the record's top1 is 80.3, which is no fraction of 1"),
        (
            {"status": "ok", "metrics": {"top1": float("nan")}},
            "the record's top1 is nan, which is no fraction",
        ),
        ({"status": "done", "metrics": {}}, "the record's status is 'done', neither 'ok' nor 'failed'"),
    ],
)
def test_unusable_records_are_failures(record: dict[str, Any], reason: str) -> None:
    spec = TABLES["7"]
    run = runs_of(spec, DEMO, "✓/✓/✓", "Xsub")[0].id
    text = render_table(spec, DEMO, {run: record})
    assert shown(text, spec, "✓/✓/✓", "Xsub") == "✗¹"
    assert reason in text


def test_skipped_cells_say_why(toy: Callable[..., TableSpec]) -> None:
    reason = Skip("SkeleMixCLR needs a (T', V) token grid, BiGRU has none")
    spec = toy(("A", "x", reason), ("A", "y", 2.0), ("B", "x", Skip("other")), ("B", "y", reason))
    text = render_table(spec, ONE, {})
    assert grid(text) == [["Method", "x", "y"], ["A", "n/a¹", "·"], ["B", "n/a²", "n/a¹"]]
    assert f"- ¹ {reason.reason}\n- ² other\n" in text
    assert summary(spec, ONE, {}) == Summary(ok=0, missing=1, failed=0, skipped=3)
    assert str(summary(spec, ONE, {})) == "0 of 1 complete, 1 missing, 3 skipped"


def test_a_cell_that_the_paper_leaves_empty_can_still_be_measured(toy: Callable[..., TableSpec]) -> None:
    spec = toy(
        ("Baseline/J", "NTU-120 xsub", 1.0),
        ("Ours/J", "NTU-60 xsub", Skip("no")),
        ("New/J", "elsewhere", 4.0),
        table="1",
        labels=("Method", "Stream"),
    )
    text = render_table(spec, ONE, all_done(spec, ONE))
    assert shown(text, spec, "Baseline/J", "NTU-120 xsub") == "80.0 / –"
    assert shown(text, spec, "Ours/J", "NTU-60 xsub") == "n/a¹ / 80.3"
    assert shown(text, spec, "New/J", "elsewhere") == "80.0 / –"
    assert shown(text, spec, "Ours/M", "NTU-60 xsub") == "– / 63.9"


def test_errors_that_differ_in_numbers_share_a_footnote_and_the_rest_the_last() -> None:
    notes = Footnotes()
    first = notes.mark("`4 MiB`", ["a"], alike("4 MiB"))
    assert notes.mark("`5.5 MiB`", ["b"], alike("5.5 MiB")) == first == "¹"
    marks = [notes.mark(f"`{'x' * i}`", [f"r{i}"]) for i in range(1, 100)]
    assert len(notes.lines()) == MOST
    assert set(marks[MOST - 2 :]) == {marks[-1]}
    assert notes.lines()[0] == "¹ `4 MiB` (`a` and 1 more)"
    assert notes.lines()[-1].endswith("all about a run (`r29` and 70 more)")


def test_metrics_of_a_run_are_percentages_with_their_meaning() -> None:
    lines = metric_lines({"best_epoch": 4.0, "best_knn20": 0.245, "knn20": 0.22, "top1": 1.0, "top1_best": 1.0})
    assert [line.split()[:2] for line in lines] == [
        ["best_epoch", "4"], ["best_knn20", "24.5"], ["knn20", "22.0"], ["top1", "100.0"], ["top1_best", "100.0"]
    ]  # fmt: skip
    assert "best epoch" in lines[4]
    assert "encoder best-knn" in lines[1]
