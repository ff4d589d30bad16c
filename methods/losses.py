"""Contrastive losses as pure functions of tensors: B samples, D embedding, K queue, embeddings of length 1."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def contrast_logits(q: Tensor, k: Tensor, queue: Tensor, tau: float, extra: Tensor | None = None) -> Tensor:
    """Similarities over tau, the positive first: [q.k, q.queue (K), q.extra].

    Args:
        q, k: (B, D) query and its positive key.
        queue: (D, K) negatives.
        extra: (B, D), one more negative for every sample.
    Returns:
        (B, 1 + K) or (B, 2 + K).
    """
    columns = [(q * k).sum(dim=1, keepdim=True), q @ queue]
    if extra is not None:
        columns.append((q * extra).sum(dim=1, keepdim=True))
    return torch.cat(columns, dim=1) / tau


def info_nce(q: Tensor, k: Tensor, queue: Tensor, tau: float, extra: Tensor | None = None) -> Tensor:
    """-log of the share of the positive, mean over the batch. Equation 1; with `extra` equations 8 and 9.

    Args and Raises as `contrast_logits`. Returns a scalar.
    """
    logits = contrast_logits(q, k, queue, tau, extra)
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))
