"""IRDS, the real data set that needs no registration: controls and methods under KNN and linear evaluation."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.runs import Raw
from benchmarks.tables.base import Cell, TableSpec

SPLITS = {"xsub": "cross-subject", "stand-seated": "stand → seated"}
METHODS = {"SkeletonCLR": "skeletonclr", "SkeAttnCLR": "skeattnclr", "Supervised": "supervised"}


def cells(settings: Settings) -> Iterator[Cell]:
    """Rows raw coordinates, random initialisation, and one per method; joint stream."""
    for split, heading in SPLITS.items():
        raw = recipes.evaluation(settings, "raw", Raw("joint"), "irds", split)
        yield Cell("Raw coordinates", f"KNN {heading}", (raw,), "nearest")
        yield Cell("Raw coordinates", f"Linear {heading}", (raw,), "logistic")
        encoders = {
            "Random initialisation": [
                recipes.untrained(settings, "skeletonclr", "irds", "joint", seed) for seed in settings.seeds
            ]
        } | {
            row: [
                recipes.pretraining(settings, method, "irds", split, "joint", seed) for seed in settings.seeds
            ]
            for row, method in METHODS.items()
        }
        for row, choices in encoders.items():
            for name, protocol in (("KNN", "knn"), ("Linear", "linear")):
                changes = {"features": "backbone"} if protocol == "knn" else {}
                runs = tuple(
                    recipes.evaluation(settings, protocol, encoder, "irds", split, **changes)
                    for encoder in choices
                )
                yield Cell(row, f"{name} {heading}", runs)


SPEC = TableSpec(
    id="irds",
    title="IRDS, nine rehabilitation gestures, joint stream",
    labels=("Encoder",),
    data=tuple(("irds", split) for split in SPLITS),
    cells=cells,
    notes=(
        "Raw coordinates: 1-NN under KNN, logistic regression under Linear, on the prepared skeletons.",
        "KNN: k = 20 on the backbone's pooled feature, so that an untrained encoder competes on equal terms.",
        "Supervised: the same encoder trained with labels, then judged by the same two protocols.",
        "stand → seated: trained on standing, tested on seated recordings, correct executions only.",
    ),
)
