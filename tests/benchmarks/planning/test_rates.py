"""A profile becomes speeds: pretraining at the measured rate, everything else in proportion, wrong files explained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import recipes
from benchmarks.names import UnknownName
from benchmarks.planning import rates
from benchmarks.planning.cost import CORE, cost, step_of
from benchmarks.recipes import Settings
from benchmarks.runs import Pretrain

FULL = Settings()
HEAD = "method,backbone,samples/s\n"
COMMITTED = Path(__file__).parents[3] / "results" / "throughput" / "train-amd-epyc-2-cores.csv"


def run_of(method: str, backbone: str = "stgcn", settings: Settings = FULL) -> Pretrain:
    return recipes.pretraining(settings, method, "ntu60", "xsub", "joint", 0, backbone)


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_a_step_takes_what_was_measured(recipe: str) -> None:
    settings, found = Settings(recipe), rates.read(COMMITTED)
    assert len(found) == 19  # seven methods on three backbones, two of which need a grid
    speeds = rates.speeds(found, settings, [])
    for (method, backbone), rate in found.items():
        run = run_of(method, backbone, settings)
        assert step_of(run, speeds) == pytest.approx(run.batch / rate), (method, backbone)


def test_a_pretraining_takes_clips_times_epochs_over_rate(tmp_path: Path) -> None:
    file = tmp_path / "gpu.csv"
    file.write_text(f"{HEAD}skeattnclr,stgcn,1000\n")
    run = replace(run_of("skeattnclr"), monitor_every=300)
    seconds = cost(run, rates.speeds(rates.read(file), FULL, [run]))
    # whole batches only, and the one KNN evaluation: a forward pass of 56,578 clips, a seventh of a step each
    assert seconds == pytest.approx(300 * (40_091 // 128) * 128 / 1000 + 56_578 / 7 / 1000, rel=0.001)


def test_evaluations_go_at_the_median_speed_of_their_backbone(tmp_path: Path) -> None:
    file = tmp_path / "gpu.csv"
    slower = {"skeletonclr": 1 / 10, "crossclr": 1 / 40, "skeattnclr": 1 / 20}  # than one core
    lines = [f"{m},stgcn,{1 / (step_of(run_of(m)) / run_of(m).batch * f)}\n" for m, f in slower.items()]
    file.write_text(HEAD + "".join(lines) + f"skeletonclr,bigru,{128 / step_of(run_of('skeletonclr', 'bigru'))}\n")
    speeds = rates.speeds(rates.read(file), FULL, [])
    assert speeds.backbones["stgcn"].clip == pytest.approx(CORE.backbones["stgcn"].clip / 20)
    assert speeds.backbones["bigru"] == pytest.approx(CORE.backbones["bigru"])
    finetuned = recipes.evaluation(FULL, "finetune", run_of("crossclr"), "ntu60", "xsub")
    assert cost(finetuned) / cost(finetuned, speeds) == pytest.approx(20, rel=0.001)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column method, backbone, samples/s"),
        ("# Training\n\n", "has no column method, backbone, samples/s: .* are needed; make one with"),
        ("method,backbone,rate\nskeletonclr,stgcn,5\n", "has no column samples/s: "),
        (
            f"{HEAD}skeletonclr,stgcn,5\nskeattnclr,stgcn,fast\n",
            "line 3: samples/s must be a number above 0, got 'fast'",
        ),
        (f"{HEAD}skeletonclr,stgcn,0\n", "line 2: samples/s must be a number above 0, got '0'"),
        (f"{HEAD}skeletonclr,stgcn,inf\n", "a number above 0, got 'inf'"),
        (f"{HEAD}skeletonclr,stgcn,5\nskeletonclr,stgcn,6\n", "line 3: skeletonclr on stgcn is there twice"),
        (HEAD, "has no samples/s of any method"),
        (f"{HEAD}aimclr,bigru,\n", "has no samples/s of any method"),
        ("method,backbone,samples/s\n\xff", "is no CSV file"),
    ],
)
def test_wrong_files(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "profile.csv"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=message):
        rates.read(file)


def test_names_that_do_not_exist(tmp_path: Path) -> None:
    file = tmp_path / "profile.csv"
    file.write_text(f"{HEAD}skeletoncrl,stgcn,5\n")
    with pytest.raises(UnknownName, match="Did you mean 'skeletonclr'"):
        rates.read(file)
    file.write_text(f"{HEAD}skeletonclr,stgnc,5\n")
    with pytest.raises(UnknownName, match="Did you mean 'stgcn'"):
        rates.read(file)
    file.write_text(f"{HEAD}skeletonclr\n")
    with pytest.raises(UnknownName, match="Unknown backbone ''"):
        rates.read(file)


def test_no_file_and_the_page_beside_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no .*gpu\.csv; make one with: python bench\.py profile train"):
        rates.read(tmp_path / "gpu.csv")
    (tmp_path / "gpu.csv").write_text(HEAD)
    (tmp_path / "gpu.md").write_text("# Training\n")
    with pytest.raises(ValueError, match=r"did you mean .*gpu\.csv"):
        rates.read(tmp_path / "gpu.md")


def test_a_run_without_a_rate_is_named() -> None:
    found = {("skeletonclr", "stgcn"): 5.0}
    untrained = recipes.untrained(FULL, "skeletonclr", "ntu60", "joint", 0)
    judged = recipes.evaluation(FULL, "knn", untrained, "ntu60", "xsub")
    runs = [run_of("skeattnclr"), run_of("skeletonclr", "dsta"), run_of("skeletonclr"), judged]
    with pytest.raises(ValueError, match="no samples/s of skeattnclr on stgcn, skeletonclr on dsta; make one"):
        rates.speeds(found, FULL, runs)
    assert rates.speeds(found, FULL, runs[2:])
    with pytest.raises(ValueError, match="no samples/s of stgcn"):
        rates.speeds({("skeletonclr", "dsta"): 5.0}, FULL, runs[3:])
