"""What the tables of finetuning share: its runs, and the row without pretraining (Tables 5 and 6)."""

from __future__ import annotations

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate

SCRATCH = "ST-GCN"  # no pretraining: what the labels alone give
SCRATCH_NOTE = (
    "ST-GCN: the same protocol from random weights, which is supervised training. BatchNorm follows the batches there "
    "under either recipe, as there are no statistics of a pretraining to keep."
)


def tuned(
    settings: Settings, protocol: str, method: str, data: str, split: str, stream: str, share: float = 0.1
) -> tuple[Evaluate, ...]:
    """Finetuning of a method, or of random weights for the row SCRATCH, one run per seed."""
    if method == SCRATCH:
        encoders = recipes.controls(settings, "supervised", data, stream)
    else:
        encoders = recipes.pretrainings(settings, method, data, split, stream)
    return recipes.judged(settings, protocol, encoders, data, split, share)
