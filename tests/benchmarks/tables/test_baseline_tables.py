"""Tables 1 and 2: every cell is the run that its row and column name, whatever the recipe asked for."""

from __future__ import annotations

import pytest

from benchmarks import recipes
from benchmarks.recipes import RECIPES, Settings
from benchmarks.runs import Evaluate, Pretrain
from benchmarks.tables import TABLES
from benchmarks.tables.baseline import STREAMS
from benchmarks.tables.table2 import COLUMNS


def pretrainings(table: str, recipe: str) -> dict[tuple[str, str], Pretrain]:
    """(row, column) -> the pretraining that a single-stream cell evaluates."""
    found = {}
    for cell in TABLES[table].cells(Settings(recipe=recipe)):
        (run,) = cell.seeds
        if isinstance(run, Evaluate):
            assert isinstance(run.encoder, Pretrain)
            assert (run.protocol, run.data) == ("linear", run.encoder.data)
            found[cell.row, cell.column] = run.encoder
    return found


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("table", ["1", "2"])
def test_methods_recipes_and_streams_of_the_rows(table: str, recipe: str) -> None:
    for (row, _), run in pretrainings(table, recipe).items():
        name, short = row.split("/")
        assert run.stream == STREAMS[short]
        assert run.method == ("skeattnclr" if name == "Ours" else "skeletonclr")
        its_own = {"Baseline": "official", "Baseline*": "paper", "Ours": recipe}[name]
        want = recipes.recipe_of(its_own, run.method, run.data.name, run.stream, run.backbone)
        assert (run.config, run.backbone_config, run.data.frames) == (want.config, want.backbone_config, want.frames)


@pytest.mark.parametrize("recipe", RECIPES)
def test_table_2_has_a_backbone_in_every_column(recipe: str) -> None:
    found = pretrainings("2", recipe)
    assert {(column, run.backbone) for (_, column), run in found.items()} == set(COLUMNS.items())
    assert len(found) == 3 * (1 + 2 * len(COLUMNS))


def test_tables_1_and_2_share_what_is_the_same() -> None:
    one, two = pretrainings("1", "paper"), pretrainings("2", "paper")
    for row in {row for row, _ in two}:
        assert two[row, "ST-GCN Xsub"] == one[row, "NTU-60 xsub"]
