"""Joint, bone and motion against loops over every joint and frame."""

from __future__ import annotations

import pytest
import torch

from backbones import skeleton
from backbones.streams import STREAMS, to_stream


@pytest.fixture
def x():
    return torch.randn(2, 3, 5, 25, 2, generator=torch.Generator().manual_seed(0))


def test_joint_is_the_input(x):
    assert torch.equal(to_stream(x, "joint"), x)


def test_bone_is_joint_minus_parent(x):
    want = torch.zeros_like(x)
    for child, parent in skeleton.BONES:
        want[:, :, :, child] = x[:, :, :, child] - x[:, :, :, parent]
    assert torch.equal(to_stream(x, "bone"), want)
    assert not to_stream(x, "bone")[:, :, :, skeleton.SPINE_SHOULDER].any()


def test_bone_equals_golden_pairs(golden, x):
    got = to_stream(x, "bone")
    for v1, v2 in golden("graphs")["bone_pairs0"].tolist():
        assert torch.equal(got[:, :, :, v1], x[:, :, :, v1] - x[:, :, :, v2])


def test_motion_is_the_step_to_the_next_frame(x):
    want = torch.zeros_like(x)
    for t in range(x.shape[2] - 1):
        want[:, :, t] = x[:, :, t + 1] - x[:, :, t]
    assert torch.equal(to_stream(x, "motion"), want)


@pytest.mark.parametrize("stream", STREAMS)
def test_an_absent_person_stays_absent_and_the_input_stays_as_it_was(x, stream):
    x[0, ..., 1] = 0
    before = x.clone()
    assert not to_stream(x, stream)[0, ..., 1].any()
    assert torch.equal(x, before)


def test_unknown_stream_names_the_known_ones(x):
    with pytest.raises(ValueError, match="no stream 'bones'; there are joint, bone, motion"):
        to_stream(x, "bones")
