"""Transfer: an encoder judged on other data than it was trained on; with the same data it is linear evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import recipes
from benchmarks.datasets import catalog
from benchmarks.recipes import Settings
from benchmarks.records.store import Store
from benchmarks.running.execute import Machine, execute
from benchmarks.runs import Run, label
from protocols.metrics import accuracies

SETTINGS = Settings(scale="smoke")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one smoke pretraining."""
    root = tmp_path_factory.mktemp("transfer")
    done(root, pretraining())
    return root


def pretraining():
    return recipes.pretraining(SETTINGS, "skeattnclr", "ntu60", "xsub", "joint", 0)


def done(root: Path, run: Run) -> dict[str, Any]:
    """The record of the run, which is executed."""
    store = Store(root)
    store.prepare()
    store.write_spec(run)
    assert execute(str(root), run.id, machine=Machine(str(root))) == "ok"
    record = store.record(run.id)
    assert record
    return record


def test_transfer_to_the_same_data_is_linear_evaluation(root: Path) -> None:
    """Transfer is no protocol of its own: with the encoder's own data it is the same run, number for number."""
    direct = recipes.evaluation(SETTINGS, "linear", pretraining(), "ntu60", "xsub")
    transferred = recipes.evaluation(SETTINGS, "linear", pretraining(), pretraining().data.name, "xsub")
    assert transferred.id == direct.id
    other = replace(direct, data=replace(direct.data, split="xview"))
    assert done(root, other)["metrics"] != done(root, direct)["metrics"]
    elsewhere = recipes.evaluation(SETTINGS, "linear", pretraining(), "pku1", "xsub")
    assert elsewhere.id != direct.id
    assert "on pku1 xsub" in label(elsewhere)
    assert " on " not in label(direct)


@pytest.mark.parametrize("protocol", ["linear", "finetune"])
def test_the_classifier_has_the_classes_of_the_target(root: Path, protocol: str) -> None:
    run = recipes.evaluation(SETTINGS, protocol, pretraining(), "pku1", "xsub")
    record = done(root, run)
    scores, labels = Store(root).read_scores(run.id)
    assert scores.shape[1] == catalog.classes("pku1", "smoke")
    assert len(labels) == len(scores)
    assert accuracies(scores, labels)[0]["top1"] == record["metrics"]["top1"]


def test_fusion_of_three_equal_streams_is_the_stream(root: Path) -> None:
    run = recipes.evaluation(SETTINGS, "linear", pretraining(), "ntu60", "xsub")
    single = done(root, run)
    together = done(root, recipes.fused((run, run, run)))
    assert together["metrics"]["top1"] == single["metrics"]["top1"]
    assert together["per_class"] == single["per_class"]
    a, b = (Store(root).read_scores(i)[0] for i in (run.id, recipes.fused((run, run, run)).id))
    np.testing.assert_allclose(b, 1.5 * a, rtol=1e-6)
