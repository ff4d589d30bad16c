"""Table 15: lambda of the attention mask."""

from __future__ import annotations

from benchmarks.tables.ablation import ablation

SPEC = ablation("15", "Tolerance of the mask, NTU-60 joint", "λ", "lam", (0.5, 1.0, 2.0, 4.0, 8.0))
