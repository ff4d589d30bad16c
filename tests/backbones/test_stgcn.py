"""ST-GCN against the official network's outputs, and against its own promises."""

from __future__ import annotations

import copy
import runpy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from backbones import STGCN
from tests import official
from tests.official import near

SMALL = STGCN.Config(width=16, dropout=0.0)


def with_golden_weights(arrays, config=SMALL):
    net = STGCN(config)
    official.load("stgcn", net, arrays, "sd/")
    return net, torch.tensor(arrays["sd/fc.weight"]), torch.tensor(arrays["sd/fc.bias"])


@pytest.fixture(scope="module")
def arrays(golden):
    return golden("stgcn")


@pytest.fixture(scope="module")
def evaluated(arrays):
    net, weight, bias = with_golden_weights(arrays)
    with torch.no_grad():
        features = net.eval()(torch.tensor(arrays["x"]))
    return features, F.linear(features.pooled, weight, bias)


def test_eval_equals_golden(arrays, evaluated):
    features, logits = evaluated
    near(logits, arrays["logits_eval"])
    near(features.pooled, arrays["pooled"])
    near(features.tokens.mean(dim=2).flatten(0, 1), arrays["pooled_person"])


def test_tokens_are_frame_major_and_persons_stay_apart(arrays, evaluated):
    features, _ = evaluated
    assert features.tokens.shape == (2, 2, 16 * 25, 256)
    near(features.tokens[0, 0].view(16, 25, 256).permute(2, 0, 1), arrays["feature_person0"])


def test_batch_statistics_equal_golden(arrays):
    net, weight, bias = with_golden_weights(arrays)
    with torch.no_grad():
        pooled = net.train()(torch.tensor(arrays["x"])).pooled
    near(F.linear(pooled, weight, bias), arrays["logits_train_nodropout"])


def test_other_graph_equals_golden(arrays):
    net, weight, bias = with_golden_weights(arrays, replace(SMALL, graph="stgcn"))
    with torch.no_grad():
        pooled = net.eval()(torch.tensor(arrays["x"])).pooled
    near(F.linear(pooled, weight, bias), arrays["logits_eval_stgcn_graph"])


def test_width_64_equals_golden(arrays, shared):
    value = runpy.run_path(str(shared / "golden" / "recipe.py"))["value"]
    net = STGCN(STGCN.Config(width=64)).eval()  # dropout plays no part in evaluation
    net.load_state_dict(official.fetch("stgcn", net.state_dict(), value))
    with torch.no_grad():
        features = net(torch.tensor(arrays["x"]))
    fc = torch.tensor(value("fc.weight", (60, 256))), torch.tensor(value("fc.bias", (60,)))
    near(F.linear(features.pooled, *fc), arrays["h64_logits_eval"])
    near(features.pooled, arrays["h64_pooled"])
    near(features.tokens.mean(dim=2).flatten(0, 1), arrays["h64_pooled_person"])
    person0 = features.tokens[0, 0].view(16, 25, 256).permute(2, 0, 1)
    near(person0[::8], arrays["h64_feature_person0"])


@pytest.mark.parametrize(("width", "count"), [(16, 836_800), (64, 3_098_832)])
def test_parameter_count_with_a_60_way_head(width, count):
    net = STGCN(STGCN.Config(width=width))
    assert sum(p.numel() for p in net.parameters()) + 60 * (net.width + 1) == count


def test_edge_importance_is_learnable_or_absent():
    count = {on: sum(p.numel() for p in STGCN(replace(SMALL, edge_importance=on)).parameters()) for on in (0, 1)}
    assert count[1] - count[0] == 10 * 3 * 25 * 25
    first = STGCN(SMALL).edge_importance
    assert first is not None
    assert torch.equal(first, torch.ones(10, 3, 25, 25))


@pytest.mark.parametrize(("frames", "grid"), [(64, (16, 25)), (50, (13, 25)), (32, (8, 25)), (33, (9, 25))])
def test_grid_is_the_real_number_of_tokens(frames, grid):
    net = STGCN(STGCN.Config(width=2, out=4)).eval()
    assert net.grid(frames) == grid
    assert net(torch.zeros(1, 3, frames, 25, 2)).tokens.shape == (1, 2, grid[0] * grid[1], 4)


