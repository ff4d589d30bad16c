"""Writes clips in the formats in circulation, as the programs that made those do."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets import rules
from benchmarks.datasets.preprocess import preprocess
from benchmarks.datasets.raw import ntu_names

Clips = Mapping[str, np.ndarray]  # name -> (3, T, 25, 2) metres


def pyskl(path: Path, clips: Clips, **more: object) -> Path:
    """float16 keypoints (M, T, 25, 3), M of 1 for a single person, and one None, as pyskl's preparer can leave."""
    annotations: list[object] = [None]
    for name, x in clips.items():
        persons = 2 if x[..., 1].any() else 1
        keypoint = x[..., :persons].transpose(3, 1, 2, 0).astype(np.float16)
        label = ntu_names.parse(name)["label"]
        annotations.append({"frame_dir": name, "label": label, "keypoint": keypoint, "total_frames": x.shape[1]})
    training = [name for name in clips if ntu_names.parse(name)["subject"] in rules.NTU60_TRAIN]
    split = {"xsub_train": training, "xsub_val": [name for name in clips if name not in training]}
    path.write_bytes(pickle.dumps({"split": split, "annotations": annotations, **more}, protocol=4))
    return path


def crossclr(folder: Path, clips: Clips, frames: int, training: set[str]) -> Path:
    """Four files with finished clips; names in the pickle end in .skeleton."""
    folder.mkdir(parents=True)
    for side in ("train", "val"):
        names = sorted(name for name in clips if (name in training) == (side == "train"))
        np.save(folder / f"{side}_position.npy", np.stack([preprocess(clips[name], frames) for name in names]))
        labels = [ntu_names.parse(name)["label"] for name in names]
        (folder / f"{side}_label.pkl").write_bytes(
            pickle.dumps(([f"{name}.skeleton" for name in names], labels), protocol=2)
        )
    return folder


def ctrgcn(
    path: Path, clips: Clips, order: Mapping[str, list[str]], copied: bool, classes: int, compressed: bool = False
) -> Path:
    """x (N, 300, 150), centred once per clip and padded with zeros, y one-hot; `order` gives names per side.

    copied: a single person stands in both places, as in the NTU-120 files.
    """
    arrays = {}
    for side, names in order.items():
        x = np.zeros((len(names), 300, 150), np.float32)
        y = np.zeros((len(names), classes))
        for i, name in enumerate(names):
            clip = clips[name]
            origin = clip[:, :1, 1:2, :1]
            present = np.abs(clip).sum(axis=(0, 2), keepdims=True) > 0
            moved = np.where(present, clip - origin, 0.0)
            if copied and not clip[..., 1].any():
                moved[..., 1] = moved[..., 0]
            x[i, : clip.shape[1]] = moved.transpose(1, 3, 2, 0).reshape(clip.shape[1], 150)
            y[i, ntu_names.parse(name)["label"]] = 1.0
        arrays |= {f"x_{side}": x, f"y_{side}": y}
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path
