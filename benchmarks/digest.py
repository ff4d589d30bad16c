"""The checksum inside a record, a manifest or another dict of JSON, by which it is known whether it was changed."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(record: dict[str, Any]) -> str:
    """sha256 of everything but the key "digest", as hexadecimal digits."""
    text = json.dumps({k: v for k, v in record.items() if k != "digest"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
