"""The 25-joint Kinect v2 body: names, bones, parts, mirror image and the two graph partitions.

Everything that depends on the order of the joints is defined here and nowhere else. NTU RGB+D, PKU-MMD and
IRDS all use this order. Indices are 0-based; the data sets' own documents count from 1.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

JOINTS: tuple[str, ...] = (
    "spine base", "spine mid", "neck", "head",
    "left shoulder", "left elbow", "left wrist", "left hand",
    "right shoulder", "right elbow", "right wrist", "right hand",
    "left hip", "left knee", "left ankle", "left foot",
    "right hip", "right knee", "right ankle", "right foot",
    "spine shoulder", "left hand tip", "left thumb", "right hand tip", "right thumb",
)  # fmt: skip
V = len(JOINTS)
SPINE_SHOULDER = 20  # the root: every bone points towards it

# (child, parent): 24 bones of the tree rooted at the spine shoulder.
BONES: tuple[tuple[int, int], ...] = (
    (0, 1), (1, 20), (2, 20), (3, 2),
    (4, 20), (5, 4), (6, 5), (7, 6),
    (8, 20), (9, 8), (10, 9), (11, 10),
    (12, 0), (13, 12), (14, 13), (15, 14),
    (16, 0), (17, 16), (18, 17), (19, 18),
    (21, 22), (22, 7), (23, 24), (24, 11),
)  # fmt: skip

# A disjoint cover of the joints; the unit in which skeletons are mixed (SkeleMixCLR, Table 11 "semantic").
PARTS: dict[str, tuple[int, ...]] = {
    "trunk": (3, 2, 20, 1, 0),
    "right arm": (8, 9, 10, 11, 23, 24),
    "left arm": (4, 5, 6, 7, 21, 22),
    "right leg": (16, 17, 18, 19),
    "left leg": (12, 13, 14, 15),
}

# flip[i] is the joint that stands in i's place after left and right are exchanged.
FLIP: tuple[int, ...] = (
    0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 20, 23, 24, 21, 22,
)  # fmt: skip


def parents() -> Int[Tensor, " V"]:
    """The parent of every joint, (V,) int64; the root is its own parent."""
    table = torch.arange(V)
    for child, parent in BONES:
        table[child] = parent
    return table


def part_masks() -> Bool[Tensor, "parts V"]:
    """Membership of joints in parts, (parts, V) bool, in the order of `PARTS`."""
    masks = torch.zeros(len(PARTS), V, dtype=torch.bool)
    for row, joints in enumerate(PARTS.values()):
        masks[row, list(joints)] = True
    return masks


def _column_normalised(adjacency: Tensor) -> Tensor:
    """Divides each column by its sum; empty columns stay zero."""
    total = adjacency.sum(dim=0, keepdim=True)
    return torch.where(total > 0, adjacency / total.clamp(min=1), torch.zeros(()))


def _agcn_partition() -> Tensor:
    """Identity, inward, outward. Used by the released SkeleMixCLR and SkeAttnCLR."""
    identity, inward, outward = torch.eye(V), torch.zeros(V, V), torch.zeros(V, V)
    for child, parent in BONES:
        inward[parent, child] = 1
        outward[child, parent] = 1
    return torch.stack([identity, _column_normalised(inward), _column_normalised(outward)])


def _stgcn_partition() -> Tensor:
    """ST-GCN's "spatial" strategy: self, same-or-farther, nearer. Used by the released CrosSCLR, AimCLR, HiCLR.

    Quirk of the original, kept: hop distances are only known up to one hop, so every joint beyond the direct
    neighbours of the spine shoulder counts as infinitely far. Most edges therefore join joints of "equal"
    distance and only eight entries are left for the third subset.
    """
    adjacency = torch.eye(V)
    for child, parent in BONES:
        adjacency[child, parent] = adjacency[parent, child] = 1
    distance = torch.full((V,), torch.inf)
    distance[adjacency[SPINE_SHOULDER] > 0] = 1
    distance[SPINE_SHOULDER] = 0
    edges = _column_normalised(adjacency)
    itself = torch.eye(V) * edges
    other = edges - itself
    nearer = distance[:, None] < distance[None, :]  # [i, j]: i is nearer to the centre than j
    return torch.stack([itself, other * ~nearer, other * nearer])


GRAPHS = {"agcn": _agcn_partition, "stgcn": _stgcn_partition}


def graph(name: str) -> Float[Tensor, "K V V"]:
    """The partitioned, column-normalised adjacency `A` (3, V, V); out[w] = sum over k, v of x_k[v] A[k, v, w].

    Two graphs hide behind "layout ntu-rgb+d, strategy spatial" (Table 12): "agcn" in the releases of
    SkeleMixCLR and SkeAttnCLR, "stgcn" in those of CrosSCLR, AimCLR and HiCLR.

    Raises:
        ValueError: for any other name.
    """
    if name not in GRAPHS:
        raise ValueError(f"no graph {name!r}; there are {', '.join(sorted(GRAPHS))}")
    with torch.device("cpu"):  # where only shapes are wanted (meta), arithmetic imports a second's worth of PyTorch
        return GRAPHS[name]()
