"""Embedding protocol: a t-SNE plane of a share of the training side, with numbers that need no eye (Figures 5 and 6).

A plane always shows clusters to somebody who wants to see them. So the silhouette and the accuracy of the nearest
neighbour are measured too, in feature space and in the plane. Clean samples in evaluation mode, as for KNN; the release
embeds augmented ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from methods import Encoder
from protocols.base import Context, Progress, Result, Split, Splits, derive
from protocols.features import represent

REVISION = 1
SCORES = False  # nothing to fuse: a picture classifies nobody
FEWEST = 7  # samples; with fewer, a perplexity of 2 does not fit


@dataclass(frozen=True)
class Config:
    """Settings of draw and plane; share, perplexity and iterations are the release's, the rest scikit-learn's."""

    share: float = 0.2  # of every class of the training side, but at least two samples
    features: Literal["embedding", "backbone"] = "embedding"  # as in knn.Config
    perplexity: float = 20.0  # at most a third of the other samples, where there are few
    iterations: int = 1000
    exaggeration: float = 12.0  # early exaggeration; the learning rate is max(n / exaggeration / 4, 50)

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share is a part of the training side, above 0 and at most 1; got {self.share}")
        if self.perplexity < 2 or self.iterations < 250 or self.exaggeration < 1:
            raise ValueError(
                "t-SNE needs a perplexity of at least 2, 250 iterations and an exaggeration of 1; got "
                f"{self.perplexity:g}, {self.iterations} and {self.exaggeration:g}"
            )


def draw(split: Split, share: float, seed: int) -> Split:
    """The same share of every class, at least two samples each, at random but the same for one seed.

    A class with a single sample is left out: it has no neighbour to agree with.
    """
    generator = np.random.default_rng(derive(seed, "embed"))
    labels, kept = split.y[split.rows], []
    for label in np.unique(labels):
        members = split.rows[labels == label]
        if len(members) > 1:
            count = min(len(members), max(2, round(share * len(members))))
            kept.append(generator.choice(members, count, replace=False))
    return split._replace(rows=np.sort(np.concatenate(kept)) if kept else split.rows[:0])


def judge(points: Float[np.ndarray, "n D"], labels: Int[np.ndarray, " n"]) -> tuple[float, float]:
    """Mean silhouette (-1 to 1) and leave-one-out accuracy of the nearest neighbour; points (n, D), labels (n,)."""
    from sklearn.metrics import silhouette_score  # slow to import, and every run reads the list of protocols
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=1).fit(points).kneighbors(return_distance=False)[:, 0]
    return float(silhouette_score(points, labels)), float((labels[nearest] == labels).mean())


def plane(features: Float[np.ndarray, "n D"], config: Config, seed: int) -> tuple[Float[np.ndarray, "n 2"], float]:
    """t-SNE (n, 2) of features (n, D), one thread so that the same input gives the same bytes; and the perplexity.

    Raises:
        ValueError: for fewer samples than a perplexity of 2 needs.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if len(features) < FEWEST:
        raise ValueError(f"t-SNE of {len(features)} samples says nothing; at least {FEWEST} are needed, raise `share`")
    perplexity = min(config.perplexity, (len(features) - 1) / 3)
    tsne = TSNE(
        perplexity=perplexity,
        max_iter=config.iterations,
        early_exaggeration=config.exaggeration,
        learning_rate="auto",
        init="pca",
        random_state=derive(seed, "tsne") % 2**32,
        n_jobs=1,
    )
    with threadpool_limits(limits=1):
        return tsne.fit_transform(features), perplexity


def run(encoder: Encoder, splits: Splits, stream: str, seed: int, config: Config, context: Context) -> Result:
    """Metrics "silhouette" and "nearest" in feature space, "..._plane" of the picture, the "perplexity"; points.

    A silhouette may be negative. Raises ValueError for fewer than two classes, or too few samples, to tell apart.
    """
    context.report(Progress("embed", 0, 1, "features", 0.0))
    side = draw(splits.train, config.share, seed)
    drawn = np.isin(splits.train.rows, side.rows)
    labels = side.y[splits.train.rows[drawn]]
    if len(np.unique(labels)) < 2:
        raise ValueError("the training side needs two samples each of at least two classes to be drawn as clusters")
    # of the whole side, which linear and KNN need too; not of it where that is remembered and of the draw otherwise,
    # because the last bits of a row may depend on the rows beside it
    features, _ = represent(encoder, splits.train, stream, config.features, context.device)
    features = features.cpu().numpy()[drawn]
    points, perplexity = plane(features, config, seed)
    metrics = {"perplexity": perplexity}
    for suffix, where in (("", features), ("_plane", points)):
        metrics[f"silhouette{suffix}"], metrics[f"nearest{suffix}"] = judge(where, labels)
    rows = [(float(x), float(y), int(label)) for (x, y), label in zip(points, labels, strict=True)]
    return Result(metrics, points=rows)
