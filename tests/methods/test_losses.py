"""The contrastive losses against slow transcriptions of their equations, and their gradients by differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from methods import losses
from methods.aimclr import LEAST, AimCLR, attention, drop_attended
from methods.crossclr import crossed
from methods.skelemixclr import regions

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


# --- mined positives, taught distributions, crossed streams --------------------------------------------------------


def softmax(row: np.ndarray) -> np.ndarray:
    powers = [math.exp(float(value)) for value in row]
    return np.array([power / sum(powers) for power in powers])


def transcribed_mining(logits, positives) -> float:
    """-1/|P| sum over P of log softmax, P the true positive and the mined ones; then the mean over samples."""
    total = 0.0
    for row, marked in zip(np.asarray(logits), np.asarray(positives), strict=True):
        share = softmax(row)
        chosen = [0, *(j for j in range(1, len(row)) if marked[j])]
        total += -sum(math.log(share[j]) for j in chosen) / len(chosen)
    return total / len(logits)


@pytest.fixture
def logits(tensors):
    q, k, queue, other = tensors
    return [losses.contrast_logits(z, k, queue, TAU) for z in (q, other)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_mined_nce(logits, count):
    mine, other = logits
    positives = losses.nearest(other, count)
    assert positives.sum(dim=1).tolist() == [count] * B
    assert not positives[:, 0].any()
    for row, marked in zip(other[:, 1:], positives[:, 1:], strict=True):
        assert set(row[marked].tolist()) == set(sorted(row.tolist())[len(row) - count :])
    assert float(losses.mined_nce(mine, positives)) == pytest.approx(transcribed_mining(mine, positives), abs=1e-12)


def test_without_mined_positives_it_is_info_nce(tensors, logits):
    q, k, queue, _ = tensors
    nothing = torch.zeros_like(logits[0], dtype=torch.bool)
    assert float(losses.mined_nce(logits[0], nothing)) == pytest.approx(float(losses.info_nce(q, k, queue, TAU)))


def test_taught_is_the_cross_entropy_of_the_distributions(logits):
    student, teacher = (np.asarray(x) for x in logits)
    want = 0.0
    for mine, its in zip(student, teacher, strict=True):
        want -= sum(p * math.log(q) for p, q in zip(softmax(its), softmax(mine), strict=True))
    assert float(losses.taught(*logits)) == pytest.approx(want / B, abs=1e-12)


def test_the_teacher_learns_nothing(logits):
    student, teacher = (x.clone().requires_grad_() for x in logits)
    losses.taught(student, teacher).backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_crossed_streams(tensors):
    q, k, queue, other = tensors
    mine, theirs = (losses.contrast_logits(z, k, queue, 1.0) for z in (q, other))
    got, positives = crossed(mine, theirs, TAU, 2)
    assert got.shape == positives.shape == (B, 1 + 2 * K)
    for i in range(B):
        near = sorted(range(K), key=lambda j: -float(theirs[i, 1 + j]))[:2]
        assert sorted(positives[i].nonzero().flatten().tolist()) == sorted(
            [*(1 + j for j in near), *(1 + K + j for j in near)]
        )
        for j in range(K):
            a, b = float(q[i] @ queue[:, j]), float(other[i] @ queue[:, j])
            assert float(got[i, 1 + j]) == pytest.approx(a / TAU, abs=1e-12)
            assert float(got[i, 1 + K + j]) == pytest.approx(a * b / TAU, abs=1e-12)


@pytest.mark.parametrize("what", ["mined", "taught", "crossed"])
def test_gradients_of_the_others_by_finite_differences(tensors, what):
    q, k, queue, other = (t.clone().requires_grad_() for t in tensors)

    def value(q, k, queue, other):
        mine, theirs = (losses.contrast_logits(z, k, queue, TAU) for z in (q, other))
        if what == "mined":
            return losses.mined_nce(mine, losses.nearest(theirs.detach(), 2))
        if what == "taught":
            return losses.taught(mine, constant)
        return losses.mined_nce(*crossed(mine, theirs, TAU, 2))

    constant = torch.randn(B, K + 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(value, (q, k, queue, other))


# --- AimCLR's drop, SkeleMixCLR's regions -----------------------------------------------------------------------


def test_attention_is_the_inverse_energy():
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    got = attention(x)
    for r in range(2):
        for c in range(3):
            channel = x[r, c].flatten().tolist()
            mean = sum(channel) / 20
            variance = sum((value - mean) ** 2 for value in channel) / 19
            for t in range(4):
                for v in range(5):
                    energy = (float(x[r, c, t, v]) - mean) ** 2 / (4 * (variance + 1e-4)) + 0.5
                    assert float(got[r, c, t, v]) == pytest.approx(1 / (1 + math.exp(-energy)), abs=1e-12)


def test_the_drop_is_a_constant_for_the_gradient():
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    y = drop_attended(x, 0.7)
    kept = y != 0
    assert 0 < kept.float().mean() < 1
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad != 0, kept)
    assert x.grad[kept].unique().numel() == 1  # one scale for all that is kept


def test_a_joint_is_always_left():
    """Of two values, half of the cells each, all features have one attention: no channel has a larger mean."""
    x = torch.ones(2, 3, 16, 25, dtype=torch.float64)
    x[:, :, ::2] = -1
    highest = float(attention(x).mean())
    assert highest == pytest.approx(LEAST, abs=2e-4)
    assert drop_attended(x, highest - 1e-9).isnan().all(), "all joints are gone"
    assert torch.equal(drop_attended(x, LEAST), x)
    for keep in (0.5, LEAST - 1e-6, 1.01, math.nan):
        with pytest.raises(ValueError, match=r"keep is an attention, from 0\.679 .* to 1 .*; got"):
            AimCLR.Config(keep=keep)
    for keep in (LEAST, 1.0):
        assert AimCLR.Config(keep=keep).keep == keep


def test_regions_are_means_inside_and_outside():
    tokens = torch.randn(2, 2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pasted = torch.tensor([[1, 1, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0]], dtype=torch.bool)
    inner, outer = regions(tokens, pasted)
    for i in range(2):
        for got, mask in ((inner, pasted[i]), (outer, ~pasted[i])):
            persons = [tokens[i, m][mask].mean(dim=0) for m in range(2)]
            torch.testing.assert_close(got[i], (persons[0] + persons[1]) / 2)
