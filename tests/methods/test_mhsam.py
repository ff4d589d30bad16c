"""The attention mask and mask pooling against the official neck, and against their own promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from methods import moco
from methods.kernels.reference import mask_pool
from methods.mhsam import AttentionMask
from tests import official
from tests.official import near


class Neck(nn.Module):
    """Mask and projector as the official neck bundles them."""

    def __init__(self, lam: float = 2.0, heads: int = 8, width: int = 256, hidden: int = 256, dim: int = 128) -> None:
        super().__init__()
        self.mask = AttentionMask(width, heads, lam)
        self.projector = moco.norm_head(width, hidden, dim)

    def pooled(self, tokens: Tensor, mask: Tensor) -> dict[str, Tensor]:
        f_s, f_ns = salient_pair(tokens, mask)
        return {"z": tokens.mean(dim=(1, 2)), "s": f_s, "ns": f_ns}


def salient_pair(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (B, M', n, C), pooled with a given mask (B * M', n or 1, C): f_s, f_ns, means over persons."""
    pooled = mask_pool(tokens.flatten(0, 1)[:, -mask.shape[1] :], mask)
    salient, other = (f.unflatten(0, tokens.shape[:2]).mean(dim=1) for f in pooled)
    return salient, other


@pytest.fixture(scope="module")
def arrays(golden):
    return golden("mhsam")


def tokens_of(features: np.ndarray) -> Tensor:
    """Official person features (N * M, C, T', V) -> (N, M = 2, n, C)."""
    tokens = torch.tensor(features, dtype=torch.float32).flatten(2).transpose(1, 2)
    return tokens.reshape(-1, 2, *tokens.shape[1:])


def neck(arrays, lam=2.0, heads=8) -> Neck:
    net = Neck(lam, heads)
    official.load("mhsam", net, arrays, "sd/")
    return net.eval()


def drawn(seed: int, like: np.ndarray) -> np.ndarray:
    """How the golden features were made: shifted noise, rectified as behind a backbone's last ReLU."""
    noise = np.random.RandomState(seed).standard_normal(like.shape)
    return np.maximum(0.5 * noise + 0.1, 0).astype(np.float32)


@torch.no_grad()
def test_mask_and_pooled_features_equal_golden(arrays):
    net, tokens = neck(arrays), tokens_of(arrays["feat_person"])
    mask = net.mask(tokens.flatten(0, 1))
    near(mask, arrays["mask"], 1e-5)
    pooled = net.pooled(tokens, mask)
    near(pooled["s"], arrays["f_s"], 1e-5)
    near(pooled["ns"], arrays["f_ns"], 1e-5)
    near(pooled["z"], arrays["f_global"], 1e-5)


@pytest.mark.parametrize("mode", ["eval", "train"])
@torch.no_grad()
def test_embeddings_equal_golden(arrays, mode):
    """In training the projector meets one kind of feature after the other, each with its own statistics."""
    net, tokens = neck(arrays), tokens_of(arrays["feat_person"])
    net.train(mode == "train")
    pooled = net.pooled(tokens, net.mask(tokens.flatten(0, 1)))
    suffix = "_train" if mode == "train" else ""
    for kind, name in (("z", "z"), ("s", "z_s"), ("ns", "z_ns")):
        near(net.projector(pooled[kind]), arrays[name + suffix], 1e-4)


@torch.no_grad()
def test_keys_are_pooled_with_the_mask_of_the_query(arrays):
    net, tokens = neck(arrays), tokens_of(arrays["feat_person"])
    np.testing.assert_allclose(drawn(5, arrays["feat_person"]), arrays["feat_person"], atol=1e-6)
    keys = tokens_of(drawn(int(arrays["feat_k_seed"]), arrays["feat_person"]))
    for kind, feature in net.pooled(keys, net.mask(tokens.flatten(0, 1))).items():
        near(net.projector(feature), arrays[f"k_{kind}"], 1e-4)


@pytest.mark.parametrize("lam", [0.5, 1, 4, 8])
@torch.no_grad()
def test_other_lambdas_equal_golden(arrays, lam):
    mask = neck(arrays, lam=lam).mask(tokens_of(arrays["feat_person"]).flatten(0, 1))
    near(mask[0, :4], arrays[f"mask_lambda{lam}_row0"], 1e-5)


@pytest.mark.parametrize("heads", [4, 16, 32])
@torch.no_grad()
def test_other_heads_equal_golden(arrays, heads):
    mask = neck(arrays, heads=heads).mask(tokens_of(arrays["feat_person"]).flatten(0, 1))
    near(mask[0, :4], arrays[f"mask_heads{heads}_row0"], 1e-5)


