"""The plain form of the released BiGRU: a bidirectional GRU that is handed one frame at a time and keeps its states.

Why it is here: it is what the release runs, the baseline of `profile gru`, and what `backbones/bigru.py` must equal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FrameByFrame(nn.Module):
    """(B, T, inputs) -> (B, T, 2 hidden), in T calls."""

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, hidden, layers, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, inputs) -> (B, T, 2 hidden)."""
        states, outputs = None, []
        for frame in x.split(1, dim=1):
            output, states = self.gru(frame, states)
            outputs.append(output)
        return torch.cat(outputs, dim=1)
