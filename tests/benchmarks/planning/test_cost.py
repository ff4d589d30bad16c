"""The cost of runs: finite for every run of every table, and proportional to what makes a run long."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from backbones import Backbone
from benchmarks import recipes
from benchmarks.datasets.standin import synthetic
from benchmarks.planning.cost import clips, cost
from benchmarks.planning.plan import Plan
from benchmarks.recipes import RECIPES, SCALES, Settings
from benchmarks.running.execute import build_method
from benchmarks.runs import Data
from benchmarks.tables import TABLES
from methods import METHODS, At

FULL = Settings()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_run_costs_something_and_pretraining_most(recipe: str, scale: str) -> None:
    plan = Plan.of(TABLES.values(), Settings(recipe, scale))
    costs = {run_id: cost(run) for run_id, run in plan.runs.items()}
    assert all(0 < seconds < math.inf for seconds in costs.values())
    assert plan.seconds() == pytest.approx(sum(costs.values()))
    if scale == "full":
        kinds = {kind: sum(c for i, c in costs.items() if i.startswith(kind)) for kind in ("pretrain", "evaluate")}
        assert kinds["pretrain"] > kinds["evaluate"] > 0


def test_it_grows_with_epochs_width_frames_and_labels() -> None:
    run = recipes.pretraining(FULL, "skeattnclr", "ntu60", "xsub", "joint", 0)
    assert cost(replace(run, epochs=600)) == pytest.approx(2 * cost(run), rel=0.01)
    narrow = replace(run, backbone_config=replace(run.backbone_config, width=16))
    assert cost(run) / cost(narrow) == pytest.approx(3.6, rel=0.1)
    short = replace(run, data=replace(run.data, frames=32))
    assert cost(run) / cost(short) == pytest.approx(2, rel=0.1)
    few = [recipes.evaluation(FULL, "semi", run, "ntu60", "xsub", share) for share in (0.01, 0.1)]
    whole = recipes.evaluation(FULL, "finetune", run, "ntu60", "xsub")
    assert cost(few[0]) < cost(few[1]) < cost(whole)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_knows_how_often_it_passes_through_a_backbone(method: str, recipe: str) -> None:
    changed = (("streams", 2),) if (method, recipe) == ("crossclr", "paper") else ()
    run = recipes.pretraining(Settings(recipe, "smoke", overrides=changed), method, "ntu60", "xsub", "joint", 0)
    trained, counted = build_method(run), []
    for part in trained.modules():
        if isinstance(part, Backbone):
            part.register_forward_hook(lambda *_: counted.append(3 if torch.is_grad_enabled() else 1))
    x, cast = synthetic.generate("ntu60", "smoke", run.data.frames)
    views = trained.views(torch.from_numpy(x[:8]), torch.Generator().manual_seed(0))
    trained.loss(views | {"labels": torch.tensor(cast["label"].to_numpy()[:8])}, At(0, 0, 1, 1))
    assert sum(counted) == trained.passes(run.config)


def test_clips_are_those_of_the_split() -> None:
    assert clips(Data("ntu60", "xsub", 64)) == (40_091, 16_487)
    assert clips(Data("ntu60", "xsub", 16, "smoke")) == (56, 32)
