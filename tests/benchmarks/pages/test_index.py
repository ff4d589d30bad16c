"""The page of a results folder: what it says of measured, old and missing runs, and that it goes stale aloud."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import bench
from benchmarks import recipes
from benchmarks.campaign import Campaign
from benchmarks.pages.index import Picture, render_index
from benchmarks.pages.outcomes import summary
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running import execute
from benchmarks.runs import Raw
from benchmarks.tables import TABLES
from tests.benchmarks.pages.rendering import DEMO, ONE, THREE, Records, failed, grid, ok, runs_of

AMD = {"device": "cpu", "cpu": "AMD EPYC", "cores": 2, "threads": 1}
H100 = {"device": "NVIDIA H100", "cpu": "Intel Xeon", "cores": 16, "threads": 4}


def done(run: Any, hours: float = 1.0, day: str | None = "2026-07-30", **more: Any) -> dict[str, Any]:
    """A record as execute writes it."""
    record = ok(run.id, top1=0.5) | {"seconds": 3600 * hours, "environment": AMD, "spec": run.spec()}
    record |= {"code": {"commit": "0123456789abcdef", "dirty": False}} | more
    return record | ({"finished": f"{day}T01:02:03+00:00"} if day else {})


def by_id(*records: dict[str, Any]) -> Records:
    return {record["run"]: record for record in records}


def row(text: str, table: str) -> list[str]:
    return next(line for line in grid(text) if line[0] == table)


def test_nothing_measured() -> None:
    text = render_index(ONE, {}, [])
    assert [line[0] for line in grid(text)[1:]] == list(TABLES)
    assert row(text, "7")[2:] == ["0 of 8: only the paper's numbers", "0 of 8", *["–"] * 5]
    assert row(text, "irds")[2:4] == [f"0 of {summary(TABLES['irds'], ONE, {}).missing}: nothing yet", "–"]
    assert "In total 0 runs, each counted once: no time." in text
    assert "](" not in text
    assert "## Figures" not in text
    assert "## Speed" not in text


def test_a_measured_table() -> None:
    spec = TABLES["7"]
    seeds = runs_of(spec, THREE, "✓/✓/✓", "Xsub")
    other = runs_of(spec, THREE, "×/✓/✓", "Xview")[0]
    broken = runs_of(spec, THREE, "×/✓/✓", "Xsub")[0]
    records = by_id(
        *(done(run) for run in seeds),
        done(seeds[0].encoder, 10.0, "2026-08-02", environment=H100, code={"commit": "fedcba98", "dirty": True}),
        done(other, day=None, environment={"device": "cpu", "cores": 8}, code={}),
        failed(broken.id, "ValueError: no"),
    )
    text = render_index(THREE, records, ["tables/table-7.md", "tables/table-1-lam=4.md"])
    assert row(text, "[7](tables/table-7.md)")[1:] == [
        "Loss terms of the local contrast, NTU-60 joint",
        "2 of 8, 1 failed",
        "2 of 8",
        "1 to 3",
        "2026-08-02, of 2 runs not recorded",
        "`0123456`; not recorded; `fedcba9`+",
        "AMD EPYC, 2 cores; CPU not recorded; CPU not recorded, 8 cores and 1 more",
        "4.0 CPU core-hours, 10.0 GPU-hours",
    ]
    # the complete method is a row of Table 15 too: its runs count there, and once in all
    assert row(text, "15")[2:5] == ["1 of 20", "1 of 20", "3"]
    assert row(text, "15")[-1] == "3.0 CPU core-hours, 10.0 GPU-hours"
    assert "In total 6 runs, each counted once: 4.0 CPU core-hours, 10.0 GPU-hours." in text
    assert row(text, "1")[3] == "1 of 56"


def test_cells_that_the_paper_leaves_empty_are_not_its() -> None:
    run = runs_of(TABLES["4"], ONE, "Random", "NTU-60 xsub")[0]
    assert row(render_index(ONE, by_id(done(run)), []), "4")[2:4] == ["1 of 28", "0 of 18"]


def test_cores_that_a_run_keeps_busy_count() -> None:
    run = runs_of(TABLES["7"], ONE, "×/✓/✓", "Xsub")[0]
    text = render_index(ONE, by_id(done(run, 0.5, environment=AMD | {"threads": 8})), [])
    assert row(text, "7")[-1] == "4.0 CPU core-hours"
    assert row(render_index(ONE, by_id(done(run, 0.01)), []), "7")[-1] == "under 0.1 CPU core-hours"


def test_a_training_that_rounded_says_so() -> None:
    run = runs_of(TABLES["7"], ONE, "×/✓/✓", "Xsub")[0]
    text = render_index(ONE, by_id(done(run, environment=AMD | {"amp": "bf16", "compiled": True})), [])
    assert "AMD EPYC, 2 cores, trained in bf16, compiled" in text


def test_the_official_recipe_is_there_when_it_was_measured() -> None:
    """A run of recipe paper is no reason: Table 1's Baseline is official in both, and Table 3's SkeletonCLR in one."""
    official = replace(ONE, recipe="official")
    shared = runs_of(TABLES["1"], ONE, "Baseline/J", "NTU-60 xsub")[0]
    assert shared in runs_of(TABLES["1"], official, "Baseline/J", "NTU-60 xsub")
    assert not any(line[0].endswith("official") for line in grid(render_index(ONE, by_id(done(shared)), [])))
    own = runs_of(TABLES["7"], official, "✓/✓/✓", "Xsub")[0]
    text = render_index(ONE, by_id(done(own)), ["tables/table-7-official.md"])
    there = row(text, "[7-official](tables/table-7-official.md)")
    assert there[1:3] == ["Loss terms of the local contrast, NTU-60 joint, recipe official", "1 of 8"]
    assert row(text, "7")[2] == "0 of 8: only the paper's numbers"


def test_records_of_no_table_are_said() -> None:
    assert "1 run more belong to none of these tables." in render_index(ONE, {"x": {"run": "x", "seconds": 9.0}}, [])


def test_stand_ins_are_said_and_the_papers_word_is_not() -> None:
    text = render_index(DEMO, {}, [])
    assert "**Synthetic stand-ins at demo scale: nothing here compares with the paper.**" in text
    assert row(text, "7")[2] == "0 of 8: nothing yet"


def test_settings_tables() -> None:
    text = render_index(ONE, {}, ["tables/table-8.md"])
    assert grid(text, 1)[1] == [
        "[8](tables/table-8.md)",
        "Parameters setting for contrastive learning framework",
        "6 settings, none differs from the paper",
    ]
    assert grid(text, 1)[7][2] == "8 settings, 1 differs from the paper: dropout"


def test_figures() -> None:
    pictures = [Picture("Training", "How it went.", ("a", "b"), 4, 3), Picture("Later", "Not yet.", ("c",))]
    files = ["figures/z.png", "figures/a.png", "figures/a.svg", "figures/b.png", "throughput/t.md", "throughput/t.png"]
    text = render_index(ONE, {}, files, pictures)
    assert text.partition("## Figures\n\n")[2] == (
        "### Training\n\nHow it went. Runs: 3 of 4 measured.\n\n[![Training](figures/a.png)](figures/a.svg)\n\n"
        "![Training](figures/b.png)\n\n### Later\n\nNot yet. Not drawn yet.\n\n![z](figures/z.png)\n\n"
        "## Speed\n\n- [t](throughput/t.md)\n"
    )


def test_same_input_same_bytes() -> None:
    runs = [*runs_of(TABLES["7"], THREE, "✓/✓/✓", "Xsub"), *runs_of(TABLES["7"], THREE, "×/✓/✓", "Xsub")]
    records = by_id(*(done(run, 0.1, environment=AMD | {"cores": i}) for i, run in enumerate(runs)))
    files = ["tables/table-7.md", "figures/b.png", "figures/a.png", "throughput/y.md", "throughput/x.md"]
    text = render_index(THREE, records, files)
    assert render_index(THREE, dict(reversed(records.items())), files[::-1]).encode() == text.encode()


def test_the_page_depends_on_the_folder_alone(tmp_path: Path) -> None:
    """Not on the tables, seeds, recipe or --set of the call: all seeds that have records count."""
    store = Store(tmp_path)
    store.prepare()
    run = runs_of(TABLES["7"], Settings(seeds=(4,)), "✓/✓/✓", "Xsub")[0]
    store.write_record(done(run))
    asked = [
        ([], Settings()),
        ([TABLES["7"]], Settings(recipe="official", seeds=(0, 1), overrides=(("lam", 4.0),))),
    ]
    first, second = (Campaign(specs, settings, tmp_path, tmp_path).index() for specs, settings in asked)
    assert first == second
    assert row(first[tmp_path / "README.md"], "7")[2] == "1 of 8"


def test_check_finds_a_stale_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["render", "--table", "8", "--scale", "full", "--out", str(tmp_path)]
    page = tmp_path / "README.md"
    assert bench.main(words) == 0
    assert "[8](tables/table-8.md)" in page.read_text()
    assert bench.main([*words, "--check"]) == 0
    run = runs_of(TABLES["7"], ONE, "✓/✓/✓", "Xsub")[0]
    store = Store(tmp_path)
    store.prepare()
    store.write_record(done(run))
    capsys.readouterr()
    assert bench.main([*words, "--check"]) == bench.MISSING
    assert "README.md is not what the records say" in capsys.readouterr().out
    assert bench.main(words) == 0
    assert "AMD EPYC" in page.read_text()
    assert bench.main([*words, "--check"]) == 0
    page.unlink()
    assert bench.main([*words, "--check"]) == bench.MISSING


@pytest.mark.parametrize("status", ["ok", "failed"])
def test_a_run_leaves_date_and_machine(tmp_path: Path, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no")

    if status == "failed":
        monkeypatch.setattr(execute, "_perform", fail)
    run = recipes.evaluation(Settings(scale="smoke"), "raw", Raw("joint"), "irds", "xsub")
    store = Store(tmp_path)
    store.prepare()
    store.write_spec(run)
    assert execute.execute(str(tmp_path), run.id, machine=execute.Machine()) == status
    record = store.record(run.id)
    assert record is not None
    assert record["environment"]["cpu"]
    finished = datetime.fromisoformat(record["finished"])
    assert finished.tzinfo == UTC
    assert finished.microsecond == 0
    assert abs((datetime.now(UTC) - finished).total_seconds()) < 600
    text = render_index(Settings(scale="smoke"), {run.id: record}, [])
    assert row(text, "irds")[5] == record["finished"][:10]
    assert record["environment"]["cpu"] in row(text, "irds")[7]
