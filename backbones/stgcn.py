"""ST-GCN (Yan et al., AAAI 2018) as every compared method uses it: ten blocks, 25 joints, no classifier.

The main backbone of the paper (Table 12). `width` is the paper's "hidden channel": 64 there, 16 in the
releases of the compared methods, which is why "the same backbone" differs by a factor of four in parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backbones import skeleton
from backbones.base import Backbone, Features, grid_features


class GraphConv(nn.Module):
    """out[w] = sum over k, v of (W_k x + b_k)[v] A[k, v, w], with the mixing over joints done first.

    Mixing and the 1x1 convolution commute, and there are never fewer output than input channels in an ST-GCN
    block, so mixing first is the cheaper order. The bias then meets the column sums of A.
    """

    def __init__(self, channels_in: int, channels_out: int, subsets: int) -> None:
        super().__init__()
        self.subsets = subsets
        self.conv = nn.Conv2d(channels_in, subsets * channels_out, kernel_size=1)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """(R, C, T, V), (K, V, V) -> (R, C', T, V)."""
        rows, channels, frames, joints = x.shape
        mixed = torch.matmul(x.reshape(-1, joints), adjacency.transpose(0, 1).reshape(joints, -1))
        mixed = mixed.view(rows, channels, frames, self.subsets, joints)
        mixed = mixed.permute(0, 3, 1, 2, 4).reshape(rows, self.subsets * channels, frames, joints)
        weight = self.conv.weight.view(self.subsets, -1, channels).transpose(0, 1)
        out = F.conv2d(mixed, weight.reshape(-1, self.subsets * channels, 1, 1))
        assert self.conv.bias is not None
        bias = self.conv.bias.view(self.subsets, -1).t() @ adjacency.sum(dim=1)  # (C', V)
        return out + bias[:, None, :]


class Block(nn.Module):
    """Graph convolution, BN, ReLU, 9x1 temporal convolution, BN, dropout; residual; ReLU."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, dropout: float, subsets: int, residual: bool
    ) -> None:
        super().__init__()
        self.gcn = GraphConv(channels_in, channels_out, subsets)
        self.gcn_norm = nn.BatchNorm2d(channels_out)
        self.tcn = nn.Conv2d(channels_out, channels_out, (9, 1), (stride, 1), (4, 0))
        self.tcn_norm = nn.BatchNorm2d(channels_out)
        self.dropout = nn.Dropout(dropout)
        self.residual = residual
        self.shortcut: nn.Module = nn.Identity()
        if residual and (channels_in != channels_out or stride != 1):
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, (stride, 1)), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, C', T / stride, V)."""
        out = torch.relu(self.gcn_norm(self.gcn(x, adjacency)))
        out = self.dropout(self.tcn_norm(self.tcn(out)))
        return torch.relu(out + self.shortcut(x)) if self.residual else torch.relu(out)


class STGCN(Backbone):
    """(B, 3, T, V, M) -> tokens (B, M, T/4 * V, C), frame-major, and pooled (B, C).

    Pooling is the mean over tokens, then over all M persons. An absent person is all zeros and still counts:
    its features are not zero, because of biases and batch statistics. So do all releases.
    """

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
        self.width = config.out
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

    def forward(self, x: Tensor) -> Features:
        """x (B, 3, T, V, M) -> Features."""
        batch, coordinates, frames, joints, persons = x.shape
        rows = x.permute(0, 4, 3, 1, 2).reshape(batch * persons, joints * coordinates, frames)
        rows = self.data_norm(rows).view(batch * persons, joints, coordinates, frames)
        out = rows.permute(0, 2, 3, 1).contiguous()
        adjacency: Tensor = self.get_buffer("adjacency")
        for i, block in enumerate(self.blocks):
            weighted = adjacency if self.edge_importance is None else adjacency * self.edge_importance[i]
            out = block(out, weighted)
        return grid_features(out, persons)
