"""One training step of AimCLR, HiCLR, SkeleMixCLR and CrosSCLR against the official one, mining included."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from backbones import STGCN
from backbones.streams import to_stream
from methods import At, Method, augment, losses
from methods.aimclr import AimCLR, drop_attended
from methods.crossclr import CrosSCLR, crossed
from methods.hiclr import HiCLR
from methods.skelemixclr import SkeleMixCLR
from tests import official
from tests.methods.golden_steps import (
    BACKBONE,
    GRADIENT,
    LOSS,
    RELEASED,
    STATE,
    check_gradients,
    check_state,
    prepared,
    step,
)

# --- AimCLR, HiCLR, SkeleMixCLR -----------------------------------------------------------------------------

MINED = At(epoch=151, step=0, steps=10, epochs=300)


def tensors(arrays, **names: str) -> dict[str, Tensor]:
    return {ours: torch.tensor(arrays[theirs]) for ours, theirs in names.items()}


@pytest.fixture(scope="module")
def aimclr(golden):
    return golden("method_aimclr")


@pytest.fixture(scope="module")
def hiclr(golden):
    return golden("method_hiclr")


def released_aimclr(arrays) -> tuple[Any, dict[str, Tensor]]:
    method = AimCLR(STGCN(replace(BACKBONE, graph="stgcn")), "joint", AimCLR.Config(**RELEASED))
    return prepared("aimclr", method, arrays), tensors(arrays, extreme="xq_extreme", query="xq", key="xk")


def released_hiclr(arrays) -> tuple[Any, dict[str, Tensor]]:
    method = HiCLR(STGCN(replace(BACKBONE, graph="stgcn")), "joint", HiCLR.Config(**RELEASED))
    views = tensors(arrays, strong="xq_strong", masked="xq_mask_strong", query="xq", key="xk", mask="joint_mask")
    views["mask"] = views["mask"] == 0  # official: 1 keeps
    return prepared("hiclr", method, arrays), views


def check_parts(terms: dict[str, Tensor], parts: np.ndarray) -> None:
    """Official parts: InfoNCE, two divergences without their weight of one half, total."""
    info, first, second = (float(term) for term in terms.values())
    assert [info, 2 * first, 2 * second, info + first + second] == pytest.approx(parts.tolist(), rel=LOSS)


@pytest.mark.parametrize(("kind", "make"), [("aimclr", released_aimclr), ("hiclr", released_hiclr)])
def test_chained_steps_equal_golden(request, kind, make):
    arrays = request.getfixturevalue(kind)
    method, views = make(arrays)
    terms, gradients = step(method, views, At(0, 0, 10, 300))
    check_parts(terms, arrays["loss_parts"])
    check_gradients(kind, gradients, arrays)
    check_state(kind, method, arrays)


@pytest.mark.parametrize(("kind", "make"), [("aimclr", released_aimclr), ("hiclr", released_hiclr)])
def test_mining_equals_golden(request, kind, make):
    arrays = request.getfixturevalue(kind)
    method, views = make(arrays)
    before = method.queue.keys.clone()
    terms, gradients = step(method, views, MINED)
    check_parts(terms, arrays["nnm_loss_parts"])
    if any(name.startswith("nnm_grad/") for name in arrays):
        compared = official.stored(kind, gradients, arrays, "nnm_grad/")
        kept = [name for name in compared if not official.feeds_batchnorm(name)]
        share, name = official.worst({n: gradients[n] for n in kept}, {n: compared[n] for n in kept}, relative=True)
        assert share <= GRADIENT, name
    assert not torch.equal(before, method.queue.keys)


def test_the_mined_positives_are_those_of_the_release(aimclr):
    method, views = released_aimclr(aimclr)
    method.before_step(MINED)
    with torch.no_grad():
        z_k = method.key.embed(method.key(views["key"]).pooled)
        features = method.query(views["extreme"])
        pooled = [method.query(views["query"]).pooled, features.pooled]
        pooled.append(method._dropped(features.tokens, views["extreme"]))
        logits = [losses.contrast_logits(method.query.embed(p), z_k, method.queue.keys, 0.07) for p in pooled]
    mined = torch.stack([losses.nearest(columns, 1) for columns in logits]).any(dim=0)
    mined[:, 0] = True
    np.testing.assert_array_equal(mined.numpy(), aimclr["nnm_mask"] > 0)


def test_attention_guided_drop_equals_golden(aimclr):
    got = drop_attended(torch.tensor(aimclr["simam_in"]), 0.7)
    np.testing.assert_allclose(got.numpy(), aimclr["simam_out"], atol=1e-5)
    assert 0 < (got == 0).float().mean() < 1


def test_skelemixclr_step_equals_golden(golden):
    arrays = golden("method_skelemixclr")
    method = SkeleMixCLR(STGCN(BACKBONE), "joint", SkeleMixCLR.Config(**{**RELEASED, "tau": 0.2}))
    prepared("skelemixclr", method, arrays)
    views = tensors(arrays, query="xq", key="xk")
    region = torch.tensor(arrays["mask"]).repeat_interleave(4, dim=0).expand(8, 32, 25)
    views |= {"mix 0": torch.tensor(arrays["x_mix"]), "donor 0": torch.tensor(arrays["randidx"]), "region 0": region}
    assert torch.equal(augment.mix_parts(views["query"], views["donor 0"], region), views["mix 0"])
    # in float64: in this file one ReLU lies so near its kink that the layout of the maps decides on which side
    views = {name: view.double() if view.is_floating_point() else view for name, view in views.items()}
    terms, gradients = step(method.double(), views, At(0, 0, 10, 300))
    info, pasted, context = (float(terms[name]) for name in ("info", "pasted", "context"))
    parts = arrays["loss_parts"].tolist()
    assert [info, 2 * pasted, 2 * context, info + pasted + context] == pytest.approx(parts, rel=LOSS)
    check_gradients("skelemixclr", gradients, arrays)
    check_state("skelemixclr", method, arrays)


# --- CrosSCLR -----------------------------------------------------------------------------------------------


def crossclr_step(method: Method, views: dict[str, Tensor], at: At) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """As in the golden file: no optimiser step between the stages, only momentum and queue."""
    method.zero_grad()
    method.before_step(at)
    terms = method.loss(views, at)
    torch.stack(list(terms.values())).sum().backward()
    method.after_step(at)
    gradients = {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}
    return {name: term.detach() for name, term in terms.items()}, gradients


@pytest.mark.parametrize("count", [2, 3])
def test_crossclr_stages_equal_golden(golden, count):
    arrays = golden(f"method_crossclr_{count}v")
    config = CrosSCLR.Config(**RELEASED, streams=count, mined=2, heads="shared", momentum_updates="released")
    method = CrosSCLR(STGCN(replace(BACKBONE, graph="stgcn")), "joint", config)
    prepared("crossclr", method, arrays)
    views = {
        f"{name} {s}": to_stream(torch.tensor(arrays[key]), s)
        for name, key in (("query", "xq"), ("key", "xk"))
        for s in method.streams
    }
    for at, grads, after in ((At(0, 0, 10, 300), "grad/", "after1/"), (MINED, "grad2/", "after2/")):
        terms, gradients = crossclr_step(method, views, at)
        if at is MINED:
            pairs = arrays["loss_stage2_terms"].reshape(count, count - 1).mean(axis=1)
            assert [float(term) for term in terms.values()] == pytest.approx(pairs.tolist(), rel=LOSS)
            assert sum(float(term) for term in terms.values()) == pytest.approx(float(arrays["loss_stage2"]), rel=LOSS)
        else:
            assert [float(t) for t in terms.values()] == pytest.approx(arrays["loss_stage1"].tolist(), rel=LOSS)
        want = official.stored("crossclr", gradients, arrays, grads)
        for name in want:
            if not official.feeds_batchnorm(name):
                assert official.error(gradients[name], want[name], relative=True) <= GRADIENT, (at, name)
        got = method.state_dict()
        distance, name = official.worst(got, official.stored("crossclr", got, arrays, after))
        assert distance <= STATE, (at, name)


def test_crossclr_mines_what_the_release_mines(golden):
    arrays = golden("method_crossclr_2v")
    config = CrosSCLR.Config(**RELEASED, streams=2, mined=2, heads="shared", momentum_updates="released")
    method = CrosSCLR(STGCN(replace(BACKBONE, graph="stgcn")), "joint", config)
    official.load("crossclr", method, arrays, "after1/")
    method.train().before_step(MINED)
    with torch.no_grad():
        similar = {}
        for s in method.streams:
            q, k = (
                side(to_stream(torch.tensor(arrays[key]), s), s)
                for side, key in ((method.query, "xq"), (method.key, "xk"))
            )
            similar[s] = losses.contrast_logits(q, k, method._queue(s).keys, 1.0)
    for row, (mine, other) in enumerate((("joint", "motion"), ("motion", "joint"))):
        _, positives = crossed(similar[mine], similar[other], 0.07, 2)
        positives[:, 0] = True
        np.testing.assert_array_equal(positives.numpy(), arrays["posmask_stage2"][row] > 0)


@pytest.mark.parametrize(("updates", "moving"), [("fixed", {"joint", "motion", "bone"}), ("released", {"motion"})])
def test_which_momentum_copies_follow_while_streams_cross(updates, moving):
    config = CrosSCLR.Config(dim=8, queue=32, momentum_updates=updates, key_init="redrawn")
    method = CrosSCLR(STGCN(BACKBONE), "joint", config)
    before = {name: p.clone() for name, p in method.key.named_parameters()}
    method.before_step(MINED)
    moved = {name.split(".")[1] for name, p in method.key.named_parameters() if not torch.equal(p, before[name])}
    assert moved == moving
    method.before_step(At(0, 0, 10, 300))
    moved = {name.split(".")[1] for name, p in method.key.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"joint", "motion", "bone"}


def test_skelemixclr_plus_adds_its_mixes_up():
    """The release of SkeleMixCLR+: three mixes whose losses are summed, where one mix has half a loss each."""
    found = {}
    for combine in ("mean", "sum"):
        torch.manual_seed(0)
        config = SkeleMixCLR.Config(dim=8, queue=16, mixes=3, combine=combine)
        method = SkeleMixCLR(STGCN(STGCN.Config(width=4, out=16, dropout=0.0)), "joint", config).train()
        views = method.views(torch.randn(6, 3, 64, 25, 1), torch.Generator().manual_seed(0))
        assert sum(name.startswith("mix") for name in views) == 3
        found[combine] = method.loss(views, At(0, 0, 1, 1))
    assert torch.equal(found["sum"]["info"], found["mean"]["info"])
    for term in ("pasted", "context"):
        torch.testing.assert_close(found["sum"][term], 3 * found["mean"][term])
