"""Fusion of streams: a weighted sum of the raw scores of encoders trained on joint, bone and motion.

The releases add logits, without a softmax. Several pick the better of two weightings on the test set; here a
weighting is a named run of its own.
"""

# pyright: strict

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from protocols.base import Result
from protocols.metrics import accuracies

REVISION = 1


def fuse(scores: Sequence[Float[np.ndarray, "_ _"]], weights: Sequence[float], labels: Int[np.ndarray, " n"]) -> Result:
    """Top-1, top-5 and per-class accuracy of sum_i weights[i] * scores[i]; "3S" of Tables 1 to 3.

    Args:
        scores: arrays (n, classes) over the same test samples in the same order.
        weights: one for each.
        labels: (n,).
    Raises:
        ValueError: when counts or shapes disagree.
    """
    if len(scores) != len(weights) or not scores:
        raise ValueError(f"{len(scores)} sets of scores and {len(weights)} weights")
    if len({array.shape for array in scores}) > 1:
        raise ValueError(f"scores of different shapes cannot be fused: {[array.shape for array in scores]}")
    total = np.zeros(scores[0].shape, dtype=np.float64)
    for weight, array in zip(weights, scores, strict=True):
        total += weight * array.astype(np.float64)
    metrics, per_class = accuracies(total, labels)
    return Result(metrics, total.astype(np.float32), per_class)
