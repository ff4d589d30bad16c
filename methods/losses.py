"""Contrastive losses as pure functions of tensors: B samples, D embedding, K queue, embeddings of length 1."""

# pyright: strict

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from backbones.exact import unrounded


def unit(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """Rows of length 1, (B, D); bfloat16 and float16 become float32, in which all similarities are computed."""
    return F.normalize(x if x.dtype == torch.float64 else x.float(), dim=1)


def contrast_logits(
    q: Float[Tensor, "B D"],
    k: Float[Tensor, "B D"],
    queue: Float[Tensor, "D K"],
    tau: float,
    extra: Float[Tensor, "B D"] | None = None,
) -> Float[Tensor, "B N"]:
    """Similarities over tau, the positive first: [q.k, q.queue (K), q.extra]. What equations 1, 8 and 9 exponentiate.

    Args:
        q, k: (B, D) query and its positive key.
        queue: (D, K) negatives.
        extra: (B, D), one more negative for every sample.
    Returns:
        (B, 1 + K) or (B, 2 + K).
    """
    with unrounded(q):  # a temperature magnifies what rounding leaves
        columns = [(q * k).sum(dim=1, keepdim=True), q @ queue]
        if extra is not None:
            columns.append((q * extra).sum(dim=1, keepdim=True))
        return torch.cat(columns, dim=1) / tau


def nearest(logits: Float[Tensor, "B N"], count: int) -> Bool[Tensor, "B N"]:
    """The `count` negatives that are most alike, as positives: (B, N) bool with columns as in `contrast_logits`.

    Column 0, the true positive, is not among them. The neighbours that CrosSCLR mines.
    """
    top = logits[:, 1:].topk(count, dim=1).indices + 1
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, top, True)


def neighbours(views: Sequence[Float[Tensor, "B N"]], count: int) -> Bool[Tensor, "B N"]:
    """The `nearest` of any of several views of the same batch, each (B, N) -> (B, N) bool; nobody's when `count` is 0.

    The mining of AimCLR and HiCLR.
    """
    return torch.stack([nearest(logits.detach(), count) for logits in views]).any(dim=0)


def mined_nce(logits: Float[Tensor, "B N"], positives: Bool[Tensor, "B N"]) -> Float[Tensor, ""]:
    """InfoNCE with several positives: -log softmax, mean over a sample's positives, then over the batch.

    logits (B, N), positives (B, N) bool, in addition to column 0 -> scalar. The mined loss of CrosSCLR, AimCLR and
    HiCLR; equation 1 where column 0 is the only positive.
    """
    positives = positives.clone()
    positives[:, 0] = True
    log_share = F.log_softmax(logits, dim=1).masked_fill(~positives, 0.0)
    return -(log_share.sum(dim=1) / positives.sum(dim=1)).mean()


def taught(student: Float[Tensor, "B N"], teacher: Float[Tensor, "B N"]) -> Float[Tensor, ""]:
    """Cross entropy from the teacher's distribution over the columns, a constant, to the student's: (B, N) -> scalar.

    The distributional divergence minimisation of AimCLR and HiCLR.
    """
    return -(F.softmax(teacher.detach(), dim=1) * F.log_softmax(student, dim=1)).sum(dim=1).mean()


def info_nce(
    q: Float[Tensor, "B D"],
    k: Float[Tensor, "B D"],
    queue: Float[Tensor, "D K"],
    tau: float,
    extra: Float[Tensor, "B D"] | None = None,
) -> Float[Tensor, ""]:
    """-log of the share of the positive, mean over the batch. Equation 1; with `extra` equations 8 and 9.

    Args as `contrast_logits`. Returns a scalar.
    """
    logits = contrast_logits(q, k, queue, tau, extra)
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))
