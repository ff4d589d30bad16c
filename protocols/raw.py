"""Raw coordinates: 1-NN and logistic regression on the prepared skeletons, no network at all.

The floor that any encoder has to clear. scikit-learn does the work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from backbones.streams import to_stream
from protocols.base import Context, Progress, Result, Split, Splits
from protocols.metrics import accuracies

REVISION = 1


@dataclass(frozen=True)
class Config:
    """Settings of the two classifiers."""

    neighbours: int = 1
    regularisation: float = 1.0  # C of the logistic regression
    iterations: int = 300


def _flat(split: Split, stream: str) -> np.ndarray:
    x = to_stream(torch.from_numpy(np.ascontiguousarray(split.x[split.rows])), stream)
    return x.flatten(1).numpy()


def run(encoder: None, splits: Splits, stream: str, seed: int, config: Config, context: Context) -> Result:
    """Metrics "nearest" and "logistic": top-1 of each, fractions; scores are the logistic regression's.

    A class that the training side lacks has the score -1e9. Not in the paper.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import, and only this protocol needs it
    from sklearn.neighbors import KNeighborsClassifier

    context.report(Progress("raw", 0, 1, "", 0.0))
    train, test = _flat(splits.train, stream), _flat(splits.test, stream)
    labels, truth = splits.train.y[splits.train.rows], splits.test.y[splits.test.rows]
    nearest = KNeighborsClassifier(config.neighbours).fit(train, labels)
    logistic = LogisticRegression(C=config.regularisation, max_iter=config.iterations)
    logistic.fit(train, labels)
    scores = np.full((len(test), splits.classes), -1e9, dtype=np.float32)
    decision = logistic.decision_function(test)
    if decision.ndim == 1:  # scikit-learn's form for two classes
        decision = np.stack([-decision, decision], axis=1)
    scores[:, logistic.classes_] = decision
    metrics, per_class = accuracies(scores, truth)
    metrics["logistic"] = metrics["top1"]
    metrics["nearest"] = float((nearest.predict(test) == truth).mean())
    return Result(metrics, scores, per_class)
