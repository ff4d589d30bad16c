"""Embedding protocol: the draw is fair, the numbers are scikit-learn's, the plane is the same each time."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from protocols import Context, Split, Splits, embed
from tests.protocols.small import method, splits

FAST = embed.Config(share=0.5, iterations=250)


def clusters(spread: float, n: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Three clusters in eight dimensions, n points each."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), n)
    return np.eye(8)[labels] + spread * rng.standard_normal((3 * n, 8)), labels


def side(counts: list[int]) -> Split:
    y = np.repeat(np.arange(len(counts)), counts)
    return Split(np.zeros((len(y), 3, 2, 25, 1), np.float32), y, np.flatnonzero(np.arange(len(y)) % 2 == 0))


def test_every_class_gives_the_same_share_and_at_least_two() -> None:
    split = side([200, 40, 8, 2])  # half of them are on this side: 100, 20, 4, 1
    drawn = embed.draw(split, 0.2, seed=0)
    assert np.bincount(drawn.y[drawn.rows], minlength=4).tolist() == [20, 4, 2, 0]
    assert set(drawn.rows) <= set(split.rows)
    assert len(set(drawn.rows)) == len(drawn.rows)


def test_the_draw_depends_on_the_seed_alone() -> None:
    split = side([200, 40])
    assert np.array_equal(embed.draw(split, 0.2, 0).rows, embed.draw(split, 0.2, 0).rows)
    assert not np.array_equal(embed.draw(split, 0.2, 0).rows, embed.draw(split, 0.2, 1).rows)


@pytest.mark.parametrize("spread", [0.05, 0.5])
def test_the_numbers_are_scikit_learns(spread: float) -> None:
    points, labels = clusters(spread)
    silhouette, nearest = embed.judge(points, labels)
    assert silhouette == pytest.approx(silhouette_score(points, labels))
    left_out = cross_val_score(KNeighborsClassifier(1), points, labels, cv=LeaveOneOut())
    assert nearest == pytest.approx(left_out.mean())
    assert (nearest == 1.0) == (spread < 0.1)


def test_a_point_is_not_its_own_neighbour() -> None:
    twins = np.repeat(np.arange(4.0)[:, None], 2, axis=0)
    assert embed.judge(twins, np.array([0, 1] * 4))[1] == 0.0


def test_the_plane_shows_clusters_that_are_there_and_is_the_same_each_time() -> None:
    points, labels = clusters(0.05)
    first, perplexity = embed.plane(points, FAST, 0)
    again, _ = embed.plane(points, FAST, 0)
    assert perplexity == pytest.approx(59 / 3)
    assert embed.plane(np.tile(points, (2, 1)), FAST, 0)[1] == FAST.perplexity
    assert first.tobytes() == again.tobytes()
    wide = np.random.default_rng(0).standard_normal((60, 600))  # the start of many dimensions is drawn, not computed
    assert embed.plane(wide, FAST, 0)[0].tobytes() == embed.plane(wide, FAST, 0)[0].tobytes()
    few_neighbours, _ = embed.plane(points, replace(FAST, perplexity=10.0, iterations=500), 0)
    assert embed.judge(few_neighbours, labels)[1] == 1.0


def test_a_run_keeps_points_and_no_scores() -> None:
    encoder = method("skeletonclr").encoder()
    result = embed.run(encoder, splits(), "joint", 0, FAST, Context())
    assert result.scores is None
    assert result.points is not None
    assert sorted(label for *_, label in result.points) == [0] * 4 + [1] * 4 + [2] * 4
    assert result.metrics.keys() == {"perplexity", "silhouette", "nearest", "silhouette_plane", "nearest_plane"}
    plane = np.array([(x, y) for x, y, _ in result.points])
    labels = np.array([label for *_, label in result.points])
    assert result.metrics["silhouette_plane"] == pytest.approx(silhouette_score(plane, labels), abs=1e-5)
    assert embed.run(encoder, splits(), "joint", 0, FAST, Context()).points == result.points


@pytest.mark.parametrize("kind", ["embedding", "backbone"])
def test_features_are_those_of_knn(kind, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(embed, "plane", lambda features, *_: (seen.append(features), (features[:, :2], 2.0))[1])
    encoder = method("skeletonclr").encoder()
    embed.run(encoder, splits(), "joint", 0, embed.Config(share=1.0, features=kind), Context())
    assert seen[0].shape == (24, 8 if kind == "embedding" else 16)
    np.testing.assert_allclose(np.linalg.norm(seen[0], axis=1), 1.0, rtol=1e-5)


def test_what_cannot_be_drawn_is_refused() -> None:
    encoder, data = method("skeletonclr").encoder(), splits()
    few = Splits(data.train._replace(rows=data.train.rows[:6]), data.test, 3)
    with pytest.raises(ValueError, match="t-SNE of 6 samples says nothing; at least 7"):
        embed.run(encoder, few, "joint", 0, FAST, Context())
    one = Splits(data.train._replace(rows=data.train.rows[::3]), data.test, 3)
    with pytest.raises(ValueError, match="at least two classes"):
        embed.run(encoder, one, "joint", 0, FAST, Context())
    settings = (("share", 0.0, "got 0.0"), ("perplexity", 1.0, "got 1, 1000"), ("iterations", 9, "20, 9"))
    for name, value, words in settings:
        with pytest.raises(ValueError, match=re.escape(words)):
            replace(embed.Config(), **{name: value})
