"""What `auto | triton | sdpa | reference` mean here; an impossible wish is an error; training is equal with all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from backbones import DSTA, STGCN, Backbone, BiGRU
from benchmarks.datasets.standin import synthetic
from methods import At, kernels
from methods.kernels import KERNELS, Form, Kernel, Unsupported, choice
from methods.mhsam import AttentionMask
from methods.skeattnclr import SkeAttnCLR
from tests import official

REPO = Path(__file__).resolve().parents[3]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
on_a_cpu = pytest.mark.skipif(DEVICE == "cuda", reason="this machine has a GPU")


def features(n: int, width: int, side_by_side: str = "tokens", **options: Any) -> torch.Tensor:
    if side_by_side == "tokens":
        return torch.zeros(2, width, n, **options).transpose(1, 2)
    return torch.zeros(2, n, width, **options)


@on_a_cpu
@pytest.mark.parametrize(
    ("x", "pooling", "form"),
    [
        (features(400, 256), "mean", "rows"),
        (features(256, 256), "mean", "rows"),
        (features(255, 256), "mean", "sdpa"),
        (features(400, 256, "channels"), "mean", "sdpa"),
        (features(64, 2048, "channels"), "last", "rows"),
        (features(64, 1000), "last", "sdpa"),
        (features(128, 64, "channels"), "mean", "narrow"),
        (features(129, 64, "channels"), "mean", "sdpa"),
        (features(100, 72, "channels"), "mean", "sdpa"),
        (features(100, 64, "channels").bfloat16(), "mean", "sdpa"),
    ],
)
def test_auto_on_a_cpu(x, pooling, form):
    assert kernels.choose("auto", x, 8, pooling) == form


def fake_gpu(monkeypatch: pytest.MonkeyPatch, reason: str | None = None) -> None:
    monkeypatch.setattr(choice, "unsupported", lambda device, dtype: reason)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "a GPU")


class OnGPU:
    """As much of a tensor as the choice looks at."""

    device = torch.device("cuda")

    def __init__(self, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
        self.shape, self.dtype = shape, dtype


@pytest.mark.parametrize(
    ("dtype", "pooling", "reason", "form"),
    [
        (torch.bfloat16, "mean", None, "sdpa + pool"),
        (torch.float32, "mean", None, "sdpa"),  # cuBLAS has float32 proper
        (torch.bfloat16, "last", None, "sdpa"),
        (torch.bfloat16, "mean", "no compiler", "sdpa"),
    ],
)
def test_auto_on_a_gpu(monkeypatch, dtype, pooling, reason, form):
    fake_gpu(monkeypatch, reason)
    x: Any = OnGPU((256, 400, 256), dtype)
    assert kernels.choose("auto", x, 8, pooling) == form


def test_what_was_measured_on_this_gpu_comes_first(monkeypatch):
    fake_gpu(monkeypatch)
    monkeypatch.setattr(choice, "MEASURED", {"a GPU": {(400, 256, 8, "float16"): "joined"}})
    x: Any = OnGPU((256, 400, 256), torch.float16)
    assert kernels.choose("auto", x, 8, "mean") == "joined"
    assert kernels.choose("auto", x, 4, "mean") == "sdpa + pool"
    monkeypatch.setattr(choice, "MEASURED", {"another": {(400, 256, 8, "float16"): "joined"}})
    assert kernels.choose("auto", x, 8, "mean") == "sdpa + pool"


@pytest.mark.parametrize(
    ("width", "pooling", "form"), [(256, "mean", "joined"), (512, "mean", "sdpa + pool"), (64, "last", "sdpa + pool")]
)
def test_triton_means_our_kernels(width, pooling, form):
    assert kernels.choose("triton", features(20, width, device=DEVICE), 4, pooling) == form


def test_an_impossible_wish_is_an_error(monkeypatch):
    x: Any = features(20, 32)
    with pytest.raises(ValueError, match="choose one of auto, triton, sdpa, reference"):
        kernels.choose("flash", x, 4, "mean")  # pyright: ignore[reportArgumentType]  what is wrong is tested
    monkeypatch.setattr(choice, "unsupported", lambda device, dtype: "Triton is not there")
    with pytest.raises(Unsupported, match="kernel triton: Triton is not there"):
        kernels.choose("triton", x, 4, "mean")
    for kernel in ("sdpa", "reference", "auto"):
        kernels.choose(kernel, x, 4, "mean")


@on_a_cpu
def test_why_triton_cannot_run_here():
    assert kernels.unsupported(torch.device("cpu"), torch.float32) is None  # the tests' interpreter
    assert "bfloat16 as integers" in (kernels.unsupported(torch.device("cpu"), torch.bfloat16) or "")
    ask = "import torch; from methods import kernels; print(kernels.unsupported(torch.device('cpu'), torch.float32))"
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    said = subprocess.run([sys.executable, "-c", ask], cwd=REPO, env=environment, capture_output=True, text=True)
    assert said.stdout.strip() == "Triton compiles for GPUs, and this is a CPU", said.stderr


# --- the module, and a method that uses it ------------------------------------------------------------------

RAN: dict[Kernel, Form] = {"reference": "reference", "sdpa": "sdpa", "triton": "joined"}


@pytest.mark.parametrize("kernel", KERNELS)
def test_pooling_in_one_call_equals_the_mask_and_then_the_means(kernel):
    torch.manual_seed(0)
    module = AttentionMask(16, 2, 2.0).to(DEVICE)
    tokens, keys = torch.randn(2, 3, 2, 10, 16, device=DEVICE)
    module.kernel = kernel
    for pooling in ("mean", "last"):
        mask = module(tokens.flatten(0, 1), pooling).unflatten(0, (3, 2))
        pooled = module.pool(tokens, keys, pooling)
        for f, (salient, other) in zip((tokens, keys), (pooled[:2], pooled[2:]), strict=True):
            f = f[:, :, -mask.shape[2] :]
            assert official.error(salient, (f * mask).mean(dim=(1, 2))) < 1e-6
            assert official.error(other, (f * (1 - mask)).mean(dim=(1, 2))) < 1e-6
        assert module.ran == kernels.choose(kernel, tokens.flatten(0, 1), 2, pooling)


# A few clips, and BatchNorm over as few: training is chaotic, float32's rounding grows tenfold with every step. In
# float64 a wrong gradient stands out, and rounding does not.
DTYPE, STEPS, EQUAL = (torch.float32, 2, 1e-4) if DEVICE == "cuda" else (torch.float64, 4, 1e-9)


def losses(kernel: Kernel, backbone: Backbone) -> tuple[list[float], AttentionMask]:
    """Of the first steps of SkeAttnCLR on a stand-in's first clips."""
    torch.manual_seed(0)
    config = SkeAttnCLR.Config(dim=8, queue=16, heads=2, mix_units=(1, 2))
    method = SkeAttnCLR(backbone, "joint", config).to(DEVICE, DTYPE).train()
    mask = method.attention()
    mask.kernel = kernel
    x = torch.from_numpy(synthetic.generate("irds", "smoke", 8)[0][:8]).to(DEVICE)
    optimiser = torch.optim.SGD(method.parameters(), lr=0.1, momentum=0.9)
    found = []
    for step in range(STEPS):
        at = At(0, step, STEPS, 1)
        drawn = method.views(x[4 * (step % 2) :][:4], torch.Generator().manual_seed(step))
        views = {name: v.to(DTYPE) if v.is_floating_point() else v for name, v in drawn.items()}
        loss = torch.stack(list(method.loss(views, at).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        method.after_step(at)
        found.append(float(loss.detach()))
    return found, mask


def stgcn() -> Backbone:
    torch.manual_seed(1)
    return STGCN(STGCN.Config(width=4, out=16, dropout=0.0))


def dsta() -> Backbone:
    torch.manual_seed(1)
    return DSTA(DSTA.Config(blocks=((8, 8, 4, 1), (8, 16, 4, 2))))


def bigru() -> Backbone:
    torch.manual_seed(1)
    return BiGRU(BiGRU.Config(hidden_size=8, layers=1))


def test_training_has_the_same_loss_curve_with_every_kernel():
    want, _ = losses("reference", stgcn())
    assert max(want) - min(want) > 1  # it is a curve
    for kernel in ("sdpa", "triton", "auto"):
        got, mask = losses(kernel, stgcn())
        assert got == pytest.approx(want, rel=EQUAL), kernel
        assert mask.ran == RAN.get(kernel, mask.ran)


def test_so_has_training_where_the_last_token_alone_is_pooled():
    want, _ = losses("reference", bigru())
    got, mask = losses("triton", bigru())
    assert got == pytest.approx(want, rel=EQUAL)
    assert mask.ran == "sdpa + pool"


@on_a_cpu
def test_so_has_the_form_for_cpus_which_maps_of_this_size_do_not_get(monkeypatch):
    monkeypatch.setattr(choice, "ROWS_FROM", 0)
    want, _ = losses("reference", stgcn())
    got, mask = losses("auto", stgcn())
    assert got == pytest.approx(want, rel=EQUAL)
    assert mask.ran == "narrow", "a few tokens, whose channels lie side by side"
    monkeypatch.setattr(choice, "SHORT", 0)
    want, _ = losses("reference", dsta())
    got, mask = losses("auto", dsta())
    assert got == pytest.approx(want, rel=EQUAL)
    assert mask.ran == "rows"
    want, _ = losses("reference", bigru())
    got, mask = losses("auto", bigru())
    assert got == pytest.approx(want, rel=EQUAL)
    assert mask.ran == "rows"
