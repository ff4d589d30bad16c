"""The registry of `profile kernels`: shapes, what is compared, the work of each, and how far forms may differ.

The timing loop, the correctness gate, the pytest-benchmark suite and the tests all take their cases from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from backbones.base import MaskPooling
from methods import kernels
from methods.kernels import Form, Pooled
from methods.kernels.choice import products

LAM = 2.0  # Table 15's choice


@dataclass(frozen=True)
class Case:
    """One shape: rows of attention R = B * M' of n tokens of width C."""

    name: str
    rows: int
    tokens: int
    width: int
    heads: int
    pooling: MaskPooling = "mean"
    persons: int = 2  # rows of one sample

    def reduced(self, rows: int) -> Case:
        """The same with fewer rows."""
        return replace(self, rows=rows)


# In the order in which they are measured: when time runs out, the last ones are left.
CASES: tuple[Case, ...] = (
    Case("ST-GCN, DSTA: 8 heads", 256, 400, 256, 8),
    Case("BiGRU: last token", 128, 64, 2048, 8, "last", 1),
    Case("ST-GCN, DSTA: 4 heads", 256, 400, 256, 4),
    Case("ST-GCN, DSTA: 16 heads", 256, 400, 256, 16),
    Case("ST-GCN, DSTA: 32 heads", 256, 400, 256, 32),
    Case("odd: n 325, C 96", 256, 325, 96, 4),
    Case("odd: n 50, C 64", 256, 50, 64, 4),
    Case("odd: n 25, C 96", 256, 25, 96, 2),
    Case("narrow heads: n 50, C 32", 256, 50, 32, 8),
)

# Relative root-mean-square error against float64, of every result and every gradient. Rounding the inputs is not part
# of it: the float64 reference gets the rounded ones. The unit of the last place is 2⁻²³, 2⁻¹⁰, 2⁻⁷ and, of tf32's
# factors, 2⁻¹⁰; each bound allows a few roundings in a row.
TOLERANCE = {"float64": 1e-12, "float32": 2e-6, "tf32": 2e-3, "float16": 2e-3, "bfloat16": 1.2e-2}

# The layouts of a map that backbones make, and one that they do not: (R, n, C) with these strides.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "tokens side by side": lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),  # DSTA, on a GPU ST-GCN too
    "channels side by side": lambda x: x.contiguous(),  # ST-GCN on a CPU, BiGRU
    "every second channel": lambda x: x.repeat_interleave(2, dim=2)[:, :, ::2],
}


class Inputs(NamedTuple):
    """What a form gets, and the gradients that come back to f_s and f_ns."""

    case: Case
    projected: tuple[Tensor, ...]  # (R, n, 3C); or (R, 1, C) and (R, n, 2C)
    weight: Tensor  # (C, C)
    bias: Tensor  # (C,)
    x: Tensor  # (R, n, C)
    keys: Tensor  # (R, n, C)
    g_s: Tensor  # (R, C)
    g_ns: Tensor  # (R, C)

    def map(self, change: Callable[[Tensor], Tensor]) -> Inputs:
        """Every tensor changed."""
        return Inputs(self.case, tuple(map(change, self.projected)), *map(change, self[2:]))


def make(case: Case, dtype: torch.dtype, device: str = "cpu", layout: str = "tokens side by side") -> Inputs:
    """Inputs like those behind a backbone's last ReLU; the same numbers on every device."""
    generator = torch.Generator().manual_seed(0)
    r, n, c = case.rows, case.tokens, case.width

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device, dtype)

    projected = (normal(r, n, 3 * c),) if case.pooling == "mean" else (normal(r, 1, c), normal(r, n, 2 * c))
    x, keys = (LAYOUTS[layout](normal(r, n, c).relu()) for _ in range(2))
    return Inputs(case, projected, normal(c, c) / c**0.5, 0.3 * normal(c), x, keys, normal(r, c), normal(r, c))


Compute = Callable[[Inputs], Pooled]


def computing(form: Form, function: Callable[..., Pooled] = kernels.attention_pool) -> Compute:
    """A form as a function of inputs; `function` may be attention_pool as something has compiled it."""

    def compute(i: Inputs) -> Pooled:
        projected = i.projected[0] if len(i.projected) == 1 else (i.projected[0], i.projected[1])
        return function(form, projected, i.case.heads, i.weight, i.bias, LAM, i.x, i.keys)

    return compute


def forward_and_backward(compute: Compute, inputs: Inputs) -> dict[str, Tensor]:
    """The four results, and the gradients of everything but the keys."""
    leaves = inputs._replace(
        projected=tuple(p.detach().requires_grad_() for p in inputs.projected),
        weight=inputs.weight.detach().requires_grad_(),
        bias=inputs.bias.detach().requires_grad_(),
        x=inputs.x.detach().requires_grad_(),
    )
    f_s, f_ns, k_s, k_ns = compute(leaves)
    wrt = {"weight": leaves.weight, "bias": leaves.bias, "x": leaves.x}
    wrt |= dict(zip(("qkv",) if inputs.case.pooling == "mean" else ("q", "kv"), leaves.projected, strict=True))
    gradients = torch.autograd.grad((f_s, f_ns), list(wrt.values()), (inputs.g_s, inputs.g_ns))
    found = {"f_s": f_s, "f_ns": f_ns, "k_s": k_s, "k_ns": k_ns}
    found |= {f"gradient of {name}": g for name, g in zip(wrt, gradients, strict=True)}
    return {name: value.detach() for name, value in found.items()}


def errors(compute: Compute, inputs: Inputs, want: dict[str, Tensor]) -> dict[str, float]:
    """Relative root-mean-square distance of every result and gradient from `want` (see `exact`)."""
    got = forward_and_backward(compute, inputs)
    return {name: float((got[name].double() - value).norm() / value.norm()) for name, value in want.items()}


def exact(inputs: Inputs, rows: int = 32) -> dict[str, Tensor]:
    """What the specification says in float64 from the same, already rounded, inputs, `rows` rows at a time.

    Rows do not see each other: results and gradients stand side by side, and those of the weights add up.
    """
    parts = []
    for at in range(0, inputs.case.rows, rows):

        def part(t: Tensor, at: int = at) -> Tensor:
            return t[at : at + rows].double()

        some = inputs._replace(
            projected=tuple(map(part, inputs.projected)), weight=inputs.weight.double(), bias=inputs.bias.double(),
            x=part(inputs.x), keys=part(inputs.keys), g_s=part(inputs.g_s), g_ns=part(inputs.g_ns),
        )  # fmt: skip
        parts.append(forward_and_backward(computing("reference"), some))
    found = {name: [part[name] for part in parts] for name in parts[0]}
    shared = ("gradient of weight", "gradient of bias")
    return {name: torch.stack(ts).sum(0) if name in shared else torch.cat(ts) for name, ts in found.items()}


def wrong(compute: Compute, inputs: Inputs, want: dict[str, Tensor]) -> str | None:
    """What is out of tolerance, or None. A value that is not finite is out of it."""
    bound = TOLERANCE[products(inputs.x.dtype)]
    found = errors(compute, inputs, want)
    bad = [f"{name} {error:.1e}" for name, error in found.items() if not error <= bound]
    return f"beyond {bound:.0e}: {', '.join(bad)}" if bad else None


def forms_of(case: Case, device: str) -> list[Form]:
    """The forms that make sense for a shape, apart from those that are compiled by PyTorch."""
    mean = case.pooling == "mean"
    more: tuple[Form, Form] = ("rows", "narrow") if device == "cpu" else ("sdpa + pool", "joined")
    return ["reference", "sdpa", *more[: 1 + mean]]
