"""BiGRU: three layers of gated recurrent units that read both persons of a frame as one vector (Table 13).

After Predict & Cluster (Su et al., CVPR 2020). Two networks go by this name, and Table 2 does not say which it
measured: "bidirectional" is what the name says. "released" is what the released module computes: it hands the GRU one
frame at a time, so both of its directions run forward in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from backbones import skeleton
from backbones.base import Backbone, Features, MaskPooling
from backbones.recurrence import run_gru

PERSONS = 2  # in one vector; a row of the other backbones is one person
INPUT = 3 * skeleton.V * PERSONS  # "input size" of Table 13: 150


class ForwardPairs(nn.Module):
    """Layers of two independent GRUs that both run forward in time, their outputs side by side.

    Equals a bidirectional GRU that is given one frame at a time and keeps its states: a direction that only ever sees
    one frame has no backward. Whole sequences per call spare the sixty-four small calls of that form.
    """

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        sizes = [inputs] + [2 * hidden] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.GRU(size, hidden, batch_first=True) for _ in range(2)) for size in sizes
        )

    def forward(self, x: Float[Tensor, "B T I"]) -> Float[Tensor, "B T H"]:
        """(B, T, inputs) -> (B, T, 2 hidden)."""
        for pair in self.layers:
            x = torch.cat([run_gru(cast(nn.GRU, gru), x) for gru in cast(nn.ModuleList, pair)], dim=2)
        return x


class BiGRU(Backbone):
    """(B, 3, T, V, M) -> tokens (B, 1, T, C), one hidden state per frame, and pooled (B, C), the last of them.

    C is twice the hidden size. A missing second person is a vector of zeros, as in the stored data. Bidirectional, the
    backward half of the last state has seen the last frame alone.
    """

    REVISION: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Config:
        """Table 13."""

        hidden_size: int = 1024  # of each direction
        layers: int = 3
        direction: Literal["bidirectional", "released"] = "bidirectional"
        mask_pooling: MaskPooling = "last"  # of masked tokens: the last frame (released) or the mean (equations 5 to 7)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.width = 2 * config.hidden_size
        self.mask_pooling = config.mask_pooling
        self.input_norm = nn.BatchNorm1d(INPUT)
        self.gru: nn.Module
        if config.direction == "released":
            self.gru = ForwardPairs(INPUT, config.hidden_size, config.layers)
        else:
            self.gru = nn.GRU(INPUT, config.hidden_size, config.layers, batch_first=True, bidirectional=True)
        for parameter in self.gru.parameters():
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)

    @property
    def projector_width(self) -> int:
        """C / 2: as wide as one direction."""
        return self.width // 2

    def forward(self, x: Float[Tensor, "B 3 T V M"]) -> Features:
        """x (B, 3, T, V, M), metres -> Features.

        Raises:
            ValueError: for more than two persons.
        """
        batch, _, frames, _, persons = x.shape
        if persons > PERSONS:
            raise ValueError(f"BiGRU reads at most {PERSONS} persons, got {persons}")
        x = F.pad(x, (0, PERSONS - persons))
        rows = x.permute(0, 3, 1, 4, 2).reshape(batch, INPUT, frames)  # joint by joint, x y z, person by person
        rows = self.input_norm(rows).transpose(1, 2)
        states = run_gru(self.gru, rows) if isinstance(self.gru, nn.GRU) else self.gru(rows)
        return Features(states.unsqueeze(1), states[:, -1])
