"""A training that diverges fails, with the epoch and what to try; no table shows a number of it, no mean hides it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import bench
from benchmarks import recipes
from benchmarks.datasets import catalog
from benchmarks.pages.render import render_table
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running import execute as execution
from benchmarks.running.execute import Machine, execute
from benchmarks.runs import Evaluate, Pretrain
from benchmarks.tables import Cell, TableSpec
from protocols.sgd import SGD

SETTINGS = Settings(scale="smoke", seeds=(0, 1))
TOLD = r"(epoch \d+.*lower.*learning rate)"


def evaluations(protocol: str = "linear", **changes: object) -> list[Evaluate]:
    """One per seed, on a pretraining with these changes."""
    found = []
    for seed in SETTINGS.seeds:
        encoder = recipes.pretraining(SETTINGS, "skeletonclr", "ntu60", "xsub", "joint", seed)
        run = recipes.evaluation(SETTINGS, protocol, encoder, "ntu60", "xsub")
        found.append(replace(run, encoder=replace(encoder, **changes)))
    return found


def done(root: Path, *runs: Pretrain | Evaluate) -> Store:
    """The folder after these runs, and what they need, were tried."""
    store = Store(root)
    store.prepare()
    for run in runs:
        for step in (*run.parents, run):
            store.write_spec(step)
            execute(str(root), step.id, machine=Machine())
    return store


def cell(store: Store, runs: list[Evaluate]) -> str:
    """The one cell of a table of these runs, and its footnote."""
    table = TableSpec("toy", "Toy", ("method",), (("ntu60", "xsub"),), lambda settings: [Cell("A", "x", tuple(runs))])
    text = render_table(table, SETTINGS, store.briefs())
    found = re.search(r"^\| A +\| +(.*?) +\|$", text, re.MULTILINE)
    assert found, text
    return found[1]


@pytest.mark.parametrize("rate", [1e12, 1e20, 1e30, 1e38, 1e300])
def test_a_rate_that_is_far_too_high(rate: float, tmp_path: Path) -> None:
    runs = evaluations(sgd=SGD(lr=rate))
    store = done(tmp_path, *runs)
    for run in runs:
        record = store.record(run.encoder.id)
        assert record
        assert record["status"] == "failed", record["metrics"]
        assert re.search(TOLD, record["error"]), record["error"]
        assert "metrics" not in record
        assert not store.record(run.id)
        assert not list(store.folder(run.encoder.id).glob("*.safetensors"))
    assert re.fullmatch("✗[¹²]( ✗[¹²])?", cell(store, runs))


@pytest.mark.parametrize("rate", [1e20, 1e38])
def test_the_only_step_after_a_finite_loss(rate: float, tmp_path: Path) -> None:
    """No further loss tells of it: the weights do, or the features that the monitor looks at."""
    train = catalog.splits("ntu60", "xsub", 16, tmp_path, "smoke").train
    runs = evaluations(sgd=SGD(lr=rate), batch=len(train.rows), epochs=1)
    store = done(tmp_path, *runs)
    for run in runs:
        record = store.record(run.encoder.id)
        assert record
        assert record["status"] == "failed", record["metrics"]
        assert re.search("after " + TOLD, record["error"]), record["error"]
    assert re.fullmatch("✗[¹²]( ✗[¹²])?", cell(store, runs))


@pytest.mark.parametrize("protocol", ["finetune", "semi", "linear"])
def test_an_evaluation_that_diverges(protocol: str, tmp_path: Path) -> None:
    steep, runs = SGD(lr=1e38, milestones=(), weight_decay=0.0), []
    for run in evaluations(protocol):
        config = run.config
        changes = {"finetune": replace(config.finetune, sgd=steep)} if protocol == "semi" else {"sgd": steep}
        runs.append(replace(run, config=replace(config, **changes)))
    store = done(tmp_path, *runs)
    for run in runs:
        record = store.record(run.id)
        assert record
        assert record["status"] == "failed", record["metrics"]
        assert re.search(TOLD, record["error"]), record["error"]
    assert re.fullmatch("✗[¹²]( ✗[¹²])?", cell(store, runs))


def test_a_mean_without_a_seed_that_failed_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, pretrain = evaluations(), execution.pretrain
    monkeypatch.setattr(
        execution, "pretrain", lambda *a, seed, sgd, **k: pretrain(*a, seed=seed, sgd=SGD(1e30) if seed else sgd, **k)
    )
    store = done(tmp_path, *runs)
    record = store.record(runs[0].id)
    assert record
    assert cell(store, runs) == f"{100 * record['metrics']['top1']:.1f} (1/2) ✗¹"


@pytest.mark.parametrize("protocol", ["knn", "linear", "finetune", "semi", "embed"])
def test_features_that_are_not_finite_give_no_number(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = evaluations(protocol)[0]
    store = done(tmp_path, run.encoder)  # pyright: ignore[reportArgumentType]  a Pretrain, which leaves the encoder
    load = execution.load_encoder

    def poisoned(*words: object) -> torch.nn.Module:
        encoder = load(*words)  # pyright: ignore[reportArgumentType]  as load_encoder is called
        next(encoder.parameters()).data.fill_(np.nan)
        return encoder

    monkeypatch.setattr(execution, "load_encoder", poisoned)
    done(tmp_path, run)
    record = store.record(run.id)
    assert record
    assert record["status"] == "failed", record["metrics"]
    assert re.search("not finite.*learning rate", record["error"]), record["error"]
    assert cell(store, [run]) == "✗¹"


def test_the_command_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--method", "skeletonclr", "--scale", "smoke", "--jobs", "1", "--set", "lr=1e30"]
    assert bench.main([*words, "--out", str(tmp_path)]) == bench.FAILED
    said = capsys.readouterr().out
    assert re.search(TOLD, " ".join(said.split())), said
    assert "no record yet" in said, "there is no number"
