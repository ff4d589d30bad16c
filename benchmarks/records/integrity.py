"""What a record must be before it is believed: unchanged, of the run whose name it bears, and of the right shape.

Why: records are copied, merged and mended by people. A table must not show a number of another run.
"""

from __future__ import annotations

import json
import re
from typing import Any

from benchmarks.canonical import digits
from benchmarks.digest import digest

SCHEMA = 1
HASHED = re.compile(r"[a-z]+-[0-9a-f]{16}")  # an id as canonical.py makes them


def spec_hash(spec: Any) -> str:
    """The 16 digits that a run of this canonical form has in its id; see canonical.py."""
    return digits(json.dumps(spec, sort_keys=True, separators=(",", ":")))


def wrong(record: Any, run_id: str) -> str | None:
    """Why the content of <run_id>.json is not the record of that run, as the end of a sentence; None when it is."""
    if not isinstance(record, dict):
        return f"holds a {type(record).__name__}, not a record"
    if record.get("schema") != SCHEMA:
        return f"has schema {record.get('schema')!r:.60}; this version reads {SCHEMA}"
    if record.get("digest") != digest(record):
        return "was changed after it was written"
    if record.get("run") != run_id:
        return f"is the record of {record.get('run')!r:.60}, not of {run_id}"
    if "spec" in record and HASHED.fullmatch(run_id) and spec_hash(record["spec"]) != run_id.rpartition("-")[2]:
        return f"holds a spec that is not the one of {run_id}"
    if record.get("status") not in ("ok", "failed"):
        return f"has the status {record.get('status')!r:.60}, neither ok nor failed"
    metrics = record.get("metrics", {})
    if not isinstance(metrics, dict) or not all(type(value) in (int, float) for value in metrics.values()):
        return "has metrics that are not numbers"
    if not isinstance(record.get("error", ""), str):
        return "has an error that is no text"
    return None
