"""One training step of each method against the official one: losses, gradients, and all state afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from backbones import DSTA, STGCN, Backbone, BiGRU
from backbones.streams import to_stream
from methods import At, Method, augment
from methods.skeattnclr import SkeAttnCLR
from methods.skeletonclr import SkeletonCLR
from tests.methods.golden_steps import BACKBONE, LOSS, STATE, check_gradients, check_state, prepared, step

# --- SkeletonCLR --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def skeletonclr(golden):
    return golden("method_skeletonclr")


def released_skeletonclr(arrays, **settings: Any) -> Method:
    config = SkeletonCLR.Config(dim=8, queue=32, tau=0.07, momentum=0.999, momentum_schedule="constant", **settings)
    backbone = STGCN(replace(BACKBONE, graph="stgcn"))  # the release of CrosSCLR
    return prepared("skeletonclr", SkeletonCLR(backbone, "joint", config), arrays)


def test_skeletonclr_step_equals_golden(skeletonclr):
    method = released_skeletonclr(skeletonclr)
    views = {"query": torch.tensor(skeletonclr["xq"]), "key": torch.tensor(skeletonclr["xk"])}
    terms, gradients = step(method, views, At(0, 0, 10, 10))
    assert float(terms["info"]) == pytest.approx(float(skeletonclr["loss"]), rel=LOSS)
    check_gradients("skeletonclr", gradients, skeletonclr)
    check_state("skeletonclr", method, skeletonclr)


def test_skeletonclr_after_the_step_differs_from_before(skeletonclr):
    """The comparison above means something: what should move, moves by far more than its tolerance."""
    moved = {
        name.removeprefix("after/"): np.abs(array - skeletonclr[name.replace("after/", "before/")]).max()
        for name, array in skeletonclr.items()
        if name.startswith("after/encoder_q") and name.endswith("weight")
    }
    assert min(moved.values()) > 10 * STATE


# --- SkeAttnCLR ---------------------------------------------------------------------------------------------

SKEATTNCLR: dict[str, Any] = {"dim": 8, "queue": 32, "heads": 4}
AT_10_OF_100 = At(epoch=0, step=10, steps=100, epochs=1)


@pytest.fixture(scope="module")
def skeattnclr(golden):
    return golden("method_skeattnclr_stgcn")


def released_skeattnclr(arrays, **settings: Any) -> Method:
    config = SkeAttnCLR.Config(**{**SKEATTNCLR, "mix_global_pass": True, **settings})
    return prepared("skeattnclr", SkeAttnCLR(STGCN(BACKBONE), "joint", config), arrays)


def released_views(arrays, stream: str) -> dict[str, Tensor]:
    """Joints are mixed with the official draws, then the stream is taken."""
    query, key = torch.tensor(arrays["xq"]), torch.tensor(arrays["xk"])
    region = torch.tensor(arrays["mix_mask"]).repeat_interleave(4, dim=0).expand(len(query), 32, 25)
    mix = augment.mix_parts(query, torch.tensor(arrays["randidx"]), region)
    assert torch.equal(mix, torch.tensor(arrays["x_mix"]))
    return {name: to_stream(x, stream) for name, x in (("query", query), ("key", key), ("mix", mix))}


@pytest.mark.parametrize("stream", ["joint", "bone", "motion"])
def test_skeattnclr_losses_equal_golden(skeattnclr, stream):
    terms, _ = step(released_skeattnclr(skeattnclr), released_views(skeattnclr, stream), AT_10_OF_100)
    parts = skeattnclr[f"{stream}_loss_parts"]
    got = [float(terms["info"]), float(terms["salient"]) / 0.5, float(terms["nonsalient"]) / 0.5]
    assert [*got, sum(map(float, terms.values()))] == pytest.approx(parts.tolist(), rel=LOSS)


def test_skeattnclr_step_equals_golden(skeattnclr):
    method = released_skeattnclr(skeattnclr)
    _, gradients = step(method, released_views(skeattnclr, "joint"), AT_10_OF_100)
    check_gradients("skeattnclr", gradients, skeattnclr)
    check_state("skeattnclr", method, skeattnclr)


def test_the_global_pass_of_the_mix_changes_statistics_and_nothing_else(skeattnclr):
    """Why the released form needs the option, and what the default spares."""
    method = released_skeattnclr(skeattnclr)
    config = SkeAttnCLR.Config(**SKEATTNCLR)
    lean = prepared("skeattnclr", SkeAttnCLR(STGCN(BACKBONE), "joint", config), skeattnclr)
    views = released_views(skeattnclr, "joint")
    one, other = step(method, views, AT_10_OF_100)[0], step(lean, views, AT_10_OF_100)[0]
    assert one == other
    full, spared = method.state_dict(), lean.state_dict()
    differing = {name for name in full if not torch.equal(full[name], spared[name])}
    heads = ("query.projector.1", "predict.z.1", "key.projector.1")
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert differing == {f"{head}.{name}" for head in heads for name in statistics}


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"mu": 0.3}, {"salient", "nonsalient"}),
        ({"lam": 8.0}, {"salient", "nonsalient"}),
        ({"heads": 8}, {"salient", "nonsalient"}),
        ({"opposition": False}, {"salient", "nonsalient"}),
        ({"tau": 0.07}, {"info", "salient", "nonsalient"}),
    ],
)
def test_every_setting_of_tables_7_and_15_to_17_acts_on_its_terms(skeattnclr, settings, changed):
    views = released_views(skeattnclr, "joint")
    base, _ = step(released_skeattnclr(skeattnclr), views, AT_10_OF_100)
    other, _ = step(released_skeattnclr(skeattnclr, **settings), views, AT_10_OF_100)
    assert {name for name in base if abs(float(base[name]) - float(other[name])) > 1e-3} == changed


@pytest.mark.parametrize("mu", [0.0, 0.1, 0.9, 1.0])
def test_mu_weighs_salient_against_non_salient(skeattnclr, mu):
    terms, _ = step(released_skeattnclr(skeattnclr, mu=mu), released_views(skeattnclr, "joint"), AT_10_OF_100)
    _, salient, other, _ = skeattnclr["joint_loss_parts"]
    assert float(terms["salient"]) == pytest.approx(mu * salient, rel=LOSS)
    assert float(terms["nonsalient"]) == pytest.approx((1 - mu) * other, rel=LOSS)


# The same method on the other backbones: (backbone, biases in it that feed a BatchNorm).
OTHERS: dict[str, tuple[Backbone, int]] = {
    "bigru": (BiGRU(BiGRU.Config(hidden_size=8, layers=2, direction="released")), 0),
    # the stem; four layers per block, and four shortcuts in the second
    "dsta": (DSTA(DSTA.Config(blocks=((8, 8, 4, 1), (8, 16, 4, 2)))), 1 + 2 * 4 + 4),
}


@pytest.mark.parametrize("name", OTHERS)
def test_skeattnclr_step_on_other_backbones_equals_golden(golden, name):
    arrays = golden(f"method_skeattnclr_{name}")
    backbone, noise = OTHERS[name]
    config = SkeAttnCLR.Config(**SKEATTNCLR, mix_global_pass=True)
    method = prepared("skeattnclr", SkeAttnCLR(backbone, "joint", config), arrays)
    terms, gradients = step(method, released_views(arrays, "joint"), AT_10_OF_100)
    got = [float(terms["info"]), float(terms["salient"]) / 0.5, float(terms["nonsalient"]) / 0.5]
    assert [*got, sum(map(float, terms.values()))] == pytest.approx(arrays["joint_loss_parts"].tolist(), rel=LOSS)
    check_gradients("skeattnclr", gradients, arrays, noise)
    check_state("skeattnclr", method, arrays)


@pytest.mark.parametrize("stream", ["joint", "bone", "motion"])
def test_skeattnclr_mixes_the_joints_of_its_query_view(stream):
    config = SkeAttnCLR.Config(**SKEATTNCLR, mix_units=(1, 2))
    x = torch.randn(5, 3, 32, 25, 2, generator=torch.Generator().manual_seed(0))
    joints, got = (
        SkeAttnCLR(STGCN(BACKBONE), kind, config).views(x, torch.Generator().manual_seed(1))
        for kind in ("joint", stream)
    )
    query, mix = joints["query"], joints["mix"]
    pasted = mix != query
    assert 0 < pasted.float().mean() < 0.25
    donors = [query.roll(-shift, dims=0) for shift in (1, 2, 3)]
    assert sum(torch.equal(mix[pasted], donor[pasted]) for donor in donors) == 1
    assert torch.equal(got["mix"], to_stream(mix, stream))


def test_opposition_only_adds_a_negative(skeattnclr):
    views = released_views(skeattnclr, "joint")
    opposed, _ = step(released_skeattnclr(skeattnclr), views, AT_10_OF_100)
    free, _ = step(released_skeattnclr(skeattnclr, opposition=False), views, AT_10_OF_100)
    assert free["salient"] < opposed["salient"]
    assert free["nonsalient"] < opposed["nonsalient"]


# --- sizes --------------------------------------------------------------------------------------------------

# What the trained official networks carry and never use: a 60-way classifier inside the backbone and a second
# projector, `proj_obj`. SkeletonCLR replaces the classifier by its head, so nothing is dead there.
CLASSIFIER, SECOND_PROJECTOR = 60 * 257, 98_816


@pytest.mark.parametrize(
    ("kind", "width", "released", "unused"),
    [
        (SkeletonCLR, 16, 920_068, 0),
        (SkeletonCLR, 64, 3_182_100, 0),
        (SkeAttnCLR, 16, 1_496_256, CLASSIFIER + SECOND_PROJECTOR),
        (SkeAttnCLR, 64, 3_758_288, CLASSIFIER + SECOND_PROJECTOR),
    ],
)
def test_trainable_parameters(kind, width, released, unused):
    method = kind(STGCN(STGCN.Config(width=width)), "joint", kind.Config(queue=8))
    assert sum(p.numel() for p in method.parameters() if p.requires_grad) == released - unused


@pytest.mark.parametrize(
    ("backbone", "released", "unused"),
    [(DSTA, 2_610_489, CLASSIFIER + SECOND_PROJECTOR), (BiGRU, 66_570_088, 60 * 2049 + 2_230_272)],
)
def test_trainable_parameters_of_skeattnclr_on_other_backbones(backbone, released, unused):
    with torch.device("meta"):
        method = SkeAttnCLR(backbone(backbone.Config()), "joint", SkeAttnCLR.Config(queue=8))
    assert sum(p.numel() for p in method.parameters() if p.requires_grad) == released - unused
