"""Accuracy and fusion against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.fuse import fuse
from protocols.metrics import accuracies


def test_top1_top5_and_per_class() -> None:
    scores = np.array([[6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6]], dtype=np.float32)
    metrics, per_class = accuracies(scores, np.array([0, 5, 5]))
    assert metrics == {"top1": 2 / 3, "top5": 2 / 3}
    assert per_class[0] == 1.0
    assert per_class[5] == 0.5
    assert np.isnan(per_class[1])


def test_ties_go_to_the_smaller_class() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(4, size=(300, 8)).astype(np.float32), rng.integers(8, size=300)
    ranking = np.argsort(-scores, axis=1, kind="stable")
    metrics, _ = accuracies(scores, labels)
    assert metrics["top1"] == np.mean(ranking[:, 0] == labels)
    assert metrics["top5"] == np.mean([label in row[:5] for row, label in zip(ranking, labels, strict=True)])


def test_scores_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(FloatingPointError, match="1 of 4 scores are not finite; a lower learning rate"):
        accuracies(np.array([[0, np.nan], [1, 2]]), np.array([0, 1]))


def test_no_samples_are_an_error_and_no_mean_of_nothing() -> None:
    with pytest.raises(ValueError, match="there is no test sample"):
        accuracies(np.zeros((0, 3)), np.zeros(0, np.int64))


def test_fusion_is_the_weighted_sum() -> None:
    rng = np.random.default_rng(0)
    scores = [rng.standard_normal((20, 4)).astype(np.float32) for _ in range(3)]
    labels = rng.integers(4, size=20)
    result = fuse(scores, (0.5, 0.5, 0.4), labels)
    by_hand = 0.5 * scores[0] + 0.5 * scores[1] + 0.4 * scores[2]
    assert result.metrics["top1"] == np.mean(by_hand.argmax(1) == labels)
    assert result.scores is not None
    np.testing.assert_allclose(result.scores, by_hand, atol=1e-6)


def test_three_equal_streams_are_the_stream() -> None:
    scores = np.random.default_rng(1).standard_normal((30, 5)).astype(np.float32)
    labels = np.arange(30) % 5
    assert fuse([scores] * 3, (0.5, 0.5, 0.5), labels).metrics == accuracies(scores, labels)[0]


def test_streams_of_different_shape_cannot_be_fused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        fuse([np.zeros((2, 3)), np.zeros((3, 3))], (0.5, 0.5), np.zeros(2, np.int64))
