"""Mask pooling in plain PyTorch: the specification that every fused kernel is checked against."""

from __future__ import annotations

from torch import Tensor


def mask_pool(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Salient and non-salient means over tokens. Equations 5 to 7.

    f_s = mean(X * M); f_ns = mean(X * (1 - M)), computed as mean(X) - f_s, which is the same number and saves
    the second product. (The paper's I in equation 5 is the matrix of ones.)

    Args:
        x: (R, n, C) features.
        mask: (R, n, C) in (0, 1).
    Returns:
        f_s, f_ns: (R, C) each; their sum is the plain mean.
    """
    salient = (x * mask).mean(dim=1)
    return salient, x.mean(dim=1) - salient
