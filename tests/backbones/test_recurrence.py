"""The CPU form of the GRU against PyTorch's, states and every gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backbones.recurrence import Recurrence, run_gru


@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, True), (3, True)])
def test_states_and_gradients_equal_pytorchs(layers, bidirectional):
    torch.manual_seed(0)
    gru = nn.GRU(7, 5, layers, batch_first=True, bidirectional=bidirectional).double()
    x = torch.randn(3, 6, 7, dtype=torch.float64, requires_grad=True)
    wrt = [x, *gru.parameters()]
    weights = torch.randn(3, 6, 5 * (1 + bidirectional), dtype=torch.float64)
    want, got = gru(x)[0], run_gru(gru, x)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    gradients = zip(
        torch.autograd.grad((got * weights).sum(), wrt), torch.autograd.grad((want * weights).sum(), wrt), strict=True
    )
    for ours, theirs in gradients:
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_gradient_equals_finite_differences():
    torch.manual_seed(0)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((4, 2, 9), (9, 3), (9,))]
    assert torch.autograd.gradcheck(Recurrence.apply, inputs)


def test_a_second_derivative_is_refused():
    gates, weight, bias = (torch.randn(shape, requires_grad=True) for shape in ((4, 2, 9), (9, 3), (9,)))
    states = Recurrence.apply(gates, weight, bias)
    assert isinstance(states, torch.Tensor)
    (once,) = torch.autograd.grad(states.square().sum(), gates, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        once.sum().backward()


@torch.no_grad()
def test_without_gradients_pytorch_runs_it(monkeypatch):
    gru, x = nn.GRU(7, 5, batch_first=True), torch.randn(3, 6, 7)
    monkeypatch.setattr(Recurrence, "apply", lambda *_: pytest.fail("not for inference"))
    assert torch.equal(run_gru(gru, x), gru(x)[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_cudnn_runs_it_and_agrees():
    torch.manual_seed(0)
    gru = nn.GRU(7, 5, 2, batch_first=True, bidirectional=True)
    x = torch.randn(3, 6, 7)
    here = run_gru(gru, x)
    with torch.backends.cudnn.flags(allow_tf32=False):
        torch.testing.assert_close(run_gru(gru.cuda(), x.cuda()).cpu(), here, rtol=0, atol=1e-5)
