"""What the tables of finetuning share: its runs, and the row without pretraining (Tables 5, 6 and irds)."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate, Untrained
from protocols import finetune, semi

SCRATCH = "ST-GCN"  # no pretraining: what the labels alone give
SCRATCH_NOTE = (
    "ST-GCN: the same protocol from random weights, which is supervised training. BatchNorm follows the batches there "
    "under either recipe, as there are no statistics of a pretraining to keep."
)


def tuned(
    settings: Settings, protocol: str, method: str, data: str, split: str, stream: str, share: float = 0.1
) -> tuple[Evaluate, ...]:
    """Finetuning of a method, or of random weights for the row SCRATCH, one run per seed."""
    runs = []
    for seed in settings.seeds:
        if method == SCRATCH:
            encoder = recipes.untrained(settings, "supervised", data, stream, seed)
        else:
            encoder = recipes.pretraining(settings, method, data, split, stream, seed)
        runs.append(from_scratch(recipes.evaluation(settings, protocol, encoder, data, split, share)))
    return tuple(runs)


def from_scratch(run: Evaluate) -> Evaluate:
    """The evaluation, with BatchNorm that follows the batches if nothing was pretrained."""
    if not isinstance(run.encoder, Untrained):
        return run
    match run.config:
        case finetune.Config() as config:
            return replace(run, config=replace(config, batchnorm="batch"))
        case semi.Config() as config:
            return replace(run, config=replace(config, finetune=replace(config.finetune, batchnorm="batch")))
    return run
