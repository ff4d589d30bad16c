"""Preprocessing reproduces the released arrays, and refuses what it cannot process."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.datasets import preprocess as steps


@pytest.fixture
def clip() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 30, 25, 2))


@pytest.mark.parametrize("frames", [50, 64])
@pytest.mark.parametrize("sample", [0, 1, 2])
def test_golden(golden, frames: int, sample: int) -> None:
    arrays = golden("preprocess")
    raw = arrays[f"raw{sample}"]
    assert steps.valid_length(raw) == arrays["raw_lengths"][sample]
    before = steps.resize(steps.centre(raw.astype(np.float64)), frames)
    np.testing.assert_allclose(before, arrays[f"pos{frames}_norot_{sample}"], atol=1e-5)
    result = steps.preprocess(raw, frames)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, arrays[f"pos{frames}_{sample}"], atol=1e-5)


@pytest.mark.parametrize(("length", "frames"), [(30, 64), (30, 7), (1, 4), (30, 30)])
def test_resize_is_half_pixel_interpolation(clip: np.ndarray, length: int, frames: int) -> None:
    x = clip[:, :length]
    flat = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 2, 3, 1)).reshape(1, -1, length))
    expected = torch.nn.functional.interpolate(flat, size=frames, mode="linear", align_corners=False)
    result = steps.resize(x, frames).transpose(0, 2, 3, 1).reshape(1, -1, frames)
    np.testing.assert_allclose(result, expected.numpy(), atol=1e-12)


def test_facing_the_camera_puts_the_shoulders_along_x(clip: np.ndarray) -> None:
    still = np.repeat(clip[:, :1], 5, axis=1)  # one pose, so that the one sign per clip is right everywhere
    turned = steps.face_camera(still)
    line = turned[:, :, 8] - turned[:, :, 4]
    width = np.hypot(line[0], line[2])
    assert (line[0] > 0.99 * width).all()
    np.testing.assert_allclose(np.linalg.norm(turned, axis=0), np.linalg.norm(still, axis=0))
    np.testing.assert_array_equal(turned[1], still[1])


def test_absent_person_stays_zero_and_input_is_untouched(clip: np.ndarray) -> None:
    clip[..., 1] = 0
    before = clip.copy()
    result = steps.preprocess(clip, 16)
    assert not result[..., 1].any()
    assert result[..., 0].any()
    np.testing.assert_array_equal(clip, before)


def test_length_is_a_count(clip: np.ndarray) -> None:
    clip[:, 10:13, :, 0] = 0  # a gap of three frames cuts three frames from the tail, not from the middle
    assert steps.valid_length(clip) == 27
    expected = steps.face_camera(steps.resize(steps.centre(clip[:, :27]), 8))
    np.testing.assert_allclose(steps.preprocess(clip, 8), expected, atol=1e-5)


def test_refusals_name_the_clip(clip: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"S001.*no valid frame"):
        steps.preprocess(np.zeros((3, 9, 25, 2)), 8, "S001")
    with pytest.raises(ValueError, match=r"S002.*\(3, 30, 20, 2\)"):
        steps.preprocess(clip[:, :, :20], 8, "S002")
    clip[0, 3, 2, 0] = np.nan
    with pytest.raises(ValueError, match=r"S003.*not finite"):
        steps.preprocess(clip, 8, "S003")
    with pytest.raises(ValueError, match="to 0"):
        steps.resize(clip, 0)
