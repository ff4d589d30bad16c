"""Graph convolution of ST-GCN: every joint sums its neighbours' features, subset by subset, then one 1x1 convolution.

Mixing over joints and the 1x1 convolution commute, and there are never fewer output than input channels in an ST-GCN
block, so mixing first is the cheaper order. How joints are mixed depends on the device. A GPU multiplies by the whole
adjacency, one product of matrices. A CPU follows the edges, of which there are 73 among 1,875 entries: with channels
innermost (channels last) an edge is a run of memory, and its convolutions are the faster ones in that layout too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Way(NamedTuple):
    """A sum over edges as one gather of a term per place, and few terms that are added to some places."""

    read: Tensor  # (places,) what the first term of each place is read from
    weight: Tensor  # (places,) its entry of the flattened adjacency, a zero where a place has no edge
    more: tuple[Tensor, Tensor, Tensor] | None  # of the other edges: place, read, weight


class Edges(NamedTuple):
    """The entries of an adjacency (K, V, V) that are not zero, for both directions of a training step.

    Mixed features stand in V * K places: place w * K + k is what joint w receives in subset k.
    """

    forward: Way  # places read joints
    backward: Way  # joints read places, all joints for the first subset, then all for the next


def edges_of(adjacency: Tensor) -> Edges:
    """Edges of a partitioned adjacency (K, V, V), on the CPU."""
    subsets, joints, _ = adjacency.shape
    with torch.device("cpu"):
        entries = torch.arange(adjacency.numel()).view_as(adjacency).tolist()
        there = (adjacency != 0).tolist()
        forward = [
            [(v, entries[k][v][w]) for v in range(joints) if there[k][v][w]] or [(0, entries[k][0][w])]
            for w in range(joints)
            for k in range(subsets)
        ]
        backward = [
            [(w * subsets + k, entries[k][v][w]) for w in range(joints) if there[k][v][w]] or [(0, entries[k][v][0])]
            for k in range(subsets)
            for v in range(joints)
        ]
        return Edges(_way(forward, len(forward)), _way(backward, joints))


def _way(terms: list[list[tuple[int, int]]], places: int) -> Way:
    """From (read, weight) of every place's terms; further terms go to the place of the same number modulo places."""
    read, weight = (torch.tensor([place[0][i] for place in terms]) for i in range(2))
    others = [(number % places, *term) for number, place in enumerate(terms) for term in place[1:]]
    if not others:
        return Way(read, weight, None)
    place, more_read, more_weight = torch.tensor(others).unbind(1)
    return Way(read, weight, (place.contiguous(), more_read.contiguous(), more_weight.contiguous()))


class MixAlongEdges(torch.autograd.Function):
    """out[n, w * K + k] = sum over v of x[n, v] A[k, v, w]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, adjacency: Tensor, edges: Edges) -> Tensor:
        """x (N, V, C), adjacency (K, V, V) -> (N, V * K, C)."""
        ctx.save_for_backward(x, adjacency)
        ctx.edges = edges
        values = adjacency.reshape(-1, 1).to(x.dtype)
        out = x.index_select(1, edges.forward.read).mul_(values[edges.forward.weight])
        return _add_more(out, x, values, edges.forward)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """The gradient of the adjacency is that of its edges; elsewhere it is left 0."""
        x, adjacency = ctx.saved_tensors
        edges: Edges = ctx.edges
        grad, values = grads[0], adjacency.reshape(-1, 1).to(x.dtype)
        of_x = of_adjacency = None
        if ctx.needs_input_grad[0]:
            way = edges.backward
            of_x, *others = (grad.index_select(1, read) for read in way.read.split(x.shape[1]))
            first, *factors = values[way.weight].split(x.shape[1])
            of_x = of_x.mul_(first)
            for terms, factor in zip(others, factors, strict=True):
                of_x.addcmul_(terms, factor)
            of_x = _add_more(of_x, grad, values, way)
        if ctx.needs_input_grad[1]:
            way = edges.forward
            of_adjacency = torch.zeros_like(adjacency).view(-1, 1)
            of_adjacency.index_add_(0, way.weight, _dot(x.index_select(1, way.read), grad, adjacency.dtype))
            if way.more:
                place, read, weight = way.more
                more = _dot(x.index_select(1, read), grad.index_select(1, place), adjacency.dtype)
                of_adjacency.index_add_(0, weight, more)
            of_adjacency = of_adjacency.view_as(adjacency)
        return of_x, of_adjacency, None


def _add_more(out: Tensor, x: Tensor, values: Tensor, way: Way) -> Tensor:
    if way.more:
        place, read, weight = way.more
        out.index_add_(1, place, x.index_select(1, read).mul_(values[weight]))
    return out


def _dot(x: Tensor, y: Tensor, exact: torch.dtype) -> Tensor:
    """(N, E, C), which is overwritten, and (N, E, C) -> (E, 1), sums over N and C in the type `exact`."""
    return x.mul_(y).sum(dim=0, dtype=exact).sum(dim=1, keepdim=True)


class GraphConv(nn.Module):
    """out[w] = sum over k, v of (W_k x + b_k)[v] A[k, v, w]; the bias meets the column sums of A."""

    def __init__(self, channels_in: int, channels_out: int, subsets: int) -> None:
        super().__init__()
        self.subsets = subsets
        self.conv = nn.Conv2d(channels_in, subsets * channels_out, kernel_size=1)

    def forward(self, x: Tensor, adjacency: Tensor, edges: Edges) -> Tensor:
        """(R, C, T, V), (K, V, V) -> (R, C', T, V); `edges` are those of the adjacency."""
        channels = x.shape[1]
        mixed = _along_edges(x, adjacency, edges) if x.is_cpu else _by_matrix(x, adjacency)
        weight = self.conv.weight.view(self.subsets, -1, channels).transpose(0, 1)
        out = F.conv2d(mixed, weight.reshape(-1, self.subsets * channels, 1, 1))
        assert self.conv.bias is not None
        bias = adjacency.sum(dim=1).t() @ self.conv.bias.view(self.subsets, -1)  # (V, C')
        return out.add_(bias.t()[:, None, :])


def _along_edges(x: Tensor, adjacency: Tensor, edges: Edges) -> Tensor:
    """(R, C, T, V) -> (R, K * C, T, V), channels last."""
    rows, channels, frames, joints = x.shape
    frames_first = x.permute(0, 2, 3, 1).reshape(rows * frames, joints, channels)
    mixed = MixAlongEdges.apply(frames_first, adjacency, edges)
    assert isinstance(mixed, Tensor)
    return mixed.view(rows, frames, joints, -1).permute(0, 3, 1, 2)


def _by_matrix(x: Tensor, adjacency: Tensor) -> Tensor:
    """(R, C, T, V) -> (R, K * C, T, V)."""
    rows, channels, frames, joints = x.shape
    mixed = torch.matmul(x.reshape(-1, joints), adjacency.transpose(0, 1).reshape(joints, -1))
    return mixed.view(rows, channels, frames, -1, joints).permute(0, 3, 1, 2, 4).reshape(rows, -1, frames, joints)