def test_parameter_counts():
    mask = AttentionMask(256, 8, 2.0)
    assert sum(p.numel() for p in mask.norm.parameters()) == 512
    attention = [*mask.qkv.parameters(), *mask.proj.parameters()]
    assert sum(p.numel() for p in attention) == 263_168
    assert sum(p.numel() for p in mask.parameters()) == 512 + 263_168


@torch.no_grad()
def test_equations_2_to_4_by_loops():
    torch.manual_seed(0)
    module = AttentionMask(6, 2, 3.0)
    x = torch.randn(2, 5, 6)
    q, k, v = module.qkv(module.norm(x)).split(6, dim=2)
    attended = torch.zeros_like(x)
    for row in range(2):
        for head in (slice(0, 3), slice(3, 6)):
            for i in range(5):
                scores = torch.stack([q[row, i, head] @ k[row, j, head] for j in range(5)]) / 3**0.5
                weights = scores.exp() / scores.exp().sum()
                attended[row, i, head] = sum(weights[j] * v[row, j, head] for j in range(5))
    want = 1 / (1 + (-3.0 * module.proj(attended)).exp())
    assert official.error(module(x), want) < 1e-6


@torch.no_grad()
def test_equations_5_to_7_by_loops():
    torch.manual_seed(0)
    x, mask = torch.randn(3, 7, 4), torch.rand(3, 7, 4)
    f_s, f_ns = mask_pool(x, mask)
    for row in range(3):
        for channel in range(4):
            pairs = list(zip(x[row, :, channel].tolist(), mask[row, :, channel].tolist(), strict=True))
            assert float(f_s[row, channel]) == pytest.approx(sum(a * m for a, m in pairs) / 7, abs=1e-6)
            assert float(f_ns[row, channel]) == pytest.approx(sum(a * (1 - m) for a, m in pairs) / 7, abs=1e-6)


@torch.no_grad()
def test_salient_and_other_add_up_to_the_plain_mean_over_tokens_and_persons():
    torch.manual_seed(0)
    tokens, mask = torch.randn(3, 2, 7, 4), torch.rand(6, 7, 4)
    f_s, f_ns = salient_pair(tokens, mask)
    assert f_s.shape == f_ns.shape == (3, 4)
    assert official.error(f_s + f_ns, tokens.mean(dim=(1, 2))) < 1e-6
    alone, _ = mask_pool(tokens[1], mask[2:4])  # the rows of sample 1
    assert official.error(f_s[1], alone.mean(dim=0)) < 1e-6


def test_lambda_drives_the_mask_to_its_ends_and_attention_stays_within_a_row():
    torch.manual_seed(0)
    soft, x = AttentionMask(8, 2, 1.0), torch.randn(2, 5, 8)
    hard = AttentionMask(8, 2, 50.0)
    hard.load_state_dict(soft.state_dict())
    with torch.no_grad():
        a, b = soft(x), hard(x)
        assert (b - 0.5).abs().mean() > 0.4 > (a - 0.5).abs().mean()
        assert torch.equal(a > 0.5, b > 0.5)
        assert official.error(soft(x[1:]), a[1:]) < 1e-6


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads, width 16"):
        AttentionMask(16, 3, 2.0)


# --- of a sequence, where the last token alone is pooled (BiGRU) --------------------------------------------


@torch.no_grad()
def test_last_token_pooling_equals_golden(golden):
    arrays = golden("mhsam_gru")
    net = Neck(heads=4, width=32, hidden=16, dim=8)
    official.load("mhsam", net, arrays, "sd/")
    net.eval()
    tokens, keys = (torch.tensor(arrays[name]).unsqueeze(1) for name in ("feat", "feat_k"))
    near(net.mask(tokens[:, 0]), arrays["mask"], 1e-5)
    mask = net.mask(tokens[:, 0], "last")
    near(mask, arrays["mask"][:, -1:], 1e-5)
    for prefix, side, names in (("", tokens, ("z", "z_s", "z_ns")), ("k_", keys, ("z", "s", "ns"))):
        f_s, f_ns = salient_pair(side, mask)
        assert official.error(f_s + f_ns, side[:, 0, -1]) < 1e-6
        for name, feature in zip(names, (side[:, 0, -1], f_s, f_ns), strict=True):
            near(net.projector(feature), arrays[prefix + name], 1e-4)


def test_the_gradient_of_the_last_mask_is_that_of_the_whole_one():
    """Sparing the other tokens' masks changes no number, forward or backward."""
    torch.manual_seed(0)
    module, x = AttentionMask(8, 2, 1.0), torch.randn(3, 6, 8, requires_grad=True)
    last, whole = module(x, "last"), module(x)[:, -1:]
    assert official.error(last, whole) < 1e-6
    wrt = [x, *module.parameters()]
    for one, other in zip(*(torch.autograd.grad(mask.square().sum(), wrt) for mask in (last, whole)), strict=True):
        assert official.error(one, other) < 1e-6
