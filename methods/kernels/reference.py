"""Attention mask and mask pooling in plain PyTorch: the specification that every other form is checked against."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Pooled = tuple[
    Float[Tensor, "R C"], Float[Tensor, "R C"], Float[Tensor, "R C"], Float[Tensor, "R C"]
]  # f_s, f_ns, k_s, k_ns


def split_heads(
    projected: Float[Tensor, "R n E"] | tuple[Float[Tensor, "R 1 C"], Float[Tensor, "R n F"]], heads: int
) -> tuple[Float[Tensor, "R H m d"], Float[Tensor, "R H n d"], Float[Tensor, "R H n d"]]:
    """Views: (R, n, 3C), or Q (R, 1, C) and K V (R, n, 2C) -> q, k, v: (R, H, n, d), q (R, H, 1, d) of the latter."""
    if isinstance(projected, Tensor):
        q, k, v = projected.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v
    k, v = projected[1].unflatten(2, (2, heads, -1)).permute(2, 0, 3, 1, 4)
    return projected[0].unflatten(2, (heads, -1)).transpose(1, 2), k, v


def mask_pool(
    x: Float[Tensor, "R n C"], mask: Float[Tensor, "R n C"]
) -> tuple[Float[Tensor, "R C"], Float[Tensor, "R C"]]:
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


def attend(
    q: Float[Tensor, "R H m d"], k: Float[Tensor, "R H n d"], v: Float[Tensor, "R H n d"]
) -> Float[Tensor, "R m H*d"]:
    """softmax(Q Kᵀ / sqrt(d)) V of every head. Equations 2 and 3.

    Args:
        q: (R, H, m, d); k, v: (R, H, n, d).
    Returns:
        (R, m, H * d), heads side by side.
    """
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)


def attention_pool(
    q: Float[Tensor, "R H m d"],
    k: Float[Tensor, "R H n d"],
    v: Float[Tensor, "R H n d"],
    weight: Float[Tensor, "C C"],
    bias: Float[Tensor, " C"],
    lam: float,
    x: Float[Tensor, "R m C"],
    keys: Float[Tensor, "R m C"],
) -> Pooled:
    """Everything behind the QKV product: attention, projection, mask, and both poolings of both maps.

    Half-precision input is computed in float32 throughout; only the results are rounded.

    Args:
        q: (R, H, m, d), m = n, or 1 when the last token alone is pooled; k, v: (R, H, n, d).
        weight, bias: (C, C) and (C,), of the projection; C = H * d.
        lam: lambda of equation 4.
        x, keys: (R, m, C), the features and those of the key encoder. Nothing here gives the keys a gradient, and the
            mask gets its own from the features alone.
    Returns:
        f_s, f_ns, k_s, k_ns: (R, C) each, in the type of x.
    """
    exact = torch.float64 if x.dtype == torch.float64 else torch.float32
    q, k, v, weight, bias = (t.to(exact) for t in (q, k, v, weight, bias))
    pooled = project_and_pool(attend(q, k, v), weight, bias, lam, x.to(exact), keys.to(exact))
    f_s, f_ns, k_s, k_ns = (f.to(x.dtype) for f in pooled)
    return f_s, f_ns, k_s, k_ns


def project_and_pool(
    attended: Float[Tensor, "R n C"],
    weight: Float[Tensor, "C C"],
    bias: Float[Tensor, " C"],
    lam: float,
    x: Float[Tensor, "R n C"],
    keys: Float[Tensor, "R n C"],
    linear: Callable[[Tensor, Tensor, Tensor], Tensor] = F.linear,
) -> Pooled:
    """Equations 4 to 7: the mask sigmoid(lam (U Wᵀ + b)), and both maps pooled with it; attended is U, (R, m, C)."""
    mask = torch.sigmoid(lam * linear(attended, weight, bias))
    f_s, f_ns = mask_pool(x, mask)
    with torch.no_grad():
        k_s, k_ns = mask_pool(keys, mask)
    return f_s, f_ns, k_s, k_ns
