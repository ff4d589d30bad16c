"""Three streams as one: the fusions that a table shows, each weighting a run of its own (section 4.3, "3S").

The releases sum scores; SkeAttnCLR and HiCLR print the better of two weightings on the test set. Here equal weights are
the table's cell, and a release's own weighting has a row of its own, so that nobody chooses in silence.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import recipes
from benchmarks.runs import Evaluate
from benchmarks.tables.base import Cell

STREAMS = ("joint", "bone", "motion")  # the order of the weights
ALTERNATIVE = "released weights"
# method -> split of its subjects, any other split.
WEIGHTS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "skeattnclr": ((0.5, 0.5, 0.4), (1.0, 0.2, 0.2)),
    "aimclr": ((0.6, 0.6, 0.4), (0.6, 0.6, 0.4)),
    "hiclr": ((0.6, 0.6, 0.4), (0.6, 0.6, 0.4)),
}
NOTES = (
    "3S: sum of the scores of joint, bone and motion with weights 0.5, 0.5, 0.5.",
    "Released weights: SkeAttnCLR 0.5, 0.5, 0.4 cross-subject and 1, 0.2, 0.2 otherwise, AimCLR and HiCLR 0.6, 0.6, "
    "0.4; AimCLR's release has no others, the other two report the better of these and of equal weights on the test "
    "set.",
)


def fusions(
    rows: tuple[str, str], column: str, method: str, split: str, streams: dict[str, tuple[Evaluate, ...]]
) -> Iterator[Cell]:
    """The fused cell of the first row and, where the method's release has other weights, that of the second.

    streams: stream -> evaluations, one per seed.
    """
    members = list(zip(*(streams[stream] for stream in STREAMS), strict=True))
    yield Cell(rows[0], column, tuple(recipes.fused(runs) for runs in members))
    if method in WEIGHTS:
        weights = WEIGHTS[method][split != "xsub"]
        yield Cell(rows[1], column, tuple(recipes.fused(runs, weights) for runs in members))
