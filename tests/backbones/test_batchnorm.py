"""BatchNorm on channels-last maps: PyTorch's numbers and gradients, statistics more exact than PyTorch's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from backbones.batchnorm import BatchNorm, NormaliseBatch


def both(
    channels: int, momentum: float | None = 0.1, dtype: torch.dtype = torch.float64
) -> tuple[BatchNorm, nn.BatchNorm2d]:
    torch.manual_seed(0)
    ours, plain = (
        BatchNorm(channels, momentum=momentum).to(dtype),
        nn.BatchNorm2d(channels, momentum=momentum).to(dtype),
    )
    for norm in (ours, plain):
        torch.manual_seed(1)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return ours, plain


def maps(channels: int, dtype: torch.dtype = torch.float64, rows: int = 6) -> torch.Tensor:
    torch.manual_seed(2)
    return (torch.randn(rows, channels, 8, 25, dtype=dtype) * 2 + 1).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("channels", [1, 3, 16])
def test_outputs_gradients_and_statistics_are_pytorchs(channels: int, momentum: float | None) -> None:
    ours, plain = both(channels, momentum)
    for turn in range(2):
        x, y = (maps(channels).add(turn).requires_grad_() for _ in range(2))
        a, b = ours(x), plain(y.contiguous())
        torch.testing.assert_close(a, b)
        for out in (a, b):
            (out * torch.linspace(-1, 1, 25, dtype=out.dtype)).square().sum().backward()
        torch.testing.assert_close(x.grad, y.grad)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, msg=name)
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


@pytest.mark.parametrize("contiguous", [False, True])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_copies_of_the_last_row_count_as_if_they_were_written(momentum: float | None, contiguous: bool) -> None:
    ours, plain = both(3, momentum)
    x = maps(3)
    x = (x.contiguous() if contiguous else x).requires_grad_()
    y = torch.cat([x.detach(), x.detach()[-1:].expand(4, -1, -1, -1)]).contiguous().requires_grad_()
    factor = torch.linspace(-1, 1, 25, dtype=torch.float64)
    a, b = ours(x, more=4), plain(y)
    torch.testing.assert_close(a, b[:6])
    (a * factor).square().mul(torch.tensor([1.0] * 5 + [5.0]).view(-1, 1, 1, 1)).sum().backward()
    (b * factor).square().sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    torch.testing.assert_close(x.grad[:5], y.grad[:5])
    torch.testing.assert_close(x.grad[5], y.grad[5:].sum(dim=0))
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, msg=name)


def test_evaluation_and_another_layout_are_pytorchs() -> None:
    ours, plain = both(4)
    ours(maps(4))
    plain(maps(4))
    x = maps(4).contiguous()
    torch.testing.assert_close(ours(x), plain(x), rtol=0, atol=0)
    torch.testing.assert_close(ours.eval()(maps(4)), plain.eval()(maps(4)))


def test_one_in_float32_is_as_exact_as_the_contiguous_layout() -> None:
    x = maps(16, torch.float32, rows=200)
    ours, plain = both(16, dtype=torch.float32)
    exact = copy.deepcopy(plain).double()(x.double())

    def error(y: torch.Tensor) -> float:
        return float((y.double() - exact).norm() / exact.norm())

    with torch.no_grad():
        assert error(ours(x)) < 2 * error(plain(x.contiguous())) < error(plain(x)) / 4


def test_second_derivatives_are_those_of_the_function() -> None:
    norm = both(2)[0]
    x = maps(2, rows=2)[..., :3].contiguous(memory_format=torch.channels_last).requires_grad_()
    assert torch.autograd.gradgradcheck(
        lambda x, w, b: NormaliseBatch.apply(x, w, b, 1e-5)[0], (x, norm.weight, norm.bias)
    )


def test_other_layouts_are_pytorchs_own_and_no_view_of_it() -> None:
    """An in-place ReLU on a view would copy it, forward and backward; a GPU's maps have this layout."""
    ours, plain = both(3)
    out = ours(maps(3).contiguous().requires_grad_())
    assert torch.equal(out, plain(maps(3).contiguous()))
    assert out._base is None
