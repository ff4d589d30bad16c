"""Graph convolution: both ways of mixing are the textbook's sum, with its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbones import skeleton
from backbones.graph_conv import WIDE, GraphConv, MixAlongEdges, _along_edges, _by_matrix, edges_of, graphs
from tests import official

DENSE = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(0))


def textbook(layer: GraphConv, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
    """First W_k x + b_k, then the sum over neighbours, entry by entry."""
    subsets, joints, _ = adjacency.shape
    y = layer.conv(x).unflatten(1, (subsets, -1)).numpy()  # (R, K, C', T, V)
    out = np.zeros((len(x), y.shape[2], *x.shape[2:]), np.float32)
    for k in range(subsets):
        for v in range(joints):
            for w in range(joints):
                out[..., w] += y[:, k, :, :, v] * float(adjacency[k, v, w])
    return torch.from_numpy(out)


@pytest.mark.parametrize("name", ["agcn", "stgcn", "every edge"])
def test_equals_the_textbook_order(name: str) -> None:
    torch.manual_seed(0)
    adjacency = DENSE if name == "every edge" else skeleton.graph(name)
    layer = GraphConv(3, 5, len(adjacency))
    x = torch.randn(2, 3, 4, adjacency.shape[1])
    with torch.no_grad():
        (graph,) = graphs(adjacency[None], edges_of(adjacency))
        got, want = layer(x, graph), textbook(layer, x, adjacency)
    assert official.error(got, want) < 1e-5


@pytest.mark.parametrize("name", ["agcn", "stgcn"])
def test_edges_and_matrix_give_the_same_features_and_gradients(name: str) -> None:
    graph = skeleton.graph(name).double()
    edges, found = edges_of(graph), []
    for mix in (lambda x, a: _along_edges(x, a.flatten()[edges.entries], edges), _by_matrix):
        torch.manual_seed(0)
        x = torch.randn(2, 3, 4, skeleton.V, dtype=torch.float64, requires_grad=True)
        importance = torch.rand(graph.shape, dtype=torch.float64, requires_grad=True)
        mixed = mix(x, graph * importance)
        (mixed * torch.linspace(-1, 1, mixed.numel(), dtype=torch.float64).view(mixed.shape)).sum().backward()
        found.append((mixed, x.grad, importance.grad))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)


def test_every_edge_is_followed_once_in_both_directions() -> None:
    for name, count in (("agcn", 73), ("stgcn", 73)):
        graph = skeleton.graph(name)
        assert int((graph != 0).sum()) == count
        entries, forward, backward = edges_of(graph)
        assert sorted(entries.tolist()) == graph.flatten().nonzero().flatten().tolist(), name
        assert forward.edge.tolist() == sorted(backward.edge.tolist()) == list(range(count)), name


@pytest.mark.parametrize("channels", [2, WIDE])
def test_the_gradient_is_that_of_the_function(channels: int) -> None:
    torch.manual_seed(0)
    adjacency = (torch.rand(2, 4, 4) * (torch.rand(2, 4, 4) < 0.6)).double()
    edges = edges_of(adjacency)
    x = torch.randn(3, 4, channels, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(len(edges.entries), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: MixAlongEdges.apply(x, w, edges), (x, weights))


def test_a_second_derivative_is_refused() -> None:
    edges = edges_of(skeleton.graph("agcn"))
    x, weights = torch.randn(3, skeleton.V, 4, requires_grad=True), torch.rand(len(edges.entries), requires_grad=True)
    mixed = MixAlongEdges.apply(x, weights, edges)
    assert isinstance(mixed, torch.Tensor)
    (once,) = torch.autograd.grad(mixed.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        once.sum().backward()
