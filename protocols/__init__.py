"""HOW an encoder is trained and judged.

Adding a protocol: one file with a frozen `Config`, a REVISION and a `run` function, one line in PROTOCOLS;
`SCORES = False` where the result has no scores to fuse.
"""

from __future__ import annotations

from protocols import embed, knn, linear, raw
from protocols.base import Context, Interrupted, Progress, Result, Split, Splits, derive

PROTOCOLS = {"embed": embed, "knn": knn, "linear": linear, "raw": raw}

__all__ = ["PROTOCOLS", "Context", "Interrupted", "Progress", "Result", "Split", "Splits", "derive"]
