"""BiGRU against the official network's outputs, and against its own promises."""

from __future__ import annotations

import runpy

import pytest
import torch
from torch.nn import functional as F

from backbones import BiGRU
from backbones.bigru import ForwardPairs
from benchmarks.throughput.frame_by_frame import FrameByFrame
from tests import official
from tests.official import near

SMALL = BiGRU.Config(hidden_size=16, direction="released")


@pytest.fixture(scope="module")
def arrays(golden):
    return golden("bigru")


def with_golden_weights(arrays, direction):
    net = BiGRU(BiGRU.Config(hidden_size=16, direction=direction))
    official.load("bigru", net, arrays, "sd/")
    return net.eval()


def logits(pooled, arrays):
    return F.linear(pooled, torch.tensor(arrays["sd/fc.weight"]), torch.tensor(arrays["sd/fc.bias"]))


@torch.no_grad()
def test_eval_equals_golden(arrays):
    features = with_golden_weights(arrays, "released")(torch.tensor(arrays["x"]))
    near(features.tokens[:, 0], arrays["features"], 1e-5)
    near(features.pooled, arrays["last"], 1e-5)
    near(logits(features.pooled, arrays), arrays["logits_eval"])


@torch.no_grad()
def test_batch_statistics_equal_golden(arrays):
    pooled = with_golden_weights(arrays, "released").train()(torch.tensor(arrays["x"])).pooled
    near(logits(pooled, arrays), arrays["logits_train"])


@torch.no_grad()
def test_bidirectional_is_what_the_name_says_and_another_network(arrays):
    features = with_golden_weights(arrays, "bidirectional")(torch.tensor(arrays["x"]))
    near(features.tokens[:, 0], arrays["true_bidirectional_for_contrast"], 1e-5)
    assert official.error(features.tokens[:, 0], torch.tensor(arrays["features"])) > 0.1


@torch.no_grad()
def test_full_size_equals_golden(arrays, shared):
    value = runpy.run_path(str(shared / "golden" / "recipe.py"))["value"]
    net = BiGRU(BiGRU.Config(direction="released")).eval()
    net.load_state_dict(official.fetch("bigru", net.state_dict(), value))
    features = net(torch.tensor(arrays["full_x"]))
    near(features.pooled, arrays["full_last"], 1e-5)
    near(features.tokens[:, 0, 0, :64], arrays["full_features_t0_head"], 1e-5)
    fc = torch.tensor(value("fc.weight", (60, 2048))), torch.tensor(value("fc.bias", (60,)))
    near(F.linear(features.pooled, *fc), arrays["full_logits_eval"])


@pytest.mark.parametrize("direction", ["released", "bidirectional"])
def test_parameter_count_with_a_60_way_head(direction):
    net = BiGRU(BiGRU.Config(direction=direction))
    assert sum(p.numel() for p in net.parameters()) + 60 * (net.width + 1) == 45_121_896


def test_whole_sequences_equal_frame_by_frame_forward_and_backward():
    """The released form, one call per frame, is the specification: outputs and every gradient."""
    torch.manual_seed(0)
    pairs, x = ForwardPairs(10, 6, 3), torch.randn(4, 9, 10, requires_grad=True)
    slow = FrameByFrame(10, 6, 3)
    slow.load_state_dict({official.official_name("bigru", f"gru.{name}").removeprefix("encoder."): value
                          for name, value in pairs.state_dict().items()})  # fmt: skip
    weights = torch.randn(4, 9, 12)
    grads = []
    for module in (pairs, slow):
        out = module(x)
        wrt = [x, *module.parameters()]
        named = dict(zip(["x", *(name for name, _ in module.named_parameters())],
                         torch.autograd.grad((out * weights).sum(), wrt), strict=True))  # fmt: skip
        grads.append((out, named))
    (fast, got), (want, reference) = grads
    assert official.error(fast, want) < 1e-5
    for name, gradient in got.items():
        other = official.official_name("bigru", f"gru.{name}").removeprefix("encoder.") if name != "x" else name
        assert official.error(gradient, reference[other]) < 1e-5, name


@torch.no_grad()
def test_tokens_are_one_per_frame_and_the_last_is_pooled():
    torch.manual_seed(0)
    net = BiGRU(SMALL).eval()
    features = net(torch.randn(3, 3, 20, 25, 2))
    assert net.grid(20) is None
    assert features.tokens.shape == (3, 1, 20, 32)
    assert torch.equal(features.pooled, features.tokens[:, 0, -1])


@torch.no_grad()
def test_released_never_looks_ahead_and_bidirectional_does():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 12, 25, 2)
    other = x.clone()
    other[:, :, 8:] = 0
    for direction in ("released", "bidirectional"):
        net = BiGRU(BiGRU.Config(hidden_size=4, direction=direction)).eval()
        ahead = net(x).tokens[:, 0, :8] - net(other).tokens[:, 0, :8]
        assert bool(ahead.any()) == (direction == "bidirectional")


@torch.no_grad()
def test_one_person_is_two_with_one_absent():
    torch.manual_seed(0)
    net = BiGRU(SMALL).eval()
    x = torch.randn(2, 3, 8, 25, 2)
    x[..., 1] = 0
    assert torch.equal(net(x).pooled, net(x[..., :1]).pooled)


def test_three_persons_are_refused():
    with pytest.raises(ValueError, match="at most 2 persons, got 3"):
        BiGRU(SMALL)(torch.zeros(1, 3, 8, 25, 3))


def test_weights_are_xavier_and_the_released_initialisation_leaves_them():
    """As in the release: its generic initialisation visits linear, convolutional and BatchNorm layers only."""
    from methods.moco import released_init

    torch.manual_seed(0)
    net = BiGRU(BiGRU.Config(hidden_size=64, layers=1))
    weight = net.gru.get_parameter("weight_ih_l0")
    bound = (6 / (150 + 3 * 64)) ** 0.5
    assert 0.95 * bound < weight.abs().max() <= bound
    before = weight.clone()
    released_init(net)
    assert torch.equal(weight, before)
