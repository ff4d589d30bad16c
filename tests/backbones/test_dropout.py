"""Dropout from random bytes: the right share, independent elements, one mask for both directions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backbones.dropout import Dropout, keep_mask


@pytest.mark.parametrize("p", [0.5, 0.25, 1 / 256])
def test_share_and_scale(p: float) -> None:
    torch.manual_seed(0)
    layer = Dropout(p)
    x = torch.ones(64, 32, 16, 25)
    y = layer(x)
    assert sorted(y.unique().tolist()) == pytest.approx([0.0, 1 / (1 - p)])
    deviation = (p * (1 - p) / x.numel()) ** 0.5
    assert abs(float((y == 0).float().mean()) - p) < 5 * deviation


def test_elements_are_independent() -> None:
    torch.manual_seed(0)
    keep = keep_mask(torch.empty(2**16, 16), 0.5).double() - 0.5
    correlation = (keep.t() @ keep) / len(keep) * 4
    assert (correlation - torch.eye(16)).abs().max() < 5 / len(keep) ** 0.5


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "shape", [(2, 3, 5, 7), (1, 8, 4, 25)]
)  # a number of elements that fills no word, and one that does
def test_the_gradient_passes_where_the_value_did(shape: tuple[int, ...], layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.rand(shape).add_(1).to(memory_format=layout).requires_grad_()
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, y.detach() / x.detach())
    assert y.stride() == x.stride()
    assert 0 < int((y == 0).sum()) < y.numel()


def test_seeds_decide_and_evaluation_does_nothing() -> None:
    x, layer = torch.ones(100, 10), Dropout(0.5)
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(layer(x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert layer.eval()(x) is x


@pytest.mark.parametrize("p", [0.1, 0.0, 1.0])
def test_other_rates_are_pytorchs(p: float) -> None:
    x = torch.ones(100, 10)
    torch.manual_seed(0)
    ours = Dropout(p)(x)
    torch.manual_seed(0)
    torch.testing.assert_close(ours, nn.Dropout(p)(x))
