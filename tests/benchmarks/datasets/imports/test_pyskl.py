"""Pickles of pyskl: what is in those that hold nothing to read, and names that are paths."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.datasets.imports import pyskl

NAME = "S001C001P001R001A001"


def put(path: Path, *annotations: dict[str, Any]) -> Path:
    path.write_bytes(pickle.dumps({"split": {}, "annotations": list(annotations)}))
    return path


def test_a_pickle_of_2d_poses_says_what_it_holds(tmp_path: Path) -> None:
    flat = {"frame_dir": NAME, "label": 0, "img_shape": (1080, 1920), "keypoint": np.zeros((1, 5, 17, 2))}
    path = put(tmp_path / "ntu60_hrnet.pkl", flat, flat)
    message = (
        r"holds no recording of ntu60: 2 cannot be used, the first: annotation 0: holds 2D poses .*ntu60_3danno.pkl"
    )
    with pytest.raises(ValueError, match=message):
        pyskl.source(path, "ntu60")
    later = {"frame_dir": "S018C001P008R001A061", "label": 60, "keypoint": np.zeros((1, 5, 25, 3))}
    put(path, flat, later)
    with pytest.raises(
        ValueError, match=r"1 annotations belong to NTU RGB\+D 120 and not to 60; 1 cannot be used, the"
    ):
        pyskl.source(path, "ntu60")
    put(path)
    with pytest.raises(ValueError, match="holds no recording of ntu60: no annotation"):
        pyskl.source(path, "ntu60")


@pytest.mark.parametrize("key", ["filename", "frame_dir"])
def test_a_name_may_be_a_path(tmp_path: Path, key: str) -> None:
    annotation = {key: f"/data/nturgb+d_skeletons/{NAME}.skeleton", "label": 0, "keypoint": np.ones((1, 5, 25, 3))}
    source = pyskl.source(put(tmp_path / "ntu60_3d.pkl", annotation), "ntu60")
    assert [clip.row["name"] for clip in source.clips] == [NAME]
    assert not source.refused


def test_only_frames_of_the_first_actor_are_kept(tmp_path: Path) -> None:
    """He comes late here; a count of his frames would cut the end of what he does."""
    keypoint = np.random.default_rng(0).normal(size=(2, 9, 25, 3))
    keypoint[0, :4] = 0.0
    x = pyskl.load(0, [{"keypoint": keypoint}]).x
    assert x.shape == (3, 5, 25, 2)
    np.testing.assert_array_equal(x[..., 0], keypoint[0, 4:].transpose(2, 0, 1))
