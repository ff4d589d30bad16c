"""Semi-supervised protocol: the released draw, exact counts per class, and who gets no label at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import Context, finetune, semi
from protocols.sgd import SGD
from tests.protocols.small import splits
from tests.protocols.test_finetune import calibrated

CONFIG = semi.Config(
    share=0.25,
    finetune=finetune.Config(
        sgd=SGD(lr=0.002, milestones=(), weight_decay=0.0), epochs=4, batch=8, every=2, batchnorm="frozen"
    ),
)


@pytest.mark.parametrize("share", [0.01, 0.1])
@pytest.mark.parametrize("seed", [0, 2])
def test_the_released_draw(golden, share, seed) -> None:
    arrays = golden("semi_subset")
    np.testing.assert_array_equal(semi.subset(arrays["labels"], share, seed), arrays[f"idx_p{share:g}_seed{seed}"])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.floats(0.01, 1.0), st.integers(0, 2**62))
def test_every_class_gives_exactly_its_rounded_share(labels, share, seed) -> None:
    drawn = semi.subset(labels, share, seed)
    assert (np.diff(drawn) > 0).all()
    for label in set(labels):
        assert sum(labels[i] == label for i in drawn) == round(share * labels.count(label))


def test_seeds_draw_differently_and_methods_with_one_seed_alike() -> None:
    labels = np.arange(300) % 3
    assert not np.array_equal(semi.subset(labels, 0.1, 0), semi.subset(labels, 0.1, 1))
    assert np.array_equal(semi.subset(labels, 0.1, 1), semi.subset(labels.tolist(), 0.1, 1))


def run(config: semi.Config, seed: int = 0, n: int = 96):
    data = splits(n)
    return semi.run(calibrated(data), data, "joint", seed, config, Context())


@pytest.mark.parametrize("draw", ["derived", "released"])
def test_it_is_finetuning_on_the_drawn_labels(draw, monkeypatch) -> None:
    seen = []

    def fit(module, terms, data, **options):
        seen.append(data[1])
        return [options["after_epoch"](options["epochs"] - 1, [])]

    monkeypatch.setattr(finetune, "fit", fit)
    result = run(replace(CONFIG, draw=draw), seed=1)
    assert len(seen[0]) == result.metrics["labelled"] == 24
    assert np.bincount(seen[0].numpy()).tolist() == [8, 8, 8]


def test_a_class_without_a_label_is_reported() -> None:
    data = splits(96)
    rows = np.concatenate([np.flatnonzero(data.train.y[:96] == 0)[:1], np.flatnonzero(data.train.y[:96] > 0)])
    data = data._replace(train=data.train._replace(rows=rows))
    metrics = semi.run(calibrated(data), data, "joint", 0, CONFIG, Context()).metrics
    assert metrics["labelled"] == 16
    assert metrics["classes_without"] == 1
    assert run(CONFIG).metrics["classes_without"] == 0


def test_a_class_that_is_tested_and_never_trained_counts_as_one_without_labels() -> None:
    data = splits(96)
    known = data._replace(train=data.train._replace(rows=np.flatnonzero(data.train.y[:96] > 0)))
    gentle = replace(CONFIG, finetune=replace(CONFIG.finetune, batchnorm="batch"))
    assert semi.run(calibrated(known), known, "joint", 0, gentle, Context()).metrics["classes_without"] == 1
    nowhere = known._replace(test=known.test._replace(rows=known.test.rows[known.test.y[known.test.rows] > 0]))
    result = semi.run(calibrated(nowhere), nowhere, "joint", 0, gentle, Context())
    assert result.metrics["classes_without"] == 0
    assert result.per_class
    assert np.isnan(result.per_class).tolist() == [True, False, False], "no sample, no accuracy"


def test_more_labels_than_none_and_fewer_than_a_batch() -> None:
    # statistics of an encoder that knows nothing yet bear no frozen BatchNorm: it diverges for most seeds
    learning = replace(CONFIG, finetune=replace(CONFIG.finetune, batchnorm="batch", epochs=10))
    assert run(learning).metrics["top1"] > 0.5
    with pytest.raises(ValueError, match="6 training samples do not fill one batch of 8; lower `batch`"):
        run(replace(CONFIG, share=0.06))
    with pytest.raises(ValueError, match="above 0 and at most 1; got 0"):
        replace(CONFIG, share=0)
