"""Rendering with invented records: every mark, the paper's side, the header, the same bytes every time."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import recipes
from benchmarks.outcomes import Summary
from benchmarks.recipes import Settings
from benchmarks.render import render_table, summary
from benchmarks.tables import TABLES, Cell, Skip, TableSpec

ONE, THREE = Settings(), Settings(seeds=(0, 1, 2))
DEMO = Settings(scale="demo")
Records = dict[str, dict[str, Any]]


def _ok(run: str, **metrics: float) -> dict[str, Any]:
    return {"schema": 1, "run": run, "status": "ok", "metrics": metrics, "seconds": 1.5, "environment": {}}


def _failed(run: str, error: str) -> dict[str, Any]:
    return {"schema": 1, "run": run, "status": "failed", "metrics": {}, "error": error, "seconds": 0.1}


def _cell(spec: TableSpec, settings: Settings, row: str, column: str) -> tuple[Any, ...]:
    runs = next(c.runs for c in spec.cells(settings) if (c.row, c.column) == (row, column))
    assert not isinstance(runs, Skip)
    return runs


def _all(spec: TableSpec, settings: Settings, value: float = 0.8) -> Records:
    cells = [cell for cell in spec.cells(settings) if not isinstance(cell.runs, Skip)]
    records: Records = {}
    for cell in cells:
        assert not isinstance(cell.runs, Skip)
        for run in cell.runs:
            metrics = records.get(run.id, {"metrics": {}})["metrics"] | {cell.metric: value}
            records[run.id] = _ok(run.id, **metrics)
    return records


def _grid(text: str) -> list[list[str]]:
    """The pipe table as cells, header first; every line is as long and has as many cells as the others."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    grid = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert len({len(row) for row in grid}) == 1
    assert all(re.fullmatch(r":?-+:?", cell) for cell in grid[1])
    return [grid[0], *grid[2:]]


def _shown(text: str, spec: TableSpec, row: str, column: str) -> str:
    head, *body = _grid(text)
    labels = len(spec.labels)
    key = [line for line in body if "/".join(line[:labels]).replace(" †", "") == row]
    assert len(key) == 1
    return key[0][head.index(column)]


@pytest.fixture(name="toy")
def _toy() -> Callable[..., TableSpec]:
    """A table with the cells one asks for, on a real linear evaluation."""

    def make(*cells: tuple[str, str, Any], table: str = "toy", labels: tuple[str, ...] = ("Method",)) -> TableSpec:
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

        return TableSpec(table, "Toy", labels, (("ntu60", "xsub"),), produce)

    return make


def test_full_shows_measured_paper_and_difference() -> None:
    spec = TABLES["1"]
    ours, theirs = _cell(spec, ONE, "Ours/J", "NTU-60 xsub"), _cell(spec, ONE, "Ours/B", "NTU-60 xview")
    equal = _cell(spec, ONE, "Ours/3S", "NTU-120 xset")
    records = {
        ours[0].id: _ok(ours[0].id, top1=0.80149, top5=0.99),
        theirs[0].id: _ok(theirs[0].id, top1=0.7711),
        equal[0].id: _ok(equal[0].id, top1=0.79998),
    }
    text = render_table(spec, ONE, records)
    assert _shown(text, spec, "Ours/J", "NTU-60 xsub") == "80.1 / 80.3 (−0.2)"  # U+2212, not a hyphen
    assert _shown(text, spec, "Ours/B", "NTU-60 xview") == "77.1 / 76.0 (+1.1)"
    assert _shown(text, spec, "Ours/3S", "NTU-120 xset") == "80.0 / 80.0 (0.0)"
    assert _shown(text, spec, "Ours/M", "NTU-60 xsub") == "· / 63.9"
    assert _shown(text, spec, "Baseline/J", "PKU-MMD I") == "–"
    assert "`·` not run yet, `–` empty in the paper." in " ".join(text.split())
    assert "NOT COMPARABLE" not in text


