"""Table 16: mu of the local loss."""

from __future__ import annotations

from benchmarks.tables.ablation import ablation

SPEC = ablation("16", "Weight of L_s against L_ns, NTU-60 joint", "μ", "mu", (0.1, 0.3, 0.5, 0.7, 0.9))
