"""Feature extraction and BatchNorm calibration: nothing leaks, nothing is left changed, nothing is done twice."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np
import pytest
import torch

from backbones import STGCN
from backbones.base import Features
from methods import Encoder
from protocols import Context, Splits, derive, embed, features, knn, linear
from protocols.features import calibrate, extract, extract_once, represent
from protocols.sgd import SGD
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


def test_calibration_takes_whole_batches_in_a_random_order() -> None:
    """Rows of a file that lie side by side are alike, and a last batch of few rows must not count as a whole one."""
    encoder, data = method("skeletonclr", dropout=0.0).encoder(), splits(10)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(derive(0, "calibrate")))
    assert order.tolist() != list(range(10))
    calibrate(encoder, data.train, "joint", CPU, batch=4)
    norm = encoder.get_submodule("backbone.data_norm")
    assert isinstance(norm, torch.nn.BatchNorm1d)
    batches = torch.from_numpy(data.train.x[data.train.rows])[order[:8]].split(4)
    channels = [x[..., 0].permute(3, 1, 0, 2).reshape(75, -1) for x in batches]
    torch.testing.assert_close(norm.running_mean, torch.stack([c.mean(dim=1) for c in channels]).mean(dim=0))
    torch.testing.assert_close(norm.running_var, torch.stack([c.var(dim=1) for c in channels]).mean(dim=0))


def test_calibration_drops_nothing_out_and_gives_every_mode_back() -> None:
    data, drawn = splits(), method("skeletonclr", dropout=0.5).encoder().train()
    plain = method("skeletonclr", dropout=0.0).encoder()
    for encoder in (drawn, plain):
        calibrate(encoder, data.train, "joint", CPU)
    for name, value in plain.named_buffers():
        assert torch.equal(drawn.get_buffer(name), value), name
    assert all(part.training for part in drawn.modules())

    def broken(x: torch.Tensor) -> Features:
        raise RuntimeError("broken")

    norm = drawn.get_submodule("backbone.data_norm")
    drawn.backbone.forward = broken
    with pytest.raises(RuntimeError, match="broken"):
        calibrate(drawn, data.train, "joint", CPU)
    assert all(part.training for part in drawn.modules())
    assert norm.momentum == 0.1


def frozen(n: int = 24) -> Splits:
    """splits() of an array that cannot be written to, as the catalogue's."""
    data = splits(n)
    data.train.x.setflags(write=False)
    return data


