"""IRDS, the real data set that needs no registration: controls and methods under KNN and linear evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import methods
from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.runs import Raw
from benchmarks.tables.base import Cell, TableSpec
from protocols.sgd import SGD

SPLITS = {"xsub": "cross-subject", "stand-seated": "stand → seated", "xsub18": "18-way"}
TRAINED_ON = {"xsub18": "xsub"}  # the same recordings: without labels, training cannot tell the two apart
COLUMNS: dict[str, tuple[str, dict[str, Any]]] = {
    "KNN": ("knn", {"features": "backbone"}),
    "Linear": ("linear", {}),
    "Linear, standardised": (
        "linear",
        {"standardise": True, "sgd": SGD(lr=0.1, milestones=(60,), weight_decay=0.0)},
    ),
}
TUNING = {"Finetune": "finetune", "Semi 10 %": "semi"}
TUNED = ("xsub",)  # an hour on two cores; the other splits would take as long again
CALIBRATED = "Random, BN calibrated"
CONTROLS = {"Random initialisation": False, CALIBRATED: True}
METHODS = {
    "SkeletonCLR": "skeletonclr",
    "CrosSCLR": "crossclr",
    "AimCLR": "aimclr",
    "HiCLR": "hiclr",
    "SkeleMixCLR": "skelemixclr",
    "SkeAttnCLR": "skeattnclr",
    "Supervised": "supervised",
}


def cells(settings: Settings) -> Iterator[Cell]:
    """Rows raw coordinates, random encoders, and one per method; joint stream."""
    for split, heading in SPLITS.items():
        raw = recipes.evaluation(settings, "raw", Raw("joint"), "irds", split)
        yield Cell("Raw coordinates", f"KNN {heading}", (raw,), "nearest")
        yield Cell("Raw coordinates", f"Linear {heading}", (raw,), "logistic")
        encoders = {
            row: recipes.controls(settings, "skeletonclr", "irds", "joint", calibrate)
            for row, calibrate in CONTROLS.items()
        } | {
            row: recipes.pretrainings(settings, method, "irds", _trained_on(method, split), "joint")
            for row, method in METHODS.items()
        }
        for row, choices in encoders.items():
            for name, (protocol, changes) in COLUMNS.items():
                runs = recipes.judged(settings, protocol, choices, "irds", split, **changes)
                yield Cell(row, f"{name} {heading}", runs)
            if split not in TUNED or row == CALIBRATED:
                continue  # BatchNorm follows the batches from the first one on: calibration has no part in it
            for name, protocol in TUNING.items():
                yield Cell(row, f"{name} {heading}", recipes.judged(settings, protocol, choices, "irds", split))


def _trained_on(method: str, split: str) -> str:
    return split if methods.METHODS[method].NEEDS_LABELS else TRAINED_ON.get(split, split)


SPEC = TableSpec(
    id="irds",
    title="IRDS, nine rehabilitation gestures, joint stream",
    labels=("Encoder",),
    data=tuple(("irds", split) for split in SPLITS),
    make=cells,
    against=("SkeletonCLR", "Random, BN calibrated", "Random initialisation"),  # a method, and what no training gives
    notes=(
        "Raw coordinates: 1-NN under KNN, logistic regression under Linear, on the prepared skeletons.",
        "KNN: k = 20 on the backbone's pooled feature, so that an untrained encoder competes on equal terms.",
        "Linear is the paper's protocol: learning rate 3 on features as they are, which rewards encoders whose "
        "features are large. Standardised: learning rate 0.1 on features of mean 0 and deviation 1.",
        "Random initialisation: BatchNorm is still the identity. BN calibrated: its statistics are measured on the "
        "training skeletons, as they are in every trained encoder; no weight is changed.",
        "Supervised: the same encoder trained with labels, then judged by the same protocols.",
        "stand → seated: trained on standing, tested on seated recordings, correct executions only.",
        "Finetune trains the whole encoder with all labels, Semi 10 % with a tenth of them. Random initialisation is "
        "supervised training by the same protocol there.",
        "18-way: gesture and whether it was done correctly, cross-subject; the encoders are those of cross-subject.",
    ),
)
