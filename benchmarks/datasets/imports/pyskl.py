"""Importer of the pickles of pyskl and mmaction2: `ntu60_3danno.pkl`, `ntu120_3danno.pkl` (also `ntu60_3d.pkl`).

Why: the most common prepared form of NTU RGB+D. Data set specification, section 4.1. What differs from reading the
raw files: coordinates are float16 (steps of 2 mm at 2 to 4 m), bodies were chosen by motion, frames without bodies
are gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.datasets import rules
from benchmarks.datasets.imports import unpickle
from benchmarks.datasets.preprocess import only_first
from benchmarks.datasets.raw import ntu_names
from benchmarks.datasets.raw.ntu_text import JOINTS
from benchmarks.datasets.source import BadClip, Clip, Loaded, Source

PERSONS = 2
# Names of the lists in the pickle -> the rule that they should follow, by data set.
_LISTS = {
    "ntu60": {"xsub": rules.NTU60_XSUB, "xview": rules.NTU60_XVIEW},
    "ntu120": {"xsub": rules.NTU120_XSUB, "xset": rules.NTU120_XSET},
}


def source(path: Path, dataset: str) -> Source:
    """Every annotation of "ntu60" or "ntu120", sorted by name.

    A pickle cannot be read in pieces: memory is about the size of the file, some 1.6 GB for NTU RGB+D 120.
    Raises ValueError for another kind of pickle, with what it holds.
    """
    if dataset not in _LISTS:
        raise ValueError(f"{path}: pyskl pickles are read for {' and '.join(_LISTS)}, not for {dataset}")
    found = unpickle.load(path)
    if not isinstance(found, dict) or not isinstance(found.get("annotations"), list):
        holds = f"a dict with {list(found)[:5]}" if isinstance(found, dict) else f"a {type(found).__name__}"
        raise ValueError(f"{path} holds {holds}, expected pyskl's dict with 'split' and 'annotations'")
    missing = ntu_names.missing()
    passed: Counter[str] = Counter()
    refused: list[str] = []
    clips: dict[str, Clip] = {}
    for position, annotation in enumerate(found["annotations"]):
        where = f"annotation {position}"
        if annotation is None:
            passed["annotations are empty (None)"] += 1
            continue
        try:
            row = ntu_names.parse(_name(annotation))
        except ValueError as error:
            refused.append(f"{where}: {error}")
            continue
        name = row["name"]
        if not ntu_names.belongs(name, dataset):
            passed["annotations belong to NTU RGB+D 120 and not to 60"] += 1
        elif name in missing:
            passed["annotations on the list of missing skeletons are passed over"] += 1
        elif name in clips:
            refused.append(f"{where}: {name} occurs a second time")
        else:
            if annotation.get("label") != row["label"]:
                passed["labels differ from the action in the name, which is used"] += 1
            clips[name] = Clip(row, position, name)
    if not clips:
        reasons = [f"{count} {what}" for what, count in passed.items()]
        reasons += [f"{len(refused)} cannot be used, the first: {refused[0]}"] if refused else []
        raise ValueError(f"{path} holds no recording of {dataset}: {'; '.join(reasons) or 'no annotation'}")
    for name, count in _against_the_rules(found.get("split"), dataset, [dict(c.row) for c in clips.values()]).items():
        passed[name] = count
    status = path.stat()
    return Source(
        kind="pyskl pickle",
        clips=[clips[name] for name in sorted(clips)],
        load=partial(load, annotations=found["annotations"]),
        fingerprint=f"{path.name} {status.st_size} {status.st_mtime_ns}",
        notes=[f"{count} {what}" for what, count in passed.items()],
        refused=refused,
        parallel=False,
    )


def _name(annotation: Any) -> str:
    if not isinstance(annotation, dict):
        raise ValueError(f"is a {type(annotation).__name__}, expected a dict")
    if "keypoint_score" in annotation or "img_shape" in annotation:
        raise ValueError("holds 2D poses (keypoint_score, img_shape); the harness needs the 3D file, ntu60_3danno.pkl")
    return PurePosixPath(str(annotation.get("frame_dir") or annotation.get("filename") or "without a name")).name


def _against_the_rules(split: Any, dataset: str, rows: list[dict[str, Any]]) -> Mapping[str, int]:
    """How many recordings the lists in the pickle put on another side than the official rule does."""
    meta = pd.DataFrame(rows)
    differ = {}
    for name, cut in _LISTS[dataset].items():
        listed = split.get(f"{name}_train") if isinstance(split, dict) else None
        if isinstance(listed, list):
            stems = {str(word).removesuffix(".skeleton") for word in listed}
            count = int((cut(meta)[0] != meta["name"].isin(list(stems)).to_numpy()).sum())
            if count:
                differ[f"recordings are on another side of {name} in the pickle; the official rule is used"] = count
    return differ


def load(position: int, annotations: list[Any]) -> Loaded:
    """One annotation, (3, T, 25, 2) metres: the frames with the first actor, as `bodies.by_motion`. Raises BadClip."""
    annotation = annotations[position]
    keypoint = annotation.get("keypoint")
    shape = getattr(keypoint, "shape", None)
    if not isinstance(keypoint, np.ndarray) or keypoint.ndim != 4 or keypoint.shape[2:] != (JOINTS, 3):
        raise BadClip(f"keypoint of shape {shape}, expected (persons, frames, {JOINTS}, 3)")
    if annotation.get("total_frames", keypoint.shape[1]) != keypoint.shape[1]:
        raise BadClip(f"total_frames is {annotation['total_frames']}, the keypoints have {keypoint.shape[1]} frames")
    if not 1 <= keypoint.shape[0] <= PERSONS:
        raise BadClip(f"{keypoint.shape[0]} persons, expected 1 or {PERSONS}")
    x = np.zeros((3, keypoint.shape[1], JOINTS, PERSONS))
    x[..., : keypoint.shape[0]] = keypoint.transpose(3, 1, 2, 0)
    return Loaded(only_first(x))
