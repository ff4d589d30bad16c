"""ST-GCN (Yan et al., AAAI 2018) as every compared method uses it: ten blocks, 25 joints, no classifier.

The main backbone of the paper (Table 12). `width` is the paper's "hidden channel": 64 there, 16 in the
releases of the compared methods, which is why "the same backbone" differs by a factor of four in parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from backbones import skeleton
from backbones.base import PersonBackbone
from backbones.batchnorm import BatchNorm, written_out
from backbones.dropout import Dropout
from backbones.graph_conv import Graph, GraphConv, edges_of, graphs


class Shortcut(nn.Sequential):
    """1x1 convolution, BN: the residual where shapes differ."""

    def forward(self, input: Float[Tensor, "R C T V"], more: int = 0) -> Float[Tensor, "R D t V"]:
        """(R, C, T, V) -> (R, C', ⌈T / stride⌉, V). more: copies of the last row, see distinct_maps."""
        conv, norm = self
        return norm(conv(input), more)


class Block(nn.Module):
    """Graph convolution, BN, ReLU, 9x1 temporal convolution, BN, dropout; residual; ReLU."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, dropout: float, subsets: int, residual: bool
    ) -> None:
        super().__init__()
        self.gcn = GraphConv(channels_in, channels_out, subsets)
        self.gcn_norm = BatchNorm(channels_out)
        self.tcn = nn.Conv2d(channels_out, channels_out, (9, 1), (stride, 1), (4, 0))
        self.tcn_norm = BatchNorm(channels_out)
        self.dropout = Dropout(dropout)
        self.residual = residual
        self.shortcut: Shortcut | None = None  # the input itself
        if residual and (channels_in != channels_out or stride != 1):
            self.shortcut = Shortcut(nn.Conv2d(channels_in, channels_out, 1, (stride, 1)), BatchNorm(channels_out))

    def forward(self, x: Float[Tensor, "R C T V"], graph: Graph, more: int = 0) -> Float[Tensor, "R D t V"]:
        """(R, C, T, V) -> (R, C', ⌈T / stride⌉, V). more: copies of the last row, see distinct_maps."""
        out = F.relu(self.gcn_norm(self.gcn(x, graph), more), inplace=True)
        out = self.dropout(self.tcn_norm(self.tcn(out), more))
        if self.residual:
            out = out.add_(x if self.shortcut is None else self.shortcut(x, more))
        return F.relu(out, inplace=True)


class STGCN(PersonBackbone):
    """(B, 3, T, V, M) -> tokens (B, M, ⌈T/4⌉ V, C), frame-major, and pooled (B, C)."""

    REVISION: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Config:
        """Table 12."""

        width: int = 64  # "hidden channel": width of the first block
        out: int = 256  # "hidden dim": C, width of the last block
        dropout: float = 0.5  # in every block but the first
        edge_importance: bool = True  # a learnable factor for every edge in every block
        graph: str = "agcn"  # see skeleton.graph

    def __init__(self, config: Config) -> None:
        super().__init__()
        adjacency = skeleton.graph(config.graph)
        self.register_buffer("adjacency", adjacency, persistent=False)
        self.edges = edges_of(adjacency)
        self.width = config.out
        self.drops = config.dropout > 0
        subsets, joints, _ = adjacency.shape
        h = config.width
        # (channels out, temporal stride) of the ten blocks
        plan = [(h, 1)] * 4 + [(2 * h, 2)] + [(2 * h, 1)] * 2 + [(4 * h, 2)] + [(4 * h, 1)] + [(config.out, 1)]
        self.data_norm = nn.BatchNorm1d(3 * joints)
        self.blocks = nn.ModuleList()
        channels = 3
        for i, (out, stride) in enumerate(plan):
            dropout = config.dropout if i else 0.0
            self.blocks.append(Block(channels, out, stride, dropout, subsets, residual=i > 0))
            channels = out
        importance = torch.ones(len(plan), subsets, joints, joints)
        self.edge_importance = nn.Parameter(importance) if config.edge_importance else None

    def grid(self, frames: int) -> tuple[int, int]:
        """(T', V) after the two temporal strides: 64 -> 16, 50 -> 13."""
        for _ in range(2):
            frames = (frames + 1) // 2
        return frames, skeleton.V

    def absent_alike(self, rows: Float[Tensor, "R 3 T V"]) -> bool:
        """Also in training, where there is no dropout; on a CPU, for counting them waits for the device."""
        counted = rows.is_cpu and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()
        return (counted and not self.drops and not rows.requires_grad) or super().absent_alike(rows)

    def maps(self, rows: Float[Tensor, "R 3 T V"]) -> Float[Tensor, "R C t V"]:
        """rows (R, 3, T, V) -> (R, C, ⌈T / 4⌉, V)."""
        return self.distinct_maps(rows, 0)

    def distinct_maps(self, rows: Float[Tensor, "R 3 T V"], more: int) -> Float[Tensor, "R C t V"]:
        """The same; BatchNorm counts the `more` copies of the last row that are left out."""
        count, coordinates, frames, joints = rows.shape
        flat = rows.permute(0, 3, 1, 2).reshape(count, joints * coordinates, frames)
        normed = self.data_norm(written_out(flat, more))[:count]
        layout = torch.channels_last if rows.is_cpu else torch.contiguous_format  # graph_conv.py says why
        out = normed.view(count, joints, coordinates, frames).permute(0, 2, 3, 1).contiguous(memory_format=layout)
        adjacency: Tensor = self.get_buffer("adjacency")
        importance = 1 if self.edge_importance is None else self.edge_importance
        weighted = (adjacency * importance).expand(len(self.blocks), -1, -1, -1)
        for block, graph in zip(self.blocks, graphs(weighted, self.edges), strict=True):
            out = block(out, graph, more)
        return out
