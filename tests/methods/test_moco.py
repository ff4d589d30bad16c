"""Queue, momentum schedule and momentum encoder."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from backbones import STGCN
from methods import At, Encoder, moco


def keys(rows: int, first: float) -> torch.Tensor:
    """Recognisable keys: row i is filled with first + i."""
    return (first + torch.arange(rows, dtype=torch.float32))[:, None].expand(rows, 3)


def test_queue_starts_with_unit_columns():
    queue = moco.Queue(16, 10)
    torch.testing.assert_close(queue.keys.norm(dim=0), torch.ones(10))
    assert queue.position.item() == 0
    assert set(queue.state_dict()) == {"keys", "position"}
    assert not list(queue.parameters())


def test_queue_replaces_the_oldest_and_wraps_around():
    queue = moco.Queue(3, 5)
    start = queue.keys.clone()
    queue.push(keys(2, 10))
    assert queue.keys[0, :2].tolist() == [10, 11]
    assert torch.equal(queue.keys[:, 2:], start[:, 2:])
    assert queue.position.item() == 2
    queue.push(keys(4, 20))  # columns 2, 3, 4, 0
    assert queue.keys[0].tolist() == [23, 11, 20, 21, 22]
    assert queue.position.item() == 1
    queue.push(keys(4, 30))
    assert queue.keys[0].tolist() == [23, 30, 31, 32, 33]
    assert queue.position.item() == 0
    queue.push(keys(5, 40))  # as large as the queue
    assert queue.keys[0].tolist() == [40, 41, 42, 43, 44]


def test_queue_holds_no_graph():
    queue = moco.Queue(3, 5)
    queue.push(keys(2, 1).clone().requires_grad_() * 2)
    assert not queue.keys.requires_grad


def test_queue_refuses_more_keys_than_it_holds():
    queue = moco.Queue(3, 5)
    with pytest.raises(ValueError, match="a batch of 6 keys does not fit a queue of 5; make `queue` larger"):
        queue.push(keys(6, 0))
    assert queue.position.item() == 0


def test_momentum_equals_golden(golden):
    """The release counts epochs from 1 and so runs one epoch ahead: offset 1."""
    arrays = golden("schedules")
    steps, epochs = int(arrays["momentum_iters_per_epoch"]), int(arrays["momentum_epochs"])
    start = float(arrays["momentum_m0"])
    for (epoch, step), want in zip(arrays["momentum_epoch_iter"].tolist(), arrays["momentum_value"], strict=True):
        got = moco.momentum_at(start, "cosine", At(epoch - 1, step, steps, epochs), offset_epochs=1)
        assert got == pytest.approx(float(want), abs=1e-9)


def test_momentum_rises_from_its_start_to_one():
    steps, epochs = 7, 5
    values = [
        moco.momentum_at(0.996, "cosine", At(epoch, step, steps, epochs))
        for epoch in range(epochs)
        for step in range(steps)
    ]
    assert values[0] == 0.996
    assert values == sorted(values)
    assert values[-1] < 1
    assert moco.momentum_at(0.996, "cosine", At(epochs, 0, steps, epochs)) == pytest.approx(1, abs=1e-15)
    assert moco.momentum_at(0.996, "cosine", At(1, 0, 5, 2)) == pytest.approx(0.998, abs=1e-15)


def test_constant_momentum_ignores_time():
    assert {moco.momentum_at(0.999, "constant", At(e, 3, 9, 4), offset_epochs=1) for e in range(4)} == {0.999}


def normalised_net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    net(torch.randn(8, 4) * (seed + 1))
    return net


@pytest.mark.parametrize("buffers", [False, True])
def test_follow_moves_parameters_and_on_request_statistics(buffers):
    query, key = normalised_net(1), normalised_net(2)
    query(torch.randn(8, 4))  # two batches counted against one
    query_before, before = copy.deepcopy(query.state_dict()), copy.deepcopy(key.state_dict())
    moco.follow(key, query, 0.9, buffers)
    statistics = {name for name, _ in key.named_buffers()}
    for name, now in key.state_dict().items():
        if name in statistics and not buffers:
            want = before[name]
        elif name.endswith("num_batches_tracked"):
            want = torch.tensor(2)
        else:
            want = 0.9 * before[name] + 0.1 * query_before[name]
        torch.testing.assert_close(now, want, msg=name)
    assert all(torch.equal(query.state_dict()[name], value) for name, value in query_before.items())


@pytest.mark.parametrize(("momentum", "source"), [(1.0, "key"), (0.0, "query")])
def test_follow_at_its_ends(momentum, source):
    query, key = normalised_net(1), normalised_net(2)
    want = copy.deepcopy((key if source == "key" else query).state_dict())
    moco.follow(key, query, momentum, buffers=False)
    for name, parameter in key.named_parameters():
        torch.testing.assert_close(parameter.data, want[name])


def query_branch() -> Encoder:
    torch.manual_seed(0)
    branch = Encoder(STGCN(STGCN.Config(width=4, out=8)), moco.mlp_head(8, 4))
    moco.released_init(branch)
    return branch


def test_key_encoder_starts_as_a_copy_without_gradients():
    query = query_branch()
    key = moco.key_encoder(query, "copy")
    mine, theirs = key.state_dict(), query.state_dict()
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        assert torch.equal(tensor, theirs[name])
        assert tensor.data_ptr() != theirs[name].data_ptr()
    assert not any(p.requires_grad for p in key.parameters())
    assert all(p.requires_grad for p in query.parameters())


def test_redrawn_key_encoder_is_unrelated_but_for_what_the_release_leaves_alone():
    query = query_branch()
    theirs = dict(query.named_parameters())
    key = moco.key_encoder(query, "redrawn")
    assert not any(p.requires_grad for p in key.parameters())
    same = {name for name, p in key.named_parameters() if torch.equal(p, theirs[name])}
    assert same == {name for name in theirs if name.endswith("bias") or name.endswith("edge_importance")}


def test_redrawing_by_pytorchs_rule_keeps_its_scale():
    query = Encoder(STGCN(STGCN.Config(width=16, out=32)), moco.mlp_head(32, 16))
    key = moco.key_encoder(query, "redrawn", "torch")
    theirs = dict(query.named_parameters())
    for name, parameter in key.named_parameters():
        if name.endswith("tcn.weight"):
            assert not torch.equal(parameter, theirs[name])
            assert parameter.std().item() == pytest.approx(theirs[name].std().item(), rel=0.2)


def test_released_init_has_the_released_moments():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(200, 200), nn.BatchNorm1d(2000), nn.Conv2d(64, 64, (9, 1)), nn.LayerNorm(5))
    moco.released_init(net.requires_grad_(False))
    linear, norm, conv, layer_norm = net
    assert isinstance(linear, nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d)
    assert isinstance(conv, nn.Conv2d)
    for weight, mean in ((linear.weight, 0.0), (norm.weight, 1.0), (conv.weight, 0.0)):
        assert abs(float(weight.mean()) - mean) < 5 * 0.02 / weight.numel() ** 0.5
        assert float(weight.std()) == pytest.approx(0.02, rel=0.1)
    assert conv.bias is not None
    assert not any(bias.any() for bias in (linear.bias, norm.bias, conv.bias))
    assert torch.equal(layer_norm.get_parameter("weight"), torch.ones(5))


def test_heads_have_the_sizes_of_the_spec():
    assert sum(p.numel() for p in moco.mlp_head(256, 128).parameters()) == 65_792 + 32_896
    assert sum(p.numel() for p in moco.norm_head(256, 256, 128).parameters()) == 98_816
    assert sum(p.numel() for p in moco.norm_head(128, 256, 128).parameters()) == 66_048


def test_embeddings_have_length_one():
    encoder = query_branch()
    z = encoder.embed(encoder(torch.randn(3, 3, 16, 25, 2)).pooled)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(3))
