"""Tables 5, 6 and 18: every cell is the run that it names, finetuned as its recipe says, judged on the right data."""

from __future__ import annotations

import pytest

from benchmarks.pages.render import render_table
from benchmarks.recipes import RECIPES, Settings
from benchmarks.recipes.finetuning import few_labels, finetuning
from benchmarks.recipes.sizes import DEMO, SMOKE
from benchmarks.runs import Evaluate, Fuse, Pretrain, Untrained, from_spec
from benchmarks.tables import TABLES
from protocols import finetune, semi
from tests.benchmarks.pages.rendering import ok


def evaluations(table: str, recipe: str = "paper") -> dict[tuple[str, str], list[Evaluate]]:
    """(row, column) -> the evaluations behind the cell."""
    found = {}
    for cell in TABLES[table].cells(Settings(recipe=recipe)):
        (run,) = cell.seeds
        members = list(run.members) if isinstance(run, Fuse) else [run]
        found[cell.row, cell.column] = [member for member in members if isinstance(member, Evaluate)]
    return found


@pytest.mark.parametrize("recipe", RECIPES)
def test_table_5_labels_a_share_and_fuses_three_streams(recipe: str) -> None:
    for (row, _), runs in evaluations("5", recipe).items():
        assert [run.encoder.stream for run in runs] == ["joint", "bone", "motion"]
        for run in runs:
            assert isinstance(run.config, semi.Config)
            assert run.config.share == {"1%": 0.01, "10%": 0.1}[row.split("/")[1]]
            assert run.config.draw == {"paper": "derived", "official": "released"}[recipe]


