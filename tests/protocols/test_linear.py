"""Linear protocol: cached features are exact, the encoder is untouched, labels matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.throughput import plain_evaluation
from protocols import Context, Split, derive, linear
from protocols.features import calibrate, extract
from protocols.sgd import SGD
from tests.protocols.small import method, splits

CONFIG = linear.Config(sgd=SGD(lr=0.5, milestones=(6,), weight_decay=0.0), epochs=8, batch=8, every=2)


def test_training_on_cached_features_equals_running_the_encoder_every_step() -> None:
    encoder, data = method("skeletonclr").encoder(), splits()
    calibrate(encoder, data.train, "joint", torch.device("cpu"))
    features, labels = extract(encoder, data.train, "joint", torch.device("cpu"))
    cached = linear.train(features, labels, 3, CONFIG, 0, lambda epoch, classifier: None)

    plain = plain_evaluation.train_linear(encoder, data.train, "joint", 3, CONFIG, 0, torch.device("cpu"))
    torch.testing.assert_close(cached.weight, plain.weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(cached.bias, plain.bias, rtol=1e-4, atol=1e-5)
    assert torch.equal(cached(features).argmax(dim=1), plain(features).argmax(dim=1))


@pytest.mark.parametrize(
    "sgd",
    [
        SGD(lr=0.5, milestones=(6,), momentum=0.0, weight_decay=0.0),
        SGD(lr=0.5, milestones=(6,), weight_decay=0.01),
        SGD(lr=0.5, milestones=(6,), weight_decay=0.01, nesterov=True),
    ],
    ids=["plain", "momentum and decay", "nesterov"],
)
def test_training_equals_autograd_with_pytorchs_optimiser(sgd: SGD) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (70,), generator=generator)
    features = torch.randn(70, 12, generator=generator) + torch.randn(5, 12, generator=generator)[labels]
    config, seen = replace(CONFIG, sgd=sgd), []
    found = linear.train(features, labels, 5, config, 3, lambda epoch, head: seen.append(head.weight.clone()))

    head = linear.classifier(12, 5, 3)
    optimiser = sgd.build(head.parameters())
    for epoch in range(config.epochs):
        optimiser.param_groups[0]["lr"] = sgd.rate(epoch)
        order = torch.randperm(70, generator=torch.Generator().manual_seed(derive(3, "order", epoch)))
        for rows in order[:64].split(8):
            optimiser.zero_grad()
            F.cross_entropy(head(features[rows]), labels[rows]).backward()
            optimiser.step()
        torch.testing.assert_close(seen[epoch], head.weight.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.bias, head.bias, rtol=1e-4, atol=1e-5)


def test_the_device_is_asked_once_an_epoch() -> None:
    class Questions(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.count += func is torch.ops.aten._local_scalar_dense.default
            return func(*args, **kwargs or {})

    with Questions() as questions:
        linear.train(torch.randn(40, 4), torch.arange(40) % 3, 3, CONFIG, 0, lambda epoch, classifier: None)
    assert questions.count == CONFIG.epochs


def test_encoder_is_untouched_and_modes_are_restored() -> None:
    encoder, data = method("skeattnclr").encoder().train(), splits()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    linear.run(encoder, data, "joint", 0, CONFIG, Context())
    assert encoder.backbone.training
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


def test_last_and_best_are_both_recorded_and_the_reported_one_is_named() -> None:
    encoder, data = method("skeletonclr").encoder(), splits()
    calibrate(encoder, data.train, "joint", torch.device("cpu"))
    last = linear.run(encoder, data, "joint", 0, CONFIG, Context())
    assert [entry["epoch"] for entry in last.history] == [2, 4, 6, 8]
    assert last.metrics["top1"] == last.metrics["top1_last"] == last.history[-1]["top1"]
    best = linear.run(encoder, data, "joint", 0, replace(CONFIG, report="best"), Context())
    assert best.metrics["top1"] == best.metrics["top1_best"] == max(e["top1"] for e in best.history)
    assert best.scores is not None
    assert best.scores.shape == (24, 3)


def test_permuted_labels_give_chance() -> None:
    encoder, data = method("skeletonclr").encoder(), splits(120)
    calibrate(encoder, data.train, "joint", torch.device("cpu"))
    learnt = linear.run(encoder, data, "joint", 0, CONFIG, Context()).metrics["top1"]
    shuffled = np.random.default_rng(0).permutation(data.train.y)
    mixed = data._replace(train=data.train._replace(y=shuffled))
    chance = linear.run(encoder, mixed, "joint", 0, CONFIG, Context()).metrics["top1"]
    assert learnt > 0.9
    assert chance < 0.6


def test_divergence_is_an_error_that_says_what_to_do() -> None:
    config = linear.Config(sgd=SGD(lr=1e38, milestones=()), epochs=3, batch=8)
    features = torch.randn(16, 4) * 1e6
    with pytest.raises(FloatingPointError, match="lower its learning rate"):
        linear.train(features, torch.arange(16) % 3, 3, config, 0, lambda epoch, classifier: None)


def test_a_last_step_that_overflows_after_a_finite_loss_is_an_error() -> None:
    config = linear.Config(sgd=SGD(lr=1e38, milestones=(), momentum=0.0, weight_decay=0.0), epochs=1, batch=16)
    features = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)) * 1e3
    with pytest.raises(FloatingPointError, match="weights are not finite after epoch 1; lower its learning rate"):
        linear.train(features, torch.arange(16) % 3, 3, config, 0, lambda epoch, classifier: None)


def test_scores_that_overflow_name_the_epoch() -> None:
    data = splits()
    encoder = method("skeletonclr").encoder()
    config = replace(CONFIG, sgd=SGD(lr=1e37, milestones=(), momentum=0.0, weight_decay=0.0), batch=24, epochs=1)
    calibrate(encoder, data.train, "joint", torch.device("cpu"))
    far = Split(data.test.x * 1e6, data.test.y, data.test.rows)
    with pytest.raises(FloatingPointError, match=r"after epoch 1: \d+ of 72 scores are not finite"):
        linear.run(encoder, data._replace(test=far), "joint", 0, config, Context())