@pytest.fixture
def extracted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows every extraction from now on had."""
    counts: list[int] = []
    plain = features.extract

    def counting(encoder: Encoder, split, *rest):
        counts.append(len(split.rows))
        return plain(encoder, split, *rest)

    monkeypatch.setattr(features, "extract", counting)
    monkeypatch.setattr(features, "_remembered", [])
    return counts


def test_one_extraction_serves_all_evaluations_of_an_encoder(extracted: list[int]) -> None:
    encoder, data, context = method("skeletonclr").encoder().eval(), frozen(), Context()
    classifier = linear.Config(sgd=SGD(lr=0.5, milestones=()), epochs=2, batch=8)
    knn.evaluate(encoder, data, "joint", knn.Config(ks=(3,), k=3), context)  # the monitor of a pretraining
    again = copy.deepcopy(encoder)  # as an evaluation reads it from its file
    for standardise in (False, True):
        config = linear.Config(classifier.sgd, epochs=2, batch=8, standardise=standardise)
        linear.run(again, data, "joint", 0, config, context)
    knn.run(again, data, "joint", 0, knn.Config(ks=(3,), k=3, features="backbone"), context)
    embed.run(again, data, "joint", 0, embed.Config(share=0.5, iterations=250), context)
    assert extracted == [24, 24], "the training and the test side, once each"


def test_what_is_remembered_is_what_was_extracted(extracted: list[int]) -> None:
    encoder, data = method("skeletonclr").encoder(), frozen()
    first, labels = extract_once(encoder, data.test, "bone", CPU)
    again, _ = extract_once(encoder, data.test, "bone", CPU)
    assert torch.equal(first, extract(encoder, data.test, "bone", CPU)[0])
    assert torch.equal(first, again)
    relabelled = data.test._replace(y=(data.test.y + 1) % 3)
    assert torch.equal(extract_once(encoder, relabelled, "bone", CPU)[1], (labels + 1) % 3)
    assert len(extracted) == 1


def test_another_weight_setting_stream_row_or_array_is_extracted_anew(extracted: list[int]) -> None:
    encoder, data = method("skeletonclr").encoder(), frozen()
    norm = encoder.get_submodule("backbone.data_norm")
    assert isinstance(norm, torch.nn.BatchNorm1d)
    assert norm.running_var is not None
    backbone = encoder.backbone
    assert isinstance(backbone, STGCN)

    def misses(split=data.test, stream: str = "joint") -> bool:
        before = len(extracted)
        found, _ = extract_once(encoder, split, stream, CPU)
        assert torch.equal(found, extract(encoder, split, stream, CPU)[0])
        return len(extracted) > before

    assert misses()
    with torch.no_grad():  # in place, as training changes it
        next(backbone.blocks[9].parameters()).view(-1)[0] += 1e-6
    assert misses()
    norm.running_var[3] += 1e-6
    assert misses()
    backbone.get_buffer("adjacency")[0, 0, 0] += 1e-6  # in no state_dict, and yet the features depend on it
    assert misses()
    norm.eps = 1e-4
    assert misses()
    backbone._compiled_call_impl = backbone._call_impl  # as backbone.compile(), without a compiler
    assert misses()
    assert misses(split=frozen().test)
    assert misses(stream="motion")
    assert misses(split=data.test._replace(rows=data.test.rows[:-1]))
    encoder.head = torch.nn.Identity()  # comes after the pooled features
    encoder.eval()  # how it is extracted anyway
    assert not misses(split=data.test._replace(rows=data.test.rows[:-1]))


def test_an_array_that_can_be_written_to_is_not_remembered(extracted: list[int]) -> None:
    encoder, data = method("skeletonclr").encoder(), splits()
    before, _ = extract_once(encoder, data.train, "joint", CPU)
    data.train.x[0] += 1.0
    after, _ = extract_once(encoder, data.train, "joint", CPU)
    assert not torch.equal(before[0], after[0])


def test_only_the_last_encoder_is_remembered_and_no_data_set_is_kept_alive(extracted: list[int]) -> None:
    data = frozen()
    encoders = [method("skeletonclr", seed).encoder() for seed in range(3)]
    for encoder in encoders:
        extract_once(encoder, data.train, "joint", CPU)
        extract_once(encoder, data.test, "joint", CPU)
    assert len(features._remembered) == features.KEPT
    extract_once(encoders[2], data.train, "joint", CPU)
    assert len(extracted) == 6
    extract_once(encoders[1], data.test, "joint", CPU)
    assert len(extracted) == 7
    alive = weakref.ref(data.train.x)
    del data
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_features_that_are_not_finite_are_an_error(value: float) -> None:
    """Also those whose length is not: scaled to length 1 they would be zeros, and KNN would find neighbours."""
    data, encoder = splits(), method("skeletonclr").encoder()
    encoder.backbone.forward = lambda x: Features(x, x.new_full((len(x), 16), value))  # type: ignore[method-assign]  a stand-in
    with pytest.raises(FloatingPointError, match=r"24 of 24 clips are not finite.*lower learning rate"):
        represent(encoder, data.test, "joint", "backbone", CPU)


def test_an_embedding_that_is_not_finite_is_an_error() -> None:
    data, encoder = splits(), method("skeletonclr").encoder()
    next(encoder.head.parameters()).data.fill_(np.nan)
    represent(encoder, data.test, "joint", "backbone", CPU)
    with pytest.raises(FloatingPointError, match="the features of 24 of 24 clips are not finite"):
        represent(encoder, data.test, "joint", "embedding", CPU)