@pytest.mark.parametrize("table", ["5", "6"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_without_pretraining_batchnorm_follows_the_batches(table: str, recipe: str) -> None:
    for (row, _), runs in evaluations(table, recipe).items():
        for run in runs:
            config = run.config if isinstance(run.config, finetune.Config) else run.config.finetune
            scratch = "ST-GCN" in row
            assert isinstance(run.encoder, Untrained if scratch else Pretrain)
            frozen = recipe == "official" and not scratch and "HiCLR" not in row
            assert config.batchnorm == ("frozen" if frozen else "batch")


@pytest.mark.parametrize("recipe", RECIPES)
def test_table_18_pretrains_on_ntu60_and_judges_on_pku_by_the_same_split(recipe: str) -> None:
    for (_, column), (run,) in evaluations("18", recipe).items():
        protocol, _, part, split = column.lower().split()
        assert isinstance(run.encoder, Pretrain)
        assert (run.encoder.data.name, run.encoder.data.split) == ("ntu60", split)
        assert (run.protocol, run.data.name, run.data.split) == (protocol, {"i": "pku1", "ii": "pku2"}[part], split)
        assert run.data.frames == run.encoder.data.frames


@pytest.mark.parametrize("table", ["5", "6", "18"])
def test_specs_survive_the_way_through_a_file(table: str) -> None:
    for runs in evaluations(table, "official").values():
        for run in runs:
            assert from_spec(run.spec()) == run


def test_released_settings_of_skeattnclr() -> None:
    """Spot checks against its configuration files."""

    def found(data: str, split: str, stream: str, share: float | None = None) -> tuple[float, tuple[int, ...], int]:
        config = finetuning("official", "skeattnclr", data, split, stream, None, share)
        assert (config.schedule, config.sgd.weight_decay, config.report) == ("milestones", 0.0, "best")
        return config.sgd.lr, config.sgd.milestones, config.epochs

    assert found("ntu60", "xsub", "joint") == found("pku1", "xsub", "joint") == (0.008, (60, 100), 150)
    assert found("ntu60", "xview", "joint") == (0.005, (60, 100), 150)
    assert found("ntu120", "xset", "joint") == (0.01, (60, 100), 150)
    assert found("ntu120", "xset", "motion") == (0.003, (60, 100), 150)
    assert found("ntu60", "xview", "joint", 0.01) == (0.05, (10, 60, 110), 150)
    assert found("ntu60", "xsub", "bone", 0.01) == (0.02, (13, 80, 120), 150)
    assert found("ntu60", "xsub", "joint", 0.1) == (0.01, (60, 100), 150)


def test_released_settings_of_the_others() -> None:
    def found(method: str, share: float | None = None) -> finetune.Config:
        return finetuning("official", method, "ntu60", "xsub", "joint", None, share)

    assert (found("hiclr").batchnorm, found("hiclr").epochs, found("hiclr").warmup) == ("batch", 70, 5)
    assert [found("hiclr").rate(epoch, []) for epoch in (28, 29, 53, 54)] == pytest.approx([0.1, 0.01, 0.01, 0.001])
    assert (found("skelemixclr").sgd.nesterov, found("skelemixclr").warmup) == (True, 10)
    assert [found("skelemixclr", share).epochs for share in (None, 0.01, 0.1)] == [110, 150, 150]
    assert (found("skelemixclr", 0.01).sgd.lr, found("skelemixclr", 0.01).sgd.weight_decay) == (0.05, 0.0)
    assert found("skelemixclr", 0.1).sgd.milestones == (80,)
    assert found("aimclr").sgd.lr == 0.1
    for method, seed in (("skeattnclr", 2), ("skelemixclr", 2), ("aimclr", 0)):
        assert few_labels("official", method, "ntu60", "xsub", "joint", None, 0.1).released_seed == seed


def test_a_size_scales_what_counts_epochs() -> None:
    config = finetuning("official", "skeattnclr", "ntu60", "xsub", "joint", DEMO)
    assert (config.epochs, config.sgd.milestones) == (6, (2, 4))
    assert few_labels("paper", "skeattnclr", "ntu60", "xsub", "joint", SMOKE, 0.01).share == 0.25
    few = few_labels("paper", "skeattnclr", "ntu60", "xsub", "joint", SMOKE, 0.1)
    assert (few.share, few.finetune.batch) == (0.5, 8)


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_weighting_of_a_fusion_is_a_run_of_its_own(recipe: str) -> None:
    for table in ("1", "3", "5", "6"):
        weights: dict[tuple[str, str], tuple[float, ...]] = {}
        for cell in TABLES[table].cells(Settings(recipe=recipe)):
            (run,) = cell.seeds
            if isinstance(run, Fuse):
                weights[cell.row, cell.column] = run.weights
                assert [member.encoder.stream for member in run.members] == ["joint", "bone", "motion"]
        for (row, column), given in weights.items():
            if "released weights" not in row:
                assert given == (0.5, 0.5, 0.5)
            elif row.startswith("Ours"):
                assert given == ((0.5, 0.5, 0.4) if column.endswith(" xsub") or "PKU" in column else (1.0, 0.2, 0.2))
            else:
                assert given == (0.6, 0.6, 0.4)


def test_the_header_says_how_was_finetuned_and_how_many_labels_there_were() -> None:
    settings = Settings()
    records = {run.id: ok(run.id, top1=0.5, labelled=399, classes_without=2)
               for runs in evaluations("5").values() for run in runs}  # fmt: skip
    text = " ".join(render_table(TABLES["5"], settings, records).split())
    for share in ("1 %", "10 %"):
        assert f"{share} of every class (draw `derived`): 399 sequences of ntu60 xsub, **2 classes without" in text
    assert "**Finetuning:** learning rate 0.05, lower when the loss has not fallen for 10 epochs, batch 128" in text
    assert "BatchNorm follows the batches -" in text
    assert "semi `last`, of the last of 150 epochs" in text
    assert "**Labels:**" not in render_table(TABLES["6"], settings, records)
    released = " ".join(render_table(TABLES["6"], Settings(recipe="official"), {}).split())
    assert "warm-up 5 epochs, lower after 29, 54 epochs" in released
    assert "BatchNorm keeps the statistics of pretraining" in released
