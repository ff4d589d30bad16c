"""KNN protocol: the golden ranking, scikit-learn, bounded blocks, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from protocols import knn


def test_ranking_equals_the_released_monitor(golden) -> None:
    arrays = golden("knn")
    bank, query = torch.from_numpy(arrays["bank"]), torch.from_numpy(arrays["query"])
    similarity, index = knn.neighbours(query, bank, 40)
    labels = torch.from_numpy(arrays["bank_labels"])[index]
    for k in (10, 20, 40):
        scores = knn.vote(similarity[:, :k], labels[:, :k], int(arrays["num_classes"]), float(arrays["temperature"]))
        assert np.array_equal(scores.argmax(dim=1).numpy(), arrays[f"pred_order_k{k}"][:, 0])


def unit(n: int, width: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(n, width, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize("block", [7, None])
def test_vote_equals_scikit_learn(block: int | None) -> None:
    bank, query = unit(200, 8, 0), unit(50, 8, 1)
    labels = torch.randint(5, (200,), generator=torch.Generator().manual_seed(2))
    similarity, index = knn.neighbours(query, bank, 40, block)
    for k in (10, 20, 40):
        # for unit vectors, similarity = 1 - distance^2 / 2
        reference = KNeighborsClassifier(k, weights=lambda d: np.exp((1 - d**2 / 2) / 0.1)).fit(bank, labels)  # pyright: ignore[reportArgumentType]  scikit-learn takes any callable
        scores = knn.vote(similarity[:, :k], labels[index[:, :k]], 5, 0.1)
        share = scores / scores.sum(dim=1, keepdim=True)
        np.testing.assert_allclose(share, reference.predict_proba(query), atol=1e-5)


def test_the_nearest_of_many_are_the_nearest_of_few() -> None:
    bank, query = unit(3000, 16, 0), unit(400, 16, 1)
    similarity, index = knn.neighbours(query, bank, 40)
    for k in (10, 20):
        alone, rows = knn.neighbours(query, bank, k)
        assert torch.equal(similarity[:, :k], alone)
        assert torch.equal(index[:, :k], rows)


def test_neighbours_are_scikit_learns() -> None:
    bank, query = unit(3000, 16, 0), unit(400, 16, 1)
    _, index = knn.neighbours(query, bank, 40)
    expected = NearestNeighbors(n_neighbors=40).fit(bank.numpy()).kneighbors(query.numpy(), return_distance=False)
    assert np.array_equal(index.numpy(), expected)


def test_no_block_takes_more_than_its_share_of_memory() -> None:
    class Sizes(TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **kwargs or {})
            for tensor in made if isinstance(made, tuple | list) else (made,):
                if isinstance(tensor, torch.Tensor):
                    self.most = max(self.most, tensor.numel() * tensor.element_size())
            return made

    bank, query = unit(20_000, 2, 0), unit(3000, 2, 1)
    with Sizes() as sizes:
        knn.neighbours(query, bank, 40)
    assert 2**24 < sizes.most <= 2**25, "all at once are 240 MB"


def test_duplicates_change_who_votes_but_not_with_what_weight() -> None:
    """Of twins across the k-th place either may vote: their similarity is the same, their label may not be."""
    bank, query = unit(100, 8, 0).repeat(2, 1), unit(50, 8, 1)
    similarity, index = knn.neighbours(query, bank, 40)
    alone, rows = knn.neighbours(query, bank, 9)
    assert torch.equal(similarity[:, :9], alone)
    assert torch.equal((index[:, :8] % 100).sort(dim=1).values, (rows[:, :8] % 100).sort(dim=1).values)


@pytest.mark.parametrize(("samples", "most"), [(63_026, 140), (1_000, 8_400), (10**8, 1)])
def test_a_block_is_chosen_by_memory(samples: int, most: int) -> None:
    bank = torch.empty(1, 128).expand(samples, 128)
    assert 1 <= knn._block(bank) <= most
    assert knn._block(bank) == 1 or 4 * samples * knn._block(bank) > 2**24


def test_votes_that_would_overflow_are_refused() -> None:
    alike, labels = torch.full((1, 40), 1 + 1e-6), torch.zeros(1, 40, dtype=torch.long)
    assert knn.vote(alike, labels, 2, 0.01).isinf().any()
    for temperature in (0.01, 0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match=r"temperature must be at least 0\.0118, or 40 votes .* overflow; got"):
            knn.Config(temperature=temperature)
    config = knn.Config(temperature=0.0118)
    assert knn.vote(alike, labels, 2, config.temperature).isfinite().all()


@pytest.mark.parametrize("wrong", [{"k": 0}, {"ks": (10, 0)}, {"ks": (-1,)}])
def test_a_vote_of_nobody_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 1 neighbour; got k = "):
        knn.Config(**wrong)


def test_more_neighbours_than_samples_is_an_error() -> None:
    one = torch.ones(3, 2)
    with pytest.raises(ValueError, match="k = 4 neighbours from a bank of 3"):
        knn.neighbours(one, one, 4)
