"""Machine choices of a training: bfloat16 within its rounding, compiled backbones, evaluation that knows of neither."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, get_args

import pytest
import torch
from torch import nn

import backbones
from backbones import DSTA, STGCN, Backbone, BiGRU, Features
from backbones.recurrence import run_gru
from backbones.streams import STREAMS
from methods import METHODS, At, Encoder, build
from protocols import Context, knn
from protocols.features import extract
from protocols.fit import fit
from protocols.precision import AMPS, Amp, autocast, cannot_compile, compile_backbones, ordered, products
from protocols.pretrain import pretrain
from protocols.sgd import SGD
from tests.protocols.small import CONFIGS, method, splits

CPU = torch.device("cpu")
NETS = {
    "stgcn": STGCN.Config(width=8, out=16, dropout=0.0),
    "bigru": BiGRU.Config(hidden_size=16),
    "dsta": DSTA.Config(blocks=((8, 8, 4, 1), (8, 16, 4, 2))),
}


def step(name: str, backbone: str, amp: Amp) -> tuple[dict[str, float], torch.Tensor]:
    """Loss terms of one training step from fixed weights, and the gradient of all parameters."""
    torch.manual_seed(0)
    trained = build(name, CONFIGS[name], backbones.build(backbone, NETS[backbone]), "joint").train()
    x, y = splits().train.tensors(CPU)
    views = trained.views(x, torch.Generator().manual_seed(0)) | ({"labels": y} if trained.NEEDS_LABELS else {})
    with autocast(amp, CPU):
        terms = trained.loss(views, At(0, 0, 1, 2))
    torch.stack(list(terms.values())).sum().backward()
    grads = [p.grad.flatten() for p in trained.parameters() if p.grad is not None]
    return {key: value.item() for key, value in terms.items()}, torch.cat(grads)


@pytest.mark.parametrize("backbone", NETS)
@pytest.mark.parametrize("name", METHODS)
def test_bfloat16_stays_within_its_rounding(name: str, backbone: str) -> None:
    kind = METHODS[name]
    if kind.unsupported(CONFIGS[name], backbones.build(backbone, NETS[backbone]), "joint"):
        pytest.skip(f"{name} does not train {backbone}")
    (exact, grads), (rounded, rough) = step(name, backbone, "off"), step(name, backbone, "bf16")
    for term, value in exact.items():
        assert rounded[term] == pytest.approx(value, rel=0.06, abs=0.01), term
    assert rough.dtype == torch.float32, "parameters and their gradients are not rounded"
    assert not torch.equal(grads, rough), "something was computed in bfloat16"
    assert nn.functional.cosine_similarity(grads, rough, dim=0) > 0.9


@pytest.mark.parametrize("amp", AMPS)
def test_the_training_loop_rounds_as_asked_and_evaluation_never_does(amp: Amp) -> None:
    trained, data = method("skeattnclr"), splits()
    seen: list[tuple[torch.dtype, str]] = []
    block = trained.encoder().get_submodule("backbone.blocks.1")
    block.register_forward_hook(lambda *call: seen.append((call[2].dtype, torch.get_float32_matmul_precision())))

    def terms_of(x, y, at, generator):
        return trained.loss(trained.views(x, generator), at)

    def judge(epoch, history):
        seen.clear()
        extract(trained.encoder(), data.test, "joint", CPU)
        assert set(seen) == {(torch.float32, "highest")}
        seen.clear()
        return {}

    def before(at):
        assert all(entry == (torch.bfloat16 if amp == "bf16" else torch.float32, _precision(amp)) for entry in seen)
        assert len(seen) == 2 * at.step

    history = fit(
        trained, terms_of, data.train.tensors(CPU), sgd=SGD(lr=0.01), batch=8, epochs=2, seed=0, run_id="r",
        context=Context(amp=amp), before_step=before, after_step=trained.after_step, after_epoch=judge,
    )  # fmt: skip
    assert math.isfinite(history[-1]["info"])
    assert {p.dtype for p in trained.parameters()} == {torch.float32}
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("stream", STREAMS)
def test_views_are_data_and_never_rounded(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames of a motion stream differ by less than bfloat16 can tell."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for amp in ("off", "bf16"):
        torch.manual_seed(0)
        trained = build("skeattnclr", CONFIGS["skeattnclr"], STGCN(NETS["stgcn"]), stream)
        loss = trained.loss

        def looked_at(views, at, amp=amp, loss=loss):
            found.setdefault(amp, views)
            assert torch.is_autocast_enabled("cpu") == (amp == "bf16")
            return loss(views, at)

        monkeypatch.setattr(trained, "loss", looked_at)
        pretrain(
            trained, splits(), sgd=SGD(lr=0.01), batch=8, epochs=1, seed=0, monitor=knn.Config(ks=(1,), k=1),
            monitor_every=1, run_id="r", header={}, context=Context(amp=amp),
        )  # fmt: skip
    for name, view in found["off"].items():
        assert torch.equal(view, found["bf16"][name]), name


def test_recurrences_are_not_rounded_either() -> None:
    torch.manual_seed(0)
    gru, x = nn.GRU(6, 8, batch_first=True, bidirectional=True), torch.randn(4, 12, 6).bfloat16().float()
    with torch.no_grad():
        want = run_gru(gru, x)
        with autocast("bf16", CPU):
            got = run_gru(gru, x), run_gru(gru, x.bfloat16())
    assert all(states.dtype == torch.float32 for states in got)
    assert torch.equal(got[0], want)
    assert torch.equal(got[1], want)


def test_the_order_of_sums_is_asked_of_a_gpu_and_put_back() -> None:
    def asked() -> tuple[bool, ...]:
        deterministic = torch.are_deterministic_algorithms_enabled()
        return deterministic, torch.is_deterministic_algorithms_warn_only_enabled(), torch.backends.cudnn.deterministic

    before = asked()
    with ordered(CPU):
        assert asked() == before
    with ordered(torch.device("cuda")):
        assert asked() == (True, False, True)
    assert asked() == before


def _precision(amp: Amp) -> str:
    return "high" if amp == "tf32" else "highest"


def test_products_are_put_back_and_off_is_off() -> None:
    assert set(get_args(Amp)) == set(AMPS)
    before = torch.backends.cudnn.allow_tf32
    with products("tf32"):
        assert torch.backends.cudnn.allow_tf32
        with products("off"):
            assert not torch.backends.cudnn.allow_tf32, "PyTorch would let cuDNN round"
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.backends.cudnn.allow_tf32 == before


class Toy(Backbone):
    """Two layers that are quick to compile, and count how often Python runs them."""

    REVISION: ClassVar[int] = 1
    width = 4
    ran = 0

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> Features:
        if not torch.compiler.is_compiling():
            self.ran += 1
        tokens = torch.tanh(self.layer(x.mean(dim=(3, 4)).transpose(1, 2))).unsqueeze(1)
        return Features(tokens, tokens.mean(dim=(1, 2)))


def test_a_compiled_training_computes_the_same_and_evaluation_is_not_compiled() -> None:
    if reason := cannot_compile(CPU):
        pytest.skip(f"torch.compile: {reason}")
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        toy, data = Toy(), splits()
        encoder = Encoder(toy, nn.Linear(4, 3))
        history = fit(
            encoder, lambda x, y, at, g, e=encoder: {"loss": nn.functional.cross_entropy(e.head(e(x).pooled), y)},
            data.train.tensors(CPU), sgd=SGD(lr=0.1), batch=8, epochs=2, seed=0, run_id="r",
            context=Context(compiled=compiled),
        )  # fmt: skip
        ran = toy.ran
        assert (ran == 0) == compiled
        extract(encoder, data.test, "joint", CPU)
        assert toy.ran > ran, "evaluation runs as it is written"
        assert "backbone.layer.weight" in encoder.state_dict()
        found.append(history)
    assert found[1][-1]["loss"] == pytest.approx(found[0][-1]["loss"], rel=1e-4)


def test_every_backbone_of_a_method_is_compiled(monkeypatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(module))
    for name, count in (("skeattnclr", 2), ("crossclr", 6), ("supervised", 1)):
        compiled.clear()
        config = replace(CONFIGS[name])
        compile_backbones(build(name, config, STGCN(NETS["stgcn"]), "joint"))
        assert len(compiled) == count, name
        assert all(isinstance(module, Backbone) for module in compiled)
