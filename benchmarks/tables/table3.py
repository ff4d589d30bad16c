"""Table 3: linear evaluation of all methods on one backbone, joint stream and fusion of three, four data columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import methods
from benchmarks import recipes
from benchmarks.recipes import Settings
from benchmarks.runs import Pretrain, Untrained
from benchmarks.tables.base import Cell, Skip, TableSpec
from benchmarks.tables.fusion import ALTERNATIVE, NOTES, STREAMS, fusions

COLUMNS = {
    "NTU-60 xsub": ("ntu60", "xsub"),
    "NTU-60 xview": ("ntu60", "xview"),
    "NTU-120 xsub": ("ntu120", "xsub"),
    "NTU-120 xset": ("ntu120", "xset"),
}
METHODS = {
    "SkeletonCLR": "skeletonclr",
    "CrossCLR": "crossclr",
    "AimCLR": "aimclr",
    "HiCLR": "hiclr",
    "SkeleMixCLR": "skelemixclr",
    "Ours": "skeattnclr",
}
JOINED = {  # whoever joins methods.METHODS, under its own name
    name: name for name, kind in methods.METHODS.items() if name not in METHODS.values() and not kind.NEEDS_LABELS
}
METHODS |= JOINED
FUSED = ("SkeletonCLR", "AimCLR", "HiCLR", "SkeleMixCLR", "Ours")
RANDOM, SUPERVISED = "Random", "Supervised"  # controls: what no training gives, and what labels give


def strangers(settings: Settings) -> dict[str, Skip]:
    """Rows of methods that have joined and that the recipe has nothing for, with the reason."""
    reasons = {row: recipes.lacking(settings.recipe, method) for row, method in METHODS.items()}
    return {row: Skip(reason) for row, reason in reasons.items() if reason}


def encoders(settings: Settings, row: str, data: str, split: str, stream: str) -> Sequence[Pretrain | Untrained]:
    """What a row evaluates, one per seed: pretrained encoders, or for a control random ones."""
    if row == RANDOM:
        return recipes.controls(settings, "skeletonclr", data, stream, calibrate=True)
    method = "supervised" if row == SUPERVISED else METHODS[row]
    return recipes.pretrainings(settings, method, data, split, stream)


def cells(settings: Settings) -> Iterator[Cell]:
    """Rows <method>/J, then <method>/3S; also where the paper has no number, as the runs are there."""
    skips = strangers(settings)
    for row, skip in skips.items():
        yield from (Cell(f"{row}/J", column, skip) for column in COLUMNS)
    linear = {
        (row, column): {
            stream: recipes.judged(settings, "linear", encoders(settings, row, data, split, stream), data, split)
            for stream in (STREAMS if row in FUSED else STREAMS[:1])
        }
        for row in (*METHODS, RANDOM, SUPERVISED)
        if row not in skips
        for column, (data, split) in COLUMNS.items()
    }
    for (row, column), streams in linear.items():
        yield Cell(f"{row}/J", column, streams["joint"])
    for (row, column), streams in linear.items():
        if row in FUSED:
            rows = f"{row}/3S", f"{row}/3S, {ALTERNATIVE}"
            yield from fusions(rows, column, METHODS[row], COLUMNS[column][1], streams)


SPEC = TableSpec(
    id="3",
    title="Linear evaluation of all methods, same backbone",
    labels=("Method", "Stream"),
    data=tuple(COLUMNS.values()),
    make=cells,
    against=("SkeletonCLR",),
    notes=(
        "Under recipe paper all methods have one backbone, number of frames, batch and schedule; temperature, momentum "
        "and augmentation are each method's own. Under recipe official every method is as released.",
        "CrossCLR: joint, motion and bone are trained together; the joint encoder is measured. Recipe paper gives each "
        "stream its own head and moves all momentum encoders to the end; recipe official does as the release does.",
        "SkeleMixCLR: recipe paper mixes once per step; recipe official three times, which is SkeleMixCLR+.",
        "Random and Supervised are controls that the paper does not have: no training (but BatchNorm statistics of the "
        "training skeletons, as trained encoders have them), and training with labels.",
        *NOTES,
    ),
)
