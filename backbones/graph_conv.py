"""Graph convolution of ST-GCN: every joint sums its neighbours' features, subset by subset, then one 1x1 convolution.

Mixing over joints and the 1x1 convolution commute, and there are never fewer output than input channels in an ST-GCN
block, so mixing first is the cheaper order. How joints are mixed depends on the device. A GPU multiplies by the whole
adjacency, one product of matrices. A CPU follows the edges, of which there are 73 among 1,875 entries: with channels
innermost (channels last) an edge is a run of memory, as is a row of an embedding, whose weighted sums PyTorch has in
one pass; its convolutions are the faster ones in that layout too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

WIDE = 32  # channels from which one dot product per term is faster than two gathers


class Bags:
    """For every place, the rows of which it is a weighted sum: what F.embedding_bag does in one pass over memory.

    The indices of many samples side by side begin with those of fewer, so the longest asked for is kept.
    """

    def __init__(self, terms: list[list[tuple[int, int]]], rows: int) -> None:
        """`terms`: for every place, (row, number of the edge) of each term; `rows`: rows per sample."""
        self.rows, self.places = rows, len(terms)
        self.read = torch.tensor([row for bag in terms for row, _ in bag])  # (E,)
        self.edge = torch.tensor([edge for bag in terms for _, edge in bag])  # (E,)
        self.place = torch.tensor([place for place, bag in enumerate(terms) for _ in bag])  # (E,)
        self.start = torch.tensor([0, *(len(bag) for bag in terms[:-1])]).cumsum(0)  # (places,)
        self._longest = self._side_by_side(1)

    def indices(self, samples: int) -> tuple[Int[Tensor, " NE"], Int[Tensor, " NE"], Int[Tensor, " places"]]:
        """read (N * E,), place (N * E,), start (N * places,) of `samples` N, int32."""
        if len(self._longest[2]) < samples * self.places:
            self._longest = self._side_by_side(samples)
        read, place, start = self._longest
        terms = samples * len(self.edge)
        return read[:terms], place[:terms], start[: samples * self.places]

    def _side_by_side(self, samples: int) -> tuple[Tensor, Tensor, Tensor]:
        number = torch.arange(samples, device="cpu")[:, None]
        columns = ((self.read, self.rows), (self.place, self.places), (self.start, len(self.edge)))
        read, place, start = ((index + number * step).flatten().int() for index, step in columns)
        return read, place, start

    def sums(self, x: Float[Tensor, "N rows C"], weights: Float[Tensor, " E"]) -> Float[Tensor, "N places C"]:
        """x (N, rows, C), the weights (E,) of its terms -> (N, places, C)."""
        samples, _, channels = x.shape
        read, _, start = self.indices(samples)
        weights = weights.to(x.dtype).expand(samples, -1).flatten()
        rows = x.detach().reshape(-1, channels)  # no bookkeeping for a gradient that is ours
        return F.embedding_bag(read, rows, start, mode="sum", per_sample_weights=weights).view(samples, -1, channels)

    def products(
        self, x: Float[Tensor, "N rows C"], grad: Float[Tensor, "N places C"], exact: torch.dtype
    ) -> Float[Tensor, " E"]:
        """x (N, rows, C) and the gradient of `sums` (N, places, C) -> that of the weights (E,), in type `exact`."""
        samples, _, channels = x.shape
        if channels < WIDE or x.dtype != exact:
            products = x.index_select(1, self.read).mul_(grad.index_select(1, self.place))
            return products.sum(dim=0, dtype=exact).sum(dim=1)
        read, place, start = self.indices(samples)
        rows, of_places = x.reshape(-1, channels), grad.reshape(-1, channels)
        per_term = torch.ops.aten._embedding_bag_per_sample_weights_backward(of_places, rows, read, start, place, 0)
        return per_term.view(samples, -1).sum(dim=0)


class Edges(NamedTuple):
    """The entries of an adjacency (K, V, V) that are not zero, for both directions of a training step.

    Mixed features stand in V * K places: place w * K + k is what joint w receives in subset k. Edges are numbered by
    the place at which they end.
    """

    entries: Tensor  # (E,) of the flattened adjacency
    forward: Bags  # places are sums of joints
    backward: Bags  # joints are sums of places


def edges_of(adjacency: Float[Tensor, "K V V"]) -> Edges:
    """Edges of a partitioned adjacency (K, V, V), on the CPU."""
    subsets, joints, _ = adjacency.shape
    with torch.device("cpu"):
        found = [(w * subsets + k, v, k) for k, v, w in (adjacency != 0).nonzero().tolist()]
        received: list[list[tuple[int, int]]] = [[] for _ in range(joints * subsets)]
        sent: list[list[tuple[int, int]]] = [[] for _ in range(joints)]
        entries = []
        for edge, (place, v, k) in enumerate(sorted(found)):
            received[place].append((v, edge))
            sent[v].append((place, edge))
            entries.append((k * joints + v) * joints + place // subsets)
        return Edges(torch.tensor(entries), Bags(received, joints), Bags(sent, joints * subsets))


class Graph(NamedTuple):
    """A weighted adjacency, and what one graph convolution reads of it."""

    adjacency: Tensor  # (K, V, V)
    received: Tensor  # (V, K), its column sums
    edges: Edges
    weights: Tensor | None  # (E,) its entries along the edges, on a CPU


def graphs(adjacencies: Float[Tensor, "L K V V"], edges: Edges) -> list[Graph]:
    """Of the adjacencies (L, K, V, V) of L blocks, which have the same edges."""
    received = adjacencies.sum(dim=2).transpose(1, 2).unbind(0)
    count = len(adjacencies)
    weights = adjacencies.flatten(1)[:, edges.entries].unbind(0) if adjacencies.is_cpu else [None] * count
    return [Graph(*each) for each in zip(adjacencies.unbind(0), received, [edges] * count, weights, strict=True)]


class MixAlongEdges(torch.autograd.Function):
    """out[n, w * K + k] = sum over v of x[n, v] A[k, v, w]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weights: Tensor, edges: Edges) -> Tensor:
        """x (N, V, C), weights (E,) -> (N, V * K, C)."""
        ctx.save_for_backward(x, weights)
        ctx.edges = edges
        return edges.forward.sums(x, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  decorated, so of another type
        """Joints receive along the same edges turned round."""
        x, weights = ctx.saved_tensors
        edges: Edges = ctx.edges
        of_x = of_weights = None
        if ctx.needs_input_grad[0]:
            of_x = edges.backward.sums(grads[0], weights[edges.backward.edge])
        if ctx.needs_input_grad[1]:
            of_weights = edges.forward.products(x, grads[0], weights.dtype)
        return of_x, of_weights, None


class GraphConv(nn.Module):
    """out[w] = sum over k, v of (W_k x + b_k)[v] A[k, v, w]; the bias meets the column sums of A."""

    def __init__(self, channels_in: int, channels_out: int, subsets: int) -> None:
        super().__init__()
        self.subsets = subsets
        self.conv = nn.Conv2d(channels_in, subsets * channels_out, kernel_size=1)

    def forward(self, x: Float[Tensor, "R C T V"], graph: Graph) -> Float[Tensor, "R D T V"]:
        """(R, C, T, V) -> (R, C', T, V)."""
        channels = x.shape[1]
        mixed = _by_matrix(x, graph.adjacency) if graph.weights is None else _along_edges(x, graph.weights, graph.edges)
        weight = self.conv.weight.view(self.subsets, -1, channels).transpose(0, 1)
        out = F.conv2d(mixed, weight.reshape(-1, self.subsets * channels, 1, 1))
        assert self.conv.bias is not None
        bias = graph.received @ self.conv.bias.view(self.subsets, -1)  # (V, C')
        return out.add_(bias.t()[:, None, :])


def _along_edges(x: Tensor, weights: Tensor, edges: Edges) -> Tensor:
    """(R, C, T, V) -> (R, K * C, T, V), channels last."""
    rows, channels, frames, joints = x.shape
    frames_first = x.permute(0, 2, 3, 1).reshape(rows * frames, joints, channels)
    mixed = MixAlongEdges.apply(frames_first, weights, edges)
    assert isinstance(mixed, Tensor)
    return mixed.view(rows, frames, joints, -1).permute(0, 3, 1, 2)


def _by_matrix(x: Tensor, adjacency: Tensor) -> Tensor:
    """(R, C, T, V) -> (R, K * C, T, V)."""
    rows, channels, frames, joints = x.shape
    mixed = torch.matmul(x.reshape(-1, joints), adjacency.transpose(0, 1).reshape(joints, -1))
    return mixed.view(rows, channels, frames, -1, joints).permute(0, 3, 1, 2, 4).reshape(rows, -1, frames, joints)
