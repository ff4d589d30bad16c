"""KNN protocol: the golden ranking, scikit-learn, bounded blocks, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional as F

from protocols import knn


def test_ranking_equals_the_released_monitor(golden) -> None:
    arrays = golden("knn")
    bank, query = torch.from_numpy(arrays["bank"]), torch.from_numpy(arrays["query"])
    labels = torch.from_numpy(arrays["bank_labels"])
    for k in (10, 20, 40):
        scores = knn.vote(query, bank, labels, int(arrays["num_classes"]), k, float(arrays["temperature"]))
        assert np.array_equal(scores.argmax(dim=1).numpy(), arrays[f"pred_order_k{k}"][:, 0])


@pytest.mark.parametrize("block", [7, 1000])
def test_vote_equals_scikit_learn(block: int) -> None:
    generator = torch.Generator().manual_seed(0)
    bank = F.normalize(torch.randn(200, 8, generator=generator), dim=1)
    query = F.normalize(torch.randn(50, 8, generator=generator), dim=1)
    labels = torch.randint(5, (200,), generator=generator)
    # for unit vectors, similarity = 1 - distance^2 / 2
    reference = KNeighborsClassifier(20, weights=lambda d: np.exp((1 - d**2 / 2) / 0.1)).fit(bank, labels)  # pyright: ignore[reportArgumentType]
    scores = knn.vote(query, bank, labels, 5, 20, 0.1, block=block)
    share = scores / scores.sum(dim=1, keepdim=True)
    np.testing.assert_allclose(share, reference.predict_proba(query), atol=1e-5)


def test_more_neighbours_than_samples_is_an_error() -> None:
    one = torch.ones(3, 2)
    with pytest.raises(ValueError, match="k = 4 neighbours from a bank of 3"):
        knn.vote(one, one, torch.zeros(3, dtype=torch.long), 1, 4, 0.1)
