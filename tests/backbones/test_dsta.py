"""DSTA against the official network's outputs, and against its own promises."""

from __future__ import annotations

import functools
import math
import runpy

import pytest
import torch
from torch.nn import functional as F

from backbones import DSTA
from backbones.dsta import AxisAttention, positions
from tests import official

# Nothing damps the numbers: they reach 1e10 at the paper's size, see the golden files' README.
near = functools.partial(official.near, relative=True)
HICLR_BLOCKS = ((32, 32, 16, 1), (32, 32, 16, 1), (32, 64, 16, 2), (64, 64, 16, 1),
                (64, 128, 32, 2), (128, 128, 32, 1), (128, 128, 32, 1), (128, 256, 32, 1))  # fmt: skip


@pytest.fixture(scope="module")
def arrays(golden):
    return golden("dsta")


def small(arrays, prefix="sd/", **settings):
    net = DSTA(DSTA.Config(blocks=tuple(tuple(row) for row in arrays["config"].tolist()), **settings))
    official.load("dsta", net, arrays, prefix)
    return net.eval()


def logits(pooled, arrays, prefix="sd/"):
    return F.linear(pooled, torch.tensor(arrays[prefix + "fc.weight"]), torch.tensor(arrays[prefix + "fc.bias"]))


@torch.no_grad()
def test_eval_equals_golden(arrays):
    features = small(arrays)(torch.tensor(arrays["x"]))
    near(logits(features.pooled, arrays), arrays["logits_eval"])
    maps = features.tokens.flatten(0, 1).view(4, 8, 25, 16).permute(0, 3, 1, 2)  # tokens are frame-major
    near(maps, arrays["feature_person"])


@torch.no_grad()
def test_batch_statistics_equal_golden(arrays):
    pooled = small(arrays).train()(torch.tensor(arrays["x"])).pooled
    near(logits(pooled, arrays), arrays["logits_train"])


@torch.no_grad()
def test_convolution_between_frames_equals_golden(arrays):
    """The variant of HiCLR's release."""
    pooled = small(arrays, "hi_sd/", temporal="convolution")(torch.tensor(arrays["x"])).pooled
    near(logits(pooled, arrays, "hi_sd/"), arrays["hiclr_logits_eval_spatialonly"])


@torch.no_grad()
def test_the_papers_blocks_equal_golden(arrays, shared):
    value = runpy.run_path(str(shared / "golden" / "recipe.py"))["value"]
    net = DSTA(DSTA.Config()).eval()
    net.load_state_dict(official.fetch("dsta", net.state_dict(), value))
    features = net(torch.tensor(arrays["paper_x"]))
    near(features.tokens.mean(dim=2).flatten(0, 1), arrays["paper_pooled_person"])
    person0 = features.tokens[0, 0].view(16, 25, 256).permute(2, 0, 1)
    near(person0[: len(arrays["paper_feature_head"])], arrays["paper_feature_head"])
    fc = torch.tensor(value("fc.weight", (60, 256))), torch.tensor(value("fc.bias", (60,)))
    near(F.linear(features.pooled, *fc), arrays["paper_logits_eval"])


def test_positions_equal_golden(arrays):
    near(positions(64, 25), arrays["pe_first_block_spatial"])
    near(positions(64, 64), arrays["pe_first_block_temporal"])


def test_positions_by_the_formula():
    got = positions(6, 9)
    for channel in range(6):
        for place in range(9):
            angle = place / 10_000 ** (channel // 2 * 2 / 6)
            want = math.cos(angle) if channel % 2 else math.sin(angle)
            assert float(got[channel, place]) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (DSTA.Config(), 1_951_033),
        (DSTA.Config(blocks=HICLR_BLOCKS, temporal="convolution"), 1_561_900),
    ],
)
def test_parameter_count_with_a_60_way_head(config, count):
    net = DSTA(config)
    assert sum(p.numel() for p in net.parameters()) + 60 * (net.width + 1) == count


@torch.no_grad()
def test_attention_by_loops():
    torch.manual_seed(0)
    layer = AxisAttention(4, 6, 2, 3, 9, change=True, term=5).eval()
    for parameter in layer.parameters():
        parameter.normal_()
    x = torch.randn(2, 4, 3, 5)  # (R, C, O, L)
    qk = layer.qk(x + positions(4, 5)[:, None])
    assert layer.shared is not None
    mixed = torch.zeros(2, 3 * 4, 3, 5)
    for row in range(2):
        for s in range(3):
            q, k = qk[row, 2 * s : 2 * s + 2], qk[row, 6 + 2 * s : 6 + 2 * s + 2]
            for u in range(5):
                for v in range(5):
                    weight = torch.tanh((q[..., u] * k[..., v]).sum() / (2 * 3)) * layer.alpha[s, 0, 0]
                    mixed[row, 4 * s : 4 * s + 4, :, v] += x[row, ..., u] * (weight + layer.shared[s, u, v])
    y = F.leaky_relu(layer.out_shortcut(x) + layer.out(mixed), 0.1)
    want = F.leaky_relu(layer.ff_shortcut(x) + layer.ff(y), 0.1)
    assert official.error(layer(x), want) < 1e-4


@pytest.mark.parametrize(("frames", "grid"), [(64, (16, 25)), (50, (13, 25)), (33, (9, 25))])
@pytest.mark.parametrize("temporal", ["attention", "convolution"])
@torch.no_grad()
def test_grid_is_the_real_number_of_tokens(frames, grid, temporal):
    net = DSTA(DSTA.Config(blocks=((4, 4, 2, 1), (4, 6, 2, 2), (6, 8, 2, 2)), temporal=temporal)).eval()
    assert net.grid(frames) == grid
    assert net(torch.zeros(1, 3, frames, 25, 2)).tokens.shape == (1, 2, grid[0] * grid[1], 8)


@torch.no_grad()
def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    net = DSTA(DSTA.Config(blocks=((4, 4, 2, 1), (4, 8, 2, 2)), dropout=0.5))
    x = torch.randn(2, 3, 8, 25, 2)
    assert not torch.equal(net(x).pooled, net(x).pooled)
    net.eval()
    assert torch.equal(net(x).pooled, net(x).pooled)


@torch.no_grad()
def test_persons_and_samples_do_not_see_each_other():
    torch.manual_seed(0)
    net = DSTA(DSTA.Config(blocks=((4, 4, 2, 1), (4, 8, 2, 2)))).eval()
    x = torch.randn(3, 3, 8, 25, 2)
    both, alone = net(x), net(x[1:2, ..., 1:])
    assert official.error(both.tokens[1, 1], alone.tokens[0, 0]) < 1e-5


def test_blocks_that_do_not_join_are_refused():
    with pytest.raises(ValueError, match="what the one before it puts out"):
        DSTA.Config(blocks=((4, 8, 2, 1), (4, 8, 2, 1)))


def test_more_frames_than_positions_are_refused():
    with pytest.raises(ValueError, match="300 frames, got 301"):
        DSTA(DSTA.Config(blocks=((4, 4, 2, 1),)))(torch.zeros(1, 3, 301, 25, 1))
