"""Whether a record is what its file says: schema, digest, the run of its name, and a spec that hashes to it.

Why apart from the store: a number must never stand in a table under another run's settings, whoever moved the file.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

SCHEMA = 1


def digest(record: dict[str, Any]) -> str:
    """By which a record that was changed later is known."""
    text = json.dumps({k: v for k, v in record.items() if k != "digest"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def spec_hash(spec: dict[str, Any]) -> str:
    """The 16 digits that a run of this canonical form has in its id."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def reason(record: Any, run_id: str) -> str | None:
    """What is wrong with the record in the file of `run_id`, ending with what to do; None when nothing is."""
    again = "delete it and run the same command again"
    if not isinstance(record, dict):
        return f"is no record but a {type(record).__name__}; {again}"
    if record.get("schema") != SCHEMA:
        return f"has schema {record.get('schema')}; this version reads {SCHEMA}"
    if record.get("digest") != digest(record):
        return f"was changed after it was written; {again}"
    if record.get("run") != run_id:
        return f"is the record of {record.get('run')}, not of {run_id}: was it renamed? {again.capitalize()}"
    if "spec" in record and (found := spec_hash(record["spec"])) != run_id.rpartition("-")[2]:
        return f"has a spec that hashes to {found}: its numbers belong to another run; {again}"
    return None
