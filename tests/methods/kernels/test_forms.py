"""Every form of attention mask and mask pooling against the specification in float64: results and gradients.

Without a GPU the Triton kernels run in Triton's interpreter (tests/conftest.py), which has no bfloat16; the sizes that
loops depend on are small, so that every loop is run more than once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.throughput.kernel_cases import (
    CASES,
    LAM,
    LAYOUTS,
    Case,
    Compute,
    Inputs,
    computing,
    exact,
    forward_and_backward,
    make,
    wrong,
)
from methods import kernels
from methods.kernels import Form, attention_gradients, joined, pooling, rows, tiles
from methods.kernels.tiles import Tiles

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TRITON: dict[Form, set[str]] = {
    "sdpa + pool": {"forward", "token_gradients", "weight_gradients"},
    "joined": {"attend_and_pool", "token_gradients", "weight_gradients", "query_gradients", "key_gradients"},
}


@pytest.fixture(autouse=True)
def launched(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The kernels that a test has launched."""
    names: set[str] = set()

    class Watched:
        def __init__(self, name: str, kernel: Any) -> None:
            self.name, self.kernel = name, kernel

        def __getitem__(self, grid: tuple[int, ...]) -> Any:
            names.add(self.name.removesuffix("_kernel"))
            return self.kernel[grid]

    for module in (pooling, joined, attention_gradients):
        for name in [name for name in vars(module) if name.endswith("_kernel")]:
            monkeypatch.setattr(module, name, Watched(name, getattr(module, name)))
    return names


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles that suit an interpreter, whose time goes by operations and not by numbers: few, large, still several."""
    if DEVICE == "cuda":
        return

    def attention(width: int, dtype: torch.dtype) -> Tiles:
        padded = tiles.power_of_two(width)
        return Tiles(256, padded, 256, padded, 4, 1)

    def pool(width: int, dtype: torch.dtype) -> Tiles:
        part = max(16, tiles.power_of_two(width) // 2)
        return Tiles(256, part, part, part, 4, 1)

    monkeypatch.setattr(joined, "attention_tiles", attention)
    monkeypatch.setattr(joined, "pooling_tiles", pool)
    monkeypatch.setattr(pooling, "pooling_tiles", pool)


def fine(form: Form) -> Compute:
    """With the smallest tiles, so that no loop ends after its first turn."""
    small = Tiles(16, 16, 16, 16, 4, 1)

    def compute(i: Inputs) -> kernels.Pooled:
        if form == "joined":
            own = small._replace(channels=tiles.power_of_two(i.case.width))
            return joined.attention_pool(i.projected[0], i.case.heads, i.weight, i.bias, LAM, i.x, i.keys, (own, small))
        q, k, v = kernels.split_heads(i.projected[0], i.case.heads)
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return pooling.mask_pool(attended, i.weight, i.bias, LAM, i.x, i.keys, small)

    return compute


def check(compute: Compute, inputs: Inputs) -> None:
    assert (found := wrong(compute, inputs, exact(inputs))) is None, found


# The joined kernel pools all tokens; the other one does not see how many heads there are.
PAIRS = [
    pytest.param(form, case, id=f"{form}, {case.name}")
    for form in TRITON
    for case in CASES
    if (case.pooling == "mean" if form == "joined" else case.width != 256 or case.heads == 8)
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float32", "float16"])
@pytest.mark.parametrize(("form", "case"), PAIRS)
def test_triton_equals_the_specification(form, case, dtype, launched, coarse):
    check(computing(form), make(case.reduced(1 if case.tokens > 50 and case.pooling == "mean" else 2), dtype, DEVICE))
    assert launched == TRITON[form]


@pytest.mark.skipif(DEVICE == "cpu", reason="Triton's interpreter has no bfloat16 and no tf32")
@pytest.mark.parametrize("precision", ["bfloat16", "tf32"])
@pytest.mark.parametrize(("form", "case"), PAIRS)
def test_triton_equals_the_specification_in_what_only_a_gpu_has(form, case, precision, launched):
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high" if precision == "tf32" else before)
        check(computing(form), make(case.reduced(4), torch.float32 if precision == "tf32" else torch.bfloat16, DEVICE))
    finally:
        torch.set_float32_matmul_precision(before)
    assert launched == TRITON[form]


@pytest.mark.parametrize("form", TRITON)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_small_tiles_and_any_memory_layout(form, layout, launched, monkeypatch):
    """n, C and d are no multiples of a tile: 40 = 2 * 16 + 8 tokens, 36 = 2 * 16 + 4 channels, heads of 12.

    dW has 3 x 3 blocks, and two programs for each, which share 2 x 3 tiles of tokens.
    """
    monkeypatch.setattr(pooling, "PROGRAMS", 18)
    check(fine(form), make(Case("", 2, 40, 36, 3), torch.float32, DEVICE, layout))
    assert launched == TRITON[form]


def test_a_projection_that_is_a_part_of_a_wider_one(launched):
    inputs = make(Case("", 2, 20, 16, 2), torch.float32, DEVICE)
    wide = torch.cat([inputs.projected[0], inputs.projected[0]], dim=2)
    check(fine("joined"), inputs._replace(projected=(wide[:, :, :48],)))
    check(fine("joined"), inputs._replace(projected=(wide.repeat_interleave(2, 2)[:, :, :96:2],)))


@pytest.mark.parametrize("last", [False, True], ids=["mean", "last"])
@pytest.mark.parametrize("form", ["sdpa", "narrow", "rows", "reference"])
def test_pytorch_forms_equal_the_specification(form, last, launched):
    case = Case("", 3, 40, 36, 3, "last" if last else "mean")
    for dtype in (torch.float64, torch.float32):
        for layout in LAYOUTS:
            check(computing(form), make(case, dtype, DEVICE, layout))
    assert not launched


@pytest.mark.skipif(DEVICE == "cuda", reason="no kernel for float64 on a GPU")
@pytest.mark.parametrize("form", ["sdpa + pool", "joined", "rows", "narrow"])
def test_gradients_are_those_of_finite_differences(form):
    case = Case("", 2, 5, 6, 2)
    if form != "joined":
        case = replace(case, rows=3)
    i = make(case, torch.float64).map(lambda t: t.detach().requires_grad_())
    names = (*i.projected, i.weight, i.bias, i.x)

    def call(*leaves: Tensor) -> tuple[Tensor, Tensor]:
        *projected, weight, bias, x = leaves
        f_s, f_ns, *_ = computing(form)(i._replace(projected=tuple(projected), weight=weight, bias=bias, x=x))
        return f_s, f_ns

    assert torch.autograd.gradcheck(call, names, fast_mode=True)


def test_gradients_of_the_last_token_alone_are_those_of_finite_differences():
    query, pairs = (t.requires_grad_() for t in make(Case("", 3, 5, 6, 2, "last"), torch.float64).projected)
    assert torch.autograd.gradcheck(lambda q, kv: rows.attend_last(q, kv, 2), (query, pairs))


@pytest.mark.parametrize("form", ["sdpa + pool", "joined", "rows", "narrow"])
def test_keys_have_no_gradient_and_runs_are_equal_bit_for_bit(form):
    inputs = make(Case("", 2, 36, 16, 2), torch.float32, DEVICE)
    keys = inputs.keys.requires_grad_()
    f_s, f_ns, k_s, k_ns = computing(form)(inputs._replace(x=inputs.x.detach().requires_grad_(), keys=keys))
    assert f_s.requires_grad
    assert f_ns.requires_grad
    assert not k_s.requires_grad
    assert not k_ns.requires_grad
    assert not torch.autograd.grad(f_s.sum(), keys, allow_unused=True)[0]
    one, other = (forward_and_backward(computing(form), inputs) for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_joined_kernel_keeps_what_it_was_given_and_one_map():
    """Nothing of size n x n, no mask, no projected map: QKV, x, U, a number per query and head, the weights."""
    i = make(Case("", 2, 48, 32, 4), torch.float32, DEVICE)
    kept: dict[int, Tensor] = {}

    def pack(t: Tensor) -> Tensor:
        kept[t.data_ptr()] = t
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        computing("joined")(i._replace(projected=(i.projected[0].detach().requires_grad_(),)))
    given = {t.data_ptr() for t in (i.projected[0], i.weight, i.bias, i.x)}
    assert sorted(tuple(t.shape) for at, t in kept.items() if at not in given) == [(2, 4, 48), (2, 48, 32)]
    kept.clear()
    with torch.no_grad():
        computing("joined")(i)
    assert not kept


def test_nothing_but_f_s_asked_for_is_a_gradient_of_zero_for_f_ns():
    i = make(Case("", 2, 20, 16, 2), torch.float32, DEVICE)
    x = i.x.detach().requires_grad_()
    for form in ("joined", "sdpa + pool", "rows", "narrow"):
        f_s, *_ = computing(form)(i._replace(x=x))
        [g] = torch.autograd.grad(f_s, x, i.g_s)
        [want] = torch.autograd.grad(computing("reference")(i._replace(x=x))[0], x, i.g_s)
        torch.testing.assert_close(g, want, rtol=1e-5, atol=1e-6)
