"""Finetuning as the releases do it, in evaluation mode, works on every backbone and on every device."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from backbones import BACKBONES, build
from protocols.frozen import train_as_evaluated

SMALL = {
    "stgcn": {"width": 4, "out": 16},
    "bigru": {"hidden_size": 8},
    "dsta": {"blocks": ((8, 8, 4, 1), (8, 16, 4, 2)), "dropout": 0.5},
}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_step_moves_the_weights_and_no_statistics_from_outputs_of_evaluation_mode(backbone, device):
    torch.manual_seed(0)
    net = build(backbone, BACKBONES[backbone].Config(**SMALL.get(backbone, {}))).to(device)
    x = torch.randn(4, 3, 16, 25, 2, device=device)
    net.train()(x)  # statistics that differ from the first ones
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        want = net.eval()(x).pooled
    train_as_evaluated(net)
    got = net(x).pooled
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    got.square().sum().backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    buffers = {name for name, _ in net.named_buffers()}
    assert not moved & buffers
    assert moved >= {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    assert len(moved) > len(list(net.parameters())) / 2
    assert all(child.training for child in net.train().modules())


def test_dropout_inside_a_recurrent_layer_is_refused():
    with pytest.raises(ValueError, match="0 drops out between its layers"):
        train_as_evaluated(nn.Sequential(nn.GRU(3, 4, 2, dropout=0.5)))
