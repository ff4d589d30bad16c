"""The contrastive losses against a slow transcription of equations 1, 8 and 9."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from methods import losses

B, D, K, TAU = 5, 8, 16, 0.2


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(3, B, D, generator=generator, dtype=torch.float64)
    q, k, other = F.normalize(draw, dim=2)
    return q, k, F.normalize(torch.randn(D, K, generator=generator, dtype=torch.float64), dim=0), other


def transcribed(q, k, queue, tau, other=None) -> float:
    """-log(exp(q.k / tau) / (exp(q.k / tau) [+ exp(q.other / tau)] + Neg(q))), sample by sample."""
    q, k, queue = np.asarray(q), np.asarray(k), np.asarray(queue)
    total = 0.0
    for i in range(len(q)):
        positive = math.exp(float(q[i] @ k[i]) / tau)
        below = positive
        if other is not None:
            below += math.exp(float(q[i] @ np.asarray(other)[i]) / tau)
        for j in range(queue.shape[1]):
            below += math.exp(float(q[i] @ queue[:, j]) / tau)
        total += -math.log(positive / below)
    return total / len(q)


@pytest.mark.parametrize("tau", [0.07, 0.2, 1.0])
def test_equation_1(tensors, tau):
    q, k, queue, _ = tensors
    assert float(losses.info_nce(q, k, queue, tau)) == pytest.approx(transcribed(q, k, queue, tau), abs=1e-12)


@pytest.mark.parametrize("tau", [0.07, 0.2, 1.0])
def test_equations_8_and_9(tensors, tau):
    """L_s and L_ns are one formula with the roles of salient and non-salient exchanged."""
    q_s, k, queue, q_ns = tensors
    for q, other in ((q_s, q_ns), (q_ns, q_s)):
        got = losses.info_nce(q, k, queue, tau, other)
        assert float(got) == pytest.approx(transcribed(q, k, queue, tau, other), abs=1e-12)


def test_logits_put_the_positive_first_and_the_extra_negative_last(tensors):
    q, k, queue, other = tensors
    logits = losses.contrast_logits(q, k, queue, TAU, other)
    assert logits.shape == (B, 2 + K)
    torch.testing.assert_close(logits[:, 0], (q * k).sum(dim=1) / TAU)
    torch.testing.assert_close(logits[:, 1:-1], q @ queue / TAU)
    torch.testing.assert_close(logits[:, -1], (q * other).sum(dim=1) / TAU)
    assert torch.equal(losses.contrast_logits(q, k, queue, TAU), logits[:, :-1])


def test_uninformative_embeddings_cost_the_logarithm_of_the_choices():
    """Everything equally similar: the positive is one of K + 1, or of K + 2."""
    one = F.normalize(torch.ones(B, D, dtype=torch.float64), dim=1)
    queue = F.normalize(torch.ones(D, K, dtype=torch.float64), dim=0)
    assert float(losses.info_nce(one, one, queue, TAU)) == pytest.approx(math.log(K + 1), abs=1e-12)
    assert float(losses.info_nce(one, one, queue, TAU, one)) == pytest.approx(math.log(K + 2), abs=1e-12)


def test_opposite_negatives_cost_nearly_nothing(tensors):
    q, _, _, _ = tensors
    queue = -q[:1].t().expand(D, K)
    loss = losses.info_nce(q[:1], q[:1], queue, 0.05)
    assert float(loss) == pytest.approx(K * math.exp(-40), rel=1e-3)


def test_no_overflow_at_small_temperature(tensors):
    q, k, queue, other = (t.float() for t in tensors)
    assert torch.isfinite(losses.info_nce(q, k, queue, 1e-3, other))


@pytest.mark.parametrize("extra", [False, True])
def test_gradient_by_finite_differences(tensors, extra):
    q, k, queue, other = (t.clone().requires_grad_() for t in tensors)
    inputs = (q, k, queue, other) if extra else (q, k, queue)
    assert torch.autograd.gradcheck(lambda a, b, c, *d: losses.info_nce(a, b, c, TAU, *d), inputs)