def test_mean_and_sample_deviation_and_n() -> None:
    spec, values = TABLES["7"], (0.80, 0.81, 0.85)
    runs = _cell(spec, THREE, "✓/✓/✓", "Xsub")
    records = {run.id: _ok(run.id, top1=value) for run, value in zip(runs, values, strict=True)}
    text = render_table(spec, THREE, records)
    assert round(100 * statistics.stdev(values), 1) == 2.6 != round(100 * statistics.pstdev(values), 1)
    assert _shown(text, spec, "✓/✓/✓", "Xsub") == "82.0 ± 2.6 / 80.3 (+1.7)"
    assert "- **Seeds:** 0, 1, 2; n = 3\n" in text
    assert "sample standard deviation of n = 3 seeds" in text


def test_missing_seeds_are_never_silent() -> None:
    spec = TABLES["7"]
    runs = _cell(spec, THREE, "✓/✓/✓", "Xsub")
    records = {run.id: _ok(run.id, top1=0.8) for run in runs[:2]}
    text = render_table(spec, THREE, records)
    assert _shown(text, spec, "✓/✓/✓", "Xsub") == "80.0 ± 0.0 (2/3) / 80.3"
    assert "`(k/3)` mean over only k of 3 seeds" in " ".join(text.split())
    one = render_table(spec, THREE, {runs[1].id: _ok(runs[1].id, top1=0.8)})
    assert _shown(one, spec, "✓/✓/✓", "Xsub") == "80.0 (1/3) / 80.3"
    records[runs[2].id] = _failed(runs[2].id, "OSError: disk full")
    assert _shown(render_table(spec, THREE, records), spec, "✓/✓/✓", "Xsub") == "80.0 ± 0.0 (2/3) ✗¹ / 80.3"


def test_failed_runs_have_a_footnote_with_the_last_line() -> None:
    spec = TABLES["7"]
    first, second = (_cell(spec, DEMO, "✓/✓/✓", column)[0].id for column in ("Xsub", "Xview"))
    other = _cell(spec, DEMO, "×/✓/✓", "Xsub")[0].id
    records = {
        first: _failed(first, "Traceback\n  File x\nValueError: a | b `c`\x1b[0m\n"),
        second: _failed(second, "ValueError: a | b `c`\x1b[0m"),
        other: _failed(other, ""),
    }
    text = render_table(spec, DEMO, records)
    # numbered in reading order; the same reason is said once
    assert _shown(text, spec, "×/✓/✓", "Xsub") == "✗¹"
    assert _shown(text, spec, "✓/✓/✓", "Xsub") == _shown(text, spec, "✓/✓/✓", "Xview") == "✗²"
    assert f"- ¹ `the record gives no reason` (`{other}`)\n" in text
    assert f"- ² `ValueError: a | b 'c' [0m` (`{first}` and 1 more)\n" in text
    assert "Traceback" not in text
    assert summary(spec, DEMO, records) == Summary(ok=0, missing=5, failed=3, skipped=0)


def test_a_failed_pretraining_is_shown_where_it_is_missed() -> None:
    """Through a fusion and an evaluation that therefore never ran."""
    spec = TABLES["1"]
    fusion = _cell(spec, DEMO, "Ours/3S", "NTU-60 xsub")[0]
    pretraining = fusion.members[2].encoder
    text = render_table(spec, DEMO, {pretraining.id: _failed(pretraining.id, "FloatingPointError: nan")})
    assert _shown(text, spec, "Ours/3S", "NTU-60 xsub") == _shown(text, spec, "Ours/M", "NTU-60 xsub") == "✗¹"
    assert _shown(text, spec, "Ours/J", "NTU-60 xsub") == "·"
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
    run = _cell(spec, DEMO, "✓/✓/✓", "Xsub")[0].id
    text = render_table(spec, DEMO, {run: record})
    assert _shown(text, spec, "✓/✓/✓", "Xsub") == "✗¹"
    assert reason in text


