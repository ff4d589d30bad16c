"""Table 17: the number of heads of the attention mask."""

from __future__ import annotations

from benchmarks.tables.ablation import ablation

SPEC = ablation("17", "Heads of the attention mask, NTU-60 joint", "Heads", "heads", (4, 8, 16, 32))
