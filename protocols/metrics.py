"""Accuracy from scores: top-1, top-5, and per class."""

# pyright: strict

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def accuracies(
    scores: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"]
) -> tuple[dict[str, float], list[float]]:
    """Top-1 and top-5 accuracy as fractions, and the accuracy of every class.

    Ties go to the smaller class index. A class without test samples has accuracy NaN, and with fewer than five
    classes top-5 is 1.

    Args:
        scores: (n, classes), larger is better.
        labels: (n,) int.
    Raises:
        ValueError: when shapes disagree or there is no sample.
        FloatingPointError: when a score is not finite.
    """
    if scores.ndim != 2 or len(scores) != len(labels):
        raise ValueError(f"scores {scores.shape} do not belong to {len(labels)} labels")
    if not np.isfinite(scores).all():
        bad = np.sum(~np.isfinite(scores))
        raise FloatingPointError(f"{bad} of {scores.size} scores are not finite; a lower learning rate usually helps")
    if not len(labels):
        raise ValueError("there is no test sample to be right or wrong about; is the test side empty?")
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    classes = range(scores.shape[1])
    smaller = np.arange(len(classes)) < labels[:, None]
    better = np.count_nonzero((scores > own) | ((scores == own) & smaller), axis=1)  # classes before the right one
    metrics = {"top1": float((better == 0).mean()), "top5": float((better < 5).mean())}
    per_class = [float((better[labels == c] == 0).mean()) if (labels == c).any() else float("nan") for c in classes]
    return metrics, per_class