def test_skipped_cells_say_why(toy: Callable[..., TableSpec]) -> None:
    reason = Skip("SkeleMixCLR needs a (T', V) token grid, BiGRU has none")
    spec = toy(("A", "x", reason), ("A", "y", 2.0), ("B", "x", Skip("other")), ("B", "y", reason))
    text = render_table(spec, ONE, {})
    assert _grid(text) == [["Method", "x", "y"], ["A", "n/a¹", "·"], ["B", "n/a²", "n/a¹"]]
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
    text = render_table(spec, ONE, _all(spec, ONE))
    assert _shown(text, spec, "Baseline/J", "NTU-120 xsub") == "80.0 / –"
    assert _shown(text, spec, "Ours/J", "NTU-60 xsub") == "n/a¹ / 80.3"
    assert _shown(text, spec, "New/J", "elsewhere") == "80.0 / –"
    assert _shown(text, spec, "Ours/M", "NTU-60 xsub") == "– / 63.9"


@pytest.mark.parametrize("scale", ["demo", "smoke"])
def test_stand_ins_are_loud_and_alone(scale: str) -> None:
    spec, settings = TABLES["1"], Settings(scale=scale)
    text = render_table(spec, settings, _all(spec, settings, 0.5))
    assert f"> **NOT COMPARABLE WITH THE PAPER: synthetic stand-ins at {scale} scale.**" in text
    cells = {cell for line in _grid(text)[1:] for cell in line[2:]}
    assert cells == {"50.0", "–"}
    for printed in ("80.3", "68.3", "72.0", "39.1"):
        assert printed not in text
    assert "real recordings" not in text
    assert "40 subjects" not in text  # a fact about the real set


def test_rows_stand_in_the_papers_order_and_quoted_ones_are_marked() -> None:
    text = render_table(TABLES["1"], ONE, {})
    assert [line[:2] for line in _grid(text)[1:4]] == [["Baseline †", "J"], ["Baseline*", "J"], ["Ours", "J"]]
    assert "- † The paper took the numbers of this row from another publication.\n" in text
    assert "†" not in render_table(TABLES["15"], ONE, {})


def test_header_says_what_the_runs_say() -> None:
    text = " ".join(render_table(TABLES["1"], THREE, {}).split())
    assert "**Data:** real recordings: NTU RGB+D 60 xsub (20 of 40 subjects train), xview (" in text
    assert "**Recipe:** `paper` at scale `full` -" in text
    assert "stgcn of width 64, 64 frames, batch 128, 300 epochs; Baseline: stgcn of width 16, 50 frames" in text
    assert "`best-knn`, the one with the best KNN accuracy on the test set, as the paper does; Baseline: `last`" in text
    assert "linear `last`, of the last of 100 epochs; Baseline: linear `best`, of the one of 100 epochs that" in text
    assert "**KNN:**" not in text
    assert "**Cells:** 0 of 56 complete, 56 missing" in text
    for command in ("run   ", "render"):
        assert f"python bench.py {command}".rstrip() in text
    raw = render_table(TABLES["1"], THREE, {})
    assert "\npython bench.py render --table 1 --scale full --recipe paper --seeds 3\n" in raw
    assert "\npython bench.py run    --table 1 --scale full --recipe paper --seeds 3\n" in raw
    knn = render_table(TABLES["15"], ONE, {})
    assert "- **KNN:** k = 20, cosine similarity, embedding features\n" in knn


def test_under_official_no_row_differs() -> None:
    text = " ".join(render_table(TABLES["15"], Settings(recipe="official"), {}).split())
    assert "linear `best`, of the one of 150 epochs that does best on the test set" in text
    assert "**Checkpoint:** `last`, the one after the last epoch -" in text


def test_changed_settings_are_said_and_repeated_in_the_command() -> None:
    text = render_table(TABLES["7"], replace(DEMO, overrides=(("lam", 4.0), ("key_init", "a b"))), {})
    assert "- **Changed:** lam = 4.0, key_init = a b, in every method that has it\n" in text
    assert "--seeds 1 --set lam=4.0 --set 'key_init=a b'\n" in text
    assert "**Changed" not in render_table(TABLES["7"], DEMO, {})


