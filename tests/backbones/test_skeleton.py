"""The 25-joint body against the golden graphs, and against what a body must satisfy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbones import skeleton


@pytest.mark.parametrize("name", ["agcn", "stgcn"])
def test_graph_equals_golden(golden, name):
    np.testing.assert_array_equal(skeleton.graph(name).numpy(), golden("graphs")[f"A_{name}"].astype(np.float32))


@pytest.mark.parametrize(("name", "entries"), [("agcn", [25, 24, 24]), ("stgcn", [25, 40, 8])])
def test_graph_entries(name, entries):
    assert (skeleton.graph(name) != 0).sum(dim=(1, 2)).tolist() == entries


def test_agcn_columns_are_means_over_neighbours():
    identity, inward, outward = skeleton.graph("agcn")
    assert torch.equal(identity, torch.eye(25))
    for child, parent in skeleton.BONES:
        assert inward[parent, child] == 1  # a joint has one parent
        assert outward[child, parent] > 0
    assert set(inward.sum(dim=0).tolist()) == {0.0, 1.0}
    assert inward.sum(dim=0)[skeleton.SPINE_SHOULDER] == 0


def test_unknown_graph_names_the_known_ones():
    with pytest.raises(ValueError, match="no graph 'gcn'; there are agcn, stgcn"):
        skeleton.graph("gcn")


def test_parents_equal_golden_bone_pairs(golden):
    pairs = golden("graphs")["bone_pairs0"]
    table = dict(zip(pairs[:, 0].tolist(), pairs[:, 1].tolist(), strict=True))
    assert skeleton.parents().tolist() == [table[v] for v in range(25)]


def test_bones_form_a_tree_rooted_at_the_spine_shoulder():
    parent = skeleton.parents().tolist()
    for joint in range(skeleton.V):
        steps = 0
        while joint != skeleton.SPINE_SHOULDER:
            joint, steps = parent[joint], steps + 1
            assert steps <= skeleton.V, "a cycle"


def test_parts_equal_golden(golden):
    want = [[j for j in row if j >= 0] for row in golden("graphs")["body_parts"].tolist()]
    assert [list(joints) for joints in skeleton.PARTS.values()] == want


def test_parts_cover_every_joint_once():
    masks = skeleton.part_masks()
    assert masks.shape == (5, 25)
    assert masks.sum(dim=0).tolist() == [1] * 25
    for row, joints in zip(masks, skeleton.PARTS.values(), strict=True):
        assert set(row.nonzero().flatten().tolist()) == set(joints)


def test_limbs_carry_the_names_of_their_joints():
    for limb in ("right arm", "left arm", "right leg", "left leg"):
        side = limb.split()[0]
        assert all(skeleton.JOINTS[j].startswith(side) for j in skeleton.PARTS[limb])


def test_flip_equals_golden(golden):
    assert list(skeleton.FLIP) == golden("graphs")["flip_order"].tolist()


def test_flip_exchanges_sides_and_undoes_itself():
    swap = {"left": "right", "right": "left"}
    for joint, other in enumerate(skeleton.FLIP):
        first, _, rest = skeleton.JOINTS[joint].partition(" ")
        assert skeleton.JOINTS[other] == (f"{swap[first]} {rest}" if first in swap else skeleton.JOINTS[joint])
        assert skeleton.FLIP[other] == joint
