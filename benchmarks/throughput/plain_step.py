"""SkeAttnCLR's training step as the releases compute it: the baseline of `profile train`, and what ours must equal.

Each view sample by sample in NumPy. In the network: the 1x1 convolution of all subsets first, mixing after it; the
layout in which clips are stored; PyTorch's dropout; attention by products and a softmax; the optimiser and the momentum
encoder one parameter at a time; the loss read after every step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from backbones import STGCN
from backbones.graph_conv import Graph, GraphConv, graphs
from backbones.stgcn import Block
from benchmarks.throughput import plain_views
from methods import At, SkeAttnCLR, moco
from protocols.sgd import SGD


class PlainGraphConv(nn.Module):
    """GraphConv, in the order of the textbook."""

    def __init__(self, ours: GraphConv) -> None:
        super().__init__()
        self.conv, self.subsets = ours.conv, ours.subsets

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """(R, C, T, V) -> (R, C', T, V)."""
        y = self.conv(x).unflatten(1, (self.subsets, -1))
        return torch.einsum("rkctv,kvw->rctw", y, graph.adjacency).contiguous()


class PlainBlock(nn.Module):
    """Block, every operation by itself."""

    def __init__(self, ours: Block) -> None:
        super().__init__()
        self.gcn = PlainGraphConv(ours.gcn)
        self.gcn_norm, self.tcn, self.tcn_norm = ours.gcn_norm, ours.tcn, ours.tcn_norm
        self.dropout = nn.Dropout(ours.dropout.p)
        self.shortcut, self.residual = ours.shortcut, ours.residual

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """(R, C, T, V) -> (R, C', ⌈T / stride⌉, V)."""
        out = self.dropout(self.tcn_norm(self.tcn(torch.relu(self.gcn_norm(self.gcn(x, graph))))))
        if not self.residual:
            return torch.relu(out)
        return torch.relu(out + (x if self.shortcut is None else self.shortcut(x)))


class PlainSTGCN(STGCN):
    """STGCN of plain blocks, in the layout in which clips are stored. Shares its parameters with the one it is of."""

    def __init__(self, ours: STGCN) -> None:
        nn.Module.__init__(self)
        self.register_buffer("adjacency", ours.get_buffer("adjacency"), persistent=False)
        self.edges, self.width, self.data_norm = ours.edges, ours.width, ours.data_norm
        self.edge_importance = ours.edge_importance
        self.blocks = nn.ModuleList(PlainBlock(block) for block in ours.blocks if isinstance(block, Block))

    def absent_alike(self, rows: Tensor) -> bool:
        """No matter: every row is computed."""
        return False

    def maps(self, rows: Tensor) -> Tensor:
        """rows (R, 3, T, V) -> (R, C, ⌈T / 4⌉, V)."""
        count, coordinates, frames, joints = rows.shape
        normed = self.data_norm(rows.permute(0, 3, 1, 2).reshape(count, joints * coordinates, frames))
        out = normed.view(count, joints, coordinates, frames).permute(0, 2, 3, 1).contiguous()
        adjacency = self.get_buffer("adjacency")
        assert self.edge_importance is not None
        for block, graph in zip(self.blocks, graphs(adjacency * self.edge_importance, self.edges), strict=True):
            out = block(out, graph)
        return out


def plain(method: SkeAttnCLR) -> SkeAttnCLR:
    """A copy that computes the same in the plain way."""
    other = copy.deepcopy(method)
    for branch in (other.query, other.key):
        assert isinstance(branch.backbone, STGCN)
        branch.backbone = PlainSTGCN(branch.backbone)
    other.query.mask.kernel = "reference"
    return other


class Training:
    """Steps of a method on its own, ours or the plain one."""

    def __init__(self, method: SkeAttnCLR, sgd: SGD) -> None:
        self.method = method.train()
        self.is_plain = isinstance(method.query.backbone, PlainSTGCN)
        trained = [p for p in method.parameters() if p.requires_grad]
        self.optimiser: torch.optim.Optimizer = sgd.build(trained)
        if self.is_plain:
            self.optimiser = torch.optim.SGD(
                trained, sgd.lr, sgd.momentum, weight_decay=sgd.weight_decay, foreach=False
            )

    def update(self, views: dict[str, Tensor], at: At, forward: Callable[[], Any]) -> dict[str, Tensor]:
        """Everything that follows the views; `forward` gives the context of the forward pass."""
        with forward():
            terms = self.method.loss(views, at)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        self.optimiser.step()
        if not self.is_plain:
            self.method.after_step(at)
            return {name: term.detach() for name, term in terms.items()}
        for term in terms.values():
            term.item()
        self._follow(at)
        assert self.method._keys is not None
        self.method.queue.push(self.method._keys)
        return terms

    @torch.no_grad()
    def _follow(self, at: At) -> None:
        """The momentum encoder, one tensor at a time."""
        c, method = self.method.config, self.method
        m = moco.momentum_at(c.momentum, c.momentum_schedule, at, c.momentum_offset)
        for key, query in zip(method.key.parameters(), method.query.parameters(), strict=True):
            key.copy_(key * m + query * (1 - m))
        for key, query in zip(method.key.buffers(), method.query.buffers(), strict=True):
            key.copy_(key * m + query * (1 - m) if key.is_floating_point() and c.momentum_buffers else query)


def batches(x: Any, batch: int, steps: int) -> DataLoader[Any]:
    """Views of clips (N, 3, T, V, M) in NumPy, as plain_views makes them without workers."""
    return plain_views.loader(plain_views.Samples(x), batch, steps, 0)