def test_seeds_that_the_command_line_cannot_ask_for() -> None:
    text = render_table(TABLES["7"], replace(DEMO, seeds=(3, 5)), {})
    assert "python bench.py" not in text
    assert "seeds=(3, 5)" in text


def test_irds_has_no_paper_side_and_its_own_n() -> None:
    spec = TABLES["irds"]
    text = render_table(spec, THREE, _all(spec, THREE))
    head, *body = _grid(text)
    assert body[0] == ["Raw coordinates", *["80.0"] * (len(head) - 1)]
    assert all(line[1:] == ["80.0 ± 0.0"] * (len(head) - 1) for line in body[1:])
    assert "n = 3; Raw coordinates: n = 1" in text
    assert " / " not in "".join("".join(line) for line in body)
    assert summary(spec, THREE, _all(spec, THREE)) == Summary(len(body) * (len(head) - 1), 0, 0, 0)


def test_runs_are_listed() -> None:
    spec = TABLES["7"]
    runs = _cell(spec, THREE, "✓/✓/✓", "Xsub")
    records = {runs[0].id: _ok(runs[0].id, top1=0.8), runs[2].id: _failed(runs[2].id, "x")}
    text = render_table(spec, THREE, records)
    assert f"- ✓/✓/✓ · Xsub: `{runs[0].id}`, `{runs[1].id}` ·, `{runs[2].id}` ✗\n" in text
    assert "<summary>Runs (24)</summary>\n\n- " in text
    assert text.endswith("\n\n</details>\n")


@pytest.mark.parametrize("table", list(TABLES))
@pytest.mark.parametrize("scale", ["smoke", "demo", "full"])
def test_same_records_same_bytes(table: str, scale: str) -> None:
    """Whatever order, time, machine or seconds the records come with."""
    spec, settings = TABLES[table], Settings(scale=scale, seeds=(0, 1))
    records = _all(spec, settings, 0.123456789)
    gone, broken = list(records)[1], list(records)[3]
    del records[gone]
    records[broken] = _failed(broken, "ValueError: no")
    text = render_table(spec, settings, records)
    again = {
        run: record | {"seconds": 99.0, "environment": {"host": "b"}} for run, record in reversed(list(records.items()))
    }
    assert render_table(spec, settings, again).encode() == text.encode()
    assert all(line == line.rstrip() for line in text.splitlines())
    assert sum(line.startswith("|:-") for line in text.splitlines()) == 1
    head, *body = _grid(text)
    assert len(head) == len(spec.labels) + len({cell.column for cell in spec.cells(settings)})
    assert len(body) == len({cell.row for cell in spec.cells(settings)})


def test_prose_never_starts_a_block_by_accident(toy: Callable[..., TableSpec]) -> None:
    reason = "word " * 21 + "- # 1. > + 12) * end"
    text = render_table(toy(("A", "x", Skip(reason))), DEMO, {})
    assert reason.split() == re.search(r"- ¹ (.*?)\n(?=\n|-)", text, re.DOTALL).group(1).split()  # type: ignore[union-attr]
    assert not re.search(r"^ +([-#>+*]|\d+[.)])", text, re.MULTILINE)


def test_pipes_in_headings_do_not_make_cells(toy: Callable[..., TableSpec]) -> None:
    assert _grid(render_table(toy(("a|b", "c|d", 1.0)), DEMO, {})) == [["Method", r"c\|d"], [r"a\|b", "·"]]


def test_malformed_tables_are_refused(toy: Callable[..., TableSpec]) -> None:
    with pytest.raises(ValueError, match=r"row 'A'.*there twice"):
        render_table(toy(("A", "x", 1.0), ("A", "x", 2.0)), DEMO, {})
    with pytest.raises(ValueError, match="has no runs"):
        render_table(toy(("A", "x", 1.0)), replace(DEMO, seeds=()), {})
    with pytest.raises(ValueError, match="row 'A' does not have the labels Method/Stream"):
        render_table(toy(("A", "x", 1.0), labels=("Method", "Stream")), DEMO, {})
