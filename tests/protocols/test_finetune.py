"""Finetune protocol: what moves and what must not, the plateau schedule, exact resume, truths about accuracy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from methods import At, Encoder
from protocols import Context, Interrupted, finetune, linear
from protocols.checkpoint import load_training
from protocols.features import calibrate
from protocols.sgd import SGD
from tests.protocols.small import method, splits

CPU = torch.device("cpu")
CONFIG = finetune.Config(
    sgd=SGD(lr=0.002, milestones=(), weight_decay=0.0), epochs=6, batch=8, every=2, batchnorm="frozen"
)

# At ten times this rate some seeds, and some orders of addition, diverge: their statistics are frozen.
GENTLE = replace(CONFIG, sgd=SGD(lr=0.0002, milestones=(), weight_decay=0.0))


def calibrated(data, name: str = "skeletonclr") -> Encoder:
    encoder = method(name, dropout=0.0).encoder()
    calibrate(encoder, data.train, "joint", CPU)
    return encoder


def supervised(data) -> Encoder:
    """An encoder that knows the classes."""
    trained = method("supervised", dropout=0.0)
    calibrate(trained.encoder(), data.train, "joint", CPU)
    x, y = data.train.tensors(CPU)
    optimiser = torch.optim.SGD(trained.parameters(), lr=0.05)
    trained.train()
    for step in range(20):
        optimiser.zero_grad()
        trained.loss({"query": x, "labels": y}, At(0, step, 20, 1))["cross entropy"].backward()
        optimiser.step()
    calibrate(trained.encoder(), data.train, "joint", CPU)  # twenty steps leave the statistics behind the weights
    return trained.encoder()


def test_the_encoder_that_was_given_is_untouched() -> None:
    data = splits()
    encoder = calibrated(data).train()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    finetune.run(encoder, data, "joint", 0, CONFIG, Context())
    assert encoder.backbone.training
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


def test_no_epoch_is_judged_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    plain = finetune.extract
    monkeypatch.setattr(finetune, "extract", lambda *given: (judged.append(len(given[1].rows)), plain(*given))[1])
    data = splits()
    result = finetune.run(calibrated(data), data, "joint", 0, CONFIG, Context())
    assert judged == [24] * 3, "after epochs 2, 4 and 6"
    assert result.metrics["top1"] == result.metrics["top1_last"]


@pytest.mark.parametrize("batchnorm", ["frozen", "batch"])
def test_weights_move_and_statistics_only_where_batches_rule(batchnorm, tmp_path: Path) -> None:
    data = splits()
    encoder = calibrated(data)
    context = Context(folder=tmp_path, stop=lambda: True, run="evaluate-test")
    with pytest.raises(Interrupted):
        finetune.run(encoder, data, "joint", 0, replace(CONFIG, batchnorm=batchnorm), context)
    saved = load_training(tmp_path / "checkpoint.pt", "evaluate-test")
    assert saved is not None
    after = saved["module"]
    moved = {
        key for key, value in encoder.backbone.state_dict().items() if not torch.equal(after[f"backbone.{key}"], value)
    }
    assert len(moved) > len(list(encoder.backbone.parameters())) / 2
    assert any("running" in key for key in moved) == (batchnorm == "batch")


def test_only_the_head_is_replaced_and_anything_else_is_an_error() -> None:
    encoder = method("skeattnclr").encoder()
    tuned = finetune.with_classifier(encoder, 3, 0)
    assert {key for key in tuned.state_dict() if key.startswith("head.")} == finetune.HEAD
    assert all(torch.equal(tensor, encoder.backbone.state_dict()[key]) for key, tensor in
               tuned.backbone.state_dict().items())  # fmt: skip
    encoder.neck = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"must leave all other weights: neck\.bias, neck\.weight"):
        finetune.with_classifier(encoder, 3, 0)


def test_the_rate_falls_when_the_loss_has_not_fallen_for_longer_than_patience() -> None:
    config = replace(CONFIG, patience=2, epochs=99)
    history = [{"cross entropy": loss} for loss in [0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8]]
    rates = [config.rate(epoch, history[:epoch]) for epoch in range(8)]
    assert rates == pytest.approx([0.002] * 4 + [0.0002] * 4)
    warm = replace(config, warmup=1)  # whose epochs say nothing about convergence
    assert [warm.rate(epoch, history[:epoch]) for epoch in range(8)] == pytest.approx([0.002] * 8)


def test_milestones_and_warm_up() -> None:
    config = replace(CONFIG, sgd=SGD(lr=0.1, milestones=(4,)), schedule="milestones", warmup=2)
    assert [config.rate(epoch, []) for epoch in range(6)] == pytest.approx([0.05, 0.1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("report", ["last", "best"])
@pytest.mark.parametrize("leave_after", [2, 3, 5])
def test_a_run_that_left_goes_on_bit_for_bit(report, leave_after: int, tmp_path: Path) -> None:
    data = splits()
    encoder, config = calibrated(data), replace(CONFIG, patience=0, report=report)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()

    def run(part: str, **context):
        return finetune.run(
            encoder, data, "joint", 0, config,
            Context(folder=tmp_path / part, run="evaluate-test", checkpoint_seconds=0, **context),
        )  # fmt: skip

    whole = run("whole")
    left = iter([False] * (leave_after - 1) + [True] * 10)
    with pytest.raises(Interrupted):
        run("parts", stop=lambda: next(left))
    parts = run("parts")
    assert parts.history == whole.history
    assert parts.metrics == whole.metrics
    assert whole.scores is not None
    np.testing.assert_array_equal(parts.scores, whole.scores)
    again = run("parts")  # killed after the last epoch, before the record: the checkpoint holds all of it
    np.testing.assert_array_equal(again.scores, whole.scores)


def test_best_and_last_are_both_recorded_and_the_reported_one_is_named() -> None:
    data = splits()
    encoder = calibrated(data)
    last = finetune.run(encoder, data, "joint", 0, CONFIG, Context())
    judged = [entry["top1"] for entry in last.history if "top1" in entry]
    assert [entry["epoch"] for entry in last.history if "top1" in entry] == [2, 4, 6]
    assert last.metrics["top1"] == last.metrics["top1_last"] == judged[-1]
    best = finetune.run(encoder, data, "joint", 0, replace(CONFIG, report="best"), Context())
    assert best.metrics["top1"] == best.metrics["top1_best"] == max(judged)


def test_permuted_labels_give_chance() -> None:
    data = splits(60)
    encoder = supervised(data)
    assert finetune.run(encoder, data, "joint", 0, GENTLE, Context()).metrics["top1"] > 0.9
    mixed = data._replace(train=data.train._replace(y=np.random.default_rng(0).permutation(data.train.y)))
    assert finetune.run(encoder, mixed, "joint", 0, GENTLE, Context()).metrics["top1"] < 0.6


def test_finetuning_a_finetuned_encoder_does_not_make_it_worse() -> None:
    """The start is a supervised encoder, judged by a linear classifier."""
    data = splits(60)
    encoder = supervised(data)
    head = linear.Config(sgd=SGD(lr=0.5, milestones=(), weight_decay=0.0), epochs=8, batch=8)
    start = linear.run(encoder, data, "joint", 0, head, Context()).metrics["top1"]
    assert start > 0.9
    assert finetune.run(encoder, data, "joint", 0, GENTLE, Context()).metrics["top1"] >= start


def test_divergence_names_epoch_and_step() -> None:
    data = splits()
    with pytest.raises(FloatingPointError, match="not finite in epoch 1, step"):
        finetune.run(calibrated(data), data, "joint", 0, replace(CONFIG, sgd=SGD(lr=1e30, milestones=())), Context())
