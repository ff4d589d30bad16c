"""What Tables 1 and 2 share: the method against its baseline, stream by stream, under linear evaluation."""

from __future__ import annotations

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.runs import Evaluate

STREAMS = {"J": "joint", "M": "motion", "B": "bone"}
NOTES = (
    "Baseline: SkeletonCLR as released (recipe official); the paper quotes these numbers from its publication.",
    "Baseline*: SkeletonCLR with the settings of Tables 8 to 14. Ours: SkeAttnCLR.",
)


def rows(settings: Settings) -> dict[str, tuple[str, Settings]]:
    """Row -> method and settings. Baseline is quoted by the paper, so always recipe official; Baseline* never is."""
    return {
        "Baseline": ("skeletonclr", settings.but(recipe="official")),
        "Baseline*": ("skeletonclr", settings.but(recipe="paper")),
        "Ours": ("skeattnclr", settings),
    }


def linear(
    chosen: Settings, method: str, data: str, split: str, stream: str, backbone: str = "stgcn"
) -> tuple[Evaluate, ...]:
    """Linear evaluation of a pretraining on its own data, one per seed."""
    trained = recipes.pretrainings(chosen, method, data, split, stream, backbone)
    return recipes.judged(chosen, "linear", trained, data, split)
