"""Table 18: transfer. SkeAttnCLR pretrained on NTU-60, judged on PKU-MMD I and II, joint stream."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.tables.base import Cell, TableSpec

PROTOCOLS = {"Linear": "linear", "Finetune": "finetune"}
TARGETS = {"PKU I": "pku1", "PKU II": "pku2"}
ROWS = {"Ours": "skeattnclr", "SkeletonCLR": "skeletonclr"}


def cells(settings: Settings) -> Iterator[Cell]:
    """The paper's row, and SkeletonCLR as a baseline that it does not have: its pretrainings are those of Table 1."""
    for row, method in ROWS.items():
        for heading, protocol in PROTOCOLS.items():
            for target, data in TARGETS.items():
                for split in ("xsub", "xview"):  # of both data sets
                    trained = recipes.pretrainings(settings, method, "ntu60", split, "joint")
                    runs = recipes.judged(settings, protocol, trained, data, split)
                    yield Cell(row, f"{heading} {target} {split}", runs)


SPEC = TableSpec(
    id="18",
    title="Transfer from NTU-60 to PKU-MMD, joint stream",
    labels=("Method",),
    data=(("ntu60", "xsub"), ("ntu60", "xview"), *((data, s) for data in TARGETS.values() for s in ("xsub", "xview"))),
    make=cells,
    against=("SkeletonCLR",),
    notes=(
        "Pretrained on NTU-60 cross-subject for PKU-MMD cross-subject, cross-view for cross-view; the classifier has "
        "the 51 classes of PKU-MMD.",
        "SkeletonCLR is a baseline that the paper does not have.",
    ),
)
