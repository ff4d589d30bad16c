"""HOW an encoder is trained and judged.

Adding a protocol: one file with a frozen `Config`, a REVISION and a `run` function, one line in PROTOCOLS;
`SCORES = False` where the result has no scores to fuse.
"""

from __future__ import annotations

from protocols import embed, finetune, knn, linear, raw, semi
from protocols.base import Context, Interrupted, Progress, Result, Split, Splits, derive

PROTOCOLS = {
    "linear": linear,
    "knn": knn,
    "finetune": finetune,
    "semi": semi,
    "raw": raw,
    "embed": embed,
}

__all__ = ["PROTOCOLS", "Context", "Interrupted", "Progress", "Result", "Split", "Splits", "derive"]
