"""One call for every form of attention mask and mask pooling. Triton is imported when a form needs it."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from methods.kernels import reference, rows
from methods.kernels.choice import Form
from methods.kernels.linear import linear
from methods.kernels.reference import Pooled, split_heads


def attention_pool(
    form: Form,
    projected: Float[Tensor, "R n E"] | tuple[Float[Tensor, "R 1 C"], Float[Tensor, "R n F"]],
    heads: int,
    weight: Float[Tensor, "C C"],
    bias: Float[Tensor, " C"],
    lam: float,
    x: Float[Tensor, "R n C"],
    keys: Float[Tensor, "R n C"],
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
    Raises:
        ValueError: for the form `joined` where the last token alone is pooled, or of a width that it does not hold.
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
