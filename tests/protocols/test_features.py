"""Feature extraction and BatchNorm calibration: nothing leaks, nothing is left changed."""

from __future__ import annotations

import torch

from protocols.features import calibrate, extract
from tests.protocols.small import method, splits

CPU = torch.device("cpu")


def test_features_do_not_depend_on_the_batch_size() -> None:
    encoder, data = method("skeletonclr").encoder(), splits()
    small, labels = extract(encoder, data.train, "bone", CPU, batch=5)
    large, _ = extract(encoder, data.train, "bone", CPU, batch=100)
    torch.testing.assert_close(small, large)
    assert labels.tolist() == data.train.y[data.train.rows].tolist()


def test_streams_differ() -> None:
    encoder, data = method("skeletonclr").encoder(), splits()
    joint, bone, motion = (extract(encoder, data.test, s, CPU)[0] for s in ("joint", "bone", "motion"))
    assert not torch.allclose(joint, bone)
    assert not torch.allclose(bone, motion)


def test_calibration_measures_the_data_and_touches_no_weight() -> None:
    encoder, data = method("skeletonclr", dropout=0.0).encoder().eval(), splits()
    before = {name: value.clone() for name, value in encoder.named_parameters()}
    calibrate(encoder, data.train, "joint", CPU, batch=len(data.train.rows))
    assert all(torch.equal(before[name], value) for name, value in encoder.named_parameters())
    norm = encoder.get_submodule("backbone.data_norm")
    assert isinstance(norm, torch.nn.BatchNorm1d)
    x = torch.from_numpy(data.train.x[data.train.rows])
    channels = x[..., 0].permute(3, 1, 0, 2).reshape(75, -1)  # v * 3 + c, as data_norm sees them
    torch.testing.assert_close(norm.running_mean, channels.mean(dim=1))
    torch.testing.assert_close(norm.running_var, channels.var(dim=1), rtol=1e-4, atol=1e-6)
    assert norm.momentum == 0.1
    assert not norm.training, "evaluation mode is restored"
