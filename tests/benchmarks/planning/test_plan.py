"""Plans: counts before and after sharing, order, what is left to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.planning.plan import Plan
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.runs import Evaluate, Pretrain
from benchmarks.tables import TABLES

SETTINGS = Settings("paper", "full")
PAPER = tuple(table for table, spec in TABLES.items() if spec.paper)  # of its 343 cells the paper fills 263


@pytest.mark.parametrize(
    ("tables", "cells", "naive", "shared"),
    [
        (("1",), 62, (102, 102, 20), (42, 42, 20)),
        (("3",), 64, (124, 128, 32), (68, 72, 32)),
        (("4",), 28, (24, 28, 0), (24, 28, 0)),
        (("1", "3", "4"), 154, (250, 258, 52), (86, 118, 40)),
        (("5",), 28, (72, 84, 28), (24, 60, 28)),
        (("6",), 60, (116, 132, 36), (60, 72, 36)),
        (("7",), 8, (8, 8, 0), (8, 8, 0)),
        (("15",), 20, (20, 20, 0), (10, 20, 0)),
        (("16",), 20, (20, 20, 0), (10, 20, 0)),
        (("17",), 16, (16, 16, 0), (8, 16, 0)),
        (("18",), 16, (16, 16, 0), (4, 16, 0)),
        (("1", "7", "15", "16", "17"), 126, (166, 166, 20), (70, 94, 20)),
        (PAPER, 343, (539, 575, 116), (130, 328, 104)),
    ],
)
def test_counts(tables: tuple[str, ...], cells: int, naive: tuple[int, ...], shared: tuple[int, ...]) -> None:
    plan = Plan.of([TABLES[table] for table in tables], SETTINGS)
    assert sum(map(len, plan.tables.values())) == cells
    assert tuple(plan.counts().values()) == tuple(zip(naive, shared, strict=True))


def test_tables_1_and_7_share_the_complete_method() -> None:
    plan = Plan.of([TABLES["1"], TABLES["7"]], SETTINGS)
    common = [plan.runs[run_id] for run_id, tables in plan.users.items() if tables == ["1", "7"]]
    pretrainings = [run for run in common if isinstance(run, Pretrain)]
    assert {(run.method, run.data.name, run.data.split, run.stream) for run in pretrainings} == {
        ("skeattnclr", "ntu60", "xsub", "joint"),
        ("skeattnclr", "ntu60", "xview", "joint"),
    }
    assert len(common) == 4
    assert "4 runs serve more than one table" in plan.describe()


@pytest.mark.parametrize("recipe", ["paper", "official"])
@pytest.mark.parametrize("table", ["7", "15", "16", "17"])
def test_rows_of_an_ablation_are_different_runs(table: str, recipe: str) -> None:
    ids = [run.id for cell in TABLES[table].cells(Settings(recipe, "full")) for run in cell.seeds]
    assert len(set(ids)) == len(ids)


def test_parents_come_first() -> None:
    plan = Plan.of(TABLES.values(), SETTINGS)
    seen: set[str] = set()
    for run in plan.runs.values():
        assert all(parent.id in seen for parent in run.parents)
        seen.add(run.id)


def record(store: Store, run_id: str, status: str = "ok") -> None:
    store.write_record({"run": run_id, "status": status, "metrics": {"top1": 0.5}, "error": "boom"})


def test_todo_skips_results_but_rebuilds_what_others_read(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), Plan.of([TABLES["7"]], SETTINGS)
    store.prepare()
    assert [run.id for run in plan.todo(store)] == list(plan.runs)
    for run_id in plan.runs:
        record(store, run_id)
    assert plan.todo(store) == []  # results alone are enough to render
    evaluation = next(run for run in plan.runs.values() if run.parents)
    (store.records / f"{evaluation.id}.json").unlink()
    assert plan.todo(store) == [evaluation.parents[0], evaluation]  # its encoder is not there any more
    for product in store.products(evaluation.parents[0]):
        product.parent.mkdir(parents=True, exist_ok=True)
        product.touch()
    assert plan.todo(store) == [evaluation]


def test_failed_runs_and_their_children_wait_for_retry(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), Plan.of([TABLES["7"]], SETTINGS)
    store.prepare()
    pretraining = next(iter(plan.runs.values()))
    record(store, pretraining.id, "failed")
    assert len(plan.todo(store)) == 14
    assert len(plan.todo(store, retry_failed=True)) == 16


def test_what_a_table_varies_goes_before_set() -> None:
    settings = Settings(scale="smoke", overrides=(("mu", 0.5), ("tau", 0.3), ("epochs", 7)))
    configs = {
        cell.row: run.encoder
        for cell in TABLES["16"].cells(settings)
        for run in cell.seeds
        if isinstance(run, Evaluate) and isinstance(run.encoder, Pretrain)
    }
    assert len({encoder.config.mu for encoder in configs.values()}) == len(configs) == 5
    assert {encoder.config.tau for encoder in configs.values()} == {0.3}
    assert {encoder.epochs for encoder in configs.values()} == {7}


def test_one_table_tells_which_runs_it_shares_with_others() -> None:
    plan = Plan.of([TABLES["3"]], SETTINGS)
    text = plan.describe(Plan.of([TABLES["1"], TABLES["4"]], SETTINGS), every=True)
    lines = text.partition("of these runs serve other tables too:\n")[2].splitlines()
    shared = Plan.of([TABLES["1"], TABLES["3"]], SETTINGS)
    with_table_1 = [run_id for run_id, tables in shared.users.items() if len(tables) == 2]
    assert (
        len(with_table_1) == 24 + 24 + 12
    )  # two methods, four columns, three streams: pretrained, judged, fused (ours twice)
    assert {line.split()[0] for line in lines if "1" in line.split("  ")[2]} == set(with_table_1)
    assert any("table 4  linear" not in line and "tables 1, 4  skeattnclr" in line for line in lines)


def test_what_thousands_of_runs_share_is_counted_by_table() -> None:
    text = Plan.of([TABLES["1"], TABLES["3"]], Settings("paper", "full", tuple(range(10)))).describe()
    few = Plan.of([TABLES["1"], TABLES["3"]], SETTINGS).describe(every=True)
    assert "60 runs serve more than one table:\n  pretrain-" in few
    assert "600 runs serve more than one table:\n  tables 1, 3: 240 pretrainings, 240 evaluations, 120 fusions" in text


def test_what_makes_no_sense_is_not_planned_and_says_why() -> None:
    cells = Plan.of([TABLES["7"]], Settings(overrides=(("heads", 7),)))
    assert set(cells.skips().values()) == {"SkeAttnCLR's 7 attention heads do not divide the width 256"}
    assert not cells.runs
    crossed = Plan.of([TABLES["3"]], Settings(overrides=(("streams", 2),)))
    assert not crossed.skips()  # the joint stream is among the two
