"""Importer of the arrays that the code of CrosSCLR, AimCLR and their relatives writes: `{train,val}_position.npy`.

Why: "NTU60_frame50" is what many people downloaded. Data set specification, section 2.6. The clips are finished:
centred, resampled and turned by whoever made them, so the number of frames is what it is.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.datasets import rules
from benchmarks.datasets.imports import unpickle
from benchmarks.datasets.raw import ntu_names
from benchmarks.datasets.source import BadClip, Clip, Loaded, Source

FILES = "train_position.npy, train_label.pkl, val_position.npy and val_label.pkl"
SIDES = {"train": "train", "val": "test"}
# How the PKU-MMD scripts of this family name a clip, part I and part II: file or actor, view, class, label line.
_PKU = {
    "pku1": re.compile(r"F(\d+)V(\d+)C(\d+)L(\d+)", re.IGNORECASE),
    "pku2": re.compile(r"A(\d+)N(\d+)V(\d+)C(\d+)L(\d+)", re.IGNORECASE),
}


class Row(NamedTuple):
    """Where one clip is."""

    array: str
    number: int


def parts(folder: Path) -> list[Path]:
    """The folders at or below `folder` that hold the arrays: itself, or one per split (xsub, xview, ...)."""
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return [place for place in places if (place / "train_position.npy").is_file()]


def source(folders: list[Path], dataset: str, frames: int) -> Source:
    """Both sides of one split, which together are the data set, sorted by name.

    Raises ValueError for a missing file, arrays of another shape or number of frames, and labels that do not fit.
    """
    folder = folders[0]
    clips: list[Clip] = []
    digest = hashlib.sha256()
    for side in SIDES:
        array, labels = folder / f"{side}_position.npy", folder / f"{side}_label.pkl"
        for path in (array, labels):
            if not path.is_file():
                raise ValueError(f"{path} is missing; the four files {FILES} belong together")
            status = path.stat()
            digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
        clips += _side(array, labels, dataset, folder.name, frames, side)
    notes = [f"only {folder.name} is read: every split folder holds the whole data set"] if len(folders) > 1 else []
    return Source(
        kind="CrosSCLR arrays",
        clips=sorted(clips, key=lambda clip: clip.row["name"]),
        load=load,
        fingerprint=digest.hexdigest(),
        options={"folder": folder.name},
        notes=notes,
        finished=True,
    )


def _side(array: Path, labels: Path, dataset: str, split: str, frames: int, side: str) -> list[Clip]:
    x = _opened(str(array))
    if x.ndim != 5 or x.shape[1] != 3 or x.shape[3:] != (25, 2):
        raise ValueError(f"{array} has shape {x.shape}, expected (N, 3, T, 25, 2)")
    if x.shape[2] != frames:
        raise ValueError(
            f"{array} has {x.shape[2]} frames and cannot be resampled to {frames}: prepare it with --frames "
            f"{x.shape[2]} (recipe official uses 50 for most methods), or start from raw files"
        )
    found = unpickle.load(labels)
    if not isinstance(found, list | tuple) or len(found) != 2 or len(found[0]) != len(found[1]):
        raise ValueError(f"{labels} is not a pair of lists, names and labels")
    if len(found[0]) != len(x):
        raise ValueError(f"{labels} has {len(found[0])} names, {array} has {len(x)} clips")
    return [
        Clip(_row(str(name), label, dataset, split, side, labels), Row(str(array), i), str(name))
        for i, (name, label) in enumerate(zip(*found, strict=True))
    ]


def _row(name: str, label: Any, dataset: str, split: str, side: str, labels: Path) -> dict[str, Any]:
    stem = name.removesuffix(".skeleton")
    if dataset in ("ntu60", "ntu120"):
        row = ntu_names.parse(stem)
        if row["label"] != label:
            raise ValueError(f"{labels}: {name} has label {label}, its name says {row['label']}")
        return row
    match = _PKU[dataset].fullmatch(stem) if dataset in _PKU else None
    if match is None:
        raise ValueError(f"{labels}: {name!r} is not a clip of {dataset}")
    subject = int(match[2]) if dataset == "pku2" else rules.UNTOLD
    video = int(match[1]) if dataset == "pku1" else f"A{int(match[1]):02}N{int(match[2]):02}"
    # V numbers the camera, but which number is which camera is not written down: no column `camera`; the side is taken
    # from the file.
    row = {"name": stem, "label": int(label), "subject": subject, "video": video}
    return row | ({split: SIDES[side]} if split in ("xsub", "xview") else {})


@lru_cache(maxsize=4)
def _opened(path: str) -> np.ndarray:
    """An array that is read as it is asked for, opened once per process."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:  # a damaged header raises nearly everything
        raise ValueError(f"{path} is not a readable array, or is cut ({error}); fetch it again") from error


def load(place: Row) -> Loaded:
    """One finished clip, (3, T, 25, 2). Raises BadClip."""
    x = np.array(_opened(place.array)[place.number], np.float32)
    if not x[..., 0].any():
        raise BadClip("the first person is never seen: all coordinates are 0")
    return Loaded(x)
