"""Attention mask and mask pooling, the part that SkeAttnCLR adds to every step: one function, several forms of it.

reference.py is the specification; choice.py says which form runs where. Triton is imported when a form needs it.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from backbones.linear import linear
from methods.kernels import reference, rows
from methods.kernels.choice import FORMS, KERNELS, Form, Kernel, Unsupported, choose, unsupported

__all__ = ["FORMS", "KERNELS", "Form", "Kernel", "Pooled", "Unsupported", "attention_pool", "choose", "unsupported"]

Pooled = tuple[Tensor, Tensor, Tensor, Tensor]  # f_s, f_ns, k_s, k_ns


def split_heads(projected: Tensor | tuple[Tensor, Tensor], heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """(R, n, 3C), or Q (R, 1, C) and K V (R, n, 2C) -> q, k, v: (R, H, m | n, d)."""
    if isinstance(projected, Tensor):
        q, k, v = projected.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v
    k, v = projected[1].unflatten(2, (2, heads, -1)).permute(2, 0, 3, 1, 4)
    return projected[0].unflatten(2, (heads, -1)).transpose(1, 2), k, v


def attention_pool(
    form: Form,
    projected: Tensor | tuple[Tensor, Tensor],
    heads: int,
    weight: Tensor,
    bias: Tensor,
    lam: float,
    x: Tensor,
    keys: Tensor,
) -> Pooled:
    """From the QKV product to the pooled features. Equations 2 to 7.

    Args:
        form: see `choose`.
        projected: (R, n, 3C), Q, K and V with their heads side by side; or, when the last token alone is pooled,
            its Q (R, 1, C), and K and V of all (R, n, 2C).
        weight, bias: (C, C) and (C,), of the projection.
        lam: lambda of equation 4.
        x, keys: (R, n, C), the features and those of the key encoder.
    Returns:
        f_s, f_ns, k_s, k_ns: (R, C) each. The keys' have no gradient, and the mask has its own from f_s and f_ns alone.
    """
    if form == "joined":
        from methods.kernels import joined

        if not isinstance(projected, Tensor):
            raise ValueError("the joined kernel pools all tokens; for the last alone take `sdpa + pool`")
        return joined.attention_pool(projected, heads, weight, bias, lam, x, keys)
    if form == "rows" and not isinstance(projected, Tensor):
        attended = rows.attend_last(*projected, heads)
        return reference.project_and_pool(attended, weight, bias, lam, x[:, -1:], keys[:, -1:])
    if form == "narrow" and isinstance(projected, Tensor):
        attended = rows.attend_narrow(projected, heads)
        return reference.project_and_pool(attended, weight, bias, lam, x, keys, linear)
    q, k, v = split_heads(projected, heads)
    x, keys = x[:, -q.shape[2] :], keys[:, -q.shape[2] :]
    if form == "reference":
        return reference.attention_pool(q, k, v, weight, bias, lam, x, keys)
    attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    if form in ("sdpa", "narrow"):
        return reference.project_and_pool(attended, weight, bias, lam, x, keys, linear)
    if form == "rows":
        return rows.mask_pool(attended, weight, bias, lam, x, keys)
    from methods.kernels import pooling

    return pooling.mask_pool(attended, weight, bias, lam, x, keys)