def test_an_absent_person_still_counts():
    torch.manual_seed(0)
    net = STGCN(STGCN.Config(width=4, out=8)).eval()
    x = torch.randn(1, 3, 16, 25, 2)
    x[..., 1] = 0
    with torch.no_grad():
        both, alone = net(x), net(x[..., :1])
    assert both.tokens[:, 1].abs().max() > 0
    assert official.error(both.pooled, both.tokens.mean(dim=2).mean(dim=1)) < 1e-6
    assert official.error(both.pooled, alone.pooled) > 1e-4


def test_samples_do_not_see_each_other_in_evaluation():
    torch.manual_seed(0)
    net = STGCN(STGCN.Config(width=4, out=8)).eval()
    x = torch.randn(3, 3, 16, 25, 2)
    with torch.no_grad():
        assert official.error(net(x).pooled[1:2], net(x[1:2]).pooled) < 1e-6


def test_dropout_acts_in_training_only_and_never_in_the_first_block():
    torch.manual_seed(0)
    net = STGCN(STGCN.Config(width=4, out=8, dropout=0.5))
    rates = [block.get_submodule("dropout").p for block in net.blocks]  # pyright: ignore[reportAttributeAccessIssue]  a Dropout
    assert rates == [0.0] + [0.5] * 9
    x = torch.randn(2, 3, 16, 25, 2)
    with torch.no_grad():
        assert not torch.equal(net(x).pooled, net(x).pooled)
        net.eval()
        assert torch.equal(net(x).pooled, net(x).pooled)


@pytest.mark.parametrize("persons", [1, 2])
def test_absent_persons_are_computed_once_in_evaluation_and_never_in_training_with_dropout(persons: int) -> None:
    torch.manual_seed(0)
    net = STGCN(STGCN.Config(width=4, out=8, dropout=0.5)).eval()
    x = torch.randn(6, 3, 16, 25, persons)
    x[1:, ..., persons - 1] = 0
    seen: list[int] = []
    net.blocks[0].register_forward_pre_hook(lambda block, inputs: seen.append(len(inputs[0])))
    with torch.no_grad():
        got, alone = net(x), [net(x[i : i + 1]) for i in range(6)]
        net.train()(x)
        next(m for m in net.eval().modules() if isinstance(m, torch.nn.BatchNorm2d)).train()
        net(x)
    rows = 6 * persons
    assert seen[0] == 4 * persons, "a multiple of GRAIN with one absent person at least"
    assert seen[-2:] == [rows, rows], "batch statistics see all of them"
    assert official.error(got.tokens, torch.cat([each.tokens for each in alone])) < 1e-6
    assert official.error(got.pooled, torch.cat([each.pooled for each in alone])) < 1e-6


def trained(net: STGCN, x: torch.Tensor) -> list[torch.Tensor]:
    """Features of a step in training, gradients of all parameters, statistics of all norms."""
    features = net(x)
    factor = torch.linspace(-1, 1, features.tokens.shape[2], dtype=x.dtype)[:, None]
    (features.tokens * factor).square().sum().backward()
    grads = [parameter.grad for parameter in net.parameters()]
    assert all(grad is not None for grad in grads)
    return [*features, *(grad for grad in grads if grad is not None), *net.buffers()]


@pytest.mark.parametrize("absent", [(0, 1, 2, 4, 5), (0, 1, 2, 3, 4, 5)])
def test_without_dropout_absent_persons_are_computed_once_in_training_too(
    absent: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    net = STGCN(STGCN.Config(width=4, out=8, dropout=0.0)).double().train()
    x = torch.randn(6, 3, 16, 25, 2, dtype=torch.float64)
    x[list(absent), ..., 1] = 0
    seen: list[int] = []
    other = copy.deepcopy(net)
    net.blocks[0].register_forward_pre_hook(lambda block, inputs: seen.append(len(inputs[0])))
    got = trained(net, x)
    assert seen == [8]
    monkeypatch.setattr(STGCN, "absent_alike", lambda *_: False)
    for mine, plain in zip(got, trained(other, x), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-8, atol=1e-10)


def test_rows_that_need_a_gradient_of_their_own_are_all_computed() -> None:
    net = STGCN(STGCN.Config(width=4, out=8, dropout=0.0)).train()
    x = torch.randn(2, 3, 16, 25, 2)
    x[..., 1] = 0
    x.requires_grad_()
    net(x).pooled.square().sum().backward()
    assert x.grad is not None
    assert x.grad[..., 1].abs().min() > 0
